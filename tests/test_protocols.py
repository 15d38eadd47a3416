"""Each protocol of the image study picks what its docstring says, and sees no label that it must not see."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score, top_k_accuracy_score
from sklearn.tree import DecisionTreeClassifier

from errref import protocols
from errref.protocols import Look, pick
from errref.reflection import ErrorReflectionClassifier

CLASSES = np.arange(3)


def one_hot(answers, confidence=1.0):
    """Probabilities that make these the most probable of three classes."""
    rest = (1 - confidence) / 2
    return np.where(np.eye(3)[np.asarray(answers)] == 1, confidence, rest)


@pytest.fixture
def seen():
    """Six samples, two experts: the general network is right on the first three."""
    y = np.array([0, 1, 2, 0, 1, 2])
    each = np.array([[0, 1, 1], [1, 1, 0], [2, 0, 1], [1, 0, 2], [2, 0, 1], [0, 1, 1]])
    gate = np.array([[0.5, 0.3, 0.2], [0.4, 0.6, 0], [0.2, 0.3, 0.5], [0.3, 0.5, 0.2], [0.6, 0.1, 0.3], [0.9, 0, 0.1]])
    confidence = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])[:, None, None]
    return Look(y, one_hot(each, confidence), each, gate, assigned=np.array([0, 0, 0, 2, 1, 2]))


def random_look(seed, n=200, K=3):
    rng = np.random.default_rng(seed)
    y, proba = rng.integers(0, 3, n), rng.dirichlet(np.ones(3), (n, 1 + K))
    each, gate = proba.argmax(axis=2), rng.dirichlet(np.ones(1 + K), n)
    return Look(y, proba, each, gate, np.where(each[:, 0] == y, 0, rng.integers(1, 1 + K, n)))


# -- what is picked ----------------------------------------------------------------------------------------------------


def test_every_protocol_by_hand(seen):
    assert seen.general.tolist() == [0, 1, 2, 1, 2, 0]
    assert seen.wrong.tolist() == [False, False, False, True, True, True]
    assert protocols.best_expert(seen).tolist() == [1, 1, 2, 1, 2, 2]
    assert protocols.honest(seen).tolist() == [0, 1, 1, 0, 2, 0]
    assert protocols.error_oracle(seen).tolist() == [0, 1, 2, 0, 1, 1]
    assert protocols.cluster_oracle(seen).tolist() == [0, 1, 2, 2, 0, 1]
    assert protocols.any_right(seen.each, seen.y).tolist() == [True, True, True, True, True, False]
    # thresholds: below 0.65 only the last three are unsure
    assert protocols.confidence_threshold(seen, 0.65).tolist() == [0, 1, 2, 0, 1, 1]
    assert protocols.confidence_threshold(seen, 0.75).tolist() == [0, 1, 1, 0, 1, 1]
    # a bias of log 2 doubles the general network's odds, to 0.8 : 0.6 in sample 1, 0.4 : 0.5 in 2, 0.6 : 0.5 in 3
    assert protocols.gate_bias(seen, np.log(2)).tolist() == [0, 1, 1, 1, 2, 0]
    # and one of -log 3 takes a third, 0.5 / 3 : 0.3 in sample 0, 0.6 / 3 : 0.3 in 4, but 0.9 / 3 : 0.1 in 5
    assert protocols.gate_bias(seen, -np.log(3)).tolist() == [1, 1, 1, 0, 1, 0]


def test_the_soft_mixture_weighs_by_the_gate():
    proba = np.array([[[0.6, 0.4, 0], [0, 0.5, 0.5]]])
    for gate, answer in ((0.9, 0), (0.6, 1)):  # 0.54 : 0.41 : 0.05 and 0.36 : 0.44 : 0.2
        found = Look(np.array([0]), proba, proba.argmax(axis=2), np.array([[gate, 1 - gate]]), np.array([0]))
        assert protocols.soft_mixture(found, np.array([7, 8, 9])).tolist() == [7 + answer]


def test_pick_takes_the_answer_on_the_route():
    assert pick(np.array([[1, 2], [3, 4], [5, 6]]), np.array([1, 0, 1])).tolist() == [2, 3, 6]


@pytest.mark.parametrize("seed", range(5))
def test_no_bias_is_honest_and_no_threshold_is_the_general_network_alone(seed):
    found = random_look(seed)
    np.testing.assert_array_equal(protocols.gate_bias(found, 0), protocols.honest(found))
    np.testing.assert_array_equal(protocols.confidence_threshold(found, 0), found.general)
    np.testing.assert_array_equal(protocols.gate_bias(found, 1e3), found.general)
    for always in (protocols.gate_bias(found, -1e3), protocols.confidence_threshold(found, 1.1)):
        np.testing.assert_array_equal(always, pick(found.each, protocols.best_expert(found)))


@pytest.mark.filterwarnings("error")
def test_routes_that_the_gate_excludes_stay_excluded():
    each = np.array([[0, 1, 2]])
    found = Look(np.array([0]), one_hot(each), each, np.array([[0.0, 0.0, 1.0]]), np.array([0]))
    assert protocols.gate_bias(found, 3.0).tolist() == protocols.honest(found).tolist() == [2]


def test_without_experts_everything_is_the_general_network():
    y, each = np.array([0, 1]), np.array([[0], [0]])
    found = Look(y, one_hot(each), each, np.ones((2, 1)), np.zeros(2, dtype=int))
    ways = [protocols.honest, protocols.error_oracle, protocols.cluster_oracle, lambda s: protocols.gate_bias(s, -3)]
    ways += [lambda s: protocols.confidence_threshold(s, 2), lambda s: protocols.soft_mixture(s, CLASSES)]
    assert [way(found).tolist() for way in ways] == [[0, 0]] * len(ways)
    assert protocols.best_expert(found).tolist() == [0, 0]


# -- who sees what -----------------------------------------------------------------------------------------------------

HONEST = {
    "honest": protocols.honest,
    "soft_mixture": lambda seen: protocols.soft_mixture(seen, CLASSES),
    "gate_bias": lambda seen: protocols.gate_bias(seen, 0.7),
    "confidence_threshold": lambda seen: protocols.confidence_threshold(seen, 0.6),
}
ORACLES = {"error_oracle": protocols.error_oracle, "cluster_oracle": protocols.cluster_oracle}


@pytest.mark.parametrize("name", HONEST)
def test_honest_protocols_see_no_label(name):
    for seed in range(5):
        found = random_look(seed)
        blind = replace(found, y=np.full(200, -1), assigned=np.full(200, -1))
        np.testing.assert_array_equal(HONEST[name](found), HONEST[name](blind))


def test_the_error_oracle_sees_only_whether_the_general_network_is_wrong():
    for seed in range(5):
        found = random_look(seed)
        third = 3 - found.general - found.y  # of the classes 0, 1, 2: neither the answer nor the label
        told = replace(found, y=np.where(found.wrong, third, found.y), assigned=np.full(200, -1))
        np.testing.assert_array_equal(protocols.error_oracle(found), protocols.error_oracle(told))
    wrong_now = replace(found, y=(found.general + 1) % 3)
    assert not np.array_equal(protocols.error_oracle(found), protocols.error_oracle(wrong_now))


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_the_bounds(seed):
    found = random_look(seed)
    right = {name: way(found) == found.y for name, way in (HONEST | ORACLES).items()}
    bound = protocols.any_right(found.each, found.y)
    single = {name: right[name] for name in right if name != "soft_mixture"}  # which may answer what no network does
    assert all((bound | ~answer).all() for answer in single.values())
    for oracle in ORACLES:
        assert (right[oracle] | found.wrong).all(), "an oracle never spoils what the general network knows"
    assert 0 < (bound.sum() - right["error_oracle"].sum()) and right["error_oracle"].sum() > (~found.wrong).sum()


# -- choosing on validation --------------------------------------------------------------------------------------------


def test_the_first_of_the_best_candidates_is_taken(seen):
    def answers(_, value):  # how many of the six are right: 2 value, at most 4
        return np.where(np.arange(6) < min(2 * value, 4), seen.y, -1)

    assert protocols.tune(answers, seen, np.array([0, 1, 3, 2, 4])) == 3
    assert protocols.tune(answers, seen, np.array([2, 3])) == 2
    assert type(protocols.tune(answers, seen, np.array([1]))) is float


def test_a_tuned_protocol_is_at_least_as_good_on_validation_as_the_first_candidate():
    for seed in range(5):
        found = random_look(seed)
        bias = protocols.tune(protocols.gate_bias, found, np.arange(-3, 4))
        best = max(np.mean(protocols.gate_bias(found, value) == found.y) for value in range(-3, 4))
        assert np.mean(protocols.gate_bias(found, bias) == found.y) == best


# -- why it gains what it gains ----------------------------------------------------------------------------------------


@pytest.fixture
def twice(seen):
    """Enough samples for ten bins."""
    return Look(*(np.repeat(part, 2, axis=0) for part in (seen.y, seen.proba, seen.each, seen.gate, seen.assigned)))


def test_the_mechanism_by_hand(twice):
    n = protocols.mechanism(twice)
    # routed: samples 1, 2, 3; the experts are right on 1 and 3; 2 was right before, 3 was wrong
    assert (n["n_routed"], n["n_routed_wrong"], n["n_routed_expert_right"]) == (6, 2, 4)
    assert (n["rescues"], n["harms"]) == (2, 2)
    assert n["gap_share"] == 0 and n["mcnemar"] == 1
    assert n["gate_auroc"] == pytest.approx(roc_auc_score([0, 0, 0, 1, 1, 1], [0.5, 0.6, 0.8, 0.7, 0.4, 0.1])) == 2 / 9
    assert n["confidence_auroc"] == 1


@pytest.mark.parametrize("seed", range(5))
def test_the_mechanism_adds_up(seed):
    found = random_look(seed, n=203)
    n = protocols.mechanism(found)
    gain = np.sum(protocols.honest(found) == found.y) - np.sum(~found.wrong)
    gap = np.sum(protocols.error_oracle(found) == found.y) - np.sum(~found.wrong)
    assert n["rescues"] - n["harms"] == gain
    assert n["gap_share"] == pytest.approx(gain / gap)
    low = min(n["rescues"], n["harms"])
    two_sided = 2 * binom.cdf(low, n["rescues"] + n["harms"], 0.5)
    assert n["mcnemar"] == pytest.approx(min(1, two_sided))
    sizes = np.array([21] * 3 + [20] * 7)  # of the ten bins of 203 samples
    for name, total in (
        ("estimate", np.sum(1 - found.gate[:, 0])),
        ("general_wrong", found.wrong.sum()),
        ("expert_right", np.sum(pick(found.each, protocols.best_expert(found)) == found.y)),
    ):
        assert sizes @ [n[f"{name}_{k}"] for k in range(10)] == pytest.approx(total), name
    estimates = [n[f"estimate_{k}"] for k in range(10)]
    assert estimates == sorted(estimates) and estimates[0] < estimates[-1]
    assert all(np.isfinite(value) for value in n.values())


def test_a_gate_that_never_routes_gains_nothing(twice):
    n = protocols.mechanism(replace(twice, gate=np.tile([1.0, 0, 0], (12, 1))))
    assert (n["n_routed"], n["rescues"], n["harms"], n["gap_share"], n["mcnemar"]) == (0, 0, 0, 0, 1)
    useless = replace(twice, each=np.repeat(twice.each[:, :1], 3, axis=1))
    assert protocols.mechanism(useless)["gap_share"] == 0, "there is no gap, where no expert knows better"


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_top_classes_are_those_of_scikit_learn(k):
    rng = np.random.default_rng(0)
    proba, y = rng.dirichlet(np.ones(5), 300), rng.integers(0, 5, 300)
    classes = np.array([3, 5, 6, 8, 9])
    expected = top_k_accuracy_score(y, proba, k=k, labels=np.arange(5))
    assert protocols.top(k, proba, classes[y], classes) == pytest.approx(expected)


# -- spaces ------------------------------------------------------------------------------------------------------------


class Echo:
    """A network that answers the first column, and has two features."""

    def predict(self, X):
        return X[:, 0]

    def embed(self, X):
        return X[:, 1:3]


def test_spaces():
    X = np.array([[3, 5, 6, 0], [9, 7, 8, 0]])
    pairs = protocols.label_pairs(Echo(), X, np.array([1, 0]))
    assert pairs.shape == (2, 20) and pairs.sum() == 4
    assert [np.flatnonzero(row).tolist() for row in pairs] == [[1, 10 + 3], [0, 10 + 9]]
    assert protocols.features(Echo(), X, None).tolist() == [[5, 6], [7, 8]]


# -- fitted models -----------------------------------------------------------------------------------------------------


def blobs(seed, n=400):
    X, y = make_blobs(n, centers=9, cluster_std=1.2, center_box=(-6, 6), random_state=7)
    rng = np.random.default_rng(seed)
    return X + rng.normal(scale=0.2, size=X.shape), y % 3


@pytest.fixture(scope="module")
def fitted():
    train = blobs(0)
    stump = DecisionTreeClassifier(max_depth=2, random_state=0)
    model = ErrorReflectionClassifier(
        FrozenEstimator(stump.fit(*train)),
        expert=DecisionTreeClassifier(max_depth=3),
        gate=DecisionTreeClassifier(max_depth=4),
        clusterer=KMeans(3, n_init=1),
        random_state=0,
    )
    return model.fit(*train)


def test_a_look_asks_every_network_and_the_gate(fitted):
    X, y = blobs(1)
    gate = fitted.gate_.predict_proba(X)  # before anybody has looked at the labels of these samples
    found = protocols.look(fitted, X, y)
    np.testing.assert_array_equal(found.each, fitted.predict_each(X))
    np.testing.assert_array_equal(found.proba, fitted.predict_proba_each(X))
    np.testing.assert_array_equal(found.gate, gate)
    np.testing.assert_array_equal(found.assigned, fitted.assign(X, y))
    np.testing.assert_array_equal(protocols.honest(found), fitted.predict(X))
    np.testing.assert_array_equal(found.assigned == 0, ~found.wrong)
    assert found.wrong.any() and (found.gate.argmax(axis=1) > 0).any()


class AllButOne(DecisionTreeClassifier):
    """A gate that saw nothing of route 1 when it was trained."""

    def fit(self, X, y):
        return super().fit(X[y != 1], y[y != 1])


def test_a_route_that_the_gate_never_saw_has_no_chance(fitted):
    X, y = blobs(1)
    train = blobs(0)
    model = ErrorReflectionClassifier(**fitted.get_params(deep=False) | {"gate": AllButOne(max_depth=4)}).fit(*train)
    found = protocols.look(model, X, y)
    assert model.gate_.classes_.tolist() == [0, 2, 3] and found.gate.shape == (len(X), 4)
    assert (found.gate[:, 1] == 0).all()
    np.testing.assert_array_equal(found.gate[:, [0, 2, 3]], model.gate_.predict_proba(X))
    np.testing.assert_array_equal(protocols.honest(found), model.predict(X))


def test_constant_experts_know_the_most_frequent_class_of_their_cluster(fitted):
    train, (X, y) = blobs(0), blobs(1)
    found = protocols.look(fitted, X, y)
    modes = [np.bincount(train[1][fitted.errors_][fitted.labels_ == k]).argmax() for k in range(3)]
    numbers = protocols.constant_experts(fitted, found, train[1])
    answers = {
        "constant_error_oracle": [modes[k - 1] for k in protocols.best_expert(found)],
        "constant_cluster_oracle": [modes[k - 1] for k in found.assigned],
    }
    for name, told in answers.items():
        assert numbers[name] == pytest.approx(np.mean(~found.wrong | (np.array(told) == y))), name
    assert numbers["constant_any_right"] == pytest.approx(np.mean(~found.wrong | np.isin(y, modes)))
    assert numbers["constant_error_oracle"] != numbers["constant_cluster_oracle"]


def test_the_fate_of_noise_by_hand():
    routes, errors = np.array([1, 0, 2, 0, 0]), np.array([True, True, True, True, False])
    flipped = np.array([True, True, False, False, False])
    model = SimpleNamespace(route=lambda X: routes, errors_=errors)
    found = protocols.fate_of_noise(model, np.zeros((5, 1)), flipped)
    expected = {
        "noise_among_errors": 2 / 4,
        "errors_among_noise": 2 / 2,
        "errors_among_clean": 2 / 3,
        "routed_among_noise": 1 / 2,
        "routed_among_clean": 1 / 3,
    }
    assert found == pytest.approx(expected)


def test_leaks_have_the_parts_that_their_names_say(fitted):
    data = {"train": blobs(0), "test": blobs(1, 400)}
    models = protocols.leaked(fitted, data["train"], data["test"])
    assert set(models) == {("train", "train"), ("train", "test"), ("test", "train"), ("test", "test")}
    assert models["train", "train"] is fitted
    for (clusters, source), model in models.items():
        X, y = data[source]
        assert model.general_ is fitted.general_ or model.general_.estimator is fitted.general_.estimator
        wrong = fitted.general_.predict(X) != y
        np.testing.assert_array_equal(model.errors_, wrong)
        own = models[clusters, clusters]
        np.testing.assert_array_equal(model.labels_, own.clusterer_.predict(X[wrong]))
        for k, expert in enumerate(model.experts_):
            mine = model.routes_ == 1 + k
            alone = DecisionTreeClassifier(max_depth=3, random_state=expert.random_state).fit(X[mine], y[mine])
            np.testing.assert_array_equal(expert.predict(X), alone.predict(X))
        gate = DecisionTreeClassifier(max_depth=4, random_state=model.gate_.random_state).fit(X, model.routes_)
        np.testing.assert_array_equal(model.gate_.predict(X), gate.predict(X))
    centres = [models[c, c].clusterer_.cluster_centers_ for c in ("train", "test")]
    assert not np.allclose(*centres)
    for clusters in ("train", "test"):
        shared = models[clusters, {"train": "test", "test": "train"}[clusters]].clusterer_
        assert shared.estimator is models[clusters, clusters].clusterer_


def test_a_leak_needs_error_cases_of_both_sources_in_every_cluster(fitted):
    X, y = blobs(1)
    wrong = fitted.general_.predict(X) != y
    one_place = np.flatnonzero(wrong & (fitted.assign(X, y) == 1))
    few = np.r_[np.flatnonzero(~wrong), one_place]
    with pytest.raises(ValueError, match="Some cluster of the train error cases has no test error case; ask for fewer"):
        protocols.leaked(fitted, blobs(0), (X[few], y[few]))


def test_shuffled_labels_are_drawn_by_their_seed():
    X = np.repeat([0.0, 5.0, 9.0], [30, 20, 10])[:, None]
    first, again, other = (
        protocols.ShuffledLabels(KMeans(3, random_state=0), random_state=seed).fit_predict(X) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert sorted(np.bincount(first)) == [10, 20, 30]
