"""What only a machine with an NVIDIA GPU can show; needs no Docker. docs/gpu.md says how to run it.

Written where no GPU could be had, and so not run yet by whoever wrote it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import torch
from boxes import run
from guest_driver import ask, run_guest, tensor

from grader.compare import compare
from grader.cuda import driver_error, raised_in
from grader.gpus import Need
from grader.sandbox.lending import Gpus, quarantined
from grader.sandbox.nvml import Nvml
from grader.sandbox.process import ProcessSandbox
from grader.values import Tensor

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
]

#: A process that holds memory of the GPU until its standard input ends.
HOLDS = """
import sys, torch
kept = torch.zeros(512 << 20, dtype=torch.uint8, device="cuda")
torch.cuda.synchronize()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def nvml() -> Iterator[Nvml]:
    with closing(Nvml()) as opened:
        yield opened


@pytest.fixture
def gpus(nvml: Nvml, tmp_path: Path) -> Gpus:
    return Gpus([nvml.device(0)], nvml, tmp_path / "gpus")


def test_the_guest_names_the_gpu_that_it_computes_on() -> None:
    ran = run_guest("import torch\nx = torch.ones(3).cuda().sum().item()", gpu=True)
    assert ran.exit_code == 0, ran.log
    assert ran.frames[0].header["gpu"] == torch.cuda.get_device_name()
    assert ran.statuses == ["ok"]


def test_memory_that_is_used_up_is_the_students_and_the_kernel_goes_on() -> None:
    ran = run_guest(
        "import torch\nx = torch.empty(1 << 42, dtype=torch.uint8, device='cuda')",
        "y = torch.ones(3, device='cuda').sum().item()",
        gpu=True,
    )
    first, second = ran.receipts
    assert str(first.raised) == "OutOfMemoryError: the memory of the GPU was used up"
    assert (second.status.value, driver_error(raised_in(ran.frames))) == ("ok", "")


def test_a_submission_gets_no_more_memory_than_its_rubric_says() -> None:
    half, more = 1 << 29, 5 << 29
    if torch.cuda.mem_get_info()[0] < 2 * more:
        pytest.skip("needs 5 GiB of free GPU memory")
    ran = run_guest(
        f"import torch\na = torch.empty({half}, dtype=torch.uint8, device='cuda')\ndel a",
        f"b = torch.empty({more}, dtype=torch.uint8, device='cuda')",
        gpu=True,
        gpu_mib=2048,
    )
    assert ran.statuses == ["ok", "error"]
    raised = ran.receipts[1].raised
    assert raised is not None
    assert raised.of_gpu_memory


def test_an_index_out_of_range_on_the_gpu_is_no_error_of_the_driver() -> None:
    ran = run_guest(
        "import torch\nx = torch.zeros(3, device='cuda')\nx[torch.tensor([7], device='cuda')] = 1\n"
        "torch.cuda.synchronize()",
        gpu=True,
    )
    raised = ran.receipts[0].raised
    assert raised is not None
    assert (raised.ename, raised.code) == ("AcceleratorError", "710")
    assert driver_error(raised_in(ran.frames)) == ""


def test_nvml_lists_what_torch_sees(nvml: Nvml) -> None:
    named = {device.id.removeprefix("GPU-") for device in map(nvml.device, range(nvml.count()))}
    seen = {str(torch.cuda.get_device_properties(n).uuid) for n in range(torch.cuda.device_count())}
    assert seen <= named


def test_a_submission_sees_one_gpu_and_leaves_it_as_it_was(gpus: Gpus) -> None:
    source = "import torch\nn = torch.cuda.device_count()\nx = torch.ones(1 << 28, device='cuda')"
    with closing(ProcessSandbox(gpus=gpus)) as sandbox:
        for _ in range(2):
            assert run(sandbox, source, ask=("n",), gpu=True).seen() == {"n": 1}
    assert quarantined(gpus.folder) == {}


def test_a_gpu_on_which_memory_stays_is_quarantined(gpus: Gpus) -> None:
    gpus.grace_s = 1
    with gpus.lend(Need()):
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
    holder.communicate(timeout=60)
    (why,) = quarantined(gpus.folder).values()
    assert why.endswith(" MiB of memory after a submission has ended")


def test_a_sandbox_computes_with_all_digits_whatever_torch_is_told(gpus: Gpus) -> None:
    source = (
        "import torch\ntorch.backends.cuda.matmul.allow_tf32 = True\n"
        "x = torch.full((64, 64), 1 + 2**-12, device='cuda')\n"  # TF32 rounds this to 1
        "product = (x @ torch.eye(64, device='cuda')).min().item()\n"
        "ones = torch.ones(8, 8, 1, 1, device='cuda') / 8\n"
        "layer = torch.nn.functional.conv2d(x.reshape(1, 8, 16, 32), ones).min().item()"
    )
    with closing(ProcessSandbox(gpus=gpus)) as sandbox:
        seen = run(sandbox, source, ask=("product", "layer"), gpu=True).seen()
    assert seen == {"product": 1 + 2**-12, "layer": 1 + 2**-12}


@pytest.mark.parametrize("tf32", [False, True], ids=["full precision", "TF32"])
def test_a_right_answer_of_a_gpu_is_within_its_tolerance(tf32: bool) -> None:
    """A layer of usual size; prints how far off it is, for docs/gpu.md."""
    torch.manual_seed(1)
    layer, x = torch.nn.Linear(512, 512), torch.randn(64, 512)
    expected = layer(x).detach()
    ran = run_guest(
        f"import torch\ntorch.backends.cuda.matmul.allow_tf32 = {tf32}\n"
        "def f(w, b, x): return torch.nn.functional.linear(x.cuda(), w.cuda(), b.cuda())",
        probes=[
            ask(
                "call",
                "f",
                args={
                    "w": tensor(layer.weight.detach().numpy()),
                    "b": tensor(layer.bias.detach().numpy()),
                    "x": tensor(x.numpy()),
                },
            )
        ],
        gpu=True,
    )
    seen = ran.seen()["f"]
    assert isinstance(seen, Tensor)
    off = abs(seen.array - expected.numpy())
    print(f"largest error {off.max():.3g}, of {abs(expected.numpy()).max():.3g}")  # noqa: T201
    # Near zero TF32 is further off than any share of the number: a rubric states `atol` for that.
    assert compare(seen, tensor(expected.numpy()), atol=5e-3 if tf32 else None, on_gpu=True) is None
