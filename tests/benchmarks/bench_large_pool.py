"""A pool beyond memory: the memory and the time of a query, and what a cluster adds.

    python -m tests.benchmarks.bench_large_pool memory --samples 1000000 2000000
    python -m tests.benchmarks.bench_large_pool workers
    python -m tests.benchmarks.bench_large_pool trim

``memory`` has each query in a process of its own and reports the peak of its anonymous
memory (pages of the file that is read can be let go at any time), less what the process
had before the query. ``workers`` compares two workers with one, in seconds of a clock,
and with no cluster in seconds of processors. ``trim`` is the cost of glibc's trimming.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import joblib
import numpy as np
import torch

import skdfal
from tests.benchmarks._common import pictures, print_table, trained_lenet

SIDE = 28


def make_pool(path, n_samples):
    """Write MNIST pictures with noise as one array of float32, block by block."""
    X, _ = pictures(10_000)
    rng = np.random.default_rng(0)
    pool = np.lib.format.open_memmap(path, "w+", np.float32, (n_samples, 1, SIDE, SIDE))
    for start in range(0, n_samples, len(X)):
        n = min(len(X), n_samples - start)
        noise = 0.1 * rng.random((n, 1, SIDE, SIDE), dtype=np.float32)
        pool[start : start + n] = X[:n] + noise
    pool.flush()


def anonymous_mb():
    """Megabytes of this process that no file stands behind."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    raise OSError("no RssAnon in /proc/self/status: this is for Linux")


@contextmanager
def watched(peak):
    """Note the largest anonymous memory meanwhile in ``peak``."""
    ended = threading.Event()

    def watch():
        while not ended.wait(0.02):
            peak.append(anonymous_mb())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def timed(owner, name, seconds):
    """Add up the time spent in a function, by its name."""
    function = getattr(owner, name)

    def counting(*args, **kwargs):
        started = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            seconds[name] = seconds.get(name, 0) + time.perf_counter() - started

    setattr(owner, name, counting)
    try:
        yield
    finally:
        setattr(owner, name, function)


def net():
    """A LeNet5 that knows some MNIST."""
    X, y = pictures(2_000)
    return trained_lenet(X[:300], y[:300], max_epochs=20)


QUERIES = {
    "dfal": lambda net, X: skdfal.dfal(net, X, 100),
    "entropy": lambda net, X: skdfal.entropy_sampling(net, X, 100),
    "core_set": lambda net, X: skdfal.core_set_sampling(
        net, X, 200, X_labeled=X[:100], solver="greedy"
    ),
}


def one_query(path, n_samples, name):
    """Ask once, and print what it took as JSON."""
    from skdfal.pool import _pool
    from skdfal.strategies import _pruned_search

    torch.set_num_threads(1)
    asked_net, X = net(), np.load(path, mmap_mode="r")[:n_samples]
    before, peak, seconds = anonymous_mb(), [], {}
    QUERIES[name](asked_net, X[:2000])  # what is loaded once
    started, cpu = time.perf_counter(), time.process_time()
    with (
        watched(peak),
        timed(_pool.ArrayPool, "take", seconds),
        timed(_pruned_search, "deepfool_within", seconds),
        timed(_pruned_search, "margin_proxy", seconds),
    ):
        asked = QUERIES[name](asked_net, X)
    found = {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - cpu,
        "peak_mb": max(peak) - before,
        "asked": asked[:5].tolist(),
    }
    print(json.dumps(found | seconds))


COLUMNS = {
    "peak_mb": "peak MB",
    "seconds": "s",
    "cpu": "cpu s",
    "take": "reading s",
    "proxies": "proxies s (reading again from memory)",
    "attacks": "attacks s",
}


def memory(sizes, names):
    """Each query in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pool.npy"
        make_pool(path, max(sizes))
        rows = []
        for name in names:
            for n_samples in sizes:
                command = [sys.executable, "-m", __spec__.name, "query"]
                command += [str(path), str(n_samples), name]
                out = subprocess.run(
                    command, capture_output=True, text=True, check=True
                )
                row = json.loads(out.stdout.splitlines()[-1])
                row["proxies"] = row.get("margin_proxy", 0)
                row["attacks"] = row.get("deepfool_within", 0)
                rows.append([name, n_samples, *(row[key] for key in COLUMNS)])
        print_table(rows, ["query", "samples", *COLUMNS.values()])


def cpu_of_workers(client):
    """Processor seconds of all workers since they began."""

    def of_process():
        return time.process_time()

    return sum(client.run(of_process).values())


def workers(n_samples, repeats):
    """Two workers against one, and processor time against this process."""
    from distributed import Client, LocalCluster

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pool.npy"
        make_pool(path, n_samples)
        X, asked_net = np.load(path, mmap_mode="r"), net()
        # Blocks of 16 batches, half a second each.
        query = lambda: skdfal.bald_sampling(  # noqa: E731
            asked_net, X, 100, n_draws=20, batch_size=1280, random_state=0
        )
        rows = []
        for n_workers in (0, 1, 2):
            if not n_workers:
                cpu, expected = time.process_time(), query()
                local = time.process_time() - cpu
                continue
            with LocalCluster(
                n_workers=n_workers, threads_per_worker=1, dashboard_address=":0"
            ) as cluster, Client(cluster) as client:  # fmt: skip
                with joblib.parallel_config(backend="dask"):
                    skdfal.bald_sampling(
                        asked_net, X[:1024], 10, n_draws=20, batch_size=1280
                    )
                    for _ in range(repeats):
                        before, started = cpu_of_workers(client), time.perf_counter()
                        asked = query()
                        seconds = time.perf_counter() - started
                        cpu = cpu_of_workers(client) - before
                        assert (asked == expected).all()
                        load = os.getloadavg()[0]
                        rows.append([n_workers, seconds, cpu, cpu / local, load])
        print_table(rows, ["workers", "s", "cpu s", "cpu s / local", "load"])
        one = min(row[1] for row in rows if row[0] == 1)
        two = min(row[1] for row in rows if row[0] == 2)
        print(f"local cpu s: {local:.1f}")
        print(f"efficiency of two, by the best times: {one / two / 2:.2f}")


def trim(n_samples):
    """The same blocks with the trimming of Dask's nannies, and with it raised.

    65,536 is what they set, and what a query raises; 65,537 stays as it is.
    """
    import dask
    from distributed import Client, LocalCluster

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pool.npy"
        make_pool(path, n_samples)
        X, asked_net = np.load(path, mmap_mode="r"), net()
        rows = []
        name = "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_"
        for threshold in (65_537, 65_536, 2**28):
            with dask.config.set({name: threshold}):
                with LocalCluster(
                    n_workers=1, threads_per_worker=1, dashboard_address=":0"
                ) as cluster, Client(cluster) as client:  # fmt: skip
                    with joblib.parallel_config(backend="dask"):
                        skdfal.entropy_sampling(asked_net, X[:8192], 10)
                        before, started = cpu_of_workers(client), time.perf_counter()
                        skdfal.entropy_sampling(asked_net, X, 10)
                        seconds = time.perf_counter() - started
                        cpu = cpu_of_workers(client) - before
            rows.append([threshold, seconds, cpu])
        print_table(rows, ["MALLOC_TRIM_THRESHOLD_", "s", "cpu s of the worker"])


def main():
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("memory")
    command.add_argument("--samples", type=int, nargs="+", default=[10**6, 2 * 10**6])
    command.add_argument("--queries", nargs="+", default=["dfal", "entropy"])
    command = commands.add_parser("workers")
    command.add_argument("--samples", type=int, default=100_000)
    command.add_argument("--repeats", type=int, default=3)
    command = commands.add_parser("trim")
    command.add_argument("--samples", type=int, default=100_000)
    command = commands.add_parser("query")
    command.add_argument("path")
    command.add_argument("samples", type=int)
    command.add_argument("name")
    args = parser.parse_args()
    if args.command == "memory":
        memory(args.samples, args.queries)
    elif args.command == "workers":
        workers(args.samples, args.repeats)
    elif args.command == "trim":
        trim(args.samples)
    else:
        one_query(args.path, args.samples, args.name)


if __name__ == "__main__":
    main()
