"""The arguments of ``skdfal label``."""

import argparse
from pathlib import Path

from skdfal.cli._arguments import (
    add_count,
    add_dask,
    add_device,
    add_learner,
    add_seed,
    at_least,
    class_names,
    share,
)

_TEXT = """\
Label a folder of pictures in the browser. The page shows the most useful picture, takes
the key of its class, and shows the next one at once, while a network trains in the
background. Every label is saved immediately; stop and continue whenever you like.
Training settings are remembered from the previous run unless you override them.
"""
_EXAMPLES = """\
examples:
  skdfal label pictures/ --classes cat,dog,other
  skdfal label pictures/          (continue, the next day or after a crash)
  skdfal label pictures/ --budget 500
  skdfal label --demo             (try it in a minute, on bundled pictures of digits)

The project folder, pictures/skdfal unless --project names another one, holds the labels
(labels.sqlite, and labels.csv for other programs), the network (net.skdfal) and
predictions.csv.
"""


def add_label(commands):
    """Add the command to those of ``skdfal``.

    Parameters
    ----------
    commands : argparse action
        What ``add_subparsers`` returned.
    """
    command = commands.add_parser(
        "label",
        help="label a folder of pictures in the browser, while a network trains",
        description=_TEXT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(load=_load)
    command.add_argument(
        "pictures", nargs="?", type=Path, help="folder of pictures", metavar="PICTURES"
    )
    command.add_argument(
        "--classes",
        type=class_names,
        help="class names, separated by commas, at least two; required the first time, "
        "and later to add classes",
        metavar="A,B",
    )
    command.add_argument(
        "--budget",
        type=at_least(0),
        help="number of labels you can afford; when it is reached, the page stops and "
        "asks whether to continue; 0 removes the budget (default: as in the last run)",
        metavar="N",
    )
    command.add_argument(
        "--demo", action="store_true", help="label bundled pictures of digits"
    )
    command.add_argument(
        "--project",
        type=Path,
        help="folder for labels, network and predictions (default: PICTURES/skdfal)",
        metavar="FOLDER",
    )
    command.add_argument(
        "--labels-from-folders",
        action="store_true",
        help="label each picture with the name of its first subfolder, if that is a "
        "class; without --classes, the subfolders are the classes",
    )
    _add_learning(command)
    _add_serving(command)


def _add_learning(command):
    group = command.add_argument_group(
        "advanced: training",
        "Options that are not given keep their value from the last run.",
    )
    add_learner(group)
    what = "number of new labels after which a training starts"
    add_count(group, "--n-instances", 10, what)
    add_count(group, "--epochs", 50, "number of epochs of each training")
    group.add_argument(
        "--holdout",
        type=share,
        help="share of the pictures shown that is drawn at random and held out, to "
        "estimate the accuracy; fixed after the first run (default: 0.1)",
        metavar="X",
    )
    add_seed(group)
    add_device(group)
    add_dask(group)
    # The defaults that the texts name are filled in where the project is known.
    command.set_defaults(
        net=None, strategy=None, n_instances=None, epochs=None, seed=None
    )


def _add_serving(command):
    group = command.add_argument_group("advanced: the page")
    group.add_argument(
        "--port",
        type=_port,
        help="port to listen on; 0 picks a free one (default: 8765 if it is free)",
        metavar="N",
    )
    group.add_argument(
        "--host",
        type=_host,
        default="127.0.0.1",
        help="address to listen on (default: 127.0.0.1, this machine only); 0.0.0.0 "
        "opens the page to the whole network, without encryption",
        metavar="NAME",
    )
    group.add_argument(
        "--no-browser",
        action="store_true",
        help="only print the address; other users of the machine can see the command "
        "line of a browser that is started, and with it the secret in the address",
    )


def _port(text):
    port = at_least(0)(text)
    if port >= 2**16:
        raise argparse.ArgumentTypeError(f"{text!r} should be an integer <= 65535")
    return port


def _host(text):
    if not text.strip():  # a socket would take it for all addresses
        raise argparse.ArgumentTypeError(f"{text!r} should be a name or an address")
    return text


def _load():
    from skdfal.label._label import label

    return label
