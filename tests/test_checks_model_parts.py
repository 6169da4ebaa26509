"""`model`: what is looked at beside outputs and gradients, part by part."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from asking import Asked, Asker, found, ok, said
from torch import nn

from grader.checks.model_parts import wrong_parameters
from grader.checks.model_reply import Reply
from grader.errors import ReferenceFault
from grader.evidence import Raised
from grader.values import Tensor

REFERENCE = """\
import torch
from torch import nn

class Mixer(nn.Module):
    def __init__(self, d, drop=0.0):
        super().__init__()
        self.embed = nn.Embedding(9, d)
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(d, d, bias=False), nn.Dropout(drop))])
        self.norm = nn.LayerNorm(d)
    def mixed(self, x): return x.cumsum(1)
    def forward(self, idx):
        return self.norm(self.blocks[0](self.mixed(self.embed(idx)) + 0.5))

class Set(Mixer):
    def forward(self, idx): return super().forward(idx).sum(1)

class Each(Mixer):
    def mixed(self, x): return x

class Wide(Mixer):
    def __init__(self, d): super().__init__(2 * d)

class Packs(nn.Module):
    def forward(self, lengths):
        assert min(lengths) > 0
        return torch.ones(len(lengths))

class Refuses(nn.Module):
    def forward(self, lengths):
        assert lengths == [5, 3]
        return torch.ones(2)

def sevens(seed): return torch.tensor([[7, 7]])
def has_shape(outputs, inputs): return outputs[0].shape[:2] == inputs[0]["idx"].shape
def has_norm(parameters): return "norm.weight" in parameters or "There is no norm."
def is_two(count): return count == 2
def raises(outputs): return outputs[5]
def needs_tensor(outputs): return bool(outputs[0].mean() < 100)
def says_nothing(outputs): return 5
"""
BUILD = {"d": 4}
INPUTS = [{"idx": "integers(0, 9, 3, 6)"}, {"idx": "integers(0, 9, 1, 1)"}]


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Asker]:
    asker = Asker(tmp_path, REFERENCE)
    yield asker
    asker.context.symbolic.close()


class Mixer(nn.Module):
    """A student's right answer, in a layout of their own."""

    def __init__(self, d: int, drop: float = 0.0) -> None:
        super().__init__()
        self.words = nn.Embedding(9, d)
        self.linear = nn.Linear(d, d, bias=False)
        self.drop = nn.Dropout(drop)

    def mixed(self, x: torch.Tensor) -> torch.Tensor:
        return x.cumsum(1)

    def forward(self, idx: torch.Tensor) -> Any:
        return self.drop(self.linear(self.mixed(self.words(idx)) + 0.5))


class Looks(Mixer):
    def mixed(self, x: torch.Tensor) -> torch.Tensor:
        return x + x.sum(1, keepdim=True)


class Peeks(Mixer):
    def mixed(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.cat([x[:, 1:], x[:, :1]], 1)


class Batched(Mixer):
    def mixed(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(0)


class Each(Mixer):
    def mixed(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Summed(Each):
    def forward(self, idx: torch.Tensor) -> Any:
        return super().forward(idx).sum(1)


class Random(Mixer):
    def mixed(self, x: torch.Tensor) -> torch.Tensor:
        return x.cumsum(1) + torch.randn_like(x)


class Flat(Mixer):
    def forward(self, idx: torch.Tensor) -> Any:
        return super().forward(idx).sum()


class Falls(Mixer):
    def forward(self, idx: torch.Tensor) -> Any:
        raise ValueError(f"idx was {idx}")


def behaves(ask: Asker, **settings: Any) -> Asked:
    """A check that compares nothing."""
    return ask("model", "Mixer", **{"build": BUILD, "inputs": INPUTS, "compare": []} | settings)


@pytest.mark.parametrize(
    ("part", "given", "expected"),
    [
        ({"causal": "idx"}, Mixer, (1.0, "A later token changes no earlier output.")),
        (
            {"causal": "idx"},
            Looks,
            (0.0, "Changing a later token changes an earlier output."),
        ),
        (
            {"causal": "idx"},
            Peeks,
            (0.0, "Changing a later token changes an earlier output."),
        ),
        ({"causal": "idx"}, Flat, (0.0, "No output has a place for each token.")),
        ({"batch": True}, Mixer, (1.0, "Items of a batch do not mix.")),
        (
            {"batch": True},
            Batched,
            (0.0, "The output for one item depends on the others of its batch."),
        ),
        ({"batch": True}, Flat, (0.0, "No output has an item for each of the batch.")),
        ({"permutes": "idx"}, Looks, (1.0, "The outputs follow the order of the input.")),
        (
            {"permutes": "idx"},
            Mixer,
            (0.0, "When idx is put in another order, the outputs do not follow it."),
        ),
        ({"ignores_order": "idx"}, Summed, (1.0, "The order of the input does not matter.")),
        (
            {"ignores_order": "idx"},
            Looks,
            (0.0, "When idx is put in another order, the outputs change."),
        ),
        ({"deterministic": True}, Mixer, (1.0, "Evaluation is deterministic.")),
        (
            {"deterministic": True},
            Random,
            (0.0, "In evaluation mode the same input gives different outputs."),
        ),
        (
            {"dropout": True},
            Mixer,
            (
                0.0,
                "In training mode the same input always gives the same output: is there dropout?",
            ),
        ),
        (
            {"dropout": True, "build": {"d": 4, "drop": 0.5}},
            Mixer,
            (1.0, "Training uses dropout."),
        ),
        ({"causal": "idx"}, Falls, (0.0, "The forward pass raised ValueError.")),
    ],
)
def test_what_outputs_depend_on(
    ask: Asker, part: dict[str, Any], given: Any, expected: tuple[float, str]
) -> None:
    assert said(behaves(ask, **part).judge(Mixer=given)) == expected


def test_a_random_model_is_told_that_it_is_random_first(ask: Asker) -> None:
    asked = behaves(ask, batch=True, causal="idx", deterministic=True)
    says = "In evaluation mode the same input gives different outputs."
    assert said(asked.judge(Mixer=Random)) == (0.0, says)


def test_the_place_where_an_output_changed_is_for_staff(ask: Asker) -> None:
    finding = found(behaves(ask, causal="idx").judge(Mixer=Looks))
    assert finding.detail.startswith("Input 1, changed at 3: ")
    assert "largest error" in finding.detail


def test_changed_inputs_stay_in_range_and_differ_everywhere(ask: Asker) -> None:
    asked = behaves(ask, causal="idx", batch=True, permutes="idx")
    request = asked.requests["model"]
    base = request["inputs"][0]["idx"].array
    later, last, first_kept, last_kept, moved = (one["idx"].array for one in request["again"])
    assert (later[:, :3] == base[:, :3]).all()
    assert (later[:, 3:] != base[:, 3:]).all()
    assert ((last != base).sum(1) == 1).all()
    assert [(first_kept == base).all(1).tolist(), (last_kept == base).all(1).tolist()] == [
        [True, False, False],
        [False, False, True],
    ]
    assert (moved != base).any()
    assert sorted(map(tuple, moved.T)) == sorted(map(tuple, base.T))
    changed = [array for array in (later, last, first_kept, last_kept)]
    assert all(set(array.ravel()) <= set(base.ravel()) for array in changed)
    assert asked.requests == asked.requests


@pytest.mark.parametrize(
    ("part", "needs"),
    [
        ({"causal": "idx"}, "causal: expected an input with at least two places in dimension 1"),
        ({"batch": True}, "batch: expected an input with at least two items"),
    ],
)
def test_inputs_too_small_to_change_are_a_fault_of_ours(
    ask: Asker, part: dict[str, Any], needs: str
) -> None:
    with pytest.raises(ReferenceFault, match=needs):
        _ = behaves(ask, inputs=INPUTS[1:], **part).requests


HAS = {"*": "Embedding(embedding_dim=4)", "linear": "nn.Linear(bias=False)", "drop": "Dropout"}


@pytest.mark.parametrize(
    ("has", "expected"),
    [
        (HAS, (1.0, "The layers are as asked.")),
        ({"norm": "LayerNorm"}, (0.0, "There is no layer norm.")),
        ({"drop": "Linear"}, (0.0, "The layer drop is no Linear.")),
        (
            {"drop": "Dropout(p=0.1)"},
            (0.0, "The layer drop is a Dropout with another p than asked."),
        ),
        (
            {"linear": "Linear(bias=True)"},
            (0.0, "The layer linear is a Linear with another bias than asked."),
        ),
        ({"*.*": "Linear"}, (0.0, "There is no layer *.*.")),
    ],
)
def test_layers_by_path(ask: Asker, has: dict[str, str], expected: tuple[float, str]) -> None:
    assert said(behaves(ask, has=has, inputs=[]).judge(Mixer=Mixer)) == expected


def test_a_layer_of_a_class_of_their_own_is_what_that_is_derived_from(ask: Asker) -> None:
    class Own(nn.Linear):
        pass

    class Derived(Mixer):
        def __init__(self, d: int) -> None:
            super().__init__(d)
            self.linear = Own(d, d)
            self.norms = nn.ModuleList([nn.LayerNorm(d), nn.LayerNorm(2 * d)])

    has = {"linear": "Linear", "norms.*": "LayerNorm(normalized_shape=8)"}
    assert said(behaves(ask, has=has).judge(Mixer=Derived)) == (1.0, "The layers are as asked.")
    wrong = found(behaves(ask, has={"linear": "Embedding"}).judge(Mixer=Derived))
    assert (wrong.says, wrong.detail) == (
        "The layer linear is no Embedding.",
        "Found linear: Own.",
    )


@pytest.mark.parametrize(
    ("holds", "expected"),
    [
        ("has_shape", (1.0, "The outputs are as asked.")),
        ("has_norm", (0.0, "There is no norm.")),
        ("is_two", (0.0, "The outputs are not as asked.")),
    ],
)
def test_a_predicate_takes_what_it_names(
    ask: Asker, holds: str, expected: tuple[float, str]
) -> None:
    assert said(behaves(ask, holds=holds).judge(Mixer=Mixer)) == expected


def test_a_predicate_that_raises_is_our_fault_only_if_the_reference_makes_it(ask: Asker) -> None:
    class Texts(Mixer):
        def forward(self, idx: torch.Tensor) -> Any:
            return "text"

    wrong = found(behaves(ask, holds="needs_tensor").judge(Mixer=Texts))
    assert (wrong.credit, wrong.says) == (0.0, "The outputs are not such as can be looked at.")
    for broken in ("raises", "says_nothing"):
        with pytest.raises(ReferenceFault):
            behaves(ask, holds=broken).judge(Mixer=Mixer)


def test_each_part_earns_its_share_if_the_rubric_says_so(ask: Asker) -> None:
    settings = {"compare": ["shapes"], "causal": "idx", "batch": True, "has": HAS}
    half = behaves(ask, credit="per_part", **settings)
    assert said(half.judge(Mixer=Mixer))[0] == 1.0
    assert said(half.judge(Mixer=Looks)) == (
        0.75,
        "3 of 4 parts are right. Changing a later token changes an earlier output.",
    )
    assert said(behaves(ask, **settings).judge(Mixer=Looks))[0] == 0.0
    layers = found(half.judge(Mixer=lambda d: Mixer(d + 1)))
    assert layers.credit == pytest.approx((0 + 2 / 3 + 1 + 1) / 4)
    assert layers.says.startswith("2 of 4 parts are wholly right, 1 in part. The output shapes ")


def test_what_needs_no_forward_pass_is_right_though_that_raises(ask: Asker) -> None:
    settings = {"compare": ["shapes"], "has": {"linear": "Linear"}, "credit": "per_part"}
    judged = behaves(ask, **settings).judge(Mixer=Falls)
    assert said(judged) == (0.5, "1 of 2 parts are right. The forward pass raised ValueError.")


def test_shapes_alone_leave_layout_and_numbers_free(ask: Asker) -> None:
    shapes = behaves(ask, compare=["shapes"])
    assert shapes.requests["model"]["weights"] is None
    assert said(shapes.judge(Mixer=Mixer)) == (1.0, "The output shapes agree.")
    assert said(shapes.judge(Mixer=lambda d: Mixer(5))) == (
        0.0,
        "The output shapes differ: expected a tensor of shape (3, 6, 4), "
        "found a tensor of shape (3, 6, 5).",
    )

    class Pair(Mixer):
        def forward(self, idx: torch.Tensor) -> Any:
            return super().forward(idx), None

    says = (
        "The output shapes differ: expected a tensor of shape (3, 6, 4), found a tuple of 2 items."
    )
    assert said(shapes.judge(Mixer=Pair)) == (0.0, says)


@pytest.mark.parametrize(
    ("band", "expected"),
    [
        ({"at_least": 50, "at_most": 60}, (1.0, "The number of parameters is plausible.")),
        ({"at_least": 53}, (0.0, "The model has 52 parameters, fewer than is plausible.")),
        ({"at_most": 51}, (0.0, "The model has 52 parameters, more than is plausible.")),
    ],
)
def test_a_band_for_the_number_of_parameters(
    ask: Asker, band: dict[str, int], expected: tuple[float, str]
) -> None:
    assert said(behaves(ask, count=band, inputs=[]).judge(Mixer=Mixer)) == expected


RENAMES = [{"wte": "embed"}, {"words": "embed", "linear": "blocks.0.0", "ln": "norm"}]


class Named(nn.Module):
    def __init__(self, d: int) -> None:
        super().__init__()
        self.words = nn.Embedding(9, d)
        self.linear = nn.Linear(d, d, bias=False)
        self.ln = nn.LayerNorm(d)
        self.head = nn.Linear(d, 9, bias=False)
        self.head.weight = self.words.weight

    def forward(self, idx: torch.Tensor) -> Any:
        return self.ln(self.linear(self.words(idx).cumsum(1) + 0.5))


def test_parameters_are_compared_after_one_of_several_renames(ask: Asker) -> None:
    asked = behaves(ask, compare=["parameters"], rename=RENAMES, inputs=[])
    assert said(asked.judge(Mixer=Named)) == (1.0, "The parameters agree.")
    assert said(asked.judge(Mixer=Mixer)) == (
        0.0,
        "The parameters differ: expected a parameter norm.weight of shape (4,), found none of it.",
    )
    plain = behaves(ask, compare=["parameters"], inputs=[])
    assert found(plain.judge(Mixer=Named)).detail.startswith("Found words.weight (9, 4), ")


def test_parameters_too_many_are_counted_and_earn_by_their_names(ask: Asker) -> None:
    class More(Named):
        def __init__(self, d: int) -> None:
            super().__init__(d)
            self.more = nn.Parameter(torch.ones(2))

    settings = {"compare": ["parameters"], "rename": RENAMES, "credit": "per_part"}
    judged = behaves(ask, **settings, inputs=[]).judge(Mixer=More)
    assert said(judged) == (0.8, "The parameters differ: expected 4 of them, found 5.")


def test_thousands_of_names_take_no_time(ask: Asker) -> None:
    shapes: dict[str, tuple[int, ...]] = {
        f"blocks.{number}.weight": (2,) for number in range(20_000)
    }
    reply = Reply(
        parameters=shapes,
        aliases={f"again.{name}": name for name in shapes},
        count=40_000,
        modules={},
        loaded="",
        outputs=[],
        again=[],
        training=[],
        gradients=None,
        stage="",
        raised=Raised(ename="", evalue=""),
    )
    ours = {f"layers.{number}.weight": [2] for number in range(20_000)}
    asked = behaves(ask, compare=["parameters"], rename={"blocks": "layers"}, inputs=[])
    began = time.monotonic()
    assert wrong_parameters(asked.params, reply, {"parameters": ours}) is None
    assert time.monotonic() - began < 5


def test_outputs_agree_under_weights_that_one_of_several_renames_places(ask: Asker) -> None:
    asked = behaves(ask, compare=["outputs", "gradients"], rename=RENAMES)
    says = "The outputs and gradients agree (weights loaded by rename)."
    assert said(asked.judge(Mixer=Named)) == (1.0, says)


def test_weights_are_loaded_in_order_where_all_shapes_follow_ours(ask: Asker) -> None:
    class Ordered(Named):
        def __init__(self, d: int) -> None:
            nn.Module.__init__(self)
            self.words = nn.Embedding(9, d)
            self.linear = nn.Linear(d, d, bias=False)
            self.ln = nn.LayerNorm(d)

    class Unscaled(Ordered):
        def forward(self, idx: torch.Tensor) -> Any:
            return 2 * super().forward(idx)

    so = "(weights loaded by order and shape, for the names are not those asked for)"
    asked = behaves(ask, compare=["outputs"])
    assert said(asked.judge(Mixer=Ordered)) == (1.0, f"The outputs agree {so}.")
    wrong = found(asked.judge(Mixer=Unscaled))
    assert wrong.says.startswith(f"The outputs differ {so}: ")


def test_a_known_mistake_is_recognised_by_its_parameters(ask: Asker) -> None:
    class Wide(Named):
        def __init__(self, d: int) -> None:
            super().__init__(2 * d)

    mistakes = [{"reference": "Wide", "says": "Twice as wide.", "credit": 0.25}]
    asked = behaves(
        ask, compare=["parameters"], rename=RENAMES, mistakes=mistakes, has={"norm": "Linear"}
    )
    assert said(asked.judge(Mixer=Wide)) == (0.25, "Twice as wide.")
    assert found(asked.judge(Mixer=Named)).says == "There is no layer norm."


def test_one_of_several_right_references_is_enough(ask: Asker) -> None:
    asked = behaves(ask, compare=["outputs"], also=["Each"], rename=RENAMES)

    class Single(Named):
        def forward(self, idx: torch.Tensor) -> Any:
            return self.ln(self.linear(self.words(idx) + 0.5))

    assert found(asked.judge(Mixer=Single)).credit == 1.0
    assert found(asked.judge(Mixer=Named)).credit == 1.0
    alone = behaves(ask, compare=["outputs"], rename=RENAMES)
    assert found(alone.judge(Mixer=Single)).credit == 0.0


def test_constants_replace_drawn_weights_and_are_loaded_for_their_own_sake(ask: Asker) -> None:
    asked = behaves(ask, weights={"norm.weight": 0, "norm.bias": 7.5}, holds="has_shape")
    weights = asked.requests["model"]["weights"]
    assert weights["norm.bias"] == Tensor(weights["norm.bias"].array * 0 + 7.5, "float32", "torch")
    assert not weights["norm.weight"].array.any()
    assert found(asked.judge(Mixer=Mixer)).says.startswith("The weights do not fit: ")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"causal": "x"}, (("causal",), "expected a name of the inputs, found 'x'")),
        ({"holds": "nothing"}, (("holds",), "")),
        ({"also": ["Mixr"], "batch": True}, (("also", 0), "")),
        (
            {"has": {"a": "f(1)"}},
            (("has", "a"), "expected a layer such as Linear or Dropout(p=0.1), found 'f(1)'"),
        ),
        (
            {"weights": {"norm.wait": 1}, "batch": True},
            (("weights", "norm.wait"), "expected a parameter of Mixer, found 'norm.wait'"),
        ),
        (
            {"shake": 0.1, "compare": ["outputs"]},
            (
                ("shake",),
                "expected no weights to be loaded: drawn weights are shaken already",
            ),
        ),
        (
            {"loss": 1, "batch": True},
            (("loss",), "expected gradients to be compared, which it is the loss of"),
        ),
        (
            {"mistakes": [{"reference": "Each", "says": "k"}], "batch": True},
            (
                ("mistakes",),
                "expected something to compare, by which a mistake is recognised",
            ),
        ),
        (
            {"item": 0, "compare": ["gradients"]},
            (
                ("item",),
                "expected gradients not to be compared: they are of all that is returned",
            ),
        ),
        (
            {"batch": True, "inputs": []},
            (("inputs",), "expected inputs, without which outputs cannot be looked at"),
        ),
    ],
)
def test_what_makes_no_sense_is_found_in_the_rubric(
    ask: Asker, settings: dict[str, Any], expected: tuple[Any, str]
) -> None:
    (place, says), *others = behaves(ask, **settings).problems
    assert (place, others) == (expected[0], [])
    assert says.startswith(expected[1] or "expected a name of reference.py")


def test_what_is_released_holds_no_changed_input_and_no_free_layout(ask: Asker) -> None:
    asked = behaves(ask, compare=["shapes"], causal="idx", dropout=True, has=HAS)
    told = asked.kind.release(asked.params, asked.context, "1/1")
    request = told.requests["model"]
    assert [request[part] for part in ("again", "training", "layers")] == [[], [], False]
    assert (told.shapes, told.parameters) == (((3, 6, 4), (1, 1, 4)), {})
    assert told.params == {"of": "Mixer", "build": BUILD, "method": None}


def test_what_a_rubric_writes_out_is_released_as_blanks(ask: Asker) -> None:
    inputs = [
        {"idx": "tensor([[1, 2], [3, 4]])"},
        {"idx": "reference('sevens')"},
        {"idx": "integers(5, 9, 2, 3)"},
    ]
    asked = behaves(ask, compare=["shapes"], inputs=inputs)
    told = asked.kind.release(asked.params, asked.context, "1/1")
    first, second, third = (given["idx"].array for given in told.requests["model"]["inputs"])
    assert (first.tolist(), second.tolist()) == ([[0, 0], [0, 0]], [[0, 0]])
    assert third.min() >= 5
    assert third.tolist() != asked.requests["model"]["inputs"][2]["idx"].array.tolist()
    assert told.shapes == ((2, 2, 4), (1, 2, 4), (2, 3, 4))


@pytest.mark.parametrize(
    ("of", "inputs", "shapes"),
    [("Packs", [{"lengths": [1, 1]}], ((2,),)), ("Refuses", [], ())],
)
def test_blanks_are_such_as_the_reference_can_take(
    ask: Asker, of: str, inputs: list[Any], shapes: Any
) -> None:
    asked = ask("model", of, inputs=[{"lengths": [5, 3]}], compare=["shapes"])
    told = asked.kind.release(asked.params, asked.context, "1/1")
    assert (told.requests["model"]["inputs"], told.shapes) == (inputs, shapes)


def test_every_part_is_right_for_the_reference_itself(ask: Asker) -> None:
    settings: dict[str, Any] = {"causal": "idx", "batch": True, "deterministic": True}
    settings |= {"build": {"d": 4, "drop": 0.5}, "dropout": True, "holds": "has_shape"}
    settings |= {"has": {"blocks.0.0": "Linear"}, "count": {"at_least": 1}}
    asked = behaves(ask, compare=["parameters", "shapes", "outputs", "gradients"], **settings)
    given = asked.kind.answers(asked.params, asked.requests, asked.context, "1/1")
    assert given is not None
    assert said(asked.judge_replies(model=ok(given["model"]))) == (
        1.0,
        "The parameters, output shapes, outputs and gradients agree; "
        "the number of parameters is plausible; the layers are as asked; "
        "evaluation is deterministic; a later token changes no earlier output; "
        "items of a batch do not mix; training uses dropout; the outputs are as asked.",
    )
