"""Every rule of the ledger can give every verdict; a ledger with a fault is refused; intervals are what they say."""

import copy
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from errref import claims, datasets, digits, experiments, ledger, report, statistics
from errref.claims import Claim, LedgerError, judge, quick, uses
from errref.experiments import functions
from errref.experiments.multiverse import LOSSES
from errref.ledger import readings
from errref.records import Row
from errref.statistics import STATISTICS, bootstrap, estimate, proportion

ROOT = Path(__file__).parent.parent
LEDGER = claims.load()
MEASURED = [c for c in LEDGER.values() if c.rule and c.kind in ("measured", "hypothesis")]
DERIVED = [c for c in LEDGER.values() if c.rule and c.kind == "derived"]
YES_NO = {"measured": ("reproduced", "not reproduced"), "hypothesis": ("possible", "not possible")}


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 400)


# -- synthetic rows, made from a rule ----------------------------------------------------------------------------------


class Synthetic:
    """Rows that make the readings of a claim hold or not, as one wishes.

    A reading looks at a few numbers: (configuration, name). They are searched among levels, powers of ten and values
    near the bounds, until the statistic of constant columns keeps the bounds of just the readings that should hold.
    """

    def __init__(self, claim):
        self.claim, self.parts = claim, list(ledger.readings(claim.rule).values())
        self.configs = experiments.load(claim.rule["experiment"]).configurations()
        self.numbers = [self.numbers_of(part) for part in self.parts]
        self.seeds = claim.rule["seeds"]

    def config(self, select):
        found = [c for c in self.configs if all(c.get(k) == v for k, v in select.items())]
        assert len(found) == 1, f"{self.claim.id}: {select} selects {len(found)} configurations instead of one"
        return json.dumps(found[0])

    def numbers_of(self, part):
        selects = [part.get("select", {}), *([part["than"]] if "than" in part else [])]
        names = [part[key] for key in ("measure", "against") if key in part]
        return [(self.config(select), name) for select in selects for name in names]

    def levels(self, part):
        if part["statistic"] == "share":
            return [0.0, 1.0]
        bounds = list(part["bound"].values())
        near = [b + step for b in [*bounds, float(np.mean(bounds))] for step in (-0.1, 0, 0.1)]
        return [10.0**k for k in range(-9, 4)] + [level for level in near if level > 0]

    def holds(self, i, values):
        part, arrays = self.parts[i], [np.array([values[number]]) for number in self.numbers[i]]
        half = len(arrays) // 2 if "than" in part else len(arrays)
        function = STATISTICS[part["statistic"]]
        value = function(*arrays[:half]) - (function(*arrays[half:]) if "than" in part else 0)
        return all(ledger.BOUNDS[word](value, limit) for word, limit in part["bound"].items())

    def values(self, wanted):
        """A value for each number, or None if none was found."""
        random = np.random.default_rng(0)
        values = dict.fromkeys(itertools.chain(*self.numbers), 1.0)
        for _ in range(400):
            wrong = [i for i, want in enumerate(wanted) if self.holds(i, values) != want]
            if not wrong:
                return values
            i = random.choice(wrong)
            number = self.numbers[i][random.integers(len(self.numbers[i]))]
            trials = []
            for level in self.levels(self.parts[i]):
                trial = {**values, number: level}
                fails = sum(self.holds(k, trial) != want for k, want in enumerate(wanted))
                trials.append((fails, random.random(), level))
            values[number] = min(trials)[2]
        return None

    def rows(self, *values):
        """One row a configuration and seed; the k-th seed takes the k-th values."""
        numbers = {}
        for seed, of_seed in enumerate(values):
            for (config, name), value in of_seed.items():
                numbers.setdefault((config, seed), {})[name] = value
        return [Row(self.claim.experiment, json.loads(c), seed, found) for (c, seed), found in numbers.items()]

    def verdict(self, wanted):
        values = self.values(wanted)
        return values and judge(self.claim, self.rows(*[values] * self.seeds))


every_rule = pytest.mark.parametrize("claim", MEASURED, ids=[claim.id for claim in MEASURED])


@every_rule
def test_a_rule_says_yes_where_all_readings_hold_and_no_where_none_does(claim):
    synthetic = Synthetic(claim)
    for answer, word in zip((True, False), YES_NO[claim.kind], strict=True):
        verdict = synthetic.verdict([answer] * len(synthetic.parts))
        assert verdict.word == word
        assert [reading.holds for reading in verdict.readings] == [answer] * len(synthetic.parts)
        assert all(reading.n == synthetic.seeds for reading in verdict.readings)


@pytest.mark.parametrize(
    "claim", [c for c in MEASURED if len(c.rule.get("readings", {})) > 1], ids=lambda claim: claim.id
)
def test_a_rule_with_several_readings_says_partly_and_names_them(claim):
    synthetic = Synthetic(claim)
    n = len(synthetic.parts)
    for one in range(n):  # that one alone holds, or as few others as can be
        verdict = synthetic.verdict([k == one for k in range(n)])
        if verdict:
            break
    assert verdict.word == ("possible" if claim.kind == "hypothesis" else "partly")
    assert [r.name for r in verdict.readings if r.holds] == [list(claim.rule["readings"])[one]]
    counts, _, names = digits.summary(verdict).partition(" (")
    assert counts.startswith(f"of {n}: 1 hold, ")
    assert names == f"holds: {verdict.readings[one].name})"


@every_rule
def test_a_rule_stays_open_where_the_interval_straddles_the_bound(claim):
    synthetic = Synthetic(claim)
    yes, no = (synthetic.values([answer] * len(synthetic.parts)) for answer in (True, False))
    for n_yes in range(synthetic.seeds + 1):  # from no seed that keeps the bound to all of them
        verdict = judge(claim, synthetic.rows(*[yes] * n_yes, *[no] * (synthetic.seeds - n_yes)))
        if verdict.word == "open":
            break
    assert verdict.word == "open" and any(reading.holds is None for reading in verdict.readings)
    assert all(reading.n == synthetic.seeds and reading.interval for reading in verdict.readings)


@every_rule
def test_a_rule_stays_open_with_too_few_seeds_or_no_rows(claim):
    synthetic = Synthetic(claim)
    values = synthetic.values([True] * len(synthetic.parts))
    few = synthetic.rows(*[values] * (synthetic.seeds - 1))
    verdict = judge(claim, few)
    assert verdict.word == "open" and {reading.n for reading in verdict.readings} == {synthetic.seeds - 1}
    assert judge(claim, few, seeds=2).word == YES_NO[claim.kind][0]
    empty = judge(claim, [])
    assert empty.word == "open"
    assert all((r.value, r.interval, r.n, r.holds) == (None, None, 0, None) for r in empty.readings)


@every_rule
def test_one_reading_without_rows_keeps_the_rest_from_a_verdict(claim):
    synthetic = Synthetic(claim)
    values = synthetic.values([True] * len(synthetic.parts))
    gone = synthetic.numbers[0][0][0]
    rows = [row for row in synthetic.rows(*[values] * synthetic.seeds) if json.dumps(row.config) != gone]
    assert judge(claim, rows).word == "open"


@every_rule
def test_a_rule_uses_just_the_configurations_that_it_selects(claim):
    synthetic = Synthetic(claim)
    used = {config for config, _ in itertools.chain(*synthetic.numbers)}
    assert used == {json.dumps(c) for c in synthetic.configs if claims.uses(claim, c)}


every_derivation = pytest.mark.parametrize("claim", DERIVED, ids=[claim.id for claim in DERIVED])


@every_derivation
@pytest.mark.parametrize(
    "holds, word",
    [
        ((True,), "reproduced"),
        ((True, True), "reproduced"),
        ((True, False), "partly"),
        ((True, False, None), "partly"),
        ((False,), "refuted"),
        ((False, False), "refuted"),
        ((None, True), "open"),
        ((), "open"),
    ],
)
def test_a_derived_rule_says_what_its_derivation_shows(claim, holds, word, monkeypatch):
    module, _, function = claim.rule["derivation"].partition(".")
    proof = [{"reading": str(k), "value": "shown", "holds": hold} for k, hold in enumerate(holds)]
    monkeypatch.setattr(experiments.load(module), function, lambda: proof)
    verdict = judge(claim, [])
    assert verdict.word == word and [r.holds for r in verdict.readings] == list(holds)
    assert {r.n for r in verdict.readings} <= {None}


@every_derivation
def test_a_derivation_decides_each_of_its_readings(claim):
    found = claims.derive(claim)
    assert found and len({reading.name for reading in found}) == len(found)
    assert all(type(r.name) is str and type(r.value) in (str, float) and type(r.holds) is bool for r in found)


def test_the_recorded_rows_have_what_every_rule_asks_for():
    assert [verdict.claim.id for verdict in report.verdicts()] == list(LEDGER)


def hypothesis(**readings):
    rule = {"experiment": "functions", "seeds": 2, "confidence": 0.9, "statistic": "median", "bound": {"above": 0}}
    return Claim("h", "paper", "here", "It could be so.", "hypothesis", "fashion", rule={**rule, "readings": readings})


@pytest.mark.parametrize(
    "a, b, word",
    [(1, 1, "possible"), (1, -1, "possible"), (-1, -1, "not possible"), (-1, None, "open"), (1, None, "open")],
)
def test_a_hypothesis_is_possible_if_one_reading_holds(a, b, word):
    claim = hypothesis(one={"measure": "a", "select": {"x": 1}}, other={"measure": "b", "select": {"x": 2}})
    rows = [Row("functions", {"x": 1}, seed, {"a": a}) for seed in range(2)]
    rows += [Row("functions", {"x": 2}, seed, {"b": b}) for seed in range(2) if b is not None]
    assert judge(claim, rows).word == word


def test_a_quick_claim_looks_at_the_smaller_scale_and_is_otherwise_the_same():
    parts = {"one": {"measure": "a", "select": {"x": 1, "scale": "full"}, "than": {"x": 2, "scale": "full"}}}
    claim = hypothesis(**parts, other={"measure": "b"})
    assert quick(claim) is claim
    small = quick(replace(claim, rule={**claim.rule, "quick": {"scale": "quick"}}))
    found = readings(small.rule)
    assert found["one"]["select"] == {"x": 1, "scale": "quick"} and found["one"]["than"] == {"x": 2, "scale": "quick"}
    assert "select" not in found["other"]
    assert all(found[name][key] == readings(claim.rule)[name][key] for name in found for key in ("measure", "bound"))
    rows = [Row("functions", {"x": 1, "scale": "quick"}, 0, {"a": 1.0})]
    assert [uses(c, rows[0].config) for c in (replace(claim, rule={**claim.rule, "readings": parts}), small)] == [
        False,
        True,
    ]


def test_what_cannot_be_tested_or_has_no_rule_is_not_judged():
    claim = Claim("c", "paper", "here", "People are so.", "untestable", "forgetting")
    assert judge(claim, []).word == "not testable"
    for kind in ("measured", "derived", "hypothesis"):
        assert judge(Claim("c", "paper", "here", "So.", kind, "traps"), []).word == "open"


# -- how rows are read -------------------------------------------------------------------------------------------------


def simple(statistic="median", bound=None, select=None, **settings):
    part = {"statistic": statistic, "measure": "a", "bound": bound or {"above": 0}, "select": select or {}, **settings}
    rule = {"experiment": "functions", "seeds": 3, "confidence": 0.95, "readings": {"r": part}}
    return Claim("c", "paper", "here", "So.", "measured", "functions", rule=rule)


def test_the_order_of_rows_does_not_matter_and_other_configurations_are_passed_over():
    rows = [Row("functions", {"x": 1}, seed, {"a": float((7 * seed) % 5)}) for seed in range(20)]
    others = [Row("functions", {"x": 2}, seed, {"a": -1.0}) for seed in range(20)]
    found = judge(simple(select={"x": 1}), rows)
    assert judge(simple(select={"x": 1}), [*others, *rows[::-1]]) == found and found.readings[0].n == 20


def test_configurations_are_compared_on_the_seeds_that_both_have():
    rows = [Row("functions", {"x": 1}, seed, {"a": 1.0 + seed}) for seed in range(5)]
    rows += [Row("functions", {"x": 2}, seed, {"a": 10.0 * (1 + seed)}) for seed in range(2, 9)]
    reading = judge(simple("log10_median", select={"x": 2}, than={"x": 1}), rows).readings[0]
    assert reading.n == 3 and reading.value == pytest.approx(1) and reading.interval == pytest.approx((1, 1))


def test_a_selection_of_two_configurations_is_refused():
    rows = [Row("functions", {"x": x}, seed, {"a": 1.0}) for seed in range(3) for x in (1, 2)]
    with pytest.raises(LedgerError, match=r"Claim 'c, reading r': \{\} selects more than one configuration; say more"):
        judge(simple(), rows)


def test_a_number_that_the_rows_do_not_have_is_refused():
    with pytest.raises(LedgerError, match=r"'c, reading r': the rows have no number 'a'; mend the name, or record"):
        judge(simple(), [Row("functions", {}, 0, {"b": 1.0})])


def test_a_share_of_anything_but_zeros_and_ones_is_refused():
    rows = [Row("functions", {}, seed, {"a": 0.5}) for seed in range(3)]
    with pytest.raises(LedgerError, match="a share is of zeros and ones, and 'a' has other numbers"):
        judge(simple("share"), rows)


def test_a_loss_of_zero_leaves_a_reduction_open_and_warns_of_nothing(recwarn):
    rows = [Row("functions", {}, seed, {"a": 0.0, "b": 0.0}) for seed in range(3)]
    verdict = judge(simple("reduction", against="b"), rows)
    assert verdict.word == "open" and not recwarn.list
    rows = [Row("functions", {}, seed, {"a": 1.0, "b": 0.0}) for seed in range(3)]
    assert judge(simple("reduction", against="b"), rows).readings[0].value == -np.inf
    json.dumps(report.as_object(verdict), allow_nan=False)


@pytest.mark.parametrize(
    "word, limit, holds",
    [
        ("at_least", 1.0, True),
        ("above", 1.0, False),
        ("at_most", 1.0, True),
        ("below", 1.0, False),
        ("at_least", 1.1, False),
        ("above", 0.9, True),
        ("at_most", 0.9, False),
        ("below", 1.1, True),
    ],
)
def test_bounds_are_kept_or_broken_at_their_very_value(word, limit, holds):
    rows = [Row("functions", {}, seed, {"a": 1.0}) for seed in range(3)]
    assert judge(simple(bound={word: limit}), rows).readings[0].holds is holds


@pytest.mark.parametrize("word, holds", [("at_least", False), ("above", False), ("at_most", True), ("below", True)])
def test_a_number_is_not_rounded_before_it_is_judged(word, holds):
    rows = [Row("functions", {}, seed, {"a": 1 - 1e-12}) for seed in range(3)]
    assert judge(simple(bound={word: 1.0}), rows).readings[0].holds is holds


# -- many systems ------------------------------------------------------------------------------------------------------


def over(bound=None, systems=10, **settings):
    """A claim whose reading is the share of systems with a reduction of at least 0.9."""
    part = {"statistic": "reduction", "measure": "a", "against": "b", "each": {"at_least": 0.9}, **settings}
    part["bound"] = bound or {"above": 0.5}
    rule = {"experiment": "functions", "seeds": 3, "confidence": 0.95, "systems": systems, "readings": {"r": part}}
    return Claim("c", "paper", "here", "So.", "measured", "functions", rule=rule)


def systems(good, total, seeds=3, **config):
    """Rows of systems that lose 95 % of their loss, and of others that lose half of it."""
    return [
        Row("functions", {"width": k, **config}, seed, {"a": (0.05 if k < good else 0.5) * (1 + seed), "b": 1.0 + seed})
        for k in range(total)
        for seed in range(seeds)
    ]


@pytest.mark.parametrize(
    "good, word, holds", [(20, "reproduced", True), (0, "not reproduced", False), (10, "open", None)]
)
def test_the_share_of_systems_is_judged_by_the_interval_of_a_share(good, word, holds):
    verdict = judge(over(), systems(good, 20))
    (reading,) = verdict.readings
    assert verdict.word == word and reading.holds is holds
    assert (reading.value, reading.interval, reading.n) == (good / 20, proportion(good, 20, 0.95), 20)
    assert digits.found(verdict, reading).startswith(f"{100 * good / 20:.1f} % [")


def test_some_readings_over_systems_hold_and_others_do_not():
    parts = {name: {"select": {"function": name}} for name in ("linear", "cubic")}
    claim = over()
    claim = replace(claim, rule={**claim.rule, **claim.rule["readings"]["r"], "readings": parts})
    found = judge(claim, systems(19, 20, function="linear") + systems(1, 20, function="cubic"))
    assert found.word == "partly" and [reading.holds for reading in found.readings] == [True, False]


def test_a_system_is_the_median_over_its_seeds_and_needs_enough_of_them():
    mixed = [Row("functions", {"width": 0}, seed, {"a": a, "b": 1.0}) for seed, a in enumerate((0.0, 0.05, 9.0))]
    assert judge(over(), mixed).readings[0].value == 1
    few = systems(10, 10, seeds=2)
    assert judge(over(), few).readings[0].n == 0
    assert judge(over(), few, seeds=2).word == "reproduced"
    more = [row for row in systems(12, 12, seeds=5) if row.seed < 3 or row.config["width"] < 6]
    assert judge(over(), more).readings[0].n == 12


def test_too_few_systems_leave_a_reading_open():
    assert judge(over(systems=21), systems(20, 20)).word == "open"
    assert judge(over(systems=20), systems(20, 20)).word == "reproduced"
    assert judge(over(), []).readings[0].n == 0 and judge(over(), []).word == "open"


def test_a_system_is_compared_with_itself_under_another_setting():
    claim = over(each={"above": 0}, select={"function": "cubic"}, than={"function": "linear"})
    rows = systems(20, 20, function="cubic") + systems(5, 20, function="linear")
    assert judge(claim, rows).readings[0].value == 15 / 20
    lonely = [row for row in rows if row.config["function"] == "cubic" or row.config["width"] < 12]
    assert judge(claim, lonely).readings[0].n == 12


def test_a_system_without_a_loss_to_reduce_does_not_support_the_claim(recwarn):
    rows = [Row("functions", {"width": k}, seed, {"a": 0.0, "b": 0.0}) for k in range(10) for seed in range(3)]
    assert judge(over(), rows).readings[0].value == 0 and not recwarn.list


def test_a_check_measures_a_sample_of_whole_systems():
    configs = [{"width": k, "function": name} for k in range(30) for name in ("linear", "cubic")]
    parts = {"one": {"select": {"function": "cubic"}, "than": {"function": "linear"}}}
    claim = over()
    assert claims.sample(claim, configs) == configs
    found = claims.sample(replace(claim, rule={**claim.rule, "sample": 4, "readings": parts}), configs)
    assert len(found) == 8 and len({config["width"] for config in found}) == 4
    assert found == claims.sample(replace(claim, rule={**claim.rule, "sample": 4, "readings": parts}), configs)


def test_a_second_rule_is_the_same_claim_in_another_chapter(tmp_path):
    entry = {**ENTRY, "full": {"chapter": "traps", "rule": {**ENTRY["rule"], "experiment": "traps"}}}
    first = load(tmp_path, entry)["fine"]
    second = first.second
    assert (second.id, second.claim, second.chapter, second.experiment) == ("fine", "It is so.", "traps", "traps")
    assert (first.scope, second.scope, second.second) == ("", "full", None)
    assert (first.label, second.label) == ("fine", "fine (full scope)") and first.rule_hash != second.rule_hash
    assert ledger.rules({"fine": first}, "traps") == {"fine": second}
    assert ledger.rules({"fine": first}, "functions") == {"fine": first}


SECONDS = [claim.second for claim in MEASURED if claim.second]
ORDER = list(datasets.FUNCTIONS)


def world(good, systems=40, seeds=5):
    """Rows of systems on all functions; by a good loss, complex functions start higher and gain more."""
    for k in range(systems):
        for i, function in enumerate(ORDER):
            numbers = {}
            for loss in LOSSES:
                base, left = (10.0**i, 10.0 ** -(3 + i)) if good(loss, k) else (10.0**-i, 0.5 + 0.05 * i)
                numbers |= {f"base_{loss}": base, f"reflection_{loss}": base * left}
            yield from (Row("multiverse", {"function": function, "set": k}, seed, numbers) for seed in range(seeds))


@pytest.mark.parametrize("claim", [c for c in SECONDS if c.experiment == "multiverse"], ids=lambda claim: claim.id)
def test_a_rule_over_all_choice_sets_gives_every_verdict(claim):
    few = replace(claim, rule={**claim.rule, "systems": 40})
    assert judge(few, list(world(lambda loss, k: True))).word == "reproduced"
    assert judge(few, list(world(lambda loss, k: False))).word == "not reproduced"
    assert judge(few, list(world(lambda loss, k: k % 2))).word == "open"
    partly = judge(few, list(world(lambda loss, k: loss == "largest")))
    assert partly.word == "partly" and all(r.name.endswith("largest") == r.holds for r in partly.readings)
    assert judge(few, list(world(lambda loss, k: True, systems=39))).word == "open"
    assert judge(few, list(world(lambda loss, k: True, seeds=4))).word == "open"
    assert judge(claim, list(world(lambda loss, k: True))).word == "open"


# -- intervals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "successes, n, low, high",
    [(0, 10, 0, 0.3085), (10, 10, 0.6915, 1), (5, 10, 0.1871, 0.8129), (1, 20, 0.0013, 0.2487), (20, 20, 0.8316, 1)],
)
def test_clopper_pearson_is_that_of_the_tables(successes, n, low, high):
    assert proportion(successes, n, 0.95) == pytest.approx((low, high), abs=5e-5)
    hits = np.r_[np.ones(successes), np.zeros(n - successes)]
    assert estimate("share", [hits], 0.95) == (successes / n, proportion(successes, n, 0.95))


def test_the_bootstrap_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(300):
        low, high = bootstrap(STATISTICS["median"], [random.lognormal(sigma=2, size=20)], 0.95)
        covered += low <= 1 <= high
    assert 0.90 <= covered / 300 <= 0.98


def test_both_tails_of_an_interval_have_half_of_what_it_leaves_out():
    assert np.allclose(statistics.percentiles(np.arange(101.0), 0.9), [5, 95], rtol=1e-12)


def test_a_higher_confidence_gives_a_wider_interval():
    sample = [np.random.default_rng(2).normal(size=20)]
    (a, d), (b, c) = (bootstrap(STATISTICS["median"], sample, confidence) for confidence in (0.99, 0.8))
    assert a < b < c < d


def test_pairs_are_kept_together():
    base = 10.0 ** np.arange(-8, 0)
    value, (low, high) = estimate("reduction", [base / 10, base], 0.95)
    assert value == low == high == pytest.approx(0.9)
    value, interval = estimate("log10_median", [base], 0.95, [base / 10])
    assert (value, *interval) == pytest.approx((1, 1, 1))


def test_statistics_are_what_they_are_called():
    measure, against = np.array([1.0, 2.0, 9.0]), np.array([4.0, 8.0, 40.0])
    assert estimate("median", [measure], 0.95)[0] == 2
    assert estimate("log10_median", [10**measure], 0.95)[0] == 2
    assert estimate("reduction", [measure, against], 0.95)[0] == 0.75
    assert estimate("share", [np.array([1.0, 0, 0, 1])], 0.95)[0] == 0.5
    assert estimate("share", [np.array([1.0, 1])], 0.95, [np.array([1.0, 0])])[0] == 0.5


def test_intervals_are_the_same_every_time_and_need_two_seeds():
    sample = [np.random.default_rng(3).lognormal(size=20)]
    assert estimate("median", sample, 0.95) == estimate("median", sample, 0.95)
    assert estimate("median", [np.array([2.0])], 0.95) == (2.0, None)
    assert estimate("median", [np.array([2.0, 3.0])], 0.95) == (2.5, (2.0, 3.0))


# -- the ledger --------------------------------------------------------------------------------------------------------

ENTRY = {
    **{"id": "fine", "source": "paper", "where": "sec. 1", "claim": "It is so.", "paper": "90 %", "kind": "measured"},
    "chapter": "functions",
    "rule": {
        "experiment": "functions",
        "seeds": 20,
        "confidence": 0.95,
        "statistic": "reduction",
        "measure": "reflection",
        "against": "base",
        "bound": {"at_least": 0.9},
        "readings": {"linear": {"select": {"function": "linear", "half_width": 1}}},
    },
}


def load(path, *entries):
    path = path / "claims.yml"
    path.write_text(yaml.safe_dump(list(entries)))
    return claims.load(path)


def changed(*keys, value=None, entry=ENTRY):
    """The entry with the value at a path of keys replaced, or removed if it is None."""
    entry = copy.deepcopy(entry)
    inner = entry
    for key in keys[:-1]:
        inner = inner[key]
    if value is None:
        del inner[keys[-1]]
    else:
        inner[keys[-1]] = value
    return entry


def test_a_ledger_without_fault_is_read(tmp_path):
    found = load(tmp_path, ENTRY, changed("rule", entry=changed("id", value="later")))
    assert list(found) == ["fine", "later"] and found["fine"].rule == ENTRY["rule"] and found["later"].rule is None
    assert found["fine"].experiment == "functions" and found["later"].experiment is None


DERIVATION = changed("kind", value="derived", entry=changed("rule", value={"derivation": "functions.table_arithmetic"}))
READING = ("rule", "readings", "linear")


@pytest.mark.parametrize(
    "entry, sentence",
    [
        (changed("id"), r"Entry 1 of the ledger has no id; begin it with '- id: ...'"),
        (changed("id", value=7), r"Entry 1 of the ledger has no id"),
        (changed("id", value=" "), r"Entry 1 of the ledger has no id"),
        ("text", r"Entry 1 of the ledger has no id"),
        (changed("where"), r"Claim 'fine': it has no locator \(where\); add it"),
        (changed("where", value=""), r"Claim 'fine': it has no locator \(where\); add it"),
        (changed("claim"), r"Claim 'fine': it has no claim; add it"),
        (changed("source"), r"Claim 'fine': it has no source; add it"),
        (changed("chapter"), r"Claim 'fine': it has no chapter; add it"),
        (changed("kind"), r"Claim 'fine': it has no kind; add it"),
        (changed("paper", value=1.4), r"Claim 'fine': its paper must be text; put it in quotes"),
        (changed("colour", value="red"), r"Claim 'fine': unknown field 'colour'; known are chapter, claim, "),
        (changed("kind", value="guess"), r"Claim 'fine': unknown kind 'guess'; known are derived, hypothesis, "),
        (changed("source", value="book"), r"Claim 'fine': unknown source 'book'; known are blog, paper"),
        (changed("rule", value="90 %"), r"Claim 'fine': its rule must be a mapping"),
        (changed("rule", "level", value=1), r"Claim 'fine': unknown rule field 'level'; known are against, bound"),
        (changed("rule", "experiment"), r"Claim 'fine': its rule does not say experiment; add it"),
        (changed("rule", "seeds"), r"Claim 'fine': its rule does not say seeds; add it"),
        (changed("rule", "confidence"), r"Claim 'fine': its rule does not say confidence; add it"),
        (
            changed("rule", "experiment", value="study"),
            r"'fine': unknown experiment 'study'; known are fashion, forgetting, functions, ",
        ),
        (changed("rule", "experiment", value=["functions"]), r"'fine': unknown experiment \['functions'\]; known"),
        (changed("rule", "seeds", value=1), r"Claim 'fine': its seeds must be a whole number of at least 2"),
        (changed("rule", "seeds", value=-3), r"Claim 'fine': its seeds must be a whole number of at least 2"),
        (changed("rule", "seeds", value=2.5), r"Claim 'fine': its seeds must be a whole number of at least 2"),
        (changed("rule", "quick", value="small"), r"Claim 'fine': its quick must be a mapping such as {scale: quick}"),
        (changed("rule", "confidence", value=95), r"Claim 'fine': its confidence must lie between 0 and 1"),
        (changed("rule", "confidence", value="95 %"), r"Claim 'fine': its confidence must lie between 0 and 1"),
        (changed("rule", "confidence", value=float("nan")), r"Claim 'fine': its confidence must lie between 0 and 1"),
        (changed("rule", "statistic"), r"Claim 'fine, reading linear': it has no statistic; add it"),
        (changed("rule", "measure"), r"Claim 'fine, reading linear': it has no measure; add it"),
        (changed("rule", "measure", value=["a"]), r"'fine, reading linear': its measure must be the name of a number"),
        (changed("rule", "bound"), r"Claim 'fine, reading linear': it has no bound; add it"),
        (
            changed("rule", "statistic", value="mean"),
            r"reading linear': unknown statistic 'mean'; known are accuracy, log10_",
        ),
        (
            changed("rule", "statistic", value=[1]),
            r"reading linear': unknown statistic \[1\]; known are accuracy, log10_",
        ),
        (changed("rule", "statistic", value="median"), r"reading linear': 'against' goes with ratio, reduction, and w"),
        (changed("rule", "against"), r"reading linear': 'against' goes with ratio, reduction, and with nothing else"),
        (changed("rule", "bound", value={"over": 1}), r"reading linear': unknown bound 'over'; known are above, at_l"),
        (changed("rule", "bound", value={}), r"reading linear': its bound must be a mapping such as \{above: 0\}"),
        (changed("rule", "bound", value=0.9), r"reading linear': its bound must be a mapping such as \{above: 0\}"),
        (changed("rule", "bound", value={"above": "90 %"}), r"reading linear': its bound must be a number"),
        (changed("rule", "bound", value={"above": float("nan")}), r"reading linear': its bound must be a number"),
        (changed("rule", "readings", value=["linear"]), r"'fine': its readings must be a mapping from names to"),
        (changed(*READING, value="linear"), r"'fine': its readings must be a mapping from names to settings"),
        (changed(*READING, "seeds", value=3), r"reading linear': unknown reading field 'seeds'; known are against"),
        (changed(*READING, "select", value="linear"), r"reading linear': its select must be a mapping such as"),
        (changed(*READING, "select", value={"function": ["linear"]}), r"select must be a mapping such as .*, flat"),
        (changed(*READING, "select", value={1: "linear"}), r"select must be a mapping such as .*, flat"),
        (changed("rule", "select", value={"width": [1]}), r"'fine': its rule must hold words, numbers and mappings of"),
        (changed("rule", "quick", value={"scale": {}}), r"its quick must be a mapping such as .*, flat"),
        (changed(*READING, "than", value="linear"), r"reading linear': its than must be a mapping such as"),
        (changed("rule", "each", value=0.9), r"reading linear': its each must be a mapping such as \{above: 0\}"),
        (changed("rule", "each", value={"over": 1}), r"reading linear': unknown bound 'over'; known are above, at_l"),
        (changed("rule", "each", value={"above": "x"}), r"reading linear': its each must be a number"),
        (changed("rule", "each", value={"above": 0}), r"reading linear': 'each' goes with the number of systems; add"),
        (
            changed(
                *READING, value={"each": {"above": 0}, "than": {"hidden": 1}}, entry=changed("rule", "systems", value=9)
            ),
            r"with 'each', its select and than must name the same settings",
        ),
        (changed("rule", "systems", value=1), r"Claim 'fine': its systems must be a whole number of at least 2"),
        (changed("rule", "sample", value="few"), r"Claim 'fine': its sample must be a whole number of at least 2"),
        (changed("full", value="later"), r"Claim 'fine, full': it must be a mapping {chapter: ..., rule: {...}}"),
        (changed("full", value={"chapter": "traps"}), r"'fine, full': it must be a mapping {chapter: ..., rule"),
        (changed("full", value={"chapter": 3, "rule": {}}), r"'fine, full': its chapter must be text, in quotes"),
        (
            changed("full", value={"chapter": "traps", "rule": ENTRY["rule"]}),
            r"'fine, full': it must judge another experiment than the first rule, or be one of the readings there",
        ),
        (
            changed("full", value={"chapter": "traps", "rule": {"experiment": "traps"}}),
            r"Claim 'fine, full': its rule does not say seeds; add it",
        ),
        (
            changed("rule", entry=changed("full", value={"chapter": "traps", "rule": ENTRY["rule"]})),
            r"'fine, full': a second rule needs a first; add the rule, or make this one the rule",
        ),
        (
            {**DERIVATION, "full": {"chapter": "traps", "rule": ENTRY["rule"]}},
            r"'fine, full': a derived claim cannot have it; remove it",
        ),
        (changed("rule", "derivation", value="f.g", entry=DERIVATION), r"'fine': there is no|unknown experiment 'f'"),
        (changed("rule", "derivation", value="functions.nothing", entry=DERIVATION), r"no function 'nothing' in the"),
        (changed("rule", "derivation", value="functions.run", entry=DERIVATION), r"'functions', or it has parameters"),
        (changed("rule", "derivation", value="functions.BASE", entry=DERIVATION), r"no function 'BASE' in the exper"),
        (changed("rule", "derivation", value="functions", entry=DERIVATION), r"'fine': there is no function ''"),
        (changed("rule", "seeds", value=3, entry=DERIVATION), r"'fine': it is derived, so its rule is 'derivation: "),
        (changed("kind", value="measured", entry=DERIVATION), r"'fine': unknown rule field 'derivation'; known are"),
    ],
)
def test_a_fault_in_the_ledger_is_one_sentence_that_names_the_claim_and_the_mend(entry, sentence, tmp_path):
    with pytest.raises(LedgerError, match=sentence) as caught:
        load(tmp_path, entry)
    assert "\n" not in str(caught.value)


def test_a_derived_claim_without_fault_is_read(tmp_path):
    assert load(tmp_path, DERIVATION)["fine"].experiment == "functions"


def test_an_id_that_stands_twice_is_refused(tmp_path):
    with pytest.raises(LedgerError, match="Claim 'fine': it stands twice in the ledger; rename or remove one"):
        load(tmp_path, ENTRY, ENTRY)


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("- id: 2026-13-01\n", r"is not YAML; mend it where it says: month must be in 1..12"),
        ("- !!map word\n", r"is not YAML; mend it where it says: expected a mapping node"),
        ("- !!int word\n", r"is not YAML; mend it where it says: invalid literal for int"),
        ("- {id: a, id: b}\n", r"Line 1 of the ledger: the key 'id' stands twice; rename or remove one"),
        ("- id: a\n  rule:\n    readings:\n      x: {}\n      y: {}\n      x: {}\n", r"Line 6 .* key 'x' stands twice"),
        ("- id: a\n  rule: {bound: {above: 0, above: 1}}\n", r"Line 2 of the ledger: the key 'above' stands twice"),
        ("id: a\n", r"claims\.yml must be a list of claims, each beginning with '- id: ...'"),
        ("", r"claims\.yml must be a list of claims"),
        ("- id: [a\n- id: b\n", r"claims\.yml is not YAML; mend it where it says: .*line 2"),
        ("- id: a\n\tsource: paper\n", r"claims\.yml is not YAML; mend it where it says: .*line 2"),
        ("- !!python/object/apply:os.getcwd []\n", r"claims\.yml is not YAML; mend it where it says: could not"),
    ],
)
def test_yaml_that_is_broken_or_loses_a_key_is_refused(text, sentence, tmp_path):
    (tmp_path / "claims.yml").write_text(text)
    with pytest.raises(LedgerError, match=sentence) as caught:
        claims.load(tmp_path / "claims.yml")
    assert "\n" not in str(caught.value)


def test_a_ledger_that_is_missing_or_no_text_is_refused(tmp_path):
    with pytest.raises(LedgerError, match="The ledger cannot be read .*restore it from version control"):
        claims.load(tmp_path / "claims.yml")
    (tmp_path / "claims.yml").write_bytes(b"\xff\xfe")
    with pytest.raises(LedgerError, match="The ledger cannot be read"):
        claims.load(tmp_path / "claims.yml")


def test_an_unknown_claim_is_answered_with_the_nearest_one():
    with pytest.raises(LedgerError, match="There is no claim 'table-quartik'; did you mean table-quartic"):
        claims.get(LEDGER, "table-quartik")
    with pytest.raises(LedgerError, match="There is no claim 'zzz'; `errref claims` lists them"):
        claims.get(LEDGER, "zzz")


def test_the_hash_of_a_rule_follows_the_rule_alone():
    rule = ENTRY["rule"]
    rules = [rule, dict(reversed(rule.items())), {**rule, "seeds": 21}, {**rule, "bound": {"above": 0.9}}]
    hashes = [Claim(f"c{k}", "paper", "x", "y", "measured", "z", rule=r).rule_hash for k, r in enumerate(rules)]
    assert hashes[0] == hashes[1] and len(set(hashes)) == 3


# -- printed numbers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", functions.PRINTED)
def test_a_printed_row_is_the_same_in_ledger_and_experiment(name):
    base, reflection, percent = functions.PRINTED[name]
    claim = LEDGER[f"table-{name}"]
    assert claim.paper == f"{percent} % ({base} to {reflection})"
    assert claim.rule["bound"] == {"at_least": pytest.approx((float(percent) - 0.5) / 100)}
    assert claim.rule["readings"] == {name: {"select": {"function": name, "half_width": 1}}}


@pytest.mark.parametrize("name", functions.PRINTED)
def test_a_printed_row_stands_nowhere_else(name):
    base, reflection, _ = functions.PRINTED[name]
    both = [re.compile(rf"(?<![\w.]){re.escape(loss)}(?![\w.])") for loss in (base, reflection)]
    files = [*(ROOT / "errref").rglob("*.py"), *(ROOT / "book").glob("*.md"), *(ROOT / "book").glob("*.ipynb")]
    for file in files:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".ipynb":
            text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
        typed = any(all(loss.search(line) for loss in both) for line in text.splitlines())
        assert not typed or file.samefile(functions.__file__), file
