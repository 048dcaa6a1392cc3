"""Save a run after each round, and take it up again after a kill."""

import os
import re
import tempfile
from pathlib import Path

import joblib


class CheckpointError(ValueError):
    """A checkpoint that belongs to another run, or cannot be read."""


def fingerprint(estimator, X, y, ignore=()):
    """Return a dict that two runs share only if they would do the same.

    Addresses are taken out of the reprs, and private parameters (skorch has some)
    left out, so that it holds across processes.
    """
    parameters = {
        name: re.sub(r" at 0x[0-9a-f]+", "", repr(value))
        for name, value in estimator.get_params(deep=True).items()
        if name.split("__")[0] not in ignore and "___" not in name
    }
    return {**parameters, "X": joblib.hash(X), "y": joblib.hash(y)}


def save_checkpoint(path, run, state):
    """Write ``state`` of the run with the fingerprint ``run``; all of it or nothing."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    os.close(handle)
    try:
        joblib.dump({"run": run, "state": state}, temporary)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def load_checkpoint(path, run):
    """Return the state that was saved for ``run``, or None where there is no file.

    Raises
    ------
    CheckpointError
        If the file cannot be read, or was written by a run with other data or
        parameters; it is left as it is.
    """
    path = Path(path)
    if path.is_dir():
        raise CheckpointError(f"checkpoint={str(path)!r} is a folder; name a file.")
    if not path.exists():
        return None
    try:
        saved = joblib.load(path)
        found, state = dict(saved["run"]), saved["state"]
    except Exception as exc:
        raise CheckpointError(
            f"{path} is not a readable checkpoint of ActiveLearningClassifier "
            f"({type(exc).__name__}: {exc}). Delete it, or give another path."
        ) from exc
    changed = sorted(
        name for name in found.keys() | run.keys() if found.get(name) != run.get(name)
    )
    if changed:
        raise CheckpointError(
            f"{path} belongs to a run with other {', '.join(changed)}. Delete it, give "
            "another path, or go back to the former values."
        )
    return state
