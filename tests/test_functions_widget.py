"""The training of a system, step by step: its values in Python, its engine in Node, its page in a browser."""

import math

import numpy as np
import pytest
import traitlets
from sklearn.dummy import DummyRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.neighbors import KNeighborsClassifier

from errref import records
from errref.datasets import FUNCTIONS, even
from errref.experiments import functions
from errref.isodata import Isodata
from errref.networks import ReluRegressor
from errref.reflection import ErrorReflectionRegressor
from errref.widgets import script
from errref.widgets.functions import STEPS, X_RANGE, Training, unit_states
from tests.browser import SCHEMES, control, listen, opened, page_of, press
from tests.test_javascript import FINISH, flat

X_TEST = even(functions.TEST_SAMPLES)
X = even(functions.BASE["n_samples"])
END = STEPS[-1]
SHOWN = '[data-state="shown"]'


def loss(network, x, y):
    return float(np.mean((network.predict(x[:, None]) - y) ** 2))


def close(ours, theirs):
    """Whether two losses agree as chaotic losses do between machines."""
    return abs(math.log10(ours / theirs)) < 0.05 or max(ours, theirs) < 1e-6


# -- the values --------------------------------------------------------------------------------------------------------


def network_of(w, b):
    start = np.reshape(w, (-1, 1)), np.array(b), np.ones(len(w)), 0.0
    return ReluRegressor(len(w), steps=0, init=start).fit([[0.0], [1.0]], [0.0, 1.0])


def test_what_units_do_by_hand():
    # on [0, 1]: x - 0.5 bends; x - 2 is dead; x + 1 is on; 0.5 - x bends; x is off at 0 itself; x - 1 is off even at 1
    network = network_of([1.0, 1.0, 1.0, -1.0, 1.0, 1.0], [-0.5, -2.0, 1.0, 0.5, 0.0, -1.0])
    assert unit_states(network, np.array([0.0, 0.3, 1.0])) == ["bends", "dead", "on", "bends", "bends", "dead"]
    assert unit_states(network, np.array([0.6, 1.0])) == ["on", "dead", "on", "dead", "on", "dead"]
    assert unit_states(DummyRegressor().fit([[0.0]], [1.0]), np.array([0.0])) == []


def test_the_kept_steps_go_from_the_start_to_the_end_of_the_base_configuration():
    assert STEPS[0] == 0 and END == 50_000 and STEPS == sorted(set(STEPS))
    assert all(type(step) is int for step in STEPS)


def test_the_end_is_the_system_of_the_chapter_with_the_gate_of_nearest_samples():
    system = functions.Systems({"function": "quartic"}, seed=1000).reflect(gate=KNeighborsClassifier(1))
    ours = Training().system
    assert np.array_equal(ours.predict(X_TEST[:, None]), system.predict(X_TEST[:, None]))
    assert np.array_equal(ours.routes_, system.routes_)
    rows = records.read("functions")
    for name, seed in (("quartic", 3), ("jump-linear", 12)):
        (row,) = [r for r in rows if r.seed == seed and r.config.get("function") == name and "grid" not in r.config]
        system, y = Training(function=name, seed=seed).system, FUNCTIONS[name](X_TEST)
        assert close(loss(system, X_TEST, y), row.numbers["neighbour_gate"])
        assert close(loss(system.general_, X_TEST, y), row.numbers["base"])


def test_a_moment_is_the_plain_networks_trained_so_far():
    y, step = FUNCTIONS["cubic"](X), STEPS[20]
    general = ReluRegressor(10, steps=step, random_state=4).fit(X[:, None], y)
    early = Training(function="cubic", seed=4, stage="general", step=step)
    assert np.array_equal(early.system.general_.predict(X[:, None]), general.predict(X[:, None]))
    residuals = np.abs(general.predict(X[:, None]) - y)
    assert np.array_equal(np.flatnonzero(early.system.errors_), np.sort(np.argsort(residuals)[128:]))
    late, end = Training(function="cubic", seed=4, step=step), Training(function="cubic", seed=4)
    assert np.array_equal(late.system.routes_, end.system.routes_)
    seed = int(np.random.SeedSequence(4, spawn_key=(3,)).generate_state(1)[0] >> 1)
    mine = late.system.routes_ == 2
    expert = ReluRegressor(10, steps=step, random_state=seed).fit(X[mine, None], y[mine])
    assert np.array_equal(late.system.experts_[1].predict(X[:, None]), expert.predict(X[:, None]))
    assert late.units[2] == unit_states(expert, X[mine]) and len(early.units) == 1


@pytest.mark.parametrize("wrong", [{"function": "sine"}, {"seed": -1}, {"stage": "gate"}, {"step": 0.5}])
def test_values_that_cannot_be_are_refused(wrong):
    with pytest.raises(traitlets.TraitError):
        Training(**wrong)


def test_a_step_that_is_not_kept_is_refused_in_words():
    with pytest.raises(
        traitlets.TraitError, match="step=7 is none of the steps that are kept .*: 0, 30, 34, ..., 50000"
    ):
        Training(step=7)


# -- the engine --------------------------------------------------------------------------------------------------------


def settings(training, **changes):
    """What the widget's script hands to the thread that trains."""
    fixed = training.get_state()["_fixed"]
    own = {"function": training.function, "seed": training.seed, "pieces": fixed["functions"][training.function]}
    return {**fixed["settings"], **own, **changes}


def fitted(given, first, second):
    """The system of some settings with so many steps of the general network and of the experts."""
    rate, seed, X_train, y = given["learning_rate"], given["seed"], X[:, None], FUNCTIONS[given["function"]](X)
    general = ReluRegressor(10, steps=first, learning_rate=rate, random_state=seed).fit(X_train, y)
    expert, clusterer = ReluRegressor(10, steps=second, learning_rate=rate), Isodata(given["n_clusters"])
    parts = {"expert": expert, "clusterer": clusterer, "errors": given["share"]}
    return ErrorReflectionRegressor(FrozenEstimator(general), **parts, random_state=seed).fit(X_train, y)


@pytest.fixture(scope="module")
def histories(javascript):
    """Settings of short trainings, what the engine keeps and says of each, and the systems of Python at each stop."""
    stops = {"steps": 1000, "stops": [0, 1, 30, 500, 1000]}
    fast = {"learning_rate": 1e-2, **stops}
    given = [settings(Training(function=name, seed=seed), **stops) for seed, name in enumerate(FUNCTIONS)]
    given += [settings(Training(function=name, seed=50 + seed), **fast) for seed, name in enumerate(FUNCTIONS)]
    given.append(settings(Training(seed=5), **fast, share=0.005))  # one error case, a constant expert
    source = script("engine/snapshots.js") + FINISH
    found = javascript(source, "given.map((one) => history(one, finish(record(one))))", given)
    systems = [[(fitted(one, step, 0), fitted(one, 1000, step)) for step in one["stops"]] for one in given]
    return list(zip(given, found, systems, strict=True))


def test_the_engine_keeps_the_weights_of_python_at_every_stop(histories):
    for _, found, systems in histories:
        assert all(len(stages) == len(systems) for stages in found["kept"])
        for s, (early, late) in enumerate(systems):
            for network, stages in zip([early.general_, *late.experts_], found["kept"], strict=True):
                if hasattr(network, "hidden_weights_"):
                    np.testing.assert_allclose(stages[s], flat(network), rtol=0, atol=1e-9)
                else:
                    assert stages[s] == [0, 0, 0, pytest.approx(float(network.constant_[0][0]), abs=1e-12)]
    assert [found["states"][-1] for _, found, _ in histories].count([[]] * 5) == 1, "one system has a constant expert"


def test_the_engine_says_of_every_stop_what_python_says(histories):
    seen = set()
    for given, found, systems in histories:
        target = FUNCTIONS[given["function"]]
        for s, (early, late) in enumerate(systems):
            own = [X, *(X[late.routes_ == 1 + k] for k in range(len(late.experts_)))]
            assert found["worst"][s] == early.errors_.tolist()
            for k, (network, x) in enumerate(zip([early.general_, *late.experts_], own, strict=True)):
                assert found["states"][k][s] == unit_states(network, x)
                assert found["curves"]["own"][k][s] == pytest.approx(loss(network, x, target(x)), rel=1e-6, abs=1e-20)
                seen |= set(found["states"][k][s])
            for name, network in (("test", early.general_), ("system", late)):
                assert found["curves"][name][s] == pytest.approx(loss(network, X_TEST, target(X_TEST)), rel=1e-6)
        assert found["samples"]["errors"] == found["worst"][-1]
    assert seen == {"bends", "on", "dead"}


def test_a_whole_training_ends_at_the_losses_of_python(javascript):
    trainings = [Training(), Training(function="jump-piecewise", seed=1), Training(function="piecewise", seed=7)]
    source, few = script("engine/snapshots.js") + FINISH, "({ losses, curves, states }) => ({ losses, curves, states })"
    wanted = f"given.map((one) => history(one, finish(record(one)))).map({few})"
    for training, found in zip(trainings, javascript(source, wanted, [settings(t) for t in trainings]), strict=True):
        system, y_test = training.system, FUNCTIONS[training.function](X_TEST)
        assert [len(states) for states in found["states"]] == [len(STEPS)] * len(system.networks_)
        assert [states[-1] for states in found["states"]] == training.units
        assert found["losses"]["reflection"] == pytest.approx(found["curves"]["system"][-1], rel=1e-9)
        assert close(found["curves"]["test"][-1], loss(system.general_, X_TEST, y_test))
        assert close(found["curves"]["system"][-1], loss(system, X_TEST, y_test))


# -- the page ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(whole_book):
    return whole_book / "book"


@pytest.fixture(params=SCHEMES)
def tab(request, folder, chromium):
    """The page, with the system of its first state trained."""
    with page_of(folder, "functions", request.param) as address, opened(chromium, address) as tab:
        tab.wait_for_selector(SHOWN)
        yield tab


from_a_file = pytest.mark.parametrize("tab", ["file"], indirect=True)


class Plots:
    """What is drawn: six plots, in the order fit, traces and losses of the general network, then of the experts."""

    def __init__(self, tab):
        self.plots = tab.locator(".errref-widget figure > svg")

    def shapes(self, plot, selector, *names):
        """Attributes of the shapes of a plot."""
        read = "(shapes, names) => shapes.map((shape) => names.map((name) => shape.getAttribute(name)))"
        return self.plots.nth(plot).locator("svg").locator(selector).evaluate_all(read, list(names))

    def place(self, plot, x):
        """Distance from the left end of the axis of an input."""
        low, high = X_RANGE
        return (x - low) / (high - low) * float(self.plots.nth(plot).locator("svg").get_attribute("width"))

    def height(self, plot, value, scale=np.positive):
        """Distance from the top of the axes of a value, by the labels of its axis."""
        read = "(labels) => labels.map((label) => [label.textContent, label.getAttribute('y')])"
        labels = self.plots.nth(plot).locator('> g text[text-anchor="end"]').evaluate_all(read)
        (a, foot), *_, (b, top) = sorted((scale(float(words)), float(y) - 4 - 8) for words, y in labels)
        return foot + (scale(value) - a) / (b - a) * (top - foot)

    def curve(self, plot, layer, network):
        """The points of a network's curve, in units of the picture, and their inputs."""
        ((d,),) = self.shapes(plot, f'.errref-{layer} path[data-network="{network}"]', "d")
        points = np.array([point.split(",") for point in d.replace("L", "M").split("M")[1:]], dtype=float)
        return points, np.interp(points[:, 0], self.place(plot, np.array(X_RANGE)), X_RANGE)


def rows(tab):
    """The cells of the table, numbers in full."""
    read = "(cells) => cells.map((cell) => cell.dataset.value ?? cell.textContent)"
    return [row.locator("th, td").evaluate_all(read) for row in tab.locator(".errref-widget tbody tr").all()]


def moment_of(tab):
    return control(tab, "moment").get_attribute("aria-valuetext")


def units_agree(plots, plot, network, k, x):
    """The breakpoints of a network, as dots on its traces, as ticks and as dots on its curve, and what its units do."""
    w, b = network.hidden_weights_[:, 0], network.hidden_biases_
    states, points = unit_states(network, x), -b / w
    seen = [j for j in range(len(w)) if X_RANGE[0] < points[j] < X_RANGE[1]]
    mine, names = f'[data-network="{k}"]', ("cx", "data-unit", "data-state")
    dots = {int(j): (float(cx), state) for cx, j, state in plots.shapes(plot + 1, f".errref-breakpoint{mine}", *names)}
    assert sorted(dots) == seen
    ticks = {int(j): float(d[1:].split(",")[0]) for d, j in plots.shapes(plot, f".errref-tick{mine}", "d", "data-unit")}
    assert sorted(ticks) == seen
    for j in seen:
        assert dots[j] == (pytest.approx(plots.place(plot, points[j]), abs=1), states[j])
        assert ticks[j] == dots[j][0]
    corners = plots.shapes(plot, f".errref-vertex{mine}", "data-unit", "cx", "cy")
    assert {int(j): float(cx) for j, cx, _ in corners} == {j: dots[j][0] for j in seen if states[j] == "bends"}
    for j, _, cy in corners:
        assert float(cy) == pytest.approx(plots.height(plot, network.predict([[points[int(j)]]])[0]), abs=1)
    drawn, inputs = plots.curve(plot, "other", k)
    answers = plots.height(plot, network.predict(inputs[:, None]))
    np.testing.assert_allclose(drawn[:, 1], answers, rtol=0, atol=1)
    traces = {state: d for state, d in plots.shapes(plot + 1, f".errref-course path{mine}", "data-state", "d")}
    heights = plots.shapes(plot + 1, f".errref-breakpoint{mine}", "cx", "cy")
    assert all(any(f"{cx},{cy}" in d for d in traces.values()) for cx, cy in heights)
    return {state: states.count(state) for state in ("bends", "on", "dead")}


def agrees(tab, training):
    """What is drawn and written of a moment is what Python trains."""
    plots, model, y = Plots(tab), training.system, FUNCTIONS[training.function]
    trained = training.stage == "experts"
    table = rows(tab)
    units = units_agree(plots, 0, model.general_, 0, X)
    assert table[0][:2] == ["general network", "256"] and table[0][4] == " / ".join(map(str, units.values()))
    assert close(float(table[0][2]), loss(model.general_, X, y(X)))
    assert close(float(table[0][3]), loss(model.general_, X_TEST, y(X_TEST)))
    fills = [fill for (fill,) in plots.shapes(0, ".errref-error", "fill")]
    end = Training(function=training.function, seed=training.seed).system
    assert len(fills) == model.summary_["n_errors"]
    colours = training.get_state()["_fixed"]["colours"]
    if not trained:
        stay = end.errors_[model.errors_]
        assert fills == [colours["reflection"] if stays else "none" for stays in stay]
        assert f"{stay.sum()} of them" in tab.locator(".errref-words").inner_text()
        assert [row[2:] for row in table[1:]] == [["–"] * 3] * (1 + len(end.experts_))
        assert not plots.shapes(3, "rect[data-network]", "x") and not plots.shapes(4, ".errref-breakpoint", "cx")
        return
    assert fills == [colours[f"expert {k}"] for k in model.routes_[model.errors_]]
    for k, network in enumerate(model.experts_, start=1):
        mine = X[model.routes_ == k]
        units = units_agree(plots, 3, network, k, mine)
        assert table[k][:2] == [f"expert {k}", str(len(mine))]
        assert close(float(table[k][2]), loss(network, mine, y(mine)))
        assert table[k][4] == " / ".join(map(str, units.values()))
        drawn, inputs = plots.curve(3, "answer", k)
        assert np.mean(model.route(inputs[:, None]) == k) > 0.95  # points on a border are rounded to either side of it
        np.testing.assert_allclose(drawn[:, 1], plots.height(3, network.predict(inputs[:, None])), rtol=0, atol=1)
    assert close(float(table[-1][3]), loss(model, X_TEST, y(X_TEST)))
    routes = model.route(X_TEST[:, None])
    borders = [0, *(np.flatnonzero(np.diff(routes)) + 1)]
    band = plots.shapes(3, "rect[data-network]", "data-network", "x")
    assert [int(k) for k, _ in band] == routes[borders].tolist()
    places = [plots.place(3, 2 * b / len(routes) - 1) for b in borders]
    assert [float(x) for _, x in band] == pytest.approx(places, abs=1e-6)


def test_the_default_state_is_the_end_of_the_training(tab):
    agrees(tab, Training())
    assert moment_of(tab) == "experts, step 50,000"
    for label in [plot.get_attribute("aria-label") for plot in tab.locator(".errref-widget figure > svg").all()]:
        assert "after 50,000 steps" in label or "answer of the whole system" in label


def test_keys_go_to_other_functions_seeds_and_moments(tab):
    control(tab, "function").select_option("jump-piecewise")
    press(tab, "seed", "Home", 1)
    press(tab, "seed", "ArrowRight", 2)
    tab.wait_for_selector(SHOWN)
    press(tab, "moment", "ArrowLeft", 15)
    agrees(tab, Training(function="jump-piecewise", seed=2, step=STEPS[-16]))
    words = tab.locator(".errref-words").inner_text()
    press(tab, "moment", "Home", 1)
    agrees(tab, Training(function="jump-piecewise", seed=2, stage="general", step=0))
    press(tab, "moment", "ArrowRight", 41)
    agrees(tab, Training(function="jump-piecewise", seed=2, stage="general", step=STEPS[41]))
    assert (
        moment_of(tab) == f"general network, step {STEPS[41]:,}" and words != tab.locator(".errref-words").inner_text()
    )
    press(tab, "moment", "ArrowRight", 20)
    assert moment_of(tab) == "experts, step 0"
    agrees(tab, Training(function="jump-piecewise", seed=2, step=0))


def test_pointing_in_the_losses_goes_to_that_step_of_that_stage(tab):
    plots, step = Plots(tab), STEPS[30]
    for plot, stage in ((2, "general"), (5, "experts")):
        area = plots.plots.nth(plot)
        area.scroll_into_view_if_needed()
        box = area.bounding_box()
        unit = box["width"] / 360  # of a picture of 360 by 170, whose axes span 308 by 138 from (44, 8)
        low, high = 0.8 * STEPS[1], 1.2 * END
        at = box["x"] + unit * (44 + 308 * math.log(step / low) / math.log(high / low))
        tab.mouse.move(box["x"] + unit * 100, box["y"] + unit * 60)
        tab.mouse.down()
        tab.mouse.move(at, box["y"] + unit * 80, steps=4)
        tab.mouse.up()
        tab.mouse.move(box["x"] + unit * 100, box["y"] + unit * 60)  # no longer pressed
        words = {"general": "general network", "experts": "experts"}[stage]
        assert moment_of(tab) == f"{words}, step {step:,}"
        agrees(tab, Training(stage=stage, step=step))
        marks = plots.shapes(plot, "circle", "cx", "cy", "data-value")
        assert len(marks) == (2 if stage == "general" else 1 + len(Training().system.experts_))
        curves = [d for (d,) in plots.shapes(plot, ".errref-course path", "d")]
        for cx, cy, value in marks:
            assert float(cx) == pytest.approx(308 * math.log(step / low) / math.log(high / low), abs=0.1)
            assert any(f"L{cx},{cy}" in d for d in curves)
            assert plots.height(plot, float(value), np.log10) == pytest.approx(float(cy), abs=0.2)


def test_play_goes_through_the_moments_and_can_be_paused(tab):
    button = tab.get_by_role("button", name="play")
    press(tab, "moment", "Home", 1)
    button.focus()
    tab.keyboard.press("Enter")
    pause = tab.get_by_role("button", name="pause")
    pause.wait_for()
    tab.wait_for_function("document.querySelectorAll('.errref-time input')[0].valueAsNumber >= 3")
    pause.click()
    assert button.is_visible()
    at = moment_of(tab)
    tab.wait_for_timeout(300)
    assert moment_of(tab) == at, "it goes on after the pause"
    button.click()
    press(tab, "moment", "ArrowLeft", 1)  # whoever moves it, holds it
    assert button.is_visible()
    press(tab, "moment", "End", 1)
    press(tab, "moment", "ArrowLeft", 2)
    button.click()
    tab.wait_for_function("document.querySelectorAll('.errref-time input')[0].valueAsNumber === 121")
    button.wait_for()
    button.click()  # from the end it begins again
    tab.wait_for_function("document.querySelectorAll('.errref-time input')[0].valueAsNumber < 5")
    press(tab, "seed", "ArrowLeft", 1)
    assert button.is_visible()


@from_a_file
def test_what_is_said_aloud_is_the_moment_once_it_rests(tab):
    tab.wait_for_function("document.querySelector('[role=status]').textContent")
    listen(tab)
    press(tab, "moment", "Home", 1)
    press(tab, "moment", "ArrowRight", 30)
    words = f"general network, step {STEPS[30]:,}: {tab.locator('.errref-words').inner_text()}."
    tab.wait_for_function("(words) => window.said.at(-1) === words", arg=words)
    assert len(tab.evaluate("window.said")) < 10, "31 moments in a row are not said one by one"


@from_a_file
def test_a_moment_is_drawn_at_once(tab, capsys):
    taken = tab.evaluate(
        """() => {
          const moment = document.querySelector('.errref-time input'), start = performance.now();
          for (let k = 0; k <= moment.max; k++) {
            moment.value = k;
            moment.dispatchEvent(new Event('input'));
            document.body.getBoundingClientRect();
          }
          return (performance.now() - start) / (1 + Number(moment.max));
        }"""
    )
    trained = float(tab.locator(".errref-widget").get_attribute("data-milliseconds"))
    with capsys.disabled():
        print(f"\nChromium: {taken:.1f} ms to draw a moment, {trained:.0f} ms to train the system")
    assert taken < 50
