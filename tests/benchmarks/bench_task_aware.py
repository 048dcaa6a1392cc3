"""Seconds of a query of the task-aware methods, beside those of a training.

    python -m tests.benchmarks.bench_task_aware

The laptop settings of ``skdfal reproduce task-aware`` on noise of 32x32 pixels: what is
in the pictures costs nothing. Methods take turns. A second table has an epoch of VAAL
by the width of its nets, since its time is that of an epoch times their number.
"""

import argparse
import time

import numpy as np
import torch

from skdfal.experiment import Protocol
from skdfal.reproduce import load_task_aware
from skdfal.strategies import STRATEGIES
from tests.benchmarks._common import medians, print_table

METHODS = (
    *("random", "mc_dropout", "core_set", "learning_loss", "learning_loss_v2"),
    *("vaal", "ta_vaal", "dfal"),
)
_TRAINED_HERE = ("vaal", "ta_vaal")


class _Data:
    """What Protocol.make_net asks of a data set."""

    def __init__(self, X):
        self.X_train, self.target_names = X, np.arange(10)


def trained_nets(protocol, X, y):
    """One net for each kind that the methods need, and the seconds of each training."""
    nets, seconds = {}, {}
    for name in METHODS:
        torch.manual_seed(0)
        net = protocol.make_net(_Data(X), strategy=name)
        started = time.perf_counter()
        nets[name] = net.fit(X, y)
        seconds[name] = time.perf_counter() - started
    return nets, seconds


def query(name, net, pool, labeled, n_instances, params):
    """A query that does not depend on chance."""
    params = dict(params)
    if name in _TRAINED_HERE or name == "core_set":
        params["X_labeled"] = labeled
    params["random_state"] = 0
    return STRATEGIES[name](net, pool, n_instances, **params)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pools", type=int, nargs="+", default=[500, 1000, 2000])
    parser.add_argument("--widths", type=float, nargs="+", default=[1 / 16, 1 / 4, 1])
    parser.add_argument("--labeled", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--without", nargs="*", default=[], help="methods to leave out")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    protocol: Protocol = load_task_aware("cifar10", scale="laptop").protocol
    rng = np.random.default_rng(0)
    X = rng.random((arguments.labeled, 3, 32, 32), dtype=np.float32)
    nets, seconds = trained_nets(protocol, X, rng.integers(0, 10, len(X)))
    n_instances = protocol.n_instances
    cases = {
        name: (name, protocol.query_params.get(name, {}))
        for name in METHODS
        if name not in arguments.without
    }
    rows = {case: [case, seconds[name]] for case, (name, _) in cases.items()}
    for n_pool in arguments.pools:
        pool = rng.random((n_pool, 3, 32, 32), dtype=np.float32)
        functions = {
            case: lambda name=name, params=params, pool=pool: query(
                name, nets[name], pool, X, n_instances, params
            )
            for case, (name, params) in cases.items()
        }
        for case, median in medians(functions, arguments.repeats).items():
            rows[case] += [median, median / seconds[cases[case][0]]]
    headers = ["method", f"training on {len(X)}"]
    for n_pool in arguments.pools:
        headers += [f"query of {n_pool:,}", "/ training"]
    print(f"{n_instances} asked for, {arguments.threads} threads; seconds, medians")
    print_table(list(rows.values()), headers)
    if not set(_TRAINED_HERE) & set(cases):
        return
    pool = pool[: arguments.pools[0]]
    epochs = {
        width: lambda width=width: query(
            "vaal",
            nets["vaal"],
            pool,
            X,
            n_instances,
            {"width": width, "max_epochs": 1, "train_batch_size": 32},
        )
        for width in arguments.widths
    }
    print(f"\nAn epoch of VAAL with {len(pool):,} in the pool")
    print_table(list(medians(epochs, arguments.repeats).items()), ["width", "seconds"])


if __name__ == "__main__":
    main()
