"""The arguments of ``skdfal reproduce``.

What the papers have stands in the texts as it is: it never changes, and to look it up
where it is kept would take seconds.
"""

import argparse
import re

from skdfal.cli._arguments import (
    RESULTS,
    add_running,
    count,
    listed,
    positive,
)

_REPRODUCE_TEXT = """\
Run an experiment of the DFAL paper (arXiv:1802.09841) again, and print what comes out
beside the paper's numbers. The scale says how much of it: "paper" is the whole of it,
"laptop" saves training time, "smoke" shows in minutes that all runs. How a scale
departs from the paper is printed on the table and the picture. The data sets are mnist
(the default), fashion_shoe_bag, quickdraw and quickdraw_animals, the nets lenet5 (the
default) and vgg8.

  table1      test accuracy at some numbers of annotations, and ranks; beyond the
              paper: whether DFAL's differences are real, areas, annotations saved,
              calibration errors
  table2      annotations and labelled data to reach the full training set's accuracy
  table3      seconds to choose 10 queries, DFAL and CORE-SET
  table4      what the net chose, used to train the other net from scratch
  figure2     learning curves: test accuracy against annotations, all methods
  figure3     the same for the training sets of table4
  confidence  of two nets on the test set, plain and by dropout (supplement, Figure 1)
  regions     whether test samples lie in the same classification regions of two nets
              (supplement, Figure 2)
and one that is not the paper's:
  ablation    what is at work in DFAL: its query, its twins, or mere training; also on
              fashion_mnist and cifar10

And of the TA-VAAL paper (arXiv:2002.04709) with its supplement, on cifar10 (the
default), cifar100, svhn and fashion_mnist:

  task-aware              accuracy and improvement over RANDOM by stage, and what was
                          chosen; --imbalance 10 or 100 makes every other class rare
  task-aware-independent  nets without loss prediction, trained on what was chosen
  task-aware-losses       losses of both loss predictors over the epochs
  task-aware-large        task-aware with large budgets
"""
_WHAT = re.findall(r"^  ([\w-]+)  ", _REPRODUCE_TEXT, re.MULTILINE)
_SCALES = ("paper", "laptop", "smoke")
_REPRODUCE_EXAMPLES = """\
examples:
  skdfal reproduce table1 --dataset mnist --net lenet5 --scale smoke
  skdfal reproduce table1 --scale laptop --strategies dfal,random --trials 5
  skdfal reproduce table4 --net vgg8       (VGG8 chooses, LeNet5 is trained)
  skdfal reproduce task-aware --dataset cifar10 --imbalance 100 --scale smoke

Interrupt or kill it at any time: the same command goes on where it stood, and runs no
finished trial again. In the results folder, for table1: table1.md, rounds.csv (one row
per round), learning_curves.png and .svg, seconds.csv, run.json (settings, versions,
seeds, seconds). For the others: a .md, .csv and .json of their name, and .png and .svg
where they draw. What has the same protocol shares one folder: table2, table4 and the
figures go on with the trials of table1.
"""


def add_reproduce(commands):
    """Add the command to those of ``skdfal``.

    Parameters
    ----------
    commands : argparse action
        What ``add_subparsers`` returned.
    """
    command = commands.add_parser(
        "reproduce",
        help="run an experiment of the paper again",
        description=_REPRODUCE_TEXT,
        epilog=_REPRODUCE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(load=_load)
    command.add_argument("what", choices=_WHAT, help="one of the above", metavar="WHAT")
    command.add_argument(
        "--dataset",
        help="one of those above (default: the first that the experiment has)",
        metavar="NAME",
    )
    command.add_argument("--net", help="lenet5 (default) or vgg8", metavar="NAME")
    command.add_argument(
        "--scale",
        choices=_SCALES,
        default="laptop",
        help=f"{', '.join(_SCALES)} (default: laptop)",
        metavar="NAME",
    )
    command.add_argument(
        "--imbalance",
        type=positive,
        help="of task-aware: how many times as many samples frequent classes have "
        "(default: 1)",
        metavar="X",
    )
    command.add_argument(
        "--strategies",
        type=listed,
        help="as of compare (default: those of the paper's Table 1, for table4 and "
        "figure3 of its Table 4)",
        metavar="NAMES",
    )
    command.add_argument(
        "--trials",
        **count(
            None,
            "trials of each strategy; repeats of table3; pairs of nets of confidence "
            "and regions",
            "as the scale says",
        ),
    )
    add_running(command)


def _load():
    from skdfal.cli._names import find_modules_here, strategy_names
    from skdfal.reproduce._command import reproduce

    def work(arguments):
        if arguments.strategies is not None:
            find_modules_here(*arguments.strategies)
            arguments.strategies = strategy_names(arguments.strategies)
        reproduce(arguments, RESULTS)

    return work
