"""The whole book as one PDF: Sphinx writes it as one page, and Chromium prints that.

python tools/pdf.py        writes _build/errref.pdf
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "_build"
MARGINS = {"top": "16mm", "bottom": "18mm", "left": "17mm", "right": "17mm"}
FOOTER = '<span style="font-size: 8px; margin: auto"><span class="pageNumber"></span></span>'
# Everything that is folded away is opened, pictures are loaded, and formulas are set, before the page is printed.
READY = """async () => {
  for (const folded of document.querySelectorAll("details")) folded.open = true;
  for (const picture of document.images) picture.loading = "eager";
  await Promise.all([...document.images].map((picture) => picture.decode()));
  await MathJax.startup.promise;
}"""


def one_page() -> Path:
    """The book as one page of HTML. Sphinx writes it below the root, where its pictures are not found: it goes up."""
    command = [
        Path(sys.executable).with_name("jupyter-book"),
        "build",
        ROOT,
        "--builder",
        "singlehtml",
        "-W",
        "-n",
        "--quiet",
    ]
    subprocess.run(command, check=True)
    page = BUILD / "singlehtml" / "book.html"
    text = (BUILD / "singlehtml" / "book" / "index.html").read_text(encoding="utf-8")
    page.write_text(within(text), encoding="utf-8")
    return page


def within(text: str) -> str:
    """Turn the links from page to page into links within the one page."""
    links = re.compile(r'href="(?:book/)?(\w+)\.html(?:#([^"]*))?"')
    return links.sub(lambda link: f'href="#{link[2] or f"document-book/{link[1]}"}"', text)


def to_pdf(page: Path, pdf: Path, browser: str) -> None:
    """Print a page, with bookmarks, and tags for screen readers."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        tab = chromium.new_page(color_scheme="light")
        tab.goto(page.as_uri())
        tab.wait_for_function("window.MathJax?.startup?.promise")
        tab.evaluate(READY)
        shown = {"print_background": True, "display_header_footer": True, "header_template": "<span></span>"}
        tab.pdf(path=pdf, format="A4", margin=MARGINS, footer_template=FOOTER, outline=True, tagged=True, **shown)
        chromium.close()


def main() -> int:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        print("The PDF is printed by Chromium, which is not here; Debian: apt-get install chromium", file=sys.stderr)
        return 1
    to_pdf(one_page(), BUILD / "errref.pdf", browser)
    print("The book is at _build/errref.pdf")
    return 0


if __name__ == "__main__":
    sys.exit(main())
