"""How nets, pools and whatever else tasks share get to a worker: once, as bytes."""

import hashlib
import io
import threading
from collections import OrderedDict
from typing import NamedTuple

# Things that a thread of a worker keeps unpacked: the nets and pools of some queries.
_N_UNPACKED = 4

_REDUCERS = {}
_local = threading.local()


def travels_as(kind, reduce):
    """Set how objects of a class, and of classes derived from it, are pickled here.

    Parameters
    ----------
    kind : type
        The class.
    reduce : callable
        Takes an object and returns what its ``__reduce__`` might, or NotImplemented.

    Examples
    --------
    >>> from skdfal.pool import travels_as
    >>> class Net:
    ...     history = "long"
    >>> travels_as(Net, lambda net: (Net, ()))  # without its history
    """
    _REDUCERS[kind] = reduce


class Parcel(NamedTuple):
    """A thing as bytes, and the digest by which a worker knows it."""

    digest: str
    content: bytes


def pack(thing):
    """Return a thing as a parcel; classes that a notebook defines come along with it.

    Raises
    ------
    TypeError
        If something in it cannot be pickled.
    """
    import cloudpickle

    class Pickler(cloudpickle.Pickler):
        def reducer_override(self, obj):
            for kind, reduce in _REDUCERS.items():
                if isinstance(obj, kind) and (found := reduce(obj)) != NotImplemented:
                    return found
            return super().reducer_override(obj)

    file = io.BytesIO()
    try:
        Pickler(file).dump(thing)
    except Exception as exc:
        raise TypeError(
            f"{_name_of(thing)} cannot travel to the workers of a cluster: {exc}. "
            "Pickling it should work, as by cloudpickle.dumps; what holds an open file "
            "or a lock should open it when it is first used."
        ) from exc
    content = file.getvalue()
    return Parcel(hashlib.sha256(content).hexdigest(), content)


def _name_of(thing):
    """Return what a user knows a thing by: of several, those in it."""
    if isinstance(thing, list | tuple):
        return ", ".join(dict.fromkeys(map(_name_of, thing)))
    name = getattr(thing, "name", None)
    return name if isinstance(name, str) else type(thing).__name__


def unpack(parcel):
    """Return what is in a parcel: a copy for each thread, since nets are not shared."""
    import cloudpickle

    known = vars(_local).setdefault("unpacked", OrderedDict())
    if parcel.digest not in known:
        known[parcel.digest] = cloudpickle.loads(parcel.content)
        while len(known) > _N_UNPACKED:
            known.popitem(last=False)
    known.move_to_end(parcel.digest)
    return known[parcel.digest]
