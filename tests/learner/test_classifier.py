"""The loop: what it buys, what it trains on, how it goes on after a kill."""

import functools
import importlib
import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
import time

import joblib
import numpy as np
import pandas as pd
import pytest
import skorch
import torch
from modAL.uncertainty import classifier_margin
from modAL.uncertainty import uncertainty_sampling as modal_uncertainty
from modAL.utils.combination import make_query_strategy
from modAL.utils.selection import multi_argmax
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch import NeuralNetBinaryClassifier
from torch import nn

import skdfal
from skdfal import (
    MLP,
    ActiveLearningClassifier,
    AdversarialAugmenter,
    make_classifier,
)
from skdfal.learner import CheckpointError
from tests.adversarial_nets import small_cnn
from tests.conftest import (
    make_blobs_of_images,
    make_net,
    make_net_for,
    make_steps,
)
from tests.learner.test_session import POOLS, net_of
from tests.strategy_cases import cheap_params

BUDGET = {"n_initial": 8, "n_instances": 4, "max_annotations": 16, "random_state": 0}


def make_loop(**kwargs):
    net = make_net_for(kwargs.get("query_strategy", "dfal"), max_epochs=3)
    return ActiveLearningClassifier(**{"estimator": net} | BUDGET | kwargs)


# Fewer rounds than by default, each of which trains the net anew.
@parametrize_with_checks([ActiveLearningClassifier(n_instances=90)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_the_account_of_a_dfal_run(data):
    X, y = data
    rows = []
    clf = make_loop().fit(
        X, y, X_val=X[:40], y_val=y[:40], monitor=lambda est, row: rows.append(row)
    )
    annotated = clf.annotated_indices_
    # Labels bought: 8, 12, 16; each round's twins join the training set.
    assert [row["annotations"] for row in clf.history_] == [8, 12, 16]
    assert [row["labeled_data"] for row in clf.history_] == [8, 16, 24]
    assert len(set(annotated.tolist())) == 16
    assert clf.n_iter_ == 3
    assert clf.termination_condition_ == "max_annotations"
    np.testing.assert_array_equal(
        clf.labeled_iter_[annotated], [0] * 8 + [1] * 4 + [2] * 4
    )
    assert (clf.labeled_iter_ == -1).sum() == len(X) - 16
    # The training set is: initial samples, then queried samples and their twins.
    np.testing.assert_array_equal(clf.X_train_[:12], X[annotated[:12]])
    np.testing.assert_array_equal(clf.X_train_[16:20], X[annotated[12:]])
    bought = clf.train_indices_ >= 0
    np.testing.assert_array_equal(clf.train_indices_[bought], annotated)
    np.testing.assert_array_equal(clf.X_train_[bought], X[annotated])
    assert len(clf.train_indices_) == len(clf.X_train_)
    np.testing.assert_array_equal(clf.y_train_[8:12], clf.y_train_[12:16])
    assert not (clf.X_train_[12:16] == X[annotated[8:12]]).all(axis=(1, 2, 3)).any()
    # The twins are of no class of the oracle's choice but of the same label.
    np.testing.assert_array_equal(clf.y_train_[12:16], y[annotated[8:12]])
    assert all(0 <= row["score"] <= 1 for row in clf.history_)
    assert all(row["fit_seconds"] > 0 for row in clf.history_)
    assert np.isnan(clf.history_[-1]["query_seconds"])
    assert [row["annotations"] for row in rows] == [8, 12, 16]
    assert clf.score(X[:40], y[:40]) == clf.history_[-1]["score"]


def test_fit_is_the_papers_algorithm(data):
    """The loop against a literal one with the same seeds."""
    X, y = data
    clf = make_loop(n_candidates=30).fit(X, y)
    from skdfal._utils._seeds import seeded
    from skdfal.learner._session import _CANDIDATES, _TRAIN, _rng, _seed

    seed = np.random.RandomState(0).randint(2**31 - 1)
    L = list(clf.annotated_indices_[:8])
    X_L, y_L = X[L], y[L]
    for k in range(3):
        with seeded(_seed(seed, k, _TRAIN)):
            A_k = make_net(max_epochs=3).fit(X_L, y_L)
        if k == 2:
            break
        U_k = np.setdiff1d(np.arange(len(X)), L)
        S_k = _rng(seed, k, _CANDIDATES).choice(U_k, 30, replace=False)
        r = skdfal.deepfool(A_k.module_, torch.from_numpy(X[S_k]))
        index = np.argsort(r.norm.numpy(), kind="stable")[:4]
        Q_k = S_k[index]
        r = skdfal.deepfool(A_k.module_, torch.from_numpy(X[Q_k]))
        twins = (torch.from_numpy(X[Q_k]) + 1.02 * r.perturbation).numpy()
        L += list(Q_k)
        X_L = np.concatenate([X_L, X[Q_k], twins])
        y_L = np.concatenate([y_L, y[Q_k], y[Q_k]])
    np.testing.assert_array_equal(clf.annotated_indices_, L)
    np.testing.assert_allclose(clf.X_train_, X_L, atol=1e-6)
    np.testing.assert_allclose(clf.predict_proba(X), A_k.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("strategy", sorted(skdfal.STRATEGIES))
def test_every_strategy_by_name(strategy, data):
    X, y = data
    params = {"query_strategy": strategy, "query_params": cheap_params(strategy)}
    clf = make_loop(**params).fit(X, y)
    again = make_loop(**params).fit(X, y)
    assert len(set(clf.annotated_indices_.tolist())) == 16
    np.testing.assert_array_equal(clf.annotated_indices_, again.annotated_indices_)
    np.testing.assert_array_equal(clf.predict_proba(X), again.predict_proba(X))
    assert clf.history_[-1]["labeled_data"] >= 16


def test_same_seed_same_initial_sample_for_all_strategies(data):
    first = [
        make_loop(query_strategy=s, max_annotations=8).fit(*data).annotated_indices_
        for s in ("dfal", "entropy", "random")
    ]
    np.testing.assert_array_equal(first[0], first[1])
    np.testing.assert_array_equal(first[0], first[2])


def test_fit_leaves_the_global_generators_alone(data):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    numpy_state = numpy_state.copy()
    make_loop().fit(*data)
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_twins_only_if_asked_for(data):
    X, y = data
    query_only = make_loop(query_strategy="deepfool_margin").fit(X, y)
    its_function = make_loop(query_strategy=skdfal.deepfool_margin_sampling).fit(X, y)
    none = make_loop(augmenter=[]).fit(X, y)
    for clf in (query_only, its_function, none):
        assert len(clf.X_train_) == 16
    both = make_loop(query_strategy="entropy", augmenter=AdversarialAugmenter())
    assert len(both.fit(X, y).X_train_) == 24


def test_name_function_and_partial_do_the_same(data):
    X, y = data
    by_name = make_loop().fit(X, y)
    for same in (skdfal.dfal, functools.partial(skdfal.dfal, p=2)):
        clf = make_loop(query_strategy=same).fit(X, y)
        np.testing.assert_array_equal(clf.X_train_, by_name.X_train_)


def test_parameters_of_the_twins(data):
    X, y = data
    clf = make_loop(augmenter_params={"overshoot": 1.0}).fit(X, y)
    own = make_loop(augmenter=AdversarialAugmenter(overshoot=1.0)).fit(X, y)
    np.testing.assert_array_equal(clf.X_train_, own.X_train_)
    # What both have a name for goes to the query alone, the rest where it belongs.
    plain = make_loop().fit(X, y)
    query = make_loop(query_params={"overshoot": 1.0}, max_annotations=12).fit(X, y)
    of_both = np.isin(query.annotated_indices_[8:], plain.annotated_indices_[8:12])
    assert of_both.any()
    for i in query.annotated_indices_[8:][of_both]:
        twins = [clf.X_train_[(clf.train_parents_ == i) & (clf.train_indices_ < 0)]
                 for clf in (query, plain)]  # fmt: skip
        np.testing.assert_allclose(*twins, atol=1e-5)
    clipped = make_loop(query_params={"clip_range": (0.05, 0.95)}).fit(X, y)
    twins = clipped.X_train_[clipped.train_indices_ < 0]
    assert 0.05 <= twins.min() <= twins.max() <= 0.95
    with pytest.raises(ValueError, match="augmenter_params has 'foo'"):
        make_loop(augmenter_params={"foo": 1}).fit(X, y)
    with pytest.raises(ValueError, match="random has none"):
        make_loop(query_strategy="random", augmenter_params={"p": 1}).fit(X, y)


def test_own_augmenter_for_one_training_only(data):
    X, y = data

    class Echo:
        is_lasting = False

        def augment(self, estimator, X, y, X_pool, n_round):
            self.seen = [*getattr(self, "seen", []), (len(X), len(X_pool), n_round)]
            return X_pool[:3], np.zeros(3, dtype=int)

    echo = Echo()
    clf = make_loop(query_strategy="random", augmenter=[echo]).fit(X, y)
    assert echo.seen == [(4, 148, 0), (4, 144, 1)]
    assert [row["labeled_data"] for row in clf.history_] == [8, 15, 19]
    assert len(clf.X_train_) == 16


@pytest.fixture(scope="module")
def run_with_gaps(data):
    """A run where each third sample has no label, which -1 says."""
    X, y = data
    codes = np.where(np.arange(len(y)) % 3 == 0, -1, y)
    return make_loop(max_annotations=24, missing_label=-1).fit(X, codes)


@pytest.mark.parametrize(
    ("encode", "missing"),
    [
        (lambda y: y, -1),
        (lambda y: y + 5, 0),
        (lambda y: y.astype(float), np.nan),
        (lambda y: np.array(["ant", "bee", "cat", "dog"])[y], "?"),
        (lambda y: np.array(["ant", "bee", "cat", "dog"], dtype=object)[y], None),
        (lambda y: np.array(["ant", "bee", "cat", "dog"], dtype=object)[y], -1),
    ],
)
def test_missing_labels_are_never_asked_for(encode, missing, data, run_with_gaps):
    X, y = data
    labels = encode(y)
    hidden = np.arange(len(y)) % 3 == 0
    with_gaps = labels.astype("<U5") if labels.dtype.kind == "U" else labels.copy()
    with_gaps[hidden] = missing
    clf = make_loop(missing_label=missing, max_annotations=24).fit(X, with_gaps)
    assert not hidden[clf.annotated_indices_].any()
    np.testing.assert_array_equal(clf.classes_, np.unique(labels))
    np.testing.assert_array_equal(clf.y_train_[:8], labels[clf.annotated_indices_[:8]])
    assert set(clf.predict(X)) <= set(labels)
    # What stands where there is no label makes no difference.
    np.testing.assert_array_equal(
        clf.annotated_indices_, run_with_gaps.annotated_indices_
    )


def test_samples_without_a_label_are_unlabelled_data(data):
    X, y = data
    gaps = np.where(np.arange(len(y)) % 3 == 0, -1, y)
    seen = []

    class Watching:
        is_lasting = True

        def augment(self, estimator, X, y, X_pool, n_round):
            seen.append(np.asarray(X_pool))
            return X[:0], y[:0]

    def greedy(estimator, X, n_instances, X_unlabeled=None):
        assert len(X_unlabeled) == len(y) - 8 - 4 * len(seen)
        return np.arange(n_instances)

    clf = make_loop(query_strategy=greedy, augmenter=Watching()).fit(X, gaps)
    assert [len(pool) for pool in seen] == [len(y) - 12, len(y) - 16]
    without = {x.tobytes() for x in X[gaps < 0]}
    assert without <= {x.tobytes() for x in seen[-1]}
    assert (gaps[clf.annotated_indices_] >= 0).all()


def test_minus_one_and_one_are_classes(data):
    X, y = data
    with pytest.warns(UserWarning, match="both are taken as classes"):
        clf = make_loop().fit(X, np.where(y % 2, 1, -1))
    np.testing.assert_array_equal(clf.classes_, [-1, 1])


def test_the_oracle_is_asked_for_nothing_else(data):
    """Labels that are never bought may be anything at all."""
    X, y = data
    clf = make_loop().fit(X, y)
    lies = (y + 1) % 4
    lies[clf.annotated_indices_] = y[clf.annotated_indices_]
    again = make_loop(initial=clf.annotated_indices_[:8]).fit(X, lies)
    np.testing.assert_array_equal(again.annotated_indices_, clf.annotated_indices_)


def test_stops_where_the_pool_ends(data):
    X, y = data[0][:14], data[1][:14]
    clf = make_loop(max_annotations=100).fit(X, y)
    assert clf.termination_condition_ == "pool_exhausted"
    assert [row["annotations"] for row in clf.history_] == [8, 12, 14]
    exact = make_loop(max_annotations=14).fit(X, y)
    assert exact.termination_condition_ == "max_annotations"


def test_stratified_initial_sample():
    X, y = make_blobs_of_images(100)
    y = np.where(np.arange(100) < 90, 0, 1 + np.arange(100) % 3)  # three rare classes
    for seed in range(3):
        clf = make_loop(initial="stratified", max_annotations=8, random_state=seed)
        counts = np.bincount(y[clf.fit(X, y).annotated_indices_], minlength=4)
        assert counts.min() >= 2


def test_given_initial_sample(data):
    clf = make_loop(initial=[3, 1, 2]).fit(*data)
    np.testing.assert_array_equal(clf.annotated_indices_[:3], [3, 1, 2])
    assert [row["annotations"] for row in clf.history_] == [3, 7, 11, 15, 16]


def test_warm_start_goes_on_with_the_net(data):
    cold, warm = (
        make_loop(warm_start=w, query_strategy="random").fit(*data)
        for w in (False, True)
    )
    assert len(cold.estimator_.history) == 3
    assert len(warm.estimator_.history) == 9
    pipeline = make_pipeline(make_steps(), make_net(max_epochs=2))
    clf = make_loop(warm_start=True).set_params(estimator=pipeline).fit(*data)
    assert len(clf.estimator_[-1].history) == 6
    assert not pipeline[-1].warm_start


def test_modal_strategy_as_callable(data):
    clf = make_loop(query_strategy=modal_uncertainty).fit(*data)
    own = make_loop(query_strategy="least_confidence").fit(*data)
    assert set(clf.annotated_indices_) == set(own.annotated_indices_)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("uncertainty_batch_sampling", {}),
        ("expected_error_reduction", {"loss": "binary"}),
    ],
)
def test_modal_strategies_that_want_a_learner(name, params, data):
    module = "modAL.batch" if "batch" in name else "modAL.expected_error"
    strategy = getattr(importlib.import_module(module), name)
    X, y = data[0][:24].reshape(24, -1), data[1][:24]  # trained for each of them
    clf = ActiveLearningClassifier(
        LogisticRegression(), strategy, query_params=params, **BUDGET
    ).fit(X, y)
    assert len(set(clf.annotated_indices_.tolist())) == 16
    again = clone(clf).fit(X, y)
    np.testing.assert_array_equal(again.annotated_indices_, clf.annotated_indices_)


def test_labelled_samples_reach_a_strategy_that_asks(data):
    seen = []

    def first(estimator, X, n_instances, X_labeled=None):
        seen.append(None if X_labeled is None else len(X_labeled))
        return np.arange(n_instances)

    twins = AdversarialAugmenter()
    make_loop(query_strategy=first, augmenter=twins).fit(*data)
    make_loop(
        query_strategy=first, augmenter=twins, query_params={"X_labeled": "train"}
    ).fit(*data)
    assert seen == [8, 12, 8, 16]


def test_labels_are_those_of_the_labelled_samples(data):
    def first(estimator, X, n_instances, X_labeled=None, y_labeled=None):
        seen.append(len(X_labeled) == len(y_labeled))
        return np.arange(n_instances)

    for samples, seen in ("annotated", []), ("train", []):
        loop = make_loop(query_strategy=first, augmenter=AdversarialAugmenter())
        loop.set_params(query_params={"X_labeled": samples}).fit(*data)
        assert seen == [True, True]


@pytest.mark.parametrize(
    "answer",
    [[0, 0, 1, 2], [0, 1, 2], [0, 1, 2, 1000], [-1, 0, 1, 2], [0.5, 1, 2, 3]],
)
def test_a_strategy_that_answers_nonsense(answer, data):
    with pytest.raises(ValueError, match="expected 4 distinct indices"):
        make_loop(query_strategy=lambda e, X, n: np.array(answer)).fit(*data)


def test_a_strategy_that_answers_with_samples(data):
    with pytest.raises(ValueError, match="indices") as caught:
        make_loop(query_strategy=lambda e, X, n: X[:n]).fit(*data)
    message = str(caught.value)
    assert "returned an array of shape (4, 1, 8, 8) and dtype float32; exp" in message
    assert len(message) < 200


@pytest.mark.parametrize(
    ("strategy", "reason"),
    [
        (lambda estimator, X: [], "too many positional arguments"),
        (
            make_query_strategy(classifier_margin, multi_argmax),
            "got an unex.*'n_instances'",
        ),
        (lambda estimator, X, n_instances, k: [], "missing a required argument: 'k'"),
        (lambda estimator, X, n_instances, *, k: [], "missing a required .*'k'"),
    ],
)
def test_a_strategy_with_other_parameters(strategy, reason, data):
    wanted = r"take \(estimator, X, n_instances\), but its signature is \(.*, X"
    with pytest.raises(TypeError, match=f"{wanted}.*: {reason}"):
        make_loop(query_strategy=strategy).fit(*data)


def test_pipeline_inside_and_around(data):
    X, y = data
    inside = make_loop().set_params(
        estimator=make_pipeline(make_steps(), make_net(max_epochs=3))
    )
    assert len(inside.fit(X, y).X_train_) == 24
    reshape = FunctionTransformer(lambda X: X.reshape(-1, 1, 8, 8))
    around = make_pipeline(reshape, make_loop()).fit(X.reshape(len(X), -1), y)
    np.testing.assert_array_equal(
        around.predict(X.reshape(len(X), -1)), make_loop().fit(X, y).predict(X)
    )


def test_binary_net_and_surplus_outputs(data):
    X, y = data[0], np.array(["no", "yes"])[data[1] % 2]
    binary = NeuralNetBinaryClassifier(
        small_cnn, module__n_outputs=1, train_split=None, max_epochs=2, verbose=0
    )
    clf = make_loop().set_params(estimator=binary).fit(X, y)
    assert clf.predict_proba(X).shape == (len(X), 2)
    assert len(clf.X_train_) == 24
    wide = make_loop().fit(X, y)  # four outputs, two classes
    np.testing.assert_allclose(wide.predict_proba(X).sum(1), 1, rtol=1e-5)
    assert wide.predict_proba(X).shape == (len(X), 2)
    narrow = make_net(n_outputs=3, max_epochs=1)
    with pytest.raises((ValueError, IndexError), match=r"3 outputs|out of bounds"):
        make_loop().set_params(estimator=narrow).fit(*data).predict(X)


def test_grid_search_over_strategy_and_learning_rate(data):
    X, y = data[0][:80], data[1][:80]
    grid = {"query_strategy": ["dfal", "random"], "estimator__lr": [0.001, 0.01]}
    search = GridSearchCV(make_loop(), grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    assert search.predict(X).shape == (80,)
    # a query reaches the net inside of a search
    assert skdfal.dfal(search, X, 3).shape == (3,)


@pytest.mark.slow  # a search in parallel is in test_checkpoints.py
def test_cross_validation_in_parallel(data):
    serial = cross_val_score(make_loop(), *data, cv=2)
    # Sums depend on the number of threads, of which a worker has more on more cores.
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        parallel = cross_val_score(make_loop(), *data, cv=2, n_jobs=2)
    np.testing.assert_array_equal(serial, parallel)


def test_clone_and_pickle(data):
    clf = make_loop().fit(*data)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(
        again.predict_proba(data[0]), clf.predict_proba(data[0])
    )
    assert len(again.history_) == 3
    copy = clone(clf)
    assert not hasattr(copy, "estimator_")
    assert copy.get_params()["n_instances"] == 4


def test_scoring_by_name_and_by_function(data):
    X, y = data
    held_out = {"X_val": X[:40], "y_val": y[:40]}
    loss = make_loop(scoring="neg_log_loss").fit(X, y, **held_out)
    assert all(row["score"] < 0 for row in loss.history_)
    one = make_loop(scoring=lambda est, X, y: 1.0).fit(X, y, **held_out)
    assert [row["score"] for row in one.history_] == [1, 1, 1]
    # The held-out set has no part in the run.
    np.testing.assert_array_equal(
        loss.annotated_indices_, make_loop().fit(X, y).annotated_indices_
    )


def without_seconds(history):
    keep = ("annotations", "labeled_data", "score")
    return [[row[name] for name in keep] for row in history]


@pytest.fixture(
    scope="module",
    params=[{}, {"warm_start": True}, {"query_strategy": "random"}],
    ids=str,
)
def unbroken(request, data):
    """Parameters of a run, and the run."""
    X, y = data
    held_out = {"X_val": X[:40], "y_val": y[:40]}
    return request.param, make_loop(**request.param).fit(X, y, **held_out)


@pytest.mark.parametrize("broken_after", [1, 2, 3])
def test_an_interrupted_run_ends_as_if_it_had_not_been(
    unbroken, broken_after, data, tmp_path
):
    X, y = data
    held_out = {"X_val": X[:40], "y_val": y[:40]}
    params, whole = unbroken

    class PowerCut(Exception):
        pass

    def cut(est, row):
        if row["annotations"] == 8 + 4 * (broken_after - 1):
            raise PowerCut

    path = tmp_path / "folder" / "run.ckpt"
    with pytest.raises(PowerCut):
        make_loop(checkpoint=path, **params).fit(X, y, **held_out, monitor=cut)
    resumed = make_loop(checkpoint=str(path), **params)
    rows = []
    resumed.fit(X, y, **held_out, monitor=lambda est, row: rows.append(row))
    assert len(rows) == 4 - broken_after
    np.testing.assert_array_equal(resumed.annotated_indices_, whole.annotated_indices_)
    np.testing.assert_array_equal(resumed.X_train_, whole.X_train_)
    np.testing.assert_array_equal(resumed.predict_proba(X), whole.predict_proba(X))
    assert without_seconds(resumed.history_) == without_seconds(whole.history_)
    # Once more, on a finished run: the same again.
    np.testing.assert_array_equal(resumed.fit(X, y).predict(X), whole.predict(X))


SCRIPT = """
import sys, joblib
from tests.learner.test_classifier import make_loop
from tests.conftest import make_blobs_of_images
X, y = make_blobs_of_images()
clf = make_loop(max_annotations=60, checkpoint=sys.argv[1])
clf.fit(X, y, monitor=lambda est, row: print(row["annotations"], flush=True))
joblib.dump((clf.annotated_indices_, clf.predict_proba(X)), sys.argv[2])
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
def test_killed_in_another_process(data, tmp_path):
    arguments = [sys.executable, "-c", textwrap.dedent(SCRIPT)]
    arguments += [tmp_path / "run.ckpt", tmp_path / "result"]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.strip() == "20":
            break
    time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "result").exists()
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
    annotated, proba = joblib.load(tmp_path / "result")
    whole = make_loop(max_annotations=60).fit(*data)
    np.testing.assert_array_equal(annotated, whole.annotated_indices_)
    np.testing.assert_array_equal(proba, whole.predict_proba(data[0]))


def test_interrupt_ends_the_run_and_not_one_training(data, tmp_path):
    path = tmp_path / "run.ckpt"

    class Interrupt(skorch.callbacks.Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 2:
                signal.raise_signal(signal.SIGINT)

    clf = make_loop(checkpoint=path).set_params(estimator__callbacks=[Interrupt()])
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*data)
    assert path.exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_checkpoint_of_another_run_is_refused_and_kept(data, tmp_path):
    X, y = data
    path = tmp_path / "run.ckpt"
    make_loop(checkpoint=path).fit(X, y)
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match="different n_instances"):
        make_loop(checkpoint=path, n_instances=3).fit(X, y)
    with pytest.raises(CheckpointError, match="different estimator__lr"):
        make_loop(checkpoint=path).set_params(estimator__lr=0.5).fit(X, y)
    assert path.read_bytes() == before
    path.write_bytes(b"no checkpoint")
    with pytest.raises(CheckpointError, match="not a readable skdfal checkpoint"):
        make_loop(checkpoint=path).fit(X, y)


def test_a_finished_run_goes_on_with_a_larger_budget(data, tmp_path):
    path = tmp_path / "run.ckpt"
    make_loop(checkpoint=path).fit(*data)
    more = make_loop(checkpoint=path, max_annotations=24).fit(*data)
    whole = make_loop(max_annotations=24).fit(*data)
    np.testing.assert_array_equal(more.annotated_indices_, whole.annotated_indices_)


def test_verbose(data, capsys):
    make_loop(verbose=1).fit(*data)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "16 annotations, 24 training samples" in lines[-1]
    assert "score" not in lines[-1]  # there is none without a held-out set
    make_loop(verbose=1).fit(*data, X_val=data[0], y_val=data[1])
    of_guess = r", score 0\.\d{4}, no better than guessing \(more epochs or labels"
    assert re.search(of_guess, capsys.readouterr().out.splitlines()[-1])
    learned = make_loop(estimator=make_net(max_epochs=30), verbose=1)
    learned.fit(*data, X_val=data[0], y_val=data[1])
    assert re.search(r", score [01]\.\d{4}$", capsys.readouterr().out.strip())
    make_loop(verbose=2).fit(*data)
    assert capsys.readouterr().out.count("train_loss") == 3  # a table for each training


def _texts(y, missing):
    """Labels as texts, of which those of one class stand for none."""
    return np.where(y == 1, missing, np.char.add("digit ", y.astype(str)))


def _objects(y, missing):
    labels = np.array([f"digit {label}" for label in y], dtype=object)
    labels[y == 1] = missing
    return labels


def test_texts_of_which_each_is_said_to_be_a_class(data):
    X, y = data
    clf = make_loop(missing_label=None, max_annotations=8).fit(X, _texts(y, ""))
    assert clf.classes_[0] == ""


@pytest.mark.parametrize(
    ("params", "spoil", "error", "message"),
    [
        ({}, lambda X, y: (X, None), ValueError, "requires y"),
        ({}, lambda X, y: (X, y[:-1]), ValueError, "inconsistent numbers"),
        ({}, lambda X, y: (X, y * 0), ValueError, "only one class, 0"),
        ({}, lambda X, y: (X, y * 0 - 1), ValueError, "a LabelingSession"),
        ({}, lambda X, y: (X, y + 0.5), ValueError, "continuous"),
        ({}, lambda X, y: (X[:0], y[:0]), ValueError, "0 sample"),
        ({}, lambda X, y: (X * np.nan, y), ValueError, r"160 of 160 samples, .*\[0, 1"),
        ({}, lambda X, y: (X, _texts(y, "")), ValueError, "pass missing_label='';"),
        ({}, lambda X, y: (X, _texts(y, "nan")), ValueError, "missing_label='nan';"),
        (
            {"missing_label": np.nan},
            lambda X, y: (X, _texts(y, "nan")),
            ValueError,
            "missing_label='nan';",
        ),
        ({}, lambda X, y: (X, _texts(y, "-1")), ValueError, "pass missing_label='-1';"),
        ({}, lambda X, y: (X, _objects(y, "")), ValueError, "pass missing_label='';"),
        ({}, lambda X, y: (X, _objects(y, None)), ValueError, "missing_label=None"),
        ({}, lambda X, y: (X, _objects(y, np.nan)), ValueError, "missing_label=np.nan"),
        ({}, lambda X, y: (X, _objects(y, pd.NA)), ValueError, "<NA>, .*a string"),
        (
            {"missing_label": None},
            lambda X, y: (X, _objects(y, np.nan)),
            ValueError,
            "missing_label=np.nan",
        ),
        (
            {},
            lambda X, y: (X, np.where(y == 1, np.nan, y)),
            ValueError,
            "missing_label=np.nan",
        ),
        ({}, lambda X, y: (X[:4], y[:4]), ValueError, "n_initial=8 should be <= the 4"),
        ({"missing_label": "?"}, lambda X, y: (X, y), TypeError, "not of the kind"),
        ({"missing_label": [1]}, lambda X, y: (X, y), TypeError, "a single label"),
        ({"n_initial": 20}, lambda X, y: (X, y), ValueError, "max_annotations=16"),
        ({"n_initial": 0}, lambda X, y: (X, y), ValueError, "n_initial"),
        ({"n_instances": 0}, lambda X, y: (X, y), ValueError, "n_instances"),
        ({"n_instances": [4, 0]}, lambda X, y: (X, y), ValueError, "int >= 1, or a"),
        ({"query_strategy": "best"}, lambda X, y: (X, y), ValueError, "known are dfal"),
        ({"query_params": {"foo": 1}}, lambda X, y: (X, y), ValueError, "'foo'"),
        (
            {"query_params": {"max_iter": 0}},
            lambda X, y: (X, y),
            ValueError,
            "'max_iter' parameter of dfal",
        ),
        ({"initial": [0, 0]}, lambda X, y: (X, y), ValueError, "distinct indices"),
        ({"initial": [9999]}, lambda X, y: (X, y), ValueError, r"\[0, 160\)"),
        ({"augmenter": "twins"}, lambda X, y: (X, y), ValueError, "augmenter"),
        ({"augmenter": ["twins"]}, lambda X, y: (X, y), TypeError, "'augment'"),
        ({"estimator": 3}, lambda X, y: (X, y), ValueError, "estimator"),
        ({"scoring": "best"}, lambda X, y: (X, y), ValueError, "scoring"),
    ],
)
def test_bad_input(params, spoil, error, message, data):
    clf = make_loop().set_params(**params)
    with pytest.raises(error, match=message):
        clf.fit(*spoil(*data))


class Gives:
    """An augmenter that returns what it was given."""

    is_lasting = True

    def __init__(self, extra):
        self.extra = extra

    def augment(self, estimator, X, y, X_pool, n_round):
        return self.extra(X, y)


@pytest.mark.parametrize(
    "extra",
    [
        lambda X, y: None,
        lambda X, y: (X,),
        lambda X, y: (X, y[:-1]),
        lambda X, y: (X * np.nan, y),
        lambda X, y: (X, y + 100),
        lambda X, y: (X, y + 0.5),
        lambda X, y: (X, y.astype(str)),
        lambda X, y: (X[:, :, 1:], y),
    ],
)
def test_an_augmenter_that_returns_nonsense(extra, data):
    with pytest.raises(ValueError, match=r"Gives\.augment"):
        make_loop(augmenter=Gives(extra)).fit(*data)


def test_an_error_on_the_way_loses_no_label(data):
    class PowerCut(Exception):
        pass

    def cut(est, row):
        if row["annotations"] == 12:
            raise PowerCut

    clf = make_loop()
    with pytest.raises(PowerCut):
        clf.fit(*data, monitor=cut)
    assert clf.termination_condition_ == "interrupted"
    assert len(clf.annotated_indices_) == 12
    assert len(clf.history_) == 2
    assert clf.predict(data[0]).shape == (160,)


def test_a_smaller_budget_than_the_checkpoint_has_spent(data, tmp_path):
    path = tmp_path / "run.ckpt"
    make_loop(checkpoint=path).fit(*data)
    with pytest.raises(CheckpointError, match="holds 16 annotations already"):
        make_loop(checkpoint=path, max_annotations=12).fit(*data)


def test_samples_of_another_shape_than_in_fit(data):
    clf = make_loop(max_annotations=8).fit(*data)
    with pytest.raises(ValueError, match=r"\(1, 4, 8\).*\(1, 8, 8\)"):
        clf.predict(data[0][:, :, :4])


def test_held_out_labels_of_another_kind(data):
    X, y = data
    with pytest.raises(ValueError, match="none of the classes"):
        make_loop().fit(X, y, X_val=X, y_val=y + 10)
    for some in (np.where(y == 1, -1, y), np.ma.array(y, mask=y == 1)):
        with pytest.raises(ValueError, match=r"y_val are masked or .* Leave"):
            make_loop().fit(X, y, X_val=X, y_val=some)
    loop = make_loop(missing_label=np.nan, max_annotations=8)
    with pytest.raises(ValueError, match="missing_label=nan"):
        loop.fit(X, y, X_val=X, y_val=np.where(y == 1, np.nan, y))
    loop.fit(X, y - 1, X_val=X, y_val=y - 1)  # here, -1 is a class
    with pytest.raises(TypeError, match="monitor"):
        make_loop().fit(X, y, monitor=5)


def test_held_out_set_without_labels(data):
    with pytest.raises(ValueError, match="given together, or not"):
        make_loop().fit(*data, X_val=data[0])


def test_not_fitted(data):
    for method in ("predict", "predict_proba"):
        with pytest.raises(NotFittedError):
            getattr(make_loop(), method)(data[0])


def test_default_net_is_a_cnn_for_images():
    rng = np.random.default_rng(0)
    y = np.arange(30) % 3
    X = rng.random((30, 1, 16, 16)) / 2 + y[:, None, None, None] / 4
    clf = ActiveLearningClassifier(max_annotations=20, random_state=0).fit(X, y)
    assert isinstance(clf.estimator_.module_, skdfal.LeNet5)
    assert any(isinstance(m, nn.Conv2d) for m in clf.estimator_.module_.modules())
    assert clf.predict(torch.from_numpy(X)).shape == (30,)


# Pools and estimators of all kinds


def test_masked_labels_are_missing(data, run_with_gaps):
    X, y = data
    hidden = np.arange(len(y)) % 3 == 0
    masked = np.ma.masked_array(y, hidden)
    clf = make_loop(max_annotations=24).fit(X, masked)
    assert not hidden[clf.annotated_indices_].any()
    np.testing.assert_array_equal(
        clf.annotated_indices_, run_with_gaps.annotated_indices_
    )
    with pytest.warns(DataConversionWarning, match="column-vector"):
        as_column = make_loop(max_annotations=24).fit(X, masked[:, None])
    np.testing.assert_array_equal(as_column.annotated_indices_, clf.annotated_indices_)
    with pytest.raises(ValueError, match="a LabelingSession"):
        make_loop().fit(X, np.ma.masked_all(len(y), int))
    with pytest.raises(ValueError, match="160 masked entries"):
        make_loop().fit(np.ma.masked_array(X, np.isin(X, X[:, 0, 0, 0])), y)


@pytest.fixture(scope="module")
def run_in_memory(data):
    return make_loop().fit(*data)


@pytest.mark.parametrize("kind", sorted(POOLS))
def test_pools_of_all_kinds(kind, run_in_memory, data, tmp_path):
    X, y = data
    pool, whole = POOLS[kind](X, tmp_path), run_in_memory
    held_out = {"X_val": pool, "y_val": y}
    clf = make_loop(checkpoint=tmp_path / "run").fit(pool, y, **held_out)
    np.testing.assert_array_equal(clf.annotated_indices_, whole.annotated_indices_)
    np.testing.assert_array_equal(clf.X_train_, whole.X_train_)
    np.testing.assert_array_equal(clf.predict_proba(pool), whole.predict_proba(X))
    assert clf.score(pool, y) == whole.score(X, y) == clf.history_[-1]["score"]


def test_images_of_several_sizes_are_refused_clearly():
    sizes = [4, 5] * 20
    images = [np.zeros((1, n, n), dtype=np.float32) for n in sizes]
    of_objects = np.empty(40, dtype=object)
    of_objects[:] = images
    for X in (images, of_objects):
        with pytest.raises(ValueError, match="different shapes"):
            make_loop().fit(X, np.arange(40) % 4)


def test_columns_by_name_for_a_pipeline():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    X = pd.DataFrame(
        {
            "size": rng.normal(size=120) + 3 * y,
            "hue": rng.normal(size=120),
            "kind": np.array(["cat", "dog"])[(y + (rng.random(120) < 0.2)) % 2],
        }
    )
    prepare = ColumnTransformer(
        [
            ("numbers", "passthrough", ["size", "hue"]),
            ("text", OneHotEncoder(), ["kind"]),
        ]
    )
    net = make_classifier(
        MLP, module__n_features=4, module__n_classes=2, max_epochs=10, lr=0.01
    )
    as_float = FunctionTransformer(lambda X: X.astype(np.float32))
    for estimator, strategy in [
        (make_pipeline(prepare, as_float, net), "deepfool_margin"),
        (make_pipeline(prepare, LogisticRegression()), "entropy"),
    ]:
        clf = make_loop(query_strategy=strategy).set_params(estimator=estimator)
        clf.fit(X, y)
        assert list(clf.feature_names_in_) == ["size", "hue", "kind"]
        assert list(clf.X_train_.columns) == ["size", "hue", "kind"]
        assert clf.score(X, y) > 0.7
        with pytest.raises(ValueError, match="feature names"):
            clf.predict(X.rename(columns={"hue": "colour"}))
    numbers = X[["size", "hue"]]
    clf = ActiveLearningClassifier(**BUDGET).fit(numbers, y)
    assert list(clf.feature_names_in_) == ["size", "hue"]
    assert clf.X_train_.dtype == np.float32


def test_a_frame_is_augmented_and_saved_as_one(tmp_path):
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    X = pd.DataFrame({"a": rng.normal(size=80) + y, "b": rng.normal(size=80)})

    class Echo:
        is_lasting = True

        def augment(self, estimator, X, y, X_pool, n_round):
            return X + 1, y, np.arange(len(y))

    def make(**kwargs):
        return ActiveLearningClassifier(
            make_pipeline(LogisticRegression()), "margin", augmenter=Echo(),
            **BUDGET | kwargs,
        )  # fmt: skip

    whole = make().fit(X, y)
    parts = make(checkpoint=tmp_path / "run", max_annotations=12).fit(X, y)
    parts = make(checkpoint=tmp_path / "run").fit(X, y)
    pd.testing.assert_frame_equal(parts.X_train_, whole.X_train_)
    assert len(whole.X_train_) == 16 + 8


def test_scores_that_are_no_probabilities_are_not_turned_round(data):
    """Negative scores, of one output more than classes, under a loss of margins."""
    X, y = data[0], data[1] % 3
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    nn.init.constant_(module[1].bias, -3.0)  # which such a loss does not see
    net = net_of(module).set_params(criterion=nn.MultiMarginLoss, max_epochs=60)
    clf = make_loop(initial=range(80), max_annotations=80, query_strategy="random")
    clf.set_params(estimator=net).fit(X, y)
    assert (clf.estimator_.forward(X).sum(dim=1) < 0).all()
    by_net = clf.estimator_.forward(X).numpy()[:, :3].argmax(axis=1)
    np.testing.assert_array_equal(clf.predict(X), by_net)


def test_a_classifier_that_has_not_seen_all_classes(data):
    X, y = data[0].reshape(160, -1), data[1]
    last_ones = np.flatnonzero(y >= 2)[:8]
    clf = make_loop(initial=last_ones, query_strategy="entropy", max_annotations=8)
    clf.set_params(estimator=LogisticRegression()).fit(X, y)
    proba = clf.predict_proba(X)
    assert proba.shape == (160, 4)
    assert not proba[:, :2].any()
    assert set(clf.predict(X)) <= {2, 3}
    np.testing.assert_array_equal(
        proba[:, 2:], clf.estimator_.predict_proba(X.astype(np.float32))
    )


def test_a_net_in_double_precision(data):
    X, y = data
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 4)).double()
    clf = make_loop().set_params(estimator=net_of(module)).fit(X, y)
    assert clf.X_train_.dtype == np.float64
    assert len(clf.X_train_) == 24
    assert clf.predict(X).shape == (160,)


def test_a_first_layer_in_place_leaves_the_pool_alone(data, tmp_path):
    X, y = data[0] - 0.5, data[1]
    path = tmp_path / "X.npy"
    np.save(path, X)
    memmap = np.load(path, mmap_mode="r+")
    module = nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(64, 4))
    for pool in (X.copy(), memmap, torch.from_numpy(X.copy())):
        clf = make_loop().set_params(estimator=net_of(module)).fit(pool, y)
        clf.predict(pool)
        np.testing.assert_array_equal(pool, X)
    np.testing.assert_array_equal(np.load(path), X)


def test_weights_of_samples(data):
    X, y = data[0].reshape(160, -1), data[1]
    with pytest.raises(TypeError, match=r"Classifier\.fit does not take sample_weight"):
        make_loop().fit(*data, sample_weight=np.ones(160))
    with pytest.raises(TypeError, match="only 'sample_weight' is supported"):
        make_loop().fit(*data, sample_weights=np.ones(160))
    loop = make_loop(query_strategy="random", max_annotations=80)
    loop.set_params(estimator=LogisticRegression())
    for favourite in (0, 1):
        weights = np.where(y == favourite, 1.0, 1e-3)
        clf = clone(loop).fit(X, y, sample_weight=weights)
        assert (clf.predict(X) == favourite).mean() > 0.9
        with config_context(enable_metadata_routing=True):
            routed = clone(loop).set_fit_request(sample_weight=True)
            routed.set_score_request(sample_weight=False)
            params = {"sample_weight": weights}
            scores = cross_val_score(
                routed, X, y, cv=2, params=params, error_score="raise"
            )
        assert (scores < 0.5).all()  # nearly all are taken for the favourite


def test_a_lone_sample_in_the_last_batch_is_found_before_the_training(data):
    module = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 4))
    loop = make_loop(n_initial=9).set_params(estimator=net_of(module))
    loop.set_params(estimator__batch_size=8)
    with pytest.raises(ValueError, match="batch normalization"):
        loop.fit(*data)


MEMORY = """
import sys, threading
import numpy as np, torch
torch.set_num_threads(1)
from skdfal import ActiveLearningClassifier, make_classifier
from skdfal.learner import LabelingSession
X = np.load(sys.argv[1], mmap_mode="r")
y = np.arange(len(X)) % 10
net = make_classifier("lenet5", max_epochs=1)

def memory():  # anonymous memory: pages of the file itself do not count
    with open("/proc/self/status") as file:
        return int(next(l for l in file if l.startswith("RssAnon")).split()[1]) / 1024

net.fit(np.array(X[:100]), y[:100])  # what torch takes once
before, peak, ended = memory(), 0.0, threading.Event()

def watch():
    global peak
    while not ended.wait(0.005):
        peak = max(peak, memory())

threading.Thread(target=watch, daemon=True).start()
settings = dict(
    n_candidates=None if sys.argv[2] == "entropy" else "auto",
    n_instances=5, random_state=0, query_strategy=sys.argv[2],
)
clf = ActiveLearningClassifier(
    net, n_initial=5, max_annotations=10, checkpoint=sys.argv[3], **settings
).fit(X, y)
clf.predict(X)
session = LabelingSession(X, range(10), net, **settings)
session.tell(session.ask(5), range(5))
session.fit()
ended.set()
print(peak - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("strategy", ["entropy", "dfal"])
def test_a_pool_beyond_memory(strategy, tmp_path):
    """200,000 images of MNIST's size, 627 MB, with less than 300 MB."""
    shape = (200_000, 1, 28, 28)
    X = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.float32, shape)
    for start in range(0, len(X), 10_000):
        X[start : start + 10_000] = np.random.default_rng(start).random(
            (10_000, 1, 28, 28), dtype=np.float32
        )
    X.flush()
    arguments = [tmp_path / "X.npy", strategy, tmp_path / "run"]
    out = subprocess.run(
        [sys.executable, "-c", MEMORY, *arguments], capture_output=True, text=True
    )
    assert out.returncode == 0, out.stderr
    assert float(out.stdout) < 300


class Failing(LogisticRegression):
    def fit(self, X, y, **params):
        raise RuntimeError("no memory")


def test_nothing_of_a_former_fit_answers_after_one_that_failed():
    """It would name classes by the codes of another fit."""
    X, y = make_blobs_of_images(60)
    X, y = X.reshape(60, -1), np.asarray(y)
    clf = ActiveLearningClassifier(LogisticRegression(), "margin", random_state=0)
    clf.set_params(max_annotations=20).fit(X, y)
    clf.set_params(estimator=Failing())
    with pytest.raises(RuntimeError, match="no memory"):
        clf.fit(X, np.array(list("dcba"))[y])
    for ask in (clf.predict, clf.predict_proba):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            ask(X)


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(2, 3), nn.Linear(1, 3)

    def forward(self, a, b):
        return self.a(a) + self.b(b)


@pytest.mark.parametrize("threshold", [0, 2])
def test_pseudo_labels_of_samples_with_several_inputs(threshold):
    """None of them, and all of the candidates."""
    rng = np.random.default_rng(0)
    X = {"a": rng.random((60, 2), "f"), "b": rng.random((60, 1), "f")}
    net = skdfal.make_classifier(TwoInputs, max_epochs=1)
    clf = ActiveLearningClassifier(net, "ceal", random_state=0, max_annotations=20)
    clf.set_params(query_params={"threshold": threshold}, n_candidates=15)
    clf.fit(X, np.arange(60) % 3)
    n_sure = 15 if threshold else 0
    assert [row["labeled_data"] for row in clf.history_] == [10, 20 + n_sure]
