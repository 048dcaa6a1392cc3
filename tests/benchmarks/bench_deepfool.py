"""DeepFool beside foolbox, ART and the one-by-one loop, and the pruned search.

Run from the top of the repository, on an idle machine::

    pip install -e ".[benchmarks]"
    python -m tests.benchmarks.bench_deepfool
    python -m tests.benchmarks.bench_deepfool --misses
"""

import argparse
import copy
import math

import numpy as np
import torch

import skdfal
from skdfal.adapter._torch_net import torch_nets
from skdfal.strategies._deepfool_margin import _attack, _pruned_search
from tests.benchmarks._common import (
    N_THREADS,
    medians,
    pictures,
    print_table,
    trained_lenet,
)
from tests.reference.deepfool import deepfool_one

ATTACK = _attack(p=2, max_iter=50, overshoot=0.02, n_top_classes=None, batch_size=128)


def exact(net, X, batch_size=128):
    return lambda: skdfal.deepfool_margin_score(net, X, batch_size=batch_size)


def foolbox_attack(net, X, batch_size):
    """foolbox's attack in batches, with its adversarials."""
    import foolbox

    attack = foolbox.attacks.L2DeepFoolAttack(
        steps=50, candidates=10, overshoot=0.02, loss="logits"
    )
    module = net.module_.eval()
    bounds = (-1000, 1000)  # the margin knows no clipping
    model = foolbox.PyTorchModel(module, bounds=bounds, device="cpu")
    x = torch.from_numpy(X)
    with torch.no_grad():
        label = torch.cat([module(b).argmax(1) for b in x.split(500)])

    def run():
        batches = zip(x.split(batch_size), label.split(batch_size), strict=True)
        return torch.cat([attack(model, b, k, epsilons=None)[1] for b, k in batches])

    return run


def art_attack(net, X, batch_size):
    from art.attacks.evasion import DeepFool
    from art.estimators.classification import PyTorchClassifier

    classifier = PyTorchClassifier(
        net.module_.eval(), torch.nn.CrossEntropyLoss(), (1, 28, 28), 10
    )
    attack = DeepFool(
        classifier, max_iter=50, epsilon=0.02, batch_size=batch_size, verbose=False
    )
    return lambda: attack.generate(X)


def one_by_one(net, X):
    """An honest loop over samples: evaluation mode, C - 1 backward passes a step."""

    def run():
        module = net.module_.eval()
        for x in torch.from_numpy(X):
            x, r = x[None], torch.zeros_like(x)[None]
            k_0 = None
            for _ in range(50):
                x_i = (x + 1.02 * r).requires_grad_()
                f = module(x_i)[0]
                k_0 = int(f.argmax()) if k_0 is None else k_0
                if int(f.argmax()) != k_0:
                    break
                best = math.inf
                for k in range(len(f)):
                    if k == k_0:
                        continue
                    f_k = f[k] - f[k_0]
                    (w_k,) = torch.autograd.grad(f_k, x_i, retain_graph=True)
                    ratio = float(f_k.detach().abs() / w_k.norm())
                    if ratio < best:
                        best, w_l = ratio, w_k
                r = r + best * w_l / w_l.norm()

    return run


def unit(net, X, batch_size):
    """One forward and C - 1 backward passes of a batch: the ideal step."""
    module, x = net.module_.eval(), torch.from_numpy(X[:batch_size])

    def run():
        x_i = x.clone().requires_grad_()
        f = module(x_i)
        for k in range(1, 10):
            (f[:, k] - f[:, 0]).sum()
            torch.autograd.grad((f[:, k] - f[:, 0]).sum(), x_i, retain_graph=k < 9)

    return run


def correctness(net, X):
    x = torch.from_numpy(X)
    ours = skdfal.deepfool(net.module_, x).norm
    theirs = (foolbox_attack(net, X, 128)() - x).flatten(1).norm(dim=1) / 1.02
    difference = ((ours - theirs).abs() / ours).median()
    print(f"median relative difference to foolbox's margins: {difference:.1e}")
    module = copy.deepcopy(net.module_).double().eval()
    reference = torch.stack(
        [deepfool_one(module, x_j.double())[0].norm() for x_j in x[:100]]
    )
    difference = ((ours[:100] - reference).abs() / reference).median()
    print(f"median relative difference to a float64 loop:    {difference:.1e}\n")


def seconds_per_sample(make, batch_size):
    function, n_samples = make(batch_size)
    return medians({0: function}, 3)[0] / n_samples


def speed(net, X, K, n):
    """Ratios for a pool of K and a query of n."""
    pool = X[:K]
    n_steps = int(skdfal.deepfool(net.module_, torch.from_numpy(pool)).n_iter.sum())
    few = {"loop": min(K, 100), "art": min(K, 200), "foolbox": min(K, 2000)}
    repeats = 5 if K <= 1000 else 3
    sizes = (32, 64, 128, 256, 512)
    best, best_exact, best_unit = (
        min((seconds_per_sample(function, b), b) for b in sizes)[1]
        for function in (
            lambda b: (foolbox_attack(net, pool[:800], b), 800),
            lambda b: (exact(net, pool[:800], b), 800),
            lambda b: (unit(net, pool, b), b),
        )
    )
    functions = {
        "exact": exact(net, pool, best_exact),
        "default": exact(net, pool),
        "pruned": lambda: skdfal.dfal(net, pool, n, prune=True),
        "foolbox": foolbox_attack(net, pool[: few["foolbox"]], best),
        "unit": unit(net, pool, best_unit),
    }
    seconds = medians(functions, repeats)
    slow = medians({"loop": one_by_one(net, pool[: few["loop"]])}, 2)
    try:
        slow |= medians({"art": art_attack(net, pool[: few["art"]], 128)}, 1)
    except ImportError:
        print("ART is not installed")
    seconds |= slow
    for name, m in few.items():
        if name in seconds:
            seconds[name] *= K / m
    seconds["unit"] *= n_steps / best_unit
    attacked = _pruned_search(torch_nets(net, pool)[0], n, ATTACK).n_attacked
    titles = {
        "exact": f"skdfal, exact, batches of {best_exact}",
        "default": "skdfal, exact, batches of 128 (the default)",
        "pruned": f"skdfal, pruned, n={n}: {attacked} of {K} attacked",
        "foolbox": f"foolbox, batches of {best}",
        "art": "ART, batches of 128",
        "loop": "one sample at a time",
        "unit": f"{n_steps} x (1 forward + 9 backward), batches of {best_unit}",
    }
    rows = []
    for name, title in titles.items():
        if name in seconds:
            note = f" ({few[name]} samples, scaled)" if few.get(name, K) < K else ""
            s = seconds[name]
            ratios = (s / seconds["exact"], s / seconds["pruned"])
            rows.append((title + note, s, *ratios))
    print(f"K = {K}, medians, {N_THREADS} threads")
    print_table(rows, ["", "seconds", "/ exact", "/ pruned"])
    print(f"exact / ideal: {seconds['exact'] / seconds['unit']:.2f}\n")


def misses(X, y, n_nets=25):
    """How often the pruned search answers other than the exact one."""
    rows = []
    for K, n in ((800, 10), (10_000, 100)):
        n_same = n_queries = missed = attacked = 0
        for i, n_labels in enumerate(np.geomspace(20, 1000, n_nets).astype(int)):
            net = trained_lenet(X[:n_labels], y[:n_labels], seed=i, max_epochs=30)
            pools = [X[-K:]] if K > 1000 else [X[1000 + j * K :][:K] for j in range(4)]
            for pool in pools:
                margin = -skdfal.deepfool_margin_score(net, pool)
                wanted = set(np.argsort(margin)[:n])
                found = _pruned_search(torch_nets(net, pool)[0], n, ATTACK)
                n_wrong = len(wanted - set(found.indices))
                n_queries, n_same = n_queries + 1, n_same + (n_wrong == 0)
                missed, attacked = missed + n_wrong, attacked + found.n_attacked / K
        share = attacked / n_queries
        rows.append((K, n, n_queries, n_same, missed, share))
    headers = ["K", "n", "queries", "same set", "samples missed", "part attacked"]
    print_table(rows, headers)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--misses", action="store_true", help="count misses too")
    parser.add_argument("--only-misses", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(N_THREADS)
    X, y = pictures(12_000)
    if not arguments.only_misses:
        net = trained_lenet(X[:100], y[:100])
        pool = X[1000:]
        correctness(net, pool[:800])
        speed(net, pool, 800, 10)
        speed(net, pool, 10_000, 100)
    if arguments.misses or arguments.only_misses:
        misses(X, y)


if __name__ == "__main__":
    main()
