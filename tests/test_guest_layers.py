"""What the guest tells of a model's layers, of changed inputs, and of handed-in weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from guest_driver import Put, ask, capture, run_guest, tensor
from safetensors.torch import save, save_file
from torch import nn

from grader.guest import predicting
from grader.values import Made, Value


@pytest.fixture
def put(tmp_path: Path) -> Put:
    return Put(tmp_path)


class Net(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width, self.scale, self.names = width, 0.5, ("a", "b")
        self._hidden, self.act = 3, torch.relu
        self.blocks = nn.ModuleList([nn.Conv2d(1, width, 3, bias=False), nn.Dropout(0.5)])
        self.bn = nn.BatchNorm1d(width)

    def forward(self, x: torch.Tensor) -> Any:
        return self.bn(x) + self.blocks[1](torch.ones_like(x))

    def twice(self, x: torch.Tensor) -> Any:
        return 2 * x


X = torch.arange(6.0).reshape(2, 3)


def look(**changes: Any) -> dict[str, Value]:
    """A request for the model operation that loads nothing."""
    request: dict[str, Value] = {
        "op": "model",
        "name": "Net",
        "build": {"width": 3},
        "weights": None,
        "statistics": {},
        "rename": [],
        "shake": 0.0,
        "method": "",
        "mode": "eval",
        "inputs": [{"x": tensor(X)}],
        "again": [],
        "training": [],
        "gradients": False,
        "loss": None,
        "layers": False,
        "seed": 5,
    }
    return request | changes


def test_layers_are_told_as_names_and_plain_attributes(put: Put) -> None:
    seen = put({"Net": Net}, look(layers=True))["modules"]
    assert list(seen) == ["", "blocks", "blocks.0", "blocks.1", "bn"]
    assert seen[""] == {"classes": ["Net"], "attributes": {"width": 3, "scale": 0.5}}
    assert seen["blocks.1"] == {
        "classes": ["Dropout", "_DropoutNd"],
        "attributes": {"p": 0.5, "inplace": False},
    }
    assert seen["bn"]["classes"] == ["BatchNorm1d", "_BatchNorm", "_NormBase"]
    assert seen["bn"]["attributes"]["momentum"] == 0.1
    conv = seen["blocks.0"]["attributes"]
    assert (conv["kernel_size"], conv["bias"], conv["weight"]) == ((3, 3), False, True)
    assert put({"Net": Net}, look())["modules"] == {}


def test_long_and_many_attributes_are_left_out(put: Put) -> None:
    class Talks(Net):
        def __init__(self, width: int) -> None:
            super().__init__(width)
            self.text, self.number, self.row = "x" * 201, 2**64, (1,) * 17
            for at in range(100):
                setattr(self, f"a{at}", at)

    attributes = put({"Net": Talks}, look(layers=True))["modules"][""]["attributes"]
    assert {"text", "number", "row"} & set(attributes) == set()
    assert len(attributes) == 64


def test_further_names_of_a_parameter_are_told(put: Put) -> None:
    class Tied(Net):
        def __init__(self, width: int) -> None:
            super().__init__(width)
            self.other = nn.BatchNorm1d(width)
            self.other.weight = self.bn.weight

    seen = put({"Net": Tied}, look())
    assert seen["aliases"] == {"other.weight": "bn.weight"}
    assert "other.weight" not in seen["parameters"]


def test_again_runs_in_the_asked_mode_and_training_in_its_own(put: Put) -> None:
    given = {"x": tensor(X)}
    seen = put({"Net": Net}, look(again=[given, given], training=[given, given]))
    base, (one, other) = seen["outputs"][0], seen["again"]
    assert one == other == base
    assert seen["training"][0] != seen["training"][1]
    np.testing.assert_allclose(base.array, X / np.sqrt(1 + 1e-5) + 1, rtol=1e-6)
    trained = put({"Net": Net}, look(mode="train", again=[given]))
    assert trained["outputs"][0] != trained["again"][0]


def test_gradients_are_not_disturbed_by_passes_in_training_mode(put: Put) -> None:
    given = {"x": tensor(X)}
    plain = put({"Net": Net}, look(gradients=True))
    seen = put({"Net": Net}, look(gradients=True, again=[given], training=[given]))
    assert seen["error"] is None
    assert seen["gradients"] == plain["gradients"]


@pytest.mark.parametrize(
    ("changes", "stage"),
    [
        ({"method": "sample"}, "method"),
        ({"again": [{"x": tensor([[1.0]])}]}, "again"),
        ({"training": [{"x": tensor(X[:1])}]}, "train"),
        ({"gradients": True, "loss": 7}, "backward"),
    ],
)
def test_the_stage_of_a_failure_keeps_what_came_before(
    put: Put, changes: dict[str, Any], stage: str
) -> None:
    seen = put({"Net": Net}, look(**changes))
    assert seen["error"]["stage"] == stage
    assert len(seen["outputs"]) == (stage != "method")


def test_a_method_is_called_in_place_of_the_forward_pass(put: Put) -> None:
    (output,) = put({"Net": Net}, look(method="twice"))["outputs"]
    np.testing.assert_array_equal(output.array, 2 * X)


def test_the_gradients_are_those_of_the_loss_at_its_place(put: Put) -> None:
    class Loss(Net):
        def forward(self, x: torch.Tensor) -> Any:
            return x, None if len(x) == 1 else self.bn(x).square().mean()

    inputs = [{"x": tensor(X)}, {"x": tensor(X[:1])}]
    seen = put({"Net": Loss}, look(gradients=True, loss=1, inputs=inputs))
    net = Loss(3).eval()
    net(X)[1].backward()
    assert net.bn.weight.grad is not None
    np.testing.assert_allclose(seen["gradients"]["bn.weight"].array, net.bn.weight.grad, rtol=1e-5)


def test_noise_moves_what_starts_at_zero_alike_each_time(put: Put) -> None:
    class Zero(Net):
        def forward(self, x: torch.Tensor) -> Any:
            return self.bn.bias + 0 * x

    (still,) = put({"Net": Zero}, look())["outputs"]
    (moved,) = put({"Net": Zero}, look(shake=0.5))["outputs"]
    assert not still.array.any()
    assert moved.array.all()
    assert put({"Net": Zero}, look(shake=0.5))["outputs"] == [moved]


def test_a_model_is_made_of_their_own_objects(put: Put) -> None:
    class Config:
        def __init__(self, width: int) -> None:
            self.width = width

    def build(config: Any) -> nn.Module:
        return nn.Linear(config.width, 1)

    namespace = {"Net": build, "Config": Config}
    made = {"config": Made("Config", {"width": 7})}
    seen = put(namespace, look(build=made, inputs=[]))
    assert seen["parameters"] == {"weight": [1, 7], "bias": [1]}
    assert put({"Net": build}, look(build=made)) == ("missing", "NameError: Config")


STATISTICS = {
    "norm.running_mean": torch.full((3,), 2.0),
    "norm.running_var": torch.full((3,), 4.0),
}
WEIGHTS = {"norm.weight": torch.ones(3), "norm.bias": torch.zeros(3)}


class Norm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(width, eps=0)

    def forward(self, x: torch.Tensor) -> Any:
        return self.bn(x)


def sent(tensors: dict[str, torch.Tensor]) -> dict[str, Value]:
    return {name: tensor(held) for name, held in tensors.items()}


@pytest.mark.parametrize("rename", [[], [{"other": "norm"}, {"bn": "norm"}]])
def test_statistics_follow_the_weights_of_their_layer(
    put: Put, rename: list[dict[str, str]]
) -> None:
    given: dict[str, Any] = {"weights": sent(WEIGHTS), "statistics": sent(STATISTICS)}
    seen = put({"Net": Norm}, look(**given, rename=rename))
    assert seen["loaded"] == ("by rename" if rename else "by order")
    np.testing.assert_allclose(seen["outputs"][0].array, (X - 2) / 2, rtol=1e-6)


def test_statistics_that_theirs_does_not_keep_are_left_out(put: Put) -> None:
    def build(width: int) -> nn.Module:
        return nn.ModuleDict({"norm": nn.BatchNorm1d(width, track_running_stats=False)})

    given: dict[str, Any] = {"weights": sent(WEIGHTS), "statistics": sent(STATISTICS)}
    seen = put({"Net": build}, look(**given, inputs=[]))
    assert (seen["loaded"], seen["error"]) == ("by name", None)


def test_parameters_of_what_the_run_left_are_counted(put: Put) -> None:
    frozen = Norm(5)
    frozen.bn.weight.requires_grad_(False)
    namespace = {"Norm": Norm, "one": frozen, "two": Norm(2), "other": nn.Linear(1, 1)}
    asked: dict[str, Value] = {"op": "counts", "name": "Norm"}
    assert put(namespace, asked) == {"found": [[10, 5], [4, 4]], "others": [[2, 2]]}
    other = {"found": [], "others": [[2, 2]]}
    assert put({"Norm": Norm, "other": nn.Linear(1, 1)}, asked) == other
    assert put({"Norm": Norm}, asked) == {"found": [], "others": []}


class Holder:
    def __init__(self, held: object) -> None:
        self.held = held


class Slotted:
    __slots__ = ("held",)


@pytest.mark.parametrize(
    "held",
    [
        {"best": Norm(5)},
        [0, (Norm(5),)],
        Holder({"deep": Norm(5)}),
        nn.Sequential(nn.Linear(1, 1), Norm(5)),
        Holder(Holder(Norm(5))),
    ],
    ids=["dict", "list", "object", "model", "objects"],
)
def test_a_model_is_found_within_what_names_hold(put: Put, held: Any) -> None:
    itself: list[Any] = [Slotted()]
    itself.append(itself)
    namespace = {"Norm": Norm, "loop": itself, "held": held}
    assert put(namespace, {"op": "counts", "name": "Norm"})["found"] == [[10, 10]]


@pytest.mark.slow
def test_the_search_for_models_ends(put: Put) -> None:
    deep: Any = Norm(5)
    for _ in range(4):
        deep = [deep]
    namespace = {"Norm": Norm, "deep": deep, "wide": [[Norm(5)] for _ in range(100_000)]}
    found = put(namespace, {"op": "counts", "name": "Norm"})["found"]
    assert found == [[10, 10]] * 64


def predict(**changes: Any) -> dict[str, Value]:
    request: dict[str, Value] = {"op": "predict", "name": "f", "batch": 2}
    return request | {"inputs": {"inputs": tensor([1, 2, 3], "int64")}} | changes


def test_lists_are_cut_into_batches_and_single_inputs(put: Put) -> None:
    texts = {"inputs": ["a", "bb", "ccc"]}
    assert put({"f": lambda x: [len(t) for t in x]}, predict(inputs=texts)) == [[1, 2], [3]]
    assert put({"f": len}, predict(inputs=texts, batch=0)) == [1, 2, 3]
    seen = put({"f": lambda x: x * 2}, predict(batch=0))
    assert [(one.shape, one.array.item()) for one in seen] == [((), 2), ((), 4), ((), 6)]


class Scores(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.table = nn.Embedding(9, classes)
        self.tied = nn.Linear(classes, 9, bias=False)
        self.tied.weight = self.table.weight
        self.register_buffer("mask", torch.ones(2))

    def forward(self, x: torch.Tensor) -> Any:
        return self.table(x)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder, as the sandbox has one."""
    monkeypatch.setattr(predicting, "FOLDER", tmp_path)
    return tmp_path


def handed_in(**changes: Any) -> dict[str, Value]:
    return predict(build={"classes": 4}, weights="weights.safetensors", **changes)


@pytest.mark.parametrize("wrapper", ["", "module.", "_orig_mod."])
def test_a_model_is_loaded_with_the_handed_in_weights(put: Put, folder: Path, wrapper: str) -> None:
    table = torch.arange(36.0).reshape(9, 4)
    save_file({f"{wrapper}table.weight": table}, folder / "weights.safetensors")
    first, second = put({"f": Scores}, handed_in())
    np.testing.assert_array_equal(np.concatenate([first.array, second.array]), table[1:4])


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (None, ("weights", "FileNotFoundError")),
        ({"table.weight": torch.ones(9, 5)}, ("weights", "RuntimeError")),
        ({"tabel.weight": torch.ones(9, 4)}, ("weights", "KeyError")),
        ({}, ("weights", "KeyError")),
        ({"table.weight": torch.ones(9, 4), "more": torch.ones(1)}, ("weights", "KeyError")),
    ],
    ids=["no file", "shape", "name", "empty", "more"],
)
def test_weights_that_do_not_fit_are_said_not_to(
    put: Put, folder: Path, held: Any, expected: tuple[str, str]
) -> None:
    if held is not None:
        save_file(held, folder / "weights.safetensors")
    seen = put({"f": Scores}, handed_in())
    assert (seen["stage"], seen["ename"]) == expected
    assert put({"f": lambda: 1}, handed_in())["stage"] == "build"


CELL = """\
import torch
class Net(torch.nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.linear = torch.nn.Linear(2, classes)
        self.drop = torch.nn.Dropout(0.5)
    def forward(self, x):
        return self.drop(self.linear(x))
net = Net(3)
"""


@pytest.mark.slow
def test_a_real_run_answers_all_of_these(tmp_path: Path) -> None:
    weights = {"linear.weight": torch.eye(3, 2), "linear.bias": torch.zeros(3)}
    x = tensor([[0.0, 1.0], [1.0, 0.0]])
    request = look(build={"classes": 3}, inputs=[{"x": x}], layers=True, training=[{"x": x}])
    del request["op"], request["name"]
    given: dict[str, Any] = {"build": {"classes": 3}, "weights": "weights.safetensors", "batch": 2}
    probes = [
        *capture("net"),
        ask("model", "Net", id="model", **request),
        ask("predict", "Net", id="predict", inputs={"inputs": x}, **given),
        ask("counts", "Net", id="counts"),
    ]
    handed = {"weights.safetensors": save(weights)}
    seen = run_guest(CELL, probes=probes, cwd=tmp_path, files=handed).seen()
    assert seen["model"]["modules"]["drop"]["attributes"]["p"] == 0.5
    assert [one.shape for one in seen["model"]["training"]] == [(2, 3)]
    assert seen["counts"] == {"found": [[9, 9]], "others": []}
    assert seen["predict"][0].array.argmax(1).tolist() == [1, 0]
