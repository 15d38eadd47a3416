"""The figures of the chapter `rivals`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from errref.datasets import FUNCTIONS
from errref.figures import COLOURS
from errref.records import Row, numbers_of
from errref.statistics import estimate

Array = np.ndarray
RATIOS = (1e-3, 30.0)  # ratios beyond are drawn at the edge
CONFIDENCE = 0.95


def residuals(x: Array, left: Mapping[str, Array]) -> Figure:
    """What some systems leave of a target, f(x) - y, one panel each on the same scale."""
    figure, axes = plt.subplots(len(left), 1, figsize=(5.6, 1.5 * len(left)), sharex=True, sharey=True)
    for ax, (name, values) in zip(axes, left.items(), strict=True):
        role = {"base": "general", "error reflection": "reflection"}.get(name, "control")
        ax.plot(x, values, color=COLOURS[role], linewidth=1.5)
        ax.axhline(0, color="black", linewidth=0.6)
        ax.text(0.02, 0.97, name, transform=ax.transAxes, fontsize=10, va="top")
    axes[-1].set_xlabel("x")
    figure.supylabel("answer - target", fontsize=11)
    return figure


def ratios(rows: Sequence[Row], systems: Mapping[str, str]) -> Figure:
    """Median loss of each system over the median base loss, with its interval; reflection is a band through the panel.

    ``systems`` maps the name of a number of the rows to the words of the axis.
    """
    figure, axes = plt.subplots(3, 2, figsize=(7.2, 1.8 + 0.75 * len(systems)), sharey=True, sharex=True)
    for ax, function in zip(axes.flat, FUNCTIONS, strict=True):
        numbers = numbers_of(rows, function=function)
        _, low, high = _against_base(numbers, "reflection")
        ax.axvspan(low, high, color=COLOURS["reflection"], alpha=0.25, linewidth=0, label="error reflection")
        for place, name in enumerate(systems):
            value, low, high = _against_base(numbers, name)
            colour = COLOURS["oracle" if name == "oracle" else "target"]
            ax.plot([low, high], [place, place], color=colour, linewidth=1.5)
            ax.plot(value, place, "o", color=colour, markersize=5)
        ax.axvline(1, color=COLOURS["general"], linewidth=1.2, label="base network")
        ax.set_xscale("log")
        ax.set_xlim(RATIOS[0] / 1.5, RATIOS[1] * 1.5)
        ax.set_yticks(range(len(systems)), list(systems.values()), fontsize=9)
        ax.text(0.02, 1.02, function, transform=ax.transAxes, fontsize=10)
    axes[0, 0].invert_yaxis()
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=9)
    figure.supxlabel("loss relative to the base network", fontsize=11)
    return figure


def _against_base(numbers: list[dict[str, float]], name: str) -> tuple[float, float, float]:
    """Ratio of median losses with its interval, all within `RATIOS`."""
    measure, base = (np.array([n[key] for n in numbers]) for key in (name, "base"))
    value, interval = estimate("ratio", [measure, base], CONFIDENCE)
    low, high = interval or (value, value)
    clipped = np.clip([value, low, high], *RATIOS)
    return float(clipped[0]), float(clipped[1]), float(clipped[2])


def wins(rows: Sequence[Row], systems: Mapping[str, str]) -> Figure:
    """On how many seeds error reflection has the smaller loss, for each system and each function."""
    table = np.array(
        [[sum(n["reflection"] < n[name] for n in numbers_of(rows, function=f)) for f in FUNCTIONS] for name in systems]
    )
    figure, ax = plt.subplots(figsize=(5.6, 1.3 + 0.32 * len(systems)))
    seeds = max(len(numbers_of(rows, function=f)) for f in FUNCTIONS)
    ax.imshow(table, vmin=0, vmax=seeds, aspect="auto", cmap="cividis")
    for (i, j), value in np.ndenumerate(table):
        colour = "black" if value > 0.6 * seeds else "white"
        ax.text(j, i, str(value), ha="center", va="center", fontsize=9, color=colour)
    ax.set_xticks(range(len(FUNCTIONS)), [name.replace("-", "-\n") for name in FUNCTIONS], fontsize=9)
    ax.set_yticks(range(len(systems)), list(systems.values()), fontsize=9)
    ax.set_xlabel(f"seeds, of {seeds}, that error reflection wins")
    ax.grid(False)
    return figure
