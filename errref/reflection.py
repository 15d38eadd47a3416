"""Error reflection (Gao 2018, section 4.1, figure 2), written once, for any scikit-learn estimators.

A general network is trained; its error cases are collected and clustered; one expert (the paper's *error network*) is
trained per cluster; a gate (the paper's *classifier*) decides which network answers.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import pairwise_distances_argmin
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils import _safe_indexing, check_array, column_or_1d, indexable
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _num_samples, check_is_fitted, validate_data

from errref.isodata import Isodata

Array = np.ndarray
SPACES = ("input", "output", "both")


class _ErrorReflection(MetaEstimatorMixin, BaseEstimator):
    """What regression and classification share: everything but the meaning of an error and of an output."""

    _constant: Callable[[], Any]

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
        self.estimator = estimator
        self.expert = expert
        self.clusterer = clusterer
        self.gate = gate
        self.errors = errors
        self.space = space
        self.cv = cv
        self.random_state = random_state

    def fit(self, X, y):
        """Train the general network, find and cluster its error cases, train the experts and the gate.

        Parameters
        ----------
        X : array-like of shape (n, ...)
            Inputs. They are measured and indexed, never converted; the parts validate them.
        y : array-like of shape (n,)
            Targets.

        Returns
        -------
        self
        """
        X, y = indexable(X, self._check_y(y))
        validate_data(self, X, skip_check_array=True)
        self._check_settings()
        seed = self._own_seed()

        self.general_, prediction = self._fit_general(X, y, seed)
        self.errors_ = self._find_errors(y, prediction)
        wrong = np.flatnonzero(self.errors_)
        points = self._points(_safe_indexing(X, wrong), y[wrong]) if len(wrong) else np.empty((0, 1))
        self.labels_ = self._cluster(points, _spawn(seed, 0))
        self.centroids_ = np.array([points[self.labels_ == k].mean(axis=0) for k in range(self.labels_.max(initial=-1) + 1)])
        self.routes_ = np.zeros(len(y), dtype=int)
        self.routes_[wrong] = 1 + self.labels_
        self.experts_ = self._fit_experts(X, y, seed)
        self.gate_ = self._fit_gate(X, _spawn(seed, 1))
        self.summary_ = self._summarise()
        return self

    def _fit_general(self, X, y, seed):
        """The general network, and the answers in which its error cases are sought (out of fold with ``cv``)."""
        estimator = self._default_estimator() if self.estimator is None else self.estimator
        if self.cv is not None and isinstance(estimator, FrozenEstimator):
            raise ValueError("cv needs a general network that can be trained on each fold, and a FrozenEstimator cannot: set cv=None, or pass the unfrozen estimator.")
        general = _seeded(estimator, seed)
        prediction = None if self.cv is None else cross_val_predict(_seeded(estimator, seed), X, y, cv=self.cv)
        general.fit(X, y)
        self._learn_outputs(general, y)
        return general, general.predict(X) if prediction is None else prediction

    def _cluster(self, points: Array, seed: int | None) -> Array:
        """Cluster numbers 0..K-1 of the error cases; -1 is noise. Too few cases for the clusterer are one cluster."""
        clusterer = _seeded(Isodata() if self.clusterer is None else self.clusterer, seed)
        sizes = [v for k, v in clusterer.get_params().items() if k.split("__")[-1] in ("n_clusters", "n_components")]
        if len(points) < max([1, *(v for v in sizes if isinstance(v, Integral))]):
            self.clusterer_ = None
            return np.zeros(len(points), dtype=int)
        self.clusterer_ = clusterer
        labels = np.asarray(clusterer.fit_predict(points))
        kept = np.unique(labels[labels >= 0])
        return np.where(labels >= 0, np.searchsorted(kept, labels), -1)

    def _fit_experts(self, X, y, seed) -> list:
        n_clusters = len(self.centroids_)
        template = self._expert_template(n_clusters) if n_clusters else None
        experts, refusals = [], []
        for k in range(n_clusters):
            mine = np.flatnonzero(self.routes_ == 1 + k)
            X_k, y_k = _safe_indexing(X, mine), y[mine]
            expert = self._constant() if np.all(y_k == y_k[0]) else _seeded(template, _spawn(seed, 2 + k))
            try:
                experts.append(expert.fit(X_k, y_k))
            except InvalidParameterError:
                raise
            except ValueError as refusal:
                refusals.append(refusal)
                warnings.warn(
                    f"Expert {k + 1} cannot be trained on its {len(mine)} error cases ({refusal}) and answers with a "
                    "constant. A clusterer with larger or fewer clusters avoids this.",
                    stacklevel=3,
                )
                experts.append(self._constant().fit(X_k, y_k))
        if refusals and len(refusals) == n_clusters:  # the fault is not the size of one cluster
            raise refusals[-1]
        return experts

    def _expert_template(self, n_clusters: int):
        if self.expert is None:
            estimator = self._default_estimator() if self.estimator is None else self.estimator
            return estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator
        return self.expert(n_clusters) if callable(self.expert) else self.expert

    def _fit_gate(self, X, seed):
        if len(np.unique(self.routes_)) == 1:  # one network answers everything: there is nothing to decide
            return DummyClassifier(strategy="most_frequent").fit(np.zeros((len(self.routes_), 1)), self.routes_)
        return _seeded(KNeighborsClassifier(1) if self.gate is None else self.gate, seed).fit(X, self.routes_)

    def predict_each(self, X) -> Array:
        """What every network answers: general network in column 0, expert k in column k; shape (n, 1 + K)."""
        return np.stack([network.predict(X) for network in self.networks_], axis=1)

    def _summarise(self) -> dict[str, Any]:
        sizes = [int(np.sum(self.labels_ == k)) for k in range(len(self.experts_))]
        return {
            "n_samples": len(self.routes_),
            "n_errors": int(self.errors_.sum()),
            "n_noise": int(np.sum(self.labels_ < 0)),
            "sizes": sizes,
            "constant": [isinstance(e, DummyClassifier | DummyRegressor) for e in self.experts_],
        }

    def _points(self, X, y) -> Array:
        """The samples in the space that is clustered: shape (n, d)."""
        if callable(self.space):
            return np.asarray(self.space(self.general_, X, y))
        outputs = self._outputs(y)
        if self.space == "output":
            return outputs
        inputs = np.asarray(X)
        return inputs if self.space == "input" else np.hstack([inputs, outputs])

    def _check_settings(self) -> None:
        if not callable(self.space) and self.space not in SPACES:
            raise ValueError(f"space={self.space!r} is not one of {', '.join(map(repr, SPACES))}, nor a callable(general, X, y).")

    def _own_seed(self) -> int | None:
        if self.random_state is None or isinstance(self.random_state, Integral):
            return self.random_state
        return int(self.random_state.randint(2**31 - 1))

    @property
    def networks_(self) -> list:
        """General network and experts, in the order of the routes."""
        check_is_fitted(self, "gate_")
        return [self.general_, *self.experts_]

    def route(self, X) -> Array:
        """Which network answers: 0 for the general network, k for expert k; shape (n,)."""
        check_is_fitted(self, "gate_")
        validate_data(self, X, reset=False, skip_check_array=True)
        if isinstance(self.gate_, DummyClassifier) and len(self.gate_.classes_) == 1:
            return np.full(_num_samples(X), self.gate_.classes_[0])
        return self.gate_.predict(X)

    def assign(self, X, y) -> Array:
        """The route that the truth would choose: 0 where the general network is right, else 1 + nearest centroid.

        Centroids are the training means of the clusters in ``space``. Shape (n,).
        """
        check_is_fitted(self, "gate_")
        y = self._check_y(y)
        wrong = np.flatnonzero(self._is_error(y, self.general_.predict(X)))
        routes = np.zeros(len(y), dtype=int)
        if len(wrong) and len(self.centroids_):
            points = self._points(_safe_indexing(X, wrong), y[wrong])
            routes[wrong] = 1 + pairwise_distances_argmin(points, self.centroids_)
        return routes

    def _routed(self, X, answer: Callable[[Any, Any], Array]) -> Array:
        """Each sample's answer from the network that its route names."""
        networks, routes = self.networks_, self.route(X)
        result: Array | None = None
        for k in np.unique(routes):
            mine = np.flatnonzero(routes == k)
            part = answer(networks[k], _safe_indexing(X, mine))
            if result is None:
                result = np.empty((len(routes), *part.shape[1:]), dtype=part.dtype)
            result[mine] = part
        assert result is not None
        return result


def _spawn(seed: int | None, key: int) -> int | None:
    """An independent seed for one part: the general network alone keeps the model's own."""
    return None if seed is None else int(np.random.SeedSequence(seed, spawn_key=(key,)).generate_state(1)[0] >> 1)


def _seeded(estimator, seed: int | None):
    """A clone with every ``random_state`` set to the seed; the parts keep their own when the model has none."""
    copy = clone(estimator)
    if seed is not None and not isinstance(copy, FrozenEstimator):
        copy.set_params(**{k: seed for k in copy.get_params() if k.split("__")[-1] == "random_state"})
    return copy


_PARAMETERS = """Parameters
    ----------
    estimator : estimator, default=None
        The general network. None: a scikit-learn multi-layer perceptron. A `FrozenEstimator` is used as it is.
    expert : estimator or callable, default=None
        The error networks. None: clones of ``estimator``; a callable gets the number of clusters and returns one.
    clusterer : clusterer, default=None
        Splits the error cases, through ``fit_predict``; label -1 (noise) leaves a case with the general network.
        None: `Isodata()`. Fewer error cases than its ``n_clusters`` (or ``n_components``) form one cluster.
    gate : classifier, default=None
        Decides which network answers. None: the nearest training sample's network, ``KNeighborsClassifier(1)``.
    {errors}
    space : {{"input", "output", "both"}} or callable, default="input"
        What is clustered: the inputs, the targets (labels one-hot), both side by side, or ``space(general, X, y)``
        of shape (n, d).
    cv : int, splitter or None, default=None
        With it, error cases are sought among out-of-fold predictions; without, among predictions on the training data.
    random_state : int, RandomState or None, default=None
        The general network is trained with this very seed, so that it equals a plain ``clone(estimator)`` with it;
        clusterer, gate and experts get seeds spawned from it. None: every part keeps its own setting.

    Attributes
    ----------
    general_, experts_, gate_, clusterer_ : fitted parts; ``clusterer_`` is None where nothing was clustered
    errors_ : bool array of shape (n,), the error cases
    labels_ : int array of shape (n_errors,), the cluster of each error case, -1 for noise
    centroids_ : array of shape (K, d), mean of each cluster in ``space``
    routes_ : int array of shape (n,), what the gate was taught: 0 general network, k expert k
    summary_ : dict with ``n_samples``, ``n_errors``, ``n_noise``, ``sizes`` and ``constant`` (which experts are constants)

    Notes
    -----
    Nothing to reflect on (no error case): the general network answers alone. A cluster with one target only, or one
    that the expert cannot be trained on, gets a constant expert, and ``summary_["constant"]`` says so.

    References
    ----------
    L. Gao (2018), *Escape the local minima by error reflection*, section 4.1 and figure 2."""


class ErrorReflectionRegressor(RegressorMixin, _ErrorReflection):
    __doc__ = (
        """Error reflection for regression.

    """
        + _PARAMETERS.format(
            errors="""errors : float, bool array or callable, default=None
        Which training samples are error cases: the worst share by absolute residual (None: 0.5), a mask of shape
        (n,), or ``errors(y, prediction)`` that returns one."""
        )
        + """

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> X = np.linspace(-1, 1, 64)[:, None]
    >>> y = np.where(X[:, 0] < 0, X[:, 0], X[:, 0] + 1)
    >>> model = ErrorReflectionRegressor(DecisionTreeRegressor(max_depth=1), random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > model.general_.score(X, y))
    True
    """
    )

    _constant = DummyRegressor

    def _default_estimator(self):
        return MLPRegressor(max_iter=1000)

    def _check_y(self, y) -> Array:
        return check_array(column_or_1d(y, warn=True), ensure_2d=False, dtype="numeric", input_name="y")

    def _check_settings(self) -> None:
        super()._check_settings()
        share = self._share()
        if share is not None and not 0 < share <= 1:
            raise ValueError(f"errors={self.errors!r} is a share of the training samples: give a number in (0, 1], a mask or a callable.")

    def _share(self) -> float | None:
        if self.errors is None:
            return 0.5
        return float(self.errors) if isinstance(self.errors, Real) and not isinstance(self.errors, bool | np.bool_) else None

    def _find_errors(self, y: Array, prediction: Array) -> Array:
        share = self._share()
        if share is None:
            return _mask(self.errors, y, prediction)
        residual = np.abs(y - prediction)
        worst = np.argsort(-residual, kind="stable")[: max(1, round(share * len(y)))]
        self.threshold_ = float(residual[worst[-1]])
        errors = np.zeros(len(y), dtype=bool)
        errors[worst] = residual[worst] > 0  # a sample that is answered exactly is no error, whatever the share
        return errors

    def _is_error(self, y: Array, prediction: Array) -> Array:
        if self._share() is None:
            return _mask(self.errors, y, prediction)
        residual = np.abs(y - prediction)
        return (residual >= self.threshold_) & (residual > 0)

    def _learn_outputs(self, general, y) -> None:
        pass

    def _outputs(self, y: Array) -> Array:
        return y[:, None]

    def predict(self, X) -> Array:
        """The answer of the network that the gate chooses for each sample; shape (n,)."""
        return self._routed(X, lambda network, part: network.predict(part))



def _has_proba(model) -> bool:
    return hasattr(getattr(model, "general_", model.estimator) or MLPClassifier(), "predict_proba")


class ErrorReflectionClassifier(ClassifierMixin, _ErrorReflection):
    __doc__ = (
        """Error reflection for classification.

    """
        + _PARAMETERS.format(
            errors="""errors : bool array or callable, default=None
        Which training samples are error cases. None: those that the general network answers wrongly; else a mask of
        shape (n,), or ``errors(y, prediction)`` that returns one."""
        )
        + """

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = ErrorReflectionClassifier(DecisionTreeClassifier(max_depth=1), random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > model.general_.score(X, y))
    True
    """
    )

    _constant = DummyClassifier

    def _default_estimator(self):
        return MLPClassifier(max_iter=1000)

    def _check_y(self, y) -> Array:
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        return y

    def _check_settings(self) -> None:
        super()._check_settings()
        if isinstance(self.errors, Real):
            raise ValueError(f"errors={self.errors!r}: a classifier's errors are its wrong answers (None), a mask or a callable, not a share.")

    def _find_errors(self, y: Array, prediction: Array) -> Array:
        return self._is_error(y, prediction)

    def _is_error(self, y: Array, prediction: Array) -> Array:
        return y != prediction if self.errors is None else _mask(self.errors, y, prediction)

    def _learn_outputs(self, general, y) -> None:
        self.classes_ = np.union1d(general.classes_, y)

    def _outputs(self, y: Array) -> Array:
        return (y[:, None] == self.classes_).astype(float)

    def predict(self, X) -> Array:
        """The answer of the network that the gate chooses for each sample; shape (n,)."""
        codes = self._routed(X, lambda network, part: np.searchsorted(self.classes_, network.predict(part)))
        return self.classes_[codes]

    @available_if(_has_proba)
    def predict_proba(self, X) -> Array:
        """Class probabilities of the network that the gate chooses; shape (n, C), columns as ``classes_``."""
        return self._routed(X, self._proba)


    @available_if(_has_proba)
    def predict_proba_each(self, X) -> Array:
        """Class probabilities of every network; shape (n, 1 + K, C), the last axis as ``classes_``."""
        return np.stack([self._proba(network, X) for network in self.networks_], axis=1)

    def _proba(self, network, X) -> Array:
        """A network's probabilities with a column for every class, 0 for those it never saw."""
        known = network.predict_proba(X)
        full = np.zeros((len(known), len(self.classes_)))
        full[:, np.searchsorted(self.classes_, network.classes_)] = known
        return full


def _mask(errors, y: Array, prediction: Array) -> Array:
    """The error cases that a mask or a callable names, checked: a bool array of shape (n,)."""
    mask = np.asarray(errors(y, prediction) if callable(errors) else errors)
    if mask.shape != y.shape or mask.dtype != bool:
        source = "errors(y, prediction)" if callable(errors) else "errors"
        raise ValueError(f"{source} is a mask of shape {mask.shape} and type {mask.dtype}: it must be boolean, one entry for each of the {len(y)} samples.")
    return mask
