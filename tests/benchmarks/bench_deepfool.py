"""DFAL's query, as it comes, beside foolbox, ART, a loop and the ideal.

Ours runs with its defaults; foolbox and the ideal each at their best batch size.

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
from skdfal.adapter import torch_nets
from skdfal.strategies import _pruned_search
from skdfal.strategies._deepfool_margin import attack_parameters
from tests.benchmarks._common import (
    N_THREADS,
    medians,
    pictures,
    print_table,
    trained_lenet,
)
from tests.reference.deepfool import deepfool_one

ATTACK = attack_parameters(
    p=2, max_iter=50, overshoot=0.02, n_top_classes=None, batch_size=None
)
BATCH_SIZES = (32, 64, 128, 256, 512)


def exact(net, X, n):
    return lambda: skdfal.deepfool_margin_sampling(net, X, n, prune=False)


def default(net, X, n):
    return lambda: skdfal.deepfool_margin_sampling(net, X, n)


def pruned_search(net, X, n):
    attacked = torch_nets(net, X)[0].for_attack()
    attack = ATTACK | {"batch_size": attacked.batch_size(None, with_graph=True)}
    return _pruned_search.pruned_search(attacked, n, attack)


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
    """An honest loop over samples: evaluation mode, C - 1 backward passes per step."""

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


def best_batch_size(make, n_samples):
    """Return the size at which ``make(size)`` is fastest, per sample.

    ``n_samples(size)`` is how many it works on.
    """
    seconds = medians({size: make(size) for size in BATCH_SIZES}, 3)
    return min(BATCH_SIZES, key=lambda size: seconds[size] / n_samples(size))


def speed(net, X, K, n):
    """Print seconds and ratios for a pool of K and a query of n."""
    pool = X[:K]
    n_steps = int(skdfal.deepfool(net.module_, torch.from_numpy(pool)).n_iter.sum())
    n_foolbox, n_art, n_loop = min(K, 2000), min(K, 200), min(K, 100)
    foolbox_size = best_batch_size(
        lambda size: foolbox_attack(net, pool[:800], size), lambda size: 800
    )
    ideal_size = best_batch_size(lambda size: unit(net, pool, size), lambda size: size)
    titles = {
        "exact": "skdfal, prune=False",
        "default": f"skdfal, n={n}: {pruned_search(net, pool, n).n_attacked} attacked",
        "foolbox": f"foolbox, batches of {foolbox_size}",
        "art": "ART, batches of 128",
        "loop": "one sample at a time",
        "ideal": f"{n_steps} x (1 forward + 9 backward), batches of {ideal_size}",
    }
    functions = {
        "exact": exact(net, pool, n),
        "default": default(net, pool, n),
        "foolbox": foolbox_attack(net, pool[:n_foolbox], foolbox_size),
        "ideal": unit(net, pool, ideal_size),
    }
    seconds = medians(functions, 5 if K <= 1000 else 3)
    seconds |= medians({"loop": one_by_one(net, pool[:n_loop])}, 2)
    try:
        seconds |= medians({"art": art_attack(net, pool[:n_art], 128)}, 1)
    except ImportError:
        print("ART is not installed")
    for name, n_done in {"foolbox": n_foolbox, "art": n_art, "loop": n_loop}.items():
        if name in seconds and n_done < K:
            seconds[name] *= K / n_done
            titles[name] += f" ({n_done} samples, scaled)"
    seconds["ideal"] *= n_steps / ideal_size
    rows = [
        (title, s, s / seconds["exact"], s / seconds["default"])
        for name, title in titles.items()
        if (s := seconds.get(name))
    ]
    print(f"K = {K}, medians, {N_THREADS} threads")
    print_table(rows, ["", "seconds", "/ exact", "/ default"])
    for a, b in (("foolbox", "exact"), ("foolbox", "default"), ("exact", "ideal")):
        print(f"{a} / {b}: {seconds[a] / seconds[b]:.2f}")
    print()


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
                found = pruned_search(net, pool, n)
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
