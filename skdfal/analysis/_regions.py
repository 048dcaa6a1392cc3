"""Classification regions: is there a path between two samples that stays in a class?"""

from typing import NamedTuple

import numpy as np
import torch
from sklearn.metrics import pairwise_distances

from skdfal._utils._torch import evaluation_mode
from skdfal._utils._validation import (
    COUNT,
    COUNT_OR_ZERO,
    SCORE_PARAMETERS,
    validate_params,
)
from skdfal.adapter import torch_nets
from skdfal.adapter._training import as_numpy
from skdfal.adversarial._deepfool import nearest_plane, step_onto_plane

_OVERSHOOT = 0.02  # relative to a step towards the class, as in DeepFool
_PUSHES = (0.0, 0.25, 0.5, 1.0)  # how much further an anchor may go, in step lengths

_PATH_PARAMETERS = {
    "n_points": [COUNT],
    "max_depth": [COUNT_OR_ZERO],
    "max_iter": [COUNT],
    **SCORE_PARAMETERS,
}


class RegionPaths(NamedTuple):
    """Paths found between pairs of samples.

    Attributes
    ----------
    connected : ndarray of shape (n_pairs,), bool
        Whether a path was found along which the prediction does not change.
    label_a, label_b : ndarray of shape (n_pairs,)
        Index of the class predicted for each end.
    paths : list of ndarray of shape (n_vertices, ...) or None
        Vertices of each path, including its ends, in the network's input space. A
        straight segment has two of them. None if no path was found.
    """

    connected: np.ndarray
    label_a: np.ndarray
    label_b: np.ndarray
    paths: list


class RegionAgreement(NamedTuple):
    """Whether two networks have samples in the same classification region.

    Attributes
    ----------
    agree : ndarray of shape (n_samples,), bool
        Whether both networks connect the sample with the same anchor.
    connected_a, connected_b : ndarray of shape (n_samples,), bool
        Whether each network connects the sample with any of the anchors tried. False
        if the networks predict different classes or no anchor has their class, since
        nothing is tried then.
    label_a, label_b : ndarray of shape (n_samples,)
        Index of the class that each network predicts.
    anchor : ndarray of shape (n_samples,)
        Index of the anchor that both networks connect with the sample, or -1.
    """

    agree: np.ndarray
    connected_a: np.ndarray
    connected_b: np.ndarray
    label_a: np.ndarray
    label_b: np.ndarray
    anchor: np.ndarray


@validate_params(_PATH_PARAMETERS, prefer_skip_nested_validation=True)
def same_region(
    estimator, X_a, X_b, *, n_points=20, max_depth=5, max_iter=20, batch_size=512
):
    r"""Search for a path between two samples along which the prediction is constant.

    A classification region is a connected set of inputs for which a network predicts
    one class [1]_. The search first tries the straight segment. If the segment leaves
    the class, its worst point is pulled back into the class and becomes an anchor. The
    two segments to the anchor are then treated in the same way.

    Parameters
    ----------
    estimator : fitted estimator
        A skorch net, a Pipeline that ends in one, or a modAL learner around them.
    X_a, X_b : array-like of shape (n_pairs, ...)
        The two ends of each path, in the format that ``fit`` takes.
    n_points : int, default=20
        Number of evenly spaced points checked within each segment.
    max_depth : int, default=5
        How often a segment may be split. A path has at most 2 ** max_depth segments.
    max_iter : int, default=20
        Maximum number of steps that pull an anchor back into its class.
    batch_size : int, default=512
        Number of samples per forward pass.

    Returns
    -------
    result : RegionPaths
        A named tuple of ``connected``, ``label_a``, ``label_b`` and ``paths``.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator has no torch network, or its network takes token numbers or
        several inputs, between which there is no path.
    ValueError
        If the samples do not match in shape, or the network cannot take them.

    See Also
    --------
    region_agreement : The same for two networks and anchors among other samples.

    Notes
    -----
    A path is searched for only if the network predicts the same class c for both ends.
    The points of a segment are the convex combinations :math:`(1 - t) u + t v` of its
    ends, with t = 1/(n_points + 1), ..., n_points/(n_points + 1). The worst point has
    the smallest :math:`f_c - \max_{k \ne c} f_k`, where f are the logits. It is pulled
    back by DeepFool's step from the predicted class k towards c,

    .. math:: \frac{f_k - f_c}{\|w\|_2^2} w, \quad w = \nabla f_c - \nabla f_k,

    until c is predicted. Then it is pushed further in the same direction, up to twice
    as far, to where :math:`f_c` leads most.

    Neither answer is a proof. "Connected" means that no checked point has another
    class. A sliver of another class between two points goes unnoticed; a larger
    ``n_points`` makes this less likely. "Not connected" means that this search found no
    path, although there may be one. Anchors may lie outside the range of the data, such
    as pixels below 0, where the network was never trained.

    The idea comes from [1]_. The choice of the anchors, and how they are pulled back,
    is ours.

    References
    ----------
    .. [1] A. Fawzi, S.-M. Moosavi-Dezfooli, P. Frossard, S. Soatto, "Classification
       regions of deep neural networks", 2017, arXiv:1705.09552.

    Examples
    --------
    The regions of an affine classifier are convex, so straight segments suffice.

    >>> import torch
    >>> from skorch import NeuralNetClassifier
    >>> from skdfal.analysis import same_region
    >>> net = NeuralNetClassifier(torch.nn.Linear(2, 3)).initialize()
    >>> X = torch.randn(6, 2)
    >>> result = same_region(net, X, X.flip(0))
    >>> bool((result.connected == (result.label_a == result.label_b)).all())
    True
    """
    net, ends_a = _net_and_batch(estimator, X_a)
    _, ends_b = _net_and_batch(estimator, X_b)
    if ends_a.shape != ends_b.shape:
        raise ValueError(
            f"X_a has shape {tuple(ends_a.shape)} and X_b {tuple(ends_b.shape)}; "
            "expected equal shapes, since samples are paired."
        )
    search = _PathSearch(net.module, n_points, max_depth, max_iter, batch_size)
    return search.run(ends_a, ends_b)


@validate_params(
    _PATH_PARAMETERS | {"n_anchors": [COUNT]}, prefer_skip_nested_validation=True
)
def region_agreement(
    net_a,
    net_b,
    X,
    anchors,
    *,
    n_anchors=3,
    n_points=20,
    max_depth=5,
    max_iter=20,
    batch_size=512,
):
    """Test for each sample whether two networks have it in the same region.

    This is the second figure of the DFAL paper's supplement [1]_, as we read it. Two
    networks have no common name for a region, so a region is identified by the samples
    in it. The networks agree on a sample if both connect it with the same anchor by a
    path of constant prediction. Anchors are other samples, such as the training set.

    Parameters
    ----------
    net_a, net_b : fitted estimator
        A skorch net, a Pipeline that ends in one, or a modAL learner around them. The
        outputs of both networks must stand for the same classes in the same order.
    X : array-like of shape (n_samples, ...)
        Samples, such as a test set.
    anchors : array-like of shape (n_available, ...)
        Samples to connect with. Those for which the networks predict different classes
        are left out.
    n_anchors : int, default=3
        Number of anchors tried per sample: the nearest ones, in Euclidean distance, of
        the class that both networks predict for the sample.
    n_points, max_depth, max_iter, batch_size : int
        As for :func:`same_region`.

    Returns
    -------
    result : RegionAgreement
        A named tuple of ``agree``, ``connected_a``, ``connected_b``, ``label_a``,
        ``label_b`` and ``anchor``.

    Raises
    ------
    NotFittedError
        If a network is not fitted.
    TypeError
        If an estimator has no torch network, or its network takes token numbers or
        several inputs, between which there is no path.
    ValueError
        If there is no anchor for which both networks predict the same class, or a
        network cannot take the samples.

    See Also
    --------
    same_region : The search for a path, and what it proves.
    skdfal.plot.RegionsDisplay : Plot of the samples in two dimensions.

    Notes
    -----
    The networks never agree on a sample for which they predict different classes. The
    regions of trained networks were found to be largely connected [2]_, so most
    disagreements will be of that kind. ``label_a != label_b`` shows which ones.

    References
    ----------
    .. [1] M. Ducoffe, F. Precioso, "Adversarial Active Learning for Deep Networks: a
       Margin Based Approach", 2018, arXiv:1802.09841, supplement.
    .. [2] A. Fawzi, S.-M. Moosavi-Dezfooli, P. Frossard, S. Soatto, "Classification
       regions of deep neural networks", 2017, arXiv:1705.09552.

    Examples
    --------
    >>> import torch
    >>> from skorch import NeuralNetClassifier
    >>> from skdfal.analysis import region_agreement
    >>> net = NeuralNetClassifier(torch.nn.Linear(2, 2)).initialize()
    >>> X = torch.randn(8, 2)
    >>> region_agreement(net, net, X, X).agree.all()
    np.True_
    """
    samples, targets, searches = [], [], []
    for estimator in (net_a, net_b):
        net, x = _net_and_batch(estimator, X)
        samples.append(x)
        targets.append(_net_and_batch(estimator, anchors)[1])
        searches.append(
            _PathSearch(net.module, n_points, max_depth, max_iter, batch_size)
        )
    labels = [s.predict(x) for s, x in zip(searches, samples, strict=True)]
    anchor_labels = [s.predict(x) for s, x in zip(searches, targets, strict=True)]
    common = np.where(anchor_labels[0] == anchor_labels[1], anchor_labels[0], -1)
    if (common < 0).all():
        raise ValueError(
            f"The networks predict different classes for all {len(common)} anchors, so "
            "no sample can be connected in both. Give more anchors."
        )
    flat, flat_anchors = (_flat(one) for one in (X, anchors))
    tried = _nearest_of_class(flat, flat_anchors, *labels, common, n_anchors)
    connected = np.zeros((2, len(flat)), dtype=bool)
    anchor = np.full(len(flat), -1)
    for nearest in tried.T:  # the nearest anchor of each sample, the second nearest...
        todo = np.flatnonzero((anchor < 0) & (nearest >= 0))
        if not len(todo):
            break
        found = np.array(
            [
                search.run(x[todo], target[nearest[todo]]).connected
                for search, x, target in zip(searches, samples, targets, strict=True)
            ]
        )
        connected[:, todo] |= found
        in_both = todo[found.all(axis=0)]
        anchor[in_both] = nearest[in_both]
    return RegionAgreement(anchor >= 0, *connected, *labels, anchor)


def _net_and_batch(estimator, X):
    """Return the only network in an estimator, and all samples as its input tensor."""
    nets = torch_nets(estimator, X)
    if len(nets) > 1:
        raise ValueError(
            "The members of the Committee transform X differently, so they share no "
            "input space for a path. Pass one of them."
        )
    net = nets[0].for_attack()
    return net, net.batch(np.arange(len(net)))


def _flat(X):
    return np.asarray(as_numpy(X)).reshape(len(X), -1)


def _nearest_of_class(X, anchors, label_a, label_b, anchor_label, n_anchors):
    """Return indices of anchors, (n_samples, n_anchors), nearest first, -1 if none."""
    nearest = np.full((len(X), n_anchors), -1)
    for label in np.unique(anchor_label[anchor_label >= 0]):
        rows = np.flatnonzero((label_a == label) & (label_b == label))
        columns = np.flatnonzero(anchor_label == label)
        if len(rows):
            distance = pairwise_distances(X[rows], anchors[columns])
            order = distance.argsort(axis=1, kind="stable")[:, :n_anchors]
            nearest[rows, : order.shape[1]] = columns[order]
    return nearest


class _PathSearch:
    """Search for paths within the regions of one module, for many pairs at once."""

    def __init__(self, module, n_points, max_depth, max_iter, batch_size):
        self.module = module
        self.n_points = n_points
        self.max_depth = max_depth
        self.max_iter = max_iter
        self.batch_size = batch_size

    def predict(self, x):
        return self._logits(x).argmax(1).cpu().numpy()

    @torch.inference_mode(False)
    def run(self, ends_a, ends_b):
        """Connect the rows of ``ends_a`` with those of ``ends_b``."""
        label_a, label_b = self.predict(ends_a), self.predict(ends_b)
        is_open = label_a == label_b
        target = torch.as_tensor(label_a, device=ends_a.device)
        # The path of pair i is ends_a[i], then its anchors by position in [0, 1].
        anchors = [[] for _ in ends_a]
        pair = torch.as_tensor(np.flatnonzero(is_open), device=ends_a.device)
        u, v = ends_a[pair], ends_b[pair]
        start, length = torch.zeros(len(pair)).double(), 1.0
        for depth in range(self.max_depth + 1):
            if not len(pair):
                break
            worst, leaves = self._worst_points(u, v, target[pair])
            pair, u, v = pair[leaves], u[leaves], v[leaves]
            start, worst = start[leaves.cpu()], worst[leaves]
            if depth == self.max_depth:
                is_open[pair.cpu().numpy()] = False
                break
            anchor, inside = self._pull_back(worst, target[pair])
            is_open[pair[~inside].cpu().numpy()] = False
            # A pair with one failed segment has failed.
            going = torch.as_tensor(is_open, device=pair.device)[pair]
            pair, u, v, anchor = pair[going], u[going], v[going], anchor[going]
            start, length = start[going.cpu()], length / 2
            middle = start + length
            for i, position, point in zip(
                pair.tolist(), middle.tolist(), anchor, strict=True
            ):
                anchors[i].append((position, point))
            pair = torch.cat([pair, pair])
            u, v = torch.cat([u, anchor]), torch.cat([anchor, v])
            start = torch.cat([start, middle])
        paths = [
            _as_path(ends_a[i], anchors[i], ends_b[i]) if is_open[i] else None
            for i in range(len(ends_a))
        ]
        return RegionPaths(is_open, label_a, label_b, paths)

    def _worst_points(self, u, v, target):
        """Return each segment's worst point, and whether it is in another class.

        Shapes (s, ...) and (s,).
        """
        t = torch.arange(1, self.n_points + 1, device=u.device) / (self.n_points + 1)
        t = t.to(u.dtype).view(-1, *[1] * (u.ndim - 1))  # (n_points, 1, ...)
        worst = torch.empty_like(u)
        leaves = torch.zeros(len(u), dtype=torch.bool, device=u.device)
        n_segments = max(1, self.batch_size // self.n_points)
        for rows in torch.arange(len(u), device=u.device).split(n_segments):
            ends = zip(u[rows], v[rows], strict=True)
            points = torch.stack([(1 - t) * a + t * b for a, b in ends])
            c = target[rows].repeat_interleave(self.n_points)
            logits = self._logits(points.flatten(0, 1))
            of_points = (len(rows), self.n_points)
            leaves[rows] = (logits.argmax(1) != c).view(of_points).any(1)
            where = _lead(logits, c).view(of_points).argmin(1)
            worst[rows] = points[torch.arange(len(rows)), where]
        return worst, leaves

    def _pull_back(self, x, target):
        """Move points into their class, and return which of them got there."""
        r = torch.zeros_like(x)
        active = torch.arange(len(x), device=x.device)
        with evaluation_mode(self.module), torch.enable_grad():
            for _ in range(self.max_iter):
                if not len(active):
                    break
                steps = [
                    self._step(x[rows] + (1 + _OVERSHOOT) * r[rows], target[rows])
                    for rows in active.split(self.batch_size)
                ]
                r[active] += torch.cat(steps)
                moved = x[active] + (1 + _OVERSHOOT) * r[active]
                inside = self._logits(moved).argmax(1) == target[active]
                active = active[~inside]
        inside = torch.ones(len(x), dtype=torch.bool, device=x.device)
        inside[active] = False
        return self._pushed(x, (1 + _OVERSHOOT) * r, target), inside

    def _step(self, x_i, target):
        """DeepFool's step from the class at ``x_i`` to the plane of the target."""
        x_i = x_i.detach().requires_grad_()
        logits = self.module(x_i)
        f_c = logits.gather(1, target[:, None])
        f_k = _without(logits, target).amax(1, keepdim=True)
        f, w, ratio = nearest_plane(torch.cat([f_k, f_c], dim=1), x_i, p=2)
        step = step_onto_plane(f.abs(), w, p=2)
        # Without a gradient the point stays where it is.
        return torch.where(ratio.isfinite()[:, None], step, 0).view_as(x_i)

    def _pushed(self, x, r, target):
        """Move on along ``r`` to where the class leads most."""
        points = torch.stack([x + (1 + push) * r for push in _PUSHES])
        lead = torch.stack([_lead(self._logits(p), target) for p in points])
        return points[lead.argmax(0), torch.arange(len(x), device=x.device)]

    def _logits(self, x):
        with evaluation_mode(self.module), torch.no_grad():
            return torch.cat([self.module(part) for part in x.split(self.batch_size)])


def _lead(logits, target):
    """Return f_c - max_{k != c} f_k, shape (n,): negative outside of class c."""
    f_c = logits.gather(1, target[:, None])[:, 0]
    return f_c - _without(logits, target).amax(1)


def _without(logits, target):
    return logits.scatter(1, target[:, None], -torch.inf)


def _as_path(a, anchors, b):
    corners = [a, *(point for _, point in sorted(anchors, key=lambda one: one[0])), b]
    return torch.stack(corners).cpu().numpy()
