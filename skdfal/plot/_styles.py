"""One colour, line and marker a strategy, the same in every figure.

The first seven colours are those of Okabe and Ito [1]_ without the yellow, which is
hard to see on white; the others are from Tol's muted set [2]_, and a grey. No twelve
colours can be told apart by everybody, so line and marker say it a second time.

References
----------
.. [1] M. Okabe, K. Ito. "Color Universal Design: how to make figures and presentations
   that are friendly to colorblind people", 2008. https://jfly.uni-koeln.de/color/
.. [2] P. Tol. "Colour schemes", SRON technical note SRON/EPS/TN/09-002, 2021.
   https://personal.sron.nl/~pault/
"""

import re
import zlib
from typing import Any, NamedTuple

DASHES = (0, (5, 1.5))
DASH_DOT = (0, (5, 1.5, 1, 1.5))
DASH_DOT_DOT = (0, (5, 1.5, 1, 1.5, 1, 1.5))
DOTS = (0, (1, 1.2))


class Style(NamedTuple):
    """How the line of one strategy looks, in matplotlib's words."""

    color: str
    linestyle: Any
    marker: str


KNOWN = {
    "dfal": Style("#D55E00", "-", "o"),  # vermillion
    "random": Style("#000000", DASHES, "s"),
    "core_set": Style("#0072B2", DASH_DOT, "^"),  # blue
    "bald": Style("#009E73", DASH_DOT_DOT, "D"),  # bluish green
    "ceal": Style("#CC79A7", DASHES, "v"),  # reddish purple
    "egl": Style("#E69F00", DASH_DOT, "P"),  # orange
    "entropy": Style("#56B4E9", "-", "X"),  # sky blue
    "least_confidence": Style("#882255", DOTS, "<"),  # wine
    "margin": Style("#999933", DASHES, ">"),  # olive
    "learning_loss": Style("#332288", "-", "p"),  # indigo
    "vaal": Style("#808080", "-", "h"),  # grey
    "ta_vaal": Style("#117733", DOTS, "*"),  # green
    # DFAL without its twins: the colour says so, the line tells them apart.
    "deepfool_margin": Style("#D55E00", DOTS, "d"),
}

ALIASES = {
    "coreset": "core_set",
    "k_center": "core_set",
    "uncertainty": "entropy",  # as in the DFAL paper
    "tavaal": "ta_vaal",
}

COLORS = list(dict.fromkeys(style.color for style in KNOWN.values()))
LINESTYLES = ["-", DASHES, DASH_DOT, DASH_DOT_DOT, DOTS]
MARKERS = [style.marker for style in KNOWN.values()]


def strategy_styles(names):
    """Choose a style for each strategy of one picture.

    A strategy that the package knows ("dfal", "CORE-SET", "random_sampling") has the
    same style in every picture. Any other name has a place of its own in the list of
    styles, and moves on from there only where another line of the picture has that
    colour already. The order of `names` changes nothing.

    Parameters
    ----------
    names : iterable of str
        The strategies that appear together.

    Returns
    -------
    styles : dict of str to Style
        A style for each name, different from the others up to 13 × 5 × 12 names.
    """
    styles = {}
    # Known names choose first; of two aliases the second chooses among the free.
    for name in sorted(names):
        style = KNOWN.get(_key(name))
        if style is not None and style not in styles.values():
            styles[name] = style
    for name in sorted(set(names) - set(styles)):
        styles[name] = _free_style(_key(name), set(styles.values()))
    return {name: styles[name] for name in names}


def _key(name):
    key = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_").removesuffix("_sampling")
    return ALIASES.get(key, key)


def _free_style(key, taken):
    # crc32 rather than hash(): the same in every process.
    start = zlib.crc32(key.encode())
    styles = [
        Style(color, LINESTYLES[(i + turn) % len(LINESTYLES)], MARKERS[i - turn])
        for turn in range(len(LINESTYLES))
        for i, color in enumerate(COLORS)
    ]
    first_turn, start = styles[: len(COLORS)], start % len(COLORS)
    candidates = first_turn[start:] + first_turn[:start] + styles[len(COLORS) :]
    colors = {style.color for style in taken}
    new_color = [style for style in candidates if style.color not in colors]
    unused = [style for style in candidates if style not in taken]
    return (new_color or unused or candidates)[0]
