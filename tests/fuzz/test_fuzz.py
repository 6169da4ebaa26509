"""Every target for a short while, with the same inputs every time."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fuzz.targets import TARGETS

#: Inputs of a target; where one costs more than a millisecond there are fewer.
EXAMPLES = {"answer": 150, "comparing": 25, "pdf": 40, "rubric": 100, "writeup": 80}
MOST = 200
ALL = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
PHASES = (Phase.explicit, Phase.generate, Phase.shrink)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_no_input_of_the_right_form_breaks_a_reader(name: str) -> None:
    target = TARGETS[name]

    @settings(
        max_examples=EXAMPLES.get(name, MOST),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=ALL,
        phases=PHASES,
    )
    @given(target.inputs)
    def put(data: bytes) -> None:
        target(data)

    put()


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_valid_inputs_and_any_bytes_break_no_reader(name: str) -> None:
    target = TARGETS[name]
    for seed in (*target.seeds, b"", b"\0", b"\xff" * 40):
        target(seed)

    @settings(
        max_examples=50,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=ALL,
        phases=PHASES,
    )
    @given(st.binary(max_size=300))
    def put(data: bytes) -> None:
        target(data)

    put()
