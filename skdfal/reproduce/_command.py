"""The command ``skdfal reproduce``: choose an experiment and its output folder."""

from skdfal.experiment._machine import check_device
from skdfal.reproduce import _figures, _tables
from skdfal.reproduce._ablation import ablation
from skdfal.reproduce._files import Run
from skdfal.reproduce._paper import (
    NETS,
    PAPER_DATASETS,
    changed_protocol,
    deviations_in_training,
    load_experiment,
    load_protocol,
)
from skdfal.reproduce._task_aware import TASK_AWARE, reproduce_task_aware

_REPORTS = {
    "table1": _tables.table1,
    "table2": _tables.table2,
    "table3": _tables.table3,
    "table4": _tables.table4,
    "figure2": _figures.figure2,
    "figure3": _figures.figure3,
    "confidence": _figures.confidence,
    "regions": _figures.regions,
}

_OF_TWO_NETS = ("confidence", "regions")
# Arguments without effect, and why; they are None if they are not given.
_OF_NO_EFFECT = {
    **{what: {"net": "it trains ResNet18"} for what in TASK_AWARE},
    "table3": {
        "strategies": "it times DFAL and CORE-SET",
        "jobs": "nothing else may run beside what is timed",
    },
    **{
        what: {
            "strategies": "its training sets are random",
            "net": f"it compares {' and '.join(NETS)}",
        }
        for what in _OF_TWO_NETS
    },
    "ablation": {"net": "each data set has its own"},
}


def reproduce(arguments, results):
    """Run the experiment that the arguments describe, and write its results.

    Parameters
    ----------
    arguments : argparse.Namespace
        Arguments of the command; ``dataset``, ``net`` and ``out`` are set if they are
        None.
    results : Path
        Parent of the results folder, unless ``arguments.out`` names one.

    Raises
    ------
    ValueError
        If an argument has no effect on the experiment, or the device is missing.
    """
    what = arguments.what
    of_no_effect = _OF_NO_EFFECT.get(what, {})
    if what not in TASK_AWARE:
        of_no_effect = of_no_effect | {"imbalance": "it has no rare classes"}
    if what != "ablation":
        of_no_effect = of_no_effect | {"training": "it trains in one way"}
    for name, reason in of_no_effect.items():
        if getattr(arguments, name) is not None:
            raise ValueError(
                f"--{name} has no effect on {what}: {reason}. Leave it out."
            )
    check_device(arguments.device)
    if what in TASK_AWARE:
        reproduce_task_aware(arguments, results)
        return
    arguments.dataset = arguments.dataset or next(iter(PAPER_DATASETS))
    if what == "ablation":
        ablation(arguments, results)
        return
    arguments.net = arguments.net or NETS[0]
    place = (arguments.dataset, arguments.net, arguments.scale)
    plain = load_protocol(*place)
    settings = load_experiment(what, *place)
    paper = plain
    if what == "table2":
        paper = changed_protocol(plain, settings)
    elif what == "table3" or what in _OF_TWO_NETS:  # without the loop
        training = deviations_in_training(*place)
        paper = plain._replace(deviations=[*training, *settings["deviations"]])
    arguments.out = arguments.out or results / _folder_name(arguments, plain, paper)
    _REPORTS[what](Run(arguments, paper, settings, arguments.out))


def _folder_name(arguments, plain, paper):
    """Return the folder name, one for all experiments that share their trials."""
    what, scale = arguments.what, arguments.scale
    net = "two_nets" if what in _OF_TWO_NETS else arguments.net
    name = f"{arguments.dataset}-{net}-{scale}"
    if what == "table3" or plain.protocol.settings() != paper.protocol.settings():
        name += f"-{what}"
    return f"{name}-seed{arguments.seed}"
