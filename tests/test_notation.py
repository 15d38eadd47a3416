"""The page of notation says what chapters and code have: symbols, equations, names, and the words of verdicts."""

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re
from functools import cache
from itertools import product

import nbformat
import numpy as np
import pytest
import yaml
from sklearn.tree import DecisionTreeClassifier

import errref
from errref import claims, digits, experiments, records
from errref.claims import Claim, Reading
from errref.experiments.intuition import FloorReluRegressor
from errref.isodata import Isodata
from errref.ledger import KINDS
from errref.networks import ReluRegressor
from errref.reflection import ErrorReflectionClassifier, ErrorReflectionRegressor
from tests.conftest import ROOT

PAGE = (ROOT / "book" / "notation.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
MATH, TOKEN = r"\$\$.*?\$\$|\$[^$]+\$", r"\\[A-Za-z]+|\S"


def table(section):
    """The lines of a section's table without its head, as lists of cells."""
    found = [line.split("|")[1:-1] for line in SECTIONS[section].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in found[2:]]


LETTERS = "Letters with several meanings"
TABLES = [name for name in SECTIONS if table(name) and name != LETTERS]
each_table = pytest.mark.parametrize("section", TABLES)

# -- the chapters ------------------------------------------------------------------------------------------------------


@cache
def text(chapter):
    """The prose of a chapter, with its formulas."""
    cells = nbformat.read(ROOT / "book" / f"{chapter}.ipynb", as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def tokens(formula):
    return " ".join(re.findall(TOKEN, formula.strip("$")))


@cache
def formulas(chapter):
    return " | ".join(tokens(found) for found in re.findall(MATH, text(chapter), re.DOTALL))


def has(chapter, symbol):
    """Whether a symbol stands in a formula of a chapter."""
    return re.search(rf"(?<!\S){re.escape(tokens(symbol))}(?!\S)", formulas(chapter)) is not None


@cache
def equations():
    """Label and chapter of every labelled equation."""
    pages = {path.stem: text(path.stem) for path in sorted((ROOT / "book").glob("*.ipynb"))}
    return [(label, name) for name, page in pages.items() for label in re.findall(r"^\$\$ \(([\w-]+)\)$", page, re.M)]


def linked(words):
    """The chapters that words link to, by their names or by an equation."""
    named = [dict(equations())[label] for label in re.findall(r"\{eq\}`([^`]+)`", words)]
    return {*re.findall(r"\]\((\w+)\)", words), *named}


def test_every_equation_that_is_named_exists_and_every_label_stands_once():
    assert len(dict(equations())) == len(equations())
    assert set(re.findall(r"\{eq\}`([^`]+)`", PAGE)) <= set(dict(equations()))


def test_every_chapter_is_linked():
    parts = yaml.safe_load((ROOT / "_toc.yml").read_text())["parts"]
    names = {chapter["file"].removeprefix("book/") for part in parts for chapter in part["chapters"]}
    assert linked(PAGE) == names - {"notation", "references"}


@each_table
def test_a_symbol_or_word_stands_in_the_chapters_that_are_linked_beside_it(section):
    for what, _, here, _, defined in table(section):
        chapters, symbols = linked(defined), re.findall(r"\$[^$]+\$", here)
        assert chapters, what
        for symbol in symbols:
            assert any(has(chapter, symbol) for chapter in chapters), f"{what}: {symbol}"
        for chapter in chapters if symbols else ():
            assert any(has(chapter, symbol) for symbol in symbols), f"{what}: {chapter}"
        for words in re.split(r"[,;](?!\d)", re.sub(r"\$[^$]+\$", "", here)):
            assert any(words.strip(" –").lower() in text(chapter).lower() for chapter in chapters), f"{what}: {words}"


def test_a_letter_stands_in_every_chapter_that_gives_it_a_meaning():
    for letter, meanings in table(LETTERS):
        assert not [chapter for chapter in linked(meanings) if not has(chapter, letter)], letter
        assert linked(meanings) and ("," in meanings or ";" in meanings), letter


# -- the code ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def modules():
    """Import the whole package, so that every module is an attribute of the package that it lies in."""
    for module in pkgutil.walk_packages(errref.__path__, "errref."):
        importlib.import_module(module.name)


@cache
def fitted(kind):
    """A fitted estimator of a class, which has all its attributes."""
    arguments = {
        ErrorReflectionRegressor: {"estimator": ReluRegressor(2, steps=1)},
        ErrorReflectionClassifier: {"estimator": DecisionTreeClassifier(max_depth=1)},
        FloorReluRegressor: {},
        Isodata: {"n_clusters": 2},
        ReluRegressor: {"steps": 1},
    }
    return kind(**arguments[kind], random_state=0).fit(np.linspace(-1, 1, 16)[:, None], np.arange(16) % 2)


def attribute(owner, name):
    """An attribute of a module, of a class or of its fitted estimator; the type of a field that has no default."""
    if not hasattr(owner, name) and dataclasses.is_dataclass(owner):
        return {field.name: field.type for field in dataclasses.fields(owner)}[name]
    return getattr(owner if hasattr(owner, name) or not hasattr(owner, "fit") else fitted(owner), name)


def found(path, *owners):
    """What a dotted name stands for, of the first owner that has it."""
    for owner in owners:
        try:
            value = owner
            for name in path.split("."):
                value = attribute(value, name)
            return value
        except (AttributeError, KeyError):
            continue
    raise AssertionError(f"there is no {path}")


@cache
def recorded(chapter, part):
    """Names of all settings, or of all numbers, in the rows of a chapter."""
    return {name for row in records.read(chapter) for name in getattr(row, part)}


@each_table
def test_a_name_of_code_exists(section):
    said = re.search(r"Names without a module .*? of `([\w.]+)`", SECTIONS[section])
    owners = [*([found(said[1], errref, experiments)] if said else []), errref, experiments]
    for what, _, _, code, defined in table(section):
        names = re.findall(r"`([^`]+)`", code)
        assert names, what
        for name in names:
            path, parameter, keys = re.fullmatch(r"([\w.]+)(?:\((\w+)\))?((?:\[[^\]]+\])*)", name).groups()
            keys = [ast.literal_eval(key) for key in re.findall(r"\[([^\]]+)\]", keys)]
            if path in ("config", "numbers"):
                assert any(keys[0] in recorded(chapter, path) for chapter in linked(defined)), name
                continue
            value = found(path, *owners)
            for key in keys:
                value = value[key]
            assert parameter is None or parameter in inspect.signature(value).parameters, name


def test_both_estimators_have_what_the_table_says_of_one():
    names = [name for line in table("Error reflection") for name in re.findall(r"`(\w+)`", line[3])]
    assert "gate_" in names and not [n for n in names if not hasattr(fitted(ErrorReflectionClassifier), n)]


# -- the words of verdicts ---------------------------------------------------------------------------------------------

# What the page says of each word: by the kind of claim, and by how many readings hold, do not hold and are open.
MEANS = {
    "reproduced": lambda kind, yes, no, undecided: kind in ("measured", "derived") and yes and not no + undecided,
    "partly": lambda kind, yes, no, undecided: kind in ("measured", "derived") and yes and no,
    "not reproduced": lambda kind, yes, no, undecided: kind == "measured" and not yes + undecided,
    "refuted": lambda kind, yes, no, undecided: kind == "derived" and not yes + undecided,
    "possible": lambda kind, yes, no, undecided: kind == "hypothesis" and yes and (no or not undecided),
    "not possible": lambda kind, yes, no, undecided: kind == "hypothesis" and not yes + undecided,
    "open": lambda kind, yes, no, undecided: undecided and not (yes and no),
}
JUDGED = [kind for kind in KINDS if kind != "untestable"]
OUTCOMES = [list(holds) for n in (1, 2, 3, 4) for holds in product((True, False, None), repeat=n)]


def claim(kind):
    return Claim("one", "paper", "sec. 1", "It is so.", kind, "functions")


@pytest.mark.parametrize("kind", JUDGED)
def test_the_code_gives_each_word_where_the_page_says(kind):
    for holds in OUTCOMES:
        words = [word for word, means in MEANS.items() if means(kind, *map(holds.count, (True, False, None)))]
        assert words == [claims.word_of(kind, holds)], holds


def test_the_verdicts_of_the_page_are_the_words_that_the_code_can_give():
    (glossary,) = re.findall(r"```\{glossary\}\n(.*?)```", SECTIONS["Verdicts"], re.DOTALL)
    given = {claims.word_of(kind, holds) for kind in JUDGED for holds in OUTCOMES}
    given |= {claims.judge(claim(kind), []).word for kind in KINDS}
    assert sorted(re.findall(r"^(\w.*)$", glossary, re.MULTILINE)) == sorted(given) == sorted([*MEANS, "not testable"])
    assert len(given) == 8 and "one of eight words" in SECTIONS["Verdicts"]


def test_what_cannot_be_tested_has_no_rule_and_a_claim_without_a_rule_is_open():
    assert all(c.rule is None for c in claims.load().values() if c.kind == "untestable")
    assert claims.judge(claim("untestable"), []).word == "not testable"
    assert {claims.judge(claim(kind), []).word for kind in JUDGED} == {"open"}


def test_the_page_has_the_kinds_of_claims_and_the_words_for_a_reading():
    words = {digits.holds(Reading("a", None, None, None, holds)) for holds in (True, False, None)}
    assert set(re.findall(r"\*\*(.+?)\*\*", SECTIONS["Verdicts"])) == words | {"full scope"}
    assert set(KINDS) <= set(re.findall(r"(?<!\*)\*(\w+)\*(?!\*)", SECTIONS["Verdicts"]))
