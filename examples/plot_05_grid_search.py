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
# The mean of the four folds, and their standard deviation.

import matplotlib.pyplot as plt

results = search.cv_results_
fig, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
shape = (len(rates), len(strategies))  # the last key of the grid varies fastest
keys = list(zip(results["param_estimator__lr"], results["param_query_strategy"]))
cells = {
    key: (mean, std)
    for key, mean, std in zip(
        keys, results["mean_test_score"], results["std_test_score"], strict=True
    )
}
image = ax.imshow(
    [[cells[rate, name][0] for name in strategies] for rate in rates], cmap="cividis"
)
middle = sum(image.get_clim()) / 2
for i, rate in enumerate(rates):
    for j, name in enumerate(strategies):
        mean, std = cells[rate, name]
        color = "black" if mean > middle else "white"
        ax.text(j, i, f"{mean:.2f} ± {std:.2f}", ha="center", va="center", color=color)
ax.set(xticks=range(3), xticklabels=strategies, yticks=range(3), yticklabels=rates)
ax.set(xlabel="query strategy", ylabel="learning rate of the net")
ax.set_title("Accuracy after 80 labels, four folds")
fig.colorbar(image, label="accuracy")
plt.show()
