"""What else the parameters and training steps of error reflection buy, on the six functions of the table.

A *fair* rival has at most as many parameters, and takes at most as many training steps, as the whole error reflection
of the same seed; one step trains one network once. Of k networks each gets a k-th of both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.ensemble import AdaBoostRegressor, BaggingRegressor, GradientBoostingRegressor, StackingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import KFold
from sklearn.neural_network import MLPRegressor

from errref import exact
from errref.datasets import FUNCTIONS
from errref.experiments.functions import BASE, N_CLUSTERS, TEST_SAMPLES, Systems, data, mean_squared
from errref.networks import MixtureRegressor, ReluRegressor, count_parameters
from errref.networks.mixture import units

Array = np.ndarray
System = tuple[str, Array, int, int]  # name, answers, parameters, training steps
SEEDS = 20  # that are recorded: 0 to 19
FOLDS = 2  # a stack trains each of its networks on every fold, and once more on all samples
SECOND = 500_000  # added to the seed of a second reflection, so that its experts start elsewhere

# What each number of a row is, in words for tables and figures, in the order in which they are shown.
FAIR = {
    "long": "base, trained longer",
    "restarts": "base, best of restarts",
    "lbfgs": "base, L-BFGS",
    "wide": "one wide network",
    "wide_long": "wide, trained longer",
    "mlp": "wide, MLPRegressor",
    "ensemble": "ensemble",
    "adaboost": "AdaBoost",
    "stacking": "stacking",
    "residual": "residual fitting",
    "mixture_soft": "soft mixture",
    "mixture_hard": "hard mixture",
}
VARIANTS = {
    "kmeans": "k-means",
    "one_cluster": "one cluster",
    "random_clusters": "random clusters",
    "no_general": "all data clustered",
    "oracle": "oracle gate",
    "oracle_restarts": "oracle over restarts",
    "twice": "reflected twice",
}
OTHER_COST = {"wide_short": "wide, equal arithmetic"}  # a step costs as much as it has units times samples
TREES = {"trees": "gradient boosting"}  # with trees, whose parameters and steps are not those of networks


def configurations() -> list[dict[str, Any]]:
    """What is recorded: each function, at the base configuration of the book."""
    return [{"function": name, **BASE} for name in FUNCTIONS]


def run(config: dict[str, Any], seed: int) -> dict[str, float]:
    """One row: of every system the mean squared error on the test points, the parameters and the training steps."""
    X, y = data(config, TEST_SAMPLES)
    own = Systems(config, seed)
    row: dict[str, float] = {}
    for name, answers, n_parameters, n_steps in (*reflections(own, X, y), *rivals(own, X, y)):
        row[name] = mean_squared(answers, y)
        row[f"parameters_{name}"], row[f"steps_{name}"] = n_parameters, n_steps
    return row


# -- the method and its variants ---------------------------------------------------------------------------------------


def reflections(own: Systems, X: Array, y: Array) -> Iterator[System]:
    """The base network, error reflection, and error reflection with a part changed; all share the base network."""
    steps = own.config["steps"]
    yield "base", own.general.predict(X), count_parameters(own.general), steps
    changes: dict[str, dict[str, Any]] = {"kmeans": {"clusterer": KMeans(N_CLUSTERS)}, **own.ablations()}
    for name in ("reflection", "kmeans", "one_cluster", "random_clusters", "no_general"):
        model = own.reflection if name == "reflection" else own.reflect(**changes[name])
        yield name, model.predict(X), own.parameters(model), own.steps(model)
    each = own.reflection.predict_each(X)
    yield "oracle", closest(each, y), own.parameters(), own.steps()
    again = own.reflect(estimator=FrozenEstimator(own.reflection), random_state=own.seed + SECOND)
    added = sum(count_parameters(part) for part in (*again.experts_, again.gate_))
    yield "twice", again.predict(X), own.parameters() + added, own.steps() + own.steps(again) - steps


def closest(each: Array, y: Array) -> Array:
    """Of the answers (n, k) of some networks the one that is closest to the truth, at every point: an oracle."""
    return each[np.arange(len(y)), np.argmin(np.abs(each - y[:, None]), axis=1)]


# -- rivals ------------------------------------------------------------------------------------------------------------


def rivals(own: Systems, X: Array, y: Array) -> Iterator[System]:
    """Every rival, trained on the samples of ``own``, with its answers at X; only the oracle sees the truth y there."""
    samples, n_networks = (own.X, own.y), len(own.reflection.networks_)
    names = [f"network {k}" for k in range(n_networks)]
    starts = [int(s) for s in np.random.SeedSequence(own.seed).generate_state(n_networks, dtype=np.uint32)]

    one = own.rivals()
    restarts = [own.general, *(clone(own.network).set_params(random_state=s).fit(*samples) for s in starts[1:])]
    wide_long = share(own, 1).set_params(random_state=own.seed).fit(*samples)
    for name, network, steps in [
        ("long", one["long"], own.steps()),
        ("restarts", min(restarts, key=lambda network: network.loss_curve_[-1]), len(restarts) * own.config["steps"]),
        ("wide", one["wide"], own.config["steps"]),
        ("wide_long", wide_long, own.steps()),
        ("lbfgs", *lbfgs(own)),
        ("wide_short", *equal_arithmetic(own)),
    ]:
        yield name, network.predict(X), count_parameters(network), steps
    each = np.stack([network.predict(X) for network in restarts], axis=1)
    yield "oracle_restarts", closest(each, y), sum(map(count_parameters, restarts)), len(restarts) * own.config["steps"]
    limits = {"alpha": 0, "tol": 0, "max_iter": own.steps(), "max_fun": own.steps()}
    mlp = MLPRegressor(hidden_layer_sizes=wide_long.hidden, solver="lbfgs", random_state=own.seed, **limits)
    yield "mlp", mlp.fit(*samples).predict(X), count_parameters(mlp), mlp.n_iter_

    network = share(own, n_networks)
    ensemble = BaggingRegressor(network, n_networks, bootstrap=False, random_state=own.seed).fit(*samples)
    yield "ensemble", ensemble.predict(X), *cost(ensemble.estimators_)
    boosted = AdaBoostRegressor(
        share(own, n_networks, aside=n_networks), n_estimators=n_networks, random_state=own.seed
    )
    boosted.fit(*samples)
    yield "adaboost", boosted.predict(X), *cost(boosted.estimators_, aside=len(boosted.estimator_weights_))
    member = share(own, n_networks, aside=n_networks + 1, fits=FOLDS + 1)
    members = [(name, clone(member).set_params(random_state=s)) for name, s in zip(names, starts, strict=True)]
    stack = StackingRegressor(members, cv=KFold(FOLDS, shuffle=True, random_state=own.seed)).fit(*samples)
    aside = count_parameters(stack.final_estimator_)
    yield "stacking", stack.predict(X), *cost(stack.estimators_, aside, fits=FOLDS + 1)
    fitted = residual(network, starts, *samples)
    yield "residual", np.sum([part.predict(X) for part in fitted], axis=0), *cost(fitted)
    for hard in (False, True):
        mixture = MixtureRegressor(
            n_networks,
            hidden=units(own.parameters(), n_networks),
            hard=hard,
            steps=own.steps() // (n_networks + 1),  # the gate moves in every step too
            random_state=own.seed,
        ).fit(*samples)
        name = "mixture_hard" if hard else "mixture_soft"
        yield name, mixture.predict(X), mixture.n_parameters_, (n_networks + 1) * mixture.steps

    trees = GradientBoostingRegressor(random_state=own.seed).fit(*samples)
    nodes = sum(tree.tree_.node_count for tree in trees.estimators_.flat)  # one number each: a threshold or a value
    yield "trees", trees.predict(X), nodes, trees.n_estimators_


def equal_arithmetic(own: Systems) -> tuple[ReluRegressor, int]:
    """The wide network, stopped when it has seen as many samples with as many units as error reflection has."""
    hidden, steps = share(own, 1).hidden, own.config["steps"]
    seen = 1 + np.mean(own.reflection.routes_ > 0)  # trainings on all samples: the base, and the experts together
    steps = int(steps * seen * own.config["hidden"] / hidden)
    return clone(own.network).set_params(hidden=hidden, steps=steps, random_state=own.seed).fit(own.X, own.y), steps


def share(own: Systems, n_networks: int, aside: int = 0, fits: int = 1) -> ReluRegressor:
    """A network with its share of the parameters of error reflection, but for those aside, and of its steps."""
    hidden = ((own.parameters() - aside) // n_networks - 1) // 3
    return clone(own.network).set_params(hidden=hidden, steps=own.steps() // (n_networks * fits))


def cost(networks: list[ReluRegressor], aside: int = 0, fits: int = 1) -> tuple[int, int]:
    """Parameters of some networks and what is put beside them, and their training steps in so many fits."""
    return sum(map(count_parameters, networks)) + aside, fits * sum(network.n_iter_ for network in networks)


def residual(network: ReluRegressor, starts: list[int], X: Array, y: Array) -> list[ReluRegressor]:
    """Networks of which each is trained on what those before it have left (boosting without shrinkage)."""
    fitted: list[ReluRegressor] = []
    for start in starts:
        fitted.append(clone(network).set_params(random_state=start).fit(X, y))
        y = y - fitted[-1].predict(X)
    return fitted


def lbfgs(own: Systems) -> tuple[ReluRegressor, int]:
    """The base network from the same start, trained by L-BFGS; with the number of gradients that it took."""
    network = clone(own.network).set_params(steps=0, random_state=own.seed).fit(own.X, own.y)
    start = [network.hidden_weights_.ravel(), network.hidden_biases_, network.output_weights_, [network.output_bias_]]
    samples = exact.prepare(own.X[:, 0], own.y)
    found = minimize(
        lambda weights: exact.gradient(samples, weights),
        np.concatenate(start),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": own.steps(), "maxfun": own.steps(), "ftol": 0, "gtol": 0},
    )
    w, b, v = np.split(found.x[:-1], 3)
    return network.set_params(init=(w[:, None], b, v, found.x[-1])).fit(own.X, own.y), found.nfev
