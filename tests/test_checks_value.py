"""`value`: numbers that are right within a band, or as the size of a model that the run left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
import torch
from asking import Asker, found, ok, said

from grader.evidence import Observation, ProbeStatus
from grader.values import Formula, Tensor
from grader.verdict import Pending


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Asker]:
    asker = Asker(tmp_path, "quarter = 0.25\n")
    yield asker
    asker.context.symbolic.close()


BAND = {"at_least": 1.5, "at_most": 8}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (2.0, (1.0, "Right.")),
        (8, (1.0, "Right.")),
        (torch.tensor([2.5]), (1.0, "Right.")),
        (np.float32(1.5), (1.0, "Right.")),
        (sympy.Rational(5, 2), (1.0, "Right.")),
        (sympy.Float("2.5"), (1.0, "Right.")),
        (sympy.Symbol("x"), (0.0, "Expected a number, found a sympy expression.")),
        (0.25, (0.0, "This is a share, not percent.")),
        (1.25, (0.0, "accuracy is lower than is plausible.")),
        (80, (0.0, "accuracy is higher than is plausible.")),
        (True, (0.0, "Expected a number, found the truth value True.")),
        ("2.0", (0.0, "Expected a number, found text.")),
        (float("nan"), (0.0, "Expected a number, found the number nan.")),
        ([2.0], (0.0, "Expected a number, found a list of 1 item.")),
        (None, (0.0, "accuracy is still None.")),
    ],
)
def test_a_number_in_a_band(ask: Asker, given: Any, expected: tuple[float, str]) -> None:
    mistakes = [{"reference": "quarter", "says": "This is a share, not percent."}]
    asked = ask("value", "accuracy", mistakes=mistakes, **BAND)
    assert asked.problems == []
    assert said(asked.judge(accuracy=given)) == expected


def test_the_band_is_for_staff(ask: Asker) -> None:
    finding = found(ask("value", "accuracy", **BAND).judge(accuracy=9))
    assert finding.detail == "Found the number 9, expected at least 1.5 and at most 8."
    told = ask("value", "accuracy", **BAND)
    released = told.kind.release(told.params, told.context, "1/1")
    assert released.params == {"of": "accuracy", "at_least": 0}


@pytest.mark.parametrize("bound", [{"at_least": 1.5}, {"at_most": 1.5}])
def test_one_bound_is_enough(ask: Asker, bound: dict[str, float]) -> None:
    asked = ask("value", "accuracy", **bound)
    credits = [said(asked.judge(accuracy=number))[0] for number in (1, 1.5, 2)]
    assert credits == ([0.0, 1.0, 1.0] if "at_least" in bound else [1.0, 1.0, 0.0])


@pytest.mark.parametrize(
    "settings",
    [{}, {"equals": 2, "at_least": 1}, {"reference": "quarter", "parameters_of": "Net"}],
)
def test_there_is_one_way_to_be_right(ask: Asker, settings: dict[str, Any]) -> None:
    says = "expected one of equals, reference, at_least and at_most, or parameters_of"
    assert ask("value", "v", **settings).problems == [(("equals",), says)]


class Net(torch.nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed, self.head = torch.nn.Embedding(9, width), torch.nn.Linear(width, 1)
        self.embed.weight.requires_grad_(False)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (9 * 5 + 6, (1.0, "Right.")),
        (6, (1.0, "Right.")),
        (torch.tensor(3), (1.0, "Right.")),
        (45, (0.0, "n is not the number of parameters of any Net that there is.")),
        (2, (0.0, "n is not the number of parameters of any Net that there is.")),
        ("51", (0.0, "Expected a number, found text.")),
    ],
)
def test_a_number_of_parameters(ask: Asker, given: Any, expected: tuple[float, str]) -> None:
    asked = ask("value", "n", parameters_of="Net")
    namespace = {"Net": Net, "small": Net(2), "large": Net(5), "other": torch.nn.Linear(1, 1)}
    assert said(asked.judge(n=given, **namespace)) == expected


def test_without_a_model_a_person_decides(ask: Asker) -> None:
    asked = ask("value", "n", parameters_of="Net")
    reason = "No Net is left whose parameters could be counted. A person looks."
    assert asked.judge(n=51, Net=Net) == Pending(reason=reason)
    assert said(asked.judge(n=51)) == (0.0, "Net is not defined.")


@pytest.mark.parametrize(
    "counts", [None, 5, [5], [[5]], [["5", 5]], [[5, 6]], [[-5, -5]], [[10**99, 1]], "x"]
)
def test_counts_in_another_form_count_nothing(ask: Asker, counts: Any) -> None:
    asked = ask("value", "n", parameters_of="Net")
    judged = asked.judge_replies(value=ok(5), counts=ok(counts))
    assert isinstance(judged, Pending)
    reply = {"found": counts, "others": counts}
    assert asked.judge_replies(value=ok(5), counts=ok(reply)) == judged
    failed = Observation(status=ProbeStatus.ERROR)
    assert asked.judge_replies(value=ok(5), counts=failed) == judged


@pytest.mark.parametrize("settings", [BAND, {"at_most": -3}, {"parameters_of": "Net"}])
def test_the_right_answer_of_a_number_earns_everything(
    ask: Asker, settings: dict[str, Any]
) -> None:
    asked = ask("value", "n", **settings)
    answers = asked.kind.answers(asked.params, asked.requests, asked.context, "1/1")
    assert answers is not None
    judged = asked.judge_replies(**{local: ok(value) for local, value in answers.items()})
    assert found(judged).credit == 1.0


@pytest.mark.parametrize("text", ["5/0", "5/2/2", "1e9999", "٣", "-", "nan", "zoo", "2" * 99])
def test_text_that_is_no_number_of_sympys_is_none(ask: Asker, text: str) -> None:
    asked = ask("value", "v", at_least=2)
    assert found(asked.judge_replies(value=ok(Formula(text)))).credit == 0.0


def test_a_tensor_of_one_number_is_one(ask: Asker) -> None:
    asked = ask("value", "v", at_least=2)
    given = Tensor(np.array([[2.0]]), "float64")
    assert found(asked.judge_replies(value=ok(given))).credit == 1.0


def test_a_model_that_is_kept_elsewhere_is_looked_for(ask: Asker) -> None:
    asked = ask("value", "n", parameters_of="Net")
    other = torch.nn.Linear(1, 1)
    assert said(asked.judge(n=51, Net=Net, other=other, kept={"best": Net(5)})) == (1.0, "Right.")
    assert isinstance(asked.judge(n=51, Net=Net, other=other), Pending)


@pytest.mark.parametrize("equals", [2, 2.0])
def test_text_for_a_number_is_said_to_be_text(ask: Asker, equals: float) -> None:
    asked = ask("value", "v", equals=equals)
    assert said(asked.judge(v="2.0%")) == (0.0, "Expected a number, found text.")


def test_each_sentence_for_staff_starts_with_a_capital(ask: Asker) -> None:
    finding = found(ask("value", "v", equals={"a": 2, "b": 3}).judge(v={"a": 7, "b": 3}))
    assert finding.says == "['a']: the value is wrong."
    assert finding.detail == "Found a dict of 2 items. Expected 2, found 7."


@pytest.mark.parametrize(
    ("wrong", "given", "credit"),
    [
        ([1.0, float("nan")], [1.0, float("nan")], 0.5),
        ([1.0, float("nan")], [float("nan"), 1.0], 0.0),
        ([float("nan")] * 2, [float("nan")] * 2, 0.0),
    ],
    ids=["beside a number", "elsewhere", "alone"],
)
def test_nan_is_a_mistake_beside_a_number(
    ask: Asker, wrong: Any, given: Any, credit: float
) -> None:
    mistakes = [{"equals": wrong, "says": "Divided by nothing.", "credit": 0.5}]
    asked = ask("value", "v", equals=[1.0, 2.0], mistakes=mistakes, credit="all")
    assert found(asked.judge(v=given)).credit == credit
