"""The book as one PDF."""

import re
import shutil
import subprocess
import sys
from collections import Counter

import nbformat
import pytest

from tests.browser import opened
from tests.conftest import ROOT
from tools import pdf

CHAPTERS = [path.stem for ending in ("ipynb", "md") for path in (ROOT / "book").glob(f"*.{ending}")]


def test_links_between_pages_become_links_within_the_one_page():
    text = '<a href="scorecard.html#claim-x">a</a> <a href="book/index.html#cite-b">b</a> <a href="traps.html">c</a>'
    expected = '<a href="#claim-x">a</a> <a href="#cite-b">b</a> <a href="#document-book/traps">c</a>'
    assert pdf.within(text) == expected
    outside = '<a href="https://example.org/x.html">d</a> <img src="_images/x.png">'
    assert pdf.within(outside) == outside


def pictures():
    """How many pictures the chapters store."""
    paths = (ROOT / "book").glob("*.ipynb")
    outputs = [o for path in paths for c in nbformat.read(path, as_version=4).cells for o in c.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.long
def test_the_pdf_is_made():
    if shutil.which("chromium") is None:
        pytest.skip("Chromium is not here: Debian's package chromium has it")
    done = subprocess.run([sys.executable, ROOT / "tools" / "pdf.py"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    content = (ROOT / "_build" / "errref.pdf").read_bytes()
    assert len(re.findall(rb"/Type\s*/Page\b", content)) > 100
    assert b"/Outlines" in content and b"/StructTreeRoot" in content


@pytest.mark.long
def test_the_page_that_is_printed_has_every_chapter_and_picture_no_control_and_links_that_lead_somewhere(chromium):
    page = pdf.one_page()
    text = page.read_text(encoding="utf-8")
    for chapter in set(CHAPTERS) - {"index"}:
        assert f'id="document-book/{chapter}"' in text, chapter
    ids = Counter(re.findall(r'\bid="([^"]+)"', text))
    lost = {link for link in re.findall(r'<a\b[^>]*?\bhref="#([^"]+)"', text) if link not in ids}
    assert not lost
    assert {n for name, n in ids.items() if name.startswith(("cite-", "claim-", "fig-", "document-"))} == {1}
    with opened(chromium, page.as_uri()) as tab:
        tab.emulate_media(media="print")
        tab.locator(".errref-widget").first.wait_for(state="attached")
        assert all(widget.is_hidden() for widget in tab.locator(".errref-widget").all())
        shown = tab.locator(".cell_output img")
        assert shown.count() == pictures() and all(picture.is_visible() for picture in shown.all())
