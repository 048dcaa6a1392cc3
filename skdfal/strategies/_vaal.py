"""VAAL: the samples that a discriminator is surest have no label yet."""

from functools import partial
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch.utils.data import Dataset

from skdfal._utils._progress import progress
from skdfal._utils._validation import (
    COUNT,
    QUERY_PARAMETERS,
    SCORE_PARAMETERS,
    Interval,
    _num_samples,
    validate_params,
)
from skdfal.adapter import labeled_samples, torch_nets
from skdfal.adapter._training import seeded
from skdfal.nets._vaal import VAALNet
from skdfal.pool import as_pool
from skdfal.strategies._base import draw_candidates, register, top_k

__all__ = ["vaal_sampling", "vaal_score"]

TRAINING_PARAMETERS = {
    "X_labeled": "no_validation",
    "n_latent": [COUNT],
    "width": [Interval(Real, 0, None, closed="neither")],
    "max_epochs": [COUNT],
    "lr": [Interval(Real, 0, None, closed="neither")],
    "beta": [Interval(Real, 0, None, closed="left")],
    "adversarial_weight": [Interval(Real, 0, None, closed="left")],
    "train_batch_size": [Interval(Integral, 1, None, closed="left")],
    "random_state": ["random_state"],
}


class _BothKinds(Dataset):
    """Unlabelled samples by index, each batch beside as many labelled ones.

    Labelled samples come in an order of their own, shuffled anew whenever all have
    been; whatever is drawn comes from torch's generator.
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
    """Return samples as the net sees them, float32 of shape (n, C, H, W)."""
    return net.batch(np.asarray(indices)).float()


def _as_it_is(batch):
    return batch


def both_kinds(estimator, candidates, X_labeled, caller):
    """Return a net that looks at candidates, and at labelled samples, or raise.

    Parameters
    ----------
    estimator : fitted estimator
        Of a Committee the first member's input space is taken.
    candidates : pool
        Samples without label.
    X_labeled : array-like or None
        Samples with labels; None takes what a modAL learner was taught.
    caller : str
        Who needs them, for messages.

    Returns
    -------
    unlabeled, labeled : TorchNet
        Both of pictures of one shape.
    """
    unlabeled = torch_nets(estimator, candidates)[0]
    if X_labeled is None:
        X_labeled = labeled_samples(estimator)
    if X_labeled is None or not _num_samples(X_labeled):
        raise ValueError(
            f"{caller} learns to tell labelled samples from others, and has none: "
            "give X_labeled=..., samples of the kind of X. A modAL learner's are "
            "known, and in the loop they are given."
        )
    labeled = unlabeled.of(as_pool(X_labeled))
    shape = _shape(unlabeled, "X", caller)
    of_labeled = _shape(labeled, "X_labeled", caller)
    if of_labeled != shape:
        raise ValueError(
            f"X_labeled has samples of shape {of_labeled} where the net sees them, X "
            f"of shape {shape}: give both as in fit."
        )
    return unlabeled, labeled


def _shape(net, name, caller):
    """Return the shape of a picture, as the net sees it."""
    x = net.batch([0])
    if not isinstance(x, torch.Tensor) or x.ndim != 4:
        seen = tuple(x.shape[1:]) if isinstance(x, torch.Tensor) else type(x).__name__
        raise ValueError(
            f"{caller} needs pictures, samples of shape (n_channels, height, width), "
            f"for its autoencoder; the net sees {seen} in {name}."
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
        One number for each labelled sample and for each unlabelled one, on the device
        of the net, for TA-VAAL.
    caller : str
        Who trains, for the bar.
    width, n_latent, random_state, **settings
        Parameters of :func:`vaal_score`.

    Returns
    -------
    vaal : VAALNet
        Trained.
    """
    n_channels, *image_size = unlabeled.batch([0]).shape[1:]
    has_rank = ranks[0] is not None
    max_epochs, n_samples = settings["max_epochs"], len(unlabeled)
    batch_size = min(settings.pop("train_batch_size"), n_samples)
    with (
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
        # Not by `fit`, which would take Ctrl-C for an early end of the training.
        vaal.fit_loop(_BothKinds(labeled, unlabeled, ranks, advance))
    return vaal


def _seed(random_state):
    if random_state is None:  # not from numpy's global generator: leave no trace
        return int(np.random.SeedSequence().generate_state(1)[0])
    return int(check_random_state(random_state).randint(2**31 - 1))


def unlabeled_log_odds(vaal, net, ranks=None, batch_size=None):
    """Return how surely each sample is taken for one without label.

    Parameters
    ----------
    vaal : VAALNet
        Trained.
    net : TorchNet
        Of the samples.
    ranks : Tensor of shape (n_samples,), default=None
        For TA-VAAL.
    batch_size : int, default=None
        Samples in one forward pass.

    Returns
    -------
    score : ndarray of shape (n_samples,)
        Minus the logit of D.
    """
    found, n = [], 0
    for x in net.batches(net.batch_size(batch_size)):
        rank = None if ranks is None else ranks[n : n + len(x)]
        found.append(-vaal.log_odds(x.float(), rank))
        n += len(x)
    return torch.cat(found).double().cpu().numpy()


@validate_params(
    SCORE_PARAMETERS | TRAINING_PARAMETERS, prefer_skip_nested_validation=True
)
def vaal_score(
    estimator,
    X,
    *,
    X_labeled=None,
    n_latent=32,
    width=0.25,
    max_epochs=20,
    lr=5e-4,
    beta=1.0,
    adversarial_weight=1.0,
    train_batch_size=128,
    batch_size=None,
    random_state=None,
):
    r"""Score samples by how surely they are told from labelled ones [1]_.

    An autoencoder compresses labelled and unlabelled samples to a latent code, and a
    discriminator learns to tell by the code which is which, while the autoencoder
    learns to make that hard. What is told apart all the same is unlike anything
    labelled. The task's net takes no part, and its mistakes have no influence.

    Parameters
    ----------
    estimator : fitted estimator
        A skorch net, a Pipeline that ends in one, or a modAL learner or committee
        around them. Only its input space and its device are used.
    X : array-like of shape (n_samples, n_channels, height, width)
        Pool to score, as for ``fit``, pictures of at least 8x8.
    X_labeled : array-like of shape (n_labeled, n_channels, height, width), default=None
        Samples labelled already, of the kind of ``X``. None takes what a modAL
        learner was taught; the loop gives what was annotated.
    n_latent : int, default=32
        Numbers of the latent code; 32 in the papers, 28 for Fashion-MNIST.
    width : float, default=0.25
        Factor on the channels of the autoencoder. 1 is the papers', and takes some
        ten times as long.
    max_epochs : int, default=20
        Passes over ``X`` in training; 100 in the papers' code.
    lr : float, default=5e-4
        Learning rate of Adam, for both nets.
    beta : float, default=1.0
        Weight of the divergence of the code from a normal distribution, averaged over
        samples and numbers of the code.
    adversarial_weight : float, default=1.0
        Weight of what the discriminator knows in the autoencoder's loss, the papers' λ.
    train_batch_size : int, default=128
        Labelled samples, and unlabelled ones, in a step; no more than ``X`` has.
    batch_size : int or None, default=None
        Samples in one forward pass of the scoring. None chooses by the memory that a
        sample needs.
    random_state : int, RandomState instance or None, default=None
        Determines the training of both nets. None trains them otherwise each time.

    Returns
    -------
    score : ndarray of shape (n_samples,)
        Log-odds that a sample is unlabelled, log((1 - D) / D): the smallest D has the
        largest score. Larger is queried first.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If there is no torch net in the estimator.
    ValueError
        If there are no labelled samples, or they are of another shape than ``X``; if
        ``X`` has no pictures, too small ones, is empty, not finite, or of a shape that
        the net cannot take.

    See Also
    --------
    ta_vaal_score : The same, with the predicted loss in both nets.
    core_set_sampling : What is far from labelled samples, without training.

    Notes
    -----
    With μ, σ² of the latent code, D the discriminator, L and U a batch of each kind, a
    step of the autoencoder and one of the discriminator minimise

    .. math::

        \sum_{L, U} igl(\mathrm{MSE} + eta\, \mathrm{KL}igr)
        + \lambda igl(\mathrm{BCE}(D(\mu_L), 1) + \mathrm{BCE}(D(\mu_U), 1)igr),
        \qquad
        \mathrm{BCE}(D(\mu_L), 1) + \mathrm{BCE}(D(\mu_U), 0).

    Departures from the authors' code: the divergence is averaged, where it sums over
    samples and code (their β = 1 is ``n_latent * train_batch_size`` here, and the code
    then holds nothing); both kinds go through the autoencoder in one batch, and scores
    are of evaluation mode, so that batch normalization does not hide what differs, nor
    scores depend on batches. An epoch is a pass over ``X`` alone.

    Training looks at the samples in the net's input space, batch by batch: a pool
    beyond memory is read ``max_epochs`` times.

    References
    ----------
    .. [1] S. Sinha, S. Ebrahimi, T. Darrell, "Variational Adversarial Active Learning",
       ICCV 2019, arXiv:1904.00370.

    Examples
    --------
    >>> import torch
    >>> from skdfal import vaal_score
    >>> from skdfal.nets import make_classifier
    >>> net = make_classifier("lenet5", image_size=16).initialize()
    >>> X, X_labeled = torch.rand(9, 1, 16, 16), torch.rand(4, 1, 16, 16)
    >>> vaal_score(net, X, X_labeled=X_labeled, max_epochs=1).shape
    (9,)
    """
    unlabeled, labeled = both_kinds(estimator, X, X_labeled, "vaal_score")
    vaal = train_vaal(
        unlabeled,
        labeled,
        (None, None),
        "VAAL",
        n_latent=n_latent,
        width=width,
        max_epochs=max_epochs,
        lr=lr,
        beta=beta,
        adversarial_weight=adversarial_weight,
        train_batch_size=train_batch_size,
        random_state=random_state,
    )
    return unlabeled_log_odds(vaal, unlabeled, batch_size=batch_size)


@register(
    "vaal",
    label="VAAL",
    needs="input",
    score=vaal_score,
    n_candidates=10_000,
    style=("#808080", "solid", "h"),
    paper="Sinha et al. 2019",
)
@validate_params(
    QUERY_PARAMETERS | TRAINING_PARAMETERS, prefer_skip_nested_validation=True
)
def vaal_sampling(
    estimator,
    X,
    n_instances=1,
    *,
    X_labeled=None,
    n_latent=32,
    width=0.25,
    max_epochs=20,
    lr=5e-4,
    beta=1.0,
    adversarial_weight=1.0,
    train_batch_size=128,
    n_candidates=None,
    batch_size=None,
    random_state=None,
):
    """Query the samples with the largest :func:`vaal_score`.

    Parameters
    ----------
    estimator : fitted estimator
        As for :func:`vaal_score`.
    X : array-like of shape (n_samples, n_channels, height, width)
        Pool to query from.
    n_instances : int, default=1
        Number of samples to query.
    X_labeled : array-like of shape (n_labeled, ...), default=None
        Samples labelled already. None takes what a modAL learner was taught; the loop
        gives what was annotated.
    n_latent, width, max_epochs, lr, beta, adversarial_weight, train_batch_size : number
        As for :func:`vaal_score`.
    n_candidates : int, default=None
        Train on, and score, this many samples, drawn at random; 10,000 in the TA-VAAL
        paper. None takes the whole pool.
    batch_size : int or None, default=None
        Samples in one forward pass of the scoring. None chooses by the memory that a
        sample needs.
    random_state : int, RandomState instance or None, default=None
        Determines the candidates, and the training of both nets.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Distinct indices into ``X``, best first.

    Raises
    ------
    ValueError
        If ``n_instances`` or ``n_candidates`` is larger than the pool, or where
        :func:`vaal_score` raises.

    Examples
    --------
    >>> import torch
    >>> from skdfal import vaal_sampling
    >>> from skdfal.nets import make_classifier
    >>> net = make_classifier("lenet5", image_size=16).initialize()
    >>> X, X_labeled = torch.rand(20, 1, 16, 16), torch.rand(4, 1, 16, 16)
    >>> vaal_sampling(net, X, 5, X_labeled=X_labeled, max_epochs=1).shape
    (5,)
    """
    S_k, candidates = draw_candidates(X, n_instances, n_candidates, random_state)
    score = vaal_score(
        estimator,
        candidates,
        X_labeled=X_labeled,
        n_latent=n_latent,
        width=width,
        max_epochs=max_epochs,
        lr=lr,
        beta=beta,
        adversarial_weight=adversarial_weight,
        train_batch_size=train_batch_size,
        batch_size=batch_size,
        random_state=random_state,
    )
    return S_k[top_k(score, n_instances)]
