"""Solutions of the exercises of "Active learning in one hour".

Each solution has the same name as in the notebook: paste it into the cell of its
exercise.
"""

import numpy as np
import torch

from skdfal import dfal


# Exercise 1: doubt in one line.
def entropy(proba):
    log_proba = np.log(np.where(proba > 0, proba, 1))  # log 1 = 0 in place of log 0
    return -(proba * log_proba).sum(axis=1)


# Exercise 2: margins of a linear classifier.
def linear_margin(points, w, b):
    f = points @ w + b  # one number per point
    return abs(f) / np.linalg.norm(w)


# Exercise 3: DeepFool for more than two classes.
def deepfool_for_many(net, x, overshoot=0.02, max_iter=50):
    def logits(z):
        return net(z[None])[0]

    k0 = logits(x).argmax()
    r = torch.zeros_like(x)
    for _ in range(max_iter):
        x_i = x + (1 + overshoot) * r
        f = logits(x_i).detach()
        if f.argmax() != k0:
            break
        gradient = torch.autograd.functional.jacobian(logits, x_i)
        w = gradient - gradient[k0]
        norm = w.flatten(1).norm(dim=1)
        ratio = (f - f[k0]).abs() / norm
        ratio[k0] = torch.inf  # its plane is 0 = 0
        best = ratio.argmin()  # l of the formula
        r = r + ratio[best] / norm[best] * w[best]
    return r


# Exercise 4: which images does it query?
def last_asked(learner):
    return learner.annotated_indices_[-10:]


# Exercise 5: a fair comparison. Copies do about as well as twins here; the cells after
# the exercise explain what this means.
class Copies:
    is_lasting = True  # what is added stays for all later rounds

    def augment(self, estimator, X, y, X_pool, n_round):
        return X, y


# Exercise 6: save it. The random half finds the island in most trials. Random sampling
# alone, which spreads over the pool, is hard to beat in this world. Methods that cover
# the pool, such as CORE-SET, need no luck.
def my_strategy(estimator, X, n_instances=1, *, random_state=None):
    near = dfal(estimator, X, n_instances - n_instances // 2)
    rest = np.setdiff1d(np.arange(len(X)), near)
    rng = np.random.default_rng(random_state)
    far = rng.choice(rest, n_instances // 2, replace=False)
    return np.r_[near, far]
