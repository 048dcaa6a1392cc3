"""training(H, L_k): reproducible for the same seed, and restorable from a file."""

import copy
from contextlib import nullcontext
from numbers import Number

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from skdfal._utils._seeds import seeded
from skdfal.adapter import inner_net, is_net, wants_float_targets
from skdfal.adapter._answers import no_head
from skdfal.adapter._training import (
    as_numpy,
    check_trainable,
    default_classifier,
    fit_samples,
)
from skdfal.learner._view import TrainingView
from skdfal.nets._classifier import telling_no_scale


class Trainer:
    """Trains clones of an estimator on codes.

    Parameters
    ----------
    estimator : estimator or None
        The template. If None, a small network is chosen by the shape of the samples.
    warm_start : bool
        Whether to continue training the network of the previous round.
    n_classes : int
        Number of codes.
    pool : Pool
        Pool that the samples come from.
    net_params : dict or None
        Parameters that the strategy requires of a network made for it.

    Raises
    ------
    ValueError
        If the strategy needs a loss-prediction head, and ``estimator`` has none.
    """

    def __init__(self, estimator, warm_start, n_classes, pool, net_params):
        if estimator is None:
            estimator = default_classifier(pool.take([0]), n_classes, net_params)
        self.template = clone(estimator)
        self.warm_start = warm_start
        self._has_fitted = False
        net = inner_net(self.template)
        if net is not None and "loss_prediction" in (net_params or {}):
            if "loss_prediction" not in net.get_params(deep=False):
                raise ValueError(no_head(type(net).__name__))
        if net is not None and net.get_params().get("classes", 0) is None:
            net.set_params(classes=range(n_classes))  # the outputs that are classes
        if warm_start:
            self._set_warm_start(net)

    @property
    def is_net(self):
        """Whether the estimator is a network, which its weights suffice to restore."""
        return is_net(self.template)

    def _set_warm_start(self, net):
        if net is None:
            raise TypeError(
                "warm_start=True needs a skorch net or a Pipeline that ends in one, "
                f"got {type(self.template).__name__}."
            )
        net.set_params(warm_start=True)

    def show_epochs(self):
        """Make a network print one line per epoch, as skorch does."""
        if (net := inner_net(self.template)) is not None:
            net.set_params(verbose=1)

    def check_weights(self):
        """Raise if the estimator cannot be trained on weighted samples."""
        if not has_fit_parameter(self.template, "sample_weight"):
            raise TypeError(
                f"{type(self.template).__name__}.fit does not take sample_weight. "
                "Leave it out, or use an estimator that does."
            )

    def check_finite(self, X, indices):
        """Raise if a network would be trained on NaN or infinity.

        Parameters
        ----------
        X : samples
            Training samples. Anything but an array is left to the estimator.
        indices : ndarray of shape (n_samples,)
            Their indices in the pool, -1 for samples that are not in it.
        """
        if not self.is_net:
            return
        start = 0
        for block in X.blocks() if isinstance(X, TrainingView) else [as_numpy(X)]:
            if getattr(block, "dtype", np.dtype(int)).kind != "f":
                return
            bad = ~np.isfinite(block.reshape(len(block), -1)).all(axis=1)
            if bad.any():
                raise ValueError(
                    "X contains NaN or infinity in the labelled samples "
                    f"{indices[start:][: len(block)][bad].tolist()[:5]} (or values "
                    f"beyond {np.finfo(block.dtype).max:.2g}, the range of "
                    f"{block.dtype}): a network trained on them predicts NaN "
                    "everywhere. Fix these samples, or skip them."
                )
            start += len(block)

    def fit(self, X, y, seed, previous=None, sample_weight=None):
        """Return a trained estimator; ``previous`` is not changed."""
        check_trainable(self.template, len(y))
        goes_on = self.warm_start and previous is not None
        estimator = copy.deepcopy(previous) if goes_on else clone(self.template)
        fit_params = {} if sample_weight is None else {"sample_weight": sample_weight}
        if isinstance(X, TrainingView) and not self.is_net:
            X = X.take(np.arange(len(X)))  # other classifiers need one whole array
        if isinstance(X, TrainingView) and wants_float_targets(estimator):
            X.y = X.y.float()
        telling = telling_no_scale() if self._has_fitted else nullcontext()
        self._has_fitted = True
        with seeded(seed), telling:
            return fit_samples(estimator, X, y, **fit_params)

    def weights(self, estimator):
        """Return tensors and plain data for :meth:`restore`, or None."""
        if not self.is_net:
            return None
        fitted = {k: v for k, v in vars(estimator).items() if k.endswith("_")}
        states = {
            name: part.state_dict()
            for name, part in fitted.items()
            if hasattr(part, "load_state_dict")
            and (self.warm_start or not isinstance(part, torch.optim.Optimizer))
        }
        plain = {
            name: _plain(value)
            for name, value in fitted.items()
            if name not in states and _is_plain(value)
        }
        return {"states": states, "plain": plain}

    def restore(self, weights):
        """Return the estimator with these weights, or None if there are none."""
        if weights is None:
            return None
        with seeded(0):
            net = clone(self.template).initialize()
        for name, state in weights["states"].items():
            getattr(net, name).load_state_dict(state)
        for name, value in weights["plain"].items():
            kind = type(getattr(net, name, value))  # it was saved as a list
            is_kept = isinstance(value, list) and (
                kind is tuple or issubclass(kind, list)
            )
            setattr(net, name, kind(value) if is_kept else _back(value))
        return net


def _is_plain(value):
    """Whether a value consists of numbers, strings and numeric arrays."""
    if isinstance(value, dict):
        return all(isinstance(k, str) and _is_plain(v) for k, v in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biuf"
    return value is None or isinstance(value, Number | str)


def _plain(value):
    """Return the value in types that ``torch.load`` accepts without pickle."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    return value.item() if isinstance(value, np.generic) else value


def _back(value):
    return value.numpy() if isinstance(value, torch.Tensor) else value
