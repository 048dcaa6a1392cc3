"""What twins are compared with: as many samples, and one thing less or more."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning

from skdfal import ActiveLearningClassifier, AdversarialAugmenter
from skdfal._utils._seeds import seeded
from skdfal.augment import (
    CopyAugmenter,
    MirrorAugmenter,
    NoiseAugmenter,
    RenewedAugmenter,
)
from tests.conftest import make_net

ROUNDS = {"n_initial": 8, "n_instances": 4, "max_annotations": 20, "random_state": 0}


@pytest.fixture(scope="module")
def fitted(data):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make_net().fit(data[0][:60], data[1][:60])


def added(augmenter, net, data):
    X, y = data[0][60:80], data[1][60:80]
    with seeded(0):  # as the loop does
        X_new, y_new, parents = augmenter.augment(net, X, y, X[:0], 0)
    np.testing.assert_array_equal(y_new, y[parents])
    assert X_new.dtype == X.dtype
    return X[parents], X_new


def test_copies_are_copies(fitted, data):
    X, X_new = added(CopyAugmenter(2), fitted, data)
    assert len(X_new) == 40
    np.testing.assert_array_equal(X_new, X)


def test_noise_is_as_long_as_the_way_to_the_twin(fitted, data):
    X, X_twin = added(AdversarialAugmenter(), fitted, data)
    _, X_new = added(NoiseAugmenter(), fitted, data)

    def length(step):
        return np.linalg.norm(step.reshape(len(step), -1), axis=1)

    np.testing.assert_allclose(length(X_new - X), length(X_twin - X), rtol=1e-4)
    # A random direction of 64 dimensions is about at a right angle to any other.
    cosine = ((X_new - X) * (X_twin - X)).sum((1, 2, 3)) / length(X_twin - X) ** 2
    assert abs(cosine.mean()) < 4 / np.sqrt(64 * len(X))


def test_a_mirrored_twin_is_across_the_sample(fitted, data):
    _, X_twin = added(AdversarialAugmenter(overshoot=1.0), fitted, data)
    X, X_new = added(MirrorAugmenter(overshoot=1.0), fitted, data)
    n = len(X_twin)
    np.testing.assert_array_equal(X_new[:n], X_twin)
    np.testing.assert_allclose((X_new[:n] + X_new[n:]) / 2, X[:n], atol=1e-6)


@pytest.mark.parametrize("kind", [NoiseAugmenter, MirrorAugmenter])
def test_whole_numbers_do_not_wrap_around(kind, fitted, data):
    X = np.clip(data[0][60:80] * 40 + 120, 0, 255).astype(np.uint8)
    y = data[1][60:80]
    found = []
    for given in (X, X.astype(np.float32)):
        with seeded(0):
            found.append(kind(max_iter=200).augment(fitted, given, y, X[:0], 0))
    assert found[0][0].dtype == np.float32
    for of_bytes, of_floats in zip(*found, strict=True):
        np.testing.assert_array_equal(of_bytes, of_floats)


@pytest.mark.parametrize("kind", [NoiseAugmenter, MirrorAugmenter])
def test_where_nothing_can_be_moved_it_warns_and_adds_nothing(kind, data):
    net = make_net().initialize()
    with torch.no_grad():
        for parameter in net.module_.parameters():
            parameter.zero_()
    X, y = data[0][:6], data[1][:6]
    with pytest.warns(ConvergenceWarning, match="6 of 6 samples kept their class"):
        X_new, y_new, parents = kind().augment(net, X, y, X[:0], 0)
    assert X_new.shape == (0, *X.shape[1:])
    assert len(y_new) == len(parents) == 0


def run(data, augmenter):
    learner = ActiveLearningClassifier(
        make_net(), "deepfool_margin", augmenter=augmenter, **ROUNDS
    )
    return learner.fit(*data)


def test_renewed_twins_are_of_the_newest_net_and_of_all_samples(data):
    learner = run(data, RenewedAugmenter())
    # 8, 12, 16 and 20 annotated; the twins of a round are of all that it has.
    assert [row["labeled_data"] for row in learner.history_] == [8, 24, 32, 40]
    assert len(learner.X_train_) == 20  # for one training alone


def test_kept_twins_are_of_the_new_samples(data):
    learner = run(data, AdversarialAugmenter())
    assert [row["labeled_data"] for row in learner.history_] == [8, 16, 24, 32]


def test_renewed_twins_follow_their_labels(data):
    seen = []

    class Looks(RenewedAugmenter):
        def augment(self, estimator, X, y, X_pool, n_round):
            seen.append((len(X), y.copy()))
            return super().augment(estimator, X, y, X_pool, n_round)

    learner = run(data, Looks())
    assert [n for n, _ in seen] == [12, 16, 20]
    np.testing.assert_array_equal(seen[-1][1], data[1][learner.annotated_indices_])


@pytest.mark.parametrize(
    ("augmenter", "message"),
    [
        (CopyAugmenter(0), "n_copies"),
        (NoiseAugmenter(overshoot=-1), "overshoot"),
        (MirrorAugmenter(max_iter=0), "max_iter"),
    ],
)
def test_parameters_out_of_range(augmenter, message, fitted, data):
    with pytest.raises(ValueError, match=message):
        augmenter.augment(fitted, data[0][:4], data[1][:4], data[0][:0], 0)


def test_rows_of_a_data_frame_are_copied_not_columns():
    X = pd.DataFrame({0: [1.0, 2.0, 3.0], 1: ["a", "b", "c"]})
    X_new, y_new, _ = CopyAugmenter().augment(None, X, np.array([0, 1, 1]), None, 0)
    pd.testing.assert_frame_equal(X_new, X)
    assert y_new.tolist() == [0, 1, 1]
