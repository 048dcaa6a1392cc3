"""What no pool may break: few samples, copies, all of them asked for, any order."""

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from skdfal import LabelingSession
from tests.strategy_cases import CASES

all_cases = pytest.mark.parametrize("case", CASES, ids=str)
by_score = pytest.mark.parametrize(
    "case", [c for c in CASES if c.score and not c.is_random], ids=str
)
few = settings(max_examples=6, derandomize=True, deadline=None, database=None)


@st.composite
def pools(draw):
    """Which of 40 samples are in the pool, copies allowed, and how many to query."""
    of = st.lists(st.integers(0, 39) | st.just(7), min_size=1, max_size=10)
    rows = draw(of)
    n_instances = draw(st.integers(1, len(rows)) | st.just(len(rows)))
    return np.array(rows), n_instances


@pytest.fixture(scope="module")
def net_for(plain_estimators, estimators_with_heads):
    def net(case):
        found = estimators_with_heads if case.needs_head else plain_estimators
        return found["net"]

    return net


def query(case, net, X, n_instances, seed):
    params = dict(case.params)
    if "random_state" in inspect.signature(case.sampling).parameters:
        params["random_state"] = seed
    return case.sampling(net, X, n_instances, **params)


def traces(net, X):
    """All that a query might leave behind."""
    parameters = net.module_.state_dict().values()
    return (
        X.tobytes(),
        [p.detach().numpy().tobytes() for p in parameters],
        [p.grad is None for p in net.module_.parameters()],
        net.module_.training,
        torch.get_rng_state().numpy().tobytes(),
        np.random.get_state()[1].tobytes(),  # noqa: NPY002
    )


@all_cases
def test_any_query_is_of_distinct_samples_and_leaves_no_trace(case, net_for, pool):
    net = net_for(case)

    @few
    @given(pools(), st.integers(0, 99))
    def check(drawn, seed):
        rows, n_instances = drawn
        X = pool[rows]
        before = traces(net, X)
        chosen = query(case, net, X, n_instances, seed)
        # Indices into X, none of them twice, as many as were asked for.
        assert chosen.shape == (n_instances,)
        assert set(chosen.tolist()) <= set(range(len(X)))
        assert len(set(chosen.tolist())) == n_instances
        # The samples, the net and the global generators are as before.
        assert traces(net, X) == before
        # The same seed answers the same.
        np.testing.assert_array_equal(chosen, query(case, net, X, n_instances, seed))
        with pytest.raises(ValueError, match="n_instances"):
            query(case, net, X, len(X) + 1, seed)

    check()


@by_score
def test_copies_score_alike_and_order_does_not_matter(case, net_for, pool):
    net = net_for(case)

    @few
    @given(pools(), st.randoms(use_true_random=False))
    def check(drawn, random):
        rows, n_instances = drawn
        X = pool[rows]
        score = case.score(net, X, **case.score_params)
        # Copies of a sample are worth the same.
        for row in set(rows.tolist()):
            of_copies = score[rows == row]
            np.testing.assert_allclose(of_copies, of_copies[0], rtol=1e-4, atol=1e-6)
        # In another order it chooses samples that are worth the same.
        order = np.array(random.sample(range(len(X)), len(X)))
        chosen = query(case, net, X, n_instances, 0)
        again = order[query(case, net, X[order], n_instances, 0)]
        best = np.sort(score)[::-1][:n_instances]
        for indices in (chosen, again):
            np.testing.assert_allclose(score[indices], best, rtol=1e-4, atol=1e-6)

    check()


moves = st.lists(st.tuples(st.sampled_from("asrf"), st.integers(1, 6)), max_size=8)


@settings(max_examples=15, derandomize=True, deadline=None, database=None)
@given(moves, st.integers(1, 30))
def test_a_session_asks_among_its_candidates_that_are_open(played, n_candidates):
    """However labels are told, skipped and taken back: a, s, r; f is a training."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3)).astype(np.float32)
    y = np.arange(30) % 2
    seen = []

    def first(estimator, X, n_instances, pool_indices=None):
        seen.append(pool_indices)
        return np.arange(n_instances)

    session = LabelingSession(
        X, [0, 1], LogisticRegression(), query_strategy=first,
        n_candidates=n_candidates, random_state=0,
    )  # fmt: skip
    labels, skipped = {}, set()
    for move, n in [("a", 6), ("f", 1), *played]:
        n_open = len(X) - len(labels) - len(skipped)
        if move == "f":
            session.fit()
        elif move == "r" and len(labels) > 6:
            taken = sorted(labels)[-1]
            session.retract(taken)
            del labels[taken]
        elif move in "as" and n_open >= n:
            n_queries = len(seen)
            asked = session.ask(n).tolist()
            assert len(set(asked)) == len(asked) == n
            assert not set(asked) & (set(labels) | skipped)
            for candidates in seen[n_queries:]:
                assert set(candidates) <= set(range(30)) - set(labels) - skipped
                assert len(candidates) <= max(n_candidates, n)
            if move == "a":
                session.tell(asked, y[asked])
                labels |= {i: y[i] for i in asked}
            else:
                session.skip(asked)
                skipped |= set(asked)
    assert session.labels_ == labels
    assert set(session.skipped_indices_.tolist()) == skipped
