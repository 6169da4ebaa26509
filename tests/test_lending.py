"""GPUs come back however a loan ends, and one that does not work as before is lent no more."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from gpus_of import Lent, Readings, device
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.errors import InputError, SandboxFault
from grader.gpus import Device, Need
from grader.sandbox.lending import Gpus, chosen, quarantined

WHOLE = Need()


@pytest.fixture
def lent(tmp_path: Path) -> Lent:
    return Lent(tmp_path / "gpus")


def ids_free(gpus: Gpus) -> set[str]:
    """Which GPUs can be lent at once."""
    with ExitStack() as stack:
        count = sum(d.id not in quarantined(gpus.folder) for d in gpus.devices)
        return {stack.enter_context(gpus.lend(WHOLE)).device.id for _ in range(count)}


@pytest.mark.parametrize(
    "error", [ValueError, SandboxFault, KeyboardInterrupt, SystemExit], ids=lambda e: e.__name__
)
def test_a_gpu_comes_back_whatever_ends_the_loan(lent: Lent, error: type[BaseException]) -> None:
    for _ in range(3):
        with pytest.raises(error), lent.gpus.lend(WHOLE):
            raise error
    assert ids_free(lent.gpus) == {"GPU-0", "GPU-1"}
    assert lent.said == []


def test_ctrl_c_while_memory_is_awaited_gives_the_gpu_back(lent: Lent) -> None:
    class Interrupted(Readings):
        asked = 0

        def used_mib(self, device: Device) -> int:
            self.asked += 1
            if self.asked == 2:
                raise KeyboardInterrupt
            return 100

    lent.gpus.meter = Interrupted()
    with pytest.raises(KeyboardInterrupt), lent.gpus.lend(WHOLE):
        pass
    assert ids_free(lent.gpus) == {"GPU-0", "GPU-1"}


@pytest.mark.slow
def test_a_gpu_that_keeps_memory_is_quarantined_and_said_so_and_stays_so(lent: Lent) -> None:
    lent.readings.used["GPU-0"] = [100, 912]
    with lent.gpus.lend(WHOLE) as loan:
        assert loan.device == device(0)
    why = "it keeps 812 MiB of memory after a submission has ended"
    says = f"GPU 0 (T4) is quarantined, no submission gets it any more: {why}"
    assert lent.said == [says]
    assert ids_free(lent.gpus) == {"GPU-1"}
    assert quarantined(lent.folder) == {"GPU-0": why}
    again = Lent(lent.folder)
    assert ids_free(again.gpus) == {"GPU-1"}
    (lent.folder / "GPU-0").unlink()
    assert ids_free(Lent(lent.folder).gpus) == {"GPU-0", "GPU-1"}


@pytest.mark.slow
def test_a_gpu_may_take_a_moment_to_free_its_memory(lent: Lent) -> None:
    lent.readings.used["GPU-0"] = [100, 7000, 7000, 164]
    lent.gpus.grace_s = 5
    with lent.gpus.lend(WHOLE):
        pass
    assert (lent.said, lent.readings.used["GPU-0"]) == ([], [164])


def test_memory_of_others_from_before_is_not_held_against_a_submission(lent: Lent) -> None:
    lent.readings.used["GPU-0"] = [3000]
    with lent.gpus.lend(WHOLE):
        pass
    assert lent.said == []


@pytest.mark.slow
def test_whose_memory_is_kept_is_asked_when_the_last_one_has_ended(tmp_path: Path) -> None:
    lent = Lent(tmp_path / "gpus", 8000)
    lent.readings.used["GPU-0"] = [100, 900]
    half = Need(memory_mib=4000, share=True)
    with lent.gpus.lend(half) as first:
        with lent.gpus.lend(half):
            pass
        assert lent.said == []
        assert lent.gpus.crowded(first)
    assert [line[-57:] for line in lent.said] == [
        ": it keeps 800 MiB of memory after a submission has ended"
    ]


def test_a_gpu_that_stopped_answering_is_replaced_by_another(lent: Lent) -> None:
    lent.readings.lost.add("GPU-0")
    with lent.gpus.lend(WHOLE) as loan:
        assert loan.device == device(1)
    assert quarantined(lent.folder) == {"GPU-0": "it does not answer: GPU is lost"}


def test_who_waits_when_the_last_gpu_breaks_hears_why(tmp_path: Path) -> None:
    lent, heard = Lent(tmp_path / "gpus", 8000), list[str]()

    def wait() -> None:
        with pytest.raises(SandboxFault) as caught, lent.gpus.lend(WHOLE):
            pass
        heard.append(str(caught.value))

    with lent.gpus.lend(WHOLE) as loan:
        thread = threading.Thread(target=wait)
        thread.start()
        loan.broken = "it failed"
    thread.join(10)
    assert heard == ["no GPU is left: GPU 0 (T4): it failed"]


def test_who_waits_when_the_sandbox_closes_is_sent_away(tmp_path: Path) -> None:
    lent, heard = Lent(tmp_path / "gpus", 8000), list[str]()

    def wait() -> None:
        with pytest.raises(SandboxFault) as caught, lent.gpus.lend(WHOLE):
            pass
        heard.append(str(caught.value))

    with lent.gpus.lend(WHOLE):
        thread = threading.Thread(target=wait)
        thread.start()
        lent.gpus.close()
        thread.join(10)
    assert heard == ["the sandbox is closed"]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 10), st.booleans(), st.sampled_from(["", "error", "suspect"])),
        min_size=1,
        max_size=12,
    )
)
def test_many_threads_never_over_commit_and_all_are_served(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[int, bool, str]]
) -> None:
    lent = Lent(tmp_path_factory.mktemp("gpus"), 10, 10)
    at: dict[str, list[Need]] = {"GPU-0": [], "GPU-1": []}
    lock, wrong, served = threading.Lock(), list[str](), list[int]()

    def one(number: int, need: Need, ends: str) -> None:
        try:
            with lent.gpus.lend(need) as loan:
                here = at[loan.device.id]
                with lock:
                    here.append(need)
                    if sum(n.memory_mib for n in here) > 10 or (
                        len(here) > 1 and any(n.alone for n in here)
                    ):
                        wrong.append(f"{here} on {loan.device}")
                time.sleep(0.001)
                with lock:
                    here.remove(need)
                    served.append(number)
                loan.suspect = ends == "suspect"
                if ends == "error":
                    raise ValueError
        except ValueError:
            return

    threads = [
        threading.Thread(target=one, args=(n, Need(memory_mib=mib, share=share), ends))
        for n, (mib, share, ends) in enumerate(asked)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (wrong, sorted(served)) == ([], list(range(len(asked))))
    assert ids_free(lent.gpus) == {"GPU-0", "GPU-1"}


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ("0,x", "--gpus: expected all, none or numbers such as 0,1, found '0,x'"),
        ("1,1", "--gpus: expected all, none or numbers such as 0,1, found '1,1'"),
        ("2", "--gpus: expected numbers of GPUs that are here (0, 1): 2"),
    ],
    ids=["no number", "twice", "not there"],
)
def test_gpus_that_cannot_be_are_refused(wish: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        chosen(wish, 2)
    assert str(caught.value) == says


def test_gpus_are_named_all_or_by_number() -> None:
    assert chosen("all", 2) == (0, 1)
    assert chosen("1, 0", 2) == (1, 0)
    with pytest.raises(InputError, match="--gpus all: this machine has no GPU"):
        chosen("all", 0)
