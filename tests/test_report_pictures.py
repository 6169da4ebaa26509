"""Pictures are drawn of numbers alone, and say in words what they show."""

import re

import numpy as np
import pytest

from grader.report.charts import bars
from grader.report.drawing import drawn
from grader.report.picture import Cloud, Curves, Grid, Growth, Numbers2D, Panel, Picture, Series

GROWTH = Growth(
    caption="Time", unit="ms", points=((64, 1.0), (256, 16.0), (1024, 250.0)), exponent=1
)


def alts(picture: Picture) -> list[str]:
    return re.findall(r'aria-label="([^"]*)"', drawn(picture))


def test_growth_is_drawn_beside_what_is_asked() -> None:
    shown = drawn(GROWTH)
    assert alts(GROWTH) == ["n = 64: 1 ms; n = 256: 16 ms; n = 1024: 250 ms"]
    assert "Dashed: growth like n^1, the most that is asked." in shown
    assert [">64<" in shown, ">1024<" in shown, ">250<" in shown] == [True] * 3


def test_a_cloud_says_how_far_off_it_is() -> None:
    cloud = Cloud(caption="c", seen=np.array([1.0, 2.5]), expected=np.array([1.0, 2.0]))
    assert alts(cloud) == [
        "2 points, result over expected; the largest error is 0.5, the middle one 0.25; "
        "values from 1 to 2.5"
    ]


def test_a_curve_is_broken_where_a_number_is_not_finite() -> None:
    values = np.array([3.0, 2.0, np.nan, 1.0, 0.5])
    shown = drawn(Curves(caption="losses", series=(Series(label="losses", values=values),)))
    path = re.search(r'class="series" d="([^"]*)"', shown)
    assert path is not None
    assert re.sub(r"[^ML]", "", path[1]) == "MLML"


def test_small_numbers_stand_in_their_cells() -> None:
    panel = Panel(title="Result", values=np.array([[0.5, -0.000123456]]))
    shown = drawn(Grid(caption="x", panels=(panel, panel)))
    assert ">0.5</text>" in shown
    assert ">-0.0001</text>" in shown
    assert '<path class="below"' in shown


@pytest.mark.parametrize(
    "picture",
    [
        Cloud(caption="c", seen=np.array([]), expected=np.array([])),
        Cloud(caption="c", seen=np.array([1e308, -1e308]), expected=np.array([0.0, 1e-308])),
        Curves(caption="c", series=(Series(label="l", values=np.full(4, np.inf)),)),
        Curves(caption="c", series=(Series(label="l", values=np.zeros(4)),)),
        Curves(caption="c", series=(Series(label="l", values=np.array([0.0, 5e-324])),)),
        Curves(caption="c", series=(Series(label="l", values=np.array([1e-309, 3e-309])),)),
        Cloud(caption="c", seen=np.array([0.0, 1e-323]), expected=np.array([5e-324, 0.0])),
        Grid(caption="c", panels=(Panel(title="t", values=np.zeros((0, 3))),) * 2),
        Grid(caption="c", panels=(Panel(title="t", values=np.full((2, 2), np.nan)),) * 3),
    ],
    ids=["empty", "huge", "infinite", "flat", "least", "denormal", "tiny", "no rows", "nan"],
)
def test_nothing_that_is_no_number_gets_into_a_drawing(picture: Picture) -> None:
    places = re.findall(r' (?:d|x|y|width|height|viewBox)="([^"]*)"', drawn(picture))
    assert not [place for place in places if re.search("nan|inf", place)]


def test_words_in_pictures_are_text() -> None:
    evil = "<script>x</script>\u202e"
    table = Numbers2D(caption=evil, head=(evil,), rows=((evil, evil),))
    curve = Curves(caption=evil, series=(Series(label=evil, values=np.arange(3.0)),) * 2)
    for shown in (drawn(table), drawn(curve), bars([evil], [1], evil)):
        assert "<script" not in shown
        assert "\u202e" not in shown
        assert "&lt;script&gt;" in shown
