"""The history of the verdicts ends with those that are computed now: whoever changes one says why."""

import copy
import re
from datetime import date

import pytest
import yaml

from tools import history

ENTRIES = history.load()
FIRST = {"date": date(2026, 1, 2), "reason": "The ledger.", "verdicts": {"a": "open", "b": "open"}, "rules": {"a": "1"}}
SECOND = {"date": date(2026, 1, 3), "reason": "Rows.", "verdicts": {"a": "partly"}, "rules": {"a": "2"}}
NOW = {"verdicts": {"a": "partly", "b": "open"}, "rules": {"a": "2"}}


@pytest.fixture(scope="module")
def now():
    return history.computed()


def test_the_history_ends_with_what_is_computed_now(now):
    if lacks := history.complaint(ENTRIES, now):
        pytest.fail(lacks)


def test_every_entry_changes_what_it_says():
    for entry, before in list(history.replay(ENTRIES))[:-1]:
        for part in history.PARTS:
            for name, value in entry.get(part, {}).items():
                assert before[part].get(name) != value, f"{name} was {value} before {entry['date']}: {entry['reason']}"


def test_a_verdict_or_a_rule_that_changes_without_an_entry_is_refused_with_the_entry_to_add(now):
    for part, value in (("verdicts", "refuted"), ("rules", "0123456789ab")):
        other = copy.deepcopy(now)
        other[part]["table-linear"] = value
        said = history.complaint(ENTRIES, other)
        assert said.startswith("A verdict or a rule changed. Say why: add this to the end of book/history.yml")
        (entry,) = yaml.safe_load(said.partition("\n")[2])
        assert entry == {"date": date.today(), "reason": "...", part: {"table-linear": value}}
        assert history.complaint([*ENTRIES, entry], other) is None, "the entry is what was lacking"
        assert history.complaint([*ENTRIES, entry], now), "and stands for nothing else"


@pytest.mark.parametrize(
    "change, lacking",
    [
        ({"verdicts": {"b": "open", "c": "open", "a": "partly"}}, {"verdicts": {"c": "open"}}),
        ({"verdicts": {"a": "partly"}}, {"verdicts": {"b": "removed"}}),
        ({"rules": {}}, {"rules": {"a": "removed"}}),
        ({"rules": {"a": "2", "b": "3"}}, {"rules": {"b": "3"}}),
        ({}, {}),
    ],
)
def test_what_is_new_or_gone_is_lacking_too(change, lacking):
    said = history.complaint([FIRST, SECOND], NOW | change)
    entry = yaml.safe_load(said.partition("\n")[2])[0] if said else {}
    assert {part: entry[part] for part in history.PARTS if part in entry} == lacking
    if entry:
        assert history.complaint([FIRST, SECOND, entry], NOW | change) is None


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"reason": ""}, "Entry 2 of .* must have a date, a reason, and"),
        ({"verdict": {"a": "open"}}, "Entry 2 of .* must have a date, a reason, and"),
        ({"date": "yesterday"}, "Entry 2 of .* its date must be a day"),
        ({"date": date(2026, 1, 1)}, "Entry 2 of .* not before that of the last entry"),
        (
            {"verdicts": {"a": "confirmed"}},
            "Entry 2 of .* confirmed is no verdict; not possible, not reproduced, .* are",
        ),
    ],
)
def test_a_bad_entry_is_refused_with_its_place(change, sentence, tmp_path):
    (tmp_path / "history.yml").write_text(yaml.safe_dump([FIRST, SECOND | change]))
    with pytest.raises(ValueError, match=sentence):
        history.load(tmp_path / "history.yml")


def test_the_page_lists_the_last_entry_first_with_what_was_before():
    html = history.as_html([FIRST, SECOND])
    items = [re.sub(r"<[^>]*>", " ", item).split() for item in html.split("<li><p>")[1:]]
    assert [" ".join(words) for words in items] == [
        "2026-01-03 . Rows. open → partly: a rule changed: a",
        "2026-01-02 . The ledger. new in the ledger, open: a , b rule written: a",
    ]
    assert '<a href="scorecard.html#claim-a"><code>a</code></a>' in html
    second = history.as_html([FIRST | {"reason": "a < b", "verdicts": {"a (full scope)": "open"}}])
    assert "a &lt; b" in second and 'href="scorecard.html#claim-a"><code>a</code></a> (full scope)' in second
