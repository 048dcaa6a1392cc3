"""Warnings point at the line of the user."""

import os
import warnings

import numpy as np
import pytest

import skdfal
from skdfal._utils._warnings import warn_caller
from skdfal.learner import typical_samples
from skdfal.strategies import STRATEGIES


@pytest.mark.parametrize("folder", ["skdfal_experiments", "skdfal-2", "elsewhere"])
def test_a_warning_is_of_the_file_that_called(folder):
    """A folder beside the package is the user's, also where its name begins alike."""
    path = os.path.join(
        os.path.dirname(os.path.dirname(skdfal.__file__)), folder, "me.py"
    )
    user = {}
    exec(compile("def run(warn):\n    warn('so', UserWarning)\n", path, "exec"), user)
    with pytest.warns(UserWarning, match="so") as caught:
        user["run"](warn_caller)
    assert (caught[0].filename, caught[0].lineno) == (path, 2)


@pytest.mark.parametrize("name", ["typi_clust", "prob_cover", "dfal_plus"])
def test_copies_in_the_pool_are_no_matter_for_the_user(name, estimators, pool):
    """Of k-means, which scikit-learn warns of: nothing is to be done about it."""
    copies = np.repeat(pool[:2], 10, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = STRATEGIES[name](
            estimators["net"], copies, 5, X_labeled=copies[:1], random_state=0
        )
        typical_samples(copies, 5, random_state=0)
    assert len(set(found.tolist())) == 5
