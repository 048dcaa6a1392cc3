"""Find the nets in an estimator: skorch nets, Pipelines, modAL's learners, searches.

Estimators are recognised by their attributes, from the outermost down to the nets.
"""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from skorch import NeuralNetBinaryClassifier
from torch import nn

from skdfal._utils._validation import _num_samples


def is_net(estimator):
    """Whether an estimator is a skorch net, initialized or not."""
    if isinstance(estimator, FrozenEstimator):  # it exposes its estimator's attributes
        return False
    return hasattr(estimator, "get_iterator") and hasattr(estimator, "initialize")


def inner_net(estimator):
    """Return the net inside an estimator, fitted or not, or None."""
    found = _innermost(estimator)
    return found if is_net(found) else None


def cannot_have_a_net(estimator):
    """Whether an estimator is one of scikit-learn's own, or delegates to one."""
    found = _innermost(estimator)
    return not is_net(found) and type(found).__module__.startswith("sklearn.")


def _innermost(estimator):
    """Return the net or classifier that Pipelines and wrappers delegate to."""
    while not is_net(estimator):
        steps = getattr(estimator, "steps", None)
        within = steps[-1][1] if steps else getattr(estimator, "estimator", None)
        if within is None:
            break
        estimator = within
    return estimator


def wants_float_targets(estimator):
    """Whether the net inside ``estimator``, fitted or not, has a binary criterion."""
    net = inner_net(estimator)
    if net is None:
        return False
    loss = net.criterion
    loss = loss if isinstance(loss, type) else type(loss)
    return issubclass(loss, nn.BCEWithLogitsLoss | nn.BCELoss)


def members(estimator):
    """Return the learners of a modAL Committee, or None."""
    return getattr(estimator, "learner_list", None)


def is_learner(estimator):
    """Whether an estimator is modAL's ActiveLearner or looks like one."""
    has_both = hasattr(estimator, "query_strategy") and hasattr(estimator, "X_training")
    return has_both and not members(estimator)


def fitted_within(estimator):
    """Return the single fitted estimator that another one delegates to, or None.

    None for estimators that average or recalibrate several others, and for those that
    pass only some of the features on.
    """
    if is_learner(estimator):
        return estimator.estimator
    for name in ("best_estimator_", "neural_net_"):  # scikit-activeml has the latter
        if hasattr(estimator, name):
            return getattr(estimator, name)
    several = ("estimators_", "calibrated_classifiers_", "support_")
    if hasattr(estimator, "estimator_") and not any(
        hasattr(estimator, name) for name in several
    ):
        return estimator.estimator_
    return None


def leads_to_net(estimator):
    """Whether an estimator, fitted or not, ends in nets only."""
    if isinstance(estimator, FrozenEstimator):
        return leads_to_net(estimator.estimator)
    if is_net(estimator) or not hasattr(type(estimator), "predict_proba"):
        return True
    if members(estimator):
        return all(map(leads_to_net, members(estimator)))
    if hasattr(estimator, "steps"):
        return not estimator.steps or leads_to_net(estimator.steps[-1][1])
    within = fitted_within(estimator)
    return within is not None and leads_to_net(within)


def nets_within(estimator):
    """List (pipeline steps, net) of every fitted net within ``estimator``.

    Raises
    ------
    NotFittedError
        If it is not fitted.
    TypeError
        If it ends in anything other than nets.
    """
    return _unwrap(estimator, type(estimator).__name__)


def _unwrap(estimator, outermost):
    if isinstance(estimator, nn.Module | type):
        raise TypeError(
            f"{outermost} is not a fitted skorch net. Wrap the module in "
            "skorch.NeuralNetClassifier and fit it, or call deepfool(module, x)."
        )
    if isinstance(estimator, FrozenEstimator):
        return _unwrap(estimator.estimator, outermost)
    if hasattr(estimator, "module_"):
        return [([], estimator)]
    if is_net(estimator):
        raise _not_fitted(estimator)
    if hasattr(estimator, "steps"):
        return _unwrap_pipeline(estimator, outermost)
    if members(estimator) is not None:
        return [
            found
            for learner in members(estimator)
            for found in _unwrap(learner, outermost)
        ]
    within = fitted_within(estimator)
    if within is not None:
        return _unwrap(within, outermost)
    if _is_unfitted(estimator):
        raise _not_fitted(estimator)
    if inner_net(estimator) is not None:
        raise TypeError(
            f"{outermost} combines several nets, or their predictions, so there is no "
            "single module to differentiate or to take features from. Pass one of its "
            "nets, or a modAL Committee of them. Entropy, margin, least_confidence and "
            "random sampling accept it unchanged."
        )
    own = type(estimator).__name__
    name = own if own == outermost else f"{own} in {outermost}"
    raise TypeError(
        f"{name} is not a torch net. Expected a fitted skorch net (such as "
        "NeuralNetClassifier), a Pipeline ending in one, or a modAL learner or "
        "committee wrapping these. Strategies that only need probabilities, such as "
        "entropy, accept any fitted classifier with predict_proba."
    )


def _unwrap_pipeline(pipeline, outermost):
    if not pipeline.steps:
        raise TypeError(f"{outermost} has no steps. Expected a skorch net at its end.")
    *before, (_, last) = pipeline.steps
    if isinstance(last, str) or last is None:
        raise TypeError(f"{outermost} ends in {last!r} instead of a skorch net.")
    steps = [
        (name, step)
        for name, step in before
        if step is not None
        and step != "passthrough"
        # imbalanced-learn's samplers only act during fit
        and not (hasattr(step, "fit_resample") and type(pipeline) is not Pipeline)
    ]
    return [(steps + inner, net) for inner, net in _unwrap(last, outermost)]


def _is_unfitted(estimator):
    own = vars(estimator) if hasattr(estimator, "__dict__") else {}
    is_wrapper = isinstance(getattr(estimator, "estimator", ""), BaseEstimator | None)
    return is_wrapper and not any(
        name.endswith("_") and not name.startswith("_") for name in own
    )


def _not_fitted(estimator):
    return NotFittedError(
        f"This {type(estimator).__name__} instance is not fitted yet. Call 'fit' "
        "with labelled samples before a query."
    )


def decision_threshold(estimator):
    """Return the probability above which class 1 of two is predicted.

    Parameters
    ----------
    estimator : fitted estimator
        Any classifier, trained on the labels 0 and 1 if it has a threshold.

    Returns
    -------
    threshold : float
        0.5 unless a binary net, or one of scikit-learn's threshold classifiers around
        a net or another classifier, has another one.
    """
    if isinstance(estimator, NeuralNetBinaryClassifier):
        return estimator.threshold
    if isinstance(estimator, FrozenEstimator):
        return decision_threshold(estimator.estimator)
    if getattr(estimator, "steps", None):
        return decision_threshold(estimator.steps[-1][1])
    if hasattr(estimator, "estimator_") and hasattr(estimator, "response_method"):
        fixed = getattr(estimator, "threshold", "auto")
        threshold = getattr(estimator, "best_threshold_", fixed)
        if threshold == "auto" or estimator.response_method == "decision_function":
            return 0.5
        scorer = getattr(estimator, "_curve_scorer", None)
        of_label = scorer._get_pos_label() if scorer else estimator.pos_label
        return 1 - threshold if of_label == 0 else threshold
    within = None if is_net(estimator) else fitted_within(estimator)
    return 0.5 if within is None else decision_threshold(within)


def class_labels(estimator, n_classes):
    """Return the labels that ``predict`` returns for the columns of probabilities.

    A net predicts column indices; its ``classes_`` are only those seen in training.

    Parameters
    ----------
    estimator : fitted estimator
        A net or any classifier.
    n_classes : int
        Number of columns.

    Returns
    -------
    labels : ndarray of shape (n_classes,)
        Column indices, or ``classes_``.
    """
    if isinstance(estimator, FrozenEstimator):
        return class_labels(estimator.estimator, n_classes)
    if is_net(estimator):
        return np.arange(n_classes)
    if hasattr(estimator, "steps"):
        return class_labels(estimator.steps[-1][1], n_classes)
    if members(estimator) and leads_to_net(estimator):
        return class_labels(members(estimator)[0], n_classes)
    if hasattr(estimator, "best_estimator_") or is_learner(estimator):
        return class_labels(fitted_within(estimator), n_classes)
    return np.asarray(estimator.classes_)


def labeled_samples(estimator, X_labeled=None):
    """Return ``X_labeled``, or else the training samples of a modAL learner.

    None if there are none.
    """
    X = X_labeled
    if X is None:
        X = getattr(estimator, "X_training", None)
    if X is None and members(estimator):
        X = getattr(members(estimator)[0], "X_training", None)
    return X if X is not None and _num_samples(X) else None
