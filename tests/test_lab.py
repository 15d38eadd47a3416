"""JupyterLab as `make lab` opens it: a chapter runs top to bottom, and its figure and its kernel follow each other."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from errref.datasets import available
from tests.browser import PATIENCE, control
from tests.conftest import ROOT

TOKEN = "of-this-test"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of JupyterLab on this machine, in a copy of the book."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "book", folder / "book")
    options = ["--no-browser", "--allow-root", "--ServerApp.port=0", f"--IdentityProvider.token={TOKEN}"]
    quiet = ["--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    own = {"JUPYTER_RUNTIME_DIR": str(folder / "runtime"), "JUPYTER_CONFIG_DIR": str(folder), "PYTHONPATH": str(ROOT)}
    command = [Path(sys.executable).with_name("jupyter-lab"), *options, *quiet, folder / "book"]
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield _address(folder / "runtime")
    finally:
        server.terminate()
        server.wait(30)


def _address(runtime):
    """Where the server that writes into this folder answers, once it does."""
    for _ in range(600):
        time.sleep(0.1)
        for file in runtime.glob("jpserver-*.json"):
            try:
                url = json.loads(file.read_text())["url"].replace("localhost", "127.0.0.1")
                urllib.request.urlopen(f"{url}api?token={TOKEN}")
                return url
            except (OSError, ValueError):
                continue
    raise AssertionError("JupyterLab did not start")


def idle(tab):
    """Wait until the kernel has nothing to do."""
    tab.locator("#jp-main-statusbar").get_by_text("Python 3 (ipykernel) | Idle").wait_for()


def ask(tab, code):
    """Run code in a new cell at the end of the notebook; returns what it printed."""
    tab.locator(".jp-Notebook .jp-Cell").last.click()
    for key in ("Escape", "b"):
        tab.keyboard.press(key)
    editor = tab.locator(".jp-Notebook .jp-Cell.jp-mod-active .cm-content")
    editor.fill(code)  # all at once: what is typed before the new cell listens is lost
    editor.press("Shift+Enter")
    output = tab.locator(".jp-Notebook .jp-CodeCell").filter(has_text=code).last.locator(".jp-OutputArea-output")
    output.wait_for()
    return output.inner_text().strip()


LONG = pytest.mark.long
FASHION = pytest.mark.skipif(available("fashion-mnist") is None, reason="Fashion-MNIST is not here")
# Chapter and figure; a value, its control, a key there and what it makes of it; another value, as the control has it.
CHAPTERS = [
    pytest.param("playground", "play", "seed", "seed", "ArrowRight", 1, 7, "7", marks=LONG),
    pytest.param("intuition", "Trap", "copies", "copies of x = 1", "ArrowRight", 2, 5, "5 ×", marks=LONG),
    pytest.param("isodata", "steps", "seed", "start", "ArrowRight", 0, 7, "seed 7"),
    pytest.param("functions", "Training", "seed", "seed", "Home", 0, 3, "3", marks=LONG),
    pytest.param("traps", "ball", "rate", "step size", "ArrowRight", 0.1, 0.02, "0.02", marks=LONG),
    pytest.param("multiverse", "picks", "loss", "loss", "End", "largest", "training", "training", marks=LONG),
    pytest.param(
        "fashion", "cases", "protocol", "protocol", "Home", "general", "honest", "honest", marks=[LONG, FASHION]
    ),
]


@pytest.mark.parametrize(("chapter", "figure", "name", "label", "key", "pressed", "given", "shown"), CHAPTERS)
def test_a_chapter_runs_and_its_figure_follows_the_kernel_and_the_kernel_the_figure(
    chapter, figure, name, label, key, pressed, given, shown, lab, chromium
):
    tab = chromium.new_page(viewport={"width": 1400, "height": 1000})
    tab.set_default_timeout(3 * PATIENCE)
    tab.goto(f"{lab}lab/tree/{chapter}.ipynb?reset&token={TOKEN}")
    tab.locator(".jp-Notebook .jp-Cell").first.wait_for()
    idle(tab)
    tab.get_by_role("menuitem", name="Run", exact=True).click()
    tab.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    if figure[0].isupper():  # a class: the cell gives the figure no name
        code = f"figure = [out for out in Out.values() if isinstance(out, {figure})][-1]; print('run')"
        figure = "figure"
    else:
        code = "print('run')"
    assert ask(tab, code) == "run"  # after all other cells
    assert not tab.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count()
    field = control(tab, label)
    field.press(key)
    assert ask(tab, f"print({figure}.{name})") == str(pressed)
    assert ask(tab, f"{figure}.{name} = {given!r}; print('set')") == "set"
    value = "(field) => field.getAttribute('aria-valuetext') ?? field.value"
    tab.wait_for_function(f"([field, shown]) => ({value})(field) === shown", arg=[field.element_handle(), shown])
    for picture in tab.locator(".jp-OutputArea:has(.errref-widget) img").all():
        assert picture.is_hidden()
    tab.close()
