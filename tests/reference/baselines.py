"""The baselines, slowly: one sample, one class, one draw at a time."""

import math

import numpy as np
import torch


def entropy_one(p):
    return -sum(p_c * math.log(p_c) for p_c in p if p_c > 0)


def mutual_information_one(draws):
    """BALD of one sample from its draws, a list of lists of probabilities."""
    n_draws, n_classes = len(draws), len(draws[0])
    mean = [sum(p[c] for p in draws) / n_draws for c in range(n_classes)]
    return entropy_one(mean) - sum(entropy_one(p) for p in draws) / n_draws


def egl_one(module, x, parameters=None):
    """Σ_c p_c ||∂CE(x, c)/∂θ||_2 of one sample, by one backward pass per class."""
    if parameters is None:
        parameters = [w for w in module.parameters() if w.requires_grad]
    p = module(x[None]).softmax(1)[0].detach()
    total = 0.0
    for c in range(len(p)):
        loss = torch.nn.functional.cross_entropy(module(x[None]), torch.tensor([c]))
        gradient = torch.autograd.grad(loss, parameters, allow_unused=True)
        square = sum(float((g.double() ** 2).sum()) for g in gradient if g is not None)
        total += float(p[c]) * math.sqrt(square)
    return total


def egl(module, X, parameters=None):
    module.eval()
    return np.array([egl_one(module, x, parameters) for x in torch.as_tensor(X)])


def log_det_information(L, S, diversity):
    """F(S) = log det(I + δ L_S) / δ."""
    S = list(S)
    minor = L[np.ix_(S, S)]
    return np.linalg.slogdet(np.eye(len(S)) + diversity * minor)[1] / diversity
