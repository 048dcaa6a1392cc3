"""DeepFool against closed forms and a slow literal version."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skdfal import deepfool, deepfool_margin_score, dfal
from tests.adversarial_nets import affine, images, small_cnn
from tests.conftest import make_net
from tests.reference.deepfool import deepfool_one

P = [1, 1.5, 2, 3, math.inf]


def dual(p):
    return {1: math.inf, math.inf: 1}.get(p) or p / (p - 1)


def affine_margin(module, x, p):
    """min_k |f'_k| / ||w'_k||_q, the distance to the nearest of the planes."""
    f, W = module(x), module.weight
    k_0 = f.argmax(1)
    gap = (f - f.gather(1, k_0[:, None])).abs()
    norm = torch.linalg.vector_norm(W[None] - W[k_0][:, None], dual(p), dim=2)
    ratio = gap / norm
    ratio[torch.arange(len(x)), k_0] = math.inf
    return ratio.min(1).values.detach()


@given(
    seed=st.integers(0, 10_000),
    p=st.sampled_from(P) | st.floats(1.05, 20),
    n_classes=st.integers(2, 7),
    overshoot=st.sampled_from([0.0, 0.02, 0.5]),
)
@settings(max_examples=60, deadline=None)
def test_one_step_is_exact_on_an_affine_classifier(seed, p, n_classes, overshoot):
    module = affine(n_classes=n_classes, seed=seed)
    x = torch.randn(12, 6, generator=torch.Generator().manual_seed(seed)).double()
    result = deepfool(module, x, p=p, overshoot=overshoot)
    # The margin is the distance to the nearest plane, in every norm.
    torch.testing.assert_close(
        result.norm, affine_margin(module, x, p), rtol=1e-6, atol=1e-9
    )
    assert result.converged.all()
    if overshoot:
        # One step reaches the plane, the overshoot crosses it.
        assert (result.n_iter == 1).all()
        twin = x + (1 + overshoot) * result.perturbation
        assert (module(twin).argmax(1) == result.adversarial_label).all()
        assert (result.adversarial_label != result.label).all()
    # Without it the point lies on the plane: the gap of logits is rounding.
    on_plane = module(x + result.perturbation)
    own = on_plane.gather(1, result.label[:, None])
    others = on_plane.scatter(1, result.label[:, None], -math.inf)
    gap = own[:, 0] - others.amax(1)
    torch.testing.assert_close(gap, torch.zeros_like(gap), rtol=0, atol=1e-6)


@pytest.mark.parametrize("p", P)
@pytest.mark.parametrize("overshoot", [0, 0.02])
def test_equals_the_literal_loop(p, overshoot):
    module, x = small_cnn().double().eval(), images(12, dtype=torch.float64)
    result = deepfool(module, x, p=p, overshoot=overshoot, batch_size=5)
    for j in range(len(x)):
        r, n_iter, flipped = deepfool_one(module, x[j], p=p, overshoot=overshoot)
        assert result.converged[j]
        if overshoot:  # without it the literal loop stalls just before the boundary
            assert flipped
            assert int(result.n_iter[j]) == n_iter
        # Ties of |w| in the one-norm may go to another coordinate: compare norms.
        norm = float(torch.linalg.vector_norm(r.flatten(), p))
        assert float(result.norm[j]) == pytest.approx(norm, rel=1e-6)


def test_the_minimum_over_classes_is_taken():
    # The last class is the farthest, so following it would triple the margin.
    module = nn.Linear(2, 3, bias=False).double()
    module.weight.data = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]).double()
    x = torch.tensor([[-1.0, -3.0]]).double()
    result = deepfool(module, x)
    assert float(result.norm) == pytest.approx(1.0)
    assert int(result.adversarial_label) == 1


def test_single_logit_is_the_two_class_case():
    one = affine(n_classes=1)
    two = nn.Linear(6, 2).double()
    two.weight.data = torch.cat([torch.zeros_like(one.weight), one.weight])
    two.bias.data = torch.cat([torch.zeros_like(one.bias), one.bias])
    x = torch.randn(10, 6).double()
    squeezed = nn.Sequential(one, nn.Flatten(0))  # logits of shape (n,)
    closed_form = (one(x)[:, 0].abs() / one.weight.norm()).detach()
    for module in (one, squeezed, two):
        result = deepfool(module, x)
        torch.testing.assert_close(result.norm, closed_form)
        assert (result.label == (one(x)[:, 0] > 0)).all()


def test_adding_a_constant_to_all_logits_changes_nothing():
    class Shifted(nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, x):
            return self.module(x) + 3 + x.flatten(1).sum(1, keepdim=True)

    module, x = small_cnn().double(), images(8, dtype=torch.float64)
    torch.testing.assert_close(deepfool(Shifted(module), x), deepfool(module, x))


def test_batch_and_order_do_not_matter():
    module, x = small_cnn(), images(23)
    whole = deepfool(module, x, batch_size=23)
    order = torch.from_numpy(np.random.default_rng(0).permutation(23))
    for batch_size in (1, 4, 100):
        part = deepfool(module, x[order], batch_size=batch_size)
        torch.testing.assert_close(part.norm, whole.norm[order], rtol=1e-4, atol=1e-6)
        assert (part.adversarial_label == whole.adversarial_label[order]).all()


def test_dead_and_constant_modules_have_an_infinite_margin():
    dead = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 3))
    dead[1].bias.data.fill_(-1e3)
    result = deepfool(dead, images(4), max_iter=5)
    assert result.norm.isinf().all()
    assert not result.converged.any()
    assert (result.perturbation == 0).all()
    assert (result.adversarial_label == result.label).all()
    assert (result.n_iter == 0).all()


def test_nan_weights_do_not_give_a_small_margin():
    module = small_cnn()
    module[-1].weight.data[0] = float("nan")
    assert deepfool(module, images(4)).norm.isinf().all()


def test_too_few_steps_are_not_a_margin():
    module, x = small_cnn(), 10 * images(30)
    few, many = deepfool(module, x, max_iter=1), deepfool(module, x)
    assert many.converged.all()
    assert few.norm[~few.converged].isinf().all()
    assert (few.n_iter == 1).all()
    late = many.n_iter > 1
    assert late.any()
    assert (few.converged == ~late).all()


def test_a_sample_on_the_boundary_comes_first():
    module = affine(n_classes=3)
    x = torch.randn(6, 6).double()
    at = deepfool(module, x)
    x[2] += at.perturbation[2]  # now on the plane, up to rounding
    for overshoot in (0, 0.02):
        result = deepfool(module, x, overshoot=overshoot)
        assert result.converged.all()
        assert int(result.norm.argmin()) == 2
        assert float(result.norm[2]) < 1e-9


def test_exact_tie_of_logits():
    module = nn.Linear(2, 2, bias=False)
    module.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    result = deepfool(module, torch.tensor([[0.7, 0.7]]))
    assert bool(result.converged)
    assert float(result.norm) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("n_top_classes", [2, 3, 4, 99])
def test_only_the_likeliest_classes_are_attacked(n_top_classes):
    module = affine(n_classes=4)
    x = torch.randn(30, 6).double()
    result = deepfool(module, x, n_top_classes=n_top_classes)
    full = deepfool(module, x)
    # Fewer rivals can only be farther away, and all of them are the exact answer.
    assert (result.norm >= full.norm - 1e-12).all()
    if n_top_classes >= 4:
        torch.testing.assert_close(result, full)
    if n_top_classes == 2:
        second = module(x).topk(2).indices[:, 1]
        f, W = module(x), module.weight
        rows = torch.arange(30)
        gap = f[rows, result.label] - f[rows, second]
        distance = gap / (W[result.label] - W[second]).norm(dim=1)
        torch.testing.assert_close(result.norm, distance.detach())


def test_leaves_no_trace():
    module, x = small_cnn().train(), images(6)
    module[1].eval()  # a frozen layer stays frozen
    module[0].weight.grad = torch.ones_like(module[0].weight)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    modes = [m.training for m in module.modules()]
    generator, x_before = torch.get_rng_state(), x.clone()
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    with torch.no_grad():
        result = deepfool(module, x)
    assert result.converged.all()
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])
    assert [m.training for m in module.modules()] == modes
    assert torch.equal(module[0].weight.grad, torch.ones_like(module[0].weight))
    assert module[-1].weight.grad is None
    assert torch.equal(torch.get_rng_state(), generator)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002
    assert torch.equal(x, x_before)
    assert not x.requires_grad
    assert not result.perturbation.requires_grad


def test_works_under_inference_mode():
    module, x = small_cnn(), images(4)
    expected = deepfool(module, x)
    with torch.inference_mode():
        torch.testing.assert_close(deepfool(module, x.clone()).norm, expected.norm)


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"module": lambda x: x}, TypeError, "torch.nn.Module, got function"),
        ({"x": np.zeros((2, 1, 8, 8))}, TypeError, "torch.Tensor, got ndarray"),
        ({"x": torch.zeros(2, 1, 8, 8).int()}, TypeError, "got torch.int32"),
        ({"x": torch.zeros(0, 1, 8, 8)}, ValueError, r"shape \(0, 1, 8, 8\)"),
        ({"x": torch.zeros(8)}, ValueError, r"x\[None\]"),
        ({"x": torch.full((2, 1, 8, 8), math.nan)}, ValueError, "NaN or infinity"),
        ({"x": torch.full((2, 1, 8, 8), math.inf)}, ValueError, "NaN or infinity"),
        ({"p": 0.5}, ValueError, "p=0.5 should be >= 1"),
        ({"p": math.nan}, ValueError, "p=nan should be >= 1"),
        ({"p": "2"}, TypeError, "p='2' should be a number"),
        ({"max_iter": 0}, ValueError, "max_iter=0 should be >= 1"),
        ({"max_iter": 2.5}, TypeError, "max_iter=2.5 should be an integer"),
        ({"overshoot": -0.1}, ValueError, "overshoot=-0.1 should be >= 0"),
        ({"overshoot": math.inf}, ValueError, "overshoot=inf should be finite"),
        ({"n_top_classes": 1}, ValueError, "n_top_classes=1 should be >= 2"),
        ({"batch_size": 0}, ValueError, "batch_size=0 should be >= 1"),
        ({"module": nn.Conv2d(1, 2, 3)}, ValueError, r"shape \(3, 2, 6, 6\)"),
        ({"module": nn.Flatten(0)}, ValueError, r"shape \(192,\) for 3 samples"),
    ],
)
def test_bad_input(kwargs, error, message):
    good = {"module": small_cnn(), "x": images(3)}
    with pytest.raises(error, match=message):
        deepfool(**good | kwargs)


def test_against_foolbox():
    foolbox = pytest.importorskip("foolbox")
    module, x = small_cnn().eval(), images(20)
    attack = foolbox.attacks.L2DeepFoolAttack(steps=50, candidates=4, overshoot=0.02)
    model = foolbox.PyTorchModel(module, bounds=(-100, 100), device="cpu")
    _, adversarial, flipped = attack(model, x, module(x).argmax(1), epsilons=None)
    theirs = ((adversarial - x) / 1.02).flatten(1).norm(dim=1)
    assert flipped.all()
    difference = (deepfool(module, x).norm - theirs).abs() / theirs
    assert float(difference.median()) < 1e-3


@pytest.mark.parametrize("p", [1, 2, math.inf])
def test_queries_take_every_norm(p, data):
    X, y = data
    net = make_net().fit(X[:40], y[:40])
    score = deepfool_margin_score(net, X[40:80], p=p)
    margin = deepfool(net.module_, torch.as_tensor(X[40:80]), p=p).norm
    np.testing.assert_allclose(score, -margin.numpy(), rtol=1e-5)
    np.testing.assert_array_equal(dfal(net, X[40:80], 5, p=p), (-score).argsort()[:5])
