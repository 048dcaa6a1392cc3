"""A cheap proxy of the margin, which determines the order of the attacks."""

import torch
from torch import nn

from skdfal._utils._torch import evaluation_mode

# These normalise each sample, so the last layer no longer sees the distance to the
# boundary. They occur in transformers and ConvNeXt.
_NORMS = (nn.LayerNorm, nn.MultiheadAttention)


def margin_proxy(net):
    """Estimate the margin of every sample, up to a common factor; (n,).

    The estimate comes from the last layer, by a forward pass. If a layer of the net
    normalises each sample by itself, it is of first order in the input instead, which
    takes a backward pass in addition.
    """
    has_norms = any(isinstance(layer, _NORMS) for layer in net.module.modules())
    proxy = torch.cat(list(_first_order(net))) if has_norms else _of_last_layer(net)
    return proxy.cpu().numpy()


def _of_last_layer(net):
    """min_k (f_k0 - f_k) / ||W_k0 - W_k||; the gap without a linear layer; (n,)."""
    W = _last_weights(net).to(net.device)  # (C, D)
    distance = torch.cdist(W, W)  # (C, C)
    logits = net.logits()  # (n, C)
    largest, k0 = logits.max(1)
    ratio = (largest[:, None] - logits) / distance[k0].to(logits)
    ratio.scatter_(1, k0[:, None], torch.inf)
    return ratio.nan_to_num(torch.inf).amin(1)


def _first_order(net):
    """Yield g / ||∇g||, where g is the gap between the two largest logits; (b,)."""
    for x in net.batches(net.batch_size(None, with_graph=True)):
        with (
            evaluation_mode(net.module),
            torch.inference_mode(False),
            torch.enable_grad(),
        ):
            x_0 = x.clone().requires_grad_()
            first, second = net.module(x_0).topk(2, dim=1).values.T
            gap = net.finite(first - second)
            if not gap.requires_grad:  # the attack will raise
                yield gap
                continue
            (w,) = torch.autograd.grad(gap.sum(), x_0, materialize_grads=True)
        yield (gap.detach() / w.flatten(1).norm(dim=1)).nan_to_num(torch.inf)


def _last_weights(net):
    """Weights of the logits, (C, D); the identity if they are not a linear layer."""
    if net.linear is not None:
        W = net.linear.weight.detach().float()
        if len(W) == 1:  # one logit for two classes
            W = torch.cat([torch.zeros_like(W), W])
        if len(W) == net.n_outputs:
            return W[: net.n_classes]
    return torch.eye(net.n_classes)
