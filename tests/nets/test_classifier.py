"""The classifier trains as it says, whatever network it is made from."""

import pickle
import signal
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit
from torch import nn

from skdfal import ActiveLearningClassifier
from skdfal.adapter._training import check_trainable, fit_encoded
from skdfal.nets import MLP, LeNet5, RestartingClassifier, make_classifier
from skdfal.nets._dataset import ArrayDataset

# Cheap settings for the classifier: two classes on 16x16 images, a slim net.
CHEAP = {"n_classes": 2, "image_size": 16, "width": 0.5}


def weights(net):
    return [p.detach().clone() for p in net.module_.parameters()]


def seeded_fit(net, X, y, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return net.fit(X, y)


@pytest.fixture(scope="module")
def data():
    """Forty images of two classes: bright above, bright below."""
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 0.5, (40, 1, 16, 16)).astype(np.float32)
    y = np.arange(40) % 2
    X[y == 0, :, :8] += 0.5
    X[y == 1, :, 8:] += 0.5
    return X, y


def test_settings_of_the_paper():
    net = make_classifier().initialize()
    assert isinstance(net.module_, LeNet5)
    assert isinstance(net.optimizer_, torch.optim.Adam)
    assert isinstance(net.criterion_, nn.CrossEntropyLoss)
    assert (net.lr, net.batch_size, net.train_split) == (0.001, 32, None)
    assert net.optimizer_.param_groups[0]["lr"] == 0.001


@pytest.mark.parametrize("module", ["lenet5", "vgg8"])
def test_learns_and_predicts(module, data):
    X, y = data
    net = make_classifier(module, **CHEAP | {"width": 0.25}, lr=0.005, max_epochs=30)
    seeded_fit(net, X, y)
    assert net.score(X, y) > 0.9
    assert net.predict_proba(X).shape == (40, 2)
    np.testing.assert_allclose(net.predict_proba(X).sum(1), 1, rtol=1e-5)


def test_column_for_classes_without_label(data):
    X, y = data
    net = make_classifier(image_size=16, max_epochs=1).fit(X, y)
    assert net.classes_.tolist() == list(range(10))
    assert net.predict_proba(X[:3]).shape == (3, 10)


def test_clone_pickle_set_params(data):
    X, y = data
    net = make_classifier(**CHEAP, max_epochs=2, patience=1, n_restarts=2)
    net.set_params(lr=0.01, n_restarts=3, callbacks__early_stopping__patience=4)
    twin = clone(net)
    assert twin.get_params()["n_restarts"] == 3
    assert twin.lr == 0.01
    assert twin.initialize().optimizer_.param_groups[0]["lr"] == 0.01
    seeded_fit(net, X, y)
    again = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(again.predict_proba(X), net.predict_proba(X))
    assert again.n_restarts == 3


def test_a_fit_leaves_the_parameters_as_they_were(data):
    net = make_classifier(**CHEAP, max_epochs=1)
    before = set(net.get_params(deep=False))
    assert set(net.fit(*data).get_params(deep=False)) == before


@pytest.mark.parametrize("loss_prediction", [None, "margin"])
@pytest.mark.parametrize(
    ("params", "is_known"),
    [
        ({"module__dropout": 0.1, "module__n_classes": 3}, True),
        ({"criterion": nn.CrossEntropyLoss, "criterion__reduction": "none"}, True),
        ({"optimizer__weight_decay": 0.1, "optimizer__param_groups": []}, True),
        ({"iterator_train__drop_last": False, "iterator_valid__batch_size": 9}, True),
        ({"iterator_train": torch.utils.data.DataLoader}, True),
        ({"callbacks__train_loss": None, "callbacks__valid_acc__name": "a"}, True),
        ({"dataset": ArrayDataset, "train_split": None, "classes": [0, 1]}, True),
        ({"warm_start": True, "compile": False, "compile__mode": "default"}, True),
        ({"predict_nonlinearity": None, "use_caching": False}, True),
        ({"torch_load_kwargs": {}, "history": None, "initialized_": False}, True),
        ({"epochs": 3}, False),
        ({"learning_rate": 3}, False),
        ({"train_split__cv": 3}, False),
        ({"iterator_train_shuffle": True}, False),
        ({"criterion_weight": None}, False),
        ({"loss_weigth": 1.0}, False),
    ],
)
def test_parameters_are_refused_at_once_that_skorch_refuses(
    params, is_known, loss_prediction
):
    """skorch itself refuses them when it makes the module, in the fit."""
    given = {"optimizer": torch.optim.SGD, "loss_prediction": loss_prediction}
    kind = type(make_classifier(**given))
    settings = {"criterion": nn.CrossEntropyLoss}
    if loss_prediction:
        settings["sample_shape"] = (1, 28, 28)
    net = kind(LeNet5, **settings | params)
    if is_known:
        net.initialize()
        make_classifier(**given, **params)
        return
    with pytest.raises(ValueError, match="unexpected argument"):
        net.initialize()
    with pytest.raises(TypeError, match=f"no parameter '{next(iter(params))}'"):
        make_classifier(**given, **params)


def test_the_parameter_that_was_meant():
    with pytest.raises(TypeError, match=r"\. Did you mean 'max_epochs'\?$"):
        make_classifier(epochs=3)


def test_another_optimizer(data):
    # The fused option of Adam does not stick to what replaces it.
    net = make_classifier(**CHEAP, max_epochs=1).set_params(optimizer=torch.optim.Rprop)
    assert isinstance(net.fit(*data).optimizer_, torch.optim.Rprop)


def test_grid_search(data):
    grid = GridSearchCV(
        make_classifier(**CHEAP, max_epochs=3),
        {"lr": [1e-6, 0.01], "n_restarts": [1], "module__dropout": [0.0]},
        cv=2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        grid.fit(*data)
    assert grid.best_params_["lr"] == 0.01


@pytest.mark.parametrize("patience", [None, 2])
def test_reproducible_from_torch_alone(patience, data):
    net = make_classifier(
        **CHEAP,
        max_epochs=4,
        patience=patience,
        n_restarts=1 if patience is None else 2,
    )
    np.random.seed(0)  # noqa: NPY002
    one = weights(seeded_fit(clone(net), *data))
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    two = weights(seeded_fit(clone(net), *data))
    other = weights(seeded_fit(clone(net), *data, seed=1))
    # Bit for bit the same weights after the same seed, others after another.
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    # numpy's generator is neither asked nor touched.
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_labels_and_inputs_of_other_kinds(data):
    X, y = data
    net = make_classifier(**CHEAP, max_epochs=2)
    one = weights(seeded_fit(net, X, y))
    dataset = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    # Whole batches, tensors, small label types and the sample-by-sample path of a
    # torch Dataset train alike.
    for inputs in [
        (torch.from_numpy(X), torch.from_numpy(y)),
        (X, y.astype(np.uint8)),
        (X, y.astype(np.int32)),
        (X.astype(np.float64), y),
        (dataset, None),
    ]:
        two = weights(seeded_fit(net, *inputs))
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.filterwarnings("ignore:.*receives pixels")
def test_pictures_of_bytes(data):
    X = (20 * data[0]).astype(np.uint8)
    net = make_classifier(**CHEAP, max_epochs=2)
    one, two = (weights(seeded_fit(net, x, data[1])) for x in (X, X.astype("float32")))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def scale_warnings(fit, *args):
    """Files of the warnings on the range of pixels, with their texts."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(*args)
    caught = [w for w in caught if "receives pixels" in str(w.message)]
    return [(w.filename, str(w.message)) for w in caught]


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
@pytest.mark.parametrize("loss_prediction", [None, "margin"])
def test_pixels_that_are_not_scaled(dtype, loss_prediction, data):
    """Once, with their range, at the line of the user; not where a step scales."""
    X, y = data
    pixels = np.round(255 * (X - X.min()) / (X.max() - X.min())).astype(dtype)
    params = {"max_epochs": 1, "batch_size": len(X), "loss_prediction": loss_prediction}
    net = make_classifier(**CHEAP, **params)
    ((file, message),) = scale_warnings(net.fit, pixels, y)
    assert file == __file__
    assert message.startswith("LeNet5 receives pixels from 0 to 255. ")
    scaled = make_pipeline(FunctionTransformer(lambda x: np.float32(x) / 255), net)
    assert scale_warnings(scaled.fit, pixels, y) == []
    assert "looks_" not in vars(net)


def test_pixels_that_are_scaled_or_those_of_an_own_module(data):
    X, y = data
    net = make_classifier(**CHEAP, max_epochs=1)
    standardized = (X - X.mean()) / X.std()
    for scaled in (X / X.max(), standardized, (standardized > 0).astype(int)):
        assert scale_warnings(net.fit, scaled, y) == []
    module = nn.Sequential(nn.Flatten(), nn.Linear(X[0].size, 10))
    own = make_classifier(module, max_epochs=1)
    assert scale_warnings(own.fit, 255 * np.float32(X), y) == []


def test_a_loop_and_restarts_tell_of_pixels_once(data):
    X, y = 255 * data[0], data[1]
    net = make_classifier(**CHEAP, max_epochs=1, patience=1, n_restarts=2)
    assert len(scale_warnings(net.fit, X, y)) == 1
    net = make_classifier(**CHEAP, max_epochs=1)
    loop = ActiveLearningClassifier(
        net, query_strategy="entropy", n_initial=4, n_instances=4, max_annotations=12
    )
    ((file, _),) = scale_warnings(loop.fit, X, y)
    assert file == __file__
    assert len(loop.history_) == 3


def test_array_dataset_falls_back_to_single_samples():
    X = {"a": np.arange(6.0).reshape(3, 2)}
    batch = ArrayDataset(X, np.arange(3)).__getitems__([0, 2])
    assert len(batch) == 2
    np.testing.assert_array_equal(batch[1][0]["a"], [4, 5])


@pytest.mark.parametrize("dtype", [str, object])
def test_labels_that_are_no_numbers(dtype):
    net = make_classifier("lenet5", **CHEAP, max_epochs=1)
    with pytest.raises(TypeError, match=r"y of dtype .* Encode them"):
        net.fit(np.zeros((4, 1, 16, 16), np.float32), np.arange(4).astype(dtype))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y: y + 1, r"Label 2 of y is out of bounds.* labels from 0 to 1\. Enc"),
        (lambda y: 2 * y - 1, "Label -1 of y is out of bounds"),
        (lambda y: y.astype(float), r"y gave labels of torch.float64 .* one integer"),
        (lambda y: y > 0, r"y gave labels of torch.bool .* one integer per sample"),
        (lambda y: y[:, np.newaxis], r"shape \(32, 1\) for a batch of 32"),
    ],
)
@pytest.mark.parametrize("loss_prediction", [None, "margin"])
def test_labels_that_are_not_those_of_the_outputs(
    change, message, loss_prediction, data
):
    X, y = data
    net = make_classifier(
        **CHEAP, max_epochs=1, even_batches=False, loss_prediction=loss_prediction
    )
    with pytest.raises(ValueError, match=message):
        net.fit(X, change(y))


def test_labels_may_be_probabilities_or_ignored(data):
    X, y = data
    net = make_classifier(**CHEAP, max_epochs=2)
    hard, soft = (weights(seeded_fit(net, X, t)) for t in (y, np.eye(2)[y].astype("f")))
    for a, b in zip(hard, soft, strict=True):
        torch.testing.assert_close(a, b)
    one = weights(seeded_fit(net, X, np.where(np.arange(40) < 20, y, -100)))
    assert not all(torch.equal(a, b) for a, b in zip(one, hard, strict=True))


def test_integers_of_a_table(data):
    X = np.random.default_rng(0).integers(0, 9, (40, 5))
    net = make_classifier(MLP, module__n_features=5, module__n_classes=2, max_epochs=2)
    one, two = (weights(seeded_fit(net, x, data[1])) for x in (X, X.astype("float32")))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_own_modules(data):
    X, y = data

    class Own(nn.Module):
        def __init__(self, n_classes, image_size):
            super().__init__()
            self.dense = nn.Linear(image_size**2, n_classes)

        def forward(self, x):
            return self.dense(x.flatten(1))

    net = make_classifier(Own, n_classes=2, image_size=16, max_epochs=1)
    assert net.fit(X, y).predict(X).shape == (40,)

    # An instance is where each fit starts, and stays as it was given.
    instance = nn.Sequential(nn.Flatten(), nn.Linear(256, 2))
    before = instance[1].weight.detach().clone()
    net = make_classifier(instance, max_epochs=2)
    one = weights(seeded_fit(net, X, y))
    two = weights(seeded_fit(net, X, y))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert torch.equal(instance[1].weight, before)
    assert not torch.equal(one[0], before)


def test_early_stopping_with_ten_samples(data):
    X, _ = data
    # Nine of a class and one of another: no stratified split exists.
    y = np.array([0] * 9 + [1])
    net = make_classifier(**CHEAP, max_epochs=100, lr=0.02, patience=2)
    seeded_fit(net, X[:10], y)
    losses = net.history[:, "valid_loss"]
    assert len(losses) < 100
    # The weights are those of the best epoch: patience epochs follow it.
    assert int(np.argmin(losses)) == len(losses) - 1 - 2
    assert net.history[0, "batches", -1, "valid_batch_size"] == 2
    assert net.history[0, "batches", 0, "train_batch_size"] == 8


def test_one_label_is_too_few_to_split(data):
    X, y = data
    net = make_classifier(**CHEAP, patience=2)
    with pytest.raises(ValueError, match="n_samples=1, but a split"):
        net.fit(X[:1], y[:1])


def test_the_best_restart_is_kept(data):
    X, y = data
    net = make_classifier(**CHEAP, max_epochs=4, patience=3, n_restarts=4)
    seeds_of_fits = []

    class Recording(RestartingClassifier):
        def _valid_loss(self):
            seeds_of_fits.append((super()._valid_loss(), weights(self)))
            return seeds_of_fits[-1][0]

    net = Recording(**net.get_params(deep=False))
    seeded_fit(net, X, y)
    losses = [loss for loss, _ in seeds_of_fits]
    assert net.valid_losses_ == losses
    assert len(set(losses)) == 4
    best = seeds_of_fits[int(np.argmin(losses))][1]
    assert all(torch.equal(a, b) for a, b in zip(weights(net), best, strict=True))
    # History, optimizer and weights belong to one and the same restart.
    assert min(net.history[:, "valid_loss"]) == pytest.approx(min(losses), rel=1e-5)
    parameters = net.optimizer_.param_groups[0]["params"]
    assert all(
        a is b for a, b in zip(parameters, net.module_.parameters(), strict=True)
    )

    net.set_params(n_restarts=1, max_epochs=1)
    assert not hasattr(seeded_fit(net, X, y), "valid_losses_")


def test_ctrl_c_ends_all_restarts(data):
    class Interrupt(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                signal.raise_signal(signal.SIGINT)

    settings = {"max_epochs": 4, "patience": 9, "n_restarts": 3}
    net = make_classifier(**CHEAP, **settings, callbacks=[Interrupt()])
    net.fit(*data)
    assert len(net.valid_losses_) == 1
    assert len(net.history) == 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class OfTwo(nn.Module):
    """Takes a batch of two inputs by name."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(4, 2)

    def forward(self, a, b):
        return self.dense(a + b)


def test_the_loss_of_a_restart_is_a_mean_over_samples_of_several_inputs():
    rng = np.random.default_rng(0)
    a, b = 9 * rng.normal(size=(2, 30, 4)).astype(np.float32)
    y = np.arange(30) % 2
    held_out = []

    def first_six(dataset, y=None):
        held_out.append(torch.utils.data.Subset(dataset, range(6)))
        return torch.utils.data.Subset(dataset, range(6, 30)), held_out[0]

    settings = {"n_classes": 2, "max_epochs": 1, "batch_size": 4, "n_restarts": 2}
    net = make_classifier(OfTwo, patience=9, train_split=first_six, **settings)
    seeded_fit(net, {"a": a, "b": b}, y)
    with torch.no_grad():
        logits = net.module_(torch.as_tensor(a[:6]), torch.as_tensor(b[:6]))
    expected = nn.functional.cross_entropy(logits, torch.as_tensor(y[:6]))
    assert min(net.valid_losses_) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(("max_batches", "n_epochs"), [(1, 1), (6, 2), (7, 3), (99, 5)])
@pytest.mark.parametrize("patience", [None, 9])
def test_training_ends_with_the_epoch_that_reaches_max_batches(
    max_batches, n_epochs, patience, data
):
    X, y = (np.concatenate([a, a, a])[:100] for a in data)
    n_train = 100 if patience is None else 80
    params = CHEAP | {"max_epochs": 5, "batch_size": -(-n_train // 3)}
    net = make_classifier(**params, max_batches=max_batches, patience=patience)
    for _ in range(2):  # each fit counts anew
        net.fit(X, y)
        assert len(net.history) == n_epochs
    assert clone(net).fit(X, y).get_params()["callbacks__batch_limit"] is not None


def test_other_callbacks_see_the_last_epoch_of_a_bounded_training(data):
    class Counts(Callback):
        n_epochs = 0

        def on_epoch_end(self, net, **kwargs):
            Counts.n_epochs += 1

    make_classifier(**CHEAP, max_batches=1, callbacks=[Counts()]).fit(*data)
    assert Counts.n_epochs == 1
    with pytest.raises(ValueError, match="max_batches=1 needs a callback"):
        make_classifier(**CHEAP, max_batches=1, callbacks="disable")
    with pytest.raises(ValueError, match="patience=5 needs a callback"):
        make_classifier(**CHEAP, patience=5, callbacks="disable")


@pytest.mark.parametrize("module", ["lenet5", "vgg8", "resnet18"])
def test_images_without_channels(module):
    X, y = np.zeros((10, 16, 16), np.float32), np.arange(10) % 2
    net = make_classifier(module, n_classes=2, image_size=16, width=0.05, max_epochs=1)
    with pytest.raises(ValueError, match=r"\(10, 16, 16\), but .* pass X\[:, None\]"):
        net.fit(X, y)
    net.fit(X[:, None], y)
    with pytest.raises(ValueError, match=r"of shape \(10, 256\), but .*width\)\.$"):
        net.predict(X.reshape(10, -1))


def test_nan_losses_never_win(data):
    class Losses(RestartingClassifier):
        def _valid_loss(self):
            return next(losses)

    losses = iter([float("nan"), 2.0, float("nan"), 1.0, 3.0])
    params = make_classifier(**CHEAP, max_epochs=1, patience=1).get_params(deep=False)
    net = Losses(**params | {"n_restarts": 5})
    histories = []
    net.on_train_end = lambda *args, **kwargs: histories.append(net.history)
    net.fit(*data)
    assert net.history is histories[3]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_restarts": 2}, r"n_restarts=2 needs a validation split .* Set patience"),
        (
            {"n_restarts": 2, "patience": 1, "warm_start": True},
            r"n_restarts=2 starts from scratch, but warm_start=True",
        ),
    ],
)
def test_restarts_that_cannot_be(params, message, data):
    with pytest.raises(ValueError, match=message):
        make_classifier(**CHEAP, **params).fit(*data)


def test_bad_n_restarts_at_fit(data):
    net = make_classifier(**CHEAP).set_params(n_restarts=0)
    with pytest.raises(ValueError, match="n_restarts=0 should be an integer >= 1"):
        net.fit(*data)


# Networks as others write them


class Normalized(nn.Sequential):
    """Normalizes by the batch; a batch of one sample has one value per channel."""

    def __init__(self, n_classes=2, norm=nn.BatchNorm1d):
        super().__init__(
            nn.Flatten(), nn.Linear(256, 8), norm(8), nn.Linear(8, n_classes)
        )


def batch_sizes(net, epoch=0):
    return [batch["train_batch_size"] for batch in net.history[epoch]["batches"]]


@pytest.mark.parametrize(
    ("n_samples", "batch_size", "expected"),
    [
        (33, 16, [11, 11, 11]),
        (32, 16, [16, 16]),
        (34, 16, [12, 11, 11]),
        (17, 16, [9, 8]),
        (16, 16, [16]),
        (15, 16, [15]),
        (5, 2, [3, 2]),  # not [2, 2, 1]
        (3, 2, [3]),
    ],
)
def test_batches_have_even_sizes(n_samples, batch_size, expected, data):
    X, y = data
    net = make_classifier(Normalized, n_classes=2, batch_size=batch_size, max_epochs=2)
    net.fit(X[:n_samples], y[:n_samples])
    for epoch in range(2):
        assert batch_sizes(net, epoch) == expected


def test_even_batches_are_those_of_the_smaller_size(data):
    """36 samples by 16 are 36 samples by 12: the same batches, the same weights."""
    X, y = data[0][:36], data[1][:36]
    found = []
    for batch_size in (16, 12):
        torch.manual_seed(0)
        net = make_classifier(**CHEAP, batch_size=batch_size, max_epochs=2).fit(X, y)
        found.append(net.predict_proba(X))
    np.testing.assert_allclose(*found, rtol=1e-5)  # predicted in other batches


def test_a_sampler_of_the_user_s_own_may_draw_more_samples(data):
    X, y = data
    twice = torch.utils.data.RandomSampler(range(20), replacement=True, num_samples=34)
    net = make_classifier(
        Normalized, n_classes=2, batch_size=16, max_epochs=1,
        iterator_train__shuffle=None, iterator_train__sampler=twice,
    )  # fmt: skip
    assert batch_sizes(net.fit(X[:20], y[:20])) == [12, 11, 11]


def test_batches_need_not_have_even_sizes(data):
    X, y = data
    net = make_classifier(
        Normalized, n_classes=2, batch_size=16, max_epochs=1, even_batches=False
    )
    assert batch_sizes(net.fit(X[:34], y[:34])) == [16, 16, 2]
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        net.fit(X[:33], y[:33])
    with pytest.raises(ValueError, match="33 samples in batches of 16 has one batch"):
        check_trainable(net, 33)
    check_trainable(net.set_params(even_batches=True), 33)


class Counted(torch.utils.data.DataLoader):
    """A loader of the user's own."""

    n_epochs = 0

    def __iter__(self):
        type(self).n_epochs += 1
        return super().__iter__()


def test_a_loader_of_the_user_s_own_has_even_batches_too(data):
    X, y = data[0][:33], data[1][:33]
    net = make_classifier(Normalized, n_classes=2, batch_size=16, max_epochs=3)
    net.set_params(iterator_train=Counted).fit(X, y)
    assert batch_sizes(net) == [11, 11, 11]
    assert Counted.n_epochs == 3


def test_each_sample_is_seen_once_an_epoch_and_in_another_order(data):
    net = make_classifier(Normalized, n_classes=2, batch_size=16).initialize()
    iterator = net.get_iterator(net.get_dataset(np.arange(33), np.arange(33)), True)
    epochs = [np.concatenate([x for x, _ in iterator]) for _ in range(2)]
    assert len(iterator) == 3
    for seen in epochs:
        assert sorted(seen) == list(range(33))
    assert not np.array_equal(*epochs)


def test_even_batches_take_part_in_nothing_else(data):
    """Another generator, workers or prediction: all as torch's DataLoader has them."""
    X, y = data[0][:33], data[1][:33]
    settings = {"n_classes": 2, "batch_size": 16, "max_epochs": 1}
    net = make_classifier(Normalized, **settings, iterator_train__shuffle=False)
    net.initialize()
    iterator = net.get_iterator(net.get_dataset(X, y), training=True)
    np.testing.assert_array_equal(np.concatenate([x for x, _ in iterator]), X)
    iterator = net.get_iterator(net.get_dataset(X, y), training=False)
    assert [len(labels) for _, labels in iterator] == [16, 16, 1]
    net = make_classifier(Normalized, **settings, iterator_train__drop_last=True)
    assert batch_sizes(net.fit(X, y)) == [16, 16]


def test_drop_last_never_drops_everything(data):
    X, y = data
    net = make_classifier(**CHEAP, max_epochs=1, iterator_train__drop_last=True)
    with pytest.raises(ValueError, match=r"drops all 20 samples, .* batch_size=32"):
        net.fit(X[:20], y[:20])
    assert batch_sizes(net.fit(X[:33], y[:33])) == [32]


def resnet(num_classes=1000, in_chans=3):
    """A function of torchvision's or timm's kind, on images of any size."""
    return nn.Sequential(
        nn.Conv2d(in_chans, 4, 3),
        nn.BatchNorm2d(4),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, num_classes),
    )


def torchvision_s(*, weights=None, progress=True, **kwargs):
    return resnet(in_chans=1, **kwargs)


def timm_s(model_name, pretrained=False, **kwargs):
    return resnet(**kwargs)


@pytest.mark.parametrize(
    ("function", "params"),
    [
        (resnet, {}),
        (torchvision_s, {}),
        (partial(timm_s, "resnet18"), {"module__in_chans": 1}),
        (partial(resnet, in_chans=1), {}),
        (lambda n_classes: resnet(n_classes, 1), {}),
    ],
)
def test_functions_that_return_a_network(function, params, data):
    net = make_classifier(function, n_classes=3, max_epochs=1, **params)
    net = clone(net).fit(*data)
    assert net.predict_proba(data[0]).shape == (40, 3)
    assert net.classes_.tolist() == [0, 1, 2]


def test_what_is_given_for_the_module_wins(data):
    for net in [
        make_classifier(partial(resnet, num_classes=5), max_epochs=1, n_classes=3),
        make_classifier(resnet, max_epochs=1, module__num_classes=5),
    ]:
        assert net.fit(*data).predict_proba(data[0]).shape == (40, 5)
    assert net.classes_.tolist() == [0, 1, 2, 3, 4]


def test_a_function_that_returns_no_network():
    with pytest.raises(TypeError, match=r"created a dict, but an nn\.Module is needed"):
        make_classifier(lambda n_classes: {}).initialize()


@pytest.mark.parametrize("device", ["gpu", "meta", torch.device("meta"), "cuda:99"])
def test_devices_that_are_not_there(device, data):
    net = make_classifier(**CHEAP, device=device)
    with pytest.raises(
        ValueError, match=f"device='{device}' cannot be used for training: "
    ) as e:
        net.fit(*data)
    assert len(str(e.value)) < 200  # not all that torch knows
    assert "Use 'cpu', 'cuda' if" in str(e.value)


def test_double_precision_stays(data):
    X, y = data[0].astype(np.float64), data[1]
    net = make_classifier(Normalized(2).double(), max_epochs=1).fit(X, y)
    assert net.predict_proba(X).dtype == np.float64


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_integers_stay_integers(kind):
    class Tokens(nn.Module):
        def __init__(self, num_classes):
            super().__init__()
            self.bag = nn.EmbeddingBag(9, num_classes)

        def forward(self, x):
            assert x.dtype == torch.int64
            return self.bag(x)

    X = np.random.default_rng(0).integers(0, 9, (20, 5))
    net = make_classifier(Tokens, n_classes=2, max_epochs=1)
    net.fit(kind(X), np.arange(20) % 2)
    assert net.predict_proba(X).shape == (20, 2)


def test_compiled_nets_restart_and_stop_early(data):
    settings = CHEAP | {"max_epochs": 3, "patience": 1, "n_restarts": 2}
    plain = seeded_fit(make_classifier(**settings), *data)
    net = make_classifier(**settings, compile=True, compile__backend="eager")
    seeded_fit(net, *data)
    assert net.valid_losses_ == pytest.approx(plain.valid_losses_, rel=1e-4)
    np.testing.assert_allclose(
        net.predict_proba(data[0]), plain.predict_proba(data[0]), atol=1e-4
    )


def test_warm_start_carries_on(data):
    net = make_classifier(**CHEAP, max_epochs=2, warm_start=True)
    net.fit(*data).fit(*data)
    assert len(net.history) == 4


# Before labels are bought


def foreign_net(**params):
    settings = {"criterion": nn.CrossEntropyLoss, "train_split": None, "verbose": 0}
    return NeuralNetClassifier(Normalized, **settings | {"batch_size": 16} | params)


@pytest.mark.parametrize("wrap", [lambda net: net, make_pipeline])
def test_a_batch_of_one_is_refused_before_the_training(wrap, data):
    estimator = wrap(foreign_net(max_epochs=1))
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match=r"33 samples in batches of 16 .*drop_last"):
        check_trainable(estimator, 33)
    assert torch.equal(torch.get_rng_state(), state)
    for n_samples in (32, 34):
        check_trainable(estimator, n_samples)
    estimator.fit(data[0][:32], data[1][:32])
    with pytest.raises(ValueError, match="33 samples"):
        check_trainable(estimator, 33)


@pytest.mark.parametrize(
    "net",
    [
        foreign_net(module__norm=nn.Identity),
        foreign_net(iterator_train__drop_last=True),
        foreign_net(batch_size=-1),
        foreign_net(iterator_train__batch_size=8, module__norm=nn.LayerNorm),
        make_classifier(Normalized, n_classes=2, batch_size=16),
        LogisticRegression(),
    ],
)
def test_what_can_be_trained_passes(net, data):
    check_trainable(net, 33)
    net.fit(data[0][:33].reshape(33, -1), data[1][:33])


@pytest.mark.parametrize(
    ("n_samples", "params"), [(1, {}), (5, {"batch_size": 1}), (1, {"batch_size": -1})]
)
def test_where_there_is_no_batch_to_join(n_samples, params):
    settings = {"n_classes": 2, "batch_size": 16} | {
        k: v for k, v in params.items() if v > 0
    }
    for net in (make_classifier(Normalized, **settings), foreign_net(**params)):
        with pytest.raises(ValueError, match="of a single sample"):
            check_trainable(net, n_samples)


def test_drop_last_with_few_labels_is_refused_before_the_training():
    for net in (foreign_net(), make_classifier(Normalized, batch_size=16)):
        net.set_params(iterator_train__drop_last=True)
        with pytest.raises(ValueError, match=r"all 15 training .* batch_size <= 15"):
            check_trainable(net, 15)
        check_trainable(net, 16)


def test_a_batch_of_one_that_nobody_foresaw(data):
    # Of the 40 samples, 32 are for training: one more than a batch.
    net = foreign_net(train_split=ValidSplit(5), max_epochs=1, batch_size=31)
    check_trainable(net, 40)
    with pytest.raises(ValueError, match=r"consists of one sample, .* Set another"):
        fit_encoded(net, *data)


@pytest.mark.parametrize(
    "params",
    [{"module": "resnet"}, {"lr": 0}, {"n_classes": 1}, {"patience": 0}, {"width": 0}],
)
def test_bad_parameters_of_make_classifier(params):
    (name,) = params
    with pytest.raises(ValueError, match=f"The '{name}' parameter of make_classifier"):
        make_classifier(**params)


@pytest.mark.parametrize(
    "name", ["batch_size", "max_epochs", "max_batches", "n_restarts", "lr", "width"]
)
def test_true_is_no_number(name):
    with pytest.raises(ValueError, match=f"'{name}' parameter .* Got True"):
        make_classifier(**{name: True})


def test_a_class_that_is_no_network_is_refused():
    with pytest.raises(TypeError, match="module=int is not a subclass"):
        make_classifier(int)
