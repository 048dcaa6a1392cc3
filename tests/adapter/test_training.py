"""Training tells what a net lacks, and leaves the errors of the module alone."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from skdfal import (
    ActiveLearningClassifier,
    AdversarialAugmenter,
    PseudoLabelAugmenter,
    make_classifier,
)
from skdfal.adapter._not_finite import check_weights
from skdfal.adapter._training import fit_samples
from skdfal.nets import MLP
from tests.adversarial_nets import small_cnn
from tests.conftest import make_net


class Raising(nn.Module):
    """Raises an error of its own."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.linear = kind, nn.Linear(2, 2)

    def forward(self, x):
        raise self.kind("the module's own")


@pytest.mark.parametrize("kind", [IndexError, RuntimeError, ValueError])
def test_an_error_of_the_module_is_raised_as_it_is(kind):
    net = NeuralNetClassifier(Raising, module__kind=kind, train_split=None)
    with pytest.raises(kind, match=r"^the module's own$"):
        fit_samples(net, np.zeros((4, 2), np.float32), np.array([0, 1, 0, 1]))


@pytest.mark.parametrize(
    ("dtype", "n_outputs", "message"),
    [
        (np.float32, 2, "Label 2 of y .* is out of bounds: the module has too few"),
        (np.float64, 3, "weights of torch.float32 and does not take .* float64"),
    ],
)
def test_what_torch_says_in_its_own_words_is_said_in_those_of_the_user(
    dtype, n_outputs, message
):
    net = NeuralNetClassifier(
        nn.Linear(2, n_outputs), criterion=nn.CrossEntropyLoss, train_split=None
    )
    with torch.random.fork_rng(), pytest.raises(ValueError, match=message):
        fit_samples(net, np.zeros((3, 2), dtype), np.arange(3))


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
def test_twins_of_a_net_in_its_precision(precision):
    X, y = make_blobs(30, centers=2, random_state=0)
    net = make_classifier(nn.Linear(2, 2, dtype=precision), max_epochs=1, n_classes=2)
    twins = AdversarialAugmenter(net, random_state=0).fit(X, y)
    assert twins.estimator_.module_.weight.dtype == precision
    assert twins.transform(X).shape == X.shape


def test_pseudo_labels_of_a_net_that_takes_tokens():
    class OfTokens(nn.Sequential):
        def __init__(self):
            super().__init__(nn.EmbeddingBag(9, 4), nn.Linear(4, 2))

    X, y = np.random.default_rng(0).integers(9, size=(20, 5)), np.arange(20) % 3 - 1
    augmenter = PseudoLabelAugmenter(
        make_classifier(OfTokens, max_epochs=1, n_classes=2), threshold=9.0
    )
    X_more, y_more = augmenter.fit_resample(X, y)
    assert X_more.dtype == X.dtype
    assert len(y_more) == 20


def test_a_training_that_diverges_is_an_error(data):
    X, y = data
    with pytest.raises(ValueError, match=r"training of Sequential has diverged.*rate"):
        fit_samples(make_net(lr=1e30, max_epochs=3), X[:20], y[:20])
    with pytest.raises(ValueError, match="has diverged"):
        AdversarialAugmenter(make_net(lr=1e30, max_epochs=3)).fit(X[:20], y[:20])
    loop = ActiveLearningClassifier(
        make_net(lr=1e30, max_epochs=3),
        query_strategy="random",  # which asks no net
        n_initial=10,
        max_annotations=20,
        random_state=0,
    )
    with pytest.raises(ValueError, match="has diverged"):
        loop.fit(X, y)


def test_a_split_that_needs_more_samples_of_each_class(data):
    net = NeuralNetClassifier(small_cnn(), criterion=nn.CrossEntropyLoss, verbose=0)
    for n in (4, 12):  # skorch's default: a stratified fifth
        with pytest.raises(ValueError, match=r"split \d+ samples.*train_split=None"):
            fit_samples(net, data[0][:n], data[1][:n])


def test_a_step_that_returns_a_data_frame(data):
    net = make_classifier(MLP, module__n_features=4, module__n_classes=4, max_epochs=1)
    pipeline = make_pipeline(StandardScaler(), net).set_output(transform="pandas")
    X = data[0].reshape(len(data[0]), -1)[:, :4]
    with pytest.raises(TypeError, match=r"'x0'.*set_output\(transform='default'\)"):
        fit_samples(pipeline, X, data[1])
    pipeline.set_output(transform="default")
    assert fit_samples(pipeline, X, data[1]).predict(X).shape == data[1].shape


def test_infinite_masks_are_no_divergence():
    module = nn.Linear(2, 2)
    module.register_buffer("mask", torch.full((2,), -torch.inf))
    check_weights(module)
    module.mask[0] = torch.nan
    with pytest.raises(ValueError, match="such as 'mask'"):
        check_weights(module)
