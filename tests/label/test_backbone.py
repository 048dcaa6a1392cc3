"""Pretrained nets: stand-ins for the libraries, with the same names and weights files.

The real torchvision and timm take the same way where they are installed.
"""

import pickle
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import get_num_threads, nn

from skdfal.adapter import predict_proba
from skdfal.cli import main
from skdfal.label import _backbone
from skdfal.label._backbone import load_backbone
from skdfal.label._event import Event
from skdfal.label._feature_pool import FeaturePool
from skdfal.label._formats import write_labels
from skdfal.label._net_file import NetFileError, load_net, save_net
from skdfal.label._nets import image_size_for, make_net, samples_for
from skdfal.learner import LabelingSession
from skdfal.pool import ImagePool

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

MEAN, STD = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
NAME = "torchvision/tiny"


def tiny(n_classes=5):
    layers = [nn.Conv2d(3, 7, 3, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
    head = nn.Linear(7, n_classes) if n_classes else nn.Identity()
    return nn.Sequential(*layers, nn.Flatten(), head)


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    """The folder where torch keeps weights; no net from another test is remembered."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    load_backbone.cache_clear()
    yield tmp_path / "hub" / "checkpoints"
    load_backbone.cache_clear()


@pytest.fixture
def torchvision(monkeypatch):
    models = ModuleType("torchvision.models")
    models.list_models = lambda module: ["tiny"]
    models.get_model = lambda name, weights: tiny()
    weights = SimpleNamespace(
        url="https://example.org/tiny-123.pth",
        transforms=lambda: SimpleNamespace(mean=MEAN, std=STD),
    )
    models.get_model_weights = lambda name: SimpleNamespace(DEFAULT=weights)
    package = ModuleType("torchvision")
    package.models = models
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.models", models)


@pytest.fixture
def weights(torchvision, hub):
    torch.manual_seed(0)
    net = tiny()
    torch.save(net.state_dict(), hub / "tiny-123.pth")
    return net


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    for i in range(12):
        pixels = rng.integers(0, 90, (16, 16, 3))
        pixels[..., 0] += 160 * (i % 2)
        picture = Image.fromarray(pixels.astype(np.uint8))
        picture.save(tmp_path / "pictures" / f"{i:02}.png")
    return tmp_path / "pictures"


def test_features_are_those_of_the_layer_before_the_last(weights):
    X = np.random.default_rng(0).random((3, 3, 16, 16), dtype=np.float32)
    backbone = load_backbone(NAME)
    assert backbone.n_features == 7
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
    with torch.no_grad():
        expected = weights[:-1]((torch.from_numpy(X) - mean) / std)
    np.testing.assert_allclose(backbone.features(X), expected, rtol=1e-5)
    # Grey pictures are the same in all three channels.
    np.testing.assert_allclose(
        backbone.features(X[:, :1]), backbone.features(X[:, :1].repeat(3, 1)), rtol=1e-5
    )


def test_features_are_computed_with_all_threads(weights, monkeypatch):
    """Training has a single thread, which is for small networks."""
    monkeypatch.setattr("skdfal.label._backbone.ALL_THREADS", 2)
    backbone, seen = load_backbone(NAME), []
    backbone.module.register_forward_hook(lambda *_: seen.append(get_num_threads()))
    before = get_num_threads()
    backbone.features(np.zeros((1, 3, 16, 16), np.float32))
    assert (before, seen, get_num_threads()) == (1, [2], 1)


def test_random_numbers_are_left_alone(weights):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    load_backbone(NAME)
    assert torch.equal(torch.rand(3), expected)


def test_weights_of_timm_at_hand(hub, monkeypatch):
    timm = ModuleType("timm")
    timm.is_model = lambda name: name == "tiny"

    def create_model(name, pretrained, num_classes):
        assert not pretrained
        net = tiny(num_classes)
        net.pretrained_cfg = {"mean": MEAN, "std": STD, "url": "https://x.org/t.pth"}
        return net

    timm.create_model = create_model
    found = ModuleType("huggingface_hub")
    found.try_to_load_from_cache = lambda repository, file: None
    tensors = ModuleType("safetensors.torch")
    tensors.load_file = None
    for name, module in [("timm", timm), ("huggingface_hub", found)]:
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "safetensors", ModuleType("safetensors"))
    monkeypatch.setitem(sys.modules, "safetensors.torch", tensors)
    with pytest.raises(ValueError, match="not on this machine, and nothing is downl"):
        load_backbone("timm/tiny")
    with pytest.raises(ValueError, match="timm has no model 'other'"):
        load_backbone("timm/other")
    torch.manual_seed(0)
    net = tiny()
    torch.save(net.state_dict(), hub / "t.pth")
    X = np.zeros((1, 3, 16, 16), np.float32)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
    with torch.no_grad():
        expected = net[:-1]((torch.from_numpy(X) - mean) / std)
    np.testing.assert_allclose(load_backbone("timm/tiny").features(X), expected)


@pytest.mark.parametrize("name", ["torchvision/", "keras/x", "timm/hf-hub:a/b", "a/b"])
def test_names_of_nothing(name):
    with pytest.raises(ValueError, match="should be torchvision/NAME or timm/NAME"):
        load_backbone(name)


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_without_the_library(library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ValueError, match=f"python -m pip install {library}"):
        load_backbone(f"{library}/resnet18")


def test_without_weights(torchvision):
    with pytest.raises(ValueError, match="Fetch them once: python -c"):
        load_backbone(NAME)
    with pytest.raises(ValueError, match="no classifier 'big'"):
        load_backbone("torchvision/big")


@pytest.fixture
def looked_at(monkeypatch):
    """How many pictures the backbone looked at."""
    counts = []
    features = _backbone.Backbone.features

    def counting(self, X):
        counts.append(len(X))
        return features(self, X)

    monkeypatch.setattr(_backbone.Backbone, "features", counting)
    return counts


def test_features_are_computed_once(pictures, weights, looked_at):
    pool = ImagePool(pictures, image_size=16)
    backbone = load_backbone(NAME)
    samples = FeaturePool(pool, backbone)
    looked_at.clear()
    np.testing.assert_array_equal(
        samples.view([5, 3, 5]).take([0, 1, 2]), samples.take([5, 3, 5])
    )
    assert sum(looked_at) == 2
    expected = backbone.features(pool[:])
    looked_at.clear()
    np.testing.assert_allclose(samples[:], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(samples[:], samples[:])
    assert sum(looked_at) == 10
    # A picture that is another one by now is looked at again, a new one too.
    Image.new("RGB", (20, 20)).save(pictures / "03.png")
    Image.new("RGB", (20, 20)).save(pictures / "99.png")
    pool.refresh()
    np.testing.assert_allclose(samples[:][3], samples[:][-1], rtol=1e-5)
    assert sum(looked_at) == 12
    assert samples.take([]).shape == (0, 7)


def test_features_are_kept_in_the_cache(tmp_path, pictures, weights, looked_at):
    """One file per backbone, mode and size; a later pool computes what is new."""
    (pictures / "13.png").write_bytes(b"not a picture")

    def samples(image_size=16):
        pool = ImagePool(pictures, image_size=image_size, cache=tmp_path / "cache")
        return FeaturePool(pool, load_backbone(NAME))

    load_backbone(NAME)
    looked_at.clear()
    expected = samples().take(range(8))
    assert sum(looked_at) == 8
    np.testing.assert_array_equal(samples().take(range(8)), expected)
    assert sum(looked_at) == 8
    Image.new("RGB", (20, 20)).save(pictures / "03.png")
    later = samples()
    assert (later[:][3] != expected[3]).any()
    assert sum(looked_at) == 8 + 1 + 5
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(later))[:12], later[:12])
    assert sum(looked_at) == 8 + 1 + 5
    # What could not be read is looked at again: it may be readable by then.
    np.testing.assert_allclose(samples()[:], later[:], rtol=1e-5, atol=1e-6)
    assert sum(looked_at) == 8 + 1 + 5 + 1
    samples(image_size=24)[:1]
    assert sum(looked_at) == 8 + 1 + 5 + 1 + 1


def test_damaged_features_are_named(tmp_path, pictures, weights):
    def samples():
        pool = ImagePool(pictures, image_size=16, cache=tmp_path)
        return FeaturePool(pool, load_backbone(NAME))

    samples()
    (path,) = tmp_path.glob("features-*.sqlite")
    path.write_bytes(b"x" * 5000)
    with pytest.raises(ValueError, match=r"damaged.*Delete that file"):
        samples()
    path.unlink()
    path.mkdir()
    with pytest.raises(OSError, match="cannot be read or written"):
        samples()


def test_a_session_on_features(pictures, weights):
    """DeepFool goes through the head; the twins are features, too."""
    pool = samples_for(NAME, ImagePool(pictures, image_size=16))
    net = make_net(NAME, 2, pool.sample_shape)
    session = LabelingSession(pool, ["dark", "red"], net, n_instances=2, random_state=0)
    session.tell([0, 1, 2, 3], ["dark", "red"] * 2)
    session.fit()
    asked = session.ask()
    session.tell(asked, [["dark", "red"][i % 2] for i in asked])
    session.fit()
    assert session.X_train_.shape == (8, 7)  # two twins
    assert session.predict(pool).tolist() == ["dark", "red"] * 6


def test_saved_without_the_backbone_and_tied_to_its_weights(
    tmp_path, pictures, weights, hub
):
    pool = samples_for(NAME, ImagePool(pictures, image_size=16))
    net = make_net(NAME, 2, pool.sample_shape).fit(pool[:], np.arange(12) % 2)
    path = tmp_path / "net.skdfal"
    save_net(path, net, ["dark", "red"], (16, 16), "RGB", NAME)
    loaded = load_net(path)
    np.testing.assert_allclose(
        predict_proba(loaded.estimator, pool), net.predict_proba(pool[:]), atol=1e-6
    )
    torch.save(tiny().state_dict(), hub / "tiny-123.pth")
    load_backbone.cache_clear()
    with pytest.raises(NetFileError, match="trained with other pretrained weights"):
        load_net(path)
    (hub / "tiny-123.pth").unlink()
    load_backbone.cache_clear()
    with pytest.raises(NetFileError, match="Fetch them once"):
        load_net(path)


def test_commands(tmp_path, pictures, weights, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert image_size_for(NAME) == 224
    write_labels(
        "labels.csv",
        [Event(str(i), f"{i:02}.png", "label", "ab"[i % 2]) for i in range(4)],
    )
    arguments = ["query", "pictures", "--labels", "labels.csv", "-n", "3"]
    assert main([*arguments, "--net", NAME, "--size", "16"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert main([*arguments, "--net", "timm"]) == 2
    assert "torchvision/NAME" in capsys.readouterr().err
    pool = samples_for(NAME, ImagePool(pictures, image_size=16))
    net = make_net(NAME, 2, pool.sample_shape).fit(pool[:], np.arange(12) % 2)
    save_net("net.skdfal", net, ["a", "b"], (16, 16), "RGB", NAME)
    assert main(["predict", "pictures", "--net", "net.skdfal"]) == 0


def test_the_real_torchvision(hub):
    try:
        from torchvision import models
    except (ImportError, RuntimeError):
        pytest.skip("torchvision is not installed, or not for this torch")
    torch.manual_seed(0)
    net = models.resnet18()
    torch.save(net.state_dict(), hub / "resnet18-f37072fd.pth")
    backbone = load_backbone("torchvision/resnet18")
    assert backbone.n_features == 512
    assert backbone.features(np.zeros((2, 1, 64, 64), np.float32)).shape == (2, 512)


def test_the_real_timm(hub):
    timm = pytest.importorskip("timm", reason="timm is not installed")
    name = "resnet18"
    net = timm.create_model(name, pretrained=False)
    torch.save(net.state_dict(), hub / net.pretrained_cfg["url"].split("/")[-1])
    assert load_backbone(f"timm/{name}").n_features == 512
