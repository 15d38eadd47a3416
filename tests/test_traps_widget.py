"""The ball on the surfaces: its path by hand, the same path in JavaScript, and the page, driven by clicks and keys."""

import re

import numpy as np
import pytest
import traitlets

from errref.experiments.traps import TINY
from errref.landscapes import NEAR, RATE, SURFACES, descend
from errref.widgets import script
from errref.widgets.traps import FAR, SIZES, STARTS, Descent, lowest
from tests.browser import SCHEMES, control, listen, opened, page_of, press

SCRIPT = script("widgets/traps.js")
SIDE = 312  # of the map and of the plot of samples, in units of their pictures
STEP_PLOT = np.array([312, 118])  # width and height inside the axes of the two plots against step


def norm(ball, weights):
    return np.linalg.norm(ball.field.gradient(weights), axis=-1)


# -- the path in Python ------------------------------------------------------------------------------------------------


def test_the_first_steps_by_hand():
    # (u v - 1)^2 at (1, -1): the gradient is 2 (-2) (-1, 1) = (4, -4); then at (0.6, -0.6) 2 (-1.36) (-0.6, 0.6)
    path = Descent(surface="saddle", start=[1, -1], rate=0.1, steps=2).path
    np.testing.assert_allclose(path, [[1, -1], [0.6, -0.6], [0.4368, -0.4368]], rtol=1e-14)


def test_a_batch_is_drawn_with_replacement_and_makes_its_step():
    ball = Descent(batch=2, seed=3, steps=50)
    draws = np.random.default_rng(3).random(100).reshape(50, 2)
    assert ball.batches.tolist() == np.floor(60 * draws).astype(int).tolist() and ball.batches.max() < 60
    x, y = (values[ball.batches[0]] for values in (ball.field.x, ball.field.y))
    residual = -1.2 * x - 0.21 - y
    pull = residual * np.exp(-((residual / 0.3) ** 2) / 2) / 0.09
    expected = [-1.2 - RATE * np.mean(pull * x), -0.21 - RATE * np.mean(pull)]
    assert ball.path[1].tolist() == pytest.approx(expected, rel=1e-12)


def test_all_samples_make_no_noise():
    plain = descend(SURFACES["minima"].gradient, np.array([0.3, 0.4]), 0.1, 40)
    for batch in (None, 60, 61):
        ball = Descent(start=[0.3, 0.4], rate=0.1, steps=40, batch=batch, seed=5)
        assert ball.batches is None
        np.testing.assert_array_equal(ball.path, plain)
    assert Descent(surface="saddle", batch=1).batches is None


def test_a_path_ends_where_its_steps_are_too_large():
    ball = Descent(surface="saddle", start=[2, 2], rate=1.0, steps=100)
    assert ball.path[1].tolist() == [-10, -10]  # 2 - 2 (4 - 1) 2
    assert len(ball.path) < 6 and np.abs(ball.path[:-1]).max() <= FAR < np.abs(ball.path[-1]).max()
    assert not ball.arrived


@pytest.mark.parametrize("name", SURFACES)
def test_the_best_fit_is_the_lowest_place_of_the_map(name):
    surface, (at, loss) = SURFACES[name], lowest(name)
    axis = np.linspace(-surface.half_width, surface.half_width, 401)
    values = surface.loss(np.stack(np.meshgrid(axis, axis), axis=-1))
    assert loss - 1e-9 <= values.min() < loss + NEAR / 10
    assert np.linalg.norm(surface.gradient(np.array(at))) < 1e-3  # as rounded


def test_the_starts_show_what_the_page_says():
    ball = Descent()
    loss = ball.field.loss(ball.path)
    assert norm(ball, ball.path[-1]) < TINY and not ball.arrived and loss[-1] > 1.5 * lowest("minima")[1]
    answers = ball.field.answer(ball.path[-1], ball.field.x)
    fitted = np.abs(answers - ball.field.y) < 0.1
    assert fitted[:36].any() and fitted[36:].any() and not fitted.all()
    assert all(Descent(batch=4, seed=seed).arrived for seed in range(3))
    saddle = Descent(surface="saddle", start=[1.2, -1.2])
    assert np.abs(saddle.path[-1]).max() < 1e-12 and not saddle.arrived
    slow, fast = Descent(surface="plateau"), Descent(surface="plateau", rate=2.0)
    assert fast.arrived and slow.field.loss(slow.path[-1]) > 0.99 * slow.field.loss(slow.path[0])


WRONG = [{"surface": "hill"}, {"start": [1.0]}, {"start": [0.0, np.nan]}, {"start": [0.0, 2 * FAR]}, {"rate": 0.0}]
WRONG += [{"batch": 0}, {"seed": -1}, {"steps": 0}, {"step": -1}]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_values_that_cannot_be_are_refused(wrong):
    with pytest.raises(traitlets.TraitError):
        Descent(**wrong)


# -- the same in JavaScript --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SURFACES)
def test_answers_losses_and_gradients_are_those_of_python(name, javascript):
    surface = SURFACES[name]
    at = np.random.default_rng(0).uniform(-surface.half_width, surface.half_width, (200, 2))
    given = {"at": at.tolist(), "data": Descent()._fixed["surfaces"][name]}
    each = """given.at.map((weights) => {
      const land = landscape(NAME, given.data);
      return [land.answer(weights, 0.7), land.loss(weights), ...land.gradient(weights)];
    })""".replace("NAME", repr(name))
    found = np.array(javascript(SCRIPT, each, given))
    expected = [surface.answer(at, np.array([0.7]))[:, 0], surface.loss(at), *surface.gradient(at).T]
    np.testing.assert_allclose(found, np.transpose(expected), rtol=1e-12, atol=1e-15)


def balls():
    """Starts on each surface, with and without noise, slow and fast."""
    rng = np.random.default_rng(1)
    for name, surface in SURFACES.items():
        for rate in (0.01, RATE, 0.1):
            for batch in {None, *SIZES[name][:-1]}:
                start = rng.uniform(-surface.half_width, surface.half_width, 2).round(2).tolist()
                yield Descent(
                    surface=name, start=start, rate=rate, batch=batch, seed=int(rng.integers(100)), steps=1000
                )
    yield Descent(surface="saddle", start=[2, 2], rate=1.0)  # steps too large


def test_paths_are_those_of_python(javascript):
    made = list(balls())
    values = ("surface", "start", "rate", "batch", "seed", "steps")
    given = {"fixed": made[0]._fixed, "balls": [{name: getattr(ball, name) for name in values} for ball in made]}
    each = """given.balls.map(({ surface, start, rate, batch, seed, steps }) => {
      const data = given.fixed.surfaces[surface], drawn = batchesOf(batch, data.x.length, steps, seed);
      return [drawn, pathOf(landscape(surface, data).gradient, start, rate, steps, given.fixed.far, drawn)];
    })"""
    for ball, (drawn, path) in zip(made, javascript(SCRIPT, each, given), strict=True):
        assert drawn == (None if ball.batches is None else ball.batches.tolist()), ball
        np.testing.assert_allclose(path, ball.path, rtol=0, atol=1e-9 * np.abs(ball.path).max(), err_msg=repr(ball))
    assert any(ball.batches is not None for ball in made) and min(len(ball.path) for ball in made) < 10


def test_a_line_of_equal_height_by_hand(javascript):
    # values 0 and 4 side by side: the level 1 is a quarter of the way from the middle of one square to the other's
    assert javascript(SCRIPT, "contour(given, 2, 1, 40)", [0, 4, 0, 4]) == "M15.0,30.0L15.0,10.0"
    circle = "contour(survey(([x, y]) => Math.hypot(x, y), 2, 100), 100, 1.5, 400)"
    found = np.array(re.findall(r"([\d.]+),([\d.]+)", javascript(SCRIPT, circle, None)), dtype=float)
    assert len(found) > 200 and np.ptp(found, axis=0).min() > 299
    np.testing.assert_allclose(np.hypot(*(found / 100 - 2).T), 1.5, atol=2e-3)


def test_the_ball_is_shown_at_ever_fewer_steps(javascript):
    for last in (1, 5, 100, 5000):
        steps = javascript(SCRIPT, "momentsTo(given)", last)
        assert steps[:3] == list(range(min(last, 2) + 1)) and steps[-1] == last and len(steps) < 90
        assert (np.diff(steps) > 0).all() and (np.diff(steps) <= np.maximum(1, 0.1 * np.array(steps[:-1]) + 0.5)).all()


# -- the page ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=SCHEMES)
def address(request, built):
    with page_of(built, "traps", request.param) as page:
        yield page


@pytest.fixture(scope="module")
def built(whole_book):
    return whole_book / "book"


def pixels(ball, weights):
    """Where weights are on the map, in units of its picture."""
    part = (np.asarray(weights) / ball.field.half_width + 1) / 2
    return SIDE * np.stack([part[..., 0], 1 - part[..., 1]], axis=-1)


def points(tab, plot, path):
    """Coordinates of the path of that selector in one of the four plots."""
    words = tab.locator(".errref-widget figure > svg").nth(plot).locator(path).first.get_attribute("d")
    return np.array(re.findall(r"(-?[\d.]+),(-?[\d.]+)", words), dtype=float)


def centre(tab, plot, circle):
    found = tab.locator(".errref-widget figure > svg").nth(plot).locator(circle).first
    return [float(found.get_attribute(name)) for name in ("cx", "cy")]


def shown_step(tab):
    return int(control(tab, "step shown").get_attribute("aria-valuetext").replace(",", ""))


def against_step(steps, y, total, low, high):
    """Places in a plot against step whose axis of y is linear from low to high."""
    x = np.log(np.where(np.equal(steps, 0), 0.5, steps) / 0.5) / np.log(1.1 * total / 0.5)
    return np.stack([x, 1 - (np.asarray(y) - low) / (high - low)], axis=-1) * STEP_PLOT


def agrees(tab, ball):
    """What is drawn and written is what Python computes: the path, its ends, the ball, its fit, loss and gradient."""
    path, root = ball.path, tab.locator(".errref-widget")
    step = len(path) - 1 if ball.step is None else ball.step
    places, loss = pixels(ball, path), ball.field.loss(path)
    shown = [float(cell.get_attribute("data-value")) for cell in root.locator("td[data-value]").all()]
    expected = [loss[step], norm(ball, path[step]), loss[-1], norm(ball, path[-1]), lowest(ball.surface)[1]]
    assert shown == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert ("not at the best fit" in root.locator(".errref-words").inner_text()) != ball.arrived
    # the map
    way = points(tab, 0, ".errref-way path")
    np.testing.assert_allclose(way[[0, -1]], places[[0, -1]], atol=0.06)
    rest = np.abs(places[:, None] - way[:: len(way) // 50 + 1]).max(axis=2).min(axis=0)
    assert rest.max() < 0.06, "a drawn place that is on no step of the path"
    np.testing.assert_allclose(centre(tab, 0, ".errref-ball circle"), places[step], atol=0.06)
    covered = points(tab, 0, ".errref-covered path")
    np.testing.assert_allclose(covered[[0, -1]], places[[0, step]], atol=0.06)
    assert len(covered) <= step + 1
    end = root.locator(".errref-ends .errref-end").first
    assert end.evaluate("(e) => e.tagName") == ("circle" if ball.arrived else "path")
    # the fit
    x = np.linspace(-1.2, 1.2, 49)
    answers = SIDE * (1 - (ball.field.answer(path[step], x) / 1.2 + 1) / 2)
    np.testing.assert_allclose(points(tab, 1, ".errref-model path")[:, 1], answers, atol=0.06)
    rings = {int(ring.get_attribute("data-sample")) for ring in root.locator(".errref-next").all()}
    assert rings == (set() if ball.batches is None or step == len(path) - 1 else set(ball.batches[step]))
    # loss and gradient against step
    norms = np.log10(np.clip(norm(ball, path[step]), 1e-16, 100))
    spot = against_step(step, norms, ball.steps, -16, 2)
    np.testing.assert_allclose(centre(tab, 3, ".errref-ball circle"), spot, atol=0.11)
    curve = points(tab, 3, ".errref-curve path")
    first, last = (np.log10(np.clip(norm(ball, path[k]), 1e-16, 100)) for k in (0, -1))
    ends = against_step([0, len(path) - 1], [first, last], ball.steps, -16, 2)
    np.testing.assert_allclose(curve[[0, -1]], ends, atol=0.6 if last < -12 else 0.11)
    heights = STEP_PLOT[1] - np.array([centre(tab, 2, ".errref-ball circle"), points(tab, 2, ".errref-curve path")[0]])
    assert heights[0, 1] / heights[1, 1] == pytest.approx(loss[step] / loss[0], abs=0.01)


def test_the_default_state_is_that_of_python(address, chromium):
    with opened(chromium, address) as tab:
        tab.locator(".errref-near").first.wait_for()
        agrees(tab, Descent())
        assert "The gradient is tiny" in tab.locator(".errref-words").inner_text()


def test_keys_on_every_control_change_what_is_drawn_to_what_python_computes(address, chromium):
    with opened(chromium, address) as tab:
        press(tab, "first weight", "ArrowRight", 8)
        press(tab, "second weight", "ArrowLeft", 20)
        press(tab, "step size", "ArrowLeft", 1)
        press(tab, "steps in all", "ArrowLeft", 2)
        agrees(tab, Descent(start=[-0.96, -0.81], rate=0.02, steps=1000))
        assert control(tab, "seed").is_disabled()
        press(tab, "batch size", "ArrowLeft", 2)
        press(tab, "seed", "ArrowRight", 7)
        noisy = {"start": [-0.96, -0.81], "rate": 0.02, "steps": 1000, "batch": 4, "seed": 7}
        agrees(tab, Descent(**noisy))
        press(tab, "step shown", "ArrowLeft", 12)
        step = shown_step(tab)
        assert 100 < step < 500
        agrees(tab, Descent(**noisy, step=step))
        press(tab, "second weight", "ArrowRight", 3)
        agrees(tab, Descent(**noisy | {"start": [-0.96, -0.72]}, step=step))
        press(tab, "step shown", "End", 1)
        press(tab, "batch size", "End", 1)
        agrees(tab, Descent(start=[-0.96, -0.72], rate=0.02, steps=1000))


def test_each_surface_begins_at_its_own_start_without_noise(address, chromium):
    with opened(chromium, address) as tab:
        press(tab, "batch size", "ArrowLeft", 1)
        for name in ("plateau", "saddle", "minima"):
            control(tab, "surface").select_option(name)
            agrees(tab, Descent(surface=name, start=STARTS[name]))
            assert control(tab, "batch size").is_disabled() == (name == "saddle")
        control(tab, "surface").select_option("saddle")
        assert "no noise" in tab.locator(".errref-note").inner_text()
        assert "all with u v = 1" in tab.locator(".errref-widget table").inner_text()
        press(tab, "second weight", "ArrowLeft", 1)  # on the line u = -v
        agrees(tab, Descent(surface="saddle", start=[1.2, -1.2]))
        press(tab, "step size", "End", 1)
        gone = Descent(surface="saddle", start=[1.2, -1.2], rate=5.0)
        words = f"These steps are too large: after {len(gone.path) - 1} of them a weight is beyond 1,000."
        assert tab.locator(".errref-words").inner_text() == words
        control(tab, "surface").select_option("plateau")
        press(tab, "step size", "ArrowLeft", 2)
        press(tab, "batch size", "Home", 1)
        agrees(tab, Descent(surface="plateau", rate=1.0, batch=1))


def test_the_map_is_that_of_the_loss(address, chromium):
    shades = """async (image) => {
      const picture = new Image();
      picture.src = image.getAttribute("href");
      await picture.decode();
      const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
      [canvas.width, canvas.height] = [picture.width, picture.height];
      context.drawImage(picture, 0, 0);
      return Array.from(context.getImageData(0, 0, picture.width, picture.height).data).filter((_, k) => k % 4 === 0);
    }"""
    with opened(chromium, address) as tab:
        for name, surface in SURFACES.items():
            control(tab, "surface").select_option(name)
            greys = np.array(tab.locator(".errref-ground image").evaluate(shades)).reshape(120, 120)
            axis = surface.half_width * (np.arange(120) * 2 + 1 - 120) / 120
            values = surface.loss(np.stack(np.meshgrid(axis, axis[::-1]), axis=-1))
            low, high = values.min(), np.sort(values, axis=None)[13_680]
            expected = 255 - 170 * np.minimum((values - low) / (high - low), 1)
            np.testing.assert_allclose(greys, expected, atol=1)
            near = points(tab, 0, ".errref-near")
            weights = np.stack([near[:, 0] / SIDE, 1 - near[:, 1] / SIDE], axis=-1) * 2 - 1
            losses = surface.loss(weights * surface.half_width) - lowest(name)[1]
            assert len(near) > 10 and np.median(losses) == pytest.approx(NEAR, rel=0.1)


def test_the_ball_is_dropped_with_the_mouse_and_with_a_finger(address, chromium):
    with opened(chromium, address, has_touch=True) as tab:
        picture = tab.locator(".errref-map")
        picture.scroll_into_view_if_needed()
        box = picture.bounding_box()
        unit = box["width"] / 360  # of a picture of 360 by 344, whose axes span 312 by 312 from (40, 8)

        def spot(w, b):
            return box["x"] + unit * (40 + SIDE * (w / 1.5 + 1) / 2), box["y"] + unit * (8 + SIDE * (1 - b / 1.5) / 2)

        def start():
            return [
                float(control(tab, f"{word} weight").get_attribute("aria-valuetext")) for word in ("first", "second")
            ]

        tab.mouse.click(*spot(0.6, -0.9))
        assert start() == pytest.approx([0.6, -0.9], abs=0.04)  # the sliders have steps of 0.03
        tab.mouse.move(*spot(0.6, -0.9))
        tab.mouse.down()
        tab.mouse.move(*spot(-0.3, 0.9), steps=3)
        tab.mouse.up()
        tab.mouse.move(*spot(1.2, 1.2))  # no longer pressed
        assert start() == pytest.approx([-0.3, 0.9], abs=0.04)
        ring = centre(tab, 0, ".errref-ends .errref-start")
        assert ring == pytest.approx(pixels(Descent(), [-0.3, 0.9]).tolist(), abs=2)
        tab.touchscreen.tap(*spot(0.9, 0.3))
        assert start() == pytest.approx([0.9, 0.3], abs=0.04)
        tab.mouse.click(box["x"] + 2, box["y"] + 2)  # outside the axes: the nearest place on the map
        assert start() == [-1.5, 1.5]
        assert picture.evaluate("(e) => getComputedStyle(e).touchAction") == "auto", "a page scrolls under a finger"


def test_the_ball_rolls_only_when_asked_and_until_paused(address, chromium):
    with opened(chromium, address) as tab:
        press(tab, "steps in all", "Home", 1)
        assert shown_step(tab) == 100
        player = tab.locator(".errref-widget button")
        player.press("Enter")
        assert player.inner_text() == "pause" and shown_step(tab) < 100
        tab.wait_for_function("document.querySelector('.errref-ball circle').dataset.step > 5")
        player.click()
        now = shown_step(tab)
        assert player.inner_text() == "play" and now < 100
        tab.wait_for_timeout(300)
        assert shown_step(tab) == now
        agrees(tab, Descent(steps=100, step=now))
        player.click()
        assert shown_step(tab) >= now
        tab.wait_for_function("document.querySelector('.errref-widget button').textContent === 'play'")
        agrees(tab, Descent(steps=100))


def test_what_is_said_aloud_and_what_stays_on_the_map_once_the_controls_rest(address, chromium):
    with opened(chromium, address) as tab:
        tab.wait_for_function("document.querySelector('[role=status]').textContent !== ''")
        listen(tab)
        rings = tab.locator(".errref-earlier .errref-start")
        assert rings.count() == 1
        press(tab, "batch size", "ArrowLeft", 2)
        tab.wait_for_function("window.said.length === 1")
        assert tab.evaluate("said[0]") == tab.locator(".errref-words").inner_text() and rings.count() == 2
        press(tab, "step shown", "ArrowLeft", 9)
        tab.wait_for_function("window.said.length === 2")
        step = shown_step(tab)
        loss = Descent(batch=4).field.loss(Descent(batch=4).path[step])
        assert re.match(rf"Step {step}: loss {loss:.3g}, norm of the gradient ", tab.evaluate("said[1]"))
        assert rings.count() == 2, "the same path is not kept twice"
        assert "faint: paths before" in tab.locator(".errref-widget ul").first.inner_text()
        control(tab, "surface").select_option("saddle")
        assert rings.count() == 0
        tab.wait_for_function("window.said.length === 3")
        assert rings.count() == 1, "a path on another surface has no place on this one"


def test_a_path_is_drawn_at_once(address, chromium, capsys):
    with opened(chromium, address) as tab:
        press(tab, "batch size", "ArrowLeft", 1)
        taken = []
        for _ in range(20):
            press(tab, "seed", "ArrowRight", 1)
            taken.append(float(tab.locator(".errref-widget").get_attribute("data-milliseconds")))
    with capsys.disabled():
        print(f"\n3,000 steps of 16 samples, drawn: {np.median(taken):.0f} ms in the browser")
    assert np.median(taken) < 1000
