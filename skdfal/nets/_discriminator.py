"""The discriminator of VAAL and TA-VAAL."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from skdfal.nets._layers import check_counts, initialize_weights

_N_LAYERS = 5


class Discriminator(nn.Module):
    """Five dense layers that tell labelled from unlabelled samples by latent code [1]_.

    Parameters
    ----------
    n_latent : int, default=32
        Size of the latent code.
    n_hidden : int, default=512
        Number of units in each hidden layer.
    has_rank : bool, default=False
        Whether the network gets one additional number per sample besides the code: the
        rank of TA-VAAL [2]_.

    Raises
    ------
    ValueError
        If a parameter is not an integer >= 1.

    See Also
    --------
    VAE : Its adversary.

    Notes
    -----
    The output is a logit. The papers' D is its logistic function, with target 1 for
    labelled samples. The papers use five layers; the code of [2]_ has three.

    References
    ----------
    .. [1] S. Sinha, S. Ebrahimi and T. Darrell, "Variational Adversarial Active
           Learning", ICCV 2019. https://arxiv.org/abs/1904.00370
    .. [2] K. Kim, D. Park, K. I. Kim and S. Y. Chun, "Task-Aware Variational
           Adversarial Active Learning", CVPR 2021. https://arxiv.org/abs/2002.04709

    Examples
    --------
    >>> import torch
    >>> from skdfal.nets import Discriminator
    >>> Discriminator(n_latent=8)(torch.rand(5, 8)).shape
    torch.Size([5])
    """

    def __init__(
        self, n_latent: int = 32, n_hidden: int = 512, has_rank: bool = False
    ) -> None:
        super().__init__()
        check_counts(n_latent=n_latent, n_hidden=n_hidden)
        units = [n_latent + has_rank, *[n_hidden] * (_N_LAYERS - 1)]
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(units):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(n_hidden, 1))
        initialize_weights(self.layers)

    def forward(self, code: Tensor, rank: Tensor | None = None) -> Tensor:
        """Compute the log-odds that samples are labelled.

        Parameters
        ----------
        code : Tensor of shape (n_samples, n_latent)
            Means of their latent codes.
        rank : Tensor of shape (n_samples,), default=None
            Additional number per sample.

        Returns
        -------
        logit : Tensor of shape (n_samples,)
            Logits, positive for samples that are taken for labelled ones.
        """
        if rank is not None:
            code = torch.cat([code, rank.unsqueeze(1)], dim=1)
        return self.layers(code).squeeze(1)
