"""ProbCover against plain loops and scikit-activeml's."""

import numpy as np
import pytest

from skdfal import prob_cover_sampling
from skdfal.strategies import _prob_cover
from skdfal.strategies._prob_cover import _Cover, _greedy, _Pairs, _pure_radius
from tests.strategies.test_typi_clust import blobs


def distances(Z):
    return np.linalg.norm(Z[:, None] - Z, axis=2)


def literal_greedy(Z, delta, n_instances, n_pool):
    """Take the ball with the most that no other covers; of several, the first."""
    near = distances(Z) < delta
    covered = near[n_pool:].any(axis=0)
    chosen = []
    while len(chosen) < n_instances and not covered[:n_pool].all():
        gain = (near[:n_pool] & ~covered).sum(axis=1)
        gain[chosen] = -1
        chosen.append(int(gain.argmax()))
        covered |= near[chosen[-1]]
    return chosen


@pytest.fixture(params=[7, 1_000])
def small_blocks(request, monkeypatch):
    monkeypatch.setattr(_prob_cover, "_SIDE", request.param)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("delta", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("n_labeled", [0, 3])
def test_greedy_is_that_of_plain_loops(delta, n_labeled):
    Z = blobs(90)
    n_pool = len(Z) - n_labeled
    expected = literal_greedy(Z, delta, 20, n_pool)
    asked = _greedy(_Pairs(Z), delta**2, 20, n_pool, np.random.RandomState(0))
    assert asked[: len(expected)].tolist() == expected
    assert len(set(asked.tolist())) == 20
    assert asked.max() < n_pool


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("purity", [0.0, 0.5, 0.95, 1.0])
def test_radius_is_the_largest_with_so_many_pure_balls(purity):
    Z = blobs(60)
    cluster = np.arange(60) % 4
    d = distances(Z)
    is_stranger = cluster[:, None] != cluster

    def part_pure(delta):
        return 1 - ((d < delta) & is_stranger).any(axis=1).mean()

    delta = np.sqrt(_pure_radius(_Pairs(Z), cluster, purity, np.random.RandomState(0)))
    assert part_pure(delta * (1 - 1e-6)) >= purity - 1e-9
    assert purity == 0 or part_pure(delta * (1 + 1e-6)) < purity


def test_some_balls_stand_for_many(monkeypatch):
    Z, cluster = blobs(600), np.arange(600) % 2
    pairs, random_state = _Pairs(Z), np.random.RandomState(0)
    whole = _pure_radius(pairs, cluster, 0.5, random_state)
    monkeypatch.setattr(_prob_cover, "_N_PROBED", 200)
    assert _pure_radius(pairs, cluster, 0.5, random_state) == pytest.approx(whole, 0.3)


def test_first_degrees_are_those_of_scikit_activeml():
    pool_module = pytest.importorskip("skactiveml.pool")
    Z = blobs(80)
    y = np.full(len(Z), np.nan)
    y[-3:] = [0, 1, 2]
    strategy = pool_module.ProbCover(deltas=[0.3], random_state=0)
    with pytest.warns(UserWarning, match="purity"):
        _, utilities = strategy.query(Z, y, return_utilities=True)
    cover = _Cover(_Pairs(Z), 0.3**2)
    cover.add(np.flatnonzero(~np.isnan(y)))
    np.testing.assert_array_equal(cover.degree[:-3], utilities[0][:-3])


def test_what_is_left_once_all_is_covered_is_drawn(estimators, pool):
    net = estimators["net"]
    asked = [
        prob_cover_sampling(net, pool, 6, delta=10.0, random_state=seed)
        for seed in range(3)
    ]
    # One ball has all: its center is certain, the rest is chance.
    assert len({a[0] for a in asked}) == 1
    assert len({tuple(a) for a in asked}) == 3


def test_labels_cover(estimators, pool):
    net = estimators["net"]
    (first,) = prob_cover_sampling(net, pool, 1, delta=0.05)
    assert (
        prob_cover_sampling(net, pool, 1, delta=0.05, X_labeled=pool[[first]]) != first
    )
