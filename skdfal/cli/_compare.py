"""The arguments of ``skdfal compare``."""

from pathlib import Path

from skdfal.cli._arguments import (
    HelpFormatter,
    add_cache,
    add_columns,
    add_count,
    add_running,
    at_least,
    listed,
    positive,
)

# Chosen for the embedded digits: a comparison in about a minute on two cores.
_COMPARED = ("dfal", "uncertainty", "random")

_COMPARE_TEXT = """\
Compare query strategies on a data set whose labels are known. In each trial every
strategy queries labels round by round; after each round a network is trained from
scratch and scored on the test set. All strategies of a trial start from the same
labelled samples and the same initial weights.
"""
_COMPARE_EXAMPLES = """\
examples:
  skdfal compare
  skdfal compare --dataset mnist --strategies dfal,core_set,random --max-annotations 200
  skdfal compare --trials 5 --resume       (adds two trials to the first command)
  skdfal compare --dataset pictures/       (your own: one subfolder per class)

With five trials or more, confidence intervals and p-values of the differences are
printed as well. The results folder holds rounds.csv (one row per round), seconds.csv,
table.md, learning_curves.png, twins.png and run.json (settings, versions, seeds,
seconds).
Exit status: 0 finished, 1 failed, 2 invalid arguments, 130 interrupted (--resume
continues).
"""


def add_compare(commands):
    """Add the command to those of ``skdfal``.

    Parameters
    ----------
    commands : argparse action
        What ``add_subparsers`` returned.
    """
    compare = commands.add_parser(
        "compare",
        help="compare query strategies on a data set",
        description=_COMPARE_TEXT,
        epilog=_COMPARE_EXAMPLES,
        formatter_class=HelpFormatter,
    )
    compare.set_defaults(load=_load, default_of=compare.get_default)

    what = compare.add_argument_group("what to compare")
    what.add_argument(
        "--dataset",
        default="digits",
        help="data set: {datasets}; digits, the default, comes with scikit-learn, the "
        "others are downloaded on first use; or a folder of your own pictures, or "
        "module:function",
        metavar="NAME",
    )
    what.add_argument(
        "--net",
        default="lenet5",
        help="network: {nets}, or module:class (default: lenet5)",
        metavar="NAME",
    )
    what.add_argument(
        "--strategies",
        type=listed,
        default=_COMPARED,
        help="query strategies, separated by commas: any of {strategies}, and "
        "module:function; or all, which stands for {paper_strategies} "
        f"(default: {','.join(_COMPARED)})",
        metavar="NAMES",
    )
    add_count(what, "--trials", 3, "number of trials of each strategy")

    labels = compare.add_argument_group("how many labels")
    add_count(labels, "--n-initial", 10, "number of labels before the first training")
    add_count(labels, "--n-instances", 10, "number of labels queried per round")
    add_count(labels, "--max-annotations", 100, "number of labels at the end")

    running = add_running(compare)
    running.add_argument(
        "--resume",
        action="store_true",
        help="continue the experiment in the results folder: finish an interrupted "
        "run, or add trials and strategies",
    )

    _add_own_pictures(compare)
    _add_data(compare)
    _add_training(compare)


def _add_own_pictures(compare):
    own = compare.add_argument_group("your own pictures (--dataset FOLDER)")
    own.add_argument(
        "--labels",
        type=Path,
        help="CSV with a file and a label in each row (default: the first subfolder of "
        "each picture is its label)",
        metavar="FILE",
    )
    add_columns(own, ("file", "label"))
    add_count(
        own, "--size", None, "height and width in pixels to which they are scaled", 64
    )
    add_cache(own)


def _add_data(compare):
    data = compare.add_argument_group("advanced: the data")
    add_count(
        data,
        "--n-candidates",
        800,
        "number of candidates per round, drawn at random from the pool (K in the "
        "DFAL paper), for {of_candidates}; the others look at the whole pool",
    )
    add_count(data, "--n-pool", None, "number of samples in the pool", "all")
    add_count(
        data,
        "--n-test",
        None,
        "number of test samples",
        "all; a random fifth of your own pictures",
    )
    add_count(
        data,
        "--n-validation",
        None,
        "number of training samples held out as a validation set, on which "
        "networks are scored in place of the test set; use it to choose settings",
        "none",
    )
    data.add_argument(
        "--marks",
        type=_marks,
        default=(),
        help="numbers of labels at which the table shows the accuracy, such as "
        "50,100 (default: four, evenly spread)",
        metavar="N,N",
    )


def _add_training(compare):
    training = compare.add_argument_group("advanced: training")
    add_count(training, "--epochs", 50, "maximum number of epochs per training")
    add_count(
        training,
        "--patience",
        None,
        "stop a training after this many epochs without improvement on a held-out "
        "fifth of the labels",
        "train on all labels, without early stopping",
    )
    add_count(
        training,
        "--restarts",
        1,
        "number of trainings per round; the best is kept; requires --patience",
    )
    training.add_argument(
        "--lr",
        type=positive,
        default=0.001,
        help="learning rate of Adam (default: 0.001)",
        metavar="X",
    )
    training.add_argument(
        "--no-even-batches",
        action="store_false",
        dest="even_batches",
        help="let the last batch of an epoch take what is left, even a single sample, "
        "as in the code of the papers (default: batches of even size)",
    )
    training.add_argument(
        "--width",
        type=positive,
        default=1.0,
        help="factor on the width of the network (default: 1)",
        metavar="X",
    )


def _marks(text):
    return tuple(map(at_least(1), listed(text)))


def _load():
    from skdfal.cli._comparison import compare

    return compare
