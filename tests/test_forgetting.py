"""The chapter on forgetting: its mathematics, its parts on small examples, the recorded rows, and its figures."""

import math
from fractions import Fraction
from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from scipy.optimize import approx_fprime

from errref import claims, datasets, descent, exact, records, shallow
from errref.datasets import available
from errref.experiments import forgetting, optimisers
from errref.figures import forgetting as draw
from errref.networks import ConvClassifier, loss_gradient

SEED = 1000  # no recorded row has it
CLAIMS = [c for c in claims.load().values() if c.chapter == "forgetting" and c.kind == "measured"]
without_images = pytest.mark.skipif(available("fashion-mnist") is None, reason="Fashion-MNIST is not here: `make data`")


@pytest.fixture(scope="module")
def rows():
    return records.read("forgetting")


def network(activation, hidden=3, seed=0):
    """Weights, and inputs that are no breakpoints."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=3 * hidden + 1), np.sort(rng.uniform(-1, 1, 30)), rng.normal(size=30)


# -- the update rule ---------------------------------------------------------------------------------------------------


def test_the_printed_step_goes_uphill_and_the_other_sign_downhill():
    (reading,) = forgetting.forget_update()
    assert not reading["holds"] and "from 1 to 36/25" in reading["value"]  # (1 + 2/10)^2
    assert (1 - Fraction(2, 10)) ** 2 == Fraction(16, 25) < 1


# -- the optimisers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", shallow.ACTIVATIONS)
def test_gradient_and_jacobian_are_those_of_finite_differences(activation):
    theta, x, y = network(activation)
    loss, gradient = descent.loss_and_gradient(theta, x, y, activation)
    residuals = descent.residuals(theta, x, y, activation)
    assert loss == pytest.approx(np.mean(residuals**2))
    differences = approx_fprime(theta, lambda t: np.mean(descent.residuals(t, x, y, activation) ** 2), 1e-7)
    np.testing.assert_allclose(gradient, differences, atol=1e-5)
    jacobian = descent.jacobian(theta, x, y, activation)
    np.testing.assert_allclose(2 * jacobian.T @ residuals / len(x), gradient, atol=1e-12)
    np.testing.assert_allclose(jacobian, approx_fprime(theta, descent.residuals, 1e-7, x, y, activation), atol=1e-5)


def test_the_compiled_adam_is_that_of_the_exact_trainer(monkeypatch):
    theta, x, y = network("relu", seed=1)
    monkeypatch.setattr(descent, "STEPS", 300)
    mine, steps = descent.OPTIMISERS["adam"](theta, x, y, "relu", 0.0, None)
    theirs, _ = exact.train(exact.prepare(x, y), theta, 300, descent.RATES["adam"])
    np.testing.assert_allclose(mine, theirs, atol=1e-9)
    assert steps == 300


def test_a_step_of_gradient_descent_by_hand(monkeypatch):
    theta, x, y = network("tanh", seed=2)
    monkeypatch.setattr(descent, "STEPS", 1)
    after, _ = descent.OPTIMISERS["gd"](theta, x, y, "tanh", 0.0, None)
    _, gradient = descent.loss_and_gradient(theta, x, y, "tanh")
    np.testing.assert_allclose(after, theta - descent.RATES["gd"] * gradient, atol=1e-14)


@pytest.mark.parametrize("name", descent.OPTIMISERS)
def test_an_optimiser_stops_below_its_target_and_leaves_its_start_alone(name):
    x, y, starts = optimisers.problem("tanh", 2, SEED)
    before, rng = starts[0].copy(), np.random.default_rng(0)
    target = 0.5 * descent.loss_and_gradient(before, x, y, "tanh")[0]
    end, work = descent.OPTIMISERS[name](starts[0], x, y, "tanh", target, rng)
    assert descent.loss_and_gradient(end, x, y, "tanh")[0] < target and 0 < work < descent.STEPS
    np.testing.assert_array_equal(starts[0], before)


@pytest.mark.parametrize("activation", shallow.ACTIVATIONS)
def test_a_student_that_starts_as_its_teacher_has_found_the_minimum(activation, monkeypatch):
    rng = np.random.default_rng([shallow.ACTIVATIONS.index(activation), 3, SEED])
    teacher = optimisers.draw(rng, activation, 3)
    x, y, _ = optimisers.problem(activation, 3, SEED)
    assert descent.loss_and_gradient(teacher, x, y, activation)[0] < 1e-25
    monkeypatch.setattr(optimisers, "problem", lambda *_: (x, y, [teacher] * optimisers.RESTARTS))
    row = optimisers.starts(activation, 3, SEED)
    assert all(row[f"found_{name}"] == 1 and row[f"trapped_{name}"] == 0 for name in descent.OPTIMISERS)
    assert (row["missed"], row["restarts"]) == (0, 1)


def test_students_without_active_units_are_trapped_and_stay(monkeypatch):
    # relu(-x - 2) = 0 on the whole domain: only the output bias can move, and the best constant leaves the variance
    x, y, _ = optimisers.problem("relu", 2, SEED)
    dead = np.array([-1.0, -1, -2, -2, 1, 1, 0])
    monkeypatch.setattr(optimisers, "problem", lambda *_: (x, y, [dead] * optimisers.RESTARTS))
    row = optimisers.starts("relu", 2, SEED)
    assert all(row[f"trapped_{n}"] == row[f"stayed_{n}"] == 1 and row[f"found_{n}"] == 0 for n in descent.OPTIMISERS)
    assert (row["missed"], row["restarts"]) == (1, optimisers.RESTARTS)
    end = descent.OPTIMISERS["lbfgs"](dead, x, y, "relu", 0.0, None)[0]
    assert descent.loss_and_gradient(end, x, y, "relu")[0] == pytest.approx(y.var())


# -- who pushes --------------------------------------------------------------------------------------------------------


def test_the_two_parts_sum_to_the_gradient_and_are_those_of_finite_differences():
    theta, x, y = network("relu", seed=3)
    cases = np.arange(len(x)) % 3 == 0
    own, others = forgetting.parts_of_gradient(theta, x, y, cases)
    np.testing.assert_allclose(own + others, exact.gradient(exact.prepare(x, y), theta)[1], atol=1e-14)

    def part(t):
        return np.sum(descent.residuals(t, x, y, "relu")[cases] ** 2) / len(x)

    np.testing.assert_allclose(own, approx_fprime(theta, part, 1e-7), atol=1e-5)


def test_balance_by_hand():
    same = forgetting.balance(np.array([3.0, 4]), np.array([-3.0, -4]))
    assert same == pytest.approx({"cosine": -1, "cancelled": 1, "norm": 5, "sum": 0})
    half = forgetting.balance(np.array([2.0, 0]), np.array([-1.0, 1]))
    assert half == pytest.approx({"cosine": -math.sqrt(0.5), "cancelled": 0.5, "norm": 2, "sum": math.sqrt(2)})


def test_error_cases_are_the_worst_half():
    theta, x, y = network("relu", seed=4)
    cases, size = forgetting.error_cases(theta, x, y), np.abs(descent.residuals(theta, x, y, "relu"))
    assert cases.sum() == len(x) // 2 and size[cases].min() >= size[~cases].max()


def test_the_general_network_is_that_of_the_function_table():
    system = forgetting.trained("quartic", SEED)[50_000]
    X, y = forgetting.data({"function": "quartic"}, 256)
    plain = optimisers.ReluRegressor(10, steps=50_000, random_state=SEED).fit(X, y)
    np.testing.assert_allclose(descent.residuals(system, X[:, 0], 0 * y, "relu"), plain.predict(X), atol=1e-12)


@pytest.mark.parametrize("target", ["cubic", "jump-piecewise"])
def test_a_standstill_is_one(target):
    x, y = forgetting.samples_of(target)
    samples, end = exact.prepare(x, y), forgetting.trained(target, SEED)["end"]
    value, gradient = exact.gradient(samples, end)
    longer, _ = exact.train(samples, end, 100_000, 1e-6)
    assert exact.gradient(samples, longer)[0] > 0.999 * value
    assert value <= exact.gradient(samples, forgetting.trained(target, SEED)[50_000])[0]
    assert target != "cubic" or np.linalg.norm(gradient) < 1e-6


def test_any_cases_cancel_at_a_stationary_point():
    x, y = forgetting.samples_of("cubic")
    end = forgetting.trained("cubic", SEED)["end"]
    for seed in range(5):
        cases = np.random.default_rng(seed).random(len(x)) < 0.1 + 0.2 * seed
        assert forgetting.balance(*forgetting.parts_of_gradient(end, x, y, cases))["cosine"] < -0.999


def test_the_gradient_of_images_is_that_of_finite_differences(one_thread):
    rng = np.random.default_rng(0)
    X, y = rng.uniform(0, 255, (24, 64)).astype(np.uint8), np.arange(24) % 3
    model = ConvClassifier(width=2, epochs=1, min_steps=5, batch_size=8, random_state=0).fit(X, y)
    total = loss_gradient(model, X, y)
    np.testing.assert_allclose(
        loss_gradient(model, X[:9], y[:9]) + loss_gradient(model, X[9:], y[9:]), total, rtol=1e-3
    )

    def summed():
        return -np.log(model.predict_proba(X)[np.arange(24), y]).sum()

    bias = list(model.module_.parameters())[-1].detach()
    for k in range(3):
        bias[k] += 1e-2
        up = summed()
        bias[k] -= 2e-2
        down = summed()
        bias[k] += 1e-2
        assert total[k - 3] == pytest.approx((up - down) / 2e-2, abs=1e-2)


# -- who is forgotten, which pattern wins ------------------------------------------------------------------------------


def test_what_is_lost_of_a_gain_by_hand(monkeypatch):
    """With a network that answers a constant c, all is by hand: targets 0, 0, 1 and 2; at home c = 3/4."""
    x, y = np.arange(4.0), np.array([0.0, 0, 1, 2])
    home, error = np.array([0.0, 0, 0, 0.75]), np.array([False, False, False, True])
    monkeypatch.setattr(forgetting, "samples_of", lambda _: (x, y))
    monkeypatch.setattr(forgetting, "trained", lambda *_: {"end": home})
    monkeypatch.setattr(forgetting, "error_cases", lambda *_: error)
    monkeypatch.setattr(
        forgetting.exact, "train", lambda samples, weights, steps, rate: (weights + [0, 0, 0, 0.25], [])
    )
    monkeypatch.setattr(forgetting, "standstill", lambda samples, weights: weights - [0, 0, 0, 0.125])
    row = forgetting.recover("any", SEED)
    # the error case's loss: 25/16 at home, 1 at c = 1, (9/8)^2 = 81/64 at c = 7/8
    assert row["gain_errors_10"] == pytest.approx(9 / 25)
    assert row["lost_errors_10"] == pytest.approx((81 / 64 - 1) / (9 / 16))
    assert row["way_errors_10"] == pytest.approx(0.5)
    assert (row["back_errors_10"], row["lower_errors_10"]) == (0, 0)  # 45/64 there, 44/64 at home
    assert row["lost_errors_10_after_10"] == pytest.approx(-(1 - 9 / 16) / (9 / 16))  # c = 5/4: better still


@pytest.mark.parametrize("share", forgetting.SHARES)
def test_the_patterns_have_their_shares(share):
    samples, parts = forgetting.patterns_of("regions", share)
    assert len(samples.x) - 2 == 256 == sum(len(x) for x, _ in parts.values())
    assert len(parts["cubic"][0]) == pytest.approx(share * 256, abs=0.5)
    assert parts["cubic"][0].max() < 0 < parts["quartic"][0].min()
    samples, parts = forgetting.patterns_of("conflict", share)
    x, answer = parts["cubic"][0], np.zeros(31)
    answer[-1] = 0.3  # a constant: the loss is the weighted mean of both patterns' losses
    losses = [np.mean((0.3 - y) ** 2) for _, y in parts.values()]
    assert exact.gradient(samples, answer)[0] == pytest.approx(share * losses[0] + (1 - share) * losses[1])
    assert len(x) == 256


@pytest.mark.parametrize("share", [0.1, 0.75])
def test_in_a_conflict_no_answer_is_better_than_the_weighted_mean(share):
    # p (f - c)^2 + (1 - p) (f - q)^2 is least at f = p c + (1 - p) q, where it is p (1 - p) (c - q)^2
    row = forgetting.patterns("conflict", share, SEED)
    cubic, quartic = (datasets.FUNCTIONS[name](datasets.even(256)) for name in ("cubic", "quartic"))
    total = share * row["cubic"] * cubic.var() + (1 - share) * row["quartic"] * quartic.var()
    assert total > share * (1 - share) * np.mean((cubic - quartic) ** 2)
    assert row["larger_is_better"] == int((row["cubic"] < row["quartic"]) == (share > 0.5))


def test_forgetting_events_by_hand(monkeypatch):
    # rows: epochs; columns: images; wrong = 1. Image 0 is learnt, 1 never, 2 and 3 are forgotten at the end, 4 once.
    wrong = np.array([[1, 1, 0, 1, 0], [1, 1, 0, 0, 1], [0, 1, 0, 1, 0], [0, 1, 1, 1, 0]], dtype=bool)
    other = np.array([[0, 1, 0, 1, 0]], dtype=bool)
    found = {7: (SimpleNamespace(stage=lambda epoch: epoch), wrong), 8: (SimpleNamespace(), other)}
    monkeypatch.setattr(forgetting, "EPOCHS", {3: "3", 4: "end"})
    monkeypatch.setattr(forgetting, "training_images", lambda n: (np.arange(5.0), np.arange(5)))
    monkeypatch.setattr(forgetting, "wrong_after", lambda n, seed: found[seed])
    monkeypatch.setattr(forgetting, "loss_gradient", lambda epoch, X, y: np.array([X.sum(), epoch / 4]))
    row = forgetting.images(5, 7)
    assert row["errors"] == pytest.approx(3 / 5) and row["forgotten"] == pytest.approx(2 / 3)
    assert row["events"] == pytest.approx(3 / 5) and row["ever_forgotten"] == pytest.approx(3 / 5)
    # against (0, 1, 0, 1, 0): 4 of 5 agree, 3/5 * 2/5 + 2/5 * 3/5 = 12/25 by chance
    assert row["kappa_seeds"] == pytest.approx((4 / 5 - 12 / 25) / (1 - 12 / 25))
    # the gradients here are (sum of the images' numbers, 1) / 5: errors 1 + 2 + 3, the others 0 + 4
    assert row["errors_cancelled_end"] == pytest.approx(-(6 * 4 + 1) / (6**2 + 1))
    assert row["errors_sum_end"] == row["random_sum_end"] == pytest.approx(math.hypot(10, 2) / 5)
    # after epoch 3 image 2 is not yet wrong again: errors 1 + 3, the others 0 + 2 + 4; both second parts are 3/4
    assert row["errors_cancelled_3"] == pytest.approx(-(4 * 6 + 9 / 16) / (4**2 + 9 / 16))


# -- the recorded rows -------------------------------------------------------------------------------------------------


def test_every_configuration_is_recorded_for_every_seed(rows):
    want = {(seed, str(sorted(c.items()))) for seed in range(forgetting.SEEDS) for c in forgetting.configurations()}
    assert {(row.seed, str(sorted(row.config.items()))) for row in rows} >= want


def test_every_rule_had_been_written_when_its_rows_were_recorded(rows):
    runs = records.runs("forgetting").values()
    for claim in CLAIMS:
        assert {run["rules"][claim.id] for run in runs} == {claim.rule_hash}, claim.id


def test_recorded_rows_agree_with_each_other(rows):
    for row in rows:
        n, part = row.numbers, row.config["part"]
        if part == "split":
            assert n["loss_end"] <= n["loss_50000"] * (1 + 1e-9) <= n["loss_0"]
            assert -1 <= n["kappa_half"] <= 1 and -1 - 1e-9 <= n["errors_cosine_end"] <= 1
        elif part == "starts":
            for name in descent.OPTIMISERS:
                assert n[f"found_{name}"] + n[f"trapped_{name}"] <= 1 + 1e-9  # the rest are slow
                assert n[f"stayed_{name}"] <= n["trapped_gd"]
            assert n["missed"] == 0 or n["found_lm"] == 0
            assert n["restarts"] <= optimisers.STARTS or n["found_lm"] == 0
        elif part == "newton":
            assert n["reached"] == 1 or n["tries"] == optimisers.TRIES
        elif part == "minima":
            assert n["best"] < n["worst"] and 0 <= n["auroc_cosine"] <= 1
        elif part == "images":
            assert n["errors"] < 0.3 and 0 <= n["forgotten"] <= 1 and n["ever_forgotten"] <= n["events"]


# -- the figures -------------------------------------------------------------------------------------------------------


def figures(rows):
    """Every figure of the chapter."""
    yield draw.pushes([0, 0, 0, 1], [False, False, False, True])
    for figure in (draw.along, draw.balance, draw.lost, draw.resumed, draw.overlap, draw.patterns):
        yield figure(rows)
    for numbers in ("trapped", "stayed", "seconds_found"):
        yield draw.optimisers(rows, numbers)


def test_figures_are_drawn_without_a_warning_and_have_labelled_axes(rows, drawn):
    for figure in drawn(figures(rows)):
        assert all(ax.get_ylabel() for ax in figure.axes)
        assert figure.axes[-1].get_xlabel() or figure.get_supxlabel() or len(figure.axes) == 1


def bars(ax, colour):
    """Heights of the median bars of a colour, from left to right."""
    thick = [line for line in ax.lines if line.get_linewidth() == 3 and to_rgb(line.get_color()) == to_rgb(colour)]
    return [line.get_ydata()[0] for line in sorted(thick, key=lambda line: line.get_xdata()[0])]


def test_the_arrows_of_the_smallest_picture_cancel():
    figure = draw.pushes([0, 0, 0, 1], [False, False, False, True])
    (one, other) = (a.xy[0] - a.xyann[0] for a in figure.axes[0].texts)
    assert one == pytest.approx(-other) and one == pytest.approx(0.75 / 4)
    plt.close(figure)


def test_bars_are_the_medians_of_the_rows(rows):
    figure = draw.lost(rows)
    for ax, target in zip(figure.axes, forgetting.TARGETS, strict=True):
        chosen = records.numbers_of(rows, part="recover", function=target)
        want = [np.median(np.clip([n[f"lost_errors_{k}"] for n in chosen], -0.5, 2)) for k in forgetting.DETOURS]
        assert bars(ax, draw.OF_CASES["errors"]) == pytest.approx(want)
    plt.close(figure)
    figure = draw.patterns(rows)
    for ax, task in zip(figure.axes, forgetting.TASKS, strict=True):
        for name, colour in draw.OF_PATTERNS.items():
            chosen = [records.numbers_of(rows, part="patterns", task=task, share=share) for share in forgetting.SHARES]
            want = [np.median([n[name] for n in numbers]) for numbers in chosen]
            assert bars(ax, colour) == pytest.approx(want)
    plt.close(figure)


def test_norms_and_cosines_along_training_are_those_of_the_rows(rows):
    figure = draw.along(rows)
    for k, (place, stages) in enumerate(
        [({"function": name}, [*map(str, forgetting.CHECKPOINTS), "end"]) for name in forgetting.TARGETS]
        + [({"n_images": forgetting.IMAGES[-1]}, list(forgetting.EPOCHS.values()))]
    ):
        left, right = figure.axes[2 * k : 2 * k + 2]
        chosen = records.numbers_of(rows, part="images" if "n_images" in place else "split", **place)
        own, others, total = (line.get_ydata() for line in left.lines if line.get_linewidth() > 1)
        assert list(own) == pytest.approx([np.median([n[f"errors_norm_{s}"] for n in chosen]) for s in stages])
        assert list(total) == pytest.approx([np.median([n[f"errors_sum_{s}"] for n in chosen]) for s in stages])
        cosines = np.array([[n[f"errors_cosine_{s}"] for n in chosen] for s in stages])
        assert list(right.lines[-1].get_ydata()) == pytest.approx(list(np.median(cosines, axis=1)))
        # the law of cosines: |sum|^2 = |own|^2 + |others|^2 + 2 cosine |own| |others|, seed by seed
        third = len(left.lines) // 3
        lines = [np.array([line.get_ydata() for line in left.lines[j * third : (j + 1) * third - 1]]) for j in range(3)]
        a, b, c = lines
        np.testing.assert_allclose(a**2 + b**2 + 2 * cosines.T * a * b, c**2, atol=1e-6 * a.max() ** 2)
    plt.close(figure)


def test_the_balance_is_drawn_from_the_rows(rows):
    figure = draw.balance(rows)
    for ax, target in zip(figure.axes, forgetting.TARGETS, strict=False):
        chosen = records.numbers_of(rows, part="split", function=target)
        names = [f"errors_cancelled_{step}" for step in (*forgetting.CHECKPOINTS, "end")]
        (median,) = (line for line in ax.lines if line.get_label() == "error cases")
        assert list(median.get_ydata()) == pytest.approx([np.median([n[name] for n in chosen]) for name in names])
    losses = [line.get_xdata() for line in figure.axes[4].lines]
    assert sorted(np.concatenate(losses)) == pytest.approx(
        sorted(r.numbers["loss_end"] for r in rows if r.config["part"] == "split")
    )
    plt.close(figure)
