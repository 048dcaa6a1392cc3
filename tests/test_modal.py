"""modAL: its repair, our functions as its strategies, its strategies as ours."""

import os
import subprocess
import sys
import warnings
from functools import partial

import modAL.batch
import modAL.models.base
import numpy as np
import pandas as pd
import pytest
import torch
from modAL.batch import uncertainty_batch_sampling
from modAL.disagreement import vote_entropy_sampling
from modAL.expected_error import expected_error_reduction
from modAL.models import ActiveLearner, Committee
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils import check_X_y

import skdfal
from skdfal import modal
from skdfal.modal import as_learner
from skdfal.nets import make_classifier
from tests.adversarial_nets import small_cnn
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


# In a fresh process each: the order of imports decides what there is to repair.
TEACH = """
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
X, y = load_iris(return_X_y=True)
learner = ActiveLearner(LogisticRegression(), skdfal.entropy_sampling, X[::9], y[::9])
learner.teach(X[:3], y[:3])
learner.fit(X[::3], y[::3])
print(len(learner.query(X, n_instances=4)[0]))
"""


# Old scikit-learn warns of what the new one refuses; modAL compares texts by `is`.
STRICT = ["-W", "error::FutureWarning", "-W", "error::SyntaxWarning"]


ORDERS = (
    "import skdfal\nfrom modAL.models import ActiveLearner",
    "from modAL.models import ActiveLearner\nimport skdfal",
    "import modAL.utils\nimport skdfal\nfrom modAL import ActiveLearner",
)

SWITCHED_OFF = f"""
import os
os.environ["SKDFAL_REPAIR_MODAL"] = "0"
import skdfal
from modAL.models import ActiveLearner
teach = {TEACH!r}
try:
    exec(teach)
except (TypeError, FutureWarning) as error:  # scikit-learn 1.8, and 1.6
    print(error)
skdfal.modal.repair()  # a call asks for it all the same
exec(teach)
"""

# What both import is the slow part, and is done once: each program has a fork of it.
IN_FORKS = """
import gc, os, sys, traceback
import sklearn.datasets, sklearn.ensemble, sklearn.linear_model, skorch
gc.freeze()
for code in sys.argv[1:]:
    if os.fork() == 0:
        try:
            exec(code, {"__name__": "__main__"})
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(0)
    os.wait()
"""


def run_python(*arguments):
    command = [sys.executable, *STRICT, "-c", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def lines():
    """What the programs print, and what went wrong."""
    programs = [*(imports + TEACH for imports in ORDERS), SWITCHED_OFF]
    if hasattr(os, "fork"):
        out, err = run_python(IN_FORKS, *programs)
    else:
        out, err = map("".join, zip(*map(run_python, programs), strict=True))
    return out.splitlines(), err


def test_any_order_of_imports(lines):
    out, err = lines
    assert out[: len(ORDERS)] == ["4"] * len(ORDERS), err


def test_the_repair_can_be_switched_off(lines):
    out, err = lines
    refused, taught = out[len(ORDERS) :]
    assert "force_all_finite" in refused, err
    assert taught == "4"


def test_restore_puts_everything_back():
    names = {(modAL.models.base, "check_X_y"), (modAL.batch, "data_vstack")}
    repaired = {pair: getattr(*pair) for pair in names}
    modal.restore()
    try:
        assert modAL.models.base.check_X_y is check_X_y
        assert not modal._repaired_names()
        assert modal._finder not in sys.meta_path
    finally:
        modal.repair()
    for pair, before in repaired.items():
        assert getattr(*pair) is not before  # a new wrapper of the same original
        assert getattr(*pair).__wrapped__ is before.__wrapped__


def test_repairing_twice_is_repairing_once():
    before = modAL.models.base.check_X_y
    modal.repair()
    assert modAL.models.base.check_X_y is before
    assert sys.meta_path.count(modal._finder) == 1


def test_what_is_whole_is_left_alone(monkeypatch):
    def old_check_X_y(X, y, force_all_finite=True):
        return X, y

    monkeypatch.setattr(modAL.models.base, "check_X_y", old_check_X_y)
    modal.repair()
    assert modAL.models.base.check_X_y is old_check_X_y


def test_teach_with_data_frames(data):
    X, y = pd.DataFrame(data[0].reshape(160, -1)), data[1]
    learner = ActiveLearner(
        LogisticRegression(), skdfal.entropy_sampling, X[:20], y[:20]
    )
    learner.teach(X[20:25], y[20:25])
    pd.testing.assert_frame_equal(learner.X_training, X[:25])


# Strategies of modAL, asked with what the loop has: an estimator that is fitted.

CLASSIFIERS = {
    "logistic": lambda: make_pipeline(Flatten(), LogisticRegression()),
    "net": lambda: make_net(max_epochs=2),
    "restarting": lambda: make_classifier(
        small_cnn, module__seed=0, n_classes=4, max_epochs=2
    ),
}


class Flatten(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def transform(self, X):
        return X.reshape(len(X), -1)


@pytest.fixture(params=CLASSIFIERS)
def fitted(request, data):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return CLASSIFIERS[request.param]().fit(data[0][:24], data[1][:24])


def test_ranked_batch_of_images_is_the_paper_s(fitted, data):
    X, y = data
    pool = X[60:100]
    learner = as_learner(fitted, X[:24], y[:24])
    chosen = uncertainty_batch_sampling(learner, pool, n_instances=3)
    # Cardoso et al. 2017: alpha (1 - similarity) + (1 - alpha) uncertainty.
    known, left = list(X[:24].reshape(24, -1)), list(range(40))
    uncertainty = 1 - fitted.predict_proba(pool).max(1)
    for index in chosen:
        alpha = len(left) / (len(left) + len(known))
        scores = []
        for i in left:
            distance = min(np.linalg.norm(pool[i].ravel() - x) for x in known)
            scores.append(
                alpha * (1 - 1 / (1 + distance)) + (1 - alpha) * uncertainty[i]
            )
        assert index == left[int(np.argmax(scores))]
        left.remove(index)
        known.append(pool[index].ravel())


def test_expected_error_reduction_of_images(fitted, data):
    X, y = data
    pool = X[60:64]
    learner = as_learner(fitted, X[:24], y[:24])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        chosen = expected_error_reduction(learner, pool, n_instances=2)
    assert set(chosen) <= set(range(4))
    assert len(set(chosen)) == 2


def test_expected_error_reduction_minimizes_the_expected_error(data):
    X, y = data[0].reshape(160, -1), data[1]
    pool = X[60:66]
    classifier = LogisticRegression().fit(X[:24], y[:24])
    chosen = expected_error_reduction(as_learner(classifier, X[:24], y[:24]), pool)
    proba = classifier.predict_proba(pool)
    errors = np.zeros(6)
    for i in range(6):
        others = np.delete(pool, i, axis=0)
        for label in range(4):
            again = LogisticRegression().fit(
                np.vstack([X[:24], pool[i]]), np.append(y[:24], label)
            )
            error = (1 - again.predict_proba(others).max(1)).sum()
            errors[i] += proba[i, label] * error
    assert chosen.tolist() == [np.argmin(errors)]


def test_as_learner_takes_lists(data):
    X, y = data[0].reshape(160, -1), data[1]
    classifier, pool = LogisticRegression().fit(X[:24], y[:24]), X[60:66]
    learners = [
        as_learner(classifier, X[:24], y[:24]),
        as_learner(classifier, X[:24].tolist(), y[:24].tolist()),
    ]
    for ask in (uncertainty_batch_sampling, expected_error_reduction):
        one, other = (ask(learner, pool, n_instances=2) for learner in learners)
        assert one.tolist() == other.tolist()


def test_as_learner_trains_nothing_and_changes_nothing(fitted, data):
    before = fitted.predict_proba(data[0])
    learner = as_learner(fitted, data[0][:24], data[1][:24])
    assert learner.estimator is fitted
    np.testing.assert_array_equal(learner.predict_proba(data[0]), before)


@pytest.mark.parametrize("name", ["net", "restarting"])
def test_a_class_without_a_label_has_no_column(name, data):
    X, y = (a[:24][data[1][:24] != 1] for a in data)
    net = CLASSIFIERS[name]().fit(X, y)
    learner = as_learner(net, X, y)
    np.testing.assert_array_equal(
        learner.predict_proba(X), net.predict_proba(X)[:, [0, 2, 3]]
    )


def test_committees_stay_committees(data):
    X, y = data[0].reshape(160, -1), data[1]
    member = ActiveLearner(LogisticRegression(), skdfal.random_sampling, X[:20], y[:20])
    committee = Committee([member, member], query_strategy=vote_entropy_sampling)
    learner = as_learner(committee, X[:20], y[:20])
    assert len(uncertainty_batch_sampling(learner, X[60:], n_instances=3)) == 3
    assert len(vote_entropy_sampling(learner, X[60:], 3)) == 3
    assert committee.X_training is None


def test_strategies_of_modal_are_known_by_their_module():
    for function in [uncertainty_batch_sampling, expected_error_reduction]:
        assert modal.is_modal_strategy(function)
        assert modal.is_modal_strategy(partial(partial(function), n_instances=3))
    for function in [skdfal.dfal, partial(skdfal.dfal), len, Flatten()]:
        assert not modal.is_modal_strategy(function)


@pytest.mark.parametrize("n_instances", [1, 2, 5])
def test_a_learner_s_query_is_the_function_s_answer(n_instances, data):
    X, y = data
    learner = ActiveLearner(
        make_net(max_epochs=1), skdfal.entropy_sampling, X[:20], y[:20]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        indices, instances = learner.query(X[20:], n_instances=n_instances)
    expected = skdfal.entropy_sampling(learner, X[20:], n_instances)
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_array_equal(instances, X[20:][expected])


def test_errors_pass_through_query(data):
    learner = ActiveLearner(make_net(max_epochs=1), skdfal.dfal, *data)
    with pytest.raises(ValueError, match="n_instances=99"):
        learner.query(data[0][:9], n_instances=99)


def test_check_X_y_of_scikit_learn_is_left_alone():
    from sklearn.utils.validation import check_X_y as original

    assert check_X_y is original
