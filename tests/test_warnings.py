"""Warnings point at the line of the user."""

import os

import pytest

import skdfal
from skdfal._utils._warnings import warn_caller


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
