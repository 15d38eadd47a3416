"""Rows on disk: what an experiment measured, and where, when and with what it was measured.

A results file is JSON Lines with two kinds of line. A *run* line says where the rows after it come from; a *row* line holds
one experiment, one configuration, one seed and its numbers. Every line carries a check sum of itself, so that a torn or
edited line is noticed. Appending is crash-safe: a killed run loses no finished row and a resumed one repeats none.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from joblib import Parallel, cpu_count, delayed
from tqdm import tqdm

PACKAGE = Path(__file__).parent
MATTERS = ("numpy", "scipy", "scikit-learn", "numba")


class RecordError(ValueError):
    """A results file that cannot be trusted: the sentence names the file, the line and the mend."""


@dataclass(frozen=True)
class Row:
    """One configuration and one seed of an experiment, with what was measured.

    Parameters
    ----------
    experiment : str
    config : dict
        Flat: the settings that distinguish this row, with plain values.
    seed : int
    numbers : dict
        Flat: the measured numbers by name.
    run : str
        Id of the run line that says where the row comes from; empty for rows that were never recorded.
    """

    experiment: str
    config: dict[str, Any]
    seed: int
    numbers: dict[str, float]
    run: str = ""

    @property
    def key(self) -> tuple[str, str, int]:
        """What makes the row the same piece of work as another."""
        return self.experiment, json.dumps(self.config, sort_keys=True), self.seed


def packaged(*parts: str) -> Path:
    """Path of a data file of the project: inside an installed package, or in the checkout that the package lies in."""
    installed = PACKAGE / "_data" / Path(*parts)
    return installed if (PACKAGE / "_data").exists() else PACKAGE.parent / Path(*parts)


def results_file(name: str, folder: str | Path | None = None) -> Path:
    """Where the rows of an experiment are kept: ``results/NAME.jsonl`` of the project, or of another folder."""
    return (packaged("results") if folder is None else Path(folder)) / f"{name}.jsonl"


def read(name: str, folder: str | Path | None = None) -> list[Row]:
    """The recorded rows of an experiment, in the order of the file; an empty list where there is no file.

    Raises
    ------
    RecordError
        For a line that is torn, edited by hand, or repeats a row.
    """
    path, rows, seen = results_file(name, folder), [], set()
    for number, line in _lines(path):
        if "row" in line:
            row = Row(**line["row"], run=line["run"])
            if row.key in seen:
                raise RecordError(f"{path.name}, line {number}: seed {row.seed} of {row.config} stands twice; delete one of the two lines.")
            seen.add(row.key)
            rows.append(row)
    return rows


def runs(name: str, folder: str | Path | None = None) -> dict[str, dict[str, Any]]:
    """The run lines of an experiment by id: version, source hash, machine, start, and the rules in force."""
    return {line["run"]: line["provenance"] for _, line in _lines(results_file(name, folder)) if "provenance" in line}


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8")
    for number, raw in enumerate(text.split("\n")[:-1], start=1):
        yield number, _decode(raw, path, number)
    tail = text.rpartition("\n")[2]
    if tail:
        raise RecordError(f"{path.name}: the last line is torn (a run was killed while writing it). `errref run {path.stem}` repairs the file and goes on.")


def _decode(raw: str, path: Path, number: int) -> dict[str, Any]:
    try:
        line = json.loads(raw)
        check = line.pop("check")
    except (ValueError, KeyError, AttributeError, TypeError):
        raise RecordError(f"{path.name}, line {number}: this is not a recorded line; restore the file from version control, or delete the line and record it again.") from None
    if check != _checksum(line):
        raise RecordError(f"{path.name}, line {number}: the line was changed after it was recorded; restore it from version control, or delete it and record it again.")
    return line


def _encode(line: dict[str, Any]) -> str:
    return json.dumps({**line, "check": _checksum(line)}, allow_nan=False) + "\n"


def _checksum(line: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(line, sort_keys=True).encode()).hexdigest()[:12]


def source_hash() -> str:
    """Hash of the package's own source files, in order of their names."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def provenance(rules: dict[str, str], device: str = "cpu") -> dict[str, Any]:
    """What a reader must know to trust or to repeat a run."""
    return {
        "package": importlib.metadata.version("errref"),
        "source": source_hash(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in MATTERS},
        "machine": f"{platform.system()} {platform.machine()}",
        "device": device,
        "threads": cpu_count(),
        "start": datetime.now(UTC).isoformat(timespec="seconds"),
        "rules": rules,
    }


@contextmanager
def _exclusive(path: Path) -> Iterator[Any]:
    """The results file opened for appending by this process alone, with a torn last line cut off."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RecordError(f"{path} is being written by another run; wait for it, or end it.") from None
        file.seek(0)
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.ftruncate(file.fileno(), whole)
            print(f"{path.name}: dropped a torn last line ({len(content) - whole} bytes) of a run that was killed.", file=sys.stderr)
        yield file


def _append(file: Any, line: dict[str, Any]) -> None:
    """One line, on the disk before anything else happens; a line that does not fit is taken back."""
    end = file.seek(0, os.SEEK_END)
    try:
        file.write(_encode(line).encode())
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        os.ftruncate(file.fileno(), end)
        raise RecordError(f"{file.name} cannot be written ({error.strerror}): finished rows are safe; make room and run the same command again.") from None


def evaluate(experiment: str, run: Callable[..., dict[str, float]], work: Iterable[tuple[dict[str, Any], int]], *, jobs: int | None = None, progress: bool = True) -> Iterator[Row]:
    """Rows of ``run(config, seed)`` for each piece of work, as they finish, on several threads.

    Parameters
    ----------
    experiment : str
        Name that the rows carry.
    run : callable
        Takes a configuration (dict) and a seed (int), returns a flat dict of numbers.
    work : iterable of (config, seed)
    jobs : int or None, default=None
        Threads; None: one per core.
    progress : bool, default=True
        A progress bar with an estimate of the time left, on stderr.
    """
    work = list(work)
    parallel = Parallel(n_jobs=jobs or cpu_count(), prefer="threads", return_as="generator_unordered")

    def one(config: dict[str, Any], seed: int) -> Row:
        return Row(experiment, config, seed, run(config, seed))

    rows = parallel(delayed(one)(config, seed) for config, seed in work)
    yield from tqdm(rows, total=len(work), desc=experiment, unit="row", disable=not progress or not work)


def record(
    experiment: str,
    run: Callable[..., dict[str, float]],
    work: Iterable[tuple[dict[str, Any], int]],
    *,
    rules: dict[str, str],
    folder: str | Path | None = None,
    jobs: int | None = None,
    progress: bool = True,
) -> int:
    """Measure what is not yet recorded and append it row by row; the number of new rows.

    ``rules`` are the hashes, by claim, of the rules that judge the rows; they are kept with the run, so that a rule
    which is changed afterwards can be shown as such. Parameters otherwise as in `evaluate`.
    """
    path = results_file(experiment, folder)
    with _exclusive(path) as file:
        have = {row.key for row in read(experiment, folder)}
        missing = [(config, seed) for config, seed in work if Row(experiment, config, seed, {}).key not in have]
        if not missing:
            return 0
        about = provenance(rules)
        run_id = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{about['source'][:6]}"
        _append(file, {"run": run_id, "provenance": about})
        for row in evaluate(experiment, run, missing, jobs=jobs, progress=progress):
            numbers = {"experiment": row.experiment, "config": row.config, "seed": row.seed, "numbers": row.numbers}
            _append(file, {"run": run_id, "row": numbers})
        return len(missing)
