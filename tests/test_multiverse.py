"""Choice sets are what the page says of them, a system is what its choices say, and shares of variance are right."""

from itertools import product

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.metrics import mean_squared_error

from errref import claims, records
from errref.datasets import FUNCTIONS, even
from errref.experiments import effects, multiverse
from errref.experiments.functions import PRINTED
from errref.experiments.multiverse import DEFAULT, FACTORS, LOSSES, design, system
from errref.figures import multiverse as draw
from errref.networks import ReluRegressor
from errref.records import Row

# -- the design --------------------------------------------------------------------------------------------------------


def test_there_are_as_many_systems_as_the_page_says_and_no_two_are_the_same():
    configs = multiverse.configurations()
    assert len(configs) == multiverse.CHOICE_SETS * len(FUNCTIONS) >= 5000
    assert len({tuple(config.items()) for config in configs}) == len(configs)
    assert len(configs) * multiverse.SEEDS >= 25_000


def test_every_two_levels_of_two_factors_meet_often():
    counts = multiverse.pairs()
    assert min(counts.values()) >= multiverse.LEAST
    a, b = "gate", "steps"
    assert counts[b, 20_000, a, "tree"] == sum(c[a] == "tree" and c[b] == 20_000 for c in design())
    together = [n for (one, _, other, _), n in counts.items() if (one, other) == ("hidden", "rounds")]
    assert sum(together) == multiverse.CHOICE_SETS and len(together) == 6


def test_at_least_half_of_the_systems_take_20_000_steps():
    assert np.mean([choices["steps"] >= 20_000 for choices in design()]) >= 0.5


def test_there_are_nine_factors_with_three_levels_and_each_level_has_its_share():
    assert sum(len(levels) >= 3 for levels in FACTORS.values()) >= 9
    for name, levels in FACTORS.items():
        assert sum(levels.values()) == pytest.approx(1)
        for level, share in levels.items():
            found = sum(choices[name] == level for choices in design())
            assert abs(found - share * multiverse.CHOICE_SETS) <= 10, (name, level)


def test_the_default_is_in_the_design_on_every_function():
    assert design()[0] == DEFAULT
    assert {c["function"] for c in multiverse.configurations()[:6]} == set(FUNCTIONS)


# -- a system ----------------------------------------------------------------------------------------------------------


def test_a_system_is_named_by_the_choices_that_are_not_the_default():
    config = system("cubic", gate="tree", steps=2_000)
    assert config == {"function": "cubic", **DEFAULT, "gate": "tree", "steps": 2_000}


@pytest.mark.parametrize(
    "choices, sentence",
    [
        ({"function": "quintic"}, "function cannot be 'quintic': known are linear, cubic, quartic"),
        ({"function": "cubic", "gates": "tree"}, "There is no factor 'gates': did you mean 'gate'?"),
        ({"function": "cubic", "colour": 1}, "There is no factor 'colour': known are hidden, n_samples"),
        ({"function": "cubic", "steps": 3}, "steps cannot be 3: known are 50000, 20000, 2000"),
    ],
)
def test_a_choice_that_there_is_not_is_one_sentence(choices, sentence):
    with pytest.raises(ValueError) as caught:
        system(**choices)
    assert str(caught.value).startswith(sentence)


def test_the_default_system_is_that_of_the_chapter_on_functions():
    config = {"function": "quartic", "half_width": 1, "hidden": 10, "n_samples": 256, "steps": 50_000}
    theirs = records.numbers_of(records.read("functions"), **config)[3]
    mine = multiverse.run(system("quartic"), 3)
    pairs = {"base_squared": "base", "reflection_squared": "reflection", "base_training": "base_train"}
    for name, other in pairs.items():
        assert mine[name] == pytest.approx(theirs[other], rel=0.1)
    assert mine["base_largest"] ** 2 == pytest.approx(theirs["base_largest"], rel=0.1)
    assert mine["n_experts"] == theirs["n_clusters"]


CHEAP = {"steps": 2_000, "gate": "neighbour", "n_samples": 64}


def test_the_numbers_of_a_row_by_hand():
    config = system("jump-linear", **CHEAP, spacing="random", noise=0.1)
    X, y = multiverse.data(config, 4)
    general, model = multiverse.models(config, 4, X, y)
    X_test = even(multiverse.TEST_SAMPLES)[:, None]
    y_test = FUNCTIONS["jump-linear"](X_test[:, 0])
    row = multiverse.run(config, 4)
    assert row["base_squared"] == pytest.approx(mean_squared_error(y_test, general.predict(X_test)), rel=1e-4)
    assert row["reflection_squared"] == pytest.approx(mean_squared_error(y_test, model.predict(X_test)), rel=1e-4)
    assert row["reflection_training"] == pytest.approx(mean_squared_error(y, model.predict(X)), rel=1e-4)
    assert row["base_absolute"] == pytest.approx(np.mean(np.abs(general.predict(X_test) - y_test)), rel=1e-4)
    assert row["reflection_largest"] == pytest.approx(np.abs(model.predict(X_test) - y_test).max(), rel=1e-4)
    assert row["n_experts"] == len(model.experts_)
    assert len(row) == 2 * len(LOSSES) + 1 and all(value == float(f"{value:.5g}") for value in row.values())


def test_training_data_are_those_that_the_choices_name():
    x = {s: multiverse.data(system("cubic", spacing=s), 3)[0][:, 0] for s in FACTORS["spacing"]}
    assert np.ptp(np.diff(x["even"])) < 1e-12
    assert np.diff(x["ends"])[[0, -1]].max() < np.diff(x["ends"])[128] / 10
    assert np.unique(x["random"]).size == 256 and np.abs(x["random"]).max() <= 1
    assert (x["random"] != multiverse.data(system("cubic", spacing="random"), 4)[0][:, 0]).all()
    _, noisy = multiverse.data(system("cubic", noise=0.1), 3)
    clean = FUNCTIONS["cubic"](x["even"])
    assert 0.08 < np.std(noisy - clean) / np.std(clean) < 0.12
    np.testing.assert_array_equal(noisy, multiverse.data(system("cubic", noise=0.1), 3)[1])


@pytest.mark.parametrize(
    "name, level", [(n, level) for n, of in FACTORS.items() for level in of if level != DEFAULT[n] and n != "steps"]
)
def test_every_level_makes_another_system(name, level):
    usual = {"n_samples": 64, "steps": 2_000, "gate": "neighbour", "noise": 0.1}
    changed = {**usual, name: level}
    if changed == usual:
        changed = {**usual, name: DEFAULT[name]}
    assert multiverse.run(system("quartic", **changed), 0) != multiverse.run(system("quartic", **usual), 0)


def test_a_second_round_reflects_on_the_first_system_with_other_starting_weights():
    config = system("quartic", **CHEAP, rounds=2)
    X, y = multiverse.data(config, 0)
    general, first, second = multiverse.models(config, 0, X, y)
    np.testing.assert_array_equal(second.general_.predict(X), first.predict(X))
    assert np.abs(y - first.predict(X))[second.errors_].min() >= np.abs(y - first.predict(X))[~second.errors_].max()
    assert second.experts_[0].random_state != first.experts_[0].random_state
    assert multiverse.run(config, 0)["n_experts"] == len(first.experts_) + len(second.experts_)


def test_error_cases_above_the_rms_are_those():
    y, prediction = np.array([0.0, 0, 0, 0]), np.array([1.0, -3, 0.5, 2])
    assert multiverse._above_rms(y, prediction).tolist() == [False, True, False, True]


# -- networks ----------------------------------------------------------------------------------------------------------


def test_batches_are_those_of_adam_in_torch():
    import torch

    X, y = multiverse.data(system("quartic", n_samples=64), 0)
    mine = ReluRegressor(5, steps=300, learning_rate=1e-2, batch_size=8, random_state=3).fit(X, y)
    start = ReluRegressor(5, steps=0, random_state=3).fit(X, y)
    network, rng = start.to_torch(), np.random.default_rng(3)
    start._starting_weights(X, rng)
    orders = np.concatenate([order for order in rng.permuted(np.tile(np.arange(64), (38, 1)), axis=1)])
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for picks in orders[: 300 * 8].reshape(300, 8):
        optimizer.zero_grad()
        ((network(torch.tensor(X[picks])).squeeze(1) - torch.tensor(y[picks])) ** 2).mean().backward()
        optimizer.step()
    np.testing.assert_allclose(mine.predict(X), network(torch.tensor(X)).detach().numpy()[:, 0], rtol=1e-9)
    assert mine.loss_curve_.shape == (2,)
    assert mine.loss_curve_ == pytest.approx([np.mean((m.predict(X) - y) ** 2) for m in (start, mine)])


def test_a_batch_of_all_samples_is_the_exact_trainer():
    X, y = multiverse.data(system("quartic", n_samples=64), 0)
    exact, batch = (ReluRegressor(5, steps=500, batch_size=b, random_state=1).fit(X, y) for b in (None, 64))
    np.testing.assert_array_equal(exact.predict(X), batch.predict(X))


@pytest.mark.parametrize("settings", [{"engine": "torch"}, {"batch_size": 0}, {"batch_size": True}])
def test_batches_that_cannot_be_are_one_sentence(settings):
    X, y = multiverse.data(system("quartic", n_samples=64), 0)
    with pytest.raises(ValueError, match="batch_size"):
        ReluRegressor(5, **{"steps": 3, "batch_size": 8, **settings}).fit(X, y)
    with pytest.raises(ValueError, match="batch_size goes with"):
        ReluRegressor(5, steps=3, batch_size=8).fit(X, y, sample_weight=np.ones(64))


def test_starting_weights_are_those_of_their_names():
    X = np.linspace(-1, 3, 100)[:, None]
    many = ReluRegressor(20_000, steps=0, init="he", random_state=0).fit(X, X[:, 0])
    assert np.std(many.hidden_weights_) == pytest.approx(np.sqrt(2), rel=0.03) and not many.hidden_biases_.any()
    assert np.std(many.output_weights_) == pytest.approx(np.sqrt(2 / 20_000), rel=0.03)
    even_ = ReluRegressor(4, steps=0, init="spread", random_state=0).fit(X, X[:, 0])
    np.testing.assert_allclose(-even_.hidden_biases_ / even_.hidden_weights_[:, 0], [-0.5, 0.5, 1.5, 2.5])
    with pytest.raises(ValueError, match="init must be 'torch', 'he', 'spread'"):
        ReluRegressor(4, steps=0, init="spread", engine="torch").fit(np.ones((5, 2)), np.ones(5))


# -- which choice decides ----------------------------------------------------------------------------------------------


def grid(effect, seeds=5, last=4):
    """Rows of all combinations of three factors; ``effect`` gives log10 of the ratio of the losses."""
    for a, b, c in product(range(3), range(2), range(last)):
        for seed in range(seeds):
            numbers = {"base_squared": 2.0, "reflection_squared": 2.0 * 10 ** effect(a, b, c, seed)}
            yield Row("multiverse", {"a": a, "b": b, "c": c}, seed, numbers)


def test_shares_of_an_additive_outcome_are_those_of_its_terms():
    found = effects.outcomes(grid(lambda a, b, c, seed: -a - 2 * b), "squared")
    shares = effects.main_effects(found.configs, found.logs().mean(axis=1), "abc")
    total = np.var([0, 1, 2]) + 4 * np.var([0, 1])
    assert shares == pytest.approx({"a": np.var([0, 1, 2]) / total, "b": 4 * np.var([0, 1]) / total, "c": 0}, abs=1e-9)
    assert effects.parts(found, "abc") == pytest.approx(
        {"single factors": 1, "pairs": 0, "seeds": 0, "rest": 0}, abs=1e-9
    )


def test_what_only_two_factors_together_decide_is_their_pair():
    found = effects.outcomes(grid(lambda a, b, c, seed: -1.0 * (a == 1) * b), "squared")
    assert effects.parts(found, "abc")["pairs"] > 0.2
    three = effects.outcomes(grid(lambda a, b, c, seed: -1.0 * (a == 1) * b * (c == 2)), "squared")
    assert effects.parts(three, "abc")["rest"] > 0.1


def test_noise_of_the_seeds_is_told_apart():
    noise = np.random.default_rng(0).normal(size=(3, 2, 4, 5))
    found = effects.outcomes(grid(lambda a, b, c, seed: noise[a, b, c, seed]), "squared")
    parts = effects.parts(found, "abc")
    logs = noise.reshape(-1, 5)  # the variance of a mean of five, estimated and seen
    assert parts["seeds"] == pytest.approx(logs.var(axis=1, ddof=1).mean() / 5 / logs.mean(axis=1).var())
    assert 0.5 < parts["seeds"] < 1.5 and sum(parts.values()) == pytest.approx(1)


def test_intervals_hold_the_shares_and_draw_groups_together():
    noise = np.random.default_rng(0).normal(size=60)
    found = effects.outcomes(grid(lambda a, b, c, seed: a + noise[c], last=60), "squared")
    values, groups = found.logs().mean(axis=1), [config["c"] for config in found.configs]
    share = effects.main_effects(found.configs, values, "ab")["a"]
    ends = effects.intervals(found.configs, values, "ab", groups)["a"]
    apart = effects.intervals(found.configs, values, "ab", range(len(values)))["a"]
    assert ends[0] < share < ends[1] and apart[0] < share < apart[1]
    assert ends[1] - ends[0] != apart[1] - apart[0]


def test_outcomes_are_medians_on_the_seeds_that_all_systems_have():
    rows = list(grid(lambda a, b, c, seed: -seed))
    found = effects.outcomes([row for row in rows if row.seed < 4 or row.config["a"]], "squared", b=1)
    assert len(found.configs) == 12 and found.base.shape == (12, 4)
    assert found.reductions() == pytest.approx(1 - (0.1 + 0.01) / 2)
    assert found.logs() == pytest.approx(np.tile([0, -1, -2, -3], (12, 1)))


# -- the ledger --------------------------------------------------------------------------------------------------------

IDS = ("table-by-90", "table-above-90", "table-99", "table-complexity")


def test_the_second_rules_look_at_all_systems_and_share_their_bounds_with_the_first():
    ledger = claims.load()
    for name in IDS:
        first, second = ledger[name], ledger[name].second
        assert second.rule["systems"] == multiverse.CHOICE_SETS and second.rule["seeds"] == multiverse.SEEDS
        assert second.rule["each"] == first.rule["bound"] and second.rule["bound"] == {"above": 0.5}
        used = [config for config in multiverse.configurations() if claims.uses(second, config)]
        assert len(claims.sample(second, used)) == second.rule["sample"] * len({c["function"] for c in used})


# -- the recorded rows, and the figures --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows():
    return records.read("multiverse")


def test_every_system_is_recorded_on_every_seed(rows):
    want = {(tuple(sorted(c.items())), s) for c in multiverse.configurations() for s in range(multiverse.SEEDS)}
    assert {(tuple(sorted(row.config.items())), row.seed) for row in rows} == want


def test_every_rule_had_been_written_when_its_rows_were_recorded(rows):
    runs = records.runs("multiverse").values()
    for name, claim in claims.rules(claims.load(), "multiverse").items():
        assert {run["rules"][name] for run in runs} == {claim.rule_hash}, name


def test_recorded_losses_agree_with_each_other(rows):
    for row in rows:
        n = row.numbers
        for name in ("base", "reflection"):
            root = np.sqrt(n[f"{name}_squared"])
            assert n[f"{name}_absolute"] <= root * 1.0001 and root <= n[f"{name}_largest"] * 1.0001
        assert n["n_experts"] >= 1


def test_a_curve_is_sorted_and_has_every_system_the_default_and_the_printed_number(rows):
    figure = draw.curves(rows)
    for ax, function in zip(figure.axes, FUNCTIONS, strict=True):
        found = effects.outcomes(rows, "squared", function=function)
        systems, default, *others = (line for line in ax.lines if len(line.get_xdata()) != 2)
        left = systems.get_ydata()
        assert len(left) == multiverse.CHOICE_SETS and (np.diff(left) <= 0).all()
        ends = draw.LEFT[-1] / 3, draw.LEFT[0] * 3
        assert sorted(left) == pytest.approx(sorted(np.clip(1 - found.reductions(), *ends)))
        own = found.reductions()[[config == system(function) for config in found.configs]]
        assert default.get_ydata() == pytest.approx(np.clip(1 - own, *ends))
        marks = [line for line in others if line.get_marker() == "D"]
        assert len(marks) == (function in PRINTED)
        for mark in marks:
            assert mark.get_ydata() == pytest.approx(1 - float(PRINTED[function][2]) / 100)
            assert mark.get_xdata() == np.sum(left > mark.get_ydata())
    plt.close(figure)


def test_the_choices_below_a_curve_are_those_of_its_systems(rows):
    figure = draw.specification(rows, "cubic")
    found = effects.outcomes(rows, "squared", function="cubic")
    order = np.argsort(-(1 - found.reductions()))
    strips = figure.axes[1].lines
    assert len(strips) == sum(map(len, FACTORS.values()))
    ranks = [k for k, of in enumerate(order) if found.configs[of]["hidden"] == 5]
    assert list(strips[1].get_xdata()) == ranks  # the second level of the first factor
    plt.close(figure)


def test_figures_are_drawn_without_a_warning_and_have_labelled_axes(rows, drawn):
    verdicts = {name: claim.second for name, claim in claims.load().items() if name in ("table-by-90", "table-99")}
    judged = {name: claims.judge(claim, rows) for name, claim in verdicts.items()}
    figures = [draw.support(judged), draw.deciding({"a": 0.5, "b": 0.1}, {"a": (0.4, 0.6), "b": (0, 0.2)})]
    figures += [draw.costs({"a: 1": 0.5, "b: 2": 0.1}, default=0.3), draw.curve(rows, "quartic")]
    for figure in drawn(figures):
        assert all(ax.get_xlabel() for ax in figure.axes)
    assert [bar.get_width() for bar in figures[2].axes[0].patches] == [0.5, 0.1]
    assert list(figures[2].axes[0].lines[0].get_xdata()) == [0.3, 0.3]
    points = [bars.lines[0].get_xdata() for bars in figures[0].axes[0].containers]
    for found, verdict in zip(points, judged.values(), strict=True):
        assert list(found) == [reading.value for reading in verdict.readings]
