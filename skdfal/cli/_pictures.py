"""The arguments of the commands that read and write files, without a page."""

import argparse
from functools import partial
from pathlib import Path

from skdfal.cli._arguments import (
    add_cache,
    add_columns,
    add_count,
    add_dask,
    add_device,
    add_learner,
    add_seed,
    class_names,
)

_PREDICT_EXAMPLES = """\
examples:
  skdfal predict pictures/ --net pictures/skdfal/net.skdfal
  skdfal predict new/ --net net.skdfal --out new.csv
"""
_EVALUATE_TEXT = """\
Score a trained network on pictures whose labels are known. Prints the accuracy with
Wilson's 95 % interval, precision, recall and support of each class, and the confusion
matrix. Use pictures that the network was not trained on: on its training set, it looks
better than it is.
"""
_EVALUATE_EXAMPLES = """\
examples:
  skdfal evaluate test/ --net net.skdfal        (one subfolder per class)
  skdfal evaluate pictures/ --net net.skdfal --labels test.csv --out mistakes.csv
"""
_SUSPECTS_TEXT = """\
List the labels that are most likely wrong according to a trained network: first the
labels that it contradicts, the most confident contradiction at the top, then those that
it agrees with least confidently. Correct them in the CSV of --out, and import it.
"""
_SUSPECTS_EXAMPLES = """\
examples:
  skdfal suspects pictures/ -n 30       (labels and network of "skdfal label")
  skdfal suspects pictures/ --out suspects.csv
  skdfal import suspects.csv pictures/  (after correcting its column "label")
  skdfal suspects pictures/ --net net.skdfal --labels labels.csv
"""
_QUERY_TEXT = """\
Train a network on the labels in a CSV, and print the pictures to label next, one per
line, the most useful first. Until two classes have labels, they are drawn at random.
"""
_QUERY_EXAMPLES = """\
examples:
  skdfal query pictures/ -n 20    (the first pictures, drawn at random)
  skdfal query pictures/ --labels labels.csv -n 20
  skdfal query pictures/ --labels labels.csv --strategy margin --scores
  skdfal query pictures/ --labels mine.csv --columns file=image,label=kind
  skdfal query pictures/ --labels labels.csv --cache cache --dask tcp://head:8786
"""
_EXPORT_TEXT = """\
Export a project of "skdfal label" for other programs: the labels as a CSV, or the
unlabelled pictures as tasks for Label Studio, with the network's predictions, the least
certain first. The labelling interface of the tasks is written next to them, as .xml.
"""
_EXPORT_EXAMPLES = """\
examples:
  skdfal export pictures/ --to csv
  skdfal export pictures/ --to label-studio --prefix "/data/local-files/?d=pictures/"
  skdfal export pictures/ --to label-studio --prefix https://example.org/pictures/
"""
_IMPORT_TEXT = """\
Import labels into a project of "skdfal label", from a CSV or from a JSON export of
Label Studio (including skips, and the answers of several annotators). Labels that were
imported before are not imported twice.
"""
_IMPORT_EXAMPLES = """\
examples:
  skdfal import labels.csv pictures/
  skdfal import table.csv pictures/ --columns file=image,label=kind
  skdfal import project-1.json pictures/
"""


def add_for_pictures(commands):
    """Add the commands to those of ``skdfal``.

    Parameters
    ----------
    commands : argparse action
        What ``add_subparsers`` returned.
    """
    _add_predict(commands)
    _add_evaluate(commands)
    _add_suspects(commands)
    _add_query(commands)
    _add_export(commands)
    _add_import(commands)


def _add(commands, name, text, examples, *, help_text):
    command = commands.add_parser(
        name,
        help=help_text,
        description=text,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(load=partial(_load, name))
    return command


def _add_predict(commands):
    command = _add(
        commands,
        "predict",
        "Write the classes that a trained network predicts for pictures to a CSV.",
        _PREDICT_EXAMPLES,
        help_text="predict the classes of pictures with a trained network",
    )
    _add_pictures(command)
    _add_net(command, required=True)
    _add_out(command, "CSV file to write (default: predictions.csv, unless it exists)")
    add_cache(command)
    add_dask(command)


def _add_evaluate(commands):
    command = _add(
        commands,
        "evaluate",
        _EVALUATE_TEXT,
        _EVALUATE_EXAMPLES,
        help_text="score a trained network on pictures whose labels are known",
    )
    _add_pictures(command)
    _add_net(command, required=True)
    _add_labels(command, "each picture's first subfolder is its label")
    add_columns(command, ("file", "label"))
    _add_out(command, "CSV file for the misclassified pictures (default: none)")
    add_cache(command)
    add_dask(command)


def _add_suspects(commands):
    command = _add(
        commands,
        "suspects",
        _SUSPECTS_TEXT,
        _SUSPECTS_EXAMPLES,
        help_text="list the labels that are most likely wrong",
    )
    _add_pictures(command)
    add_count(command, "-n", 20, "number of labels to list")
    _add_project(command)
    _add_net(command, required=False)
    source = command.add_mutually_exclusive_group()
    _add_labels(source, "the labels of the project")
    source.add_argument(
        "--labels-from-folders",
        action="store_true",
        help="each picture's first subfolder is its label",
    )
    add_columns(command)
    _add_out(command, "CSV file to write (default: print a table)")
    add_cache(command)
    add_dask(command)


def _add_query(commands):
    command = _add(
        commands,
        "query",
        _QUERY_TEXT,
        _QUERY_EXAMPLES,
        help_text="print the pictures to label next",
    )
    _add_pictures(command)
    _add_labels(command, "no labels, so that all pictures are drawn at random")
    add_count(command, "-n", 10, "number of pictures to print")
    command.add_argument(
        "--scores",
        action="store_true",
        help="also print the strategy's score of each picture, after a tab, largest "
        "first; nan for pictures drawn at random",
    )
    add_columns(command)
    _add_classes(command, "those of the labels")
    add_learner(command)
    add_device(command)
    add_count(command, "--epochs", 50, "number of epochs of the training")
    add_seed(command)
    add_cache(command)
    add_dask(command)


def _add_export(commands):
    command = _add(
        commands,
        "export",
        _EXPORT_TEXT,
        _EXPORT_EXAMPLES,
        help_text="export labels or tasks for other programs",
    )
    _add_pictures(command)
    command.add_argument(
        "--to",
        choices=["csv", "label-studio"],
        required=True,
        help="csv (the labels) or label-studio (tasks.json, and the labelling "
        "interface next to it)",
        metavar="FORMAT",
    )
    _add_project(command)
    _add_net(command, required=False)
    _add_out(
        command,
        "file to write (default: labels.csv or tasks.json in the working folder)",
    )
    command.add_argument(
        "--prefix",
        help="prefix of the file names in tasks: where Label Studio serves local files "
        "(default: /data/local-files/?d=), or the URL of a server",
        metavar="TEXT",
    )


def _add_import(commands):
    command = _add(
        commands,
        "import",
        _IMPORT_TEXT,
        _IMPORT_EXAMPLES,
        help_text="import labels from other programs",
    )
    command.add_argument(
        "file", type=Path, help="JSON file of Label Studio, or a CSV", metavar="FILE"
    )
    _add_pictures(command)
    _add_project(command)
    add_columns(command)
    _add_classes(command, "those of the project, or of the labels in a new project")


def _add_pictures(command):
    command.add_argument(
        "pictures", type=Path, help="folder of pictures", metavar="PICTURES"
    )


def _add_labels(command, default):
    command.add_argument(
        "--labels",
        type=Path,
        help=f"CSV with a file and a label in each row (default: {default})",
        metavar="FILE",
    )


def _add_project(command):
    command.add_argument(
        "--project",
        type=Path,
        help="folder of the project (default: PICTURES/skdfal)",
        metavar="FOLDER",
    )


def _add_net(command, *, required):
    command.add_argument(
        "--net",
        type=Path,
        required=required,
        help="file of the trained network"
        + ("" if required else " (default: that of the project)"),
        metavar="FILE",
    )
    command.add_argument(
        "--net-class",
        help="module:Class of the network, if it is your own code",
        metavar="NAME",
    )
    add_device(command)


def _add_out(command, what):
    command.add_argument("--out", type=Path, help=what, metavar="FILE")


def _add_classes(command, default):
    command.add_argument(
        "--classes",
        type=class_names,
        help=f"class names, separated by commas (default: {default})",
        metavar="A,B",
    )


def _load(name):
    from skdfal.label._commands import export, import_, predict, query
    from skdfal.label._evaluate import evaluate, suspects

    work = {
        "predict": predict,
        "evaluate": evaluate,
        "suspects": suspects,
        "query": query,
        "export": export,
        "import": import_,
    }
    return work[name]
