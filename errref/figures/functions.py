"""The figures of the chapter `functions`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from errref.datasets import FUNCTIONS
from errref.experiments.functions import GRID, PRINTED, Systems, grid_distances
from errref.figures import COLOURS, expert_colour, paper_mark
from errref.records import Row, numbers_of
from errref.reflection import ErrorReflectionRegressor

NAMES = tuple(FUNCTIONS)
RATIOS = (1e-4, 1e4)  # ratios beyond are drawn at the edge


def targets() -> Figure:
    """The six targets on [-1, 1), with the jump left open."""
    figure, axes = plt.subplots(2, 3, figsize=(7.2, 3.9), sharex=True)
    for ax, (name, function) in zip(axes.flat, FUNCTIONS.items(), strict=True):
        for x in (np.linspace(-1, -1e-9, 200), np.linspace(0, 1, 200)):
            ax.plot(x, function(x), color=COLOURS["target"])
        ax.set_xlabel(name if function.row is None else f"{name} (row {function.row})")
    return figure


def fit(name: str, seed: int) -> Figure:
    """One system as the paper's figure 3 shows it, and where its parts answer: before, after, and the routes."""
    system = Systems({"function": name}, seed)
    return before_after(system.reflection, system.X, system.y, FUNCTIONS[name])


def before_after(
    reflection: ErrorReflectionRegressor, X: np.ndarray, y: np.ndarray, target: Callable[[np.ndarray], np.ndarray]
) -> Figure:
    """The general network with its error cases among the training data X and y, and the system, on [-1, 1)."""
    x = np.linspace(-1, 1, 2001)[:-1]
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 3.3), sharey=True)
    for ax, model, label in zip(axes, (reflection.general_, reflection), ("general", "reflection"), strict=True):
        ax.plot(x, target(x), color=COLOURS["target"], linewidth=4, alpha=0.25, label="target")
        ax.set_xlabel("x")
        if label == "general":
            wrong = reflection.errors_
            ax.plot(x, model.predict(x[:, None]), color=COLOURS["general"], label="general network")
            ax.plot(X[wrong, 0], y[wrong], "|", color=COLOURS["reflection"], markersize=5, label="error cases")
        else:
            _routed(ax, x, model)
        ax.legend(fontsize=9)
    return figure


def _routed(ax, x: np.ndarray, model) -> None:
    """The system's answer, each stretch in the colour of the network that gives it."""
    routes, answer = model.route(x[:, None]), model.predict(x[:, None])
    for k in np.unique(routes):
        label = "general network" if k == 0 else f"expert {k}"
        ax.plot(x, np.where(routes == k, answer, np.nan), color=expert_colour(int(k)), label=label)


def training(reflection: ErrorReflectionRegressor) -> Figure:
    """The loss of each network of a system on its own samples, before every step that it takes and after the last."""
    figure, ax = plt.subplots(figsize=(7.2, 3.3))
    for k, network in enumerate(reflection.networks_):
        if hasattr(network, "loss_curve_"):
            label = f"expert {k}" if k else "general network"
            steps = np.unique(
                np.geomspace(1, len(network.loss_curve_), 400).round().astype(int)
            )  # enough to look smooth
            ax.loglog(steps, network.loss_curve_[steps - 1], color=expert_colour(k), label=label)
    ax.set_xlabel("step")
    ax.set_ylabel("mean squared error")
    ax.legend()
    return figure


def losses(rows: Sequence[Row]) -> Figure:
    """Base and reflection loss of every seed, joined by a line, the medians on top, and the paper's printed losses."""
    figure, ax = plt.subplots(figsize=(7.2, 3.8))
    for place, name in enumerate(NAMES):
        pairs = np.array([[n["base"], n["reflection"]] for n in numbers_of(rows, function=name, half_width=1)])
        where = np.array([place - 0.18, place + 0.18])
        ax.plot(where, pairs.T, color="0.75", linewidth=0.7, zorder=1)
        for k, (column, role) in enumerate((("base", "general"), ("reflection", "reflection"))):
            label = {"base": "base network", "reflection": "error reflection"}[column] if place == 0 else None
            ax.plot(np.full(len(pairs), where[k]), pairs[:, k], ".", color=COLOURS[role], alpha=0.35, markersize=5)
            ax.plot(
                where[k] + np.array([-0.12, 0.12]),
                np.median(pairs[:, k]) * np.ones(2),
                color=COLOURS[role],
                linewidth=3,
                label=label,
            )
        if name in PRINTED:
            paper_mark(ax, where, [float(p) for p in PRINTED[name][:2]], "printed in the paper" if place == 0 else None)
    ax.set_yscale("log")
    ax.set_xticks(range(len(NAMES)), [n.replace("-", "-\n") for n in NAMES])
    ax.set_ylabel("mean squared error")
    ax.legend(loc="lower right")
    return figure


def ratios(rows: Sequence[Row], systems: dict[str, str]) -> Figure:
    """Loss of each system over the base loss of the same seed: all seeds as dots, the median as a bar.

    Ratios beyond `RATIOS` stand at the edge.

    ``systems`` maps the name of a number of the rows to the words of the axis.
    """
    figure, axes = plt.subplots(2, 3, figsize=(7.2, 5.6), sharey=True, sharex=True)
    for ax, name in zip(axes.flat, NAMES, strict=True):
        chosen = numbers_of(rows, function=name, half_width=1)
        for place, system in enumerate(systems):
            ratio = np.clip([n[system] / n["base"] for n in chosen], *RATIOS)
            colour = COLOURS[
                "reflection" if system == "reflection" else "oracle" if system == "oracle_gate" else "control"
            ]
            ax.plot(ratio, np.full(len(ratio), place), ".", color=colour, alpha=0.3, markersize=4)
            ax.plot(np.median(ratio) * np.ones(2), place + np.array([-0.35, 0.35]), color=colour, linewidth=3)
        ax.axvline(1, color="black", linewidth=0.8)
        ax.set_xscale("log")
        ax.set_xlim(RATIOS[0] / 2, RATIOS[1] * 2)
        ax.set_yticks(range(len(systems)), list(systems.values()), fontsize=9)
        ax.text(0.02, 1.02, name, transform=ax.transAxes, fontsize=10)
    axes[0, 0].invert_yaxis()
    figure.supxlabel("loss relative to the base network of the same seed", fontsize=11)
    return figure


def grid(rows: Sequence[Row]) -> Figure:
    """How far each configuration of the grid is from the printed base losses: one panel per number of samples."""
    distances = grid_distances(rows)
    figure, axes = plt.subplots(1, len(GRID["n_samples"]), figsize=(7.2, 2.9), sharey=True)
    for ax, n in zip(axes, GRID["n_samples"], strict=True):
        table = np.array([[distances[h, n, s] for h in GRID["hidden"]] for s in GRID["steps"]])
        image = ax.imshow(table, vmin=0, vmax=8, aspect="auto", cmap="cividis_r")
        for (i, j), value in np.ndenumerate(table):
            ax.text(j, i, f"{value:.1f}", ha="center", va="center", fontsize=7, color="white" if value > 4 else "black")
        ax.set_xticks(range(len(GRID["hidden"])), [str(h) for h in GRID["hidden"]], fontsize=8)
        ax.set_xlabel(f"width\n{n} samples", fontsize=9)
        ax.grid(False)
    axes[0].set_yticks(range(len(GRID["steps"])), [f"{s:,}" for s in GRID["steps"]], fontsize=9)
    axes[0].set_ylabel("steps")
    figure.colorbar(image, ax=axes, label="distance", shrink=0.9)
    return figure
