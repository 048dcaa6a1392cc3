"""The page in a browser: keys, undo, what is lost when, and how fast it is."""

from collections import Counter

import numpy as np
import pytest

from skdfal.label import Event, NotSavedError
from tests.label.projects import (
    CLASSES,
    Command,
    make_project,
    serving,
    truth,
    wait_until,
    write_pictures,
)
from tests.label.robots import CHROMIUM, PAUSE, launch, open_page
from tests.label.test_store import fill

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed"
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

KEYS = {"dark": "1", "light": "2"}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = launch(driver)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    yield page
    context.close()
    assert not page.errors


@pytest.fixture
def opened(page, project):
    """The page of a project, ready for the first key."""
    with serving(project) as address:
        open_page(page, address)
        yield page


def shown(page):
    return page.inner_text("#name")


def press(page, key):
    page.keyboard.press(key)
    page.wait_for_timeout(PAUSE)


def saved(page):
    page.wait_for_selector("#saved:text('All saved')")


def label(page, n):
    """Press the true key n times; return names and labels."""
    pressed = []
    for _ in range(n):
        name = shown(page)
        press(page, KEYS[truth(name)])
        pressed.append((name, truth(name)))
    saved(page)
    return pressed


@pytest.mark.parametrize("n", [6, pytest.param(30, marks=pytest.mark.slow)])
def test_pictures_by_keyboard_alone(opened, project, n):
    pressed = label(opened, n)
    events = project.store.events()
    assert [(e.picture, e.label) for e in events] == pressed
    assert len({name for name, _ in pressed}) == n
    assert all(0.2 < e.seconds < 30 for e in events)
    assert opened.inner_text("#n-labelled") == str(n)


def test_a_spent_budget_is_said_and_passed_on_purpose_alone(page, pictures):
    project = make_project(pictures, budget=3)
    with serving(project) as address:
        open_page(page, address)
        label(page, 2)
        press(page, "s")  # a skip costs nothing
        page.wait_for_selector("#n-labelled:text('2')")
        assert page.inner_text("#of-pictures") == "of 3 labels"
        label(page, 1)
        page.wait_for_selector("#of-pictures:text('the budget is spent')")
        assert "The budget of 3 labels is spent" in page.inner_text("#notice")
        for key in ("1", "2", "s"):
            press(page, key)
        assert len(project.answers.labels()) == 3
        press(page, "u")  # which gives one back
        saved(page)
        assert page.is_hidden("#beyond")
        label(page, 1)
        assert shown(page) == ""
        page.click("#beyond")
        page.wait_for_timeout(PAUSE)
        label(page, 2)
        assert len(project.answers.labels()) == 5
        press(page, "o")
        page.wait_for_selector("#filters small:text('5 of 3')")
    project.close()


def test_a_held_key_and_a_double_press_label_once(opened, project):
    first = shown(opened)
    for _ in range(5):  # a key that is held repeats
        opened.keyboard.down("1")
        opened.wait_for_timeout(PAUSE)
    opened.keyboard.up("1")
    second = shown(opened)
    for _ in range(2):
        opened.keyboard.press("2")
    opened.wait_for_timeout(PAUSE)
    saved(opened)
    events = [(e.picture, e.label) for e in project.store.events()]
    assert events == [(first, "dark"), (second, "light")]
    assert shown(opened) not in (first, second)


def test_each_key_does_what_its_button_says(opened, project):
    kinds = []
    for key, kind in [("s", "skip"), ("d", "dont_know"), ("x", "exclude")]:
        kinds.append((shown(opened), kind))
        press(opened, key)
    kinds.append((shown(opened), "label"))
    opened.click("#classes button[data-label=light]")
    opened.wait_for_timeout(PAUSE)
    kinds.append((shown(opened), "skip"))
    opened.click("[data-action=skip]")
    saved(opened)
    assert [(e.picture, e.kind) for e in project.store.events()] == kinds
    press(opened, "q")  # means nothing
    assert len(project.store.events()) == len(kinds)


def test_undo_three_and_relabel(opened, project):
    pressed = label(opened, 5)
    for name, _ in reversed(pressed[2:]):
        press(opened, "u")
        assert shown(opened) == name
    saved(opened)
    assert project.answers.labels() == dict(pressed[:2])
    again = {}
    for name, was in pressed[2:]:
        assert shown(opened) == name
        again[name] = "light" if was == "dark" else "dark"
        press(opened, KEYS[again[name]])
    saved(opened)
    assert project.answers.labels() == dict(pressed[:2]) | again
    assert Counter(e.kind for e in project.store.events()) == {"label": 8, "undo": 3}


def test_undo_goes_on_after_a_reload(opened, project):
    pressed = label(opened, 2)
    opened.reload()
    opened.wait_for_selector("#picture img")
    opened.wait_for_timeout(PAUSE)
    assert shown(opened) not in dict(pressed)
    press(opened, "Control+z")
    assert shown(opened) == pressed[-1][0]
    saved(opened)
    assert project.answers.labels() == dict(pressed[:1])


def test_answers_that_wait_keep_their_order_where_the_clock_is_set_back(
    opened, project
):
    opened.context.set_offline(True)
    name = shown(opened)
    press(opened, KEYS[truth(name)])
    opened.evaluate("() => { const now = Date.now(); Date.now = () => now - 3.6e6; }")
    press(opened, "Control+z")
    press(opened, "x")
    opened.context.set_offline(False)
    saved(opened)
    assert [e.kind for e in project.store.events()] == ["label", "undo", "exclude"]
    assert project.answers.of(name).kind == "exclude"


def test_the_overview_corrects(opened, project):
    pressed = label(opened, 3)
    opened.keyboard.press("o")
    number = project._numbers[pressed[0][0]]
    opened.click(f".tile[data-picture='{number}']")
    other = "light" if pressed[0][1] == "dark" else "dark"
    opened.click(f"#dialog-classes button[data-label={other}]")
    saved(opened)
    assert project.answers.labels() == dict(pressed) | {pressed[0][0]: other}
    opened.wait_for_selector(f".tile[data-picture='{number}'] span:text('{other}')")


def fill_what_is_left(store):
    """Use up the room in the last page of the file, so that few keys are needed."""
    for n in range(1000):
        try:
            store.add([Event(f"filler {n}", "none", "skip", None, "filler")])
        except NotSavedError:
            return n
    raise AssertionError("There is no end of room.")


SLOW = """() => {
  const known = window.fetch;
  window.fetch = async (path, ...rest) => {
    const answer = await known(path, ...rest);
    const isSlow = String(path).includes("label=dark");
    if (isSlow) await new Promise((done) => setTimeout(done, 300));
    return answer;
  };
}"""


def test_the_overview_shows_what_was_pressed_last(opened):
    """Whatever answer of the server comes last."""
    label(opened, 6)
    opened.evaluate(SLOW)
    opened.click("#go-overview")
    for name in CLASSES:
        opened.click(f"#filters button:has-text('{name}')")
    opened.wait_for_selector(".tile")
    opened.wait_for_timeout(600)
    assert {*opened.locator(".tile span").all_inner_texts()} == {"light"}


def test_a_full_disk_is_said_and_the_page_does_not_advance(opened, project):
    pressed = label(opened, 1)
    name = shown(opened)
    opened.fill("#annotator", "A" * 60)
    opened.keyboard.press("Enter")
    opened.wait_for_timeout(PAUSE)
    fill(project.store)
    n_fillers = fill_what_is_left(project.store)
    unsaved = []
    while opened.inner_text("#saved") != "Not saved":
        assert len(unsaved) < 60
        name = shown(opened)
        unsaved.append(name)
        opened.keyboard.press("1")
        opened.wait_for_timeout(PAUSE)
    assert shown(opened) == name
    assert "Not saved; retrying. The disk may be full" in opened.inner_text("#banner")
    for key in ("1", "2", "s", "u"):
        press(opened, key)
        assert shown(opened) == name
    n_before = len(project.store.events())
    assert project.store.events()[-1].picture != name
    project.store._db.execute("PRAGMA max_page_count = 100000")  # room again
    saved(opened)
    assert opened.is_hidden("#banner")
    opened.wait_for_function("name => document.all.name.textContent !== name", arg=name)
    opened.wait_for_timeout(PAUSE)
    assert len(project.store.events()) == n_before + 1
    label(opened, 1)
    labels = [e.picture for e in project.store.events() if e.annotator != "filler"]
    assert len(project.store.events()) == len(labels) + n_fillers
    assert len(set(labels)) == len(labels) == len(unsaved) + len(pressed) + 1


def test_the_server_dies_and_comes_back(page, tmp_path):
    """What was answered meanwhile waits in the browser, and arrives once."""
    pictures = write_pictures(tmp_path / "pictures")
    with Command(pictures, "--classes", "dark,light") as command:
        open_page(page, command.address)
        pressed = label(page, 3)
        command.kill()
        for _ in range(2):
            name = shown(page)
            press(page, KEYS[truth(name)])
            pressed.append((name, truth(name)))
        page.wait_for_selector("#saved:text('2 not saved yet')")
        assert "are kept in this browser" in page.inner_text("#banner")
        command.start()
        saved(page)
        pressed += label(page, 2)
        command.kill()
        project = make_project(pictures)
        events = [(e.picture, e.label) for e in project.store.events()]
        project.close()
    assert events == pressed


def test_a_phone(page, project):
    page.set_viewport_size({"width": 390, "height": 844})
    with serving(project) as address:
        open_page(page, address)
        label(page, 2)
        for view in ("#view-label", "#view-overview"):
            assert page.is_visible(view)
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width == 390
            page.click("#go-overview")
        page.click(".tile >> nth=0")
        box = page.locator("#dialog").bounding_box()
        assert 0 <= box["x"]
        assert box["x"] + box["width"] <= 390


def test_nothing_but_this_machine_is_asked(page, project):
    """All other hosts are blocked, and no request fails."""
    asked, failed = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("requestfailed", lambda request: failed.append(request.url))
    page.on("response", lambda r: failed.append(r.url) if r.status >= 400 else None)
    page.on("console", lambda message: failed.append(message.text))
    with serving(project) as address:
        open_page(page, address)
        label(page, 3)
        page.keyboard.press("o")
        page.click(".tile >> nth=0")
        page.wait_for_timeout(PAUSE)
    assert len(asked) > 10
    assert all(url.startswith("http://127.0.0.1:") for url in asked)
    assert not failed


def test_the_annotator_is_written_down(opened, project):
    opened.fill("#annotator", "Ada")
    opened.keyboard.press("Enter")
    opened.wait_for_timeout(PAUSE)
    label(opened, 1)
    opened.reload()
    opened.wait_for_selector("#picture img")
    opened.wait_for_timeout(PAUSE)
    label(opened, 1)
    assert [e.annotator for e in project.store.events()] == ["Ada", "Ada"]


def test_what_the_net_thinks_is_shown_to_who_asks_for_it(page, project):
    project._learning.predictions = dict.fromkeys(
        project.pool.names, ("dark", 0.874, 0.7)
    )
    with serving(project) as address:
        open_page(page, address)
        assert page.is_hidden("#guess")
        page.check("#show-guess")
        assert page.inner_text("#guess") == "Network: dark, 87\u00a0%"
        label(page, 1)
        assert page.is_visible("#guess")


WATCH = """
window.times = [];
let pressed;
addEventListener("keydown", () => (pressed = performance.now()), true);
new MutationObserver(() => requestAnimationFrame(() => {
  times.push(performance.now() - pressed);
})).observe(document.all.picture, { childList: true });
"""


def check_speed(page, tmp_path, n_labels, seconds):
    """While a net is trained, 95 % of the times from key to picture are below 0.1 s."""
    pictures = write_pictures(tmp_path / "pictures", n=n_labels + 40)
    arguments = ["--classes", "dark,light", "--net", "tests.label.nets:Slow"]
    arguments += ["--n-instances", "5", "--epochs", "1"]
    environment = {"SKDFAL_TEST_SECONDS": str(seconds)}
    with Command(pictures, *arguments, **environment) as command:
        open_page(page, command.address)
        label(page, 8)
        page.wait_for_selector("#training:text('Training')")
        page.evaluate(WATCH)
        label(page, n_labels)
        assert "Training" in page.inner_text("#training")
        page.wait_for_function(f"times.length >= {n_labels}")
        times = page.evaluate("times")
    assert len(times) == n_labels
    print(f"milliseconds: {np.quantile(times, [0.5, 0.95, 1]).round(1)}")
    assert np.quantile(times, 0.95) < 100


def test_labelling_never_waits_for_training(page, tmp_path):
    check_speed(page, tmp_path, n_labels=20, seconds=60)


@pytest.mark.slow
def test_labelling_never_waits_for_training_at_length(page, tmp_path):
    check_speed(page, tmp_path, n_labels=100, seconds=60)


def test_a_killed_trainer_is_shown(page, tmp_path):
    project = make_project(
        write_pictures(tmp_path / "pictures"),
        n_instances=5,
        net="tests.label.nets:Sleepy",
    )
    try:
        with serving(project) as address:
            open_page(page, address)
            label(page, 6)
            wait_until(lambda: project._learning._trainer.pid)
            project._learning._trainer._process.kill()
            page.wait_for_selector("#training-error:text('ended by signal 9')")
            label(page, 2)
    finally:
        project.close()


def test_a_picture_that_broke_before_it_is_shown_stops_nobody(page, tmp_path):
    """It had been loaded ahead, in vain, and the page waited for it for ever."""
    pictures = write_pictures(tmp_path / "pictures")
    project = make_project(pictures)
    try:
        ahead = project._next(8, "", ())
        for name in ahead[1:7]:
            (pictures / name).write_bytes(b"no picture")
        with serving(project) as address:
            open_page(page, address)
            page.wait_for_timeout(300)  # all that is ahead has been asked for
            asked = []
            for _ in range(4):
                page.wait_for_function(
                    "document.querySelector('#picture img')?.naturalWidth > 0"
                )
                page.wait_for_timeout(PAUSE)
                asked += [name for name, _ in label(page, 1)]
        assert not set(asked) & set(ahead[1:7])
        assert len(set(asked)) == 4
    finally:
        project.close()
