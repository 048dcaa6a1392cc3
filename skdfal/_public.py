"""All public names of ``skdfal``. Importing this takes as long as importing torch."""

from skdfal._version import __version__
from skdfal.adapter import features
from skdfal.adversarial import DeepFoolResult, deepfool
from skdfal.augment import (
    AdversarialAugmenter,
    AdversarialSampler,
    PseudoLabelAugmenter,
    ceal_pseudo_labels,
)
from skdfal.cover import cover_radius, k_center_greedy, k_center_mip
from skdfal.learner import ActiveLearningClassifier, LabelingSession
from skdfal.nets import *  # noqa: F403
from skdfal.nets import __all__ as _nets
from skdfal.strategies import *  # noqa: F403
from skdfal.strategies import __all__ as _strategies

__all__ = [
    "ActiveLearningClassifier",
    "AdversarialAugmenter",
    "AdversarialSampler",
    "DeepFoolResult",
    "LabelingSession",
    "PseudoLabelAugmenter",
    "__version__",
    *_nets,
    *_strategies,
    "ceal_pseudo_labels",
    "cover_radius",
    "deepfool",
    "features",
    "k_center_greedy",
    "k_center_mip",
]
