"""Where a row comes from: the package's sources, the versions of what matters, the kind of machine."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from errref import __version__
from errref.datasets import FUNCTIONS, samples

PACKAGE = Path(__file__).parent
MATTERS = ("numpy", "scipy", "scikit-learn", "numba", "torch")


def source_hash() -> str:
    """Hash of the package's own source files, in order of their names."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def software() -> dict[str, Any]:
    """What must be the same wherever the rows of one run are measured."""
    return {
        "package": __version__,
        "source": source_hash(),
        "python": platform.python_version(),
        "versions": {d.name: d.version for d in importlib.metadata.distributions() if d.name in MATTERS},
    }


def machine() -> str:
    """The kind of machine: system and processor."""
    return f"{platform.system()} {platform.machine()}"


@cache
def numerics() -> str:
    """How this machine rounds, as eight characters: where they differ, a long training ends at other digits.

    Long training is chaotic, so a change of the last digit can grow to one of the first. What is hashed goes through
    the compiled loops of `errref.exact`, the functions of numpy and its matrix product.

    Examples
    --------
    >>> len(numerics()), numerics() == numerics()
    (8, True)
    """
    from errref.networks import ReluRegressor  # this compiles, which a mere look at a version should not

    network = ReluRegressor(steps=2000, random_state=0).fit(*samples(FUNCTIONS["jump-piecewise"], 64))
    x = np.linspace(0.1, 9.9, 4096)
    parts = [network.hidden_weights_, network.output_weights_, np.exp(x), np.log(x), np.tanh(x)]
    parts += [np.cos(np.outer(x[:64], x[64:128]).astype(kind)) @ np.ones((64, 7), kind) for kind in (np.float32, float)]
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()[:8]
