"""The table of systems that were tried: how a try becomes an entry, what is refused, what the page shows of it."""

import html
import re
from datetime import date
from functools import cache

import nbformat
import pytest
import yaml

from errref import agreement, experiments, pins, recorded, records
from errref.agreement import Comparison
from errref.numerics import PARTS, WITHOUT_TORCH
from tests.conftest import ROOT
from tools import systems

ENTRIES = systems.load()
THERE = systems.recorded_numerics()
CHOSEN = cache(systems.chosen)  # reading a large study takes a second
PARTS_THERE = recorded.EARLIER | {"torch": "fedcba98"}
ENTRY = {
    "system": "Linux x86_64, glibc 2.36",
    "processor": "haswell",
    "avx2": True,
    "avx512f": False,
    "emulated": "no",
    "python": "3.11.7",
    "user": "root",
    "space_in_path": False,
    "locale": "C.UTF-8",
    "encoding": "utf-8",
    "unpinned": [],
    "day": date(2026, 1, 2),
    "package": "0.1.0",
    "source": "0123456789ab",
    "versions": {"numpy": "2.4.6"},
    "numerics": PARTS_THERE,
    "numbers": {"measured": 60, "moved": 0, "outside": 0},
    "refused": [],
    "seconds": 1.5,
    "outcome": "equal digits",
}
MOVED = {"numbers": {"measured": 60, "moved": 4, "outside": 1}, "numerics": PARTS_THERE | {"gate": "01234567"}}


# -- trying ------------------------------------------------------------------------------------------------------------


def pretended(monkeypatch, gate=None, **how):
    """A system on which rows compare in this way, and whose gate rounds so."""
    parts = PARTS_THERE | ({"gate": gate} if gate else {})
    compared = {"moved": (), "other": (), "outside": ()} | how

    def measured_again(study, rows):
        return [Comparison(row, row.numbers, seeds=20, **compared) for row in rows]

    monkeypatch.setattr(agreement, "measured_again", measured_again)
    monkeypatch.setattr(systems, "chosen", CHOSEN)
    monkeypatch.setattr(systems, "numerics", lambda names: {name: parts[name] for name in names})
    monkeypatch.setattr(systems, "recorded_numerics", lambda: PARTS_THERE)


@pytest.mark.parametrize(
    "word, status, how",
    [
        ("equal digits", 0, {}),
        ("intervals agree", 0, {"gate": "01234567"}),  # digits of the rows returned, those of the gate did not
        ("intervals agree", 0, {"gate": "01234567", "moved": ("gate",), "other": ("base",)}),
        ("differs", 1, {"other": ("base",)}),  # although no part moved
        ("differs", 1, {"gate": "01234567", "moved": ("gate",), "other": ("base",) * 9, "outside": ("base",) * 9}),
    ],
)
def test_the_outcome_of_a_try_is_computed_and_written(word, status, how, monkeypatch, tmp_path, capsys):
    pretended(monkeypatch, **how)
    table = tmp_path / "systems.yml"
    monkeypatch.setattr("sys.argv", ["systems", "--table", str(table), "--emulated", "qemu"])
    assert systems.main() == status
    (entry,) = systems.load(table)
    assert entry["outcome"] == word == systems.outcome(entry, PARTS_THERE)
    assert (entry["emulated"], entry["day"]) == ("qemu", date.today()) and list(entry) == list(systems.FIELDS)
    assert yaml.safe_load(capsys.readouterr().out) == [entry], "what is to be sent is what was written"
    assert table.read_text().startswith("# Systems that were tried") and [*tmp_path.iterdir()] == [table]


def test_all_rows_of_a_study_are_judged_together(monkeypatch):
    pretended(monkeypatch)
    asked = []
    monkeypatch.setattr(systems.agreement, "agree", lambda found: asked.append(found) or True)
    systems.measured()
    assert [{one.row.experiment for one in found} for found in asked] == [{study} for study in systems.ROWS]
    assert [len(found) for found in asked] == [len(rows) for rows in systems.ROWS.values()]


def test_rows_that_are_measured_again_are_recorded_and_of_several_studies():
    assert len(systems.ROWS) == 5 and sum(len(CHOSEN(study)) for study in systems.ROWS) == 9
    for study, picks in systems.ROWS.items():
        assert not any("torch" in experiments.depends(study, config) for config, _ in picks)


def test_a_row_that_is_no_longer_recorded_is_one_sentence(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(systems.ROWS, "intuition", [({"answer": "none"}, 0)])
    with pytest.raises(records.RecordError, match=r"^intuition has no row .* any more; choose another in tools/sys"):
        systems.chosen("intuition")


def test_what_a_system_is_is_found_out(monkeypatch):
    monkeypatch.setattr(systems, "get_host_cpu_features", lambda: {"avx2": True, "avx512f": False})
    monkeypatch.setattr(systems, "ROOT", systems.Path("/tmp/a b/c"))
    monkeypatch.setattr(systems.os, "geteuid", lambda: 1000)
    monkeypatch.setenv("LANG", "C")
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.setenv("OPENBLAS_L2_SIZE", "1")
    found = systems.here("no")
    assert found["avx2"] and not found["avx512f"] and found["space_in_path"] and found["user"] == "ordinary"
    assert found["locale"] == "C" and "OPENBLAS_L2_SIZE is '1'" in found["unpinned"]
    assert found["unpinned"] == pins.departures(systems.os.environ)
    assert list(found) == systems.SAME, "these tell systems apart"


# -- the table ---------------------------------------------------------------------------------------------------------


def test_a_new_try_of_a_system_takes_the_place_of_the_old_one():
    other, later = ENTRY | {"processor": "znver1"}, ENTRY | {"python": "3.11.9", "day": date(2026, 2, 3)} | MOVED
    assert systems.with_entry([ENTRY, other], later) == [later, other]
    for change in ({"python": "3.12.1"}, {"user": "ordinary"}, {"unpinned": ["x"]}, {"emulated": "qemu"}):
        assert systems.with_entry([ENTRY, other], later | change) == [ENTRY, other, later | change]


def test_a_table_is_read_as_it_was_written(tmp_path):
    entries = [ENTRY, ENTRY | MOVED | {"versions": {}, "python": "3.14.0", "refused": ["traps"]}]
    (tmp_path / "t.yml").write_text(systems.HEAD + systems.as_yaml(entries), encoding="utf-8")
    assert systems.load(tmp_path / "t.yml") == entries and systems.load(tmp_path / "none.yml") == []
    assert "\n  numerics: {loops: " in systems.as_yaml(entries), "a field a line"


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("- a: [1\n- b", r"^t\.yml cannot be read from line 2 on: restore it from version control\.$"),
        ("a: 1", r"^t\.yml is no list of entries: restore it from version control\.$"),
        ("- a: 1", r"^Entry 1 of t\.yml has not the fields of one: try that system again, or restore the entry\.$"),
        ({"avx2": "yes"}, r"^Entry 1 of t\.yml has another kind of value for avx2: try that system again, or"),
        ({"numbers": {"measured": 1}}, r"^Entry 1 of t\.yml has another kind of value for numbers or numerics: "),
        ({"numerics": {}}, r"^Entry 1 of t\.yml has another kind of value for numbers or numerics: "),
    ],
)
def test_a_malformed_table_is_one_sentence_before_anything_is_measured(text, sentence, tmp_path, monkeypatch, capsys):
    table = tmp_path / "t.yml"
    table.write_text(text if isinstance(text, str) else yaml.safe_dump([ENTRY | text], sort_keys=False))
    before = table.read_bytes()
    monkeypatch.setattr(systems, "tried", lambda emulated: pytest.fail("it measured"))
    monkeypatch.setattr("sys.argv", ["systems", "--table", str(table)])
    assert systems.main() == 2 and table.read_bytes() == before
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and re.search(sentence, said.strip()), said


def test_a_table_that_cannot_be_written_is_one_sentence_and_stays(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(systems, "tried", lambda emulated: ENTRY)
    monkeypatch.setattr("sys.argv", ["systems", "--table", str(tmp_path / "no" / "t.yml")])
    assert systems.main() == 2 and capsys.readouterr().err.count("\n") == 1


# -- the recorded table ------------------------------------------------------------------------------------------------


def test_every_recorded_outcome_is_that_of_its_fields():
    assert ENTRIES and [entry["outcome"] for entry in ENTRIES] == [systems.outcome(e, THERE) for e in ENTRIES]
    assert {entry["outcome"] for entry in ENTRIES} <= {"equal digits", "intervals agree", "differs"}
    for entry in ENTRIES:
        counts = entry["numbers"]
        assert counts["measured"] >= counts["moved"] >= counts["outside"] >= 0


def test_systems_with_equal_digits_round_as_the_machine_of_the_rows():
    equal = [entry for entry in ENTRIES if entry["outcome"] == "equal digits"]
    assert equal and THERE.keys() >= set(WITHOUT_TORCH)
    for entry in equal:
        assert {part: entry["numerics"][part] for part in WITHOUT_TORCH} == recorded.EARLIER
        assert all(entry["numerics"][part] == THERE[part] for part in THERE.keys() & entry["numerics"].keys())
    told = {entry["numerics"]["torch"] for entry in equal if "torch" in entry["numerics"]}
    assert len(told) <= 1, "their networks for images round alike, too"


def test_no_system_stands_twice():
    for place, entry in enumerate(ENTRIES):
        assert not any(systems.same(entry, other) for other in ENTRIES[:place])


# -- the page ----------------------------------------------------------------------------------------------------------


CELLS = nbformat.read(ROOT / "book" / "reproduce.ipynb", as_version=4).cells
SHOWN = next(cell.outputs[0].data["text/html"] for cell in CELLS if "systems.as_html" in cell.source)


def lines(text):
    """The cells of each line of the page's table, without its head."""
    found = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line) for line in re.findall(r"<tr>(.*?)</tr>", text)]
    return [[html.unescape(cell) for cell in line] for line in found[1:]]


def test_the_page_shows_what_the_table_says_now():
    assert systems.as_html(ENTRIES) == SHOWN, "execute the page again: tools/notebooks.py reproduce"
    for entry, line in zip(ENTRIES, lines(SHOWN), strict=False):
        assert line[1].startswith(entry["outcome"]) and line[2].startswith(systems.minor(entry))
    rest = lines(SHOWN)[len(ENTRIES) :]
    assert [line[0] for line in rest] == systems.not_tried(ENTRIES) and {line[1] for line in rest} == {"not tried"}


def test_the_sentences_before_the_table_count_its_outcomes(monkeypatch):
    arm = ENTRY | {"system": "Linux aarch64, glibc 2.36", "avx2": False}
    entries = [ENTRY, ENTRY | MOVED, ENTRY | MOVED | {"unpinned": ["MKL_CBWR not set"]}, arm | {"refused": ["traps"]}]
    monkeypatch.setattr(systems, "recorded_numerics", lambda: PARTS_THERE)
    assert systems.in_words(entries) == (
        "Of those with all pins, 1 of 2 gave equal digits; on 1 digits moved and intervals agree; 0 differ. "
        "Of the others, 0 of 2 gave equal digits; on 1 digits moved and intervals agree; 1 differ."
    )


def test_a_line_of_the_page_says_what_the_system_is_and_what_moved():
    assert systems.shown(ENTRY, PARTS_THERE) == [
        "Linux, Intel haswell, AVX2",
        "equal digits",
        "3.11",
        "root",
        "yes",
    ]
    other = {"processor": "znver1", "emulated": "qemu", "user": "ordinary", "space_in_path": True, "locale": "C"}
    bare = {"unpinned": ["OPENBLAS_CORETYPE is 'Prescott'", "MKL_CBWR not set"], "encoding": "ascii"}
    entry = ENTRY | MOVED | other | bare
    entry["numerics"] = {part: entry["numerics"][part] for part in WITHOUT_TORCH}
    assert systems.shown(entry, PARTS_THERE) == [
        "Linux, AMD znver1, AVX2, emulated by qemu",
        "intervals agree; 4 of 60 numbers moved, 1 outside; otherwise: gate",
        "3.11, no torch",
        "ordinary user, path with a space, LANG=C, ascii",
        "no, OPENBLAS_CORETYPE=Prescott",
    ]
    arm = ENTRY | {"system": "Linux aarch64, glibc 2.36", "processor": "generic", "avx2": False, "refused": ["traps"]}
    assert systems.shown(arm, PARTS_THERE)[0] == "Linux, Arm" and systems.shown(arm, PARTS_THERE)[4] == "no pins there"
    assert systems.shown(arm, PARTS_THERE)[1].startswith("differs; ")
    assert "&lt;b&gt;" in systems.as_html([ENTRY | {"processor": "<b>"}])


@pytest.mark.parametrize(
    "kind, change",
    [
        ("Intel with AVX-512", {"processor": "emeraldrapids", "avx512f": True}),
        ("Intel without AVX-512, not emulated", {}),
        ("AMD with AVX-512", {"processor": "znver4", "avx512f": True}),
        ("AMD without AVX-512, not emulated", {"processor": "znver3"}),
        ("x86-64 without AVX2", {"processor": "nehalem", "avx2": False, "emulated": "qemu"}),
        ("64-bit Arm, not emulated", {"system": "Linux aarch64, glibc 2.36", "processor": "neoverse-n1"}),
        ("Apple silicon", {"system": "Darwin arm64", "processor": "apple-m1"}),
        ("Windows", {"system": "Windows AMD64"}),
        ("Linux within Windows", {"system": "Linux x86_64 within Windows, glibc 2.36"}),
        ("Python 3.14", {"python": "3.14.0"}),
        ("an ordinary user", {"user": "ordinary"}),
        ("a path with a space", {"space_in_path": True}),
        ("LANG=C", {"locale": "C"}),
        ("nothing pinned", {"unpinned": [f"{', '.join(pins.PINS)} not set"]}),
    ],
)
def test_a_kind_of_system_counts_as_tried_once_there_is_an_entry_of_it(kind, change):
    other = ENTRY | {"processor": "znver4" if "Intel" in kind else "haswell", "emulated": "qemu"}
    assert kind in systems.not_tried([other]) and kind not in systems.not_tried([other, ENTRY | change])


def test_an_emulated_processor_is_no_processor():
    emulated = [ENTRY | {"emulated": "qemu", "processor": name} for name in ("haswell", "znver1")]
    lacking = systems.not_tried(emulated)
    assert {kind for kind in systems.KINDS if "not emulated" in kind} <= set(lacking) and "Python 3.11" not in lacking


def test_a_gpu_is_tried_once_rows_are_recorded_on_one(monkeypatch):
    assert systems.not_tried([])[-1] == "a GPU, for the networks on images"
    monkeypatch.setattr(records, "runs", lambda study: {"one": {"device": "NVIDIA"}})
    assert systems.not_tried([]) == list(systems.KINDS)


def test_the_machine_of_the_rows_is_told_part_by_part(monkeypatch):
    assert THERE.keys() <= set(PARTS) and {part: THERE[part] for part in WITHOUT_TORCH} == recorded.EARLIER
    later = {"one": {"numerics": {"torch": "01234567"} | recorded.EARLIER}}
    monkeypatch.setattr(records, "runs", lambda study: later if study == "fashion" else {"old": {}})
    assert systems.recorded_numerics() == recorded.EARLIER | {"torch": "01234567"}
    assert systems.moved(ENTRY, systems.recorded_numerics()) == ["torch"]
    assert systems.moved(ENTRY, recorded.EARLIER) == []
