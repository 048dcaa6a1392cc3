"""A folder that is being labelled: its pictures, answers, order and trainings.

Everything that the page shows and does, without HTTP.
"""

import hashlib
import json
import secrets
import threading
import time
from contextlib import suppress
from itertools import islice
from pathlib import Path

from skdfal.label._answers import Answers
from skdfal.label._event import Event, event_of
from skdfal.label._formats import write_labels
from skdfal.label._handed import Handed
from skdfal.label._learning import Learning
from skdfal.label._order import Order
from skdfal.label._status import (
    accuracy_in_words,
    certainty,
    classes_shown,
    curve,
    quality,
    stopping,
)
from skdfal.label._store import NotSavedError
from skdfal.label._trainer import NET, PREDICTIONS, Job

LABELS = "labels.csv"
_REFRESH = 5  # seconds between two looks for new pictures, at least
_REST = 10  # pause after a look, in multiples of its duration; for slow disks
_N_UNDOABLE = 100
_N_TRIED = 1000  # unlabelled held-out pictures whose predictions are kept per round


class Project:
    """A folder of pictures that people label while a network trains.

    Parameters
    ----------
    pool : ImagePool
        The pictures.
    store : Store
        File of the answers.
    recipe : Recipe
        Settings of the trainings, and the folder of the network and its predictions.
    n_instances : int, default=10
        Number of new labels that start a training. A project that is opened again
        starts one as soon as any label has changed since the last.
    holdout : float, default=0.1
        Proportion of the shown pictures that is held out, and so never trained on.
    budget : int, default=0
        Number of labels that one can afford; 0 means no budget. When it is spent, the
        page stops showing pictures until the person chooses to continue. Further labels
        are accepted.
    say : callable, default=None
        Called with a line of text after each training.

    Raises
    ------
    ValueError
        If ``holdout`` is not the same as when the labelling began.

    Examples
    --------
    >>> import tempfile
    >>> from functools import partial
    >>> from skdfal.label import Project, Recipe, Store, load_demo
    >>> from skdfal.pool import ImagePool
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     open_pool = partial(ImagePool, load_demo(f"{folder}/digits"), image_size=24)
    ...     recipe = Recipe(open_pool, folder, classes=tuple("0123456789"))
    ...     store = Store(f"{folder}/labels.sqlite")
    ...     project = Project(open_pool(), store, recipe)
    ...     asked = project.queue("Ada", 5)
    ...     project.close()
    >>> len(asked)
    5
    """

    def __init__(
        self,
        pool,
        store,
        recipe,
        *,
        n_instances=10,
        holdout=0.1,
        budget=0,
        say=None,
    ):
        self.pool, self.store, self.recipe = pool, store, recipe
        self.n_instances, self.budget = n_instances, budget
        self._say = say or (lambda line: None)
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self.answers = Answers(store.events())
        if self._kept("holdout", holdout) != holdout:
            raise ValueError(
                f"{holdout=} was {store.setting('holdout')} when labelling began. "
                "Pictures that a network was trained on cannot be held out any more: "
                "keep the share, or name another project folder."
            )
        self._id = self._kept("id", secrets.token_hex(8))
        self._order = Order((), self._kept("seed", recipe.seed), holdout)
        self._learning = Learning(recipe, store, self._training_ended)
        self._handed = Handed()
        self._rows, self._numbers, self._names = {}, {}, {}
        self._take_up_pictures()
        pool.decode_in_background()
        self._lookout = threading.Thread(target=self._look_for_pictures, daemon=True)
        self._lookout.start()
        self._catch_up()

    def _kept(self, name, value):
        """Return a setting as it was in the first run, and save it in the first run."""
        found = self.store.setting(name)
        if found is None:
            self.store.set(name, value)
        return value if found is None else found

    def files(self):
        """Write the labels for other programs, and return the files that may exist.

        Returns
        -------
        paths : dict of str to Path
            Path of "labels.csv", which was just written, and of "predictions.csv", if
            there has been a training.
        """
        folder = Path(self.recipe.folder)
        with self._lock:
            labels = list(self.answers.standing("label").values())
        write_labels(folder / LABELS, labels)
        return {name: folder / name for name in (LABELS, PREDICTIONS)}

    def close(self):
        """End the training, and unlock the folder."""
        self._closed.set()
        self._lookout.join()
        self._learning.close()
        self.pool.close()
        with self._lock:
            self.store.close()

    # Pictures

    def _take_up_pictures(self):
        """Bring the order up to date with the pictures that exist now."""
        with self._lock:
            rows = {
                name: i
                for i, (name, is_there) in enumerate(
                    zip(self.pool.names, self.pool.available, strict=True)
                )
                if is_there
            }
            if rows == self._rows:
                return
            self._numbers = self.store.numbers(list(rows))
            self._names = {number: name for name, number in self._numbers.items()}
            self._order = Order(list(rows), self._order.seed, self._order.holdout)
            self._rows = rows

    def _look_for_pictures(self):
        pause = _REFRESH
        while not self._closed.wait(pause):
            began = time.monotonic()
            with suppress(OSError):  # a full disk, or a folder that is away: later
                if len(self.pool.refresh()):
                    self.pool.decode_in_background()
                self._take_up_pictures()
            pause = max(_REFRESH, _REST * (time.monotonic() - began))

    def picture(self, number, max_side):
        """Return a picture for a person.

        Parameters
        ----------
        number : int
            Number of the picture.
        max_side : int
            Maximum height or width, in pixels.

        Returns
        -------
        content : bytes
            Content of an image file.
        content_type : str
            "image/png" or "image/jpeg".

        Raises
        ------
        KeyError
            If there is no such picture, or no longer.
        ValueError
            If it cannot be read, with the reason. It is left out from then on.
        """
        row = self._rows[self._names[number]]
        try:
            return self.pool.image(row, max_side)
        except ValueError:
            self.pool.decode([row])  # which notes that it is broken
            if self.pool.available[row]:  # the file was readable before, and changed
                self.pool.refresh()
                self.pool.decode([row])
            self._take_up_pictures()
            raise

    def tag(self, number):
        """Return an identifier of a picture's content, for the browser's cache.

        Parameters
        ----------
        number : int
            Number of the picture.

        Returns
        -------
        tag : str
            32 hexadecimal digits, from name, size and time of the file, which is not
            read.

        Raises
        ------
        KeyError
            If there is no such picture, or no longer.
        """
        row = self._rows[self._names[number]]
        known = json.dumps([self._id, *self.pool.contents([row])])
        return hashlib.sha256(known.encode()).hexdigest()[:32]

    # Answers

    def add(self, rows):
        """Save events, and start a training if one is due.

        Parameters
        ----------
        rows : list of dict
            Fields of the events, with "picture" as a number.

        Raises
        ------
        InvalidEventError
            If one of them is not valid. Then none is stored.
        NotSavedError
            If they cannot be written.
        """
        with self._lock:
            classes = self.recipe.classes
            self._happen([event_of(row, self._names, classes) for row in rows])

    def _happen(self, events):
        self.store.add(events)
        for event in events:
            self.answers.add(event)
        self._train_if_due()

    def add_labels_from_folders(self):
        """Label each picture with its first subfolder, if that is a class.

        This happens once per picture, so that later corrections stay.
        """
        with self._lock:
            labels = zip(self.pool.names, self.pool.labels_from_folders(), strict=True)
            events = [
                Event(f"folder {name}", name, "label", label, "folders", time.time())
                for name, label in labels
                if label in self.recipe.classes and name in self._rows
            ]
            self._happen([event for event in events if event.id not in self.answers])

    def queue(self, annotator, n, client=""):
        """Return the next pictures for a person to label.

        Parameters
        ----------
        annotator : str
            Name of the person.
        n : int
            Maximum number of pictures.
        client : str, default=""
            Name of the page. For some minutes, other pages do not get the same
            pictures, as long as there are enough of them.

        Returns
        -------
        pictures : list of dict
            For each picture its number "picture", its "name", and the network's
            "guess", which may be None.
        """
        with self._lock:
            found = self._next(n, annotator, self._handed.to_others(client))
            found = found or self._next(n, annotator, ())
            if len(found) < n:  # skipped pictures come last
                skipped = self.answers.standing("skip")
                again = [p for p in skipped if p in self._rows and p not in found]
                found += again[: n - len(found)]
            self._handed.hand(client, found)
            return [self._described(name) for name in found]

    def _next(self, n, annotator, taken):
        def is_open(name):
            return name not in taken and self._is_open(name, annotator)

        done = [*self.answers.standing("label"), *self.answers.standing("exclude")]
        n_held_out = sum(map(self._order.is_held_out, done))
        return self._order.next(
            n, is_open, len(done), n_held_out, self._learning.ranking
        )

    def _is_open(self, name, annotator):
        if name not in self._rows:
            return False
        standing = self.answers.of(name)
        if standing is None:
            return True
        return (
            standing.kind == "dont_know"
            and self.answers.of_annotator(name, annotator) is None
        )

    def _described(self, name):
        guess = self._learning.predictions.get(name)
        return {
            "picture": self._numbers[name],
            "name": name,
            "guess": guess and {"label": guess[0], "confidence": guess[1]},
        }

    def undoable(self, annotator):
        """Return a person's last answers, which can be undone.

        Parameters
        ----------
        annotator : str
            Name of the person.

        Returns
        -------
        events : list of dict
            "id", "kind" and "label" of each answer, and its picture; the latest last.
        """
        with self._lock:
            return [
                {"id": e.id, "kind": e.kind, "label": e.label}
                | self._described(e.picture)
                for e in self.answers.last_of(annotator, _N_UNDOABLE)
                if e.picture in self._rows
            ]

    # Training

    def train(self):
        """Begin a training, unless one is running or all labels are of one class.

        Returns
        -------
        started : bool
            Whether a training has begun.
        """
        with self._lock:
            excluded = {
                *self.answers.standing("exclude"),
                *self.answers.standing("dont_know"),
            }
            labels = self._labels_to_train_on()
            return self._learning.begin(Job(labels, self._order.askable, excluded))

    def _catch_up(self):
        """Train on labels that came or changed since the last training, however few.

        A person who imports corrections and has no page to press a button on would wait
        for more labels otherwise.
        """
        n_changed = self._learning.n_changed(self._labels_to_train_on())
        if not (self._learning.rounds and n_changed and self.train()):
            self._train_if_due()

    def _train_if_due(self):
        if self._n_until_training() <= 0:
            self.train()

    def _n_until_training(self):
        n_changed = self._learning.n_changed(self._labels_to_train_on())
        n_beyond = len(self.answers.labels()) - self.budget
        if self.budget and 0 <= n_beyond < n_changed:
            return 0  # some labels within the budget have not been trained on yet
        return self.n_instances - n_changed

    def _labels_to_train_on(self):
        return {
            name: label
            for name, label in self.answers.labels().items()
            if name in self._rows and not self._order.is_held_out(name)
        }

    def _training_ended(self, answer):
        with self._lock:
            if self._closed.is_set():
                return
            try:
                if self._learning.take_up(answer, self._to_try()):
                    self.files()  # what others read keeps up, also with a crash
            except (NotSavedError, OSError) as exc:
                self._learning.error = str(exc)
            outcome = self._outcome(answer)
            self._train_if_due()
        with suppress(OSError):  # where nobody reads it any more
            self._say(outcome)

    def _to_try(self):
        """Return held-out pictures that have a label, and those that may get one next.

        Keeping the predictions for all of them in every round would fill the memory.
        """
        labels = self.answers.labels()
        later = (name for name in self._order.held_out if name not in labels)
        return [*self._held_out_of(labels), *islice(later, _N_TRIED)]

    def _outcome(self, answer):
        if self._learning.error is not None:
            return f"The training failed. {self._learning.error}"
        quality = self._quality(self._held_out_of(self.answers.labels()))
        return (
            f"Trained on {answer['n_labels']} labels; wrote {NET}, {PREDICTIONS} and "
            f"{LABELS} in {self.recipe.folder}.{accuracy_in_words(quality)}"
        )

    def n_open(self):
        """Return how many pictures have neither a label nor an exclusion.

        Returns
        -------
        n_open : int
            Number of such pictures among those that exist now.
        """
        with self._lock:
            done = {*self.answers.standing("label"), *self.answers.standing("exclude")}
            return len(self._rows.keys() - done)

    # What the page shows

    def status(self):
        """Return the state of the labelling.

        Returns
        -------
        status : dict
            State in the form that the page reads.
        """
        with self._lock:
            labels = self.answers.labels()
            held_out = self._held_out_of(labels)
            return {
                "project": self._id,
                "title": self.pool.folder.resolve().name,
                "folder": str(Path(self.recipe.folder).resolve()),
                "classes": classes_shown(self.recipe.classes, labels),
                "counts": self._counts(labels, held_out),
                "budget": self.budget,
                "training": self._training(),
                "quality": self._quality(held_out),
                "curve": curve(self._learning.rounds, held_out),
                "stopping": stopping(self._learning.rounds),
                "broken": dict(self.pool.broken),
            }

    def _quality(self, held_out):
        return quality(self.recipe.classes, held_out, self._learning.predictions)

    def _held_out_of(self, labels):
        return {n: one for n, one in labels.items() if self._order.is_held_out(n)}

    def _counts(self, labels, held_out):
        counts = {
            kind: len(self.answers.standing(kind))
            for kind in ("exclude", "dont_know", "skip")
        }
        return counts | {
            "label": len(labels),
            "held_out": len(held_out),
            "pictures": len(self._rows),
            "disagreements": len(self.answers.disagreements()),
        }

    def _training(self):
        known = set(self._labels_to_train_on().values())
        return self._learning.status() | {
            "until_next": max(0, self._n_until_training()),
            "has_two_classes": len(known) > 1,
        }

    def answered(self, kind, label=None):
        """Return pictures with an answer, those that the network doubts most first.

        Parameters
        ----------
        kind : {"label", "dont_know", "exclude", "skip", "disagreement"}
            Kind of the answer.
        label : str, default=None
            Class of the labels. If None, all classes.

        Returns
        -------
        pictures : list of dict
            As for :meth:`queue`, with "kind", "label", "annotator" and "held_out", and
            in "said" the answers of all annotators if they disagree.
        """
        with self._lock:
            said = self.answers.disagreements()
            if kind == "disagreement":
                events = [self.answers.of(name) for name in said]
            else:
                events = self.answers.standing(kind).values()
            found = [
                self._described(e.picture)
                | {"kind": e.kind, "label": e.label, "annotator": e.annotator}
                | {"held_out": self._order.is_held_out(e.picture)}
                | {"said": said.get(e.picture)}
                for e in events
                if e.picture in self._rows and label in (None, e.label)
            ]
        return sorted(found, key=certainty)
