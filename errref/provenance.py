"""Where a row comes from: the package's sources, the versions of what matters, the kind of machine."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from pathlib import Path
from typing import Any

from errref import __version__

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
