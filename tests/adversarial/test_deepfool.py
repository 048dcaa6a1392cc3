"""DeepFool against closed forms and a slow literal version."""

import math
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNetClassifier
from torch import nn

from skdfal import deepfool, deepfool_margin_sampling, deepfool_margin_score, dfal
from skdfal.adversarial import deepfool_within
from skdfal.adversarial._deepfool import nearest_plane, step_onto_plane
from tests.adversarial_nets import affine, images, small_cnn
from tests.conftest import make_net
from tests.reference.deepfool import deepfool_one

P = [1, 1.5, 2, 3, math.inf]
P_AND_EXTREMES = [1, 1.01, 1.02, 1.5, 2, 3, 50, 100, math.inf]


class Wrapped(nn.Module):
    """A module and what another does to its input or output."""

    def __init__(self, module, before=None, after=None):
        super().__init__()
        self.module = module
        self.before, self.after = before or nn.Identity(), after or nn.Identity()

    def forward(self, x):
        return self.after(self.module(self.before(x)))


class InBfloat16(nn.Module):
    """A module under autocast, whatever calls it."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.module(x)


def norms(r, p):
    """||r||_p of each sample, in float64, scaled so that no power overflows."""
    r = r.flatten(1).double()
    largest = r.abs().amax(1)
    return largest * torch.linalg.vector_norm(r / largest[:, None], p, dim=1)


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


@pytest.mark.parametrize("p", P_AND_EXTREMES)
@pytest.mark.parametrize("scale", [1e-6, 1, 1e6])
def test_float32_margins_are_exact_on_an_affine_classifier(p, scale):
    # Powers such as |w|^101, or |r|^100, leave the range of float32.
    module = affine(n_features=300)
    x = torch.randn(12, 300, generator=torch.Generator().manual_seed(0))
    expected = scale * affine_margin(module, x.double(), p)
    module.bias.data *= scale
    result = deepfool(module.float(), scale * x, p=p)
    assert result.converged.all()
    assert (result.n_iter == 1).all()
    torch.testing.assert_close(result.norm, expected.float(), rtol=1e-4, atol=0)


@pytest.mark.parametrize("p", P_AND_EXTREMES)
def test_float32_margins_are_those_of_the_literal_loop_in_float64(p):
    x = images(10, seed=1)
    result = deepfool(small_cnn(), x, p=p)
    exact = small_cnn().double().eval()
    r, n_iter, flipped = zip(
        *(deepfool_one(exact, x_0.double(), p=p) for x_0 in x), strict=True
    )
    assert all(flipped)
    assert result.converged.all()
    assert result.n_iter.tolist() == list(n_iter)
    expected = norms(torch.stack(r), p).float()
    torch.testing.assert_close(result.norm, expected, rtol=1e-3, atol=0)


@pytest.mark.parametrize("p", [1.02, 3, 50])
def test_float32_margins_of_large_images(p):
    size, scale = 3 * 224 * 224, 1e-12  # near the boundary: entries of r cubed vanish
    module = nn.Sequential(nn.Flatten(), affine(n_features=size, n_classes=3))
    module[1].bias.data.zero_()
    x = torch.randn(3, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    expected = scale * affine_margin(module[1], x.double().flatten(1), p)
    result = deepfool(module.float(), scale * x, p=p)
    assert result.converged.all()
    torch.testing.assert_close(result.norm, expected.float(), rtol=1e-3, atol=0)


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


class Masking(nn.Module):
    """Puts a class of constant logit behind the others."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, logits):
        masked = logits.new_full((len(logits), 1), self.value)
        return torch.cat([logits, masked], dim=1)


@pytest.mark.parametrize("value", [-math.inf, torch.finfo(torch.float32).min, -1e9])
def test_a_masked_class_changes_nothing(value):
    """Its logit says nothing about the rounding of the others."""
    module, x = small_cnn(), images(40)
    expected = deepfool(module, x, overshoot=0)
    assert (expected.n_iter > 1).any()
    for found, what in zip(
        deepfool(Wrapped(module, after=Masking(value)), x, overshoot=0),
        expected,
        strict=True,
    ):
        torch.testing.assert_close(found, what, rtol=0, atol=0)


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


def test_a_step_beyond_all_numbers_is_no_change_of_class():
    # ||w|| is small but no zero, the step f / ||w||^2 w infinite and the logits NaN.
    flat = nn.Linear(4, 2)
    flat.weight.data = 1e-20 * torch.tensor([[1.0, -1.0, 1.0, -1.0], [0.0] * 4])
    flat.bias.data = torch.tensor([0.0, 1.0])
    result = deepfool(flat, torch.ones(3, 4))
    assert not result.converged.any()
    assert result.norm.isinf().all()
    assert result.perturbation.isfinite().all()
    assert (result.adversarial_label == result.label).all()


def test_logits_that_become_nan_are_no_change_of_class():
    class NanBeyond(nn.Module):
        def forward(self, x):
            f = torch.cat([x[:, :1] - 2, torch.zeros_like(x[:, :1])], dim=1)
            return f.where(x[:, :1] < 1, math.nan)

    result = deepfool(NanBeyond(), torch.zeros(2, 3))
    assert not result.converged.any()
    assert result.norm.isinf().all()
    assert (result.adversarial_label == 1).all()


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


@pytest.mark.parametrize("overshoot", [0, 0.02])
def test_an_exact_tie_where_all_is_zero(overshoot):
    # No bias and a black picture: neither logits nor w · x give a scale for rounding.
    module = nn.Sequential(
        nn.Linear(3, 4, bias=False), nn.Tanh(), nn.Linear(4, 2, bias=False)
    )
    result = deepfool(module, torch.zeros(1, 3), overshoot=overshoot)
    assert bool(result.converged)
    assert float(result.norm) == pytest.approx(0, abs=1e-6)


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


def test_of_many_classes_the_likeliest_are_attacked():
    x = torch.randn(20, 6, dtype=torch.float64)
    for n_classes, n_attacked in ((20, 20), (21, 10)):
        module = affine(n_classes=n_classes)
        default = deepfool(module, x).norm
        assert torch.equal(default, deepfool(module, x, n_top_classes=n_attacked).norm)
    # Fewer rivals are never nearer, and a number from n_classes on takes all.
    every = deepfool(module, x, n_top_classes=99).norm
    torch.testing.assert_close(every, affine_margin(module, x, 2))
    assert (default >= every - 1e-12).all()


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


@pytest.mark.parametrize(
    "before",
    [
        nn.ReLU(inplace=True),
        nn.Sequential(nn.Identity(), nn.Hardtanh(0.2, 0.8, inplace=True)),
    ],
)
def test_a_module_that_works_in_place_changes_nothing_of_the_caller(before):
    module, array = small_cnn(), images(7, seed=2).numpy() - 0.3
    x, kept = torch.from_numpy(array), array.copy()
    out_of_place = Wrapped(module, lambda x: before(x.clone()))
    expected = deepfool(out_of_place, torch.from_numpy(kept.copy()))
    result = deepfool(Wrapped(module, before), x)
    np.testing.assert_array_equal(array, kept)
    torch.testing.assert_close(result, expected, rtol=0, atol=0)


def test_normalizing_in_place():
    class Normalized(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = small_cnn()

        def forward(self, x):
            return self.module(x.sub_(0.5).div_(2))

    module, x = Normalized(), images(7)
    kept = x.clone()
    result = deepfool(module, x)
    assert torch.equal(x, kept)
    assert result.converged.all()
    # The same in the normalized space, where distances are half as long.
    expected = deepfool(module.module, (x - 0.5) / 2)
    torch.testing.assert_close(result.norm, 2 * expected.norm, rtol=1e-4, atol=1e-6)


def test_autocast_loses_no_near_samples():
    module = small_cnn()
    exact = deepfool(module, images(60))
    assert exact.converged.all()
    for part in (0.5, 0.9, 0.99, 0.999):  # of the way to the boundary
        x = images(60) + part * exact.perturbation
        result = deepfool(InBfloat16(module), x)
        assert result.converged.float().mean() > 0.98
        nearby = result.norm <= deepfool(module, x).norm + 0.1 * exact.norm
        assert nearby.float().mean() > 0.9


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("p", [1, 1.5, 2, 50, math.inf])
def test_half_precision(dtype, p):
    x = images(20).to(dtype)
    result = deepfool(small_cnn().to(dtype), x, p=p)
    assert result.perturbation.dtype == result.norm.dtype == torch.float32
    assert result.converged.all()
    expected = deepfool(small_cnn(), x.float(), p=p).norm
    difference = (result.norm - expected).abs() / expected
    assert difference.median() < 8 * torch.finfo(dtype).eps
    twin = (x + 1.02 * result.perturbation).to(dtype)
    label = small_cnn().to(dtype).eval()(twin).argmax(1)
    assert (label == result.adversarial_label).all()


@pytest.mark.parametrize(
    "after",
    [
        lambda f: (f, f.mean()),
        lambda f: SimpleNamespace(loss=None, logits=f),
        lambda f: (f[:, :1] - f[:, 1:2],),
    ],
)
def test_logits_within_the_output(after):
    module, x = small_cnn(n_classes=2), images(5)
    result = deepfool(Wrapped(module, after=after), x)
    torch.testing.assert_close(result.norm, deepfool(module, x).norm)


def test_output_without_logits():
    with pytest.raises(ValueError, match=r"returned dict; .* as \.logits"):
        deepfool(Wrapped(small_cnn(), after=lambda f: {"f": f}), images(2))


@pytest.mark.parametrize("norm", [nn.Identity, lambda: nn.LayerNorm(5)])
def test_layers_under_no_grad_are_no_way_to_freeze_them(norm):
    class HalfFrozen(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone, self.norm = nn.Linear(3, 5), norm()
            self.head = nn.Linear(5, 2)

        def forward(self, x):
            with torch.no_grad():
                h = self.backbone(x)
            return self.head(self.norm(h))

    net = NeuralNetClassifier(HalfFrozen, criterion=nn.CrossEntropyLoss).initialize()
    with pytest.raises(ValueError, match=r"Freeze weights with requires_grad_\(F"):
        dfal(net, np.ones((4, 3), dtype=np.float32), 2)
    with pytest.raises(ValueError, match="in a way that torch can differentiate"):
        deepfool(net.module_, torch.ones(4, 3))


def test_what_gets_too_far_is_told_from_what_does_not_converge():
    module, x = small_cnn(), images(30)
    attack = {
        "p": 2,
        "max_iter": 50,
        "overshoot": 0.02,
        "n_top_classes": None,
        "batch_size": 8,
    }
    full = deepfool(module, x, **attack)
    bound = float(full.norm.median())
    result, too_far = deepfool_within(module, x, bound, **attack)
    assert (too_far == ~result.converged).all()
    assert result.converged[full.norm <= bound].all()
    torch.testing.assert_close(
        result.norm[result.converged], full.norm[result.converged]
    )
    # Out of steps within the bound, which a sample beyond it is not.
    late = deepfool(module, x, **attack | {"max_iter": 1})
    _, too_far = deepfool_within(module, x, math.inf, **attack | {"max_iter": 1})
    assert not late.converged.all()
    assert not too_far.any()


def test_pruned_search_counts_what_does_not_converge():
    # Affine for x > 0, where one step crosses the boundary; no gradient for x < 0.
    module = nn.Sequential(nn.ReLU(), nn.Linear(3, 2, bias=False))
    module[1].weight.data = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    net = NeuralNetClassifier(module, criterion=nn.CrossEntropyLoss).initialize()
    X = np.random.default_rng(0).uniform(1, 2, (20, 3)).astype(np.float32)
    with warnings.catch_warnings():  # all converge, in the last step
        warnings.simplefilter("error")
        deepfool_margin_sampling(net, X, 3, max_iter=1, prune=True)
    X[[4, 7]] *= -1
    with pytest.warns(ConvergenceWarning, match="2 of 20 samples"):
        found = deepfool_margin_sampling(net, X, 3, max_iter=1, prune=True)
    assert not {4, 7} & set(found)


@pytest.mark.parametrize("p", [50, 100])
def test_large_p_does_not_query_by_the_order_of_the_pool(p, data):
    X, y = data
    net = make_net().fit(X[:40], y[:40])
    score = deepfool_margin_score(net, X[40:80], p=p)
    margin = deepfool(net.module_, torch.as_tensor(X[40:80]), p=math.inf).norm.numpy()
    # ||r||_inf <= ||r||_p <= D^(1/p) ||r||_inf, and the paths differ little.
    np.testing.assert_allclose(-score, margin, rtol=0.3)
    assert len(np.unique(score)) > 30


@pytest.mark.parametrize("how", [torch.Tensor.to_sparse, lambda x: x.to("meta")])
def test_tensors_without_plain_data(how):
    with pytest.raises(TypeError, match="Pass a dense tensor"):
        deepfool(nn.Linear(2, 3), how(torch.rand(4, 2)))


@pytest.mark.parametrize("p", P)
def test_no_step_goes_along_a_coordinate_without_slope(p):
    f, w = torch.tensor([1.0]), torch.tensor([[2.0, 0.0, -1.0]])
    r = step_onto_plane(f, w, p)
    # It raises w . r by f, and has nothing where w has nothing.
    assert (w * r).sum() == pytest.approx(1.0)
    assert r[0, 1] == 0


@pytest.mark.parametrize(("n_classes", "n_rivals"), [(20, 19), (21, 9)])
def test_of_many_classes_the_likeliest_ten_are_attacked(
    n_classes, n_rivals, monkeypatch
):
    widths = []

    def spy(top_logits, *args):
        widths.append(top_logits.shape[1] - 1)
        return nearest_plane(top_logits, *args)

    monkeypatch.setattr("skdfal.adversarial._deepfool.nearest_plane", spy)
    torch.manual_seed(0)
    deepfool(nn.Linear(5, n_classes), torch.randn(3, 5))
    assert set(widths) == {n_rivals}


@pytest.mark.parametrize("p", [2, 3])
def test_a_bound_that_is_far_changes_nothing_and_one_that_is_near_saves_steps(p):
    module, x = small_cnn(), images(12)
    attack = {"max_iter": 50, "overshoot": 0.02, "n_top_classes": None}
    attack |= {"p": p, "batch_size": 12}
    free = deepfool(module, x, **attack)
    far, too_far = deepfool_within(module, x, 1e6, **attack)
    assert not too_far.any()
    for name in ("perturbation", "norm", "n_iter"):
        torch.testing.assert_close(getattr(far, name), getattr(free, name))
    near, too_far = deepfool_within(module, x, 1e-6, **attack)
    assert too_far.all()
    assert (near.n_iter == 1).all()
    assert free.n_iter.sum() > near.n_iter.sum()


def test_a_module_may_work_on_its_input_in_place():
    torch.manual_seed(0)
    layers = [nn.Flatten(), nn.Linear(4, 3)]
    x = torch.rand(5, 1, 2, 2)
    in_place = deepfool(nn.Sequential(nn.ReLU(inplace=True), *layers), x)
    apart = deepfool(nn.Sequential(nn.ReLU(), *layers), x)
    torch.testing.assert_close(in_place.perturbation, apart.perturbation)


def test_torch_s_default_precision_is_no_matter():
    module = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU())
    x = torch.rand(5, 4)
    expected = deepfool(module, x)
    torch.set_default_dtype(torch.float64)
    try:
        found = deepfool(module, x)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(found.perturbation, expected.perturbation)
