"""CORE-SET: which features, which labelled samples, and what it makes of them."""

import warnings

import numpy as np
import pytest
import torch
from modAL.models import ActiveLearner, Committee
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from torch import nn

import skdfal
from skdfal import (
    ActiveLearningClassifier,
    core_set_sampling,
    cover_radius,
    k_center_greedy,
    k_center_mip,
)
from tests.adversarial_nets import small_cnn
from tests.conftest import half, make_net, make_steps
from tests.strategies.test_bald import initialized

SOLVERS = ("mip", "greedy")


def hidden(net, X):
    """Input of the last linear layer, written out for ``small_cnn``."""
    with torch.no_grad():
        return net.module_.eval()[:-1](torch.as_tensor(X)).double().numpy()


@pytest.mark.parametrize("solver", SOLVERS)
def test_covers_the_last_hidden_layer(solver, estimators, pool, data):
    net, L = estimators["net"], data[0][:30]
    search = {"mip": k_center_mip, "greedy": k_center_greedy}[solver]
    expected = search(hidden(net, pool), 6, X_labeled=hidden(net, L))
    found = core_set_sampling(net, pool, 6, X_labeled=L, solver=solver)
    np.testing.assert_array_equal(found, expected.centers)


@pytest.mark.parametrize("solver", SOLVERS)
def test_cosine_is_the_cover_of_directions(solver, estimators, pool, data):
    net, L = estimators["net"], data[0][:30]

    def directions(X):
        features = hidden(net, X)
        return features / np.linalg.norm(features, axis=1, keepdims=True)

    search = {"mip": k_center_mip, "greedy": k_center_greedy}[solver]
    expected = search(directions(pool), 6, X_labeled=directions(L)).centers
    parameters = {"X_labeled": L, "solver": solver}
    found = core_set_sampling(net, pool, 6, metric="cosine", **parameters)
    np.testing.assert_array_equal(found, expected)
    assert set(found) != set(core_set_sampling(net, pool, 6, **parameters))


def test_cosine_leaves_features_of_zeros_where_they_are():
    module = nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(2, 2))
    X = np.float32([[-1, -2], [3, 0], [9, 0], [0, 5]])
    found = core_set_sampling(
        initialized(module), X, 2, X_labeled=X[1:2], metric="cosine", solver="greedy"
    )
    # Of its direction (9, 0) is covered; (0, 5) is farther than no direction at all.
    np.testing.assert_array_equal(found, [3, 0])


def test_the_program_is_at_least_as_good_as_greedy(estimators, pool):
    net, radius = estimators["net"], {}
    for solver in SOLVERS:
        centers = core_set_sampling(net, pool, 5, solver=solver)
        radius[solver] = cover_radius(hidden(net, pool), centers)
    assert radius["greedy"] / 2 <= radius["mip"] <= radius["greedy"]


@pytest.mark.parametrize(("n_samples", "is_exact"), [(2_000, True), (2_001, False)])
def test_auto_is_exact_while_that_is_quick(n_samples, is_exact):
    net = initialized(nn.Sequential(nn.Flatten(), nn.Linear(2, 4)))
    X = np.random.default_rng(0).normal(size=(n_samples, 2)).astype(np.float32)
    by_mip, by_greedy = (core_set_sampling(net, X, 3, solver=s) for s in SOLVERS)
    assert set(by_mip) != set(by_greedy)
    found = core_set_sampling(net, X, 3)
    np.testing.assert_array_equal(found, by_mip if is_exact else by_greedy)
    # Candidates count, not the pool they are drawn from.
    few = {"n_candidates": 100, "random_state": 0}
    np.testing.assert_array_equal(
        core_set_sampling(net, X, 3, **few),
        core_set_sampling(net, X, 3, **few, solver="mip"),
    )


def test_pipeline_sees_its_own_features(estimators, pool, data):
    pipeline, L = estimators["pipeline"], data[0][:30]
    net = pipeline[-1]
    expected = core_set_sampling(net, half(pool), 6, X_labeled=half(L))
    found = core_set_sampling(pipeline, pool, 6, X_labeled=L)
    np.testing.assert_array_equal(found, expected)


def test_learner_brings_what_it_was_taught(estimators, pool):
    learner = estimators["learner"]
    expected = core_set_sampling(
        learner.estimator, pool, 6, X_labeled=learner.X_training
    )
    np.testing.assert_array_equal(core_set_sampling(learner, pool, 6), expected)
    without = core_set_sampling(learner.estimator, pool, 6)
    assert (without != expected).any()
    # What is given by hand comes first, even if it is nothing.
    np.testing.assert_array_equal(
        core_set_sampling(learner, pool, 6, X_labeled=pool[:0]), without
    )


def test_members_features_stand_side_by_side(estimators, pool, data):
    committee = estimators["committee"]
    nets = [learner.estimator for learner in committee.learner_list]
    features = np.hstack([hidden(net, pool) for net in nets])
    labeled = np.hstack([hidden(net, data[0][:60]) for net in nets])
    expected = k_center_mip(features, 4, X_labeled=labeled).centers
    np.testing.assert_array_equal(core_set_sampling(committee, pool, 4), expected)


def test_committee_of_pipelines_that_differ(data, pool):
    X, y = data[0][:40], data[1][:40]
    members = [
        ActiveLearner(make_net(), skdfal.dfal, X, y),
        ActiveLearner(make_pipeline(make_steps(), make_net()), skdfal.dfal, X, y),
    ]
    committee = Committee(members, core_set_sampling)
    indices, _ = committee.query(pool, n_instances=3)
    assert len(set(indices.tolist())) == 3


def test_layer_by_name_and_by_itself(estimators, pool):
    net = estimators["net"]
    with torch.no_grad():
        conv = (
            net.module_.eval()[:1](torch.from_numpy(pool)).flatten(1).double().numpy()
        )
    expected = k_center_greedy(conv, 5).centers
    for layer in ("0", net.module_[0]):
        found = core_set_sampling(net, pool, 5, layer=layer, solver="greedy")
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match=r"layer='hidden' is not in Sequential.* 0, 1"):
        core_set_sampling(net, pool, 5, layer="hidden")
    with pytest.raises(ValueError, match="is not in Sequential"):
        core_set_sampling(net, pool, 5, layer=nn.Linear(2, 2))


def test_recurrent_layer_gives_its_first_output(pool):
    module = nn.Sequential(nn.Flatten(1, 2), nn.GRU(8, 3, batch_first=True))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.gru, self.outer = module, nn.Linear(3, 4)

        def forward(self, x):
            return self.outer(self.gru(x)[0][:, -1])

    found = core_set_sampling(initialized(Net()), pool, 5, layer="gru")
    assert len(set(found.tolist())) == 5


def test_net_without_a_linear_layer(pool):
    net = initialized(nn.Sequential(nn.Conv2d(1, 4, 8), nn.Flatten()))
    with pytest.raises(ValueError, match=r"has no linear layer .* Name a layer"):
        core_set_sampling(net, pool)
    assert core_set_sampling(net, pool, layer="0").shape == (1,)


def test_layer_that_does_not_run(pool):
    module = small_cnn()
    module[0].unused = nn.Identity()
    with pytest.raises(ValueError, match=r"layer='0.unused' gives no row"):
        core_set_sampling(initialized(module), pool, layer="0.unused")


def test_one_warning_where_nothing_is_proven(estimators, pool):
    with pytest.warns(ConvergenceWarning, match="Could not prove") as caught:
        found = core_set_sampling(estimators["net"], pool, 5, time_limit=0)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    greedy = core_set_sampling(estimators["net"], pool, 5, solver="greedy")
    np.testing.assert_array_equal(np.sort(found), np.sort(greedy))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        core_set_sampling(estimators["net"], pool, 5)


def test_outliers_and_the_whole_pool(estimators, pool):
    net = estimators["net"]
    for fraction in (0.0, 0.1, 1.0):
        found = core_set_sampling(net, pool, 4, outlier_fraction=fraction)
        assert len(set(found.tolist())) == 4
    copies = np.repeat(pool[:2], 5, axis=0)
    found = core_set_sampling(net, copies, 10)
    np.testing.assert_array_equal(np.sort(found), np.arange(10))


@pytest.mark.parametrize("layer", [None, "0"])
def test_batches_do_not_matter(layer, estimators, pool):
    found = [
        core_set_sampling(
            estimators["net"], pool, 6, layer=layer, batch_size=n, solver="greedy"
        )
        for n in (1, 7, 512)
    ]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_the_loop_gives_what_is_annotated(data, monkeypatch):
    X, y = data
    seen = []

    def spy(features, n_centers, X_labeled=None, **kwargs):
        seen.append(len(X_labeled))
        return k_center_mip(features, n_centers, X_labeled=X_labeled, **kwargs)

    monkeypatch.setattr("skdfal.strategies._core_set.k_center_mip", spy)
    settings = {"max_annotations": 40, "query_strategy": "core_set", "random_state": 0}
    ActiveLearningClassifier(make_net(max_epochs=1), **settings).fit(X, y)
    assert seen == [10, 20, 30]
    # Twins count as labelled points only if asked.
    seen.clear()
    ActiveLearningClassifier(
        make_net(max_epochs=10),
        **settings,
        augmenter=skdfal.AdversarialAugmenter(),
        query_params={"X_labeled": "train"},
    ).fit(X, y)
    assert seen[0] == 10
    assert seen[1] > 20
