"""Neural networks as scikit-learn estimators, and what they cost in parameters."""

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils import gen_batches
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from errref import exact

Floats = NDArray[np.float64]
Weights = tuple[Floats, Floats, Floats, float]


class ReluRegressor(RegressorMixin, BaseEstimator):
    """A one-hidden-layer ReLU network, trained by full-batch Adam on the mean squared error in float64.

    Parameters
    ----------
    hidden : int, default 10
        Number H of hidden units.
    steps : int, default 20_000
        Number of steps; 0 keeps the starting weights.
    learning_rate : float, default 1e-4
        Step size of Adam (Kingma and Ba 2015), with the defaults of torch.optim.Adam otherwise.
    init : "torch", or four arrays, default "torch"
        Starting weights. "torch" draws them as torch.nn.Linear does: uniformly within 1 / sqrt(number of inputs of the
        layer). Otherwise hidden weights (H, d), hidden biases (H,), output weights (H,) and output bias, in this order, or as
        a mapping with the keys "hidden_weights", "hidden_biases", "output_weights", "output_bias".
    engine : {"exact", "torch"}, default "exact"
        "exact" takes X of one column and needs no torch (see `errref.exact`); "torch" is the plain loop, for any number of
        columns. Both start at the same weights, and take the same steps up to rounding.
    random_state : None, int or numpy.random.Generator, default None
        Seed of the starting weights.

    Attributes
    ----------
    hidden_weights_ : ndarray of shape (H, d)
    hidden_biases_, output_weights_ : ndarray of shape (H,)
    output_bias_ : float
    loss_curve_ : ndarray of shape (steps + 1,)
        Training loss before each step and, last, of the fitted network. With engine="exact", all but the last are rounded at
        about 1e-16 of the mean of y^2.
    n_parameters_ : int
        Number of trained numbers, H (d + 2) + 1.
    n_iter_ : int
        Number of steps taken.
    n_features_in_ : int
        Number d of columns of X.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> ReluRegressor(hidden=4, learning_rate=1e-2, random_state=0).fit(X, abs(X[:, 0])).n_parameters_
    13
    """

    def __init__(
        self,
        hidden: int = 10,
        steps: int = 20_000,
        learning_rate: float = 1e-4,
        init: Any = "torch",
        engine: str = "exact",
        random_state: Any = None,
    ) -> None:
        self.hidden = hidden
        self.steps = steps
        self.learning_rate = learning_rate
        self.init = init
        self.engine = engine
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> "ReluRegressor":
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Inputs; d = 1 for engine="exact".
        y : array-like of shape (n,)
            Targets.
        sample_weight : array-like of shape (n,), default None
            Non-negative weights of the squared residuals; None means equal weights.

        Returns
        -------
        self : ReluRegressor

        Raises
        ------
        ValueError
            For a parameter out of its range, or data that are not finite numbers of these shapes.
        FloatingPointError
            If training diverges.
        """
        self._check_parameters()
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        y = y.astype(np.float64)
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        if self.engine == "exact" and X.shape[1] != 1:
            raise ValueError(f"engine='exact' takes one column and X has {X.shape[1]}; use engine='torch'.")
        weights = self._starting_weights(X.shape[1])
        train = _train_exactly if self.engine == "exact" else _train_with_torch
        # Numbers that overflow are reported below, once.
        with np.errstate(over="ignore", invalid="ignore"):
            weights, losses = train(X, y, weight, weights, self.steps, self.learning_rate)
            self.hidden_weights_, self.hidden_biases_, self.output_weights_, self.output_bias_ = weights
            losses[-1] = np.average((self.predict(X) - y) ** 2, weights=weight)
        if not np.isfinite(losses).all():
            raise FloatingPointError(f"Training diverged with learning_rate={self.learning_rate}; lower it.")
        self.loss_curve_ = losses
        self.n_parameters_ = self.hidden * (X.shape[1] + 2) + 1
        self.n_iter_ = self.steps
        return self

    def predict(self, X: ArrayLike) -> Floats:
        """Evaluate the network.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Inputs.

        Returns
        -------
        ndarray of shape (n,)
            Outputs, in units of y.
        """
        check_is_fitted(self, "hidden_weights_")
        X = validate_data(self, X, dtype=np.float64, reset=False)
        outputs = np.empty(len(X))
        for batch in gen_batches(len(X), max(1, 2**20 // len(self.hidden_weights_))):  # of 8 MiB of activations
            active = np.maximum(X[batch] @ self.hidden_weights_.T + self.hidden_biases_, 0)
            outputs[batch] = active @ self.output_weights_ + self.output_bias_
        return outputs

    def to_torch(self) -> Any:
        """Return the network as a float64 torch.nn.Sequential of Linear, ReLU and Linear."""
        check_is_fitted(self, "hidden_weights_")
        return _as_torch(self.hidden_weights_, self.hidden_biases_, self.output_weights_, self.output_bias_)

    def _check_parameters(self) -> None:
        for name, least in (("hidden", 1), ("steps", 0)):
            value = getattr(self, name)
            if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}.")
        rate = self.learning_rate
        if not isinstance(rate, Real) or isinstance(rate, bool) or not 0 < rate < np.inf:
            raise ValueError(f"learning_rate must be a positive number, got {rate!r}.")
        if self.engine not in ("exact", "torch"):
            raise ValueError(f"engine must be 'exact' or 'torch', got {self.engine!r}.")

    def _starting_weights(self, d: int) -> Weights:
        H = self.hidden
        if isinstance(self.init, str):
            if self.init != "torch":
                raise ValueError(f"init must be 'torch' or four arrays of starting weights, got {self.init!r}.")
            rng = np.random.default_rng(self.random_state)
            inner, outer = 1 / np.sqrt(d), 1 / np.sqrt(H)
            return (
                rng.uniform(-inner, inner, (H, d)),
                rng.uniform(-inner, inner, H),
                rng.uniform(-outer, outer, H),
                rng.uniform(-outer, outer),
            )
        shapes = {"hidden_weights": (H, d), "hidden_biases": (H,), "output_weights": (H,), "output_bias": ()}
        given = self.init
        if isinstance(given, Mapping):
            if set(given) != set(shapes):
                raise ValueError(f"init must have the keys {', '.join(shapes)}, got {', '.join(map(str, given))}.")
            given = [given[name] for name in shapes]
        if not isinstance(given, (tuple, list)) or len(given) != len(shapes):
            raise ValueError(f"init must be 'torch' or four arrays: {', '.join(shapes)}.")
        w, b, v, c = (_as_array(name, values, shapes[name]) for name, values in zip(shapes, given, strict=True))
        return w, b, v, float(c)


def _as_array(name: str, values: ArrayLike, shape: tuple[int, ...]) -> Floats:
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"init needs numbers for {name}, in an array of shape {shape}.") from error
    if array.shape != shape:
        raise ValueError(f"init needs {name} of shape {shape}, got shape {array.shape}.")
    if not np.isfinite(array).all():
        raise ValueError(f"init needs finite {name}, got a NaN or an infinity.")
    return array


def _train_exactly(
    X: Floats, y: Floats, sample_weight: Floats, weights: Weights, steps: int, learning_rate: float
) -> tuple[Weights, Floats]:
    H = len(weights[1])
    samples = exact.prepare(X[:, 0], y, sample_weight)
    flat, losses = exact.train(samples, np.concatenate([np.ravel(part) for part in weights]), steps, learning_rate)
    return (flat[:H].reshape(-1, 1), flat[H : 2 * H], flat[2 * H : 3 * H], float(flat[3 * H])), losses


def _train_with_torch(
    X: Floats, y: Floats, sample_weight: Floats, weights: Weights, steps: int, learning_rate: float
) -> tuple[Weights, Floats]:
    """Train by the plain loop that the exact engine stands for."""
    network = _as_torch(*weights)
    import torch

    inputs, targets = torch.tensor(X), torch.tensor(y)
    shares = torch.tensor(sample_weight / sample_weight.sum())
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    losses = np.empty(steps + 1)
    for step in range(steps):
        optimizer.zero_grad()
        loss = shares @ (network(inputs).squeeze(1) - targets) ** 2
        loss.backward()
        optimizer.step()
        losses[step] = loss.item()
    hidden_weights, hidden_biases, output_weights, output_bias = (p.detach().numpy() for p in network.parameters())
    return (hidden_weights, hidden_biases, output_weights[0], float(output_bias[0])), losses


def _as_torch(hidden_weights: Floats, hidden_biases: Floats, output_weights: Floats, output_bias: float) -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError("This needs torch; install it with `pip install errref[torch]`.") from error
    H, d = hidden_weights.shape
    network = torch.nn.Sequential(torch.nn.Linear(d, H), torch.nn.ReLU(), torch.nn.Linear(H, 1)).double()
    values = hidden_weights, hidden_biases, output_weights[np.newaxis], np.array([output_bias])
    with torch.no_grad():
        for parameter, value in zip(network.parameters(), values, strict=True):
            parameter.copy_(torch.tensor(value))
    return network


def count_parameters(estimator: Any) -> int:
    """Count the numbers that a fitted estimator has learnt.

    Parameters
    ----------
    estimator : fitted estimator
        With `n_parameters_` (taken as it is), with `coefs_` and `intercepts_` (multilayer perceptrons) or `coef_` and
        `intercept_` (linear models); a dummy (1); a nearest-neighbour model, whose numbers are stored values of X and y rather
        than trained ones; or a pipeline: the sum over its steps, a transformer without parameters counting 0.

    Returns
    -------
    int
        Number of parameters.

    Raises
    ------
    TypeError
        If the estimator is of none of these kinds, or not fitted.
    """
    if hasattr(estimator, "n_parameters_"):
        return int(estimator.n_parameters_)
    if isinstance(estimator, Pipeline):
        return count_parameters(estimator[-1]) + sum(_count_in_transformer(step) for step in estimator[:-1])
    if isinstance(estimator, (DummyClassifier, DummyRegressor)):
        return 1
    if isinstance(estimator, (KNeighborsClassifier, KNeighborsRegressor)) and hasattr(estimator, "n_samples_fit_"):
        return int(estimator.n_samples_fit_ * estimator.n_features_in_ + estimator._y.size)
    if hasattr(estimator, "coefs_"):
        return sum(part.size for part in [*estimator.coefs_, *estimator.intercepts_])
    if hasattr(estimator, "coef_"):
        trained = getattr(estimator, "fit_intercept", True)
        return int(np.size(estimator.coef_) + (np.size(estimator.intercept_) if trained else 0))
    raise TypeError(f"Cannot count the parameters of {estimator!r}: it is not fitted, or keeps them where nobody looks.")


def _count_in_transformer(step: Any) -> int:
    try:
        return count_parameters(step)
    except TypeError:
        return 0
