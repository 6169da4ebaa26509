"""Probes: what a function returned, what a model computed and how it differentiates."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from guest_driver import LIMITS, ROOM, Put, ask, capture, run_guest, tensor

from grader.codec import decode
from grader.evidence import read_observations
from grader.execute import build_box
from grader.frames import Frame
from grader.guest import answer as replies
from grader.guest.box import BoxError, read_box
from grader.guest.calling import code_of, describe
from grader.plan import Plan
from grader.submission import Submission
from grader.values import Made, Opaque, Table, Tensor, Value


@pytest.fixture
def put(tmp_path: Path) -> Put:
    return Put(tmp_path)


def call(name: str, **args: Value) -> dict[str, Value]:
    return {"op": "call", "name": name, "args": args}


def test_arguments_go_by_name_if_the_names_fit_and_else_by_position(put: Put) -> None:
    space: dict[str, Any] = {
        "same": lambda b, a: a - b,
        "other": lambda x, y: x - y,
        "star": lambda *xs: xs[0] - xs[1],
        "max": max,
    }
    seen = {name: put(space, call(name, a=5, b=3)) for name in space}
    assert seen == {"same": 2, "other": 2, "star": 2, "max": 5}


def test_arguments_go_by_name_to_what_takes_any_name(put: Put) -> None:
    """As configurations do: `def __init__(self, vocab_size, **kwargs)`."""
    space: dict[str, Any] = {
        "takes_rest": lambda a, **rest: (a, rest),
        "lacks_one": lambda x, **rest: x,
        "hides_names": lambda *args, **rest: (args, rest),
    }
    assert put(space, call("takes_rest", b=3, a=5)) == (5, {"b": 3})
    assert put(space, call("lacks_one", a=5)) == 5
    assert put(space, call("hides_names", a=5)) == ((5,), {})


def test_a_function_gets_arguments_that_go_with_its_own_values(put: Put) -> None:
    wide = torch.tensor([2.0], dtype=torch.float64)
    space: dict[str, Any] = {
        "doubles": lambda z: (z @ wide).item(),
        "arrays": lambda z: float((np.array([[2.0]]) @ z.astype("f8")).sum()),
        "neither": lambda z: z.nothing,
    }
    asked = {name: call(name, z=tensor([3.0])) for name in space}
    assert put(space, asked["doubles"]) == 6.0
    assert put(space, {**asked["arrays"], "args": {"z": tensor([[3.0]])}}) == 6.0
    assert put(space, asked["neither"]) == (
        "error",
        "AttributeError: 'Tensor' object has no attribute 'nothing'",
    )


def test_arguments_arrive_with_their_dtype_and_library(put: Put) -> None:
    kinds = call(
        "kinds",
        a=tensor([1.5], "float64"),
        b=tensor([1], "int32", "numpy"),
        c=Tensor(np.array([0.5], "f4"), "bfloat16", "torch"),
        d={"k": [(1, None, True, 2.5, "s", b"b", 1j)]},
    )
    seen = put({"kinds": lambda a, b, c, d: [str(type(b)), str(a.dtype), str(c), d]}, kinds)
    assert seen == [
        "<class 'numpy.ndarray'>",
        "torch.float64",
        "tensor([0.5000], dtype=torch.bfloat16)",
        {"k": [(1, None, True, 2.5, "s", b"b", 1j)]},
    ]


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("torch.relu", torch.relu),
        ("torch.sigmoid", torch.sigmoid),
        ("torch.tanh", torch.tanh),
        ("torch.sin", torch.sin),
        ("torch.exp", torch.exp),
        ("identity", lambda x: x),
    ],
    ids=lambda item: item if isinstance(item, str) else "",
)
def test_an_activation_can_be_an_argument(put: Put, name: str, function: Any) -> None:
    x = tensor([-1, 0, 2])
    request = call("f", act=Opaque("function", name), x=x)
    seen = put({"f": lambda act, x: act(x)}, request)
    assert seen == tensor(function(torch.tensor([-1.0, 0.0, 2.0])))


@pytest.mark.parametrize(
    "item",
    [
        Opaque("function", "torch.load"),
        Opaque("function", "relu"),
        Opaque("class", "torch.relu"),
        Table(["a"], [[1]], [0]),
    ],
    ids=["not allowed", "short name", "class", "table"],
)
def test_an_argument_that_cannot_be_made_is_a_malformed_box(item: Any) -> None:
    probe = ask("call", "f", args={"a": [item]})
    plan = Plan(assignment="t", limits=LIMITS, probes=(probe,), seed=7)
    submission = Submission(student="s", assignment="t", cells=())
    box = build_box(submission, plan, bytes(32), watch_memory=False)
    with pytest.raises(BoxError, match="malformed: ValueError: a request cannot hold "):
        read_box(io.BytesIO(box))


def test_what_student_code_raises_is_told(put: Put) -> None:
    def leave(a: Any) -> None:
        raise SystemExit("bye")

    space: dict[str, Any] = {"f": lambda a: 1 / a, "leave": leave, "three": 3}
    assert put(space, call("f", a=0)) == ("error", "ZeroDivisionError: division by zero")
    assert put(space, call("leave", a=0)) == ("error", "SystemExit: bye")
    assert put(space, call("three", a=0)) == ("error", "TypeError: 'int' object is not callable")
    assert put(space, call("nobody", a=0)) == ("missing", "")
    assert put({"v": torch.zeros(ROOM)}, {"op": "capture", "name": "v"}) == ("too_large", "")


def test_random_numbers_are_seeded_before_each_call(put: Put) -> None:
    space = {"f": lambda: [float(torch.rand(1)), float(np.random.rand())]}
    assert put(space, call("f")) == put(space, call("f"))


def test_a_model_predicts_in_batches_and_evaluation_mode(put: Put) -> None:
    sizes = []

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = torch.nn.Dropout(0.9)

        def forward(self, x: torch.Tensor, scale: float) -> torch.Tensor:
            sizes.append(len(x))
            assert not torch.is_grad_enabled()
            total: torch.Tensor = self.drop(x).sum(1)
            return total * scale

    inputs = {"x": tensor(np.ones((5, 3))), "scale": 2.0}
    seen = put(
        {"net": Net().train()}, {"op": "predict", "name": "net", "inputs": inputs, "batch": 2}
    )
    assert seen == [tensor([6, 6]), tensor([6, 6]), tensor([6])]
    assert sizes == [2, 2, 1]


def test_a_model_of_another_precision_is_called_in_its_own(put: Put) -> None:
    net = torch.nn.Linear(3, 1, dtype=torch.float64)
    x = tensor(np.ones((2, 3)))
    seen = [
        put({"net": net}, call("net", input=x)),
        *put({"net": net}, {"op": "predict", "name": "net", "inputs": {"input": x}, "batch": 2}),
    ]
    assert seen == [tensor(net(torch.ones(2, 3, dtype=torch.float64)).detach(), "float64")] * 2


def test_cudas_number_of_an_error_is_brought_back(tmp_path: Path) -> None:
    error = torch.AcceleratorError("CUDA error: all CUDA-capable devices are busy")
    error.error_code = 46  # type: ignore[attr-defined]
    replies.write_reply(tmp_path / "r", {"status": "error", **describe(error)}, b"")
    status, payload = replies.read_reply(tmp_path / "r", ROOM)
    frame = Frame({"kind": "probe", "id": "p", "status": status}, payload)
    raised = read_observations([frame], {"p"})["p"].raised
    assert raised is not None
    assert (raised.ename, raised.code) == ("AcceleratorError", "46")


@pytest.mark.parametrize("code", [None, "46", True, 4.6], ids=str)
def test_what_is_no_number_of_cuda_is_left_out(code: object) -> None:
    error = RuntimeError("no error of CUDA")
    error.error_code = code  # type: ignore[attr-defined]
    assert code_of(error) == ""
    assert code_of(ValueError("no error of torch")) == ""


@pytest.mark.parametrize(
    "make",
    [
        lambda path: None,
        lambda path: path.symlink_to("/etc/hostname"),
        os.mkfifo,
        lambda path: path.mkdir(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff\xff\xff\xff" + b"[" * 100_000),
        lambda path: path.write_bytes(b"\0\0\0\x0e" + b'{"status": []}'),
    ],
    ids=["none", "link", "pipe", "folder", "empty", "nested", "no status"],
)
def test_a_forged_reply_is_an_error_of_that_probe(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "r")
    status, payload = replies.read_reply(tmp_path / "r", ROOM)
    assert status == "error"
    assert decode(payload)["ename"] == "NoReply"


def test_a_reply_larger_than_its_room_is_not_read(tmp_path: Path) -> None:
    with open(tmp_path / "r", "wb") as stream:
        stream.truncate(1 << 40)
    assert replies.read_reply(tmp_path / "r", ROOM) == ("too_large", b"")
    replies.write_reply(tmp_path / "s", {"status": "ok"}, bytes(11))
    assert replies.read_reply(tmp_path / "s", 10) == ("too_large", b"")


@pytest.mark.slow
def test_probes_that_kill_hang_or_raise_cost_only_themselves() -> None:
    ran = run_guest(
        "import os, signal, time\nn = 0",
        "n += 1\ndef die(): os._exit(1)\ndef hang(): time.sleep(60)\n"
        "def fail(a):\n    print('x' * 10**7)\n    return 1 / a\n"
        "def stubborn():\n    signal.signal(signal.SIGINT, signal.SIG_IGN)\n    time.sleep(60)",
        probes=[
            ask("call", "hang", args={}, time_s=1),
            ask("call", "fail", args={"a": 0}),
            ask("call", "die", args={}),
            *capture("n"),
            ask("call", "stubborn", args={}, time_s=1),
            ask("capture", "n", id="again"),
        ],
    )
    assert ran.seen() == {
        "hang": ("timeout", ""),
        "fail": ("error", "ZeroDivisionError: division by zero"),
        "die": ("died", ""),
        "n": 1,
        "stubborn": ("timeout", ""),
        "again": ("skipped", ""),
    }
    where = decode(ran.raw("fail"))["where"]
    assert where == "line 6 of its cell: return 1 / a"
    assert ran.restarts == [{"reason": "died", "phase": "probes", "without": []}]
    assert ran.attempts == [(0, 1, "ok"), (1, 1, "ok")]
    assert ran.end["ending"] == "kernel_died"


@pytest.mark.slow
def test_a_probe_that_runs_out_of_time_alone_leaves_the_run_complete() -> None:
    ran = run_guest(
        "import time\ndef hang(): time.sleep(60)",
        probes=[ask("call", "hang", args={}, time_s=0.5)],
    )
    assert ran.seen() == {"hang": ("timeout", "")}
    assert ran.end["ending"] == "complete"


@pytest.mark.slow
def test_values_are_held_to_their_limit_and_to_that_of_all_evidence() -> None:
    ran = run_guest(
        "import torch\na, b, c = (torch.zeros(200_000) for _ in 'abc')\nd = torch.zeros(300_000)",
        probes=capture("a", "b", "c", "d"),
        value_mib=1,
        evidence_mib=3,
    )
    seen = ran.seen()
    assert [type(seen[name]) for name in "ab"] == [Tensor, Tensor]
    assert [seen[name] for name in "cd"] == [("too_large", ""), ("too_large", "")]
    assert ran.end["ending"] == "complete"


@pytest.mark.slow
def test_a_student_who_bends_the_shell_still_cannot_see_our_requests() -> None:
    ran = run_guest(
        "seen = []\nip = get_ipython()\n"
        "ip.events.register('pre_run_cell', lambda info: seen.append(info.raw_cell))\n"
        "ip.input_transformers_cleanup.append(lambda lines: seen.append(lines) or lines)",
        "a = 1",
        probes=[*capture("a", "seen"), *capture("In")],
    )
    seen = ran.seen()
    assert seen["a"] == 1
    assert all("probe" not in str(line) for line in [*seen["seen"], *seen["In"]])


@pytest.mark.slow
def test_objects_of_the_students_classes_are_made_for_each_call() -> None:
    ran = run_guest(
        "class Config:\n"
        "    def __init__(self, size): self.size = size\n"
        "class Net:\n"
        "    def __init__(self, config): self.config, self.calls = config, 0\n"
        "    def sample(self, other):\n"
        "        self.calls, other.size = self.calls + 1, other.size + 1\n"
        "        return [type(other).__name__, self.config.size, other.size, self.calls]\n",
        probes=[
            ask("call", "Net", build={"config": Made("Config", {"size": 2})}, method="sample",
                repeat=2, args={"other": Made("Config", {"size": 5})}),
            ask("call", "Config", args={"size": Made("Unknown", {"n": 1})}),
        ],
    )  # fmt: skip
    assert ran.seen() == {
        "Net": [["Config", 2, 6, 1], ["Config", 2, 6, 2]],
        "Config": ("missing", "NameError: Unknown"),
    }


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_what_lives_on_a_gpu_is_called_there_and_comes_back() -> None:
    ran = run_guest(
        "import torch\nnet = torch.nn.Linear(3, 2).cuda()\nw = torch.ones(3).cuda()\n"
        "def f(x): return x @ w\n"
        "class Net(torch.nn.Linear):\n"
        "    def __init__(self): super().__init__(3, 2, device='cuda')",
        probes=[
            *capture("w"),
            ask("call", "f", args={"x": tensor([1, 2, 3])}),
            ask("predict", "net", inputs={"x": tensor(np.ones((5, 3)))}, batch=2),
            ask("model", "Net", build={}, weights=None, rename={}, gradients=True, seed=1,
                inputs=[{"input": tensor(np.ones((5, 3)))}]),
        ],
        gpu=True,
    )  # fmt: skip
    seen = ran.seen()
    assert ran.frames[0].header["gpu"] == torch.cuda.get_device_name()
    assert (seen["w"], seen["f"]) == (tensor([1, 1, 1]), tensor(6))
    assert [part.shape for part in seen["net"]] == [(2, 2), (2, 2), (1, 2)]
    assert seen["Net"]["error"] is None
    assert seen["Net"]["gradients"]["bias"].shape == (2,)
