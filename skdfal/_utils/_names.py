"""Compare names: Unicode spellings, and suggestions for misspelt names."""

import unicodedata
from difflib import get_close_matches


def composed(text):
    """Return a text in Unicode's composed form (NFC): é is one character, not two."""
    return unicodedata.normalize("NFC", text)


def did_you_mean(name, known):
    """Suggest a known name that is close to an unknown one.

    Parameters
    ----------
    name : str
        The unknown name.
    known : iterable of str
        Known names.

    Returns
    -------
    question : str
        Text to append to a sentence, such as ``" Did you mean 'dfal'?"``; empty if no
        name is close. Case does not matter.
    """
    folded = {one.casefold(): one for one in known}
    close = get_close_matches(str(name).casefold(), folded, n=1)
    return f" Did you mean {folded[close[0]]!r}?" if close else ""
