"""The book as one PDF."""

import re
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tools import pdf


def test_links_between_pages_become_links_within_the_one_page():
    text = '<a href="scorecard.html#claim-x">a</a> <a href="book/index.html#id2">b</a> <a href="traps.html">c</a>'
    expected = '<a href="#claim-x">a</a> <a href="#id2">b</a> <a href="#document-book/traps">c</a>'
    assert pdf.within(text) == expected
    outside = '<a href="https://example.org/x.html">d</a> <img src="_images/x.png">'
    assert pdf.within(outside) == outside


@pytest.mark.long
def test_the_pdf_has_every_chapter_and_every_picture_and_no_control():
    if shutil.which("chromium") is None:
        pytest.skip("Chromium is not here: Debian's package chromium has it")
    done = subprocess.run([sys.executable, ROOT / "tools" / "pdf.py"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    content = (ROOT / "_build" / "errref.pdf").read_bytes()
    assert (
        len(re.findall(rb"/Type\s*/Page\b", content)) > 100
        and b"/Outlines" in content
        and b"/StructTreeRoot" in content
    )
