"""Transfer: another network on the training set that the first one chose."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from skorch import NeuralNetClassifier
from torch import nn

from skdfal import ActiveLearningClassifier
from skdfal.analysis import transfer_scores
from tests.conftest import make_net


def other(n_outputs=4, epochs=6):
    return NeuralNetClassifier(
        FlatLinear,
        module__n_outputs=n_outputs,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=0.02,
        max_epochs=epochs,
        train_split=None,
        verbose=0,
    )


class FlatLinear(nn.Module):
    def __init__(self, n_outputs=4):
        super().__init__()
        self.layer = nn.Linear(64, n_outputs)

    def forward(self, x):
        return self.layer(x.flatten(1))


def test_trains_on_the_chosen_set_twins_included(data):
    X, y = data
    chosen = ActiveLearningClassifier(
        make_net(), max_annotations=20, initial="stratified", random_state=0
    ).fit(X[:100], y[:100])
    assert len(chosen.X_train_) > 20
    sizes = []

    class Watched(NeuralNetClassifier):
        def fit(self, X, y):
            sizes.append(len(X))
            return super().fit(X, y)

    net = other()
    watched = Watched(**net.get_params(deep=False) | {"module__n_outputs": 4})
    scores = transfer_scores(chosen, watched, X[100:], y[100:], random_state=0)
    assert sizes == [len(chosen.X_train_)]
    pair = (chosen.X_train_, chosen.y_train_)
    as_pair = transfer_scores(pair, watched, X[100:], y[100:], random_state=0)
    np.testing.assert_array_equal(scores, as_pair)
    # The estimator given is cloned, the selection is left alone.
    assert not hasattr(watched, "module_")


def test_repeats_differ_in_chance_alone_and_are_reproducible(data):
    X, y = data
    args = ((X[:40], y[:40]), other(epochs=1), X[60:], y[60:])
    scores = transfer_scores(*args, n_repeats=3, random_state=0)
    assert scores.shape == (3,)
    assert len(set(scores)) > 1
    fewer = transfer_scores(*args, n_repeats=2, random_state=0)
    np.testing.assert_array_equal(fewer, scores[:2])


def test_learns_something_and_takes_names_as_labels(data):
    X, y = data
    names = np.array(["d", "a", "c", "b"])[y]
    easy = transfer_scores(
        (X[:60], names[:60]), other(epochs=20), X[60:], names[60:], random_state=0
    )
    assert easy[0] > 0.8
    # -1 and 1 are labels here, none is missing.
    signs = np.where(y % 2, 1, -1)
    pair = (X[:60], signs[:60])
    assert transfer_scores(pair, other(2), X[60:], signs[60:], random_state=0)[0] > 0.5


def test_classes_that_were_never_chosen_count_as_wrong(data):
    X, y = data
    few = y < 2
    score = transfer_scores((X[few], y[few]), other(epochs=20), X, y, random_state=0)
    assert 0.4 < score[0] <= 0.5


def test_bad_input(data):
    X, y = data
    with pytest.raises(NotFittedError):
        transfer_scores(ActiveLearningClassifier(), other(), X, y)
    with pytest.raises(ValueError, match="3 parts; expected a pair"):
        transfer_scores((X, y, y), other(), X, y)
    with pytest.raises(ValueError, match="'selection' parameter"):
        transfer_scores(3, other(), X, y)
    with pytest.raises(ValueError, match="only one class"):
        transfer_scores((X[:3], [1, 1, 1]), other(), X, y)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        transfer_scores((X[:3], y[:3]), clone(other()), X, y[:5])
