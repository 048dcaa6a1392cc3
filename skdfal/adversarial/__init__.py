"""DeepFool for any torch module."""

from skdfal.adversarial._affine import AffineForm, affine_form, affine_margins
from skdfal.adversarial._deepfool import DeepFoolResult, deepfool, deepfool_within

__all__ = [
    "AffineForm",
    "DeepFoolResult",
    "affine_form",
    "affine_margins",
    "deepfool",
    "deepfool_within",
]
