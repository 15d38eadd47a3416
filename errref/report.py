"""Verdicts and rows as people and programs read them: tables for a terminal and a page, JSON, a digest of rows."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from errref import claims, records
from errref.claims import Claim, Reading, Verdict
from errref.digits import NONE, digest, found, holds, n_of, show, statistic_of, summary
from errref.recorded import late, remarks, rows_of, verdicts
from errref.records import Row

__all__ = [
    "Box",
    "Scorecard",
    "as_object",
    "as_text",
    "box",
    "digest",
    "late",
    "remarks",
    "rows_of",
    "scorecard",
    "verdicts",
]


def as_object(verdict: Verdict) -> dict[str, Any]:
    """A verdict as plain data for JSON: one number where the claim has one reading, else one for each by its name.

    The verdict of the claim's second rule stands under ``full``: its chapter, and what it found.
    """
    claim, full = verdict.claim, verdict.full and {"chapter": verdict.full.claim.chapter, **_found(verdict.full)}
    texts = {key: getattr(claim, key) for key in ("id", "source", "where", "claim", "kind", "chapter")}
    return {**texts, "paper": claim.paper or None, **_found(verdict), "full": full}


def _found(verdict: Verdict) -> dict[str, Any]:
    """What the rows said, as plain data."""
    readings = verdict.readings

    def finite(value: float | str | None) -> float | str | None:
        return None if isinstance(value, float) and not math.isfinite(value) else value

    def one_or_all(of: Callable[[Reading], Any]) -> Any:
        if len(readings) < 2:
            return of(readings[0]) if readings else None
        return {r.name: of(r) for r in readings}

    return {
        "recorded": one_or_all(lambda r: finite(r.value)),
        "interval": one_or_all(lambda r: None if r.interval is None else [finite(end) for end in r.interval]),
        "holds": one_or_all(lambda r: r.holds),
        "n": n_of(verdict),
        "verdict": verdict.word,
    }


def as_text(verdicts: Sequence[Verdict], width: int = 120) -> str:
    """Verdicts as a table for a terminal.

    Parameters
    ----------
    verdicts : sequence of Verdict
    width : int, default=120
        Characters of a line.

    Returns
    -------
    str

    Examples
    --------
    >>> print(as_text(verdicts(["human-reflection"])))
    claim                      paper                 n  verdict         recorded
    human-reflection           powerful                 not testable    –
    """
    lines = [f"{'claim':26} {'paper':18} {'n':>4}  {'verdict':15} recorded"]
    for verdict in [v for first in verdicts for v in (first, first.full) if v is not None]:
        n, full = n_of(verdict), verdict.claim.scope == "full"
        paper = "" if full else textwrap.shorten(verdict.claim.paper, 18, placeholder="…")
        name = "    full scope" if full else verdict.claim.id
        start = f"{name:26} {paper:18} {'' if n is None else n:>4}  {verdict.word:15} "
        lines.append(start + textwrap.shorten(summary(verdict), max(20, width - len(start)), placeholder=" ..."))
    return "\n".join(lines)


def _table(caption: str, heads: Sequence[str], lines: Iterable[Sequence[str]], name: str = "") -> str:
    """An HTML table whose columns, and whose lines by their first cell, have headers that a screen reader can name.

    A ``name`` is what a link can point to.
    """
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{c}</td>" for c in rest)}</tr>' for first, *rest in lines
    )
    anchor = f' id="{name}"' if name else ""
    return f"<table{anchor}><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _anchor(claim: Claim) -> str:
    """What a link to the box of a claim, or of its second rule, points to."""
    return f"box-{claim.id}-{claim.scope}" if claim.scope else f"box-{claim.id}"


def _badge(word: str) -> str:
    return f'<span class="verdict verdict-{word.replace(" ", "-")}">{word}</span>'


@dataclass(frozen=True)
class Box:
    """The verdict box of a chapter: for each claim, each reading's number as paper | recorded | fresh.

    The scorecard links to the table of each claim in its chapter, so a page shows it once. One of a smaller scale gives
    no verdict, and is no target of a link.

    Parameters
    ----------
    recorded : list of Verdict, judged on the rows of ``results/``
    fresh : list of Verdict or None, of the same claims, judged on rows that the page itself has just measured
    changed : set of str, labels of claims whose rule was written or changed after rows were recorded
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
        count = "systems" if verdict.claim.rule and "systems" in verdict.claim.rule else "n"
        return ["reading", "recorded [interval]", count, "fresh", "outcome"], lines

    def __repr__(self) -> str:
        lines = []
        for i, verdict in enumerate(self.recorded):
            lines.append(f"{verdict.claim.label}: {self._word(i)}   (paper: {verdict.claim.paper or NONE})")
            lines += ["    " + " | ".join(cells) for cells in self._cells(i)[1]]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        tables = []
        for i, verdict in enumerate(self.recorded):
            claim, (heads, lines) = verdict.claim, self._cells(i)
            late = " The rule was written or changed after rows were recorded." if claim.label in self.changed else ""
            scope = f", {claim.scope} scope" if claim.scope else ""
            link = f'<a href="scorecard.html#claim-{claim.id}"><code>{claim.id}</code></a>{scope}'
            paper = f"<em>Paper ({escape(claim.where)}):</em> {escape(claim.paper or NONE)}."
            caption = f"{link} {_badge(self._word(i))} {escape(claim.claim)} {paper}{late}"
            cells = [[escape(cell) for cell in line] for line in lines]
            tables.append(_table(caption, heads, cells, "" if self.small else _anchor(claim)))
        return f'<div class="verdict-box">{"".join(tables)}</div>'


def box(*names: str, fresh: list[Row] | None = None, small: bool = False) -> Box:
    """The verdict box of some claims, judged on the recorded rows and, beside them, on rows measured just now.

    The verdict of a claim's second rule follows that of its first. Fresh rows judge the rule of their own experiment.

    Parameters
    ----------
    *names : str
        Ids of the claims.
    fresh : list of Row or None
        Rows of an experiment of the claims on seeds that are not recorded.
    small : bool
        Whether both are judged at the smaller scale that the rules name, which a page can measure.

    Returns
    -------
    Box
        A notebook shows it as a table, a terminal as text.

    Raises
    ------
    LedgerError, RecordError
        As in `verdicts`.

    Examples
    --------
    >>> box("human-reflection")
    human-reflection: not testable   (paper: powerful)
    """
    recorded = [verdict for first in verdicts(names) for verdict in (first, first.full) if verdict is not None]
    if small:
        recorded = [claims.judge(claims.quick(v.claim), rows_of(v.claim)) for v in recorded]
    changed = late(v.claim for v in recorded)
    if fresh is None:
        return Box(recorded, None, changed, small)
    mine = [[row for row in fresh if row.experiment == v.claim.experiment] for v in recorded]
    again = [claims.judge(v.claim, rows, seeds=2) for v, rows in zip(recorded, mine, strict=True)]
    return Box(recorded, again, changed, small)


def _chapter_link(claim: Claim, name: str) -> str:
    """The name as a link to the claim's box in its chapter, where that exists; what cannot be tested has no box."""
    if not records.packaged("book", f"{claim.chapter}.ipynb").exists():
        return name
    place = "" if claim.kind == "untestable" else f"#{_anchor(claim)}"
    return f'<a href="{claim.chapter}.html{place}">{name}</a>'


def _outcome(verdict: Verdict) -> list[str]:
    """Cells of the scorecard: what was found, n, the verdict."""
    n = n_of(verdict)
    return [escape(summary(verdict)), NONE if n is None else str(n), _badge(verdict.word)]


@dataclass(frozen=True)
class Scorecard:
    """Verdicts as one table; each id is an anchor, and a link to the box of the chapter that tests it, if it exists."""

    verdicts: list[Verdict]

    def __repr__(self) -> str:
        return as_text(self.verdicts)

    def _repr_html_(self) -> str:
        lines = []
        for verdict in self.verdicts:
            claim, name = verdict.claim, _chapter_link(verdict.claim, f"<code>{verdict.claim.id}</code>")
            texts = [claim.claim, f"{claim.source}, {claim.where}", claim.paper or NONE]
            lines.append([f'<span id="claim-{claim.id}">{name}</span>', *map(escape, texts), *_outcome(verdict)])
            if verdict.full:
                name = _chapter_link(verdict.full.claim, f"<code>{claim.id}</code>, full scope")
                lines.append([name, "the same, by its second rule", "", "", *_outcome(verdict.full)])
        heads = ["id", "claim", "source", "paper", "recorded [interval]", "n", "verdict"]
        caption = "Every claim of the two sources, with its verdict"
        return f'<div class="scorecard">{_table(caption, heads, lines)}</div>'


def scorecard(verdicts: list[Verdict]) -> Scorecard:
    """Verdicts as the table of the scorecard chapter.

    Parameters
    ----------
    verdicts : list of Verdict

    Returns
    -------
    Scorecard
        A notebook shows it as a table, a terminal as text.

    Examples
    --------
    >>> scorecard(verdicts(["human-reflection"])).verdicts[0].word
    'not testable'
    """
    return Scorecard(verdicts)
