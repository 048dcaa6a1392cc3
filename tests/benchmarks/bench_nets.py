"""DFAL beside foolbox on nets that people use, of 10, 100 and 1,000 classes.

Run from the top of the repository, on an idle machine::

    pip install -e ".[benchmarks]"
    python -m tests.benchmarks.bench_nets --out rows.jsonl
    python -m tests.benchmarks.bench_nets --out rows.jsonl --device cuda

Each row has a process of its own, and is kept in ``--out``: what is there is not run
again. The default query is run in full on K candidates; the attack of every candidate,
by skdfal and by foolbox, on the first few of them, and scaled.

Weights are random, batch-norm statistics those of the pictures, and the last layer is
fitted to their features, so that predictions differ from picture to picture: LeNet5 on
MNIST, the others on CIFAR-10, made larger for 224 pixels. Those called trained are
trained for a while on labels of pictures that are not attacked.
"""

import argparse
import json
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import torch
from skorch import NeuralNetClassifier
from torch import nn
from torch.nn import functional as F

import skdfal
from skdfal._utils._torch import evaluation_mode
from skdfal.datasets import fetch_cifar10, fetch_mnist
from skdfal.nets import VGG8, LeNet5, ResNet18
from tests.benchmarks._common import medians, print_table
from tests.benchmarks._vit import ViTTiny

CLASSES = (10, 100, 1000)
N_ASKED = 10
BATCH_SIZES = (4, 16, 64)
# Pixels, how the module is made, candidates, how many of them are all attacked, and how
# many towards all classes, however many there are.
NETS = {
    "LeNet5": (28, LeNet5, 800, 200, 20),
    "VGG8": (32, lambda **kw: VGG8(in_channels=3, image_size=32, **kw), 800, 32, 2),
    "ResNet18": (32, ResNet18, 400, 8, 0),
    "ViT-tiny": (32, ViTTiny, 400, 8, 0),
    "ResNet18-224": (224, lambda **kw: ResNet18(image_size=224, **kw), 100, 4, 0),
    "ViT-tiny-224": (224, lambda **kw: ViTTiny(image_size=224, **kw), 100, 4, 0),
    "LeNet5, trained": (28, LeNet5, 800, 200, 0),
    "ResNet18/4, trained": (32, lambda **kw: ResNet18(width=0.25, **kw), 400, 64, 0),
}
# Labels that they are trained on, and epochs.
TRAINING = {"LeNet5, trained": (500, 50), "ResNet18/4, trained": (1000, 15)}
# What takes longest comes last.
ORDER = [(k, c) for k in ("LeNet5", "VGG8") for c in CLASSES]
ORDER += [(k, c) for c in (10, 1000, 100) for k in ("ViT-tiny", "ResNet18")]
ORDER += [(k, 10) for k in TRAINING]
ORDER += [(k, c) for k in ("ResNet18-224", "ViT-tiny-224") for c in CLASSES]


def pictures(name, n):
    """``n`` pictures and labels; noise where the data set is not on this machine."""
    size, is_grey = NETS[name][0], name.startswith("LeNet5")
    try:
        data = (fetch_mnist if is_grey else fetch_cifar10)(download_if_missing=False)
        X, y = data.X_train[:n], data.y_train[:n]
    except OSError:
        print("no data on this machine: noise stands in", file=sys.stderr)
        rng = np.random.default_rng(0)
        X = rng.random((n, 1 if is_grey else 3, size, size), np.float32)
        y = rng.integers(10, size=n)
    X = F.interpolate(torch.as_tensor(X), size, mode="bilinear").numpy()
    return X, y.astype(np.int64)


def trained_net(name, X, y, device):
    """A net that has learned what it could from some labels."""
    torch.manual_seed(0)
    net = NeuralNetClassifier(
        NETS[name][1](n_classes=10),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=0.001,
        batch_size=32,
        max_epochs=TRAINING[name][1],
        train_split=None,
        verbose=0,
        device=device,
    )
    return net.fit(X, y)


def make_net(name, n_classes, X, device):
    """A net with random weights whose predictions differ from picture to picture."""
    torch.manual_seed(0)
    module = NETS[name][1](n_classes=n_classes)
    x = torch.from_numpy(X[:64])
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # a plain mean
    with torch.no_grad():
        for part in x.split(16):
            module.train()(part)
    last = [layer for layer in module.modules() if isinstance(layer, nn.Linear)][-1]
    seen = []
    hook = last.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with evaluation_mode(module), torch.no_grad():
        for part in x.split(16):
            module(part)
    hook.remove()
    Z = torch.cat(seen)
    Z_0 = Z - Z.mean(0)
    W = torch.randn(n_classes, len(Z)) @ Z_0
    W *= 3 / (Z_0 @ W.T).std()  # logits that spread by three
    last.weight.data[:] = W
    last.bias.data[:] = -W @ Z.mean(0)
    net = NeuralNetClassifier(module, criterion=nn.CrossEntropyLoss, device=device)
    return net.initialize()


def foolbox_attack(net, X, batch_size):
    """foolbox's attack towards the ten likeliest classes; gives its margins."""
    import foolbox

    attack = foolbox.attacks.L2DeepFoolAttack(
        steps=50, candidates=10, overshoot=0.02, loss="logits"
    )
    module, device = net.module_.eval(), net.device
    model = foolbox.PyTorchModel(module, bounds=(-1000, 1000), device=device)
    x = torch.from_numpy(X).to(device)
    with torch.no_grad():
        label = torch.cat([module(part).argmax(1) for part in x.split(16)])

    def run():
        parts = zip(x.split(batch_size), label.split(batch_size), strict=True)
        found = torch.cat([attack(model, b, k, epsilons=None)[1] for b, k in parts])
        return (found - x).flatten(1).norm(dim=1).cpu().numpy() / 1.02

    return run


def seconds(function):
    """Return how long a call takes, and what it gives.

    Of a processor, whose one thread may have to wait for others, its own seconds.
    """
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    started = clock()
    found = function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - started, found


class Memory:
    """Most bytes that the code within takes beyond what was taken before it."""

    def __init__(self, device):
        self.on_gpu = device == "cuda"

    def __enter__(self):
        if self.on_gpu:
            torch.cuda.reset_peak_memory_stats()
        self.before = self.most = self._taken()
        self.is_over = threading.Event()
        self.watch = threading.Thread(target=self._look)
        self.watch.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.watch.join()

    @property
    def megabytes(self):
        return (self.most - self.before) / 2**20

    def _look(self):
        while not self.is_over.wait(0.01):
            self.most = max(self.most, self._taken(peak=True))

    def _taken(self, peak=False):
        if self.on_gpu:
            name = "max_memory_allocated" if peak else "memory_allocated"
            return getattr(torch.cuda, name)()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize()


def row(name, n_classes, device):
    """Measure one net with one number of classes."""
    K, n_few, n_some = NETS[name][2:]
    n_labels, _ = TRAINING.get(name, (0, 0))
    X, y = pictures(name, K + n_labels)
    X, X_labeled, y = X[:K], X[K:], y[K:]
    if n_labels:
        net = trained_net(name, X_labeled, y, device)
    else:
        net = make_net(name, n_classes, X, device)
    few = X[:n_few]
    net.module_.eval()(torch.from_numpy(X[:1]).to(device))  # warm
    with Memory(device) as memory:
        default, _ = seconds(lambda: skdfal.dfal(net, X, N_ASKED))
        exact, score = seconds(lambda: skdfal.deepfool_margin_score(net, few))
    sizes = [size for size in BATCH_SIZES if size <= n_few]
    theirs = {size: seconds(foolbox_attack(net, few, size)) for size in sizes}
    best = min(sizes, key=lambda size: theirs[size][0])
    margin = -score
    found = np.isfinite(margin)
    difference = np.abs(theirs[best][1] - margin)[found] / margin[found]
    answer = {
        "net": name,
        "classes": n_classes,
        "K": K,
        "few": n_few,
        "default_s": default,
        "exact_s": exact * K / n_few,
        "foolbox_s": theirs[best][0] * K / n_few,
        "foolbox_batch": best,
        "difference": float(np.median(difference)),
        "difference_max": float(difference.max()),
        "memory_mb": memory.megabytes,
        "classes_predicted": len(np.unique(net.predict(X[:64]))),
    }
    if n_classes > 20 and n_some:
        every, score = seconds(
            lambda: skdfal.deepfool_margin_score(
                net, few[:n_some], n_top_classes=n_classes
            )
        )
        answer["all_classes_s"] = every * K / n_some
        answer["ten_of_all"] = float(np.max(margin[:n_some] / -score - 1))
    return answer


def affine(n_samples=20_000, n_features=512):
    """The closed form of a linear head beside the attack, per number of classes."""
    from skdfal.adversarial import affine_form, affine_margins

    rows = []
    for n_classes in CLASSES:
        torch.manual_seed(0)
        module = nn.Linear(n_features, n_classes)
        x = torch.randn(n_samples, n_features)
        x /= x.norm(dim=1, keepdim=True)
        form = affine_form(module)
        few = x[: n_samples // n_classes]

        def closed(form=form, x=x):
            return affine_margins(form, x)

        def attacked(module=module, few=few, n_classes=n_classes):
            return skdfal.deepfool(module, few, n_top_classes=n_classes).norm

        s = {
            name: np.median([seconds(function)[0] for _ in range(3)])
            for name, function in (("closed", closed), ("attacked", attacked))
        }
        exact = affine_margins(type(form)(form.W.double(), form.b.double()), x.double())
        error = (closed() - exact).abs().max().item()
        iterated = s["attacked"] * len(x) / len(few)
        rows.append((n_classes, s["closed"], iterated, iterated / s["closed"], error))
    print(f"{n_samples} x {n_features} features of unit length, a linear head")
    print_table(rows, ["classes", "closed form s", "attack s", "x", "largest error"])


def one_host_synchronisation(device):
    """Margins of all of MNIST on a GPU, beside those of the CPU."""
    X = fetch_mnist(download_if_missing=False).X_train
    torch.manual_seed(0)
    net = skdfal.make_classifier("lenet5", max_epochs=10, device=device)
    y = fetch_mnist(download_if_missing=False).y_train
    net.fit(X[:1000], y[:1000])
    taken = medians({device: lambda: skdfal.deepfool_margin_score(net, X)}, 3)
    print(f"{len(X)} MNIST margins: {taken[device]:.2f} s")
    score = skdfal.deepfool_margin_score(net, X[:2000])
    net.set_params(device="cpu")
    net.module_.to("cpu")
    on_cpu = skdfal.deepfool_margin_score(net, X[:2000])
    asked = [set(np.argsort(-s)[:100]) for s in (score, on_cpu)]
    print(f"of the 100 smallest of 2,000, {len(asked[0] & asked[1])} as on the CPU")


def known(path):
    """Return the rows that are kept, by net and number of classes."""
    if not path.exists():
        return {}
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {(r["net"], r["classes"]): r for r in rows}


def show(rows):
    """Print the table."""
    headers = ["net", "classes", "K", "default s", "exact s", "foolbox s"]
    headers += ["foolbox / exact", "foolbox / default", "difference"]
    headers += ["ten of all", "memory MB"]
    print_table(
        [
            (
                *(r["net"], r["classes"], r["K"]),
                *(r["default_s"], r["exact_s"], r["foolbox_s"]),
                r["foolbox_s"] / r["exact_s"],
                r["foolbox_s"] / r["default_s"],
                *(r["difference"], r.get("ten_of_all", 0.0), r["memory_mb"]),
            )
            for r in rows
        ],
        headers,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("bench_nets.jsonl"))
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--row", nargs=2, metavar=("NET", "CLASSES"))
    parser.add_argument("--affine", action="store_true", help="the linear head alone")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.row:
        name, n_classes = arguments.row
        print(json.dumps(row(name, int(n_classes), arguments.device)))
        return
    if arguments.affine:
        affine()
        return
    for name, n_classes in ORDER:
        if (name, n_classes) in known(arguments.out):
            continue
        command = [sys.executable, "-m", "tests.benchmarks.bench_nets"]
        command += ["--device", arguments.device, "--row", name, str(n_classes)]
        found = subprocess.run(command, capture_output=True, text=True)
        if found.returncode:
            print(f"{name}, {n_classes}: {found.stderr[-500:]}", file=sys.stderr)
            continue
        with arguments.out.open("a", encoding="utf-8") as file:
            file.write(found.stdout.splitlines()[-1] + "\n")
    rows = known(arguments.out)
    show([rows[k, c] for k in NETS for c in CLASSES if (k, c) in rows])
    affine()
    if arguments.device == "cuda":
        one_host_synchronisation("cuda")
    else:
        print("with a GPU: python -m tests.benchmarks.bench_nets --device cuda")


if __name__ == "__main__":
    main()
