"""LeNet5 and VGG8 have the layers of the paper."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from skdfal.nets import VGG8, LeNet5


def n_parameters(module):
    return sum(p.numel() for p in module.parameters())


def conv(c_in, c_out, kernel):
    return c_out * (c_in * kernel**2 + 1)


def dense(n_in, n_out):
    return n_out * (n_in + 1)


def layers(module, kind):
    return [m for m in module.modules() if isinstance(m, kind)]


@pytest.mark.parametrize("net_class", [LeNet5, VGG8])
@pytest.mark.parametrize(
    ("n_classes", "in_channels", "image_size"),
    [(10, 1, 28), (4, 1, (28, 36)), (2, 3, 64), (3, 2, 16), (10, 3, 32), (5, 1, 19)],
)
def test_logits_have_one_column_a_class(net_class, n_classes, in_channels, image_size):
    net = net_class(n_classes, in_channels, image_size, width=0.1)
    size = image_size if isinstance(image_size, tuple) else (image_size, image_size)
    logits = net(torch.zeros(3, in_channels, *size))
    assert logits.shape == (3, n_classes)


@pytest.mark.parametrize("tail", ["classic", "author"])
def test_lenet5_parameters_in_closed_form(tail):
    # 28 -> 24 -> 12 -> 8 -> 4 pixels a side.
    expected = conv(1, 6, 5) + conv(6, 16, 5) + conv(16, 120, 1)
    expected += dense(120 * 4 * 4, 84)
    expected += {
        "classic": dense(84, 10),
        "author": dense(84, 10) + dense(10, 10),
    }[tail]
    assert n_parameters(LeNet5(tail=tail)) == expected


def test_vgg8_parameters_in_closed_form():
    # 28 -> 14 -> 7 -> 3 -> 1 pixels a side.
    channels = [1, 64, 128, 256, 256, 512, 512]
    expected = sum(conv(i, o, 3) for i, o in pairwise(channels))
    expected += dense(512, 4096) + dense(4096, 10)
    with torch.device("meta"):
        assert n_parameters(VGG8()) == expected


def test_width_multiplies_every_hidden_layer():
    units = [m.out_channels for m in layers(LeNet5(width=0.5), nn.Conv2d)]
    assert units == [3, 8, 60]
    assert [m.out_features for m in layers(LeNet5(width=2), nn.Linear)] == [168, 10]
    units = [m.out_channels for m in layers(VGG8(width=0.125), nn.Conv2d)]
    assert units == [8, 16, 32, 32, 64, 64]
    # No layer vanishes.
    assert min(m.out_channels for m in layers(LeNet5(width=0.01), nn.Conv2d)) == 1


@pytest.mark.parametrize(
    ("net", "n_conv_dropouts"),
    [
        (LeNet5(), 2),
        (LeNet5(tail="author"), 2),
        (VGG8(width=0.1), 4),
    ],
)
def test_dropout_follows_pools_and_precedes_the_last_layer(net, n_conv_dropouts):
    flat = [*net.features, *net.classifier]
    places = [i for i, m in enumerate(flat) if isinstance(m, nn.Dropout)]
    assert [flat[i].p for i in places] == [0.25] * n_conv_dropouts + [0.5]
    for i in places[:-1]:
        assert isinstance(flat[i - 1], nn.MaxPool2d)
    assert places[-1] == len(flat) - 2
    assert isinstance(flat[-1], nn.Linear)


def test_dropout_rates():
    assert [m.p for m in layers(LeNet5(dropout=0), nn.Dropout)] == [0, 0, 0]
    assert [m.p for m in layers(LeNet5(dropout=(0.1, 0.3)), nn.Dropout)][1:] == [
        0.1,
        0.3,
    ]


@pytest.mark.parametrize("net_class", [LeNet5, VGG8])
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_classes": 0}, r"n_classes=0 should be an integer >= 1"),
        ({"n_classes": 2.0}, r"n_classes=2.0 should be an integer"),
        ({"in_channels": True}, r"in_channels=True should be an integer"),
        ({"image_size": 15}, r"image_size=15 is too small .* should be >= 16"),
        ({"image_size": (28, 8)}, r"image_size=\(28, 8\) is too small"),
        ({"image_size": (28, 28, 1)}, r"image_size=.* or \(height, width\)"),
        ({"image_size": 28.0}, r"image_size=28.0 .* or \(height, width\)"),
        ({"image_size": None}, r"image_size=None .* or \(height, width\)"),
        ({"width": 0}, r"width=0 should be a positive number"),
        ({"width": float("nan")}, r"width=nan should be a positive number"),
        ({"dropout": 1.0}, r"dropout=1.0 should be a rate in \[0, 1\)"),
        ({"dropout": None}, r"dropout=None should be a rate in \[0, 1\)"),
        ({"dropout": ("a", "b")}, r"dropout=.* or two of them"),
        ({"dropout": (0.1, 0.2, 0.3)}, r"dropout=.* or two of them"),
    ],
)
def test_bad_parameters_of_nets(net_class, params, message):
    with pytest.raises(ValueError, match=message):
        net_class(**params)


def test_bad_tail():
    with pytest.raises(ValueError, match="tail='modern' should be one of"):
        LeNet5(tail="modern")
