"""The guess that orders the attacks: exact where it can be, and never the answer."""

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier
from torch import nn

from skdfal import deepfool, deepfool_margin_sampling
from skdfal.adapter import torch_nets
from skdfal.strategies._margin_proxy import margin_proxy


class Normalized(nn.Module):
    """Two layers with a layer norm of each sample between them."""

    def __init__(self, n_classes=4):
        super().__init__()
        self.first, self.norm = nn.Linear(6, 16), nn.LayerNorm(16)
        self.last = nn.Linear(16, n_classes)

    def forward(self, x):
        return self.last(torch.relu(self.norm(self.first(x))))


class AffineBeside(nn.Module):
    """An affine net that has a layer norm and does not use it."""

    def __init__(self):
        super().__init__()
        self.norm, self.last = nn.LayerNorm(6), nn.Linear(6, 2)

    def forward(self, x):
        return self.last(x)


def initialized(module, seed=0):
    torch.manual_seed(seed)
    return NeuralNetClassifier(module, criterion=nn.CrossEntropyLoss).initialize()


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(80, 6)).astype(np.float32)


def test_to_first_order_the_margin_of_two_planes_is_exact(X):
    net = torch_nets(initialized(AffineBeside), X)[0]
    expected = deepfool(net.module, torch.from_numpy(X)).norm
    np.testing.assert_allclose(margin_proxy(net), expected, rtol=1e-4)


def test_of_an_affine_net_the_last_layer_knows_the_margin(X):
    net = torch_nets(initialized(nn.Linear(6, 4)), X)[0]
    expected = deepfool(net.module, torch.from_numpy(X)).norm
    np.testing.assert_allclose(margin_proxy(net), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n_classes", [2, 4, 30])
def test_nets_with_layer_norm_are_searched_for_the_exact_set(seed, n_classes, X):
    torch.manual_seed(seed)
    net = initialized(Normalized(n_classes), seed)
    pruned = deepfool_margin_sampling(net, X, 6)
    exact = deepfool_margin_sampling(net, X, 6, prune=False)
    assert pruned.tolist() == exact.tolist()


def test_it_leaves_no_trace(X):
    net = initialized(Normalized)
    net.module_.train()
    with torch.inference_mode():
        margin_proxy(torch_nets(net, X)[0])
    assert net.module_.training
    assert all(p.grad is None for p in net.module_.parameters())
