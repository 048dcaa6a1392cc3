"""Adversarial training of VAAL and TA-VAAL on labelled samples and candidates."""

from functools import partial
from numbers import Real

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch.utils.data import Dataset

from skdfal._utils._progress import progress
from skdfal._utils._seeds import seeded
from skdfal._utils._validation import COUNT, Interval
from skdfal.adapter import labeled_samples, torch_nets
from skdfal.nets._vaal import VAALNet
from skdfal.pool import as_pool

TRAINING_PARAMETERS = {
    "X_labeled": "no_validation",
    "n_latent": [COUNT],
    "width": [Interval(Real, 0, None, closed="neither")],
    "max_epochs": [COUNT],
    "lr": [Interval(Real, 0, None, closed="neither")],
    "beta": [Interval(Real, 0, None, closed="left")],
    "adversarial_weight": [Interval(Real, 0, None, closed="left")],
    "train_batch_size": [COUNT],
    "random_state": ["random_state"],
}


class _BothKinds(Dataset):
    """Unlabelled samples by index, each batch paired with as many labelled ones.

    Labelled samples come in their own order, which is reshuffled whenever all have been
    used. All randomness comes from torch's generator.
    """

    def __init__(self, labeled, unlabeled, ranks, advance):
        self.labeled, self.unlabeled = labeled, unlabeled
        self.ranks = ranks
        self.advance = advance
        self.order = []

    def __len__(self):
        return len(self.unlabeled)

    def __getitems__(self, indices):
        self.advance(len(indices))
        of_labeled = self._next_labeled(len(indices))
        r_l, r_u = self.ranks
        return (
            _pictures(self.labeled, of_labeled),
            _pictures(self.unlabeled, indices),
            None if r_l is None else r_l[of_labeled],
            None if r_u is None else r_u[indices],
        )

    def _next_labeled(self, n):
        while len(self.order) < n:
            self.order += torch.randperm(len(self.labeled)).tolist()
        chosen, self.order = self.order[:n], self.order[n:]
        return chosen


def _pictures(net, indices):
    """Return samples as the net sees them, of shape (n, C, H, W)."""
    return _in_own_precision(net.batch(np.asarray(indices)))


def _in_own_precision(x):
    """Cast to the dtype of autoencoder and discriminator, whatever the net uses."""
    return x.to(torch.get_default_dtype())


def _as_it_is(batch):
    return batch


def both_kinds(estimator, candidates, X_labeled, caller):
    """Return a net for the candidates and one for the labelled samples, or raise.

    Parameters
    ----------
    estimator : fitted estimator
        For a Committee, the input space of the first member is used.
    candidates : pool
        Unlabelled samples.
    X_labeled : array-like or None
        Labelled samples. If None, the training samples of a modAL learner are used.
    caller : str
        Name of the calling function, for messages.

    Returns
    -------
    unlabeled, labeled : TorchNet
        Nets whose samples are images of the same shape.
    """
    unlabeled = torch_nets(estimator, candidates)[0]
    X_labeled = labeled_samples(estimator, X_labeled)
    if X_labeled is None:
        raise ValueError(
            f"{caller} learns to tell labelled samples from others, but got no "
            "labelled samples. Pass X_labeled=..., samples of the same kind as X. "
            "A modAL learner and the loop provide them automatically."
        )
    labeled = unlabeled.of(as_pool(X_labeled))
    shape = _shape(unlabeled, "X", caller)
    of_labeled = _shape(labeled, "X_labeled", caller)
    if of_labeled != shape:
        raise ValueError(
            f"X_labeled has samples of shape {of_labeled} as seen by the net, X has "
            f"samples of shape {shape}. Pass both as in fit."
        )
    return unlabeled, labeled


def _shape(net, name, caller):
    """Return the shape of an image, as the net sees it."""
    x = net.batch([0])
    if not isinstance(x, torch.Tensor) or x.ndim != 4:
        seen = tuple(x.shape[1:]) if isinstance(x, torch.Tensor) else type(x).__name__
        raise ValueError(
            f"{caller} needs images, samples of shape (n_channels, height, width), "
            f"for its autoencoder, but in {name} the net sees {seen}."
        )
    return tuple(x.shape[1:])


def train_vaal(
    unlabeled, labeled, ranks, caller, *, width, n_latent, random_state, **settings
):
    """Train autoencoder and discriminator on both kinds of samples.

    Parameters
    ----------
    unlabeled, labeled : TorchNet
        As :func:`both_kinds` returns them.
    ranks : (Tensor, Tensor) or (None, None)
        One number per labelled and per unlabelled sample, on the device of the net;
        used by TA-VAAL.
    caller : str
        Name of the calling function, for the progress bar.
    width, n_latent, random_state, **settings
        Parameters of :func:`vaal_score`.

    Returns
    -------
    vaal : VAALNet
        Trained network.
    """
    n_channels, *image_size = unlabeled.batch([0]).shape[1:]
    has_rank = ranks[0] is not None
    max_epochs, n_samples = settings["max_epochs"], len(unlabeled)
    batch_size = min(settings.pop("train_batch_size"), n_samples)
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        seeded(_seed(random_state)),
        progress(max_epochs * n_samples, f"Training for {caller}") as advance,
    ):
        vaal = VAALNet(
            module__image_size=tuple(image_size),
            module__in_channels=n_channels,
            module__n_latent=n_latent,
            module__width=width,
            module__has_rank=has_rank,
            discriminator__n_latent=n_latent,
            discriminator__has_rank=has_rank,
            optimizer=partial(torch.optim.Adam, fused=True),
            batch_size=batch_size,
            iterator_train__shuffle=True,
            iterator_train__collate_fn=_as_it_is,
            callbacks="disable",
            train_split=None,
            device=unlabeled.device,
            **settings,
        ).initialize()
        # Not by `fit`, which would treat Ctrl-C as an early end of the training.
        vaal.fit_loop(_BothKinds(labeled, unlabeled, ranks, advance))
    return vaal


def _seed(random_state):
    if random_state is None:  # numpy's global generator stays untouched
        return int(np.random.SeedSequence().generate_state(1)[0])
    return int(check_random_state(random_state).randint(2**31 - 1))


def unlabeled_log_odds(vaal, net, ranks=None, batch_size=None):
    """Return the log-odds that each sample is unlabelled.

    Parameters
    ----------
    vaal : VAALNet
        Trained network.
    net : TorchNet
        Net with the samples to score.
    ranks : Tensor of shape (n_samples,), default=None
        One number per sample, for TA-VAAL.
    batch_size : int or None, default=None
        Number of samples per forward pass.

    Returns
    -------
    score : ndarray of shape (n_samples,)
        Minus the logit of D.

    Raises
    ------
    ValueError
        If the training diverged, so that a score is NaN or infinite.
    """
    found, n = [], 0
    for x in net.batches(net.batch_size(batch_size)):
        rank = None if ranks is None else ranks[n : n + len(x)]
        found.append(-vaal.log_odds(_in_own_precision(x), rank))
        n += len(x)
    score = torch.cat(found).cpu().double().numpy()
    n_bad = (~np.isfinite(score)).sum()
    if n_bad:
        raise ValueError(
            f"The training of autoencoder and discriminator diverged: {n_bad} of "
            f"{len(score)} scores are NaN or infinite. Lower lr={vaal.lr}, or scale X, "
            "for example to [0, 1]."
        )
    return score
