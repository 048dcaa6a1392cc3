"""What the names in an experiment stand for: things of ours, or of a user's module.

An experiment is known by names alone, which go to its files and to other processes. A
strategy, net or data set of one's own is named ``"module:name"``, as in an import.
"""

from dataclasses import replace
from functools import partial
from importlib import import_module

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

# What may be trained on beside the annotated samples, in place of what a strategy
# brings along: "random+twins" is RANDOM with the twins of DFAL.
ADDITIONS = {
    "nothing": None,
    "twins": AdversarialAugmenter,
    "copies": CopyAugmenter,
    "noise": NoiseAugmenter,
    "mirrored": MirrorAugmenter,
    "renewed": RenewedAugmenter,
    "pseudo_labels": PseudoLabelAugmenter,
    # Twins farther beyond the boundary: by half their perturbation, by all, by twice.
    "twins_0.5": partial(AdversarialAugmenter, overshoot=0.5),
    "twins_1": partial(AdversarialAugmenter, overshoot=1.0),
    "twins_2": partial(AdversarialAugmenter, overshoot=2.0),
}


def find(kind, name, known):
    """Return what a name stands for.

    Parameters
    ----------
    kind : str
        What it is to be, for messages.
    name : str
        A key of `known`, or ``"module:name"`` of something to call.
    known : dict of str to object
        What is ours.

    Returns
    -------
    found : object
        The value in `known`, or what was imported.

    Raises
    ------
    ValueError
        If there is no such thing.
    """
    if name in known:
        return known[name]
    module, colon, attribute = str(name).partition(":")
    parts = [*module.split("."), attribute]
    if not (colon and all(map(str.isidentifier, parts))):
        raise ValueError(
            f'{kind}={name!r} should be one of {", ".join(known)}, or "module:name" '
            f"to import one of yours.{did_you_mean(name, known)}"
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
    """Return what is known of the strategy of a name.

    Parameters
    ----------
    name : str
        A name in ``STRATEGIES``, or ``"module:function"``; either with ``"+addition"``
        after it, one of ``ADDITIONS``.

    Returns
    -------
    strategy : Strategy
        As it was registered; of a function that was not, its name alone. With an
        addition that is its ``augmenter``.
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
    """Return the name of a strategy, by which another process finds it.

    Parameters
    ----------
    strategy : str or callable
        A name, or a function that has one.

    Returns
    -------
    name : str
        As :func:`find_strategy` takes it.

    Raises
    ------
    ValueError
        If a function has no name by which it could be imported.
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
        f"strategy={strategy!r} has no name by which a trial could find it again. Take "
        "a function that a module defines, and give its parameters by query_params."
    )
