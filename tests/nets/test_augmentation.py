"""Augmentation: a shift and a mirror of each image, in training and nowhere else."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from skdfal.nets import RandomCropFlip, make_classifier


def shifted(image, row, column, mirrored, padding):
    """One image moved pixel by pixel, zeros where nothing was."""
    channels, height, width = image.shape
    moved = torch.zeros_like(image)
    for c in range(channels):
        for i in range(height):
            for j in range(width):
                source = width - 1 - j if mirrored else j
                a, b = i + row - padding, source + column - padding
                if 0 <= a < height and 0 <= b < width:
                    moved[c, i, j] = image[c, a, b]
    return moved


@pytest.mark.parametrize("size", [(5, 5), (4, 6)])
def test_every_image_is_one_of_the_shifts_of_itself(size):
    """With padding 1 there are nine shifts and their mirrors: all, and no others."""
    torch.manual_seed(0)
    X = torch.rand(2, 2, *size)
    allowed = {
        (i, r, c, m): shifted(X[i], r, c, m, 1)
        for i in range(2)
        for r in range(3)
        for c in range(3)
        for m in (False, True)
    }
    seen = set()
    for _ in range(150):
        for i, image in enumerate(RandomCropFlip(padding=1)(X)):
            found = [k for k, v in allowed.items() if k[0] == i and v.equal(image)]
            assert len(found) == 1
            seen |= set(found)
    assert seen == set(allowed)


def test_without_shift_and_mirror_nothing_changes():
    X = torch.rand(3, 1, 6, 6)
    assert RandomCropFlip(padding=0, flip=False)(X).equal(X)


@pytest.mark.parametrize("padding", [-1, 1.5, True, "2"])
def test_bad_padding(padding):
    with pytest.raises(ValueError, match=r"padding=.* should be an integer >= 0"):
        RandomCropFlip(padding=padding)


def test_rows_of_a_table_are_refused():
    with pytest.raises(ValueError, match=r"samples of shape \(7,\).*needs images"):
        RandomCropFlip()(torch.zeros(3, 7))


class Seen(Callback):
    """Keeps the samples that the module was given, in training and in validation."""

    def on_train_begin(self, net, **kwargs):
        self.training, self.valid = [], []

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):
        (self.training if training else self.valid).append(batch[0].numpy().copy())


def is_among(images, originals):
    return [any(np.array_equal(image, x) for x in originals) for image in images]


def test_only_training_is_augmented():
    """Validation and prediction see the samples as they are; labels stay theirs."""
    rng = np.random.default_rng(0)
    X = rng.uniform(0.5, 1, (20, 1, 16, 16)).astype(np.float32)
    y = np.arange(20) % 2
    seen = Seen()
    net = make_classifier(
        n_classes=2,
        image_size=16,
        max_epochs=2,
        patience=2,
        augmentation="crop_flip",
        callbacks=[seen],
    )
    torch.manual_seed(0)
    net.fit(X, y)
    assert not all(is_among(np.concatenate(seen.training), X))
    assert all(is_among(np.concatenate(seen.valid), X))
    plain = make_classifier(n_classes=2, image_size=16).initialize()
    plain.module_.load_state_dict(net.module_.state_dict())
    np.testing.assert_array_equal(net.predict_proba(X), plain.predict_proba(X))


def test_augmented_training_is_reproducible_from_torch_alone():
    X = np.random.default_rng(0).random((20, 1, 16, 16), dtype=np.float32)
    y = np.arange(20) % 2
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        net = make_classifier(
            n_classes=2, image_size=16, max_epochs=2, augmentation="crop_flip"
        )
        found.append(net.fit(X, y).predict_proba(X))
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_a_function_of_ones_own():
    X, y = np.ones((8, 1, 16, 16), np.float32), np.arange(8) % 2
    seen = Seen()
    net = make_classifier(
        n_classes=2,
        image_size=16,
        max_epochs=1,
        augmentation=torch.zeros_like,
        callbacks=[seen],
    )
    net.fit(X, y)
    assert not np.concatenate(seen.training).any()


@pytest.mark.parametrize(
    ("max_epochs", "max_batches", "expected"),
    [
        (1, None, [1]),
        (5, None, [1] * 4 + [0.1]),
        (50, 10, [1] * 4 + [0.1]),  # two batches an epoch: it ends with the fifth
        (50, 9, [1] * 4 + [0.1]),
        (5, 1000, [1] * 4 + [0.1]),
        (50, 1, [1]),
    ],
)
def test_sgd_drops_its_rate_for_the_last_fifth(max_epochs, max_batches, expected):
    rates = []

    class Rate(Callback):
        def on_epoch_end(self, net, **kwargs):
            (group,) = net.optimizer_.param_groups
            rates.append(group["lr"])
            assert (group["momentum"], group["weight_decay"]) == (0.9, 5e-4)

    X, y = np.ones((4, 1, 16, 16), np.float32), np.arange(4) % 2
    net = make_classifier(
        n_classes=2,
        image_size=16,
        max_epochs=max_epochs,
        max_batches=max_batches,
        batch_size=2,
        lr=1,
        optimizer="sgd",
        callbacks=[Rate()],
    )
    net.fit(X * 0, y)
    assert rates == pytest.approx(expected)


class RateOfEpochs(Callback):
    def __init__(self):
        self.rates = []

    def on_epoch_end(self, net, **kwargs):
        self.rates.append(net.optimizer_.param_groups[0]["lr"])


@pytest.mark.parametrize("max_batches", [None, 10])
def test_each_fit_that_goes_on_begins_with_the_whole_rate(max_batches):
    """A warm start drops the rate in its own last fifth, and for no longer."""
    seen = RateOfEpochs()
    X, y = np.ones((4, 1, 16, 16), np.float32), np.arange(4) % 2
    net = make_classifier(
        n_classes=2,
        image_size=16,
        max_epochs=5,
        max_batches=max_batches,
        batch_size=2,
        lr=0.3,
        optimizer="sgd",
        warm_start=True,
        callbacks=[seen],
    )
    net.fit(X, y).fit(X, y).partial_fit(X, y)
    assert seen.rates == ([0.3] * 4 + [0.03]) * 3
    seen.rates.clear()
    net.partial_fit(X, y, epochs=3)
    assert seen.rates == [0.3] * 2 + [0.03]
    net.set_params(lr=0.5)
    net.partial_fit(X, y, epochs=1)
    assert seen.rates[3:] == [0.5]


def test_after_an_error_the_rate_is_the_whole_one_again():
    class Trip(RateOfEpochs):
        def on_epoch_end(self, net, **kwargs):
            super().on_epoch_end(net)
            if len(self.rates) == 5:
                raise RuntimeError("tripped")

    trip = Trip()
    X, y = np.ones((4, 1, 16, 16), np.float32), np.arange(4) % 2
    net = make_classifier(
        n_classes=2, image_size=16, max_epochs=5, optimizer="sgd", callbacks=[trip]
    )
    with pytest.raises(RuntimeError, match="tripped"):
        net.fit(X, y)
    net.partial_fit(X, y, epochs=1)
    assert trip.rates[4:] == [0.0001, 0.001]


def test_what_is_no_augmentation_is_refused():
    with pytest.raises(ValueError, match="flip='no' should be True or False"):
        RandomCropFlip(flip="no")
    with pytest.raises(ValueError, match=r"is a class. Pass an instance"):
        make_classifier(augmentation=RandomCropFlip)


@pytest.mark.parametrize(
    ("function", "got"), [(lambda X: None, "NoneType"), (lambda X: X[1:], r"\(3, 1, ")]
)
def test_a_function_that_does_not_return_the_batch_is_named(function, got):
    net = make_classifier(image_size=16, augmentation=function, max_epochs=1)
    X = np.zeros((4, 1, 16, 16), np.float32)
    with pytest.raises(ValueError, match=rf"returned {got}.*expected a tensor"):
        net.fit(X, np.arange(4))
