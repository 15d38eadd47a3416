"""ISODATA (named in section 4.1, without parameters): what sets the number of clusters, and so of experts.

A general network is trained at the base configuration; its error cases, the worst half, are clustered. One parameter
at a time leaves its default. Lengths are measured in standard deviations of the error cases.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.distance import pdist
from sklearn.frozen import FrozenEstimator
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from errref.experiments.functions import BASE, N_CLUSTERS, TEST_SAMPLES, data, mean_squared
from errref.isodata import Isodata
from errref.networks import ReluRegressor
from errref.once import once
from errref.reflection import ErrorReflectionRegressor

Settings = dict[str, Any]
FUNCTIONS = ("cubic", "quartic", "jump-piecewise")
SEEDS = 20  # that are recorded: 0 to 19

# What `Isodata(N_CLUSTERS)` does, with every number written out.
DEFAULT: Settings = {
    "n_clusters": N_CLUSTERS,
    "min_samples": 1,
    "max_std": 0.8,
    "min_distance": 0.25,
    "max_merges": 2,
    "max_iter": 100,
}
SWEEP: dict[str, tuple] = {
    "n_clusters": (1, 2, 4, 5, 6, 7, 8),
    "min_samples": (8, 16, 32, 48),
    "max_std": (0.125, 0.25, 0.5, 1.0),
    "min_distance": (0.0, 0.5, 1.0, 1.5, 2.0),
    "max_merges": (0, 4),
    "max_iter": (1, 2, 3),
}
ODD = 101  # iterations, against the default: where iterations cycle, the parity may decide
PARITY = (1.0, 1.5, 2.0)  # values of min_distance at which that is tried


def configurations() -> list[Settings]:
    """List what is recorded: on each target the default, then one parameter changed, then the odd ``max_iter``."""
    changes: list[Settings] = [{}]
    changes += [{name: value} for name, values in SWEEP.items() for value in values]
    changes += [{"min_distance": value, "max_iter": ODD} for value in PARITY]
    return [{"grid": 1, "function": function, **change} for function in FUNCTIONS for change in changes]


def settings(config: Settings) -> Settings:
    """Return ISODATA's parameters in a configuration: the default, but for those that it names."""
    return {name: config.get(name, value) for name, value in DEFAULT.items()}


@once
def general_network(function: str, seed: int) -> ReluRegressor:
    """Return the trained general network, one for all settings; it is only asked, never changed."""
    X, y = data({"function": function}, BASE["n_samples"])
    return ReluRegressor(BASE["hidden"], steps=BASE["steps"], random_state=seed).fit(X, y)


def system(config: Settings, seed: int) -> ErrorReflectionRegressor:
    """Fit error reflection with ISODATA set as the configuration says, and the nearest error case's network as gate."""
    X, y = data(config, BASE["n_samples"])
    model = ErrorReflectionRegressor(
        FrozenEstimator(general_network(config["function"], seed)),
        expert=ReluRegressor(BASE["hidden"], steps=BASE["steps"]),
        clusterer=make_pipeline(StandardScaler(), Isodata(**settings(config))),
        gate=KNeighborsClassifier(1),
        errors=0.5,
        random_state=seed,
    )
    return model.fit(X, y)


def run(config: Settings, seed: int) -> dict[str, float]:
    """Return one row: what ISODATA did and found, and the losses on the test points, before and after reflection.

    ``settled`` is 1 if nothing could change any more before ``max_iter`` was reached. ``too_close`` counts the pairs of
    final centres closer than ``min_distance``, ``too_wide`` the clusters with a standard deviation above ``max_std``.
    """
    model, limits = system(config, seed), settings(config)
    scaler, clusters = model.clusterer_
    (X, _), (X_test, y_test) = data(config, BASE["n_samples"]), data(config, TEST_SAMPLES)
    points, sizes = scaler.transform(X[model.errors_]), model.summary_["sizes"]
    stds = [points[model.labels_ == k].std() for k in range(len(sizes))]
    return {
        "experts": len(sizes),
        "smallest": min(sizes),
        "largest": max(sizes),
        "settled": int(clusters.n_iter_ < limits["max_iter"]),
        "splits": sum(len(entry["split"]) for entry in clusters.history_),
        "lumps": sum(len(entry["lumped"]) for entry in clusters.history_),
        "discards": sum(len(entry["discarded"]) for entry in clusters.history_),
        "too_close": int(np.sum(pdist(clusters.cluster_centers_) < limits["min_distance"])),
        "too_wide": int(np.sum(np.array(stds) > limits["max_std"])),
        "base": mean_squared(model.general_.predict(X_test), y_test),
        "reflection": mean_squared(model.predict(X_test), y_test),
    }
