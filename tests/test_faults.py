"""The tests bite: every planted fault is one of today's sources, and the tests that are named for it fail."""

import sys
from collections import Counter
from contextlib import nullcontext

import pytest

from tools import faults
from tools.faults import Fault

PLAN, PLANTED, KNOWN = faults.plan(), faults.by_hand(), {line["id"]: line for line in faults.table()}
STALE = "test_a_committed_chapter_is_executed_without_error_and_fresh"  # every change of the package fails it


# -- the plan ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", PLANTED, ids=lambda fault: fault.id)
def test_a_planted_fault_changes_its_file_and_names_tests_that_exist(fault):
    text = (faults.ROOT / fault.file).read_text(encoding="utf-8")
    assert faults.planted(fault, text) != text and fault.means.endswith(".") and fault.tests
    assert not [test for test in fault.tests if not exists(test)]


def exists(test):
    file, _, function = test.partition("::")
    words = (faults.ROOT / file).read_text(encoding="utf-8")
    return not function or f"def {function.partition('[')[0]}(" in words


def test_there_are_as_many_faults_as_were_promised_and_none_has_the_name_of_another():
    assert len({fault.id for fault in PLANTED}) == len(PLANTED) >= 40
    assert sum(how.get("known", 0) for how in PLAN["machine"].values()) >= 100


def test_the_fresh_draw_is_of_every_module_in_which_anything_can_be_changed():
    modules = {path.relative_to(faults.ROOT).as_posix() for path in (faults.ROOT / "errref").rglob("*.py")}
    assert PLAN["machine"].keys() <= modules and all(how["fresh"] >= 1 for how in PLAN["machine"].values())
    assert not [file for file in modules - PLAN["machine"].keys() if faults.mutants(file, 1, seed=0)]
    assert not [test for how in PLAN["machine"].values() for test in how["tests"] if not exists(test)]


def test_the_same_mutants_are_drawn_again_and_a_new_line_changes_none_of_the_others(tmp_path, monkeypatch):
    source = "def f(x: int | None, y=1):\n    if x > 2:\n        return x + y\n    return -x * (y + 3)\n"
    monkeypatch.setattr(faults, "ROOT", tmp_path)
    (tmp_path / "one.py").write_text(source)
    before = faults.mutants("one.py", 4, seed=3)
    assert before == faults.mutants("one.py", 4, seed=3) != faults.mutants("one.py", 4, seed=4)
    assert len(before) == 4 and all(faults.planted(fault, source) != source for fault in before)
    assert not any("None" in fault.new and "|" not in fault.new for fault in faults.mutants("one.py", 100, seed=3))
    (tmp_path / "one.py").write_text(f"import math\n\n\n{source}")
    assert before == faults.mutants("one.py", 4, seed=3)


@pytest.fixture
def small_plan(tmp_path, monkeypatch):
    """A plan for one module: one fault planted by hand, and a mutant of the known draw."""
    (tmp_path / "one.py").write_text("a = 1 + 2\n")
    hand = {"id": "hand", "file": "one.py", "old": "1 + 2", "new": "1 - 2", "means": "It is less.", "tests": ["t.py"]}
    machine = {"one.py": {"known": 1, "fresh": 100, "tests": ["t.py"]}}
    draws = {"known": {"seed": 1}, "fresh": {"seed": 2}}
    found = {"planted": [hand], "draws": draws, "machine": machine, "survivors": {}, "holes": {}}
    monkeypatch.setattr(faults, "ROOT", tmp_path)
    monkeypatch.setattr(faults, "plan", lambda: found)
    return tmp_path


def test_a_fresh_draw_has_no_fault_that_a_test_was_written_for(small_plan):
    (known,) = faults.known_draw()
    machine = faults.by_machine()
    sources = [faults.planted(fault, "a = 1 + 2\n").replace("  ", " ") for fault in machine]
    assert machine[0] == known and {fault.seed for fault in machine[1:]} == {2}
    assert len({*sources, "a = 1 - 2\n"}) == len(machine) + 1 > 2


def test_a_draw_by_another_seed_is_told_with_its_rate_and_kept_in_a_table_of_its_own(small_plan, monkeypatch, capsys):
    def tried(chosen):
        for fault, word in zip(chosen, ["caught", "survived"] * len(chosen), strict=False):
            yield fault.change | {"outcome": word, "by": "", "seconds": "1.0", "date": "", "software": ""}

    monkeypatch.setattr(faults, "tried", tried)
    monkeypatch.setattr(sys, "argv", ["faults", "--seed", "5"])
    assert faults.main() == 1  # nothing explains the survivors
    lines = faults.table(small_plan / "_build" / "faults-5.csv")
    assert {line["seed"] for line in lines} == {"5"} and "mutants drawn by 5: " in capsys.readouterr().out
    assert faults.main() == 1 and "1/" not in capsys.readouterr().out  # all is known


def test_a_kill_rate_by_hand():
    words = ["caught", "caught", "crashed", "hung", "survived", "broken", "skipped"]
    told = faults.kill_rate({"outcome": word} for word in words)
    assert told == "4 of 5 killed: 80.0 %, interval 28.4 to 99.5 %"  # tables of the binomial distribution
    assert faults.kill_rate([{"outcome": "broken"}]) == "none that counts"


@pytest.mark.parametrize("old, which", [("b", None), ("x", None), ("a", 3)])
def test_a_fault_that_does_not_fit_is_refused(old, which):
    with pytest.raises(ValueError, match="never: its old text stands . times in f.py, not .*; mend faults.yml"):
        faults.planted(Fault("never", "f.py", "z", (), old, which), "a b b a c")


# -- the table ---------------------------------------------------------------------------------------------------------


def test_the_table_has_just_the_planted_faults_as_they_are_now():
    lacking = [fault.id for fault in PLANTED if fault.id not in faults.known(PLANTED)]
    assert not lacking, "run `python -m tools.faults`, which tries what is new"
    assert {name for name, line in KNOWN.items() if line["kind"] == "planted"} == {fault.id for fault in PLANTED}


@pytest.mark.parametrize("file", PLAN["machine"])
def test_the_table_has_as_many_mutants_of_a_module_as_the_plan_and_each_changes_a_line_of_today(file):
    text, how = (faults.ROOT / file).read_text(encoding="utf-8"), PLAN["machine"][file]
    mine = [line for line in KNOWN.values() if line["kind"] == "machine" and line["file"] == file]
    found = Counter(line["seed"] for line in mine)
    assert found == Counter({str(draw["seed"]): how.get(name, 0) for name, draw in PLAN["draws"].items()})
    assert {line["tests"] for line in mine} == {" ".join(how["tests"])}
    gone = [line["id"] for line in mine if line["before"].partition(" (place")[0] not in text]
    assert not gone, "run `python -m tools.faults`, which tries the mutants of the lines that are new"


def test_every_fault_is_caught_or_its_survival_is_explained_or_is_a_hole_of_the_fresh_draw():
    survivors = {name for name, line in KNOWN.items() if line["outcome"] not in faults.NO_SURVIVOR}
    assert survivors == PLAN["survivors"].keys() | PLAN["holes"].keys()
    assert not PLAN["survivors"].keys() & PLAN["holes"].keys()
    assert all(text.endswith(".") for told in (PLAN["survivors"], PLAN["holes"]) for text in told.values())
    assert {KNOWN[name]["seed"] for name in PLAN["holes"]} <= {str(PLAN["draws"]["fresh"]["seed"])}
    assert not [line["id"] for line in KNOWN.values() if line["kind"] == "planted" and line["outcome"] != "caught"]
    assert not [line["id"] for line in KNOWN.values() if STALE in line["by"]]


# -- the runner --------------------------------------------------------------------------------------------------------

FILES = {
    "pytest.ini": "[pytest]\nmarkers = long: takes long\n",
    "module.py": "value = 1\n",
    "test_good.py": "from module import value\n\ndef test_value():\n    assert value == 1\n",
    "test_unread.py": "from module import missing\n\ndef test_value():\n    assert True\n",
    "test_setup.py": "import pytest\n\n@pytest.fixture\ndef f():\n    1 / 0\n\ndef test_value(f):\n    pass\n",
    "test_crash.py": "import os\n\ndef test_value():\n    os.abort()\n",
    "test_skip.py": "import pytest\n\ndef test_value():\n    pytest.skip('not here')\n",
    "test_long.py": "import time\n\ndef test_value():\n    time.sleep(60)\n",
}


@pytest.fixture
def tree(tmp_path):
    """A small project of its own."""
    for name, text in FILES.items():
        (tmp_path / "project").mkdir(exist_ok=True)
        (tmp_path / "project" / name).write_text(text)
    return tmp_path / "project"


@pytest.mark.parametrize(
    "test, found",
    [
        ("test_good.py", ("survived", "")),
        ("test_setup.py", ("caught", "test_setup.py::test_value")),
        ("test_unread.py", ("broken", "")),
        ("test_good.py::test_missing", ("broken", "")),
        ("test_crash.py", ("crashed", "")),
        ("test_skip.py", ("skipped", "")),
    ],
)
def test_only_a_test_that_fails_is_a_catch(test, found, tree):
    assert faults.outcome(tree, [test]) == found


def test_what_does_not_end_is_stopped(tree):
    assert faults.outcome(tree, ["test_long.py"], timeout=3) == ("hung", "")


def test_a_fault_is_planted_in_the_copy_and_taken_out_again(tree, monkeypatch):
    monkeypatch.setattr(faults, "copy_of_project", lambda: nullcontext(tree))
    age = (tree / "module.py").stat().st_mtime_ns
    wrong = Fault("wrong", "module.py", "value = 2", ("test_good.py",), "value = 1", means="It is wrong.")
    same = Fault("same", "module.py", "value = 1.0", ("test_good.py",), "value = 1", seed=0)
    lines = list(faults.tried([wrong, same]))
    assert [(line["outcome"], line["by"]) for line in lines] == [
        ("caught", "test_good.py::test_value"),
        ("survived", ""),
    ]
    assert [(line["kind"], line["seed"]) for line in lines] == [("planted", ""), ("machine", "0")]
    assert (tree / "module.py").read_text() == FILES["module.py"] and (tree / "module.py").stat().st_mtime_ns == age


def test_tests_that_fail_without_the_fault_catch_nothing(tree, monkeypatch):
    monkeypatch.setattr(faults, "copy_of_project", lambda: nullcontext(tree))
    fault = Fault("any", "module.py", "value = 2", ("test_setup.py",), "value = 1")
    with pytest.raises(RuntimeError, match=r"Without any fault .* \(caught\): test_setup.py::test_value"):
        list(faults.tried([fault]))


def test_the_copy_is_the_project_as_it_is_in_version_control():
    with faults.copy_of_project() as copy:
        for name in ("errref/isodata.py", "tests/conftest.py", "results/functions.jsonl", "book/claims.yml"):
            assert (copy / name).read_bytes() == (faults.ROOT / name).read_bytes()
        assert not (copy / ".git").exists() and not (copy / ".venv").exists()


# -- the faults --------------------------------------------------------------------------------------------------------


def again(chosen):
    """Outcomes of some faults, tried again, beside those of the table; how a fault is killed is all the same."""
    for line in faults.tried(chosen):
        before = KNOWN[line["id"]]["outcome"]
        yield (
            line["id"],
            line["outcome"],
            before,
            line["outcome"] == before or {line["outcome"], before} <= {*faults.KILLED},
        )


def test_the_quickest_faults_are_caught_again():
    order = sorted((f for f in PLANTED if f.file.startswith("errref")), key=lambda f: float(KNOWN[f.id]["seconds"]))
    assert all(same for *_, same in again(order[:2]))


@pytest.mark.long
def test_every_fault_meets_its_fate_again():
    everything = [*PLANTED, *faults.by_machine()]
    assert faults.known(everything).keys() == KNOWN.keys() == {fault.id for fault in everything}
    differ = [found for *found, same in again(everything) if not same and found[1] != "skipped"]
    assert not differ, "run `python -m tools.faults ID`, and mend the tests or the table"
