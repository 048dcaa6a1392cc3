"""
10. Your own strategy in one file
=================================

A query strategy is a function that takes a fitted classifier, a pool and a number, and
returns that many indices into the pool, best first. There is no class to inherit from,
and the function can be used directly. Registering it gives it a name, and a style in
plots.

What we will see is a strategy of our own, which queries doubtful images that differ
from each other. We compare it with the plain margin and with random sampling over five
trials, and look at how similar the queried images are.
"""

# %%
# The strategy
# ------------
#
# Strategies that score one image at a time tend to ask the same question ten times.
# Ours takes five times as many doubtful images as are needed, groups them into as many
# clusters as are needed, and queries the most doubtful image of each cluster [1]_.
#
# .. [1] A simplified version of F. Zhdanov, "Diverse mini-batch Active Learning", 2019,
#    `arXiv:1901.05954 <https://arxiv.org/abs/1901.05954>`_.

import numpy as np
from sklearn.cluster import KMeans

from skdfal import margin_score
from skdfal.strategies import register


@register(
    "cluster_margin",
    label="cluster margin",
    needs="probabilities",
    style=("#117733", "solid", "h"),
)
def cluster_margin(estimator, X, n_instances=1, *, factor=5, random_state=None):
    """Query the most doubtful sample of each of ``n_instances`` clusters."""
    score = margin_score(estimator, X)  # larger is more doubtful
    doubtful = np.argsort(-score, kind="stable")[: factor * n_instances]
    clusters = KMeans(n_instances, n_init=1, random_state=random_state)
    cluster = clusters.fit_predict(X[doubtful].reshape(len(doubtful), -1))
    _, first_of_each = np.unique(cluster, return_index=True)
    return doubtful[np.sort(first_of_each)]


# %%
# Use it
# ------
#
# :class:`~skdfal.ActiveLearningClassifier` accepts the name or the function itself. It
# passes its own ``random_state``, and ``query_params`` if there are any. It checks that
# the indices are distinct and in range, so that mistakes do not go unnoticed. If the
# function had a parameter ``X_labeled`` or ``pool_indices``, it would get that too.
# modAL's ``ActiveLearner(net, cluster_margin)`` accepts the same function.

from skdfal import ActiveLearningClassifier
from skdfal.datasets import load_digits

digits = load_digits(image_size=8)


def trial(strategy, seed):
    learner = ActiveLearningClassifier(  # its own small net will do
        query_strategy=strategy,
        n_initial=20,
        n_instances=20,
        max_annotations=120,
        random_state=seed,
    )
    return learner.fit(
        digits.X_train, digits.y_train, X_val=digits.X_test, y_val=digits.y_test
    )


learners = {
    name: [trial(name, seed) for seed in range(5)]
    for name in ("cluster_margin", "margin", "random")
}

# %%
# The queried images
# ------------------
#
# How similar are the images of a batch? We measure the distance from each image to the
# nearest other image queried in the same round.


def nearest_in_batch(learner):
    distances = []
    for k in range(1, learner.n_iter_):
        batch = digits.X_train[learner.labeled_iter_ == k].reshape(-1, 64)
        d = np.linalg.norm(batch[:, None] - batch, axis=2)
        distances.extend((d + np.diag(np.full(len(d), np.inf))).min(axis=1))
    return np.array(distances)


import matplotlib.pyplot as plt

from skdfal.plot import ActiveLearningCurveDisplay

fig, (ax, ax_right) = plt.subplots(
    1, 2, figsize=(10, 4), layout="constrained", width_ratios=[3, 2]
)
display = ActiveLearningCurveDisplay.from_estimators(learners)
display.plot(ax=ax, legend="lower right")
ax.set_title("Five trials of each")
for name, trials in learners.items():
    distances = np.sort(np.concatenate([nearest_in_batch(a) for a in trials]))
    line = display.lines_[name]
    look = {"color": line.get_color(), "ls": line.get_linestyle()}
    look |= {"marker": line.get_marker(), "mec": "white", "markevery": 50}
    ax_right.plot(distances, np.linspace(0, 1, len(distances)), **look)
ax_right.set(
    xlabel="distance to the nearest image of the batch", ylabel="share of images"
)
ax_right.set_title("How different are the images?")
plt.show()

for name, curve in display.curves.items():
    print(f"{name}: {curve.mean[-1]:.3f} ± {curve.std[-1]:.3f}")

# %%
# We saw that a strategy takes twenty lines. Its batches are more varied than those of
# the plain margin, and even than random ones. Here this is worth at most a point or two
# of accuracy: both margin strategies are ahead of random sampling, and with 120 labels
# they are equal.
