"""An nbval plugin: stored and fresh outputs are compared as numbers where they are floats, exactly everywhere else.

Two floats agree within a relative tolerance of 1e-5; a cell tagged `nbval-rtol=X` has another one. In a cell tagged
`nbval-loss` floats agree on the scale of losses: within 0.05 of log10, or if both are smaller than 1e-6. The numbers of
a figure are compared too, but not in a cell tagged `nbval-seconds`, whose figure shows times, nor where numerics moved.
Integers and words must be the same. Pictures and widget views are not compared.

Long training is chaotic: where a machine rounds otherwise than the one that executed a chapter, its fresh numbers move,
some by more than any tolerance. There the cells that show such numbers, which a tag `nbval-loss` or a larger tolerance
marks, are compared in their words alone, and a warning says so for each chapter.

A chapter that needs images is skipped, with a reason, on a machine that does not have them.

Loaded by `python -m pytest -p tests.nbval_tolerance`.
"""

import re
import warnings
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

from errref import experiments, recorded
from errref.agreement import LOSS_FACTOR, NO_LOSS
from errref.datasets import available
from errref.numerics import WITHOUT_TORCH

RTOL, ATOL = 1e-5, 1e-12
NEEDS = {"fashion": ("fashion-mnist",)}  # data sets that a chapter trains on, by chapter
PICTURES = ("image/svg+xml", "image/png", "image/jpeg", "application/vnd.jupyter.widget-view+json")
POINTS = re.compile(r"^mark,x,y", re.MULTILINE)  # the head of the numbers of a figure

# A float has a decimal point or an exponent, and is no part of a name or a version.
NUMBER = r"(?<![\w.])[-+]?(?:\d+\.\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+)(?!\d|\.\d)"
FLOAT = re.compile(NUMBER)
BETWEEN = re.compile(rf"[ \t]*{NUMBER}[ \t]*")  # blanks around a float may grow and shrink with its width
SIGNS = re.compile(r"[-+]?[\d.,]*\d(?:[eE][-+]?\d+)?|nan|inf")  # numbers of any kind
WHOLE = re.compile(r"[-+]?\d+\.")  # an integer at the end of a sentence


def numbers(text: str) -> list[float]:
    """The floats in a text."""
    return [float(found) for found in FLOAT.findall(text)]


def tolerance(value: float, rtol: float = RTOL, loss: bool = False) -> tuple[float, float]:
    """How far a fresh float may lie below and above a stored one."""
    if not loss:
        return (ATOL + rtol * abs(value),) * 2
    size = abs(value)
    nearer, farther = size - size / LOSS_FACTOR, size * LOSS_FACTOR - size
    if size < NO_LOSS:
        nearer, farther = size + NO_LOSS, max(farther, NO_LOSS - size)
    return (nearer, farther) if value >= 0 else (farther, nearer)


def close(reference: str, fresh: str, rtol: float = RTOL, loss: bool = False, words: bool = False) -> bool:
    """Whether two texts have the same words and integers, and floats that agree; or, if so asked, the same words."""
    if words:
        return SIGNS.sub(" ", reference).split() == SIGNS.sub(" ", fresh).split()
    if BETWEEN.split(reference) != BETWEEN.split(fresh):
        return False
    return all(
        _agree(old, new, rtol, loss) for old, new in zip(FLOAT.findall(reference), FLOAT.findall(fresh), strict=True)
    )


def _agree(reference: str, fresh: str, rtol: float, loss: bool) -> bool:
    if reference == fresh or (WHOLE.fullmatch(reference) and WHOLE.fullmatch(fresh)):
        return reference == fresh
    old, new = float(reference), float(fresh)
    below, above = tolerance(old, rtol, loss)
    return old - below <= new <= old + above


def settings(tags: Iterable[str], moved: bool = False) -> dict[str, Any]:
    """What the tags of a cell ask of `close`.

    ``moved`` says whether the chapter was executed on other numerics. Where it was, and a tag allows more than there is
    without one, only words are compared.
    """
    asked = next((float(tag[11:]) for tag in tags if tag.startswith("nbval-rtol=")), RTOL)
    loss = "nbval-loss" in tags
    if moved and (loss or asked > RTOL):
        return {"words": True}
    return {"rtol": asked, "loss": loss}


def parts_of(chapter: str) -> tuple[str, ...]:
    """The parts of the numerics that the numbers of a chapter depend on: those of its study, if it has one."""
    if chapter not in experiments.NAMES:
        return WITHOUT_TORCH
    configurations = experiments.load(chapter).configurations()
    return max((experiments.depends(chapter, config) for config in configurations), key=len)


@cache
def moved(path: Path) -> bool:
    """Whether a chapter was executed on a machine that rounds otherwise than this one; not if it does not tell."""
    told = nbformat.read(path, as_version=4).metadata.get("errref", {})
    if not told.get("numerics"):
        return False
    differs = recorded.moved(recorded.numerics_of(told), parts_of(path.stem))
    if differs:
        words = "the fresh numbers that long training makes are not compared with its own, only their words"
        warnings.warn(f"numerics moved ({', '.join(differs)}) since {path.name} was executed: {words}.", stacklevel=2)
    return bool(differs)


@cache
def measures(path: Path) -> bool:
    """Whether a chapter shows fresh numbers that a long training made: whether any of its cells has a tag for them."""
    cells = nbformat.read(path, as_version=4).cells
    return any(settings(cell.metadata.get("tags", []), moved=True).get("words") for cell in cells)


def texts(output: Mapping[str, Any]) -> list[str]:
    """The texts of a stored output that are compared: a stream, or each form of a result that is not a picture."""
    if output["output_type"] == "stream":
        return [output["text"]]
    return [text for form, text in output.get("data", {}).items() if form not in PICTURES and isinstance(text, str)]


class _Text(str):
    """A text that equals another if the two are close."""

    how: dict[str, Any]
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and close(self, other, **self.how)

    def __ne__(self, other: object) -> bool:
        return not self == other


def pytest_collectstart(collector: Any) -> None:
    if isinstance(collector, IPyNbFile):
        collector.skip_compare += PICTURES


def missing(chapter: str) -> list[str]:
    """The data sets that a chapter needs and this machine does not have."""
    return [name for name in NEEDS.get(chapter, ()) if available(name) is None]


def pytest_itemcollected(item: Any) -> None:
    if isinstance(item, IPyNbCell):
        if absent := missing(item.path.stem):
            item.add_marker(pytest.mark.skip(reason=f"{', '.join(absent)} is not here; `make data` fetches it"))
        if measures(item.path):
            item.add_marker(pytest.mark.numbers)
        tags, elsewhere = item.cell.metadata.get("tags", []), moved(item.path)
        how, differ = settings(tags, elsewhere), elsewhere or "nbval-seconds" in tags

        def sanitize(value: Any) -> Any:  # nbval passes everything that it compares through this
            if isinstance(value, str):
                if differ and POINTS.search(value):
                    return "the numbers of a figure"
                value = _Text(value)
                value.how = how
            return value

        item.sanitize = sanitize
