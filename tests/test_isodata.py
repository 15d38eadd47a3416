"""Isodata: equal to a literal transcription and to examples worked by hand, and all that scikit-learn asks for."""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from isodata_oracle import assign, branches, isodata
from scipy.spatial.distance import pdist
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.utils.estimator_checks import check_estimator

import errref.isodata
from errref.isodata import Isodata, _assign_by_differences, _assign_by_product

PLAIN = {"max_std": np.inf, "min_distance": 0}  # nothing is split or lumped


# -- the oracle --------------------------------------------------------------------------------------------------------

N_PROBLEMS = 1000
AT_LEAST = 20  # problems that take each branch
BRANCHES = """
2: tie
3: discard an empty cluster
3: discard samples
3: keep exactly theta_N samples
3: all would go
3: all would go, tie
7a, odd
7a, even
7b, odd
7b, even
7b: Nc = K / 2
7c, even
7c, odd
7c: Nc = 2 K
8, odd
9: tie where it splits
10: split, loose
10: split, few
10: split, both
10: several split
10: no split, not wide
10: no split, not loose
10: no split, sigma = theta_S
10: no split, D_j = D
10: no split, N_j = 2 (theta_N + 1)
10: to 11, odd
10: to 11, even
12: distance = theta_C
12: L leaves some out
12: tie
13: lump, odd
13: lump, even
13: lump unequal sizes
13: several lumped
13: refused
many columns
stopped early
""".strip().split("\n")


def problem(seed: int) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Draw a small problem on a grid, so that ties abound; each twentieth has many columns."""
    rng = np.random.default_rng(seed)
    many = seed % 20 == 0
    shape = (rng.integers(4, 8), 25) if many else (rng.integers(4, 15), rng.choice([1, 1, 2, 3]))
    grid = rng.choice([3, 6, 12])
    X = rng.integers(0, grid, shape).astype(float)
    n_centers = rng.integers(1, 7)
    on_samples, anywhere = (
        X[rng.integers(0, len(X), n_centers)],
        rng.integers(-grid, 2 * grid, (n_centers, shape[1])) / 2,
    )
    parameters = {
        "n_clusters": int(rng.integers(1, 8)),
        "min_samples": min(len(X), int(rng.choice([1, 1, 2, 3, 4]))),
        "max_std": float(rng.choice([0, 0.5, 1, 1.5, 2, 3])),
        "min_distance": float(rng.choice([0, 1, 2, 3, 5, 8])) * (4 if many else 1),
        "max_merges": int(rng.integers(0, 5)),
        "max_iter": int(rng.integers(1, 9)),
        "split_fraction": float(rng.choice([0.25, 0.5, 0.75, 1])),
    }
    return X, on_samples if rng.random() < 0.7 else anywhere, parameters


def exactly(values: Any) -> Any:
    """Turn arrays and floats into Fractions; integers stay."""
    if isinstance(values, np.ndarray):
        return [[Fraction(value) for value in row] for row in values.tolist()]
    return {name: Fraction(value) if isinstance(value, float) else value for name, value in values.items()}


def near(ours: np.ndarray, theirs: Any) -> bool:
    theirs = np.array(theirs, dtype=float)
    return np.shape(ours) == theirs.shape and bool(np.all(np.abs(ours - theirs) < 1e-9))


def assert_equal_to_oracle(model: Isodata, X: Any, centers: list, history: list) -> None:
    assert near(model.cluster_centers_, centers)
    assert model.labels_.tolist() == assign(X, centers)
    assert len(model.history_) == model.n_iter_ <= len(history)
    for number, (entry, expected) in enumerate(zip(model.history_, history, strict=False), start=1):
        assert entry["iteration"] == number and entry["sizes"].tolist() == expected["sizes"]
        for name in ("discarded", "split", "considered", "lumped"):
            assert entry[name] == expected[name], (number, name)
        for name, theirs in {"start": "start", "moved": "moved", "centers": "end"}.items():
            assert near(entry[name], expected[theirs]), (number, name)
        spreads = {"mean_distances": "D_j", "mean_distance": "D", "stds": "sigma"}
        for name, theirs in spreads.items():
            assert (entry[name] is None) == (theirs not in expected)
            assert entry[name] is None or near(entry[name], expected[theirs]), (number, name)
        assert (entry["max_stds"] is None) == ("sigma" not in expected)
        assert entry["max_stds"] is None or near(entry["max_stds"], [max(sigma) for sigma in expected["sigma"]])
    for expected in history[model.n_iter_ :]:  # what was left out would have changed nothing
        assert not (expected["discarded"] or expected["split"] or expected["lumped"])
        assert expected["start"] == expected["end"]


@pytest.mark.parametrize("problems", [N_PROBLEMS // 2, pytest.param(N_PROBLEMS, marks=pytest.mark.long)])
def test_equals_the_literal_transcription_in_every_branch(problems):
    taken: Counter[str] = Counter()
    for seed in range(problems):
        X, init, parameters = problem(seed)
        centers, history = isodata(exactly(X), exactly(init), **exactly(parameters))
        model = Isodata(**parameters, init=init).fit(X)
        assert_equal_to_oracle(model, exactly(X), centers, history)
        taken.update(branches(history, parameters))
        taken["many columns"] += X.shape[1] > 24
        taken["stopped early"] += model.n_iter_ < parameters["max_iter"]
    print(*(f"{count:5d}  {name}" for name, count in sorted(taken.items())), sep="\n")
    assert set(taken) == set(BRANCHES)
    assert min(taken.values()) >= AT_LEAST * problems // N_PROBLEMS, taken.most_common()[-5:]


@pytest.mark.parametrize("n_features", [2, 40])
@pytest.mark.parametrize("seed", range(5))
def test_equals_the_literal_transcription_on_measured_data(n_features, seed):
    X, _ = make_blobs(60, n_features, centers=5, random_state=seed)
    parameters = {
        "n_clusters": 5,
        "min_samples": 2,
        "max_std": 1.5,
        "min_distance": 4.0,
        "max_merges": 2,
        "max_iter": 7,
    }
    centers, history = isodata(X.tolist(), X[:3].tolist(), **parameters, split_fraction=0.5)
    assert any(entry["split"] for entry in history)
    assert_equal_to_oracle(Isodata(**parameters, init=X[:3]).fit(X), X.tolist(), centers, history)


# -- worked by hand ----------------------------------------------------------------------------------------------------


def test_example_of_the_text_book():
    X = np.array([(0, 0), (1, 1), (2, 2), (4, 3), (5, 3), (4, 4), (5, 4), (6, 5)])
    model = Isodata(2, max_std=1, min_distance=4, max_merges=0, max_iter=4, split_fraction=0.5, init=[[0, 0]]).fit(X)
    first, second, third, fourth = model.history_
    np.testing.assert_allclose(first["moved"], [(3.375, 2.75)], atol=0)
    assert round(first["mean_distance"], 4) == 2.2615
    assert first["mean_distances"].round(4).tolist() == [2.2615]
    assert first["stds"].round(4).tolist() == [[1.9961, 1.5612]]
    assert first["max_stds"].round(4).tolist() == [1.9961]
    assert first["split"] == [0]
    assert first["centers"].round(3).tolist() == [[4.373, 2.75], [2.377, 2.75]]
    assert second["sizes"].tolist() == [5, 3]
    np.testing.assert_allclose(second["moved"], [(4.8, 3.8), (1, 1)], atol=1e-12)
    assert round(np.linalg.norm(np.subtract(*second["moved"])), 4) == 4.7202
    assert second["mean_distances"] is None and third["mean_distances"] is not None
    assert all(entry["split"] == entry["considered"] == [] for entry in (second, third, fourth))
    np.testing.assert_allclose(model.cluster_centers_, [(4.8, 3.8), (1, 1)], atol=1e-12)
    assert model.labels_.tolist() == [1, 1, 1, 0, 0, 0, 0, 0] and model.n_iter_ == 4


@pytest.mark.parametrize(
    "max_merges, considered, lumped, final",
    [
        (0, [], [], [0, 3, 5, 20]),
        (1, [(1, 2)], [(1, 2)], [0, 11 / 3, 20]),
        (2, [(1, 2), (0, 1)], [(1, 2)], [0, 11 / 3, 20]),
        (9, [(1, 2), (0, 1), (0, 2)], [(1, 2)], [0, 11 / 3, 20]),
    ],
)
def test_lumping_by_hand(max_merges, considered, lumped, final):
    # Clusters {0, 0}, {3, 3}, {5}, {20}. Distances below theta_C = 6: 5 - 3 = 2, 3 - 0 = 3, 5 - 0 = 5, in this order.
    # The first pair becomes (2 * 3 + 1 * 5) / 3 = 11/3; the others would use 3 or 5 again, and are refused. They count
    # against L all the same: it limits pairs considered. In iteration 2, the last, {3, 3, 5} has the mean 11/3 again.
    X = np.array([[0], [0], [3], [3], [5], [20]])
    init = [[0], [3], [5], [20]]
    model = Isodata(4, max_std=np.inf, min_distance=6, max_merges=max_merges, max_iter=2, init=init).fit(X)
    assert model.history_[0]["considered"] == considered and model.history_[0]["lumped"] == lumped
    np.testing.assert_allclose(model.history_[0]["centers"].ravel(), final)
    assert model.history_[1]["considered"] == []
    np.testing.assert_allclose(model.cluster_centers_.ravel(), final)


def test_discarding_by_hand():
    # Centres 1 and 10 have the samples {0, 1, 2} and {10}; theta_N = 2 discards the second, and leaves 10 out: the mean
    # is 1, D = (1 + 0 + 1) / 3. From the second iteration on all belong to the first: (0 + 1 + 2 + 10) / 4 = 3.25.
    X = np.array([[0], [1], [2], [10]])
    model = Isodata(1, min_samples=2, max_std=9, max_iter=9, init=[[1], [10]]).fit(X)
    first, second = model.history_[:2]
    assert first["sizes"].tolist() == [3, 1] and first["discarded"] == [1]
    assert first["moved"].tolist() == [[1]] and first["mean_distance"] == pytest.approx(2 / 3)
    assert second["sizes"].tolist() == [4] and second["moved"].tolist() == [[3.25]]
    assert model.cluster_centers_.tolist() == [[3.25]] and model.n_iter_ == 4  # 3 and 4 change nothing
    once = Isodata(1, min_samples=2, max_std=9, max_iter=1, init=[[1], [10]]).fit(X)
    assert once.cluster_centers_.tolist() == [[1]] and once.labels_.tolist() == [0, 0, 0, 0]
    enough = Isodata(1, min_samples=1, max_std=9, max_iter=1, init=[[1], [10]]).fit(X)
    assert enough.history_[0]["discarded"] == []  # one sample is not fewer than theta_N = 1


def test_splitting_by_hand():
    # Clusters {10, 12, 14, 16, 18} and {0, 0}: D_1 = (4 + 2 + 0 + 2 + 4) / 5 = 12/5, D_2 = 0, D = (5 * 12/5 + 0) / 7.
    # Nc = 2 > K/2 = 1, and 1 is odd. As D_1 > D and 5 > 2 (1 + 1), the first is split: its sigma is
    # sqrt((16 + 4 + 0 + 4 + 16) / 5) = sqrt 8 > theta_S = 2, so at 14 + sqrt(8) / 2 and 14 - sqrt(8) / 2. The sample 14
    # is as near to both: it goes to the first. So {14, 16, 18} has the mean 16, {10, 12} has 11. In iteration 3 again
    # D_1 = 4/3 is more than D = (4 + 2 + 0) / 7, but 3 samples are not more than 4.
    X = np.array([[10], [12], [14], [16], [18], [0], [0]])
    model = Isodata(2, max_std=2, min_distance=0, max_iter=9, init=[[14], [0]]).fit(X)
    first, second, third = model.history_[:3]
    np.testing.assert_allclose(first["mean_distances"], [12 / 5, 0])
    assert first["mean_distance"] == pytest.approx(12 / 7) and first["max_stds"] == pytest.approx([8**0.5, 0])
    assert first["split"] == [0]
    np.testing.assert_allclose(first["centers"].ravel(), [14 + 2**0.5, 14 - 2**0.5, 0])
    assert second["sizes"].tolist() == [3, 2, 2] and second["moved"].ravel().tolist() == [16, 11, 0]
    np.testing.assert_allclose(third["mean_distances"], [4 / 3, 1, 0])
    assert third["mean_distance"] == pytest.approx(6 / 7) and third["split"] == []
    assert model.cluster_centers_.ravel().tolist() == [16, 11, 0]


# -- what is not true --------------------------------------------------------------------------------------------------

# Two samples, split in odd iterations (Nc = 1 = K/2, sigma = 0.5 > theta_S) and lumped in even ones (1 < theta_C).
TWO_SAMPLES = np.array([[0.0], [1.0]])
TWO_CYCLE = {"n_clusters": 2, "max_std": 0.25, "min_distance": 2, "max_merges": 1, "init": [[0.5]]}

# More clusters than desired: {4, 5, 6, 7, 8} has D_j = 1.2 > D = 1 and sigma = sqrt 2 > theta_S, and so is split,
# although there are two clusters already. Six samples are the fewest: with Nc > K / 2, the cluster must have five.
SIX_SAMPLES = np.array([[0.0], [4.0], [5.0], [6.0], [7.0], [8.0]])
MORE_THAN_K = {"n_clusters": 2, "max_std": 1, "min_distance": 0, "init": [[0], [6]]}

# The same, where the halves (7 and 4.5, 2.5 apart) are lumped again: a cycle with more than K / 2 clusters throughout.
SIX_CYCLE = MORE_THAN_K | {"min_distance": 3}


def states(X: np.ndarray, parameters: dict[str, Any], max_iter: int) -> list[list[float]]:
    """Centres after each iteration but the last, which is different from the others; X has one column."""
    model = Isodata(**parameters, max_iter=max_iter).fit(X)
    assert model.n_iter_ == max_iter, "stopped early: no cycle"
    return [entry["centers"].ravel().round(12).tolist() for entry in model.history_[:-1]]


def test_it_need_not_converge():
    odd, even, *_ = visited = states(TWO_SAMPLES, TWO_CYCLE, max_iter=100)
    assert (odd, even) == ([0.75, 0.25], [0.5])
    assert visited == ([odd, even] * 50)[:99]
    odd, even, *_ = visited = states(SIX_SAMPLES, SIX_CYCLE, max_iter=100)
    assert odd == pytest.approx([0, 6 + 0.5**0.5, 6 - 0.5**0.5]) and even == [0, 6]
    assert visited == ([odd, even] * 50)[:99]


@pytest.mark.parametrize(
    "X, parameters, after_odd, after_even",
    [(TWO_SAMPLES, TWO_CYCLE, [0.5], [1, 0]), (SIX_SAMPLES, SIX_CYCLE, [0, 6], [0, 7, 4.5])],
)
def test_the_parity_of_max_iter_decides_the_result(X, parameters, after_odd, after_even):
    for max_iter in range(2, 12):
        model = Isodata(**parameters, max_iter=max_iter).fit(X)
        assert model.cluster_centers_.ravel().tolist() == (after_odd if max_iter % 2 else after_even)


def test_final_centres_may_be_closer_than_min_distance():
    model = Isodata(**TWO_CYCLE, max_iter=100).fit(TWO_SAMPLES)
    assert abs(np.subtract(*model.cluster_centers_)) == 1 < model.min_distance


def test_there_may_be_more_clusters_than_desired():
    model = Isodata(**MORE_THAN_K).fit(SIX_SAMPLES)
    assert model.cluster_centers_.ravel().tolist() == [0, 7, 4.5]
    assert len(model.cluster_centers_) > model.n_clusters and model.n_iter_ < model.max_iter


# -- what must not matter ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_features", [1, 2, 24, 25, 60])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("max_iter", [1, 2, 5, 50])
def test_is_k_means_where_nothing_is_split_lumped_or_discarded(n_features, dtype, max_iter):
    X = np.random.default_rng(n_features).random((500, n_features)).astype(dtype)
    lloyd = KMeans(6, init=X[:6], n_init=1, max_iter=max_iter, tol=0, algorithm="lloyd").fit(X)
    model = Isodata(6, **PLAIN, max_iter=max_iter, init=X[:6]).fit(X)
    np.testing.assert_allclose(
        model.cluster_centers_, lloyd.cluster_centers_, rtol=1e-4 if dtype == np.float32 else 1e-12
    )
    assert (model.labels_ == lloyd.labels_).all()


@pytest.fixture(params=[(2, 0), (3, 1), (40, 2)], ids=["2 columns", "3 columns", "40 columns"])
def clouds(request):
    """Overlapping clouds, six of their samples to start from, and parameters that split and lump."""
    n_features, seed = request.param
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(150, n_features)) * np.linspace(1, 3, n_features) + 3 * rng.integers(0, 2, (150, 1))
    parameters = {"n_clusters": 4, "min_samples": 3, "max_std": 1.5, "max_iter": 9, "max_merges": 2}
    parameters["min_distance"] = 3 if n_features < 40 else 11.5
    return X, X[:6], parameters


def done(model: Isodata) -> list:
    return [(*(entry[name] for name in ("discarded", "split", "considered", "lumped")),) for entry in model.history_]


def test_the_clouds_do_split_and_lump(clouds):
    X, init, parameters = clouds
    history = Isodata(**parameters, init=init).fit(X).history_
    assert any(entry["split"] for entry in history) and any(entry["lumped"] for entry in history)


@pytest.mark.parametrize("thresholds", ["given", "default"])
@pytest.mark.parametrize("change", ["translate", "scale", "permute columns", "permute rows", "reflect"])
def test_invariance(clouds, change, thresholds):
    X, init, parameters = clouds
    rng = np.random.default_rng(0)
    rows, columns, factor, offset = np.arange(len(X)), np.arange(X.shape[1]), np.ones(X.shape[1]), np.zeros(X.shape[1])
    if change == "translate":
        offset = 1000 * rng.normal(size=X.shape[1])
    elif change == "scale":
        factor *= 1 / 3
    elif change == "permute columns":
        columns = rng.permutation(columns)
    elif change == "permute rows":
        rows = rng.permutation(rows)
    else:
        factor = rng.choice([-1.0, 1.0], X.shape[1])
        factor[X.shape[1] // 2] = -1
    unit = abs(factor[0])
    if thresholds == "default":
        parameters |= {"max_std": None, "min_distance": None}
        scaled = parameters
    else:
        scaled = parameters | {name: unit * parameters[name] for name in ("max_std", "min_distance")}

    def map_(points: np.ndarray) -> np.ndarray:
        return points[:, columns] * factor + offset

    model = Isodata(**parameters, init=init).fit(X)
    changed = Isodata(**scaled, init=map_(init)).fit(map_(X)[rows])
    if (
        change == "reflect"
    ):  # reflection exchanges the upper and the lower half: the clusters are the same in another order
        order = np.lexsort(map_(model.cluster_centers_).T), np.lexsort(changed.cluster_centers_.T)
        assert [sorted(entry["sizes"]) for entry in changed.history_] == [sorted(e["sizes"]) for e in model.history_]
    else:
        order = np.arange(len(model.cluster_centers_)), np.arange(len(changed.cluster_centers_))
        assert done(changed) == done(model)
        assert (changed.labels_ == model.labels_[rows]).all()
    np.testing.assert_allclose(changed.cluster_centers_[order[1]], map_(model.cluster_centers_)[order[0]], atol=1e-9)


def test_the_default_thresholds_are_the_documented_fractions():
    stds, distances = [], []  # as fractions, of all that could be split or lumped
    for seed in range(200):
        X = np.random.default_rng(seed).normal(size=(12, 2)) * (1, 2)
        first = Isodata(4, max_iter=2, init=2, random_state=seed).fit(X).history_[0]
        fractions = first["max_stds"] / X.std(axis=0).max()
        assert first["split"] == np.flatnonzero(fractions > 0.8).tolist()
        stds.extend(fractions)
        first = Isodata(4, max_iter=2, max_merges=99, max_std=np.inf, init=6, random_state=seed).fit(X).history_[0]
        fractions = pdist(first["moved"]) / np.sqrt(X.var(axis=0).sum())
        assert len(first["considered"]) == (fractions < 0.25).sum()
        distances.extend(fractions)
    for fractions, limit in ((np.array(stds), 0.8), (np.array(distances), 0.25)):  # some are near on both sides
        assert limit - 0.01 < fractions[fractions < limit].max() and fractions[fractions > limit].min() < limit + 0.01


def test_runs_are_repeatable_and_leave_the_global_state_alone():
    X, _ = make_blobs(200, 3, centers=5, random_state=0)
    state = np.random.get_state()[1].copy()
    models = [Isodata(5, random_state=3).fit(X) for _ in range(2)]
    assert (models[0].cluster_centers_ == models[1].cluster_centers_).all() and done(models[0]) == done(models[1])
    assert (np.random.get_state()[1] == state).all()
    other = Isodata(5, random_state=4).fit(X)
    assert (other.history_[0]["start"] != models[0].history_[0]["start"]).any()


def test_stopping_early_changes_nothing():
    X, _ = make_blobs(100, 2, centers=4, random_state=1)
    model = Isodata(4, max_iter=1000, random_state=0).fit(X)
    assert 2 < model.n_iter_ < 50
    last = [(entry["start"] == entry["centers"]).all() and not entry["lumped"] for entry in model.history_[-2:]]
    assert all(last) and {entry["iteration"] % 2 for entry in model.history_[-2:]} == {0, 1}
    for max_iter in range(model.n_iter_ - 1, model.n_iter_ + 4):
        other = Isodata(4, max_iter=max_iter, random_state=0).fit(X)
        assert (other.cluster_centers_ == model.cluster_centers_).all()


@pytest.mark.parametrize("n_features", [2, 40])
def test_float32_gives_what_float64_gives(n_features):
    X = make_blobs(300, n_features, centers=5, cluster_std=4, random_state=0)[0].astype(np.float32)
    single, double = (Isodata(5, random_state=0).fit(X.astype(dtype)) for dtype in (np.float32, np.float64))
    assert single.cluster_centers_.dtype == np.float64
    assert done(single) == done(double) and (single.labels_ == double.labels_).all()
    np.testing.assert_allclose(single.cluster_centers_, double.cluster_centers_, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("n_features", [2, 40])
def test_far_from_the_origin_spreads_do_not_cancel(n_features):
    X = np.random.default_rng(0).integers(0, 64, (200, n_features)).astype(float)  # so that the shift is exact
    near, far = (Isodata(5, random_state=0).fit(X + offset) for offset in (0, 1e8))
    assert done(near) == done(far) and (near.labels_ == far.labels_).all()
    for entry, other in zip(near.history_, far.history_, strict=True):
        if entry["stds"] is not None:
            np.testing.assert_allclose(other["stds"], entry["stds"], rtol=1e-12)
            np.testing.assert_allclose(other["mean_distances"], entry["mean_distances"], rtol=1e-12)


@pytest.mark.parametrize("offset, unit", [(0, 1), (1e8, 1), (0, 1e-30), (0, 1e30), (0, 1e-100), (0, 1e100)])
def test_the_product_decides_as_differences_do(offset, unit):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 3, (700, 40)) * unit + offset  # full of ties
    X[0] += 1000 * unit
    centers = np.vstack([X[:9], X[3:5], (X[:2] + X[2:4]) / 2]) - offset
    origin, scale = np.full(40, float(offset)), 1 / (unit * np.sqrt(((centers / unit) ** 2).sum(axis=1).max()))
    product = _assign_by_product(X, origin, centers, np.ascontiguousarray(centers.T * scale, dtype=np.float32), scale)
    differences = _assign_by_differences(X, origin, centers)
    squares = ((X[:, None] - origin - centers) ** 2 / unit**2).sum(axis=2)
    nearest = (squares <= squares.min(axis=1, keepdims=True) * (1 + 1e-10)).argmax(axis=1)
    assert len(set(nearest)) > 9 and ((squares == squares.min(axis=1, keepdims=True)).sum(axis=1) > 1).any()
    for labels, sizes, sums in (product, differences):
        assert (labels == nearest).all() and (sizes == np.bincount(nearest, minlength=len(centers))).all()
        expected = np.array([(X - origin)[nearest == j].sum(axis=0) for j in range(len(centers))])
        np.testing.assert_allclose(sums, expected, rtol=1e-12, atol=1e-12 * unit)


def test_centres_tie_for_a_sample_that_is_too_far_to_tell():
    model = Isodata(2, init=[[0] * 40, [1] * 40], **PLAIN).fit(np.repeat([[0.0], [1.0]], 40, axis=1))
    assert model.predict([[far] * 40 for far in (1e5, 1e30, 1e60, 1e140)]).tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("n_features", [2, 40])
def test_labels_are_predictions_whatever_the_batch(n_features):
    X = np.random.default_rng(0).integers(0, 4, (300, n_features)).astype(float)
    model = Isodata(5, random_state=0).fit(X)
    assert (model.labels_ == model.predict(X)).all() and model.labels_.dtype == np.int32
    assert (model.labels_ == model.fit_predict(X)).all()
    assert (model.labels_ == np.concatenate([model.predict(X[i : i + 7]) for i in range(0, 300, 7)])).all()


# -- edges and errors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_features", [1, 40])
def test_one_sample(n_features):
    model = Isodata().fit(np.full((1, n_features), 7.0))
    assert model.cluster_centers_.tolist() == [[7.0] * n_features] and model.labels_.tolist() == [0]


@pytest.mark.parametrize("n_features", [1, 3, 40])
@pytest.mark.parametrize("value", [0, 0.1, 1e8 + 0.1])
@pytest.mark.parametrize("parameters", [{}, {"max_std": 0, "min_distance": 0}, {"max_std": 0, "min_distance": np.inf}])
def test_equal_samples_are_one_cluster_that_is_not_split(n_features, value, parameters):
    model = Isodata(4, **parameters, random_state=0).fit(np.full((7, n_features), value))
    np.testing.assert_allclose(model.cluster_centers_, np.full((1, n_features), value), rtol=1e-15)
    assert model.labels_.tolist() == [0] * 7 and not any(entry["split"] for entry in model.history_)


def test_duplicates_do_not_split_by_rounding():
    X = np.repeat([[0.1, 0.2], [0.3, 0.7], [0.9, 0.4]], 1001, axis=0)
    model = Isodata(6, max_std=0, min_distance=0, init=X[::1001]).fit(X)
    assert len(model.cluster_centers_) == 3 and not any(entry["split"] for entry in model.history_)


def test_clusters_that_are_alike_are_not_split_by_rounding():
    for seed in range(20):  # copies of one cluster: D_j = D, but in the sums of rounded distances
        cluster = np.random.default_rng(seed).random((7, 2))
        X, init = np.vstack([cluster, cluster + 10, cluster + 20]), [[0, 0], [10, 10], [20, 20]]
        assert Isodata(3, max_std=0, max_iter=2, init=init).fit(X).history_[0]["split"] == []


def test_a_constant_column_changes_nothing():
    X = np.random.default_rng(0).normal(size=(100, 2))
    model = Isodata(4, random_state=0).fit(X)
    constant = Isodata(4, random_state=0).fit(np.column_stack([X[:, :1], np.full(100, 0.1), X[:, 1:]]))
    assert done(model) == done(constant) and (model.labels_ == constant.labels_).all()


def test_random_centres_are_distinct_samples():
    X = np.arange(20.0)[:, None]
    for init, count in (("random", 6), (3, 3), (np.int64(3), 3), (99, 20)):
        start = Isodata(6, init=init, random_state=0).fit(X).history_[0]["start"].ravel().round(9).tolist()
        assert len(set(start)) == len(start) == count and set(start) <= set(X.ravel())
    assert len(Isodata(6, random_state=0).fit(X[:4]).history_[0]["start"]) == 4


def test_init_is_neither_changed_nor_kept_as_the_result():
    X, init = np.array([[0.0], [1.0], [5.0]]), np.array([[0.0], [4.0]])
    model = Isodata(2, init=init, **PLAIN).fit(X)
    assert init.tolist() == [[0], [4]] and model.cluster_centers_.tolist() == [[0.5], [5]]


GOOD = np.arange(12.0).reshape(6, 2)


@pytest.mark.parametrize(
    "parameters, X, message",
    [
        ({"n_clusters": 0}, GOOD, r"'n_clusters' parameter of Isodata must be an int in the range \[1, inf\). Got 0"),
        ({"n_clusters": 2.5}, GOOD, "'n_clusters' parameter .* Got 2.5"),
        ({"min_samples": 0}, GOOD, r"'min_samples' .* range \[1, inf\). Got 0"),
        ({"min_samples": 7}, GOOD, "min_samples=7 is more than n_samples=6; make it smaller"),
        ({"max_std": -1}, GOOD, r"'max_std' .* range \[0.0, inf\] or None. Got -1"),
        ({"min_distance": -0.5}, GOOD, r"'min_distance' .* range \[0.0, inf\] or None. Got -0.5"),
        ({"max_merges": -1}, GOOD, r"'max_merges' .* range \[0, inf\). Got -1"),
        ({"max_iter": 0}, GOOD, r"'max_iter' .* range \[1, inf\). Got 0"),
        ({"split_fraction": 0}, GOOD, r"'split_fraction' .* range \(0.0, 1.0\]. Got 0"),
        ({"split_fraction": 1.1}, GOOD, "'split_fraction' .* Got 1.1"),
        ({"init": "k-means++"}, GOOD, "'init' .*'random'.* Got 'k-means"),
        ({"init": 0}, GOOD, "'init' .* Got 0"),
        ({"init": np.zeros((2, 3))}, GOOD, "init has 3 columns but X has 2; give it as many"),
        ({"init": [1.0, 2.0]}, GOOD, "Expected 2D array, got 1D array"),
        ({"init": [[0, np.nan]]}, GOOD, "init contains NaN"),
        ({"init": np.zeros((0, 2))}, GOOD, "0 sample"),
        ({"random_state": "seed"}, GOOD, "'random_state' .* Got 'seed'"),
        ({}, np.arange(3.0), "Expected 2D array, got 1D array"),
        ({}, np.zeros((0, 2)), "0 sample"),
        ({}, np.zeros((3, 0)), "0 feature"),
        ({}, np.where(GOOD == 3, np.nan, GOOD), "X contains NaN"),
        ({}, np.where(GOOD == 3, np.inf, GOOD), "X contains infinity"),
        ({}, [["a", "b"]], "could not convert string to float"),
        ({}, GOOD * 1e200, "X reaches 1.1e.201, too far to be squared; divide it by a constant"),
    ],
)
def test_errors_name_what_is_wrong(parameters, X, message):
    with np.errstate(over="ignore"), pytest.raises(ValueError, match=message):
        Isodata(**parameters).fit(X)


def test_predict_wants_the_same_columns():
    with pytest.raises(ValueError, match="X has 3 features, but Isodata is expecting 2 features"):
        Isodata().fit(GOOD).predict(np.zeros((4, 3)))


# -- scikit-learn ------------------------------------------------------------------------------------------------------

CHECKS = """
from sklearn.utils.estimator_checks import check_estimator
from errref.isodata import Isodata
results = check_estimator(Isodata(), on_skip=None)
print(*(result["check_name"] for result in results if result["status"] != "passed"), len(results))
"""


@pytest.mark.filterwarnings("ignore")  # the checks provoke some
def test_all_checks_of_scikit_learn():
    results = check_estimator(Isodata(), on_skip=None)  # raises where one fails
    skipped = [result["check_name"] for result in results if result["status"] != "passed"]
    print(len(results), "checks of scikit-learn, skipped:", skipped)
    assert len(results) >= 40 and skipped == ["check_array_api_input"] * (os.environ.get("SCIPY_ARRAY_API") != "1")


def test_all_checks_of_scikit_learn_with_the_array_api():
    environment = os.environ | {"SCIPY_ARRAY_API": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHECKS], env=environment, capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) >= 40  # and not a name before it: none was skipped


def test_the_example_in_the_documentation():
    outcome = doctest.testmod(errref.isodata)
    assert outcome.attempted > 0 and outcome.failed == 0
