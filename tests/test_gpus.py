"""GPUs are never over-committed, nobody starves, and what is quarantined is never lent."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from gpus_of import device
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from grader.gpus import Device, Need, Slots

WHOLE = Need()


def part(memory_mib: int, *, share: bool = True) -> Need:
    return Need(memory_mib=memory_mib, share=share)


def lent(slots: Slots, need: Need) -> int:
    """A ticket whose turn came at once."""
    ticket = slots.ask(need)
    assert slots.turn(ticket) is not None
    return ticket


def finish(slots: Slots, ticket: int, *, suspect: bool = False) -> None:
    at = slots.lent[ticket].device
    if slots.give_back(ticket, suspect=suspect):
        slots.settled(at)


def test_one_submission_a_gpu_unless_both_share() -> None:
    slots = Slots([device(0)])
    first = lent(slots, part(2000))
    greedy = slots.ask(part(2000, share=False))
    assert slots.turn(greedy) is None
    slots.forget(greedy)
    second = lent(slots, part(2000))
    assert (slots.beside_others(first), slots.beside_others(second)) == (True, True)
    assert slots.turn(slots.ask(WHOLE)) is None


def test_several_share_a_gpu_only_when_their_sum_fits() -> None:
    slots = Slots([device(0, 8000)])
    lent(slots, part(3000))
    lent(slots, part(5000))
    assert slots.turn(slots.ask(part(1))) is None


def test_a_need_without_memory_is_never_shared() -> None:
    slots = Slots([device(0)])
    lent(slots, Need(share=True))
    assert slots.turn(slots.ask(Need(share=True))) is None


def test_nobody_overtakes_so_that_who_needs_a_whole_gpu_gets_one() -> None:
    slots = Slots([device(0)])
    small = lent(slots, part(1000))
    whole, late = slots.ask(WHOLE), slots.ask(part(1000))
    assert slots.turn(late) is None  # though it would fit beside the first
    finish(slots, small)
    assert slots.turn(late) is None
    assert slots.turn(whole) == device(0)


def test_the_emptiest_gpu_is_lent_then_the_one_longest_at_rest() -> None:
    slots = Slots([device(0), device(1)])
    one = lent(slots, WHOLE)
    two = lent(slots, WHOLE)
    finish(slots, two)
    finish(slots, one)
    assert slots.turn(slots.ask(part(100))) == device(1)
    assert slots.turn(slots.ask(part(100))) == device(0)
    assert slots.turn(slots.ask(part(50))) == device(1)


def test_after_a_driver_error_another_gpu_is_lent_first() -> None:
    slots = Slots([device(0), device(1)])
    bad = lent(slots, WHOLE)
    good = lent(slots, WHOLE)
    finish(slots, bad, suspect=True)
    finish(slots, good)
    retry = lent(slots, WHOLE)
    assert slots.lent[retry].device == device(1)
    last = lent(slots, WHOLE)
    assert slots.lent[last].device == device(0)
    finish(slots, last)  # it ended well: no longer suspect, and longer at rest than the other
    finish(slots, retry)
    assert slots.turn(slots.ask(WHOLE)) == device(0)


def test_an_emptied_gpu_is_lent_to_nobody_until_somebody_has_looked_at_it() -> None:
    slots = Slots([device(0)])
    assert slots.give_back(lent(slots, part(10))) is True
    waits = slots.ask(part(10))
    assert slots.turn(waits) is None
    slots.settled(device(0))
    assert slots.turn(waits) == device(0)
    beside = lent(slots, part(10))
    assert slots.give_back(beside) is False  # the other still runs: nobody can tell whose memory


@pytest.mark.parametrize(
    ("bad", "need", "says"),
    [
        ((), part(8000), ""),
        ((), part(8001), "8001 MiB of a GPU are asked for, and GPU 0 (T4) has 8000"),
        ((0,), part(5000), "5000 MiB of a GPU are asked for, and GPU 1 (T4) has 4000"),
        ((0, 1), WHOLE, "no GPU is left: GPU 0 (T4): broken; GPU 1 (T4): broken"),
    ],
    ids=["fits", "too much", "too much for what is left", "none left"],
)
def test_who_can_never_be_served_hears_why(bad: tuple[int, ...], need: Need, says: str) -> None:
    slots = Slots([device(0, 8000), device(1, 4000)])
    for number in bad:
        slots.quarantine(slots.devices[number], "broken")
    assert slots.why_never(need) == says


needs = st.builds(Need, memory_mib=st.integers(0, 10), share=st.booleans())


@dataclass
class Seen:
    """What the machine below remembers by itself."""

    running: dict[int, Device] = field(default_factory=dict)
    settling: list[Device] = field(default_factory=list)
    order: list[int] = field(default_factory=list)


class AnyHistory(RuleBasedStateMachine):
    """Any order of arrivals, departures, ends and breakdowns."""

    @initialize(sizes=st.lists(st.integers(1, 12), min_size=1, max_size=3))
    def begin(self, sizes: list[int]) -> None:
        self.slots = Slots([device(number, size) for number, size in enumerate(sizes)])
        self.seen = Seen()

    @rule(need=needs)
    def arrive(self, need: Need) -> None:
        if not self.slots.why_never(need):
            self.seen.order.append(self.slots.ask(need))
        self._serve()

    @precondition(lambda self: self.seen.order)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.seen.order))
        self.slots.forget(ticket)
        self.seen.order.remove(ticket)
        self._serve()

    @precondition(lambda self: self.seen.running)
    @rule(data=st.data(), suspect=st.booleans())
    def end(self, data: st.DataObject, suspect: bool) -> None:
        ticket = data.draw(st.sampled_from(sorted(self.seen.running)))
        at = self.seen.running.pop(ticket)
        emptied = self.slots.give_back(ticket, suspect=suspect)
        assert emptied == (at not in self.seen.running.values())
        if emptied:
            self.seen.settling.append(at)
        self._serve()

    @precondition(lambda self: self.seen.settling)
    @rule(keeps_memory=st.booleans())
    def look(self, keeps_memory: bool) -> None:
        at = self.seen.settling.pop(0)
        if keeps_memory:
            self.slots.quarantine(at, "keeps memory")
        else:
            self.slots.settled(at)
        self._serve()

    @rule(data=st.data())
    def break_down(self, data: st.DataObject) -> None:
        self.slots.quarantine(data.draw(st.sampled_from(self.slots.devices)), "broken")
        self._serve()

    def _serve(self) -> None:
        """What threads do that wait: whoever can never be served leaves, the others try."""
        before = dict(self.slots.quarantined)
        for ticket in list(self.seen.order):
            if self.slots.why_never(self.slots.waiting[ticket]):
                self.slots.forget(ticket)
                self.seen.order.remove(ticket)
                continue
            found = self.slots.turn(ticket)
            if found is None:
                break
            assert ticket == self.seen.order.pop(0), "somebody overtook"
            assert found.id not in before
            assert found not in self.seen.settling
            self.seen.running[ticket] = found

    @invariant()
    def nothing_is_over_committed(self) -> None:
        for one in self.slots.devices:
            here = [loan for loan in self.slots.lent.values() if loan.device == one]
            assert sum(loan.need.memory_mib for loan in here) <= one.free_mib
            assert len(here) < 2 or not any(loan.need.alone for loan in here)

    @invariant()
    def whoever_waits_waits_for_somebody(self) -> None:
        if self.seen.order:
            assert self.seen.running or self.seen.settling

    def teardown(self) -> None:
        """Everything is returned, and then everybody who still waits is served: nobody starves."""
        if not hasattr(self, "slots"):
            return
        while self.seen.order or self.seen.running:
            for ticket, at in list(self.seen.running.items()):
                del self.seen.running[ticket]
                if self.slots.give_back(ticket):
                    self.slots.settled(at)
            for at in self.seen.settling:
                self.slots.settled(at)
            self.seen.settling.clear()
            waited = len(self.seen.order)
            self._serve()
            assert len(self.seen.order) < waited or not waited
        assert self.slots.lent == {}
        assert self.slots.waiting == {}


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=60, deadline=None)


@settings(deadline=None)
@given(st.lists(needs, max_size=12))
def test_whoever_waits_is_served_in_order_of_arrival(asked: list[Need]) -> None:
    slots = Slots([device(0, 10)])
    tickets = [slots.ask(need) for need in asked]
    served = []
    for _ in asked:
        now = [ticket for ticket in tickets if ticket not in served and slots.turn(ticket)]
        served += now
        for ticket in now:
            finish(slots, ticket)
    assert served == tickets
