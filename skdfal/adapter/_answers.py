"""Probabilities and features of nets, and probabilities of other classifiers."""

import math
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from skdfal._utils._torch import evaluation_mode
from skdfal.adapter._batches import batches_a_block
from skdfal.adapter._find import (
    class_labels,
    decision_threshold,
    fitted_within,
    is_learner,
    leads_to_net,
    members,
)
from skdfal.adapter._not_finite import check_weights
from skdfal.adapter._probe import member_nets, torch_nets
from skdfal.nets._loss_prediction import pooled_maps
from skdfal.pool import as_pool, map_blocks

# Number of samples that a classifier without a net gets at once.
_ROWS_A_BLOCK = 4096


def predict_proba(estimator, X, batch_size: int | None = None) -> np.ndarray:
    """Class probabilities of nets, or of any classifier with ``predict_proba``.

    The probabilities of committee members are averaged.

    Parameters
    ----------
    estimator : fitted estimator
        A net, an estimator that contains nets, or any classifier.
    X : pool or array-like of shape (n_samples, ...)
        Samples.
    batch_size : int or None, default=None
        Number of samples per forward pass.

    Returns
    -------
    proba : ndarray of shape (n_samples, n_classes)
        One column per known class.
    """
    return np.concatenate(list(map_proba(np.asarray, estimator, X, batch_size)))


def map_proba(
    function, estimator, X, batch_size: int | None = None
) -> Iterator[np.ndarray]:
    """Yield the result of a function of :func:`predict_proba` for each block.

    Parameters
    ----------
    function : callable
        Function of probabilities of shape (n, n_classes). It may run in another
        process.
    estimator : fitted estimator
        As for :func:`predict_proba`.
    X : pool or array-like of shape (n_samples, ...)
        Samples.
    batch_size : int or None, default=None
        Number of samples per forward pass.

    Yields
    ------
    result : object
        Result of the function for the next block.
    """
    pool = as_pool(X)
    if leads_to_net(estimator):
        nets = torch_nets(estimator, pool)
        sizes = [net.batch_size(batch_size) for net in nets]
        whole = math.lcm(*sizes)  # batches of each net
        work = partial(_proba_of_nets, function, sizes)
        return map_blocks(work, nets, pool, whole * batches_a_block(pool, whole))
    if members(estimator):
        work = partial(_proba_of_members, function, batch_size)
        return map_blocks(work, estimator, pool, _ROWS_A_BLOCK)
    within = fitted_within(estimator) if is_learner(estimator) else estimator
    check_is_fitted(within)
    if not hasattr(within, "predict_proba"):  # its class has it, as that of SVC
        raise TypeError(
            f"{type(within).__name__} has no predict_proba with its present "
            "parameters. Choose others, or wrap it in scikit-learn's "
            "CalibratedClassifierCV."
        )
    return map_blocks(partial(_proba_of, function), within, pool, _ROWS_A_BLOCK)


def _proba_of_nets(function, batch_sizes, nets, part):
    pairs = zip(nets, batch_sizes, strict=True)
    return function(np.mean([net.of(part).proba(size) for net, size in pairs], axis=0))


def _proba_of(function, classifier, part):
    proba = np.asarray(classifier.predict_proba(part[:]), dtype=float)
    if not np.isfinite(proba).all():
        raise ValueError(
            f"predict_proba of {type(classifier).__name__} returns NaN or infinity for "
            "samples of X: its training has failed, or X is far from the training "
            "data. Scale X, and fit again."
        )
    return function(proba)


def _proba_of_members(function, batch_size, committee, part):
    """Average over learners, each of which may know different classes."""
    found = [predict_proba(learner, part, batch_size) for learner in members(committee)]
    labels = [
        class_labels(learner, proba.shape[1])
        for learner, proba in zip(members(committee), found, strict=True)
    ]
    known = np.unique(np.concatenate(labels))
    total = np.zeros((len(found[0]), len(known)))
    for proba, columns in zip(found, labels, strict=True):
        total[:, np.searchsorted(known, columns)] += proba / len(found)
    return function(total)


def proba_of_classes(estimator, X, n_classes: int, batch_size=None) -> np.ndarray:
    """Probabilities of the classes with the codes 0, ..., ``n_classes`` - 1.

    Parameters
    ----------
    estimator : fitted estimator
        Estimator trained on codes; it need not have seen all of them.
    X : pool or array-like of shape (n_samples, ...)
        Samples.
    n_classes : int
        Number of classes.
    batch_size : int or None, default=None
        Number of samples per forward pass.

    Returns
    -------
    proba : ndarray of shape (n_samples, n_classes)
        Probabilities; 0 for classes that a classifier without a net has never seen.

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
        placed[~placed.any(axis=1)] = 1  # certain about outputs that are no classes
        placed /= placed.sum(axis=1, keepdims=True)
    return placed


def predicted_codes(estimator, proba):
    """Return the column that ``predict`` of the estimator chooses in each row.

    Parameters
    ----------
    estimator : fitted estimator
        Estimator that the probabilities come from.
    proba : ndarray of shape (n_samples, n_classes)
        Probabilities.

    Returns
    -------
    codes : ndarray of shape (n_samples,)
        Columns of the largest probabilities. For two classes and a threshold, column 1
        where its probability is larger than that.
    """
    threshold = decision_threshold(estimator)
    if threshold == 0.5:
        return proba.argmax(axis=1)
    return (proba[:, 1] > threshold).astype(np.intp)


def predicted_losses(estimator, X, batch_size: int | None = None) -> np.ndarray:
    """Losses predicted by the heads of nets; averaged over the members of a Committee.

    Parameters
    ----------
    estimator : fitted estimator
        A net with a loss-prediction head, or an estimator that contains such nets.
    X : pool or array-like of shape (n_samples, ...)
        Samples.
    batch_size : int or None, default=None
        Number of samples per forward pass.

    Returns
    -------
    loss : ndarray of shape (n_samples,)
        Predicted losses, on the arbitrary scale of the head.

    Raises
    ------
    ValueError
        If a net has no such head, or the head predicts NaN or infinity.
    """
    nets = member_nets(estimator, X)
    return np.mean([_of_head(net, batch_size) for net in nets], axis=0)


def no_head(name):
    """Return the error message for a net of this name without a head."""
    return (
        f"{name} has no loss-prediction head. Create the classifier with "
        "skdfal.nets.make_classifier(..., loss_prediction='margin') or 'ranking', or "
        "with skdfal.nets.LossPredictionClassifier, and fit it."
    )


def _of_head(net, batch_size):
    """Losses predicted by one net, float64 of shape (n_samples,)."""
    if getattr(net.walk.net, "loss_head_", None) is None:
        raise ValueError(no_head(net.name))
    batch_size = net.batch_size(batch_size)
    work = partial(_of_head_on_block, batch_size)
    loss = np.concatenate(list(net.map_blocks(work, batch_size)))
    check_weights(net.walk.net.loss_head_)
    return net.finite(loss)


def _of_head_on_block(batch_size, net):
    head, layers, found = net.walk.net.loss_head_, net.walk.net.loss_layers_, []
    with evaluation_mode(net.module), evaluation_mode(head), torch.no_grad():
        for x in net.batches(batch_size):
            with pooled_maps(net.walk.module, layers) as maps:
                net.module(x)
            found.append(head(maps).cpu().double())
    return torch.cat(found).numpy()


def hidden_features(estimator, X, batch_size: int | None = None, layer=None):
    """Features by :meth:`TorchNet.features`, (n, D); concatenated for a Committee."""
    blocks = map_features(estimator, X, batch_size, layer)
    return np.concatenate([block.astype(np.float64) for block in blocks])


def map_features(
    estimator,
    X,
    batch_size: int | None = None,
    layer=None,
    *,
    keep=False,
    engine=None,
) -> Iterator[np.ndarray]:
    """Yield the features of one block after the other.

    Parameters
    ----------
    estimator : fitted estimator
        A net, or an estimator that contains nets.
    X : pool or array-like of shape (n_samples, ...)
        Samples.
    batch_size : int or None, default=None
        Number of samples per forward pass.
    layer : str, nn.Module or None, default=None
        As for :meth:`TorchNet.features`.
    keep : bool, default=False
        Whether to leave the features where they are computed, and yield handles of
        them.
    engine : engine, default=None
        Engine that does the work. If None, :func:`engine_for` the pool.

    Yields
    ------
    features : ndarray of shape (n, n_features)
        Features of the next block, in the precision of the net; float32 for half
        precision.
    """
    nets = member_nets(estimator, X)
    sizes = [net.batch_size(batch_size) for net in nets]
    pool, whole = nets[0].pool, math.lcm(*sizes)
    size = whole * batches_a_block(pool, whole)
    work, what = partial(_features_of_nets, sizes), (nets, layer)
    return map_blocks(work, what, pool, size, keep=keep, engine=engine)


def _features_of_nets(batch_sizes, nets_and_layer, part):
    nets, layer = nets_and_layer
    pairs = zip(nets, batch_sizes, strict=True)
    parts = [net.of(part).features(size, layer).cpu() for net, size in pairs]
    return torch.cat([_at_least_float32(part) for part in parts], dim=1).numpy()


def _at_least_float32(part):
    return part.to(torch.promote_types(part.dtype, torch.float32))
