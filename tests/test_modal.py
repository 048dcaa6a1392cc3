"""modAL of today and of tomorrow: the repair, and the two conventions of `query`."""

import warnings

import modAL.models.base
import numpy as np
import pytest
from modAL.models import ActiveLearner, Committee
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_X_y

import skdfal
from skdfal.modal import repair_modal
from skdfal.strategies._base import query_strategy
from tests.conftest import make_net


def test_teach_and_fit_work(data):
    X, y = data[0].reshape(160, -1), data[1]
    learner = ActiveLearner(
        LogisticRegression(), skdfal.random_sampling, X[:20], y[:20]
    )
    learner.teach(X[20:40], y[20:40])
    learner.teach(X[40:50], y[40:50], only_new=True)
    learner.fit(X[:30], y[:30])
    with pytest.raises(ValueError, match="NaN"):
        learner.teach(X[:2] * np.nan, y[:2])
    committee = Committee([learner], query_strategy=skdfal.random_sampling)
    committee.teach(X[60:70], y[60:70])


def test_force_all_finite_keeps_its_meaning(data):
    X, y = data[0].reshape(160, -1).copy(), data[1]

    class TakesAnything(LogisticRegression):
        def fit(self, X, y):
            return super().fit(np.nan_to_num(X), y)

    X[3, 3] = np.nan
    learner = ActiveLearner(
        TakesAnything(), skdfal.random_sampling, force_all_finite=False
    )
    learner.teach(X[:20], y[:20])


def test_the_repair_does_nothing_twice_and_nothing_without_need(monkeypatch):
    before = modAL.models.base.check_X_y
    repair_modal()
    assert modAL.models.base.check_X_y is before

    def old_check_X_y(X, y, force_all_finite=True):
        return X, y

    monkeypatch.setattr("skdfal.modal.check_X_y", old_check_X_y)
    monkeypatch.setattr(modAL.models.base, "check_X_y", old_check_X_y)
    repair_modal()
    assert modAL.models.base.check_X_y is old_check_X_y


class NewerLearner(ActiveLearner):
    """The query of modAL 0.4.2: wants (indices, metrics), else runs again."""

    def query(self, X_pool, *query_args, return_metrics=False, **query_kwargs):
        try:
            indices, metrics = self.query_strategy(
                self, X_pool, *query_args, **query_kwargs
            )
        except Exception:
            metrics = None
            indices = self.query_strategy(self, X_pool, *query_args, **query_kwargs)
        if return_metrics:
            return indices, X_pool[indices], metrics
        return indices, X_pool[indices]


@pytest.mark.parametrize("learner_class", [ActiveLearner, NewerLearner])
@pytest.mark.parametrize("n_instances", [1, 2, 3])
@pytest.mark.parametrize("wrapped", [False, True])
def test_either_query_gets_what_it_wants(learner_class, n_instances, wrapped, data):
    X, y = data
    runs = []

    @query_strategy
    def strategy(estimator, X, n_instances=1):
        runs.append(n_instances)
        return np.arange(n_instances)

    by_way_of = (lambda *a, **k: strategy(*a, **k)) if wrapped else strategy
    learner = learner_class(make_net(max_epochs=1), by_way_of, X[:20], y[:20])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        indices, instances = learner.query(X[20:], n_instances=n_instances)
    assert runs == [n_instances]
    np.testing.assert_array_equal(indices, np.arange(n_instances))
    assert len(instances) == n_instances
    # Called directly, it gives bare indices whatever the learner.
    assert isinstance(strategy(learner, X[20:], 2), np.ndarray)


def test_errors_pass_through_query(data):
    learner = ActiveLearner(make_net(max_epochs=1), skdfal.dfal, *data)
    with pytest.raises(ValueError, match="n_instances=99"):
        learner.query(data[0][:9], n_instances=99)


def test_check_X_y_of_scikit_learn_is_left_alone():
    from sklearn.utils.validation import check_X_y as original

    assert check_X_y is original
