from pathlib import Path

import psutil
import pytest

from grader.options import Options, processors
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
def test_threads_share_theprocessors(threads: int) -> None:
    workers = Options(out=OUT).workers(Limits(memory_mib=1, threads=threads))
    assert workers >= 1
    assert threads == 1 or workers == 1


@pytest.mark.parametrize(
    ("jobs", "students", "judges"), [(0, 3, 1), (0, 399, 1), (7, 3, 7), (1, 100_000, 1)]
)
def test_small_classes_have_one_process_that_judges(jobs: int, students: int, judges: int) -> None:
    assert Options(out=OUT, jobs=jobs).judges(students) == judges


def test_large_classes_have_one_for_each_processor_and_four_at_most() -> None:
    assert Options(out=OUT).judges(100_000) == min(4, len(processors()))
