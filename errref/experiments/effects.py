"""Which choice decides: the variance of an outcome over many systems, shared out among the factors that differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray
RESAMPLES = 200


class Outcomes(NamedTuple):
    """The systems of some rows with their losses, seeds in the same order for all.

    Attributes
    ----------
    configs : list of dict
        One for each of S systems.
    base, reflection : ndarray of shape (S, n)
    """

    configs: list[dict[str, Any]]
    base: Array
    reflection: Array

    def reductions(self) -> Array:
        """1 - median(reflection) / median(base) of each system; shape (S,)."""
        return 1 - np.median(self.reflection, axis=1) / np.median(self.base, axis=1)

    def logs(self) -> Array:
        """log10 of median(reflection) / median(base) of each system; shape (S,)."""
        return np.log10(np.median(self.reflection, axis=1) / np.median(self.base, axis=1))


def outcomes(rows: Iterable[Any], loss: str, **select: Any) -> Outcomes:
    """The losses of the systems whose configuration has the selected values, on the seeds that all of them have."""
    systems: dict[tuple, dict[int, Any]] = {}
    for row in rows:
        if select.items() <= row.config.items():
            systems.setdefault(tuple(row.config.values()), {})[row.seed] = row
    seeds = sorted(set.intersection(*map(set, systems.values())))
    found = [[of[seed] for seed in seeds] for of in systems.values()]
    base, reflection = (
        np.array([[row.numbers[f"{name}_{loss}"] for row in line] for line in found]) for name in ("base", "reflection")
    )
    return Outcomes([line[0].config for line in found], base, reflection)


def columns(configs: Sequence[dict[str, Any]], factors: Sequence[str]) -> dict[tuple[str, ...], Array]:
    """Indicators of the levels of each factor, all but the first, and of each pair of factors their products."""
    found: dict[tuple[str, ...], Array] = {}
    for name in factors:
        values = [config[name] for config in configs]
        found[name,] = np.array(
            [[value == level for level in list(dict.fromkeys(values))[1:]] for value in values], float
        )
    for a, b in combinations(factors, 2):
        products = found[a,][:, :, None] * found[b,][:, None, :]
        found[a, b] = products.reshape(len(configs), -1)
    return found


def explained(design: Array, values: Array) -> float:
    """Share of the variance of the values (n,) that a linear model in the columns of the design (n, p) explains."""
    centred = values - values.mean()
    design = design - design.mean(axis=0)
    fit, *_ = np.linalg.lstsq(design.T @ design, design.T @ centred, rcond=1e-10)
    return float(fit @ (design.T @ centred) / (centred @ centred))


def main_effects(configs: Sequence[dict[str, Any]], values: Array, factors: Sequence[str]) -> dict[str, float]:
    """Share of the variance that is lost from the model of all factors when one of them is taken out."""
    indicators = columns(configs, factors)
    return _main_effects({name: indicators[name,] for name in factors}, values)


def _main_effects(indicators: dict[str, Array], values: Array) -> dict[str, float]:
    everything = explained(np.hstack(list(indicators.values())), values)
    others = {name: [of for other, of in indicators.items() if other != name] for name in indicators}
    return {name: everything - explained(np.hstack(rest), values) for name, rest in others.items()}


def intervals(
    configs: Sequence[dict[str, Any]], values: Array, factors: Sequence[str], groups: Sequence[Any]
) -> dict[str, tuple[float, float]]:
    """95 % bootstrap intervals of `main_effects`; systems of one group (a choice set) are drawn together."""
    indicators = columns(configs, factors)
    singles = {name: indicators[name,] for name in factors}
    members = [np.flatnonzero([group == one for group in groups]) for one in dict.fromkeys(groups)]
    rng, found = np.random.default_rng(0), []
    for _ in range(RESAMPLES):
        drawn = np.concatenate([members[k] for k in rng.integers(len(members), size=len(members))])
        found.append(_main_effects({name: of[drawn] for name, of in singles.items()}, values[drawn]))
    low, high = np.quantile([list(effects.values()) for effects in found], [0.025, 0.975], axis=0)
    return {name: (float(low[k]), float(high[k])) for k, name in enumerate(found[0])}


def parts(found: Outcomes, factors: Sequence[str]) -> dict[str, float]:
    """The variance of `Outcomes.logs`, shared out: single factors, pairs of factors, seeds, and what is left.

    Shares of models are corrected for their number of columns (adjusted R^2). The share of the seeds is the mean over
    systems of the bootstrap variance of the outcome over its seeds.
    """
    values, indicators = found.logs(), columns(found.configs, factors)
    n = len(values)

    def adjusted(names: Iterable[tuple[str, ...]]) -> float:
        design = np.hstack([indicators[name] for name in names])
        return 1 - (1 - explained(design, values)) * (n - 1) / (n - np.linalg.matrix_rank(design) - 1)

    single, both = adjusted([(name,) for name in factors]), adjusted(indicators)
    drawn = np.random.default_rng(0).integers(found.base.shape[1], size=(RESAMPLES, found.base.shape[1]))
    again = np.median(found.reflection[:, drawn], axis=2) / np.median(found.base[:, drawn], axis=2)
    seeds = float(np.mean(np.var(np.log10(again), axis=1)) / np.var(values))
    return {"single factors": single, "pairs": both - single, "seeds": seeds, "rest": 1 - both - seeds}
