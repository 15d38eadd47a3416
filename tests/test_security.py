"""The code runs nothing that it was not shipped with, reads no data that could be code, and writes where it is told.

Each search is shown a planted fault first. Elsewhere stand the tests that use files and servers:
tests/test_datasets.py has those of downloads (bytes that are not the known ones are refused and not kept) and of
archives (no path or link in a package is followed or written to); tests/test_pages.py those of the built site.
"""

import ast
import re

import nbformat
import pytest
import yaml

from errref import cli, datasets, ledger, records, sweeps
from errref.records import RecordError
from tests.conftest import ROOT

# -- what the Python code calls ----------------------------------------------------------------------------------------

BUILTINS = {"eval", "exec", "compile", "__import__"}
CODE = {"builtins", "code", "codeop", "runpy", "ctypes", "importlib.import_module"}
OBJECTS = {"pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib.load", "joblib.dump", "pandas.read_pickle"}
SHELL = {"os.system", "os.popen", "os.exec", "os.spawn", "pty", "commands", "subprocess.getoutput", "subprocess.getst"}
FILES = {"tempfile.mktemp", "shutil.unpack_archive", "urllib.request", "http.client", "requests", "socket", "telnetlib"}
UNSAFE = CODE | OBJECTS | SHELL | FILES
SAFE_ONLY_WITH = {  # what must be said in the call for it to be safe
    "torch.load": ("weights_only", True),
    "numpy.load": ("allow_pickle", False),
}

# Where something of the kind is right, and why.
EXCEPTIONS = {
    # Dask ships functions to the reader's own workers as pickles, whether we do it or joblib does. A scheduler obeys
    # whoever reaches it: README.md says to keep its port inside one's own network. No file of rows holds a pickle.
    ("errref/sweeps.py", "pickle"),
    ("errref/sweeps.py", "pickle.loads"),
    ("errref/sweeps.py", "cloudpickle.dumps"),
    # Both take only names of a list: experiments.NAMES, which is checked before, and the modules of book/api.md.
    ("errref/experiments/__init__.py", "importlib.import_module"),
    ("tools/api.py", "importlib.import_module"),
    # It becomes the command that its own arguments are, word by word, through no shell; as `env` does.
    ("errref/pins.py", "os.execvpe"),
}


def sources():
    """The code of the package, the tools, the benchmarks and the chapters, by its place."""
    for folder in ("errref", "tools", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "book").glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        yield path.relative_to(ROOT).as_posix(), "\n".join(cell.source for cell in cells if cell.cell_type == "code")


def unsafe(text):
    """What a source imports or names that runs code or a shell, loads objects, or fetches without a check."""
    tree, names = ast.parse(text), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name.partition(".")[0]: alias.name for alias in node.names if alias.asname}
            names |= {alias.name.partition(".")[0]: alias.name.partition(".")[0] for alias in node.names}
            yield from (alias.name for alias in node.names if is_unsafe(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            yield from (name for alias in node.names if is_unsafe(name := f"{node.module}.{alias.name}"))

    def dotted(node):
        if isinstance(node, ast.Attribute):
            return f"{dotted(node.value)}.{node.attr}"
        return names.get(node.id, "?") if isinstance(node, ast.Name) else "?"

    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and is_unsafe(dotted(node)) and "." in dotted(node):
            yield dotted(node)
        elif isinstance(node, ast.Name) and node.id in BUILTINS:
            yield node.id
        if not isinstance(node, ast.Call):
            continue
        called, said = dotted(node.func), {k.arg: getattr(k.value, "value", "?") for k in node.keywords}
        word, value = SAFE_ONLY_WITH.get(called, ("", ""))
        if word and said.get(word) is not value:
            yield called
        if called.startswith("subprocess.") and said.get("shell", False) is not False:
            yield f"{called} with a shell"
        if called.rpartition(".")[2] in ("extract", "extractall"):  # of an archive: where to is up to who packed it
            yield called
        if re.match(r"yaml\.\w*load", called) and called != "yaml.safe_load":
            loader = [ast.unparse(argument) for argument in [*node.args[1:], *(k.value for k in node.keywords)]]
            if loader != ["_Yaml"]:  # that of the ledger: see below
                yield called


def is_unsafe(name):
    """Whether a dotted name is one of those that are unsafe, in one of them, or begins as one of its functions does."""
    return any(name == bad or name.startswith(f"{bad}.") or ("." in bad and name.startswith(bad)) for bad in UNSAFE)


@pytest.mark.parametrize(
    "fault",
    [
        "eval('1 + 1')",
        "exec(text)",
        "run = eval\nrun(text)",
        "compile(text, 'file', 'exec')",
        "__import__(name)",
        "import importlib\nimportlib.import_module(name)",
        "from importlib import import_module as load\nload(name)",
        "import pickle",
        "from pickle import loads",
        "def f():\n    import marshal",
        "import shelve as kept",
        "import joblib\njoblib.load(path)",
        "from joblib import load",
        "import pandas as pd\npd.read_pickle(path)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import numpy as np\nnp.load(path)",
        "import torch\ntorch.load(path)",
        "import torch\ntorch.load(path, weights_only=False)",
        "import os\nos.system('ls')",
        "import os as system\nsystem.popen('ls')",
        "from os import execvp",
        "import subprocess\nsubprocess.run('ls', shell=True)",
        "from subprocess import Popen\nPopen('ls', shell=wanted)",
        "import subprocess\nsubprocess.getoutput('ls')",
        "import yaml\nyaml.load(text, yaml.Loader)",
        "import yaml\nyaml.unsafe_load(text)",
        "from yaml import full_load_all\nfull_load_all(text)",
        "import tarfile\ntarfile.open(path).extractall(folder)",
        "archive.extract(member)",
        "import tempfile\ntempfile.mktemp()",
        "import urllib.request\nurllib.request.urlopen(address)",
        "import requests",
    ],
)
def test_each_kind_of_unsafe_code_is_found(fault):
    assert list(unsafe(fault))


@pytest.mark.parametrize(
    "fine",
    [
        "import re\nre.compile('a')",
        "model.eval()",
        "import numpy as np\nnp.load(path, allow_pickle=False)",
        "import torch\ntorch.load(path, weights_only=True)",
        "import subprocess\nsubprocess.run(['ls'], shell=False)",
        "import yaml\nyaml.safe_load(text)",
        "members.extractfile(member)",
        "from urllib.parse import urlsplit",
        "from joblib import Parallel",
    ],
)
def test_code_that_is_safe_is_not(fine):
    assert list(unsafe(fine)) == []


def test_no_code_is_unsafe_but_where_a_reason_stands():
    places = dict(sources())
    assert len(places) > 80 and "book/index.md" not in places and "book/intuition.ipynb" in places
    found = {(place, what) for place, text in places.items() for what in unsafe(text)}
    assert found == EXCEPTIONS


def test_what_is_said_of_the_exceptions_is_so():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "A Dask scheduler obeys whoever reaches it: keep its port inside your own network." in readme
    # all that is loaded as a pickle is what `sweep` has shipped
    calls = re.findall(r".*_loads\(.*", (ROOT / "errref" / "sweeps.py").read_text(encoding="utf-8"))
    assert [call.strip() for call in calls] == ["measure = _loads(shipped)"] and sweeps._loads


def test_the_ledger_is_read_by_a_safe_loader():
    assert issubclass(ledger._Yaml, yaml.SafeLoader | getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    with pytest.raises(yaml.constructor.ConstructorError):
        yaml.load("!!python/object/apply:os.getcwd []", ledger._Yaml)
    assert yaml.load("!!python/name:os.getcwd", yaml.UnsafeLoader)  # which another loader makes a function of


# -- what the figures that move do -------------------------------------------------------------------------------------

# A figure's own script, which the notebook stores, becomes a module by `import` of a Blob, and its worker by `Worker`
# of one: neither has an address. Everything else that runs text or asks another host is not there.
SCRIPTS = (
    r"\beval\(|\bnew Function\b|\bFunction\(|\bset(?:Timeout|Interval)\(\s*[\"'`]|\bdocument\.write|\bimportScripts"
)
ASKS = r"\bfetch\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon|\bimport\s*\(?\s*[\"'`]https?:|https?://"
MARKUP = r"\b(?:inner|outer)HTML\b|insertAdjacentHTML|\bjavascript:"
XML_NAMES = ("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml")  # names, that nothing asks for


def runs_or_asks(script):
    """Where a script runs text, makes markup of text or asks another host."""
    for name in XML_NAMES:
        script = script.replace(f'"{name}"', "")
    return re.findall("|".join((SCRIPTS, ASKS, MARKUP)), script)


@pytest.mark.parametrize(
    "fault",
    [
        "eval(text)",
        "const f = new Function('x', text)",
        "setTimeout('go()', 1)",
        "document.write(text)",
        "fetch(address)",
        "new WebSocket(address)",
        'import { a } from "https://example.org/a.js"',
        'await import("https://example.org/a.js")',
        "node.innerHTML = text",
        "link.href = 'javascript:go()'",
    ],
)
def test_each_kind_of_unsafe_script_is_found(fault):
    assert runs_or_asks(fault)


def test_no_script_runs_text_or_asks_another_host():
    files = [*(ROOT / "errref" / "static").rglob("*.js"), *(ROOT / "book" / "_static").rglob("*.js")]
    assert len(files) > 12
    for path in files:
        assert runs_or_asks(path.read_text(encoding="utf-8")) == [], path.name


# -- where from, and where to ------------------------------------------------------------------------------------------


def test_whatever_is_fetched_comes_encrypted_and_is_known_by_its_content():
    for images in datasets.IMAGE_SETS.values():
        assert images.address.startswith("https://")
        assert all(re.fullmatch(r"[0-9a-f]{64}", file.sha256) for file in images.files)
        assert all(re.fullmatch(r"[\w-]+", file.name) for file in images.files)  # names of files in the cache
    asked = [place for place, text in sources() if re.search(r"\bHTTPDownloader|\bpooch\.retrieve|urlretrieve", text)]
    assert asked == ["errref/fetching.py"]  # whose bytes errref/imagefiles.py verifies before it keeps them


OUTSIDE = ["../outside", "..", ".", "", "a/b", "/etc/passwd", "a\\b", "a\0b", "a\nb", "~", "-", "..jsonl", "a" * 300]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_cannot_leave_the_folder_of_the_rows(name, tmp_path):
    inside = tmp_path / "rows"
    for use in (
        lambda: records.record(name, lambda config, seed: {"loss": 1.0}, [({}, 0)], rules={}, folder=inside),
        lambda: records.read(name, inside),
        lambda: records.runs(name, inside),
        lambda: records.pack(name, inside),
    ):
        with pytest.raises(RecordError, match="is no name of an experiment"):
            use()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("command", [["run"], ["pack"]])
def test_a_name_on_the_command_line_cannot_leave_the_folder_of_the_rows(command, name, tmp_path, capsys):
    assert cli.main([*command, "--results", str(tmp_path / "rows"), "--", name]) == cli.USAGE
    assert capsys.readouterr().err.startswith(f"errref: There is no experiment {name!r}: ")
    assert list(tmp_path.iterdir()) == []
