"""The playground: error reflection on a function of one variable, trained in the reader's browser."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import traitlets

from errref.datasets import FUNCTIONS, samples
from errref.experiments.functions import BASE, TEST_SAMPLES
from errref.figures import COLOURS
from errref.isodata import Isodata
from errref.networks import ReluRegressor
from errref.reflection import ErrorReflectionRegressor
from errref.widgets import Moving, coefficients, script, synced

Array = np.ndarray
KNOTS = 33  # evenly spaced on [-1, 1]; a drawn function is straight between them


def above_rms(y: Array, prediction: Array, factor: float) -> Array:
    """Mask of the samples whose residual is larger than ``factor`` times the root mean square of all."""
    residuals = np.abs(y - prediction)
    return residuals > factor * np.sqrt(np.mean(residuals**2))


class Playground(Moving):
    """Error reflection on a function of one variable, trained anew in the browser at every change.

    Parameters
    ----------
    function : str, default "jump-piecewise"
        A name of `errref.datasets.FUNCTIONS`, or "drawn".
    drawn : list of 33 floats
        Heights of the drawn function at evenly spaced knots from -1 to 1; straight lines join them.
    hidden, steps, learning_rate, seed
        As in `errref.networks.ReluRegressor`, for the general network and for each expert; the seed is the system's.
    rule : {"share", "rms"}, default "share"
        Error cases are the ``share`` with the largest residuals, or residuals larger than ``factor`` times their RMS.
    share, factor : float, default 0.5 and 1
    n_clusters, min_samples, max_std, min_distance
        As in `errref.isodata.Isodata`; the default aims at 3 clusters.

    Examples
    --------
    >>> play = Playground(function="quartic", steps=1000, learning_rate=1e-2, seed=3)
    >>> play.system.summary_["n_errors"], play
    (128, Playground(function='quartic', seed=3))
    """

    _esm = script("widgets/playground.js")
    _engine = synced(traitlets.Unicode(script("engine/worker.js")))
    _fixed = synced(traitlets.Dict())

    function = synced(traitlets.Enum([*FUNCTIONS, "drawn"], "jump-piecewise"))
    drawn = synced(traitlets.List(traitlets.Float(), minlen=KNOTS, maxlen=KNOTS))
    hidden = synced(traitlets.Int(10, min=1, max=200))
    steps = synced(traitlets.Int(20_000, min=0))
    learning_rate = synced(traitlets.Float(1e-4, min=1e-9))
    seed = synced(traitlets.Int(0, min=0, max=2**32 - 1))
    rule = synced(traitlets.Enum(["share", "rms"], "share"))
    share = synced(traitlets.Float(0.5, min=1e-6, max=1))
    factor = synced(traitlets.Float(1.0, min=0))
    n_clusters = synced(traitlets.Int(3, min=1))
    min_samples = synced(traitlets.Int(1, min=1))
    max_std = synced(traitlets.Float(None, min=0, allow_none=True))
    min_distance = synced(traitlets.Float(None, min=0, allow_none=True))

    @traitlets.default("_fixed")
    def _hand_over(self) -> dict[str, Any]:
        """What the script must not say again: coefficients, colours and sizes."""
        sizes = {"n_samples": BASE["n_samples"], "n_test": TEST_SAMPLES, "knots": KNOTS}
        return {"functions": coefficients(), "colours": COLOURS, **sizes}

    @traitlets.default("drawn")
    def _flat(self) -> list[float]:
        return [0.0] * KNOTS

    def __repr__(self) -> str:
        return f"Playground(function={self.function!r}, seed={self.seed})"

    def target(self, x: Array) -> Array:
        """Values at x of the function that is picked or drawn."""
        if self.function == "drawn":
            return np.interp(x, np.linspace(-1, 1, KNOTS), self.drawn)
        return FUNCTIONS[self.function](x)

    def samples(self) -> tuple[Array, Array]:
        """Training data: ``X`` of shape (256, 1) and ``y`` of shape (256,)."""
        return samples(self.target, BASE["n_samples"])

    @property
    def system(self) -> ErrorReflectionRegressor:
        """The system of the present settings, trained in Python."""
        errors = self.share if self.rule == "share" else partial(above_rms, factor=self.factor)
        names = ("n_clusters", "min_samples", "max_std", "min_distance")
        model = ErrorReflectionRegressor(
            ReluRegressor(self.hidden, self.steps, self.learning_rate),
            clusterer=Isodata(**{name: getattr(self, name) for name in names}),
            errors=errors,
            random_state=self.seed,
        )
        return model.fit(*self.samples())

    @property
    def rival(self) -> ReluRegressor:
        """One network with at most as many trained numbers as all networks of `system`, and at most 2 fewer.

        It is trained for as many steps as each of them.
        """
        total = len(self.system.networks_) * (3 * self.hidden + 1)
        network = ReluRegressor((total - 1) // 3, self.steps, self.learning_rate, random_state=self.seed)
        return network.fit(*self.samples())
