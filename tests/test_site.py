"""The built pages in a browser, on a desk and on a phone.

They are looked for in docs/_build/html, or in the folder that SKDFAL_SITE names.
"""

import os
import shutil
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest

SITE = Path(
    os.environ.get("SKDFAL_SITE") or Path(__file__).parents[1] / "docs/_build/html"
)
PAGES = sorted(
    path.relative_to(SITE).as_posix()
    for path in SITE.rglob("*.html")
    if "_static" not in path.parts
)
CHROMIUM = shutil.which("chromium")
WIDTHS = 1280, 390  # pixels: a desk and a phone

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not PAGES,
        reason="no page to look at: python -m sphinx -b html docs docs/_build/html",
    ),
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]

# What is wrong with the page, with all that can be opened open, as a list of sentences.
LOOK = """
() => {
  for (const e of document.querySelectorAll("article details")) e.open = true;
  const tabs = document.querySelectorAll(".sd-tab-content");
  for (const e of tabs) e.style.display = "block";
  const found = [], width = document.documentElement.clientWidth;
  const name = (e) => `<${e.tagName.toLowerCase()} class="${e.className}"> ` +
    `"${e.textContent.trim().replace(/\\s+/g, " ").slice(0, 60)}"`;
  if (document.documentElement.scrollWidth > width)
    found.push(`the page is ${document.documentElement.scrollWidth} pixels wide`);

  const article = document.querySelector("article") ?? document.body;
  const scrolls = (e) => !e.contains(article) &&
    ["auto", "scroll"].includes(getComputedStyle(e).overflowX);
  const isShown = (e) => e.checkVisibility({visibilityProperty: true});
  const isHelper = (e) => e.closest(
    ".visually-hidden, .skip-link, dialog:not([open]), mjx-assistive-mml, .copybtn");
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  while (texts.nextNode()) {
    const text = texts.currentNode, parent = text.parentElement;
    if (!text.data.trim() || !isShown(parent) || isHelper(parent)) continue;
    if (["SCRIPT", "STYLE", "NOSCRIPT"].includes(parent.tagName)) continue;
    range.selectNodeContents(text);
    const box = range.getBoundingClientRect();
    if (!box.width) continue;
    for (let e = parent; e; e = e.parentElement) {
      if (scrolls(e)) break;  // what is beyond can be scrolled to
      const style = getComputedStyle(e), edge = e.getBoundingClientRect();
      const clips = style.overflowX === "hidden" || style.overflowX === "clip";
      const isCell = ["TD", "TH"].includes(e.tagName);
      if ((clips || isCell) && edge.width &&
          (box.right > edge.right + 1.5 || box.left < edge.left - 1.5)) {
        found.push(`${name(parent)} is cut at the edge of ${name(e).split(">")[0]}>`);
        break;
      }
      if (e === document.body && (box.right > width + 1.5 || box.left < -1.5))
        found.push(`${name(parent)} leaves the page`);
    }
  }
  for (const image of document.images) {
    if (!image.alt.trim()) found.push(`no alt text: ${image.src}`);
    if (image.complete && !image.naturalWidth) found.push(`not there: ${image.src}`);
  }
  return [...new Set(found)];
}
"""
IS_SET = "() => window.MathJax?.startup?.promise?.then(() => true) ?? true"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address():
    """The site on a server of its own."""
    handler = partial(_Quiet, directory=str(SITE))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def page(address):
    """One page of a browser that reaches no other host, and notes what goes wrong."""
    sync_api = pytest.importorskip("playwright.sync_api")
    from tests.label.robots import launch

    with sync_api.sync_playwright() as driver:
        browser = launch(driver)
        page = browser.new_page()
        page.troubles = []
        page.on("console", lambda m: m.type == "error" and page.troubles.append(m.text))
        page.on("pageerror", lambda error: page.troubles.append(str(error)))
        page.on("request", lambda request: _note_host(page, request.url))
        yield page
        browser.close()


def _note_host(page, url):
    parts = urlsplit(url)
    if parts.scheme.startswith("http") and parts.hostname != "127.0.0.1":
        page.troubles.append(f"asks {parts.hostname}: {url}")


@pytest.mark.parametrize("path", PAGES)
def test_page_is_whole_on_a_desk_and_on_a_phone(path, page, address):
    page.troubles.clear()
    page.set_viewport_size({"width": WIDTHS[0], "height": 900})
    page.goto(f"{address}/{path}", wait_until="load")
    page.evaluate(IS_SET)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        found = page.evaluate(LOOK)
        assert not found, f"{width} pixels: " + "\n".join(found)
    assert not page.troubles


def test_search_finds_a_page_without_a_network(page, address):
    page.troubles.clear()
    page.goto(f"{address}/search.html?q=deepfool")
    page.wait_for_selector("#search-results ul.search li a", timeout=20_000)
    targets = page.locator("#search-results ul.search li a").all()
    assert any("dfal" in link.get_attribute("href") for link in targets)
    assert not page.troubles
