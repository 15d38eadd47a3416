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
from errref.records import Row, numbers_of

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
    ("control: told errors, one cluster", "one_cluster_error_oracle", {"part": "controls"}, "control"),
    ("control: told errors, random clusters", "random_clusters_error_oracle", {"part": "controls"}, "control"),
    ("control: told errors, constant experts", "constant_error_oracle", _PIXELS, "control"),
    ("control: one network, top 2", "top2", {"part": "plain"}, "control"),
    ("told the cluster too, pixels", "cluster_oracle", _PIXELS, "oracle"),
    ("control: told clusters, random ones", "random_clusters_cluster_oracle", {"part": "controls"}, "control"),
    ("control: told clusters, constant experts", "constant_cluster_oracle", _PIXELS, "control"),
    ("told the cluster too, label pairs", "cluster_oracle", _PAIRS, "oracle"),
    ("control: told pairs, constant experts", "constant_cluster_oracle", _PAIRS, "control"),
    ("any network right, pixels", "any_right", _PIXELS, "oracle"),
    ("control: any right, random clusters", "random_clusters_any_right", {"part": "controls"}, "control"),
    ("control: any right, independent networks", "independent_any_right", {"part": "controls"}, "control"),
    ("any network right, label pairs", "any_right", _PAIRS, "oracle"),
    ("control: any right, pairs, constant experts", "constant_any_right", _PAIRS, "control"),
    ("control: one network, top 3", "top3", {"part": "plain"}, "control"),
]
LEAKS: list[Line] = [
    ("gate from test images", "clusters_train_experts_train_gate_test", {"part": "test_leak"}, "oracle"),
    ("... and experts", "clusters_train_experts_test_gate_test", {"part": "test_leak"}, "oracle"),
    ("... and clusters", "clusters_test_experts_test_gate_test", {"part": "test_leak"}, "oracle"),
    ("... and test routes by heart", "clusters_test_experts_test_gate_by_heart", {"part": "test_leak"}, "oracle"),
    ("scored on training images", "train_accuracy", _PIXELS, "oracle"),
    ("... and their routes by heart", "train_by_heart", _PIXELS, "oracle"),
    ("... the same, label pairs", "train_by_heart", _PAIRS, "oracle"),
    ("control: one network, on training images", "train_accuracy", {"part": "plain"}, "control"),
    ("MNIST digits, one network", "accuracy", {"part": "digits"}, "oracle"),
]


def story(rows: Sequence[Row], scale: str = "full") -> Figure:
    """Accuracy under each protocol with its controls: a dot a seed, a bar at the median; the paper's as diamonds."""
    groups = {"honest": HONEST, "sees the label": ORACLES, "fitted on what it\nis scored on, or\nother images": LEAKS}
    heights = [len(lines) for lines in groups.values()]
    figure, axes = plt.subplots(3, 1, figsize=(7.2, 9.8), sharex=True, height_ratios=heights)
    for ax, (name, lines) in zip(axes, groups.items(), strict=True):
        _lines(ax, rows, scale, lines)
        for value in (HUMAN, PUBLISHED):
            ax.axvline(100 * value, color="0.5", linestyle=":", linewidth=1.2)
        ax.set_ylabel(name, fontsize=10)
    top = axes[0]
    paper_mark(top, 100 * np.array(PRINTED), [-1, -1], "printed")
    top.legend(loc="lower right", fontsize=8)
    for value, words in ((HUMAN, "people"), (PUBLISHED, "best published")):
        top.text(100 * value, -1.7, words, ha="center", va="bottom", fontsize=8)
    top.set_ylim(len(HONEST) - 0.4, -1.6)
    axes[-1].set_xlabel("accuracy on the test images, unless said otherwise (%)")
    return figure


def _lines(ax: Axes, rows: Sequence[Row], scale: str, lines: list[Line]) -> None:
    for place, (_, measure, select, role) in enumerate(lines):
        values = 100 * np.array([n[measure] for n in numbers_of(rows, scale=scale, **select)])
        ax.plot(values, np.full(len(values), place), ".", color=COLOURS[role], alpha=0.5, markersize=5)
        if len(values):
            ax.plot(np.median(values) * np.ones(2), place + np.array([-0.35, 0.35]), color=COLOURS[role], linewidth=3)
    ax.set_yticks(range(len(lines)), [words for words, *_ in lines], fontsize=8.5)
    ax.set_ylim(len(lines) - 0.4, -0.6)


KNOWN = {  # test routes known by heart, and no other leak but the named one
    "experts from training images": ("clusters_train_experts_train", "reflection"),
    "experts from test images": ("clusters_train_experts_test", "oracle"),
}


def share_known(row: dict[str, float], experts: str, accuracy: float) -> float:
    """Share of the test routes that must be known by heart for an accuracy; more than 1: it is out of reach.

    The accuracy grows in proportion to the share, from that of the honest gate; ``row`` is of the part "test_leak", and
    ``experts`` one of `KNOWN`.
    """
    start, end = (row[f"{KNOWN[experts][0]}_gate_{gate}"] for gate in ("train", "by_heart"))
    return (accuracy - start) / (end - start)


def dial(rows: Sequence[Row], scale: str = "full") -> Figure:
    """Accuracy against the epochs of a gate that is fitted on test images, and against the share of routes known."""
    found = numbers_of(rows, scale=scale, part="test_leak")
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.9), sharey=True)
    epochs = np.arange(1, 1 + sum(name.startswith("curve_") for name in found[0]))
    curves = 100 * np.array([[n[f"curve_{k}"] for k in epochs] for n in found])
    left.plot(epochs, curves.T, color=COLOURS["oracle"], alpha=0.4, linewidth=0.8)
    left.plot(epochs, np.median(curves, axis=0), color=COLOURS["oracle"], linewidth=2.5)
    general = 100 * np.median([n["general"] for n in numbers_of(rows, scale=scale, **_PIXELS)])
    for ax in (left, right):
        ax.axhline(general, color=COLOURS["general"], linestyle="--", linewidth=1.2)
        for value in PRINTED:
            ax.axhline(100 * value, color="0.5", linestyle=":", linewidth=1.2)
    left.text(epochs[-1], general, "general network", ha="right", va="bottom", fontsize=8, color=COLOURS["general"])
    paper_mark(left, [epochs[0]] * 2, 100 * np.array(PRINTED), "printed")
    for words, (start, role) in KNOWN.items():
        ends = 100 * np.array([[n[f"{start}_gate_{gate}"] for n in found] for gate in ("train", "by_heart")])
        right.plot([0, 100], ends, color=COLOURS[role], alpha=0.4, linewidth=0.8)
        right.plot([0, 100], np.median(ends, axis=1), color=COLOURS[role], linewidth=2.5, label=words)
    left.set_xlabel("epochs of a gate on the test images,\nexperts and clusters from there too")
    left.set_ylabel("accuracy on the test images (%)")
    right.set_xlabel("test routes known by heart (%)")
    left.legend(loc="center right", fontsize=8)
    right.legend(loc="lower right", fontsize=8, bbox_to_anchor=(1, 0.12))
    return figure


def trust(rows: Sequence[Row], scale: str = "full") -> Figure:
    """Who is right where the gate suspects the general network: test images in ten equal parts, by its estimate."""
    found = numbers_of(rows, scale=scale, **_PIXELS)
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


def one_case(image: np.ndarray, label: int, proba: np.ndarray) -> Figure:
    """An image (784,), and what every network says of it: proba (networks, classes), the general network first."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.2), width_ratios=[2, 5])
    left.imshow(image.reshape(28, 28), cmap="gray_r")
    left.set_xlabel(FASHION_CLASSES[label])
    left.set_xticks([])
    left.set_yticks([])
    left.grid(False)
    places = np.arange(len(FASHION_CLASSES))
    for k, own in enumerate(proba):
        right.barh(places, 0.8 * own, left=k, color=expert_colour(k))
    right.axhspan(label - 0.5, label + 0.5, color="0.5", alpha=0.2, zorder=0)
    right.set_xticks(np.arange(len(proba)), ["general", *(f"expert {k}" for k in range(1, len(proba)))], ha="left")
    right.set_yticks(places, FASHION_CLASSES)
    right.set_ylim(len(places) - 0.5, -0.5)
    return figure
