"""ISODATA an iteration at a time, on the samples of its chapter, with every parameter in the reader's hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets
from sklearn.dummy import DummyRegressor
from sklearn.frozen import FrozenEstimator

from errref.experiments.functions import BASE, data
from errref.experiments.isodata import general_network
from errref.figures import COLOURS
from errref.isodata import Isodata
from errref.once import once
from errref.reflection import ErrorReflectionRegressor
from errref.widgets import Moving, script, synced

Array = np.ndarray
SYMBOLS = {
    "n_clusters": "K",
    "min_samples": "θ_N",
    "max_std": "θ_S",
    "min_distance": "θ_C",
    "max_merges": "L",
    "max_iter": "I",
    "split_fraction": "γ",
}
# The samples of the chapter, with the settings and the start that it has for them; `step` is that of the thresholds'
# controls, in units of X. Those of the error cases are rounded to it, which changes no event.
EXAMPLES: dict[str, dict[str, Any]] = {
    "two samples": {
        "X": [[0.0], [1.0]],
        "step": 0.05,
        "start": [[0.5]],
        "settings": {"n_clusters": 2, "max_std": 0.25, "min_distance": 2.0, "max_iter": 6},
    },
    "six samples": {
        "X": [[0.0], [4.0], [5.0], [6.0], [7.0], [8.0]],
        "step": 0.1,
        "start": [[0.0], [6.0]],
        "settings": {"n_clusters": 2, "max_std": 1.0, "min_distance": 3.0, "max_iter": 6},
    },
    "eight samples": {
        "X": [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [4.0, 3.0], [5.0, 3.0], [4.0, 4.0], [5.0, 4.0], [6.0, 5.0]],
        "step": 0.1,
        "start": [[0.0, 0.0]],
        "settings": {"n_clusters": 2, "max_std": 1.0, "min_distance": 4.0, "max_merges": 0, "max_iter": 4},
    },
    "error cases": {
        "step": 0.05,
        "start": np.linspace(-1, 1, 6)[:, None].tolist(),
        "settings": {"n_clusters": 3, "min_samples": 12, "max_std": 0.2, "min_distance": 0.65, "max_iter": 8},
    },
}


@once
def error_cases(function: str, seed: int) -> Array:
    """Return the inputs of a general network's error cases, the worst half of its samples, shape (n, 1)."""
    X, y = data({"function": function}, BASE["n_samples"])
    general = FrozenEstimator(general_network(function, seed))
    return X[ErrorReflectionRegressor(general, expert=DummyRegressor(), errors=0.5).fit(X, y).errors_]


def examples() -> dict[str, dict[str, Any]]:
    """Return the examples with all their samples; those of the error cases are found when they are asked for."""
    found = {"error cases": {"X": error_cases("quartic", 1000).tolist()}}
    return {name: example | found.get(name, {}) for name, example in EXAMPLES.items()}


class Iterations(Moving):
    """ISODATA an iteration at a time, run anew in the browser at every change.

    Parameters
    ----------
    samples : {"two samples", "six samples", "eight samples", "error cases"}, default "six samples"
        Which of the chapter's samples are clustered; the error cases are those of the quartic with seed 1000.
    n_clusters, min_samples, max_std, min_distance, max_merges, max_iter, split_fraction
        As in `errref.isodata.Isodata`; the default is what the chapter sets for these samples.
    seed : int or None, default None
        What draws ``n_clusters`` of the samples as the starting centres; None: the start that the chapter gives.
    iteration : int, default 1
        The iteration that is shown; after the last one, the result.

    Examples
    --------
    >>> found = Iterations("two samples", max_iter=7).fitted
    >>> found.cluster_centers_.tolist(), found.history_[0]["split"]
    ([[0.5]], [0])
    """

    _esm = script("widgets/isodata.js")
    _fixed = synced(traitlets.Dict())

    samples = synced(traitlets.Enum(list(EXAMPLES), "six samples"))
    n_clusters = synced(traitlets.Int(2, min=1))
    min_samples = synced(traitlets.Int(1, min=1))
    max_std = synced(traitlets.Float(None, min=0, allow_none=True))
    min_distance = synced(traitlets.Float(None, min=0, allow_none=True))
    max_merges = synced(traitlets.Int(2, min=0))
    max_iter = synced(traitlets.Int(6, min=1, max=100))
    split_fraction = synced(traitlets.Float(0.5, min=1e-6, max=1))
    seed = synced(traitlets.Int(None, min=0, max=2**32 - 1, allow_none=True))
    iteration = synced(traitlets.Int(1, min=1))

    def __init__(self, samples: str = "six samples", **settings: Any) -> None:
        known = EXAMPLES.get(samples, {}).get("settings", {})
        super().__init__(samples=samples, **(known | settings))

    @traitlets.default("_fixed")
    def _hand_over(self) -> dict[str, Any]:
        """What the script must not say again: samples with their settings, symbols, colours."""
        names = [*SYMBOLS, "seed"]
        defaults = {name: self.traits()[name].default_value for name in names}
        full = [{"name": k, **v, "settings": defaults | v["settings"]} for k, v in examples().items()]
        return {"examples": full, "symbols": [[k, v] for k, v in SYMBOLS.items()], "colours": COLOURS}

    def __repr__(self) -> str:
        return f"Iterations({self.samples!r}, iteration={self.iteration})"

    @property
    def X(self) -> Array:
        """The samples, shape (n_samples, n_features)."""
        return np.array(examples()[self.samples]["X"])

    @property
    def fitted(self) -> Isodata:
        """ISODATA with the present settings, fitted in Python."""
        init = EXAMPLES[self.samples]["start"] if self.seed is None else "random"
        settings = {name: getattr(self, name) for name in SYMBOLS}
        return Isodata(**settings, init=init, random_state=self.seed).fit(self.X)
