"""The DFAL paper's tables and figures, run again: protocols, published values."""

from skdfal.reproduce._ablation import ABLATION_DATASETS
from skdfal.reproduce._paper import (
    PAPER_DATASETS,
    PAPER_METHODS,
    PAPER_NETS,
    SCALES,
    load_protocol,
    paper_accuracies,
    paper_table,
)

__all__ = [
    "ABLATION_DATASETS",
    "PAPER_DATASETS",
    "PAPER_METHODS",
    "PAPER_NETS",
    "SCALES",
    "load_protocol",
    "paper_accuracies",
    "paper_table",
]
