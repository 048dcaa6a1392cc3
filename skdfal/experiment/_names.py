"""Look up the names in an experiment: our own objects, or those of a user's module.

An experiment is described by names only, which are written to its files and sent to
other processes. A user's strategy, network or data set has the name ``"module:name"``.
"""

import sys
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path

from skdfal._utils._names import did_you_mean
from skdfal.augment import (
    AdversarialAugmenter,
    CopyAugmenter,
    MirrorAugmenter,
    NoiseAugmenter,
    PseudoLabelAugmenter,
    RenewedAugmenter,
)
from skdfal.strategies import STRATEGIES, describe

# What may be added to the training set in place of a strategy's own augmenter:
# "random+twins" is RANDOM with the twins of DFAL.
ADDITIONS = {
    "nothing": None,
    "twins": AdversarialAugmenter,
    "copies": CopyAugmenter,
    "noise": NoiseAugmenter,
    "mirrored": MirrorAugmenter,
    "renewed": RenewedAugmenter,
    "pseudo_labels": PseudoLabelAugmenter,
    # Twins farther beyond the boundary: by 0.5, 1 and 2 times their perturbation.
    "twins_0.5": partial(AdversarialAugmenter, overshoot=0.5),
    "twins_1": partial(AdversarialAugmenter, overshoot=1.0),
    "twins_2": partial(AdversarialAugmenter, overshoot=2.0),
}


def find_modules_here(*names):
    """Make modules in the working folder importable, as ``python -m`` does.

    Parameters
    ----------
    *names : str
        Names; nothing is changed unless one of them is ``"module:name"``.
    """
    here = str(Path.cwd())
    if any(":" in name for name in names) and here not in sys.path:
        sys.path.insert(0, here)


def find(kind, name, known):
    """Return the object with a name.

    Parameters
    ----------
    kind : str
        Kind of object, for messages.
    name : str
        A key of `known`, or ``"module:name"`` of a callable.
    known : dict of str to object
        Our own objects, by name.

    Returns
    -------
    found : object
        The value in `known`, or the imported object.

    Raises
    ------
    ValueError
        If there is no such object.
    """
    if name in known:
        return known[name]
    module, colon, attribute = str(name).partition(":")
    parts = [*module.split("."), attribute]
    if not (colon and all(map(str.isidentifier, parts))):
        raise ValueError(
            f'{kind}={name!r} should be one of {", ".join(known)}, or "module:name" '
            f"to import your own.{did_you_mean(name, known)}"
        )
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{kind}={name!r} cannot be imported: {error}.") from error
    if not callable(found):
        raise ValueError(
            f"{kind}={name!r} is a {type(found).__name__}; it should be a function or "
            "class."
        )
    return found


def find_strategy(name):
    """Return the description of the strategy with a name.

    Parameters
    ----------
    name : str
        A name in ``STRATEGIES``, or ``"module:function"``. Either may be followed by
        ``"+addition"``, one of ``ADDITIONS``.

    Returns
    -------
    strategy : Strategy
        The registered description, or only a name if the function is not registered.
        An addition becomes its ``augmenter``.
    """
    name, plus, addition = str(name).partition("+")
    found = find("strategy", name, STRATEGIES)
    strategy = describe(name if name in STRATEGIES else found)
    if not plus:
        return strategy
    if addition not in ADDITIONS:
        raise ValueError(
            f"strategy={name + plus + addition!r} should end in one of "
            f"{', '.join(ADDITIONS)}.{did_you_mean(addition, ADDITIONS)}"
        )
    label = f"{strategy.label} + {addition.replace('_', ' ')}"
    return replace(
        strategy,
        name=name + plus + addition,
        label=label,
        augmenter=ADDITIONS[addition],
        style=None,
    )


def strategy_name(strategy):
    """Return the name by which another process finds a strategy.

    Parameters
    ----------
    strategy : str or callable
        A name, or a function that can be imported by its name.

    Returns
    -------
    name : str
        Name for :func:`find_strategy`.

    Raises
    ------
    ValueError
        If the function cannot be imported by its name.
    """
    if isinstance(strategy, str):
        find_strategy(strategy)
        return strategy
    known = describe(strategy).name
    if STRATEGIES.get(known) is strategy:
        return known
    module, name = (getattr(strategy, f"__{x}__", "") for x in ("module", "qualname"))
    try:
        if find("strategy", f"{module}:{name}", {}) is strategy:
            return f"{module}:{name}"
    except ValueError:
        pass
    raise ValueError(
        f"strategy={strategy!r} cannot be imported by its name in another process. "
        "Pass a function defined in a module, and its parameters as query_params."
    )
