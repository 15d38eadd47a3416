"""Results that several rows share, computed once."""

from collections.abc import Callable, Hashable
from concurrent.futures import Future
from functools import wraps
from threading import Lock
from typing import Any


def once(function: Callable) -> Callable:
    """Compute a result once for each set of arguments, also where several threads ask for it together."""
    results: dict[Hashable, Future] = {}
    lock = Lock()

    @wraps(function)
    def wrapper(*key: Hashable) -> Any:
        with lock:
            first = key not in results
            future = results.setdefault(key, Future())
        if first:
            try:
                future.set_result(function(*key))
            except BaseException as error:
                future.set_exception(error)
                del results[key]  # so that the next one tries again
                raise
        return future.result()

    return wrapper
