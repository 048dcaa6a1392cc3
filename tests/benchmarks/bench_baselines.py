"""The baselines beside what they are made of: ratios of medians.

    python -m tests.benchmarks.bench_baselines

LeNet5 at 10,000 samples of MNIST, or what stands in for it. Functions that are
compared take turns.
"""

import argparse

import numpy as np
import torch

from skdfal import bald_score, egl_score, entropy_score
from skdfal.nets import make_classifier
from tests.benchmarks._common import medians, pictures
from tests.reference.baselines import egl


def forward(module, X, batch_size=512):
    """Run one plain forward pass over all samples."""
    module.eval()
    with torch.no_grad():
        for x in torch.from_numpy(X).split(batch_size):
            module(x)


def seconds(*functions, n_repeats):
    """Median time of each function, the functions taking turns."""
    return medians(dict(enumerate(functions)), n_repeats).values()


def report(name, ours, theirs, target):
    print(f"  {name:42} {ours:8.3f} s  {theirs:8.3f} s  {ours / theirs:8.3f}  {target}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--loop-samples", type=int, default=50)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    X, _ = pictures(arguments.samples)
    net = make_classifier("lenet5").initialize()
    module, n_repeats = net.module_, arguments.repeats
    print(f"LeNet5, {len(X):,} samples, {arguments.threads} threads")
    print(f"  {'':42} {'ours':>10}  {'theirs':>10}  {'ratio':>8}  target")

    ours, theirs = seconds(
        lambda: entropy_score(net, X), lambda: forward(module, X), n_repeats=n_repeats
    )
    report("entropy / one forward pass", ours, theirs, "<= 1.1")

    ours, theirs = seconds(
        lambda: bald_score(net, X, n_draws=10, random_state=0),
        lambda: [forward(module, X) for _ in range(10)],
        n_repeats=n_repeats,
    )
    report("BALD, 10 draws / ten forward passes", ours, theirs, "<= 1.2")

    few = X[: arguments.loop_samples]
    ours, last, theirs = seconds(
        lambda: egl_score(net, X),
        lambda: egl_score(net, X, layers="last"),
        lambda: egl(module, few),
        n_repeats=n_repeats,
    )
    theirs *= len(X) / len(few)
    report("EGL, all layers / a pass per sample and class", ours, theirs, "<= 0.1")
    report("EGL, last layer / a pass per sample and class", last, theirs, "")
    print(f"  (that loop timed on {len(few)} samples and scaled)")
    difference = np.abs(egl_score(net, few) / egl(module, few) - 1).max()
    print(f"  largest relative difference of EGL from the loop: {difference:.1e}")


if __name__ == "__main__":
    main()
