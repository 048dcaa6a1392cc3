"""The command ``skdfal``: arguments in, experiment called, files out."""

import argparse
import hashlib
import json
import os
import shlex
import sys
import traceback
from concurrent.futures.process import BrokenProcessPool
from itertools import chain
from pathlib import Path

from skdfal._utils._files import OF_THE_DISK, write_text
from skdfal._utils._interrupt import raise_at_interrupt
from skdfal._version import __version__
from skdfal.experiment import (
    DATASETS,
    NETS,
    PAPER_STRATEGIES,
    FolderError,
    Protocol,
    TrialError,
    accuracy_table,
    run_experiment,
)
from skdfal.experiment._names import find, strategy_name
from skdfal.label._command import add_label
from skdfal.label._commands import add_parsers
from skdfal.learner import CheckpointError
from skdfal.reproduce import (
    ABLATION_DATASETS,
    PAPER_DATASETS,
    PAPER_METHODS,
    PAPER_NETS,
    SCALES,
    TASK_AWARE_DATASETS,
)
from skdfal.reproduce._command import WHAT, reproduce
from skdfal.reproduce._files import draw_or_say, name_files
from skdfal.reproduce._pictures import save_learning_curves, save_twins
from skdfal.strategies import STRATEGIES, describe

RESULTS = Path("skdfal-results")
_REPRODUCED = (*PAPER_DATASETS, *ABLATION_DATASETS, *TASK_AWARE_DATASETS)

_OK, _FAILED, _BAD_ARGUMENTS, _INTERRUPTED = 0, 1, 2, 130
_NO_READER = 141  # as a shell says of a process that SIGPIPE has ended

# Chosen for the embedded digits: a comparison in about a minute on two cores.
_COMPARED = ("dfal", "uncertainty", "random")
_MAX_EPOCHS = 50

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

In the results folder: rounds.csv (one row per round), seconds.csv, table.md,
learning_curves.png, twins.png, and run.json (settings, versions, seeds, seconds).
Exit status: 0 done, 1 failed, 2 bad arguments, 130 interrupted (go on with --resume).
"""

_REPRODUCE_TEXT = """\
Run an experiment of the DFAL paper (arXiv:1802.09841) again, and print what comes out
beside the paper's numbers. The scale says how much of it: "paper" is the whole of it,
"laptop" saves training time, "smoke" shows in minutes that all runs. How a scale
departs from the paper is printed on the table and the picture.

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


def main(argv=None):
    """Run the command.

    Parameters
    ----------
    argv : list of str, default=None
        Arguments; None takes those of the process.

    Returns
    -------
    status : int
        0 done, 1 failed, 2 bad arguments, 130 interrupted, 141 where the reader of
        the output has gone, such as ``head``.
    """
    try:
        status = _main(argv)
        print(end="", flush=True)  # what is still in the buffer
    except BrokenPipeError:
        # Nothing is left to flush into the closed pipe when Python ends.
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        return _NO_READER
    return status


def _main(argv):
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        raise_at_interrupt()
        arguments = _parser().parse_args(argv or ["--help"])
    except SystemExit as end:  # argparse has said why
        return end.code
    except KeyboardInterrupt:
        return _INTERRUPTED
    try:
        return arguments.run(arguments)
    except KeyboardInterrupt:
        return _stopped(argv, "Interrupted.", _INTERRUPTED)
    except TrialError as error:
        cause = error.__cause__
        if isinstance(cause, CheckpointError | FolderError):
            return _refused(arguments, cause)
        if not isinstance(cause, OSError):  # a full disk says it all
            traceback.print_exception(cause)
        return _stopped(argv, f"{error}.", _FAILED)
    except BrokenProcessPool:
        reason = "A worker process was killed, perhaps for want of memory."
        return _stopped(argv, reason, _FAILED)
    except FileExistsError:
        return _refused(
            arguments,
            f"{arguments.out} holds results already. Go on with them by --resume, or "
            "choose another folder by --out.",
        )
    except BrokenPipeError:
        raise
    except (ValueError, OSError) as error:
        if getattr(error, "errno", None) in OF_THE_DISK:
            return _stopped(argv, f"{error}.", _FAILED)
        return _refused(arguments, error)


def _stopped(argv, reason, status):
    again = ["skdfal", *argv]
    if argv[0] == "compare" and "--resume" not in argv:
        again.append("--resume")
    print(
        f"\n{reason} Nothing that was done is lost; go on with:\n  {shlex.join(again)}",
        file=sys.stderr,
    )
    return status


def _refused(arguments, reason):
    """Say in one line what is wrong with the arguments."""
    reason = " ".join(str(reason).split())
    print(f"skdfal {arguments.command}: error: {reason}", file=sys.stderr)
    return _BAD_ARGUMENTS


# compare


def _compare(arguments):
    protocol = Protocol(**_settings(arguments), marks=arguments.marks)
    arguments.out = arguments.out or _default_folder(arguments)
    if arguments.resume and not arguments.out.exists():
        print(f"Nothing to resume in {arguments.out}; starting.", file=sys.stderr)
    records = run_experiment(
        protocol,
        arguments.strategies,
        arguments.trials,
        seed=arguments.seed,
        out_dir=arguments.out,
        n_jobs=arguments.jobs,
        n_threads=arguments.threads,
        device=arguments.device,
        resume=arguments.resume,
    )
    _report(records, protocol, arguments.out)
    return _OK


def _settings(arguments):
    """Return what the arguments say of a protocol."""
    return {
        "dataset": arguments.dataset,
        "net": arguments.net,
        "width": arguments.width,
        "n_pool": arguments.n_pool,
        "n_test": arguments.n_test,
        "n_validation": arguments.n_validation,
        "n_initial": arguments.n_initial,
        "n_instances": arguments.n_instances,
        "max_annotations": arguments.max_annotations,
        "n_candidates": arguments.n_candidates,
        "max_epochs": arguments.epochs,
        "patience": arguments.patience,
        "n_restarts": arguments.restarts,
    }


def _default_folder(arguments):
    """Return the folder of the settings; trials and strategies may grow in it."""
    dataset, net = (n.replace(":", ".") for n in (arguments.dataset, arguments.net))
    name = f"{dataset}-{net}-{arguments.max_annotations}-seed{arguments.seed}"
    named = {
        "--dataset": arguments.dataset,
        "--net": arguments.net,
        "--max-annotations": str(arguments.max_annotations),
    }
    plain = _parser().parse_args(["compare", *chain.from_iterable(named.items())])
    settings, usual = (
        {**_settings(a), "device": a.device, "threads": a.threads}
        for a in (arguments, plain)
    )
    changed = {key: v for key, v in settings.items() if v != usual[key]}
    if changed:
        digest = hashlib.sha256(json.dumps(changed, sort_keys=True).encode())
        name += f"-{digest.hexdigest()[:6]}"
    return RESULTS / name


def _report(records, protocol, out_dir):
    """Print the table; write it and the pictures to the folder."""
    marks = protocol.table_marks()
    kind = "Test" if protocol.n_validation is None else "Validation"
    title = f"{kind} accuracy in percent at annotation marks, mean ± standard deviation"
    print(f"\n{title}\n\n{accuracy_table(records, marks)}\n")
    markdown = accuracy_table(records, marks, tablefmt="github")
    write_text(out_dir / "table.md", f"{title}\n\n{markdown}\n")

    def draw():
        save_learning_curves(
            records,
            out_dir / "learning_curves.png",
            title=f"{protocol.dataset}, {protocol.net}",
            ylabel=f"{kind.lower()} accuracy",
        )
        save_twins(out_dir, out_dir / "twins.png")

    draw_or_say(draw)
    name_files(out_dir, ["rounds.csv", "table.md", "learning_curves.png", "twins.png"])


# reproduce


def _reproduce(arguments):
    reproduce(arguments, RESULTS)
    return _OK


# The parser


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        """Say in one line what is wrong, without the usage."""
        self.exit(_BAD_ARGUMENTS, f"{self.prog}: error: {message}\n")


class _PrintCompletion(argparse.Action):
    """Prints a script for a shell: files where files go, and the names we know."""

    def __call__(self, parser, namespace, shell, option_string=None):
        try:
            import shtab
        except ImportError:
            parser.error(
                f'{option_string} needs shtab: pip install "skdfal[completion]"'
            )
        (commands,) = (a for a in parser._actions if isinstance(a.choices, dict))
        for command in commands.choices.values():
            for action in command._actions:
                if action.type in (Path, _folder):
                    action.complete = shtab.FILE
                elif action.dest in _COMPLETED and action.choices is None:
                    action.choices = _COMPLETED[action.dest]
        print(shtab.complete(parser, shell))
        parser.exit()


_COMPLETED = {
    "dataset": list(DATASETS),
    "net": list(NETS),
    "strategies": [*STRATEGIES, "all"],
    "strategy": list(STRATEGIES),
}


def _parser():
    parser = _Parser(
        prog="skdfal",
        description="Deep active learning: buy few labels, and buy the right ones.",
    )
    parser.add_argument("--version", action="version", version=f"skdfal {__version__}")
    parser.add_argument(
        "--print-completion",
        action=_PrintCompletion,
        choices=("bash", "zsh"),
        help="print what completes the command in a shell, and end",
    )
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    _add_compare(commands)
    _add_reproduce(commands)
    add_label(commands)
    add_parsers(commands)
    return parser


def _add_compare(commands):
    compare = commands.add_parser(
        "compare",
        help="compare query strategies on a data set",
        description=_COMPARE_TEXT,
        epilog=_COMPARE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    compare.set_defaults(run=_compare)

    what = compare.add_argument_group("what to compare")
    what.add_argument(
        "--dataset",
        type=_name_of("dataset", DATASETS),
        default="digits",
        help=f"{', '.join(DATASETS)}; digits, the default, comes with scikit-learn, "
        "the others are downloaded unless they are there; or module:function",
        metavar="NAME",
    )
    what.add_argument(
        "--net",
        type=_name_of("net", dict.fromkeys(NETS)),
        default="lenet5",
        help=f"{', '.join(NETS)} (default: lenet5); or module:class",
        metavar="NAME",
    )
    what.add_argument(
        "--strategies",
        type=_strategies,
        default=_COMPARED,
        help=f"some of {', '.join(STRATEGIES)}, and module:function, with commas "
        f"between; or all, which is {', '.join(PAPER_STRATEGIES)} (default: "
        f"{','.join(_COMPARED)})",
        metavar="NAMES",
    )
    what.add_argument("--trials", **_count(3, "trials of each strategy"))

    labels = compare.add_argument_group("how many labels")
    labels.add_argument("--n-initial", **_count(10, "labels before the first training"))
    labels.add_argument("--n-instances", **_count(10, "labels bought per round"))
    labels.add_argument("--max-annotations", **_count(100, "labels at the end"))

    running = _add_running(compare)
    running.add_argument(
        "--resume",
        action="store_true",
        help="go on with what is in the folder: an interrupted run, or more trials "
        "and strategies",
    )

    data = compare.add_argument_group("advanced: the data")
    data.add_argument(
        "--n-candidates",
        **_count(
            800,
            f"samples of the pool that {', '.join(_of_candidates())} look at in a "
            "round, the paper's K; the others look at all",
        ),
    )
    data.add_argument("--n-pool", **_count(None, "samples in the pool", "all"))
    data.add_argument("--n-test", **_count(None, "samples to score on", "all"))
    data.add_argument(
        "--n-validation",
        **_count(
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
    training.add_argument("--epochs", **_count(_MAX_EPOCHS, "most epochs per round"))
    training.add_argument(
        "--patience",
        **_count(
            None,
            "stop after so many epochs without improvement on a fifth of the labels",
            "train on all labels to the end",
        ),
    )
    training.add_argument(
        "--restarts",
        **_count(1, "trainings per round, of which the best is kept; needs --patience"),
    )
    training.add_argument(
        "--width",
        type=_positive,
        default=1.0,
        help="factor on the width of the net (default: 1)",
        metavar="X",
    )


def _add_reproduce(commands):
    command = commands.add_parser(
        "reproduce",
        help="run an experiment of the paper again",
        description=_REPRODUCE_TEXT,
        epilog=_REPRODUCE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=_reproduce)
    command.add_argument("what", choices=WHAT, help="one of the above", metavar="WHAT")
    for name, allowed, default in [
        (
            "dataset",
            list(dict.fromkeys(_REPRODUCED)),
            None,  # each experiment has its own
        ),
        (
            "net",
            list(PAPER_NETS),
            None,
        ),  # confidence and regions refuse one that is given
        ("scale", SCALES, "laptop"),
    ]:
        command.add_argument(
            f"--{name}",
            choices=allowed,
            default=default,
            help=f"{', '.join(allowed)} (default: {default or allowed[0]})",
            metavar="NAME",
        )
    command.add_argument(
        "--imbalance",
        type=_positive,
        help="of task-aware: how many times as many samples frequent classes have "
        "(default: 1)",
        metavar="X",
    )
    command.add_argument(
        "--strategies",
        type=_strategies,
        help=f"as of compare (default: {','.join(PAPER_METHODS)}; for "
        "table4 and figure3 those of the paper's Table 4)",
        metavar="NAMES",
    )
    command.add_argument(
        "--trials",
        **_count(
            None,
            "trials of each strategy; repeats of table3; pairs of nets of confidence "
            "and regions",
            "as the scale says",
        ),
    )
    _add_running(command)


def _add_running(command):
    """Add the options of both commands that say where and how it runs."""
    running = command.add_argument_group("running")
    running.add_argument(
        "--seed",
        type=_at_least(0),
        default=0,
        help="what all random numbers derive from (default: 0)",
        metavar="N",
    )
    running.add_argument(
        "--device", default="cpu", help="cpu (default), cuda, ...", metavar="NAME"
    )
    running.add_argument("--jobs", **_count(None, "processes", "one per core"))
    running.add_argument(
        "--threads", **_count(1, "threads in each; results depend on it a little")
    )
    running.add_argument(
        "--out",
        type=_folder,
        help=f"folder for the results (default: one in {RESULTS}, named after the "
        "settings)",
        metavar="FOLDER",
    )
    return running


def _count(default, text, default_text=None):
    """Return the parameters of an option that takes an integer >= 1."""
    default_text = default if default_text is None else default_text
    return {
        "type": _at_least(1),
        "default": default,
        "help": f"{text} (default: {default_text})",
        "metavar": "N",
    }


def _at_least(low):
    def integer(text):
        if not text.isdecimal() or int(text) < low:
            raise argparse.ArgumentTypeError(f"{text!r} should be an integer >= {low}")
        return int(text)

    return integer


def _positive(text):
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} should be a number > 0")
    return value


def _marks(text):
    return tuple(map(_at_least(1), text.split(",")))


def _folder(text):
    if not text.strip():
        raise argparse.ArgumentTypeError(f"{text!r} should be the name of a folder")
    return Path(text)


def _of_candidates():
    """Names of the strategies that look at a part of the pool."""
    return [name for name in STRATEGIES if describe(name).n_candidates is not None]


def _name_of(kind, known):
    """Return the type of an argument that is one of ours or ``module:name``."""

    def name(text):
        _find_modules_here(text)
        try:
            find(kind, text, known)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
        return text

    return name


def _strategies(text):
    if text == "all":
        return PAPER_STRATEGIES
    _find_modules_here(text)
    try:
        return tuple(dict.fromkeys(map(strategy_name, text.split(","))))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _find_modules_here(text):
    """Let modules in the working folder be imported, as ``python -m`` does."""
    here = str(Path.cwd())
    if ":" in text and here not in sys.path:
        sys.path.insert(0, here)
