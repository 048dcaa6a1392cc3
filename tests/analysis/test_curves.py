"""What is read off learning curves, against counts made by hand."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from skdfal.analysis import (
    annotations_saved,
    annotations_to_reach,
    area_under_curve,
    paired_difference,
)

MARKS = [10, 20, 30]


def records(curves, marks=MARKS):
    return [
        {"strategy": s, "trial": t, "annotations": a, "labeled_data": 2 * a - 10}
        | {"score": score}
        for s, trials in curves.items()
        for t, scores in enumerate(trials)
        for a, score in zip(marks, scores, strict=True)
    ]


# Annotations to reach


def test_first_round_at_the_target_counts():
    # It falls below 0.6 again, which does not matter.
    rows = records({"dfal": [[0.4, 0.6, 0.5]]})
    for target in (0.5, 0.6):
        (trial,) = annotations_to_reach(rows, target).trials
        assert trial == {
            "strategy": "dfal",
            "trial": 0,
            "reached": True,
            "annotations": 20.0,
            "labeled_data": 30.0,
        }
    (trial,) = annotations_to_reach(rows, 0.5, interpolate=True).trials
    assert (trial["annotations"], trial["labeled_data"]) == pytest.approx((15, 20))
    # The first round already has it.
    (trial,) = annotations_to_reach(rows, 0.1, interpolate=True).trials
    assert trial["annotations"] == 10


def test_never_reached_counts_with_the_last_round():
    rows = records({"a": [[0.1, 0.9, 0.9], [0.1, 0.2, 0.3], [0.1, 0.2, 0.9]]})
    result = annotations_to_reach(rows, 0.9)
    assert [row["reached"] for row in result.trials] == [True, False, True]
    assert [row["annotations"] for row in result.trials] == [20, 30, 30]
    (summary,) = result.summary
    assert (summary["n_trials"], summary["n_reached"]) == (3, 2)
    assert summary["annotations_mean"] == pytest.approx(80 / 3)
    assert summary["annotations_std"] == pytest.approx(np.std([20, 30, 30], ddof=1))
    # Sorted they are 20, 30, never.
    assert summary["annotations_median"] == 30
    assert summary["labeled_data_mean"] == pytest.approx(130 / 3)
    # The mean of the curves ends at 0.7.
    assert math.isnan(summary["annotations_of_mean_curve"])
    (summary,) = annotations_to_reach(rows, 0.7).summary
    assert summary["annotations_of_mean_curve"] == 30
    assert summary["labeled_data_of_mean_curve"] == 50
    # One of two: the median lies between 20 and never.
    (summary,) = annotations_to_reach(rows[:6], 0.9).summary
    assert summary["annotations_median"] == math.inf


def test_target_of_a_percentage_does_not_fail_by_rounding():
    rows = records({"a": [[0.1, 0.2, 0.9904]]})
    assert annotations_to_reach(rows, 99.04 / 100).trials[0]["reached"]


def test_records_of_every_kind_and_without_labeled_data():
    pd = pytest.importorskip("pandas")
    rows = records({"a": [[0.1, 0.2, 0.9]], "b": [[0.1, 0.5, 0.9]]})
    expected = annotations_to_reach(rows, 0.5)
    as_text = [
        {k: str(v) for k, v in row.items()} | {"trial": row["trial"]} for row in rows
    ]
    for other in (pd.DataFrame(rows), iter(rows[::-1]), as_text):
        found = annotations_to_reach(other, 0.5)
        assert sorted(found.trials, key=str) == sorted(expected.trials, key=str)
    for row in rows:
        del row["labeled_data"]
    for other in (rows, pd.DataFrame(rows).assign(labeled_data=np.nan)):
        assert math.isnan(annotations_to_reach(other, 0.5).trials[0]["labeled_data"])


# Area


def test_area_is_the_mean_of_the_piecewise_linear_curve():
    # Rounds at uneven distances; the mean over a fine grid is the integral.
    marks, scores = [10, 20, 50], [0.2, 0.8, 0.5]
    rows = records({"a": [scores]}, marks)
    for start, stop in [(None, None), (12, 40), (20, 50), (25, 30)]:
        grid = np.linspace(start or 10, stop or 50, 200_001)
        brute = np.interp(grid, marks, scores).mean()
        found = area_under_curve(rows, start=start, stop=stop).trials[0]["area"]
        assert found == pytest.approx(brute, abs=1e-5)


def test_areas_share_the_range_that_all_trials_cover():
    rows = records({"a": [[0.5, 0.5, 0.5]], "b": [[0.9, 0.9, 0.9]]})
    rows += records({"c": [[0.0, 1.0]]}, [15, 25])
    result = area_under_curve(rows)
    assert {(row["start"], row["stop"]) for row in result.trials} == {(15, 25)}
    # c rises from 0 to 1 there, a is 0.5 all the time; the first in the table is first.
    assert [row["strategy"] for row in result.summary] == ["b", "a", "c"]
    assert result.summary[0]["area_mean"] == pytest.approx(0.9)
    assert math.isnan(result.summary[0]["area_std"])


# Annotations saved


def test_saved_at_equal_score_by_hand():
    rows = records(
        {
            "random": [[0.2, 0.4, 0.6], [0.2, 0.5, 0.4]],
            "dfal": [[0.2, 0.6, 0.8], [0.2, 0.3, 0.4]],
        }
    )
    result = annotations_saved(rows, at=[20, 30])
    by_key = {(row["at"], row["trial"]): row for row in result.trials}
    # 0.4 is half-way from 0.2 at 10 to 0.6 at 20.
    assert by_key[20, 0]["annotations"] == pytest.approx(15)
    assert by_key[20, 0]["saved"] == pytest.approx(5)
    assert by_key[30, 0]["saved"] == pytest.approx(10)
    # In trial 1 random's best by 30 is what it had at 20, and dfal never gets there.
    assert by_key[30, 1]["score"] == 0.5
    assert by_key[30, 1]["baseline_annotations"] == 20
    assert not by_key[30, 1]["reached"]
    assert by_key[30, 1]["saved"] == -10
    at_20, at_30 = result.summary
    assert (at_20["n_trials"], at_20["n_reached"]) == (2, 1)
    assert at_30["saved_mean"] == pytest.approx(0)
    assert at_30["saved_median"] == -math.inf
    assert at_20["saved_fraction"] == pytest.approx((5 - 10) / 2 / 20)


def test_a_strategy_saves_nothing_against_its_twin():
    rng = np.random.default_rng(0)
    trials = np.sort(rng.random((3, 3)), axis=1).tolist()
    result = annotations_saved(records({"random": trials, "same": trials}), at=[13, 30])
    assert [row["saved"] for row in result.trials] == pytest.approx([0] * 6)
    assert (
        annotations_saved(records({"random": trials, "same": trials})).summary[0]["at"]
        == 30
    )


@pytest.mark.filterwarnings("error")
def test_there_is_no_share_of_no_annotations():
    rows = records({"random": [[0.1, 0.2]], "dfal": [[0.1, 0.2]]}, [0, 10])
    none, all_ = annotations_saved(rows, at=[0, 10]).summary
    assert none["saved_mean"] == 0
    assert math.isnan(none["saved_fraction"])
    assert all_["saved_fraction"] == 0


# Paired difference


def scores_at_one_mark(a, b):
    return records({"a": [[s] for s in a], "b": [[s] for s in b]}, [100])


@pytest.mark.parametrize("n_trials", [2, 3, 5, 8])
def test_p_values_and_interval_by_enumeration_and_textbook(n_trials):
    rng = np.random.default_rng(n_trials)
    a, b = rng.random((2, n_trials))
    a += 0.2
    d = a - b
    result = paired_difference(scores_at_one_mark(a, b), "a", "b", confidence=0.9)
    np.testing.assert_allclose(result.differences, d)
    assert result.n_trials == n_trials
    flips = [np.mean(d * s) for s in itertools.product([1, -1], repeat=n_trials)]
    share = np.mean(np.abs(flips) >= abs(d.mean()) - 1e-12)
    assert result.p_value_sign_flip == pytest.approx(share)
    half = stats.t.ppf(0.95, n_trials - 1) * d.std(ddof=1) / np.sqrt(n_trials)
    np.testing.assert_allclose(
        [result.low, result.difference, result.high],
        [d.mean() - half, d.mean(), d.mean() + half],
    )
    assert result.p_value_t == pytest.approx(stats.ttest_rel(a, b).pvalue)


def test_sign_flips_of_accuracies_tie():
    """Accuracies are on a grid, so that flips often have the same mean: all count."""
    points = np.array([1, 4, -4, -2, 6, 5, -6, -6])
    flips = np.array(list(itertools.product([1, -1], repeat=8)))
    share = np.mean(np.abs(flips @ points) >= abs(points.sum()))
    a, b = (80 + points) / 100, np.full(8, 0.8)
    result = paired_difference(scores_at_one_mark(a, b), "a", "b")
    assert result.p_value_sign_flip == pytest.approx(share)


def test_five_trials_cannot_get_below_their_least_p_value():
    a, b = np.arange(5) / 10 + 0.3, np.arange(5) / 20
    result = paired_difference(scores_at_one_mark(a, b), "a", "b")
    assert result.p_value_sign_flip == pytest.approx(2 / 2**5)


def test_many_trials_are_sampled_and_reproducible():
    rng = np.random.default_rng(0)
    rows = scores_at_one_mark(rng.random(16) + 0.1, rng.random(16))
    one, two = (paired_difference(rows, "a", "b") for _ in range(2))
    assert one.p_value_sign_flip == two.p_value_sign_flip
    assert 0 < one.p_value_sign_flip <= 1
    # Where differences are about normal, the two tests are close.
    assert one.p_value_sign_flip == pytest.approx(one.p_value_t, abs=0.05)


def test_equal_differences():
    # Equal but for rounding: 0.8 - 0.55 is not quite 0.25.
    rows = scores_at_one_mark([0.5, 0.8], [0.25, 0.55])
    result = paired_difference(rows, "a", "b")
    assert (result.low, result.high) == pytest.approx((0.25, 0.25))
    assert result.p_value_t == 0
    result = paired_difference(rows, "a", "a")
    assert (result.low, result.high, result.p_value_t) == (0, 0, 1)
    assert result.p_value_sign_flip == 1


def test_marks_area_and_unpaired_trials():
    rows = records({"a": [[0.2, 0.6, 0.8]] * 2, "b": [[0.2, 0.4, 0.4]] * 3})
    assert paired_difference(rows, "a", "b").annotations == 30
    assert paired_difference(rows, "a", "b").trials == [0, 1]
    at_15 = paired_difference(rows, "a", "b", annotations=15)
    assert at_15.difference == pytest.approx(0.4 - 0.3)
    of_area = paired_difference(rows, "a", "b", annotations="area")
    areas = {
        row["strategy"]: row["area_mean"] for row in area_under_curve(rows).summary
    }
    assert of_area.difference == pytest.approx(areas["a"] - areas["b"])
    # Exchanged, all signs change.
    other = paired_difference(rows, "b", "a")
    assert other.difference == -paired_difference(rows, "a", "b").difference


TWO = records({"a": [[0.1, 0.2, 0.3]] * 2, "random": [[0.1, 0.2, 0.3]] * 2})
ONE_EACH = records({"a": [[0.1, 0.2, 0.3]], "random": [[0.1, 0.2, 0.3]]})
LATER = [{**row, "annotations": row["annotations"] + 30} for row in TWO]
NO_OVERLAP = TWO[:6] + LATER[6:]  # the trials of a, and later those of random
ONE_LATER = TWO[:9] + LATER[9:]
BEGINS = "do not overlap: one begins at 40, but another has already ended at 30"
APART = ONE_EACH[:3] + [{**row, "trial": 7} for row in ONE_EACH[3:]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: annotations_to_reach([], 0.5), "records is empty"),
        (lambda: annotations_to_reach(TWO, 99.04), "scores are fractions, at most 0.3"),
        (lambda: annotations_to_reach(TWO, np.nan), "target"),
        (lambda: annotations_to_reach(TWO + TWO[:1], 0.1), "two rows at annotations="),
        (lambda: annotations_to_reach([{"strategy": "a"}], 0.1), "no key 'trial'"),
        (lambda: annotations_saved(TWO, "egl"), "baseline='egl' is not in records"),
        (lambda: annotations_saved(TWO[:6], "a"), "no strategy to compare"),
        (lambda: annotations_saved(APART), "none in common"),
        (lambda: annotations_saved(TWO, at=5), r"at=5 should be .*\[10, 30\]"),
        (lambda: area_under_curve(TWO, start=30), "The range 30 to 30"),
        (
            lambda: area_under_curve(TWO, stop=31),
            "10 to 31 should not be empty, and should be within 10 to 30",
        ),
        (
            lambda: paired_difference(ONE_EACH, "a"),
            "one trial in common, 0: .* two",
        ),
        (lambda: area_under_curve(NO_OVERLAP), BEGINS),
        (lambda: paired_difference(NO_OVERLAP, "a"), BEGINS),
        (lambda: annotations_saved(ONE_LATER), BEGINS),
        (lambda: paired_difference(TWO, "egl"), "strategy='egl' is not in"),
        (lambda: paired_difference(TWO, "a", annotations=40), "annotations=40 is not"),
        (lambda: paired_difference(TWO, "a", annotations="auc"), "'annotations' param"),
        (lambda: paired_difference(TWO, "a", confidence=95), "'confidence' parameter"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
