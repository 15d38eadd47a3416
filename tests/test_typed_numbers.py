"""No result is typed: each number in the text and each precise one in the code is a setting, a source's, or printed.

What this cannot see: a small whole number that is a setting elsewhere in the chapter's code, or that one of its cells
prints too; a fraction or a comparison in words ("a fifth", "most").
"""

import ast
import io
import json
import re
import tokenize
from functools import cache

import nbformat
import numpy as np
import pytest
import yaml

from errref import claims, records
from errref.experiments import effects, functions
from errref.ledger import readings
from tests.nbval_tolerance import texts
from tools import notebooks

ROOT = notebooks.ROOT
KNOWN = yaml.safe_load((ROOT / "tests" / "typed_numbers.yml").read_text(encoding="utf-8"))
PAGES = [
    *sorted((ROOT / "book").glob("*.ipynb")),
    *(path for path in sorted((ROOT / "book").glob("*.md")) if path.stem != "references"),
    ROOT / "README.md",
]
CODE = sorted([*(ROOT / "errref").rglob("*.py"), *(ROOT / "tools").glob("*.py"), *(ROOT / "book").glob("*.ipynb")])
page = pytest.mark.parametrize("path", PAGES, ids=[path.name for path in PAGES])

NUMBER = re.compile(r"(?<![\w.,^])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w]|[.,]\d)")
WORDS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen twenty".split()
COUNT = rf"(?:\d[\d,]*|{'|'.join(WORDS)})"
# "five of the six functions" is a result, unless it is explained; "one of the networks" is not
OF = re.compile(rf"\b{COUNT} (?:out )?of (?:the |its |all )?{COUNT}\b(?!-)", re.IGNORECASE)
PLACES = (  # numbers that name a place, a thing or a year, and measure nothing
    r"(?:sections?|sec\.|figures?|rows?|exercises?|steps?|seeds?|equations?|hypothes[ei]s|lines?|columns?|chapters?)"
    r" \d[\d.]*(?:(?:,| and| to| or|,? and) \d[\d.]*)*",
    r"^#* *\d+\. ",  # of a list, or of a heading
    r"\((?:19|20)\d\d\)|\b(?:19|20)\d\d\b(?! \w+s\b)",
)


# -- the text ----------------------------------------------------------------------------------------------------------


def prose(path):
    """The text of a page, without code, formulas, links, citations and computed numbers."""
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    else:
        text = path.read_text(encoding="utf-8")
    text = re.sub(r"```\{admonition\}(.*?)```", r"\1", text, flags=re.DOTALL)  # a folded solution is text
    for code in (r"```(?!\{table\}).*?```", r"\$\$.*?\$\$", r"\$[^$]+\$", r"\{[\w:-]+\}`[^`]*`", r"`[^`]*`"):
        text = re.sub(code, " ", text, flags=re.DOTALL)
    return re.sub(r"\]\([^)]*\)|<[^>]*>|https?://\S+", " ", text)


def numbers(text):
    """The numbers of a text, as they are written, that name no place."""
    for place in PLACES:
        text = re.sub(place, " ", text, flags=re.IGNORECASE | re.MULTILINE)
    return [match[0] for match in NUMBER.finditer(text)]


def value(number):
    return float(number.replace(",", ""))


@cache
def in_the_ledger():
    """Values of the ledger: what the sources print, the settings and the bounds of the rules."""
    found = set()
    for first in claims.load().values():
        for claim in (first, first.second):
            if claim is not None:
                entry = json.dumps([claim.where, claim.claim, claim.paper, claim.note, claim.rule])
                found |= {value(number) for number in NUMBER.findall(entry)}
                bounds = [part["bound"] for part in readings(claim.rule or {}).values() if "bound" in part]
                found |= {100 * limit for bound in bounds for limit in bound.values()}  # in per cent
    return frozenset(round(each, 9) for each in found)


@cache
def literals(path):
    """Values of the number literals of a file of code or of a notebook."""
    tree = ast.parse(source(path))
    return frozenset(
        float(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and type(node.value) in (int, float) and abs(node.value) < 1e300
    )


def source(path):
    if path.suffix == ".ipynb":
        return notebooks.code(nbformat.read(path, as_version=4))
    return path.read_text(encoding="utf-8")


def settings(path):
    """Values of the literals in a page's own code and in the modules that it uses; of all of them for a plain page."""
    if path.suffix == ".ipynb":
        notebook = nbformat.read(path, as_version=4)
        files = [path, *(file for file in notebooks.used(notebook) if file.suffix == ".py")]
    else:
        files = sorted((ROOT / "errref").rglob("*.py"))
    return frozenset().union(*map(literals, files))


def printed(path):
    """Values that a chapter's own cells print: a number in its text that is one of these cannot age unseen."""
    if path.suffix != ".ipynb":
        return frozenset()
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    shown = [text for cell in cells for output in cell.outputs for text in texts(output)]
    return frozenset(value(number) for text in shown for number in NUMBER.findall(text))


def unexplained(path, known):
    """Numbers and counts of a page for which nothing stands."""
    text = prose(path)
    measures = in_the_ledger() | settings(path) | printed(path)
    typed = [number for number in numbers(text) if round(value(number), 9) not in {round(m, 9) for m in measures}]
    return [phrase for phrase in (*typed, *OF.findall(text)) if phrase not in known]


@page
def test_every_number_of_a_text_is_a_setting_a_sources_or_printed_beside_it(path):
    mend = "let a cell print it or use glue; or explain it in tests/typed_numbers.yml, if it is no result"
    assert unexplained(path, KNOWN["text"].get(path.stem, {})) == [], f"{path.name} has typed numbers: {mend}"


# -- the code ----------------------------------------------------------------------------------------------------------


def precise(text):
    """Literals of three digits and more that are no whole numbers, as they are written."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        digits = re.sub(r"[eE].*|[._]", "", token.string).strip("0")
        if token.type == tokenize.NUMBER and re.search(r"[.eE]", token.string) and len(digits) >= 3:
            yield token.string


@pytest.mark.parametrize("path", [path for path in CODE if list(precise(source(path)))], ids=lambda path: path.name)
def test_every_precise_literal_of_the_code_is_explained(path):
    known = KNOWN["code"].get(path.relative_to(ROOT).as_posix(), {})
    found = [number for number in precise(source(path)) if number not in known]
    assert found == [], (
        "take it from the rows or the ledger; or explain it in tests/typed_numbers.yml, if it is no result"
    )


# -- the list of explanations ------------------------------------------------------------------------------------------


def test_every_explanation_has_a_reason_and_something_to_explain():
    kinds = ("setting", "definition", "arithmetic", "published", "form", "ledger", "result")
    for name, entries in KNOWN["text"].items():
        (path,) = [path for path in PAGES if path.stem == name]
        written = [*numbers(prose(path)), *OF.findall(prose(path))]
        assert set(entries) <= set(written), f"{name}: an explanation of what is not there; remove it"
    for name, entries in KNOWN["code"].items():
        assert set(entries) <= set(precise(source(ROOT / name))), (
            f"{name}: an explanation of what is not there; remove it"
        )
    for entries in [*KNOWN["text"].values(), *KNOWN["code"].values()]:
        for number, reason in entries.items():
            assert isinstance(number, str) and reason.partition(":")[0] in kinds and len(reason) > 12, number


def test_a_number_that_is_a_sources_is_the_one_in_the_ledger():
    named = [(n, why) for of in KNOWN["code"].values() for n, why in of.items() if why.startswith("ledger: ")]
    assert named
    for number, why in named:
        claim = claims.load()[why.split(": ")[1]]
        bounds = [limit for part in readings(claim.rule).values() for limit in part["bound"].values()]
        assert f"{100 * float(number):g} %" in claim.paper or float(number) in bounds, why


def test_results_in_words_are_those_of_the_rows():
    results = {phrase for of in KNOWN["text"].values() for phrase, why in of.items() if why.startswith("result: ")}
    rows = records.read("multiverse")
    gains = [effects.outcomes(rows, "squared", function=name).reductions() for name in functions.FUNCTIONS]
    lowered = sum(np.mean(gain > 0) > 0.5 for gain in gains)
    assert results == {f"{WORDS[lowered - 1]} of the {WORDS[len(gains) - 1]}"}
    by_90 = claims.judge(claims.load()["table-by-90"].second, rows)
    assert "in no case do even a fifth of the choice sets reach 90 %" in prose(ROOT / "book" / "multiverse.ipynb")
    assert max(reading.value for reading in by_90.readings) < 0.2


# -- faults that must be found -----------------------------------------------------------------------------------------


@page
def test_a_typed_result_is_found_on_every_page(path, tmp_path):
    typed = "It lowers the loss by 37.42 %, to 4.217e-4, and wins on 17 of 40 seeds. Seven of the ten lose."
    copy = tmp_path / path.name
    if path.suffix == ".ipynb":
        notebook = nbformat.read(path, as_version=4)
        notebook.cells[0].source += "\n" + typed
        nbformat.write(notebook, copy)
    else:
        copy.write_text(path.read_text(encoding="utf-8") + "\n" + typed, encoding="utf-8")
    found = unexplained(copy, KNOWN["text"].get(path.stem, {}))
    assert {"37.42", "4.217e-4", "17 of 40", "Seven of the ten"} <= set(found)


def test_a_typed_result_in_code_is_found():
    assert list(precise("loss, rate, n = 4.217e-4, 1e-4, 4096\nwidth = 1_000.5")) == ["4.217e-4", "1_000.5"]


@pytest.mark.parametrize(
    "text, found", [("seeds 0 to 39, row 4, figure 2 (2018)", []), ("1. In 12,000 steps", ["12,000"])]
)
def test_places_and_years_are_no_measurements(text, found):
    assert numbers(text) == found
