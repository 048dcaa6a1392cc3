"""Algorithm 1: the session, and the classifier whose oracle is ``y``."""

from skdfal.learner._checkpoint import CheckpointError
from skdfal.learner._classifier import ActiveLearningClassifier

__all__ = ["ActiveLearningClassifier", "CheckpointError"]
