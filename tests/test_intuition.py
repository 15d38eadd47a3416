"""The toy of sections 2 and 3: what must hold of its steps, of the derived claims, of the estimator and of the rows."""

import itertools
import math
from fractions import Fraction

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state

from errref import claims, records
from errref.datasets import toy
from errref.experiments import intuition
from errref.experiments.intuition import (
    GAP,
    LITERAL,
    LOSSES,
    FloorReluRegressor,
    Step,
    barrier,
    global_minima,
    local_minima,
    mean_pull,
    model,
    pull,
    step_at,
    steps,
)
from errref.figures import intuition as draw

IDS = ("toy-local-minimum", "toy-basin", "toy-global-minimum", "toy-barrier", "toy-escape", "toy-gradient")
SEEDS = 30


def exact_loss(X, y, b, loss):
    """The loss at one b in rational numbers, by the definition of the model and nothing else."""
    total = Fraction(0)
    for x, target in zip(np.ravel(X), y, strict=True):
        residual = Fraction(math.floor(max(Fraction(x) - b, Fraction(0)))) - Fraction(target)
        total += {"squared": residual**2, "absolute": abs(residual), "zero-one": Fraction(residual != 0)}[loss]
    return total


def every_b(X, first):
    """All numbers x - m right of ``first``, the points between them, and one beyond the last."""
    ends = {Fraction(x) - m for x in np.ravel(X) for m in range(1, 200) if Fraction(x) - m > first}
    ordered = [Fraction(first), *sorted(ends), max(ends) + 1]
    return sorted({*ordered, *((a + b) / 2 for a, b in itertools.pairwise(ordered))})


def with_copies(n):
    """The toy with x = 1 taken n times."""
    X, y = toy()
    return np.vstack([X, np.ones((n - 1, 1))]), np.append(y, np.ones(n - 1))


def holds(readings):
    return [r["holds"] for r in readings]


# -- data and model ----------------------------------------------------------------------------------------------------


def test_the_toy_has_the_targets_of_section_2():
    X, y = toy((-1, 0, -0.5))
    assert X[:, 0].tolist() == [-1, -0.5, 0, 1, 4, 4.5]
    assert y.tolist() == [0, 0, 0, 1, 1, 1]


def test_the_toy_refuses_a_zero_where_the_target_is_one():
    with pytest.raises(ValueError, match="zeros must lie below 1, and the largest is 1"):
        toy((0, 1))


@pytest.mark.parametrize(
    ("x", "b", "value"),
    [(1, 0, 1), (1, 0.25, 0), (4, 3, 1), (4, 2, 2), (4.5, -1.2, 5), (4.5, 3, 1), (4.5, 3.75, 0), (-3, -1.2, 0)],
)
def test_the_model_by_hand(x, b, value):
    assert model(x, b) == value  # floor(1 - 0) = 1, floor(0.75) = 0, floor(4 - 3) = 1, ..., floor(5.7) = 5, ...


# -- steps -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("zeros", [LITERAL[0], LITERAL[3][:9], GAP[-7:], ()])
def test_steps_equal_brute_force_in_rational_numbers(zeros, loss):
    X, y = toy(zeros)
    found = steps(X, y, loss)
    for b in every_b(X, Fraction(found[0].high)):
        assert step_at(found, b).loss == exact_loss(X, y, b, loss)


@pytest.mark.parametrize("loss", LOSSES)
def test_steps_equal_brute_force_on_random_samples(loss):
    rng = np.random.default_rng(0)
    for _ in range(8):
        x, y = rng.integers(-12, 12, 5) / 4, rng.integers(-1, 4, 5)
        found = steps(x, y, loss)
        for b in every_b(x, Fraction(found[0].high)):
            assert step_at(found, b).loss == exact_loss(x, y, b, loss)


@pytest.mark.parametrize("loss", LOSSES)
def test_steps_cover_the_line_without_equal_neighbours_and_rise_to_the_left(loss):
    X, y = toy()
    found = steps(X, y, loss)
    assert found[0].low == -math.inf and found[-1].high == math.inf
    for left, right in itertools.pairwise(found):
        assert left.high == right.low and left.loss != right.loss
    beyond = [exact_loss(X, y, Fraction(found[0].high) - k, loss) for k in range(6)]
    assert beyond == sorted(beyond) and beyond[0] == found[0].loss


def test_losses_by_hand():
    # b in      f(1) f(4) f(4.5)   errors    squared        absolute   zero-one      (f(x) = 0 for x <= 0 where b > -1)
    # (-1,-1/2]   1    4    5      0, 3, 4   0+9+16 = 25     7          2
    # (-1/2, 0]   1    4    4      0, 3, 3   0+9+9  = 18     6          2
    # (0, 1/2]    0    3    4     -1, 2, 3   1+4+9  = 14     6          3
    # (1/2, 1]    0    3    3     -1, 2, 2   1+4+4  =  9     5          3
    # (1, 3/2]    0    2    3     -1, 1, 2   1+1+4  =  6     4          3
    # (3/2, 2]    0    2    2     -1, 1, 1   1+1+1  =  3     3          3
    # (2, 5/2]    0    1    2     -1, 0, 1   1+0+1  =  2     2          2
    # (5/2, 3]    0    1    1     -1, 0, 0   1+0+0  =  1     1          1
    # (3, 7/2]    0    0    1     -1,-1, 0   1+1+0  =  2     2          2
    # (7/2, oo)   0    0    0     -1,-1,-1   1+1+1  =  3     3          3
    by_hand = {
        "squared": [25, 18, 14, 9, 6, 3, 2, 1, 2, 3],
        "absolute": [7, 6, 6, 5, 4, 3, 2, 1, 2, 3],
        "zero-one": [2, 2, 3, 3, 3, 3, 2, 1, 2, 3],
    }
    for loss, values in by_hand.items():
        found = steps(*toy(), loss)
        assert [step_at(found, k / 2 - 0.5).loss for k in range(9)] + [found[-1].loss] == values
        assert [step_at(found, k / 2 - 0.75).loss for k in range(10)] == values


def test_the_right_end_belongs_to_a_step_and_the_left_end_does_not():
    found = steps(*toy(), "zero-one")
    trap = step_at(found, 0)
    assert (trap.low, trap.high) == (-1, 0)
    assert 0 in trap and -1 not in trap  # f_0(1) = 1 is right; f_-1(0) = 1 is wrong
    assert str(trap) == "(-1, 0]" and str(found[-1]) == "(3.5, inf)"


def test_minima_by_hand():
    best, trap = Step(2.5, 3, 1), Step(-1, 0, 2)
    for loss in LOSSES:
        assert global_minima(steps(*toy(), loss)) == [best]
    assert local_minima(steps(*toy(), "zero-one")) == [trap, best]
    assert local_minima(steps(*toy(), "squared")) == local_minima(steps(*toy(), "absolute")) == [best]


def test_equally_low_steps_are_all_global_minima():
    found = [Step(-math.inf, 0, 2), Step(0, 1, 1), Step(1, 2, 3), Step(2, math.inf, 1)]
    assert global_minima(found) == [found[1], found[3]] == local_minima(found)


def test_barrier_by_hand():
    found = steps(*toy(), "zero-one")
    assert barrier(found, step_at(found, 0), 1) == Step(0, 2, 3)  # from 2 to 3: height 1, width 2
    assert barrier(found, step_at(found, 0), -1) == Step(-math.inf, -1, 6)  # six of six samples wrong far left
    assert barrier(found, step_at(found, 2.5), -1) == Step(0, 2, 3)  # seen from (2, 2.5], it is the same one
    squared = steps(*toy(), "squared")
    assert barrier(squared, step_at(squared, 0), 1) is None  # 14 follows 18


def test_samples_left_of_zero_change_nothing_right_of_minus_one():
    for loss in LOSSES:
        right = [[s for s in steps(*toy(zeros), loss) if s.low >= -1] for zeros in (*LITERAL, ())]
        assert all(other == right[0] for other in right)


@pytest.mark.parametrize(("loss", "copies"), [("squared", 6), ("absolute", 2), ("zero-one", 1)])
def test_how_many_copies_of_x_1_make_the_minimum(loss, copies):
    # squared: right of 0 stand n + 4 + 9, left 9 + 9, so n > 5; absolute: n + 2 + 3 > 6; zero-one: n + 2 > 2
    for n in range(1, 9):
        found = steps(*with_copies(n), loss)
        assert (step_at(found, 0) in local_minima(found)) == (n >= copies)


# -- pulls -------------------------------------------------------------------------------------------------------------


def test_pull_by_hand():
    X, y = toy()
    # b = 1/4: f = 0, 3, 4 at x = 1, 4, 4.5, errors -1, 2, 3; squared: 2 * error; absolute: its sign; x <= 0 is inactive
    assert pull(X, y, 0.25, "squared").tolist() == [0, 0, 0, -2, 4, 6]
    assert pull(X, y, 0.25, "absolute").tolist() == [0, 0, 0, -1, 1, 1]
    # b = 2: x = 1 is wrong by -1, and inactive since 1 < b
    assert pull(X, y, 2.0, "squared").tolist() == [0, 0, 0, 0, 2, 2]


def test_pull_is_the_slope_of_the_loss_when_the_model_has_no_floor():
    # inputs b + k have a floor of k, and next to them floor(x - b) + (x - b - k) is the identity: slope 2 * error
    x, y, b, h = np.array([2.5]), np.array([1.0]), 0.5, 1e-6
    identity = [(x - (b + e) - y) ** 2 for e in (h, -h)]
    assert pull(x, y, b, "squared") == pytest.approx(-(identity[0] - identity[1]) / (2 * h))


def test_mean_pull_is_minus_the_slope_of_the_averaged_loss():
    X, y = toy()
    # zero-one at b = 1/8: the loss at 5/8 is 3 and at -3/8 is 2, so -(3 - 2) / 1 = -1; squared: -(9 - 18) = 9
    assert mean_pull(X, y, 0.125, "zero-one", 0.5).sum() == -1
    assert mean_pull(X, y, 0.125, "squared", 0.5).sum() == 9
    assert mean_pull(X, y, 0.125, "squared", 1 / 16).sum() == 0  # inside one step


# -- derived claims ----------------------------------------------------------------------------------------------------


def test_derived_readings():
    assert holds(intuition.toy_local_minimum()) == [False, False, True, True]
    assert holds(intuition.toy_basin()) == [True, False, False, True, False]
    assert holds(intuition.toy_global_minimum()) == [True] * 4
    assert holds(intuition.toy_barrier()) == [False, False, True, True]
    assert holds(intuition.toy_gradient()) == [False] * 8 + [True]


def test_derived_values_say_what_was_found():
    assert intuition.toy_local_minimum()[0]["value"] == "18 on (-0.5, 0], between 25 and 14"
    assert intuition.toy_basin()[0]["value"] == "x = 4 is right on (2, 3] only, x = 4.5 is right on (2.5, 3.5] only"
    assert intuition.toy_global_minimum()[0]["value"] == "1 on (2.5, 3]"
    assert [r["value"] for r in intuition.toy_barrier()][1:3] == [
        "none to the right of (-0.5, 0.5]",
        "1 high on (0, 2]",
    ]
    assert intuition.toy_gradient()[3]["value"] == "+20 at b = -1.125, +8 at b = 0.125"


def test_no_reading_depends_on_the_choice_of_samples(monkeypatch):
    names = ["toy_local_minimum", "toy_basin", "toy_global_minimum", "toy_barrier", "toy_gradient"]
    want = {name: holds(getattr(intuition, name)()) for name in names}
    for zeros in LITERAL:
        monkeypatch.setattr(intuition, "LITERAL", (zeros,))
        monkeypatch.setattr(
            intuition,
            "READINGS",
            {n: (k, (zeros,) if of is LITERAL else of) for n, (k, of) in intuition.READINGS.items()},
        )
        assert {name: holds(getattr(intuition, name)()) for name in names} == want


def test_verdicts_turn_when_the_data_do(monkeypatch):
    monkeypatch.setattr(intuition, "toy", lambda zeros: with_copies(6))
    assert holds(intuition.toy_local_minimum()) == [True] * 4
    assert holds(intuition.toy_barrier()) == [True] * 4
    assert holds(intuition.toy_gradient())[3] is True  # 6 * (-1) + 2 + 3 < 0
    monkeypatch.setattr(intuition, "toy", lambda zeros: (np.array([[0.0], [4.0], [4.5]]), np.array([0, 1, 1])))
    assert holds(intuition.toy_local_minimum()) == [False] * 4  # without x = 1 nothing is lost by leaving
    monkeypatch.setattr(intuition, "toy", lambda zeros: (np.array([[0.0], [1.0]]), np.array([0, 1])))
    assert holds(intuition.toy_global_minimum()) == [False] * 4  # now b in (-1, 0] fits everything
    monkeypatch.setattr(intuition, "toy", lambda zeros: (np.array([[0.0], [0.5]]), np.array([0, 1])))
    assert holds(intuition.toy_basin())[1:] == [False] * 4  # the minimum (-1, -0.5] is a part of (-1, 0) only


# -- estimator ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "start", "b"),
    [
        ("zero-one", -0.3, -0.5),  # on the step (-1, 0] already
        ("zero-one", -2.2, -0.5),  # downhill to the right
        ("zero-one", 0.99, -0.5),  # on the barrier (0, 2], nearer to its left end
        ("zero-one", 1.01, 2.75),  # nearer to its right end
        ("zero-one", 9.0, 2.75),
        ("squared", -0.3, 2.75),
        ("absolute", -2.2, 2.75),
    ],
)
def test_descent_ends_in_the_local_minimum_by_hand(loss, start, b):
    network = FloorReluRegressor(loss=loss, start=(start, start)).fit(*toy())
    assert network.b_ == b


@pytest.mark.parametrize("loss", LOSSES)
def test_global_search_finds_the_global_minimum_from_the_trap(loss):
    assert FloorReluRegressor(loss=loss, search="global", start=(-0.5, -0.5)).fit(*toy()).b_ == 2.75


def test_the_estimator_is_a_good_citizen():
    X, y = toy()
    network = FloorReluRegressor(loss="absolute", start=(-1, 3), random_state=3)
    assert clone(network).get_params() == network.get_params()
    ends = [FloorReluRegressor(random_state=seed).fit(X, y).b_ for seed in range(20)]
    assert ends == [FloorReluRegressor(random_state=seed).fit(X, y).b_ for seed in range(20)]
    assert set(ends) == {-0.5, 2.75}
    assert network.fit(X, y).predict(X).tolist() == model(X[:, 0], network.b_).tolist()
    assert network.n_features_in_ == 1


@pytest.mark.parametrize("targets", [[0, 0, 0], [0.5, 0.5, 0.5], [9, 9, 9], [-1, -1, -1]])
def test_the_estimator_stays_finite_where_a_step_has_no_end(targets):
    X = np.array([[0.0], [1.0], [2.0]])
    for loss in LOSSES:
        network = FloorReluRegressor(loss=loss, random_state=0).fit(X, targets)
        assert np.isfinite(network.b_) and np.isfinite(network.predict(X)).all()
        if targets[0] == 0:
            assert network.predict(X).tolist() == targets


@pytest.mark.parametrize(
    ("network", "X", "sentence"),
    [
        (FloorReluRegressor(), np.zeros((6, 2)), "X has 2 columns; the toy's network has one input"),
        (FloorReluRegressor(loss="hinge"), None, "loss='hinge' is not one of 'squared', 'absolute', 'zero-one'"),
        (FloorReluRegressor(search="random"), None, "search='random' is not one of 'local', 'global'"),
        (FloorReluRegressor(), np.full((6, 1), np.nan), "NaN"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(network, X, sentence):
    with pytest.raises(ValueError, match=sentence):
        network.fit(toy()[0] if X is None else X, toy()[1])


def test_predicting_needs_a_fit():
    with pytest.raises(NotFittedError):
        FloorReluRegressor().predict(toy()[0])


# -- rows --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows():
    return records.read("intuition")


def test_the_printed_second_piece_by_hand():
    # floor(max(4 - 4, 0)) = 0 = floor(max(4.5 - 4, 0)), and both targets are 1; with b = 3 both are floor(1.x) = 1
    x = [-1, 0, 1, 4, 4.5]
    assert intuition.pieces(x, 4).tolist() == [0, 0, 1, 0, 0]
    assert intuition.pieces(x, 3).tolist() == [0, 0, 1, 1, 1]
    row = intuition.run({"answer": "pieces", "b": 4.0}, 0)
    assert row["before"] == row["after"] == 7 / 9 and row["perfect"] == 0
    assert row["domain"] == 42 / 44


def test_the_trap_catches_the_starts_below_one(rows):
    config = {"answer": "method", "loss": "zero-one", "start": "random", "gate": "nearest"}
    low, high = intuition.STARTS["random"]
    chosen = [row for row in rows if row.config == config]
    assert len(chosen) == SEEDS
    for row in chosen:
        assert row.numbers["trapped"] == (check_random_state(row.seed).uniform(low, high) < 1)


def test_only_the_zero_one_loss_traps(rows):
    trapped = {loss: {r.numbers["trapped"] for r in rows if r.config.get("loss") == loss} for loss in LOSSES}
    assert trapped["squared"] == trapped["absolute"] == {0} and trapped["zero-one"] == {0, 1}


def test_every_configuration_is_recorded_for_every_seed(rows):
    want = {(seed, str(sorted(c.items()))) for seed in range(SEEDS) for c in intuition.configurations()}
    assert {(row.seed, str(sorted(row.config.items()))) for row in rows} >= want


def test_recorded_rows_reproduce(rows):
    for row in rows:
        if row.seed in (0, SEEDS - 1):
            assert intuition.run(row.config, row.seed) == row.numbers, (row.config, row.seed)


def test_a_row_is_flat_and_plain():
    for config in intuition.configurations():
        assert {type(value) for value in intuition.run(config, 99).values()} <= {int, float}


# -- ledger ------------------------------------------------------------------------------------------------------------


def test_the_verdicts_on_the_recorded_rows(rows):
    ledger = claims.load()
    words = {name: claims.judge(ledger[name], rows).word for name in IDS}
    assert words == dict.fromkeys(IDS, "partly") | {"toy-global-minimum": "reproduced"}
    escape = claims.judge(ledger["toy-escape"], rows)
    assert [reading.holds for reading in escape.readings] == [False, True, True, True, True, False]


@pytest.mark.parametrize(
    ("perfect", "seeds", "word"), [(1, 30, "reproduced"), (0, 30, "not reproduced"), (1, 29, "open")]
)
def test_rows_drive_the_rule_of_escape_to_every_verdict(perfect, seeds, word):
    made = [
        records.Row("intuition", config, seed, {"perfect": perfect})
        for config in intuition.configurations()
        for seed in range(seeds)
    ]
    assert claims.judge(claims.load()["toy-escape"], made).word == word


def test_one_failure_in_thirty_leaves_escape_undecided():
    made = [
        records.Row("intuition", config, seed, {"perfect": int(seed > 0)})
        for config in intuition.configurations()
        for seed in range(30)
    ]
    assert claims.judge(claims.load()["toy-escape"], made).word == "open"


# -- figures -----------------------------------------------------------------------------------------------------------


def test_figures_draw_the_steps_that_were_found():
    X, y = toy()
    figure = draw.figure_1(X, y)
    drawn = {patch.get_label(): patch.get_data().values.tolist() for patch in figure.axes[1].patches}
    for loss in LOSSES:
        seen = [s.loss for s in steps(X, y, loss) if s.high > draw.B_RANGE[0] and s.low < draw.B_RANGE[1]]
        assert drawn[loss] == seen
    plt.close(figure)


def test_every_figure_has_labelled_axes():
    X, y = toy()
    config = {"answer": "method", "loss": "zero-one", "start": "trap", "gate": "nearest"}
    fitted = intuition.reflection(config, 0).fit(X, y)
    groups = {"x = 1": [1], "x = 4 and 4.5": [4, 4.5]}
    made = [draw.trapped(X, y, 0), draw.figure_1(X, y), draw.at_one_place(X, y, 0), draw.pulls(X, y, groups)]
    made += [draw.two_pieces(X, y, 4, fitted)]
    for figure in made:
        assert isinstance(figure, Figure)
        assert figure.axes[-1].get_xlabel()  # panels above each other may share it
        assert all(ax.get_ylabel() and not ax.get_title() for ax in figure.axes)
        assert figure.get_size_inches()[0] <= 7.2
        plt.close(figure)
