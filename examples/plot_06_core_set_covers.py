"""
6. CORE-SET: greedy against the integer program
===============================================

CORE-SET [1]_ does not look at the decision boundary at all. It chooses samples such
that every sample of the pool is close to a labelled one: it covers the pool with discs
around the labelled samples, and the discs should be small. With a network, distances
are measured between the activations of the last hidden layer. Here we use points in the
plane, where the discs can be drawn.

What we will see is the cover found by the greedy algorithm, the smallest possible
cover, and what happens if a few samples may stay outside.

.. [1] O. Sener, S. Savarese, "Active Learning for Convolutional Neural Networks: A
   Core-Set Approach", ICLR 2018, `arXiv:1708.00489 <https://arxiv.org/abs/1708.00489>`_.
"""

# %%
# Six discs for 200 points
# ------------------------
#
# Two points are already labelled, and six labels may be bought. The greedy algorithm
# repeatedly takes the point farthest from all centers. This is fast, and at most twice
# as bad as the best cover. The integer programs ask whether a smaller radius is
# possible, until the smallest is known. ``proven`` says whether this search finished.

import numpy as np
from sklearn.datasets import make_blobs

from skdfal import k_center_greedy, k_center_mip

X, _ = make_blobs(
    n_samples=[70, 50, 40, 40],
    centers=[(0, 0), (5, 1), (2, 5), (6, 6)],
    cluster_std=[1.2, 0.6, 0.9, 0.7],
    random_state=4,
)
labelled, pool = X[:2], X[2:]

covers = {
    "greedy": k_center_greedy(pool, 6, X_labeled=labelled),
    "integer program": k_center_mip(
        pool, 6, X_labeled=labelled, outlier_fraction=0, time_limit=10
    ),
    "4 outliers allowed": k_center_mip(
        pool, 6, X_labeled=labelled, outlier_fraction=0.0205, time_limit=10
    ),
}
for name, cover in covers.items():
    proven = "proven smallest" if cover.proven else "not proven smallest"
    print(f"{name}: radius {cover.radius:.3f}, {proven}, {cover.n_solves} programs")

# %%
# The discs
# ---------
#
# Black squares are the labelled points, and blue triangles the ones that are bought.
# Crosses mark points that no disc reaches.

import matplotlib.pyplot as plt

BLUE, ORANGE = "#0072B2", "#D55E00"
fig, axes = plt.subplots(1, 3, figsize=(10, 4.1), layout="constrained", sharey=True)
for ax, (name, cover) in zip(axes, covers.items(), strict=True):
    for centers, color, marker, label in [
        (labelled, "black", "s", "labelled"),
        (pool[cover.centers], BLUE, "^", "bought"),
    ]:
        for center in centers:
            ax.add_patch(plt.Circle(center, cover.radius, color=color, alpha=0.10))
            ax.add_patch(
                plt.Circle(center, cover.radius, ec=color, fill=False, alpha=0.6)
            )
        ax.plot(
            *centers.T, marker, color=color, ms=8, mec="white", label=label, zorder=3
        )
    everyone = np.concatenate([labelled, pool[cover.centers]])
    distance = np.linalg.norm(pool[:, None] - everyone, axis=2).min(axis=1)
    outside = distance > cover.radius + 1e-9
    ax.plot(*pool[~outside].T, "o", color="#777777", ms=3, zorder=2)
    if outside.any():
        ax.plot(*pool[outside].T, "X", color=ORANGE, mec="black", ms=9, label="outside")
    ax.set_title(f"{name}: radius {cover.radius:.2f}")
    ax.set_aspect("equal")
    ax.set(xticks=[], yticks=[], xlim=(-6, 9.5), ylim=(-6, 11.5))
axes[2].legend(loc="upper left", fontsize="small")
plt.show()

# %%
# We saw that the greedy discs are a third larger than necessary, since the greedy
# algorithm buys the outermost points, whose discs are half empty. Leaving four samples
# outside makes the discs smaller still, and the bought points more typical. But a small
# radius does not make a good network: nothing here looked at the classes.
