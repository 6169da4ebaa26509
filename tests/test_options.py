from pathlib import Path

import psutil
import pytest

from grader.options import Options
from grader.plan import Limits

OUT = Path("reports")


def test_stated_jobs_count() -> None:
    assert Options(out=OUT, jobs=7).workers(Limits(memory_mib=10**9)) == 7


def test_memory_limits_how_many_run_at_once() -> None:
    most = Options(out=OUT).workers(Limits(memory_mib=1))
    half = int(psutil.virtual_memory().available / 2**21)
    assert most >= 1
    assert Options(out=OUT).workers(Limits(memory_mib=half)) == 1
    assert Options(out=OUT).workers(Limits(memory_mib=10**9)) == 1


@pytest.mark.parametrize("threads", [1, 1000])
def test_threads_share_the_processors(threads: int) -> None:
    workers = Options(out=OUT).workers(Limits(memory_mib=1, threads=threads))
    assert workers >= 1
    assert threads == 1 or workers == 1
