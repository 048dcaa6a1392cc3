"""Training in a separate process, so that the page never waits.

The results are three files, each written whole or not at all: the network, its
predictions, and ``round.json`` with the ranking. The process may be killed at any time.
"""

import json
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from skdfal._utils._files import write_text
from skdfal.label._formats import margins, write_predictions
from skdfal.label._net_file import save_net
from skdfal.label._nets import make_net, samples_for, strategy_for
from skdfal.learner import (
    CheckpointError,
    LabelingSession,
    SmallestMargin,
    StabilizingPredictions,
)
from skdfal.pool import on_cluster

ROUND = "round.json"
PREDICTIONS = "predictions.csv"
NET = "net.skdfal"
_SESSION = "session.skdfal"
_NICENESS = 5  # the page goes first


class Recipe(NamedTuple):
    """Settings of all trainings of a project.

    Attributes
    ----------
    open_pool : callable
        Function that opens the pool of pictures. It is sent to another process, so it
        must be defined in a module.
    folder : str
        Folder for the results.
    classes : tuple of str
        Names of the classes.
    net : str
        Name of a network, or ``module:Class``.
    strategy : str
        Name of a query strategy, or ``module:function``.
    n_ranked : int
        Number of pictures to rank.
    max_epochs : int
        Number of epochs of each training.
    seed : int
        Seed of all random numbers.
    dask : str or None
        Address of the Dask scheduler whose workers process the pictures.
    device : str
        Device to train on.

    Examples
    --------
    >>> from functools import partial
    >>> from skdfal.label import Recipe
    >>> from skdfal.pool import ImagePool
    >>> recipe = Recipe(partial(ImagePool, "birds"), "birds/skdfal", ("tit", "wren"))
    >>> recipe.net
    'lenet5'
    """

    open_pool: Any
    folder: str
    classes: tuple
    net: str = "lenet5"
    strategy: str = "dfal"
    n_ranked: int = 50
    max_epochs: int = 50
    seed: int = 0
    dask: str | None = None
    device: str = "cpu"


class Job(NamedTuple):
    """The data of one training.

    Attributes
    ----------
    labels : dict of str to str
        Class by picture.
    askable : list of str
        Pictures that may be trained on and ranked, in any order.
    excluded : set of str
        Pictures to leave out of the ranking.
    """

    labels: dict
    askable: list
    excluded: set


class Trainer:
    """A process that trains on request, and is restarted if it has died.

    Parameters
    ----------
    recipe : Recipe
        Settings of the trainings.
    on_end : callable
        Called from another thread at the end of each training, with a dict: "n_labels",
        "seconds", "kappa", "margin" and "is_settled", or only "error", a message.
    """

    def __init__(self, recipe, on_end):
        self._recipe, self._on_end = recipe, on_end
        self._process = self._connection = self._thread = None
        self._lock = threading.Lock()  # of beginning and ending a process
        self._is_closed = False

    @property
    def pid(self):
        """Process number, or None if there is no process."""
        return self._process.pid if self._process else None

    def start(self, job):
        """Begin a training. The previous one must have ended.

        Parameters
        ----------
        job : Job
            What to train on.
        """
        self._thread = threading.Thread(target=self._run, args=[job], daemon=True)
        self._thread.start()

    def close(self):
        """End the process, even in the middle of a training."""
        with self._lock:
            self._is_closed = True
            if self._process is not None:
                self._process.kill()
                self._process.join()

    def _run(self, job):
        try:
            self._ensure_process()
            self._connection.send(job)
            answer = self._connection.recv()
        except (EOFError, OSError):
            answer = {"error": self._bury()}
        except Exception as exc:  # such as a recipe that does not travel
            answer = _error(exc)
        if not self._is_closed:
            self._on_end(answer)

    def _ensure_process(self):
        with self._lock:
            if self._is_closed:
                raise OSError("The trainer is closed.")
            if self._process is not None and self._process.is_alive():
                return
            context = multiprocessing.get_context("spawn")
            self._connection, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, self._recipe))
            process.daemon = True
            process.start()
            self._process = process
            theirs.close()  # so that its end is noticed

    def _bury(self):
        """Forget a dead process, and return how it died."""
        process, self._process = self._process, None
        if process is None:
            return "The training process could not be started."
        process.join()
        code = process.exitcode
        how = f"by signal {-code}" if code < 0 else f"with status {code}"
        return f"The training process ended {how}, perhaps for want of memory."


# In the process


def _work(connection, recipe):
    """Train whenever a job arrives, until the other end of the connection closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server
    threading.Thread(target=_die_with_parent, daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    torch.set_num_threads(1)
    learner = _Learner(recipe)
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        try:
            with on_cluster(recipe.dask):
                answer = learner.train(job)
        except Exception as exc:
            traceback.print_exc(file=sys.stderr)
            answer = _error(exc)
        connection.send(answer)


def _error(exc):
    return {"error": f"{type(exc).__name__}: {exc}"}


def _die_with_parent():
    multiprocessing.parent_process().join()
    os._exit(1)


class _Learner:
    """A labelling session that takes its labels from jobs."""

    def __init__(self, recipe):
        self._recipe = recipe
        self._folder = Path(recipe.folder)
        self._pool = self._samples = self._session = self._names = None

    def train(self, job):
        """Train on the labels of a job, rank the pictures, and write the files."""
        started = time.perf_counter()
        self._open(job.askable)
        labels = {i: job.labels[name] for i, name in self._named(job.labels)}
        self._follow(labels, [i for i, _ in self._named(job.excluded)])
        self._session.fit(n_instances=self._recipe.n_ranked)
        self._save()
        return {
            "n_labels": len(labels),
            "seconds": time.perf_counter() - started,
            **self._judge(),
        }

    def _named(self, names):
        return [(i, name) for i, name in enumerate(self._names) if name in names]

    def _open(self, askable):
        """Open a session on the pictures that exist now."""
        if self._pool is None:
            pool = self._recipe.open_pool()
            self._samples = samples_for(self._recipe.net, pool, self._recipe.device)
            self._pool = pool
        else:
            self._pool.refresh()
        self._pool.decode()
        askable, names = set(askable), self._pool.names
        rows = [i for i in np.flatnonzero(self._pool.available) if names[i] in askable]
        if (names := [names[i] for i in rows]) == self._names:
            return
        if self._session is not None:
            self._session.close()
        self._names = self._session = None  # until there is one of these pictures
        self._session = self._new_session(self._samples.view(rows))
        self._settling, self._margins = StabilizingPredictions(), SmallestMargin()
        self._names, self._rows = names, np.array(rows)

    def _new_session(self, pool):
        recipe = self._recipe
        shape = self._samples.sample_shape
        parameters = {
            "classes": list(recipe.classes),
            "estimator": make_net(
                recipe.net,
                len(recipe.classes),
                shape,
                recipe.max_epochs,
                recipe.strategy,
                recipe.device,
            ),
            "query_strategy": strategy_for(recipe.strategy),
            "random_state": recipe.seed,
            "path": self._folder / _SESSION,
        }
        try:
            return LabelingSession(pool, **parameters)
        except CheckpointError:  # of other pictures or settings: twins begin anew
            (self._folder / _SESSION).unlink(missing_ok=True)
            return LabelingSession(pool, **parameters)

    def _follow(self, labels, excluded):
        """Tell the session which labels are new, corrected, withdrawn or excluded."""
        session = self._session
        known, skipped = session.labels_, set(session.skipped_indices_.tolist())
        session.retract([*(known.keys() | skipped) - labels.keys() - set(excluded)])
        new = [i for i, label in labels.items() if known.get(i) != label]
        session.tell(new, [labels[i] for i in new])
        session.skip([i for i in excluded if i not in skipped and i not in labels])

    def _judge(self):
        """Return whether more labels would change little, and the evidence for it."""
        is_open = np.ones(len(self._names), dtype=bool)
        is_open[self._session.annotated_indices_] = False
        is_open[self._session.skipped_indices_] = False
        if not is_open.any():
            return {"kappa": None, "margin": None, "is_settled": True}
        rows = np.flatnonzero(is_open)
        unlabeled = self._samples.view(self._rows[rows])
        seen = self._session.estimator_, unlabeled, self._session.history_
        is_settled = self._settling.update(*seen)
        self._margins.update(*seen)
        return {
            "kappa": self._settling.kappas_[-1] if self._settling.kappas_ else None,
            "margin": self._margins.margins_[-1],
            "is_settled": is_settled,
        }

    def _save(self):
        """Write the network, the predictions and the ranking."""
        recipe, pool = self._recipe, self._pool
        save_net(
            self._folder / NET,
            self._session.estimator_,
            recipe.classes,
            pool.image_size,
            pool.mode,
            recipe.net,
        )
        there = np.flatnonzero(pool.available)
        names = [pool.names[i] for i in there]
        proba = self._session.predict_proba(self._samples.view(there))
        write_predictions(self._folder / PREDICTIONS, names, proba, recipe.classes)
        tops, gaps = proba.max(axis=1).tolist(), margins(proba).tolist()
        codes = proba.argmax(axis=1)
        predictions = {
            name: [recipe.classes[code], top, gap]
            for name, code, top, gap in zip(names, codes, tops, gaps, strict=True)
        }
        asked = self._session.ask(recipe.n_ranked)
        found = {"ranking": [self._names[i] for i in asked], "predictions": predictions}
        write_text(self._folder / ROUND, json.dumps(found))
