"""The bar of a long query: on a terminal alone, and it counts each sample once."""

import io
import pickle
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from skdfal import entropy_score
from skdfal._utils import _progress
from skdfal.nets import _classifier, make_classifier


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


@pytest.mark.parametrize("verbose", [0, 1])
def test_a_long_training_shows_its_epochs_unless_it_tells_of_them(
    verbose, monkeypatch, capsys
):
    monkeypatch.setattr(_progress, "_PATIENCE", 0)
    monkeypatch.setattr(_progress.multiprocessing, "parent_process", lambda: None)
    monkeypatch.setattr(sys, "stderr", Terminal())
    X, y = np.zeros((4, 1, 16, 16), np.float32), np.arange(4)
    net = make_classifier("lenet5", image_size=16, max_epochs=3, verbose=verbose)
    net.fit(X, y)
    net.fit_loop(X, y, epochs=2)
    shown = sys.stderr.getvalue()
    assert len(net.history) == 5
    assert pickle.loads(pickle.dumps(net)).history == net.history
    if verbose:
        assert not shown
        assert "train_loss" in capsys.readouterr().out
    else:
        assert "Training" in shown
        assert "0/3" in shown
        assert "0/2" in shown


def test_the_bar_of_a_training_moves_by_epochs(monkeypatch):
    told = []

    @contextmanager
    def counting(total, what, unit):
        yield lambda n: told.append((total, n))

    monkeypatch.setattr(_classifier, "progress", counting)
    X, y = np.zeros((4, 1, 16, 16), np.float32), np.arange(4)
    make_classifier("lenet5", image_size=16, max_epochs=3).fit(X, y)
    assert told == [(3, 1)] * 3


def test_workers_have_none(monkeypatch):
    monkeypatch.setattr(_progress, "_PATIENCE", 0)
    monkeypatch.setattr(_progress.multiprocessing, "parent_process", lambda: "parent")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with _progress.progress(10, "Busy") as advance:
        advance(10)
    assert not sys.stderr.getvalue()
