"""Files of rows: lines that carry a check sum of themselves, written so that a killed process loses none.

What is wrong with a file is a `RecordError`, whose sentence names the place and the mend.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from errref.sweeps import RecordError


def packed_file(path: Path) -> Path:
    """Where the packed rows stand that belong to a plain results file."""
    return path.with_name(f"{path.name}.gz")


def checked(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The checked lines of a results file, packed ones first, with their places."""
    known = set()
    for place, raw in raw_lines(path):
        line = _decode(raw, place)
        if "provenance" in line:
            known.add(line["run"])
        elif line["row"]["experiment"] != path.stem:
            raise RecordError(f"{place}: a row of {line['row']['experiment']!r}; move it to that experiment's file.")
        elif line["run"] not in known:
            raise RecordError(f"{place}: no line before it describes its run; restore the file from version control.")
        yield place, line


def raw_lines(path: Path) -> list[tuple[str, str]]:
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
    if not _is_whole(line):
        raise RecordError(f"{place}: this is no line that describes a run or holds a row; {mend}")
    return line


def _is_whole(line: dict[str, Any]) -> bool:
    """Whether a line has what a run line or a row line has."""
    if "provenance" in line:
        return {name: type(value) for name, value in line.items()} == {"run": str, "provenance": dict}
    kinds = {"experiment": str, "config": dict, "seed": int, "numbers": dict}
    known = line.keys() == {"run", "seconds", "row"} and type(line["run"]) is str and type(line["row"]) is dict
    seconds = known and type(line["seconds"]) in (int, float)
    return seconds and {name: type(value) for name, value in line["row"].items()} == kinds


def _encode(line: dict[str, Any]) -> str:
    return _sealed(json.dumps(line, allow_nan=False)) + "\n"


def _sealed(text: str) -> str:
    """An object as JSON, with the check sum of that text as its last entry."""
    return f'{text[:-1]}, "check": "{_hash(text)}"}}'


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


# -- writing -----------------------------------------------------------------------------------------------------------


def replace(path: Path, data: bytes) -> None:
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
def exclusive(path: Path) -> Iterator[int]:
    """Descriptor of the plain file, opened for appending by this process alone, a torn last line cut off.

    A file that is empty in the end is removed.
    """
    try:
        import fcntl  # here, since without it rows can still be read
    except ImportError:
        mend = "record and pack on Linux, macOS or the Linux inside Windows; rows can be read and judged here."
        raise RecordError(f"{path} cannot be locked: Python has no fcntl on this system; {mend}") from None
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


def append(file: int, path: Path, lines: list[dict[str, Any]]) -> None:
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
