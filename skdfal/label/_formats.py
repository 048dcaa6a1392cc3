"""Labels and predictions in the formats of other programs.

CSV for spreadsheets, JSON for Label Studio. Labels are read as events. The identifier
of an event depends on its content, so that a label read twice is one event.
"""

import csv
import hashlib
import io
import json
import re
import reprlib
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from itertools import chain
from operator import attrgetter
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import quoteattr

import numpy as np

from skdfal._utils._files import write_bytes
from skdfal._utils._names import composed
from skdfal.datasets._label_table import COLUMNS, PictureNames, label_rows
from skdfal.label._event import Event

LOCAL_FILES = "/data/local-files/?d="  # prefix of local files in Label Studio

_CONTROL, _OBJECT = "label", "image"  # names in the interface of Label Studio
_UPLOAD = re.compile(r"^[0-9a-f]{8}-")  # the prefix that it gives to uploaded files
_FORMULA = re.compile("'*[=+@-]")  # the beginning of a formula in a spreadsheet
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


# CSV


def write_labels(path, events):
    """Write labels as CSV that spreadsheets read: file, label, annotator, time.

    Parameters
    ----------
    path : path-like
        The file, which is written whole or not at all.
    events : iterable of Event
        Events of the kind "label", such as those that stand in ``Answers``. Times are
        written to the second, in UTC, as ISO 8601 has it: 2026-01-31T13:45:00+00:00.

    Notes
    -----
    Annotators choose their names themselves. A name that begins with ``=``, ``+``,
    ``-`` or ``@``, which a spreadsheet would take for a formula, gets an apostrophe in
    front, which :func:`read_labels` removes. Names of files and classes are your own,
    and are not changed.
    """
    rows = [(e.picture, e.label, *_who_and_when(e)) for e in events]
    _write_csv(path, [tuple(COLUMNS), *rows])


def read_labels(path, columns=None):
    """Read labels from a CSV with columns of any names.

    Parameters
    ----------
    path : path-like
        The file, as for :func:`~skdfal.datasets._label_table.label_rows`.
    columns : dict of str to str, default=None
        Names of the columns for "file", "label", "annotator" and "time", if they are
        not the usual ones. The last two may be missing.

    Returns
    -------
    events : list of Event
        One per row that has a label, in the order of time; rows without a time come
        first, in the order of the file.

    Raises
    ------
    ValueError
        If the file is a folder or not such a CSV, a column is missing, or a time cannot
        be read.
    """
    events = []
    for number, cells in label_rows(path, columns):
        who = _as_name(cells.get("annotator", "").strip())
        when = _as_seconds(cells.get("time"), f"{path}, row {number}")
        events.append(_event("label", cells["file"], cells["label"], who, when))
    return sorted(events, key=attrgetter("time"))


def _who_and_when(event):
    return _as_no_formula(event.annotator), _as_text(event.time)


def _as_no_formula(name):
    return f"'{name}" if _FORMULA.match(name) else name


def _as_name(cell):
    """Undo :func:`_as_no_formula`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def write_predictions(path, files, proba, classes):
    """Write predictions as CSV, with one column per class.

    Parameters
    ----------
    path : path-like
        The file, which is written whole or not at all.
    files : sequence of str
        Names of the pictures.
    proba : ndarray of shape (n_samples, n_classes)
        Predicted probabilities.
    classes : sequence of str
        Names of the classes. The column of "cat" is called "p_cat".

    Notes
    -----
    The confidence is the largest probability, the margin its distance to the second
    largest.
    """
    names = np.asarray(classes, dtype=object)[proba.argmax(axis=1)]
    gaps, tops = margins(proba), proba.max(axis=1)
    rows = [
        [file, name, *(f"{value:.6g}" for value in (top, margin, *row))]
        for file, name, top, margin, row in zip(
            files, names, tops, gaps, proba, strict=True
        )
    ]
    columns = [f"p_{name}" for name in classes]
    _write_csv(path, [["file", "label", "confidence", "margin", *columns], *rows])


def write_judged(path, judged):
    """Write labels and the predictions for the same pictures as CSV.

    Parameters
    ----------
    path : path-like
        The file, which is written whole or not at all.
    judged : iterable of (Event, str, float)
        A label, the predicted label and its confidence.

    Notes
    -----
    :func:`read_labels` reads the labels back with their annotators and times, so a
    label that is corrected in the file replaces the answer of that annotator.
    """
    rows = [
        [e.picture, e.label, prediction, f"{confidence:.6g}", *_who_and_when(e)]
        for e, prediction, confidence in judged
    ]
    columns = ["file", "label", "prediction", "confidence", "annotator", "time"]
    _write_csv(path, [columns, *rows])


def margins(proba):
    """Return the difference of the two largest probabilities of each sample."""
    best = np.sort(proba, axis=1)
    return best[:, -1] - best[:, -2]


def _write_csv(path, rows):
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    # Excel recognises UTF-8 only by the mark at its beginning.
    write_bytes(path, out.getvalue().encode("utf-8-sig"))


# Label Studio


def label_studio_config(classes):
    """Return the labelling interface of the tasks, for Label Studio.

    Parameters
    ----------
    classes : sequence of str
        Names of the classes.

    Returns
    -------
    config : str
        XML with one picture, and one choice among the classes.
    """
    choices = "\n".join(f"    <Choice value={quoteattr(one)}/>" for one in classes)
    return (
        f'<View>\n  <Image name="{_OBJECT}" value="${_OBJECT}"/>\n'
        f'  <Choices name="{_CONTROL}" toName="{_OBJECT}" choice="single">\n'
        f"{choices}\n  </Choices>\n</View>\n"
    )


def label_studio_tasks(files, proba, classes, *, prefix=LOCAL_FILES):
    """Return tasks with predictions for Label Studio, the least certain first.

    Parameters
    ----------
    files : sequence of str
        Names of the pictures.
    proba : ndarray of shape (n_samples, n_classes)
        Predicted probabilities.
    classes : sequence of str
        Names of the classes.
    prefix : str, default="/data/local-files/?d="
        Prefix of the file names: where Label Studio serves local files, followed by the
        path of the folder below its document root and a slash; or the URL of a server.

    Returns
    -------
    tasks : list of dict
        Tasks, for :func:`json.dump`. Their score is the margin between the two most
        likely classes; like Label Studio, this function sorts them by it, smallest
        first.
    """
    gaps, best = margins(proba), proba.argmax(axis=1)
    return [
        {
            "data": {_OBJECT: prefix + quote(files[i]), "file": files[i]},
            "predictions": [
                {
                    "model_version": "skdfal",
                    "score": float(np.clip(gaps[i], 0, 1)),
                    "result": [_choice(classes[best[i]])],
                }
            ],
        }
        for i in np.argsort(gaps, kind="stable")
    ]


def _choice(name):
    return {
        "from_name": _CONTROL,
        "to_name": _OBJECT,
        "type": "choices",
        "value": {"choices": [name]},
    }


def read_label_studio(path, files):
    """Read the answers in a JSON export of Label Studio.

    Parameters
    ----------
    path : path-like
        The file, as "Export, JSON" writes it.
    files : iterable of str
        Names of the pictures in the folder, by which tasks that were not made by
        :func:`label_studio_tasks` are recognised.

    Returns
    -------
    events : list of Event
        One event per annotation, in the order of time: a label, or a skip if the task
        was skipped or nothing was chosen. A picture that is not among ``files`` keeps
        its name in the export.

    Raises
    ------
    ValueError
        If the file is not such an export, or an annotation has several labels.
    """
    try:
        tasks = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(tasks, list) or not all(map(_is_task, tasks)):
        raise ValueError(
            f"{path} should be a list of tasks with 'data' and 'annotations'. Export "
            "from Label Studio as JSON, not as JSON-MIN."
        )
    names = PictureNames(files)
    events = [
        _annotation(annotation, _file_of(task["data"], names), f"{path}, task {i}")
        for i, task in enumerate(tasks)
        for annotation in task["annotations"]
    ]
    return sorted(events, key=attrgetter("time"))


def _is_task(task):
    return (
        isinstance(task, Mapping)
        and isinstance(task.get("data"), Mapping)
        and isinstance(task.get("annotations"), list)
    )


def _is_annotation(annotation):
    result = annotation.get("result") if isinstance(annotation, Mapping) else 0
    return (
        isinstance(result, list | None)
        and all(map(_is_part, result or ()))
        and all(
            isinstance(annotation.get(name), str | None)
            for name in ("created_at", "updated_at")
        )
    )


def _is_part(part):
    """Whether a part of a result is valid: a choice of names, or of another type."""
    if not isinstance(part, Mapping):
        return False
    if part.get("type") != "choices":
        return True
    names = (
        part["value"].get("choices", [])
        if isinstance(part.get("value"), Mapping)
        else 0
    )
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


def _annotation(annotation, file, where):
    if not _is_annotation(annotation):
        raise ValueError(
            f"{where}: {reprlib.repr(annotation)} should be an annotation with a "
            "'result' of 'choices' and times as text. Export again from Label Studio, "
            "as JSON."
        )
    chosen = [
        composed(name)
        for part in annotation.get("result") or []
        if part.get("type") == "choices"
        for name in part["value"].get("choices", ())
    ]
    if len(chosen) > 1:
        raise ValueError(f"{where}: expected one label, got {chosen}.")
    who = annotation.get("completed_by", "")
    if isinstance(who, Mapping):
        who = who.get("email") or who.get("id", "")
    when = annotation.get("updated_at") or annotation.get("created_at")
    is_label = chosen and not annotation.get("was_cancelled")
    return _event(
        "label" if is_label else "skip",
        file,
        label=chosen[0] if is_label else None,
        annotator=str(who),
        time=_as_seconds(when, where),
    )


def _file_of(data, names):
    """Return the picture of a task: the longest end of its address that is a name."""
    address = next((v for v in data.values() if isinstance(v, str)), "")
    address = str(data.get(_OBJECT, address))
    file = str(data.get("file", address))
    readings = chain([file], _ends(address), _ends(_path_in(address)))
    known = (name for name in map(names.find, readings) if name is not None)
    return next(known, file)


def _ends(path):
    """Yield the ends of a path, longest first; then without the prefix of uploads."""
    *folders, name = path.split("/")
    for last in (name, _UPLOAD.sub("", name)):
        for start in range(len(folders) + 1):
            yield "/".join([*folders[start:], last])


def _path_in(address):
    split = urlsplit(address)
    local = parse_qs(split.query).get("d")
    return local[0] if local else unquote(split.path)


# Events of both formats


def renamed(event, name):
    """Return an event with another name of its picture, and the identifier for it.

    Parameters
    ----------
    event : Event
        Event from a file, or from a project.
    name : str
        Name of the picture in its folder.

    Returns
    -------
    event : Event
        The same event, however the file spelled the name.
    """
    return _event(event.kind, name, event.label, event.annotator, event.time)


def _event(kind, file, label=None, annotator="", time=0.0):
    content = json.dumps([kind, file, label, annotator, time])
    identity = hashlib.sha256(content.encode()).hexdigest()[:32]
    return Event(identity, file, kind, label, annotator, time)


def _as_text(seconds):
    if not seconds:  # not known, as after an import without times
        return ""
    try:
        when = _EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError):  # beyond the years 1 to 9999
        return ""
    return when.isoformat(timespec="seconds")


def _as_seconds(text, where):
    text = (text or "").strip()
    if not text:
        return 0.0
    try:  # Python 3.10 knows no Z
        when = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise ValueError(
            f"{where}: {text!r} should be a time like 2026-01-31T13:45:00+00:00."
        ) from error
    if when.tzinfo is None:  # taken as UTC
        when = when.replace(tzinfo=timezone.utc)
    return when.timestamp()
