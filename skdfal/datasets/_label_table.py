"""Labels of images in a CSV file, with any column names and any paths to the images."""

import io
import os
import posixpath
from contextlib import suppress
from pathlib import Path

from skdfal._utils._files import csv_rows

COLUMNS = {  # what a column may be called, the surest first
    "file": ("file", "filename", "file_name", "picture", "image", "path", "name"),
    "label": ("label", "class", "category", "target", "choice"),
    "annotator": ("annotator", "user", "labeler", "labeller"),
    "time": ("time", "timestamp", "date", "created_at"),
}
_NEEDED = ("file", "label")


def label_rows(path, columns=None):
    """Return the rows of a CSV that have a label.

    Parameters
    ----------
    path : path-like
        The file, in UTF-8, with the names of its columns in the first line and commas,
        semicolons or tabs between cells.
    columns : dict of str to str, default=None
        Names of the columns for "file", "label", "annotator" and "time", if they are
        not the usual ones. The last two may be missing.

    Returns
    -------
    rows : list of (int, dict of str to str)
        Number of the row, and its cells by the keys above. The label is stripped of
        spaces.

    Raises
    ------
    ValueError
        If the path is a folder or not such a CSV file, or a column is missing.
    FileNotFoundError
        If the file does not exist.
    """
    if Path(path).is_dir():
        raise ValueError(
            f"{path} is a folder; a CSV with a file and a label in each row was "
            "expected. Name that file."
        )
    if not Path(path).exists():
        raise FileNotFoundError(
            f"{path} is missing; expected a CSV with a file and a label in each row."
        )
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not in UTF-8. Save it as 'CSV UTF-8', as Excel calls it."
        ) from error
    rows = _parse_csv(path, text)
    header = next(rows, [])
    places = _find_columns(path, header, columns or {})
    found = []
    for number, row in enumerate(rows, 2):
        if not any(map(str.strip, row)):
            continue
        if len(row) < len(header):
            raise ValueError(
                f"{path}, row {number}: {len(row)} of {len(header)} cells."
            )
        cells = {name: row[place] for name, place in places.items()}
        cells["label"] = cells["label"].strip()
        if cells["label"]:
            found.append((number, cells))
    return found


def _parse_csv(path, text):
    """Yield rows, by the delimiter that finds the most columns in the first."""

    def rows(delimiter):
        return csv_rows(path, io.StringIO(text, newline=""), delimiter)

    return rows(max(",;\t", key=lambda delimiter: len(next(rows(delimiter), []))))


def _find_columns(path, header, columns):
    found = {name.strip().lower(): i for i, name in reversed([*enumerate(header)])}
    places = {}
    for name, usual in COLUMNS.items():
        wanted = (columns[name].strip().lower(),) if name in columns else usual
        known = [found[one] for one in wanted if one in found]
        if known:
            places[name] = known[0]
        elif name in _NEEDED or name in columns:
            raise ValueError(
                f"{path} has no column {columns.get(name, name)!r}; it has {header}. "
                f"Say which of them is the {name}: --columns {name}=..."
            )
    return places


def name_in(given, names, folder):
    """Return the name of an image in a folder, given its name or a path to it.

    Parameters
    ----------
    given : str
        A name in the folder, or a path, absolute or from the working folder.
    names : set of str
        Names of the pictures in the folder.
    folder : path-like
        The folder.

    Returns
    -------
    name : str or None
        The name, or None if the image is not in the folder.
    """
    return next((name for name in _readings(given, folder) if name in names), None)


def _readings(given, folder):
    yield given
    yield posixpath.normpath(given.strip().replace("\\", "/"))  # such as ./a/1.png
    for full in (os.path.abspath, os.path.realpath):  # with links as given, or followed
        with suppress(ValueError):
            yield Path(full(given)).relative_to(full(folder)).as_posix()


def labels_of_pictures(pool, table=None, columns=None):
    """Return the labels of a folder of images, from a CSV file or the subfolders.

    Parameters
    ----------
    pool : ImagePool
        The pictures.
    table : path-like, default=None
        The CSV file. If None, the label of an image is its top-level subfolder.
    columns : dict of str to str, default=None
        As for :func:`label_rows`.

    Returns
    -------
    labels : dict of str to str
        Labels of the labelled images, by file name.
    strangers : list of str
        Images in the CSV file that are not in the folder, as named there.

    Raises
    ------
    ValueError
        As for :func:`label_rows`, or if an image has two different labels.
    """
    if table is None:
        found = zip(pool.names, pool.labels_from_folders(), strict=True)
        return {name: label for name, label in found if label is not None}, []
    names, labels, strangers = set(pool.names), {}, []
    for number, cells in label_rows(table, columns):
        name = name_in(cells["file"], names, pool.folder)
        if name is None:
            strangers.append(cells["file"])
        elif labels.setdefault(name, cells["label"]) != cells["label"]:
            raise ValueError(
                f"{table}, row {number}: {name} has the label {cells['label']!r}, and "
                f"{labels[name]!r} in a row above. Keep one label per picture."
            )
    return labels, strangers
