"""The embedded digits as files, to try everything in a minute."""

import re
from pathlib import Path

import numpy as np

from skdfal.label._event import Event
from skdfal.label._formats import write_labels

TRUTH = ".truth.csv"
_NAME = re.compile(r"digit-\d{4}\.png|\..*")


def load_demo(folder):
    """Write the digits that come with scikit-learn as PNG files.

    Parameters
    ----------
    folder : path-like
        Where to; it is made. If they are there, nothing is done.

    Returns
    -------
    folder : Path
        1,797 pictures of 24 x 24 pixels, whose names do not tell what they show. The
        truth is in the hidden file ``.truth.csv``, in the format of ``labels.csv``.

    Raises
    ------
    ValueError
        If other files or folders are there.

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
