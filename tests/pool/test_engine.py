"""Blocks in this process and on Dask: the same units, the same answers."""

import os
import tempfile
import threading
from functools import partial

import joblib
import numpy as np
import pytest
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch import NeuralNetClassifier

import skdfal
from skdfal import LabelingSession
from skdfal.adapter import TorchNet, torch_nets
from skdfal.nets import make_classifier
from skdfal.pool import (
    ImagePool,
    InHand,
    InProcess,
    as_pool,
    engine_for,
    map_blocks,
)
from skdfal.pool import _engine as _engine_file
from tests.conftest import make_net
from tests.pool.kinds import KINDS
from tests.strategy_cases import CASES
from tests.test_common import sample

distributed = pytest.importorskip("distributed", reason="needs skdfal[dask]")
da = pytest.importorskip("dask.array")

ONE_OF_A_SORT = [
    "array",
    "tensor",
    "memmap",
    "zarr",
    "hdf5",
    "dataset of pairs",
    "files",
]
all_strategies = pytest.mark.parametrize("case", CASES, ids=str)


def cluster(n_workers, processes):
    return distributed.LocalCluster(
        n_workers=n_workers,
        threads_per_worker=1,
        processes=processes,
        dashboard_address=":0",
    )


@pytest.fixture(scope="module")
def client():
    """Two workers that are threads of this process: cheap, and as good a test."""
    with cluster(2, processes=False) as workers, distributed.Client(workers) as client:
        yield client


@pytest.fixture(scope="module", params=[1, 2])
def processes(request):
    with cluster(request.param, True) as workers:
        with distributed.Client(workers) as client:
            yield client


def in_small_blocks(case, estimator, X):
    """The answer of a strategy that works many blocks of few samples."""
    size = {} if case.strategy.needs == "nothing" else {"batch_size": 2}
    return sample(case, estimator, X, **size)


def on_dask(case, estimator, X):
    with joblib.parallel_config(backend="dask"):
        return in_small_blocks(case, estimator, X)


def sum_of(factor, part):
    return factor * float(np.asarray(part[:]).sum())


@pytest.mark.parametrize("kind", [*ONE_OF_A_SORT, "dask"])
def test_blocks_are_those_of_one_process_in_their_order(kind, client, tmp_path):
    X = np.random.default_rng(0).random((40, 1, 4, 4), dtype=np.float32)
    if kind == "dask":
        pool = as_pool(da.from_array(X, chunks=(7, 1, 2, 4)))  # cut within pictures
    else:
        pool = as_pool(KINDS[kind](X, tmp_path))
    view = pool.view(np.random.default_rng(1).permutation(40)[:33])
    expected = list(map_blocks(sum_of, 2, view, 4, engine=InProcess()))
    assert list(map_blocks(sum_of, 2, view.view([]), 4, engine=InProcess())) == []
    with joblib.parallel_config(backend="dask"):
        assert list(map_blocks(sum_of, 2, view, 4)) == expected
    assert len(expected) == 9


def test_a_dask_array_goes_to_its_cluster_and_others_where_they_are_told(client):
    array = as_pool(np.zeros((4, 2)))
    assert isinstance(engine_for(array), InProcess)
    assert engine_for(as_pool(da.zeros((4, 2)))).client is client
    with joblib.parallel_config(backend="dask"):
        assert engine_for(array).client is client


def test_a_dask_array_without_a_client_is_worked_here(monkeypatch):
    def no_client():
        raise ValueError("No clients found")

    monkeypatch.setattr(distributed, "default_client", no_client)
    pool = as_pool(da.zeros((4, 2)))
    assert isinstance(engine_for(pool), InProcess)


@all_strategies
def test_a_strategy_answers_as_in_process(case, client, estimators, pool, tmp_path):
    X = np.concatenate([pool, pool[:7]])  # ties
    expected = in_small_blocks(case, estimators["net"], X)
    X = da.from_array(X, chunks=(5, -1, -1, -1))
    np.testing.assert_array_equal(in_small_blocks(case, estimators["net"], X), expected)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*KINDS, "dask"])
@all_strategies
def test_every_pool_on_processes(case, kind, processes, estimators, pool, tmp_path):
    X = np.concatenate([pool, pool[:7]])
    expected = in_small_blocks(case, estimators["net"], X)
    if kind == "dask":
        X = da.from_array(X, chunks=(5, -1, -1, -1))
    else:
        X = KINDS[kind](X, tmp_path)
    if kind == "hdf5":  # whoever writes to a file has it for themselves
        import h5py

        path = X.file.filename
        X.file.close()
        X = h5py.File(path, "r")["X"]
    np.testing.assert_array_equal(on_dask(case, estimators["net"], X), expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pipeline", "learner", "committee"])
@all_strategies
def test_every_estimator_on_processes(case, name, processes, estimators, pool):
    expected = in_small_blocks(case, estimators[name], pool)
    np.testing.assert_array_equal(on_dask(case, estimators[name], pool), expected)


@pytest.mark.parametrize(
    "make",
    [lambda X: X[3:], lambda X: X[::2], lambda X: X[::-1, :, ::2].swapaxes(1, 2)],
)
def test_a_part_of_a_memmap_is_found_again(make, tmp_path, client):
    np.save(tmp_path / "X.npy", np.arange(240, dtype=">f4").reshape(10, 4, 6))
    X = make(np.load(tmp_path / "X.npy", mmap_mode="r"))
    pool = as_pool(X)
    assert pool.travels
    (found,) = map_blocks(_samples, None, pool, 100, engine=_engine(client))
    np.testing.assert_array_equal(found, X)


def _samples(_, part):
    return part[:]


def _engine(client):
    from skdfal.pool._dask import OnDask

    return OnDask(client)


def test_what_was_written_to_a_copy_on_write_map_is_seen(tmp_path, client):
    np.save(tmp_path / "X.npy", np.zeros((4, 2)))
    X = np.load(tmp_path / "X.npy", mmap_mode="c")
    X[1] = 5
    (found,) = map_blocks(_samples, None, as_pool(X), 100, engine=_engine(client))
    np.testing.assert_array_equal(found, X)


def test_chunks_within_shards_are_read_as_they_are_stored(tmp_path, client):
    zarr = pytest.importorskip("zarr", minversion="3")
    X = np.random.default_rng(0).random((20, 3, 4))
    array = zarr.create_array(
        str(tmp_path / "X.zarr"),
        shape=X.shape,
        chunks=(2, 1, 4),
        shards=(10, 3, 4),
        dtype=X.dtype,
    )
    array[:] = X
    view = as_pool(array).view([19, 3, 3, 0])
    (found,) = map_blocks(_samples, None, view, 100, engine=_engine(client))
    np.testing.assert_array_equal(found, X[[19, 3, 3, 0]])


def test_lengths_that_are_not_known_are_refused():
    X = np.random.default_rng(0).random((20, 3, 4))
    unknown = da.from_array(X)
    with pytest.raises(ValueError, match=r"compute_chunk_sizes\(\)"):
        as_pool(unknown[unknown[:, 0, 0] > 0.5])


def test_features_are_made_by_the_workers(client, estimators, pool, monkeypatch):
    expected = skdfal.features(estimators["committee"], pool, batch_size=8)
    monkeypatch.setattr(InProcess, "map", None)
    X = da.from_array(pool, chunks=(5, 1, 8, 8))
    found = skdfal.features(estimators["committee"], X, batch_size=8)
    np.testing.assert_array_equal(found, expected)


def test_an_error_of_a_block_is_raised_as_it_is(client, estimators, pool):
    X = pool.copy()
    X[-1] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        skdfal.entropy_score(estimators["net"], da.from_array(X, chunks=(5, 1, 8, 8)))


def test_a_query_leaves_no_trace_in_the_process_of_its_workers(client, estimators):
    X = da.from_array(np.random.default_rng(0).random((60, 1, 8, 8), dtype="f4"))
    torch.manual_seed(3)
    before = torch.get_rng_state()
    for _ in range(3):
        skdfal.bald_sampling(estimators["net"], X, 3, batch_size=2, random_state=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_samples_in_hand_know_where_they_stem_from():
    held = InHand(np.arange(6.0).reshape(3, 2), [40, 20, 30])
    view = held.view([2, 0])
    np.testing.assert_array_equal(view.indices, [30, 40])
    np.testing.assert_array_equal(view[:], [[4.0, 5.0], [0.0, 1.0]])
    assert view.view([1]).root is not held


def test_an_asynchronous_client_is_refused(client):
    class Asynchronous:
        asynchronous = True

    with pytest.raises(TypeError, match="asynchronous"):
        _engine(Asynchronous())


def test_an_asynchronous_default_client_is_refused_before_samples_are_read(
    client, monkeypatch
):
    class Asynchronous:
        asynchronous = True

    X = da.from_array(np.zeros((4, 1, 16, 16), np.float32), chunks=2)
    net = make_classifier("lenet5", image_size=16).initialize()
    monkeypatch.setattr(distributed, "default_client", Asynchronous)
    with pytest.raises(TypeError, match="asynchronous"):
        torch_nets(net, as_pool(X))


def test_what_cannot_be_pickled_says_so(client):
    thing, view = threading.Lock(), as_pool(np.zeros((2, 2))).view([0])
    with pytest.raises(TypeError, match="lock cannot be sent to the workers"):
        list(_engine(client).map(sum_of, thing, [view]))
    with pytest.raises(TypeError, match=r"^lock cannot be sent to the workers"):
        list(_engine(client).map(sum_of, [thing], [view]))


def test_proxies_in_a_file_give_the_same_answer(estimators, pool, monkeypatch):
    from skdfal.strategies import _pruned_search

    X = np.concatenate([pool, pool[:7]])
    net = estimators["net"]
    monkeypatch.setattr(TorchNet, "batch_size", lambda self, given, _=0: given or 4)
    monkeypatch.setattr("skdfal.adapter._batches._BATCHES_A_BLOCK", 1)
    expected = [skdfal.dfal(net, X, n, batch_size=2) for n in (2, 40)]
    monkeypatch.setattr(_pruned_search, "_PROXY_BYTES", 24)  # six of them at a time
    monkeypatch.setattr(_pruned_search, "_LOOK_AHEAD", 1)
    for n, indices in zip((2, 40), expected, strict=True):
        np.testing.assert_array_equal(skdfal.dfal(net, X, n, batch_size=2), indices)


def test_no_room_for_the_file_of_proxies_is_told(
    estimators, pool, monkeypatch, tmp_path
):
    from skdfal.strategies import _pruned_search

    monkeypatch.setattr(_pruned_search, "_PROXY_BYTES", 24)
    told = "in a temporary file, which could not be written: .*TMPDIR"
    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
        with pytest.raises(OSError, match=told):
            skdfal.dfal(estimators["net"], pool, 2)
    if os.path.exists("/dev/full"):
        full = partial(open, "/dev/full", "r+b")
        monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: full())
        with pytest.raises(OSError, match=told):
            skdfal.dfal(estimators["net"], pool, 2)


def test_a_large_pool_has_no_more_blocks_than_a_scheduler_bears(monkeypatch):
    monkeypatch.setattr(_engine_file, "_MOST_BLOCKS", 5)
    pool = as_pool(np.zeros((33, 1)))
    parts = list(map_blocks(lambda _, part: len(part), None, pool, 2))
    assert parts == [8, 8, 8, 8, 1]


def test_a_folder_of_pictures_travels(client, tmp_path):
    image = pytest.importorskip("PIL.Image")
    for i in range(5):
        image.new("RGB", (8, 8), (50 * i, 0, 0)).save(tmp_path / f"{i}.png")
    with ImagePool(tmp_path, image_size=8) as pool:
        (found,) = map_blocks(_samples, None, pool, 9, engine=_engine(client))
        np.testing.assert_array_equal(found, pool[:])


def test_a_session_on_a_cluster_asks_as_here(client, data):
    def asked(X):
        session = LabelingSession(
            X, range(4), make_net(max_epochs=2), n_candidates=60, random_state=0
        )
        found = [session.ask(8)]
        session.tell(found[-1], data[1][found[-1]])
        found.append(session.fit().ask(8))
        return np.concatenate([*found, session.predict(X)])

    X = da.from_array(data[0], chunks=(30, 1, 8, 8))
    np.testing.assert_array_equal(asked(X), asked(data[0]))


NOTEBOOK = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))

    def forward(self, x):
        return self.layers(x) * scale

scale = 2.0
"""


@pytest.mark.slow
def test_classes_and_functions_of_a_notebook_come_along(processes, data):
    cell = {"__name__": "__main__"}
    exec(NOTEBOOK, cell)
    net = NeuralNetClassifier(
        cell["Net"], criterion=torch.nn.CrossEntropyLoss, train_split=None, verbose=0
    )
    double = FunctionTransformer(lambda X: 2 * X)
    pipeline = make_pipeline(double, net).fit(data[0][:40], data[1][:40])
    expected = skdfal.entropy_sampling(pipeline, data[0], 9)
    with joblib.parallel_config(backend="dask"):
        found = skdfal.entropy_sampling(pipeline, data[0], 9)
    np.testing.assert_array_equal(found, expected)
