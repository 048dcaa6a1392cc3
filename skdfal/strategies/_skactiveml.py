"""Query strategies of scikit-activeml as query functions of this library."""

import inspect
from functools import partial

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state
from torch import nn

from skdfal._utils._validation import (
    QUERY_PARAMETERS,
    HasMethods,
    _num_samples,
    validate_params,
)
from skdfal.adapter import features, labeled_samples, predict_proba
from skdfal.strategies._base import draw_candidates

__all__ = ["from_skactiveml"]

# Parameters that a ``query`` method may require.
_GIVEN = {"self", "X", "y", "clf"}


@validate_params(
    {
        "strategy": [HasMethods(["query", "get_params"])],
        "layer": [str, nn.Module, None],
    },
    prefer_skip_nested_validation=True,
)
def from_skactiveml(strategy, *, layer=None):
    """Turn a query strategy of scikit-activeml into a query function.

    The result works in :class:`ActiveLearningClassifier`, :class:`LabelingSession`,
    modAL and experiments, like the strategies of this library. The strategy sees the
    features of the net as its samples, and the net as its classifier.

    Parameters
    ----------
    strategy : query strategy of ``skactiveml.pool``
        Pool-based strategy that needs nothing but samples, labels and a classifier. It
        is not modified: each query works with a clone.
    layer : str, nn.Module or None, default=None
        Layer whose flattened output is used as features, given as a module or by its
        name in ``named_modules()``. If None, the input of the last linear layer is
        used.

    Returns
    -------
    query : callable
        Query function ``(estimator, X, n_instances=1, *, X_labeled=None,
        y_labeled=None, n_candidates=None, batch_size=None, random_state=None) ->
        indices``. The labelled samples come from the loop or from the modAL learner,
        unless they are passed.

    Raises
    ------
    ImportError
        If scikit-activeml is not installed.
    TypeError
        If the strategy is a class, or requires further inputs, such as an ensemble.

    Notes
    -----
    The classifier only knows the probabilities of the samples in the query and is never
    retrained. A strategy that retrains it on hypothetical labels, or asks about other
    samples, raises an error.

    ``y_labeled`` are the positions of the labels among the outputs of the net, 0 to
    n_classes - 1. The missing label of the strategy has no effect: samples of the pool
    are unlabelled, those of ``X_labeled`` are labelled.

    Examples
    --------
    >>> import torch
    >>> from skdfal import from_skactiveml, make_classifier
    >>> from skactiveml.pool import UncertaintySampling  # doctest: +SKIP
    >>> query = from_skactiveml(UncertaintySampling())  # doctest: +SKIP
    >>> net = make_classifier("lenet5", image_size=16).initialize()
    >>> query(net, torch.rand(20, 1, 16, 16), 5).shape  # doctest: +SKIP
    (5,)
    """
    _check_skactiveml()
    if isinstance(strategy, type):
        raise TypeError(
            f"strategy is the class {strategy.__name__}. Pass an instance of it, such "
            f"as {strategy.__name__}()."
        )
    parameters = inspect.signature(type(strategy).query).parameters
    required = {
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind is not parameter.VAR_KEYWORD
    }
    if required - _GIVEN:
        raise TypeError(
            f"{type(strategy).__name__} requires "
            f"{', '.join(sorted(required - _GIVEN))}, but from_skactiveml can only "
            "provide X, y and clf."
        )
    return partial(_query, strategy=strategy, layer=layer)


@validate_params(
    QUERY_PARAMETERS
    | dict.fromkeys(("X_labeled", "y_labeled", "strategy"), "no_validation"),
    prefer_skip_nested_validation=True,
)
def _query(
    estimator,
    X,
    n_instances=1,
    *,
    X_labeled=None,
    y_labeled=None,
    n_candidates=None,
    batch_size=None,
    random_state=None,
    strategy=None,
    layer=None,
):
    random_state = check_random_state(random_state)
    S_k, candidates = draw_candidates(X, n_instances, n_candidates, random_state)
    Z = features(estimator, candidates, layer=layer, batch_size=batch_size)
    proba = predict_proba(estimator, candidates, batch_size)
    n_classes = proba.shape[1]
    if X_labeled is None and y_labeled is None:
        X_labeled, y_labeled = _taught(estimator, n_classes)
    codes = _checked_codes(X_labeled, y_labeled, n_classes)
    if len(codes):
        Z_labeled = features(estimator, X_labeled, layer=layer, batch_size=batch_size)
        proba_labeled = predict_proba(estimator, X_labeled, batch_size)
        Z = np.concatenate([Z_labeled, Z])
        proba = np.concatenate([proba_labeled, proba])
    y = np.concatenate([codes, np.full(len(S_k), np.nan)])
    own = clone(strategy)
    own.set_params(**_settings(own, random_state))
    asked = inspect.signature(own.query).parameters
    given = {"clf": _answers(Z, proba), "fit_clf": False}
    given = {name: value for name, value in given.items() if name in asked}
    found = own.query(X=Z, y=y, batch_size=n_instances, **given)
    rows = np.asarray(found, dtype=np.intp).ravel() - len(codes)
    in_pool = np.unique(rows[(rows >= 0) & (rows < len(S_k))])
    if not len(in_pool) == len(rows) == n_instances:
        raise ValueError(
            f"{type(own).__name__} returned {len(rows)} samples, of which "
            f"{len(in_pool)} are distinct ones of the pool; expected {n_instances}."
        )
    return S_k[rows]


def _settings(strategy, rng):
    """Seeds and missing labels of a strategy and the objects nested in it."""
    settings = {}
    for name in sorted(strategy.get_params(), key=lambda n: (n.count("__"), n)):
        kind = name.rpartition("__")[2]
        if kind == "random_state":
            settings[name] = rng.randint(2**31 - 1)
        elif kind == "missing_label":
            settings[name] = np.nan
    return settings


def _taught(estimator, n_classes):
    """Training samples and labels (as codes) of a modAL learner, or (None, None)."""
    X_labeled = labeled_samples(estimator)
    y = getattr(estimator, "y_training", None)
    if X_labeled is None or y is None:
        return None, None
    y = np.asarray(y)
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        classes = getattr(getattr(estimator, "estimator", None), "classes_", ())
    # A net that has seen only some of its classes names just these. Its labels are then
    # its output indices, as for every net that is trained on integers.
    if len(classes) == n_classes and np.isin(y, classes).all():
        order = np.argsort(classes)
        y = order[np.searchsorted(classes, y, sorter=order)]
    return X_labeled, y


def _checked_codes(X_labeled, y_labeled, n_classes):
    """Labels as floats, one per sample of ``X_labeled``; empty if both are None."""
    if (X_labeled is None) != (y_labeled is None):
        given, absent = "X_labeled", "y_labeled"
        if X_labeled is None:
            given, absent = absent, given
        raise ValueError(f"{given} was given without {absent}. Pass both.")
    if X_labeled is None:
        return np.empty(0)
    n_labeled, codes = _num_samples(X_labeled), np.asarray(y_labeled)
    if codes.shape != (n_labeled,):
        raise ValueError(
            f"y_labeled has shape {codes.shape}, but X_labeled has {n_labeled} "
            f"samples; expected one label for each, shape ({n_labeled},)."
        )
    if n_labeled and (
        codes.dtype.kind not in "biuf" or not np.isin(codes, np.arange(n_classes)).all()
    ):
        raise ValueError(
            f"y_labeled holds {np.unique(codes.astype(str))[:5].tolist()}; expected "
            f"the positions of the classes among the outputs of the net, 0 to "
            f"{n_classes - 1}."
        )
    return codes.astype(np.float64)


def _answers(Z, proba):
    """Create a scikit-activeml classifier that knows the predictions for ``Z``."""
    from skactiveml.base import SkactivemlClassifier

    class Answers(SkactivemlClassifier):
        def fit(self, X, y, sample_weight=None):
            raise TypeError(
                "The strategy retrains the classifier, which from_skactiveml does not "
                "support: it only provides the predictions of the trained net."
            )

        def predict_proba(self, X):
            try:
                return proba[[known[_key(x)] for x in np.asarray(X)]]
            except KeyError:
                raise TypeError(
                    "The strategy asks about samples outside the pool, but "
                    "from_skactiveml only has the net's predictions for the pool."
                ) from None

        def predict(self, X):
            return self.predict_proba(X).argmax(axis=1)

    known = {_key(z): i for i, z in enumerate(Z)}
    classifier = Answers(classes=np.arange(proba.shape[1]))
    classifier.classes_ = np.arange(proba.shape[1])
    return classifier


def _key(z):
    return np.asarray(z, dtype=np.float64).tobytes()


def _check_skactiveml():
    try:
        import skactiveml  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "from_skactiveml needs scikit-activeml: python -m pip install "
            "'skdfal[skactiveml]'."
        ) from error
