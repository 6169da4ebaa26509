"""Pictures as HTML and inline SVG: numbers in, markup out.

Drawn here and not by matplotlib, because a line of SVG that the page's own style colours is legible
in light, in dark and on paper, is many times faster to make (a curve 0.2 ms in place of 150), and
needs no `style` attribute, which the pages' content security policy forbids.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from markupsafe import Markup

from grader.report.charts import cloud_chart, curves_chart, growth_chart
from grader.report.markup import html, svg, table, total
from grader.report.picture import Array, Cloud, Curves, Grid, Growth, Numbers2D, Panel, Picture

#: Steps of the colour of a number, from nothing to the largest.
LEVELS = 8
#: A matrix up to this many rows and columns is written out as a table, too.
SMALL = 8


def drawn(picture: Picture) -> Markup:
    """A picture as a `figure`: caption, alternative text, and its numbers where they are few."""
    with np.errstate(all="ignore"):  # what a student computed may be anything
        return _drawn(picture)


def _drawn(picture: Picture) -> Markup:
    match picture:
        case Grid():
            inner = _grid(picture)
        case Cloud():
            inner = cloud_chart(picture)
        case Curves():
            inner = curves_chart(picture)
        case Growth():
            inner = growth_chart(picture)
        case Numbers2D(head=head, rows=rows):
            return table(picture.caption, head, rows)
    return html(
        '<figure class="picture"><figcaption>{}</figcaption>{}</figure>',
        picture.caption,
        inner,
    )


def meter(share: float) -> Markup:
    """A bar that is filled to a share, beside a number that says the same."""
    filled = f"{100 * min(max(share, 0.0), 1.0):.1f}"
    return Markup(  # noqa: S704 - a number of ours
        '<svg class="meter" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" '
        'focusable="false"><rect class="track" width="100" height="6"/>'
        f'<rect class="mark" width="{filled}" height="6"/></svg>'
    )


def _grid(grid: Grid) -> Markup:
    """Matrices side by side; the last of three is a difference, on a scale of its own."""
    values, errors = grid.panels[:2], grid.panels[2:]
    scale = max(_largest(panel.values) for panel in values)
    shown = [_panel(panel, scale) for panel in values]
    shown += [_panel(panel, _largest(panel.values), cross=True) for panel in errors]
    small = all(max(panel.values.shape) <= SMALL for panel in values)
    written = [_written(panel) for panel in values] if small else []
    more = html("<details><summary>The numbers</summary>{}</details>", total(written))
    return html('<div class="panels">{}</div>{}', total(shown), more if written else "")


def _panel(panel: Panel, scale: float, *, cross: bool = False) -> Markup:
    rows, columns = panel.values.shape
    masks = panel.values.dtype.kind == "b"
    crossed = masks and cross
    parts = [_crosses(panel.values)] if crossed else list(_filled(panel.values, scale))
    if max(rows, columns) <= 2 * SMALL:
        across = "".join(f"M0 {row}H{columns}" for row in range(1, rows))
        down = "".join(f"M{column} 0V{rows}" for column in range(1, columns))
        parts.append(f'<path class="lines" d="{across}{down}"/>')
    parts.append(f'<rect class="frame" width="{columns}" height="{rows}"/>')
    inscribed = not masks and max(rows, columns) <= SMALL
    kind, step = ("matrix inscribed", 48) if inscribed else ("matrix", 16)
    parts += _inscribed(panel.values) if inscribed else []
    words = _words(panel)
    alt = f"{panel.title}: {rows} by {columns}; {words}"
    wide = step * columns if inscribed else min(240, max(88, step * columns))
    drawing = svg(columns, rows, alt, parts, wide=wide, kind=kind)
    return html('<div class="panel"><p><b>{}</b> {}</p>{}</div>', panel.title, words, drawing)


def _inscribed(values: Array) -> list[str]:
    """Every number in its cell."""
    return [
        f'<text x="{x + 0.5:g}" y="{y + 0.58:g}" text-anchor="middle">{_short(value)}</text>'
        for (y, x), value in np.ndenumerate(values)
    ]


def _short(value: float) -> str:
    """A number in at most six characters, or nearly so."""
    return told if len(told := f"{value:.3g}") <= 6 else f"{value:.1g}"


def _words(panel: Panel) -> str:
    """What a matrix holds, in a few words."""
    values = panel.values
    if values.dtype.kind == "b":
        count = f"{int(values.sum())} of {values.size}"
        return f"{count} places" if "differ" in panel.title else f"{count} are True"
    finite = values[np.isfinite(values)]
    odd = values.size - finite.size
    told = f"{finite.min():.4g} to {finite.max():.4g}" if finite.size else "no finite number"
    return told + (f", {odd} not finite" if odd else "")


def _filled(values: Array, scale: float) -> Iterable[str]:
    """Cells as one path a level: the more a number, the stronger; below zero in grey."""
    numbers = np.nan_to_num(values.astype(float), nan=0.0, posinf=0.0, neginf=0.0)
    levels = np.ceil(np.abs(numbers) / (scale or 1.0) * LEVELS).clip(0, LEVELS).astype(int)
    for below in (False, True):
        for level in range(1, LEVELS + 1):
            path = _runs((levels == level) & ((numbers < 0) == below))
            if path:
                kind = "below" if below else "mark"
                yield f'<path class="{kind}" fill-opacity="{level / LEVELS:g}" d="{path}"/>'
    odd = ~np.isfinite(values.astype(float))
    if odd.any():
        yield _crosses(odd)


def _runs(cells: Array) -> str:
    """A path over cells, those that touch in a row as one."""
    padded = np.pad(cells, ((0, 0), (1, 1))).astype(np.int8)
    edges = np.argwhere(np.diff(padded, axis=1)).tolist()
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return "".join(f"M{a} {y}H{b}V{y + 1}H{a}Z" for (y, a), (_, b) in pairs)


def _crosses(cells: Array) -> str:
    places = zip(*np.nonzero(cells), strict=True)
    path = "".join(f"M{x + 0.2:g} {y + 0.2:g}l.6 .6m0 -.6l-.6 .6" for y, x in places)
    return f'<path class="cross" d="{path}"/>'


def _written(panel: Panel) -> Markup:
    rows = [
        (str(number), *(str(v) if values.dtype.kind == "b" else f"{v:.4g}" for v in values))
        for number, values in enumerate(panel.values)
    ]
    head = ("", *map(str, range(panel.values.shape[1])))
    return table(panel.title, head, rows)


def _largest(values: Array) -> float:
    finite = np.abs(values[np.isfinite(values)].astype(float))
    return float(finite.max(initial=0.0))
