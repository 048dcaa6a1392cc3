"""Control conditions for adversarial twins: copies, noise, mirrored and newer twins.

Each control adds as many samples, and so as many training steps, as the twins do. Each
leaves out one aspect that might explain the benefit of the twins.
"""

import math

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from skdfal._utils._validation import ATTACK_PARAMETERS, COUNT
from skdfal.augment._adversarial import AdversarialAugmenter
from skdfal.pool import as_pool


class CopyAugmenter(BaseEstimator):
    """Give each sample a copy of itself, to match the training steps that twins add.

    For the same number of epochs, twice the samples mean twice the optimiser steps. If
    copies improve accuracy as much as twins, the gain comes from longer training.

    Parameters
    ----------
    n_copies : int, default=1
        Number of copies of each sample.

    See Also
    --------
    AdversarialAugmenter : Creates the adversarial twins.

    Examples
    --------
    >>> import numpy as np
    >>> from skdfal.augment import CopyAugmenter
    >>> X, y = np.array([[1.0], [2.0]]), np.array([0, 1])
    >>> CopyAugmenter().augment(None, X, y, X[:0], 0)
    (array([[1.],
           [2.]]), array([0, 1]), array([0, 1]))
    """

    _parameter_constraints = {"n_copies": [COUNT]}

    is_lasting = True
    uses_pool = False

    def __init__(self, n_copies=1):
        self.n_copies = n_copies

    def augment(self, estimator, X, y, X_pool, n_round):
        """Return the newly annotated samples again.

        Parameters
        ----------
        estimator : fitted estimator
            Ignored.
        X : array-like of shape (n_samples, ...)
            Samples annotated in this round.
        y : array-like of shape (n_samples,)
            Their labels.
        X_pool : array-like of shape (n_pool, ...)
            Ignored.
        n_round : int
            Ignored.

        Returns
        -------
        X_new : ndarray of shape (n_copies * n_samples, ...)
            Copied samples.
        y_new : ndarray of shape (n_copies * n_samples,)
            Labels of the copied samples.
        parents : ndarray of shape (n_copies * n_samples,)
            Indices into ``X`` of the copied samples.
        """
        self._validate_params()
        parents = np.tile(np.arange(len(y)), self.n_copies)
        return as_pool(X).take(parents), y[parents], parents


class _AroundTwins(BaseEstimator):
    """Base class for samples made from the perturbations of twins."""

    _parameter_constraints = {
        name: ATTACK_PARAMETERS[name] for name in ("p", "max_iter", "overshoot")
    }

    is_lasting = True
    uses_pool = False

    def __init__(self, p=2, max_iter=50, overshoot=0.02):
        self.p = p
        self.max_iter = max_iter
        self.overshoot = overshoot

    def augment(self, estimator, X, y, X_pool, n_round):
        """Return samples around the newly annotated ones; called by the loop.

        Parameters
        ----------
        estimator : fitted estimator
            Classifier of the current round, attacked without further training.
        X : array-like of shape (n_samples, ...)
            Samples annotated in this round.
        y : array-like of shape (n_samples,)
            Their labels.
        X_pool : array-like of shape (n_pool, ...)
            Ignored.
        n_round : int
            Ignored.

        Returns
        -------
        X_new : ndarray of shape (n_new, ...)
            New samples; samples that DeepFool could not move across a boundary have
            none.
        y_new : ndarray of shape (n_new,)
            Labels given by the oracle.
        parents : ndarray of shape (n_new,)
            Indices into ``X`` of the samples that they were made from.
        """
        self._validate_params()
        twins = AdversarialAugmenter(**self.get_params())
        X_twin, y_twin, parents = twins.augment(estimator, X, y, X_pool, n_round)
        X = np.asarray(X)[parents].astype(X_twin.dtype, copy=False)
        return self._around(X, X_twin, y_twin, parents)


class NoiseAugmenter(_AroundTwins):
    """Give each sample a copy with Gaussian noise as long as the step to its twin.

    If such noise improves accuracy as much as twins, the gain is not due to the
    boundary.

    Parameters
    ----------
    p : float in [1, inf], default=2
        Order of the lp norm that DeepFool minimises.
    max_iter : int, default=50
        Maximum number of DeepFool steps per sample.
    overshoot : float >= 0, default=0.02
        How far a twin lies past the decision boundary, relative to its perturbation.

    See Also
    --------
    AdversarialAugmenter : Creates the adversarial twins.

    Notes
    -----
    The noise has the Euclidean length of the twin's perturbation. Its direction is
    drawn from NumPy's global generator, which the loop seeds in each round.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import make_blobs
    >>> from skdfal import ActiveLearningClassifier
    >>> from skdfal.augment import NoiseAugmenter
    >>> X, y = make_blobs(200, centers=3, random_state=0)
    >>> clf = ActiveLearningClassifier(augmenter=NoiseAugmenter(), random_state=0)
    >>> clf.set_params(max_annotations=30).fit(X, y).X_train_.shape
    (50, 2)
    """

    def _around(self, X, X_twin, y, parents):
        step = (X_twin - X).reshape(len(X), math.prod(X.shape[1:]))
        noise = check_random_state(None).standard_normal(step.shape)  # NumPy's global
        for one, of_twin in zip(noise, step, strict=True):
            one *= np.linalg.norm(of_twin) / np.linalg.norm(one)
        return X + noise.reshape(X.shape).astype(X.dtype), y, parents


class MirrorAugmenter(_AroundTwins):
    """Give each sample its twin, and the mirror image of the twin.

    The mirror image x - r lies as far from the sample as the twin x + r, but away from
    the boundary.

    Parameters
    ----------
    p : float in [1, inf], default=2
        Order of the lp norm that DeepFool minimises.
    max_iter : int, default=50
        Maximum number of DeepFool steps per sample.
    overshoot : float >= 0, default=0.02
        How far a twin lies past the decision boundary, relative to its perturbation.

    See Also
    --------
    AdversarialAugmenter : Creates the adversarial twins.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdfal import ActiveLearningClassifier
    >>> from skdfal.augment import MirrorAugmenter
    >>> X, y = make_blobs(200, centers=3, random_state=0)
    >>> clf = ActiveLearningClassifier(augmenter=MirrorAugmenter(), random_state=0)
    >>> clf.set_params(max_annotations=30).fit(X, y).X_train_.shape
    (70, 2)
    """

    def _around(self, X, X_twin, y, parents):
        X_new = np.concatenate([X_twin, 2 * X - X_twin])
        return X_new, np.tile(y, 2), np.tile(parents, 2)


class RenewedAugmenter(AdversarialAugmenter, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Give all annotated samples new twins in each round, made with the newest net.

    In contrast, :class:`AdversarialAugmenter` makes each twin once, with the net of
    that round, which later nets may have outgrown.

    Parameters
    ----------
    estimator : estimator, default=None
        As for :class:`AdversarialAugmenter`, like the other parameters.
    prefit : bool, default=False
        Whether ``estimator`` is already fitted.
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
        Smallest and largest value of ``X`` to which twins are clipped. If None, twins
        are not clipped.
    batch_size : int or None, default=None
        Number of samples attacked at once. If None, it is chosen from the memory that
        one sample needs.
    random_state : int, RandomState instance or None, default=None
        Controls the training of the clone.

    Attributes
    ----------
    estimator_ : estimator
        Classifier that is attacked.
    classes_ : ndarray of shape (n_classes,)
        Class labels seen during ``fit``.
    n_features_in_ : int
        Size of the second axis of ``X``.
    n_iter_ : int
        Number of DeepFool steps of the slowest training sample.

    See Also
    --------
    AdversarialAugmenter : The twins of DFAL.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdfal import ActiveLearningClassifier
    >>> from skdfal.augment import RenewedAugmenter
    >>> X, y = make_blobs(200, centers=3, random_state=0)
    >>> clf = ActiveLearningClassifier(augmenter=RenewedAugmenter(), random_state=0)
    >>> clf.set_params(max_annotations=30).fit(X, y).history_[-1]["labeled_data"]
    60
    """

    # The loop keeps these for one training and requests those of all samples.
    is_lasting = False
    renews = True
