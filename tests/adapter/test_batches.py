"""Blocks of every kind come as numbers, native and finite, or are refused by name."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.pipeline import Pipeline

import skdfal
from skdfal.adapter._batches import _checked
from skdfal.pool import Pool, as_pool


@pytest.mark.parametrize(
    ("block", "dtype"),
    [
        (np.ones((2, 3), dtype=">f4"), "float32"),
        (np.ones((2, 3), dtype=np.longdouble), "float64"),
        (np.ones((2, 3), dtype=np.uint16), "int64"),
        (np.ones((2, 3), dtype=np.uint8), "uint8"),
        (np.ones((2, 3), dtype=bool), "bool"),
        (csr_array(np.ones((2, 3), dtype=np.float32)), "float32"),
        ([[1, 1, 1], [1, 1, 1]], "int64"),
    ],
)
def test_blocks_become_numbers_that_torch_has(block, dtype):
    found = _checked(block)
    assert found.dtype == np.dtype(dtype)
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, np.ones((2, 3)))


def test_parts_of_a_block_are_checked_each():
    found = _checked({"a": np.ones((2, 3), dtype=">i2"), "b": torch.ones(2, 3)})
    assert found["a"].dtype.isnative
    assert isinstance(found["b"], torch.Tensor)
    with pytest.raises(ValueError, match="NaN or infinity"):
        _checked({"a": np.ones((2, 3)), "b": torch.full((2, 3), torch.inf)})


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (np.ones((2, 3), dtype=complex), "[Cc]omplex"),
        (np.array([["2020-01-01"]], dtype="M8[D]"), "should contain real numbers"),
        (np.array([["a", "b"]]), "could not convert|real numbers|numeric"),
        (np.ones(3), r"got shape \(3,\)"),
        (torch.ones(3), r"got shape \(3,\)"),
        (torch.full((2, 3), torch.nan), "NaN or infinity"),
        (np.full((2, 3), np.nan), "NaN"),
    ],
)
def test_blocks_that_are_no_samples_are_refused(block, message):
    with pytest.raises(ValueError, match=message):
        _checked(block)


def test_pipelines_without_a_net_at_their_end_are_refused(estimators, pool):
    last = Pipeline([("half", estimators["pipeline"][0]), ("net", "passthrough")])
    with pytest.raises(TypeError, match="ends in 'passthrough'"):
        skdfal.dfal(last, pool)
    with pytest.raises(TypeError, match="Pipeline has no steps"):
        skdfal.dfal(Pipeline([]), pool)


class Nothing(Pool):
    """A pool of three samples that does not say how to take them."""

    def __len__(self):
        return 3


def test_a_pool_without_take_says_what_to_define():
    with pytest.raises(TypeError, match=r"Nothing should define take\(indices\)"):
        Nothing().take([0])


def test_a_pool_of_dicts_has_no_shape_and_is_indexed_like_a_list():
    pool = as_pool({"a": np.arange(6).reshape(3, 2), "b": np.ones((3, 1))})
    with pytest.raises(AttributeError, match="are not arrays"):
        _ = pool.shape
    for index in (3, -4):
        with pytest.raises(IndexError, match=f"index {index} is out of range of 3"):
            _ = pool[index]
