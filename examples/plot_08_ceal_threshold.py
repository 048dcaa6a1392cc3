"""
8. CEAL's threshold
===================

CEAL [1]_ queries the images that the network is least sure about, and trusts the
network where it is most sure. Pool images whose prediction has an entropy below a
threshold δ enter the next training with the predicted label, free of charge. Everything
depends on δ: if it is too low, there are no such pseudo-labels; if it is too high, many
of them are wrong.

What we will see is how many pseudo-labels there are as δ grows, and how many of them
are wrong, for networks trained on 30, 60 and 120 labels. Then we look at the effect on
accuracy.

.. [1] K. Wang, D. Zhang, Y. Li, R. Zhang, L. Lin, "Cost-Effective Active Learning for
   Deep Image Classification", IEEE TCSVT 27(12), 2017,
   `arXiv:1701.03551 <https://arxiv.org/abs/1701.03551>`_.
"""

# %%
# How many are there, and how many are wrong?
# -------------------------------------------
#
# Here we know the labels of the whole pool and can check. In practice nobody can.

import numpy as np
import torch

from skdfal import MLP, ActiveLearningClassifier, ceal_pseudo_labels, make_classifier
from skdfal.datasets import load_digits

digits = load_digits(image_size=8)
X, y = digits.X_train[:700], digits.y_train[:700]
net = make_classifier(
    MLP, module__n_features=64, module__n_classes=10, lr=0.01, max_epochs=20
)
thresholds = np.geomspace(0.005, 1.5, 25)
label_counts = [30, 60, 120]

found, wrong = {}, {}
for n in label_counts:
    torch.manual_seed(0)
    net.fit(X[:n], y[:n])
    rest, truth = X[n:], y[n:]
    labelled = [ceal_pseudo_labels(net, rest, threshold=t) for t in thresholds]
    found[n] = np.array([len(indices) for indices, _ in labelled])
    wrong[n] = np.array([(truth[i] != labels).sum() for i, labels in labelled])

# %%
# The effect on accuracy
# ----------------------
#
# We run the whole loop with three thresholds, and without one: δ = 0 finds no
# pseudo-labels, which leaves uncertainty sampling. After the first 30 annotations,
# two batches of 15 are bought.

tried = [0, 0.05, 0.2, 0.8]


def accuracy(threshold, seed):
    learner = ActiveLearningClassifier(
        net,
        query_strategy="ceal",
        query_params={"threshold": threshold},
        n_initial=30,
        n_instances=15,
        max_annotations=60,
        random_state=seed,
    )
    return learner.fit(X, y).score(digits.X_test, digits.y_test)


scores = np.array([[accuracy(t, seed) for seed in range(6)] for t in tried])
for threshold, row in zip(tried, scores, strict=True):
    print(f"δ = {threshold}: {row.mean():.3f} ± {row.std(ddof=1):.3f}")

# %%
import matplotlib.pyplot as plt

fig, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
looks = [("#56B4E9", ":", "o"), ("#0072B2", "--", "s"), ("black", "-", "^")]
for n, (color, ls, marker) in zip(label_counts, looks, strict=True):
    look = {"color": color, "ls": ls, "marker": marker, "markevery": 4, "ms": 5}
    left.semilogx(thresholds, found[n], **look, label=f"{n} labels")
    some = found[n] > 0
    middle.semilogx(thresholds[some], (wrong[n] / found[n].clip(1))[some], **look)
for ax in (left, middle):
    ax.axvline(0.05, color="#D55E00", lw=1)
    ax.set_xlabel("threshold δ (nats)")
middle.annotate("δ = 0.05", (0.047, 0.2), color="#D55E00", ha="right")
left.set(ylabel="images", title="Pseudo-labels in the pool", ylim=(0, 700))
left.legend(loc="upper left")
middle.set(ylabel="share", title="Share that is wrong", ylim=(0, 0.3))
right.plot(range(len(tried)), scores, "o", color="#999999", mfc="white")
right.plot(range(len(tried)), scores.mean(axis=1), "_", color="black", ms=30, mew=3)
right.set_xticks(range(len(tried)), ["none", *map(str, tried[1:])])
right.set(xlabel="threshold δ (nats)", ylabel="test accuracy", xlim=(-0.5, 3.5))
right.set_title("After 60 labels, 6 trials")
plt.show()

# %%
# We saw that the number of pseudo-labels depends on the network as much as on δ, and
# that they are right until δ is large. Yet the loop gains nothing from them here, and
# rather loses: the images that a network is sure about are those that it already knows,
# and many of them drown out the few hard ones that were bought. In practice nobody can
# draw the second panel, so choose a low δ, and look at some of the pseudo-labels.
