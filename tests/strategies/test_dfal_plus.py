"""DFAL plus is TypiClust of the values first, and DFAL's query from then on."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from skdfal import (
    MLP,
    ActiveLearningClassifier,
    deepfool_margin_sampling,
    dfal_plus_sampling,
    make_classifier,
)
from skdfal.strategies import _dfal_plus as module
from skdfal.strategies._typical import typical_rows
from tests.conftest import make_net


def heaps(n_each=20, seed=0):
    """Images in four heaps; (4 n_each, 1, 8, 8)."""
    rng = np.random.default_rng(seed)
    middle = 3 * np.random.default_rng(42).normal(size=(4, 64))
    X = middle.repeat(n_each, axis=0) + 0.1 * rng.normal(size=(4 * n_each, 64))
    return X.reshape(-1, 1, 8, 8).astype(np.float32)


def ask(net, X, n_instances=3, **kwargs):
    return dfal_plus_sampling(net, X, n_instances, random_state=0, **kwargs)


def test_small_margins_where_labels_suffice(estimators, pool):
    net = estimators["net"]
    for n_margins in (15, len(pool), 800):
        drawn = n_margins if n_margins < len(pool) else None
        expected = deepfool_margin_sampling(
            net, pool, 3, n_candidates=drawn, random_state=0
        )
        for enough in (
            {"X_labeled": pool, "labels_per_class": 10},  # 40 labels of four classes
            {"X_labeled": pool[:1], "labels_per_class": 0},
            {},  # nobody says how many there are
        ):
            asked = ask(net, pool, n_margins=n_margins, **enough)
            np.testing.assert_array_equal(asked, expected)


def test_heaps_without_a_label_come_first(estimators):
    X = heaps()
    asked = ask(estimators["net"], X, X_labeled=heaps(2, seed=1)[2:4])
    assert sorted(asked // 20) == [0, 2, 3]
    # Whatever the net, as long as it has as many classes.
    other = make_net(seed=5).initialize()
    np.testing.assert_array_equal(asked, ask(other, X, X_labeled=heaps(2, seed=1)[2:4]))
    # One label short of eight per class, and no longer.
    X_labeled = heaps(32, seed=1)[32:64]
    assert 1 not in ask(other, X, X_labeled=X_labeled[1:]) // 20
    margins = deepfool_margin_sampling(other, X, 3)
    np.testing.assert_array_equal(ask(other, X, X_labeled=X_labeled), margins)


def test_few_values_are_clustered_as_they_are(estimators):
    """With no more samples than components, the components lose nothing."""
    X, X_labeled = heaps(9), heaps(2, seed=1)[:3]
    asked = ask(estimators["net"], X, 5, X_labeled=X_labeled)
    values = [part.reshape(len(part), -1) for part in (X, X_labeled)]
    expected = typical_rows(*values, 5, 20, 500, np.random.RandomState(0))
    np.testing.assert_array_equal(asked, expected)


def test_a_large_pool_is_looked_at_in_part(estimators, monkeypatch):
    X, read = heaps(), []
    values = module.sample_values
    monkeypatch.setattr(
        module, "sample_values", lambda X, why: read.append(len(X)) or values(X, why)
    )
    monkeypatch.setattr(module, "_MAX_SAMPLES", 30)
    assert (
        len(set(ask(estimators["net"], X, 10, X_labeled=heaps(2, seed=1)[:5]).tolist()))
        == 10
    )
    assert (
        len(set(ask(estimators["net"], X, 35, X_labeled=heaps(2, seed=1)[:5]).tolist()))
        == 35
    )
    assert read == [30, 5, 35, 5]


def test_the_loop_says_what_is_labelled():
    X = heaps()
    y = np.repeat(np.arange(4), 20)
    start = [0, 1, 20, 21]  # two heaps
    learner = ActiveLearningClassifier(
        make_net(max_epochs=1), "dfal_plus", initial=start, n_instances=2,
        max_annotations=6, random_state=0,
    ).fit(X, y)  # fmt: skip
    assert sorted(y[learner.annotated_indices_[4:]]) == [2, 3]


def test_what_has_no_values_to_cluster(estimators, pool):
    X = pool.copy()
    X[3] = np.nan
    with pytest.raises(ValueError, match=r"cannot be clustered\. Set labels_per_class"):
        ask(estimators["net"], X, X_labeled=pool[:2])


def test_labelled_samples_of_another_shape(estimators, pool):
    with pytest.raises(
        ValueError, match=r"shape \(1, 8, 4\), X has samples of shape \(1, 8, 8\)"
    ):
        ask(estimators["net"], pool, X_labeled=pool[:2, :, :, :4])


def test_sparse_samples_are_asked_for_as_dense_ones():
    X = np.random.default_rng(0).random((30, 4)).astype(np.float32)
    net = make_classifier(MLP, module__n_features=4, n_classes=2).initialize()
    asked, expected = (
        ask(net, kind(X[5:]), X_labeled=kind(X[:5])) for kind in (csr_matrix, np.array)
    )
    np.testing.assert_array_equal(asked, expected)
