"""PseudoLabelAugmenter: confident predictions as labels for one round of training."""

from functools import partial
from numbers import Real

import numpy as np
from scipy.special import entr
from sklearn.base import BaseEstimator, MetaEstimatorMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import assert_all_finite, validate_data

from skdfal._utils._missing_labels import is_missing
from skdfal._utils._validation import (
    COUNT,
    SCORE_PARAMETERS,
    HasMethods,
    Interval,
    _fit_context,
    validate_params,
)
from skdfal.adapter import class_labels, map_proba
from skdfal.adapter._training import as_numpy, as_whole, fit_own


@validate_params(
    SCORE_PARAMETERS | {"threshold": [Interval(Real, 0, None, closed="left")]},
    prefer_skip_nested_validation=True,
)
def ceal_pseudo_labels(estimator, X, *, threshold=0.05, batch_size=None):
    """Pseudo-label the samples that the estimator is certain about [1]_.

    Pseudo-labels cost nothing. Use them for one training only: leave the samples in the
    pool, and recompute the labels with the next estimator.

    Parameters
    ----------
    estimator : fitted estimator
        As for :func:`ceal_sampling`.
    X : array-like of shape (n_samples, ...)
        Unlabelled samples.
    threshold : float >= 0, default=0.05
        Upper bound on the entropy of a prediction, in nats: samples strictly below it
        are pseudo-labelled. This is the paper's δ. The DFAL paper uses 0.05 for MNIST,
        0.19 for Shoe-Bag and 0.08 for Quick-Draw.
    batch_size : int or None, default=None
        Number of samples per forward pass. If None, it is chosen from the memory that
        one sample needs.

    Returns
    -------
    indices : ndarray of shape (n_sure,)
        Indices into ``X`` in increasing order; may be empty.
    labels : ndarray of shape (n_sure,)
        Most likely class of each sample, in the form that ``predict`` returns: a class
        code if the estimator ends in a net, an entry of ``classes_`` otherwise. A
        decision threshold of the estimator plays no part.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If ``X`` is empty, contains NaN or infinity, or has a shape that the estimator
        cannot take.

    See Also
    --------
    PseudoLabelAugmenter : The same for a training set with missing labels.

    References
    ----------
    .. [1] K. Wang, D. Zhang, Y. Li, R. Zhang, L. Lin, "Cost-Effective Active Learning
       for Deep Image Classification", IEEE TCSVT 27(12), 2017, arXiv:1701.03551.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdfal import ceal_pseudo_labels
    >>> clf = LogisticRegression().fit([[-1.0], [1.0]], ["left", "right"])
    >>> ceal_pseudo_labels(clf, [[-9.0], [0.0], [9.0]])
    (array([0, 2]), array(['left', 'right'], dtype='<U5'))
    """
    indices, labels, start = [], [], 0
    blocks = map_proba(partial(_sure, threshold), estimator, X, batch_size)
    for n_samples, sure, proba in blocks:
        names = class_labels(estimator, proba.shape[1])
        # A module may have more outputs than there are classes; those have no label.
        labels.append(names[proba[:, : len(names)].argmax(axis=1)])
        indices.append(start + sure)
        start += n_samples
    return np.concatenate(indices), np.concatenate(labels)


def _sure(threshold, proba):
    """Return the size of a block, its rows of low entropy, and their probabilities."""
    sure = np.flatnonzero(entr(proba).sum(axis=1) < threshold)
    return len(proba), sure, proba[sure]


class PseudoLabelAugmenter(MetaEstimatorMixin, BaseEstimator):
    """Give unlabelled samples the labels that a classifier is certain about.

    CEAL [1]_ trains on the annotated samples and on pool samples whose prediction has
    an entropy below a threshold. The prediction serves as their label, at no annotation
    cost. In :class:`ActiveLearningClassifier`, pseudo-labels are used for one training
    only. The samples stay in the pool, and new ones are selected in each round among
    ``n_candidates`` samples drawn at random.

    Parameters
    ----------
    estimator : estimator, default=None
        Classifier that predicts the pseudo-labels: a skorch net, a Pipeline ending in
        one, a modAL learner wrapping these, or any classifier with ``predict_proba``.
        If None, a small net that fits the shape of ``X`` is used.
    prefit : bool, default=False
        Whether ``estimator`` is already fitted. If True, its predicted labels are added
        unchanged, so they should be of the same kind as ``y``. If False, ``fit`` trains
        a clone on the labelled samples.
    threshold : float >= 0, default=0.05
        Upper bound on the entropy of a prediction, in nats: samples strictly below it
        are pseudo-labelled. This is the paper's δ. The DFAL paper uses 0.05 for MNIST,
        0.19 for Shoe-Bag and 0.08 for Quick-Draw.
    decay : float >= 0, default=0.0
        Decrease of the threshold per round: in the loop, round t uses ``max(0,
        threshold - decay * t)``. The DFAL paper keeps the threshold fixed, CEAL's
        authors lower it.
    missing_label : scalar, default=-1
        Value in ``y`` that marks unlabelled samples. Use a string for string labels;
        NaN is possible for floats.
    batch_size : int or None, default=None
        Number of samples per forward pass. If None, it is chosen from the memory that
        one sample needs.

    Attributes
    ----------
    estimator_ : estimator
        Classifier that predicts the pseudo-labels.
    classes_ : ndarray of shape (n_classes,)
        Class labels seen during ``fit``; absent with ``prefit=True``.
    n_features_in_ : int
        Size of the second axis of ``X``.

    See Also
    --------
    ceal_pseudo_labels : Compute the pseudo-labels.
    ActiveLearningClassifier : Its strategy "ceal" is the complete method.

    Notes
    -----
    ``fit_resample`` follows imbalanced-learn, whose Pipeline accepts the augmenter as a
    sampler. To combine DFAL and CEAL, as the DFAL paper suggests, use the strategy
    "dfal" with ``augmenter=[AdversarialAugmenter(), PseudoLabelAugmenter()]``.

    References
    ----------
    .. [1] K. Wang, D. Zhang, Y. Li, R. Zhang, L. Lin, "Cost-Effective Active Learning
       for Deep Image Classification", IEEE TCSVT 27(12), 2017, arXiv:1701.03551.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdfal import PseudoLabelAugmenter
    >>> X = np.array([[-1.0], [1.0], [-9.0], [0.0], [9.0]])
    >>> y = np.array([0, 1, -1, -1, -1])
    >>> X_more, y_more = PseudoLabelAugmenter(LogisticRegression()).fit_resample(X, y)
    >>> X_more.ravel(), y_more
    (array([-1.,  1., -9.,  9.]), array([0, 1, 0, 1]))
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit"]), HasMethods(["teach"]), None],
        "prefit": ["boolean"],
        "threshold": [Interval(Real, 0, None, closed="left")],
        "decay": [Interval(Real, 0, None, closed="left")],
        "missing_label": "no_validation",
        "batch_size": [COUNT, None],
    }

    # The loop keeps the samples added by this augmenter for the next training only, and
    # lets it consider as many samples as the query.
    is_lasting = False
    uses_pool = "candidates"

    def __init__(
        self,
        estimator=None,
        *,
        prefit=False,
        threshold=0.05,
        decay=0.0,
        missing_label=-1,
        batch_size=None,
    ):
        self.estimator = estimator
        self.prefit = prefit
        self.threshold = threshold
        self.decay = decay
        self.missing_label = missing_label
        self.batch_size = batch_size

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Train a clone on the labelled samples, or use it unchanged if ``prefit``.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples.
        y : array-like of shape (n_samples,), default=None
            Labels, with ``missing_label`` for unlabelled samples; required unless
            ``prefit=True``.

        Returns
        -------
        self : PseudoLabelAugmenter
            The fitted augmenter.
        """
        X = self._validate_X(X)
        if self.prefit:
            if self.estimator is None:
                raise NotFittedError(
                    "prefit=True needs a fitted estimator, but estimator is None."
                )
            self.estimator_ = self.estimator
            return self
        if y is None:
            raise ValueError(
                "PseudoLabelAugmenter requires y to be passed, but the target y is "
                "None. Pass the labels, or a fitted estimator with prefit=True."
            )
        y, missing = self._validate_y(X, y)
        self.classes_, codes = np.unique(y[~missing], return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y holds {len(self.classes_)} class(es) besides missing_label="
                f"{self.missing_label!r}. Label samples of at least two classes."
            )
        self.estimator_ = fit_own(
            self.estimator, X[~missing], codes, len(self.classes_)
        )
        return self

    def fit_resample(self, X, y):
        """Fit, then return the labelled samples followed by the pseudo-labelled ones.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples.
        y : array-like of shape (n_samples,)
            Labels, with ``missing_label`` for unlabelled samples.

        Returns
        -------
        X_resampled : ndarray of shape (n_labeled + n_sure, ...)
            Labelled samples, followed by the unlabelled ones that the classifier is
            certain about. Both groups keep their order.
        y_resampled : ndarray of shape (n_labeled + n_sure,)
            Labels, followed by pseudo-labels.
        """
        self.fit(X, y)
        X = self._validate_X(X)
        y, missing = self._validate_y(X, y)
        X_sure, labels = self._label(self.estimator_, X[missing], self.threshold)
        if hasattr(self, "classes_") and not self.prefit:
            is_class = labels < len(self.classes_)  # drop outputs without a class
            X_sure, labels = X_sure[is_class], self.classes_[labels[is_class]]
        elif len(labels) and (labels.dtype.kind in "OUS") != (y.dtype.kind in "OUS"):
            raise ValueError(
                f"The estimator predicts labels such as {labels[0]!r}, but y has dtype "
                f"{y.dtype}. With prefit=True, both should be of the same kind."
            )
        if not (len(labels) and labels.dtype.kind == y.dtype.kind == "U"):
            labels = labels.astype(y.dtype, copy=False)  # strings may get longer
        X_resampled = np.concatenate([X[~missing], X_sure])
        return X_resampled, np.concatenate([y[~missing], labels])

    def augment(self, estimator, X, y, X_pool, n_round):
        """Return the pool samples with pseudo-labels; called by the loop.

        Parameters
        ----------
        estimator : fitted estimator
            Classifier of the current round.
        X : array-like of shape (n_samples, ...)
            Samples annotated in this round; ignored.
        y : array-like of shape (n_samples,)
            Their labels; ignored.
        X_pool : array-like of shape (n_pool, ...)
            Remaining unlabelled samples.
        n_round : int
            Index of the round, the t of the decaying threshold.

        Returns
        -------
        X_new : ndarray of shape (n_sure, ...)
            Samples that the classifier is certain about; may be empty.
        y_new : ndarray of shape (n_sure,)
            Predicted labels of these samples.
        """
        self._validate_params()
        threshold = max(0.0, self.threshold - self.decay * n_round)
        return self._label(estimator, X_pool, threshold)

    def _label(self, estimator, X, threshold):
        """Return the certain samples of ``X``, possibly none, and their labels."""
        if not len(X):
            return X, np.zeros(0, dtype=int)
        indices, labels = ceal_pseudo_labels(
            estimator, X, threshold=threshold, batch_size=self.batch_size
        )
        return X[indices], labels

    def _validate_X(self, X):
        return validate_data(
            self, as_whole(X), reset=True, dtype="numeric", allow_nd=True
        )

    def _validate_y(self, X, y):
        """Return y as an array, and a mask of its missing labels."""
        y = column_or_1d(as_numpy(y), warn=True)
        check_consistent_length(X, y)
        missing = is_missing(y, self.missing_label)
        assert_all_finite(y[~missing], input_name="y")
        check_classification_targets(y[~missing])
        return y, missing
