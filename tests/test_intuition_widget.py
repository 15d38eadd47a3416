"""The toy in the reader's hand: its values in Python, and the page, where b is moved by keys and by the pointer."""

import math

import numpy as np
import pytest
import traitlets

from errref.experiments.intuition import LOSSES, Step, steps
from errref.figures.intuition import B_RANGE
from errref.widgets.intuition import MOST, PLACES, Trap, place, samples
from tests.browser import SCHEMES, control, opened, page_of, press

FIGURES = ".errref-widget figure > svg"
INNER = (318, 198)  # of a picture of 360 by 230, from (34, 8) on
TOTALS = {step.loss for n in range(1, MOST + 1) for loss in LOSSES for step in steps(*samples(n), loss)}
ENDS = (B_RANGE[0] - 0.25, B_RANGE[1] + 0.25)  # of the horizontal axes, a quarter beyond the places of b


# -- the values --------------------------------------------------------------------------------------------------------


def test_a_sample_can_be_in_the_data_several_times():
    X, y = samples(3)
    assert X.tolist() == [[-2], [-1], [0], [1], [1], [1], [4], [4.5]] and y.tolist() == [0, 0, 0, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("b", "answers", "accuracy"),
    [
        (0, [0, 0, 0, 1, 4, 4], 4 / 6),
        (0.125, [0, 0, 0, 0, 3, 4], 3 / 6),
        (3, [0, 0, 0, 0, 1, 1], 5 / 6),
        (-2.5, [0, 1, 2, 3, 6, 7], 1 / 6),
    ],
)
def test_answers_by_hand(b, answers, accuracy):
    trap = Trap(b=b)
    assert trap.answers.tolist() == answers and trap.accuracy == accuracy


@pytest.mark.parametrize(
    ("b", "copies", "losses", "places"),
    [
        (0, 1, ["(-0.5, 0]", "(-0.5, 0.5]", "(-1, 0]"], ["lower on the right", "lower on the right", "local minimum"]),
        (0.125, 1, ["(0, 0.5]", "(-0.5, 0.5]", "(0, 2]"], ["lower on the right"] * 2 + ["lower on both sides"]),
        (3, 1, ["(2.5, 3]"] * 3, ["global minimum"] * 3),
        (5, 1, ["(3.5, inf)"] * 3, ["lower on the left"] * 3),
        (
            0,
            2,
            ["(-0.5, 0]", "(-0.5, 0]", "(-1, 0]"],
            ["lower on the right", "local minimum", "global minimum, one of 2"],
        ),
        (0, 6, ["(-0.5, 0]", "(-0.5, 0]", "(-1, 0]"], ["local minimum", "global minimum, one of 2", "global minimum"]),
    ],
)
def test_where_b_lies_by_hand(b, copies, losses, places):
    # With six copies, by step: squared 9 + 9 = 18 on (-1/2, 0] and 6 on (2.5, 3]; absolute 6 and 6; zero-one 2 and 6.
    trap = Trap(b=b, copies=copies)
    assert [str(step) for step in trap.losses.values()] == losses
    assert list(trap.places.values()) == places


def test_a_place_among_steps_that_are_not_the_toys():
    found = [Step(-math.inf, 0, 3), Step(0, 1, 1), Step(1, 2, 2), Step(2, 3, 0), Step(3, math.inf, 4)]
    words = ["lower on the right", "local minimum", "lower on both sides", "global minimum", "lower on the left"]
    assert [place(found, step) for step in found] == words


@pytest.mark.parametrize("wrong", [{"b": 5.5}, {"b": -3}, {"b": math.nan}, {"b": "x"}, {"copies": 0}, {"copies": 8}])
def test_values_that_cannot_be_are_refused(wrong):
    with pytest.raises(traitlets.TraitError):
        Trap(**wrong)


def test_the_script_is_given_every_step():
    given = Trap()._fixed
    assert given["places"][0] == B_RANGE[0] and given["places"][-1] == B_RANGE[1] and {0, 0.125} <= {*given["places"]}
    for copies in range(1, MOST + 1):
        for loss in LOSSES:
            again = [
                Step(-math.inf if low is None else low, math.inf if high is None else high, total)
                for low, high, total, *_ in given["steps"][copies - 1][loss]
            ]
            assert again == steps(*samples(copies), loss)


# -- the page ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=SCHEMES)
def address(request, whole_book):
    with page_of(whole_book / "book", "intuition", request.param) as page:
        yield page


SEEN = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const text = (row) => [...row.cells].map((cell) => cell.dataset.value ?? cell.textContent.replace('\\u00a0', ' '));
  const split = (text) => text.match(/-?[\\d.]+/g).map(Number);
  const numbers = (selector, name) => all(selector).map((mark) => split(mark.getAttribute(name)));
  const dots = (selector) => all(selector).map((mark) => ['cx', 'cy'].map((name) => Number(mark.getAttribute(name))));
  return {
    samples: all('.errref-widget table:first-child tbody tr').map(text),
    losses: all('.errref-widget table:last-child tbody tr').map(text),
    treads: numbers('.errref-tread', 'd'),
    residuals: numbers('.errref-residual', 'd'),
    curves: numbers('.errref-loss', 'd'),
    wrong: numbers('.errref-wrong', 'transform'),
    right: dots('.errref-right'),
    here: dots('.errref-here circle'),
    closed: dots('.errref-minima circle:not([fill^=var])'),
    open: dots('.errref-minima circle[fill^=var]'),
    handles: numbers('.errref-place', 'transform').map(([x]) => x),
  };
}"""


def x_of(units):
    """Value on the horizontal axis, the same in both plots."""
    return ENDS[0] + units / INNER[0] * (ENDS[1] - ENDS[0])


def answer_of(units):
    """Value on the axis of answers, from -0.9 to 7.5."""
    return 7.5 - units / INNER[1] * 8.4


def loss_of(units):
    """Value on the logarithmic axis of losses, from 0.8 to 1.2 times the least and the greatest that there are."""
    high, low = 1.2 * max(TOTALS), 0.8 * min(TOTALS)
    return high * (low / high) ** (units / INNER[1])


def written(seen, trap):
    """What the tables must show, exactly: a row of names and numbers for each sample, loss, and for the accuracy."""
    X, y = samples(trap.copies)
    x, kept = np.unique(X[:, 0], return_index=True)
    names = [f"x = {at:g}" + f", {trap.copies} times" * (at == 1 and trap.copies > 1) for at in x.tolist()]
    assert [row[0] for row in seen["samples"]] == names
    columns = [y[kept], trap.answers[kept], (trap.answers - y)[kept]]
    assert [[float(cell) for cell in row[1:]] for row in seen["samples"]] == np.transpose(columns).tolist()
    *losses, accuracy = seen["losses"]
    for row, (loss, step) in zip(losses, trap.losses.items(), strict=True):
        words = f"b > {step.low:g}" if step.high == math.inf else f"b ≤ {step.high:g}"
        words = str(step) if math.isfinite(step.high - step.low) else words
        assert row == [loss, f"{step.loss:g}", words, trap.places[loss]]
    assert float(accuracy[1]) == trap.accuracy
    assert accuracy[3] == f"{np.sum(trap.answers == y)} of {len(y)} right"


def drawn(seen, trap):
    """What the pictures must show, to a tenth of a unit."""
    X, y = samples(trap.copies)
    x, kept = np.unique(X[:, 0], return_index=True)
    target, answer, right = y[kept], trap.answers[kept], (trap.answers == y)[kept]
    for marks, where in (("right", right), ("wrong", ~right)):
        assert near(x_of, seen[marks], 0, x[where]) and near(answer_of, seen[marks], 1, target[where])
    for column, scale, values in ((0, x_of, x), (1, answer_of, target), (2, x_of, x), (3, answer_of, answer)):
        assert near(scale, seen["residuals"], column, values[~right])
    stairs = np.arange(len(seen["treads"]))  # one begins where the answer becomes so large, and ends where it grows
    assert near(x_of, seen["treads"], 0, np.where(stairs, trap.b + stairs, ENDS[0]))
    assert near(x_of, seen["treads"], 2, np.minimum(trap.b + stairs + 1, ENDS[1])) and trap.b + len(stairs) >= ENDS[1]
    assert near(answer_of, seen["treads"], 1, stairs) and near(answer_of, seen["treads"], 3, stairs)
    assert [x_of(at) for at in seen["handles"]] == pytest.approx([trap.b] * 2, rel=0, abs=0.002)
    totals = [step.loss for step in trap.losses.values()]
    assert near(x_of, seen["here"], 0, [trap.b] * 3) and near(loss_of, seen["here"], 1, totals)


def curves(seen, copies):
    """The whole losses, and the ends of their minima, with the right one in them and the left one not."""
    minima = []
    for points, loss in zip(seen["curves"], LOSSES, strict=True):
        found = steps(*samples(copies), loss)
        shown = [s for s in found if s.high > ENDS[0] and s.low < ENDS[1]]
        ends = [end for s in shown for end in (max(s.low, ENDS[0]), min(s.high, ENDS[1]))]
        assert near(x_of, np.reshape(points, (-1, 2)), 0, ends)
        assert near(loss_of, np.reshape(points, (-1, 2)), 1, [s.loss for s in shown for _ in range(2)])
        minima += [s for s in found if "minimum" in place(found, s)]
    for dots, values in (("open", [s.low for s in minima]), ("closed", [s.high for s in minima])):
        assert near(x_of, seen[dots], 0, values) and near(loss_of, seen[dots], 1, [s.loss for s in minima])


def near(scale, marks, column, values):
    """Whether a coordinate of marks is that of the values, as exactly as the page writes it."""
    found = [scale(mark[column]) for mark in marks]
    return found == pytest.approx(list(values), rel=0.002, abs=0.003)


def test_every_place_of_b_shows_what_python_computes(address, chromium):
    with opened(chromium, address) as tab:
        tab.locator(FIGURES).first.wait_for()
        press(tab, "b", "Home", 1)
        for b in PLACES:
            seen, trap = tab.evaluate(SEEN), Trap(b=b)
            written(seen, trap)
            drawn(seen, trap)
            assert control(tab, "b").get_attribute("aria-valuetext") == f"{b:g}"
            tab.keyboard.press("ArrowRight")


def test_copies_of_a_sample_change_the_losses_to_those_of_python(address, chromium):
    with opened(chromium, address) as tab:
        tab.locator(FIGURES).first.wait_for()
        for b, way in ((0.0, range(1, MOST + 1)), (2.75, range(MOST, 0, -1))):
            for copies in way:
                seen, trap = tab.evaluate(SEEN), Trap(b=b, copies=copies)
                written(seen, trap)
                drawn(seen, trap)
                curves(seen, copies)
                press(tab, "copies of x = 1", "ArrowRight" if b == 0 else "ArrowLeft", 1)
            press(tab, "b", "ArrowRight", 22)


def spot(tab, plot, x, height=0.5):
    """Where on the page a value on the horizontal axis of a plot is, at a share of its height."""
    box = tab.locator(FIGURES).nth(plot).bounding_box()
    unit = box["width"] / 360
    across = (x - ENDS[0]) / (ENDS[1] - ENDS[0])
    return box["x"] + unit * (34 + INNER[0] * across), box["y"] + unit * (8 + INNER[1] * height)


def test_the_staircase_goes_with_the_pointer_that_holds_it(address, chromium):
    with opened(chromium, address) as tab:
        tab.locator(FIGURES).first.scroll_into_view_if_needed()

        def agrees(b):
            seen = tab.evaluate(SEEN)
            written(seen, Trap(b=b))
            drawn(seen, Trap(b=b))

        tab.mouse.move(*spot(tab, 0, 3.3))
        tab.mouse.down()
        agrees(0)  # taken hold of, not moved
        tab.mouse.move(*spot(tab, 0, 4.6), steps=7)
        agrees(1.25)  # 1.3 to the right, and the nearest eighth
        tab.mouse.move(*spot(tab, 0, 0.9, height=0.1), steps=3)
        agrees(-2.375)
        tab.mouse.move(*spot(tab, 0, 0.2), steps=3)
        agrees(-2.5)  # the last place, though the pointer goes on
        tab.mouse.move(*spot(tab, 0, 1.3), steps=3)
        agrees(-2)  # it is still where it was taken hold of
        tab.mouse.up()
        tab.mouse.move(*spot(tab, 0, 3.0))
        agrees(-2)
        tab.mouse.move(*spot(tab, 1, 2.6))
        tab.mouse.down()
        agrees(2.625)  # in the other plot b is where the pointer is
        tab.mouse.move(*spot(tab, 1, 0.0), steps=5)
        agrees(0)
        tab.mouse.up()
        tab.mouse.move(*spot(tab, 1, 3.0))
        tab.mouse.down(button="right")
        tab.mouse.up(button="right")
        agrees(0)


def test_what_is_said_names_the_result(address, chromium):
    with opened(chromium, address) as tab:
        tab.locator(FIGURES).first.wait_for()
        press(tab, "b", "ArrowRight", 1)
        words = (
            "b = 0.125: 3 of 6 samples right; squared loss 14, lower on the right; absolute loss 6, "
            "lower on the right; zero-one loss 3, lower on both sides."
        )
        tab.locator(f"[role=status]:text-is('{words}')").wait_for()
        labels = [picture.get_attribute("aria-label") for picture in tab.locator(FIGURES).all()]
        assert "b = 0.125" in labels[0] and "wrong are x = 1 by -1; x = 4 by +2; x = 4.5 by +3" in labels[0]
        assert labels[1].endswith("at b = 0.125 they are: squared 14, absolute 6, zero-one 3.")
