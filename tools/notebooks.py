"""Execute the chapters, make what would differ without meaning the same, and tell which of them are stale.

    python tools/notebooks.py              execute the stale chapters
    python tools/notebooks.py NAME ...     execute these chapters
    python tools/notebooks.py --all        execute every chapter
    python tools/notebooks.py --check      name the stale, unexecuted or failing ones; exit 1 if there is any

Every executed notebook stores a hash of what its numbers depend on: its own code, the modules of `errref` that it
imports, directly or through others, the style sheet and scripts beside them, the ledger, and the results files of each
experiment among them (of all experiments, for a page that judges the whole ledger). Beside it stands where and when it
was executed, which makes nothing stale. A check never executes and never repairs anything.
"""

from __future__ import annotations

import argparse
import ast
import base64
import hashlib
import io
import json
import re
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
from joblib import cpu_count
from nbclient import NotebookClient
from PIL import Image

from errref.numerics import PARTS, numerics
from errref.provenance import machine, software

ROOT = Path(__file__).parent.parent
TIMEOUT = 300  # seconds a cell may take
WIDGET = "application/vnd.jupyter.widget-"
READS = {  # what a page reads besides: by what its code says
    "from tools import systems": ("tools/systems.py", "book/systems.yml"),
    "faults.csv": ("tools/faults.py", "tests/faults.yml", "tests/faults.csv"),
}
TOLD = {"package", "source", "machine", "numerics", "device", "threads", "start", "seconds"}  # of an execution


def chapters() -> list[Path]:
    """The notebooks of the book, by name."""
    return sorted((ROOT / "book").glob("*.ipynb"))


# -- what a chapter depends on -----------------------------------------------------------------------------------------


def code(notebook: nbformat.NotebookNode) -> str:
    """The code of a notebook as one piece of source."""
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")


@cache
def imported(source: str) -> frozenset[str]:
    """Dotted names of `errref` that a piece of source imports."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name for name in names if name.split(".")[0] == "errref")


def files_of(names: Iterable[str]) -> set[Path]:
    """Source files of modules, with the packages around them; what a module contains has no file of its own."""
    parts = {tuple(name.split(".")[:end]) for name in names for end in range(1, name.count(".") + 2)}
    paths = [ROOT.joinpath(*p) for p in parts]
    return {file for path in paths for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()}


def used(notebook: nbformat.NotebookNode) -> list[Path]:
    """The files that a chapter's numbers depend on: modules (transitively), what is drawn with, ledger, rows."""
    package, todo = ROOT / "errref", files_of(imported(code(notebook)))
    studies = {p for p in (package / "experiments").glob("*.py") if p.stem != "__init__"}
    found: set[Path] = set()
    while todo:
        found |= todo
        todo = files_of(name for file in todo for name in imported(file.read_text(encoding="utf-8"))) - found
        if not todo and package / "claims.py" in found and not found & studies:
            todo = set(studies)  # a page that judges the whole ledger
    if package / "claims.py" in found:
        found.add(ROOT / "book" / "claims.yml")
    if package / "figures" / "__init__.py" in found:
        found |= set((package / "static").glob("*.mplstyle"))
    if package / "widgets" / "__init__.py" in found:
        found |= {file for end in ("js", "css") for file in (package / "static").rglob(f"*.{end}")}
    rows = {ROOT / "results" / f"{study.stem}.{end}" for study in studies & found for end in ("jsonl", "jsonl.gz")}
    read = {ROOT / file for words, files in READS.items() if words in code(notebook) for file in files}
    return sorted(found | {file for file in rows | read if file.exists()})


def fingerprint(notebook: nbformat.NotebookNode) -> str:
    """Hash of a chapter's code and of every file that it uses."""
    digest = hashlib.sha256(code(notebook).encode())
    for file in used(notebook):
        digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def complaint(path: Path) -> str | None:
    """What is wrong with a stored chapter, in a sentence; None if nothing is."""
    try:
        notebook = nbformat.read(path, as_version=4)
        now = fingerprint(notebook)
    except (nbformat.reader.NotJSONError, SyntaxError) as error:
        return f"{path.name} is not a notebook of plain Python ({error}): mend it and run `make notebooks`."
    cells = [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]
    if any(o.output_type == "error" for c in cells for o in c.outputs):
        return f"{path.name} stores an error: mend the cell and run `make notebooks`."
    if any(c.execution_count is None for c in cells):
        return f"{path.name} has cells that were never executed: run `make notebooks`."
    if notebook.metadata.get("errref", {}).get("uses") != now:
        what = "its code, the package, the ledger or the rows"
        return f"{path.name} is stale: {what} changed since it was executed. Run `make notebooks`."
    if not TOLD <= notebook.metadata.errref.keys():
        return f"{path.name} does not say where and when it was executed: run `make notebooks`."
    return None


# -- executing ---------------------------------------------------------------------------------------------------------


def execute(path: Path) -> None:
    """Run a chapter top to bottom in its own folder and store it with its hash; a failing one is left as it was."""
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(path.parent)}}
    run, clock = circumstances(), time.monotonic()
    NotebookClient(notebook, timeout=TIMEOUT, kernel_name="python3", record_timing=False, resources=where).execute()
    run["seconds"] = round(time.monotonic() - clock, 1)
    notebook = stabilise(notebook)
    notebook.metadata["errref"] = {"uses": fingerprint(notebook), **run}
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def circumstances() -> dict[str, Any]:
    """Where and with what a chapter is executed, and when that starts, in the words of a run of `errref.records`."""
    from errref.networks import device_name  # this takes seconds, and a check does not need it

    where = {"machine": machine(), "numerics": numerics(PARTS), "device": device_name(), "threads": cpu_count()}
    return {**software(), **where, "start": datetime.now(UTC).isoformat(timespec="seconds")}


def stabilise(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Take out what differs from run to run without meaning: ids of cells and widgets, the interpreter, timings.

    Pictures are made lighter.
    """
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02d}"
        cell.metadata.pop("execution", None)
        for data in [o.data for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]:
            data["image/png"] = lighter(data["image/png"])
    new = {old: f"{k:032x}" for k, old in enumerate(_widgets(notebook))}
    text = re.sub("|".join(new) or "$^", lambda match: new[match[0]], nbformat.writes(notebook))
    return nbformat.reads(text, as_version=4)


def lighter(png: str) -> str:
    """The same picture in 256 colours, which nobody sees and which weighs a third; a PNG as base64."""
    picture = Image.open(io.BytesIO(base64.b64decode(png)))
    if picture.mode == "P":
        return png
    small = io.BytesIO()
    picture.convert("RGB").quantize(256, kmeans=2).save(small, "PNG", optimize=True)
    return base64.b64encode(small.getvalue()).decode("ascii")


def _widgets(notebook: nbformat.NotebookNode) -> list[str]:
    """Ids of the stored widget models: those that a cell shows, what these refer to, then the rest by content."""
    state = notebook.metadata.get("widgets", {}).get(WIDGET + "state+json", {}).get("state", {})
    text = {model: json.dumps(state[model], sort_keys=True) for model in state}
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    shown = [o.data[WIDGET + "view+json"]["model_id"] for o in outputs if WIDGET + "view+json" in o.get("data", {})]
    order: list[str] = []
    while shown:
        model = shown.pop(0)
        if model in state and model not in order:
            order.append(model)
            shown += re.findall(r"IPY_MODEL_(\w+)", text[model])
    return order + sorted(set(state) - set(order), key=lambda model: re.sub(r"IPY_MODEL_\w+", "", text[model]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="chapters to execute, without .ipynb")
    parser.add_argument("--all", action="store_true", help="execute every chapter")
    parser.add_argument("--check", action="store_true", help="only say what is stale, unexecuted or failing")
    given = parser.parse_args()
    found = {path: complaint(path) for path in chapters()}
    if given.check:
        for sentence in filter(None, found.values()):
            print(sentence, file=sys.stderr)
        return int(any(found.values()))
    unknown = set(given.names) - {path.stem for path in found}
    if unknown:
        parser.error(f"no chapter {', '.join(sorted(unknown))}; known are {', '.join(p.stem for p in found)}")
    for path, sentence in found.items():
        if given.all or path.stem in given.names or (sentence and not given.names):
            print(f"executing {path.name}", flush=True)
            execute(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
