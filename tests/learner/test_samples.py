"""Samples of several inputs by name: put together, conformed, written and read."""

import numpy as np
import pytest
import torch

from skdfal.learner._samples import concatenate, conform, from_arrays, to_arrays


def inputs(n, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "image": rng.random((n, 2, 2), dtype=np.float32),
        "age": torch.arange(n, dtype=torch.float64)[:, None],
        "room": rng.integers(0, 9, (n, 1)),
    }


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, part in one.items():
        assert type(part) is type(other[name])
        assert part.dtype == other[name].dtype
        np.testing.assert_array_equal(part, other[name])


def test_each_input_is_put_below_its_own():
    one, other = inputs(3), inputs(2, seed=1)
    both = concatenate([one, other])
    assert_same({name: part[:3] for name, part in both.items()}, one)
    assert_same({name: part[3:] for name, part in both.items()}, other)


def test_written_and_read_they_are_what_they_were():
    samples = inputs(3)
    arrays = to_arrays(samples)
    assert all(isinstance(part, np.ndarray) for part in arrays.values())
    assert_same(from_arrays(arrays, like=inputs(1, seed=1)), samples)


@pytest.mark.parametrize(
    ("name", "part", "message"),
    [
        (
            "image",
            np.zeros((3, 2, 3)),
            r"\(n, 2, 2\), got float64 of shape \(3, 2, 3\)",
        ),
        ("image", np.full((3, 2, 2), np.nan), "expected finite samples"),
        ("room", np.zeros((3, 1)), "expected samples of int64, got float64"),
    ],
)
def test_each_input_is_checked_by_that_of_the_pool(name, part, message):
    with pytest.raises(ValueError, match=message):
        conform(inputs(3) | {name: part}, like=inputs(1))
