"""Where the tests find the real data sets: SKDFAL_DATA, else beside the checkout."""

import os
from pathlib import Path

_BESIDE_CHECKOUT = Path(__file__).parents[2] / "shared" / "data"


def skdfal_data():
    """Folder of the real data sets as a Path, or None where there is none."""
    named = os.environ.get("SKDFAL_DATA")
    folder = Path(named) if named else _BESIDE_CHECKOUT
    return folder if folder.is_dir() else None
