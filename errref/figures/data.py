"""What a figure shows, as numbers: the points of its marks in one table, so that a reader can draw it again."""

from __future__ import annotations

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

Point = tuple[float, float] | tuple[float, float, float]
Series = tuple[str, Any, list[Point]]


def csv_of(figure: Figure) -> str:
    """The points of a figure as CSV: one line a point, as the number of its mark, x and y.

    A mark is one curve, one set of dots, one bar (two points, opposite corners), and so on. Lines that start with ``#``
    come first: what the axes of each panel are, with the meaning of named ticks, and of each mark its panel, kind,
    colour and legend label. A map has a fourth column, its value; a cell stands at its middle. What belongs to the
    axes and not to the data, such as a reference line or the bar of a colour scale, is left out, and so are filled
    contours. Numbers have six digits.

    Parameters
    ----------
    figure : matplotlib.figure.Figure

    Returns
    -------
    str

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> figure, ax = plt.subplots()
    >>> _ = ax.plot([0, 1], [2, 3], "k", label="a line"), ax.set_xlabel("step")
    >>> print(csv_of(figure))
    # panel 1: x is step
    # mark 1: panel 1, line, #000000, a line
    mark,x,y
    1,0,2
    1,1,3
    <BLANKLINE>
    """
    panels = [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]
    head, marks = [], list[list[Point]]()
    for panel, ax in enumerate(panels, start=1):
        if named := "; ".join(filter(None, (_axis(ax.xaxis, "x"), _axis(ax.yaxis, "y")))):
            head.append(f"# panel {panel}: {named}")
    for panel, ax in enumerate(panels, start=1):
        for kind, artist, points in _series(ax):
            marks.append(points)
            about = filter(None, [f"panel {panel}", kind, _colour(artist), _label(artist)])
            head.append(f"# mark {len(marks)}: {', '.join(about)}")
    head.append("mark,x,y,value" if any(len(points[0]) == 3 for points in marks) else "mark,x,y")
    lines = [",".join([str(n), *(f"{v:.6g}" for v in point)]) for n, points in enumerate(marks, 1) for point in points]
    return "\n".join([*head, *lines, ""])


def _label(artist: Artist) -> str:
    """The label of a mark in the legend, if it has one."""
    label = " ".join(str(artist.get_label()).split())
    return "" if label.startswith("_") else label


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
    """The marks of a panel that are drawn in the units of its data, each with at least one point."""
    return (series for series in _drawn(ax) if series[2])


def _drawn(ax: Axes) -> Iterator[Series]:
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
    return [(float(x), float(y)) for x, y in np.ma.filled(points, np.nan)]


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
