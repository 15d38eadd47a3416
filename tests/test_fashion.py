"""The image study: its data, its budgets, who sees what, every part on tiny images, and the recorded rows."""

import math
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from numbers import Real
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import cross_val_predict

from errref import claims, ledger, protocols, records
from errref.datasets import Images
from errref.experiments import fashion
from errref.figures import COLOURS
from errref.figures import fashion as draw
from errref.isodata import Isodata
from errref.networks import ConvClassifier, count_parameters, count_settings, size, widest
from errref.once import once
from errref.reflection import ErrorReflectionClassifier

pytestmark = pytest.mark.usefixtures("one_thread")
TINY = {
    "full": {"n_train": 600, "epochs": 1, "gate_steps": 60, "expert_steps": 12},
    "quick": {"n_train": 400, "epochs": 1, "gate_steps": 20, "expert_steps": 8},
}
N_VALIDATION, N_TEST = 150, 300
WIDTH = widest(3000)
LARGE = 11_172_810, 4_506_570  # parameters of ResNet-18 and VGG-11
ONE_NETWORK = 8  # architecture, width, epochs, steps, batch, learning rate, weight decay, weights of classes


def tiny_images(seed):
    """Ten classes that are hard to tell: noisy mixtures of a class's picture and another one's."""
    rng = np.random.default_rng(seed)
    pictures = rng.uniform(0, 255, (10, 7, 7)).repeat(4, axis=1).repeat(4, axis=2).reshape(10, 784)
    n = TINY["full"]["n_train"] + N_VALIDATION + N_TEST
    y, other, share = rng.integers(0, 10, n), rng.integers(0, 10, n), rng.uniform(0, 0.6, (n, 1))
    X = (1 - share) * pictures[y] + share * pictures[other] + rng.normal(0, 40, (n, 784))
    X = X.clip(0, 255).astype(np.uint8)
    return Images(X[N_TEST:], y[N_TEST:].astype(np.int64), X[:N_TEST], y[:N_TEST].astype(np.int64))


class Spy(ErrorReflectionClassifier):
    """Remembers what was fitted on what."""

    fitted: list = []

    def fit(self, X, y):
        self.fitted.append((self, X, y))
        return super().fit(X, y)


def with_two_clusters(clusterer):
    """ISODATA may make 4 k - 3 clusters of k, and the budget of the whole system is enough for six experts."""
    names = [name for name in clusterer.get_params() if name.endswith("n_clusters")]
    return clone(clusterer).set_params(**{name: 2 for name in names})


def world(change=lambda images: images):
    """Put the study on tiny images, with nothing computed before; return the patch that undoes it."""
    patch = pytest.MonkeyPatch()
    network = fashion.network

    def small(scale, **changes):
        if "architecture" in changes:
            changes["width"] = 4
        return network(scale, **{"min_steps": 6, "batch_size": 64, **changes})

    fewer = {space: (what, with_two_clusters(clusterer)) for space, (what, clusterer) in fashion.SPACES.items()}
    patch.setattr(fashion, "SPACES", fewer)
    patch.setattr(fashion, "SCALES", TINY)
    patch.setattr(fashion, "N_VALIDATION", N_VALIDATION)
    patch.setattr(fashion, "network", small)
    patch.setattr(fashion, "fashion_mnist", lambda: change(tiny_images(0)))
    patch.setattr(fashion, "mnist_digits", lambda: tiny_images(1))
    patch.setattr(fashion, "ErrorReflectionClassifier", type("Spied", (Spy,), {"fitted": []}))
    for name in ("split", "general", "reflection"):
        patch.setattr(fashion, name, once(getattr(fashion, name).__wrapped__))
    return patch


CONFIGS = {
    "plain": {"part": "plain"},
    "digits": {"part": "digits"},
    **{
        f"reflection, {space}": {"part": "reflection", "reading": "network", "space": space} for space in fashion.SPACES
    },
    "reflection, system": {"part": "reflection", "reading": "system", "space": "pixels"},
    **{p: {"part": p} for p in ("test_leak", "controls", "out_of_fold", "wide", "long", "label_noise")},
    **{name: {"part": name} for name in ("resnet18", "vgg")},
}


PATCHED = (
    "SPACES SCALES N_VALIDATION network fashion_mnist mnist_digits ErrorReflectionClassifier split general reflection"
)


@pytest.fixture(scope="module")
def study(one_thread):
    """Every part of the study on tiny images: rows by name, what was fitted for them, and the patched names."""
    patch, rows, fitted = world(), {}, {}
    try:
        for name, config in CONFIGS.items():
            before = len(fashion.ErrorReflectionClassifier.fitted)
            rows[name] = fashion.run({"scale": "full", **config}, 0)
            fitted[name] = fashion.ErrorReflectionClassifier.fitted[before:]
        patched = {name: getattr(fashion, name) for name in PATCHED.split()}
        return SimpleNamespace(rows=rows, fitted=fitted, data=fashion.split("full"), patched=patched)
    finally:
        patch.undo()


@pytest.fixture
def tiny(study, monkeypatch):
    """The tiny study, with its names in place for one test."""
    for name, value in study.patched.items():
        monkeypatch.setattr(fashion, name, value)
    return study


# -- configurations ----------------------------------------------------------------------------------------------------


def test_configurations_are_distinct_and_their_parts_exist():
    found = fashion.configurations()
    assert len({str(sorted(config.items())) for config in found}) == len(found)
    assert {c["part"] for c in found} == set(fashion.PARTS)
    assert {c["part"] for c in found if fashion.needs_gpu(c)} == {"resnet18", "vgg"}
    assert {c["space"] for c in found if "space" in c} == set(fashion.SPACES)
    assert {c["scale"] for c in found} == set(fashion.SCALES)
    here = [
        {k: v for k, v in c.items() if k != "scale"}
        for c in found
        if c["scale"] == "quick" and not fashion.needs_gpu(c)
    ]
    assert all(config in list(CONFIGS.values()) for config in here), "a part that the tiny study leaves out"


def test_every_reading_of_a_claim_is_about_one_configuration_at_each_scale():
    found = fashion.configurations()
    mine = [c for c in claims.load().values() if c.experiment == "fashion" and c.rule and "seeds" in c.rule]
    assert len(mine) == 9
    for claim in mine:
        assert claim.rule["seeds"] <= fashion.SEEDS
        for scaled in (claim, claims.quick(claim)):
            for name, part in ledger.readings(scaled.rule).items():
                for select in [part["select"], *([part["than"]] if "than" in part else [])]:
                    chosen = [c for c in found if select.items() <= c.items()]
                    assert len(chosen) == 1, (claim.id, name, select)
                    assert chosen[0]["scale"] == ("full" if scaled is claim else "quick")


def test_every_measure_of_a_claim_is_a_number_of_its_part(tiny):
    by_part = {tuple(sorted(config.items())): name for name, config in CONFIGS.items()}
    for claim in claims.load().values():
        if claim.experiment == "fashion" and claim.rule and "seeds" in claim.rule:
            for part in ledger.readings(claim.rule).values():
                for select in [part["select"], *([part["than"]] if "than" in part else [])]:
                    row = tiny.rows[by_part[tuple(sorted((k, v) for k, v in select.items() if k != "scale"))]]
                    assert {part[key] for key in ("measure", "against") if key in part} <= set(row), (claim.id, select)


# -- the data ----------------------------------------------------------------------------------------------------------


def test_validation_and_test_images_are_never_trained_on_and_the_same_at_every_scale():
    patch = world()
    try:
        images, full, quick = tiny_images(0), fashion.split("full"), fashion.split("quick")
        where = {row.tobytes(): k for k, row in enumerate(images.X_train)}
        assert len(where) == len(images.X_train)
        places = {}
        for name, (X, y) in {"full": full.train, "quick": quick.train, "validation": full.validation}.items():
            places[name] = [where[row.tobytes()] for row in X]
            np.testing.assert_array_equal(y, images.y_train[places[name]], name)
            assert X.dtype == np.uint8 and len(set(places[name])) == len(X)
        assert {name: len(found) for name, found in places.items()} == {"full": 600, "quick": 400, "validation": 150}
        assert not set(places["validation"]) & set(places["full"])
        assert set(places["quick"]) < set(places["full"])
        for a, b in zip((*quick.validation, *quick.test), (*full.validation, *full.test), strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(full.test[0], images.X_test)
        np.testing.assert_array_equal(full.test[1], images.y_test)
        np.testing.assert_array_equal(fashion.split("full", "digits").test[0], tiny_images(1).X_test)
    finally:
        patch.undo()


def test_the_real_scales_fit_into_the_training_images():
    assert fashion.N_VALIDATION == 5_000 and fashion.SCALES["full"]["n_train"] == 55_000
    assert all(scale["n_train"] + fashion.N_VALIDATION <= 60_000 for scale in fashion.SCALES.values())


# -- once --------------------------------------------------------------------------------------------------------------


def test_what_two_threads_ask_for_together_is_computed_once():
    calls = []

    @once
    def slow(a, b=0):
        calls.append((a, b))
        time.sleep(0.1)
        return [a + b]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(slow, [1, 1, 2, 1]))
    assert sorted(calls) == [(1, 0), (2, 0)]
    assert found == [[1], [1], [2], [1]] and found[0] is found[1] is slow(1)
    assert slow(1, 5) == [6] and slow.__name__ == "slow"
    assert slow(1, 0) is slow(1), "an argument that is left out is its default"


def test_who_is_kept_informed_changes_no_result():
    told = []

    @once
    def heard(a, *, verbose=False):
        told.append(verbose)
        return [a]

    assert heard(1, verbose=True) is heard(1) and heard(2) is heard(2, verbose=True) and told == [True, False]


def test_what_failed_is_tried_again():
    calls = []

    @once
    def fails_first(a):
        calls.append(a)
        time.sleep(0.1)
        if len(calls) == 1:
            raise ValueError("not yet")
        return a

    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(fails_first, 3) for _ in range(2)]
    assert [type(future.exception()) for future in futures] == [ValueError] * 2 and calls == [3]
    assert fails_first(3) == fails_first(3) == 3 and calls == [3, 3]


# -- every part, on tiny images ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONFIGS)
def test_a_row_is_flat_and_its_numbers_are_finite(tiny, name):
    for key, value in tiny.rows[name].items():
        assert isinstance(value, Real) and math.isfinite(value), key


def test_a_network_alone_is_measured_on_images_that_it_did_not_see(tiny):
    row = tiny.rows["plain"]
    model = fashion.general("full", "fashion", WIDTH, 0)
    right = model.predict(tiny.data.test[0]) == tiny.data.test[1]
    assert 0.2 < row["accuracy"] == right.mean() < 0.95, "the tiny images are too easy or too hard to test anything"
    assert row["accuracy"] <= row["top2"] <= row["top3"]
    assert row["top2"] == protocols.top(2, model.predict_proba(tiny.data.test[0]), tiny.data.test[1], model.classes_)
    assert row["validation"] == model.score(*tiny.data.validation)
    assert row["train_accuracy"] == model.score(*tiny.data.train)
    assert (row["n_parameters"], row["resnet18_parameters"], row["vgg_parameters"]) == (
        size("separable", WIDTH),
        *LARGE,
    )
    assert row["n_settings"] == ONE_NETWORK
    assert row["n_steps"] == 600 // 64
    assert 0.5 < row["confidence_auroc"] < 1
    assert tiny.rows["digits"]["accuracy"] != row["accuracy"]
    assert (
        fashion.alone(fashion.general("full", "digits", WIDTH, 0), fashion.split("full", "digits"))
        == tiny.rows["digits"]
    )


@pytest.mark.parametrize("name", [n for n in CONFIGS if n.startswith("reflection")])
def test_a_row_of_the_method_is_what_its_model_does(tiny, name):
    row, ((model, X, y),) = tiny.rows[name], tiny.fitted[name]
    np.testing.assert_array_equal(X, tiny.data.train[0])
    np.testing.assert_array_equal(y, tiny.data.train[1])
    assert row["accuracy"] == model.score(*tiny.data.test)
    assert row["general"] == model.general_.score(*tiny.data.test)
    assert row["train_accuracy"] == model.score(X, y)
    assert row["general_train_accuracy"] == model.general_.score(X, y)
    assert row["train_by_heart"] == np.mean(protocols.pick(model.predict_each(X), model.routes_) == y)
    assert row["train_by_heart"] >= row["general_train_accuracy"]
    assert row["n_clusters"] == len(model.experts_) == len(model.networks_) - 1 > 0
    assert row["n_errors"] == np.sum(model.general_.predict(X) != y)
    assert row["smallest_cluster"] == np.bincount(model.routes_)[1:].min()
    each = [count_parameters(part) for part in (*model.networks_, model.gate_)]
    assert (row["n_parameters"], row["largest_network"]) == (sum(each), max(each))
    assert row["n_steps"] == sum(getattr(part, "n_steps_", 0) for part in (*model.networks_, model.gate_))
    validation = protocols.look(model, *tiny.data.validation)
    tuned = {"bias": (protocols.gate_bias, fashion.BIASES), "threshold": (protocols.confidence_threshold, None)}
    for number, (protocol, candidates) in tuned.items():
        candidates = fashion.THRESHOLDS if candidates is None else candidates
        best = max(np.mean(protocol(validation, value) == validation.y) for value in candidates)
        assert np.mean(protocol(validation, row[number]) == validation.y) == best
    assert candidates[0] == 0 and fashion.BIASES[0] == 0
    for some in ("general", "accuracy", "gate_bias", "confidence_threshold"):
        assert row[some] <= row["error_oracle"] <= row["any_right"], some
    assert row["general"] <= row["cluster_oracle"] <= row["any_right"]
    assert row["constant_error_oracle"] <= row["constant_any_right"]
    seen, (X_test, y_test) = protocols.look(model, *tiny.data.test), tiny.data.test
    right = model.general_.predict(X_test) == y_test
    expert = protocols.pick(model.predict_each(X_test), protocols.best_expert(seen)) == y_test
    assert row["expert_right_where_right"] == pytest.approx(expert[right].mean())
    assert row["expert_right_where_wrong"] == pytest.approx(expert[~right].mean())
    pairs = zip(y_test[~right], model.general_.predict(X_test)[~right], strict=True)
    assert row["wrong_between_tops"] == pytest.approx(np.mean([{0, 2, 3, 4, 6} >= set(pair) for pair in pairs]))
    assert row["accuracy"] != row["general"] and row["n_routed"] > 0, "a gate that never routes tests nothing"
    assert row["rescues"] - row["harms"] == round(N_TEST * (row["accuracy"] - row["general"]))


def test_the_spaces_are_those_that_they_are_named_after(tiny):
    ((model, X, y),) = tiny.fitted["reflection, pixels"]
    general = model.general_.estimator
    pairs = np.eye(10)[np.stack([y, general.predict(X)], axis=1)].reshape(-1, 20)
    for space, points in {"pixels": X, "features": general.embed(X), "pairs": pairs}.items():
        ((model, _, _),) = tiny.fitted[f"reflection, {space}"]
        for k, centroid in enumerate(model.centroids_, start=1):
            np.testing.assert_allclose(centroid, points[model.routes_ == k].mean(axis=0), rtol=1e-5, atol=1e-5)


def test_everything_of_one_seed_shares_the_general_network(tiny):
    plain = tiny.rows["plain"]["accuracy"]
    for name in ("reflection, pixels", "reflection, features", "reflection, pairs", "out_of_fold"):
        assert tiny.rows[name]["general"] == plain, name
    generals = {id(tiny.fitted[f"reflection, {space}"][0][0].general_.estimator) for space in fashion.SPACES}
    generals |= {id(model.general_.estimator) for model, _, _ in tiny.fitted["controls"]}
    assert generals == {id(fashion.general("full", "fashion", WIDTH, 0))}


# -- budgets -----------------------------------------------------------------------------------------------------------


def test_no_network_has_more_than_3000_parameters_and_one_reading_no_system(tiny):
    for name, fits in tiny.fitted.items():
        for model, _, _ in fits:
            assert max(count_parameters(part) for part in (*model.networks_, model.gate_)) <= 3000, name
    assert tiny.rows["reflection, pixels"]["n_parameters"] > 3000
    assert 2000 < tiny.rows["reflection, system"]["n_parameters"] <= 3000
    ((model, _, _),) = tiny.fitted["reflection, system"]
    rest = (fashion.BUDGET - 1300 - 600) // len(model.experts_)
    parts = [(model.general_.estimator, 1300, 10), (model.gate_, 600, 14)] + [(e, rest, 10) for e in model.experts_]
    for part, budget, outputs in parts:
        if isinstance(part, ConvClassifier):  # not a constant
            assert size("separable", part.width, outputs) <= budget < size("separable", part.width + 1, outputs)


def test_the_gate_has_room_for_as_many_routes_as_isodata_can_make():
    most = 4 * fashion.N_CLUSTERS - 3  # Isodata's own tests show that k clusters can become so many
    assert fashion.MOST_ROUTES == 1 + most
    for reading, budget in (("network", 3000), ("system", 600)):
        width = fashion.method("quick", "pixels", 0, reading).gate.width
        assert size("separable", width, n_outputs=1 + most) <= budget


def test_the_wide_network_has_the_parameters_of_the_system_or_just_fewer(tiny):
    wide, system = tiny.rows["wide"]["n_parameters"], tiny.rows["reflection, pixels"]["n_parameters"]
    width = next(w for w in range(1, 200) if size("separable", w) == wide)
    assert wide <= system < size("separable", width + 1)


def test_the_long_training_takes_at_least_the_steps_of_the_system(tiny):
    steps = tiny.rows["reflection, pixels"]["n_steps"]
    assert steps <= tiny.rows["long"]["n_steps"] < steps + 600 // 64
    assert tiny.rows["long"]["n_parameters"] == size("separable", WIDTH) <= 3000


def test_settings_are_counted(tiny):
    own, pca, isodata = ("errors", "space", "cv"), PCA().get_params(), Isodata().get_params()
    assert count_settings(Isodata()) == len(isodata) - ("random_state" in isodata)
    pipeline = 1 + len(set(pca) - {"copy", "random_state"}) + count_settings(Isodata())  # 1: transform_input
    assert tiny.rows["reflection, pixels"]["n_settings"] == len(own) + pipeline + 3 * ONE_NETWORK
    assert tiny.rows["reflection, features"]["n_settings"] == len(own) + count_settings(Isodata()) + 3 * ONE_NETWORK


# -- controls and leaks ------------------------------------------------------------------------------------------------


def test_the_ensemble_has_as_many_different_networks_as_the_system(tiny):
    row, K = tiny.rows["controls"], tiny.rows["reflection, pixels"]["n_clusters"]
    assert row["n_independent"] == 1 + K > 1
    X, y = tiny.data.test
    others = [fashion.general("full", "fashion", WIDTH, seed) for seed in range(1 + K)]
    starts = {other.module_[0].weight.detach().numpy().tobytes() for other in others}
    assert len(starts) == 1 + K
    each = np.stack([other.predict(X) for other in others], axis=1)
    assert row["independent_any_right"] == (each == y[:, None]).any(axis=1).mean()
    mean = sum(other.predict_proba(X) for other in others)
    assert row["ensemble"] == pytest.approx(np.mean(mean.argmax(axis=1) == y), abs=1 / N_TEST)


def test_the_controls_have_random_clusters_and_one_cluster(tiny):
    ((found, _, _),) = tiny.fitted["reflection, pixels"]
    (shuffled, X, _), (single, _, _) = tiny.fitted["controls"]
    np.testing.assert_array_equal(shuffled.errors_, found.errors_)
    assert sorted(shuffled.summary_["sizes"]) == sorted(found.summary_["sizes"])
    assert not np.array_equal(shuffled.labels_, found.labels_)
    spread = [np.var(X[m.errors_] - m.centroids_[m.labels_]) for m in (found, shuffled)]
    assert spread[0] < 0.98 * spread[1], "random clusters are as tight as those that were found"
    assert len(single.experts_) == 1
    row = tiny.rows["controls"]
    for name, model in (("random_clusters", shuffled), ("one_cluster", single)):
        assert row[f"{name}_honest"] == model.score(*tiny.data.test)
        assert row[f"{name}_honest"] <= row[f"{name}_error_oracle"] <= row[f"{name}_any_right"]
    assert row["one_cluster_cluster_oracle"] == row["one_cluster_error_oracle"] == row["one_cluster_any_right"]


def test_leaks(tiny):
    row = tiny.rows["test_leak"]
    parts = ("train", "test")
    cells = {f"clusters_{c}_experts_{e}_gate_{g}" for c in parts for e in parts for g in (*parts, "by_heart")}
    curve = [name for name in row if name.startswith("curve_")]
    assert set(row) == cells | set(curve) and len(cells) == 12
    assert row["clusters_train_experts_train_gate_train"] == tiny.rows["reflection, pixels"]["accuracy"]
    assert curve == [f"curve_{k}" for k in range(1, len(curve) + 1)]
    assert len(curve) == math.ceil(60 / (N_TEST // 64)), "one number for each epoch of the gate"
    assert row[curve[-1]] == row["clusters_test_experts_test_gate_test"]
    # by heart: the general network where it is right, the expert of its cluster elsewhere
    general = tiny.rows["plain"]["accuracy"]
    for c in parts:
        assert row[f"clusters_{c}_experts_test_gate_by_heart"] >= row[f"clusters_{c}_experts_test_gate_test"]
        assert row[f"clusters_{c}_experts_train_gate_by_heart"] >= general
    assert row["clusters_test_experts_test_gate_by_heart"] > general
    told = tiny.rows["reflection, pixels"]["cluster_oracle"]
    assert row["clusters_train_experts_train_gate_by_heart"] == pytest.approx(told, abs=0.03), (
        "by heart is told the cluster, by ISODATA's centres of principal components in place of centroids"
    )


def test_out_of_fold_errors_are_those_of_networks_that_did_not_train_on_them(tiny):
    ((model, X, y),) = tiny.fitted["out_of_fold"]
    assert model.cv == 2
    np.testing.assert_array_equal(model.general_.predict(X), fashion.general("full", "fashion", WIDTH, 0).predict(X))
    np.testing.assert_array_equal(model.errors_, cross_val_predict(clone(model.general_), X, y, cv=2) != y)
    assert np.any(model.errors_ != (model.general_.predict(X) != y))
    assert tiny.rows["out_of_fold"]["n_errors"] == model.errors_.sum()


def test_a_twentieth_of_the_labels_is_noise_that_shows_up_among_the_errors(tiny):
    row, ((model, X, noisy),) = tiny.rows["label_noise"], tiny.fitted["label_noise"]
    np.testing.assert_array_equal(X, tiny.data.train[0])
    flipped = noisy != tiny.data.train[1]
    assert flipped.sum() == 0.05 * len(noisy) == 30
    assert set(noisy) == set(range(10)) and len(set((noisy - tiny.data.train[1])[flipped] % 10)) > 3
    np.testing.assert_array_equal(model.errors_, model.general_.predict(X) != noisy)
    assert row["noise_among_errors"] == pytest.approx(np.sum(flipped & model.errors_) / model.errors_.sum())
    assert row["errors_among_noise"] == pytest.approx(np.sum(flipped & model.errors_) / 30)
    assert row["errors_among_noise"] > model.errors_[~flipped].mean() + 0.2
    assert row["accuracy"] == model.score(*tiny.data.test), "the test labels carry no noise"
    assert row["train_accuracy"] == model.score(X, noisy)
    assert row["errors_among_clean"] == pytest.approx(model.errors_[~flipped].mean())
    routed = model.predict_each(X)[:, 0] != model.predict(X)
    assert row["routed_among_noise"] >= routed[flipped].mean()
    assert row["routed_among_clean"] == pytest.approx(np.mean(model.route(X)[~flipped] > 0))


# -- who sees the test labels ------------------------------------------------------------------------------------------


def weights_of(network):
    return [part.numpy() for part in network.module_.state_dict().values()]


@pytest.mark.parametrize("name", ["reflection, pixels", "reflection, pairs", "controls", "out_of_fold"])
def test_test_labels_change_nothing_that_is_trained_or_tuned(tiny, name):
    def permute(images):
        return images._replace(y_test=np.random.default_rng(0).permutation(images.y_test))

    patch = world(permute)
    try:
        row, fits = fashion.run({"scale": "full", **CONFIGS[name]}, 0), fashion.ErrorReflectionClassifier.fitted
    finally:
        patch.undo()
    fits = [model for model, _, _ in fits][-len(tiny.fitted[name]) :]
    for model, (other, _, _) in zip(fits, tiny.fitted[name], strict=True):
        np.testing.assert_array_equal(model.routes_, other.routes_)
        pairs = [*zip(model.networks_, other.networks_, strict=True), (model.gate_, other.gate_)]
        trained = [pair for pair in pairs if hasattr(pair[0], "module_") or hasattr(pair[0], "estimator")]
        assert len(trained) >= 3
        for mine, theirs in trained:
            mine, theirs = (getattr(part, "estimator", part) for part in (mine, theirs))
            for a, b in zip(weights_of(mine), weights_of(theirs), strict=True):
                np.testing.assert_array_equal(a, b)
    before = tiny.rows[name]
    for same in {"bias", "threshold", "n_routed", "n_errors", "n_clusters", "train_accuracy", "n_steps"} & set(row):
        assert row[same] == before[same], same
    reached = "accuracy" if "accuracy" in row else "random_clusters_honest"
    assert row[reached] < 0.25 < before[reached], "the labels were permuted, or the tiny network has learnt nothing"


# -- the recorded rows -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows():
    return records.read("fashion")


def recorded(rows, config):
    """Numbers of a configuration's rows, by seed."""
    return {row.seed: row.numbers for row in rows if row.config == config}


def test_every_recorded_row_belongs_to_a_configuration(rows):
    known = fashion.configurations()
    assert [row for row in rows if row.config not in known or row.seed not in range(fashion.SEEDS)] == []


def test_every_configuration_is_recorded_for_every_seed(rows):
    counts = Counter(str(sorted(row.config.items())) for row in rows)
    on_cpu = [config for config in fashion.configurations() if not fashion.needs_gpu(config)]
    assert [c for c in on_cpu if counts[str(sorted(c.items()))] != fashion.SEEDS] == []


def test_the_network_is_as_good_as_networks_of_its_size_are(rows):
    found = recorded(rows, {"scale": "full", "part": "plain"})
    assert len(found) == fashion.SEEDS
    assert np.mean([numbers["accuracy"] for numbers in found.values()]) >= 0.895


SHARES = {"accuracy", "validation", "general", "soft_mixture", "gate_bias", "threshold", "mcnemar", "ensemble"}
NO_SHARES = {"bias", "gap_share", "seconds"}


def test_recorded_shares_lie_between_0_and_1(rows):
    for row in rows:
        for name, value in row.numbers.items():
            if name in SHARES or (isinstance(value, float) and name not in NO_SHARES):
                assert 0 <= value <= 1, (row.config, row.seed, name)
            elif name not in NO_SHARES:
                assert value >= 0, (row.config, row.seed, name)
        assert row.numbers.get("gap_share", 0) <= 1


ORDERS = (
    ("accuracy", "top2", "top3"),
    ("general", "error_oracle", "any_right"),
    ("general", "cluster_oracle", "any_right"),
    ("accuracy", "error_oracle"),
    ("gate_bias", "error_oracle"),
    ("confidence_threshold", "error_oracle"),
    ("general", "constant_error_oracle", "constant_any_right"),
    ("general", "constant_cluster_oracle", "constant_any_right"),
    ("ensemble", "independent_any_right"),
    *((f"{kind}_honest", f"{kind}_error_oracle", f"{kind}_any_right") for kind in ("random_clusters", "one_cluster")),
    ("random_clusters_cluster_oracle", "random_clusters_any_right"),
    ("smallest_cluster", "n_errors"),
    ("n_routed_wrong", "n_routed"),
    ("rescues", "n_routed_expert_right", "n_routed"),
    ("rescues", "n_routed_wrong"),
)


def test_recorded_numbers_are_in_order(rows):
    for row in rows:
        for names in ORDERS:
            if all(name in row.numbers for name in names):
                values = [row.numbers[name] for name in names]
                assert values == sorted(values), (row.config, row.seed, names)
        if "rescues" in row.numbers:
            n = row.numbers
            assert n["rescues"] - n["harms"] == round(10_000 * (n["accuracy"] - n["general"])), (row.config, row.seed)
            if row.config.get("reading") == "system":
                assert n["n_parameters"] <= 3000


def test_no_recorded_network_is_larger_than_the_budget(rows):
    assert all(row.numbers.get("largest_network", 0) <= 3000 for row in rows)


def test_recorded_rows_of_one_seed_agree_with_each_other(rows):
    by_key = {(str(sorted(row.config.items())), row.seed): row.numbers for row in rows}

    def numbers(row, **config):
        return by_key.get((str(sorted({"scale": row.config["scale"], **config}.items())), row.seed))

    for row in rows:
        found = numbers(row, part="reflection", reading="network", space="pixels")
        plain = numbers(row, part="plain")
        part = row.config["part"]
        if plain and (part == "out_of_fold" or row.config.get("reading") == "network"):
            assert row.numbers["general"] == plain["accuracy"]
        if found and part == "test_leak":
            assert row.numbers["clusters_train_experts_train_gate_train"] == found["accuracy"]
        if found and part == "controls":
            assert row.numbers["n_independent"] == 1 + found["n_clusters"]
        if found and part == "wide":
            assert row.numbers["n_parameters"] <= found["n_parameters"]
        if found and part == "long":
            assert row.numbers["n_steps"] >= found["n_steps"]


def test_what_the_budget_of_the_whole_system_leaves_no_network_for_is_a_constant(monkeypatch):
    monkeypatch.setattr(fashion, "general", lambda *key, **how: None)
    expert = fashion.method("quick", "pixels", 0, "system").expert
    few, many = expert(4), expert(40)
    assert isinstance(few, ConvClassifier) and isinstance(many, DummyClassifier)
    widths = {"general": widest(fashion.SHARES["general"]), "gate": widest(fashion.SHARES["gate"], n_outputs=14)}
    others = size("separable", widths["general"]) + size("separable", widths["gate"], n_outputs=5)
    assert others + 4 * size("separable", few.width) <= 3000 < others + 4 * size("separable", few.width + 1)


# -- figures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", [*draw.HONEST, *draw.ORACLES, *draw.LEAKS], ids=lambda line: line[0])
def test_every_line_of_the_story_is_a_number_of_one_configuration(line, rows):
    _, measure, select, role = line
    assert {"scale": "full", **select} in fashion.configurations() and role in COLOURS
    assert (
        len(records.numbers_of(rows, scale="full", **select))
        == len(recorded(rows, {"scale": "full", **select}))
        == fashion.SEEDS
    )
    assert all(0 <= numbers[measure] <= 1 for numbers in records.numbers_of(rows, scale="full", **select))


def test_the_story_draws_each_median_and_the_printed_numbers(rows):
    figure = draw.story(rows)
    drawn = [line.get_xdata() for ax in figure.axes for line in ax.lines]
    for _, measure, select, _ in draw.HONEST + draw.ORACLES + draw.LEAKS:
        median = 100 * np.median([numbers[measure] for numbers in records.numbers_of(rows, scale="full", **select)])
        assert any(len(x) == 2 and np.allclose(x, median) for x in drawn)
    assert any(np.allclose(x, 100 * np.array(draw.PRINTED)) for x in drawn if len(x) == 2)
    plt.close(figure)


def test_no_two_lines_of_the_story_have_one_name():
    names = [line[0] for line in draw.HONEST + draw.ORACLES + draw.LEAKS]
    assert len(set(names)) == len(names)


def test_the_dial_draws_each_seed_and_the_medians(rows):
    figure, n = draw.dial(rows), fashion.SEEDS
    found, (left, right) = records.numbers_of(rows, scale="full", part="test_leak"), figure.axes
    epochs = sum(name.startswith("curve_") for name in found[0])
    curves = [line.get_ydata() for line in left.lines if len(line.get_xdata()) == epochs]
    assert len(curves) == n + 1
    np.testing.assert_allclose(curves[-1], np.median(curves[:-1], axis=0))
    for row, curve in zip(found, curves[:-1], strict=True):
        assert curve[-1] == 100 * row["clusters_test_experts_test_gate_test"]
    straight = [line.get_ydata() for line in right.lines if list(line.get_xdata()) == [0, 100]]
    assert len(straight) == 2 * (n + 1)
    np.testing.assert_allclose(straight[n], np.median(straight[:n], axis=0))
    for row, line in zip(found, straight[:n], strict=True):
        ends = [row[f"clusters_train_experts_train_gate_{gate}"] for gate in ("train", "by_heart")]
        np.testing.assert_allclose(line, 100 * np.array(ends))
    plt.close(figure)


def test_the_share_of_routes_that_an_accuracy_needs():
    row = {"clusters_train_experts_test_gate_train": 0.9, "clusters_train_experts_test_gate_by_heart": 1.0}
    assert draw.share_known(row, "experts from test images", 0.95) == pytest.approx(0.5)
    assert draw.share_known(row, "experts from test images", 1.1) == pytest.approx(2)


def test_the_trust_is_drawn_from_all_seeds(rows):
    figure = draw.trust(rows)
    (ax,) = figure.axes
    assert len(ax.lines) == 2 * (fashion.SEEDS + 1)
    plt.close(figure)


def test_error_cases_are_shown_by_cluster_with_their_names():
    images = np.arange(5 * 784).reshape(5, 784) % 256
    figure = draw.error_cases(
        images, np.array([0, 1, 2, 3, 4]), np.array([1, 2, 3, 4, 5]), np.array([0, 1, 0, 1, 1]), 3
    )
    names = [ax.get_xlabel() for ax in figure.axes]
    assert names[:2] == ["T-shirt/top,\nnot Trouser", "Pullover,\nnot Dress"] and names[3] == "Trouser,\nnot Pullover"
    assert names[2] == "" and figure.axes[3].get_ylabel() == "cluster 2"
    plt.close(figure)
