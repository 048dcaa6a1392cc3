"""The file of a run: what is written is there, and nothing else is touched."""

import contextlib
import os
import shutil
import sqlite3

import numpy as np
import pytest
import torch

from skdfal.learner import CheckpointError
from skdfal.learner._store import RunStore, data_of
from tests.processes import run_in_another_process

RUN = {"lr": "1", "X": "2"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "cats.skdfal"


def fill(path):
    store = RunStore(path, RUN, {"seed": 7}, data=2**32 - 5)
    store.add_events(0, "told", [4, 1], ["cat", 2.5])
    store.add_events(0, "skipped", [3])
    for number in range(3):
        store.add_round(
            number,
            [{"annotations": 2, "query_seconds": float("nan")}],
            {"indices": np.arange(3)},
            [(True, {"X": np.full(2, number)}), (False, {"X": np.zeros(2)})],
            {"w": torch.full((2,), number)},
            [5, 6],
            keep=2,
        )
        store.add_events(number + 1, "told", [10 + number], ["dog"])
    store.add_ranking(2, [8], {"annotations": 9})
    return store


def content(store):
    return (
        store.events(), store.history(), store.rankings(2), store.training(1),
        store.extras(), store.weights(2), store.meta,
    )  # fmt: skip


def test_what_is_written_is_there_again(path):
    store = fill(path)
    before = content(store)
    store.close()
    again = RunStore(path, RUN, {"seed": 9})
    assert str(content(again)) == str(before)
    events, history, rankings, training, extras, weights, meta = before
    assert events[:3] == [
        (0, "told", 4, "cat"), (0, "told", 1, 2.5), (0, "skipped", 3, None)
    ]  # fmt: skip
    assert history[2] == {"annotations": 9}
    assert rankings == [[5, 6], [8]]
    np.testing.assert_array_equal(training["indices"], [0, 1, 2])
    assert torch.equal(weights["w"], torch.full((2,), 2))
    assert meta == {"seed": 7}
    # Weights, and what served one training, of the last two rounds alone.
    assert again.weights(0) is None
    assert again.weights(1) is not None
    assert [len(extra) for extra in extras] == [1, 0, 1, 1, 1, 1]


def test_going_back(path):
    store = fill(path)
    store.rewind(2, {"annotations": 3})
    assert [event[0] for event in store.events()] == [0, 0, 0, 1]
    assert len(store.history()) == 2
    assert store.history()[1] == {"annotations": 3}
    assert len(store.extras()) == 4
    assert store.rankings(1) == []
    assert store.weights(1) is not None


def test_a_transaction_is_all_or_nothing(path):
    store = fill(path)
    before = str(content(store))
    with pytest.raises(TypeError):
        store.add_events(3, "told", [1, 2], ["cat", object()])
    with pytest.raises(TypeError):
        store.add_round(3, [{}, {}], {}, [], None, [object()], keep=1)
    assert str(content(store)) == before


def test_a_round_that_nobody_knew_of_is_written_again(path):
    store = fill(path)
    store.add_round(2, [{"annotations": 5}], {}, [], None, [1], keep=None)
    assert store.history()[2] == {"annotations": 5}
    assert store.rankings(2) == [[1]]
    assert len(store.extras()) == 4
    assert store.events()[-1] == (3, "told", 12, "dog")


def error_of_another_program(path):
    try:
        sqlite3.connect(path, timeout=0).execute("SELECT * FROM meta").fetchall()
    except sqlite3.OperationalError as error:
        return str(error)


def test_closing_twice_leaves_the_next_session_its_lock(path):
    first = fill(path)
    first.close()
    with contextlib.closing(RunStore(path, RUN, {})):
        first.close()
        with pytest.raises(CheckpointError, match="in use"):
            RunStore(path, RUN, {})
        assert "locked" in run_in_another_process(error_of_another_program, path)


def error_of_another_run(path):
    try:
        RunStore(path, RUN, {})
    except CheckpointError as error:
        return str(error)


def test_one_at_a_time(path):
    store = fill(path)
    link = path.with_name("same.skdfal")
    os.link(path, link)
    for name in (path, link):
        with pytest.raises(CheckpointError, match=r"in use .*close\(\)"):
            RunStore(name, RUN, {})
    assert data_of(path) == 2**32 - 5
    assert "locked" in run_in_another_process(error_of_another_program, path)
    assert "in use" in run_in_another_process(error_of_another_run, path)
    store.close()
    assert data_of(path) == 2**32 - 5
    with pytest.raises(CheckpointError, match="is closed"):
        store.events()
    RunStore(path, RUN, {})  # dropped at once, which closes it
    RunStore(path, RUN, {}).close()


@pytest.mark.skipif(os.name == "nt", reason="open files stay there on Windows")
@pytest.mark.parametrize("how", ["delete", "move", "replace"])
def test_no_label_goes_to_a_file_that_is_no_longer_there(how, path, monkeypatch):
    """A sync client or a person may take an open file away."""
    path.parent.mkdir()
    monkeypatch.chdir(path.parent)
    store = RunStore(path.name, RUN, {}, is_of_a_person=True)
    monkeypatch.chdir(path.parent.parent)  # a relative path keeps its meaning
    store.add_events(0, "told", [0], ["cat"])
    away = path.with_name("elsewhere")
    if how == "delete":
        path.unlink()
    else:
        path.rename(away)
    if how == "replace":
        shutil.copy(away, path)
    with pytest.raises(CheckpointError, match=r"deleted, moved or replaced .* labels_"):
        store.add_events(0, "told", [1], ["dog"])
    if how == "delete":
        return
    away.replace(path)
    store.add_events(0, "told", [1], ["dog"])
    assert [sample for _, _, sample, _ in store.events()] == [0, 1]


def test_another_run_is_refused_by_the_names_that_differ(path):
    fill(path).close()
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match=r"different X, lr, new\. .*it keeps one"):
        RunStore(path, {"lr": "2", "new": "3"}, {})
    assert path.read_bytes() == before


def test_files_of_others_are_left_as_they_are(path, tmp_path):
    fill(path).close()
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    database = tmp_path / "other.db"
    with sqlite3.connect(database) as other:
        other.execute("CREATE TABLE mine (x)")
    other.close()
    spoiled = bytearray(whole)
    spoiled[4096:12000] = rng.bytes(12000 - 4096)
    for bad in [
        b"text", rng.bytes(5000), database.read_bytes(), bytes(spoiled),
        whole[:50], whole[:100], whole[:5000], whole[:-5000],
    ]:  # fmt: skip
        path.write_bytes(bad)
        with pytest.raises(CheckpointError, match=r"not a readable|locked") as info:
            RunStore(path, RUN, {})
        assert "another path" in str(info.value)
        assert path.read_bytes() == bad
    assert data_of(database) is None


def test_links_folders_and_pipes_are_refused(path, tmp_path):
    fill(path).close()
    link = tmp_path / "link"
    try:
        link.symlink_to(path)
    except OSError:
        pytest.skip("no links here")
    with pytest.raises(CheckpointError, match="symbolic link"):
        RunStore(link, RUN, {})
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="symbolic link"):
        RunStore(dangling, RUN, {})
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(CheckpointError, match="is a folder"):
        RunStore(tmp_path, RUN, {})
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(CheckpointError, match="not a regular file"):
            RunStore(tmp_path / "pipe", RUN, {})


def test_an_empty_file_is_a_new_run(path):
    path.parent.mkdir()
    path.touch()
    store = RunStore(path, RUN, {"seed": 1})
    assert store.meta == {"seed": 1}
    assert data_of(path) == 0


def test_a_newer_version_is_refused(path):
    fill(path).close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = 99 WHERE name = 'version'")
    db.close()
    with pytest.raises(CheckpointError, match="newer skdfal"):
        RunStore(path, RUN, {})


def test_no_pickle_is_loaded(path):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(path.parent / "trap"),))

    store = fill(path)
    store.add_round(3, [{}], {}, [], {"w": Trap()}, None, keep=None)
    with pytest.raises(CheckpointError, match="Weights only load failed"):
        store.weights(3)
    assert not (path.parent / "trap").exists()
    of_objects = {"X": np.array([Trap()], dtype=object)}
    with pytest.raises(TypeError, match=r"Object arrays \(X\)"):
        store.add_round(4, [{}], of_objects, [], None, None, keep=None)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError):
        RunStore(tmp_path / "file" / "cats.skdfal", RUN, {})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_does_not_write(path):
    """Both would take the same next row, and one of two labels would be lost."""
    store = fill(path)
    child = os.fork()
    if not child:
        try:
            store.add_events(3, "told", [20], ["cat"])
        except CheckpointError as exc:
            os._exit(0 if "this is a fork" in str(exc) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    store.add_events(3, "told", [21], ["dog"])
    assert store.events()[-1] == (3, "told", 21, "dog")


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="cannot be written"):
        RunStore(tmp_path / "file" / "folder" / "run.skdfal", RUN, {})
