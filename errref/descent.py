"""Optimisers side by side, on one-hidden-layer networks small enough to know their global minimum.

The network is that of `errref.shallow`; the loss is the mean of the squared residuals. First-order methods are compiled
loops over the samples, which stop at a target loss; the others are those of scipy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares, minimize

from errref import shallow
from errref.exact import BETA1, BETA2, EPSILON, kernel

Floats = NDArray[np.float64]
RATES = {"gd": 0.1, "sgd": 0.1, "adam": 0.01}
BATCH = 4  # samples that a step of stochastic gradient descent sees
STEPS = 10_000  # of a first-order method at most
ITERATIONS = 2_000  # of a method of scipy at most
EVERY = 50  # steps between two looks at the loss


@kernel
def _evaluate(x, y, picks, theta, tanh, gradient):
    """Write the gradient of the mean squared residual of the picked samples, and return the mean."""
    H = theta.size // 3
    w, b, v = theta[:H], theta[H : 2 * H], theta[2 * H : 3 * H]
    gradient[:] = 0.0
    loss, active, slope = 0.0, np.empty(H), np.empty(H)
    for i in picks:
        r = theta[3 * H] - y[i]
        for j in range(H):
            z = w[j] * x[i] + b[j]
            active[j] = np.tanh(z) if tanh else max(z, 0.0)
            slope[j] = 1.0 - active[j] ** 2 if tanh else 1.0 * (z > 0.0)
            r += v[j] * active[j]
        loss += r * r
        for j in range(H):
            back = 2.0 * r * v[j] * slope[j]
            gradient[j] += back * x[i]
            gradient[H + j] += back
            gradient[2 * H + j] += 2.0 * r * active[j]
        gradient[3 * H] += 2.0 * r
    gradient /= picks.size
    return loss / picks.size


@kernel
def _descend(x, y, theta, tanh, batches, steps, rate, adam, target):
    """Take steps in place, cycling through the batches, until the loss on all samples is below the target."""
    gradient, mean, square = np.empty(theta.size), np.zeros(theta.size), np.zeros(theta.size)
    everything = np.arange(x.size)
    for step in range(steps):
        if step % EVERY == 0 and _evaluate(x, y, everything, theta, tanh, gradient) < target:
            return step
        _evaluate(x, y, batches[step % batches.shape[0]], theta, tanh, gradient)
        if adam:
            mean += (1.0 - BETA1) * (gradient - mean)
            square += (1.0 - BETA2) * (gradient**2 - square)
            corrected = np.sqrt(square / (1.0 - BETA2 ** (step + 1))) + EPSILON
            theta -= rate / (1.0 - BETA1 ** (step + 1)) * mean / corrected
        else:
            theta -= rate * gradient
    return steps


def descend(theta: Floats, x: Floats, y: Floats, batches: NDArray[np.int64], learning_rate: float) -> Floats:
    """Weights of a ReLU network after a step of Adam on each batch; ``batches`` (steps, B) index the samples."""
    end = theta.copy()
    _descend(x, y, end, False, batches, len(batches), learning_rate, True, -np.inf)
    return end


def loss_and_gradient(theta: Floats, x: Floats, y: Floats, activation: str) -> tuple[float, Floats]:
    """Mean squared residual over the samples x, y of shape (n,), and its gradient."""
    gradient = np.empty(theta.size)
    return _evaluate(x, y, np.arange(x.size), theta, activation == "tanh", gradient), gradient


def residuals(theta: Floats, x: Floats, y: Floats, activation: str) -> Floats:
    """Return f(x) - y, of shape (n,)."""
    return shallow.predict(theta, x, activation) - y


def jacobian(theta: Floats, x: Floats, y: Floats, activation: str) -> Floats:
    """Derivatives of the residuals by the weights, of shape (n, 3 H + 1)."""
    return shallow.linearise(theta, x, activation)[1]


def _first_order(name: str) -> Callable[..., tuple[Floats, int]]:
    def optimise(theta, x, y, activation, target, rng):
        """Descend from theta; the last weights, and the number of steps."""
        n = len(x)
        batches = rng.integers(n, size=(STEPS, BATCH)) if name == "sgd" else np.arange(n)[None]
        end = theta.copy()
        how = (activation == "tanh", batches, STEPS, RATES[name], name == "adam", target)
        steps = _descend(x, y, end, *how)
        return end, steps

    return optimise


class _Reached(Exception):
    """Raised out of a method of scipy, which has no target of its own."""


def _until(target: float, x: Floats, function: Callable[..., Any], keep: dict[str, Any]) -> Callable[..., Any]:
    """Return the function, which keeps its argument and stops the method as soon as its value is below the target."""

    def watched(theta: Floats, *args: Any) -> Any:
        value = function(theta, *args)
        loss = value[0] if isinstance(value, tuple) else value @ value / len(x)
        keep["evaluations"] = keep.get("evaluations", 0) + 1
        if loss < target:
            keep["theta"] = theta.copy()
            raise _Reached
        return value

    return watched


def _lbfgs(theta, x, y, activation, target, rng):
    """Minimise by L-BFGS, as far as it goes; the last weights, and the number of evaluations."""
    keep: dict[str, Any] = {}
    options = {"maxiter": ITERATIONS, "maxfun": 2 * ITERATIONS, "ftol": 0, "gtol": 1e-10}
    watched = _until(target, x, loss_and_gradient, keep)
    try:
        found = minimize(watched, theta, (x, y, activation), "L-BFGS-B", jac=True, options=options)
    except _Reached:
        return keep["theta"], keep["evaluations"]
    return found.x, keep["evaluations"]


def _levenberg_marquardt(theta, x, y, activation, target, rng):
    """Minimise by Levenberg and Marquardt's damped Gauss-Newton steps; the last weights, the number of evaluations."""
    keep: dict[str, Any] = {}
    limits = {"max_nfev": ITERATIONS, "ftol": 1e-12, "xtol": 1e-12, "gtol": 1e-12}
    watched = _until(target, x, residuals, keep)
    try:
        found = least_squares(watched, theta, jacobian, method="lm", args=(x, y, activation), **limits)
    except _Reached:
        return keep["theta"], keep["evaluations"]
    return found.x, keep["evaluations"]


OPTIMISERS: dict[str, Callable[..., tuple[Floats, int]]] = {
    **{name: _first_order(name) for name in RATES},
    "lbfgs": _lbfgs,
    "lm": _levenberg_marquardt,
}
