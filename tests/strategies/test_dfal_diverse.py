"""Diverse DFAL: the objective keeps its derivation, the search keeps its bound."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skdfal import (
    ActiveLearningClassifier,
    deepfool_margin_score,
    dfal,
    dfal_diverse_sampling,
)
from skdfal.strategies._dfal_diverse import _greedy, _Information
from tests.conftest import make_net
from tests.reference.baselines import log_det_information


@st.composite
def problems(draw, n_samples=7):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    margin = np.sort(rng.exponential(size=n_samples))
    features = rng.normal(size=(n_samples, 3))
    if draw(st.booleans()):
        features[1] = features[0]  # a copy
    if draw(st.booleans()):
        margin[-1] = np.inf
    return margin, features, draw(st.sampled_from([0.1, 1.0, 10.0, 1000.0]))


def matrix(objective, n_samples=7):
    return np.stack([objective.column(j) for j in range(n_samples)])


@given(problems())
@settings(max_examples=60, deadline=None)
def test_objective_is_monotone_and_submodular(problem):
    objective = _Information(*problem)
    L, δ = matrix(objective), problem[2]
    # The kernel is symmetric, positive semi-definite, with diagonal q².
    np.testing.assert_allclose(L, L.T)
    assert np.linalg.eigvalsh(L).min() > -1e-12
    np.testing.assert_allclose(np.diag(L), objective.variance)

    def F(S):
        return log_det_information(L, S, δ) if S else 0.0

    for A in ((), (0,), (2, 3)):
        for more in ((), (4,), (4, 5)):
            B = A + more
            gain = {S: F((*S, 1)) - F(S) for S in (A, B)}
            # F(A ∪ {x}) >= F(A), and A ⊆ B gains at least as much from x as B.
            assert gain[A] >= -1e-9
            assert gain[A] >= gain[B] - 1e-9


@given(problems())
@settings(max_examples=60, deadline=None)
def test_gains_are_those_of_the_determinant(problem):
    objective = _Information(*problem)
    L, δ = matrix(objective), problem[2]
    S = []
    for j in (3, 0, 5, 1):
        gain = np.log1p(δ * objective.variance[j]) / δ
        before = log_det_information(L, S, δ) if S else 0.0
        S.append(j)
        np.testing.assert_allclose(
            gain, log_det_information(L, S, δ) - before, rtol=1e-5, atol=1e-9
        )
        objective.add(j)


@given(problems(), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_greedy_keeps_its_bound(problem, k):
    """Greedy has at least 1 - 1/e of the best F, by brute force."""
    objective = _Information(*problem)
    L, δ = matrix(objective), problem[2]
    S = _greedy(_Information(*problem), k)
    assert len(set(S.tolist())) == k
    best = max(log_det_information(L, T, δ) for T in combinations(range(7), k))
    assert log_det_information(L, S, δ) >= (1 - 1 / np.e) * best - 1e-12


@given(problems(), st.integers(1, 7))
@settings(max_examples=30, deadline=None)
def test_without_diversity_the_margins_decide(problem, k):
    S = _greedy(_Information(problem[0], problem[1], 0.0), k)
    np.testing.assert_array_equal(S, np.arange(k))


def test_no_unit_is_left():
    rng = np.random.default_rng(0)
    margin, features = np.sort(rng.random(30)), rng.normal(size=(30, 4))
    plain = _greedy(_Information(margin, features, 10.0), 8)
    scaled = _greedy(_Information(1e-4 * margin, 1e3 * features + 5, 10.0), 8)
    np.testing.assert_array_equal(plain, scaled)


def test_a_copy_is_passed_over():
    margin = np.array([0.10, 0.11, 0.12, 0.13])
    features = np.array([[0.0], [0.0], [0.0], [9.0]])
    assert _greedy(_Information(margin, features, 10.0), 2).tolist() == [0, 3]


@pytest.mark.parametrize("margin", [np.zeros(5), np.full(5, np.inf)])
def test_margins_that_are_all_the_same(margin):
    S = _greedy(_Information(margin, np.zeros((5, 2)), 10.0), 5)
    assert sorted(S.tolist()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("kind", ["net", "pipeline", "learner", "committee"])
def test_is_dfal_for_one_instance_or_without_diversity(kind, estimators, pool):
    estimator = estimators[kind]
    np.testing.assert_array_equal(
        dfal_diverse_sampling(estimator, pool, 1), dfal(estimator, pool, 1)
    )
    np.testing.assert_array_equal(
        dfal_diverse_sampling(estimator, pool, 7, diversity=0), dfal(estimator, pool, 7)
    )
    np.testing.assert_array_equal(
        np.sort(dfal_diverse_sampling(estimator, pool, 7, shortlist=1)),
        np.sort(dfal(estimator, pool, 7)),
    )


def test_chooses_from_the_shortlist(estimators, pool):
    score = deepfool_margin_score(estimators["net"], pool)
    near = np.argsort(-score, kind="stable")[:10]
    found = dfal_diverse_sampling(
        estimators["net"], pool, 5, shortlist=2, diversity=1e6
    )
    assert set(found) <= set(near)
    assert found[0] == near[0]


def test_copies_in_the_pool(estimators, pool):
    """DFAL spends a batch on copies of one picture; this does not."""
    score = deepfool_margin_score(estimators["net"], pool)
    nearest = pool[[score.argmax()]]
    X = np.concatenate([np.repeat(nearest, 5, axis=0), pool])
    copies = {0, 1, 2, 3, 4, 5 + int(score.argmax())}
    plain = set(dfal(estimators["net"], X, 5).tolist())
    diverse = set(dfal_diverse_sampling(estimators["net"], X, 5).tolist())
    assert len(plain & copies) == 5
    assert len(diverse & copies) < 5


def test_by_name_with_twins(data):
    clf = ActiveLearningClassifier(
        make_net(max_epochs=10),
        "dfal_diverse",
        max_annotations=30,
        random_state=0,
        query_params={"diversity": 3.0, "overshoot": 0.05},
    ).fit(*data)
    assert len(clf.annotated_indices_) == 30
    assert len(clf.X_train_) > 30
