"""What a last batch of few samples does to a training on few labels.

Run from the top of the repository, where MNIST and CIFAR-10 are::

    python -m tests.benchmarks.bench_batches

Each row is a network and a number of labels: test accuracy after 50 epochs of Adam in
batches of 32, whose last batch takes what is left, and in batches of even size. Labels
and initial weights are the same for both. About an hour on one core.
"""

import argparse
from typing import NamedTuple

import numpy as np
import torch

from skdfal import make_classifier
from skdfal.datasets import fetch_cifar10, fetch_mnist
from tests.benchmarks._common import print_table


class Case(NamedTuple):
    """A network at a width, its data, numbers of labels and of test samples."""

    net: str
    width: float
    fetch: callable
    n_labels: tuple
    n_test: int


CASES = [
    Case("lenet5", 1.0, fetch_mnist, (40, 50, 60, 70, 80, 90, 100), 3000),
    Case("vgg8", 0.25, fetch_mnist, (40, 50, 60, 70, 80, 90, 100), 3000),
    Case("resnet18", 0.25, fetch_cifar10, (100, 130, 150), 2000),
]


def accuracies(case, data, n_labels, seed):
    """Return the accuracies without and with batches of even size, in percent."""
    chosen = np.random.RandomState(seed).permutation(len(data.X_train))[:n_labels]
    n_channels, *size = data.X_train.shape[1:]
    found = []
    for even_batches in (False, True):
        torch.manual_seed(seed)
        net = make_classifier(
            case.net,
            in_channels=n_channels,
            image_size=tuple(size),
            width=case.width,
            even_batches=even_batches,
        )
        net.fit(data.X_train[chosen], data.y_train[chosen])
        score = net.score(data.X_test[: case.n_test], data.y_test[: case.n_test])
        found.append(100 * score)
    return found


def main():
    """Print means over seeds, and in how many seeds even batches are better."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--nets", nargs="+", default=[case.net for case in CASES])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for case in CASES:
        if case.net not in arguments.nets:
            continue
        data = case.fetch()
        for n_labels in case.n_labels:
            found = np.array(
                [accuracies(case, data, n_labels, s) for s in range(arguments.seeds)]
            )
            n_better = (found[:, 1] > found[:, 0]).sum()
            rows.append([case.net, n_labels, n_labels % 32, *found.mean(0), n_better])
    headers = ["net", "labels", "last batch", "as they come", "even", "better"]
    print_table(rows, headers)


if __name__ == "__main__":
    main()
