"""The JavaScript of the moving figures is the Python: same draws, same training, same clusters, same routes."""

import numpy as np
import pytest

from errref import exact
from errref.datasets import FUNCTIONS, even
from errref.experiments.functions import TEST_SAMPLES
from errref.isodata import Isodata, _assign
from errref.networks import ReluRegressor
from errref.widgets import script
from errref.widgets.playground import KNOTS, Playground

MODULES = script("engine/reflection.js")
FINISH = (
    "const finish = (training) => { for (;;) { const { value, done } = training.next(); if (done) return value; } };"
)
ZIGZAG = np.round(np.sin(3 * np.linspace(-1, 1, KNOTS)) + 0.5 * (np.arange(KNOTS) % 5 == 0), 2).tolist()


def settings(play):
    """What the widget's script hands to the thread that trains."""
    state = play.get_state()
    fixed = state["_fixed"]
    own = {name: value for name, value in state.items() if not name.startswith("_") and name != "layout"}
    sizes = {name: fixed[name] for name in ("n_samples", "n_test")}
    return {**own, "pieces": fixed["functions"].get(play.function), **sizes}


def flat(network):
    """The weights of a network in the order of `errref.exact`."""
    parts = (network.hidden_weights_, network.hidden_biases_, network.output_weights_, network.output_bias_)
    return np.concatenate([np.ravel(part) for part in parts])


# -- draws -------------------------------------------------------------------------------------------------------------


def test_a_seed_draws_the_same_numbers(javascript):
    seeds = [0, 1, 7, 99, 123_456_789, 2**32 - 1]
    draws = "given.map((seed) => { const draw = pcg64(seed); return Array.from({ length: 50 }, draw); })"
    assert javascript(MODULES, draws, seeds) == [np.random.default_rng(seed).random(50).tolist() for seed in seeds]


def test_a_seed_spawns_the_same_seeds_and_permutes_alike(javascript):
    seeds, sizes = [0, 3, 2**31 + 11], [1, 2, 9, 128, 700]
    spawned = javascript(MODULES, "given.map((seed) => [0, 1, 2, 9].map((key) => spawnedSeed(seed, key)))", seeds)
    for seed, found in zip(seeds, spawned, strict=True):
        words = [np.random.SeedSequence(seed, spawn_key=(key,)).generate_state(1)[0] for key in (0, 1, 2, 9)]
        assert found == [int(word >> 1) for word in words]
    orders = javascript(MODULES, "given[0].map((seed) => given[1].map((n) => permutation(seed, n)))", [seeds, sizes])
    assert orders == [[np.random.RandomState(seed).permutation(n).tolist() for n in sizes] for seed in seeds]


@pytest.mark.parametrize("hidden", [1, 2, 10, 33])
def test_networks_start_at_the_same_weights(hidden, javascript):
    weights = javascript(MODULES, "startingWeights(given, 5)", hidden)
    network = ReluRegressor(hidden, steps=0, random_state=5).fit([[0.0], [1.0]], [0.0, 1.0])
    assert weights == flat(network).tolist()


# -- training ----------------------------------------------------------------------------------------------------------


def line_problems():
    """Samples and starting weights that reach the corners: duplicates, switches on samples, idle and flat units."""
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 17, 200):
        x = np.sort(rng.integers(-8, 9, n) / 4.0)
        weights = rng.normal(size=3 * 6 + 1)
        weights[:2], weights[6:12] = 0, rng.integers(-4, 5, 6) / 2
        yield {"x": x.tolist(), "y": rng.normal(size=n).tolist(), "weights": weights.tolist()}


def test_training_takes_the_same_steps_on_any_samples(javascript):
    problems, steps, rate = list(line_problems()), 300, 0.01
    train = """given.map(({ x, y, weights }) => {
      const trainer = new Trainer(prepare(x, y), weights, schedule(300, 0.01));
      trainer.run(7);
      trainer.run(1000);
      trainer.sortUnits();
      return { weights: trainer.weights(), loss: trainer.findGradient() };
    })"""
    for problem, found in zip(problems, javascript(MODULES, train, problems), strict=True):
        weights, losses = exact.train(exact.prepare(problem["x"], problem["y"]), problem["weights"], steps, rate)
        assert not np.allclose(weights, problem["weights"], rtol=0, atol=1e-3)
        np.testing.assert_allclose(found["weights"], weights, rtol=0, atol=1e-9)
        assert found["loss"] == pytest.approx(losses[-1], rel=0, abs=1e-9)


def systems():
    """Settings over all targets, several seeds and rules, 1,000 steps each."""
    for k, name in enumerate([*FUNCTIONS, "drawn"]):
        for seed in (k, 50 + k, 2**31 + k):
            rate = (1e-3, 1e-2)[seed % 2]
            yield Playground(function=name, drawn=ZIGZAG, steps=1000, learning_rate=rate, seed=seed)
    common = {"function": "quartic", "steps": 1000, "learning_rate": 1e-2, "seed": 4}
    yield Playground(**common, rule="rms", factor=1.25, hidden=3)
    yield Playground(**common, rule="rms", factor=50.0)  # no error case
    yield Playground(**common, share=0.005, n_clusters=3)  # one error case, a constant expert
    yield Playground(**common, share=0.3, n_clusters=5, min_samples=9, max_std=0.08, min_distance=0.2)


@pytest.fixture(scope="module")
def pairs(javascript):
    """Each system as JavaScript describes it, and as Python fits it."""
    plays = list(systems())
    both = """given.map((settings) => {
      const system = finish(reflect(settings));
      return { ...system, ...describe(settings, system) };
    })"""
    found = javascript(MODULES + FINISH, both, [settings(play) for play in plays])
    return [(play, play.system, system) for play, system in zip(plays, found, strict=True)]


def test_systems_have_the_same_weights_after_1000_steps(pairs):
    for play, model, found in pairs:
        assert len(found["networks"]) == len(model.networks_), play
        for network, weights in zip(model.networks_, found["networks"], strict=True):
            if hasattr(network, "hidden_weights_"):
                np.testing.assert_allclose(weights, flat(network), rtol=0, atol=1e-9)
            else:
                assert weights == [0, 0, 0, pytest.approx(float(network.constant_[0][0]), abs=1e-12)]


def test_systems_have_the_same_error_cases_clusters_and_routes(pairs):
    for play, model, found in pairs:
        assert found["errors"] == model.errors_.tolist(), play
        assert found["labels"] == model.labels_.tolist() and found["routes"] == model.routes_.tolist()
        if model.clusterer_ is None:
            assert found["clustering"] is None
        else:
            np.testing.assert_allclose(found["centers"], model.clusterer_.cluster_centers_[:, 0], rtol=0, atol=1e-12)


def test_systems_answer_alike_everywhere(pairs):
    x = even(TEST_SAMPLES)[:, None]
    for play, model, found in pairs:
        assert found["x"] == x[:, 0].tolist() and found["who"] == model.route(x).tolist()
        np.testing.assert_allclose(found["y"], play.target(x[:, 0]), rtol=0, atol=1e-14)
        np.testing.assert_allclose(found["system"], model.predict(x), rtol=0, atol=1e-8)
        np.testing.assert_allclose(np.transpose(found["each"]), model.predict_each(x), rtol=0, atol=1e-7)
        losses = {"general": model.general_, "reflection": model}
        for name, network in losses.items():
            loss = np.mean((network.predict(x) - play.target(x[:, 0])) ** 2)
            assert found["losses"][name] == pytest.approx(loss, rel=1e-6)


def test_the_systems_reach_what_they_should(pairs):
    counts = [len(model.experts_) for _, model, _ in pairs]
    assert {0, 1} <= set(counts) and max(counts) >= 4
    assert any(any(model.summary_["constant"]) for _, model, _ in pairs)
    assert any(entry["lumped"] for _, model, _ in pairs if model.clusterer_ for entry in model.clusterer_.history_)


def test_the_rival_is_the_same_network(javascript):
    play = Playground(function="piecewise", hidden=4, steps=1000, learning_rate=1e-2, seed=8)
    size = len(play.system.networks_)
    found = javascript(MODULES + FINISH, f"finish(rival(given, {size}))", settings(play))
    np.testing.assert_allclose(found, flat(play.rival), rtol=0, atol=1e-9)
    assert len(found) <= size * 13 < len(found) + 3


def test_what_python_refuses_is_refused_in_the_same_words(javascript):
    play = Playground(min_samples=200, steps=10)
    with pytest.raises(ValueError, match="min_samples=200") as refused:
        play.system  # noqa: B018
    caught = "(() => { try { finish(reflect(given)); } catch (error) { return error.message; } })()"
    assert javascript(MODULES + FINISH, caught, settings(play)) == str(refused.value)


def test_the_retraining_rate_is_printed_and_the_long_run_agrees(javascript, capsys):
    play = Playground()
    timed = """(() => {
      const one = () => finish(reflect(given));
      one();
      const start = performance.now(), processor = process.cpuUsage();
      for (let i = 0; i < 5; i++) one();
      const { user, system } = process.cpuUsage(processor), rate = 5000 / (performance.now() - start);
      return { rate, perProcessor: 5e6 / (user + system), losses: describe(given, one()).losses };
    })()"""
    found, model, x = javascript(MODULES + FINISH, timed, settings(play)), play.system, even(TEST_SAMPLES)
    with capsys.disabled():
        words = f"{found['rate']:.1f} re-trainings a second, {found['perProcessor']:.1f} a second of processor time"
        print(f"\nNode.js, {len(model.networks_)} networks of 20,000 steps: {words}")
    for name, network in {"general": model.general_, "reflection": model}.items():
        loss = np.mean((network.predict(x[:, None]) - play.target(x)) ** 2)
        assert abs(np.log10(found["losses"][name] / loss)) < 0.05


# -- ISODATA -----------------------------------------------------------------------------------------------------------


def clusterings():
    """Random problems in one and two columns, on a coarse grid, so that ties are common."""
    rng = np.random.default_rng(1)
    for k in range(300):
        n, d = int(rng.integers(2, 60)), 1 + k % 2
        X = rng.integers(0, 12, (n, d)) / 4.0 if k % 3 else rng.normal(size=(n, d)) + 3 * rng.integers(0, 3, (n, 1))
        yield {
            "X": X.tolist(),
            "n_clusters": int(rng.integers(1, 7)),
            "min_samples": int(rng.integers(1, min(n, 6))),
            "max_std": [None, 0.2, 1.0][k % 3],
            "min_distance": [None, 0.0, 1.5][k // 3 % 3],
            "max_merges": int(rng.integers(0, 4)),
            "max_iter": int(rng.integers(1, 12)),
            "split_fraction": float(rng.choice([0.3, 0.5, 1.0])),
            "random_state": k,
        }


def test_isodata_finds_the_same_clusters_by_the_same_events(javascript):
    problems, seen = list(clusterings()), set()
    found = javascript(MODULES, "given.map(({ X, ...parameters }) => isodata(X, parameters))", problems)
    for problem, other in zip(problems, found, strict=True):
        parameters = {name: value for name, value in problem.items() if name != "X"}
        model = Isodata(**parameters).fit(problem["X"])
        assert other["labels"] == model.labels_.tolist(), problem
        np.testing.assert_allclose(other["centers"], model.cluster_centers_, rtol=0, atol=1e-12)
        assert len(other["history"]) == model.n_iter_
        X = np.array(problem["X"])
        thresholds = model._thresholds(X, X.mean(axis=0))[:2]
        np.testing.assert_allclose([other["max_std"], other["min_distance"]], thresholds, rtol=1e-12)
        for mine, entry in zip(other["history"], model.history_, strict=True):
            assert mine["labels"] == _assign(X, X.mean(axis=0), entry["start"] - X.mean(axis=0))[0].tolist()
            for here, there in (
                ("meanDistances", "mean_distances"),
                ("meanDistance", "mean_distance"),
                ("stds", "stds"),
            ):
                assert (here in mine) == (entry[there] is not None)
                if here in mine:
                    np.testing.assert_allclose(mine[here], entry[there], rtol=0, atol=1e-12)
            assert mine["sizes"] == entry["sizes"].tolist() and mine["discarded"] == entry["discarded"]
            assert mine["split"] == entry["split"]
            for name in ("considered", "lumped"):
                assert mine[name] == [list(pair) for pair in entry[name]]
            for name in ("start", "moved", "centers"):
                np.testing.assert_allclose(mine[name], entry[name], rtol=0, atol=1e-12)
            seen |= {name for name in ("discarded", "split", "lumped") if entry[name]}
            seen |= {"not lumped"} if len(entry["considered"]) > len(entry["lumped"]) else set()
    assert seen == {"discarded", "split", "lumped", "not lumped"}
