"""The Displays that compare two networks."""

import numpy as np
import pytest

from skdfal.analysis import ConfidenceAgreement, RegionAgreement
from skdfal.plot import ConfidenceDisplay, RegionsDisplay

# A sample of each kind: in one region, in A's only, in B's only, in none or by no
# common anchor, of different classes.
AGREEMENT = RegionAgreement(
    agree=np.array([True, False, False, False, False, False]),
    connected_a=np.array([True, True, False, False, True, False]),
    connected_b=np.array([True, False, True, False, True, False]),
    label_a=np.array([0, 0, 0, 0, 0, 0]),
    label_b=np.array([0, 0, 0, 0, 0, 1]),
    anchor=np.array([3, -1, -1, -1, -1, -1]),
)
STATES = ["same", "only_a", "only_b", "neither", "neither", "class"]


def test_confidence_display_draws_what_it_holds():
    matplotlib = pytest.importorskip("matplotlib")
    agreement = ConfidenceAgreement(np.array([0.4, 0.9]), np.array([0.5, 1.0]), 1.0)
    display = ConfidenceDisplay.from_agreement(agreement, name_a="LeNet5")
    assert display.plot() is display
    np.testing.assert_allclose(display.points_.get_offsets(), [[0.4, 0.5], [0.9, 1.0]])
    assert display.ax_.get_xlabel() == "highest probability, LeNet5"
    assert display.ax_.get_title() == "2 samples, rank correlation 1.00"
    assert display._repr_html_().startswith("<img")
    ax = matplotlib.figure.Figure().subplots()
    assert display.plot(ax).ax_ is ax


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([0.5], [0.5, 0.6], "inconsistent numbers"),
        ([], [], "n_samples >= 1"),
        ([1.5], [0.5], r"confidence_a should be probabilities in \[0, 1\]"),
        ([0.5], [np.nan], "confidence_b should be probabilities"),
    ],
)
def test_bad_confidences(a, b, message):
    with pytest.raises(ValueError, match=message):
        ConfidenceDisplay(confidence_a=a, confidence_b=b)


def test_regions_display_shows_every_state():
    pytest.importorskip("matplotlib")
    display = RegionsDisplay(
        embedding=np.arange(12).reshape(6, 2), agreement=AGREEMENT, name_b="VGG8"
    )
    assert display.state.tolist() == STATES
    display.plot()
    texts = [text.get_text() for text in display.legend_.get_texts()]
    assert texts == [
        "same region in both: 1 (16.7 %)",
        "same class, path in network A only: 1 (16.7 %)",
        "same class, path in VGG8 only: 1 (16.7 %)",
        "same class, no common path: 2 (33.3 %)",
        "different classes: 1 (16.7 %)",
    ]
    # Nothing of the legend is cut off.
    display.figure_.draw_without_rendering()
    page, box = display.figure_.bbox, display.legend_.get_window_extent()
    assert page.x0 <= box.x0 < box.x1 <= page.x1
    assert page.y0 <= box.y0


def test_embedding_is_reproducible_and_keeps_neighbours():
    rng = np.random.default_rng(0)
    X = np.repeat(np.eye(2), 3, axis=0) * 10 + rng.random((6, 2))
    one, two = (
        RegionsDisplay.from_agreement(AGREEMENT, X.reshape(6, 1, 1, 2)).embedding
        for _ in range(2)
    )
    np.testing.assert_array_equal(one, two)
    assert one.shape == (6, 2)


def test_bad_regions():
    with pytest.raises(ValueError, match=r"embedding has shape \(5, 2\)"):
        RegionsDisplay(embedding=np.zeros((5, 2)), agreement=AGREEMENT)
    with pytest.raises(ValueError, match="embedding contains NaN"):
        RegionsDisplay(embedding=np.full((6, 2), np.nan), agreement=AGREEMENT)
    with pytest.raises(ValueError, match="X has 5 samples and the agreement 6"):
        RegionsDisplay.from_agreement(AGREEMENT, np.zeros((5, 2)))
    with pytest.raises(ValueError, match="All 6 samples of X are the same"):
        RegionsDisplay.from_agreement(AGREEMENT, np.ones((6, 2)))


def test_everything_is_seen_on_a_dark_background():
    mpl = pytest.importorskip("matplotlib")
    from matplotlib import style

    def faintest(display):
        colors = [c for drawn in display.ax_.collections for c in drawn.get_facecolor()]
        return min(max(color[:3]) for color in colors)  # by its brightest channel

    regions = RegionsDisplay(embedding=np.eye(6)[:, :2], agreement=AGREEMENT)
    sure = ConfidenceDisplay(confidence_a=[0.5], confidence_b=[0.6])
    with mpl.rc_context(), style.context("dark_background"):
        assert faintest(regions.plot()) > 0.6
        assert faintest(sure.plot()) > 0.6
    assert faintest(regions.plot()) == 0  # black on white
