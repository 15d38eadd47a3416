"""Figures that a reader moves, in JupyterLab and, with no kernel, in the built book. One module per chapter.

A widget is one class with its JavaScript. All that it shows follows from the values that it keeps in step with Python,
so that its state, which a notebook stores, is the figure.
"""

from __future__ import annotations

import re
from importlib.resources import files
from posixpath import dirname, join, normpath
from typing import Any

from anywidget import AnyWidget

from errref.datasets import FUNCTIONS

IMPORT = re.compile(r'^import .* from "(\..*)";\n', re.MULTILINE)


def static(name: str) -> str:
    """Text of a file of `errref/static`."""
    return (files("errref") / "static" / name).read_text(encoding="utf-8")


def modules(name: str) -> list[str]:
    """The JavaScript modules that one of `errref/static` needs, each after those that it imports; itself last."""
    needed: dict[str, None] = {}
    for other in IMPORT.findall(static(name)):
        needed |= dict.fromkeys(modules(normpath(join(dirname(name), other))))
    return [*needed, name]


def script(name: str) -> str:
    """A module of `errref/static` and all that it imports as one script: the words for import and export fall away."""
    text = "\n".join(IMPORT.sub("", static(module)) for module in modules(name))
    return re.sub(r"^export (?!default)", "", text, flags=re.MULTILINE)


def synced(trait: Any) -> Any:
    """A value that Python and the script keep in step."""
    return trait.tag(sync=True)


def coefficients() -> dict[str, list[list[float]]]:
    """Coefficients of the functions of the table, by name: those left of 0 and those right of it, ascending."""
    return {name: [f.left.coef.tolist(), f.right.coef.tolist()] for name, f in FUNCTIONS.items()}


class Moving(AnyWidget):
    """What all figures that move share: the style sheet. A subclass brings its script, `_esm`."""

    _css = static("widgets/widgets.css")
