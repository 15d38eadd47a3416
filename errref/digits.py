"""Numbers as a page prints them: rounded for reading, found beside their interval, condensed to a digest."""

from __future__ import annotations

import hashlib
import json
import math
import textwrap
from collections.abc import Iterable, Sequence

from errref.claims import Claim, Reading, Verdict
from errref.ledger import readings
from errref.records import Row

PERCENT = {"reduction": 1, "share": 1, "accuracy": 2}  # statistics shown in per cent, with so many decimals
NONE = "–"


def statistic_of(claim: Claim, reading: str) -> str:
    """Name of the statistic that a reading of the claim reports; empty for a derivation."""
    if claim.rule is None or claim.kind == "derived":
        return ""
    part = readings(claim.rule).get(reading, claim.rule)
    return "share" if "each" in part else part.get("statistic", "")


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
    """The number of seeds, or systems, behind a verdict: that of its smallest reading; None for a derivation."""
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


def digest(rows: Iterable[Row], by: Sequence[str] = ()) -> str:
    """Every number of some rows condensed, so that a page which prints it shows when a single one changes.

    One paragraph a configuration, whatever the order of the rows. After the number of rows stands a hash of all their
    numbers, in which the last digit of a single one shows. Whole numbers are added up; of others stands the mean of
    log10 of their size, and how many are zero or negative.

    Parameters
    ----------
    rows : iterable of Row
    by : sequence of str, default=()
        Settings: configurations that agree in these share a paragraph. Those with a ``grid`` key share one anyway.

    Returns
    -------
    str

    Examples
    --------
    >>> print(digest(Row("toy", {"b": 1}, seed, {"loss": 10.0**-seed, "steps": 7}) for seed in range(4)))
    b=1: 4 rows, h5da1e9dd
        loss=-1.500000 steps=28
    """
    columns: dict[str, dict[str, list[float]]] = {}
    texts: dict[str, list[str]] = {}
    for row in rows:
        settings = " ".join(f"{key}={value}" for key, value in row.config.items() if not by or key in by)
        name = "grid" if "grid" in row.config else settings
        texts.setdefault(name, []).append(json.dumps([row.config, row.seed, row.numbers], sort_keys=True))
        for number, value in row.numbers.items():
            columns.setdefault(name, {}).setdefault(number, []).append(value)
    paragraphs = []
    for name, column in sorted(columns.items()):
        text = " ".join(f"{number}={condensed(values)}" for number, values in column.items())
        lines = textwrap.wrap(text, 100, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
        exact = hashlib.sha256("\n".join(sorted(texts[name])).encode()).hexdigest()[:8]
        paragraphs.append("\n".join([f"{name}: {len(texts[name])} rows, h{exact}", *lines]))
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
