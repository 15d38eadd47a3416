"""Sorted samples on a line and their moments, from which `errref.exact` has every sum over samples."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

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

    Examples
    --------
    >>> prepare([2, 0, 1], [4, 0, 1]).x
    array([-inf,   0.,   1.,   2.,  inf])
    """
    x = np.asarray(x, dtype=np.float64)
    order = np.argsort(x, kind="stable")
    x = x[order]
    # Extended precision, where the platform has it, keeps prefix sums over 100,000 samples right to the last digit.
    y = np.asarray(y, dtype=np.float64)[order].astype(np.longdouble)
    s = np.ones(len(x)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)[order]
    s = s * (2 / s.sum(dtype=np.longdouble))
    centre = float(s @ x / 2)
    z = x.astype(np.longdouble) - centre
    terms = np.stack([s, s * z, s * z * z, s * y, s * z * y], axis=1)
    half = len(x) // 2
    moments = np.zeros((len(x) + 1, 8))
    moments[1 : half + 1, :5] = np.cumsum(terms[:half], axis=0)
    moments[half + 1 : -1, :5] = -np.cumsum(terms[:half:-1], axis=0)[::-1]
    totals = np.stack([np.zeros(5), terms.sum(axis=0)]).astype(np.float64)
    return Samples(np.concatenate([[-np.inf], x, [np.inf]]), moments, totals, centre, float(s @ (y * y)))
