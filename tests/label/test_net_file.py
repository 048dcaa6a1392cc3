"""A net in a file: the same predictions, and nothing that is executed."""

import json
import os
import pickle
import sys
import zipfile

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from skdfal.adapter import predict_proba
from skdfal.label import _net_file
from skdfal.label._net_file import NetFileError, load_net, save_net
from skdfal.label._nets import make_net

CLASSES = ["cat", "dög", 'a "third"']
SIZE = (16, 20)

OWN_NET = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, n_classes, in_channels):
        super().__init__(nn.Flatten(), nn.LazyLinear(8), nn.BatchNorm1d(8),
                         nn.Linear(8, n_classes))

print("imported")
"""


def trained(name, shape=(3, *SIZE)):
    torch.manual_seed(0)
    net = make_net(name, len(CLASSES), shape, max_epochs=2)
    X = np.random.default_rng(0).random((12, *shape), dtype=np.float32)
    return net.fit(X, np.arange(12) % 3), X


@pytest.fixture
def saved(tmp_path):
    net, X = trained("lenet5")
    path = tmp_path / "net.skdfal"
    save_net(path, net, CLASSES, SIZE, "RGB", "lenet5")
    return path, net, X


def test_predictions_are_the_same(saved):
    path, net, X = saved
    loaded = load_net(path)
    np.testing.assert_array_equal(
        loaded.estimator.predict_proba(X), net.predict_proba(X)
    )
    np.testing.assert_allclose(
        predict_proba(loaded.estimator, X), net.predict_proba(X), atol=1e-6
    )
    assert loaded[1:] == (CLASSES, SIZE, "RGB", "lenet5")


def test_a_grey_net_takes_one_channel(tmp_path):
    net, X = trained("lenet5", (1, *SIZE))
    save_net(tmp_path / "net", net, CLASSES, SIZE, "L", "lenet5")
    proba = load_net(tmp_path / "net").estimator.predict_proba(X)
    np.testing.assert_array_equal(proba, net.predict_proba(X))


def test_random_numbers_are_left_alone(saved):
    path, net, _ = saved
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    save_net(path, net, CLASSES, SIZE, "RGB", "lenet5")
    load_net(path)
    assert torch.equal(torch.rand(3), expected)


def test_own_code_is_run_only_if_named(tmp_path, monkeypatch, capsys):
    (tmp_path / "my_net_of_the_test.py").write_text(OWN_NET)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    name = "my_net_of_the_test:Net"
    net, X = trained(name)
    save_net("net", net, CLASSES, SIZE, "RGB", name)
    capsys.readouterr()
    monkeypatch.delitem(sys.modules, "my_net_of_the_test")
    for given in (None, "other:Net"):
        with pytest.raises(NetFileError, match=f"--net-class {name}"):
            load_net("net", given)
    assert capsys.readouterr().out == ""
    proba = load_net("net", name).estimator.predict_proba(X)
    np.testing.assert_array_equal(proba, net.predict_proba(X))


def test_a_net_that_its_name_would_not_make_is_not_saved(tmp_path, saved):
    _, net, _ = saved
    path = tmp_path / "other"
    with pytest.raises(ValueError, match="do not fit 'lenet5' for 2 classes"):
        save_net(path, net, CLASSES[:2], SIZE, "RGB", "lenet5")
    with pytest.raises(ValueError, match=r"shape \(1, 16, 20\)"):
        save_net(path, net, CLASSES, SIZE, "L", "lenet5")
    with pytest.raises(TypeError, match="LogisticRegression is not a skorch net"):
        save_net(path, LogisticRegression(), CLASSES, SIZE, "RGB", "lenet5")
    assert not path.exists()


class Evil:
    def __reduce__(self):
        return os.mkdir, ("was-executed",)


def rewritten(path, about=None, weights=None, compression=zipfile.ZIP_STORED):
    """Write the file with other parts."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    if about is not None:
        parts["net.json"] = json.dumps(about(json.loads(parts["net.json"])))
    if weights is not None:
        parts["weights.pt"] = weights
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def test_nothing_in_it_is_executed(saved, tmp_path, monkeypatch):
    path, _, _ = saved
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Evil()}, tmp_path / "evil.pt")
    for content in (pickle.dumps(Evil(), 2), (tmp_path / "evil.pt").read_bytes()):
        rewritten(path, weights=content)
        with pytest.raises(NetFileError, match="cannot be read"):
            load_net(path)
    assert not (tmp_path / "was-executed").exists()


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_a_file_that_was_cut_short(saved, share):
    path, _, _ = saved
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(NetFileError, match="not a skdfal network, or is damaged"):
        load_net(path)


def test_a_flipped_bit_is_found(saved):
    path, _, _ = saved
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(NetFileError, match="damaged"):
        load_net(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "not a skdfal network"),
        ({"version": 99}, "version 99"),
        ({"classes": ["cat"]}, "damaged"),
        ({"classes": "cat"}, "damaged"),
        ({"classes": ["a", "b"]}, "do not fit"),
        ({"image_size": [16]}, "damaged"),
        ({"image_size": [10**9, 10**9]}, "damaged"),
        ({"image_size": [16, True]}, "damaged"),
        ({"image_size": [64, 64]}, "do not fit"),
        ({"mode": "P"}, "damaged"),
        ({"net": None}, "damaged"),
        ({"net": "resnet"}, "should be one of"),
        ({"net": "os:system"}, "If you trust that code"),
    ],
)
def test_a_foreign_description(saved, change, message):
    path, _, _ = saved
    rewritten(path, about=lambda about: about | change)
    with pytest.raises(NetFileError, match=message):
        load_net(path)


def test_a_description_without_an_end(saved):
    path, _, _ = saved
    with zipfile.ZipFile(path) as archive:
        weights = archive.read("weights.pt")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net.json", "[" * 100_000)
        archive.writestr("weights.pt", weights)
    with pytest.raises(NetFileError, match="damaged"):
        load_net(path)


def test_a_net_that_memory_cannot_hold(saved, monkeypatch):
    path, _, _ = saved

    def too_large(*args, **kwargs):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(_net_file, "make_net", too_large)
    with pytest.raises(NetFileError, match="can't allocate"):
        load_net(path)


def test_what_is_packed_is_refused(saved):
    path, _, _ = saved
    rewritten(path, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(NetFileError, match="has been changed"):
        load_net(path)


def test_weights_that_are_no_weights(saved, tmp_path):
    path, _, _ = saved
    for thing in (torch.zeros(3), {"x": 3}, [1]):
        torch.save(thing, tmp_path / "thing.pt")
        rewritten(path, weights=(tmp_path / "thing.pt").read_bytes())
        with pytest.raises(NetFileError, match="do not fit"):
            load_net(path)


def test_other_files(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme.txt", "")
    (tmp_path / "b.png").write_bytes(b"\x89PNG")
    for name in ("a.zip", "b.png"):
        with pytest.raises(NetFileError, match="not a skdfal network"):
            load_net(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        load_net(tmp_path / "nothing")
