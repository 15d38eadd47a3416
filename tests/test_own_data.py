"""Real tables: the comparison is paired, the interval is the published one, and a recorded row is measured again."""

import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

from errref import records
from errref.experiments import own_data
from errref.figures import own_data as draw
from errref.statistics import corrected_interval

SECONDS = {"seconds_plain", "seconds_reflection"}


@pytest.fixture(scope="module")
def rows():
    return records.read("own_data")


# -- the interval ------------------------------------------------------------------------------------------------------


def test_the_corrected_interval_by_hand():
    # Nadeau and Bengio (2003): the variance of J differences times (1/J + test/train), on J - 1 degrees of freedom
    differences = [0.1, 0.3, 0.2, 0.4]
    mean, low, high = corrected_interval(differences, test_share=0.2, confidence=0.95)
    width = stats.t.ppf(0.975, 3) * np.sqrt((1 / 4 + 0.2 / 0.8) * np.var(differences, ddof=1))
    assert (mean, low, high) == pytest.approx((0.25, 0.25 - width, 0.25 + width))


def test_more_repetitions_cannot_make_the_interval_arbitrarily_narrow():
    rng = np.random.default_rng(0)
    once, often = rng.normal(0, 1, 10), rng.normal(0, 1, 10_000)
    for values in (once, often):
        _, low, high = corrected_interval(values, test_share=0.2, confidence=0.95)
        assert high - low > 0.9 * 2 * 1.96 * 0.5 * values.std()


# -- the comparison ----------------------------------------------------------------------------------------------------


def test_alcohol_is_not_among_the_measurements_that_tell_it():
    X, y = own_data.table("alcohol")
    whole = load_wine()
    assert whole.feature_names[0] == "alcohol" and X.shape[1] == whole.data.shape[1] - 1
    np.testing.assert_array_equal(np.c_[y, X], whole.data)


@pytest.mark.parametrize("config", own_data.configurations()[2:6:3], ids=lambda c: f"{c['table']}-{c['model']}")
def test_the_model_without_reflection_is_the_general_model_with_it(config):
    X, y = own_data.table(config["table"])
    X = StandardScaler().fit_transform(X[::3])
    y = y[::3]
    alone = clone(own_data.plain(config))
    alone.set_params(**{name: 4 for name in alone.get_params() if name.endswith("random_state")}).fit(X, y)
    system = own_data.reflecting(config).set_params(random_state=4).fit(X, y)
    np.testing.assert_array_equal(system.predict_each(X)[:, 0], alone.predict(X))


def test_a_fold_counts_what_changed():
    config = {"table": "alcohol", "model": "network"}
    X, y = own_data.table("alcohol")
    train, test = np.arange(0, 178, 2), np.arange(1, 178, 2)
    numbers = own_data.fold(config, X, y, train, test, seed=1)
    assert numbers["better"] + numbers["worse"] <= numbers["routed"] + 1e-12 <= 1
    assert numbers["routed"] > 0 and numbers["reflection"] != numbers["plain"]
    assert 0.45 < numbers["error_cases"] < 0.55 and numbers["constant_experts"] <= numbers["experts"]
    shuffled = np.random.default_rng(0).permutation(test)
    again = own_data.fold(config, X, y, train, shuffled, seed=1)
    assert again["reflection"] == pytest.approx(numbers["reflection"])


def test_test_samples_never_reach_training():
    config = {"table": "diabetes", "model": "boosting"}
    X, y = own_data.table("diabetes")
    train, test = np.arange(100), np.arange(100, 130)
    other = X.copy()
    other[130:] = 1e3
    spoiled = y.copy()
    spoiled[130:] = -1e3
    one, two = (own_data.fold(config, a, b, train, test, seed=1) for a, b in ((X, y), (other, spoiled)))
    assert {k: v for k, v in one.items() if k not in SECONDS} == {k: v for k, v in two.items() if k not in SECONDS}
    hidden = y.copy()
    hidden[test] = -1e3
    blind = own_data.fold(config, X, hidden, train, test, seed=1)
    assert all(blind[k] == one[k] for k in ("routed", "error_cases", "experts"))  # known without the labels of the test


def test_the_row_is_the_mean_of_its_folds(monkeypatch):
    seen = []

    def fold(config, X, y, train, test, seed):
        assert not np.intersect1d(train, test).size and len(train) + len(test) == len(y)
        seen.append(test)
        return {"plain": 0.5, "reflection": 0.5 + 0.1 * len(seen)}

    monkeypatch.setattr(own_data, "fold", fold)
    row = own_data.run({"table": "alcohol", "model": "network"}, 3)
    assert sorted(np.concatenate(seen)) == list(range(178))
    assert row["reflection"] == pytest.approx(0.8) and row["difference_4"] == pytest.approx(0.5)
    np.testing.assert_allclose(own_data.differences([row, row]), [0.1, 0.2, 0.3, 0.4, 0.5] * 2)


# -- rows --------------------------------------------------------------------------------------------------------------


def test_every_configuration_is_recorded_on_every_seed(rows):
    for config in own_data.configurations():
        assert {row.seed for row in rows if row.config == config} == set(range(own_data.SEEDS)), config


def test_recorded_numbers_belong_together(rows):
    for row in rows:
        numbers = row.numbers
        difference = own_data.differences([numbers]).mean()
        assert numbers["reflection"] - numbers["plain"] == pytest.approx(difference, abs=1e-12)
        assert numbers["better"] + numbers["worse"] <= numbers["routed"] + 1e-12
        if row.config["table"] in own_data.CLASSIFICATION:
            assert difference == pytest.approx(numbers["better"] - numbers["worse"], abs=5e-3)


def test_the_figure_draws_every_fold_and_the_mean(rows, drawn):
    for figure in drawn([draw.gains(rows)]):
        (ax,) = figure.axes
        dots = [line.get_xdata() for line in ax.lines if line.get_marker() == "."]
        means = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
        assert len(dots) == len(means) == len(own_data.configurations())
        for values, mean in zip(dots, means, strict=True):
            assert len(values) == own_data.SEEDS * own_data.FOLDS and mean == pytest.approx(np.mean(values))
