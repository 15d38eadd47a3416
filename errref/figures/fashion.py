"""The figures of the chapter `fashion`."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from errref.datasets import FASHION_CLASSES
from errref.figures import COLOURS, expert_colour, paper_mark
from errref.protocols import BINS
from errref.records import Row

PRINTED = (0.9881, 0.9588)  # by the paper: abstract and section 5; section 1
PUBLISHED = 0.9691  # the best credible accuracy, of networks of any size (Tanveer et al. 2020)
HUMAN = 0.835  # of people who do not know fashion, on 1,000 test images (Xiao et al. 2017)

Line = tuple[str, str, dict[str, str], str]  # words of the axis, number of the rows, their configuration, role
_PIXELS = {"part": "reflection", "reading": "network", "space": "pixels"}
_FEATURES, _PAIRS = {**_PIXELS, "space": "features"}, {**_PIXELS, "space": "pairs"}
_SYSTEM = {**_PIXELS, "reading": "system"}

HONEST: list[Line] = [
    ("one network", "accuracy", {"part": "plain"}, "general"),
    ("error reflection", "accuracy", _PIXELS, "reflection"),
    ("... features clustered", "accuracy", _FEATURES, "reflection"),
    ("... label pairs clustered", "accuracy", _PAIRS, "reflection"),
    ("... errors out of fold", "accuracy", {"part": "out_of_fold"}, "reflection"),
    ("... gate's bias from validation", "gate_bias", _PIXELS, "reflection"),
    ("... soft mixture", "soft_mixture", _PIXELS, "reflection"),
    ("... confidence threshold", "confidence_threshold", _PIXELS, "reflection"),
    ("... 3,000 parameters in all", "accuracy", _SYSTEM, "reflection"),
    ("control: one cluster", "one_cluster_honest", {"part": "controls"}, "control"),
    ("control: random clusters", "random_clusters_honest", {"part": "controls"}, "control"),
    ("control: trained as long", "accuracy", {"part": "long"}, "control"),
    ("control: one wide network", "accuracy", {"part": "wide"}, "control"),
    ("control: ensemble", "ensemble", {"part": "controls"}, "control"),
]
ORACLES: list[Line] = [
    ("told where it errs", "error_oracle", _PIXELS, "oracle"),
    ("control: ... one cluster", "one_cluster_error_oracle", {"part": "controls"}, "control"),
    ("control: ... constant experts", "constant_error_oracle", _PIXELS, "control"),
    ("control: one network, top 2", "top2", {"part": "plain"}, "control"),
    ("told the pixel cluster too", "cluster_oracle", _PIXELS, "oracle"),
    ("control: ... random clusters", "random_clusters_cluster_oracle", {"part": "controls"}, "control"),
    ("told the label pair's cluster", "cluster_oracle", _PAIRS, "oracle"),
    ("control: ... constant experts", "constant_cluster_oracle", _PAIRS, "control"),
    ("any network right", "any_right", _PIXELS, "oracle"),
    ("control: ... random clusters", "random_clusters_any_right", {"part": "controls"}, "control"),
    ("control: ... independent networks", "independent_any_right", {"part": "controls"}, "control"),
    ("control: one network, top 3", "top3", {"part": "plain"}, "control"),
]
LEAKS: list[Line] = [
    ("accuracy on training images", "train_accuracy", _PIXELS, "oracle"),
    ("gate fitted on test images", "clusters_train_experts_train_gate_test", {"part": "test_leak"}, "oracle"),
    ("experts too", "clusters_train_experts_test_gate_test", {"part": "test_leak"}, "oracle"),
    ("clusters too", "clusters_test_experts_test_gate_test", {"part": "test_leak"}, "oracle"),
    ("test routes known by heart", "clusters_test_experts_test_gate_by_heart", {"part": "test_leak"}, "oracle"),
    ("MNIST digits, one network", "accuracy", {"part": "digits"}, "oracle"),
]


def numbers_of(rows: Sequence[Row], scale: str = "full", **select: str) -> list[dict[str, float]]:
    """Numbers of the rows of one configuration, one dict a seed, by seed."""
    wanted = {"scale": scale, **select}
    return [row.numbers for row in sorted(rows, key=lambda row: row.seed) if row.config == wanted]


def story(rows: Sequence[Row], scale: str = "full") -> Figure:
    """Accuracy under each protocol with its controls: a dot a seed, a bar at the median; the paper's as diamonds."""
    groups = {"honest": HONEST, "sees the label": ORACLES, "sees test labels\nin training, or\nother images": LEAKS}
    heights = [len(lines) for lines in groups.values()]
    figure, axes = plt.subplots(3, 1, figsize=(7.2, 8.6), sharex=True, height_ratios=heights)
    for ax, (name, lines) in zip(axes, groups.items(), strict=True):
        _lines(ax, rows, scale, lines)
        for value in (HUMAN, PUBLISHED):
            ax.axvline(100 * value, color="0.5", linestyle=":", linewidth=1.2)
        ax.set_ylabel(name, fontsize=10)
    top = axes[0]
    paper_mark(top, 100 * np.array(PRINTED), [-1, -1], None)
    for value, words in ((HUMAN, "people"), (PUBLISHED, "best published")):
        top.text(100 * value, -1.7, words, ha="center", va="bottom", fontsize=8)
    top.text(100 * PRINTED[0], -1.7, "printed", ha="center", va="bottom", fontsize=8)
    top.set_ylim(len(HONEST) - 0.4, -1.6)
    axes[-1].set_xlabel("accuracy on the test images, unless said otherwise (%)")
    return figure


def _lines(ax: Axes, rows: Sequence[Row], scale: str, lines: list[Line]) -> None:
    for place, (_, measure, select, role) in enumerate(lines):
        values = 100 * np.array([n[measure] for n in numbers_of(rows, scale, **select)])
        ax.plot(values, np.full(len(values), place), ".", color=COLOURS[role], alpha=0.5, markersize=5)
        if len(values):
            ax.plot(np.median(values) * np.ones(2), place + np.array([-0.35, 0.35]), color=COLOURS[role], linewidth=3)
    ax.set_yticks(range(len(lines)), [words for words, *_ in lines], fontsize=8.5)
    ax.set_ylim(len(lines) - 0.4, -0.6)


def dial(rows: Sequence[Row], scale: str = "full") -> Figure:
    """Accuracy against the epochs of a gate that is fitted on test images, with experts and clusters from there too."""
    found = numbers_of(rows, scale, part="test_leak")
    figure, ax = plt.subplots(figsize=(7.2, 3.4))
    epochs = np.arange(1, 1 + sum(name.startswith("curve_") for name in found[0]))
    curves = 100 * np.array([[n[f"curve_{k}"] for k in epochs] for n in found])
    ax.plot(epochs, curves.T, color=COLOURS["oracle"], alpha=0.4, linewidth=0.8)
    ax.plot(epochs, np.median(curves, axis=0), color=COLOURS["oracle"], linewidth=2.5, label="all from test images")
    levels = (
        ("general network", "general", numbers_of(rows, scale, **_PIXELS), "general"),
        ("honest", "clusters_train_experts_train_gate_train", found, "reflection"),
        ("routes by heart", "clusters_test_experts_test_gate_by_heart", found, "control"),
    )
    for words, measure, numbers, role in levels:
        ax.axhline(100 * np.median([n[measure] for n in numbers]), color=COLOURS[role], linestyle="--", label=words)
    paper_mark(ax, [epochs[-1] * 1.02] * 2, 100 * np.array(PRINTED), "printed")
    ax.set_xlabel("epochs of the gate on the test images")
    ax.set_ylabel("accuracy on the same images (%)")
    ax.legend(fontsize=8, loc="center right")
    return figure


def trust(rows: Sequence[Row], scale: str = "full") -> Figure:
    """Who is right where the gate suspects the general network: test images in ten equal parts, by its estimate."""
    found = numbers_of(rows, scale, **_PIXELS)
    figure, ax = plt.subplots(figsize=(7.2, 3.6))
    estimate, wrong, expert = (
        100 * np.array([[n[f"{name}_{k}"] for k in range(BINS)] for n in found])
        for name in ("estimate", "general_wrong", "expert_right")
    )
    for values, role, words in (
        (100 - wrong, "general", "general network"),
        (expert, "reflection", "gate's best expert"),
    ):
        ax.plot(estimate.T, values.T, color=COLOURS[role], alpha=0.35, linewidth=0.8)
        ax.plot(np.median(estimate, axis=0), np.median(values, axis=0), ".-", color=COLOURS[role], label=words)
    ax.set_xlabel("gate's estimate that the general network is wrong (%)")
    ax.set_ylabel("right (%)")
    ax.legend()
    return figure


def error_cases(images: np.ndarray, y: np.ndarray, answers: np.ndarray, clusters: np.ndarray, each: int = 6) -> Figure:
    """The first error cases of each cluster; images (n, 784), labels, the general network's answers, clusters (n,)."""
    rows = int(clusters.max()) + 1
    figure, axes = plt.subplots(rows, each, figsize=(7.2, 1.45 * rows), squeeze=False)
    for k, line in enumerate(axes):
        mine = np.flatnonzero(clusters == k)[:each]
        for ax, i in zip(line, mine, strict=False):
            ax.imshow(images[i].reshape(28, 28), cmap="gray_r")
            ax.set_xlabel(f"{FASHION_CLASSES[y[i]]},\nnot {FASHION_CLASSES[answers[i]]}", fontsize=7)
        for ax in line:
            ax.set_xticks([])
            ax.set_yticks([])
            ax.grid(False)
        line[0].set_ylabel(f"cluster {k + 1}", fontsize=9, color=expert_colour(k + 1))
    return figure
