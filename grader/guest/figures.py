"""What a student draws with matplotlib, as plain data.

Figures are read when they are displayed, because the inline backend closes them right after; those
that are still open when a probe asks are read then. Nothing here imports matplotlib: where the
student did not, there are no figures.

    figure := {title, axes: [axes]}
    axes   := {title, x, y, legend: [str], x_scale, y_scale,
               lines:  [{label, x: (n,), y: (n,)}],
               points: [{label, x: (n,), y: (n,)}],    of scatter
               bars:   [{label, heights: (n,), centres: (n,)}],
               images: [(rows, columns) or (rows, columns, channels)]}
"""

from __future__ import annotations

import contextlib
import sys
import weakref
from collections.abc import Iterable
from typing import Any

import numpy as np

#: What probes call the gallery: no name that a student could define.
NAME = "\0figures"
MAX_FIGURES = 100
MAX_PARTS = 200
MAX_VALUES = 1_000_000
"""Numbers that all figures of a notebook may hold together: 8 MiB."""
MAX_CHARS = 500


class Gallery:
    """The figures of one kernel, in the order in which they were shown."""

    def __init__(self) -> None:
        """Start empty."""
        self.figures: list[dict[str, Any]] = []
        self._places: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._room = MAX_VALUES
        self._used: dict[int, int] = {}

    def hang(self, figure: Any) -> None:
        """Read a figure; one that is shown again replaces what it was before."""
        place = self._places.get(figure, len(self.figures))
        if place >= MAX_FIGURES:
            return
        self._room += self._used.pop(place, 0)
        before = self._room
        found = self._read(figure)
        self._used[place] = before - self._room
        self._places[figure] = place
        self.figures[place:] = [found, *self.figures[place + 1 :]]

    def notice(self, shown: Any) -> None:
        """Read what is displayed if it is a figure."""
        kinds = {(kind.__module__, kind.__name__) for kind in type(shown).__mro__}
        if ("matplotlib.figure", "Figure") in kinds:
            with contextlib.suppress(Exception):  # a student may have changed what a figure does
                self.hang(shown)

    def everything(self) -> list[dict[str, Any]]:
        """All figures, also those that are open and were never shown."""
        helpers = sys.modules.get("matplotlib._pylab_helpers")
        if helpers is not None:
            for manager in helpers.Gcf.get_all_fig_managers():
                with contextlib.suppress(Exception):
                    self.hang(manager.canvas.figure)
        return self.figures

    def _read(self, figure: Any) -> dict[str, Any]:
        heading = getattr(figure, "_suptitle", None)
        title = heading.get_text() if heading is not None else ""
        return {"title": text(title), "axes": [self._axes(one) for one in some(figure.axes)]}

    def _axes(self, axes: Any) -> dict[str, Any]:
        legend = axes.get_legend()
        titles = [axes.get_title(loc=place) for place in ("center", "left", "right")]
        return {
            "title": text(" ".join(title for title in titles if title)),
            "x": text(axes.get_xlabel()),
            "y": text(axes.get_ylabel()),
            "legend": [text(word.get_text()) for word in some(legend.get_texts())]
            if legend
            else [],
            "x_scale": text(axes.get_xscale()),
            "y_scale": text(axes.get_yscale()),
            "lines": [self._line(line) for line in some(axes.get_lines())],
            "points": [self._scatter(one) for one in some(axes.collections) if is_scatter(one)],
            "bars": [self._bars(one) for one in some(axes.containers) if hasattr(one, "patches")],
            "images": [self._array(image.get_array()) for image in some(axes.get_images())],
        }

    def _line(self, line: Any) -> dict[str, Any]:
        x, y = self._array(line.get_xdata()), self._array(line.get_ydata())
        return {"label": text(line.get_label()), "x": x, "y": y}

    def _scatter(self, collection: Any) -> dict[str, Any]:
        offsets = np.ma.asarray(collection.get_offsets())
        x, y = self._array(offsets[:, 0]), self._array(offsets[:, 1])
        return {"label": text(collection.get_label()), "x": x, "y": y}

    def _bars(self, container: Any) -> dict[str, Any]:
        boxes = [(bar.get_x(), bar.get_y(), bar.get_width(), bar.get_height()) for bar in container]
        if getattr(container, "orientation", "vertical") == "horizontal":
            boxes = [(y, x, height, width) for x, y, width, height in boxes]
        heights = self._array([height for _, _, _, height in boxes])
        centres = self._array([x + width / 2 for x, _, width, _ in boxes])
        return {"label": text(container.get_label()), "heights": heights, "centres": centres}

    def _array(self, data: Any) -> Any:
        """Numbers as an array of float64; None when they are no numbers, or too many."""
        found = np.ma.asarray(data)
        if found.size > self._room or found.dtype.kind not in "biuf":
            return None
        self._room -= found.size
        return np.ma.filled(found.astype(np.float64), np.nan)


def is_scatter(collection: Any) -> bool:
    """Whether it was drawn by `scatter`."""
    return type(collection).__name__ == "PathCollection"


def some(items: Iterable[Any]) -> list[Any]:
    """The first of many."""
    return list(items)[:MAX_PARTS]


def text(words: Any) -> str:
    """Words, cut to what a label may be."""
    return words[:MAX_CHARS] if isinstance(words, str) else ""
