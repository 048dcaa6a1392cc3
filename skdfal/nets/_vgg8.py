"""VGG8, the larger network of the DFAL paper."""

from torch import Tensor, nn

from skdfal.nets._layers import (
    check_counts,
    check_image_size,
    dropout_rates,
    scaled,
    size_after_pools,
)

# Channels of the 3x3 convolutions, stage by stage; each stage ends with pooling.
_STAGES = ((64,), (128,), (256, 256), (512, 512))
_N_HIDDEN = 4096


class VGG8(nn.Module):
    """VGG8, six convolutions and two dense layers in the manner of VGG [1]_.

    The larger of the two networks of the DFAL experiments [2]_. At full width it has
    6.6 million parameters for 28x28 images. A slim version, such as ``width=0.25``,
    trains on a laptop.

    Parameters
    ----------
    n_classes : int, default=10
        Number of logits.
    in_channels : int, default=1
        Number of input channels: 1 for grey images, 3 for colour.
    image_size : int or tuple of (int, int), default=28
        Height and width of the input in pixels; one number for square images. Both must
        be at least 16, since four pooling layers halve the image.
    width : float, default=1.0
        Factor on the channels of every convolution (64 to 512) and on the units of the
        dense layer (4096). Results are rounded, and at least 1.
    dropout : float or tuple of (float, float), default=(0.25, 0.5)
        Dropout rates after the pooling layers and between the dense layers. A single
        number sets both.

    Attributes
    ----------
    in_channels : int
        Number of input channels.
    image_size : tuple of (int, int)
        Height and width of the input in pixels.
    features : nn.Sequential
        Convolutional part.
    classifier : nn.Sequential
        Dense part, which ends in the ``nn.Linear`` that outputs the logits.
    feature_layers : tuple of str
        Names of the layers whose feature maps a loss-prediction head uses.

    Raises
    ------
    ValueError
        If a parameter is out of range, or the image too small for the pooling layers.

    See Also
    --------
    LeNet5 : The smaller network of the paper.
    make_classifier : Create an estimator from either network.

    References
    ----------
    .. [1] K. Simonyan and A. Zisserman, "Very Deep Convolutional Networks for
           Large-Scale Image Recognition", ICLR 2015.
           https://arxiv.org/abs/1409.1556
    .. [2] M. Ducoffe and F. Precioso, "Adversarial Active Learning for Deep
           Networks: a Margin Based Approach", 2018.
           https://arxiv.org/abs/1802.09841

    Examples
    --------
    >>> import torch
    >>> from skdfal.nets import VGG8
    >>> net = VGG8(n_classes=2, in_channels=3, image_size=32, width=0.125)
    >>> net(torch.zeros(5, 3, 32, 32)).shape
    torch.Size([5, 2])
    """

    feature_layers = ("features.2", "features.6", "features.12", "features.18")

    def __init__(
        self,
        n_classes: int = 10,
        in_channels: int = 1,
        image_size: int | tuple[int, int] = 28,
        width: float = 1.0,
        dropout: float | tuple[float, float] = (0.25, 0.5),
    ) -> None:
        super().__init__()
        check_counts(n_classes=n_classes, in_channels=in_channels)
        self.in_channels = in_channels
        self.image_size = check_image_size(image_size, minimum=16, net="VGG8")
        conv_rate, dense_rate = dropout_rates(dropout)

        layers: list[nn.Module] = []
        c_in = in_channels
        for stage in _STAGES:
            for c_out in (scaled(c, width) for c in stage):
                layers += [nn.Conv2d(c_in, c_out, 3, padding=1), nn.ReLU()]
                c_in = c_out
            layers += [nn.MaxPool2d(2), nn.Dropout(conv_rate)]
        self.features = nn.Sequential(*layers, nn.Flatten())

        height, width_ = size_after_pools(
            self.image_size, n_pools=len(_STAGES), shrink=0
        )
        n_hidden = scaled(_N_HIDDEN, width)
        self.classifier = nn.Sequential(
            nn.Linear(c_in * height * width_, n_hidden),
            nn.ReLU(),
            nn.Dropout(dense_rate),
            nn.Linear(n_hidden, n_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of a batch of images.

        Parameters
        ----------
        x : Tensor of shape (n_samples, in_channels, height, width)
            Images, scaled as for training.

        Returns
        -------
        logits : Tensor of shape (n_samples, n_classes)
            Unnormalised scores of the classes.
        """
        return self.classifier(self.features(x))
