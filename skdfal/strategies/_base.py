"""The registry of query strategies: each query function with its metadata.

A strategy file registers its function once, together with everything that other parts
of the package need to know about it. The command line, experiments, plots, tables, docs
and the common tests all read this registry; none of them keeps its own list of
strategies.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from sklearn.utils import check_random_state

from skdfal._utils._names import did_you_mean
from skdfal.pool import as_pool

# Parameters for nets without dropout layers, for strategies that need dropout; the rate
# is the one in the TA-VAAL code.
_DROPOUT = {"resnet18": {"module__dropout": 0.3}}

_NEEDS = (
    *("nothing", "probabilities"),
    *("dropout", "features", "gradients", "input", "loss prediction"),
)


@dataclass(frozen=True)
class Strategy:
    """A query function with its metadata.

    Parameters
    ----------
    name : str
        Name used in ``query_strategy`` and on the command line.
    function : callable
        Query function ``(estimator, X, n_instances, *, ...) -> indices``, as in modAL.
    label : str
        Display name in tables and plots.
    needs : {"nothing", "probabilities", "dropout", "features", "gradients", \
"input", "loss prediction"}
        What the strategy needs from the estimator. For "nothing" and "probabilities"
        any classifier will do; all other values require a net. "input" means the
        samples in the form that the net receives.
    score : callable or None
        Score whose largest values are queried. None if the query is not a top-k
        selection.
    augmenter : type or None
        Class of the augmenter whose samples the loop adds to the annotated ones for
        training. The loop creates the instance.
    n_candidates : int or None
        Default number of candidates in the loop, the K of the DFAL paper. If None, the
        whole pool is considered.
    style : (str, str, str) or None
        Colour, line style ("solid", "dashed", "dashdot", "dashdotdot", "dotted") and
        marker in plots, as named by matplotlib.
    paper : str or None
        Short reference: authors and year.
    in_dfal_paper : bool
        Whether Table 1 of the DFAL paper lists the strategy.
    net_params : dict or None
        Parameters that :func:`skdfal.nets.make_classifier` needs to create a net for
        this strategy, such as ``{"loss_prediction": "margin"}``. They are used wherever
        a net is created for a strategy given by name.
    min_image_size : int or None
        Minimum height and width of images in pixels, for strategies that accept images
        only. None if samples may have any shape.

    Examples
    --------
    >>> from skdfal.strategies import describe
    >>> describe("core_set").label, describe("dfal").n_candidates
    ('CORE-SET', 800)
    """

    name: str
    function: Callable
    label: str
    needs: str = "nothing"
    score: Callable | None = None
    augmenter: type | None = None
    n_candidates: int | None = None
    style: tuple[str, str, str] | None = None
    paper: str | None = None
    in_dfal_paper: bool = False
    net_params: dict | None = None
    min_image_size: int | None = None

    @property
    def needs_net(self):
        """Whether the estimator must contain a net."""
        return self.needs in _NEEDS[2:]

    def params_for(self, net):
        """Return the parameters for creating a net that suits this strategy.

        Parameters
        ----------
        net : str
            Name of a net in :func:`skdfal.nets.make_classifier`, or any other name.

        Returns
        -------
        params : dict
            ``net_params``, plus a dropout rate if the strategy needs dropout and the
            net has none by default.

        Examples
        --------
        >>> from skdfal.strategies import describe
        >>> describe("bald").params_for("resnet18")
        {'module__dropout': 0.3}
        >>> describe("bald").params_for("lenet5")
        {}
        """
        dropout = _DROPOUT.get(net, {}) if self.needs == "dropout" else {}
        return dropout | (self.net_params or {})


_REGISTRY: dict[str, Strategy] = {}


class _Functions(Mapping):
    """Mapping from name to function of all strategies registered so far."""

    def __getitem__(self, name):
        return _REGISTRY[name].function

    def __iter__(self):
        return iter(_REGISTRY)

    def __len__(self):
        return len(_REGISTRY)

    def __repr__(self):
        return f"{{{', '.join(f'{n!r}: {f.__name__}' for n, f in self.items())}}}"


STRATEGIES = _Functions()


def register(name, *, label=None, needs="nothing", **fields):
    """Register a query function under a name, with its metadata.

    Parameters
    ----------
    name : str
        Name that is not taken yet. One function may have several names.
    label : str, default=None
        Display name in tables and plots. If None, it is ``name``.
    needs : {"nothing", "probabilities", "dropout", "features", "gradients", \
"input", "loss prediction"}, default="nothing"
        What the strategy needs from the estimator.
    **fields : dict
        Other fields of :class:`Strategy`.

    Returns
    -------
    decorator : callable
        Decorator that registers the function and returns it unchanged.

    Raises
    ------
    ValueError
        If the name belongs to another function, or ``needs`` is unknown.
    TypeError
        If the name is not a string, the augmenter not a class, or the function not
        callable.

    Examples
    --------
    >>> import numpy as np
    >>> from skdfal.strategies import STRATEGIES, describe, register
    >>> @register("first", label="FIRST")
    ... def first_sampling(estimator, X, n_instances=1):
    ...     return np.arange(n_instances)
    >>> STRATEGIES["first"] is first_sampling, describe(first_sampling).label
    (True, 'FIRST')
    >>> unregister("first")
    """
    if not isinstance(name, str):
        raise TypeError(
            f"{name=} should be a string. Write @register('name') above the function."
        )
    if needs not in _NEEDS:
        raise ValueError(f"{needs=} should be one of {', '.join(_NEEDS)}.")
    augmenter = fields.get("augmenter")
    if augmenter is not None and not isinstance(augmenter, type):
        raise TypeError(
            f"{augmenter=} should be a class; the loop creates the instance."
        )

    def decorator(function):
        if not callable(function):
            raise TypeError(
                f"{function!r} should be a function (estimator, X, n_instances)."
            )
        known = _REGISTRY.get(name)
        if known is not None and _place(known.function) != _place(function):
            raise ValueError(
                f"{name!r} is already the name of {known.function.__qualname__}. "
                "Choose another."
            )
        _REGISTRY[name] = Strategy(name, function, label or name, needs, **fields)
        return function

    return decorator


def _place(function):
    """Where a function is defined; a reloaded module may register it again."""
    return function.__module__, function.__qualname__


def unregister(name):
    """Remove a strategy from the registry.

    Parameters
    ----------
    name : str
        Name of the strategy.

    Examples
    --------
    >>> from skdfal.strategies import register, unregister
    >>> _ = register("mine")(lambda estimator, X, n_instances: range(n_instances))
    >>> unregister("mine")
    """
    del _REGISTRY[name]


def describe(strategy):
    """Return the metadata of a strategy.

    Parameters
    ----------
    strategy : str or callable
        Name in ``STRATEGIES``, query function, or ``functools.partial`` of a query
        function, which keeps the metadata of the function.

    Returns
    -------
    strategy : Strategy
        Registered metadata; for an unregistered function, only its name. The
        ``function`` field holds the function that was passed.

    Raises
    ------
    ValueError
        If there is no strategy of this name.
    TypeError
        If ``strategy`` is neither a name nor callable.

    Examples
    --------
    >>> from functools import partial
    >>> import skdfal
    >>> from skdfal.strategies import describe
    >>> describe(partial(skdfal.dfal, p=1)).augmenter
    <class 'skdfal.augment._adversarial.AdversarialAugmenter'>
    """
    if isinstance(strategy, str):
        if strategy not in _REGISTRY:
            raise ValueError(
                f"{strategy!r} is not a query strategy; known are "
                f"{', '.join(_REGISTRY)}."
                f"{did_you_mean(strategy, _REGISTRY)}"
            )
        return _REGISTRY[strategy]
    if not callable(strategy):
        raise TypeError(
            f"{strategy!r} should be the name of a query strategy or a function "
            "(estimator, X, n_instances)."
        )
    function = innermost(strategy)
    for known in _REGISTRY.values():
        if known.function is function:
            return replace(known, function=strategy)
    name = getattr(function, "__name__", type(function).__name__)
    return Strategy(name, strategy, name)


def innermost(function):
    """Return the function inside nested partials; any other function unchanged."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def top_k(score, n_instances):
    """Return the indices of the ``n_instances`` largest scores, largest first.

    Equal scores keep the order of the pool. NaN indicates a bug in the score and
    raises.

    Parameters
    ----------
    score : ndarray of shape (n_samples,), or iterable of such
        Scores, as one array or in consecutive blocks. Blocks are not kept in memory.
    n_instances : int
        Number of scores to return.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Positions among all scores.
    """
    blocks = [score] if isinstance(score, np.ndarray) else score
    found, _ = best_of(blocks, n_instances)
    return found


def best_of(blocks, n):
    """Return the positions of the ``n`` largest scores and these scores.

    Parameters
    ----------
    blocks : iterable of ndarray of shape (n_samples,)
        Scores in consecutive blocks. Blocks are not kept in memory.
    n : int
        Number of scores to return; all of them if there are fewer.

    Returns
    -------
    position : ndarray of shape (n,)
        Positions among all scores, largest score first. Equal scores keep their order.
    score : ndarray of shape (n,)
        Scores at these positions.
    """
    position, score, start = np.empty(0, np.intp), np.empty(0), 0
    for block in _at_least(n, blocks):
        if np.isnan(block).any():
            raise ValueError(f"{np.isnan(block).sum()} of {len(block)} scores are NaN.")
        # Ties go to earlier blocks, so only strictly larger scores can enter.
        worst = score[-1] if len(score) == n else None
        new = np.arange(len(block)) if worst is None else np.flatnonzero(block > worst)
        position = np.concatenate([position, start + new])
        score = np.concatenate([score, block[new]])
        first = np.argsort(-score, kind="stable")[:n]
        position, score, start = position[first], score[first], start + len(block)
    return position, score


def _at_least(n, blocks):
    """Merge blocks until each has ``n`` scores or more, which makes sorting cheap."""
    waiting = []
    for block in blocks:
        waiting.append(block)
        if sum(map(len, waiting)) >= n:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)


def draw_candidates(X, n_instances, n_candidates=None, random_state=None):
    """Return the samples to score: the paper's S_k, or the whole pool.

    Parameters
    ----------
    X : pool or array-like
        Unlabelled pool.
    n_instances : int
        Number of samples to query.
    n_candidates : int or None
        Number of candidates drawn at random from the pool. If None, the whole pool is
        used.
    random_state : int, RandomState instance or None
        Controls the random choice of candidates.

    Returns
    -------
    S_k : ndarray of shape (n_candidates,)
        Positions in ``X``. For the whole pool, an object of that length that maps
        positions to themselves and needs no memory.
    view : Pool
        View of these samples.

    Raises
    ------
    ValueError
        If more samples are requested than there are.
    """
    pool = as_pool(X)
    n_samples = len(pool)
    if n_candidates is not None and n_candidates > n_samples:
        raise ValueError(f"{n_candidates=} should be <= {n_samples=}.")
    if n_instances > n_samples:
        raise ValueError(f"{n_instances=} should be <= {n_samples=}.")
    if n_candidates is None:
        return _Everything(n_samples), pool
    if n_instances > n_candidates:
        raise ValueError(f"{n_instances=} should be <= {n_candidates=}.")
    S_k = check_random_state(random_state).choice(
        n_samples, n_candidates, replace=False
    )
    return S_k, pool.view(S_k)


class _Everything:
    """Positions 0, 1, ... of a whole pool, without storing them."""

    def __init__(self, n_samples):
        self.n_samples = n_samples

    def __len__(self):
        return self.n_samples

    def __getitem__(self, positions):
        return np.asarray(positions, dtype=np.int64)
