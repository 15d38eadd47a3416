"""The command and the package start where Python does, and what they cannot do there is one sentence."""

import json
import os
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from errref import imagefiles, records, report
from errref.exact import find_switch
from errref.records import RecordError
from tests.conftest import ROOT

OURS = ("PYTHON", "NUMBA_", "ERRREF_DATA")  # variables of whoever runs these tests, which are not those of a reader


def python(*arguments, **options):
    """Run Python with this package: what it printed, what it said, its exit status."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | options.pop("env", {})
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, env=environment, text=True, timeout=120, **{"capture_output": True, **options})


def shell(line, folder):
    """Run a line of bash in a folder, in which errref is the command: as above."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    start = (
        f'export PYTHONPATH={shlex.quote(str(ROOT))}; errref() {{ {shlex.quote(sys.executable)} -m errref "$@"; }}\n'
    )
    command = ["bash", "-c", start + line]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


# -- compiled code without a cache -------------------------------------------------------------------------------------

SWITCH = (
    "import numpy as np; from errref.exact import find_switch; print(find_switch(np.arange(-4.0, 5.0), 0, 2.0, 1.0))"
)


def right(done):
    expected = f"{find_switch(np.arange(-4.0, 5.0), 0, 2.0, 1.0)}\n"
    return (done.returncode, done.stdout, done.stderr) == (0, expected, "")


@pytest.fixture
def package(tmp_path):
    """A copy of the package beside which nothing can be kept, not even by root."""
    shutil.copytree(ROOT / "errref", tmp_path / "errref", ignore=shutil.ignore_patterns("__pycache__", "static"))
    (tmp_path / "errref" / "__pycache__").touch()
    return {"PYTHONPATH": str(tmp_path), "HOME": os.devnull, "XDG_CACHE_HOME": os.devnull}


def test_compiled_code_works_where_no_folder_can_be_written(package, tmp_path):
    assert right(python("-c", SWITCH, env=package, cwd=tmp_path))


def test_the_cache_of_compiled_code_is_used_and_a_torn_one_is_not(tmp_path):
    cache = {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert right(python("-c", SWITCH, env=cache))
    kept = {path: path.stat().st_ino for path in tmp_path.rglob("*.nb?")}
    assert right(python("-c", SWITCH, env=cache))
    assert len(kept) >= 4 and kept == {path: path.stat().st_ino for path in tmp_path.rglob("*.nb?")}
    for path in kept:
        path.write_bytes(path.read_bytes()[:20])
    assert right(python("-c", SWITCH, env=cache))


FULL = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)); "  # room for an index, for no code


def test_a_full_disk_keeps_no_index_that_would_pass_older_code_for_ours(tmp_path):
    assert right(python("-c", FULL + SWITCH, env={"NUMBA_CACHE_DIR": str(tmp_path)}))
    assert not list(tmp_path.rglob("*.nb?"))


NOBODY = """
import os, pwd
pwd.getpwuid = {}.__getitem__  # there is no such user
del os.environ["HOME"], os.environ["XDG_CACHE_HOME"]
from errref import datasets
datasets.available("fashion-mnist")
"""


def test_a_user_whose_home_nobody_knows_gets_no_folder_of_that_name(package, tmp_path):
    (tmp_path / "here").mkdir()
    assert right(python("-c", NOBODY + SWITCH, env=package, cwd=tmp_path / "here"))
    assert not list((tmp_path / "here").iterdir())


# -- systems without what Unix has -------------------------------------------------------------------------------------

BARE = """
import os, sys
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None
del os.killpg
from errref.__main__ import run
sys.argv[1:] = {}
run()
"""


@pytest.mark.parametrize(
    "arguments, status, said",
    [
        (["--version"], 0, ""),
        (["claims", "table-quartic"], 0, ""),
        (["check", "human-reflection"], 3, ""),
        (["run", "functions", "--seeds", "1", "--results", "rows"], 2, "cannot be locked: Python has no fcntl"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_without_fcntl_rows_are_read_and_judged_but_not_recorded(arguments, status, said, tmp_path):
    done = python("-c", BARE.replace("{}", repr(arguments)), cwd=tmp_path)
    assert done.returncode == status and said in done.stderr and done.stderr.count("\n") == bool(said), done.stderr
    assert list(tmp_path.iterdir()) == []


# -- terminals, pipes, folders -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line, status, out, said",
    [
        ("errref claims | true; exit ${PIPESTATUS[0]}", 141, "", ""),
        ("errref --help | true; exit ${PIPESTATUS[0]}", 141, "", ""),
        ("errref --version > /dev/full", 2, "", "errref: the output cannot be written (No space left on device).\n"),
        ("PYTHONIOENCODING=ascii errref claims table-quartic", 0, r"\u2026", ""),
        ("LC_ALL=C PYTHONCOERCECLOCALE=0 PYTHONUTF8=0 errref claims table-quartic", 0, r"\u2026", ""),
        ("unset HOME LANG; TMPDIR=/none COLUMNS=1 errref claims table-quartic <&-", 0, "table-quartic", ""),
        ("errref claims table-quartic >&-", 0, "", ""),
        ("mkdir gone; cd gone; rmdir ../gone; errref claims", 2, "", "errref: The current folder was removed; change"),
        ("mkdir 'my rows'; errref claims table-quartic --results 'my rows'", 0, "table-quartic", ""),
    ],
)
def test_the_command_starts_and_ends_in_order(line, status, out, said, tmp_path):
    if "/dev/full" in line and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    done = shell(line, tmp_path)
    assert done.returncode == status and out in done.stdout and done.stderr.startswith(said), done.stderr
    assert bool(done.stderr) == bool(said)


def test_json_is_the_same_whatever_the_encoding(tmp_path):
    done = shell("PYTHONIOENCODING=ascii errref claims toy-gradient --json", tmp_path)
    (verdict,) = report.verdicts(["toy-gradient"])
    assert json.loads(done.stdout) == [json.loads(json.dumps(report.as_object(verdict)))]


@pytest.mark.parametrize("arguments", ["claims", "claims human-reflection", "check table-quartic", "pack functions"])
@pytest.mark.parametrize("kind", ["nothing", "file"])
def test_a_folder_that_is_not_there_is_no_lack_of_rows(arguments, kind, tmp_path, capsys):
    from errref.cli import main

    folder = tmp_path / "my-rwos"
    if kind == "file":
        folder.touch()
    assert main([*arguments.split(), "--results", str(folder)]) == 2
    out, said = capsys.readouterr()
    assert (
        out == "" and said == f"errref: There is no folder {folder}; name one that has rows, or record some into it.\n"
    )
    assert folder.exists() == (kind == "file")
    for read in (records.read, records.runs):
        with pytest.raises(RecordError, match="There is no folder"):
            read("functions", folder)


@pytest.mark.parametrize("mask, mode", [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_what_is_kept_follows_the_umask(mask, mode, tmp_path):
    old = os.umask(mask)
    try:
        assert imagefiles._keep(b"image", tmp_path / "cache" / "images") == []
        records.record("toy", lambda config, seed: {"loss": 1.0}, [({}, 0)], rules={}, folder=tmp_path, progress=False)
        records.pack("toy", tmp_path)
    finally:
        os.umask(old)
    for path in (tmp_path / "cache" / "images", tmp_path / "toy.jsonl.gz"):
        assert stat.S_IMODE(path.stat().st_mode) == mode, path.name


# -- make --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", [0, 1000])
def test_jupyterlab_is_told_that_root_may_run_it_only_where_root_does(user, tmp_path):
    if shutil.which("make") is None:
        pytest.skip("make is not here")
    (tmp_path / "id").write_text(f"#!/bin/sh\necho {user}\n")
    (tmp_path / "id").chmod(0o755)
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["make", "-n", "lab"], cwd=ROOT, env=os.environ | path, capture_output=True, text=True)
    assert done.returncode == 0 and "jupyter lab book" in done.stdout
    assert ("--allow-root" in done.stdout) == (user == 0)
