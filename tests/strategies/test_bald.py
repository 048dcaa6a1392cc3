"""BALD: bounds, zeros, the definition, and nets that drop in every way."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from modAL.models import ActiveLearner, Committee
from skorch import NeuralNetClassifier
from torch import nn

import skdfal
from skdfal import bald_sampling, bald_score
from skdfal.strategies._bald import _mutual_information
from tests.adversarial_nets import small_cnn
from tests.dropout_nets import DROPPING
from tests.reference.baselines import mutual_information_one


def initialized(module, **kwargs):
    """Return a skorch net around a module that is there already, weights and all."""
    settings = {
        "criterion": nn.CrossEntropyLoss,
        "max_epochs": 1,
        "train_split": None,
        "verbose": 0,
    }
    return NeuralNetClassifier(module, **settings | kwargs).initialize()


@st.composite
def draws(draw):
    shape = draw(st.tuples(*[st.integers(1, 5)] * 2, st.integers(2, 5)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    logits = draw(st.sampled_from([0, 1, 10, 1000])) * rng.normal(size=shape)
    p = np.exp(logits - logits.max(axis=2, keepdims=True))
    return p / p.sum(axis=2, keepdims=True)


@given(draws())
@settings(max_examples=100, deadline=None)
def test_mutual_information(proba):
    found = _mutual_information(proba)
    # It is what its definition says, sample by sample.
    expected = [mutual_information_one(proba[:, i].tolist()) for i in range(len(found))]
    np.testing.assert_allclose(found, expected, atol=1e-11)
    # It is never negative and at most log C.
    assert (found >= 0).all()
    assert (found <= np.log(proba.shape[2])).all()
    # Whatever the draws are, without disagreement there is exactly nothing to learn.
    agreeing = np.repeat(proba[:1], 7, axis=0)
    assert (_mutual_information(agreeing) == 0).all()


def test_certain_draws_that_disagree_evenly_reach_the_bound():
    proba = np.eye(4)[:, None, :]  # each draw is sure of another class
    np.testing.assert_array_equal(_mutual_information(proba), [np.log(4)])


@pytest.mark.parametrize("name", DROPPING)
def test_layers_of_every_kind_drop(name, pool):
    torch.manual_seed(0)
    net = initialized(DROPPING[name]())
    score = bald_score(net, pool, random_state=0)
    # Draws differ, so there is something to learn from each sample, ...
    assert (score > 0).all()
    # ... each sample has draws of its own, ...
    twice = bald_score(net, np.repeat(pool[:1], 20, axis=0), random_state=0)
    assert len(set(twice)) > 1
    # ... and each seed too.
    assert (bald_score(net, pool, random_state=1) != score).any()
    np.testing.assert_array_equal(bald_score(net, pool, random_state=0), score)


def test_batch_norm_stays_frozen(pool):
    norm = nn.BatchNorm2d(1)
    net = initialized(
        nn.Sequential(norm, nn.Flatten(), nn.Dropout(0.0), nn.Linear(64, 4))
    )
    net.module_.train()
    before = norm.running_mean.clone()
    with pytest.raises(ValueError, match="needs dropout"):
        bald_score(net, pool)  # dropping nothing is no dropout
    net.module_[2].p = 0.5
    alone = bald_score(net, pool[:1], random_state=0)
    # The statistics of the batch play no part: company changes nothing.
    assert torch.equal(norm.running_mean, before)
    assert np.isfinite(alone).all()


def test_without_dropout(pool):
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    message = (
        "bald_score needs dropout, but Sequential has no dropout layer, so all draws "
        "would agree. Add one, or pass a Committee."
    )
    with pytest.raises(ValueError, match=message):
        bald_sampling(initialized(module), pool)


def linear_net(seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 4))


def committee_of(modules, data):
    X, y = data[0][:20], data[1][:20]
    return Committee(
        [ActiveLearner(initialized(m), skdfal.dfal, X, y) for m in modules],
        bald_sampling,
    )


def test_the_members_of_a_committee_are_draws(data, pool):
    committee = committee_of([linear_net(s) for s in range(3)], data)
    proba = [m.estimator.predict_proba(pool) for m in committee.learner_list]
    expected = [
        mutual_information_one([p[i].tolist() for p in proba]) for i in range(40)
    ]
    np.testing.assert_allclose(bald_score(committee, pool), expected, atol=1e-6)
    indices, _ = committee.query(pool, n_instances=3)
    np.testing.assert_array_equal(indices, np.argsort(expected)[:-4:-1])


def test_members_with_and_without_dropout(data, pool):
    committee = committee_of([linear_net(0), small_cnn()], data)
    score = bald_score(committee, pool, random_state=0)
    assert ((score >= 0) & (score <= np.log(4))).all()


def test_equal_members_agree(data, pool):
    committee = committee_of([linear_net(0), linear_net(0)], data)
    weights = committee.learner_list[0].estimator.module_.state_dict()
    committee.learner_list[1].estimator.module_.load_state_dict(weights)
    np.testing.assert_array_equal(bald_score(committee, pool), 0)


def test_no_seed_leaves_no_trace_and_draws_afresh(estimators, pool):
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    first = bald_score(estimators["net"], pool)
    assert (bald_score(estimators["net"], pool) != first).any()
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])
