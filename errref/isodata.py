"""ISODATA: k-means that discards, splits and lumps its clusters, as a scikit-learn clusterer."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import pdist
from sklearn.base import BaseEstimator, ClusterMixin, _fit_context
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

_FEW = 16  # columns up to which direct differences are faster than a matrix product that rules most centres out
_BLOCK = 256  # rows of that product: read once from memory, used thrice from the cache

# Values that differ by less than this fraction are equal. Small and symmetric data are full of ties, which the order of
# summation would otherwise break; D_j > D could even hold for a single cluster, where both are the same number.
_TIE = 1e-10


class _Limits(NamedTuple):
    max_std: float
    min_distance: float
    slack: float  # lengths that differ by less are equal


class Isodata(ClusterMixin, BaseEstimator):
    """K-means that also discards small clusters, splits wide ones and lumps close ones [1]_ [2]_ [3]_.

    What it does not promise: ``n_clusters`` is desired, the result may have more or fewer; final centres may be closer
    than ``min_distance``; it may cycle for ever. The last iteration only discards and moves, and even ones split only
    while there are at most half of the desired clusters, so the parity of ``max_iter`` can decide the result.

    In what follows, spread is the root mean square distance of the samples to their mean. Lengths that differ by less
    than 1e-10 of it are equal, as are distances to centres by less than 1e-10 of themselves; ties go to the lowest index.

    Parameters
    ----------
    n_clusters : int, default=8
        Desired number of clusters (K).
    min_samples : int, default=1
        Clusters with fewer samples are discarded (theta_N); their samples are left out for one iteration.
    max_std : float or None, default=None
        Clusters with a larger standard deviation in some column may be split (theta_S, in units of X; ``np.inf``: none).
        None is half of the largest standard deviation of a column of X.
    min_distance : float or None, default=None
        Centres closer than this may be lumped (theta_C, in units of X; 0: none). None is a quarter of the spread.
    max_merges : int, default=2
        Pairs of centres considered for lumping in one iteration (L).
    max_iter : int, default=100
        Iterations (I). There are fewer only if the rest could not change anything.
    split_fraction : float, default=0.5
        Centres made by a split lie this many standard deviations from the old one (gamma, above 0 and at most 1).
    init : "random", int or array-like of shape (n_centers, n_features), default="random"
        The starting centres, or how many samples of distinct value to draw for them ("random": ``n_clusters``; all if
        there are fewer).
    random_state : int, RandomState instance or None, default=None
        What draws them. Nothing else is random.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_centers, n_features), float64
    labels_ : ndarray of shape (n_samples,), int32
        The nearest of these centres, so that it equals ``predict(X)``.
    n_iter_ : int
        Iterations made.
    n_features_in_ : int
    history_ : list of dict
        Of each iteration: ``iteration``, from 1; ``start``, its first centres; ``sizes``, the samples nearest to each;
        ``discarded``, list of indices into ``start``; ``moved``, the centres kept, at their means; ``split``, list of
        indices into ``moved``; ``considered`` and ``lumped``, lists of pairs of such indices; ``centers``, its last centres.
        For those in ``moved``, and None unless step 8 was reached: ``mean_distances`` (D_j), ``mean_distance`` (D),
        ``stds`` of shape (n_moved, n_features) and their row maxima ``max_stds``, all in units of X.

    References
    ----------
    .. [1] R. C. Gonzalez, D. N. Fry, R. C. Kryter (1974), appendix "The Isodata Algorithm", Oak Ridge National Laboratory.
    .. [2] J. T. Tou, R. C. Gonzalez (1974), "Pattern Recognition Principles", Addison-Wesley.
    .. [3] G. H. Ball, D. J. Hall (1965), "ISODATA, a novel method of data analysis and pattern classification", SRI.

    Examples
    --------
    >>> X = [[0, 0], [1, 1], [2, 2], [4, 3], [5, 3], [4, 4], [5, 4], [6, 5]]
    >>> model = Isodata(2, max_std=1, min_distance=4, max_merges=0, max_iter=4, init=[[0, 0]]).fit(X)
    >>> model.cluster_centers_
    array([[4.8, 3.8],
           [1. , 1. ]])
    >>> [(entry["sizes"].tolist(), entry["split"]) for entry in model.history_]
    [([8], [0]), ([5, 3], []), ([5, 3], []), ([5, 3], [])]
    """

    _parameter_constraints: dict = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "min_samples": [Interval(Integral, 1, None, closed="left")],
        "max_std": [Interval(Real, 0, None, closed="both"), None],
        "min_distance": [Interval(Real, 0, None, closed="both"), None],
        "max_merges": [Interval(Integral, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
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
    def fit(self, X: ArrayLike, y: object = None) -> Isodata:
        """Cluster the samples X, (n_samples, n_features); y is ignored. ValueError if either cannot be used as it is."""
        X = validate_data(self, X, dtype=[np.float64, np.float32], order="C")
        if self.min_samples > len(X):
            raise ValueError(f"min_samples={self.min_samples} is more than n_samples={len(X)}; make it smaller.")
        origin = X.mean(axis=0, dtype=np.float64)  # all is computed about it: far from zero, spreads cancel
        limits = self._limits(X, origin)
        centers = self._starting_centers(X) - origin
        self.history_: list[dict[str, Any]] = []
        idle = 0
        for iteration in range(1, self.max_iter + 1):
            start = centers
            centers, entry = self._iterate(X, origin, limits, start, iteration)
            self.history_.append(entry | {name: entry[name] + origin for name in ("start", "moved", "centers")})
            unchanged = not (entry["discarded"] or entry["split"] or entry["lumped"]) and np.array_equal(start, centers)
            idle = idle + 1 if unchanged else 0
            if idle == 2:  # an odd and an even iteration in a row: all others would repeat them
                break
        self.cluster_centers_ = centers + origin
        self.labels_ = _nearest(X, self.cluster_centers_)
        self.n_iter_ = len(self.history_)
        return self

    def predict(self, X: ArrayLike) -> NDArray:
        """Index, (n_samples,) of int32, of the final centre nearest to each of the samples X, (n_samples, n_features)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], order="C", reset=False)
        return _nearest(X, self.cluster_centers_)

    def _limits(self, X: NDArray, origin: NDArray) -> _Limits:
        everybody, only, zero = np.zeros(len(X), dtype=np.int32), np.zeros(1, dtype=np.int64), np.zeros((1, len(origin)))
        stds = np.sqrt(_scatter(X, origin, everybody, only, zero)[0][0] / len(X))
        spread = float(np.sqrt(stds @ stds))
        if not np.isfinite(spread):
            raise ValueError("X has values too large to be squared; divide it by a constant.")
        max_std = 0.5 * float(stds.max()) if self.max_std is None else self.max_std
        min_distance = 0.25 * spread if self.min_distance is None else self.min_distance
        return _Limits(max_std, min_distance, _TIE * spread)

    def _starting_centers(self, X: NDArray) -> NDArray:
        if not isinstance(self.init, (str, Integral)):
            centers = check_array(self.init, dtype=np.float64, input_name="init")
            if centers.shape[1] != X.shape[1]:
                raise ValueError(f"init has {centers.shape[1]} columns but X has {X.shape[1]}; give it as many.")
            return centers
        count = self.n_clusters if self.init == "random" else self.init
        distinct: dict[bytes, int] = {}
        for i in check_random_state(self.random_state).permutation(len(X)):
            distinct.setdefault((X[i] + 0.0).tobytes(), i)  # + 0.0: -0.0 is the same value in other bytes
            if len(distinct) == count:
                break
        return X[list(distinct.values())]

    def _iterate(
        self, X: NDArray, origin: NDArray, limits: _Limits, start: NDArray, iteration: int
    ) -> tuple[NDArray, dict[str, Any]]:
        """Steps 2 to 14: the centres after them, and the entry in the history."""
        labels, all_sizes, sums = _assign(X, origin, start)  # step 2
        kept = all_sizes >= self.min_samples  # step 3
        kept[np.argmax(all_sizes)] = True  # the largest stays where all would go, and elsewhere anyway
        sizes, centers = all_sizes[kept], sums[kept] / all_sizes[kept, None]  # step 4
        entry: dict[str, Any] = {"iteration": iteration, "start": start, "sizes": all_sizes}
        entry |= {"discarded": np.flatnonzero(~kept).tolist(), "moved": centers}
        entry |= dict.fromkeys(("mean_distances", "mean_distance", "stds", "max_stds"))
        entry |= {"split": [], "considered": [], "lumped": []}
        if iteration < self.max_iter:  # step 7 (a)
            few = 2 * len(centers) <= self.n_clusters  # step 7 (b)
            if few or (iteration % 2 == 1 and len(centers) < 2 * self.n_clusters):  # step 7 (c)
                place = np.where(kept, np.cumsum(kept) - 1, -1)
                squares, distances = _scatter(X, origin, labels, place, centers)
                centers = self._split(limits, centers, sizes, squares, distances, entry)
            if not entry["split"]:
                centers = self._lump(limits, centers, sizes, entry)
        entry["centers"] = centers
        return centers, entry

    def _split(
        self, limits: _Limits, centers: NDArray, sizes: NDArray, squares: NDArray, distances: NDArray, entry: dict[str, Any]
    ) -> NDArray:
        """Steps 5, 6 and 8 to 10."""
        mean_distances, mean_distance = distances / sizes, distances.sum() / sizes.sum()
        stds = np.sqrt(squares / sizes[:, None])
        max_stds = stds.max(axis=1)
        columns = np.argmax(stds >= max_stds[:, None] - limits.slack, axis=1)
        loose = (mean_distances > mean_distance + limits.slack) & (sizes > 2 * (self.min_samples + 1))
        few = 2 * len(centers) <= self.n_clusters
        wide = np.flatnonzero((max_stds > limits.max_std + limits.slack) & (loose | few))
        entry |= {"mean_distances": mean_distances, "mean_distance": mean_distance, "stds": stds, "max_stds": max_stds}
        entry["split"] = wide.tolist()
        shifts = np.zeros((len(wide), centers.shape[1]))
        shifts[np.arange(len(wide)), columns[wide]] = self.split_fraction * max_stds[wide]
        halves = centers.copy()
        halves[wide] += shifts
        return np.insert(halves, wide + 1, centers[wide] - shifts, axis=0)  # each lower half follows its upper half

    def _lump(self, limits: _Limits, centers: NDArray, sizes: NDArray, entry: dict[str, Any]) -> NDArray:
        """Steps 11 to 13; the first of a pair is replaced by their mean, the second is removed."""
        first, second = np.triu_indices(len(centers), k=1)
        distances = pdist(centers)
        order = np.argsort(distances, kind="stable")
        rank = np.cumsum(np.diff(distances[order], prepend=0) > limits.slack)  # one for all that are equal
        order = order[np.lexsort((order, rank))]
        nearest = order[distances[order] < limits.min_distance - limits.slack][: self.max_merges]
        entry["considered"] = list(zip(first[nearest].tolist(), second[nearest].tolist(), strict=True))
        centers, used = centers.copy(), set()
        for i, j in entry["considered"]:
            if used.isdisjoint((i, j)):
                used |= {i, j}
                centers[i] = (sizes[i] * centers[i] + sizes[j] * centers[j]) / (sizes[i] + sizes[j])
                entry["lumped"].append((i, j))
        return np.delete(centers, [j for _, j in entry["lumped"]], axis=0)


def _nearest(X: NDArray, centers: NDArray) -> NDArray:
    origin = centers.mean(axis=0)
    return _assign(X, origin, centers - origin)[0]


def _assign(X: NDArray, origin: NDArray, centers: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Nearest centre of each sample; number and sum of the samples of each centre. Centres and sums are about origin."""
    labels, sizes, sums = np.empty(len(X), dtype=np.int32), np.zeros(len(centers), dtype=np.int64), np.zeros_like(centers)
    if X.shape[1] <= _FEW:
        _settle(X, origin, centers, np.zeros((0, 0), dtype=bool), labels, sizes, sums)
        return labels, sizes, sums
    # |x - c|^2 / 2 = |x|^2 / 2 + (|c|^2 / 2 - x c): the bracket decides, and in float32, whatever X is, it is fast but
    # wrong by at most d eps |x| |c| between two centres. Those within that of the smallest, and all ties with them, are
    # settled by direct differences in float64: the labels do not depend on the rounding of the product.
    norms, reach = np.empty(_BLOCK), np.sqrt((centers**2).sum(axis=1).max()) or 1.0
    block, weights = np.empty((_BLOCK, X.shape[1]), dtype=np.float32), (centers.T / reach).astype(np.float32)
    halves, error = ((centers / reach) ** 2).sum(axis=1) / 2, (X.shape[1] + 8) * np.finfo(np.float32).eps
    for low in range(0, len(X), _BLOCK):
        rows = X[low : low + _BLOCK]
        _shift(rows, origin, 1 / reach, block, norms)
        scores = halves - block[: len(rows)] @ weights
        limit = scores.min(axis=1) + (error * norms + _TIE * (norms + 1) ** 2)[: len(rows)]
        _settle(rows, origin, centers, scores > limit[:, None], labels[low : low + _BLOCK], sizes, sums)
    return labels, sizes, sums


@njit(cache=True, nogil=True, fastmath={"reassoc"})
def _shift(X, origin, scale, block, norms):  # noqa
    n_samples, n_features = X.shape
    for i in range(n_samples):
        square = 0.0
        for f in range(n_features):
            x = (X[i, f] - origin[f]) * scale
            block[i, f] = x
            square += x * x
        norms[i] = np.sqrt(square)


@njit(cache=True, nogil=True, fastmath={"reassoc"})
def _settle(X, origin, centers, excluded, labels, sizes, sums):
    """Assign the samples to their nearest centres that are not excluded; count and add them."""
    x = np.empty(X.shape[1])
    for i in range(len(X)):
        for f in range(len(x)):
            x[f] = X[i, f] - origin[f]
        label, bound = 0, np.inf
        for j in range(len(centers)):
            if len(excluded) and excluded[i, j]:
                continue
            square = 0.0
            for f in range(len(x)):
                square += (x[f] - centers[j, f]) ** 2
            if square < bound:
                label, bound = j, square * (1 - _TIE)
        labels[i] = label
        sizes[label] += 1
        for f in range(len(x)):
            sums[label, f] += x[f]


@njit(cache=True, nogil=True, fastmath={"reassoc"})
def _scatter(X, origin, labels, place, centers):
    """Sums of squared deviations, per column, and of distances of the samples to the centre in the place of their label."""
    squares, distances = np.zeros_like(centers), np.zeros(len(centers))
    for i in range(len(X)):
        j = place[labels[i]]
        if j >= 0:
            total = 0.0
            for f in range(X.shape[1]):
                square = (X[i, f] - origin[f] - centers[j, f]) ** 2
                squares[j, f] += square
                total += square
            distances[j] += np.sqrt(total)
    return squares, distances
