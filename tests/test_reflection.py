"""The method does what figure 2 says, is a scikit-learn estimator, and makes each protocol of the images one line."""

import doctest
import pickle
import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import BaseEstimator, ClusterMixin, clone
from sklearn.cluster import DBSCAN, KMeans
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils.estimator_checks import check_estimator

import errref.reflection
from errref.isodata import Isodata
from errref.reflection import ErrorReflectionClassifier, ErrorReflectionRegressor


class Cut(ClusterMixin, BaseEstimator):
    """A clusterer whose numbering is known: the number of cuts below the first coordinate; ``noise`` becomes -1."""

    def __init__(self, *cuts, noise=None):
        self.cuts = cuts
        self.noise = noise

    def get_params(self, deep=True):
        return {}

    def __sklearn_clone__(self):
        return Cut(*self.cuts, noise=self.noise)

    def fit(self, X, y=None):
        self.points_ = X
        self.labels_ = np.searchsorted(self.cuts, X[:, 0])
        self.labels_[self.labels_ == self.noise] = -1
        return self


class Witness(BaseEstimator):
    """Remembers what X was like whenever the estimator in it was asked something."""

    def __init__(self, estimator=None):
        self.estimator = estimator

    def fit(self, X, y=None):
        self.seen_ = [(type(X).__name__, str(getattr(X, "dtype", None)), np.ndim(X))]
        self.inner_ = clone(self.estimator).fit(np.reshape(np.asarray(X), (len(X), -1)), y)
        self.classes_ = getattr(self.inner_, "classes_", None)
        return self

    def predict(self, X):
        self.seen_.append((type(X).__name__, str(getattr(X, "dtype", None)), np.ndim(X)))
        return self.inner_.predict(np.reshape(np.asarray(X), (len(X), -1)))


class Column(DecisionTreeRegressor):
    """A network that answers with a column, as some do."""

    def predict(self, X):
        return super().predict(X)[:, None]


class Fragile(DummyRegressor):
    """Cannot be trained on fewer than three samples, and says so in an error of its own."""

    def fit(self, X, y):
        if len(X) < 3:
            raise ArithmeticError("three samples at least")
        return super().fit(X, y)


def pick(each, routes):
    return each[np.arange(len(each)), routes]


@pytest.fixture
def waves():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (80, 2))
    return X, np.where(X[:, 0] < 0, np.sin(3 * X[:, 1]), 2 + X[:, 0])


@pytest.fixture(scope="module")
def blobs():
    X, y = make_classification(
        400, 6, n_informative=4, n_classes=4, n_clusters_per_class=2, flip_y=0.05, random_state=1
    )
    return X[:200], y[:200], X[200:], y[200:]


def regressor(**changes):
    parts = {"clusterer": KMeans(3), "random_state": 0, **changes}
    return ErrorReflectionRegressor(parts.pop("estimator", DecisionTreeRegressor(max_depth=2)), **parts)


def classifier(**changes):
    parts = {"clusterer": KMeans(3), "random_state": 0, **changes}
    return ErrorReflectionClassifier(parts.pop("estimator", DecisionTreeClassifier(max_depth=3)), **parts)


# -- a whole run by hand ---------------------------------------------------------------------------
# x          0    1    2   10   11   20
# y          5    4    4   12   14   -9   the mean is 30 / 6 = 5, and the general network answers with it
# residual   0    1    1    7    9   14   the worst half are the last three, so the threshold is 7
# cluster                   0    0    1   cut at 15
# route      0    0    0    1    1    2
# Expert 1 is a tree on (10, 12), (11, 14): 12 below 10.5, 14 above. Expert 2 has one target: the constant -9.
# The gate is the nearest training sample's route.
HAND_X = np.array([[0.0], [1], [2], [10], [11], [20]])
HAND_Y = np.array([5, 4, 4, 12, 14, -9])


def by_hand(**changes):
    parts = {"expert": DecisionTreeRegressor(), "clusterer": Cut(15), **changes}
    return ErrorReflectionRegressor(DummyRegressor(), **parts)


def test_regression_by_hand():
    model = by_hand().fit(HAND_X, HAND_Y)
    assert model.errors_.tolist() == [False, False, False, True, True, True]
    assert model.threshold_ == 7
    assert model.labels_.tolist() == [0, 0, 1]
    assert model.centroids_.tolist() == [[10.5], [20]]
    assert model.routes_.tolist() == [0, 0, 0, 1, 1, 2]
    assert model.predict(HAND_X).tolist() == [5, 5, 5, 12, 14, -9]
    assert model.summary_ == {"n_samples": 6, "n_errors": 3, "n_noise": 0, "sizes": [2, 1], "constant": [False, True]}
    assert isinstance(model.experts_[1], DummyRegressor)
    # -100 is nearest to 0; 6.1 to 10 (3.9 against 4.1); 15.4 to 11 (4.4 against 4.6); 15.6 to 20
    X = np.array([[-100], [6.1], [15.4], [15.6]])
    assert model.route(X).tolist() == [0, 1, 1, 2]
    assert model.predict(X).tolist() == [5, 12, 14, -9]
    assert model.predict_each(X).tolist() == [[5, 12, -9], [5, 12, -9], [5, 14, -9], [5, 14, -9]]
    assert model.networks_ == [model.general_, *model.experts_]


def test_assign_by_hand():
    model = by_hand().fit(HAND_X, HAND_Y)
    assert model.assign(HAND_X, HAND_Y).tolist() == model.routes_.tolist()
    # residuals 0 and 6.9 are below the threshold, 7 is not; 15 is nearer to 10.5 than to 20, 15.5 is nearer to 20
    assert model.assign([[12], [15], [15], [15.5]], [5, 11.9, 12, 30]).tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize(
    ("space", "centroids"),
    [
        ("input", [[10.5], [20]]),
        ("output", [[-9], [13]]),  # the targets 12, 14, -9, cut at 0
        ("both", [[10.5, 13], [20, -9]]),
        (lambda general, X, y: np.c_[X, general.predict(X), y], [[10.5, 5, 13], [20, 5, -9]]),
    ],
)
def test_spaces_by_hand(space, centroids):
    model = by_hand(space=space, clusterer=Cut(0 if space == "output" else 15)).fit(HAND_X, HAND_Y)
    assert model.centroids_.tolist() == centroids
    assert model.assign(HAND_X, HAND_Y).tolist() == model.routes_.tolist()


def test_classification_by_hand():
    # The general network always answers "a": the last four are wrong. The first cluster has one class, so expert 1 is
    # the constant "b"; expert 2 is a tree on (5, "c"), (6, "b") and has never heard of "a".
    X, y = np.arange(7.0)[:, None], np.array(["a", "a", "a", "b", "b", "c", "b"])
    model = ErrorReflectionClassifier(
        DummyClassifier(strategy="most_frequent"), expert=DecisionTreeClassifier(), clusterer=Cut(4.5)
    ).fit(X, y)
    assert model.classes_.tolist() == ["a", "b", "c"]
    assert model.errors_.tolist() == [False] * 3 + [True] * 4
    assert model.labels_.tolist() == [0, 0, 1, 1]
    assert model.routes_.tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert model.summary_["constant"] == [True, False]
    assert model.predict(X).tolist() == y.tolist()
    assert model.predict_each(X[-2:]).tolist() == [["a", "b", "c"], ["a", "b", "b"]]
    a, b, c = np.eye(3).tolist()
    assert model.predict_proba_each(X[-2:]).tolist() == [[a, b, c], [a, b, b]]
    assert model.predict_proba(X).tolist() == [a, a, a, b, b, c, b]
    # a wrong answer goes to the nearest centroid, 3.5 or 5.5, whatever the true label is; a right one stays
    assert model.assign([[4], [5], [5]], ["c", "b", "a"]).tolist() == [1, 2, 0]


def test_labels_are_clustered_one_hot():
    X, y = np.arange(7.0)[:, None], np.array(["a", "a", "a", "b", "b", "c", "b"])
    general, clusterer = DummyClassifier(strategy="most_frequent"), Cut(0.5)
    model = ErrorReflectionClassifier(general, clusterer=clusterer, space="both").fit(X, y)
    assert model.clusterer_.points_.tolist() == [[3, 0, 1, 0], [4, 0, 1, 0], [5, 0, 0, 1], [6, 0, 1, 0]]


# -- the general network ---------------------------------------------------------------------------


def test_the_general_network_is_a_plain_clone_with_the_seed_of_the_model(blobs):
    X, y, X_test, _ = blobs
    estimator = make_pipeline(StandardScaler(), RandomForestClassifier(5, max_depth=3))
    model = classifier(estimator=estimator, random_state=7).fit(X, y)
    plain = clone(estimator).set_params(randomforestclassifier__random_state=7).fit(X, y)
    np.testing.assert_array_equal(model.general_.predict_proba(X_test), plain.predict_proba(X_test))
    np.testing.assert_array_equal(model.predict_proba_each(X_test)[:, 0], plain.predict_proba(X_test))


def test_a_frozen_general_network_is_used_as_it_is_and_gives_the_same_answers(blobs):
    X, y, X_test, _ = blobs
    estimator = RandomForestClassifier(5, max_depth=3)
    free = classifier(estimator=estimator, random_state=7).fit(X, y)
    trained = clone(estimator).set_params(random_state=7).fit(X, y)
    frozen = classifier(estimator=FrozenEstimator(trained), random_state=7).fit(X, y)
    assert frozen.general_.estimator is trained
    np.testing.assert_array_equal(free.predict_proba_each(X_test), frozen.predict_proba_each(X_test))
    np.testing.assert_array_equal(free.predict(X_test), frozen.predict(X_test))
    before = trained.predict_proba(X_test)
    frozen.fit(X_test, np.roll(y, 1))
    np.testing.assert_array_equal(trained.predict_proba(X_test), before)


def test_a_general_network_trained_elsewhere_may_know_other_classes():
    X = np.arange(8.0)[:, None]
    general = DecisionTreeClassifier().fit(X[:4], ["a", "a", "c", "c"])
    y = ["b", "b", "c", "c", "c", "c", "d", "d"]
    model = ErrorReflectionClassifier(FrozenEstimator(general), clusterer=Cut(3)).fit(X, y)
    assert model.classes_.tolist() == ["a", "b", "c", "d"]
    assert model.errors_.tolist() == [True, True, False, False, False, False, True, True]
    assert model.predict(X).tolist() == y
    assert model.predict_proba_each(X[[0, 7]]).argmax(axis=2).tolist() == [[0, 1, 3], [2, 1, 3]]
    with pytest.raises(ValueError, match="Mix of label input types"):
        model.fit(X, [1, 1, 2, 2, 2, 2, 3, 3])


def test_seeds(waves):
    X, y = waves
    forest = RandomForestRegressor(2, max_depth=2)
    parts = {"estimator": forest, "clusterer": make_pipeline(PCA(2), KMeans(3)), "gate": RandomForestClassifier(2)}
    model = regressor(**parts, random_state=3).fit(X, y)
    assert model.general_.random_state == 3
    assert model.clusterer_[0].random_state == model.clusterer_[1].random_state == 409691224  # recorded rows need these
    assert model.gate_.random_state == 822710854
    assert [expert.random_state for expert in model.experts_] == [1725899901, 59274554, 1471340371]
    assert regressor(**parts, random_state=3).fit(X, y).predict(X).tolist() == model.predict(X).tolist()
    assert regressor(**parts, random_state=4).fit(X, y).predict(X).tolist() != model.predict(X).tolist()
    own = regressor(**parts, random_state=None).set_params(estimator__random_state=5).fit(X, y)
    assert own.general_.random_state == own.experts_[0].random_state == 5
    assert own.gate_.random_state is None
    drawn = [
        regressor(**parts, random_state=np.random.RandomState(s)).fit(X, y).general_.random_state for s in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_error_cases_out_of_fold(blobs):
    X, y, _, _ = blobs
    tree, folds = DecisionTreeClassifier(), KFold(4)
    assert classifier(estimator=tree).fit(X, y).summary_["n_errors"] == 0  # it memorises
    model = classifier(estimator=tree, cv=folds).fit(X, y)
    expected = cross_val_predict(DecisionTreeClassifier(random_state=0), X, y, cv=folds) != y
    np.testing.assert_array_equal(model.errors_, expected)
    assert 20 < expected.sum() < 180
    np.testing.assert_array_equal(model.general_.predict(X), y)


@pytest.mark.parametrize(
    "cv, sentence",
    [
        ([], "cv holds something else than pairs"),
        ([7, 8], "cv holds something else than pairs"),
        ([([0], [1], [2])], "cv holds something else than pairs"),
        ([([0, 1], [12])], "cv holds something else than arrays of the indices 0 to 11 of the samples"),
        ([([0.5], [1])], "cv holds something else than arrays of the indices 0 to 11 of the samples"),
    ],
)
def test_folds_that_are_none_are_refused(cv, sentence):
    with pytest.raises(ValueError, match=sentence):
        regressor(estimator=LinearRegression(), cv=cv).fit(np.arange(12.0)[:, None], np.arange(12.0))


def test_out_of_fold_residuals(waves):
    X, y = waves
    model = regressor(estimator=LinearRegression(), cv=4, errors=0.25).fit(X, y)
    residuals = np.abs(cross_val_predict(LinearRegression(), X, y, cv=4) - y)
    np.testing.assert_array_equal(np.flatnonzero(model.errors_), np.sort(np.argsort(residuals)[-20:]))
    np.testing.assert_array_equal(model.general_.coef_, LinearRegression().fit(X, y).coef_)


@pytest.mark.parametrize("wrap", [lambda frozen: frozen, lambda frozen: make_pipeline(StandardScaler(), frozen)])
def test_a_frozen_general_network_cannot_go_out_of_fold(waves, wrap):
    X, y = waves
    frozen = FrozenEstimator(LinearRegression().fit(X, y))
    with pytest.raises(ValueError, match="trained on each fold, and a FrozenEstimator cannot be"):
        regressor(estimator=wrap(frozen), cv=3).fit(X, y)


# -- error cases -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("errors", "n_errors"), [(None, 40), (0.5, 40), (0.1, 8), (0.001, 1), (1, 80), (1.0, 80)])
def test_the_worst_share(waves, errors, n_errors):
    X, y = waves
    model = regressor(estimator=LinearRegression(), errors=errors).fit(X, y)
    residuals = np.abs(y - model.general_.predict(X))
    assert model.errors_.sum() == n_errors
    assert residuals[model.errors_].min() == model.threshold_ > residuals[~model.errors_].max(initial=-1)


def test_ties_with_the_last_are_in_and_exact_answers_are_out():
    X, y = np.arange(8.0)[:, None], np.array([0, 0, 0, 0, 1, 1, -1, -1])  # mean 0, four residuals of 1
    assert by_hand(errors=0.25).fit(X, y).errors_.tolist() == [False] * 4 + [True] * 4
    assert by_hand(errors=1.0).fit(X, y).errors_.tolist() == [False] * 4 + [True] * 4


def test_an_answer_that_is_not_a_number_is_the_worst():
    class Broken(DummyRegressor):
        def predict(self, X):
            return np.where(X[:, 0] == 1, np.nan, super().predict(X))

    model = by_hand(errors=1 / 6).set_params(estimator=Broken()).fit(HAND_X, HAND_Y)
    assert np.flatnonzero(model.errors_).tolist() == [1]


def test_unsigned_targets_do_not_wrap_around():
    y = np.array([5, 4, 4, 12, 14, 0], dtype=np.uint8)
    general = DummyRegressor(strategy="constant", constant=np.uint8(13))
    model = by_hand(errors=0.5).set_params(estimator=general).fit(HAND_X, y)
    assert model.errors_.tolist() == [False, True, True, False, False, True]  # residuals 8, 9, 9, 1, 1, 13


@pytest.mark.parametrize("make", [regressor, classifier])
def test_mask_and_callable(make, blobs):
    X, y, X_test, y_test = blobs
    mask = np.random.default_rng(0).random(len(y)) < 0.3
    for errors in (mask, mask.tolist(), lambda y, prediction: mask):
        model = make(errors=errors).fit(X, y)
        np.testing.assert_array_equal(model.errors_, mask)
        np.testing.assert_array_equal(model.routes_ > 0, mask)
    np.testing.assert_array_equal(make(errors=mask).fit(X, y).assign(X, y) > 0, mask)
    judge = make(errors=lambda y, prediction: y > prediction).fit(X, y)
    np.testing.assert_array_equal(judge.assign(X_test, y_test) > 0, y_test > judge.general_.predict(X_test))
    with pytest.raises(
        ValueError, match=r"shape \(200,\).* of 150 samples: only a callable\(y, prediction\) can judge"
    ):
        make(errors=mask).fit(X, y).assign(X_test[:150], y_test[:150])


# -- clusters and experts --------------------------------------------------------------------------


def test_noise_stays_with_the_general_network():
    model = by_hand(clusterer=Cut(10.5, 15, noise=1)).fit(HAND_X, HAND_Y)  # 10 | 11 is noise | 20
    assert model.labels_.tolist() == [0, -1, 1]
    assert model.routes_.tolist() == [0, 0, 0, 1, 0, 2]
    assert model.summary_ == {"n_samples": 6, "n_errors": 3, "n_noise": 1, "sizes": [1, 1], "constant": [True, True]}
    assert model.centroids_.tolist() == [[10], [20]]
    assert model.assign(HAND_X, HAND_Y).tolist() == [0, 0, 0, 1, 1, 2]  # who knows y sends the noise to 10


def test_dbscan(waves):
    X, y = waves
    model = regressor(clusterer=DBSCAN(eps=0.25, min_samples=3)).fit(X, y)
    noise = model.clusterer_.labels_ == -1
    assert 0 < noise.sum() < len(noise)
    np.testing.assert_array_equal(model.labels_, model.clusterer_.labels_)
    assert set(model.routes_[np.flatnonzero(model.errors_)[noise]]) == {0}
    everything = regressor(clusterer=DBSCAN(eps=1e-9, min_samples=3)).fit(X, y)
    assert everything.experts_ == []
    assert everything.summary_["n_noise"] == 40
    np.testing.assert_array_equal(everything.predict(X), everything.general_.predict(X))
    assert everything.assign(X, y).tolist() == [0] * 80


def test_empty_clusters_are_left_out():
    model = by_hand(clusterer=Cut(-1, 10.5, 12, 15)).fit(HAND_X, HAND_Y)  # labels 1, 2, 4
    assert model.labels_.tolist() == [0, 1, 2]
    assert model.routes_.tolist() == [0, 0, 0, 1, 2, 3]
    assert model.centroids_.tolist() == [[10], [11], [20]]


@pytest.mark.parametrize(
    "clusterer", [KMeans(4), GaussianMixture(4), make_pipeline(PCA(4, svd_solver="full"), KMeans(2)), Isodata(4)]
)
def test_too_few_error_cases_are_one_cluster(clusterer):
    model = by_hand(clusterer=clusterer).fit(HAND_X, HAND_Y)
    assert model.clusterer_ is None
    assert model.routes_.tolist() == [0, 0, 0, 1, 1, 1]
    assert model.centroids_.tolist() == [[41 / 3]]


def test_a_pipeline_as_clusterer(blobs):
    X, y, _, _ = blobs
    clusterer = make_pipeline(StandardScaler(), PCA(2), KMeans(3))
    model = classifier(clusterer=clusterer).fit(X, y)
    np.testing.assert_array_equal(model.labels_, model.clusterer_.predict(X[model.errors_]))
    means = [X[model.errors_][model.labels_ == k].mean(axis=0) for k in range(3)]  # in the space, not in the pipeline's
    np.testing.assert_allclose(model.centroids_, means)


def test_a_frozen_clusterer_keeps_its_clusters(blobs):
    X, y, X_test, y_test = blobs
    model = classifier().fit(X, y)
    expected = model.clusterer_.predict(X_test)
    other = clone(model).set_params(clusterer=FrozenEstimator(model.clusterer_)).fit(X_test, y_test)
    np.testing.assert_array_equal(other.labels_, expected[other.errors_])


def test_experts_are_clones_trained_on_their_cluster(blobs):
    X, y, X_test, _ = blobs
    asked = []

    def expert(n_clusters):
        asked.append(n_clusters)
        return GaussianNB()

    for choice, estimator in (
        (None, DecisionTreeClassifier(max_depth=3)),
        (GaussianNB(), GaussianNB()),
        (expert, GaussianNB()),
    ):
        model = classifier(expert=choice).fit(X, y)
        for k, trained in enumerate(model.experts_):
            mine = model.routes_ == 1 + k
            assert type(trained) is type(estimator)
            alone = clone(estimator).set_params(**trained.get_params()).fit(X[mine], y[mine])
            np.testing.assert_array_equal(trained.predict_proba(X_test), alone.predict_proba(X_test))
    assert asked == [3]


def test_nothing_to_reflect_on(blobs):
    X, y, X_test, y_test = blobs
    never = classifier(errors=np.zeros(len(y), dtype=bool), expert=lambda n_clusters: 1 / n_clusters).fit(X, y)
    memory = classifier(estimator=DecisionTreeClassifier()).fit(X, y)
    for model in (never, memory):
        assert model.summary_ == {"n_samples": 200, "n_errors": 0, "n_noise": 0, "sizes": [], "constant": []}
        assert model.experts_ == []
        assert model.clusterer_ is None
        assert len(model.labels_) == len(model.centroids_) == model.routes_.max() == 0
        np.testing.assert_array_equal(model.predict(X_test), model.general_.predict(X_test))
        np.testing.assert_array_equal(model.predict_proba(X_test), model.general_.predict_proba(X_test))
        assert model.predict_each(X_test).shape == (200, 1)
    assert memory.assign(X_test, y_test).tolist() == [0] * 200
    linear = regressor(estimator=DummyRegressor()).fit(X, np.ones(len(X)))  # answered exactly
    assert linear.summary_["n_errors"] == 0
    assert linear.predict(X_test).tolist() == [1] * 200


def test_one_error():
    model = by_hand(errors=HAND_X[:, 0] == 11, clusterer=DBSCAN()).fit(HAND_X, HAND_Y)
    assert model.clusterer_ is None
    assert model.summary_ == {"n_samples": 6, "n_errors": 1, "n_noise": 0, "sizes": [1], "constant": [True]}
    assert model.predict(HAND_X).tolist() == [5, 5, 5, 5, 14, 5]


def test_one_cluster(waves):
    X, y = waves
    model = regressor(clusterer=KMeans(1)).fit(X, y)
    assert model.summary_["sizes"] == [40]
    np.testing.assert_array_equal(model.routes_, model.errors_.astype(int))


def test_every_sample_an_error(waves):
    X, y = waves
    alone = regressor(errors=np.ones(80, dtype=bool), clusterer=KMeans(1), gate=LogisticRegression()).fit(X, y)
    assert alone.route(X).tolist() == [1] * 80
    np.testing.assert_array_equal(alone.predict(X), alone.experts_[0].predict(X))
    several = regressor(errors=np.ones(80, dtype=bool)).fit(X, y)
    assert set(several.route(X)) == {1, 2, 3}


def test_one_class_in_each_cluster(blobs):
    X, y, X_test, _ = blobs
    model = classifier(clusterer=KMeans(4), space="output").fit(X, y)
    assert model.summary_["constant"] == [True] * 4
    assert sorted(model.predict_each(X_test)[0, 1:]) == [0, 1, 2, 3]
    np.testing.assert_array_equal(model.predict_proba_each(X_test)[0, 1:].sum(axis=0), [1, 1, 1, 1])


def test_a_cluster_too_small_to_train_on():
    # Clusters {10, 11}, {20, 21, 22}: three nearest neighbours find only when asked that two samples are too few.
    X = np.array([[0.0], [1], [2], [3], [4], [10], [11], [20], [21], [22]])
    y = np.array([0.0, 0, 0, 0, 0, 8, 10, 7, 8, 9])
    parts = {"estimator": DummyRegressor(strategy="constant", constant=0.0), "clusterer": Cut(15)}
    with pytest.warns(
        UserWarning, match="Expert 1 is a constant: its 2 error cases cannot train it .ValueError.*n_neighb"
    ):
        model = regressor(**parts, expert=KNeighborsRegressor(3)).fit(X, y)
    assert model.summary_["constant"] == [True, False]
    assert model.predict([[10], [11], [21]]).tolist() == [9, 9, 8]
    with pytest.warns(UserWarning, match="Expert 1 .*ArithmeticError.*three samples at least"):
        assert regressor(**parts, expert=Fragile()).fit(X, y).summary_["constant"] == [True, True]  # 2 is one by itself


def test_early_stopping_on_three_samples_leaves_the_majority():
    X = np.arange(30.0)[:, None]
    y = np.array(["a"] * 27 + ["b", "c", "c"])
    general, expert = DummyClassifier(strategy="most_frequent"), MLPClassifier(2, early_stopping=True)
    with pytest.warns(UserWarning, match="Expert 1 is a constant: its 3 error cases"):
        model = classifier(estimator=general, expert=expert, clusterer=KMeans(1)).fit(X, y)
    assert model.predict(X[-3:]).tolist() == ["c", "c", "c"]
    np.testing.assert_allclose(model.predict_proba(X[-1:]), [[0, 1 / 3, 2 / 3]])


def test_all_clusters_too_small_is_no_crash_but_a_faulty_expert_is_one(waves):
    parts = {"errors": 0.05, "clusterer": KMeans(2)}  # four error cases
    with pytest.warns(UserWarning, match="error cases cannot train it") as caught:
        model = regressor(**parts, expert=KNeighborsRegressor(5)).fit(*waves)
    assert model.summary_["constant"] == [True, True]
    assert len(caught) == sum(size > 1 for size in model.summary_["sizes"]) > 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match="'C' parameter of SVR must be"):
            regressor(expert=SVR(C=-1)).fit(*waves)
        with pytest.raises(AttributeError, match="no attribute 'predict'"):
            regressor(expert=StandardScaler()).fit(*waves)


# -- answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [regressor, classifier])
def test_predict_is_the_routed_column_of_predict_each(make, blobs):
    X, y, X_test, _ = blobs
    model = make(gate=DecisionTreeClassifier(max_depth=4)).fit(X, y)
    routes, each = model.route(X_test), model.predict_each(X_test)
    assert set(routes) == {0, 1, 2, 3}
    assert each.shape == (200, 4)
    np.testing.assert_array_equal(model.predict(X_test), pick(each, routes))
    for k, network in enumerate(model.networks_):
        np.testing.assert_array_equal(each[:, k], network.predict(X_test))
    if make is classifier:
        each = model.predict_proba_each(X_test)
        assert each.shape == (200, 4, 4)
        np.testing.assert_array_equal(model.predict_proba(X_test), pick(each, routes))
        np.testing.assert_array_equal(model.classes_[each.argmax(axis=2)], model.predict_each(X_test))
    shuffled = np.random.default_rng(0).permutation(200)
    np.testing.assert_array_equal(model.predict(X_test[shuffled]), model.predict(X_test)[shuffled])


def test_answers_of_several_types_are_not_cut():
    X, y = np.arange(4.0)[:, None], np.array(["a", "a", "long", "longer"])
    model = classifier(estimator=DummyClassifier(strategy="most_frequent"), clusterer=Cut(2.5)).fit(X, y)
    assert model.predict(X).tolist() == y.tolist()
    integers = by_hand().set_params(estimator=DummyRegressor(strategy="constant", constant=5)).fit(HAND_X, HAND_Y + 0.5)
    assert integers.predict(HAND_X[3:]).tolist() == [12.5, 14.5, -8.5]


def test_networks_that_answer_with_columns(waves):
    X, y = waves
    model = regressor(estimator=Column(max_depth=2)).fit(X, y)
    np.testing.assert_array_equal(model.predict_each(X), regressor().fit(X, y).predict_each(X))
    np.testing.assert_array_equal(model.predict(X), regressor().fit(X, y).predict(X))


def test_probabilities_only_where_all_networks_have_them(blobs):
    X, y, _, _ = blobs
    assert not hasattr(classifier(estimator=LinearSVC()), "predict_proba")
    assert not hasattr(classifier(estimator=LinearSVC()).fit(X, y), "predict_proba")
    assert not hasattr(classifier(expert=LinearSVC()).fit(X, y), "predict_proba_each")
    assert hasattr(classifier(estimator=RandomForestClassifier()), "predict_proba")
    assert hasattr(ErrorReflectionClassifier(), "predict_proba")
    assert not hasattr(regressor(), "predict_proba")


# -- the protocols of the image study, each one line -----------------------------------------------


def honest(model, X, y):
    return model.predict(X) == y


def error_oracle(model, X, y):
    return pick(model.predict_each(X), np.where(model.assign(X, y) > 0, model.route(X), 0)) == y


def cluster_oracle(model, X, y):
    return pick(model.predict_each(X), model.assign(X, y)) == y


def any_right(model, X, y):
    return (model.predict_each(X) == y[:, None]).any(axis=1)


def test_protocols(blobs):
    X, y, X_test, y_test = blobs
    general = FrozenEstimator(DecisionTreeClassifier(max_depth=4, random_state=0).fit(X, y))
    model = classifier(estimator=general, gate=KNeighborsClassifier(3)).fit(X, y)
    right = general.predict(X_test) == y_test
    told = error_oracle(model, X_test, y_test)
    clustered, anyone = cluster_oracle(model, X_test, y_test), any_right(model, X_test, y_test)
    # Sample by sample: an oracle that keeps right answers loses none; told where the network is wrong, the honest gate
    # can only do less harm; and nobody beats all networks together.
    assert np.all(right <= told) and np.all(right <= clustered)
    assert np.all(honest(model, X_test, y_test) <= told)
    for answers in (right, honest(model, X_test, y_test), told, clustered):
        assert np.all(answers <= anyone)
    assert honest(model, X_test, y_test).mean() < told.mean() < anyone.mean() < 1
    # With one cluster the route is known as soon as the error is.
    one = clone(model).set_params(clusterer=KMeans(1)).fit(X, y)
    np.testing.assert_array_equal(cluster_oracle(one, X_test, y_test), any_right(one, X_test, y_test))
    # Clusters of labels name the label: the oracle is perfect, and has learned nothing.
    leak = clone(model).set_params(space="output", clusterer=KMeans(4)).fit(X, y)
    assert cluster_oracle(leak, X_test, y_test).all()
    assert honest(leak, X_test, y_test).mean() < 0.9


def test_test_leak(blobs):
    X, y, X_test, y_test = blobs
    general = FrozenEstimator(DecisionTreeClassifier(max_depth=4, random_state=0).fit(X, y))
    model = classifier(estimator=general, expert=DecisionTreeClassifier()).fit(X, y)
    leak = clone(model).fit(X_test, y_test)
    np.testing.assert_array_equal(leak.errors_, general.predict(X_test) != y_test)
    assert leak.score(X_test, y_test) == 1  # experts and gate know the answers by heart
    assert model.score(X, y) == 1  # as they do on the training data
    assert model.score(X_test, y_test) < 0.9
    # Three switches. Clusters of the training data with experts of the test data, and the routes of either gate:
    mixed = clone(model).set_params(clusterer=FrozenEstimator(model.clusterer_)).fit(X_test, y_test)
    assert len(mixed.experts_) == len(model.experts_)
    assert (pick(mixed.predict_each(X_test), mixed.route(X_test)) == y_test).all()
    assert (pick(mixed.predict_each(X_test), model.route(X_test)) == y_test).mean() < 1


def test_soft_mixture_of_a_hard_gate_is_the_method(blobs):
    X, y, X_test, _ = blobs
    model = classifier().fit(X, y)
    mixture = np.einsum("nk,nkc->nc", model.gate_.predict_proba(X_test), model.predict_proba_each(X_test))
    np.testing.assert_allclose(mixture, model.predict_proba(X_test))


# -- a scikit-learn estimator ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        ErrorReflectionRegressor(LinearRegression(), clusterer=KMeans(2)),
        ErrorReflectionRegressor(DecisionTreeRegressor(max_depth=3), clusterer=Isodata(2)),
        ErrorReflectionClassifier(DecisionTreeClassifier(max_depth=2), clusterer=KMeans(2)),
    ],
    ids=["linear", "tree", "classifier"],
)
def test_all_estimator_checks_of_scikit_learn(model, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # clusters of one distinct point, and the like
        results = check_estimator(model, on_skip=None, on_fail=None)
    passed, skipped = ([r["check_name"] for r in results if r["status"] == s] for s in ("passed", "skipped"))
    with capsys.disabled():
        print(f"\n{type(model).__name__}: {len(passed)} estimator checks pass, skipped: {', '.join(skipped) or 'none'}")
    assert [r["check_name"] for r in results if r["status"] not in ("passed", "skipped")] == []
    assert len(passed) >= 45
    assert all("array" in name for name in skipped)  # without pandas, or without SCIPY_ARRAY_API=1


def test_parameters_are_kept_as_they_are():
    given = {
        "errors": [True, False],
        "space": lambda *a: None,
        "cv": KFold(2),
        "random_state": np.random.RandomState(0),
    }
    parts = {"expert": LinearRegression(), "clusterer": KMeans(2), "gate": GaussianNB(), **given}
    model = ErrorReflectionRegressor(LinearRegression(), **parts)
    for name, value in parts.items():
        assert getattr(model, name) is value
    assert set(model.get_params(deep=False)) == {"estimator", *parts}
    assert model.set_params(clusterer__n_clusters=5).clusterer.n_clusters == 5
    assert ErrorReflectionRegressor().get_params() == {**dict.fromkeys(model.get_params(deep=False)), "space": "input"}


def test_fit_leaves_the_parameters_untouched(waves):
    parts = {
        "estimator": RandomForestRegressor(2),
        "clusterer": KMeans(3),
        "gate": GaussianNB(),
        "expert": LinearRegression(),
    }
    model = regressor(**parts, random_state=1).fit(*waves)
    for name, part in parts.items():
        assert getattr(model, name) is part
        assert not [a for a in vars(part) if a.endswith("_") and not a.startswith("_")]
    assert model.estimator.random_state is None


@pytest.mark.parametrize("make", [regressor, classifier])
def test_pickle_and_clone(make, blobs):
    X, y, X_test, _ = blobs
    model = make().fit(X, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_each(X_test), model.predict_each(X_test))
    np.testing.assert_array_equal(clone(model).fit(X, y).predict_each(X_test), model.predict_each(X_test))
    assert "general_" not in vars(clone(model))


@pytest.mark.parametrize(
    "method", ["predict", "predict_each", "route", "assign", "predict_proba", "predict_proba_each"]
)
def test_not_fitted(method):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(classifier(), method)(*([[0.0]], [0])[: 1 + (method == "assign")])


def test_in_a_pipeline_and_a_grid_search(blobs):
    X, y, X_test, y_test = blobs
    pipeline = make_pipeline(StandardScaler(), classifier()).fit(X, y)
    scaled = classifier().fit(StandardScaler().fit_transform(X), y)
    np.testing.assert_array_equal(pipeline.predict(X_test), scaled.predict(StandardScaler().fit(X).transform(X_test)))
    grid = {"clusterer__n_clusters": [1, 3], "estimator__max_depth": [1, 6], "space": ["input", "both"]}
    search = GridSearchCV(classifier(), grid, cv=2).fit(X, y)
    assert len(set(search.cv_results_["mean_test_score"])) > 4
    assert search.best_estimator_.general_.max_depth == 6
    search = GridSearchCV(regressor(), {"errors": [0.1, 0.9, lambda y, p: y > p], "gate": [None, GaussianNB()]}, cv=2)
    assert len(set(search.fit(X, y).cv_results_["mean_test_score"])) == 6
    assert cross_val_score(classifier(), X, y, cv=2, scoring="roc_auc_ovr").min() > 0.5


@pytest.mark.parametrize(
    "boosting", [GradientBoostingRegressor(n_estimators=5), HistGradientBoostingRegressor(max_iter=5)]
)
def test_gradient_boosting(boosting, waves):
    X, y = waves
    model = regressor(estimator=boosting).fit(X, y)
    assert model.score(X, y) > model.general_.score(X, y)
    assert {type(expert) for expert in model.experts_} == {type(boosting)}


def test_missing_values_where_the_parts_take_them(blobs):
    X, y, _, _ = blobs
    X = np.where(np.random.default_rng(0).random(X.shape) < 0.05, np.nan, X)
    boosting = HistGradientBoostingClassifier(max_iter=2, max_depth=2)
    model = classifier(estimator=boosting, space="output", gate=DecisionTreeClassifier()).fit(X, y)
    assert model.score(X, y) > model.general_.score(X, y)
    with pytest.raises(ValueError, match="contains NaN"):
        classifier(estimator=boosting, gate=boosting).fit(X, y)


def test_defaults():
    x = np.linspace(-1, 1, 30)
    X, y, names = x[:, None], np.where(x < 0, x, 2 - x), np.where(abs(x) < 0.3, "near", "far")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a perceptron says that it has not converged
        regression = ErrorReflectionRegressor(random_state=0).fit(X, y)
        classification = ErrorReflectionClassifier(random_state=0, errors=names == "near").fit(X, names)
    for model, target in ((regression, y), (classification, names)):
        assert isinstance(model.clusterer_, Isodata)
        assert isinstance(model.gate_, KNeighborsClassifier)
        assert model.score(X, target) >= model.general_.score(X, target)
    assert regression.score(X, y) > regression.general_.score(X, y)


# -- data are measured and indexed, never converted ------------------------------------------------


class Table:
    """As much of a data frame as scikit-learn's indexing needs."""

    def __init__(self, values):
        self.values = np.asarray(values)
        self.shape, self.ndim = self.values.shape, self.values.ndim

    def __len__(self):
        return len(self.values)

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype=dtype)

    def take(self, rows, axis=0):
        return Table(np.take(self.values, rows, axis=axis))

    @property
    def iloc(self):
        return self

    def __getitem__(self, rows):
        return Table(self.values[rows])


@pytest.mark.parametrize(
    ("convert", "seen"),
    [
        (lambda images: images, ("ndarray", "uint8", 3)),
        (lambda images: images.reshape(len(images), -1).tolist(), ("list", "None", 2)),
        (lambda images: Table(images.reshape(len(images), -1)), ("Table", "None", 2)),
    ],
    ids=["images", "lists", "table"],
)
@pytest.mark.parametrize("space", ["input", "output", "both"])
def test_the_parts_see_x_as_it_is(convert, seen, space):
    rng = np.random.default_rng(0)
    images, y = rng.integers(0, 256, (60, 4, 4), dtype=np.uint8), rng.integers(0, 6, 60)
    model = classifier(
        estimator=Witness(DecisionTreeClassifier(max_depth=2)), gate=Witness(KNeighborsClassifier(1)), space=space
    )
    X = convert(images)
    model.fit(X, y).predict(X)
    model.assign(X, y)
    assert len(model.experts_) == 3
    for part in (model.general_, model.gate_, *(e for e in model.experts_ if isinstance(e, Witness))):
        assert set(part.seen_) == {seen}
    plain = classifier(gate=KNeighborsClassifier(1), estimator=DecisionTreeClassifier(max_depth=2), space=space)
    flat = images.reshape(60, -1)
    np.testing.assert_array_equal(model.predict_each(X), plain.fit(flat, y).predict_each(flat))


def test_texts():
    X = ["red fox", "red dog", "blue sky", "blue sea", "green tree", "green leaf"]
    y = ["animal", "animal", "place", "place", "plant", "plant"]
    network = make_pipeline(CountVectorizer(), DecisionTreeClassifier(max_depth=1))
    gate = make_pipeline(
        CountVectorizer(), FunctionTransformer(lambda counts: counts.toarray()), KNeighborsClassifier(1)
    )
    model = classifier(estimator=network, gate=gate, space="output", clusterer=KMeans(1)).fit(X, y)
    assert model.predict(X).tolist() == y
    with pytest.raises(ValueError, match="Expected 2D array|strings"):
        classifier(estimator=network, gate=gate).fit(X, y)


def test_sparse_inputs_where_the_space_does_not_need_them_dense(blobs):
    X, y, X_test, _ = blobs
    dense, sparse = (classifier(space="output").fit(form(X), y) for form in (np.asarray, csr_array))
    np.testing.assert_array_equal(dense.predict(X_test), sparse.predict(csr_array(X_test)))
    dot = classifier(space=lambda general, X, y: X @ np.eye(6, 2)).fit(csr_array(X), y)
    assert dot.centroids_.shape == (3, 2)
    for space in ("input", "both"):
        with pytest.raises(TypeError, match="Sparse data was passed for space, but dense data is required"):
            classifier(estimator=DecisionTreeClassifier(), space=space).fit(csr_array(X), y)


def test_data_frames(blobs):
    pandas = pytest.importorskip("pandas")
    X, y, X_test, _ = blobs
    frame, frame_test = (pandas.DataFrame(values, columns=list("abcdef")) for values in (X, X_test))
    with config_context(transform_output="pandas"):
        parts = {
            "clusterer": make_pipeline(StandardScaler(), PCA(2), KMeans(3)),
            "estimator": DecisionTreeClassifier(max_depth=3),
        }
        model = classifier(**parts).fit(frame, pandas.Series(y))
        np.testing.assert_array_equal(model.predict(frame_test), classifier(**parts).fit(X, y).predict(X_test))
    assert model.feature_names_in_.tolist() == list("abcdef")
    assert all(part.feature_names_in_.tolist() == list("abcdef") for part in (*model.networks_, model.gate_))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame_test[list("fedcba")])


def test_output_of_transformers_may_be_data_frames(blobs):
    pytest.importorskip("pandas")
    X, y, _, _ = blobs
    with config_context(transform_output="pandas"):
        scaler = StandardScaler().fit(X)
        model = classifier(space=lambda general, X, y: scaler.transform(X)).fit(X, y)
    assert isinstance(model.centroids_, np.ndarray)


def test_targets_of_all_kinds(blobs):
    X, y, X_test, _ = blobs
    plain = classifier().fit(X, y).predict(X_test)
    names = np.array(["no", "one", "two", "three or more"])
    for labels in (names[y], names[y].astype(object), list(names[y])):
        model = classifier().fit(X, labels)
        assert sorted(model.classes_) == sorted(names)
        assert model.errors_.tolist() == classifier().fit(X, y).errors_.tolist()
    assert set(model.predict(X_test)) <= set(names)
    with pytest.warns(DataConversionWarning, match="A column-vector y was passed"):
        assert classifier().fit(X, y[:, None]).predict(X_test).tolist() == plain.tolist()
    with pytest.warns(DataConversionWarning, match="A column-vector y was passed"):
        regressor().fit(X, y[:, None])


# -- bad input: one clear sentence -----------------------------------------------------------------

FOUR = ([[0.0], [1], [2], [3]], [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"errors": 1.5}, r"errors=1.5 is no share in \(0, 1\]"),
        ({"errors": 0}, r"errors=0 is no share in \(0, 1\]"),
        ({"errors": -0.5}, "errors=-0.5 is no share"),
        ({"errors": float("nan")}, "errors=nan is no share"),
        (
            {"errors": [True, False]},
            r"errors has shape \(2,\) and type bool, and needs a boolean for each of 4 samples",
        ),
        ({"errors": [1, 0, 1, 0]}, "type int64, and needs a boolean for each of 4 samples"),
        ({"errors": [[True], [False], [True], [False]]}, r"errors has shape \(4, 1\) and type bool"),
        ({"errors": "worst"}, r"errors has shape \(\) and type <U5, and needs a boolean"),
        ({"errors": lambda y, prediction: np.abs(y - prediction)}, r"type float64, and needs a boolean"),
        ({"space": "inputs"}, r"space='inputs' is none of 'input', 'output', 'both' and callable\(general, X, y\)"),
        ({"space": lambda general, X, y: np.zeros((9, 2))}, r"inconsistent numbers of samples: \[9, "),
        ({"space": lambda general, X, y: np.zeros(len(X))}, "Expected 2D array, got 1D array"),
        (
            {"space": lambda general, X, y: np.array([["red"]] * len(X))},
            "could not convert string to float: .*red|strings",
        ),
        ({"random_state": "today"}, "'today' cannot be used to seed"),
        ({"random_state": -1}, "non-negative"),
        (
            {"estimator": DecisionTreeClassifier()},
            r"DecisionTreeClassifier\(\) is a classifier, where a regressor is needed",
        ),
        ({"expert": LogisticRegression()}, r"LogisticRegression\(\) is a classifier, where a regressor is needed"),
        ({"expert": lambda n: LogisticRegression()}, r"LogisticRegression\(\) is a classifier, where a regressor"),
        ({"gate": LinearRegression()}, r"LinearRegression\(\) is a regressor, where a classifier is needed"),
        ({"cv": 9}, "Cannot have number of splits n_splits=9 greater than the number of samples"),
        ({"estimator": FrozenEstimator(LinearRegression())}, "not fitted yet"),
    ],
)
def test_settings_that_cannot_work(settings, words):
    with pytest.raises(ValueError, match=words) as error:
        regressor(**{"estimator": DummyRegressor(), **settings}).fit(*FOUR)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"errors": 0.5}, "errors=0.5 is no share in .* of a regressor's training samples"),
        ({"estimator": LinearRegression()}, r"LinearRegression\(\) is a regressor, where a classifier is needed"),
        ({"expert": DummyRegressor()}, r"DummyRegressor\(\) is a regressor, where a classifier is needed"),
    ],
)
def test_settings_that_do_not_suit_classification(settings, words):
    with pytest.raises(ValueError, match=words):
        classifier(**{"estimator": DummyClassifier(), **settings}).fit(*FOUR)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"errors": [True] * 3}, "needs a boolean"),
        ({"errors": 2}, "no share"),
        ({"space": "x"}, "is none of"),
        ({"space": "both"}, "strings"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_trained(settings, words):
    class Never(DummyRegressor):
        def fit(self, X, y):
            raise AssertionError("trained")

    X = [["red"], ["green"], ["blue"], ["red"]] if words == "strings" else FOUR[0]
    with pytest.raises(ValueError, match=words):
        regressor(estimator=Never(), **settings).fit(X, FOUR[1])


@pytest.mark.parametrize("name", ["estimator", "expert", "clusterer", "gate"])
@pytest.mark.parametrize(
    ("part", "words"), [("network", "Cannot clone object .*network"), (KMeans, "instance .*class")]
)
def test_parts_that_are_no_estimators(name, part, words):
    with pytest.raises(TypeError, match=words):
        regressor(**{"estimator": DummyRegressor(), name: part}).fit(*FOUR)


@pytest.mark.parametrize(
    ("X", "y", "words"),
    [
        ([[0.0], [1], [2]], [0, 1], r"inconsistent numbers of samples: \[3, 2\]"),
        ([[0.0], [1], [2]], [[0, 1]] * 3, r"y should be a 1d array, got an array of shape \(3, 2\)"),
        ([[0.0], [1], [2]], [0, np.nan, 1], "Input y contains NaN"),
        ([[0.0], [1], [2]], [0, np.inf, 1], "Input y contains infinity"),
        ([[0.0], [1], [2]], ["a", "b", "c"], "strings"),
        ([[0.0], [1], [2]], None, "requires y to be passed"),
        ([[0.0], [np.nan], [2]], [0, 1, 2], "Input X contains NaN"),
        (np.empty((0, 2)), [], "0 sample"),
        ([["red"], ["green"], ["blue"]], [0, 1, 2], "could not convert string to float|strings"),
    ],
)
def test_data_that_cannot_work(X, y, words):
    with pytest.raises(ValueError, match=words):
        regressor(estimator=LinearRegression()).fit(X, y)


def test_new_data_that_cannot_work(waves):
    X, y = waves
    model = regressor().fit(X, y)
    for ask in (model.predict, model.predict_each, model.route, lambda X: model.assign(X, y)):
        with pytest.raises(ValueError, match="X has 3 features, but .* is expecting 2 features"):
            ask(np.ones((80, 3)))
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[80, 79\]"):
        model.assign(X, y[1:])
    with pytest.raises(ValueError, match="strings"):
        model.assign(X, ["a"] * 80)


def test_classes_are_not_numbers_on_a_line():
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        classifier().fit([[0.0], [1], [2]], [0.1, 0.2, 0.3])


def test_the_examples_of_the_docstrings_hold():
    assert doctest.testmod(errref.reflection).failed == 0
    for model in (ErrorReflectionRegressor, ErrorReflectionClassifier):
        for name in (*model().get_params(), "general_", "errors_", "labels_", "centroids_", "routes_", "summary_"):
            assert name in model.__doc__
