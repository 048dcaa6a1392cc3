"""Transfer: how useful a training set chosen by one network is to another."""

import numpy as np
from sklearn.metrics import get_scorer_names
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skdfal._utils._validation import COUNT, HasMethods, StrOptions, validate_params
from skdfal.learner import ActiveLearningClassifier


@validate_params(
    {
        "selection": [HasMethods(["fit"]), tuple, list],
        "estimator": [HasMethods(["fit", "predict_proba"]), None],
        "n_repeats": [COUNT],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def transfer_scores(
    selection,
    estimator,
    X_test,
    y_test,
    *,
    n_repeats=1,
    scoring=None,
    random_state=None,
):
    """Train another network on the samples that one network queried, and score it.

    This is the DFAL paper's Table 4 [1]_. A strategy queries the samples that help the
    present network. If you change the network later, you still have the labels. The
    question is whether they are then better than labels of random samples.

    Parameters
    ----------
    selection : fitted ActiveLearningClassifier or tuple (X, y)
        Classifier whose training set to use, including twins: its ``X_train_`` and
        ``y_train_``. Or the training set itself.
    estimator : estimator
        The other network: a skorch net or a Pipeline that ends in one. A clone of it
        is trained from scratch. If None, a small network is chosen by the shape of
        ``X``.
    X_test : array-like of shape (n_test, ...)
        Test samples.
    y_test : array-like of shape (n_test,)
        Labels of the test samples.
    n_repeats : int, default=1
        Number of trainings, which differ only in initial weights and batches.
    scoring : str, callable or None, default=None
        Metric for the test set. If None, the accuracy.
    random_state : int, RandomState instance or None, default=None
        Controls the trainings. With an int, a larger ``n_repeats`` only adds scores.

    Returns
    -------
    scores : ndarray of shape (n_repeats,)
        Score of each training on the test set.

    Raises
    ------
    NotFittedError
        If ``selection`` is not fitted.
    ValueError
        If ``selection`` is neither a fitted classifier nor a pair, has only one class,
        or shapes do not match.

    Notes
    -----
    Pseudo-labels (CEAL) are not part of the training set: the first network assigned
    them, for one round. Twins are part of it: they lie at the first network's decision
    boundary, and whether they help another network is the question.

    References
    ----------
    .. [1] M. Ducoffe, F. Precioso, "Adversarial Active Learning for Deep Networks: a
       Margin Based Approach", 2018, arXiv:1802.09841.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdfal import MLP, ActiveLearningClassifier, make_classifier
    >>> from skdfal.analysis import transfer_scores
    >>> X, y = make_blobs(200, centers=3, random_state=0)
    >>> chosen = ActiveLearningClassifier(max_annotations=20, random_state=0)
    >>> wide = make_classifier(
    ...     MLP, module__n_features=2, module__n_classes=3, max_epochs=5
    ... )
    >>> transfer_scores(chosen.fit(X, y), wide, X, y, n_repeats=2).shape
    (2,)
    """
    X, y = _training_set(selection)
    seeds = check_random_state(random_state).randint(2**31 - 1, size=n_repeats)
    return np.array(
        [_score(X, y, estimator, X_test, y_test, scoring, s) for s in seeds]
    )


def _score(X, y, estimator, X_test, y_test, scoring, seed):
    """Train once on all of X, by a loop whose first round spends the budget."""
    classifier = ActiveLearningClassifier(
        estimator,
        "random",
        initial=np.arange(len(X)),
        max_annotations=len(X),
        scoring=scoring,
        missing_label=np.nan,  # every sample has its label
        random_state=int(seed),
    )
    classifier.fit(X, y, X_val=X_test, y_val=y_test)
    return classifier.history_[0]["score"]


def _training_set(selection):
    if isinstance(selection, tuple | list):
        if len(selection) != 2:
            raise ValueError(
                f"selection has {len(selection)} parts; expected a pair (X, y) or a "
                "fitted ActiveLearningClassifier."
            )
        return selection
    check_is_fitted(selection, ["X_train_", "y_train_"])
    return selection.X_train_, selection.y_train_
