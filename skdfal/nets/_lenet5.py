"""LeNet5, the small network of the DFAL paper."""

from torch import Tensor, nn

from skdfal.nets._layers import (
    check_choice,
    check_counts,
    check_image_size,
    dropout_rates,
    scaled,
    size_after_pools,
)


class LeNet5(nn.Module):
    """LeNet5 [1]_ with the layers of the DFAL experiments [2]_.

    Two stages of a 5x5 convolution without padding, ReLU, max-pooling by 2 and dropout,
    followed by a 1x1 convolution, a dense layer, and the output layer. It trains in
    seconds on a few hundred small images, the size of a round of active learning.

    Parameters
    ----------
    n_classes : int, default=10
        Number of logits.
    in_channels : int, default=1
        Number of input channels: 1 for grey images, 3 for colour.
    image_size : int or tuple of (int, int), default=28
        Height and width of the input in pixels; one number for square images. Both must
        be at least 16, since both convolutions and both pooling layers shrink the
        image.
    width : float, default=1.0
        Factor on the channels of every convolution (6, 16, 120) and on the units of the
        dense layer (84). Results are rounded, and at least 1.
    dropout : float or tuple of (float, float), default=(0.25, 0.5)
        Dropout rates after the pooling layers and between the dense layers. A single
        number sets both.
    tail : {"classic", "author"}, default="classic"
        Layers after the dense layer of 84 units. "classic": dropout, then one dense
        layer to the classes. "author": as in the code of the experiments, a dense layer
        to the classes, dropout, and a second dense layer to the classes.

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
    VGG8 : The larger network of the paper.
    make_classifier : Create an estimator from either network.

    Notes
    -----
    The 1x1 convolution has no activation function of its own, as in [2]_.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-Based Learning
           Applied to Document Recognition", Proceedings of the IEEE 86(11), 1998.
           https://doi.org/10.1109/5.726791
    .. [2] M. Ducoffe and F. Precioso, "Adversarial Active Learning for Deep
           Networks: a Margin Based Approach", 2018.
           https://arxiv.org/abs/1802.09841

    Examples
    --------
    >>> import torch
    >>> from skdfal.nets import LeNet5
    >>> LeNet5(n_classes=4)(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 4])
    """

    feature_layers = ("features.2", "features.6", "features.8", "classifier.1")

    def __init__(
        self,
        n_classes: int = 10,
        in_channels: int = 1,
        image_size: int | tuple[int, int] = 28,
        width: float = 1.0,
        dropout: float | tuple[float, float] = (0.25, 0.5),
        tail: str = "classic",
    ) -> None:
        super().__init__()
        check_counts(n_classes=n_classes, in_channels=in_channels)
        check_choice("tail", tail, ("classic", "author"))
        conv_rate, dense_rate = dropout_rates(dropout)
        c1, c2, c3, n_hidden = (scaled(c, width) for c in (6, 16, 120, 84))
        # A 5x5 convolution without padding removes 4 pixels, then pooling halves the
        # rest.
        self.in_channels = in_channels
        self.image_size = check_image_size(image_size, minimum=16, net="LeNet5")
        height, width_ = size_after_pools(self.image_size, n_pools=2, shrink=4)

        self.features = nn.Sequential(
            nn.Conv2d(in_channels, c1, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(conv_rate),
            nn.Conv2d(c1, c2, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(conv_rate),
            nn.Conv2d(c2, c3, 1),
            nn.Flatten(),
        )
        n_before_classes = n_hidden if tail == "classic" else n_classes
        self.classifier = nn.Sequential(
            nn.Linear(c3 * height * width_, n_hidden),
            nn.ReLU(),
            *([] if tail == "classic" else [nn.Linear(n_hidden, n_classes)]),
            nn.Dropout(dense_rate),
            nn.Linear(n_before_classes, n_classes),
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
