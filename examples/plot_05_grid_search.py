"""
5. Grid search over strategies and learning rates
=================================================

:class:`~skdfal.ActiveLearningClassifier` is a scikit-learn classifier: ``fit`` buys the
labels and trains, so :class:`~sklearn.model_selection.GridSearchCV` can search over
anything it was made with, the strategy and the hyper-parameters of the net together.

What we will see: the accuracy of three strategies at three learning rates, as a table
in colours.
"""

# %%
# What is searched
# ----------------
#
# ``estimator__lr`` reaches through the active learner to the learning rate of its net.
# Without further ado the net is a small multi-layer perceptron, enough for digits of 8
# pixels, which we hand over as rows of a table.

import numpy as np
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from skdfal import MLP, ActiveLearningClassifier, make_classifier
from skdfal.datasets import load_digits

digits = load_digits(image_size=8)
X, y = digits.X_train, digits.y_train

net = make_classifier(MLP, module__n_features=64, module__n_classes=10, max_epochs=20)
learner = ActiveLearningClassifier(
    net,
    n_initial=20,
    n_instances=20,
    max_annotations=80,
    n_candidates=200,
    random_state=0,
)
strategies = ["dfal", "margin", "random"]
rates = [0.001, 0.005, 0.025]
search = GridSearchCV(
    learner,
    {"query_strategy": strategies, "estimator__lr": rates},
    cv=StratifiedKFold(4, shuffle=True, random_state=0),
    error_score="raise",
)
search.fit(X, y)
print(search.best_params_)

# %%
# The winner was trained again on the whole pool, with its own 80 labels.

test_score = search.score(digits.X_test, digits.y_test)
n_labels = len(search.best_estimator_.annotated_indices_)
print(f"{test_score:.1%} of the test set is right after {n_labels} labels.")

# %%
# The table
# ---------
#
# The mean of the four folds and their standard deviation. The last parameter in the
# alphabet varies fastest, so a row is a learning rate.

import matplotlib.pyplot as plt

shape = len(rates), len(strategies)
means = search.cv_results_["mean_test_score"].reshape(shape)
stds = search.cv_results_["std_test_score"].reshape(shape)

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
image = ax.imshow(means, cmap="cividis", aspect="auto")
for i, j in np.ndindex(shape):
    color = "black" if means[i, j] > sum(image.get_clim()) / 2 else "white"
    text = f"{means[i, j]:.2f} ± {stds[i, j]:.2f}"
    ax.text(j, i, text, ha="center", va="center", color=color)
ax.set_xticks(range(len(strategies)), strategies)
ax.set_yticks(range(len(rates)), rates)
ax.set(xlabel="query strategy", ylabel="learning rate of the net")
ax.set_title("Accuracy after 80 labels, four folds")
fig.colorbar(image, label="accuracy")
plt.show()

# %%
# We saw that the learning rate matters more than the strategy: a net that hardly
# trains cannot say what it does not know. Two warnings. Twins let a net train for more
# steps per epoch, which flatters "dfal" where the learning rate is low (see example 3).
# And a search is not for free: every fold was scored on labels that an active learner
# would not have. Search once, on a data set that you own, and take the result along.
