"""Make the pictures of the user guide: all of them, or those that are named.

python docs/make_pictures.py [name ...]
"""

import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import ListedColormap
from scipy.special import entr
from scipy.stats import spearmanr

import skdfal
from skdfal.datasets import fetch_mnist, load_digits
from skdfal.experiment import read_records
from skdfal.plot import ActiveLearningCurveDisplay

IMAGES = Path(__file__).parent / "images"
ROWS = Path(__file__).parent / "results" / "mnist-lenet5" / "rounds.csv"
CLASS_COLORS = ["#0072B2", "#E69F00", "#009E73"]  # told apart by everybody
ASKED = "#D55E00"
N_ASKED = 8


class Toy:
    """Three classes in the plane, few labels, a pool, and a small net."""

    def __init__(
        self, seed=3, n_labeled=18, n_pool=300, max_epochs=150, spread=0.52, **params
    ):
        rng = np.random.default_rng(seed)
        n = n_labeled + n_pool
        y = np.arange(n) % 3
        centers = np.array([[-1.1, -0.5], [1.1, -0.4], [0.0, 1.2]])
        X = centers[y] + rng.normal(0, spread, (n, 2))
        self.X = X.astype(np.float32)
        self.y = y
        self.labeled, self.pool = np.arange(n_labeled), np.arange(n_labeled, n)
        torch.manual_seed(seed)
        self.net = skdfal.make_classifier(
            skdfal.MLP,
            n_classes=3,
            module__n_features=2,
            module__n_hidden=64,
            lr=0.01,
            max_epochs=max_epochs,
            **params,
        ).fit(self.X[self.labeled], self.y[self.labeled])

    @property
    def X_pool(self):
        return self.X[self.pool]

    def grid(self, n=220):
        """Coordinates and points of a grid over the plane."""
        low, high = self.X.min(0) - 0.3, self.X.max(0) + 0.3
        u, v = np.linspace(low[0], high[0], n), np.linspace(low[1], high[1], n)
        points = np.stack(np.meshgrid(u, v), -1).reshape(-1, 2).astype(np.float32)
        return u, v, points

    def draw(self, ax, score=None, asked=()):
        """Regions or a shaded score, pool, labelled samples, rings."""
        u, v, points = self.grid()
        logits = self.net.predict_proba(points).reshape(len(v), len(u), 3)
        region = logits.argmax(-1)
        if score is None:
            ax.contourf(
                u,
                v,
                region,
                levels=[-0.5, 0.5, 1.5, 2.5],
                cmap=ListedColormap(CLASS_COLORS),
                alpha=0.18,
            )
        else:
            ax.imshow(
                score(points).reshape(len(v), len(u)),
                extent=(u[0], u[-1], v[0], v[-1]),
                origin="lower",
                cmap="Greys",
                alpha=0.75,
                aspect="auto",
            )
        for k in range(3):
            ax.contour(u, v, region == k, levels=[0.5], colors="black", linewidths=0.8)
        ax.scatter(*self.X_pool.T, s=7, c="#555555", linewidths=0, label="pool")
        self.draw_labeled(ax)
        if len(asked):
            ax.scatter(
                *self.X_pool[asked].T,
                s=75,
                facecolors="none",
                edgecolors=ASKED,
                linewidths=1.8,
                label="queried",
                zorder=5,
            )
        ax.set(xticks=[], yticks=[], xlim=(u[0], u[-1]), ylim=(v[0], v[-1]))
        ax.set_aspect("equal")

    def draw_labeled(self, ax):
        for k, (color, marker) in enumerate(
            zip(CLASS_COLORS, ["o", "s", "^"], strict=True)
        ):
            of_k = self.labeled[self.y[self.labeled] == k]
            ax.scatter(
                *self.X[of_k].T,
                s=60,
                c=color,
                marker=marker,
                edgecolors="black",
                linewidths=1,
                label=f"labelled, class {k}",
                zorder=4,
            )


def figure(n_panels=1):
    size = {1: (5.4, 4.6), 2: (7.2, 3.6), 3: (8.4, 3.1)}[n_panels]
    return plt.subplots(1, n_panels, figsize=size, layout="constrained")


def legend(fig, ax, n_columns=5):
    fig.legend(
        *ax.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=n_columns,
        frameon=False,
        fontsize=8.5,
        handletextpad=0.2,
        columnspacing=1.2,
    )


def dfal():
    toy = Toy(n_pool=48)
    fig, ax = figure()
    asked = skdfal.dfal(toy.net, toy.X_pool, N_ASKED)
    toy.draw(ax, asked=asked)
    twins = skdfal.AdversarialAugmenter(toy.net, prefit=True)
    X_twin = twins.transform(toy.X_pool[asked])
    for x, x_twin in zip(toy.X_pool[asked], X_twin, strict=True):
        ax.plot(*zip(x, x_twin, strict=True), color=ASKED, lw=1.5, zorder=6)
    ax.scatter(*X_twin.T, marker="x", c=ASKED, s=30, label="its twin", zorder=6)
    legend(fig, ax, 3)
    return fig


def dfal_diverse():
    toy = Toy()
    fig, axes = figure(2)
    for ax, strategy, title in (
        (axes[0], skdfal.dfal, "dfal: the smallest margins"),
        (axes[1], skdfal.dfal_diverse_sampling, "dfal_diverse: small and diverse"),
    ):
        toy.draw(ax, asked=strategy(toy.net, toy.X_pool, 10))
        ax.set_title(title, fontsize=10)
    legend(fig, axes[0])
    return fig


def dfal_plus():
    toy = Toy(n_labeled=6)
    fig, axes = figure(2)
    for ax, labels_per_class, title in (
        (axes[0], 8, "too few labels: typical samples"),
        (axes[1], 2, "enough labels: small margins"),
    ):
        asked = skdfal.dfal_plus_sampling(
            toy.net,
            toy.X_pool,
            6,
            X_labeled=toy.X[toy.labeled],
            labels_per_class=labels_per_class,
            random_state=0,
        )
        toy.draw(ax, asked=asked)
        ax.set_title(title, fontsize=10)
    legend(fig, axes[0])
    return fig


def uncertainty():
    toy = Toy()
    fig, axes = figure(3)
    for ax, name in zip(axes, ["entropy", "least_confidence", "margin"], strict=True):
        score = getattr(skdfal, f"{name}_score")
        sampling = getattr(skdfal, f"{name}_sampling")
        toy.draw(
            ax,
            score=lambda points, score=score: score(toy.net, points),
            asked=sampling(toy.net, toy.X_pool, N_ASKED),
        )
        ax.set_title(name)
    legend(fig, axes[0])
    return fig


def bald():
    toy = Toy()
    fig, axes = figure(2)
    u, v, points = toy.grid()
    module = toy.net.module_
    torch.manual_seed(0)
    axes[0].set_title("boundaries of ten draws", fontsize=10)
    module.train()
    for _ in range(10):
        mask = torch.nn.functional.dropout(torch.ones(1, module[1].out_features), 0.25)
        with torch.no_grad():  # one mask for the whole plane: one net
            hidden = module[2](module[1](torch.from_numpy(points))) * mask
            drawn = module[4](hidden).argmax(1).numpy().reshape(len(v), len(u))
        for k in range(3):
            axes[0].contour(
                u, v, drawn == k, levels=[0.5], colors="#0072B2", linewidths=0.7
            )
    module.eval()
    axes[0].scatter(*toy.X_pool.T, s=7, c="#555555", linewidths=0)
    toy.draw_labeled(axes[0])
    axes[0].set(xticks=[], yticks=[], xlim=(u[0], u[-1]), ylim=(v[0], v[-1]))
    axes[0].set_aspect("equal")
    toy.draw(
        axes[1],
        score=lambda points: skdfal.bald_score(
            toy.net, points, n_draws=200, random_state=0
        ),
        asked=skdfal.bald_sampling(
            toy.net, toy.X_pool, N_ASKED, n_draws=200, random_state=0
        ),
    )
    axes[1].set_title("mutual information (200 draws)", fontsize=10)
    legend(fig, axes[1])
    return fig


def mc_dropout():
    toy = Toy()
    fig, axes = figure(2)
    draws = {"n_draws": 200, "random_state": 0}
    for ax, score, asked, title in (
        (
            axes[0],
            lambda points: skdfal.entropy_score(toy.net, points),
            skdfal.entropy_sampling(toy.net, toy.X_pool, N_ASKED),
            "entropy",
        ),
        (
            axes[1],
            lambda points: skdfal.mc_dropout_score(toy.net, points, **draws),
            skdfal.mc_dropout_sampling(toy.net, toy.X_pool, N_ASKED, **draws),
            "entropy of the mean over 200 draws",
        ),
    ):
        toy.draw(ax, score=score, asked=asked)
        ax.set_title(title, fontsize=10)
    legend(fig, axes[0])
    return fig


def ceal():
    toy = Toy(max_epochs=50)
    threshold = 0.05
    entropy = entr(toy.net.predict_proba(toy.X_pool)).sum(1)
    asked = skdfal.ceal_sampling(toy.net, toy.X_pool, N_ASKED)
    bins = np.linspace(0, np.log(3), 23)
    bins = np.sort(np.append(bins, threshold))
    fig, ax = figure()
    parts = {
        f"pseudo-labelled: entropy < δ = {threshold}": entropy < threshold,
        "neither": entropy >= threshold,
        "queried: the highest": np.isin(np.arange(len(entropy)), asked),
    }
    parts["neither"] = parts["neither"] & ~list(parts.values())[2]
    ax.hist(
        [entropy[part] for part in parts.values()],
        bins,
        stacked=True,
        color=["#0072B2", "#BBBBBB", ASKED],
        label=[f"{name} ({part.sum()} samples)" for name, part in parts.items()],
        edgecolor="white",
        linewidth=0.4,
    )
    ax.axvline(threshold, color="black", linewidth=1, linestyle="--")
    ax.text(threshold + 0.015, ax.get_ylim()[1] * 0.95, "δ")
    ax.axvline(np.log(3), color="black", linewidth=1, linestyle=":")
    ax.text(np.log(3) - 0.015, ax.get_ylim()[1] * 0.5, "log 3", ha="right")
    ax.set(xlabel="entropy of the prediction (nats)", ylabel="samples of the pool")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, loc="upper right", bbox_to_anchor=(0.95, 0.92))
    return fig


def egl():
    toy = Toy()
    fig, ax = figure()
    toy.draw(
        ax,
        score=lambda points: skdfal.egl_score(toy.net, points, batch_size=4096),
        asked=skdfal.egl_sampling(toy.net, toy.X_pool, N_ASKED),
    )
    legend(fig, ax, 3)
    return fig


def core_set():
    rng = np.random.default_rng(1)
    X = np.concatenate(
        [rng.normal(center, 0.55, (25, 2)) for center in ([0, 0], [2.6, 0.4], [1, 2.2])]
    )
    X_labeled, X = X[:2], X[2:]
    greedy = skdfal.k_center_greedy(X, 4, X_labeled=X_labeled)
    best = skdfal.k_center_mip(X, 4, X_labeled=X_labeled, outlier_fraction=0)
    fig, axes = figure(2)
    for ax, found, name in zip(
        axes, (greedy, best), ("greedy", "integer program"), strict=True
    ):
        for center in np.concatenate([X_labeled, X[found.centers]]):
            ax.add_patch(
                plt.Circle(center, found.radius, color="#56B4E9", alpha=0.16, lw=0)
            )
            ax.add_patch(
                plt.Circle(center, found.radius, fill=False, color="#0072B2", lw=0.8)
            )
        ax.scatter(*X.T, s=9, c="#555555", linewidths=0, label="pool")
        ax.scatter(*X_labeled.T, s=55, c="#0072B2", ec="black", label="labelled")
        ax.scatter(
            *X[found.centers].T,
            s=75,
            facecolors="none",
            edgecolors=ASKED,
            linewidths=1.8,
            label="queried",
            zorder=5,
        )
        ax.set_title(f"{name}: radius {found.radius:.2f}", fontsize=10)
        ax.set(xticks=[], yticks=[])
        ax.set_aspect("equal")
        margin = greedy.radius + 0.1
        ax.set(
            xlim=(X[:, 0].min() - margin, X[:, 0].max() + margin),
            ylim=(X[:, 1].min() - margin, X[:, 1].max() + margin),
        )
    legend(fig, axes[0])
    return fig


def learning_loss():
    toy = Toy(n_labeled=90, spread=0.7, loss_prediction="ranking", sample_shape=(2,))
    fig, axes = figure(2)
    asked = skdfal.learning_loss_sampling(toy.net, toy.X_pool, N_ASKED)
    toy.draw(
        axes[0],
        score=lambda points: skdfal.learning_loss_score(toy.net, points),
        asked=asked,
    )
    axes[0].set_title("predicted loss", fontsize=10)
    legend(fig, axes[0])
    predicted = skdfal.learning_loss_score(toy.net, toy.X_pool)
    proba = toy.net.predict_proba(toy.X_pool)
    loss = -np.log(proba[np.arange(len(toy.pool)), toy.y[toy.pool]])
    axes[1].set_yscale("log")
    rank = predicted.argsort().argsort() + 1
    axes[1].scatter(rank, loss, s=7, c="#555555", linewidths=0)
    axes[1].scatter(rank[asked], loss[asked], s=75, fc="none", ec=ASKED, linewidths=1.8)
    correlation = spearmanr(predicted, loss).statistic
    axes[1].set_title(f"and the true loss: rank correlation {correlation:.2f}", size=10)
    axes[1].set(xlabel="rank of the predicted loss", ylabel="true loss (nats)")
    axes[1].spines[["top", "right"]].set_visible(False)
    return fig


def badge():
    toy = Toy()
    fig, axes = figure(2)
    asked = {
        "entropy: eight similar samples": skdfal.entropy_sampling(
            toy.net, toy.X_pool, N_ASKED
        ),
        "badge: large, diverse gradients": skdfal.badge_sampling(
            toy.net, toy.X_pool, N_ASKED, random_state=0
        ),
    }
    for ax, (title, indices) in zip(axes, asked.items(), strict=True):
        toy.draw(ax, asked=indices)
        ax.set_title(title, fontsize=10)
    legend(fig, axes[0])
    return fig


def draw_clumps(ax, X, asked, title):
    ax.scatter(*X.T, s=9, c="#555555", linewidths=0, label="pool")
    ax.scatter(
        *X[asked].T,
        s=75,
        facecolors="none",
        edgecolors=ASKED,
        linewidths=1.8,
        label="queried",
        zorder=5,
    )
    ax.set_title(title, fontsize=10)
    ax.set(xticks=[], yticks=[], aspect="equal")


def clumps():
    """Clumps of unequal size and some outliers, on a sphere seen from above."""
    rng = np.random.default_rng(2)
    middle = [(-0.55, -0.3), (0.5, -0.45), (0.1, 0.5), (-0.6, 0.45)]
    parts = [
        rng.normal(m, 0.13, (n, 2))
        for m, n in zip(middle, (90, 60, 45, 30), strict=True)
    ]
    X = np.concatenate([*parts, rng.uniform(-0.8, 0.8, (12, 2))])
    X = X[np.linalg.norm(X, axis=1) < 0.95].astype(np.float32)
    Z = np.column_stack([X, np.sqrt(1 - (X**2).sum(1))]).astype(np.float32)
    head = skdfal.make_classifier(torch.nn.Linear(3, 4)).initialize()
    return X, Z, head


def typi_clust():
    X, Z, head = clumps()
    fig, axes = figure(2)
    asked = skdfal.typi_clust_sampling(head, Z, 4, random_state=0)
    draw_clumps(axes[0], X, asked, "typi_clust: the middle of clusters")
    asked = skdfal.core_set_sampling(head, Z, 4, solver="greedy")
    draw_clumps(axes[1], X, asked, "core_set: the farthest")
    legend(fig, axes[0])
    return fig


def prob_cover():
    X, Z, head = clumps()
    delta = 0.3
    fig, ax = figure()
    asked = skdfal.prob_cover_sampling(head, Z, 4, delta=delta, random_state=0)
    draw_clumps(ax, X, asked, f"balls of radius {delta} that cover most")
    covered = (np.linalg.norm(Z[:, None] - Z[asked], axis=2) < delta).any(axis=1)
    ax.scatter(*X[covered].T, s=9, c="#0072B2", linewidths=0, label="covered", zorder=3)
    legend(fig, ax, 3)
    return fig


class Digits:
    """Small digits, the first ones labelled, all but those of one class."""

    def __init__(self, missing=4, n_labeled=600, seed=0, **params):
        digits = load_digits()
        X = np.concatenate([digits.X_train, digits.X_test])
        y = np.concatenate([digits.y_train, digits.y_test])
        self.X, self.y = X[:, :, ::2, ::2], y
        order = np.random.default_rng(seed).permutation(len(y))
        self.labeled = order[y[order] != missing][:n_labeled]
        self.pool = np.setdiff1d(order, self.labeled)
        self.is_missing = y[self.pool] == missing
        torch.manual_seed(seed)
        net = skdfal.make_classifier(
            skdfal.MLP, module__n_features=144, module__n_classes=10, **params
        )
        self.net = net.fit(self.X[self.labeled], y[self.labeled])
        self.asking = {
            "X_labeled": self.X[self.labeled],
            "width": 0.125,
            "max_epochs": 20,
            "random_state": 0,
        }


def vaal():
    digits = Digits(max_epochs=1)
    score = skdfal.vaal_score(digits.net, digits.X[digits.pool], **digits.asking)
    asked = np.argsort(-score)[:24]
    fig, axes = figure(2)
    axes[0].set_title("labelled, no 4 among them (above); queried", fontsize=10)
    shown = np.concatenate([digits.labeled[:24], digits.pool[asked]])
    tiles = np.pad(digits.X[shown, 0], ((0, 0), (2, 2), (2, 2)))  # 16x16 each
    tiles = tiles.reshape(6, 8, 16, 16).transpose(0, 2, 1, 3).reshape(96, 128)
    axes[0].imshow(tiles, cmap="Greys")
    axes[0].axhline(47.5, color="black", lw=0.8)
    for k in np.flatnonzero(digits.is_missing[asked]):
        corner = (16 * (k % 8), 48 + 16 * (k // 8))
        axes[0].add_patch(plt.Rectangle(corner, 15, 15, fill=False, ec=ASKED, lw=1.8))
    axes[0].set(xticks=[], yticks=[])
    bins = np.linspace(*np.quantile(score, [0.001, 1]), 30)
    for part, color, label in (
        (~digits.is_missing, "#BBBBBB", "other digits"),
        (digits.is_missing, ASKED, "4, which has no label"),
    ):
        axes[1].hist(
            score[part], bins, density=True, color=color, alpha=0.7, label=label
        )
    axes[1].set(xlabel="log-odds of having no label", yticks=[])
    axes[1].spines[["top", "right", "left"]].set_visible(False)
    axes[1].legend(frameon=False, fontsize=8.5)
    return fig


def ta_vaal():
    digits = Digits(
        max_epochs=20, lr=0.01, loss_prediction="ranking", sample_shape=(1, 12, 12)
    )
    X = digits.X[digits.pool]
    scores = {
        "Learning Loss": skdfal.learning_loss_score(digits.net, X),
        "VAAL": skdfal.vaal_score(digits.net, X, **digits.asking),
        "TA-VAAL": skdfal.ta_vaal_score(digits.net, X, **digits.asking),
    }
    ranks = {name: score.argsort().argsort() for name, score in scores.items()}
    fig, axes = figure(3)
    for ax, (name, score) in zip(axes, scores.items(), strict=True):
        asked = np.argsort(-score)[:60]
        x, y = ranks["Learning Loss"], ranks["VAAL"]
        ax.scatter(x, y, s=5, c="#999999", linewidths=0, label="pool")
        ax.scatter(x[asked], y[asked], s=9, c=ASKED, linewidths=0, label="queried")
        ax.set_title(name, fontsize=10)
        ax.set(xticks=[], yticks=[], xlabel="predicted loss →")
    axes[0].set(ylabel="VAAL's score →")
    legend(fig, axes[0])
    return fig


def random():
    toy = Toy()
    fig, ax = figure()
    asked = skdfal.random_sampling(None, toy.X_pool, N_ASKED, random_state=0)
    toy.draw(ax, asked=asked)
    legend(fig, ax, 3)
    return fig


def first_look():
    """Real images, and what choosing them was worth: the first picture of README."""
    fig = plt.figure(figsize=(12, 3.7))
    low_high = {"bottom": 0.12, "top": 0.92}
    left = fig.add_gridspec(
        3, 8, left=0.005, right=0.56, wspace=0.1, hspace=0.4, **low_high
    )
    draw_choice(left.subplots())
    right = fig.add_gridspec(1, 1, left=0.635, right=0.995, **low_high)
    draw_reach(right.subplots())
    return fig


def draw_choice(axes):
    """Images drawn at random, images that DFAL asks for, and their twins."""
    mnist = fetch_mnist()
    net = skdfal.make_classifier("lenet5", max_epochs=50)
    torch.manual_seed(0)
    net.fit(mnist.X_train[:100], mnist.y_train[:100])
    pool = mnist.X_train[1000:4000]
    n_shown = axes.shape[1]
    asked = skdfal.dfal(net, pool, n_shown)
    X_twin = skdfal.AdversarialAugmenter(net, prefit=True).transform(pool[asked])
    rows = {
        "Images of the pool, with predicted labels": (pool[:n_shown], "#555555"),
        "Queried: a small step changes the prediction": (pool[asked], ASKED),
        "Their twins: across the boundary, same label": (X_twin, "#0072B2"),
    }
    for row, (title, (images, color)) in zip(axes, rows.items(), strict=True):
        row[0].set_title(title, color=color, fontsize=12.5, loc="left")
        for ax, image, k in zip(row, images, net.predict(images), strict=True):
            ax.imshow(image[0], cmap="gray_r", vmin=0, vmax=1)
            ax.text(26.5, 26, k, color=color, ha="right", fontsize=11, weight="bold")
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_color(color)


def draw_reach(ax):
    """The published curves, and where DFAL is as good as RANDOM is at its end."""
    shown = "dfal", "uncertainty", "random"
    rows = [row for row in read_records(ROWS) if row["strategy"] in shown]
    display = ActiveLearningCurveDisplay.from_records(rows).plot(ax=ax)
    chance, curve = display.curves["random"], display.curves["dfal"]
    end, accuracy = chance.annotations[-1], chance.mean[-1]
    reached = curve.annotations[(curve.mean >= accuracy).argmax()]
    ways = {"arrowstyle": "<->", "color": "black", "lw": 1.5}
    ax.annotate("", (reached, accuracy), (end, accuracy), arrowprops=ways, zorder=5)
    ax.text(
        (reached + end) / 2,
        accuracy - 0.05,
        f"{reached:.0f} labels equal\n{end:,.0f} random ones",
        ha="center",
        va="top",
        fontsize=12.5,
    )
    ax.set(ylim=(0.6, 1), xlabel="labels", ylabel="test accuracy")
    ax.set_title("LeNet5 on MNIST", fontsize=12.5)


PICTURES = {
    f.__name__: f
    for f in (
        first_look,
        dfal,
        dfal_plus,
        dfal_diverse,
        uncertainty,
        bald,
        mc_dropout,
        ceal,
        egl,
        core_set,
        learning_loss,
        vaal,
        ta_vaal,
        badge,
        typi_clust,
        prob_cover,
        random,
    )
}


def main(names):
    """Make the pictures."""
    torch.set_num_threads(1)  # the same pictures on every machine, or nearly so
    IMAGES.mkdir(exist_ok=True)
    for name in names or PICTURES:
        fig = PICTURES[name]()
        fig.savefig(IMAGES / f"{name}.png", dpi=160)
        plt.close(fig)
        print(IMAGES / f"{name}.png")


if __name__ == "__main__":
    main(sys.argv[1:])
