"""Figures of the chapter on traps: surfaces with paths, minima of networks, valleys, saddles and plateaus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from errref.datasets import even
from errref.experiments.traps import (
    BATCHES,
    DOWNHILL,
    HEIGHTS,
    SHARES,
    WELL_BATCHES,
    WELL_LIMIT,
    WELL_RATE,
    temperature,
)
from errref.figures import COLOURS
from errref.landscapes import NEAR, RATE, SURFACES, Surface, descend, kramers
from errref.records import Row, numbers_of
from errref.smooth import Problem
from errref.stationary import Point
from errref.statistics import proportion

Array = np.ndarray
WIDTH = 5.6  # inches: panels stand above each other, so that a phone does not shrink the letters
BEST, OTHER, THEORY = COLOURS["oracle"], COLOURS["general"], COLOURS["control"]
SIZES = (COLOURS["general"], COLOURS["expert 4"], COLOURS["expert 1"], COLOURS["expert 3"], COLOURS["target"])


def surfaces(starts: int = 14, steps: int = 3000) -> Figure:
    """Draw each surface with paths of descent: to the best fit in one colour, to another end in the other."""
    figure, axes = plt.subplots(len(SURFACES), 1, figsize=(WIDTH, 4.2 * len(SURFACES)))
    for ax, (name, surface) in zip(axes, SURFACES.items(), strict=True):
        start = np.random.default_rng(2).uniform(-surface.half_width, surface.half_width, (starts, 2))
        _map(ax, surface, descend(surface.gradient, start, RATE, steps, every=5))
        ax.set(xlabel=f"first weight ({name})", ylabel="second weight")
    return figure


def _map(ax: Axes, surface: Surface, path: Array) -> Array:
    """Draw shades of a loss, and paths (T, S, 2) from a ring to a dot or a cross; whether each ends at the best fit."""
    half = surface.half_width
    axis = np.linspace(-half, half, 151)
    values = surface.loss(np.stack(np.meshgrid(axis, axis), axis=-1))
    ax.contourf(axis, axis, np.minimum(values, np.quantile(values, 0.95)), levels=18, cmap="Greys", alpha=0.8)
    best = surface.loss(path[-1]) < values.min() + NEAR
    for k in range(path.shape[1]):
        colour = BEST if best[k] else COLOURS["reflection"]
        ax.plot(*path[:, k].T, color=colour, linewidth=1.5)
        ax.plot(*path[0, k], "o", color="white", markeredgecolor=colour, markersize=5)
        ax.plot(*path[-1, k], "o" if best[k] else "X", color=colour, markeredgecolor="white", markersize=8)
    ax.set(xlim=(-half, half), ylim=(-half, half))
    ax.grid(False)
    return best


def ball(surface: Surface, path: Array) -> Figure:
    """Draw one path (T, 2) of descent on a surface, and below it the samples with the model where the path ends."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(WIDTH, 7.4), height_ratios=(3, 2))
    (best,) = _map(top, surface, path[:, None])
    top.set(xlabel="first weight", ylabel="second weight")
    x = np.linspace(-1.2, 1.2, 49)
    bottom.plot(surface.x, surface.y, ".", color=COLOURS["target"])
    bottom.plot(x, surface.answer(path[-1], x), color=BEST if best else COLOURS["reflection"])
    bottom.set(xlabel="$x$", ylabel="$y$")
    return figure


def fits(found: Mapping[str, Array], problem: Problem) -> Figure:
    """Draw above the answers of all ends of training, below their test error against their training loss."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(WIDTH, 7))
    x = even(found["answers"].shape[1])
    top.plot(x, found["answers"].T, color=OTHER, linewidth=0.7, alpha=0.5)
    top.plot(x, found["answers"][0], color=BEST, linewidth=2)
    top.plot(problem.x, problem.y, ".", color=COLOURS["target"], markersize=5)
    top.set(xlabel="$x$", ylabel="answer")
    bottom.plot(found["loss"][1:], found["test"][1:], "o", color=OTHER, alpha=0.6, label="other minima")
    bottom.plot(found["loss"][0], found["test"][0], "o", color=BEST, markersize=10, label="lowest training loss")
    bottom.set(xlabel="training loss", ylabel="error on test points")
    bottom.legend()
    return figure


def typical(rows: Sequence[Row], names: Mapping[str, Mapping]) -> Figure:
    """Draw for each kind of network and data the typical end's test error over the best end's, a dot a data set.

    ``names`` maps the words of the axis to configurations.
    """
    figure, ax = plt.subplots(figsize=(WIDTH, 0.5 * len(names) + 1.2))
    for place, config in enumerate(names.values()):
        chosen = numbers_of(rows, study="minima", **config)
        ratio = np.array([n["test_median"] / n["test_of_best"] for n in chosen])
        ax.plot(ratio, np.full(len(ratio), place), "o", color=OTHER, alpha=0.35, markersize=5)
        pair = [np.median([n[key] for n in chosen]) for key in ("test_median", "test_of_best")]
        ax.plot(pair[0] / pair[1] * np.ones(2), place + np.array([-0.35, 0.35]), color=OTHER, linewidth=3)
    ax.axvline(1, color="black", linewidth=0.8)
    ax.axvline(2, color=THEORY, linestyle="--", linewidth=1)
    ax.set_xscale("log")
    ax.set_xlabel("test error: typical end over best end")
    ax.set_yticks(range(len(names)), list(names), fontsize=9)
    ax.invert_yaxis()
    return figure


def valleys(rows: Sequence[Row]) -> Figure:
    """Draw the depth of a valley against the share of samples fitted, and below it how often noisy descent leaves."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(WIDTH, 6.4), sharex=True)
    for apart, colour, word in ((2.0, OTHER, "far apart"), (1.0, COLOURS["reflection"], "near")):
        depths = [[n["depth"] for n in numbers_of(rows, study="valley", apart=apart, share=s)] for s in SHARES]
        for share, depth in zip(SHARES, depths, strict=True):
            top.plot(np.full(len(depth), share), depth, ".", color=colour, alpha=0.3)
        medians = [np.median(depth) for depth in depths]
        top.plot(SHARES, medians, color=colour, label=f"lines {word}")
        top.plot([0, SHARES[-1]], [0, medians[-1]], "--", color=colour, linewidth=1)
    top.set_ylabel("depth of the valley")
    top.legend()
    for batch, colour in zip(BATCHES, SIZES, strict=False):
        left = [
            np.mean([n[f"left_{batch}"] for n in numbers_of(rows, study="valley", apart=1.0, share=s)]) for s in SHARES
        ]
        label = "all samples" if batch == BATCHES[-1] else f"batch {batch}"
        bottom.plot(SHARES, left, "o-", color=colour, label=label)
    bottom.set(xlabel="share of the samples that the line fits", ylabel="share of runs that leave")
    bottom.legend()
    return figure


def escapes(rows: Sequence[Row]) -> Figure:
    """Draw escapes per step against height over temperature, with Kramers' law as lines, one for each height."""
    figure, ax = plt.subplots(figsize=(WIDTH, 4))
    for height, colour, marker in zip(HEIGHTS, SIZES, "os^", strict=False):
        law = np.linspace(0.8, 9, 50)
        ax.plot(law, [kramers(height, height / q, WELL_RATE) for q in law], color=colour, linewidth=1)
        for k, batch in enumerate(WELL_BATCHES[:-1]):
            rate, low, high = pooled_rate(numbers_of(rows, study="noise", height=height, batch=batch))
            if rate > 0:
                label = f"height {height:g}" if k == 0 else None
                error = [[rate - low], [high - rate]]
                ax.errorbar(height / temperature(batch), rate, error, fmt=marker, color=colour, capsize=3, label=label)
    ax.set(yscale="log", xlabel=r"height of the barrier over temperature, $\Delta L / T$", ylabel="escapes per step")
    ax.legend()
    return figure


def pooled_rate(numbers: Sequence[Mapping[str, float]], runs: int = 50) -> tuple[float, float, float]:
    """Escapes per step of all rows together, with the exact 95 % interval of a Poisson process."""
    escapes = sum(round(n["left"] * runs) for n in numbers)
    steps = sum(n["left"] * runs / n["rate"] if n["rate"] else runs * WELL_LIMIT for n in numbers)
    low = stats.chi2.ppf(0.025, 2 * escapes) / 2 if escapes else 0.0
    return escapes / steps, low / steps, stats.chi2.ppf(0.975, 2 * escapes + 2) / 2 / steps


def coins(rows: Sequence[Row], draws: int = 20_000) -> Figure:
    """Draw the share of Gaussian matrices without a downhill direction, the coins' law and the law for large n."""
    figure, ax = plt.subplots(figsize=(WIDTH, 3.8))
    sizes = sorted({row.config["n"] for row in rows if row.config["study"] == "gaussian"})
    n = np.array(sizes)
    ax.plot(n, 0.5**n, "--", color=COLOURS["reflection"], label="fair coins, $0.5^n$")
    ax.plot(n, np.exp(-np.log(3) / 4 * n**2), ":", color=THEORY, label=r"law for large $n$, $e^{-(\ln 3 / 4) n^2}$")
    for k, size in enumerate(sizes):
        shares = [numbers["positive"] for numbers in numbers_of(rows, study="gaussian", n=size)]
        total = draws * len(shares)
        low, high = proportion(round(sum(shares) * draws), total, 0.95)
        error = [[np.mean(shares) - low], [high - np.mean(shares)]]
        label = "Gaussian matrices, simulated" if k == 0 else None
        ax.errorbar(size, np.mean(shares), error, fmt="o", color=OTHER, capsize=4, label=label)
    ax.set(yscale="log", xlabel="number of directions $n$", ylabel="share with no downhill direction", xticks=n)
    ax.legend()
    return figure


def index(points: Sequence[Point]) -> Figure:
    """Draw the index of stationary points against their loss and against the number of weights in use."""
    figure, axes = plt.subplots(2, 1, figsize=(WIDTH, 6.4), sharey=True)
    for ax, name, words in zip(axes, ("loss", "in_use"), ("loss", "weights in use"), strict=True):
        values = np.array([getattr(point, name) for point in points], dtype=float)
        indices = np.array([point.index for point in points])
        for saddle, marker, colour in ((False, "o", BEST), (True, "X", OTHER)):
            chosen = (indices > 0) == saddle
            label = "saddles" if saddle else "minima"
            ax.plot(values[chosen], indices[chosen], marker, color=colour, alpha=0.7, markersize=8, label=label)
        ax.set(xlabel=words, ylabel="index")
        ax.set_yticks(range(indices.max() + 1))
    axes[0].legend()
    return figure


def leaving(rows: Sequence[Row]) -> Figure:
    """Draw the steps off a quadratic saddle against the number of downhill directions, every seed and the medians."""
    figure, ax = plt.subplots(figsize=(WIDTH, 3.6))
    for kind, colour in (("equal", OTHER), ("drawn", COLOURS["reflection"])):
        steps = np.array(
            [[n[f"steps_{k}"] for k in DOWNHILL] for n in numbers_of(rows, study="quadratic", curvatures=kind)]
        )
        ax.plot(DOWNHILL, steps.T, color=colour, linewidth=0.6, alpha=0.4)
        ax.plot(DOWNHILL, np.median(steps, axis=0), "o-", color=colour, linewidth=2.5, label=f"curvatures {kind}")
    ax.set(yscale="log", xlabel="downhill directions of 20", ylabel="steps of descent", xticks=DOWNHILL)
    ax.legend()
    return figure


def plateaus(rows: Sequence[Row]) -> Figure:
    """Draw gradient at the start and loss after 500 steps against the frequency of the target, seeds and medians."""
    frequencies = sorted({row.config["frequency"] for row in rows if row.config["study"] == "plateau"})
    figure, axes = plt.subplots(2, 1, figsize=(WIDTH, 5.6), sharex=True)
    for ax, name, words in zip(
        axes, ("gradient", "loss"), ("gradient at the start", "loss after training"), strict=True
    ):
        found = [[n[name] for n in numbers_of(rows, study="plateau", frequency=k, amplitude=1.0)] for k in frequencies]
        _seeds(ax, frequencies, found)
        ax.set(yscale="log", xscale="log", ylabel=words)
    axes[1].set_xticks(frequencies, [f"{k}" for k in frequencies])
    axes[1].minorticks_off()
    axes[1].set_xlabel("frequency of the target")
    return figure


def _seeds(ax: Axes, places: Sequence[float], found: Sequence[Sequence[float]]) -> None:
    for place, values in zip(places, found, strict=True):
        ax.plot(np.full(len(values), place), values, ".", color=OTHER, alpha=0.4)
    ax.plot(places, [np.median(values) for values in found], color=OTHER, linewidth=2)


def waiting(rows: Sequence[Row], names: Mapping[str, Mapping]) -> Figure:
    """Draw the median steps to leave a plateau, for gradient descent and for Adam; ``names`` maps words to plateaus."""
    figure, ax = plt.subplots(figsize=(WIDTH, 3.8))
    for method, colour, shift in (("descent", OTHER, -0.12), ("adam", COLOURS["reflection"], 0.12)):
        for place, config in enumerate(names.values()):
            steps = [n["steps"] for n in numbers_of(rows, method=method, **config)]
            ax.plot(steps, np.full(len(steps), place + shift), ".", color=colour, alpha=0.4)
            label = {"descent": "gradient descent", "adam": "Adam"}[method] if place == 0 else None
            ax.plot(np.median(steps), place + shift, "D", color=colour, markersize=8, label=label)
    ax.set(xscale="log", xlabel="steps")
    ax.set_yticks(range(len(names)), list(names), fontsize=9)
    ax.invert_yaxis()
    ax.legend()
    return figure
