"""Runs one peer's grading inside a container as its first process, and says what is to be seen.

Reads one JSON object from standard input and writes another as the last line. It stands alone, and
kills every other process that it can see: it refuses to run where it is not the first one.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

WORK = Path("/work")
HOST = WORK / "host"
BIN = Path(sys.executable).parent
TAIL_BYTES = 4000
PORT = 4433


def main() -> None:
    """Grade what was asked for."""
    if os.getpid() != 1:
        sys.exit("only as the first process of a container")
    asked = json.load(sys.stdin)
    for folder in (HOST, WORK / "found", WORK / "home"):
        folder.mkdir()
    (HOST / "secret.txt").write_text(asked["secret"])
    reached: list[str] = []
    server = socket.create_server(("127.0.0.1", PORT))
    threading.Thread(target=listen, args=(server, reached), daemon=True).start()
    box = Box(asked)
    box.grade()
    left = processes()
    kill_all()
    server.close()
    seen = box.seen() | {"left": left, "reached": len(reached)}
    sys.stdout.write(f"\n{asked['mark']}{json.dumps(seen)}\n")


class Box:
    """The work of one container."""

    def __init__(self, asked: dict[str, Any]) -> None:
        """Know what is asked."""
        self.asked = asked
        self.peer = asked["peer"]
        self.deadline = time.monotonic() + asked["patience_s"]
        self.tail = b""
        self.over: list[str] = []
        self.began = time.monotonic()

    def grade(self) -> None:
        """Write submissions and run the peer."""
        nbgrader = self.peer == "nbgrader"
        if nbgrader:
            shutil.copytree("/opt/peers/course", WORK / "course")
        for path, content in self.asked["otter"].items():
            write(WORK / "otter" / path, content.encode())
        for student, files in self.asked["students"].items():
            for path, content in files.items():
                folder = WORK / "course/submitted" / student / "hw" if nbgrader else WORK / student
                write(folder / path, base64.b64decode(content))
        if nbgrader:
            self.run([str(BIN / "nbgrader"), "autograde", "hw", "--course-dir", "course"])
            if self.asked["feedback"]:
                told = [str(BIN / "nbgrader"), "generate_feedback", "hw", "--course-dir", "course"]
                self.run(told)
            return
        shutil.make_archive(str(WORK / "autograder"), "zip", WORK / "otter")
        for student in self.asked["students"]:
            told = ["run", "--no-logo", "-a", "autograder.zip", "-o", f"out/{student}"]
            (WORK / "out" / student).mkdir(parents=True)
            self.run([str(BIN / "otter"), *told, f"{student}/hw.ipynb"])

    def run(self, command: list[str]) -> None:
        """Run a command until it ends or patience does."""
        env = {"HOME": str(WORK / "home"), "PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"}
        env["INSTRUCTOR_TOKEN"] = self.asked["secret"]
        process = subprocess.Popen(  # noqa: S603
            command,
            cwd=WORK,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        reader = threading.Thread(target=self.drain, args=(process.stdout,), daemon=True)
        reader.start()
        try:
            process.wait(max(0.1, self.deadline - time.monotonic()))
            self.over.append(str(process.returncode))
        except subprocess.TimeoutExpired:
            self.over.append("not ended")
            process.kill()
        reader.join(2)

    def drain(self, stream: Any) -> None:
        """Keep the end of what the peer prints."""
        while block := stream.read1(1 << 16):
            self.tail = (self.tail + block)[-TAIL_BYTES:]

    def seen(self) -> dict[str, Any]:
        """What the grading left behind."""
        found = {}
        for student in self.asked["students"]:
            with contextlib.suppress(OSError, ValueError):
                found[student] = json.loads((WORK / "found" / f"{student}.json").read_text())
        names = sorted(os.listdir(HOST))
        secret = ""
        with contextlib.suppress(OSError):
            secret = (HOST / "secret.txt").read_text()
        points, told = (nbgrader_points if self.peer == "nbgrader" else otter_points)(self.asked)
        return {
            "over": self.over,
            "seconds": round(time.monotonic() - self.began, 1),
            "found": found,
            "host_changed": names != ["secret.txt"] or secret != self.asked["secret"],
            "points": points,
            "told": told,
            "tail": self.tail.decode(errors="replace"),
        }


def nbgrader_points(asked: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Points by student and question from the grade book, and what the executed notebooks say."""
    points: dict[str, dict[str, float | None]] = {}
    query = """
        select s.student_id, b.name, coalesce(g.manual_score, g.auto_score)
        from grade g join base_cell b on g.cell_id = b.id
        join submitted_notebook n on g.notebook_id = n.id
        join submitted_assignment s on n.assignment_id = s.id"""
    with contextlib.suppress(sqlite3.Error):
        for student, name, score in sqlite3.connect(WORK / "course/gradebook.db").execute(query):
            points.setdefault(student, {})[name] = score
    told = {}
    for student in asked["students"]:
        texts = []
        executed = WORK / "course/autograded" / student / "hw/hw.ipynb"
        with contextlib.suppress(OSError, ValueError, KeyError):
            for cell in json.loads(executed.read_text())["cells"]:
                if "nbgrader" not in cell["metadata"] or asked["feedback"]:
                    texts.append(json.dumps(cell.get("outputs", [])))
        if not executed.is_file():
            points.pop(student, None)  # it failed: the grade book holds no result of this run
        told[student] = "\n".join(texts)[: 1 << 20]
    return points, told


def otter_points(asked: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Points by student and question from results.json, and what it shows to students."""
    points: dict[str, dict[str, float | None]] = {}
    told = {}
    for student in asked["students"]:
        told[student] = ""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            results = json.loads((WORK / "out" / student / "results.json").read_text())
            mine: dict[str, float | None] = {}
            for test in results["tests"]:
                name = test["name"].split(" - ")[0]
                mine[name] = (mine.get(name) or 0) + test.get("score", 0)
                if test.get("visibility") != "hidden":
                    told[student] += str(test.get("output", ""))
            points[student] = mine
    return points, told


def write(path: Path, content: bytes) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def listen(server: socket.socket, reached: list[str]) -> None:
    """Note who connects."""
    with contextlib.suppress(OSError):
        while True:
            connection, where = server.accept()
            connection.close()
            reached.append(str(where))


def processes() -> list[str]:
    """What still runs two seconds after grading, by command line."""
    time.sleep(2)
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and name != "1":
            with contextlib.suppress(OSError):
                line = Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").strip()
                if line:
                    found.append(line.decode(errors="replace")[:200])
    return found[:20]


def kill_all() -> None:
    """End every other process of this container."""
    for _ in range(5):
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        time.sleep(0.1)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


if __name__ == "__main__":
    main()
