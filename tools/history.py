"""A Sphinx extension: the history of the verdicts, as its page shows it; and what is missing in it.

`book/history.yml` is a list of entries, oldest first. An entry has a date, a reason, and what changed with it: verdicts
by claim, and hashes of rules by claim. What all entries say together must be what is computed now: whoever changes a
verdict or a rule adds an entry, and so gives a reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from html import escape
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from errref import recorded

FILE = Path(__file__).resolve().parent.parent / "book" / "history.yml"
PARTS = ("verdicts", "rules")
WORDS = {"reproduced", "partly", "not reproduced", "refuted", "open", "possible", "not possible", "not testable"}
GONE = "removed"  # in the place of a verdict or a hash: it left the ledger
State = dict[str, dict[str, str]]  # for each part, what it says of each claim


def load(path: Path = FILE) -> list[dict[str, Any]]:
    """The entries, each checked for itself."""
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    for number, entry in enumerate(entries, start=1):
        place = f"Entry {number} of {path.name}"
        if not set(entry) <= {"date", "reason", *PARTS} or not all(entry.get(key) for key in ("date", "reason")):
            raise ValueError(f"{place} must have a date, a reason, and verdicts or rules or both, and nothing else.")
        if not isinstance(entry["date"], date) or (number > 1 and entry["date"] < entries[number - 2]["date"]):
            raise ValueError(
                f"{place}: its date must be a day such as 2026-11-22, and not before that of the last entry."
            )
        if unknown := set(entry.get("verdicts", {}).values()) - WORDS - {GONE}:
            raise ValueError(f"{place}: {', '.join(sorted(unknown))} is no verdict; {', '.join(sorted(WORDS))} are.")
    return entries


def replay(entries: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], State]]:
    """Each entry with what held before it; at last an empty one with what holds now."""
    state: State = {part: {} for part in PARTS}
    for entry in entries:
        yield entry, state
        new = {part: {**state[part], **entry.get(part, {})} for part in PARTS}
        state = {part: {name: value for name, value in new[part].items() if value != GONE} for part in PARTS}
    yield {}, state


def computed() -> State:
    """The verdicts as the rules give them now, and the hashes of the rules."""
    both = [verdict for first in recorded.verdicts() for verdict in (first, first.full) if verdict is not None]
    words = {verdict.claim.label: verdict.word for verdict in both}
    return {"verdicts": words, "rules": {v.claim.label: v.claim.rule_hash for v in both if v.claim.rule is not None}}


def complaint(entries: list[dict[str, Any]], now: State) -> str | None:
    """What the history lacks, as the entry to add; None if nothing."""
    (_, last) = list(replay(entries))[-1]
    new = {part: {n: value for n, value in now[part].items() if last[part].get(n) != value} for part in PARTS}
    for part in PARTS:
        new[part] |= dict.fromkeys(sorted(set(last[part]) - set(now[part])), GONE)
    if not any(new.values()):
        return None
    entry = [{"date": date.today(), "reason": "...", **{part: new[part] for part in PARTS if new[part]}}]
    text = yaml.safe_dump(entry, sort_keys=False, allow_unicode=True)
    return f"A verdict or a rule changed. Say why: add this to the end of book/{FILE.name}, with the reason.\n{text}"


# -- the page ----------------------------------------------------------------------------------------------------------


def changes(entry: dict[str, Any], before: State) -> dict[str, list[str]]:
    """What an entry changed: the claims by what happened to them."""
    found: dict[str, list[str]] = {}
    for name, word in entry.get("verdicts", {}).items():
        old = before["verdicts"].get(name)
        found.setdefault(f"{old} → {word}" if old else f"new in the ledger, {word}", []).append(name)
    for name, value in entry.get("rules", {}).items():
        what = "removed" if value == GONE else "changed" if name in before["rules"] else "written"
        found.setdefault(f"rule {what}", []).append(name)
    return found


def as_html(entries: list[dict[str, Any]]) -> str:
    """The history as a list, the last entry first."""
    items = []
    for entry, before in list(replay(entries))[-2::-1]:
        lines = [f"<li>{what}: {', '.join(map(_link, names))}</li>" for what, names in changes(entry, before).items()]
        day = f'<time datetime="{entry["date"]}">{entry["date"]}</time>'
        items.append(f"<li><p>{day}. {escape(entry['reason'])}</p><ul>{''.join(lines)}</ul></li>")
    return f'<ol class="history" reversed>{"".join(items)}</ol>'


def _link(label: str) -> str:
    name, _, scope = label.partition(" ")
    return f'<a href="scorecard.html#claim-{name}"><code>{name}</code></a>{" " + scope if scope else ""}'


class History(SphinxDirective):
    """The list, where a page asks for it."""

    def run(self) -> list[nodes.Node]:
        """Make it, and let the page follow the file."""
        self.env.note_dependency(str(FILE))
        return [nodes.raw("", as_html(load()), format="html")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Have Sphinx know the directive."""
    app.add_directive("verdict-history", History)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
