"""scikit-activeml's strategies by the adapter: what they ask for, wherever they run."""

import sys

import numpy as np
import pytest
from modAL.models import ActiveLearner

from skdfal import (
    ActiveLearningClassifier,
    entropy_sampling,
    features,
    from_skactiveml,
    k_center_greedy,
    margin_sampling,
)
from tests.conftest import N_CLASSES, make_net

theirs = pytest.importorskip("skactiveml.pool")

WITHOUT_LABELS = ["UncertaintySampling", "Badge", "TypiClust", "CoreSet", "Falcun"]


@pytest.mark.parametrize(
    ("method", "ours"),
    [("entropy", entropy_sampling), ("margin_sampling", margin_sampling)],
)
def test_uncertainty_is_that_of_the_net(method, ours, estimators, pool):
    query = from_skactiveml(theirs.UncertaintySampling(method=method))
    found = query(estimators["net"], pool, 6, random_state=0)
    assert found.tolist() == ours(estimators["net"], pool, 6).tolist()


def test_covers_features_beside_what_is_labelled(estimators, pool, data):
    net, X, y = estimators["net"], data[0][:20], data[1][:20]
    query = from_skactiveml(theirs.CoreSet())
    found = query(net, pool, 5, X_labeled=X, y_labeled=y, random_state=0)
    expected = k_center_greedy(features(net, pool), 5, X_labeled=features(net, X))
    assert found.tolist() == expected.centers.tolist()


@pytest.mark.parametrize("name", WITHOUT_LABELS)
def test_queries_are_distinct_and_follow_the_seed(name, estimators, pool):
    strategy = getattr(theirs, name)()
    query = from_skactiveml(strategy)
    first, again = (query(estimators["net"], pool, 7, random_state=3) for _ in range(2))
    assert len(set(first.tolist())) == 7
    assert first.tolist() == again.tolist()
    assert strategy.random_state is None
    few = query(estimators["net"], pool, 4, n_candidates=4, random_state=1)
    assert len(set(few.tolist())) == 4


def test_strategies_within_strategies_follow_the_seed(estimators, pool):
    nested = theirs.SubSamplingWrapper(theirs.RandomSampling(), max_candidates=0.9)
    query = from_skactiveml(nested)
    first, again = (query(estimators["net"], pool, 7, random_state=3) for _ in range(2))
    assert first.tolist() == again.tolist()
    assert nested.query_strategy.random_state is None


def test_runs_in_the_loop_and_in_modal(estimators, data, pool):
    query = from_skactiveml(theirs.TypiClust())
    learner = ActiveLearningClassifier(
        make_net(), query, max_annotations=16, n_instances=3, random_state=0
    )
    learner.fit(*data)
    assert [row["annotations"] for row in learner.history_][-1] == 16
    taught = ActiveLearner(estimators["net"], query)
    taught.X_training, taught.y_training = data[0][:10], data[1][:10]
    indices, _ = taught.query(pool, n_instances=3)
    assert len(set(indices)) == 3


class Remembers:
    """A strategy that keeps what it was asked with, and answers as it is told."""

    def __init__(self, answer=None):
        self.answer, self.seen = answer, []

    def get_params(self, deep=True):
        return {"answer": self.answer}

    def __sklearn_clone__(self):
        return self

    def set_params(self, **params):
        assert not params

    def query(self, X, y, batch_size=1):
        self.seen.append(y)
        return (
            np.flatnonzero(np.isnan(y))[:batch_size] if not self.answer else self.answer
        )


@pytest.mark.parametrize("missing_label", [1, -1])
@pytest.mark.parametrize("name", ["RandomSampling", "CoreSet"])
def test_missing_labels_are_those_of_the_pool(
    name, missing_label, estimators, pool, data
):
    net, (X, y) = estimators["net"], data
    given = {"X_labeled": X[:20], "y_labeled": y[:20], "random_state": 0}
    strategy = getattr(theirs, name)
    found = from_skactiveml(strategy(missing_label=missing_label))(
        net, pool, 5, **given
    )
    expected = from_skactiveml(strategy())(net, pool, 5, **given)
    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("answer", [[0, 21], [20, 20], [20], [20, 99]])
def test_what_a_strategy_finds_is_of_the_pool_and_distinct(
    answer, estimators, pool, data
):
    """Rows 0 to 19 are labelled, 20 to 59 the pool."""
    query = from_skactiveml(Remembers(answer))
    with pytest.raises(ValueError, match=r"Remembers returned .* expected 2\."):
        query(
            estimators["net"], pool, 2, X_labeled=data[0][:20], y_labeled=data[1][:20]
        )


def test_labels_taught_by_modal_are_outputs_of_the_net(data, pool):
    strategy = Remembers()
    taught = np.flatnonzero(data[1] > 0)[:10]
    X, y = data[0][taught], data[1][taught]
    learner = ActiveLearner(make_net(), from_skactiveml(strategy), X, y)
    learner.query(pool, n_instances=2)
    np.testing.assert_array_equal(strategy.seen[0][:10], y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0], r"y_labeled has shape \(1,\), but X_labeled has 6 samples"),
        (1, r"y_labeled has shape \(\)"),
        ([0, 1, 2], r"y_labeled has shape \(3,\)"),
        ([[0], [1], [0], [1], [0], [1]], r"y_labeled has shape \(6, 1\)"),
        ([0, 1, 0, 1, 0, np.nan], rf"y_labeled holds .*nan.* 0 to {N_CLASSES - 1}"),
        ([0, 1, 0, 1, 0, N_CLASSES], "y_labeled holds"),
        ([0, 1, 0, 1, 0, -1], "y_labeled holds"),
        ([0, 1, 0, 1, 0, 0.5], "y_labeled holds"),
        (list("aabbab"), r"y_labeled holds \['a', 'b'\]"),
    ],
)
def test_labels_that_are_no_outputs_of_the_net(y, message, estimators, pool):
    query = from_skactiveml(theirs.RandomSampling())
    with pytest.raises(ValueError, match=message):
        query(estimators["net"], pool, 2, X_labeled=pool[:6], y_labeled=y)


def test_what_it_cannot_give_is_refused(estimators, pool):
    with pytest.raises(TypeError, match=r"QueryByCommittee requires .*ensemble"):
        from_skactiveml(theirs.QueryByCommittee())
    with pytest.raises(ValueError, match="strategy"):
        from_skactiveml(entropy_sampling)
    query = from_skactiveml(theirs.CoreSet())
    with pytest.raises(ValueError, match="without y_labeled"):
        query(estimators["net"], pool, 2, X_labeled=pool[:3])
    with pytest.raises(ValueError, match="without X_labeled"):
        query(estimators["net"], pool, 2, y_labeled=[0, 1])
    with pytest.raises(TypeError, match=r"Pass an instance of it, such as CoreSet\(\)"):
        from_skactiveml(theirs.CoreSet)


def test_without_scikit_activeml(monkeypatch):
    strategy = theirs.CoreSet()
    monkeypatch.setitem(sys.modules, "skactiveml", None)
    with pytest.raises(ImportError, match="needs scikit-activeml"):
        from_skactiveml(strategy)
