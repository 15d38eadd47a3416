"""Local minima and forgetting (sections 1 and 3): who pushes, who is forgotten, which pattern wins, who gets out.

The error cases of a network on a line are the worst half of its training samples, as in the chapter on the function
table; those of an image classifier are the training images that it gets wrong. A network is at a *standstill* where
further training no longer lowers the loss.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
from scipy.optimize import minimize
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from errref import exact, numerics
from errref.datasets import FUNCTIONS, even, fashion_mnist
from errref.descent import residuals
from errref.experiments import optimisers
from errref.experiments.functions import BASE, data
from errref.experiments.optimisers import RATE, start
from errref.networks import ConvClassifier, loss_gradient, widest
from errref.once import once

Array = np.ndarray
Numbers = dict[str, float]
SEEDS = 20  # that are recorded: 0 to 19
TARGETS = ("cubic", "quartic", "piecewise", "jump-piecewise")  # on the linear one every network finds the minimum 0
ON_TARGETS = ("split", "minima", "recover", "newton")  # parts of the study that take each of them
CHECKPOINTS = (0, 10, 100, 1_000, 10_000, BASE["steps"])  # of the training of a general network
STANDSTILL = ((1e-4, 50_000), (1e-5, 20_000), (1e-6, 10_000))  # rates of Adam and steps, before L-BFGS
ROUNDS, FALL = 10, 1e-6  # at most so many rounds of that, until one lowers the loss by less than this share
CASES = ("errors", "fitted", "random")
DETOURS = (10, 100, 1_000, 10_000)  # steps on some of the cases alone
STARTS = 12  # minima of one target that are compared with each other
OTHER = 500_000  # seed of a pair's second network, above that of the first
SHARES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)  # of the cubic, in two-pattern tasks
TASKS = ("regions", "conflict")
IMAGES = (1_500, 6_000)  # training images, at a smaller and a larger scale
BUDGET = 3_000  # parameters of the network that learns them
TRAINING: dict[str, Any] = {"epochs": 10, "n_jobs": 1, "device": "cpu", "keep_stages": True}
EPOCHS = {1: "1", 2: "2", 4: "4", 7: "7", TRAINING["epochs"]: "end"}  # whose gradients are looked at, by their names
LOOKED_AT = 1_500  # of the training images, for their gradients


def configurations() -> list[dict[str, Any]]:
    """What is recorded: every part of the study on every target."""
    parts: list[dict[str, Any]] = [{"part": part, "function": name} for part in ON_TARGETS for name in TARGETS]
    parts += [{"part": "patterns", "task": task, "share": share} for task, share in product(TASKS, SHARES)]
    parts += [{"part": "images", "n_images": n_images} for n_images in IMAGES]
    return [{"grid": 1, **config} for config in parts + optimisers.configurations()]


def depends(config: dict[str, Any]) -> tuple[str, ...]:
    """Parts of the numerics that a row depends on: torch only where images are learned."""
    return numerics.PARTS if config["part"] == "images" else numerics.WITHOUT_TORCH


def run(config: dict[str, Any], seed: int) -> Numbers:
    """One row: all numbers of one part of the study."""
    return PARTS[config["part"]](seed=seed, **{k: value for k, value in config.items() if k not in ("grid", "part")})


# -- networks on a line, as flat vectors of weights (see `errref.exact`) -----------------------------------------------


def loss(weights: Array, x: Array, y: Array) -> float:
    """Mean squared error."""
    return float(np.mean(residuals(weights, x, y, "relu") ** 2))


def error_cases(weights: Array, x: Array, y: Array) -> Array:
    """Mask of the worst half of the samples, by absolute residual."""
    worst = np.argsort(np.abs(residuals(weights, x, y, "relu")), kind="stable")[len(x) // 2 :]
    return np.isin(np.arange(len(x)), worst)


def standstill(samples: exact.Samples, weights: Array) -> Array:
    """Train by Adam at falling rates, then by L-BFGS, and again until the loss no longer falls."""
    before = exact.gradient(samples, weights)[0]
    for _ in range(ROUNDS):
        for rate, steps in STANDSTILL:
            weights, _ = exact.train(samples, weights, steps, rate)
        limits = {"maxiter": 20_000, "maxfun": 20_000, "ftol": 0, "gtol": 0}
        weights = minimize(lambda w: exact.gradient(samples, w), weights, jac=True, method="L-BFGS-B", options=limits).x
        after = exact.gradient(samples, weights)[0]
        if before - after <= FALL * before:
            break
        before = after
    return weights


def samples_of(function: str) -> tuple[Array, Array]:
    """Inputs and targets, (n,) each, of the general network."""
    X, y = data({"function": function}, BASE["n_samples"])
    return X[:, 0], y


@once
def trained(function: str, seed: int) -> dict[int | str, Array]:
    """Weights of a general network after each number of steps of `CHECKPOINTS`, and at its standstill, "end"."""
    samples, first = exact.prepare(*samples_of(function)), start(seed)
    found: dict[int | str, Array] = {steps: exact.train(samples, first, steps, RATE)[0] for steps in CHECKPOINTS}
    return found | {"end": standstill(samples, found[BASE["steps"]])}


# -- the update rule ---------------------------------------------------------------------------------------------------


def forget_update() -> list[dict[str, Any]]:
    """One step on L = theta^2 in exact arithmetic, with the printed sign."""
    theta, rate = Fraction(1), Fraction(1, 10)
    before, after = theta**2, (theta + rate * 2 * theta) ** 2
    value = f"from theta = {theta} with eta = {rate}, theta^2 goes from {before} to {after}"
    return [{"reading": "theta + eta grad L lowers L", "value": value, "holds": after < before}]


# -- who pushes --------------------------------------------------------------------------------------------------------


def parts_of_gradient(weights: Array, x: Array, y: Array, cases: Array) -> tuple[Array, Array]:
    """Gradients of what some cases, and the others, contribute to the mean squared error; they sum to all of it."""
    one, other = (g.mean() * exact.gradient(exact.prepare(x[g], y[g]), weights)[1] for g in (cases, ~cases))
    return one, other


def balance(own: Array, others: Array) -> Numbers:
    """How two parts of a gradient oppose each other; ``cancelled`` is the share of the own push that is undone."""
    norms = np.linalg.norm(own), np.linalg.norm(others)
    return {
        "cosine": float(own @ others / (norms[0] * norms[1])),
        "cancelled": float(-own @ others / norms[0] ** 2),
        "norm": float(norms[0]),
        "sum": float(np.linalg.norm(own + others)),
    }


def random_half(n: int, seed: int) -> Array:
    """Mask of a random half of n samples."""
    return np.random.default_rng(seed).permutation(n) < n // 2


def split(function: str, seed: int) -> Numbers:
    """The two parts of the gradient along training, for the error cases and for random halves; overlap of error cases.

    The error cases at a checkpoint are those of the network there.
    """
    (x, y), found = samples_of(function), trained(function, seed)
    numbers: Numbers = {}
    for name, weights in found.items():
        errors, half = error_cases(weights, x, y), random_half(len(x), seed)
        parts = balance(*parts_of_gradient(weights, x, y, errors))
        numbers |= {f"errors_{key}_{name}": value for key, value in parts.items()}
        numbers[f"random_cancelled_{name}"] = balance(*parts_of_gradient(weights, x, y, half))["cancelled"]
        numbers[f"loss_{name}"] = loss(weights, x, y)
    halfway = exact.train(exact.prepare(x, y), found[0], BASE["steps"] // 2, RATE)[0]
    now, half = (error_cases(weights, x, y) for weights in (found[BASE["steps"]], halfway))
    end, other = (error_cases(trained(function, s)["end"], x, y) for s in (seed, seed + OTHER))
    kappas = {"kappa_half": cohen_kappa_score(half, now), "kappa_seeds": cohen_kappa_score(end, other)}
    return numbers | kappas


def minima(function: str, seed: int) -> Numbers:
    """Whether the two parts of the gradient tell the worse half of some minima of a target from the better half.

    Cosines are compared to three digits: what differs later is where the optimiser has stopped.
    """
    x, y = samples_of(function)
    samples, ends = exact.prepare(x, y), []
    for first in map(start, range(OTHER + STARTS * seed, OTHER + STARTS * (seed + 1))):
        ends.append(standstill(samples, exact.train(samples, first, BASE["steps"], RATE)[0]))
    losses = np.array([loss(w, x, y) for w in ends])
    errors = [balance(*parts_of_gradient(w, x, y, error_cases(w, x, y))) for w in ends]
    halves = [balance(*parts_of_gradient(w, x, y, random_half(len(x), seed))) for w in ends]
    bad = losses > np.median(losses)
    return {
        "best": losses.min(),
        "worst": losses.max(),
        "gradient": float(np.median([parts["sum"] for parts in errors])),
        "auroc_cosine": roc_auc_score(bad, [-round(parts["cosine"], 3) for parts in errors]),
        "auroc_norm": roc_auc_score(bad, [parts["norm"] for parts in errors]),
        "auroc_random_norm": roc_auc_score(bad, [parts["norm"] for parts in halves]),
    }


# -- who is forgotten --------------------------------------------------------------------------------------------------


def recover(function: str, seed: int) -> Numbers:
    """Train on some of the cases alone, k steps from the standstill, then on all again: what is lost of the gain.

    ``lost`` is the share of the fall of the loss on these cases that is gone at the new standstill; ``back`` is 1 if
    the loss on all samples is there within a hundredth of what it was, ``lower`` if it is lower by more; ``way`` is the
    distance of the weights from the old standstill, as a share of that after the k steps.
    """
    (x, y), home = samples_of(function), trained(function, seed)["end"]
    samples, old = exact.prepare(x, y), loss(home, x, y)
    errors = error_cases(home, x, y)
    numbers: Numbers = {}
    for cases, mask in zip(CASES, (errors, ~errors, random_half(len(x), seed)), strict=True):
        some, before = exact.prepare(x[mask], y[mask]), loss(home, x[mask], y[mask])
        for steps in DETOURS:
            away = exact.train(some, home, steps, RATE)[0]
            gain = before - loss(away, x[mask], y[mask])
            if cases == "errors":
                again = {k: exact.train(samples, away, k, RATE)[0] for k in DETOURS}
                lost = {k: 1 - (before - loss(w, x[mask], y[mask])) / gain for k, w in again.items()}
                numbers |= {f"lost_errors_{steps}_after_{k}": share for k, share in lost.items()}
            last = standstill(samples, away)
            numbers |= {
                f"gain_{cases}_{steps}": gain / before,
                f"lost_{cases}_{steps}": 1 - (before - loss(last, x[mask], y[mask])) / gain,
                f"back_{cases}_{steps}": int(abs(loss(last, x, y) - old) <= 0.01 * old),
                f"lower_{cases}_{steps}": int(loss(last, x, y) < 0.99 * old),
                f"way_{cases}_{steps}": float(np.linalg.norm(last - home) / np.linalg.norm(away - home)),
            }
    return numbers


# -- which pattern wins ------------------------------------------------------------------------------------------------


def patterns_of(task: str, share: float) -> tuple[exact.Samples, dict[str, tuple[Array, Array]]]:
    """A task of two patterns, the cubic with a share of the samples and the quartic with the rest.

    In "regions" the cubic has the left half of the line, and the quartic the right one; in "conflict" both have all of
    it, and the shares are weights.
    """
    n = BASE["n_samples"]
    if task == "regions":
        left = round(share * n)
        places = {"cubic": (even(left) - 1) / 2, "quartic": (even(n - left) + 1) / 2}
    else:
        places = {"cubic": even(n), "quartic": even(n)}
    patterns = {name: (x, FUNCTIONS[name](x)) for name, x in places.items()}
    x, y = (np.concatenate(values) for values in zip(*patterns.values(), strict=True))
    weights = None if task == "regions" else np.repeat([share, 1 - share], n)
    return exact.prepare(x, y, weights), patterns


def patterns(task: str, share: float, seed: int) -> Numbers:
    """How well each of two patterns is fitted at a standstill: its mean squared error relative to its variance."""
    samples, parts = patterns_of(task, share)
    end = standstill(samples, exact.train(samples, start(seed), BASE["steps"], RATE)[0])
    errors = {name: loss(end, x, y) / y.var() for name, (x, y) in parts.items()}
    more, less = ("cubic", "quartic") if share > 0.5 else ("quartic", "cubic")
    return {**errors, "larger_is_better": int(errors[more] < errors[less])}


# -- images ------------------------------------------------------------------------------------------------------------


@once
def training_images(n_images: int) -> tuple[Array, Array]:
    """So many of the training images, always the same ones, and their labels."""
    found = fashion_mnist()
    chosen = np.random.default_rng(0).permutation(len(found.y_train))[:n_images]
    return found.X_train[chosen], found.y_train[chosen]


@once
def wrong_after(n_images: int, seed: int) -> tuple[ConvClassifier, Array]:
    """A trained classifier, and which training images it had wrong after each epoch: (epochs, n)."""
    X, y = training_images(n_images)
    model = ConvClassifier(width=widest(BUDGET), random_state=seed, **TRAINING).fit(X, y)
    return model, np.array([model.classes_[p.argmax(axis=1)] != y for p in model.staged_predict_proba(X)])


def images(n_images: int, seed: int) -> Numbers:
    """Forgetting in an image classifier: events, errors that had been right, their overlap, and who pushes when.

    Right after one epoch and wrong after the next is an event (Toneva et al. 2019). The other has the next seed.
    """
    (X, y), (model, wrong) = training_images(n_images), wrong_after(n_images, seed)
    other = wrong_after(n_images, seed + 1)[1]
    errors, events = wrong[-1], ~wrong[:-1] & wrong[1:]
    numbers: Numbers = {
        "errors": float(errors.mean()),
        "forgotten": float((~wrong[:-1]).any(axis=0)[errors].mean()),
        "events": float(events.sum(axis=0).mean()),
        "ever_forgotten": float(events.any(axis=0).mean()),
        "kappa_half": cohen_kappa_score(wrong[len(wrong) // 2 - 1], errors),
        "kappa_seeds": cohen_kappa_score(errors, other[-1]),
    }
    X, y = X[:LOOKED_AT], y[:LOOKED_AT]
    for epoch, name in EPOCHS.items():
        then, some = model.stage(epoch), wrong[epoch - 1, :LOOKED_AT]
        for cases, mask in (("errors", some), ("random", np.random.default_rng(seed).permutation(some))):
            own, others = (loss_gradient(then, X[g], y[g]) / len(y) for g in (mask, ~mask))
            numbers |= {f"{cases}_{key}_{name}": value for key, value in balance(own, others).items()}
    return numbers


PARTS: dict[str, Callable[..., Numbers]] = {
    "split": split,
    "minima": minima,
    "recover": recover,
    "patterns": patterns,
    "images": images,
    "newton": optimisers.newton,
    "starts": optimisers.starts,
}
