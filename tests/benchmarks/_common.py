"""What the benchmarks share: data, a trained net, medians of interleaved runs."""

import time

import numpy as np
import torch

import skdfal
from skdfal.datasets import fetch_mnist, load_digits

N_THREADS = 2


def pictures(n):
    """``n`` MNIST pictures and labels, or digits upscaled where MNIST is absent."""
    try:
        data = fetch_mnist(download_if_missing=False)
    except OSError as exc:
        print(f"no MNIST ({exc}); noisy digits stand in")
        data = load_digits(image_size=24, n_test=100)
        rng = np.random.default_rng(0)
        again = rng.integers(len(data.X_train), size=n)
        X = np.pad(data.X_train[again], [(0, 0), (0, 0), (2, 2), (2, 2)])
        X += 0.05 * rng.random(X.shape, dtype=np.float32)
        return X, data.y_train[again]
    order = np.random.default_rng(0).permutation(len(data.X_train))[:n]
    return data.X_train[order], data.y_train[order]


def trained_lenet(X, y, seed=0, max_epochs=50):
    """LeNet5 of the paper, trained on (X, y)."""
    torch.manual_seed(seed)
    return skdfal.make_classifier("lenet5", max_epochs=max_epochs).fit(X, y)


def medians(functions, repeats=5):
    """Median seconds of each function; the rounds are interleaved, the first warms up.

    What else the machine does so falls on all alike.
    """
    seconds = {name: [] for name in functions}
    for round_ in range(repeats + 1):
        for name, function in functions.items():
            started = time.perf_counter()
            function()
            if round_:
                seconds[name].append(time.perf_counter() - started)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def print_table(rows, headers):
    """Print aligned columns."""
    from tabulate import tabulate

    print(tabulate(rows, headers, floatfmt=".3g"), flush=True)
