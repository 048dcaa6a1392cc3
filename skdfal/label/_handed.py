"""Which page has which pictures, so that two people are not asked for the same."""

import time

_LEASE = 300  # seconds for which a picture that one page has is not given to another


class Handed:
    """The pictures that pages were given lately."""

    def __init__(self):
        self._by_page = {}  # page: (when, pictures)

    def hand(self, page, pictures):
        """Note that a page has pictures, in place of those that it had.

        Parameters
        ----------
        page : str
            Its name.
        pictures : list of str
            Their names.
        """
        self._by_page[page] = time.monotonic(), pictures

    def to_others(self, page):
        """Return what other pages have.

        Parameters
        ----------
        page : str
            Its name.

        Returns
        -------
        pictures : set of str
            Their names.
        """
        oldest = time.monotonic() - _LEASE
        self._by_page = {
            one: (when, names)
            for one, (when, names) in self._by_page.items()
            if when > oldest
        }
        return {
            name
            for one, (_, names) in self._by_page.items()
            if one != page
            for name in names
        }
