"""Write the tables and pictures of the page of results from the published rows.

python docs/make_results.py [FOLDER ...]

Each folder is one of `skdfal reproduce` or `skdfal compare`; its rows, settings, tables
and pictures go to docs/results/ first, under its name without seed and scale (but
"paper"); of an experiment that still runs, the rows that there are. Of an
experiment that is there already, published trials stay that the folder does not have,
so that a run of one method is published beside the others. Then all that the page shows
is written anew, from the rows in docs/results/ alone: `tests/test_docs.py` does the
same, and finds a number that somebody has edited.
"""

import csv
import json
import re
import shutil
import sys
from pathlib import Path

from tabulate import tabulate

from skdfal._utils._files import write_csv, write_json
from skdfal._utils._records import in_points, percent, range_in_points
from skdfal.analysis import (
    annotations_saved,
    area_under_curve,
    paired_contrasts,
    paired_difference,
)
from skdfal.experiment import read_records, summarize
from skdfal.experiment._differences import MIN_TRIALS, p_text
from skdfal.experiment._folder import COLUMNS
from skdfal.experiment._machine import machine_name, n_cores, package_versions
from skdfal.experiment._names import find_strategy
from skdfal.experiment._table import in_percent, summarize_all
from skdfal.reproduce import ABLATION_DATASETS, paper_accuracies
from skdfal.reproduce._ablation import (
    Ablation,
    cell_table,
    contrast_rows,
    contrast_table,
    label_of,
)
from skdfal.reproduce._paper import ranks_of
from skdfal.strategies import STRATEGIES

RESULTS = Path(__file__).parent / "results"
# What commands write and the page has no use for, or writes itself.
LEFT_OUT = {"settings.json", "twins.png", "table1.md", "figure3.svg"}
LEFT_OUT |= {f"learning_curves.{suffix}" for suffix in ("png", "svg")}
LEFT_OUT |= {f"ablation.{suffix}" for suffix in ("md", "csv", "png", "svg")}

# The experiments of Table 1 on the page: marks of its tables, and whether the data are
# the paper's, so that its numbers stand beside ours.
TABLES = {
    "mnist-lenet5": ((100, 300, 500, 1000), True),
    "mnist-lenet5-paper": ((100, 500, 800, 1000), True),
    "mnist-vgg8": ((50, 100, 200, 300), True),
    "quickdraw-lenet5": ((50, 100, 200, 500), False),
    "quickdraw_animals-lenet5": ((50, 100, 200, 500), False),
    "fashion_shoe_bag-lenet5": ((50, 100, 200, 500), False),
}
VARIANTS = {
    "two dense layers": "two_layers",
    "one": "one_layer",
    "two, another choice": "other_choice",
    "one, another choice": "one_layer-other_choice",
}
NAMES = {
    "mnist-lenet5": "MNIST, LeNet5",
    "mnist-lenet5-paper": "MNIST, LeNet5, the paper's training",
    "mnist-vgg8": "MNIST, VGG8 of a quarter of the width",
    "quickdraw-lenet5": "Quick-Draw (cat, face, angel, dolphin), LeNet5",
    "quickdraw_animals-lenet5": "Quick-Draw (bird, cat, dog, fish), LeNet5",
    "fashion_shoe_bag-lenet5": "Shoes and bags of Fashion-MNIST, LeNet5",
}
SHORT = {
    "mnist-lenet5": "MNIST",
    "mnist-lenet5-paper": "MNIST, the paper's training",
    "mnist-vgg8": "MNIST, VGG8",
    "quickdraw-lenet5": "Quick-Draw, four classes of the paper",
    "quickdraw_animals-lenet5": "Quick-Draw, four animals",
    "fashion_shoe_bag-lenet5": "shoes and bags",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "quickdraw": "Quick-Draw",
    "quickdraw_animals": "Quick-Draw, four animals",
    "cifar10": "CIFAR-10",
}
LABELS = {
    "random+copies": "RANDOM, equal steps",
    "random+twins": "RANDOM with twins",
    "deepfool_margin": "DFAL without twins",
}

# What was tried to beat DFAL: names in the rows of docs/results/tried, in words. Where
# nothing is said of additions, each sample has a copy: as many steps as DFAL's.
TRIED = {
    "cold80d+twins": "DFAL plus: typical samples to 8 labels per class, then DFAL",
    "coldclu+copies": "typical samples to 4 labels per class, then clusters of the "
    "smallest margins",
    "coldclu6+copies": "the same, to 6 labels per class",
    "coldclu8+copies": "the same, typical samples of the K candidates",
    "coldcd8+twins": "the same, by DeepFool margins",
    "cold80clu+copies": "typical samples to 8 labels per class, then clusters of the "
    "smallest margins",
    "coldclu30+copies": "typical samples to 4 labels per class, then clusters of "
    "thirty times the smallest margins",
    "coldw+copies": "typical samples to 4 labels per class, then clusters of all K, "
    "weighted by margin",
    "coldm+copies": "typical samples to 4 labels per class, then softmax margin",
    "cold80m+copies": "the same, to 8 labels per class",
    "typical+copies": "typical samples throughout",
    "clu+copies": "clusters of the smallest margins",
    "mc+copies": "margin of the mean of 20 dropout draws",
    "bal+copies": "softmax margin, predicted classes in turn",
    "margin+copies": "softmax margin",
    "margin+twins": "softmax margin, with twins",
    "badge+copies": "BADGE",
    "random+copies": "RANDOM",
    "dfal+shifts": "DFAL, samples shifted by up to 2 pixels for twins",
    "dfal, cluster": "DFAL, first ten labels by clusters",
    "shortlist": "DFAL, ten times the candidates thinned by k-center",
    "margin shortlist": "softmax margin, ten times the candidates thinned by k-center; "
    "twins",
    "margin shortlist, whole pool": "the same, of the whole pool",
    "margin shortlist, far twins": "the same, K = 800, twins with overshoot 1",
    "margin long shortlist": "the same, thirty times the candidates",
}

USUAL_TRAINING = "50 epochs"  # of the ablations

# What DFAL plus is compared with on test sets: all of them have as many steps.
COMPARED = {
    "dfal+twins": "DFAL",
    "margin+twins": "softmax margin with twins",
    "badge+copies": "BADGE, equal steps",
    "random+copies": "RANDOM, equal steps",
}


def name_of(strategy):
    """Return what the page calls a strategy."""
    return LABELS.get(strategy) or find_strategy(strategy).label


# What commands wrote


def gather(folder):
    """Copy what sums an experiment up, beside the published trials that it lacks."""
    name = re.sub(r"(-laptop|-smoke)?-seed\d+$", "", folder.name)
    target = RESULTS / name
    target.mkdir(parents=True, exist_ok=True)
    if not (folder / "rounds.csv").exists():
        gather_running(folder, target)
        return
    for path in sorted(folder.iterdir()):
        if path.suffix not in {".md", ".csv", ".json", ".png", ".svg"}:
            continue
        if path.name in LEFT_OUT:
            continue
        published = target / path.name
        if published.exists() and path.name in ("rounds.csv", "seconds.csv"):
            _merge_rows(*_rows(path), published)
        elif published.exists() and path.name == "run.json":
            _merge_trials(_read_json(path), published)
        elif path.suffix == ".md":
            text = unbroken(path.read_text(encoding="utf-8"))
            published.write_text(text, encoding="utf-8")
        else:
            shutil.copyfile(path, published)


def unbroken(text):
    """Return the text with deviations that stay on the lines of their means."""
    space = "\N{NO-BREAK SPACE}"
    return text.replace(" ± ", f"{space}±{space}")


def gather_running(folder, target):
    """Write the rows that the trials of an experiment have while it runs."""
    rows = []
    for path in (folder / "trials").glob("*.csv"):
        rows += _rows(path)[0]
    _merge_rows(rows, COLUMNS, target / "rounds.csv")
    settings = _read_json(folder / "settings.json")
    run = {
        "settings": settings,
        "versions": package_versions(),
        "machine": machine_name(settings["n_threads"]),
        "cores": n_cores(),
        "trials": {},  # that are finished
    }
    _merge_trials(run, target / "run.json")


def _merge_rows(rows, columns, published):
    """Put trials in the place of those of the same name, beside the others."""
    there = {_trial(row) for row in rows}
    known = _rows(published)[0] if published.exists() else []
    kept = [row for row in known if _trial(row) not in there]
    write_csv(published, sorted(kept + rows, key=_place), columns)


def _trial(row):
    return row.get("training"), row["strategy"], row["trial"]


def _rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        return list(reader), reader.fieldnames


def _place(row):
    """Return what rows are sorted by: the order of the registry first."""
    name, known = row["strategy"], list(STRATEGIES)
    bare = name.partition("+")[0]
    place = known.index(bare) if bare in known else len(known)
    training = row.get("training", "")
    return training, place, name, int(row["trial"]), int(row["round"])


def _merge_trials(found, published):
    """Write a run.json, with the trials of the published one beside its own."""
    known = _read_json(published) if published.exists() else {}
    trials = known.get("trials", {}) | found["trials"]
    write_json(published, found | {"trials": dict(sorted(trials.items()))})


def _read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


# What the page shows


def texts():
    """Return the text of every table of the page, by its path in docs/results."""
    found = {"summary.md": summary_table()}
    for name, (marks, is_papers) in TABLES.items():
        records = records_of(name)
        published = _published(name) if is_papers else {}
        marks = [mark for mark in marks if mark <= last_count(records)]
        found[f"{name}/accuracies.md"] = accuracies(records, marks, published)
        found[f"{name}/areas.md"] = areas(shared(records))
    for name in ablations():
        found |= ablation_tables(name)
    found["effects.md"] = effects_table()
    found["tried/table.md"] = tried_table()
    found["dfal_plus/table.md"] = dfal_plus_table()
    found["core_set-cosine/table.md"] = metric_table((50, 100, 200, 300))
    found["paper_variants/table.md"] = variants_table()
    found |= {f"lines/{name}.inc": text for name, text in lines_of_pages().items()}
    return {name: unbroken(text) + "\n" for name, text in found.items()}


def records_of(name):
    """Return the published rows of Table 1, as far as all trials of a method are."""
    trials = {}
    for row in read_records(RESULTS / name / "rounds.csv"):
        of_method = trials.setdefault(row["strategy"], {})
        of_method.setdefault(row["trial"], []).append(row)
    return [
        row
        for of_method in trials.values()
        for row in _up_to_the_shortest(of_method.values())
    ]


def shared(records):
    """Return the rows as far as all methods are, as areas need them."""
    methods = {}
    for row in records:
        methods.setdefault(row["strategy"], []).append(row)
    return _up_to_the_shortest(methods.values())


def _up_to_the_shortest(parts):
    last = min(map(last_count, parts))
    return [row for part in parts for row in part if row["annotations"] <= last]


def last_count(records):
    """Return the largest number of annotations."""
    return max(row["annotations"] for row in records)


def _published(name):
    dataset, _, net = name.removesuffix("-paper").rpartition("-")
    return paper_accuracies(dataset, net)


def accuracies(records, marks, published):
    """Return accuracies at marks, the paper's in brackets; largest area first.

    Ranks are at the last mark that the paper and all its methods have.
    """
    summaries = summarize(records, marks)
    both = [name for name in summaries if published.get(name)]
    last = [
        mark
        for mark in marks
        if both and all(mark in summaries[n] and mark in published[n] for n in both)
    ][-1:]
    ranks = [
        (
            ranks_of({name: summaries[name][mark].mean for name in both}),
            ranks_of({name: published[name][mark] for name in both}),
        )
        for mark in last
    ]
    lines = []
    for row in area_under_curve(shared(records)).summary:
        name = row["strategy"]
        cells = []
        for mark in marks:
            ours, theirs = summaries[name].get(mark), published.get(name, {}).get(mark)
            beside = "" if theirs is None else f" ({100 * theirs:.1f})"
            cells.append(in_percent(ours) + beside if ours else "")
        for of_ours, of_papers in ranks:
            cells.append(f"{of_ours[name]} ({of_papers[name]})" if name in both else "")
        lines.append([name_of(name), *cells, row["n_trials"]])
    headers = ["method", *(f"{mark} labels" for mark in marks)]
    headers += [f"rank at {mark}" for mark in last]
    return _table([*headers, "trials"], lines)


def areas(records, strategy="dfal"):
    """Return areas, DFAL's lead with intervals that hold together, and labels saved."""
    saved = {r["strategy"]: r for r in annotations_saved(records, "random").summary}
    summary = area_under_curve(records).summary
    enough = [row["strategy"] for row in summary if row["n_trials"] >= MIN_TRIALS]
    others = [name for name in enough if name != strategy and strategy in enough]
    contrasts = {name: {strategy: 1, name: -1} for name in others}
    leads = {c.name: c for c in paired_contrasts(records, contrasts)} if others else {}
    lines = []
    for row in summary:
        name = row["strategy"]
        lead, of_random = leads.get(name), saved.get(name)
        lines.append(
            [
                name_of(name),
                percent(row["area_mean"], row["area_std"]),
                _with_interval(lead) if lead else "",
                p_text(lead.p_value) if lead else "",
                f"{of_random['saved_fraction']:.0%}"
                if of_random and of_random["n_reached"] == of_random["n_trials"]
                else "",
                row["n_trials"],
            ]
        )
    headers = ["method", "area", "DFAL's lead", "p", "labels saved", "trials"]
    if not leads:  # too few trials
        headers, *lines = (line[:2] + line[4:] for line in [headers, *lines])
    return _table(headers, lines)


def _with_interval(found):
    interval = range_in_points(found.low, found.high)
    return f"{in_points(found.difference)} ({interval})"


def summary_table():
    """Return one line per data set: areas of DFAL, of the best other, of RANDOM.

    RANDOM also as long trained as DFAL, where that was run.
    """
    lines = []
    for name in TABLES:
        records = shared(records_of(name))
        found = {r["strategy"]: r for r in area_under_curve(records).summary}
        plain = {n: r for n, r in found.items() if "+" not in n}
        plain = {n: r for n, r in plain.items() if n != "deepfool_margin"}
        best = next(n for n in plain if n != "dfal")
        cells = [found[n] for n in ("dfal", best, "random")]
        values = [f"{100 * row['area_mean']:.1f}" for row in cells]
        values[1] += f" {name_of(best)}"
        equal = found.get("random+copies")
        values.insert(2, f"{100 * equal['area_mean']:.1f}" if equal else "")
        counts = sorted({row["n_trials"] for row in cells})
        lines.append([SHORT[name], *values, last_count(records), first_to_last(counts)])
    headers = ["area", "DFAL", "best other", "RANDOM, equal steps", "RANDOM"]
    headers += ["labels", "trials"]
    return _table(headers, lines)


def ablations():
    """Return the names of the published ablations."""
    names = [f"{dataset}-ablation" for dataset in ABLATION_DATASETS]
    return [name for name in names if (RESULTS / name / "rounds.csv").exists()]


def ablation_records(name):
    """Return the rows of an ablation by training, in the order of its plan."""
    records = {}
    for row in read_records(RESULTS / name / "rounds.csv"):
        records.setdefault(row.pop("training"), []).append(row)
    order = Ablation(name.removesuffix("-ablation"), "laptop").protocols
    return {training: records[training] for training in order if training in records}


def ablation_tables(name):
    """Return cells and comparisons of an ablation."""
    records = ablation_records(name)
    plan = Ablation(name.removesuffix("-ablation"), "laptop")
    found = {
        f"{name}/cells.md": cell_table(records, plan_marks(plan), tablefmt="github")
    }
    effects = _with_training_in_words(contrast_rows(plan.contrasts, records))
    if effects:
        found[f"{name}/comparisons.md"] = contrast_table(effects, tablefmt="github")
    return found


def _with_training_in_words(effects):
    """Say what else than the usual training it was, rather than in a column."""
    return [
        row | {"contrast": _in_words(row), "training": USUAL_TRAINING}
        for row in effects
    ]


def _in_words(row):
    usual = row["training"] == USUAL_TRAINING
    return row["contrast"] if usual else f"{row['contrast']}; {row['training']}"


def effects_table():
    """Return the comparisons of several ablations side by side, in points of area.

    Bold where Holm's p-value is below 0.05.
    """
    found = {}
    for name in ablations():
        plan = Ablation(name.removesuffix("-ablation"), "laptop")
        for row in contrast_rows(plan.contrasts, ablation_records(name)):
            text = in_points(row["difference"])
            if row["p_value"] is not None and row["p_value"] < 0.05:
                text = f"**{text}**"
            found.setdefault(_in_words(row), {})[name] = text
    lines = [
        [words, *(cells.get(name, "") for name in ablations())]
        for words, cells in found.items()
        if len(cells) > 1
    ]
    names = [SHORT[name.removesuffix("-ablation")] for name in ablations()]
    return _table(["points of area", *names], lines)


def lines_of_pages():
    """Return for the page of each strategy what it has in the paper, and here."""
    folder = "mnist-lenet5"
    summaries = summarize(read_records(RESULTS / folder / "rounds.csv"), (100, 1000))
    published = _published(folder)
    found = {}
    for name, at in summaries.items():
        if name == "deepfool_margin" or "+" in name:
            continue
        theirs, ours = (
            " and ".join(f"{100 * values[n]:.1f}" for n in (100, 1000))
            for values in (published[name], {n: at[n].mean for n in at})
        )
        found[name] = (
            f"**The paper and our runs:** on MNIST with LeNet5, after 100 and 1,000 "
            f"labels, the paper has {theirs} %, our runs have {ours} % (means of "
            f"{at[100].n_trials} trials, trained longer than in the paper; see "
            ":doc:`../results`)."
        )
    ahead = ", ".join(
        f"{100 * leads['dfal+twins'].difference:.1f} on {SHORT[dataset]}"
        for dataset, leads in leads_of_dfal_plus().items()
        if "dfal+twins" in leads
    )
    found["dfal_plus"] = (
        "**Our runs** (DFAL plus is in no paper): its lead over DFAL in area under the "
        f"learning curve to 150 labels, in points, is {ahead} "
        "(:doc:`../results_dfal_plus`)."
    )
    return found


def metric_table(marks):
    """Return CORE-SET by both metrics and RANDOM, in the trials that all three have."""
    new = read_records(RESULTS / "core_set-cosine" / "rounds.csv")
    old = read_records(RESULTS / "mnist-lenet5" / "rounds.csv")
    rows = [row | {"strategy": 'CORE-SET, `metric="cosine"`'} for row in new]
    for name in ("core_set", "random"):
        rows += [
            row | {"strategy": name_of(name)} for row in old if row["strategy"] == name
        ]
    trials = {}
    for row in rows:
        trials.setdefault(row["strategy"], set()).add(row["trial"])
    shared = set.intersection(*trials.values())
    summaries = summarize_all([r for r in rows if r["trial"] in shared], marks)
    lines = [
        [name, *(in_percent(at[mark]) for mark in marks), at[marks[0]].n_trials]
        for name, at in summaries.items()
    ]
    return _table(["", *(f"{mark} labels" for mark in marks), "trials"], lines)


def variants_table(mark=100):
    """Return accuracies at scale "paper", and with its open choices made otherwise.

    Rows of one layer are those of its protocol with `net_params={}`; another choice is
    that of the whole pool (`candidates={}` or `n_candidates=None`), and of CORE-SET by
    features of unit length. Trials are those of two and of one layer.
    """
    published = _published("mnist-lenet5")
    rows = {
        header: read_records(RESULTS / "paper_variants" / f"{name}.csv")
        for header, name in VARIANTS.items()
    }
    first = next(iter(rows))  # the further trials, to this mark, of the protocol itself
    rows[first] += records_of("mnist-lenet5-paper")
    columns = {header: summarize(own, [mark]) for header, own in rows.items()}
    lines = []
    for name in sorted(published, key=lambda name: -published[name][mark]):
        found = {h: own[name][mark] for h, own in columns.items() if name in own}
        cells = {header: in_percent(one) for header, one in found.items()}
        n_trials = {found[header].n_trials for header in ("two dense layers", "one")}
        lines.append(
            [
                name_of(name),
                *(cells.get(header, "") for header in columns),
                ", ".join(map(str, sorted(n_trials))),
                f"{100 * published[name][mark]:.1f}",
            ]
        )
    return _table([f"{mark} labels", *columns, "trials", "paper"], lines)


def tried_table():
    """Return by how much what was tried is ahead of DFAL, on validation samples."""
    names = ("mnist", "fashion_mnist")
    records = {
        name: read_records(RESULTS / "tried" / f"validation-{name}.csv")
        for name in names
    }
    lines = []
    for strategy, words in TRIED.items():
        cells = []
        for rows in records.values():
            cells += _lead(rows, strategy, "dfal")
        if any(cells):
            lines.append([words, *cells])
    headers = ["points of area ahead of DFAL"]
    return _table(headers + [h for n in names for h in (SHORT[n], "trials")], lines)


def rows_of_test(dataset):
    """Return the rows of DFAL plus and of what it is compared with, on the test set."""
    rows = read_records(RESULTS / "dfal_plus" / f"{dataset}.csv")
    name = f"{dataset}-ablation"
    if name in ablations():
        cells = ablation_records(name)[USUAL_TRAINING]
        rows += [row for row in cells if row["strategy"] in COMPARED]
    return rows


def leads_of_dfal_plus():
    """Return for each data set its differences from what it is compared with.

    With intervals that hold together; of fewer than ``MIN_TRIALS`` there are none.
    """
    found = {}
    for dataset in ABLATION_DATASETS:
        if not (RESULTS / "dfal_plus" / f"{dataset}.csv").exists():
            continue
        rows, trials = rows_of_test(dataset), {}
        for row in rows:
            trials.setdefault(row["strategy"], set()).add(row["trial"])
        ours = trials.get("dfal_plus", set())
        contrasts = {
            name: {"dfal_plus": 1, name: -1}
            for name in COMPARED
            if len(ours & trials.get(name, set())) >= MIN_TRIALS
        }
        leads = paired_contrasts(rows, contrasts) if contrasts else []
        found[dataset] = {lead.name: lead for lead in leads}
    return found


def dfal_plus_table():
    """Return by how much DFAL plus is ahead, in points of area, on test sets."""
    found = leads_of_dfal_plus()
    lines = []
    for name, words in COMPARED.items():
        cells = []
        for leads in found.values():
            lead = leads.get(name)
            cells.append(_with_interval(lead) if lead else "")
        lines.append([words, *cells])
    counts = [{lead.n_trials for lead in leads.values()} for leads in found.values()]
    lines.append(["trials", *(first_to_last(sorted(of_data)) for of_data in counts)])
    return _table(["DFAL plus ahead of", *(SHORT[name] for name in found)], lines)


def first_to_last(counts):
    """Return a number, or the smallest and the largest of several; sorted are given."""
    return " to ".join(map(str, dict.fromkeys([counts[0], counts[-1]])))


def _lead(rows, strategy, baseline):
    """Return the difference of areas in points, with an interval of five and more."""
    areas = {}
    for row in area_under_curve(rows).trials:
        areas.setdefault(row["strategy"], {})[row["trial"]] = row["area"]
    ours, theirs = (areas.get(name, {}) for name in (strategy, baseline))
    shared = sorted(ours.keys() & theirs.keys())
    if not shared:
        return "", ""
    mean = sum(ours[t] - theirs[t] for t in shared) / len(shared)
    if len(shared) < MIN_TRIALS:
        return in_points(mean), len(shared)
    found = paired_difference(rows, strategy, baseline, annotations="area")
    return _with_interval(found), len(shared)


def plan_marks(plan):
    """Return the marks of the table of an ablation."""
    return next(iter(plan.protocols.values())).table_marks()


def _table(headers, lines):
    align = ["left"] + ["right"] * (len(headers) - 1)
    return tabulate(
        lines, headers=headers, tablefmt="github", colalign=align, disable_numparse=True
    )


# Settings: comparisons in docs/results/settings, one table for all


def changed_settings(folders):
    """Return for each folder in what its settings differ from those of the first."""
    usual, *others = (
        json.loads((folder / "settings.json").read_text()) for folder in folders
    )
    return ["as it is"] + [
        ", ".join(f"{key}={v}" for key, v in other.items() if v != usual.get(key))
        for other in others
    ]


def settings_table(folders):
    """Return one line per folder: what was changed, accuracies of its strategies."""
    lines = []
    for folder, changed in zip(folders, changed_settings(folders), strict=True):
        records = read_records(folder / "rounds.csv")
        last = max(row["annotations"] for row in records)
        summaries = summarize_all(records, [last])
        cells = {name: in_percent(found[last]) for name, found in summaries.items()}
        lines.append({"setting": changed, **cells})
    return tabulate(lines, headers="keys", tablefmt="github", disable_numparse=True)


def gather_settings(folders):
    """Copy the rows of comparisons, and write one table for all of them."""
    target = RESULTS / "settings"
    target.mkdir(parents=True, exist_ok=True)
    for folder in folders:
        shutil.copyfile(folder / "rounds.csv", target / f"{folder.name}.csv")
    text = f"{settings_table(folders)}\n"
    (target / "table.md").write_text(text, encoding="utf-8")


# Pictures


def draw_all():
    """Draw the learning curves of all experiments, errors on logarithmic axes."""
    for name, (_, is_papers) in TABLES.items():
        records = records_of(name)
        last = last_count(records)
        points = {
            strategy: [(n, v) for n, v in at.items() if n != "all" and n <= last]
            for strategy, at in (_published(name) if is_papers else {}).items()
            if any(row["strategy"] == strategy for row in records)
        }
        points = {strategy: pairs for strategy, pairs in points.items() if pairs}
        draw(records, RESULTS / name / "curves.png", NAMES[name], points, name_of)
    for name in ablations():
        records = ablation_records(name)
        first = next(iter(records))
        cells = ("dfal+twins", "dfal+copies", "margin+twins", "margin+nothing")
        cells += ("random+nothing", "random+copies", "random+twins")
        shown = [
            row | {"strategy": label_of(row["strategy"])}
            for row in records[first]
            if row["strategy"] in cells
        ]
        title = f"{SHORT[name.removesuffix('-ablation')]}, {first}"
        draw(shown, RESULTS / name / "curves.png", title, {}, str)
    for path in sorted((RESULTS / "dfal_plus").glob("*.csv")):
        rows = [
            row | {"strategy": COMPARED.get(row["strategy"], "DFAL plus")}
            for row in rows_of_test(path.stem)
        ]
        draw(rows, path.with_suffix(".png"), SHORT[path.stem], {}, str)


def draw(records, path, title, points, label):
    """Draw one picture that can be read on a phone."""
    from matplotlib.figure import Figure

    from skdfal.plot import ActiveLearningCurveDisplay

    display = ActiveLearningCurveDisplay.from_records(records)
    figure = Figure(figsize=(5.2, 4.6), layout="constrained")
    display.plot(
        figure.subplots(),
        scale="log_error",
        spread=None,
        points=points,
        labels={name: label(name) for name in display.curves},
        legend="lower left",
    )
    display.ax_.set_title(title, fontsize="medium")
    figure.savefig(path, dpi=150)


def main(names):
    """Gather the folders with these names, then write what the page shows."""
    folders = [Path(name).resolve() for name in names]
    settings = [folder for folder in folders if folder.parent.name == "settings"]
    for folder in folders:
        if folder not in settings:
            gather(folder)
    if settings:
        gather_settings(settings)
    for name, text in texts().items():
        path = RESULTS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    draw_all()


if __name__ == "__main__":
    main(sys.argv[1:])
