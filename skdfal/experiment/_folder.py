"""The folder of an experiment: settings, the files of each trial, and summaries."""

import json
from contextlib import ExitStack, contextmanager
from itertools import zip_longest
from pathlib import Path

from skdfal._utils._files import csv_rows, locked, remove_unfinished, write_json
from skdfal.strategies import STRATEGIES

COLUMNS = (
    "dataset",
    "net",
    "strategy",
    "trial",
    "round",
    "annotations",
    "labeled_data",
    "score",
)
SECONDS_COLUMNS = (
    "strategy",
    "trial",
    "round",
    "annotations",
    "fit_seconds",
    "query_seconds",
)
_SETTINGS, _LOCK = "settings.json", ".lock"
DIGEST = "data_digest"  # the setting that tells one content of a data set from another
_COUNTS = ("trial", "round", "annotations", "labeled_data")
_NUMBERS = {**dict.fromkeys(_COUNTS, int), "score": float}


class FolderError(ValueError):
    """Raised if a folder holds something other than the requested experiment.

    Examples
    --------
    >>> from skdfal.experiment import FolderError
    >>> issubclass(FolderError, ValueError)
    True
    """


def read_records(path):
    """Read the rows of a ``rounds.csv``, or of the CSV of a single trial.

    Parameters
    ----------
    path : str or path-like
        The file. A missing file has no rows.

    Returns
    -------
    records : list of dict
        One row per round, in the format of ``ActiveLearningCurveDisplay.from_records``.

    Examples
    --------
    >>> from skdfal.experiment import read_records
    >>> read_records("results/that-are-not-there/rounds.csv")
    []
    """
    path = Path(path)
    if not path.exists():
        return []
    with open(path, encoding="utf-8-sig", newline="") as file:
        try:
            header, *rows = [*csv_rows(path, file)] or [[]]
        except ValueError as error:
            raise FolderError(str(error)) from error
    return [
        _parsed(dict(zip_longest(header, row)), path, i)
        for i, row in enumerate(filter(None, rows))
    ]


def _parsed(row, path, i):
    parsed = {}
    for name, text in row.items():
        try:
            parsed[name] = _NUMBERS.get(name, str)(text)
        except (TypeError, ValueError):
            raise FolderError(
                f"{path}, row {i}: {name}={text!r} is not a number."
            ) from None
    return parsed


class TrialFiles:
    """The files of one trial: its rows so far, its checkpoint, and its end.

    Parameters
    ----------
    folder : path-like
        Folder of the experiment.
    strategy : str
        Name of the strategy, or ``"module:function"``.
    trial : int
        Number of the trial.
    """

    def __init__(self, folder, strategy, trial):
        self.strategy, self.trial = strategy, trial
        self.folder = Path(folder) / "trials"
        stem = f"{strategy.replace(':', '.')}-{trial}"  # no colon on Windows
        self.rows = self.folder / f"{stem}.csv"
        self.end = self.folder / f"{stem}.json"
        self.twins = self.folder / f"{stem}-twins.npz"
        self.training_set = self.folder / f"{stem}-training_set.npz"
        self.checkpoint = self.folder / f"{stem}.checkpoint"
        self.cut_short = self.folder / f"{stem}.cut_short"

    def is_finished(self):
        """Whether the trial is finished."""
        return self.end.exists()

    def read(self):
        """Return the rows and the end of a finished trial, or raise if damaged."""
        try:
            rows = read_records(self.rows)
            end = json.loads(self.end.read_text(encoding="utf-8"))
            n_rounds = len(end["fit_seconds"])
            if n_rounds != len(end["query_seconds"]) or n_rounds != len(rows):
                raise ValueError(f"{len(rows)} rows of {n_rounds}")
            for row in rows:
                if (row["strategy"], row["trial"]) != (self.strategy, self.trial):
                    raise ValueError(
                        f"a row of {row['strategy']}, trial {row['trial']}"
                    )
        except (KeyError, TypeError, ValueError) as error:
            raise FolderError(
                f"{self.rows} or {self.end.name} is damaged ({error}). Delete both to "
                "run the trial again."
            ) from error
        return rows, end

    def rounds_cut_short(self):
        """Return the rounds so far whose query reached its time limit."""
        if not self.cut_short.exists():
            return []
        return json.loads(self.cut_short.read_text(encoding="utf-8"))

    def note_cut_short(self):
        """Note that the query of the last round reached its limit, at most once."""
        rounds = {*self.rounds_cut_short(), len(read_records(self.rows)) - 1}
        write_json(self.cut_short, sorted(rounds))

    def clean(self):
        """Remove files left by a kill, and those that only a running trial needs."""
        passing = self.checkpoint, self.cut_short
        for path in (self.rows, self.end, self.twins, self.training_set, *passing):
            remove_unfinished(self.folder, path.name)
        if self.is_finished():
            for path in passing:
                path.unlink(missing_ok=True)


def finished_trials(folder):
    """Return the files of all finished trials, in the order of the tables."""
    known = list(STRATEGIES)
    found = []
    for path in (Path(folder) / "trials").glob("*.json"):
        stem, _, trial = path.stem.rpartition("-")
        bare, plus, addition = stem.partition("+")
        module, _, name = bare.rpartition(".")
        bare = f"{module}:{name}" if module else name
        strategy = bare + plus + addition
        if not (module or bare in known) or not _is_number(trial):
            raise FolderError(f"{path} does not belong to a trial. Move it elsewhere.")
        place = known.index(bare) if bare in known else len(known)
        found.append((place, strategy, int(trial)))
    return [TrialFiles(folder, strategy, trial) for _, strategy, trial in sorted(found)]


def _is_number(text):
    return text.isdecimal() and str(int(text)) == text


@contextmanager
def opened(folder, settings, *, resume):
    """Context manager: lock the folder of an experiment, creating it if necessary.

    Parameters
    ----------
    folder : path-like
        The folder.
    settings : dict
        Settings that all runs in the folder must share.
    resume : bool
        Whether the folder may hold an experiment already.

    Raises
    ------
    FileExistsError
        If the folder is not empty and ``resume`` is not set.
    FolderError
        If the folder holds an experiment with other settings, or something else, or if
        another process works in it.
    """
    folder = Path(folder)
    for needed in (folder, folder / "trials"):
        if needed.exists() and not needed.is_dir():
            raise FolderError(f"{needed} is a file; an experiment needs a folder.")
    folder.mkdir(parents=True, exist_ok=True)
    names = _names(folder)
    if _LOCK not in names:  # no process works in it; refuse it without changing it
        _check_contents(folder, names, settings, resume)
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder / _LOCK))
        except BlockingIOError:
            raise FolderError(
                f"Another process is working in {folder}. Wait until it ends, or end "
                "it."
            ) from None
        remove_unfinished(folder)
        remove_unfinished(folder / "trials")
        _check_contents(folder, _names(folder) - {_LOCK}, settings, resume)
        if not (folder / _SETTINGS).exists():
            write_json(folder / _SETTINGS, settings)
        (folder / "trials").mkdir(exist_ok=True)
        yield


def _names(folder):
    return {path.name for path in folder.iterdir()}


def _check_contents(folder, names, settings, resume):
    """Raise unless a folder is new, or holds an experiment to resume."""
    if not names:
        return
    path = folder / _SETTINGS
    if path.name not in names:
        raise FolderError(
            f"{folder} does not hold an experiment: there is no {path.name} in it. "
            "Choose another folder."
        )
    if not resume:
        raise FileExistsError(
            f"{folder} is not empty. Resume the experiment in it, or choose another "
            "folder."
        )
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("there are no settings in it")
    except ValueError as error:
        raise FolderError(
            f"{path} is damaged ({error}), so the settings of the trials beside it are "
            "unknown. Restore a copy of it, or choose another folder."
        ) from error
    compared = found.keys() | settings.keys()
    if DIGEST in settings and found.get(DIGEST) == settings[DIGEST]:
        compared -= {"dataset_params"}  # the same data, though the folder has moved
    changed = [
        "the samples, labels or split of the data set are not the same"
        if name == DIGEST
        else f"{name} was {found.get(name)!r}, now {settings.get(name)!r}"
        for name in sorted(compared)
        if found.get(name) != settings.get(name)
    ]
    if changed:
        raise FolderError(
            f"{folder} holds an experiment with other settings: {'; '.join(changed)}. "
            "Go back to the former settings, or choose another folder."
        )
