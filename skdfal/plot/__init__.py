"""Displays: objects that hold data, and draw it when `plot` is called."""

from skdfal.plot._adversarial import AdversarialDisplay
from skdfal.plot._confidence import ConfidenceDisplay
from skdfal.plot._curve import Curve
from skdfal.plot._learning_curve import ActiveLearningCurveDisplay
from skdfal.plot._regions import RegionsDisplay

__all__ = [
    "ActiveLearningCurveDisplay",
    "AdversarialDisplay",
    "ConfidenceDisplay",
    "Curve",
    "RegionsDisplay",
]
