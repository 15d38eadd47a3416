"""How often the rules of the ledger would be wrong: what they say of samples whose true effect is known.

A reading *falsely holds* if it does where the true effect lies on the wrong side of its bound, and *falsely breaks*
if it breaks where the effect lies on the right side. Both are most frequent where the effect lies at the bound itself,
so that is where samples are drawn from: ideal ones, and recorded ones that are moved there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement
from math import factorial, prod
from typing import Any

import numpy as np
from scipy import stats

from errref.claims import Claim, alike_in, columns_of, keeps, systems_of, table_of, word_of
from errref.compiled import compiled
from errref.ledger import BOUNDS, readings
from errref.records import Row
from errref.statistics import PAIRED, apply, percentiles, proportion, resamples

Array = np.ndarray
Columns = list[list[Array]]  # for each configuration that a reading looks at, what its statistic takes, (..., n) each
Bound = dict[str, float]
NUDGE = 1e-9  # so little beyond the bound, or within it, lies a true effect that is said to lie at the bound
TIES = 0.005  # share of systems by which a bound at their median may miss the half
CODES = {True: 1, False: -1, None: 0}  # it holds, it breaks, it stays open
HOLDS = {code: holds for holds, code in CODES.items()}
WRONG, RIGHT = 1, -1  # the true effect lies just on that side of the bound

SHAPES: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Array]] = {  # each with median 0
    "normal": lambda rng, size: rng.normal(size=size),
    "heavy tails": lambda rng, size: rng.standard_t(3, size=size),  # its variance is finite, its skewness is not
    "skewed": lambda rng, size: rng.exponential(size=size) - np.log(2),
    "two values": lambda rng, size: rng.choice([-1.0, 1.0], size=size),
}


# -- what a rule says of many samples at once --------------------------------------------------------------------------


def intervals(statistic: str, columns: Columns, confidence: float) -> Array:
    """The interval of `errref.statistics.estimate` for each of many samples, much faster than one by one.

    Parameters
    ----------
    statistic : str
        One of `errref.statistics.STATISTICS`.
    columns : list of list of (samples, n)
        One inner list, or two whose statistics are compared.
    confidence : float

    Returns
    -------
    (2, samples)

    Examples
    --------
    >>> intervals("median", [[np.array([[1.0, 2, 3, 4, 5], [-4, 1, 2, -1, -1]])]], 0.95).tolist()
    [[1.0, -4.0], [5.0, 2.0]]
    """
    if statistic == "share":
        zeros_and_ones = columns[0][0]
        n = zeros_and_ones.shape[-1]
        return np.array([_proportion(int(successes), n, confidence) for successes in zeros_and_ones.sum(axis=-1)]).T
    medians = [[_medians(a, _counts(a.shape[-1]))[..., None] for a in one] for one in columns]
    return percentiles(apply(statistic, medians[0], *medians[1:]), confidence)


def outcomes(bound: Bound, ends: Array, truth: int = 0) -> Array:
    """What a bound says of intervals (2, samples): 1 it holds, -1 it breaks, 0 open; shape (samples,).

    Where the intervals come from samples whose true effect lies at the bound, ``truth`` puts it just on the `WRONG` or
    on the `RIGHT` side, which makes a difference where many numbers are equal.
    """
    limits = {
        word: limit + NUDGE * truth * (1 if word in ("at_least", "above") else -1) for word, limit in bound.items()
    }
    return np.array([CODES[keeps(limits, (low, high))] for low, high in ends.T])


_proportion = cache(proportion)


@cache
def _counts(n: int) -> Array:
    """How often each of n seeds stands in each resample of the bootstrap, (n, resamples)."""
    drawn = resamples(n)
    return np.stack([np.count_nonzero(drawn == seed, axis=1) for seed in range(n)]).astype(np.uint16)


@compiled()
def _medians(samples, counts):
    """Median of each resample of each sample (samples, n): (samples, resamples).

    A running count over the seeds in the order of their values finds the ranks of both middle values.
    """
    n, n_resamples = counts.shape
    below, above = (n + 1) // 2, n // 2 + 1
    found = np.empty((len(samples), n_resamples))
    for s in range(len(samples)):
        order = np.argsort(samples[s])
        so_far = np.zeros(n_resamples, np.uint16)
        low, high = so_far.copy(), so_far.copy()
        for k in order[:-1]:
            for r in range(n_resamples):
                so_far[r] += counts[k, r]
                low[r] += np.uint16(so_far[r] < below)
                high[r] += np.uint16(so_far[r] < above)
        for r in range(n_resamples):
            found[s, r] = (samples[s, order[low[r]]] + samples[s, order[high[r]]]) / 2
    return found


# -- ideal samples -----------------------------------------------------------------------------------------------------


def ideal(statistic: str, compared: bool, shape: str, n: int, samples: int, effect: float = 0.0) -> Array:
    """Intervals at 95 % of samples of n seeds from one of `SHAPES`, (2, samples).

    The statistic is a median or made of medians; ``compared`` takes its difference to that of another configuration.
    Losses, of which a ratio, a reduction or a logarithm is taken, are 10 to the power of the distribution. The effect
    is added to what is measured, in units of the distribution; without one, the truth lies at `ideal_bound`.
    """
    rng = np.random.default_rng(0)
    names = 2 if statistic in PAIRED else 1
    drawn = [[SHAPES[shape](rng, (samples, n)) for _ in range(names)] for _ in range(1 + compared)]
    drawn[0][0] += effect
    columns = drawn if statistic in ("median", "accuracy") else [[10**a for a in one] for one in drawn]
    return intervals(statistic, columns, 0.95)


def ideal_bound(statistic: str, compared: bool) -> Bound:
    """The bound at which the statistic of `ideal` samples without an effect lies."""
    return {"above": 1.0 if statistic == "ratio" and not compared else 0.0}


def share_rates(n: int, bound: Bound, confidence: float) -> tuple[float, float]:
    """Probability that a rule about a share falsely holds, and falsely breaks; exactly, for a true share at the bound.

    >>> print("{:.4f}, {:.4f}".format(*share_rates(20, {"above": 0.5}, 0.95)))
    0.0207, 0.0207
    """
    (share,) = bound.values()
    ends = np.array([_proportion(successes, n, confidence) for successes in range(n + 1)]).T
    chance = stats.binom.pmf(np.arange(n + 1), n, share)
    holds, breaks = (outcomes(bound, ends, truth) == code for truth, code in ((WRONG, 1), (RIGHT, -1)))
    return float(chance[holds].sum()), float(chance[breaks].sum())


# -- recorded samples --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Simulated:
    """What the rule of a claim finds in many samples: see `simulated`.

    ``ends`` are the intervals (2, samples) of each reading that chance can move, ``fixed`` the outcomes of the others.
    """

    claim: Claim
    ends: dict[str, Array]
    fixed: dict[str, int]

    def outcomes(self, truth: int = 0) -> Array:
        """As the function `outcomes`, (readings that chance can move, samples)."""
        parts = readings(self.claim.rule or {})
        return np.array([outcomes(parts[name]["bound"], ends, truth) for name, ends in self.ends.items()])

    def words(self, truth: int = 0) -> Counter[str]:
        """How many of the samples lead to each verdict; empty if chance moves no reading."""
        fixed = [HOLDS[code] for code in self.fixed.values()]
        each = [[HOLDS[int(code)] for code in codes] for codes in self.outcomes(truth).T]
        return Counter(word_of(self.claim.kind, [*holds, *fixed]) for holds in each)


def simulated(claim: Claim, rows: list[Row], samples: int, at_bound: bool) -> Simulated:
    """Draw samples of seeds from the recorded ones, as they are or moved to the bound of each reading.

    Each sample draws seeds with replacement, the same for all readings, which stay paired. Zeros and ones cannot be
    moved, so where a share shall lie at its bound, they are drawn anew, for each reading by itself.
    At the bound, readings that chance cannot move are left out: their seeds all agree, or their statistic is not
    finite. The claim is measured, or a hypothesis, and its rule has no ``each``.
    """
    assert claim.rule is not None
    confidence, table = claim.rule["confidence"], table_of(rows)
    rng = np.random.default_rng(list(claim.label.encode()))  # each claim has its own draws
    draws: dict[int, Array] = {}
    found: dict[str, Array] = {}
    fixed: dict[str, int] = {}
    for name, part in readings(claim.rule).items():
        columns, statistic = columns_of(f"{claim.id}, reading {name}", part, table), part["statistic"]
        n = len(columns[0][0])
        if n < 2:
            continue  # pending: there are no rows
        draw = draws.setdefault(n, rng.integers(n, size=(samples, n)))
        if at_bound and statistic == "share":
            (share,) = part["bound"].values()
            found[name] = intervals(statistic, [[rng.random((samples, n)) < share]], confidence)
        elif movable(part, columns):
            moved = at_nearest_bound(part, columns) if at_bound else columns
            found[name] = intervals(statistic, [[a[draw] for a in one] for one in moved], confidence)
        elif not at_bound:
            once = intervals(statistic, [[a[None] for a in one] for one in columns], confidence)
            fixed[name] = int(outcomes(part["bound"], once)[0])
    return Simulated(claim, found, fixed)


def value_of(part: dict[str, Any], columns: Columns) -> float:
    """The statistic of a reading."""
    return float(apply(part["statistic"], columns[0], *columns[1:]))


def movable(part: dict[str, Any], columns: Columns) -> bool:
    """Whether chance can move a reading: its statistic is finite, and its seeds do not all agree.

    A ratio that is 0 or negative cannot be moved to a positive bound.
    """
    value = value_of(part, columns)
    stuck = not np.isfinite(value) or (part["statistic"] == "ratio" and value <= 0)
    return not stuck and any(np.ptp(a) > 0 for one in columns for a in one)


def at_nearest_bound(part: dict[str, Any], columns: Columns) -> Columns:
    """The same numbers, changed so that their statistic lies at the nearest bound.

    Numbers of a median are shifted; losses are multiplied, so that their logarithms are shifted.
    """
    value, (measure, *against), name = value_of(part, columns), columns[0], part["statistic"]
    bound = min(part["bound"].values(), key=lambda limit: abs(limit - value))
    if name in ("median", "accuracy"):
        changed = measure + (bound - value)
    elif name == "log10_median":
        changed = measure * 10 ** (bound - value)
    elif name == "ratio":
        changed = measure * (bound / value)
    else:  # a reduction is 1 less a ratio
        ratio = np.median(measure) / np.median(against[0])
        changed = measure * ((ratio - (bound - value)) / ratio)
    return [[changed, *against], *columns[1:]]


# -- shares of systems -------------------------------------------------------------------------------------------------


def systems_shares(claim: Claim, rows: list[Row], at_bound: bool) -> dict[str, tuple[Array, Array]]:
    """For each reading of a rule with ``each``: in how many systems it holds, by sample of seeds, and its probability.

    All systems share their seeds, so a sample is one multiset of seeds for all of them; every multiset is tried.
    With ``at_bound``, the bound of ``each`` is moved to the median of all systems, so that half of them keep it;
    readings in which so many tie there that it does not split them in half, to ``TIES``, are left out.
    """
    assert claim.rule is not None
    table, found, known = table_of(rows), {}, dict[tuple[str, ...], Any]()
    for name, part in readings(claim.rule).items():
        named = tuple(sorted(part["select"]))
        if named not in known:
            known[named] = systems_of(table, named)
        (alike,) = alike_in(f"{claim.id}, reading {name}", part, known[named], claim.rule["seeds"])
        each = part["each"]
        if at_bound:
            recorded = apply(part["statistic"], list(alike[0]), *alike[1:])
            each = {"above": np.median(recorded)}
            if abs(np.mean(recorded > each["above"]) - 0.5) > TIES:
                continue
        seeds, chance = multisets(alike.shape[-1])
        drawn = alike[..., seeds]  # (selects, names, systems, multisets, n)
        value = apply(part["statistic"], list(drawn[0]), *drawn[1:])
        kept = np.all([BOUNDS[word](value, limit) for word, limit in each.items()], axis=0)
        found[name] = kept.sum(axis=0), chance
    return found


def systems_rates(claim: Claim, shares: dict[str, tuple[Array, Array]], truth: int = 0) -> dict[str, dict[int, float]]:
    """Probability of each outcome, by reading: the rule takes all systems of `systems_shares` for independent."""
    assert claim.rule is not None
    parts, found = readings(claim.rule), {}
    for name, (kept, chance) in shares.items():
        ends = np.array([_proportion(int(k), claim.rule["systems"], claim.rule["confidence"]) for k in kept]).T
        codes = outcomes(parts[name]["bound"], ends, truth)
        found[name] = {code: float(chance[codes == code].sum()) for code in HOLDS}
    return found


def multisets(n: int) -> tuple[Array, Array]:
    """Every sample of n seeds out of n, drawn with replacement, and its probability.

    >>> seeds, chance = multisets(2)
    >>> seeds.tolist(), chance.tolist()
    ([[0, 0], [0, 1], [1, 1]], [0.25, 0.5, 0.25])
    """
    seeds = list(combinations_with_replacement(range(n), n))
    ways = [factorial(n) / prod(map(factorial, Counter(drawn).values())) for drawn in seeds]
    return np.array(seeds), np.array(ways) / n**n
