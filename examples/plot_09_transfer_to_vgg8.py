"""
9. Transfer from LeNet5 to VGG8
===============================

Labels are bought once; nets come and go. The DFAL paper [1]_ asks whether the training
set that one net has chosen is good for another one too. Here a small LeNet5 chooses,
and a VGG8, twice as deep, is then trained from scratch on what it chose.

What we will see: the accuracy of both nets on the images that DFAL chose, with and
without their twins, and on as many images drawn at random, three trials each. The twins
are adversarial to LeNet5, not to VGG8.

.. [1] M. Ducoffe, F. Precioso, "Adversarial Active Learning for Deep Networks: a Margin
   Based Approach", 2018, `arXiv:1802.09841 <https://arxiv.org/abs/1802.09841>`_.
"""

# %%
# LeNet5 chooses
# --------------
#
# After ``fit`` the training set is there as ``X_train_`` and ``y_train_``, twins
# included; ``annotated_indices_`` tells which samples were bought.

import numpy as np
import torch

from skdfal import ActiveLearningClassifier, make_classifier
from skdfal.datasets import load_digits

digits = load_digits(image_size=16)
X, y = digits.X_train, digits.y_train
N_LABELS = 80


def choose(seed):
    """Three training sets for 80 labels each."""
    learner = ActiveLearningClassifier(
        make_classifier("lenet5", image_size=16, max_epochs=20, lr=0.006),
        query_strategy="dfal",
        n_initial=20,
        n_instances=20,
        max_annotations=N_LABELS,
        n_candidates=200,
        random_state=seed,
    )
    learner.fit(X, y)
    bought = learner.annotated_indices_
    drawn = np.random.default_rng(seed).choice(len(X), N_LABELS, replace=False)
    return {
        "DFAL": (learner.X_train_, learner.y_train_),
        "DFAL without twins": (X[bought], y[bought]),
        "random": (X[drawn], y[drawn]),
    }


# %%
# Both nets learn from scratch
# ----------------------------
#
# A training set with twins is larger. So that no net learns for longer than another,
# the number of epochs is such that all make about the same number of steps. VGG8 has an
# eighth of its width here, and no dropout, to be fast.


def accuracy(name, training_set, n_steps, seed, **params):
    X_chosen, y_chosen = training_set
    n_epochs = n_steps // int(np.ceil(len(X_chosen) / 32))
    net = make_classifier(name, image_size=16, max_epochs=n_epochs, **params)
    torch.manual_seed(seed)
    return net.fit(X_chosen, y_chosen).score(digits.X_test, digits.y_test)


nets = {
    "lenet5": {"n_steps": 250, "lr": 0.006},
    "vgg8": {"n_steps": 250, "lr": 0.002, "width": 0.125, "module__dropout": 0},
}
scores = {name: {} for name in nets}
for seed in range(3):
    for chosen_by, training_set in choose(seed).items():
        for name, params in nets.items():
            score = accuracy(name, training_set, seed=seed, **params)
            scores[name].setdefault(chosen_by, []).append(score)

# %%
# Who profits?
# ------------
#
# A dot is a trial, a bar the mean of the trials.

import matplotlib.pyplot as plt

fig, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained", sharey=True)
titles = ["LeNet5, which chose", "VGG8, on what LeNet5 chose"]
looks = [("#D55E00", "o"), ("#E69F00", "D"), ("black", "s")]
for ax, title, by_set in zip(axes, titles, scores.values(), strict=True):
    for i, (values, (color, marker)) in enumerate(
        zip(by_set.values(), looks, strict=True)
    ):
        ax.plot([i - 0.3, i + 0.3], [np.mean(values)] * 2, color=color, lw=3)
        ax.plot(
            i + np.linspace(-0.15, 0.15, len(values)),
            values,
            marker,
            color=color,
            mec="white",
            ms=8,
        )
    ax.set_xticks(range(3), [name.replace(" w", "\nw") for name in by_set])
    ax.set(title=title, xlim=(-0.5, 2.5))
    ax.grid(axis="y", color="#DDDDDD")
    ax.set_axisbelow(True)
axes[0].set_ylabel("test accuracy after 80 labels")
plt.show()

for name, by_set in scores.items():
    print(name, {chosen_by: f"{np.mean(v):.3f}" for chosen_by, v in by_set.items()})
