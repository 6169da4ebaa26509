"""What a student draws with matplotlib, as plain data.

Figures are read when they are displayed, because the inline backend closes them right after, and
when they are saved, because students close them then; those that are still open when a probe asks
are read then. Nothing here imports matplotlib: where the student did not, there are no figures.

    figure := {title, axes: [axes]}
    axes   := {title, x, y, legend: [str], x_scale, y_scale,
               lines:  [{label, x: (n,), y: (n,)}],
               points: [{label, x: (n,), y: (n,)}],    of scatter
               bars:   [{label, heights: (n,), centres: (n,)}],
               images: [(rows, columns) or (rows, columns, channels)]}
"""

from __future__ import annotations

import contextlib
import functools
import sys
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

import numpy as np

#: What probes call the gallery: no name that a student could define.
NAME = "\0figures"
MAX_FIGURES = {"shown": 100, "saved": 50}
MAX_PARTS = 200
MAX_VALUES = {"shown": 1_000_000, "saved": 250_000}
"""Numbers that all figures of a notebook may hold together: 8 MiB if they were shown, 2 MiB if they
were only saved, as frames of a film are; so much for images, and as much again for all else."""
MAX_CHARS = 500


@dataclass(slots=True)
class Hung:
    """A figure as it was read last."""

    how: str
    """`shown`, or `saved` if it was only that."""
    found: dict[str, Any]
    used: dict[str, int]
    """Numbers in images, and in all else."""


class Gallery:
    """The figures of one kernel, in the order in which they were first shown or saved."""

    def __init__(self) -> None:
        """Start empty."""
        self._hung: list[Hung] = []
        self._places: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    def watch(self) -> None:
        """Read figures that are saved, from when matplotlib is imported."""
        sys.meta_path.insert(0, Watcher(self))

    def hang(self, figure: Any, how: str = "shown") -> None:
        """Read a figure; one that is shown or saved again replaces what it was before."""
        place = self._places.get(figure, len(self._hung))
        others = [*self._hung[:place], *self._hung[place + 1 :]]
        if "shown" in (how, *(one.how for one in self._hung[place : place + 1])):
            how = "shown"
        beside = [one for one in others if one.how == how]
        if len(beside) >= MAX_FIGURES[how]:
            return
        reader = Reader(MAX_VALUES[how], beside)
        self._hung[place : place + 1] = [Hung(how, reader.figure(figure), reader.used)]
        self._places[figure] = place

    def notice(self, shown: Any) -> None:
        """Read what is displayed if it is a figure."""
        kinds = {(kind.__module__, kind.__name__) for kind in type(shown).__mro__}
        if ("matplotlib.figure", "Figure") in kinds:
            with contextlib.suppress(Exception):  # a student may have changed what a figure does
                self.hang(shown)

    def save(self, figure: Any) -> None:
        """Read a figure that was saved."""
        with contextlib.suppress(Exception):  # as above
            self.hang(figure, "saved")

    def everything(self) -> list[dict[str, Any]]:
        """All figures, also those that are open and were never shown."""
        helpers = sys.modules.get("matplotlib._pylab_helpers")
        if helpers is not None:
            for manager in helpers.Gcf.get_all_fig_managers():
                with contextlib.suppress(Exception):
                    self.hang(manager.canvas.figure)
        return [one.found for one in self._hung]


class Reader:
    """Reads one figure, and counts its numbers."""

    def __init__(self, room: int, others: Sequence[Hung]) -> None:
        """Read what there is room for beside others.

        Args:
            room: Numbers that all may hold together, in images and again in all else.
            others: Figures of the same kind.
        """
        self.used = {"images": 0, "else": 0}
        self._room = {of: room - sum(one.used[of] for one in others) for of in self.used}

    def figure(self, figure: Any) -> dict[str, Any]:
        """What a figure shows."""
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
            "images": [self._array(i.get_array(), "images") for i in some(axes.get_images())],
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

    def _array(self, data: Any, of: str = "else") -> Any:
        """Numbers as an array of float64; None when they are no numbers, or too many."""
        found = np.ma.asarray(data)
        if self.used[of] + found.size > self._room[of] or found.dtype.kind not in "biuf":
            return None
        self.used[of] += found.size
        return np.ma.filled(found.astype(np.float64), np.nan)


class Watcher(MetaPathFinder):
    """Has figures read when they are saved, as soon as matplotlib is imported."""

    def __init__(self, gallery: Gallery) -> None:
        """Read them into a gallery."""
        self.gallery = gallery

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module as Python does, if it is the one of figures, and change what it loads."""
        spec = PathFinder.find_spec(name, path, target) if name == "matplotlib.figure" else None
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def changed(module: ModuleType) -> None:
            load(module)
            with contextlib.suppress(AttributeError):  # no module of matplotlib's
                noted(module.Figure, self.gallery)

        spec.loader.exec_module = changed  # type: ignore[method-assign]
        return spec


def noted(kind: Any, gallery: Gallery) -> None:
    """Change what saves a figure so that it is read then."""
    save = kind.savefig

    @functools.wraps(save)
    def savefig(figure: Any, *args: Any, **named: Any) -> Any:
        result = save(figure, *args, **named)
        gallery.save(figure)
        return result

    kind.savefig = savefig


def is_scatter(collection: Any) -> bool:
    """Whether it was drawn by `scatter`."""
    return type(collection).__name__ == "PathCollection"


def some(items: Iterable[Any]) -> list[Any]:
    """The first of many."""
    return list(items)[:MAX_PARTS]


def text(words: Any) -> str:
    """Words, cut to what a label may be."""
    return words[:MAX_CHARS] if isinstance(words, str) else ""
