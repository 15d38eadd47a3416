"""The ledger of claims (``book/claims.yml``) and the verdicts that its rules give on recorded rows.

A rule is data. It names an experiment, a statistic of its rows, a bound, the confidence of the interval and the number of
seeds; *readings* are the ways to understand the claim that the rule tests one by one. A verdict is never typed.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy import stats

from errref import experiments
from errref.records import Row, packaged

Array = np.ndarray
KINDS = ("measured", "derived", "hypothesis", "untestable")
SOURCES = ("paper", "blog")
FIELDS = {"id", "source", "where", "claim", "paper", "kind", "chapter", "rule", "note"}
REQUIRED = ("id", "source", "where", "claim", "kind", "chapter")
RULE_FIELDS = {"experiment", "statistic", "measure", "against", "bound", "confidence", "seeds", "readings", "quick"}
BOUNDS: dict[str, Callable[[float, float], bool]] = {
    "at_least": lambda value, bound: value >= bound,
    "above": lambda value, bound: value > bound,
    "at_most": lambda value, bound: value <= bound,
    "below": lambda value, bound: value < bound,
}
RESAMPLES = 4999


class LedgerError(ValueError):
    """A ledger that cannot be used: the sentence names the claim, the fault and the mend."""


@dataclass(frozen=True)
class Claim:
    """One claim of a source, in our words, with the rule that was written down before its experiment ran."""

    id: str
    source: str
    where: str
    claim: str
    kind: str
    chapter: str
    paper: str = ""
    note: str = ""
    rule: dict[str, Any] | None = None

    @property
    def experiment(self) -> str | None:
        """Name of the experiment whose rows (or derivation) judge the claim; None while it has no rule."""
        if self.rule is None:
            return None
        return self.rule["derivation"].split(".")[0] if "derivation" in self.rule else self.rule["experiment"]

    @property
    def rule_hash(self) -> str:
        """Hash of the rule, kept with every run, so that a rule changed after a run is shown as such."""
        return hashlib.sha256(json.dumps(self.rule, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Reading:
    """One way to understand a claim, with what was found: ``holds`` is None where the rows do not decide."""

    name: str
    value: float | str | None
    interval: tuple[float, float] | None
    n: int | None
    holds: bool | None


@dataclass(frozen=True)
class Verdict:
    """What the rule of a claim says of the rows: the verdict's word and the readings that led to it."""

    claim: Claim
    word: str
    readings: list[Reading] = field(default_factory=list)


# -- the ledger ----------------------------------------------------------------------------------------------------------


def load(path: str | Path | None = None) -> dict[str, Claim]:
    """The claims by id, in the order of the ledger, every entry checked.

    Raises
    ------
    LedgerError
        For an entry without an id or a locator, a duplicate id, an unknown field, kind, statistic, bound or experiment.
    """
    path = packaged("book", "claims.yml") if path is None else Path(path)
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise LedgerError(f"{path.name} is not YAML: {error}") from None
    if not isinstance(entries, list):
        raise LedgerError(f"{path.name} must be a list of claims, each beginning with '- id: ...'.")
    claims: dict[str, Claim] = {}
    for place, entry in enumerate(entries, start=1):
        claim = _claim(entry, place)
        if claim.id in claims:
            raise LedgerError(f"Claim {claim.id!r} stands twice in the ledger; rename or remove one.")
        claims[claim.id] = claim
    return claims


def get(claims: dict[str, Claim], name: str) -> Claim:
    """The claim of that id, or a LedgerError with the nearest known ids."""
    if name not in claims:
        near = difflib.get_close_matches(name, claims, n=3)
        raise LedgerError(f"There is no claim {name!r}" + (f"; did you mean {', '.join(near)}?" if near else "; `errref claims` lists them."))
    return claims[name]


def _claim(entry: Any, place: int) -> Claim:
    if not isinstance(entry, dict) or not entry.get("id"):
        raise LedgerError(f"Entry {place} of the ledger has no id; begin it with '- id: ...'.")
    name = entry["id"]
    missing = [key for key in REQUIRED if not entry.get(key)]
    if missing:
        what = {"where": "locator (where)"}.get(missing[0], missing[0])
        raise LedgerError(f"Claim {name!r} has no {what}; every claim needs {', '.join(REQUIRED)}.")
    _known(name, "field", entry, FIELDS)
    _known(name, "kind", [entry["kind"]], KINDS)
    _known(name, "source", [entry["source"]], SOURCES)
    if entry.get("rule") is not None:
        _check_rule(name, entry["kind"], entry["rule"])
    return Claim(**entry)


def _check_rule(name: str, kind: str, rule: Any) -> None:
    if not isinstance(rule, dict):
        raise LedgerError(f"Claim {name!r}: its rule must be a mapping.")
    if kind == "derived":
        if set(rule) != {"derivation"} or not hasattr(*_derivation(name, rule["derivation"])):
            raise LedgerError(f"Claim {name!r} is derived: its rule is 'derivation: EXPERIMENT.FUNCTION' and names a function that exists.")
        return
    _known(name, "rule field", rule, RULE_FIELDS)
    for key in ("experiment", "seeds", "confidence"):
        if key not in rule:
            raise LedgerError(f"Claim {name!r}: its rule does not say {key}.")
    if not 0 < rule["confidence"] < 1 or not isinstance(rule["seeds"], int) or rule["seeds"] < 2:
        raise LedgerError(f"Claim {name!r}: confidence must lie between 0 and 1, and seeds be a whole number of at least 2.")
    _known(name, "experiment", [rule["experiment"]], experiments.NAMES)
    for reading, part in _readings(rule).items():
        _known(name, "reading field", part, RULE_FIELDS | {"select", "than"})
        if "statistic" not in part or "measure" not in part or "bound" not in part:
            raise LedgerError(f"Claim {name!r}, reading {reading!r}: it needs a statistic, a measure and a bound.")
        _known(name, "statistic", [part["statistic"]], STATISTICS)
        if (part["statistic"] in PAIRED) != ("against" in part):
            raise LedgerError(f"Claim {name!r}, reading {reading!r}: 'against' goes with {', '.join(sorted(PAIRED))}, and with nothing else.")
        if not isinstance(part["bound"], dict) or len(part["bound"]) == 0:
            raise LedgerError(f"Claim {name!r}, reading {reading!r}: bound must be a mapping such as {{above: 0}}.")
        _known(name, "bound", part["bound"], BOUNDS)


def _derivation(name: str, dotted: Any) -> tuple[Any, str]:
    module, _, function = str(dotted).partition(".")
    _known(name, "experiment", [module], experiments.NAMES)
    return experiments.load(module), function


def _known(name: str, what: str, given: Any, known: Any) -> None:
    for word in given:
        if word not in known:
            raise LedgerError(f"Claim {name!r}: unknown {what} {word!r}; known are {', '.join(sorted(known))}.")


# -- statistics ----------------------------------------------------------------------------------------------------------
# Each takes arrays of shape (..., n), one entry a seed, and returns shape (...): so one call serves all resamples.


def _reduction(measure: Array, against: Array) -> Array:
    """1 - median(measure) / median(against): the share of the loss that is gone."""
    return 1 - np.median(measure, axis=-1) / np.median(against, axis=-1)


STATISTICS: dict[str, Callable[..., Array]] = {
    "median": lambda measure: np.median(measure, axis=-1),
    "log10_median": lambda measure: np.log10(np.median(measure, axis=-1)),
    "reduction": _reduction,
    "share": lambda measure: np.mean(measure, axis=-1),
}
PAIRED = {"reduction"}


def estimate(name: str, arrays: Sequence[Array], confidence: float) -> tuple[float, tuple[float, float] | None]:
    """A statistic of arrays that are paired by seed, with its interval.

    Bootstrap over seeds (percentile, pairs kept together); for a share the Clopper-Pearson interval of a binomial
    proportion, since resampling rows that all agree would give an interval of no width.
    """
    value = float(STATISTICS[name](*arrays))
    return value, _interval(lambda *sample: STATISTICS[name](*sample), arrays, confidence) if name != "share" else _proportion(arrays[0], confidence)


def _interval(statistic: Callable[..., Array], arrays: Sequence[Array], confidence: float) -> tuple[float, float] | None:
    n = len(arrays[0])
    if n < 2:
        return None
    draw = np.random.default_rng(0).integers(n, size=(RESAMPLES, n))
    low, high = np.quantile(statistic(*(a[draw] for a in arrays)), [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _proportion(successes: Array, confidence: float) -> tuple[float, float]:
    interval = stats.binomtest(int(successes.sum()), len(successes)).proportion_ci(confidence, method="exact")
    return float(interval.low), float(interval.high)


# -- verdicts ------------------------------------------------------------------------------------------------------------


def _readings(rule: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each reading with the rule's own settings as its defaults."""
    common = {k: v for k, v in rule.items() if k not in ("readings", "experiment", "seeds", "confidence", "quick")}
    return {name: {**common, **(part or {})} for name, part in (rule.get("readings") or {"as printed": {}}).items()}


def uses(claim: Claim, config: dict[str, Any]) -> bool:
    """Whether some reading of a measured claim looks at rows of this configuration."""
    assert claim.rule is not None
    selects = [part[key] for part in _readings(claim.rule).values() for key in ("select", "than") if key in part]
    return any(_matches(select, config) for select in selects)


def _matches(select: dict[str, Any], config: dict[str, Any]) -> bool:
    return all(config.get(key) == value for key, value in select.items())


def _column(rows: list[Row], select: dict[str, Any]) -> dict[int, dict[str, float]]:
    return {row.seed: row.numbers for row in rows if _matches(select, row.config)}


def _arrays(part: dict[str, Any], rows: list[Row]) -> list[Array]:
    """The columns that a reading needs, paired by seed: measure (and against) of ``select``, then of ``than``."""
    columns = [_column(rows, part.get("select", {}))] + ([_column(rows, part["than"])] if "than" in part else [])
    seeds = sorted(set.intersection(*(set(c) for c in columns)))
    names = [part["measure"]] + ([part["against"]] if "against" in part else [])
    try:
        return [np.array([column[s][name] for s in seeds], dtype=float) for column in columns for name in names]
    except KeyError as missing:
        raise LedgerError(f"The recorded rows have no number {missing}; record them again, or mend the rule's measure.") from None


def _read_one(name: str, part: dict[str, Any], rows: list[Row], confidence: float, seeds: int) -> Reading:
    arrays = _arrays(part, rows)
    n = len(arrays[0])
    if n == 0:
        return Reading(name, None, None, 0, None)
    if "than" in part:  # the difference of the same statistic between two configurations
        half = len(arrays) // 2
        function = STATISTICS[part["statistic"]]

        def difference(*sample: Array) -> Array:
            return function(*sample[:half]) - function(*sample[half:])

        value, interval = float(difference(*arrays)), _interval(difference, arrays, confidence)
    else:
        value, interval = estimate(part["statistic"], arrays, confidence)
    return Reading(name, value, interval, n, _holds(part["bound"], interval) if n >= seeds else None)


def _holds(bound: dict[str, float], interval: tuple[float, float] | None) -> bool | None:
    """True where the whole interval keeps every bound, False where all of it breaks one, else None."""
    if interval is None:
        return None
    ends = [[BOUNDS[word](end, limit) for end in interval] for word, limit in bound.items()]
    if all(all(pair) for pair in ends):
        return True
    return False if any(not any(pair) for pair in ends) else None


def derive(claim: Claim) -> list[Reading]:
    """The readings of a derived claim, by the function that its rule names."""
    assert claim.rule is not None
    module, function = _derivation(claim.id, claim.rule["derivation"])
    return [Reading(r["reading"], r["value"], None, None, bool(r["holds"])) for r in getattr(module, function)()]


def judge(claim: Claim, rows: list[Row], seeds: int | None = None) -> Verdict:
    """The verdict of a claim's rule on rows of its experiment.

    Parameters
    ----------
    claim : Claim
    rows : list of Row
        Rows of the experiment; those of other configurations are passed over. A derived claim needs none.
    seeds : int or None, default=None
        How many seeds a reading needs before it is decided; None: as many as the rule says.

    Returns
    -------
    Verdict
        ``reproduced``, ``partly``, ``not reproduced``, ``refuted`` (derived claims only), ``possible`` or ``not possible``
        (hypotheses), ``open`` (no rule yet, too few rows, or an interval that straddles its bound), ``not testable``.
    """
    if claim.kind == "untestable":
        return Verdict(claim, "not testable")
    if claim.rule is None:
        return Verdict(claim, "open")
    if claim.kind == "derived":
        readings = derive(claim)
    else:
        rule = claim.rule
        needed = rule["seeds"] if seeds is None else seeds
        readings = [_read_one(name, part, rows, rule["confidence"], needed) for name, part in _readings(rule).items()]
    return Verdict(claim, _word(claim.kind, [r.holds for r in readings]), readings)


def _word(kind: str, holds: list[bool | None]) -> str:
    """All readings hold, none does, or some do and some do not; anything undecided beside that is open."""
    yes, no = {"hypothesis": ("possible", "not possible"), "derived": ("reproduced", "refuted")}.get(kind, ("reproduced", "not reproduced"))
    if True in holds and False in holds:
        return "possible" if kind == "hypothesis" else "partly"
    if None in holds or not holds:
        return "open"
    return yes if all(holds) else no
