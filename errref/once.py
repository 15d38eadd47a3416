"""Results that several rows share, computed once."""

from collections.abc import Callable, Hashable
from concurrent.futures import Future
from functools import wraps
from inspect import signature
from threading import Lock
from typing import Any


def once(function: Callable) -> Callable:
    """Compute a result once for each set of arguments, also where several threads ask for it together.

    An argument that is left out is its default. Keywords say how the one who asks first is kept informed, and nothing
    about the result.
    """
    results: dict[Hashable, Future] = {}
    lock, parameters = Lock(), signature(function)

    @wraps(function)
    def wrapper(*given: Hashable, **how: Any) -> Any:
        bound = parameters.bind(*given)
        bound.apply_defaults()
        key = bound.args
        with lock:
            first = key not in results
            future = results.setdefault(key, Future())
        if first:
            try:
                future.set_result(function(*key, **how))
            except BaseException as error:
                future.set_exception(error)
                del results[key]  # so that the next one tries again
                raise
        return future.result()

    return wrapper
