"""
11. What Learning Loss, VAAL and TA-VAAL look for
=================================================

Three strategies train networks of their own to choose what to label. Learning Loss [1]_
trains a small head next to the network to predict the loss of a sample, and queries
where the network expects to be wrong. VAAL [2]_ does not look at the network at all: an
autoencoder and a discriminator learn what labelled samples look like, and VAAL queries
samples that look different. TA-VAAL [3]_ also gives both of them the predicted loss,
and so combines the two.

What we will see is a data set of pictures that has only two dimensions, so that each of
the three scores can be drawn as a map.

.. [1] D. Yoo, I. S. Kweon, "Learning Loss for Active Learning", CVPR 2019,
   `arXiv:1905.03677 <https://arxiv.org/abs/1905.03677>`_.
.. [2] S. Sinha, S. Ebrahimi, T. Darrell, "Variational Adversarial Active Learning",
   ICCV 2019, `arXiv:1904.00370 <https://arxiv.org/abs/1904.00370>`_.
.. [3] K. Kim, D. Park, K. I. Kim, S. Y. Chun, "Task-Aware Variational Adversarial
   Active Learning", CVPR 2021, `arXiv:2002.04709 <https://arxiv.org/abs/2002.04709>`_.
"""

# %%
# Pictures of a spot
# ------------------
#
# Every picture shows one spot, and is described completely by the position of the spot.
# The class says whether the spot is above a wavy line. In the right third nothing is
# labelled.

import matplotlib.pyplot as plt
import numpy as np
import torch

from skdfal import learning_loss_score, make_classifier, ta_vaal_score, vaal_score

SIZE = 16
rng = np.random.default_rng(0)


def pictures(places):
    """Pictures (n, 1, 16, 16) of spots at places (n, 2) in the unit square."""
    pixels = (np.arange(SIZE) + 0.5) / SIZE
    u, v = places[:, 0, None, None], places[:, 1, None, None]
    squares = (pixels[None, None, :] - u) ** 2 + (pixels[None, :, None] - v) ** 2
    return np.exp(-squares / (2 * 0.09**2))[:, None].astype(np.float32)


def line(u):
    return 0.5 + 0.15 * np.sin(2 * np.pi * u)


labeled = rng.random((300, 2)) * (0.62, 1)
y = (labeled[:, 1] > line(labeled[:, 0])).astype(int)
pool = rng.random((1000, 2))

fig, axes = plt.subplots(1, 4, figsize=(8, 2.2), layout="constrained")
places = [0.2, 0.2], [0.2, 0.8], [0.8, 0.2], [0.8, 0.5]
for ax, place in zip(axes, places, strict=True):
    ax.imshow(pictures(np.array([place]))[0, 0], cmap="gray")
    ax.set(xticks=[], yticks=[], title=f"spot at {place[0]}, {place[1]}")

# %%
# A network that predicts its loss
# --------------------------------
#
# ``loss_prediction`` adds the head. Everything else is used as without it.

torch.manual_seed(0)
net = make_classifier(
    "lenet5",
    n_classes=2,
    image_size=SIZE,
    max_epochs=40,
    loss_prediction="ranking",
)
net.fit(pictures(labeled), y)
X_labeled, X_pool = pictures(labeled), pictures(pool)

# %%
# Three scores
# ------------
#
# VAAL and TA-VAAL train their networks anew for each query, on labelled and unlabelled
# samples. Small networks will do for pictures of a spot.

small = {"width": 0.0625, "max_epochs": 30, "n_latent": 8, "train_batch_size": 64}
scores = {
    "Learning Loss": learning_loss_score(net, X_pool),
    "VAAL": vaal_score(net, X_pool, X_labeled=X_labeled, random_state=0, **small),
    "TA-VAAL": ta_vaal_score(net, X_pool, X_labeled=X_labeled, random_state=0, **small),
}

fig, axes = plt.subplots(1, 3, figsize=(10, 3.9), layout="constrained", sharey=True)
u = np.linspace(0, 1, 200)
for ax, (name, score) in zip(axes, scores.items(), strict=True):
    rank = score.argsort().argsort() / len(score)
    ax.scatter(*pool.T, c=rank, s=9, cmap="cividis")
    asked = pool[np.argsort(-score)[:30]]
    ax.scatter(*asked.T, s=34, facecolors="none", edgecolors="#D55E00", linewidths=1.4)
    ax.plot(u, line(u), color="black", linewidth=1)
    ax.axvline(0.62, color="black", linestyle="dotted", linewidth=1)
    ax.set(title=name, xlabel="place of the spot", xlim=(0, 1), ylim=(0, 1))
fig.suptitle("Bright: high score. Circles: queried. Dotted: no labels beyond")

# %%
# How far are the queried samples from the line between the classes, and how many of
# them lie in the third without labels?

for name, score in scores.items():
    asked = pool[np.argsort(-score)[:30]]
    distance = np.abs(asked[:, 1] - line(asked[:, 0])).mean()
    unseen = (asked[:, 0] > 0.62).mean()
    print(f"{name:14} {distance:.2f} from the line, {unseen:.0%} where nobody looked")

plt.show()

# %%
# We saw that Learning Loss follows the line between the classes, where the network is
# wrong, and guesses beyond the dotted line. VAAL hardly knows the line, and queries
# samples in the unlabelled third. TA-VAAL does some of both. The maps of the last two
# are not a smooth distance to the labelled samples, and another seed gives different
# maps: they come from two networks that play against each other for a few hundred
# steps.
