"""A verdict reads the same in a terminal, in JSON and on a page, and the page can be read by everybody."""

import json
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

import nbformat
import numpy as np
import pytest

from errref import claims, digits, numerics, pins, recorded, records, report
from errref.claims import Claim, Reading, Verdict
from errref.records import Row
from tests.conftest import ROOT
from tests.nbval_tolerance import numbers as floats

RULE = {"experiment": "functions", "seeds": 3, "confidence": 0.95, "statistic": "reduction", "bound": {"above": 0}}
ONE = Claim("one", "paper", "sec. 1", "It falls < by 90 %.", "measured", "functions", "90 %", rule=RULE)
TWO = Claim("two", "blog", "end", "It falls.", "measured", "traps", rule={**RULE, "readings": {"a": {}, "b": {}}})
PROOF = Claim("proof", "paper", "sec. 2", "It follows.", "derived", "functions", rule={"derivation": "functions.f"})
BARE = Claim("bare", "paper", "sec. 3", "It is so.", "measured", "traps", "so")
VERDICTS = [
    Verdict(ONE, "reproduced", [Reading("as printed", 0.934, (0.9, 0.95), 20, True)]),
    Verdict(TWO, "partly", [Reading("a", 0.5, (0.25, 0.75), 30, True), Reading("b", -2.0, (-3.0, -1.0), 20, False)]),
    Verdict(PROOF, "refuted", [Reading("at 0", "jump < 0", None, None, False)]),
    Verdict(BARE, "open"),
]


@pytest.mark.parametrize(
    "value, statistic, shown",
    [
        (0.9344, "reduction", "93.4 %"),
        (1, "share", "100.0 %"),
        (-2.5, "reduction", "-250.0 %"),
        (3.21e-9, "median", "3.21e-09"),
        (0.0, "median", "0"),
        (1.4142, "median", "1.41"),
        (17044.0, "median", "17,044"),
        (-999.6, "median", "-1,000"),
        (999.4, "median", "999"),
        (999_999.0, "median", "999,999"),
        (1e6, "median", "1.00e+06"),
        (1.5e7, "median", "1.50e+07"),
        (float("inf"), "median", "inf"),
        (-8.53, "log10_median", "-8.53"),
        (None, "median", "–"),
        ("a jump", "", "a jump"),
    ],
)
def test_numbers_are_shown_as_a_page_prints_them(value, statistic, shown):
    assert digits.show(value, statistic) == shown


def test_what_was_found_is_told_in_a_few_words():
    assert [digits.summary(verdict) for verdict in VERDICTS] == [
        "93.4 % [90.0 %, 95.0 %]",
        "of 2: 1 hold, 1 do not (holds: a)",
        "jump < 0",
        "–",
    ]
    assert [digits.n_of(verdict) for verdict in VERDICTS] == [20, 20, None, None]
    none = replace(VERDICTS[1], readings=[replace(reading, holds=False) for reading in VERDICTS[1].readings])
    assert digits.summary(none) == "of 2: 0 hold, 2 do not"


def test_the_text_table_has_a_line_for_each_claim_that_fits_a_terminal():
    heading, *lines = report.as_text(VERDICTS).splitlines()
    assert heading.split() == ["claim", "paper", "n", "verdict", "recorded"]
    assert [line.split()[0] for line in lines] == ["one", "two", "proof", "bare"]
    assert "reproduced" in lines[0] and "93.4 %" in lines[0]
    ledger = [Verdict(claim, "open") for claim in claims.load().values()]
    assert all(len(line) <= 120 for line in report.as_text([*VERDICTS, *ledger]).splitlines())


def test_the_object_of_a_verdict_is_plain_json():
    one, two, proof, bare = json.loads(json.dumps([report.as_object(v) for v in VERDICTS], allow_nan=False))
    assert one == {
        **{"id": "one", "source": "paper", "where": "sec. 1", "claim": "It falls < by 90 %.", "kind": "measured"},
        **{"chapter": "functions", "paper": "90 %", "recorded": 0.934, "interval": [0.9, 0.95], "holds": True},
        **{"n": 20, "verdict": "reproduced", "full": None},
    }
    assert two["recorded"] == {"a": 0.5, "b": -2.0} and two["interval"]["b"] == [-3.0, -1.0] and two["paper"] is None
    assert proof["recorded"] == "jump < 0" and proof["interval"] is None and proof["n"] is None
    assert bare["recorded"] is None and bare["interval"] is None and bare["verdict"] == "open"


SECOND = Claim("one", "paper", "sec. 1", "It falls < by 90 %.", "measured", "traps", "90 %", rule=RULE, scope="full")
BOTH = replace(
    VERDICTS[0], full=Verdict(SECOND, "not reproduced", [Reading("as printed", 0.1, (0.05, 0.2), 800, False)])
)


def test_a_second_verdict_stands_beside_the_first():
    _, first, second = report.as_text([BOTH]).splitlines()
    assert "reproduced" in first and "93.4 %" in first
    assert second.split()[:5] == ["full", "scope", "800", "not", "reproduced"] and "10.0 %" in second
    found = report.as_object(BOTH)
    assert found["verdict"] == "reproduced" and found["n"] == 20
    assert found["full"] == {
        **{"chapter": "traps", "recorded": 0.1, "interval": [0.05, 0.2], "holds": False},
        **{"n": 800, "verdict": "not reproduced"},
    }
    table = Table(report.scorecard([BOTH])._repr_html_())
    assert table.lines[2] == [
        *("one, full scope", "the same, by its second rule", "", ""),
        *("10.0 % [5.0 %, 20.0 %]", "800", "not reproduced"),
    ]
    assert table.ids == ["claim-one"] and table.scopes.count("row") == 2
    assert table.links == ["functions.html#box-one", "traps.html#box-one-full"]
    assert Table(report.Box([BOTH, BOTH.full])._repr_html_()).ids == ["box-one", "box-one-full"]


def test_a_box_shows_both_verdicts_and_judges_fresh_rows_by_the_rule_of_their_experiment(project, monkeypatch):
    first = claims.load()["table-linear"]
    part = {"statistic": "reduction", "measure": "a", "against": "b", "each": {"above": 0.5}, "bound": {"above": 0.5}}
    rule = {"experiment": "traps", "seeds": 3, "confidence": 0.95, "systems": 10, **part}
    monkeypatch.setattr(claims, "load", lambda: {first.id: replace(first, full={"chapter": "traps", "rule": rule})})
    found = [Row("traps", {"width": k}, seed, {"a": 0.1, "b": 1.0}) for k in range(12) for seed in range(3)]
    keep(project / "results", found, {first.id: "another rule"}, "traps")
    assert report.verdicts(["table-linear"])[0].full.word == "reproduced"
    box = report.box("table-linear", fresh=[row for row in found if row.config["width"] < 4])
    text, html = repr(box).splitlines(), box._repr_html_()
    assert text[1] == "    linear | 99.0 % [99.0 %, 99.0 %] | 20 | – | holds"
    assert text[2].startswith("table-linear (full scope): reproduced")
    assert text[3].startswith("    as printed | 100.0 % [73.5 %, 100.0 %] | 12 | 100.0 % (n=4) | holds")
    assert html.count("written or changed after rows") == 1 and "</code></a>, full scope" in html
    assert html.count('<th scope="col">systems</th>') == html.count('<th scope="col">n</th>') == 1


def test_an_infinite_number_is_null_in_json():
    reading = Reading("as printed", float("-inf"), (float("-inf"), 0.5), 20, None)
    found = report.as_object(Verdict(ONE, "open", [reading]))
    assert found["recorded"] is None and found["interval"] == [None, 0.5]


# -- rows of the project -----------------------------------------------------------------------------------------------


def rows(value, seeds=range(3)):
    configs = [{"function": name, "half_width": 1} for name in ("linear", "cubic")]
    return [Row("functions", config, seed, {"base": 1.0, "reflection": value}) for config in configs for seed in seeds]


def keep(folder, found, rules, name="functions"):
    numbers = {row.key: row.numbers for row in found}
    work = [(row.config, row.seed) for row in found]
    run = lambda config, seed: numbers[Row(name, config, seed, {}).key]  # noqa: E731
    records.record(name, run, work, rules=rules, folder=folder, progress=False)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose rows of `functions` reduce the loss to 1 %, on 20 seeds."""
    monkeypatch.setattr(records, "packaged", lambda *parts: tmp_path.joinpath(*parts))
    rules = {name: claim.rule_hash for name, claim in claims.load().items()}
    keep(tmp_path / "results", rows(0.01, range(20)), rules)
    return tmp_path


def test_verdicts_are_judged_on_the_recorded_rows_in_the_order_of_the_ledger(project):
    (project / "elsewhere").mkdir()
    assert [verdict.claim.id for verdict in report.verdicts(folder=project / "elsewhere")] == list(claims.load())
    linear, cubic = report.verdicts(["table-linear", "table-cubic"])
    assert linear.word == cubic.word == "reproduced" and linear.readings[0].value == 0.99
    assert report.verdicts(["table-linear"], project / "elsewhere")[0].word == "open"


def test_a_derivation_needs_no_rows(project):
    (project / "results" / "functions.jsonl").write_text("torn")
    assert report.verdicts(["table-arithmetic"])[0].word == "partly"
    with pytest.raises(records.RecordError):
        report.verdicts(["table-linear"])


def test_a_derived_claim_of_an_experiment_does_not_hide_its_rows(project):
    for names in (["table-arithmetic", "table-linear"], ["table-linear", "table-arithmetic"]):
        assert {verdict.claim.id: verdict.word for verdict in report.verdicts(names)}["table-linear"] == "reproduced"


@pytest.mark.parametrize("rules, changed", [({}, True), ({"table-linear": "other"}, True), (None, False)])
def test_a_rule_that_was_written_or_changed_after_the_rows_is_marked(rules, changed, tmp_path, monkeypatch):
    claim = claims.load()["table-linear"]
    monkeypatch.setattr(records, "packaged", lambda *parts: tmp_path.joinpath(*parts))
    assert not report.late([claim])
    keep(tmp_path / "results", rows(0.5), {claim.id: claim.rule_hash} if rules is None else rules)
    assert report.late([claim]) == ({claim.id} if changed else set())
    assert ("written or changed after rows" in report.box(claim.id)._repr_html_()) is changed
    assert not report.late([claims.load()["table-arithmetic"]])


def test_what_moved_is_named_and_what_the_reader_set_is_said(monkeypatch):
    claim, here = claims.load()["table-linear"], numerics.numerics()
    for name, value in pins.pinned({}).items():
        monkeypatch.setenv(name, value)
    recorded_by = {row.run for row in records.read("functions")}
    monkeypatch.setattr(recorded, "late", lambda *where: frozenset())
    for told, says in (
        (here, None),
        ({**here, "torch": "fedcba98"}, None),  # which this study does not use
        (
            {**here, "gate": "fedcba98", "openblas": "fedcba98"},
            "numerics moved: gate and openblas of this machine round",
        ),
        ("01234567", "numerics unknown: how the machine of the rows rounds was told in another way"),
    ):
        monkeypatch.setattr(records, "runs", lambda *where, told=told: dict.fromkeys(recorded_by, {"numerics": told}))
        assert [remark.startswith(says or "") for remark in report.remarks(claim)] == ([True] if says else [])
    monkeypatch.setenv("MKL_CBWR", "AVX512")
    assert report.remarks(claim)[0] == "numerics not pinned: MKL_CBWR is 'AVX512'"
    assert not report.remarks(claims.load()["human-reflection"])


def test_a_rule_that_was_changed_after_its_rows_says_so_in_its_note():
    judged = [claim for first in claims.load().values() for claim in (first, first.second) if claim is not None]
    late = report.late(judged)
    assert [c.label for c in judged if c.label in late and "after the rows were recorded" not in c.note] == []


def test_a_box_shows_recorded_and_fresh_side_by_side(project):
    box = report.box("table-linear", "table-arithmetic", fresh=rows(0.5, range(1000, 1003)))
    text, html = repr(box), box._repr_html_()
    assert "table-linear: reproduced   (paper: 90 % (3e-9 to 3e-10))" in text
    assert "    linear | 99.0 % [99.0 %, 99.0 %] | 20 | 50.0 % (n=3) | holds" in text
    assert "table-arithmetic: partly" in text and "printed 92 % | does not hold" in text
    assert "<td>99.0 % [99.0 %, 99.0 %]</td><td>20</td><td>50.0 % (n=3)</td><td>holds</td>" in html
    assert "<td>–</td>" in report.box("table-linear")._repr_html_()
    assert "<td>–</td>" in report.box("table-linear", fresh=[])._repr_html_()


def test_a_small_box_judges_both_columns_at_the_smaller_scale_and_gives_no_verdict(project, monkeypatch):
    rule = {**RULE, "measure": "reflection", "against": "base", "quick": {"function": "cubic"}}
    claim = Claim(
        "low", "paper", "sec. 1", "It falls.", "measured", "functions", rule={**rule, "select": {"function": "linear"}}
    )
    monkeypatch.setattr(claims, "load", lambda: {"low": claim})
    numbers = {"linear": 0.01, "cubic": 0.2}
    found = [
        Row(r.experiment, r.config, r.seed, {"base": 1.0, "reflection": numbers[r.config["function"]]}) for r in rows(0)
    ]
    monkeypatch.setattr(records, "read", lambda *_: found)
    small = report.box("low", fresh=found, small=True)
    assert "low: at the smaller scale" in repr(small) and "80.0 % [80.0 %, 80.0 %] | 3 | 80.0 % (n=3)" in repr(small)
    assert "reproduced" not in repr(small) + small._repr_html_() and "at the smaller scale" in small._repr_html_()
    assert Table(small._repr_html_()).ids == []  # the page has the claim's own box too, and ids stand once
    assert "low: reproduced" in repr(report.box("low")) and "99.0 %" in repr(report.box("low"))


class Table(HTMLParser):
    """The tables of a page: captions, headers with their scope, cells, ids and links; every tag must be closed."""

    def __init__(self, html):
        super().__init__()
        self.open, self.captions, self.scopes, self.ids, self.lines, self.links = [], [], [], [], [], []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        attributes = dict(attributes)
        self.scopes += [attributes.get("scope")] if tag == "th" else []
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.links += [attributes["href"]] if "href" in attributes else []
        self.captions += [""] if tag == "caption" else []
        self.lines += [[]] if tag == "tr" else []
        if tag in ("td", "th"):
            self.lines[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "caption" in self.open:
            self.captions[-1] += data
        elif "td" in self.open or "th" in self.open:
            self.lines[-1][-1] += data


@pytest.mark.parametrize("page", [report.Box(VERDICTS), report.scorecard(VERDICTS)], ids=["box", "scorecard"])
def test_every_table_has_a_caption_and_headers_for_columns_and_lines(page):
    table = Table(page._repr_html_())
    tables = len(VERDICTS) if isinstance(page, report.Box) else 1
    readings = 1 + 2 + 1 if isinstance(page, report.Box) else len(VERDICTS)
    assert len(table.captions) == tables and all(table.captions)
    assert table.scopes.count("row") == readings and set(table.scopes) == {"col", "row"}
    assert len(table.lines) == tables + readings
    assert page._repr_html_().count("jump &lt; 0") == 1 and "jump < 0" not in page._repr_html_()
    texts = [*table.captions, *(cell for line in table.lines for cell in line)]
    assert any("It falls < by 90 %." in text for text in texts) and any("jump < 0" in text for text in texts)


def test_a_line_has_as_many_cells_as_there_are_column_headers():
    for verdict in VERDICTS:
        lines = Table(report.Box([verdict])._repr_html_()).lines
        assert {len(line) for line in lines} == {3 if verdict.claim.kind == "derived" else 5}
    assert {len(line) for line in Table(report.scorecard(VERDICTS)._repr_html_()).lines} == {7}


def test_the_scorecard_has_an_anchor_for_each_claim_and_a_link_where_the_chapter_exists(tmp_path, monkeypatch):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "functions.ipynb").touch()
    monkeypatch.setattr(records, "packaged", lambda *parts: tmp_path.joinpath(*parts))
    beyond = Claim("beyond", "paper", "sec. 4", "It is known.", "untestable", "functions")
    table = Table(report.scorecard([*VERDICTS, Verdict(beyond, "not testable")])._repr_html_())
    assert table.ids == ["claim-one", "claim-two", "claim-proof", "claim-bare", "claim-beyond"]
    assert table.links == ["functions.html#box-one", "functions.html#box-proof", "functions.html"]
    assert repr(report.scorecard(VERDICTS)) == report.as_text(VERDICTS)


# -- links of the stored chapters --------------------------------------------------------------------------------------

CHAPTERS = sorted({c.chapter for first in claims.load().values() for c in (first, first.second or first)})


@cache
def stored(chapter):
    """The ids and links of the tables that a chapter shows, as it is stored."""
    outputs = [
        o for cell in nbformat.read(ROOT / "book" / f"{chapter}.ipynb", 4).cells for o in cell.get("outputs", [])
    ]
    pages = [o.data["text/html"] for o in outputs if "text/html" in o.get("data", {})]
    tables = [Table(page) for page in pages if "verdict-box" in page or "scorecard" in page]
    return [name for table in tables for name in table.ids], [link for table in tables for link in table.links]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_scorecard_and_a_chapter_link_to_each_other_and_every_link_has_its_target(chapter):
    (scorecard, to_boxes), (boxes, to_claims) = stored("scorecard"), stored(chapter)
    mine = [c for first in claims.load().values() for c in (first, first.second or first) if c.chapter == chapter]
    for claim in mine:
        place = "" if claim.kind == "untestable" else f"#box-{claim.id}{'-full' if claim.scope else ''}"
        assert f"{chapter}.html{place}" in to_boxes, f"the scorecard has no link to {place}: run `make notebooks`"
    wanted = [link.partition("#")[2] for link in to_boxes if link.startswith(f"{chapter}.html#")]
    assert set(wanted) <= set(boxes), f"{chapter} shows no such box, or an old one: run `make notebooks`"
    assert len(set(boxes)) == len(boxes), f"{chapter} shows a claim twice, so that an id stands twice"
    assert set(to_claims) <= {f"scorecard.html#{name}" for name in scorecard}


# -- the digest --------------------------------------------------------------------------------------------------------


def test_a_digest_has_a_paragraph_for_each_configuration_and_one_for_the_grid():
    found = [*rows(0.01), *(Row("functions", {"grid": 1, "hidden": h}, 0, {"steps_2000": 1e-3}) for h in (5, 10))]
    assert [line.split(", h")[0] for line in report.digest(found).splitlines()] == [
        "function=cubic half_width=1: 3 rows",
        "    base=0.000000 reflection=-2.000000",
        "function=linear half_width=1: 3 rows",
        "    base=0.000000 reflection=-2.000000",
        "grid: 2 rows",
        "    steps_2000=-3.000000",
    ]


def test_a_digest_can_have_a_paragraph_for_all_that_agree_in_some_settings():
    found = [Row("study", {"x": x, "y": y}, 0, {"n": 1 + y}) for x in "ab" for y in range(3)]
    lines = [line.split(", h")[0] for line in report.digest(found, by=("x",)).splitlines()]
    assert lines == ["x=a: 3 rows", "    n=6", "x=b: 3 rows", "    n=6"]


def test_the_hash_of_a_digest_shows_the_last_digit_of_a_single_row_among_many():
    found = [Row("study", {"x": 1}, seed, {"loss": 1.0 + seed}) for seed in range(5000)]
    moved = [*found[:-1], Row("study", {"x": 1}, 4999, {"loss": np.nextafter(5000.0, 0)})]
    one, other = report.digest(found).splitlines(), report.digest(moved).splitlines()
    assert one[1:] == other[1:] and one[0] != other[0]
    assert floats(one[0]) == []  # the hash must not be read as a number, to which a tolerance would apply


def test_a_digest_does_not_depend_on_the_order_of_rows_and_fits_a_page():
    numbers = {f"number_{k}": 0.1 * (k + 1) for k in range(30)}
    found = [Row("study", {"x": x}, seed, {n: v**seed for n, v in numbers.items()}) for x in "ab" for seed in range(20)]
    assert report.digest(found) == report.digest(found[::-1])
    assert all(len(line) <= 100 for line in report.digest(found).splitlines())
    assert report.digest([]) == ""


@pytest.mark.parametrize(
    "values, condensed",
    [
        ([1, 2, 3], "6"),
        ([True, False], "1"),
        ([0.1, 0.001], "-2.000000"),
        ([0.1, 0.0, 0.001], "-2.000000(zero:1,negative:0)"),
        ([0.1, -0.001], "-2.000000(zero:0,negative:1)"),
        ([0.0, 0.0], "(zero:2,negative:0)"),
        ([1, 0.01], "-1.000000"),
    ],
)
def test_condensed(values, condensed):
    assert digits.condensed(values) == condensed
