"""Compare the predictions of a trained network with labels: evaluate and suspects."""

from contextlib import closing, suppress
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from sklearn.metrics import classification_report, confusion_matrix
from tabulate import tabulate

from skdfal.datasets._label_table import labels_of_pictures
from skdfal.label._answers import Answers
from skdfal.label._event import Event
from skdfal.label._formats import read_labels, write_judged
from skdfal.label._label import PROJECT, STORE
from skdfal.label._shared import (
    check_out,
    known_events,
    net_in,
    open_pool,
    predicted,
    project_folder,
    say,
    say_broken,
    say_left_out,
)
from skdfal.label._status import certainty
from skdfal.label._store import Store, StoreError
from skdfal.label._trainer import NET
from skdfal.learner import wilson_interval
from skdfal.pool import on_cluster


class Judged(NamedTuple):
    """A label, and the prediction of a network for the same picture.

    Attributes
    ----------
    event : Event
        The label.
    prediction : str
        The predicted label.
    confidence : float
        Probability of the predicted label.
    """

    event: Event
    prediction: str
    confidence: float

    @property
    def is_mistake(self):
        """Whether the label and the prediction differ."""
        return self.event.label != self.prediction

    @property
    def certainty(self):
        """How sure the network is of the label, by which the page sorts labels."""
        guess = {"label": self.prediction, "confidence": self.confidence}
        return certainty({"label": self.event.label, "guess": guess})


def evaluate(arguments):
    """Print the accuracy of a network on labelled pictures.

    Parameters
    ----------
    arguments : argparse.Namespace
        Arguments of the command.

    Raises
    ------
    ValueError
        If no picture has a label, or a label is not a class of the network.
    """
    saved = net_in(arguments.net, arguments)
    if arguments.out is not None:
        check_out(arguments.out, arguments, "mistakes.csv")
    with (
        on_cluster(arguments.dask),
        open_pool(arguments, saved.image_size, saved.mode) as pool,
    ):
        labels, strangers = labels_of_pictures(
            pool, arguments.labels, arguments.columns
        )
        events = [Event(name, name, "label", label) for name, label in labels.items()]
        say_left_out(strangers, pool.folder)
        _check(events, pool, arguments)
        _check_classes(events, saved.classes, arguments)
        judged = _judged(saved, pool, events, arguments)
        say_broken(pool)
    _warn_of_training_pictures(judged, arguments)
    _print_scores(judged, saved.classes)
    if arguments.out is not None:
        mistakes = [one for one in judged if one.is_mistake]
        write_judged(arguments.out, mistakes)
        say(f"{arguments.out}: {len(mistakes)} mistakes, the most confident first.")


def _warn_of_training_pictures(judged, arguments):
    """Warn if the network was trained on some of the pictures in its project."""
    folder = arguments.pictures / PROJECT
    if not (folder / NET).is_file() or not arguments.net.samefile(folder / NET):
        return  # the names in another project are of other pictures
    with suppress(StoreError), closing(Store(folder / STORE)) as store:  # or in use
        trained_on = store.setting("trained_on", {})
        n_seen = sum(one.event.picture in trained_on for one in judged)
        if n_seen:
            say(
                f"warning: the network was trained on {n_seen} of these {len(judged)} "
                "pictures, so its accuracy on new ones is probably lower."
            )


def _check(events, pool, arguments):
    """Raise if no picture has a label."""
    if not events:
        expected = (
            "expected one subfolder per class, or a CSV of labels by --labels"
            if arguments.labels is None
            else f"none of them is in {arguments.labels}"
        )
        raise ValueError(f"No picture in {pool.folder} has a label: {expected}.")


def _check_classes(events, classes, arguments):
    """Raise if a label is not a class of the network."""
    unknown = [event for event in events if event.label not in classes]
    if unknown:
        labels = ", ".join(sorted({event.label for event in unknown}))
        raise ValueError(
            f"The classes of {arguments.net} are {', '.join(classes)}; {len(unknown)} "
            f"of {len(events)} pictures have other labels ({labels}), such as "
            f"{unknown[0].picture}. Correct these labels, or leave the pictures out."
        )


def _print_scores(judged, classes):
    y = [one.event.label for one in judged]
    y_pred = [one.prediction for one in judged]
    right = len(judged) - sum(one.is_mistake for one in judged)
    low, high = wilson_interval(right, len(judged))
    print(
        f"Accuracy: {right / len(judged):.1%} ({right} of {len(judged)} pictures), 95% "
        f"interval {low:.1%} to {high:.1%} (Wilson)\n"
    )
    report = classification_report(
        y, y_pred, labels=classes, digits=3, zero_division=np.nan
    )
    print(report)
    counts = confusion_matrix(y, y_pred, labels=classes)
    rows = [[name, *row] for name, row in zip(classes, counts.tolist(), strict=True)]
    print("Confusion matrix (rows: labels, columns: predictions)\n")
    print(tabulate(rows, ["", *classes], disable_numparse=[0]))


def suspects(arguments):
    """Print or write the labels that a network doubts most.

    Parameters
    ----------
    arguments : argparse.Namespace
        Arguments of the command.

    Raises
    ------
    ValueError
        If there are no labels, or none of them is a class of the network.
    """
    path = arguments.net or project_folder(arguments) / NET
    saved = net_in(path, arguments)
    if arguments.out is not None:
        check_out(arguments.out, arguments, "suspects.csv")
    with (
        on_cluster(arguments.dask),
        open_pool(arguments, saved.image_size, saved.mode) as pool,
    ):
        events = _known_to(saved.classes, _events(pool, arguments), path)
        judged = _judged(saved, pool, events, arguments)
        say_broken(pool)
    n = sum(one.is_mistake for one in judged)
    say(f"The network contradicts {n} of {len(judged)} labels.")
    found = judged[: arguments.n]
    if arguments.out is not None:
        write_judged(arguments.out, found)
        say(
            f"{arguments.out}: {len(found)} labels, the most doubtful first. Correct "
            'the column "label", then run skdfal import on the file.'
        )
        return
    rows = [(e.picture, e.label, guess, f"{p:.3f}") for e, guess, p in found]
    columns = ["file", "label", "prediction", "confidence"]
    print(tabulate(rows, columns, disable_numparse=True))


def _events(pool, arguments):
    """Return the standing labels, from the source that the arguments name."""
    if arguments.labels is not None:
        events = read_labels(arguments.labels, arguments.columns)
        events = known_events(events, pool.names, arguments.pictures, arguments.labels)
    elif arguments.labels_from_folders:
        labels, _ = labels_of_pictures(pool)
        events = [Event(name, name, "label", label) for name, label in labels.items()]
    else:
        path = project_folder(arguments) / STORE
        if not path.is_file():
            raise ValueError(
                f"There is no project: {path} does not exist. Say where the labels "
                "are: --labels FILE, --labels-from-folders or --project FOLDER."
            )
        with closing(Store(path)) as store:
            events = store.events()
    names, standing = set(pool.names), Answers(events).standing("label").values()
    return [event for event in standing if event.picture in names]


def _known_to(classes, events, path):
    """Return the labels that are classes of a network, and say which are not."""
    known = [event for event in events if event.label in classes]
    if not known:
        labels = ", ".join(sorted({event.label for event in events})) or "none"
        raise ValueError(
            f"No label is a class of {path}: its classes are {', '.join(classes)}, the "
            f"labels {labels}."
        )
    others = [event for event in events if event.label not in classes]
    if others:
        say(
            f"skipped: labels that are not classes of {path} ({len(others)}), such as "
            f"{others[0].label!r} of {others[0].picture}"
        )
    return known


def _judged(saved, pool, events, arguments):
    """Return labels with the predictions of a net, the most doubtful ones first."""
    by_name = {event.picture: event for event in events}
    rows = [i for i, name in enumerate(pool.names) if name in by_name]
    names, proba = predicted(saved, pool, rows, arguments)
    return sorted(
        (
            Judged(by_name[name], saved.classes[best], float(row[best]))
            for name, row, best in zip(names, proba, proba.argmax(axis=1), strict=True)
        ),
        key=attrgetter("certainty"),
    )
