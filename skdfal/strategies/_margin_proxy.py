"""What one forward pass says of margins: the order in which samples are attacked."""

import torch


def margin_proxy(net):
    """min_k (f_k0 - f_k) / ||W_k0 - W_k||, the margin seen from the last layer; (n,).

    One forward pass; for a net without a last linear layer of logits the plain gap.
    """
    W = _last_weights(net).to(net.device)  # (C, D)
    distance = torch.cdist(W, W)  # (C, C)
    proxy = []
    for logits in net.logits_by_batch():  # (b, C)
        largest, k0 = logits.max(1)
        ratio = (largest[:, None] - logits) / distance[k0].to(logits)
        ratio.scatter_(1, k0[:, None], torch.inf)
        proxy.append(ratio.nan_to_num(torch.inf).amin(1))
    return torch.cat(proxy).cpu().numpy()


def _last_weights(net):
    """Weights of the logits, (C, D); an identity where they are not a linear layer."""
    if net.linear is not None:
        W = net.linear.weight.detach().float()
        if len(W) == 1:  # one logit for two classes
            W = torch.cat([torch.zeros_like(W), W])
        if len(W) == net.n_outputs:
            return W[: net.n_classes]
    return torch.eye(net.n_classes)
