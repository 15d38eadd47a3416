"""A Sphinx extension: how the page on the package shows a class."""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from typing import Any

from docutils.nodes import Element, Text, paragraph
from sphinx.application import Sphinx
from sphinx.ext.autodoc import ClassDocumenter
from sphinx.ext.napoleon import NumpyDocstring
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docstrings import prepare_docstring
from traitlets import DefaultHandler, HasTraits

PACKAGE = "errref"


class OwnClass(ClassDocumenter):
    """A class with what the package itself defines of it, inherited or not, in the order of the source."""

    def filter_members(self, members: list[Any], want_all: bool) -> list[tuple[str, Any, bool]]:
        """Leave out what comes from other packages."""
        own = {name for cls in self.object.__mro__ if is_own(cls) for name in vars(cls)}
        own -= set(getattr(self.object, "_fields", ()))  # of a named tuple: its docstring has them
        return super().filter_members([m for m in members if m.__name__ in own and is_own(m.object)], want_all)

    def sort_members(self, documenters: list[tuple[Any, bool]], order: str) -> list[tuple[Any, bool]]:
        """Put what a base class defines before what the class adds."""
        names = list(dict.fromkeys(name for cls in reversed(self.object.__mro__) for name in vars(cls)))
        return sorted(documenters, key=lambda entry: names.index(entry[0].name.rpartition(".")[2]))

    def format_args(self, **kwargs: Any) -> str:
        """Show the settings of a widget, whose signature does not name them."""
        if not issubclass(self.object, HasTraits):
            return super().format_args(**kwargs)
        given = settings(self.object)
        needed = [name for name, default in given.items() if not default]
        return f"({', '.join([*needed, '*', *(f'{name}={default}' for name, default in given.items() if default)])})"


def is_own(thing: Any) -> bool:
    """Whether something comes from the package, as far as it says."""
    return getattr(thing, "__module__", PACKAGE).partition(".")[0] == PACKAGE


def settings(widget: type[HasTraits]) -> dict[str, str]:
    """What a widget is made with, and the default of each in the words of Python.

    It is "..." where it is computed, and empty for what must be given.
    """
    needed = [p.name for p in signature(widget).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    own = widget.class_own_traits(sync=True)
    computed = {handler.trait_name for handler in vars(widget).values() if isinstance(handler, DefaultHandler)}
    names = [name for name in vars(widget) if name in own and not name.startswith("_")]
    return dict.fromkeys(needed, "") | {n: "..." if n in computed else repr(own[n].default()) for n in names}


def keep_quotes(app: Sphinx, domain: str, kind: str, content: Element) -> None:
    """Leave the quotes of a docstring straight, since they stand around what one types; its dashes become dashes."""
    for node in content.findall(Element):
        node["support_smartquotes"] = False
    for text in [text for text in content.findall(Text) if isinstance(text.parent, paragraph)]:
        text.parent.replace(text, Text(text.replace(" -- ", " – ")))


def keep_words(app: Sphinx, kind: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Show the docstring of a property as it is: napoleon takes words before a colon for its type."""
    if kind == "property":
        lines[:] = NumpyDocstring(prepare_docstring(thing.__doc__), app.config).lines()


def find_source(app: Sphinx, name: str) -> tuple[str, dict[str, tuple[str, int, int]]]:
    """The code of a module, and where in it things stand; what a class inherits stands where it is defined."""
    analyzer = ModuleAnalyzer.for_module(name)
    analyzer.find_tags()
    tags = dict(analyzer.tags)
    for cls in [thing for thing in vars(import_module(name)).values() if isinstance(thing, type)]:
        for base in cls.__mro__:
            for member in vars(base):
                if (there := f"{base.__name__}.{member}") in analyzer.tags and base.__module__ == name:
                    tags.setdefault(f"{cls.__name__}.{member}", analyzer.tags[there])
    return analyzer.code, tags


def setup(app: Sphinx) -> dict[str, Any]:
    """Have Sphinx show classes so."""
    app.setup_extension("sphinx.ext.autodoc")
    app.setup_extension("sphinx.ext.viewcode")
    app.add_autodocumenter(OwnClass, override=True)
    app.connect("autodoc-process-docstring", keep_words, priority=600)  # after napoleon
    app.connect("object-description-transform", keep_quotes)
    app.connect("viewcode-find-source", find_source)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
