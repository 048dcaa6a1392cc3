"""Names of data sets, networks and strategies for arguments."""

from skdfal.experiment import DATASETS, NETS, PAPER_STRATEGIES
from skdfal.experiment._names import strategy_name
from skdfal.strategies import STRATEGIES, describe

IMAGE_FOLDER = "image_folder"  # the data set of your own pictures


def names():
    """Return the names of each kind, by their placeholder in help texts."""
    return {
        "datasets": [name for name in DATASETS if name != IMAGE_FOLDER],
        "nets": list(NETS),
        "strategies": list(STRATEGIES),
        "paper_strategies": list(PAPER_STRATEGIES),
        "of_candidates": [
            name for name in STRATEGIES if describe(name).n_candidates is not None
        ],
    }


def strategy_names(given):
    """Return the names of strategies; "all" stands for those of the paper."""
    return PAPER_STRATEGIES if given == ("all",) else tuple(map(strategy_name, given))
