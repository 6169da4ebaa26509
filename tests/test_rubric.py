"""Every error of a rubric says where it stands, what was expected and what was found."""

from pathlib import Path

import pytest

from grader.assignment import place_of, read_rubric
from grader.checks import KINDS
from grader.errors import RubricError
from grader.rubric import Rubric
from grader.rubric.yaml import Document

GOOD = """\
assignment: hw
points: 3
limits: {cell: 10 s, total: 2 min, memory: 1 GiB}
questions:
  - id: 1a
    points: 1
    expression: count
    equals: n*(n+1)/2
    symbols: {n: positive integer}
  - id: 2
    points: 2
    checks:
      - function: mask
        weight: 3
        cases: [{n: 3}]
      - curve: losses
        falls_to: 0.5
"""


def load(text: str, tmp_path: Path) -> Rubric:
    path = tmp_path / "hw.yaml"
    path.write_text(text)
    return read_rubric(path, "hw.yaml")


def problems(text: str, tmp_path: Path) -> list[str]:
    with pytest.raises(RubricError) as caught:
        load(text, tmp_path)
    return list(caught.value.problems)


def test_a_rubric_shares_points_by_weight(tmp_path: Path) -> None:
    rubric = load(GOOD, tmp_path)
    assert [(c.id, c.kind, c.name, c.max_points) for c in rubric.checks] == [
        ("1a/1", "expression", "count", 1.0),
        ("2/1", "function", "mask", 1.5),
        ("2/2", "curve", "losses", 0.5),
    ]
    assert (rubric.limits.cell_s, rubric.limits.total_s, rubric.limits.memory_mib) == (
        10,
        120,
        1024,
    )


ALTERNATIVES = GOOD.replace(
    """    checks:
      - function: mask
        weight: 3
        cases: [{n: 3}]
      - curve: losses
        falls_to: 0.5
""",
    """    all_or_nothing: true
    alternatives:
      masked:
        - function: mask
          weight: 3
          cases: [{n: 3}]
        - curve: losses
          falls_to: 0.5
      counted:
        - value: steps
          equals: 6
""",
)


def test_each_alternative_shares_the_whole_of_the_points(tmp_path: Path) -> None:
    rubric = load(ALTERNATIVES, tmp_path)
    question = rubric.questions[1]
    assert [(c.id, c.alternative, c.max_points) for c in question.checks] == [
        ("2/masked/1", "masked", 1.5),
        ("2/masked/2", "masked", 0.5),
        ("2/counted/1", "counted", 2.0),
    ]
    assert question.all_or_nothing


def test_where_a_check_stands_is_found_again(tmp_path: Path) -> None:
    rubric = load(ALTERNATIVES, tmp_path)
    document = Document(tmp_path / "hw.yaml", "hw.yaml")
    lines = ALTERNATIVES.splitlines()
    found = [lines[document.line(place_of(document, check)) - 1] for check in rubric.checks]
    assert [line.strip() for line in found] == [
        "- id: 1a",
        "- function: mask",
        "- curve: losses",
        "- value: steps",
    ]


def test_a_mistake_in_an_alternative_says_where(tmp_path: Path) -> None:
    assert problems(ALTERNATIVES.replace("equals: 6", "equal: 6"), tmp_path) == [
        "hw.yaml:22: questions[1].alternatives.counted[0].equal: unknown key; did you mean equals?"
    ]


def test_a_question_has_checks_or_alternatives(tmp_path: Path) -> None:
    both = ALTERNATIVES.replace("    alternatives:", "    checks: [{value: x}]\n    alternatives:")
    none = GOOD + "  - {id: 3, points: 1}\n"
    assert problems(both, tmp_path)[0].startswith(
        "hw.yaml:10: questions[1]: expected either checks or alternatives, not both, found"
    )
    assert problems(none, tmp_path)[0].startswith(
        "hw.yaml:18: questions[2]: expected at least one check, found"
    )


def test_ids_are_text_even_where_they_look_like_numbers(tmp_path: Path) -> None:
    text = GOOD.replace("id: 1a", "id: 1.10").replace("id: 2", "id: 1e2")
    assert [question.id for question in load(text, tmp_path).questions] == ["1.10", "1e2"]


WORDS = {
    "1e-3": 1e-3,
    "-.5": -0.5,
    "1e5": 1e5,
    "010": 10,
    "0x1F": 31,
    "-.inf": float("-inf"),
    "true": True,
    "~": None,
    "yes": "yes",
    "off": "off",
    "2026-01-31": "2026-01-31",
    "1:30": "1:30",
    "1_000": "1_000",
    "'5'": "5",
    "{id: 3}": {"id": 3},
    "{on: 1e-3}": {"on": 1e-3},
}


@pytest.mark.parametrize(("written", "expected"), WORDS.items(), ids=WORDS)
def test_plain_words_are_what_yaml_1_2_says(written: str, expected: object, tmp_path: Path) -> None:
    path = tmp_path / "words.yaml"
    path.write_text(f"word: {written}\nid: 3\n")
    data = Document(path, "words.yaml").data
    assert (data["word"], data["id"]) == (expected, 3)
    assert type(data["word"]) is type(expected)


def test_a_tolerance_may_be_written_with_an_exponent(tmp_path: Path) -> None:
    text = GOOD.replace("weight: 3", "weight: 3\n        rtol: 1e-3")
    assert load(text, tmp_path).checks[1].params.model_dump()["rtol"] == 1e-3


WRONG = {
    "wrong type": (
        "points: 2\n",
        "points: two\n",
        [
            "hw.yaml:11: questions[1].points: expected a valid number, unable to parse string as a "
            "number, found 'two'"
        ],
    ),
    "unknown key": (
        "falls_to: 0.5",
        "fals_to: 0.5",
        ["hw.yaml:17: questions[1].checks[1].fals_to: unknown key; did you mean falls_to?"],
    ),
    "unknown key at the top": (
        "points: 3\n",
        "point: 3\n",
        ["hw.yaml:2: point: unknown key; did you mean points?"],
    ),
    "unknown kind": (
        "- curve: losses",
        "- curv: losses",
        [
            f"hw.yaml:16: questions[1].checks[1]: expected one kind of check ({', '.join(KINDS)}), "
            "found curv, falls_to; did you mean curve?"
        ],
    ),
    "points that do not add up": (
        "points: 3\n",
        "points: 4\n",
        ["hw.yaml:2: points: expected the sum of the questions' points, 3, found 4"],
    ),
    "duplicate id": (
        "id: 2",
        "id: 1a",
        [
            "hw.yaml:10: questions[1].id: expected an id of its own, found '1a' again (first on "
            "line 5)"
        ],
    ),
    "duplicate key": (
        "    points: 1\n",
        "    points: 1\n    points: 2\n",
        ["hw.yaml:7: questions[0].points: stands here twice"],
    ),
    "a limit without a unit": (
        "cell: 10 s",
        "cell: 10",
        ["hw.yaml:3: limits.cell: expected a quantity such as 60 s or 10 min, found 10"],
    ),
    "an alias": (
        "cases: [{n: 3}]",
        "cases: &a [{n: 3}]\n        public: *a",
        ["hw.yaml:16: write it out: aliases are not read"],
    ),
    "a tag": (
        "cases: [{n: 3}]",
        "cases: [{n: !!timestamp 2026-01-31}]",
        ["hw.yaml:15: expected a plain value: tags are not read"],
    ),
    "a number out of bounds": (
        "falls_to: 0.5",
        "falls_to: 1e999",
        ["hw.yaml:17: expected a plain value: 1e999 is too large a number"],
    ),
    "no YAML": ("questions:", "questions: [", None),
    "negative weight": (
        "weight: 3",
        "weight: -1",
        ["hw.yaml:14: questions[1].checks[0].weight: expected greater than 0, found -1"],
    ),
}


@pytest.mark.parametrize(("old", "new", "expected"), WRONG.values(), ids=WRONG)
def test_an_error_says_where_and_what(
    old: str, new: str, expected: list[str] | None, tmp_path: Path
) -> None:
    found = problems(
        GOOD.replace(old, new, 1) if new != "points: two\n" else _second(old, new), tmp_path
    )
    if expected is None:
        assert len(found) == 1
        assert found[0].startswith("hw.yaml:")
        return
    assert found == expected


def _second(old: str, new: str) -> str:
    return GOOD.replace("    " + old, "    " + new, 1)


@pytest.mark.parametrize(
    ("gpu", "required", "preferred", "memory_mib", "share"),
    [
        ("none", False, False, 0, False),
        ("required", True, False, 0, False),
        ("preferred", False, True, 0, False),
        ("6 GiB", True, False, 6144, False),
        ("{memory: 1536 MiB, share: true}", True, False, 1536, True),
        ("{need: preferred, memory: 2 GiB}", False, True, 2048, False),
        ("{}", True, False, 0, False),
    ],
)
def test_what_a_submission_needs_of_a_gpu(
    gpu: str, required: bool, preferred: bool, memory_mib: int, share: bool, tmp_path: Path
) -> None:
    rubric = load(GOOD.replace("memory: 1 GiB", f"memory: 1 GiB, gpu: {gpu}"), tmp_path)
    found = (rubric.limits.gpu, rubric.gpu_preferred)
    assert found == (required, preferred)
    assert (rubric.limits.gpu_mib, rubric.limits.gpu_share) == (memory_mib, share)


@pytest.mark.parametrize(
    ("gpu", "says"),
    [
        ("maybe", "limits.gpu.memory: expected a quantity such as 6 GiB, found 'maybe'"),
        ("512 MiB", "limits.gpu.memory: expected greater than or equal to 1024, found '512 MiB'"),
        (
            "{share: true}",
            "limits.gpu: expected memory beside share: how much of the GPU a submission may use, "
            "found {'share': True}",
        ),
        ("{shared: true}", "limits.gpu.shared: unknown key; did you mean share?"),
    ],
    ids=["no word", "too little", "share of nothing", "unknown key"],
)
def test_a_gpu_that_makes_no_sense_is_refused(gpu: str, says: str, tmp_path: Path) -> None:
    text = GOOD.replace("memory: 1 GiB", f"memory: 1 GiB, gpu: {gpu}")
    assert problems(text, tmp_path) == [f"hw.yaml:3: {says}"]


def test_all_errors_are_found_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("weight: 3", "weight: heavy").replace("cell: 10 s", "cell: soon")
    assert len(problems(text.replace("falls_to", "fals_to"), tmp_path)) == 3


def test_a_file_that_is_empty_or_missing_says_so(tmp_path: Path) -> None:
    assert problems("", tmp_path) == ["hw.yaml:1: the file is empty"]
    with pytest.raises(RubricError, match=r"gone\.yaml: expected a text file"):
        read_rubric(tmp_path / "gone.yaml", "gone.yaml")
