"""Seed the global random generators, from which layers, batches and dropout draw."""

from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(seed):
    """Seed the global generators of torch and numpy, and restore them afterwards.

    Layers are initialised, batches shuffled and units dropped by global generators, so
    there is no other way to make the training of a network reproducible.
    """
    state = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002
