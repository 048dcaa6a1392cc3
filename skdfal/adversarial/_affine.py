"""DeepFool's margin in closed form, for logits that are affine in the sample."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from skdfal.adversarial._deepfool import dual

# In evaluation mode, these layers return their input, possibly reshaped.
_PASS_ON = (
    nn.AlphaDropout,
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.FeatureAlphaDropout,
    nn.Flatten,
    nn.Identity,
)
# Number of samples whose logits are processed at once, to stay within caches.
_ROWS = 1024
_HOOKS = ("_forward_hooks", "_forward_pre_hooks")


class AffineForm(NamedTuple):
    """Logits ``f(x) = W x + b`` of the flattened sample.

    Attributes
    ----------
    W : Tensor of shape (n_classes, n_features)
        Weight matrix.
    b : Tensor of shape (n_classes,)
        Offsets.
    """

    W: Tensor
    b: Tensor


def affine_form(module: nn.Module) -> AffineForm | None:
    """Return the affine form of a module, if it certainly has one.

    This covers a ``Linear``, and a ``Sequential`` of one ``Linear`` and layers that
    change no value in evaluation mode (``Identity``, dropout, or ``Flatten`` before
    it). A final ``LogSoftmax`` over the classes is ignored, since it leaves differences
    of logits unchanged.

    Parameters
    ----------
    module : nn.Module
        Any module.

    Returns
    -------
    form : AffineForm or None
        Weights and offsets for two or more classes; a single logit is completed by a
        row of zeros. None if the module is anything else, has hooks, or computes in
        half precision.

    Examples
    --------
    >>> from torch import nn
    >>> from skdfal.adversarial import affine_form
    >>> head = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(6, 3))
    >>> affine_form(head).W.shape
    torch.Size([3, 6])
    >>> affine_form(nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 3))) is None
    True
    """
    layers = _layers(module)
    if layers and type(layers[-1]) is nn.LogSoftmax and layers[-1].dim in (1, -1):
        layers = layers[:-1]
    if any(getattr(m, name) for m in module.modules() for name in _HOOKS):
        return None
    linears = [layer for layer in layers if type(layer) is nn.Linear]
    kinds = {type(layer) for layer in layers}
    if len(linears) != 1 or not kinds.issubset({nn.Linear, *_PASS_ON}):
        return None
    linear = linears[0]
    after = layers[layers.index(linear) + 1 :]
    if any(type(layer) is nn.Flatten and layer.start_dim != 0 for layer in after):
        return None  # the input may have had several vectors per sample
    W = linear.weight.detach()
    if W.dtype not in (torch.float32, torch.float64):
        return None
    bias = linear.bias
    b = W.new_zeros(len(W)) if bias is None else bias.detach()
    if len(W) == 1:
        return AffineForm(torch.cat([torch.zeros_like(W), W]), torch.cat([0 * b, b]))
    return AffineForm(W, b)


def _layers(module: nn.Module) -> list[nn.Module]:
    """List the layers of nested ``Sequential`` modules in order."""
    if type(module) is nn.Sequential:
        return [layer for child in module for layer in _layers(child)]
    return [module]


def affine_margins(
    form: AffineForm, x: Tensor, p: float = 2, n_top_classes: int | None = None
) -> Tensor:
    r"""Distance of samples to the nearest boundary of an affine classifier.

    Equals, up to rounding, what :func:`deepfool` finds here in one step, but needs no
    gradients.

    Parameters
    ----------
    form : AffineForm
        Weights and offsets.
    x : Tensor of shape (n_samples, ...)
        Samples, on the device and of the dtype of the form.
    p : float in [1, inf], default=2
        Order of the lp norm in which the distance is measured.
    n_top_classes : int >= 2 or None, default=None
        Number of most likely classes whose boundaries are considered, including the
        predicted one. If None, all classes are considered: unlike in :func:`deepfool`,
        which by default skips the unlikely ones when there are more than 20, they cost
        nothing here.

    Returns
    -------
    margin : Tensor of shape (n_samples,)
        :math:`\min_{k \ne k_0} |f_k - f_{k_0}| / \|W_k - W_{k_0}\|_q`, with 1/p + 1/q =
        1; infinite if no class differs from the predicted one.

    Examples
    --------
    >>> import torch
    >>> from skdfal.adversarial import AffineForm, affine_margins
    >>> form = AffineForm(torch.eye(2), torch.zeros(2))
    >>> affine_margins(form, torch.tensor([[3.0, 1.0]]))
    tensor([1.4142])
    """
    q = dual(p)
    scale = form.W.abs().max().clamp_min(torch.finfo(form.W.dtype).tiny)
    W = form.W / scale  # no power overflows
    norm = scale * torch.cdist(W, W, q, "donot_use_mm_for_euclid_dist")  # ||w'_k||_q
    parts = x.flatten(1).split(_ROWS)
    return torch.cat([_nearest(form, norm, part, n_top_classes) for part in parts])


def _nearest(
    form: AffineForm, norm: Tensor, x: Tensor, n_top_classes: int | None
) -> Tensor:
    f = torch.addmm(form.b, x, form.W.T)  # (n, C)
    top, k_0 = f.max(1, keepdim=True)
    ratio = (top - f) / norm[k_0[:, 0]]
    ratio.scatter_(1, k_0, math.inf)
    if n_top_classes is not None and n_top_classes < f.shape[1]:
        rank = f.argsort(dim=1, descending=True, stable=True)
        ratio.scatter_(1, rank[:, n_top_classes:], math.inf)
    return ratio.nan_to_num_(nan=math.inf, posinf=math.inf).amin(1)
