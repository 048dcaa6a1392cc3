"""The global generators that layers, batches and dropout draw from."""

from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(seed):
    """Seed the global generators of torch and numpy, and put them back afterwards.

    Layers are initialized, batches shuffled and units dropped by global generators:
    there is no other way to make the training of a net reproducible.
    """
    state = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002
