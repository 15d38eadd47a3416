"""Loss surfaces small enough to see, or to calculate: two lines, one neuron, noisy descent, saddles, random curvatures.

The losses of lines and of the neuron are bounded, as those of saturated networks and of counted errors are: a sample
that is far from being fitted pulls no more. That is what makes valleys and plateaus; the squared error of a line has
neither. Weights are arrays of shape (..., 2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.optimize import minimize

from errref.compiled import compiled
from errref.exact import BETA1, BETA2, EPSILON

Array = np.ndarray
Field = Callable[[Array], Array]
Answer = Callable[[Array, Array], Array]
OnSamples = Callable[[Array, Array, Array], Array]

NEAR = 0.01  # a loss that is no more than this above the lowest counts as the best fit
RATE = 0.05  # step size of descent on the surfaces
WIDTH = 0.3  # of the trench of a sample, in units of y


class Surface(NamedTuple):
    """A loss of two weights on samples, with its gradient.

    Attributes
    ----------
    answer : callable
        What the model says: (..., n), of weights (..., 2) and inputs (..., n).
    loss_on, gradient_on : callable
        Of weights, inputs and targets (..., n), so that each of many models can have a batch of its own.
    x, y : array of shape (n,)
        All samples.
    half_width : float
        Both weights are drawn, and start, between minus and plus this.
    """

    answer: Answer
    loss_on: OnSamples
    gradient_on: OnSamples
    x: Array
    y: Array
    half_width: float

    def loss(self, weights: Array) -> Array:
        """Loss on all samples."""
        return self.loss_on(weights, self.x, self.y)

    def gradient(self, weights: Array) -> Array:
        """Gradient of `loss` by the weights."""
        return self.gradient_on(weights, self.x, self.y)


def neuron(weights: Array, x: Array) -> Array:
    """Answer tanh(w x + b) of one neuron."""
    return np.tanh(weights[..., :1] * x + weights[..., 1:])


def neuron_loss(weights: Array, x: Array, y: Array) -> Array:
    """Mean squared error of `neuron`."""
    return np.mean((neuron(weights, x) - y) ** 2, axis=-1)


def neuron_gradient(weights: Array, x: Array, y: Array) -> Array:
    """Gradient of `neuron_loss` by the weights."""
    answer = neuron(weights, x)
    pull = 2 * (answer - y) * (1 - answer**2) / x.shape[-1]
    return np.stack([np.sum(pull * x, axis=-1), np.sum(pull, axis=-1)], axis=-1)


def product(weights: Array, x: Array) -> Array:
    """Answer u v x of a linear network."""
    return weights[..., :1] * weights[..., 1:] * x


def product_loss(weights: Array, x: Array, y: Array) -> Array:
    """Mean squared error of `product`."""
    return np.mean((product(weights, x) - y) ** 2, axis=-1)


def product_gradient(weights: Array, x: Array, y: Array) -> Array:
    """Gradient of `product_loss` by the weights."""
    residual = product(weights, x) - y
    return 2 * np.mean(residual * x, axis=-1, keepdims=True) * weights[..., ::-1]


def line(weights: Array, x: Array) -> Array:
    """Answer w x + b of a line."""
    return weights[..., :1] * x + weights[..., 1:]


def line_loss(weights: Array, x: Array, y: Array) -> Array:
    """Mean of ``1 - exp(-r^2 / 2 WIDTH^2)`` for the residuals r of `line`: 1 for a sample that is not fitted."""
    residual = line(weights, x) - y
    return 1 - np.mean(np.exp(-((residual / WIDTH) ** 2) / 2), axis=-1)


def line_gradient(weights: Array, x: Array, y: Array) -> Array:
    """Gradient of `line_loss` by the weights."""
    residual = line(weights, x) - y
    pull = residual * np.exp(-((residual / WIDTH) ** 2) / 2) / WIDTH**2
    return np.stack([np.mean(pull * x, axis=-1), np.mean(pull, axis=-1)], axis=-1)


def two_lines(share: float, apart: float, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Samples (n,) of which the first ``share`` lies on the line y = apart / 2, the rest on y = -apart / 2, nearly."""
    upper = np.arange(n) < round(share * n)
    return rng.uniform(-1, 1, n), np.where(upper, apart / 2, -apart / 2) + rng.normal(0, WIDTH / 6, n)


# Two lines of which the better one fits more samples; a linear network, whose loss on the sample (1, 1) is (u v - 1)^2,
# with a saddle between two valleys; and four samples that a neuron fits easily.
SURFACES: dict[str, Surface] = {
    "minima": Surface(line, line_loss, line_gradient, *two_lines(0.6, 1.0, 60, np.random.default_rng(0)), 1.5),
    "saddle": Surface(product, product_loss, product_gradient, np.ones(1), np.ones(1), 2.0),
    "plateau": Surface(
        neuron, neuron_loss, neuron_gradient, np.array([-1.0, -0.5, 0.5, 1]), np.array([-0.9, -0.6, 0.6, 0.9]), 10.0
    ),
}


def descend(gradient: Field, start: Array, rate: float, steps: int, every: int = 1) -> Array:
    """Gradient descent from many starts (S, p) at once: the path, (steps // every + 1, S, p)."""
    at, path = start, [start]
    for step in range(1, steps + 1):
        at = at - rate * gradient(at)
        if step % every == 0:
            path.append(at)
    return np.array(path)


def steps_until(
    arrived: Field, gradient: Field, start: Array, rate: float, limit: int, method: str = "descent"
) -> Array:
    """Steps (S,) that training from many starts (S, p) needs until it has ``arrived``, at most ``limit``.

    ``method`` is ``descent``, with ``rate`` as step size, or ``adam``, with the other settings of `errref.exact`.
    """
    at, first, second, steps = start, np.zeros_like(start), np.zeros_like(start), np.full(len(start), limit)
    for step in range(1, limit + 1):
        move = gradient(at)
        if method == "adam":
            first, second = BETA1 * first + (1 - BETA1) * move, BETA2 * second + (1 - BETA2) * move**2
            move = first / (1 - BETA1**step) / (np.sqrt(second / (1 - BETA2**step)) + EPSILON)
        at = at - rate * move
        steps[arrived(at) & (steps == limit)] = step
        if np.all(steps < limit):
            break
    return steps


# -- a valley and its depth --------------------------------------------------------------------------------------------


def pass_height(values: Array, a: tuple[int, ...], b: tuple[int, ...]) -> float:
    """The lowest level at which two cells of a grid of losses are joined by cells that are not above it."""
    levels = np.unique(values[values >= max(values[a], values[b])])
    low, high = 0, len(levels) - 1
    while low < high:
        middle = (low + high) // 2
        labels, _ = ndimage.label(values <= levels[middle])
        low, high = (low, middle) if labels[a] == labels[b] else (middle + 1, high)
    return float(levels[low])


def depth(x: Array, y: Array, a: Array, b: Array, half_width: float = 2.0, cells: int = 81) -> float:
    """How far `line_loss` must climb, at least, from the valley that descent from ``a`` ends in to the line ``b``."""
    axis = np.linspace(-half_width, half_width, cells)
    values = line_loss(np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1), x, y)
    bottom = minimize(line_loss, a, (x, y), jac=line_gradient).x
    here, there = (tuple(int(np.abs(axis - weight).argmin()) for weight in at) for at in (bottom, b))
    return pass_height(values, here, there) - float(values[here])


def left_valley(x: Array, y: Array, apart: float, batch: int, runs: int, steps: int, rng: np.random.Generator) -> Array:
    """Whether mini-batch descent that starts on the upper of `two_lines` came near the lower one: (runs,) of bool.

    Batches are drawn with replacement; one of all samples is the whole set. The step size is `RATE`.
    """
    at, left = np.tile([0.0, apart / 2], (runs, 1)), np.zeros(runs, dtype=bool)
    for _ in range(steps):
        pick = rng.integers(len(x), size=(runs, batch)) if batch < len(x) else slice(None)
        at = at - RATE * line_gradient(at, x[pick], y[pick])
        left |= at[:, 1] < WIDTH / 2 - apart / 2
    return left


# -- noise -------------------------------------------------------------------------------------------------------------


@compiled()
def escape_steps(height: float, tilts: Array, batch: int, rate: float, limit: int, seed: int) -> int:
    """Steps of mini-batch descent until it has left the right-hand well of ``height (z^2 - 1)^2``, at most ``limit``.

    Sample i sees the double well tilted by ``tilts[i] z``; the tilts sum to 0, so that a batch of all has no noise.
    Smaller batches are drawn with replacement. The well is left at z = -1/2, beyond the top of the barrier at 0.
    """
    np.random.seed(seed)  # numba's own generator, which nothing else uses
    z = 1.0
    for step in range(1, limit + 1):
        tilt = 0.0
        if batch < tilts.size:
            for _ in range(batch):
                tilt += tilts[np.random.randint(tilts.size)] / batch
        z -= rate * (4 * height * z * (z * z - 1) + tilt)
        if z < -0.5:
            return step
    return limit


def kramers(height: float, temperature: float, rate: float) -> float:
    """Escapes per step that Kramers (1940) expects from the well of `escape_steps`, for a high barrier.

    ``sqrt(L''(bottom) |L''(top)|) / (2 pi) exp(-height / temperature)`` per unit of time, of which a step has ``rate``.
    """
    return rate * np.sqrt(8 * height * 4 * height) / (2 * np.pi) * np.exp(-height / temperature)


# -- saddles -----------------------------------------------------------------------------------------------------------


def saddle_steps(curvatures: Array, starts: Array, rate: float, limit: int) -> Array:
    """Steps of descent on ``sum_i curvatures_i x_i^2 / 2`` from starts (S, n) until |x| >= 1, at most ``limit``.

    A coordinate is multiplied by ``1 - rate curvature`` in each step, so nothing needs to be simulated.
    """
    times = np.arange(limit + 1)
    with np.errstate(over="ignore"):  # what has grown beyond all numbers is out, too
        growth = (1 - rate * curvatures) ** (2 * times[:, None])  # (T, n)
    out = starts**2 @ growth.T >= 1
    return np.where(out.any(axis=1), out.argmax(axis=1), limit)


def share_positive(n: int, draws: int, rng: np.random.Generator) -> float:
    """Share of symmetric Gaussian n x n matrices (the orthogonal ensemble) whose eigenvalues are all positive."""
    G = rng.normal(size=(draws, n, n))
    return float(np.mean(np.linalg.eigvalsh(G + G.transpose(0, 2, 1))[:, 0] > 0))
