"""Verdicts: what the rules of the ledger say of recorded rows. A verdict is computed, never typed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from errref import experiments
from errref.ledger import BOUNDS, Claim, LedgerError, get, load, must, readings, rules
from errref.records import Row
from errref.statistics import apply, estimate

__all__ = [
    "Claim",
    "LedgerError",
    "Reading",
    "Verdict",
    "derive",
    "get",
    "judge",
    "load",
    "quick",
    "rules",
    "sample",
    "uses",
]
Array = np.ndarray
Numbers = dict[int, dict[str, float]]  # by seed
Table = list[tuple[dict[str, Any], Numbers]]


@dataclass(frozen=True)
class Reading:
    """One way to understand a claim, with what was found.

    Parameters
    ----------
    name : str
    value : float, str or None
        The statistic, or what a derivation found; None where there are no rows.
    interval : (float, float) or None
        At the confidence of the rule.
    n : int or None
        Seeds, or systems; None for a derivation.
    holds : bool or None
        None where the rows do not decide.

    Examples
    --------
    >>> Reading("as printed", 0.8, (0.7, 0.9), 20, True).holds
    True
    """

    name: str
    value: float | str | None
    interval: tuple[float, float] | None
    n: int | None
    holds: bool | None


@dataclass(frozen=True)
class Verdict:
    """What the rule of a claim says of the rows, as `judge` computes it.

    Parameters
    ----------
    claim : Claim
    word : str
        The verdict; `judge` lists the words.
    readings : list of Reading
        What led to it.
    full : Verdict or None
        That of the claim's second rule, where it has one.

    Examples
    --------
    >>> verdict = judge(load()["human-reflection"], [])
    >>> verdict.claim.kind, verdict.word
    ('untestable', 'not testable')
    """

    claim: Claim
    word: str
    readings: list[Reading] = field(default_factory=list)
    full: Verdict | None = None


def uses(claim: Claim, config: dict[str, Any]) -> bool:
    """Whether some reading of a measured claim looks at rows of this configuration."""
    assert claim.rule is not None
    return any(_matches(select, config) for part in readings(claim.rule).values() for select in _selects(part))


def _selects(part: dict[str, Any]) -> list[dict[str, Any]]:
    """Which configurations a reading looks at: one, or two that it compares."""
    return [part.get("select", {})] + ([part["than"]] if "than" in part else [])


def quick(claim: Claim) -> Claim:
    """The claim at the smaller scale that its rule names for a check on a reader's machine; else the claim itself."""
    assert claim.rule is not None
    if "quick" not in claim.rule:
        return claim
    smaller = {
        name: {**part, **{key: {**part[key], **claim.rule["quick"]} for key in ("select", "than") if key in part}}
        for name, part in readings(claim.rule).items()
    }
    return replace(claim, rule={**claim.rule, "readings": smaller})


def _matches(select: dict[str, Any], config: dict[str, Any]) -> bool:
    return select.items() <= config.items()


def table_of(rows: list[Row]) -> Table:
    """Numbers of the rows by seed, for each configuration: many systems are looked through many times."""
    found: dict[Any, tuple[dict[str, Any], Numbers]] = {}
    for row in rows:
        found.setdefault(tuple(sorted(row.config.items())), (row.config, {}))[1][row.seed] = row.numbers
    return list(found.values())


def columns_of(place: str, part: dict[str, Any], table: Table) -> list[list[Array]]:
    """What the statistic of a reading takes, paired by seed, for each configuration that the reading looks at."""
    by_seed: list[Numbers] = []
    for select in _selects(part):
        chosen = [seeds for config, seeds in table if _matches(select, config)]
        one = len(chosen) < 2
        must(place, one, f"{select} selects more than one configuration; say more in its select or than.")
        by_seed.append(chosen[0] if chosen else {})
    return [list(numbers) for numbers in np.array(_paired(place, part, by_seed), dtype=float)]


def _paired(place: str, part: dict[str, Any], by_seed: list[Numbers]) -> list[list[list[float]]]:
    """The measured numbers on the seeds that all have: for each configuration, of each name, on each seed."""
    seeds = sorted(set.intersection(*map(set, by_seed)))
    names = [part[key] for key in ("measure", "against") if key in part]
    try:
        found = [[[numbers[seed][name] for seed in seeds] for name in names] for numbers in by_seed]
    except KeyError as missing:
        raise LedgerError(
            f"Claim {place!r}: the rows have no number {missing}; mend the name, or record them again."
        ) from None
    if part["statistic"] == "share" and not np.isin(found, (0, 1)).all():
        must(place, False, f"a share is of zeros and ones, and {part['measure']!r} has other numbers; take another.")
    return found


def system_of(config: dict[str, Any], part: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """The system that a configuration belongs to: all settings but those that a reading's select and than name."""
    named = {key for select in _selects(part) for key in select}
    return tuple(sorted((key, value) for key, value in config.items() if key not in named))


def sample(claim: Claim, configs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those configurations which a check of the claim measures: all, or those of as many systems as its rule says.

    The systems are drawn at random, but always the same ones.
    """
    assert claim.rule is not None
    if "sample" not in claim.rule:
        return configs
    named = {key for part in readings(claim.rule).values() for select in _selects(part) for key in select}
    of = [system_of(config, {"select": dict.fromkeys(named)}) for config in configs]
    known = list(dict.fromkeys(of))
    drawn = {known[k] for k in np.random.default_rng(0).permutation(len(known))[: claim.rule["sample"]]}
    return [config for config, system in zip(configs, of, strict=True) if system in drawn]


def systems_of(table: Table, named: tuple[str, ...]) -> list[dict[tuple, Numbers]]:
    """For each system, its numbers by seed for each combination of the named settings."""
    found: dict[Any, dict[tuple, Numbers]] = {}
    for config, numbers in table:
        own = tuple(config.get(key) for key in named)
        found.setdefault(system_of(config, {"select": dict.fromkeys(named)}), {})[own] = numbers
    return list(found.values())


def _hits(place: str, part: dict[str, Any], systems: list[dict[tuple, Numbers]], seeds: int) -> Array:
    """For each system with enough seeds: 1 if the statistic of its seeds keeps the bound of ``each``, else 0."""
    hits = []
    for alike in alike_in(place, part, systems, seeds):
        value = apply(part["statistic"], list(alike[0]), *alike[1:])
        hits.append(np.all([BOUNDS[word](value, limit) for word, limit in part["each"].items()], axis=0))
    return np.concatenate([np.empty(0), *hits])


def alike_in(place: str, part: dict[str, Any], systems: list[dict[tuple, Numbers]], seeds: int) -> list[Array]:
    """What the statistic takes, of all systems with n >= ``seeds`` seeds: (selects, names, systems, n) for each n."""
    wanted = [tuple(select[key] for key in sorted(select)) for select in _selects(part)]
    found = [_paired(place, part, [of[own] for own in wanted]) for of in systems if all(own in of for own in wanted)]
    by_n: dict[int, list] = {}
    for columns in found:
        by_n.setdefault(len(columns[0][0]), []).append(columns)
    return [np.array(by_n[n], dtype=float).transpose(1, 2, 0, 3) for n in sorted(by_n) if n >= seeds]


def _read(claim: Claim, name: str, part: dict[str, Any], table: Table, seeds: int | None, known: dict) -> Reading:
    assert claim.rule is not None
    place, of_system = f"{claim.id}, reading {name}", claim.rule["seeds"] if seeds is None else seeds
    if "each" in part:
        named = tuple(sorted(part.get("select", {})))
        if named not in known:  # readings name the same settings, so the systems are looked for once
            known[named] = systems_of(table, named)
        statistic, columns = "share", [[_hits(place, part, known[named], of_system)]]
        enough = claim.rule["systems"] if seeds is None else 2
    else:
        statistic, columns, enough = part["statistic"], columns_of(place, part, table), of_system
    n = len(columns[0][0])
    if n == 0:
        return Reading(name, None, None, 0, None)
    value, interval = estimate(statistic, columns[0], claim.rule["confidence"], *columns[1:])
    return Reading(name, value, interval, n, keeps(part["bound"], interval) if n >= enough else None)


def keeps(bound: dict[str, float], interval: tuple[float, float] | None) -> bool | None:
    """True where the whole interval keeps every bound, False where all of it breaks one, else None."""
    if interval is None or any(map(math.isnan, interval)):
        return None
    ends = [[BOUNDS[word](end, limit) for end in interval] for word, limit in bound.items()]
    if all(all(pair) for pair in ends):
        return True
    return False if any(not any(pair) for pair in ends) else None


def derive(claim: Claim) -> list[Reading]:
    """The readings of a derived claim, by the function that its rule names."""
    assert claim.rule is not None
    module, _, function = claim.rule["derivation"].partition(".")
    proof = getattr(experiments.load(module), function)()
    steps = isinstance(proof, list) and all(
        isinstance(s, dict) and {"reading", "value", "holds"} <= {*s} for s in proof
    )
    must(claim.id, steps, f"what {claim.rule['derivation']} returns is no list of readings; name another function.")
    return [Reading(step["reading"], step["value"], None, None, step["holds"]) for step in proof]


def judge(claim: Claim, rows: list[Row], seeds: int | None = None) -> Verdict:
    """The verdict of a claim's rule on rows of its experiment.

    Parameters
    ----------
    claim : Claim
        One of `errref.ledger.load`, or the reader's own.
    rows : list of Row
        Rows of the experiment; those of other configurations are passed over. A derived claim needs none.
    seeds : int or None, default=None
        How many seeds a reading needs before it is decided, and then two systems; None: as many as the rule says.

    Returns
    -------
    Verdict
        ``reproduced``, ``partly``, ``not reproduced``, ``refuted`` (derived claims only), ``possible`` or
        ``not possible`` (hypotheses), ``open`` (no rule yet, too few rows, or an interval that straddles its bound),
        ``not testable``.

    Raises
    ------
    LedgerError
        If the rule names a number that the rows lack, or selects more than one configuration.

    Examples
    --------
    >>> rule = {"experiment": "functions", "seeds": 20, "confidence": 0.95}
    >>> rule |= {"statistic": "reduction", "measure": "after", "against": "before"}
    >>> rule |= {"bound": {"at_least": 0.5}}
    >>> what = "It halves the loss."
    >>> claim = Claim("halved", "paper", "sec. 0", what, "measured", "functions", rule=rule)
    >>> numbers = {"before": 1.0, "after": 0.25}
    >>> rows = [Row("functions", {}, seed, numbers) for seed in range(20)]
    >>> verdict = judge(claim, rows)
    >>> verdict.word, verdict.readings[0].value, judge(claim, rows[:2]).word
    ('reproduced', 0.75, 'open')
    """
    if claim.kind == "untestable":
        return Verdict(claim, "not testable")
    if claim.rule is None:
        return Verdict(claim, "open")
    if claim.kind == "derived":
        found = derive(claim)
    else:
        table, known = table_of(rows), dict[tuple[str, ...], Any]()
        found = [_read(claim, name, part, table, seeds, known) for name, part in readings(claim.rule).items()]
    return Verdict(claim, word_of(claim.kind, [r.holds for r in found]), found)


def word_of(kind: str, holds: list[bool | None]) -> str:
    """All readings hold, none does, or some do and some do not; anything undecided beside that is open."""
    if True in holds and False in holds:
        return "possible" if kind == "hypothesis" else "partly"
    if None in holds or not holds:
        return "open"
    yes = {"hypothesis": "possible"}.get(kind, "reproduced")
    no = {"hypothesis": "not possible", "derived": "refuted"}.get(kind, "not reproduced")
    return no if False in holds else yes
