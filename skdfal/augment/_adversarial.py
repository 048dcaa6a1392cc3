"""AdversarialAugmenter: the twins x + (1 + overshoot) r, with the label of x."""

import sys
import warnings
from numbers import Real

import numpy as np
import torch
from sklearn.base import BaseEstimator, MetaEstimatorMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from skdfal._utils._validation import (
    ATTACK_PARAMETERS,
    COUNT,
    HasMethods,
    _fit_context,
)
from skdfal.adapter._torch_net import torch_nets
from skdfal.adapter._training import as_numpy, fit_own
from skdfal.adversarial import deepfool


def _not_a_step_of_imblearn(_):
    """Whether anyone but imbalanced-learn's Pipeline asks.

    That Pipeline refuses a step with both ``transform`` and ``fit_resample``. In it
    the augmenter is a sampler, so there, and only there, it has no ``transform``.
    """
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if not name.startswith(("sklearn.utils", __name__)):
            return name != "imblearn.pipeline"
        frame = frame.f_back
    return True


class AdversarialAugmenter(
    TransformerMixin, MetaEstimatorMixin, BaseEstimator, auto_wrap_output_keys=None
):
    """Give each sample its adversarial twin, with the same label.

    The twin of x is ``x + (1 + overshoot) r``, r being the perturbation that DeepFool
    found: to a person the same picture, to the network one of another class. DFAL [1]_
    adds the twins of all annotated samples to the training set, at no cost.

    Parameters
    ----------
    estimator : estimator, default=None
        The classifier to attack: a skorch net, a Pipeline that ends in one and whose
        steps have an ``inverse_transform``, or a modAL learner around them. None is a
        small net that fits the shape of ``X``. Wrapped in scikit-learn's
        ``FrozenEstimator`` it is not trained again.
    prefit : bool, default=False
        Attack ``estimator`` as it is, and leave it as it is; ``transform`` then works
        without ``fit``. Otherwise ``fit`` trains a clone.
    p : float in [1, inf], default=2
        Norm that is made small.
    max_iter : int, default=50
        Upper bound on DeepFool steps.
    overshoot : float >= 0, default=0.02
        How far a twin lies beyond the boundary, relative to its perturbation.
    n_top_classes : int >= 2, default=None
        Attack only towards the likeliest classes, the predicted one included.
    clip_range : (float, float), default=None
        Clip twins to this range of values of ``X``, such as (0, 1) for pixels.
    batch_size : int, default=128
        Samples under attack at a time.

    Attributes
    ----------
    estimator_ : estimator
        The classifier that is attacked.
    classes_ : ndarray of shape (n_classes,)
        Class labels given to ``fit``; not there with ``prefit=True``.
    n_features_in_ : int
        Size of the second axis of ``X``.
    n_iter_ : int
        DeepFool steps of the slowest training sample; not there with ``prefit=True``.

    See Also
    --------
    ActiveLearningClassifier : Uses it in the whole of DFAL.
    deepfool : The attack.

    Notes
    -----
    ``fit_resample`` follows imbalanced-learn, whose Pipeline takes the augmenter as a
    sampler; in scikit-learn's Pipeline it is a transformer.

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

    _parameter_constraints = {
        "estimator": [HasMethods(["fit"]), HasMethods(["teach"]), None],
        "prefit": ["boolean"],
        **ATTACK_PARAMETERS,
        "clip_range": [tuple, list, None],
        "batch_size": [COUNT],
    }

    # The loop keeps what this augmenter adds for all later rounds.
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
        batch_size=128,
    ):
        self.estimator = estimator
        self.prefit = prefit
        self.p = p
        self.max_iter = max_iter
        self.overshoot = overshoot
        self.n_top_classes = n_top_classes
        self.clip_range = clip_range
        self.batch_size = batch_size

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Train a clone of the estimator, or take it as it is with ``prefit=True``.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples.
        y : array-like of shape (n_samples,), default=None
            Labels; needed unless ``prefit=True``.

        Returns
        -------
        self : AdversarialAugmenter
            The fitted augmenter.
        """
        self._fit(X, y)
        if not self.prefit:
            self.n_iter_ = self._attack(self.estimator_, X)[2]
        return self

    @available_if(_not_a_step_of_imblearn)
    def fit_transform(self, X, y=None):
        """Fit, then return the twins of the same samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples.
        y : array-like of shape (n_samples,), default=None
            Labels; needed unless ``prefit=True``.

        Returns
        -------
        X_twin : ndarray of the shape of ``X``
            The twins.
        """
        return self.fit(X, y).transform(X)

    @available_if(_not_a_step_of_imblearn)
    def transform(self, X):
        """Return the twin of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples.

        Returns
        -------
        X_twin : ndarray of the shape of ``X``
            The twins; a tensor where ``X`` is one. Samples whose class did not flip
            are moved too, as far as DeepFool came; a warning counts them.

        Warns
        -----
        ConvergenceWarning
            If some samples kept their class.
        """
        X_twin, _ = self._twins(X, "They are returned as far as DeepFool came.")
        return torch.from_numpy(X_twin) if isinstance(X, torch.Tensor) else X_twin

    def fit_resample(self, X, y):
        """Fit, then return the samples with their twins below them.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples.
        y : array-like of shape (n_samples,)
            Labels.

        Returns
        -------
        X_resampled : ndarray of shape (n_samples + n_twins, ...)
            ``X``, then the twins. Samples that did not flip have none.
        y_resampled : ndarray of shape (n_samples + n_twins,)
            ``y``, then the same labels again.

        Warns
        -----
        ConvergenceWarning
            If some samples kept their class and so are not doubled.
        """
        self.fit(X, y)
        X_twin, flipped = self._twins(X, "They are not doubled.")
        y = column_or_1d(y)
        check_consistent_length(X_twin, y)
        X = as_numpy(X).astype(X_twin.dtype, copy=False)
        return np.concatenate([X, X_twin[flipped]]), np.concatenate([y, y[flipped]])

    def augment(self, estimator, X, y, X_pool, n_round):
        """Return the twins of the newly annotated samples: what the loop asks for.

        Parameters
        ----------
        estimator : fitted estimator
            The classifier of this round, attacked as it is.
        X : array-like of shape (n_samples, ...)
            Samples annotated this round.
        y : array-like of shape (n_samples,)
            Their labels.
        X_pool : array-like of shape (n_pool, ...)
            What is left unlabelled; not used.
        n_round : int
            Number of the round; not used.

        Returns
        -------
        X_new : ndarray of shape (n_twins, ...)
            The twins of the samples that flipped.
        y_new : ndarray of shape (n_twins,)
            The oracle's labels for them.
        """
        parameters = self.get_params(deep=False)
        bound = type(self)(**parameters | {"estimator": estimator, "prefit": True})
        X_twin, flipped = bound._twins(X, "They are not doubled.")
        return X_twin[flipped], y[flipped]

    def _fit(self, X, y):
        self._check_clip_range()
        if self.prefit:
            self.estimator_ = self._prefitted()
            self._validate_X(X, reset=True)
            return
        if y is None:
            raise ValueError(
                "AdversarialAugmenter requires y to be passed, but the target y is "
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
                "decision boundary to cross. Give samples of two classes at least."
            )
        self.estimator_ = fit_own(self.estimator, X, encoded, len(self.classes_))

    def _twins(self, X, consequence):
        """Return the twins of ``X`` and whether each is of another class."""
        self._check_clip_range()
        if self.prefit:
            estimator = self._prefitted()
        else:
            check_is_fitted(self)
            estimator = self.estimator_
        X_twin, flipped, _ = self._attack(estimator, X)
        if not flipped.all():
            warnings.warn(
                f"{(~flipped).sum()} of {len(flipped)} samples kept their class after "
                f"at most {self.max_iter} DeepFool steps. {consequence}",
                ConvergenceWarning,
                stacklevel=3,
            )
        return X_twin, flipped

    def _attack(self, estimator, X):
        """Return twins, whether they are of another class, and the steps it took."""
        X = self._validate_X(X, reset=not hasattr(self, "n_features_in_"))
        net = self._shared_net(estimator, X).in_precision_of_X()
        Z, label, n_iter = [], [], 1
        for z in net.batches(16 * self.batch_size):
            found = deepfool(net.module, z, **self._attack_parameters())
            Z.append((z + (1 + self.overshoot) * found.perturbation).cpu().numpy())
            label.append(found.label.cpu().numpy())
            n_iter = max(n_iter, int(found.n_iter.max()))
        X_twin = net.inverse_transform(np.concatenate(Z))
        if self.clip_range is not None:
            X_twin = X_twin.clip(*self.clip_range)
        X_twin = X_twin.astype(X.dtype, copy=False)
        # Rounding, clipping and the way back through a Pipeline may undo a flip.
        after = self._shared_net(estimator, X_twin).logits(self.batch_size).argmax(1)
        return X_twin, after.cpu().numpy() != np.concatenate(label), n_iter

    @staticmethod
    def _shared_net(estimator, X):
        nets = torch_nets(estimator, X)
        if len(nets) > 1:
            raise TypeError(
                "The members of the Committee transform X differently, so they share "
                "no input space to have twins in. Transform X before the Committee."
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
            self, as_numpy(X), reset=reset, dtype="numeric", allow_nd=True
        )
        return X if X.dtype.kind == "f" else X.astype(np.float32)

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
