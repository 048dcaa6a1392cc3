"""Warnings that point at the user's line, and warnings of others to suppress."""

import os
import sys
import warnings
from contextlib import contextmanager
from importlib.util import find_spec

import sklearn
from sklearn.exceptions import ConvergenceWarning

_OURS = tuple(  # folders, each with a separator at its end
    os.path.join(os.path.dirname(os.path.abspath(path)), "")
    for path in (
        os.path.dirname(__file__),
        sklearn.__file__,
        # Not imported here.
        *(find_spec(name).origin for name in ("skorch", "torch")),  # type: ignore[union-attr]
    )
)


def warn_caller(message, category):
    """Warn at the nearest line outside of this package, scikit-learn, skorch and torch.

    Parameters
    ----------
    message : str
        Message of the warning.
    category : type
        Class of the warning.
    """
    level, frame = 1, sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_OURS):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level + 1)


@contextmanager
def few_distinct_rows():
    """Suppress the warning of k-means that duplicate rows make fewer clusters."""
    with warnings.catch_warnings():
        message = "Number of distinct clusters"
        warnings.filterwarnings("ignore", message, ConvergenceWarning)
        yield
