"""The bar of a long query: on a terminal alone, and it counts each sample once."""

import io
import sys

import numpy as np
import pytest
import torch

from skdfal import entropy_score
from skdfal._utils import _progress
from skdfal.nets import make_classifier


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("kind", [Terminal, io.StringIO])
def test_bar_counts_the_samples_where_somebody_looks(kind, monkeypatch):
    monkeypatch.setattr(_progress, "_PATIENCE", 0)
    monkeypatch.setattr(_progress.multiprocessing, "parent_process", lambda: None)
    monkeypatch.setattr(sys, "stderr", kind())
    net = make_classifier("lenet5", image_size=16).initialize()
    X = torch.rand(23, 1, 16, 16)
    score = entropy_score(net, X, batch_size=5)
    assert np.isfinite(score).all()
    shown = sys.stderr.getvalue()
    if kind is Terminal:
        assert "Looking at the pool" in shown
        assert "0/23" in shown
    else:
        assert not shown


def test_workers_have_none(monkeypatch):
    monkeypatch.setattr(_progress, "_PATIENCE", 0)
    monkeypatch.setattr(_progress.multiprocessing, "parent_process", lambda: "parent")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with _progress.progress(10, "Busy") as advance:
        advance(10)
    assert not sys.stderr.getvalue()
