"""What a strategy is: a query function, and beside it what it brings along.

A strategy file registers its function once, with everything that others need to know
of it. Command line, experiments, pictures, tables, docs and the common tests read it
from here; nobody keeps a list of strategies of their own.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from sklearn.utils import check_random_state

from skdfal._utils._names import did_you_mean
from skdfal.pool import as_pool

# What nets that have no dropout of their own get for strategies that draw by it; that
# of the TA-VAAL code.
_DROPOUT = {"resnet18": {"module__dropout": 0.3}}

_NEEDS = (
    *("nothing", "probabilities"),
    *("dropout", "features", "gradients", "input", "loss prediction"),
)


@dataclass(frozen=True)
class Strategy:
    """A query function and what it brings along.

    Parameters
    ----------
    name : str
        By which ``query_strategy`` and the command line know it.
    function : callable
        ``(estimator, X, n_instances, *, ...) -> indices``, modAL's query strategy.
    label : str
        What tables and pictures call it.
    needs : {"nothing", "probabilities", "dropout", "features", "gradients", \
"input", "loss prediction"}
        What it asks the estimator for. Up to "probabilities" any classifier will do,
        beyond it there has to be a net; "input" is the samples as the net sees them.
    score : callable or None
        The score whose largest values it queries; None where it is no top-k.
    augmenter : type or None
        What the loop trains on beside the annotated samples: the class, which the loop
        constructs.
    n_candidates : int or None
        How many samples of the pool the loop lets it look at, unless told otherwise:
        the K of the DFAL paper. None is the whole pool.
    style : (str, str, str) or None
        Colour, line ("solid", "dashed", "dashdot", "dashdotdot", "dotted") and marker
        in pictures, in the words of matplotlib.
    paper : str or None
        Where it comes from, in short: authors and year.
    in_dfal_paper : bool
        Whether Table 1 of the DFAL paper has it.
    net_params : dict or None
        What :func:`skdfal.nets.make_classifier` has to be given for a net that it can
        ask, such as ``{"loss_prediction": "margin"}``: where a net is made for a
        strategy by name, it is made so.
    min_image_size : int or None
        The fewest pixels a side of pictures that it can look at, where it takes
        nothing but pictures; None takes samples of any shape.

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
        """Whether the estimator must have a net in it."""
        return self.needs in _NEEDS[2:]

    def params_for(self, net):
        """Return what a net is to be made with, so that the strategy can ask it.

        Parameters
        ----------
        net : str
            What :func:`skdfal.nets.make_classifier` knows it by, or any other name.

        Returns
        -------
        params : dict
            ``net_params`` and, where the strategy draws by dropout and the net has
            none of its own, a dropout rate.

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
    """The functions of all registered strategies, by name; grows as they register."""

    def __getitem__(self, name):
        return _REGISTRY[name].function

    def __iter__(self):
        return iter(_REGISTRY)

    def __len__(self):
        return len(_REGISTRY)

    def __repr__(self):
        return f"{{{', '.join(f'{n!r}: {f.__name__}' for n, f in self.items())}}}"


STRATEGIES = _Functions()


def register(name, *, label=None, needs="nothing", **what_it_brings):
    """Make a query function known by a name, with what it brings along.

    Parameters
    ----------
    name : str
        A name that is not taken yet. One function may have several names.
    label : str, default=None
        What tables and pictures call it; None is the name.
    needs : {"nothing", "probabilities", "dropout", "features", "gradients", \
"input", "loss prediction"}, default="nothing"
        What it asks the estimator for.
    **what_it_brings : dict
        The other fields of :class:`Strategy`.

    Returns
    -------
    decorator : callable
        It returns the function as it is.

    Raises
    ------
    ValueError
        If the name is taken by another function, or ``needs`` is unknown.
    TypeError
        If the name is no string, the augmenter no class, or the function none.

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
            f"{name=} should be a string: @register('name') above the function."
        )
    if needs not in _NEEDS:
        raise ValueError(f"{needs=} should be one of {', '.join(_NEEDS)}.")
    augmenter = what_it_brings.get("augmenter")
    if augmenter is not None and not isinstance(augmenter, type):
        raise TypeError(f"{augmenter=} should be a class, which the loop constructs.")

    def decorator(function):
        if not callable(function):
            raise TypeError(
                f"{function!r} should be a function (estimator, X, n_instances)."
            )
        known = _REGISTRY.get(name)
        if known is not None and _place(known.function) != _place(function):
            raise ValueError(
                f"{name!r} is the name of {known.function.__qualname__} already. "
                "Choose another."
            )
        _REGISTRY[name] = Strategy(
            name, function, label or name, needs, **what_it_brings
        )
        return function

    return decorator


def _place(function):
    """Where a function is defined: a module that is loaded again may register again."""
    return function.__module__, function.__qualname__


def unregister(name):
    """Forget a strategy that was registered.

    Parameters
    ----------
    name : str
        Its name.

    Examples
    --------
    >>> from skdfal.strategies import register, unregister
    >>> _ = register("mine")(lambda estimator, X, n_instances: range(n_instances))
    >>> unregister("mine")
    """
    del _REGISTRY[name]


def describe(strategy):
    """Return what is known of a strategy.

    Parameters
    ----------
    strategy : str or callable
        A name in ``STRATEGIES``, a query function, or a ``functools.partial`` of one,
        which brings along what the function does.

    Returns
    -------
    strategy : Strategy
        As it was registered; of a function that was not, its name alone. Its
        ``function`` is the one that was given.

    Raises
    ------
    ValueError
        If there is no strategy of that name.
    TypeError
        If it is neither a name nor callable.

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
                f"{strategy!r} is no query strategy; known are {', '.join(_REGISTRY)}."
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
    """Return the function that partials are made of; any other one as it is."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def top_k(score, n_instances):
    """Return the indices of the ``n_instances`` largest scores, largest first.

    Equal scores keep the order of the pool. A NaN is a bug of the score: it raises.

    Parameters
    ----------
    score : ndarray of shape (n_samples,), or iterable of such
        Scores, or those of one block after the other, of which none is kept.
    n_instances : int
        How many.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Positions among all scores.
    """
    blocks = [score] if isinstance(score, np.ndarray) else score
    found, _ = best_of(blocks, n_instances)
    return found


def best_of(blocks, n):
    """Return where the ``n`` largest scores of some blocks are, and these scores.

    Parameters
    ----------
    blocks : iterable of ndarray of shape (n_samples,)
        Scores of one block after the other, of which none is kept.
    n : int
        How many; all, if there are fewer.

    Returns
    -------
    position : ndarray of shape (n,)
        Positions among all scores, the largest score first, equal ones in their order.
    score : ndarray of shape (n,)
        The scores there.
    """
    position, score, start = np.empty(0, np.intp), np.empty(0), 0
    for block in _at_least(n, blocks):
        if np.isnan(block).any():
            raise ValueError(f"{np.isnan(block).sum()} of {len(block)} scores are NaN.")
        # A block comes after what was found before, so its equals are not wanted.
        worst = score[-1] if len(score) == n else None
        new = np.arange(len(block)) if worst is None else np.flatnonzero(block > worst)
        position = np.concatenate([position, start + new])
        score = np.concatenate([score, block[new]])
        first = np.argsort(-score, kind="stable")[:n]
        position, score, start = position[first], score[first], start + len(block)
    return position, score


def _at_least(n, blocks):
    """Join blocks to such of ``n`` scores or more, so that sorting costs little."""
    waiting = []
    for block in blocks:
        waiting.append(block)
        if sum(map(len, waiting)) >= n:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)


def draw_candidates(X, n_instances, n_candidates=None, random_state=None):
    """Return the samples to score, as a view: the paper's S_k, or the whole pool.

    Parameters
    ----------
    X : pool or array-like
        The pool.
    n_instances : int
        Samples to query.
    n_candidates : int or None
        Samples to draw; None takes all.
    random_state : int, RandomState instance or None
        Determines which.

    Returns
    -------
    S_k : ndarray of shape (n_candidates,)
        Positions in ``X``; of the whole pool something as long that gives back the
        positions it is asked for, and takes no memory.
    view : Pool
        Those samples.

    Raises
    ------
    ValueError
        If more is asked for than there is.
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
    """Positions 0, 1, ... of a whole pool, of which none is kept."""

    def __init__(self, n_samples):
        self.n_samples = n_samples

    def __len__(self):
        return self.n_samples

    def __getitem__(self, positions):
        return np.asarray(positions, dtype=np.int64)
