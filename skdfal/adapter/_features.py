"""Features of a net as an array: the public function."""

import numpy as np
from torch import nn

from skdfal._utils._validation import COUNT, validate_params
from skdfal.adapter._answers import map_features
from skdfal.pool import as_pool


@validate_params(
    {
        "layer": [str, nn.Module, None],
        "batch_size": [COUNT, None],
        "out": [np.ndarray, None],
    },
    prefer_skip_nested_validation=True,
)
def features(estimator, X, *, layer=None, batch_size=None, out=None):
    """Return the features of samples, computed by the hidden layers of a net.

    Features can be reused in as many rounds as the net stays the same. For example,
    train a linear head on the features of a pretrained net, and query with this head on
    the features, in milliseconds.

    Parameters
    ----------
    estimator : fitted estimator
        A skorch net, a Pipeline ending in one, or a modAL learner or committee wrapping
        these. The features of committee members are concatenated.
    X : array-like of shape (n_samples, ...)
        Samples, in any format that ``fit`` and :func:`skdfal.pool.as_pool` take. They
        are read block by block.
    layer : str, nn.Module or None, default=None
        Layer whose flattened output is returned, given as a module or by its name in
        ``named_modules()``. If None, the input of the last linear layer is used.
    batch_size : int or None, default=None
        Number of samples per forward pass. If None, it is chosen from the memory that
        one sample needs.
    out : ndarray of shape (n_samples, n_features), default=None
        Array to write the features to, such as a :func:`numpy.lib.format.open_memmap`
        if they do not fit into memory. If None, a new array is created.

    Returns
    -------
    features : ndarray of shape (n_samples, n_features)
        Features, in the precision of the net; float32 for half precision. ``out`` if
        given.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator contains no torch net.
    ValueError
        If the module has no such ``layer``, if ``layer`` is None and it has no linear
        layer, if ``out`` has the wrong shape or no floating point dtype, or if ``X`` is
        empty, contains NaN or infinity, or has a shape that the net cannot take.

    See Also
    --------
    deepfool_margin_score : In closed form for a head of one linear layer.

    Examples
    --------
    >>> import numpy as np
    >>> from skdfal import dfal, features, make_classifier
    >>> net = make_classifier("lenet5", image_size=16).initialize()
    >>> X = np.random.default_rng(0).random((20, 1, 16, 16), dtype=np.float32)
    >>> Z = features(net, X)
    >>> Z.shape, Z.dtype
    ((20, 84), dtype('float32'))
    >>> from torch import nn
    >>> head = make_classifier(nn.Linear(84, 10)).initialize()
    >>> dfal(head, Z, n_instances=5).shape
    (5,)
    """
    if out is not None and out.dtype.kind != "f":
        raise ValueError(f"out has dtype {out.dtype}, but features need float32.")
    pool, start = as_pool(X), 0
    for block in map_features(estimator, pool, batch_size, layer):
        shape = (len(pool), block.shape[1])
        if out is None:
            out = np.empty(shape, block.dtype)
        elif out.shape != shape:
            raise ValueError(f"out has shape {out.shape}, but the features {shape}.")
        out[start : start + len(block)] = block
        start += len(block)
    return out
