"""L_k, the labelled set: the labels told so far, and the twins that depend on them.

The state follows from the events alone, so that it can be rebuilt from a file of them.
"""

from typing import Any, NamedTuple

import numpy as np

from skdfal.learner._samples import concatenate, from_arrays, rows_of, to_arrays


class Told(NamedTuple):
    """A label, as a code, and the number of trainings before it was first told."""

    code: int
    n_rounds: int


class Extra(NamedTuple):
    """What one augmenter returned after ``n_rounds`` trainings, for the next one.

    ``X`` and ``y`` are its samples and their codes. ``parents`` are the samples of the
    pool that they were made from, -1 for none, or None if the augmenter did not return
    them. ``sources`` maps the samples that the augmenter was given to their codes at
    that time.
    """

    n_rounds: int
    is_lasting: bool
    X: Any
    y: np.ndarray
    parents: np.ndarray | None
    sources: dict

    @classmethod
    def empty(cls):
        """Return the remains of an extra after the one training it was for."""
        return cls(-1, False, None, np.zeros(0, dtype=int), None, {})

    @classmethod
    def from_arrays(cls, arrays, like):
        """Return the extra of a result of :meth:`to_arrays`, of samples as ``like``."""
        if not arrays:  # it was for one training, and was forgotten since
            return cls.empty()
        return cls(
            int(arrays["n_rounds"]),
            bool(arrays["is_lasting"]),
            from_arrays(arrays, like),
            arrays["y"],
            arrays.get("parents"),
            dict(arrays["sources"].tolist()),
        )

    def to_arrays(self):
        """Return the extra as a dict of arrays that can be saved without pickle."""
        arrays = {
            "n_rounds": np.array(self.n_rounds),
            "is_lasting": np.array(self.is_lasting),
            "y": self.y,
            "sources": np.array(list(self.sources.items()), dtype=int).reshape(-1, 2),
            **to_arrays(self.X),
        }
        return arrays if self.parents is None else arrays | {"parents": self.parents}

    def labels(self, told):
        """Return the codes, updated to the parents' present labels; -1 is removed."""
        if self.parents is None:
            is_as_it_was = all(
                self._label_of(i, told) == code for i, code in self.sources.items()
            )
            return self.y if is_as_it_was else np.full(len(self.y), -1)
        pairs = zip(self.parents.tolist(), self.y.tolist(), strict=True)
        return np.array([self._follow(*pair, told) for pair in pairs], dtype=int)

    def _follow(self, parent, code, told):
        """Return the present label of an added sample, or -1 if it is to be removed.

        A label equal to the parent's follows it. Another label is kept for as long as
        the parent's does not change.
        """
        if parent < 0:
            return code
        then, now = self.sources[parent], self._label_of(parent, told)
        return code if now == then else now if code == then else -1

    def _label_of(self, sample, told):
        """Return the label of a sample, -1 if it was retracted since."""
        found = told.get(sample)
        return found.code if found and found.n_rounds <= self.n_rounds else -1


class TrainingSet(NamedTuple):
    """The training samples, by their origin.

    Each sample is either sample ``indices`` of the pool, or row ``rows`` of extra
    number ``extras``; the entries that do not apply are -1. ``parents`` are indices of
    samples of the pool, -1 if unknown.
    """

    indices: np.ndarray
    extras: np.ndarray
    rows: np.ndarray
    y: np.ndarray
    parents: np.ndarray

    def gather(self, pool, extras):
        """Return the samples themselves."""
        of_pool = self.indices >= 0
        numbers = np.unique(self.extras[~of_pool])
        parts = [pool.take(self.indices[of_pool])]
        place = np.empty(len(self.y), dtype=int)
        place[of_pool] = np.arange(of_pool.sum())
        start = of_pool.sum()
        for number in numbers:
            of_extra = self.extras == number
            parts.append(rows_of(extras[number].X, self.rows[of_extra]))
            place[of_extra] = start + np.arange(of_extra.sum())
            start += of_extra.sum()
        X = concatenate(parts)
        return X if (np.diff(place) == 1).all() else rows_of(X, place)

    def weights(self, of_pool):
        """Return sample weights: a twin has its parent's, or 1 without a parent."""
        weights = np.ones(len(self.y), dtype=of_pool.dtype)
        known = self.parents >= 0
        weights[known] = of_pool[self.parents[known]]
        return weights


class LabeledSet:
    """Labelled and skipped samples, in order, and what augmenters made of them.

    Parameters
    ----------
    n_samples : int
        Size of the pool.
    """

    def __init__(self, n_samples):
        self.told = {}  # index: Told, in the order of first telling
        self.is_told = np.zeros(n_samples, dtype=bool)
        self.is_skipped = np.zeros(n_samples, dtype=bool)
        self.has_answer = np.ones(n_samples, dtype=bool)  # as far as we know
        self.extras = []

    # Events

    def tell(self, sample, code, n_rounds):
        known = self.told.get(sample)
        self.told[sample] = Told(code, known.n_rounds if known else n_rounds)
        self.is_told[sample] = True
        self.is_skipped[sample] = False

    def retract(self, sample):
        self.told.pop(sample, None)
        self.is_told[sample] = self.is_skipped[sample] = False

    def skip(self, sample):
        self.retract(sample)
        self.is_skipped[sample] = True

    def forget_passing_extras(self):
        """Drop what was for one training only; the other extras keep their numbers."""
        self.extras = [e if e.is_lasting else Extra.empty() for e in self.extras]

    # Derived state

    def annotated(self):
        """Return the labelled samples, in the order in which they were told."""
        return np.fromiter(self.told, dtype=int, count=len(self.told))

    def codes(self):
        """Return their labels."""
        return np.array([label.code for label in self.told.values()], dtype=int)

    def told_since(self, n_rounds):
        """Return the samples that were first told after ``n_rounds`` trainings."""
        since = [i for i, label in self.told.items() if label.n_rounds == n_rounds]
        return np.array(since, dtype=int)

    def unlabeled(self):
        """Return the samples that were neither told nor skipped, sorted."""
        return np.flatnonzero(~self.is_told & ~self.is_skipped)

    def open_questions(self):
        """Return the unlabelled samples that may be queried."""
        return np.flatnonzero(~self.is_told & ~self.is_skipped & self.has_answer)

    def training_set(self, n_rounds=None):
        """Return the lasting samples: [initial][Q_0][twins_0][Q_1][twins_1]...

        With ``n_rounds``, the samples for the training after that many only follow at
        the end.
        """
        parts = [_of_pool(self.annotated(), self.told)]
        told_in = [label.n_rounds for label in self.told.values()]
        order = [np.array(told_in, dtype=float)]
        for number, extra in enumerate(self.extras):
            if not extra.is_lasting and extra.n_rounds != n_rounds:
                continue
            parts.append(_of_extra(number, extra, self.told))
            place = extra.n_rounds + 0.5 if extra.is_lasting else np.inf
            order.append(np.full(len(parts[-1].y), place))
        together = TrainingSet(*map(np.concatenate, zip(*parts, strict=True)))
        order = np.argsort(np.concatenate(order), kind="stable")
        return TrainingSet(*(part[order] for part in together))


def _of_pool(indices, told):
    none = np.full(len(indices), -1)
    codes = np.array([told[i].code for i in indices.tolist()], dtype=int)
    return TrainingSet(indices, none, none, codes, indices)


def _of_extra(number, extra, told):
    y = extra.labels(told)
    rows = np.flatnonzero(y >= 0)
    none = np.full(len(rows), -1)
    parents = none if extra.parents is None else extra.parents[rows]
    return TrainingSet(none, np.full(len(rows), number), rows, y[rows], parents)
