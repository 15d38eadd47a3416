"""Verdicts as people and programs read them: a text table, JSON, and the box of a chapter (paper | recorded | fresh)."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from errref import claims, records
from errref.claims import Claim, Reading, Verdict
from errref.records import Row

PERCENT = ("reduction", "share")


def rows_of(claim: Claim, folder: str | Path | None = None) -> list[Row]:
    """The recorded rows that judge a claim; an empty list for a claim without an experiment."""
    return [] if claim.experiment is None or claim.kind == "derived" else records.read(claim.experiment, folder)


def verdicts(names: Iterable[str] | None = None, folder: str | Path | None = None) -> list[Verdict]:
    """The recorded verdicts of the named claims (None: of the whole ledger), in the order of the ledger."""
    ledger = claims.load()
    chosen = ledger.values() if names is None else [claims.get(ledger, name) for name in names]
    return [claims.judge(claim, rows_of(claim, folder)) for claim in chosen]


def rule_changed(claim: Claim, folder: str | Path | None = None) -> bool:
    """Whether a run of the claim's experiment was recorded under another rule than the one that judges it now."""
    if claim.experiment is None or claim.kind == "derived":
        return False
    runs = records.runs(claim.experiment, folder).values()
    return any(run["rules"].get(claim.id, claim.rule_hash) != claim.rule_hash for run in runs)


# -- numbers -------------------------------------------------------------------------------------------------------------


def statistic_of(claim: Claim, reading: str) -> str:
    """Name of the statistic that a reading of the claim reports; empty for a derivation."""
    if claim.rule is None or claim.kind == "derived":
        return ""
    part = (claim.rule.get("readings") or {}).get(reading) or {}
    return part.get("statistic", claim.rule.get("statistic", ""))


def show(value: float | str | None, statistic: str = "") -> str:
    """A number as a page prints it: shares in per cent, everything else with three digits."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if statistic in PERCENT:
        return f"{100 * value:.1f} %"
    return f"{value:.2e}" if value and abs(value) < 1e-2 else f"{value:.3g}"


def show_interval(reading: Reading, statistic: str = "") -> str:
    """The interval of a reading, in brackets; empty where there is none."""
    return "" if reading.interval is None else f"[{show(reading.interval[0], statistic)}, {show(reading.interval[1], statistic)}]"


def holds(reading: Reading) -> str:
    """The word for one reading."""
    return {True: "holds", False: "does not hold", None: "open"}[reading.holds]


def n_of(verdict: Verdict) -> int | None:
    """The number of seeds behind a verdict: that of its smallest reading; None for a derivation."""
    counts = [r.n for r in verdict.readings if r.n is not None]
    return min(counts) if counts else None


def summary(verdict: Verdict) -> str:
    """What was found, in a few words: the number, or which readings hold."""
    readings = verdict.readings
    if not readings or all(r.value is None for r in readings):
        return "–"
    if len(readings) == 1:
        statistic = statistic_of(verdict.claim, readings[0].name)
        return f"{show(readings[0].value, statistic)} {show_interval(readings[0], statistic)}".strip()
    true = [r.name for r in readings if r.holds]
    return f"holds for {len(true)} of {len(readings)}" + (f": {', '.join(true)}" if 0 < len(true) < len(readings) else "")


# -- forms ---------------------------------------------------------------------------------------------------------------


def as_object(verdict: Verdict) -> dict[str, Any]:
    """A verdict as plain data for JSON: one number where the claim has one reading, else one for each by its name."""
    claim, readings = verdict.claim, verdict.readings

    def one_or_all(value):
        if not readings:
            return None
        return value(readings[0]) if len(readings) == 1 else {r.name: value(r) for r in readings}

    return {
        "id": claim.id,
        "source": claim.source,
        "where": claim.where,
        "claim": claim.claim,
        "kind": claim.kind,
        "chapter": claim.chapter,
        "paper": claim.paper or None,
        "recorded": one_or_all(lambda r: r.value),
        "interval": one_or_all(lambda r: None if r.interval is None else list(r.interval)),
        "holds": one_or_all(lambda r: r.holds),
        "n": n_of(verdict),
        "verdict": verdict.word,
    }


def as_text(found: Sequence[Verdict], width: int = 120) -> str:
    """Verdicts as a table for a terminal."""
    lines = [f"{'claim':26} {'paper':18} {'n':>4}  {'verdict':15} recorded"]
    for verdict in found:
        n = n_of(verdict)
        start = f"{verdict.claim.id:26} {verdict.claim.paper[:18]:18} {'' if n is None else n:>4}  {verdict.word:15} "
        lines.append(start + textwrap.shorten(summary(verdict), max(20, width - len(start)), placeholder=" ..."))
    return "\n".join(lines)


@dataclass(frozen=True)
class Box:
    """The verdict box of a chapter: for each claim, each reading's number as paper | recorded | fresh.

    Parameters
    ----------
    recorded : list of Verdict
        Judged on the rows of ``results/``.
    fresh : list of Verdict or None
        The same claims, judged on rows that the page itself has just measured.
    changed : set of str
        Ids whose rule was changed after the rows were recorded.
    """

    recorded: list[Verdict]
    fresh: list[Verdict] | None = None
    changed: frozenset[str] = frozenset()

    def _lines(self) -> Iterable[tuple[Verdict, Reading, Reading | None]]:
        for i, verdict in enumerate(self.recorded):
            for k, reading in enumerate(verdict.readings or [Reading("", None, None, None, None)]):
                yield verdict, reading, self.fresh[i].readings[k] if self.fresh and self.fresh[i].readings else None

    def _cells(self, verdict: Verdict, reading: Reading, fresh: Reading | None) -> list[str]:
        statistic = statistic_of(verdict.claim, reading.name)
        recorded = f"{show(reading.value, statistic)} {show_interval(reading, statistic)}".strip()
        again = "–" if fresh is None else show(fresh.value, statistic) + (f" (n={fresh.n})" if fresh.n else "")
        return [reading.name, recorded, "–" if reading.n is None else str(reading.n), again, holds(reading)]

    def __repr__(self) -> str:
        lines = []
        for verdict, reading, fresh in self._lines():
            if reading is (verdict.readings or [reading])[0]:
                lines.append(f"{verdict.claim.id}: {verdict.word}   (paper: {verdict.claim.paper or '–'})")
            lines.append("    " + " | ".join(self._cells(verdict, reading, fresh)))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = ['<div class="verdict-box">']
        for i, verdict in enumerate(self.recorded):
            claim = verdict.claim
            note = " The rule was changed after the rows were recorded." if claim.id in self.changed else ""
            parts.append(
                f'<table><caption><a href="scorecard.html#claim-{claim.id}"><code>{claim.id}</code></a> '
                f'<span class="verdict verdict-{verdict.word.replace(" ", "-")}">{verdict.word}</span> '
                f"{escape(claim.claim)} <em>Paper ({escape(claim.where)}):</em> {escape(claim.paper or '–')}.{note}</caption>"
            )
            derived = claim.kind == "derived"
            heads = ["reading", "derived", "outcome"] if derived else ["reading", "recorded [interval]", "n", "fresh", "outcome"]
            parts.append("<thead><tr>" + "".join(f'<th scope="col">{h}</th>' for h in heads) + "</tr></thead><tbody>")
            for owner, reading, fresh in self._lines():
                if owner is self.recorded[i]:
                    cells = self._cells(owner, reading, fresh)
                    cells = [cells[0], cells[1], cells[4]] if derived else cells
                    parts.append("<tr>" + f'<th scope="row">{escape(cells[0])}</th>' + "".join(f"<td>{escape(c)}</td>" for c in cells[1:]) + "</tr>")
            parts.append("</tbody></table>")
        return "".join(parts) + "</div>"


def box(*names: str, fresh: list[Row] | None = None) -> Box:
    """The verdict box of some claims, judged on the recorded rows and, beside them, on rows measured just now.

    Parameters
    ----------
    *names : str
        Ids of the claims.
    fresh : list of Row or None
        Rows of the claims' experiment on seeds that are not recorded.
    """
    recorded = verdicts(names)
    again = None if fresh is None else [claims.judge(v.claim, fresh, seeds=2) for v in recorded]
    return Box(recorded, again, frozenset(v.claim.id for v in recorded if rule_changed(v.claim)))
