"""The rule by which rows that are measured again agree with recorded ones, and how often it refuses them wrongly."""

import random
from collections import defaultdict
from dataclasses import replace

import pytest

from errref import numerics, records
from errref.agreement import agree, compare, is_outside, measured_again, told
from errref.experiments import depends
from errref.recorded import numerics_of
from errref.records import RecordError, Row
from tests.test_sampled_rows import CHEAP

CONFIG = {"function": "linear", "half_width": 1, "hidden": 10, "n_samples": 256, "steps": 50000}
ROW = Row("functions", CONFIG, 3, {"base": 0.25, "n_clusters": 3, "tiny": 1e-9, "seconds": 1.0})
PEER = replace(ROW, seed=4, numbers=ROW.numbers | {"base": 0.5, "n_clusters": 5})
HERE = numerics.numerics()
ELSEWHERE = HERE | {"numpy": "fedcba98"}


def compared(there, row=ROW, peers=(), **fresh):
    return compare(row, row.numbers | fresh, there, peers)


def test_a_row_that_returns_agrees_wherever_it_is_measured_and_however_long_it_takes():
    for found in (compared(HERE), compared(ELSEWHERE), compared({}), compared(HERE, seconds=9.0)):
        assert agree([found]) and not found.other and told(found).endswith("every number returned.")


@pytest.mark.parametrize("fresh", [{"base": 0.25000000000000006}, {"n_clusters": 4}, {"tiny": 1.1e-9}])
def test_on_the_same_numerics_the_last_digit_must_return(fresh):
    ((name, value),) = fresh.items()
    found = compared(HERE, peers=[PEER], **fresh)
    assert found.moved == () and found.other == (name,) and not agree([found])
    assert told(found).startswith("functions.jsonl, seed 3 of {'function': 'linear'")
    assert f"{name} was recorded as {ROW.numbers[name]!r} and is now {value!r}" in told(found)


def test_where_a_part_moved_a_row_may_end_as_far_from_the_recorded_seeds_as_they_lie_apart():
    for value, outside in ((0.26, False), (0.9, False), (1.2, True), (0.13, False), (0.1, True)):
        found = compared(ELSEWHERE, peers=[PEER], base=value)
        assert found.moved == ("numpy",) and (found.outside == ("base",)) is outside, value
    assert told(found).startswith("numerics moved (numpy): functions.jsonl, seed 3")
    assert told(found).endswith("No recorded seed ended so: base.")


def test_numbers_that_are_the_same_for_all_seeds_stay_but_losses_that_are_rounding():
    assert compared(ELSEWHERE, n_clusters=4).outside == ("n_clusters",)
    assert compared(ELSEWHERE, tiny=9e-7).outside == () and compared(ELSEWHERE, tiny=2e-6).outside == ("tiny",)
    assert is_outside(-2.1, [-1, 0]) and not is_outside(-1.9, [-1, 0])


def test_rows_of_moved_numerics_are_judged_together_by_how_many_numbers_are_outside():
    peers = [replace(PEER, seed=seed) for seed in range(4, 8)]  # with the row's own, five seeds; four numbers a row
    away, back = compared(ELSEWHERE, peers=peers, base=9.0), compared(ELSEWHERE, peers=peers)
    assert away.seeds == 5 and away.outside == ("base",)
    assert agree([away]) and not agree([away, away])  # one always; 2 of 8 are more than a fifth
    assert agree([away, away, back]) and not agree([away] * 4)  # 2 of 12, 4 of 16
    assert not agree([back, compared(HERE, base=0.26)]), "one that must be exact is not outvoted"


def test_a_peer_that_lacks_a_number_says_nothing_of_it():
    old = replace(PEER, numbers={"base": 0.5})
    assert compared(ELSEWHERE, peers=[old], base=0.9, n_clusters=4).outside == ("n_clusters",)


def test_a_part_that_a_row_does_not_depend_on_moves_nothing():
    other = HERE | {"torch": "fedcba98"}
    assert compared(other, base=0.26).moved == () and not agree([compared(other, base=0.26)])
    assert compared({name: HERE[name] for name in HERE if name != "gate"}).moved == ("gate",)


@pytest.mark.parametrize("study", CHEAP)
def test_every_recorded_row_tells_how_its_machine_rounds(study):
    """Else the sampler would compare it by the ends of the seeds, and never to the last digit."""
    told = {run: numerics_of(provenance) for run, provenance in records.runs(study).items()}
    lacking = {tuple(set(numerics.WITHOUT_TORCH) - told[row.run].keys()) for row in records.read(study)}
    assert lacking == {()}


def test_torch_counts_for_images_only():
    images = {"part": "images", "n_images": 1500}
    assert "torch" in depends("forgetting", images) and "torch" not in depends("forgetting", {"part": "split"})
    assert "torch" in depends("fashion", {"part": "plain"}) and depends("traps", {}) == numerics.WITHOUT_TORCH


def test_a_row_that_lost_or_won_a_number_is_refused():
    with pytest.raises(RecordError, match=r"functions\.jsonl, seed 3 .*the row has other numbers"):
        compare(ROW, {"base": 0.25}, HERE)


@pytest.fixture(scope="module", params=CHEAP)
def kinds(request):
    """A study, how many rows are sampled, and its rows by their configuration."""
    (count, cheap), *_ = CHEAP[request.param]
    groups = defaultdict(list)
    for row in records.read(request.param):
        if cheap(row.config):
            groups[row.key[1]].append(row)
    return request.param, count, list(groups.values())


def agreeing(count, groups, fresh_for, tries=100):
    """In how many samples of rows those agree that are put in their place, as if every number had moved."""
    rng, found = random.Random(0), 0
    for _ in range(tries):
        compared = []
        for _ in range(count):
            group = rng.choice(groups)
            fresh, (one, *peers) = fresh_for(rng, group)
            compared.append(compare(one, fresh.numbers, {}, peers))
        found += agree(compared)
    return found


def test_rows_that_end_as_another_seed_does_are_hardly_ever_refused(kinds):
    _, count, groups = kinds

    def another_seed(rng, group):
        fresh, *others = rng.sample(group, len(group))
        return fresh, others

    assert agreeing(count, groups, another_seed) >= 96


LEAST_REFUSED = {
    "intuition": 95,
    "isodata": 80,
    "functions": 90,
    "rivals": 50,
    "multiverse": 90,
    "forgetting": 40,
    "traps": 95,
}


def test_rows_of_another_configuration_are_mostly_refused(kinds):
    study, count, groups = kinds
    if study not in LEAST_REFUSED:
        pytest.skip("one configuration with these numbers is sampled, so that there is no other")
    by_names = defaultdict(list)
    for group in groups:
        by_names[tuple(group[0].numbers)].append(group)
    several = [group for alike in by_names.values() for group in alike if len(alike) > 1]

    def another_configuration(rng, group):
        alike = [other for other in by_names[tuple(group[0].numbers)] if other is not group]
        return rng.choice(rng.choice(alike)), group

    assert 100 - agreeing(count, several, another_configuration) >= LEAST_REFUSED[study]


def test_a_study_that_answers_otherwise_is_refused_wherever_it_is_measured(monkeypatch):
    rows = [row for row in records.read("intuition") if row.config.get("answer") == "pieces"][:4]
    assert agree(measured_again("intuition", rows))
    far = [replace(row, numbers={name: 3 * value + 9 for name, value in row.numbers.items()}) for row in rows]
    monkeypatch.setattr(records, "read", lambda study, folder=None: far)
    for there in ({}, numerics.numerics()):
        monkeypatch.setattr("errref.agreement.numerics_of", lambda run, there=there: there)
        assert not agree(measured_again("intuition", far))
