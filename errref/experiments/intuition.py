"""The toy of sections 2 and 3: its loss as exact steps, the derived claims, and the method applied to it.

For a whole number m >= 1 the model f_b(x) = floor(max(x - b, 0)) answers m or more exactly where b <= x - m. So a loss
over samples x_i is constant on steps in b whose ends are numbers x_i - m, and the right end belongs to the step. Sums
and ends are exact in float arithmetic where inputs are multiples of a power of two, as the toy's are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product, takewhile
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from errref.datasets import toy
from errref.isodata import Isodata
from errref.reflection import ErrorReflectionRegressor

Array = np.ndarray
Loss = Callable[[Array], Array]  # of the residual f_b(x) - y
LOSSES: dict[str, Loss] = {"squared": np.square, "absolute": np.abs, "zero-one": lambda r: np.abs(np.sign(r))}
SLOPES: dict[str, Loss] = {"squared": lambda r: 2 * r, "absolute": np.sign, "zero-one": np.zeros_like}
FIGURE_1 = (2.0, -1.2, 3.0)  # the values of b that figure 1 marks, in its order
TRAP = (-1.0, 0.0)  # the interval that section 3 names
NEAR = (-1.125, 0.125)  # just left and just right of it
STARTS = {"trap": TRAP, "random": (min(FIGURE_1), max(FIGURE_1))}  # "random": as far as the marks of figure 1 reach
SEEDS = 30  # that are recorded: 0 to 29
GATES = {"nearest": KNeighborsClassifier(1), "logistic": LogisticRegression()}

# The domain x <= 0 is infinite: these are the choices of samples on which every derived claim is decided. The stated
# domain also holds 0 < x < 1, without a target; GAP takes the target 0 there.
LITERAL = tuple(tuple(-k / parts for k in range(n)) for parts, n in ((1, 3), (1, 11), (1, 101), (4, 41)))
GAP = (*LITERAL[-1], 0.25, 0.5, 0.75)
READINGS = {f"{loss} loss": (loss, LITERAL) for loss in LOSSES}
READINGS["zero-one loss, with y = 0 on 0 < x < 1 too"] = ("zero-one", (GAP,))


def model(x: ArrayLike, b: ArrayLike) -> Array:
    """Return f_b(x) = floor(max(x - b, 0)), for any shapes that broadcast."""
    return np.floor(np.maximum(np.asarray(x) - b, 0))


# -- the loss as steps; samples X (n, 1) or (n,), y (n,) ---------------------------------------------------------------


@dataclass(frozen=True, order=True)
class Step:
    """A longest stretch low < b <= high on which the loss has one value; the outer two go on without end."""

    low: float
    high: float
    loss: float

    def __contains__(self, b: float) -> bool:
        return self.low < b <= self.high

    def __str__(self) -> str:
        return f"({self.low:g}, {self.high:g}" + ("]" if np.isfinite(self.high) else ")")

    @property
    def middle(self) -> float:
        """The middle of the step; of an endless one a point near its end."""
        return float(np.nan_to_num((self.low + self.high) / 2, nan=0, posinf=self.low + 1, neginf=self.high))


def steps(X: ArrayLike, y: ArrayLike, loss: str) -> list[Step]:
    """List the steps of the loss, summed over the samples, by ascending b.

    On the first one every answer is too large. Its loss is that at its end: further left it falls nowhere.
    """
    x, y = np.ravel(X), np.asarray(y)
    low = (x - np.maximum(np.ceil(y), 0) - 1).min()
    ends = np.unique(x[:, None] - np.arange(1, np.floor(x.max() - low) + 1))
    edges = np.array([-np.inf, low, *ends[ends > low], np.inf])
    inside = np.array([*edges[1:-1], edges[-2] + 1])  # a point of each step: its right end, which belongs to it
    losses = LOSSES[loss](model(x, inside[:, None]) - y).sum(axis=1)
    first = np.flatnonzero(np.diff(losses, prepend=np.nan))  # equal neighbours are one step
    return [Step(*map(float, s)) for s in zip(edges[first], [*edges[first[1:]], np.inf], losses[first], strict=True)]


def step_at(found: list[Step], b: float) -> Step:
    """Return the step that holds ``b``."""
    return next(s for s in found if b in s)


def neighbours(found: list[Step], step: Step) -> list[Step]:
    """Return the steps on the left and on the right of a step, where they exist."""
    k = found.index(step)
    return found[max(k - 1, 0) : k] + found[k + 1 : k + 2]


def local_minima(found: list[Step]) -> list[Step]:
    """Return the steps that are lower than their neighbours (the outer two have only one)."""
    return [s for s in found if all(n.loss > s.loss for n in neighbours(found, s))]


def global_minima(found: list[Step]) -> list[Step]:
    """Return the lowest steps: one, or several that are equally low."""
    lowest = min(s.loss for s in found)
    return [s for s in found if s.loss == lowest]


def barrier(found: list[Step], minimum: Step, side: int) -> Step | None:
    """Return what parts a step from the next no worse one, right (1) or left (-1) of it, with its largest loss."""
    k = found.index(minimum)
    beyond = found[k + 1 :] if side > 0 else found[:k][::-1]
    worse = list(takewhile(lambda s: s.loss > minimum.loss, beyond))
    ends = [end for s in worse for end in (s.low, s.high)]
    return Step(min(ends), max(ends), max(s.loss for s in worse)) if worse else None


def pull(X: ArrayLike, y: ArrayLike, b: float, loss: str) -> Array:
    """Return -d loss / db of each sample, with d f_b(x) / db = -1 where x > b: in it the floor counts as identity."""
    return SLOPES[loss](model(np.ravel(X), b) - y) * (np.ravel(X) > b)


def mean_pull(X: ArrayLike, y: ArrayLike, b: float, loss: str, half_width: float) -> Array:
    """Return -d/db of each sample's loss averaged over [b - half_width, b + half_width]."""
    low, high = (LOSSES[loss](model(np.ravel(X), b + side * half_width) - y) for side in (-1, 1))
    return (low - high) / (2 * half_width)


# -- the derived claims ------------------------------------------------------------------------------------------------


def _for_each_loss(about: str, decide: Callable[[list[Step]], tuple[str, bool]]) -> list[dict[str, Any]]:
    """Decide a reading for each loss: it holds if it does for every choice of samples; shown is the first choice."""
    found = {name: [decide(steps(*toy(zeros), loss)) for zeros in of] for name, (loss, of) in READINGS.items()}
    return [{"reading": about + k, "value": v[0][0], "holds": all(holds for _, holds in v)} for k, v in found.items()]


def toy_local_minimum() -> list[dict[str, Any]]:
    """Decide whether the step that holds b = 0 is lower than both its neighbours."""

    def decide(found: list[Step]) -> tuple[str, bool]:
        here = step_at(found, 0)
        left, right = neighbours(found, here)
        return f"{here.loss:g} on {here}, between {left.loss:g} and {right.loss:g}", here in local_minima(found)

    return _for_each_loss("", decide)


def toy_basin() -> list[dict[str, Any]]:
    """Decide whether x = 4 and 4.5 are wrong for all b in (-1, 0), and whether it lies in a local minimum."""
    right = {x: global_minima(steps([x], [1], "zero-one"))[0] for x in (4, 4.5)}
    value = ", ".join(f"x = {x:g} is right on {s} only" for x, s in right.items())
    wrong = {"reading": "x = 4 and x = 4.5 wrong", "value": value, "holds": min(right.values()).low >= TRAP[1]}

    def decide(found: list[Step]) -> tuple[str, bool]:
        inside = [s for s in found if s.low < TRAP[1] and s.high > TRAP[0]]
        return ", ".join(f"{s.loss:g} on {s}" for s in inside), len(inside) == 1 and inside[0] in local_minima(found)

    return [wrong, *_for_each_loss("in a local minimum: ", decide)]


def toy_global_minimum() -> list[dict[str, Any]]:
    """Decide whether no b has a lower loss than b = 3; that others have the same is no part of the claim."""

    def decide(found: list[Step]) -> tuple[str, bool]:
        best = global_minima(found)
        return f"{best[0].loss:g} on {' and '.join(map(str, best))}", any(3 in s for s in best)

    return _for_each_loss("", decide)


def toy_barrier() -> list[dict[str, Any]]:
    """Decide whether all b within some distance of the step that holds b = 0 are worse, on both sides."""

    def decide(found: list[Step]) -> tuple[str, bool]:
        here = step_at(found, 0)
        left, right = barrier(found, here, -1), barrier(found, here, 1)
        value = f"{right.loss - here.loss:g} high on {right}" if right else f"none to the right of {here}"
        return value, left is not None and right is not None

    return _for_each_loss("", decide)


def toy_gradient() -> list[dict[str, Any]]:
    """Decide whether descent from just outside (-1, 0] goes back, for each way to give the model a derivative."""
    ways: dict[str, Callable[..., Array]] = {
        "derivative as it is": partial(mean_pull, half_width=1 / 16),
        "floor taken as identity": pull,
        "loss averaged over b ± 1/2": partial(mean_pull, half_width=1 / 2),
    }
    readings = []
    for name, loss in product(ways, LOSSES):
        pulls = [[float(ways[name](*toy(zeros), b, loss).sum()) + 0.0 for b in NEAR] for zeros in LITERAL]
        value = ", ".join(f"{p:+g} at b = {b:g}" for p, b in zip(pulls[0], NEAR, strict=True))
        holds = all(left > 0 > right for left, right in pulls)
        readings.append({"reading": f"{name}, {loss} loss", "value": value, "holds": holds})
    return readings


class FloorReluRegressor(RegressorMixin, BaseEstimator):
    """The toy's network as an estimator: ``fit`` looks for b by descent on the steps of the loss.

    From a random start, b goes to the nearer of the neighbouring steps that are lower, and on until none is: to a local
    minimum, which need not be global. It needs no gradient (there is none), and crosses flat steps.

    Parameters
    ----------
    loss : {"zero-one", "squared", "absolute"}, default="zero-one"
    search : {"local", "global"}, default="local"
        "global" takes the lowest step, of several the leftmost, from any start.
    start : (float, float) or None, default=None
        Interval from which the start is drawn evenly; None: from the smallest to the largest input.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    b_ : float, the middle of the step that was found, on all of which the fit is the same
    """

    def __init__(self, *, loss="zero-one", search="local", start=None, random_state=None):
        self.loss = loss
        self.search = search
        self.start = start
        self.random_state = random_state

    def fit(self, X, y):
        """Find b for inputs of shape (n, 1) and targets of shape (n,)."""
        X, y = validate_data(self, X, y, y_numeric=True)
        if X.shape[1] != 1:
            raise ValueError(f"X has {X.shape[1]} columns; the toy's network has one input, so give one column.")
        for name, known in {"loss": list(LOSSES), "search": ["local", "global"]}.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name}={getattr(self, name)!r} is not one of {', '.join(map(repr, known))}.")
        found = steps(X, y, self.loss)
        start = check_random_state(self.random_state).uniform(*(self.start or (X.min(), X.max())))
        self.b_ = (descend(found, start) if self.search == "local" else global_minima(found)[0]).middle
        return self

    def predict(self, X) -> Array:
        """Return f_b(x) for inputs of shape (n, 1); shape (n,)."""
        check_is_fitted(self)
        return model(validate_data(self, X, reset=False)[:, 0], self.b_)


def descend(found: list[Step], b: float) -> Step:
    """Return the local minimum that ``b`` reaches, going each time to the nearer of the neighbours that are lower."""
    here = step_at(found, b)
    while lower := [s for s in neighbours(found, here) if s.loss < here.loss]:
        here = lower[-1] if b > here.middle else lower[0]
    return here


def configurations() -> list[dict[str, Any]]:
    """Return what is recorded: two pieces with the printed second b and with 3, the method in all forms, a control."""
    method = [{"answer": "method", "loss": k, "start": s, "gate": g} for k, s, g in product(LOSSES, STARTS, GATES)]
    control = {"answer": "control", "loss": "zero-one", "start": "trap", "gate": "nearest"}
    return [{"answer": "pieces", "b": 4.0}, {"answer": "pieces", "b": 3.0}, *method, control]


def run(config: dict[str, Any], seed: int) -> dict[str, float]:
    """Return one row: the shares of samples that the one network (before) and the whole (after) answer rightly.

    The seed draws six of the quarters 0, -1/4, ..., -10 for the samples with y = 0, since the paper names none;
    ``domain`` is the share over all quarters and x = 1, 4, 4.5. The control draws its error cases among all samples.
    """
    domain, target = toy(LITERAL[-1])
    X, y = toy(np.random.default_rng(seed).choice(LITERAL[-1], size=6, replace=False))
    numbers: dict[str, float] = {}
    if config["answer"] == "pieces":
        one, whole = (pieces(domain[:, 0], b) == target for b in (0, config["b"]))
    else:
        fitted = reflection(config, seed).fit(X, y)
        one, whole = (f.predict(domain) == target for f in (fitted.general_, fitted))
        b, constant = fitted.general_.b_, fitted.summary_["constant"]
        numbers = {"trapped": int(TRAP[0] < b <= TRAP[1]), "constant": constant.count(True)}
    seen = np.isin(domain[:, 0], X[:, 0])
    shares = {"before": one[seen], "after": whole[seen], "domain": whole}
    return numbers | {k: float(np.mean(v)) for k, v in shares.items()} | {"perfect": int(whole[seen].all())}


def pieces(x: ArrayLike, b: float) -> Array:
    """Return the solution of section 2: f_0 up to x = 1 (where its pieces overlap, the first is taken), f_b beyond."""
    return np.where(np.asarray(x) <= 1, model(x, 0), model(x, b))


def reflection(config: dict[str, Any], seed: int) -> ErrorReflectionRegressor:
    """Return the method, unfitted: wrong answers are the error cases, and ISODATA aims at the toy's one cluster."""

    def drawn(y: Array, prediction: Array) -> Array:
        return np.random.default_rng(seed).permutation(y != prediction)

    errors = drawn if config["answer"] == "control" else np.not_equal
    network = FloorReluRegressor(loss=config["loss"], start=STARTS[config["start"]])
    gate = GATES[config["gate"]]
    return ErrorReflectionRegressor(network, clusterer=Isodata(1), gate=gate, errors=errors, random_state=seed)
