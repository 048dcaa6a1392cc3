"""A query over 10^9 samples on 1,000 workers, simulated from measured unit costs.

    python -m tests.benchmarks.simulate_cluster

Measured here are: a block of proxies, an attacked block, a block of features and one
of k-center, what the scheduler needs for a task, what the driver needs for a result,
and how long it looks for the best of its proxies. An event simulation then has workers
that take tasks from one scheduler, which hands out one after the other, and one driver,
which takes in one result after the other. Network and disks are not in this picture.
"""

import argparse
import heapq
import time
from dataclasses import dataclass

import numpy as np
import torch

import skdfal
from skdfal.adapter import torch_nets
from skdfal.cover import _blocks
from skdfal.pool import as_pool
from skdfal.strategies import _pruned_search as search_file
from skdfal.strategies._base import best_of
from skdfal.strategies._deepfool_margin import attack_parameters
from tests.benchmarks._common import pictures, print_table, trained_lenet

BLOCK = 4096


@dataclass
class Costs:
    """Seconds of one unit each."""

    proxies: float
    attacks: float
    features: float
    lower: float
    schedule: float
    gather: float
    search: float  # for each of the proxies


def seconds_of(function, repeats=5):
    """The median of some calls, after one that warms up."""
    function()
    taken = []
    for _ in range(repeats):
        started = time.process_time()
        function()
        taken.append(time.process_time() - started)
    return float(np.median(taken))


def measure_units(n_attacked=128):
    """Processor seconds of the units of work, with LeNet5 on MNIST."""
    X, y = pictures(BLOCK + 300)
    fitted = trained_lenet(X[:300], y[:300], max_epochs=20)
    pool = as_pool(X[300:])
    (net,) = torch_nets(fitted, pool.view(np.arange(BLOCK)))
    batch_size = net.batch_size(None)
    attack = attack_parameters(2, 50, 0.02, None, batch_size)
    first = net.of(pool.view(np.argsort(search_file.margin_proxy(net))[:n_attacked]))
    features = net.features(batch_size).numpy()
    points = features[:200].astype(float)
    state = _blocks._lower(features, 0, None, points[:1], [])
    return {
        "proxies": seconds_of(
            lambda: search_file._proxies_of_block(16, batch_size, net)
        ),
        "attacks": seconds_of(lambda: search_file._margins_within(1.0, attack, first)),
        "features": seconds_of(lambda: net.features(batch_size)),
        "lower": seconds_of(lambda: _blocks._lower(features, 0, state, points, [])),
        "search": seconds_of(_search, 3) / 10**7,
    }


def _search():
    proxy = np.random.default_rng(0).random(10**7, dtype=np.float32)
    best_of(np.split(-proxy, 40), 10_000)


def _nothing(_, part):
    return np.zeros(BLOCK, np.float32)


def measure_cluster(n_tasks=2000):
    """Seconds of scheduler and driver for a task that does nothing."""
    from distributed import Client, LocalCluster

    from skdfal.pool._dask import OnDask

    pool = as_pool(np.lib.format.open_memmap("/dev/shm/skdfal-simulated.npy", "w+",
                                             np.float32, (n_tasks, 1)))  # fmt: skip
    parts = [pool.view(np.arange(i, i + 1)) for i in range(n_tasks)]
    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0"
    ) as cluster, Client(cluster) as client:  # fmt: skip
        engine = OnDask(client)
        list(engine.map(_nothing, None, parts[:50]))
        started = time.process_time()  # scheduler and driver share this process
        list(engine.map(_nothing, None, parts))
        both = (time.process_time() - started) / n_tasks
    return {"schedule": both / 2, "gather": both / 2}


def simulate(n_tasks, n_workers, work, schedule, gather, rng, spread=0.15):
    """Seconds until the driver has the last of the results of independent tasks."""
    free = [0.0] * n_workers
    heapq.heapify(free)
    scheduler, ends = 0.0, np.empty(n_tasks)
    times = work * np.exp(spread * rng.standard_normal(n_tasks) - spread**2 / 2)
    for i in range(n_tasks):
        scheduler = max(scheduler + schedule, free[0])
        ends[i] = scheduler + times[i]
        heapq.heapreplace(free, ends[i])
    driver = 0.0
    for end in np.sort(ends):
        driver = max(driver, end) + gather
    return driver


def report(costs, n_samples, n_workers, n_attacked, n_picks, n_rounds, larger):
    """Print the phases of a query, for blocks ``larger`` times as large too.

    The larger ones are those of :func:`map_blocks`, which joins them where a pool has
    more than 16,384.
    """
    rng, rows = np.random.default_rng(0), []
    for factor in (1, larger):
        n_blocks = -(-n_samples // (BLOCK * factor))
        tasks = (costs.schedule, costs.gather, rng)
        proxies = simulate(n_blocks, n_workers, costs.proxies * factor, *tasks)
        rounds, left, size = 0.0, -(-n_attacked // 128), 1
        while left > 0:
            rounds += simulate(min(size, left), n_workers, costs.attacks, *tasks)
            left, size = left - size, 2 * size
        search = costs.search * n_samples
        ideal = n_samples / BLOCK * costs.proxies / n_workers
        rows += [
            [factor, "dfal: proxies", n_blocks, proxies, ideal / proxies],
            [factor, "dfal: search for the best", 1, search, None],
            [
                factor,
                f"dfal: {n_attacked} attacks",
                -(-n_attacked // 128),
                rounds,
                None,
            ],
        ]
        features = simulate(n_blocks, n_workers, costs.features * factor, *tasks)
        each = simulate(n_blocks, n_workers, costs.lower * factor, *tasks)
        rows += [
            [factor, "core_set: features", n_blocks, features, None],
            [factor, f"core_set: {n_rounds} rounds", 2 * n_rounds * n_blocks,
             n_rounds * (each + simulate(n_blocks, n_workers, costs.lower * factor / 10,
                                         *tasks)), None],
        ]  # fmt: skip
    print_table(rows, ["batches x", "phase", "tasks", "s", "efficiency"])
    print(
        f"proxies at the driver: {4 * n_samples / 1e9:.1f} GB, their best: 8 bytes each"
    )
    print(f"read by all workers: {n_samples * 28 * 28 * 4 / 1e12:.1f} TB of float32")


def main():
    """Measure, simulate, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=10**9)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--attacked", type=int, default=40_000)
    parser.add_argument("--picks", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--larger", type=int, default=15)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"skdfal {skdfal.__version__}; unit costs in milliseconds:")
    costs = Costs(**measure_units(), **measure_cluster())
    print_table(
        [[name, 1000 * value] for name, value in vars(costs).items()], ["unit", "ms"]
    )
    report(
        costs, args.samples, args.workers, args.attacked, args.picks, args.rounds,
        args.larger,
    )  # fmt: skip


if __name__ == "__main__":
    main()
