"""The choices: what the page keeps of the rows, and the page itself, driven in a browser by clicks and keys."""

import json
import re

import numpy as np
import pytest
import traitlets

from errref import records
from errref.datasets import FUNCTIONS
from errref.experiments import effects
from errref.experiments.functions import PRINTED
from errref.experiments.multiverse import CHOICE_SETS, FACTORS, LOSSES, design, system
from errref.figures.multiverse import LEFT
from errref.widgets import script
from errref.widgets.multiverse import GROUPS, Choices, numbered, packed
from tests.browser import SCHEMES, control, opened, page_of, press, state_of, stored

LOW, HIGH = LEFT[-1] / 3, 3 * LEFT[0]
SHARES, SEEDS, BASES = 0.03, 0.09, 0.07  # how well the page says that it keeps them


@pytest.fixture(scope="module")
def rows():
    return records.read("multiverse")


@pytest.fixture(scope="module")
def recorded(rows):
    """Median base and reflection, and both for each seed, of every choice set in the order of the design."""
    found = {}
    for name in FUNCTIONS:
        for loss in LOSSES:
            of = effects.outcomes(rows, loss, function=name)
            place = {tuple(c[factor] for factor in FACTORS): k for k, c in enumerate(of.configs)}
            order = [place[tuple(choices.values())] for choices in design()]
            found[name, loss] = of.reductions()[order], of.base[order], of.reflection[order]
    return found


@pytest.fixture(scope="module")
def one(rows):
    return Choices(rows)


@pytest.fixture
def picks(one):
    """The figure, as it is at first."""
    one.picked, one.function, one.loss, one.factor, one.selected = {}, "quartic", "squared", "gate", 0
    return one


# -- the values --------------------------------------------------------------------------------------------------------


def test_numbers_are_written_as_the_digits_of_one():
    # 1 + 3 * 2 = 7, and 2 + 3 * 31 = 95 = 3 + 92 * 1; the digits from 0 on are a blank ! # $ % & ' (
    assert packed([[1, 2]], [3, 30]) == "("
    assert packed([[2, 31]], [3, 32]) == "$!"


def test_every_selection_has_its_own_number():
    each = [(a, b, c) for c in range(5) for b in range(c + 1) for a in range(b + 1)]
    assert sorted(map(numbered, each)) == list(range(35))
    assert numbered([4, 0, 2]) == numbered([0, 2, 4])


def test_what_matches_is_counted_by_hand(picks, recorded):
    picks.function, picks.picked = "cubic", {"gate": "tree", "noise": 0.1}
    reductions, base, _ = recorded["cubic", "squared"]
    mine = np.array([c["gate"] == "tree" and c["noise"] == 0.1 for c in design()])
    good = reductions[mine]
    counts = {"match": mine.sum(), "lower": np.sum(good > 0), "ninety": np.sum(good >= 0.895)}
    assert picks.counts == {**counts, "printed": np.sum(good >= 0.915)} and 0 < counts["lower"] < counts["match"]
    found = picks.found
    assert sorted(np.median(found.base, axis=1)) == sorted(np.median(base[mine], axis=1))
    left = 1 - found.reductions()
    assert (left[1:] < (1 + 2 * SHARES) * left[:-1]).all()
    assert all(c["gate"] == "tree" and c["noise"] == 0.1 and c["function"] == "cubic" for c in found.configs)
    picks.function = "jump-linear"
    assert set(picks.counts) == {"match", "lower", "ninety"}


def test_the_selected_system_matches(picks):
    assert picks.config == system("quartic")
    picks.selected = 5
    assert picks.config == system("quartic", **design()[5])
    picks.picked = {"gate": next(gate for gate in FACTORS["gate"] if gate != design()[5]["gate"])}
    assert picks.config == picks.found.configs[(picks.counts["match"] - 1) // 2]
    picks.picked = dict(list(design()[0].items())[:11]) | {"rounds": 2}
    assert picks.counts == {"match": 0, "lower": 0, "ninety": 0, "printed": 0} and picks.config is None


def test_values_that_cannot_be_are_refused(rows, picks):
    wrong = [
        {"function": "sine"},
        {"loss": "log"},
        {"picked": {"colour": 1}},
        {"factor": "function"},
        {"selected": 840},
    ]
    for values in wrong:
        with pytest.raises(traitlets.TraitError):
            picks.set_trait(*next(iter(values.items())))
    with pytest.raises(ValueError, match="^steps cannot be 3: known are 50000, 20000, 2000"):
        picks.picked = {"steps": 3}
    some = [row for row in rows if row.config["gate"] != "tree"]
    with pytest.raises(ValueError, match="^245 systems of linear have no rows; record them: errref run multiverse"):
        Choices(some)


def test_every_factor_has_its_control_once():
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(FACTORS)


# -- what is kept of the rows ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kept(javascript):
    """What the script of the page reads in the state that the notebook stores."""
    (state,) = stored("multiverse")
    read = """(() => {
      const study = new Study(given), read = {}, squared = {};
      for (const name of Object.keys(given.shares.text)) {
        squared[name] = study.sets.map((_, k) => study.squared(name, k));
        for (const loss of study.losses) read[`${name} ${loss}`] = { ...study.read(name, loss), values: study.values };
      }
      return { sets: study.sets, read, squared };
    })()"""
    return state["_fixed"], javascript(script("widgets/multiverse.js"), read, state["_fixed"])


def test_the_notebook_stores_the_figure_of_its_rows(one, kept):
    now = json.loads(json.dumps(state_of(one)["_fixed"]))
    differ = {name for name in {*now, *kept[0]} if now.get(name) != kept[0].get(name)}
    assert differ <= {"bases", "seeds"}, "another machine may round the range of base losses otherwise"
    assert all(f"{100 * within:.0f} %" in kept[0]["note"] for within in (SHARES, SEEDS, BASES))


def test_choices_are_those_of_the_design(kept):
    fixed, found = kept
    levels = [[level for level, _ in of] for _, of in fixed["factors"]]
    assert [[of[k] for of, k in zip(levels, record, strict=True)] for record in found["sets"]] == [
        [*c.values()] for c in design()
    ]


def test_shares_of_the_loss_are_kept_within_what_is_said_and_on_their_side_of_every_bound(kept, recorded):
    fixed, found = kept
    for (name, loss), (reductions, *_) in recorded.items():
        mine = found["read"][f"{name} {loss}"]
        steps, shares = np.array(mine["steps"]), 1 - reductions
        values = np.array(mine["values"])[steps]
        assert np.abs(values / np.clip(shares, LOW, HIGH) - 1).max() < SHARES
        assert (values[shares < LOW] == LOW).all() and (values[shares > HIGH] == HIGH).all()
        assert ((steps <= fixed["lower"]) == (reductions > 0)).all()
        assert ((steps == fixed["lower"] + 1) == (reductions == 0)).all()
        for mark, percent in [(fixed["ninety"], 90.0), *((fixed["printed"][f], float(PRINTED[f][2])) for f in PRINTED)]:
            assert ((steps <= mark["reach"]) == (reductions >= percent / 100 - 0.005)).all()
            assert ((steps <= mark["better"]) == (shares <= 1 - percent / 100)).all()
        inside = np.clip(shares, LOW, HIGH)[mine["order"]]
        assert (inside[1:] < (1 + 2 * SHARES) * inside[:-1]).all()
        assert np.array_equal(np.argsort(mine["order"]), mine["places"])


def test_seeds_and_base_losses_are_kept_within_what_is_said(kept, recorded):
    for name in FUNCTIONS:
        _, base, reflection = recorded[name, "squared"]
        ratios = np.sort(reflection / base, axis=1)
        seeds = np.round([one["keep"] for one in kept[1]["squared"][name]], 12)
        assert np.abs(seeds / np.clip(ratios, LOW, HIGH) - 1).max() < SEEDS
        assert ((seeds < 1) == (ratios < 1)).all() and ((seeds > 1) == (ratios > 1)).all()
        bases = np.array([one["base"] for one in kept[1]["squared"][name]])
        assert np.abs(bases / np.median(base, axis=1) - 1).max() < BASES


# -- the page ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(whole_book):
    return whole_book / "book"


@pytest.fixture(params=SCHEMES)
def tab(request, folder, chromium):
    with page_of(folder, "multiverse", request.param) as address, opened(chromium, address) as tab:
        tab.locator(".errref-matches path").wait_for(state="attached")
        yield tab


from_a_file = pytest.mark.parametrize("tab", ["file"], indirect=True)


def words_of(tab, selector):
    return tab.locator(f".errref-widget {selector}").inner_text()


def points(tab, layer):
    """Places and shares of the dots of a layer of the curve; a place is 0 for the least reduction."""
    area = tab.locator(".errref-pick > svg")
    width, height = (float(area.get_attribute(name)) for name in ("width", "height"))
    shape = area.locator(f".errref-{layer}")
    if shape.evaluate("(e) => e.tagName") == "circle":
        places = np.array([[float(shape.get_attribute(name)) for name in ("cx", "cy")]])
    else:
        d = (shape.locator("path") if shape.evaluate("(e) => e.tagName") == "g" else shape).get_attribute("d")
        places = np.array([at.split(",") for at in re.findall(r"M([\d.]+,[\d.]+)", d)], dtype=float).reshape(-1, 2)
    return CHOICE_SETS * (1.05 * places[:, 0] / width - 0.02), HIGH * (LOW / HIGH) ** (1 - places[:, 1] / height)


def share(text):
    """The share of the loss that is left, from the words of a reduction."""
    beyond = {">": LOW, "<": HIGH}  # the ends of the axis
    return beyond[text[0]] if text[0] in beyond else 1 - float(text.strip(" %")) / 100


def close(shares, expected, within):
    """Shares as they are drawn or written, with two digits, are the expected ones; these lie on the axis."""
    assert len(shares) == len(expected)
    return np.abs(np.array(shares) / np.clip(expected, LOW, HIGH) - 1).max(initial=0) < within + 0.05


def agrees(tab, picks):
    """What is drawn and written is what Python has for the present values."""
    counts, found, config, picked = picks.counts, picks.found, picks.config, picks.picked
    picks.picked = {}
    everything = picks.found
    at, left = everything.configs, 1 - everything.reductions()
    place = {tuple(c.values()): k for k, c in enumerate(at)}
    lower = {key: left[k] < 1 for key, k in place.items()}

    # the curve
    places, shares = points(tab, "matches")
    assert [round(x) for x in places] == [place[tuple(c.values())] for c in found.configs]
    assert close(shares, 1 - found.reductions(), SHARES)
    others, shares = points(tab, "others")
    assert sorted(map(round, [*places, *others])) == list(range(CHOICE_SETS))
    assert close(shares, left[[round(x) for x in others]], SHARES)
    ((x,), (y,)) = points(tab, "default")
    own = place[tuple(system(picks.function).values())]
    assert round(x) == own and close([y], left[[own]], SHARES)
    marks = tab.locator(".errref-printed")
    assert marks.count() == (picks.function in PRINTED)
    if marks.count():
        ((x,), (y,)), printed = points(tab, "printed"), 1 - float(PRINTED[picks.function][2]) / 100
        middle = y * (LOW / HIGH) ** (6 / float(tab.locator(".errref-pick > svg").get_attribute("height")) * -1)
        assert round(x) == np.sum(left > printed) and middle == pytest.approx(printed, rel=0.01)

    # the levels of a factor, all else as picked
    but = {name: level for name, level in picked.items() if name != picks.factor}
    free = [c for c in at if but.items() <= c.items()]
    strip = tab.locator(".errref-lanes")
    ticks = strip.locator("path:not(.errref-border)").all()
    for words, line, level in zip(strip.locator("text").all(), ticks, FACTORS[picks.factor], strict=True):
        mine = [tuple(c.values()) for c in free if c[picks.factor] == level]
        gain = sum(lower[key] for key in mine)
        said = f"{gain} of {len(mine)} lower the loss" if mine else "no system"
        assert words.text_content().startswith(f"{level}: {said}")
        width = float(tab.locator(".errref-pick > svg").get_attribute("width"))
        drawn = [float(x) for x in re.findall(r"M([\d.]+),", line.get_attribute("d"))]
        assert sorted(round(CHOICE_SETS * (1.05 * x / width - 0.02)) for x in drawn) == sorted(place[k] for k in mine)
        assert (line.get_attribute("stroke") != "currentColor") == (picked.get(picks.factor, level) == level)

    # how many match, and how many would
    text = words_of(tab, ".errref-words")
    if config:
        percent = int(np.floor(100 * counts["lower"] / counts["match"] + 0.5))
        expected = [counts["match"], CHOICE_SETS, counts["lower"], counts["match"], percent, 90, counts["ninety"]]
        if "printed" in counts:
            expected += [int(PRINTED[picks.function][2]), counts["printed"]]
        assert [int(number) for number in re.findall(r"\d+", text)] == expected
    else:
        assert text.startswith("No recorded system has all of these choices.")
    options, buttons = tab.evaluate(
        """() => [
          Object.fromEntries([...document.querySelectorAll(".errref-control:has(select)")].map((control) => {
            const select = control.querySelector("select"), words = [...select.options].map((option) => option.text);
            return [control.firstChild.textContent, [words, words[select.selectedIndex]]];
          })),
          [...document.querySelectorAll(".errref-widget button")].map((button) => button.textContent),
        ]"""
    )
    drops = []
    for name, levels in FACTORS.items():
        but = {other: level for other, level in picked.items() if other != name}
        free = [c for c in at if but.items() <= c.items()]
        words = [f"any ({len(free)})", *(f"{level} ({sum(c[name] == level for c in free)})" for level in levels)]
        mine = picked.get(name, "any")
        assert options[name][0] == words and options[name][1].startswith(f"{mine} (")
        drops += [f"drop {name}: {mine} ({len(free)})"] if name in picked else []
    assert sorted(words for words in buttons if words.startswith("drop")) == sorted(drops)
    picks.picked = picked
    shows(tab, picks, place, left)


def shows(tab, picks, place, left):
    """The selected system is shown with its numbers."""
    config, ring, loss = picks.config, tab.locator(".errref-selected"), picks.loss
    for part in (ring, tab.locator(".errref-widget table"), control(tab, "system")):
        assert part.is_visible() == (config is not None)
    assert tab.locator(".errref-seeds path").count() == (config is not None and loss == "squared")
    if config is None:
        return
    own, matching = place[tuple(config.values())], picks.found.configs
    ((x,), (y,)) = points(tab, "selected")
    assert round(x) == own and close([y], left[[own]], SHARES)
    said = f"{matching.index(config) + 1} of {len(matching)}"
    assert control(tab, "system").get_attribute("aria-valuetext") == said
    items = tab.locator(".errref-choices li").all_inner_texts()
    assert items == [f"{name}: {config[name]}" for name in FACTORS]
    for line, reading in zip(tab.locator(".errref-widget tbody tr").all(), LOSSES, strict=True):
        picks.loss = reading
        picked, picks.picked = picks.picked, {}
        all_of_them = picks.found
        picks.picked = picked
        shares = 1 - all_of_them.reductions()
        mine = shares[all_of_them.configs.index(config)]
        first, *rest = line.locator("td").all_inner_texts()
        worse, alike, better = map(int, rest)
        assert close([share(first)], [mine], SHARES) and worse + alike + better == CHOICE_SETS
        assert worse <= np.sum(shares > mine) <= worse + alike and better <= np.sum(shares < mine) <= better + alike
        assert alike >= np.sum(shares == mine)
    picks.loss = "squared"
    found = picks.found
    k = found.configs.index(config)
    text, base, reflection = words_of(tab, ".errref-sums"), found.base[k], found.reflection[k]
    values = re.match(r".*medians (\S+) of the general network, (.+) with error.*, from the least, (.*)\.$", text)
    assert float(values[1]) == pytest.approx(np.median(base), rel=BASES + 0.05)
    ratio = np.median(reflection) / np.median(base)
    if LOW < ratio < HIGH:
        assert float(values[2]) == pytest.approx(np.median(reflection), rel=BASES + SHARES + 0.05)
    else:
        assert values[2] == ("more than 30 times that" if ratio > HIGH else "less than 1/3000 of that")
    ratios = np.sort(reflection / base)[::-1]
    assert close([share(one) for one in values[3].split(", ")], ratios, SEEDS)
    picks.loss = loss
    if loss == "squared":
        _, seeds = points(tab, "seeds")
        assert close(seeds[1:], np.sort(ratios), SEEDS)


def test_the_figure_is_that_of_python_on_arrival_and_asks_nobody(tab, picks):
    agrees(tab, picks)
    assert words_of(tab, ".errref-note") == stored("multiverse")[0]["_fixed"]["note"]


def test_every_choice_changes_what_matches(tab, picks):
    control(tab, "function").select_option("linear")
    picks.function = "linear"
    for name, key, level in [("rounds", "ArrowDown", 1), ("hidden", "End", 20), ("steps", "End", 2000)]:
        press(tab, name, key, 1)
        picks.factor, picks.picked = name, {**picks.picked, name: level}
    agrees(tab, picks)
    for loss in ("absolute", "largest", "training", "squared"):
        control(tab, "loss").select_option(loss)
        picks.loss = loss
        agrees(tab, picks)
    tab.get_by_role("button", name="any for all").click()
    picks.picked = {}
    for name, levels in FACTORS.items():
        tab.get_by_role("button", name="any for all").click()
        control(tab, name).select_option(index=len(levels))
        picks.factor, picks.picked = name, {name: [*levels][-1]}
        agrees(tab, picks)
    control(tab, "levels of").select_option("init")
    picks.factor = "init"
    agrees(tab, picks)
    tab.get_by_role("button", name="the default").click()
    picks.picked = {name: next(iter(levels)) for name, levels in FACTORS.items()}
    agrees(tab, picks)
    assert picks.config == system("linear")


def test_systems_are_selected_with_keys_buttons_and_clicks(tab, picks):
    for name, level in {"batch": 8, "gate": "tree"}.items():
        control(tab, name).select_option(index=1 + [*FACTORS[name]].index(level))
        picks.factor, picks.picked = name, {**picks.picked, name: level}
    agrees(tab, picks)  # the middle one, since the default does not match
    numbers = {tuple(choices.values()): k for k, choices in enumerate(design())}
    systems = [numbers[tuple(c[name] for name in FACTORS)] for c in picks.found.configs]
    middle = (len(systems) - 1) // 2

    def selected(place):
        picks.selected = systems[place]
        agrees(tab, picks)

    tab.get_by_role("button", name="better").click()
    selected(middle + 1)
    press(tab, "system", "ArrowLeft", 3)
    selected(middle - 2)
    press(tab, "system", "End", 1)
    tab.get_by_role("button", name="better").click()
    selected(-1)
    press(tab, "system", "Home", 1)
    tab.get_by_role("button", name="worse").click()
    selected(0)
    places, shares = points(tab, "matches")
    picture, area = tab.locator(".errref-pick"), tab.locator(".errref-pick > svg")
    width, height = (float(area.get_attribute(name)) for name in ("width", "height"))
    box = picture.bounding_box()
    for k in (3, len(places) // 3, len(places) - 2):
        x = 46 + width * (places[k] / CHOICE_SETS + 0.02) / 1.05
        y = 8 + height * (1 - np.log(shares[k] / HIGH) / np.log(LOW / HIGH))
        picture.click(position={"x": x * box["width"] / 360, "y": y * box["width"] / 360})
        selected(k)
    tab.get_by_role("button", name="any for all").click()
    picks.picked = {}
    for name, key, end, far in (("linear", "Home", 0, HIGH), ("jump-linear", "End", -1, LOW)):
        control(tab, "function").select_option(name)
        press(tab, "system", key, 1)
        picks.function = name
        places = [numbers[tuple(c[factor] for factor in FACTORS)] for c in picks.found.configs]
        picks.selected = places[end]
        agrees(tab, picks)
        _, (y,) = points(tab, "selected")
        assert y == pytest.approx(far, rel=0.01), "what lies beyond the axis stands at its edge"


@from_a_file
def test_where_nothing_matches_the_figure_says_what_to_drop(tab, picks):
    tab.get_by_role("button", name="the default").click()
    press(tab, "rounds", "ArrowDown", 1)
    picks.factor, picks.picked = "rounds", {**design()[0], "rounds": 2}
    agrees(tab, picks)
    assert picks.config is None
    tab.locator('[role=status]:text-matches("^No recorded system")').wait_for(state="attached")
    tab.get_by_role("button", name="drop rounds: 2 (1)", exact=True).press("Enter")
    picks.picked = {name: level for name, level in picks.picked.items() if name != "rounds"}
    agrees(tab, picks)
    assert control(tab, "rounds").evaluate("(e) => e === document.activeElement")


@from_a_file
def test_what_is_said_and_described_is_what_is_shown(tab, picks):
    press(tab, "batch", "ArrowDown", 2)  # 32, then 8 samples
    control(tab, "batch").select_option(label="8 (169)")
    tab.locator('[role=status]:text-matches("^169 of 840")').wait_for(state="attached")
    said = tab.locator(".errref-widget [role=status]").text_content()
    assert said.startswith(words_of(tab, ".errref-words")) and re.search(r"Selected: \S+ %\.$", said)
    curve, lanes = (picture.get_attribute("aria-label") for picture in tab.locator("figure > svg").all())
    assert "on quartic" in curve and "169 match: 139 of 169 lower the loss (82 %)" in curve
    assert lanes.startswith("Levels of batch") and lanes.count("lower the loss") == len(FACTORS["batch"])


@from_a_file
def test_a_change_is_drawn_at_once(tab, capsys):
    taken = tab.evaluate(
        """() => Array.from({ length: 10 }, (_, k) => {
          const select = document.querySelectorAll(".errref-control select")[2 + k], start = performance.now();
          select.selectedIndex = 1;
          select.dispatchEvent(new Event("input"));
          return performance.now() - start;
        })"""
    )
    with capsys.disabled():
        print(f"\nChromium: a change of the choices is drawn in {np.median(taken):.0f} ms")
    assert np.median(taken) < 200
