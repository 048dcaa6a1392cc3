"""Margins of affine nets: the closed form against the attack, by every way to it."""

import math

import numpy as np
import pytest
import torch
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn

from skdfal import deepfool, deepfool_margin_score, dfal
from skdfal.adapter import torch_nets
from skdfal.adversarial import affine_form, affine_margins
from skdfal.nets import RestartingClassifier
from tests.adversarial.test_deepfool import affine_margin
from tests.adversarial_nets import affine


@pytest.mark.parametrize("p", [1, 1.5, 2, 7, math.inf])
@pytest.mark.parametrize("n_top_classes", [None, 2, 3, 9])
def test_the_closed_form_is_what_the_attack_finds(p, n_top_classes):
    module = affine(n_classes=6)
    x = torch.randn(50, module.in_features, dtype=torch.float64)
    margin = affine_margins(affine_form(module), x, p, n_top_classes)
    found = deepfool(module, x, p=p, n_top_classes=n_top_classes)
    torch.testing.assert_close(margin, found.norm)
    if n_top_classes in (None, 9):
        torch.testing.assert_close(margin, affine_margin(module, x, p))


def test_classes_that_cannot_be_told_apart_have_no_boundary():
    module = affine(n_classes=3, dtype=torch.float32)
    module.weight.data[:] = module.weight.data[:1]
    module.bias.data[:] = torch.tensor([1.0, 0.0, 0.0])
    x = torch.randn(4, module.in_features)
    assert affine_margins(affine_form(module), x).isinf().all()
    assert deepfool(module, x).norm.isinf().all()


@pytest.mark.parametrize("scale", [1e-30, 1e30])
@pytest.mark.parametrize("p", [1, 1.1, 2, 30, math.inf])
def test_extreme_weights_neither_vanish_nor_overflow(scale, p):
    module = affine(n_classes=3, dtype=torch.float32)
    x = torch.randn(20, module.in_features)
    margin = affine_margins(affine_form(module), x, p)
    with torch.no_grad():
        module.weight *= scale
        module.bias *= scale
    scaled = affine_margins(affine_form(module), x, p)
    torch.testing.assert_close(scaled, margin, rtol=1e-4, atol=1e-6)


class OwnLinear(nn.Linear):
    def forward(self, x):
        return super().forward(x) ** 3


def hooked():
    module = nn.Linear(4, 3)
    module.register_forward_hook(lambda layer, args, out: out**3)
    return module


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3)),
        nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3)),
        nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 3)),
        nn.Sequential(nn.LogSoftmax(1), nn.Linear(4, 3)),
        nn.Sequential(nn.Linear(4, 3), nn.LogSoftmax(0)),
        nn.Sequential(nn.Linear(4, 3), nn.Softmax(1)),
        nn.Sequential(nn.Linear(4, 3), nn.Dropout(), nn.Flatten()),
        nn.Linear(4, 3).half(),
        nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)),
        OwnLinear(4, 3),
        hooked(),
        nn.Sequential(hooked()),
        nn.Identity(),
        nn.Sequential(),
    ],
    ids=lambda module: repr(module).split("(")[0],
)
def test_what_is_not_certainly_affine_is_attacked(module):
    assert affine_form(module) is None


def test_a_linear_layer_on_several_vectors_a_sample():
    # 15 logits, three for each of five vectors of a sample: affine, but not by W.
    module = nn.Sequential(nn.Linear(4, 3), nn.Flatten())
    net = NeuralNetClassifier(module, criterion=nn.CrossEntropyLoss).initialize()
    X = np.random.default_rng(0).normal(size=(9, 5, 4)).astype(np.float32)
    expected = deepfool(net.module_, torch.as_tensor(X)).norm
    np.testing.assert_allclose(-deepfool_margin_score(net, X), expected, rtol=1e-5)


NETS = {
    "linear": (NeuralNetClassifier, lambda: nn.Linear(6, 4), nn.CrossEntropyLoss),
    "dropout": (
        NeuralNetClassifier,
        lambda: nn.Sequential(
            nn.Flatten(), nn.Sequential(nn.Dropout(0.9), nn.Linear(6, 4))
        ),
        nn.CrossEntropyLoss,
    ),
    "softmax": (
        NeuralNetClassifier,
        lambda: nn.Sequential(nn.Linear(6, 4), nn.Softmax(dim=1)),
        nn.NLLLoss,
    ),
    "log-softmax": (
        NeuralNetClassifier,
        lambda: nn.Sequential(nn.Linear(6, 4), nn.LogSoftmax(dim=-1)),
        nn.CrossEntropyLoss,
    ),
    "one logit": (
        NeuralNetBinaryClassifier,
        lambda: nn.Sequential(nn.Linear(6, 1), nn.Flatten(0)),
        nn.BCEWithLogitsLoss,
    ),
    "make_classifier": (
        RestartingClassifier,
        lambda: nn.Linear(6, 4),
        nn.CrossEntropyLoss,
    ),
    "no bias": (
        NeuralNetClassifier,
        lambda: nn.Linear(6, 2, bias=False),
        nn.CrossEntropyLoss,
    ),
}
CLOSE = {"rtol": 1e-4, "atol": 1e-6}  # float32: of margins, and of logits of order 1


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("p", [2, math.inf])
def test_queries_of_affine_nets_are_those_of_the_attack(name, p, monkeypatch):
    kind, module, loss = NETS[name]
    net = kind(module, criterion=loss).initialize()
    X = np.random.default_rng(0).normal(size=(70, 6)).astype(np.float32)
    (inner,) = torch_nets(net, X)
    assert inner.module.affine_form() is not None
    score, asked = deepfool_margin_score(net, X, p=p), dfal(net, X, 9, p=p)
    exact = dfal(net, X, 9, p=p, prune=False)
    monkeypatch.setattr(type(inner.module), "affine_form", lambda self: None)
    attacked = deepfool_margin_score(net, X, p=p)
    np.testing.assert_allclose(score, attacked, **CLOSE)
    assert asked.tolist() == exact.tolist() == dfal(net, X, 9, p=p).tolist()


def test_outputs_beyond_the_known_classes_are_no_boundary():
    net = NeuralNetClassifier(
        nn.Linear(6, 5), criterion=nn.CrossEntropyLoss, classes=range(3)
    ).initialize()
    X = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
    (inner,) = torch_nets(net, X)
    cut = deepfool(inner.module, torch.from_numpy(X)).norm
    np.testing.assert_allclose(-deepfool_margin_score(net, X), cut, **CLOSE)


class OwnInfer(NeuralNetClassifier):
    def infer(self, x, **params):
        return super().infer(x, **params) ** 3


@pytest.mark.parametrize("where", ["", "1"])
def test_a_hook_at_the_end_of_a_net_is_attacked(where):
    module = nn.Sequential(nn.Linear(6, 3), nn.Softmax(dim=1))
    module.get_submodule(where).register_forward_hook(lambda layer, args, out: out**3)
    net = NeuralNetClassifier(module).initialize()
    (inner,) = torch_nets(net, np.zeros((2, 6), dtype=np.float32))
    assert inner.module.affine_form() is None


def test_a_net_with_a_pass_of_its_own_is_attacked():
    net = OwnInfer(nn.Linear(6, 3), criterion=nn.CrossEntropyLoss).initialize()
    (inner,) = torch_nets(net, np.zeros((2, 6), dtype=np.float32))
    assert inner.module.affine_form() is None
