"""The process that trains: what it gives back, and what its death does."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from skdfal.label import _project, _trainer
from skdfal.label._net_file import load_net
from skdfal.label._status import accuracy_in_words
from skdfal.label._trainer import NET, PREDICTIONS, ROUND, Job
from tests.label.projects import (
    CLASSES,
    make_project,
    truth,
    wait_until,
    write_pictures,
)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")


def tell(project, n, kind="label", annotator="Ada"):
    """Answer the next pictures with the truth; return them."""
    entries = project.queue(annotator, n)
    tell.count = getattr(tell, "count", 0) + n
    project.add(
        [
            {
                "id": f"{tell.count}-{i}",
                "picture": entry["picture"],
                "kind": kind,
                "label": truth(entry["name"]) if kind == "label" else None,
                "annotator": annotator,
                "time": float(tell.count),
            }
            for i, entry in enumerate(entries)
        ]
    )
    return entries


def training(project):
    return project.status()["training"]


def trained(project, n_rounds):
    wait_until(lambda: training(project)["rounds"] >= n_rounds)
    wait_until(lambda: not training(project)["is_busy"])
    assert training(project)["error"] is None


def test_each_training_is_told_in_a_line(pictures):
    said = []
    project = make_project(pictures, n_instances=11, say=said.append)
    try:
        tell(project, 12)
        wait_until(lambda: said)
    finally:
        project.close()
    (line,) = said
    assert line == (
        f"Trained on {project.status()['training']['n_labels']} labels; wrote "
        f"net.skdfal, predictions.csv and labels.csv in {pictures / 'skdfal'}."
        f"{accuracy_in_words(project.status()['quality'])}"
    )
    assert "Held-out accuracy: " in line


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A project that has been trained once, on 12 labels."""
    folder = write_pictures(tmp_path_factory.mktemp("learned") / "pictures")
    project = make_project(folder, n_instances=11, max_epochs=8)
    tell(project, 12)
    trained(project, 1)
    yield project
    project.close()


def test_it_starts_by_itself_and_leaves_its_files(learned):
    folder = learned.store.path.rsplit("/", 1)[0]
    found = json.loads(open(f"{folder}/{ROUND}").read())
    assert set(found["predictions"]) == set(learned.pool.names)
    saved = load_net(f"{folder}/{NET}")
    proba = saved.estimator.predict_proba(learned.pool.take(np.arange(40)))
    said = [learned.recipe.classes[code] for code in proba.argmax(1)]
    assert said == [found["predictions"][name][0] for name in learned.pool.names]
    assert open(f"{folder}/{PREDICTIONS}").read().count("\n") == 41
    labels = open(f"{folder}/labels.csv", encoding="utf-8-sig").read()
    assert labels.count("\n") > 2  # the head, and labels of two classes


def test_the_process_finds_a_strategy_of_ones_own(pictures):
    own = {"strategy": "tests.label.nets:last"}
    project = make_project(pictures, n_instances=11, **own)
    try:
        tell(project, 12)
        trained(project, 1)
        ranking = project._learning.ranking
    finally:
        project.close()
    assert len(ranking) > 20
    assert ranking == sorted(ranking, key=project.pool.names.index, reverse=True)


def test_neither_what_is_labelled_nor_held_out_is_ranked(learned):
    labels, order = learned.answers.labels(), learned._order
    assert learned._learning.ranking
    assert not set(learned._learning.ranking) & set(labels)
    assert not any(map(order.is_held_out, learned._learning.ranking))
    assert not any(map(order.is_held_out, learned._learning._trained_on))


def test_the_ranking_is_what_is_asked(learned):
    asked = [p["name"] for p in learned.queue("Ada", 5)]
    wanted = [name for name in asked if not learned._order.is_held_out(name)]
    assert wanted == learned._learning.ranking[: len(wanted)]


def test_the_estimate_is_of_what_is_held_out_alone(learned):
    labels = learned.answers.labels()
    held_out = [name for name in labels if learned._order.is_held_out(name)]
    assert learned.status()["quality"]["n"] == len(held_out)


def test_after_a_session_that_could_not_be_opened_comes_one_of_all(
    tmp_path, monkeypatch
):
    """It was the one before, in which each index was another picture's."""
    project = make_project(write_pictures(tmp_path / "pictures"))
    project.close()
    names, learner = sorted(project.pool.names), _trainer._Learner(project.recipe)
    learner._open(names)

    def full_disk(*args, **kwargs):
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(_trainer, "LabelingSession", full_disk)
        with pytest.raises(OSError, match="space"):
            learner._open(names[1:])
    learner._open(names[1:])
    assert learner._names == names[1:]
    assert len(learner._session.ask(40)) == 39
    learner._session.close()
    learner._pool.close()


def test_a_round_remembers_what_its_score_may_need_and_no_more(project, monkeypatch):
    """All that is held out, after each training, came to gigabytes."""
    monkeypatch.setattr(_project, "_N_TRIED", 1)
    held_out = project._order.held_out
    assert len(held_out) > 2
    labelled = held_out[-1]
    row = {"id": "1", "picture": project._numbers[labelled], "kind": "label"}
    project.add([row | {"label": truth(labelled)}])
    assert sorted(project._to_try()) == sorted([labelled, held_out[0]])

    guess = {name: [truth(name), 0.9, 0.8] for name in project.pool.names}
    found = {"ranking": [], "predictions": guess}
    (Path(project.recipe.folder) / ROUND).write_text(json.dumps(found))
    monkeypatch.setattr(project.store, "rounds", None)  # those before are known
    about = {"n_labels": 2, "seconds": 1, "kappa": None, "margin": None}
    for _ in range(2):
        project._learning.since = 0.0
        project._training_ended(about | {"is_settled": False})
    assert [set(row["held_out"]) for row in project._learning.rounds] == 2 * [
        {labelled, held_out[0]}
    ]
    assert project.status()["quality"]["right"] == 1


def test_a_recipe_that_does_not_travel_is_told_of(pictures):
    # The thread ended, and the page said for ever that it was trained.
    project = make_project(pictures, n_instances=11)
    recipe = project.recipe._replace(open_pool=lambda: None)
    project._learning._trainer._recipe = recipe
    try:
        tell(project, 12)
        wait_until(lambda: training(project)["error"])
        assert not training(project)["is_busy"]
        assert "pickle" in training(project)["error"]
    finally:
        project.close()


@pytest.mark.parametrize("content", ["[1]", "{}", "no JSON", '{"ranking": 1}'])
def test_a_damaged_round_is_none(pictures, content):
    (pictures / "skdfal").mkdir()
    (pictures / "skdfal" / ROUND).write_text(content)
    project = make_project(pictures)
    assert project._learning.ranking == []
    project.close()


def test_looks_at_many_files_leave_the_disk_time_to_rest(project, monkeypatch):
    now, pauses = [0.0], []

    class Closed:
        def wait(self, seconds):
            pauses.append(seconds)
            return len(pauses) > 2

    def slow_look():
        now[0] += 60
        return ()

    with monkeypatch.context() as patch:
        patch.setattr(project, "_closed", Closed())
        patch.setattr(project.pool, "refresh", slow_look)
        patch.setattr(_project.time, "monotonic", lambda: now[0])
        project._look_for_pictures()
    assert pauses == [5, 600, 600]


def test_a_clock_that_is_set_back_does_not_shorten_a_training(project, monkeypatch):
    monkeypatch.setattr(project._learning._trainer, "start", lambda job: None)
    names = sorted(project.pool.names)
    assert project._learning.begin(
        Job(dict(zip(names[:2], CLASSES, strict=True)), names, set())
    )
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert 0 <= training(project)["seconds"] < 60


def test_a_killed_trainer_is_told_of_and_replaced(tmp_path):
    project = make_project(
        write_pictures(tmp_path / "pictures"),
        n_instances=6,
        net="tests.label.nets:Sleepy",
    )
    try:
        tell(project, 7)
        wait_until(lambda: training(project)["is_busy"])
        wait_until(lambda: project._learning._trainer.pid)
        os.kill(project._learning._trainer.pid, signal.SIGKILL)
        wait_until(lambda: training(project)["error"])
        assert "ended by signal 9" in training(project)["error"]
        # Labelling goes on; and the next training, which is as soon, starts anew.
        tell(project, 3)
        assert not training(project)["is_busy"]
        assert project.status()["counts"]["label"] == 10
        tell(project, 4)
        wait_until(lambda: training(project)["is_busy"])
        assert training(project)["error"] is None
    finally:
        project.close()


def test_a_failing_net_is_told_of(tmp_path):
    project = make_project(
        write_pictures(tmp_path / "pictures"),
        n_instances=6,
        net="tests.label.nets:Broken",
    )
    try:
        tell(project, 7)
        wait_until(lambda: training(project)["error"])
        assert "This net is broken." in training(project)["error"]
        assert not training(project)["is_busy"]
        tell(project, 1)
    finally:
        project.close()


def test_what_was_taken_back_is_not_trained_on_nor_its_twins(tmp_path):
    """Undo three and relabel: the training set is that of the last answers."""
    from skdfal.label._trainer import Job, _Learner

    pictures = write_pictures(tmp_path / "pictures")
    project = make_project(pictures, strategy="dfal", max_epochs=2, holdout=0.0)
    try:
        learner = _Learner(project.recipe)
        names = project._order.askable
        labels = {name: truth(name) for name in names[:8]}
        learner.train(Job(labels, names, set()))
        labels |= {name: truth(name) for name in names[8:16]}
        learner.train(Job(labels, names, set()))  # twins of the first eight
        n_twins = sum(learner._session.train_indices_ < 0)
        assert n_twins == 8
        gone, changed, excluded = names[0], names[1], names[2]
        now = {n: label for n, label in labels.items() if n not in (gone, excluded)}
        now[changed] = "light" if labels[changed] == "dark" else "dark"
        learner.train(Job(now, names, {excluded}))
        session = learner._session
        parents = [learner._names[i] for i in session.train_parents_]
        assert {gone, excluded} & set(parents) == set()
        for name, label in zip(parents, session.y_train_, strict=True):
            assert label == now[name]
        # What came back is told anew, and has no twin until the net after this one.
        learner.train(Job(now | {gone: truth(gone)}, names, {excluded}))
        session = learner._session
        is_gone = session.train_parents_ == learner._names.index(gone)
        assert is_gone.sum() == 1
        # Nor is what is excluded no more left out for good.
        learner.train(Job(now, names, set()))
        assert learner._session.skipped_indices_.tolist() == []
        learner._session.close()
    finally:
        project.close()


def test_new_pictures_join_and_vanished_ones_leave(learned, tmp_path):
    pictures = write_pictures(tmp_path / "pictures", n=10)
    project = make_project(pictures)
    try:
        before = {p["name"]: p["picture"] for p in project.queue("", 50)}
        (pictures / "00003-light.png").rename(pictures / "new.png")
        wait_until(lambda: "new.png" in {p["name"] for p in project.queue("", 50)}, 20)
        after = {p["name"]: p["picture"] for p in project.queue("", 50)}
        assert before.keys() - after.keys() == {"00003-light.png"}
        assert all(after[n] == before[n] for n in before.keys() & after.keys())
    finally:
        project.close()
