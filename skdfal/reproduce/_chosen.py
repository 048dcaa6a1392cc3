"""What strategies queried: counts per class, and the images themselves."""

import numpy as np

from skdfal.datasets._imbalance import usual_rare
from skdfal.experiment import load_data
from skdfal.experiment._folder import finished_trials
from skdfal.experiment._names import find_strategy
from skdfal.experiment._table import in_percent, summary_of, text_table
from skdfal.reproduce._pictures import save_figure

_N_PICTURES = 12  # per strategy
_MAX_CLASSES = 30  # with more, counts of single classes cannot be read


def chosen_rows(out_dir, protocol):
    """Count the queried samples of finished trials, without the initial ones.

    Parameters
    ----------
    out_dir : path-like
        Folder of the experiment.
    protocol : Protocol
        The experiment.

    Returns
    -------
    rows : list of dict
        One row per trial and class: "strategy", "trial", "label", "n_chosen",
        "n_training" (samples of the class in the training set), and "is_rare" (whether
        the class was made rare).
    """
    data = load_data(protocol)
    n_classes = len(data.target_names)
    n_training = np.bincount(data.y_train, minlength=n_classes)
    # Not by their counts, which may differ in the original data, too.
    rare = usual_rare(np.unique(data.y_train)) if protocol.imbalance > 1 else []
    rows = []
    for files in finished_trials(out_dir):
        labels = data.y_train[_queried(files, protocol)]
        for label, n in enumerate(np.bincount(labels, minlength=n_classes)):
            rows.append(
                {
                    "strategy": files.strategy,
                    "trial": files.trial,
                    "label": str(data.target_names[label]),
                    "n_chosen": int(n),
                    "n_training": int(n_training[label]),
                    "is_rare": label in rare,
                }
            )
    return rows


def _queried(files, protocol):
    """Return the indices of a trial's queried samples, in the order of the queries."""
    _, end = files.read()
    return np.array(end["annotated"][protocol.n_initial :], dtype=int)


def rare_share_table(rows, *, tablefmt="simple"):
    """Return a table of the proportion of queried samples from rare classes.

    Parameters
    ----------
    rows : list of dict
        Result of :func:`chosen_rows`.
    tablefmt : str, default="simple"
        A table format of tabulate.

    Returns
    -------
    table : str
        One line per strategy, the largest proportion first.
    """
    shares = {}
    for row in rows:
        of_trial = shares.setdefault(row["strategy"], {}).setdefault(
            row["trial"], [0, 0]
        )
        of_trial[0] += row["n_chosen"] * row["is_rare"]
        of_trial[1] += row["n_chosen"]
    found = {
        name: summary_of([rare / max(1, n) for rare, n in trials.values()])
        for name, trials in shares.items()
    }
    lines = [
        [name, in_percent(found[name]), found[name].n_trials]
        for name in sorted(found, key=lambda name: -found[name].mean)
    ]
    headers = ["strategy", "of rare classes, % of the queries", "trials"]
    return text_table(headers, lines, tablefmt)


def save_chosen(out_dir, protocol, path):
    """Draw the first images that each strategy queried, and counts per class.

    Parameters
    ----------
    out_dir : path-like
        Folder of the experiment.
    protocol : Protocol
        The experiment.
    path : path-like
        The file.
    """
    from matplotlib.figure import Figure

    data = load_data(protocol)
    rows = chosen_rows(out_dir, protocol)
    first = {}
    for files in finished_trials(out_dir):
        first.setdefault(files.strategy, files)
    figure = Figure(figsize=(11, 0.95 * len(first) + 0.9), layout="constrained")
    grid = figure.subplots(len(first), 2, squeeze=False, width_ratios=(7, 4))
    for (left, right), (name, files) in zip(grid, first.items(), strict=True):
        chosen = _queried(files, protocol)[:_N_PICTURES]
        _draw_pictures(left, data.X_train[chosen])
        left.set_ylabel(
            find_strategy(name).label,
            rotation=0,
            ha="right",
            va="center",
            fontsize="small",
        )
        _draw_counts(right, [row for row in rows if row["strategy"] == name])
    grid[0, 0].set_title("first pictures of the first query, best first")
    grid[0, 1].set_title("chosen of each class, mean over trials")
    bars = grid[-1, 1]
    bars.tick_params(labelbottom=True)
    if len(data.target_names) <= _MAX_CLASSES:
        bars.set_xticks(range(len(data.target_names)), data.target_names, rotation=60)
    save_figure(figure, path, ("png",))  # photographs: no SVG


def _draw_pictures(ax, X):
    """Draw images of shape (n, channels, height, width) in a row."""
    strip = np.concatenate(list(np.pad(X, [(0, 0)] * 3 + [(0, 2)])), axis=2)
    image = strip.transpose(1, 2, 0)
    ax.imshow(image.squeeze(), cmap="gray" if image.shape[2] == 1 else None)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def _draw_counts(ax, rows):
    """Draw the counts of one strategy, rare classes in another colour."""
    labels = list(dict.fromkeys(row["label"] for row in rows))
    for place, label in enumerate(labels):
        of_class = [row for row in rows if row["label"] == label]
        mean = np.mean([row["n_chosen"] for row in of_class])
        color = "#D55E00" if of_class[0]["is_rare"] else "#56B4E9"
        ax.bar(place, mean, color=color)
    ax.tick_params(labelbottom=False, labelsize="small")
    ax.set_xticks([])
