"""Parts that the parsers of all commands share: help, types and common options."""

import argparse
from pathlib import Path

from skdfal._utils._names import composed

RESULTS = Path("skdfal-results")


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Replaces ``{nets}`` and the like by names when help is shown.

    To list the strategies, they must be imported, which takes seconds: too long for a
    parser that is made at each call.
    """

    def _get_help_string(self, action):
        if "{" not in action.help:
            return action.help
        from skdfal.cli._names import names

        listed = {kind: ", ".join(of_kind) for kind, of_kind in names().items()}
        return action.help.format_map(listed)


def add_running(command):
    """Add the options that say where and how an experiment runs.

    Parameters
    ----------
    command : ArgumentParser
        Parser of a command.

    Returns
    -------
    running : argument group
        The group, to which a command may add options of its own.
    """
    running = command.add_argument_group("running")
    add_seed(running)
    add_device(running)
    add_count(running, "--jobs", None, "number of worker processes", "one per core")
    add_count(
        running, "--threads", 1, "threads per process; results depend on it slightly"
    )
    running.add_argument(
        "--out",
        type=folder,
        help=f"folder for the results (default: a folder in {RESULTS} named after "
        "the settings)",
        metavar="FOLDER",
    )
    return running


def add_device(command):
    """Add the option of the device."""
    command.add_argument(
        "--device",
        default="cpu",
        help="device of the network: cpu (default), cuda, ...",
        metavar="NAME",
    )


def add_learner(command):
    """Add the options of the network, the strategy and the size of the pictures."""
    command.add_argument(
        "--net",
        default="lenet5",
        help="network: lenet5 (default), vgg8, resnet18, torchvision/NAME or timm/NAME "
        "(a linear head on a pretrained network), or module:Class of your own",
        metavar="NAME",
    )
    command.add_argument(
        "--strategy",
        default="dfal",
        help="query strategy (default: dfal), or module:function of your own",
        metavar="NAME",
    )
    add_count(
        command,
        "--size",
        None,
        "height and width in pixels to which pictures are scaled for the network",
        "64; 224 for a pretrained network",
    )


def add_columns(command, names=("file", "label", "annotator", "time")):
    """Add the option that names the columns of a CSV.

    Parameters
    ----------
    command : ArgumentParser or argument group
        Parser of a command, or a group of its options.
    names : tuple of str, default=("file", "label", "annotator", "time")
        Columns that may be named.
    """

    def columns(text):
        pairs = [part.partition("=") for part in text.split(",")]
        if not all(name in names and column for name, _, column in pairs):
            raise argparse.ArgumentTypeError(
                f"{text!r} should be like file=image,label=kind; names that can be set "
                f"are {', '.join(names)}"
            )
        return {name: column for name, _, column in pairs}

    command.add_argument(
        "--columns",
        type=columns,
        default={},
        help="column names of the CSV where they are not the usual ones: "
        f"{','.join(f'{name}=...' for name in names)}",
        metavar="NAMES",
    )


def add_cache(command):
    """Add the option that names a folder for decoded pictures."""
    command.add_argument(
        "--cache",
        type=Path,
        help="folder for decoded pictures, which makes the next run faster",
        metavar="FOLDER",
    )


def add_seed(command):
    """Add the option of the seed."""
    command.add_argument(
        "--seed",
        type=at_least(0),
        default=0,
        help="seed of all random numbers (default: 0)",
        metavar="N",
    )


def add_dask(command):
    """Add the option that names a cluster."""
    command.add_argument(
        "--dask",
        help="address of a Dask scheduler, such as tcp://head:8786, whose workers "
        "process the pictures (default: this process does)",
        metavar="ADDRESS",
    )


def add_count(command, name, default, text, default_text=None):
    """Add an option that takes an integer >= 1."""
    default_text = default if default_text is None else default_text
    command.add_argument(
        name,
        type=at_least(1),
        default=default,
        help=text if default_text is None else f"{text} (default: {default_text})",
        metavar="N",
    )


def at_least(low):
    """Return the type of integers >= low."""

    def integer(text):
        if not text.isdecimal() or int(text) < low:
            raise argparse.ArgumentTypeError(f"{text!r} should be an integer >= {low}")
        return int(text)

    return integer


def positive(text):
    """Return a finite number > 0."""
    value = _number(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} should be a number > 0")
    return value


def share(text):
    """Return a number in [0, 1)."""
    value = _number(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} should be a number in [0, 1)")
    return value


def _number(text):
    try:
        return float(text)
    except ValueError:
        return float("nan")


def folder(text):
    """Return a path that is not empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError(f"{text!r} should be the name of a folder")
    return Path(text)


def listed(text):
    """Return names separated by commas, without duplicates."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",")))


def class_names(text):
    """Return at least two different names separated by commas."""
    names = [composed(name.strip()) for name in text.split(",")]
    if len(names) < 2 or not all(names) or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(
            f"{text!r} should be at least two different names, separated by commas"
        )
    return tuple(names)
