"""ReluRegressor is a scikit-learn estimator, its two engines agree, and what is wrong is refused in one sentence."""

import pickle
import sys

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted, validate_data

from errref.networks import ReluRegressor, count_parameters

pytestmark = pytest.mark.usefixtures("one_thread")
WEIGHTS = ("hidden_weights_", "hidden_biases_", "output_weights_", "output_bias_")


class OnFirstColumn(RegressorMixin, BaseEstimator):
    """The exact engine behind scikit-learn's checks, nearly all of which have X of several columns."""

    def __init__(self, estimator=None):
        self.estimator = estimator

    def fit(self, X, y, sample_weight=None):
        X, y = validate_data(self, X, y, y_numeric=True)
        self.estimator_ = clone(self.estimator).fit(X[:, :1], y, sample_weight)
        return self

    def predict(self, X):
        check_is_fitted(self)
        return self.estimator_.predict(validate_data(self, X, reset=False)[:, :1])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # one column does not tell the target
        return tags


@parametrize_with_checks(
    [
        ReluRegressor(engine="torch", steps=100, learning_rate=3e-2),
        OnFirstColumn(ReluRegressor(engine="exact", steps=100, learning_rate=3e-2, random_state=0)),
    ]
)
def test_scikit_learn_estimator_checks(estimator, check):
    check(estimator)


@pytest.fixture
def line():
    x = np.random.default_rng(0).uniform(-1, 1, 60)
    return x.reshape(-1, 1), np.sin(4 * x)


def weights_of(model):
    return [getattr(model, name) for name in WEIGHTS]


@pytest.mark.parametrize("sample_weight", [None, np.random.default_rng(1).exponential(size=60)])
def test_engines_agree(line, sample_weight):
    exact, loop = (
        ReluRegressor(steps=300, learning_rate=1e-2, engine=engine, random_state=3).fit(*line, sample_weight)
        for engine in ("exact", "torch")
    )
    for ours, theirs in zip(weights_of(exact), weights_of(loop), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)
    np.testing.assert_allclose(exact.loss_curve_, loop.loss_curve_, rtol=1e-9)


@pytest.mark.parametrize("engine", ["exact", "torch"])
def test_attributes(line, engine):
    X, y = line
    model = ReluRegressor(hidden=7, steps=20, learning_rate=1e-2, engine=engine, random_state=0).fit(X, y)
    assert model.hidden_weights_.shape == (7, 1)
    assert model.hidden_biases_.shape == model.output_weights_.shape == (7,)
    assert type(model.output_bias_) is float
    assert model.n_parameters_ == count_parameters(model) == 22
    assert model.n_features_in_ == 1
    assert model.n_iter_ == 20
    assert model.loss_curve_.shape == (21,)
    assert model.loss_curve_[-1] == pytest.approx(np.mean((model.predict(X) - y) ** 2), rel=1e-12)


def test_training_fits(line):
    assert ReluRegressor(steps=2000, learning_rate=1e-2, random_state=0).fit(*line).score(*line) > 0.99


def test_torch_engine_takes_several_columns():
    X = np.random.default_rng(0).uniform(-1, 1, (80, 3))
    model = ReluRegressor(hidden=5, steps=300, learning_rate=3e-2, engine="torch", random_state=0).fit(
        X, X @ [1, -1, 2]
    )
    assert model.hidden_weights_.shape == (5, 3)
    assert model.n_parameters_ == 26
    assert model.score(X, X @ [1, -1, 2]) > 0.9


@pytest.mark.parametrize("steps", [0, 10])
def test_to_torch_is_the_same_network(line, steps):
    X, y = line
    model = ReluRegressor(steps=steps, random_state=0).fit(X, y)
    network = model.to_torch()
    assert [type(layer).__name__ for layer in network] == ["Linear", "ReLU", "Linear"]
    assert all(parameter.dtype == torch.float64 for parameter in network.parameters())
    with torch.no_grad():
        np.testing.assert_allclose(network(torch.tensor(X)).numpy()[:, 0], model.predict(X), rtol=0, atol=1e-14)


def test_the_seed_decides_the_starting_weights(line):
    def start(seed, **parameters):
        return weights_of(ReluRegressor(steps=0, random_state=seed, **parameters).fit(*line))

    for again, once in zip(start(1), start(1), strict=True):
        np.testing.assert_array_equal(again, once)
    assert not np.array_equal(start(1)[0], start(2)[0])
    assert not np.array_equal(start(None)[0], start(None)[0])
    np.testing.assert_array_equal(start(1)[0], start(np.random.default_rng(1))[0])
    np.testing.assert_array_equal(start(1)[0], start(1, engine="torch")[0])


@pytest.mark.parametrize("engine, d", [("exact", 1), ("torch", 4)])
def test_starting_weights_are_distributed_as_those_of_torch(engine, d):
    H = 10_000
    model = ReluRegressor(hidden=H, steps=0, engine=engine, random_state=0).fit(np.zeros((2, d)), [0.0, 1.0])
    torch.manual_seed(0)
    layers = torch.nn.Linear(d, H), torch.nn.Linear(H, 1)
    for ours, theirs in zip(weights_of(model)[:3], [*layers[0].parameters(), layers[1].weight], strict=True):
        ours, theirs = (np.quantile(part, [0, 0.25, 0.5, 0.75, 1]) for part in (ours, theirs.detach().numpy()))
        np.testing.assert_allclose(ours, theirs, atol=0.05 * theirs.max())
    assert abs(model.output_bias_) <= 1 / np.sqrt(H)


def test_the_global_random_state_of_torch_is_left_alone(line):
    before = torch.get_rng_state()
    ReluRegressor(steps=1, engine="torch").fit(*line).to_torch()
    assert torch.equal(before, torch.get_rng_state())


def test_own_starting_weights(line):
    X, y = line
    first = ReluRegressor(hidden=3, steps=5, random_state=0).fit(X, y)
    as_tuple = tuple(weights_of(first))
    for init in (as_tuple, list(as_tuple)):
        second = clone(ReluRegressor(hidden=3, steps=0, init=init)).fit(X, y)
        np.testing.assert_array_equal(second.predict(X), first.predict(X))
    before = as_tuple[0].copy()
    ReluRegressor(hidden=3, steps=5, init=as_tuple).fit(X, y)
    np.testing.assert_array_equal(as_tuple[0], before)


def test_he_draws_normal_weights_whose_variance_is_two_over_the_number_of_inputs():
    model = ReluRegressor(hidden=8, steps=0, init="he", engine="torch", random_state=5).fit(np.eye(2), [0.0, 1.0])
    rng = np.random.default_rng(5)  # two inputs: the variance 1; eight of the output: 1 / 4
    np.testing.assert_array_equal(model.hidden_weights_, rng.standard_normal((8, 2)))
    np.testing.assert_array_equal(model.output_weights_, rng.standard_normal(8) / 2)
    assert not model.hidden_biases_.any() and model.output_bias_ == 0


def test_spread_puts_the_kinks_at_the_midpoints_of_equal_parts_of_the_range():
    X = np.array([[-1.0], [0.0], [7.0]])  # four parts, each as wide as 2
    model = ReluRegressor(hidden=4, steps=0, init="spread", random_state=0).fit(X, [0.0, 1.0, 2.0])
    slopes = model.hidden_weights_[:, 0]
    np.testing.assert_array_equal(np.abs(slopes), 1)
    np.testing.assert_array_equal(-model.hidden_biases_ / slopes, [0, 2, 4, 6])
    assert np.all(np.abs([*model.output_weights_, model.output_bias_]) <= 1 / 2)  # 1 / sqrt(4)


def test_the_first_step_on_a_batch_moves_the_output_bias_by_the_learning_rate():
    # The units are off at x < 0 and the answer 0 is too low, so that only the output bias has a gradient.
    X, start = np.array([[-1.0], [-2.0], [-3.0], [-4.0]]), (np.ones((2, 1)), np.zeros(2), np.ones(2), 0.0)
    model = ReluRegressor(hidden=2, steps=1, learning_rate=0.125, batch_size=2, init=start, random_state=0)
    assert model.fit(X, np.ones(4)).output_bias_ == pytest.approx(0.125)
    np.testing.assert_array_equal(model.hidden_weights_, start[0])
    with pytest.raises(ValueError, match="batch_size goes with .* equal weights"):
        model.fit(X, np.ones(4), sample_weight=np.ones(4))


def test_sample_weights_count_as_repetitions(line):
    X, y = line
    times = np.random.default_rng(0).integers(0, 4, len(y))
    parameters = {"steps": 200, "learning_rate": 1e-2, "random_state": 0}
    weighted = ReluRegressor(**parameters).fit(X, y, times)
    repeated = ReluRegressor(**parameters).fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=0, atol=1e-10)
    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-10)
    unweighted = ReluRegressor(**parameters).fit(X, y)
    assert np.abs(weighted.predict(X) - unweighted.predict(X)).max() > 1e-3


def test_prediction_in_batches_is_prediction(line):
    X = np.linspace(-1, 1, 3000).reshape(-1, 1)
    model = ReluRegressor(hidden=1000, steps=0, random_state=0).fit(*line)
    expected = (
        np.maximum(X @ model.hidden_weights_.T + model.hidden_biases_, 0) @ model.output_weights_ + model.output_bias_
    )
    np.testing.assert_allclose(model.predict(X), expected, rtol=0, atol=1e-13)


def test_a_fitted_model_can_be_pickled(line):
    model = ReluRegressor(steps=5, random_state=0).fit(*line)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(line[0]), model.predict(line[0]))


FOUR = (np.zeros((2, 1)), np.zeros(2), np.zeros(2), 0.0)


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"hidden": 0}, "hidden must be an integer of at least 1, got 0"),
        ({"hidden": 2.0}, "hidden must be an integer"),
        ({"hidden": True}, "hidden must be an integer"),
        ({"steps": -1}, "steps must be an integer of at least 0, got -1"),
        ({"steps": "many"}, "steps must be an integer"),
        ({"learning_rate": 0}, "learning_rate must be a positive number"),
        ({"learning_rate": float("nan")}, "learning_rate must be a positive number"),
        ({"learning_rate": "fast"}, "learning_rate must be a positive number"),
        ({"engine": "jax"}, "engine must be 'exact' or 'torch', got 'jax'"),
        (
            {"init": "zeros"},
            "init must be 'torch', 'he', 'spread' .* or a tuple of hidden weights, .* output bias; got 'zeros'",
        ),
        ({"init": np.zeros((2, 2))}, "init must be 'torch', 'he', 'spread' .* or a tuple"),
        ({"init": FOUR[:3]}, "init must be 'torch', 'he', 'spread' .* or a tuple"),
        ({"init": FOUR, "hidden": 3}, r"init needs finite hidden weights of shape \(3, 1\); got shape \(2, 1\)"),
        ({"init": (*FOUR[:2], np.array([0.0, np.nan]), 0.0)}, "init needs finite output weights"),
        ({"init": (*FOUR[:3], "none")}, "init needs numbers as output bias"),
    ],
)
def test_parameters_out_of_range(line, parameters, message):
    with pytest.raises(ValueError, match=message):
        ReluRegressor(**{"hidden": 2, **parameters}).fit(*line)


@pytest.mark.parametrize(
    "X, y, sample_weight, message",
    [
        ([[1.0, 2.0]], [1.0], None, "engine='exact' takes one column and X has 2; use engine='torch'"),
        ([1.0, 2.0], [1.0, 2.0], None, "Expected 2D array"),
        ([[1.0], [2.0]], [1.0], None, "inconsistent numbers of samples"),
        ([[np.nan]], [1.0], None, "NaN"),
        ([[1.0]], [np.inf], None, "infinity"),
        ([["a"]], [1.0], None, "could not convert string to float"),
        ([[1.0]], ["a"], None, "could not convert string to float"),
        (np.empty((0, 1)), [], None, "0 sample"),
        ([[1.0]], [1.0], [0.0], "(?i)zero"),
        ([[1.0], [2.0]], [1.0, 2.0], [1.0, -1.0], "(?i)negative"),
        ([[1.0], [2.0]], [1.0, 2.0], [1.0], "sample_weight"),
        ([[1.0]], [1.0], [np.nan], "NaN"),
    ],
)
def test_data_that_cannot_be_used(X, y, sample_weight, message):
    with pytest.raises(ValueError, match=message):
        ReluRegressor(steps=1).fit(X, y, sample_weight)


@pytest.mark.parametrize("engine", ["exact", "torch"])
@pytest.mark.filterwarnings("error")
def test_divergence_names_its_mend(line, engine):
    model = ReluRegressor(steps=10, learning_rate=1e200, engine=engine, random_state=0)
    with pytest.raises(FloatingPointError, match=r"diverged with learning_rate=1e\+200; lower it"):
        model.fit(*line)
    with pytest.raises(NotFittedError):
        model.predict(line[0])


def test_without_torch_only_the_torch_engine_is_missing(line, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    model = ReluRegressor(steps=1).fit(*line)
    for use in (model.to_torch, lambda: ReluRegressor(engine="torch").fit(*line)):
        with pytest.raises(ImportError, match=r"pip install errref\[torch\]"):
            use()


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_parameter_counts(line):
    X, y = line
    label = (y > 0).astype(int)
    wide = np.hstack([X, X**2])
    relu = ReluRegressor(hidden=10, steps=0)
    assert count_parameters(relu.fit(X, y)) == 31
    assert count_parameters(make_pipeline(StandardScaler(), relu).fit(X, y)) == 31
    assert (
        count_parameters(MLPRegressor(hidden_layer_sizes=(10, 3), max_iter=5).fit(X[:5], y[:5]))
        == 10 + 10 + 30 + 3 + 3 + 1
    )
    assert count_parameters(LinearRegression().fit(wide, y)) == 3
    assert count_parameters(LinearRegression(fit_intercept=False).fit(wide, y)) == 2
    assert count_parameters(make_pipeline(StandardScaler(), LogisticRegression()).fit(wide, label)) == 3
    assert count_parameters(KNeighborsClassifier(1).fit(wide, label)) == 60 * 3
    assert count_parameters(KNeighborsRegressor(1).fit(X, wide)) == 60 * 3
    assert count_parameters(DummyClassifier().fit(X, label)) == 1
    assert count_parameters(DummyRegressor().fit(X, y)) == 1


@pytest.mark.parametrize(
    "unknown", [StandardScaler(), LinearRegression(), KNeighborsClassifier(), MLPRegressor(), "model"]
)
def test_parameters_that_cannot_be_counted(unknown):
    with pytest.raises(TypeError, match="Cannot count the parameters"):
        count_parameters(unknown)
