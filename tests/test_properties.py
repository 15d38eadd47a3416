"""What must hold for any input at all: hypothesis draws the inputs, and makes a failing one as small as it can.

`make test` draws the same few inputs every time; `make test-long` draws many new ones and prints the seed, which
the variable SEED repeats.
"""

import copy
import json
import os
import re
import secrets
import tempfile
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, assume, event, given, seed, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from errref import claims, exact, ledger, records
from errref.isodata import Isodata
from errref.ledger import LedgerError
from errref.records import RecordError, Row
from errref.reflection import ErrorReflectionClassifier, ErrorReflectionRegressor
from tests.conftest import ROOT
from tests.exact_oracle import absolute_terms, naive, split

PROPERTIES = {}
QUICK, LONG = 1, 50  # times the number of examples that a property asks for


def property_of(examples, **inputs):
    """Keep a function that must not fail, with what its inputs are drawn from and how often in `make test`."""

    def keep(holds):
        PROPERTIES[holds.__name__] = holds, examples, inputs
        return holds

    return keep


def hold(name, times, **how):
    """Call a property on as many inputs as it asks for, so many times."""
    holds, examples, inputs = PROPERTIES[name]
    slow = [HealthCheck.too_slow, HealthCheck.filter_too_much]  # of a busy machine, and of rare inputs
    how |= {"max_examples": times * examples, "deadline": None, "database": None, "suppress_health_check": slow}
    return settings(**how)(given(**inputs)(holds))


# -- Isodata -----------------------------------------------------------------------------------------------------------

WHOLE = st.integers(-4, 4).map(float)  # many ties and duplicates
ANY = st.floats(-1e6, 1e6, width=32)
SHAPES = st.one_of(
    st.tuples(st.integers(1, 30), st.integers(1, 3)),
    st.tuples(st.integers(1, 12), st.sampled_from([24, 25, 30])),  # from 25 columns on, another loop finds the nearest
)


@st.composite
def problems(draw, elements=WHOLE | ANY, **fixed):
    """Samples, and settings of Isodata that go with them."""
    X = draw(hnp.arrays(np.float64, SHAPES, elements=draw(st.sampled_from([WHOLE, elements]))))
    n = len(X)
    lengths = st.none() | st.floats(0, 8) | st.just(np.inf)
    chosen = {
        "n_clusters": draw(st.integers(1, 6)),
        "min_samples": draw(st.integers(1, max(1, n // 2))),
        "max_std": draw(lengths),
        "min_distance": draw(lengths),
        "max_merges": draw(st.integers(0, 3)),
        "max_iter": draw(st.integers(1, 9)),
        "split_fraction": draw(st.floats(0.1, 1)),
        "random_state": draw(st.integers(0, 2**31)),
    }
    if draw(st.booleans()):
        chosen["init"] = X[draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=6))]
    else:
        chosen["init"] = draw(st.integers(1, n) | st.just("random"))
    return X, {**chosen, **fixed}


def spread_of(X):
    return np.sqrt(((X - X.mean(axis=0)) ** 2).sum(axis=1).mean())


def distances(X, centers):
    return np.sqrt(((X[:, None] - centers) ** 2).sum(axis=2))


@property_of(30, problem=problems())
def isodata_gives_every_sample_its_nearest_centre(problem):
    X, chosen = problem
    before = X.copy()
    model = Isodata(**chosen).fit(X)
    labels, centers = model.labels_, model.cluster_centers_
    assert labels.shape == (len(X),) and labels.dtype == np.int32 and np.isfinite(centers).all()
    assert labels.min() >= 0 and labels.max() < len(centers)
    assert np.array_equal(labels, model.predict(X)) and np.array_equal(X, before)
    far = distances(X, centers)
    rounding = 1e-9 * (np.abs(X).max() + np.abs(centers).max())
    assert (far[np.arange(len(X)), labels] <= far.min(axis=1) + rounding).all()


@property_of(30, problem=problems())
def isodata_keeps_its_books(problem):
    X, chosen = problem
    model = Isodata(**chosen).fit(X)
    assert model.n_iter_ == len(model.history_) <= chosen["max_iter"]
    nearest, rounding = copy.deepcopy(model), 1e-9 * (1 + np.abs(X).max())
    for number, entry in enumerate(model.history_, start=1):
        sizes, lost, moved = entry["sizes"], entry["discarded"], entry["moved"]
        assert entry["iteration"] == number and sizes.sum() == len(X)
        kept = np.setdiff1d(np.arange(len(sizes)), lost)
        small = sizes < chosen["min_samples"]
        assert len(kept) == 1 if small.all() else np.array_equal(kept, np.flatnonzero(~small))
        assert sizes[kept].max() == sizes.max() and len(moved) == len(kept)
        nearest.cluster_centers_ = entry["start"]  # whose samples each centre must be the mean of
        labels = nearest.predict(X)
        assert np.array_equal(np.bincount(labels, minlength=len(sizes)), sizes)
        for center, k in zip(moved, kept, strict=True):
            assert np.allclose(center, X[labels == k].mean(axis=0), rtol=0, atol=rounding)
        assert not (entry["split"] and entry["lumped"]) and len(entry["lumped"]) <= chosen["max_merges"]
        assert len(entry["centers"]) == len(moved) + len(entry["split"]) - len(entry["lumped"])
        if number > 1:
            assert np.array_equal(entry["start"], model.history_[number - 2]["centers"])
        event("split" if entry["split"] else "lumped" if entry["lumped"] else "only moved")
    assert np.array_equal(model.cluster_centers_, model.history_[-1]["centers"])
    first = len(model.history_[0]["start"])  # a pass begins with less than 2 K centres, or splits none
    assert len(model.cluster_centers_) <= max(first, 4 * chosen["n_clusters"] - 2)


@property_of(25, problem=problems(elements=WHOLE), random=st.randoms(use_true_random=False))
def isodata_does_not_depend_on_the_order_of_the_samples(problem, random):
    X, chosen = problem
    chosen = {**chosen, "init": X[:3].copy()}
    order = random.sample(range(len(X)), len(X))
    one, other = Isodata(**chosen).fit(X), Isodata(**chosen).fit(X[order])
    assert np.allclose(one.cluster_centers_, other.cluster_centers_, rtol=0, atol=1e-9)
    assert np.array_equal(one.labels_[order], other.labels_)


@property_of(80, problem=problems(elements=WHOLE), shift=st.integers(-100, 100), power=st.integers(-8, 8))
def isodata_does_not_depend_on_the_units(problem, shift, power):
    X, chosen = problem
    scale = 2.0**power
    lengths = {name: chosen[name] and scale * chosen[name] for name in ("max_std", "min_distance")}
    starts = chosen["init"]
    lengths["init"] = (starts + shift) * scale if isinstance(starts, np.ndarray) else starts
    one, other = Isodata(**chosen).fit(X), Isodata(**{**chosen, **lengths}).fit((X + shift) * scale)
    assert np.allclose((one.cluster_centers_ + shift) * scale, other.cluster_centers_, rtol=0, atol=1e-9 * scale)
    assert np.array_equal(one.labels_, other.labels_)


@property_of(15, problem=problems())
def isodata_does_the_same_again(problem):
    X, chosen = problem
    one, other = Isodata(**chosen).fit(X), Isodata(**chosen).fit(X)
    assert np.array_equal(one.cluster_centers_, other.cluster_centers_) and str(one.history_) == str(other.history_)


@property_of(15, problem=problems(), row=st.integers(0, 29))
def isodata_of_equal_samples_is_one_cluster(problem, row):
    X, chosen = problem
    value = X[row % len(X)]
    model = Isodata(**{**chosen, "init": "random"}).fit(np.tile(value, (len(X), 1)))
    assert model.cluster_centers_.shape == (1, X.shape[1]) and not model.labels_.any()
    assert np.allclose(model.cluster_centers_[0], value, rtol=1e-12, atol=0)


# -- the exact trainer -------------------------------------------------------------------------------------------------


@st.composite
def trainings(draw):
    """Samples with weights of their own, and the weights of a network, some with a switch on a sample."""
    n, H = draw(st.integers(1, 20)), draw(st.integers(1, 6))
    numbers = st.one_of(st.integers(-3, 3).map(float), st.floats(-100, 100, width=32))
    x, y = (draw(hnp.arrays(np.float64, n, elements=numbers)) for _ in "xy")
    s = draw(hnp.arrays(np.float64, n, elements=st.integers(0, 3).map(float)))
    assume(s.sum() > 0)
    return x, y, s, draw(hnp.arrays(np.float64, 3 * H + 1, elements=numbers))


def rounding(x, y, s, theta):
    """Return what the rounding errors of the loss and of the gradient are relative to.

    Moments are taken about the mean of x, and sums are differences of sums over more samples. So where each term of a
    loop over the samples is 0, since x or the weight is, a sum may be off 0 by the rounding of its neighbours:
    hypothesis found 5.6e-17 and 4.9e-17. A unit that is active on no sample has none.
    """
    return absolute_terms(x, y, s + s.mean(), theta, np.abs(x) + abs(s @ x) / s.sum())[:2]


def gradient_of(x, y, s, theta):
    return exact.gradient(exact.prepare(x, y, s), theta)


@property_of(40, training=trainings())
def exact_sums_are_those_over_the_samples(training):
    loss, gradient = gradient_of(*training)
    reference_loss, reference = naive(*training)
    loss_scale, scale = rounding(*training)
    assert abs(loss - reference_loss) <= 1e-12 * loss_scale
    assert (np.abs(gradient - reference) <= 1e-12 * scale).all()
    x, _, _, theta = training
    w, b, _, _ = split(theta)
    dead = ~(x[:, None] * w + b > 0).any(axis=0)
    assert not gradient[:-1].reshape(3, -1)[:, dead].any()


@property_of(25, training=trainings(), steps=st.integers(0, 12), rate=st.sampled_from([1e-4, 1e-2, 1.0]))
def exact_losses_are_those_of_the_weights(training, steps, rate):
    x, y, s, theta = training
    start = theta.copy()
    trained, losses = exact.train(exact.prepare(x, y, s), theta, steps, rate)
    assert losses.shape == (steps + 1,) and np.array_equal(theta, start)
    for weights, loss in ((start, losses[0]), (trained, losses[-1])):
        assert abs(loss - naive(x, y, s, weights)[0]) <= 1e-12 * rounding(x, y, s, weights)[0]


@property_of(25, training=trainings(), rate=st.sampled_from([1e-4, 1e-2]))
def exact_steps_are_those_of_adam(training, rate):
    _, gradient = naive(*training)
    _, scale = rounding(*training)
    assume(((np.abs(gradient) > 1e-6 * scale) & (np.abs(gradient) > 1e-3) | (scale == 0)).all())  # signs are sure
    x, y, s, theta = training
    trained, _ = exact.train(exact.prepare(x, y, s), theta, 1, rate)
    first, second = 0.1 * gradient, 0.001 * gradient**2  # Kingma and Ba (2015), algorithm 1 at t = 1
    expected = theta - rate * (first / 0.1) / (np.sqrt(second / 0.001) + 1e-8)
    assert np.allclose(trained, expected, rtol=1e-13, atol=1e-10 * rate)


@property_of(25, training=trainings(), random=st.randoms(use_true_random=False))
def exact_sums_do_not_depend_on_the_order_of_the_samples(training, random):
    x, y, s, theta = training
    order = random.sample(range(len(x)), len(x))
    one, other = gradient_of(x, y, s, theta), gradient_of(x[order], y[order], s[order], theta)
    loss_scale, scale = rounding(x, y, s, theta)
    assert abs(one[0] - other[0]) <= 1e-12 * loss_scale and (np.abs(one[1] - other[1]) <= 1e-12 * scale).all()


@property_of(25, training=trainings(), power=st.integers(-10, 10), heavy=st.integers(-10, 10))
def exact_sums_follow_the_units_of_the_targets_to_the_last_digit(training, power, heavy):
    x, y, s, theta = training
    H, factor = len(theta) // 3, 2.0**power
    scaled = np.concatenate([theta[: 2 * H], factor * theta[2 * H :]])
    loss, gradient = gradient_of(x, y, s, theta)
    of_scaled, by_scaled = gradient_of(x, factor * y, 2.0**heavy * s, scaled)
    assert of_scaled == factor**2 * loss
    assert np.array_equal(by_scaled, np.repeat([factor**2, factor], [2 * H, H + 1]) * gradient)


# -- error reflection --------------------------------------------------------------------------------------------------


@st.composite
def lessons(draw):
    """A model of cheap parts, with samples for it: regression of few or many values, or classification."""
    n, d = draw(st.integers(4, 24)), draw(st.integers(1, 2))
    X = draw(hnp.arrays(np.float64, (n, d), elements=WHOLE | st.floats(-100, 100, width=32)))
    chosen = {"random_state": draw(st.integers(0, 2**31 - 1)), "space": draw(st.sampled_from(["input", "both"]))}
    chosen["clusterer"] = Isodata(draw(st.integers(1, 4)), max_iter=6)
    if draw(st.booleans()):
        y = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 2)))
        assume(len(np.unique(y)) > 1)
        return ErrorReflectionClassifier(DecisionTreeClassifier(max_depth=1), **chosen), X, y
    y = draw(hnp.arrays(np.float64, n, elements=WHOLE))
    part = draw(st.sampled_from([DecisionTreeRegressor(max_depth=1), LinearRegression()]))
    return ErrorReflectionRegressor(part, errors=draw(st.none() | st.floats(0.01, 1)), **chosen), X, y


@property_of(25, lesson=lessons())
def reflection_routes_each_sample_to_one_network_and_its_answer_is_the_answer(lesson):
    model, X, y = lesson
    X_before, y_before, settings_before = X.copy(), y.copy(), str(model.get_params())
    assert model.fit(X, y) is model
    assert np.array_equal(X, X_before) and np.array_equal(y, y_before) and str(model.get_params()) == settings_before
    each, routes = model.predict_each(X), model.route(X)
    assert each.shape == (len(X), 1 + len(model.experts_)) and set(routes) <= set(range(each.shape[1]))
    assert np.array_equal(routes, model.gate_.predict(X))
    assert np.array_equal(model.predict(X), each[np.arange(len(X)), routes])
    assert np.array_equal(model.routes_ > 0, model.errors_ & (model.routes_ > 0))
    assert np.array_equal(model.routes_[model.errors_], 1 + model.labels_)
    assert model.summary_["n_errors"] == model.errors_.sum() == sum(model.summary_["sizes"])


@property_of(25, lesson=lessons())
def reflection_takes_the_error_cases_of_its_rule(lesson):
    model, X, y = lesson
    answers = clone(model.estimator).set_params(**seeds_of(model)).fit(X, y).predict(X)
    assert np.array_equal(model.fit(X, y).general_.predict(X), answers)
    if isinstance(model, ErrorReflectionClassifier):
        assert np.array_equal(model.errors_, answers != y)
    else:
        residuals = np.abs(y - answers)
        count = max(1, round((0.5 if model.errors is None else model.errors) * len(y)))
        worst = np.sort(residuals)[-count:]
        assert np.array_equal(model.errors_, (residuals >= worst.min()) & (residuals > 0))
    if not model.errors_.any():
        event("no errors")
        assert model.experts_ == [] and np.array_equal(model.predict(X), answers)


def seeds_of(model):
    return {"random_state": model.random_state} if "random_state" in model.estimator.get_params() else {}


@property_of(15, lesson=lessons())
def reflection_without_errors_is_the_general_network(lesson):
    model, X, y = lesson
    model.set_params(errors=np.zeros(len(y), dtype=bool)).fit(X, y)
    assert not model.routes_.any() and np.array_equal(model.predict(X), model.general_.predict(X))


@property_of(15, lesson=lessons(), seed=st.integers(0, 2**31 - 1))
def reflection_does_the_same_again_from_a_clone(lesson, seed):
    model, X, y = lesson
    model.set_params(random_state=seed)
    again = clone(model)
    assert str(again.get_params()) == str(model.get_params())
    one, other = model.fit(X, y), again.fit(X, y)
    assert one.summary_ == other.summary_ and np.array_equal(one.predict_each(X), other.predict_each(X))


# -- rows --------------------------------------------------------------------------------------------------------------

PLAIN = st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False)
CONFIGS = st.dictionaries(st.sampled_from(["a", "b"]) | st.text(max_size=6), PLAIN | st.text(max_size=6), max_size=3)
FOUND = st.dictionaries(st.text(min_size=1, max_size=6), PLAIN.filter(lambda v: v is not None), min_size=1, max_size=3)


def key_of(config, seed):
    return json.dumps(config, sort_keys=True), seed


STUDIES = st.lists(st.tuples(CONFIGS, st.integers(0, 1), FOUND), min_size=3, max_size=9).map(
    lambda rows: {key_of(config, seed): (config, seed, found) for config, seed, found in rows}
)


def record(folder, study, run=None):
    """Measure a study, or what a function says, into a folder; the number of new rows."""
    work = [(config, seed) for config, seed, _ in study.values()]

    def known(config, seed):
        return study[key_of(config, seed)][2]

    how = {"rules": {}, "folder": folder, "jobs": 1, "progress": False}
    return records.record("study", run or known, work, **how)


def rows_in(folder):
    return {key_of(row.config, row.seed): row.numbers for row in records.read("study", folder)}


@property_of(12, study=STUDIES, random=st.randoms(use_true_random=False), packed=st.booleans())
def rows_come_back_as_they_were_whatever_the_order_and_the_interruption(study, random, packed):
    order = random.sample(list(study), len(study))
    with tempfile.TemporaryDirectory() as folder:
        some = {key: study[key] for key in order[: random.randint(0, len(order))]}
        assert record(folder, some) == len(some)
        if packed and some:
            records.pack("study", folder)
        assert record(folder, {key: study[key] for key in order}) == len(study) - len(some)
        assert record(folder, study) == 0
        assert len(records.read("study", folder)) == len(study)
        assert rows_in(folder) == {key: found for key, (_, _, found) in study.items()}


@property_of(6, study=STUDIES, share=st.floats(0, 1, exclude_max=True))
def rows_that_a_killed_run_tore_are_refused_by_readers_and_measured_again(study, share):
    with tempfile.TemporaryDirectory() as folder:
        record(folder, study)
        file, whole = Path(folder) / "study.jsonl", rows_in(folder)
        data = file.read_bytes()[: int(share * file.stat().st_size)]
        file.write_bytes(data)
        left = data.count(b"\n")
        if data.endswith(b"\n") or not data:
            assert len(rows_in(folder)) == max(0, left - 1)  # the first line is of the run
        else:
            with pytest.raises(RecordError, match="the last line is torn by a killed run; `errref run study` repairs"):
                records.read("study", folder)
        assert record(folder, study) == len(study) - max(0, left - 1)
        assert rows_in(folder) == whole


@property_of(5, study=STUDIES, bad=st.sampled_from([np.nan, np.inf, -np.inf, None, "1", 1j, [1.0]]))
def rows_that_are_no_finite_numbers_are_refused_and_the_others_kept(study, bad):
    with tempfile.TemporaryDirectory() as folder:
        with pytest.raises(RecordError, match=r"study, seed \d of .*: loss is .*, not a finite number"):
            record(folder, study, lambda config, seed: {"loss": bad})
        assert rows_in(folder) == {} and list(Path(folder).iterdir()) == []


# -- the ledger --------------------------------------------------------------------------------------------------------

ENTRIES = yaml.safe_load((ROOT / "book" / "claims.yml").read_text(encoding="utf-8"))
WORDS = [
    *sorted(ledger.RULE_FIELDS),
    *ledger.TEXTS,
    *ledger.KINDS,
    *ledger.BOUNDS,
    *ledger.STATISTICS,
    "functions",
    "rule",
]
LEAVES = PLAIN | st.text(max_size=5) | st.sampled_from(WORDS) | st.dates() | st.floats()
VALUES = st.recursive(LEAVES, lambda v: st.lists(v, max_size=2) | st.dictionaries(LEAVES, v, max_size=2), max_leaves=4)


def places(value, place=()):
    """The place of every part of a nested value, as the keys that lead to it."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place, *(found for key in keys for found in places(value[key], (*place, key)))]


@st.composite
def mutated(draw):
    """An entry of the ledger with one part of it replaced, removed or added."""
    entry = copy.deepcopy(draw(st.sampled_from(ENTRIES)))
    *way, last = draw(st.sampled_from(places(entry)[1:]))
    inside = entry
    for key in way:
        inside = inside[key]
    kind = draw(st.sampled_from(["replace", "remove", "add", "rename"]))
    if kind == "remove":
        del inside[last]
    elif kind == "rename" and isinstance(inside, dict):
        inside[draw(LEAVES)] = inside.pop(last)
    elif kind == "add" and isinstance(inside, dict):
        inside[draw(LEAVES)] = draw(VALUES)
    else:
        inside[last] = draw(VALUES)
    return entry


def loaded(entries):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "claims.yml"
        file.write_text(yaml.safe_dump(entries, allow_unicode=True), encoding="utf-8")
        return claims.load(file)


def sentence_of(error):
    """Whether it says which claim, what is wrong, and (after a semicolon, or as what must be) how to mend it."""
    return re.match(r"(Claim ['\"].*|Entry \d+ of the ledger|Line \d+ of the ledger|claims.yml)", str(error), re.DOTALL)


def rows_for(claim):
    """A few rows of each configuration that the readings of a claim select."""
    if claim.rule is None or "derivation" in claim.rule:
        return []
    parts = ledger.readings(claim.rule).values()
    names = {part[key] for part in parts for key in ("measure", "against") if key in part}
    configs = [part.get(key, {}) for part in parts for key in ("select", "than")]
    return [Row(claim.experiment, config, seed, dict.fromkeys(names, 1)) for config in configs for seed in range(3)]


@property_of(60, entry=mutated())
def ledger_entries_that_were_changed_are_refused_in_a_sentence_or_judged(entry):
    try:
        (claim,) = loaded([entry]).values()
        for rule in filter(None, (claim, claim.second)):
            assert len(rule.rule_hash) == 12
            verdict = claims.judge(rule, rows_for(rule))
            assert verdict.word in WORDS_OF_VERDICTS
    except LedgerError as error:
        event("refused")
        assert sentence_of(error), error


WORDS_OF_VERDICTS = {
    *("reproduced", "partly", "not reproduced", "refuted", "open", "possible", "not possible", "not testable")
}


def test_the_ledger_can_be_written_and_read_again():
    assert loaded(ENTRIES) == claims.load()


# -- all of them -------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Expert . is a constant")
@pytest.mark.parametrize("name", PROPERTIES)
def test_a_property_holds(name):
    hold(name, QUICK, derandomize=True)()


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:Expert . is a constant")
@pytest.mark.parametrize("name", PROPERTIES)
def test_a_property_holds_on_many_inputs(name, capsys):
    start = int(os.environ.get("SEED", secrets.randbits(32)))
    with capsys.disabled():
        print(f"\n{name}: SEED={start}", end=" ")
    seed(start)(hold(name, LONG))()
