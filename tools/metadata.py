"""What catalogues and journals read about the project, made from what the project says of itself once.

    python -m tools.metadata              writes .zenodo.json, codecheck.yml and metadata.yaml
    python -m tools.metadata --check      names those that are not what it would write; exit 1 if there is any

Title, authors, licence, abstract and sources stand in CITATION.cff, the public address in _config.yml, the claims in
the ledger, what was found in the rows. `crate`, the description of an archive, goes into the archive only: it has the
sizes and checksums of its files, and would be wrong after every change.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import mimetypes
import re
import sys
from pathlib import Path, PurePosixPath
from typing import Any

import nbformat
import yaml

from errref import experiments
from errref.datasets import IMAGE_SETS
from errref.recorded import mark

ROOT = Path(__file__).resolve().parent.parent
TEXT_LICENCE = "CC-BY-4.0"  # of text, figures and rows; that of the code stands in CITATION.cff
LICENCES = {
    "MIT": ("https://spdx.org/licenses/MIT", "MIT License"),
    TEXT_LICENCE: ("https://creativecommons.org/licenses/by/4.0/", "Creative Commons Attribution 4.0 International"),
}
TEXTS = ("results/", "book/")  # folders under the licence of the text, but for scripts; see LICENSES.md
BUILT = "_build/html/"
MADE = "Made by `make metadata`: change CITATION.cff, the ledger or the rows, not this file."


def read(name: str) -> dict[str, Any]:
    """A YAML file of the project."""
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def address() -> str:
    """The project's public address; empty as long as it has none."""
    return read("_config.yml")["repository"]["url"]


def paper(cite: dict[str, Any]) -> dict[str, Any]:
    """The paper among the references of CITATION.cff: the one with a DOI."""
    return next(reference for reference in cite["references"] if "doi" in reference)


def person(author: dict[str, str]) -> str:
    """The name of an author as catalogues sort it."""
    return author.get("name") or f"{author['family-names']}, {author['given-names']}"


def title(cite: dict[str, Any]) -> str:
    """The paper's title with the mark of what was found."""
    return f"{mark()} {paper(cite)['title']}".strip()


# -- the files ---------------------------------------------------------------------------------------------------------


def made() -> dict[str, str]:
    """The text of each file, by its name."""
    cite, url = read("CITATION.cff"), address()
    note = f"# {MADE}\n"
    return {
        ".zenodo.json": json.dumps(zenodo(cite, url), indent=2, ensure_ascii=False) + "\n",
        "codecheck.yml": f"---\n{note}{_yaml(codecheck(cite, url))}",
        "metadata.yaml": f"{note}{_yaml(rescience(cite, url))}",
    }


def zenodo(cite: dict[str, Any], url: str) -> dict[str, Any]:
    """What Zenodo takes from the repository for a deposit; it adds the date and the DOI itself."""
    related = [{"identifier": paper(cite)["doi"], "scheme": "doi", "relation": "references"}]
    if url:
        related.append({"identifier": url, "scheme": "url", "relation": "isDerivedFrom"})
    return {
        "title": cite["title"],
        "upload_type": "software",
        "version": cite["version"],
        "description": f"<p>{cite['abstract']}</p>",
        "creators": [{"name": person(author)} for author in cite["authors"]],
        "access_right": "open",
        "license": cite["license"],
        "notes": f"The licence is that of the code; text, figures, ledger and recorded rows: {TEXT_LICENCE}.",
        "language": "eng",
        "keywords": cite["keywords"],
        "related_identifiers": related,
    }


def codecheck(cite: dict[str, Any], url: str) -> dict[str, Any]:
    """What a codechecker is to reproduce; who checked, and when, is for them to add."""
    authors = [{"name": person(author)} for author in cite["authors"]]
    rows = [(name, path) for name in experiments.NAMES for path in sorted((ROOT / "results").glob(f"{name}.jsonl*"))]
    chapters = sorted((ROOT / "book").glob("*.ipynb"))
    manifest = [
        (path, f"Numbers and figures of the chapter '{heading(path)}'; executed again by `make test`.")
        for path in chapters
    ]
    manifest += [(path, f"Rows of the study {name}; recorded by `errref run {name}`.") for name, path in rows]
    return {
        "version": "https://codecheck.org.uk/spec/config/1.0/",
        "paper": {"title": cite["title"], "authors": authors, **({"reference": url} if url else {})},
        "manifest": [{"file": p.relative_to(ROOT).as_posix(), "comment": comment} for p, comment in manifest],
    }


def heading(chapter: Path) -> str:
    """The title of a chapter."""
    return nbformat.read(chapter, as_version=4).cells[0].source.partition("\n")[0].lstrip("# ")


def rescience(cite: dict[str, Any], url: str) -> dict[str, Any]:
    """What ReScience asks of a reproduction, as far as it is known: nobody's address, number or DOI is made up."""
    source = paper(cite)
    who = "; ".join(person(author) for author in source["authors"])
    return {
        "title": title(cite),
        "authors": [{"name": person(author)} for author in cite["authors"]],
        "keywords": ", ".join(["rescience c", "python", *cite["keywords"]]),
        **({"code": [{"url": url}]} if url else {}),
        "data": [{"url": IMAGE_SETS["fashion-mnist"].address}],
        "replication": [
            {"cite": f"{who} ({source['year']}). {source['title']}. {source['notes']}."},
            {"bib": key(source["doi"])},
            {"doi": source["doi"]},
        ],
        "abstract": cite["abstract"],
        "bibliography": "book/references.bib",
        "type": "Replication",
        "language": "Python",
        "domain": "Computer Science",
    }


def key(doi: str) -> str:
    """The key of the work with this DOI in the references of the book."""
    entries = (ROOT / "book" / "references.bib").read_text(encoding="utf-8").split("\n@")
    (entry,) = (entry for entry in entries if f"doi = {{{doi}}}" in entry)
    return entry.partition("{")[2].partition(",")[0]


def _yaml(data: dict[str, Any]) -> str:
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)


# -- the description of an archive -------------------------------------------------------------------------------------


def crate(files: dict[str, bytes], date: str) -> dict[str, Any]:
    """An archive as an RO-Crate 1.1: what it is, on what it depends, and every file but those of the built book.

    Parameters
    ----------
    files : dict of bytes
        Content by path.
    date : str
        Of the state that is archived, as 2026-11-30.
    """
    cite = read("CITATION.cff")
    source = paper(cite)
    doi = f"https://doi.org/{source['doi']}"
    listed = {name: data for name, data in files.items() if not name.startswith(BUILT)}
    licences = [{"@id": LICENCES[name][0]} for name in (cite["license"], TEXT_LICENCE)]
    people = [*enumerate(cite["authors"]), *((f"paper-{i}", a) for i, a in enumerate(source["authors"]))]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": cite["title"],
        "description": cite["abstract"],
        "version": cite["version"],
        "datePublished": date,
        "keywords": cite["keywords"],
        "author": _one_or_all([{"@id": f"#author-{i}"} for i, _ in enumerate(cite["authors"])]),
        "license": licences,
        "citation": {"@id": doi},
        "hasPart": [{"@id": name} for name in (*listed, BUILT)],
        **({"url": address()} if address() else {}),
    }
    article = {
        "@id": doi,
        "@type": "ScholarlyArticle",
        "name": source["title"],
        "datePublished": str(source["year"]),
        "author": _one_or_all([{"@id": f"#author-paper-{i}"} for i, _ in enumerate(source["authors"])]),
    }
    book = {"@id": BUILT, "@type": "Dataset", "name": "The book, built", "license": licences[1]}
    return {
        "@context": ["https://w3id.org/ro/crate/1.1/context", {"sha256": "https://schema.org/sha256"}],
        "@graph": [
            {
                "@id": "ro-crate-metadata.json",
                "@type": "CreativeWork",
                "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
                "about": {"@id": "./"},
            },
            root,
            article,
            *(_agent(f"#author-{i}", author) for i, author in people),
            *({"@id": url, "@type": "CreativeWork", "name": name} for url, name in LICENCES.values()),
            book,
            *(_file(name, data, cite["license"]) for name, data in listed.items()),
        ],
    }


def _one_or_all(entries: list[dict[str, str]]) -> Any:
    return entries[0] if len(entries) == 1 else entries


def _agent(place: str, author: dict[str, str]) -> dict[str, str]:
    """An author of CITATION.cff: a person has a family name, anything else is a group."""
    return {"@id": place, "@type": "Person" if "family-names" in author else "Organization", "name": person(author)}


def _file(name: str, data: bytes, code: str) -> dict[str, Any]:
    kind = {".ipynb": "application/x-ipynb+json", ".jsonl": "application/jsonl", ".md": "text/markdown"}
    suffix = PurePosixPath(name).suffix
    return {
        "@id": name,
        "@type": "File",
        "name": name,
        "contentSize": str(len(data)),
        "sha256": hashlib.sha256(data).hexdigest(),
        "encodingFormat": kind.get(suffix) or mimetypes.guess_type(name)[0] or "text/plain",
        "license": {"@id": LICENCES[licence(name, code)][0]},
    }


def licence(name: str, code: str) -> str:
    """The licence of a file: that of the text for text, ledger and rows, else that of the code."""
    text = re.fullmatch(r"[A-Z]+\.md", name) or name.startswith(TEXTS)
    return TEXT_LICENCE if text and not name.endswith((".js", ".css")) else code


# -- the command -------------------------------------------------------------------------------------------------------


def stale() -> list[str]:
    """Names of the files that are not what would be made of the project as it is."""
    return [n for n, t in made().items() if not (ROOT / n).exists() or (ROOT / n).read_text(encoding="utf-8") != t]


def main() -> int:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m tools.metadata", description=__doc__, formatter_class=layout)
    parser.add_argument("--check", action="store_true", help="write nothing; name the files that are stale")
    if parser.parse_args().check:
        for name in (names := stale()):
            print(f"{name} is not what the project says of itself now: run `make metadata`.", file=sys.stderr)
        return int(bool(names))
    for name, text in made().items():
        (ROOT / name).write_text(text, encoding="utf-8")
        print(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
