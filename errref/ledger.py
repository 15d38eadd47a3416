"""The ledger of claims (``book/claims.yml``): what the two sources claim, and the rule that judges each claim.

A rule is data. It names an experiment, a statistic of its rows, a bound, the confidence of the interval and the number
of seeds; *readings* are the ways to understand the claim that the rule tests one by one. With ``each``, a reading looks
at many *systems*, configurations that differ in what ``select`` leaves open: its number is the share of systems whose
statistic keeps the bound of ``each``. A claim may have a second rule, ``full``, judged in another chapter.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from inspect import isfunction, signature
from pathlib import Path
from typing import Any

import yaml

from errref import experiments
from errref.records import packaged
from errref.statistics import PAIRED, STATISTICS

KINDS = ("measured", "derived", "hypothesis", "untestable")
SOURCES = ("paper", "blog")
REQUIRED = ("id", "source", "where", "claim", "kind", "chapter")
TEXTS = (*REQUIRED, "paper", "note")
READING_FIELDS = {"statistic", "measure", "against", "bound", "select", "than", "each"}
RULE_FIELDS = {"experiment", "seeds", "confidence", "quick", "systems", "sample", "readings", *READING_FIELDS}
BOUNDS: dict[str, Callable[[Any, float], Any]] = {  # of a number, or of an array of numbers
    "at_least": lambda value, bound: value >= bound,
    "above": lambda value, bound: value > bound,
    "at_most": lambda value, bound: value <= bound,
    "below": lambda value, bound: value < bound,
}


class LedgerError(ValueError):
    """A ledger that cannot be used: the sentence names the claim, the fault and the mend."""


@dataclass(frozen=True)
class Claim:
    """One claim of a source, in our words, with the rule that was written down before its experiment ran.

    Parameters
    ----------
    id : str
        Its word on the command line.
    source : {"paper", "blog"}
    where : str
        Its place in the source.
    claim : str
        What is claimed, in our words.
    kind : {"measured", "derived", "hypothesis", "untestable"}
    chapter : str
        That tests it.
    paper, note : str
        What is printed; how we understand it.
    rule, full : dict or None
        The rule that judges it, as the head of the ledger describes it; chapter and rule of a second one.
    scope : str
        "full" for the claim by its second rule (`second`), else empty.

    Examples
    --------
    >>> claim = load()["toy-global-minimum"]
    >>> claim.source, claim.where, claim.chapter, claim.experiment
    ('paper', 'sec. 2, figure 1', 'intuition', 'intuition')
    """

    id: str
    source: str
    where: str
    claim: str
    kind: str
    chapter: str
    paper: str = ""
    note: str = ""
    rule: dict[str, Any] | None = None
    full: dict[str, Any] | None = None
    scope: str = ""

    @property
    def second(self) -> Claim | None:
        """The same claim with its rule of full scope, and the chapter of that; None where it has only one rule."""
        return replace(self, **self.full, full=None, scope="full") if self.full else None

    @property
    def label(self) -> str:
        """The id, and for a second rule the words that tell it from the first."""
        return f"{self.id} ({self.scope} scope)" if self.scope else self.id

    @property
    def experiment(self) -> str | None:
        """Name of the experiment whose rows (or derivation) judge the claim; None while it has no rule."""
        rule = self.rule or {}
        return rule["derivation"].split(".")[0] if "derivation" in rule else rule.get("experiment")

    @property
    def rule_hash(self) -> str:
        """Hash of the rule, kept with every run, so that a rule changed after a run is shown as such."""
        return hashlib.sha256(json.dumps(self.rule, sort_keys=True).encode()).hexdigest()[:12]


class _Yaml(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML that refuses a key which stands twice; YAML itself keeps the last and says nothing."""

    def construct_mapping(self, node, deep=False):
        keys = [pair[0].value for pair in node.value] if isinstance(node, yaml.MappingNode) else []
        for k, key in enumerate(keys):
            if key in keys[:k]:
                line = node.value[k][0].start_mark.line + 1
                raise LedgerError(f"Line {line} of the ledger: the key {key!r} stands twice; rename or remove one.")
        return super().construct_mapping(node, deep)


def load(path: str | Path | None = None) -> dict[str, Claim]:
    """The claims by id, in the order of the ledger, every entry checked.

    Parameters
    ----------
    path : str, pathlib.Path or None, default=None
        A file in the form of ``book/claims.yml``; None: that file.

    Returns
    -------
    dict of Claim

    Raises
    ------
    LedgerError
        For an entry without an id or a locator, a duplicate id, an unknown field, kind, statistic, bound or experiment.

    Examples
    --------
    >>> [name for name, claim in load().items() if claim.where == "sec. 2"]
    ['toy-barrier', 'toy-escape']
    """
    path = packaged("book", "claims.yml") if path is None else Path(path)
    try:
        entries = yaml.load(path.read_text(encoding="utf-8"), _Yaml)
    except (OSError, UnicodeDecodeError) as error:
        raise LedgerError(f"The ledger cannot be read ({error}); restore it from version control.") from None
    except LedgerError:
        raise
    except Exception as error:  # a YAMLError, or what a value such as 2026-13-01 makes the constructors raise
        raise LedgerError(f"{path.name} is not YAML; mend it where it says: {' '.join(str(error).split())}") from None
    if not isinstance(entries, list):
        raise LedgerError(f"{path.name} must be a list of claims, each beginning with '- id: ...'.")
    claims: dict[str, Claim] = {}
    for place, entry in enumerate(entries, start=1):
        claim = _claim(entry, place)
        must(claim.id, claim.id not in claims, "it stands twice in the ledger; rename or remove one.")
        claims[claim.id] = claim
    return claims


def get(claims: dict[str, Claim], name: str) -> Claim:
    """The claim of that id.

    Parameters
    ----------
    claims : dict of Claim, as `load` returns them
    name : str, the id

    Returns
    -------
    Claim

    Raises
    ------
    LedgerError
        For an unknown id, with the nearest known ones.

    Examples
    --------
    >>> get(load(), "toy-basin").where
    'sec. 3'
    """
    if name not in claims:
        near = difflib.get_close_matches(name, claims, n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else "; `errref claims` lists them."
        raise LedgerError(f"There is no claim {name!r}{hint}")
    return claims[name]


def _claim(entry: Any, place: int) -> Claim:
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), str) or not entry["id"].strip():
        raise LedgerError(f"Entry {place} of the ledger has no id; begin it with '- id: ...'.")
    name = entry["id"]
    _known(name, "field", entry, (*TEXTS, "rule", "full"))
    for key in TEXTS:
        what = {"where": "locator (where)"}.get(key, key)
        must(name, key not in REQUIRED or bool(entry.get(key)), f"it has no {what}; add it.")
        must(name, isinstance(entry.get(key, ""), str), f"its {what} must be text; put it in quotes.")
    _known(name, "kind", [entry["kind"]], KINDS)
    _known(name, "source", [entry["source"]], SOURCES)
    if entry.get("rule") is not None:
        must(name, isinstance(entry["rule"], dict), "its rule must be a mapping such as {experiment: ..., seeds: ...}.")
        (_check_derivation if entry["kind"] == "derived" else _check_rule)(name, entry["rule"])
    claim = Claim(**entry)
    if "full" in entry:
        _check_full(claim, entry["full"])
    return claim


def _check_full(claim: Claim, full: Any) -> None:
    """Refuse a second rule that has no first, or that rows could not tell from the first."""
    name = f"{claim.id}, full"
    shape = isinstance(full, dict) and set(full) == {"chapter", "rule"} and isinstance(full["rule"], dict)
    must(name, shape, "it must be a mapping {chapter: ..., rule: {...}}, and nothing else.")
    must(name, isinstance(full["chapter"], str) and bool(full["chapter"]), "its chapter must be text, in quotes.")
    must(name, claim.kind in ("measured", "hypothesis"), f"a {claim.kind} claim cannot have it; remove it.")
    must(name, claim.rule is not None, "a second rule needs a first; add the rule, or make this one the rule.")
    _check_rule(name, full["rule"])
    another = full["rule"]["experiment"] != claim.experiment
    must(name, another, "it must judge another experiment than the first rule, or be one of the readings there.")


def _check_derivation(name: str, rule: dict[str, Any]) -> None:
    module, _, function = str(rule.get("derivation")).partition(".")
    must(name, set(rule) == {"derivation"}, "it is derived, so its rule is 'derivation: EXPERIMENT.FUNCTION' alone.")
    _known(name, "experiment", [module], experiments.NAMES)
    known = isfunction(found := getattr(experiments.load(module), function, None)) and not signature(found).parameters
    must(name, known, f"there is no function {function!r} in the experiment {module!r}, or it has parameters; mend it.")


def _check_rule(name: str, rule: dict[str, Any]) -> None:
    _known(name, "rule field", rule, RULE_FIELDS)
    for key in ("experiment", "seeds", "confidence"):
        must(name, key in rule, f"its rule does not say {key}; add it.")
    confidence = rule["confidence"]
    must(name, _number(confidence) and 0 < confidence < 1, "its confidence must lie between 0 and 1.")
    for key in ("seeds", "systems", "sample"):
        must(name, type(n := rule.get(key, 2)) is int and n >= 2, f"its {key} must be a whole number of at least 2.")
    _known(name, "experiment", [rule["experiment"]], experiments.NAMES)
    must(name, _plain(rule.get("quick", {})), "its quick must be a mapping such as {scale: quick}, flat.")
    given = rule.get("readings", {})
    named = isinstance(given, dict) and all(isinstance(n, str) and isinstance(p, dict) for n, p in given.items())
    must(name, named, "its readings must be a mapping from names to settings, such as {linear: {select: ...}}.")
    for reading, part in readings(rule).items():
        place = f"{name}, reading {reading}"
        _known(place, "reading field", part, READING_FIELDS)
        for key in ("statistic", "measure", "bound"):
            must(place, key in part, f"it has no {key}; add it.")
        _known(place, "statistic", [part["statistic"]], STATISTICS)
        for key in ("measure", "against"):
            must(place, isinstance(part.get(key, ""), str), f"its {key} must be the name of a number.")
        paired = (part["statistic"] in PAIRED) == ("against" in part)
        must(place, paired, f"'against' goes with {', '.join(sorted(PAIRED))}, and with nothing else.")
        for key in ("bound", "each"):
            bound = part.get(key, {"above": 0})
            must(place, isinstance(bound, dict) and bool(bound), f"its {key} must be a mapping such as {{above: 0}}.")
            _known(place, "bound", bound, BOUNDS)
            must(place, all(map(_number, bound.values())), f"its {key} must be a number.")
        for key in ("select", "than"):
            must(place, _plain(part.get(key, {})), f"its {key} must be a mapping such as {{function: linear}}, flat.")
        must(place, "each" not in part or "systems" in rule, "'each' goes with the number of systems; add systems.")
        same = "each" not in part or set(part.get("than", part.get("select", {}))) == set(part.get("select", {}))
        must(place, same, "with 'each', its select and than must name the same settings.")
    must(name, _plain(rule, deep=True), "its rule must hold words, numbers and mappings of these only.")


def must(name: str, holds: bool, sentence: str) -> None:
    """Refuse a claim of the ledger, in one sentence that names it, unless the condition holds."""
    if not holds:
        raise LedgerError(f"Claim {name!r}: {sentence}")


def rules(claims: dict[str, Claim], experiment: str) -> dict[str, Claim]:
    """The claims that rows of an experiment judge, by id; with their second rule where that is the one."""
    both = [claim for first in claims.values() for claim in (first, first.second) if claim is not None]
    return {claim.id: claim for claim in both if claim.experiment == experiment and claim.kind != "derived"}


def _known(name: str, what: str, given: Iterable[Any], known: Iterable[str]) -> None:
    for word in given:
        must(name, word in list(known), f"unknown {what} {word!r}; known are {', '.join(sorted(known))}.")


def _number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _plain(value: Any, deep: bool = False) -> bool:
    """Whether these are plain values by name, as a configuration has them; or, if deep, mappings of such too."""
    kinds = {str, bool, int, float, type(None)}
    named = isinstance(value, dict) and {*map(type, value)} <= {str}
    return named and all(type(v) in kinds or (deep and _plain(v, deep)) for v in value.values())


def readings(rule: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each reading with the rule's own settings as its defaults."""
    common = {key: value for key, value in rule.items() if key in READING_FIELDS}
    return {name: {**common, **part} for name, part in (rule.get("readings") or {"as printed": {}}).items()}
