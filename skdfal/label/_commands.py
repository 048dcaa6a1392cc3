"""The commands for people with tools of their own: no page, files in and files out."""

import sys
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from sklearn.base import clone

from skdfal._utils._files import write_text
from skdfal.adapter import predict_proba
from skdfal.datasets._label_table import name_in
from skdfal.label._answers import Answers
from skdfal.label._command import (
    PROJECT,
    STORE,
    agreed_classes,
    known_classes,
    make_folder,
)
from skdfal.label._formats import (
    LOCAL_FILES,
    label_studio_config,
    label_studio_tasks,
    read_label_studio,
    read_labels,
    write_label_studio,
    write_labels,
    write_predictions,
)
from skdfal.label._net_file import load_net
from skdfal.label._nets import image_size_for, make_net, samples_for, strategy_for
from skdfal.label._project import LABELS
from skdfal.label._store import Store
from skdfal.label._trainer import NET, PREDICTIONS
from skdfal.learner import LabelingSession
from skdfal.pool import ImagePool, on_cluster

_TASKS = "tasks.json"


def predict(arguments):
    """Write what a net says of pictures.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of the command.
    """
    saved = _load_net(arguments.net, arguments)
    out = _new_file(arguments, PREDICTIONS)
    with (
        on_cluster(arguments.dask),
        _open_pool(arguments, saved.image_size, saved.mode) as pool,
    ):
        names, proba = _predict(saved, pool, range(len(pool)))
        write_predictions(out, names, proba, saved.classes)
        _say_broken(pool)
    _say(f"{out}: {len(names)} pictures.")


def query(arguments):
    """Print the pictures to label next.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of the command.
    """
    given = arguments.labels
    if given is not None and not given.exists():
        raise ValueError(f"The file of --labels is missing: there is no {given}.")
    events = [] if given is None else read_labels(given, arguments.columns)
    size = arguments.size or image_size_for(arguments.net)
    with on_cluster(arguments.dask), _open_pool(arguments, size) as pool:
        known = _known(events, pool.names, arguments.pictures)
        _check_labels(known, arguments)
        labels = {event.picture: event.label for event in known}
        ranking = _ranking(pool, labels, arguments)
        for i in _first_good(pool, ranking, arguments.n):
            print(pool.names[i])
        _say_broken(pool)


def _check_labels(events, arguments):
    """Raise where a label is none of the classes that were named."""
    for event in events if arguments.classes else ():
        if event.label not in arguments.classes:
            raise ValueError(
                f"{event.picture} has the label {event.label!r} in {arguments.labels}, "
                f"which is none of --classes {','.join(arguments.classes)}. Correct "
                "it, or name that class, too."
            )


def export(arguments):
    """Write labels or tasks for other programs.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of the command.
    """
    path = _folder(arguments) / STORE
    if not path.is_file():
        raise ValueError(f"There is no project here: {path} is missing.")
    with closing(Store(path)) as store:
        answers = Answers(store.events())
    if arguments.to == "csv":
        labels = answers.standing("label").values()
        if not labels:
            raise ValueError(f"There is no label in {path} yet: nothing to export.")
        out = _new_file(arguments, LABELS)
        write_labels(out, labels)
        _say(f"{out}: {len(labels)} labels.")
    else:
        _export_tasks(arguments, answers)


def _new_file(arguments, name):
    """Return the file to write; one that nobody named must not be there yet."""
    if arguments.out is None and Path(name).exists():
        raise ValueError(
            f"{name} is there already, and may be yours. Name the file to write by "
            "--out, also to write it anew."
        )
    out = arguments.out or Path(name)
    if out.is_dir():
        raise ValueError(f"{out} is a folder. Name a file in it: --out {out / name}.")
    return out


def _export_tasks(arguments, answers):
    saved = _load_net(arguments.net or _folder(arguments) / NET, arguments)
    out = _new_file(arguments, _TASKS)
    config, interface = out.with_suffix(".xml"), label_studio_config(saved.classes)
    _check_beside(out, config, interface)
    done = {*answers.labels(), *answers.standing("exclude")}
    with _open_pool(arguments, saved.image_size, saved.mode) as pool:
        unlabeled = [i for i, name in enumerate(pool.names) if name not in done]
        if not unlabeled:
            raise ValueError(
                f"All pictures in {pool.folder} have an answer: there is no task left."
            )
        names, proba = _predict(saved, pool, unlabeled)
        _say_broken(pool)
    prefix = LOCAL_FILES if arguments.prefix is None else arguments.prefix
    tasks = label_studio_tasks(names, proba, saved.classes, prefix=prefix)
    write_label_studio(out, tasks)
    write_text(config, interface)
    _say(f"{out}: {len(tasks)} tasks. {config}: the labelling interface.")


def _load_net(path, arguments):
    if not path.exists():
        raise ValueError(
            f"There is no net yet: {path} is missing. It is written after the first "
            "training of skdfal label; or name another by --net."
        )
    return load_net(path, arguments.net_class)


def _check_beside(out, config, interface):
    """Raise where the interface would take the place of something else."""
    if config == out:
        raise ValueError(
            f"The tasks cannot be {out}: beside them lies their labelling interface, "
            "as .xml. Name a .json by --out."
        )
    if config.exists() and config.read_bytes() != interface.encode():
        raise ValueError(
            f"{config} is there already, and is not the labelling interface of these "
            "classes. Move it away, or name another file to write by --out."
        )


def import_(arguments):
    """Take labels of other programs over into a project.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of the command.

    Raises
    ------
    ValueError
        If the file is none of the formats, or has labels that are no classes.
    """
    if not arguments.file.exists():
        raise ValueError(
            f"The file to import is missing: there is no {arguments.file}."
        )
    with _open_pool(arguments, 1, "RGB") as pool:  # for the names alone
        names = pool.names
    if arguments.file.suffix.lower() == ".json":
        events = read_label_studio(arguments.file, names)
    else:
        events = read_labels(arguments.file, arguments.columns)
    events = _known(events, names, arguments.pictures)
    path = _folder(arguments) / STORE
    classes = _classes_for(events, path, arguments)
    make_folder(path.parent)
    with closing(Store(path)) as store:
        store.set("classes", classes)
        n_before = len(store.events())
        store.add(events)
        n_new = len(store.events()) - n_before
    _say(f"{n_new} new answers of {len(events)} in {arguments.file}.")


def _classes_for(events, path, arguments):
    """Return the classes of the project, which all labels fit, or raise.

    A new project takes the labels for its classes.
    """
    labels = sorted({event.label for event in events} - {None})
    known, wanted = known_classes(path), arguments.classes
    if wanted is None and not known:
        if not labels:
            raise ValueError(
                f"{arguments.file} has no label of a picture in {arguments.pictures}, "
                "which a new project would take for its classes. Name them: "
                "--classes A,B. Nothing was imported."
            )
        wanted = labels
    unknown = set(labels).difference(wanted or known)
    if unknown:
        first = next(event for event in events if event.label in unknown)
        raise ValueError(
            f"The labels {', '.join(sorted(unknown))} are no classes of the project, "
            f"such as {first.label!r} of {first.picture}. If that is a typo, correct "
            f"it in {arguments.file}; if not, name all classes, the former ones too: "
            "--classes A,B. Nothing was imported."
        )
    return agreed_classes(known, wanted)


# What they have in common


def _folder(arguments):
    return getattr(arguments, "project", None) or arguments.pictures / PROJECT


def _open_pool(arguments, image_size, mode=None):
    try:
        return ImagePool(
            arguments.pictures,
            image_size=image_size,
            mode=mode,
            cache=getattr(arguments, "cache", None),
            exclude=_folder(arguments),
        )
    except ImportError as error:
        raise ValueError(str(error)) from error


def _predict(saved, pool, indices):
    """Return names and probabilities of the pictures that can be read."""
    good = _some_good(pool, indices)
    samples = samples_for(saved.net_name, pool).view(good)
    proba = predict_proba(saved.estimator, samples)
    return [pool.names[i] for i in good], proba


def _ranking(pool, labels, arguments):
    """Yield the indices of pictures without a label, the best first."""
    told = [i for i, name in enumerate(pool.names) if name in labels]
    classes = arguments.classes or sorted(set(labels.values()))
    samples = samples_for(arguments.net, pool)
    net = make_net(
        arguments.net,
        max(2, len(classes)),
        samples.sample_shape,
        arguments.epochs,
        arguments.strategy,
    )
    with torch.random.fork_rng(devices=[]):
        clone(net).initialize()  # or raises, before pictures are drawn at random too
    if len(set(labels.values())) < 2:
        _say("There are no labels of two classes yet: these are drawn at random.")
        rest = np.setdiff1d(np.arange(len(pool)), told)
        yield from np.random.RandomState(arguments.seed).permutation(rest)
        return
    session = LabelingSession(
        samples,
        classes,
        net,
        strategy_for(arguments.strategy),
        n_instances=arguments.n,
        random_state=arguments.seed,
    )
    told = _some_good(pool, told, "labelled ")
    session.tell(told, [labels[pool.names[i]] for i in told])
    session.fit()
    while (asked := session.ask()).size:
        yield from asked


def _good(pool, indices):
    """Return the indices of those that can be read."""
    pool.decode(indices)
    available = pool.available
    return [i for i in indices if available[i]]


def _first_good(pool, ranking, n):
    """Return the first indices of those that can be read; reads no more than needed."""
    found = []
    while chunk := list(islice(ranking, n - len(found))):
        found += _good(pool, chunk)
    return found


def _some_good(pool, indices, which=""):
    """Return the indices of those that can be read, and raise where none can."""
    good = _good(pool, indices)
    if not good:
        names, broken = [pool.names[i] for i in indices], pool.broken
        first = next((name for name in names if name in broken), names[0])
        raise ValueError(
            f"None of the {len(names)} {which}pictures in {pool.folder} can be read, "
            f"such as {first}: {broken.get(first, 'It is gone.')}"
        )
    return good


def _known(events, names, folder):
    """Return the events of pictures that are in the folder, by their names there."""
    names, found, unknown = set(names), [], []
    for event in events:
        name = name_in(event.picture, names, folder)
        if name is None:
            unknown.append(event.picture)
        else:
            found.append(event._replace(picture=name))
    if unknown:
        rows = "1 row is" if len(unknown) == 1 else f"{len(unknown)} rows are"
        _say(
            f"{rows} left out, of pictures that are not in {folder}, such as "
            f"{unknown[0]}."
        )
    return found


def _say_broken(pool):
    for name, reason in pool.broken.items():
        _say(f"left out: {name}: {reason}")


def _say(text):
    """Say something to the person; what is printed otherwise is for programs."""
    print(text, file=sys.stderr)
