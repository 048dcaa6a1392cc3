"""Rare classes as in the TA-VAAL paper, and experiments on them."""

import numpy as np
import pytest

from skdfal.datasets import make_imbalanced
from skdfal.experiment import Protocol, load_data


@pytest.mark.parametrize(("ratio", "rare"), [(1, 5000), (10, 500), (100, 50)])
def test_counts_of_the_paper(ratio, rare):
    """The authors' code has [50, 5000] five times over for the ratio 100."""
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 5000))
    X = np.arange(50_000)[:, None]
    X_kept, y_kept = make_imbalanced(X, y, ratio)
    assert np.bincount(y_kept).tolist() == [rare, 5000] * 5
    # The first of each class, in their order, each with its label.
    assert (np.diff(X_kept[:, 0]) > 0).all()
    np.testing.assert_array_equal(y[X_kept[:, 0]], y_kept)
    for label in range(10):
        first = np.flatnonzero(y == label)[: (y_kept == label).sum()]
        np.testing.assert_array_equal(X_kept[y_kept == label, 0], first)


def test_other_rare_classes_keep_one_sample_at_least():
    y = np.repeat(["cat", "dog"], [30, 3])
    X, y = make_imbalanced(np.zeros((33, 2)), y, 100, rare_classes=["dog"])
    assert X.shape == (31, 2)
    assert (y == "dog").sum() == 1


@pytest.mark.parametrize(
    ("y", "params", "message"),
    [
        ([0, 1], {"ratio": 0.5}, "'ratio' parameter"),
        ([0, 0], {"ratio": 2}, "n_classes=1; two or more"),
        ([0, 1, 1], {"ratio": 2}, "X has 2 samples, but y has 3 labels"),
        ([0, 1], {"ratio": 2, "rare_classes": [3]}, r"rare_classes=\[3\] should be"),
        (
            [0, 1],
            {"ratio": 2, "rare_classes": [[0], [1]]},
            "should be a list of labels",
        ),
        ([0, 1], {"ratio": 2, "rare_classes": [True]}, r"rare_classes=\[True\] should"),
        ([0, 1], {"ratio": 2, "rare_classes": ["a", 7]}, r"=\['a', 7\] should be"),
        ([0, 1], {"ratio": True}, "'ratio' parameter"),
        ([[1, 0], [0, 1]], {"ratio": 2}, r"y has shape \(2, 2\); expected one label"),
        ([[0], [1]], {"ratio": 2}, r"y has shape \(2, 1\); .*y\.ravel\(\)"),
        ([0, np.nan], {"ratio": 2}, "y has 1 labels that are NaN"),
    ],
)
def test_bad_input(y, params, message):
    with pytest.raises(ValueError, match=message):
        make_imbalanced(np.zeros((2, 1)), y, **params)


@pytest.mark.parametrize("y", [[0, "cat"], ["cat", None], [0, None]])
def test_labels_of_several_kinds_are_refused(y):
    with pytest.raises(TypeError, match=r"y mixes labels of the types .*expected only"):
        make_imbalanced(np.zeros((2, 1)), y, 2)


def test_labels_may_be_booleans():
    _, y = make_imbalanced(np.zeros((4, 1)), [True, True, False, False], 2)
    assert y.tolist() == [True, True, False]
    X, y = np.zeros((4, 1)), np.array([True, True, False, False])
    _, y = make_imbalanced(X, y, 2, rare_classes=[True])
    assert y.tolist() == [True, False, False]


def test_what_has_no_end_for_numpy_is_refused():
    class Endless:  # as torch Datasets are that never raise an IndexError
        def __len__(self):
            return 2

        def __getitem__(self, i):
            assert i < 2, "read beyond its end"
            return 0.0

    with pytest.raises(TypeError, match=r"X is of type Endless.*Subset\(dataset"):
        make_imbalanced(Endless(), [0, 1], 2)


def test_an_experiment_thins_what_it_trains_on_alone():
    plain, rare = Protocol("digits"), Protocol("digits", imbalance=10)
    counts = np.bincount(load_data(plain).y_train)
    y_test = load_data(plain).y_test
    found = load_data(rare)
    expected = [round(n / 10) if i % 2 == 0 else n for i, n in enumerate(counts)]
    assert np.bincount(found.y_train).tolist() == expected
    np.testing.assert_array_equal(found.y_test, y_test)
    # What is kept for validation comes before the thinning, and stays balanced too.
    held = load_data(Protocol("digits", imbalance=10, n_validation=500))
    assert np.bincount(held.y_test).min() > 30


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"imbalance": 0.5}, "imbalance=0.5 should be >= 1"),
        ({"net_params": "sgd"}, "net_params='sgd' should be a dict"),
    ],
)
def test_bad_fields(params, message):
    with pytest.raises(ValueError, match=message):
        Protocol(**params)
