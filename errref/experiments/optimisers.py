"""A part of the study `forgetting`: the optimisers that section 1 names, from the same starts and the same traps.

The targets are made by a *teacher*, a network of the size of the one that is trained (the *student*). So the global
minimum is known: its loss is 0. A start has *found* it if the loss falls below `TARGET` of the variance of the target.
It is *trapped* if L-BFGS, started where the optimiser stopped, comes to rest above that.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from errref import exact
from errref.datasets import even
from errref.descent import OPTIMISERS, RATES, loss_and_gradient, residuals
from errref.experiments.functions import BASE, data
from errref.networks import ReluRegressor
from errref.shallow import ACTIVATIONS

Array = np.ndarray
RATE = 1e-4  # of Adam on the general network, as the paper prints it
SIZES = (2, 3, 5)  # hidden units of teacher and student
N_SAMPLES = 32
STARTS = 10  # students of each problem
TARGET = 1e-4  # of the variance of the target: a smaller loss counts as the global minimum
LEFT = 0.99  # of the loss of a trap: who is below it has left
STEEPNESS = {"relu": 1.0, "tanh": 3.0}  # standard deviation of the hidden weights of teachers and students
RESTARTS = 200  # of Levenberg and Marquardt's method, at most, to find the global minimum
TRIES = 20  # of it, at most, to reach the loss of the general network


def start(seed: int) -> Array:
    """The starting weights of the general network of that seed, as one vector (see `errref.exact`)."""
    network = ReluRegressor(BASE["hidden"], steps=0, random_state=seed).fit([[0.0]], [0.0])
    parts = (network.hidden_weights_[:, 0], network.hidden_biases_, network.output_weights_, [network.output_bias_])
    return np.concatenate(parts)


def configurations() -> list[dict[str, Any]]:
    """What is recorded: each activation at each size."""
    return [{"part": "starts", "activation": a, "hidden": h} for a, h in product(ACTIVATIONS, SIZES)]


def draw(rng: np.random.Generator, activation: str, hidden: int) -> Array:
    """Weights of a teacher or a student: every unit bends at a random place of the domain, the output bias is 0."""
    w = STEEPNESS[activation] * rng.normal(size=hidden)
    return np.concatenate([w, -w * rng.uniform(-1, 1, hidden), rng.normal(size=hidden), [0.0]])


def problem(activation: str, hidden: int, seed: int) -> tuple[Array, Array, list[Array]]:
    """Inputs (n,), targets (n,) of a random teacher, and `RESTARTS` starts of its students."""
    rng = np.random.default_rng([ACTIVATIONS.index(activation), hidden, seed])
    x = even(N_SAMPLES)
    y = residuals(draw(rng, activation, hidden), x, np.zeros(N_SAMPLES), activation)
    return x, y, [draw(rng, activation, hidden) for _ in range(RESTARTS)]


def starts(activation: str, hidden: int, seed: int) -> dict[str, float]:
    """What each optimiser finds on one problem, what it costs, and whether it leaves the traps of gradient descent.

    ``found``, ``trapped`` and ``stayed`` are shares of the starts: loss below the target when the optimiser stops; at
    rest above it; trapped by gradient descent, and still there after the optimiser was started in the trap. Seconds are
    those of this thread alone, for one start, and for one that finds the minimum (if none does: for all starts).
    ``restarts`` is how many starts of Levenberg and Marquardt's method it took to find the minimum; ``missed`` is 1 if
    none of `RESTARTS` did.
    """
    x, y, every = problem(activation, hidden, seed)
    first = every[:STARTS]
    target, rng = TARGET * y.var(), np.random.default_rng(seed)

    def after(name: str, theta: Array, goal: float) -> Array:
        return OPTIMISERS[name](theta, x, y, activation, goal, rng)[0]

    def rest(theta: Array) -> tuple[Array, float]:
        end = after("lbfgs", theta, target)
        return end, loss_and_gradient(end, x, y, activation)[0]

    for name in RATES:
        after(name, first[0], np.inf)  # compiled, or read from the cache, before the clock
    numbers: dict[str, float] = {}
    traps: list[tuple[Array, float]] = []
    for name in OPTIMISERS:
        clock = time.thread_time()
        ends = [after(name, theta, target) for theta in first]
        seconds = time.thread_time() - clock
        found = sum(loss_and_gradient(end, x, y, activation)[0] < target for end in ends)
        rested = [rest(end) for end in ends]
        if name == "gd":
            traps = [(end, value) for end, value in rested if value >= target]
        numbers |= {
            f"found_{name}": found / STARTS,
            f"trapped_{name}": sum(value >= target for _, value in rested) / STARTS,
            f"seconds_{name}": seconds / STARTS,
            f"seconds_found_{name}": seconds / max(found, 1),
        }
    for name in OPTIMISERS:
        stayed = sum(rest(after(name, theta, target))[1] >= LEFT * value for theta, value in traps)
        numbers[f"stayed_{name}"] = stayed / STARTS
    losses = (loss_and_gradient(after("lm", theta, target), x, y, activation)[0] for theta in every)
    needed = next((k for k, value in enumerate(losses, start=1) if value < target), None)
    return numbers | {"restarts": needed or RESTARTS, "missed": int(needed is None)}


def newton(function: str, seed: int) -> dict[str, float]:
    """Seconds of Adam on the paper's own small network, and of Levenberg and Marquardt's method to the same loss.

    The second-order method starts again, from other weights, until it has reached the loss, at most `TRIES` times. Adam
    is timed twice: as `errref.exact` has it, the fastest that we know, and as a compiled loop over the samples.
    """
    X, y = data({"function": function}, BASE["n_samples"])
    x, samples, steps = X[:, 0], exact.prepare(X[:, 0], y), BASE["steps"]

    def timed(optimise: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
        clock = time.thread_time()
        return optimise(*arguments), time.thread_time() - clock

    def restart(target: float) -> tuple[int, int, bool]:
        evaluations = 0
        for tries in range(1, TRIES + 1):
            theta, count = OPTIMISERS["lm"](start(seed + 1000 * (tries - 1)), x, y, "relu", target, None)
            evaluations += count
            if np.mean(residuals(theta, x, y, "relu") ** 2) <= target:
                return tries, evaluations, True
        return TRIES, evaluations, False

    exact.train(samples, start(seed), 1, RATE)  # compiled, or read from the cache, before the clock
    OPTIMISERS["adam"](start(seed), x, y, "relu", np.inf, None)
    (end, _), seconds_adam = timed(exact.train, samples, start(seed), steps, RATE)
    (_, some), seconds_loop = timed(OPTIMISERS["adam"], start(seed), x, y, "relu", 0.0, None)
    target = float(np.mean(residuals(end, x, y, "relu") ** 2))
    (tries, evaluations, reached), seconds_newton = timed(restart, target)
    return {
        "loss": target,
        "seconds_adam": seconds_adam,
        "seconds_loop": seconds_loop * steps / some,
        "seconds_newton": seconds_newton,
        "step_loop": seconds_loop / some,
        "step_newton": seconds_newton / evaluations,
        "evaluations": evaluations,
        "tries": tries,
        "reached": int(reached),
    }
