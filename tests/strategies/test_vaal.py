"""VAAL and TA-VAAL: their losses by hand, seeds, and what they ask for."""

import copy
import math
import warnings

import numpy as np
import pytest
import torch
from modAL.models import ActiveLearner
from torch import nn
from torch.nn import functional as F

import skdfal
from skdfal import ta_vaal_sampling, ta_vaal_score, vaal_sampling, vaal_score
from skdfal.adapter import predicted_losses
from skdfal.datasets import fetch_fashion_mnist, make_imbalanced
from skdfal.nets import _vaal as vaal_module
from skdfal.nets import make_classifier
from skdfal.nets._vaal import (
    VAALNet,
    adversarial_loss,
    discriminator_loss,
    vae_loss,
)
from tests.conftest import make_blobs_of_images, make_net
from tests.data_home import skdfal_data

CHEAP = {"width": 0.05, "max_epochs": 2, "random_state": 0}


@pytest.fixture(scope="module")
def X_labeled():
    return make_blobs_of_images(20, seed=1)[0]


# The losses


def test_vae_loss_by_hand():
    x, reconstruction = torch.rand(2, 3, 1, 4, 4, dtype=torch.float64)
    mean, log_variance = torch.randn(2, 3, 5, dtype=torch.float64)
    squares = [
        (a - b) ** 2
        for a, b in zip(
            x.flatten().tolist(), reconstruction.flatten().tolist(), strict=True
        )
    ]
    divergences = [
        (math.exp(v) + m * m - 1 - v) / 2
        for m, v in zip(
            mean.flatten().tolist(), log_variance.flatten().tolist(), strict=True
        )
    ]
    expected = np.mean(squares) + 0.3 * np.mean(divergences)
    found = vae_loss(x, reconstruction, mean, log_variance, 0.3).item()
    assert found == pytest.approx(expected, abs=1e-6)


def test_targets_are_the_right_way_round():
    """Labelled is 1; unlabelled is 0 for the discriminator, 1 for who is to fool it."""
    labeled, unlabeled = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0, 1.0])

    def of(logits, target):
        p = [1 / (1 + math.exp(-logit)) for logit in logits.tolist()]
        return -np.mean([math.log(q if target else 1 - q) for q in p])

    assert discriminator_loss(labeled, unlabeled).item() == pytest.approx(
        of(labeled, 1) + of(unlabeled, 0), abs=1e-6
    )
    assert adversarial_loss(labeled, unlabeled).item() == pytest.approx(
        of(labeled, 1) + of(unlabeled, 1), abs=1e-6
    )


@pytest.mark.parametrize("has_rank", [False, True])
def test_a_step_is_one_of_the_autoencoder_and_then_one_of_the_discriminator(has_rank):
    """Plain SGD by hand from the same weights; D sees the code of the new encoder."""
    lr, beta, weight, n = 0.1, 0.5, 2.0, 4
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = VAALNet(
            module__image_size=8,
            module__in_channels=1,
            module__n_latent=3,
            module__width=0.05,
            module__has_rank=has_rank,
            discriminator__n_latent=3,
            discriminator__n_hidden=6,
            discriminator__has_rank=has_rank,
            optimizer=torch.optim.SGD,
            lr=lr,
            beta=beta,
            adversarial_weight=weight,
            callbacks="disable",
        ).initialize()
        vae, d = copy.deepcopy(net.module_), copy.deepcopy(net.discriminator_)
        x_l, x_u = torch.rand(2, n, 1, 8, 8)
        r_l, r_u = torch.randn(2, n) if has_rank else (None, None)
        net.history.new_epoch()
        net.history.new_batch()
        torch.manual_seed(1)
        step = net.train_step((x_l, x_u, r_l, r_u))

        torch.manual_seed(1)
        x = torch.cat([x_l, x_u])
        r = torch.cat([r_l, r_u]) if has_rank else None
        sees = torch.sigmoid(r) if has_rank else None
        recon, mean, log_variance = vae(x, sees)
        logit = d(mean, r)
        ones = torch.ones(n)
        bce = F.binary_cross_entropy_with_logits
        loss = sum(
            F.mse_loss(recon[s], x[s])
            + beta
            * 0.5
            * (log_variance[s].exp() + mean[s] ** 2 - 1 - log_variance[s]).mean()
            + weight * bce(logit[s], ones)
            for s in (slice(n), slice(n, None))
        )
        grads = torch.autograd.grad(loss, list(vae.parameters()))
        with torch.no_grad():
            for p, g in zip(vae.parameters(), grads, strict=True):
                p -= lr * g
        code = vae.encode(x)[0].detach()
        logit = d(code, r)
        d_loss = bce(logit[:n], ones) + bce(logit[n:], 0 * ones)
        grads = torch.autograd.grad(d_loss, list(d.parameters()))
        with torch.no_grad():
            for p, g in zip(d.parameters(), grads, strict=True):
                p -= lr * g
    assert step["loss"].item() == pytest.approx(loss.item(), abs=1e-5)
    assert net.history[-1, "batches", 0, "discriminator_loss"] == pytest.approx(
        d_loss.item(), abs=1e-5
    )
    for mine, theirs in ((net.module_, vae), (net.discriminator_, d)):
        for a, b in zip(mine.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-4)


# The scores


@pytest.mark.parametrize("score", [vaal_score, ta_vaal_score])
def test_two_runs_of_a_seed_are_the_same(score, estimators_with_heads, pool, X_labeled):
    net = estimators_with_heads["net"]
    first, again = (score(net, pool, X_labeled=X_labeled, **CHEAP) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other = score(net, pool, X_labeled=X_labeled, **CHEAP | {"random_state": 1})
    assert not np.allclose(first, other)
    unseeded = CHEAP | {"random_state": None}
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    a, b = (score(net, pool, X_labeled=X_labeled, **unseeded) for _ in range(2))
    assert not np.allclose(a, b)
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002


def test_ta_vaal_knows_the_ranks_and_vaal_does_not(
    estimators_with_heads, pool, X_labeled
):
    net = copy.deepcopy(estimators_with_heads["net"])
    before = [
        s(net, pool, X_labeled=X_labeled, **CHEAP) for s in (vaal_score, ta_vaal_score)
    ]
    ranks = predicted_losses(net, pool)
    with torch.no_grad():
        net.loss_head_.linear.weight.neg_()
    after = [
        s(net, pool, X_labeled=X_labeled, **CHEAP) for s in (vaal_score, ta_vaal_score)
    ]
    assert not np.allclose(ranks, predicted_losses(net, pool))
    np.testing.assert_array_equal(before[0], after[0])
    assert not np.allclose(before[1], after[1])


def test_a_learner_s_labelled_samples_are_known(plain_estimators, pool):
    learner = plain_estimators["learner"]
    np.testing.assert_array_equal(
        vaal_score(learner, pool, **CHEAP),
        vaal_score(learner.estimator, pool, X_labeled=learner.X_training, **CHEAP),
    )


def test_every_sample_of_either_kind_is_seen_before_one_comes_again(
    plain_estimators, pool, X_labeled, monkeypatch
):
    batches = []

    def keep(self, batch, **fit_params):
        batches.append(batch)
        self.history.record_batch("discriminator_loss", 0.0)
        return {"loss": torch.zeros(()), "y_pred": batch[0]}

    monkeypatch.setattr(VAALNet, "train_step", keep)
    settings = CHEAP | {"max_epochs": 1, "train_batch_size": 16}
    vaal_score(plain_estimators["net"], pool, X_labeled=X_labeled, **settings)
    assert [len(x_u) for _, x_u, *_ in batches] == [16, 16, 8]
    assert [len(x_l) for x_l, *_ in batches] == [16, 16, 8]
    x_l, x_u = (torch.cat(part) for part in list(zip(*batches, strict=True))[:2])
    assert len(torch.unique(x_u, dim=0)) == len(pool)
    assert len(torch.unique(x_l[:20], dim=0)) == len(X_labeled)


@pytest.mark.parametrize(("n", "n_labeled"), [(1, 20), (3, 1), (1, 1)])
def test_pools_smaller_than_a_batch(n, n_labeled, plain_estimators, pool, X_labeled):
    score = vaal_score(
        plain_estimators["net"], pool[:n], X_labeled=X_labeled[:n_labeled], **CHEAP
    )
    assert score.shape == (n,)
    assert np.isfinite(score).all()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("score", [vaal_score, ta_vaal_score])
def test_the_game_is_trained_where_gradients_are_off(
    score, mode, estimators_with_heads, pool, X_labeled
):
    net, given = estimators_with_heads["net"], CHEAP | {"X_labeled": X_labeled}
    with mode():
        found = score(net, torch.as_tensor(pool), **given)
    np.testing.assert_array_equal(found, score(net, pool, **given))


@pytest.mark.parametrize("score", [vaal_score, ta_vaal_score])
def test_where_the_default_precision_is_another(
    score, estimators_with_heads, pool, X_labeled
):
    net, given = estimators_with_heads["net"], CHEAP | {"X_labeled": X_labeled}
    torch.set_default_dtype(torch.float64)
    try:
        assert np.isfinite(score(net, pool, **given)).all()
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("score", [vaal_score, ta_vaal_score])
def test_bad_input(score, estimators_with_heads, pool, X_labeled, monkeypatch):
    net = estimators_with_heads["net"]

    def never(*args, **kwargs):
        raise AssertionError("nothing is trained")

    monkeypatch.setattr(vaal_module.VAALNet, "initialize", never)
    for X, other, message in [
        (pool, None, "no labelled samples. Pass X_labeled="),
        (pool, X_labeled[:0], "no labelled samples. Pass X_labeled="),
        (
            pool,
            X_labeled[:, :, :4],
            r"X_labeled has .*\(1, 4, 8\).*X has samples of shape \(1, 8, 8\)",
        ),
        (pool, np.where(X_labeled > 0.5, np.nan, X_labeled), "NaN"),
    ]:
        with pytest.raises(ValueError, match=message):
            score(net, X, X_labeled=other, **CHEAP)
    with pytest.raises(ValueError, match="adversarial_weight"):
        score(net, pool, X_labeled=X_labeled, adversarial_weight=-1)


def test_pictures_that_are_none_or_too_small():
    flat = make_net(module=Flat).initialize()
    X = np.random.default_rng(0).random((9, 64), dtype=np.float32)
    with pytest.raises(ValueError, match=r"needs images.*in X the net sees \(64,\)"):
        vaal_score(flat, X, X_labeled=X)
    X = X.reshape(9, 1, 16, 4)
    with pytest.raises(ValueError, match=r"too small for the pooling layers of VAE"):
        vaal_score(flat, X, X_labeled=X)


class Flat(nn.Sequential):
    def __init__(self, n_classes=4, seed=0):
        super().__init__(nn.Flatten(), nn.Linear(64, n_classes))


def test_ta_vaal_without_a_head(plain_estimators, pool, X_labeled):
    with pytest.raises(ValueError, match="no loss-prediction head"):
        ta_vaal_score(plain_estimators["net"], pool, X_labeled=X_labeled)


def test_ctrl_c_ends_the_query(plain_estimators, pool, X_labeled, monkeypatch):
    """skorch's own fit would take it for the end of the training, and go on."""

    def interrupted(self, batch, **fit_params):
        raise KeyboardInterrupt

    monkeypatch.setattr(VAALNet, "train_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        vaal_score(plain_estimators["net"], pool, X_labeled=X_labeled, **CHEAP)


def test_in_a_learner_and_in_the_loop(data):
    X, y = data
    learner = ActiveLearner(make_net(max_epochs=1), vaal_sampling, X[:20], y[:20])
    indices, _ = learner.query(X[20:], n_instances=3, **CHEAP)
    assert indices.shape == (3,)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf = skdfal.ActiveLearningClassifier(
            None,
            "ta_vaal",
            n_initial=8,
            n_instances=4,
            max_annotations=12,
            query_params={"width": 0.05, "max_epochs": 1},
            random_state=0,
        ).fit(X, y)
    assert clf.estimator_.loss_prediction == "ranking"


# What they are for


real_data = pytest.mark.skipif(skdfal_data() is None, reason="needs Fashion-MNIST")
SLIM = {"width": 0.0625, "train_batch_size": 64, "random_state": 0}


@pytest.mark.slow
@real_data
def test_vaal_asks_for_a_class_that_is_missing_among_the_labelled():
    """More than twice its share of the pool, over bags, trousers and sandals."""
    data = fetch_fashion_mnist()
    net = make_classifier("lenet5").initialize()  # its input space alone is used
    lifts = []
    for missing in (8, 1, 5):
        order = np.random.default_rng(0).permutation(len(data.y_train))
        labeled = order[data.y_train[order] != missing][:3000]
        pool = np.random.default_rng(0).permutation(np.setdiff1d(order, labeled))[:3000]
        is_missing = data.y_train[pool] == missing
        asked = vaal_sampling(
            net,
            data.X_train[pool],
            100,
            X_labeled=data.X_train[labeled],
            max_epochs=8,
            **SLIM,
        )
        lifts.append(is_missing[asked].mean() / is_missing.mean())
    print(lifts)
    assert np.mean(lifts) > 2


@pytest.mark.slow
@real_data
def test_ta_vaal_asks_for_rare_classes_more_than_random_does():
    """One in a hundred of five classes is there: RANDOM asks for their share."""
    data = fetch_fashion_mnist()
    X, y = make_imbalanced(data.X_train, data.y_train, 100)
    n = np.bincount(y)
    is_rare = n[y] < n.max()
    found = []
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(y))
        labeled, pool = order[:2000], order[2000:6000]
        net = make_classifier("lenet5", max_epochs=20, loss_prediction="ranking")
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            net.fit(X[labeled], y[labeled])
        settings = SLIM | {"max_epochs": 5, "random_state": seed}
        asked = ta_vaal_sampling(net, X[pool], 200, X_labeled=X[labeled], **settings)
        found.append(is_rare[pool[asked]].mean() / is_rare[pool].mean())
    print(found)
    assert np.mean(found) > 1


def test_a_game_that_diverged_says_so(estimators, X_labeled):
    X = make_blobs_of_images(9)[0]
    with pytest.raises(ValueError, match=r"diverged: \d+ of 9 scores.*Lower lr=1e\+30"):
        vaal_score(estimators["net"], X, X_labeled=X_labeled, **CHEAP | {"lr": 1e30})
