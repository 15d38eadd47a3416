"""Isodata beside scikit-learn's KMeans (Lloyd's algorithm): seconds per iteration, each in one thread.

Run `python benchmarks/bench_isodata.py`. Nothing is split or lumped, so that both do the same to the same centres.
An odd iteration of Isodata also measures the spread of the clusters (steps 5, 6 and 8); an even one does not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from errref.isodata import Isodata

CASES = (
    (1_000_000, 2, 8, "float64"),
    (200_000, 20, 10, "float64"),
    (60_000, 784, 10, "float32"),
    (60_000, 784, 10, "float64"),
)
ROUNDS = 10
FEW, MANY = 2, 12  # iterations; in the difference of two fits, what is done once per fit does not count


def fit_kmeans(X: NDArray, init: NDArray, iterations: int) -> None:
    # No copy of X: it would take as long as some iterations, and never twice the same time.
    model = KMeans(len(init), init=init, n_init=1, max_iter=iterations, tol=0, algorithm="lloyd", copy_x=False).fit(X)
    assert model.n_iter_ == iterations, "it converged: take fewer iterations"


def fit_isodata(X: NDArray, init: NDArray, iterations: int, n_clusters: int) -> None:
    model = Isodata(n_clusters, init=init, max_std=np.inf, min_distance=0, max_iter=iterations).fit(X)
    assert model.n_iter_ == iterations and len(model.cluster_centers_) == len(init)


def seconds(fits: dict[str, Callable[[int], None]]) -> dict[str, float]:
    """Return the seconds per iteration of each fit: least processor time over rounds, in which the fits take turns."""
    least = {(name, count): np.inf for name in fits for count in (FEW, MANY)}
    for _ in range(ROUNDS):
        for name, count in least:
            start = time.process_time()
            fits[name](count)
            least[name, count] = min(least[name, count], time.process_time() - start)
    return {name: (least[name, MANY] - least[name, FEW]) / (MANY - FEW) for name in fits}


def measure(n_samples: int, n_features: int, k: int, dtype: str) -> dict[str, float]:
    X = np.random.default_rng(0).random((n_samples, n_features)).astype(dtype)
    init = X[:k].copy()
    fits = {
        "KMeans": partial(fit_kmeans, X.copy(), init),
        # With Nc = K / 2, step 8 is reached in every iteration, as it is in odd ones; with Nc = 2 K, in none.
        "odd": partial(fit_isodata, X, init, n_clusters=2 * k),
        "even": partial(fit_isodata, X, init, n_clusters=k // 2),
    }
    return seconds(fits)


def main() -> None:
    print(f"{'samples x columns, clusters':37} {'KMeans':>8} {'odd':>8} {'even':>8} {'mean':>8}  ratio")
    with threadpool_limits(1):
        for case in CASES:
            took = measure(*case)
            mean = (took["odd"] + took["even"]) / 2
            label = "{:,} x {}, {}, {}".format(*case)
            times = " ".join(f"{value:8.4f}" for value in (*took.values(), mean))
            print(f"{label:37} {times}  {mean / took['KMeans']:5.2f}")


if __name__ == "__main__":
    main()
