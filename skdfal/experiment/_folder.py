"""The folder of an experiment: settings, a file a trial, and what sums them up.

Every file is written whole or not at all, so that a kill at any moment leaves the
old one or the new one.
"""

import csv
import io
import json
import os
from contextlib import contextmanager
from pathlib import Path

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
_NUMBERS = dict.fromkeys(("trial", "round", "annotations", "labeled_data"), int)
_NUMBERS["score"] = float


class FolderError(ValueError):
    """A folder that holds something else than the experiment that is asked for.

    Examples
    --------
    >>> from skdfal.experiment import FolderError
    >>> issubclass(FolderError, ValueError)
    True
    """


def write_text(path, text):
    """Write a file whole or not at all, and have it on the disk before returning."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path, value):
    """Write a value as JSON that a person can read."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_csv(path, rows, columns):
    """Write dicts as CSV, floats with all their digits."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def read_records(path):
    """Read the rows of a ``rounds.csv``, or of the CSV of a single trial.

    Parameters
    ----------
    path : str or path-like
        The file; one that is not there has no rows.

    Returns
    -------
    records : list of dict
        A row a round, as ``ActiveLearningCurveDisplay.from_records`` takes them.

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
        return [_parsed(row, path, i) for i, row in enumerate(csv.DictReader(file))]


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
    """The files of one trial: rows as it goes, its checkpoint, its end.

    Parameters
    ----------
    folder : path-like
        Folder of the experiment.
    strategy : str
        Name of the strategy.
    trial : int
        Number of the trial.
    """

    def __init__(self, folder, strategy, trial):
        self.strategy, self.trial = strategy, trial
        self.folder = Path(folder) / "trials"
        stem = f"{strategy}-{trial}"
        self.rows = self.folder / f"{stem}.csv"
        self.end = self.folder / f"{stem}.json"
        self.twins = self.folder / f"{stem}-twins.npz"
        self.training_set = self.folder / f"{stem}-training_set.npz"
        self.checkpoint = self.folder / f"{stem}.checkpoint"

    def is_finished(self):
        """Whether the trial came to its end."""
        return self.end.exists()

    def read(self):
        """Return the rows and the end of a finished trial, or say what is damaged."""
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

    def clean(self):
        """Remove what a kill in the middle of writing left behind."""
        for pattern in (f"{self.checkpoint.name}?*", f".{self.rows.stem}.*"):
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)
        if self.is_finished():
            self.checkpoint.unlink(missing_ok=True)


def _is_number(text):
    return text.isdecimal() and str(int(text)) == text


def finished_trials(folder):
    """Return the files of all finished trials, in the order of the tables."""
    found = []
    for path in (Path(folder) / "trials").glob("*.json"):
        strategy, _, trial = path.stem.rpartition("-")
        if strategy not in STRATEGIES or not _is_number(trial):
            raise FolderError(f"{path} is not of a trial. Move it elsewhere.")
        found.append((list(STRATEGIES).index(strategy), int(trial), strategy))
    return [TrialFiles(folder, strategy, trial) for _, trial, strategy in sorted(found)]


def open_folder(folder, settings, resume):
    """Make the folder of an experiment, or check that it belongs to this one.

    Raises
    ------
    FileExistsError
        If there is something in it and ``resume`` is not set.
    FolderError
        If what is in it has other settings, or is no experiment.
    """
    folder = Path(folder)
    for needed in (folder, folder / "trials"):
        if needed.exists() and not needed.is_dir():
            raise FolderError(f"{needed} is a file; an experiment needs a folder.")
    path = folder / "settings.json"
    if folder.exists() and any(folder.iterdir()):
        if not resume:
            raise FileExistsError(
                f"{folder} is not empty. Resume what it holds, or choose another "
                "folder."
            )
        _check_settings(path, settings)
    folder.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write_json(path, settings)
    (folder / "trials").mkdir(exist_ok=True)


def _check_settings(path, settings):
    if not path.exists():
        raise FolderError(
            f"{path.parent} holds no experiment: there is no {path.name} in it. Choose "
            "another folder."
        )
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FolderError(f"{path} cannot be read ({error}).") from error
    if not isinstance(found, dict):
        raise FolderError(f"{path} cannot be read (there are no settings in it).")
    changed = [
        f"{name} was {found.get(name)!r}, now {settings.get(name)!r}"
        for name in sorted(found.keys() | settings.keys())
        if found.get(name) != settings.get(name)
    ]
    if changed:
        raise FolderError(
            f"{path.parent} holds an experiment with other settings: "
            f"{'; '.join(changed)}. Go back to them, or choose another folder."
        )


@contextmanager
def locked(folder):
    """Keep a second process from working in the same folder.

    The lock goes with the process, however it ends. Windows has none.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with open(Path(folder) / ".lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderError(
                f"Another process is working in {folder}. Wait for it, or end it."
            ) from None
        yield
