"""Probabilities and features, of nets and of whatever else has them."""

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from skdfal._utils._torch import evaluation_mode
from skdfal.adapter._find import (
    class_labels,
    fitted_within,
    is_learner,
    leads_to_net,
    members,
)
from skdfal.adapter._probe import member_nets, torch_nets
from skdfal.nets._loss_prediction import pooled_maps
from skdfal.pool import as_pool

# Samples that a classifier without a net is given at a time.
_ROWS_A_BLOCK = 4096


def predict_proba(estimator, X, batch_size: int | None = None) -> np.ndarray:
    """Class probabilities of nets, or of any classifier that has them.

    A committee's are the mean over its members.

    Parameters
    ----------
    estimator : fitted estimator
        A net, what leads to nets, or any classifier.
    X : pool or array-like of shape (n_samples, ...)
        Samples.
    batch_size : int, default=None
        Samples in one forward pass.

    Returns
    -------
    proba : ndarray of shape (n_samples, n_classes)
        A column for each class that is known.
    """
    if leads_to_net(estimator):
        nets = torch_nets(estimator, X)
        return np.mean([net.proba(batch_size) for net in nets], axis=0)
    if members(estimator):
        return _mean_of_members(estimator, X, batch_size)
    within = fitted_within(estimator) if is_learner(estimator) else estimator
    check_is_fitted(within)
    pool = as_pool(X)
    blocks = [
        np.asarray(within.predict_proba(_block(pool, start)), dtype=float)
        for start in range(0, len(pool), _ROWS_A_BLOCK)
    ]
    return np.concatenate(blocks)


def _block(pool, start):
    return pool.take(np.arange(start, min(start + _ROWS_A_BLOCK, len(pool))))


def _mean_of_members(committee, X, batch_size) -> np.ndarray:
    """Mean over learners of which each may know other classes."""
    found = [predict_proba(learner, X, batch_size) for learner in members(committee)]
    labels = [
        class_labels(learner, proba.shape[1])
        for learner, proba in zip(members(committee), found, strict=True)
    ]
    known = np.unique(np.concatenate(labels))
    total = np.zeros((len(found[0]), len(known)))
    for proba, columns in zip(found, labels, strict=True):
        total[:, np.searchsorted(known, columns)] += proba / len(found)
    return total


def proba_of_classes(estimator, X, n_classes: int, batch_size=None) -> np.ndarray:
    """Probabilities of the classes with the codes 0, ..., ``n_classes`` - 1.

    Parameters
    ----------
    estimator : fitted estimator
        Trained on codes; it need not have seen all of them.
    X : pool or array-like of shape (n_samples, ...)
        Samples.
    n_classes : int
        Number of classes.
    batch_size : int, default=None
        Samples in one forward pass.

    Returns
    -------
    proba : ndarray of shape (n_samples, n_classes)
        0 for a class that a classifier without a net has never seen.

    Raises
    ------
    ValueError
        If a module has fewer outputs than there are classes.
    """
    proba = predict_proba(estimator, X, batch_size)
    labels = class_labels(estimator, proba.shape[1])
    if proba.shape[1] < n_classes and leads_to_net(estimator):
        raise ValueError(
            f"The module has {proba.shape[1]} outputs, but y has {n_classes} "
            f"classes. Give it {n_classes} outputs."
        )
    placed = np.zeros((len(proba), n_classes))
    is_known = labels < n_classes
    placed[:, labels[is_known].astype(int)] = proba[:, is_known]
    if not is_known.all():
        placed /= placed.sum(axis=1, keepdims=True)
    return placed


def predicted_losses(estimator, X, batch_size: int | None = None) -> np.ndarray:
    """Losses as the heads of nets predict them; the mean over a Committee's members.

    Parameters
    ----------
    estimator : fitted estimator
        A net with a loss-prediction head, or what leads to such nets.
    X : pool or array-like of shape (n_samples, ...)
        Samples.
    batch_size : int, default=None
        Samples in one forward pass.

    Returns
    -------
    loss : ndarray of shape (n_samples,)
        On a scale of the head's own.

    Raises
    ------
    ValueError
        If a net has no such head.
    """
    nets = member_nets(estimator, X)
    return np.mean([_of_head(net, batch_size) for net in nets], axis=0)


def _of_head(net, batch_size):
    """Losses that one net predicts, float64 of shape (n_samples,)."""
    head = getattr(net.walk.net, "loss_head_", None)
    if head is None:
        raise ValueError(
            f"{net.name} has no loss-prediction head. Make the classifier by "
            "skdfal.nets.make_classifier(..., loss_prediction='margin') or 'ranking', "
            "or take skdfal.nets.LossPredictionClassifier, and fit it."
        )
    found = []
    with evaluation_mode(net.module), evaluation_mode(head), torch.no_grad():
        for x in net.batches(net.batch_size(batch_size)):
            with pooled_maps(net.walk.module, net.walk.net.loss_layers_) as maps:
                net.module(x)
            found.append(head(maps).double().cpu())
    return torch.cat(found).numpy()


def hidden_features(estimator, X, batch_size: int | None = None, layer=None):
    """Features by :meth:`TorchNet.features`, (n, D); a Committee's side by side."""
    nets = member_nets(estimator, X)
    parts = [net.features(batch_size, layer).double().cpu() for net in nets]
    return torch.cat(parts, dim=1).numpy()
