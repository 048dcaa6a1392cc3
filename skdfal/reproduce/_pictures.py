"""The figures of an experiment, such as learning curves and twins."""

import textwrap
from pathlib import Path

import numpy as np

from skdfal._utils._files import replacing
from skdfal.experiment._folder import finished_trials
from skdfal.plot import (
    ActiveLearningCurveDisplay,
    AdversarialDisplay,
    ConfidenceDisplay,
)

PICTURES = ("png", "svg")  # formats of figures
_NOTE_WIDTH = 110  # characters


def save_learning_curves(
    records, path, *, title, note="", ylabel=None, formats=PICTURES, **parameters
):
    """Draw the learning curves of all strategies.

    Parameters
    ----------
    records : list of dict
        Rows returned by :func:`run_experiment`.
    path : path-like
        Path of the files; the suffix is set by ``formats``.
    title : str
        Title above the curves.
    note : str, default=""
        Note in small print below the figure.
    ylabel : str, default=None
        Label of the score axis. If None, test accuracy.
    formats : sequence of str, default=("png", "svg")
        File formats.
    **parameters : dict
        Further parameters of ``ActiveLearningCurveDisplay.plot``.
    """
    display = ActiveLearningCurveDisplay.from_records(records).plot(**parameters)
    display.ax_.set_title(title)
    if ylabel is not None:
        display.ax_.set_ylabel(ylabel)
    if note:
        # Below the axis label, as wide as the axes.
        display.ax_.annotate(
            textwrap.fill(note, _NOTE_WIDTH),
            xy=(0, 0),
            xytext=(0, -45),
            xycoords="axes fraction",
            textcoords="offset points",
            va="top",
            fontsize="x-small",
        )
    save_figure(display.figure_, path, formats)


def save_twins(out_dir, path):
    """Draw samples next to their twins, from the last trial of a strategy with twins.

    A twin is an adversarial example of a sample that has the label of the sample.

    Parameters
    ----------
    out_dir : path-like
        Folder of the experiment.
    path : path-like
        The file.
    """
    twins = [files for files in finished_trials(out_dir) if files.twins.exists()]
    if not twins:
        return
    first = twins[0].strategy  # in the order of the tables: DFAL before its variants
    *_, last = (files for files in twins if files.strategy == first)
    with np.load(last.twins) as twins:
        names = dict(enumerate(twins["class_names"]))
        display = AdversarialDisplay.from_arrays(
            twins["X"],
            twins["X_twin"],
            y=twins["y"],
            y_twin=twins["y_twin"],
            class_names=names,
        )
    save_figure(display.plot().figure_, path, ("png",))


def save_confidences(agreements, names, path, *, title, note=""):
    """Draw the confidences of two networks, one panel per kind of confidence.

    Parameters
    ----------
    agreements : dict of str to ConfidenceAgreement
        The agreement to draw in each panel.
    names : sequence of two str
        Names of the networks.
    path : path-like
        Path of the files, whose suffixes are those of ``PICTURES``.
    title : str
        Title above the panels.
    note : str, default=""
        Note in small print below the figure.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(agreements), 5.0), layout="constrained")
    axes = figure.subplots(1, len(agreements), squeeze=False)[0]
    for ax, (kind, agreement) in zip(axes, agreements.items(), strict=True):
        display = ConfidenceDisplay.from_agreement(
            agreement, name_a=names[0], name_b=names[1]
        ).plot(ax)
        ax.set_title(f"{kind}\n{ax.get_title()}", fontsize="medium")
    figure.suptitle(title)
    _add_note(figure, note)
    save_figure(display.figure_, path)


def save_regions(display, path, *, title, note=""):
    """Draw whether two networks have samples in the same regions.

    Parameters
    ----------
    display : RegionsDisplay
        The data.
    path : path-like
        Path of the files, whose suffixes are those of ``PICTURES``.
    title : str
        Title of the figure.
    note : str, default=""
        Note in small print below the figure.
    """
    display.plot()
    display.ax_.set_title(title, fontsize="medium")
    _add_note(display.figure_, note)
    save_figure(display.figure_, path)


def _add_note(figure, note):
    """Write a note in small print below a figure, across its full width."""
    width = int(figure.get_size_inches()[0] * 19)  # characters
    text = textwrap.fill(note, width)
    figure.text(0.02, -0.01, text, va="top", fontsize="x-small")


def save_figure(figure, path, formats=PICTURES):
    """Save a figure in several formats; each file is complete or not written.

    Parameters
    ----------
    figure : matplotlib Figure
        The figure.
    path : path-like
        Path of the files; the suffix is set by ``formats``.
    formats : sequence of str, default=("png", "svg")
        File formats.
    """
    for suffix in formats:
        with replacing(Path(path).with_suffix(f".{suffix}")) as file:
            figure.savefig(file, format=suffix, dpi=150, bbox_inches="tight")
