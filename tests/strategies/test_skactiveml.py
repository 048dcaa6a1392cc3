"""scikit-activeml's strategies by the adapter: what they ask for, wherever they run."""

import sys

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
from tests.conftest import make_net

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


def test_what_it_cannot_give_is_refused(estimators, pool):
    with pytest.raises(TypeError, match=r"QueryByCommittee asks for .*ensemble"):
        from_skactiveml(theirs.QueryByCommittee())
    with pytest.raises(ValueError, match="strategy"):
        from_skactiveml(entropy_sampling)
    query = from_skactiveml(theirs.CoreSet())
    with pytest.raises(ValueError, match="without y_labeled"):
        query(estimators["net"], pool, 2, X_labeled=pool[:3])


def test_without_scikit_activeml(monkeypatch):
    strategy = theirs.CoreSet()
    monkeypatch.setitem(sys.modules, "skactiveml", None)
    with pytest.raises(ImportError, match="needs scikit-activeml"):
        from_skactiveml(strategy)
