"""`metric`: predictions on withheld inputs, scored outside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from asking import Asker, found, raiser, said

from grader.errors import ReferenceFault
from grader.values import Tensor

REFERENCE = """\
import torch

def double(x): return 2 * x

def signs(seed):
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(seed))
    return x, (x.sum(1) > 0).long()

def sums(seed):
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(seed))
    return x, x.sum(1)

def nothing(seed): return torch.zeros(0, 3), torch.zeros(0)
def always_alike(seed): return torch.full((40, 3), 7.5), torch.ones(40)
def error(predictions, labels): return ((predictions - labels) ** 2).mean()
def numpys_error(predictions, labels): return error(predictions, labels).numpy()
def errors(predictions, labels): return (predictions - labels) ** 2
def turned(labels, predictions): return float((labels - 2 * predictions).abs().max())
"""


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Asker]:
    asker = Asker(tmp_path, REFERENCE)
    yield asker
    asker.context.symbolic.close()


CREDIT = {0.5: 0, 1.0: 1}
LOSS = {0.0: 1, 1.0: 0}


def right(inputs: torch.Tensor) -> torch.Tensor:
    return (inputs.sum(1) > 0).long()


@pytest.mark.parametrize(
    ("predict", "expected"),
    [
        (right, (1.0, "The accuracy on 40 withheld inputs is 1.")),
        (
            lambda inputs: right(inputs).tolist(),
            (1.0, "The accuracy on 40 withheld inputs is 1."),
        ),
        (
            lambda inputs: right(inputs)[:, None].numpy(),
            (1.0, "The accuracy on 40 withheld inputs is 1."),
        ),
        (lambda inputs: right(inputs) > 0, (1.0, "The accuracy on 40 withheld inputs is 1.")),
        (
            lambda inputs: 1 - right(inputs),
            (0.0, "The accuracy on 40 withheld inputs is 0; full credit from 1 on."),
        ),
        (lambda inputs: None, (0.0, "predict returns None.")),
        (
            lambda inputs: right(inputs)[:1],
            (
                0.0,
                "Expected one prediction an input, found a tensor of shape (1,) for a batch of 16.",
            ),
        ),
        (
            lambda inputs: type(str(inputs), (), {})(),
            (0.0, "Expected one prediction an input, found an object for a batch of 16."),
        ),
        (
            lambda inputs: torch.zeros(len(inputs), 7),
            (0.0, "Expected predictions of shape (40,), found (40, 7)."),
        ),
        (
            lambda inputs: [10**400] * len(inputs),
            (0.0, "Expected one prediction an input, found a list for a batch of 16."),
        ),
    ],
    ids=[
        "tensor",
        "list",
        "column",
        "truths",
        "wrong",
        "None",
        "few",
        "object",
        "logits",
        "huge",
    ],
)
def test_a_metric(ask: Asker, predict: Any, expected: tuple[float, str]) -> None:
    asked = ask("metric", "predict", data="signs", credit=CREDIT, batch=16)
    assert said(asked.judge(predict=predict)) == expected


@pytest.mark.parametrize("predict", [raiser("Own", "told"), lambda inputs: [][int(inputs.sum())]])
def test_what_a_predictor_raised_names_no_withheld_input(ask: Asker, predict: Any) -> None:
    asked = ask("metric", "predict", data="signs", credit=CREDIT)
    finding = found(asked.judge(predict=predict))
    assert finding.says in ("predict raised an exception.", "predict raised IndexError.")
    assert finding.detail.startswith(("Own: ('told'", "IndexError: "))
    assert (finding.credit, finding.answered) == (0.0, False)


@pytest.mark.parametrize("measure", ["error", "numpys_error"])
@pytest.mark.parametrize(
    "predict",
    [
        lambda inputs: inputs.sum(1),
        lambda inputs: inputs.sum(1, keepdim=True),
        lambda inputs: inputs.sum(1).double().tolist(),
    ],
    ids=["right", "a column", "a list"],
)
def test_a_measure_may_give_a_tensor_of_one_number(ask: Asker, measure: str, predict: Any) -> None:
    asked = ask("metric", "predict", data="sums", measure=measure, credit=LOSS)
    finding = found(asked.judge(predict=predict))
    assert finding.credit == pytest.approx(1.0)
    assert finding.says.startswith(f"The {measure} on 40 withheld inputs is ")


def test_a_measure_gets_its_arguments_by_name(ask: Asker) -> None:
    asked = ask("metric", "predict", data="sums", measure="turned", credit=LOSS)
    assert found(asked.judge(predict=lambda inputs: inputs.sum(1) / 2)).credit == 1.0


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"data": "sums", "measure": "errors"}, "expected errors to give a number"),
        ({"data": "nothing"}, "expected nothing to give"),
        ({"data": "double"}, "expected double to give"),
    ],
    ids=["no number", "no inputs", "no pair"],
)
def test_a_measure_or_data_that_make_no_sense_are_faults_of_the_reference(
    ask: Asker, settings: dict[str, Any], reason: str
) -> None:
    asked = ask("metric", "predict", credit=LOSS, **settings)
    with pytest.raises(ReferenceFault, match=reason):
        asked.judge(predict=lambda inputs: inputs.sum(1))


def test_predictions_that_are_not_finite_earn_nothing(ask: Asker) -> None:
    asked = ask("metric", "predict", data="sums", measure="error", credit=LOSS)
    judged = asked.judge(predict=lambda inputs: inputs.sum(1) * float("nan"))
    assert said(judged) == (0.0, "The error is not finite.")


def test_a_released_metric_holds_no_drawn_input(ask: Asker) -> None:
    asked = ask("metric", "predict", data="always_alike", credit=CREDIT)
    told = asked.kind.release(asked.params, asked.context, "1/1")
    assert told.requests["value"]["inputs"] == {
        "inputs": Tensor(np.zeros((8, 3), np.float32), "float32", "torch")
    }


def test_a_metric_has_no_mistakes(ask: Asker) -> None:
    mistake = {"reference": "double", "says": "k"}
    asked = ask("metric", "predict", data="signs", credit=CREDIT, mistakes=[mistake])
    expected = "unknown key: no mistake of a metric can be recognised; its credit is a curve"
    assert asked.problems == [(("mistakes",), expected)]
