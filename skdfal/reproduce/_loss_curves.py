"""Losses of both loss predictors over the epochs (Figure 2 of the supplement)."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from torch.nn import functional as F

from skdfal._utils._records import mean_and_std, with_std
from skdfal._utils._seeds import seeded
from skdfal.adapter._training import fit_encoded
from skdfal.experiment import derive_seed, load_data
from skdfal.experiment._jobs import run_jobs
from skdfal.experiment._table import text_table
from skdfal.experiment._trial import samples_to_score
from skdfal.reproduce._pictures import save_figure
from skdfal.reproduce._transfer import shared_settings
from skdfal.strategies import learning_loss_score

_PREDICTORS = {"margin": "Learning Loss", "ranking": "Learning Loss v2"}


def loss_curves(
    protocol, n_labeled, n_trials, *, seed=0, out_dir, device="cpu", **processes
):
    """Train networks with both kinds of head on random samples, and record losses.

    Parameters
    ----------
    protocol : Protocol
        Protocol of the training.
    n_labeled, n_trials : int
        Number of training samples, and of trainings, each on other samples.
    seed, device : int, str
        As for :func:`run_experiment`.
    out_dir : path-like
        Folder of the experiment; the results go to ``losses`` in it.
    **processes : dict
        ``n_jobs``, ``n_threads`` and ``verbose`` of :func:`run_experiment`.

    Returns
    -------
    rows : list of dict
        One row per trial, predictor and epoch: "task_loss", "pair_loss", and, in the
        last epoch only, "spearman", the rank correlation of predicted and true losses
        of test samples.
    """
    jobs = {
        f"{kind}-{trial}": (_train, (protocol, kind, n_labeled, trial, seed, device))
        for trial in range(n_trials)
        for kind in _PREDICTORS
    }
    settings = shared_settings(protocol, seed, device, processes)
    settings["n_labeled"] = n_labeled
    found = run_jobs(
        Path(out_dir) / "losses", settings, jobs, what="loss predictors", **processes
    )
    rows = []
    for name, result in found.items():
        kind, _, trial = name.rpartition("-")
        last = len(result["task_loss"])
        for epoch in range(1, last + 1):
            rows.append(
                {
                    "loss_prediction": kind,
                    "trial": int(trial),
                    "epoch": epoch,
                    "task_loss": result["task_loss"][epoch - 1],
                    "pair_loss": result["pair_loss"][epoch - 1],
                    "spearman": result["spearman"] if epoch == last else None,
                }
            )
    return rows


def _train(protocol, kind, n_labeled, trial, seed, device):
    data = load_data(protocol)
    names = (seed, protocol.dataset, protocol.net, trial, "losses")
    rng = np.random.RandomState(derive_seed(*names))
    chosen = rng.permutation(len(data.y_train))[:n_labeled]
    net_params = protocol.net_params | {"loss_prediction": kind}
    net = replace(protocol, net_params=net_params).make_net(data, device)
    with seeded(derive_seed(*names, "training")):
        fit_encoded(net, data.X_train[chosen], data.y_train[chosen])
    X, y = samples_to_score(protocol, data, seed)
    logits = net.forward(X)
    true = F.cross_entropy(logits, torch.as_tensor(y), reduction="none")
    rank = spearmanr(learning_loss_score(net, X), true.numpy()).statistic
    total, pairs = (
        np.array(net.history[:, name]) for name in ("train_loss", "pair_loss")
    )
    return {
        "task_loss": (total - net.loss_weight * pairs).tolist(),
        "pair_loss": pairs.tolist(),
        "spearman": float(rank),
    }


def loss_curve_table(rows, *, tablefmt="simple"):
    """Return a table of the final losses, and of how test samples are ranked.

    Parameters
    ----------
    rows : list of dict
        Result of :func:`loss_curves`.
    tablefmt : str, default="simple"
        A table format of tabulate.

    Returns
    -------
    table : str
        One line per predictor.
    """
    last = max(row["epoch"] for row in rows)
    lines = []
    for kind, label in _PREDICTORS.items():
        ends = _rows_at(rows, kind, last)
        cells = [
            with_std(*mean_and_std([row[name] for row in ends]), ".3f")
            for name in ("task_loss", "pair_loss", "spearman")
        ]
        lines.append([label, *cells, len(ends)])
    headers = ["predictor", "task loss", "pair loss", "Spearman", "trials"]
    return text_table(headers, lines, tablefmt)


def _rows_at(rows, kind, epoch):
    return [r for r in rows if (r["loss_prediction"], r["epoch"]) == (kind, epoch)]


def save_losses(rows, path, title):
    """Draw task loss and pair loss of both predictors over the epochs.

    Parameters
    ----------
    rows : list of dict
        Result of :func:`loss_curves`.
    path : Path
        Path of the files, whose suffixes are those of ``PICTURES``.
    title : str
        Title above the panels.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = zip(
        figure.subplots(1, 2),
        {"task_loss": "loss of the task", "pair_loss": "loss of the pairs"}.items(),
        strict=True,
    )
    epochs = sorted({row["epoch"] for row in rows})
    for ax, (name, label) in panels:
        for (kind, predictor), color in zip(
            _PREDICTORS.items(), ("#332288", "#D55E00"), strict=True
        ):
            values = [[r[name] for r in _rows_at(rows, kind, n)] for n in epochs]
            means, stds = np.transpose([*map(mean_and_std, values)])
            ax.plot(epochs, means, color=color, label=predictor)
            ax.fill_between(epochs, means - stds, means + stds, color=color, alpha=0.15)
        ax.set(xlabel="epoch", ylabel=label)
    ax.legend()
    figure.suptitle(title.partition(":")[0], fontsize="medium")
    save_figure(figure, path)
