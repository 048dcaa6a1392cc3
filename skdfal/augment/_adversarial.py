"""AdversarialAugmenter: the twins x + (1 + overshoot) r, with the label of x."""

from numbers import Real

import numpy as np
import torch
from sklearn.base import BaseEstimator, MetaEstimatorMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from skdfal._utils._validation import (
    ATTACK_PARAMETERS,
    COUNT,
    HasMethods,
    _fit_context,
)
from skdfal._utils._warnings import warn_caller
from skdfal.adapter import torch_nets
from skdfal.adapter._training import as_whole, fit_own
from skdfal.adversarial import deepfool

_AS_FAR = "They are returned as far as DeepFool moved them."


class _Twins(MetaEstimatorMixin, BaseEstimator):
    """The common part of augmenter and sampler: training, twins, resampling."""

    _parameter_constraints = {
        "estimator": [HasMethods(["fit"]), HasMethods(["teach"]), None],
        "prefit": ["boolean"],
        **ATTACK_PARAMETERS,
        "clip_range": [tuple, list, None],
        "batch_size": [COUNT, None],
        "random_state": ["random_state"],
    }

    # The loop keeps the samples added by this augmenter for all later rounds.
    is_lasting = True
    uses_pool = False

    def __init__(
        self,
        estimator=None,
        *,
        prefit=False,
        p=2,
        max_iter=50,
        overshoot=0.02,
        n_top_classes=None,
        clip_range=None,
        batch_size=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.prefit = prefit
        self.p = p
        self.max_iter = max_iter
        self.overshoot = overshoot
        self.n_top_classes = n_top_classes
        self.clip_range = clip_range
        self.batch_size = batch_size
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Train a clone of the estimator, or use it unchanged with ``prefit=True``.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples.
        y : array-like of shape (n_samples,), default=None
            Labels; required unless ``prefit=True``.

        Returns
        -------
        self : AdversarialAugmenter or AdversarialSampler
            The fitted augmenter.
        """
        self._fit(X, y)
        if not self.prefit:
            self.n_iter_ = self._attack(self.estimator_, X)[2]
        return self

    @_fit_context(prefer_skip_nested_validation=False)
    def fit_resample(self, X, y):
        """Fit, then return the samples followed by their twins.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples.
        y : array-like of shape (n_samples,)
            Labels.

        Returns
        -------
        X_resampled : ndarray of shape (n_samples + n_twins, ...)
            ``X`` followed by the twins. Samples whose class did not flip have no twin.
        y_resampled : ndarray of shape (n_samples + n_twins,)
            ``y`` followed by the labels of the twins, which equal those of their
            samples.

        Warns
        -----
        ConvergenceWarning
            If some samples kept their class and therefore have no twin.
        """
        self._fit(X, y)
        X_twin, flipped = self._twins_of_training(X, "They get no twin.")
        y = column_or_1d(y)
        check_consistent_length(X_twin, y)
        X = self._validate_X(X, reset=False)
        return np.concatenate([X, X_twin[flipped]]), np.concatenate([y, y[flipped]])

    def augment(self, estimator, X, y, X_pool, n_round):
        """Return the twins of the newly annotated samples; called by the loop.

        Parameters
        ----------
        estimator : fitted estimator
            Classifier of the current round, attacked without further training.
        X : array-like of shape (n_samples, ...)
            Samples annotated in this round.
        y : array-like of shape (n_samples,)
            Their labels.
        X_pool : array-like of shape (n_pool, ...)
            Remaining unlabelled samples; ignored.
        n_round : int
            Index of the round; ignored.

        Returns
        -------
        X_new : ndarray of shape (n_twins, ...)
            Twins of the samples whose class flipped.
        y_new : ndarray of shape (n_twins,)
            Labels given by the oracle.
        parents : ndarray of shape (n_twins,)
            Indices into ``X`` of the samples that the twins belong to.
        """
        parameters = self.get_params(deep=False)
        bound = type(self)(**parameters | {"estimator": estimator, "prefit": True})
        X_twin, flipped, _ = bound._twins(X, "They get no twin.")
        return X_twin[flipped], y[flipped], np.flatnonzero(flipped)

    def _fit(self, X, y):
        if self.prefit:
            self.estimator_ = self._prefitted()
            self._validate_X(X, reset=True)
            return
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is "
                "None. Pass the labels, or a fitted estimator with prefit=True."
            )
        X = self._validate_X(X, reset=True)
        y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
        check_classification_targets(y)
        self.classes_, encoded = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y holds one class only, {self.classes_.tolist()[0]!r}: there is no "
                "decision boundary to cross. Pass samples of at least two classes."
            )
        self.estimator_ = fit_own(
            self.estimator, X, encoded, len(self.classes_), self.random_state
        )

    def _twins_of_training(self, X, consequence):
        """Return the result of `_twins` without the steps, which are stored."""
        X_twin, flipped, n_iter = self._twins(X, consequence)
        if not self.prefit:
            self.n_iter_ = n_iter
        return X_twin, flipped

    def _twins(self, X, consequence):
        """Return twins, whether their class flipped, and the number of steps."""
        self._check_clip_range()
        if self.prefit:
            estimator = self._prefitted()
        else:
            check_is_fitted(self)
            estimator = self.estimator_
        X_twin, flipped, n_iter = self._attack(estimator, X)
        if not flipped.all():
            warn_caller(
                f"{(~flipped).sum()} of {len(flipped)} samples kept their class after "
                f"at most {self.max_iter} DeepFool steps. {consequence}",
                ConvergenceWarning,
            )
        return X_twin, flipped, n_iter

    def _attack(self, estimator, X):
        """Return twins, whether their class flipped, and the number of steps."""
        # An estimator trained on a data frame expects its column names.
        frame = X if self.prefit and hasattr(X, "iloc") else None
        X = self._validate_X(X, reset=not hasattr(self, "n_features_in_"))
        net = self._shared_net(estimator, _named_as(frame, X))
        net = net.for_attack().in_precision_of_X()
        net.check_dataset_keeps_samples()
        parameters = self._attack_parameters()
        parameters["batch_size"] = net.batch_size(self.batch_size, with_graph=True)
        Z, label, n_iter = [], [], 1
        for z in net.batches(16 * parameters["batch_size"]):
            found = deepfool(net.module, z, **parameters)
            Z.append((z + (1 + self.overshoot) * found.perturbation).cpu().numpy())
            label.append(found.label.cpu().numpy())
            n_iter = max(n_iter, int(found.n_iter.max()))
        X_twin = net.inverse_transform(np.concatenate(Z))
        if self.clip_range is not None:
            X_twin = X_twin.clip(*self.clip_range)
        X_twin = X_twin.astype(X.dtype, copy=False)
        # Rounding, clipping and inverting a Pipeline may undo a flip.
        net = self._shared_net(estimator, _named_as(frame, X_twin)).for_attack()
        after = net.logits(self.batch_size).argmax(1)
        return X_twin, after.cpu().numpy() != np.concatenate(label), n_iter

    @staticmethod
    def _shared_net(estimator, X):
        nets = torch_nets(estimator, X)
        if len(nets) > 1:
            raise TypeError(
                "The members of the Committee transform X differently, so there is no "
                "common input space for twins. Transform X before the Committee."
            )
        return nets[0]

    def _attack_parameters(self):
        names = [*ATTACK_PARAMETERS, "batch_size"]
        return {name: getattr(self, name) for name in names}

    def _prefitted(self):
        if self.estimator is None:
            raise NotFittedError(
                "prefit=True needs a fitted estimator, but estimator is None."
            )
        return self.estimator

    def _validate_X(self, X, reset):
        X = validate_data(
            self, as_whole(X), reset=reset, dtype="numeric", allow_nd=True
        )
        return X if X.dtype.kind == "f" else X.astype(np.float32)

    def _validate_params(self):
        super()._validate_params()
        self._check_clip_range()

    def _check_clip_range(self):
        if self.clip_range is None:
            return
        pair = tuple(self.clip_range)
        if (
            len(pair) != 2
            or not all(isinstance(v, Real) for v in pair)
            or not pair[0] < pair[1]
        ):
            raise ValueError(
                f"clip_range={self.clip_range!r} should be None or two numbers, the "
                "smaller first, such as (0, 1)."
            )


def _named_as(frame, X):
    return X if frame is None else type(frame)(X, columns=frame.columns)


class AdversarialAugmenter(TransformerMixin, _Twins, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Give each sample its adversarial twin, with the same label.

    The twin of x is an adversarial example of x that keeps the label of x: ``x + (1 +
    overshoot) r``, where r is the perturbation found by DeepFool. To a person it is the
    same image; to the network it belongs to another class. DFAL [1]_ adds the twins of
    all annotated samples to the training set, at no annotation cost.

    Parameters
    ----------
    estimator : estimator, default=None
        Classifier to attack: a skorch net, a Pipeline ending in one whose steps have an
        ``inverse_transform``, or a modAL learner wrapping these. If None, a small net
        that fits the shape of ``X`` is used. Wrap a trained classifier in
        scikit-learn's ``FrozenEstimator`` to prevent retraining.
    prefit : bool, default=False
        Whether ``estimator`` is already fitted. If True, it is attacked and left
        unchanged, and ``transform`` works without ``fit``. If False, ``fit`` trains a
        clone.
    p : float in [1, inf], default=2
        Order of the lp norm that DeepFool minimises.
    max_iter : int, default=50
        Maximum number of DeepFool steps per sample.
    overshoot : float >= 0, default=0.02
        How far a twin lies past the decision boundary, relative to its perturbation.
    n_top_classes : int >= 2 or None, default=None
        Number of most likely classes that the attack considers, including the predicted
        one. If None, it considers all classes when there are at most 20, and the ten
        most likely ones otherwise.
    clip_range : (float, float), default=None
        Smallest and largest value of ``X`` to which twins are clipped, such as (0, 1)
        for pixels. If None, twins are not clipped.
    batch_size : int or None, default=None
        Number of samples attacked at once. If None, it is chosen from the memory that
        one sample needs.
    random_state : int, RandomState instance or None, default=None
        Controls the training of the clone. If None, the global random generators are
        used.

    Attributes
    ----------
    estimator_ : estimator
        Classifier that is attacked.
    classes_ : ndarray of shape (n_classes,)
        Class labels seen during ``fit``; absent with ``prefit=True``.
    n_features_in_ : int
        Size of the second axis of ``X``.
    n_iter_ : int
        Number of DeepFool steps of the slowest training sample; absent with
        ``prefit=True``.

    See Also
    --------
    ActiveLearningClassifier : The complete DFAL method, which uses it.
    deepfool : The attack.

    Notes
    -----
    In a scikit-learn Pipeline, this class is a transformer. ``fit_resample`` follows
    imbalanced-learn, whose own Pipeline takes :class:`AdversarialSampler`.

    References
    ----------
    .. [1] M. Ducoffe, F. Precioso, "Adversarial Active Learning for Deep Networks: a
       Margin Based Approach", 2018, arXiv:1802.09841.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdfal import AdversarialAugmenter
    >>> X, y = make_blobs(60, centers=3, random_state=0)
    >>> X_twice, y_twice = AdversarialAugmenter().fit_resample(X, y)
    >>> X_twice.shape, y_twice.shape
    ((120, 2), (120,))
    """

    @_fit_context(prefer_skip_nested_validation=False)
    def fit_transform(self, X, y=None):
        """Fit, then return the twins of the same samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples.
        y : array-like of shape (n_samples,), default=None
            Labels; required unless ``prefit=True``.

        Returns
        -------
        X_twin : ndarray of the shape of ``X``
            Twins of the samples.
        """
        self._fit(X, y)
        X_twin, _ = self._twins_of_training(X, _AS_FAR)
        return _of_kind(X_twin, X)

    def transform(self, X):
        """Return the twin of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples.

        Returns
        -------
        X_twin : ndarray of the shape of ``X``
            Twins; a tensor if ``X`` is one. Samples whose class did not flip are moved
            as far as DeepFool got; a warning says how many there are.

        Warns
        -----
        ConvergenceWarning
            If some samples kept their class.
        """
        X_twin, *_ = self._twins(X, _AS_FAR)
        return _of_kind(X_twin, X)


def _of_kind(X_twin, X):
    return torch.from_numpy(X_twin) if isinstance(X, torch.Tensor) else X_twin


class AdversarialSampler(_Twins):
    """Double a training set with adversarial twins, as a step of imbalanced-learn.

    Same as :class:`AdversarialAugmenter`, but without ``transform``: the Pipeline of
    imbalanced-learn accepts a sampler only if it is not a transformer.

    Parameters
    ----------
    estimator : estimator, default=None
        Classifier to attack: a skorch net, a Pipeline ending in one whose steps have an
        ``inverse_transform``, or a modAL learner wrapping these. If None, a small net
        that fits the shape of ``X`` is used. Wrap a trained classifier in
        scikit-learn's ``FrozenEstimator`` to prevent retraining.
    prefit : bool, default=False
        Whether ``estimator`` is already fitted. If True, it is attacked and left
        unchanged. If False, ``fit`` trains a clone.
    p : float in [1, inf], default=2
        Order of the lp norm that DeepFool minimises.
    max_iter : int, default=50
        Maximum number of DeepFool steps per sample.
    overshoot : float >= 0, default=0.02
        How far a twin lies past the decision boundary, relative to its perturbation.
    n_top_classes : int >= 2 or None, default=None
        Number of most likely classes that the attack considers, including the predicted
        one. If None, it considers all classes when there are at most 20, and the ten
        most likely ones otherwise.
    clip_range : (float, float), default=None
        Smallest and largest value of ``X`` to which twins are clipped, such as (0, 1)
        for pixels. If None, twins are not clipped.
    batch_size : int or None, default=None
        Number of samples attacked at once. If None, it is chosen from the memory that
        one sample needs.
    random_state : int, RandomState instance or None, default=None
        Controls the training of the clone. If None, the global random generators are
        used.

    Attributes
    ----------
    estimator_ : estimator
        Classifier that is attacked.
    classes_ : ndarray of shape (n_classes,)
        Class labels seen during ``fit``; absent with ``prefit=True``.
    n_features_in_ : int
        Size of the second axis of ``X``.
    n_iter_ : int
        Number of DeepFool steps of the slowest training sample; absent with
        ``prefit=True``.

    See Also
    --------
    AdversarialAugmenter : The same as a transformer, with full documentation.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdfal import AdversarialSampler
    >>> X, y = make_blobs(60, centers=3, random_state=0)
    >>> X_twice, y_twice = AdversarialSampler(random_state=0).fit_resample(X, y)
    >>> X_twice.shape, y_twice.shape
    ((120, 2), (120,))
    """
