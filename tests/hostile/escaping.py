"""Ways out of the sandbox, and traps for whoever cleans up after it (HE, RX-08)."""

import secrets

import psutil

from hostile.attack import ISOLATING, Seen, attack


def the_host_is_untouched(seen: Seen, twin: Seen) -> None:
    """The canary is as it was, nothing lies beside it, and all was graded."""
    secret = seen.host.folder / "secret.txt"
    assert secret.read_text() == seen.host.secret
    assert secret.stat().st_mode == seen.host.mode
    assert sorted(path.name for path in seen.host.folder.iterdir()) == ["secret.txt"]
    assert seen.host.secret.encode() not in seen.left
    assert (seen.found, seen.points) == ([], twin.points)
    assert seen.changed == ()


attack(
    "HE-01 HE-02",
    "links in the place of every output",
    onto="right",
    last="""
import os
names = ("results.json", "hw.ipynb", "scores.csv", "frames.bin", "record.json", "data", "out")
for folder in (".", "/tmp", "/dev/shm"):
    for name in names:
        for target in ("@HOST@/secret.txt", "@HOST@", "/etc/passwd"):
            path = os.path.join(folder, f"{name}-{os.path.basename(target)}")
            try: os.symlink(target, path)
            except OSError: pass
            try: os.unlink(os.path.join(folder, name))
            except OSError: pass
            try: os.symlink(target, os.path.join(folder, name))
            except OSError: pass
""",
    holds=the_host_is_untouched,
    sandboxes=ISOLATING,
)
attack(
    "HE-05",
    "system calls that lead out",
    onto="right",
    last="""
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
calls = {"ptrace": (101, 16, 1), "unshare": (272, 0x10000000), "mount": (165, 0, 0, 0, 0, 0),
         "bpf": (321, 0, 0, 0), "io_uring_setup": (425, 1, 0), "keyctl": (250, 0, 0),
         "userfaultfd": (323, 0), "perf_event_open": (298, 0, 0, -1, -1, 0), "setns": (308, 0, 0),
         "process_vm_readv": (310, 1, 0, 0, 0, 0, 0), "open_by_handle_at": (304, -1, 0, 0),
         "init_module": (175, 0, 0, 0), "kexec_load": (246, 0, 0, 0, 0), "reboot": (169, 0, 0, 0),
         "clock_settime": (227, 0, 0), "swapon": (167, 0, 0), "pivot_root": (155, 0, 0)}
found = []
for name, (number, *asked) in calls.items():
    result = libc.syscall(number, *map(ctypes.c_long, asked))
    if result >= 0 or ctypes.get_errno() not in (1, 38): found.append([name, ctypes.get_errno()])
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines())
wanted = {"CapEff": "0" * 16, "CapPrm": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"}
found += [[name, status[name]] for name in wanted if status[name].strip() != wanted[name]]
""",
    holds=the_host_is_untouched,
    sandboxes=ISOLATING,
    x86=True,
)
attack(
    "HE-06",
    "sockets, devices and set-user-id programs",
    onto="right",
    last="""
import os, stat, subprocess
found = []
for path in ("/var/run/docker.sock", "/run/containerd/containerd.sock", "/dev/kvm", "/dev/mem",
             "/dev/sda", "/dev/vda", "/dev/nvme0", "/dev/fuse", "/dev/net/tun"):
    try:
        os.close(os.open(path, os.O_RDONLY))
        found.append(path)
    except OSError: pass
try: os.mknod("device", stat.S_IFBLK | 0o600, os.makedev(8, 0)); found.append("mknod")
except OSError: pass
try: os.setuid(0); found.append("setuid")
except OSError: pass
for program in (["su", "-c", "id"], ["mount", "-t", "proc", "proc", "/tmp"], ["chroot", "/", "id"]):
    try:
        if subprocess.run(program, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0:
            found.append(program[0])
    except OSError: pass
for name in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper",
             "/sys/fs/cgroup/release_agent", "/sys/fs/cgroup/memory/release_agent"):
    try:
        open(name, "w").close()
        found.append(name)
    except OSError: pass
""",
    holds=the_host_is_untouched,
    sandboxes=ISOLATING,
)
MARK = f"97{secrets.randbelow(10**6):06}"


def nothing_runs_on(seen: Seen, twin: Seen) -> None:
    """Both daemons ran, and no process of the notebook is left on the host."""
    assert seen.found == 2
    assert seen.points == twin.points
    left = [p for p in psutil.process_iter(["cmdline"]) if MARK in (p.info["cmdline"] or ())]
    assert left == []


attack(
    "RX-08",
    "daemons that outlive the kernel",
    onto="right",
    last=f"""
import os, subprocess, time
def daemons():
    commands = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try: commands.append(open(f"/proc/{{pid}}/cmdline").read())
        except OSError: pass
    return commands.count("sleep\\0{MARK}\\0")
subprocess.Popen(["sleep", "{MARK}"], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 1024)
        os.execvp("sleep", ["sleep", "{MARK}"])
    os._exit(0)
end = time.monotonic() + 3
while (found := daemons()) < 2 and time.monotonic() < end: time.sleep(0.05)
""",
    holds=nothing_runs_on,
)
