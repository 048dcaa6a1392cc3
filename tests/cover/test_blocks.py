"""The greedy cover of blocks is that of one array, however they are cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skdfal.cover import _blocks, k_center_greedy, k_center_greedy_of_blocks
from skdfal.pool import InProcess


class Counting(InProcess):
    """Counts how often all blocks are asked for their farthest points."""

    n_rounds = 0

    def apply(self, function, kept, *args, keep=False):
        self.n_rounds += function is _blocks._farthest
        return super().apply(function, kept, *args, keep=keep)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_equals_the_cover_of_one_array_with_ties_and_duplicates(data):
    n = data.draw(st.integers(1, 40))
    seed = data.draw(st.integers(0, 10**6))
    rng = np.random.default_rng(seed)
    X = rng.integers(0, data.draw(st.sampled_from([2, 5, 1000])), size=(n, 2))
    X = X.astype(data.draw(st.sampled_from([np.float32, np.float64])))
    labeled = rng.integers(0, 5, size=(data.draw(st.integers(0, 3)), 2)).astype(float)
    cuts = np.sort(rng.integers(1, n + 1, size=data.draw(st.integers(0, 4))))
    blocks = [b for b in np.split(X, cuts) if len(b)]
    n_centers = data.draw(st.integers(1, n))
    n_far = data.draw(st.integers(1, 5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_blocks, "N_FAR", n_far)
        patch.setattr(_blocks, "_MIN_FAR", 1)
        found = k_center_greedy_of_blocks(
            InProcess(), blocks, n_centers, X_labeled=labeled
        )
    expected = k_center_greedy(X, n_centers, X_labeled=labeled).centers
    np.testing.assert_array_equal(found, expected)


def test_hundreds_of_centers_take_a_few_rounds():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 16)).astype(np.float32)
    engine, labeled = Counting(), X[:50].astype(float)
    blocks = np.array_split(X, 12)
    found = k_center_greedy_of_blocks(engine, blocks, 200, X_labeled=labeled)
    expected = k_center_greedy(X, 200, X_labeled=labeled).centers
    np.testing.assert_array_equal(found, expected)
    assert engine.n_rounds <= 5


def test_features_that_are_not_finite_are_refused():
    blocks = [np.zeros((2, 2)), np.full((2, 2), np.nan)]
    with pytest.raises(ValueError, match="NaN or infinity"):
        k_center_greedy_of_blocks(InProcess(), blocks, 1)
