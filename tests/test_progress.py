"""Bars of progress: whoever looks on sees them with the time left, and no stored notebook has one."""

import re
import subprocess
import sys

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from errref import progress
from tests.conftest import ROOT

SOURCE = """
import time
from errref import records
from errref.progress import bar
print("before")
for _ in bar(range(4), desc="gate", unit="epoch"):
    time.sleep(0.15)
rows = list(records.evaluate("study", lambda c, s: time.sleep(0.3) or {"seed": s}, [({}, s) for s in range(3)], jobs=1))
print(len(rows))
"""
LEFT = r"\[\d\d:\d\d<\d\d:\d\d, .*\]"  # time taken and time left


class Front(NotebookClient):
    """A front end that hears what a cell shows while it runs; ``user``: that it can ask somebody for input."""

    def run(self, user):
        self.heard = []
        with self.setup_kernel():
            self.kc.allow_stdin = user  # JupyterLab's is true; that of those who execute notebooks is false
            return self.execute_cell(self.nb.cells[0], 0).outputs

    def process_message(self, message, cell, index):
        if message["msg_type"] in ("stream", "display_data", "update_display_data"):
            self.heard.append((message["msg_type"], message["content"]))
        return super().process_message(message, cell, index)


def front():
    notebook = new_notebook(cells=[new_code_cell(SOURCE)])
    return Front(notebook, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}})


@pytest.fixture(scope="module")
def seen():
    """What a front end with a user is told while a cell runs."""
    client = front()
    client.run(user=True)
    return client.heard


def test_one_who_looks_on_sees_each_bar_move_with_the_time_left(seen):
    texts = [content["data"].get("text/plain", "") for kind, content in seen if kind == "update_display_data"]
    for name, total in (("gate", 4), ("study", 3)):
        own = [text for text in texts if text.startswith(f"{name}:")]
        done = [int(re.search(r"(\d+)/(\d+)", text)[1]) for text in own]
        assert done == sorted(done) and done[0] == 0 and len(set(done)) >= 3
        assert all(f"/{total} " in text and len(text) <= 88 for text in own)
        assert [text for text in own if re.search(LEFT, text) and f"{total}/{total}" not in text]


def test_a_bar_leaves_nothing_and_takes_nothing_away(seen):
    assert [content["text"] for kind, content in seen if kind == "stream"] == ["before\n", "3\n"]
    assert seen[-2][0] == "update_display_data" and seen[-2][1]["data"] == {}
    places = {content["transient"]["display_id"] for kind, content in seen if kind != "stream"}
    assert len(places) == 1, "the bars of a cell share one place"
    assert [content["data"] for kind, content in seen if kind == "display_data"] == [{}]


def test_a_program_that_executes_a_notebook_stores_no_bar():
    outputs = front().run(user=False)
    assert [(o.output_type, o.name, o.text) for o in outputs] == [
        ("stream", "stdout", "before\n"),
        ("stream", "stdout", "3\n"),
    ]


def test_those_who_execute_the_chapters_have_no_user():
    client = front()
    with client.setup_kernel():
        assert client.kc.allow_stdin is False


def test_on_a_terminal_it_is_written_to_stderr():
    code = SOURCE.replace("before", "")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "\n3\n" and "gate: 100%" in done.stderr and "study: 100%" in done.stderr


def test_what_is_disabled_is_silent(capsys):
    assert list(progress.bar(range(3), disable=True)) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")
