"""The book's pages in a real browser: opened over http and from a file, driven by clicks and keys."""

import contextlib
import functools
import http.server
import json
import re
import threading

import nbformat
import numpy as np
import pytest

from tests.conftest import ROOT

# Every figure is driven from a file in `make test`, and over http in `make test-long`; tests/test_pages.py opens it so.
SCHEMES = [pytest.param("http", marks=pytest.mark.long), "file"]
PATIENCE = 120_000  # milliseconds that a busy machine may take for what takes a laptop a tenth of a second


def stored(name):
    """States of the widgets that a chapter stores, without their layouts."""
    metadata = nbformat.read(ROOT / "book" / f"{name}.ipynb", as_version=4).metadata
    kept = metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {"state": {}})
    models = kept["state"].values()
    return [model["state"] for model in models if model["model_module"] == "anywidget"]


def state_of(widget):
    """What a page stores of a widget."""
    return {name: value for name, value in widget.get_state().items() if name != "layout"}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def served(folder):
    """The address of a folder, over http from this machine."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def page_with(folder, *states, views=None):
    """The address of a page, in a folder, of figures of these states, one each or, in this order, those numbered."""
    kind, views = "application/vnd.jupyter.widget-", range(len(states)) if views is None else views
    models = {f"m{k}": {"model_module": "anywidget", "state": state} for k, state in enumerate(states)}
    text = json.dumps({"state": models}, sort_keys=True).replace("</", "<\\/")  # sorted, as in a notebook
    parts = [f'<script type="{kind}view+json">{{"model_id": "m{k}"}}</script>' for k in views]
    parts.append(f'<script type="{kind}state+json">{text}</script>')
    parts.append(f"<script>{(ROOT / 'book' / '_static' / 'widgets.js').read_text()}</script>")
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>x</title><body>{"".join(parts)}'
    (folder / "page.html").write_text(page)
    return (folder / "page.html").as_uri()


@contextlib.contextmanager
def page_of(folder, chapter, scheme):
    """The address of a chapter in a folder of built pages, by the scheme "http" or "file"."""
    if scheme == "file":
        yield f"{folder.as_uri()}/{chapter}.html"
    else:
        with served(folder.parent) as site:
            yield f"{site}/{folder.name}/{chapter}.html"


def reports(message):
    """Whether words on the console of a page report an error of ours, not a missing icon or an unset theme."""
    known = message.location["url"].endswith("/favicon.ico") or message.text.startswith("Got invalid theme mode: .")
    return message.type == "error" and not known


@contextlib.contextmanager
def opened(browser, address, on_response=None, silent=True, **context):
    """A page that asks no other host for anything, and whose scripts raise no error and, if silent, report none."""
    tab = browser.new_context(viewport={"width": 1200, "height": 1000}, **context).new_page()
    requests, errors = [], []
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    if silent:
        tab.on("console", lambda said: errors.append(f"{said.text}: {said.location['url']}") if reports(said) else None)
    if on_response is not None:
        tab.on("response", on_response)
    tab.set_default_timeout(PATIENCE)
    tab.goto(address)
    try:
        yield tab
    finally:
        tab.context.close()
    here = re.split("/(?:book|_modules)", address.rpartition("/")[0])[0]
    outside = [url for url in requests if not url.startswith((here, "blob:", "data:"))]
    assert not errors and not outside, [*errors, *outside]


def control(tab, label):
    return tab.locator(f'.errref-control:has(> span:text-is("{label}"))').locator("input, select")


def press(tab, label, key, times):
    """Press a key so often on the control of that label, as one who has tabbed to it."""
    control(tab, label).focus()
    for _ in range(times):
        tab.keyboard.press(key)


def listen(tab):
    """Begin to collect in `window.said` what the first figure of a page says aloud."""
    tab.evaluate(
        """window.said = [];
        const status = document.querySelector('[role=status]');
        new MutationObserver(() => said.push(status.textContent)).observe(status, {childList: true})"""
    )


def contrast(a, b):
    """Ratio of contrast of two CSS colours, by WCAG 2."""

    def luminance(colour):
        parts = np.array([float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]) / 255
        return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]

    low, high = sorted([luminance(a), luminance(b)])
    return (high + 0.05) / (low + 0.05)
