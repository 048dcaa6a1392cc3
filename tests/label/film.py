"""Make the film of the page for the README: a robot that clicks the truth on digits.

python -m tests.label.film docs/images/label.gif
"""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from skdfal.label import Project, Recipe, Store, load_demo
from skdfal.label._demo import TRUTH
from skdfal.label._formats import read_labels
from tests.label.projects import serving
from tests.label.robots import PAUSE, DemoPool, launch, open_page

_VIEWPORT = {"width": 1160, "height": 790}
_WIDTH = 820
_N_LABELS = 130
_N_SLOW = 6  # labels that are shown one by one; then every seventh
_N_COLORS = 192


class Film:
    """Screenshots, and how long each is seen."""

    def __init__(self, page):
        self._page, self._frames, self._seconds = page, [], []

    def shoot(self, seconds):
        picture = Image.open(io.BytesIO(self._page.screenshot())).convert("RGB")
        height = round(_WIDTH * picture.height / picture.width)
        small = picture.resize((_WIDTH, height), Image.Resampling.LANCZOS)
        self._frames.append(small)
        self._seconds.append(seconds)

    def _palette(self):
        """Colours for all frames, chosen from the first and the last ones."""
        shown = [self._frames[0], *self._frames[-3:]]
        height = shown[0].height
        sheet = Image.new("RGB", (_WIDTH, height * len(shown)))
        for i, frame in enumerate(shown):
            sheet.paste(frame, (0, i * height))
        return sheet.quantize(_N_COLORS, method=Image.Quantize.MAXCOVERAGE)

    def save(self, path):
        palette = self._palette()
        first, *others = (
            frame.quantize(palette=palette, dither=Image.Dither.NONE)
            for frame in self._frames
        )
        milliseconds = [round(1000 * seconds) for seconds in self._seconds]
        settings = {"duration": milliseconds, "loop": 0, "optimize": True}
        first.save(path, save_all=True, append_images=others, **settings)


def shoot_labeling(page, film, labels, project):
    """Label, faster and faster; let each training end, as it does for a person."""
    for i in range(_N_LABELS):
        if i < _N_SLOW or i % 7 == 0:
            film.shoot(0.9 if i < _N_SLOW else 0.28)
        page.keyboard.press(labels[page.inner_text("#name")])
        page.wait_for_timeout(PAUSE)
        if i < _N_SLOW:
            continue
        while project.status()["training"]["is_busy"]:
            page.wait_for_timeout(PAUSE)
    page.wait_for_timeout(5 * PAUSE)
    film.shoot(2.5)


def shoot_overview(page, film):
    """Look at what the net doubts, and at one of it in full."""
    page.keyboard.press("o")
    page.wait_for_selector(".tile img")
    page.wait_for_timeout(3 * PAUSE)
    film.shoot(2)
    page.click(".tile >> nth=0")
    page.wait_for_timeout(2 * PAUSE)
    film.shoot(2)


def main(path):
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        pictures = load_demo(Path(folder, "digits"))
        labels = {e.picture: e.label for e in read_labels(pictures / TRUTH)}
        recipe = Recipe(
            DemoPool(str(pictures), folder), folder, classes=tuple("0123456789")
        )
        store = Store(Path(folder, "labels.sqlite"))
        project = Project(recipe.open_pool(), store, recipe)
        browser = launch(driver)
        try:
            with serving(project) as address:
                page = browser.new_page(viewport=_VIEWPORT)
                open_page(page, address)
                page.fill("#annotator", "Ada")
                page.keyboard.press("Enter")
                film = Film(page)
                shoot_labeling(page, film, labels, project)
                shoot_overview(page, film)
                film.save(path)
                page.close()
        finally:
            browser.close()
            project.close()


if __name__ == "__main__":
    main(sys.argv[1])
