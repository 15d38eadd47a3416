"""Checks of what a function is given: the value as it is used, or a ValueError that says what it must be."""

from __future__ import annotations

import sys
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray


def whole(value: Any, name: str, least: int) -> int:
    """A whole number of at least ``least``.

    >>> whole(np.int64(3), "steps", 0)
    3
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r:.80}.")
    return int(value)


def positive(value: Any, name: str) -> None:
    """Refuse what is no finite number above 0."""
    number: Any = value  # an int can be too large for a float, and so is compared as it is
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 < number <= sys.float_info.max:
        raise ValueError(f"{name} must be a positive number, got {value!r:.80}.")


def numbers(values: Any, name: str, dimensions: int = 1, finite: bool = True) -> NDArray[np.float64]:
    """Real numbers as a new array of float64.

    >>> numbers([1, 2], "x")
    array([1., 2.])
    """
    try:
        given = np.asarray(values)
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} must be an array of real numbers, got {values!r:.80}.") from None
    if given.dtype.kind in "cmM" or array.ndim != dimensions:
        kind = f"real numbers in {dimensions} dimension{'s'[: dimensions - 1]}"
        raise ValueError(f"{name} must hold {kind}, got type {given.dtype} and shape {array.shape}.")
    if finite and not np.isfinite(array).all():
        raise ValueError(f"{name} must hold finite numbers, and some are not; leave those samples out.")
    return array


def generator(seed: Any) -> np.random.Generator:
    """What numpy draws from for a ``random_state``: a generator itself, or one that begins at a seed."""
    number = int(seed) if isinstance(seed, Integral) else None
    if not isinstance(seed, np.random.Generator | Integral | None) or (number or 0) < 0:
        raise ValueError(f"random_state must be None, an integer of at least 0 or a Generator, got {seed!r:.80}.")
    return seed if isinstance(seed, np.random.Generator) else np.random.default_rng(number)
