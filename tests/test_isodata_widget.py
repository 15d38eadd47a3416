"""ISODATA an iteration at a time: its settings in Python, its script under Node.js, and its page, driven by hand."""

import numpy as np
import pytest
import traitlets
from scipy.spatial.distance import pdist, squareform

from errref.experiments import functions
from errref.experiments import isodata as experiment
from errref.figures import isodata as draw
from errref.isodata import Isodata, _assign
from errref.widgets import script
from errref.widgets.isodata import EXAMPLES, SYMBOLS, Iterations, error_cases
from tests.browser import SCHEMES, control, opened, page_of, press
from tests.test_isodata_chapter import PLANE, SIX, SIX_SETTINGS, TWO, TWO_SETTINGS
from tests.test_javascript import clusterings

FIGURES = ".errref-widget figure > svg"
EVENTS = ("discarded", "split", "considered", "lumped")


def sizes_and_events(model):
    return [(h["sizes"].tolist(), *(h[event] for event in EVENTS)) for h in model.history_]


# -- the values --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "X", "settings"),
    [
        ("two samples", TWO, TWO_SETTINGS | {"max_iter": 6}),
        ("six samples", SIX, SIX_SETTINGS | {"max_iter": 6}),
        ("eight samples", PLANE, {"max_std": 1, "min_distance": 4, "max_merges": 0, "max_iter": 4, "init": [[0, 0]]}),
    ],
)
def test_an_example_is_the_one_of_the_chapter(name, X, settings):
    shown = Iterations(name)
    assert np.array_equal(shown.X, X)
    chapter = Isodata(**({"n_clusters": 2} | settings)).fit(X)
    assert sizes_and_events(shown.fitted) == sizes_and_events(chapter)
    assert np.array_equal(shown.fitted.cluster_centers_, chapter.cluster_centers_)


def test_the_error_cases_are_those_of_the_chapter_and_rounding_changes_no_event():
    system = experiment.system({"function": "quartic"}, 1000)
    X, _ = functions.data({"function": "quartic"}, functions.BASE["n_samples"])
    errors, shown = X[system.errors_], Iterations("error cases")
    assert np.array_equal(error_cases("quartic", 1000), errors) and np.array_equal(shown.X, errors)
    lengths = {"max_std": 0.3 * errors.std(), "min_distance": errors.std()}
    start = np.linspace(-1, 1, 6)[:, None]
    chapter = Isodata(3, min_samples=12, **lengths, max_iter=8, init=start).fit(errors)
    assert sizes_and_events(shown.fitted) == sizes_and_events(chapter)


def test_every_setting_reaches_isodata():
    settings = {"n_clusters": 3, "min_samples": 2, "max_std": 0.5, "min_distance": 2.5}
    settings |= {"max_merges": 1, "max_iter": 5, "split_fraction": 0.3}
    assert set(settings) == set(SYMBOLS)
    model = Iterations("eight samples", seed=4, **settings).fitted
    assert {name: getattr(model, name) for name in SYMBOLS} == settings
    again = Isodata(**settings, random_state=4).fit(PLANE)
    assert np.array_equal(model.labels_, again.labels_) and model.init == "random"
    assert Iterations("six samples", min_distance=None).fitted.min_distance is None


@pytest.mark.parametrize(
    "wrong",
    [{"samples": "seven"}, {"n_clusters": 0}, {"max_std": -1}, {"split_fraction": 0}, {"max_iter": 101}]
    + [{"seed": -1}, {"iteration": 0}, {"min_samples": 1.5}],
)
def test_values_that_cannot_be_are_refused(wrong):
    with pytest.raises(traitlets.TraitError):
        Iterations(**wrong)


# -- the script --------------------------------------------------------------------------------------------------------


def test_stages_are_the_history_with_the_numbers_of_the_still_figures(javascript):
    problems, alive = list(clusterings()), 0
    stages = "given.map(({ X, ...parameters }) => stagesOf(isodata(X, parameters)))"
    for problem, found in zip(problems, javascript(script("widgets/isodata.js"), stages, problems), strict=True):
        X = np.array(problem.pop("X"))
        model = Isodata(**problem).fit(X)
        *found, result = found
        numbers = draw.lineage(model.history_)
        for stage, entry, mine in zip(found, model.history_, numbers, strict=True):
            assert stage["numbers"] == mine
            assert stage["links"] == [list(pair) for pair in draw.links(entry)]
            assert stage["kept"] == [j for j in range(len(mine)) if j not in entry["discarded"]]
            alive += len(mine)
        last = list(range(len(model.cluster_centers_)))
        assert [stage["next"] for stage in found] == [*numbers[1:], last]
        assert result["numbers"] == last and result["labels"] == model.labels_.tolist()
        assert result["sizes"] == [int(np.sum(model.labels_ == k)) for k in last]
        np.testing.assert_allclose(result["start"], model.cluster_centers_, rtol=0, atol=1e-12)
    assert alive > 1000


# By hand, from the chapter: sigma_j = sqrt 2, D_j = 6/5, D = 1 and 5 samples; halves at 7 and 4.5; two samples that end
# at 1 and 0 if nothing is lumped; where two are needed, one is too few, and the last cluster cannot go.
SIX_ODD = (
    "The iteration is odd, and N_c = 2 < 2K: wide clusters may be split. Cluster 2 is, with σ_j = 1.41 > θ_S = 1, "
    "D_j = 1.2 > D = 1 and 5 > 2(θ_N + 1) = 4 samples."
)
SIX_EVEN = (
    "The iteration is even, and N_c = 3 > K/2: nothing is split. "
    "Clusters 2 and 3 are 2.5 apart, closer than θ_C = 3: lumped."
)
HALF = "N_c = 1 ≤ K/2: wide clusters may be split. "
SMALL = "Cluster 2 has 1 sample, fewer than θ_N = 2: discarded. All are smaller than θ_N = 2, so the largest stays. "
TOLD = [
    (
        Iterations("six samples", max_iter=3),
        [
            f"Iteration 1 of 3. {SIX_ODD}",
            f"Iteration 2 of 3. {SIX_EVEN}",
            "Iteration 3 of 3. The iteration is the last, and only moves the centres.",
            "The result: 2 clusters with 1 and 5 samples.",
        ],
    ),
    (
        Iterations("two samples", max_merges=0, max_iter=9),
        [
            f"Iteration 1 of 9. {HALF}Cluster 1 is, with σ_j = 0.5 > θ_S = 0.25.",
            "Iteration 2 of 9. The iteration is even, and N_c = 2 > K/2: nothing is split. L = 0: nothing is lumped.",
            "Iteration 3 of 9. The iteration is odd, and N_c = 2 < 2K: wide clusters may be split. "
            "None meets the condition. L = 0: nothing is lumped.",
            "Iteration 4 of 9. The iteration is even, and N_c = 2 > K/2: nothing is split. L = 0: nothing is lumped. "
            "Nothing can change any more: all further iterations would repeat the last two.",
            "The result: 2 clusters with 1 and 1 samples. Centres 1 and 2 end 1 apart, closer than θ_C = 2. "
            "It is at rest after 4 of 9 iterations.",
        ],
    ),
    (
        Iterations("two samples", min_samples=2, seed=0, max_iter=3),
        [
            f"Iteration 1 of 3. {SMALL}{HALF}None meets the condition. No two centres are closer than θ_C = 2.",
            f"Iteration 2 of 3. {HALF}Cluster 1 is, with σ_j = 0.5 > θ_S = 0.25.",
            f"Iteration 3 of 3. {SMALL}The iteration is the last, and only moves the centres.",
            "The result: one cluster with 2 samples.",
        ],
    ),
    (
        Iterations("error cases", n_clusters=1, max_iter=2, min_distance=0.35, max_merges=1),
        [
            "Iteration 1 of 2. Cluster 5 has 0 samples, fewer than θ_N = 12: discarded. N_c = 5 ≥ 2K: nothing is split."
            " Clusters 3 and 6 are 0.238 apart, closer than θ_C = 0.35: lumped. L = 1: no further pair is considered.",
        ],
    ),
]


def given(shown):
    """What the page hands to its engine."""
    start = {"init": EXAMPLES[shown.samples]["start"]} if shown.seed is None else {"random_state": shown.seed}
    return {"X": shown.X.tolist(), "settings": {name: getattr(shown, name) for name in SYMBOLS} | start}


@pytest.mark.parametrize(("shown", "words"), TOLD)
def test_what_is_told_by_hand(shown, words, javascript):
    tell = """(({ X, settings }) => {
      const found = isodata(X, settings), stages = stagesOf(found), last = stages.length - 1;
      const limits = { ...settings, max_std: found.max_std, min_distance: found.min_distance };
      return stages.map((stage) => told(stage, limits, last).join(" "));
    })(given)"""
    assert javascript(script("widgets/isodata.js"), tell, given(shown))[: len(words)] == words


# -- the page ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=SCHEMES)
def address(request, whole_book):
    with page_of(whole_book / "book", "isodata", request.param) as page:
        yield page


SEEN = """() => {
  const root = document.querySelector('.errref-widget');
  const all = (selector) => [...root.querySelectorAll(selector)];
  const spot = (mark) => mark.getAttribute('transform').match(/-?[\\d.]+/g).map(Number);
  const signs = (kind) => all(`.errref-${kind}`).map((mark) => [Number(mark.dataset.cluster), ...spot(mark)]);
  const place = (mark) => mark.tagName === 'circle' ? ['cx', 'cy'].map((name) => Number(mark.getAttribute(name)))
    : mark.getAttribute('d').match(/-?[\\d.]+/g).map(Number).slice(0, 2);
  return {
    samples: all('.errref-sample').map((mark) => [Number(mark.dataset.cluster), ...place(mark)]),
    names: all('.errref-samples text').map((mark) => Number(mark.textContent)),
    start: signs('start'), mean: signs('mean'), end: signs('end'),
    discarded: signs('discarded').map(([, ...at]) => at),
    words: all('.errref-words text').map((mark) => mark.textContent),
    counts: all('.errref-count').map(spot),
    now: all('.errref-now').map(place),
    rows: all('tbody tr').map((row) => [...row.cells].map((cell) => cell.dataset.value ?? cell.textContent)),
    told: root.querySelector('.errref-told').textContent,
  };
}"""


def ranges(X, history):
    """The ends of both axes of the first plot: on a line four rows, in the plane equally long units on both."""
    rows = np.concatenate([X, *(entry[name] for entry in history for name in ("start", "moved"))])
    low, high = rows.min(axis=0), rows.max(axis=0)
    room = np.where(high > low, 0.08 * (high - low), 1)
    low, high = low - room, high + room
    if X.shape[1] == 1:
        return np.array([[low[0], high[0]], [-0.6, 3.6]])
    half = np.max((high - low) / MAP) * MAP / 2
    return np.transpose([(low + high) / 2 - half, (low + high) / 2 + half])


MAP, COUNTS = np.array([296, 198]), np.array([318, 198])  # of pictures of 360 by 230


def at(points, ends, size):
    """Where points of the axes are drawn, in units of the picture."""
    low, high = ends.T
    share = (np.reshape(points, (-1, 2)) - low) / (high - low)
    return np.column_stack([share[:, 0], 1 - share[:, 1]]) * size


class Expected:
    """What the page must show of a stage, from Python; the stage after the last iteration is the result."""

    LEVELS = {
        "start": 3,
        "samples": 1.84,
        "mean": 1,
        "end": 0,
    }  # of the rows on a line; a tick's path begins at its foot

    def __init__(self, shown, stage):
        self.model, self.X, self.result = shown.fitted, shown.X, stage > shown.fitted.n_iter_
        self.ends, history = ranges(self.X, self.model.history_), self.model.history_
        numbers = [*draw.lineage(history), list(range(len(self.model.cluster_centers_)))]
        self.numbers, self.entry = numbers[stage - 1], None if self.result else history[stage - 1]
        self.next = None if self.result else numbers[stage]
        start = self.model.cluster_centers_ if self.result else self.entry["start"]
        middle = self.model.cluster_centers_.mean(axis=0) if self.result else self.X.mean(axis=0)
        self.start, self.labels = start, _assign(self.X, middle, start - middle)[0]
        self.out = [] if self.result else self.entry["discarded"]
        self.kept = [j for j in range(len(start)) if j not in self.out]

    def spots(self, rows, level):
        """Places of rows of one kind, in units of the picture."""
        rows = np.reshape(rows, (-1, self.X.shape[1]))
        if rows.shape[1] == 1:
            rows = np.column_stack([rows, np.full(len(rows), self.LEVELS[level])])
        return at(rows, self.ends, MAP)

    def agrees(self, seen):
        """Compare all of it."""
        names = [0 if label in self.out else self.numbers[label] + 1 for label in self.labels]
        assert [name for name, *_ in seen["samples"]] == names
        if self.result:
            assert [self.numbers[label] for label in self.labels] == self.model.labels_.tolist()
        shown = {name for name in names if name}
        assert seen["names"] == ([n for n in names if n] if self.X.shape[1] == 2 else sorted(shown, key=self.order))
        self.near(seen["samples"], self.X, "samples")
        self.marks(seen["start"], self.start, "start", self.numbers)
        moved = [] if self.result else self.entry["moved"]
        self.marks(seen["mean"], moved, "mean", [self.numbers[j] for j in self.kept][: len(moved)])
        ends = self.changed()
        self.marks(seen["end"], [self.entry["centers"][k] for k in ends], "end", [self.next[k] for k in ends])
        self.near([[0, *spot] for spot in seen["discarded"]], self.start[self.out], "start")
        words = [f"{self.numbers[j] + 1} discarded" for j in self.out]
        for event in ("split", "lumped"):
            words += [event] * (0 if self.result else len(self.entry[event]))
        assert seen["words"] == words
        self.table(seen["rows"])
        counts = [len(entry["moved"]) for entry in self.model.history_]
        axes = np.array([[0.5, self.model.max_iter + 0.5], [0, max(counts) + 1]])
        drawn = at(list(enumerate(counts, start=1)), axes, COUNTS)
        np.testing.assert_allclose(seen["counts"], drawn, rtol=0, atol=0.051)
        now = min(self.model.n_iter_, self.entry["iteration"] if self.entry else self.model.n_iter_)
        np.testing.assert_allclose(seen["now"], [drawn[now - 1]], rtol=0, atol=0.051)

    def order(self, name):
        """Bands stand in the order of the centres."""
        return self.numbers.index(name - 1)

    def changed(self):
        """Places of the end centres that are drawn: on a line all, in the plane those of a split or a lump."""
        if self.result:
            return []
        parents = {}
        for k, place in draw.links(self.entry):
            parents.setdefault(place, []).append(k)
        acted = [p for p, ks in parents.items() if len(ks) > 1 or ks[0] in self.entry["split"]]
        return sorted(parents if self.X.shape[1] == 1 else acted)

    def near(self, marks, rows, level):
        np.testing.assert_allclose(
            [m[1:] for m in marks] or np.empty((0, 2)), self.spots(rows, level), rtol=0, atol=0.051
        )

    def marks(self, marks, rows, level, numbers):
        assert [name for name, *_ in marks] == [number + 1 for number in numbers]
        self.near(marks, rows, level)

    def table(self, rows):
        """Sizes, D_j, sigma_j and nearest centres, or a dash for what is not measured; in the order of the numbers."""
        centres = self.start if self.result else self.entry["moved"]
        sizes = np.bincount(self.labels, minlength=len(self.start))
        far = squareform(pdist(centres)) + np.diag(np.full(len(centres), np.inf))
        measured = None if self.result else self.entry["max_stds"]
        wanted = []
        for j in sorted(range(len(self.start)), key=lambda j: self.numbers[j]):
            name, k = f"cluster {self.numbers[j] + 1}", self.kept.index(j) if j in self.kept else None
            if k is None:
                wanted.append([f"{name}, discarded", sizes[j], "–", "–", "–"])
                continue
            spreads = ["–", "–"] if measured is None else [self.entry["mean_distances"][k], measured[k]]
            wanted.append([name, sizes[j], *spreads, far[k].min() if len(centres) > 1 else "–"])
        limits = self.model._thresholds(self.X, self.X.mean(axis=0))
        mean = "–" if measured is None else self.entry["mean_distance"]
        wanted.append(["limit", self.model.min_samples, mean, *limits[:2]])
        assert len(rows) == len(wanted)
        for row, want in zip(rows, wanted, strict=True):
            for cell, value in zip(row, want, strict=True):
                assert cell == value if isinstance(value, str) else float(cell) == pytest.approx(value, abs=1e-12)


def knob(tab, name):
    """The slider of a parameter; its label has a symbol before the name. A seed is a start."""
    if name == "seed":
        return control(tab, "start")
    return tab.locator(".errref-control", has_text=name).locator("input")


def turn(tab, name, value, step=None):
    """Set a slider with keys: from its left end so many steps to the right."""
    places = {"n_clusters": 1, "min_samples": 1, "max_merges": 0, "max_iter": 1}
    if value is None:
        times = 0
    elif name == "seed":
        times = 1 + value
    elif name == "split_fraction":
        times = round(10 * value) - 1
    else:
        times = value - places[name] if name in places else 1 + round(value / step)
    knob(tab, name).press("Home")
    for _ in range(times):
        tab.keyboard.press("ArrowRight")


SETTINGS = [
    {"samples": "two samples"},
    {"samples": "six samples", "max_iter": 7},
    {
        "samples": "six samples",
        "seed": 1,
        "n_clusters": 3,
        "min_distance": None,
        "max_std": None,
        "split_fraction": 1.0,
    },
    {"samples": "eight samples"},
    {"samples": "eight samples", "seed": 3, "n_clusters": 5, "min_samples": 2, "min_distance": 3.0, "max_merges": 1},
    {"samples": "error cases"},
    {"samples": "error cases", "seed": 7, "n_clusters": 6, "max_std": 0.1, "min_distance": 0.3, "max_iter": 11},
]


def test_every_iteration_and_the_result_are_those_of_python(address, chromium):
    with opened(chromium, address) as tab:
        tab.locator(FIGURES).first.wait_for()
        iteration, following = control(tab, "iteration"), tab.get_by_role("button", name="next")
        for settings in SETTINGS:
            print(settings)  # shown where one of them fails
            control(tab, "samples").select_option(settings["samples"])  # sets the others to what the chapter has
            for name in settings.keys() - {"samples"}:
                turn(tab, name, settings[name], EXAMPLES[settings["samples"]]["step"])
            shown = Iterations(**settings)
            last = shown.fitted.n_iter_
            for stage in range(1, last + 2):
                Expected(shown, stage).agrees(tab.evaluate(SEEN))
                assert iteration.get_attribute("aria-valuetext") == (str(stage) if stage <= last else "result")
                following.click()
            Expected(shown, last + 1).agrees(tab.evaluate(SEEN))  # nothing comes after the result


def test_the_settings_above_reach_every_event():
    entries = [entry for settings in SETTINGS for entry in Iterations(**settings).fitted.history_]
    assert all(any(entry[event] for entry in entries) for event in EVENTS)
    assert any(np.any(entry["sizes"][entry["discarded"]]) for entry in entries), "samples that sit out"
    assert any(Iterations(**s).fitted.n_iter_ < Iterations(**s).max_iter for s in SETTINGS), "at rest"


def test_the_parity_of_i_decides_and_each_height_is_the_result_that_it_is_said_to_be(address, chromium):
    with opened(chromium, address) as tab:
        tab.locator(FIGURES).first.wait_for()
        press(tab, "iteration", "End", 1)
        results = []
        for limit in range(6, 13):
            shown = Iterations("six samples", max_iter=limit)
            seen = tab.evaluate(SEEN)
            Expected(shown, limit + 1).agrees(seen)
            results.append(len(seen["start"]))
            each = [len(Iterations("six samples", max_iter=n).fitted.cluster_centers_) for n in range(1, limit + 1)]
            drawn = at(list(enumerate(each, start=1)), np.array([[0.5, limit + 0.5], [0, 4]]), COUNTS)
            np.testing.assert_allclose(seen["counts"], drawn, rtol=0, atol=0.051)
            knob(tab, "max_iter").press("ArrowRight")
            press(tab, "iteration", "End", 1)
        assert results == [3, 2, 3, 2, 3, 2, 3]


def test_iterations_are_reached_by_buttons_keys_and_the_pointer(address, chromium):
    with opened(chromium, address) as tab:
        tab.locator(FIGURES).first.wait_for()
        shown, iteration = Iterations("six samples"), control(tab, "iteration")

        def at_stage(stage):
            Expected(shown, stage).agrees(tab.evaluate(SEEN))
            assert iteration.get_attribute("aria-valuetext") == (str(stage) if stage < 7 else "result")

        tab.get_by_role("button", name="previous").click()
        at_stage(1)
        tab.get_by_role("button", name="next").click()
        tab.get_by_role("button", name="next").press("Enter")
        at_stage(3)
        tab.get_by_role("button", name="previous").click()
        at_stage(2)
        press(tab, "iteration", "ArrowRight", 2)
        at_stage(4)
        counts = tab.locator(FIGURES).nth(1)
        counts.scroll_into_view_if_needed()
        box = counts.bounding_box()
        unit = box["width"] / 360
        spots = {n: (box["x"] + unit * (34 + 318 * (n - 0.5) / 6), box["y"] + 100 * unit) for n in (0.6, 2.2, 4.8)}
        tab.mouse.move(*spots[4.8])
        tab.mouse.down()
        at_stage(5)
        tab.mouse.move(*spots[2.2], steps=4)
        at_stage(2)
        tab.mouse.up()
        tab.mouse.move(*spots[0.6])
        at_stage(2)


def test_play_becomes_pause_and_ends_with_the_result(address, chromium):
    with opened(chromium, address) as tab:
        tab.locator(FIGURES).first.wait_for()
        iteration, play = control(tab, "iteration"), tab.locator(".errref-steps button").nth(1)

        def wait(words):
            tab.wait_for_function(
                "(words) => document.querySelector('.errref-steps input').getAttribute('aria-valuetext') === words",
                arg=words,
            )

        play.click()
        assert play.inner_text() == "pause"
        wait("2")
        play.click()
        assert play.inner_text() == "play"
        tab.wait_for_timeout(1500)
        assert iteration.get_attribute("aria-valuetext") == "2", "who pauses stays"
        tab.locator("[role=status]:has-text('Iteration 2 of 6.')").wait_for()
        press(tab, "iteration", "ArrowRight", 4)
        play.click()
        wait("result")
        assert play.inner_text() == "play"
        play.click()
        assert iteration.get_attribute("aria-valuetext") == "1", "from the result it plays again from the start"
        knob(tab, "n_clusters").press("ArrowRight")
        assert play.inner_text() == "play", "another control stops it"


def test_what_cannot_be_clustered_is_said_in_the_words_of_python(address, chromium):
    with opened(chromium, address) as tab:
        tab.locator(FIGURES).first.wait_for()
        turn(tab, "min_samples", 7)
        with pytest.raises(ValueError, match="min_samples=7 is more than n_samples=6") as refused:
            Iterations("six samples", min_samples=7).fitted  # noqa: B018
        seen = tab.evaluate(SEEN)
        assert seen["told"] == str(refused.value)
        assert not any(seen[name] for name in ("samples", "start", "mean", "end", "counts", "rows"))
        tab.locator(f"[role=status]:text-is('{refused.value}')").wait_for()
        tab.get_by_role("button", name="next").click()
        turn(tab, "min_samples", 2)
        Expected(Iterations("six samples", min_samples=2), 1).agrees(tab.evaluate(SEEN))


def test_what_is_said_is_what_happened(address, chromium):
    with opened(chromium, address) as tab:
        tab.locator(FIGURES).first.wait_for()
        press(tab, "iteration", "ArrowRight", 1)
        words = f"Iteration 2 of 6. {SIX_EVEN}".replace("_", "")
        assert tab.evaluate(SEEN)["told"] == words
        tab.locator(f"[role=status]:text-is('{words}')").wait_for()
        labels = [picture.get_attribute("aria-label") for picture in tab.locator(FIGURES).all()]
        assert labels[0] == "6 samples in clusters: 1 with 1, 2 with 3, 3 with 2; lumped: 1."
        assert labels[1] == "Number of clusters in iterations 1 to 6: 2, 3, 2, 3, 2, 3; shown is 2."
        press(tab, "iteration", "End", 1)
        words = "6 samples in clusters: 1 with 1, 2 with 3, 3 with 2; this is the result."
        assert tab.locator(FIGURES).first.get_attribute("aria-label") == words
