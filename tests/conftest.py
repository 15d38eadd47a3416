"""What several test files use."""

import json
import os
import random
import shutil
import subprocess
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from errref import pins
from errref.agreement import setting

ROOT = Path(__file__).parent.parent
SAMPLE_SEED = "ERRREF_SAMPLE_SEED"


def pytest_configure():
    """Choose which rows are measured again, unless the variable says it; workers that are started later inherit it.

    What tests start computes as they do: where they were started without all pins, nothing else is pinned either.
    """
    if pins.departures(os.environ):
        os.environ.setdefault(pins.SWITCH, "off")
    seed = os.environ.setdefault(SAMPLE_SEED, str(random.SystemRandom().randrange(10**6)))
    if not seed.isdecimal():
        raise pytest.UsageError(f"{SAMPLE_SEED} is {seed!r}; give a whole number, or leave it out.")


def pytest_report_header():
    return [f"rows are sampled with {SAMPLE_SEED}={os.environ[SAMPLE_SEED]}", setting()]


@pytest.fixture(scope="module")
def one_thread():
    """Let torch use one thread: tensors this small are faster so, and much faster on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def drawn():
    """Draw figures one by one, where a warning is a failure; each fits the page and has no titles, and is closed."""

    def draw(figures):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for figure in figures:
                figure.canvas.draw()
                assert figure.get_size_inches()[0] <= 7.2
                assert not any(ax.get_title() for ax in figure.axes)
                yield figure
                plt.close(figure)

    return draw


@pytest.fixture(scope="session")
def javascript():
    """Run modules of `errref/static` in Node.js: the value of an expression in which ``given`` is what Python gives."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not here: Debian's package nodejs has it")
    as_lists = "(key, value) => (ArrayBuffer.isView(value) ? Array.from(value) : value)"

    def run(source, expression, given):
        code = f"{source}\nconst given = {json.dumps(given)};\nconsole.log(JSON.stringify({expression}, {as_lists}));"
        command = [node, "--input-type=module"]
        done = subprocess.run(command, input=code, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="module")
def chromium():
    """A browser without a window."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("Chromium is not here: Debian's package chromium has it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
        browser = playwright.chromium.launch(executable_path=path, args=quiet)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def whole_book(tmp_path_factory):
    """Build the whole book as it is stored, once for all workers of a run; returns the folder of the site."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "whole"
    with exclusive(folder.with_suffix(".lock")):
        if not (folder / "built").exists():
            command = [Path(sys.executable).with_name("jupyter-book"), "build", ROOT, "--path-output", folder]
            done = subprocess.run([*command, "-W", "-n", "-q"], capture_output=True, text=True, timeout=400)
            assert done.returncode == 0, done.stderr[-2000:]
            (folder / "built").touch()
    return folder / "_build" / "html"


@contextmanager
def exclusive(path):
    """Hold a lock between processes."""
    import fcntl

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
