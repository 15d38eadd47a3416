"""Statistics over seeds, with their intervals: the arithmetic that the rules of the ledger are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

Array = np.ndarray
RESAMPLES = 4999


def _reduction(measure: Array, against: Array) -> Array:
    """1 - median(measure) / median(against): the share of the loss that is gone."""
    return 1 - _ratio(measure, against)


def _ratio(measure: Array, against: Array) -> Array:
    """median(measure) / median(against): below 1 where the measure is the smaller loss."""
    return np.median(measure, axis=-1) / np.median(against, axis=-1)


# Each takes arrays of shape (..., n), one entry a seed, and returns shape (...): so one call serves all resamples.
STATISTICS: dict[str, Callable[..., Array]] = {
    "median": lambda measure: np.median(measure, axis=-1),
    "log10_median": lambda measure: np.log10(np.median(measure, axis=-1)),
    "reduction": _reduction,
    "ratio": _ratio,
    "accuracy": lambda measure: np.median(measure, axis=-1),  # a median that is read in per cent
    "share": lambda measure: np.mean(measure, axis=-1),
}
PAIRED = {"reduction", "ratio"}


def apply(name: str, arrays: Sequence[Array], than: Sequence[Array] = ()) -> Array:
    """A statistic of arrays of shape (..., n), or its difference to that of others; shape (...)."""
    with np.errstate(divide="ignore", invalid="ignore"):  # a loss of 0 has no logarithm and no reduction
        return STATISTICS[name](*arrays) - (STATISTICS[name](*than) if len(than) else 0)


def estimate(
    name: str, arrays: Sequence[Array], confidence: float, than: Sequence[Array] = ()
) -> tuple[float, tuple[float, float] | None]:
    """A statistic of arrays that are paired by seed, with its interval.

    Bootstrap over seeds (percentile, pairs kept together); for a share the Clopper-Pearson interval of a binomial
    proportion, since resampling rows that all agree would give an interval of no width.

    Parameters
    ----------
    name : str
        One of `STATISTICS`.
    arrays : sequence of (n,)
        What the statistic takes, one entry a seed.
    confidence : float
    than : sequence of (n,), default=()
        The same of another configuration, on the same seeds; the statistic is then the difference of the two.

    Returns
    -------
    value : float
    interval : (float, float) or None
        None for fewer than two seeds.
    """
    half, value = len(arrays), float(apply(name, arrays, than))
    if name == "share" and not than:
        return value, proportion(int(arrays[0].sum()), len(arrays[0]), confidence)
    return value, bootstrap(lambda *drawn: apply(name, drawn[:half], drawn[half:]), [*arrays, *than], confidence)


def bootstrap(
    statistic: Callable[..., Array], arrays: Sequence[Array], confidence: float
) -> tuple[float, float] | None:
    """Percentile interval of a statistic over seeds, from always the same resamples; None for fewer than two seeds."""
    n = len(arrays[0])
    if n < 2:
        return None
    draw = resamples(n)
    low, high = percentiles(statistic(*(a[draw] for a in arrays)), confidence)
    return float(low), float(high)


def resamples(n: int) -> Array:
    """Which of n seeds each resample of `bootstrap` draws, (`RESAMPLES`, n): always the same."""
    return np.random.default_rng(0).integers(n, size=(RESAMPLES, n))


def percentiles(values: Array, confidence: float) -> Array:
    """Both ends of the percentile interval of resampled values (..., `RESAMPLES`); shape (2, ...)."""
    return np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2], axis=-1)


def proportion(successes: int, n: int, confidence: float) -> tuple[float, float]:
    """Clopper-Pearson interval of a binomial proportion.

    >>> low, high = proportion(20, 20, 0.95)
    >>> print(f"{low:.3f} to {high:.3f}")
    0.832 to 1.000
    """
    from scipy import stats  # here, since it takes half a second to import, and the medians do without

    interval = stats.binomtest(successes, n).proportion_ci(confidence, method="exact")
    return float(interval.low), float(interval.high)


def corrected_interval(
    differences: ArrayLike, test_share: float, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Mean of the differences over the folds of repeated cross-validation, and the ends of its interval.

    The corrected resampled t interval of Nadeau and Bengio (2003): folds share most of their training samples, so that
    the variance of the mean is larger than a J-th of that of the J differences, by the ratio of test to training size.

    >>> mean, low, high = corrected_interval([0.1, 0.3, 0.2, 0.4], test_share=0.2)
    >>> print(f"{mean:.2f}, {low:.2f} to {high:.2f}")
    0.25, -0.04 to 0.54
    """
    from scipy import stats

    values = np.asarray(differences, dtype=float)
    variance = (1 / len(values) + test_share / (1 - test_share)) * values.var(ddof=1)
    half = float(stats.t.ppf((1 + confidence) / 2, len(values) - 1) * np.sqrt(variance))
    return float(values.mean()), float(values.mean()) - half, float(values.mean()) + half
