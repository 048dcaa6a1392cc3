"""The arguments of ``skdfal compare``."""

from pathlib import Path

from skdfal.cli._arguments import (
    HelpFormatter,
    add_columns,
    add_running,
    at_least,
    count,
    listed,
    positive,
)

# Chosen for the embedded digits: a comparison in about a minute on two cores.
_COMPARED = ("dfal", "uncertainty", "random")

_COMPARE_TEXT = """\
Compare query strategies: over some trials, each buys labels round by round, trains
a net from scratch, and is scored on the test set. All strategies of a trial start
from the same samples and the same weights.
"""
_COMPARE_EXAMPLES = """\
examples:
  skdfal compare
  skdfal compare --dataset mnist --strategies dfal,core_set,random --max-annotations 200
  skdfal compare --trials 5 --resume       (two trials more than the first command)
  skdfal compare --dataset pictures/       (your own: one subfolder per class)

With five trials or more the command says which differences are more than chance.
In the results folder: rounds.csv (one row per round), seconds.csv, table.md,
learning_curves.png, twins.png, and run.json (settings, versions, seeds, seconds).
Exit status: 0 done, 1 failed, 2 bad arguments, 130 interrupted (go on with --resume).
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
        help="{datasets}; digits, the default, comes with scikit-learn, the others "
        "are downloaded once; or a folder of your own pictures; or module:function",
        metavar="NAME",
    )
    what.add_argument(
        "--net",
        default="lenet5",
        help="{nets} (default: lenet5); or module:class",
        metavar="NAME",
    )
    what.add_argument(
        "--strategies",
        type=listed,
        default=_COMPARED,
        help="some of {strategies}, and module:function, with commas between; or all, "
        f"which is {{paper_strategies}} (default: {','.join(_COMPARED)})",
        metavar="NAMES",
    )
    what.add_argument("--trials", **count(3, "trials of each strategy"))

    labels = compare.add_argument_group("how many labels")
    labels.add_argument("--n-initial", **count(10, "labels before the first training"))
    labels.add_argument("--n-instances", **count(10, "labels bought per round"))
    labels.add_argument("--max-annotations", **count(100, "labels at the end"))

    running = add_running(compare)
    running.add_argument(
        "--resume",
        action="store_true",
        help="go on with what is in the folder: an interrupted run, or more trials "
        "and strategies",
    )

    own = compare.add_argument_group("your own pictures (--dataset FOLDER)")
    own.add_argument(
        "--labels",
        type=Path,
        help="CSV with a file and a label in each row (default: the first subfolder of "
        "each picture is its label)",
        metavar="FILE",
    )
    add_columns(own, ("file", "label"))
    own.add_argument(
        "--size",
        **count(None, "height and width in pixels at which the net sees them", 64),
    )

    data = compare.add_argument_group("advanced: the data")
    data.add_argument(
        "--n-candidates",
        **count(
            800,
            "samples of the pool that {of_candidates} look at in a round, the paper's "
            "K; the others look at all",
        ),
    )
    data.add_argument("--n-pool", **count(None, "samples in the pool", "all"))
    data.add_argument(
        "--n-test",
        **count(
            None,
            "samples to score on",
            "all; of your own pictures a fifth, drawn at random",
        ),
    )
    data.add_argument(
        "--n-validation",
        **count(
            None,
            "training samples kept apart, and scored on in place of the test set: "
            "what to choose settings by",
            "score on the test set",
        ),
    )
    data.add_argument(
        "--marks",
        type=_marks,
        default=(),
        help="numbers of labels that the table shows, such as 50,100 (default: four)",
        metavar="N,N",
    )

    training = compare.add_argument_group("advanced: training")
    training.add_argument("--epochs", **count(50, "most epochs per round"))
    training.add_argument(
        "--patience",
        **count(
            None,
            "stop after so many epochs without improvement on a fifth of the labels",
            "train on all labels to the end",
        ),
    )
    training.add_argument(
        "--restarts",
        **count(1, "trainings per round, of which the best is kept; needs --patience"),
    )
    training.add_argument(
        "--width",
        type=positive,
        default=1.0,
        help="factor on the width of the net (default: 1)",
        metavar="X",
    )


def _marks(text):
    return tuple(map(at_least(1), text.split(",")))


def _load():
    from skdfal.cli._comparison import compare

    return compare
