"""DeepFool: the smallest step over the decision boundary, for any ``nn.Module``."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from skdfal._utils._torch import (
    as_two_classes,
    choose_batch_size,
    evaluation_mode,
    first_output,
)

# Up to this many classes, all are attacked; beyond it, only the most likely ones.
_FEW_CLASSES = 20
_N_LIKELIEST = 10

_OUT_OF_REACH = 1e6  # so far below the largest, a logit is that of a masked class


class DeepFoolResult(NamedTuple):
    """Result of :func:`deepfool`, one row per sample.

    Attributes
    ----------
    perturbation : Tensor, same shape as ``x``
        Accumulated steps ``Σ r_i``, without the overshoot; in float32 if ``x`` has half
        precision. The adversarial twin is ``x + (1 + overshoot) * perturbation``.
    norm : Tensor of shape (n_samples,)
        Margin ``||Σ r_i||_p`` in input units; infinite if ``converged`` is false.
    label : Tensor of shape (n_samples,)
        Predicted class of ``x``: the ``k0`` of the paper.
    adversarial_label : Tensor of shape (n_samples,)
        Predicted class of the twin; equal to ``label`` if the class never flipped.
    n_iter : Tensor of shape (n_samples,)
        Number of steps made.
    converged : Tensor of shape (n_samples,), bool
        Whether the class flipped within ``max_iter`` steps.
    """

    perturbation: Tensor
    norm: Tensor
    label: Tensor
    adversarial_label: Tensor
    n_iter: Tensor
    converged: Tensor


def deepfool(
    module: nn.Module,
    x: Tensor,
    *,
    p: float = 2,
    max_iter: int = 50,
    overshoot: float = 0.02,
    n_top_classes: int | None = None,
    batch_size: int | None = None,
) -> DeepFoolResult:
    r"""Find a small perturbation that changes the class of each sample [1]_.

    The norm of the perturbation estimates the distance of the sample to the decision
    boundary of the network. DFAL [2]_ queries the samples with the smallest distance.

    Parameters
    ----------
    module : torch.nn.Module
        Network that maps ``x`` to logits of shape (n_samples, n_classes), or to a
        single logit of shape (n,) or (n, 1), whose sign gives the class. If it returns
        a tuple, the first element is used; if it returns an object with ``.logits``,
        these are used. Log-probabilities work as well as logits; probabilities do not.
        The module is attacked in evaluation mode and left unchanged. It may work in
        place, since it receives copies.
    x : Tensor of shape (n_samples, ...)
        Samples, on the device and with the dtype of the module. With half precision,
        the module receives what it expects, while the attack itself computes in
        float32.
    p : float in [1, inf], default=2
        Order of the lp norm that DeepFool minimises.
    max_iter : int, default=50
        Maximum number of steps per sample; most samples need two or three.
    overshoot : float >= 0, default=0.02
        How far the iterates ``x + (1 + overshoot) Σ r_i`` go past the decision
        boundary, relative to the perturbation, so that they cross it rather than stop
        on it. With 0, the iterates approach the boundary from one side, as in the first
        published MATLAB code.
    n_top_classes : int >= 2 or None, default=None
        Number of most likely classes that the attack considers, including the predicted
        one. If None, it considers all classes when there are at most 20, and the ten
        most likely ones otherwise. Any number >= ``n_classes`` attacks all classes.
    batch_size : int or None, default=None
        Number of samples attacked at once. If None, it is chosen from the memory that
        the activations of the module need.

    Returns
    -------
    DeepFoolResult
        Named tuple of ``perturbation``, ``norm``, ``label``, ``adversarial_label``,
        ``n_iter`` and ``converged``.

    Raises
    ------
    TypeError
        If ``module`` is not a module or ``x`` is not a floating point tensor.
    ValueError
        If ``x`` has no samples or contains NaN or infinity, if a parameter is out of
        range, or if the output of the module does not have shape (n_samples, n_classes)
        or has no gradient with respect to ``x``.

    Notes
    -----
    With logits ``f``, the class ``k0`` of ``x`` and, at the iterate ``x_i``,

    .. math::
        w'_k = \nabla f_k(x_i) - \nabla f_{k_0}(x_i), \quad
        f'_k = f_k(x_i) - f_{k_0}(x_i), \quad
        l = \arg\min_{k \ne k_0} |f'_k| / \|w'_k\|_q

    (1/p + 1/q = 1), the step to the boundary of class ``l``, if it were a plane, is

    .. math::
        r_i = \frac{|f'_l|}{\|w'_l\|_q^q} |w'_l|^{q-1} \operatorname{sign}(w'_l).

    This implementation goes beyond the paper in five ways:

    - If there are many classes, the unlikely ones are left out. The nearest boundary is
      hardly ever one of theirs.
    - A sample that reaches its boundary leaves the batch, and a new one takes its
      place.
    - From the second step on, a plain forward pass comes first, and only the samples
      that have not flipped get a graph.
    - From the second step on, a gap of logits below rounding, in the precision of ``x``
      or of the logits, is raised to it. Otherwise a sample could stall on the boundary.
    - A sample with no finite ratio (dead ReLUs, NaN) or no finite step is given up at
      once.

    References
    ----------
    .. [1] S.-M. Moosavi-Dezfooli, A. Fawzi, P. Frossard, "DeepFool: a simple and
       accurate method to fool deep neural networks", CVPR 2016, arXiv:1511.04599.
    .. [2] M. Ducoffe, F. Precioso, "Adversarial Active Learning for Deep Networks: a
       Margin Based Approach", 2018, arXiv:1802.09841.

    Examples
    --------
    On an affine classifier, one step is exact: (2, 1) has distance 3 / √2 to the
    boundary between ``f_0 = x_0 + x_1`` and ``f_1 = 0``.

    >>> import torch
    >>> from skdfal import deepfool
    >>> affine = torch.nn.Linear(2, 2)
    >>> _ = affine.weight.data.copy_(torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
    >>> _ = affine.bias.data.zero_()
    >>> result = deepfool(affine, torch.tensor([[2.0, 1.0]]))
    >>> result.norm
    tensor([2.1213])
    >>> result.label.item(), result.adversarial_label.item(), result.n_iter.item()
    (0, 1, 1)
    """
    _check_module_and_input(module, x)
    check_attack_parameters(p, max_iter, overshoot, n_top_classes, batch_size)
    result, _ = deepfool_within(
        module,
        x.detach(),
        math.inf,
        p=p,
        max_iter=max_iter,
        overshoot=overshoot,
        n_top_classes=n_top_classes,
        batch_size=batch_size,
    )
    return result


def deepfool_within(
    module: nn.Module,
    x: Tensor,
    max_norm: float,
    *,
    p: float,
    max_iter: int,
    overshoot: float,
    n_top_classes: int | None,
    batch_size: int | None,
) -> tuple[DeepFoolResult, Tensor]:
    """Run :func:`deepfool` without checks, and give up samples that move too far.

    Parameters
    ----------
    module : torch.nn.Module
        As for :func:`deepfool`.
    x : Tensor of shape (n_samples, ...)
        Samples, detached from any graph.
    max_norm : float
        Largest norm of a perturbation; samples that exceed it are given up.
    p : float
        As for :func:`deepfool`.
    max_iter : int
        As for :func:`deepfool`.
    overshoot : float
        As for :func:`deepfool`.
    n_top_classes, batch_size : int or None
        As for :func:`deepfool`.

    Returns
    -------
    result : DeepFoolResult
        Result of the attack; samples that were given up have not ``converged``.
    too_far : Tensor of shape (n_samples,), bool
        Samples given up because of their norm, not because they got stuck or ran out of
        steps.

    Examples
    --------
    >>> import torch
    >>> from skdfal.adversarial import deepfool_within
    >>> settings = {"p": 2, "max_iter": 9, "overshoot": 0.02}
    >>> settings |= {"n_top_classes": None, "batch_size": 9}
    >>> x = torch.tensor([[-1.0, 1.0], [-1.0, 5.0]])
    >>> found, _ = deepfool_within(torch.nn.Identity(), x, 9.0, **settings)
    >>> found.norm
    tensor([1.4142, 4.2426])
    """
    if batch_size is None:
        batch_size = choose_batch_size(module, x, with_graph=True)
    dtype = x.dtype  # the module's; steps are too small for half precision
    x = x.to(torch.promote_types(dtype, torch.float32))
    with evaluation_mode(module), torch.inference_mode(False), torch.enable_grad():
        n, device = len(x), x.device
        r = torch.zeros_like(x)
        label = torch.zeros(n, dtype=torch.long, device=device)
        adversarial_label, n_iter = label.clone(), label.clone()
        converged = torch.zeros(n, dtype=torch.bool, device=device)
        stuck = converged.clone()
        top = active = label[:0]
        n_started = 0

        while True:
            if len(active):
                with torch.no_grad():
                    x_i = x[active] + (1 + overshoot) * r[active]
                    largest, found = _logits(module, x_i.to(dtype)).max(1)
                # until k(x_i) != k(x_0); NaN does not count as a class
                flipped = (found != label[active]) & ~largest.isnan()
                adversarial_label[active] = torch.where(flipped, found, label[active])
                converged[active] = flipped
                going = ~flipped & (n_iter[active] < max_iter) & ~stuck[active]
                if max_norm < math.inf:
                    going &= _norm(r[active].flatten(1), p) <= max_norm
                active = active[going]

            n_fresh = min(n - n_started, batch_size - len(active))
            fresh = torch.arange(n_started, n_started + n_fresh, device=device)
            active, n_started = torch.cat([active, fresh]), n_started + n_fresh
            if not len(active):
                break

            x_i = (x[active] + (1 + overshoot) * r[active]).requires_grad_()
            # A copy that is part of the graph, since the module may work on it in
            # place.
            logits = _logits(module, x_i.to(dtype, copy=True))  # (a, C)
            precision = max(_eps(dtype), _eps(logits.dtype))
            logits = logits.to(torch.promote_types(logits.dtype, x.dtype))
            if n_fresh:  # k0 and its rivals, by rank, are determined at x_0
                rank = logits[-n_fresh:].argsort(dim=1, descending=True, stable=True)
                rank = rank[:, : n_top_classes or _n_attacked(logits.shape[1])]
                if not len(top):
                    top = rank.new_empty(n, rank.shape[1])
                top[fresh], label[fresh] = rank, rank[:, 0]
            f, w, ratio = nearest_plane(logits.gather(1, top[active]), x_i, p)
            # A step of the size of rounding could stall on the boundary: let it grow.
            size = _largest_in_reach(logits.detach()) + (
                w * x_i.detach().flatten(1)
            ).abs().sum(1)
            rounding = n_iter[active].float() * precision * size.clamp_min(precision)
            r_i = step_onto_plane(torch.maximum(f.abs(), rounding), w, p)
            r_next = r[active].flatten(1) + r_i
            alive = ratio.isfinite() & r_next.abs().amax(1).isfinite()
            r[active[alive]] = r_next[alive].unflatten(1, x.shape[1:])
            n_iter[active] += alive.long()
            stuck[active] = ~alive

    length = _norm(r.flatten(1), p)
    norm = torch.where(converged, length, math.inf)
    result = DeepFoolResult(r, norm, label, adversarial_label, n_iter, converged)
    return result, ~converged & (length > max_norm)


def _n_attacked(n_classes: int) -> int:
    """Number of classes to attack by default; each one costs a gradient."""
    return n_classes if n_classes <= _FEW_CLASSES else _N_LIKELIEST


def nearest_plane(
    top_logits: Tensor, x_i: Tensor, p: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute l = argmin_k |f'_k| / ||w'_k||_q, with one backward pass per rival class.

    ``top_logits`` is (a, K), with the logit of k0 in column 0. Returns f'_l of shape
    (a,), w'_l of shape (a, D) and the ratio of shape (a,), which is infinite where
    undefined.
    """
    q = dual(p)
    n_classes = top_logits.shape[1]
    for k in range(1, n_classes):
        f_k = top_logits[:, k] - top_logits[:, 0]  # f'_k = f_k - f_k0
        w_k = _gradient(f_k, x_i, k < n_classes - 1)  # w'_k = ∇f_k - ∇f_k0
        f_k, w_k = f_k.detach(), w_k.flatten(1)
        ratio_k = f_k.abs() / _norm(w_k, q)
        ratio_k = ratio_k.nan_to_num(nan=math.inf, posinf=math.inf)
        if k == 1:
            f, w, ratio = f_k, w_k, ratio_k
        else:
            nearer = ratio_k < ratio
            f = torch.where(nearer, f_k, f)
            w = torch.where(nearer[:, None], w_k, w)
            ratio = torch.where(nearer, ratio_k, ratio)
    return f, w, ratio


def _gradient(f: Tensor, x_i: Tensor, retain_graph: bool) -> Tensor:
    """Compute ∇f for each sample; same shape as ``x_i``."""
    w = None
    if f.requires_grad:
        (w,) = torch.autograd.grad(
            f.sum(), x_i, retain_graph=retain_graph, allow_unused=True
        )
    if w is None:
        raise ValueError(
            "The output of the module does not depend on x in a way that torch can "
            "differentiate. Return logits, not classes, and do not detach them. Freeze "
            "weights with requires_grad_(False), not with torch.no_grad."
        )
    return w


def step_onto_plane(f: Tensor, w: Tensor, p: float) -> Tensor:
    """Shortest step, in the p-norm, that raises ``w · r`` by ``f >= 0``; (a, D)."""
    if p == 2:
        return (f / w.square().sum(1))[:, None] * w
    if p == math.inf:
        return (f / w.abs().sum(1))[:, None] * w.sign()
    largest, where = w.abs().max(1, keepdim=True)
    if p == 1:  # q = inf: the entire step goes into the steepest coordinate
        return torch.zeros_like(w).scatter(1, where, f[:, None] / w.gather(1, where))
    q = dual(p)
    v = w.abs() / largest  # in [0, 1], so powers cannot overflow
    scale = f[:, None] / (largest * v.pow(q).sum(1, keepdim=True))
    return scale * v.pow(q - 1) * w.sign()


def dual(p: float) -> float:
    """Return the exponent q with 1/p + 1/q = 1."""
    if p == 1:
        return math.inf
    return 1.0 if p == math.inf else p / (p - 1)


def _norm(v: Tensor, p: float) -> Tensor:
    """Compute ||v||_p of each row, (n,); only squares may over- or underflow."""
    if p in (1, 2, math.inf):
        return torch.linalg.vector_norm(v, p, dim=1)
    v = v.abs()
    largest = v.amax(1)
    part = v / largest.where(largest > 0, 1)[:, None]  # in [0, 1]
    return largest * part.pow(p).sum(1).pow(1 / p)


def _logits(module: nn.Module, x: Tensor) -> Tensor:
    logits = first_output(module(x))
    if not isinstance(logits, Tensor):
        raise ValueError(
            f"{type(module).__name__} returned {type(logits).__name__}; deepfool needs "
            "a tensor of logits of shape (n_samples, n_classes), a tuple that starts "
            "with it, or an object that has it as .logits."
        )
    two_or_more = as_two_classes(logits)
    if two_or_more.ndim != 2 or len(two_or_more) != len(x):
        raise ValueError(
            f"{type(module).__name__} returned shape {tuple(logits.shape)} for "
            f"{len(x)} samples; deepfool needs logits of shape (n_samples, n_classes), "
            "or (n_samples,) for two classes. Flatten the remaining axes."
        )
    return two_or_more


def _largest_in_reach(logits: Tensor) -> Tensor:
    """Compute max_k |f_k| of each row, without classes masked by -1e9 or -inf."""
    in_reach = logits > logits.amax(1, keepdim=True) - _OUT_OF_REACH
    return logits.abs().where(in_reach, 0).amax(1)


def _eps(dtype: torch.dtype) -> float:
    """Relative precision of a dtype; integer classes have no rounding."""
    return torch.finfo(dtype).eps if dtype.is_floating_point else 0.0


def _check_module_and_input(module: nn.Module, x: Tensor) -> None:
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"module should be a torch.nn.Module, got {type(module).__name__}. For a "
            "fitted estimator, use deepfool_margin_score."
        )
    if not isinstance(x, Tensor) or not x.is_floating_point():
        what = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"x should be a floating point torch.Tensor, got {what}.")
    if x.layout != torch.strided or x.is_meta:
        raise TypeError("x is a sparse or meta tensor. Pass a dense tensor with data.")
    if x.ndim < 2 or not len(x):
        raise ValueError(
            f"x has shape {tuple(x.shape)}, but should be (n_samples, ...) with at "
            "least one sample. For a single sample use x[None]."
        )
    if not x.isfinite().all():
        raise ValueError("x contains NaN or infinity. Remove them before the attack.")


def check_attack_parameters(
    p: float,
    max_iter: int,
    overshoot: float,
    n_top_classes: int | None,
    batch_size: int | None,
) -> None:
    """Raise if a parameter of DeepFool has the wrong type or is out of range."""

    def check(name: str, value: Any, kind: Any, low: float) -> None:
        if isinstance(value, bool) or not isinstance(value, kind):
            expected = "an integer" if kind is Integral else "a number"
            raise TypeError(f"{name}={value!r} should be {expected} >= {low}.")
        if not value >= low:  # NaN as well
            raise ValueError(f"{name}={value!r} should be >= {low}.")

    check("p", p, Real, 1)
    check("max_iter", max_iter, Integral, 1)
    check("overshoot", overshoot, Real, 0)
    if batch_size is not None:
        check("batch_size", batch_size, Integral, 1)
    if n_top_classes is not None:
        check("n_top_classes", n_top_classes, Integral, 2)
    if overshoot == math.inf:
        raise ValueError("overshoot=inf should be finite.")
