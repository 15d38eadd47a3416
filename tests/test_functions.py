"""The function table: its arithmetic by hand, the accounting of the systems, and recorded rows measured again."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.polynomial import Polynomial
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.dummy import DummyClassifier

from errref import claims, datasets, records
from errref.experiments import functions
from errref.networks import ReluRegressor
from errref.reflection import ErrorReflectionRegressor


@pytest.fixture(scope="module")
def rows():
    return records.read("functions")


@pytest.fixture(scope="module")
def system():
    return functions.Systems({"function": "quartic"}, seed=1000)


# -- the printed table, by hand --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "low", "high"),
    [
        ("4e-4", Fraction(35, 100_000), Fraction(45, 100_000)),
        ("1.4", Fraction(135, 100), Fraction(145, 100)),
        ("1.4e-2", Fraction(135, 10_000), Fraction(145, 10_000)),
        ("92", Fraction(183, 2), Fraction(185, 2)),
        ("1e-3", Fraction(95, 100_000), Fraction(15, 10_000)),  # below a power of ten the digits are finer
    ],
)
def test_a_printed_number_stands_for_half_a_unit_of_its_last_digit(printed, low, high):
    assert functions.rounding(printed) == (low, high)


def test_only_the_second_printed_reduction_cannot_follow_from_its_losses():
    # Row 2: at least 1 - 2.5/3.5 = 28.57 %, at most 1 - 1.5/4.5 = 66.67 %; printed 92 %.
    readings = {r["reading"]: r for r in functions.table_arithmetic()}
    assert [r["holds"] for r in readings.values()] == [True, False, True, True]
    assert readings["cubic"]["value"] == "28.6 to 66.7 %, printed 92 %"
    assert readings["linear"]["value"] == "86.0 to 92.9 %, printed 90 %"


def test_the_fourth_row_has_no_jump_and_no_kink_but_another_curvature():
    # Second derivatives at 0: -1.2 from the left (-0.6 x^2), 0 from the right; value and slope 0 from both sides.
    assert datasets.FUNCTIONS["piecewise"].jumps() == (0.0, 0.0, 1.2)
    assert [r["holds"] for r in functions.table_discontinuous()] == [False]


def test_two_of_the_four_categories_are_not_printed():
    found = {r["reading"]: (r["holds"], r["value"]) for r in functions.table_categories()}
    assert found == {
        "linear continuous": (True, "row 1"),
        "linear discontinuous": (False, "no row"),
        "higher-order continuous": (True, "row 2, 3, 4"),
        "higher-order discontinuous": (False, "no row"),
    }


def test_tasks_that_share_their_inputs_have_a_least_loss_by_integration():
    # (cubic - quartic) / 2 = (-0.35 - 0.2x + 0.67x^2 + 0.8x^3 - x^4) / 2; the mean over [-1, 1) of its square
    half = Polynomial([-0.35, -0.2, 0.67, 0.8, -1]) / 2
    integral = (half**2).integ()
    least = (integral(1) - integral(-1)) / 2
    apart, shared = functions.table_tasks()
    assert (apart["holds"], shared["holds"]) == (True, False)
    assert shared["value"] == f"no function of x has a loss below {least:.4f}"


def test_the_derivations_turn_with_the_table(monkeypatch):
    monkeypatch.setitem(functions.PRINTED, "cubic", ("4e-4", "3e-5", "92"))
    assert [r["holds"] for r in functions.table_arithmetic()] == [True] * 4
    monkeypatch.setitem(datasets.FUNCTIONS, "piecewise", datasets.FUNCTIONS["jump-piecewise"])
    assert [r["holds"] for r in functions.table_discontinuous()] == [True]


# -- the data --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", datasets.FUNCTIONS)
def test_the_mean_square_by_integration_is_that_of_a_fine_grid(name):
    function = datasets.FUNCTIONS[name]
    assert function.mean_square() == pytest.approx(np.mean(function(datasets.even(100_000)) ** 2), rel=1e-6)


def test_values_of_the_targets_by_hand():
    half = {name: float(f(np.array(0.5))) for name, f in datasets.FUNCTIONS.items()}
    assert half["cubic"] == pytest.approx(0.125 - 0.1 - 0.35)
    assert half["quartic"] == pytest.approx(0.0625 + 0.025 - 0.1675)
    assert half["piecewise"] == pytest.approx(0.03125 + 0.0625 - 0.0625)
    assert half["jump-piecewise"] == pytest.approx(half["piecewise"] + 1)
    assert float(datasets.FUNCTIONS["piecewise"](np.array(-0.5))) == pytest.approx(0.0625 - 0.125 - 0.15)
    assert float(datasets.FUNCTIONS["jump-linear"](np.array(-0.5))) == -0.5


@pytest.mark.parametrize("n_samples", [functions.BASE["n_samples"], *functions.GRID["n_samples"]])
def test_no_test_point_was_trained_on(n_samples):
    assert not np.isin(datasets.even(functions.TEST_SAMPLES), datasets.even(n_samples)).any()


def test_no_function_of_x_answers_two_tasks_better_than_their_mean():
    X, y = datasets.two_tasks(64)
    mean = (datasets.FUNCTIONS["cubic"](X[:, 0]) + datasets.FUNCTIONS["quartic"](X[:, 0])) / 2
    bound = functions.mean_squared(mean, y)
    for shift in (-0.01, 0.01):
        assert functions.mean_squared(mean + shift, y) > bound


# -- the systems -----------------------------------------------------------------------------------


def test_the_general_network_is_the_plain_network_of_that_seed(system):
    plain = clone(system.network).set_params(random_state=1000).fit(system.X, system.y)
    np.testing.assert_array_equal(plain.predict(system.X), system.reflection.general_.predict(system.X))


def test_the_shared_general_network_changes_nothing(system):
    apart = ErrorReflectionRegressor(
        system.network, **{k: v for k, v in system.reflection.get_params(deep=False).items() if k != "estimator"}
    )
    np.testing.assert_array_equal(apart.fit(system.X, system.y).predict(system.X), system.reflection.predict(system.X))


def test_parameters_and_steps_are_counted_by_hand(system):
    experts, hidden = len(system.reflection.experts_), functions.BASE["hidden"]
    outputs = len(np.unique(system.reflection.routes_))
    gate = hidden + hidden + hidden * outputs + outputs
    assert system.parameters() == (1 + experts) * (3 * hidden + 1) + gate
    assert system.steps() == (1 + experts) * functions.BASE["steps"] + system.reflection.gate_.n_iter_
    wide = (system.parameters() - 1) // 3
    assert 3 * wide + 1 <= system.parameters() < 3 * (wide + 1) + 1


def test_a_gate_that_never_routes_is_right_about_the_half_that_are_no_error_cases():
    small = functions.Systems({"function": "quartic", "hidden": 2, "n_samples": 16, "steps": 10}, seed=0)
    small.reflection.gate_ = DummyClassifier(strategy="constant", constant=0).fit(small.X, np.zeros(16, dtype=int))
    assert small.row(*functions.data(small.config, 8))["gate_right"] == 0.5


def test_shuffled_labels_keep_the_sizes_and_lose_the_places():
    x = np.r_[np.zeros(30), np.ones(20), 5 * np.ones(10)][:, None]
    found = functions.ShuffledLabels(KMeans(3, random_state=0), random_state=1).fit(x).labels_
    assert sorted(np.bincount(found)) == [10, 20, 30]
    assert len(np.unique(found[:30])) > 1


def test_the_base_is_what_the_recorded_grid_chooses(rows):
    assert functions.choose_base(rows) == functions.BASE


def test_the_choice_is_the_smallest_sum_of_distances():
    def row(hidden, name, loss):
        numbers = {f"steps_{s}": loss for s in functions.GRID["steps"]}
        return records.Row("functions", {"grid": 1, "function": name, "hidden": hidden, "n_samples": 64}, 0, numbers)

    printed = {name: float(functions.PRINTED[name][0]) for name in functions.GRID_FUNCTIONS}
    found = [row(5, name, 10 * loss) for name, loss in printed.items()] + [
        row(10, n, loss / 2) for n, loss in printed.items()
    ]
    distances = functions.grid_distances(found)
    assert distances[5, 64, 2000] == pytest.approx(3)
    assert distances[10, 64, 2000] == pytest.approx(3 * np.log10(2))
    assert functions.choose_base(found)["hidden"] == 10


def test_the_grid_starts_from_other_seeds_than_the_verdicts():
    config = {"grid": 1, "function": "linear", "hidden": 5, "n_samples": 64}
    X, y = functions.data(config, 64)
    X_test, y_test = functions.data(config, functions.TEST_SAMPLES)
    network = ReluRegressor(5, steps=2000, random_state=functions.GRID_SEED + 1).fit(X, y)
    assert functions.run(config, 1)["steps_2000"] == functions.mean_squared(network.predict(X_test), y_test)


# -- the rows --------------------------------------------------------------------------------------


def test_every_configuration_is_recorded_on_the_seeds_that_the_rules_ask_for(rows):
    seeds = {
        claim.rule["seeds"]
        for claim in claims.load().values()
        if claim.experiment == "functions" and claim.kind == "measured"
    }
    for config in functions.configurations():
        assert sum(row.config == config for row in rows) >= max(seeds)
