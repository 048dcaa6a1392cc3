"""The arguments of ``skdfal reproduce``.

The texts list the experiments of the papers literally: they never change, and importing
the modules that define them would take seconds.
"""

import argparse
import re

from skdfal.cli._arguments import (
    RESULTS,
    add_count,
    add_running,
    listed,
    positive,
)

_REPRODUCE_TEXT = """\
Reproduce an experiment of the DFAL paper (arXiv:1802.09841), and print the results
next to the published numbers. The scale sets the size of the experiment: "paper" is the
full size, "laptop" shortens the training, and "smoke" checks in minutes that everything
runs. Tables and pictures state how the scale departs from the paper. Data sets: mnist
(default), fashion_shoe_bag, quickdraw and quickdraw_animals. Networks: lenet5 (default)
and vgg8.

  table1      test accuracy at several numbers of annotations, and ranks; also, beyond
              the paper: significance of DFAL's differences, areas under the learning
              curves, annotations saved, calibration errors
  table2      annotations and labelled data needed for the accuracy of the full
              training set
  table3      seconds to select 10 queries, for DFAL and CORE-SET
  table4      training sets selected with one network, used to train the other network
              from scratch
  figure2     learning curves of all methods: test accuracy against annotations
  figure3     learning curves for the training sets of table4
  confidence  confidence of two networks on the test set, with and without dropout
              (supplement, Figure 1)
  regions     whether test samples lie in the same classification regions of two
              networks (supplement, Figure 2)
Not in the paper:
  ablation    which part of DFAL helps: its query, its adversarial twins, or just the
              longer training; also on fashion_mnist and cifar10. --strategies
              takes its cells, such as dfal+copies

Experiments of the TA-VAAL paper (arXiv:2002.04709) and its supplement, on cifar10
(default), cifar100, svhn and fashion_mnist:

  task-aware              accuracy and improvement over RANDOM by stage, and the
                          selected samples; --imbalance 10 or 100 makes every other
                          class rare
  task-aware-independent  networks without loss prediction, trained on the selected
                          samples
  task-aware-losses       losses of both loss predictors over the epochs
  task-aware-large        task-aware with large budgets
"""
_WHAT = re.findall(r"^  ([\w-]+)  ", _REPRODUCE_TEXT, re.MULTILINE)
_SCALES = ("paper", "laptop", "smoke")
_REPRODUCE_EXAMPLES = """\
examples:
  skdfal reproduce table1 --dataset mnist --net lenet5 --scale smoke
  skdfal reproduce table1 --scale laptop --strategies dfal,random --trials 5
  skdfal reproduce table4 --net vgg8       (VGG8 selects, LeNet5 is trained)
  skdfal reproduce ablation --training "50 epochs" --trials 5
  skdfal reproduce task-aware --dataset cifar10 --imbalance 100 --scale smoke

Interrupt or kill it at any time: the same command continues where it stopped, and runs
no finished trial again. The results folder of table1 holds table1.md, rounds.csv (one
row per round), learning_curves.png and .svg, seconds.csv and run.json (settings,
versions, seeds, seconds). Other experiments write a .md, a .csv and a .json file of
their name, and .png and .svg pictures if they draw any. Experiments with the same
protocol share a folder: table2, table4 and the figures reuse the trials of table1.
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
        help="reproduce an experiment of the DFAL or TA-VAAL paper",
        description=_REPRODUCE_TEXT,
        epilog=_REPRODUCE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(load=_load)
    command.add_argument(
        "what",
        choices=_WHAT,
        help="experiment, one of those listed above",
        metavar="WHAT",
    )
    command.add_argument(
        "--dataset",
        help="data set, one of those listed above (default: the first one listed for "
        "the experiment)",
        metavar="NAME",
    )
    command.add_argument(
        "--net", help="network: lenet5 (default) or vgg8", metavar="NAME"
    )
    command.add_argument(
        "--scale",
        choices=_SCALES,
        default="laptop",
        help=f"size of the experiment: {', '.join(_SCALES)} (default: laptop)",
        metavar="NAME",
    )
    command.add_argument(
        "--imbalance",
        type=positive,
        help="task-aware only: number of samples of a frequent class per sample of a "
        "rare class (default: 1)",
        metavar="X",
    )
    command.add_argument(
        "--strategies",
        type=listed,
        help="query strategies, as in compare (default: those of the paper's Table 1; "
        "for table4 and figure3 those of its Table 4)",
        metavar="NAMES",
    )
    command.add_argument(
        "--training",
        action="append",
        help='ablation only: one of its trainings, such as "50 epochs"; may be given '
        "several times (default: all)",
        metavar="NAME",
    )
    add_count(
        command,
        "--trials",
        None,
        "number of trials of each strategy; for table3, of repetitions; for "
        "confidence and regions, of pairs of networks",
        "set by the scale",
    )
    add_running(command)


def _load():
    from skdfal.cli._names import strategy_names
    from skdfal.experiment._names import find_modules_here
    from skdfal.reproduce._command import reproduce

    def work(arguments):
        if arguments.strategies is not None:
            find_modules_here(*arguments.strategies)
            arguments.strategies = strategy_names(arguments.strategies)
        reproduce(arguments, RESULTS)

    return work
