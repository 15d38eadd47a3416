"""Functions that numba compiles: kept on the disk between processes where that can be, and just as good where not."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache


class _Cache(FunctionCache):
    """numba's own cache, but that a file which cannot be read or written costs the time to compile, and no more."""

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # of another user, torn, or of another system: whatever it is, compiling helps
            return None

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except Exception:  # the disk is full, or the index torn
            # the index is written first: left there, it would pass code of older sources for that of these
            with suppress(OSError):
                Path(self._cache_file._index_path).unlink(missing_ok=True)


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorate a function that numba compiles when it is first called, without the global lock.

    What was compiled is kept beside the sources, or in the user's cache, or in the folder that ``NUMBA_CACHE_DIR``
    names. Where none of them can be written, each process compiles anew: the same code, and so the same digits.

    Parameters
    ----------
    **options
        Of `numba.njit`.

    Returns
    -------
    callable
        The decorator.

    Examples
    --------
    >>> @compiled(error_model="numpy")
    ... def half_of(x):
    ...     return x / 2
    >>> half_of(3.0)
    1.5
    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = njit(nogil=True, **options)(function)
        if os.path.expanduser("~") != "~":  # a home that nobody knows would become a folder of that name, here
            with suppress(RuntimeError):  # there is no folder that can be written
                dispatcher._cache = _Cache(function)
        return dispatcher

    return decorate
