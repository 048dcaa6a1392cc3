"""EGL: equal to one backward pass per sample and class, whatever the layers."""

import operator

import numpy as np
import pytest
import torch
from torch import nn

from skdfal import egl_score
from skdfal.adapter import torch_nets
from skdfal.strategies import _egl
from skdfal.strategies._egl import _layers_suffice
from tests.adversarial_nets import small_cnn
from tests.conftest import make_net
from tests.dropout_nets import Attentive, Recurrent, Residual
from tests.reference.baselines import egl
from tests.strategies.test_bald import initialized


class Tied(nn.Module):
    """One linear layer used twice."""

    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(64, 64), nn.Linear(64, 4)

    def forward(self, x):
        return self.outer(self.inner(torch.tanh(self.inner(x.flatten(1)))))


class Borrowed(nn.Module):
    """A weight used by its layer and once more without it."""

    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(64, 64), nn.Linear(64, 4)

    def forward(self, x):
        h = torch.tanh(self.inner(x.flatten(1)))
        return self.outer(nn.functional.linear(h, self.inner.weight))


class RowByRow(nn.Module):
    """A linear layer on positions, samples in the second dimension."""

    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(8, 5), nn.Linear(5, 4)

    def forward(self, x):
        h = torch.tanh(self.inner(x[:, 0].transpose(0, 1)))
        return self.outer(h.mean(0))


class Gru(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru, self.outer = nn.GRU(8, 5, batch_first=True), nn.Linear(5, 4)

    def forward(self, x):
        return self.outer(self.gru(x[:, 0])[0][:, -1])


def conv(**kwargs):
    first = nn.Conv2d(1, 4, 3, **kwargs)
    size = first(torch.zeros(1, 1, 8, 8)).numel()
    return nn.Sequential(first, nn.Tanh(), nn.Flatten(), nn.Linear(size, 4))


def conv_1d(**kwargs):
    return nn.Sequential(
        nn.Flatten(1, 2), nn.Conv1d(8, 6, 3, **kwargs), nn.Flatten(), nn.LazyLinear(4)
    )


BY_LAYERS = {
    "small_cnn": small_cnn,
    "strided": lambda: conv(stride=2, padding=(2, 1)),
    "dilated": lambda: conv(dilation=2, bias=False),
    "same": lambda: conv(padding="same", dilation=(1, 2)),
    "valid": lambda: conv(padding="valid"),
    "circular": lambda: conv(padding=1, padding_mode="circular"),
    "grouped": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.Conv2d(4, 6, 5, groups=2),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(24, 4),
    ),
    "conv_1d": lambda: conv_1d(padding="same"),
    "grouped_conv_1d": lambda: conv_1d(groups=2, stride=2),
    "positions": lambda: nn.Sequential(
        nn.Linear(8, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(24, 4)
    ),
    "residual": Residual,
    "batch_norm_1d": lambda: nn.Sequential(
        nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 4, bias=False)
    ),
}

BY_JACOBIANS = {
    "tied": Tied,
    "borrowed": Borrowed,
    "row_by_row": RowByRow,
    "transformer": Attentive,
    "lstm": lambda: Recurrent(True),
    "gru": Gru,
    "layer_norm": lambda: nn.Sequential(
        nn.Flatten(), nn.LayerNorm(64), nn.Linear(64, 4)
    ),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", [*BY_LAYERS, *BY_JACOBIANS])
def test_equals_one_backward_pass_a_sample_and_class(name, pool):
    torch.manual_seed(0)
    module = (BY_LAYERS | BY_JACOBIANS)[name]()
    module(torch.from_numpy(pool))  # batch-norm has seen something, lazy layers all
    net = initialized(module)
    expected = egl(net.module_, pool)
    for batch_size in (1, 7, 64):
        found = egl_score(net, pool, batch_size=batch_size)
        np.testing.assert_allclose(found, expected, rtol=2e-4)
    (unwrapped,) = torch_nets(net, pool)
    assert _layers_suffice(unwrapped) == (name in BY_LAYERS)


class DeadAtFirst(nn.Module):
    """A weight used twice, the first time by nothing but dead units where x is 0."""

    def __init__(self, by_two_layers):
        super().__init__()
        self.first, self.outer = nn.Linear(64, 64), nn.Linear(64, 4)
        self.first.bias.data.fill_(-0.1)
        self.second = nn.Linear(64, 64) if by_two_layers else self.first
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.outer(torch.tanh(self.second(self.first(x.flatten(1)).relu())))


@pytest.mark.parametrize("by_two_layers", [True, False])
def test_a_weight_used_twice_is_found_whatever_the_first_samples(by_two_layers, pool):
    pool = np.concatenate([np.zeros_like(pool[:2]), pool])
    net = initialized(DeadAtFirst(by_two_layers))
    expected, weights = egl(net.module_, pool), list(net.module_.parameters())
    np.testing.assert_allclose(egl_score(net, pool), expected, rtol=1e-4)
    assert all(map(operator.is_, net.module_.parameters(), weights))


def test_many_classes_need_small_batches(pool, monkeypatch):
    module, seen = conv(), []
    module.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    net = initialized(module)
    expected = egl_score(net, pool, batch_size=16)
    assert max(seen) == 16
    n_outputs = 4 * 6 * 6 + 4  # of the convolution and of the last layer
    monkeypatch.setattr(_egl, "_GRADIENTS_SIZE", 3 * 4 * (n_outputs + 8 * 4))
    seen.clear()
    found = egl_score(net, pool, batch_size=16)
    assert max(seen) == 3
    np.testing.assert_allclose(found, expected, rtol=1e-5)


class Words(nn.Module):
    """Means of the vectors of words, and two numbers beside them."""

    def __init__(self, between=None):
        super().__init__()
        self.vectors, self.outer = nn.Embedding(9, 4), nn.Linear(6, 3)
        self.between = between or nn.Identity()

    def forward(self, words, numbers):
        h = self.between(self.vectors(words))
        h = h[0] if isinstance(h, tuple) else h
        return self.outer(torch.cat([h.mean(1), numbers], dim=1))


class Sentences(torch.utils.data.Dataset):
    def __init__(self):
        rng = np.random.default_rng(0)
        self.words = rng.integers(9, size=(6, 5))
        self.numbers = rng.random((6, 2), dtype=np.float32)

    def __len__(self):
        return len(self.words)

    def __getitem__(self, i):
        return {"words": self.words[i], "numbers": self.numbers[i]}, 0


@pytest.mark.parametrize("between", [None, nn.LSTM(4, 4, batch_first=True)])
def test_several_inputs(between):
    """Batched, and one sample after the other where a layer has no batching rule."""
    net, sentences = initialized(Words(between)), Sentences()

    class OfOne(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net.module_

        def forward(self, rows):
            rows = rows.tolist()
            words = torch.as_tensor(sentences.words[rows])
            return self.net(words, torch.as_tensor(sentences.numbers[rows]))

    expected = egl(OfOne(), np.arange(len(sentences)))
    np.testing.assert_allclose(egl_score(net, sentences), expected, rtol=1e-4)


def test_a_trainable_layer_that_never_runs(pool):
    module = small_cnn()
    module.requires_grad_(False)
    net = initialized(module)
    net.module_.beside = nn.Linear(2, 2)
    net.module_.forward = lambda x: nn.Sequential(*net.module_[:-1])(x)
    np.testing.assert_array_equal(egl_score(net, pool), 0)


@pytest.mark.parametrize("trained", [["0."], ["6.", "9.bias"], ["1.", "9.weight"]])
def test_of_trainable_weights_only(trained, pool):
    net = initialized(small_cnn())
    for name, w in net.module_.named_parameters():
        w.requires_grad = any(name.startswith(prefix) for prefix in trained)
    np.testing.assert_allclose(egl_score(net, pool), egl(net.module_, pool), rtol=1e-4)


@pytest.mark.parametrize("frozen", [[], ["weight"], ["bias"]])
def test_last_layer_by_its_closed_form(frozen, estimators, pool):
    net = initialized(small_cnn())
    linear = net.module_[-1]
    for name in frozen:
        getattr(linear, name).requires_grad = False
    parameters = [w for w in linear.parameters() if w.requires_grad]
    found = egl_score(net, pool, layers="last")
    np.testing.assert_allclose(found, egl(net.module_, pool, parameters), rtol=1e-4)
    if not frozen:
        x = torch.from_numpy(pool)
        p = net.module_(x).softmax(1).detach()
        h = net.module_[:-1](x).detach()
        length = torch.stack([(p - e_c).norm(dim=1) for e_c in torch.eye(4)], dim=1)
        closed = (p * length).sum(1) * (h.square().sum(1) + 1).sqrt()
        np.testing.assert_allclose(found, closed.numpy(), rtol=1e-4)


def test_last_layer_of_very_many_classes_needs_no_matrix_of_them(pool):
    net = initialized(nn.Sequential(nn.Flatten(), nn.Linear(64, 20_000)))  # 3.2 GB each
    x = torch.from_numpy(pool).double()
    p = net.module_.double()(x).softmax(1).detach()
    net.module_.float()
    p_square = p.square().sum(1, keepdim=True)
    length = (p * (p_square - 2 * p + 1).sqrt()).sum(1)
    expected = length * (x.flatten(1).square().sum(1) + 1).sqrt()
    found = egl_score(net, pool, layers="last")
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5)


def test_all_is_last_where_there_is_but_one_layer(pool):
    net = initialized(nn.Sequential(nn.Flatten(), nn.Linear(64, 4, bias=False)))
    np.testing.assert_allclose(
        egl_score(net, pool), egl_score(net, pool, layers="last"), rtol=1e-5
    )


@pytest.mark.parametrize("layers", ["all", "last"])
def test_one_logit(layers, binary_net, pool):
    """With one logit f and y in {0, 1}, ∂BCE/∂θ = (σ(f) - y) ∂f/∂θ."""
    module = binary_net.module_.eval()
    parameters = list((module if layers == "all" else module[-1]).parameters())
    expected = []
    for x in torch.from_numpy(pool):
        f = module(x[None]).sum()
        gradient = torch.autograd.grad(f, parameters)
        length = sum((g**2).sum() for g in gradient).sqrt()
        expected.append(float((2 * f.sigmoid() * (-f).sigmoid() * length).detach()))
    found = egl_score(binary_net, pool, layers=layers)
    np.testing.assert_allclose(found, expected, rtol=1e-3)


@pytest.mark.parametrize("layers", ["all", "last"])
def test_softmax_output(layers, pool):
    """A module that ends in a softmax has the scores of its logits."""
    logits = small_cnn()
    softmax = nn.Sequential(logits, nn.Softmax(dim=1))
    with_nll = initialized(softmax, criterion=nn.NLLLoss)
    np.testing.assert_allclose(
        egl_score(with_nll, pool, layers=layers),
        egl_score(initialized(logits), pool, layers=layers),
        rtol=1e-4,
    )


def test_committee_has_the_mean_of_its_members(estimators, pool):
    committee = estimators["committee"]
    each = [egl_score(m.estimator, pool) for m in committee.learner_list]
    np.testing.assert_allclose(egl_score(committee, pool), np.mean(each, 0), rtol=1e-5)


def test_sure_net_expects_nothing(pool):
    """The score vanishes where one class has all of the probability."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    module[1].bias.data = torch.tensor([0.0, 0.0, 1e4, 0.0])
    np.testing.assert_array_equal(egl_score(initialized(module), pool), 0)


def test_nothing_to_train(pool):
    net = initialized(small_cnn())
    net.module_.requires_grad_(False)
    with pytest.raises(ValueError, match=r"Sequential has no trainable weight"):
        egl_score(net, pool)
    with pytest.raises(ValueError, match=r"last linear layer .* no trainable weight"):
        egl_score(net, pool, layers="last")


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.LayerNorm(4)),
        nn.Sequential(nn.Conv2d(1, 4, 8), nn.Flatten()),
    ],
)
def test_last_layer_that_is_none(module, pool):
    with pytest.raises(ValueError, match='layers="last" needs a module that ends'):
        egl_score(initialized(module), pool, layers="last")


def test_float64_net(pool):
    net = make_net()
    net.initialize()
    net.module_.double()
    np.testing.assert_allclose(
        egl_score(net, pool), egl(net.module_, pool.astype(np.float64)), rtol=1e-9
    )
