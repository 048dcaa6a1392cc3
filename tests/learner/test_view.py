"""A training set that is read batch by batch trains the net that an array trains."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.dataset import ValidSplit

from skdfal import LabelingSession, make_classifier
from skdfal.learner import _view
from tests.conftest import make_net


@pytest.fixture
def memmap(data, tmp_path):
    np.save(tmp_path / "X.npy", data[0])
    return np.load(tmp_path / "X.npy", mmap_mode="r")


def weights_after(net, X, y, path=None):
    session = LabelingSession(
        X, range(4), net, n_candidates=40, random_state=0, path=path
    )
    for _ in range(2):
        asked = session.ask(12)
        session.tell(asked, y[asked])
        session.fit()
    state = session.estimator_.module_.state_dict()
    return session, [parameter.numpy() for parameter in state.values()]


def nets():
    size = {"n_classes": 4, "image_size": 16, "max_epochs": 2}
    own = make_classifier("lenet5", **size)
    return {
        "stock skorch": make_net(max_epochs=2),
        "with a split": make_net(max_epochs=2, train_split=ValidSplit(3)),
        "ours": own,
        "patience": make_classifier("lenet5", patience=2, n_restarts=2, **size),
    }


@pytest.mark.parametrize("name", nets())
def test_trains_as_an_array_does(name, data, memmap, monkeypatch, tmp_path):
    y, X = data[1], memmap
    if name in ("ours", "patience"):
        X = np.kron(memmap, np.ones((2, 2), dtype=np.float32))
        np.save(tmp_path / "large.npy", X)
        X = np.load(tmp_path / "large.npy", mmap_mode="r")
    _, expected = weights_after(nets()[name], X, y)
    monkeypatch.setattr(_view, "_TRAINING_BYTES", 0)
    monkeypatch.setattr(_view, "_TWIN_BYTES", 0)
    session, found = weights_after(nets()[name], X, y)
    assert isinstance(session._labels.extras[0].X, np.memmap)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_no_room_for_twins_is_told_and_loses_nothing(data, memmap, monkeypatch):
    net = make_net(max_epochs=1)
    session = LabelingSession(memmap, range(4), net, n_candidates=40, random_state=0)
    for _ in range(2):
        asked = session.ask(12)
        session.tell(asked, data[1][asked])
        if not session.history_:
            session.fit()
    full = partial(open, "/dev/full", "r+b")
    monkeypatch.setattr(_view, "_TWIN_BYTES", 0)
    with monkeypatch.context() as patched:
        patched.setattr(_view.tempfile, "TemporaryFile", full)
        with pytest.raises(OSError, match=r"MiB.* in .*No space.*TMPDIR"):
            session.fit()
    session.fit()
    assert [row["annotations"] for row in session.history_] == [12, 24]


def test_goes_on_from_a_file(data, memmap, monkeypatch, tmp_path):
    monkeypatch.setattr(_view, "_TRAINING_BYTES", 0)
    monkeypatch.setattr(_view, "_TWIN_BYTES", 0)
    path = tmp_path / "session"
    session, _ = weights_after(make_net(max_epochs=2), memmap, data[1], path)
    n_labeled = len(session.X_train_)
    session.close()
    with LabelingSession(
        memmap, range(4), make_net(max_epochs=2), n_candidates=40, random_state=0,
        path=path,
    ) as again:  # fmt: skip
        assert len(again.X_train_) == n_labeled > 24
        assert isinstance(again._labels.extras[0].X, np.memmap)


def test_a_sample_that_is_not_finite_is_named(data, tmp_path, monkeypatch):
    monkeypatch.setattr(_view, "_TRAINING_BYTES", 0)
    X = data[0].copy()
    X[[3, 7]] = np.nan
    np.save(tmp_path / "X.npy", X)
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    session = LabelingSession(X, range(4), make_net(), random_state=0)
    session.tell(range(20), data[1][:20])
    with pytest.raises(ValueError, match=r"labelled samples \[3, 7\]"):
        session.fit()


def test_what_is_no_net_gets_an_array(data, memmap, monkeypatch):
    monkeypatch.setattr(_view, "_TRAINING_BYTES", 0)
    flat = FunctionTransformer(lambda X: X.reshape(len(X), -1))
    pipeline = make_pipeline(flat, LogisticRegression())
    session = LabelingSession(memmap, range(4), pipeline, "entropy", random_state=0)
    session.tell(range(30), data[1][:30])
    assert session.fit().predict(memmap[:5]).shape == (5,)


def test_binary_targets_are_floats(data, memmap, monkeypatch):
    monkeypatch.setattr(_view, "_TRAINING_BYTES", 0)
    view = _view.TrainingView
    seen = []
    monkeypatch.setattr(
        view, "__getitems__", lambda self, i, old=view.__getitems__: (
            seen.append(self.y.dtype), old(self, i))[1],
    )  # fmt: skip
    from skorch import NeuralNetBinaryClassifier

    net = NeuralNetBinaryClassifier(
        torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 1)),
        max_epochs=1, train_split=None, verbose=0,
    )  # fmt: skip
    session = LabelingSession(memmap, [0, 1], net, "entropy", random_state=0)
    session.tell(range(30), data[1][:30] % 2)
    session.fit()
    assert set(seen) == {torch.float32}
