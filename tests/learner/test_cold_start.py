"""Typical samples of clusters: the first labels of a pool of which nothing is known."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans

from skdfal import ActiveLearningClassifier
from skdfal.adapter import sample_values
from skdfal.experiment import Protocol, run_trial
from skdfal.learner import _cold_start as cold_start
from skdfal.learner import typical_samples
from tests.conftest import make_net

CENTERS = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0], [9.0, 9.0]])


def four_heaps(sizes=(40, 30, 20, 10), seed=0):
    """Heaps of four sizes, far apart, in a random order."""
    rng = np.random.default_rng(seed)
    heap = rng.permutation(np.repeat(np.arange(4), sizes))
    return CENTERS[heap] + rng.normal(scale=0.5, size=(len(heap), 2)), heap


@pytest.mark.parametrize("few", [10**9, 0], ids=["kmeans", "mini-batches"])
def test_the_sample_nearest_to_the_middle_of_each_heap(few, monkeypatch):
    monkeypatch.setattr(cold_start, "_FEW", few)
    X, heap = four_heaps()
    found = typical_samples(X, 4, random_state=0)
    np.testing.assert_array_equal(heap[found], [0, 1, 2, 3])  # the largest first
    if few:
        for c, i in enumerate(found):
            members = np.flatnonzero(heap == c)
            distance = np.linalg.norm(X[members] - X[members].mean(axis=0), axis=1)
            assert i == members[distance.argmin()]


def test_large_pictures_are_averaged_in_blocks():
    rng = np.random.default_rng(0)
    small = rng.random((30, 1, 20, 30)).astype(np.float32)
    large = small.repeat(4, axis=2).repeat(3, axis=3)  # 80 x 90
    values = sample_values(large, "")
    # 80 in blocks of 3 leaves 2 rows out; 90 in blocks of 3 is the picture itself.
    assert values.shape == (30, 26 * 30)
    np.testing.assert_allclose(sample_values(small, ""), small.reshape(30, -1))
    same = small.repeat(2, axis=2).repeat(2, axis=3)
    np.testing.assert_array_equal(
        typical_samples(same, 3, random_state=0),
        typical_samples(small, 3, random_state=0),
    )


def test_a_large_pool_is_looked_at_in_part(monkeypatch):
    X, heap = four_heaps()
    looked = []
    monkeypatch.setattr("sklearn.cluster.KMeans", partial(Kept, looked))
    found = typical_samples(X, 4, max_samples=60, random_state=0)
    assert [len(Z) for Z in looked] == [60]
    assert len(set(heap[found])) == 4
    # Where memory does not do for so many, fewer; but as many as are asked for.
    monkeypatch.setattr(cold_start, "_BYTES", 25 * 8)
    typical_samples(X, 4, random_state=0)
    assert len(looked[-1]) == 25
    assert len(set(typical_samples(X, 50, random_state=0).tolist())) == 50


class Kept(KMeans):
    def __init__(self, looked=None, n_clusters=8, *, n_init=3, random_state=None):
        super().__init__(n_clusters, n_init=n_init, random_state=random_state)
        self.looked = looked

    def fit(self, X, y=None, sample_weight=None):
        self.looked.append(X)
        return super().fit(X)


def test_rows_of_a_table_are_clustered_as_an_array_is():
    X = np.random.default_rng(0).random((30, 3))
    frame = pd.DataFrame(X, columns=list("abc")).astype({"a": "float32"})
    found = typical_samples(frame, 4, random_state=0)
    np.testing.assert_array_equal(found, typical_samples(X, 4, random_state=0))
    with pytest.raises(ValueError, match="Draw the first samples at random"):
        typical_samples(frame.assign(a="text"), 4)


@pytest.mark.filterwarnings("error")
def test_copies_make_no_clusters_and_samples_are_distinct():
    X = np.repeat(CENTERS, 5, axis=0)
    found = typical_samples(X, 7, random_state=0)
    assert len(set(found.tolist())) == 7
    assert {tuple(x) for x in X[found]} == {tuple(x) for x in CENTERS}


def test_the_loop_begins_with_them(data):
    X, y = data
    y = np.where(np.arange(len(y)) % 3, y, -1)  # each third cannot be asked for
    settings = {"n_initial": 4, "max_annotations": 8, "n_instances": 4}
    learner = ActiveLearningClassifier(
        make_net(max_epochs=2), "random", initial="cluster", random_state=0, **settings
    ).fit(X, y)
    assert (learner.annotated_indices_ % 3 > 0).all()
    assert len(set(y[learner.annotated_indices_[:4]])) == 4  # four blobs, four classes
    again = ActiveLearningClassifier(
        make_net(max_epochs=2), "random", initial="cluster", random_state=0, **settings
    ).fit(X, y)
    np.testing.assert_array_equal(learner.annotated_indices_, again.annotated_indices_)


def test_an_experiment_begins_with_them(tmp_path):
    protocol = Protocol(
        n_pool=60, n_test=20, max_annotations=20, max_epochs=1, initial="cluster"
    )
    rows = run_trial(protocol, "random", 0, out_dir=tmp_path)
    assert [row["annotations"] for row in rows] == [10, 20]
    assert protocol.settings()["initial"] == "cluster"
    with pytest.raises(ValueError, match="initial='stratified' should be 'random' or"):
        Protocol(initial="stratified")


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((3, 2)), "n_samples=4 should be <= 3"),
        (np.array([["a", "b"]] * 5), "cannot be clustered"),
        (np.zeros(5), "cannot be clustered"),
        (np.zeros((5, 0)), "have no values to cluster"),
        (np.full((5, 2), np.nan), "holds NaN, infinity"),
        (np.full((5, 1, 64, 64), 1e300), "values beyond float32"),
    ],
)
def test_what_cannot_be_clustered(X, message):
    with pytest.raises(ValueError, match=message):
        typical_samples(X, 4)
