"""L_k: what was told of which sample, and the twins that depend on it.

A state that follows from events alone, so that a file of events brings it back.
"""

from typing import Any, NamedTuple

import numpy as np

from skdfal.learner._samples import concatenate, rows_of


class Told(NamedTuple):
    """A label, as a code, and after how many trainings it was first told."""

    code: int
    n_rounds: int


class Extra(NamedTuple):
    """What one augmenter gave for the training after ``n_rounds`` trainings.

    ``X`` and codes ``y`` of it; ``parents``, the samples of the pool that each stems
    from, -1 for none, or None where the augmenter did not say; ``sources``, the codes
    that the samples it was given had then.
    """

    n_rounds: int
    is_lasting: bool
    X: Any
    y: np.ndarray
    parents: np.ndarray | None
    sources: dict

    @classmethod
    def empty(cls):
        """What is left of an extra that has served its one training."""
        return cls(-1, False, None, np.zeros(0, dtype=int), None, {})

    def labels(self, told):
        """Return the codes as the labels of the parents are now; -1 is gone."""
        if self.parents is None:
            is_as_it_was = all(
                self._label_of(i, told) == code for i, code in self.sources.items()
            )
            return self.y if is_as_it_was else np.full(len(self.y), -1)
        pairs = zip(self.parents.tolist(), self.y.tolist(), strict=True)
        return np.array([self._follow(*pair, told) for pair in pairs], dtype=int)

    def _follow(self, parent, code, told):
        """The label of a twin is its parent's; one of its own lasts as long as that."""
        if parent < 0:
            return code
        then, now = self.sources[parent], self._label_of(parent, told)
        return code if now == then else now if code == then else -1

    def _label_of(self, sample, told):
        """Return the label of a sample, -1 if it was taken back since."""
        found = told.get(sample)
        return found.code if found and found.n_rounds <= self.n_rounds else -1


class TrainingSet(NamedTuple):
    """What a net is trained on, by where it comes from.

    Each sample is either one of the pool, ``indices``, or row ``rows`` of the extra
    number ``extras``; the other entries are -1. ``parents`` are samples of the pool,
    -1 if unknown.
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
        """Return sample weights: a twin has its parent's, what has none has 1."""
        weights = np.ones(len(self.y), dtype=of_pool.dtype)
        known = self.parents >= 0
        weights[known] = of_pool[self.parents[known]]
        return weights


class LabeledSet:
    """What was told and skipped, in order, and what augmenters made of it.

    Parameters
    ----------
    n_samples : int
        Size of the pool.
    """

    def __init__(self, n_samples):
        self.told = {}  # index: Told, in the order of first telling
        self.is_told = np.zeros(n_samples, dtype=bool)
        self.is_skipped = np.zeros(n_samples, dtype=bool)
        self.has_answer = np.ones(n_samples, dtype=bool)  # as far as is known
        self.extras = []

    # What may happen

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
        """Let go of what was for one training; the others keep their numbers."""
        self.extras = [e if e.is_lasting else Extra.empty() for e in self.extras]

    # What follows

    def annotated(self):
        """Return the samples with a label, in the order of telling."""
        return np.fromiter(self.told, dtype=int, count=len(self.told))

    def codes(self):
        """Return their labels."""
        return np.array([label.code for label in self.told.values()], dtype=int)

    def told_since(self, n_rounds):
        """Return the samples that were first told after so many trainings."""
        since = [i for i, label in self.told.items() if label.n_rounds == n_rounds]
        return np.array(since, dtype=int)

    def unlabeled(self):
        """Return the samples that were neither told nor skipped, sorted."""
        return np.flatnonzero(~self.is_told & ~self.is_skipped)

    def open_questions(self):
        """Return those of them that there may be an answer to."""
        return np.flatnonzero(~self.is_told & ~self.is_skipped & self.has_answer)

    def training_set(self, n_rounds=None):
        """Return what lasts: [initial][Q_0][twins_0][Q_1][twins_1]...

        With ``n_rounds``, also what is for the training after so many alone, at the
        end.
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
