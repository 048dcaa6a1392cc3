"""Random changes of images that leave their label as it is."""

from numbers import Integral

import numpy as np
import torch
from torch.nn import functional as F

from skdfal._utils._validation import Interval

_PIXELS = Interval(Integral, 0, None, closed="left")


class RandomCropFlip:
    """Shift each image by some pixels, and mirror every other one.

    An image is padded with zeros on all sides and cropped to its size at a random
    place, then mirrored left to right with probability one half: what the papers on
    learning loss [1]_ and on task-aware VAAL [2]_ train with on CIFAR.

    Parameters
    ----------
    padding : int, default=4
        Pixels of zeros on each side, the largest shift; 0 does not shift.
    flip : bool, default=True
        Whether to mirror. Not for digits or letters.

    Raises
    ------
    ValueError
        If ``padding`` is no integer >= 0, or ``flip`` no bool.

    See Also
    --------
    make_classifier : Takes it as ``augmentation``.

    Notes
    -----
    It draws from torch's global generator, as all else that is random in a training:
    ``torch.manual_seed`` makes a training with it reproducible.

    References
    ----------
    .. [1] D. Yoo and I. S. Kweon, "Learning Loss for Active Learning", CVPR 2019.
           https://arxiv.org/abs/1905.03677
    .. [2] K. Kim, D. Park, K. I. Kim and S. Y. Chun, "Task-Aware Variational
           Adversarial Active Learning", CVPR 2021. https://arxiv.org/abs/2002.04709

    Examples
    --------
    >>> import torch
    >>> from skdfal.nets import RandomCropFlip
    >>> RandomCropFlip(padding=2)(torch.ones(5, 3, 8, 8)).shape
    torch.Size([5, 3, 8, 8])
    """

    def __init__(self, padding=4, flip=True):
        if not _PIXELS.is_satisfied_by(padding):
            raise ValueError(f"{padding=!r} should be an integer >= 0.")
        if not isinstance(flip, bool | np.bool_):
            raise ValueError(f"{flip=!r} should be True or False.")
        self.padding, self.flip = padding, flip

    def __call__(self, X):
        """Change a batch.

        Parameters
        ----------
        X : tensor of shape (n_samples, n_channels, height, width)
            Images.

        Returns
        -------
        X : tensor of the same shape and type
            The images, changed.

        Raises
        ------
        ValueError
            If they are no images.
        """
        if X.ndim != 4:
            raise ValueError(
                f"augmentation got samples of shape {tuple(X.shape[1:])}; it needs "
                "images of shape (channels, height, width). Leave it out, or reshape."
            )
        n, (height, width) = len(X), X.shape[2:]
        shift = torch.randint(2 * self.padding + 1, (n, 2), device=X.device)
        row = shift[:, :1] + torch.arange(height, device=X.device)  # (n, height)
        column = shift[:, 1:] + torch.arange(width, device=X.device)  # (n, width)
        if self.flip:
            mirrored = torch.rand(n, 1, device=X.device) < 0.5
            column = torch.where(mirrored, column.flip(1), column)
        padded = F.pad(X, [self.padding] * 4)
        sample = torch.arange(n, device=X.device)[:, None, None]
        # Indices on both sides of the channels put these last.
        cropped = padded[sample, :, row[:, :, None], column[:, None, :]]
        return cropped.permute(0, 3, 1, 2).contiguous()

    def __repr__(self):
        return f"RandomCropFlip(padding={self.padding}, flip={self.flip})"
