"""Minima, saddles and plateaus: the mathematics checked independently; the experiment, its rows and figures."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import optimize

from errref import claims, landscapes, records, shallow, smooth, stationary
from errref.experiments import traps
from errref.figures import traps as draw
from errref.smooth import Problem

IDS = [claim.id for claim in claims.load().values() if claim.chapter == "traps"]


@pytest.fixture(scope="module")
def rows():
    return records.read("traps")


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    return Problem(np.sort(rng.uniform(-1, 1, 20)), rng.normal(size=20), 1e-2)


def derivative(function, at, step=1e-6):
    """Central differences of a function at (p,), the last axis by the unknown."""
    return np.stack([(function(at + e) - function(at - e)) / (2 * step) for e in step * np.eye(len(at))], axis=-1)


# -- the tanh network --------------------------------------------------------------------------------------------------


def test_a_network_by_hand():
    weights = np.array([2.0, -1, 0.5, 0, 3, 4, 0.25])  # w = (2, -1), b = (1/2, 0), v = (3, 4), c = 1/4
    expected = 3 * np.tanh(2 * 0.3 + 0.5) + 4 * np.tanh(-0.3) + 0.25
    assert smooth.predict(weights, np.array([0.3]))[0] == pytest.approx(expected, rel=1e-15)
    loss = smooth.loss(weights, Problem(np.array([0.3]), np.array([1.0]), 0.1))
    assert loss == pytest.approx((expected - 1) ** 2 + 0.1 * np.sum(weights**2), rel=1e-15)


@pytest.mark.parametrize("hidden", [1, 2, 5])
def test_gradient_and_hessian_agree_with_differences(hidden, problem):
    many = np.array([smooth.start(np.random.default_rng(k), hidden) for k in range(3)])
    gradients, hessians = smooth.gradient(many, problem), smooth.hessian(many, problem)
    for at, gradient, hessian in zip(many, gradients, hessians, strict=True):
        np.testing.assert_allclose(gradient, derivative(lambda w: smooth.loss(w, problem), at), atol=1e-8)
        np.testing.assert_allclose(hessian, derivative(lambda w: smooth.gradient(w, problem), at), atol=1e-7)
        outputs, J = shallow.linearise(at, problem.x, "tanh")
        np.testing.assert_allclose(outputs, smooth.predict(at, problem.x), rtol=1e-14)
        np.testing.assert_allclose(J, derivative(lambda w: smooth.predict(w, problem.x), at), atol=1e-7)


def test_the_descents_end_at_minima_as_deep_as_scipys(problem):
    many = np.array([smooth.start(np.random.default_rng(k), 2) for k in range(8)])
    found = smooth.minimise(many, problem)
    assert np.linalg.norm(smooth.gradient(found, problem), axis=1).max() < 1e-8
    assert np.linalg.eigvalsh(smooth.hessian(found, problem)).min() > 0
    root = np.sqrt(problem.decay * len(problem.x))

    def residuals(at):
        return np.r_[smooth.predict(at, problem.x) - problem.y, root * at]

    theirs = [optimize.least_squares(residuals, at, method="lm").x for at in many]
    ours, theirs = np.sort(smooth.loss(found, problem)), np.sort(smooth.loss(np.array(theirs), problem))
    assert ours[0] == pytest.approx(theirs[0], rel=1e-6)


def test_a_start_does_not_depend_on_its_companions(problem):
    many = np.array([smooth.start(np.random.default_rng(k), 2) for k in range(3)])
    together = smooth.minimise(many, problem)
    for k in range(3):
        np.testing.assert_allclose(smooth.minimise(many[k : k + 1], problem)[0], together[k], atol=1e-6)


# -- stationary points -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network():
    """The problem of a recorded kind of row, and the stationary points of networks of two units on it."""
    problem = traps.network_problem(np.random.default_rng(1))
    starts = np.array([smooth.start(np.random.default_rng(k), 2) for k in range(8)])
    return problem, stationary.search(problem, starts)


def test_stationary_points_are_stationary_and_their_index_is_that_of_differences(network):
    problem, points = network
    assert {0, 1} <= {point.index for point in points}
    for point in stationary.distinct(points):
        gradient = derivative(lambda w: smooth.loss(w, problem), point.weights, 1e-5)
        assert np.abs(gradient).max() < 1e-8 and point.gradient < stationary.VANISHES
        hessian = derivative(lambda w: smooth.gradient(w, problem), point.weights)
        assert point.index == np.sum(np.linalg.eigvalsh((hessian + hessian.T) / 2) < -1e-7)
        assert point.in_use == np.sum(np.abs(point.weights) > 1e-3) > 0


def test_a_saddle_is_left_downhill_and_a_minimum_is_not_left(network):
    problem, points = network
    points = stationary.distinct(points)
    steps = stationary.escape_steps(problem, points, np.random.default_rng(0))
    steep = np.array([point.eigenvalues[0] < -0.05 for point in points])
    assert steep.any() and (steps[steep] < 3000).all()
    assert (steps[[point.index == 0 for point in points]] == 3000).all()


def test_units_that_change_places_or_signs_make_one_point():
    def point(index, loss):
        return stationary.Point(0, np.zeros(4), loss, np.r_[-np.ones(index), np.ones(4 - index)], 0.0)

    found = stationary.distinct([point(1, 0.5), point(1, 0.5 + 1e-12), point(2, 0.5), point(1, 0.6)])
    assert sorted((p.index, round(p.loss, 3)) for p in found) == [(1, 0.5), (1, 0.6), (2, 0.5)]


# -- landscapes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", landscapes.SURFACES)
def test_gradients_of_the_surfaces(name):
    surface = landscapes.SURFACES[name]
    at = np.random.default_rng(1).uniform(-1, 1, (5, 2))
    for one, gradient in zip(at, surface.gradient(at), strict=True):
        np.testing.assert_allclose(gradient, derivative(surface.loss, one), atol=1e-8)


def test_the_product_has_a_saddle_at_the_origin():
    # (u v - 1)^2 near 0 is 1 - 2 u v: curvatures -2 along u = v and 2 along u = -v
    hessian = derivative(landscapes.SURFACES["saddle"].gradient, np.zeros(2))
    np.testing.assert_allclose(np.linalg.eigvalsh(hessian), [-2, 2], atol=1e-6)


def test_the_lowest_pass_of_a_small_map():
    heights = np.array([[0, 9, 0], [5, 9, 1], [3, 2, 9]], dtype=float)
    assert landscapes.pass_height(heights, (0, 0), (2, 1)) == 5
    assert landscapes.pass_height(heights, (0, 0), (0, 2)) == 9  # cells touch along edges, not at corners
    assert landscapes.pass_height(heights, (2, 0), (2, 1)) == 3


def test_the_depth_of_a_valley_is_that_of_the_loss_along_a_line_where_there_is_no_way_round():
    # With all inputs at 0 the slope of the line does not matter, and the way from one line to the other is straight.
    y = np.r_[np.full(30, 1.0), np.full(70, -1.0)]
    height = np.linspace(-1, 1, 2001)
    ridge = landscapes.line_loss(np.stack([0 * height, height], axis=-1), np.zeros(100), y).max()
    found = landscapes.depth(np.zeros(100), y, np.array([0, 1.0]), np.array([0, -1.0]))
    assert found == pytest.approx(ridge - 0.7, abs=1e-3)
    assert landscapes.depth(np.zeros(100), y, np.array([0, 1.0]), np.array([0, 1.0])) == 0


def test_all_samples_at_once_make_no_noise():
    tilts = np.array([1.0, -1.0, 2.0, -2.0])
    assert landscapes.escape_steps(0.01, tilts, 4, 0.05, 5000, 0) == 5000
    assert landscapes.escape_steps(0.01, tilts, 1, 0.05, 5000, 0) < 5000


def test_escapes_follow_kramers_law():
    tilts = np.repeat([1.0, -1.0], 8)
    steps = np.array([landscapes.escape_steps(0.05, tilts, 1, 0.05, 200_000, seed) for seed in range(400)])
    assert (steps < 200_000).all()
    assert 1 / steps.mean() == pytest.approx(landscapes.kramers(0.05, traps.temperature(1), 0.05), rel=0.25)


def test_the_steps_of_an_escape_are_counted_from_one():
    # Without a well, two samples that tilt by 8 alike: z is 1, 0.6, 0.2, -0.2, and -0.6 < -1/2 after the fourth step.
    tilts = np.array([8.0, 8.0])
    assert landscapes.escape_steps(0.0, tilts, 1, 0.05, 100, 0) == 4
    assert landscapes.escape_steps(0.0, tilts, 1, 0.05, 3, 0) == 3


@pytest.mark.parametrize(("end", "near"), [(-0.25, False), (-0.4, True)])
def test_a_valley_is_left_within_half_a_width_of_the_lower_line(end, near):
    # The lines are y = 1/2 and y = -1/2, the width 0.3: near is below 0.15 - 0.5. All samples pull down to one height.
    x, y = np.zeros(4), np.full(4, end)
    found = landscapes.left_valley(x, y, 1.0, batch=4, runs=2, steps=400, rng=np.random.default_rng(0))
    assert found.tolist() == [near, near]


def test_steps_off_a_quadratic_saddle_are_those_of_a_loop():
    curvatures, starts = np.array([-1.0, 0.5]), np.array([[1e-3, 1.0e-3], [0.0, 1e-3]])
    found = landscapes.saddle_steps(curvatures, starts, 0.1, 500)
    x, step = starts[0], 0
    while np.sum(x**2) < 1:
        x, step = x - 0.1 * curvatures * x, step + 1
    assert found.tolist() == [step, 500]
    again = landscapes.steps_until(lambda at: np.sum(at**2, axis=1) >= 1, lambda at: curvatures * at, starts, 0.1, 500)
    assert again.tolist() == found.tolist()


def test_adam_walks_at_its_own_pace():
    def steps(slope, method):
        arrived, gradient = lambda at: at[:, 0] <= 0, lambda at: np.full_like(at, slope)
        return landscapes.steps_until(arrived, gradient, np.array([[1.0]]), 0.01, 5000, method)[0]

    assert steps(0.5, "descent") == pytest.approx(1 / (0.01 * 0.5), abs=1)
    assert steps(0.05, "descent") == pytest.approx(1 / (0.01 * 0.05), abs=1)
    assert steps(0.5, "adam") == pytest.approx(100, abs=1) and steps(0.05, "adam") == pytest.approx(100, abs=1)


@pytest.mark.parametrize(("n", "exact"), [(1, 1 / 2), (2, (2 - np.sqrt(2)) / 4)])
def test_the_share_of_positive_matrices_is_the_exact_one(n, exact):
    draws = 100_000
    found = landscapes.share_positive(n, draws, np.random.default_rng(0))
    assert abs(found - exact) < 4 * np.sqrt(exact * (1 - exact) / draws)


# -- the experiment ----------------------------------------------------------------------------------------------------


def test_targets_are_standardised_and_test_targets_have_no_noise():
    for target in ("quartic", "jump-piecewise", "teacher"):
        clean, noisy = ({"target": target, "labels": labels, "hidden": 3} for labels in ("clean", "noisy"))
        problem, x_test, y_test, teacher = traps.data(clean, np.random.default_rng(5))
        assert abs(y_test.mean()) < 1e-9 and y_test.std() == pytest.approx(1)
        assert np.interp(problem.x[1:-1], x_test, y_test) == pytest.approx(problem.y[1:-1], abs=0.5)
        assert (teacher is None) == (target != "teacher")
        other, _, same, _ = traps.data(noisy, np.random.default_rng(5))
        np.testing.assert_array_equal(same, y_test)
        assert 0.2 < np.std(other.y - problem.y) < 0.4


def test_the_teacher_fits_its_own_data():
    problem, x_test, y_test, teacher = traps.data(
        {"target": "teacher", "labels": "clean", "hidden": 3}, np.random.default_rng(7)
    )
    np.testing.assert_allclose(smooth.predict(teacher, problem.x), problem.y, atol=1e-12)
    np.testing.assert_allclose(smooth.predict(teacher, x_test), y_test, atol=1e-12)


@pytest.fixture(scope="module")
def ends():
    config = {"network": "relu", "target": "quartic", "labels": "noisy", "hidden": 10}
    found, _, _ = traps.ends(config, np.random.default_rng(3))
    return found, traps.minima_row(config, np.random.default_rng(3))


def test_the_numbers_of_a_row_of_minima_by_hand(ends):
    found, row = ends
    assert (np.diff(found["loss"]) >= 0).all() and row["ends"] == traps.STARTS
    assert row["test_of_best"] == found["test"][np.argmin(found["loss"])]
    assert row["adequate"] == np.mean(found["test"] <= 0.1)
    assert row["test_lowest"] <= row["test_median"] <= row["test_highest"]
    assert row["overfits"] == (row["test_of_best"] > 1.1 * np.median(found["test"]))
    assert row["better"] <= np.sum(found["test"] < 0.9 * row["test_of_best"])


def test_the_rank_correlation_is_that_of_distinct_ends(monkeypatch):
    loss, test = np.array([1, 1.1, 1.2, 2, 3, 4]), np.array([0.5, 0.5 + 1e-9, 0.5 - 1e-9, 0.7, 0.6, 0.9])
    found = {"loss": loss, "train": loss, "test": test}
    monkeypatch.setattr(traps, "ends", lambda *_: (found, None, None))
    row = traps.minima_row({}, np.random.default_rng(0))
    # four distinct ends: ranks 1, 2, 3, 4 of the loss and 1, 3, 2, 4 of the test error: 1 - 6 * 2 / (4 * 15)
    assert row["distinct"] == 4 and row["agreement"] == pytest.approx(0.8)


def test_a_correlation_of_what_does_not_vary_is_none():
    assert traps.correlation(np.array([1, 1, 1]), np.array([1, 2, 3])) == 0
    assert traps.correlation(np.array([1, 2, 3]), np.array([1, 4, 9])) == pytest.approx(1)


# -- rows --------------------------------------------------------------------------------------------------------------


def test_every_configuration_is_recorded_on_the_seeds_that_the_rules_ask_for(rows):
    for config in traps.configurations():
        assert {row.seed for row in rows if row.config == config} >= set(range(traps.SEEDS)), config


def test_recorded_points_are_stationary_and_shares_are_shares(rows):
    for row in rows:
        numbers = row.numbers
        assert numbers.get("gradient", 0) < 1e-10 or row.config["study"] != "saddles"
        for name in ("tiny", "best_share", "adequate", "left", "left_1", "positive", "saddles_at_end"):
            assert 0 <= numbers.get(name, 0) <= 1
        if row.config["study"] == "minima":
            assert numbers["ends"] >= 2 / 3 * traps.STARTS
            assert numbers["test_lowest"] <= numbers["test_of_best"] <= numbers["test_highest"]


def test_every_claim_of_the_chapter_has_a_rule_and_was_judged(rows):
    ledger = claims.load()
    assert len(IDS) == 11
    for name in IDS:
        verdict = claims.judge(ledger[name], rows)
        assert all(reading.n == traps.SEEDS for reading in verdict.readings), name


# -- figures -----------------------------------------------------------------------------------------------------------


def test_the_figure_of_valleys_draws_the_medians_of_the_rows(rows):
    figure = draw.valleys(rows)
    for apart, word in ((2.0, "far apart"), (1.0, "near")):
        (line,) = (line for line in figure.axes[0].lines if line.get_label() == f"lines {word}")
        medians = [
            np.median([n["depth"] for n in records.numbers_of(rows, study="valley", apart=apart, share=share)])
            for share in traps.SHARES
        ]
        np.testing.assert_array_equal(line.get_ydata(), medians)
    plt.close(figure)


def test_the_figure_of_coins_draws_coins_and_rows(rows):
    figure = draw.coins(rows)
    (ax,) = figure.axes
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), 0.5 ** np.arange(1, 6))
    drawn = [bar.lines[0].get_ydata()[0] for bar in ax.containers]
    expected = [np.mean([n["positive"] for n in records.numbers_of(rows, study="gaussian", n=k)]) for k in range(1, 6)]
    np.testing.assert_allclose(drawn, expected)
    plt.close(figure)


def test_escapes_are_pooled_over_rows_with_an_exact_interval():
    # 30 of 50 in 1,000 steps, 20 of 50 in 4,000, none in 50 runs of 20,000
    some = [{"left": 0.6, "rate": 30 / 1000}, {"left": 0.4, "rate": 20 / 4000}]
    rate, low, high = draw.pooled_rate(some)
    assert rate == pytest.approx(50 / 5000)
    assert (low, high) == pytest.approx((37.11 / 5000, 65.92 / 5000), rel=1e-3)  # tables of the Poisson distribution
    none = draw.pooled_rate([{"left": 0.0, "rate": 0.0}])
    assert none == pytest.approx((0, 0, 3.689 / 1e6), rel=1e-3)


def test_the_figure_of_typical_ends_has_a_dot_for_each_data_set(rows):
    config = {"network": "relu", "target": "quartic", "labels": "clean", "hidden": 10}
    figure = draw.typical(rows, {"one": config})
    drawn = figure.axes[0].lines[0].get_xdata()
    numbers = records.numbers_of(rows, study="minima", **config)
    np.testing.assert_array_equal(drawn, [n["test_median"] / n["test_of_best"] for n in numbers])
    plt.close(figure)


def test_every_figure_has_labelled_axes(rows, ends):
    problem, _, _, _ = traps.data({"target": "quartic", "labels": "noisy", "hidden": 10}, np.random.default_rng(3))
    ramp = {"ramp": {"study": "ramp", "extent": 4.0, "slope": 0.1}}
    point = stationary.Point(0, np.ones(4), 0.5, np.array([-1.0, 1, 1, 1]), 0.0)
    made = [draw.surfaces(starts=2, steps=20), draw.fits(ends[0], problem), draw.valleys(rows), draw.escapes(rows)]
    surface = landscapes.SURFACES["plateau"]
    made += [
        draw.ball(surface, landscapes.descend(surface.gradient, np.ones(2), 0.05, 20)),
        draw.index([point]),
        draw.leaving(rows),
        draw.plateaus(rows),
        draw.waiting(rows, ramp),
    ]
    for figure in made:
        assert figure.axes[-1].get_xlabel() and figure.get_size_inches()[0] <= 7.2
        assert all(not ax.get_title() for ax in figure.axes)
        plt.close(figure)
