"""Pools: a length, samples by index, and the same answer from every kind."""

import pickle
from pathlib import Path

import dask.array
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from torch.utils.data import Dataset, IterableDataset, TensorDataset

import skdfal
from skdfal.pool import FilePool, ImagePool, as_pool
from tests.pool.kinds import KINDS, Samples
from tests.strategy_cases import CASES
from tests.test_common import sample

every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def X():
    return np.random.default_rng(0).random((40, 1, 8, 8), dtype=np.float32)


@every_kind
def test_takes_samples_in_any_order_and_twice(kind, X, tmp_path):
    pool = as_pool(KINDS[kind](X, tmp_path))
    assert len(pool) == 40
    for indices in ([3, 1, 39], [5, 5, 0], np.arange(10, 20), [], [-1]):
        np.testing.assert_allclose(
            np.asarray(pool.take(indices)), X[np.asarray(indices, dtype=int)]
        )
    assert as_pool(pool) is pool


@every_kind
def test_what_is_taken_is_a_copy(kind, X, tmp_path):
    pool = as_pool(KINDS[kind](X, tmp_path))
    for indices in (np.arange(40), [4]):
        taken = pool.take(indices)
        taken *= 0
        np.testing.assert_allclose(np.asarray(pool.take(indices)), X[indices])


@every_kind
def test_a_view_of_a_view_knows_where_it_stems_from(kind, X, tmp_path):
    pool = as_pool(KINDS[kind](X, tmp_path))
    view = pool.view([9, 4, 7, 4]).view([2, 0])
    assert view.root is pool
    np.testing.assert_array_equal(view.indices, [7, 9])
    np.testing.assert_allclose(np.asarray(view), X[[7, 9]])
    assert view.shape == (2, 1, 8, 8)
    np.testing.assert_allclose(np.asarray(view[1]), X[9])
    np.testing.assert_allclose(np.asarray(view[:1]), X[[7]])
    np.testing.assert_allclose(np.asarray(view[np.array([False, True])]), X[[9]])


@pytest.fixture(scope="module")
def answers(pool):
    """Answers to the array itself, each of which is looked for once."""
    found = {}

    def answer(case, name, estimator):
        key = str(case), name
        if key not in found:
            found[key] = sample(case, estimator, pool)
        return found[key]

    return answer


@every_kind
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_strategy_answers_as_in_memory(
    case, kind, estimators, answers, pool, tmp_path
):
    expected = answers(case, "net", estimators["net"])
    other = KINDS[kind](pool, tmp_path)
    np.testing.assert_array_equal(sample(case, estimators["net"], other), expected)


@pytest.mark.parametrize("kind", ["memmap", "dataset of pairs"])
@pytest.mark.parametrize("estimator", ["pipeline", "committee"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_estimator_answers_as_in_memory(
    case, estimator, kind, estimators, answers, pool, tmp_path
):
    expected = answers(case, estimator, estimators[estimator])
    other = KINDS[kind](pool, tmp_path)
    np.testing.assert_array_equal(sample(case, estimators[estimator], other), expected)


def test_candidates_alone_are_read(estimators, pool):
    class Counting(Samples):
        read = 0

        def __getitem__(self, i):
            self.read += 1
            return super().__getitem__(i)

    dataset = Counting(pool)
    skdfal.entropy_sampling(estimators["net"], dataset, 2, n_candidates=5)
    assert dataset.read <= 5 + 6  # and some first looks


def test_the_check_is_that_of_the_batch(estimators, pool):
    """A sample that nobody looks at may be anything; one that is scored may not."""
    X = pool.copy()
    X[-1] = np.nan
    S_k = as_pool(X).view(np.arange(39))
    assert skdfal.entropy_sampling(estimators["net"], S_k, 3).shape == (3,)
    with pytest.raises(ValueError, match="NaN"):
        skdfal.entropy_sampling(estimators["net"], X, 3)


def test_frames_and_sparse_matrices():
    table = np.random.default_rng(0).random((6, 3))
    frame = pd.DataFrame(table, columns=["a", "b", "c"])
    taken = as_pool(frame).take([4, 1])
    assert list(taken.columns) == ["a", "b", "c"]
    np.testing.assert_array_equal(taken, table[[4, 1]])
    matrix = scipy.sparse.csc_matrix(table)
    np.testing.assert_array_equal(as_pool(matrix).take([4, 1]), table[[4, 1]])


def test_several_inputs_by_name():
    pool = as_pool({"image": np.arange(6.0).reshape(3, 2), "age": [[1], [2], [3]]})
    taken = pool.view([2, 0]).take([0])
    np.testing.assert_array_equal(taken["image"], [[4.0, 5.0]])
    np.testing.assert_array_equal(taken["age"], [[3]])
    with pytest.raises(ValueError, match="different numbers of samples"):
        as_pool({"a": np.zeros((3, 2)), "b": np.zeros((4, 2))})


class Named(Samples):
    """Samples of two inputs, one of which is a text."""

    def __getitem__(self, i):
        return {"image": self.X[i], "caption": f"picture {i}"}


def test_a_dataset_of_several_inputs(X):
    pool = as_pool(Named(X))
    assert pool.sample_shape is None  # there is one for each input
    taken = pool.take([3, 1])
    np.testing.assert_array_equal(taken["image"], X[[3, 1]])
    assert taken["caption"].tolist() == ["picture 3", "picture 1"]


class Stream(IterableDataset):
    def __iter__(self):
        return iter(())


class Endless(Dataset):
    def __getitem__(self, i):
        return torch.zeros(2)


class Ragged(Samples):
    def __getitem__(self, i):
        return torch.zeros(1, 8, 8 + i % 2)


REFUSED = {
    "empty": (lambda: np.empty((0, 2)), ValueError, "empty"),
    "empty list": (lambda: [], ValueError, "empty"),
    "empty dataset": (lambda: Samples(np.empty((0, 2))), ValueError, "empty"),
    "no files": (lambda: FilePool([], np.load), ValueError, "empty"),
    "one number": (lambda: np.float64(3), ValueError, "single number"),
    "one number as tensor": (lambda: torch.tensor(3.0), ValueError, "one number"),
    "one number of dask": (lambda: dask.array.zeros(()), ValueError, "one number"),
    "masked": (
        lambda: np.ma.array(np.zeros((3, 2)), mask=[[0, 1]] * 3),
        ValueError,
        "3 masked entries",
    ),
    "names": (lambda: ["a.png", "b.png"], TypeError, "FilePool"),
    "stream": (Stream, TypeError, "map-style"),
    "no length": (Endless, TypeError, "no __len__"),
    "sparse tensor": (lambda: torch.eye(3).to_sparse(), TypeError, "dense"),
    "complex tensor": (lambda: torch.ones(3, 2) * 1j, ValueError, "real"),
    "number": (lambda: 3.0, TypeError, "cannot be a pool"),
    "loader": (lambda: FilePool(["a"], "read"), TypeError, "loader="),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_pool(name):
    make, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message):
        as_pool(make())


def test_a_mask_that_masks_nothing_is_no_obstacle():
    assert len(as_pool(np.ma.array(np.zeros((3, 2)), mask=False))) == 3


@pytest.mark.parametrize(
    "make",
    [
        lambda: [np.zeros((1, 8, 8)), np.zeros((1, 8, 9))],
        lambda: np.array([np.zeros((1, 8, 8)), np.zeros((2, 8, 8))], dtype=object),
        lambda: Ragged(np.zeros((4, 1, 8, 8), np.float32)),
    ],
    ids=["list", "array of objects", "dataset"],
)
def test_samples_of_several_shapes(make):
    pool = as_pool(make())
    with pytest.raises(ValueError, match="shape"):
        pool.take([0, 1])


@pytest.mark.parametrize(
    "X", ["pictures", Path("pictures"), ["a.png"], [Path("a.png")], (b"a.png",)]
)
def test_names_are_no_samples(X):
    with pytest.raises(TypeError, match=r"ImagePool.*FilePool") as refused:
        as_pool(X)
    assert repr(X if isinstance(X, str | Path) else X[0]) in str(refused.value)


@pytest.mark.parametrize(
    ("sample", "kind", "message"),
    [
        (np.zeros((8, 8)), ValueError, "on bad.png: ValueError: axes don't match"),
        (np.zeros((8, 9, 3)), ValueError, r"shape \(3, 8, 9\) for bad.png, but \(3, 8"),
        (OSError("truncated"), OSError, "on bad.png: OSError: truncated"),
        (KeyError("mode"), ValueError, "on bad.png: KeyError: 'mode'"),
    ],
    ids=["grey", "shape", "damaged", "other"],
)
def test_the_file_at_which_a_loader_fails_is_named(sample, kind, message):
    def loader(name):
        if name == "bad.png" and isinstance(sample, Exception):
            raise sample
        array = sample if name == "bad.png" else np.zeros((8, 8, 3))
        return array.transpose(2, 0, 1)

    pool = FilePool(["a.png", "b.png", "bad.png"], loader)
    with pytest.raises(kind, match=message):
        pool.take([1, 2])
    with pytest.raises(kind, match=message):
        pool.take([2])


def test_a_missing_file_is_told_as_the_system_tells_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone"):
        FilePool([tmp_path / "gone.npy"], np.load)


def test_one_name_is_no_list_of_files():
    with pytest.raises(TypeError, match="names='pictures' should be a list"):
        FilePool("pictures", np.load)


def test_samples_of_a_list_that_are_several_things():
    image = np.zeros((1, 8, 8))
    with pytest.raises(ValueError, match="2 objects of different shapes"):
        as_pool([(image, 1), (image, 0)])
    with pytest.raises(TypeError, match="list of dicts"):
        as_pool([{"image": image}])
    assert as_pool([(image, image), (image, image)]).shape == (2, 2, 1, 8, 8)


def test_one_sample_is_a_row_of_whatever_it_is():
    frame = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    pool = as_pool({"table": frame, "array": np.arange(4).reshape(2, 2)})
    one = pool[-1]
    assert one["table"].tolist() == [2, 4]
    assert one["array"].tolist() == [2, 3]
    assert as_pool(frame)[0].tolist() == [1, 3]


def test_a_pool_shows_what_it_holds(tmp_path):
    pool = as_pool(np.zeros((9, 1, 8, 8)))
    assert repr(pool) == "ArrayPool(9 samples of (1, 8, 8))"
    assert repr(pool.view([1, 2])) == "PoolView(2 samples of (1, 8, 8))"
    assert repr(as_pool({"a": np.zeros(3)})) == "MappingPool(3 samples)"
    Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    Image.new("L", (3, 3)).save(tmp_path / "a.png")
    found = repr(ImagePool(tmp_path, image_size=16))
    assert found == f"ImagePool({str(tmp_path)!r}, 1 samples of (1, 16, 16))"


def test_a_list_is_of_the_dtype_that_holds_all_its_samples():
    X = [np.zeros(3, np.float32), torch.ones(3, dtype=torch.int64), [0.5, 1, 2]]
    pool = as_pool(X)
    assert pool.dtype == np.float64
    for indices in ([0], [1], [0, 1, 2]):
        taken = pool.take(indices)
        assert taken.dtype == np.float64
        np.testing.assert_array_equal(taken, [np.asarray(X[i]) for i in indices])


def test_files_are_of_the_dtype_of_the_first():
    samples = {"a": np.zeros(3, np.float32), "b": np.ones(3), "c": torch.ones(3).int()}
    pool = FilePool([*"abc"], samples.get)
    for indices in ([0], [1], [2, 0], [0, 1, 2]):
        taken = pool.take(indices)
        assert taken.dtype == pool.dtype == np.float32
        np.testing.assert_array_equal(taken[:, 0], np.minimum(indices, 1))
    with pytest.raises(ValueError, match="first file has dtype int32, which cannot"):
        FilePool([*"cb"], samples.get).take([1])


def test_indices_out_of_range():
    pool = as_pool(np.zeros((4, 2)))
    for indices in ([4], [-5], [[0]], [0.5], [True]):
        with pytest.raises(IndexError):
            pool.take(indices)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.uint64])
def test_indices_of_a_narrow_dtype_reach_into_a_long_pool(dtype):
    X = np.arange(1000)
    np.testing.assert_array_equal(as_pool(X).take(np.array([9, 100], dtype)), [9, 100])


def test_a_list_of_half_precision_tensors_is_taken_in_single():
    pool = as_pool([torch.full((3,), 0.5, dtype=torch.bfloat16)] * 2)
    assert pool.dtype == pool.take([1]).dtype == np.float32
    np.testing.assert_array_equal(pool.take([1]), [[0.5] * 3])


def test_a_copy_of_a_memmap_lies_in_memory_where_all_of_it_is_looked_at(tmp_path):
    mapped = np.memmap(tmp_path / "X", np.uint8, "w+", shape=(2000, 2))
    assert not as_pool(mapped[::-1]).is_in_memory
    for copy in (mapped.copy(), mapped.astype(np.float32)):
        digest = as_pool(copy).digest()
        copy[1] = 7  # none of the few samples that tell a pool beyond memory
        assert as_pool(copy).digest() != digest


def _hdf5(X):
    h5py = pytest.importorskip("h5py")
    with h5py.File("X", "w") as file:
        file["X"] = X
    return h5py.File("X", "r")["X"]


def _zarr(X):
    zarr = pytest.importorskip("zarr")
    zarr.open("X", mode="w", shape=X.shape, chunks=(7, 1, 8, 8), dtype="f4")[:] = X
    return zarr.open("X", mode="r")


@pytest.mark.parametrize("make", [_hdf5, _zarr])
def test_a_relative_file_is_found_from_another_folder_or_missed(
    X, make, tmp_path, monkeypatch
):
    """A zarr array that was pickled with a relative path gave zeros without a word."""
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps(as_pool(make(X)))
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(pickle.loads(content).take([3]), X[[3]])
    (tmp_path / "X").rename(tmp_path / "away")
    with pytest.raises((OSError, ValueError)):
        pickle.loads(content)


def test_a_frame_with_two_columns_of_one_name_has_a_digest():
    frame = pd.DataFrame([[1, 2.5], [3, 4.5]], columns=["a", "a"])
    digest = as_pool(frame).digest()
    assert digest == as_pool(frame.copy()).digest()
    frame.iloc[1, 1] = 7
    assert as_pool(frame).digest() != digest


@every_kind
def test_the_digest_is_that_of_the_contents(kind, X, tmp_path):
    pool = as_pool(KINDS[kind](X, tmp_path))
    (tmp_path / "again").mkdir()
    again = as_pool(KINDS[kind](X, tmp_path / "again"))
    assert pool.digest() == again.digest()
    other = X.copy()
    other[20] += 1
    (tmp_path / "other").mkdir()
    assert pool.digest() != as_pool(KINDS[kind](other, tmp_path / "other")).digest()


def test_the_digest_of_named_inputs_is_that_of_each(X):
    ages = pd.DataFrame({"age": [str(i) for i in range(40)]}, dtype=object)
    digest = as_pool({"image": X, "age": ages}).digest()
    assert as_pool({"age": ages, "image": X}).digest() == digest
    assert as_pool({"image": X, "years": ages}).digest() != digest
    assert as_pool({"image": X, "age": ages[::-1]}).digest() != digest
    assert as_pool({"image": X[::-1], "age": ages}).digest() != digest


def test_what_was_written_to_a_private_map_is_pickled_with_it(X, tmp_path):
    """The file has it not: a pool by its name alone would have other samples."""
    np.save(tmp_path / "X.npy", X)
    private = np.load(tmp_path / "X.npy", mmap_mode="c")
    private[3] = 7.0
    again = pickle.loads(pickle.dumps(as_pool(private)))
    np.testing.assert_array_equal(again.take([3, 4]), private[[3, 4]])
    np.testing.assert_array_equal(np.load(tmp_path / "X.npy"), X)


class Noisy(Samples):
    """Augments at random, as Datasets for training do."""

    def __getitem__(self, i):
        return self.X[i] + torch.randn(())


def test_what_differs_each_time_is_not_recognised(X, tmp_path):
    with pytest.raises(ValueError, match="change each time they are read"):
        as_pool(Noisy(X)).digest()
    with pytest.raises(ValueError, match="change each time they are read"):
        skdfal.LabelingSession(Noisy(X), classes=[0, 1], path=tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_items_of_three(X):
    tensor = torch.from_numpy(X)
    with pytest.raises(ValueError, match="An item of TensorDataset has 3 parts"):
        as_pool(TensorDataset(tensor, tensor, tensor))


def test_a_file_that_was_closed(X, tmp_path):
    import h5py

    with h5py.File(tmp_path / "closed.h5", "w") as file:
        array = file.create_dataset("X", data=X)
    with pytest.raises(ValueError, match="keep its file open"):
        as_pool(array)
