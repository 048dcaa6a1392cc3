"""Which picture comes next, and how good the estimate is."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from skdfal.label import Order
from skdfal.label._status import accuracy

NAMES = [f"{i}.png" for i in range(400)]


def anything(name):
    return True


def asked(order, n, ranking=()):
    return order.next(n, anything, n_asked=0, n_held_out=0, ranking=ranking)


@given(st.integers(0, 99), st.sampled_from([0, 0.1, 0.25, 0.5]), st.integers(1, 60))
def test_the_share_that_is_held_out_is_kept(seed, holdout, n):
    order = Order(NAMES, seed, holdout)
    found = asked(order, n)
    assert len(set(found)) == n
    # After each question the share is what it should be, to within one question.
    for k in range(1, n + 1):
        n_held_out = sum(map(order.is_held_out, found[:k]))
        assert abs(n_held_out - holdout * k) <= 1


def test_the_order_may_be_asked_for_in_parts():
    order = Order(NAMES, 0, 0.1)
    whole, done = asked(order, 50), []
    while len(done) < 50:
        n_held_out = sum(map(order.is_held_out, done))
        is_open = set(NAMES).difference(done).__contains__
        done += order.next(1, is_open, len(done), n_held_out)
    assert done == whole


def test_the_ranking_comes_first_but_never_what_is_held_out():
    order = Order(NAMES, 0, 0.2)
    found = asked(order, 10, ranking=order.held_out[:30] + order.askable[:50][::-1])
    wanted = [name for name in found if not order.is_held_out(name)]
    assert wanted == order.askable[:50][::-1][: len(wanted)]
    assert [n for n in found if order.is_held_out(n)] == order.held_out[:2]


def test_pictures_that_come_and_go_change_nothing_for_the_others():
    before, after = Order(NAMES, 3, 0.1), Order([*NAMES[50:], "new.png"], 3, 0.1)
    for one, other in [
        (before.held_out, after.held_out),
        (before.askable, after.askable),
    ]:
        kept = [name for name in one if name in other]
        assert [name for name in other if name in one] == kept


def test_everything_is_asked_for_in_the_end():
    order = Order(NAMES, 0, 0.1)
    assert sorted(asked(order, 1000)) == sorted(NAMES)


def test_names_may_be_of_any_bytes():
    assert asked(Order(["a\udcff.png", "ü.png"], 0, 0.0), 5)


def test_nothing_is_known_of_no_samples():
    found = accuracy({"a": "cat"}, {"b": "cat"}, ["a", "b"])
    assert (found["n"], found["accuracy"]) == (0, None)
    assert (found["low"], found["high"]) == (0, 1)


def test_the_interval_of_what_is_held_out_covers_the_truth():
    """Nine in ten simulated runs, at 95 %, for a net whose errors are not spread.

    The net is wrong where a strategy asks, so that all but a random part misleads.
    """
    rng = np.random.default_rng(0)
    is_wrong = {name: rng.random() < 0.25 for name in NAMES}
    truth = 1 - np.mean(list(is_wrong.values()))
    hard_first = sorted(NAMES, key=is_wrong.get, reverse=True)
    labels = dict.fromkeys(NAMES, "right")
    predictions = {n: "wrong" if is_wrong[n] else "right" for n in NAMES}
    covered = naive = 0
    for seed in range(100):
        order = Order(NAMES, seed, 0.1)
        found = asked(order, 200, hard_first)
        for_test = [name for name in found if order.is_held_out(name)]
        estimate = accuracy(labels, predictions, for_test)
        covered += estimate["low"] <= truth <= estimate["high"]
        estimate = accuracy(labels, predictions, found)
        naive += estimate["low"] <= truth <= estimate["high"]
    assert covered >= 90
    assert naive < 10
