"""What adversarial twins are compared with: copies, noise, mirrored and newer twins.

Each gives as many samples as the twins do, so as many steps of training, and leaves out
one thing that could be what the twins are good for.
"""

import math
from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from skdfal._utils._validation import ATTACK_PARAMETERS, COUNT, Interval
from skdfal.augment._adversarial import AdversarialAugmenter
from skdfal.pool import as_pool


class CopyAugmenter(BaseEstimator):
    """Give each sample a copy of itself: the steps of training that twins bring along.

    At equal epochs twice the samples are twice the steps of the optimiser. A gain by
    twins that copies give too is one of training.

    Parameters
    ----------
    n_copies : int, default=1
        Copies of each sample.

    See Also
    --------
    AdversarialAugmenter : The twins.

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
            Not used.
        X : array-like of shape (n_samples, ...)
            Samples annotated this round.
        y : array-like of shape (n_samples,)
            Their labels.
        X_pool : array-like of shape (n_pool, ...)
            Not used.
        n_round : int
            Not used.

        Returns
        -------
        X_new : ndarray of shape (n_copies * n_samples, ...)
            The copies.
        y_new : ndarray of shape (n_copies * n_samples,)
            The labels of the samples.
        parents : ndarray of shape (n_copies * n_samples,)
            Positions in ``X`` of the samples that they are copies of.
        """
        self._validate_params()
        parents = np.tile(np.arange(len(y)), self.n_copies)
        return as_pool(X).take(parents), y[parents], parents


class _AroundTwins(BaseEstimator):
    """Samples that are made from the twins' perturbations."""

    _parameter_constraints = {
        name: ATTACK_PARAMETERS[name] for name in ("p", "max_iter")
    } | {"overshoot": [Interval(Real, 0, None, closed="left")]}

    is_lasting = True
    uses_pool = False

    def __init__(self, p=2, max_iter=50, overshoot=0.02):
        self.p = p
        self.max_iter = max_iter
        self.overshoot = overshoot

    def augment(self, estimator, X, y, X_pool, n_round):
        """Return samples around the newly annotated ones: what the loop asks for.

        Parameters
        ----------
        estimator : fitted estimator
            The classifier of this round, attacked as it is.
        X : array-like of shape (n_samples, ...)
            Samples annotated this round.
        y : array-like of shape (n_samples,)
            Their labels.
        X_pool : array-like of shape (n_pool, ...)
            Not used.
        n_round : int
            Not used.

        Returns
        -------
        X_new : ndarray of shape (n_new, ...)
            The samples; none of those that DeepFool could not move across a boundary.
        y_new : ndarray of shape (n_new,)
            The oracle's labels for them.
        parents : ndarray of shape (n_new,)
            Positions in ``X`` of the samples that they were made of.
        """
        self._validate_params()
        twins = AdversarialAugmenter(**self.get_params())
        X_twin, y_twin, parents = twins.augment(estimator, X, y, X_pool, n_round)
        X = np.asarray(X)[parents].astype(X_twin.dtype, copy=False)
        return self._around(X, X_twin, y_twin, parents)


class NoiseAugmenter(_AroundTwins):
    """Give each sample one with Gaussian noise as long as the step to its twin.

    A gain by twins that such noise gives too does not come from the boundary.

    Parameters
    ----------
    p : float in [1, inf], default=2
        Norm that DeepFool makes small.
    max_iter : int, default=50
        Upper bound on DeepFool steps.
    overshoot : float >= 0, default=0.02
        How far a twin lies beyond the boundary, relative to its perturbation.

    See Also
    --------
    AdversarialAugmenter : The twins.

    Notes
    -----
    The noise has the Euclidean length of the twin's perturbation and a direction drawn
    from NumPy's global generator, which the loop seeds each round.

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
    """Give each sample its twin, and the mirror image of it on the other side.

    The second lies as far from the sample as the twin, away from the boundary: x - r
    beside x + r.

    Parameters
    ----------
    p : float in [1, inf], default=2
        Norm that DeepFool makes small.
    max_iter : int, default=50
        Upper bound on DeepFool steps.
    overshoot : float >= 0, default=0.02
        How far a twin lies beyond the boundary, relative to its perturbation.

    See Also
    --------
    AdversarialAugmenter : The twins.

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


class RenewedAugmenter(AdversarialAugmenter, auto_wrap_output_keys=None):
    """Give all annotated samples new twins each round, against the newest net.

    A twin of :class:`AdversarialAugmenter` is made once, by the net of its round, which
    later nets may have outgrown.

    Parameters
    ----------
    estimator : estimator, default=None
        As for :class:`AdversarialAugmenter`, as are the others.
    prefit : bool, default=False
        Attack ``estimator`` as it is.
    p : float in [1, inf], default=2
        Norm that is made small.
    max_iter : int, default=50
        Upper bound on DeepFool steps.
    overshoot : float >= 0, default=0.02
        How far a twin lies beyond the boundary, relative to its perturbation.
    n_top_classes : int >= 2 or None, default=None
        Attack only towards the likeliest classes, the predicted one included. None
        takes all of up to 20 classes, and of more the ten likeliest.
    clip_range : (float, float), default=None
        Clip twins to this range of values of ``X``.
    batch_size : int or None, default=None
        Samples under attack at a time. None chooses by the memory that a sample needs.
    random_state : int, RandomState instance or None, default=None
        Determines the training of the clone.

    Attributes
    ----------
    estimator_ : estimator
        The classifier that is attacked.
    classes_ : ndarray of shape (n_classes,)
        Class labels given to ``fit``.
    n_features_in_ : int
        Size of the second axis of ``X``.
    n_iter_ : int
        DeepFool steps of the slowest training sample.

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

    # The loop keeps these for one training, and asks for those of all samples.
    is_lasting = False
    renews = True
