"""K-center covers as the papers write them: plain loops, every subset tried."""

import itertools
import math


def distance(x, y):
    return math.sqrt(sum((a - b) ** 2 for a, b in zip(x, y, strict=True)))


def radius(X, centers, X_labeled=(), n_outliers=0):
    """max_i min_{j in s} d(i, j), the n_outliers largest left aside."""
    s = [X[j] for j in centers] + list(X_labeled)
    nearest = sorted(min(distance(x, y) for y in s) for x in X)
    kept = nearest[: max(0, len(nearest) - n_outliers)]
    return kept[-1] if kept else 0.0


def greedy(X, n_centers, X_labeled=()):
    """u = argmax_i min_{j in s} d(i, j); without s, the sample nearest the mean."""
    centers = []
    if len(X_labeled) == 0:
        mean = [sum(column) / len(X) for column in zip(*X, strict=True)]
        to_mean = [distance(x, mean) for x in X]
        centers.append(to_mean.index(min(to_mean)))
    while len(centers) < n_centers:
        s = [X[j] for j in centers] + list(X_labeled)
        score = [
            -1 if i in centers else min(distance(x, y) for y in s)
            for i, x in enumerate(X)
        ]
        centers.append(score.index(max(score)))
    return centers


def smallest_radius(X, n_centers, X_labeled=(), n_outliers=0):
    """Return the optimum, by trying every choice of centers."""
    return min(
        radius(X, centers, X_labeled, n_outliers)
        for centers in itertools.combinations(range(len(X)), n_centers)
    )
