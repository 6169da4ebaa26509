"""`metric`: predictions on withheld inputs, scored outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from asking import Asked, Asker, found, ok, raiser, said
from safetensors.torch import save_file

from grader.errors import ReferenceFault
from grader.guest import predicting
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
def error_of_numpy(predictions, labels): return error(predictions, labels).numpy()
def errors(predictions, labels): return (predictions - labels) ** 2
def sentences(seed): return ["good", "bad", "so good", "so bad"], torch.tensor([1.0, 0, 1, 0])
def share_right(predictions, labels):
    return float(((predictions > 0.5) == (labels > 0.5)).float().mean())
def places(seed): return None, ["Rome", "London", "Paris", "London"]
def digits(seed): return None, torch.tensor([3, 1, 4, 1])
def listed(seed): return [[1, 2], [3]], [3, 3]
def unequal(seed): return ["a"], [1, 2]
def mixed(seed): return None, ["a", 1]
def all_london(predictions, labels): return set(predictions) == {"London"}
def sevens(predictions, labels): return bool((predictions == 7).all())
def spreads(predictions, labels): raise ValueError(predictions)
def picky(predictions, labels):
    assert (predictions < 2).all(), predictions
    return 1.0

class Scores(torch.nn.Module):
    def __init__(self, classes): super().__init__()

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


@pytest.mark.parametrize("measure", ["error", "error_of_numpy"])
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
    assert finding.says.startswith(f"The {measure.replace('_', ' ')} on 40 withheld inputs is ")


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


def test_a_mistake_is_recognised_by_what_calls_gave(ask: Asker) -> None:
    mistake = {"reference": "sevens", "says": "These are all sevens.", "credit": 0.5}
    asked = ask("metric", "predict", data="signs", credit=CREDIT, mistakes=[mistake])
    assert asked.problems == []
    assert said(asked.judge(predict=lambda inputs: torch.full((len(inputs),), 7))) == (
        0.5,
        "These are all sevens.",
    )


def test_sentences_are_given_one_a_call(ask: Asker) -> None:
    settings: dict[str, Any] = {"data": "sentences", "measure": "share_right"}
    asked = ask("metric", "predict", each=True, credit=CREDIT, **settings)

    def predict(sentence: str) -> float:
        return 0.9 if "good" in sentence else 0.2

    right = (1.0, "The share right on 4 withheld inputs is 1.")
    assert said(asked.judge(predict=predict)) == right
    assert said(asked.judge(predict=lambda s: torch.tensor([predict(s)]))) == right
    none = said(asked.judge(predict=lambda s: None))
    assert none == (0.0, "predict returns None.")
    words = said(asked.judge(predict=lambda s: s))
    assert words == (0.0, "Expected numbers as predictions, found texts.")
    lists = said(asked.judge(predict=lambda s: [1, 2]))
    assert lists == (0.0, "Expected one prediction an input, found a list.")
    batched = ask("metric", "predict", batch=3, credit=CREDIT, **settings)
    assert said(batched.judge(predict=lambda s: [predict(one) for one in s])) == right
    few = said(batched.judge(predict=lambda s: [predict(s[0])]))
    says = "Expected one prediction an input, found a list for a batch of 3."
    assert few == (0.0, says)


LONDON = {"reference": "all_london", "says": "London is not learnt.", "credit": 0.1}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            ["Rome", " London\n", "Paris", "London"],
            (1.0, "The accuracy on 4 withheld inputs is 1."),
        ),
        (
            ["Rome", "London", "Paris", "Oslo"],
            (0.5, "The accuracy on 4 withheld inputs is 0.75; full credit from 1 on."),
        ),
        (["London"] * 4, (0.1, "London is not learnt.")),
        (["London"] * 3, (0.0, "Expected 4 predictions, found 3.")),
        ([1, 2, 3, 4], (0.0, "Expected texts as predictions, found numbers.")),
        ("London", (0.0, "Expected a list of predictions, found text.")),
        ([], (0.0, "places_found is still empty.")),
        ([None], (0.0, "Expected a list of predictions, found a list.")),
        (None, (0.0, "places_found is still None.")),
    ],
)
def test_predictions_that_are_there_already(
    ask: Asker, given: Any, expected: tuple[float, str]
) -> None:
    asked = ask("metric", "places_found", data="places", credit=CREDIT, mistakes=[LONDON])
    assert asked.problems == []
    assert said(asked.judge(places_found=given)) == expected


@pytest.mark.parametrize("given", [[3, 1, 4, 1], torch.tensor([3, 1, 4, 1]), (3.0, 1.0, 4.0, 1.0)])
def test_captured_numbers_are_compared_with_labels(ask: Asker, given: Any) -> None:
    mistakes = [
        {"reference": "spreads", "says": "Never."},
        {"reference": "sevens", "says": "Sevens.", "credit": 0.25},
    ]
    asked = ask("metric", "found", data="digits", credit=CREDIT, mistakes=mistakes)
    assert said(asked.judge(found=given)) == (1.0, "The accuracy on 4 withheld inputs is 1.")
    assert said(asked.judge(found=[7, 7, 7, 7])) == (0.25, "Sevens.")


def test_predictions_that_a_measure_cannot_take_are_not_our_fault(ask: Asker) -> None:
    asked = ask("metric", "predict", data="signs", measure="picky", credit=CREDIT)
    wrong = found(asked.judge(predict=lambda inputs: right(inputs) + 5))
    assert (wrong.credit, wrong.says) == (0.0, "The predictions cannot be measured.")
    broken = ask("metric", "predict", data="digits", measure="picky", credit=CREDIT)
    with pytest.raises(ReferenceFault):
        broken.judge(predict=[5, 5, 5, 5])


def test_a_list_of_inputs_needs_as_many_labels(ask: Asker) -> None:
    listed = ask("metric", "predict", data="listed", credit=CREDIT)
    assert said(listed.judge(predict=lambda rows: [sum(row) for row in rows]))[0] == 1.0
    for data in ("unequal", "mixed"):
        with pytest.raises(ReferenceFault, match=f"expected {data} to give"):
            _ = ask("metric", "predict", data=data, credit=CREDIT).requests


class Scores(torch.nn.Module):
    """Scores for whether the sum is above zero."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(3, classes, bias=False)

    def forward(self, inputs: torch.Tensor) -> Any:
        return self.linear(inputs)


@pytest.fixture
def handed_in(
    ask: Asker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[dict[str, torch.Tensor]], Asked]:
    monkeypatch.setattr(predicting, "FOLDER", tmp_path)

    def hand_in(weights: dict[str, torch.Tensor]) -> Asked:
        if weights:
            save_file(weights, tmp_path / "weights.safetensors")
        given: dict[str, Any] = {"build": {"classes": 2}, "weights": "weights.safetensors"}
        return ask("metric", "Scores", data="signs", credit=CREDIT, batch=16, **given)

    return hand_in


ABOVE = {"linear.weight": torch.tensor([[-1.0, -1, -1], [1, 1, 1]])}


@pytest.mark.parametrize(
    ("weights", "given", "expected"),
    [
        (ABOVE, Scores, (1.0, "The accuracy on 40 withheld inputs is 1.")),
        ({}, Scores, (0.0, "weights.safetensors was not handed in.")),
        (
            {"linear.weight": torch.ones(3, 3)},
            Scores,
            (0.0, "weights.safetensors does not fit Scores(classes=2)."),
        ),
        (ABOVE, raiser("Own"), (0.0, "Scores(classes=2) raised an exception.")),
        (ABOVE, lambda classes: 5, (0.0, "Loading weights.safetensors raised AttributeError.")),
    ],
    ids=["right", "no file", "another shape", "build raises", "no model"],
)
def test_a_model_with_handed_in_weights(
    handed_in: Any, weights: Any, given: Any, expected: tuple[float, str]
) -> None:
    assert said(handed_in(weights).judge(Scores=given)) == expected


def test_settings_of_a_metric_that_make_no_sense(ask: Asker) -> None:
    alone = ask("metric", "f", data="signs", credit=CREDIT, weights="a.safetensors")
    says = "expected build too: the arguments of the class to be loaded"
    assert alone.problems == [(("weights",), says)]
    with pytest.raises(ValueError, match="weights"):
        ask("metric", "f", data="signs", credit=CREDIT, build={}, weights="../a.safetensors")


@pytest.mark.parametrize(
    "settings",
    [
        {"data": "signs"},
        {"data": "signs", "each": True},
        {"data": "listed"},
        {"data": "places"},
        {"data": "digits"},
        {"data": "signs", "build": {"classes": 2}},
    ],
)
def test_the_labels_themselves_earn_everything(ask: Asker, settings: dict[str, Any]) -> None:
    asked = ask("metric", "Scores", credit=CREDIT, **settings)
    answers = asked.kind.answers(asked.params, asked.requests, asked.context, "1/1")
    assert answers is not None
    assert found(asked.judge_replies(value=ok(answers["value"]))).credit == 1.0


def test_what_is_released_of_sentences_is_blank(ask: Asker) -> None:
    settings: dict[str, Any] = {"data": "sentences", "each": True, "measure": "share_right"}
    asked = ask("metric", "predict", credit=CREDIT, **settings)
    told = asked.kind.release(asked.params, asked.context, "1/1").requests["value"]
    assert (told["inputs"], told["batch"]) == ({"inputs": ["a few words"] * 4}, 0)
