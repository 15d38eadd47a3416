"""The pins: who takes them, who wins, and that what is computed under them is what was recorded under them."""

import json
import os
import platform
import re
import subprocess
import sys

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from errref import numerics, pins, recorded
from tests.conftest import ROOT

X86 = platform.machine().lower() in ("x86_64", "amd64")
on_x86 = pytest.mark.skipif(not X86, reason="there are pins for x86-64 only")
TELL = "import os; print(sorted((n, v) for n, v in os.environ.items() if n in {names}))"
TELL = TELL.format(names=sorted({*pins.PINS, *pins.RELATED, pins.SWITCH}))


def bare(**variables):
    """The environment of the tests without any variable that moves digits, and with some of these."""
    return pins.cleared(os.environ) | {"PYTHONPATH": str(ROOT)} | variables


def told(*command, **variables):
    """What a process that is started with the pins has of the variables."""
    command = [sys.executable, "-m", "errref.pins", *command, sys.executable, "-c", TELL]
    done = subprocess.run(command, env=bare(**variables), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return dict(eval(done.stdout))


@on_x86
def test_a_command_gets_the_pins_that_its_processor_can_bear():
    assert told() == pins.pinned({}) and pins.HARMLESS.items() <= told().items()


@on_x86
def test_what_the_reader_has_set_stays_and_a_half_set_environment_is_filled():
    assert told(MKL_CBWR="AVX2", OPENBLAS_CORETYPE="") == pins.pinned({}) | {
        "MKL_CBWR": "AVX2",
        "OPENBLAS_CORETYPE": "",
    }
    assert pins.departures(pins.PINS | {"MKL_CBWR": "AVX2"})[0] == "MKL_CBWR is 'AVX2'"
    assert pins.departures({"MKL_CBWR": "COMPATIBLE"})[-1].endswith(" not set")
    assert pins.departures(pins.pinned({})) == []


@on_x86
def test_tests_take_the_pins_afresh_or_none_at_all():
    strange = {"OPENBLAS_CORETYPE": "Zen", "OPENBLAS_L2_SIZE": "1", "MKL_CBWR": "AVX2"}
    assert told("--afresh", **strange) == pins.pinned({})
    assert told("--none", **strange) == {pins.SWITCH: "off"} == told(**{pins.SWITCH: "off"})


@on_x86
def test_a_processor_without_avx2_gets_no_kernel_that_it_lacks(monkeypatch):
    monkeypatch.setattr(pins, "has_avx2", lambda: False)
    assert pins.pinned({}) == pins.HARMLESS and pins.departures(pins.HARMLESS) == []


def test_other_kinds_of_processors_get_none(monkeypatch):
    for kind in ("aarch64", "arm64", "riscv64"):
        monkeypatch.setattr(platform, "machine", lambda kind=kind: kind)
        assert pins.pinned({"LANG": "C"}) == {"LANG": "C"} and pins.departures({}) == []


def test_a_command_that_is_missing_or_fails_is_one_sentence_or_its_own_status():
    def run(*command):
        command = [sys.executable, "-m", "errref.pins", *command]
        return subprocess.run(command, env=bare(), capture_output=True, text=True, timeout=60)

    missing = run("no-such-command", "x")
    assert missing.returncode == 127
    assert missing.stderr == "errref.pins: no-such-command cannot be run: No such file or directory.\n"
    assert run(sys.executable, "-c", "raise SystemExit(7)").returncode == 7
    assert run().returncode == 2 and run("--help").returncode == 0
    assert "python -m errref.pins --afresh COMMAND" in run("--help").stdout


@on_x86
def test_the_command_pins_itself_before_a_numeric_library_is_loaded():
    code = (
        "import sys; sys.argv = ['errref', '--version']\n"
        "import errref.__main__, os; assert 'numpy' not in sys.modules and errref.pins.departures(os.environ)\n"
        "try: errref.__main__.run()\n"
        "except SystemExit: assert not errref.pins.departures(os.environ)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=bare(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_importing_the_package_sets_nothing():
    code = "import os; before = dict(os.environ); import errref.cli, errref.pins; assert dict(os.environ) == before"
    done = subprocess.run([sys.executable, "-c", code], env=bare(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_kernel_computes_as_the_one_who_starts_it():
    cell = nbformat.v4.new_code_cell(TELL)
    notebook = nbformat.v4.new_notebook(cells=[cell])
    NotebookClient(notebook, kernel_name="python3", timeout=60).execute()
    here = {name: value for name, value in os.environ.items() if name in (*pins.PINS, *pins.RELATED, pins.SWITCH)}
    assert dict(eval(notebook.cells[0].outputs[0].text)) == here


RECIPES = re.findall(r"^\t(.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
COMPUTES = re.compile(r"jupyter|pytest|benchmarks|tools[./](?:notebooks(?!.*--check)|pdf|archive)")


def test_every_recipe_that_computes_takes_the_pins():
    computing = [line for line in RECIPES if COMPUTES.search(line)]
    assert len(computing) >= 9
    assert [line for line in computing if not line.startswith(("$(PINNED)", "$(AFRESH)"))] == []


def test_no_pin_stands_anywhere_else():
    """But where continuous integration drops them all, and where a test of them must name one."""
    allowed = {"errref/pins.py", ".ci/run", "Makefile"}
    places = [*ROOT.glob("errref/**/*.py"), *ROOT.glob("tools/*.py"), *ROOT.glob("*.*"), ROOT / "Makefile"]
    found = {path.relative_to(ROOT).as_posix() for path in places if path.is_file() and any_pin(path)}
    assert found <= allowed
    assert set(CLEARED.split()) == {*pins.PINS, *pins.RELATED, pins.SWITCH}


CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
CLEARED = re.search(r"^unset ((?:.*\\\n)*.*)", CI, re.MULTILINE)[1].replace("\\", "")


def any_pin(path):
    text = path.read_text(encoding="utf-8", errors="replace")
    return any(name in text for name in pins.PINS)


@pytest.fixture
def parts():
    """How a process rounds that is started with the pins and with some variables of its own."""
    if not X86 or platform.system() != "Linux":
        pytest.skip("other systems bring other libraries")
    if not pins.has_avx2():
        pytest.skip("this processor lacks AVX2, which the pinned kernels use")

    def told_with(**variables):
        code = "import json; from errref.numerics import *; print(json.dumps(numerics(WITHOUT_TORCH)))"
        command = [sys.executable, "-m", "errref.pins", sys.executable, "-c", code]
        done = subprocess.run(command, env=bare(**variables), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return told_with


def test_under_the_pins_this_processor_rounds_as_the_one_that_recorded(parts):
    assert parts() == recorded.EARLIER


def test_a_variable_moves_the_part_that_it_is_for_and_neither_loops_nor_numpy(parts):
    found = parts(OPENBLAS_CORETYPE="Prescott")
    same = [part for part in ("loops", "numpy", "openblas") if found[part] == recorded.EARLIER[part]]
    assert same == ["loops", "numpy"]


def test_a_part_is_told_by_all_that_it_computes(monkeypatch):
    before = numerics.numerics()
    assert before == numerics.numerics() and list(before) == list(numerics.WITHOUT_TORCH)
    for part in numerics.WITHOUT_TORCH:
        arrays = numerics._MEASURED[part]()
        for k, array in enumerate(arrays):
            nudged = [*arrays[:k], np.nextafter(array, np.inf), *arrays[k + 1 :]]
            monkeypatch.setitem(numerics._MEASURED, part, lambda nudged=nudged: nudged)
            assert numerics._told.__wrapped__(part) != before[part], (part, k)


def test_without_torch_its_part_is_an_error_that_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    numerics._told.cache_clear()
    with pytest.raises(ImportError, match=r"pip install errref\[torch\]"):
        numerics.numerics(["torch"])
