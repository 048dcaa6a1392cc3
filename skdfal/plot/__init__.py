"""Displays: they hold data first and draw it later; matplotlib is loaded by `plot`."""

from skdfal.plot._adversarial import AdversarialDisplay
from skdfal.plot._confidence import ConfidenceDisplay
from skdfal.plot._learning_curve import ActiveLearningCurveDisplay, Curve
from skdfal.plot._regions import RegionsDisplay

__all__ = [
    "ActiveLearningCurveDisplay",
    "AdversarialDisplay",
    "ConfidenceDisplay",
    "Curve",
    "RegionsDisplay",
]
