"""Minima, saddles and plateaus (the blog post, and the paper's thesis): what stops training, and what it costs.

Every row has a ``study``. A seed draws the data, and all starts, batches and matrices of its row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import spearmanr

from errref import landscapes, smooth, stationary
from errref.datasets import FUNCTIONS, even
from errref.experiments.functions import BASE
from errref.landscapes import SURFACES
from errref.networks import ReluRegressor
from errref.smooth import Problem

Array = np.ndarray
Config = dict[str, Any]
SEEDS = 20  # that are recorded: 0 to 19

TINY = 1e-6  # a gradient whose norm is smaller counts as tiny
NOISE = 0.3  # standard deviation of the noise of labels, in units of that of the target
STARTS = 30  # of each network on each data set
ADEQUATE = 0.9  # share of the variance of the target that an adequate fit explains, on the test points
SHARES = (0.1, 0.2, 0.4, 0.6, 0.8)  # of the samples, on the upper of two lines
BATCHES = (1, 4, 16, 60)  # the last is the whole set of the lines
HEIGHTS, WELL_BATCHES = (0.025, 0.05, 0.1), (1, 2, 4, 8, 256)  # of the double well; the last is its whole set
WELL_RATE, WELL_LIMIT = 0.05, 20_000
DOWNHILL = (1, 2, 5, 10, 19)  # of 20 directions


def configurations() -> list[Config]:
    """What is recorded."""
    minima: list[Config] = [
        {"network": network, "target": target, "labels": labels, "hidden": 10}
        for network in ("tanh", "relu")
        for target in ("quartic", "jump-piecewise")
        for labels in ("clean", "noisy")
    ]
    minima.append({"network": "tanh", "target": "teacher", "labels": "clean", "hidden": 3})
    targets = [(1, 1.0), (2, 1.0), (4, 1.0), (8, 1.0), (1, 4.0)]
    ramps = [(4.0, 0.1), (16.0, 0.1), (4.0, 0.01)]
    methods = ("descent", "adam")
    return [
        *({"study": "descent", "surface": name} for name in SURFACES),
        *({"study": "minima", **config} for config in minima),
        *({"study": "valley", "apart": apart, "share": share} for apart in (2.0, 1.0) for share in SHARES),
        *({"study": "noise", "height": height, "batch": batch} for height in HEIGHTS for batch in WELL_BATCHES),
        *({"study": "quadratic", "curvatures": kind} for kind in ("equal", "drawn")),
        *({"study": "gaussian", "n": n} for n in (1, 2, 3, 4, 5)),
        *({"study": "saddles", "hidden": hidden} for hidden in (2, 3, 5)),
        *({"study": "plateau", "frequency": k, "amplitude": a} for k, a in targets),
        *({"study": "ramp", "extent": e, "slope": s, "method": m} for e, s in ramps for m in methods),
        *({"study": "saturated", "distance": d, "method": m} for d in (0.0, 0.25, 0.5) for m in methods),
    ]


def run(config: Config, seed: int) -> dict[str, float]:
    """One row."""
    return STUDIES[config["study"]](config, np.random.default_rng(seed))


# -- minima ------------------------------------------------------------------------------------------------------------


def descent_row(config: Config, rng: np.random.Generator) -> dict[str, float]:
    """Where descent from random starts ends: share with a tiny gradient, and how many of those fit best."""
    surface = SURFACES[config["surface"]]
    start = rng.uniform(-surface.half_width, surface.half_width, (100, 2))
    end = landscapes.descend(surface.gradient, start, landscapes.RATE, 5000, every=5000)[-1]
    tiny = np.linalg.norm(surface.gradient(end), axis=1) < TINY
    loss = surface.loss(end)
    best = loss < loss.min() + landscapes.NEAR
    return {
        "tiny": float(tiny.mean()),
        "best": float(best.mean()),
        "best_share": float(best[tiny].mean()) if tiny.any() else 0.0,
        "loss_best": float(loss.min()),
        "loss_worst": float(loss[tiny].max(initial=loss.min())),
    }


def scattered(n: int, rng: np.random.Generator) -> Array:
    """One input in each of n equal parts of [-1, 1), so that nothing must be extrapolated far."""
    return even(n) + rng.uniform(-1, 1, n) / n


def data(config: Config, rng: np.random.Generator) -> tuple[Problem, Array, Array, Array | None]:
    """Training problem, test inputs, test targets, and the teacher's weights where the target is another network.

    Targets are standardised, so that a loss is a share of the variance. Test targets have no noise.
    """
    x_test, teacher = even(512), None
    x = scattered(64, rng)
    if config["target"] == "teacher":
        teacher = smooth.start(rng, config["hidden"])
        answers = smooth.predict(teacher, x_test)
        teacher[-1] -= answers.mean()
        teacher[2 * config["hidden"] :] /= answers.std()
        y, y_test = smooth.predict(teacher, x), smooth.predict(teacher, x_test)
    else:
        target = FUNCTIONS[config["target"]]
        mean, std = target(x_test).mean(), target(x_test).std()
        y, y_test = (target(x) - mean) / std, (target(x_test) - mean) / std
    if config["labels"] == "noisy":
        y = y + rng.normal(0, NOISE, len(x))
    return Problem(x, y, decay=1e-6), x_test, y_test, teacher


def tanh_minima(hidden: int, problem: Problem, rng: np.random.Generator) -> Array:
    """The minima (k, 3 H + 1) that descent finds from `STARTS` starts, the lowest loss first.

    A point counts as a minimum if its gradient is tiny and its Hessian has no negative eigenvalue.
    """
    found = smooth.minimise(np.array([smooth.start(rng, hidden) for _ in range(STARTS)]), problem)
    tiny = np.linalg.norm(smooth.gradient(found, problem), axis=1) < TINY
    found = found[tiny & (np.linalg.eigvalsh(smooth.hessian(found, problem))[:, 0] > 0)]
    return found[np.argsort(smooth.loss(found, problem), kind="stable")]


def ends(config: Config, rng: np.random.Generator) -> tuple[dict[str, Array], Problem, Array | None]:
    """Where training ends from many starts: loss, train error and test error, the lowest loss first.

    The network ``tanh`` ends at minima. The network ``relu`` is the paper's, trained as in the chapter on its table,
    and stands where 50,000 steps of Adam have left it.
    """
    problem, x_test, y_test, teacher = data(config, rng)
    if config["network"] == "tanh":
        found = tanh_minima(config["hidden"], problem, rng)
        loss, answers, tests = smooth.loss(found, problem), *(smooth.predict(found, x) for x in (problem.x, x_test))
    else:
        models = [ReluRegressor(config["hidden"], steps=BASE["steps"], random_state=rng) for _ in range(STARTS)]
        models = sorted((m.fit(problem.x[:, None], problem.y) for m in models), key=lambda m: m.loss_curve_[-1])
        loss = np.array([m.loss_curve_[-1] for m in models])
        answers, tests = (np.array([m.predict(x[:, None]) for m in models]) for x in (problem.x, x_test))
    train, test = np.mean((answers - problem.y) ** 2, axis=1), np.mean((tests - y_test) ** 2, axis=1)
    return {"loss": loss, "train": train, "test": test, "answers": tests}, problem, teacher


def minima_row(config: Config, rng: np.random.Generator) -> dict[str, float]:
    """Train and test error of where training ends on one data set; *best* is the end with the lowest training loss."""
    found, problem, teacher = ends(config, rng)
    loss, train, test = found["loss"], found["train"], found["test"]
    distinct = np.unique(np.round(np.log10(test), 3), return_index=True)[1]
    better = int(np.sum(test[distinct] < 0.9 * test[0]))
    row = {
        "ends": len(loss),
        "distinct": len(distinct),
        "best_share": float(np.mean(loss < 1.01 * loss[0])),
        "train_best": float(train[0]),
        "train_median": float(np.median(train)),
        "test_of_best": float(test[0]),
        "test_median": float(np.median(test)),
        "test_lowest": float(test.min()),
        "test_highest": float(test.max()),
        "adequate": float(np.mean(test <= 1 - ADEQUATE)),
        "better": better,
        "several": int(better >= 3),
        "overfits": int(test[0] > 1.1 * np.median(test)),
        "agreement": correlation(loss[distinct], test[distinct]),
    }
    if teacher is not None:  # the global minimum is at most as high as the loss of the teacher's own weights
        row["global_share"] = float(np.mean(loss < 1.01 * smooth.loss(teacher, problem)))
    return row


def correlation(a: Array, b: Array) -> float:
    """Spearman's rank correlation; 0 where one of both does not vary."""
    return float(spearmanr(a, b).statistic) if np.ptp(a) > 0 and np.ptp(b) > 0 else 0.0


# -- valleys and noise -------------------------------------------------------------------------------------------------


def valley_row(config: Config, rng: np.random.Generator) -> dict[str, float]:
    """Depth of the upper line's valley, and the share of 40 runs that leave it in 500 steps, by size of the batch."""
    apart = config["apart"]
    x, y = landscapes.two_lines(config["share"], apart, BATCHES[-1], rng)
    lines = np.array([0, apart / 2]), np.array([0, -apart / 2])
    left = {b: landscapes.left_valley(x, y, apart, b, runs=40, steps=500, rng=rng) for b in BATCHES}
    row = {f"left_{b}": float(runs.mean()) for b, runs in left.items()}
    helps = int(row["left_1"] > row[f"left_{BATCHES[-1]}"])
    return {"depth": landscapes.depth(x, y, *lines), **row, "helps": helps}


def noise_row(config: Config, rng: np.random.Generator) -> dict[str, float]:
    """Escapes of 50 runs from a double well; ``rate`` is escapes per step, of the runs that have not escaped too."""
    tilts = rng.normal(size=WELL_BATCHES[-1])
    tilts = (tilts - tilts.mean()) / tilts.std()
    arguments = config["height"], tilts, config["batch"], WELL_RATE, WELL_LIMIT
    steps = np.array([landscapes.escape_steps(*arguments, int(s)) for s in rng.integers(2**31, size=50)])
    escaped = np.sum(steps < WELL_LIMIT)
    return {"left": float(escaped / len(steps)), "rate": float(escaped / steps.sum())}


def temperature(batch: int) -> float:
    """Half the variance of a step's noise over the step size: what takes the place of temperature in Kramers' law."""
    return WELL_RATE / (2 * batch)


# -- saddles -----------------------------------------------------------------------------------------------------------


def quadratic_row(config: Config, rng: np.random.Generator) -> dict[str, float]:
    """Median steps off a quadratic saddle of 20 directions from 50 starts nearby, by the number of downhill ones."""
    starts = rng.normal(size=(50, 20))
    starts *= 1e-3 / np.linalg.norm(starts, axis=1, keepdims=True)
    sizes = np.ones(20) if config["curvatures"] == "equal" else rng.uniform(0, 1, 20)
    signs = {k: np.where(np.arange(20) < k, -1, 1) for k in DOWNHILL}
    steps = {k: landscapes.saddle_steps(sign * sizes, starts, 0.1, 10_000) for k, sign in signs.items()}
    return {f"steps_{k}": float(np.median(found)) for k, found in steps.items()}


def gaussian_row(config: Config, rng: np.random.Generator) -> dict[str, float]:
    """Share of 20,000 symmetric Gaussian matrices without a negative eigenvalue."""
    return {"positive": landscapes.share_positive(config["n"], 20_000, rng)}


def network_problem(rng: np.random.Generator) -> Problem:
    """The quartic with noise, for the networks whose stationary points are searched."""
    target = FUNCTIONS["quartic"]
    x, std = scattered(32, rng), target(even(512)).std()
    return Problem(x, target(x) / std + rng.normal(0, NOISE, 32), decay=1e-3)


def saddles_row(config: Config, rng: np.random.Generator) -> dict[str, float]:
    """Index of a network's stationary points against loss, weights in use and steps of escape."""
    problem = network_problem(rng)
    points = stationary.search(problem, np.array([smooth.start(rng, config["hidden"]) for _ in range(20)]))
    distinct = stationary.distinct(points)
    index = np.array([point.index for point in distinct])
    early, end = ([p.index > 0 for p in points if (p.time == stationary.TIMES[-1]) == last] for last in (False, True))
    saddles = [point for point in distinct if point.index > 0]
    steps = stationary.escape_steps(problem, saddles, rng)
    index_use = correlation(index, np.array([point.in_use for point in distinct]))
    escape_index = correlation(steps, index[index > 0])
    return {
        "found": len(points),
        "distinct": len(distinct),
        "gradient": max(float(point.gradient) for point in points),
        "saddles_early": float(np.mean(early)),
        "found_at_end": len(end),
        "saddles_at_end": float(np.mean(end)) if end else 0.0,
        "index_loss": correlation(index, np.array([point.loss for point in distinct])),
        "index_use": index_use,
        "index_grows": int(index_use > 0),
        "escape_index": escape_index,
        "escape_easier": int(escape_index < 0),
        "escape_curvature": correlation(steps, np.array([point.eigenvalues[0] for point in saddles])),
    }


# -- plateaus ----------------------------------------------------------------------------------------------------------


def plateau_row(config: Config, rng: np.random.Generator) -> dict[str, float]:
    """Gradient at the start, and loss after 500 steps of descent, of networks that are to fit a sine."""
    x = even(128)
    problem = Problem(x, config["amplitude"] * np.sqrt(2) * np.sin(np.pi * config["frequency"] * x))
    start = np.array([smooth.start(rng, 10) for _ in range(8)])
    start[:, 20:] *= 0.01  # the networks answer nearly 0, so that only the targets make a gradient
    end = landscapes.descend(lambda at: smooth.gradient(at, problem), start, 0.02, 500, every=500)[-1]
    norms = np.linalg.norm(smooth.gradient(start, problem), axis=1)
    return {"gradient": float(np.median(norms)), "loss": float(np.median(smooth.loss(end, problem)))}


def ramp_row(config: Config, rng: np.random.Generator) -> dict[str, float]:
    """Median steps down an even slope, from 8 starts on its upper half."""
    start, slope = config["extent"] * rng.uniform(0.5, 1, (8, 1)), config["slope"]
    steps = landscapes.steps_until(
        lambda at: at[:, 0] <= 0, lambda at: np.full_like(at, slope), start, 0.1, 20_000, config["method"]
    )
    return {"steps": float(np.median(steps))}


def saturated_row(config: Config, rng: np.random.Generator) -> dict[str, float]:
    """Median steps until a network whose units switch beyond the data explains half of the variance, from 8 starts."""
    x, hidden = even(64), 5
    target = FUNCTIONS["quartic"](x)
    problem = Problem(x, (target - target.mean()) / target.std())
    w = rng.choice([-4.0, 4.0], (8, hidden))
    b = np.abs(w) * (1 + config["distance"]) * rng.choice([-1, 1], (8, hidden))
    start = np.hstack([w, b, rng.normal(0, hidden**-0.5, (8, hidden)), np.zeros((8, 1))])
    rate = {"descent": 0.1, "adam": 0.01}[config["method"]]
    explained, gradient = lambda at: smooth.loss(at, problem) < 0.5, lambda at: smooth.gradient(at, problem)
    steps = landscapes.steps_until(explained, gradient, start, rate, 1500, config["method"])
    return {"steps": float(np.median(steps))}


STUDIES = {name.removesuffix("_row"): row for name, row in list(globals().items()) if name.endswith("_row")}
