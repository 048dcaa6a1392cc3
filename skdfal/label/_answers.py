"""The labels that follow from a log of answers."""

from collections import Counter


class Answers:
    """The answers that stand after a sequence of events.

    The last event of an annotator for a picture is that person's answer. If several
    people have answered, the most frequent answer stands; in a tie, the latest of them.
    A label or an exclusion takes precedence over "don't know", which takes precedence
    over a skip.

    Parameters
    ----------
    events : iterable of Event, default=()
        Events in the order in which they arrived.

    Examples
    --------
    >>> from skdfal.label import Answers, Event
    >>> answers = Answers([Event("1", "a.png", "label", "cat")])
    >>> answers.add(Event("2", "a.png", "undo", undoes="1"))
    >>> answers.labels()
    {}
    """

    def __init__(self, events=()):
        self._by_picture = {}  # picture: {annotator: [(number, event), ...]}
        self._ids, self._undone = set(), set()
        self._standing = {}  # picture: event
        self._n_events = 0
        for event in events:
            self.add(event)

    def add(self, event):
        """Add an event.

        Parameters
        ----------
        event : Event
            The event. If it was added before, nothing changes.
        """
        if event.id in self._ids:
            return
        self._ids.add(event.id)
        self._n_events += 1
        of_picture = self._by_picture.setdefault(event.picture, {})
        stack = of_picture.setdefault(event.annotator, [])
        if event.kind == "undo":
            self._undone.add((event.annotator, event.undoes))
            stack[:] = [entry for entry in stack if entry[1].id != event.undoes]
        elif (event.annotator, event.id) not in self._undone:  # undone before
            stack.append((self._n_events, event))
        standing = _resolve(of_picture)
        if standing is None:
            self._standing.pop(event.picture, None)
        else:
            self._standing[event.picture] = standing

    def __contains__(self, event_id):
        return event_id in self._ids

    def of(self, picture):
        """Return the event that stands for a picture.

        Parameters
        ----------
        picture : str
            Name of the picture.

        Returns
        -------
        event : Event or None
            None if there is no answer.
        """
        return self._standing.get(picture)

    def of_annotator(self, picture, annotator):
        """Return one person's answer for a picture.

        Parameters
        ----------
        picture, annotator : str
            Names of the picture and of the person.

        Returns
        -------
        event : Event or None
            None if that person has not answered.
        """
        stack = self._by_picture.get(picture, {}).get(annotator)
        return stack[-1][1] if stack else None

    def standing(self, kind):
        """Return the standing events of one kind, by picture.

        Parameters
        ----------
        kind : {"label", "skip", "dont_know", "exclude"}
            Kind of the events.

        Returns
        -------
        events : dict of str to Event
            Events in the order in which the pictures were first answered.
        """
        return {p: e for p, e in self._standing.items() if e.kind == kind}

    def labels(self):
        """Return the standing labels.

        Returns
        -------
        labels : dict of str to str
            Class by picture.
        """
        return {p: e.label for p, e in self.standing("label").items()}

    def disagreements(self):
        """Return the answers for the pictures on which annotators disagree.

        Returns
        -------
        said : dict of str to dict
            For each such picture, the label or "exclude" of each annotator.
        """
        found = {}
        for picture, of_picture in self._by_picture.items():
            said = {e.annotator: e.label for e in _votes(of_picture, _DECIDED)}
            if len(set(said.values())) > 1:
                found[picture] = {
                    who: label or "exclude" for who, label in said.items()
                }
        return found

    def last_of(self, annotator, n_events):
        """Return the last events of an annotator that could be undone.

        Parameters
        ----------
        annotator : str
            Name of the annotator.
        n_events : int
            Maximum number of events.

        Returns
        -------
        events : list of Event
            Events, the latest last.
        """
        entries = (
            entry
            for of_picture in self._by_picture.values()
            for entry in of_picture.get(annotator, ())
        )
        return [event for _, event in sorted(entries)[-n_events:]]


_DECIDED = ("label", "exclude")


def _resolve(of_picture):
    """Return the event that stands for a picture, or None."""
    for kinds in (_DECIDED, ("dont_know",), ("skip",)):
        votes = _votes(of_picture, kinds)
        if votes:
            count = Counter((e.kind, e.label) for e in votes)
            most = max(count.values())
            return next(e for e in reversed(votes) if count[e.kind, e.label] == most)
    return None


def _votes(of_picture, kinds):
    """Return the last event of each annotator, if it has one of these kinds."""
    last = sorted(stack[-1] for stack in of_picture.values() if stack)
    return [event for _, event in last if event.kind in kinds]
