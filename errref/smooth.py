"""A network of tanh units on a line: loss, gradient and Hessian in closed form, minima and stationary points.

The network is that of `errref.shallow`, and the loss is ``mean (f(x) - y)^2 + decay |weights|^2``. The paper's units
are ReLU, whose Hessian has jumps; tanh is smooth, so that an index is defined everywhere. The decay is small, but not
zero: without it steep units run off to infinity, and exchanging scale between layers or units leaves whole surfaces on
which the loss is the same, so that hardly any stationary point would be a point.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from errref import shallow
from errref.shallow import parts

Array = np.ndarray


class Problem(NamedTuple):
    """What a network is fitted to.

    Attributes
    ----------
    x, y : ndarray of shape (n,)
        Inputs and targets.
    decay : float
        Factor of the squared norm of all weights in the loss.
    """

    x: Array
    y: Array
    decay: float = 0.0


def start(rng: np.random.Generator, hidden: int) -> Array:
    """Starting weights (3 H + 1,): kinks of all units spread over [-1, 1], output weights of variance 1 / H."""
    w = rng.normal(0, 3, hidden)
    b = -w * rng.uniform(-1, 1, hidden)
    return np.concatenate([w, b, rng.normal(0, hidden**-0.5, hidden), [0.0]])


def predict(weights: Array, x: Array) -> Array:
    """Outputs of shape (..., n) of networks with weights (..., 3 H + 1)."""
    return shallow.predict(weights, x, "tanh")


def loss(weights: Array, problem: Problem) -> Array:
    """Mean squared error plus the decay."""
    residual = predict(weights, problem.x) - problem.y
    return np.mean(residual**2, axis=-1) + problem.decay * np.sum(weights**2, axis=-1)


def gradient(weights: Array, problem: Problem) -> Array:
    """Gradient of the loss, of the shape of the weights."""
    x, y, decay = problem
    v, (units, slopes) = parts(weights)[2], shallow.units(weights, x, "tanh")
    residual = 2 / len(x) * (shallow.outputs(weights, units) - y)[..., None, :]  # (..., 1, n)
    by_w, by_b = (v * (r @ slopes)[..., 0, :] for r in (residual * x, residual))
    by_v = (residual @ units)[..., 0, :]
    return np.concatenate([by_w, by_b, by_v, residual.sum(axis=-1)], axis=-1) + 2 * decay * weights


def hessian(weights: Array, problem: Problem) -> Array:
    """Hessian of the loss, (..., 3 H + 1, 3 H + 1).

    It is ``2/n J'J``, which is never negative, plus ``2/n sum_i r_i`` times the Hessian of the output at sample i. The
    latter couples only weights of the same unit: six diagonals of H entries.
    """
    x, y, decay = problem
    v, (units, slope) = parts(weights)[2], shallow.units(weights, x, "tanh")
    hidden = v.shape[-1]
    outputs, J = shallow.linearise(weights, x, "tanh")
    residual = 2 / len(x) * (outputs - y)[..., None, :]
    bend = -2 * units * slope * v[..., None, :]
    zeroth, first, second = ((residual @ (x[:, None] ** k * bend))[..., 0, :] for k in range(3))
    by_v = {k: (residual @ (x[:, None] ** k * slope))[..., 0, :] for k in range(2)}
    found = 2 / len(x) * np.swapaxes(J, -1, -2) @ J + 2 * decay * np.eye(weights.shape[-1])
    at_w, at_b, at_v = (np.arange(hidden) + k * hidden for k in range(3))
    found[..., at_w, at_w] += second
    found[..., at_b, at_b] += zeroth
    for i, j, value in ((at_w, at_b, first), (at_w, at_v, by_v[1]), (at_b, at_v, by_v[0])):
        found[..., i, j] += value
        found[..., j, i] += value
    return found


# -- where the gradient vanishes ---------------------------------------------------------------------------------------


def minimise(weights: Array, problem: Problem, steps: int = 4000) -> Array:
    """Where descents from these weights (S, 3 H + 1) end: a minimum of the loss, if ``steps`` are enough."""
    x, y, decay = problem

    def residuals(at: Array) -> tuple[Array, Array]:
        outputs, J = shallow.linearise(at, x, "tanh")
        return (outputs - y) / np.sqrt(len(x)), J / np.sqrt(len(x))

    return least_squares(residuals, weights, steps, decay)


def stationary(weights: Array, problem: Problem, steps: int = 150) -> Array:
    """Weights near these (S, 3 H + 1) where the gradient vanishes: its squared norm is minimised.

    Nothing draws this search downhill, so that saddle points are found as well as minima. It may end where the norm of
    the gradient has a minimum that is not 0, or before it has come to an end; look at `gradient` there.
    """
    return least_squares(lambda at: (gradient(at, problem), hessian(at, problem)), weights, steps)


def least_squares(
    residuals: Callable[[Array], tuple[Array, Array]], start: Array, steps: int, decay: float = 0.0
) -> Array:
    """Minimise sums of squares from many starts (S, p) at once, by the method of Levenberg and Marquardt.

    SciPy's `least_squares` takes one start at a time, and is several times slower on problems as small as ours.

    Parameters
    ----------
    residuals : callable
        Residuals (S, m) and their derivatives (S, m, p) at (S, p).
    start : ndarray of shape (S, p)
    steps : int
        Most steps that are tried; a search ends before where no step improves it any more.
    decay : float, default=0
        Factor of the squared norm of the unknowns, which is added to the sum of squares.
    """
    found, live = np.array(start), np.arange(len(start))
    r, J = residuals(found)
    damping, scale, one = np.full(len(found), 1e-3), np.full(start.shape, 1e-12), np.eye(start.shape[1])
    for _ in range(steps):
        at = found[live]
        A, g = np.swapaxes(J, 1, 2) @ J + decay * one, (r[:, None] @ J)[:, 0] + decay * at
        scale = np.maximum(scale, np.einsum("spp->sp", A))  # as MINPACK does: a weight's scale never shrinks
        trial = at - np.linalg.solve(A + (damping[:, None] * scale)[:, :, None] * one, g[..., None])[..., 0]
        r_trial, J_trial = residuals(trial)
        gain = np.sum(r**2 - r_trial**2, axis=1) + decay * np.sum(at**2 - trial**2, axis=1)
        better = gain > 0
        found[live[better]], r[better], J[better] = trial[better], r_trial[better], J_trial[better]
        damping = np.where(better, np.maximum(damping / 5, 1e-15), damping * 4)
        on = damping < 1e8
        if not on.any():
            break
        if not on.all():
            live, r, J, damping, scale = live[on], r[on], J[on], damping[on], scale[on]
    return found
