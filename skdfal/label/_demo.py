"""Pictures that come along, for a first try."""

from pathlib import Path

import numpy as np

from skdfal.datasets import load_digits

DEMO_SIZE = 24


def load_demo(folder):
    """Write the digits of scikit-learn as PNG files, where they are not there yet.

    Parameters
    ----------
    folder : path-like
        Where to; it is made.

    Returns
    -------
    labels : dict of str to str
        The true class by name of the file, which nobody who labels is told.
    """
    from PIL import Image

    digits = load_digits(image_size=DEMO_SIZE, n_test=10)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    labels = {}
    for i, (x, y) in enumerate(zip(digits.X_train, digits.y_train, strict=True)):
        name = f"digit-{i:04d}.png"
        labels[name] = str(y)
        if not (folder / name).exists():
            Image.fromarray(np.uint8(255 * x[0])).save(folder / name)
    return labels
