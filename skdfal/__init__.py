"""Adversarial active learning for deep networks, in scikit-learn's manner."""

from skdfal._version import __version__

__all__ = ["__version__"]
