"""What reads frames, values and YAML: pickles, odd JSON, bombs, and too much of everything.

Files and notebooks are in `test_parsers_files.py` and `test_parsers_notebooks.py`, formulas and
words in `test_parsers_formulas.py` and `test_parsers_text.py`; what fuzzing found is in
`tests/fuzz/test_found.py`.
"""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from frames_of import NOTHING, Writer, frame

from grader.codec import MAX_NODES, decode, encode
from grader.errors import ProtocolViolation, RubricError, SubmissionError
from grader.evidence import ProbeStatus, read_observations
from grader.frames import MAX_FRAMES, MAX_HEADER_BYTES, FrameReader
from grader.intake.notebook import parse_notebook
from grader.plan import Limits
from grader.rubric.yaml import Document
from grader.submission import Cell, CellKind
from grader.values import Tensor
from hostile.parsing import KEY, Evil, encoded, quickly, sealed

# --- TP-01: pickles ------------------------------------------------------------------------------


@pytest.mark.threat("TP-01")
@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_stays_bytes(protocol: int, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    evil = pickle.dumps(Evil(canary), protocol=protocol)
    writer = Writer(KEY).ready()
    writer.write("probe", evil, id="bytes", status="ok")
    writer.write("probe", Tensor(np.frombuffer(evil, np.uint8), "uint8"), id="array", status="ok")
    reader = FrameReader(KEY, Limits())
    reader.feed(bytes(writer.out))
    reader.feed(frame(KEY, {"seq": 3, "kind": "probe", "id": "whole", "status": "ok"}, evil))
    seen = read_observations(reader.frames, {"bytes", "array", "whole"})
    assert seen["bytes"].value == evil
    assert seen["array"].value.array.tobytes() == evil
    assert seen["whole"].status is ProbeStatus.MALFORMED
    assert not canary.exists()
    pickle.loads(evil)  # noqa: S301 - the sample bites whoever does this
    assert canary.exists()


# --- TP-05: JSON ---------------------------------------------------------------------------------

ODD_JSON: dict[str, str] = {
    "deep lists": "[" * 60_000,
    "deep objects": '{"a":' * 10_000,
    "a number of 5000 digits": '{"seq": ' + "9" * 5000 + "}",
    "NaN": '{"wall_s": NaN}',
    "minus infinity": '{"wall_s": -Infinity}',
    "a key twice": '{"seq": 0, "seq": 1}',
    "half a character": '{"kind": "\\ud800"}',
    "a lone quote": '"',
    "bytes that are no ASCII": '{"kind": "é"}',
    "a byte order mark": '\ufeff{"seq": 0}',
    "nothing": "",
    "a list": "[]",
}


@pytest.mark.threat("TP-05")
@pytest.mark.parametrize("odd", ODD_JSON)
def test_odd_json_in_the_header_of_a_frame_is_a_violation(odd: str) -> None:
    with quickly(), pytest.raises(ProtocolViolation):
        FrameReader(KEY, Limits()).feed(sealed(ODD_JSON[odd].encode()))


@pytest.mark.threat("TP-05")
@pytest.mark.parametrize("odd", ODD_JSON)
def test_odd_json_in_a_value_is_malformed(odd: str) -> None:
    with quickly(), pytest.raises(ProtocolViolation):
        decode(encoded(ODD_JSON[odd]))
    with quickly(), pytest.raises(ProtocolViolation):
        decode(encoded(f'[["str", {ODD_JSON[odd] or "-"}, 0]]'))


@pytest.mark.threat("TP-05")
@pytest.mark.parametrize("odd", ODD_JSON)
def test_odd_json_in_a_notebook_is_told(odd: str) -> None:
    with quickly(), pytest.raises(SubmissionError) as caught:
        parse_notebook(ODD_JSON[odd].encode(), "hw.ipynb")
    assert len(str(caught.value)) < 200


@pytest.mark.threat("TP-05", "TP-11")
def test_text_that_is_no_text_is_text_all_the_same() -> None:
    halves = encoded([["str", 0, 7]], b"a\xed\xa0\x80\xffbc")
    assert decode(halves) == "a\\xed\\xa0\\x80\\xffbc"
    assert decode(encode("a\ud800b")) == "a\\ud800b"


# --- TP-06: YAML ---------------------------------------------------------------------------------


def laughs(levels: int) -> str:
    """Lists of lists of lists, each nine times."""
    lines = ["l0: &l0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    for n in range(1, levels):
        lines.append(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]")
    return "\n".join(lines)


def merges(levels: int) -> str:
    """Objects that take over those before them."""
    lines = ["m0: &m0 {a: 1}"]
    lines += [f"m{n}: &m{n} {{<<: [*m{n - 1}, *m{n - 1}]}}" for n in range(1, levels)]
    return "\n".join(lines)


BOMBS: dict[str, tuple[str, str]] = {
    "laughs": (laughs(12), "aliases are not read"),
    "merges": (merges(40), "aliases are not read"),
    "a ring": ("a: &a [*a]", "aliases are not read"),
    "an object of Python": ("a: !!python/object/apply:os.system [id]", "tags are not read"),
    "a tag": ("a: !include /etc/passwd", "tags are not read"),
    "deep lists": ("[" * 200_000, "expected at most 50 levels"),
    "deep objects": ("{a: " * 200_000, "expected at most 50 levels"),
    "deep blocks": ("- " * 20_000, "expected at most 50 levels"),
    "deep keys": ("? " * 20_000, "expected"),
    "too long": ("a" * (1 << 20) + "a", "expected at most 1 MiB"),
    "digits": ("a: " + "9" * 100_000, "is too large a number"),
    "hexadecimal digits": ("a: 0x" + "f" * 100_000, "is too large a number"),
    "zero bytes": ("a: \0", "expected YAML"),
}


@pytest.mark.threat("TP-06")
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_in_yaml_ends_at_once(bomb: str, tmp_path: Path) -> None:
    text, says = BOMBS[bomb]
    (tmp_path / "hw.yaml").write_text(text)
    with quickly(cpu_s=1), pytest.raises(RubricError) as caught:
        Document(tmp_path / "hw.yaml", "hw.yaml")
    assert says in str(caught.value)
    assert len(str(caught.value)) < 200


# --- RX-06: too much of everything ---------------------------------------------------------------


def alike(count: int, spread: int) -> list[list[str]]:
    """Numbers of one hash: multiples of the prime that Python takes hashes by."""
    return [["int", str(n * spread)] for n in range(count)]


PRIME = 2**61 - 1
MANY = 100_000
#: Complex numbers of one hash, which is that of the real part plus 1000003 times the other's.
COMPLEX = [["complex", float(10**12 - 1000003 * n).hex(), float(n).hex()] for n in range(1, MANY)]
TOO_MUCH: dict[str, bytes] = {
    "nodes": encoded([["list", [*range(1, MAX_NODES + 1)]], *([["null"]] * MAX_NODES)]),
    "levels": encoded([["list", [n + 1]] for n in range(40)] + [["null"]]),
    "parts that share": encoded([["list", [n + 1] * 2] for n in range(17)] + [["null"]]),
    "objects": encoded("[" + "{}," * 4_000_000 + "{}]"),
    "numbers": encoded("[" + "0.5," * 4_000_000 + "1]"),
    "words": encoded("[" + '"ab",' * 3_300_000 + "1]"),
    "lists": encoded("[" + "[]," * 5_000_000 + "[]]"),
    "a set of one hash": encoded([["set", [*range(1, MANY + 1)]], *alike(MANY, PRIME)]),
    "a set of complex numbers of one hash": encoded([["set", [*range(1, MANY)]], *COMPLEX]),
    "keys of one hash": encoded(
        [["dict", [[n, MANY] for n in range(1, MANY)]], *alike(MANY - 1, PRIME), ["null"]]
    ),
}


@pytest.mark.slow
@pytest.mark.threat("RX-06")
@pytest.mark.parametrize("much", TOO_MUCH)
def test_a_value_of_too_much_is_refused_before_it_is_built(much: str) -> None:
    with quickly(cpu_s=3), pytest.raises(ProtocolViolation):
        decode(TOO_MUCH[much])


@pytest.mark.threat("RX-06")
@pytest.mark.parametrize("much", ["objects", "numbers", "words", "lists"])
def test_a_value_of_too_much_takes_no_memory(much: str) -> None:
    with quickly(peak_mib=2), pytest.raises(ProtocolViolation):
        decode(TOO_MUCH[much])


@pytest.mark.threat("RX-06")
def test_a_notebook_of_a_million_cells_is_refused_before_they_are_made() -> None:
    text = b'{"nbformat": 4, "cells": [' + b'{"cell_type":"code"},' * 400_000 + b"{}]}"
    with quickly(cpu_s=3), pytest.raises(SubmissionError, match="more than 2000 cells"):
        parse_notebook(text, "hw.ipynb")


SMALL_PARTS = {"lists": "[]", "objects": "{}", "numbers": "7", "names": '"":0'}


@pytest.mark.slow
@pytest.mark.threat("RX-06")
@pytest.mark.parametrize("part", SMALL_PARTS)
def test_a_notebook_of_too_many_small_parts_is_refused_before_they_are_made(part: str) -> None:
    many = ",".join([SMALL_PARTS[part]] * ((8 << 20) // (len(SMALL_PARTS[part]) + 1)))
    held = f"{{{many}}}" if part == "names" else f"[{many}]"
    text = f'{{"nbformat": 4, "cells": [], "metadata": {{"a": {held}}}}}'.encode()
    says = "hw.ipynb holds more lists and numbers than are read: clear outputs"
    with quickly(peak_mib=20), pytest.raises(SubmissionError, match=says):
        parse_notebook(text, "hw.ipynb")


@pytest.mark.slow
def test_a_notebook_with_large_outputs_is_read() -> None:
    drawn = [[number / 7, number / 9] for number in range(100_000)]
    printed = ["[0.5, {1: 2}],\n" * 20] * 20_000  # text: nothing is made of its brackets
    outputs = [{"data": {"application/json": drawn, "text/plain": printed}}]
    cell = {"cell_type": "code", "source": "x = 1", "outputs": outputs}
    text = json.dumps({"nbformat": 4, "cells": [cell]}).encode()
    assert text.count(b"[") > 500_000
    assert parse_notebook(text, "hw.ipynb").cells == (Cell(CellKind.CODE, "x = 1"),)


@pytest.mark.threat("RX-06")
def test_only_so_many_frames_are_taken() -> None:
    reader = FrameReader(KEY, Limits())
    writer = Writer(KEY).ready()
    for number in range(1, MAX_FRAMES):
        writer.write("cell", NOTHING, index=number, status="ok")
    reader.feed(bytes(writer.out))
    assert len(reader.frames) == MAX_FRAMES
    with pytest.raises(ProtocolViolation, match="follows the last one that is allowed"):
        reader.feed(frame(KEY, {"seq": MAX_FRAMES, "kind": "cell"}))


@pytest.mark.threat("RX-06")
def test_only_so_large_headers_and_values_are_taken() -> None:
    for head, payload in ((MAX_HEADER_BYTES + 1, 0), (10, (1 << 20) + 1), (2**32 - 1, 2**64 - 1)):
        reader = FrameReader(KEY, Limits(value_mib=1))
        with quickly(peak_mib=1), pytest.raises(ProtocolViolation, match="larger than the plan"):
            reader.feed(b"NGE1" + struct.pack(">IQ", head, payload))


@pytest.mark.threat("RX-06")
def test_only_the_value_that_is_too_much_is_lost() -> None:
    writer = Writer(KEY).ready().write("probe", [1.5], id="a", status="ok")
    reader = FrameReader(KEY, Limits())
    reader.feed(bytes(writer.out))
    header = {"seq": 2, "kind": "probe", "id": "b", "status": "ok"}
    reader.feed(frame(KEY, header, TOO_MUCH["levels"]))
    reader.feed(frame(KEY, {**header, "seq": 3, "id": "c"}, encode("fine")))
    seen = read_observations(reader.frames, {"a", "b", "c"})
    assert {name: one.status.value for name, one in seen.items()} == {
        "a": "ok",
        "b": "malformed",
        "c": "ok",
    }
