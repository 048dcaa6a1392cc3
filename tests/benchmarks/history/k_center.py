"""K-center on features of the size of LeNet5's: greedy, and the integer program."""

import numpy as np

from skdfal import k_center_greedy, k_center_mip


class KCenter:
    def setup(self):
        rng = np.random.default_rng(0)
        latent = rng.normal(size=(10_000, 16)) + 2 * rng.normal(size=(10_000, 1))
        self.X = np.maximum(latent @ rng.normal(size=(16, 84)), 0)

    def time_greedy(self):
        k_center_greedy(self.X, 100)

    def time_program(self):
        k_center_mip(self.X[:100], 10, time_limit=1.0)

    def peakmem_greedy(self):
        k_center_greedy(self.X, 100)
