"""channels_last and autocast: the answers of the plain module; memory of attention."""

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier
from torch import nn

from skdfal import deepfool, deepfool_margin_score, dfal, entropy_score, features
from skdfal._utils._torch import choose_batch_size
from tests.conftest import make_net


def test_queries_and_features_are_those_of_the_plain_module(pool):
    plain, changed = make_net().initialize(), make_net().initialize()
    changed.module_.load_state_dict(plain.module_.state_dict())
    changed.module_.to(memory_format=torch.channels_last)
    answers = [
        (
            deepfool_margin_score(net, pool),
            entropy_score(net, pool),
            features(net, pool),
            dfal(net, pool, 5),
        )
        for net in (plain, changed)
    ]
    for one, other in zip(*answers, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_samples_in_channels_last_have_the_margins_of_others(pool):
    module = make_net().initialize().module_
    x = torch.from_numpy(pool)
    rows = x.contiguous(memory_format=torch.channels_last)
    plain, other = deepfool(module, x), deepfool(module, rows)
    torch.testing.assert_close(other.norm, plain.norm, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(other.perturbation, plain.perturbation)


class Mixed(nn.Module):
    """Two layers, the first under autocast."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(12, 32), nn.Linear(32, 3)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = torch.relu(self.first(x.flatten(1)))
        return self.last(hidden.float())


def test_autocast_inside_and_around_a_net():
    torch.manual_seed(0)
    net = NeuralNetClassifier(Mixed, criterion=nn.CrossEntropyLoss).initialize()
    X = np.random.default_rng(0).normal(size=(40, 3, 2, 2)).astype(np.float32)
    pruned, exact = dfal(net, X, 6), dfal(net, X, 6, prune=False)
    assert len(set(pruned.tolist()) & set(exact.tolist())) >= 5  # in eight bits
    assert np.isfinite(deepfool_margin_score(net, X)).all()
    plain = NeuralNetClassifier(nn.Linear(4, 3), criterion=nn.CrossEntropyLoss)
    plain.initialize()
    expected = deepfool_margin_score(plain, X[:, 0].reshape(40, 4))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        around = deepfool_margin_score(plain, X[:, 0].reshape(40, 4))
    assert around.dtype == np.float64
    np.testing.assert_allclose(around, expected, rtol=0.2, atol=0.02)


def attention(n_tokens, dim=64):
    layer = nn.TransformerEncoderLayer(dim, 4, 4 * dim, batch_first=True)
    return nn.Sequential(layer, layer, nn.Flatten(), nn.Linear(n_tokens * dim, 3))


@pytest.mark.parametrize("with_graph", [True, False])
def test_batches_of_transformers_stay_within_their_memory(with_graph):
    # Per sample two layers keep inputs, queries, keys, values and hidden units: about
    # 2 x 12 x n_tokens x 64 numbers, and 2 x 4 x n_tokens² where attention is kept.
    sizes = []
    for n_tokens in (64, 256):
        x = torch.rand(1, n_tokens, 64)
        sizes.append(choose_batch_size(attention(n_tokens), x, with_graph=with_graph))
        least = 4 * 2 * 12 * n_tokens * 64
        assert sizes[-1] * least * (2 if with_graph else 0.25) <= 2**28
    assert sizes[0] >= sizes[1] >= 1
