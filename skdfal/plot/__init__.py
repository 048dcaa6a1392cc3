"""Displays: they hold data first and draw it later; matplotlib is loaded by `plot`."""

from skdfal.plot._adversarial import AdversarialDisplay
from skdfal.plot._learning_curve import ActiveLearningCurveDisplay, Curve

__all__ = ["ActiveLearningCurveDisplay", "AdversarialDisplay", "Curve"]
