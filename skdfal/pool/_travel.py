"""Send networks, pools and other shared objects to a worker once, as bytes."""

import hashlib
import io
import threading
from collections import OrderedDict
from typing import NamedTuple

# Objects that each worker thread keeps unpacked: the nets and pools of a few queries.
_N_UNPACKED = 4

_REDUCERS: dict = {}
_local = threading.local()


def travels_as(kind, reduce):
    """Set how objects of a class and its subclasses are pickled for a worker.

    Parameters
    ----------
    kind : type
        The class.
    reduce : callable
        Function that takes an object and returns what ``__reduce__`` would return, or
        NotImplemented.

    Examples
    --------
    >>> from skdfal.pool import travels_as
    >>> class Net:
    ...     history = "long"
    >>> travels_as(Net, lambda net: (Net, ()))  # without its history
    """
    _REDUCERS[kind] = reduce


class Parcel(NamedTuple):
    """An object as bytes, with the digest by which a worker knows it."""

    digest: str
    content: bytes


def pack(thing):
    """Return an object as a parcel, including classes defined in a notebook.

    Raises
    ------
    TypeError
        If a part of it cannot be pickled.
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
            f"{_name_of(thing)} cannot be sent to the workers of a cluster: {exc}. "
            "cloudpickle.dumps should be able to pickle it; an object that holds an "
            "open file or a lock should open it only when it is first used."
        ) from exc
    content = file.getvalue()
    return Parcel(hashlib.sha256(content).hexdigest(), content)


def _name_of(thing):
    """Return the name of an object for the user; for a list, the names of its items."""
    if isinstance(thing, list | tuple):
        return ", ".join(dict.fromkeys(map(_name_of, thing)))
    name = getattr(thing, "name", None)
    return name if isinstance(name, str) else type(thing).__name__


def unpack(parcel):
    """Return the object in a parcel, one copy per thread since nets are not shared."""
    import cloudpickle

    known = vars(_local).setdefault("unpacked", OrderedDict())
    if parcel.digest not in known:
        known[parcel.digest] = cloudpickle.loads(parcel.content)
        while len(known) > _N_UNPACKED:
            known.popitem(last=False)
    known.move_to_end(parcel.digest)
    return known[parcel.digest]
