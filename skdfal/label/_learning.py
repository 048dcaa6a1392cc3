"""The trainings of a project: the running one, and the results of the last one."""

import json
import time
from contextlib import suppress
from pathlib import Path

from skdfal.label._trainer import ROUND, Trainer


class Learning:
    """The rounds of a project, and the process that trains.

    It has no lock of its own: the project calls it from one thread at a time.

    Parameters
    ----------
    recipe : Recipe
        Settings of the trainings.
    store : Store
        File in which the rounds are saved.
    on_end : callable
        Called from another thread with the answer of the :class:`Trainer`.

    Attributes
    ----------
    rounds : list of dict
        One record per training.
    ranking : list of str
        Pictures to label, the most useful first.
    predictions : dict of str to list
        Class, probability and margin by picture.
    since : float or None
        When the running training began, by a monotonic clock; None if none is running.
    error : str or None
        Error message of the last training.
    """

    def __init__(self, recipe, store, on_end):
        self._recipe, self._store = recipe, store
        self._trainer = Trainer(recipe, on_end)
        self._trained_on = store.setting("trained_on", {})
        self.rounds = store.rounds()
        self.since = self.error = None
        self._load_round()

    def close(self):
        """End the training process."""
        self._trainer.close()

    def n_changed(self, labels):
        """Return how many labels have changed since the last training.

        Parameters
        ----------
        labels : dict of str to str
            Labels of the next training.

        Returns
        -------
        n_changed : int
            Number of new, corrected and withdrawn labels.
        """
        then = self._trained_on
        return sum(labels.get(n) != then.get(n) for n in labels.keys() | then.keys())

    def begin(self, job):
        """Begin a training, unless one is running or all labels are of one class.

        Parameters
        ----------
        job : Job
            What to train on.

        Returns
        -------
        started : bool
            Whether a training has begun.
        """
        if self.since is not None or len(set(job.labels.values())) < 2:
            return False
        self._trained_on, self.error = job.labels, None
        self.since = time.monotonic()
        self._trainer.start(job)
        return True

    def take_up(self, answer, held_out):
        """Load the results of a training that has ended, and record the round.

        Parameters
        ----------
        answer : dict
            Answer of the trainer.
        held_out : iterable of str
            Held-out pictures whose predictions are recorded.

        Returns
        -------
        is_well : bool
            Whether the training succeeded; if not, ``error`` says why.

        Raises
        ------
        NotSavedError
            If the round cannot be written.
        """
        self.since, self.error = None, answer.get("error")
        if self.error is not None:
            return False
        self._load_round()
        self._remember(answer, held_out)
        return True

    def status(self):
        """Return the state of the trainings.

        Returns
        -------
        status : dict
            State in the form that the page reads.
        """
        last = self.rounds[-1] if self.rounds else {}
        is_busy = self.since is not None
        return {
            "is_busy": is_busy,
            "seconds": time.monotonic() - self.since if is_busy else None,
            "last_seconds": last.get("seconds"),
            "rounds": len(self.rounds),
            "n_labels": last.get("n_labels", 0),
            "error": self.error,
        }

    def _remember(self, answer, held_out):
        row = {
            **answer,
            "time": time.time(),
            "held_out": {
                name: self.predictions[name][0]
                for name in held_out
                if name in self.predictions
            },
        }
        self._store.set("trained_on", self._trained_on)
        self._store.add_round(row)
        self.rounds.append(row)

    def _load_round(self):
        """Load the ranking and the predictions of the last training."""
        self.ranking, self.predictions = [], {}
        with suppress(OSError, ValueError, KeyError, TypeError):
            found = json.loads(
                Path(self._recipe.folder, ROUND).read_text(encoding="utf-8")
            )
            self.ranking = list(found["ranking"])
            self.predictions = dict(found["predictions"])
