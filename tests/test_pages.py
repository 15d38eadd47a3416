"""Every page of the built book, as its readers meet it: in a browser, wide and narrow, in light and dark."""

import csv
import gzip
import io
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe

from errref import __version__, experiments, recorded, records
from errref.provenance import source_hash
from tests.browser import opened, served
from tests.conftest import ROOT
from tools import pages

TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
CHAPTERS = [TOC["root"], *(chapter["file"] for part in TOC["parts"] for chapter in part["chapters"])]
NOTEBOOKS = [path for chapter in CHAPTERS if (path := ROOT / f"{chapter}.ipynb").exists()]
MADE = ["search", "genindex", "_modules/index", "_modules/errref/reflection"]  # by Sphinx, of no source of their own
MADE += ["_modules/errref/experiments/functions"]  # by us
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"], "preload": False}
NARROW = {
    "runOnly": ["color-contrast", "scrollable-region-focusable", "target-size"],
    "preload": False,
}  # what may differ
KNOWN = {  # violations of the theme, of docutils and of Sphinx, that a page of ours cannot help
    "region": ".sidebar-primary-item",
    "aria-allowed-role": ".citation",
    "aria-deprecated-role": ".citation",
    "aria-required-children": ".citation-list",
    "list": 'ul:has(> li > a[href="errref/datasets.html"])',  # of the modules
}


@pytest.fixture(scope="module")
def site(whole_book):
    with served(whole_book) as address:
        yield address


def violations(tab, rules):
    """What axe-core finds on a page, but for what is known."""
    found = []
    for violation in Axe().run(tab, options=rules).response["violations"]:
        allowed = KNOWN.get(violation["id"])
        for node in violation["nodes"]:
            part = tab.locator(node["target"][0]).first
            if allowed is None or not part.evaluate("(node, known) => node.matches(known)", allowed):
                found.append(f"{violation['id']}: {node['html'][:200]}")
    return found


@pytest.mark.parametrize("page", [*CHAPTERS, *MADE])
def test_a_page_can_be_read_by_everyone_everywhere(page, site, chromium):
    weight = []  # as a server sends it: compressed, if that is smaller
    with opened(
        chromium, f"{site}/{page}.html", on_response=lambda r: weight.append(len(gzip.compress(r.body())))
    ) as tab:
        tab.wait_for_function("!window.MathJax?.startup || MathJax.startup.promise.then(() => true)")
        assert 100_000 < sum(weight) < 2_000_000
        views = tab.locator('script[type="application/vnd.jupyter.widget-view+json"]').count()
        tab.wait_for_function("n => document.querySelectorAll('.errref-widget').length === n", arg=views)
        levels = [int(h.evaluate("h => h.tagName[1]")) for h in tab.locator("main :is(h1, h2, h3, h4, h5)").all()]
        assert levels[0] == 1 and all(b <= a + 1 for a, b in zip(levels, levels[1:], strict=False))
        assert not tab.locator("img:not([alt]), img[alt='']").count()
        assert violations(tab, RULES) == []
        tab.set_viewport_size({"width": 390, "height": 844})
        assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        tab.emulate_media(color_scheme="dark")
        tab.evaluate("document.documentElement.dataset.theme = 'dark'")
        tab.wait_for_timeout(400)  # colours fade
        assert violations(tab, NARROW) == []


def test_the_search_finds_words_of_the_book(site, chromium):
    with opened(chromium, f"{site}/search.html?q=isodata") as tab:
        tab.locator("#search-results li a").first.wait_for()
        names = tab.locator("#search-results li a").all_inner_texts()
        assert any(name.startswith("ISODATA") for name in names)


def test_every_link_within_the_book_has_its_target(whole_book):
    ids, links = {}, []
    for file in whole_book.rglob("*.html"):
        text = file.read_text(encoding="utf-8")
        ids[file] = set(re.findall(r'\bid="([^"]+)"', text))
        links += [(file, href) for href in re.findall(r'<a\b[^>]*?\bhref="([^"]+)"', text)]
    for file, href in links:
        if re.match(r"[a-z]+:", href):
            continue
        to, _, anchor = href.partition("#")
        target = (file.parent / to).resolve() if to else file
        assert target.exists(), f"{file.name} links to {href}"
        if anchor and target.suffix == ".html":
            assert anchor in ids[target], f"{file.name} links to {href}"


class Loaded(HTMLParser):
    """What a page or a style sheet loads by itself from another host: all addresses but those of links to follow."""

    OUTSIDE = re.compile(r"^\s*(?:https?:)?//|(?:\burl\(|\burl=|@import)\s*[\"']?\s*(?:https?:)?//|,\s*https?://")

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found += [
            f"{tag} {name}={value}"
            for name, value in attributes
            if (tag, name) != ("a", "href") and name not in ("alt", "title") and self.OUTSIDE.search(value or "")
        ]

    def handle_data(self, text):
        if self.cdata_elem == "style":
            self.found += self.OUTSIDE.findall(text)


@pytest.mark.parametrize(
    "fault",
    [
        '<script src="https://example.org/a.js"></script>',
        "<script async src=//example.org/a.js></script>",
        '<link rel="stylesheet" href="http://example.org/a.css">',
        '<img src="https://example.org/a.png">',
        '<img srcset="a.png 1x, https://example.org/a.png 2x">',
        '<iframe src="https://example.org"></iframe>',
        '<form action="https://example.org">',
        '<object data="//example.org/a.svg"></object>',
        '<p style="background: url(https://example.org/a.png)">',
        "<style>@import 'https://example.org/a.css';</style>",
        '<meta http-equiv="refresh" content="0; url=https://example.org">',
    ],
)
def test_each_way_to_load_from_another_host_is_found(fault):
    assert Loaded(fault).found and not Loaded(fault.replace("https:", "").replace("http:", "").replace("//", "")).found


def test_no_page_and_no_style_sheet_loads_anything_from_another_host(whole_book):
    pages, sheets = list(whole_book.rglob("*.html")), list(whole_book.rglob("*.css"))
    assert len(pages) > 15 and len(sheets) > 5 and whole_book / "_modules" / "errref" / "reflection.html" in pages
    for page in pages:
        assert Loaded(page.read_text(encoding="utf-8")).found == [], page.name
    for sheet in sheets:
        assert Loaded(f"<style>{sheet.read_text(encoding='utf-8')}</style>").found == [], sheet.name


# -- data under the figures, and the foot ------------------------------------------------------------------------------


def numbers(text):
    """The points of a CSV as (x, y)."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return [(float(line["x"]), float(line["y"])) for line in csv.DictReader(io.StringIO("\n".join(lines)))]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_picture_of_a_chapter_has_its_data_below_it(notebook, whole_book):
    cells = nbformat.read(notebook, as_version=4).cells
    shown = [n for n, c in enumerate(cells) if any("image/png" in o.get("data", {}) for o in c.get("outputs", []))]
    assert list(pages.figures(notebook)) == shown
    html = (whole_book / "book" / f"{notebook.stem}.html").read_text(encoding="utf-8")
    links = re.findall(r'<p class="figure-data"><a href="([^"]+)" download>', html)
    assert len(links) == len(set(links)) == len(shown)
    for link, (name, text, _) in zip(links, pages.figures(notebook).values(), strict=True):
        file = (whole_book / "book" / link).resolve()
        assert file.name == f"{name}.csv" and file.read_text(encoding="utf-8") == text
        assert numbers(text) and len(text) < 600_000


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_figure_links_its_rows_and_its_experiment(notebook, whole_book):
    page = whole_book / "book" / f"{notebook.stem}.html"
    rows = [f"{pages.DATA}/{notebook.stem}/{path.name}" for path in pages.results(notebook.stem)]
    if notebook.stem in experiments.NAMES:
        rows.append(f"_modules/errref/experiments/{notebook.stem}.html")
    without = ("playground", "scorecard", "error_rates", "checks", "reproduce")
    assert rows or notebook.stem in without, "which have no experiment of their own"
    for links in re.findall(r'<p class="figure-data">(.*?)</p>', page.read_text(encoding="utf-8")):
        targets = [(page.parent / link).resolve() for link in re.findall(r'href="([^"]+)"', links)]
        assert [path.relative_to(whole_book).as_posix() for path in targets[1:]] == rows


@pytest.mark.parametrize("name", experiments.NAMES)
def test_the_code_of_an_experiment_can_be_read(name, whole_book):
    page = (whole_book / "_modules" / "errref" / "experiments" / f"{name}.html").read_text(encoding="utf-8")
    (code,) = re.findall(r"<pre>(.*?)</pre>", page, flags=re.DOTALL)
    assert unescape(re.sub(r"<[^>]*>", "", code)).strip() == Path(experiments.load(name).__file__).read_text().strip()


def foot_of(chapter, folder):
    """The words at the foot of a page."""
    html = (folder / f"{chapter}.html").read_text(encoding="utf-8")
    return unescape(re.sub(r"<[^>]*>", "\n", re.search(r'<footer class="page-foot".*?</footer>', html, re.DOTALL)[0]))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_foot_says_where_rows_and_outputs_come_from(chapter, whole_book):
    foot, path = foot_of(chapter, whole_book), ROOT / f"{chapter}.ipynb"
    runs = records.runs(path.stem).values()
    assert bool(runs) == (path.stem in experiments.NAMES) == ("Recorded on" in foot)
    for run in runs:
        assert re.search(
            rf"^Recorded on {run['start'][:10]} on {run['device']} \({run['machine']}\), version", foot, re.M
        )
        assert f"version {run['package']}, {run['threads']} thread" in foot
        assert f"{run['seconds']:.0f} s with source {run['source']}" in foot
    if path.exists():
        run = nbformat.read(path, as_version=4).metadata.errref
        where = (
            f"Executed here on {run['start'][:10]} on {run['device']} ({run['machine']}), version {run['package']}, "
        )
        rounding = "".join(f", {part} {code}" for part, code in numerics_in_order(run))
        threads = f"{run['threads']} thread{'s' if run['threads'] > 1 else ''}{rounding}"
        assert f"{where}{threads}: {run['seconds']:.0f} s with source {run['source']}\n" in foot
    else:
        assert f"it is of version {__version__}, source {source_hash()}\n" in foot


def numerics_in_order(run):
    told = recorded.numerics_of(run)
    return [(part, told[part]) for part in ("loops", "numpy", "openblas", "gate", "torch") if part in told]


def test_runs_that_agree_share_a_line_and_others_do_not(monkeypatch):
    run = {"start": "2026-11-22T10:00:00+00:00", "device": "cpu", "machine": "Linux x86_64", "package": "0.1.0"}
    run |= {"threads": 1, "seconds": 1.6, "source": "abc"}
    others = [
        {"seconds": 20.0},
        {"threads": 2},
        {"start": "2026-11-23T"},
        {"numerics": {"loops": "0123", "numpy": "4567"}},
        {"device": "A<B"},
    ]
    found = {str(k): run | other for k, other in enumerate([{}, *others])}
    monkeypatch.setattr(records, "runs", lambda chapter: found)
    first, *rest = pages.recordings("study")
    start = "Recorded on 2026-11-22 on cpu (Linux x86_64), version 0.1.0, 1 thread"
    assert first == f"{start}: 2 s with source abc, 20 s with source abc"
    assert len(rest) == 4 and f"{start}, loops 0123, numpy 4567: 2 s with source abc" in rest and "A&lt;B" in rest[-1]


def test_a_page_offers_its_rows_as_they_are_recorded(whole_book):
    for notebook in NOTEBOOKS:
        html = (whole_book / "book" / f"{notebook.stem}.html").read_text(encoding="utf-8")
        links = re.findall(r'Recorded rows: <a href="([^"]+)"', html)
        files = [(whole_book / "book" / link).resolve() for link in links]
        recorded = sorted((ROOT / "results").glob(f"{notebook.stem}.jsonl*"))
        assert [file.name for file in files] == [file.name for file in recorded]
        assert all(a.read_bytes() == b.read_bytes() for a, b in zip(files, recorded, strict=True))


def test_every_page_says_how_to_cite_it(whole_book):
    cite = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    for chapter in CHAPTERS:
        html = (whole_book / f"{chapter}.html").read_text(encoding="utf-8")
        title = re.search(r"<h1>(.*?)<a ", html)[1]
        foot = re.search(r'<footer class="page-foot".*?</footer>', html, flags=re.DOTALL)[0]
        assert f"<cite>{title}</cite>" in foot and cite["references"][0]["doi"] in foot
        assert f"version {cite['version']}" in foot and "http" not in foot.replace("https://doi.org/", "")


def test_an_address_of_the_book_stands_in_the_citation_once_it_is_known():
    foot = pages.foot("book/traps", "Minima &amp; <em>more</em>", "2026", "https://example.org/errref/")
    assert 'href="https://example.org/errref/book/traps.html"' in foot
    assert "title = {Minima &amp; more}" in foot and "url = {https://example.org/errref/book/traps.html}" in foot
