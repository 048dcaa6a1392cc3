"""A session: asked, told, corrected, killed and continued."""

import copy
import os
import pickle
import random
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback

import skdfal
from skdfal import ActiveLearningClassifier, AdversarialAugmenter, make_classifier
from skdfal.datasets import fetch_mnist
from skdfal.learner import CheckpointError, LabelingSession, UnidentifiableError
from skdfal.nets import VAE
from skdfal.pool import FilePool, PoolView
from skdfal.strategies import describe, learning_loss_score
from tests.conftest import make_blobs_of_images, make_net, make_steps
from tests.data_home import skdfal_data
from tests.pool.kinds import KINDS
from tests.processes import CONTEXT, run_in_another_process


def net_of(module):
    """A skorch net of a module that is there already."""
    return NeuralNetClassifier(
        module, criterion=torch.nn.CrossEntropyLoss, max_epochs=2, lr=0.01,
        train_split=None, verbose=0,
    )  # fmt: skip


class Pixels(torch.nn.Module):
    """Scales its input itself."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(64, 4)

    def forward(self, x):
        return self.linear(x.float().flatten(1) / 255)


NAMES = ["ant", "bee", "cat", "dog"]
N_ROUNDS = 4


def make_session(X=None, **kwargs):
    if X is None:
        X = make_blobs_of_images()[0]
    settings = {
        "classes": range(4), "estimator": make_net(max_epochs=3),
        "n_instances": 4, "random_state": 0,
    }  # fmt: skip
    return LabelingSession(X, **settings | kwargs)


def answer(session, y, n_initial=8, n_rounds=N_ROUNDS):
    """Go on until so many rounds are done, whatever of it is done already."""
    if not session.labels_:
        asked = session.ask(n_initial)
        session.tell(asked, y[asked])
    while True:
        told = len(session.labels_)
        if not session.history_ or told > session.history_[-1]["annotations"]:
            session.fit()
        if len(session.history_) == n_rounds:
            return session
        asked = session.ask(4)
        session.tell(asked, y[asked])


def state(session, X):
    names = ("annotations", "labeled_data")
    return (
        session.annotated_indices_, session.X_train_, session.y_train_,
        session.train_indices_, session.train_parents_, session.predict_proba(X),
        [[row[name] for name in names] for row in session.history_],
        session.ask(6),
    )  # fmt: skip


def assert_state(session, expected, X):
    for a, b in zip(state(session, X), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def assert_same_state(one, other, X):
    assert_state(one, state(other, X), X)


# One algorithm


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"warm_start": True},
        {"query_strategy": "random"},
        {"query_strategy": "core_set", "query_params": {"X_labeled": "train"}},
        {"query_strategy": "ceal", "query_params": {"threshold": 1.37}},
        {"n_candidates": 20},
    ],
    ids=str,
)
def test_answered_by_y_it_is_the_classifier(params, data):
    X, y = data
    session = answer(make_session(**params), y)
    loop = ActiveLearningClassifier(
        make_net(max_epochs=3), n_initial=8, n_instances=4, max_annotations=20,
        random_state=0, **params,
    ).fit(X, y)  # fmt: skip
    for name in ("annotated_indices_", "X_train_", "y_train_", "train_indices_"):
        np.testing.assert_array_equal(getattr(session, name), getattr(loop, name))
    np.testing.assert_array_equal(session.predict_proba(X), loop.predict_proba(X))
    np.testing.assert_array_equal(session.predict(X), loop.predict(X))


@pytest.mark.slow
@pytest.mark.skipif(skdfal_data() is None, reason="MNIST is not here")
def test_on_mnist_too():
    mnist = fetch_mnist(data_home=skdfal_data())
    X, y = mnist.X_train[:2000], mnist.y_train[:2000]
    net = make_classifier("lenet5", max_epochs=10, patience=3, n_restarts=2)
    session = LabelingSession(X, range(10), net, n_candidates=300, random_state=3)
    for n in (20, 10, 10, None):
        asked = session.ask(n or 10)
        if n:
            session.tell(asked, y[asked])
            session.fit()
    loop = ActiveLearningClassifier(
        net, n_initial=20, max_annotations=40, n_candidates=300, random_state=3
    ).fit(X, y)
    np.testing.assert_array_equal(session.annotated_indices_, loop.annotated_indices_)
    np.testing.assert_array_equal(session.X_train_, loop.X_train_)
    np.testing.assert_array_equal(session.predict_proba(X), loop.predict_proba(X))


# Asking


def test_what_is_asked(data):
    X, y = data
    session = make_session(X, classes=NAMES)
    first = session.ask(8)
    assert len(set(first.tolist())) == 8
    more = session.ask(5)
    assert not set(first) & set(more)
    session.skip(more[0])
    labels = [NAMES[c] for c in y]
    session.tell(first, [labels[i] for i in first])
    session.tell(int(more[1]), labels[more[1]])
    assert session.fit() is session
    after = session.ask(4)
    further = session.ask(9)  # beyond the ranking
    last = session.ask()
    asked = [*first, *more[:2], *after, *further, *last]
    assert len(set(asked)) == len(asked) == 27
    # Whoever asked and did not hear, is free to ask again after the next training.
    session.fit()
    pool = set(session.ask(1000).tolist())
    assert pool == set(range(160)) - {*first.tolist(), *more[:2].tolist()}
    assert session.ask(3).shape == (0,)
    assert session.fit().ask(2).shape == (2,)
    assert session.labels_ == {i: labels[i] for i in [*first, more[1]]}
    assert set(session.predict(X)) <= set(NAMES)
    with pytest.raises(ValueError, match="n_instances=True"):
        session.ask(True)
    with pytest.raises(ValueError, match="n_instances=0"):
        session.ask(0)


def test_an_exhausted_pool(data):
    X, y = data[0][:10], data[1][:10]
    session = make_session(X)
    assert sorted(session.ask(99)) == list(range(10))
    session.tell(range(10), y)
    assert session.fit().ask(3).shape == (0,)


def test_what_a_strategy_is_given(data):
    X, y = data
    seen = []

    def first(estimator, X, n_instances, *, random_state, X_labeled, y_labeled,
              pool_indices, X_unlabeled):  # fmt: skip
        seen.append((X, random_state, X_labeled, y_labeled, pool_indices, X_unlabeled))
        return np.arange(n_instances)

    session = make_session(X, query_strategy=first, n_candidates=30)
    session.skip([5, 6])
    session.tell([9, 4, 3], y[[9, 4, 3]])
    asked = session.fit().ask(4)
    view, seed, X_labeled, y_labeled, pool_indices, X_unlabeled = seen[0]
    np.testing.assert_array_equal(view, X[pool_indices])
    assert len(view) == 30
    np.testing.assert_array_equal(asked, pool_indices[:4])
    assert isinstance(seed, int)
    np.testing.assert_array_equal(X_labeled, X[[9, 4, 3]])
    np.testing.assert_array_equal(y_labeled, y[[9, 4, 3]])
    rest = np.setdiff1d(np.arange(160), [3, 4, 5, 6, 9])
    np.testing.assert_array_equal(X_unlabeled, X[rest])


def test_registered_strategies_get_views(data):
    seen = []

    @skdfal.strategies.register("first of all")
    def first(estimator, X, n_instances=1):
        seen.append(X)
        return np.arange(n_instances)

    try:
        session = make_session(query_strategy="first of all")
        session.tell(range(4), data[1][:4])
        session.fit()
    finally:
        skdfal.strategies.unregister("first of all")
    assert isinstance(seen[0], PoolView)


# Telling


def test_telling_is_all_or_nothing(data, tmp_path):
    session = make_session(data[0], classes=NAMES, path=tmp_path / "s")
    session.tell([1, 2], ["ant", "bee"])
    for indices, labels, message in [
        ([3, 4], ["cat", "cow"], r"'cow' is not one of the classes \['ant', 'bee'"),
        ([3, 4], ["cat"], "1 labels for 2 indices"),
        ([3, 160], ["cat", "cat"], r"in \[0, 160\)"),
        ([3, -1], ["cat", "cat"], r"in \[0, 160\)"),
        ([3, 3], ["cat", "cat"], "distinct"),
        ([3.0], ["cat"], "distinct"),
        ([3], [["cat"]], "not one of the classes"),
    ]:
        with pytest.raises(ValueError, match=message):
            session.tell(indices, labels)
    session.tell([], [])
    assert session.labels_ == {1: "ant", 2: "bee"}
    assert "2 of 160 samples labelled, " in repr(session)
    session.close()
    again = make_session(data[0], classes=NAMES, path=tmp_path / "s")
    assert again.labels_ == {1: "ant", 2: "bee"}


@pytest.mark.parametrize(
    "classes", [NAMES, [3, 1], [1.5, 2.5], [True, False], ["a", 1], np.array([7, 5])]
)
def test_labels_of_every_kind(classes, data, tmp_path):
    def make():
        return make_session(data[0], classes=classes, path=tmp_path / "s")

    with make() as session:
        known = session.classes_.tolist()
        session.tell([0, 1], known[:2])
        session.tell(2, session.classes_[1])
        session.tell(np.array([3]), session.classes_[:1])
    with make() as again:
        assert again.labels_ == {0: known[0], 1: known[1], 2: known[1], 3: known[0]}
        assert list(map(type, again.labels_.values())) == [
            type(v) for v in (known[0], known[1], known[1], known[0])
        ]


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"classes": ["a"]}, ValueError, "at least 2"),
        ({"classes": ["a", "a"]}, ValueError, "distinct"),
        ({"classes": [None, "a"]}, TypeError, "type str"),
        ({"classes": [float("nan"), 1.0]}, TypeError, "got nan"),
        ({"classes": "ab"}, TypeError, "sequence of labels"),
        ({"classes": {"a", "b"}}, TypeError, "in a fixed order"),
        ({"classes": None}, TypeError, "sequence of labels"),
        ({"query_params": {"n_instances": 3}}, ValueError, "loop itself passes"),
        (
            {
                "query_strategy": lambda e, X, n_instances, **kwargs: [],
                "query_params": {"n_instances": 3},
            },
            ValueError,
            "loop itself passes",
        ),
        (
            {"query_strategy": "core_set", "query_params": {"X_labeled": "all"}},
            ValueError,
            "'annotated', 'train'",
        ),
        ({"augmenter_params": {"clip_range": (1, 0)}}, ValueError, "smaller first"),
        ({"X": np.arange(8.0)}, ValueError, "single numbers or strings"),
        ({"X": np.array(["a", "b"])}, ValueError, "single numbers or strings"),
        ({"n_instances": 0}, ValueError, "'n_instances' parameter of LabelingSession"),
        ({"query_strategy": "best"}, ValueError, "known are dfal"),
        ({"query_params": {"foo": 1}}, ValueError, "'foo'"),
        ({"n_candidates": "all"}, ValueError, "n_candidates"),
        ({"path": 3}, ValueError, "path"),
        ({"warm_start": True, "estimator": RandomForestClassifier()}, TypeError, "net"),
        (
            {"query_strategy": "dfal", "estimator": RandomForestClassifier()},
            TypeError,
            "dfal needs a network, but estimator is a RandomForestClassifier",
        ),
        (
            {
                "query_strategy": "core_set",
                "estimator": make_pipeline(make_steps(), RandomForestClassifier()),
            },
            TypeError,
            "core_set needs a network, but estimator is a Pipeline",
        ),
    ],
)
def test_bad_parameters(params, error, message):
    with pytest.raises(error, match=message):
        make_session(**params)


def test_only_the_estimator_is_named_if_all_its_parameters_are_others(tmp_path):
    path = tmp_path / "run.skdfal"
    make_session(path=path, query_strategy="margin").close()
    forest = RandomForestClassifier()
    with pytest.raises(CheckpointError, match=r"with different estimator\. Go back"):
        make_session(path=path, query_strategy="margin", estimator=forest)


def test_fit_without_labels_of_two_classes(data):
    session = make_session()
    with pytest.raises(ValueError, match="There are no labels yet: a classifier"):
        session.fit()
    session.tell([0, 4], [0, 0])
    with pytest.raises(ValueError, match=r"labels of \[0\] only"):
        session.fit()
    with pytest.raises(NotFittedError, match="before the first fit"):
        session.predict(data[0])


def test_labels_as_tensors(data):
    session = make_session(data[0])
    session.tell(torch.tensor([0, 1]), torch.tensor([3, 2]))
    session.tell(2, torch.tensor(1))
    session.tell(3, np.array(0))
    assert session.labels_ == {0: 3, 1: 2, 2: 1, 3: 0}


def test_answers_that_come_one_after_the_other(data):
    session = make_session(data[0])
    session.tell((i for i in range(3)), map(int, "321"))
    assert session.labels_ == {0: 3, 1: 2, 2: 1}
    session.retract(iter([0]))
    session.skip(iter([0, 5]))
    assert session.labels_ == {1: 2, 2: 1}
    assert session.skipped_indices_.tolist() == [0, 5]


class NotNow(Callback):
    """Fails where a net is trained."""

    def on_train_begin(self, net, **kwargs):
        raise AssertionError("A net is trained.")


@pytest.mark.parametrize("n", [-1, 2.5, "3", True])
def test_a_number_to_rank_that_is_none_costs_no_training(n, data):
    session = make_session(data[0], estimator=make_net(callbacks=[NotNow()]))
    session.tell(range(8), data[1][:8])
    with pytest.raises(ValueError, match=r"n_instances=.* should be an int >= 0"):
        session.fit(n_instances=n)


@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_session_is_neither_copied_nor_pickled(way, data):
    with pytest.raises(TypeError, match="Give it a path"):
        way(make_session(data[0]))


def test_columns_of_another_order(data):
    X = pd.DataFrame(data[0].reshape(160, -1)[:, :2], columns=["width", "height"])
    session = make_session(X, estimator=None)
    session.tell(range(8), data[1][:8])
    session.fit()
    assert session.predict(X).tolist() == session.predict(X.to_numpy()).tolist()
    with pytest.raises(ValueError, match=r"'height', 'width'.*'width', 'height'"):
        session.predict(X[["height", "width"]])


def test_no_net_is_trained_on_nan(data, tmp_path):
    """Beyond memory a pool is checked by what is read of it, for training too."""
    X = np.lib.format.open_memmap(
        tmp_path / "X.npy", mode="w+", dtype=np.float32, shape=data[0].shape
    )
    X[:] = data[0]
    X[5, 0, 3, 3] = np.nan
    session = make_session(X, query_strategy="random")
    session.tell(range(8), data[1][:8])
    with pytest.raises(ValueError, match=r"NaN or infinity in .* samples \[5\]"):
        session.fit()
    assert session.history_ == []
    session.skip(5)
    assert np.isfinite(session.fit().predict_proba(data[0])).all()
    session = make_session(np.full(X.shape, 1e39), query_strategy="random")
    session.tell(range(8), data[1][:8])
    with (
        pytest.warns(RuntimeWarning, match="overflow"),
        pytest.raises(ValueError, match=r"beyond 3.4e\+38, the range of float32"),
    ):
        session.fit()
    initial = np.arange(8)
    classifier = ActiveLearningClassifier(make_net(), "random", initial=initial)
    with pytest.raises(ValueError, match=r"samples \[5\]"):
        classifier.fit(X, data[1])


# Twins know their parents


def twins_of(session, i):
    return (session.train_parents_ == i) & (session.train_indices_ != i)


def test_a_corrected_label_leaves_no_twin_of_the_wrong_label(data):
    y = data[1]
    session = answer(make_session(), y, n_rounds=3)
    i, j = session.annotated_indices_[8:10]
    assert twins_of(session, i).sum() == 1
    before = session.X_train_
    wrong = (y[i] + 1) % 4
    session.tell(i, wrong)
    np.testing.assert_array_equal(session.X_train_, before)  # all keep their places
    assert session.y_train_[twins_of(session, i)] == [wrong]
    assert session.y_train_[session.train_indices_ == i] == [wrong]
    assert session.y_train_[twins_of(session, j)] == y[[j]]
    session.tell(i, y[i])
    assert session.y_train_[twins_of(session, i)] == y[[i]]
    # And it is the training set that was shown on which the next net is trained.
    X_train, y_train = session.X_train_, session.y_train_
    labeled = session.fit().history_[-1]["labeled_data"]
    assert labeled == len(y_train)
    np.testing.assert_array_equal(session.X_train_[: len(X_train)], X_train)


@pytest.mark.parametrize("how", ["retract", "skip"])
def test_a_label_taken_back_takes_its_twins_along(how, data):
    y = data[1]
    session = answer(make_session(), y, n_rounds=3)
    i = int(session.annotated_indices_[8])
    n_train = len(session.X_train_)
    getattr(session, how)(i)
    assert i not in session.labels_
    assert not twins_of(session, i).any()
    assert len(session.X_train_) == n_train - 2
    session.fit()
    asked = session.ask(1000)
    assert (i in asked) == (how == "retract")
    assert (i in session.skipped_indices_) == (how == "skip")
    # Told again, it is trained on, and gets a twin of the present net.
    session.tell(i, y[i])
    assert i not in session.skipped_indices_
    assert session.annotated_indices_[-1] == i
    assert not twins_of(session, i).any()
    assert twins_of(session.fit(), i).sum() == 1


def test_what_was_skipped_comes_back(data, tmp_path):
    settings = {"path": tmp_path / "session"}
    with make_session(**settings) as session:
        session.skip([3, 4])
        session.retract(3)
    with make_session(**settings) as session:
        assert session.skipped_indices_.tolist() == [4]
        asked = session.ask(1000)
        assert (3 in asked, 4 in asked) == (True, False)


def test_retract_what_has_no_label(data):
    session = make_session()
    session.tell(3, 1)
    with pytest.raises(ValueError, match=r"Samples \[4\] have no label"):
        session.retract([3, 4])
    assert session.labels_ == {3: 1}


class Shifted:
    """Gives each sample a neighbour, whose label may be another one."""

    is_lasting = True
    uses_pool = False

    def __init__(self, knows_parents=True, other_label=False):
        self.knows_parents, self.other_label = knows_parents, other_label

    def augment(self, estimator, X, y, X_pool, n_round):
        y_new = (y + 1) % 4 if self.other_label else y
        parents = (np.arange(len(y)),) if self.knows_parents else ()
        return X + 0.25, y_new, *parents


def test_a_label_of_its_own_lasts_as_long_as_that_of_the_parent(data):
    y = data[1]
    augmenter = Shifted(other_label=True)
    session = answer(make_session(augmenter=augmenter), y, n_rounds=3)
    i, j = session.annotated_indices_[8:10]
    np.testing.assert_array_equal(
        session.y_train_[twins_of(session, i)], (y[i] + 1) % 4
    )
    session.tell(i, (y[i] + 2) % 4)
    assert not twins_of(session, i).any()
    assert twins_of(session, j).any()


@pytest.mark.parametrize("how", ["tell", "retract", "skip"])
def test_without_parents_all_of_that_call_go(how, data):
    y = data[1]
    augmenter = Shifted(knows_parents=False)
    session = answer(make_session(augmenter=augmenter), y, n_rounds=4)
    assert (session.train_indices_ < 0).sum() == 12
    assert (session.train_parents_[session.train_indices_ < 0] == -1).all()
    i = session.annotated_indices_[8]
    session.tell(i, y[i])  # the same again
    assert (session.train_indices_ < 0).sum() == 12
    if how == "tell":
        session.tell(i, (y[i] + 1) % 4)
    else:
        getattr(session, how)(i)
    assert (session.train_indices_ < 0).sum() == 8


@pytest.mark.parametrize(
    "parents", [np.array([0]), np.array([9, 0, 0, 0]), np.array([0.5, 0, 0, 0]), "abcd"]
)
def test_parents_that_are_none(parents, data):
    class Wrong(Shifted):
        def augment(self, estimator, X, y, X_pool, n_round):
            return X, y, parents

    with pytest.raises(ValueError, match="parents"):
        answer(make_session(augmenter=Wrong()), data[1])


class Looks(Shifted):
    """Adds nothing; notes which samples of the pool it sees."""

    def __init__(self, uses_pool, seen):
        self.uses_pool, self.seen = uses_pool, seen

    def augment(self, estimator, X, y, X_pool, n_round):
        self.seen.append(X_pool.indices)
        return X[:0], y[:0]


def test_the_unlabelled_are_seen_and_the_skipped_are_not(data):
    y, seen = data[1], []
    session = make_session(augmenter=Looks(True, seen))
    session.tell(range(4), y[:4])
    session.skip([100, 101])
    session.fit()
    session.tell(range(4, 6), y[4:6])
    session.fit()
    expected = np.setdiff1d(np.arange(6, 160), [100, 101])
    np.testing.assert_array_equal(seen[0], expected)


def test_candidates_are_as_many_as_the_query_has(data):
    y, seen = data[1], []
    session = make_session(augmenter=Looks("candidates", seen), n_candidates=30)
    answer(session, y, n_rounds=4)
    assert [len(set(indices)) for indices in seen] == [30, 30, 30]
    assert len(np.unique(np.concatenate(seen))) > 40  # drawn anew each round
    for n_told, indices in zip((12, 16, 20), seen, strict=True):
        assert not np.isin(indices, session.annotated_indices_[:n_told]).any()


def test_weights_of_samples(data):
    X, y = data
    weights = np.linspace(0.5, 2, 160)
    seen = []

    class Forest(RandomForestClassifier):
        def fit(self, X, y, sample_weight=None):
            seen.append((len(X), sample_weight))
            return super().fit(X, y, sample_weight)

    flat = X.reshape(160, -1)
    session = LabelingSession(
        flat, range(4), Forest(10), "entropy", augmenter=Shifted(), random_state=0
    )
    session.tell(range(8), y[:8])
    session.fit(sample_weight=weights)
    session.tell([20, 30], y[[20, 30]])
    session.fit(sample_weight=weights)
    np.testing.assert_array_equal(seen[0][1], weights[:8])
    expected = weights[[*range(8), 20, 30, 20, 30]]
    np.testing.assert_array_equal(seen[1][1], expected)
    with pytest.raises(ValueError, match=r"of shape \(3,\)"):
        session.fit(sample_weight=weights[:3])
    session = make_session()
    session.tell(range(4), y[:4])
    with pytest.raises(TypeError, match=r"Classifier\.fit does not take sample_weight"):
        session.fit(sample_weight=weights)


# All or nothing


class Fails(AdversarialAugmenter):
    failure = None

    def augment(self, *args):
        answer = super().augment(*args)
        if Fails.failure == "augment":
            raise KeyboardInterrupt
        return answer


class FailingNet(type(make_net())):
    def train_step(self, *args, **kwargs):
        out = super().train_step(*args, **kwargs)
        if Fails.failure == "train":
            signal.raise_signal(signal.SIGINT)
        return out


def rank_unless_it_fails(estimator, X, n_instances):
    if Fails.failure == "rank":
        raise RuntimeError("no ranking")
    return np.arange(n_instances)


def make_failing_session(X, warm_start, path=None):
    net = FailingNet(**make_net(max_epochs=3).get_params(deep=False))
    return make_session(
        X, estimator=net, query_strategy=rank_unless_it_fails, augmenter=Fails(),
        warm_start=warm_start, path=path,
    )  # fmt: skip


@pytest.fixture(scope="module", params=[False, True])
def never_failed(request, data):
    """Whether nets start warm, and what a session comes to in which nothing fails."""
    X, y = data
    whole = answer(make_failing_session(X, request.param), y)
    return request.param, state(whole, X)


@pytest.mark.parametrize("failure", ["augment", "train", "rank", "save"])
@pytest.mark.parametrize("stored", [False, True])
def test_a_fit_that_fails_leaves_all_as_it_was(
    failure, stored, never_failed, data, tmp_path, monkeypatch
):
    X, y = data
    warm_start, whole = never_failed
    if failure == "save" and not stored:
        pytest.skip("nothing to save")
    path = tmp_path / "s" if stored else None
    session = answer(make_failing_session(X, warm_start, path), y, n_rounds=2)
    asked = session.ask(4)
    session.tell(asked, y[asked])
    before = session.X_train_, session.predict_proba(X)
    monkeypatch.setattr(Fails, "failure", failure)
    if failure == "save":
        monkeypatch.setattr(session._store, "_insert_ranking", lambda *_: 1 / 0)
    with pytest.raises((KeyboardInterrupt, RuntimeError, ZeroDivisionError)):
        session.fit()
    monkeypatch.undo()
    assert len(session.history_) == 2
    for now, then in zip(
        (session.X_train_, session.predict_proba(X)), before, strict=True
    ):
        np.testing.assert_array_equal(now, then)
    assert_state(answer(session, y), whole, X)


def test_a_second_thread_waits(data):
    """What is told during a training is there after it, and not part of it."""
    y = data[1]
    is_training, done = threading.Event(), []

    class Slow(type(make_net())):
        def train_step(self, *args, **kwargs):
            is_training.set()
            time.sleep(0.01)
            return super().train_step(*args, **kwargs)

    slow = Slow(**make_net().get_params(deep=False))
    session = make_session(estimator=slow)
    session.tell(range(8), y[:8])

    def tell():
        is_training.wait(30)
        session.tell(20, y[20])
        done.append(len(session.history_))

    thread = threading.Thread(target=tell)
    thread.start()
    session.fit()
    thread.join(30)
    assert done == [1]
    assert session.history_[0]["annotations"] == 8
    assert len(session.labels_) == 9


def test_a_query_waits_for_a_prediction(data):
    """Otherwise the query could switch dropout on while the same net predicts."""
    X, y = data
    is_predicting, done = threading.Event(), []

    def load_slowly(name):
        is_predicting.set()
        time.sleep(0.1)
        done.append("read")
        return X[int(name)]

    def query(estimator, X, n_instances):
        done.append("query")
        return np.arange(n_instances)

    session = make_session(X, query_strategy=query)
    session.tell(range(8), y[:8])
    session.fit(n_instances=0)
    pool = FilePool(["0", "1"], load_slowly)  # reads the first to know its shape
    is_predicting.clear()
    thread = threading.Thread(target=session.predict, args=[pool])
    thread.start()
    is_predicting.wait(30)
    session.ask(1)
    thread.join(30)
    assert done.count("query") == 1
    assert done[-1] == "query"


def test_no_trace_on_generators_and_data(data):
    X, y = data
    before = X.copy()
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    answer(make_session(X), y)
    assert torch.equal(torch.get_rng_state(), states[0])
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    np.testing.assert_array_equal(X, before)


# Saved


ESTIMATORS = {
    "net": lambda: make_net(max_epochs=3),
    "pipeline": lambda: make_pipeline(make_steps(), make_net(max_epochs=2)),
    "restarts": lambda: make_classifier(
        "lenet5", image_size=8, n_classes=4, max_epochs=3, patience=2, n_restarts=2,
        module__kernel_size=3,
    ),
    "forest": lambda: make_pipeline(
        skdfal_flatten(), RandomForestClassifier(10, random_state=None)
    ),
}  # fmt: skip


def flat(X):
    return np.asarray(X).reshape(len(X), -1)


def skdfal_flatten():
    from sklearn.preprocessing import FunctionTransformer

    return FunctionTransformer(flat)


@pytest.mark.parametrize(
    ("estimator", "params"),
    [
        ("net", {}),
        ("net", {"warm_start": True}),
        ("net", {"random_state": None}),
        ("pipeline", {}),
        ("pipeline", {"warm_start": True}),
        ("forest", {"query_strategy": "entropy", "augmenter": Shifted()}),
        ("net", {"query_strategy": "ceal", "query_params": {"threshold": 1.37}}),
        ("pipeline", {"query_strategy": "ceal", "query_params": {"threshold": 1.37},
                      "warm_start": True}),
    ],
    )  # fmt: skip
def test_each_call_in_a_session_of_its_own(estimator, params, data, tmp_path):
    """The file alone is as good as a session that was never closed."""
    X, y = data
    estimator = ESTIMATORS[estimator]()
    whole = make_session(estimator=estimator, path=tmp_path / "whole", **params)
    seed = whole._seed

    def reopened():
        return make_session(estimator=estimator, path=tmp_path / "parts", **params)

    first = reopened()
    if params.get("random_state", 0) is None:
        first._store._db.execute("BEGIN")
        first._store._db.execute(
            "UPDATE meta SET value = ? WHERE name = 'meta'", [f'{{"seed": {seed}}}']
        )
        first._store._db.execute("COMMIT")
    first.close()
    for n in (8, 4, 4):
        asked = whole.ask(n)
        with reopened() as session:
            np.testing.assert_array_equal(session.ask(n), asked)
        with reopened() as session:
            np.testing.assert_array_equal(session.ask(n), asked)  # pending no more
            session.tell(asked[1:], y[asked[1:]])
        with reopened() as session:
            session.tell(asked[0], (y[asked[0]] + 1) % 4)
        with reopened() as session:
            session.tell(asked[0], y[asked[0]])
            session.skip(n)
        whole.tell(asked[1:], y[asked[1:]])
        whole.tell(asked[0], y[asked[0]])
        whole.skip(n)
        whole.fit()
        with reopened() as session:
            session.fit()
    with reopened() as session:
        assert_same_state(session, whole, X)


def open_and_answer(path, is_open):
    session = make_session(path=path)
    is_open.set()
    answer(session, make_blobs_of_images()[1], n_rounds=8)


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
@pytest.mark.parametrize("n_kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_and_continued_it_ends_the_same(n_kills, data, tmp_path):
    X, y = data
    path, rng = tmp_path / "s", random.Random(n_kills)
    for _ in range(n_kills):
        is_open = CONTEXT.Event()
        process = CONTEXT.Process(target=open_and_answer, args=(path, is_open))
        process.start()
        assert is_open.wait(60)
        time.sleep(rng.random() * 0.4)
        process.kill()
        process.join()
    session = answer(make_session(path=path), y, n_rounds=8)
    assert_same_state(session, answer(make_session(), y, n_rounds=8), X)


def tell_and_die(path):
    session = make_session(path=path)
    session.tell([3, 1], [0, 2])
    session.skip(7)
    session.retract(3)
    os._exit(1)


def test_told_is_on_the_disk_before_it_returns(data, tmp_path):
    run_in_another_process(tell_and_die, tmp_path / "s")
    session = make_session(path=tmp_path / "s")
    assert session.labels_ == {1: 2}
    assert session.skipped_indices_.tolist() == [7]


def test_another_run_is_refused(data, tmp_path):
    X, y = data
    path = tmp_path / "s"
    answer(make_session(path=path), y, n_rounds=1).close()
    before = path.read_bytes()
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 4))
    for name, other in {
        "X": {"X": X + 1},
        "classes": {"classes": [0, 1, 3, 2]},
        "estimator__lr": {"estimator": make_net(max_epochs=3, lr=0.5)},
        "estimator__module": {"estimator": net_of(module)},
        "query_strategy": {"query_strategy": "random"},
        "augmenter": {"augmenter": AdversarialAugmenter(p=1)},
        "random_state": {"random_state": 1},
        "n_instances": {"n_instances": 5},
        "query_params": {"query_params": {"overshoot": 0.5}},
    }.items():
        with pytest.raises(CheckpointError, match=f"different .*{name}"):
            make_session(path=path, **other)
    assert path.read_bytes() == before
    lock = threading.Lock()
    with pytest.raises(UnidentifiableError, match=r"'lock' in query_strategy"):
        make_session(path=tmp_path / "t", query_strategy=lambda *_: lock)
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize(
    "one_and_other",
    [
        lambda: [net_of(m) for m in two_modules()],
        lambda: [make_net(max_epochs=1, callbacks=[("c", c)]) for c in two_callbacks()],
    ],
    ids=["weights", "closures"],
)
def test_what_repr_does_not_show_is_told_apart(one_and_other, tmp_path):
    one, other = one_and_other()
    make_session(estimator=one, path=tmp_path / "s").close()
    make_session(estimator=one, path=tmp_path / "s").close()
    with pytest.raises(CheckpointError, match="different estimator__"):
        make_session(estimator=other, path=tmp_path / "s")


def test_goes_on_where_the_net_works_elsewhere(tmp_path):
    for device in ("cpu", torch.device("cpu"), None):
        net = make_net(max_epochs=1, device=device)
        with make_session(estimator=net, path=tmp_path / "s") as session:
            asked = session.ask(2)
            session.tell(asked, [0, 1])
    assert len(session.labels_) == 6


def two_modules():
    for seed in (0, 1):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 4))


def two_callbacks():
    from skorch.callbacks import LRScheduler

    for scale in (1, 2):
        yield LRScheduler("LambdaLR", lr_lambda=lambda epoch, scale=scale: scale)


def test_labels_are_carried_over_to_a_session_with_other_parameters(data, tmp_path):
    _, y = data
    path = tmp_path / "s"
    session = answer(make_session(path=path), y, n_rounds=2)
    first, second, third = list(session.labels_)[:3]
    session.retract(first)
    session.skip(second)
    session.tell(third, 0)
    session.tell(first, 1)
    with pytest.raises(CheckpointError, match="in use by another session"):
        LabelingSession.read_labels(path)
    session.close()
    before = path.read_bytes()
    more = {"classes": [0, 1, 2, 3, "other"], "estimator": None}
    with pytest.raises(
        CheckpointError, match=r"session with different classes"
    ) as info:
        make_session(path=path, **more)
    assert "read_labels" in str(info.value)
    assert "elete" not in str(info.value)
    labels = LabelingSession.read_labels(str(path))
    assert list(labels.items()) == list(session.labels_.items())
    assert path.read_bytes() == before
    new = make_session(path=tmp_path / "new", **more)
    new.tell(list(labels), list(labels.values()))
    assert new.labels_ == labels


def test_labels_are_read_from_saved_sessions_alone(tmp_path):
    with pytest.raises(CheckpointError, match="There is no file"):
        LabelingSession.read_labels(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    (tmp_path / "text").write_text("cats")
    with pytest.raises(CheckpointError, match="not a readable skdfal checkpoint"):
        LabelingSession.read_labels(tmp_path / "text")


def test_two_sessions_on_one_file(data, tmp_path):
    path = tmp_path / "s"
    session = make_session(path=path)
    with pytest.raises(CheckpointError, match="in use by another session"):
        make_session(path=path)
    session.tell(range(4), data[1][:4])
    session.close()
    with pytest.raises(CheckpointError, match="is closed"):
        session.tell(5, 1)
    assert len(session.labels_) == 4  # what was not stored was not told
    assert len(make_session(path=path).labels_) == 4


# Pools


POOLS = {
    name: KINDS[name]
    for name in ("tensor", "list of arrays", "memmap", "dataset of pairs", "files")
} | {"float64": lambda X, _: X.astype(np.float64)}


@pytest.fixture(scope="module")
def state_in_memory(data):
    X, y = data
    return state(answer(make_session(X), y), X)


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("path", [None, "s"])
def test_pools_of_all_kinds(kind, path, state_in_memory, data, tmp_path):
    X, y = data
    pool = POOLS[kind](X, tmp_path)
    path = path and tmp_path / path
    session = answer(make_session(pool, path=path), y, n_rounds=2)
    if path:
        session.close()
        session = make_session(pool, path=path)
    assert_state(answer(session, y), state_in_memory, X)


def test_the_precision_and_the_kind_that_the_module_wants(data):
    X, y = data
    double = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 4)).double()
    session = answer(make_session(estimator=net_of(double)), y, n_rounds=2)
    assert session.X_train_.dtype == np.float64
    bytes_ = (X * 255).astype(np.uint8)
    session = answer(make_session(bytes_), y, n_rounds=2)
    assert session.X_train_.dtype == np.float32
    pixels = net_of(Pixels())  # takes bytes as they are, but a twin is no byte
    session = answer(make_session(bytes_, estimator=pixels), y, n_rounds=2)
    assert session.X_train_.dtype == np.float32
    assert len(session.X_train_) > len(session.labels_)
    tokens = (np.arange(160)[:, None] * 3 + np.arange(5)) % 40
    words = torch.nn.Sequential(torch.nn.EmbeddingBag(40, 8), torch.nn.Linear(8, 4))
    session = make_session(tokens, estimator=net_of(words), query_strategy="entropy")
    answer(session, y, n_rounds=2)
    assert session.X_train_.dtype == np.int64
    assert session.predict(tokens).shape == (160,)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_module_of_half_precision_is_told_what_to_do(dtype, data):
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 4)).to(dtype)
    session = make_session(data[0], estimator=net_of(module))
    session.tell(range(8), data[1][:8])
    with pytest.raises(ValueError, match=f"weights of {dtype} .*Cast them"):
        session.fit()


@pytest.mark.parametrize("strategy", ["vaal", "ta_vaal"])
@pytest.mark.parametrize("shape", [(3,), (1, 7, 16)])
def test_samples_that_a_strategy_cannot_look_at_are_refused_before_labels(
    strategy, shape
):
    X = np.zeros((5, *shape), np.float32)
    with pytest.raises(ValueError, match=r"at least 8x8 pixels.* have shape \("):
        LabelingSession(X, [0, 1], None, strategy)
    # What comes before a net may make pictures of them.
    net = make_classifier("lenet5", image_size=16, loss_prediction="ranking")
    grow = FunctionTransformer(lambda X: np.zeros((len(X), 1, 16, 16), np.float32))
    LabelingSession(X, [0, 1], make_pipeline(grow, net), strategy)


def test_the_smallest_pictures_of_vaal_are_those_of_its_autoencoder():
    smallest = describe("vaal").min_image_size
    VAE(smallest, 1)
    with pytest.raises(ValueError, match="image_size"):
        VAE(smallest - 1, 1)


@pytest.mark.parametrize("strategy", ["learning_loss", "ta_vaal"])
def test_a_net_without_the_head_of_the_strategy_is_refused_before_labels(strategy):
    X = np.zeros((5, 1, 16, 16), np.float32)
    net = make_classifier("lenet5", image_size=16)
    with pytest.raises(ValueError, match="has no loss-prediction head"):
        LabelingSession(X, [0, 1], net, strategy)


def test_a_net_with_a_head_comes_back_as_it_was(tmp_path):
    X = np.random.default_rng(0).random((8, 1, 16, 16), dtype=np.float32)
    net = make_classifier(
        "lenet5", image_size=16, n_classes=2, max_epochs=1, loss_prediction="margin"
    )
    settings = {"estimator": net, "random_state": 0, "path": tmp_path / "session"}
    with LabelingSession(X, [0, 1], **settings) as session:
        session.tell(range(6), [0, 1] * 3)
        before = session.fit(n_instances=0).estimator_
    with LabelingSession(X, [0, 1], **settings) as session:
        after = session.estimator_
    assert after.loss_layers_ == before.loss_layers_
    np.testing.assert_array_equal(
        learning_loss_score(after, X), learning_loss_score(before, X)
    )
