"""Guests that misbehave: a few lines of Python each, which speak frames and know no notebook.

What a sandbox does with a guest that hangs, dies, floods or lies cannot be shown with our own.
"""

from __future__ import annotations

SPEAKS = """
import hashlib, hmac, json, os, signal, struct, sys, time
box, out = sys.stdin.buffer, sys.stdout.buffer
key, seq, digest = box.read(32), 0, hashlib.sha256()

def frame(kind, payload=b"", **header):
    global seq
    head = json.dumps({"seq": seq, "kind": kind, **header}).encode()
    signed = struct.pack(">IQ", len(head), len(payload)) + head + payload
    mac = hmac.new(key, signed, hashlib.sha256).digest()[:16]
    out.write(b"NGE1" + signed + mac)
    out.flush()
    seq += 1
    digest.update(head + payload)

def ready():
    frame("ready", guest="stand-in")

def end():
    frame("end", ending="complete", frames=seq, digest=digest.hexdigest(), peak_mib=1.0)
"""

GOOD = f"{SPEAKS}\nready()\nend()"
NEVER_READY = f"{SPEAKS}\ntime.sleep(600)"
HANGS = f"""{SPEAKS}
for name in ("INT", "TERM", "HUP"):
    signal.signal(getattr(signal, "SIG" + name), signal.SIG_IGN)
ready()
time.sleep(600)
"""
DIES = f"{SPEAKS}\nready()\nsys.stderr.write('what it said last')\nsys.stderr.flush()\nos._exit(3)"
SILENT_BUT_ALIVE = f"{SPEAKS}\nready()\nend()\nos.close(1)\nos.close(2)\ntime.sleep(600)"
FLOODS = f"{SPEAKS}\nready()\nwhile True: out.write(b'x' * 65536)"
FLOODS_ERRORS = f"{SPEAKS}\nready()\nwhile True: sys.stderr.buffer.write(b'y' * 65536)"
FORGES = f"{SPEAKS}\nready()\nkey = bytes(32)\nend()"
SAYS_TOO_MUCH = f"{SPEAKS}\nready()\nend()\nout.write(b'and more')\nout.flush()"
#: Answers before it has read its box, as a pipe that only one side serves would not survive.
BOTH_WAYS = f"""{SPEAKS}
ready()
for number in range(20):
    frame("probe", bytes(1 << 20), id=str(number), status="ok", wall_s=0.0)
size = len(box.read(struct.unpack(">Q", box.read(8))[0]))
frame("probe", id="size", status="missing", size=size)
end()
"""
