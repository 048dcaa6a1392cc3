"""The bundled digits as image files, to try everything in a minute."""

import re
from pathlib import Path

import numpy as np

from skdfal.label._event import Event
from skdfal.label._formats import write_labels

TRUTH = ".truth.csv"
_NAME = re.compile(r"digit-\d{4}\.png|\..*")


def load_demo(folder):
    """Write the digits data set of scikit-learn as PNG files.

    Parameters
    ----------
    folder : path-like
        Folder to write to, created if necessary. If it holds the digits already,
        nothing is done.

    Returns
    -------
    folder : Path
        The folder, with 1,797 pictures of 24 x 24 pixels, whose names do not reveal
        their classes. The labels are in the hidden file ``.truth.csv``, in the format
        of ``labels.csv``.

    Raises
    ------
    ValueError
        If the folder holds other files or folders.

    Examples
    --------
    >>> import tempfile
    >>> from skdfal.label import load_demo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(len(list(load_demo(folder).glob("*.png"))))
    1797
    """
    from PIL import Image

    from skdfal.datasets import load_digits

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / TRUTH).exists():
        return folder
    others = [p.name for p in folder.iterdir() if not _NAME.fullmatch(p.name)]
    if others:
        raise ValueError(
            f"{folder} contains other files, such as {others[0]}. Choose a new folder "
            "for the digits."
        )
    digits = load_digits()
    X = np.concatenate([digits.X_train, digits.X_test])
    y = np.concatenate([digits.y_train, digits.y_test])
    names = [f"digit-{i:04}.png" for i in range(len(X))]
    for name, x in zip(names, X, strict=True):
        pixels = (255 * x[0]).round().astype(np.uint8)
        Image.fromarray(pixels).save(folder / name)
    events = [
        Event(name, name, "label", str(label), "the truth")
        for name, label in zip(names, y, strict=True)
    ]
    write_labels(folder / TRUTH, events)  # last: it says that all is there
    return folder
