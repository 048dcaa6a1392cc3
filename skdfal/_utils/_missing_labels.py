"""Which entries of ``y`` mark samples without a label."""

import numpy as np

from skdfal._utils._warnings import warn_caller


def is_missing(y, missing_label):
    """Return the mask of the entries of ``y`` without a label."""
    is_text = isinstance(missing_label, str)
    if missing_label is not None and not np.isscalar(missing_label):
        raise TypeError(f"{missing_label=!r} should be a single label or None.")
    if y.dtype.kind in "biuf" and (is_text or missing_label is None):
        raise TypeError(
            f"{missing_label=!r} is not of the kind of y, which is {y.dtype}. Use a "
            "number that is not a label, such as -1."
        )
    _check_absent(y, missing_label)
    if missing_label is not None and not is_text:
        _check_texts(y, missing_label)
    if y.dtype.kind in "US" and not is_text:
        return np.zeros(len(y), dtype=bool)
    if missing_label != missing_label:  # NaN
        return np.asarray(y != y)
    missing = np.asarray(y == missing_label)
    if missing_label == -1 and missing.any() and set(y[~missing].tolist()) == {1}:
        warn_caller(
            "y holds -1 and 1 only; both are taken as classes, although "
            "missing_label=-1. Set another missing_label to silence this.",
            UserWarning,
        )
        return np.zeros(len(y), dtype=bool)
    return missing


def _check_absent(y, missing_label):
    """Raise if ``y`` contains None or NaN, and ``missing_label`` is something else."""
    if y.dtype.kind not in "fO":
        return
    for value in y[y != y] if y.dtype.kind == "f" else y:
        is_none, is_nan = value is None, isinstance(value, float | np.floating)
        is_named = missing_label is None if is_none else missing_label != missing_label
        if not _is_absent(value) or (is_named and (is_none or is_nan)):
            continue
        remedy = "replace it by a string, and pass that as missing_label"  # pandas' NA
        if is_none or is_nan:
            remedy = f"pass missing_label={'None' if is_none else 'np.nan'}"
        raise ValueError(
            f"y holds {value}, which is not a label. If it marks a sample without a "
            f"label, {remedy}."
        )


def _is_absent(value):
    """Whether a value is None, NaN or pandas' NA, none of which is a label."""
    try:
        return value is None or bool(value != value)
    except TypeError:  # NA != NA cannot be evaluated
        return True


def _check_texts(y, missing_label):
    """Raise if ``y`` contains strings that mark missing labels.

    These are the empty string, and the "nan" and "-1" that numpy makes of numbers among
    strings. If they were treated as a class, labels would be spent on them.
    """
    if y.dtype.kind not in "OU":
        return
    for text in ("", "nan", str(missing_label)):
        if (y == text).any():
            raise ValueError(
                f"y holds the string {text!r}, which would become a class. If it "
                f"marks a sample without a label, pass missing_label={text!r}; if it "
                "is a class, pass missing_label=None."
            )
