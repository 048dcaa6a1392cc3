"""Which page shows which pictures, so that two people do not label the same one."""

import time

_LEASE = 300  # seconds for which a picture given to one page is not given to another


class Handed:
    """The pictures that were recently given to pages."""

    def __init__(self):
        self._by_page = {}  # page: (when, pictures)

    def hand(self, page, pictures):
        """Note the pictures of a page, which replace its former ones.

        Parameters
        ----------
        page : str
            Name of the page.
        pictures : list of str
            Names of the pictures.
        """
        self._by_page[page] = time.monotonic(), pictures

    def to_others(self, page):
        """Return the pictures of all other pages.

        Parameters
        ----------
        page : str
            Name of the page.

        Returns
        -------
        pictures : set of str
            Names of the pictures.
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
