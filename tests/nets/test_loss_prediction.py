"""Learning Loss: its losses against literal loops, and who sees which gradient."""

import math
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skdfal import learning_loss_score
from skdfal.nets import (
    LeNet5,
    LossPredictionClassifier,
    LossPredictionHead,
    RestartingClassifier,
    make_classifier,
    margin_pair_loss,
    ranking_pair_loss,
)
from skdfal.nets._loss_prediction import pooled_maps

CHEAP = {"n_classes": 3, "image_size": 16, "width": 0.3, "max_epochs": 2}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    y = np.arange(21) % 3
    X = rng.random((21, 1, 16, 16)).astype(np.float32)
    X[:, 0, 0] += y[:, None]
    return X, y


def seeded_fit(net, data, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return net.fit(*data)


# The pair losses


def pairs(n):
    """(i, B + 1 - i) for i = 1, ..., B // 2, counted from 0."""
    return [(i, n - 1 - i) for i in range(n // 2)]


@pytest.mark.parametrize("n", [2, 3, 8, 9, 128])
def test_pair_losses_are_literal_loops(n):
    generator = torch.Generator().manual_seed(n)
    predicted, loss = torch.rand(2, n, generator=generator, dtype=torch.float64) * 4
    loss[-1] = loss[0]  # a tie
    margin, ranking = [], []
    for i, j in pairs(n):
        is_larger = loss[i] > loss[j]
        gap = (predicted[i] - predicted[j]).item()
        margin.append(max(0, -(1 if is_larger else -1) * gap + 1.5))
        p = 1 / (1 + math.exp(-gap))
        ranking.append(-math.log(p if is_larger else 1 - p))
    assert margin_pair_loss(predicted, loss, 1.5).item() == pytest.approx(
        np.mean(margin), abs=1e-6
    )
    assert ranking_pair_loss(predicted, loss).item() == pytest.approx(
        np.mean(ranking), abs=1e-6
    )


@pytest.mark.parametrize("pair_loss", [margin_pair_loss, ranking_pair_loss])
def test_pair_losses_teach_the_head_alone_and_skip_who_has_no_pair(pair_loss):
    predicted = torch.rand(5, requires_grad=True)
    loss = torch.rand(5, requires_grad=True)
    pair_loss(predicted, loss).backward()
    assert loss.grad is None  # targets are detached
    assert predicted.grad[2] == 0  # the middle of an odd batch
    assert (predicted.grad[[0, 1, 3, 4]] != 0).all()
    alone = torch.rand(1, requires_grad=True)
    pair_loss(alone, torch.rand(1)).backward()
    assert alone.grad.item() == 0


# The head


@pytest.mark.parametrize("pair_loss", [margin_pair_loss, ranking_pair_loss])
@pytest.mark.parametrize("shape", [(6, 1), (4,), (1,), ()])
def test_pair_losses_of_other_shapes(pair_loss, shape):
    with pytest.raises(ValueError, match=r"expected \(n_samples,\) for both"):
        pair_loss(torch.zeros(shape), torch.zeros(6))
    with pytest.raises(ValueError, match=r"expected \(n_samples,\) for both"):
        pair_loss(torch.zeros(6), torch.zeros(shape))


def test_head_by_hand():
    head = LossPredictionHead([3, 5], n_hidden=4)
    maps = [torch.rand(2, 3), torch.rand(2, 5)]
    hidden = [
        (h @ branch[0].weight.T + branch[0].bias).clamp_min(0)
        for h, branch in zip(maps, head.branches, strict=True)
    ]
    by_hand = torch.cat(hidden, 1) @ head.linear.weight[0] + head.linear.bias
    torch.testing.assert_close(head(maps), by_hand)


def test_maps_are_averaged_over_all_places_and_leave_no_hook():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.Flatten())
    x = torch.rand(2, 1, 6, 6)
    with pooled_maps(net, ["0", "2"]) as maps:
        net(x)
    torch.testing.assert_close(maps[0], net[0](x).mean((2, 3)))
    assert maps[1].shape == (2, 64)
    with pytest.raises(ValueError, match=r"layer '0'.*in training"):
        with pooled_maps(net, ["0"]):
            pass
    assert not any(m._forward_hooks for m in net.modules())


def test_maps_are_those_of_the_layer_whatever_follows_works_in_place():
    net = nn.Sequential(nn.Linear(5, 8), nn.ReLU(inplace=True), nn.Linear(8, 2))
    x = torch.randn(9, 5, generator=torch.Generator().manual_seed(0))
    with pooled_maps(net, ["0"]) as maps:
        net(x)
    torch.testing.assert_close(maps[0], net[0](x))


# The classifier


@pytest.mark.parametrize("kind", ["margin", "ranking"])
@pytest.mark.parametrize("n_samples", [7, 9])
def test_a_step_minimizes_the_sum_of_both_losses(kind, n_samples, data):
    settings = {"loss_prediction": kind, "loss_weight": 0.7, "module__dropout": 0}
    net = make_classifier("lenet5", **CHEAP, **settings).initialize()
    X, y = (torch.as_tensor(part[:n_samples]) for part in data)
    with pooled_maps(net.module_, net.loss_layers_) as maps:
        logits = net.module_(X)
    predicted = net.loss_head_(maps)
    losses = [-row.log_softmax(0)[k].item() for row, k in zip(logits, y, strict=True)]
    pair_loss = {"margin": margin_pair_loss, "ranking": ranking_pair_loss}[kind]
    expected = np.mean(losses) + 0.7 * pair_loss(predicted, torch.tensor(losses)).item()
    net.notify("on_train_begin", X=X, y=y)
    net.history.new_epoch()
    net.history.new_batch()
    step = net.train_step_single((X, y))
    assert step["loss"].item() == pytest.approx(expected, abs=1e-6)
    assert net.criterion_.reduction == "mean"


@pytest.mark.parametrize(("epoch", "is_attached"), [(6, True), (7, False)])
def test_gradients_stop_at_the_maps_after_six_tenths_of_the_epochs(
    epoch, is_attached, data
):
    net = make_classifier(**CHEAP | {"max_epochs": 10}, loss_prediction="margin")
    net.initialize().notify("on_train_begin")
    for _ in range(epoch):
        net.history.new_epoch()
    net.history.new_batch()
    h = torch.rand(4, 8, requires_grad=True)
    net.loss_head_ = LossPredictionHead([8])
    net._pair_loss([h], torch.rand(4)).backward()
    assert (h.grad is not None) == is_attached
    assert net.loss_head_.linear.weight.grad is not None


def test_without_weight_the_module_learns_as_if_there_were_no_head(data):
    """The head draws its weights after the module, and shuffling after both."""
    kwargs = CHEAP | {"module__dropout": 0, "iterator_train__shuffle": False}
    plain = seeded_fit(make_classifier(**kwargs), data)
    both = make_classifier(**kwargs, loss_prediction="margin", loss_weight=0)
    for a, b in zip(
        plain.module_.parameters(),
        seeded_fit(both, data).module_.parameters(),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("patience", [None, 1])
def test_clone_pickle_and_what_others_see(patience, data):
    net = make_classifier(**CHEAP, loss_prediction="ranking", patience=patience)
    net = seeded_fit(net, data)
    again = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(
        net.predict_proba(data[0]), again.predict_proba(data[0])
    )
    for name, value in net.loss_head_.state_dict().items():
        assert torch.equal(value, again.loss_head_.state_dict()[name])
    plain = make_classifier(**CHEAP).initialize()
    assert net.module_.state_dict().keys() == plain.module_.state_dict().keys()
    assert net.module_(torch.zeros(2, 1, 16, 16)).shape == (2, 3)
    assert not any(m._forward_hooks for m in net.module_.modules())
    assert len(net.history[:, "pair_loss"]) == len(net.history)
    assert clone(net).get_params()["loss_prediction"] == "ranking"
    assert not hasattr(clone(net), "loss_head_")


def test_early_stopping_brings_back_the_head_of_the_best_epoch(data):
    net = make_classifier(**CHEAP | {"max_epochs": 4}, loss_prediction="margin")
    heads = []

    class Worse(LossPredictionClassifier):
        def validation_step(self, batch, **fit_params):
            step = super().validation_step(batch, **fit_params)
            return step | {"loss": torch.tensor(float(abs(len(self.history) - 2)))}

        def on_epoch_end(self, net, **kwargs):
            super().on_epoch_end(net, **kwargs)
            heads.append(self.loss_head_.linear.weight.detach().clone())

    given = make_classifier(**CHEAP, loss_prediction="margin", patience=2)
    net = Worse(**given.get_params(deep=False) | {"max_epochs": 4})
    seeded_fit(net, data)
    assert len(heads) == 4
    assert torch.equal(net.loss_head_.linear.weight, heads[1])
    assert not torch.equal(heads[1], heads[3])


@pytest.mark.parametrize("n_samples", [1, 2, 33])
def test_odd_batches_and_batches_of_one(n_samples):
    X, y = torch.rand(n_samples, 1, 16, 16), torch.arange(n_samples) % 3
    net = make_classifier("resnet18", **CHEAP, loss_prediction="margin")
    net = net.set_params(module__width=0.05).fit(X.numpy(), y.numpy())
    assert np.isfinite(net.history[:, "train_loss"]).all()


class NoLayers(nn.Sequential):
    def __init__(self, n_classes=3):
        super().__init__(nn.Flatten(), nn.Linear(256, 8), nn.Linear(8, n_classes))


class Skips(NoLayers):
    feature_layers = ("1", "spare")

    def __init__(self, n_classes=3):
        super().__init__(n_classes)
        self.spare = nn.Identity()

    def forward(self, x):
        return self[2](self[1](self[0](x)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss_layers": ["features.99"]}, r"LeNet5 has no layers \['features.99'\]"),
        ({"loss_layers": []}, "LeNet5 names no layers for the head. Set loss_layers"),
        ({"module": NoLayers}, "NoLayers names no layers for the head"),
        ({"module": Skips}, "Skips does not run its layer 'spare'"),
        ({"sample_shape": None}, "needs the shape of a sample"),
        ({"sample_shape": (3, 16, 16)}, r"cannot take sample_shape=\(3, 16, 16\)"),
        ({"loss_prediction": "both"}, "loss_prediction='both' should be one of"),
        ({"detach_after": 2}, "detach_after=2 should be a number in"),
        ({"detach_after": None}, "detach_after=None should be a number in"),
        ({"loss_weight": -1}, "loss_weight=-1 should be a number >= 0"),
        ({"loss_weight": "a"}, "loss_weight='a' should be a number >= 0"),
        ({"loss_layers": 3}, "loss_layers=3 should be names of layers"),
        ({"sample_shape": 16}, "sample_shape=16 should be a tuple of int"),
    ],
)
def test_bad_parameters(settings, message):
    given = make_classifier(**CHEAP, loss_prediction="margin").get_params(deep=False)
    if "module" in settings:
        given = {k: v for k, v in given.items() if not k.startswith("module__")}
    with pytest.raises(ValueError, match=message):
        LossPredictionClassifier(**given | settings).initialize()


def test_bad_choice_in_make_classifier_and_a_loss_without_single_losses(data):
    with pytest.raises(ValueError, match="loss_prediction"):
        make_classifier(loss_prediction="both")
    assert type(make_classifier()) is RestartingClassifier

    class Own(nn.Module):
        def forward(self, y_pred, y):
            return y_pred.square().mean()

    net = make_classifier(**CHEAP, loss_prediction="margin", criterion=Own)
    with pytest.raises(ValueError, match="criterion=Own has no attribute 'reduction'"):
        net.fit(*data)


def test_a_parameter_set_after_the_first_training_is_checked_too(data):
    net = seeded_fit(make_classifier(**CHEAP, loss_prediction="margin"), data)
    with pytest.raises(ValueError, match="loss_prediction='x' should be one of"):
        net.set_params(loss_prediction="x").partial_fit(*data)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("kind", ["margin", "ranking"])
def test_modules_of_other_precisions(kind, dtype):
    """The head computes in its own, whatever the maps come in."""
    module = LeNet5(n_classes=3, image_size=16, width=0.3).to(dtype)
    net = LossPredictionClassifier(
        module,
        criterion=nn.CrossEntropyLoss,
        loss_prediction=kind,
        sample_shape=(1, 16, 16),
        max_epochs=1,
        train_split=None,
        verbose=0,
    )
    X = torch.rand(8, 1, 16, 16, dtype=dtype)
    net.fit(X, torch.arange(8) % 3)
    assert np.isfinite(net.history[:, "pair_loss"]).all()
    score = learning_loss_score(net, X)
    assert len(set(score)) > 1


def test_a_head_that_diverged_says_so(data):
    net = make_classifier(**CHEAP, loss_prediction="margin").initialize()
    with torch.no_grad():
        net.loss_head_.linear.bias.fill_(torch.nan)
    with pytest.raises(ValueError, match=r"Head has diverged.*linear\.bias"):
        learning_loss_score(net, data[0])


def test_weights_of_module_and_head_are_saved_by_their_names(data, tmp_path):
    net = seeded_fit(make_classifier(**CHEAP, loss_prediction="margin"), data)
    files = {"f_params": tmp_path / "weights.pt", "f_loss_head": tmp_path / "head.pt"}
    net.save_params(**files)
    again = make_classifier(**CHEAP, loss_prediction="margin").initialize()
    again.load_params(**files)
    np.testing.assert_array_equal(
        learning_loss_score(again, data[0]), learning_loss_score(net, data[0])
    )
