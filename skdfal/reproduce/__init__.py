"""Reproduce tables and figures of papers: protocols and published values."""

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
from skdfal.reproduce._task_aware import TASK_AWARE_DATASETS, load_task_aware

__all__ = [
    "ABLATION_DATASETS",
    "PAPER_DATASETS",
    "PAPER_METHODS",
    "PAPER_NETS",
    "SCALES",
    "TASK_AWARE_DATASETS",
    "load_protocol",
    "load_task_aware",
    "paper_accuracies",
    "paper_table",
]
