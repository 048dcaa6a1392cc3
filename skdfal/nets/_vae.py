"""The variational autoencoder of VAAL and TA-VAAL."""

import math

import torch
from torch import Tensor, nn

from skdfal.nets._layers import (
    check_counts,
    check_image_size,
    initialize_weights,
    scaled,
)

_CHANNELS = (128, 256, 512, 1024)  # of the convolutions; further ones have the last
_SMALLEST = 2  # no stage shrinks images below this side length in pixels
_LARGEST = 4  # maximum side length in pixels before the dense layers


class VAE(nn.Module):
    """Variational autoencoder for images, a modified Wasserstein autoencoder [1]_.

    Strided convolutions with batch normalization and ReLU (four of them for 28, 32 and
    64 pixels), followed by dense layers for mean and log-variance of the latent code. A
    dense layer and transposed convolutions turn a code back into an image.

    Parameters
    ----------
    image_size : int or tuple of (int, int), default=32
        Height and width of the images in pixels, at least 8. Below 28 there are fewer
        convolutions, above 64 there are more; resize larger images instead.
    in_channels : int, default=3
        Number of image channels.
    n_latent : int, default=32
        Size of the latent code.
    width : float, default=1.0
        Factor on the channels (128 to 1024). Results are rounded, and at least 1.
    has_rank : bool, default=False
        Whether the decoder gets one additional number per image besides the code: the
        rank of TA-VAAL [2]_.

    Attributes
    ----------
    encoder, to_mean, to_log_variance, decoder : nn.Module
        Parts of the network.

    Raises
    ------
    ValueError
        If a parameter is out of range, or the images are too small.

    See Also
    --------
    Discriminator : Its adversary.

    Notes
    -----
    Follows the authors' code of both papers, except that kernels and dense layers adapt
    to the image size: kernels have 4 pixels if a side is even, 3 if it is odd.

    References
    ----------
    .. [1] S. Sinha, S. Ebrahimi and T. Darrell, "Variational Adversarial Active
           Learning", ICCV 2019. https://arxiv.org/abs/1904.00370
    .. [2] K. Kim, D. Park, K. I. Kim and S. Y. Chun, "Task-Aware Variational
           Adversarial Active Learning", CVPR 2021. https://arxiv.org/abs/2002.04709

    Examples
    --------
    >>> import torch
    >>> from skdfal.nets import VAE
    >>> x = torch.rand(5, 1, 28, 28)
    >>> reconstruction, mean, log_variance = VAE(28, 1, width=0.125)(x)
    >>> reconstruction.shape, mean.shape
    (torch.Size([5, 1, 28, 28]), torch.Size([5, 32]))
    """

    def __init__(
        self,
        image_size: int | tuple[int, int] = 32,
        in_channels: int = 3,
        n_latent: int = 32,
        width: float = 1.0,
        has_rank: bool = False,
    ) -> None:
        super().__init__()
        check_counts(in_channels=in_channels, n_latent=n_latent)
        sizes = _sizes(check_image_size(image_size, minimum=8, net="VAE"))
        n_stages = len(sizes) - 1
        last = _CHANNELS[-1:] * max(0, n_stages - len(_CHANNELS))
        stages = [scaled(c, width) for c in (*_CHANNELS[:n_stages], *last)]
        channels = [in_channels, *stages]

        shrinking = [
            _normalized(nn.Conv2d, channels[i], channels[i + 1], sizes[i])
            for i in range(n_stages)
        ]
        self.encoder = nn.Sequential(*shrinking, nn.Flatten())
        n_features = channels[-1] * math.prod(sizes[-1])
        self.to_mean = nn.Linear(n_features, n_latent)
        self.to_log_variance = nn.Linear(n_features, n_latent)

        # From the images before the last stage back to the first ones, then to their
        # colours.
        growing = [
            _normalized(nn.ConvTranspose2d, channels[i + 1], channels[i], sizes[i - 1])
            for i in range(n_stages - 1, 0, -1)
        ]
        n_features = channels[-1] * math.prod(sizes[-2])
        self.decoder = nn.Sequential(
            nn.Linear(n_latent + has_rank, n_features),
            nn.Unflatten(1, (channels[-1], *sizes[-2])),
            *growing,
            nn.Conv2d(channels[1], in_channels, 1),
        )
        initialize_weights(self.encoder, self.decoder)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Encode images.

        Parameters
        ----------
        x : Tensor of shape (n_samples, in_channels, height, width)
            Images.

        Returns
        -------
        mean, log_variance : Tensor of shape (n_samples, n_latent)
            Mean and log-variance of the latent code.
        """
        h = self.encoder(x)
        return self.to_mean(h), self.to_log_variance(h)

    def forward(
        self, x: Tensor, rank: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Encode images, draw a code for each, and decode it.

        Parameters
        ----------
        x : Tensor of shape (n_samples, in_channels, height, width)
            Images.
        rank : Tensor of shape (n_samples,), default=None
            Additional number per image for the decoder.

        Returns
        -------
        reconstruction : Tensor of the shape of x
            Images, on an unbounded scale.
        mean, log_variance : Tensor of shape (n_samples, n_latent)
            Mean and log-variance of the latent code.
        """
        mean, log_variance = self.encode(x)
        z = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        if rank is not None:
            z = torch.cat([z, rank.unsqueeze(1)], dim=1)
        return self.decoder(z), mean, log_variance


def _sizes(size: tuple[int, int]) -> list[tuple[int, int]]:
    """Heights and widths of the images between the stages, first to last."""
    sizes = [size]
    while min(sizes[-1]) > _SMALLEST and (
        len(sizes) <= len(_CHANNELS) or max(sizes[-1]) > _LARGEST
    ):
        height, width = sizes[-1]
        sizes.append(((height + 1) // 2, (width + 1) // 2))
    return sizes


def _normalized(
    kind: type, c_in: int, c_out: int, larger: tuple[int, int]
) -> nn.Sequential:
    """Create a convolution from one size to half of it, or a transposed one back."""
    kernel = tuple(3 if side % 2 else 4 for side in larger)
    return nn.Sequential(
        kind(c_in, c_out, kernel, 2, 1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU()
    )
