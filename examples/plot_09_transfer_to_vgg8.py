"""
9. Transfer from LeNet5 to VGG8
===============================

Labels are bought once; nets come and go. The DFAL paper [1]_ asks whether the training
set that one net has chosen is good for another one too. Here a small LeNet5 chooses,
and a VGG8, twice as deep, is then trained from scratch on what it chose.

What we will see: the accuracy of both nets on the images that DFAL chose, with their
twins, and on as many images drawn at random, three trials each. The twins are
adversarial to LeNet5, not to VGG8.

.. [1] M. Ducoffe, F. Precioso, "Adversarial Active Learning for Deep Networks: a Margin
   Based Approach", 2018, `arXiv:1802.09841 <https://arxiv.org/abs/1802.09841>`_.
"""

# %%
# LeNet5 chooses
# --------------
#
# After ``fit`` the training set is there as ``X_train_`` and ``y_train_``, twins
# included.

import numpy as np
import torch

from skdfal import ActiveLearningClassifier, make_classifier
from skdfal.datasets import load_digits

digits = load_digits()
X, y = digits.X_train, digits.y_train
N_LABELS = 80


def choose(seed):
    return ActiveLearningClassifier(
        make_classifier("lenet5", image_size=24, max_epochs=20, lr=0.004),
        query_strategy="dfal",
        n_initial=20,
        n_instances=20,
        max_annotations=N_LABELS,
        n_candidates=200,
        random_state=seed,
    ).fit(X, y)


# %%
# VGG8 learns from scratch
# ------------------------
#
# A training set with twins is larger. So that no net learns for longer than another,
# the number of epochs is such that all make the same number of steps, but for rounding.
# VGG8 has an eighth of its width here, and no dropout, to be fast.


def accuracy(name, X_chosen, y_chosen, seed):
    n_steps, params = recipes[name]
    n_epochs = n_steps // int(np.ceil(len(X_chosen) / 32))
    net = make_classifier(name, image_size=24, max_epochs=n_epochs, **params)
    torch.manual_seed(seed)
    return net.fit(X_chosen, y_chosen).score(digits.X_test, digits.y_test)


recipes = {
    "lenet5": (100, {"lr": 0.004}),  # as many steps as the last training of DFAL
    "vgg8": (200, {"lr": 0.002, "width": 0.125, "module__dropout": 0}),
}
scores = {"lenet5": {}, "vgg8": {}}


def note(name, chosen_by, score):
    scores[name].setdefault(chosen_by, []).append(score)


for seed in range(3):
    learner = choose(seed)
    drawn = np.random.default_rng(seed).choice(len(X), N_LABELS, replace=False)
    note("lenet5", "DFAL", learner.score(digits.X_test, digits.y_test))
    note("lenet5", "random", accuracy("lenet5", X[drawn], y[drawn], seed))
    note("vgg8", "DFAL", accuracy("vgg8", learner.X_train_, learner.y_train_, seed))
    note("vgg8", "random", accuracy("vgg8", X[drawn], y[drawn], seed))

# %%
# Who profits?
# ------------
#
# A dot is a trial, a bar the mean of the trials.

import matplotlib.pyplot as plt

fig, axes = plt.subplots(1, 2, figsize=(8, 4), layout="constrained", sharey=True)
titles = ["LeNet5, which chose", "VGG8, on what LeNet5 chose"]
looks = {
    "DFAL": ("#D55E00", "o"),
    "random": ("black", "s"),
}
for ax, title, by_set in zip(axes, titles, scores.values(), strict=True):
    for i, (chosen_by, values) in enumerate(by_set.items()):
        color, marker = looks[chosen_by]
        ax.plot([i - 0.3, i + 0.3], [np.mean(values)] * 2, color=color, lw=3)
        ax.plot(
            i + np.linspace(-0.15, 0.15, len(values)),
            values,
            marker,
            color=color,
            mec="white",
            ms=8,
        )
    ax.set_xticks(range(2), ["chosen by DFAL", "drawn at random"])
    ax.set(title=title, xlim=(-0.5, 1.5))
    ax.grid(axis="y", color="#DDDDDD")
    ax.set_axisbelow(True)
axes[0].set_ylabel("test accuracy after 80 labels")
plt.show()

for name, by_set in scores.items():
    print(name, {chosen_by: f"{np.mean(v):.3f}" for chosen_by, v in by_set.items()})

# %%
# We saw that the images and twins that LeNet5 chose serve VGG8 about as well as images
# drawn at random, no better and no worse on average, and more unevenly from trial to
# trial. Where both are trained for the same number of steps, that is so for LeNet5
# itself: among 80 easy digits there is little to choose. On MNIST the paper found
# DFAL's set three points better for VGG8 than a random one.
