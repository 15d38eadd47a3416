"""What a chapter shows was executed, is compared when executed again, and shows every recorded row that changes."""

import base64
import io
import json
import math
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from errref import digits, provenance, records, report
from errref.numerics import PARTS, WITHOUT_TORCH, numerics
from errref.records import Row
from tests import nbval_tolerance
from tests.nbval_tolerance import close, numbers, settings, texts, tolerance
from tools import notebooks

ROOT = notebooks.ROOT
CHAPTERS = notebooks.chapters()
STUDIES = sorted({path.name.partition(".")[0] for path in (ROOT / "results").glob("*.jsonl*")})
chapter = pytest.mark.parametrize("path", CHAPTERS, ids=[path.stem for path in CHAPTERS])


# -- the committed chapters --------------------------------------------------------------------------------------------


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@chapter
def test_a_committed_chapter_is_executed_without_error_and_fresh(path):
    assert notebooks.complaint(path) is None


@chapter
def test_a_chapter_was_executed_once_from_top_to_bottom(path):
    assert [cell.execution_count for cell in code_cells(path)] == list(range(1, len(code_cells(path)) + 1))


@chapter
def test_a_chapter_stores_no_warning_and_no_progress_bar(path):
    outputs = [o for cell in code_cells(path) for o in cell.outputs]
    assert not [o.text for o in outputs if o.output_type == "stream" and o.name == "stderr"]
    mend = "it was saved where a bar was shown: execute it with `tools/notebooks.py NAME` instead"
    assert all(o.data for o in outputs if "data" in o), mend
    assert not re.search(r"\d%\|", path.read_text()), mend


@chapter
def test_no_cell_opts_out_of_the_comparison(path):
    for cell in code_cells(path):
        assert not re.search(r"NBVAL_|PYTEST_VALIDATE", cell.source, re.IGNORECASE)
        tags = [tag for tag in cell.metadata.get("tags", []) if "nbval" in tag or "raises" in tag]
        if "thread_time" in cell.source:  # a figure of times; its words are compared
            tags = [tag for tag in tags if tag != "nbval-seconds"]
        assert all(re.fullmatch(r"nbval-loss|nbval-rtol=[-.e\d]+", tag) for tag in tags), tags


def floats(text):
    """Places and values of the floats of a text, found without the comparator's own expression."""
    for run in re.finditer(r"[\d.eE+-]*\d[\d.eE+-]*", text):
        word = run[0].rstrip(".+-eE")
        if "." in word or "e" in word.lower():
            try:
                yield run.start(), run.start() + len(word), float(word)
            except ValueError:
                continue


def shifted(text, how):
    """The same text with one float moved by twice its tolerance, for each float and either direction."""
    for start, end, value in floats(text):
        below, above = tolerance(value, **how)
        for other in (value - 2 * below, value + 2 * above):
            yield f"{text[:start]}{other!r}{text[end:]}"


@chapter
def test_every_stored_float_is_caught_when_shifted_by_twice_its_tolerance(path):
    """Each float within its line; the last one of a text within the whole text, which may hold thousands."""
    for cell in code_cells(path):
        how = settings(cell.metadata.get("tags", []))
        for text in (text for output in cell.outputs for text in texts(output)):
            assert close(text, text, **how)
            for line in text.splitlines():
                for edited in shifted(line, how):
                    assert not close(line, edited, **how), f"{line} -> {edited}"
            head, _, last = text.rstrip("\n").rpartition("\n")
            assert not any(close(text, f"{head}\n{edited}", **how) for edited in shifted(last, how))


# -- every recorded row ------------------------------------------------------------------------------------------------


def shifts(value):
    """A number, moved by twice its tolerance in either direction: a loss by a factor, an integer and a zero by 1."""
    if isinstance(value, int) or value == 0:
        return value - 1, value + 1
    return value / 10**0.1, value * 10**0.1


def groups_of(rows, by=()):
    """The rows whose numbers `report.digest` condenses together, by what they have in common."""
    found = {}
    for row in rows:
        settings = {key: value for key, value in row.config.items() if not by or key in by}
        found.setdefault("grid" if "grid" in row.config else json.dumps(settings), []).append(row)
    return found


def assert_digest_shows_every_number(rows, text, how, by=()):
    """Each shifted number changes what its column is condensed into; and what is condensed is what the digest shows.

    Of long columns, numbers at 20 places are shifted.
    """
    assert close(report.digest(rows, by), text, **how), "the digest is not that of the rows: run `make notebooks`"
    for group, own in groups_of(rows, by).items():
        last = {name: row for row in own for name in row.numbers}  # the last row that has a number of each name
        moved = {name: shifts(row.numbers[name])[1] for name, row in last.items()}
        other = [
            replace(row, numbers={n: moved[n] if last[n] is row else v for n, v in row.numbers.items()}) for row in own
        ]
        before, after = report.digest(own, by), report.digest(other, by)
        for name in last:
            values = [row.numbers[name] for row in own if name in row.numbers]
            condensed, shifted_last = digits.condensed(values), digits.condensed([*values[:-1], moved[name]])
            assert f"{name}={condensed}" in before and f"{name}={shifted_last}" in after
            for k in range(len(values)) if len(values) < 1000 else [*range(0, len(values), len(values) // 20), -1]:
                value = values[k]
                for new in shifts(value):
                    fresh = digits.condensed([*values[:k], new, *values[k:][1:]])
                    mend = "tag the cell with a smaller tolerance, such as nbval-rtol=1e-7"
                    assert not close(condensed, fresh, **how), f"{group}, {name}: {value} -> {new} is not seen; {mend}"


@pytest.mark.parametrize("study", STUDIES)
def test_every_recorded_row_that_is_shifted_changes_the_digest_of_its_chapter(study):
    cells = [cell for cell in code_cells(ROOT / "book" / f"{study}.ipynb") if "report.digest(" in cell.source]
    assert len(cells) == 1, f"{study}.ipynb must print report.digest(rows) in one cell"
    stored = "".join(text for output in cells[0].outputs for text in texts(output))
    how = settings(cells[0].metadata.get("tags", []))
    assert not how["loss"], "a digest of recorded rows is exact on every machine"
    by = re.search(r"by=\((.*?),?\)", cells[0].source)
    groups = tuple(name.strip("\"' ") for name in by[1].split(",")) if by else ()
    assert_digest_shows_every_number(records.read(study), stored.rstrip("\n"), how, groups)


def study_like_rows():
    """Rows as an experiment records them: losses over many powers of ten, counts, shares, zeros, and a large grid."""
    for config in ({"function": "linear", "half_width": 1}, {"function": "cubic", "half_width": 1}):
        for seed in range(20):
            loss = 10.0 ** (-9 * math.sin(seed + len(config["function"])) ** 2)
            rest = {"steps": 81_234 + seed, "parameters": 256, "right": 1 - loss / 2, "zero": 0.0, "hit": seed % 2}
            yield Row("study", config, seed, {"loss": loss, "gain": 0.5 - seed % 3, **rest})
    for width in range(48):
        for seed in range(20):
            yield Row("study", {"grid": 1, "width": width}, seed, {"steps_2000": 10.0 ** -(3 + seed % 5)})


def test_the_digest_shows_every_number_of_a_study():
    rows = list(study_like_rows())
    assert_digest_shows_every_number(rows, report.digest(rows), settings([]))


def test_the_digest_shows_a_row_that_is_missing_or_moved_to_another_configuration():
    rows = list(study_like_rows())
    text = report.digest(rows)
    assert not close(text, report.digest(rows[1:]))
    assert not close(text, report.digest([replace(rows[0], config=rows[25].config), *rows[1:]]))


def test_the_digest_test_notices_an_insensitive_digest():
    rows = list(study_like_rows())
    with pytest.raises(AssertionError, match="is not seen"):
        assert_digest_shows_every_number(rows, report.digest(rows), {"rtol": 0.01})


# -- the comparator ----------------------------------------------------------------------------------------------------


def test_floats_are_found_and_versions_names_and_integers_are_not():
    text = "1.5 of -2e-9, .25, [0.1 3.] 93.4 %, x=1.0, 7-8.5; version 3.11.2, 12 cells, jump_1.5x, a1.5, <b>4.0</b>"
    assert numbers(text) == [1.5, -2e-9, 0.25, 0.1, 3, 93.4, 1.0, 8.5, 4.0]


@pytest.mark.parametrize(
    "reference, fresh, how, same",
    [
        ("loss 1.00000", "loss 1.000009", {}, True),
        ("loss 1.00000", "loss 1.00002", {}, False),
        ("loss 1.0", "gain 1.0", {}, False),
        ("12 cells", "13 cells", {}, False),
        ("there are 12345678.", "there are 12345679.", {}, False),
        ("93.4 %", "93.4001 %", {}, True),
        ("93.4 %", "93.5 %", {}, False),
        ("93.4 %", "93.4", {}, False),
        ("a 9.999999 b", "a 10.000001 b", {}, True),
        ("a  9.999999 b", "a 10.000001 b", {}, True),
        ("0.0", "-1e-15", {}, True),
        ("3e-10", "9e-10", {}, False),
        ("1.0 2.0", "1.0", {}, False),
        ("1.00", "1.02", {"rtol": 0.03}, True),
        ("1.00", "1.04", {"rtol": 0.03}, False),
        ("2e-3", "2.2e-3", {"loss": True}, True),
        ("2e-3", "2.3e-3", {"loss": True}, False),
        ("2e-3", "1.7e-3", {"loss": True}, False),
        ("3e-9", "5e-7", {"loss": True}, True),
        ("3e-9", "2e-6", {"loss": True}, False),
        ("2e-6", "3e-9", {"loss": True}, False),
        ("-12.0 %", "-13.0 %", {"loss": True}, True),
        ("-12.0 %", "12.0 %", {"loss": True}, False),
        ("n=20", "n=21", {"loss": True}, False),
        ("nan", "inf", {}, False),
        ("1e400", "1e400", {}, True),
    ],
)
def test_close(reference, fresh, how, same):
    assert close(reference, fresh, **how) == same


@pytest.mark.parametrize("loss", [False, True])
@pytest.mark.parametrize("value", [0.0, 3e-10, 9.9e-7, 1.1e-6, 0.5, 93.4, 1e6, -3e-10, -0.5])
def test_a_float_agrees_up_to_its_tolerance_and_not_at_twice_that(value, loss):
    below, above = tolerance(value, loss=loss)
    assert close(f"{value!r}.", f"{value!r}.") and below > 0 and above > 0
    for inside in (value - 0.99 * below, value + 0.99 * above):
        assert close(f"{value!r} s", f"{inside!r} s", loss=loss)
    for outside in (value - 2 * below, value + 2 * above):
        assert not close(f"{value!r} s", f"{outside!r} s", loss=loss)


def test_tags_set_the_tolerance_of_a_cell():
    assert settings(["hide-input"]) == {"rtol": 1e-5, "loss": False}
    assert settings(["nbval-rtol=1e-2"]) == {"rtol": 1e-2, "loss": False}
    assert settings(["nbval-loss"]) == {"rtol": 1e-5, "loss": True}
    with pytest.raises(ValueError, match="many"):
        settings(["nbval-rtol=many"])


# -- the gate ----------------------------------------------------------------------------------------------------------


def write(path, *cells, uses=None):
    """A notebook that claims to have been executed, with a hash that fits its code (or another one)."""
    notebook = new_notebook(cells=[new_markdown_cell("# Title"), *cells])
    notebook.metadata["errref"] = {**dict.fromkeys(notebooks.TOLD), "uses": uses or notebooks.fingerprint(notebook)}
    nbformat.write(notebook, path)
    return path


def cell(source, *outputs, count=1, tags=()):
    outputs = [new_output("stream", name="stdout", text=o) if isinstance(o, str) else o for o in outputs]
    return new_code_cell(source, outputs=outputs, execution_count=count, metadata={"tags": list(tags)})


def result(**data):
    return new_output("execute_result", {f"text/{form}": text for form, text in data.items()}, execution_count=1)


def test_a_good_notebook_has_no_complaint(tmp_path):
    assert notebooks.complaint(write(tmp_path / "good.ipynb", cell("print(1.5)", "1.5\n"))) is None


error = new_output("error", ename="ZeroDivisionError", evalue="division by zero", traceback=[])


@pytest.mark.parametrize(
    "cells, uses, complaint",
    [
        ([cell("1 / 0", error)], None, "stores an error"),
        ([cell("print(1)", count=None)], None, "never executed"),
        ([cell("print(1)", "1\n"), cell("print(2)", count=None)], None, "never executed"),
        ([cell("print(1)", "1\n")], "0123456789abcdef", "is stale"),
        ([cell("%matplotlib inline")], "0123456789abcdef", "not a notebook of plain Python"),
    ],
    ids=["raises", "unexecuted", "partly unexecuted", "stale", "magic"],
)
def test_a_bad_notebook_is_refused_by_name(cells, uses, complaint, tmp_path):
    path = write(tmp_path / "bad.ipynb", *cells, uses=uses or "x" * 16)
    if uses is None:
        path = write(path, *cells)
    assert re.match(rf"bad\.ipynb .*{complaint}.*make notebooks", notebooks.complaint(path))


def test_a_changed_source_makes_a_notebook_stale(tmp_path):
    path = write(tmp_path / "page.ipynb", cell("print(1)", "1\n"))
    path.write_text(path.read_text().replace("print(1)", "print(1 )"))
    assert "is stale" in notebooks.complaint(path)


def test_a_notebook_that_does_not_say_where_it_was_executed_is_refused(tmp_path):
    path = tmp_path / "page.ipynb"
    for name in notebooks.TOLD:
        stored = nbformat.read(write(path, cell("print(1)", "1\n")), as_version=4)
        del stored.metadata.errref[name]
        nbformat.write(stored, path)
        assert "does not say where and when it was executed" in notebooks.complaint(path), name


def test_a_file_that_is_no_notebook_is_refused_by_name(tmp_path):
    (tmp_path / "torn.ipynb").write_text('{"cells": [')
    assert notebooks.complaint(tmp_path / "torn.ipynb").startswith("torn.ipynb is not a notebook")


def test_check_names_each_bad_notebook_and_repairs_nothing(tmp_path, monkeypatch, capsys):
    (tmp_path / "book").mkdir()
    write(tmp_path / "book" / "fine.ipynb", cell("print(1)", "1\n"))
    bad = write(tmp_path / "book" / "raises.ipynb", cell("1 / 0", error))
    before = bad.read_bytes()
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["notebooks.py", "--check"])
    assert notebooks.main() == 1
    assert capsys.readouterr().err.count(".ipynb") == 1 and bad.read_bytes() == before
    bad.unlink()
    assert notebooks.main() == 0


def make_test(folder):
    """What `make test` does, without its lint, in a folder whose only tests are chapters: exit status and messages."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    (folder / "tools").mkdir(exist_ok=True)
    shutil.copy(ROOT / "tools" / "notebooks.py", folder / "tools")
    environment = {name: value for name, value in os.environ.items() if not re.match("MAKE|MFLAGS|PYTEST", name)}
    environment |= {"PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": f"-p no:cacheprovider --junitxml={folder}/out.xml"}
    command = ["make", "test", "-o", "lint", "-o", "ready", "READY=ready", f"RUN={sys.executable}"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stderr


def test_make_test_stops_at_a_chapter_that_raises_is_stale_or_was_never_executed(tmp_path):
    (tmp_path / "book").mkdir()
    write(tmp_path / "book" / "fine.ipynb", cell("print(1)", "1\n"))
    write(tmp_path / "book" / "raises.ipynb", cell("1 / 0", error))
    write(tmp_path / "book" / "unexecuted.ipynb", cell("print(1)", count=None))
    stale = write(tmp_path / "book" / "stale.ipynb", cell("print(1)", "1\n"))
    stale.write_text(stale.read_text().replace("print(1)", "print(2)"))
    status, said = make_test(tmp_path)
    assert status and not (tmp_path / "out.xml").exists()
    assert re.findall(r"^(\w+)\.ipynb (stores an error|has cells that were never|is stale)", said, re.M) == [
        ("raises", "stores an error"),
        ("stale", "is stale"),
        ("unexecuted", "has cells that were never"),
    ]
    assert "fine" not in said


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What `make test` says of cells whose stored outputs are right, nearly right, or edited by hand: failed or not."""
    folder = tmp_path_factory.mktemp("nbval")
    show = "class H:\n    _repr_html_ = lambda self: '<td>0.500000</td>'\n    __repr__ = lambda self: 'H'\nH()"
    svg = 'from IPython.display import SVG\nSVG(\'<svg xmlns="http://www.w3.org/2000/svg"><g id="%s"/></svg>\' % id(H))'
    old = new_output("execute_result", {"text/plain": "<IPython.core.display.SVG object>", "image/svg+xml": "<svg/>"})
    form = "application/papermill.record/text/plain"  # of a number or a word that a Markdown text shows
    glue = f"from IPython.display import display\ndisplay({{'{form}': repr(0.25)}}, raw=True)"
    cases = {
        "right": cell("print(f'{22 / 7:.6f} of 3 words')", "3.142857 of 3 words\n"),
        "within": cell("print(f'{22 / 7:.6f} of 3 words')", "3.142870 of 3 words\n"),
        "float": cell("print(f'{22 / 7:.6f} of 3 words')", "3.142920 of 3 words\n"),
        "integer": cell("print(f'{22 / 7:.6f} of 3 words')", "3.142857 of 4 words\n"),
        "word": cell("print(f'{22 / 7:.6f} of 3 words')", "3.142857 of 3 birds\n"),
        "html": cell(show, result(plain="H", html="<td>0.500000</td>")),
        "html float": cell(show, result(plain="H", html="<td>0.500010</td>")),
        "picture": cell(svg, old),
        "result": cell("0.25", result(plain="0.25001")),
        "in the text": cell(glue, new_output("display_data", {form: "0.25"})),
        "in the text, edited": cell(glue, new_output("display_data", {form: "0.75"})),
        "loss": cell("print(2.0e-3)", "0.0021\n", tags=["nbval-loss"]),
        "loss beyond": cell("print(2.0e-3)", "0.0026\n", tags=["nbval-loss"]),
        "rtol": cell("print(1.0)", "1.005\n", tags=["nbval-rtol=1e-2"]),
        "rtol beyond": cell("print(1.0)", "1.02\n", tags=["nbval-rtol=1e-2"]),
        "output removed": cell("print(1.0)"),
        "output added": cell("x = 1", "1.0\n"),
        "raises": cell("1 / 0"),
    }
    (folder / "book").mkdir()
    write(folder / "book" / "cases.ipynb", *cases.values())
    status, said = make_test(folder)
    assert status and "cases.ipynb" not in said, "nothing is wrong with it before its cells are run"
    found = [case.find("failure") is not None for case in ElementTree.parse(folder / "out.xml").iter("testcase")]
    return dict(zip(cases, found, strict=True))


@pytest.mark.parametrize("case", ["right", "within", "html", "picture", "in the text", "loss", "rtol"])
def test_nbval_lets_a_notebook_pass_that_agrees(case, outcomes):
    assert outcomes[case] is False


@pytest.mark.parametrize(
    "case",
    [
        "float",
        "integer",
        "word",
        "html float",
        "result",
        "in the text, edited",
        "loss beyond",
        "rtol beyond",
        "output removed",
        "output added",
    ],
)
def test_nbval_refuses_a_notebook_that_was_edited_by_hand(case, outcomes):
    assert outcomes[case] is True


def test_nbval_refuses_a_notebook_that_raises(outcomes):
    assert outcomes["raises"] is True


# -- what a chapter depends on -----------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A copy of what chapters depend on, that a test may change."""
    shutil.copytree(ROOT / "errref", tmp_path / "errref", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "book").mkdir()
    shutil.copy(ROOT / "book" / "claims.yml", tmp_path / "book")
    (tmp_path / "results").mkdir()
    for name in ("functions", "intuition"):
        (tmp_path / "results" / f"{name}.jsonl").write_text("rows\n")
        (tmp_path / "results" / f"{name}.jsonl.gz").write_text("packed rows\n")
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    return tmp_path


def page(source):
    return new_notebook(cells=[new_code_cell(source)])


CHAPTER = "from errref import report\nfrom errref.experiments import functions\nfrom errref.figures import use_style"


def test_a_change_of_any_file_that_a_chapter_uses_makes_it_stale(project):
    files = notebooks.used(page(CHAPTER))
    names = {file.relative_to(project).as_posix() for file in files}
    needed = {
        "book/claims.yml",
        "results/functions.jsonl",
        "results/functions.jsonl.gz",
        "errref/exact.py",
        "errref/claims.py",
        "errref/static/errref.mplstyle",
    }
    assert needed <= names and "results/intuition.jsonl" not in names
    before = notebooks.fingerprint(page(CHAPTER))
    for file in files:
        content = file.read_bytes()
        file.write_bytes(content + b"\n")
        assert notebooks.fingerprint(page(CHAPTER)) != before, file
        file.write_bytes(content)
    (project / "results" / "intuition.jsonl").write_text("other rows\n")
    assert notebooks.fingerprint(page(CHAPTER)) == before


def test_a_page_that_judges_the_whole_ledger_depends_on_all_rows_and_derivations(project):
    names = {file.relative_to(project).as_posix() for file in notebooks.used(page("from errref import report"))}
    assert {"results/functions.jsonl", "results/intuition.jsonl", "errref/experiments/functions.py"} <= names


def test_nothing_that_a_chapter_imports_is_missed():
    show = "import sys\nfor name, module in sys.modules.items():\n    if 'errref' in name: print(module.__file__)"
    command = [sys.executable, "-c", f"{CHAPTER}\n{show}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {str(file) for file in notebooks.used(page(CHAPTER))}


def executed(path):
    """Execute a notebook: what it then stores but for the time, and where and when that was."""
    notebooks.execute(path)
    stored = nbformat.read(path, as_version=4)
    run = {name: stored.metadata.errref.pop(name) for name in notebooks.TOLD}
    return nbformat.writes(stored), run


def test_executing_twice_makes_no_difference_and_a_failing_notebook_is_left_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    source = "import ipywidgets\nslider = ipywidgets.IntSlider(2)\nprint(1.5)\nipywidgets.HBox([slider])"
    path = write(tmp_path / "page.ipynb", cell(source, count=None), cell("slider", count=None))
    begin = datetime.now(UTC).isoformat(timespec="seconds")
    first, run = executed(path)
    assert notebooks.complaint(path) is None and "1.5" in first and "widget-state" in first
    assert begin <= run["start"] <= datetime.now(UTC).isoformat() and 0 < run["seconds"] < 100
    assert run["source"] == provenance.source_hash() and run["threads"] >= 1 and run["machine"] == provenance.machine()
    assert executed(path)[0] == first
    broken = write(tmp_path / "broken.ipynb", cell("print(2)", count=None), cell("1 / 0", count=None))
    before = broken.read_bytes()
    with pytest.raises(Exception, match="ZeroDivisionError"):
        notebooks.execute(broken)
    assert broken.read_bytes() == before


def test_nbval_skips_a_chapter_whose_images_are_not_here(tmp_path):
    for name in ("fashion", "functions"):
        write(tmp_path / f"{name}.ipynb", cell("print(1.0)", "1.0\n"))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    options = ["-p", "tests.nbval_tolerance", "-p", "no:cacheprovider", "--nbval", "--nbval-current-env", "-q", "-rs"]
    command = [sys.executable, "-m", "pytest", *options, "-c", tmp_path / "pytest.ini", tmp_path]
    (tmp_path / "nothing").mkdir()
    nowhere = {"ERRREF_DATA": str(tmp_path / "nothing"), "XDG_CACHE_HOME": str(tmp_path / "nothing")}
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **nowhere}, capture_output=True, text=True, timeout=120)
    assert "1 passed, 1 skipped" in done.stdout
    assert "fashion-mnist is not here; `make data` fetches it" in done.stdout


# -- another machine ---------------------------------------------------------------------------------------------------


def test_where_numerics_moved_tagged_cells_are_compared_in_words():
    old, new = "loss 1.50e-03, 12 of 40 lower (n=3), base", "loss 2.75e-03, 9 of 40 lower (n=3), base"
    assert not close(old, new, **settings(["nbval-loss"]))
    assert close(old, new, **settings(["nbval-loss"], moved=True))
    assert close(old, new, **settings(["nbval-rtol=1e-2"], moved=True))
    assert not close(old, new, **settings(["hide-cell"], moved=True)), "no tag, no chaos"
    assert not close(old, new.replace("lower", "higher"), **settings(["nbval-loss"], moved=True))
    assert not close("a -> 1.0", "a", **settings(["nbval-loss"], moved=True)) and close("x inf", "x 3", words=True)


def test_what_is_read_from_rows_is_exact_everywhere():
    for elsewhere in (False, True):
        assert settings(["nbval-rtol=1e-7"], moved=elsewhere) == {"rtol": 1e-7, "loss": False}


def test_a_chapter_stores_the_numerics_of_its_execution_part_by_part():
    for path in CHAPTERS:
        told = nbformat.read(path, as_version=4).metadata["errref"]["numerics"]
        assert told.keys() == set(PARTS) and all(re.fullmatch("[0-9a-f]{8}", value) for value in told.values())


@pytest.mark.parametrize("name, part", [("page", part) for part in (None, *WITHOUT_TORCH)] + [("fashion", "torch")])
def test_a_chapter_has_moved_where_a_part_differs_that_it_depends_on(name, part, tmp_path):
    notebook = nbformat.read(CHAPTERS[0], as_version=4)
    here = numerics(PARTS if name == "fashion" else WITHOUT_TORCH)
    notebook.metadata.errref["numerics"] = {"torch": "fedcba98"} | here | ({part: "fedcba98"} if part else {})
    nbformat.write(notebook, path := tmp_path / f"{name}.ipynb")
    if part is None:  # torch differs, which no page without a study of images uses
        assert nbval_tolerance.moved(path) is False
    else:
        with pytest.warns(UserWarning, match=rf"^numerics moved \({part}\) since {name}\.ipynb was executed"):
            assert nbval_tolerance.moved(path) is True


# -- pictures ----------------------------------------------------------------------------------------------------------


def test_a_lighter_picture_looks_the_same():
    figure, ax = plt.subplots()
    ax.imshow(np.linspace(0, 1, 400).reshape(20, 20))
    ax.plot(range(20), "r"), ax.plot(range(19, -1, -1), color="#0072B2")
    full = io.BytesIO()
    figure.savefig(full, format="png")
    plt.close(figure)
    light = notebooks.lighter(base64.b64encode(full.getvalue()).decode())
    assert len(light) < 0.6 * len(base64.b64encode(full.getvalue())) and notebooks.lighter(light) == light
    pixels = [np.asarray(Image.open(f).convert("RGB"), dtype=int) for f in (full, io.BytesIO(base64.b64decode(light)))]
    assert np.abs(pixels[0] - pixels[1]).mean() < 1 and pixels[0].shape == pixels[1].shape


def test_pictures_that_are_stored_are_light():
    for path in notebooks.chapters():
        for cell in nbformat.read(path, as_version=4).cells:
            for output in cell.get("outputs", []):
                if "image/png" in output.get("data", {}):
                    assert notebooks.lighter(output.data["image/png"]) == output.data["image/png"], path.name


def test_every_form_of_a_stored_output_is_one_that_the_book_shows_or_offers():
    known = {"image/png", "text/csv", "text/html", "text/plain", "application/vnd.jupyter.widget-view+json"}
    known |= {"application/papermill.record/text/plain", "text/latex"}
    for path in notebooks.chapters():
        outputs = [o for c in nbformat.read(path, as_version=4).cells for o in c.get("outputs", [])]
        forms = {form for output in outputs for form in output.get("data", {})}
        assert {form for form in forms if not form.startswith("application/papermill.record/")} <= known, path.name
