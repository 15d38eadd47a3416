"""Rows on disk: what an experiment measured, and where, when and with what it was measured.

A results file is JSON Lines with two kinds of line. A *run* line says where the rows after it come from; a *row* line
holds one experiment, one configuration, one seed and its numbers. Every line carries a check sum of itself, so that a
torn or edited line is noticed. Appending is crash-safe: a killed run loses no finished row, a resumed one repeats none.
A large file can be packed, into one that ends in ``.gz``; what is recorded afterwards stands in a plain file beside it.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
import secrets
import sys
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from errref.provenance import PACKAGE, software
from errref.sweeps import Crew, Experiment, RecordError, Row, Work, crew, evaluate, sweep

__all__ = [
    "RecordError",
    "Row",
    "evaluate",
    "numbers_of",
    "pack",
    "packaged",
    "packed_file",
    "provenance",
    "read",
    "record",
    "results_file",
    "runs",
]


def packaged(*parts: str) -> Path:
    """Path of a data file of the project: inside an installed package, or in the checkout that the package lies in."""
    installed = PACKAGE / "_data"
    return (installed if installed.exists() else PACKAGE.parent).joinpath(*parts)


def results_file(name: str, folder: str | Path | None = None) -> Path:
    """Where the rows of an experiment are kept: ``results/NAME.jsonl`` of the project, or of another folder."""
    return (packaged("results") if folder is None else Path(folder)) / f"{name}.jsonl"


def packed_file(path: Path) -> Path:
    """Where the packed rows stand that belong to a plain results file."""
    return path.with_name(f"{path.name}.gz")


def read(name: str, folder: str | Path | None = None) -> list[Row]:
    """The recorded rows of an experiment, packed ones first, in the order of the files; none where there is no file.

    Raises
    ------
    RecordError
        For a line that is torn or edited by hand, repeats a row, or belongs to another experiment or to no run.
    """
    rows, seen = [], set()
    for place, line in _lines(results_file(name, folder)):
        if "row" in line:
            rows.append(Row(**line["row"], run=line["run"]))
            key = rows[-1].key
            if key in seen:
                raise RecordError(f"{place}: {key} stands twice; delete one of the two lines.")
            seen.add(key)
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


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The checked lines of a results file, packed ones first, with their places."""
    known = set()
    for place, raw in _raw_lines(path):
        line = _decode(raw, place)
        if "provenance" in line:
            known.add(line["run"])
        elif line["row"]["experiment"] != path.stem:
            raise RecordError(f"{place}: a row of {line['row']['experiment']!r}; move it to that experiment's file.")
        elif line["run"] not in known:
            raise RecordError(f"{place}: no line before it describes its run; restore the file from version control.")
        yield place, line


def _raw_lines(path: Path) -> list[tuple[str, str]]:
    """Each line once with its place: packing writes the packed file, then removes the plain one, and may be killed."""
    plain = _content(path)  # first: packing may end in between
    packed = _content(packed_file(path))
    both = set(packed) if plain else set()
    lines = [(f"{packed_file(path).name}, line {number}", raw) for number, raw in enumerate(packed, start=1)]
    return lines + [(f"{path.name}, line {n}", raw) for n, raw in enumerate(plain, start=1) if raw not in both]


def _content(path: Path) -> list[str]:
    """The lines of a file, plain or packed; none where there is no file."""
    try:
        data = path.read_bytes()
        *whole, tail = (gzip.decompress(data) if path.suffix == ".gz" else data).decode(errors="replace").split("\n")
    except FileNotFoundError:
        return []
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise RecordError(f"{path.name} cannot be unpacked ({error}); restore it from version control.") from None
    if tail:
        raise RecordError(f"{path.name}: the last line is torn by a killed run; `errref run {path.stem}` repairs it.")
    return whole


def _decode(raw: str, place: str) -> dict[str, Any]:
    mend = "restore the file from version control, or delete the line and record it again."
    try:
        line = json.loads(raw)
        check = line.pop("check")
    except (ValueError, KeyError, AttributeError, TypeError):
        raise RecordError(f"{place}: this is not a recorded line; {mend}") from None
    as_written = _sealed(raw.rpartition(', "check": ')[0] + "}")
    if raw.rstrip("\r") != as_written and check != _hash(json.dumps(line, sort_keys=True)):  # as the first rows have it
        raise RecordError(f"{place}: the line was changed after it was recorded; {mend}")
    return line


def _encode(line: dict[str, Any]) -> str:
    return _sealed(json.dumps(line, allow_nan=False)) + "\n"


def _sealed(text: str) -> str:
    """An object as JSON, with the check sum of that text as its last entry."""
    return f'{text[:-1]}, "check": "{_hash(text)}"}}'


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


# -- recording ---------------------------------------------------------------------------------------------------------


def provenance(rules: dict[str, str], device: str, means: Crew) -> dict[str, Any]:
    """What a reader must know to trust or to repeat a run."""
    return {
        **software(),
        "machine": means.machine,
        "device": device,
        "backend": means.backend,
        "workers": means.workers,
        "threads": means.threads,
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
    processes: bool = False,
    scheduler: str | None = None,
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
        if not missing:
            return 0
        with crew(jobs, scheduler, processes) as means:
            start, run_id = time.monotonic(), f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
            lines: list[dict[str, Any]] = [{"run": run_id, "provenance": provenance(rules, device, means)}]
            for row in sweep(means, experiment, run, missing, progress=progress):
                what = {"experiment": row.experiment, "config": row.config, "seed": row.seed, "numbers": row.numbers}
                lines.append({"run": run_id, "seconds": round(time.monotonic() - start, 1), "row": what})
                _append(file, path, lines)  # the run line goes with its first row
                lines = []
        return len(missing)


def pack(name: str, folder: str | Path | None = None) -> int:
    """Move the rows of the plain file to the end of the packed one; the number of rows that this then has.

    The same lines make the same bytes. Whenever it is killed, every row still stands in one of the two files; in
    between in both, and then is read once.
    """
    path = results_file(name, folder)
    with _exclusive(path):
        rows = len(read(name, folder))  # refuses what is torn or edited
        if not rows:
            raise RecordError(f"{path} has no rows to pack; record them with `errref run {name}`.")
        if path.stat().st_size:
            text = "".join(f"{raw}\n" for _, raw in _raw_lines(path))
            _replace(packed_file(path), gzip.compress(text.encode(), mtime=0))
            path.unlink()
    return rows


def _replace(path: Path, data: bytes) -> None:
    """Put a file on the disk whole, in the place of what was there, or not at all."""
    new = path.with_name(f"{path.name}.new")
    try:
        with new.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise RecordError(f"{path} cannot be written ({error.strerror}); nothing was lost: make room first.") from None
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


@contextmanager
def _exclusive(path: Path) -> Iterator[int]:
    """Descriptor of the plain file, opened for appending by this process alone, a torn last line cut off.

    A file that is empty in the end is removed.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError as error:
        mend = "name another folder with --results."
        raise RecordError(f"{path} cannot be opened for writing ({error.strerror}); {mend}") from None
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(file), os.stat(path)):  # another process removed it in between
                raise BlockingIOError
        except (BlockingIOError, FileNotFoundError):  # the latter: packed meanwhile
            raise RecordError(f"{path} is being written by another run; wait for it, or end it.") from None
        except OSError as error:
            mend = "name a folder on a disk of this machine with --results."
            raise RecordError(f"{path} cannot be locked ({error.strerror}); {mend}") from None
        content = path.read_bytes()
        torn = len(content) - content.rfind(b"\n") - 1
        if torn:
            os.ftruncate(file, len(content) - torn)
            print(f"{path.name}: dropped a torn last line ({torn} bytes) of a run that was killed.", file=sys.stderr)
        try:
            yield file
        finally:
            if not os.fstat(file).st_size:
                path.unlink()
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
