"""Execute the chapters, make what would differ without meaning the same, and tell which of them are stale.

    python tools/notebooks.py              execute the stale chapters
    python tools/notebooks.py NAME ...     execute these chapters
    python tools/notebooks.py --all        execute every chapter
    python tools/notebooks.py --check      name the stale, unexecuted or failing ones; exit 1 if there is any

Every executed notebook stores a hash of the sources and rows that it used: its own code, the modules of `errref` that it
imports, directly or through others, the ledger, and the results file of each experiment among them (all, for a page that
judges the whole ledger). A check never executes and never repairs anything.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
BOOK, PACKAGE = ROOT / "book", ROOT / "errref"
TIMEOUT = 300  # seconds a cell may take


def chapters() -> list[Path]:
    """The notebooks of the book, by name."""
    return sorted(BOOK.glob("*.ipynb"))


def _module_file(dotted: str) -> Path | None:
    path = ROOT / Path(*dotted.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.exists():
            return file
    return None


def _imports(source: str) -> set[Path]:
    """Files of `errref` that a piece of source imports."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {file for name in names if name.split(".")[0] == "errref" and (file := _module_file(name))}


def used(notebook: nbformat.NotebookNode) -> list[Path]:
    """The files that a chapter's numbers depend on: modules (transitively), ledger, rows."""
    todo = _imports(code(notebook))
    found: set[Path] = set()
    while todo:
        file = todo.pop()
        found.add(file)
        todo |= _imports(file.read_text(encoding="utf-8")) - found
    experiments = {f.stem for f in found if f.parent.name == "experiments"} - {"__init__"}
    if PACKAGE / "claims.py" in found:
        found.add(BOOK / "claims.yml")
        experiments = experiments or {f.stem for f in (ROOT / "results").glob("*.jsonl")}
    return sorted(found | {f for name in experiments if (f := ROOT / "results" / f"{name}.jsonl").exists()})


def code(notebook: nbformat.NotebookNode) -> str:
    """The code of a notebook as one piece of source."""
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")


def fingerprint(notebook: nbformat.NotebookNode) -> str:
    """Hash of a chapter's code and of every file that it uses."""
    digest = hashlib.sha256(code(notebook).encode())
    for file in used(notebook):
        digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def complaint(path: Path) -> str | None:
    """What is wrong with a stored chapter, in a sentence; None if nothing is."""
    notebook = nbformat.read(path, as_version=4)
    cells = [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]
    if any(o.output_type == "error" for c in cells for o in c.outputs):
        return f"{path.name} stores an error: mend the cell and run `make notebooks`."
    if any(c.execution_count is None for c in cells):
        return f"{path.name} has cells that were never executed: run `make notebooks`."
    if notebook.metadata.get("errref", {}).get("uses") != fingerprint(notebook):
        return f"{path.name} is stale: its code, the package, the ledger or the rows changed since it was executed. Run `make notebooks`."
    return None


def execute(path: Path) -> None:
    """Run a chapter top to bottom in its own folder and store it with its hash; a failing one is left as it was."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=TIMEOUT, kernel_name="python3", record_timing=False, resources={"metadata": {"path": str(BOOK)}}).execute()
    stabilise(notebook)
    notebook.metadata["errref"] = {"uses": fingerprint(notebook)}
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def stabilise(notebook: nbformat.NotebookNode) -> None:
    """Take out what differs from run to run without meaning: cell ids, versions of the interpreter, timings."""
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02d}"
        cell.metadata.pop("execution", None)


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
