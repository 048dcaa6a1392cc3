"""The commands that read and write files, without a page."""

import os
import re
from contextlib import closing
from inspect import signature
from itertools import islice

import numpy as np
import torch
from sklearn.base import clone

from skdfal._utils._files import write_json, write_text
from skdfal._utils._torch import threads
from skdfal.label._answers import Answers
from skdfal.label._formats import (
    LOCAL_FILES,
    label_studio_config,
    label_studio_tasks,
    read_label_studio,
    read_labels,
    renamed,
    write_labels,
    write_predictions,
)
from skdfal.label._label import STORE, agreed_classes, known_classes, make_folder
from skdfal.label._nets import image_size_for, make_net, samples_for, strategy_for
from skdfal.label._project import LABELS
from skdfal.label._shared import (
    good_of,
    known_events,
    net_in,
    new_file,
    open_pool,
    predicted,
    project_folder,
    say,
    say_alike,
    say_broken,
    some_good,
)
from skdfal.label._store import Store
from skdfal.label._trainer import NET, PREDICTIONS
from skdfal.learner import LabelingSession
from skdfal.pool import on_cluster
from skdfal.strategies import STRATEGIES, describe

_TASKS = "tasks.json"


def predict(arguments):
    """Write the predictions of a network for pictures.

    Parameters
    ----------
    arguments : argparse.Namespace
        Arguments of the command.
    """
    saved = net_in(arguments.net, arguments)
    with (
        on_cluster(arguments.dask),
        open_pool(arguments, saved.image_size, saved.mode) as pool,
    ):
        out = new_file(arguments, PREDICTIONS)
        names, proba = predicted(saved, pool, range(len(pool)), arguments)
        write_predictions(out, names, proba, saved.classes)
        say_broken(pool)
    say(f"{out}: {len(names)} pictures.")


def query(arguments):
    """Print the pictures to label next.

    Parameters
    ----------
    arguments : argparse.Namespace
        Arguments of the command.
    """
    given = arguments.labels
    if given is not None and not given.exists():
        raise ValueError(f"The file of --labels does not exist: {given}.")
    events = [] if given is None else read_labels(given, arguments.columns)
    score = _score_of(arguments.strategy) if arguments.scores else None
    size = arguments.size or image_size_for(arguments.net)
    with (
        _one_thread(),
        on_cluster(arguments.dask),
        open_pool(arguments, size) as pool,
    ):
        known = known_events(events, pool.names, arguments.pictures, given)
        _check_labels(known, arguments)
        labels = Answers(known).labels()
        samples = samples_for(arguments.net, pool, arguments.device)
        session = _session(pool, samples, labels, arguments)
        found = _first_good(
            pool, _ranking(session, pool, labels, arguments), arguments.n
        )
        scores = [np.nan] * len(found)  # at random
        if score is not None and session is not None and found:
            scores = score(session.estimator_, samples.view(found))
        for i, value in zip(found, scores, strict=True):
            name = _on_one_line(pool.names[i])
            print(name, *([] if score is None else [f"{value:.6g}"]), sep="\t")
        say_broken(pool)
    if not found:
        say("All pictures that can be read have a label.")


def _one_thread():
    """Compute with one thread, unless OMP_NUM_THREADS is set.

    Small networks gain nothing from more and are slow with them on busy cores, and the
    same seed gives other weights, and other answers, with another number.
    """
    is_set = os.environ.get("OMP_NUM_THREADS")
    return threads(torch.get_num_threads() if is_set else 1)


def _on_one_line(name):
    """Return a file name in which control characters, such as a newline, are escaped.

    A shell that reads the names line by line would take one picture for two.
    """
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda found: repr(found[0])[1:-1], name)


def _score_of(name):
    """Return the score of a strategy, or raise if it has none."""
    strategy = strategy_for(name)
    if not _has_scores(strategy):
        having = ", ".join(filter(_has_scores, STRATEGIES))
        raise ValueError(
            f"--scores: {name} has no scores, or random ones. Strategies with scores "
            f"are {having}."
        )
    return describe(strategy).score


def _has_scores(strategy):
    """Whether a strategy has a score that does not depend on random numbers."""
    score = describe(strategy).score
    return score is not None and "random_state" not in signature(score).parameters


def _check_labels(events, arguments):
    """Raise if a label is not among the classes that were named."""
    for event in events if arguments.classes else ():
        if event.label not in arguments.classes:
            raise ValueError(
                f"{event.picture} has the label {event.label!r} in {arguments.labels}, "
                f"which is not among --classes {','.join(arguments.classes)}. Correct "
                "the label, or add the class."
            )


def export(arguments):
    """Write labels or tasks for other programs.

    Parameters
    ----------
    arguments : argparse.Namespace
        Arguments of the command.
    """
    path = project_folder(arguments) / STORE
    if not path.is_file():
        raise ValueError(f"There is no project: {path} does not exist.")
    with closing(Store(path)) as store:
        answers = Answers(store.events())
    if arguments.to == "csv":
        labels = answers.standing("label").values()
        if not labels:
            raise ValueError(
                f"There are no labels in {path} yet, so nothing to export."
            )
        out = new_file(arguments, LABELS)
        write_labels(out, labels)
        say(f"{out}: {len(labels)} labels.")
    else:
        _export_tasks(arguments, answers)


def _export_tasks(arguments, answers):
    saved = net_in(arguments.net or project_folder(arguments) / NET, arguments)
    out = new_file(arguments, _TASKS)
    config, interface = out.with_suffix(".xml"), label_studio_config(saved.classes)
    _check_beside(out, config, interface)
    done = {*answers.labels(), *answers.standing("exclude")}
    with open_pool(arguments, saved.image_size, saved.mode) as pool:
        unlabeled = [i for i, name in enumerate(pool.names) if name not in done]
        if not unlabeled:
            raise ValueError(
                f"All pictures in {pool.folder} have an answer; no task is left."
            )
        names, proba = predicted(saved, pool, unlabeled, arguments)
        say_broken(pool)
    prefix = LOCAL_FILES if arguments.prefix is None else arguments.prefix
    tasks = label_studio_tasks(names, proba, saved.classes, prefix=prefix)
    write_json(out, tasks)
    write_text(config, interface)
    say(f"{out}: {len(tasks)} tasks. {config}: the labelling interface.")


def _check_beside(out, config, interface):
    """Raise if the interface would overwrite another file."""
    if config == out:
        raise ValueError(
            f"The tasks cannot be written to {out}, because their labelling interface "
            "needs that .xml file. Name a .json file with --out."
        )
    if config.exists() and config.read_bytes() != interface.encode():
        raise ValueError(
            f"{config} exists already, and is not the labelling interface of these "
            "classes. Move it away, or name another output file with --out."
        )


def import_(arguments):
    """Import labels of other programs into a project.

    Parameters
    ----------
    arguments : argparse.Namespace
        Arguments of the command.

    Raises
    ------
    ValueError
        If the file has another format, or labels that are not classes.
    """
    if not arguments.file.exists():
        raise ValueError(f"The file to import does not exist: {arguments.file}.")
    with open_pool(arguments, 1, "RGB") as pool:  # for the names alone
        names = pool.names
    if arguments.file.suffix.lower() == ".json":
        events = read_label_studio(arguments.file, names)
    else:
        events = read_labels(arguments.file, arguments.columns)
    events = known_events(events, names, arguments.pictures, arguments.file)
    path = project_folder(arguments) / STORE
    classes = _classes_for(events, path, arguments)
    make_folder(path.parent)
    with closing(Store(path)) as store:
        store.set("classes", classes)
        before = store.events()
        # An answer is the same however a file spelled the name of its picture.
        known = {renamed(event, event.picture).id for event in before}
        store.add([event for event in events if event.id not in known])
        after = store.events()
    n_new = len(after) - len(before)
    said = f"Imported {n_new} new answers of the {len(events)} in {arguments.file}."
    if n_new and (path.parent / NET).exists():
        said += ' The network learns them when you next run "skdfal label".'
    say(said)
    _say_overruled(events, Answers(after).labels())


def _say_overruled(events, labels):
    """Say which labels of the file are not those that stand in the project."""
    overruled = [
        event
        for event in events
        if event.kind == "label" and labels.get(event.picture) != event.label
    ]
    if overruled:
        first = overruled[0]
        say(
            f"{len(overruled)} of the labels do not apply, such as {first.label!r} of "
            f"{first.picture}: a later answer of the same annotator or the majority of "
            "the annotators says otherwise. The overview of the page can change it."
        )


def _classes_for(events, path, arguments):
    """Return the classes of the project, or raise if a label is none of them.

    The classes of a new project are the labels.
    """
    labels = sorted({event.label for event in events} - {None})
    known, wanted = known_classes(path), arguments.classes
    if wanted is None and not known:
        if not labels:
            raise ValueError(
                f"{arguments.file} has no label of a picture in {arguments.pictures} "
                "from which a new project could take its classes. Name them: "
                "--classes A,B. Nothing was imported."
            )
        wanted = labels
        say_alike(labels)
    unknown = set(labels).difference(wanted or known)
    if unknown:
        first = next(event for event in events if event.label in unknown)
        raise ValueError(
            f"The project does not have the classes {', '.join(sorted(unknown))}, such "
            f"as {first.label!r} of {first.picture}. If that is a typo, correct it in "
            f"{arguments.file}; if not, name all classes, old and new: --classes A,B. "
            "Nothing was imported."
        )
    return agreed_classes(known, wanted)


def _session(pool, samples, labels, arguments):
    """Return a session trained on the labels, or None without labels of two classes."""
    classes = arguments.classes
    if not classes:
        classes = sorted(set(labels.values()))
        say_alike(classes)
    net = make_net(
        arguments.net,
        max(2, len(classes)),
        samples.sample_shape,
        arguments.epochs,
        arguments.strategy,
        arguments.device,
    )
    with torch.random.fork_rng(devices=[]):
        clone(net).initialize()  # or raises, before pictures are drawn at random too
    told = []
    if len(set(labels.values())) > 1:
        told = some_good(pool, _labelled(pool, labels), "labelled ")
    if len({labels[pool.names[i]] for i in told}) < 2:
        readable = " of pictures that can be read" if told else ""
        say(
            f"Fewer than two classes have labels{readable}; these pictures are drawn "
            "at random."
        )
        return None
    session = LabelingSession(
        samples,
        classes,
        net,
        strategy_for(arguments.strategy),
        n_instances=arguments.n,
        random_state=arguments.seed,
    )
    session.tell(told, [labels[pool.names[i]] for i in told])
    session.fit()
    return session


def _labelled(pool, labels):
    return [i for i, name in enumerate(pool.names) if name in labels]


def _ranking(session, pool, labels, arguments):
    """Yield the indices of unlabelled pictures, the most useful first."""
    if session is None:
        rest = np.setdiff1d(np.arange(len(pool)), _labelled(pool, labels))
        yield from np.random.RandomState(arguments.seed).permutation(rest)
        return
    while (asked := session.ask()).size:
        yield from asked


def _first_good(pool, ranking, n):
    """Return the first n readable pictures, without reading more than needed."""
    found = []
    while chunk := list(islice(ranking, n - len(found))):
        found += good_of(pool, chunk)
    return found
