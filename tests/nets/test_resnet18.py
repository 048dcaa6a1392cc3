"""ResNet18 has the layers of its paper, and names its feature maps."""

import pytest
import torch
from torch import nn

from skdfal.nets import ResNet18, make_classifier
from tests.nets.test_lenet5_and_vgg8 import n_parameters


def feature_maps(net, x):
    maps = {}
    for name in net.feature_layers:
        net.get_submodule(name).register_forward_hook(
            lambda _, args, out, name=name: maps.update({name: out.shape[1:]})
        )
    net(x)
    return maps


def test_parameters_are_those_of_the_paper():
    """11,173,962 for CIFAR; 11,689,512 for the net of ImageNet."""
    with torch.device("meta"):
        assert n_parameters(ResNet18()) == 11_173_962
        assert n_parameters(ResNet18(1000, image_size=224)) == 11_689_512


@pytest.mark.parametrize(
    ("channels", "size", "sides"),
    [(3, 32, (32, 16, 8, 4)), (1, 28, (28, 14, 7, 4)), (3, 96, (24, 12, 6, 3))],
)
def test_four_feature_maps_by_name(channels, size, sides):
    net = ResNet18(5, channels, size, width=0.125)
    x = torch.zeros(2, channels, size, size)
    assert net(x).shape == (2, 5)
    units = (8, 16, 32, 64)
    expected = [(c, s, s) for c, s in zip(units, sides, strict=True)]
    assert list(feature_maps(net, x).values()) == expected


def test_a_block_is_two_convolutions_and_the_way_past_them():
    net = ResNet18(width=0.0625).eval()
    x = torch.rand(3, 4, 6, 6)
    block = net.layer1[0]
    (conv1, norm1), _, _, (conv2, norm2), _ = block.residual
    by_hand = x + norm2(conv2(norm1(conv1(x)).relu()))
    torch.testing.assert_close(block(x), by_hand.relu())


def test_stem_and_dropout():
    assert isinstance(ResNet18(image_size=64, stem="large").stem[2], nn.MaxPool2d)
    assert len(ResNet18(image_size=128, stem="small").stem) == 2
    rates = [m.p for m in ResNet18(dropout=0.3).modules() if isinstance(m, nn.Dropout)]
    assert rates == [0.3] * 16


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_classes": 0}, "n_classes=0 should be an integer >= 1"),
        ({"image_size": 15}, "image_size=15 is too small .*ResNet18"),
        ({"width": 0}, "width=0 should be a positive number"),
        ({"dropout": 1}, r"dropout=1 should be a rate in \[0, 1\)"),
        ({"dropout": (0.1, 0.2)}, "dropout=.* should be a rate"),
        ({"stem": "tiny"}, "stem='tiny' should be one of"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        ResNet18(**params)


def test_as_a_classifier():
    settings = {"n_classes": 3, "in_channels": 2, "image_size": 16, "width": 0.0625}
    net = make_classifier("resnet18", **settings, max_epochs=1)
    X, y = torch.rand(9, 2, 16, 16).numpy(), [0, 1, 2] * 3
    assert net.fit(X, torch.tensor(y)).predict_proba(X).shape == (9, 3)
