import pytest

from grader.schedule import Next, after


@pytest.mark.parametrize(
    ("faults", "then"),
    [
        ([], Next.EXECUTE),
        (["engine gone"], Next.EXECUTE),
        (["engine gone", "engine gone"], Next.HAND_TO_PERSON),
    ],
    ids=["new", "one fault", "two faults"],
)
def test_a_fault_is_retried_once(faults: list[str], then: Next) -> None:
    assert after(faults) is then
