"""Every command that a page tells a reader to type is run as it is written, or is said here why not.

Commands run in a copy of the project, so that none changes the project itself, after `. .venv/bin/activate`.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

import errref
from errref import claims, datasets, networks, records

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG", "LICENSES")]
PAGES += sorted(path for kind in ("md", "ipynb") for path in (ROOT / "book").glob(f"*.{kind}"))
GIVEN = {" ID": " table-quartic"}  # what stands for a claim of the reader's choice

# -- where each command is run -----------------------------------------------------------------------------------------

SHELL = (". .venv/bin/activate",)  # before each
QUICK = {  # by `make test`, to the end: the exit statuses that are right, and what it prints
    "errref --version": ((0,), f"^errref {re.escape(errref.__version__)}$"),
    "errref claims": ((0,), "^table-quartic "),
    "errref claims table-quartic": ((0,), "^table-quartic "),
    "errref claims table-quartic --json": ((0,), '"id": "table-quartic"'),
    "make help": ((0,), "^test  "),
    "python -m errref.pins --help": ((0,), "^usage: python -m errref.pins COMMAND"),
    'python -c "import torch; print(torch.cuda.is_available())"': ((0,), "^(True|False)$"),
}
LONG = {  # by `make test-long`, to the end, in this order
    "errref data": ((0, 3), "fashion-mnist: "),
    "errref check table-quartic": ((0, 1), "^verdict: .*fresh rows (dis)?agree"),
    "errref check table-quartic --seeds 20": ((0, 1), "fresh .* n=20"),
    "errref check table-fair --full": ((0, 1), "^verdict: .*fresh rows (dis)?agree"),
    "errref check table-by-90 --full": ((0, 1), "^verdict: .*fresh rows (dis)?agree"),
    "errref check fashion-9881": ((0, 1, 3), "fashion-9881"),
    "errref check fashion-resnet-vgg": ((0, 1, 3), "fashion-resnet-vgg"),
    "errref run intuition --results my-rows": ((0,), r"^(\d+) new rows of \1 in "),
    "errref claims --results my-rows": ((0,), "^toy-escape "),
    "errref claims --results my-rows --chapter intuition": ((0,), "^toy-escape .* 30 "),
    # the copy has all rows of these two, so that nothing is left to do
    "errref run multiverse --jobs 1": ((0,), "^0 new rows of "),
    "errref run multiverse --backend processes": ((0,), "^0 new rows of "),
    "errref run multiverse --backend dask --scheduler ADDRESS": ((0,), "^0 new rows of "),
}
STOPPED = {  # by `make test-long`: stopped after its first rows, then started again, which goes on where it was
    "errref run functions --results my-rows --seeds 20": "my-rows/functions.jsonl",
    "errref run functions --results my-rows --jobs 1": "my-rows/functions.jsonl",
    "errref run functions --results my-rows --jobs 8": "my-rows/functions.jsonl",
    "errref run multiverse --results my-rows --backend processes": "my-rows/multiverse.jsonl",
    "errref run fashion --results my-results": "my-results/fashion.jsonl",
}
AFTER = {  # by `make test-long`, on the rows of the one above
    "errref claims --results my-rows --chapter functions": ((0,), "^table-quartic "),
    "errref pack functions --results my-rows": ((0,), r"^\d+ rows in my-rows/functions.jsonl.gz$"),
}
CLUSTER = (  # by `make test-long`, together, with the address that the first prints; the last is stopped
    "dask scheduler",
    "python -m errref.pins dask worker ADDRESS --nworkers 8 --nthreads 1",
    "errref run functions --results my-rows --backend dask --scheduler ADDRESS",
)
PROVEN = {  # by `.ci/run` itself, or by another test: where, and the word for it there and in the recipe
    "make book": (".ci/run", "book"),
    "make test": (".ci/run", "test"),
    "make data": (".ci/run", "data"),
    "make test-foreign": (".ci/run", "numbers"),
    "apt-get install nodejs chromium": (".ci/run", "nodejs chromium"),
    "make lab": ("tests/test_lab.py", "jupyter"),
    "python -m errref.pins python -m tools.systems": ("tests/test_emulated.py", '"-m", "tools.systems"'),
    "make pdf": ("tests/test_pdf.py", "pdf.py"),
    "make notebooks": ("tests/test_notebooks.py", "notebooks"),
    "make metadata": ("tests/test_citable.py", "metadata"),
    "make archive": ("tests/test_citable.py", "archive"),
    "sha256sum --check --quiet SHA256SUMS": (
        "tests/test_citable.py",
        '["sha256sum", "--check", "--quiet", "SHA256SUMS"]',
    ),
    "pip install .": ("tests/test_citable.py", '"install", *INSTALL'),
}
NOT_HERE = {
    "python -m tools.faults --seed N": "half an hour; tests/test_faults.py runs it on a small plan",
    "python -m tools.faults": "half an hour; `make test-long` runs the same, by tests/test_faults.py",
    "make test-long": "hours; it is `pytest -m long`, which this file is a part of",
    "make record": "hours; it is `errref run` of each study, and `errref pack`",
    "make bench": "installs packages that only the comparison needs",
    "pip install '.[torch]'": "large; the environment of the tests is made from the same extras at the pins",
    "pip install '.[dask]'": "the same",
    "mkdir elsewhere": "unpacks the archive, which a test does in Python",
    "tar -xzf _build/errref-*.tar.gz -C elsewhere": "the same",
    "cd elsewhere/errref-*": "the same",
}
CLASSES = [dict.fromkeys(SHELL), QUICK, LONG, STOPPED, AFTER, dict.fromkeys(CLUSTER), PROVEN, NOT_HERE]
KNOWN = [command for group in CLASSES for command in group]


# -- what the pages tell a reader to type ------------------------------------------------------------------------------


def text_of(page):
    if page.suffix == ".md":
        return page.read_text(encoding="utf-8")
    cells = nbformat.read(page, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def fenced(text, language):
    """The blocks of a language in a text."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands(text):
    """The commands in the blocks and in the sentences of a text; there, a beginning of one is only its name."""
    lines = [line for block in fenced(text, "sh") for line in block.splitlines()]
    typed = [re.sub(r"\s+# .*", "", line) for line in lines if line.strip()]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    inline = re.findall(r"`((?:make|pip|errref|dask|apt-get|git|python|conda)\s[^`\n]+)`", prose)
    for name, value in GIVEN.items():
        inline = [re.sub(rf"{name}\b", value, command) for command in inline]
    names = {c for c in inline if c not in KNOWN and any(known.startswith(f"{c} ") for known in KNOWN)}
    return {*typed, *inline} - names


WRITTEN = {page.relative_to(ROOT).as_posix(): commands(text_of(page)) for page in PAGES}


@pytest.mark.parametrize("page", WRITTEN)
def test_every_command_of_a_page_is_run_or_it_is_said_why_not(page):
    assert not (unknown := WRITTEN[page] - set(KNOWN)), f"{page}: put {unknown} into a class of tests/test_commands.py"


def test_each_command_is_in_one_class_and_stands_on_a_page():
    assert len(KNOWN) == len(set(KNOWN))
    assert not set(KNOWN) - set().union(*WRITTEN.values())


def test_a_command_that_nobody_classified_is_found():
    page = (
        "```sh\nerrref claims   # all\nerrref fly --high\n```\n`make coffee` or `errref check ID`; `errref run` runs."
    )
    assert commands(page) == {"errref claims", "errref fly --high", "make coffee", "errref check table-quartic"}
    assert not {"errref fly --high", "make coffee"} & set(KNOWN)


@pytest.mark.parametrize("command", PROVEN)
def test_what_is_proven_elsewhere_is_proven_there(command):
    where, word = PROVEN[command]
    assert word in (ROOT / where).read_text(encoding="utf-8"), f"{where} says nothing of {command}"
    if command.startswith("make "):
        recipe = subprocess.run([*command.split(), "-n"], cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert recipe.returncode == 0 and word in recipe.stdout, recipe.stderr


# -- running them ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of what the commands need, with the environment of these tests as its `.venv`."""
    folder = tmp_path_factory.mktemp("commands") / "project"
    unfinished = shutil.ignore_patterns("*.tmp.*", "*.pyc.*")  # what another test may be writing
    shutil.copytree(ROOT / "errref", folder / "errref", ignore=unfinished)  # with what is compiled
    shutil.copytree(ROOT / "results", folder / "results")
    (folder / "book").mkdir()
    for name in ("book/claims.yml", "Makefile"):
        shutil.copy2(ROOT / name, folder / name)
    if not (Path(sys.prefix) / "bin" / "activate").exists():
        pytest.skip("this Python is in no environment that can be activated")
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def start(command, folder, **how):
    """Start a command as a reader would, in a shell in which the environment is active."""
    script = "\n".join([*SHELL, command])
    heard = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731 - whoever started the tests may ignore it
    environment = os.environ | {"PYTHONPATH": str(folder)}
    options = {"cwd": folder, "env": environment, "text": True, "start_new_session": True, "preexec_fn": heard}
    return subprocess.Popen(["bash", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options, **how)


def stop(process, key):
    """Press a key that reaches the whole group, and wait until all of it is gone; what was printed."""
    if process.poll() is None:
        os.killpg(process.pid, key)
    try:
        return process.communicate(timeout=120)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def to_the_end(command, folder, ends, prints, limit):
    process = start(command, folder)
    try:
        out, _ = process.communicate(timeout=limit)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode in ends, out[-2000:]
    assert re.search(prints, out, re.MULTILINE), out[-2000:]


def rows_in(file):
    return file.read_text(encoding="utf-8").count('"row"') if file.exists() else 0


def wait_for_rows(process, file, more, limit=1800):
    """Wait until a process has recorded more rows, at most for a while; how many there are then."""
    before, end = rows_in(file), time.monotonic() + limit
    while time.monotonic() < end and process.poll() is None and rows_in(file) < before + more:
        time.sleep(0.2)
    assert rows_in(file) > before, f"no row within {limit} s"
    return rows_in(file)


@pytest.mark.parametrize("command", QUICK)
def test_a_quick_command_does_what_its_page_says(command, copy):
    to_the_end(command, copy, *QUICK[command], limit=120)


@pytest.mark.long
@pytest.mark.parametrize("command", LONG)
def test_a_long_command_does_what_its_page_says(command, copy):
    if "fashion-resnet-vgg" in command and networks.has_gpu():
        pytest.skip("it would train large networks on the GPU for hours")
    to_the_end(command, copy, *LONG[command], limit=3600)


@pytest.mark.long
@pytest.mark.parametrize("command", STOPPED)
def test_a_sweep_that_is_stopped_goes_on_where_it_was(command, copy):
    if " fashion " in command and datasets.available("fashion-mnist") is None:
        pytest.skip("fashion-mnist is not here; `make data` fetches it")
    file = copy / STOPPED[command]
    found = []
    for _ in range(2):
        process = start(command, copy)
        try:
            wait_for_rows(process, file, 2)
        finally:
            out = stop(process, signal.SIGINT)
        found.append(records.read(file.stem, file.parent))
        assert process.returncode in (130, -signal.SIGINT) and "finished rows are kept" in out, out[-2000:]
    assert found[1][: len(found[0])] == found[0] and len(found[1]) > len(found[0])


@pytest.mark.long
@pytest.mark.parametrize("command", AFTER)
def test_a_command_on_rows_of_the_reader_does_what_its_page_says(command, copy):
    if not rows_in(copy / "my-rows" / "functions.jsonl") and "pack" in command:
        process = start("errref run functions --results my-rows --seeds 20", copy)
        try:
            wait_for_rows(process, copy / "my-rows" / "functions.jsonl", 2)
        finally:
            stop(process, signal.SIGINT)
    to_the_end(command, copy, *AFTER[command], limit=300)


@pytest.mark.long
def test_the_commands_of_a_cluster_record_rows_together(copy):
    one, eight, sweep = CLUSTER
    file, running = copy / "my-rows" / "functions.jsonl", []
    try:
        running.append(start(one, copy))
        line = next(line for line in running[0].stdout if "Scheduler at:" in line)
        address = line.split()[-1]
        assert re.fullmatch(r"tcp://[\d.]+:\d+", address), line
        running.append(start(eight.replace("ADDRESS", address), copy))
        running.append(start(sweep.replace("ADDRESS", address), copy))
        wait_for_rows(running[-1], file, 2)
    finally:
        for process in reversed(running):
            stop(process, signal.SIGINT if process is running[-1] else signal.SIGTERM)
    backends = {run.get("backend") for run in records.runs("functions", copy / "my-rows").values()}
    assert "dask" in backends


# -- examples in Python ------------------------------------------------------------------------------------------------

EXAMPLES = [(page, block) for page in PAGES for block in fenced(text_of(page), "python")]
ON_ROWS = [block for _, block in EXAMPLES if "my-rows" in block]


def run_example(block, folder):
    environment = os.environ | {"PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", block]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_pages_have_examples_in_python():
    assert {page.name for page, _ in EXAMPLES} >= {"README.md", "reproduce.ipynb"} and len(ON_ROWS) == 1


@pytest.mark.parametrize("block", [block for _, block in EXAMPLES if block not in ON_ROWS])
def test_an_example_in_python_runs_as_it_is_written(block, copy):
    run_example(block, copy)


@pytest.mark.long
def test_rows_of_the_reader_are_those_of_the_project_where_machines_round_alike(copy):
    mine = copy / "my-rows" / "intuition.jsonl"
    if not mine.exists():
        to_the_end("errref run intuition --results my-rows", copy, (0,), "new rows", limit=600)
    count = len(records.read("intuition"))
    assert re.fullmatch(rf"\d+ of {count} rows are the same in every digit\n", run_example(ON_ROWS[0], copy))


def test_the_claims_that_commands_name_exist():
    ledger = claims.load()
    named = [command.split()[2] for command in KNOWN if command.startswith("errref check")]
    assert named and set(named) <= set(ledger)
