"""Hands and eyes of the tests: a browser, and the digits for it."""

import shutil

from skdfal.pool import ImagePool

CHROMIUM = shutil.which("chromium")
PAUSE = 210  # milliseconds: what a person needs to see a picture
_ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


def launch(driver):
    """Start Debian's chromium, which reaches no host but this one."""
    return driver.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)


def open_page(page, address):
    """Open the page of a project, and wait until it takes a key."""
    page.goto(address)
    page.wait_for_selector("#picture img")
    page.wait_for_timeout(PAUSE)


class DemoPool:
    """Opens the digits, here and in the process that trains."""

    def __init__(self, pictures, folder):
        self.pictures, self.folder = pictures, folder

    def __call__(self):
        return ImagePool(self.pictures, image_size=24, cache=f"{self.folder}/cache")
