"""Verdicts and rows as people and programs read them: tables for a terminal and a page, JSON, a digest of rows."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from errref import claims, records
from errref.claims import Claim, Reading, Verdict
from errref.records import Row

PERCENT = {"reduction": 1, "share": 1, "accuracy": 2}  # statistics shown in per cent, with so many decimals
NONE = "–"


def rows_of(claim: Claim, folder: str | Path | None = None) -> list[Row]:
    """The recorded rows that judge a claim; an empty list for a claim without an experiment."""
    return [] if claim.experiment is None or claim.kind == "derived" else records.read(claim.experiment, folder)


def verdicts(names: Iterable[str] | None = None, folder: str | Path | None = None) -> list[Verdict]:
    """The recorded verdicts of the named claims (None: of the whole ledger), in the order of the ledger."""
    ledger = claims.load()
    chosen = list(ledger.values()) if names is None else [claims.get(ledger, name) for name in names]
    measured = {c.experiment for c in chosen if c.experiment is not None and c.kind != "derived"}
    rows = {name: records.read(name, folder) for name in measured}
    return [claims.judge(claim, rows.get(claim.experiment or "", [])) for claim in chosen]


def rule_changed(claim: Claim, folder: str | Path | None = None) -> bool:
    """Whether rows of the claim's experiment were recorded under another rule than the one that judges them now."""
    if claim.experiment is None or claim.kind == "derived":
        return False
    runs = records.runs(claim.experiment, folder).values()
    return any(run["rules"].get(claim.id) != claim.rule_hash for run in runs)


# -- numbers -----------------------------------------------------------------------------------------------------------


def statistic_of(claim: Claim, reading: str) -> str:
    """Name of the statistic that a reading of the claim reports; empty for a derivation."""
    if claim.rule is None or claim.kind == "derived":
        return ""
    part = (claim.rule.get("readings") or {}).get(reading) or {}
    return part.get("statistic", claim.rule.get("statistic", ""))


def show(value: float | str | None, statistic: str = "") -> str:
    """A number as a page prints it: shares in per cent, thousands in full, everything else with three digits."""
    if value is None:
        return NONE
    if isinstance(value, str):
        return value
    if statistic in PERCENT:
        return f"{100 * value:.{PERCENT[statistic]}f} %"
    if abs(value) >= 1e6 or 0 < abs(value) < 1e-2:
        return f"{value:.2e}"
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"


def show_interval(reading: Reading, statistic: str = "") -> str:
    """The interval of a reading, in brackets; empty where there is none."""
    return "" if reading.interval is None else f"[{', '.join(show(end, statistic) for end in reading.interval)}]"


def holds(reading: Reading) -> str:
    """The word for one reading."""
    return {True: "holds", False: "does not hold", None: "open"}[reading.holds]


def n_of(verdict: Verdict) -> int | None:
    """The number of seeds behind a verdict: that of its smallest reading; None for a derivation."""
    return min((r.n for r in verdict.readings if r.n is not None), default=None)


def found(verdict: Verdict, reading: Reading) -> str:
    """What one reading found: the number and its interval."""
    statistic = statistic_of(verdict.claim, reading.name)
    return f"{show(reading.value, statistic)} {show_interval(reading, statistic)}".strip()


def summary(verdict: Verdict) -> str:
    """What was found, in a few words: the number, or which readings hold."""
    readings = verdict.readings
    if all(r.value is None for r in readings):
        return NONE
    if len(readings) == 1:
        return found(verdict, readings[0])
    true, false = ([r.name for r in readings if r.holds is word] for word in (True, False))
    undecided = len(readings) - len(true) - len(false)
    counts = f"of {len(readings)}: {len(true)} hold, {len(false)} do not" + (f", {undecided} open" if undecided else "")
    return counts + (f" (holds: {', '.join(true)})" if 0 < len(true) < len(readings) else "")


def digest(rows: Iterable[Row]) -> str:
    """Every number of some rows condensed, so that a page which prints it shows when a single one changes.

    One paragraph a configuration, whatever the order of the rows; configurations with a ``grid`` key share one. Whole
    numbers are added up; of others stands the mean of log10 of their size, and how many are zero or negative.

    >>> print(digest(Row("toy", {"b": 1}, seed, {"loss": 10.0**-seed, "steps": 7}) for seed in range(4)))
    b=1: 4 rows
        loss=-1.500000 steps=28
    """
    columns: dict[str, dict[str, list[float]]] = {}
    sizes: dict[str, int] = {}
    for row in rows:
        name = "grid" if "grid" in row.config else " ".join(f"{key}={value}" for key, value in row.config.items())
        sizes[name] = sizes.get(name, 0) + 1
        for number, value in row.numbers.items():
            columns.setdefault(name, {}).setdefault(number, []).append(value)
    paragraphs = []
    for name, column in sorted(columns.items()):
        text = " ".join(f"{number}={condensed(values)}" for number, values in column.items())
        lines = textwrap.wrap(text, 100, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
        paragraphs.append("\n".join([f"{name}: {sizes[name]} rows", *lines]))
    return "\n".join(paragraphs)


def condensed(values: Sequence[float]) -> str:
    """One number of a `digest`.

    >>> condensed([2, 3]), condensed([1e-3, 1e-4]), condensed([0.0, -1e-4])
    ('5', '-3.500000', '-4.000000(zero:1,negative:1)')
    """
    if all(isinstance(value, int) for value in values):
        return str(sum(values))
    sizes = [abs(value) for value in values if value]
    mean = f"{math.fsum(map(math.log10, sizes)) / len(sizes):.6f}" if sizes else ""
    zero, negative = len(values) - len(sizes), sum(value < 0 for value in values)
    return mean + (f"(zero:{zero},negative:{negative})" if zero or negative else "")


# -- forms -------------------------------------------------------------------------------------------------------------


def as_object(verdict: Verdict) -> dict[str, Any]:
    """A verdict as plain data for JSON: one number where the claim has one reading, else one for each by its name."""
    claim, readings = verdict.claim, verdict.readings

    def finite(value: float | str | None) -> float | str | None:
        return None if isinstance(value, float) and not math.isfinite(value) else value

    def one_or_all(of: Callable[[Reading], Any]) -> Any:
        if len(readings) < 2:
            return of(readings[0]) if readings else None
        return {r.name: of(r) for r in readings}

    return {
        "id": claim.id,
        "source": claim.source,
        "where": claim.where,
        "claim": claim.claim,
        "kind": claim.kind,
        "chapter": claim.chapter,
        "paper": claim.paper or None,
        "recorded": one_or_all(lambda r: finite(r.value)),
        "interval": one_or_all(lambda r: None if r.interval is None else [finite(end) for end in r.interval]),
        "holds": one_or_all(lambda r: r.holds),
        "n": n_of(verdict),
        "verdict": verdict.word,
    }


def as_text(verdicts: Sequence[Verdict], width: int = 120) -> str:
    """Verdicts as a table for a terminal."""
    lines = [f"{'claim':26} {'paper':18} {'n':>4}  {'verdict':15} recorded"]
    for verdict in verdicts:
        n = n_of(verdict)
        paper = textwrap.shorten(verdict.claim.paper, 18, placeholder="…")
        start = f"{verdict.claim.id:26} {paper:18} {'' if n is None else n:>4}  {verdict.word:15} "
        lines.append(start + textwrap.shorten(summary(verdict), max(20, width - len(start)), placeholder=" ..."))
    return "\n".join(lines)


def _table(caption: str, heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """An HTML table whose columns, and whose lines by their first cell, have headers that a screen reader can name."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{c}</td>" for c in rest)}</tr>' for first, *rest in lines
    )
    return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _badge(word: str) -> str:
    return f'<span class="verdict verdict-{word.replace(" ", "-")}">{word}</span>'


@dataclass(frozen=True)
class Box:
    """The verdict box of a chapter: for each claim, each reading's number as paper | recorded | fresh.

    Parameters
    ----------
    recorded : list of Verdict, judged on the rows of ``results/``
    fresh : list of Verdict or None, of the same claims, judged on rows that the page itself has just measured
    changed : set of str, ids whose rule was written or changed after rows were recorded
    small : bool, whether the rows are of a smaller scale, which gives no verdict
    """

    recorded: list[Verdict]
    fresh: list[Verdict] | None = None
    changed: frozenset[str] = frozenset()
    small: bool = False

    def _word(self, i: int) -> str:
        return "at the smaller scale" if self.small else self.recorded[i].word

    def _cells(self, i: int) -> tuple[list[str], list[list[str]]]:
        """Column heads of the i-th claim, and a line of cells for each of its readings."""
        verdict = self.recorded[i]
        if verdict.claim.kind == "derived":
            return ["reading", "derived", "outcome"], [[r.name, found(verdict, r), holds(r)] for r in verdict.readings]
        again: Sequence[Reading | None] = self.fresh[i].readings if self.fresh else [None] * len(verdict.readings)
        lines = []
        for old, new in zip(verdict.readings, again, strict=True):
            fresh = NONE
            if new is not None and new.n:
                fresh = f"{show(new.value, statistic_of(verdict.claim, new.name))} (n={new.n})"
            lines.append([old.name, found(verdict, old), str(old.n), fresh, holds(old)])
        return ["reading", "recorded [interval]", "n", "fresh", "outcome"], lines

    def __repr__(self) -> str:
        lines = []
        for i, verdict in enumerate(self.recorded):
            lines.append(f"{verdict.claim.id}: {self._word(i)}   (paper: {verdict.claim.paper or NONE})")
            lines += ["    " + " | ".join(cells) for cells in self._cells(i)[1]]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        tables = []
        for i, verdict in enumerate(self.recorded):
            claim, (heads, lines) = verdict.claim, self._cells(i)
            late = " The rule was written or changed after rows were recorded." if claim.id in self.changed else ""
            link = f'<a href="scorecard.html#claim-{claim.id}"><code>{claim.id}</code></a>'
            paper = f"<em>Paper ({escape(claim.where)}):</em> {escape(claim.paper or NONE)}."
            caption = f"{link} {_badge(self._word(i))} {escape(claim.claim)} {paper}{late}"
            tables.append(_table(caption, heads, [[escape(cell) for cell in cells] for cells in lines]))
        return f'<div class="verdict-box">{"".join(tables)}</div>'


def box(*names: str, fresh: list[Row] | None = None, small: bool = False) -> Box:
    """The verdict box of some claims, judged on the recorded rows and, beside them, on rows measured just now.

    Parameters
    ----------
    *names : str
        Ids of the claims.
    fresh : list of Row or None
        Rows of the claims' experiment on seeds that are not recorded.
    small : bool
        Whether both are judged at the smaller scale that the rules name, which a page can measure.
    """
    recorded = verdicts(names)
    if small:
        recorded = [claims.judge(claims.quick(v.claim), rows_of(v.claim)) for v in recorded]
    again = None if fresh is None else [claims.judge(v.claim, fresh, seeds=2) for v in recorded]
    return Box(recorded, again, frozenset(n for n in names if rule_changed(claims.get(claims.load(), n))), small)


@dataclass(frozen=True)
class Scorecard:
    """Verdicts as one table; each id is an anchor, and a link to the chapter that tests it, where that exists."""

    verdicts: list[Verdict]

    def __repr__(self) -> str:
        return as_text(self.verdicts)

    def _repr_html_(self) -> str:
        lines = []
        for verdict in self.verdicts:
            claim, n = verdict.claim, n_of(verdict)
            name = f"<code>{claim.id}</code>"
            if records.packaged("book", f"{claim.chapter}.ipynb").exists():
                name = f'<a href="{claim.chapter}.html">{name}</a>'
            texts = [
                claim.claim,
                f"{claim.source}, {claim.where}",
                claim.paper or NONE,
                summary(verdict),
                NONE if n is None else str(n),
            ]
            lines.append([f'<span id="claim-{claim.id}">{name}</span>', *map(escape, texts), _badge(verdict.word)])
        heads = ["id", "claim", "source", "paper", "recorded [interval]", "n", "verdict"]
        caption = "Every claim of the two sources, with its verdict"
        return f'<div class="scorecard">{_table(caption, heads, lines)}</div>'


def scorecard(verdicts: list[Verdict]) -> Scorecard:
    """Verdicts as the table of the scorecard chapter."""
    return Scorecard(verdicts)
