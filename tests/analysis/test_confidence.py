"""Confidences, deterministic and by dropout, and their rank correlation."""

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from skorch import NeuralNetClassifier
from torch import nn

from skdfal.analysis import confidence, confidence_agreement


def softmax_of(estimator, pool):
    with torch.no_grad():
        return estimator.module_.eval()(torch.as_tensor(pool)).softmax(1).numpy()


@pytest.mark.parametrize("kind", ["net", "pipeline", "learner", "committee"])
def test_in_range_and_leaves_no_trace(estimators, pool, kind):
    state = torch.get_rng_state()
    for n_draws in (None, 4):
        settings = {"n_draws": n_draws, "random_state": 3}
        found = confidence(estimators[kind], pool, **settings)
        assert found.shape == (len(pool),)
        assert ((found >= 1 / 4) & (found <= 1)).all()
        again = confidence(estimators[kind], pool, **settings)
        np.testing.assert_array_equal(found, again)
    assert torch.equal(torch.get_rng_state(), state)


def test_is_the_highest_probability(estimators, pool):
    expected = softmax_of(estimators["net"], pool).max(axis=1)
    np.testing.assert_allclose(confidence(estimators["net"], pool), expected, rtol=1e-5)


def test_committee_is_the_highest_of_the_mean():
    # Dropout of one input: the draws are softmax([0, 2x]) and softmax([0, 0]).
    net = NeuralNetClassifier(
        nn.Sequential(nn.Dropout(0.5), nn.Linear(1, 2, bias=False)),
        criterion=nn.CrossEntropyLoss,
    ).initialize()
    with torch.no_grad():
        net.module_[1].weight.copy_(torch.tensor([[0.0], [1.0]]))
    kept = 1 / (1 + np.exp(-2.0))
    found = confidence(net, np.ones((1, 1), np.float32), n_draws=4000, random_state=0)
    assert found[0] == pytest.approx((kept + 0.5) / 2, abs=0.01)


def test_any_classifier_without_draws():
    X = np.array([[-1.0], [1.0], [2.0]])
    clf = LogisticRegression().fit(X, [0, 1, 1])
    expected = clf.predict_proba(X).max(axis=1)
    np.testing.assert_allclose(confidence(clf, X), expected)


def test_agreement_is_spearman_of_ranks(estimators, pool):
    a, b = estimators["net"], estimators["pipeline"]
    result = confidence_agreement(a, b, pool, n_draws=3, random_state=0)
    # No ties here: the correlation of the ranks.
    ranks = [np.argsort(np.argsort(c)) for c in result[:2]]
    assert result.correlation == pytest.approx(np.corrcoef(*ranks)[0, 1])
    alone = confidence(b, pool, n_draws=3, random_state=0)
    np.testing.assert_array_equal(result.confidence_b, alone)
    same = confidence_agreement(a, a, pool)
    assert same.correlation == pytest.approx(1)


def test_a_constant_has_no_ranks():
    net = NeuralNetClassifier(nn.Linear(2, 2)).initialize()
    for parameter in net.module_.parameters():
        nn.init.zeros_(parameter)
    X = np.ones((3, 2), np.float32)
    assert np.isnan(confidence_agreement(net, net, X).correlation)


def test_bad_input(estimators, pool):
    plain = NeuralNetClassifier(nn.Linear(2, 2))
    X = np.ones((3, 2), np.float32)
    with pytest.raises(NotFittedError):
        confidence(plain, X)
    with pytest.raises(ValueError, match="confidence needs dropout, but Linear has no"):
        confidence(plain.initialize(), X, n_draws=3)
    with pytest.raises(ValueError, match="'n_draws' parameter"):
        confidence(estimators["net"], pool, n_draws=1)
    with pytest.raises(ValueError, match="ranks need at least two"):
        confidence_agreement(estimators["net"], estimators["net"], pool[:1])
