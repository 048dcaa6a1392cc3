"""Draws of nets with dropout: torch's definitions, and masks that a row owns."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from skdfal import bald_sampling, bald_score
from skdfal.adapter import torch_nets
from skdfal.adapter._dropout import (
    _Drawer,
    _hash,
    _Masks,
    _seeds,
    map_draws,
)
from skdfal.pool import as_pool
from skdfal.strategies._base import draw_candidates, top_k
from tests.dropout_nets import DROPPING
from tests.strategies.test_bald import committee_of, initialized, linear_net

# Five-sigma tests on a fixed seed: a hash that is sound passes, and goes on passing.
SIGMA = 5


def net_of(name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return initialized(DROPPING[name]())


def drawer(name, pool, n_draws):
    (net,) = torch_nets(net_of(name), pool)
    return _Drawer(net, 0, n_draws)


def drop(layer, x, seed=0, n_draws=1):
    """Drop from a batch that holds all draws, draw after draw."""
    masks = _Masks(seed, np.arange(len(x) // n_draws), n_draws, x.device)
    return masks(layer, (x,), x)


# A sample's draws are its own.


@pytest.mark.parametrize("name", DROPPING)
def test_batches_and_company_do_not_matter(name, pool):
    net = net_of(name)
    score = bald_score(net, pool, random_state=0, batch_size=512)
    # However many rows go through the net at once, ...
    for batch_size in (1, 7, 64):
        again = bald_score(net, pool, random_state=0, batch_size=batch_size)
        np.testing.assert_allclose(again, score, atol=1e-6)
    # ... and whoever comes after a sample, ...
    few = bald_score(net, pool[:3], random_state=0)
    np.testing.assert_allclose(few, score[:3], atol=1e-6)
    # ... or before, as long as it keeps its row.
    (alone,) = map_draws(np.asarray, net, as_pool(pool).view([9]), 10, 512, 0, "test")
    among = np.concatenate(
        list(map_draws(np.asarray, net, pool, 10, 80, 0, "test")), axis=1
    )
    np.testing.assert_allclose(alone[:, 0], among[:, 9], atol=1e-6)


def test_first_draws_stay_when_there_are_more(pool):
    (few,) = map_draws(np.asarray, net_of("dropout"), pool, 2, 512, 0, "test")
    many = map_draws(np.asarray, net_of("dropout"), pool, 20, 512, 0, "test")
    many = np.concatenate(list(many), axis=1)
    np.testing.assert_allclose(many[:2], few, atol=1e-6)


def test_candidates_score_what_they_score_in_the_pool(pool):
    net = net_of("dropout")
    score = bald_score(net, pool, random_state=3)
    S_k, _ = draw_candidates(pool, 4, 15, 3)
    found = bald_sampling(net, pool, 4, n_candidates=15, random_state=3)
    np.testing.assert_array_equal(found, S_k[top_k(score[S_k], 4)])


def test_seeds_are_not_those_of_candidates():
    for seed in range(5):
        assert _seeds(seed, 1) == _seeds(seed, 1)
        # No number that candidates may be drawn from seeds a draw.
        stream = np.random.RandomState(seed)
        numbers = stream.randint(2**31 - 1, size=1000)
        assert _seeds(seed, 1)[0] % 2**31 not in numbers
        # A generator moves on.
        stream = np.random.RandomState(seed)
        assert _seeds(stream, 1) != _seeds(stream, 1)
    assert _seeds(None, 1) != _seeds(None, 1)
    # Members of a committee are drawn from apart.
    assert len({*_seeds(0, 3), *_seeds(1, 3)}) == 6


def test_members_of_a_committee_drop_apart(data, pool):
    module = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), linear_net(0)[1])
    committee = committee_of([module, linear_net(1)], data)
    twin = committee.learner_list[1]
    twin.estimator = committee.learner_list[0].estimator
    (proba,) = map_draws(np.asarray, committee, pool[:5], 10, 512, 0, "test")
    # The first ten draws are one member's, the others the same net's by other masks.
    assert proba.shape == (20, 5, 4)
    assert (proba[:10] != proba[10:]).all()


# Who goes which way.


@pytest.mark.parametrize(
    ("name", "takes_masks", "runs_once"),
    [
        ("dropout", True, True),
        ("feature_alpha", True, True),
        ("twice", True, True),
        # The skip connection would meet a batch of another size.
        ("residual", True, False),
        # Dropout that no mask can be given to.
        ("lstm", False, True),
        ("lstm_sequence_first", False, False),
        ("attention", False, True),
        ("own", False, True),
        # Whose input has tokens where samples should be.
        ("tokens_first", False, False),
        ("tokens_flat", False, True),
    ],
)
def test_ways_through_a_net(name, takes_masks, runs_once, pool):
    way = drawer(name, pool, 4)
    assert way.takes_masks == takes_masks
    assert way.runs_once == runs_once
    # A pool of one is told apart as well.
    assert drawer(name, pool[:1], 4).takes_masks == takes_masks


@pytest.mark.parametrize("name", DROPPING)
def test_many_draws_come_to_what_torch_draws(name, pool):
    """Rows are not mixed up, and on average a sample is what training mode makes it."""
    (net,) = torch_nets(net_of(name), pool)
    x = net.batch(np.arange(5))
    ours = _Drawer(net, 0, 800)(x, np.arange(5))
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        net.module.train()
        logits = torch.stack([net.module(x) for _ in range(800)])
    theirs = logits.double().softmax(-1).numpy()
    np.testing.assert_allclose(ours.mean(axis=0), theirs.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(ours.std(axis=0), theirs.std(axis=0), atol=0.05)


# The masks.


@pytest.mark.parametrize("p", [0.1, 0.25, 0.5, 0.999999])
def test_units_are_dropped_at_the_rate_of_the_layer(p):
    x = torch.ones(999, 101, dtype=torch.float64)
    out = drop(nn.Dropout(p), x)
    n, dropped = x.numel(), int((out == 0).sum())
    assert abs(dropped - n * p) <= SIGMA * np.sqrt(n * p * (1 - p)) + n * 2**-15
    # The rest grow by 1/(1 - p).
    np.testing.assert_allclose(out[out != 0], 1 / (1 - p))


@pytest.mark.parametrize("p", [0.3, 1.0])
@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (nn.Dropout, (200, 6, 4)),
        (nn.AlphaDropout, (200, 6, 4)),
        (nn.Dropout1d, (200, 6, 4)),
        (nn.Dropout1d, (200, 6)),
        (nn.Dropout2d, (200, 6, 3, 2)),
        (nn.Dropout3d, (200, 6, 2, 3, 2)),
        (nn.Dropout3d, (200, 6, 2, 3)),
        (nn.FeatureAlphaDropout, (200, 6, 4)),
        (nn.FeatureAlphaDropout, (200, 6)),
    ],
)
def test_layers_do_what_torch_defines(kind, shape, p):
    layer, x = kind(p), torch.full(shape, 0.7, dtype=torch.float64)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = layer(x)
    ours = drop(layer, x)
    # A unit comes to one of two values, ...
    np.testing.assert_allclose(np.unique(ours), np.unique(theirs), rtol=1e-12)
    # ... as often, ...
    share = [(out == out.min()).double().mean() for out in (ours, theirs)]
    assert abs(share[0] - share[1]) < 0.1
    # ... and what torch drops as a whole falls as a whole.
    for dim in range(1, x.ndim):
        whole = [(out == out.narrow(dim, 0, 1)).all() for out in (ours, theirs)]
        assert whole[0] == whole[1]


def test_mean_and_variance():
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(400, 1000, generator=rng, dtype=torch.float64)
    for p in (0.1, 0.5):
        # Dropout keeps the mean of each unit; its variance is x² p / (1 - p).
        noise = drop(nn.Dropout(p), x) / x - 1
        sigma = np.sqrt(p / (1 - p) / x.numel())
        assert abs(noise.mean()) < SIGMA * sigma
        assert noise.var() == pytest.approx(p / (1 - p), rel=0.02)
        # Alpha dropout keeps mean 0 and variance 1.
        out = drop(nn.AlphaDropout(p), x)
        assert abs(out.mean()) < SIGMA / np.sqrt(x.numel())
        assert out.var() == pytest.approx(1, rel=0.02)


def test_masks_are_independent():
    """Between rows, draws, calls, units and seeds no mask foretells another."""
    n, n_draws, n_units = 60, 5, 1000
    x, signs = torch.ones(n_draws * n, n_units), []
    for seed in (0, 1):
        masks = _Masks(seed, np.arange(n), n_draws, x.device)
        for _ in range(2):
            out = masks(nn.Dropout(0.5), (x,), x).view(n_draws, n, n_units)
            signs.append(out - 1)  # ±1
    signs = torch.stack(signs).double()  # (seed and call, draw, row, unit)
    # Over units, any two masks agree by chance only: 4 x 5 x 60 masks in all.
    flat = signs.view(-1, n_units)
    correlation = flat @ flat.T / n_units
    correlation.fill_diagonal_(0)
    assert correlation.abs().max() < (SIGMA + 1) / np.sqrt(n_units)  # of 719,400 pairs
    # Over masks, so do any two units.
    correlation = flat.T @ flat / len(flat)
    correlation.fill_diagonal_(0)
    assert correlation.abs().max() < (SIGMA + 1) / np.sqrt(len(flat))
    # Along each axis, sums vary as those of fair coins do.
    for dim in range(4):
        total = signs.sum(dim)
        assert total.square().mean() == pytest.approx(signs.shape[dim], rel=0.05)


def test_in_place_is_in_place():
    x = torch.ones(4, 10)
    out = drop(nn.Dropout(0.5, inplace=True), x)
    assert out is x
    assert (x == 0).any()


def split_mix_64(seed):
    """SplitMix64 as published, in unsigned integers."""
    state = seed
    while True:
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        z = state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        yield z ^ (z >> 31)


@given(st.integers(-(2**63), 2**63 - 1))
def test_hash_is_split_mix_64(key):
    found = _hash(torch.tensor(key), torch.arange(5)).tolist()
    expected = itertools.islice(split_mix_64(key % 2**64), 5)
    assert [z % 2**64 for z in found] == list(expected)
    # Published numbers of the sequence from 1234567.
    first = _hash(torch.tensor(1234567), torch.tensor(0)).item()
    assert first % 2**64 == 6457827717110365317
