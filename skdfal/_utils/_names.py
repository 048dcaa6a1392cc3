"""Which known name somebody may have meant by another one."""

import unicodedata
from difflib import get_close_matches


def composed(text):
    """Return a text in Unicode's composed form (NFC): é is one character, not two."""
    return unicodedata.normalize("NFC", text)


def did_you_mean(name, known):
    """Ask back by a known name that is close to one that is unknown.

    Parameters
    ----------
    name : str
        What was given.
    known : iterable of str
        What there is.

    Returns
    -------
    question : str
        Such as ``" Did you mean 'dfal'?"``, to be put behind a sentence; empty where no
        name is close. Upper and lower case are the same.
    """
    folded = {one.casefold(): one for one in known}
    close = get_close_matches(str(name).casefold(), folded, n=1)
    return f" Did you mean {folded[close[0]]!r}?" if close else ""
