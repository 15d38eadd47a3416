"""Sweeps: one function measured for many configurations and seeds, on threads here or on a cluster of the reader's.

Both go through joblib. A piece of work is one configuration and one seed; what comes back is a `Row`, which does not
depend on where it was measured.
"""

from __future__ import annotations

import json
import math
import numbers
import os
import pickle
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

from joblib import Parallel, cpu_count, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError
from threadpoolctl import threadpool_limits

from errref.pins import departures
from errref.progress import bar
from errref.provenance import machine, software

Experiment = Callable[[dict[str, Any], int], dict[str, float]]
Work = Iterable[tuple[dict[str, Any], int]]
WORKER = "python -m errref.pins dask worker"  # as it is started with pins
PATIENCE = 10  # seconds that a scheduler, and then the first worker, may take to answer
_limited = threading.local()


class RecordError(ValueError):
    """Rows that cannot be read, measured or written: the sentence names the place and the mend."""


@dataclass(frozen=True)
class Row:
    """One configuration and one seed of an experiment, with what was measured.

    Rows are equal if they agree in experiment, configuration, seed and numbers, whichever run they come from.

    Parameters
    ----------
    experiment : str
        Its name.
    config : dict
        Flat: the settings that distinguish this row, with plain values.
    seed : int
        What the experiment was given as its seed.
    numbers : dict
        Flat: the measured numbers by name.
    run : str
        Id of the run line that says where the row comes from; empty for rows that were never recorded.

    Examples
    --------
    >>> row = Row("toy", {"rate": 0.5}, seed=0, numbers={"loss": 0.25})
    >>> row == Row("toy", {"rate": 0.5}, seed=0, numbers={"loss": 0.25}, run="another")
    True
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


@dataclass(frozen=True)
class Crew:
    """Who measures: the backend's name, how many processes and threads; how to ask each machine something."""

    backend: str
    workers: int
    threads: int
    ask: Callable[[Callable[[], Any]], list[Any]] = field(compare=False)  # takes a question, gives each one's answer
    joblib: Any = field(compare=False)  # the backend, as joblib's Parallel takes it


def evaluate(
    experiment: str,
    run: Experiment,
    work: Work,
    *,
    jobs: int | None = None,
    processes: bool = False,
    scheduler: str | None = None,
    progress: bool = True,
) -> Iterator[Row]:
    """Rows of ``run(config, seed)`` for each piece of work, as they finish; nothing is kept on the disk.

    Parameters
    ----------
    experiment : str
        Name that the rows carry.
    run : callable
        Takes a configuration (dict) and a seed (int), returns a flat dict of numbers.
    work : iterable of (config, seed)
        What is measured.
    jobs : int or None, default=None
        Threads of this process; None: one per core.
    processes : bool, default=False
        As many processes instead, for experiments that spend much of their time in Python, which only one thread of a
        process runs at a time.
    scheduler : str or None, default=None
        Address of a Dask scheduler, whose workers then measure in the place of threads here.
    progress : bool, default=True
        A bar with an estimate of the time left, where somebody may be looking on; see `errref.progress.bar`.

    Yields
    ------
    Row
        In the order in which they finish.

    Raises
    ------
    RecordError
        If ``run`` fails, or returns something that is not a finite number; names the configuration and the seed. If
        the scheduler does not answer, or its workers have other versions than this process.

    Examples
    --------
    >>> def run(config, seed):
    ...     return {"loss": config["rate"] / (1 + seed)}
    >>> rows = evaluate("toy", run, [({"rate": 0.5}, 1)], progress=False)
    >>> [row.numbers for row in rows]
    [{'loss': 0.25}]
    """
    with crew(jobs, scheduler, processes) as means:
        yield from sweep(means, experiment, run, work, progress=progress)


def sweep(means: Crew, experiment: str, run: Experiment, work: Work, *, progress: bool = True) -> Iterator[Row]:
    """The same by a crew that is there already."""
    work, measure = list(work), partial(_measure, experiment, run)
    if means.backend == "dask":
        from cloudpickle import dumps

        measure = partial(_measure_there, software(), dumps(measure))
    # Workers may join a cluster later, so it gets all pieces at once; a batch of several would lose finished rows.
    dispatch = {"batch_size": 1, "pre_dispatch": "all" if means.backend == "dask" else "2 * n_jobs"}
    parallel = Parallel(n_jobs=means.threads, backend=means.joblib, return_as="generator_unordered", **dispatch)
    rows = parallel(delayed(measure)(config, seed) for config, seed in work)
    with warnings.catch_warnings(), closing(rows):
        warnings.filterwarnings("ignore", r"\d+ tasks ")  # joblib's advice about a sweep that ends early
        try:
            for row in bar(rows, total=len(work), desc=experiment, unit="row", disable=not progress or not work):
                if isinstance(row, RecordError):
                    raise row
                yield row
        except TerminatedWorkerError:
            mend = "recorded rows are safe; run the same command again."
            raise RecordError(f"A process of the sweep was killed, perhaps for want of memory; {mend}") from None


def _measure(experiment: str, run: Experiment, config: dict[str, Any], seed: int) -> Row | RecordError:
    """A row; or, as a value, what prevented it: raised here, it would overtake rows that are finished."""
    if not hasattr(_limited, "once"):  # rows share the cores; OpenMP counts its threads for each of ours
        _limited.once = threadpool_limits(1)
    place = f"{experiment}, seed {seed} of {config}"
    try:
        found = run(dict(config), seed)
    except Exception as error:
        fault = RecordError(f"{place}: the experiment failed with {type(error).__name__}: {error}")
        fault.__cause__ = error
        return fault
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        return RecordError(f"{place}: it returned {found!r:.80}, not numbers by name; mend the experiment.")
    for name, value in found.items():
        if not isinstance(value, numbers.Real) or not math.isfinite(value):
            return RecordError(f"{place}: {name} is {value!r}, not a finite number; mend the experiment.")
    plain = {n: int(v) if isinstance(v, numbers.Integral) else float(v) for n, v in found.items()}
    return Row(experiment, config, seed, plain)


def _measure_there(wanted: dict[str, Any], shipped: bytes, config: dict[str, Any], seed: int) -> Row | RecordError:
    """The same in a worker; what measures comes pickled, so that a worker which cannot load it is able to say so."""
    if other := [f"{name} {here}" for name, here in _software().items() if here != wanted[name]]:
        mend = "install the same on every machine, start the workers again, and run the same command again."
        return RecordError(f"A worker differs from this machine: it has {', '.join(other)}; {mend}")
    try:
        measure = _loads(shipped)
    except Exception as error:
        return RecordError(f"A worker cannot load the experiment ({error}); install what it imports there too.")
    return measure(config, seed)


_software, _loads = cache(software), cache(pickle.loads)  # of a worker: as it was when the worker first measured


# -- who measures ------------------------------------------------------------------------------------------------------


@contextmanager
def crew(jobs: int | None = None, scheduler: str | None = None, processes: bool = False) -> Iterator[Crew]:
    """Threads of this process, or processes; or, with the address of a Dask scheduler, its workers. See `evaluate`."""
    if scheduler is None and processes:
        n_jobs = jobs or cpu_count()
        yield Crew("processes", n_jobs, n_jobs, _here, "loky")
        return
    if scheduler is None:
        with threadpool_limits(1):  # linear algebra that spread over the cores too would only wait
            yield Crew("threads", 1, jobs or cpu_count(), _here, "threading")
        return
    if jobs is not None:
        raise RecordError("The workers of a Dask scheduler have their own numbers of threads; leave the jobs out.")
    with _connected(scheduler) as client:
        backend = _dask_backend(client)
        try:
            threads = backend.effective_n_jobs(-1)
            client.run(machine)  # the first question: can they import it?
        except TimeoutError:
            mend = f"start some with `{WORKER} {scheduler}`."
            raise RecordError(f"The Dask scheduler at {scheduler} has no worker; {mend}") from None
        except ImportError as error:
            raise RecordError(f"A Dask worker cannot import errref ({error}); install it there too.") from None

        def ask(question: Callable[[], Any]) -> list[Any]:
            return list(client.run(question).values())

        if other := [found for found in ask(_unpinned) if found != _unpinned()]:
            mend = f"start the workers with `{WORKER} {scheduler}`, or their rows may end at other digits"
            what = f"A worker is pinned otherwise than this process ({other[0] or 'it has all pins'})"
            warnings.warn(f"{what}; {mend}.", stacklevel=2)
        yield Crew("dask", len(client.ncores()), threads, ask, backend)


def _here(question: Callable[[], Any]) -> list[Any]:
    return [question()]


def _unpinned() -> str:
    return "; ".join(departures(os.environ))


@contextmanager
def _connected(scheduler: str) -> Iterator[Any]:
    """A client of the scheduler; what it still had to measure is given up when the client goes."""
    try:
        from distributed import Client
    except ImportError:
        raise RecordError("Dask is not installed; install it with `pip install 'errref[dask]'`.") from None
    try:
        client = Client(scheduler, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        mend = "start one with `dask scheduler`, which prints its address, or mend the address."
        raise RecordError(f"No Dask scheduler answers at {scheduler} ({error}); {mend}") from None
    with client:
        yield client


def _dask_backend(client: Any) -> Any:
    """The backend of joblib for Dask, which would wait forever for a piece of work that the cluster has given up."""
    from joblib._dask import DaskDistributedBackend

    class Backend(DaskDistributedBackend):
        def submit(self, func: Any, callback: Any = None) -> Any:
            future = super().submit(func, callback)
            future.add_done_callback(lambda done: (fault := done.exception()) and callback(fault))
            return future

        def retrieve_result_callback(self, out: Any) -> Any:
            if isinstance(out, BaseException):
                what = f"{type(out).__name__}: {' '.join(str(out).split())}"
                mend = "recorded rows are safe; see the workers' logs, and run the same command again."
                raise RecordError(f"The cluster gave a piece of work up ({what}); {mend}")
            return super().retrieve_result_callback(out)

    return Backend(client=client, wait_for_workers_timeout=PATIENCE)
