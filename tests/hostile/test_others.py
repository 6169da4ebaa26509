"""Archives, names, other students' rows, time, and what a notebook can tell about being graded."""

from __future__ import annotations

import csv
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from boxes import Opener
from reporting import Press, Told
from small_course import TEMPLATE, make_course, notebook, write

from grader.errors import InputError
from grader.execute import execute
from grader.intake.folders import Handed, read_submission
from grader.reference import Reference
from grader.release import release
from grader.sandbox import docker as engine
from grader.selfcheck import check, read_self_check
from grader.submission import File
from grader.symbolic import Symbolic
from grader.writeup.read import WriteUps
from hostile.planting import ROOT, Recorder


@pytest.fixture(scope="module")
def symbolic() -> Iterator[Symbolic]:
    with Symbolic(wall_s=20) as started:
        yield started


# --- archives -------------------------------------------------------------------------------------

OUTSIDE = "/tmp/grader-x"  # noqa: S108
MEMBERS = [
    *("../x", "../../x", f"../../../../../../../..{OUTSIDE}", OUTSIDE, "a/../../x", "~/x"),
    *("hw.ipynb", "./hw.ipynb", "C:\\x", "C:x", "\\\\host\\x", "..\\x", "a\\..\\..\\x"),
    *("con", "nul.txt", "x" * 250, "/".join("a" * 60), ".git/hooks/post-checkout"),
    *("sitecustomize.py", "\u202egnp.exe", "a\nb", "\x1b[2J", "%2e%2e/x", "..%2fx", "....//x"),
    *("\uff0e\uff0e/x", " ", "."),
]
LINKS = {tarfile.SYMTYPE: "/etc/passwd", tarfile.LNKTYPE: "../hw.ipynb", tarfile.CHRTYPE: ""}
LINKS |= {tarfile.FIFOTYPE: "", tarfile.BLKTYPE: ""}


def a_zip() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name in MEMBERS:
            archive.writestr(name, notebook("stolen = 1"))
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return held.getvalue()


def a_tar(mode: str = "w") -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode=mode) as archive:  # type: ignore[call-overload]
        for name in MEMBERS:
            member = tarfile.TarInfo(name)
            member.size = 5
            archive.addfile(member, io.BytesIO(b"owned"))
        for number, (kind, target) in enumerate(LINKS.items()):
            member = tarfile.TarInfo(f"link{number}")
            member.type, member.linkname = kind, target
            archive.addfile(member)
    return held.getvalue()


ARCHIVES: dict[str, Callable[[], bytes]] = {
    "all.zip": a_zip,
    "all.tar": a_tar,
    "all.tar.gz": lambda: a_tar("w:gz"),
    "all.tgz": lambda: a_tar("w:gz"),
    "all.tar.xz": lambda: a_tar("w:xz"),
    "all.whl": a_zip,
}


@pytest.mark.threat("HE-03")
@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_that_is_handed_in_is_never_opened(name: str, tmp_path: Path) -> None:
    data = ARCHIVES[name]()
    for student, files in {
        "alone": {name: data},
        "beside": {name: data, "hw.ipynb": notebook("x = 1").encode()},
        "instead": {"hw.ipynb": data},
        "inside": {"src/" + name: data, "hw.ipynb": notebook("x = 1").encode()},
    }.items():
        for path, content in files.items():
            (tmp_path / "hw" / student / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "hw" / student / path).write_bytes(content)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    read = {one.student: one for one in Handed(tmp_path / "hw", "hw")}
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert not Path(OUTSIDE).exists()
    assert read["alone"].problem == f"no notebook: expected hw.ipynb, found {name}"
    assert "not a notebook" in read["instead"].problem
    for student, path in {"beside": name, "inside": f"src/{name}"}.items():
        assert [cell.source for cell in read[student].cells] == ["x = 1"]
        assert [file for file in read[student].files if file.path == path] in (
            [],
            [File(path=path, data=data)],
        )


@pytest.mark.threat("HE-03", "HE-04")
def test_no_archive_is_unpacked_or_asked_of_the_engine() -> None:
    calls = r"get_archive|put_archive|extractall|unpack_archive|\bcopy_(?:to|from)\b|docker cp"
    found = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "grader").rglob("*.py")
        if re.search(calls, path.read_text())
    }
    assert found == set()


# --- what reads write-ups -------------------------------------------------------------------------


@pytest.mark.threat("HE-08")
def test_a_write_up_includes_no_file_and_starts_no_program(tmp_path: Path) -> None:
    secret, made = tmp_path / "secret.txt", tmp_path / "made"
    secret.write_text("canary-of-the-host")
    tex = rf"""\documentclass{{article}}\usepackage{{verbatim}}\begin{{document}}\section{{3}}
\input{{{secret}}} \include{{{secret}}} \verbatiminput{{{secret}}} \lstinputlisting{{{secret}}}
\immediate\write18{{touch {made}}} \openin5={secret} \read5 to \x \x
\directlua{{os.execute("touch {made}")}} \def\x{{\x\x}}\x words \end{{document}}"""
    page = (
        f"# 3\nwords ![x](file://{secret}) <iframe src='file://{secret}'></iframe> $\\input{{x}}$"
    )
    for name, text in {"writeup.tex": tex, "writeup.md": page}.items():
        read = WriteUps(tmp_path / "kept").read((File(path=name, data=text.encode()),), ("3",))
        assert read is not None
        assert read.section("3") is not None
        assert "canary" not in repr(read)
        assert not made.exists()


@pytest.mark.threat("HE-08")
def test_no_browser_and_no_tex_is_on_the_trusted_side() -> None:
    renders = (
        "nbconvert|playwright|selenium|pyppeteer|weasyprint|pdflatex|xelatex|wkhtmltopdf|pandoc"
    )
    found = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "grader").rglob("*.py")
        if re.search(rf"\b(?:{renders})\b", path.read_text())
    }
    assert found == set()


# --- names ----------------------------------------------------------------------------------------

LOOK_ALIKE = {
    "itself": "alice",
    "another case": "Alice",
    "all capitals": "ALICE",
    "a Cyrillic letter": "\u0430lice",
    "full width": "\uff41lice",
    "a small capital": "al\u026ace",
    "an invisible letter": "ali\u200bce",
    "written backwards": "\u202eecila",
    "a mark": "\u1ea1lice",
    "a colour": "\x1b[8malice",
    "a formula": "=alice",
    "a path": "..alice",
}


@pytest.mark.threat("XS-06")
def test_who_imitates_a_name_has_a_row_and_a_file_of_their_own(
    tmp_path: Path, symbolic: Symbolic
) -> None:
    tolds = {name: Told(cells=(*Told().cells, f"n = {name!r}")) for name in LOOK_ALIKE.values()}
    tolds.pop("..alice")  # a hidden folder is nobody's
    folder = Press(tmp_path, symbolic, tolds).publish()
    with (folder / "scores.csv").open(newline="") as file:
        rows = [row["student"] for row in csv.DictReader(file)]
    assert len(rows) == len(set(rows)) == len(tolds)
    files = {path.stem.casefold() for path in (folder / "students").glob("*.csv")}
    assert len(files) == len(tolds)
    assert all(re.fullmatch(r"[a-z0-9_@-][a-z0-9._@-]*", name) for name in files)


SAME = {
    "two encodings": ("al\u00edce", "ali\u0301ce"),
    "a blank": ("alice", "alice "),
    "two blanks": ("alice smith", "alice  smith"),
    "a blank of another kind": ("alice smith", "alice\xa0smith"),
    "a tab": ("alice", "alice\t"),
    "two invisible letters": ("ali\u200bce", "ali\u200dce"),
}


@pytest.mark.threat("XS-06")
@pytest.mark.parametrize("names", SAME.values(), ids=SAME)
def test_two_names_that_would_be_one_in_a_table_are_refused(
    names: tuple[str, str], tmp_path: Path
) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip("this file system does not keep them apart")
    with pytest.raises(InputError, match=r"expected one folder named .*, found two"):
        _ = Handed(tmp_path, "hw").students


# --- the class's table ----------------------------------------------------------------------------

EVIL = "'\",;\r\n=1+1\x00</td></tr><tr>s01,complete,99,99,99"
POISON = {
    "odd values": Told(
        cells=(*Told().cells, "bad = 1"),
        masks={"public1": {"points": 99}, "case1": float("nan"), "case2": [EVIL] * 99},
        sizes={"points": 10**400, EVIL: float("inf")},
        losses=[float("nan"), -1e308, EVIL],
        receipts={1: {"text": EVIL, "ename": EVIL, "evalue": EVIL, "traceback": EVIL}},
    ),
    "nothing but text": Told(cells=("# 3\n" + EVIL,), sizes=None, losses=None),
}


def seen_of_others(root: Path, symbolic: Symbolic, more: dict[str, Told]) -> dict[str, bytes]:
    """All that tables and pages say of two honest students, byte by byte."""
    tolds = {"s01": Told(), "s02": Told(diagonal=-1, cells=(*Told().cells, "n = 2"))}
    folder = Press(root, symbolic, tolds | more).publish()
    found = {path.name: path.read_bytes() for path in (folder / "students").glob("s0[12].*")}
    for name in ("scores.csv", "staff.csv"):
        lines = (folder / name).read_bytes().splitlines(keepends=True)
        found[name] = b"".join(
            [lines[0], *(line for line in lines if line[:4] in (b"s01,", b"s02,"))]
        )
    return found


@pytest.mark.threat("XS-05")
@pytest.mark.parametrize("poison", POISON)
def test_nobody_changes_a_byte_of_what_is_said_of_others(
    poison: str, tmp_path: Path, symbolic: Symbolic
) -> None:
    alone = seen_of_others(tmp_path / "alone", symbolic, {})
    assert len(alone) == 6
    more = {"evil": POISON[poison], "=s01\n": POISON[poison]}
    assert seen_of_others(tmp_path / "together", symbolic, more) == alone


# --- time -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.threat("AL-07")
def test_how_long_judging_took_is_told_to_no_student(tmp_path: Path, symbolic: Symbolic) -> None:
    """A rubric's reference that takes its time changes nothing that students get."""
    found = []
    for root, seconds in ((tmp_path / "quick", 0.0), (tmp_path / "slow", 0.3)):
        slow = f"import time\n\ndef mask(n):\n    time.sleep({seconds})\n    return right(n)\n"
        press = Press(root, symbolic, {"s01": Told(), "s02": Told(diagonal=-1)})
        path = root / "reference" / "hw" / "reference.py"
        path.write_text(path.read_text().replace("def mask", "def right") + slow)
        context = replace(press.assignment.context, reference=Reference(path))
        press.assignment = replace(press.assignment, context=context)
        folder = press.publish() / "students"
        found.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert len(found[0]) == 4
    assert found[0] == found[1]


# --- being graded ---------------------------------------------------------------------------------

LOOKS = """
import json, os, socket, sys
print("SEEN" + json.dumps({
    "environment": dict(os.environ), "arguments": sys.argv, "host": socket.gethostname(),
    "modules": sorted(sys.modules), "cwd": os.getcwd(), "files": sorted(os.listdir(".")),
}) + "/SEEN")
"""


@pytest.mark.slow
@pytest.mark.threat("RS-15")
def test_a_notebook_cannot_tell_the_self_check_from_grading(
    opened: Opener, tmp_path: Path, symbolic: Symbolic
) -> None:
    name = "process" if engine.why_not() else "docker"
    recorder = Recorder(opened(name))
    course = make_course(tmp_path)
    write(course.root / "submissions" / "hw" / "s01" / "hw.ipynb", notebook(LOOKS, *TEMPLATE))
    assignment = course.open("hw", symbolic)
    release(course, assignment, tmp_path / "out")
    told = read_self_check(tmp_path / "out" / "hw" / "hw.check.json")
    check(tmp_path / "submissions" / "hw" / "s01" / "hw.ipynb", told, recorder, symbolic)
    submission = read_submission(tmp_path / "submissions" / "hw" / "s01", "hw", assignment.layout)
    execute(submission, assignment.plan(recorder.image), recorder, None)
    by_self, by_us = (looked(frames) for frames in recorder.frames)
    assert by_self == by_us


def looked(frames: bytes) -> Any:
    found = re.search(rb"SEEN(\{.*?\})/SEEN", frames, re.DOTALL)
    assert found
    seen = json.loads(found[1])
    base = str(Path(seen["cwd"]).parent)  # another one at every run without a sandbox
    told = json.dumps(seen).replace(base, "BASE") if len(base) > 1 else json.dumps(seen)
    return json.loads(re.sub(r"/k\w{8}/", "/", told))
