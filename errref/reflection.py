"""The method of L. Gao (2018), "Escape the local minima by error reflection", for any scikit-learn estimators."""

import warnings
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import pairwise_distances_argmin
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils import _safe_indexing, check_array, check_random_state, column_or_1d, get_tags, indexable
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from errref.isodata import Isodata
from errref.parts import answer, as_array, check_labels, filled, folds, has_proba, part, targets


class _ErrorReflection(MetaEstimatorMixin, BaseEstimator):
    """A general network, an expert for each cluster of its error cases, a gate (Gao 2018, section 4.1, figure 2).

    Parameters
    ----------
    estimator : estimator, default=None
        The general network. None is scikit-learn's MLP. A trained one is passed as a `FrozenEstimator`.
    expert : estimator or callable, default=None
        Cloned for each cluster. None is ``estimator``; a callable gets the number of clusters, returns an estimator.
    clusterer : clusterer, default=None
        Splits the error cases by ``fit_predict`` (a `FrozenEstimator` by ``predict``). None is `Isodata()`.
    gate : classifier, default=None
        Learns ``routes_``. None is ``KNeighborsClassifier(1)``.
    errors : None, float, bool array of shape (n,) or callable, default=None
        The error cases: a mask, or ``errors(y, prediction)`` that returns one. None is a classifier's wrong answers. A
        regressor takes the share with the largest absolute residuals, too: None is 0.5, the number is rounded, ties
        with the last are in, NaN is the largest residual, and 0 is never an error.
    space : {"input", "output", "both"} or callable, default="input"
        What is clustered: inputs (flattened), targets (labels one-hot), both side by side, or ``space(general, X, y)``
        of shape (n, d), which gets error cases only.
    cv : int, splitter, iterable or None, default=None
        None looks for error cases in the answers on the training data; else in those of `cross_val_predict`.
    random_state : int, RandomState or None, default=None
        Every ``random_state`` of the general network is set to this seed, so that it equals a plain clone; those of the
        other parts get seeds spawned from it. With None, each part keeps its own.

    Attributes
    ----------
    general_, gate_ : fitted estimators
    experts_ : list of K fitted estimators
    clusterer_ : fitted clusterer, or None where the error cases were too few for it
    errors_ : bool array of shape (n,)
        The error cases.
    labels_ : int array of shape (n_errors,)
        Their clusters: 0 to K - 1, none empty; -1 is noise.
    centroids_ : array of shape (K, d)
        Means of the clusters in ``space``.
    routes_ : int array of shape (n,)
        What the gate learns: 0 for the general network, k for expert k.
    threshold_ : float
        The smallest residual that is an error, where ``errors`` is a share (regressor).
    classes_ : array of shape (C,)
        All labels that y has or the general network knows (classifier).
    summary_ : dict
        ``n_samples``, ``n_errors``, ``n_noise``, ``sizes`` (K ints) and ``constant`` (K bools).

    Notes
    -----
    X is measured and indexed, never converted: the parts decide what they take, and only ``space`` needs dense numbers.
    No error case: the general network alone answers. Noise: stays with the general network. One error case, or fewer
    than the clusterer's ``n_clusters`` or ``n_components``: one cluster. A cluster with one target, or one on which its
    expert cannot be trained (a warning; if none can be, nor ``expert`` on all of X, its error): a constant expert, mean
    or majority. One route: a constant gate.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
    >>> X, y = load_iris(return_X_y=True)
    >>> tree = DecisionTreeClassifier(max_depth=1)
    >>> model = ErrorReflectionClassifier(tree, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > model.general_.score(X, y))
    True
    >>> X, y, tree = X[:, 1:], X[:, 0], DecisionTreeRegressor(max_depth=1)
    >>> model = ErrorReflectionRegressor(tree, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > model.general_.score(X, y))
    True
    """

    def __init__(
        self,
        estimator=None,
        *,
        expert=None,
        clusterer=None,
        gate=None,
        errors=None,
        space="input",
        cv=None,
        random_state=None,
    ):
        self.estimator, self.expert, self.clusterer, self.gate = estimator, expert, clusterer, gate
        self.errors, self.space, self.cv, self.random_state = errors, space, cv, random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = get_tags(part(self.estimator, self._default, None)).input_tags.allow_nan
        return tags

    def fit(self, X, y) -> Self:
        """Train the general network on X (n, ...) and y (n,), cluster its error cases, train experts and gate.

        Raises
        ------
        ValueError
            If a setting does not go with the data or with another; the sentence says which, and what would.
        """
        X, y, seed = self._prepare(X, y)
        self.general_, prediction = self._fit_general(X, y, seed)
        self._learn(y, prediction)
        self.errors_ = self._judge(y, prediction)
        wrong = np.flatnonzero(self.errors_)
        points = self._points(_safe_indexing(X, wrong), y[wrong])
        self.clusterer_, self.labels_ = self._fit_clusterer(points, seed)
        self.centroids_ = np.array([points[self.labels_ == k].mean(axis=0) for k in np.unique(self.labels_) if k >= 0])
        self.routes_ = np.zeros(len(y), dtype=int)
        self.routes_[wrong] = 1 + self.labels_
        self.experts_ = self._fit_experts(X, y, seed)
        gate = DummyClassifier() if np.all(self.routes_ == self.routes_[0]) else self.gate
        self.networks_ = [self.general_, *self.experts_]
        self.gate_ = part(gate, KNeighborsClassifier(1), seed, key=1).fit(X, self.routes_)
        constant = [isinstance(expert, type(self._constant)) for expert in self.experts_]
        counts = {"n_samples": len(y), "n_errors": len(wrong), "n_noise": int(np.sum(self.labels_ < 0))}
        self.summary_ = {**counts, "sizes": np.bincount(self.routes_)[1:].tolist(), "constant": constant}
        return self

    def predict(self, X) -> np.ndarray:
        """Return the answer of the network that the gate chooses; shape (n,)."""
        return self._routed(X, answer)

    def predict_each(self, X) -> np.ndarray:
        """Return the answers of every network, the general network's in column 0; shape (n, 1 + K)."""
        check_is_fitted(self, "gate_")
        return np.stack([answer(network, X) for network in self.networks_], axis=1)

    def route(self, X) -> np.ndarray:
        """Return which network answers: 0 for the general network, k for expert k; shape (n,)."""
        check_is_fitted(self, "gate_")
        return answer(self.gate_, X)

    def assign(self, X, y) -> np.ndarray:
        """Return the route of one who knows y: 0 where the general network is right, else 1 + the nearest centroid.

        Right is what ``errors`` calls right (a mask knows the training samples only), and centroids are ``centroids_``.
        """
        check_is_fitted(self, "gate_")
        X, y = indexable(X, self._check_y(y))
        wrong = np.flatnonzero(self._judge(y, answer(self.general_, X)))
        routes = np.zeros(len(y), dtype=int)
        if len(wrong) and self.experts_:
            points = self._points(_safe_indexing(X, wrong), y[wrong])
            routes[wrong] = 1 + pairwise_distances_argmin(points, self.centroids_)
        return routes

    def _routed(self, X, ask) -> np.ndarray:
        (X,), routes = indexable(filled(X)), self.route(X)
        parts = [ask(self.networks_[k], _safe_indexing(X, np.flatnonzero(routes == k))) for k in np.unique(routes)]
        return np.concatenate(parts)[np.argsort(np.argsort(routes, kind="stable"))]

    def _prepare(self, X, y) -> tuple[Any, np.ndarray, int | None]:
        """Refuse what cannot work before anything is trained; return X, y in one dimension, and the seed."""
        validate_data(self, filled(X), y, skip_check_array=True)
        X, y = indexable(X, self._check_y(y))
        if not callable(self.space) and str(self.space) not in ("input", "output", "both"):
            raise ValueError(f"space={self.space!r} is none of 'input', 'output', 'both' and callable(general, X, y).")
        if self.space in ("input", "both"):
            check_array(_safe_indexing(X, slice(0, 1)), allow_nd=True, ensure_all_finite=False, input_name="space")
        if isinstance(self.errors, Real) and (self._classifies or not 0 < float(self.errors) <= 1):
            raise ValueError(f"errors={self.errors!r} is no share in (0, 1] of a regressor's training samples.")
        if not (self.errors is None or isinstance(self.errors, Real) or callable(self.errors)):
            self._judge(y, y)
        known = isinstance(self.random_state, Integral | None)
        return X, y, self.random_state if known else check_random_state(self.random_state).randint(2**31 - 1)

    def _fit_general(self, X, y: np.ndarray, seed: int | None) -> tuple[Any, np.ndarray]:
        """Train the general network; return it, and the answers in which its error cases are sought."""
        general = part(self.estimator, self._default, seed)
        if self.cv is None:
            return general.fit(X, y), answer(general, X)
        if any(isinstance(each, FrozenEstimator) for each in (general, *general.get_params().values())):
            raise ValueError("With cv the general network is trained on each fold, and a FrozenEstimator cannot be.")
        return general.fit(X, y), column_or_1d(cross_val_predict(general, X, y, cv=folds(self.cv, len(y))))

    def _check_y(self, y) -> np.ndarray:
        y = column_or_1d(y, warn=True)
        if self._classifies:
            check_labels(y)
        return y if self._classifies else targets(y)

    def _learn(self, y: np.ndarray, prediction: np.ndarray) -> None:
        if self._classifies:
            self.classes_ = unique_labels(self.general_.classes_, y)
        share = self.errors if isinstance(self.errors, Real) else 1 if self._classifies else 0.5
        self.threshold_ = np.sort(self._residuals(y, prediction))[-max(1, round(float(share) * len(y)))]

    def _residuals(self, y: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Return absolute residuals, or whether answers are wrong."""
        if self._classifies:
            return (y != prediction).astype(int)
        return np.nan_to_num(np.abs(np.subtract(y, prediction, dtype=float)), nan=np.inf, posinf=np.inf)

    def _judge(self, y: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Return the mask of the error cases."""
        if self.errors is None or isinstance(self.errors, Real):
            residuals = self._residuals(y, prediction)
            return (residuals >= self.threshold_) & (residuals > 0)
        mask = as_array(self.errors(y, prediction) if callable(self.errors) else self.errors, "errors")
        if mask.shape != y.shape or mask.dtype != bool:
            need = f"a boolean for each of {len(y)} samples: only a callable(y, prediction) can judge others"
            raise ValueError(f"errors has shape {mask.shape} and type {mask.dtype}, and needs {need}.")
        return mask

    def _points(self, X, y: np.ndarray) -> np.ndarray:
        """Place samples in the space that is clustered; return shape (n, d)."""
        outputs = (y[:, None] == self.classes_).astype(float) if self._classifies else y[:, None]
        if self.space == "output" or len(y) == 0:
            return outputs
        points = self.space(self.general_, X, y) if callable(self.space) else X
        points = check_array(points, allow_nd=True, ensure_all_finite=False, input_name="space")
        check_consistent_length(points, y)
        points = points.reshape(len(y), -1)
        return np.hstack([points, outputs]) if self.space == "both" else points

    def _fit_clusterer(self, points: np.ndarray, seed: int | None) -> tuple[Any, np.ndarray]:
        """Cluster the error cases; return the clusterer, or None if they are too few for it, and the labels."""
        clusterer = part(self.clusterer, Isodata(), seed, key=0)
        wanted = [v for k, v in clusterer.get_params().items() if k.endswith(("n_clusters", "n_components"))]
        if len(points) < max([2, *(int(v) for v in wanted if isinstance(v, Integral))]):
            return None, np.zeros(len(points), dtype=int)
        frozen = isinstance(clusterer, FrozenEstimator)
        labels = np.asarray(clusterer.predict(points) if frozen else clusterer.fit_predict(points))
        return clusterer, np.where(labels < 0, -1, np.searchsorted(np.unique(labels[labels >= 0]), labels))

    def _fit_experts(self, X, y: np.ndarray, seed: int | None) -> list[Any]:
        """Train an expert on each cluster; a constant stands in where that is impossible."""
        default = self.general_.estimator if isinstance(self.general_, FrozenEstimator) else self.general_
        n_clusters = len(self.centroids_)
        template = self.expert if n_clusters else None
        if callable(template) and not hasattr(template, "fit"):
            template = template(n_clusters)
        template = part(template, default, seed)
        experts, failed = [], False
        for k in range(n_clusters):
            mine = np.flatnonzero(self.routes_ == 1 + k)
            X_k, y_k = _safe_indexing(X, mine), y[mine]
            constant = clone(self._constant).fit(X_k, y_k)
            try:
                expert = constant if np.all(y_k == y_k[0]) else part(template, default, seed, key=2 + k).fit(X_k, y_k)
                expert.predict(_safe_indexing(X_k, [0]))  # some learn only now that they saw too few samples
            except Exception as error:
                expert, failed = constant, True
                reason = f"its {len(mine)} error cases cannot train it ({type(error).__name__}: {error})"
                warnings.warn(f"Expert {k + 1} is a constant: {reason}.", stacklevel=3)
            experts.append(expert)
        if failed and self.expert is not None and all(isinstance(e, type(self._constant)) for e in experts):
            template.fit(X, y).predict(X)  # raises if the expert is at fault, not the clusters
        return experts


class ErrorReflectionRegressor(RegressorMixin, _ErrorReflection):  # noqa: D101 (both estimators share one docstring)
    __doc__ = _ErrorReflection.__doc__
    _default, _constant, _classifies = MLPRegressor(max_iter=1000), DummyRegressor(), False


class ErrorReflectionClassifier(ClassifierMixin, _ErrorReflection):  # noqa: D101 (both estimators share one docstring)
    __doc__ = _ErrorReflection.__doc__
    _default, _constant, _classifies = MLPClassifier(max_iter=1000), DummyClassifier(), True

    @available_if(has_proba)
    def predict_proba(self, X) -> np.ndarray:
        """Return the probabilities of the network that the gate chooses; shape (n, C), columns as ``classes_``."""
        return self._routed(X, self._proba)

    @available_if(has_proba)
    def predict_proba_each(self, X) -> np.ndarray:
        """Return the probabilities of every network; shape (n, 1 + K, C), the last axis as ``classes_``."""
        check_is_fitted(self, "gate_")
        return np.stack([self._proba(network, X) for network in self.networks_], axis=1)

    def _proba(self, network, X) -> np.ndarray:
        """Give a network's probabilities a column for every class, 0 for those it never saw."""
        known = network.predict_proba(X)
        full = np.zeros((len(known), len(self.classes_)))
        full[:, np.searchsorted(self.classes_, network.classes_)] = known
        return full
