"""What one person did to one picture, and whether it can have happened."""

import unicodedata
from typing import NamedTuple

KINDS = ("label", "skip", "dont_know", "exclude", "undo")
_LONGEST = 200  # characters of an id or a name of an annotator
_TIMES = (-62135596800, 253402300799)  # the years 1 to 9999, as datetime has them
_UNWRITABLE = ("Cc", "Cs")  # control characters, and halves of characters


class InvalidEventError(ValueError):
    """An event that cannot have happened."""


class Event(NamedTuple):
    """One thing that one annotator did to one picture.

    Attributes
    ----------
    id : str
        Made where it was pressed; an event that arrives twice is one event.
    picture : str
        Name of the picture.
    kind : {"label", "skip", "dont_know", "exclude", "undo"}
        A label; not now; cannot be answered; does not belong here; and what takes
        an earlier event back.
    label : str or None
        The class of a label.
    annotator : str
        Who it was.
    time : float
        When, in seconds since 1970.
    seconds : float or None
        How long the picture had been looked at.
    undoes : str or None
        The id of the event that an undo takes back.

    Examples
    --------
    >>> from skdfal.label import Event
    >>> Event("1", "a.png", "label", "cat", time=0.0).label
    'cat'
    """

    id: str
    picture: str
    kind: str
    label: str | None = None
    annotator: str = ""
    time: float = 0.0
    seconds: float | None = None
    undoes: str | None = None


def event_of(row, names, classes):
    """Return the event that a page tells of.

    Parameters
    ----------
    row : dict
        Fields of an event, with "picture" as a number.
    names : dict of int to str
        The pictures that there are.
    classes : sequence of str
        The labels that there are.

    Returns
    -------
    event : Event
        Its picture by name.

    Raises
    ------
    InvalidEventError
        If it cannot have happened.
    """
    try:
        number = row["picture"]
        if isinstance(number, bool):  # or True would be picture 1
            raise KeyError(number)
        event = Event(**row | {"picture": names[number]})
    except (TypeError, KeyError) as exc:
        raise InvalidEventError(f"No event: {exc!r}.") from exc
    texts = (event.id, event.annotator, "" if event.undoes is None else event.undoes)
    is_one = (
        all(map(_is_a_line, texts))
        and event.id
        and event.kind in KINDS
        and (event.label in classes) == (event.kind == "label")
        and (event.label is None) == (event.kind != "label")
        and (event.undoes is None) == (event.kind != "undo")
        and _is_within(event.time, *_TIMES)
        and (event.seconds is None or _is_within(event.seconds, -1e12, 1e12))
    )
    if not is_one:
        raise InvalidEventError(f"No event: {row}.")
    return event


def _is_within(number, low, high):
    return isinstance(number, int | float) and low <= number <= high


def _is_a_line(text):
    """Whether a text can be kept on the disk, and stand in a line of a CSV."""
    return (
        isinstance(text, str)
        and len(text) <= _LONGEST
        and not any(unicodedata.category(c) in _UNWRITABLE for c in text)
    )
