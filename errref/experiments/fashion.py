"""Fashion-MNIST: error reflection with small convolutional networks, its controls, oracles and leaks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline

from errref import numerics, protocols
from errref.datasets import FASHION_CLASSES, fashion_mnist, mnist_digits
from errref.isodata import Isodata
from errref.networks import ConvClassifier, count_parameters, count_settings, size, widest
from errref.once import once
from errref.protocols import ShuffledLabels, look, pick
from errref.reflection import ErrorReflectionClassifier

SEEDS = 5  # that are recorded: 0 to 4
LARGE = ("resnet18", "vgg")  # need a GPU
N_VALIDATION, SPLIT_SEED = 5_000, 20181013  # of the 60,000 training images; always the same ones, never trained on
SCALES = {  # training images, epochs; and steps that gate and experts take at least, since their data can be few
    "full": {"n_train": 55_000, "epochs": 10, "gate_steps": 2000, "expert_steps": 100},
    "quick": {"n_train": 6_000, "epochs": 4, "gate_steps": 200, "expert_steps": 60},
}
N_CLUSTERS = 4  # what ISODATA aims at; it may find more or fewer
MOST_ROUTES = 4 * N_CLUSTERS - 2  # its most: of 2 k - 1 clusters all but one may split; and the general network
BUDGET = 3_000  # parameters: of every network, or of the whole system
SHARES = {"general": 1_300, "gate": 600}  # of the budget, where it is the whole system's; the experts get the rest
BIASES = np.array(sorted(np.arange(-30, 31) / 10, key=abs))  # validation chooses; the first is the method as it is
THRESHOLDS = np.array([0, *range(20, 100)]) / 100  # validation chooses; the first is the general network alone
NOISE = 0.05  # share of training labels that `label_noise` makes wrong
TOPS = [FASHION_CLASSES.index(name) for name in ("T-shirt/top", "Pullover", "Dress", "Coat", "Shirt")]


def configurations() -> list[dict[str, Any]]:
    """What is recorded: every part at both scales."""
    parts: list[dict[str, Any]] = [
        {"part": "plain"},
        {"part": "digits"},
        *({"part": "reflection", "reading": "network", "space": space} for space in SPACES),
        {"part": "reflection", "reading": "system", "space": "pixels"},
        *({"part": part} for part in ("test_leak", "controls", "out_of_fold", "wide", "long", "label_noise", *LARGE)),
    ]
    return [{"scale": scale, **part} for scale in SCALES for part in parts]


def depends(config: dict[str, Any]) -> tuple[str, ...]:
    """Parts of the numerics that a row depends on: all of them, whatever its configuration."""
    return numerics.PARTS


def needs_gpu(config: dict[str, Any]) -> bool:
    """Whether a configuration stays pending where there is no GPU."""
    return config["part"] in LARGE


def run(config: dict[str, Any], seed: int) -> dict[str, float]:
    """One row: all numbers of one part of the study."""
    return PARTS[config["part"]](seed=seed, **{key: value for key, value in config.items() if key != "part"})


# -- data and networks -------------------------------------------------------------------------------------------------


class Split(NamedTuple):
    """Training, validation and test images (n, 784), uint8, with their labels (n,)."""

    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]


@once
def split(scale: str, name: str = "fashion") -> Split:
    """The images of a scale; validation and test images are the same at every scale."""
    images = {"fashion": fashion_mnist, "digits": mnist_digits}[name]()
    order = np.random.default_rng(SPLIT_SEED).permutation(len(images.y_train))
    train, validation = order[N_VALIDATION:][: SCALES[scale]["n_train"]], order[:N_VALIDATION]
    fit, tune = ((images.X_train[some], images.y_train[some]) for some in (train, validation))
    return Split(fit, tune, (images.X_test, images.y_test))


def network(scale: str, **changes) -> ConvClassifier:
    """The untrained network of every part, of at most `BUDGET` parameters, or one with some settings changed."""
    return ConvClassifier(**{"width": widest(BUDGET), "epochs": SCALES[scale]["epochs"], "n_jobs": 1, **changes})


@once
def general(scale: str, name: str, width: int, seed: int, *, verbose: bool = False) -> ConvClassifier:
    """A trained general network; everything of one seed shares it."""
    return network(scale, width=width, random_state=seed, verbose=verbose and "general").fit(*split(scale, name).train)


SPACES: dict[str, tuple[Any, Any]] = {  # what is clustered, and by what
    "pixels": ("input", make_pipeline(PCA(20), Isodata(n_clusters=N_CLUSTERS))),
    "features": (protocols.features, Isodata(n_clusters=N_CLUSTERS)),
    "pairs": (protocols.label_pairs, Isodata(n_clusters=N_CLUSTERS)),
}


def method(scale: str, space: str, seed: int, reading="network", verbose=False, **changes) -> ErrorReflectionClassifier:
    """Error reflection on images, not yet fitted, with a trained general network.

    ``reading`` says what 3,000 parameters are: those of every "network", or of the whole "system".
    """
    whole, steps = reading == "system", SCALES[scale]
    width = widest(SHARES["general"] if whole else BUDGET)
    gate_width = widest(SHARES["gate"] if whole else BUDGET, n_outputs=MOST_ROUTES)
    gate = network(scale, width=gate_width, min_steps=steps["gate_steps"], keep_stages=True, verbose=verbose and "gate")

    def expert(n_clusters: int) -> ConvClassifier | DummyClassifier:
        used = size("separable", width) + size("separable", gate_width, n_outputs=1 + n_clusters)
        each = (BUDGET - used) // n_clusters if whole else BUDGET
        if each < size("separable", 1):
            return DummyClassifier()
        return network(scale, width=widest(each), min_steps=steps["expert_steps"], verbose=verbose and "expert")

    what, clusterer = SPACES[space]
    parts = {"expert": expert, "clusterer": clusterer, "gate": gate, "space": what, "random_state": seed}
    first = FrozenEstimator(general(scale, "fashion", width, seed, verbose=verbose))
    return ErrorReflectionClassifier(first, **{**parts, **changes})


@once
def reflection(scale: str, space: str, seed: int, reading="network", *, verbose=False) -> ErrorReflectionClassifier:
    """Error reflection, fitted on training data alone."""
    return method(scale, space, seed, reading, verbose).fit(*split(scale).train)


# -- parts of the study, a row each ------------------------------------------------------------------------------------


def plain(scale: str, seed: int, name: str = "fashion") -> dict[str, float]:
    """One network, no reflection."""
    return alone(general(scale, name, widest(BUDGET), seed), split(scale, name))


def alone(model: ConvClassifier, data: Split) -> dict[str, float]:
    """What one trained network reaches on its own."""
    (X, y), proba = data.test, model.predict_proba(data.test[0])
    right = model.predict(X) == y
    return {
        "accuracy": float(right.mean()),
        "validation": model.score(*data.validation),
        "train_accuracy": model.score(*data.train),
        "top2": protocols.top(2, proba, y, model.classes_),
        "top3": protocols.top(3, proba, y, model.classes_),
        "confidence_auroc": roc_auc_score(~right, -proba.max(axis=1)),
        "n_parameters": model.n_parameters_,
        "resnet18_parameters": size("resnet18", 64),
        "vgg_parameters": size("vgg", 64),
        "n_steps": model.n_steps_,
        "seconds": model.fit_seconds_,
        "n_settings": count_settings(model),
    }


def wrong_data(scale: str, seed: int) -> dict[str, float]:
    """One network, no reflection (H1). Sees digits in place of garments, in training and when it is tested."""
    return plain(scale, seed, "digits")


def reflect(scale: str, seed: int, reading: str, space: str) -> dict[str, float]:
    """The honest method and its oracles in one clustered space."""
    return systems(reflection(scale, space, seed, reading), split(scale))


def systems(model: ErrorReflectionClassifier, data: Split) -> dict[str, float]:
    """Every protocol that needs no further training, for a fitted error reflection."""
    seen, validation = look(model, *data.test), look(model, *data.validation)
    bias = protocols.tune(protocols.gate_bias, validation, BIASES)
    threshold = protocols.tune(protocols.confidence_threshold, validation, THRESHOLDS)
    answers = {
        "general": seen.general,
        "accuracy": protocols.honest(seen),
        "soft_mixture": protocols.soft_mixture(seen, model.classes_),
        "gate_bias": protocols.gate_bias(seen, bias),
        "confidence_threshold": protocols.confidence_threshold(seen, threshold),
        "error_oracle": protocols.error_oracle(seen),
        "cluster_oracle": protocols.cluster_oracle(seen),
    }
    parts = [*model.networks_, model.gate_]
    sizes = [count_parameters(part) for part in parts]
    return {
        **{name: float(np.mean(answer == seen.y)) for name, answer in answers.items()},
        "any_right": float(protocols.any_right(seen.each, seen.y).mean()),
        **protocols.constant_experts(model, seen, data.train[1]),
        **protocols.on_training_data(model, *data.train),
        "bias": bias,
        "threshold": threshold,
        **protocols.mechanism(seen),
        "n_errors": model.summary_["n_errors"],
        "wrong_between_tops": float(np.isin(np.stack([seen.y, seen.general])[:, seen.wrong], TOPS).all(axis=0).mean()),
        "n_clusters": len(model.experts_),
        "n_constant": sum(model.summary_["constant"]),
        "smallest_cluster": min(model.summary_["sizes"], default=0),
        "largest_network": max(sizes),
        "n_parameters": sum(sizes),
        "n_steps": sum(getattr(part, "n_steps_", 0) for part in parts),
        "seconds": sum(getattr(part, "fit_seconds_", 0) for part in parts),
        "n_settings": count_settings(model.clusterer) + 3 * count_settings(model.gate) + len(("errors", "space", "cv")),
    }


def test_leak(scale: str, seed: int) -> dict[str, float]:
    """Clusters, experts, gate, each from training or from test data. Sees test labels, in training.

    A gate that knows the test routes by heart is the end of that. The curve has the accuracy after each gate epoch.
    """
    data = split(scale)
    models = protocols.leaked(reflection(scale, "pixels", seed), data.train, data.test)
    X, y = data.test
    each = {key: model.predict_each(X) for key, model in models.items()}
    routes = {key: model.route(X) for key, model in models.items()}
    cells = {
        f"clusters_{c}_experts_{e}_gate_{g}": float(np.mean(pick(each[c, e], routes[c, g]) == y))
        for c, e in models
        for g in ("train", "test")
    }
    by_heart = {
        f"clusters_{c}_experts_{e}_gate_by_heart": float(np.mean(pick(each[c, e], models[c, "test"].routes_) == y))
        for c, e in models
    }
    stages = models["test", "test"].gate_.staged_predict_proba(X)
    curve = [pick(each["test", "test"], proba.argmax(axis=1)) == y for proba in stages]
    return {**cells, **by_heart, **{f"curve_{k}": float(right.mean()) for k, right in enumerate(curve, start=1)}}


def controls(scale: str, seed: int) -> dict[str, float]:
    """Random clusters, one cluster, and as many independent networks without any clustering."""
    data, found = split(scale), reflection(scale, "pixels", seed)
    shuffled = method(scale, "pixels", seed, clusterer=ShuffledLabels(SPACES["pixels"][1])).fit(*data.train)
    single = method(scale, "pixels", seed, clusterer=KMeans(1)).fit(*data.train)
    numbers: dict[str, float] = {}
    for name, model in (("random_clusters", shuffled), ("one_cluster", single)):
        seen = look(model, *data.test)
        for protocol in (protocols.honest, protocols.error_oracle, protocols.cluster_oracle):
            numbers[f"{name}_{protocol.__name__}"] = float(np.mean(protocol(seen) == seen.y))
        numbers[f"{name}_any_right"] = float(protocols.any_right(seen.each, seen.y).mean())
    X, y = data.test
    others = [general(scale, "fashion", widest(BUDGET), seed + k) for k in range(len(found.networks_))]
    proba = np.stack([other.predict_proba(X) for other in others], axis=1)
    any_right, mean = protocols.any_right(proba.argmax(axis=2), y), proba.mean(axis=1).argmax(axis=1) == y
    return {**numbers, "independent_any_right": any_right.mean(), "ensemble": mean.mean(), "n_independent": len(others)}


def out_of_fold(scale: str, seed: int) -> dict[str, float]:
    """Error cases from networks that did not train on them; what training those takes is not counted, so left out."""
    model = method(scale, "pixels", seed, cv=2).set_params(estimator=network(scale))
    numbers = systems(model.fit(*split(scale).train), split(scale))
    return {name: value for name, value in numbers.items() if name not in ("n_steps", "seconds")}


def wide(scale: str, seed: int) -> dict[str, float]:
    """One network with as many parameters as the whole system, or just fewer."""
    found = reflection(scale, "pixels", seed)
    width = widest(sum(count_parameters(part) for part in (*found.networks_, found.gate_)))
    return alone(general(scale, "fashion", width, seed), split(scale))


def long(scale: str, seed: int) -> dict[str, float]:
    """The general network, trained for at least as many steps as all networks of the system together."""
    found = reflection(scale, "pixels", seed)
    steps = sum(getattr(part, "n_steps_", 0) for part in [*found.networks_, found.gate_])
    return alone(network(scale, min_steps=steps, random_state=seed).fit(*split(scale).train), split(scale))


def label_noise(scale: str, seed: int) -> dict[str, float]:
    """A twentieth of the training labels is wrong, at random: error cases that no gate can foresee.

    Training accuracies are by those labels, noise included; validation and test labels carry none.
    """
    data, rng = split(scale), np.random.default_rng(seed)
    X, y = data.train
    flipped = rng.permutation(len(y)) < NOISE * len(y)
    noisy = np.where(flipped, (y + rng.integers(1, 10, len(y))) % 10, y)
    model = method(scale, "pixels", seed).set_params(estimator=network(scale)).fit(X, noisy)
    return {**protocols.fate_of_noise(model, X, flipped), **systems(model, data._replace(train=(X, noisy)))}


def large(scale: str, seed: int, architecture: str) -> dict[str, float]:
    """ResNet-18 or a VGG-style network, on the same images, with a smaller learning rate, which was not tuned."""
    model = network(scale, architecture=architecture, width=64, learning_rate=0.003, random_state=seed)
    return alone(model.fit(*split(scale).train), split(scale))


PARTS: dict[str, Callable[..., dict[str, float]]] = {
    "plain": plain,
    "digits": wrong_data,
    "reflection": reflect,
    "test_leak": test_leak,
    "controls": controls,
    "out_of_fold": out_of_fold,
    "wide": wide,
    "long": long,
    "label_noise": label_noise,
    **{architecture: partial(large, architecture=architecture) for architecture in LARGE},
}
