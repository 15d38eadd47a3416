"""Oracles, which see the true label and so are bounds, not models; and why the gate gains what it gains."""

from __future__ import annotations

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from errref.protocols.answers import best_expert, honest
from errref.protocols.looking import Array, Look, pick
from errref.reflection import ErrorReflectionClassifier

BINS = 10  # equal parts of the samples, by the gate's estimate that the general network is wrong


def error_oracle(seen: Look) -> Array:
    """Told whether the general network is wrong, and then the gate's best expert. Sees one bit of the true label.

    Parameters
    ----------
    seen : Look

    Returns
    -------
    ndarray of shape (n,)
        The answers: one of ``classes_`` for each sample.

    Examples
    --------
    >>> proba = np.array([[[0.9, 0.1], [0.3, 0.7]], [[0.6, 0.4], [0.2, 0.8]]])
    >>> y, gate = np.array([0, 1]), np.array([[0.8, 0.2], [0.6, 0.4]])
    >>> seen = Look(y, proba, proba.argmax(axis=2), gate, assigned=np.array([0, 1]))
    >>> error_oracle(seen)
    array([0, 1])
    """
    return np.where(seen.wrong, pick(seen.each, best_expert(seen)), seen.general)


def cluster_oracle(seen: Look) -> Array:
    """Told whether the general network is wrong, and the cluster: the one with the nearest training centroid.

    Where the clustered space holds the label, it sees the label.

    Parameters
    ----------
    seen : Look

    Returns
    -------
    ndarray of shape (n,)
        The answers: one of ``classes_`` for each sample.

    Examples
    --------
    >>> proba = np.array([[[0.9, 0.1], [0.3, 0.7]], [[0.6, 0.4], [0.2, 0.8]]])
    >>> y, gate = np.array([0, 1]), np.array([[0.8, 0.2], [0.6, 0.4]])
    >>> seen = Look(y, proba, proba.argmax(axis=2), gate, assigned=np.array([0, 1]))
    >>> cluster_oracle(seen)
    array([0, 1])
    """
    return pick(seen.each, seen.assigned)


def any_right(each: Array, y: Array) -> Array:
    """Whether any network is right. Sees the true label, and all answers.

    Parameters
    ----------
    each : ndarray of shape (n, networks)
        Answers of every network.
    y : ndarray of shape (n,)
        The true labels.

    Returns
    -------
    bool ndarray of shape (n,)

    Examples
    --------
    >>> any_right(np.array([[0, 1], [0, 0]]), np.array([1, 1]))
    array([ True, False])
    """
    return (each == y[:, None]).any(axis=1)


def top(k: int, proba: Array, y: Array, classes: Array) -> float:
    """Share of samples whose label is among the k most probable classes of one network.

    Parameters
    ----------
    k : int
        1 gives the accuracy.
    proba : ndarray of shape (n, C)
        Probabilities of one network.
    y : ndarray of shape (n,)
        The true labels.
    classes : ndarray of shape (C,)
        Those of the columns of ``proba``.

    Returns
    -------
    float

    Examples
    --------
    >>> proba = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    >>> y, classes = np.array([0, 1]), np.arange(3)
    >>> top(1, proba, y, classes), top(2, proba, y, classes)
    (0.5, 1.0)
    """
    best = classes[np.argsort(-proba, axis=1, kind="stable")[:, :k]]
    return float(any_right(best, y).mean())


def mechanism(seen: Look) -> dict[str, float]:
    """Why the gate gains what it gains: what it routes, who is right there, and how well it knows errors.

    Parameters
    ----------
    seen : Look
        Of at least `BINS` samples, of which the general network is wrong about some and right about some.

    Returns
    -------
    dict of numbers
        ``n_routed``, samples that an expert answers; of these ``n_routed_wrong``, where the general network is wrong,
        and ``n_routed_expert_right``. ``expert_right_where_right`` and ``expert_right_where_wrong``, accuracy of the
        gate's best expert where the general network is right and wrong. ``rescues`` and ``harms``, samples that
        routing makes right and wrong; ``mcnemar``, the p-value of the exact test that they are as many; ``gap_share``,
        what they gain of what `error_oracle` gains. ``gate_auroc`` and ``confidence_auroc``, areas under the curve of
        the gate's and of the general network's estimate of its errors. By parts of the samples, ascending in the
        gate's estimate: ``estimate_0``, ``general_wrong_0``, ``expert_right_0`` and so on.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from errref.protocols import look
    >>> X, y = load_iris(return_X_y=True)
    >>> tree = DecisionTreeClassifier(max_depth=1)
    >>> model = ErrorReflectionClassifier(tree, random_state=0).fit(X, y)
    >>> found = mechanism(look(model, X, y))
    >>> found["rescues"], found["harms"]
    (50, 0)
    """
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
