"""Stopping rules, against closed forms and in simulation."""

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score

from skdfal.learner import SmallestMargin, StabilizingPredictions, wilson_interval
from skdfal.learner._stopping import _kappa
from skdfal.nets import MLP, make_classifier
from skdfal.pool import as_pool

# Wilson's interval


@pytest.mark.parametrize(
    ("n_right", "n", "confidence"),
    list(itertools.product([0, 1, 5, 10], [10, 37, 1000], [0.5, 0.9, 0.95, 0.99])),
)
def test_bounds_are_where_the_score_test_turns(n_right, n, confidence):
    """At both bounds p, |n_right / n - p| = z sqrt(p (1 - p) / n)."""
    stats = pytest.importorskip("scipy.stats")
    z = stats.norm.ppf((1 + confidence) / 2)
    bounds = wilson_interval(n_right, n, confidence)
    for p in bounds:
        if 0 < p < 1:
            distance = abs(n_right / n - p)
            assert distance == pytest.approx(z * math.sqrt(p * (1 - p) / n), abs=1e-12)
    expected = stats.binomtest(n_right, n).proportion_ci(confidence, method="wilson")
    assert bounds == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_published_interval():
    """81 of 263: Newcombe (1998, Statistics in Medicine 17) has .2553 to .3662."""
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_interval_is_symmetric_and_shrinks():
    low, high = wilson_interval(3, 10)
    assert wilson_interval(7, 10) == pytest.approx((1 - high, 1 - low))
    widths = [np.subtract(*wilson_interval(9 * k, 10 * k)[::-1]) for k in (1, 2, 9)]
    assert widths == sorted(widths, reverse=True)
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(0, 5)[0] == 0.0
    assert wilson_interval(5, 5)[1] == 1.0


@pytest.mark.parametrize("n", [10, 30, 100])
def test_interval_covers_the_accuracy_of_a_held_out_share(n):
    """In 100 simulated runs, of nets from bad to good, at least 90 cover the truth."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.3, 0.99, 100)
    bounds = [wilson_interval(int(k), n) for k in rng.binomial(n, truth)]
    covered = [low <= p <= high for p, (low, high) in zip(truth, bounds, strict=True)]
    assert sum(covered) >= 90


@pytest.mark.parametrize("n", [20, 60])
def test_mean_coverage_is_what_was_asked_for(n):
    """The exact coverage, averaged over the truth, is within a point of 95 %."""
    k = np.arange(n + 1)
    low, high = np.array([wilson_interval(int(i), n) for i in k]).T
    choose = np.array([math.comb(n, i) for i in k], dtype=float)
    coverages = [
        (choose * p**k * (1 - p) ** (n - k))[(low <= p) & (p <= high)].sum()
        for p in np.linspace(0.01, 0.99, 99)
    ]
    assert np.mean(coverages) == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize(
    "arguments", [(3, 2), (-1, 2), (1.5, 2), (1, 2, 0), (1, 2, 1), (1, 2, 95)]
)
def test_bad_counts(arguments):
    with pytest.raises(ValueError, match=r"n_right|confidence"):
        wilson_interval(*arguments)


# Stabilizing predictions


def test_kappa():
    rng = np.random.default_rng(0)
    for n_classes in (2, 3, 7):
        a = rng.integers(n_classes, size=200)
        b = np.where(rng.random(200) < 0.3, rng.integers(n_classes, size=200), a)
        assert _kappa(a, b) == pytest.approx(cohen_kappa_score(a, b))
    # By hand: agree on 6 of 10; chance 0.5 x 0.5 + 0.5 x 0.5.
    a, b = np.repeat([0, 1], 5), np.array([0, 0, 0, 1, 1, 1, 1, 1, 0, 0])
    assert _kappa(a, b) == pytest.approx((0.6 - 0.5) / 0.5)
    assert _kappa(np.zeros(5), np.zeros(5)) == 1
    assert _kappa(np.zeros(5), np.ones(5)) == 0


class Told(ClassifierMixin, BaseEstimator):
    """Predicts what it was told, of samples that are their own positions."""

    def __init__(self, answers):
        self.answers = np.asarray(answers)
        self.classes_ = np.arange(self.answers.max() + 1)

    def predict_proba(self, X):
        return np.eye(len(self.classes_))[self.answers[X[:, 0].astype(int)]]

    def fit(self, X, y):
        return self

    def __sklearn_is_fitted__(self):
        return True


def test_stops_after_three_kappas_of_which_the_mean_is_high_enough():
    X = np.arange(100.0)[:, None]
    half = np.repeat([0, 1], 50)

    def with_errors(n):
        answers = half.copy()
        answers[:n] = 1
        return Told(answers)

    rule = StabilizingPredictions(threshold=0.9)
    # kappa of n errors beside none is nearly 1 - 2 n / 100
    course = [rule.update(with_errors(n), X, []) for n in (30, 0, 0, 0, 20, 20, 20, 20)]
    assert course == [False] * 7 + [True]
    assert len(rule.kappas_) == 7
    assert rule.kappas_[1] == rule.kappas_[2] == 1
    assert rule.kappas_[0] == pytest.approx(
        cohen_kappa_score(half, with_errors(30).answers)
    )
    assert not hasattr(clone(rule), "kappas_")


def test_stop_set_stays_the_same_when_the_pool_shrinks():
    pool = as_pool(np.arange(500.0)[:, None])
    rule = StabilizingPredictions(n_stop_set=60, random_state=3)
    rule.update(Told(np.arange(500) % 2), pool.view(np.arange(100, 500)), [])
    first = rule.stop_set_[:]
    assert first.shape == (60, 1)
    assert first.min() >= 100
    rule.update(Told(np.arange(500) % 2), pool.view(np.arange(499, 500)), [])
    np.testing.assert_array_equal(rule.stop_set_[:], first)
    assert rule.kappas_ == [1.0]


def test_a_pool_that_is_a_view_brings_the_stop_set_back():
    pool = as_pool(np.arange(500.0)[:, None]).view(np.arange(200, 500))
    rule, again = StabilizingPredictions(n_stop_set=60), StabilizingPredictions()
    rule.update(Told(np.arange(500) % 2), pool.view(np.arange(100, 300)), [])
    again.set_state(rule.get_state(), pool)
    np.testing.assert_array_equal(again.stop_set_[:], rule.stop_set_[:])


def test_classes_that_come_later_are_other_classes():
    """Columns of one that knows 0 and 2 are not those of one that knows 0 and 1."""
    X = np.arange(4.0)[:, None]
    rule = StabilizingPredictions(n_kappas=1)
    before, after = Told([0, 1, 0, 1]), Told([0, 1, 0, 1])
    after.classes_ = np.array([0, 2])
    rule.update(before, X, [])
    assert not rule.update(after, X, [])


def run_until(rule, X, y, *, n_step, n_most):
    """Buy the labels of doubtful samples until a rule says stop.

    Returns how many were bought, and the classifier of that moment.
    """
    labeled = np.random.default_rng(0).permutation(len(X))[:n_step]
    while True:
        net = LogisticRegression().fit(X[labeled], y[labeled])
        free = np.setdiff1d(np.arange(len(X)), labeled)
        is_over = rule.update(net, as_pool(X).view(free), [])
        if is_over or len(labeled) >= n_most:
            return len(labeled), net
        proba = np.sort(net.predict_proba(X[free]), axis=1)
        doubtful = np.argsort(proba[:, -1] - proba[:, -2])[:n_step]
        labeled = np.concatenate([labeled, free[doubtful]])


@pytest.mark.parametrize("rule", [StabilizingPredictions(), SmallestMargin()], ids=repr)
def test_simulation_stops_late_enough_and_early_enough(rule):
    """On an easy problem a rule stops with less than half of the labels, and the
    classifier of that moment is as good as that of all labels, up to two points."""
    X, y = make_blobs(1000, centers=3, cluster_std=1.3, random_state=5)
    n, at_stop = run_until(clone(rule), X, y, n_step=20, n_most=1000)
    assert 60 <= n < 500
    best = LogisticRegression().fit(X, y).score(X, y)
    assert at_stop.score(X, y) >= best - 0.02


def test_simulation_does_not_stop_while_predictions_change():
    """Labels are noise: each classifier predicts something else."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(600, 5)), rng.integers(2, size=600)
    rule = StabilizingPredictions()
    assert run_until(rule, X, y, n_step=20, n_most=400)[0] == 400
    assert max(rule.kappas_) < 0.99


def test_rules_take_nets():
    X, y = make_blobs(60, centers=2, random_state=0)
    X = X.astype(np.float32)
    torch.manual_seed(0)
    net = make_classifier(MLP, n_classes=2, module__n_features=2, max_epochs=5)
    net.fit(X, y)
    weights = [p.clone() for p in net.module_.parameters()]
    for rule in (StabilizingPredictions(n_kappas=1), SmallestMargin(0, n_rounds=1)):
        rule.update(net, X, [])
        assert rule.update(net, torch.from_numpy(X), [])
    for before, after in zip(weights, net.module_.parameters(), strict=True):
        assert torch.equal(before, after)


# The smallest margin


class WithMargins(ClassifierMixin, BaseEstimator):
    """Two classes; the probabilities differ by the sample itself."""

    classes_ = np.arange(2)

    def __init__(self, scale=1.0):
        self.scale = scale

    def predict_proba(self, X):
        margin = self.scale * X[:, 0]
        return np.stack([(1 + margin) / 2, (1 - margin) / 2], axis=1)

    def fit(self, X, y):
        return self

    def __sklearn_is_fitted__(self):
        return True


def test_smallest_margin_must_be_large_in_rounds_one_after_the_other():
    X = np.array([[0.9], [-0.6], [0.8]])
    rule = SmallestMargin(threshold=0.5, n_rounds=2)
    course = [rule.update(WithMargins(s), X, []) for s in (0.5, 1, 0.5, 1, 1, 0.1)]
    assert course == [False, False, False, False, True, False]
    assert rule.margins_ == pytest.approx([0.3, 0.6, 0.3, 0.6, 0.6, 0.06])


def test_smallest_margin_looks_at_some_samples_or_at_all():
    X = np.linspace(0.1, 1, 500)[:, None]
    few, everything = SmallestMargin(n_samples=10), SmallestMargin(n_samples=None)
    few.update(WithMargins(), X, [])
    few.update(WithMargins(), X, [])
    everything.update(WithMargins(), X, [])
    assert everything.margins_ == pytest.approx([0.1])
    assert few.margins_[0] != few.margins_[1]
    assert 0.1 < min(few.margins_)


@pytest.mark.parametrize(
    "rule",
    [
        StabilizingPredictions(threshold=1.5),
        StabilizingPredictions(n_kappas=0),
        StabilizingPredictions(n_stop_set=None),
        SmallestMargin(threshold=-0.1),
        SmallestMargin(n_rounds=2.5),
        SmallestMargin(n_samples=0),
    ],
    ids=repr,
)
def test_bad_parameters_are_named(rule):
    with pytest.raises(ValueError, match="parameter of"):
        rule.update(WithMargins(), np.ones((3, 1)), [])
