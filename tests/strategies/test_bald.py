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
from skdfal.adapter._torch_net import torch_nets
from skdfal.strategies._bald import (
    _draw,
    _drop,
    _mutual_information,
    _prefix_runs_once,
)
from tests.adversarial_nets import small_cnn
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


class Residual(nn.Module):
    """A skip connection passes by the first dropout layer."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(64, 64), nn.Dropout(0.5))
        self.outer = nn.Linear(64, 4)

    def forward(self, x):
        x = x.flatten(1)
        return self.outer(x + self.inner(x))


class Recurrent(nn.Module):
    def __init__(self, batch_first):
        super().__init__()
        self.batch_first = batch_first
        self.lstm = nn.LSTM(8, 6, 2, dropout=0.5, batch_first=batch_first)
        self.outer = nn.Linear(6, 4)

    def forward(self, x):
        x = x[:, 0] if self.batch_first else x[:, 0].transpose(0, 1)
        h, _ = self.lstm(x)
        return self.outer(h[:, -1] if self.batch_first else h[-1])


class Attentive(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, 0.3, batch_first=True)
        self.outer = nn.Linear(8, 4)

    def forward(self, x):
        return self.outer(self.encoder(x[:, 0]).mean(1))


class OnlyAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True)
        self.outer = nn.Linear(8, 4)

    def forward(self, x):
        h, _ = self.attention(x[:, 0], x[:, 0], x[:, 0])
        return self.outer(h.mean(1))


def conv_net(*dropouts):
    return nn.Sequential(nn.Conv2d(1, 6, 3), *dropouts, nn.Flatten(), nn.Linear(216, 4))


DROPPING = {
    "dropout": lambda: conv_net(nn.Dropout(0.5)),
    "dropout_in_place": lambda: conv_net(nn.Dropout(0.5, inplace=True)),
    "dropout_on_the_input": lambda: nn.Sequential(
        nn.Dropout(0.5), nn.Flatten(), nn.Linear(64, 4)
    ),
    "dropout_2d": lambda: conv_net(nn.Dropout2d(0.5)),
    "alpha": lambda: conv_net(nn.AlphaDropout(0.5)),
    "feature_alpha": lambda: conv_net(nn.FeatureAlphaDropout(0.5)),
    "residual": Residual,
    "lstm": lambda: Recurrent(True),
    "lstm_sequence_first": lambda: Recurrent(False),
    "transformer": Attentive,
    "attention": OnlyAttention,
}


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


@pytest.mark.parametrize("name", DROPPING)
def test_many_draws_come_to_the_mean_of_single_ones(name, pool):
    """Rows are not mixed up: on average a sample's draws are its own."""
    torch.manual_seed(0)
    (net,) = torch_nets(initialized(DROPPING[name]()), pool)
    x = net.batch(np.arange(5))
    net.module.eval()
    once = _draw(net.module, x, 800, _prefix_runs_once(net)).mean(axis=0)
    alone = [_draw(net.module, x[[i]], 800, False).mean(axis=(0, 1)) for i in range(5)]
    np.testing.assert_allclose(once, alone, atol=0.04)


def test_the_prefix_runs_once_where_it_may(pool):
    def runs_once(name):
        return _prefix_runs_once(torch_nets(initialized(DROPPING[name]()), pool)[0])

    assert runs_once("dropout")
    assert runs_once("lstm")
    # The skip connection would meet a batch of another size.
    assert not runs_once("residual")
    assert not runs_once("lstm_sequence_first")


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


@pytest.mark.parametrize("p", [0.1, 0.25, 0.5, 0.999999])
def test_units_are_dropped_at_the_rate_of_the_layer(p):
    """Of n units np are set to 0, give or take a few σ; the rest grow by 1/(1 - p)."""
    x = torch.ones(999, 101, dtype=torch.float64)
    out = _drop(nn.Dropout(p), None, x)
    n, dropped = x.numel(), int((out == 0).sum())
    assert abs(dropped - n * p) <= 6 * np.sqrt(n * p * (1 - p)) + n * 2**-15
    np.testing.assert_allclose(out[out != 0], 1 / (1 - p))
