"""Before any label: whether a net can take the samples, and answer all classes."""

import random
import re

import numpy as np
import pytest
import torch
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from skorch.callbacks import Callback
from skorch.dataset import Dataset
from torch import nn

from skdfal import ActiveLearningClassifier, make_classifier
from skdfal.adapter._check import check_net
from skdfal.learner import LabelingSession
from skdfal.pool import as_pool

SMALL = {"n_classes": 2, "image_size": 16, "max_epochs": 1, "width": 0.25}


def zeros(*shape):
    return np.zeros((30, *shape), dtype=np.float32)


@pytest.mark.parametrize("module", ["lenet5", "vgg8"])
@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((16, 16, 1), "images of shape (16, 16, 1), ... X.transpose(0, 3, 1, 2)."),
        ((16, 16, 3), "images of shape (16, 16, 3), ... X.transpose(0, 3, 1, 2)."),
        ((16, 16), "For grey images, pass X[:, None]."),
        ((256,), "images of shape (n_samples, n_channels, height, width)."),
        ((3, 16, 16), "for these images: in_channels=3, image_size=(16, 16)."),
        ((1, 32, 32), "for these images: in_channels=1, image_size=(32, 32)."),
    ],
)
def test_nothing_is_saved_where_the_net_cannot_take_X(module, shape, message, tmp_path):
    X, y, path = zeros(*shape), np.arange(30) % 2, tmp_path / "run.skdfal"
    net = make_classifier(module, **SMALL)
    message = re.escape(message).replace(re.escape("..."), ".*") + "$"
    with pytest.raises(ValueError, match=message):
        LabelingSession(X, [0, 1], net, path=path)
    with pytest.raises(ValueError, match=message):
        ActiveLearningClassifier(net, checkpoint=path).fit(X, y)
    with pytest.raises(ValueError, match=message):
        net.fit(X, y)
    assert not list(tmp_path.iterdir())


def test_the_images_of_a_resnet_may_have_any_size():
    net = make_classifier("resnet18", **SMALL | {"in_channels": 3})
    net.fit(zeros(3, 24, 32), np.arange(30) % 2)
    with pytest.raises(ValueError, match=r"takes images of shape \(3, height, width\)"):
        net.predict(zeros(1, 16, 16))


def test_too_few_outputs_for_the_classes():
    net = make_classifier("lenet5", **SMALL)
    with pytest.raises(ValueError, match=r"has 2 outputs, .* 3 classes, 'a', 'b'"):
        LabelingSession(zeros(1, 16, 16), ["a", "b", "?"], net)


class Drawing(nn.Module):
    """Draws from all generators there are, and counts its passes and their modes."""

    passes = ()

    def __init__(self, n_features=4):
        super().__init__()
        self.linear = nn.Linear(n_features, 2)

    def forward(self, X):
        random.random(), np.random.random(), torch.rand(1)  # noqa: NPY002
        Drawing.passes = (*Drawing.passes, (len(X), self.training))
        return self.linear(X)


def test_one_pass_of_two_samples_in_evaluation_mode_draws_from_no_generator(
    monkeypatch,
):
    monkeypatch.setattr(Drawing, "passes", ())
    net = make_classifier(Drawing)
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    check_net(net, as_pool(zeros(4)), np.arange(2))
    after = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    assert Drawing.passes == ((2, False),)
    assert before[0] == after[0]
    np.testing.assert_equal(after[1], before[1])
    assert before[2].equal(after[2])


class Widening(Callback):
    """Gives the module as many inputs as there are features, once that is known."""

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        net.set_params(module__n_features=X.shape[1])


class Halving(Dataset):
    """Leaves out every second feature."""

    def __getitem__(self, i):
        X, y = super().__getitem__(i)
        return X[::2], y


class Masking(Drawing):
    """Wants more than samples."""

    def forward(self, X, mask):
        return super().forward(X * mask)


@pytest.mark.parametrize(
    "kwargs",
    [{"callbacks": [Widening]}, {"dataset": Halving}, {"module": Masking}],
    ids=str,
)
def test_what_only_training_tells_is_left_to_it(kwargs):
    pool, classes = as_pool(zeros(8)), np.arange(2)
    check_net(NeuralNetClassifier(**{"module": Drawing} | kwargs), pool, classes)
    with pytest.raises(ValueError, match=r"Drawing cannot take X of shape \(30, 8\)"):
        check_net(NeuralNetClassifier(Drawing), pool, classes)


class Suspicious(nn.Linear):
    """Has a check of its own, which samples that are drawn need not pass."""

    def forward(self, X):
        assert X.max() > 9, "not in my units"
        return super().forward(X)


class Inverting(nn.Linear):
    """Divides by what zeros do not have."""

    def forward(self, X):
        squares = X[:, :4].unflatten(1, (2, 2))
        return super().forward(X) + torch.linalg.inv(squares).sum()


@pytest.mark.parametrize("kind", [Suspicious, Inverting])
def test_modules_with_errors_of_their_own_are_not_refused(kind):
    net = NeuralNetClassifier(kind(8, 2))
    check_net(net, as_pool(zeros(8)), np.arange(2))


class Unreadable:
    """A file whose samples nobody can read."""

    shape, dtype, chunks, ndim = (30, 16, 16, 1), np.dtype("f4"), (1, 16, 16, 1), 4

    def __len__(self):
        return 30

    def __getitem__(self, indices):
        raise OSError("unreadable")


def test_no_sample_is_read():
    with pytest.raises(ValueError, match="channels are the last axis"):
        LabelingSession(Unreadable(), [0, 1], make_classifier("lenet5", **SMALL))


@pytest.mark.parametrize("shape", [(16, 16, 1), (20, 16, 3), (32, 32, 4)])
def test_the_default_net_warns_of_channels_that_stand_last(shape):
    with pytest.warns(UserWarning, match=r"Pass X.transpose\(0, 3, 1, 2\)"):
        LabelingSession(zeros(*shape), [0, 1])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 16, 3), (16, 4, 4), (64, 1, 1)])
def test_the_default_net_takes_images_and_maps_of_features_without_a_word(shape):
    LabelingSession(zeros(*shape), [0, 1])


def test_one_output_tells_no_more_than_two_classes_apart():
    net = NeuralNetBinaryClassifier(nn.Linear(4, 1))
    check_net(net, as_pool(zeros(4)), np.array(["cat", "dog"]))
    with pytest.raises(ValueError, match=r"one output, .* there are 3, 'a', 'b'"):
        check_net(net, as_pool(zeros(4)), np.array(["a", "b", "c"]))
