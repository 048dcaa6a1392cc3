"""DeepFool, on any module of torch."""

from skdfal.adversarial._deepfool import DeepFoolResult, deepfool, deepfool_within

__all__ = ["DeepFoolResult", "deepfool", "deepfool_within"]
