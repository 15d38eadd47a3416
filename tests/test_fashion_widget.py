"""Single images of the image study: what Python says of them, and the page that shows them, driven in a browser."""

import base64

import numpy as np
import pytest
import traitlets

from errref import protocols
from errref.datasets import FASHION_CLASSES
from errref.figures import COLOURS
from errref.figures import fashion as draw
from errref.protocols import Look
from errref.widgets.fashion import PROTOCOLS, SETS, Cases, first_right
from tests.browser import SCHEMES, contrast, control, listen, opened, page_of, page_with, state_of, stored

# -- the values --------------------------------------------------------------------------------------------------------

SHIRT, COAT, BAG = 6, 4, 8
# An image a line: label, answers of the general network and two experts, the gate's probabilities, nearest cluster.
TRAINING = [
    (SHIRT, (COAT, SHIRT, BAG), (0.9, 0.1, 0.0), 1),
    (SHIRT, (COAT, BAG, SHIRT), (0.5, 0.3, 0.2), 2),
    (COAT, (COAT, SHIRT, BAG), (0.9, 0.1, 0.0), 0),
]
TEST = [
    (SHIRT, (COAT, SHIRT, BAG), (0.2, 0.8, 0.0), 2),  # a rescue; the nearest cluster has the wrong expert
    (COAT, (COAT, SHIRT, BAG), (0.3, 0.1, 0.6), 0),  # a harm
    (COAT, (COAT, COAT, BAG), (0.3, 0.6, 0.1), 0),  # routed, and right all the same
    (BAG, (COAT, SHIRT, SHIRT), (0.9, 0.0, 0.1), 1),  # nobody is right
    (SHIRT, (COAT, COAT, SHIRT), (0.8, 0.15, 0.05), 1),  # only the expert that nobody asks is right
]


def look(lines):
    """Images whose first pixel is their place, and what three networks say of them, each with probability 0.85."""
    y, each, gate, assigned = (np.array(column) for column in zip(*lines, strict=True))
    proba = np.full((*each.shape, 10), 0.15 / 9)
    np.put_along_axis(proba, each[..., None], 0.85, axis=2)
    X = np.zeros((len(y), 784), dtype=np.uint8)
    X[:, 0] = 17 * np.arange(len(y))
    return X, Look(y, proba, each, gate, assigned)


@pytest.fixture
def cases():
    return Cases(look(TRAINING), look(TEST))


ROUTES = {
    "general": [0, 0, 0, 0, 0],
    "honest": [1, 2, 1, 0, 0],
    "best_expert": [1, 2, 1, 2, 1],
    "error_oracle": [1, 0, 0, 2, 1],
    "cluster_oracle": [2, 0, 0, 1, 1],
    "any_right": [1, 0, 0, -1, 2],
}
RIGHT = {"general": 2, "honest": 2, "best_expert": 2, "error_oracle": 3, "cluster_oracle": 2, "any_right": 4}


def test_who_answers_under_each_protocol_by_hand():
    _, seen = look(TEST)
    assert {name: protocol.routes(seen).tolist() for name, protocol in PROTOCOLS.items()} == ROUTES
    assert first_right(seen).tolist() == [1, 0, 0, -1, 2]


def test_the_answers_of_a_protocol_are_those_of_the_study():
    rng = np.random.default_rng(0)
    proba, gate = rng.dirichlet(np.ones(10), (200, 5)), rng.dirichlet(np.ones(5), 200)
    y, each = rng.integers(0, 10, 200), proba.argmax(axis=2)
    seen = Look(y, proba, each, gate, np.where(each[:, 0] == y, 0, rng.integers(1, 5, 200)))
    for name in ("honest", "error_oracle", "cluster_oracle"):
        expected = getattr(protocols, name)(seen)
        assert np.array_equal(protocols.pick(each, PROTOCOLS[name].routes(seen)), expected)
    right = protocols.pick(each, PROTOCOLS["any_right"].routes(seen)) == y
    assert np.array_equal(right, protocols.any_right(each, y))
    assert np.array_equal(protocols.pick(each, PROTOCOLS["general"].routes(seen)), seen.general)
    numbers = protocols.mechanism(seen)
    cases = Cases((np.zeros((200, 784), np.uint8), seen), (np.zeros((200, 784), np.uint8), seen))
    for images, name in (("rescues", "rescues"), ("harms", "harms")):
        assert cases.count(images)["general"][1] == numbers[name]
    for images, name in (("test_errors", "expert_right_where_wrong"), ("test_right", "expert_right_where_right")):
        count, n = cases.count(images)["best_expert"]
        assert count / n == pytest.approx(numbers[name], rel=1e-12)


def test_sets_and_counts_by_hand(cases):
    members = {"training_errors": [0, 1], "test_errors": [3, 4, 0], "test_right": [1, 2], "rescues": [0], "harms": [1]}
    assert list(members) == list(SETS)
    for name, expected in members.items():
        cases.images = name
        assert cases.shown.tolist() == expected
    assert cases._fixed["test"] == [5, *RIGHT.values()]
    counts = {name: (right, 3) for name, right in zip(PROTOCOLS, (0, 1, 1, 1, 0, 2), strict=True)}
    assert cases.count("test_errors") == counts
    assert cases.count("test_errors", cluster=2) == {name: (int(name != "general"), 1) for name in PROTOCOLS} | {
        "cluster_oracle": (0, 1)
    }
    assert cases.count("harms") == {name: (int(name not in ("honest", "best_expert")), 1) for name in PROTOCOLS}
    cases.images, cases.cluster, cases.protocol = "test_errors", 1, "any_right"
    assert cases.shown.tolist() == [3, 4] and cases.right.tolist() == [False, True]


def test_the_first_of_each_cluster_are_kept_in_the_order_of_the_data():
    lines = [(SHIRT, (COAT, SHIRT, BAG), (0.9, 0.1, 0.0), 1 + k % 2) for k in range(40)]
    right = [(COAT, (COAT, SHIRT, BAG), (0.9, 0.1, 0.0), 0)] * 20
    cases = Cases(look(lines), look(lines + right))
    assert cases.shown.tolist() == [*range(0, 24, 2), *range(1, 24, 2)]
    cases.images = "test_right"
    assert cases.shown.tolist() == list(range(40, 52)), "of a set without clusters half as many"
    assert cases.count("training_errors")["cluster_oracle"] == (20, 40), "counts are over the whole set"


def test_what_is_stored_is_what_was_said(cases):
    told, seen = cases._fixed["cases"], cases.seen["test"][1]
    names = [(name, k) for name, k in zip(("training",) * 2 + ("test",) * 5, told["index"], strict=True)]
    assert names == [("training", 0), ("training", 1), ("test", 3), ("test", 4), ("test", 0), ("test", 1), ("test", 2)]

    def values(name):
        return np.frombuffer(base64.b64decode(told[name]), np.uint8)

    assert values("pixels").reshape(7, 392)[:, 0].tolist() == [16 * k for k in told["index"]]
    assert values("proba").reshape(7, 3, 10)[2].tolist() == np.rint(100 * seen.proba[3]).tolist()
    assert values("gate").reshape(7, 3)[4].tolist() == [20, 80, 0]
    assert values("routes").reshape(7, 6)[2].tolist() == [0, 0, 2, 2, 1, 255]
    assert values("labels").tolist() == [SHIRT, SHIRT, BAG, SHIRT, SHIRT, COAT, COAT]
    assert values("clusters").tolist() == [1, 2, 1, 1, 2, 0, 0]


@pytest.mark.parametrize("wrong", [{"images": "all"}, {"protocol": "oracle"}, {"cluster": -1}, {"picked": -1}])
def test_values_that_cannot_be_are_refused(wrong):
    with pytest.raises(traitlets.TraitError):
        Cases(look(TRAINING), look(TEST), **wrong)


def test_data_that_cannot_be_are_refused_in_a_sentence(cases):
    with pytest.raises(traitlets.TraitError, match="no cluster 3; choose one from 1 to 2, or 0"):
        cases.cluster = 3
    X, seen = look(TEST)
    for images in (X[:2], X.astype(float)):
        with pytest.raises(ValueError, match=r"give \(5, 784\), uint8"):
            Cases((X, seen), (images, seen))
    alone = Look(seen.y, seen.proba[:, :1], seen.each[:, :1], seen.gate[:, :1], seen.assigned)
    with pytest.raises(ValueError, match="There is no expert"):
        Cases((X, seen), (X, alone))


def test_the_still_picture_draws_every_probability(drawn):
    _, seen = look(TEST)
    (figure,) = drawn([draw.one_case(np.zeros(784, np.uint8), SHIRT, seen.proba[0])])
    left, right = figure.axes
    assert left.get_xlabel() == "Shirt"
    widths = [bar.get_width() for bars in right.containers for bar in bars]
    assert widths == pytest.approx((0.8 * seen.proba[0]).ravel().tolist())
    assert [bars[0].get_x() for bars in right.containers] == [0, 1, 2]


# -- the page ----------------------------------------------------------------------------------------------------------


class Stored:
    """The figure of the chapter, read from its stored state without the script."""

    def __init__(self):
        (state,) = stored("fashion")
        fixed = state["_fixed"]
        self.sets = {one["name"]: one for one in fixed["sets"]}
        self.names = [one["name"] for one in fixed["protocols"]]
        self.test, self.index, told = fixed["test"], fixed["cases"]["index"], fixed["cases"]
        n, self.networks = len(self.index), fixed["networks"]

        def values(name, *shape):
            return np.frombuffer(base64.b64decode(told[name]), np.uint8).reshape(n, *shape).astype(int)

        both = values("pixels", 392)
        self.grey = 255 - 17 * np.stack([both // 16, both % 16], axis=2).reshape(n, 784)
        self.labels, self.clusters = values("labels"), values("clusters")
        self.answers, self.gate = values("answers", self.networks), values("gate", self.networks)
        self.proba, self.routes = values("proba", self.networks, 10), values("routes", len(self.names))

    def grid(self, images, cluster=0):
        blocks = self.sets[images]["kept"]
        return blocks[cluster - 1] if cluster else [case for block in blocks for case in block]

    def who(self, case, protocol):
        route = self.routes[case, self.names.index(protocol)]
        return -1 if route == 255 else int(route)

    def right(self, case, protocol):
        who = self.who(case, protocol)
        return bool(who >= 0 and self.answers[case, who] == self.labels[case])

    def counts(self, images, cluster=0):
        blocks = self.sets[images]["counts"]
        return blocks[cluster - 1] if cluster else np.sum(blocks, axis=0).tolist()


@pytest.fixture(scope="module")
def state():
    return Stored()


@pytest.fixture(scope="module")
def folder(whole_book):
    return whole_book / "book"


@pytest.fixture(params=SCHEMES)
def address(request, folder):
    with page_of(folder, "fashion", request.param) as page:
        yield page


MARKS = {"true": "M1,5.5l3,3l5,-7.5", "false": "M1.5,1.5l7,7m0,-7l-7,7"}
TILES, CHART = ".errref-case", ".errref-closer figure > svg"
TILE = """(all) => all.map((e) => ({
    right: e.dataset.right, name: e.getAttribute("aria-label"), pressed: e.getAttribute("aria-pressed"),
    tab: e.tabIndex, who: e.querySelector(".errref-strip").dataset.network, letter: e.textContent,
    mark: e.querySelector("path").getAttribute("d"),
}))"""
PIXELS = "(e) => Array.from(e.getContext('2d').getImageData(0, 0, 28, 28).data).filter((_, i) => i % 4 === 0)"


def words(case, who, right, state):
    if who < 0:
        return f"none of the {state.networks} networks is right"
    name = f"expert {who}" if who else "the general network"
    return f"{name} says {FASHION_CLASSES[state.answers[case, who]]}, {'right' if right else 'wrong'}"


def agrees(tab, state, images, protocol, cluster=0, picked=0):
    """All that the page shows is what the stored state says."""
    grid, tiles = state.grid(images, cluster), tab.locator(TILES)
    shown = tiles.evaluate_all(TILE)
    assert len(shown) == len(grid)
    for place, (tile, case) in enumerate(zip(shown, grid, strict=True)):
        who, right = state.who(case, protocol), state.right(case, protocol)
        label = FASHION_CLASSES[state.labels[case]]
        assert tile["right"] == str(right).lower() and tile["who"] == str(who)
        assert tile["letter"] == ("–" if who < 0 else "G" if who == 0 else str(who))
        assert tile["name"] == f"picture {place + 1}, {label}; {words(case, who, right, state)}"
        assert tile["pressed"] == str(place == picked).lower() and tile["tab"] == (0 if place == picked else -1)
    assert {(tile["right"], tile["mark"]) for tile in shown} <= set(MARKS.items())
    (case, who) = (grid[picked], state.who(grid[picked], protocol))
    chart = tab.locator(CHART)
    bars = chart.locator("[data-value]").evaluate_all("(all) => all.map((e) => ({...e.dataset}))")
    found = np.zeros((state.networks, 10), dtype=int)
    for bar in bars:
        found[int(bar["network"]), int(bar["class"])] = int(bar["value"])
    assert len(bars) == found.size and np.array_equal(found, state.proba[case])
    widths = chart.locator("[data-value]").evaluate_all("(all) => all.map((e) => Number(e.getAttribute('width')))")
    full = (360 - 82) / state.networks - 32
    assert widths == pytest.approx((full * state.proba[case] / 100).ravel().tolist(), abs=0.06)
    gate = [float(text.text_content()) for text in chart.locator("[data-gate]").all()]
    assert gate == pytest.approx((state.gate[case] / 100).tolist())
    marks = [mark.get_attribute("data-right") for mark in chart.locator(".errref-mark").all()]
    assert marks == [str(answer == state.labels[case]).lower() for answer in state.answers[case]]
    frame = [int(box.get_attribute("data-network")) for box in chart.locator(".errref-asked").all()]
    assert frame == ([who] if who >= 0 else [])
    band, height = chart.locator(".errref-true"), 17
    assert float(band.get_attribute("y")) == 40 + height * state.labels[case]
    assert chart.get_attribute("aria-label").startswith(f"A picture of class {FASHION_CLASSES[state.labels[case]]}.")
    facts = tab.locator(".errref-facts li").all_text_contents()
    cluster_of = state.clusters[case]
    assert facts == [
        f"{state.sets[images]['source']} image {state.index[case]} of this run",
        f"label: {FASHION_CLASSES[state.labels[case]]}",
        f"nearest cluster: {cluster_of}" if cluster_of else "no error case, so no cluster",
        words(case, who, state.right(case, protocol), state),
    ]
    assert tab.locator(".errref-large canvas").evaluate(PIXELS) == state.grey[case].tolist()
    n, *right = state.counts(images, cluster)
    everything, *of_all = state.test
    lines = [
        [cell.strip() for cell in row.split("\t")] for row in tab.locator(".errref-counts").inner_text().splitlines()
    ]
    table = [line for line in lines if len(line) == 3 and "(" in line[1]]
    numbers = [[int(cell.split(" (")[0].replace(",", "")) for cell in line[1:]] for line in table]
    assert numbers == [[a, b] for a, b in zip(right, of_all, strict=True)]
    assert [line[1].split("(")[1] for line in table] == [f"{100 * a / n:.1f} %)" for a in right]
    heads = tab.locator(".errref-counts thead th").all_text_contents()
    of = f", cluster {cluster}" if cluster else ""
    assert heads == [f"{SETS[images].words}{of}: n = {n:,}", f"all test images: n = {everything:,}"]
    chosen = tab.locator(".errref-counts tr[aria-current] th").all_text_contents()
    assert chosen == [PROTOCOLS[protocol].words]


def start(tab):
    tab.locator(TILES).first.wait_for()


def test_the_page_opens_with_what_is_stored(address, chromium, state):
    with opened(chromium, address) as tab:
        start(tab)
        agrees(tab, state, "training_errors", "honest")
        pictures = [tile.evaluate(PIXELS) for tile in tab.locator(f"{TILES} canvas").all()]
        assert pictures == state.grey[state.grid("training_errors")].tolist()
        assert len({tuple(picture) for picture in pictures}) == len(pictures)


def test_every_set_and_every_protocol_is_shown_as_it_is_stored(address, chromium, state):
    with opened(chromium, address) as tab:
        start(tab)
        for images in state.sets:
            control(tab, "images").select_option(images)
            for protocol in state.names if images == "test_errors" else state.names[1::3]:
                control(tab, "protocol").select_option(protocol)
                if state.grid(images):
                    agrees(tab, state, images, protocol)
                assert tab.get_by_text(PROTOCOLS[protocol].sees).is_visible()
            assert tab.get_by_text(SETS[images].says).is_visible()
            assert control(tab, "cluster").is_visible() == SETS[images].clustered
        for protocol in ("general", "error_oracle"):
            control(tab, "protocol").select_option(protocol)
            assert set(tab.locator(TILES).evaluate_all("(all) => all.map((e) => e.dataset.right)")) <= {"true"}


def test_keys_choose_and_walk_through_the_pictures(address, chromium, state):
    with opened(chromium, address) as tab:
        start(tab)
        control(tab, "protocol").focus()
        for _ in range(3):
            tab.keyboard.press("ArrowDown")
        control(tab, "images").focus()
        tab.keyboard.press("ArrowDown")
        control(tab, "cluster").focus()
        tab.keyboard.press("ArrowDown")
        tab.keyboard.press("ArrowDown")
        agrees(tab, state, "test_errors", "cluster_oracle", cluster=2)
        control(tab, "images").press("ArrowUp")
        agrees(tab, state, "training_errors", "cluster_oracle")
        last, per_row = len(state.grid("training_errors")) - 1, len(state.sets["training_errors"]["kept"][0])
        tab.locator(f"{TILES}[tabindex='0']").focus()
        steps = [
            ("ArrowRight", 1),
            ("ArrowDown", 1 + per_row),
            ("ArrowLeft", per_row),
            ("ArrowUp", 0),
            ("ArrowLeft", 0),
        ]
        for key, place in [
            *steps,
            ("ArrowUp", 0),
            ("End", last),
            ("ArrowDown", last),
            ("ArrowRight", last),
            ("Home", 0),
        ]:
            tab.keyboard.press(key)
            assert tab.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
            assert tab.locator(f"{TILES}[aria-pressed='true']").count() == 1
            assert tab.evaluate("document.activeElement.getAttribute('aria-label')").startswith(
                f"picture {place + 1}, "
            )
        tab.keyboard.press("End")
        agrees(tab, state, "training_errors", "cluster_oracle", picked=last)
        tab.keyboard.press("Tab")
        assert tab.locator(f"{TILES}:focus").count() == 0, "the pictures are one stop of the tabulator key"


def test_a_click_picks_a_picture_and_a_new_set_begins_at_its_first(address, chromium, state):
    with opened(chromium, address) as tab:
        start(tab)
        tab.locator(TILES).nth(7).click()
        agrees(tab, state, "training_errors", "honest", picked=7)
        outline = "(e) => getComputedStyle(e).outlineStyle"
        assert [tab.locator(TILES).nth(k).evaluate(outline) for k in (0, 7)] == ["none", "solid"]
        control(tab, "protocol").select_option("best_expert")
        agrees(tab, state, "training_errors", "best_expert", picked=7)
        control(tab, "cluster").select_option("1")
        agrees(tab, state, "training_errors", "best_expert", cluster=1)
        control(tab, "images").select_option("test_right")
        agrees(tab, state, "test_right", "best_expert")


def test_what_is_picked_is_said_aloud_once_it_rests(address, chromium, state):
    with opened(chromium, address) as tab:
        start(tab)
        listen(tab)
        control(tab, "images").select_option("test_errors")
        tab.locator(f"{TILES}[tabindex='0']").focus()
        for _ in range(3):
            tab.keyboard.press("ArrowRight")
        tab.wait_for_function("window.said.length > 0")
        tab.wait_for_timeout(500)
        case, (n, *right) = state.grid("test_errors")[3], state.counts("test_errors")
        label, who = FASHION_CLASSES[state.labels[case]], state.who(case, "honest")
        expected = f"{label}: {words(case, who, False, state)}. honest: {right[1]:,} of {n:,} right."
        assert tab.evaluate("window.said") == [expected]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_who_answers_can_be_read_in_light_and_dark(scheme, address, chromium):
    with opened(chromium, address, color_scheme=scheme) as tab:
        start(tab)
        control(tab, "images").select_option("test_errors")
        inks = """(all) => all.map((e) => [e.dataset.network, getComputedStyle(e).color,
            getComputedStyle(e).backgroundColor, getComputedStyle(document.body).backgroundColor])"""
        seen = set()
        for protocol in ("honest", "best_expert", "any_right"):
            control(tab, "protocol").select_option(protocol)
            for network, text, own, page in tab.locator(".errref-strip").evaluate_all(inks):
                assert contrast(text, page if own == "rgba(0, 0, 0, 0)" else own) > 4.5
                seen.add(network)
        assert {"-1", "0"} < seen
        behind = {
            ".errref-who": "e.previousElementSibling).fill",
            ":not(.errref-who)": "document.body).backgroundColor",
        }
        for kind, paper in behind.items():
            both = f"(all) => all.map((e) => [getComputedStyle(e).fill, getComputedStyle({paper}])"
            texts = tab.locator(f"{CHART} svg text{kind}").evaluate_all(both)
            assert texts and all(contrast(*pair) > 4.5 for pair in texts)


def test_images_by_hand_are_marked_by_hand(cases, chromium, tmp_path):
    cases.images = "test_errors"
    order = [3, 4, 0]  # by cluster
    with opened(chromium, page_with(tmp_path, state_of(cases))) as tab:
        start(tab)
        for protocol, routes in ROUTES.items():
            control(tab, "protocol").select_option(protocol)
            strips = tab.locator(".errref-strip").evaluate_all("(all) => all.map((e) => Number(e.dataset.network))")
            assert strips == [routes[i] for i in order]
            right = tab.locator(TILES).evaluate_all("(all) => all.map((e) => e.dataset.right)")
            expected = [routes[i] >= 0 and TEST[i][1][routes[i]] == TEST[i][0] for i in order]
            assert right == [str(good).lower() for good in expected]
        heads = tab.locator(".errref-gallery p").all_text_contents()
        assert heads == ["1 cluster 1: all 2", "2 cluster 2: all 1"]
        first = tab.locator(f"{TILES} canvas").first.evaluate(PIXELS)
        assert first[:2] == [255 - 17 * 3, 255]
        cell = tab.locator(".errref-counts tbody tr").first.locator("td").last
        assert cell.inner_text() == "2 (40.0 %)"
        fill = tab.locator(f'{CHART} [data-value="85"]').nth(1).evaluate("(e) => e.getAttribute('fill')")
        assert fill == COLOURS["expert 1"]


def test_an_empty_set_is_said_to_be_empty(chromium, tmp_path):
    calm = [line for line in TEST if line[2][0] > 0.5]  # nothing is routed
    cases = Cases(look(TRAINING), look(calm), picked=5)
    with opened(chromium, page_with(tmp_path, state_of(cases))) as tab:
        start(tab)
        assert tab.locator(f"{TILES}[aria-pressed='true']").get_attribute("aria-label").startswith("picture 2, "), (
            "the last"
        )
        control(tab, "images").select_option("harms")
        assert tab.locator(TILES).count() == 0 and tab.locator(".errref-closer").is_hidden()
        assert tab.locator(".errref-counts td").nth(1).inner_text() == "–"
        tab.locator('[role=status]:text("This set is empty. honest: 0 of 0 right.")').wait_for()
        control(tab, "images").select_option("test_errors")
        assert tab.locator(TILES).count() == 2 and tab.locator(".errref-closer").is_visible()


def test_two_figures_on_a_page_are_set_each_by_itself(cases, chromium, tmp_path):
    page = page_with(tmp_path, state_of(cases), views=[0, 0])  # two views of one model: they move together
    with opened(chromium, page) as tab:
        tab.wait_for_function("document.querySelectorAll('.errref-gallery').length === 2")
        second = tab.locator(".errref-widget").nth(1)
        second.locator("select").last.select_option("any_right")
        second.locator(TILES).nth(1).click()
        for k in (0, 1):
            widget = tab.locator(".errref-widget").nth(k)
            assert widget.locator("select").last.input_value() == "any_right"
            assert widget.locator(f"{TILES}[aria-pressed='true']").get_attribute("aria-label").startswith("picture 2, ")
