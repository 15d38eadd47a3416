"""Figures of the chapter on forgetting: two pushes, what is lost of a gain, overlaps, two patterns, optimisers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from errref.descent import OPTIMISERS
from errref.experiments.forgetting import CASES, CHECKPOINTS, DETOURS, EPOCHS, IMAGES, SHARES, TARGETS, TASKS
from errref.experiments.optimisers import SIZES
from errref.figures import COLOURS
from errref.records import Row, numbers_of
from errref.shallow import ACTIVATIONS

Array = np.ndarray
WIDTH = 5.6  # inches
OF_CASES = {"errors": COLOURS["reflection"], "fitted": COLOURS["general"], "random": COLOURS["control"]}
OF_TARGETS = dict(zip(TARGETS, ("general", "expert 1", "expert 2", "expert 3"), strict=True))
OF_PATTERNS = {"cubic": COLOURS["general"], "quartic": COLOURS["reflection"]}
WORDS = {"gd": "gradient descent", "sgd": "stochastic g. d.", "adam": "Adam", "lbfgs": "L-BFGS", "lm": "Levenberg-M."}
SUBSTANTIAL = 0.6  # Landis and Koch (1977)


def column(rows: Sequence[Row], number: str, **config) -> Array:
    """One number of all rows of a configuration, by ascending seed."""
    return np.array([numbers[number] for numbers in numbers_of(rows, **config)])


def pushes(targets: Sequence[float], errors: Sequence[bool]) -> Figure:
    """Draw the loss of a constant answer to some targets, in two parts, and the push of each part at the minimum."""
    y, wrong = np.asarray(targets, dtype=float), np.asarray(errors)
    c = np.linspace(y.min() - 0.2, y.max() + 0.2, 200)
    figure, ax = plt.subplots(figsize=(WIDTH, 3.2))
    for name, group in (("errors", wrong), ("fitted", ~wrong)):
        part = ((c[:, None] - y[group]) ** 2).sum(axis=1) / len(y)
        ax.plot(c, part, color=OF_CASES[name], label={"errors": "error case", "fitted": "fitted cases"}[name])
    ax.plot(c, ((c[:, None] - y) ** 2).mean(axis=1), color=COLOURS["target"], label="all")
    best = y.mean()
    for name, group in (("errors", wrong), ("fitted", ~wrong)):
        push = -2 * (best - y[group]).sum() / len(y)
        style = {"arrowstyle": "->", "color": OF_CASES[name], "linewidth": 2.5}
        ax.annotate("", (best + push / 2, 0.06), (best, 0.06), arrowprops=style)
    ax.plot(best, np.mean((best - y) ** 2), "o", color=COLOURS["target"])
    ax.set(xlabel="answer $c$", ylabel="share of the loss")
    ax.legend()
    return figure


def along(rows: Sequence[Row]) -> Figure:
    """Draw the norms of both pushes and of their sum along training, and the cosine of the two; images come last.

    The norm of the push of the others is not recorded; it is that of the push of the error cases times the share of it
    that is undone, over minus the cosine.
    """
    studies: dict[str, tuple[dict[str, str | int], Sequence[str | int]]] = {
        **{name: ({"part": "split", "function": name}, (*CHECKPOINTS, "end")) for name in TARGETS},
        "images": ({"part": "images", "n_images": IMAGES[-1]}, tuple(EPOCHS.values())),
    }
    figure, axes = plt.subplots(len(studies), 2, figsize=(WIDTH, 2.2 * len(studies)))
    for (left, right), (name, (place, stages)) in zip(axes, studies.items(), strict=True):
        norm, total, cosine, undone = (
            np.stack([column(rows, f"errors_{key}_{stage}", **place) for stage in stages])
            for key in ("norm", "sum", "cosine", "cancelled")
        )
        _seeds(left, norm, OF_CASES["errors"], "error cases")
        _seeds(left, -undone * norm / cosine, OF_CASES["fitted"], "fitted cases")
        _seeds(left, total, COLOURS["target"], "sum")
        _seeds(right, cosine, OF_CASES["errors"])
        left.set(yscale="log", ylabel=f"norm of the push\n({name})")
        right.set(ylim=(-1.1, 1.1), ylabel="cosine")
        for ax in (left, right):
            _stages(ax, stages, "epochs" if name == "images" else "steps")
    axes[0, 0].legend(fontsize=7)
    return figure


def _seeds(ax: Axes, values: Array, colour: str, label: str | None = None) -> None:
    """Draw all seeds (stages, seeds) as thin lines, and their median as a thick one."""
    ax.plot(values, color=colour, linewidth=0.5, alpha=0.3)
    ax.plot(np.median(values, axis=1), color=colour, linewidth=2.5, label=label)


def _stages(ax: Axes, stages: Sequence[int | str], unit: str) -> None:
    """Name the stages of training on the x axis: 1e3 for 1,000."""
    words = [f"{s:.0e}".replace("e+0", "e") if isinstance(s, int) and s else str(s) for s in stages]
    ax.set_xticks(range(len(stages)), words, fontsize=7)
    ax.set_xlabel(unit)


def balance(rows: Sequence[Row]) -> Figure:
    """Draw how much of the push of the error cases is undone, along training; and cosine and norm against the loss."""
    figure, axes = plt.subplots(3, 2, figsize=(WIDTH, 7.4))
    for ax, target in zip(axes[:2].flat, TARGETS, strict=True):
        for cases in ("random", "errors"):
            names = [f"{cases}_cancelled_{step}" for step in (*CHECKPOINTS, "end")]
            values = np.stack([column(rows, name, part="split", function=target) for name in names])
            _seeds(ax, values, OF_CASES[cases], {"errors": "error cases", "random": "random half"}[cases])
        _stages(ax, (*CHECKPOINTS, "end"), f"steps ({target})")
        ax.set(ylim=(-1.6, 1.6), ylabel="push undone")
    axes[0, 0].legend(fontsize=8)
    for ax, number in zip(axes[2], ("cosine", "norm"), strict=True):
        for target in TARGETS:
            place = {"part": "split", "function": target}
            values = column(rows, f"errors_{number}_end", **place)
            ax.plot(column(rows, "loss_end", **place), values, ".", color=COLOURS[OF_TARGETS[target]], label=target)
        ax.set(xscale="log", xlabel="loss at the standstill")
    axes[2, 0].set(ylabel="cosine", ylim=(-1.1, 1.1))
    axes[2, 1].set(ylabel="norm of the push", yscale="log")
    axes[2, 0].legend(fontsize=8)
    return figure


def _strip(ax: Axes, place: float, values: Array, colour: str, label: str | None = None) -> None:
    """Draw all seeds as dots at a place of the x axis, with a bar at the median."""
    ax.plot(np.full(len(values), place), values, ".", color=colour, alpha=0.35, markersize=4)
    ax.plot(place + np.array([-0.11, 0.11]), np.full(2, np.median(values)), color=colour, linewidth=3, label=label)


def lost(rows: Sequence[Row]) -> Figure:
    """Draw what is lost of the gain on some cases when training goes on with all, against the steps on them alone."""
    figure, axes = plt.subplots(2, 2, figsize=(WIDTH, 5.4), sharex=True, sharey=True)
    for ax, target in zip(axes.flat, TARGETS, strict=True):
        for (k, steps), (shift, cases) in product(enumerate(DETOURS), zip((-0.26, 0, 0.26), CASES, strict=True)):
            values = column(rows, f"lost_{cases}_{steps}", part="recover", function=target)
            _strip(ax, k + shift, np.clip(values, -0.5, 2), OF_CASES[cases], cases if k == 0 else None)
        for level in (0, 0.5, 1):
            ax.axhline(level, color="black", linewidth=0.8, linestyle="--" if level == 0.5 else "-")
        ax.set_xticks(range(len(DETOURS)), [f"{steps:,}" for steps in DETOURS])
        ax.set(xlabel=f"steps on the cases alone\n({target})", ylabel="share lost", ylim=(-0.6, 2.1))
    axes[0, 0].legend(fontsize=8)
    return figure


def resumed(rows: Sequence[Row]) -> Figure:
    """Draw how fast the gain on the error cases is lost: its lost share against the steps on all samples."""
    figure, axes = plt.subplots(2, 2, figsize=(WIDTH, 5.2), sharex=True, sharey=True)
    for ax, target in zip(axes.flat, TARGETS, strict=True):
        for shade, steps in zip((0.25, 0.5, 0.75, 1), DETOURS, strict=True):
            names = [f"lost_errors_{steps}_after_{again}" for again in DETOURS] + [f"lost_errors_{steps}"]
            medians = [np.median(column(rows, name, part="recover", function=target)) for name in names]
            ax.plot(medians, "o-", color=OF_CASES["errors"], alpha=shade, label=f"{steps:,} steps alone")
        ax.axhline(1, color="black", linewidth=0.8)
        ax.set_xticks(range(len(DETOURS) + 1), [*(f"{again:.0e}".replace("e+0", "e") for again in DETOURS), "end"])
        ax.set(xlabel=f"steps on all ({target})", ylabel="share lost")
    axes[0, 0].legend(fontsize=8)
    return figure


def overlap(rows: Sequence[Row]) -> Figure:
    """Draw Cohen's kappa of error cases: of two starts, and of one network half-trained and at its end."""
    figure, ax = plt.subplots(figsize=(WIDTH, 3.4))
    tasks = [{"part": "split", "function": name} for name in TARGETS] + [{"part": "images", "n_images": IMAGES[-1]}]
    for place, config in enumerate(tasks):
        for shift, number, colour in ((-0.15, "kappa_seeds", "general"), (0.15, "kappa_half", "reflection")):
            label = {"kappa_seeds": "two starts", "kappa_half": "half of training, and end"}[number]
            _strip(ax, place + shift, column(rows, number, **config), COLOURS[colour], None if place else label)
    ax.axhline(0, color="black", linewidth=0.8)
    ax.axhline(SUBSTANTIAL, color="black", linewidth=0.8, linestyle="--")
    ax.set_xticks(range(len(tasks)), [name.replace("-", "-\n") for name in (*TARGETS, "images")])
    ax.set(ylabel="Cohen's kappa", ylim=(-0.6, 1.05))
    ax.legend(fontsize=8, loc="lower right")
    return figure


def patterns(rows: Sequence[Row]) -> Figure:
    """Draw the relative error of each of two patterns against the share of the cubic, side by side and in conflict."""
    figure, axes = plt.subplots(2, 1, figsize=(WIDTH, 5.4), sharex=True)
    for ax, task in zip(axes, TASKS, strict=True):
        for (k, share), (shift, name) in product(enumerate(SHARES), ((-0.13, "cubic"), (0.13, "quartic"))):
            values = column(rows, name, part="patterns", task=task, share=share)
            _strip(ax, k + shift, values, OF_PATTERNS[name], None if k else name)
        words = {"regions": "side by side", "conflict": "at the same inputs"}[task]
        ax.set(yscale="log", ylabel=f"error / variance\n({words})")
    axes[1].set_xticks(range(len(SHARES)), [f"{100 * share:.0f} %" for share in SHARES])
    axes[1].set_xlabel("share of the cubic")
    axes[0].legend(fontsize=8)
    return figure


def optimisers(rows: Sequence[Row], numbers: str) -> Figure:
    """Draw a number of each optimiser, such as "trapped" or "seconds_found", on student-teacher problems."""
    labels = {
        "trapped": "share of starts that are trapped",
        "stayed": "share of starts trapped by g. d. that stay",
        "seconds_found": "seconds for each start that finds the minimum",
    }
    figure, axes = plt.subplots(len(SIZES), 2, figsize=(WIDTH, 6.4), sharex=True, sharey=True)
    for ax, (hidden, activation) in zip(axes.flat, product(SIZES, ACTIVATIONS), strict=True):
        place = {"part": "starts", "activation": activation, "hidden": hidden}
        for k, name in enumerate(OPTIMISERS):
            values = column(rows, f"{numbers}_{name}", **place)
            ax.plot(values, np.full(len(values), k), ".", color=COLOURS["control"], alpha=0.4, markersize=5)
            ax.plot(np.full(2, np.median(values)), k + np.array([-0.35, 0.35]), color=COLOURS["general"], linewidth=3)
        ax.set_yticks(range(len(OPTIMISERS)), [WORDS[name] for name in OPTIMISERS], fontsize=8)
        ax.set_ylabel(f"{activation}, {hidden} units".replace("relu", "ReLU"), fontsize=9)
        if numbers == "seconds_found":
            ax.set_xscale("log")
    axes[0, 0].invert_yaxis()
    figure.supxlabel(labels[numbers], fontsize=11)
    return figure
