"""Train networks on the full training set, or on one that another network queried."""

from pathlib import Path

from skdfal.analysis import transfer_scores
from skdfal.experiment import derive_seed, load_data
from skdfal.experiment._folder import TrialFiles
from skdfal.experiment._jobs import run_jobs
from skdfal.experiment._trial import (
    load_training_set,
    samples_of_trial,
    samples_to_score,
)


def full_training_set(
    protocol, n_trials, *, seed=0, out_dir, device="cpu", **processes
):
    """Train on all samples that a trial may query: the target of Table 2.

    Parameters
    ----------
    protocol : Protocol
        Protocol of the training.
    n_trials : int
        Number of trainings. If the pool is drawn for each trial, so is the training
        set.
    seed, device : int, str
        As for :func:`run_experiment`.
    out_dir : path-like
        Folder of the experiment; the results go to ``full`` in it.
    **processes : dict
        ``n_jobs``, ``n_threads`` and ``verbose`` of :func:`run_experiment`.

    Returns
    -------
    results : list of dict
        The "score" and "n_samples" of each training.
    """
    jobs = {
        str(trial): (_train_on_all, (protocol, trial, seed, device))
        for trial in range(n_trials)
    }
    settings = shared_settings(protocol, seed, device, processes)
    what = "trainings on the full training set"
    found = run_jobs(Path(out_dir) / "full", settings, jobs, what=what, **processes)
    return list(found.values())


def transfer(
    chosen_with,
    trained,
    strategies,
    n_trials,
    marks,
    *,
    seed=0,
    out_dir,
    device="cpu",
    **processes,
):
    """Train a network from scratch on what another one queried: Table 4 and Figure 3.

    Parameters
    ----------
    chosen_with : Protocol
        Protocol of the experiment whose trials are finished.
    trained : Protocol
        Protocol to train the other network with.
    strategies, n_trials : sequence of str, int
        Strategies and number of trials to use.
    marks : sequence of int
        Numbers of annotations at which to take the training set.
    seed, device : int, str
        As for :func:`run_experiment`.
    out_dir : path-like
        Folder of the experiment; the results go to ``transfer-<net>`` in it.
    **processes : dict
        ``n_jobs``, ``n_threads`` and ``verbose`` of :func:`run_experiment`.

    Returns
    -------
    records : list of dict
        One row per training, like the rows of :func:`run_experiment`. "net" is the
        network that was trained.
    """
    keys = {
        f"{strategy}-{trial}-{mark}": (strategy, trial, mark)
        for trial in range(n_trials)
        for strategy in strategies
        for mark in marks
    }
    jobs = {
        name: (_transfer, (trained, TrialFiles(out_dir, *key[:2]), key, seed, device))
        for name, key in keys.items()
    }
    settings = shared_settings(trained, seed, device, processes)
    settings["chosen_with"] = chosen_with.net
    what = f"trainings of {trained.net} on what {chosen_with.net} chose"
    folder = Path(out_dir) / f"transfer-{trained.net}"
    found = run_jobs(folder, settings, jobs, what=what, **processes)
    return [
        {
            "dataset": trained.dataset,
            "net": trained.net,
            "strategy": strategy,
            "trial": trial,
            "annotations": mark,
            "labeled_data": found[name]["n_samples"],
            "score": found[name]["score"],
        }
        for name, (strategy, trial, mark) in keys.items()
    ]


def shared_settings(protocol, seed, device, processes):
    """Return the settings that all jobs in a folder must share."""
    return {
        **protocol.settings(),
        "seed": seed,
        "device": device,
        "n_threads": processes.get("n_threads", 1),
    }


def _train_on_all(protocol, trial, seed, device):
    data = load_data(protocol)
    used = samples_of_trial(protocol, data, trial, seed)
    chosen = data.X_train[used], data.y_train[used]
    names = (seed, protocol.dataset, protocol.net, trial, "full")
    return _score(protocol, data, chosen, seed, derive_seed(*names), device)


def _transfer(protocol, files, key, seed, device):
    data = load_data(protocol)
    _, trial, mark = key
    chosen = load_training_set(files.training_set, data, mark)
    # Without the strategy: all start from the same weights.
    names = (seed, protocol.dataset, protocol.net, trial, mark, "transfer")
    return _score(protocol, data, chosen, seed, derive_seed(*names), device)


def _score(protocol, data, chosen, seed, random_state, device):
    net = protocol.make_net(data, device)
    held_out = samples_to_score(protocol, data, seed)
    (score,) = transfer_scores(chosen, net, *held_out, random_state=random_state)
    return {"score": float(score), "n_samples": len(chosen[0])}
