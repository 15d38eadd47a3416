"""Everything that the paper leaves open: error reflection under many sets of choices, on every function.

A *choice set* fills in what the paper does not state; a *system* is a choice set on one function. The choice sets are
a balanced random design: each level of a factor has its share of them, and every two levels of two factors meet often.
"""

from __future__ import annotations

import difflib
from functools import cache
from itertools import combinations, islice
from threading import Lock
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier

from errref.datasets import FUNCTIONS, even
from errref.experiments.functions import TEST_SAMPLES
from errref.isodata import Isodata
from errref.networks import ReluRegressor
from errref.reflection import ErrorReflectionRegressor

Array = np.ndarray
SEEDS = 5  # that are recorded: 0 to 4
CHOICE_SETS = 840
LEAST = 20  # choice sets that every two levels of two factors share
DIGITS = 5  # of a recorded number

# Each factor with its levels and their shares of the choice sets; what takes long has a smaller one. The first level is
# that of the chapter on functions.
FACTORS: dict[str, dict[Any, float]] = {
    "hidden": {10: 0.4, 5: 0.4, 20: 0.2},
    "n_samples": {256: 0.36, 64: 0.36, 1024: 0.28},
    "spacing": {"even": 0.34, "random": 0.33, "ends": 0.33},
    "noise": {0.0: 0.5, 0.1: 0.5},
    "steps": {50_000: 0.2, 20_000: 0.31, 2_000: 0.49},
    "batch": {"all": 0.6, 32: 0.2, 8: 0.2},
    "init": {"torch": 0.34, "he": 0.33, "spread": 0.33},
    "errors": {"worst half": 0.34, "worst quarter": 0.33, "above rms": 0.33},
    "space": {"input": 0.25, "output": 0.25, "both": 0.25, "residual": 0.25},
    "clusters": {3: 0.4, 2: 0.36, 5: 0.24},
    "gate": {"network": 0.13, "neighbour": 0.29, "tree": 0.29, "logistic": 0.29},
    "rounds": {1: 0.75, 2: 0.25},
}
_ALONE = Lock()
DEFAULT = {name: next(iter(levels)) for name, levels in FACTORS.items()}

# The loss can be read in four ways; a row has them all. Each takes residuals on test points and on training samples.
LOSSES = {
    "squared": lambda test, train: np.mean(test**2),
    "training": lambda test, train: np.mean(train**2),
    "absolute": lambda test, train: np.mean(np.abs(test)),
    "largest": lambda test, train: np.max(np.abs(test)),
}


def configurations() -> list[dict[str, Any]]:
    """What is recorded: every choice set of the design, on every function."""
    return [{"function": function, **choices} for choices in design() for function in FUNCTIONS]


@cache
def design() -> tuple[dict[str, Any], ...]:
    """The choice sets, the default first.

    Of many random orders of a factor's levels, the one is taken whose rarest pair with a level of an earlier factor is
    the most frequent. A few more sets are drawn than needed, since one that comes twice is left out.
    """
    rng, columns = np.random.default_rng(0), list[Array]()
    for shares in FACTORS.values():
        ends = np.round(np.cumsum([0, *shares.values()]) * (CHOICE_SETS + 10)).astype(int)
        column = np.repeat(np.arange(len(shares)), np.diff(ends))
        orders = [np.r_[0, rng.permutation(column[1:])] for _ in range(40)]
        columns.append(max(orders, key=lambda order: min([_rarest(order, other) for other in columns], default=0)))
    sets = dict.fromkeys(zip(*columns, strict=True))
    levels = {name: list(known) for name, known in FACTORS.items()}
    chosen = ({name: of[k] for (name, of), k in zip(levels.items(), one, strict=True)} for one in sets)
    return tuple(islice(chosen, CHOICE_SETS))


def _rarest(one: Array, other: Array) -> int:
    """How often the rarest pair of levels occurs."""
    return int(np.bincount(one * (other.max() + 1) + other).min())


def pairs() -> dict[tuple[str, Any, str, Any], int]:
    """For every two levels of two factors, the number of choice sets that have both."""
    return {
        (a, one, b, other): sum(choices[a] == one and choices[b] == other for choices in design())
        for a, b in combinations(FACTORS, 2)
        for one in FACTORS[a]
        for other in FACTORS[b]
    }


def system(function: str, **choices: Any) -> dict[str, Any]:
    """The configuration of a function and some choices, the others as in the chapter on functions.

    Raises
    ------
    ValueError
        For a function, a factor or a level that there is not; the sentence names the known ones.
    """
    for name, level in {"function": function, **choices}.items():
        if name not in {"function", *FACTORS}:
            near = difflib.get_close_matches(name, FACTORS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(FACTORS)}."
            raise ValueError(f"There is no factor {name!r}: {hint}")
        known = list(FUNCTIONS if name == "function" else FACTORS[name])
        if level not in known:
            raise ValueError(f"{name} cannot be {level!r}: known are {', '.join(map(str, known))}.")
    return {"function": function, **DEFAULT, **choices}


def run(config: dict[str, Any], seed: int) -> dict[str, float]:
    """One row: the loss of the general network and of error reflection, read in every way."""
    X, y = data(config, seed)
    x_test = even(TEST_SAMPLES)
    at, answers = np.r_[x_test[:, None], X], np.r_[FUNCTIONS[config["function"]](x_test), y]
    general, *systems = models(config, seed, X, y)
    numbers: dict[str, float] = {}
    for name, model in (("base", general), ("reflection", systems[-1])):
        residuals = np.split(model.predict(at) - answers, [TEST_SAMPLES])
        numbers |= {f"{name}_{loss}": _rounded(read(*residuals)) for loss, read in LOSSES.items()}
    return {**numbers, "n_experts": sum(len(model.experts_) for model in systems)}


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def data(config: dict[str, Any], seed: int) -> tuple[Array, Array]:
    """Training inputs (n, 1) and targets (n,); random places and noise are those of the seed."""
    rng, n, function = np.random.default_rng([seed, 1]), config["n_samples"], FUNCTIONS[config["function"]]
    x = {
        "even": even(n),
        "random": rng.uniform(-1, 1, n),
        "ends": -np.cos(np.pi * (np.arange(n) + 0.5) / n),  # Chebyshev's: dense at both ends
    }[config["spacing"]]
    spread = np.std(function(even(TEST_SAMPLES)))
    return x[:, None], function(x) + config["noise"] * spread * rng.standard_normal(n)


def models(config: dict[str, Any], seed: int, X: Array, y: Array) -> list[RegressorMixin]:
    """The trained general network, and error reflection after each round; each round starts from the last system."""
    network = ReluRegressor(
        config["hidden"],
        config["steps"],
        batch_size=None if config["batch"] == "all" else config["batch"],
        init=config["init"],
    )
    trained = [clone(network).set_params(random_state=seed).fit(X, y)]
    for k in range(config["rounds"]):
        model = ErrorReflectionRegressor(
            FrozenEstimator(trained[-1]),
            expert=network,
            clusterer=Isodata(n_clusters=config["clusters"]),
            gate=_gate(config),
            errors={"worst half": 0.5, "worst quarter": 0.25, "above rms": _above_rms}[config["errors"]],
            space=_residuals if config["space"] == "residual" else config["space"],
            random_state=seed + 1_000_000 * k,  # other starting weights in a further round
        )
        trained.append(model.fit(X, y))
    return trained


def _gate(config: dict[str, Any]) -> Any:
    return {
        "network": MLPClassifier((config["hidden"],), solver="lbfgs", max_iter=10_000, max_fun=100_000),
        "neighbour": KNeighborsClassifier(1, algorithm="brute"),  # a tree would touch the warning filters, see below
        "tree": DecisionTreeClassifier(max_leaf_nodes=8),
        "logistic": Logistic(solver="newton-cholesky"),
    }[config["gate"]]


class Logistic(LogisticRegression):
    """Logistic regression, one fit at a time, since scikit-learn's touches the warning filters of all threads."""

    def fit(self, X, y):
        """Train on X (n, d) and y (n,)."""
        with _ALONE:
            return super().fit(X, y)


def _above_rms(y: Array, prediction: Array) -> Array:
    residuals = np.abs(y - prediction)
    return residuals > np.sqrt(np.mean(residuals**2))


def _residuals(general: Any, X: Array, y: Array) -> Array:
    return (y - general.predict(X))[:, None]
