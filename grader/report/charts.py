"""Charts as inline SVG: bars, clouds, curves, growth."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from grader.report.markup import html, svg, text
from grader.report.picture import Cloud, Curves, Floats, Growth

WIDTH, HEIGHT = 360, 250
LEFT, RIGHT, TOP, BOTTOM = 54, 12, 12, 40
#: Of numbers that are drawn: beyond them, floats lose digits or are no numbers any more.
LEAST, MOST = 1e-300, 1e300


def bars(labels: Sequence[str], counts: Sequence[int], alt: str) -> Markup:
    """A bar a label with its count above it."""
    most = max([*counts, 1])
    step = (WIDTH - 16) / max(len(counts), 1)
    parts = []
    for number, (label, count) in enumerate(zip(labels, counts, strict=True)):
        x, height = 8 + number * step, (HEIGHT - 70) * count / most
        y, middle = HEIGHT - 36 - height, x + step / 2
        box = f'width="{step - 4:.1f}" height="{height:.1f}"'
        parts.append(f'<rect class="mark" x="{x + 2:.1f}" y="{y:.1f}" {box}/>')
        if count:
            parts.append(text(middle, y - 6, str(count), "middle"))
        parts.append(text(middle, HEIGHT - 18, label, "middle"))
    base = f'<path class="axis" d="M8 {HEIGHT - 36}H{WIDTH - 8}"/>'
    return svg(WIDTH, HEIGHT, alt, [*parts, base])


def cloud_chart(cloud: Cloud) -> Markup:
    """Results over what was expected, and the line on which all points would lie."""
    if not cloud.seen.size:
        return Markup("<p>No number is finite.</p>")
    both = np.concatenate([cloud.seen, cloud.expected])
    axes = _Axes(_span(both), _span(both))
    points = "".join(
        f"M{axes.x(e):.1f} {axes.y(s):.1f}h0"
        for s, e in zip(cloud.seen, cloud.expected, strict=True)
    )
    low, high = axes.across
    ideal = f"M{axes.x(low):.1f} {axes.y(low):.1f}L{axes.x(high):.1f} {axes.y(high):.1f}"
    spread = np.abs(cloud.seen - cloud.expected)
    alt = (
        f"{cloud.seen.size} points, result over expected; the largest error is {spread.max():.3g}, "
        f"the middle one {np.median(spread):.3g}; values from {low:.3g} to {high:.3g}"
    )
    parts = [*axes.drawn("expected", "result"), f'<path class="ideal" d="{ideal}"/>']
    drawing = svg(WIDTH, HEIGHT, alt, [*parts, f'<path class="points" d="{points}"/>'])
    key = '<p class="key">On the dashed line, the result is what was expected.</p>'
    return drawing + Markup(key)  # noqa: S704 - a constant


def curves_chart(curves: Curves) -> Markup:
    """One line a series; the second is dashed."""
    values = np.concatenate([series.values for series in curves.series])
    finite = values[np.isfinite(values)]
    if not finite.size:
        return Markup("<p>No number is finite.</p>")
    longest = max(series.values.size for series in curves.series)
    low, high = _span(finite)
    room = (high - low) / 20
    axes = _Axes((0.0, float(max(longest - 1, 1))), (low - room, high + room))
    parts = axes.drawn("entry", curves.series[0].label if len(curves.series) == 1 else "value")
    told = []
    for number, series in enumerate(curves.series):
        kind = "series" if number == 0 else "series other"
        parts.append(f'<path class="{kind}" d="{_line(series.values, axes)}"/>')
        told.append(_told(series.label, series.values))
    drawing = svg(WIDTH, HEIGHT, "; ".join(told), parts)
    named = " and ".join(
        f"{'dashed' if number else 'solid'}: {series.label}"
        for number, series in enumerate(curves.series)
    )
    return drawing + (html('<p class="key">{}</p>', named) if len(curves.series) > 1 else "")


def growth_chart(growth: Growth) -> Markup:
    """Amounts over sizes on scales of powers, where a slope is an exponent."""
    sizes = np.log10([float(size) for size, _ in growth.points])
    amounts = np.log10([amount for _, amount in growth.points])
    asked = amounts[0] + growth.exponent * (sizes - sizes[0])
    axes = _Axes(_span(sizes), _span(np.concatenate([amounts, asked])))
    path, ideal = (
        "M" + "L".join(f"{axes.x(x):.1f} {axes.y(y):.1f}" for x, y in zip(sizes, ys, strict=True))
        for ys in (amounts, asked)
    )
    floor = HEIGHT - BOTTOM
    parts = [f'<path class="axis" d="M{LEFT} {TOP}V{floor}H{WIDTH - RIGHT}"/>']
    for size, x in zip(growth.points, sizes, strict=True):
        parts.append(text(axes.x(x), floor + 17, str(size[0]), "middle"))
    for y in {amounts.min(), amounts.max(), asked.max()}:
        parts.append(text(LEFT - 6, axes.y(y) + 4, f"{10**y:.3g}", "end"))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 5, "n", "middle"))
    parts.append(f'<path class="ideal" d="{ideal}"/><path class="series" d="{path}"/>')
    told = "; ".join(f"n = {size}: {amount:.3g} {growth.unit}" for size, amount in growth.points)
    key = '<p class="key">Dashed: growth like n^{}, the most that is asked.</p>'
    return svg(WIDTH, HEIGHT, told, parts) + html(key, f"{growth.exponent:g}")


def _told(label: str, values: Floats) -> str:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return f"{label}: no finite number"
    ends = f"from {values[0]:.4g} to {values[-1]:.4g}"
    return f"{label}: {ends}, lowest {finite.min():.4g}, highest {finite.max():.4g}"


def _line(values: Floats, axes: _Axes) -> str:
    """A path through the finite values, broken where one is not."""
    path, pen = [], "M"
    for number, value in enumerate(values):
        if math.isfinite(value):
            path.append(f"{pen}{axes.x(number):.1f} {axes.y(value):.1f}")
        pen = "L" if math.isfinite(value) else "M"
    return "".join(path)


class _Axes:
    """Where numbers lie in the drawing, and the axes with their ticks."""

    def __init__(self, across: tuple[float, float], up: tuple[float, float]) -> None:
        self.across, self.up = across, up

    def x(self, value: float) -> float:
        low, high = self.across
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        low, high = self.up
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def drawn(self, across: str, up: str) -> list[str]:
        floor = HEIGHT - BOTTOM
        parts = [f'<path class="axis" d="M{LEFT} {TOP}V{floor}H{WIDTH - RIGHT}"/>']
        for tick in _ticks(*self.up):
            y = self.y(tick)
            parts.append(f'<path class="tick" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
            parts.append(text(LEFT - 6, y + 4, f"{tick:.4g}", "end"))
        for tick in _ticks(*self.across):
            parts.append(text(self.x(tick), floor + 17, f"{tick:.4g}", "middle"))
        middle = (LEFT + WIDTH - RIGHT) / 2
        parts.append(text(middle, HEIGHT - 5, across, "middle"))
        turned = f'transform="rotate(-90 12 {floor / 2:g})"'
        parts.append(text(12, floor / 2, up, "middle", turned))
        return parts


def _ticks(low: float, high: float) -> list[float]:
    """Two to seven round numbers in a range."""
    step = 10.0 ** math.floor(math.log10((high - low) / 2))
    while (high - low) / step > 6:
        step *= 2 if round(step / 10 ** math.floor(math.log10(step))) != 2 else 2.5
    first = math.ceil(low / step)
    many = [(first + number) * step for number in range(7)]
    return [tick for tick in many if tick <= high + step * 1e-9]


def _span(values: Floats) -> tuple[float, float]:
    """The range of finite values: neither empty nor too small or large to be divided."""
    low, high = (float(np.clip(v, -MOST, MOST)) for v in (values.min(), values.max()))
    most = max(abs(low), abs(high))
    if high - low <= max(1e-12 * most, LEAST):
        room = 0.5 * most if most > LEAST else 0.5
        return low - room, high + room
    return low, high
