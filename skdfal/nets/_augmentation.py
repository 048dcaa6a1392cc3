"""Random changes of images that preserve their labels."""

import numpy as np
import torch
from torch.nn import functional as F

from skdfal._utils._validation import COUNT_OR_ZERO


class RandomCropFlip:
    """Shift images by a random number of pixels, and mirror half of them.

    Each image is padded with zeros on all sides and cropped to its original size at a
    random position. It is then mirrored left to right with probability one half. The
    papers on learning loss [1]_ and task-aware VAAL [2]_ use this augmentation for
    CIFAR.

    Parameters
    ----------
    padding : int, default=4
        Width of the zero padding on each side, which is the largest shift; 0 does not
        shift.
    flip : bool, default=True
        Whether to mirror images. Not suitable for digits or letters.

    Raises
    ------
    ValueError
        If ``padding`` is not an integer >= 0, or ``flip`` is not a bool.

    See Also
    --------
    make_classifier : Accepts it as ``augmentation``.

    Notes
    -----
    Random numbers come from torch's global generator, like all others during training.
    ``torch.manual_seed`` therefore makes the training reproducible.

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
        if not COUNT_OR_ZERO.is_satisfied_by(padding):
            raise ValueError(f"{padding=!r} should be an integer >= 0.")
        if not isinstance(flip, bool | np.bool_):
            raise ValueError(f"{flip=!r} should be True or False.")
        self.padding, self.flip = padding, flip

    def __call__(self, X):
        """Augment a batch.

        Parameters
        ----------
        X : tensor of shape (n_samples, n_channels, height, width)
            Images.

        Returns
        -------
        X : tensor of the same shape and type
            Augmented images.

        Raises
        ------
        ValueError
            If ``X`` does not consist of images.
        """
        if X.ndim != 4:
            raise ValueError(
                f"augmentation got samples of shape {tuple(X.shape[1:])}; it needs "
                "images of shape (channels, height, width). Omit it, or reshape X."
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
        # Indexing on both sides of the channels moves them to the end.
        cropped = padded[sample, :, row[:, :, None], column[:, None, :]]
        return cropped.permute(0, 3, 1, 2).contiguous()

    def __repr__(self):
        return f"RandomCropFlip(padding={self.padding}, flip={self.flip})"
