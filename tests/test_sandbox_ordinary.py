"""What ordinary notebooks do works in a real sandbox, under its system call filter and its limits.

One notebook runs in each sandbox, with a cell for everything; a new version of torch, of the kernel
or of the C library that makes a call which the list in seccomp.json lacks shows here, by the cell's
name.
"""

from __future__ import annotations

from typing import Any

import pytest
from boxes import Boxed, Opener, run

ORDINARY = {
    "the filter is on": """
lines = open("/proc/self/status").read().splitlines()
assert [line.split()[1] for line in lines if line.startswith("Seccomp:")] == ["2"]
""",
    "torch trains a model": """
import torch
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(),
                          torch.nn.LazyLinear(2))
inputs, labels = torch.randn(64, 1, 8, 8), torch.randint(0, 2, (64,))
net(inputs)
optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
losses = []
for _ in range(20):
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(net(inputs), labels)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
assert losses[-1] < losses[0] and torch.get_num_threads() == 2
""",
    "an attention layer and a recurrent one work": """
layer = torch.nn.TransformerEncoderLayer(16, 4, batch_first=True)
layer(torch.randn(2, 5, 16)).sum().backward()
torch.nn.LSTM(16, 8)(torch.randn(5, 2, 16))[0].sum().backward()
""",
    "weights are saved and loaded": """
import safetensors.torch
torch.save(net.state_dict(), "net.pt")
net.load_state_dict(torch.load("net.pt", mmap=True))
safetensors.torch.save_file(net.state_dict(), "net.safetensors")
assert set(safetensors.torch.load_file("net.safetensors")) == set(net.state_dict())
""",
    "a data loader has workers": """
from torch.utils.data import DataLoader, Dataset
class Squares(Dataset):
    def __len__(self):
        return 64
    def __getitem__(self, index):
        return torch.full((1000,), float(index**2))
loader = DataLoader(Squares(), batch_size=8, num_workers=2, persistent_workers=True)
for _ in range(2):
    assert sum(batch[:, 0].sum().item() for batch in loader) == sum(n**2 for n in range(64))
""",
    "a data loader's workers are spawned": """
from torch.utils.data import TensorDataset
told = dict(num_workers=1, multiprocessing_context="spawn")
batches = list(DataLoader(TensorDataset(torch.arange(8)), batch_size=4, **told))
assert [batch[0].tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5, 6, 7]]
""",
    "processes share tensors": """
import torch.multiprocessing
def double(shared):
    shared *= 2
shared = torch.ones(1000).share_memory_()
worker = torch.multiprocessing.get_context("fork").Process(target=double, args=(shared,))
worker.start(); worker.join()
assert shared.sum().item() == 2000 and worker.exitcode == 0
""",
    "a process group of one is made": """
import torch.distributed
torch.distributed.init_process_group("gloo", init_method="file:///work/group", rank=0, world_size=1)
torch.distributed.all_reduce(shared)
torch.distributed.destroy_process_group()
""",
    "torch.compile traces, and keeps its cache": """
import os
@torch.compile(backend="aot_eager")
def compiled(x):
    return torch.sin(x) ** 2 + torch.cos(x) ** 2
assert torch.allclose(compiled(torch.randn(8)), torch.ones(8))
from torch._inductor.runtime.cache_dir_utils import cache_dir
assert cache_dir().startswith(os.environ["HOME"])
""",
    "code in a cache folder is loaded": """
import ctypes, shutil
folder = os.environ["TORCHINDUCTOR_CACHE_DIR"]
os.makedirs(folder, exist_ok=True)
copy = shutil.copy(torch._C.__file__, folder)
assert ctypes.CDLL(copy)
os.makedirs(os.environ["TRITON_CACHE_DIR"], exist_ok=True)
program = shutil.copy("/bin/true", os.environ["TRITON_CACHE_DIR"])
assert os.spawnv(os.P_WAIT, program, ["true"]) == 0
""",
    "code made in memory runs": """
import mmap, platform
code = {"x86_64": "b82a000000c3", "aarch64": "40058052c0035fd6"}[platform.machine()]
page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
page.write(bytes.fromhex(code))
place = ctypes.addressof(ctypes.c_char.from_buffer(page))
assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(place), mmap.PAGESIZE, 5) == 0
assert ctypes.CFUNCTYPE(ctypes.c_int)(place)() == 42
""",
    "matplotlib draws and saves": """
import matplotlib.pyplot as plt
figure, axes = plt.subplots()
axes.plot([1, 2, 3]); axes.set_title("$x^2$")
for kind in ("png", "pdf", "svg"):
    figure.savefig(f"figure.{kind}")
    assert os.path.getsize(f"figure.{kind}") > 1000
plt.show()
""",
    "pandas, numpy and sympy keep files": """
import numpy, pandas, sympy
pandas.DataFrame({"a": [1, 2]}).to_csv("a.csv", index=False)
assert pandas.read_csv("a.csv").a.sum() == 3
numpy.savez_compressed("a.npz", a=numpy.arange(9)); assert numpy.load("a.npz")["a"].sum() == 36
held = numpy.memmap("a.map", mode="w+", shape=(1000,)); held[:] = 1; held.flush()
assert numpy.linalg.svd(numpy.ones((50, 50)))[1][0] > 49
x = sympy.symbols("x"); assert sympy.lambdify(x, sympy.diff(x**2))(2) == 4
""",
    "processes are forked and spawned": """
import concurrent.futures, math, multiprocessing
for way in ("fork", "spawn", "forkserver"):
    with multiprocessing.get_context(way).Pool(2) as pool:
        assert pool.map(math.factorial, range(5)) == [1, 1, 2, 6, 24]
with concurrent.futures.ProcessPoolExecutor(2) as pool:
    assert list(pool.map(abs, [-1, -2])) == [1, 2]
with multiprocessing.Manager() as manager:
    assert list(manager.list([1])) == [1]
from multiprocessing import shared_memory
block = shared_memory.SharedMemory(create=True, size=1 << 20); block.buf[0] = 1
block.close(); block.unlink()
""",
    "threads run": """
import threading
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    assert sum(pool.map(lambda n: threading.get_native_id() > 0, range(100))) == 100
""",
    "asyncio runs, with processes and sockets": """
import asyncio
async def answer(reader, writer):
    writer.write(await reader.readline()); await writer.drain(); writer.close()
async def ask():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\\n")
        return await reader.readline()
assert await ask() == b"hello\\n"
echo = await asyncio.create_subprocess_exec("echo", "hi", stdout=asyncio.subprocess.PIPE)
assert (await echo.communicate())[0] == b"hi\\n"
assert await asyncio.to_thread(abs, -1) == 1
""",
    "subprocesses run": """
import subprocess, sys
assert subprocess.run(["uname"], capture_output=True, text=True).stdout == "Linux\\n"
assert subprocess.run("echo a | wc -c", shell=True, capture_output=True).stdout.strip() == b"2"
assert subprocess.check_output([sys.executable, "-c", "print(1)"]) == b"1\\n"
""",
    "shell lines and magics work": """
said = !echo hello
assert said == ["hello"]
!uname > uname.txt
assert open("uname.txt").read() == "Linux\\n"
%timeit -n 2 -r 1 sum(range(10))
%matplotlib inline
""",
    "time is told, waited for and measured": """
import cProfile, signal, time, tracemalloc
rang = []
signal.signal(signal.SIGALRM, lambda *_: rang.append(1))
signal.setitimer(signal.ITIMER_REAL, 0.05); time.sleep(0.2)
assert rang == [1]
with cProfile.Profile(): sum(range(100))
tracemalloc.start(); tracemalloc.stop()
with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
    torch.ones(3).sum()
assert profile.key_averages()
""",
    "files are watched, locked, linked and zipped": """
import fcntl, pathlib, sqlite3, tempfile, zipfile
with open("lock", "w") as file: fcntl.flock(file, fcntl.LOCK_EX)
os.symlink("lock", "link"); shutil.copytree(".cache", "copy", dirs_exist_ok=True)
with tempfile.TemporaryDirectory() as folder: pathlib.Path(folder, "a").write_text("a")
with zipfile.ZipFile("a.zip", "w") as archive: archive.write("lock")
sqlite3.connect("a.db").execute("create table a (b)")
assert shutil.disk_usage(".").free > 0
""",
    "the machine is looked at": """
import getpass, platform, psutil, resource, socket
assert getpass.getuser() == "student"
psutil.virtual_memory(); psutil.cpu_percent(); psutil.Process().memory_info()
os.sched_getaffinity(0); os.cpu_count(); platform.platform(); socket.gethostname()
resource.getrlimit(resource.RLIMIT_NOFILE); os.getloadavg()
""",
    "processes are scheduled": """
import psutil, subprocess, sys
os.nice(0); os.setpriority(os.PRIO_PROCESS, 0, 19); psutil.Process().nice(19)
os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
psutil.Process(other.pid).nice(19); os.sched_setaffinity(other.pid, os.sched_getaffinity(0))
other.communicate(b"\\n")
""",
}
LIMITS: dict[str, Any] = {
    "cell_s": 60,
    "total_s": 240,
    "memory_mib": 2048,
    "processes": 256,
    "threads": 2,
}
SANDBOXES = [
    pytest.param("docker", marks=pytest.mark.docker),
    pytest.param("docker-warm", marks=pytest.mark.docker),
    pytest.param("bubblewrap", marks=pytest.mark.bubblewrap),
]


@pytest.fixture(scope="module")
def runs() -> dict[str, Boxed]:
    """The one run in each sandbox."""
    return {}


@pytest.mark.slow
@pytest.mark.parametrize("name", SANDBOXES)
@pytest.mark.parametrize("sentence", ORDINARY)
def test_what_notebooks_ordinarily_do_works(
    opened: Opener, runs: dict[str, Boxed], name: str, sentence: str
) -> None:
    sandbox = opened(name)
    if name not in runs:
        runs[name] = run(sandbox, *ORDINARY.values(), **LIMITS)
    at = list(ORDINARY).index(sentence)
    assert runs[name].statuses[at] == "ok", (runs[name].receipts[at], runs[name].log)
