"""The playground: its values in Python, and the page that stores them, driven in a browser by clicks and keys."""

import math
import re
import time

import numpy as np
import pytest
import traitlets

from errref.datasets import FUNCTIONS, even
from errref.experiments.functions import TEST_SAMPLES
from errref.isodata import Isodata
from errref.networks import ReluRegressor
from errref.reflection import ErrorReflectionRegressor
from errref.widgets.playground import KNOTS, Playground, above_rms
from tests.browser import PATIENCE, SCHEMES, contrast, control, listen, opened, page_of, page_with, press, state_of

X_TEST = even(TEST_SAMPLES)
TRAINED = '[data-state="system"], [data-state="rival"]'


def losses(play):
    """What the table shows, from Python."""
    model, y = play.system, play.target(X_TEST)
    return [float(np.mean((m.predict(X_TEST[:, None]) - y) ** 2)) for m in (model.general_, model)]


# -- the values --------------------------------------------------------------------------------------------------------


def test_the_system_is_the_plain_estimator_with_the_settings_of_the_widget():
    play = Playground(function="cubic", hidden=5, steps=300, learning_rate=1e-2, seed=6, share=0.25, n_clusters=2)
    plain = ErrorReflectionRegressor(
        ReluRegressor(5, steps=300, learning_rate=1e-2), clusterer=Isodata(2), errors=0.25, random_state=6
    )
    X, y = play.samples()
    assert X.shape == (256, 1) and np.array_equal(y, FUNCTIONS["cubic"](X[:, 0]))
    assert np.array_equal(play.system.predict(X), plain.fit(X, y).predict(X))
    strict = Playground(function="cubic", steps=300, rule="rms", factor=1.5, min_distance=0.0, max_std=0.1)
    assert strict.system.clusterer_.min_distance == 0 and strict.system.clusterer_.max_std == 0.1
    assert np.array_equal(strict.system.errors_, above_rms(y, strict.system.general_.predict(X), 1.5))


def test_error_cases_above_rms_by_hand():
    # residuals 0, 3, 4: the root mean square is sqrt(25 / 3) = 2.89
    y, prediction = np.array([1.0, 1.0, 1.0]), np.array([1.0, 4.0, -3.0])
    assert above_rms(y, prediction, 1.0).tolist() == [False, True, True]
    assert above_rms(y, prediction, 1.1).tolist() == [False, False, True]


def test_a_drawn_function_is_straight_between_its_knots():
    play = Playground(function="drawn", drawn=[0.0] * 16 + [1.0] + [0.5] * 16)
    assert play.target(np.array([-1.0, -0.0625, -0.03125, 0.0, 0.0625, 1.0])).tolist() == [0, 0, 0.5, 1, 0.5, 0.5]


def test_the_rival_has_as_many_numbers_as_the_system():
    play = Playground(function="cubic", hidden=7, steps=10)
    total = sum(network.n_parameters_ for network in play.system.networks_)
    assert total - 3 < play.rival.n_parameters_ <= total


@pytest.mark.parametrize("wrong", [{"function": "sine"}, {"drawn": [0.0]}, {"hidden": 0}, {"share": 2.0}, {"seed": -1}])
def test_values_that_cannot_be_are_refused(wrong):
    with pytest.raises(traitlets.TraitError):
        Playground(**wrong)


# -- the page ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=SCHEMES)
def address(request, whole_book):
    with page_of(whole_book / "book", "playground", request.param) as page:
        yield page


def settle(tab, state=TRAINED):
    """Wait until what is shown belongs to what is set."""
    tab.wait_for_selector(state)


def shown(tab):
    """Losses in the table of the first figure of a page."""
    return [float(cell.get_attribute("data-value")) for cell in tab.locator("td[data-value]").all()]


def agrees(tab, play):
    """What is drawn and written is what Python trains: losses, error cases, ISODATA's centres, who answers where."""
    assert shown(tab)[:2] == pytest.approx(losses(play), rel=1e-6)
    model, plots = play.system, tab.locator(".errref-widget figure > svg")
    assert plots.nth(0).locator(".errref-error").count() == model.summary_["n_errors"]
    width = float(plots.nth(0).locator("svg").get_attribute("width"))
    tips = [path.get_attribute("d") for path in plots.nth(0).locator(".errref-centre").all()]
    centres = [2 * (float(d[1:].split(",")[0]) + 6) / width - 1 for d in tips]
    assert centres == pytest.approx(model.clusterer_.cluster_centers_[:, 0].tolist(), abs=1e-9)
    bands = [
        (float(r.get_attribute("x")), int(r.get_attribute("data-network"))) for r in plots.nth(1).locator("rect").all()
    ]
    routes = model.route(X_TEST[:, None])
    borders = [0, *(np.flatnonzero(np.diff(routes)) + 1)]
    assert [k for _, k in bands] == routes[borders].tolist()
    assert [x for x, _ in bands] == pytest.approx([width * b / TEST_SAMPLES for b in borders])


def curve_at(tab, plot, layer, x):
    """Height at x of the curve of a layer, in units of its plot, from 0 at the top to 1 at the foot."""
    area = tab.locator(".errref-widget figure > svg").nth(plot).locator("svg")
    points = area.locator(f".errref-{layer} path").first.get_attribute("d").replace("L", "M").split("M")[1:]
    places = np.array([point.split(",") for point in points], dtype=float)
    at = (x + 1) / 2 * float(area.get_attribute("width"))
    return float(np.interp(at, *places.T)) / float(area.get_attribute("height"))


def test_the_default_state_is_trained_on_arrival_and_is_that_of_python(address, chromium):
    with opened(chromium, address) as tab:
        settle(tab, '[data-state="rival"]')
        play = Playground()
        rival = float(np.mean((play.rival.predict(X_TEST[:, None]) - play.target(X_TEST)) ** 2))
        for ours, theirs in zip(shown(tab), [*losses(play), rival], strict=True):
            assert abs(math.log10(ours / theirs)) < 0.05
        assert f"width {play.rival.hidden}" in tab.locator("tbody tr").nth(2).inner_text()


def test_keys_change_what_is_drawn_to_what_python_computes(address, chromium):
    with opened(chromium, address) as tab:
        settle(tab)
        press(tab, "steps", "ArrowLeft", 4)
        press(tab, "learning rate", "ArrowRight", 6)
        press(tab, "seed", "ArrowRight", 3)
        press(tab, "aimed clusters", "ArrowRight", 1)
        press(tab, "least distance", "ArrowRight", 3)
        settle(tab)
        settings = {"steps": 1000, "learning_rate": 1e-2, "seed": 3, "n_clusters": 4, "min_distance": 0.1}
        agrees(tab, Playground(**settings))
        assert control(tab, "learning rate").get_attribute("aria-valuetext") == "0.01"
        control(tab, "function").select_option("quartic")
        control(tab, "rule").select_option("rms")
        press(tab, "times the RMS error", "ArrowLeft", 1)
        press(tab, "fewest samples", "ArrowRight", 5)
        press(tab, "width", "ArrowLeft", 4)
        press(tab, "largest deviation", "ArrowRight", 4)
        settle(tab)
        settings |= {
            "function": "quartic",
            "rule": "rms",
            "factor": 0.75,
            "min_samples": 6,
            "hidden": 6,
            "max_std": 0.2,
        }
        agrees(tab, Playground(**settings))
        assert control(tab, "worst share").is_hidden()


def test_a_function_is_drawn_with_the_pointer_and_with_keys(address, chromium):
    with opened(chromium, address) as tab:
        press(tab, "steps", "ArrowLeft", 4)
        press(tab, "learning rate", "ArrowRight", 6)
        control(tab, "function").select_option("drawn")
        settle(tab)
        tab.evaluate("window.held = 0; document.addEventListener('gotpointercapture', () => window.held++)")
        box = tab.locator(".errref-widget figure > svg").nth(0).bounding_box()
        unit = box["width"] / 360  # of a picture of 360 by 230, whose axes span 318 by 198 from (34, 8)

        def spot(x, y):
            return box["x"] + unit * (34 + 318 * (x + 1) / 2), box["y"] + unit * (8 + 198 * (1.65 - y) / 3.3)

        tab.mouse.move(*spot(-0.5, 0.8))
        tab.mouse.down()
        tab.mouse.move(*spot(0.5, -0.8), steps=5)
        tab.mouse.up()
        tab.mouse.move(*spot(0.9, 1.0))  # no longer pressed
        tab.mouse.down(button="right")
        tab.mouse.move(*spot(0.6, -1.0), steps=5)
        tab.mouse.up(button="right")
        assert tab.evaluate("window.held") == 1
        press(tab, "point", "Home", 1)
        heights = []
        for _ in range(KNOTS):
            heights.append(float(control(tab, "height there").get_attribute("aria-valuetext")))
            tab.keyboard.press("ArrowRight")
        knots = np.linspace(-1, 1, KNOTS)
        expected = np.where(np.abs(knots) <= 0.5, -1.6 * knots, FUNCTIONS["jump-piecewise"](knots).clip(-1.5, 1.5))
        np.testing.assert_allclose(heights, expected, rtol=0, atol=0.05)  # a pixel is 0.02 high
        settle(tab)
        common = {"function": "drawn", "steps": 1000, "learning_rate": 1e-2}
        agrees(tab, Playground(**common, drawn=heights))
        press(tab, "point", "Home", 1)
        press(tab, "height there", "End", 1)
        settle(tab)
        agrees(tab, Playground(**common, drawn=[1.5, *heights[1:]]))
        assert curve_at(tab, 0, "target", -1) == pytest.approx(0.15 / 3.3, abs=0.01)
        control(tab, "function").select_option("cubic")
        tab.locator(".errref-widget figure > svg").nth(0).click()
        assert tab.evaluate("window.held") == 1, "a page is scrolled with the finger where nothing is drawn"


def test_what_cannot_be_trained_is_said(address, chromium):
    with opened(chromium, address) as tab:
        settle(tab)
        press(tab, "worst share", "Home", 1)
        press(tab, "fewest samples", "End", 1)
        settle(tab, '[data-state="error"]')
        words = "min_samples=40 is more than n_samples=13; make it smaller."
        assert tab.locator(".errref-words").inner_text() == words
        tab.locator(f'[role=status]:text-is("{words}")').wait_for()


def test_what_is_said_aloud_is_the_losses_once_the_controls_rest(address, chromium):
    with opened(chromium, address) as tab:
        settle(tab, '[data-state="rival"]')
        listen(tab)
        press(tab, "width", "ArrowRight", 10)  # long enough to show its progress
        settle(tab, '[data-state="rival"]')
        general, reflection, _ = (float(f"{loss:.3g}") for loss in shown(tab))
        (said,) = tab.evaluate("window.said")
        found = [float(number) for number in re.findall(r"network (\S+), of error reflection (\S+)\.$", said)[0]]
        assert found == pytest.approx([general, reflection], rel=0.06)  # small numbers have two digits
        assert tab.locator("output, [aria-live], [role=status]").count() == 1
        names = [field.aria_snapshot() for field in tab.locator(".errref-control").all()]
        assert any('slider "seed"' in name for name in names), names


def test_a_long_training_shows_its_way_and_gives_way_to_a_newer_one(address, chromium):
    with opened(chromium, address) as tab:
        settle(tab)
        press(tab, "width", "End", 1)
        press(tab, "steps", "End", 1)
        tab.wait_for_function("document.querySelector('.errref-words').textContent.startsWith('training')")
        root = tab.locator(".errref-widget")
        before = int(root.get_attribute("data-systems"))
        assert root.get_attribute("data-state") == "training"
        press(tab, "steps", "Home", 1)
        assert control(tab, "steps").get_attribute("aria-valuetext") == "0"
        settle(tab)
        assert int(root.get_attribute("data-systems")) == before + 1
        assert shown(tab)[:2] == pytest.approx(losses(Playground(hidden=50, steps=0)), rel=1e-9)


def test_the_retraining_rate_is_printed(address, chromium, capsys):
    with opened(chromium, address) as tab:
        settle(tab)
        root, taken = tab.locator(".errref-widget"), []
        before, start = int(root.get_attribute("data-systems")), time.monotonic()
        systems, seconds = 0, 0.0
        while systems < 8 and seconds < PATIENCE / 1000:  # the control never rests
            press(tab, "seed", "ArrowRight", 1)
            tab.wait_for_timeout(15)
            systems, seconds = int(root.get_attribute("data-systems")) - before, time.monotonic() - start
            taken.append(float(root.get_attribute("data-milliseconds")))
        with capsys.disabled():
            words = f"{systems / seconds:.1f} re-trainings a second while dragging"
            print(f"\nChromium: {words}, {np.median(taken):.0f} ms each")
        assert systems >= 8, "dragging must show systems on the way, not only its end"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_band_can_be_read_in_light_and_dark(scheme, address, chromium):
    with opened(chromium, address, color_scheme=scheme) as tab:
        settle(tab)
        both = "(e) => [e.textContent, getComputedStyle(e).fill, getComputedStyle(e.previousElementSibling).fill]"
        band = [number.evaluate(both) for number in tab.locator(".errref-who").all()]
        assert {"G", "1"} <= {name for name, *_ in band}
        assert all(contrast(ink, paper) > 4.5 for _, ink, paper in band)


def test_two_figures_on_a_page_do_not_disturb_each_other(chromium, tmp_path):
    plays = [Playground(steps=500, seed=1), Playground(function="cubic", steps=500, seed=2)]
    broken = [{"_esm": code} for code in ("export default", "export default {render() {throw Error('x')}}")]
    page = page_with(tmp_path, *broken, *map(state_of, plays))
    with opened(chromium, page, silent=False) as tab:
        tab.wait_for_function("document.querySelectorAll('[data-state=rival]').length === 2")
        assert tab.locator("body > div").count() == 2, "what fails leaves nothing behind"
        seen = [tab.locator(".errref-widget").nth(k) for k in range(2)]
        second = seen[1].inner_text()
        control(seen[0], "seed").press("ArrowRight")
        tab.wait_for_function("document.querySelector('.errref-widget').dataset.systems === '2'")
        assert seen[1].inner_text() == second and seen[1].get_attribute("data-systems") == "1"
        assert shown(seen[1])[:2] == pytest.approx(losses(plays[1]), rel=1e-6)
