"""`output`: numbers in printed text, as programs print them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asking import said

from grader.checks import KINDS
from grader.checks.base import Context, Seen
from grader.errors import ReferenceFault
from grader.evidence import CellReceipt, CellStatus
from grader.inputs import Inputs
from grader.reference import Reference
from grader.submission import Cell, CellKind
from grader.symbolic import Symbolic
from grader.verdict import Conclusion

OUTPUT = KINDS["output"]


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    path = tmp_path / "reference.py"
    path.write_text("import torch\nshare = torch.tensor([0.125])\nname = 'x'\n")
    with Symbolic() as symbolic:
        yield Context(
            reference=Reference(path), inputs=Inputs(b"secret", "hw", 1), symbolic=symbolic
        )


def judged(context: Context, *texts: str, **settings: Any) -> Conclusion:
    params = OUTPUT.Params.model_validate(settings)
    assert list(OUTPUT.problems(params, context)) == []
    cells = tuple(Cell(CellKind.CODE, f"show({n})") for n in range(len(texts)))
    receipts = {
        n: CellReceipt(index=n, status=CellStatus.OK, wall_s=0.1, text=text)
        for n, text in enumerate(texts)
    }
    seen = Seen(check_id="1/1", requests={}, observations={}, cells=cells, receipts=receipts)
    return OUTPUT.judge(params, seen, context)


RIGHT = {
    "as written": "accuracy: 93.1 %",
    "other spaces and case": "Accuracy:93.1%",
    "over lines": "accuracy:\n   93.1\t%",
    "a tensor": "accuracy: tensor(93.1000) %",
    "a tensor that learns": "accuracy: tensor(93.1, device='cuda:0', grad_fn=<MulBackward0>) %",
    "an exponent": "accuracy: 9.31e+01 %",
    "rounded": "accuracy: 93.10 %",
    "one of several": "accuracy: 10.0 %\naccuracy: 93.1 %\naccuracy: 11.0 %",
}


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_a_number_counts_however_it_is_printed(text: str, context: Context) -> None:
    found = judged(context, "", text, of="accuracy: {} %", equals=93.1)
    assert said(found) == (1.0, "The printed numbers are right.")


@pytest.mark.parametrize(
    ("text", "credit"),
    [("loss 0.67", 1.0), ("loss 0.7", 1.0), ("loss 0.66", 0.0), ("loss 1", 0.0)],
)
def test_rounding_for_print_costs_nothing(text: str, credit: float, context: Context) -> None:
    assert said(judged(context, text, of="loss {}", equals=2 / 3))[0] == credit


@pytest.mark.parametrize(
    ("text", "right", "credit"),
    [
        ("acc 92 %", 91.67, 1.0),
        ("acc 92. %", 91.67, 1.0),
        ("acc 91 %", 91.67, 0.0),
        ("acc 92 %", 91, 0.0),
        ("acc 9.5e+01 %", 95.3, 1.0),
        ("acc 1e+02 %", 95.3, 1.0),
        ("acc 1e+02 %", 42, 0.0),
        ("acc 9 %", 8.6, 0.0),
        ("acc -92 %", -91.67, 1.0),
        ("acc 1,235 %", 1234.56, 1.0),
    ],
)
def test_a_number_of_two_digits_may_be_rounded_to_a_whole_one(
    text: str, right: float, credit: float, context: Context
) -> None:
    assert said(judged(context, text, of="acc {} %", equals=right))[0] == credit


@pytest.mark.parametrize(
    ("text", "right", "credit"),
    [
        ("shape (3,128)", [3, 128], 1.0),
        ("shape (3, 128)", [3, 128], 1.0),
        ("shape (1,024,128)", [1024, 128], 0.0),  # nobody can say which
        ("shape (1,024, 128)", [1024, 128], 1.0),
        ("shape (3,129)", [3, 128], 0.0),
    ],
)
def test_a_comma_may_stand_between_two_numbers(
    text: str, right: list[int], credit: float, context: Context
) -> None:
    assert said(judged(context, text, of="shape ({}, {})", equals=right))[0] == credit


def test_several_numbers_are_right_together(context: Context) -> None:
    settings = {"of": "epoch {} loss {}", "equals": [2, 0.5]}
    assert said(judged(context, "epoch 1 loss 0.9\nepoch 2 loss 0.5", **settings))[0] == 1
    assert said(judged(context, "epoch 1 loss 0.5\nepoch 2 loss 0.9", **settings)) == (
        0.0,
        "The printed numbers are not right: 2, 0.9.",
    )


def test_thousands_may_be_marked(context: Context) -> None:
    settings = {"of": "{} parameters", "equals": 3323392}
    assert said(judged(context, "has 3,323,392 parameters", **settings))[0] == 1
    assert said(judged(context, "has 3323392 parameters", **settings))[0] == 1
    assert said(judged(context, "has 3,323,391 parameters", **settings))[0] == 0


def test_only_the_cells_that_are_meant_count(context: Context) -> None:
    texts = ("loss 1", "loss 2")
    assert said(judged(context, *texts, of="loss {}", equals=1, cell=r"^show\(0\)"))[0] == 1
    assert said(judged(context, *texts, of="loss {}", equals=1, cell=r"^show\(1\)"))[0] == 0


def test_bounds_and_references_say_what_is_right(context: Context) -> None:
    assert said(judged(context, "acc 0.9", of="acc {}", at_least=0.8, at_most=1))[0] == 1
    assert said(judged(context, "acc 90", of="acc {}", at_least=0.8, at_most=1))[0] == 0
    assert said(judged(context, "acc 0.125", of="acc {}", reference="share"))[0] == 1
    assert said(judged(context, "acc nan", of="acc {}", at_least=0))[0] == 0


def test_a_mistake_is_named(context: Context) -> None:
    mistake = {"equals": 0.25, "says": "25 of 500 are 5 %.", "credit": 0.5}
    settings = {"of": "acc {}", "equals": 5, "mistakes": [mistake]}
    assert said(judged(context, "acc 0.25", **settings)) == (0.5, "25 of 500 are 5 %.")


def test_what_was_never_printed_says_so(context: Context) -> None:
    found = judged(context, "acc: unknown", of="acc: {}", equals=5)
    assert said(found) == (0.0, "Nothing printed reads 'acc: {}'.")


def test_a_reference_that_holds_no_number_is_our_fault(context: Context) -> None:
    with pytest.raises(ReferenceFault, match="expected name to hold numbers"):
        judged(context, "acc 5", of="acc {}", reference="name")
    with pytest.raises(ReferenceFault, match="expected share to hold 2 numbers"):
        judged(context, "acc 5 6", of="acc {} {}", reference="share")


def test_a_stated_tolerance_leaves_no_room_for_rounding(context: Context) -> None:
    assert said(judged(context, "acc 11", of="acc {}", equals=10.6))[0] == 1
    assert said(judged(context, "acc 11", of="acc {}", equals=10.6, atol=0.01, rtol=0))[0] == 0


WRONG: dict[str, dict[str, Any]] = {
    "no number": {"of": "acc", "equals": 5},
    "too few numbers": {"of": "{} {}", "equals": 5},
    "nothing right": {"of": "acc {}"},
    "two right": {"of": "acc {}", "equals": 5, "at_least": 4},
    "no pattern": {"of": "acc {}", "equals": 5, "cell": "("},
    "no such name": {"of": "acc {}", "reference": "shares"},
}


@pytest.mark.parametrize("settings", WRONG.values(), ids=WRONG)
def test_a_check_that_makes_no_sense_is_refused(settings: Any, context: Context) -> None:
    params = OUTPUT.Params.model_validate(settings)
    assert len(list(OUTPUT.problems(params, context))) == 1


ENDLESS = {
    "digits": "1" * 65000,
    "spaces": "loss" + " " * 65000,
    "dots": "1." * 32000,
    "thousands": "1,111" * 13000,
    "starts of tensors": "tensor(" * 9000,
    "tensors without an end": "tensor(1,a=" * 6000,
    "thousands without an end": "111," * 16000 + "1111",
    "exponents": "1e" * 30000,
    "a huge exponent": "loss 1e" + "9" * 60000 + " acc 0.5e999",
}


@pytest.mark.slow
@pytest.mark.parametrize("text", ENDLESS.values(), ids=ENDLESS)
@pytest.mark.parametrize("of", ["{}", "loss {} acc {}", "{}, {}"])
def test_no_printed_text_keeps_the_grader_busy(of: str, text: str, context: Context) -> None:
    """A pattern that backtracks would need hours for these."""
    assert said(judged(context, text, of=of, at_least=1e200, at_most=1e201))[0] == 0
