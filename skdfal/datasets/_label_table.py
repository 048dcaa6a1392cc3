"""Labels of images in a CSV file, with any column names and any paths to the images."""

import io
import os
import posixpath
import re
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

from skdfal._utils._files import csv_rows
from skdfal._utils._names import composed

COLUMNS = {  # what a column may be called, the surest first
    "file": ("file", "filename", "file_name", "picture", "image", "path", "name"),
    "label": ("label", "class", "category", "target", "choice"),
    "annotator": ("annotator", "user", "labeler", "labeller"),
    "time": ("time", "timestamp", "date", "created_at"),
}
_NEEDED = ("file", "label")
# Folders of these names are parts of a data set, and hardly ever its classes.
_PARTS = {"train", "training", "test", "testing", "val", "valid", "validation"}
_UNLABELLED = {"unlabeled", "unlabelled"}
# The first line by which Excel is told the delimiter in countries that write 0,5.
_SEPARATOR = re.compile(r"sep=([,;\t])[,;\t]*\r?\n", re.IGNORECASE)


def label_rows(path, columns=None):
    """Return the rows of a CSV that have a label.

    Parameters
    ----------
    path : path-like
        The file, in UTF-8, with the names of its columns in the first line and commas,
        semicolons or tabs between cells. A line ``sep=;`` may come before it.
    columns : dict of str to str, default=None
        Names of the columns for "file", "label", "annotator" and "time", if they are
        not the usual ones. The last two may be missing.

    Returns
    -------
    rows : list of (int, dict of str to str)
        Number of the row, and its cells by the keys above. The label is stripped of
        spaces and in Unicode's composed form.

    Raises
    ------
    ValueError
        If the path is a folder or not such a CSV file, a column is missing, or
        ``columns`` has other keys.
    FileNotFoundError
        If the file does not exist.
    """
    check_columns(columns)
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
    n_before, rows = _parse_csv(path, text)
    header = next(rows, [])
    if not any(map(str.strip, header)):
        raise ValueError(
            f"{path} begins without the names of its columns. They are needed even if "
            "there are no labels yet: begin the file with the line file,label."
        )
    places = _find_columns(path, header, columns or {})
    found = []
    for number, row in enumerate(rows, n_before + 2):
        if not any(map(str.strip, row)):
            continue
        if len(row) < len(header):
            raise ValueError(
                f"{path}, row {number}: {len(row)} of {len(header)} cells."
            )
        cells = {name: row[place] for name, place in places.items()}
        cells["label"] = composed(cells["label"].strip())
        if cells["label"]:
            found.append((number, cells))
    return found


def check_columns(columns):
    """Raise a ValueError unless the keys are columns that can be named."""
    unknown = [key for key in columns or () if key not in COLUMNS]
    if unknown:
        raise ValueError(
            f"columns={columns!r} has the key {unknown[0]!r}; keys that can be set are "
            f"{', '.join(COLUMNS)}, as in {{'file': 'image', 'label': 'kind'}}."
        )


def _parse_csv(path, text):
    """Return the number of lines before the header, and the rows.

    Without a line that names it, the delimiter is the one that finds the most columns
    in the header.
    """

    def rows(delimiter):
        return csv_rows(path, io.StringIO(text, newline=""), delimiter)

    if named := _SEPARATOR.match(text):
        text = text[named.end() :]
        return 1, rows(named[1])
    return 0, rows(max(",;\t", key=lambda delimiter: len(next(rows(delimiter), []))))


def _find_columns(path, header, columns):
    found = {_bare(name): i for i, name in reversed([*enumerate(header)])}
    places = {}
    for name, usual in COLUMNS.items():
        wanted = (_bare(columns[name]),) if name in columns else usual
        known = [found[one] for one in wanted if one in found]
        if known:
            places[name] = known[0]
        elif name in _NEEDED or name in columns:
            raise ValueError(
                f"{path} has no column {columns.get(name, name)!r}; its first line has "
                f"{header}. If these are names of columns, say which of them is the "
                f"{name}: --columns {name}=... If not, put a line of names before it, "
                "such as file,label."
            )
    return places


def _bare(name):
    return composed(name).strip().lower()


class PictureNames:
    """Names of pictures in a folder, found by any Unicode spelling of the same text.

    macOS may write é as two characters, e and an accent, where other programs write
    one.

    Parameters
    ----------
    names : iterable of str
        The names.
    """

    def __init__(self, names):
        self._names = set(names)
        self._alike = defaultdict(list)
        for name in self._names:
            self._alike[composed(name)].append(name)

    def find(self, given):
        """Return a name as it is in the folder.

        Parameters
        ----------
        given : str
            The name, perhaps spelled in another way.

        Returns
        -------
        name : str or None
            The name, or None if there is none of that text.

        Raises
        ------
        ValueError
            If none is spelled like this, and several are of the same text.
        """
        if given in self._names:
            return given
        alike = self._alike.get(composed(given), [])
        if len(alike) > 1:
            raise ValueError(
                f"{given!r} could be {len(alike)} pictures, whose names look the same "
                "and differ in how Unicode writes their accents: "
                f"{', '.join(map(ascii, sorted(alike)))}. Rename all but one of them."
            )
        return alike[0] if alike else None


def name_in(given, names, folder):
    """Return the name of an image in a folder, given its name or a path to it.

    Parameters
    ----------
    given : str
        A name in the folder, or a path, absolute or from the working folder.
    names : PictureNames
        Names of the pictures in the folder.
    folder : path-like
        The folder.

    Returns
    -------
    name : str or None
        The name, or None if the image is not in the folder.

    Raises
    ------
    ValueError
        If it could be one of several images.
    """
    found = map(names.find, _readings(given, folder))
    return next((name for name in found if name is not None), None)


def _readings(given, folder):
    yield given
    yield posixpath.normpath(given.strip().replace("\\", "/"))  # such as ./a/1.png
    for full in (os.path.abspath, os.path.realpath):  # with links as given, or followed
        with suppress(ValueError):
            path = Path(full(given))
            inner = Path(composed(str(path))).relative_to(composed(full(folder)))
            yield "/".join(path.parts[-len(inner.parts) :])  # spelled as it was given


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
        As for :func:`label_rows`, if an image has two different labels, or if there
        are ``columns`` without a ``table``.
    """
    if table is None:
        if columns:
            raise ValueError(
                f"{columns=} names columns of a CSV, but there is none: name the file "
                "of labels, too."
            )
        found = zip(pool.names, pool.labels_from_folders(), strict=True)
        return {name: label for name, label in found if label is not None}, []
    names, labels, strangers = PictureNames(pool.names), {}, []
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


def check_class_folders(folder, classes):
    """Raise if subfolders are parts of a data set, or hold what has no label.

    Parameters
    ----------
    folder : Path
        Folder of the images.
    classes : sequence of str
        Names of its subfolders, which would be the classes.

    Raises
    ------
    ValueError
        If two of them are called like ``train``, ``test`` or ``valid``, or one of them
        ``unlabeled``.
    """
    parts = [name for name in classes if name.lower() in _PARTS]
    if len(parts) > 1:
        raise ValueError(
            f"{folder} has the subfolders {', '.join(parts)}: parts of a data set, and "
            f"not its classes. Name the one to use, such as {folder / parts[-1]}."
        )
    unlabelled = [name for name in classes if name.lower() in _UNLABELLED]
    if unlabelled:
        raise ValueError(
            f"The subfolder {folder / unlabelled[0]} would be a class. Move it "
            "elsewhere, or rename it if it is one."
        )
