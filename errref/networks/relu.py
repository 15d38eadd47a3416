"""A one-hidden-layer ReLU network as a scikit-learn regressor."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import gen_batches
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from errref import descent, exact
from errref.checks import generator, positive, whole
from errref.networks.backend import load_torch

Floats = NDArray[np.float64]
Weights = tuple[Floats, Floats, Floats, float]  # hidden weights and biases, output weights and bias


class ReluRegressor(RegressorMixin, BaseEstimator):
    """A one-hidden-layer ReLU network, trained by Adam on the mean squared error in float64.

    Parameters
    ----------
    hidden : int, default 10
        Number H of hidden units.
    steps : int, default 20_000
        Number of steps; 0 keeps the starting weights.
    learning_rate : float, default 1e-4
        Step size of Adam (Kingma and Ba 2015), with the defaults of torch.optim.Adam otherwise.
    batch_size : int or None, default None
        Samples that a step sees, drawn anew in each epoch without replacement, so that only a batch which spans two
        epochs can hold a sample twice. None, or all samples and more: all.
    init : {"torch", "he", "spread"} or tuple, default "torch"
        Starting weights. "torch" draws them as torch.nn.Linear does: uniformly within 1 / sqrt(number of inputs of the
        layer). "he": normal with the variance 2 / number of inputs, biases 0 (He et al. 2015). "spread": as "torch" at
        the output; hidden weights 1 or -1, kinks at the midpoints of H equal parts of the range of X, which must have
        one column. A tuple holds one's own: hidden weights (H, d) and biases (H,), output weights (H,), output bias.
    engine : {"exact", "torch"}, default "exact"
        "exact" takes X of one column and needs no torch (see `errref.exact.train`); "torch" is the plain loop, for any
        number of columns. From the same seed both start at the same weights, and take the same steps up to rounding.
    random_state : None, int or numpy.random.Generator, default None
        Seed of the starting weights.

    Attributes
    ----------
    hidden_weights_ : ndarray of shape (H, d)
    hidden_biases_, output_weights_ : ndarray of shape (H,)
    output_bias_ : float
    loss_curve_ : ndarray of shape (steps + 1,)
        Training loss before each step and, last, of the fitted network, in units of y^2. With engine="exact", all but
        the last are rounded at about 1e-16 of the mean of y^2. With batches, only the first and the last: shape (2,).
    n_parameters_, n_iter_, n_features_in_ : int
        Number of trained numbers, H (d + 2) + 1; number of steps taken; number d of columns of X.

    Examples
    --------
    >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> model = ReluRegressor(hidden=4, steps=2000, learning_rate=1e-2, random_state=0)
    >>> model = model.fit(X, abs(X[:, 0]))
    >>> model.n_parameters_, bool(model.score(X, abs(X[:, 0])) > 0.99)
    (13, True)
    """

    def __init__(
        self,
        hidden: int = 10,
        steps: int = 20_000,
        learning_rate: float = 1e-4,
        batch_size: int | None = None,
        init: Any = "torch",
        engine: str = "exact",
        random_state: Any = None,
    ) -> None:
        self.hidden = hidden
        self.steps = steps
        self.learning_rate = learning_rate
        self.batch_size = batch_size
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
            Non-negative weights of the squared residuals; None means equal weights, which batches need.

        Raises
        ------
        ValueError
            For a parameter out of its range, or data that are not finite numbers of these shapes.
        FloatingPointError
            If training diverges.
        """
        self._check_parameters()
        inputs, targets = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        targets = targets.astype(np.float64)
        shares = _check_sample_weight(sample_weight, inputs, dtype=np.float64, ensure_non_negative=True)
        shares = shares / shares.sum()
        d = inputs.shape[1]
        if self.engine == "exact" and d != 1:
            raise ValueError(f"engine='exact' takes one column and X has {d}; use engine='torch'.")
        rng = generator(self.random_state)
        start = self._starting_weights(inputs, rng)
        if self.batch_size is None or self.batch_size >= len(inputs):
            train = _train_exactly if self.engine == "exact" else _train_with_torch
            weights, losses = train(inputs, targets, shares, start, self.steps, self.learning_rate)
        else:
            if sample_weight is not None or self.engine == "torch":
                raise ValueError(
                    "batch_size goes with engine='exact' and equal weights; leave it, or sample_weight, out."
                )
            batches = _batches(len(inputs), self.batch_size, self.steps, rng)
            weights = _unflat(descent.descend(_flat(start), inputs[:, 0], targets, batches, self.learning_rate))
            losses = np.array([shares @ (_evaluate(inputs, start) - targets) ** 2, 0.0])
        with np.errstate(over="ignore", invalid="ignore"):  # which the next error reports
            losses[-1] = shares @ (_evaluate(inputs, weights) - targets) ** 2
        if not np.isfinite(losses).all():
            raise FloatingPointError(f"Training diverged with learning_rate={self.learning_rate}; lower it.")
        self.hidden_weights_, self.hidden_biases_, self.output_weights_, self.output_bias_ = weights
        self.loss_curve_, self.n_iter_ = losses, int(self.steps)
        self.n_parameters_ = int(self.hidden * (d + 2) + 1)
        return self

    def predict(self, X: ArrayLike) -> Floats:
        """Evaluate the network at X of shape (n, d): n numbers, in units of y."""
        weights = self._weights()
        return _evaluate(validate_data(self, X, dtype=np.float64, reset=False), weights)

    def to_torch(self) -> Any:
        """Return the fitted network as a float64 torch.nn.Sequential of Linear, ReLU and Linear."""
        return _as_torch(self._weights())

    def _weights(self) -> Weights:
        check_is_fitted(self, "hidden_weights_")
        return self.hidden_weights_, self.hidden_biases_, self.output_weights_, self.output_bias_

    def _check_parameters(self) -> None:
        whole(self.hidden, "hidden", 1)
        whole(self.steps, "steps", 0)
        positive(self.learning_rate, "learning_rate")
        if self.batch_size is not None:
            whole(self.batch_size, "batch_size", 1)
        if not isinstance(self.engine, str) or self.engine not in ("exact", "torch"):
            raise ValueError(f"engine must be 'exact' or 'torch', got {self.engine!r}.")

    def _starting_weights(self, X: Floats, rng: np.random.Generator) -> Weights:
        H, d = self.hidden, X.shape[1]
        shapes = {"hidden weights": (H, d), "hidden biases": (H,), "output weights": (H,), "output bias": ()}
        if isinstance(self.init, (tuple, list)) and len(self.init) == len(shapes):
            parts = [_as_array(*part) for part in zip(shapes, self.init, shapes.values(), strict=True)]
        elif isinstance(self.init, str) and self.init == "torch":
            bounds = 1 / np.sqrt([d, d, H, H])
            parts = [rng.uniform(-a, a, shape) for a, shape in zip(bounds, shapes.values(), strict=True)]
        elif isinstance(self.init, str) and self.init == "he":
            hidden, output = rng.normal(0, np.sqrt(2 / d), (H, d)), rng.normal(0, np.sqrt(2 / H), H)
            parts = [hidden, np.zeros(H), output, np.zeros(())]
        elif isinstance(self.init, str) and self.init == "spread" and d == 1:
            signs = rng.choice([-1.0, 1.0], (H, 1))
            kinks = X.min() + (np.arange(H) + 0.5) / H * np.ptp(X)
            parts = [signs, -signs[:, 0] * kinks, *(rng.uniform(-1, 1, shape) / np.sqrt(H) for shape in ((H,), ()))]
        else:
            known = "'torch', 'he', 'spread' (for X of one column)"
            raise ValueError(f"init must be {known} or a tuple of {', '.join(shapes)}; got {self.init!r:.80}.")
        return parts[0], parts[1], parts[2], float(parts[3])


def _as_array(name: str, values: Any, shape: tuple[int, ...]) -> Floats:
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"init needs numbers as {name}, in an array of shape {shape}.") from error
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"init needs finite {name} of shape {shape}; got shape {array.shape}: {values!r:.80}.")
    return array


def _batches(n: int, size: int, steps: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of the samples of each step: a random order of all n, then another, and so on; shape (steps, size)."""
    epochs = -(-steps * size // n)
    orders = rng.permuted(np.broadcast_to(np.arange(n), (epochs, n)), axis=1)
    return orders.ravel()[: steps * size].reshape(steps, size)


def _flat(weights: Weights) -> Floats:
    return np.concatenate([np.ravel(part) for part in weights])


def _unflat(flat: Floats) -> Weights:
    w, b, v = np.split(flat[:-1], 3)
    return w[:, np.newaxis], b, v, float(flat[-1])


def _evaluate(X: Floats, weights: Weights) -> Floats:
    hidden_weights, hidden_biases, output_weights, output_bias = weights
    outputs = np.empty(len(X))
    for batch in gen_batches(len(X), max(1, 2**20 // len(hidden_biases))):  # 8 MiB of hidden units
        outputs[batch] = np.maximum(X[batch] @ hidden_weights.T + hidden_biases, 0) @ output_weights + output_bias
    return outputs


def _train_exactly(
    X: Floats, y: Floats, shares: Floats, weights: Weights, steps: int, learning_rate: float
) -> tuple[Weights, Floats]:
    flat, losses = exact.train(exact.prepare(X[:, 0], y, shares), _flat(weights), steps, learning_rate)
    return _unflat(flat), np.maximum(losses, 0)


def _train_with_torch(
    X: Floats, y: Floats, shares: Floats, weights: Weights, steps: int, learning_rate: float
) -> tuple[Weights, Floats]:
    """Train by the plain loop that the exact engine stands for."""
    network = _as_torch(weights)
    torch = load_torch()

    inputs, targets, weight = torch.tensor(X), torch.tensor(y), torch.tensor(shares)
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    losses = np.empty(steps + 1)
    for step in range(steps):
        optimizer.zero_grad()
        loss = weight @ (network(inputs).squeeze(1) - targets) ** 2
        loss.backward()
        optimizer.step()
        losses[step] = loss.item()
    w, b, v, c = (parameter.detach().numpy() for parameter in network.parameters())
    return (w, b, v[0], float(c[0])), losses


def _as_torch(weights: Weights) -> Any:
    torch = load_torch()
    w, b, v, c = weights
    # skip_init: drawing weights only to overwrite them would move torch's global random state.
    linear = partial(torch.nn.utils.skip_init, torch.nn.Linear)
    network = torch.nn.Sequential(linear(w.shape[1], len(w)), torch.nn.ReLU(), linear(len(w), 1))
    for parameter, values in zip(network.parameters(), (w, b, v[np.newaxis], np.array([c])), strict=True):
        parameter.data = torch.tensor(values)
    return network
