"""How this machine rounds, part by part: where a part differs, a long training that depends on it ends elsewhere.

Each part computes something small with one library, and is told by eight characters of a hash of the result. A row is
compared to the last digit with what is measured here if the parts that it depends on are those of the machine that
recorded it; else by where the recorded seeds ended: see `errref.agreement`.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits


def _loops() -> list[Any]:
    """The compiled loops of `errref.exact`, by plain descent: Adam takes its step sizes from a function of numpy."""
    from errref.exact import gradient, prepare  # this compiles, which a mere look at a version should not

    x, weights = np.arange(-32, 32) / 32.0, np.arange(31) % 7 / 4.0 - 0.8
    samples = prepare(x, np.abs(x) - (x > 0.5))
    for _ in range(200):
        weights = weights - 0.05 * gradient(samples, weights)[1]
    return [weights]


def _numpy() -> list[Any]:
    """The functions and sums of numpy."""
    x = np.linspace(0.1, 9.9, 4096)
    functions = (np.exp, np.log, np.tanh, np.sin, np.sqrt, lambda x: x**1.7, np.sum, np.var)
    return [function(x.astype(kind)) for function in functions for kind in (np.float32, np.float64)]


def _openblas() -> list[Any]:
    """Matrix products and decompositions of numpy and scipy, which each bring a library of their own."""
    from scipy.linalg import lstsq

    square = np.cos(np.outer(np.linspace(0.1, 1.9, 64), np.linspace(2.0, 3.9, 64)))
    products = [square.astype(kind) @ np.ones((64, 7), kind) for kind in (np.float32, np.float64)]
    symmetric = square @ square.T
    return [*products, symmetric, np.linalg.svd(square)[1], np.linalg.eigvalsh(symmetric), lstsq(square, square[0])[0]]


def _gate() -> list[Any]:
    """A network of scikit-learn by scipy's L-BFGS, as gates are trained."""
    from sklearn.neural_network import MLPClassifier

    x = np.linspace(-1, 1, 96).reshape(-1, 1)
    routes = (np.arange(96) // 12) % 3
    network = MLPClassifier((10,), solver="lbfgs", max_iter=40, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 40 iterations are not meant to converge
        return network.fit(x, routes).coefs_


def _torch() -> list[Any]:
    """Steps of a network for images, and a matrix product, on the device that such networks train on."""
    from errref.networks import ConvClassifier
    from errref.networks.backend import load_torch

    torch = load_torch()
    images = (np.arange(128 * 784) * 2654435761 % 251).astype(np.uint8).reshape(128, 784)
    model = ConvClassifier(epochs=1, min_steps=4, batch_size=64, n_jobs=1, random_state=0)
    trained = list(model.fit(images, np.arange(128) % 10).module_.parameters())
    square = torch.arange(256 * 256, dtype=torch.float32).reshape(256, 256).cos().to(trained[0].device)
    return [part.detach().cpu().numpy() for part in (*trained, square @ square)]


_MEASURED: dict[str, Callable[[], list[Any]]] = {
    "loops": _loops,
    "numpy": _numpy,
    "openblas": _openblas,
    "gate": _gate,
    "torch": _torch,
}
PARTS = tuple(_MEASURED)
WITHOUT_TORCH = tuple(part for part in PARTS if part != "torch")


@cache
def _told(part: str) -> str:
    with threadpool_limits(1):  # as rows are measured
        arrays = [np.ascontiguousarray(array) for array in _MEASURED[part]()]
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()[:8]


def numerics(parts: Iterable[str] = WITHOUT_TORCH) -> dict[str, str]:
    """How this machine rounds.

    Parameters
    ----------
    parts : iterable of str, default=WITHOUT_TORCH
        Of ``PARTS``. "loops": the compiled loops of the exact trainer; "numpy": its functions and sums; "openblas":
        matrix products and decompositions; "gate": a network by L-BFGS; "torch": convolutions and matrix products.

    Returns
    -------
    dict of str
        Eight characters for each part.

    Raises
    ------
    ImportError
        For the part "torch" where torch is missing; says how to install it.

    Examples
    --------
    >>> here = numerics(["numpy", "openblas"])
    >>> list(here), here == numerics(["numpy", "openblas"])
    (['numpy', 'openblas'], True)
    """
    return {part: _told(part) for part in parts}
