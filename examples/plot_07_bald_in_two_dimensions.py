"""
7. MC dropout and BALD on a toy
===============================

A network can be unsure for two reasons. Where two classes overlap, no number of labels
will make it sure: this is noise. Where it has seen nothing, one label may teach it a
lot. Entropy does not separate the two. BALD [1]_ tries to: it leaves dropout on, asks
the network several times [2]_, and looks for points where the answers are confident
but contradict each other.

What we will see, in two dimensions, are the boundaries of ten draws of one network, the
entropy, and BALD's score, with the points that each of the two would query.

.. [1] N. Houlsby, F. Huszár, Z. Ghahramani, M. Lengyel, "Bayesian Active Learning for
   Classification and Preference Learning", 2011,
   `arXiv:1112.5745 <https://arxiv.org/abs/1112.5745>`_.
.. [2] Y. Gal, Z. Ghahramani, "Dropout as a Bayesian Approximation: Representing Model
   Uncertainty in Deep Learning", ICML 2016,
   `arXiv:1506.02142 <https://arxiv.org/abs/1506.02142>`_.
"""

# %%
# Noise on the left, ignorance on the right
# -----------------------------------------
#
# On the left, two classes lie on top of each other, and there are 150 labels. On the
# right, the classes are well separated, and there are four labels.

import numpy as np
import torch
from torch import nn

from skdfal import (
    bald_sampling,
    bald_score,
    entropy_sampling,
    entropy_score,
    make_classifier,
)

rng = np.random.default_rng(0)


def draw(n, center, spread):
    return rng.normal(center, spread, size=(n, 2)).astype(np.float32)


X_left, y_left = draw(150, (-2, 0), 0.7), rng.integers(2, size=150)
X_right = np.float32([[2.2, 1.6], [3.2, 1.8], [2.3, -1.5], [3.1, -1.9]])
X = np.concatenate([X_left, X_right])
y = np.concatenate([y_left, [0, 0, 1, 1]])
pool = np.concatenate([draw(150, (-2, 0), 0.7), draw(150, (2.7, 0), (0.6, 1.2))])

torch.manual_seed(0)  # the weights are drawn here, the rest in fit
net = make_classifier(
    nn.Sequential(
        nn.Linear(2, 64),
        nn.ReLU(),
        nn.Linear(64, 64),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(64, 2),
    ),
    lr=0.005,
    max_epochs=60,
)
net.fit(X, y)

# %%
# Score and query
# ---------------
#
# ``random_state`` determines the draws of :func:`~skdfal.bald_score`. The global random
# generators are left unchanged, and dropout is off again afterwards.

u, v = np.meshgrid(np.linspace(-5, 5, 101), np.linspace(-3.6, 3.6, 73))
grid = np.c_[u.ravel(), v.ravel()].astype(np.float32)
maps = {
    "entropy": entropy_score(net, grid).reshape(u.shape),
    "BALD": bald_score(net, grid, n_draws=50, random_state=0).reshape(u.shape),
}
asked = {
    "entropy": entropy_sampling(net, pool, n_instances=10),
    "BALD": bald_sampling(net, pool, n_instances=10, n_draws=50, random_state=0),
}
for name, indices in asked.items():
    n_left = (pool[indices, 0] < 0).sum()
    print(f"{name} asks for {n_left} points on the left, {10 - n_left} on the right.")

# %%
# Ten draws
# ---------
#
# To draw the boundaries, we apply dropout by hand, which is all that MC dropout is. A
# new mask for each point would tear the boundary to pieces, so each draw uses one mask
# for all points.

module = net.module_.eval()
torch.manual_seed(0)
with torch.no_grad():
    hidden = module[:4](torch.from_numpy(grid))
    masks = torch.bernoulli(torch.full((10, 64), 0.7)) / 0.7
    draws = [module[5](hidden * mask) for mask in masks]
gaps = [(d[:, 1] - d[:, 0]).numpy().reshape(u.shape) for d in draws]

# %%
import matplotlib.pyplot as plt

BLUE, ORANGE = "#0072B2", "#D55E00"
fig, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained", sharey=True)
for gap in gaps:
    axes[0].contour(u, v, gap, levels=[0], colors="black", linewidths=0.8)
axes[0].set_title("Labels, and ten draws of the net")
for ax, (name, score) in zip(axes[1:], maps.items(), strict=True):
    image = ax.contourf(u, v, score, levels=12, cmap="Greys")
    fig.colorbar(image, ax=ax, label="nats", format="%.2f")
    ax.plot(*pool.T, ".", color="#999999", ms=2)
    ax.plot(*pool[asked[name]].T, "*", color="#F0E442", mec="black", ms=12)
    ax.set_title(f"{name}, and what it asks for")
for of_class, color, marker in [(0, BLUE, "o"), (1, ORANGE, "^")]:
    axes[0].plot(*X[y == of_class].T, marker, color=color, mec="white", ms=6)
for ax in axes:
    ax.set(xticks=[], yticks=[])
plt.show()

# %%
# We saw that entropy spends all its labels (yellow stars) on the noise, where the draws
# agree that nobody can know. BALD spends all its labels on the right, where the draws
# disagree. The toy problem was made to show this. Note what BALD does not do: its ten
# points lie on top of each other, since it scores one point at a time and ignores the
# rest of the batch.
