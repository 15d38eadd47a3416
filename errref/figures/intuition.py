"""Figures of the chapter on the toy: the model on its data, its loss against b, the pull of each sample, two pieces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from errref.experiments.intuition import (
    FIGURE_1,
    LOSSES,
    TRAP,
    Step,
    global_minima,
    local_minima,
    model,
    pull,
    step_at,
    steps,
)
from errref.figures import COLOURS, expert_colour, paper_mark
from errref.reflection import ErrorReflectionRegressor

Array = np.ndarray
LOSS_COLOURS = {"squared": COLOURS["expert 3"], "absolute": COLOURS["expert 4"], "zero-one": COLOURS["expert 2"]}
LOSS_WIDTHS = {"squared": 6.5, "absolute": 4.0, "zero-one": 1.8}  # where they coincide, all three remain visible
B_RANGE = (-2.5, 5.0)
WIDTH = 5.6  # inches: panels stand above each other, so that a phone does not shrink the letters


def trapped(X: Array, y: Array, b: float) -> Figure:
    """Draw f_b on the samples (n, 1), (n,), with a line from each wrong answer to its target."""
    fig, ax = plt.subplots(figsize=(WIDTH, 3.2))
    _answers(ax, X, y, b)
    return fig


def at_one_place(X: Array, y: Array, b: float) -> Figure:
    """Draw f_b on the samples (top), and where b is on the three losses (bottom)."""
    fig, (top, bottom) = plt.subplots(2, 1, figsize=(WIDTH, 6.6))
    _answers(top, X, y, b)
    for loss, found in _losses(bottom, X, y).items():
        look = {"color": LOSS_COLOURS[loss], "markersize": 7 + LOSS_WIDTHS[loss], "markeredgecolor": "black"}
        bottom.plot(b, step_at(found, b).loss, "o", **look)
    bottom.axvline(b, color="black", linestyle="--", linewidth=1)
    bottom.legend(loc="upper right")
    return fig


def _answers(ax: Axes, X: Array, y: Array, b: float) -> None:
    """Draw f_b, the samples, and the errors between them."""
    _model(ax, partial(model, b=b), _ends(X), label=f"$f_b$ with $b={b:g}$", color=COLOURS["general"])
    answer = model(X[:, 0], b)
    wrong = answer != y
    ax.vlines(X[wrong, 0], y[wrong], answer[wrong], color=COLOURS["reflection"], linestyle=":", label="error")
    _data(ax, X, y)
    ax.legend(loc="upper left")


def figure_1(X: Array, y: Array) -> Figure:
    """Redraw the paper's figure 1: the model with its three b (top), and three losses against b, exactly (bottom)."""
    fig, (top, bottom) = plt.subplots(2, 1, figsize=(WIDTH, 6.6))
    for b, line, width in zip(FIGURE_1, ("-", "--", ":"), (1.6, 1.8, 2.6), strict=True):
        _model(top, partial(model, b=b), _ends(X), label=f"$b={b:g}$", color=COLOURS["general"], ls=line, lw=width)
    _data(top, X, y)
    top.legend(loc="upper left")
    found = _losses(bottom, X, y)["zero-one"]
    paper_mark(bottom, FIGURE_1, [step_at(found, b).loss for b in FIGURE_1], label="$b$ of figure 1")
    bottom.legend(loc="upper right")
    return fig


def _losses(ax: Axes, X: Array, y: Array) -> dict[str, list[Step]]:
    """Draw all losses against b; returns their steps."""
    found = {loss: steps(X, y, loss) for loss in LOSSES}
    for loss, of_loss in found.items():
        _loss(ax, of_loss, loss)
    ax.set(xlabel="$b$", ylabel="total loss", yscale="log", xlim=B_RANGE, ylim=(0.8, 90))
    ax.set_yticks([1, 2, 3, 5, 10, 20, 50], ["1", "2", "3", "5", "10", "20", "50"])
    ax.minorticks_off()
    return found


def _loss(ax: Axes, found: Sequence[Step], loss: str) -> None:
    """Draw the steps of one loss; the ends of a minimum are dots, the open one white."""
    seen = [s for s in found if s.high > B_RANGE[0] and s.low < B_RANGE[1]]
    edges = np.clip([seen[0].low, *(s.high for s in seen)], *B_RANGE)
    colour = LOSS_COLOURS[loss]
    ax.stairs([s.loss for s in seen], edges, baseline=None, color=colour, lw=LOSS_WIDTHS[loss], label=loss)
    for s in {*local_minima(list(found)), *global_minima(list(found))}:
        ax.plot(s.low, s.loss, "o", color="white", markeredgecolor=colour, markersize=4.5 + LOSS_WIDTHS[loss])
        ax.plot(s.high, s.loss, "o", color=colour, markersize=4.5 + LOSS_WIDTHS[loss])


def pulls(X: Array, y: Array, groups: dict[str, Sequence[float]]) -> Figure:
    """Draw which way each group of inputs pushes b, and all together, with the floor taken as identity in the slope."""
    fig, axes = plt.subplots(2, 1, figsize=(WIDTH, 5.6), sharex=True)
    x = X[:, 0]
    edges = np.unique(np.concatenate([[-1.5, 3.75], *(x - m for m in range(-1, 7)), x]))
    edges = edges[(edges >= -1.5) & (edges <= 3.75)]
    middles = (edges[1:] + edges[:-1]) / 2
    looks = zip((COLOURS["general"], COLOURS["reflection"]), ("--", "-"), strict=True)
    styles = {
        name: {"color": colour, "ls": line, "lw": 1.8} for name, (colour, line) in zip(groups, looks, strict=True)
    }
    for ax, loss in zip(axes, ("squared", "absolute"), strict=True):
        each = np.array([pull(X, y, b, loss) for b in middles])
        ax.stairs(each.sum(axis=1), edges, baseline=None, color="0.75", lw=6, label="all samples")
        for name, inputs in groups.items():
            ax.stairs(each[:, np.isin(x, inputs)].sum(axis=1), edges, baseline=None, label=name, **styles[name])
        ax.axhline(0, color="0.4", linewidth=0.8)
        ax.axvspan(*TRAP, color="#F0E442", alpha=0.35, zorder=0)
        ax.set_ylabel(f"push on $b$, {loss} loss")
    axes[0].legend(loc="upper right")
    axes[1].set_xlabel("$b$")
    return fig


def two_pieces(X: Array, y: Array, second_b: float, fitted: ErrorReflectionRegressor) -> Figure:
    """Draw f_0 up to x = 1 and f_b from there on (top), and the networks that the method found (bottom).

    In the bottom panel a line is thick where the gate lets that network answer.
    """
    fig, (top, bottom) = plt.subplots(2, 1, figsize=(WIDTH, 5.6), sharex=True, gridspec_kw={"height_ratios": (2, 3)})
    ends = _ends(X)
    for k, (b, piece) in enumerate(((0, (ends[0], 1)), (second_b, (1, ends[1])))):
        answer, colour = partial(model, b=b), expert_colour(k)
        _model(top, answer, piece, label=f"$b={b:g}$", color=colour, lw=3)
        top.plot(1, answer(1), "o", color=colour, markersize=11, alpha=0.6)
    for k, network in enumerate(fitted.networks_):
        style = {"color": expert_colour(k)}
        everywhere = partial(_column, network.predict)
        routed = partial(_where, everywhere, partial(_column, fitted.route), k)
        _model(bottom, everywhere, ends, **style, lw=1, alpha=0.6)
        _model(bottom, routed, ends, **style, lw=3, label="general network" if k == 0 else f"expert {k}")
    for ax in (top, bottom):
        _data(ax, X, y)
        ax.legend(loc="upper left")
    top.set(xlabel="", ylim=(-0.2, 2.2), yticks=[0, 1, 2])
    return fig


def _column(predict: Callable[[Array], Array], x: Array) -> Array:
    return predict(x[:, None])


def _where(answer: Callable[[Array], Array], route: Callable[[Array], Array], k: int, x: Array) -> Array:
    return np.where(route(x) == k, answer(x), np.nan)


def _ends(X: Array) -> tuple[float, float]:
    """Give the picture half a unit on both sides of the samples."""
    return X.min() - 0.5, X.max() + 0.5


def _model(ax: Axes, answer: Callable[[Array], Array], ends: tuple[float, float], **style) -> None:
    """Draw a function of x that is constant between multiples of 1/20, from one end to the other."""
    edges = np.arange(round(20 * ends[0]), round(20 * ends[1]) + 1) / 20
    ax.stairs(answer((edges[1:] + edges[:-1]) / 2), edges, baseline=None, **({"lw": 1.8} | style))


def _data(ax: Axes, X: Array, y: Array) -> None:
    ax.plot(X[:, 0], y, "o", color=COLOURS["target"], markersize=6, zorder=4, label="data")
    ax.set(xlabel="$x$", ylabel="answer")
