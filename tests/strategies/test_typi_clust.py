"""TypiClust against a literal version and scikit-activeml's."""

import numpy as np
import pytest

from skdfal import features, typi_clust_sampling
from skdfal.strategies._typical import _most_typical, _typicality


def blobs(n_samples=120, n_blobs=6, n_features=5, seed=0):
    """Directions around some of them; (n_samples, n_features), of unit length."""
    rng = np.random.default_rng(seed)
    middle = 4 * rng.normal(size=(n_blobs, n_features))
    Z = middle[rng.integers(0, n_blobs, n_samples)] + rng.normal(size=(n_samples, 1))
    Z = Z + 0.3 * rng.normal(size=Z.shape)
    return Z / np.linalg.norm(Z, axis=1, keepdims=True)


@pytest.mark.parametrize("n_neighbors", [1, 3, 20])
def test_typicality_is_the_formula(n_neighbors):
    Z = blobs(30)
    distance = np.linalg.norm(Z[:, None] - Z, axis=2)
    nearest = np.sort(distance, axis=1)[:, 1 : 1 + min(n_neighbors, 15)]
    expected = 1 / (nearest.mean(axis=1) + 1e-5)
    np.testing.assert_allclose(_typicality(Z, n_neighbors), expected, rtol=1e-6)


def test_clusters_take_turns():
    # Three clusters of 20, 10 and 8, the largest with a label, and one of 2.
    cluster = np.repeat([0, 1, 2, 3], [20, 10, 8, 2])
    Z = np.random.default_rng(0).normal(size=(40, 3))
    is_labeled = np.arange(40) == 4
    asked = _most_typical(Z, cluster, is_labeled, 39, 5)
    assert cluster[asked][:6].tolist() == [1, 2, 0, 1, 2, 0]
    # Small clusters are asked when there is nothing else, labelled samples never.
    assert cluster[asked][-2:].tolist() == [3, 3]
    assert sorted(asked) == [i for i in range(40) if i != 4]


def test_small_clusters_take_turns_where_there_are_no_others():
    cluster = np.repeat([0, 1, 2], [5, 4, 3])
    Z = np.random.default_rng(0).normal(size=(12, 3))
    asked = _most_typical(Z, cluster, np.arange(12) == 0, 6, 5)
    assert cluster[asked].tolist() == [1, 2, 0, 1, 2, 0]


def test_asks_what_scikit_activeml_asks():
    pool_module = pytest.importorskip("skactiveml.pool")
    Z = blobs().astype(np.float32)
    y = np.full(len(Z), np.nan)
    y[-2:] = [0, 1]
    is_labeled = ~np.isnan(y)
    settings = {"random_state": 3, "n_init": 1}
    strategy = pool_module.TypiClust(random_state=0, cluster_algo_dict=settings, k=5)
    cluster = strategy.cluster_algo(6, **settings).fit_predict(Z)
    sizes = np.bincount(cluster)[np.setdiff1d(np.arange(6), cluster[-2:])]
    assert sizes.min() > 10
    assert len(set(sizes)) == len(sizes)
    theirs = strategy.query(Z, y, batch_size=4)
    assert _most_typical(Z, cluster, is_labeled, 4, 5).tolist() == theirs.tolist()


def test_labels_of_the_learner_are_seen(estimators, pool, data):
    learner = estimators["learner"]
    of_learner = typi_clust_sampling(learner, pool, 5, random_state=0)
    given = typi_clust_sampling(
        learner.estimator, pool, 5, X_labeled=learner.X_training, random_state=0
    )
    np.testing.assert_array_equal(of_learner, given)


def test_many_clusters(estimators, pool):
    # Of more than fifty clusters, and of as many as there are samples.
    X = np.concatenate([pool, pool * 0.5])
    asked = typi_clust_sampling(estimators["net"], X, 70, random_state=0)
    assert len(set(asked)) == 70
    few = typi_clust_sampling(estimators["net"], X, 70, max_clusters=2, random_state=0)
    assert len(set(few)) == 70


def test_features_of_another_layer(estimators, pool):
    net = estimators["net"]
    assert features(net, pool, layer="0").shape[1] > features(net, pool).shape[1]
    asked = typi_clust_sampling(net, pool, 5, layer="0", random_state=0)
    assert len(set(asked)) == 5
