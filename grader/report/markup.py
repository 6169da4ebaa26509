"""Pieces of HTML and SVG around text that is made visible and escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

from grader.report.inert import line


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """A table of numbers; its first column names the rows."""
    columns = joined('<th scope="col">{}</th>', head)
    body = Markup("").join(
        html('<tr><th scope="row">{}</th>{}</tr>', row[0], joined("<td>{}</td>", row[1:]))
        for row in rows
    )
    return html(
        '<div class="scroll" role="group" aria-label="{0}" tabindex="0"><table class="numbers">'
        "<caption>{0}</caption><thead><tr>{1}</tr></thead><tbody>{2}</tbody></table></div>",
        caption,
        columns,
        body,
    )


def text(x: float, y: float, words: str, anchor: str, more: str = "") -> str:
    """Words in a drawing, of one line."""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f"<text {place}{more and ' ' + more}>{escape(line(words, 40))}</text>"


def svg(
    width: int, height: int, alt: str, parts: Iterable[str], *, wide: int = 0, kind: str = "chart"
) -> Markup:
    """A picture of its own coordinates; `parts` are markup of ours."""
    wide = wide or width
    size = f'width="{wide}" height="{max(1, round(wide * height / width))}"'
    head = f'<svg class="{kind}" viewBox="0 0 {width} {height}" {size} role="img"'
    label = escape(line(alt, 500))
    return Markup(f'{head} aria-label="{label}">{"".join(parts)}</svg>')  # noqa: S704 - as said


def html(template: str, *parts: str) -> Markup:
    """Markup of ours around parts that are made visible and escaped."""
    shown = [part if isinstance(part, Markup) else line(part, 300) for part in parts]
    return Markup(template).format(*shown)  # noqa: S704 - callers pass constants


def joined(template: str, items: Iterable[str]) -> Markup:
    """The same markup around each of many items."""
    return total(html(template, line(item, 100)) for item in items)


def total(parts: Iterable[Markup]) -> Markup:
    """Pieces of markup as one."""
    return Markup("").join(parts)
