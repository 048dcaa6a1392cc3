"""Contrasts: sums within trials, intervals and p-values corrected for their number."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from skdfal.analysis import paired_contrasts, paired_difference
from skdfal.analysis._contrasts import _holm

RNG = np.random.default_rng(0)
SCORES = {name: RNG.random(6) for name in ("a", "b", "c")}
RECORDS = [
    {"strategy": name, "trial": trial, "annotations": n, "score": score + n / 100}
    for name, scores in SCORES.items()
    for trial, score in enumerate(scores)
    for n in (10, 20)
]


def test_one_contrast_of_two_is_the_paired_difference():
    (found,) = paired_contrasts(RECORDS, {"a - b": {"a": 1, "b": -1}})
    expected = paired_difference(RECORDS, "a", "b", annotations="area")
    assert found.difference == pytest.approx(expected.difference)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.p_value == pytest.approx(expected.p_value_t)
    assert found.n_trials == 6


def test_a_mean_of_two_less_a_third_written_out():
    weights = {"a": 0.5, "b": 0.5, "c": -1}
    every = {"half": weights, "other": {"a": 1, "b": -1}}
    found, _ = paired_contrasts(RECORDS, every, annotations=20)
    values = (SCORES["a"] + SCORES["b"]) / 2 - SCORES["c"]
    test = ttest_1samp(values, 0)
    low, high = test.confidence_interval(0.975)  # of two, together 95 %
    assert found.difference == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((low, high))


def test_holm_by_hand():
    # 0.01 * 4; 0.02 * 3; 0.03 * 2, not below the one before; 0.9 * 1.
    assert _holm([0.03, 0.01, 0.9, 0.02]) == pytest.approx([0.06, 0.04, 0.9, 0.06])
    assert _holm([0.6, 0.7]) == [1.0, 1.0]


def test_trials_that_one_lacks_are_left_out():
    records = [r for r in RECORDS if (r["strategy"], r["trial"]) != ("c", 5)]
    found = paired_contrasts(records, {"b": {"a": 1, "b": -1}, "c": {"a": 1, "c": -1}})
    assert [contrast.n_trials for contrast in found] == [6, 5]


def test_all_contrasts_have_one_range():
    """Areas over 10 to 20 annotations and over 10 to 30 would not compare."""
    rows = [
        {"strategy": name, "trial": trial, "annotations": n, "score": score}
        for name, scores in {"a": (0, 0, 1), "b": (0, 0, 0), "c": (0, 1)}.items()
        for trial in range(2)
        for n, score in zip((10, 20, 30), scores, strict=False)
    ]
    contrasts = {"a": {"a": 1, "b": -1}, "c": {"c": 1, "b": -1}}
    found = paired_contrasts(rows, contrasts)
    assert [contrast.difference for contrast in found] == [0, 0.5]  # c ended at 20
    (alone,) = paired_contrasts(rows, {"a": contrasts["a"]})
    assert alone.difference == 0.25


@pytest.mark.parametrize(
    ("contrasts", "message"),
    [
        ({}, "with at least one"),
        ({"x": {}}, "'x' has weights={}; they should be a dict"),
        ({"x": {"a": 1, "z": -1}}, "'z', which is not among"),
        ({"x": {"a": 1, "b": -2}}, "add up to -1"),
        ({"x": {"a": np.nan, "b": -1}}, "'x' has .* finite numbers"),
        ({"x": ["a", "b"]}, "dict of strategies to finite numbers"),
    ],
)
def test_what_is_no_contrast(contrasts, message):
    with pytest.raises(ValueError, match=message):
        paired_contrasts(RECORDS, contrasts)
    with pytest.raises(ValueError, match="not covered"):
        paired_contrasts(RECORDS, {"x": {"a": 1, "b": -1}}, annotations=30)
    with pytest.raises(ValueError, match="1 trials in common"):
        paired_contrasts(
            [r for r in RECORDS if r["trial"] == 0], {"x": {"a": 1, "b": -1}}
        )
