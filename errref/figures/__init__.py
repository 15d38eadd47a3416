"""Figures: rows or arrays in, a matplotlib Figure out. One module per chapter; what all figures share is here."""

from __future__ import annotations

import sys
from importlib.resources import files

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from errref.figures.data import csv_of

# One colour for each role, through the whole book (Okabe and Ito's palette, safe for colour-blind readers).
COLOURS = {
    "target": "#000000",
    "general": "#0072B2",
    "reflection": "#D55E00",
    "expert 1": "#009E73",
    "expert 2": "#CC79A7",
    "expert 3": "#E69F00",
    "expert 4": "#56B4E9",
    "control": "#7F7F7F",
    "oracle": "#B39B00",
    "paper": "#000000",
}
PAPER_MARK = {
    "marker": "D",
    "color": "white",
    "markeredgecolor": "black",
    "markersize": 7,
    "linestyle": "none",
    "zorder": 5,
}


def use_style() -> None:
    """Make the book's style sheet the one that matplotlib draws with from here on.

    In a notebook, every figure that is shown from here on also keeps its numbers, as `errref.figures.data.csv_of` gives
    them: beside the picture in the stored output, from where the built book offers them.

    Examples
    --------
    >>> with plt.rc_context():
    ...     use_style()
    ...     plt.rcParams["figure.constrained_layout.use"]
    True
    """
    plt.style.use(str(files("errref") / "static" / "errref.mplstyle"))
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None and shell.display_formatter is not None:
        bundle = shell.display_formatter.mimebundle_formatter
        bundle.for_type(Figure, lambda figure, **_: {"text/csv": csv_of(figure)})


def expert_colour(k: int) -> str:
    """Colour of expert ``k`` (1, 2, ...), or of the general network for 0; repeats after four experts."""
    return COLOURS["general"] if k == 0 else COLOURS[f"expert {(k - 1) % 4 + 1}"]


def paper_mark(ax: Axes, x, y, label: str | None = "paper") -> None:
    """The paper's printed value, always as the same mark."""
    ax.plot(x, y, label=label, **PAPER_MARK)  # type: ignore[arg-type]
