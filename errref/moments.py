"""Sorted samples on a line and their moments, from which `errref.exact` has every sum over samples."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from errref.checks import numbers

Floats = NDArray[np.float64]


class Samples(NamedTuple):
    """Sorted samples and their moments, as `prepare` makes them.

    Attributes
    ----------
    x : ndarray of shape (n + 2,)
        The sorted inputs between -inf and inf, so that a search for a switch needs no special case at the ends.
    moments : ndarray of shape (n + 1, 8)
        Row k holds the sums of s, s z, s z^2, s y and s z y over the samples before the k-th (k <= n // 2), or minus
        the sums from the k-th on (k > n // 2), where z = x - centre. Summing from the nearer end keeps the digits of
        short sums. Three unused columns make a row one cache line.
    totals : ndarray of shape (2, 5)
        What a difference of rows of `moments` lacks: nothing, or across n // 2 the sums over all samples.
    centre : float
        Weighted mean of x. Moments about it do not cancel when the samples lie far from the origin.
    squares : float
        Sum of s y^2.

    Examples
    --------
    >>> samples = prepare([3, 0, 1, 2], [9, 0, 1, 4])
    >>> samples.centre, samples.squares
    (1.5, 49.0)
    """

    x: Floats
    moments: Floats
    totals: Floats
    centre: float
    squares: float


def prepare(x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Samples:
    """Sort the samples and sum their moments.

    Parameters
    ----------
    x, y : array-like of shape (n,)
        Finite inputs and targets, in any order, with or without duplicates; n >= 1.
    sample_weight : array-like of shape (n,), default None
        Non-negative weights with a positive sum; None means equal weights.

    Returns
    -------
    Samples
        72 bytes a sample. The weights s in it sum to 2, so that the loss is half of the sum of s r^2, and its gradient
        has no factor of 2.

    Raises
    ------
    ValueError
        If these are no such arrays, or reach too far to be squared.

    Examples
    --------
    >>> prepare([2, 0, 1], [4, 0, 1]).x
    array([-inf,   0.,   1.,   2.,  inf])
    """
    x, y = numbers(x, "x"), numbers(y, "y")
    s = np.ones(len(x)) if sample_weight is None else numbers(sample_weight, "sample_weight")
    if not len(x) == len(y) == len(s) > 0:
        raise ValueError(f"x, y and sample_weight need one entry a sample; they have {len(x)}, {len(y)} and {len(s)}.")
    if s.min() < 0 or s.max() == 0:
        raise ValueError("sample_weight must be 0 or more, and more for one sample at least.")
    order = np.argsort(x, kind="stable")
    x = x[order]
    # Extended precision, where the platform has it, keeps prefix sums over 100,000 samples right to the last digit.
    y = y[order].astype(np.longdouble)
    s = s[order] * (2 / s[order].sum(dtype=np.longdouble))
    centre = float(s @ x / 2)
    z = x.astype(np.longdouble) - centre
    terms = np.stack([s, s * z, s * z * z, s * y, s * z * y], axis=1)
    half = len(x) // 2
    moments = np.zeros((len(x) + 1, 8))
    with np.errstate(over="ignore"):  # which the next error reports
        moments[1 : half + 1, :5] = np.cumsum(terms[:half], axis=0)
        moments[half + 1 : -1, :5] = -np.cumsum(terms[:half:-1], axis=0)[::-1]
        totals = np.stack([np.zeros(5), terms.sum(axis=0)]).astype(np.float64)
        squares = float(s @ (y * y))
    if not np.isfinite([moments.sum(), totals.sum(), squares]).all():
        raise ValueError("x or y reaches too far to be squared; divide them by a constant.")
    return Samples(np.concatenate([[-np.inf], x, [np.inf]]), moments, totals, centre, squares)


def network(weights: ArrayLike, dimensions: int = 1) -> Floats:
    """Flat weights of networks, the last axis of 3 H + 1 numbers, as a new array; they need not be finite."""
    array = numbers(weights, "weights", dimensions, finite=False)
    if array.shape[-1] < 4 or array.shape[-1] % 3 != 1:
        raise ValueError(f"weights must be 3 H + 1 numbers for H hidden units, got shape {array.shape}.")
    return array
