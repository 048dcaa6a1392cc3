"""DeepFool, slowly: one sample, one class at a time, the paper's letters."""

import numpy as np
import torch


def deepfool_one(module, x_0, p=2, max_iter=50, overshoot=0.02):
    """Return (r, number of steps, flipped) for one sample, in the module's dtype."""
    q = {1: np.inf, np.inf: 1}.get(p) or p / (p - 1)

    def f(x):
        return module(x[None])[0]

    k_0 = int(f(x_0).argmax())
    r = torch.zeros_like(x_0)
    for i in range(max_iter):
        x_i = (x_0 + (1 + overshoot) * r).requires_grad_()
        f_i = f(x_i)
        if int(f_i.argmax()) != k_0:
            return r, i, True
        gradient = [
            torch.autograd.grad(f_i[k], x_i, retain_graph=True)[0]
            for k in range(len(f_i))
        ]
        best, nearest = np.inf, None
        for k in range(len(f_i)):
            if k == k_0:
                continue
            w_k = gradient[k] - gradient[k_0]
            f_k = (f_i[k] - f_i[k_0]).item()
            norm = float(torch.linalg.vector_norm(w_k.flatten(), q))
            if norm > 0 and abs(f_k) / norm < best:
                best, nearest = abs(f_k) / norm, (f_k, w_k)
        if nearest is None:
            return r, i, False
        f_l, w_l = nearest
        if p == 2:
            r_i = abs(f_l) / float((w_l**2).sum()) * w_l
        elif p == np.inf:
            r_i = abs(f_l) / float(w_l.abs().sum()) * w_l.sign()
        elif p == 1:  # q = inf: the whole step into the largest component
            r_i = torch.zeros_like(w_l).flatten()
            j = int(w_l.abs().flatten().argmax())
            r_i[j] = abs(f_l) / w_l.flatten()[j]
            r_i = r_i.view_as(w_l)
        else:
            r_i = abs(f_l) / float((w_l.abs() ** q).sum())
            r_i = r_i * w_l.abs() ** (q - 1) * w_l.sign()
        r = r + r_i
    flipped = int(f(x_0 + (1 + overshoot) * r).argmax()) != k_0
    return r, max_iter, flipped
