"""Scores on data that were seen, parts that were fitted on the test set, and what chance would cluster."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin, clone
from sklearn.frozen import FrozenEstimator

from errref.protocols.looking import Array, pick
from errref.reflection import ErrorReflectionClassifier


def on_training_data(model: ErrorReflectionClassifier, X: Array, y: Array) -> dict[str, float]:
    """The method scored on its training data. Sees the labels that it is asked for, in training.

    Parameters
    ----------
    model : ErrorReflectionClassifier
        Fitted on X and y.
    X : array-like of shape (n, ...)
    y : array-like of shape (n,)

    Returns
    -------
    dict of float
        Accuracies: ``general_train_accuracy`` of the general network alone, ``train_accuracy`` of the method, and
        ``train_by_heart``, where the gate knows every training route that clustering gave.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> tree = DecisionTreeClassifier(max_depth=1)
    >>> model = ErrorReflectionClassifier(tree, random_state=0).fit(X, y)
    >>> [round(accuracy, 2) for accuracy in on_training_data(model, X, y).values()]
    [0.67, 1.0, 1.0]
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


def leaked(
    fitted: ErrorReflectionClassifier, train: tuple[Array, Array], test: tuple[Array, Array]
) -> dict[tuple[str, str], ErrorReflectionClassifier]:
    """Models whose clusters, and whose experts and gate, come from training or from test data.

    Parameters
    ----------
    fitted : ErrorReflectionClassifier
        The honest model, fitted on ``train``, with a frozen general network.
    train, test : (X, y)

    Returns
    -------
    dict
        From (source of the clusters, source of experts and gate), each "train" or "test", to fitted models. Those of
        one source of clusters have the same numbering of them: the cell "clusters c, experts e, gate g" routes the
        experts of (c, e) by the gate of (c, g).

    Raises
    ------
    ValueError
        If no error case of one source falls into some cluster of the other.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> train, test = (X[::2], y[::2]), (X[1::2], y[1::2])
    >>> general = FrozenEstimator(DecisionTreeClassifier(max_depth=1).fit(*train))
    >>> fitted = ErrorReflectionClassifier(general, clusterer=KMeans(2), random_state=0)
    >>> fitted = fitted.fit(*train)
    >>> sorted(leaked(fitted, train, test))
    [('test', 'test'), ('test', 'train'), ('train', 'test'), ('train', 'train')]
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


class ShuffledLabels(ClusterMixin, BaseEstimator):
    """A control: as many clusters, as large, as another clusterer finds, but with their members drawn at random.

    Parameters
    ----------
    clusterer : clusterer
        Cloned; finds the clusters by ``fit_predict``.
    random_state : int, numpy.random.Generator or None, default=None
        Draws the members.

    Attributes
    ----------
    labels_ : ndarray of shape (n,)

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> control = ShuffledLabels(KMeans(2, random_state=0), random_state=0)
    >>> control = control.fit([[0], [1], [2], [9]])
    >>> sorted(np.bincount(control.labels_).tolist())
    [1, 3]
    """

    def __init__(self, clusterer=None, random_state=None):
        self.clusterer = clusterer
        self.random_state = random_state

    def fit(self, X, y=None):
        """Cluster ``X``, then shuffle the labels."""
        labels = clone(self.clusterer).fit_predict(X)
        self.labels_ = np.random.default_rng(self.random_state).permutation(labels)
        return self
