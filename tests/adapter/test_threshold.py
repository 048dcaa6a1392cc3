"""Binary classifiers that decide at another probability than one half."""

import math

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch import NeuralNetBinaryClassifier
from torch import nn

import skdfal
from skdfal import ActiveLearningClassifier, AdversarialAugmenter, make_classifier
from tests.adversarial_nets import small_cnn

THRESHOLD = 0.2


def make_binary(module, **kwargs):
    settings = {"train_split": None, "verbose": 0, "threshold": THRESHOLD} | kwargs
    return NeuralNetBinaryClassifier(module, **settings)


@pytest.fixture(scope="module")
def binary(data):
    X, y = data[0][:60], (data[1][:60] % 2).astype(np.float32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = make_binary(small_cnn(n_outputs=1), optimizer=torch.optim.Adam, lr=0.01)
        return net.set_params(max_epochs=5).fit(X, y)


def sigmoid_of(linear):
    return nn.Sequential(linear, nn.Sigmoid(), nn.Flatten(0))


@pytest.mark.parametrize("kind", ["one output", "hidden", "probability"])
def test_the_margin_of_a_plane_is_the_distance_to_its_threshold(kind):
    linear = nn.Linear(2, 1)
    linear.weight.data = torch.tensor([[3.0, 4.0]])
    linear.bias.data[:] = 1
    module = {
        "one output": linear,
        "hidden": nn.Sequential(linear, nn.ReLU6()),
        "probability": sigmoid_of(linear),
    }[kind]
    X = np.random.default_rng(0).uniform(0, 0.6, (9, 2)).astype(np.float32)
    threshold = {"hidden": 0.8}.get(kind, THRESHOLD)
    criterion = nn.BCELoss if kind == "probability" else nn.BCEWithLogitsLoss
    net = make_binary(module, criterion=criterion, threshold=threshold).initialize()
    if kind == "probability":
        net.set_params(predict_nonlinearity=lambda p: torch.stack([1 - p, p], 1))
    f, boundary = X @ [3, 4] + 1, math.log(threshold / (1 - threshold))
    expected = np.abs(f - boundary) / 5
    found = -skdfal.deepfool_margin_score(net, X, max_iter=200)
    np.testing.assert_allclose(found, expected, rtol=2e-3)
    query = skdfal.dfal(net, X, 9)
    np.testing.assert_array_equal(query, expected.argsort())
    np.testing.assert_array_equal(
        net.predict(X), f > math.log(threshold / (1 - threshold))
    )


def test_twins_change_what_predict_returns(binary, pool):
    twins = AdversarialAugmenter(binary, prefit=True).transform(pool)
    assert (binary.predict(twins) != binary.predict(pool)).all()
    p = binary.predict_proba(twins)[:, 1]
    np.testing.assert_allclose(p, THRESHOLD, atol=0.05)


def test_probabilities_are_those_of_the_net(binary, pool):
    p = binary.predict_proba(pool)
    entropy = -(p * np.log(p)).sum(1)
    np.testing.assert_allclose(skdfal.entropy_score(binary, pool), entropy, rtol=1e-4)


def test_the_loop_predicts_as_its_net(data):
    X, y = data[0], np.array(["no", "yes"])[data[1] % 2]
    net = make_binary(small_cnn(n_outputs=1), max_epochs=2)
    clf = ActiveLearningClassifier(
        net, n_initial=10, max_annotations=20, random_state=0
    )
    clf.fit(X, y)
    expected = clf.predict_proba(X)[:, 1] > THRESHOLD
    np.testing.assert_array_equal(clf.predict(X) == "yes", expected)
    np.testing.assert_array_equal(clf.estimator_.predict(X), expected)
    assert expected.any()


@pytest.mark.parametrize("threshold", [0, 1, 1.5])
def test_a_threshold_that_leaves_no_boundary(binary, pool, threshold):
    net = make_binary(small_cnn(n_outputs=1), threshold=threshold).initialize()
    assert skdfal.entropy_sampling(net, pool, 3).shape == (3,)
    with pytest.raises(ValueError, match=f"threshold={threshold} .*one class"):
        skdfal.dfal(net, pool, 3)


def identity():
    return FunctionTransformer(inverse_func=lambda X: X, func=lambda X: X)


# From a net or another classifier to one that decides elsewhere.
DECIDING_ELSEWHERE = {
    "fixed": lambda of: FixedThresholdClassifier(of, threshold=0.4),
    "of class 0": lambda of: FixedThresholdClassifier(of, threshold=0.4, pos_label=0),
    "tuned": lambda of: TunedThresholdClassifierCV(of, cv=2, random_state=0),
    "tuned for class 0": lambda of: TunedThresholdClassifierCV(
        of, scoring=make_scorer(f1_score, pos_label=0), cv=2, random_state=0
    ),
    "auto": lambda of: FixedThresholdClassifier(of),
    "in a pipeline": lambda of: make_pipeline(
        identity(), FixedThresholdClassifier(of, threshold=0.4)
    ),
    "in a search": lambda of: GridSearchCV(
        FixedThresholdClassifier(of), {"threshold": [0.4]}, cv=2
    ),
    "frozen": lambda of: FixedThresholdClassifier(of, threshold=0.4),
}


@pytest.fixture(scope="module")
def two_classes(data):
    return data[0], data[1] % 2


@pytest.mark.parametrize("kind", DECIDING_ELSEWHERE)
def test_twins_cross_the_threshold_around_a_net(kind, two_classes, pool):
    net = make_classifier(small_cnn(n_outputs=2), max_epochs=3, lr=0.01)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        clf = DECIDING_ELSEWHERE[kind](net).fit(*two_classes)
    clf = FrozenEstimator(clf) if kind == "frozen" else clf
    augmenter = AdversarialAugmenter(clf, prefit=True, overshoot=0.05)
    twins = augmenter.transform(pool)
    assert (clf.predict(twins) != clf.predict(pool)).mean() > 0.9


@pytest.mark.parametrize("kind", DECIDING_ELSEWHERE)
@pytest.mark.parametrize("of", ["net", "no net"])
def test_the_loop_predicts_as_its_threshold_classifier(of, kind, two_classes):
    X, y = two_classes
    net = make_classifier(small_cnn(n_outputs=2), max_epochs=2, lr=0.003)
    estimator = net if of == "net" else LogisticRegression(C=1e-4)
    X = X if of == "net" else X.reshape(len(X), -1)
    clf = ActiveLearningClassifier(
        clone(DECIDING_ELSEWHERE[kind](estimator)),
        "margin",
        n_initial=30,
        max_annotations=30,
        random_state=0,
    ).fit(X, np.array(["no", "yes"])[y])
    expected = clf.estimator_.predict(X)
    np.testing.assert_array_equal(clf.predict(X) == "yes", expected == 1)
