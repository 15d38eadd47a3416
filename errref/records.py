"""Rows on disk: what an experiment measured, and where, when and with what it was measured.

A results file is JSON Lines with two kinds of line. A *run* line says where the rows after it come from; a *row* line
holds one experiment, one configuration, one seed and its numbers. Every line carries a check sum of itself, so that a
torn or edited line is noticed. Appending is crash-safe: a killed run loses no finished row, a resumed one repeats none.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import json
import math
import numbers
import os
import platform
import secrets
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from joblib import Parallel, cpu_count, delayed
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from errref import __version__

PACKAGE = Path(__file__).parent
MATTERS = ("numpy", "scipy", "scikit-learn", "numba", "torch")
Experiment = Callable[[dict[str, Any], int], dict[str, float]]
Work = Iterable[tuple[dict[str, Any], int]]


class RecordError(ValueError):
    """Rows that cannot be read, measured or written: the sentence names the place and the mend."""


@dataclass(frozen=True)
class Row:
    """One configuration and one seed of an experiment, with what was measured.

    Rows are equal if they agree in experiment, configuration, seed and numbers, whichever run they come from.

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
    run: str = field(default="", compare=False)

    @property
    def key(self) -> tuple[str, str, int]:
        """What makes the row the same piece of work as another."""
        return self.experiment, json.dumps(self.config, sort_keys=True), self.seed


def packaged(*parts: str) -> Path:
    """Path of a data file of the project: inside an installed package, or in the checkout that the package lies in."""
    installed = PACKAGE / "_data"
    return (installed if installed.exists() else PACKAGE.parent).joinpath(*parts)


def results_file(name: str, folder: str | Path | None = None) -> Path:
    """Where the rows of an experiment are kept: ``results/NAME.jsonl`` of the project, or of another folder."""
    return (packaged("results") if folder is None else Path(folder)) / f"{name}.jsonl"


def read(name: str, folder: str | Path | None = None) -> list[Row]:
    """The recorded rows of an experiment, in the order of the file; an empty list where there is no file.

    Raises
    ------
    RecordError
        For a line that is torn or edited by hand, repeats a row, or belongs to another experiment or to no run.
    """
    path, rows, seen = results_file(name, folder), [], set()
    for number, line in _lines(path):
        if "row" in line:
            rows.append(Row(**line["row"], run=line["run"]))
            if rows[-1].key in seen:
                raise RecordError(
                    f"{path.name}, line {number}: {rows[-1].key} stands twice; delete one of the two lines."
                )
            seen.add(rows[-1].key)
    return rows


def runs(name: str, folder: str | Path | None = None) -> dict[str, dict[str, Any]]:
    """The runs of an experiment by id: what `provenance` says of each, and the seconds until its last row."""
    found: dict[str, dict[str, Any]] = {}
    for _, line in _lines(results_file(name, folder)):
        found.setdefault(line["run"], {}).update(line.get("provenance") or {"seconds": line["seconds"]})
    return found


def numbers_of(rows: Iterable[Row], **config: Any) -> list[dict[str, float]]:
    """Numbers of the rows whose configuration has these values, one dict a row, by ascending seed."""
    chosen = [row for row in rows if config.items() <= row.config.items()]
    return [row.numbers for row in sorted(chosen, key=lambda row: row.seed)]


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The checked lines of a results file, with their numbers."""
    if not path.exists():
        return
    *whole, tail = path.read_text(encoding="utf-8", errors="replace").split("\n")
    known = set()
    for number, raw in enumerate(whole, start=1):
        place = f"{path.name}, line {number}"
        line = _decode(raw, place)
        if "provenance" in line:
            known.add(line["run"])
        elif line["row"]["experiment"] != path.stem:
            raise RecordError(f"{place}: a row of {line['row']['experiment']!r}; move it to that experiment's file.")
        elif line["run"] not in known:
            raise RecordError(f"{place}: no line before it describes its run; restore the file from version control.")
        yield number, line
    if tail:
        raise RecordError(f"{path.name}: the last line is torn by a killed run; `errref run {path.stem}` repairs it.")


def _decode(raw: str, place: str) -> dict[str, Any]:
    mend = "restore the file from version control, or delete the line and record it again."
    try:
        line = json.loads(raw)
        check = line.pop("check")
    except (ValueError, KeyError, AttributeError, TypeError):
        raise RecordError(f"{place}: this is not a recorded line; {mend}") from None
    if check != _checksum(line):
        raise RecordError(f"{place}: the line was changed after it was recorded; {mend}")
    return line


def _encode(line: dict[str, Any]) -> str:
    return json.dumps({**line, "check": _checksum(line)}, allow_nan=False) + "\n"


def _checksum(line: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(line, sort_keys=True).encode()).hexdigest()[:12]


# -- measuring ---------------------------------------------------------------------------------------------------------


def evaluate(
    experiment: str, run: Experiment, work: Work, *, jobs: int | None = None, progress: bool = True
) -> Iterator[Row]:
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

    Raises
    ------
    RecordError
        If ``run`` fails, or returns something that is not a finite number; names the configuration and the seed.
    """
    work = list(work)
    parallel = Parallel(n_jobs=jobs or cpu_count(), prefer="threads", return_as="generator_unordered")
    rows = parallel(delayed(_measure)(experiment, run, config, seed) for config, seed in work)
    # rows share the cores: linear algebra that spread over them too would only wait
    with warnings.catch_warnings(), threadpool_limits(1), closing(rows):
        warnings.filterwarnings("ignore", r"\d+ tasks ")  # joblib's advice about a sweep that ends early
        for row in tqdm(rows, total=len(work), desc=experiment, unit="row", disable=not progress or not work):
            if isinstance(row, RecordError):
                raise row
            yield row


def _measure(experiment: str, run: Experiment, config: dict[str, Any], seed: int) -> Row | RecordError:
    """A row; or, as a value, what prevented it: raised here, it would overtake rows that are finished."""
    place = f"{experiment}, seed {seed} of {config}"
    try:
        found = run(dict(config), seed)
    except Exception as error:
        fault = RecordError(f"{place}: the experiment failed with {type(error).__name__}: {error}")
        fault.__cause__ = error
        return fault
    for name, value in found.items():
        if not isinstance(value, numbers.Real) or not math.isfinite(value):
            return RecordError(f"{place}: {name} is {value!r}, not a finite number; mend the experiment.")
    plain = {n: int(v) if isinstance(v, numbers.Integral) else float(v) for n, v in found.items()}
    return Row(experiment, config, seed, plain)


# -- recording ---------------------------------------------------------------------------------------------------------


def source_hash() -> str:
    """Hash of the package's own source files, in order of their names."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def provenance(rules: dict[str, str], device: str = "cpu", threads: int | None = None) -> dict[str, Any]:
    """What a reader must know to trust or to repeat a run."""
    return {
        "package": __version__,
        "source": source_hash(),
        "python": platform.python_version(),
        "versions": {d.name: d.version for d in importlib.metadata.distributions() if d.name in MATTERS},
        "machine": f"{platform.system()} {platform.machine()}",
        "device": device,
        "threads": threads or cpu_count(),
        "start": datetime.now(UTC).isoformat(timespec="seconds"),
        "rules": rules,
    }


def record(
    experiment: str,
    run: Experiment,
    work: Work,
    *,
    rules: dict[str, str],
    folder: str | Path | None = None,
    jobs: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> int:
    """Measure what is not yet recorded and append it row by row; the number of new rows.

    ``rules`` are the hashes, by claim, of the rules that judge the rows; they are kept with the run, so that a rule
    which is changed afterwards can be shown as such, and so is ``device``, what the networks are trained on. Parameters
    otherwise as in `evaluate`.
    """
    path = results_file(experiment, folder)
    with _exclusive(path) as file:
        have = {row.key for row in read(experiment, folder)}
        wanted = {Row(experiment, config, seed, {}).key: (config, seed) for config, seed in work}
        missing = [piece for key, piece in wanted.items() if key not in have]
        start, run_id = time.monotonic(), f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        lines: list[dict[str, Any]] = [{"run": run_id, "provenance": provenance(rules, device, threads=jobs)}]
        for row in evaluate(experiment, run, missing, jobs=jobs, progress=progress):
            what = {"experiment": row.experiment, "config": row.config, "seed": row.seed, "numbers": row.numbers}
            lines.append({"run": run_id, "seconds": round(time.monotonic() - start, 1), "row": what})
            _append(file, path, lines)  # the run line goes with its first row
            lines = []
        return len(missing)


@contextmanager
def _exclusive(path: Path) -> Iterator[int]:
    """Descriptor of the results file, opened for appending by this process alone, a torn last line cut off."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError as error:
        mend = "name another folder with --results."
        raise RecordError(f"{path} cannot be opened for writing ({error.strerror}); {mend}") from None
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RecordError(f"{path} is being written by another run; wait for it, or end it.") from None
        content = path.read_bytes()
        torn = len(content) - content.rfind(b"\n") - 1
        if torn:
            os.ftruncate(file, len(content) - torn)
            print(f"{path.name}: dropped a torn last line ({torn} bytes) of a run that was killed.", file=sys.stderr)
        yield file
    finally:
        os.close(file)


def _append(file: int, path: Path, lines: list[dict[str, Any]]) -> None:
    """Lines, on the disk before anything else happens; if they do not fit, what was written of them is taken back."""
    data, end = "".join(map(_encode, lines)).encode(), os.lseek(file, 0, os.SEEK_END)
    try:
        while data:
            data = data[os.write(file, data) :]
        os.fsync(file)
    except OSError as error:
        os.ftruncate(file, end)
        mend = "finished rows are safe; make room and run the same command again."
        raise RecordError(f"{path} cannot be written ({error.strerror}); {mend}") from None
