"""ISODATA: k-means that discards, splits and lumps its clusters, as a scikit-learn clusterer."""

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import pdist
from sklearn.base import BaseEstimator, ClusterMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_array, check_is_fitted, check_random_state, validate_data

from errref.compiled import compiled

_Entry = dict[str, Any]
_BLOCK = 128  # rows at a time: read from memory once, then used from the cache
_TIE = 1e-10  # so little is no difference: else rounding would break ties, and tell clusters apart that are alike


class Isodata(ClusterMixin, BaseEstimator):
    """K-means that also discards small clusters, splits wide ones and lumps close ones.

    The 14 steps of Gonzalez, Fry and Kryter, Oak Ridge National Laboratory (1974), also in Tou and Gonzalez, "Pattern
    Recognition Principles" (1974), after Ball and Hall (1965). ``n_clusters`` is only desired. Centres may end closer
    than ``min_distance``, and iterations may cycle for ever; the last only discards and moves, and even ones split only
    while there are at most half of the desired clusters, so that the parity of ``max_iter`` can decide the result.

    Below, spread is the root mean square distance of the samples to their mean. Lengths that differ by less than 1e-10
    of it are equal, and so are squared distances of samples to centres by 1e-10 of themselves. Ties: the lowest index.

    Parameters
    ----------
    n_clusters : int, default=8
        Desired number of clusters (K).
    min_samples : int, default=1
        Clusters with fewer samples are discarded (theta_N), and their samples left out for one iteration.
    max_std : float or None, default=None
        Clusters with a larger standard deviation in a column may be split (theta_S, in units of X; ``np.inf``: none).
        None is 0.8 of the largest standard deviation of a column of X.
    min_distance : float or None, default=None
        Centres closer than this may be lumped (theta_C, in units of X; 0: none). None is 0.25 of the spread.
    max_merges : int, default=2
        Pairs of centres considered for lumping in one iteration (L).
    max_iter : int, default=100
        Iterations (I). There are fewer only if the rest could not change anything.
    split_fraction : float in (0, 1], default=0.5
        A split puts two centres this many standard deviations from the old one (gamma).
    init : "random", int or array-like of shape (n_centers, n_features), default="random"
        The starting centres, or how many samples to draw for them, at most all ("random": ``n_clusters``).
    random_state : int, RandomState instance or None, default=None
        What draws them. Nothing else is random.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_centers, n_features), float64
    labels_ : ndarray of shape (n_samples,), int32
        The nearest of these centres, so that it equals ``predict(X)``.
    n_iter_ : int
    history_ : list of dict
        Of each iteration: ``iteration``, from 1; ``start``, its first centres; ``sizes``, the samples nearest to each;
        ``discarded``, list of indices into ``start``; ``moved``, the centres kept, at their means; ``split``, list of
        indices into ``moved``; ``considered`` and ``lumped``, lists of pairs of these; ``centers``, its last centres.
        Of the clusters in ``moved``, and None unless step 8 was reached: ``mean_distances`` (D_j), ``mean_distance``
        (D), ``stds`` of shape (n_moved, n_features) and their row maxima ``max_stds``, all in units of X.

    Examples
    --------
    >>> X = [[0, 0], [1, 1], [2, 2], [4, 3], [5, 3], [4, 4], [5, 4], [6, 5]]
    >>> model = Isodata(2, max_std=1, min_distance=4, max_merges=0, max_iter=4, init=[[0, 0]]).fit(X)
    >>> model.cluster_centers_
    array([[4.8, 3.8],
           [1. , 1. ]])
    """

    _parameter_constraints: dict = {
        **dict.fromkeys(("n_clusters", "min_samples", "max_iter"), [Interval(Integral, 1, None, closed="left")]),
        **dict.fromkeys(("max_std", "min_distance"), [Interval(Real, 0, None, closed="both"), None]),
        "max_merges": [Interval(Integral, 0, None, closed="left")],
        "split_fraction": [Interval(Real, 0, 1, closed="right")],
        "init": [StrOptions({"random"}), Interval(Integral, 1, None, closed="left"), "array-like"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        min_samples: int = 1,
        max_std: float | None = None,
        min_distance: float | None = None,
        max_merges: int = 2,
        max_iter: int = 100,
        split_fraction: float = 0.5,
        init: str | int | ArrayLike = "random",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.min_samples = min_samples
        self.max_std = max_std
        self.min_distance = min_distance
        self.max_merges = max_merges
        self.max_iter = max_iter
        self.split_fraction = split_fraction
        self.init = init
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Cluster the samples X, (n_samples, n_features); y is ignored. A ValueError names what is unfit, and how."""
        samples = validate_data(self, X, dtype=[np.float64, np.float32], order="C")
        if self.min_samples > len(samples):
            raise ValueError(f"min_samples={self.min_samples} is more than n_samples={len(samples)}; make it smaller.")
        origin = samples.mean(axis=0, dtype=np.float64)  # all is relative to it, since far from zero spreads cancel
        thresholds = self._thresholds(samples, origin)
        centers = self._starting_centers(samples) - origin
        self.history_: list[_Entry] = []
        idle = 0
        for iteration in range(1, self.max_iter + 1):
            entry = self._iterate(samples, origin, thresholds, centers, iteration)
            changed = bool(entry["discarded"] or entry["split"] or entry["lumped"])
            idle = 0 if changed or not np.array_equal(centers, entry["centers"]) else idle + 1
            centers = entry["centers"]
            self.history_.append(entry | {name: entry[name] + origin for name in ("start", "moved", "centers")})
            if idle == 2:  # an odd and an even iteration in a row: all others would repeat them
                break
        self.n_iter_, self.cluster_centers_ = len(self.history_), centers + origin
        self.labels_ = self._nearest(samples)
        return self

    def predict(self, X: ArrayLike) -> NDArray:
        """Return the index of the final centre nearest to each sample of X, (n_samples, n_features), as int32."""
        check_is_fitted(self)
        return self._nearest(validate_data(self, X, dtype=[np.float64, np.float32], order="C", reset=False))

    def _nearest(self, X: NDArray) -> NDArray:
        origin = self.cluster_centers_.mean(axis=0)
        return _assign(X, origin, self.cluster_centers_ - origin)[0]

    def _thresholds(self, X: NDArray, origin: NDArray) -> tuple[float, float, float]:
        """Return max_std, min_distance, and the difference below which lengths are equal."""
        stds = np.sqrt(_scatter(X, origin, np.zeros(len(X), np.int32), np.zeros((1, X.shape[1])))[0][0] / len(X))
        spread = float(np.sqrt(stds @ stds))
        if not np.isfinite(spread):
            raise ValueError(f"X reaches {np.abs(X).max():g}, too far to be squared; divide it by a constant.")
        max_std = 0.8 * float(stds.max()) if self.max_std is None else self.max_std
        min_distance = 0.25 * spread if self.min_distance is None else self.min_distance
        return max_std, min_distance, _TIE * spread

    def _starting_centers(self, X: NDArray) -> NDArray:
        if isinstance(self.init, (str, Integral)):
            count = self.n_clusters if self.init == "random" else self.init
            return X[check_random_state(self.random_state).permutation(len(X))[:count]]
        centers = check_array(self.init, dtype=np.float64, order="C", input_name="init")
        if centers.shape[1] != X.shape[1]:
            raise ValueError(f"init has {centers.shape[1]} columns but X has {X.shape[1]}; give it as many.")
        return centers

    def _iterate(self, X: NDArray, origin: NDArray, thresholds: tuple, start: NDArray, iteration: int) -> _Entry:
        """Take steps 2 to 14 once; return the entry in the history, with centres relative to the origin."""
        max_std, min_distance, slack = thresholds
        labels, all_sizes, sums = _assign(X, origin, start)  # step 2
        kept = all_sizes >= self.min_samples  # step 3
        kept[np.argmax(all_sizes)] = True  # the largest stays where all would go, and elsewhere anyway
        means = sums / np.maximum(all_sizes, 1)[:, None]
        sizes, centers = all_sizes[kept], means[kept]  # step 4
        entry: _Entry = {"iteration": iteration, "start": start, "sizes": all_sizes}
        entry |= {"discarded": np.flatnonzero(~kept).tolist(), "moved": centers, "centers": centers}
        entry |= {"split": [], "considered": [], "lumped": []}
        entry |= dict.fromkeys(("mean_distances", "mean_distance", "stds", "max_stds"))
        if iteration < self.max_iter:  # step 7 (a)
            few = 2 * len(centers) <= self.n_clusters  # step 7 (b)
            if few or (iteration % 2 == 1 and len(centers) < 2 * self.n_clusters):  # step 7 (c)
                squares, distances = (total[kept] for total in _scatter(X, origin, labels, means))
                entry |= {"mean_distances": distances / sizes, "mean_distance": distances.sum() / sizes.sum()}  # 5, 6
                entry["stds"] = np.sqrt(squares / sizes[:, None])  # step 8
                self._split(max_std, slack, sizes, entry)
            if not entry["split"]:
                self._lump(min_distance, slack, sizes, entry)
        return entry

    def _split(self, max_std: float, slack: float, sizes: NDArray, entry: _Entry) -> None:
        """Take steps 9 and 10; the lower half of a cluster follows its upper half."""
        centers, stds = entry["moved"], entry["stds"]
        sigma_max = entry["max_stds"] = stds.max(axis=1)
        columns = np.argmax(stds >= sigma_max[:, None] - slack, axis=1)
        loose = entry["mean_distances"] > entry["mean_distance"] + slack
        eligible = (loose & (sizes > 2 * (self.min_samples + 1))) | (2 * len(centers) <= self.n_clusters)
        split = np.flatnonzero((sigma_max > max_std + slack) & eligible)
        shifts = np.zeros_like(centers)
        shifts[split, columns[split]] = self.split_fraction * sigma_max[split]
        upper, lower = centers + shifts, centers - shifts
        entry |= {"split": split.tolist(), "centers": np.insert(upper, split + 1, lower[split], axis=0)}

    def _lump(self, min_distance: float, slack: float, sizes: NDArray, entry: _Entry) -> None:
        """Take steps 11 to 13; the mean of a pair replaces the first of it."""
        centers, used = entry["moved"].copy(), set[int]()
        first, second = np.triu_indices(len(centers), k=1)
        distances = pdist(centers)
        order = np.argsort(distances)
        rank = np.cumsum(np.diff(distances[order], prepend=0) > slack)  # one for all that are equal
        order = order[np.lexsort((order, rank))]
        near = order[distances[order] < min_distance - slack][: self.max_merges]
        entry["considered"] = list(zip(first[near].tolist(), second[near].tolist(), strict=True))
        for i, j in entry["considered"]:
            if used.isdisjoint((i, j)):
                used |= {i, j}
                entry["lumped"].append((i, j))
                centers[i] = (sizes[i] * centers[i] + sizes[j] * centers[j]) / (sizes[i] + sizes[j])
        entry["centers"] = np.delete(centers, [j for _, j in entry["lumped"]], axis=0)


def _assign(X: NDArray, origin: NDArray, centers: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Return the nearest centre of each sample, and the size and sum of each cluster; all relative to the origin."""
    if X.shape[1] <= 24:  # where differences are faster than a product
        return _assign_by_differences(X, origin, centers)
    scale = 1 / (np.sqrt((centers**2).sum(axis=1).max()) or 1.0)
    return _assign_by_product(X, origin, centers, np.ascontiguousarray(centers.T * scale, dtype=np.float32), scale)


@compiled()
def _assign_by_differences(X, origin, centers):
    labels, sizes, sums = np.empty(len(X), np.int32), np.zeros(len(centers), np.int64), np.zeros_like(centers)
    block, squares = np.empty((X.shape[1], _BLOCK)), np.empty((len(centers), _BLOCK))
    nearest, bounds = np.empty(_BLOCK, np.int64), np.empty(_BLOCK)
    for low in range(0, len(X), _BLOCK):
        size = min(_BLOCK, len(X) - low)
        squares[:], nearest[:], bounds[:] = 0.0, 0, np.inf
        for f in range(X.shape[1]):
            for i in range(size):
                block[f, i] = X[low + i, f] - origin[f]
            for j in range(len(centers)):
                for i in range(size):  # innermost, for vector units
                    squares[j, i] += (block[f, i] - centers[j, f]) ** 2
        for j in range(len(centers)):
            for i in range(size):
                closer = squares[j, i] < bounds[i]
                nearest[i] = j if closer else nearest[i]
                bounds[i] = squares[j, i] * (1 - _TIE) if closer else bounds[i]
        labels[low : low + size] = nearest[:size]
        for i in range(size):
            sizes[nearest[i]] += 1
            for f in range(X.shape[1]):
                sums[nearest[i], f] += block[f, i]
    return labels, sizes, sums


@compiled()
def _assign_by_product(X, origin, centers, weights, scale):
    # |c|^2 / 2 - x c is |x - c|^2 / 2 but for a constant. In float32 it is fast and off by (d + 8) eps |x| |c| at most;
    # what that leaves open, and ties, differences decide. So the labels are those of _assign_by_differences.
    labels, sizes, sums = np.empty(len(X), np.int32), np.zeros(len(centers), np.int64), np.zeros_like(centers)
    block, deviation = np.empty((_BLOCK, X.shape[1]), np.float32), np.empty(X.shape[1])
    halves = np.sum((centers * scale) ** 2, axis=1) / 2
    for low in range(0, len(X), _BLOCK):
        size = min(_BLOCK, len(X) - low)
        for i in range(size):
            for f in range(X.shape[1]):
                block[i, f] = (X[low + i, f] - origin[f]) * scale
        scores = halves - np.dot(block, weights)
        for i in range(size):
            norm = _length_in_any_order(block[i])
            limit = scores[i].min() + (X.shape[1] + 8) * 2.0**-23 * norm + _TIE * (norm + 1) ** 2
            label, rivals, bound = 0, 0, np.inf
            for j in range(len(centers)):
                if scores[i, j] <= limit:  # not where they overflow, but so far away all centres tie: the first
                    label, rivals = j, rivals + 1
            for j in range(len(centers)):
                if rivals > 1 and scores[i, j] <= limit:
                    for f in range(X.shape[1]):
                        deviation[f] = X[low + i, f] - origin[f] - centers[j, f]
                    distance = _length(deviation)
                    if distance < bound:
                        label, bound = j, distance * (1 - _TIE / 2)
            labels[low + i] = label
            sizes[label] += 1
            for f in range(X.shape[1]):
                sums[label, f] += X[low + i, f] - origin[f]
    return labels, sizes, sums


@compiled()
def _scatter(X, origin, labels, centers):
    """Return, for each label, the sums of squared deviations from its centre in each column and of distances to it."""
    squares, distances, deviation = np.zeros_like(centers), np.zeros(len(centers)), np.empty(X.shape[1])
    for i in range(len(X)):
        j = labels[i]
        for f in range(X.shape[1]):
            deviation[f] = X[i, f] - origin[f] - centers[j, f]
            squares[j, f] += deviation[f] ** 2
        distances[j] += _length(deviation)
    return squares, distances


@compiled()
def _length(deviation):
    square = 0.0
    for f in range(len(deviation)):
        square += deviation[f] ** 2
    return np.sqrt(square)


# As many sums at once as the processor's vectors are wide, so that the last digit hangs on the processor: only for a
# bound, which has room for it, and by which no label and no number is decided.
@compiled(fastmath={"reassoc"})
def _length_in_any_order(deviation):
    square = 0.0
    for f in range(len(deviation)):
        square += deviation[f] ** 2
    return np.sqrt(square)
