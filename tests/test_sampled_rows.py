"""Of every results file, a random sample of the cheap rows is measured again; a test run begins by telling its seed."""

import os
import random
import warnings
from dataclasses import replace

import pytest

from errref import claims, datasets, numerics, records
from errref.agreement import agree, measured_again, place, told
from tests import conftest
from tests.conftest import ROOT, SAMPLE_SEED

QUICK_TRAPS = ("valley", "noise", "quadratic", "gaussian", "ramp", "plateau")
# Of each study, kinds of rows and how many of each: a second or less each, where a study has such rows, else the
# cheapest. Of forgetting, those by Levenberg and Marquardt's method are in neither list: idle units make its equations
# singular, and a last digit, which changes with the place of an array in memory, then sends single starts elsewhere.
CHEAP = {
    "intuition": [(6, lambda config: True)],
    "isodata": [(6, lambda config: True)],
    "functions": [(6, lambda config: "grid" in config), (2, lambda config: "grid" not in config)],
    "rivals": [(1, lambda config: True)],
    "multiverse": [(8, lambda config: config["batch"] == "all")],
    "forgetting": [(3, lambda config: config["part"] in ("split", "patterns"))],
    "traps": [(6, lambda config: config["study"] in QUICK_TRAPS)],
    "fashion": [(1, lambda config: config == {"scale": "quick", "part": "plain"})],
    "own_data": [(2, lambda config: config == {"table": "alcohol", "model": "boosting"})],
}
OTHERS = {  # by `make test-long`
    "rivals": [(4, lambda config: True)],
    "multiverse": [(8, lambda config: config["batch"] != "all")],
    "forgetting": [(1, lambda c, part=part: c["part"] == part) for part in ("minima", "recover", "newton", "images")],
    "traps": [(6, lambda config: config["study"] not in QUICK_TRAPS)],
    "fashion": [(2, lambda config: config["scale"] == "quick")],
    "own_data": [(3, lambda config: True)],
}
IMAGES = {"fashion": "fashion-mnist", "forgetting": "fashion-mnist"}  # what a study needs


def sample(study, kinds=CHEAP):
    """Rows of a study, chosen by the seed."""
    rows, draw = records.read(study), random.Random(f"{os.environ[SAMPLE_SEED]} {study}")
    return [row for count, kind in kinds[study] for row in draw.sample([r for r in rows if kind(r.config)], count)]


def judge(compared):
    """Pass where rows agree with the recorded ones; warn where numerics moved; fail otherwise, naming the claims."""
    found = [one for one in compared if one.other]
    rules = claims.load()
    touched = {
        name
        for one in found
        for name, claim in claims.rules(rules, one.row.experiment).items()
        if claims.uses(claim, one.row.config)
    }
    words = "\n".join([told(one) for one in sorted(found, key=lambda one: not one.moved)])
    words += (
        f"\nClaims that rest on it: {', '.join(sorted(touched)) or 'none'} ({SAMPLE_SEED}={os.environ[SAMPLE_SEED]})."
    )
    if not agree(compared):
        pytest.fail(words)
    if found:
        warnings.warn(words, stacklevel=2)


def skip_without_images(study, kinds):
    if study in IMAGES and (kinds is OTHERS or study == "fashion") and datasets.available(IMAGES[study]) is None:
        pytest.skip(f"{IMAGES[study]} is not here; `make data` fetches it")


@pytest.mark.numbers
@pytest.mark.parametrize("study", CHEAP)
def test_a_sampled_row_is_measured_again(study):
    skip_without_images(study, CHEAP)
    judge(measured_again(study, sample(study)))


@pytest.mark.long
@pytest.mark.parametrize("study", OTHERS)
def test_a_sampled_row_that_takes_long_is_measured_again(study):
    skip_without_images(study, OTHERS)
    judge(measured_again(study, sample(study, OTHERS)))


def test_every_results_file_is_sampled():
    assert {path.name.partition(".")[0] for path in (ROOT / "results").glob("*.jsonl*")} == set(CHEAP)


def test_the_sample_hangs_on_the_seed_alone(monkeypatch):
    chosen = []
    for seed in ("1", "1", "2"):
        monkeypatch.setenv(SAMPLE_SEED, seed)
        chosen.append([row.key for row in sample("intuition")])
    assert chosen[0] == chosen[1] != chosen[2] and len(set(chosen[0])) == CHEAP["intuition"][0][0]


def test_a_number_that_was_changed_in_a_row_is_found(monkeypatch):
    changed = [replace(row, numbers={**row.numbers, "after": 2.0}) for row in records.read("intuition")]
    monkeypatch.setattr(records, "read", lambda name, folder=None: changed)
    monkeypatch.setattr("errref.agreement.numerics_of", lambda run: numerics.numerics())
    with pytest.raises(
        pytest.fail.Exception, match=r"intuition\.jsonl, seed \d+ of .*: after was recorded as 2\.0"
    ) as said:
        test_a_sampled_row_is_measured_again("intuition")
    assert "Claims that rest on it: toy-" in str(said.value) and f"({SAMPLE_SEED}=" in str(said.value)


def test_rows_that_moved_with_the_numerics_are_a_warning_that_begins_with_them(monkeypatch):
    monkeypatch.setattr("errref.recorded.numerics_of", lambda run: {})
    monkeypatch.setattr("errref.agreement.numerics_of", lambda run: {})
    changed = [replace(row, numbers={n: v * 1.01 for n, v in row.numbers.items()}) for row in records.read("intuition")]
    monkeypatch.setattr(records, "read", lambda name, folder=None: changed)
    with pytest.warns(UserWarning, match=r"^numerics moved \(loops, numpy, openblas, gate\): intuition\.jsonl, seed"):
        test_a_sampled_row_is_measured_again("intuition")
    far = [replace(row, numbers={n: 9 + v * 99 for n, v in row.numbers.items()}) for row in changed]
    monkeypatch.setattr(records, "read", lambda name, folder=None: far)
    with pytest.raises(pytest.fail.Exception, match="No recorded seed ended so: "):
        test_a_sampled_row_is_measured_again("intuition")


def test_the_seed_is_told_and_a_bad_one_is_one_sentence(monkeypatch):
    monkeypatch.setenv(SAMPLE_SEED, "17")
    conftest.pytest_configure()
    assert conftest.pytest_report_header()[0] == "rows are sampled with ERRREF_SAMPLE_SEED=17"
    monkeypatch.setenv(SAMPLE_SEED, "many")
    with pytest.raises(pytest.UsageError, match="ERRREF_SAMPLE_SEED is 'many'; give a whole number"):
        conftest.pytest_configure()
    monkeypatch.delenv(SAMPLE_SEED)
    conftest.pytest_configure()
    assert os.environ[SAMPLE_SEED].isdecimal()


def test_a_row_is_told_with_its_place():
    assert place(records.read("intuition")[0]).startswith("intuition.jsonl, seed 0 of {'")
