"""What a figure shows, as numbers: every point of it in one table, so that a reader can draw it again."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle, StepPatch
from matplotlib.ticker import FixedLocator

COLUMNS = ("panel", "mark", "kind", "label", "colour", "x", "y", "value")
Point = tuple[float, float, float | None]
Series = tuple[str, Any, list[Point]]


def csv_of(figure: Figure) -> str:
    """The points of a figure as CSV: one line a point.

    Lines that start with ``#`` come first: what the axes of each panel are, and what their named ticks stand for.
    The columns are the panel, the number of the mark in it (one curve, one set of dots, ...), its kind, its legend
    label and its colour, the point, and a value, which only the cells of a map have; a cell stands at its middle. A bar
    is two points, opposite corners. What belongs to the axes and not to the data, such as a reference line or the bar
    of a colour scale, is left out, and so are filled contours. Numbers have six digits.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> figure, ax = plt.subplots()
    >>> _ = ax.plot([0, 1], [2, 3], "k", label="a line"), ax.set_xlabel("step")
    >>> print(csv_of(figure))
    # panel 1: x is step
    panel,mark,kind,label,colour,x,y,value
    1,1,line,a line,#000000,0,2,
    1,1,line,a line,#000000,1,3,
    <BLANKLINE>
    """
    panels = [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]
    text = io.StringIO()
    for panel, ax in enumerate(panels, start=1):
        if named := "; ".join(filter(None, (_axis(ax.xaxis, "x"), _axis(ax.yaxis, "y")))):
            text.write(f"# panel {panel}: {named}\n")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for panel, ax in enumerate(panels, start=1):
        for mark, (kind, artist, points) in enumerate(_series(ax), start=1):
            label = str(artist.get_label())
            about = [panel, mark, kind, "" if label.startswith("_") else label, _colour(artist)]
            table.writerows([*about, *("" if v is None else f"{v:.6g}" for v in point)] for point in points)
    return text.getvalue()


def _axis(axis: Axis, name: str) -> str:
    """What an axis is, in words: its label, and its named ticks."""
    parts, locator = [" ".join(axis.get_label_text().split())], axis.get_major_locator()
    if isinstance(locator, FixedLocator):
        places = locator()
        words = [" ".join(text.split()) for text in axis.get_major_formatter().format_ticks(list(places))]
        parts.append(
            ", ".join(
                f"{place:g} = {word}"
                for place, word in zip(places, words, strict=True)
                if word not in ("", f"{place:g}")
            )
        )
    shown = ", ".join(filter(None, parts))
    return f"{name} is {shown}" if shown else ""


def _series(ax: Axes) -> Iterator[Series]:
    """The marks of a panel that are drawn in the units of its data."""
    for line in ax.lines:
        if line.get_transform() == ax.transData:
            yield "line", line, _plain(line.get_xydata())
    for collection in ax.collections:
        if isinstance(collection, PathCollection):
            yield "dots", collection, _plain(collection.get_offsets())
        elif not isinstance(collection, ContourSet) and collection.get_transform() == ax.transData:
            kind = "line" if isinstance(collection, LineCollection) else "area"
            for path in collection.get_paths():
                yield kind, collection, _plain(path.vertices)
    for patch in ax.patches:
        if isinstance(patch, StepPatch):
            values, edges, _ = patch.get_data()
            yield "steps", patch, _plain(np.column_stack([edges, [*values, values[-1]]]))
        elif isinstance(patch, Rectangle) and patch.get_data_transform() == ax.transData:
            (x, y), width, height = patch.get_xy(), patch.get_width(), patch.get_height()
            yield "bar", patch, _plain(np.array([[x, y], [x + width, y + height]]))
    for image in ax.images:
        yield "map", image, _cells(image.get_array(), image.get_extent(), image.origin)


def _plain(points: Any) -> list[Point]:
    """Points without a value."""
    return [(float(x), float(y), None) for x, y in np.ma.filled(points, np.nan)]


def _cells(values: Any, extent: Any, origin: str) -> list[Point]:
    """The cells of a map, with the place of the middle of each; extent is left, right, bottom, top."""
    if values.ndim != 2:
        return []  # a colour picture has no value
    rows, columns = values.shape
    x = np.interp(np.arange(columns) + 0.5, [0, columns], extent[:2])
    y = np.interp(np.arange(rows) + 0.5, [0, rows], extent[2:] if origin == "lower" else extent[:1:-1])
    shown = np.ma.filled(values.astype(float), np.nan)
    return [(x[c], y[r], float(shown[r, c])) for r in range(rows) for c in range(columns)]


def _colour(artist: Artist) -> str:
    """The colour of a mark, if all of it has one."""
    if hasattr(artist, "get_color"):
        colours = [artist.get_color()] if isinstance(artist, Line2D) else list(artist.get_color())
    elif isinstance(artist, StepPatch):
        colours = [artist.get_edgecolor()]
    else:
        colours = list(np.atleast_2d(artist.get_facecolor())) if hasattr(artist, "get_facecolor") else []
    return to_hex(colours[0]) if len(colours) == 1 else ""
