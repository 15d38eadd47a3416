"""The toy in the reader's hand: a staircase to drag over its samples, and what each loss says about its place."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets

from errref.datasets import toy
from errref.experiments.intuition import LOSSES, Step, global_minima, local_minima, model, neighbours, step_at, steps
from errref.figures import COLOURS
from errref.figures.intuition import B_RANGE, LOSS_COLOURS, LOSS_WIDTHS
from errref.widgets import Moving, script, synced

Array = np.ndarray
REPEATED = 1.0  # the sample that can be in the data several times
MOST = 7  # times; six make the last of the three losses a trap
PLACES = np.arange(round(8 * B_RANGE[0]), round(8 * B_RANGE[1]) + 1) / 8  # of b, where the figure's controls put it


def samples(copies: int) -> tuple[Array, Array]:
    """Return the toy, ``X`` (n, 1) and ``y`` (n,), with the sample x = 1 taken so often."""
    X, y = toy()
    often = np.where(X[:, 0] == REPEATED, copies, 1)
    return np.repeat(X, often, axis=0), np.repeat(y, often)


def place(found: list[Step], step: Step) -> str:
    """Say in words what a step is among the steps of its loss: a minimum, or where a lower step is next to it."""
    lowest = global_minima(found)
    if step in lowest:
        return "global minimum" if len(lowest) == 1 else f"global minimum, one of {len(lowest)}"
    if step in local_minima(found):
        return "local minimum"
    sides = ["left" if n.low < step.low else "right" for n in neighbours(found, step) if n.loss < step.loss]
    return "lower on both sides" if len(sides) == 2 else f"lower on the {sides[0]}"


class Trap(Moving):
    """The toy's network with its one parameter b, which the reader drags, and three losses against it.

    Parameters
    ----------
    b : float from -2.5 to 5, default 0.0
        Where the staircase f_b(x) = floor(max(x - b, 0)) leaves the ground, in the units of x.
    copies : int from 1 to 7, default 1
        How often the sample x = 1 is in the data.

    Examples
    --------
    >>> trap = Trap(b=0.125)
    >>> trap.answers.tolist(), trap.accuracy
    ([0.0, 0.0, 0.0, 0.0, 3.0, 4.0], 0.5)
    >>> str(trap.losses["zero-one"]), trap.places["zero-one"]
    ('(0, 2]', 'lower on both sides')
    """

    _esm = script("widgets/intuition.js")
    _fixed = synced(traitlets.Dict())

    b = synced(traitlets.Float(0.0))
    copies = synced(traitlets.Int(1, min=1, max=MOST))

    @traitlets.validate("b")
    def _within(self, proposal: dict[str, Any]) -> float:
        low, high = B_RANGE
        if not low <= proposal["value"] <= high:
            raise traitlets.TraitError(f"b={proposal['value']} is not in the figure; take one from {low} to {high}.")
        return proposal["value"]

    @traitlets.default("_fixed")
    def _hand_over(self) -> dict[str, Any]:
        """What the script must not say again: samples, exact steps of the losses, colours."""
        X, y = toy()
        return {
            "x": X[:, 0].tolist(),
            "y": y.tolist(),
            "repeated": REPEATED,
            "places": PLACES.tolist(),
            "steps": [{loss: _rows(steps(*samples(n), loss)) for loss in LOSSES} for n in range(1, MOST + 1)],
            "losses": [{"name": k, "colour": LOSS_COLOURS[k], "width": LOSS_WIDTHS[k]} for k in LOSSES],
            "colours": COLOURS,
        }

    def __repr__(self) -> str:
        return f"Trap(b={self.b:g}, copies={self.copies})"

    @property
    def answers(self) -> Array:
        """What the network answers on the samples, shape (n,)."""
        return model(samples(self.copies)[0][:, 0], self.b)

    @property
    def accuracy(self) -> float:
        """The share of samples that are right."""
        return float(np.mean(self.answers == samples(self.copies)[1]))

    @property
    def losses(self) -> dict[str, Step]:
        """The step of each loss that holds b."""
        return {loss: step_at(steps(*samples(self.copies), loss), self.b) for loss in LOSSES}

    @property
    def places(self) -> dict[str, str]:
        """What that step is among all steps of each loss, in words."""
        return {loss: place(steps(*samples(self.copies), loss), step) for loss, step in self.losses.items()}


def _rows(found: list[Step]) -> list[list[Any]]:
    """Each step as JSON can hold it: ends (None where there is none), loss, whether it is a minimum, its place."""
    lowest = {*local_minima(found), *global_minima(found)}
    ends = [[end if np.isfinite(end) else None for end in (s.low, s.high)] for s in found]
    return [[*e, s.loss, s in lowest, place(found, s)] for e, s in zip(ends, found, strict=True)]
