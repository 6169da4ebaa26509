"""`figure`: what was drawn, read by the guest and judged outside."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asking import Asked, Asker, ok, said
from guest_driver import ask, run_guest
from pydantic import ValidationError

from grader.checks.figure import FIGURES
from grader.evidence import Observation
from grader.guest import figures as guest_figures
from grader.values import Value
from grader.verdict import Conclusion

REFERENCE = """\
import torch
losses = [3.0, 2.0, 1.0]
mask = torch.tril(torch.ones(3, 3)) == 1
"""
DRAWING = """\
import matplotlib.pyplot as plt
losses = [3.0, 2.0, 1.0]
plt.plot(losses, label="train")
plt.title("Training loss"); plt.xlabel("epoch"); plt.legend()
plt.show()
plt.plot([9.0, 8.0])
plt.figure()
plt.imshow([[1, 0, 0], [1, 1, 0], [1, 1, 1]]); plt.title("Mask")
"""
MORE = """\
figure, both = plt.subplots(1, 2)
both[0].bar(["a", "b"], [3, 4]); both[0].set_title("counts")
both[1].scatter([1, 2], [3, 4]); both[1].set_ylabel("scattered")
_ = both[0].barh([0], [7])
"""


@pytest.fixture(scope="module")
def drawn() -> Value:
    """What the guest brings back of real figures."""
    seen = run_guest(DRAWING, MORE, probes=[ask("figures", FIGURES)]).seen()
    return seen[FIGURES]


@pytest.fixture
def asker(tmp_path: Path) -> Asker:
    return Asker(tmp_path, REFERENCE)


def judged(asked: Asked, drawn: Value, **captured: Value) -> Conclusion:
    assert asked.problems == []
    replies: dict[str, Observation] = {name: ok(value) for name, value in captured.items()}
    return asked.judge_replies(figures=ok(drawn), **replies)


def test_both_sides_call_the_figures_alike() -> None:
    assert guest_figures.NAME == FIGURES


def test_each_figure_is_read_before_it_is_closed(drawn: Any) -> None:
    told = [[axes["title"] for axes in figure["axes"]] for figure in drawn]
    assert told == [["Training loss"], [""], ["Mask"], ["counts", ""]]
    first = drawn[0]["axes"][0]
    assert (first["x"], first["y"], first["legend"]) == ("epoch", "", ["train"])
    np.testing.assert_array_equal(first["lines"][0]["y"].array, [3.0, 2.0, 1.0])


RIGHT: dict[str, tuple[Any, dict[str, Any]]] = {
    "a line": ("training LOSS", {"lines": [3, 2, 1]}),
    "a line of the reference": ("train", {"lines": {"reference": "losses"}}),
    "by number": (1, {"lines": [3, 2, 1], "labels": ["x", "title", "legend"]}),
    "enough points": ("loss", {"at_least_points": 3}),
    "an image": ("mask", {"images": {"reference": "mask"}}),
    "bars": ("counts", {"bars": [3, 4]}),
    "bars that lie": ("counts", {"bars": [7]}),
    "points": ("scattered", {"points": [[1, 3], [2, 4]]}),
}


@pytest.mark.parametrize(("of", "settings"), RIGHT.values(), ids=RIGHT)
def test_what_was_drawn_is_found(of: Any, settings: Any, asker: Asker, drawn: Value) -> None:
    found = judged(asker("figure", of, **settings), drawn)
    assert said(found) == (1.0, "The figure shows what is asked.")


WRONG: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no such figure": (
        "accuracy",
        {"labels": ["x"]},
        "Nothing draws a figure with 'accuracy' in its title, labels or legend.",
    ),
    "no such number": (5, {"labels": ["x"]}, "Nothing draws figure 5 of the notebook."),
    "other data": ("loss", {"lines": [3, 2, 2]}, "The figure lacks a line with the right data."),
    "too few points": (
        "loss",
        {"at_least_points": 4},
        "The figure lacks a line of at least 4 points (the longest has 3).",
    ),
    "no label": ("loss", {"labels": ["x", "y"]}, "The figure lacks a label of the y axis."),
    "two things": (
        2,
        {"labels": ["title"], "images": [[1]]},
        "The figure lacks a title and an image with the right data.",
    ),
    "a transposed image": (
        "mask",
        {"images": [[1, 1, 1], [0, 1, 1], [0, 0, 1]]},
        "The figure lacks an image with the right data.",
    ),
}


@pytest.mark.parametrize(("of", "settings", "says"), WRONG.values(), ids=WRONG)
def test_what_is_missing_is_said(
    of: Any, settings: Any, says: str, asker: Asker, drawn: Value
) -> None:
    assert said(judged(asker("figure", of, **settings), drawn)) == (0.0, says)


def test_a_line_may_be_compared_with_the_students_own_numbers(asker: Asker, drawn: Value) -> None:
    asked = asker("figure", "loss", lines={"variable": "losses"})
    assert asked.requests["lines"] == {"op": "capture", "name": "losses"}
    assert said(judged(asked, drawn, lines=[3.0, 2.0, 1.0]))[0] == 1
    assert said(judged(asked, drawn, lines=[3.0, 2.0]))[0] == 0


HOSTILE: dict[str, Value] = {
    "no list": "figures",
    "no figure": [1, None, {"title": 3, "axes": []}],
    "no axes": [{"title": "loss", "axes": [1, {"title": "loss"}]}],
    "odd parts": [
        {
            "title": "loss",
            "axes": [
                {"title": "", "x": "", "y": "", "legend": [3], "lines": [1, {"label": 2, "y": 3}]}
                | {"points": ["a"], "bars": [[]], "images": [{}, 10**400]}
            ],
        }
    ],
}


@pytest.mark.parametrize("reply", HOSTILE.values(), ids=HOSTILE)
def test_a_forged_reply_earns_nothing_and_breaks_nothing(reply: Value, asker: Asker) -> None:
    asked = asker("figure", "loss", lines=[3], points=[[1, 2]], bars=[1], images=[[1]])
    assert said(judged(asked, reply))[0] == 0


def test_a_number_beyond_all_floats_is_no_data(asker: Asker, drawn: Value) -> None:
    asked = asker("figure", "loss", lines={"variable": "losses"})
    assert said(judged(asked, drawn, lines=[10**400, 2, 1]))[0] == 0


def test_a_check_that_makes_no_sense_is_refused(asker: Asker) -> None:
    assert asker("figure", "loss").problems == [
        ((), "expected something to look at: lines, points, bars, images, labels")
    ]
    assert asker("figure", "loss", lines={}).problems == [
        (("lines",), "expected either reference or variable")
    ]


NUMBERS = "numbers, or {variable: name} without the brackets"
NAMES = "a list of numbers, {reference: name} or {variable: name}"


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ([{"variable": "costs"}], NUMBERS),
        (["costs"], NUMBERS),
        ([[1, 2], [3]], NUMBERS),
        ({"typo": 3}, NAMES),
        ({"variable": "not a name"}, NAMES),
        (3, NAMES),
    ],
)
@pytest.mark.parametrize("key", ["lines", "points", "bars", "images"])
def test_data_that_are_no_numbers_are_refused(
    asker: Asker, key: str, written: Any, says: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        asker("figure", "loss", **{key: written})
    told = [(error["loc"], error["msg"]) for error in refused.value.errors()]
    assert told == [((key,), f"Value error, {says}")]


@pytest.mark.slow
def test_a_notebook_without_matplotlib_has_no_figures() -> None:
    assert run_guest("x = 1", probes=[ask("figures", FIGURES)]).seen() == {FIGURES: []}


@pytest.mark.slow
def test_a_figure_that_is_drawn_again_counts_once() -> None:
    cell = "import matplotlib.pyplot as plt\nf, a = plt.subplots()\na.plot([1, 2])\nf"
    seen = run_guest(cell, "a.plot([3])\nf", probes=[ask("figures", FIGURES)]).seen()
    assert [len(figure["axes"][0]["lines"]) for figure in seen[FIGURES]] == [2]


@pytest.mark.slow
def test_endless_data_is_left_out_and_costs_nothing_else() -> None:
    cell = "import matplotlib.pyplot as plt\nplt.plot(range(2_000_000)); plt.plot([1, 2])"
    seen = run_guest(cell, probes=[ask("figures", FIGURES)]).seen()
    lines = seen[FIGURES][0]["axes"][0]["lines"]
    assert lines[0]["y"] is None
    assert lines[1]["y"].array.tolist() == [1.0, 2.0]


SAVING = """\
import matplotlib.pyplot as plt
plt.plot([3.0, 2.0, 1.0]); plt.title("Saved loss")
plt.savefig("loss.png"); plt.close()
plt.plot([9.0]); plt.title("Scratch")
plt.close()
figure, axes = plt.subplots()
axes.plot([5.0]); axes.set_title("Both"); figure.savefig("both.png")
plt.show()
"""
OBJECT = """\
from matplotlib.figure import Figure
alone = Figure()
axes = alone.add_subplot(); axes.plot([7.0]); axes.set_title("Alone")
alone.savefig("alone.png")
"""


def titles(figures: Any) -> list[str]:
    return [figure["axes"][0]["title"] for figure in figures]


@pytest.mark.slow
def test_a_figure_that_is_saved_and_closed_is_read_and_a_scratch_is_not(tmp_path: Path) -> None:
    again = "axes.plot([6.0]); alone.savefig('alone.png')"
    ran = run_guest(SAVING, OBJECT, again, probes=[ask("figures", FIGURES)], cwd=tmp_path)
    assert ran.statuses == ["ok"] * 3, ran.receipts
    seen = ran.seen()[FIGURES]
    assert titles(seen) == ["Saved loss", "Both", "Alone"]
    lines = [[line["y"].array.tolist() for line in f["axes"][0]["lines"]] for f in seen]
    assert lines == [[[3.0, 2.0, 1.0]], [[5.0]], [[7.0], [6.0]]]


@pytest.mark.slow
def test_films_and_pictures_take_no_room_from_curves(tmp_path: Path) -> None:
    film = "import matplotlib.pyplot as plt, io\nfor n in range(60):\n    plt.plot(range(9000))\n"
    film += "    plt.title(f'Frame {n}'); plt.savefig(io.BytesIO(), dpi=10); plt.close()"
    images = "import numpy as np\nfigure, all = plt.subplots(1, 3)\n"
    images += "for one in all: _ = one.imshow(np.ones((600, 600)))\n"
    images += "_ = all[0].plot([3.0, 2.0]); _ = all[0].set_title('Pictures')\nplt.show()"
    curve = "plt.plot([2.0, 1.0]); plt.title('Loss')"
    ran = run_guest(film, images, curve, probes=[ask("figures", FIGURES)], cwd=tmp_path)
    seen = ran.seen()[FIGURES]
    names = titles(seen)
    assert (names[:2], names[-2:]) == (["Frame 0", "Frame 1"], ["Pictures", "Loss"])
    assert len(seen) == guest_figures.MAX_FIGURES["saved"] + 2
    pictures, loss = seen[-2:]
    assert [one["images"][0] is None for one in pictures["axes"]] == [False, False, True]
    assert pictures["axes"][0]["lines"][0]["y"].array.tolist() == [3.0, 2.0]
    assert loss["axes"][0]["lines"][0]["y"].array.tolist() == [2.0, 1.0]


def test_a_gallery_full_of_saved_figures_takes_one_that_is_shown_later() -> None:
    figure = pytest.importorskip("matplotlib.figure")
    gallery = guest_figures.Gallery()
    room = guest_figures.MAX_FIGURES["saved"]
    made = [figure.Figure() for _ in range(room + 2)]
    for number, one in enumerate(made):
        one.add_subplot().set_title(str(number))
        gallery.save(one)
    assert titles(gallery.everything()) == [str(number) for number in range(room)]
    gallery.notice(made[3])
    gallery.notice(made[room + 1])
    gallery.save(made[room])
    shown = [*range(room), room + 1, room]
    assert titles(gallery.everything()) == [str(number) for number in shown]
