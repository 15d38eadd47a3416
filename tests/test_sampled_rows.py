"""Of every results file, a random sample of the cheap rows is measured again; a test run begins by telling its seed."""

import os
import random
import re
import warnings
from dataclasses import replace

import pytest

from errref import claims, datasets, experiments, recorded, records
from errref.provenance import numerics
from errref.records import Row
from tests import conftest
from tests.conftest import ROOT, SAMPLE_SEED
from tests.nbval_tolerance import tolerance

# How many rows of each study, and of which kind: a second or less each, where a study has such rows, else the cheapest.
CHEAP = {
    "intuition": (6, lambda config: True),
    "isodata": (6, lambda config: True),
    "functions": (6, lambda config: "grid" in config),
    "rivals": (1, lambda config: True),
    "multiverse": (8, lambda config: config["batch"] == "all"),
    "forgetting": (3, lambda config: config["part"] in ("split", "patterns")),
    "traps": (6, lambda config: config["study"] in ("valley", "noise", "quadratic", "gaussian", "ramp", "plateau")),
    "fashion": (1, lambda config: config == {"scale": "quick", "part": "plain"}),
    "own_data": (1, lambda config: config == {"table": "alcohol", "model": "boosting"}),
}
IMAGES = {"fashion": "fashion-mnist"}  # what a study needs
TIMES = re.compile("seconds")  # numbers of other names must return


def sample(study):
    """Rows of a study, chosen by the seed."""
    count, cheap = CHEAP[study]
    rows = [row for row in records.read(study) if cheap(row.config)]
    return random.Random(f"{os.environ[SAMPLE_SEED]} {study}").sample(rows, count)


def compare(row, fresh, there, peers=()):
    """Pass where a row returns to the last digit; where numerics moved, warn; fail otherwise.

    Where numerics moved, a long training may end elsewhere, but not where none of the recorded seeds ended: it fails
    outside of the range of ``peers``, the recorded rows of the same configuration.
    """
    place = f"{row.experiment}.jsonl, seed {row.seed} of {row.config} ({SAMPLE_SEED}={os.environ[SAMPLE_SEED]})"
    assert fresh.keys() == row.numbers.keys(), f"{place}: the row has other numbers than the experiment gives now."
    other = {name: old for name, old in row.numbers.items() if fresh[name] != old and not TIMES.match(name)}
    exact = there == numerics() and row.experiment != "fashion"  # torch is not the same twice, and no part of numerics
    ends = {name: [peer.numbers[name] for peer in (row, *peers)] for name in other}
    low, high = ({name: end(values) for name, values in ends.items()} for end in (min, max))
    if there == numerics():
        low = high = other
    far = [name for name in other if exact or not near(row.experiment, low[name], high[name], fresh[name])]
    if not other or (there == numerics() and not far):
        return
    rules = claims.rules(claims.load(), row.experiment).items()
    touched = ", ".join(name for name, claim in rules if claims.uses(claim, row.config)) or "none"
    words = "; ".join(f"{name} was recorded as {old!r} and is now {fresh[name]!r}" for name, old in other.items())
    moved = f"this machine rounds as {numerics()}, that of the row as {there}. "
    told = f"{'' if there == numerics() else f'numerics moved: {moved}'}{place}: {words}"
    if far:
        pytest.fail(f"{told}. That is more than rounding does to {', '.join(far)}; claims that rest on it: {touched}.")
    warnings.warn(f"{told}. That is no more than rounding does; claims that rest on it: {touched}.", stacklevel=2)


def near(study, low, high, new):
    """Whether a number is in a range, or beside it by what machines make, on the scale of losses or of shares."""
    below, above = (0.02, 0.02) if study == "fashion" else (tolerance(low, loss=True)[0], tolerance(high, loss=True)[1])
    return low - below <= new <= high + above


@pytest.mark.parametrize("study", CHEAP)
def test_a_sampled_row_is_measured_again(study):
    if study in IMAGES and datasets.available(IMAGES[study]) is None:
        pytest.skip(f"{IMAGES[study]} is not here; `make data` fetches it")
    runs, recorded_rows = records.runs(study), records.read(study)
    rows = {row.key: row for row in sample(study)}
    work = [(row.config, row.seed) for row in rows.values()]
    for fresh in records.evaluate(study, experiments.load(study).run, work, jobs=1, progress=False):
        row = rows[fresh.key]
        peers = [peer for peer in recorded_rows if peer.config == row.config]
        compare(row, fresh.numbers, recorded.numerics_of(study, runs[row.run]), peers)


def test_every_results_file_is_sampled():
    assert {path.name.partition(".")[0] for path in (ROOT / "results").glob("*.jsonl*")} == set(CHEAP)


# -- the check itself --------------------------------------------------------------------------------------------------

CONFIG = {"function": "linear", "half_width": 1, "hidden": 10, "n_samples": 256, "steps": 50000}
ROW = Row("functions", CONFIG, 3, {"base": 0.25, "n_clusters": 3, "tiny": 1e-9, "seconds": 1.0})


PEER = replace(ROW, seed=4, numbers=ROW.numbers | {"base": 0.5, "n_clusters": 5})


def outcome(there, row=ROW, peers=(), **numbers):
    """What becomes of a row that returns with other numbers: "passes", or the words of the warning or the failure."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            compare(row, row.numbers | numbers, there, peers)
    except UserWarning as warning:
        return f"warns: {warning}"
    except pytest.fail.Exception as failure:
        return f"fails: {failure}"
    return "passes"


def test_a_row_that_returns_passes_whatever_the_machine_and_its_seconds():
    assert outcome(numerics()) == outcome("fedcba98") == outcome(numerics(), seconds=9.0) == "passes"


@pytest.mark.parametrize("numbers", [{"base": 0.25000000000000006}, {"n_clusters": 4}, {"tiny": 2e-9}])
def test_on_the_same_numerics_the_last_digit_must_return(numbers):
    ((name, value),) = numbers.items()
    said = outcome(numerics(), **numbers)
    assert re.match(r"fails: functions\.jsonl, seed 3 of {'function': 'linear'.*ERRREF_SAMPLE_SEED=\d+", said)
    assert f"{name} was recorded as {ROW.numbers[name]!r} and is now {value!r}. That is more than rounding" in said
    assert "numerics moved" not in said and "table-linear" in said.partition("claims that rest on it: ")[2]


@pytest.mark.parametrize("numbers", [{"base": 0.26}, {"tiny": 5e-7}])
def test_where_numerics_moved_that_comes_first_and_a_small_move_is_a_warning(numbers):
    said = outcome("fedcba98", **numbers)
    assert said.startswith(f"warns: numerics moved: this machine rounds as {numerics()}, that of the row as fedcba98. ")
    assert "table-linear" in said.partition("claims that rest on it: ")[2]


@pytest.mark.parametrize("numbers", [{"base": 0.3}, {"base": -0.25}, {"n_clusters": 4}, {"tiny": 2e-6}])
def test_where_numerics_moved_a_large_move_is_a_failure_that_names_the_claims(numbers):
    said = outcome("fedcba98", **numbers)
    assert said.startswith("fails: numerics moved: ") and f"rounding does to {next(iter(numbers))};" in said
    assert "table-linear" in said.partition("claims that rest on it: ")[2]


def test_where_numerics_moved_a_row_may_end_where_another_seed_ended_and_no_farther():
    for numbers, word in (({"base": 0.4}, "warns"), ({"n_clusters": 4}, "warns"), ({"n_clusters": 6}, "fails")):
        assert outcome("fedcba98", peers=[PEER], **numbers).startswith(f"{word}: numerics moved: ")
        assert outcome(numerics(), peers=[PEER], **numbers).startswith("fails: functions.jsonl")


def test_accuracies_of_torch_may_move_a_little_on_the_same_numerics():
    row = Row("fashion", {"scale": "quick", "part": "plain"}, 0, {"accuracy": 0.84})
    assert outcome(numerics(), row, accuracy=0.85) == "passes"
    assert outcome("fedcba98", row, accuracy=0.85).startswith("warns: numerics moved")
    assert outcome(numerics(), row, accuracy=0.87).startswith("fails: fashion.jsonl")


def test_a_row_that_lost_or_won_a_number_is_refused():
    with pytest.raises(AssertionError, match="the row has other numbers"):
        compare(ROW, {"base": 0.25}, numerics())


def test_the_sample_hangs_on_the_seed_alone(monkeypatch):
    chosen = []
    for seed in ("1", "1", "2"):
        monkeypatch.setenv(SAMPLE_SEED, seed)
        chosen.append([row.key for row in sample("intuition")])
    assert chosen[0] == chosen[1] != chosen[2] and len(set(chosen[0])) == CHEAP["intuition"][0]


def test_a_number_that_was_changed_in_a_row_is_found(monkeypatch):
    changed = [replace(row, numbers={**row.numbers, "after": 2.0}) for row in records.read("intuition")]
    monkeypatch.setattr(records, "read", lambda name: changed)
    with pytest.raises(pytest.fail.Exception, match=r"intuition\.jsonl, seed \d+ of .*: after was recorded as 2\.0"):
        test_a_sampled_row_is_measured_again("intuition")


def test_the_seed_is_told_and_a_bad_one_is_one_sentence(monkeypatch):
    monkeypatch.setenv(SAMPLE_SEED, "17")
    conftest.pytest_configure()
    assert conftest.pytest_report_header() == "rows are sampled with ERRREF_SAMPLE_SEED=17"
    monkeypatch.setenv(SAMPLE_SEED, "many")
    with pytest.raises(pytest.UsageError, match="ERRREF_SAMPLE_SEED is 'many'; give a whole number"):
        conftest.pytest_configure()
    monkeypatch.delenv(SAMPLE_SEED)
    conftest.pytest_configure()
    assert os.environ[SAMPLE_SEED].isdecimal()
