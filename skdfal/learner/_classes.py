"""The classes of a session: labels of plain types, and their codes."""

from collections.abc import Mapping

import numpy as np

from skdfal.adapter._training import as_numpy


class Classes:
    """Distinct labels in a fixed order; the code of a label is its position.

    Parameters
    ----------
    classes : sequence of str, int, float or bool
        All possible labels, at least two.

    Attributes
    ----------
    labels : ndarray of shape (n_classes,)
        The labels, with their types.

    Raises
    ------
    TypeError
        If ``classes`` has no order, or a label is of another type.
    ValueError
        If there are fewer than two labels, or one occurs twice.
    """

    def __init__(self, classes):
        self.labels = _as_array(classes)
        self._codes = {label: i for i, label in enumerate(self.labels.tolist())}

    def code_of(self, label):
        """Return the code of a label, or raise a ValueError."""
        is_scalar = hasattr(label, "item") and np.ndim(label) == 0
        label = label.item() if is_scalar else label
        try:
            return self._codes[label]
        except (KeyError, TypeError):
            raise ValueError(
                f"{label!r} is not one of the classes {self.labels.tolist()}. "
                "Nothing of this call was stored."
            ) from None


def _as_array(classes):
    """Return at least two distinct labels as an array that keeps their types."""
    if isinstance(classes, str | set | frozenset | Mapping) or not np.iterable(classes):
        raise TypeError(f"{classes=} should be a sequence of labels, in a fixed order.")
    labels = as_numpy(classes)
    labels = labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
    plain = [v.item() if isinstance(v, np.generic) else v for v in labels]
    for label in plain:
        if not isinstance(label, str | int | float) or label != label:
            raise TypeError(
                f"classes={classes!r} should hold labels of type str, int, float or "
                f"bool, got {label!r}."
            )
    if len(set(plain)) < max(2, len(plain)):
        raise ValueError(f"classes={classes!r} should hold at least 2 distinct labels.")
    array = np.array(plain)
    if array.tolist() != plain:  # labels of several kinds
        array = np.empty(len(plain), dtype=object)
        array[:] = plain
    return array
