"""One colour, line and marker for each strategy, the same in every figure.

The first seven colours are those of Okabe and Ito [1]_ without yellow, which is hard to
see on white. The others are from Tol's muted set [2]_, and a grey. Not everybody can
distinguish twelve colours, so line and marker identify a strategy as well.

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

from skdfal.strategies import STRATEGIES, describe


class Style(NamedTuple):
    """Appearance of the line of one strategy, in matplotlib's terms."""

    color: str
    linestyle: Any
    marker: str


LINES = {
    "solid": "-",
    "dashed": (0, (5, 1.5)),
    "dashdot": (0, (5, 1.5, 1, 1.5)),
    "dashdotdot": (0, (5, 1.5, 1, 1.5, 1, 1.5)),
    "dotted": (0, (1, 1.2)),
}
COLORS = (
    "#D55E00",  # vermillion
    "#000000",
    "#0072B2",  # blue
    "#009E73",  # bluish green
    "#CC79A7",  # reddish purple
    "#E69F00",  # orange
    "#56B4E9",  # sky blue
    "#882255",  # wine
    "#999933",  # olive
    "#332288",  # indigo
    "#808080",  # grey
    "#117733",  # green
)
MARKERS = "os^DvPX<>ph*d"


def strategy_styles(names):
    """Choose a style for each strategy of one figure.

    A strategy registered with a style ("dfal", "CORE-SET", "random_sampling") has it in
    every figure. Any other name has its own place in the list of styles, and moves on
    from there only if another line of the figure already has that colour. The order of
    `names` does not matter.

    Parameters
    ----------
    names : iterable of str
        Strategies that appear in the same figure.

    Returns
    -------
    styles : dict of str to Style
        A style for each name, different from the others up to 12 × 5 names.
    """
    styles, own = {}, _own_styles()
    # Names with a style come first. If two have the same, the second gets a free one.
    for name in sorted(names):
        style = own.get(_bare(name))
        if style is not None and style not in styles.values():
            styles[name] = style
    for name in sorted(set(names) - set(styles)):
        styles[name] = _free_style(_key(name), set(styles.values()))
    return {name: styles[name] for name in names}


def _own_styles():
    """Return the styles of the registered strategies, by names and labels."""
    styles = {}
    for strategy in map(describe, STRATEGIES):
        if strategy.style is not None:
            color, line, marker = strategy.style
            style = Style(color, LINES.get(line, line), marker)
            styles |= {_bare(strategy.label): style, _bare(strategy.name): style}
    return styles


def _key(name):
    key = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return key.removesuffix("_sampling")


def _bare(name):
    return _key(name).replace("_", "")


def _free_style(key, taken):
    # crc32 rather than hash(): the same in every process.
    start = zlib.crc32(key.encode())
    lines = list(LINES.values())
    styles = [
        Style(color, lines[(i + turn) % len(lines)], MARKERS[i - turn])
        for turn in range(len(lines))
        for i, color in enumerate(COLORS)
    ]
    first_turn, start = styles[: len(COLORS)], start % len(COLORS)
    candidates = first_turn[start:] + first_turn[:start] + styles[len(COLORS) :]
    colors = {style.color for style in taken}
    new_color = [style for style in candidates if style.color not in colors]
    unused = [style for style in candidates if style not in taken]
    return (new_color or unused or candidates)[0]
