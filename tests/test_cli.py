"""The command does what its help says, and its exit status says what happened."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from errref import __version__, claims, cli, datasets, experiments, imagefiles, networks, pins, records
from errref import numerics as numerics_module
from errref.claims import Claim
from errref.numerics import numerics

RULE = {
    **{"experiment": "functions", "seeds": 4, "confidence": 0.95, "statistic": "median", "measure": "loss"},
    **{"bound": {"below": 5}, "readings": {"linear": {"select": {"function": "linear"}}}},
}
OTHER = {**RULE, "readings": {"gone": {"select": {"function": "gone"}}}}
LEDGER = [
    Claim("low-loss", "paper", "sec. 1", "The loss is low.", "measured", "functions", "low", rule=RULE),
    Claim("lost", "paper", "sec. 2", "Nobody measures it.", "measured", "functions", rule=OTHER),
    Claim("proof", "paper", "sec. 3", "It follows.", "derived", "functions", rule={"derivation": "functions.proof"}),
    Claim("later", "blog", "end", "It will be seen.", "measured", "traps"),
    Claim("human", "paper", "sec. 1", "People do it.", "untestable", "traps", note="A statement about people."),
]


@pytest.fixture
def study(monkeypatch):
    """A cheap experiment in the place of `functions`, with a ledger of its own; ``calls`` has what was measured."""
    calls = []

    def run(config, seed):
        calls.append((config["function"], seed))
        return {"loss": study.loss * (1 + seed % 3 / 10)}

    configs = [{"function": "linear"}, {"function": "cubic"}]
    proof = [{"reading": "at 0", "value": "0 = 0", "holds": True}]
    study = SimpleNamespace(
        SEEDS=2, run=run, configurations=lambda: configs, proof=lambda: proof, calls=calls, loss=1.0
    )
    monkeypatch.setattr(experiments, "load", lambda name: study)
    monkeypatch.setattr(claims, "load", lambda: {claim.id: claim for claim in LEDGER})
    monkeypatch.setattr(pins, "departures", lambda environment: [])  # else `check` says how the tests are run
    return study


@pytest.fixture
def errref(tmp_path, capsys):
    """The command on a results folder of its own: exit status, output, messages."""

    def run(*arguments):
        return cli.main([*arguments, "--results", str(tmp_path)]), *capsys.readouterr()

    return run


def recorded(folder):
    return sorted((row.config["function"], row.seed) for row in records.read("functions", folder))


# -- claims ------------------------------------------------------------------------------------------------------------


def test_claims_prints_a_line_for_each_claim(study, errref):
    status, out, err = errref("claims")
    assert (status, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == ["claim", *(claim.id for claim in LEDGER)]


@pytest.mark.parametrize(
    "arguments, ids",
    [
        (["proof", "low-loss"], ["proof", "low-loss"]),
        (["--chapter", "traps"], ["later", "human"]),
        (["proof", "later", "--chapter", "traps"], ["later"]),
    ],
)
def test_claims_can_be_narrowed(arguments, ids, study, errref):
    status, out, _ = errref("claims", *arguments)
    assert status == 0 and [line.split()[0] for line in out.splitlines()[1:]] == ids


def test_claims_as_json_have_what_a_program_needs(capsys):
    status = cli.main(["claims", "--json"])
    found = json.loads(capsys.readouterr().out, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert status == 0 and [entry["id"] for entry in found] == list(claims.load())
    for entry in found:
        assert {"id", "source", "chapter", "paper", "recorded", "interval", "n", "verdict"} <= set(entry)
        assert entry["source"] in ("paper", "blog") and type(entry["chapter"]) is str
        assert entry["n"] is None or type(entry["n"]) is int
        assert entry["verdict"] in (
            *("reproduced", "partly", "not reproduced", "refuted", "open", "possible", "not possible", "not testable"),
        )


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["claims", "low-los"], "errref: There is no claim 'low-los'; did you mean low-loss?"),
        (["claims", "--chapter", "trap"], "errref: No such claim has the chapter 'trap'; there are functions, traps."),
        (["check", "prof"], "errref: There is no claim 'prof'; did you mean proof?"),
        (["check", "zzz"], "errref: There is no claim 'zzz'; `errref claims` lists them."),
        (["check", "low-loss", "--seeds", "1"], "errref: --seeds must be at least 2: one seed has no interval."),
        (
            ["check", "lost"],
            "errref: No configuration of 'functions' is what claim 'lost' selects; mend its rule.",
        ),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_2(arguments, message, study, errref):
    status, _, err = errref(*arguments)
    assert (status, err) == (2, message + "\n")


def test_an_unknown_experiment_is_answered_with_the_nearest_one(errref):
    assert errref("run", "function") == (
        2,
        "",
        "errref: There is no experiment 'function': did you mean 'functions'?\n",
    )
    status, _, err = errref("run", "zzz")
    assert status == 2 and "known are intuition, isodata, functions" in err


@pytest.mark.parametrize(
    "arguments", [[], ["clams"], ["check"], ["run", "functions", "--seeds", "0"], ["run", "functions", "--jobs", "x"]]
)
def test_arguments_that_make_no_sense_exit_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2 and capsys.readouterr().err.startswith("usage: errref")


@pytest.mark.parametrize("command", [[], ["claims"], ["check"], ["run"], ["pack"]])
def test_help_says_what_the_command_does(command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([*command, "--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert stop.value.code == 0
    assert ("example: errref " + command[0] if command else "0 agrees, 1 disagrees, 2 usage") in out
    if command:
        assert "--results FOLDER" in out
    if command in (["check"], ["run"]):
        assert "--seeds N" in out and "default: " in out and "--jobs N" in out and "--quiet" in out
        assert "--backend {threads,processes,dask}" in out and "--scheduler ADDRESS" in out


# -- run ---------------------------------------------------------------------------------------------------------------


def test_run_records_what_is_missing_and_says_how_much_that_is(study, errref, tmp_path):
    status, out, err = errref("run", "functions", "--seeds", "2")
    assert status == 0 and "4/4" in err
    assert out == f"4 new rows of 4 in {tmp_path / 'functions.jsonl'}\n"
    assert errref("run", "functions", "--seeds", "3", "--quiet")[1:] == (
        f"2 new rows of 6 in {tmp_path / 'functions.jsonl'}\n",
        "",
    )
    assert errref("run", "functions", "--seeds", "3")[1].startswith("0 new rows of 6")
    assert sorted(study.calls) == recorded(tmp_path) and len(study.calls) == 6


def test_rows_are_packed_by_a_command_and_run_goes_on_from_them(study, errref, tmp_path):
    errref("run", "functions", "--seeds", "2", "--quiet")
    packed = tmp_path / "functions.jsonl.gz"
    assert errref("pack", "functions") == (0, f"4 rows in {packed}\n", "")
    assert list(tmp_path.iterdir()) == [packed]
    assert errref("run", "functions", "--seeds", "3", "--quiet")[1].startswith("2 new rows of 6 in ")
    assert errref("pack", "functions") == (0, f"6 rows in {packed}\n", "") and len(recorded(tmp_path)) == 6
    packed.unlink()
    status, out, err = errref("pack", "functions")
    assert (status, out, err.count("\n")) == (2, "", 1) and "has no rows to pack; record them with" in err


def test_run_keeps_the_hashes_of_the_rules_that_judge_its_rows(study, errref, tmp_path):
    errref("run", "functions", "--seeds", "2")
    (run,) = records.runs("functions", tmp_path).values()
    assert run["rules"] == {claim.id: claim.rule_hash for claim in LEDGER[:2]}


def test_what_needs_a_gpu_stays_pending_where_there_is_none(study, errref, tmp_path, monkeypatch):
    study.needs_gpu = lambda config: config["function"] == "cubic"
    monkeypatch.setattr(networks, "has_gpu", lambda: False)
    status, out, _ = errref("run", "functions")
    assert status == 0 and recorded(tmp_path) == [("linear", 0), ("linear", 1)]
    assert "1 configurations need a GPU and stay pending: {'function': 'cubic'}" in out
    monkeypatch.setattr(networks, "has_gpu", lambda: True)
    monkeypatch.setattr(networks, "device_name", lambda: "a GPU")
    assert errref("run", "functions")[0] == 0 and len(recorded(tmp_path)) == 4
    assert [run["device"] for run in records.runs("functions", tmp_path).values()] == ["cpu", "a GPU"]


def test_an_interrupted_run_exits_130_and_goes_on_later(study, errref, tmp_path, monkeypatch):
    run = study.run

    def interrupted(config, seed):
        if seed == 2:
            raise KeyboardInterrupt
        return run(config, seed)

    monkeypatch.setattr(study, "run", interrupted)
    status, _, err = errref("run", "functions", "--seeds", "4", "--jobs", "1", "--quiet")
    assert status == 130 and err.startswith("errref: stopped; finished rows are kept")
    assert recorded(tmp_path) == [("cubic", 0), ("cubic", 1), ("linear", 0), ("linear", 1)]
    monkeypatch.setattr(study, "run", run)
    assert errref("run", "functions", "--seeds", "4")[1].startswith("4 new rows of 8")


INTERRUPTED = """
import sys, time
from dataclasses import replace
from types import SimpleNamespace
from errref import claims, cli, experiments
def run(config, seed):
    time.sleep(0.05)
    return {"loss": 1.0}
claims.load = lambda: {}
experiments.load = lambda name: SimpleNamespace(SEEDS=20, run=run, configurations=lambda: [{"function": "linear"}])
sys.exit(cli.main(["run", "functions", "--seeds", "2000", "--jobs", "3", "--results", sys.argv[1], "--quiet"]))
"""


def test_the_interrupt_key_stops_a_run_on_several_threads(tmp_path):
    file = tmp_path / "functions.jsonl"
    command = [sys.executable, "-c", INTERRUPTED, tmp_path]
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # whoever started the tests may ignore the key
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heard)
    end = time.monotonic() + 30
    while time.monotonic() < end and not (file.exists() and file.read_text().count("\n") > 5):
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=30)
    assert run.returncode == 130 and err.startswith("errref: stopped; finished rows are kept")
    assert len(recorded(tmp_path)) >= 4


LEFT = """
import threading, time
from errref import __main__ as command, cli
threading.Thread(target=time.sleep, args=(60,)).start()  # as one that trains on
cli.main = lambda: print("said") or 130
command.run()
"""


def test_an_interrupted_command_leaves_at_once_whatever_its_threads_still_do():
    done = subprocess.run([sys.executable, "-c", LEFT], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (130, "said\n", "")


def test_a_failing_experiment_is_one_sentence_and_exit_2(study, errref, monkeypatch):
    monkeypatch.setattr(study, "run", lambda config, seed: {"loss": float("nan")})
    status, _, err = errref("run", "functions", "--quiet", "--jobs", "1")
    sentence = "errref: functions, seed 0 of {'function': 'linear'}: loss is nan, not a finite number"
    assert status == 2 and err.startswith(sentence) and err.count("\n") == 1


# -- check -------------------------------------------------------------------------------------------------------------


def test_check_agrees_on_seeds_that_are_not_recorded(study, errref, tmp_path):
    errref("run", "functions", "--seeds", "6")
    study.calls.clear()
    before = (tmp_path / "functions.jsonl").read_bytes()
    status, out, _ = errref("check", "low-loss", "--seeds", "4", "--quiet")
    assert status == 0
    assert out.splitlines() == [
        "low-loss: The loss is low.",
        "paper (sec. 1): low",
        "  linear: recorded 1.1 [1, 1.2] n=6 | fresh 1.05 [1, 1.2] n=4 | holds",
        "verdict: reproduced; fresh rows agree",
    ]
    assert sorted(study.calls) == [("linear", seed) for seed in (6, 7, 8, 9)]
    assert (tmp_path / "functions.jsonl").read_bytes() == before


@pytest.mark.parametrize("loss", [2.0, 0.5])
def test_check_disagrees_where_the_intervals_do_not_meet(loss, study, errref):
    errref("run", "functions", "--seeds", "6")
    study.loss = loss
    status, out, _ = errref("check", "low-loss", "--quiet")
    assert status == 1 and "holds; the two do not agree" in out
    assert out.endswith("verdict: reproduced; fresh rows disagree\n")


def test_check_measures_the_smaller_scale_that_a_rule_names(study, errref, monkeypatch):
    study.configurations = lambda: [{"function": "linear", "scale": scale} for scale in ("full", "quick")]
    rule = {**RULE, "select": {"function": "linear", "scale": "full"}, "quick": {"scale": "quick"}}
    rule.pop("readings", None)
    claim = Claim("small", "paper", "sec. 2", "It is low.", "measured", "functions", rule=rule)
    monkeypatch.setattr(claims, "load", lambda: {"small": claim})
    errref("run", "functions", "--seeds", "4")
    study.calls.clear()
    status, out, _ = errref("check", "small")
    assert status == 0 and len(study.calls) == 5
    assert "measured at a smaller scale, {'scale': 'quick'}" in out and "verdict: reproduced; fresh rows agree" in out


@pytest.mark.parametrize("arguments", [("check", "low-loss"), ("run", "functions")])
def test_images_that_are_missing_are_one_sentence_and_exit_3(arguments, study, errref, monkeypatch):
    def run(config, seed):
        raise imagefiles.DataNotFound("The garments were not found. Run `errref data`.")

    monkeypatch.setattr(study, "run", run)
    status, _, err = errref(*arguments, "--quiet", "--jobs", "1")
    assert status == 3 and err.endswith("The garments were not found. Run `errref data`.\n") and err.count("\n") == 1


def test_check_without_rows_still_prints_fresh(study, errref, tmp_path):
    errref("run", "functions", "--seeds", "6")
    (tmp_path / "functions.jsonl").rename(tmp_path / "away.jsonl")
    status, out, _ = errref("check", "low-loss", "--seeds", "3", "--quiet")
    assert status == 3 and "recorded – n=0 | fresh 1.1 [1, 1.2] n=3 | open" in out
    assert "verdict on the fresh rows alone: reproduced (nothing is recorded to compare with)" in out
    assert not (tmp_path / "functions.jsonl").exists()


def test_check_says_that_a_rule_was_changed_after_the_rows(study, errref, monkeypatch):
    errref("run", "functions", "--seeds", "6")
    assert "changed" not in errref("check", "low-loss", "--quiet")[1]
    monkeypatch.setitem(RULE, "bound", {"below": 6})
    assert "(the rule was written or changed after rows were recorded)" in errref("check", "low-loss", "--quiet")[1]


def test_check_says_that_numerics_moved_before_it_says_that_rows_disagree(study, errref, monkeypatch):
    errref("run", "functions", "--seeds", "6")
    study.loss = 2.0
    assert "numerics" not in errref("check", "low-loss", "--quiet")[1]
    elsewhere = {**numerics(), "numpy": "fedcba98"}
    monkeypatch.setattr("errref.numerics.numerics", lambda parts: {part: elsewhere[part] for part in parts})
    lines = errref("check", "low-loss", "--quiet")[1].splitlines()
    assert (
        lines[2].startswith("  (numerics moved: numpy of this machine round otherwise than where")
        and "the two do not agree" in lines[3]
    )


def test_without_torch_a_study_of_images_is_one_sentence(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    numerics_module._told.cache_clear()
    assert cli.main(["run", "fashion", "--results", str(tmp_path), "--quiet"]) == 2
    assert capsys.readouterr().err == "errref: This needs torch; install it with `pip install errref[torch]`.\n"
    assert not list(tmp_path.iterdir())


def test_check_measures_a_sample_of_systems_by_a_second_rule(study, errref, monkeypatch, tmp_path):
    each = {"statistic": "median", "measure": "loss", "each": {"below": 2}, "bound": {"above": 0.5}}
    rule = {"experiment": "traps", "seeds": 2, "confidence": 0.95, "systems": 20, "sample": 12, **each}
    first = next(claim for claim in LEDGER if claim.id == "low-loss")
    full = {first.id: replace(first, full={"chapter": "traps", "rule": rule})}
    monkeypatch.setattr(claims, "load", lambda: full)
    study.configurations = lambda: [{"function": f"f{k}"} for k in range(24)]
    errref("run", "traps")
    assert records.runs("traps", tmp_path).popitem()[1]["rules"] == {first.id: full[first.id].second.rule_hash}
    study.calls.clear()
    status, out, _ = errref("check", "low-loss", "--full", "--seeds", "3", "--quiet")
    assert status == 0 and "low-loss (full scope)" in out and len(study.calls) == 12 * 3
    assert "recorded 100.0 % [85.8 %, 100.0 %] n=24 | fresh 100.0 % [73.5 %, 100.0 %] n=12 | holds" in out
    study.loss = 5.0
    assert errref("check", "low-loss", "--full", "--seeds", "3", "--quiet")[0] == 1


def test_check_of_a_second_rule_that_does_not_exist_is_one_sentence_and_exit_2(study, errref):
    status, _, err = errref("check", "low-loss", "--full")
    assert (status, err) == (2, "errref: Claim 'low-loss' has no second rule; leave out --full.\n")


@pytest.mark.parametrize(
    "name, status, last",
    [
        ("proof", 0, "verdict, derived here and now: reproduced"),
        ("later", 3, "verdict: open"),
        ("human", 3, "verdict: not testable. A statement about people."),
    ],
)
def test_check_of_a_claim_without_rows(name, status, last, study, errref):
    found, out, _ = errref("check", name)
    assert (found, out.splitlines()[-1]) == (status, last) and study.calls == []


def test_check_of_a_real_derivation_shows_each_step(errref):
    status, out, _ = errref("check", "table-arithmetic")
    assert (
        status == 0 and "cubic: " in out and "does not hold" in out and "verdict, derived here and now: partly" in out
    )


# -- files that cannot be used -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["claims"], ["check", "low-loss"], ["run", "functions"]])
def test_rows_that_were_edited_are_one_sentence_and_exit_2(command, study, errref, tmp_path):
    errref("run", "functions", "--seeds", "2")
    file = tmp_path / "functions.jsonl"
    file.write_text(file.read_text().replace('"loss": 1.0', '"loss": 0.5', 1))
    status, out, err = errref(*command)
    assert (status, out) == (2, "") and err.count("\n") == 1
    assert err.startswith("errref: functions.jsonl, line 2: the line was changed after it was recorded; restore")


@pytest.mark.parametrize("command", [["claims"], ["check", "low-loss"], ["run", "functions"]])
def test_a_ledger_that_cannot_be_used_is_one_sentence_and_exit_2(command, errref, tmp_path, monkeypatch):
    (tmp_path / "claims.yml").write_text("- id: a\n  id: b\n")
    load = claims.load
    monkeypatch.setattr(claims, "load", lambda: load(tmp_path / "claims.yml"))
    message = "errref: Line 2 of the ledger: the key 'id' stands twice; rename or remove one.\n"
    assert errref(*command) == (2, "", message)


def test_a_folder_in_the_place_of_the_rows_is_one_sentence_and_exit_2(study, errref, tmp_path):
    (tmp_path / "functions.jsonl").mkdir()
    for command in (["claims"], ["run", "functions"]):
        status, _, err = errref(*command)
        assert status == 2 and "functions.jsonl" in err and err.count("\n") == 1


# -- installed ---------------------------------------------------------------------------------------------------------


def test_the_command_is_installed(tmp_path):
    command = Path(sys.executable).with_name("errref")
    done = subprocess.run([command, "--version"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"errref {__version__}\n")
    done = subprocess.run([command, "claims", "table-arithmetik"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and "did you mean table-arithmetic" in done.stderr and "Traceback" not in done.stderr


def test_a_claim_of_many_readings_is_compared_at_one_confidence_for_all_of_them():
    table_fair = claims.load()["table-fair"]  # 24 readings at 95 %: 1 - 0.05 / 24 for each
    assert cli._family_wise(table_fair).rule["confidence"] == pytest.approx(1 - 0.05 / 24)
    assert cli._family_wise(table_fair).rule["readings"] == table_fair.rule["readings"]


# -- data --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def images(monkeypatch):
    """What becomes of each set, in the place of looking for it: a `Found`, or a fault that is raised."""
    ends, asked = {}, []

    def obtain(images, known, **how):
        asked.append((images.name, how["fetch"], how["progress"]))
        assert images in known and len(known) == 2
        if isinstance(end := ends[images.name], Exception):
            raise end
        return end

    monkeypatch.setattr(imagefiles, "obtain", obtain)
    for name in datasets.IMAGE_SETS:
        ends[name] = imagefiles.Found((), "found in a folder", ())
    ends["asked"] = asked
    return ends


def test_data_says_where_each_set_is_and_on_what_terms(images, capsys):
    assert cli.main(["data"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert err == "" and len(lines) == 14
    assert lines[:2] == [
        "fashion-mnist: found in a folder",
        "  train-images-idx3-ubyte  training images  60000 x 28 x 28  verified",
    ]
    assert lines[5:8] == [
        "  licence: MIT, (c) 2017 Zalando SE",
        "  source: H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST, 2017, arXiv:1708.07747",
        "mnist-digits: found in a folder",
    ]
    assert lines[11] == "  t10k-labels-idx1-ubyte   test labels      10000            verified"
    assert images["asked"] == [("fashion-mnist", True, True), ("mnist-digits", True, True)]


def test_data_fetches_only_what_it_is_asked_for(images, capsys):
    assert cli.main(["data", "mnist-digits", "--no-fetch", "--quiet"]) == 0
    assert images["asked"] == [("mnist-digits", False, False)]
    assert "fashion-mnist:" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "first, second, status",
    [
        (imagefiles.DataNotFound("It is nowhere."), None, 3),
        (None, imagefiles.DataError("It is bad; mend it."), 2),
        (imagefiles.DataError("It is bad; mend it."), imagefiles.DataNotFound("It is nowhere."), 2),
        (imagefiles.DataNotFound("It is nowhere."), imagefiles.DataError("It is bad; mend it."), 2),
    ],
)
def test_data_goes_on_to_the_next_set_and_says_the_worst(first, second, status, images, capsys):
    for name, fault in zip(datasets.IMAGE_SETS, (first, second), strict=True):
        images[name] = fault or images[name]
    assert cli.main(["data"]) == status
    out, err = capsys.readouterr()
    assert err.splitlines() == [f"errref: {fault}" for fault in (first, second) if fault]
    word = {imagefiles.DataNotFound: "not here", imagefiles.DataError: "not usable", type(None): "found in a folder"}
    assert [line for line in out.splitlines() if not line.startswith(" ")] == [
        f"{name}: {word[type(fault)]}" for name, fault in zip(datasets.IMAGE_SETS, (first, second), strict=True)
    ]
    assert out.count("verified") == 4 * [first, second].count(None) and out.count("licence: ") == 2


def test_data_shows_remarks_as_sentences(images, capsys):
    images["fashion-mnist"] = imagefiles.Found((), "found in a folder", ("A file was passed over.",))
    assert cli.main(["data", "fashion-mnist"]) == 0
    assert capsys.readouterr().err == "errref: A file was passed over.\n"


def test_data_of_an_unknown_set_is_one_sentence_and_exit_2(images, capsys):
    assert cli.main(["data", "mnist-digits", "fashion"]) == 2
    message = "errref: There is no set of images 'fashion'; there are fashion-mnist, mnist-digits.\n"
    assert capsys.readouterr() == ("", message) and images["asked"] == []


def test_data_really_looks(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ERRREF_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cli.main(["data", "mnist-digits", "--no-fetch"]) == 3
    out, err = capsys.readouterr()
    assert out.startswith("mnist-digits: not here\n") and "verified" not in out and err.count("\n") == 1
    assert "ERRREF_DATA (no train-images-idx3-ubyte in" in err and "Run `errref data mnist-digits` where" in err
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"")
    assert cli.main(["data", "mnist-digits", "--no-fetch"]) == 2
    assert "train-images-idx3-ubyte does not begin as an IDX file" in capsys.readouterr().err
    assert not (tmp_path / "cache").exists()


def test_data_teaches_in_its_help(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["data", "--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert stop.value.code == 0 and "example: errref data fashion-mnist --no-fetch" in out
    for word in ("ERRREF_DATA", "SHA-256", "cache", "--no-fetch", "fashion-mnist, mnist-digits (default: all)"):
        assert word in out
    assert "0 all there, 2 usage or a file that cannot be used, 3 something is missing" in out
