"""Adversarial active learning for deep networks, in scikit-learn's manner."""

from skdfal._active import ActiveLearningClassifier
from skdfal._k_center import cover_radius, k_center_greedy, k_center_mip
from skdfal._modal_compat import repair_modal
from skdfal._pseudo_labels import PseudoLabelAugmenter
from skdfal._version import __version__
from skdfal.adversarial import *  # noqa: F403
from skdfal.adversarial import __all__ as _adversarial
from skdfal.nets import *  # noqa: F403
from skdfal.nets import __all__ as _nets
from skdfal.strategies import *  # noqa: F403
from skdfal.strategies import __all__ as _strategies

repair_modal()

__all__ = [
    "ActiveLearningClassifier",
    "PseudoLabelAugmenter",
    "__version__",
    *_adversarial,
    *_nets,
    *_strategies,
    "cover_radius",
    "k_center_greedy",
    "k_center_mip",
]
