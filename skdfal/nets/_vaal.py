"""VAAL's autoencoder and the discriminator that it should fool, as one net."""

import skorch
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skdfal.nets._discriminator import Discriminator
from skdfal.nets._vae import VAE


def vae_loss(
    x: Tensor, reconstruction: Tensor, mean: Tensor, log_variance: Tensor, beta: float
) -> Tensor:
    r"""Return the mean squared error and β times the mean divergence from N(0, 1).

    Parameters
    ----------
    x, reconstruction : Tensor of shape (n_samples, ...)
        Images and their reconstructions.
    mean, log_variance : Tensor of shape (n_samples, n_latent)
        Mean and log-variance of the latent code.
    beta : float
        Weight of the divergence.

    Returns
    -------
    loss : Tensor of shape ()
        :math:`\overline{(x - \hat x)^2}
        - \frac\beta2 \overline{1 + \log\sigma^2 - \mu^2 - \sigma^2}`.
    """
    kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).mean()
    return F.mse_loss(reconstruction, x) + beta * kl


def adversarial_loss(labeled: Tensor, unlabeled: Tensor) -> Tensor:
    """Return the loss of the VAE for samples not taken for labelled ones.

    Parameters
    ----------
    labeled, unlabeled : Tensor of shape (n,)
        Logits of the discriminator.

    Returns
    -------
    loss : Tensor of shape ()
        BCE(D(μ_L), 1) + BCE(D(μ_U), 1).
    """
    return _bce(labeled, 1) + _bce(unlabeled, 1)


def discriminator_loss(labeled: Tensor, unlabeled: Tensor) -> Tensor:
    """Return how far D is from 1 for labelled and from 0 for unlabelled samples.

    Parameters
    ----------
    labeled, unlabeled : Tensor of shape (n,)
        Logits of the discriminator.

    Returns
    -------
    loss : Tensor of shape ()
        BCE(D(μ_L), 1) + BCE(D(μ_U), 0).
    """
    return _bce(labeled, 1) + _bce(unlabeled, 0)


def _bce(logit: Tensor, target: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logit, torch.full_like(logit, target))


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


class VAALNet(skorch.NeuralNet):
    """The two networks of VAAL, each with its optimizer, trained in turn on each batch.

    A batch is ``(x_labeled, x_unlabeled, rank_labeled, rank_unlabeled)``, where the
    last two are None for VAAL. Both kinds of samples go through the autoencoder
    together, so that its batch normalization treats them alike.

    Parameters
    ----------
    module : type, default=VAE
        Autoencoder.
    discriminator : type, default=Discriminator
        Its adversary; parameters have the prefix ``discriminator__``.
    beta : float, default=1.0
        Weight of the divergence in :func:`vae_loss`.
    adversarial_weight : float, default=1.0
        Weight of :func:`adversarial_loss`, the papers' λ.
    **kwargs : dict
        Parameters of ``skorch.NeuralNet``.
    """

    def __init__(
        self,
        module=VAE,
        *,
        discriminator=Discriminator,
        beta=1.0,
        adversarial_weight=1.0,
        **kwargs,
    ):
        self.discriminator = discriminator
        self.beta = beta
        self.adversarial_weight = adversarial_weight
        super().__init__(module, criterion=nn.MSELoss, **kwargs)

    def initialize_module(self):
        super().initialize_module()
        self.module_ = self.module_.to(memory_format=torch.channels_last)  # faster
        params = self.get_params_for("discriminator")
        self.discriminator_ = self.initialized_instance(self.discriminator, params)
        return self

    def initialize_optimizer(self):
        for name, part in [
            ("optimizer_", self.module_),
            ("optimizer_discriminator_", self.discriminator_),
        ]:
            args, kwargs = self.get_params_for_optimizer(
                "optimizer", part.named_parameters()
            )
            setattr(self, name, self.optimizer(*args, **kwargs))
        return self

    def train_step(self, batch, **fit_params):
        x_l, x_u, r_l, r_u = batch
        n, x = len(x_l), _channels_last(torch.cat([x_l, x_u]))
        rank = None if r_l is None else torch.cat([r_l, r_u])
        self._set_training(True)
        loss = self._vae_step(x, rank, n)
        self.history.record_batch(
            "discriminator_loss", self._discriminator_step(x, rank, n).item()
        )
        return {"loss": loss, "y_pred": x}

    def _vae_step(self, x, rank, n):
        """L_VAE = Σ_{L, U} (MSE + β KL) + λ Σ_{L, U} BCE(D(μ), 1), the first n of L."""
        seen = None if rank is None else rank.sigmoid()
        reconstruction, mean, log_variance = self.module_(x, seen)
        logit = self.discriminator_(mean, rank)
        loss = self.adversarial_weight * adversarial_loss(logit[:n], logit[n:])
        for part in (slice(n), slice(n, None)):
            loss = loss + vae_loss(
                x[part],
                reconstruction[part],
                mean[part],
                log_variance[part],
                self.beta,
            )
        self.optimizer_.zero_grad()
        loss.backward()
        self.optimizer_.step()
        return loss.detach()

    def _discriminator_step(self, x, rank, n):
        """L_D = BCE(D(μ_L), 1) + BCE(D(μ_U), 0), after the autoencoder's step."""
        with torch.no_grad():
            mean, _ = self.module_.encode(x)
        logit = self.discriminator_(mean, rank)
        loss = discriminator_loss(logit[:n], logit[n:])
        self.optimizer_discriminator_.zero_grad()
        loss.backward()
        self.optimizer_discriminator_.step()
        return loss.detach()

    def log_odds(self, x, rank=None):
        """Return the log-odds that samples are labelled, (n_samples,)."""
        self._set_training(False)
        with torch.no_grad():
            mean, _ = self.module_.encode(_channels_last(x))
            return self.discriminator_(mean, rank)
