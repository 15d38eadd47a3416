"""No finished row is lost, none stands twice, and no line that was torn or edited passes for a recorded one."""

import errno
import fcntl
import gzip
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import timeit

import numpy as np
import pytest

from errref import __version__, provenance, records, rowfiles
from errref.numerics import numerics
from errref.records import RecordError, Row

CONFIGS = [{"width": 1}, {"width": 2}]
WORK = [(config, seed) for seed in range(4) for config in CONFIGS]
KEYS = sorted(Row("study", config, seed, {}).key for config, seed in WORK)


def measure(config, seed):
    return {"loss": 10.0 ** -(seed + 1) / config["width"], "steps": 100 + seed}


def record(folder, run=measure, work=WORK, **how):
    return records.record(
        "study", run, work, **{"rules": {"claim": "hash"}, "folder": folder, "progress": False, **how}
    )


def keys(folder):
    return sorted(row.key for row in records.read("study", folder))


@pytest.fixture
def file(tmp_path):
    """The results file of a finished study of eight rows."""
    assert record(tmp_path) == 8
    return tmp_path / "study.jsonl"


def lines(file):
    return file.read_text().splitlines(keepends=True)


# -- appending and resuming --------------------------------------------------------------------------------------------


def test_rows_come_back_as_they_were_measured(tmp_path, file):
    rows = records.read("study", tmp_path)
    assert sorted(row.key for row in rows) == KEYS
    assert all(row.numbers == measure(row.config, row.seed) for row in rows)


def test_what_is_recorded_is_not_measured_again(tmp_path):
    calls = []

    def counted(config, seed):
        calls.append((config["width"], seed))
        return measure(config, seed)

    assert record(tmp_path, counted, WORK[:3]) == 3
    assert record(tmp_path, counted) == 5
    before = (tmp_path / "study.jsonl").read_bytes()
    assert record(tmp_path, counted) == 0
    assert (tmp_path / "study.jsonl").read_bytes() == before
    assert len(calls) == len(set(calls)) == 8 and keys(tmp_path) == KEYS


def test_work_that_is_named_twice_is_done_once(tmp_path):
    assert record(tmp_path, work=[*WORK, *WORK]) == 8
    assert keys(tmp_path) == KEYS


def test_rows_are_equal_whatever_the_number_of_jobs(tmp_path):
    found = []
    for jobs in (1, 2, 5, None):
        record(tmp_path / str(jobs), jobs=jobs)
        found.append(sorted(records.read("study", tmp_path / str(jobs)), key=lambda row: row.key))
    assert found[0] == found[1] == found[2] == found[3]


def test_equal_means_equal_in_experiment_configuration_seed_and_numbers():
    row = Row("study", {"a": 1, "b": 2}, 0, {"loss": 0.5}, run="x")
    assert row == Row("study", {"b": 2, "a": 1}, 0, {"loss": 0.5}, run="y")
    assert row != Row("study", {"a": 1, "b": 2}, 0, {"loss": 0.25}, run="x")
    assert row.key == Row("study", {"b": 2, "a": 1}, 0, {}).key != Row("study", {"b": 2}, 0, {}).key


def test_an_experiment_that_changes_its_configuration_does_not_change_the_row(tmp_path):
    record(tmp_path, lambda config, seed: {"width": config.pop("width")})
    assert keys(tmp_path) == KEYS


def test_numbers_of_numpy_become_plain(tmp_path):
    record(tmp_path, lambda c, s: {"n": np.int64(3), "x": np.float32(0.5), "hit": True}, WORK[:1])
    assert json.dumps(records.read("study", tmp_path)[0].numbers) == '{"n": 3, "x": 0.5, "hit": 1}'


def test_a_missing_file_has_no_rows_and_no_runs(tmp_path):
    assert records.read("study", tmp_path) == [] and records.runs("study", tmp_path) == {}


# -- provenance --------------------------------------------------------------------------------------------------------


def test_data_files_lie_in_an_installed_package_or_else_in_the_checkout_around_it(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "PACKAGE", tmp_path / "errref")
    assert records.results_file("study") == tmp_path / "results" / "study.jsonl"
    (tmp_path / "errref" / "_data").mkdir(parents=True)
    assert records.results_file("study") == tmp_path / "errref" / "_data" / "results" / "study.jsonl"
    assert records.packaged("book", "claims.yml") == tmp_path / "errref" / "_data" / "book" / "claims.yml"


def test_every_row_says_where_it_comes_from(tmp_path):
    record(tmp_path, work=WORK[:3], jobs=3)
    record(tmp_path, rules={"claim": "other"})
    runs = records.runs("study", tmp_path)
    assert len(runs) == 2 and {row.run for row in records.read("study", tmp_path)} == set(runs)
    first, second = runs.values()
    assert first["rules"] == {"claim": "hash"} and second["rules"] == {"claim": "other"}
    for run in runs.values():
        assert set(run) == {
            *("package", "source", "python", "versions", "machine", "device", "backend", "workers", "threads"),
            *("start", "rules", "seconds", "numerics"),
        }
        assert run["package"] == __version__ and run["source"] == provenance.source_hash()
        assert set(run["versions"]) == {"numpy", "scipy", "scikit-learn", "numba", "torch"}
        assert run["versions"]["numpy"] == np.__version__
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", run["start"])
        assert run["seconds"] >= 0 and run["device"] == "cpu" and run["numerics"] == numerics()
    assert first["threads"] == 3


def test_the_seconds_of_a_run_are_those_until_its_last_row(tmp_path):
    def slow(config, seed):
        time.sleep(0.15)
        return measure(config, seed)

    record(tmp_path, slow, WORK[:2], jobs=1)
    assert next(iter(records.runs("study", tmp_path).values()))["seconds"] >= 0.3


def test_the_source_hash_follows_the_sources(tmp_path, monkeypatch):
    (tmp_path / "a.py").write_text("x = 1\n")
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    before = provenance.source_hash()
    (tmp_path / "a.py").write_text("x = 2\n")
    changed = provenance.source_hash()
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert len({before, changed, provenance.source_hash()}) == 3


# -- killed runs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [1, 40, -1])
def test_a_torn_last_line_is_refused_by_readers_and_dropped_by_the_next_run(kept, tmp_path, file, capsys):
    *whole, last = lines(file)
    file.write_text("".join(whole) + last[:kept])
    with pytest.raises(RecordError, match=r"study\.jsonl: the last line is torn.*`errref run study`"):
        records.read("study", tmp_path)
    assert record(tmp_path) == 1
    assert keys(tmp_path) == KEYS and lines(file)[: len(whole)] == whole
    assert "dropped a torn last line" in capsys.readouterr().err


def test_a_torn_run_line_is_dropped_with_nothing_else(tmp_path, file):
    first = lines(file)[0]
    file.write_text(first[:50])
    assert record(tmp_path) == 8
    assert keys(tmp_path) == KEYS and len(records.runs("study", tmp_path)) == 1


SWEEP = """
import sys, time
from errref import records
def run(config, seed):
    time.sleep(0.03)
    return {"loss": seed / 7, "width": config["width"]}
work = [({"width": w}, s) for s in range(40) for w in (1, 2)]
print(records.record("study", run, work, rules={}, folder=sys.argv[1], progress=False, jobs=3))
"""


def test_a_sweep_that_is_killed_loses_no_finished_row_and_repeats_none(tmp_path):
    file, before = tmp_path / "study.jsonl", []
    for rows in (5, 20, 40):
        sweep = subprocess.Popen([sys.executable, "-c", SWEEP, tmp_path])
        end = time.monotonic() + 30
        while time.monotonic() < end and file_rows(file) < rows:
            time.sleep(0.005)
        os.kill(sweep.pid, signal.SIGKILL)
        assert sweep.wait() == -signal.SIGKILL, "the sweep ended before it could be killed"
        whole = file.read_bytes()[: file.read_bytes().rfind(b"\n") + 1].decode().splitlines()
        assert whole[: len(before)] == before and len(whole) > rows
        before = whole
    done = subprocess.run([sys.executable, "-c", SWEEP, tmp_path], capture_output=True, text=True, check=True)
    assert int(done.stdout) == 80 - sum('"row"' in line for line in before)
    found = keys(tmp_path)
    assert len(found) == len(set(found)) == 80
    assert file.read_text().splitlines()[: len(before)] == before


def file_rows(file):
    return file.read_text().count('"row"') if file.exists() else 0


def test_the_second_of_two_sweeps_on_one_file_is_refused(tmp_path):
    started, go_on = threading.Event(), threading.Event()

    def waits(config, seed):
        started.set()
        go_on.wait(10)
        return measure(config, seed)

    first = threading.Thread(target=record, args=(tmp_path, waits), kwargs={"jobs": 1})
    first.start()
    try:
        assert started.wait(10)
        with pytest.raises(RecordError, match=r"study\.jsonl is being written by another run; wait for it, or end it"):
            record(tmp_path)
    finally:
        go_on.set()
        first.join()
    assert keys(tmp_path) == KEYS and record(tmp_path) == 0


def test_an_interrupted_sweep_keeps_its_rows_and_goes_on(tmp_path):
    def stops(config, seed):
        if seed == 2:
            raise KeyboardInterrupt
        return measure(config, seed)

    with pytest.raises(KeyboardInterrupt):
        record(tmp_path, stops, jobs=1)
    assert keys(tmp_path) == [key for key in KEYS if key[2] < 2]
    assert record(tmp_path) == 4 and keys(tmp_path) == KEYS


# -- files that were edited --------------------------------------------------------------------------------------------


def edit_number(text):
    return text.replace('"loss": 0.0001,', '"loss": 0.0002,', 1)


def swap_seeds(text):
    return text.replace('"seed": 1,', '"seed": 9,', 1)


def drop_check(text):
    return re.sub(r', "check": "\w+"', "", text, count=1)


def insert(line):
    return lambda text: "".join([*text.splitlines(keepends=True)[:2], line, *text.splitlines(keepends=True)[2:]])


WHOLE = {"experiment": "study", "config": {}, "seed": 0, "numbers": {}}


def sealed(row):
    """A line with its check sum, whatever the row in it."""
    return rowfiles._encode({"run": "one", "seconds": 1.0, "row": row})


def repeat_row(text):
    return text + text.splitlines(keepends=True)[-1]


def without_run(text):
    return "".join(text.splitlines(keepends=True)[1:])


@pytest.mark.parametrize(
    "edit, sentence",
    [
        (edit_number, r"study\.jsonl, line \d: the line was changed after it was recorded; restore .* record it again"),
        (swap_seeds, r"study\.jsonl, line \d: the line was changed after it was recorded"),
        (drop_check, r"study\.jsonl, line 1: this is not a recorded line; restore"),
        (insert("garbage\n"), r"study\.jsonl, line 3: this is not a recorded line"),
        (
            insert(sealed({"config": {}, "seed": 0})),
            r"study\.jsonl, line 3: this is no line that describes a run or",
        ),
        (insert(sealed({**WHOLE, "seed": "0"})), r"study\.jsonl, line 3: this is no line that describes a run or"),
        (insert("\n"), r"study\.jsonl, line 3: this is not a recorded line"),
        (insert("[1, 2]\n"), r"study\.jsonl, line 3: this is not a recorded line"),
        (insert('"text"\n'), r"study\.jsonl, line 3: this is not a recorded line"),
        (insert("<<<<<<< HEAD\n"), r"study\.jsonl, line 3: this is not a recorded line"),
        (repeat_row, r"study\.jsonl, line 10: \('study', .*\) stands twice; delete one of the two lines"),
        (without_run, r"study\.jsonl, line 1: no line before it describes its run; restore"),
    ],
)
def test_a_file_that_was_edited_is_refused_and_left_alone(edit, sentence, tmp_path, file):
    edited = edit(file.read_text())
    assert edited != file.read_text()
    file.write_text(edited)
    for use in (records.read, lambda name, folder: record(folder, work=[(CONFIGS[0], 99)])):
        with pytest.raises(RecordError, match=sentence):
            use("study", tmp_path)
    assert file.read_text() == edited


def test_bytes_that_are_no_text_are_refused(tmp_path, file):
    file.write_bytes(file.read_bytes().replace(b'"seed"', b'"se\xffd"', 1))
    with pytest.raises(RecordError, match=r"study\.jsonl, line 2: the line was changed"):
        records.read("study", tmp_path)


def test_rows_of_another_experiment_are_refused(tmp_path, file):
    file.rename(tmp_path / "other.jsonl")
    with pytest.raises(RecordError, match=r"other\.jsonl, line 2: a row of 'study'; move it"):
        records.read("other", tmp_path)


def test_a_file_with_the_line_ends_of_another_system_is_read(tmp_path, file):
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert keys(tmp_path) == KEYS


def as_the_first_rows_were_sealed(file):
    """The same lines with check sums of their entries in order, which is how those of the first chapters were made."""
    for raw in lines(file):
        line = json.loads(raw)
        line.pop("check")
        check = hashlib.sha256(json.dumps(line, sort_keys=True).encode()).hexdigest()[:12]
        yield json.dumps({**line, "check": check}) + "\n"


def test_the_check_sums_of_the_first_rows_still_hold(tmp_path, file):
    before = records.read("study", tmp_path)
    file.write_text("".join(as_the_first_rows_were_sealed(file)))
    assert records.read("study", tmp_path) == before
    for edit in (edit_number, swap_seeds):
        old = file.read_text()
        file.write_text(edit(old))
        with pytest.raises(RecordError, match="the line was changed after it was recorded"):
            records.read("study", tmp_path)
        file.write_text(old)


# -- packed rows -------------------------------------------------------------------------------------------------------


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_packed_rows_are_the_same_rows_of_the_same_runs(tmp_path, file):
    before, runs = records.read("study", tmp_path), records.runs("study", tmp_path)
    assert records.pack("study", tmp_path) == 8 and names(tmp_path) == ["study.jsonl.gz"]
    assert records.read("study", tmp_path) == before and records.runs("study", tmp_path) == runs
    assert [row.run for row in records.read("study", tmp_path)] == [row.run for row in before]


def test_a_packed_study_goes_on_in_a_plain_file_and_is_packed_again(tmp_path):
    record(tmp_path, work=WORK[:5])
    records.pack("study", tmp_path)
    assert record(tmp_path) == 3 and names(tmp_path) == ["study.jsonl", "study.jsonl.gz"]
    rows = records.read("study", tmp_path)
    assert len(lines(tmp_path / "study.jsonl")) == 4 and sorted(row.key for row in rows) == KEYS
    assert records.pack("study", tmp_path) == 8 and names(tmp_path) == ["study.jsonl.gz"]
    assert records.read("study", tmp_path) == rows and len(records.runs("study", tmp_path)) == 2
    assert record(tmp_path) == 0 and names(tmp_path) == ["study.jsonl.gz"]


def test_the_same_rows_make_the_same_bytes(tmp_path, file):
    plain, packed = file.read_bytes(), tmp_path / "study.jsonl.gz"
    records.pack("study", tmp_path)
    before = packed.read_bytes()
    assert gzip.decompress(before) == plain and before[4:8] == bytes(4)  # no time of packing
    assert records.pack("study", tmp_path) == 8 and packed.read_bytes() == before
    packed.unlink()
    file.write_bytes(plain)
    os.utime(file, (0, 0))
    records.pack("study", tmp_path)
    assert packed.read_bytes() == before


KILLED = """
import os, signal, sys
from pathlib import Path
from errref import records
owner, name = {"fsync": (os, "fsync"), "replace": (Path, "replace"), "unlink": (Path, "unlink")}[sys.argv[2]]
setattr(owner, name, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
records.pack("study", sys.argv[1])
"""


@pytest.mark.parametrize("moment", ["fsync", "replace", "unlink"])
def test_packing_that_is_killed_loses_no_row_and_can_be_ended(moment, tmp_path):
    record(tmp_path, work=WORK[:3])
    records.pack("study", tmp_path)
    record(tmp_path, work=WORK[:6])
    before = records.read("study", tmp_path)
    shutil.copytree(tmp_path, tmp_path / "whole")
    records.pack("study", tmp_path / "whole")
    assert subprocess.run([sys.executable, "-c", KILLED, tmp_path, moment]).returncode == -signal.SIGKILL
    assert (tmp_path / "study.jsonl").exists()
    assert records.read("study", tmp_path) == before and len(records.runs("study", tmp_path)) == 2
    assert records.pack("study", tmp_path) == 6
    packed = "study.jsonl.gz"
    assert names(tmp_path) == [packed, "whole"]
    assert (tmp_path / packed).read_bytes() == (tmp_path / "whole" / packed).read_bytes()
    assert record(tmp_path) == 2 and keys(tmp_path) == KEYS


def test_a_row_of_another_run_that_stands_in_both_files_is_refused(tmp_path, file):
    (tmp_path / "other").mkdir()
    record(tmp_path / "other", work=WORK[:2])
    records.pack("study", tmp_path)
    (tmp_path / "other" / "study.jsonl").rename(file)
    with pytest.raises(RecordError, match=r"study\.jsonl, line 2: .* stands twice"):
        records.read("study", tmp_path)


@pytest.mark.parametrize(
    "damage, sentence",
    [
        (lambda data: data[:-40], "cannot be unpacked"),
        (lambda data: data[:60] + bytes([data[60] ^ 1]) + data[61:], "cannot be unpacked"),
        (lambda data: b"no gzip" + data, "cannot be unpacked"),
        (
            lambda data: gzip.compress(edit_number(gzip.decompress(data).decode()).encode()),
            r"line \d: the line was chang",
        ),
    ],
)
def test_packed_rows_that_were_damaged_or_edited_are_refused(damage, sentence, tmp_path, file):
    records.pack("study", tmp_path)
    packed = tmp_path / "study.jsonl.gz"
    packed.write_bytes(damage(packed.read_bytes()))
    with pytest.raises(RecordError, match=rf"study\.jsonl\.gz.*{sentence}.*restore"):
        records.read("study", tmp_path)


def test_a_disk_that_has_no_room_for_the_packed_rows_loses_none(tmp_path, file):
    code = "import resource, sys; from errref import records\n"
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))\n"
    code += "try: records.pack('study', sys.argv[1])\nexcept records.RecordError as fault: print(fault)"
    before = file.read_bytes()
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert "study.jsonl.gz cannot be written (File too large); nothing was lost: make room" in done.stdout
    assert names(tmp_path) == ["study.jsonl"] and file.read_bytes() == before


def test_nothing_is_packed_while_a_sweep_writes_and_nothing_is_not_packed(tmp_path, file):
    with rowfiles.exclusive(file), pytest.raises(RecordError, match="is being written by another run"):
        records.pack("study", tmp_path)
    with pytest.raises(RecordError, match="has no rows to pack; record them with `errref run other`"):
        records.pack("other", tmp_path)
    assert names(tmp_path) == ["study.jsonl"]


def test_a_sweep_that_opened_the_file_before_it_was_packed_writes_nothing_into_a_removed_file(
    tmp_path, file, monkeypatch
):
    lock = fcntl.flock

    def packed_in_between(descriptor, how):
        monkeypatch.setattr(fcntl, "flock", lock)
        records.pack("study", tmp_path)
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", packed_in_between)
    with pytest.raises(RecordError, match="is being written by another run"):
        record(tmp_path, work=[(CONFIGS[0], 99)])
    assert names(tmp_path) == ["study.jsonl.gz"] and keys(tmp_path) == KEYS


def test_reading_costs_little_more_than_parsing(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda file: None)  # three thousand times, for nothing that this is about
    work = [({"width": 1, **{f"choice {k}": "a level" for k in range(10)}}, seed) for seed in range(3000)]
    record(tmp_path, lambda config, seed: {f"loss {k}": (seed + 1) / (k + 7) for k in range(10)}, work, jobs=1)
    texts = lines(tmp_path / "study.jsonl")
    records.pack("study", tmp_path)

    def best(run):
        return min(timeit.repeat(run, number=1, repeat=5, timer=time.process_time))

    assert best(lambda: records.read("study", tmp_path)) < 5 * best(lambda: [json.loads(text) for text in texts])


# -- disks and folders -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", ["write", "fsync", "half a write"])
@pytest.mark.parametrize("rows", [0, 3])
def test_a_full_disk_leaves_whole_lines_only(fails, rows, tmp_path, monkeypatch):
    if rows:
        record(tmp_path, work=WORK[:rows])
    file = tmp_path / "study.jsonl"
    before = file.read_bytes() if rows else None
    write = os.write

    def full(descriptor, data=b""):
        if fails == "half a write" and len(data) > 100:
            return write(descriptor, data[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync" if fails == "fsync" else "write", full)
        with pytest.raises(RecordError, match=r"study\.jsonl cannot be written \(No space left.*make room and run"):
            record(tmp_path)
    assert (file.read_bytes() if file.exists() else None) == before
    assert record(tmp_path) == 8 - rows and keys(tmp_path) == KEYS


LIMITED = """
import resource, sys
from errref import records
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, resource.RLIM_INFINITY))
try:
    work = [({"width": 1}, seed) for seed in range(50)]
    records.record("study", lambda c, s: {"loss": s / 7}, work, rules={}, folder=sys.argv[1], progress=False)
except records.RecordError as fault:
    print(fault)
"""


def test_a_real_limit_of_the_file_system_leaves_whole_lines_only(tmp_path):
    done = subprocess.run([sys.executable, "-c", LIMITED, tmp_path], capture_output=True, text=True, check=True)
    assert "cannot be written (File too large)" in done.stdout
    found = keys(tmp_path)
    assert 0 < len(found) < 50 and (tmp_path / "study.jsonl").stat().st_size <= 1500
    new = records.record(
        "study", measure, [({"width": 1}, seed) for seed in range(50)], rules={}, folder=tmp_path, progress=False
    )
    assert new == 50 - len(found)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "blocked").write_text("a file where a folder should be\n")
    with pytest.raises(RecordError, match=r"study\.jsonl cannot be opened for writing \(.*--results"):
        record(tmp_path / "blocked")
    (tmp_path / "study.jsonl").mkdir()
    with pytest.raises(RecordError, match=r"cannot be opened for writing \(Is a directory\)"):
        record(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(RecordError, match=r"cannot be opened for writing \(Permission denied\)"):
        record(tmp_path)


# -- experiments that fail ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), "0.5", None, [0.5], 1j])
def test_what_is_not_a_finite_number_is_refused_with_configuration_and_seed(bad, tmp_path):
    def sometimes(config, seed):
        return {"steps": 3, "loss": bad if seed == 2 else 0.5}

    with pytest.raises(RecordError, match=r"study, seed 2 of \{'width': 1\}: loss is .*, not a finite number; mend"):
        record(tmp_path, sometimes, [({"width": 1}, seed) for seed in range(4)], jobs=1)
    assert [key[2] for key in keys(tmp_path)] == [0, 1]


def test_a_first_row_that_is_refused_leaves_nothing_behind(tmp_path):
    with pytest.raises(RecordError):
        record(tmp_path, lambda config, seed: {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_experiment_that_fails_for_one_seed_keeps_the_finished_rows(jobs, tmp_path):
    def fails(config, seed):
        if seed == 3:
            time.sleep(0.1)
            raise ZeroDivisionError("no loss")
        return measure(config, seed)

    sentence = r"study, seed 3 of \{'width': 1\}: the experiment failed with ZeroDivisionError: no loss"
    with pytest.raises(RecordError, match=sentence) as caught:
        record(tmp_path, fails, [({"width": 1}, seed) for seed in range(4)], jobs=jobs)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert [key[2] for key in keys(tmp_path)] == [0, 1, 2]
    assert record(tmp_path) == 5 and keys(tmp_path) == KEYS


def test_evaluate_yields_rows_that_belong_to_no_run(capsys):
    rows = list(records.evaluate("study", measure, WORK, jobs=2))
    assert sorted(row.key for row in rows) == KEYS and {row.run for row in rows} == {""}
    assert "8/8" in capsys.readouterr().err
    assert list(records.evaluate("study", measure, [])) == []
    list(records.evaluate("study", measure, WORK, progress=False))
    assert capsys.readouterr().err == ""
