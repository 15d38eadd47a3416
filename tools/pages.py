"""A Sphinx extension: what the book adds to its pages when they are built, and what it leaves out.

Under each figure stands its data as a download, which the executed notebook keeps beside the picture, with the rows and
the experiment behind it. At the foot of each page stands where its rows and its outputs come from, and how to cite it.
What weighs much and shows nothing is left out.
"""

from __future__ import annotations

import posixpath
import re
import shutil
from collections.abc import Iterator
from functools import cache
from html import escape, unescape
from pathlib import Path
from typing import Any

import nbformat
import yaml
from docutils import nodes
from sphinx.application import Sphinx

from errref import experiments, records
from errref.numerics import PARTS
from errref.provenance import software
from errref.recorded import numerics_of

ROOT = Path(__file__).resolve().parent.parent
DATA = "_data"  # folder of the built book


# -- data under figures ------------------------------------------------------------------------------------------------


@cache
def figures(path: Path) -> dict[int, tuple[str, str, str]]:
    """Name, CSV text and kind of the figure of each cell of a notebook that shows one, by the number of the cell."""
    found = {}
    for number, cell in enumerate(nbformat.read(path, as_version=4).cells):
        texts = [o.data["text/csv"] for o in cell.get("outputs", []) if "text/csv" in o.get("data", {})]
        if texts:
            name = cell.metadata.get("mystnb", {}).get("figure", {}).get("name", f"{path.stem}-{number}")
            moves = any("application/vnd.jupyter.widget-view+json" in o.get("data", {}) for o in cell.outputs)
            found[number] = (name, "".join(texts), "still picture" if moves else "figure")
    return found


def offer_data(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Put a link to its data under each figure of a page."""
    source = Path(app.env.doc2path(page))
    if app.builder.name != "html" or source.suffix != ".ipynb":
        return
    shown = figures(source)
    for cell in list(doctree.findall(lambda node: "cell_index" in getattr(node, "attributes", {}))):
        pictures = list(cell.findall(nodes.image))
        if cell["cell_index"] in shown and pictures:
            _under(pictures[-1], _link(page, *shown[cell["cell_index"]]))


def _link(page: str, name: str, text: str, kind: str) -> nodes.raw:
    """The data of a figure, and the rows and the experiment of its chapter, which the playground has not."""
    chapter = posixpath.basename(page)
    words = f"Data of the {kind}: {name}.csv ({max(1, round(len(text) / 1000))} kB)"
    links = [_download(page, f"{name}.csv", words)]
    links += [_download(page, rows.name, f"Rows: {rows.name}") for rows in results(chapter)]
    if chapter in experiments.NAMES:
        to = posixpath.relpath(f"{source_page(chapter)}.html", posixpath.dirname(page))
        links.append(f'<a href="{to}">Experiment: {chapter}.py</a>')
    return nodes.raw("", f'<p class="figure-data">{" · ".join(links)}</p>', format="html")


def _download(page: str, file: str, words: str) -> str:
    to = posixpath.relpath(f"{DATA}/{posixpath.basename(page)}/{file}", posixpath.dirname(page))
    return f'<a href="{escape(to)}" download>{escape(words)}</a>'


def _under(picture: nodes.image, link: nodes.raw) -> None:
    """Put the link below the caption of a picture, or below the picture itself if it has none."""
    if isinstance(picture.parent, nodes.figure):
        picture.parent += nodes.legend("", link)
    else:
        picture.parent.insert(picture.parent.index(picture) + 1, link)


def write_data(app: Sphinx, error: Exception | None) -> None:
    """Write what the links point to: the data of the figures, and the recorded rows."""
    if error or app.builder.name != "html":
        return
    for path in _notebooks(app):
        folder = Path(app.outdir) / DATA / path.stem
        for name, text, _ in figures(path).values():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.csv").write_text(text, encoding="utf-8")
        for rows in results(path.stem):
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(rows, folder)


def _notebooks(app: Sphinx) -> Iterator[Path]:
    paths = (Path(app.env.doc2path(page)) for page in app.env.found_docs)
    return (path for path in paths if path.suffix == ".ipynb")


def results(chapter: str) -> list[Path]:
    """The files with the rows of a chapter's experiment."""
    return sorted((ROOT / "results").glob(f"{chapter}.jsonl*"))


def source_page(experiment: str) -> str:
    """The page with the code of an experiment, beside those that Sphinx makes of what the page on the package names."""
    return f"_modules/errref/experiments/{experiment}"


def show_experiments(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Pages with the code of the experiments, which are no part of the page on the package."""
    for name in experiments.NAMES if app.builder.name == "html" else ():
        code = (ROOT / "errref" / "experiments" / f"{name}.py").read_text(encoding="utf-8")
        title = f"Source code of the experiment {name}"
        body = f"<h1>{title}</h1>{app.builder.highlighter.highlight_block(code, 'python')}"
        yield source_page(name), {"title": title, "body": body}, "page.html"


# -- the foot of a page ------------------------------------------------------------------------------------------------


def add_foot(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Add the foot to a page that has a source."""
    if doctree is not None and app.builder.name == "html":
        context["body"] += foot(page, context["title"], app.config.copyright, app.config.html_baseurl)


def recordings(chapter: str) -> list[str]:
    """When, on what and with what the rows of a chapter were recorded: one line for all runs that agree in it."""
    found: dict[str, list[str]] = {}
    for run in records.runs(chapter).values():
        found.setdefault(f"Recorded on {circumstances(run)}", []).append(duration(run))
    return [f"{start}: {', '.join(runs)}" for start, runs in found.items()]


def executions(chapter: str) -> list[str]:
    """The same of the execution of a notebook; of a page that executes nothing, the package that it is about."""
    path = ROOT / "book" / f"{chapter}.ipynb"
    if not path.exists():
        now = software()
        return [f"Nothing is executed on this page; it is of version {now['package']}, source {now['source']}"]
    run = nbformat.read(path, as_version=4).metadata.get("errref", {})
    return [f"Executed here on {circumstances(run)}: {duration(run)}"] if "start" in run else []


def circumstances(run: dict[str, Any]) -> str:
    """Day, device, machine, version and threads of a run, and how its machine rounds, if it says so."""
    told = numerics_of(run) if "numerics" in run else {}
    rounding = "".join(f", {part} {told[part]}" for part in PARTS if part in told)
    threads = f"{run['threads']} thread{'s' if run['threads'] > 1 else ''}"
    where = f"{run['start'][:10]} on {run['device']} ({run['machine']})"
    return escape(f"{where}, version {run['package']}, {threads}{rounding}")


def duration(run: dict[str, Any]) -> str:
    """Seconds of a run, and the sources that it ran."""
    return f"{run['seconds']:.0f} s with source {run['source']}"


def foot(page: str, title: str, year: str, address: str) -> str:
    """Where what a page shows comes from, and how to cite it, as HTML.

    Parameters
    ----------
    page : str
        Its path in the book, without an ending.
    title : str
        As HTML.
    year : str
    address : str
        Where the book is published, or an empty string as long as that is not known.
    """
    chapter = posixpath.basename(page)
    origin = [f"Recorded rows: {_download(page, rows.name, rows.name)}" for rows in results(chapter)]
    origin += recordings(chapter) + executions(chapter)
    origin_list = "".join(f"<li>{line}</li>" for line in origin)
    cite = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    book, version, authors = escape(cite["title"]), cite["version"], " and ".join(a["name"] for a in cite["authors"])
    url = f"{address.rstrip('/')}/{page}.html" if address else ""
    where = f' <a href="{escape(url)}">{escape(url)}</a>.' if url else ""
    text = f"{escape(authors)} ({year}). <cite>{title}</cite>. In: <cite>{book}</cite>, version {version}.{where}"
    paper = next(r for r in cite["references"] if r.get("doi"))
    who = "; ".join(f"{a['family-names']}, {a['given-names']}" for a in paper["authors"])
    doi = f'<a href="https://doi.org/{paper["doi"]}">doi {paper["doi"]}</a>'
    entry = {"author": f"{{{authors}}}", "title": plain(title), "booktitle": cite["title"], "year": year}
    entry |= {"version": version} | ({"url": url} if url else {})
    lines = "".join(f"  {key} = {{{value}}},\n" for key, value in entry.items())
    bibtex = escape(f"@incollection{{errref-{chapter},\n{lines}}}")
    return (
        f'<footer class="page-foot" aria-label="About this page"><ul>{origin_list}<li>Cite this page: {text}</li>'
        f"<li>Cite the paper with it: {who} ({paper['year']}). <cite>{escape(paper['title'])}</cite>. "
        f"{paper['notes']}, {doi}.</li></ul>"
        f"<details><summary>This page for BibTeX</summary><pre>{bibtex}</pre></details></footer>"
    )


def plain(title: str) -> str:
    """The words of a title that is HTML."""
    return unescape(re.sub(r"<[^>]*>", "", title))


# -- weight ------------------------------------------------------------------------------------------------------------


def lighten(app: Sphinx, error: Exception | None) -> None:
    """Leave out scripts of the theme that do nothing here.

    One draws icons of a project's own (1.5 MB), of which there are none. Three search while one types, which is turned
    off, and bring the index of the whole book to every page; the page of the search keeps them.
    """
    if error or app.builder.format != "html":
        return
    icons, search = "fontawesome", "searchtools|language_data|searchindex"
    for page in Path(app.outdir).rglob("*.html"):
        idle = icons if page.name == "search.html" else f"{icons}|{search}"
        text = page.read_text(encoding="utf-8")
        page.write_text(re.sub(rf"\s*<script [^>]*\b({idle})\.js[^>]*></script>", "", text), encoding="utf-8")
    for file in (Path(app.outdir) / "_static" / "scripts").glob("fontawesome.js*"):
        file.unlink()


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("doctree-resolved", offer_data)
    app.connect("html-collect-pages", show_experiments)
    app.connect("html-page-context", add_foot)
    app.connect("build-finished", write_data)
    app.connect("build-finished", lighten)
    app.config.mathjax_path = "mathjax/startup.js"  # the parts that _config.yml names, in place of all of them
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
