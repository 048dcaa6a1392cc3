"""
1. DFAL in ten lines with modAL
===============================

DFAL, DeepFool active learning [1]_, queries the images that lie nearest to the decision
boundary of the network. It trains on each of them twice: on the image itself, and on
its adversarial twin, which is the image moved over the boundary, with the same label.

We run DFAL with modAL's own ``ActiveLearner`` on handwritten digits. What we will see
is the accuracy of LeNet5 on unseen digits as the number of labels grows, compared with
labels bought at random, in three trials each.

.. [1] M. Ducoffe, F. Precioso, "Adversarial Active Learning for Deep Networks: a Margin
   Based Approach", 2018, `arXiv:1802.09841 <https://arxiv.org/abs/1802.09841>`_.
"""

# %%
# The ten lines
# -------------
#
# :func:`~skdfal.dfal` works as an ordinary query strategy of modAL, and
# :class:`~skdfal.AdversarialAugmenter` makes the twins. With ``prefit=True`` it attacks
# the trained learner instead of training a network of its own. ``teach`` adds the new
# samples to the training set and trains a new network on all of it from scratch.

import numpy as np
import torch
from modAL import ActiveLearner

from skdfal import AdversarialAugmenter, dfal, make_classifier, random_sampling
from skdfal.datasets import load_digits

torch.manual_seed(0)
digits = load_digits()
X, y = digits.X_train, digits.y_train  # the pool; y plays the annotator
net = make_classifier("lenet5", image_size=24, max_epochs=20, lr=0.004)

start = np.random.default_rng(0).choice(len(X), 20, replace=False)
learner = ActiveLearner(net, dfal, X_training=X[start], y_training=y[start])
pool = np.setdiff1d(np.arange(len(X)), start)
for _ in range(3):
    asked = pool[learner.query(X[pool], n_instances=20, n_candidates=200)[0]]
    twice = AdversarialAugmenter(learner, prefit=True).fit_resample(X[asked], y[asked])
    learner.teach(*twice)
    pool = np.setdiff1d(pool, asked)

print(f"{learner.score(digits.X_test, digits.y_test):.1%} of the test set is right")
print(f"after {20 + 3 * 20} labels and {len(learner.X_training)} training images.")

# %%
# Is it worth it?
# ---------------
#
# Here is the same loop as a function, so that we can run it with another strategy too.
# Random sampling gets no twins, since they are part of DFAL. Both strategies start from
# the same 20 labels.


def accuracy_by_labels(strategy, seed):
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    start = rng.choice(len(X), 20, replace=False)
    learner = ActiveLearner(net, strategy, X_training=X[start], y_training=y[start])
    pool = np.setdiff1d(np.arange(len(X)), start)
    scores = [learner.score(digits.X_test, digits.y_test)]
    for _ in range(3):
        candidates = rng.choice(pool, 200, replace=False)
        asked = candidates[learner.query(X[candidates], n_instances=20)[0]]
        labelled = X[asked], y[asked]
        if strategy is dfal:
            labelled = AdversarialAugmenter(learner, prefit=True).fit_resample(
                *labelled
            )
        learner.teach(*labelled)
        scores.append(learner.score(digits.X_test, digits.y_test))
        pool = np.setdiff1d(pool, asked)
    return scores


labels = [20, 40, 60, 80]
trials = {
    name: [accuracy_by_labels(strategy, seed) for seed in range(3)]
    for name, strategy in {"dfal": dfal, "random": random_sampling}.items()
}

# %%
# :class:`~skdfal.plot.ActiveLearningCurveDisplay` plots the mean of the trials and
# their spread.

import matplotlib.pyplot as plt

from skdfal.plot import ActiveLearningCurveDisplay

display = ActiveLearningCurveDisplay(
    annotations={name: [labels] * len(scores) for name, scores in trials.items()},
    scores=trials,
)
fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
display.plot(ax=ax)
ax.set_title("LeNet5 on 24-pixel digits")
plt.show()

# %%
# We saw that ten lines are enough, and that here DFAL learnt more from its labels than
# the same network did from equally many random labels. Not all of this lead comes from
# the query: twins double the training set, and with it the number of training steps per
# epoch. Example 3 separates the two effects.
