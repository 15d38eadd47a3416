"""Figures of the chapter on choices: specification curves, how many systems support a claim, which choice decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from errref.claims import Verdict
from errref.datasets import FUNCTIONS
from errref.experiments.effects import Outcomes, outcomes
from errref.experiments.functions import PRINTED
from errref.experiments.multiverse import DEFAULT, FACTORS
from errref.figures import COLOURS, paper_mark
from errref.records import Row

Array = np.ndarray
WIDTH = 5.6  # inches: narrow, so that a phone does not shrink the letters
LEFT = (10.0, 1.0, 0.1, 0.01, 0.001)  # shares of the loss that are left, marked on the axis of reductions
SYSTEM, ONE = COLOURS["general"], COLOURS["reflection"]


def specification(rows: Sequence[Row], function: str, loss: str = "squared") -> Figure:
    """Draw the systems of a function in the order of their reductions, and below the choices of each."""
    found = outcomes(rows, loss, function=function)
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(WIDTH, 9), sharex=True, height_ratios=[1, 2])
    order = _curve(top, found, function)
    top.legend(loc="upper left", fontsize=8)
    places: list[float] = []
    for group, (name, levels) in enumerate(FACTORS.items()):
        for level in levels:
            places.append(len(places) + 0.8 * group)
            ranks = np.flatnonzero([found.configs[k][name] == level for k in order])
            y = np.full(len(ranks), places[-1])
            bottom.plot(ranks, y, "|", color=SYSTEM, markersize=4, markeredgewidth=0.4)
    labels = [f"{name}: {level}" for name, levels in FACTORS.items() for level in levels]
    bottom.set_yticks(places, labels, fontsize=6.5)
    bottom.set(xlabel="systems, by their reduction", ylim=(places[-1] + 1, -1))
    bottom.grid(False)
    return figure


def curve(rows: Sequence[Row], function: str, loss: str = "squared") -> Figure:
    """Draw the systems of one function in the order of their reductions."""
    figure, ax = plt.subplots(figsize=(WIDTH, 3.6))
    _curve(ax, outcomes(rows, loss, function=function), function)
    ax.set_xlabel("systems, by their reduction")
    ax.legend(loc="upper left", fontsize=8)
    return figure


def curves(rows: Sequence[Row], loss: str = "squared") -> Figure:
    """Draw the curve of each function in a panel of its own."""
    figure, axes = plt.subplots(3, 2, figsize=(WIDTH, 7.5), sharey=True)
    for ax, function in zip(axes.flat, FUNCTIONS, strict=True):
        _curve(ax, outcomes(rows, loss, function=function), function)
        ax.text(0.03, 0.03, function, transform=ax.transAxes)
        ax.set_xlabel("systems")
    for ax in axes[:, 1]:
        ax.set_ylabel("")
    return figure


def _curve(ax: Axes, found: Outcomes, function: str) -> Array:
    """Draw sorted medians in the range of their seeds, the default and the printed number; return the order.

    What lies beyond the axis stands at its edge.
    """
    left = 1 - found.reductions()
    order = np.argsort(-left)
    shown, seeds = (np.clip(share, LEFT[-1] / 3, LEFT[0] * 3)[order] for share in (left, found.reflection / found.base))
    ranks = np.arange(len(left))
    ax.vlines(ranks, seeds.min(axis=1), seeds.max(axis=1), color=SYSTEM, alpha=0.25, linewidth=0.8)
    ax.plot(ranks, shown, ".", color=SYSTEM, markersize=2.5, label="one choice set")
    for k in np.flatnonzero([DEFAULT.items() <= found.configs[i].items() for i in order]):
        ax.plot(k, shown[k], "o", color=ONE, markersize=7, label="the default")
    if function in PRINTED:
        printed = 1 - float(PRINTED[function][2]) / 100
        paper_mark(ax, np.sum(left > printed), printed)
    ax.axhline(1, color="black", linewidth=0.8)
    ax.set(yscale="log", ylim=(LEFT[0] * 3, LEFT[-1] / 3), ylabel="reduction of the loss")
    ax.set_yticks(LEFT, [f"{100 * (1 - share):g} %" for share in LEFT])
    ax.minorticks_off()
    return order


def support(verdicts: Mapping[str, Verdict]) -> Figure:
    """Draw, for each reading, the share of systems that support each claim, with its interval."""
    names = [reading.name for reading in next(iter(verdicts.values())).readings]
    figure, ax = plt.subplots(figsize=(WIDTH, 0.32 * len(names) + 1.2))
    colours = (SYSTEM, ONE, COLOURS["expert 1"])
    for k, (label, verdict) in enumerate(verdicts.items()):
        value = np.array([reading.value for reading in verdict.readings], dtype=float)
        ends = np.array([reading.interval for reading in verdict.readings], dtype=float).T
        places, error = np.arange(len(names)) + 0.25 * (k - (len(verdicts) - 1) / 2), np.abs(ends - value)
        ax.errorbar(value, places, xerr=error, fmt="o", color=colours[k], markersize=4, label=label)
    ax.axvline(0.5, color="black", linestyle="--", linewidth=0.8)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    ax.set(xlabel="share of choice sets", xlim=(-0.02, 1.02))
    ax.set_yticks(range(len(names)), names, fontsize=7.5)
    ax.invert_yaxis()
    ax.legend(loc="lower right")
    return figure


def costs(seconds: Mapping[str, float], default: float) -> Figure:
    """Draw the seconds of a run with each level, beside those of the default, which is a line."""
    figure, ax = plt.subplots(figsize=(WIDTH, 0.25 * len(seconds) + 0.8))
    ax.barh(range(len(seconds)), list(seconds.values()), color=SYSTEM)
    ax.axvline(default, color=ONE, linewidth=2, label="the default")
    ax.set_yticks(range(len(seconds)), list(seconds), fontsize=8)
    ax.set_xlabel("seconds of one core for a run")
    ax.invert_yaxis()
    ax.legend(loc="lower right")
    return figure


def deciding(shares: Mapping[str, float], ends: Mapping[str, tuple[float, float]]) -> Figure:
    """Draw the share of the variance that each factor explains, with its interval, the largest on top."""
    names = sorted(shares, key=lambda name: -shares[name])
    figure, ax = plt.subplots(figsize=(WIDTH, 0.3 * len(names) + 1))
    value, interval = np.array([shares[n] for n in names]), np.array([ends[n] for n in names]).T
    error = np.maximum(
        [value - interval[0], interval[1] - value], 0
    )  # the bootstrap may lie to one side of a tiny share
    ax.barh(range(len(names)), value, xerr=error, color=SYSTEM, ecolor="black", capsize=2)
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel("share of the variance of log10(reflection / base)")
    ax.invert_yaxis()
    return figure
