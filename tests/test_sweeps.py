"""Rows are the same from threads and from a cluster, and no death of a process loses a row or counts one twice."""

import operator
import os
import signal
import subprocess
import sys
import threading
import time
import types
import warnings

import pytest
from threadpoolctl import threadpool_info

from errref import claims, cli, experiments, pins, records, sweeps
from errref.experiments import intuition
from errref.records import RecordError, Row

WORK = [({"width": width}, seed) for seed in range(40) for width in (1, 2)]
KEYS = sorted(Row("study", config, seed, {}).key for config, seed in WORK)


def measure(config, seed):
    return {"loss": 10.0 ** -(seed % 9) / config["width"]}


def slow(config, seed):
    time.sleep(0.04)
    return {"pid": os.getpid()}


def deadly(config, seed):
    if seed == 3:
        os._exit(1)
    return {"loss": 1.0}


def fails(config, seed):
    raise ZeroDivisionError("no loss")


def threads_used(config, seed):
    from sklearn.utils._openmp_helpers import _openmp_effective_n_threads

    blas = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return {"blas": max(blas), "openmp": _openmp_effective_n_threads()}


def record(folder, run=slow, **how):
    return records.record("study", run, WORK, rules={}, folder=folder, progress=False, **how)


def keys(folder):
    return sorted(row.key for row in records.read("study", folder))


def until(true):
    end = time.monotonic() + 180
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    assert true()


def recorded(folder):
    file = folder / "study.jsonl"
    return file.read_text().count('"row"') if file.exists() else 0


# -- processes ---------------------------------------------------------------------------------------------------------


def test_processes_measure_the_same_rows_as_threads_and_say_who_they_are(tmp_path):
    record(tmp_path / "a", measure, jobs=2, processes=True)
    record(tmp_path / "b", measure, jobs=2)
    key = operator.attrgetter("key")
    assert sorted(records.read("study", tmp_path / "a"), key=key) == sorted(
        records.read("study", tmp_path / "b"), key=key
    )
    (run,) = records.runs("study", tmp_path / "a").values()
    assert (run["backend"], run["workers"], run["threads"]) == ("processes", 2, 2)


def test_rows_come_from_several_processes_with_one_thread_each(tmp_path):
    record(tmp_path, jobs=2, processes=True)
    pids = {row.numbers["pid"] for row in records.read("study", tmp_path)}
    assert len(pids) == 2 and os.getpid() not in pids
    used = records.evaluate("study", threads_used, WORK[:2], jobs=2, processes=True, progress=False)
    assert [row.numbers for row in used] == 2 * [{"blas": 1, "openmp": 1}]


def test_a_process_that_dies_is_one_sentence(tmp_path):
    with pytest.raises(records.RecordError, match="A process of the sweep was killed"):
        record(tmp_path, deadly, jobs=2, processes=True)
    assert all(row.seed != 3 for row in records.read("study", tmp_path))


# -- threads -----------------------------------------------------------------------------------------------------------

USED = """
import sklearn.ensemble
from errref import records
from tests.test_sweeps import threads_used
for jobs in (1, 3):
    print([row.numbers for row in records.evaluate("study", threads_used, [({}, 0)] * 4, jobs=jobs, progress=False)])
print(threads_used({}, 0))
"""


def test_a_row_that_is_measured_on_a_thread_uses_one_core():
    many = {**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", USED], env=many, capture_output=True, text=True, check=True)
    one, three, after = map(eval, done.stdout.splitlines())
    assert one == three == [{"blas": 1, "openmp": 1}] * 4
    assert after["blas"] > 1, "the limit must end with the sweep"


# -- a cluster ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes on this machine, each told to use two threads for linear algebra, and their scheduler."""
    import dask.config
    from distributed import LocalCluster

    two = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), 2)
    where = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    fast = {"distributed.scheduler.allowed-failures": 1}  # so many deaths may a piece of work survive
    with pytest.MonkeyPatch.context() as patch, dask.config.set({"distributed.nanny.pre-spawn-environ": two, **fast}):
        for name in two:
            patch.delenv(name, raising=False)  # it would come before what the cluster is told
        with LocalCluster(n_workers=2, threads_per_worker=1, silence_logs=50, **where) as cluster:
            yield cluster


@pytest.fixture
def scheduler(cluster):
    """The address; two workers are there again, whatever the test before did to them."""
    try:
        cluster.wait_for_workers(2, timeout=30)
    except TimeoutError:  # a worker that died while it was being started may not be started again
        cluster.scale(len(cluster.workers) + 1)
        cluster.wait_for_workers(2, timeout=120)
    return cluster.scheduler_address


def test_rows_of_a_real_study_are_equal_from_threads_and_from_a_cluster(scheduler):
    work = [(config, seed) for config in intuition.configurations()[:4] for seed in (0, 1)]
    found = [
        sorted(records.evaluate("intuition", intuition.run, work, progress=False, **how), key=lambda row: row.key)
        for how in ({"jobs": 2}, {"scheduler": scheduler})
    ]
    assert found[0] == found[1] and len(found[0]) == 8


def test_the_command_records_on_a_cluster_and_says_so(scheduler, tmp_path, monkeypatch, capsys):
    study = types.SimpleNamespace(SEEDS=2, run=measure, configurations=lambda: [{"width": 1}, {"width": 2}])
    monkeypatch.setattr(experiments, "load", lambda name: study)
    monkeypatch.setattr(claims, "load", dict)
    command, on = ["run", "study", "--results"], ["--backend", "dask", "--scheduler", scheduler]
    assert cli.main([*command, str(tmp_path / "dask"), *on]) == 0
    assert "4/4" in capsys.readouterr().err
    assert cli.main([*command, str(tmp_path / "threads"), "--jobs", "3"]) == 0
    rows = [sorted(records.read("study", tmp_path / how), key=lambda row: row.key) for how in ("dask", "threads")]
    assert rows[0] == rows[1] and len(rows[0]) == 4
    runs = [next(iter(records.runs("study", tmp_path / how).values())) for how in ("dask", "threads")]
    assert [(run["backend"], run["workers"], run["threads"]) for run in runs] == [("dask", 2, 2), ("threads", 1, 3)]
    assert runs[0]["machine"] == runs[1]["machine"] and runs[0]["numerics"] == runs[1]["numerics"]
    assert cli.main([*command, str(tmp_path / "dask")]) == 0 and "0 new rows of 4" in capsys.readouterr().out


def test_a_function_that_only_this_process_has_is_measured_on_the_cluster(scheduler):
    rows = list(records.evaluate("x", lambda c, s: {"seed": s}, WORK, scheduler=scheduler, progress=False))
    assert sorted(row.numbers["seed"] for row in rows) == sorted(seed for _, seed in WORK)


def test_a_row_that_is_measured_on_a_worker_uses_one_core(scheduler):
    rows = list(records.evaluate("x", threads_used, [({}, 0)] * 4, scheduler=scheduler, progress=False))
    assert [row.numbers for row in rows] == [{"blas": 1, "openmp": 1}] * 4


def processes(scheduler):
    from distributed import Client

    with Client(scheduler, set_as_default=False) as client:
        return set(client.run(os.getpid).values())


def test_a_worker_that_is_killed_costs_no_row_and_repeats_none(scheduler, tmp_path):
    before = processes(scheduler)
    victim = min(before)
    sweep = threading.Thread(target=record, args=(tmp_path,), kwargs={"scheduler": scheduler})
    sweep.start()
    try:
        until(lambda: recorded(tmp_path) >= 8)
        os.kill(victim, signal.SIGKILL)
        finished = (tmp_path / "study.jsonl").read_text().splitlines()[:8]
        assert recorded(tmp_path) < len(WORK), "the sweep ended before the worker was killed"
    finally:
        sweep.join(timeout=180)
    assert keys(tmp_path) == KEYS
    assert (tmp_path / "study.jsonl").read_text().splitlines()[:8] == finished
    pids = {row.numbers["pid"] for row in records.read("study", tmp_path)}
    assert pids & before and victim not in processes(scheduler)


SWEEP = """
import sys
from tests.test_sweeps import record
record(sys.argv[1], **({"scheduler": sys.argv[2]} if len(sys.argv) > 2 else {"jobs": 2}))
"""


def test_a_sweep_that_is_killed_goes_on_with_or_without_the_cluster(scheduler, tmp_path):
    file, before = tmp_path / "study.jsonl", []
    for means, rows in (([scheduler], 4), ([], 24)):
        sweep = subprocess.Popen([sys.executable, "-c", SWEEP, tmp_path, *means])
        until(lambda rows=rows: recorded(tmp_path) >= rows)
        sweep.kill()
        assert sweep.wait() == -signal.SIGKILL, "the sweep ended before it could be killed"
        whole = file.read_bytes()[: file.read_bytes().rfind(b"\n") + 1].decode().splitlines()
        assert whole[: len(before)] == before
        before = whole
    assert record(tmp_path, scheduler=scheduler) == len(WORK) - sum('"row"' in line for line in before)
    assert keys(tmp_path) == KEYS and file.read_text().splitlines()[: len(before)] == before


# -- what cannot work is one sentence ----------------------------------------------------------------------------------


def on_cluster(scheduler, run):
    return list(records.evaluate("study", run, WORK, scheduler=scheduler, progress=False))


def test_an_experiment_that_fails_on_a_worker_is_named(scheduler):
    with pytest.raises(RecordError, match=r"study, seed \d of \{'width': \d\}: the experiment failed with ZeroDiv"):
        on_cluster(scheduler, fails)


def test_work_that_kills_its_workers_is_given_up(scheduler):
    with pytest.raises(RecordError, match=r"^The cluster gave a piece of work up \(KilledWorker: .*run the same comma"):
        on_cluster(scheduler, deadly)


def test_a_function_that_the_workers_cannot_import_is_named(scheduler, monkeypatch):
    here = types.ModuleType("only_here")
    exec("def run(config, seed): return {'loss': 1.0}", here.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", here)
    with pytest.raises(
        RecordError, match="A worker cannot load the experiment .No module named 'only_here'.; install what"
    ):
        on_cluster(scheduler, here.run)


def test_workers_of_another_version_are_refused(scheduler, monkeypatch):
    monkeypatch.setattr(sweeps, "software", lambda: {**sweeps._software(), "source": "other"})
    with pytest.raises(RecordError, match=r"A worker differs from this machine: it has source \w+; install the same"):
        on_cluster(scheduler, measure)


def test_jobs_and_a_scheduler_exclude_each_other():
    with pytest.raises(RecordError, match="leave the jobs out"):
        next(records.evaluate("study", measure, WORK, jobs=2, scheduler="tcp://127.0.0.1:1"))


def test_workers_that_are_pinned_otherwise_are_a_warning_that_says_how_to_start_them(scheduler, monkeypatch):
    if not pins.pinned({}):
        pytest.skip("there are no pins for this kind of processor")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        on_cluster(scheduler, measure)
    assert not [str(warning.message) for warning in said if "pinned otherwise" in str(warning.message)]
    monkeypatch.setenv("MKL_CBWR", "SSE4_2")  # of this process alone: the workers are there already
    start = f"start the workers with `python -m errref.pins dask worker {scheduler}`"
    with pytest.warns(
        UserWarning, match=rf"^A worker is pinned otherwise than this process \(.*; {start}, or their rows"
    ):
        on_cluster(scheduler, measure)


def test_a_scheduler_without_workers_is_named(monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr(sweeps, "PATIENCE", 0.5)
    with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster:
        address = cluster.scheduler_address
        with pytest.raises(
            RecordError,
            match=f"at {address} has no worker; start some with `python -m errref.pins dask worker {address}`",
        ):
            on_cluster(address, measure)


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """What the command says to these arguments, after it has exited with 2 and left no file."""
    study = types.SimpleNamespace(SEEDS=2, run=measure, configurations=lambda: [{"width": 1}])
    monkeypatch.setattr(claims, "load", dict)
    monkeypatch.setattr(sweeps, "PATIENCE", 0.5)

    def refused(*arguments, study=study):
        monkeypatch.setattr(experiments, "load", lambda _: study)
        assert cli.main(["run", "study", *arguments, "--results", str(tmp_path), "--quiet"]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.startswith("errref: ") and err.count("\n") == 1 and list(tmp_path.iterdir()) == []
        return err

    return refused


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "127.0.0.1:1", "nonsense", "tcp://127.0.0.1:x"])
def test_a_scheduler_that_does_not_answer_is_named(address, refused):
    said = refused("--backend", "dask", "--scheduler", address)
    assert f"No Dask scheduler answers at {address} (" in said and "start one with `dask scheduler`" in said


def test_options_that_do_not_go_together_are_refused(refused):
    assert "--backend dask needs --scheduler ADDRESS" in refused("--backend", "dask")
    assert "--scheduler is of use only with --backend dask" in refused("--scheduler", "tcp://127.0.0.1:1")
    on = ("--backend", "dask", "--scheduler", "tcp://127.0.0.1:1")
    assert "`dask worker --nthreads N` does" in refused(*on, "--jobs", "2")
    images = types.SimpleNamespace(SEEDS=2, run=measure, configurations=lambda: [], needs_gpu=lambda config: False)
    assert "leave --backend dask out" in refused(*on, study=images)


def test_what_is_not_installed_is_named_with_the_command_that_installs_it(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    said = refused("--backend", "dask", "--scheduler", "tcp://127.0.0.1:1")
    assert said == "errref: Dask is not installed; install it with `pip install 'errref[dask]'`.\n"


# -- two sweeps, and a full disk ---------------------------------------------------------------------------------------

COMMAND = """
import os, resource, sys, time
from types import SimpleNamespace
from errref import claims, cli, experiments
def run(config, seed):
    while seed > 2 and os.path.exists(sys.argv[1] + "/hold"):
        time.sleep(0.01)
    return {"loss": 1.0}
claims.load = lambda: {}
experiments.load = lambda name: SimpleNamespace(SEEDS=40, run=run, configurations=lambda: [{"width": 1}, {"width": 2}])
if len(sys.argv) > 2:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
sys.exit(cli.main(["run", "study", "--jobs", "2", "--results", sys.argv[1], "--quiet"]))
"""


def test_the_second_command_on_one_file_is_refused_and_the_first_is_not_disturbed(tmp_path):
    command = [sys.executable, "-c", COMMAND, str(tmp_path)]
    (tmp_path / "hold").touch()
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        until(lambda: recorded(tmp_path) > 0)
        second = subprocess.run(command, capture_output=True, text=True, timeout=180)
    finally:
        (tmp_path / "hold").unlink()
        status = first.wait(timeout=180)
    assert (second.returncode, second.stdout, second.stderr.count("\n"), status) == (2, "", 1, 0)
    assert "study.jsonl is being written by another run; wait for it, or end it." in second.stderr
    assert keys(tmp_path) == KEYS and len(records.runs("study", tmp_path)) == 1


def test_a_full_disk_is_one_sentence_and_the_same_command_goes_on(tmp_path):
    command = [sys.executable, "-c", COMMAND, tmp_path]
    done = subprocess.run([*command, "3000"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "study.jsonl cannot be written (File too large); finished rows are safe; make room" in done.stderr
    before = recorded(tmp_path)
    assert 0 < before < len(WORK) and len(keys(tmp_path)) == before
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.startswith(f"{len(WORK) - before} new rows of {len(WORK)}") and keys(tmp_path) == KEYS
