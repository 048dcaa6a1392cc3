"""Expected calibration error against sums by hand and by plain loops."""

import numpy as np
import pytest

from skdfal.analysis import calibration_error


def by_loops(y_true, proba, n_bins):
    """Follow the definition: bins open on the left, closed on the right."""
    total = 0.0
    for m in range(1, n_bins + 1):
        low, high = (m - 1) / n_bins, m / n_bins
        members = [i for i, p in enumerate(proba) if low < p.max() <= high]
        if members:
            acc = np.mean([proba[i].argmax() == y_true[i] for i in members])
            conf = np.mean([proba[i].max() for i in members])
            total += len(members) / len(y_true) * abs(acc - conf)
    return total


def test_by_hand():
    proba = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])
    # (0.5, 0.75]: both right with 0.65. (0.75, 1]: one of two right with 0.85.
    expected = 0.5 * abs(1 - 0.65) + 0.5 * abs(0.5 - 0.85)
    assert calibration_error([0, 1, 1, 1], proba, n_bins=4) == pytest.approx(expected)
    # In one bin errors of different sign cancel: 3 of 4 right, 0.75 on average.
    assert calibration_error([0, 1, 1, 1], proba, n_bins=1) == pytest.approx(0)


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("n_bins", [1, 7, 15])
def test_agrees_with_loops(n_classes, n_bins):
    rng = np.random.default_rng(n_bins)
    proba = rng.dirichlet(np.ones(n_classes), size=200)
    y = rng.integers(n_classes, size=200)
    found = calibration_error(y, proba, n_bins)
    assert found == pytest.approx(by_loops(y, proba, n_bins))
    assert 0 <= found <= 1
    # Other names for the classes change nothing, nor does the order of the samples.
    names = np.array([f"class {i}" for i in range(n_classes)])
    order = rng.permutation(200)
    again = calibration_error(names[y[order]], proba[order], n_bins, classes=names)
    assert again == pytest.approx(found)


def test_extremes():
    sure = np.eye(2)[[0, 1, 0]]
    assert calibration_error([0, 1, 0], sure) == 0
    assert calibration_error([1, 0, 1], sure) == 1


@pytest.mark.parametrize(
    ("y", "proba", "classes", "message"),
    [
        ([0], [[2.0, -1.0]], None, "non-negative and sum to 1"),
        ([0], [[0.5, 0.2]], None, "take their softmax"),
        ([0, 1], [[0.5, 0.5]], None, "inconsistent numbers"),
        ([2], [[0.5, 0.5]], None, "y_true holds .*2.*not among the classes"),
        ([0], [[0.5, 0.5]], [0, 1, 2], "each of the 2 columns"),
        ([0], [[np.nan, 0.5]], None, "NaN"),
    ],
)
def test_bad_input(y, proba, classes, message):
    with pytest.raises(ValueError, match=message):
        calibration_error(y, proba, classes=classes)
