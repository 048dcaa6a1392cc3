"""Analyse the results of active learning, and the trained networks.

From records with one row per round: the labels needed for a score, the area under the
learning curve, savings, and whether a difference is real. For trained networks:
transfer, calibration, confidence and classification regions.
"""

from skdfal.analysis._area import area_under_curve
from skdfal.analysis._calibration import calibration_error
from skdfal.analysis._confidence import (
    ConfidenceAgreement,
    confidence,
    confidence_agreement,
)
from skdfal.analysis._contrasts import Contrast, paired_contrasts
from skdfal.analysis._curves import PerTrial
from skdfal.analysis._difference import PairedDifference, paired_difference
from skdfal.analysis._reach import annotations_saved, annotations_to_reach
from skdfal.analysis._regions import (
    RegionAgreement,
    RegionPaths,
    region_agreement,
    same_region,
)
from skdfal.analysis._transfer import transfer_scores

__all__ = [
    "ConfidenceAgreement",
    "Contrast",
    "PairedDifference",
    "PerTrial",
    "RegionAgreement",
    "RegionPaths",
    "annotations_saved",
    "annotations_to_reach",
    "area_under_curve",
    "calibration_error",
    "confidence",
    "confidence_agreement",
    "paired_contrasts",
    "paired_difference",
    "region_agreement",
    "same_region",
    "transfer_scores",
]
