"""Free additional training samples: adversarial twins and pseudo-labels."""

from skdfal.augment._adversarial import AdversarialAugmenter, AdversarialSampler
from skdfal.augment._controls import (
    CopyAugmenter,
    MirrorAugmenter,
    NoiseAugmenter,
    RenewedAugmenter,
)
from skdfal.augment._pseudo_labels import PseudoLabelAugmenter, ceal_pseudo_labels

__all__ = [
    "AdversarialAugmenter",
    "AdversarialSampler",
    "CopyAugmenter",
    "MirrorAugmenter",
    "NoiseAugmenter",
    "PseudoLabelAugmenter",
    "RenewedAugmenter",
    "ceal_pseudo_labels",
]
