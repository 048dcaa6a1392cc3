"""Seconds per query: Table 3."""

import statistics
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skdfal._utils._seeds import seeded
from skdfal.adapter._training import fit_encoded
from skdfal.experiment import derive_seed, load_data
from skdfal.experiment._jobs import run_jobs
from skdfal.strategies import STRATEGIES

# Name -> strategy, its parameters, the paper's name.
TIMED = {
    "DFAL, every candidate": ("dfal", {"prune": False}, "DFAL"),
    "DFAL, pruned": ("dfal", {"prune": True}, "DFAL"),
    "CORE-SET, greedy": ("core_set", {"solver": "greedy"}, "CORE-SET not robust"),
    "CORE-SET, robust": ("core_set", {"solver": "mip"}, "CORE-SET robust"),
}

_N_WARM_UP = 20  # candidates of a first, untimed query, which triggers late imports


def query_times(
    protocol, settings, *, seed=0, out_dir, device="cpu", n_threads=1, verbose=1
):
    """Time queries of DFAL and CORE-SET, alternating on the same network.

    Parameters
    ----------
    protocol : Protocol
        Protocol of the network's training.
    settings : dict
        "n_labeled", the number of training samples; "n_candidates"; "n_instances", the
        number of samples to query; and "n_repeats", each of which has its own network
        and samples.
    seed, device, n_threads, verbose : int, str, int, int
        As for :func:`run_experiment`.
    out_dir : path-like
        Folder for the results, used for nothing else.

    Returns
    -------
    repeats : list of dict
        "query_seconds" by name; "proven", whether CORE-SET's cover was proven the
        smallest; and "machine".
    """
    names = ("n_labeled", "n_candidates", "n_instances")
    sizes = {name: settings[name] for name in names}
    jobs = {
        str(repeat): (_time_queries, (protocol, sizes, repeat, seed, device))
        for repeat in range(settings["n_repeats"])
    }
    shared = {**protocol.settings(), **sizes, "seed": seed, "device": device}
    found = run_jobs(
        Path(out_dir),
        shared | {"n_threads": n_threads},
        jobs,
        n_jobs=1,  # nothing else may run during the timing
        n_threads=n_threads,
        what="repeats",
        verbose=verbose,
    )
    return list(found.values())


def _time_queries(protocol, sizes, repeat, seed, device):
    data = load_data(protocol)
    names = (seed, protocol.dataset, protocol.net, repeat)
    rng = np.random.RandomState(derive_seed(*names, "query times"))
    n_labeled, n_candidates = sizes["n_labeled"], sizes["n_candidates"]
    order = rng.permutation(len(data.X_train))[: n_labeled + n_candidates]
    labeled, candidates = np.split(order, [n_labeled])
    X_labeled, X = data.X_train[labeled], data.X_train[candidates]
    with seeded(derive_seed(*names, "training")):
        net = protocol.make_net(data, device)
        fit_encoded(net, X_labeled, data.y_train[labeled])

    found, proven = {}, True
    order = list(TIMED)
    for name in order[repeat % len(order) :] + order[: repeat % len(order)]:
        strategy, parameters, _ = TIMED[name]
        parameters = protocol.query_params.get(strategy, {}) | parameters
        if strategy == "core_set":
            parameters["X_labeled"] = X_labeled
        choose = STRATEGIES[strategy]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            choose(net, X[:_N_WARM_UP], 1, **parameters)
            caught.clear()
            started = time.perf_counter()
            choose(net, X, sizes["n_instances"], **parameters)
            found[name] = time.perf_counter() - started
        if strategy == "core_set" and caught:
            proven = False
    return {"query_seconds": found, "proven": proven}


def query_time_rows(repeats, published):
    """Return one row per method: median, minimum, maximum and the paper's seconds.

    Parameters
    ----------
    repeats : list of dict
        Result of :func:`query_times`.
    published : dict of str to float
        The paper's seconds, from :func:`paper_seconds`; may be empty.

    Returns
    -------
    rows : list of dict
        The rows. "ratio" and "paper_ratio" are relative to DFAL on every candidate.
    """
    medians = {
        name: statistics.median(r["query_seconds"][name] for r in repeats)
        for name in TIMED
    }
    first = next(iter(TIMED))
    rows = []
    for name, (_, _, theirs) in TIMED.items():
        seconds = [repeat["query_seconds"][name] for repeat in repeats]
        paper = published.get(theirs)
        rows.append(
            {
                "method": name,
                "median_seconds": medians[name],
                "min_seconds": min(seconds),
                "max_seconds": max(seconds),
                "ratio": medians[name] / medians[first],
                "paper_seconds": paper,
                "paper_ratio": paper and paper / published["DFAL"],
            }
        )
    return rows
