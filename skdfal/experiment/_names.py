"""What the names in an experiment stand for: things of ours, or of a user's module.

An experiment is known by names alone, which go to its files and to other processes. A
strategy, net or data set of one's own is named ``"module:name"``, as in an import.
"""

from importlib import import_module

from skdfal.strategies import STRATEGIES, describe


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
            "to import one of yours."
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
        A name in ``STRATEGIES``, or ``"module:function"``.

    Returns
    -------
    strategy : Strategy
        As it was registered; of a function that was not, its name alone.
    """
    found = find("strategy", name, STRATEGIES)
    return describe(name if name in STRATEGIES else found)


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
