"""Every figure that moves: what notebooks store of it, and that it can be used with keys, on a phone, in the dark."""

import importlib
import json
import re

import pytest

from errref.widgets import Moving, modules, script, static
from tests.browser import contrast, opened, page_of, page_with, stored
from tests.conftest import ROOT

CHAPTERS = [path.stem for path in sorted((ROOT / "book").glob("*.ipynb")) if stored(path.stem)]
FIGURES = ".errref-widget figure > svg"


def kind(state):
    """The class of a stored widget."""
    module, _, name = state["_anywidget_id"].rpartition(".")
    return getattr(importlib.import_module(module), name)


# -- what is stored ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_notebook_stores_the_sources_of_its_figures_as_they_are(chapter):
    for state in stored(chapter):
        assert issubclass(kind(state), Moving) and kind(state).__module__ == f"errref.widgets.{chapter}"
        assert state["_esm"] == script(f"widgets/{chapter}.js") == kind(state)._esm
        assert state["_css"] == static("widgets/widgets.css")
        assert state.get("_engine", script("engine/worker.js")) == script("engine/worker.js")
        assert len(json.dumps(state)) < 100_000


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_figure_names_itself_without_an_address_in_memory(chapter):
    text = (ROOT / "book" / f"{chapter}.ipynb").read_text()
    assert not re.search(r"object at 0x[0-9a-f]+", text)


def test_a_script_holds_what_its_modules_import_before_them():
    assert modules("engine/worker.js") == [
        f"engine/{name}.js" for name in ("random", "isodata", "training", "reflection", "snapshots", "worker")
    ]
    assert modules("widgets/playground.js") == ["widgets/drawing.js", "widgets/playground.js"]
    for name in ("engine/worker.js", "widgets/playground.js"):
        text = script(name)
        assert not re.search(r"^(import|export (?!default))", text, flags=re.MULTILINE)
        for module in modules(name):
            assert static(module).splitlines()[-2] in text


# -- the pages ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(whole_book):
    return whole_book / "book"


@pytest.fixture(params=CHAPTERS)
def address(request, folder):
    with page_of(folder, request.param, "file") as page:
        yield page


def test_the_still_picture_stands_where_scripts_are_off_and_only_there(address, chromium):
    with opened(chromium, address, java_script_enabled=False) as tab:
        cells = tab.locator('.cell_output:has(script[type="application/vnd.jupyter.widget-view+json"])')
        assert cells.count() == len(stored(address.rpartition("/")[2].removesuffix(".html")))
        for picture in [cell.locator("img") for cell in cells.all()]:
            assert picture.is_visible() and len(picture.get_attribute("alt")) > 50
    with opened(chromium, address) as tab:
        tab.locator(FIGURES).first.wait_for()
        pictures = tab.locator(".cell_output:has(.errref-widget) img").all()
        assert pictures
        for picture in pictures:
            picture.wait_for(state="hidden")


def test_keys_stay_in_the_figure(address, chromium):
    with opened(chromium, address) as tab:
        tab.locator(FIGURES).first.wait_for()
        tab.evaluate("window.heard = 0; document.addEventListener('keydown', () => window.heard++)")
        tab.locator(".errref-control :is(input, select):visible").first.press("ArrowRight")
        assert tab.evaluate("window.heard") == 0
        tab.evaluate("document.activeElement.blur()")
        tab.keyboard.press("ArrowRight")
        assert tab.evaluate("window.heard") == 1


def test_every_control_has_a_name_and_every_picture_words(address, chromium):
    with opened(chromium, address) as tab:
        tab.locator(FIGURES).first.wait_for()
        for field in tab.locator(".errref-widget :is(input, select, button):visible").all():
            assert re.match(r"- (slider|combobox|button|checkbox) \"[^\"]+\"", field.aria_snapshot()), (
                field.aria_snapshot()
            )
        for picture in tab.locator(FIGURES).all():
            assert len(picture.get_attribute("aria-label")) > 20
        assert tab.locator(".errref-widget [role=status]").count() == tab.locator(".errref-widget").count()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_all_in_light_and_dark(scheme, address, chromium):
    with opened(chromium, address, color_scheme=scheme) as tab:
        tab.set_viewport_size({"width": 390, "height": 844})
        tab.locator(FIGURES).first.wait_for()
        assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        for part in tab.locator(".errref-widget :is(input, select, button, .errref-value, table, figure > svg)").all():
            box = part.bounding_box()
            assert box is None or (box["x"] >= 0 and box["x"] + box["width"] <= 390.5)
        colours = "(e) => [getComputedStyle(e).fill, getComputedStyle(document.body).backgroundColor]"
        for words in tab.locator(f"{FIGURES} > g text").all():
            assert contrast(*words.evaluate(colours)) > 4.5


RENDERED = """async (state) => {
    window.listeners = new Set();
    window.changes = 0;
    const model = {
        get: (name) => state[name],
        set(name, value) {
            window.changes++;
            const given = typeof name === "string" ? { [name]: value } : name;
            Object.assign(state, given);
            for (const [event, listener] of [...listeners]) if (event.replace("change:", "") in given) listener();
        },
        on: (event, listener) => listeners.add([event, listener]),
        off(event, listener) {
            for (const pair of listeners) if (pair[0] === event && pair[1] === listener) listeners.delete(pair);
        },
        save_changes() {},
    };
    const figure = (await import(URL.createObjectURL(new Blob([state._esm], { type: "text/javascript" })))).default;
    const el = document.body.appendChild(document.createElement("main"));
    window.end = await figure.render({ model, el });
}"""


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_figure_that_is_closed_leaves_nothing_behind(chapter, chromium, tmp_path):
    for state in stored(chapter):
        with opened(chromium, page_with(tmp_path)) as tab:
            tab.evaluate(RENDERED, state)
            tab.locator(FIGURES).first.wait_for()
            assert tab.evaluate("listeners.size") > 0 and len(tab.workers) == ("_engine" in state)
            for key in ("ArrowDown", "ArrowUp"):  # one of them, where the other leads nowhere
                tab.locator(".errref-control :is(input, select):visible").first.press(key)
            assert tab.evaluate("changes") > 0
            play = tab.get_by_role("button", name="play", exact=True)
            if plays := play.count():
                before = tab.evaluate("changes")
                play.click()
                tab.wait_for_function("(before) => changes > before", arg=before)
            after = tab.evaluate("end(), [changes, listeners.size, document.querySelector('main').childNodes.length]")
            tab.wait_for_timeout(1500 if plays else 500)
            assert after[1:] == [0, 0]
            assert tab.evaluate("[changes, document.querySelector('main').childNodes.length]") == [after[0], 0]
            assert not tab.workers
