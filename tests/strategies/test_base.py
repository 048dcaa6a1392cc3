"""Ranking and drawing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skdfal.strategies._base import draw_candidates, top_k

scores = hnp.arrays(
    float, st.integers(1, 30), elements=st.sampled_from([-np.inf, -1.5, 0.0, 2.0, 7.0])
)


@given(score=scores, data=st.data())
def test_top_k_is_a_stable_sort(score, data):
    n = data.draw(st.integers(1, len(score)))
    expected = sorted(range(len(score)), key=lambda i: (-score[i], i))[:n]
    assert top_k(score, n).tolist() == expected
    cuts = data.draw(st.lists(st.integers(0, len(score)), max_size=5).map(sorted))
    assert top_k(iter(np.split(score, cuts)), n).tolist() == expected


def test_nan_never_passes():
    with pytest.raises(ValueError, match="1 of 3 scores are NaN"):
        top_k(np.array([1.0, np.nan, 2.0]), 1)


def test_candidates_are_uniform():
    draws = [draw_candidates(np.zeros(10), 1, 3, seed)[0] for seed in range(400)]
    counts = np.bincount(np.concatenate(draws), minlength=10)
    assert counts.sum() == 1200
    assert counts.min() > 80  # 120 expected, standard deviation 9
