"""Make the classes of a balanced data set unequal in size."""

from collections.abc import Sequence
from numbers import Real

import numpy as np

from skdfal._utils._validation import Interval, validate_params


@validate_params(
    {
        "X": ["array-like"],
        "y": ["array-like"],
        "ratio": [Interval(Real, 1, None, closed="left")],
        "rare_classes": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def make_imbalanced(X, y, ratio, *, rare_classes=None):
    """Make every other class rare, as Kim et al. [1]_ do to CIFAR-10.

    One sample in ``ratio`` is kept of each rare class. On CIFAR-10 with ratio 100, this
    leaves 50 airplanes, birds, deer, frogs and ships each, and 5,000 samples of each of
    the other five classes. Apply this to the training set only: the test set stays
    balanced.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Samples.
    y : array-like of shape (n_samples,)
        Labels.
    ratio : float
        Factor by which the rare classes are reduced; 1 keeps all samples.
    rare_classes : array-like or None, default=None
        Labels of the rare classes. If None, the first, third, fifth, ... class.

    Returns
    -------
    X : ndarray of shape (n_kept, ...)
        The samples kept, in their original order.
    y : ndarray of shape (n_kept,)
        Their labels.

    Raises
    ------
    ValueError
        If there are fewer than two classes, a rare class is not in ``y``, or ``y`` is
        not one label per sample.
    TypeError
        If ``X`` or ``y`` is not an array or a list, or ``y`` mixes strings and numbers.

    See Also
    --------
    split_pool : Initial samples, pool and test set.

    Notes
    -----
    The paper states the ratios 10 and 100. The choice of the rare classes and of their
    samples follows the authors' published code: the first samples of each rare class
    are kept, so that nothing is random. Counts are rounded, and at least 1.

    References
    ----------
    .. [1] K. Kim, D. Park, K. I. Kim and S. Y. Chun, "Task-Aware Variational
           Adversarial Active Learning", CVPR 2021. https://arxiv.org/abs/2002.04709

    Examples
    --------
    >>> import numpy as np
    >>> from skdfal.datasets import make_imbalanced
    >>> y = np.repeat(["cat", "dog", "fish"], 50)
    >>> X, y = make_imbalanced(np.zeros((150, 2)), y, 10)
    >>> [int((y == name).sum()) for name in ("cat", "dog", "fish")]
    [5, 50, 5]
    """
    _check_is_array_or_list(X, "X")
    _check_is_array_or_list(y, "y")
    check_are_alike(y)
    X, y = np.asarray(X), np.asarray(y)
    if len(X) != len(y):
        raise ValueError(f"X has {len(X)} samples, but y has {len(y)} labels.")
    check_labels(y)
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(f"y has n_classes={len(classes)}; two or more are needed.")
    if rare_classes is None:
        rare = usual_rare(classes)
    else:
        # An object array, since True among numbers would become 1.
        rare = np.asarray(rare_classes, dtype=object)
    if rare.ndim != 1:
        raise ValueError(
            f"rare_classes={rare_classes!r} should be a list of labels, or None."
        )
    known, has_bools = set(classes.tolist()), y.dtype.kind == "b"
    unknown = [
        label
        for label in rare.tolist()
        if label not in known or (isinstance(label, bool | np.bool_) and not has_bools)
    ]
    if unknown:
        raise ValueError(f"rare_classes={unknown} should be labels in y.")
    kept = np.ones(len(y), dtype=bool)
    for label in rare:
        of_class = np.flatnonzero(y == label)
        kept[of_class[max(1, round(len(of_class) / ratio)) :]] = False
    return X[kept], y[kept]


def usual_rare(classes):
    """Return the classes that are rare by default."""
    return classes[::2]


def _check_is_array_or_list(data, name):
    """Raise for input that NumPy would read endlessly, such as a torch Dataset."""
    if not hasattr(data, "__array__") and not isinstance(data, Sequence):
        raise TypeError(
            f"{name} is of type {type(data).__name__}; expected an array or a list. "
            "For a Dataset, pass positions, kept, y = make_imbalanced(np.arange("
            "len(y)), y, ratio), and use torch.utils.data.Subset(dataset, kept)."
        )


def check_labels(y):
    """Raise unless an array holds one label for each sample."""
    if y.ndim != 1:
        raise ValueError(
            f"y has shape {y.shape}; expected one label per sample, shape ({len(y)},). "
            "For one-hot labels pass y.argmax(axis=1), for a column y.ravel()."
        )
    if (y != y).any():
        raise ValueError(f"y has {(y != y).sum()} labels that are NaN. Leave them out.")


def check_are_alike(y):
    """Raise if NumPy would turn numbers into strings, or cannot sort the labels."""
    labels = np.asarray(y, dtype=object).ravel().tolist()
    is_text = {isinstance(label, str) for label in labels}
    if len(is_text) > 1 or None in labels:
        kinds = sorted({type(label).__name__ for label in labels})
        raise TypeError(
            f"y mixes labels of the types {', '.join(kinds)}; expected only strings or "
            "only numbers."
        )
