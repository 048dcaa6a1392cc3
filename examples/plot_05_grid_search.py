"""
5. Grid search over strategies and learning rates
=================================================

:class:`~skdfal.ActiveLearningClassifier` is a scikit-learn classifier: ``fit`` buys the
labels and trains. So :class:`~sklearn.model_selection.GridSearchCV` can search over all
its parameters, the strategy and the hyper-parameters of the network together.

What we will see is a coloured table with the accuracy of three strategies at three
learning rates.
"""

# %%
# The search
# ----------
#
# ``estimator__lr`` sets the learning rate of the network inside the active learner. The
# network is a small multi-layer perceptron, which is enough for digits of 8 pixels a
# side.

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
# The best combination was run again on the whole pool, where it bought its own 80
# labels.

test_score = search.score(digits.X_test, digits.y_test)
n_labels = len(search.best_estimator_.annotated_indices_)
print(f"{test_score:.1%} of the test set is right after {n_labels} labels.")

# %%
# The table
# ---------
#
# Each cell shows the mean of the four folds and their standard deviation. Parameters
# are ordered alphabetically and the last one varies fastest, so each row is a learning
# rate.

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
# We saw that the learning rate matters more than the strategy: a network that hardly
# trains cannot say what it does not know. Two warnings are in order. First, with twins
# a network trains for more steps per epoch, which flatters "dfal" at low learning rates
# (see example 3). Second, a search is not free: every fold was scored on labels that an
# active learner would not have. Search once, on a data set that you have labels for,
# and use the result elsewhere.
