"""The command ``skdfal compare``: an experiment, its table and its figures."""

import hashlib
import json
import re
import sys
from pathlib import Path

from skdfal._utils._files import write_text
from skdfal._utils._names import did_you_mean
from skdfal.cli._arguments import RESULTS
from skdfal.cli._names import IMAGE_FOLDER, names, strategy_names
from skdfal.experiment import (
    Protocol,
    accuracy_table,
    difference_table,
    load_data,
    run_experiment,
)
from skdfal.experiment._names import find_modules_here
from skdfal.experiment._table import guessing_note, training_note
from skdfal.experiment._trial import samples_to_score
from skdfal.reproduce._files import draw_or_say, name_files, say
from skdfal.reproduce._pictures import save_learning_curves, save_twins

# Fields of a protocol, by argument.
_FIELDS = {
    "dataset": "dataset",
    "net": "net",
    "width": "width",
    "lr": "lr",
    "n_pool": "n_pool",
    "n_test": "n_test",
    "n_validation": "n_validation",
    "n_initial": "n_initial",
    "n_instances": "n_instances",
    "max_annotations": "max_annotations",
    "n_candidates": "n_candidates",
    "epochs": "max_epochs",
    "patience": "patience",
    "restarts": "n_restarts",
    "even_batches": "even_batches",
}
_IN_FOLDER_NAME = {"dataset", "net", "max_annotations"}


def compare(arguments):
    """Run the experiment that the arguments describe, and report it.

    Parameters
    ----------
    arguments : argparse.Namespace
        Arguments of the command. If ``out`` is None, it is set.
    """
    find_modules_here(arguments.dataset, arguments.net, *arguments.strategies)
    settings = {field: getattr(arguments, name) for name, field in _FIELDS.items()}
    settings |= _own_pictures(arguments)
    try:
        _run(Protocol(**settings, marks=arguments.marks), arguments)
    except ValueError as error:
        raise ValueError(_in_options(str(error))) from error


def _run(protocol, arguments):
    arguments.out = arguments.out or default_folder(arguments)
    if arguments.resume and not arguments.out.exists():
        print(
            f"Nothing to resume in {arguments.out}; starting a new experiment.",
            file=sys.stderr,
        )
    records = run_experiment(
        protocol,
        strategy_names(arguments.strategies),
        arguments.trials,
        seed=arguments.seed,
        out_dir=arguments.out,
        n_jobs=arguments.jobs,
        n_threads=arguments.threads,
        device=arguments.device,
        resume=arguments.resume,
    )
    _report(records, protocol, arguments)


def _in_options(message):
    """Replace the fields of a protocol in a message by options of the command."""
    for name, field in _FIELDS.items():
        # Others may be ordinary words of the message; even_batches has no such option.
        if "_" in field and field != "even_batches":
            option = f"--{name.replace('_', '-')}"
            message = re.sub(rf"\b{field}=", f"{option} ", message)
            message = re.sub(rf"\b{field}\b", option, message)
    return message


def default_folder(arguments):
    """Return the folder of the settings, to which trials and strategies may be added.

    It is the same if the pictures or their labels have moved to another place.
    """
    own = _own_pictures(arguments)
    params = own.get("dataset_params", {})
    params.pop("cache", None)
    for path in {"folder", "labels"}.intersection(params):
        params[path] = Path(params[path]).name
    data = params.get("folder", arguments.dataset)
    dataset, net = (name.replace(":", ".") for name in (data, arguments.net))
    name = f"{dataset}-{net}-{arguments.max_annotations}-seed{arguments.seed}"
    settings = _FIELDS | {"device": "device", "threads": "threads"}
    changed = {
        field: getattr(arguments, name)
        for name, field in settings.items()
        if name not in _IN_FOLDER_NAME
        and getattr(arguments, name) != arguments.default_of(name)
    }
    changed |= own
    if changed:
        digest = hashlib.sha256(json.dumps(changed, sort_keys=True).encode())
        name += f"-{digest.hexdigest()[:6]}"
    return RESULTS / name


def _own_folder(arguments):
    """Return the folder of pictures, or None if the data set is a name."""
    given, known = arguments.dataset, names()["datasets"]
    if given in known:
        return None
    if Path(given).is_dir():
        return Path(given).resolve()
    if ":" in given:
        return None
    raise ValueError(
        f"--dataset {given} should be one of {', '.join(known)}, a folder of pictures, "
        f"or module:function.{did_you_mean(given, known)}"
    )


def _own_pictures(arguments):
    """Return the fields of a protocol for a folder of pictures, if there is one.

    The test set is drawn when they are loaded; the pool is all other pictures.
    """
    folder = _own_folder(arguments)
    of_pictures = ("labels", "columns", "size", "cache")
    options = {name: vars(arguments)[name] for name in of_pictures}
    if folder is None:
        unused = [name for name, value in options.items() if value]
        if unused:
            raise ValueError(
                f"--{unused[0]} applies only to a folder of your own pictures, not to "
                f"--dataset {arguments.dataset}."
            )
        return {}
    params = {
        "folder": str(folder),
        "labels": arguments.labels and str(arguments.labels.resolve()),
        "cache": arguments.cache and str(arguments.cache.resolve()),
        "columns": arguments.columns,
        "image_size": arguments.size,
        "n_test": arguments.n_test,
        "random_state": arguments.seed,
    }
    params = {name: value for name, value in params.items() if value not in (None, {})}
    return {"dataset": IMAGE_FOLDER, "dataset_params": params, "n_test": None}


def _baseline(records, arguments):
    """Return the strategy to compare with: RANDOM, or the first one named."""
    is_random_there = any(row["strategy"] == "random" for row in records)
    return "random" if is_random_there else strategy_names(arguments.strategies)[0]


def _report(records, protocol, arguments):
    """Print the tables, and write them and the figures to the folder."""
    marks, out_dir = protocol.table_marks(), arguments.out
    kind = protocol.scored_on
    score = f"{kind.capitalize()} accuracy in percent"
    title = f"{score} at annotation marks, mean ± standard deviation"
    _, y_true = samples_to_score(protocol, load_data(protocol), arguments.seed)
    notes = [guessing_note(records, marks[-1], y_true), training_note(records)]
    baseline = _baseline(records, arguments)

    def text(tablefmt):
        table = accuracy_table(records, marks, tablefmt=tablefmt)
        differences = difference_table(records, baseline, tablefmt=tablefmt)
        return "\n\n".join(filter(None, [title, table, *notes, differences]))

    say(f"\n{text('simple')}\n")
    write_text(out_dir / "table.md", f"{text('github')}\n")

    def draw():
        save_learning_curves(
            records,
            out_dir / "learning_curves.png",
            title=f"{protocol.data_name}, {protocol.net}",
            ylabel=f"{kind} accuracy",
            formats=("png",),
        )
        save_twins(out_dir, out_dir / "twins.png")

    draw_or_say(draw)
    name_files(out_dir, ["rounds.csv", "table.md", "learning_curves.png", "twins.png"])
