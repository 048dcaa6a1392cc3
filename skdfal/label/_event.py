"""One answer of one person about one picture, and its validation."""

import unicodedata
from typing import NamedTuple

KINDS = ("label", "skip", "dont_know", "exclude", "undo")
_LONGEST = 200  # characters of an id or a name of an annotator
_TIMES = (-62135596800, 253402300799)  # the years 1 to 9999, as datetime has them
_UNWRITABLE = ("Cc", "Cs")  # control characters, and halves of characters


class InvalidEventError(ValueError):
    """Raised for an event that is not valid."""


class Event(NamedTuple):
    """One answer of one annotator about one picture.

    Attributes
    ----------
    id : str
        Identifier made by the page. An event that arrives twice counts once.
    picture : str
        Name of the picture.
    kind : {"label", "skip", "dont_know", "exclude", "undo"}
        A label; "later"; "I cannot tell"; "does not belong here"; or the withdrawal of
        an earlier event.
    label : str or None
        Class, if the event is a label.
    annotator : str
        Name of the annotator.
    time : float
        Time of the answer, in seconds since 1970; 0 if unknown.
    seconds : float or None
        How long the annotator had looked at the picture, in seconds.
    undoes : str or None
        Identifier of the event that an undo withdraws.

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
    """Return an event that a page has sent.

    Parameters
    ----------
    row : dict
        Fields of the event, with "picture" as a number.
    names : dict of int to str
        Names of the pictures, by number.
    classes : sequence of str
        Possible labels.

    Returns
    -------
    event : Event
        The event, with the name of its picture.

    Raises
    ------
    InvalidEventError
        If the event is not valid.
    """
    number = row.get("picture")
    if type(number) is not int or number not in names:  # True would be picture 1
        raise InvalidEventError(
            f"Picture {number!r} is not in the folder any more, or cannot be read."
        )
    try:
        event = Event(**row | {"picture": names[number]})
    except TypeError as exc:
        raise InvalidEventError(f"{row} is not an event: {exc}.") from exc
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
        raise InvalidEventError(f"{row} is not a valid event.")
    return event


def _is_within(number, low, high):
    return isinstance(number, int | float) and low <= number <= high


def _is_a_line(text):
    """Whether a text can be saved, and fits into one line of a CSV."""
    return (
        isinstance(text, str)
        and len(text) <= _LONGEST
        and not any(unicodedata.category(c) in _UNWRITABLE for c in text)
    )
