"""The rivals: what each of them costs, that each is what its name says, and recorded rows measured again."""

import numpy as np
import pytest
from sklearn.base import clone

from errref import claims, exact, records
from errref.experiments import functions, rivals
from errref.figures import rivals as draw

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def rows():
    return records.read("rivals")


@pytest.fixture(scope="module")
def own():
    return functions.Systems({"function": "quartic", "steps": 3000}, seed=1000)


@pytest.fixture(scope="module")
def test_points(own):
    return functions.data(own.config, 512)


@pytest.fixture(scope="module")
def found(own, test_points):
    """Answers, parameters and steps of every system, by name."""
    systems = [*rivals.reflections(own, *test_points), *rivals.rivals(own, *test_points)]
    return {name: rest for name, *rest in systems}


def loss(answers, y):
    return functions.mean_squared(answers, y)


# -- what it costs -----------------------------------------------------------------------------------------------------


def test_the_budget_of_a_fair_rival_is_that_of_error_reflection(own, found):
    _, n_parameters, n_steps = found["reflection"]
    assert (n_parameters, n_steps) == (own.parameters(), own.steps())
    for name in rivals.FAIR:
        assert found[name][1] <= n_parameters and found[name][2] <= n_steps, name
    for name in ("wide", "wide_long", "mlp", "ensemble", "mixture_soft", "mixture_hard", "residual"):
        assert found[name][1] > 0.9 * n_parameters, name
    for name in ("long", "wide_long", "ensemble", "stacking", "mixture_soft", "mixture_hard", "residual"):
        assert found[name][2] > 0.99 * n_steps, name


def test_every_recorded_fair_rival_keeps_its_budget(rows):
    for row in rows:
        for what in ("parameters", "steps"):
            limit = row.numbers[f"{what}_reflection"]
            assert all(row.numbers[f"{what}_{name}"] <= limit for name in rivals.FAIR), (row.config, row.seed, what)


def test_a_second_reflection_adds_its_experts_and_its_gate(own, found):
    hidden, steps = own.config["hidden"], own.config["steps"]
    added = found["twice"][1] - found["reflection"][1]
    possible = {
        k * (3 * hidden + 1) + 2 * hidden + (k + 1) * (hidden + 1): k for k in range(2, 8)
    }  # k experts, and a gate of k + 1 routes
    assert added in possible
    assert 0 < found["twice"][2] - found["reflection"][2] - possible[added] * steps < 10_000  # steps of the gate


def test_shares_add_up_to_the_whole(own):
    for n_networks in (1, 3, 4):
        network = rivals.share(own, n_networks)
        size = 3 * network.hidden + 1
        assert n_networks * size <= own.parameters() < n_networks * (size + 4)
        assert network.steps == own.steps() // n_networks
    assert rivals.share(own, 4, fits=3).steps == own.steps() // 12
    assert 4 * (3 * rivals.share(own, 4, aside=5).hidden + 1) + 5 <= own.parameters()


# -- each is what its name says ----------------------------------------------------------------------------------------


def test_restarts_are_chosen_by_the_training_loss(own, found, test_points):
    X, _ = test_points
    starts = np.random.SeedSequence(own.seed).generate_state(len(own.reflection.networks_), dtype=np.uint32)
    networks = [
        own.general,
        *(clone(own.network).set_params(random_state=int(s)).fit(own.X, own.y) for s in starts[1:]),
    ]
    train = [loss(network.predict(own.X), own.y) for network in networks]
    np.testing.assert_array_equal(found["restarts"][0], networks[int(np.argmin(train))].predict(X))


def test_lbfgs_trains_the_base_network_from_its_start(own):
    network, n_gradients = rivals.lbfgs(own)
    samples = exact.prepare(own.X[:, 0], own.y)
    w, b, v = network.hidden_weights_.ravel(), network.hidden_biases_, network.output_weights_
    value, _ = exact.gradient(samples, np.r_[w, b, v, network.output_bias_])
    assert value == pytest.approx(loss(network.predict(own.X), own.y), rel=1e-9)
    start = clone(own.network).set_params(steps=0, random_state=own.seed).fit(own.X, own.y)
    assert value < 0.2 * loss(start.predict(own.X), own.y)
    assert 10 < n_gradients <= own.steps()
    other = functions.Systems({"function": "quartic", "steps": 3000}, seed=1001)
    assert rivals.lbfgs(other)[0].loss_curve_[-1] != network.loss_curve_[-1]


def test_each_network_is_trained_on_what_the_others_left(own):
    network = rivals.share(own, 3)
    fitted = rivals.residual(network, [1, 2, 3], own.X, own.y)
    left = own.y - sum(part.predict(own.X) for part in fitted[:2])
    alone = clone(network).set_params(random_state=3).fit(own.X, left)
    np.testing.assert_allclose(fitted[2].predict(own.X), alone.predict(own.X), rtol=1e-9)
    losses = [loss(sum(part.predict(own.X) for part in fitted[:k]), own.y) for k in (1, 2, 3)]
    assert losses[2] <= losses[1] <= losses[0]


def test_the_oracle_is_the_best_of_the_networks_for_each_point(own, found, test_points):
    X, y = test_points
    each = own.reflection.predict_each(X)
    assert loss(found["oracle"][0], y) == pytest.approx(np.mean(np.min((each - y[:, None]) ** 2, axis=1)))


def test_the_second_reflection_starts_its_experts_elsewhere(own, found, test_points):
    X, _ = test_points
    assert len(np.unique(np.r_[found["twice"][0][:, None] == own.reflection.predict_each(X)].any(axis=1))) == 2


def test_the_ensemble_is_a_mean_and_no_two_systems_are_the_same(found, test_points):
    losses = {name: loss(answers, test_points[1]) for name, (answers, _, _) in found.items()}
    assert set(losses) == {"base", "reflection", *rivals.FAIR, *rivals.VARIANTS, *rivals.OTHER_COST, *rivals.TREES}
    same = [name for name in losses if sum(value == losses[name] for value in losses.values()) > 1]
    assert set(same) <= {"base", "long", "restarts"}


# -- rows --------------------------------------------------------------------------------------------------------------


def test_every_configuration_is_recorded_on_every_seed(rows):
    for config in rivals.configurations():
        assert {row.seed for row in rows if row.config == config} == set(range(rivals.SEEDS)), config


def test_what_both_chapters_measure_agrees(rows):
    other = {
        (row.config["function"], row.seed): row
        for row in records.read("functions")
        if row.config.get("half_width") == 1
    }
    for row in rows:
        old = other[row.config["function"], row.seed].numbers
        assert row.numbers["parameters_reflection"] == old["n_parameters"]
        pairs = {name: name for name in ("base", "reflection", "long", "wide", "one_cluster", "random_clusters")}
        for here, there in {**pairs, "no_general": "no_general", "oracle": "oracle_gate"}.items():
            a, b = row.numbers[here], old[there]
            assert max(a, b) < 1e-6 or abs(np.log10(a / b)) < 0.05, (row.config, row.seed, here)


def test_the_second_verdict_is_judged_on_all_rivals_and_functions(rows):
    claim = claims.load()["table-fair"].second
    verdict = claims.judge(claim, rows)
    assert all(reading.n == rivals.SEEDS for reading in verdict.readings)
    pairs = {(part["against"], part["select"]["function"]) for part in claim.rule["readings"].values()}
    assert pairs == {(r, f) for r in (*rivals.FAIR, "random_clusters", "one_cluster") for f in functions.FUNCTIONS}


# -- figures -----------------------------------------------------------------------------------------------------------


def test_the_figure_of_ratios_draws_the_medians_of_the_rows(rows, drawn):
    for figure in drawn([draw.ratios(rows, rivals.FAIR)]):
        for ax, name in zip(figure.axes, functions.FUNCTIONS, strict=True):
            numbers = records.numbers_of(rows, function=name)
            points = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
            base = np.median([n["base"] for n in numbers])
            expected = [np.median([n[k] for n in numbers]) / base for k in rivals.FAIR]
            np.testing.assert_allclose(points, np.clip(expected, *draw.RATIOS))


def test_the_figure_of_wins_counts_seeds(rows, drawn):
    for figure in drawn([draw.wins(rows, {"oracle": "oracle gate", "wide": "wide"})]):
        (ax,) = figure.axes
        words = [int(text.get_text()) for text in ax.texts]
        assert words[:6] == [0] * 6  # nothing is better than the best of its own networks
        expected = [
            sum(n["reflection"] < n["wide"] for n in records.numbers_of(rows, function=f)) for f in functions.FUNCTIONS
        ]
        assert words[6:] == expected


def test_every_figure_has_labelled_axes(found, test_points, drawn):
    X, y = test_points
    left = {name: found[key][0] - y for name, key in {"base": "base", "one wide network": "wide"}.items()}
    for figure in drawn([draw.residuals(X[:, 0], left)]):
        np.testing.assert_array_equal(figure.axes[1].lines[0].get_ydata(), left["one wide network"])
        assert figure.axes[-1].get_xlabel()
