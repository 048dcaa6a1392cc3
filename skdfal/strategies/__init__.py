"""Query strategies, one a file; this reads as the table of contents."""

from skdfal.strategies._bald import bald_sampling, bald_score
from skdfal.strategies._ceal import ceal_sampling
from skdfal.strategies._core_set import core_set_sampling
from skdfal.strategies._deepfool_margin import (
    deepfool_margin_sampling,
    deepfool_margin_score,
    dfal,
)
from skdfal.strategies._dfal_diverse import dfal_diverse_sampling
from skdfal.strategies._egl import egl_sampling, egl_score
from skdfal.strategies._random import random_sampling
from skdfal.strategies._uncertainty import (
    entropy_sampling,
    entropy_score,
    least_confidence_sampling,
    least_confidence_score,
    margin_sampling,
    margin_score,
)

uncertainty_sampling = entropy_sampling  # the paper's "uncertainty"

# Names for ActiveLearningClassifier(query_strategy=...) and the command line.
STRATEGIES = {
    "dfal": dfal,
    "dfal_diverse": dfal_diverse_sampling,
    "deepfool_margin": deepfool_margin_sampling,
    "entropy": entropy_sampling,
    "uncertainty": uncertainty_sampling,
    "least_confidence": least_confidence_sampling,
    "margin": margin_sampling,
    "bald": bald_sampling,
    "ceal": ceal_sampling,
    "core_set": core_set_sampling,
    "egl": egl_sampling,
    "random": random_sampling,
}

__all__ = [
    "STRATEGIES",
    "bald_sampling",
    "bald_score",
    "ceal_sampling",
    "core_set_sampling",
    "deepfool_margin_sampling",
    "deepfool_margin_score",
    "dfal",
    "dfal_diverse_sampling",
    "egl_sampling",
    "egl_score",
    "entropy_sampling",
    "entropy_score",
    "least_confidence_sampling",
    "least_confidence_score",
    "margin_sampling",
    "margin_score",
    "random_sampling",
    "uncertainty_sampling",
]
