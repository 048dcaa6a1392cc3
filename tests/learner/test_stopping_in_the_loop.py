"""Stopping rules where they are used: in the loop, in the session, after a kill."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skdfal import ActiveLearningClassifier, LabelingSession
from skdfal.learner import SmallestMargin, StabilizingPredictions

BUDGET = {
    "query_strategy": "margin",
    "n_initial": 8,
    "n_instances": 4,
    "max_annotations": 80,
    "random_state": 0,
}
RULES = [
    StabilizingPredictions(threshold=0.9, n_kappas=2),
    SmallestMargin(threshold=0.02, n_rounds=2),
]
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda r: type(r).__name__)


@pytest.fixture
def table(data):
    return data[0].reshape(len(data[0]), -1), data[1]


def loop(rule, **kwargs):
    return ActiveLearningClassifier(
        LogisticRegression(), stopping=rule, **BUDGET | kwargs
    )


@every_rule
def test_the_loop_stops_where_the_rule_would(rule, table):
    seen = []

    class Listening(type(rule)):
        def update(self, *args):
            seen.append(super().update(*args))
            return seen[-1]

    clf = loop(Listening(**rule.get_params())).fit(*table)
    assert clf.termination_condition_ == "stopping"
    assert len(clf.annotated_indices_) < 80
    assert seen == [False] * (clf.n_iter_ - 1) + [True]
    # What was bought is the beginning of the run without a rule.
    whole = loop(None).fit(*table)
    assert whole.termination_condition_ == "max_annotations"
    n = len(clf.annotated_indices_)
    np.testing.assert_array_equal(whole.annotated_indices_[:n], clf.annotated_indices_)


@every_rule
def test_a_broken_run_stops_where_the_whole_one_does(rule, table, tmp_path):
    whole = loop(rule).fit(*table)

    class PowerCut(Exception):
        pass

    def cut(clf, row):
        if row["annotations"] == whole.history_[-2]["annotations"]:
            raise PowerCut

    path = tmp_path / "run.skdfal"
    with pytest.raises(PowerCut):
        loop(rule, checkpoint=path).fit(*table, monitor=cut)
    resumed = loop(rule, checkpoint=path).fit(*table)
    assert resumed.termination_condition_ == "stopping"
    np.testing.assert_array_equal(resumed.annotated_indices_, whole.annotated_indices_)
    again = loop(rule, checkpoint=path).fit(*table)
    np.testing.assert_array_equal(again.annotated_indices_, whole.annotated_indices_)


def test_the_session_says_so_and_goes_on(table, tmp_path):
    X, y = table
    rule = StabilizingPredictions(threshold=-1, n_kappas=1)  # any two nets will do
    settings = {"estimator": LogisticRegression(), "query_strategy": "margin"}
    path = tmp_path / "labels.skdfal"
    said = []
    for _ in range(3):  # a new session each time
        with LabelingSession(
            X, range(4), stopping=rule, random_state=0, path=path, **settings
        ) as session:
            asked = session.ask(10)
            session.tell(asked, y[asked])
            said.append(session.fit().should_stop_)
    assert said == [False, True, True]
    assert not hasattr(rule, "kappas_")  # the session works on a clone


def test_an_error_leaves_the_rule_as_it_was(table):
    X, y = table

    class Failing(StabilizingPredictions):
        def update(self, *args):
            super().update(*args)
            if len(self.kappas_) == 1:
                raise RuntimeError("no power")

    session = LabelingSession(
        X, range(4), LogisticRegression(), "random", stopping=Failing(), random_state=0
    )
    for _ in range(2):
        asked = session.ask(10)
        session.tell(asked, y[asked])
        if not session.history_:
            session.fit()
    for _ in range(2):  # the second time just as the first
        with pytest.raises(RuntimeError, match="no power"):
            session.fit()
    assert len(session.history_) == 1
