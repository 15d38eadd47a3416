"""Error reflection on tables of real data that come with scikit-learn, against the same model without reflection.

A row is one repetition of 5-fold cross-validation: the seed draws the folds, and everything that is random in training.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

from errref.isodata import Isodata
from errref.reflection import ErrorReflectionClassifier, ErrorReflectionRegressor

Array = np.ndarray
SEEDS = 3  # that are recorded: 0 to 2; more repetitions would hardly narrow the intervals, whose folds share samples
FOLDS = 5
MODELS = ("boosting", "network")
NETWORK: dict[str, Any] = {"hidden_layer_sizes": (20,), "solver": "lbfgs", "max_iter": 10_000, "max_fun": 100_000}


def _alcohol() -> tuple[Array, Array]:
    """Table of the wines, the first measurement, alcohol, to be told from the others."""
    X, _ = load_wine(return_X_y=True)
    return X[:, 1:], X[:, 0]


REGRESSION: dict[str, Callable[[], tuple[Array, Array]]] = {
    "diabetes": lambda: load_diabetes(return_X_y=True),
    "alcohol": _alcohol,
}
CLASSIFICATION: dict[str, Callable[[], tuple[Array, Array]]] = {
    "cancer": lambda: load_breast_cancer(return_X_y=True),
    "digits": lambda: tuple(part[::3] for part in load_digits(return_X_y=True)),  # every third image, to save time
}


def configurations() -> list[dict[str, Any]]:
    """What is recorded: each table with each kind of general model."""
    return [{"table": table, "model": model} for table in (*REGRESSION, *CLASSIFICATION) for model in MODELS]


def table(name: str) -> tuple[Array, Array]:
    """X (n, d) and y (n,) of a table by its name."""
    return {**REGRESSION, **CLASSIFICATION}[name]()


def plain(config: dict[str, Any]) -> Any:
    """The model without reflection: gradient boosting, or a network whose penalty suited it on folds of no row."""
    if config["table"] in CLASSIFICATION:
        boosting, network = GradientBoostingClassifier(max_features="sqrt"), MLPClassifier(alpha=1, **NETWORK)
    else:
        boosting = GradientBoostingRegressor(max_features="sqrt")
        network = TransformedTargetRegressor(MLPRegressor(alpha=10, **NETWORK), transformer=StandardScaler())
    return {"boosting": boosting, "network": network}[config["model"]]


def reflecting(config: dict[str, Any]) -> Any:
    """The same model with reflection: error cases of held-out answers, three clusters, a network as gate."""
    reflection = ErrorReflectionClassifier if config["table"] in CLASSIFICATION else ErrorReflectionRegressor
    return reflection(plain(config), clusterer=Isodata(n_clusters=3), gate=MLPClassifier(alpha=1, **NETWORK), cv=3)


def run(config: dict[str, Any], seed: int) -> dict[str, float]:
    """One row: scores with and without reflection over the folds, what became of the samples, and seconds."""
    X, y = table(config["table"])
    splitter = StratifiedKFold if config["table"] in CLASSIFICATION else KFold
    folds = splitter(FOLDS, shuffle=True, random_state=seed).split(X, y)
    found = [fold(config, X, y, train, test, seed) for train, test in folds]
    row = {name: float(np.mean([numbers[name] for numbers in found])) for name in found[0]}
    return {**row, **{f"difference_{k}": n["reflection"] - n["plain"] for k, n in enumerate(found)}}


def fold(config: dict[str, Any], X: Array, y: Array, train: Array, test: Array, seed: int) -> dict[str, float]:
    """Numbers of one fold; a score is the accuracy of a classifier and the R^2 of a regressor."""
    scaler = StandardScaler().fit(X[train])
    X_train, X_test, y_train, y_test = scaler.transform(X[train]), scaler.transform(X[test]), y[train], y[test]
    seeded = {name: seed for name in plain(config).get_params() if name.endswith("random_state")}
    model, seconds_plain = fitted(plain(config).set_params(**seeded), X_train, y_train)
    system, seconds = fitted(reflecting(config).set_params(random_state=seed), X_train, y_train)
    before, after = (distance(each, X_test, y_test) for each in (model, system))
    routed = system.route(X_test) > 0  # elsewhere the two answers differ by rounding at most
    return {
        "plain": model.score(X_test, y_test),
        "reflection": system.score(X_test, y_test),
        "routed": float(np.mean(routed)),
        "better": float(np.mean(routed & (after < before))),
        "worse": float(np.mean(routed & (after > before))),
        "error_cases": float(np.mean(system.errors_)),
        "experts": len(system.experts_),
        "constant_experts": sum(system.summary_["constant"]),
        "seconds_plain": seconds_plain,
        "seconds_reflection": seconds,
    }


def fitted(model: Any, X: Array, y: Array) -> tuple[Any, float]:
    """A model trained on X and y, and the seconds of processor time that it took."""
    start = time.thread_time()
    model = clone(model).fit(X, y)
    return model, time.thread_time() - start


def distance(model: Any, X: Array, y: Array) -> Array:
    """How far each answer is from the truth: 0 or 1 for a classifier, the absolute residual for a regressor."""
    answers = model.predict(X)
    return (answers != y).astype(float) if is_classifier(model) else np.abs(answers - y)


def differences(numbers: list[dict[str, float]]) -> Array:
    """Score with reflection less that without, one entry a fold and repetition."""
    return np.array([row[f"difference_{k}"] for row in numbers for k in range(FOLDS)])
