"""The training of one system of the chapter, step by step, in the reader's browser."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets
from sklearn.frozen import FrozenEstimator

from errref.datasets import FUNCTIONS, samples
from errref.experiments.functions import BASE, N_CLUSTERS, SEEDS, TEST_SAMPLES
from errref.figures import COLOURS
from errref.isodata import Isodata
from errref.networks import ReluRegressor
from errref.reflection import ErrorReflectionRegressor
from errref.widgets import Moving, coefficients, script, synced

Array = np.ndarray
FIRST = 30  # step that is shown after step 0
STEPS = [0, *np.geomspace(FIRST, BASE["steps"], 60).round().astype(int).tolist()]  # at which weights are kept
FRESH = 1000  # first seed of the chapter that is not recorded; the still figure before this one has it
SHARE = 0.5  # of the samples that are error cases
Y_ROOM = 1.0  # of the target's range: so far above and below it the plots may reach
X_RANGE = (-1.25, 1.25)  # that is drawn, to see breakpoints that have left the samples


def unit_states(network: Any, x: Array) -> list[str]:
    """What each unit of a network does on the inputs ``x``: it "bends" there, or it is "on" at all or "dead" at all.

    A constant expert has no units.
    """
    if not hasattr(network, "hidden_weights_"):
        return []
    counts = np.sum(network.hidden_weights_ * x + network.hidden_biases_[:, None] > 0, axis=1)
    return ["dead" if n == 0 else "on" if n == len(x) else "bends" for n in counts]


class Training(Moving):
    """A system of the chapter at one moment of its training: the general network is trained first, then its experts.

    The settings are the chapter's base configuration, but the gate is one nearest neighbour.

    Parameters
    ----------
    function : str, default "quartic"
        A name of `errref.datasets.FUNCTIONS`.
    seed : int, default 1000
        Of the system, as in `errref.experiments.functions.Systems`.
    stage : {"general", "experts"}, default "experts"
        What is being trained.
    step : int, default 50_000
        Steps that it has been trained for: one of `STEPS`.

    Examples
    --------
    >>> start = Training(stage="general", step=0)
    >>> [states.count("bends") for states in start.units], start
    ([2], Training(function='quartic', seed=1000))
    """

    _esm = script("widgets/functions.js")
    _engine = synced(traitlets.Unicode(script("engine/worker.js")))
    _fixed = synced(traitlets.Dict())

    function = synced(traitlets.Enum([*FUNCTIONS], "quartic"))
    seed = synced(traitlets.Int(FRESH, min=0, max=2**32 - 1))
    stage = synced(traitlets.Enum(["general", "experts"], "experts"))
    step = synced(traitlets.Int(BASE["steps"]))

    @traitlets.validate("step")
    def _is_kept(self, proposal: Any) -> int:
        if proposal["value"] not in STEPS:
            kept = f"{STEPS[0]}, {STEPS[1]}, {STEPS[2]}, ..., {STEPS[-1]}"
            raise traitlets.TraitError(f"step={proposal['value']} is none of the steps that are kept (STEPS): {kept}.")
        return proposal["value"]

    @traitlets.default("_fixed")
    def _hand_over(self) -> dict[str, Any]:
        """What the script must not say again: coefficients, colours, ranges, and the settings of the system."""
        clusterer = Isodata(n_clusters=N_CLUSTERS).get_params()
        settings = {name: clusterer[name] for name in ("n_clusters", "min_samples", "max_std", "min_distance")}
        settings |= {**BASE, "learning_rate": self._network().learning_rate, "rule": "share", "share": SHARE}
        settings |= {"n_test": TEST_SAMPLES, "stops": STEPS}
        seeds = [*range(SEEDS), FRESH]
        ranges = {"x_range": X_RANGE, "y_room": Y_ROOM}
        return {"functions": coefficients(), "settings": settings, "seeds": seeds, "colours": COLOURS, **ranges}

    def __repr__(self) -> str:
        return f"Training(function={self.function!r}, seed={self.seed})"

    def _network(self, steps: int = BASE["steps"]) -> ReluRegressor:
        return ReluRegressor(BASE["hidden"], steps=steps)

    def samples(self) -> tuple[Array, Array]:
        """Training data: ``X`` of shape (256, 1) and ``y`` of shape (256,)."""
        return samples(FUNCTIONS[self.function], BASE["n_samples"])

    @property
    def system(self) -> ErrorReflectionRegressor:
        """The system at the moment that is shown, trained in Python.

        While experts train, the general network is at its end. While the general network trains, the experts are at
        their start, and the error cases are those that there would be if it were trained no further.
        """
        first, second = (self.step, 0) if self.stage == "general" else (BASE["steps"], self.step)
        X, y = self.samples()
        general = self._network(first).set_params(random_state=self.seed).fit(X, y)
        model = ErrorReflectionRegressor(
            FrozenEstimator(general),
            expert=self._network(second),
            clusterer=Isodata(n_clusters=N_CLUSTERS),
            errors=SHARE,
            random_state=self.seed,
        )
        return model.fit(X, y)

    @property
    def units(self) -> list[list[str]]:
        """For each network that is shown, what its units do on its own samples (see `unit_states`)."""
        model, x = self.system, self.samples()[0][:, 0]
        networks, own = [model.general_], [x]
        if self.stage == "experts":
            networks += model.experts_
            own += [x[model.routes_ == 1 + k] for k in range(len(model.experts_))]
        return [unit_states(network, inputs) for network, inputs in zip(networks, own, strict=True)]
