"""Plot learning curves of active learning: score against the number of labels."""

import math
import re
from collections.abc import Mapping
from numbers import Real

import numpy as np
from sklearn.exceptions import NotFittedError

from skdfal._utils._records import read_number, read_rows, read_value
from skdfal._utils._validation import COUNT
from skdfal.plot._curve import curve_over_trials, sorted_trial
from skdfal.plot._display import GREY, NotebookPicture, load_matplotlib
from skdfal.plot._styles import strategy_styles

AXIS_LABELS = {
    "annotations": "annotations (labels bought)",
    "labeled_data": "labelled data (twins and pseudo-labels counted)",
    "score": "test accuracy",
    "error": "test error",
}

SPREADS = {
    "std": "mean ± std",
    "sem": "mean ± standard error",
    "minmax": "mean, min to max",
    None: "mean",
}

LEGEND_WIDTH = 28  # characters; longer names are wrapped
MARKERS_A_LINE = 8
MARKER_SIZES = {"*": 9, "P": 7, "X": 7, "d": 7}  # points; thin markers are larger
SMALL_AXES = 3.0  # inches; smaller axes have smaller fonts


class ActiveLearningCurveDisplay(NotebookPicture):
    """Learning curves of several strategies, each the mean over its trials.

    Create a display with :meth:`from_records`, :meth:`from_histories` or
    :meth:`from_estimators`, and draw it with :meth:`plot`, as often as you like.

    Parameters
    ----------
    annotations : dict of str to list of array-like of shape (n_rounds,)
        For each strategy and trial, the number of annotations in each round. Rounds may
        come in any order, but no number may occur twice within a trial.
    scores : dict of str to list of array-like of shape (n_rounds,)
        For each strategy and trial, the score in each round.
    interpolate : bool, default=True
        Whether scores are interpolated linearly between the rounds of a trial. They are
        never extrapolated before its first round or after its last.
    min_trials : int, default=None
        Minimum number of trials that must cover a mark to keep it. If None, all trials
        of the strategy, so that every point of a line is a mean over the same trials.
    x_name, y_name : str, default="annotations", "score"
        Names of the two axes; known names become full axis labels.

    Attributes
    ----------
    annotations : dict of str to list of ndarray of shape (n_rounds,)
        The given numbers, sorted within each trial.
    scores : dict of str to list of ndarray of shape (n_rounds,)
        The given scores, in the order of `annotations`.
    curves : dict of str to Curve
        Mean and spread at each mark, one curve per strategy.
    ranking : list of str
        Strategies sorted by the mean score at the end of their curve, best first.
    ax_ : matplotlib Axes
        The axes, after :meth:`plot`.
    figure_ : matplotlib Figure
        The figure of `ax_`.
    lines_ : dict of str to matplotlib Line2D
        The line of each strategy.
    bands_ : dict of str to matplotlib PolyCollection
        The band of each strategy that has one.
    legend_ : matplotlib Legend or None
        The legend.

    Raises
    ------
    ValueError
        If a list is empty, lengths differ, a score is missing, infinite or not a
        number, a mark occurs twice in a trial, or no mark has `min_trials` trials.

    See Also
    --------
    AdversarialDisplay : Plot of samples next to their adversarial twins.

    Notes
    -----
    The marks of a strategy are the numbers of annotations of all its trials together.
    For example, with 10, 20, 30 in one trial and 10, 30, 50 in another, the marks are
    10, 20, 30. At 20, the second trial is interpolated: it counts with the mean of its
    scores at 10 and 30. 50 is left out because the first trial stopped before.
    ``min_trials=1`` keeps 50, but the mean then has a step where a trial drops out.
    ``interpolate=False`` leaves out 20, where the second trial was not measured. If all
    trials have the same rounds, as they should in one experiment, none of this matters.

    Examples
    --------
    >>> from skdfal.plot import ActiveLearningCurveDisplay
    >>> display = ActiveLearningCurveDisplay(
    ...     annotations={"dfal": [[10, 20, 30], [10, 30, 50]]},
    ...     scores={"dfal": [[0.4, 0.6, 0.8], [0.6, 0.8, 0.9]]},
    ... )
    >>> display.curves["dfal"].annotations
    array([10., 20., 30.])
    >>> display.curves["dfal"].mean.round(2)
    array([0.5 , 0.65, 0.8 ])
    """

    def __init__(
        self,
        *,
        annotations,
        scores,
        interpolate=True,
        min_trials=None,
        x_name="annotations",
        y_name="score",
    ):
        _check_min_trials(min_trials)
        if not annotations:
            raise ValueError("There is no strategy to show: annotations is empty.")
        if set(annotations) != set(scores):
            raise ValueError(
                f"annotations has the strategies {sorted(map(str, annotations))}, "
                f"scores has {sorted(map(str, scores))}; they should be the same."
            )
        self.interpolate = interpolate
        self.min_trials = min_trials
        self.x_name = x_name
        self.y_name = y_name
        self.annotations, self.scores, self.curves = {}, {}, {}
        for strategy in annotations:
            trials = self._sorted_trials(
                strategy, annotations[strategy], scores[strategy]
            )
            self.annotations[strategy] = [x for x, _ in trials]
            self.scores[strategy] = [y for _, y in trials]
            self.curves[strategy] = self._curve(strategy, trials)

    @property
    def ranking(self):
        """Strategies sorted by the mean score at the end of their curve, best first."""

        def right_end(strategy):
            mean = self.curves[strategy].mean
            return mean[-1], mean.mean()  # the whole curve breaks ties

        return sorted(self.curves, key=right_end, reverse=True)

    @classmethod
    def from_records(
        cls,
        records,
        *,
        x="annotations",
        y="score",
        strategy="strategy",
        trial="trial",
        interpolate=True,
        min_trials=None,
    ):
        """Create a display from a table with one row per round.

        Parameters
        ----------
        records : iterable of dict or pandas DataFrame
            The rows, in any order, such as the lines of a CSV file. Keys other than the
            four below are ignored. Numbers may be strings.
        x, y : str, default="annotations", "score"
            Keys of the two axes. ``x="labeled_data"`` counts twins and pseudo-labels.
        strategy : str, default="strategy"
            Key of the strategy, which names the line.
        trial : str, default="trial"
            Key that distinguishes the trials of a strategy. None if each strategy has
            only one trial and there is no such key.
        interpolate : bool, default=True
            Whether scores are interpolated between the rounds of a trial.
        min_trials : int, default=None
            Minimum number of trials that must cover a mark to keep it. If None, all.

        Returns
        -------
        display : ActiveLearningCurveDisplay
            Display with the data, not drawn yet.

        Raises
        ------
        ValueError
            If there are no records, a key or a number is missing, a value is not a
            number, or a trial has two rows at one mark.

        Examples
        --------
        >>> from skdfal.plot import ActiveLearningCurveDisplay
        >>> records = [
        ...     {"strategy": "dfal", "trial": 0, "annotations": 10, "score": 0.5},
        ...     {"strategy": "dfal", "trial": 1, "annotations": 10, "score": 0.7},
        ... ]
        >>> display = ActiveLearningCurveDisplay.from_records(records)
        >>> display.curves["dfal"].mean
        array([0.6])
        """
        trials = {}
        for i, row in enumerate(read_rows(records)):
            name = str(read_value(row, strategy, i))
            label = None if trial is None else read_value(row, trial, i)
            marks, values = trials.setdefault(name, {}).setdefault(label, ([], []))
            marks.append(read_number(row, x, i))
            values.append(read_number(row, y, i))
        if not trials:
            raise ValueError("records is empty; it should have one row per round.")
        return cls(
            annotations={s: [xs for xs, _ in t.values()] for s, t in trials.items()},
            scores={s: [ys for _, ys in t.values()] for s, t in trials.items()},
            interpolate=interpolate,
            min_trials=min_trials,
            x_name=x,
            y_name=y,
        )

    @classmethod
    def from_histories(
        cls,
        histories,
        *,
        x="annotations",
        y="score",
        interpolate=True,
        min_trials=None,
    ):
        """Create a display from histories of active learning.

        Parameters
        ----------
        histories : dict of str to list
            For each strategy its history (a list of dicts, one per round, with the
            keys `x` and `y`, or a DataFrame of these), or a list of histories, one per
            trial.
        x, y : str, default="annotations", "score"
            Keys of the two axes.
        interpolate : bool, default=True
            Whether scores are interpolated between the rounds of a trial.
        min_trials : int, default=None
            Minimum number of trials that must cover a mark to keep it. If None, all.

        Returns
        -------
        display : ActiveLearningCurveDisplay
            Display with the data, not drawn yet.

        Raises
        ------
        TypeError
            If `histories` is not a dict.
        ValueError
            If a strategy has no history, a history is empty or lacks a key, or a score
            is missing, because fit was given no held-out set.

        Examples
        --------
        >>> from skdfal.plot import ActiveLearningCurveDisplay
        >>> history = [
        ...     {"annotations": 10, "labeled_data": 10, "score": 0.5},
        ...     {"annotations": 20, "labeled_data": 30, "score": 0.75},
        ... ]
        >>> display = ActiveLearningCurveDisplay.from_histories({"dfal": history})
        >>> display.curves["dfal"].mean
        array([0.5 , 0.75])
        """
        if not isinstance(histories, Mapping):
            raise TypeError(
                "histories should be a dict from strategy to its histories, got "
                f"{type(histories).__name__}."
            )
        records = []
        for strategy, trials in histories.items():
            is_table = hasattr(trials, "to_dict")  # a DataFrame of one history
            trials = [trials] if is_table else list(trials)
            if trials and isinstance(trials[0], Mapping):
                trials = [trials]
            if not trials:
                raise ValueError(f"Strategy {strategy!r} has no history.")
            for trial, history in enumerate(trials):
                rows = list(read_rows(history))
                if not rows:
                    raise ValueError(
                        f"Strategy {strategy!r} has an empty history, trial {trial}."
                    )
                records += [
                    {**row, "strategy": strategy, "trial": trial} for row in rows
                ]
        return cls.from_records(
            records, x=x, y=y, interpolate=interpolate, min_trials=min_trials
        )

    @classmethod
    def from_estimators(
        cls,
        estimators,
        *,
        x="annotations",
        y="score",
        interpolate=True,
        min_trials=None,
    ):
        """Create a display from the `history_` of fitted active learners.

        Parameters
        ----------
        estimators : dict of str to estimator or list of estimator
            For each strategy a fitted `ActiveLearningClassifier`, or a list of them,
            one per trial. Any object with a `history_` is accepted.
        x, y : str, default="annotations", "score"
            Keys of the two axes in each round of the history.
        interpolate : bool, default=True
            Whether scores are interpolated between the rounds of a trial.
        min_trials : int, default=None
            Minimum number of trials that must cover a mark to keep it. If None, all.

        Returns
        -------
        display : ActiveLearningCurveDisplay
            Display with the data, not drawn yet.

        Raises
        ------
        TypeError
            If `estimators` is not a dict.
        NotFittedError
            If an estimator has no `history_`.

        Examples
        --------
        >>> from skdfal.plot import ActiveLearningCurveDisplay
        >>> class Learner:
        ...     def fit(self):
        ...         self.history_ = [{"annotations": 10, "score": 0.5}]
        ...         return self
        >>> display = ActiveLearningCurveDisplay.from_estimators(
        ...     {"dfal": [Learner().fit(), Learner().fit()]}
        ... )
        >>> display.curves["dfal"].n_trials
        array([2])
        """
        if not isinstance(estimators, Mapping):
            raise TypeError(
                "estimators should be a dict from strategy to estimators, got "
                f"{type(estimators).__name__}."
            )
        histories = {}
        for strategy, trials in estimators.items():
            trials = trials if isinstance(trials, (list, tuple)) else [trials]
            for estimator in trials:
                if not hasattr(estimator, "history_"):
                    raise NotFittedError(
                        f"The {type(estimator).__name__} of strategy {strategy!r} has "
                        "no history_. Call its fit first."
                    )
            histories[strategy] = [estimator.history_ for estimator in trials]
        return cls.from_histories(
            histories, x=x, y=y, interpolate=interpolate, min_trials=min_trials
        )

    def plot(
        self,
        ax=None,
        *,
        spread="std",
        reference=None,
        points=None,
        points_label="paper",
        labels=None,
        legend="auto",
        scale="score",
    ):
        """Draw one line per strategy, with a band for the spread over its trials.

        Each strategy has its own colour, line and marker: "dfal" looks the same in
        every figure. The legend lists the strategies in the order of their final
        scores, and explains the band and the number of trials.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, a new figure is made. It opens no window; save it
            with ``display.figure_.savefig(...)``. A notebook shows it when the
            display is the last value of the cell.
        spread : {"std", "sem", "minmax"} or None, default="std"
            What the band shows: the standard deviation, the standard error, or the
            range from the worst to the best trial. Marks with one trial have no band.
        reference : float or dict of str to float, default=None
            Scores to draw as horizontal lines, by label. A single number is labelled
            "full training set".
        points : dict of str to sequence of (float, float), default=None
            Published values: a list of (annotations, score) for each strategy. They are
            drawn as hollow markers in the strategy's colour. The strategy need not have
            a curve.
        points_label : str, default="paper"
            Name of `points` in the legend.
        labels : dict of str to str, default=None
            Names of strategies in the legend. A strategy that is missing here keeps its
            own name.
        legend : {"auto", "outside", None} or str, default="auto"
            Location of the legend: "outside", to the right of the axes, or one of
            matplotlib's locations such as "lower right". "auto" means "outside" in a
            new figure, which is widened for it, and "best" on given axes. None draws no
            legend.
        scale : {"score", "log_error"}, default="score"
            "log_error" draws the error, 1 - score, on two logarithmic axes. This keeps
            strategies apart whose accuracies all approach 1. Scores must be fractions;
            scores of 1 are left out.

        Returns
        -------
        self : ActiveLearningCurveDisplay
            With `ax_`, `figure_`, `lines_`, `bands_` and `legend_`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `spread` is not one of the four values, if a reference or point is not a
            number, or if `scale` is "log_error" and a score, reference or point is not
            a fraction, or all scores are 1.
        TypeError
            If `ax` is not axes.

        Examples
        --------
        >>> from skdfal.plot import ActiveLearningCurveDisplay
        >>> display = ActiveLearningCurveDisplay(
        ...     annotations={"dfal": [[10, 20], [10, 20]]},
        ...     scores={"dfal": [[0.5, 0.75], [0.6, 0.85]]},
        ... )
        >>> display = display.plot(reference=0.99, points={"dfal": [(20, 0.8)]})
        >>> display.ax_.get_xlabel()
        'annotations (labels bought)'
        >>> display.lines_["dfal"].get_ydata()
        array([0.55, 0.8 ])
        """
        matplotlib = load_matplotlib(self)
        if spread not in SPREADS:
            raise ValueError(
                f'spread={spread!r} should be "std", "sem", "minmax" or None.'
            )
        reference, points = _checked_references(reference), _checked_points(points)
        self._set_scale(scale, reference, points)
        ax = self._take_axes(ax, figsize=(5.6, 4.2))

        styles = strategy_styles([*self.curves, *(set(points) - set(self.curves))])
        self._draw_curves(styles, spread)
        entries = [(self.lines_[s], (labels or {}).get(s, s)) for s in self.ranking]
        grey = self._visible(GREY)
        for label, score in reference.items():
            line = ax.axhline(
                self._shown(score), color=grey, lw=1.2, ls=(0, (2, 2)), zorder=1
            )
            entries.append((line, f"{label} ({score:.4g})"))
        self._draw_points(styles, points)
        self._label_axes(matplotlib.ticker)
        self._draw_grid()
        if self._owns_figure and not self._is_error:
            self._hide_impossible_scores(reference, points)
        if points:
            hollow = matplotlib.lines.Line2D(
                [], [], ls="", marker="o", mfc=self._paper, mec=grey, mew=1.3, ms=7
            )
            entries.append((hollow, points_label))
        self.legend_ = self._draw_legend(entries, legend, spread)
        return self

    def _sorted_trials(self, strategy, annotations, scores):
        if len(annotations) == 0 or len(annotations) != len(scores):
            raise ValueError(
                f"Strategy {strategy!r} has {len(annotations)} trials of annotations "
                f"and {len(scores)} of scores; expected equal numbers, at least one."
            )
        names = self.x_name, self.y_name
        return [
            sorted_trial(x, y, *names, f"strategy {strategy!r}, trial {trial}")
            for trial, (x, y) in enumerate(zip(annotations, scores, strict=True))
        ]

    def _curve(self, strategy, trials):
        wanted = len(trials) if self.min_trials is None else self.min_trials
        curve = curve_over_trials(
            trials, interpolate=self.interpolate, min_trials=wanted
        )
        if curve is None:
            raise ValueError(
                f"Strategy {strategy!r} has no mark with min_trials={wanted} of its "
                f"{len(trials)} trials: their {self.x_name} do not overlap. Give a "
                "smaller min_trials, or leave out the trials that stopped early."
            )
        return curve

    def _set_scale(self, scale, reference, points):
        if scale not in ("score", "log_error"):
            raise ValueError(f'scale={scale!r} should be "score" or "log_error".')
        self._is_error = scale == "log_error"
        self._y_shown = "error" if self._is_error else self.y_name
        if not self._is_error:
            return
        drawn = {repr(name): np.concatenate(y) for name, y in self.scores.items()}
        drawn |= {f"reference {name!r}": np.array([y]) for name, y in reference.items()}
        drawn |= {f"points[{name!r}]": pairs[:, 1] for name, pairs in points.items()}
        for name, scores in drawn.items():
            if ((scores < 0) | (scores > 1)).any():
                raise ValueError(
                    f"scale='log_error' needs scores in [0, 1], but {name} has "
                    f"{scores.min():g} to {scores.max():g}."
                )
        if all((curve.mean == 1).all() for curve in self.curves.values()):
            raise ValueError(
                "scale='log_error' has nothing to draw: all scores are 1, and errors "
                "of 0 have no logarithm. Take scale='score'."
            )

    def _shown(self, score):
        """Return the values to draw: the scores, or errors above 0."""
        if not self._is_error:
            return score
        error = 1 - np.asarray(score, dtype=float)
        return np.where(error > 0, error, np.nan)

    def _draw_curves(self, styles, spread):
        self.lines_, self.bands_ = {}, {}
        alpha = 0.18 if len(self.curves) <= 4 else 0.10
        scale = 0.7 if min(self._size_of_axes()) < SMALL_AXES * 0.75 else 1.0
        # The best strategy is drawn last, on top of the others.
        for place, strategy in enumerate(reversed(self.ranking)):
            curve, style = self.curves[strategy], styles[strategy]
            color = self._visible(style.color)
            step = math.ceil(len(curve.mean) / MARKERS_A_LINE)
            (self.lines_[strategy],) = self.ax_.plot(
                curve.annotations,
                self._shown(curve.mean),
                color=color,
                linestyle=style.linestyle,
                marker=style.marker,
                # Neighbours have markers at different marks, so that none is hidden.
                markevery=(place % step, step),
                markersize=scale * MARKER_SIZES.get(style.marker, 5.5),
                markeredgecolor=self._paper,
                markeredgewidth=0.5,
                linewidth=scale * 1.6,
                label=strategy,
                zorder=3 + place / 100,
            )
            low, high = _band(curve, spread)
            if np.isfinite(low).any():
                high = np.fmin(high, curve.max) if self._is_error else high
                is_bar = len(curve.mean) == 1  # a band without width has only an edge
                self.bands_[strategy] = self.ax_.fill_between(
                    curve.annotations,
                    self._shown(low),
                    self._shown(high),
                    color=color,
                    alpha=0.5 if is_bar else alpha,
                    lw=3 if is_bar else 0,
                )

    def _draw_points(self, styles, points):
        for strategy, pairs in points.items():
            x, y = pairs.T
            style = styles[strategy]
            self.ax_.plot(
                x, self._shown(y), ls="", marker=style.marker, mfc=self._paper,
                mec=self._visible(style.color), mew=1.3, ms=7, zorder=5,
            )  # fmt: skip

    def _hide_impossible_scores(self, reference, points):
        """End the axis at 1 if all is in [0, 1] but a band, which may go beyond."""
        trials = [y for trials in self.scores.values() for y in trials]
        published = [pairs[:, 1] for pairs in points.values()]
        drawn = np.concatenate([*trials, [*reference.values()], *published])
        if drawn.min() >= 0 and drawn.max() <= 1:
            low, high = self.ax_.get_ylim()
            self.ax_.set_ylim(max(low, -0.02), min(high, 1.02))

    def _draw_legend(self, entries, place, spread):
        if place is None:
            return None
        if place == "auto":
            place = "outside" if self._owns_figure else "best"
        labels = [_wrapped(label, LEGEND_WIDTH) for _, label in entries]
        look = {"loc": place, "fontsize": 8.5}
        if place == "outside":
            look |= {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0)}
            look |= {"borderaxespad": 0.0, "frameon": False}
        else:
            # At most 60 % of the height, as long as the text stays readable.
            height = 72 * self._size_of_axes()[1]
            n_lines = 1 + sum(label.count("\n") + 1 for label in labels)
            look["fontsize"] = min(8.5, max(5.0, 0.6 * height / (1.5 * n_lines)))
            look["borderpad"] = 0.3
        legend = self.ax_.legend(
            [artist for artist, _ in entries],
            labels,
            title=self._legend_title(spread),
            title_fontsize=look["fontsize"],
            alignment="left",
            handlelength=3.2,
            **look,
        )
        if self._owns_figure and place == "outside":
            _make_room(self.figure_, legend)
        return legend

    def _legend_title(self, spread):
        counts = {len(trials) for trials in self.scores.values()}
        low, high = min(counts), max(counts)
        if high == 1:
            return "one trial"
        return (
            f"{SPREADS[spread]}, {high if low == high else f'{low} to {high}'} trials"
        )

    def _label_axes(self, ticker):
        ax = self.ax_
        ax.set_xlabel(_axis_label(self.x_name))
        ax.set_ylabel(_axis_label(self._y_shown))
        if min(self._size_of_axes()) < SMALL_AXES:
            ax.tick_params(labelsize="small")
            ax.xaxis.label.set_size("small")
            ax.yaxis.label.set_size("small")
        if self._is_error:
            self._set_logarithmic(ticker)
        else:
            ax.xaxis.set_major_locator(
                ticker.MaxNLocator(
                    nbins="auto", steps=[1, 2, 2.5, 5, 10], integer=True, min_n_ticks=1
                )
            )

    def _set_logarithmic(self, ticker):
        """Make both axes logarithmic: counts along x, percent along y."""
        ax = self.ax_
        ax.set_xscale("log")
        ax.set_yscale("log")
        first, last = ax.get_xlim()
        is_short = last < 10 * first  # it may hold a single power of ten
        ax.xaxis.set_major_locator(
            ticker.LogLocator(subs=(1, 2, 3, 5) if is_short else (1, 3))
        )
        ax.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(ticker.FuncFormatter(lambda n, _: f"{n:g}"))
        ax.yaxis.set_major_formatter(
            ticker.FuncFormatter(lambda e, _: f"{100 * e:g} %")
        )
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_minor_formatter(ticker.NullFormatter())

    def _size_of_axes(self):
        extent = self.ax_.get_window_extent()
        return extent.width / self.figure_.dpi, extent.height / self.figure_.dpi


def _axis_label(name):
    return AXIS_LABELS.get(name, name.replace("_", " "))


def _wrapped(label, width):
    """Break a label into lines after its spaces, hyphens and underscores."""
    lines = [""]
    for word in re.split(r"(?<=[\s_-])", label):
        if lines[-1] and len(lines[-1] + word.rstrip()) > width:
            lines.append("")
        lines[-1] += word
    return "\n".join(line.rstrip() for line in lines)


def _make_room(figure, legend):
    """Enlarge the figure by its legend, so that the axes keep their size."""
    width, height = figure.get_size_inches()
    needed = legend.get_window_extent().height / figure.dpi + 0.8
    figure.set_size_inches(width, max(height, needed))
    figure.draw_without_rendering()
    width += legend.get_window_extent().width / figure.dpi + 0.15
    figure.set_size_inches(width, max(height, needed))


def _band(curve, spread):
    if spread is None:
        nothing = np.full_like(curve.mean, np.nan)
        return nothing, nothing
    if spread == "minmax":
        ends = (curve.min, curve.max)
        return [np.where(curve.n_trials > 1, end, np.nan) for end in ends]
    half = getattr(curve, spread)
    return curve.mean - half, curve.mean + half


def _check_min_trials(min_trials):
    if min_trials is not None and not COUNT.is_satisfied_by(min_trials):
        raise ValueError(f"min_trials={min_trials!r} should be None or an int >= 1.")


def _checked_references(reference):
    if reference is None:
        return {}
    if not isinstance(reference, Mapping):
        reference = {"full training set": reference}
    for label, score in reference.items():
        if not isinstance(score, Real) or not math.isfinite(score):
            raise ValueError(f"reference {label!r} should be a number, got {score!r}.")
    return reference


def _checked_points(points):
    """Return the points of each strategy as an array of shape (n_points, 2)."""
    checked = {}
    for strategy, pairs in (points or {}).items():
        try:
            array = np.asarray(pairs, dtype=float)
        except (TypeError, ValueError):
            array = np.empty(0)
        if array.ndim != 2 or array.shape[1] != 2 or not np.isfinite(array).all():
            raise ValueError(
                f"points[{strategy!r}] should be a list of (annotations, score), got "
                f"{pairs!r}."
            )
        checked[strategy] = array
    return checked
