"""Figures of the chapter on ISODATA: a split in the plane, iterations on a line, parity, thresholds against experts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from errref.experiments.isodata import DEFAULT, ODD, PARITY, SWEEP, settings
from errref.figures import COLOURS, expert_colour
from errref.records import Row

Array = np.ndarray
Entry = dict[str, Any]
WIDTH = 5.6  # inches: panels stand above each other, so that a phone does not shrink the letters
EVENTS = {"discarded": "discard", "split": "split", "lumped": "lump"}
CENTRE: dict[str, Any] = {"marker": "o", "markeredgecolor": "black", "markersize": 8, "linestyle": "none", "zorder": 4}
SYMBOLS = {
    "n_clusters": "$K$ (n_clusters)",
    "max_std": r"$\theta_S$ (max_std)",
    "min_distance": r"$\theta_C$ (min_distance)",
    "min_samples": r"$\theta_N$ (min_samples)",
    "max_merges": "$L$ (max_merges)",
    "max_iter": "$I$ (max_iter)",
}


def links(entry: Entry) -> list[tuple[int, int]]:
    """List pairs of places: a centre that was moved, and a centre of the next iteration that comes from it."""
    into, place, pairs, count = {j: i for i, j in entry["lumped"]}, dict[int, int](), [], 0
    for k in range(len(entry["moved"])):
        if k in into:
            pairs.append((k, place[into[k]]))
            continue
        place[k] = count
        for _ in range(1 + (k in entry["split"])):  # the lower half of a split follows its upper half
            pairs.append((k, count))
            count += 1
    return pairs


def lineage(history: Sequence[Entry]) -> list[list[int]]:
    """Give each first centre of each iteration a number, so that a cluster keeps its number while it lives.

    The last centres are numbered by their places. Going back, a whole has the number of the upper half that it is split
    into, and what was lumped that of the first of its pair; who vanishes has the smallest number that is free.
    """
    after, found = list(range(len(history[-1]["centers"]))), []
    for entry in reversed(history):
        pairs = links(entry)
        first = {place: k for k, place in reversed(pairs)}
        moved = {k: after[place] for k, place in reversed(pairs) if first[place] == k}
        kept = iter(moved.get(k, -1) for k in range(len(entry["moved"])))
        after = [-1 if k in entry["discarded"] else next(kept) for k in range(len(entry["start"]))]
        free = iter(sorted(set(range(len(after))) - set(after)))
        after = [next(free) if number < 0 else number for number in after]
        found.append(after)
    return found[::-1]


def plane(X: Array, history: Sequence[Entry]) -> Figure:
    """Draw samples (n, 2) with the centres that they moved in each iteration, and the halves of a split centre."""
    figure, axes = plt.subplots(len(history), 1, figsize=(WIDTH, 2.5 * len(history)), sharex=True, squeeze=False)
    for ax, entry, numbers in zip(axes[:, 0], history, lineage(history), strict=True):
        nearest = _nearest(X, entry["start"])
        for k, number in enumerate(numbers):
            ax.plot(*X[nearest == k].T, "o", color=expert_colour(1 + number), markersize=6)
        kept = [number for k, number in enumerate(numbers) if k not in entry["discarded"]]
        for centre, number in zip(entry["moved"], kept, strict=True):
            ax.plot(*centre, color=expert_colour(1 + number), **CENTRE)
        for k in entry["split"]:
            halves = np.array([entry["centers"][place] for moved, place in links(entry) if moved == k])
            ax.plot(*halves.T, "-", color="black", linewidth=1)
            ax.plot(*halves.T, color="white", **CENTRE)
        ax.set_ylabel(f"iteration {entry['iteration']}: $x_2$")
    axes[-1, 0].set_xlabel("$x_1$")
    return figure


def iterations(X: Array, history: Sequence[Entry]) -> Figure:
    """Draw the samples (n, 1) and centres of each iteration as a row, with lines from row to row.

    A line forks where a centre is split, joins another where two are lumped, and ends in a cross at a discarded one.
    """
    figure, ax = plt.subplots(figsize=(WIDTH, 1.2 + 0.42 * len(history)))
    first, last = history[0]["iteration"], history[-1]["iteration"]
    before, pairs = history[0]["start"][:, 0], list[tuple[int, int]]()
    ax.plot(before, np.full(len(before), first - 0.5), color="white", **CENTRE | {"markersize": 5})
    for entry, numbers in zip(history, lineage(history), strict=True):
        row, start, colours = entry["iteration"], entry["start"][:, 0], [expert_colour(1 + n) for n in numbers]
        nearest = _nearest(X, entry["start"])
        for k, colour in enumerate(colours):
            ax.plot(X[nearest == k, 0], np.full(np.sum(nearest == k), row), "|", color=colour, markersize=14)
        for k, place in pairs:
            ax.plot([before[k], start[place]], [row - 1, row - 0.5], color=colours[place], linewidth=1.5)
        moved = iter(entry["moved"][:, 0])
        for k, colour in enumerate(colours):
            if k in entry["discarded"]:
                ax.plot(start[k], row - 0.5, **CENTRE | {"marker": "x"})
            else:
                end = next(moved)
                ax.plot([start[k], end], [row - 0.5, row], color=colour, linewidth=1.5)
                ax.plot(end, row, color=colour, **CENTRE)
        events = [f"{name} {len(entry[event])}" for event, name in EVENTS.items() if entry[event]]
        ax.text(1.02, row, ", ".join(events), transform=ax.get_yaxis_transform(), va="center", fontsize=10)
        before, pairs = entry["moved"][:, 0], links(entry)
    ax.set(xlabel="$x$", ylabel="iteration", yticks=range(first, last + 1), ylim=(last + 0.6, first - 0.7))
    ax.grid(False)
    return figure


def parity(found: Mapping[str, Mapping[int, int]]) -> Figure:
    """Draw the number of clusters against ``max_iter``, a panel for each case, even and odd in two colours."""
    figure, axes = plt.subplots(len(found), 1, figsize=(WIDTH, 1.9 * len(found)), sharex=True, squeeze=False)
    for ax, (name, numbers) in zip(axes[:, 0], found.items(), strict=True):
        ax.plot(list(numbers), list(numbers.values()), color="0.75", linewidth=1)
        for rest, word, colour in ((0, "even", COLOURS["general"]), (1, "odd", COLOURS["reflection"])):
            chosen = {limit: number for limit, number in numbers.items() if limit % 2 == rest}
            ax.plot(list(chosen), list(chosen.values()), "so"[rest], color=colour, markersize=7, label=word)
        ax.set(ylabel="clusters", yticks=range(max(numbers.values()) + 2), ylim=(0, max(numbers.values()) + 1.2))
        ax.text(0.02, 0.88, name, transform=ax.transAxes, fontsize=10)
    axes[0, 0].legend(loc="upper right", ncols=2)
    axes[-1, 0].set_xlabel("$I$ (max_iter)")
    axes[-1, 0].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def thresholds(rows: Sequence[Row]) -> Figure:
    """Draw the number of experts against each parameter; areas count the rows, and a line joins their medians.

    The dashed line and the areas beside it are an odd ``max_iter``; the shaded value is the default.
    """
    figure, axes = plt.subplots(3, 2, figsize=(WIDTH, 7.4), sharey=True)
    for ax, name in zip(axes.flat, SYMBOLS, strict=True):
        values = sorted({*SWEEP[name], DEFAULT[name]})
        ax.axvspan(values.index(DEFAULT[name]) - 0.4, values.index(DEFAULT[name]) + 0.4, color="0.93", zorder=0)
        _experts(ax, {values.index(v): _chosen(rows, name, v) for v in values}, COLOURS["general"], "-")
        if name == "min_distance":
            odd = {values.index(v): _chosen(rows, name, v, max_iter=ODD) for v in PARITY}
            _experts(ax, {place + 0.3: numbers for place, numbers in odd.items()}, COLOURS["reflection"], "--")
        ax.set_xticks(range(len(values)), [f"{v:g}" for v in values], fontsize=9)
        ax.set(xlabel=SYMBOLS[name], xlim=(-0.6, len(values) - 0.4))
    axes[0, 0].set(yticks=range(1, 9), ylim=(0.4, 8.6))
    figure.supylabel("experts", fontsize=11)
    return figure


def _chosen(rows: Sequence[Row], name: str, value: float, **others: int) -> list[float]:
    """Return the number of experts in the rows whose settings are the default, but for these."""
    wanted = DEFAULT | others | {name: value}
    return [row.numbers["experts"] for row in rows if settings(row.config) == wanted]


def _experts(ax: Axes, found: Mapping[float, Sequence[float]], colour: str, line: str) -> None:
    for place, numbers in found.items():
        for number, count in Counter(numbers).items():
            ax.scatter(place, number, s=220 * count / len(numbers), color=colour, alpha=0.35, linewidth=0)
    ax.plot(list(found), [np.median(numbers) for numbers in found.values()], line, color=colour)


def _nearest(X: Array, centers: Array) -> Array:
    """Return the place of the centre nearest to each sample, the first of those that tie."""
    distances = np.linalg.norm(X[:, None] - centers, axis=2)
    return np.argmax(distances <= distances.min(axis=1, keepdims=True) * (1 + 1e-9), axis=1)
