"""The pictures of an experiment: learning curves, and twins."""

import textwrap
from pathlib import Path

import numpy as np

from skdfal.experiment._folder import finished_trials
from skdfal.experiment._trial import TWINNED
from skdfal.plot import ActiveLearningCurveDisplay, AdversarialDisplay

_NOTE_WIDTH = 110  # characters


def save_learning_curves(
    records, path, *, title, note="", formats=("png",), **parameters
):
    """Draw the learning curves of all strategies.

    Parameters
    ----------
    records : list of dict
        Rows as of :func:`run_experiment`.
    path : path-like
        Where to; the suffix comes from the formats.
    title : str
        What stands above the curves.
    note : str, default=""
        What stands in small print below them.
    formats : sequence of str, default=("png",)
        File formats.
    **parameters : dict
        Further parameters of ``ActiveLearningCurveDisplay.plot``.

    Returns
    -------
    paths : list of Path
        The files.
    """
    display = ActiveLearningCurveDisplay.from_records(records).plot(**parameters)
    display.ax_.set_title(title)
    if note:
        # Below the label of the axis, as wide as the axes.
        display.ax_.annotate(
            textwrap.fill(note, _NOTE_WIDTH),
            xy=(0, 0),
            xytext=(0, -45),
            xycoords="axes fraction",
            textcoords="offset points",
            va="top",
            fontsize="x-small",
        )
    return _save(display, path, formats)


def save_twins(out_dir, path, *, formats=("png",)):
    """Draw samples beside their twins, from the last finished trial that has some.

    Parameters
    ----------
    out_dir : path-like
        Folder of the experiment.
    path : path-like
        Where to; the suffix comes from the formats.
    formats : sequence of str, default=("png",)
        File formats.

    Returns
    -------
    paths : list of Path
        The files; none where no strategy makes twins.
    """
    finished = [files for files in finished_trials(out_dir) if files.twins.exists()]
    # DFAL itself before its variants.
    finished.sort(key=lambda files: (-TWINNED.index(files.strategy), files.trial))
    if not finished:
        return []
    with np.load(finished[-1].twins) as twins:
        names = dict(enumerate(twins["class_names"]))
        display = AdversarialDisplay.from_arrays(
            twins["X"],
            twins["X_twin"],
            y=twins["y"],
            y_twin=twins["y_twin"],
            class_names=names,
        )
    return _save(display.plot(), path, formats)


def _save(display, path, formats):
    paths = [Path(path).with_suffix(f".{suffix}") for suffix in formats]
    for target in paths:
        display.figure_.savefig(target, dpi=150, bbox_inches="tight")
    return paths
