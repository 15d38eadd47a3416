"""A ball on the loss surfaces of the chapter on traps: where it starts, how it steps, and where descent leaves it."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets
from scipy.optimize import minimize

from errref.experiments.traps import BATCHES, TINY
from errref.figures import COLOURS
from errref.landscapes import NEAR, RATE, SURFACES, WIDTH, Surface
from errref.widgets import Moving, script, synced

Array = np.ndarray
FAR = 1000.0  # a path ends where a weight is beyond this: its steps are too large
STARTS = {"minima": [-1.2, -0.21], "saddle": [1.2, -1.16], "plateau": [-4.0, 5.0]}
NEAR_BEST = {"minima": [0.0, 0.5], "saddle": [1.0, 1.0], "plateau": [1.0, 0.0]}  # the lowest place is downhill of this
SIZES = {"minima": list(BATCHES), "saddle": [1], "plateau": [1, 2, 4]}  # of batches; the last is all samples


def lowest(name: str) -> tuple[list[float], float]:
    """Weights of the best fit on a surface, or of one of them, and its loss, both rounded."""
    surface = SURFACES[name]
    found = minimize(surface.loss, np.array(NEAR_BEST[name]), jac=surface.gradient)
    return found.x.round(4).tolist(), round(float(found.fun), 9)


class Descent(Moving):
    """Descent from one start on one of `errref.landscapes.SURFACES`, anew in the browser at every change.

    Parameters
    ----------
    surface : {"minima", "saddle", "plateau"}, default "minima"
    start : list of 2 floats
        The weights at the start; by default a place of each surface from which descent is slow or ends badly.
    rate : float, default 0.05
        Step size.
    batch : int, optional
        Samples of each step, drawn with replacement; by default, and if there are no more, all samples without noise.
    seed : int, default 0
        Draws the batches.
    steps : int, default 3000
    step : int, optional
        Where on its path the ball is shown; by default at the end.

    Examples
    --------
    >>> stuck = Descent(start=[-1.2, -0.21])
    >>> stuck.path.shape, stuck.path[-1].round(2).tolist(), stuck.arrived
    ((3001, 2), [-0.64, -0.03], False)
    >>> Descent(start=[-1.2, -0.21], batch=4, seed=1).arrived
    True
    """

    _esm = script("widgets/traps.js")
    _fixed = synced(traitlets.Dict())

    surface = synced(traitlets.Enum([*SURFACES], "minima"))
    start = synced(traitlets.List(traitlets.Float(), minlen=2, maxlen=2))
    rate = synced(traitlets.Float(RATE, min=1e-9, max=1e3))
    batch = synced(traitlets.Int(None, min=1, max=1000, allow_none=True))
    seed = synced(traitlets.Int(0, min=0, max=2**32 - 1))
    steps = synced(traitlets.Int(3000, min=1, max=10_000))
    step = synced(traitlets.Int(None, min=0, allow_none=True))

    @traitlets.default("_fixed")
    def _hand_over(self) -> dict[str, Any]:
        """What the script must not say again: samples, constants, colours."""
        surfaces = {}
        for name, surface in SURFACES.items():
            at, loss = lowest(name)
            surfaces[name] = {
                "x": surface.x.tolist(),
                "y": surface.y.tolist(),
                "half_width": surface.half_width,
                "width": WIDTH if name == "minima" else None,
                "best": {"at": at, "loss": loss},
                "start": STARTS[name],
                "sizes": SIZES[name],
            }
        return {"surfaces": surfaces, "near": NEAR, "tiny": TINY, "far": FAR, "colours": COLOURS}

    @traitlets.default("start")
    def _usual(self) -> list[float]:
        return [*STARTS[self.surface]]

    @traitlets.validate("start")
    def _finite(self, proposal: dict[str, Any]) -> list[float]:
        if not np.all(np.abs(proposal["value"]) <= FAR):
            raise traitlets.TraitError(f"start={proposal['value']}: give two weights between -{FAR:g} and {FAR:g}.")
        return proposal["value"]

    def __repr__(self) -> str:
        return f"Descent(surface={self.surface!r}, start={self.start})"

    @property
    def field(self) -> Surface:
        """The surface itself."""
        return SURFACES[self.surface]

    @property
    def batches(self) -> Array | None:
        """Samples of each step (steps, batch), by number; None where every step uses all."""
        n = len(self.field.x)
        if self.batch is None or self.batch >= n:
            return None
        return np.floor(n * np.random.default_rng(self.seed).random((self.steps, self.batch))).astype(int)

    @property
    def path(self) -> Array:
        """The weights before each step and after the last, (steps + 1, 2); fewer if the steps are too large."""
        x, y, batches = self.field.x, self.field.y, self.batches
        path = [np.array(self.start)]
        for step in range(self.steps):
            if np.abs(path[-1]).max() > FAR:
                break
            pick = slice(None) if batches is None else batches[step]
            path.append(path[-1] - self.rate * self.field.gradient_on(path[-1], x[pick], y[pick]))
        return np.array(path)

    @property
    def arrived(self) -> bool:
        """Whether the path ends at the best fit."""
        return bool(self.field.loss(self.path[-1]) <= lowest(self.surface)[1] + NEAR)
