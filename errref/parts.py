"""The parts of a model that is made of models: cloned with seeds of their own, and asked."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_array, column_or_1d, get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _num_samples


def part(estimator, default, seed: int | None, key: int | None = None) -> Any:
    """Clone a part; with a seed, set every ``random_state`` in it, to one spawned for ``key`` if there is one."""
    made = clone(default if estimator is None else estimator)
    if not hasattr(made, "get_params"):  # a list, say, whose entries were cloned
        raise TypeError(f"{made!r:.80} is no estimator; give one with fit and predict, or None for the default.")
    kind, needed = (get_tags(e).estimator_type for e in (made, default))
    if kind and kind != needed and needed in ("classifier", "regressor"):
        raise ValueError(f"{made!r} is a {kind}, where a {needed} is needed.")
    if seed is not None:
        if key is not None:
            seed = int(np.random.SeedSequence(seed, spawn_key=(key,)).generate_state(1)[0] >> 1)
        made.set_params(**{name: seed for name in made.get_params() if name.endswith("random_state")})
    return made


def answer(network, X) -> np.ndarray:
    """Answers of a network at X, in one dimension."""
    return column_or_1d(network.predict(X))


def has_proba(model) -> bool:
    """Whether all networks of a model know probabilities; before they are trained, what its ``estimator`` tells."""
    networks = getattr(model, "networks_", [model.estimator])
    return all(hasattr(network, "predict_proba") or not hasattr(network, "fit") for network in networks)


def check_labels(y: np.ndarray) -> None:
    """Refuse targets that are no classes, and those that have no order."""
    try:
        check_classification_targets(y)
    except TypeError:
        raise ValueError("y mixes labels that have no order, such as texts and None; make them of one type.") from None


def targets(y) -> np.ndarray:
    """Targets that a residual can be taken of."""
    y = check_array(y, ensure_2d=False, dtype="numeric", input_name="y")
    if y.dtype.kind in "mM":
        raise ValueError("y holds dates or durations; make them numbers, such as days.")
    return y


def as_array(values, name: str) -> np.ndarray:
    """Values as an array, unless they are ragged."""
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} holds entries of different lengths; give it one value for each sample.") from None


def filled(X) -> Any:
    """Refuse X that holds no samples, which not every part does in words."""
    if isinstance(X, dict | set | frozenset | str | bytes) and not hasattr(X, "shape"):  # a sparse matrix has one
        raise TypeError(f"X is a {type(X).__name__}; give an array, a table or a list with an entry for each sample.")
    if not _num_samples(X):
        raise ValueError("X has 0 samples; give it one at least.")
    return X


def folds(cv: Any, n_samples: int) -> Any:
    """What scikit-learn takes as ``cv``; an iterable as the list of its pairs of index arrays."""
    splits = hasattr(cv, "split") and not isinstance(cv, bytes)  # a text is refused by scikit-learn, bytes are not
    if splits or not isinstance(cv, Iterable):
        return cv  # which scikit-learn checks by itself
    pairs = list(cv) if getattr(cv, "ndim", 1) else []
    if not pairs or not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
        raise ValueError(
            "cv holds something else than pairs (train, test) of index arrays; give it those, or a number."
        )
    for indices in (np.asarray(part) for pair in pairs for part in pair):
        if indices.ndim != 1 or indices.dtype.kind not in "iu" or not np.isin(indices, np.arange(n_samples)).all():
            raise ValueError(f"cv holds something else than arrays of the indices 0 to {n_samples - 1} of the samples.")
    return pairs
