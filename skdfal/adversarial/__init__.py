"""DeepFool, and the twins that it gives for free."""

from skdfal.adversarial._augmenter import AdversarialAugmenter
from skdfal.adversarial._deepfool import DeepFoolResult, deepfool

__all__ = ["AdversarialAugmenter", "DeepFoolResult", "deepfool"]
