"""Paths within classification regions, where the regions are known."""

import itertools

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier
from torch import nn

from skdfal.analysis import region_agreement, same_region
from tests.adversarial_nets import affine


class Rings(nn.Module):
    """Class 1 where the radius is in one of the rings, class 0 elsewhere."""

    def __init__(self, rings=((1.0, 2.0),), turn=0.0, gap=None):
        super().__init__()
        self.rings, self.turn, self.gap = rings, turn, gap
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        radius = (x.square().sum(1) + 1e-12).sqrt()
        inside = torch.stack(
            [(radius - low) * (high - radius) for low, high in self.rings]
        ).amax(0)
        if self.gap is not None:  # two walls across the ring part it into halves
            inside = torch.minimum(inside, x[:, 0].abs() - self.gap)
        return torch.stack([torch.zeros_like(inside), self.scale * inside], dim=1)


def as_net(module):
    return NeuralNetClassifier(module, criterion=nn.CrossEntropyLoss).initialize()


def on_circle(degrees, radius=1.5):
    angle = np.deg2rad(degrees)
    return (radius * np.column_stack([np.cos(angle), np.sin(angle)])).astype(np.float32)


def check_path(net, path, a, b, label):
    """Whether a path goes from a to b and a fine walk on it stays in the class."""
    np.testing.assert_allclose(path[0], a, rtol=1e-6)
    np.testing.assert_allclose(path[-1], b, rtol=1e-6)
    t = np.linspace(0, 1, 301)[:, None]
    walk = np.concatenate([(1 - t) * u + t * v for u, v in itertools.pairwise(path)])
    return (net.predict(walk.astype(np.float32)) == label).mean()


@pytest.mark.parametrize("n_classes", [2, 4])
def test_regions_of_an_affine_classifier_are_convex(n_classes):
    net = as_net(affine(6, n_classes, dtype=torch.float32))
    rng = np.random.default_rng(0)
    X_a, X_b = rng.normal(size=(2, 60, 6)).astype(np.float32)
    result = same_region(net, X_a, X_b)
    same = net.predict(X_a) == net.predict(X_b)
    assert 0 < same.sum() < len(same)
    # All pairs of one class by the straight segment, and no other pair.
    np.testing.assert_array_equal(result.connected, same)
    assert {len(path) for path in result.paths if path is not None} == {2}
    assert all((p is None) != c for p, c in zip(result.paths, same, strict=True))
    np.testing.assert_array_equal(result.label_a, net.predict(X_a))


def test_a_bent_path_through_a_ring():
    net = as_net(Rings())
    X_a, X_b = on_circle(np.arange(0, 360, 30)), on_circle(np.arange(170, 530, 30))
    # Their straight segment runs through the hole.
    straight = same_region(net, X_a, X_b, max_depth=0)
    assert not straight.connected.any()
    bent = same_region(net, X_a, X_b)
    assert bent.connected.all()
    for path, a, b in zip(bent.paths, X_a, X_b, strict=True):
        assert len(path) > 2
        assert check_path(net, path, a, b, label=1) == 1
    # Neighbours need no bend.
    near = same_region(net, X_a, on_circle(np.arange(20, 380, 30)))
    assert all(len(path) == 2 for path in near.paths)


def test_works_under_inference_mode():
    net, ends = as_net(Rings()), (on_circle([0]), on_circle([170]))
    with torch.inference_mode():
        result = same_region(net, *ends)
    assert result.connected.all()
    np.testing.assert_array_equal(result.paths[0], same_region(net, *ends).paths[0])


def test_no_path_where_there_is_none():
    # Class 1 is two rings with class 0 between them.
    net = as_net(Rings(rings=((1.0, 2.0), (3.0, 4.0))))
    X_a, X_b = on_circle(np.arange(0, 360, 40)), on_circle(np.arange(0, 360, 40), 3.5)
    assert (net.predict(X_a) == net.predict(X_b)).all()
    result = same_region(net, X_a, X_b)
    assert not result.connected.any()
    assert result.paths == [None] * len(X_a)


def test_a_dead_end_is_no_error():
    # No gradient anywhere: the anchor cannot be pulled back.
    class Steps(Rings):
        def forward(self, x):
            return super().forward(x).sign().detach() + 0 * x.sum(1, keepdim=True)

    result = same_region(as_net(Steps()), on_circle([0]), on_circle([180]))
    assert not result.connected.any()


def test_does_not_depend_on_batch_or_company():
    net = as_net(Rings())
    X_a, X_b = on_circle(np.arange(0, 360, 30)), on_circle(np.arange(150, 510, 30))
    whole = same_region(net, X_a, X_b)
    small = same_region(net, X_a, X_b, batch_size=7)
    alone = same_region(net, X_a[3:4], X_b[3:4])
    for i, path in enumerate(whole.paths):
        np.testing.assert_allclose(path, small.paths[i], atol=1e-5)
    np.testing.assert_allclose(alone.paths[0], whole.paths[3], atol=1e-5)


@pytest.mark.parametrize("kind", ["net", "pipeline", "learner", "committee"])
def test_every_kind_of_estimator_and_no_trace(estimators, pool, kind):
    estimator = estimators[kind]
    net = {
        "net": lambda: estimator,
        "pipeline": lambda: estimator.steps[-1][1],
        "learner": lambda: estimator.estimator,
        "committee": lambda: estimator.learner_list[0].estimator,
    }[kind]()
    training = [m.training for m in net.module_.modules()]
    gradients = [p.grad.clone() for p in net.module_.parameters()]
    result = same_region(estimator, pool[:20], pool[20:])
    same = result.label_a == result.label_b
    assert same.any()
    assert not result.connected[~same].any()
    assert all(p.shape[1:] == (1, 8, 8) for p in result.paths if p is not None)
    assert [m.training for m in net.module_.modules()] == training
    for parameter, before in zip(net.module_.parameters(), gradients, strict=True):
        assert torch.equal(parameter.grad, before)


def test_two_networks_agree_where_the_regions_do():
    # A whole ring, and a ring that walls along x = 0 part into two halves.
    whole, halves = as_net(Rings()), as_net(Rings(gap=0.2))
    X = on_circle([10, -20, 30, 150, 190, 90])
    anchors = on_circle([0, 300])  # all in the right half
    result = region_agreement(whole, halves, X, anchors)
    np.testing.assert_array_equal(result.label_a, [1, 1, 1, 1, 1, 1])
    # 90 degrees lies within the wall.
    np.testing.assert_array_equal(result.label_b, [1, 1, 1, 1, 1, 0])
    np.testing.assert_array_equal(result.connected_a, [1, 1, 1, 1, 1, 0])
    np.testing.assert_array_equal(result.connected_b, [1, 1, 1, 0, 0, 0])
    np.testing.assert_array_equal(result.agree, [1, 1, 1, 0, 0, 0])
    # The nearer anchor is the first.
    np.testing.assert_array_equal(result.anchor, [0, 0, 0, -1, -1, -1])
    # With an anchor on the left, those on the left agree too.
    more = np.concatenate([anchors, on_circle([180])])
    result = region_agreement(whole, halves, X, more)
    np.testing.assert_array_equal(result.agree, [1, 1, 1, 1, 1, 0])
    np.testing.assert_array_equal(result.anchor, [0, 0, 0, 2, 2, -1])
    # Exchanged networks agree on the same.
    back = region_agreement(halves, whole, X, more)
    np.testing.assert_array_equal(back.agree, result.agree)
    np.testing.assert_array_equal(back.connected_a, result.connected_b)


def test_anchor_has_to_be_the_same_in_both():
    # Each network reaches one anchor: the wall of one stands across that of the other.
    class Turned(Rings):
        def forward(self, x):
            return super().forward(x.flip(1))

    X = on_circle([45])
    anchors = on_circle([135, -45])
    result = region_agreement(
        as_net(Rings(gap=0.2)), as_net(Turned(gap=0.2)), X, anchors
    )
    assert result.connected_a[0]
    assert result.connected_b[0]
    assert not result.agree[0]


class OfPixels(nn.Module):
    """Class 1 where a pixel is near the middle of 0 to 255; casts them itself."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        near = self.scale * (50 - (x.float() - 127).abs())
        return torch.cat([torch.zeros_like(near), near], dim=1)


def test_between_integers_there_are_paths_too():
    net = as_net(OfPixels())
    a, b = (np.array([[x], [100]], dtype=np.uint8) for x in (10, 250))
    for kind in (np.uint8, np.float32):
        result = same_region(net, a.astype(kind), b.astype(kind), max_depth=2)
        assert result.connected.tolist() == [False, True]
        assert region_agreement(net, net, a.astype(kind), a.astype(kind)).agree.all()


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.bag = nn.EmbeddingBag(9, 2)

    def forward(self, x):
        return self.bag(x)


def test_bad_input():
    words = np.zeros((3, 4), dtype=np.int64)
    with pytest.raises(TypeError, match=r"Words takes tensors of torch\.int64"):
        same_region(as_net(Words()), words, words)
    net, X = as_net(Rings()), on_circle([0, 90, 180])
    with pytest.raises(ValueError, match="expected equal shapes"):
        same_region(net, X, X[:2])
    with pytest.raises(ValueError, match="'n_points' parameter"):
        same_region(net, X, X, n_points=0)
    with pytest.raises(TypeError, match="not a torch net"):
        same_region("net", X, X)
    inside_out = as_net(Rings(rings=((0.0, 1.0),)))
    with pytest.raises(ValueError, match="different classes for all 3 anchors"):
        region_agreement(net, inside_out, X, X)
