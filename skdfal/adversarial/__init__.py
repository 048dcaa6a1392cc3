"""DeepFool, on any module of torch."""

from skdfal.adversarial._deepfool import DeepFoolResult, deepfool

__all__ = ["DeepFoolResult", "deepfool"]
