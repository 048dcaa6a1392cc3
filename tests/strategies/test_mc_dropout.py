"""MC dropout is the entropy of the mean: BALD and the mean of the draws' entropies."""

import numpy as np
import pytest
from scipy.special import entr

from skdfal import bald_score, mc_dropout_score
from skdfal.adapter import map_draws
from skdfal.experiment import Protocol, load_data
from skdfal.strategies._mc_dropout import _entropy_of_mean
from tests.conftest import make_net


def test_entropy_of_the_mean_is_a_literal_loop():
    proba = np.random.default_rng(0).dirichlet(np.ones(3), size=(4, 5))
    by_hand = [entr(sum(draw[i] for draw in proba) / 4).sum() for i in range(5)]
    np.testing.assert_allclose(_entropy_of_mean(proba), by_hand, atol=1e-12)


def test_it_is_bald_and_the_entropy_of_the_draws(plain_estimators, pool):
    settings = {"n_draws": 6, "random_state": 0}
    net = plain_estimators["net"]
    draws = np.concatenate(
        list(map_draws(np.asarray, net, pool, 6, 1000, 0, "")), axis=1
    )
    of_draws = entr(draws).sum(2).mean(0)
    total = mc_dropout_score(net, pool, **settings)
    np.testing.assert_allclose(total, bald_score(net, pool, **settings) + of_draws)
    assert (total <= np.log(4)).all()


def test_needs_dropout(pool):
    net = make_net().initialize()
    for layer in (net.module_[4], net.module_[8]):
        layer.p = 0
    with pytest.raises(ValueError, match="mc_dropout_score needs dropout"):
        mc_dropout_score(net, pool)


@pytest.mark.parametrize(("strategy", "rate"), [("mc_dropout", 0.3), ("dfal", 0)])
def test_a_resnet_that_is_made_for_it_drops(strategy, rate):
    protocol = Protocol(net="resnet18", width=0.05)
    net = protocol.make_net(load_data(protocol), strategy=strategy).initialize()
    assert net.module_.layer1[0].residual[2].p == rate
