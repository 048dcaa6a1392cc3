"""
4. Seven strategies, one curve
==============================

We compare the strategies of the DFAL paper [1]_ on the same data, with the same network
and the same initial labels: DFAL, CORE-SET, BALD, CEAL, EGL, uncertainty and RANDOM.
What we will see is one learning curve per strategy, the mean of three trials, and how
long each strategy takes to choose.

.. [1] M. Ducoffe, F. Precioso, "Adversarial Active Learning for Deep Networks: a Margin
   Based Approach", 2018, `arXiv:1802.09841 <https://arxiv.org/abs/1802.09841>`_.
"""

# %%
# To swap the strategy, change one word
# -------------------------------------
#
# The network is small and the digits have 8 pixels a side, to keep the 21 runs short.

import torch
from torch import nn

from skdfal import ActiveLearningClassifier, make_classifier
from skdfal.datasets import load_digits


class SmallCNN(nn.Sequential):
    def __init__(self, n_classes=10):
        super().__init__(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.25),
            nn.Linear(128, n_classes),
        )


digits = load_digits(image_size=8)
net = make_classifier(SmallCNN, max_epochs=20, lr=0.01)
names = ["dfal", "core_set", "bald", "ceal", "egl", "uncertainty", "random"]


def trial(strategy, seed):
    learner = ActiveLearningClassifier(
        net,
        query_strategy=strategy,
        n_initial=20,
        n_instances=20,
        max_annotations=80,
        n_candidates=200,
        random_state=seed,
    )
    return learner.fit(
        digits.X_train, digits.y_train, X_val=digits.X_test, y_val=digits.y_test
    )


learners = {name: [trial(name, seed) for seed in range(3)] for name in names}

# %%
# The curves, and the time to choose
# ----------------------------------
#
# The reference is the same network, trained on the labels of the whole pool.

import matplotlib.pyplot as plt
import numpy as np

from skdfal.plot import ActiveLearningCurveDisplay

torch.manual_seed(0)
everything = net.fit(digits.X_train, digits.y_train)
fig, (ax, ax_right) = plt.subplots(
    1, 2, figsize=(10, 4.8), layout="constrained", width_ratios=[3, 2]
)
display = ActiveLearningCurveDisplay.from_estimators(learners)
display.plot(
    ax=ax,
    spread=None,
    reference=everything.score(digits.X_test, digits.y_test),
    legend="lower right",
)
ax.set_title("Mean of three trials")

for i, name in enumerate(names):
    line = display.lines_[name]
    last = [a.history_[-1]["score"] for a in learners[name]]
    seconds = np.mean(
        [r["query_seconds"] for a in learners[name] for r in a.history_[:-1]]
    )
    ax_right.plot(
        last, [i] * 3, line.get_marker(), color=line.get_color(), mec="white", ms=9
    )
    print(f"{name}: {np.mean(last):.3f}, {1000 * seconds:.0f} ms to choose 20 of 200")
ax_right.set_yticks(range(len(names)), names)
ax_right.invert_yaxis()
ax_right.grid(axis="x", color="#DDDDDD")
ax_right.set(xlabel="test accuracy", title="After 80 labels, each trial")
plt.show()

# %%
# We saw that every strategy beats buying labels at random. Three trials cannot separate
# the other six: trials differ as much as strategies do. In this toy problem DFAL is
# among them, not above them. DFAL and CEAL also train for longer than the others, since
# their training sets are larger (see example 3). For a serious comparison, use your own
# data, your own network, and more trials.
