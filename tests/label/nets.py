"""Slow and failing nets, and a strategy: named as ``tests.label.nets:Sleepy``."""

import os
import time

import numpy as np
from torch import nn

from skdfal.nets import LeNet5


class Slow(LeNet5):
    """Works on one core for as long as the environment says, at its first batch."""

    def forward(self, x):
        end = time.monotonic() + float(os.environ.get("SKDFAL_TEST_SECONDS", "0"))
        while self.training and time.monotonic() < end:
            super().forward(x)
        os.environ["SKDFAL_TEST_SECONDS"] = "0"
        return super().forward(x)


class Sleepy(LeNet5):
    """Does not come to an end."""

    def forward(self, x):
        time.sleep(600)
        return super().forward(x)


class Broken(nn.Module):
    """Raises."""

    def __init__(self, n_classes=2):
        super().__init__()
        self.layer = nn.Linear(1, n_classes)

    def forward(self, x):
        raise ArithmeticError("This net is broken.")


def last(estimator, X, n_instances=1):
    """Ask for the last samples, the very last first."""
    return np.arange(len(X))[::-1][:n_instances]
