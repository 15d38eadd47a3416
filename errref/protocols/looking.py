"""What a fitted error reflection makes of samples, from which every protocol picks its answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from errref.reflection import ErrorReflectionClassifier

Array = np.ndarray


@dataclass(frozen=True)
class Look:
    """What a fitted error reflection of K experts makes of n samples of C classes; `look` makes it.

    Parameters
    ----------
    y : ndarray of shape (n,)
        The true labels.
    proba : ndarray of shape (n, 1 + K, C)
        Probabilities of every network, the general network's at 0.
    each : ndarray of shape (n, 1 + K)
        The most probable classes.
    gate : ndarray of shape (n, 1 + K)
        The gate's probability of every route.
    assigned : ndarray of shape (n,)
        Routes of one who knows y: 0 where the general network is right, else 1 + the nearest training centroid.

    Examples
    --------
    Two samples, two networks and two classes; the general network is wrong about the second sample.

    >>> proba = np.array([[[0.9, 0.1], [0.3, 0.7]], [[0.6, 0.4], [0.2, 0.8]]])
    >>> y, gate = np.array([0, 1]), np.array([[0.8, 0.2], [0.6, 0.4]])
    >>> seen = Look(y, proba, proba.argmax(axis=2), gate, assigned=np.array([0, 1]))
    >>> seen.general, seen.wrong
    (array([0, 0]), array([False,  True]))
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
    """Ask every network of a fitted model, and its gate, about samples.

    Parameters
    ----------
    model : ErrorReflectionClassifier
        Fitted; its networks and its gate know probabilities.
    X : array-like of shape (n, ...)
        Samples, as the model takes them.
    y : array-like of shape (n,)
        Their true labels.

    Returns
    -------
    Look

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> tree = DecisionTreeClassifier(max_depth=1)
    >>> model = ErrorReflectionClassifier(tree, random_state=0).fit(X, y)
    >>> seen = look(model, X, y)
    >>> int(seen.wrong.sum()), seen.proba.shape == (150, 1 + len(model.experts_), 3)
    (50, True)
    """
    proba = model.predict_proba_each(X)
    gate = np.zeros(proba.shape[:2])
    gate[:, model.gate_.classes_] = model.gate_.predict_proba(X)
    return Look(y, proba, model.classes_[proba.argmax(axis=2)], gate, model.assign(X, y))


def pick(answers: Array, routes: Array) -> Array:
    """Answer of the network on each sample's route.

    Parameters
    ----------
    answers : ndarray of shape (n, 1 + K)
        Of every network, the general network's in column 0.
    routes : int ndarray of shape (n,)
        0 for the general network, k for expert k.

    Returns
    -------
    ndarray of shape (n,)

    Examples
    --------
    >>> pick(np.array([[1, 2], [3, 4], [5, 6]]), np.array([1, 0, 1]))
    array([2, 3, 6])
    """
    return answers[np.arange(len(answers)), routes]


# -- spaces to cluster in, besides the pixels --------------------------------------------------------------------------


def label_pairs(network: Any, X: Array, y: Array) -> Array:
    """The space of (true label, predicted label), one-hot: (n, 20)."""
    return np.eye(10)[np.stack([y, network.predict(X)], axis=1)].reshape(len(y), 20)


def features(network: Any, X: Array, y: Array) -> Array:
    """The space of the general network's penultimate features: (n, features)."""
    return network.embed(X)
