"""CEAL: asks for the doubtful, believes the sure, for one training at a time."""

import numpy as np
import pytest
from imblearn.pipeline import make_pipeline as make_imbalanced_pipeline
from modAL.models import ActiveLearner, Committee
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import skdfal
from skdfal import (
    ActiveLearningClassifier,
    AdversarialAugmenter,
    PseudoLabelAugmenter,
    ceal_pseudo_labels,
    ceal_sampling,
    entropy_sampling,
    entropy_score,
)
from tests.conftest import make_net

NAMES = np.array(["ant", "bee", "cat", "dog"])


@parametrize_with_checks([PseudoLabelAugmenter()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture
def table(data):
    return data[0].reshape(160, 64), data[1]


@pytest.mark.parametrize("kind", ["net", "pipeline", "learner", "committee"])
def test_queries_the_highest_entropy(kind, estimators, pool):
    np.testing.assert_array_equal(
        ceal_sampling(estimators[kind], pool, 7),
        entropy_sampling(estimators[kind], pool, 7),
    )


@pytest.mark.parametrize("kind", ["net", "pipeline", "learner", "committee"])
def test_labels_what_is_sure_as_it_predicts(kind, estimators, pool):
    entropy = entropy_score(estimators[kind], pool)
    threshold = np.sort(entropy)[20]
    indices, labels = ceal_pseudo_labels(estimators[kind], pool, threshold=threshold)
    # Strictly below the threshold, which is itself the entropy of one sample.
    np.testing.assert_array_equal(indices, np.flatnonzero(entropy < threshold))
    assert len(indices) == 20
    predicted = estimators[kind].predict(pool[indices])
    np.testing.assert_array_equal(labels, predicted)


def test_block_by_block_the_pseudo_labels_are_the_same(table, monkeypatch):
    clf = LogisticRegression().fit(*table)
    whole = ceal_pseudo_labels(clf, table[0], threshold=0.3)
    assert 0 < len(whole[0]) < 160
    monkeypatch.setattr("skdfal.adapter._answers._ROWS_A_BLOCK", 7)
    by_block = ceal_pseudo_labels(clf, table[0], threshold=0.3)
    for found, expected in zip(by_block, whole, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_nothing_is_below_zero(estimators, pool):
    indices, labels = ceal_pseudo_labels(estimators["net"], pool, threshold=0)
    assert len(indices) == len(labels) == 0


def named(data):
    X, y = data[0].reshape(160, 64), NAMES[data[1]]
    return X, y


PREDICTORS = {
    "classifier": lambda X, y: LogisticRegression().fit(X, y),
    "pipeline": lambda X, y: make_pipeline(StandardScaler(), LogisticRegression()).fit(
        X, y
    ),
    "search": lambda X, y: GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=2).fit(
        X, y
    ),
    "learner": lambda X, y: ActiveLearner(
        LogisticRegression(), X_training=X, y_training=y
    ),
    "committee": lambda X, y: Committee(
        [ActiveLearner(LogisticRegression(), X_training=X, y_training=y)]
    ),
    "loop": lambda X, y: ActiveLearningClassifier(
        max_annotations=20, random_state=0
    ).fit(X, y),
}


@pytest.mark.parametrize("name", PREDICTORS)
def test_labels_have_the_names_that_predict_gives(name, data):
    X, y = named(data)
    clf = PREDICTORS[name](X, y)
    indices, labels = ceal_pseudo_labels(clf, X, threshold=10)
    assert len(indices) == 160
    np.testing.assert_array_equal(labels, clf.predict(X))


def test_a_net_names_classes_by_number_even_if_it_missed_some(data, pool):
    """skorch's ``classes_`` are those seen in training; its answers are columns."""
    X, y = data
    seen = np.flatnonzero(y != 1)[:40]
    net = make_net().fit(X[seen], y[seen])
    assert list(net.classes_) == [0, 2, 3]
    _, labels = ceal_pseudo_labels(net, pool, threshold=10)
    np.testing.assert_array_equal(labels, net.predict(pool))


def test_fit_resample(data):
    X, y = named(data)
    y_some = y.copy()
    y_some[30:] = "?"
    augmenter = PseudoLabelAugmenter(
        LogisticRegression(), threshold=0.9, missing_label="?"
    )
    X_more, y_more = augmenter.fit_resample(X, y_some)
    clf = LogisticRegression().fit(X[:30], y[:30])
    sure = 30 + np.flatnonzero(entropy_score(clf, X[30:]) < 0.9)
    assert 0 < len(sure) < 130
    # The labelled samples are there as they were, then the sure, in their order.
    np.testing.assert_array_equal(X_more, np.concatenate([X[:30], X[sure]]))
    np.testing.assert_array_equal(y_more[:30], y[:30])
    np.testing.assert_array_equal(y_more[30:], clf.predict(X[sure]))
    np.testing.assert_array_equal(augmenter.classes_, NAMES)


def test_fit_resample_with_a_net_and_gaps_in_the_labels(data):
    """Labels 0, 20, 30, 70 are codes to the net and come back as they were."""
    X, y = data[0], np.array([0, 20, 30, 70])[data[1]]
    some = np.where(np.arange(160) < 60, y, -1)
    X_more, y_more = PseudoLabelAugmenter(make_net(), threshold=2.0).fit_resample(
        X, some
    )
    assert len(X_more) == len(y_more) > 60
    assert set(y_more) <= {0, 20, 30, 70}


def test_all_labelled_stays_as_it_is(table):
    X, y = table
    X_same, y_same = PseudoLabelAugmenter(LogisticRegression()).fit_resample(X, y)
    np.testing.assert_array_equal(X_same, X)
    np.testing.assert_array_equal(y_same, y)


def test_prefit_predicts_as_it_is(estimators, data):
    X, y = data[0], np.where(np.arange(160) < 60, data[1], -1)
    augmenter = PseudoLabelAugmenter(estimators["net"], prefit=True, threshold=10)
    _, y_more = augmenter.fit_resample(X, y)
    np.testing.assert_array_equal(y_more[60:], estimators["net"].predict(X[60:]))
    assert augmenter.estimator_ is estimators["net"]
    names = np.where(y >= 0, NAMES[y], "?")
    with pytest.raises(ValueError, match=r"labels such as .* of the same kind"):
        clone(augmenter).set_params(
            estimator=estimators["net"], missing_label="?"
        ).fit_resample(X, names)


def test_step_of_an_imbalanced_pipeline(table):
    X, y = table
    some = np.where(np.arange(160) < 30, y, -1)
    pipeline = make_imbalanced_pipeline(
        StandardScaler(),
        PseudoLabelAugmenter(LogisticRegression(), threshold=0.4),
        LogisticRegression(),
    )
    assert pipeline.fit(X, some).score(X, y) > 0.9
    assert set(pipeline.classes_) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("params", "y", "error", "message"),
    [
        ({}, [-1] * 4, ValueError, "0 class"),
        ({}, [-1, 2, 2, -1], ValueError, "1 class"),
        ({}, None, ValueError, "requires y"),
        ({"prefit": True}, [0, 1, -1, -1], NotFittedError, "estimator is None"),
        ({"threshold": -1}, [0, 1, -1, -1], ValueError, "threshold"),
        ({"decay": -1}, [0, 1, -1, -1], ValueError, "decay"),
    ],
)
def test_bad_input(params, y, error, message):
    with pytest.raises(error, match=message):
        PseudoLabelAugmenter(**params).fit(np.eye(4), y)


# In the loop


class Listening(PseudoLabelAugmenter):
    """Remembers what it was asked and what it answered."""

    log: list = []

    def augment(self, estimator, X, y, X_pool, n_round):
        X_new, y_new = super().augment(estimator, X, y, X_pool, n_round)
        self.log.append((estimator, X_pool, n_round, X_new, y_new))
        return X_new, y_new


def run(X, y, **params):
    settings = {
        "estimator": make_net(max_epochs=10, lr=0.03),
        "n_initial": 20,
        "n_instances": 10,
        "max_annotations": 50,
        "random_state": 0,
    }
    return ActiveLearningClassifier(**settings | params).fit(X, y)


def test_the_account_of_a_ceal_run(data):
    X, y = data
    Listening.log.clear()
    clf = run(
        X, y, query_strategy="ceal", augmenter=Listening(threshold=1.2, decay=0.1)
    )
    assert [n_round for _, _, n_round, _, _ in Listening.log] == [0, 1, 2]
    counts = [len(entry[4]) for entry in Listening.log]
    assert max(counts) > 0
    # The whole rest of the pool is looked at: nothing pseudo-labelled has left it.
    assert [len(entry[1]) for entry in Listening.log] == [130, 120, 110]
    for estimator, X_pool, n_round, X_new, y_new in Listening.log:
        sure = entropy_score(estimator, X_pool) < 1.2 - 0.1 * n_round
        np.testing.assert_array_equal(X_new, X_pool[sure])
        np.testing.assert_array_equal(y_new, estimator.predict(X_pool)[sure])
    # Pseudo-labels count as training samples of the one training that follows, ...
    assert [row["annotations"] for row in clf.history_] == [20, 30, 40, 50]
    assert [row["labeled_data"] for row in clf.history_] == [
        20,
        30 + counts[0],
        40 + counts[1],
        50 + counts[2],
    ]
    # ... and are gone in the end.
    np.testing.assert_array_equal(clf.y_train_, y[clf.annotated_indices_])


def test_by_name_with_parameters_for_the_pseudo_labels(data):
    own = run(
        *data, query_strategy="ceal", query_params={"threshold": 1.2, "decay": 0.1}
    )
    given = run(
        *data,
        query_strategy="ceal",
        augmenter=PseudoLabelAugmenter(threshold=1.2, decay=0.1),
    )
    counts = [row["labeled_data"] for row in own.history_]
    assert counts == [row["labeled_data"] for row in given.history_]
    assert max(np.subtract(counts, [20, 30, 40, 50])) > 0
    # With a given augmenter they would go nowhere, so they are refused.
    with pytest.raises(ValueError, match="'threshold', but ceal takes"):
        run(
            *data,
            query_strategy="ceal",
            augmenter=[],
            query_params={"threshold": 1.0},
        )
    with pytest.raises(ValueError, match="'prefit'"):
        run(*data, query_strategy="ceal", query_params={"prefit": True})


def test_a_threshold_that_has_decayed_to_zero_labels_nothing(data):
    clf = run(*data, query_strategy="ceal", query_params={"threshold": 0.0})
    assert [row["labeled_data"] for row in clf.history_] == [20, 30, 40, 50]
    augmenter = PseudoLabelAugmenter(threshold=1.0, decay=0.5)
    X, y = data
    _, labels = augmenter.augment(clf.estimator_, X[:1], y[:1], X, 5)
    assert len(labels) == 0


def test_pool_that_is_used_up(data):
    clf = run(
        data[0][:40],
        data[1][:40],
        query_strategy="ceal",
        max_annotations=100,
        query_params={"threshold": 2.0},
    )
    assert clf.termination_condition_ == "pool_exhausted"
    assert clf.history_[-1]["labeled_data"] == 40


def test_dfal_and_ceal_together(data):
    clf = run(
        *data,
        query_strategy="dfal",
        augmenter=[AdversarialAugmenter(), PseudoLabelAugmenter(threshold=1.2)],
    )
    counts = np.array([row["labeled_data"] for row in clf.history_])
    # Ten annotated samples and their twins per round stay; pseudo-labels come on top.
    assert (counts >= [20, 40, 60, 80]).all()
    assert (counts > [20, 40, 60, 80]).any()
    assert len(clf.X_train_) == 80


def test_any_classifier_in_the_loop(data):
    X, y = named(data)
    clf = run(
        X,
        y,
        estimator=LogisticRegression(),
        query_strategy="ceal",
        query_params={"threshold": 0.5},
    )
    assert clf.score(X, y) > 0.9


def test_public_names():
    assert skdfal.PseudoLabelAugmenter is PseudoLabelAugmenter
    assert not PseudoLabelAugmenter.is_lasting


def test_a_longer_name_of_a_fitted_estimator_stays_whole():
    X = np.array([[-1.0], [1.0], [-9.0], [9.0]])
    y = np.array(["cat", "dog", "?", "?"])
    clf = LogisticRegression().fit([[-5.0], [5.0]], ["giraffe", "dog"])
    augmenter = PseudoLabelAugmenter(clf, prefit=True, missing_label="?")
    _, y_more = augmenter.fit_resample(X, y)
    assert y_more.tolist() == ["cat", "dog", "giraffe", "dog"]
