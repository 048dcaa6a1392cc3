"""
9. Transfer from LeNet5 to VGG8
===============================

Labels are bought once; networks come and go. The DFAL paper [1]_ asks whether the
training set that one network has chosen is good for another one too. Here a small
LeNet5 chooses, and a VGG8, which is twice as deep, is then trained from scratch on the
chosen samples.

What we will see is the accuracy of both networks when they are trained on the images
that DFAL chose, with their twins, and on equally many random images, in three trials
each. The twins are adversarial examples for LeNet5, not for VGG8.

.. [1] M. Ducoffe, F. Precioso, "Adversarial Active Learning for Deep Networks: a Margin
   Based Approach", 2018, `arXiv:1802.09841 <https://arxiv.org/abs/1802.09841>`_.
"""

# %%
# LeNet5 chooses
# --------------
#
# After ``fit``, ``X_train_`` and ``y_train_`` hold the training set, including the
# twins.

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
# A training set with twins is larger. For a fair comparison, we choose the number of
# epochs such that all trainings of a network take the same number of steps, except for
# rounding. To be fast, VGG8 has an eighth of its width here, and no dropout.


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
# Each dot is one trial, and each bar the mean of the trials.

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
# We saw that, on average, the images and twins chosen by LeNet5 serve VGG8 neither
# better nor worse than random images, with a larger spread between trials. With the
# same number of training steps, this also holds for LeNet5 itself: with 80 labels for
# easy digits, there is little to gain from choosing. On MNIST, the paper found DFAL's
# training set three points better for VGG8 than a random one.
