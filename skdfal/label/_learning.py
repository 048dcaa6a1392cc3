"""The trainings of a project: the one that goes on, and what the last one said."""

import json
import time
from contextlib import suppress
from pathlib import Path

from skdfal.label._trainer import ROUND, Trainer


class Learning:
    """The rounds of a project, in its store, and the process that trains.

    Not locked: the project calls it by one thread at a time.

    Parameters
    ----------
    recipe : Recipe
        Of the trainings.
    store : Store
        Where the rounds are kept.
    on_end : callable
        Called from another thread with the answer of the :class:`Trainer`.

    Attributes
    ----------
    rounds : list of dict
        One for each training.
    ranking : list of str
        Pictures, the most helpful first.
    predictions : dict of str to list
        Class, probability and margin by picture.
    since : float or None
        When the training that goes on began, by the clock that is never set back.
    error : str or None
        Of the last training.
    """

    def __init__(self, recipe, store, on_end):
        self._recipe, self._store = recipe, store
        self._trainer = Trainer(recipe, on_end)
        self._trained_on = store.setting("trained_on", {})
        self.rounds = store.rounds()
        self.since = self.error = None
        self._load_round()

    def close(self):
        """End the process."""
        self._trainer.close()

    @property
    def pid(self):
        """Number of the process, None while there is none."""
        return self._trainer.pid

    def n_changed(self, labels):
        """Return by how many labels the last training did not know these.

        Parameters
        ----------
        labels : dict of str to str
            What the next training would be on.

        Returns
        -------
        n_changed : int
            New ones, corrected ones and those taken back.
        """
        then = self._trained_on
        return sum(labels.get(n) != then.get(n) for n in labels.keys() | then.keys())

    def begin(self, job):
        """Begin a training, unless one goes on or there are labels of one class only.

        Parameters
        ----------
        job : Job
            What to train on.

        Returns
        -------
        started : bool
            Whether it began.
        """
        if self.since is not None or len(set(job.labels.values())) < 2:
            return False
        self._trained_on, self.error = job.labels, None
        self.since = time.monotonic()
        self._trainer.start(job)
        return True

    def take_up(self, answer, held_out):
        """Take up what a training said.

        Parameters
        ----------
        answer : dict
            Of the trainer.
        held_out : iterable of str
            Pictures on which nets are tried.

        Returns
        -------
        is_well : bool
            Whether it went well; else there is an ``error``.

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
        """Return how it stands with the trainings.

        Returns
        -------
        status : dict
            As the page reads it.
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
        """Take up the ranking and the predictions of the last training."""
        self.ranking, self.predictions = [], {}
        with suppress(OSError, ValueError, KeyError, TypeError):
            found = json.loads(
                Path(self._recipe.folder, ROUND).read_text(encoding="utf-8")
            )
            self.ranking = list(found["ranking"])
            self.predictions = dict(found["predictions"])
