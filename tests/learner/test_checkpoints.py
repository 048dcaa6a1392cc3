"""Runs of the classifier on the disk: other data, other parameters, other budgets."""

import os

import joblib
import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from skdfal import ActiveLearningClassifier
from skdfal.learner import CheckpointError, UnidentifiableError, _store
from tests.conftest import make_net, make_steps
from tests.learner.test_session import net_of

BUDGET = {"n_initial": 8, "n_instances": 4, "max_annotations": 16, "random_state": 0}


def make_loop(estimator=None, **kwargs):
    estimator = make_net(max_epochs=2) if estimator is None else estimator
    return ActiveLearningClassifier(estimator, **BUDGET | kwargs)


def assert_same_run(one, other, X):
    for name in ("annotated_indices_", "X_train_", "y_train_", "labeled_iter_"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    names = ("annotations", "labeled_data")
    assert [[r[n] for n in names] for r in one.history_] == [
        [r[n] for n in names] for r in other.history_
    ]


def pipeline():
    return make_pipeline(make_steps(), make_net(max_epochs=2))


@pytest.fixture(
    scope="module",
    params=[
        (None, {}),
        (None, {"warm_start": True}),
        (None, {"n_instances": [3, 4]}),
        (None, {"n_candidates": 30}),
        (None, {"query_strategy": "ceal", "query_params": {"threshold": 1.37}}),
        ("pipeline", {}),
        ("pipeline", {"warm_start": True}),
    ],
    ids=str,
)
def direct_run(request, data):
    """A function that makes the loop, and what it comes to in one run."""
    estimator, params = request.param

    def make(**kwargs):
        return make_loop(estimator and pipeline(), **params | kwargs)

    return make, make(max_annotations=19).fit(*data)


@pytest.mark.parametrize("budgets", [(10, 19), (9, 11, 12, 19)], ids=str)
def test_a_larger_budget_ends_as_a_direct_run(budgets, direct_run, data, tmp_path):
    """A last round that a smaller budget cut short is done again."""
    X, y = data
    make, direct = direct_run
    for budget in budgets:
        more = make(checkpoint=tmp_path / "run", max_annotations=budget).fit(X, y)
        assert len(more.annotated_indices_) == budget
    assert_same_run(more, direct, X)


@pytest.mark.parametrize("where", ["fit", "ask", "tell"])
def test_a_short_round_that_was_killed_on_the_way(where, data, tmp_path, monkeypatch):
    from skdfal.learner import LabelingSession

    class PowerCut(Exception):
        pass

    calls = []
    true = getattr(LabelingSession, where)

    def cut(self, *args, **kwargs):
        calls.append(where)
        if len(calls) == 2:
            if where == "ask":  # asked for 2 rather than for 4, and killed
                true(self, *args, **kwargs)
            raise PowerCut
        return true(self, *args, **kwargs)

    X, y = data
    with monkeypatch.context() as patch:
        patch.setattr(LabelingSession, where, cut)
        run = make_loop(checkpoint=tmp_path / "run", max_annotations=14)
        with pytest.raises(PowerCut):
            run.fit(X, y)
    more = make_loop(checkpoint=tmp_path / "run", max_annotations=17).fit(X, y)
    assert_same_run(more, make_loop(max_annotations=17).fit(X, y), X)


def test_a_row_whose_monitor_did_not_return_comes_again(data, tmp_path):
    X, y = data
    seen = []

    class PowerCut(Exception):
        pass

    def cut(clf, row):
        seen.append(row)
        if len(seen) == 2:
            raise PowerCut

    held_out = {"X_val": X[:40], "y_val": y[:40]}
    clf = make_loop(checkpoint=tmp_path / "run")
    with pytest.raises(PowerCut):
        clf.fit(X, y, monitor=cut, **held_out)
    clf.fit(X, y, monitor=cut, **held_out)
    assert [row["annotations"] for row in seen] == [8, 12, 12, 16]
    assert seen[1]["score"] == seen[2]["score"]
    assert seen[1]["fit_seconds"] == seen[2]["fit_seconds"]  # not trained again
    whole = make_loop().fit(X, y, **held_out)
    assert [r["score"] for r in clf.history_] == [r["score"] for r in whole.history_]
    assert all(r["query_seconds"] > 0 for r in clf.history_[:-1])


def test_other_data_has_a_file_beside(data, tmp_path):
    X, y = data
    path = tmp_path / "run.ckpt"
    first = make_loop(checkpoint=path).fit(X, y)
    before = path.read_bytes()
    other = make_loop(checkpoint=path).fit(X + 1, y)
    make_loop(checkpoint=path).fit(X, (y + 1) % 4)
    assert path.read_bytes() == before
    names = sorted(p.name for p in tmp_path.iterdir())
    assert len(names) == 3
    assert all(len(n) == len("run-12345678.ckpt") for n in names if n != "run.ckpt")
    # Each finds its own again.
    trained = []
    note = {"monitor": lambda clf, row: trained.append(row["annotations"])}
    assert_same_run(make_loop(checkpoint=path).fit(X, y, **note), first, X)
    assert_same_run(make_loop(checkpoint=path).fit(X + 1, y, **note), other, X + 1)
    assert trained == [16, 16]
    with pytest.raises(CheckpointError, match="different estimator__lr"):
        make_loop(checkpoint=path).set_params(estimator__lr=1.0).fit(X + 1, y)


# Two jobs are by default those of the grid search below.
@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_cross_validation_with_a_checkpoint(n_jobs, data, tmp_path):
    X, y = data
    loop = make_loop(checkpoint=tmp_path / "run.ckpt")
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        scores, again = (
            cross_val_score(loop, X, y, cv=3, n_jobs=n_jobs, error_score="raise")
            for _ in range(2)
        )
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(scores, again)
    assert len(list(tmp_path.glob("run*.ckpt"))) == 3


def test_a_file_may_be_begun_between_two_looks(tmp_path, monkeypatch):
    path = tmp_path / "run.ckpt"
    path.touch()

    def data_of(path):
        if path.stat().st_size:
            return 7
        path.write_bytes(b"by another process, just after this look")

    monkeypatch.setattr(_store, "data_of", data_of)
    assert _store._data_once_there(path) == 7


def search_with_folder(folder, n_jobs, is_there, X, y):
    if is_there:
        folder.mkdir()
    loop = make_loop(
        checkpoint=folder if is_there else f"{folder}{os.sep}", query_strategy="random"
    )
    grid = {"estimator__lr": [0.001, 0.01]}
    # Sums depend on the number of threads, of which a worker has more on more cores.
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        search = GridSearchCV(loop, grid, cv=2, n_jobs=n_jobs, error_score="raise")
        search.fit(X, y)
    assert len(list(folder.iterdir())) == 5  # and one for the best on all samples
    return [search.cv_results_[f"split{i}_test_score"] for i in (0, 1)]


@pytest.mark.parametrize(
    "is_there", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_grid_search_with_a_folder(is_there, data, tmp_path):
    parallel = search_with_folder(tmp_path / "parallel", 2, is_there, *data)
    serial = search_with_folder(tmp_path / "serial", 1, not is_there, *data)
    assert np.isfinite(serial).all()
    np.testing.assert_array_equal(parallel, serial)


def test_what_repr_does_not_tell(data, tmp_path):
    """Each pair of runs would share a file if parameters were known by their repr."""
    X, y = data

    class Quiet:
        is_lasting, uses_pool = True, False

        def __init__(self, shift):
            self.shift = shift

        def augment(self, estimator, X, y, X_pool, n_round):
            return X + self.shift, y

        def __repr__(self):
            return "Quiet()"

    def layers(seed):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 4))

    def by(scale):
        return lambda estimator, X, n: np.argsort(X.sum(axis=(1, 2, 3)) * scale)[:n]

    def near(estimator, X, n, kernel=None):
        return np.arange(n)

    long = np.random.default_rng(0).permutation(160)[:120]
    swapped = long.copy()
    swapped[[60, 61]] = long[[61, 60]]
    kernel = np.zeros((100, 100))
    other_kernel = kernel.copy()
    other_kernel[50, 50] = 1
    pairs = {
        "estimator": [{"estimator": net_of(layers(seed))} for seed in (0, 1)],
        "initial": [{"initial": i, "max_annotations": 120} for i in (long, swapped)],
        "query_strategy": [{"query_strategy": by(scale)} for scale in (1, -1)],
        "query_params": [
            {"query_strategy": near, "query_params": {"kernel": k}}
            for k in (kernel, other_kernel)
        ],
        "augmenter": [{"augmenter": Quiet(shift)} for shift in (0.1, 0.2)],
    }
    for name, (one, other) in pairs.items():
        path = tmp_path / name
        make_loop(checkpoint=path, **one).fit(X, y)
        make_loop(checkpoint=path, **one).fit(X, y)
        with pytest.raises(CheckpointError, match=f"different {name}"):
            make_loop(checkpoint=path, **other).fit(X, y)


def test_what_cannot_be_known_is_refused(data, tmp_path):
    with open(os.devnull) as file:
        loop = make_loop(checkpoint=tmp_path / "run", query_params={"X_labeled": file})
        loop.set_params(query_strategy="core_set")
        with pytest.raises(UnidentifiableError, match=r"query_params\['X_labeled'\]"):
            loop.fit(*data)
    assert not list(tmp_path.iterdir())


def test_a_forest_with_weights_is_trained_again(data, tmp_path):
    X, y = data[0].reshape(160, -1), data[1]
    weights = np.linspace(0.1, 3, 160)
    params = {
        "estimator": RandomForestClassifier(10), "query_strategy": "margin",
        "max_annotations": 24,
    }  # fmt: skip
    whole = make_loop(**params).fit(X, y, sample_weight=weights)

    class PowerCut(Exception):
        pass

    def cut(clf, row):
        if row["annotations"] == 16:
            raise PowerCut

    run = make_loop(checkpoint=tmp_path / "run", **params)
    with pytest.raises(PowerCut):
        run.fit(X, y, sample_weight=weights, monitor=cut)
    run.fit(X, y, sample_weight=weights)
    assert_same_run(run, whole, X)
    unweighted = make_loop(**params).fit(X, y)
    assert (unweighted.predict_proba(X) != whole.predict_proba(X)).any()
    # Other weights are other data.
    make_loop(checkpoint=tmp_path / "run", **params).fit(X, y)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_in_use_is_refused(data, tmp_path):
    X, y = data
    path = tmp_path / "run"
    errors = []

    def again(clf, row):
        try:
            make_loop(checkpoint=path).fit(X, y)
        except CheckpointError as exc:
            errors.append(str(exc))

    make_loop(checkpoint=path).fit(X, y, monitor=again)
    assert len(errors) == 3
    assert all("in use" in message for message in errors)
