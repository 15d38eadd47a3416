"""Where the gradient of a small network vanishes: points found along descent, their index, and how one leaves them.

The *index* of a stationary point is the number of negative eigenvalues of the Hessian there: its downhill directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from errref import landscapes, smooth
from errref.smooth import Problem

Array = np.ndarray
TIMES = (0, 100, 1000, 3000)  # steps of descent after which a stationary point is searched
RATE = 0.1  # step size of descent
VANISHES = 1e-10  # norm of the gradient below which a point counts as stationary
IN_USE = 1e-3  # size above which a weight counts as in use; a decay draws the others to 0


@dataclass(frozen=True)
class Point:
    """A stationary point: steps of descent before its search, weights, loss, eigenvalues of the Hessian, gradient."""

    time: int
    weights: Array
    loss: float
    eigenvalues: Array
    gradient: float

    @property
    def index(self) -> int:
        """Number of downhill directions."""
        return int(np.sum(self.eigenvalues < 0))

    @property
    def in_use(self) -> int:
        """Number of weights that are not 0, nearly."""
        return int(np.sum(np.abs(self.weights) > IN_USE))


def search(problem: Problem, start: Array) -> list[Point]:
    """The stationary points near points along descent from starts (S, 3 H + 1), after each of `TIMES` steps."""
    path = landscapes.descend(lambda at: smooth.gradient(at, problem), start, RATE, TIMES[-1], every=100)
    found = smooth.stationary(path[np.array(TIMES) // 100].reshape(-1, start.shape[1]), problem)
    columns = (
        np.repeat(TIMES, len(start)),
        found,
        smooth.loss(found, problem),
        np.linalg.eigvalsh(smooth.hessian(found, problem)),
        np.linalg.norm(smooth.gradient(found, problem), axis=1),
    )
    return [Point(*values) for values in zip(*columns, strict=True) if values[-1] < VANISHES]


def distinct(points: list[Point]) -> list[Point]:
    """One point of each loss and index: units can be exchanged and change sign without changing the network."""
    return list({(round(float(point.loss), 7), point.index): point for point in points}.values())


def escape_steps(problem: Problem, points: list[Point], rng: np.random.Generator, runs: int = 8) -> Array:
    """Median steps (len(points),) of descent from 0.001 beside each point until it is 0.1 away; at most 3,000."""
    centre = np.repeat([point.weights for point in points], runs, axis=0)
    away = rng.normal(size=centre.shape)
    start = centre + 1e-3 * away / np.linalg.norm(away, axis=1, keepdims=True)
    steps = landscapes.steps_until(
        lambda at: np.linalg.norm(at - centre, axis=1) > 0.1, lambda at: smooth.gradient(at, problem), start, RATE, 3000
    )
    return np.median(steps.reshape(len(points), runs), axis=1)
