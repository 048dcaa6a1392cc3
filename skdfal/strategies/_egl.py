"""EGL: how far one training step on a sample would move the weights."""

import warnings
from contextlib import ExitStack, contextmanager
from functools import partial
from operator import itemgetter

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, jacrev, vmap
from torch.nn import functional as F

from skdfal._utils._torch import (
    HALVES,
    as_two_classes,
    evaluation_mode,
    first_input,
    in_double,
    map_tensors,
)
from skdfal._utils._validation import (
    QUERY_PARAMETERS,
    SCORE_PARAMETERS,
    StrOptions,
    validate_params,
)
from skdfal.adapter import member_nets
from skdfal.strategies._base import draw_candidates, register, top_k

__all__ = ["egl_sampling", "egl_score"]

_LAYERS = {"layers": [StrOptions({"all", "last"})]}

# Maximum number of entries in the Jacobians of a batch, if they are written out.
_JACOBIAN_SIZE = 2**25

# Maximum number of entries in the gradients of all logits at the layers' outputs.
_GRADIENTS_SIZE = 2**27

# Maximum number of samples that share a Gram matrix of gradients, so it fits into
# caches.
_BATCH_SIZE = 64

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def _expected_distance(proba):
    """Σ_c p_c ||p - e_c||, with ||p - e_c||² = (1 - p_c)² + Σ_{j≠c} p_j²; (n,)."""
    square = proba.square()
    others = square.sum(1, keepdim=True) - square  # Σ_{j≠c} p_j²
    likeliest = proba.argmax(1, keepdim=True)  # here, the difference may be rounding
    without = square.scatter(1, likeliest, 0)
    others.scatter_(1, likeliest, without.sum(1, keepdim=True))
    return (proba * ((1 - proba).square() + others).sqrt()).sum(1)


def _expected_length(proba, G):
    """Σ_c p_c ||∂CE(x, c)/∂θ||, with ∂CE/∂θ = Jᵀ(p - e_c) and G = J Jᵀ; (n,).

    ``proba`` is (n, C), ``G`` is (n, C, C).
    """
    v = proba[:, None, :] - torch.eye(proba.shape[1]).to(proba)  # row c: p - e_c
    squared = torch.einsum("ncj,njk,nck->nc", v, G, v).clamp_min(0)
    return (proba * squared.sqrt()).sum(1)


@validate_params(SCORE_PARAMETERS | _LAYERS, prefer_skip_nested_validation=True)
def egl_score(estimator, X, *, layers="all", batch_size=None):
    r"""Score samples by their expected gradient norm [1]_.

    The gradient is that of the cross-entropy with respect to the weights. Its norm is
    averaged over the possible labels, weighted by their predicted probabilities. The
    score is high where one training step on the sample would change the weights a lot.

    Parameters
    ----------
    estimator : fitted estimator
        A skorch net, a Pipeline ending in one, or a modAL learner or committee wrapping
        these. The scores of committee members are averaged.
    X : array-like of shape (n_samples, ...)
        Samples to score, in the format that ``fit`` takes.
    layers : {"all", "last"}, default="all"
        Weights whose gradients are used: all trainable weights ("all"), or only those
        of the last linear layer ("last"), which costs a single forward pass.
    batch_size : int or None, default=None
        Maximum number of samples per forward pass; it is lowered if the gradients of
        all classes would not fit into memory otherwise. If None, it is chosen from the
        memory that one sample needs.

    Returns
    -------
    score : ndarray of shape (n_samples,)
        Expected gradient norm, >= 0. Larger is queried first.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator contains no torch net.
    ValueError
        If no weight is trainable, if ``layers="last"`` and the module does not end in a
        linear layer, or if ``X`` is empty, contains NaN or infinity, or has a shape
        that the net cannot take.

    Notes
    -----
    With the probabilities p, the one-hot label e_c and the Jacobian J of the logits
    with respect to the weights θ, the score is

    .. math:: \sum_c p_c \|\nabla_\theta CE(x, c)\|_2
        = \sum_c p_c \sqrt{(p - e_c)^\top J J^\top (p - e_c)}.

    Thus one Gram matrix :math:`J J^\top` of C x C entries per sample yields all C
    norms. It is a sum over layers. Consider a linear or convolutional layer with input
    U (one column per position) and gradients δ_j of the logits at its output. Then
    :math:`\partial f_j / \partial W = δ_j U^\top`, and the layer contributes
    :math:`\langle δ_j U^\top U, δ_k \rangle`. No gradient is ever written out if there
    are fewer positions than inputs.

    For other modules, the Jacobians come from ``torch.func``, for at least one sample
    at a time. These are modules with weights that are used twice, or with weights in
    layers other than linear, 1-d and 2-d convolution and batch-norm layers.

    For the last layer alone, with its input h, the closed form is
    :math:`\sum_c p_c \|p - e_c\|_2 \sqrt{\|h\|^2 + 1}`.

    Layers are in evaluation mode. The mean over classes is subtracted from the logits
    before they are differentiated. Since p - e_c sums to zero, this changes nothing but
    the rounding.

    References
    ----------
    .. [1] B. Settles, M. Craven, S. Ray, "Multiple-Instance Active Learning", NIPS
       2007, https://papers.nips.cc/paper/3252-multiple-instance-active-learning.
    .. [2] Y. Zhang, M. Lease, B. C. Wallace, "Active Discriminative Text
       Representation Learning", AAAI 2017, arXiv:1606.04212.

    Examples
    --------
    >>> import torch
    >>> from skdfal import egl_score
    >>> from skdfal.nets import make_classifier
    >>> net = make_classifier("lenet5", image_size=16).initialize()
    >>> egl_score(net, torch.rand(3, 1, 16, 16)).shape
    (3,)
    """
    score = _score_last if layers == "last" else _score_all
    return np.mean([score(net, batch_size) for net in member_nets(estimator, X)], 0)


@register(
    "egl",
    label="EGL",
    needs="gradients",
    score=egl_score,
    n_candidates=800,
    style=("#E69F00", "dashdot", "P"),
    paper="Settles et al. 2007",
    in_dfal_paper=True,
)
@validate_params(QUERY_PARAMETERS | _LAYERS, prefer_skip_nested_validation=True)
def egl_sampling(
    estimator,
    X,
    n_instances=1,
    *,
    layers="all",
    n_candidates=None,
    batch_size=None,
    random_state=None,
):
    """Query the samples with the largest :func:`egl_score`.

    Parameters
    ----------
    estimator : fitted estimator
        As for :func:`egl_score`.
    X : array-like of shape (n_samples, ...)
        Unlabelled pool to query from.
    n_instances : int, default=1
        Number of samples to query.
    layers : {"all", "last"}, default="all"
        Weights whose gradients are used: all trainable weights ("all"), or only those
        of the last linear layer ("last").
    n_candidates : int or None, default=None
        Number of candidates drawn at random from the pool; only these are scored. If
        None, the whole pool is scored.
    batch_size : int or None, default=None
        Number of samples per forward pass. If None, it is chosen from the memory that
        one sample needs.
    random_state : int, RandomState instance or None, default=None
        Controls the random choice of candidates.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Distinct indices into ``X``, best first.

    Raises
    ------
    ValueError
        If ``n_instances`` or ``n_candidates`` is larger than the pool, or if
        :func:`egl_score` raises.

    Examples
    --------
    >>> import torch
    >>> from skdfal import egl_sampling
    >>> from skdfal.nets import make_classifier
    >>> net = make_classifier("lenet5", image_size=16).initialize()
    >>> egl_sampling(net, torch.rand(20, 1, 16, 16), n_instances=5).shape
    (5,)
    """
    S_k, candidates = draw_candidates(X, n_instances, n_candidates, random_state)
    score = egl_score(estimator, candidates, layers=layers, batch_size=batch_size)
    return S_k[top_k(score, n_instances)]


# The last layer, in closed form


def _score_last(net, batch_size):
    """Σ_c p_c ||p - e_c|| sqrt(||h||² + 1) of every sample; (n,)."""
    _check_last(net)
    batch_size = net.batch_size(batch_size)
    work = partial(_score_last_of_block, batch_size)
    return net.finite(np.concatenate(list(net.map_blocks(work, batch_size))))


def _score_last_of_block(batch_size, net):
    linear = net.linear
    h = net.features(batch_size)  # (n, D)
    with torch.no_grad():
        logits = as_two_classes(linear(h))[:, : net.n_classes]
        proba = in_double(logits).softmax(1)
    h = in_double(h)
    squared = torch.zeros_like(h[:, 0])
    if linear.weight.requires_grad:
        squared += h.square().sum(1)
    if linear.bias is not None and linear.bias.requires_grad:
        squared += 1
    if linear.out_features == 1:  # one logit f, with ∂CE/∂f = p_1 - [c = 1]
        length = (proba * (1 - proba)).sum(1)
    else:
        length = _expected_distance(proba)
    return (length * squared.sqrt()).cpu().numpy()


def _check_last(net):
    """Raise unless the last linear layer outputs the logits and is trainable."""
    if net.linear is None or not _outputs_logits(net):
        raise ValueError(
            f'layers="last" needs a module that ends in a linear layer, but {net.name} '
            'does not. Use layers="all".'
        )
    if not any(p.requires_grad for p in net.linear.parameters()):
        raise ValueError(
            f"The last linear layer of {net.name} has no trainable weight "
            '(requires_grad), so there is no gradient. Use layers="all".'
        )


def _outputs_logits(net):
    """Whether the last linear layer runs once, and outputs the logits up to a shift."""
    x = net.batch(np.arange(min(2, len(net))))
    with evaluation_mode(net.module), torch.no_grad():
        with _recording([net.linear]) as calls:
            logits = net.module(x)
    out = calls[-1][-1].to(logits)
    f = logits[:, 1:] - logits[:, :1]
    out = out if out.shape[1:] == (1,) else out[:, 1:] - out[:, :1]
    out = out[:, : f.shape[1]]
    is_close = f.shape == out.shape and torch.allclose(f, out, rtol=1e-3, atol=1e-4)
    return len(calls) == 1 and is_close


# All layers


def _score_all(net, batch_size):
    """Expected gradient length over all trainable weights of a net; (n,)."""
    parameters = {n: p for n, p in net.module.named_parameters() if p.requires_grad}
    if not parameters:
        raise ValueError(
            f"{net.name} has no trainable weight (requires_grad), so there is no "
            "gradient to compute a length from."
        )
    if batch_size is None:
        batch_size = min(_BATCH_SIZE, net.batch_size(None, with_graph=True))
    with evaluation_mode(net.module), torch.inference_mode(False), torch.enable_grad():
        if _layers_suffice(net):
            gram, room, n_numbers = _gram_by_layers, _GRADIENTS_SIZE, _n_outputs(net)
        else:
            gram, room = _gram_by_jacobians, _JACOBIAN_SIZE
            n_numbers = sum(p.numel() for p in parameters.values())
    C = net.n_classes
    n_numbers += 8 * C  # for the Gram matrix and its products in double precision
    batch_size = min(batch_size, max(1, room // (C * n_numbers)))
    work = partial(_score_all_of_block, gram, batch_size)
    return net.finite(np.concatenate(list(net.map_blocks(work, batch_size))))


def _score_all_of_block(gram, batch_size, net):
    score = []
    with evaluation_mode(net.module), torch.inference_mode(False), torch.enable_grad():
        for x in net.batches(batch_size):
            logits, G = gram(net.module, x)
            proba = in_double(logits).softmax(1)
            score.append(_expected_length(proba, in_double(G)).cpu().numpy())
    return np.concatenate(score)


def _layers_suffice(net):
    """Whether every layer with trainable weights has a rule, and the rules hold.

    The rules do not hold if a weight is used twice, or if samples are not in the first
    dimension. Where this cannot be seen from the layers, the result is compared with
    the plain gradients of one sample in a batch of two.
    """
    layers = _trainable_layers(net.module)
    weights = [w for layer in layers for w in layer.parameters(recurse=False)]
    is_shared = len(set(weights)) < len(weights)
    if is_shared or not all(map(_has_rule, layers)):
        return False
    x = net.batch(np.arange(min(2, len(net))))
    try:
        _, G = _gram_by_layers(net.module, x)
    except (RuntimeError, IndexError, ValueError):
        return False
    parameters = [p for p in net.module.parameters() if p.requires_grad]
    expected = []
    for f_c in _centred(net.module(x))[-1]:
        gradient = torch.autograd.grad(
            f_c, parameters, retain_graph=True, materialize_grads=True
        )
        expected.append(sum(g.square().sum() for g in gradient))
    expected = torch.stack(expected)
    found = G[-1].diagonal()
    rounding = max(torch.finfo(p.dtype).eps for p in parameters)
    rtol, atol = max(1e-3, 16 * rounding), max(1e-4, 4 * rounding)
    largest = float(expected.max())
    return torch.allclose(found.float(), expected.float(), rtol, atol * largest)


def _trainable_layers(module):
    return [
        layer
        for layer in module.modules()
        if any(p.requires_grad for p in layer.parameters(recurse=False))
    ]


def _n_outputs(net):
    """Number of outputs per sample of all layers with trainable weights."""
    with _recording(_trainable_layers(net.module)) as calls, torch.no_grad():
        net.module(net.batch([0]))
    return sum(out.numel() for _, _, out in calls)


def _has_rule(layer):
    own = {name for name, _ in layer.named_parameters(recurse=False)}
    is_frozen_norm = type(layer) in _BATCH_NORMS and layer.running_mean is not None
    is_known = type(layer) in (nn.Linear, *_CONVOLUTIONS) or is_frozen_norm
    return is_known and own <= {"weight", "bias"}


def _centred(logits):
    return logits - logits.mean(1, keepdim=True)


def _gram_by_layers(module, x):
    """Return logits (n, C) and the Gram matrix of their gradients (n, C, C)."""
    with _recording(_trainable_layers(module)) as calls:
        logits = module(x)
    layers, inputs, outputs = zip(*calls, strict=True)
    if len(set(layers)) < len(layers):
        raise RuntimeError("A layer runs twice: its gradient is a sum over its calls.")
    n, C = logits.shape
    f = _centred(logits)
    delta = [
        torch.autograd.grad(
            f[:, c].sum(), outputs, retain_graph=c < C - 1, materialize_grads=True
        )
        for c in range(C)
    ]
    G = logits.new_zeros(n, C, C)
    for layer, h, *delta_c in zip(layers, inputs, *delta, strict=True):
        G = G + _gram_of_layer(layer, h, torch.stack(delta_c, dim=1))
    return logits.detach(), G


@contextmanager
def _recording(layers):
    """Collect (layer, input, output) of each call in a forward pass."""
    calls = []

    def record(layer, args, kwargs, out):
        calls.append((layer, first_input(args, kwargs).detach(), out))
        return out.clone()  # the next layer may work in place

    with ExitStack() as hooks:
        for layer in layers:
            hook = layer.register_forward_hook(record, with_kwargs=True)
            hooks.enter_context(hook)
        yield calls


def _gram_of_layer(layer, h, delta):
    """Σ over the layer's trainable weights of ∂f_j/∂w · ∂f_k/∂w; (n, C, C).

    ``h`` is the input, (n, ...), and ``delta`` has the gradients of the logits with
    respect to the output, (n, C, ...).
    """
    n, C = delta.shape[:2]
    if h.dtype in HALVES:
        h, delta = h.float(), delta.float()
    if type(layer) in _BATCH_NORMS:  # ∂f_j/∂γ = Σ δ_j x̂
        mean, var = layer.running_mean.to(h), layer.running_var.to(h)
        normalized = F.batch_norm(h, mean, var, eps=layer.eps)
        delta = delta.reshape(n, C, h.shape[1], -1)
        U = normalized.reshape(n, 1, h.shape[1], -1)
        J = _with_bias(layer, (delta * U).sum(3), delta.sum(3), dim=2)  # (n, C, D)
        return J @ J.mT
    if type(layer) is nn.Linear:
        U = h.reshape(n, 1, -1, h.shape[-1]).mT  # (n, 1, D, L)
        delta = delta.reshape(n, 1, C, -1, delta.shape[-1]).mT  # (n, 1, C, E, L)
    else:
        U = _patches(layer, h)  # (n, groups, D, L)
        delta = delta.reshape(n, C, layer.groups, -1, U.shape[-1]).transpose(1, 2)
    U = _with_bias(layer, U, torch.ones_like(U[:, :, :1]), dim=2)
    _, groups, _, E, L = delta.shape
    rows = delta.reshape(n, groups, C * E, L)
    if U.shape[2] < L:  # fewer inputs than positions: ∂f_j/∂W = δ_j Uᵀ itself
        J = (rows @ U.mT).reshape(n, groups, C, -1)
        return (J @ J.mT).sum(1)
    right = (rows @ (U.mT @ U)).reshape(n, groups, C, E * L)
    return (rows.reshape(n, groups, C, E * L) @ right.mT).sum(1)


def _with_bias(layer, of_weight, of_bias, dim):
    """Combine the parts of weight and bias, as far as they are trainable."""
    parts = [(layer.weight, of_weight), (layer.bias, of_bias)]
    return torch.cat(
        [part for w, part in parts if w is not None and w.requires_grad], dim
    )


def _patches(conv, h):
    """Return the input patch of each output position; (n, groups, D, L)."""
    sides = [(0, 0)] * len(conv.kernel_size)
    if conv.padding == "same":
        extent = zip(conv.dilation, conv.kernel_size, strict=True)
        total = [d * (k - 1) for d, k in extent]
        sides = [(t // 2, t - t // 2) for t in total]
    elif conv.padding != "valid":
        sides = [(p, p) for p in conv.padding]
    mode = "constant" if conv.padding_mode == "zeros" else conv.padding_mode
    h = F.pad(h, [side for pair in reversed(sides) for side in pair], mode)
    kernel, dilation, stride = conv.kernel_size, conv.dilation, conv.stride
    if h.ndim == 3:  # unfold expects images: use one row of pixels
        h = h.unsqueeze(2)
        kernel, dilation, stride = (1, *kernel), (1, *dilation), (1, *stride)
    U = F.unfold(h, kernel, dilation=dilation, stride=stride)
    return U.reshape(len(h), conv.groups, -1, U.shape[-1])


def _gram_by_jacobians(module, x):
    """Same as `_gram_by_layers`, for any module, with J written out."""
    places = _places(module)
    weights = list(dict.fromkeys(places.values()))
    number = {w: i for i, w in enumerate(weights)}
    with torch.no_grad():
        logits = module(x)

    def f(weights, x_i):
        parameters = {place: weights[number[w]] for place, w in places.items()}
        x = map_tensors(lambda part: part[None], x_i)
        return _centred(functional_call(module, parameters, (x,), tie_weights=False))[0]

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "There is a performance drop")
            J = vmap(jacrev(f), (None, 0))(weights, x)
    except RuntimeError:  # some layers have no batching rule: one row at a time
        samples = [map_tensors(itemgetter(i), x) for i in range(len(logits))]
        rows = [jacrev(f, chunk_size=1)(weights, x_i) for x_i in samples]
        J = [torch.stack(J_w) for J_w in zip(*rows, strict=True)]
    with torch.no_grad():
        J = torch.cat([J_w.flatten(2) for J_w in J], dim=2)  # (n, C, P)
        return logits.detach(), J.detach() @ J.detach().mT


def _places(module):
    """{name: weight} for each place where a layer has a trainable weight.

    A layer with several names appears once, since `functional_call` would not restore
    its weights otherwise. A weight that several layers share appears with each of them.
    """
    return {
        f"{prefix}.{name}": w
        for prefix, layer in module.named_modules()
        for name, w in layer.named_parameters(recurse=False, remove_duplicate=False)
        if w.requires_grad
    }
