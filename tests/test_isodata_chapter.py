"""The chapter on ISODATA: its examples by hand, what it says in general, its experiment, rows and figures."""

import math

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba

from errref import records
from errref.experiments import functions, isodata
from errref.figures import isodata as draw
from errref.isodata import Isodata

SEEDS = 20
TWO = np.array([[0.0], [1.0]])
TWO_SETTINGS = {"n_clusters": 2, "max_std": 0.25, "min_distance": 2, "max_merges": 1, "init": [[0.5]]}
SIX = np.array([[0.0], [4.0], [5.0], [6.0], [7.0], [8.0]])
SIX_SETTINGS = {"n_clusters": 2, "max_std": 1, "min_distance": 3, "init": [[0], [6]]}
PLANE = np.array([[0, 0], [1, 1], [2, 2], [4, 3], [5, 3], [4, 4], [5, 4], [6, 5]])


def story(X, parameters, max_iter):
    """Of each iteration on a line: sizes, moved centres, and what was discarded, split and lumped."""
    model = Isodata(**parameters, max_iter=max_iter).fit(X)
    events = ("discarded", "split", "lumped")
    return [(h["sizes"].tolist(), h["moved"].ravel().tolist(), *(h[e] for e in events)) for h in model.history_]


def counts(X, parameters, limits):
    return [len(Isodata(**parameters, max_iter=n).fit(X).cluster_centers_) for n in limits]


def random_problem(rng):
    """Samples on a line, often equal, and parameters that reach every branch."""
    X = rng.integers(0, 20, (rng.integers(5, 25), 1)).astype(float)
    names = ("n_clusters", "min_samples", "max_merges", "init")
    parameters = dict(zip(names, map(int, rng.integers((1, 1, 0, 1), (7, 4, 4, 6))), strict=True))
    parameters |= {"max_std": rng.uniform(0, 3), "min_distance": rng.uniform(0, 6)}
    return X, parameters | {"max_iter": int(rng.integers(1, 9)), "random_state": int(rng.integers(1000))}


# -- the examples ------------------------------------------------------------------------------------------------------


def test_two_samples_iteration_by_iteration():
    # One centre: mean 1/2, sigma = 1/2 > 1/4, Nc = 1 <= K / 2: split into 3/4 and 1/4. Two: each takes its sample, the
    # upper half is the first; even, and 1 < theta_C = 2: lumped, (1 * 1 + 1 * 0) / 2 = 1/2. The last only moves.
    together, apart = ([2], [0.5], [], [0], []), ([1, 1], [1.0, 0.0], [], [], [(0, 1)])
    assert story(TWO, TWO_SETTINGS, 5) == [together, apart, together, apart, ([2], [0.5], [], [], [])]
    assert story(TWO, TWO_SETTINGS, 4)[-1] == ([1, 1], [1.0, 0.0], [], [], [])
    assert counts(TWO, TWO_SETTINGS, range(1, 10)) == [1, 2, 1, 2, 1, 2, 1, 2, 1]
    # From 0 and 1 no cluster is wide in iteration 1 (odd), so that it lumps: the parities change places.
    assert counts(TWO, TWO_SETTINGS | {"init": [[0], [1]]}, range(1, 10)) == [2, 1, 2, 1, 2, 1, 2, 1, 2]


@pytest.mark.parametrize("changes", [{"max_std": 0.5}, {"min_distance": 1}, {"max_merges": 0}, {"n_clusters": 1}])
def test_two_samples_come_to_rest_when_one_condition_fails(changes):
    # sigma = 1/2 must exceed theta_S, theta_C the distance 1, L must allow a pair, and Nc = 1 <= K / 2
    assert Isodata(**TWO_SETTINGS | changes).fit(TWO).n_iter_ < 6


def test_one_sample_is_always_at_rest():
    for init in ([[3]], [[0], [5]], [[5], [5], [5]]):
        settings = TWO_SETTINGS | {"init": init, "max_std": 0, "min_distance": np.inf}
        model = Isodata(**settings).fit([[3.0]])
        assert model.n_iter_ <= 3 and model.cluster_centers_.tolist() == [[3]]


def test_six_samples_iteration_by_iteration():
    # {0} and {4..8}: D = (0, 6/5) and (0 + 5 * 6/5) / 6 = 1, sigma = sqrt 2 > 1, 5 > 2 (1 + 1): the second is split
    # around 6, which is as near to both halves and joins the first: {6, 7, 8}, {4, 5}, at 7 and 4.5, 2.5 < 3 apart.
    wide, halves = ([1, 5], [0.0, 6.0], [], [1], []), ([1, 3, 2], [0.0, 7.0, 4.5], [], [], [(1, 2)])
    assert story(SIX, SIX_SETTINGS, 5) == [wide, halves, wide, halves, ([1, 5], [0.0, 6.0], [], [], [])]
    assert counts(SIX, SIX_SETTINGS, range(2, 8)) == [3, 2, 3, 2, 3, 2]
    more = Isodata(**SIX_SETTINGS | {"min_distance": 0}).fit(SIX)
    assert more.cluster_centers_.ravel().tolist() == [0, 7, 4.5] and more.n_iter_ == 4
    for left_out in range(6):  # with five samples no cluster is split, so K = 2 stay
        five = np.delete(SIX, left_out, axis=0)
        assert len(Isodata(**SIX_SETTINGS | {"min_distance": 0}).fit(five).cluster_centers_) == 2


def test_a_cycle_without_lumping_iteration_by_iteration():
    # {0, 0, 3}: mean 1, sigma = sqrt 2, split; 3 is alone in the upper half, which goes; {0, 0} has sigma 0; and so on.
    settings = {"n_clusters": 2, "min_samples": 2, "max_std": 1, "min_distance": 0, "init": [[1]]}
    whole, part = ([3], [1.0], [], [0], []), ([1, 2], [0.0], [0], [], [])
    assert story([[0], [0], [3]], settings, 6) == [whole, part, whole, part, whole, part]
    assert Isodata(**settings, max_iter=7).fit([[0], [0], [3]]).cluster_centers_ == 1


def test_default_thresholds_can_cycle():
    X = np.repeat([[-1000.0], [-1], [1], [1000]], [1, 255, 255, 1], axis=0)
    assert X.std() == pytest.approx(math.sqrt((510 + 2e6) / 512))
    model = Isodata(2, init=1, max_iter=10).fit(X)
    assert model.history_[1]["moved"].ravel().tolist() == pytest.approx([1255 / 256, -1255 / 256])
    assert 2 * 1255 / 256 < X.std() / 4
    assert counts(X, {"n_clusters": 2, "init": 1}, range(2, 8)) == [2, 1, 2, 1, 2, 1]


def test_a_turn_by_45_degrees_changes_the_clusters():
    X, turn = np.array([[0.0, 0], [2, 0]]), np.array([[1, 1], [-1, 1]]) / math.sqrt(2)
    settings = {"n_clusters": 2, "max_std": 0.8, "min_distance": 0, "init": 1}
    assert [counts(samples, settings, [9]) for samples in (X, X @ turn)] == [[2], [1]]


# -- what the chapter says in general ----------------------------------------------------------------------------------


def test_on_a_line_clusters_are_intervals():
    rng = np.random.default_rng(1)
    for _ in range(200):
        X, parameters = random_problem(rng)
        labels = Isodata(**parameters).fit(X).labels_[np.argsort(X[:, 0], kind="stable")]
        assert np.sum(np.diff(labels) != 0) == len(set(labels.tolist())) - 1


def test_at_most_4_k_minus_3_come_out_of_a_split_and_more_than_k_do():
    rng, beyond = np.random.default_rng(2), 0
    for _ in range(300):
        X, parameters = random_problem(rng)
        parameters |= {"init": min(parameters["init"], parameters["n_clusters"]), "min_distance": 0}
        for entry in Isodata(**parameters).fit(X).history_:
            assert len(entry["centers"]) <= 4 * parameters["n_clusters"] - 3
            assert not entry["split"] or len(entry["moved"]) < 2 * parameters["n_clusters"]
            beyond += len(entry["centers"]) > parameters["n_clusters"]
    assert beyond > 20


# -- the experiment ----------------------------------------------------------------------------------------------------


def test_configurations_are_distinct_and_change_one_parameter():
    found = isodata.configurations()
    keys = {(c["function"], *isodata.settings(c).values()) for c in found}
    assert len(keys) == len(found), "two configurations have the same settings"
    assert {c["function"] for c in found} == set(isodata.FUNCTIONS) <= set(functions.FUNCTIONS)
    per_function = [[c for c in found if c["function"] == name] for name in isodata.FUNCTIONS]
    for chosen in per_function:
        changes = [set(c) - {"grid", "function"} for c in chosen]
        assert changes.count(set()) == 1
        assert [c for c in changes if len(c) > 1] == [{"min_distance", "max_iter"}] * len(isodata.PARITY)
        for name, values in isodata.SWEEP.items():
            assert sorted(c[name] for c in chosen if set(c) == {"grid", "function", name}) == sorted(values)
    assert set(isodata.SWEEP) == set(isodata.DEFAULT) <= set(Isodata().get_params())
    assert isodata.ODD % 2 != isodata.DEFAULT["max_iter"] % 2


@pytest.mark.parametrize("function", isodata.FUNCTIONS)
def test_the_default_is_that_of_the_function_table(function):
    config = {"function": function}
    X, _ = functions.data(config, functions.BASE["n_samples"])
    model = isodata.system(config, 1000)
    scaler, written_out = model.clusterer_
    points = X[model.errors_]
    plain = Isodata(functions.N_CLUSTERS, random_state=written_out.random_state).fit(points)
    assert np.array_equal(plain.labels_, model.labels_) and plain.n_iter_ == written_out.n_iter_
    assert np.allclose(plain.cluster_centers_, scaler.inverse_transform(written_out.cluster_centers_))
    limits = {name: isodata.DEFAULT[name] * points.std() for name in ("max_std", "min_distance")}
    for change, same in (({}, True), ({"max_std": 0.8}, False), ({"min_distance": 1.5}, False)):  # factors
        given = {name: limit * change.get(name, 1) for name, limit in limits.items()}
        pairs = ((Isodata(2 + k % 7, random_state=k, **g).fit(points) for g in (given, {})) for k in range(70))
        assert all(np.array_equal(a.labels_, b.labels_) for a, b in pairs) == same, change


def test_a_row_is_the_same_whatever_was_run_before_it():
    config = {"grid": 1, "function": "quartic", "n_clusters": 6}
    first = isodata.run(config, 1000)
    assert isodata.run(config | {"n_clusters": 2}, 1001) != first
    assert isodata.run(config, 1000) == first
    assert all(type(value) in (int, float) for value in first.values())


def test_a_row_counts_what_the_history_says():
    config = {"grid": 1, "function": "quartic", "min_distance": 2.0, "max_iter": 12}
    row, model = isodata.run(config, 1000), isodata.system(config, 1000)
    history = model.clusterer_[-1].history_
    assert row["splits"] == sum(len(h["centers"]) - len(h["moved"]) for h in history if h["split"])
    assert row["lumps"] == sum(len(h["moved"]) - len(h["centers"]) for h in history if h["lumped"])
    assert row["discards"] == sum(len(h["start"]) - len(h["moved"]) for h in history)
    assert (row["experts"], row["largest"]) == (len(model.experts_), np.bincount(model.labels_).max())
    centres = model.clusterer_[-1].cluster_centers_[:, 0]
    assert row["too_close"] == sum(abs(a - b) < 2.0 for i, a in enumerate(centres) for b in centres[:i])
    assert row["settled"] == 0 and len(history) == 12
    assert row["splits"] > 0 and row["lumps"] > 0


# -- the recorded rows -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows():
    return records.read("isodata")


def test_every_configuration_is_recorded_for_every_seed(rows):
    want = {(seed, str(sorted(c.items()))) for seed in range(SEEDS) for c in isodata.configurations()}
    assert {(row.seed, str(sorted(row.config.items()))) for row in rows} >= want


def test_recorded_rows_agree_with_each_other(rows):
    base = {}
    for row in rows:
        n, limits = row.numbers, isodata.settings(row.config)
        errors = functions.BASE["n_samples"] // 2
        assert n["smallest"] * n["experts"] <= errors <= n["largest"] * n["experts"]
        assert n["splits"] <= limits["max_iter"] * 2 * limits["n_clusters"]
        assert base.setdefault((row.config["function"], row.seed), n["base"]) == n["base"]
        if n["settled"]:  # the last even iteration considered lumping, and discarded nothing
            assert n["too_close"] == 0 or limits["max_merges"] == 0
            assert n["smallest"] >= limits["min_samples"] or n["experts"] == 1
        if limits["n_clusters"] == 1:
            assert n["experts"] == 1 and n["splits"] == 0


# -- the figures -------------------------------------------------------------------------------------------------------


def test_clusters_keep_their_numbers_while_they_live():
    rng, kept_alive = np.random.default_rng(3), 0
    for _ in range(200):
        X, parameters = random_problem(rng)
        history = Isodata(**parameters).fit(X).history_
        numbers = draw.lineage(history)
        for k, (entry, here) in enumerate(zip(history, numbers, strict=True)):
            pairs = draw.links(entry)
            assert len(set(here)) == len(here) == len(entry["start"])
            assert {place for _, place in pairs} == set(range(len(entry["centers"])))
            moved = [number for j, number in enumerate(here) if j not in entry["discarded"]]
            after = numbers[k + 1] if k + 1 < len(history) else list(range(len(entry["centers"])))
            lumped = {j for pair in entry["lumped"] for j in pair}
            for j, place in pairs:
                if j not in lumped and j not in entry["split"]:
                    assert entry["moved"][j] == entry["centers"][place] and moved[j] == after[place]
                    kept_alive += 1
    assert kept_alive > 1000


def test_links_by_hand():
    entry = {"moved": np.zeros((4, 1)), "split": [], "lumped": [(0, 2)]}
    assert draw.links(entry) == [(0, 0), (1, 1), (2, 0), (3, 2)]
    assert draw.links(entry | {"split": [1], "lumped": []}) == [(0, 0), (1, 1), (1, 2), (2, 3), (3, 4)]


def figures(rows):
    """Every figure of the chapter, on its small examples."""
    settings = {"max_std": 1, "min_distance": 4, "max_merges": 0, "max_iter": 4, "init": [[0, 0]]}
    yield draw.plane(PLANE, Isodata(2, **settings).fit(PLANE).history_[:2])
    yield draw.iterations(TWO, Isodata(**TWO_SETTINGS, max_iter=6).fit(TWO).history_)
    discards = Isodata(2, min_samples=2, max_std=1, min_distance=0, init=[[1]], max_iter=6)
    yield draw.iterations(np.array([[0.0], [0], [3]]), discards.fit([[0], [0], [3]]).history_)
    yield draw.parity({"two": {1: 1, 2: 2}, "six": {1: 2, 2: 3}})
    yield draw.thresholds(rows)


def test_figures_are_drawn_without_a_warning_and_have_labelled_axes(rows, drawn):
    for figure in drawn(figures(rows)):
        assert all(ax.get_xlabel() for ax in figure.axes[-1:])
        assert all(ax.get_ylabel() for ax in figure.axes) or figure.get_supylabel()


def test_the_picture_of_two_samples_shows_the_cycle():
    model = Isodata(**TWO_SETTINGS, max_iter=6).fit(TWO)
    (ax,) = draw.iterations(TWO, model.history_).axes
    assert [text.get_text() for text in ax.texts] == ["split 1", "lump 1", "split 1", "lump 1", "split 1", ""]
    centres = sorted((line.get_ydata()[0], line.get_xdata()[0]) for line in ax.lines if line.get_markersize() == 8)
    assert centres == [(1, 0.5), (2, 0), (2, 1), (3, 0.5), (4, 0), (4, 1), (5, 0.5), (6, 0), (6, 1)]
    ticks = [(line.get_ydata()[0], *line.get_xdata()) for line in ax.lines if line.get_marker() == "|"]
    assert sorted(ticks) == [(1, 0, 1), (2, 0), (2, 1), (3, 0, 1), (4, 0), (4, 1), (5, 0, 1), (6, 0), (6, 1)]
    plt.close(ax.figure)


def test_the_thresholds_are_drawn_from_the_rows(rows):
    figure = draw.thresholds(rows)
    for ax, name in zip(figure.axes, draw.SYMBOLS, strict=True):
        values = sorted({*isodata.SWEEP[name], isodata.DEFAULT[name]})
        assert [label.get_text() for label in ax.get_xticklabels()] == [f"{value:g}" for value in values]
        medians = []
        for value in values:
            wanted = isodata.DEFAULT | {name: value}
            chosen = [row.numbers["experts"] for row in rows if isodata.settings(row.config) == wanted]
            assert len(chosen) == SEEDS * len(isodata.FUNCTIONS)
            medians.append(np.median(chosen))
        assert ax.lines[0].get_ydata().tolist() == medians
        assert len(ax.lines) == 1 + (name == "min_distance")
        general = to_rgba(draw.COLOURS["general"])[:3]
        areas = [c.get_sizes()[0] for c in ax.collections if tuple(c.get_facecolor()[0][:3]) == general]
        assert sum(areas) == pytest.approx(220 * len(values))
    plt.close(figure)
