"""One module per chapter: one configuration and one seed in, one flat row of numbers out.

A module has ``configurations()`` and ``SEEDS``, the configurations and the number of seeds that are recorded;
``run(config, seed)``, which returns the numbers of one row; and one function for each derived claim, which returns its
readings. `optimisers` is a part of `forgetting`, `effects` of `multiverse`.
"""

from __future__ import annotations

import difflib
import importlib
from types import ModuleType
from typing import Any

from errref.numerics import WITHOUT_TORCH

NAMES = ("intuition", "isodata", "functions", "rivals", "multiverse", "forgetting", "traps", "fashion", "own_data")


def load(name: str) -> ModuleType:
    """The experiment module of that name.

    Parameters
    ----------
    name : str
        One of ``NAMES``.

    Returns
    -------
    module
        With ``configurations()``, ``SEEDS`` and ``run(config, seed)``.

    Raises
    ------
    ValueError
        For an unknown name, with the nearest known one.

    Examples
    --------
    >>> study = load("intuition")
    >>> study.run({"answer": "pieces", "b": 3.0}, seed=0)["after"]
    1.0
    """
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(NAMES)}."
        raise ValueError(f"There is no experiment {name!r}: {hint}")
    return importlib.import_module(f"errref.experiments.{name}")


def depends(name: str, config: dict[str, Any]) -> tuple[str, ...]:
    """Parts of the numerics that a row depends on.

    Parameters
    ----------
    name : str
        One of ``NAMES``.
    config : dict
        A configuration of that experiment.

    Returns
    -------
    tuple of str
        As `errref.numerics.numerics` takes them: all but torch, unless the module has a function of this name that says
        otherwise.

    Examples
    --------
    >>> "torch" in depends("functions", {}), "torch" in depends("fashion", {})
    (False, True)
    """
    module = load(name)
    return module.depends(config) if hasattr(module, "depends") else WITHOUT_TORCH
