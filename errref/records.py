"""Rows on disk: what an experiment measured, and where, when and with what it was measured.

A results file is JSON Lines with two kinds of line. A *run* line says where the rows after it come from; a *row* line
holds one experiment, one configuration, one seed and its numbers. Every line carries a check sum of itself, so that a
torn or edited line is noticed. Appending is crash-safe: a killed run loses no finished row, a resumed one repeats none.
A large file can be packed, into one that ends in ``.gz``; what is recorded afterwards stands in a plain file beside it.
"""

from __future__ import annotations

import gzip
import math
import re
import secrets
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from errref.numerics import PARTS, WITHOUT_TORCH, numerics
from errref.provenance import PACKAGE, machine, software
from errref.rowfiles import append, checked, exclusive, packed_file, raw_lines, replace
from errref.sweeps import Crew, Experiment, RecordError, Row, Work, crew, evaluate, sweep

__all__ = [
    "RecordError",
    "Row",
    "evaluate",
    "existing",
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
    if not re.fullmatch(r"\w[\w-]{0,99}", name):  # so that no name leads out of the folder
        raise RecordError(f"{name!r} is no name of an experiment: letters, digits, - and _ make one, 100 at most.")
    return (packaged("results") if folder is None else Path(folder)) / f"{name}.jsonl"


def existing(folder: str | Path | None) -> None:
    """Refuse a folder of rows that was named and is not there; the project's own (None) may have been moved away.

    A name that was mistyped would else pass for studies without rows.
    """
    if folder is not None and not Path(folder).is_dir():
        raise RecordError(f"There is no folder {folder}; name one that has rows, or record some into it.")


def _file_to_read(name: str, folder: str | Path | None) -> Path:
    path = results_file(name, folder)
    existing(folder)
    return path


def read(name: str, folder: str | Path | None = None) -> list[Row]:
    """The recorded rows of an experiment, packed ones first, in the order of the files.

    Parameters
    ----------
    name : str
        Of the experiment.
    folder : str, pathlib.Path or None, default=None
        Where the file ``NAME.jsonl`` is, packed or not; None: the project's own ``results``.

    Returns
    -------
    list of Row
        Empty where the folder has no such file.

    Raises
    ------
    RecordError
        For a named folder that does not exist; for a line that is torn or edited by hand, repeats a row, or belongs to
        another experiment or to no run.

    Examples
    --------
    >>> rows = read("own_data")
    >>> sorted({row.config["table"] for row in rows})
    ['alcohol', 'cancer', 'diabetes', 'digits']
    """
    rows, seen = [], set()
    for place, line in checked(_file_to_read(name, folder)):
        if "row" in line:
            rows.append(Row(**line["row"], run=line["run"]))
            key = rows[-1].key
            if key in seen:
                raise RecordError(f"{place}: {key} stands twice; delete one of the two lines.")
            seen.add(key)
    return rows


def runs(name: str, folder: str | Path | None = None) -> dict[str, dict[str, Any]]:
    """The runs of an experiment: where its rows come from.

    Parameters
    ----------
    name : str
        Of the experiment.
    folder : str, pathlib.Path or None, default=None
        Where the file ``NAME.jsonl`` is, packed or not; None: the project's own ``results``.

    Returns
    -------
    dict of dict
        By the id that rows carry as ``run``: ``package``, ``source`` (a hash), ``python``, ``versions``, ``machine``,
        ``numerics`` (how that rounds, see `errref.numerics.numerics`), ``device``, ``backend``, ``workers``,
        ``threads``, ``start``, ``rules`` (hashes by claim), and the ``seconds`` until its last row. A run that was
        recorded before an entry existed lacks it.

    Raises
    ------
    RecordError
        As in `read`.

    Examples
    --------
    >>> all("numpy" in run["versions"] for run in runs("own_data").values())
    True
    """
    found: dict[str, dict[str, Any]] = {}
    for _, line in checked(_file_to_read(name, folder)):
        found.setdefault(line["run"], {}).update(
            line["provenance"] if "provenance" in line else {"seconds": line["seconds"]}
        )
    return found


def numbers_of(rows: Iterable[Row], **config: Any) -> list[dict[str, float]]:
    """Numbers of the rows whose configuration has these values, by ascending seed.

    Parameters
    ----------
    rows : iterable of Row
    **config
        Settings and their values; those that are not named may have any.

    Returns
    -------
    list of dict
        The numbers of each row.

    Examples
    --------
    >>> rows = [Row("toy", {"width": w}, 0, {"loss": 1 / w}) for w in (1, 2)]
    >>> numbers_of(rows, width=2)
    [{'loss': 0.5}]
    """
    chosen = [row for row in rows if config.items() <= row.config.items()]
    return [row.numbers for row in sorted(chosen, key=lambda row: row.seed)]


# -- recording ---------------------------------------------------------------------------------------------------------


def provenance(rules: dict[str, str], device: str, parts: Iterable[str], means: Crew) -> dict[str, Any]:
    """What a reader must know to trust or to repeat a run; where machines of a cluster differ, all that they say."""
    rounding = means.ask(partial(numerics, tuple(parts)))
    return {
        **software(),
        "machine": _said(means.ask(machine)),
        "numerics": {part: _said(told[part] for told in rounding) for part in rounding[0]},
        "device": device,
        "backend": means.backend,
        "workers": means.workers,
        "threads": means.threads,
        "start": datetime.now(UTC).isoformat(timespec="seconds"),
        "rules": rules,
    }


def _said(answers: Iterable[str]) -> str:
    return ", ".join(sorted(set(answers)))


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
    depends: Callable[[dict[str, Any]], Iterable[str]] | None = None,
    progress: bool = True,
) -> int:
    """Measure what is not yet recorded and append it row by row.

    Parameters
    ----------
    experiment, run, work, jobs, processes, scheduler, progress
        As in `evaluate`.
    rules : dict of str
        Hashes, by claim, of the rules that judge the rows; they are kept with the run, so that a rule which is changed
        afterwards can be shown as such.
    folder : str, pathlib.Path or None, default=None
        As in `read`; it is made where it is missing.
    device : str, default="cpu"
        What the networks are trained on; kept with the run.
    depends : callable or None, default=None
        Takes a configuration, returns the parts of the numerics that its rows depend on, see
        `errref.numerics.numerics`; how this machine rounds in them is kept with the run. None: all but torch.

    Returns
    -------
    int
        The number of new rows.

    Raises
    ------
    RecordError
        As in `read` and `evaluate`, and if the file cannot be written, or another process writes it.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> def run(config, seed):
    ...     return {"loss": config["rate"] / (1 + seed)}
    >>> work = [({"rate": 0.5}, seed) for seed in (0, 1)]
    >>> with TemporaryDirectory() as folder:
    ...     record("toy", run, work, rules={}, folder=folder, progress=False)
    ...     record("toy", run, work, rules={}, folder=folder, progress=False)
    ...     numbers_of(read("toy", folder), rate=0.5)
    2
    0
    [{'loss': 0.5}, {'loss': 0.25}]
    """
    path = results_file(experiment, folder)
    with exclusive(path) as file:
        have, work = {row.key for row in read(experiment, folder)}, [_writable(*piece) for piece in work]
        wanted = {Row(experiment, config, seed, {}).key: (config, seed) for config, seed in work}
        missing = [piece for key, piece in wanted.items() if key not in have]
        if not missing:
            return 0
        with crew(jobs, scheduler, processes) as means:
            used = {part for config, _ in missing for part in (depends(config) if depends else WITHOUT_TORCH)}
            parts = [part for part in PARTS if part in used]
            start, run_id = time.monotonic(), f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
            lines: list[dict[str, Any]] = [{"run": run_id, "provenance": provenance(rules, device, parts, means)}]
            for row in sweep(means, experiment, run, missing, progress=progress):
                what = {"experiment": row.experiment, "config": row.config, "seed": row.seed, "numbers": row.numbers}
                lines.append({"run": run_id, "seconds": round(time.monotonic() - start, 1), "row": what})
                append(file, path, lines)  # the run line goes with its first row
                lines = []
        return len(missing)


def _writable(config: Any, seed: Any) -> tuple[dict[str, Any], int]:
    """A piece of work, once it is known that its row can be written and read again as it was."""
    plain = (str, bool, int, float, type(None))
    if not isinstance(config, dict) or not all(type(k) is str and type(v) in plain for k, v in config.items()):
        raise RecordError(f"{config!r:.200} is no configuration: that is a dict of plain values by name; mend it.")
    if type(seed) is not int or not all(map(math.isfinite, (v for v in config.values() if type(v) is float))):
        raise RecordError(f"{config!r:.200}, seed {seed!r:.80}: a seed is an int, and all numbers are finite; mend it.")
    return config, seed


def pack(name: str, folder: str | Path | None = None) -> int:
    """Move the rows of the plain file to the end of the packed one; the number of rows that this then has.

    The same lines make the same bytes. Whenever it is killed, every row still stands in one of the two files; in
    between in both, and then is read once.
    """
    path = _file_to_read(name, folder)
    with exclusive(path):
        rows = len(read(name, folder))  # refuses what is torn or edited
        if not rows:
            raise RecordError(f"{path} has no rows to pack; record them with `errref run {name}`.")
        if path.stat().st_size:
            text = "".join(f"{raw}\n" for _, raw in raw_lines(path))
            replace(packed_file(path), gzip.compress(text.encode(), mtime=0))
            path.unlink()
    return rows
