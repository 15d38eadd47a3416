"""Protocols of the image study: who may see what when a fitted error reflection is asked for its answers.

A model is looked at once (`look`); a protocol then only picks, for each sample, one of the answers. Its docstring says
what it is allowed to see. Those that see the true label of the sample they answer are *oracles*: bounds, not models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest
from sklearn.base import BaseEstimator, ClusterMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score

from errref.reflection import ErrorReflectionClassifier

Array = np.ndarray
BINS = 10  # equal parts of the samples, by the gate's estimate that the general network is wrong


@dataclass(frozen=True)
class Look:
    """What a fitted error reflection of K experts makes of n samples.

    Attributes
    ----------
    y : (n,), the true labels
    proba : (n, 1 + K, C), probabilities of every network, the general network's at 0
    each : (n, 1 + K), the most probable classes
    gate : (n, 1 + K), the gate's probability of every route
    assigned : (n,), routes of one who knows y: 0 where the general network is right, else 1 + nearest training centroid
    """

    y: Array
    proba: Array
    each: Array
    gate: Array
    assigned: Array

    @property
    def general(self) -> Array:
        """Answers of the general network alone; (n,)."""
        return self.each[:, 0]

    @property
    def wrong(self) -> Array:
        """Where the general network is wrong; (n,)."""
        return self.general != self.y


def look(model: ErrorReflectionClassifier, X: Array, y: Array) -> Look:
    """Ask every network of a fitted model, and its gate, about X (n, ...) with the true labels y (n,)."""
    proba = model.predict_proba_each(X)
    gate = np.zeros(proba.shape[:2])
    gate[:, model.gate_.classes_] = model.gate_.predict_proba(X)
    return Look(y, proba, model.classes_[proba.argmax(axis=2)], gate, model.assign(X, y))


def pick(answers: Array, routes: Array) -> Array:
    """Answer of the network on each sample's route; answers (n, 1 + K), routes (n,)."""
    return answers[np.arange(len(answers)), routes]


# -- spaces to cluster in, besides the pixels --------------------------------------------------------------------------


def label_pairs(network: Any, X: Array, y: Array) -> Array:
    """The space of (true label, predicted label), one-hot: (n, 20)."""
    return np.eye(10)[np.stack([y, network.predict(X)], axis=1)].reshape(len(y), 20)


def features(network: Any, X: Array, y: Array) -> Array:
    """The space of the general network's penultimate features: (n, features)."""
    return network.embed(X)


# -- honest: the true label of a sample is seen by nobody who answers it -----------------------------------------------


def honest(seen: Look) -> Array:
    """The method as it is: the gate's most probable route. Sees the sample, and what training data taught."""
    return pick(seen.each, seen.gate.argmax(axis=1))


def soft_mixture(seen: Look, classes: Array) -> Array:
    """The networks' probabilities, weighted by the gate's. Sees what `honest` sees."""
    return classes[np.einsum("nk,nkc->nc", seen.gate, seen.proba).argmax(axis=1)]


def gate_bias(seen: Look, bias: float) -> Array:
    """The gate with log-odds added to the general network's route. Sees what `honest` sees, and one number."""
    with np.errstate(divide="ignore"):
        scores = np.log(seen.gate)
    return pick(seen.each, (scores + bias * (np.arange(scores.shape[1]) == 0)).argmax(axis=1))


def confidence_threshold(seen: Look, threshold: float) -> Array:
    """The gate's best expert where the general network is unsure. Sees what `honest` sees, and one number.

    Unsure: its largest probability is below the threshold.
    """
    unsure = seen.proba[:, 0].max(axis=1) < threshold
    return np.where(unsure, pick(seen.each, best_expert(seen)), seen.general)


def tune(protocol: Any, validation: Look, candidates: Array) -> float:
    """The first candidate with the best accuracy on validation data, which no training saw."""
    accuracies = [np.mean(protocol(validation, value) == validation.y) for value in candidates]
    return float(candidates[int(np.argmax(accuracies))])


# -- on the data that it was trained on --------------------------------------------------------------------------------


def on_training_data(model: ErrorReflectionClassifier, X: Array, y: Array) -> dict[str, float]:
    """The method scored on its training data. Sees the labels that it is asked for, in training.

    "by heart" is the end of that: the gate knows every training route that clustering gave.
    """
    each = model.predict_each(X)
    answers = {"general_train_accuracy": each[:, 0], "train_accuracy": pick(each, model.route(X))}
    answers["train_by_heart"] = pick(each, model.routes_)
    return {name: float(np.mean(answer == y)) for name, answer in answers.items()}


def fate_of_noise(model: ErrorReflectionClassifier, X: Array, flipped: Array) -> dict[str, float]:
    """What a fitted method made of the training samples X (n, ...) whose label was made wrong; flipped (n,)."""
    routed = model.route(X) > 0
    return {
        "noise_among_errors": float(flipped[model.errors_].mean()),
        "errors_among_noise": float(model.errors_[flipped].mean()),
        "errors_among_clean": float(model.errors_[~flipped].mean()),
        "routed_among_noise": float(routed[flipped].mean()),
        "routed_among_clean": float(routed[~flipped].mean()),
    }


# -- oracles: bounds that see the true label ---------------------------------------------------------------------------


def best_expert(seen: Look) -> Array:
    """The gate's most probable expert, the general network left out; routes (n,), all 0 where there is no expert."""
    return 1 + seen.gate[:, 1:].argmax(axis=1) if seen.gate.shape[1] > 1 else np.zeros(len(seen.gate), dtype=int)


def error_oracle(seen: Look) -> Array:
    """Told whether the general network is wrong, and then the gate's best expert. Sees one bit of the true label."""
    return np.where(seen.wrong, pick(seen.each, best_expert(seen)), seen.general)


def cluster_oracle(seen: Look) -> Array:
    """Told that, and the cluster: the nearest training centroid. In a space that holds the label it sees the label."""
    return pick(seen.each, seen.assigned)


def any_right(each: Array, y: Array) -> Array:
    """Whether any network is right; each (n, networks), y (n,). Sees the true label, and all answers."""
    return (each == y[:, None]).any(axis=1)


def top(k: int, proba: Array, y: Array, classes: Array) -> float:
    """Share of samples whose label is among the k most probable classes of one network; proba (n, C)."""
    best = classes[np.argsort(-proba, axis=1, kind="stable")[:, :k]]
    return float(any_right(best, y).mean())


# -- why it gains what it gains ---------------------------------------------------------------------------------------


def mechanism(seen: Look) -> dict[str, float]:
    """Why the gate gains what it gains: what it routes, who is right there, and how well it knows errors."""
    routed = seen.gate.argmax(axis=1) > 0
    right, expert = honest(seen) == seen.y, pick(seen.each, best_expert(seen)) == seen.y
    rescues, harms = int(np.sum(right & seen.wrong)), int(np.sum(~right & ~seen.wrong))
    gap = np.mean(error_oracle(seen) == seen.y) - np.mean(~seen.wrong)
    estimate = 1 - seen.gate[:, 0]
    bins = np.array_split(np.argsort(estimate, kind="stable"), BINS)
    by_bin = {
        f"{name}_{k}": float(values[some].mean())
        for k, some in enumerate(bins)
        for name, values in (("estimate", estimate), ("general_wrong", seen.wrong), ("expert_right", expert))
    }
    return {
        "n_routed": int(routed.sum()),
        "n_routed_wrong": int(np.sum(routed & seen.wrong)),
        "n_routed_expert_right": int(np.sum(routed & right)),
        "expert_right_where_right": float(expert[~seen.wrong].mean()),
        "expert_right_where_wrong": float(expert[seen.wrong].mean()) if seen.wrong.any() else 0.0,
        "rescues": rescues,
        "harms": harms,
        "gap_share": (rescues - harms) / len(seen.y) / gap if gap > 0 else 0.0,
        "mcnemar": binomtest(rescues, rescues + harms).pvalue if rescues + harms else 1.0,
        "gate_auroc": roc_auc_score(seen.wrong, estimate),
        "confidence_auroc": roc_auc_score(seen.wrong, -seen.proba[:, 0].max(axis=1)),
        **by_bin,
    }


# -- leaks: parts fitted on the test set -------------------------------------------------------------------------------


def leaked(
    fitted: ErrorReflectionClassifier, train: tuple[Array, Array], test: tuple[Array, Array]
) -> dict[tuple[str, str], ErrorReflectionClassifier]:
    """Models whose clusters, and whose experts and gate, come from training or from test data.

    Parameters
    ----------
    fitted : the honest model, fitted on ``train``, with a frozen general network
    train, test : X, y

    Returns
    -------
    dict from (source of the clusters, source of experts and gate) to fitted models, those of one source of clusters
    with the same numbering of them: the cell "clusters c, experts e, gate g" routes the experts of (c, e) by the gate
    of (c, g).

    Raises
    ------
    ValueError
        If no error case of one source falls into some cluster of the other.
    """
    own = {"train": fitted, "test": _fresh(fitted).fit(*test)}
    models = {(c, c): own[c] for c in own}
    for c, other, data in (("train", "test", test), ("test", "train", train)):
        model = _fresh(fitted, clusterer=FrozenEstimator(own[c].clusterer_)).fit(*data)
        if len(model.experts_) != len(own[c].experts_):
            raise ValueError(f"Some cluster of the {c} error cases has no {other} error case; ask for fewer clusters.")
        models[c, other] = model
    return models


def _fresh(model: ErrorReflectionClassifier, **changes) -> ErrorReflectionClassifier:
    return ErrorReflectionClassifier(**{**model.get_params(deep=False), **changes})


# -- controls ----------------------------------------------------------------------------------------------------------


def constant_experts(model: ErrorReflectionClassifier, seen: Look, y_train: Array) -> dict[str, float]:
    """A control: the oracles, where each expert only knows its cluster's most frequent class."""
    modes = [np.bincount(y_train[model.routes_ == 1 + k]).argmax() for k in range(len(model.experts_))]
    each = np.column_stack([seen.general, np.tile(modes, (len(seen.y), 1))])
    told = np.where(seen.wrong, best_expert(seen), 0)
    return {
        "constant_error_oracle": float(np.mean(pick(each, told) == seen.y)),
        "constant_cluster_oracle": float(np.mean(pick(each, seen.assigned) == seen.y)),
        "constant_any_right": float(any_right(each, seen.y).mean()),
    }


class ShuffledLabels(ClusterMixin, BaseEstimator):
    """A control: as many clusters, as large, as another clusterer finds, but with their members drawn at random."""

    def __init__(self, clusterer=None, random_state=None):
        self.clusterer = clusterer
        self.random_state = random_state

    def fit(self, X, y=None):
        """Cluster ``X``, then shuffle the labels."""
        labels = clone(self.clusterer).fit_predict(X)
        self.labels_ = np.random.default_rng(self.random_state).permutation(labels)
        return self
