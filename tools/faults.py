"""Plant faults in a copy of the project, one at a time, and see whether the tests that are named for them fail.

    python -m tools.faults              run what the table lacks, or has otherwise
    python -m tools.faults PATTERN ...  run these, such as isodata-split or "exact-*"
    python -m tools.faults --all        run everything again
    python -m tools.faults --list       only say what there is
    python -m tools.faults --seed N     the same for a draw of mutants of your own, in the place of all these

What to plant stands in `tests/faults.yml`: faults planted by hand, and two draws of mutants, which the operators of
cosmic-ray make: a known one, for whose survivors tests were written, and a fresh one, for which no test was written, of
the whole package. The outcome of each goes into `tests/faults.csv` as soon as it is known, so that a run can be stopped
and goes on. A draw by another seed has as many mutants of each module as the fresh one, and a table of its own,
`_build/faults-N.csv`.

caught     a named test failed, and it passes without the fault
hung       the named tests did not end in time, and were stopped
crashed    the interpreter did not survive them
survived   they passed
broken     none of them could be run, since the fault does not even let the test file be read: this is no catch
skipped    this machine lacks what they need
"""

from __future__ import annotations

import argparse
import ast
import csv
import hashlib
import importlib.metadata
import io
import os
import platform
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path

import yaml

from errref.rowfiles import replace
from errref.statistics import proportion
from tools.archive import sources

ROOT = Path(__file__).parent.parent
PLAN, TABLE = ROOT / "tests" / "faults.yml", ROOT / "tests" / "faults.csv"
COLUMNS = ("kind", "seed", "id", "file", "before", "after", "tests", "outcome", "by", "seconds", "date", "software")
KILLED = ("caught", "hung", "crashed")
NO_SURVIVOR = (*KILLED, "broken")  # whole test files that cannot be read do not go unnoticed
MATTERS = ("numpy", "numba", "scikit-learn", "pytest", "cosmic_ray")
TIMEOUT = 300  # seconds that the named tests of one fault may take
# Operators that are left out: floats refuse these at once, which tests no test; and the last fails on tuples.
LEFT_OUT = ("LShift", "RShift", "BitOr", "BitAnd", "BitXor", "ExceptionReplacer")


@dataclass(frozen=True)
class Fault:
    """One change of one file, and the tests that must fail for it.

    Parameters
    ----------
    id, file : str
    old, new : str
        What is replaced, and by what. Without ``which``, ``old`` stands exactly once in the file.
    tests : tuple of str
        As pytest takes them.
    which : int or None
        Which of several places, from 1.
    line : int or None
        In the place of ``old``: the whole line of that number is replaced.
    means : str
        One sentence; a mutant has none.
    seed : int or None
        Of the draw that a mutant is from.
    """

    id: str
    file: str
    new: str
    tests: tuple[str, ...]
    old: str = ""
    which: int | None = None
    line: int | None = None
    means: str = ""
    seed: int | None = None

    @property
    def change(self) -> dict[str, str]:
        """What the table says of it, from which a changed fault is told."""
        place = f" (place {self.which})" if self.which else ""
        before = f"line {self.line}" if self.line else self.old.strip() + place
        draw = {
            "kind": "planted" if self.seed is None else "machine",
            "seed": "" if self.seed is None else str(self.seed),
        }
        texts = {"id": self.id, "file": self.file, "before": before, "after": self.new.strip()}
        return draw | texts | {"tests": " ".join(self.tests)}


def planted(fault: Fault, text: str) -> str:
    """The text of a file with the fault in it."""
    if fault.line:
        lines = text.splitlines(keepends=True)
        lines[fault.line - 1] = fault.new
        return "".join(lines)
    pieces = text.split(fault.old)
    found, place = len(pieces) - 1, fault.which or 1
    if found < place or (fault.which is None and found != 1):
        wanted = f"at least {place} times" if fault.which else "once"
        raise ValueError(
            f"{fault.id}: its old text stands {found} times in {fault.file}, not {wanted}; mend {PLAN.name}."
        )
    return fault.old.join(pieces[:place]) + fault.new + fault.old.join(pieces[place:])


# -- what is planted ---------------------------------------------------------------------------------------------------


def plan() -> dict:
    """The content of `tests/faults.yml`: ``planted``; ``draws``, ``machine``; ``survivors`` and ``holes``, in words."""
    return yaml.safe_load(PLAN.read_text(encoding="utf-8"))


def by_hand() -> list[Fault]:
    """The faults planted by hand."""
    return [Fault(**{**entry, "tests": tuple(entry["tests"])}) for entry in plan()["planted"]]


def by_machine() -> list[Fault]:
    """The mutants of both draws of the plan."""
    known = known_draw()
    return [*known, *fresh_draw(known)]


def known_draw() -> list[Fault]:
    """The mutants for whose survivors tests were written."""
    wanted = plan()
    return [
        mutant
        for file, how in wanted["machine"].items()
        for mutant in mutants(file, how.get("known", 0), wanted["draws"]["known"]["seed"], tuple(how["tests"]))
    ]


def fresh_draw(known: Iterable[Fault], seed: int | None = None) -> list[Fault]:
    """Mutants of the whole package that are no fault of the others; None: by the seed of the plan."""
    wanted, others = plan(), [fault for fault in (*by_hand(), *known) if fault.file.endswith(".py")]
    without = {_meaning(planted(fault, (ROOT / fault.file).read_text(encoding="utf-8"))) for fault in others}
    seed = wanted["draws"]["fresh"]["seed"] if seed is None else seed
    return [
        mutant
        for file, how in wanted["machine"].items()
        for mutant in mutants(file, how["fresh"], seed, tuple(how["tests"]), without)
    ]


def mutants(
    file: str, count: int, seed: int, tests: tuple[str, ...] = (), without: Collection[str | None] = ()
) -> list[Fault]:
    """Mutants of a module that the operators of cosmic-ray make, each at another place of it.

    The hash of the seed, the line and the place in the line decides which places are taken and by which operator. So
    the same ones are drawn every time, and a change of the module changes only those in the lines that it touches.
    Those that mean the same as one of ``without`` are passed over.
    """
    from cosmic_ray.mutating import mutate_code  # here, since it loads plugins, and not every use needs it
    from cosmic_ray.plugins import get_operator

    text, found = (ROOT / file).read_text(encoding="utf-8"), list[Fault]()
    for place, ways in sorted(_places(text).items(), key=lambda item: _drawn(seed, item[0])) if count else ():
        if len(found) == count:
            break
        name, occurrence = min(ways, key=lambda way: _drawn(seed, (place, way[0], ways.index(way))))
        code = mutate_code(text, get_operator(name)(), occurrence)
        if _meaning(code) not in (None, _meaning(text), *without):
            found.append(_difference(text, code, file, seed, tests))
    return found


def _drawn(seed: int, what: object) -> str:
    return hashlib.sha256(f"{seed} {what}".encode()).hexdigest()


def _places(text: str) -> dict[tuple[str, int, int, int], list[tuple[str, int]]]:
    """Operators that can change a place, with its number among the places of each.

    A place is a line, how often the same line stood before it, and from where to where.
    """
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    lines, nodes = text.splitlines(), list(ast_nodes(get_ast(text)))
    ways: dict[tuple[str, int, int, int], list[tuple[str, int]]] = {}
    for name in operator_names():
        operator = get_operator(name)
        if operator.arguments() or name.endswith(LEFT_OUT):
            continue
        positions = (position for node in nodes for position in operator().mutation_positions(node))
        for occurrence, ((row, start), (_, end)) in enumerate(positions):
            line = lines[row - 1]
            place = (line.strip(), lines[: row - 1].count(line), start, end)
            ways.setdefault(place, []).append((name, occurrence))
    return ways


class _Hints(ast.NodeTransformer):
    """Takes type hints away, which nothing executes."""

    def visit_arg(self, node):
        node.annotation = None
        return node

    def visit_FunctionDef(self, node):
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node):
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)


def _meaning(code: str) -> str | None:
    """What sources have in common that do the same, whatever their layout and type hints; None if it is no source."""
    try:
        return ast.dump(_Hints().visit(ast.parse(code)))
    except SyntaxError:
        return None


def _difference(text: str, code: str, file: str, seed: int, tests: tuple[str, ...]) -> Fault:
    """The fault that makes one source of the other: the lines that differ."""
    old, new = text.splitlines(keepends=True), code.splitlines(keepends=True)
    start = next(k for k, (a, b) in enumerate(zip(old, new, strict=False)) if a != b)
    end = next(k for k, (a, b) in enumerate(zip(old[::-1], new[::-1], strict=False)) if a != b)
    before, after = "".join(old[start : len(old) - end]), "".join(new[start : len(new) - end])
    which = "".join(old[:start]).count(before) + 1
    module = "-".join(part for part in Path(file).with_suffix("").parts if part != "errref")
    name = f"{module}-{_drawn(which, before + after)[:6]}"
    return Fault(name, file, after, tests, before, which if text.count(before) > 1 else None, seed=seed)


# -- planting and testing ----------------------------------------------------------------------------------------------


@contextmanager
def copy_of_project() -> Iterator[Path]:
    """A temporary folder with all files that are in version control, or would be with the next commit."""
    with tempfile.TemporaryDirectory(prefix="errref-faults-") as folder:
        tree = Path(folder) / "project"
        for name in sources(ROOT, untracked=True):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
        yield tree


@contextmanager
def with_fault(fault: Fault, tree: Path) -> Iterator[None]:
    """The fault is in the copy, and afterwards it is not; the file is then as old as it was, for what is cached."""
    path = tree / fault.file
    text, age = path.read_text(encoding="utf-8"), path.stat().st_mtime_ns
    path.write_text(planted(fault, text), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(text, encoding="utf-8")
        os.utime(path, ns=(age, age))


def outcome(tree: Path, tests: Sequence[str], timeout: float = TIMEOUT, **variables: str) -> tuple[str, str]:
    """What becomes of some tests in the copy, in the words at the head of this file; and which of them failed first."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-rfE",
        "--tb=no",
        "-p",
        "no:cacheprovider",
        "-m",
        "not long",
    ]
    if any(test.startswith("errref/") for test in tests):
        command += ["--doctest-modules"]
    if not any(".ipynb" in test for test in tests):
        # What compares chapters, and what no named test needs, takes as long to load as most of them take to run.
        command += ["-o", "addopts=--strict-markers", "-p", "no:nbval", "-p", "no:hypothesispytest"]
    environment = {**os.environ, "PYTHONPATH": str(tree), **variables}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    run = subprocess.Popen([*command, *tests], cwd=tree, env=environment, start_new_session=True, **pipes)
    try:
        said, _ = run.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        return "hung", ""
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)  # with all that the tests started
            run.wait()
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+?::.+?)(?: - .*)?$", said, re.MULTILINE)  # a file alone was not read
    if run.returncode == 1 and failed:
        return "caught", failed[0]
    if run.returncode < 0:  # by a signal, such as that of a write into memory that is not its own
        return "crashed", ""
    if run.returncode == 0:
        return ("survived" if re.search(r"\b\d+ passed", said) else "skipped"), ""
    return "broken", ""


def _processor() -> float:
    """Seconds of processor time that ended processes have taken: unlike a clock, other work does not slow it down."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def tried(faults: Iterable[Fault]) -> Iterator[dict[str, str]]:
    """Plant each fault in a copy of the project; yield its line of the table.

    Compiled code is kept in a cache by the file that it stands in, although it holds code of other files too. So what
    changes a file with compiled code is tested with an empty cache.
    """
    faults, software = list(faults), " ".join(f"{name} {importlib.metadata.version(name)}" for name in MATTERS)
    with copy_of_project() as tree:
        warm = str(tree.with_name("warm"))
        named = sorted({test for fault in faults for test in fault.tests})
        word, test = outcome(tree, named, timeout=1800, NUMBA_CACHE_DIR=warm)
        if word not in ("survived", "skipped"):
            raise RuntimeError(
                f"Without any fault the named tests do not pass ({word}): {test or 'none ran'}. Mend that."
            )
        for fault in faults:
            compiled = re.search(r"^@(compiled|kernel)", (tree / fault.file).read_text(encoding="utf-8"), re.MULTILINE)
            before = _processor()
            with with_fault(fault, tree), tempfile.TemporaryDirectory(dir=tree.parent) as cold:
                caches = {"NUMBA_CACHE_DIR": cold if compiled else warm, "PYTHONDONTWRITEBYTECODE": "1"}
                word, test = outcome(tree, fault.tests, **caches)
            told = {"outcome": word, "by": test, "seconds": f"{_processor() - before:.1f}"}
            when = {
                "date": f"{datetime.now(UTC):%Y-%m-%d}",
                "software": f"python {platform.python_version()} {software}",
            }
            yield fault.change | told | when


# -- the table ---------------------------------------------------------------------------------------------------------


def table(path: Path = TABLE) -> list[dict[str, str]]:
    """The lines of a table."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(lines: Iterable[dict[str, str]], path: Path = TABLE) -> None:
    """Write a table, whole or not at all."""
    text = io.StringIO()
    out = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    out.writeheader()
    out.writerows(lines)
    path.parent.mkdir(exist_ok=True)
    replace(path, text.getvalue().encode())


def known(faults: Iterable[Fault], path: Path = TABLE) -> dict[str, dict[str, str]]:
    """Lines of a table by id, of faults that are still the same."""
    lines = {line["id"]: line for line in table(path)}
    return {f.id: lines[f.id] for f in faults if f.id in lines and f.change.items() <= lines[f.id].items()}


def kill_rate(lines: Iterable[dict[str, str]]) -> str:
    """How many were killed of those that count, which broken and skipped ones do not; with the interval at 95 %."""
    counts = Counter(line["outcome"] for line in lines)
    killed = sum(counts[word] for word in KILLED)
    judged = killed + counts["survived"]
    if not judged:
        return "none that counts"
    low, high = proportion(killed, judged, 0.95)
    return f"{killed} of {judged} killed: {100 * killed / judged:.1f} %, interval {100 * low:.1f} to {100 * high:.1f} %"


def summary(lines: Collection[dict[str, str]]) -> Iterator[str]:
    """What became of the faults, and the kill rate of each draw."""
    for seed in sorted({line["seed"] for line in lines}):
        some = [line for line in lines if line["seed"] == seed]
        counts = ", ".join(f"{n} {word}" for word, n in Counter(line["outcome"] for line in some).most_common())
        yield f"{f'mutants drawn by {seed}' if seed else 'planted by hand'}: {counts}; {kill_rate(some)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*", metavar="PATTERN", help="ids of faults; * stands for anything")
    parser.add_argument("--all", action="store_true", help="run everything again")
    parser.add_argument("--list", action="store_true", help="only say what there is")
    parser.add_argument("--seed", type=int, metavar="N", help="draw mutants by this seed, and plant no other fault")
    given = parser.parse_args()
    if given.seed is None:
        faults, path = [*by_hand(), *by_machine()], TABLE
    else:
        faults, path = fresh_draw(known_draw(), given.seed), ROOT / "_build" / f"faults-{given.seed}.csv"
    lines = known(faults, path)
    patterns = given.patterns or (["*"] if given.all or given.list else [])
    chosen = [f for f in faults if any(fnmatch(f.id, p) for p in patterns) or (not patterns and f.id not in lines)]
    if given.patterns and not chosen:
        parser.error(f"no fault is called {' or '.join(given.patterns)}; --list shows them all")
    if given.list:
        for fault in chosen:
            print(
                f"{lines.get(fault.id, {}).get('outcome', '-'):9} {fault.id:32} {fault.means or fault.change['after']}"
            )
        return 0
    for number, line in enumerate(tried(chosen) if chosen else (), start=1):
        lines[line["id"]] = line
        write((lines[fault.id] for fault in faults if fault.id in lines), path)
        print(
            f"{number:3}/{len(chosen)} {line['outcome']:9} {line['seconds']:>6} s  {line['id']}  {line['by']}",
            flush=True,
        )
    print(*summary(lines.values()), sep="\n")
    told = plan()["survivors"].keys() | plan()["holes"].keys()
    return int(any(line["outcome"] not in NO_SURVIVOR and line["id"] not in told for line in lines.values()))


if __name__ == "__main__":
    sys.exit(main())
