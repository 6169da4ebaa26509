"""What fuzzing has found, each as it was found, kept for good."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from grader import patterns
from grader.codec import encode
from grader.errors import InputError, RubricError, SubmissionError
from grader.intake.notebook import parse_notebook
from grader.readable import from_json
from grader.report.tables import file_names
from grader.rubric.model import LimitsModel, QuestionModel, SkipModel
from grader.rubric.yaml import Document


def test_a_format_of_many_digits_is_not_repeated() -> None:
    with pytest.raises(SubmissionError) as caught:
        parse_notebook(b'{"nbformat": ' + b"9" * 4000 + b"}", "hw.ipynb")
    says = "hw.ipynb has notebook format none; 3 and 4 are read: save it anew"
    assert str(caught.value) == says


@pytest.mark.parametrize("last", [b"a", b"b", b"c"])
def test_a_set_is_written_in_one_order(last: bytes) -> None:
    members = [b"a", b"b", b"c"]
    first = [*members[members.index(last) :], *members[: members.index(last)]]
    assert encode(set(first)) == encode({b"c", b"b", b"a"})
    assert encode({3 * 2**61, 3, -1, -2, 2**61 + 2}) == encode({-2, -1, 2**61 + 2, 3, 3 * 2**61})


@pytest.mark.parametrize(
    "written",
    [
        {"pairs": [[{}, None]]},
        {"pairs": [[]]},
        {"pairs": [1]},
        {"set": [{"a": 1}]},
        {"made": "x", "with": {"tensor": [1], "dtype": "int64", "shape": [1]}},
        {"tensor": [10**30], "dtype": "int64", "shape": [1]},
        {"tensor": [1], "dtype": "object", "shape": [1]},
        {"tensor": ["x"], "dtype": "S1000000000", "shape": [1]},
        {"tensor": [1], "dtype": "float32", "shape": [10**30]},
        {"tensor": [1], "dtype": "float32", "shape": [None, "1"]},
        json.loads("[" * 900 + "]" * 900),
    ],
    ids=str,
)
def test_a_self_check_that_was_changed_is_an_input_error(written: Any) -> None:
    with pytest.raises(InputError, match="of the self-check is malformed"):
        _deeper(300, written)


def _deeper(levels: int, written: Any) -> Any:
    return _deeper(levels - 1, written) if levels else from_json(written)


@pytest.mark.parametrize("points", ["inf", 1e10, 0, float("nan")])
def test_points_can_be_added_up(points: Any) -> None:
    with pytest.raises(ValueError, match="points"):
        QuestionModel.model_validate({"id": "1", "points": points, "checks": [{"value": "x"}]})


def test_a_limit_comes_to_an_end() -> None:
    with pytest.raises(ValueError, match="less than or equal to"):
        LimitsModel.model_validate({"cell": "9" * 400 + " s"})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pattern", "text"), [("a{99999999999}", "a{99999999999}"), ("(" * 5000 + ")" * 5000, "any")]
)
def test_a_pattern_beyond_what_python_reads_does_no_harm(pattern: str, text: str) -> None:
    assert SkipModel.model_validate({"matching": [pattern]}).matching == (pattern,)
    assert patterns.found(pattern, text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- " * 2000, "hw.yaml:1: expected at most 50 levels"),
        ("points: 0x" + "f" * 5000, "hw.yaml:1: expected a plain value: 0xfffff"),
    ],
    ids=["deep", "digits"],
)
def test_a_rubric_is_refused_in_words(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "hw.yaml").write_text(text)
    with pytest.raises(RubricError) as caught:
        Document(tmp_path / "hw.yaml", "hw.yaml")
    assert str(caught.value).startswith(says)


def test_a_folder_with_a_name_in_no_encoding_has_a_report() -> None:
    names = file_names(["s01", "\udcff", "\udcfe"])
    assert len(set(names.values())) == 3
    assert all(name.isascii() for name in names.values())
