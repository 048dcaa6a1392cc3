"""Features as an array: those of the net, block by block."""

import numpy as np
import pytest
import torch
from torch import nn

from skdfal import egl_score, features, make_classifier
from skdfal.adapter import _batches
from tests.conftest import make_net


def test_features_go_into_the_last_layer(estimators, pool, monkeypatch):
    net = estimators["net"]
    with torch.no_grad():
        expected = net.module_.eval()[:-1](torch.as_tensor(pool)).numpy()
    monkeypatch.setattr(_batches, "_BATCHES_A_BLOCK", 1)
    for batch_size in (None, 7):
        found = features(net, pool, batch_size=batch_size)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_what_follows_a_layer_may_work_in_place():
    module = nn.Sequential(nn.Linear(5, 8), nn.ReLU(inplace=True), nn.Linear(8, 2))
    net = make_classifier(module).initialize()
    X = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    with torch.no_grad():
        expected = net.module_[0](torch.as_tensor(X)).numpy()
    np.testing.assert_allclose(features(net, X, layer="0"), expected, rtol=1e-5)


class Various(nn.Module):
    """Gives the last layer its input by name, and has layers that give out no rows."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(5, 8), nn.Linear(8, 2)
        self.flat = nn.Flatten(0)
        self.named = Named()

    def forward(self, x):
        h = self.first(x)
        self.flat(h[:, :1]), self.named(h)
        return self.last(input=h)


class Named(nn.Module):
    def forward(self, x):
        return {"x": x}


def test_whatever_a_layer_is_given_and_gives_out():
    net = make_classifier(Various).initialize()
    X = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    Z = features(net, X, layer="first")
    np.testing.assert_array_equal(features(net, X), Z)
    np.testing.assert_array_equal(features(net, X, layer="flat"), Z[:, :1])
    with pytest.raises(ValueError, match="layer='named' gives no row for each"):
        features(net, X, layer="named")
    with pytest.raises(ValueError, match="does not output feature maps with channels"):
        make_classifier(
            Various, loss_prediction="margin", sample_shape=(5,), loss_layers=["named"]
        ).initialize()
    assert egl_score(net, X, layers="last").shape == (9,)


def test_a_committee_has_those_of_its_members_side_by_side(estimators, pool):
    parts = [features(m, pool) for m in estimators["committee"].learner_list]
    found = features(estimators["committee"], pool)
    np.testing.assert_array_equal(found, np.concatenate(parts, axis=1))


def test_they_may_go_to_a_file(estimators, pool, tmp_path):
    expected = features(estimators["net"], pool)
    out = np.lib.format.open_memmap(
        tmp_path / "Z.npy", "w+", expected.dtype, expected.shape
    )
    assert features(estimators["net"], pool, out=out) is out
    out.flush()
    np.testing.assert_array_equal(np.load(tmp_path / "Z.npy"), expected)
    with pytest.raises(ValueError, match=r"out has shape \(3, 2\), but"):
        features(estimators["net"], pool, out=np.empty((3, 2)))
    for kind in (int, str, complex):
        with pytest.raises(
            ValueError, match=r"out has dtype .*, but features need float32"
        ):
            features(estimators["net"], pool, out=np.zeros(expected.shape, kind))


def test_of_half_precision_in_float32(pool):
    net = make_net().initialize()
    net.module_.bfloat16()
    assert features(net, pool).dtype == np.float32
