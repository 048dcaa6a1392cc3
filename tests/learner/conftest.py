"""What the tests of the learner share."""

import pytest
import torch


@pytest.fixture(autouse=True)
def same_weights_each_time():
    """Modules that a test makes itself start from the same weights in any order."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
