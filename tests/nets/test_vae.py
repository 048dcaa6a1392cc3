"""The autoencoder gives back pictures of any size; the discriminator is five layers."""

import pytest
import torch
from torch import nn

from skdfal.nets import VAE, Discriminator


@pytest.mark.parametrize("size", [8, 9, 16, 24, 28, 32, 33, 64, 100, (28, 40)])
def test_pictures_come_back_in_their_size(size):
    height, width = size if isinstance(size, tuple) else (size, size)
    x = torch.rand(2, 3, height, width)
    reconstruction, mean, log_variance = VAE(size, 3, 7, width=0.02)(x)
    assert reconstruction.shape == x.shape
    assert mean.shape == log_variance.shape == (2, 7)


@pytest.mark.parametrize(("size", "last"), [(28, 2), (32, 2), (64, 4)])
def test_layers_are_those_of_the_authors(size, last):
    """Channels 128 to 1024, a quarter of them, there and back; 2 or 4 pixels left."""
    vae = VAE(size, 3, width=0.25)
    down = [m.out_channels for m in vae.modules() if type(m) is nn.Conv2d]
    up = [m.out_channels for m in vae.modules() if type(m) is nn.ConvTranspose2d]
    assert (down, up) == ([32, 64, 128, 256, 3], [128, 64, 32])
    assert vae.to_mean.in_features == 256 * last**2
    assert vae.decoder[0].out_features == 256 * (2 * last) ** 2


def test_the_code_is_drawn_around_its_mean():
    vae = VAE(8, 1, 3, width=0.1).eval()
    x = torch.rand(4, 1, 8, 8)
    seen = []
    vae.decoder[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        _, mean, log_variance = vae(x)
        torch.manual_seed(1)
        noise = torch.randn(4, 3)
    torch.testing.assert_close(seen[0], mean + log_variance.exp().sqrt() * noise)


def test_ranks_go_to_decoder_and_discriminator():
    vae = VAE(8, 1, 3, width=0.1, has_rank=True).eval()
    x, rank = torch.rand(4, 1, 8, 8), torch.rand(4)
    seen = []
    vae.decoder[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    vae(x, rank)
    torch.testing.assert_close(seen[0][:, 3], rank)
    d = Discriminator(3, n_hidden=5, has_rank=True)
    d.layers[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    assert d(torch.zeros(4, 3), rank).shape == (4,)
    torch.testing.assert_close(seen[1][:, 3], rank)


def test_discriminator_has_five_layers():
    dense = [m for m in Discriminator(28).modules() if isinstance(m, nn.Linear)]
    assert [m.in_features for m in dense] == [28, 512, 512, 512, 512]
    assert dense[-1].out_features == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VAE(7), "image_size=7 is too small for the pooling layers of V.*>= 8"),
        (lambda: VAE(n_latent=0), "n_latent=0 should be an integer >= 1"),
        (lambda: VAE(in_channels=1.5), "in_channels=1.5 should be an integer"),
        (lambda: VAE(width=-1), "width=-1 should be a positive number"),
        (lambda: Discriminator(0), "n_latent=0 should be an integer >= 1"),
        (lambda: Discriminator(n_hidden=0), "n_hidden=0 should be an integer >= 1"),
    ],
)
def test_bad_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()
