"""A bar that shows how far a long computation is, and about how long it still takes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from tqdm import tqdm


def bar(iterable: Iterable, *, disable: bool = False, **settings: Any) -> tqdm:
    """A bar of tqdm over an iterable, where somebody may be looking on.

    On a terminal it is written to stderr. In a notebook it stands in the output of the cell while it lasts, and leaves
    nothing to see. Where a program executes the notebook there is none, since it would be stored. A front end says with
    each cell whether its user can be asked for input (``allow_stdin`` of Jupyter's messages): JupyterLab says yes;
    nbclient and nbval, which have no user, say no. Parameters as those of tqdm.
    """
    ipython = sys.modules.get("IPython")  # who works in a notebook has loaded it
    shell: Any = ipython and ipython.get_ipython()
    kernel = getattr(shell, "kernel", None)
    if kernel is None or disable:
        return tqdm(iterable, disable=disable, **settings)
    request = kernel.get_parent()
    if not request["content"].get("allow_stdin"):
        return tqdm(iterable, disable=True, **settings)
    place = _place(shell.display_pub.publish, request["header"]["msg_id"])
    return tqdm(iterable, **{**settings, "file": place, "leave": False, "position": 0, "ncols": 88})


class _Place:
    """A place in the output of a cell that shows the line which was written last; nothing, if it is blank."""

    encoding = "utf-8"

    def __init__(self, publish: Callable[..., None], name: str) -> None:
        self._publish, self._name = publish, {"display_id": name}
        publish({}, transient=self._name)

    def write(self, line: str) -> None:
        words = line.strip()
        self._publish({"text/plain": words} if words else {}, transient=self._name, update=True)

    def flush(self) -> None:
        """Do nothing: what is written is shown at once."""


_place = lru_cache(maxsize=1)(_Place)  # the bars of one cell come one after the other, and share one
