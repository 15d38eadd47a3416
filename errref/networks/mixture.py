"""Mixtures of networks on a line, after Jacobs, Jordan, Nowlan and Hinton (1991): networks and gate trained at once."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from errref.checks import generator, whole
from errref.exact import adam, find_switch, kernel, schedule

Floats = NDArray[np.float64]
FLOOR = 1e-12  # of the variance that the experts of a hard mixture leave, in units of the variance of y


class MixtureRegressor(RegressorMixin, BaseEstimator):
    """Networks of one hidden ReLU layer, and a gate of the same kind, trained jointly by full-batch Adam.

    Soft: the answer is the mean of the networks, weighted by the gate's probabilities, and its mean squared error is
    the loss. Hard: the most probable network answers; each sample trains only the network that is responsible for it,
    the one with the largest g_k exp(-(f_k - y)^2 / (2 s^2)), and the gate learns to name it (a mixture of Gaussians
    with hard assignment; s^2 is the mean squared residual of the step before).

    Parameters
    ----------
    n_networks : int, default 4
        Number M of networks.
    hidden : int, default 10
        Number H of hidden units of each network, and of the gate.
    hard : bool, default False
        Whether one network answers, or all of them by their weights.
    steps : int, default 20_000
        Number of joint steps; in each of them every network moves once.
    learning_rate : float, default 1e-4
        Step size of Adam.
    random_state : None, int or numpy.random.Generator, default None
        Seed of the starting weights, which are drawn as `ReluRegressor` draws them.

    Attributes
    ----------
    weights_ : ndarray of shape (n_parameters_,)
        Hidden weights and hidden biases (M + 1, H) each, the gate's in the last row; output weights (2 M, H) and output
        biases (2 M), the gate's in the last M rows.
    loss_curve_ : ndarray of shape (steps + 1,)
        Mean squared residual of the answer (soft), or of the responsible networks (hard), before each step and at
        last; in units of y^2.
    n_parameters_ : int

    Examples
    --------
    >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> model = MixtureRegressor(2, 5, steps=3000, learning_rate=1e-2, random_state=0)
    >>> model = model.fit(X, np.sign(X[:, 0]))
    >>> model.n_parameters_, bool(model.score(X, np.sign(X[:, 0])) > 0.99)
    (54, True)
    """

    def __init__(
        self,
        n_networks: int = 4,
        hidden: int = 10,
        hard: bool = False,
        steps: int = 20_000,
        learning_rate: float = 1e-4,
        random_state: Any = None,
    ) -> None:
        self.n_networks = n_networks
        self.hidden = hidden
        self.hard = hard
        self.steps = steps
        self.learning_rate = learning_rate
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> "MixtureRegressor":
        """Train networks and gate on X (n, 1) and y (n,).

        Raises
        ------
        ValueError
            For a parameter out of its range, or if X has more than one column.
        FloatingPointError
            If training diverges.
        """
        inputs, targets = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        if inputs.shape[1] != 1:
            raise ValueError(f"MixtureRegressor takes one column and X has {inputs.shape[1]}; choose one.")
        M, H = whole(self.n_networks, "n_networks", 1), whole(self.hidden, "hidden", 1)
        if not isinstance(self.hard, bool | np.bool_):
            raise ValueError(f"hard must be True or False, got {self.hard!r:.80}.")
        rng, root = generator(self.random_state), H**-0.5
        weights = np.r_[rng.uniform(-1, 1, 2 * (M + 1) * H), rng.uniform(-root, root, 2 * M * (H + 1))]
        how, order = schedule(self.steps, self.learning_rate), np.argsort(inputs[:, 0], kind="stable")
        samples, losses = (inputs[order, 0], targets[order].astype(np.float64)), np.empty(self.steps + 1)
        _train(*samples, M, self.hard, *how, weights, losses)
        if not np.isfinite(losses).all():
            raise FloatingPointError(f"Training diverged with learning_rate={self.learning_rate}; lower it.")
        self.weights_, self.loss_curve_, self.n_parameters_ = weights, losses, len(weights)
        return self

    def predict(self, X: ArrayLike) -> Floats:
        """Evaluate the mixture at X of shape (n, 1): n numbers, in units of y."""
        check_is_fitted(self, "weights_")
        answers, gates = evaluate(self.weights_, validate_data(self, X, dtype=np.float64, reset=False), self.n_networks)
        if self.hard:
            return np.take_along_axis(answers, gates.argmax(axis=1)[:, None], axis=1)[:, 0]
        return np.sum(gates * answers, axis=1)


def evaluate(weights: Floats, X: Floats, M: int) -> tuple[Floats, Floats]:
    """Answers (n, M) of the networks of a mixture at X (n, 1), and the gate's probabilities (n, M)."""
    H = units(len(weights), M)
    w, b, v, c = np.split(weights, np.cumsum([(M + 1) * H, (M + 1) * H, 2 * M * H]))
    hidden = np.maximum(X * w + b, 0).reshape(len(X), M + 1, H)
    outputs = np.einsum("nmh,mh->nm", hidden[:, np.minimum(np.arange(2 * M), M)], v.reshape(2 * M, H)) + c
    exponentials = np.exp(outputs[:, M:] - outputs[:, M:].max(axis=1, keepdims=True))
    return outputs[:, :M], exponentials / exponentials.sum(axis=1, keepdims=True)


@kernel
def units(n_parameters, M):
    """The number H of hidden units of a mixture of M networks: it has 4 M H + 2 M + 2 H parameters."""
    return (n_parameters - 2 * M) // (4 * M + 2)


@kernel
def gradient(x, y, M, hard, variance, theta, switches, result):
    """Write the gradient of a mixture's loss by its weights and return the mean squared residual.

    As in `errref.exact`, a unit is active on one side of its switch, so that sums over its samples are differences of
    prefix sums. ``x`` is sorted and stands between -inf and inf; ``switches`` are those of the last call, or zeros.
    For a hard mixture the loss is, up to constant factors, the negative logarithm of the likelihood under ``variance``;
    the factor 1 / (2 s^2) of the networks' part is left out: Adam ignores a constant factor, and this one, the inverse
    of a mean over all samples, changes slowly.
    """
    n, H = y.size, units(theta.size, M)
    U = (M + 1) * H
    w, b, v, c = theta[:U], theta[U : 2 * U], theta[2 * U : 2 * U + 2 * M * H], theta[2 * U + 2 * M * H :]
    d_w, d_b, d_v, d_c = result[:U], result[U : 2 * U], result[2 * U : 2 * U + 2 * M * H], result[2 * U + 2 * M * H :]
    for u in range(U):
        switches[u] = find_switch(x, switches[u], w[u], b[u])
    outputs, slopes, sums = np.empty((2 * M, n)), np.empty((n + 1, 2)), np.zeros((n + 1, 2))
    for m in range(2 * M):  # the networks, then the gate's logits, which share the last units
        slopes[:], slope, height = 0.0, 0.0, c[m]
        for j in range(H):
            u, weight = min(m, M) * H + j, v[m * H + j]
            sign = 1.0 if w[u] >= 0.0 else -1.0
            slopes[switches[u], 0] += sign * weight * w[u]
            slopes[switches[u], 1] += sign * weight * b[u]
            if sign < 0.0:
                slope, height = slope + weight * w[u], height + weight * b[u]
        for i in range(n):
            slope, height = slope + slopes[i, 0], height + slopes[i, 1]
            outputs[m, i] = slope * x[i + 1] + height
    total = _blame(outputs[:M], outputs[M:], y, hard, variance)  # outputs now hold the gradient by themselves
    result[:] = 0.0
    for m in range(2 * M):
        for i in range(n):
            sums[i + 1, 0] = sums[i, 0] + outputs[m, i]
            sums[i + 1, 1] = sums[i, 1] + outputs[m, i] * x[i + 1]
        d_c[m] = sums[n, 0]
        for j in range(H):
            u, weight = min(m, M) * H + j, v[m * H + j]
            start, stop = (switches[u], n) if w[u] >= 0.0 else (0, switches[u])
            r0, r1 = sums[stop, 0] - sums[start, 0], sums[stop, 1] - sums[start, 1]
            d_v[m * H + j] = w[u] * r1 + b[u] * r0
            d_w[u] += weight * r1
            d_b[u] += weight * r0
    result /= n
    return total / n


@kernel
def _blame(f, g, y, hard, variance):
    """Put the gradient of the loss in the place of answers f and logits g (M, n); return the sum of squares left."""
    M, total = len(f), 0.0
    for i in range(y.size):
        top, normaliser, chosen, best, answer = g[0, i], 0.0, 0, -np.inf, 0.0
        for k in range(1, M):
            top = max(top, g[k, i])
        for k in range(M):
            score = g[k, i] - (f[k, i] - y[i]) ** 2 / (2.0 * variance)
            if score > best:
                chosen, best = k, score
            g[k, i] = np.exp(g[k, i] - top)
            normaliser += g[k, i]
        for k in range(M):
            g[k, i] /= normaliser
            answer += g[k, i] * f[k, i]
        residual = (f[chosen, i] if hard else answer) - y[i]
        for k in range(M):
            if hard:
                f[k, i] = 2.0 * residual if k == chosen else 0.0
                g[k, i] -= 1.0 if k == chosen else 0.0
            else:
                f[k, i], g[k, i] = 2.0 * residual * g[k, i], 2.0 * residual * g[k, i] * (f[k, i] - answer)
        total += residual * residual
    return total


@kernel
def _train(x, y, M, hard, step_sizes, epsilons, weights, losses):
    """Train the weights in place; write the mean squared residual before each step and after the last."""
    mean, square, work = np.zeros_like(weights), np.zeros_like(weights), np.empty_like(weights)
    padded, switches = np.full(x.size + 2, np.inf), np.zeros(weights.size, dtype=np.int64)
    padded[0], padded[1:-1] = -np.inf, x
    spread = y.var()
    variance = spread
    for step in range(losses.size):
        losses[step] = gradient(padded, y, M, hard, variance, weights, switches, work)
        variance = max(losses[step], FLOOR * spread)
        if step < step_sizes.size:
            adam(weights, mean, square, work, step_sizes[step], epsilons[step])
