"""Honest protocols: the true label of a sample is seen by nobody who answers it."""

from __future__ import annotations

from typing import Any

import numpy as np

from errref.protocols.looking import Array, Look, pick


def honest(seen: Look) -> Array:
    """The method as it is: the gate's most probable route. Sees the sample, and what training data taught.

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
    >>> honest(seen)
    array([0, 0])
    """
    return pick(seen.each, seen.gate.argmax(axis=1))


def soft_mixture(seen: Look, classes: Array) -> Array:
    """The networks' probabilities, weighted by the gate's. Sees what `honest` sees.

    Parameters
    ----------
    seen : Look
    classes : ndarray of shape (C,)
        Those of the model, ``classes_``.

    Returns
    -------
    ndarray of shape (n,)
        The answers: one of ``classes_`` for each sample.

    Examples
    --------
    >>> proba = np.array([[[0.9, 0.1], [0.3, 0.7]], [[0.6, 0.4], [0.2, 0.8]]])
    >>> y, gate = np.array([0, 1]), np.array([[0.8, 0.2], [0.6, 0.4]])
    >>> seen = Look(y, proba, proba.argmax(axis=2), gate, assigned=np.array([0, 1]))
    >>> soft_mixture(seen, np.array([0, 1]))  # 0.6 [0.6, 0.4] + 0.4 [0.2, 0.8] favours 1
    array([0, 1])
    """
    return classes[np.einsum("nk,nkc->nc", seen.gate, seen.proba).argmax(axis=1)]


def gate_bias(seen: Look, bias: float) -> Array:
    """The gate with log-odds added to the general network's route. Sees what `honest` sees, and one number.

    Parameters
    ----------
    seen : Look
    bias : float
        What is added, as a natural logarithm; 0 is `honest`, less than 0 asks the experts more often.

    Returns
    -------
    ndarray of shape (n,)
        The answers: one of ``classes_`` for each sample.

    Examples
    --------
    >>> proba = np.array([[[0.9, 0.1], [0.3, 0.7]], [[0.6, 0.4], [0.2, 0.8]]])
    >>> y, gate = np.array([0, 1]), np.array([[0.8, 0.2], [0.6, 0.4]])
    >>> seen = Look(y, proba, proba.argmax(axis=2), gate, assigned=np.array([0, 1]))
    >>> gate_bias(seen, -1.0)
    array([0, 1])
    """
    with np.errstate(divide="ignore"):
        scores = np.log(seen.gate)
    return pick(seen.each, (scores + bias * (np.arange(scores.shape[1]) == 0)).argmax(axis=1))


def confidence_threshold(seen: Look, threshold: float) -> Array:
    """The gate's best expert where the general network is unsure. Sees what `honest` sees, and one number.

    Parameters
    ----------
    seen : Look
    threshold : float
        Unsure: the largest probability of the general network is below this; 0 is the general network alone.

    Returns
    -------
    ndarray of shape (n,)
        The answers: one of ``classes_`` for each sample.

    Examples
    --------
    >>> proba = np.array([[[0.9, 0.1], [0.3, 0.7]], [[0.6, 0.4], [0.2, 0.8]]])
    >>> y, gate = np.array([0, 1]), np.array([[0.8, 0.2], [0.6, 0.4]])
    >>> seen = Look(y, proba, proba.argmax(axis=2), gate, assigned=np.array([0, 1]))
    >>> confidence_threshold(seen, 0.7)
    array([0, 1])
    """
    unsure = seen.proba[:, 0].max(axis=1) < threshold
    return np.where(unsure, pick(seen.each, best_expert(seen)), seen.general)


def tune(protocol: Any, validation: Look, candidates: Array) -> float:
    """The first candidate with the best accuracy on validation data, which no training saw.

    Parameters
    ----------
    protocol : callable
        `gate_bias`, `confidence_threshold`, or another ``protocol(seen, number)`` that returns answers (n,).
    validation : Look
        Of validation data.
    candidates : array-like of numbers

    Returns
    -------
    float

    Examples
    --------
    >>> proba = np.array([[[0.9, 0.1], [0.3, 0.7]], [[0.6, 0.4], [0.2, 0.8]]])
    >>> y, gate = np.array([0, 1]), np.array([[0.8, 0.2], [0.6, 0.4]])
    >>> seen = Look(y, proba, proba.argmax(axis=2), gate, assigned=np.array([0, 1]))
    >>> tune(gate_bias, seen, [0, -1, -2])
    -1.0
    """
    accuracies = [np.mean(protocol(validation, value) == validation.y) for value in candidates]
    return float(candidates[int(np.argmax(accuracies))])


def best_expert(seen: Look) -> Array:
    """The gate's most probable expert, the general network left out.

    Parameters
    ----------
    seen : Look

    Returns
    -------
    int ndarray of shape (n,)
        Routes: k for expert k; all 0 where there is no expert.

    Examples
    --------
    >>> proba = np.array([[[0.9, 0.1], [0.3, 0.7]], [[0.6, 0.4], [0.2, 0.8]]])
    >>> y, gate = np.array([0, 1]), np.array([[0.8, 0.2], [0.6, 0.4]])
    >>> seen = Look(y, proba, proba.argmax(axis=2), gate, assigned=np.array([0, 1]))
    >>> best_expert(seen)
    array([1, 1])
    """
    return 1 + seen.gate[:, 1:].argmax(axis=1) if seen.gate.shape[1] > 1 else np.zeros(len(seen.gate), dtype=int)
