"""The files around the package agree with each other, and the package is as thin and quiet as it says."""

import ast
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from pybtex.database import parse_file

from errref import claims, pins, report
from tools import archive

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())
PINS = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if line]
PINNED = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in PINS}


def tracked():
    """Files that are in version control, or would be with the next commit."""
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout")
    return [ROOT / name for name in archive.sources(ROOT, untracked=True)]


def required():
    """What the package and its extras ask for directly, but for the peers of the benchmarks."""
    extras = PROJECT["optional-dependencies"]
    texts = [*PROJECT["dependencies"], *(text for name in extras if name != "bench" for text in extras[name])]
    return [requirement for text in texts if (requirement := Requirement(text)).name != "errref"]


# -- versions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("requirement", required(), ids=lambda requirement: requirement.name)
def test_what_the_project_asks_for_is_pinned_within_what_it_asks(requirement):
    pin = PINNED[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(pin, prereleases=True), f"{requirement} is pinned at {pin}"


def test_every_pin_is_one_exact_version_that_stands_once():
    assert len(PINNED) == len(PINS)
    assert all(re.fullmatch(r"==[\w.]+", str(pin.specifier)) and "+" not in str(pin.specifier) for pin in PINS)


def test_the_build_uses_the_pinned_tool():
    (build,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert Requirement(build).specifier == SpecifierSet(f"=={PINNED['hatchling']}")


def test_the_conda_environment_installs_the_same_pins_on_a_python_that_will_do():
    conda = [entry for entry in ENVIRONMENT["dependencies"] if isinstance(entry, str)]
    (pip,) = (entry["pip"] for entry in ENVIRONMENT["dependencies"] if isinstance(entry, dict))
    assert pip == ["-r requirements.txt"] and {"make", "pip"} <= set(conda)
    (python,) = (entry.partition("=")[2] for entry in conda if entry.startswith("python="))
    assert SpecifierSet(PROJECT["requires-python"]).contains(python)
    assert ENVIRONMENT["name"] == PROJECT["name"] and ENVIRONMENT["channels"] == ["conda-forge"]


def test_the_requirements_are_the_project_at_the_pins():
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines == ["-c constraints.txt", "-e .[test]"]


def test_torch_is_the_same_everywhere():
    assert PINNED["torch"] == "2.13.0"
    stated = [text for extra in PROJECT["optional-dependencies"].values() for text in extra if text.startswith("torch")]
    assert stated == ["torch==2.13.0"]
    typed = re.compile(r"\btorch[=~<>! ]=\s*\d[\w.+]*")
    for path in tracked():
        if path.suffix in (".toml", ".txt", ".yml", ".md", ".cff") or path.name == "Makefile":
            assert set(typed.findall(path.read_text())) <= {"torch==2.13.0"}, path


def test_what_is_installed_is_what_is_pinned():
    for requirement in required():
        pin = PINNED[canonicalize_name(requirement.name)]
        assert importlib.metadata.version(requirement.name).partition("+")[0] == pin


def imported(path):
    """Top-level modules that a source file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize(
    "folder, extras",
    [
        ("errref", ("torch", "figures", "dask", "widgets")),
        ("tools", ("book", "widgets", "test")),
        ("tests", ("torch", "figures", "widgets", "book", "dask", "test")),
    ],
)
def test_what_the_code_imports_is_asked_for(folder, extras):
    texts = [*PROJECT["dependencies"], *(text for extra in extras for text in PROJECT["optional-dependencies"][extra])]
    asked = {canonicalize_name(Requirement(text).name) for text in texts}
    owners, files = importlib.metadata.packages_distributions(), list((ROOT / folder).rglob("*.py"))
    own = {"errref", "tests", "tools", *sys.stdlib_module_names, *(path.stem for path in files)}
    for path in files:
        for module in set(imported(path)) - own:
            assert {canonicalize_name(owner) for owner in owners[module]} & asked, f"{path.name} imports {module}"


def test_what_the_commands_run_is_asked_for():
    asked = {canonicalize_name(requirement.name) for requirement in required()}
    used = {"-n 2": "pytest-xdist", "nbval": "nbval", "ruff": "ruff", "mypy": "mypy", "lint-imports": "import-linter"}
    used |= {"--no-build-isolation": "hatchling", "jupyter-book build": "jupyter-book", "jupyter lab": "jupyterlab"}
    commands = "".join(path.read_text() for path in (ROOT / "Makefile", ROOT / "pyproject.toml", Path(__file__)))
    assert not [tool for word, tool in used.items() if word in commands and tool not in asked]


# -- imports -----------------------------------------------------------------------------------------------------------

IMPORTS = """
import importlib, json, pkgutil, random, sys, warnings
import numpy
import errref, errref.cli, errref.reflection, errref.isodata, errref.exact
light = sorted({name.split(".")[0] for name in sys.modules})
import matplotlib, torch  # torch sets a filter of warnings of its own
def state():
    drawn = numpy.random.get_state()
    return [dict(matplotlib.rcParams), random.getstate(), drawn[1].tolist(), drawn[2], list(warnings.filters)]
before = state()
names = [module.name for module in pkgutil.walk_packages(errref.__path__, "errref.")]
for name in names:
    importlib.import_module(name)
after = state()
same = [a == b for a, b in zip(before, after)]
print(json.dumps({"light": light, "all": names, "same": same}))
"""


@pytest.fixture(scope="module")
def imports(tmp_path_factory):
    """What a fresh interpreter says of importing the package: light modules first, then all."""
    folder = tmp_path_factory.mktemp("imports")
    done = subprocess.run([sys.executable, "-c", IMPORTS], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "" and list(folder.iterdir()) == [], done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "heavy",
    ["torch", "matplotlib", "distributed", "anywidget", "jupyter_client", "IPython", "ipykernel", "nbformat"],
)
def test_the_method_and_the_command_work_without(heavy, imports):
    assert heavy not in imports["light"]
    assert {"errref", "numpy", "sklearn"} <= set(imports["light"])


@pytest.mark.parametrize(
    "code, without",
    [
        ("import errref", {"numpy", "yaml", "tqdm", "joblib", "numba", "scipy", "sklearn", "torch", "matplotlib"}),
        ("import errref.cli", {"numba", "scipy", "sklearn", "torch", "matplotlib", "pooch"}),
        ("import errref.records, errref.claims, errref.datasets", {"numba", "scipy", "sklearn", "torch", "matplotlib"}),
        ("import errref.exact", {"sklearn", "torch", "matplotlib", "pooch"}),
        ("import errref.reflection", {"torch", "matplotlib", "tqdm", "pooch"}),
    ],
)
def test_an_import_brings_nothing_that_is_not_needed_yet(code, without):
    # what makes it quick; how quick depends on the machine, and `make bench` prints that
    show = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", f"{code}; {show}"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "errref" in done.stdout.split()
    assert not without & set(done.stdout.split())


def test_importing_warns_of_nothing(tmp_path):
    command = [sys.executable, "-W", "error", "-c", "import errref.reflection, errref.exact, errref.cli, errref.report"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_importing_changes_neither_figures_nor_random_numbers_nor_warnings(imports):
    assert {"errref.figures", "errref.networks", "errref.cli"} <= set(imports["all"])
    assert imports["same"] == [True, True, True, True, True]


# -- the book ----------------------------------------------------------------------------------------------------------


def contents():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    return [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]


@pytest.mark.parametrize("chapter", contents())
def test_every_chapter_of_the_contents_exists(chapter):
    assert len([path for ending in (".ipynb", ".md") if (path := ROOT / f"{chapter}{ending}").exists()]) == 1


def test_every_page_of_the_book_is_in_the_contents_once():
    pages = [path for ending in ("ipynb", "md") for path in (ROOT / "book").glob(f"*.{ending}")]
    assert sorted(path.relative_to(ROOT).with_suffix("").as_posix() for path in pages) == sorted(contents())


def test_every_claim_belongs_to_a_chapter_that_exists():
    written = {chapter.removeprefix("book/") for chapter in contents()}
    for first in claims.load().values():
        for claim in (first, first.second or first):
            assert claim.chapter in written, claim.label
            assert claim.experiment in (None, claim.chapter), claim.label


def test_every_page_cites_what_is_in_the_references():
    known = set(parse_file(ROOT / "book" / "references.bib").entries)  # of every entry, to its last brace
    for path in (ROOT / "book").glob("*.*"):
        if path.suffix in (".ipynb", ".md"):
            cited = re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", path.read_text())
            assert {key.strip() for keys in cited for key in keys.split(",")} <= known, path


# -- files -------------------------------------------------------------------------------------------------------------


def test_no_file_names_a_folder_of_one_machine():
    private = re.compile("|".join(rf"/{name}/" for name in ("home", "work", "root", "Users", r"tmp/\w")))
    allowed = {Path(__file__).resolve()}
    for path in set(tracked()) - allowed:
        text = path.read_text(encoding="utf-8", errors="ignore")
        assert not (found := private.search(text)), (
            f"{path.relative_to(ROOT)}: {text[found.start() - 40 : found.end()]}"
        )


# -- the wheel ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, as it would be uploaded."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "-w", folder, ROOT]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("errref-*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel):
    """The wheel, unpacked as it would be installed."""
    zipfile.ZipFile(wheel).extractall(wheel.parent / "site")
    return wheel.parent / "site"


def test_an_installed_command_has_the_ledger_and_the_rows(installed, tmp_path):
    ids = ["toy-escape", "table-quartic", "forget-recover", "fashion-9881", "table-arithmetic"]
    run = f"sys.exit(main({['claims', *ids, '--json']}))"
    code = f"import errref, sys; from errref.cli import main; print(errref.__file__); {run}"
    environment = {"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    environment |= {name: value for name, value in os.environ.items() if name in pins.PINS}  # the same numerics
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    file, _, found = done.stdout.partition("\n")
    assert done.returncode == 0 and Path(file).is_relative_to(installed), done.stderr
    verdicts = report.verdicts(ids, folder=installed / "errref" / "_data" / "results")
    assert json.loads(found) == json.loads(json.dumps([report.as_object(verdict) for verdict in verdicts]))


def test_the_wheel_holds_the_package_and_its_data_and_nothing_else(installed):
    names = {path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()}
    names = {name for name in names if not name.startswith("errref-") and "__pycache__" not in name}
    results = [path for path in (ROOT / "results").rglob("*") if path.is_file()]
    data = {f"errref/_data/{path.relative_to(ROOT).as_posix()}" for path in results}
    code = {path.relative_to(ROOT).as_posix() for path in tracked() if path.is_relative_to(ROOT / "errref")}
    assert names == data | code | {"errref/_data/book/claims.yml"}


# -- the wheel on each Python ------------------------------------------------------------------------------------------

PYTHONS = [text.rpartition(" ")[2] for text in PROJECT["classifiers"] if "Python :: 3." in text]


def interpreter(version):
    """A Python of that version: on the search path, or among those that pyenv keeps; None where there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [shutil.which(f"python{version}"), *sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"))]
    code = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    for path in filter(None, found):  # one on the path may be a shim that names no Python
        done = subprocess.run([path, "-c", code], capture_output=True, text=True, timeout=60)
        if done.returncode == 0 and done.stdout.strip() == version:
            return path
    return None


def test_the_versions_of_python_that_the_project_names_are_those_that_it_allows():
    allowed = SpecifierSet(PROJECT["requires-python"])
    minors = [int(version.partition(".")[2]) for version in PYTHONS]
    assert minors == list(range(minors[0], minors[-1] + 1)) and len(minors) > 2
    assert all(allowed.contains(version) for version in PYTHONS) and not allowed.contains(f"3.{minors[0] - 1}")


@pytest.mark.long
@pytest.mark.parametrize("version", PYTHONS)
def test_the_wheel_works_in_an_empty_environment(version, wheel, tmp_path):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"Python {version} is not here")
    home, bin = tmp_path / "home", tmp_path / "venv" / "bin"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "NPY_", "SSL_"))}
    # one thread: on a busy machine the threads of OpenMP wait for each other, up to a hundred times as long
    environment = {**kept, "PATH": f"{bin}:/usr/bin:/bin", "HOME": str(home), "OMP_NUM_THREADS": "1"}

    def run(*command, status=0):
        done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=900)
        assert done.returncode == status, (command, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout

    run(python, "-m", "venv", bin.parent)
    # the configuration of pip stays that of this machine: without it, a package index may be out of reach
    configured = {**os.environ, "PYTHONPATH": ""}
    command = [bin / "python", "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", wheel]
    subprocess.run(command, cwd=home, env=configured, check=True, timeout=1800)

    assert run("python", "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip() == version
    assert Path(run("python", "-c", "import errref; print(errref.__file__)")).is_relative_to(bin.parent)
    run("python", "-W", "error", "-c", "import errref.reflection, errref.exact, errref.cli")  # with no warning
    run("python", "-c", "import sys, importlib.util; sys.exit(importlib.util.find_spec('torch') is not None)")
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert "'n_samples': 1797" in run("python", "-c", example + "print(model.summary_)")
    assert run("errref", "claims").count("\n") > len(claims.load())
    assert "fresh rows agree" in run("errref", "check", "table-quartic", "--seeds", "3", "--quiet")
