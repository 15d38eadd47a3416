"""The recorded verdicts: what the rules of the ledger say of the rows on the disk."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from errref import claims, experiments, numerics, pins, records
from errref.claims import Claim, Verdict
from errref.records import Row

# The paper's own headline: the four reductions of its table, and the accuracy of its abstract.
HEADLINE = ("table-linear", "table-cubic", "table-quartic", "table-piecewise", "fashion-9881")

# How the machine rounds that recorded the first rows: with the pins that came later. `EARLIER_PIECE` is what those of
# them that tell it at all say, before it was told part by part.
EARLIER_PIECE = "a0d4ed43"
EARLIER = {"loops": "5f502176", "numpy": "9b7090ec", "openblas": "08140be4", "gate": "d951c11c"}


def rows_of(claim: Claim, folder: str | Path | None = None) -> list[Row]:
    """The recorded rows that judge a claim; an empty list for a claim without an experiment."""
    return [] if claim.experiment is None or claim.kind == "derived" else records.read(claim.experiment, folder)


def verdicts(names: Iterable[str] | None = None, folder: str | Path | None = None) -> list[Verdict]:
    """The recorded verdicts of claims, each with that of its second rule, of full scope, where it has one.

    Parameters
    ----------
    names : iterable of str or None, default=None
        Ids; None: those of the whole ledger, in its order.
    folder : str, pathlib.Path or None, default=None
        Of the rows, as in `errref.records.read`.

    Returns
    -------
    list of Verdict

    Raises
    ------
    LedgerError, RecordError
        For an unknown id, with the nearest known ones; for rows that cannot be read.

    Examples
    --------
    >>> [len(verdict.readings) for verdict in verdicts(["toy-basin", "toy-global-minimum"])]
    [5, 4]
    """
    ledger = claims.load()
    chosen = list(ledger.values()) if names is None else [claims.get(ledger, name) for name in names]
    both = [claim for first in chosen for claim in (first, first.second) if claim is not None]
    measured = {c.experiment for c in both if c.experiment is not None and c.kind != "derived"}
    rows = {name: records.read(name, folder) for name in measured}
    found = {claim.label: claims.judge(claim, rows.get(claim.experiment or "", [])) for claim in both}
    return [replace(found[c.label], full=found[c.second.label] if c.second else None) for c in chosen]


def late(judged: Iterable[Claim], folder: str | Path | None = None) -> frozenset[str]:
    """Labels of the claims with rows that were recorded under another rule than the one that judges them now."""
    measured = [(c, c.experiment) for c in judged if c.experiment is not None and c.kind != "derived"]
    runs = {name: records.runs(name, folder).values() for _, name in measured}
    return frozenset(c.label for c, name in measured if any(r["rules"].get(c.id) != c.rule_hash for r in runs[name]))


def numerics_of(run: dict[str, Any]) -> dict[str, str]:
    """How the machine of a run rounds, part by part, as `errref.numerics.numerics` tells it.

    The first runs do not say so, or in one piece; all were recorded where it was ``EARLIER``. Empty where a piece is
    another.

    Examples
    --------
    >>> numerics_of({"numerics": {"numpy": "01234567"}}), numerics_of({}) == EARLIER, numerics_of({"numerics": "other"})
    ({'numpy': '01234567'}, True, {})
    """
    told = run.get("numerics", EARLIER_PIECE)
    return told if isinstance(told, dict) else EARLIER if told == EARLIER_PIECE else {}


def moved(there: dict[str, str], parts: Iterable[str] | None = None) -> list[str]:
    """The parts in which this machine rounds otherwise than another one told; of these, or of all that it told.

    A part that it did not tell counts as one that differs, and so does torch where it is not installed.

    Examples
    --------
    >>> moved(numerics.numerics()), moved({"numpy": "01234567"}), moved({}, ["loops"])
    ([], ['numpy'], ['loops'])
    """
    return [part for part in (there if parts is None else parts) if part not in there or _here(part) != there[part]]


def _here(part: str) -> str:
    try:
        return numerics.numerics([part])[part]
    except ImportError:
        return "not installed"


def remarks(claim: Claim, folder: str | Path | None = None) -> list[str]:
    """What a reader must know before fresh rows are compared with the recorded ones that judge a claim.

    A rule that came late is one such thing. Others are variables of the reader's own in the place of pins, and numerics
    that moved: a long training ends at other digits on a machine that rounds otherwise, so that rows can differ where
    nothing is wrong with a claim.
    """
    found = ["the rule was written or changed after rows were recorded"] if late([claim], folder) else []
    used = [row for row in rows_of(claim, folder) if claims.uses(claim, row.config)]
    if used and (here := pins.departures(os.environ)):
        found.append(f"numerics not pinned: {', '.join(here)}")
    told = records.runs(used[0].experiment, folder) if used else {}
    pairs = {(row.run, experiments.depends(row.experiment, row.config)) for row in used}
    if not all(numerics_of(told[run]) for run, _ in pairs):
        found.append("numerics unknown: how the machine of the rows rounds was told in another way; rows may differ")
    elif other := {part for run, parts in pairs for part in moved(numerics_of(told[run]), parts)}:
        words = f"{' and '.join(sorted(other))} of this machine round otherwise than where the rows were recorded"
        found.append(f"numerics moved: {words}; a long training ends at other digits for that alone")
    return found


def mark(judged: Iterable[Verdict] | None = None) -> str:
    """What stands before the title of this reproduction, in the manner of the journal ReScience.

    It is judged by the first rules of the claims in ``HEADLINE``.

    Parameters
    ----------
    judged : iterable of Verdict or None, default=None
        None: the recorded verdicts of ``HEADLINE``.

    Returns
    -------
    str
        ``"[Re]"`` if every claim is reproduced. ``"[¬Re]"`` if one is not, or only partly, whatever the others turn out
        to be. Empty as long as neither is certain, because a claim that could still decide it is open.

    Examples
    --------
    >>> mark(verdicts(["toy-global-minimum"]))
    '[Re]'
    >>> mark(verdicts(["toy-global-minimum", "forget-update"]))
    '[¬Re]'
    """
    words = {verdict.word for verdict in (verdicts(HEADLINE) if judged is None else judged)}
    if words <= {"reproduced"}:
        return "[Re]"
    return "[¬Re]" if words - {"reproduced", "open"} else ""
