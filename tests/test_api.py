"""The page on the package: what it documents has a summary, its parameters, an example and a place on the page."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import pydoc
import re
from html.parser import HTMLParser

import pytest
from sklearn.base import BaseEstimator
from sphinx.pycode import ModuleAnalyzer

import errref
from errref.widgets import Moving
from tests.conftest import ROOT
from tools.api import settings

PAGE = (ROOT / "book" / "api.md").read_text(encoding="utf-8")
ENTRIES = dict(re.findall(r"^\.\. auto(?:class|function|data):: ((errref\.[\w.]+)\.\w+)$", PAGE, flags=re.MULTILINE))
DATA = re.findall(r"^\.\. autodata:: (\S+)$", PAGE, flags=re.MULTILINE)
CALLED = [path for path in ENTRIES if path not in DATA]


def thing(path):
    return getattr(importlib.import_module(ENTRIES[path]), path.rpartition(".")[2])


def text_of(path):
    """The docstring of what is documented; of data, the comment above it."""
    if path in DATA:
        analyzer = ModuleAnalyzer.for_module(ENTRIES[path])
        return "\n".join(analyzer.find_attr_docs()["", path.rpartition(".")[2]])
    return inspect.getdoc(thing(path)) or ""


def sections(text):
    """The lines of each section of a docstring by its head."""
    parts = re.split(r"^(\w+)\n-+\n", text, flags=re.MULTILINE)
    return {head: body.splitlines() for head, body in zip(parts[1::2], parts[2::2], strict=True)}


def described(text):
    """Each name that a docstring describes, with what it says of its type."""
    lines = [line for head in ("Parameters", "Attributes") for line in sections(text).get(head, [])]
    heads = [line.partition(" : ") for line in lines if line and not line.startswith(" ")]
    return {name.lstrip("*"): kind for names, _, kind in heads for name in names.split(", ")}


def signature(path):
    """What something is called with, and the default of each as Python writes it, where it has one."""
    if inspect.isclass(thing(path)) and issubclass(thing(path), Moving):
        return settings(thing(path))
    parameters = inspect.signature(thing(path)).parameters.values()
    return {p.name: "" if p.default is p.empty else repr(p.default) for p in parameters}


def public():
    """Every estimator and every figure that moves of the package, but for those of the experiments."""
    for module in pkgutil.walk_packages(errref.__path__, "errref."):
        for name, value in vars(importlib.import_module(module.name)).items():
            kind = inspect.isclass(value) and issubclass(value, BaseEstimator | Moving) and value is not Moving
            if kind and value.__module__ == module.name and not name.startswith("_"):
                if not module.name.startswith("errref.experiments"):
                    yield value


# -- what stands in the docstrings -------------------------------------------------------------------------------------


def test_the_page_documents_each_thing_once():
    assert len(re.findall(r"^\.\. auto", PAGE, flags=re.MULTILINE)) == len(ENTRIES) > 60


def test_every_estimator_and_every_moving_figure_is_on_the_page():
    shown = [thing(path) for path in ENTRIES]
    missing = [f".. autoclass:: {kind.__module__}.{kind.__name__}" for kind in public() if kind not in shown]
    assert not missing, f"book/api.md lacks the lines {missing}"


@pytest.mark.parametrize("path", ENTRIES)
def test_a_summary_and_an_example(path):
    summary, _, rest = text_of(path).partition("\n")
    assert re.fullmatch(r"[^\s].*[.]", summary) and (not rest or rest.startswith("\n")), summary
    assert any(line.startswith(">>> ") for line in sections(text_of(path))["Examples"])


@pytest.mark.parametrize("path", ENTRIES)
def test_a_docstring_points_only_to_what_there_is(path):
    for name in re.findall(r"(?<!`)`(errref\.[\w.]+)`(?!`)", text_of(path)):
        assert pydoc.locate(name) is not None, name


@pytest.mark.parametrize("path", CALLED)
def test_every_parameter_is_described_with_its_default(path):
    said = described(text_of(path))
    for name, default in signature(path).items():
        assert name in said, f"{path} does not describe {name}"
        if stated := re.search(r"default[ =](\S+)$", said[name]):
            assert repr(ast.literal_eval(stated[1])) == default, f"{path}, {name}: {stated[0]}"


@pytest.mark.parametrize("path", CALLED)
def test_what_a_function_returns_is_described(path):
    if not inspect.isclass(thing(path)) and inspect.signature(thing(path)).return_annotation not in ("None", None):
        named = {"Returns", "Yields"} & set(sections(text_of(path)))
        assert named or path == "errref.exact.adam"  # which works in place


@pytest.mark.parametrize("path", [path for path in ENTRIES if path not in DATA and inspect.isclass(thing(path))])
def test_a_method_has_a_summary(path):
    for name, value in vars(thing(path)).items():
        if not name.startswith("_") and inspect.isfunction(value) and value.__module__.startswith("errref"):
            assert (inspect.getdoc(value) or "").partition("\n")[0].endswith("."), f"{path}.{name}"


@pytest.mark.parametrize("path", DATA)
def test_the_example_of_data_runs(path):
    module = importlib.import_module(ENTRIES[path])
    example = doctest.DocTestParser().get_doctest(text_of(path), dict(vars(module)), path, None, None)
    assert doctest.DocTestRunner().run(example).failed == 0


# -- the built page ----------------------------------------------------------------------------------------------------


class Outline(HTMLParser):
    """The anchors and the addresses of a page."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.addresses = set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors.add(found.get("id"))
        self.addresses.add(found.get("href"))


@pytest.fixture(scope="module")
def outline(whole_book):
    return Outline((whole_book / "book" / "api.html").read_text(encoding="utf-8"))


def test_the_page_shows_everything_at_its_anchor(outline):
    assert outline.anchors >= set(ENTRIES)


def test_everything_that_is_called_links_to_its_source(outline, whole_book):
    ends = [(address or "").partition("#")[::2] for address in outline.addresses]
    sources = {name: whole_book / "book" / file for file, name in ends if file.startswith("../_modules/")}
    assert sources.keys() >= {path.rpartition(".")[2] for path in CALLED} | {"ErrorReflectionRegressor.fit"}
    for file in set(sources.values()):
        assert file.stat().st_size < 2_000_000
