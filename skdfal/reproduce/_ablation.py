"""What makes DFAL work: query, twins or training? This is not in the paper."""

from collections import defaultdict

from skdfal._utils._files import write_csv
from skdfal._utils._records import in_points, percent, range_in_points
from skdfal.analysis import area_under_curve, paired_contrasts
from skdfal.experiment import Protocol, run_experiment, summarize
from skdfal.experiment._differences import MIN_TRIALS, p_text
from skdfal.experiment._names import find_strategy
from skdfal.experiment._table import in_percent, text_table
from skdfal.reproduce._files import draw_or_say, name_files, write_run, write_tables
from skdfal.reproduce._paper import SCALES, check_one_of, protocol_values, sections
from skdfal.reproduce._pictures import PICTURES, save_learning_curves

ABLATION_DATASETS = (
    "mnist",
    "fashion_mnist",
    "quickdraw",
    "quickdraw_animals",
    "cifar10",
)


class Ablation:
    """The protocols of an ablation, one per training, and the comparisons.

    Parameters
    ----------
    dataset : str
        One of ``ABLATION_DATASETS``.
    scale : {"paper", "laptop", "smoke"}
        Size of the experiment.
    """

    def __init__(self, dataset, scale):
        check_one_of("dataset", dataset, ABLATION_DATASETS)
        check_one_of("scale", scale, SCALES)
        of_paper, of_scale = sections("ablation", scale)
        values = {"dataset": dataset} | of_paper | of_scale
        for section in (of_paper, of_scale):
            values |= section.get("datasets", {}).get(dataset, {})
        self.dataset, self.scale = dataset, scale
        self.n_trials = values.pop("n_trials")
        self.contrasts = values["contrasts"]
        self.cells, self.protocols = {}, {}
        for training, changed in values["trainings"].items():
            lists = changed["cells"]
            self.cells[training] = [cell for name in lists for cell in values[name]]
            self.protocols[training] = Protocol(**protocol_values(values | changed))


def ablation(arguments, results):
    """Run the missing cells, and compare all cells that the folder holds.

    Parameters
    ----------
    arguments : argparse.Namespace
        Arguments of the command.
    results : Path
        Parent of the results folder, unless ``arguments.out`` names one.
    """
    plan = Ablation(arguments.dataset, arguments.scale)
    trainings = arguments.training or list(plan.protocols)
    if unknown := [name for name in trainings if name not in plan.protocols]:
        raise ValueError(
            f"The ablation has no training {unknown[0]!r}; it has "
            f"{', '.join(map(repr, plan.protocols))}."
        )
    known = dict.fromkeys(cell for name in trainings for cell in plan.cells[name])
    chosen = arguments.strategies or list(known)
    if unknown := [name for name in chosen if name not in known]:
        where = f" with {', '.join(trainings)}" if arguments.training else ""
        raise ValueError(
            f"The ablation{where} has no cell {', '.join(unknown)}; it has "
            f"{', '.join(known)}."
        )
    n_trials = arguments.trials or plan.n_trials
    name = f"{plan.dataset}-ablation-{plan.scale}-seed{arguments.seed}"
    out_dir = arguments.out or results / name
    records = {}
    for training, protocol in plan.protocols.items():
        folder = out_dir / _folder_name(training)
        is_wanted = training in trainings
        cells = [c for c in plan.cells[training] if is_wanted and c in chosen]
        if not cells and not folder.exists():
            continue
        found = run_experiment(
            protocol,
            cells or plan.cells[training],
            n_trials if cells else 0,  # those of earlier calls, with the same settings
            seed=arguments.seed,
            out_dir=folder,
            n_jobs=arguments.jobs,
            n_threads=arguments.threads,
            device=arguments.device,
            resume=True,
        )
        if found:
            records[training] = found
            write_ablation(plan, records, out_dir, arguments)
    names = ["ablation.md", "ablation.csv", "rounds.csv", "ablation.json"]
    name_files(out_dir, names + [f"ablation.{suffix}" for suffix in PICTURES])


def _folder_name(training):
    return training.replace(",", "").replace(" ", "_")


def write_ablation(plan, records, out_dir, arguments):
    """Write rows, tables and figure of the results so far.

    Parameters
    ----------
    plan : Ablation
        The ablation.
    records : dict of str to list of dict
        Rows of each training.
    out_dir : Path
        Folder for the files.
    arguments : argparse.Namespace
        Arguments of the command: ``seed``, ``device`` and ``threads``.
    """
    rows = [
        {"training": training, **row}
        for training, own in records.items()
        for row in own
    ]
    write_csv(out_dir / "rounds.csv", rows)
    effects = contrast_rows(plan.contrasts, records)
    if effects:
        write_csv(out_dir / "ablation.csv", effects)
    protocol = next(iter(plan.protocols.values()))
    marks = protocol.table_marks()
    title = f"What is at work in DFAL, {plan.dataset}, {protocol.net}"
    note = (
        f'Scale "{plan.scale}". In percent: area, the mean accuracy over all counts of '
        f"annotations to {marks[-1]}, and accuracies at some; mean ± standard "
        "deviation over trials."
    )
    n_tested = sum(row["p_value"] is not None for row in effects)
    contrast_note = (
        f"Differences of areas in points, paired over trials, with intervals that hold "
        f"together with 95 % (Bonferroni, {n_tested} comparisons) and p-values "
        f"corrected by Holm; neither is given of fewer than {MIN_TRIALS} trials."
    )

    def tables(tablefmt):
        found = [cell_table(records, marks, tablefmt=tablefmt)]
        if effects:
            found += [contrast_note, contrast_table(effects, tablefmt=tablefmt)]
        return found

    write_tables(out_dir / "ablation.md", title, note, tables)
    settings = {training: plan.protocols[training].settings() for training in records}
    write_run(out_dir / "ablation.json", settings, arguments)
    _draw(plan, records, out_dir / "ablation.png")


def _draw(plan, records, path):
    """Draw learning curves of the main cells of the first training."""
    first = next(iter(records))
    shown = ("dfal+twins", "dfal+copies", "margin+twins", "margin+nothing")
    shown += ("random+nothing", "random+copies", "random+twins")
    drawn = [  # by labels, so that DFAL and RANDOM look as in all figures
        row | {"strategy": label_of(row["strategy"])}
        for row in records[first]
        if row["strategy"] in shown
    ]
    if drawn:
        draw_or_say(
            lambda: save_learning_curves(
                drawn,
                path,
                title=f"{plan.dataset}, {first}",
                scale="log_error",
            )
        )


def label_of(cell):
    """Return the name of a cell in tables, such as "DFAL's query + copies".

    Parameters
    ----------
    cell : str
        A strategy with an addition.

    Returns
    -------
    label : str
        Label of the cell.
    """
    if cell == "dfal+twins":
        return "DFAL"
    query, _, addition = cell.partition("+")
    words = {"dfal": "DFAL's query", "margin": "softmax margin", "random": "RANDOM"}
    query = words.get(query, find_strategy(query).label)
    what = addition.partition("_")
    added = f"{what[0]}, overshoot {what[2]}" if what[2] else what[0]
    return query if addition == "nothing" else f"{query} + {added}"


def cell_table(records, marks, *, tablefmt="simple"):
    """Return a table of areas and accuracies, one line per cell.

    Parameters
    ----------
    records : dict of str to list of dict
        Rows of each training.
    marks : sequence of int
        Numbers of annotations at which to show the accuracy.
    tablefmt : str, default="simple"
        A table format of tabulate.

    Returns
    -------
    table : str
        The table, grouped by training, largest area first.
    """
    lines = []
    for training, rows in records.items():
        summaries = summarize(rows, marks)
        for row in area_under_curve(rows).summary:
            at = summaries[row["strategy"]]
            lines.append(
                [
                    training,
                    label_of(row["strategy"]),
                    percent(row["area_mean"], row["area_std"]),
                    *(in_percent(at[mark]) for mark in marks),
                    row["n_trials"],
                ]
            )
    headers = ["training", "cell", "area", *map(str, marks), "trials"]
    return _without_the_only_training(headers, lines, 0, tablefmt)


def contrast_rows(contrasts, records):
    """Return the contrasts of all trainings, corrected for their total number.

    Parameters
    ----------
    contrasts : list of dict
        "name", and the lists "of" and "less", whose cells are compared in pairs.
    records : dict of str to list of dict
        Rows of each training.

    Returns
    -------
    rows : list of dict
        "contrast", "training", "difference", "low", "high", "p_value" and "n_trials",
        for contrasts whose cells share at least two trials. A pair of cells that shares
        fewer trials than another pair of its contrast is left out. Contrasts with fewer
        than ``MIN_TRIALS`` trials have only the difference, and do not count in the
        correction of the others.
    """
    weights, every = {True: {}, False: {}}, []  # with enough trials, and with fewer
    for training, rows in records.items():
        trials = defaultdict(set)
        for row in rows:
            trials[row["strategy"]].add(row["trial"])
            every.append(row | {"strategy": f"{row['strategy']} | {training}"})
        for contrast in contrasts:
            pairs, n_trials = _comparable_pairs(contrast, trials)
            if n_trials < 2:
                continue
            of_cells = defaultdict(float)
            for pair in pairs:
                for cell, weight in zip(pair, (1, -1), strict=True):
                    of_cells[f"{cell} | {training}"] += weight / len(pairs)
            weights[n_trials >= MIN_TRIALS][contrast["name"], training] = of_cells
    found = {}
    for is_enough, of_kind in weights.items():
        untold = {} if is_enough else dict.fromkeys(("low", "high", "p_value"))
        for one in paired_contrasts(every, of_kind) if of_kind else ():
            values = one._asdict() | untold
            name, training = values.pop("name")
            found[name, training] = {"contrast": name, "training": training} | values
    places = ((one["name"], training) for training in records for one in contrasts)
    return [found[place] for place in places if place in found]


def _comparable_pairs(contrast, trials):
    """Return the pairs that share the most trials, and how many trials they share."""
    shared = {
        (cell, other): trials[cell] & trials[other]
        for cell, other in zip(contrast["of"], contrast["less"], strict=True)
    }
    most = max(map(len, shared.values()))
    shared = {pair: common for pair, common in shared.items() if len(common) == most}
    return list(shared), len(set.intersection(*shared.values()))


def contrast_table(rows, *, tablefmt="simple"):
    """Return the rows of :func:`contrast_rows` as a table, in points.

    Parameters
    ----------
    rows : list of dict
        Rows of the table.
    tablefmt : str, default="simple"
        A table format of tabulate.

    Returns
    -------
    table : str
        One line per contrast and training.
    """
    lines = [
        [
            row["contrast"],
            row["training"],
            in_points(row["difference"]),
            *(
                [
                    range_in_points(row["low"], row["high"]),
                    p_text(row["p_value"]),
                ]
                if row["p_value"] is not None
                else ["", ""]
            ),
            row["n_trials"],
        ]
        for row in rows
    ]
    headers = ["comparison", "training", "points", "interval", "p", "trials"]
    return _without_the_only_training(headers, lines, 1, tablefmt)


def _without_the_only_training(headers, lines, place, tablefmt):
    """Return a table, with a column of trainings if there are several."""
    n_left = 2
    if len({line[place] for line in lines}) == 1:
        headers, *lines = (
            line[:place] + line[place + 1 :] for line in [headers, *lines]
        )
        n_left = 1
    return text_table(headers, lines, tablefmt, n_left)
