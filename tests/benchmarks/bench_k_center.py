"""K-center beside its peers, and where the program stops proving.

    python -m tests.benchmarks.bench_k_center

Features are those of a small net trained for a moment on MNIST, where SKDFAL_DATA
names a folder with `mnist/train-images-idx3-ubyte.gz` and its labels; otherwise random
ReLU features of the same shape. Set OMP_NUM_THREADS=1 for steady numbers.
"""

import argparse
import gzip
import os
import time
from pathlib import Path
from statistics import median

import numpy as np

from skdfal.cover._k_center import cover_radius, k_center_greedy, k_center_mip

N_HIDDEN = 84  # the last hidden layer of LeNet5


def features(n_samples, seed=0):
    """Return ReLU features of MNIST or random ones, and where they come from."""
    folder = Path(os.environ.get("SKDFAL_DATA", ""), "mnist")
    if (folder / "train-images-idx3-ubyte.gz").exists():
        return _mnist_features(folder, n_samples, seed), "MNIST, LeNet5"
    rng = np.random.default_rng(seed)
    latent = (
        rng.normal(size=(n_samples, 16))
        + 2 * rng.normal(size=(10, 16))[rng.integers(0, 10, n_samples)]
    )
    return np.maximum(latent @ rng.normal(size=(16, N_HIDDEN)), 0), "random ReLU"


def _mnist_features(folder, n_samples, seed):
    """Hidden activations of a LeNet5 trained on the first 100 samples."""
    import torch
    from torch import nn

    def read(name, offset):
        content = gzip.decompress((folder / name).read_bytes())
        return np.frombuffer(content, dtype=np.uint8, offset=offset)

    images = read("train-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
    labels = read("train-labels-idx1-ubyte.gz", 8).astype(np.int64)
    chosen = np.random.default_rng(seed).permutation(len(images))[:n_samples]
    x = torch.tensor(images[chosen] / 255, dtype=torch.float32)
    y = torch.tensor(labels[chosen])

    torch.manual_seed(seed)
    hidden = nn.Sequential(
        *[nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25)],
        *[nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25)],
        *[nn.Conv2d(16, 120, 1), nn.Flatten(), nn.Linear(1920, N_HIDDEN), nn.ReLU()],
    )
    net = nn.Sequential(hidden, nn.Dropout(0.5), nn.Linear(N_HIDDEN, 10))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(100):
        for batch in torch.randperm(100).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
            optimizer.step()
    net.eval()
    with torch.no_grad():
        return hidden(x).double().numpy()


def whole_matrix_greedy(X, X_labeled, n_centers):
    """Greedy on the matrix of all distances, as DeepAL goes about it."""
    points = np.concatenate([X_labeled, X])
    gram = points @ points.T
    square = np.diag(gram)
    d = np.sqrt(np.maximum(square[:, np.newaxis] + square - 2 * gram, 0))
    is_labeled = np.arange(len(points)) < len(X_labeled)
    nearest = d[:, is_labeled].min(axis=1)
    centers = []
    for _ in range(n_centers):
        u = int(np.where(is_labeled, -1, nearest).argmax())
        is_labeled[u] = True
        nearest = np.minimum(nearest, d[:, u])
        centers.append(u - len(X_labeled))
    return np.array(centers)


def seconds(*functions, n_repeats):
    """Median time of each function, the functions taking turns."""
    times = [[] for _ in functions]
    for _ in range(n_repeats):
        for function, record in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            record.append(time.perf_counter() - start)
    return [median(record) for record in times]


def bench_peers(points, source, n_repeats):
    X_labeled, X = points[:1_000], points[1_000:11_000]
    print(f"Greedy, 10,000 candidates x 1,000 labelled x 100 queries ({source})")
    (ours,) = seconds(
        lambda: k_center_greedy(X, 100, X_labeled=X_labeled), n_repeats=n_repeats
    )
    print(f"  skdfal                     {ours:8.3f} s")
    try:
        from skactiveml.pool import CoreSet
    except ImportError:
        print("  scikit-activeml            not installed")
    else:
        y = np.full(len(points[:11_000]), np.nan)
        y[:1_000] = 0
        strategy = CoreSet(random_state=0)
        ours, theirs = seconds(
            lambda: k_center_greedy(X, 100, X_labeled=X_labeled),
            lambda: strategy.query(points[:11_000], y, batch_size=100),
            n_repeats=n_repeats,
        )
        print(f"  scikit-activeml's CoreSet  {theirs:8.3f} s  {theirs / ours:6.2f} x")
        chosen = strategy.query(points[:11_000], y, batch_size=100) - 1_000
        here = k_center_greedy(X, 100, X_labeled=X_labeled).radius
        there = cover_radius(X, chosen, X_labeled=X_labeled)
        print(f"  radius {here:.4f}, theirs {there:.4f}")
    (theirs,) = seconds(
        lambda: whole_matrix_greedy(X, X_labeled, 100), n_repeats=1 + n_repeats // 4
    )
    print(f"  whole distance matrix      {theirs:8.3f} s  {theirs / ours:6.2f} x")


def bench_growth(n_repeats):
    print("Greedy, growth from 5,000 candidates x 500 labelled x 50 queries")
    points = np.random.default_rng(0).normal(size=(14_000, N_HIDDEN))

    def run(n_samples, n_labeled, n_centers):
        X, X_labeled = points[4_000 : 4_000 + n_samples], points[:n_labeled]
        return lambda: k_center_greedy(X, n_centers, X_labeled=X_labeled)

    base, samples, labeled, centers = seconds(
        run(5_000, 500, 50),
        run(10_000, 500, 50),
        run(5_000, 1_000, 50),
        run(5_000, 500, 100),
        n_repeats=n_repeats,
    )
    print(f"  twice the candidates {samples / base:.2f} x, ", end="")
    print(f"the labelled {labeled / base:.2f} x, the queries {centers / base:.2f} x")


def bench_program(points, source, time_limit, n_repeats):
    X_labeled, X = points[:100], points[100:900]
    result = k_center_mip(X, 10, X_labeled=X_labeled)  # imports OR-tools
    (ours,) = seconds(
        lambda: k_center_mip(X, 10, X_labeled=X_labeled), n_repeats=n_repeats
    )
    print(f"Program at the paper's setting, 100 labelled, 800 candidates ({source})")
    print(f"  b=10, Ξ=0: {ours:.3f} s, {_report(result)}")

    print(f"Where it stops proving, {time_limit} s each")
    cases = [
        (n_labeled, n_samples, n_centers, n_outliers)
        for n_labeled, n_samples in [(100, 800), (0, 800), (1_000, 10_000)]
        for n_centers in (10, 50, 100)
        for n_outliers in (0, 8, 80)
    ]
    cases += [(0, 10_000, b, n_outliers) for b in (10, 50) for n_outliers in (0, 8)]
    for n_labeled, n_samples, n_centers, n_outliers in cases:
        pool = points[1_000 : 1_000 + n_samples]
        start = time.perf_counter()
        result = k_center_mip(
            pool,
            n_centers,
            X_labeled=points[:n_labeled],
            outlier_fraction=n_outliers / len(pool),
            time_limit=time_limit,
        )
        elapsed = time.perf_counter() - start
        print(
            f"  |L|={n_labeled:5} |U|={n_samples:6} b={n_centers:3} Ξ={n_outliers:2}:"
            f" {elapsed:7.3f} s, {_report(result)}",
            flush=True,
        )


def _report(result):
    gap = (result.radius - result.lower_bound) / result.radius
    proof = "proven" if result.proven else f"not proven, within {gap:.2%}"
    return (
        f"radius {result.radius:.4f} (greedy {result.greedy_radius:.4f}), "
        f"{result.n_solves} solves, {proof}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--time-limit", type=float, default=20)
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    points, source = features(11_000)
    bench_peers(points, source, arguments.repeats)
    bench_growth(arguments.repeats)
    bench_program(points, source, arguments.time_limit, arguments.repeats)


if __name__ == "__main__":
    main()
