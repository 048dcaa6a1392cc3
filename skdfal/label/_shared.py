"""What the commands for pictures share: opening pictures and networks, and messages."""

import sys
from pathlib import Path

import numpy as np

from skdfal.adapter import predict_proba
from skdfal.datasets._label_table import PictureNames, name_in
from skdfal.label._formats import renamed
from skdfal.label._label import PROJECT, STORE
from skdfal.label._net_file import load_net
from skdfal.label._nets import samples_for
from skdfal.label._trainer import NET
from skdfal.pool import ImagePool

_CHUNK = 2048  # pictures whose pixels are on the disk at once, if nobody keeps them


def project_folder(arguments):
    """Return the folder of the project, which need not exist."""
    return getattr(arguments, "project", None) or arguments.pictures / PROJECT


def new_file(arguments, name):
    """Return the file to write; a default file must not exist yet."""
    if arguments.out is None and Path(name).exists():
        raise ValueError(
            f"{name} exists already. To overwrite it, or to write another file, name "
            "the file with --out."
        )
    out = arguments.out or Path(name)
    check_out(out, arguments, name)
    return out


def check_out(out, arguments, name):
    """Raise if the file to write is a folder, or one that the command reads."""
    if out.is_dir():
        raise ValueError(f"{out} is a folder. Name a file in it: --out {out / name}.")
    given = [getattr(arguments, kind, None) for kind in ("net", "labels")]
    read = [path for path in given if isinstance(path, Path)]
    read += [project_folder(arguments) / name for name in (STORE, NET)]
    if out.resolve() in {path.resolve() for path in read}:
        raise ValueError(
            f"--out {out} would overwrite a file that the command reads. Name another "
            "file."
        )


def net_in(path, arguments):
    """Return the network in a file."""
    if path.is_dir():
        raise ValueError(f"--net {path} is a folder. {_file_for(path / NET)}")
    if not path.exists():
        raise ValueError(
            f"There is no trained network: {path} does not exist. skdfal label writes "
            "it after the first training; name another file with --net."
        )
    return load_net(path, arguments.net_class, arguments.device)


def _file_for(net):
    """Say which file to name instead of its folder."""
    if net.is_file():
        return f"Name the file in it: --net {net}."
    return f"Name the file of a network; there is no {net}."


def open_pool(arguments, image_size, mode=None):
    """Return the pool of pictures; without Pillow, raise a ValueError."""
    if arguments.pictures.is_file():
        raise ValueError(
            f"{arguments.pictures} is a file; a folder of pictures is expected, such "
            f"as {arguments.pictures.parent}."
        )
    try:
        return ImagePool(
            arguments.pictures,
            image_size=image_size,
            mode=mode,
            cache=getattr(arguments, "cache", None),
            exclude=project_folder(arguments),
        )
    except ImportError as error:
        raise ValueError(str(error)) from error


def predicted(saved, pool, indices, arguments):
    """Return names and probabilities of the pictures that can be read.

    Each picture is decoded once. Without a cache or a cluster that would use the pixels
    again, those of one chunk at a time are on the disk.
    """
    samples = samples_for(saved.net_name, pool, arguments.device)
    is_kept = getattr(arguments, "cache", None) or getattr(arguments, "dask", None)
    size = max(len(indices), 1) if is_kept else _CHUNK
    good, proba = [], []
    for start in range(0, len(indices), size):
        found = good_of(pool, indices[start : start + size])
        if found:
            proba.append(predict_proba(saved.estimator, samples.view(found)))
        good += found
        if not is_kept:
            pool.forget()
    _check_some(good, pool, indices)
    return [pool.names[i] for i in good], np.concatenate(proba)


def good_of(pool, indices):
    """Return the indices of the pictures that can be read."""
    pool.decode(indices)
    available = pool.available
    return [i for i in indices if available[i]]


def some_good(pool, indices, which=""):
    """Return the indices of the pictures that can be read, or raise if none can."""
    good = good_of(pool, indices)
    _check_some(good, pool, indices, which)
    return good


def _check_some(good, pool, indices, which=""):
    if not good:
        names, broken = [pool.names[i] for i in indices], pool.broken
        first = next((name for name in names if name in broken), names[0])
        raise ValueError(
            f"None of the {len(names)} {which}pictures in {pool.folder} can be read, "
            f"such as {first}: {broken.get(first, 'The file is gone.')}"
        )


def known_events(events, names, folder, table):
    """Return the events of pictures that are in the folder, by their names there.

    Parameters
    ----------
    events : list of Event
        As read from a file.
    names : list of str
        Names of the pictures in the folder.
    folder, table : path-like
        The folder, and the file, for messages.

    Returns
    -------
    found : list of Event
        In their order.

    Raises
    ------
    ValueError
        If an annotator gave a picture two labels at the same time, so that neither of
        them is the last one; no time counts as a time.
    """
    names, found, unknown = PictureNames(names), [], []
    for event in events:
        name = name_in(event.picture, names, folder)
        if name is None:
            unknown.append(event.picture)
        else:
            found.append(renamed(event, name))
    say_left_out(unknown, folder)
    _check_contradictions(found, table)
    return found


def _check_contradictions(events, table):
    labels = {}
    for event in events:
        if event.kind != "label":
            continue
        key = event.picture, event.annotator, event.time
        if (before := labels.setdefault(key, event.label)) != event.label:
            raise ValueError(
                f"{table}: {event.picture} has the labels {before!r} and "
                f"{event.label!r}. Keep one of them, or tell them apart by an "
                "annotator or a time each."
            )


def say_left_out(unknown, folder):
    """Say how many rows of a table name pictures that are not in the folder."""
    if unknown:
        rows = "1 row" if len(unknown) == 1 else f"{len(unknown)} rows"
        say(
            f"{rows} skipped, of pictures that are not in {folder}, such as "
            f"{unknown[0]}."
        )


def say_alike(classes):
    """Say which classes are the same but for capital letters, perhaps by mistake."""
    by_name = {}
    for name in classes:
        by_name.setdefault(name.casefold(), []).append(name)
    for names in by_name.values():
        if len(names) > 1:
            say(
                f"warning: {' and '.join(map(repr, names))} are different classes. If "
                "that is a mistake, correct the labels, or name the classes: "
                "--classes A,B."
            )


def say_broken(pool):
    """Say which pictures cannot be read, and why."""
    for name, reason in pool.broken.items():
        say(f"skipped: {name}: {reason}")


def say(text):
    """Print a message to standard error; standard output is for programs."""
    print(text, file=sys.stderr)
