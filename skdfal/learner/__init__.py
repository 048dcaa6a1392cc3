"""The active learning loop: a labelling session, and a classifier answered by ``y``."""

from skdfal.learner._classifier import ActiveLearningClassifier
from skdfal.learner._cold_start import typical_samples
from skdfal.learner._identity import UnidentifiableError
from skdfal.learner._session import LabelingSession
from skdfal.learner._stopping import (
    SmallestMargin,
    StabilizingPredictions,
    wilson_interval,
)
from skdfal.learner._store import CheckpointError

__all__ = [
    "ActiveLearningClassifier",
    "CheckpointError",
    "LabelingSession",
    "SmallestMargin",
    "StabilizingPredictions",
    "UnidentifiableError",
    "typical_samples",
    "wilson_interval",
]
