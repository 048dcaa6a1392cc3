"""The file of events: there or not there, and one process at a time."""

import pytest

from skdfal.label import Event, NotSavedError, Store, StoreError
from tests.processes import CONTEXT, run_in_another_process


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "labels.sqlite")
    yield store
    store.close()


def reopened(store):
    store.close()
    return Store(store.path)


def test_events_come_back_in_order_and_once(store):
    events = [
        Event("2", "ü # %.png", "label", "cat", "Ada", 1.5, 0.25),
        Event("1", "a.png", "undo", None, "Ada", 2.5, None, "2"),
    ]
    store.add(events)
    store.add(events)
    again = reopened(store)
    assert again.events() == events
    again.close()


def test_what_sqlite_would_not_keep_is_not_passed_over(store):
    with pytest.raises(NotSavedError, match="time"):
        store.add([Event("1", "a.png", "label", "cat", time=float("nan"))])
    assert store.events() == []


def test_numbers_of_pictures_are_for_ever(store):
    first = store.numbers(["b.png", "a.png"])
    again = reopened(store)
    later = again.numbers(["c.png", "a.png"])
    assert later["a.png"] == first["a.png"]
    assert later["c.png"] not in first.values()
    again.close()


def test_settings_and_rounds_come_back(store):
    store.set("classes", ["cat", "dog"])
    store.set("classes", ["cat"])
    store.add_round({"n_labels": 3})
    again = reopened(store)
    assert again.setting("classes") == ["cat"]
    assert again.setting("nothing", 5) == 5
    assert again.rounds() == [{"n_labels": 3}]
    again.close()


def error_of_another(path):
    try:
        Store(path)
    except StoreError as error:
        return str(error)


def test_a_second_process_is_refused(store):
    error = run_in_another_process(error_of_another, store.path)
    assert "is in use: another skdfal label is running in this folder" in error
    with pytest.raises(StoreError, match="is in use"):
        Store(store.path)
    store.add([Event("1", "a.png", "skip")])


def test_what_is_no_store_is_left_alone(tmp_path):
    path = tmp_path / "labels.sqlite"
    path.write_bytes(b"my diary " * 100)
    with pytest.raises(StoreError, match="not a readable file of labels"):
        Store(path)
    assert path.read_bytes() == b"my diary " * 100


def test_another_programs_database_is_left_alone(tmp_path):
    import sqlite3

    path = tmp_path / "labels.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE diary (day)")
    db.close()
    with pytest.raises(StoreError, match="is not a skdfal file of labels"):
        Store(path)


def test_a_full_disk_saves_nothing_and_says_so(store):
    store.add([Event("1", "a.png", "skip")])
    fill(store)
    with pytest.raises(NotSavedError, match="cannot be written"):
        store.add([Event(f"{i}", "a.png", "label", "x" * 900) for i in range(2, 99)])
    again = reopened(store)
    assert [e.id for e in again.events()] == ["1"]
    again.add([Event("2", "a.png", "skip")])
    again.close()


def fill(store):
    """Let SQLite say soon that the disk is full, as it does when it is."""
    ((n_pages,),) = store._read("PRAGMA page_count")
    store._read(f"PRAGMA max_page_count = {n_pages}")


def add_events(path, confirmed):
    store = Store(path)
    for i in range(10_000):
        store.add([Event(str(i), "a.png", "skip")])
        confirmed.send(i)  # as the server says yes


@pytest.mark.parametrize("n_events", [7, pytest.param(40, marks=pytest.mark.slow)])
def test_what_was_confirmed_survives_a_kill(tmp_path, n_events):
    path = tmp_path / "labels.sqlite"
    ours, theirs = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=add_events, args=(path, theirs))
    process.start()
    theirs.close()
    for _ in range(n_events):
        confirmed = ours.recv() + 1
    process.kill()
    while True:
        try:
            confirmed = ours.recv() + 1
        except EOFError:
            break
    process.join()
    store = Store(path)
    ids = [int(e.id) for e in store.events()]
    store.close()
    assert ids == list(range(len(ids)))
    assert confirmed <= len(ids) <= confirmed + 1
