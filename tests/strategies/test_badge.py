"""BADGE against gradients that are written out, and the authors' loop."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skdfal import badge_sampling
from skdfal.strategies._badge import _Gradients, _seeds


def written_out(net, X):
    """Gradient of the loss at the predicted class, by autograd, sample by sample."""
    module = copy.deepcopy(net.module_).eval()
    gradients = []
    for x in torch.as_tensor(X):
        logits = module(x[None])
        loss = F.cross_entropy(logits, logits.argmax(1))
        gradients += torch.autograd.grad(loss, module[-1].weight)
    gradients = [gradient.flatten() for gradient in gradients]
    return torch.stack(gradients).double().numpy()


def k_means_plus_plus(G, n_seeds, random_state):
    """The seeding as the authors write it, with the longest gradient first."""
    chosen = [int(np.linalg.norm(G, axis=1).argmax())]
    while len(chosen) < n_seeds:
        distances = [[np.sum((g - G[c]) ** 2) for c in chosen] for g in G]
        weight = np.min(distances, axis=1)
        chosen.append(int(random_state.choice(len(G), p=weight / weight.sum())))
    return chosen


@pytest.mark.parametrize("seed", range(3))
def test_draws_what_the_authors_loop_draws(seed, estimators, pool):
    net = estimators["net"]
    expected = k_means_plus_plus(
        written_out(net, pool), 12, np.random.RandomState(seed)
    )
    found = badge_sampling(net, pool, 12, random_state=np.random.RandomState(seed))
    assert found.tolist() == expected


def test_distances_of_products_are_those_of_gradients():
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.ones(4), size=30)
    H = rng.normal(size=(30, 6))
    a = proba - np.eye(4)[proba.argmax(1)]
    G = (a[:, :, None] * H[:, None]).reshape(30, -1)
    gradients = _Gradients(proba, H)
    np.testing.assert_allclose(gradients.square, (G**2).sum(1))
    for i in range(30):
        expected = ((G - G[i]) ** 2).sum(1)
        np.testing.assert_allclose(gradients.square_distance(i), expected, atol=1e-12)


def test_copies_come_last_and_no_sample_twice():
    rng = np.random.default_rng(1)
    rows = rng.integers(0, 4, size=40)  # four samples, ten times each
    proba, H = rng.dirichlet(np.ones(3), size=4), rng.normal(size=(4, 5))
    H = H.astype(np.float32)
    gradients = _Gradients(proba[rows], H[rows])
    drawn = _seeds(gradients, 40, np.random.RandomState(0))
    assert set(rows[drawn[:4]]) == {0, 1, 2, 3}
    assert sorted(drawn) == list(range(40))


def test_features_may_come_from_another_layer(estimators, pool):
    net = estimators["net"]
    layer = next(m for m in net.module_ if isinstance(m, nn.Conv2d))
    other = badge_sampling(net, pool, 8, layer=layer, random_state=0)
    assert set(other) != set(badge_sampling(net, pool, 8, random_state=0))


def test_the_first_is_that_of_scikit_activeml(estimators, pool):
    pool_module = pytest.importorskip("skactiveml.pool")
    from skactiveml.base import SkactivemlClassifier

    net = estimators["net"]
    H = net.module_.eval()[:-1](torch.as_tensor(pool)).detach().numpy()

    class Answers(SkactivemlClassifier):
        def fit(self, X, y):
            return self

        def predict_proba(self, X):
            return net.predict_proba(pool), H

    y = np.full(len(pool), np.nan)
    asked = pool_module.Badge(random_state=0).query(
        pool.reshape(len(pool), -1), y, Answers(), fit_clf=False
    )
    assert badge_sampling(net, pool, 1, random_state=0)[0] == asked[0]
