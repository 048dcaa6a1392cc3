"""Which picture to show next, and which pictures are held out, decided by names."""

import hashlib
from functools import partial
from itertools import chain


class Order:
    """The order in which pictures are shown to be labelled.

    Whether a picture is held out, and its place in the random order, depend only on
    its name and the seed, so pictures that are added or removed change nothing for the
    others. The held-out pictures are a random sample of all pictures, whatever the
    network queries, so that its accuracy on them is an unbiased estimate.

    Parameters
    ----------
    names : sequence of str
        Names of the pictures.
    seed : int
        Seed of the random order and of the held-out pictures.
    holdout : float
        Proportion of the shown pictures that is held out, in [0, 1).

    Examples
    --------
    >>> from skdfal.label import Order
    >>> order = Order([f"{i}.png" for i in range(100)], seed=0, holdout=0.1)
    >>> len(order.next(5, is_open=lambda name: True, n_asked=0, n_held_out=0))
    5
    """

    def __init__(self, names, seed, holdout):
        self.seed, self.holdout = seed, holdout
        self.random = sorted(names, key=partial(self._uniform, "order"))
        self.held_out = [name for name in self.random if self.is_held_out(name)]
        self.askable = [name for name in self.random if not self.is_held_out(name)]

    def is_held_out(self, name):
        """Whether a picture is held out, and so never trained on.

        Parameters
        ----------
        name : str
            Name of a picture.

        Returns
        -------
        held_out : bool
            Always the same for one name.
        """
        return self._uniform("held out", name) < self.holdout

    def next(self, n, is_open, n_asked, n_held_out, ranking=()):
        """Return the pictures to show next.

        Parameters
        ----------
        n : int
            Maximum number of pictures.
        is_open : callable
            Whether the picture with a name still needs an answer.
        n_asked, n_held_out : int
            Number of pictures with an answer, and how many of them are held out.
        ranking : sequence of str, default=()
            Pictures queried by the network, best first. The others follow at random.

        Returns
        -------
        names : list of str
            Distinct names; fewer than ``n`` if no more pictures are open.
        """
        ranked = (name for name in ranking if not self.is_held_out(name))
        wanted = _open_ones(chain(ranked, self.askable), is_open)
        held_out = _open_ones(self.held_out, is_open)
        found = []
        while len(found) < n:
            is_due = n_held_out + 1 <= self.holdout * (n_asked + 1)
            sources = (held_out, wanted) if is_due else (wanted, held_out)
            name = next(chain(*sources), None)
            if name is None:
                break
            found.append(name)
            n_asked += 1
            n_held_out += self.is_held_out(name)
        return found

    def _uniform(self, purpose, name):
        text = f"{self.seed}\0{purpose}\0{name}".encode("utf-8", "surrogateescape")
        return int.from_bytes(hashlib.sha256(text).digest()[:7], "big") / 2**56


def _open_ones(names, is_open):
    seen = set()
    for name in names:
        if name not in seen and is_open(name):
            seen.add(name)
            yield name
