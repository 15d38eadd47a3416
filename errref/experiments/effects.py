"""Which choice decides: the variance of an outcome over many systems, shared out among the factors that differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

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
        """log10(reflection / base) of each system and seed; shape (S, n)."""
        return np.log10(self.reflection / self.base)


def outcomes(rows: Iterable[Any], loss: str, **select: Any) -> Outcomes:
    """The losses of the systems whose configuration has the selected values, on the seeds that all of them have."""
    systems: dict[tuple, dict[int, Any]] = {}
    for row in rows:
        if select.items() <= row.config.items():
            systems.setdefault(tuple(row.config.values()), {})[row.seed] = row
    seeds = sorted(set.intersection(*map(set, systems.values()))) if systems else []
    if not seeds:
        raise ValueError(f"No seed has rows of all systems of {select}; mend the selection, or record the rows.")
    found = [[of[seed] for seed in seeds] for of in systems.values()]
    base, reflection = (
        np.array([[row.numbers[f"{name}_{loss}"] for row in line] for line in found]) for name in ("base", "reflection")
    )
    return Outcomes([line[0].config for line in found], base, reflection)


def columns(configs: Sequence[dict[str, Any]], name: str) -> Array:
    """Indicators of the levels of a factor, all but the first; shape (n, levels - 1)."""
    values = [config[name] for config in configs]
    _, *others = dict.fromkeys(values)
    return np.array([[value == level for level in others] for value in values], dtype=float).reshape(len(values), -1)


def explained(design: Array, values: Array, without: Array | None = None) -> Any:
    """Share of the variance of the values (n,) that a linear model in the columns of the design (n, p) explains.

    With ``without``, booleans of shape (m, p), the m shares that are lost when these columns are left out.
    """
    centred, design = values - values.mean(), design - design.mean(axis=0)
    gram, product = design.T @ design, design.T @ centred

    def share(kept: Array) -> float:
        fit, *_ = np.linalg.lstsq(gram[np.ix_(kept, kept)], product[kept], rcond=1e-10)
        return float(fit @ product[kept] / (centred @ centred))

    everything = share(np.ones(len(product), dtype=bool))
    return everything if without is None else np.array([everything - share(~gone) for gone in without])


def main_effects(configs: Sequence[dict[str, Any]], values: Array, factors: Sequence[str]) -> dict[str, float]:
    """Share of the variance that is lost from the model of all factors when one of them is taken out."""
    design, of = _singles(configs, factors)
    return dict(zip(factors, explained(design, values, of), strict=True))


def _singles(configs: Sequence[dict[str, Any]], factors: Sequence[str]) -> tuple[Array, Array]:
    """The columns of all factors, and for each factor which of them are its own."""
    indicators = [columns(configs, name) for name in factors]
    owner = np.repeat(np.arange(len(factors)), [of.shape[1] for of in indicators])
    return np.hstack(indicators), owner == np.arange(len(factors))[:, None]


def intervals(
    configs: Sequence[dict[str, Any]], values: Array, factors: Sequence[str], groups: Sequence[Any]
) -> dict[str, tuple[float, float]]:
    """95 % bootstrap intervals of `main_effects`; systems of one group (a choice set) are drawn together."""
    design, of = _singles(configs, factors)
    places: dict[Any, list[int]] = {}
    for k, group in enumerate(groups):
        places.setdefault(group, []).append(k)
    members = list(places.values())
    rng, found = np.random.default_rng(0), []
    with threadpool_limits(1):  # systems of equations this small only wait for more threads
        for _ in range(RESAMPLES):
            drawn = np.concatenate([members[k] for k in rng.integers(len(members), size=len(members))])
            found.append(explained(design[drawn], values[drawn], of))
    low, high = np.quantile(found, [0.025, 0.975], axis=0)
    return {name: (float(low[k]), float(high[k])) for k, name in enumerate(factors)}


def parts(found: Outcomes, factors: Sequence[str]) -> dict[str, float]:
    """The variance of a system's mean of `Outcomes.logs`, shared out: factors, pairs of factors, seeds, the rest.

    Shares of models are corrected for their number of columns (adjusted R^2). The share of the seeds is what the mean
    of n of them varies by: the variance over the seeds of a system, averaged over systems, over n.
    """
    logs, indicators = found.logs(), [columns(found.configs, name) for name in factors]
    values = logs.mean(axis=1)
    products = [(a[:, :, None] * b[:, None, :]).reshape(len(a), -1) for a, b in combinations(indicators, 2)]
    n = len(values)

    def adjusted(design: Array) -> float:
        rank = np.linalg.matrix_rank(design.T @ design, hermitian=True)
        return float(1 - (1 - explained(design, values)) * (n - 1) / (n - rank - 1))

    single, both = adjusted(np.hstack(indicators)), adjusted(np.hstack([*indicators, *products]))
    seeds = float(np.mean(logs.var(axis=1, ddof=1)) / logs.shape[1] / values.var())
    return {
        "single factors": float(single),
        "pairs": float(both - single),
        "seeds": seeds,
        "rest": float(1 - both - seeds),
    }
