"""The Displays: the data they keep, what they draw, and what they refuse."""

import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from skdfal import AdversarialAugmenter
from skdfal.plot import ActiveLearningCurveDisplay, AdversarialDisplay
from skdfal.plot._adversarial import _round_factor
from skdfal.plot._styles import LINES, strategy_styles
from skdfal.strategies import STRATEGIES, describe, register, unregister

MARKS = [10, 20, 30]
SCORES = {
    "dfal": [[0.5, 0.7, 0.9], [0.6, 0.8, 0.95], [0.4, 0.75, 0.94]],
    "random": [[0.5, 0.6, 0.7], [0.6, 0.6, 0.8]],
}
SEVEN = ["dfal", "core_set", "ceal", "bald", "egl", "uncertainty", "random"]


@pytest.fixture
def mpl():
    """Give matplotlib on the Agg backend; no pyplot figure may be left behind."""
    matplotlib = pytest.importorskip("matplotlib")
    with matplotlib.rc_context():
        matplotlib.use("agg")
        import matplotlib.pyplot as plt

        before = plt.get_fignums()
        yield matplotlib
        assert plt.get_fignums() == before


def records(scores=SCORES, marks=MARKS):
    return [
        {"strategy": s, "trial": t, "annotations": a, "labeled_data": 2 * a, "score": y}
        for s, trials in scores.items()
        for t, ys in enumerate(trials)
        for a, y in zip(marks, ys, strict=True)
    ]


def one_strategy(annotations, scores, **params):
    return ActiveLearningCurveDisplay(
        annotations={"dfal": annotations}, scores={"dfal": scores}, **params
    )


class Learner:
    def __init__(self, history):
        self.history_ = history


# Learning curves: data


def test_curve_is_mean_and_spread_over_trials():
    curve = ActiveLearningCurveDisplay.from_records(records()).curves["dfal"]
    np.testing.assert_array_equal(curve.annotations, MARKS)
    np.testing.assert_array_equal(curve.n_trials, [3, 3, 3])
    np.testing.assert_allclose(curve.mean, [0.5, 0.75, 0.93])
    # By hand: deviations 0, 0.1, -0.1; the variance is 0.02 / (3 - 1).
    np.testing.assert_allclose(curve.std[0], 0.1)
    np.testing.assert_allclose(curve.std, np.std(SCORES["dfal"], axis=0, ddof=1))
    np.testing.assert_allclose(curve.sem, curve.std / np.sqrt(3))
    np.testing.assert_allclose(curve.min, [0.4, 0.7, 0.9])
    np.testing.assert_allclose(curve.max, [0.6, 0.8, 0.95])


def test_all_constructors_agree():
    pd = pytest.importorskip("pandas")
    rows = records()
    shuffled = [rows[i] for i in np.random.RandomState(0).permutation(len(rows))]
    as_text = [{k: str(v) for k, v in row.items()} for row in rows]  # csv.DictReader
    histories = {
        s: [
            [r for r in rows if (r["strategy"], r["trial"]) == (s, t)]
            for t in range(len(SCORES[s]))
        ]
        for s in SCORES
    }
    learners = {s: [Learner(h) for h in hs] for s, hs in histories.items()}
    displays = [
        ActiveLearningCurveDisplay.from_records(iter(rows)),
        ActiveLearningCurveDisplay.from_records(pd.DataFrame(rows)),
        ActiveLearningCurveDisplay.from_records(shuffled),
        ActiveLearningCurveDisplay.from_records(as_text),
        ActiveLearningCurveDisplay.from_histories(histories),
        ActiveLearningCurveDisplay.from_estimators(learners),
    ]
    for display in displays:
        assert set(display.curves) == set(SCORES)
        for strategy, curve in display.curves.items():
            for got, expected in zip(curve, displays[0].curves[strategy], strict=True):
                np.testing.assert_allclose(got, expected)


def test_single_history_and_single_estimator():
    history = [{"annotations": 10, "score": 0.5}, {"annotations": 20, "score": 0.6}]
    for display in (
        ActiveLearningCurveDisplay.from_histories({"dfal": history}),
        ActiveLearningCurveDisplay.from_histories({"dfal": pd.DataFrame(history)}),
        ActiveLearningCurveDisplay.from_estimators({"dfal": Learner(history)}),
    ):
        np.testing.assert_array_equal(display.curves["dfal"].mean, [0.5, 0.6])


def test_other_keys():
    rows = [{"method": "a", "labeled_data": 10, "acc": 0.5}]
    display = ActiveLearningCurveDisplay.from_records(
        rows, x="labeled_data", y="acc", strategy="method", trial=None
    )
    np.testing.assert_array_equal(display.curves["a"].annotations, [10])


@pytest.mark.parametrize(
    ("params", "marks", "mean", "n_trials"),
    [
        # Every point is the mean of the same trials, 20 interpolated in the second.
        ({}, [10, 20, 30], [0.5, 0.65, 0.8], [2, 2, 2]),
        # Only what both trials have measured.
        ({"interpolate": False}, [10, 30], [0.5, 0.8], [2, 2]),
        # The second trial alone goes on to 50.
        ({"min_trials": 1}, [10, 20, 30, 50], [0.5, 0.65, 0.8, 0.9], [2, 2, 2, 1]),
        (
            {"min_trials": 1, "interpolate": False},
            [10, 20, 30, 50],
            [0.5, 0.6, 0.8, 0.9],
            [2, 1, 2, 1],
        ),
    ],
)
def test_marks_of_trials_with_different_rounds(params, marks, mean, n_trials):
    curve = one_strategy(
        [[10, 20, 30], [50, 10, 30]], [[0.4, 0.6, 0.8], [0.9, 0.6, 0.8]], **params
    ).curves["dfal"]
    np.testing.assert_array_equal(curve.annotations, marks)
    np.testing.assert_allclose(curve.mean, mean)
    np.testing.assert_array_equal(curve.n_trials, n_trials)
    # The spread of a single trial is unknown, not zero.
    np.testing.assert_array_equal(np.isnan(curve.std), curve.n_trials == 1)


def test_ranking_follows_the_right_ends():
    scores = {"a": [[0.9, 0.5]], "b": [[0.1, 0.7]], "c": [[0.2, 0.7]]}
    display = ActiveLearningCurveDisplay.from_records(records(scores, [10, 20]))
    # b and c end together; c was better on the way.
    assert display.ranking == ["c", "b", "a"]


ROW = {"strategy": "dfal", "trial": 0, "annotations": 10, "score": 0.5}


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([], ValueError, "records is empty"),
        ([{"strategy": "dfal"}], ValueError, "Row 0 has no key 'trial'; it has"),
        ([ROW, {**ROW, "score": "high"}], ValueError, "Row 1: score='high' is not a"),
        ([{**ROW, "score": []}], ValueError, r"score=\[\] is not a number"),
        ([{**ROW, "score": None}], ValueError, "no value for 'score'. Was there a"),
        ([{**ROW, "score": np.nan}], ValueError, "no value for 'score'"),
        ([{**ROW, "score": "nan"}], ValueError, "should be finite"),
        ([{**ROW, "annotations": np.inf}], ValueError, "annotations=inf should be fin"),
        ([{**ROW, "strategy": None}], ValueError, "no value for 'strategy'"),
        ([ROW, ROW], ValueError, "two rows at annotations=10. If the table"),
        (ROW, TypeError, "Expected an iterable of dicts.* got dict"),
        ([1], TypeError, "Row 0 should be a dict, got int"),
        (3, TypeError, "got int"),
    ],
)
def test_bad_records(rows, error, message):
    with pytest.raises(error, match=message):
        ActiveLearningCurveDisplay.from_records(rows)


@pytest.mark.parametrize(
    ("annotations", "scores", "params", "message"),
    [
        ([[10, 20]], [[0.5]], {}, "has 2 annotations and 1 score"),
        ([[10], [10]], [[0.5]], {}, "2 trials of annotations and 1 of scores"),
        ([], [], {}, "at least one"),
        ([[]], [[]], {}, "n_rounds >= 1"),
        ([[10]], [["a"]], {}, "score should be numbers"),
        ([[10]], [[np.nan]], {}, "score contains NaN"),
        ([[10], [20]], [[0.5], [0.5]], {}, "no mark with min_trials=2 of its 2"),
        ([[10]], [[0.5]], {"min_trials": 2}, "min_trials=2 of its 1 trials"),
        ([[10]], [[0.5]], {"min_trials": 0}, "min_trials=0 should be None or"),
    ],
)
def test_bad_arrays(annotations, scores, params, message):
    with pytest.raises(ValueError, match=message):
        one_strategy(annotations, scores, **params)


def test_bad_histories_and_estimators():
    display = ActiveLearningCurveDisplay
    with pytest.raises(TypeError, match=r"histories should be a dict.* got list"):
        display.from_histories([])
    with pytest.raises(ValueError, match="records is empty"):
        display.from_histories({})
    with pytest.raises(ValueError, match="'dfal' has no history"):
        display.from_histories({"dfal": []})
    with pytest.raises(ValueError, match="empty history, trial 1"):
        display.from_histories({"dfal": [[{"annotations": 1, "score": 0.1}], []]})
    with pytest.raises(TypeError, match=r"estimators should be a dict.* got Learner"):
        display.from_estimators(Learner([]))
    unfitted = Learner([])
    del unfitted.history_
    with pytest.raises(
        NotFittedError, match="Learner of strategy 'dfal' has no history_"
    ):
        display.from_estimators({"dfal": unfitted})
    with pytest.raises(ValueError, match="annotations is empty"):
        display(annotations={}, scores={})
    with pytest.raises(ValueError, match="they should be the same"):
        display(annotations={"a": [[1]]}, scores={"b": [[1]]})


# Learning curves: styles


def test_styles_differ_and_belong_to_the_strategy():
    styles = strategy_styles(STRATEGIES)
    assert len(set(styles.values())) == len(STRATEGIES)
    # The seven of the paper can be told apart by colour alone.
    assert len({style.color for style in strategy_styles(SEVEN).values()}) == 7
    for names in (["DFAL"], ["random", "dfal"], ["my own", "dfal"], SEVEN):
        name = next(name for name in names if name.lower() == "dfal")
        assert strategy_styles(names)[name] == styles["dfal"]
    for name in ("CORE-SET", "core_set_sampling", "coreset"):
        assert strategy_styles([name])[name] == styles["core_set"]


PUBLISHED_STYLES = {
    "dfal": ("#D55E00", "solid", "o"),
    "deepfool_margin": ("#D55E00", "dotted", "d"),
    "dfal_diverse": ("#332288", "dotted", "p"),
    "entropy": ("#56B4E9", "solid", "X"),
    "uncertainty": ("#56B4E9", "solid", "X"),
    "least_confidence": ("#882255", "dotted", "<"),
    "margin": ("#999933", "dashed", ">"),
    "bald": ("#009E73", "dashdotdot", "D"),
    "ceal": ("#CC79A7", "dashed", "v"),
    "core_set": ("#0072B2", "dashdot", "^"),
    "egl": ("#E69F00", "dashdot", "P"),
    "random": ("#000000", "dashed", "s"),
}


@pytest.mark.parametrize("name", PUBLISHED_STYLES)
def test_styles_of_the_published_pictures_stay(name):
    """Frozen: who compares two pictures of ours finds a strategy by its colour."""
    color, line, marker = PUBLISHED_STYLES[name]
    assert strategy_styles([name])[name] == (color, LINES[line], marker)


def test_a_strategy_brings_its_style():
    register("mine", label="MINE", style=("#123456", "-", "o"))(lambda *_: [0])
    try:
        for name in ("mine", "MINE", "mine_sampling"):
            assert strategy_styles([name])[name] == ("#123456", "-", "o")
    finally:
        unregister("mine")
    assert strategy_styles(["mine"])["mine"].color != "#123456"


def test_styles_of_unknown_names():
    names = [*SEVEN, *(f"mine {i}" for i in range(40))]
    styles = strategy_styles(names)
    # No two lines of one picture look the same, in whichever order they are given.
    assert len(set(styles.values())) == len(names)
    assert strategy_styles(names[::-1]) == styles
    # Alone, a name takes its own place, the same every time.
    assert strategy_styles(["mine 1"]) == strategy_styles(["mine 1", "mine 1"])
    # Two names of one strategy in one picture still differ.
    assert len(set(strategy_styles(["entropy", "uncertainty"]).values())) == 2


# Learning curves: pictures


def test_plot_draws_what_the_attributes_hold(mpl):
    display = ActiveLearningCurveDisplay.from_records(records())
    assert display.plot() is display
    assert display.ax_.get_xlabel() == "annotations (labels bought)"
    assert display.ax_.get_ylabel() == "test accuracy"
    assert display.figure_ is display.ax_.figure
    for strategy, curve in display.curves.items():
        line = display.lines_[strategy]
        np.testing.assert_array_equal(line.get_xdata(), curve.annotations)
        np.testing.assert_array_equal(line.get_ydata(), curve.mean)
        corners = display.bands_[strategy].get_paths()[0].vertices
        assert corners[:, 1].max() == pytest.approx(max(curve.mean + curve.std))
        assert line.get_color() == describe(strategy).style[0]
    texts = [text.get_text() for text in display.legend_.get_texts()]
    assert texts == ["dfal", "random"]
    assert display.legend_.get_title().get_text() == "mean ± std, 2 to 3 trials"
    assert display._repr_html_().startswith("<img")


@pytest.mark.parametrize(
    ("spread", "title"),
    [
        ("sem", "mean ± standard error, 3 trials"),
        ("minmax", "mean, min to max, 3 trials"),
        (None, "mean, 3 trials"),
    ],
)
def test_spreads(mpl, spread, title):
    display = one_strategy([MARKS] * 3, SCORES["dfal"]).plot(spread=spread)
    assert display.legend_.get_title().get_text() == title
    assert len(display.bands_) == (spread is not None)
    if spread == "minmax":
        corners = display.bands_["dfal"].get_paths()[0].vertices[:, 1]
        assert (corners.min(), corners.max()) == (0.4, 0.95)


def test_errors_by_their_logarithms(mpl):
    display = ActiveLearningCurveDisplay.from_records(records())
    display.plot(scale="log_error", reference=0.99, points={"dfal": [(20, 0.9)]})
    ax = display.ax_
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_ylabel() == "test error"
    mean = display.curves["dfal"].mean
    np.testing.assert_allclose(display.lines_["dfal"].get_ydata(), 1 - mean)
    drawn = [line.get_ydata() for line in ax.lines]
    assert any(np.allclose(y, 0.01) for y in drawn)  # the reference
    assert any(len(y) == 1 and np.isclose(y[0], 0.1) for y in drawn)  # the point
    display.figure_.draw_without_rendering()
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert "10 %" in labels
    # Once more as scores, in a figure of its own.
    assert display.plot().ax_.get_yscale() == "linear"


def test_all_axes_of_a_figure_are_not_one(mpl):
    display = ActiveLearningCurveDisplay(annotations={"a": [[10]]}, scores={"a": [[0]]})
    several = mpl.figure.Figure().subplots(1, 2)
    with pytest.raises(TypeError, match=r"got ndarray.* pass one of them"):
        display.plot(several)
    assert display.plot(several[1]).ax_ is several[1]


def test_an_error_of_nothing_is_not_drawn(mpl):
    display = ActiveLearningCurveDisplay(
        annotations={"a": [[10, 20]]}, scores={"a": [[0.5, 1.0]]}
    )
    drawn = display.plot(scale="log_error").lines_["a"].get_ydata()
    np.testing.assert_array_equal(drawn, [0.5, np.nan])
    percent = ActiveLearningCurveDisplay(
        annotations={"a": [[10]]}, scores={"a": [[97.0]]}
    )
    with pytest.raises(ValueError, match=r"needs scores in \[0, 1\], but 'a' has 97"):
        percent.plot(scale="log_error")
    with pytest.raises(ValueError, match=r"but reference 'all' has 99\.2"):
        display.plot(scale="log_error", reference={"all": 99.2})
    with pytest.raises(ValueError, match=r"but points\['a'\] has 80 to 80"):
        display.plot(scale="log_error", points={"a": [(10, 80.0)]})
    perfect = ActiveLearningCurveDisplay(
        annotations={"a": [[10, 20]]}, scores={"a": [[1.0, 1.0]]}
    )
    with pytest.raises(ValueError, match="nothing to draw: all scores are 1"):
        perfect.plot(scale="log_error")


def test_single_trial_has_no_band(mpl):
    for spread in ("std", "sem", "minmax"):
        display = one_strategy([MARKS], SCORES["dfal"][:1]).plot(spread=spread)
        assert display.bands_ == {}
        assert display.legend_.get_title().get_text() == "one trial"


def test_a_single_mark_has_a_bar_for_its_spread(mpl):
    display = one_strategy([[10]] * 3, [[0.4], [0.5], [0.6]]).plot()
    band = display.bands_["dfal"]
    (path,) = band.get_paths()
    np.testing.assert_allclose(path.get_extents().intervaly, [0.4, 0.6])  # ± std
    assert band.get_linewidth()[0] > 0  # it has no width, so that only edges are seen
    display.figure_.draw_without_rendering()
    ticks = [tick for tick in display.ax_.get_xticks() if 9 < tick < 11]
    assert ticks == [10]  # no label is bought in parts
    several = one_strategy([MARKS] * 3, SCORES["dfal"]).plot()
    assert several.bands_["dfal"].get_linewidth()[0] == 0


def test_everything_is_seen_on_a_dark_background(mpl):
    display = ActiveLearningCurveDisplay.from_records(
        records(dict.fromkeys(SEVEN, SCORES["random"]))
    )

    def contrasts():
        """Return the contrast of each line with the background, as WCAG defines it."""
        drawn = display.plot(reference=0.99, points={"random": [(20, 0.8)]}).ax_.lines
        background = luminance(display.ax_.get_facecolor())
        for color in [line.get_color() for line in drawn if line.get_ls() != "None"]:
            pair = sorted([luminance(color), background])
            yield (pair[1] + 0.05) / (pair[0] + 0.05)

    def luminance(color):
        rgb = np.array(mpl.colors.to_rgb(color))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    with mpl.style.context("dark_background"):
        assert min(contrasts()) > 4.5
        assert display.lines_["random"].get_color() == (1, 1, 1)  # black on white
    own = {strategy: style.color for strategy, style in strategy_styles(SEVEN).items()}
    assert all(c >= 2 for c in contrasts())
    assert {name: line.get_color() for name, line in display.lines_.items()} == own


def test_sizes_and_settings_of_the_user_are_kept(mpl):
    with mpl.rc_context({"axes.labelsize": 21, "xtick.labelsize": 17}):
        before = dict(mpl.rcParams)
        ax = one_strategy([MARKS] * 3, SCORES["dfal"]).plot().ax_
        assert dict(mpl.rcParams) == before
        assert ax.xaxis.label.get_size() == 21
        assert ax.get_xticklabels()[0].get_size() == 17


def test_what_lies_beyond_all_scores_is_shown(mpl):
    display = one_strategy([MARKS] * 3, SCORES["dfal"])
    assert display.plot(reference=0.99).ax_.get_ylim()[1] <= 1.02
    assert display.plot(reference=99.0).ax_.get_ylim()[1] > 99  # in percent by mistake
    assert display.plot(points={"dfal": [(20, 97.0)]}).ax_.get_ylim()[1] > 97


def test_many_strategies_find_room(mpl):
    names = [f"strategy {i}" for i in range(40)]
    display = ActiveLearningCurveDisplay.from_records(
        records(dict.fromkeys(names, SCORES["random"]))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of axes without a size
        display.plot().figure_.draw_without_rendering()
    box = display.legend_.get_window_extent()
    assert box.y0 >= 0
    assert box.y1 <= display.figure_.bbox.y1
    assert display.ax_.get_window_extent().width / display.figure_.dpi > 4


def test_a_short_logarithmic_axis_has_more_than_one_number(mpl):
    display = one_strategy([[12, 20, 40]], [[0.5, 0.6, 0.7]]).plot(scale="log_error")
    display.figure_.draw_without_rendering()
    low, high = display.ax_.get_xlim()
    assert sum(low <= tick <= high for tick in display.ax_.get_xticks()) > 1


def test_own_axes_references_and_labels(mpl):
    figure = mpl.figure.Figure()
    ax = figure.subplots()
    display = ActiveLearningCurveDisplay.from_records(records(), x="labeled_data")
    display.plot(
        ax,
        reference={"all labels": 0.99},
        points={"dfal": [(20, 0.8)], "bald": [(20, 0.7)]},
        labels={"dfal": "DFAL"},
        legend="lower right",
    )
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert ax.get_xlabel().startswith("labelled data")
    texts = [text.get_text() for text in display.legend_.get_texts()]
    assert texts == ["DFAL", "random", "all labels (0.99)", "paper"]
    # The caller shows the figure; a notebook would otherwise have it twice.
    assert display._repr_html_() is None
    assert display.plot(ax, legend=None).legend_ is None
    assert display.plot(reference=0.5).legend_.get_texts()[-1].get_text() == (
        "full training set (0.5)"
    )


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"spread": "iqr"}, "spread='iqr' should be"),
        ({"reference": "best"}, "reference 'full training set' should be a number"),
        ({"reference": {"a": np.nan}}, "reference 'a' should be a number"),
        ({"points": {"dfal": [1, 2]}}, r"points\['dfal'\] should be a list of"),
        ({"points": {"dfal": [(1, "x")]}}, r"points\['dfal'\] should be a list of"),
    ],
)
def test_bad_plot_parameters(mpl, params, message):
    with pytest.raises(ValueError, match=message):
        one_strategy([MARKS], SCORES["dfal"][:1]).plot(**params)


def test_nothing_is_cut_off(mpl):
    names = [
        *SEVEN,
        "least_confidence_sampling_with_a_long_name",
        "one more, quite long",
    ]
    display = ActiveLearningCurveDisplay.from_records(
        records(dict.fromkeys(names, SCORES["dfal"]))
    ).plot()
    display.figure_.draw_without_rendering()
    page = display.figure_.bbox
    for artist in (display.legend_, display.ax_.xaxis.label, display.ax_.yaxis.label):
        box = artist.get_window_extent()
        assert box.x0 >= page.x0
        assert box.y0 >= page.y0
        assert box.x1 <= page.x1
        assert box.y1 <= page.y1
    # The legend stands beside the curves, which kept their room.
    axes = display.ax_.get_window_extent()
    assert axes.x1 <= display.legend_.get_window_extent().x0
    assert axes.width / display.figure_.dpi > 4


# Adversarial twins


@pytest.mark.parametrize("shape", [(4, 8, 8), (4, 1, 8, 8), (4, 3, 8, 6)])
def test_adversarial_data_and_picture(mpl, shape):
    rng = np.random.RandomState(0)
    X = rng.rand(*shape)
    r = rng.normal(scale=0.01, size=shape)
    display = AdversarialDisplay.from_arrays(
        X.tolist(), X + r, y=[0, 1, 2, 2], y_twin=[1, 0, 0, 2], class_names="abc"
    )
    np.testing.assert_allclose(display.perturbation, r, atol=1e-12)
    by_hand = [np.sqrt((one**2).sum()) for one in r]
    np.testing.assert_allclose(display.norm, by_hand)
    assert display.plot() is display
    assert display.axes_.shape == (3, 4)
    titles = [ax.get_title() for ax in display.axes_[0]]
    assert titles[0] == f"a → b\n‖r‖ = {by_hand[0]:.3g}"
    assert titles[3].startswith("c (same)")
    # A bar of colours in input units, or the factor; both would multiply twice.
    has_bar = len(display.figure_.axes) > display.axes_.size
    assert has_bar == (len(shape) == 3 or shape[1] == 1)
    factor = f"× {display.amplification_:g}"
    assert (factor in display.axes_[1, 0].get_ylabel()) != has_bar
    assert display._repr_html_().startswith("<img")


def test_perturbations_share_a_symmetric_scale(mpl):
    X = np.zeros((2, 1, 4, 4))
    X_twin = X.copy()
    X_twin[0, 0, 0, 0], X_twin[1, 0, 0, 0] = 0.05, -0.01
    display = AdversarialDisplay.from_arrays(X, X_twin).plot(value_range=(0, 1))
    assert display.amplification_ == 20
    for ax in display.axes_[1]:
        assert ax.images[0].get_clim() == (-0.05, 0.05)
    for ax in [*display.axes_[0], *display.axes_[2]]:
        assert ax.images[0].get_clim() == (0, 1)
    assert display.axes_[0, 0].get_title() == "‖r‖ = 0.05"
    assert display.plot(value_range=(0, 1), amplify=4).amplification_ == 4
    # Equal samples and twins are drawn too.
    assert AdversarialDisplay.from_arrays(X, X).plot().amplification_ == 1


def test_round_factor():
    factors = [_round_factor(bound) for bound in (0.3, 1, 2.9, 7, 1 / 0.05, 123)]
    assert factors == [1, 1, 2, 7, 20, 100]


class Augmenter:
    def transform(self, X):
        return 1 - X


class Thresholder:
    def predict(self, X):
        return np.where(np.mean(X, axis=(1, 2, 3)) > 0.5, "light", "dark")


def test_from_augmenter():
    X = np.zeros((20, 1, 4, 4))
    plain = AdversarialDisplay.from_augmenter(Augmenter(), X)
    assert plain.X.shape == plain.X_twin.shape == (8, 1, 4, 4)
    assert plain.y is None
    assert plain.y_twin is None
    augmenter = Augmenter()
    augmenter.estimator_ = Thresholder()
    display = AdversarialDisplay.from_augmenter(augmenter, X, n_samples=2)
    assert display.y.tolist() == ["dark", "dark"]
    assert display.y_twin.tolist() == ["light", "light"]
    given = AdversarialDisplay.from_augmenter(augmenter, X, ["true"] * 20, n_samples=1)
    assert given.y.tolist() == ["true"]


def test_twins_are_labelled_as_the_augmenter_was_told():
    """Not by the codes on which its estimator was trained; of an X in doubles too."""
    X = np.random.default_rng(0).random((12, 1, 4, 4))
    y = np.array(["cat", "dog"]).repeat(6)
    augmenter = AdversarialAugmenter(random_state=0).fit(X, y)
    display = AdversarialDisplay.from_augmenter(
        augmenter, X, y, class_names={"cat": "Katze", "dog": "Hund"}
    )
    assert set(display.y_twin) <= {"cat", "dog"}
    predicted = AdversarialDisplay.from_augmenter(augmenter, X, n_samples=12)
    assert (predicted.y != predicted.y_twin).all()


def test_adversarial_own_axes(mpl):
    figure = mpl.figure.Figure()
    X = np.zeros((1, 4, 4))
    display = AdversarialDisplay.from_arrays(X, X + 0.1)
    display.plot(figure.subplots(3, 1))
    assert display.figure_ is figure
    assert display.axes_.shape == (3, 1)
    assert display._repr_html_() is None
    with pytest.raises(ValueError, match="has 2 axes; 1 samples need 3 × 1"):
        display.plot(mpl.figure.Figure().subplots(2))
    with pytest.raises(ValueError, match="value_range"):
        display.plot(value_range=(1, 0))
    for amplify in (0, "much", np.nan):
        with pytest.raises(ValueError, match="amplify"):
            display.plot(amplify=amplify)


IMAGES = np.zeros((2, 1, 4, 4))


@pytest.mark.parametrize(
    ("X", "X_twin", "params", "message"),
    [
        (IMAGES, IMAGES[:1], {}, r"X has shape \(2, 1, 4, 4\) and X_twin \(1, 1, 4"),
        (IMAGES[0, 0], IMAGES[0, 0], {}, r"X should have shape .* got \(4, 4\)"),
        (np.zeros((2, 4, 4, 3)), IMAGES, {}, "The channels seem to come last"),
        (np.zeros((2, 2, 4, 4)), IMAGES, {}, "with 1 or 3 channels"),
        (IMAGES * np.nan, IMAGES, {}, "X contains NaN"),
        (IMAGES, IMAGES * np.nan, {}, "X_twin contains NaN"),
        (IMAGES[:0], IMAGES[:0], {}, "minimum of 1 is required"),
        (IMAGES, IMAGES, {"y": [1]}, r"y should have shape \(2,\)"),
        (IMAGES, IMAGES, {"y_twin": [[1, 2]]}, r"y_twin should have shape \(2,\)"),
        (
            IMAGES,
            IMAGES,
            {"y": [0, 5], "class_names": ["a", "b"]},
            r"no name for the label 5 of y; it names \[0, 1\]",
        ),
    ],
)
def test_bad_images(X, X_twin, params, message):
    with pytest.raises(ValueError, match=message):
        AdversarialDisplay.from_arrays(X, X_twin, **params)


def test_bad_augmenter():
    with pytest.raises(TypeError, match=r"has none\. For arrays use from_arrays"):
        AdversarialDisplay.from_augmenter(Learner([]), IMAGES)
    with pytest.raises(ValueError, match="n_samples=0 should be >= 1"):
        AdversarialDisplay.from_augmenter(Augmenter(), IMAGES, n_samples=0)


# matplotlib is optional


def test_message_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for display in (
        one_strategy([MARKS], SCORES["dfal"][:1]),
        AdversarialDisplay.from_arrays(IMAGES, IMAGES),
    ):
        name = type(display).__name__
        with pytest.raises(ImportError, match=rf"{name}.*pip install matplotlib"):
            display.plot()


def test_dollars_in_the_name_of_a_class_are_no_formula():
    X = np.zeros((1, 8, 8))
    display = AdversarialDisplay.from_arrays(X, X + 1, y=["US$"], y_twin=["$\\foo$"])
    display.plot().figure_.draw_without_rendering()
    assert not display.axes_[0, 0].title.get_parse_math()
