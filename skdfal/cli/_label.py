"""The arguments of ``skdfal label``."""

import argparse
from pathlib import Path

from skdfal.cli._arguments import (
    add_dask,
    add_learner,
    add_seed,
    at_least,
    class_names,
    count,
    share,
)

_TEXT = """\
Open a page that shows the picture worth most, takes a key, and shows the next at once,
while a net learns in another process. Labels are on the disk as soon as they are
given; stop and go on whenever you like. How it learns is as the last time, unless you
say otherwise.
"""
_EXAMPLES = """\
examples:
  skdfal label pictures/ --classes cat,dog,other
  skdfal label pictures/          (go on, tomorrow or after a crash)
  skdfal label pictures/ --budget 500
  skdfal label --demo             (digits that come along, to try it in a minute)

In pictures/skdfal, or the folder named by --project, lie the labels (labels.sqlite;
labels.csv for other programs), the net, and predictions.csv.
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
        help="label a folder of pictures in the browser, while a net learns",
        description=_TEXT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(load=_load)
    command.add_argument("pictures", nargs="?", type=Path, metavar="PICTURES")
    command.add_argument(
        "--classes",
        type=class_names,
        help="names with commas between, two at least; needed the first time, and "
        "later for further ones",
        metavar="A,B",
    )
    command.add_argument(
        "--budget",
        type=at_least(0),
        help="number of labels you have money for: the page counts up to it, then asks "
        "before it goes on; 0 is no budget (default: as the last time)",
        metavar="N",
    )
    command.add_argument(
        "--demo", action="store_true", help="label digits that come along"
    )
    command.add_argument(
        "--project",
        type=Path,
        help="folder of labels, net and predictions (default: PICTURES/skdfal)",
        metavar="FOLDER",
    )
    command.add_argument(
        "--labels-from-folders",
        action="store_true",
        help="take the first folder of each picture for its label, where that is a "
        "class; without --classes the folders are the classes",
    )
    _add_learning(command)
    _add_serving(command)


def _add_learning(command):
    group = command.add_argument_group(
        "advanced: learning", "What is not given is as the last time, else the default."
    )
    add_learner(group)
    for name, default, what in [
        ("n-instances", 10, "new labels that start a training"),
        ("epochs", 50, "passes over the labels at each training"),
    ]:
        group.add_argument(f"--{name}", **count(default, what))
    group.add_argument(
        "--holdout",
        type=share,
        help="share of what is asked that is drawn at random and never trained on, to "
        "see how good the net is (default: 0.1; stays as it was the first time)",
        metavar="X",
    )
    add_seed(group)
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
        help="where it listens; 0 is any free one (default: 8765, or a free one)",
        metavar="N",
    )
    group.add_argument(
        "--host",
        type=_host,
        default="127.0.0.1",
        help="address to listen on (default: 127.0.0.1, this machine alone; 0.0.0.0 "
        "is the whole network, without encryption)",
        metavar="NAME",
    )
    group.add_argument(
        "--no-browser",
        action="store_true",
        help="print the address, open nothing; how a browser is started can be seen by "
        "other users of the machine, and so can the secret in the address",
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
    from skdfal.label._command import label

    return label
