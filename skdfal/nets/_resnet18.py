"""ResNet18, the network of the task-aware experiments."""

from torch import Tensor, nn

from skdfal.nets._layers import (
    check_choice,
    check_counts,
    check_image_size,
    check_rate,
    scaled,
)

# Channels of the four stages; all but the first halve the image size.
_STAGES = (64, 128, 256, 512)
_LARGE = 96  # pixels from which on the stem for large images is used


class ResNet18(nn.Module):
    """ResNet18 [1]_ for images of 32x32 pixels and larger ones.

    Four stages of two residual blocks each, global average pooling, and one dense
    layer. It is the network of the TA-VAAL experiments [2]_. A slim version, such as
    ``width=0.25``, trains on a laptop.

    Parameters
    ----------
    n_classes : int, default=10
        Number of logits.
    in_channels : int, default=3
        Number of input channels: 1 for grey images, 3 for colour.
    image_size : int or tuple of (int, int), default=32
        Height and width of the input in pixels; one number for square images. Both must
        be at least 16, since three stages halve the image. The size only determines the
        stem: the network accepts other sizes too.
    width : float, default=1.0
        Factor on the channels of every stage (64 to 512). Results are rounded, and at
        least 1.
    dropout : float, default=0.0
        Dropout rate after each convolution in the blocks, for MC dropout and BALD. The
        code of [2]_ uses 0.3 for MC dropout and 0 for everything else.
    stem : {"auto", "small", "large"}, default="auto"
        Layers before the stages. "small" is a 3x3 convolution that keeps the image
        size. "large" first reduces height and width to a quarter with a 7x7 convolution
        and max-pooling. "auto" is "large" from 96 pixels on.

    Attributes
    ----------
    in_channels : int
        Number of input channels.
    image_size : None
        The network takes images of any size.
    layer1, layer2, layer3, layer4 : nn.Sequential
        Stages, each of which outputs one feature map; named as in torchvision.
    fc : nn.Linear
        Dense layer that outputs the logits.
    feature_layers : tuple of str
        Names of the layers whose feature maps a loss-prediction head uses.

    Raises
    ------
    ValueError
        If a parameter is out of range, or the image is too small.

    See Also
    --------
    LeNet5 : A network for small grey images and few labels.
    make_classifier : Create an estimator from the network.

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren and J. Sun, "Deep Residual Learning for Image
           Recognition", CVPR 2016. https://arxiv.org/abs/1512.03385
    .. [2] K. Kim, D. Park, K. I. Kim and S. Y. Chun, "Task-Aware Variational
           Adversarial Active Learning", CVPR 2021. https://arxiv.org/abs/2002.04709

    Examples
    --------
    >>> import torch
    >>> from skdfal.nets import ResNet18
    >>> ResNet18(n_classes=4, width=0.125)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 4])
    """

    feature_layers = ("layer1", "layer2", "layer3", "layer4")
    image_size = None  # the last pooling takes images of any size

    def __init__(
        self,
        n_classes: int = 10,
        in_channels: int = 3,
        image_size: int | tuple[int, int] = 32,
        width: float = 1.0,
        dropout: float = 0.0,
        stem: str = "auto",
    ) -> None:
        super().__init__()
        check_counts(n_classes=n_classes, in_channels=in_channels)
        check_choice("stem", stem, ("auto", "small", "large"))
        check_rate("dropout", dropout)
        size = check_image_size(image_size, minimum=16, net="ResNet18")
        self.in_channels = in_channels
        c1, c2, c3, c4 = (scaled(c, width) for c in _STAGES)

        is_large = stem == "large" or (stem == "auto" and min(size) >= _LARGE)
        self.stem = _stem(in_channels, c1, is_large)
        self.layer1 = _stage(c1, c1, 1, dropout)
        self.layer2 = _stage(c1, c2, 2, dropout)
        self.layer3 = _stage(c2, c3, 2, dropout)
        self.layer4 = _stage(c3, c4, 2, dropout)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(c4, n_classes)

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
        x = self.layer2(self.layer1(self.stem(x)))
        return self.fc(self.pool(self.layer4(self.layer3(x))))


def _stem(c_in: int, c_out: int, is_large: bool) -> nn.Sequential:
    if not is_large:
        return nn.Sequential(_convolution(c_in, c_out, 3), nn.ReLU())
    return nn.Sequential(
        _convolution(c_in, c_out, 7, stride=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
    )


def _stage(c_in: int, c_out: int, stride: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        _Block(c_in, c_out, stride, dropout), _Block(c_out, c_out, 1, dropout)
    )


def _convolution(c_in: int, c_out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Create a normalised convolution that keeps the size, apart from its stride."""
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(c_out),
    )


class _Block(nn.Module):
    """Two 3x3 convolutions with a shortcut connection."""

    def __init__(self, c_in: int, c_out: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            _convolution(c_in, c_out, 3, stride),
            nn.ReLU(),
            nn.Dropout(dropout),
            _convolution(c_out, c_out, 3),
            nn.Dropout(dropout),
        )
        has_same_shape = stride == 1 and c_in == c_out
        self.shortcut = (
            nn.Identity() if has_same_shape else _convolution(c_in, c_out, 1, stride)
        )
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.residual(x) + self.shortcut(x))
