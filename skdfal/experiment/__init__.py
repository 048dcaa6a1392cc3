"""Experiments: protocols, trials that survive a kill, and tables of the results.

A trial is one strategy on one data set with one seed. All strategies of a trial start
from the same samples and the same weights, so that they can be compared in pairs.
"""

from skdfal.experiment._data import DATASETS, derive_seed, load_data
from skdfal.experiment._differences import difference_table
from skdfal.experiment._folder import FolderError, read_records
from skdfal.experiment._protocol import NETS, PAPER_STRATEGIES, Protocol
from skdfal.experiment._run import run_experiment
from skdfal.experiment._table import accuracy_table, summarize
from skdfal.experiment._trial import run_trial
from skdfal.experiment._workers import TrialError

__all__ = [
    "DATASETS",
    "NETS",
    "PAPER_STRATEGIES",
    "FolderError",
    "Protocol",
    "TrialError",
    "accuracy_table",
    "derive_seed",
    "difference_table",
    "load_data",
    "read_records",
    "run_experiment",
    "run_trial",
    "summarize",
]
