"""What holds for every strategy, on every kind of estimator."""

import copy
import inspect

import numpy as np
import pytest
import skorch
import torch
from modAL.models import ActiveLearner, Committee
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from torch import nn

import skdfal
from skdfal.strategies import STRATEGIES
from tests.adversarial_nets import small_cnn
from tests.conftest import (
    make_blobs_of_images,
    make_net,
    make_net_with_head,
    make_steps,
)
from tests.strategy_cases import CASES

KINDS = ["net", "pipeline", "learner", "committee"]

all_cases = pytest.mark.parametrize("case", CASES, ids=str)
all_kinds = pytest.mark.parametrize("kind", KINDS)
of_nets = pytest.mark.parametrize("case", [c for c in CASES if c.needs_net], ids=str)
of_estimators = pytest.mark.parametrize(
    "case", [c for c in CASES if c.sampling is not skdfal.random_sampling], ids=str
)
scored = pytest.mark.parametrize("case", [c for c in CASES if c.score], ids=str)


def sample(case, estimator, X, n_instances=5, **kwargs):
    if "random_state" in inspect.signature(case.sampling).parameters:
        kwargs.setdefault("random_state", 0)
    return case.sampling(estimator, X, n_instances, **case.params | kwargs)


def softmax_cnn(**kwargs):
    return nn.Sequential(small_cnn(**kwargs), nn.Softmax(dim=1))


def no_flatten(n_classes, seed):
    return nn.Conv2d(1, 2, 3)


def nets_of(estimator):
    if hasattr(estimator, "learner_list"):
        return [net for learner in estimator.learner_list for net in nets_of(learner)]
    if hasattr(estimator, "steps"):
        return nets_of(estimator[-1])
    return [getattr(estimator, "estimator", estimator)]


def test_every_named_strategy_has_a_case():
    assert {case.sampling for case in CASES} == set(STRATEGIES.values())


@all_cases
@all_kinds
def test_indices_are_distinct_and_in_range(case, kind, estimators, pool):
    for n_instances in (1, 2, 5, len(pool)):
        indices = sample(case, estimators[kind], pool, n_instances)
        assert isinstance(indices, np.ndarray)
        assert indices.dtype.kind == "i"
        assert indices.shape == (n_instances,)
        assert len(set(indices.tolist())) == n_instances
        assert indices.min() >= 0
        assert indices.max() < len(pool)


@all_cases
@all_kinds
def test_same_seed_same_answer(case, kind, estimators, pool):
    first = sample(case, estimators[kind], pool, random_state=3)
    torch.rand(3)  # the global generators play no part
    np.random.rand(3)  # noqa: NPY002
    np.testing.assert_array_equal(
        first, sample(case, estimators[kind], pool, random_state=3)
    )


@scored
@all_kinds
def test_larger_scores_are_queried_first(case, kind, estimators, pool):
    kwargs = {"random_state": 0} if case.is_random else {}
    score = case.score(estimators[kind], pool, **case.score_params | kwargs)
    assert score.shape == (len(pool),)
    assert not np.isnan(score).any()
    indices = sample(case, estimators[kind], pool, len(pool))
    np.testing.assert_allclose(score[indices], np.sort(score)[::-1], rtol=1e-4)


@pytest.mark.parametrize("case", [c for c in CASES if c.is_nested], ids=str)
@all_kinds
def test_first_instances_do_not_depend_on_how_many_are_asked_for(
    case, kind, estimators, pool
):
    many = sample(case, estimators[kind], pool, 8)
    np.testing.assert_array_equal(sample(case, estimators[kind], pool, 3), many[:3])


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.score and not c.is_random], ids=str
)
@all_kinds
def test_scores_follow_a_permutation_and_ignore_the_batches(
    case, kind, estimators, pool
):
    order = np.random.default_rng(0).permutation(len(pool))
    whole = case.score(estimators[kind], pool, **case.score_params)
    for batch_size in (1, 7, 1000):
        part = case.score(
            estimators[kind], pool[order], batch_size=batch_size, **case.score_params
        )
        np.testing.assert_allclose(part, whole[order], rtol=1e-3, atol=1e-5)


@all_cases
@all_kinds
def test_leaves_no_trace(case, kind, estimators, pool):
    nets = nets_of(estimators[kind])
    for net in nets:
        net.module_.train()
        net.module_[1].eval()  # a frozen layer stays frozen
        net.module_[-1].weight.grad = torch.ones_like(net.module_[-1].weight)
    weights = [copy.deepcopy(net.module_.state_dict()) for net in nets]
    grads = [[p.grad for p in net.module_.parameters()] for net in nets]
    modes = [[m.training for m in net.module_.modules()] for net in nets]
    needs = [[p.requires_grad for p in net.module_.parameters()] for net in nets]
    hooks = [[len(m._forward_hooks) for m in net.module_.modules()] for net in nets]
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    X = pool.copy()

    sample(case, estimators[kind], X)

    np.testing.assert_array_equal(X, pool)
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    for i, net in enumerate(nets):
        for name, value in net.module_.state_dict().items():
            assert torch.equal(value, weights[i][name])
        after = [p.grad for p in net.module_.parameters()]
        assert all(a is b for a, b in zip(after, grads[i], strict=True))
        assert [m.training for m in net.module_.modules()] == modes[i]
        assert [p.requires_grad for p in net.module_.parameters()] == needs[i]
        assert [len(m._forward_hooks) for m in net.module_.modules()] == hooks[i]


@all_cases
@pytest.mark.parametrize("kind", ["learner", "committee"])
def test_a_learner_runs_the_strategy_once(case, kind, estimators, pool):
    n_runs = 0

    def counting(*args, **kwargs):
        nonlocal n_runs
        n_runs += 1
        return sample(case, *args, **kwargs)

    learner = copy.copy(estimators[kind])
    learner.query_strategy = counting
    for n_instances in (1, 2, 3):
        n_runs = 0
        indices, instances = learner.query(pool, n_instances=n_instances)
        assert n_runs == 1
        assert indices.shape == (n_instances,)
        np.testing.assert_array_equal(instances, pool[indices])


@of_estimators
def test_candidates_are_drawn_at_random(case, estimators, pool):
    drawn = [
        set(sample(case, estimators["net"], pool, 6, n_candidates=6, random_state=seed))
        for seed in (0, 1)
    ]
    # With as many instances as candidates, the candidates are the answer.
    assert drawn[0] != drawn[1]
    assert all(len(indices) == 6 for indices in drawn)


@of_estimators
@pytest.mark.parametrize(
    "dtype", [np.float16, np.float64, torch.float16, torch.float64]
)
def test_any_float_dtype_as_array_or_tensor(case, dtype, estimators, pool):
    # Powers of two: every dtype holds them exactly, so the answer is the same.
    X = np.round(pool * 16) / 16
    expected = sample(case, estimators["net"], X)
    if isinstance(dtype, torch.dtype):
        X = torch.from_numpy(X).to(dtype)
    else:
        X = X.astype(dtype)
    np.testing.assert_array_equal(sample(case, estimators["net"], X), expected)


@of_estimators
def test_softmax_with_nll_loss_gives_the_answer_of_the_logits(case, data, pool):
    make, softmax = make_net, {"module": softmax_cnn, "criterion": nn.NLLLoss}
    if case.needs_head:
        make, softmax = make_net_with_head, softmax | {"loss_layers": ("0.3", "0.7")}
    with torch.random.fork_rng():
        torch.manual_seed(0)  # of the heads
        logits = make().initialize()
        torch.manual_seed(0)
        softmax = make(**softmax).initialize()
    np.testing.assert_array_equal(
        sample(case, softmax, pool), sample(case, logits, pool)
    )


@of_estimators
def test_binary_net(case, binary_net, pool):
    if case.needs_head:
        net = make_net_with_head(n_outputs=1, criterion=nn.BCEWithLogitsLoss)
        binary_net = net.initialize()
    assert sample(case, binary_net, pool, 7).shape == (7,)


def with_last(X, value):
    """Return a copy of which one number in the last sample is replaced."""
    X = X.copy()
    X[-1, 0, 2, 3] = value
    return X


BAD_POOLS = {
    "empty": (lambda X: X[:0], "0 sample|empty"),
    "nan": (lambda X: with_last(X, np.nan), "NaN"),
    "infinity": (lambda X: with_last(X, np.inf), "infinity"),
    "three_dimensions": (lambda X: X[:, 0], "shape|dimension"),
    "two_dimensions": (lambda X: X.reshape(len(X), -1), "shape|dimension"),
    "channels": (lambda X: np.repeat(X, 3, axis=1), r"\(40, 3, 8, 8\).*channels"),
    "size": (lambda X: X[:, :, :4], r"\(40, 1, 4, 8\)"),
    "one_image": (lambda X: X[0], "shape"),
    "tensor_with_nan": (lambda X: torch.full((4, 1, 8, 8), torch.nan), "NaN"),
    "empty_tensor": (lambda X: torch.zeros(0, 1, 8, 8), "0 sample|empty"),
}


@of_estimators
@all_kinds
@pytest.mark.parametrize("name", BAD_POOLS)
def test_bad_pool(case, kind, name, estimators, pool):
    spoil, message = BAD_POOLS[name]
    with pytest.raises(ValueError, match=message):
        sample(case, estimators[kind], spoil(pool), 1)


BAD_PARAMETERS = [
    ({"n_instances": 41}, "n_instances=41 should be <= n_samples=40"),
    ({"n_instances": 0}, "n_instances"),
    ({"n_instances": 1.5}, "n_instances"),
    ({"n_candidates": 41}, "n_candidates=41 should be <= n_samples=40"),
    ({"n_candidates": 3}, "n_instances=5 should be <= n_candidates=3"),
    ({"batch_size": 0}, "batch_size"),
    ({"random_state": "no"}, "random_state"),
]


@pytest.mark.parametrize(
    ("case", "kwargs", "message"),
    [
        pytest.param(case, kwargs, message, id=f"{case}-{kwargs}")
        for case in CASES
        for kwargs, message in BAD_PARAMETERS
        if set(kwargs) <= set(inspect.signature(case.sampling).parameters)
    ],
)
def test_bad_parameters(case, kwargs, message, estimators, pool):
    with pytest.raises(ValueError, match=message):
        sample(case, estimators["net"], pool, **kwargs)


@of_estimators
@pytest.mark.parametrize(
    "make",
    [
        make_net,
        lambda: make_pipeline(make_steps(), make_net()),
        lambda: ActiveLearner(make_net(), skdfal.dfal),
        lambda: Committee([ActiveLearner(make_net(), skdfal.dfal)], skdfal.dfal),
        skdfal.ActiveLearningClassifier,
    ],
)
def test_unfitted(case, make, pool):
    with pytest.raises(NotFittedError, match="not fitted"):
        sample(case, make(), pool)


@of_nets
@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression().fit(np.eye(4), [0, 1, 2, 3]),
        RandomForestClassifier(2).fit(np.eye(4), [0, 1, 2, 3]),
        make_pipeline(make_steps(), LogisticRegression()),
        nn.Linear(2, 2),
        "net",
        None,
    ],
    ids=lambda e: type(e).__name__,
)
def test_not_a_torch_net(case, estimator, pool):
    with pytest.raises(TypeError, match="net"):
        sample(case, estimator, pool)


@of_estimators
def test_output_of_one_class_or_of_a_wrong_shape(case, pool):
    one = make_net(n_outputs=1).initialize()
    with pytest.raises(ValueError, match="one class"):
        sample(case, one, pool)
    image = make_net(module=no_flatten).initialize()
    with pytest.raises(ValueError, match=r"\(2, 2, 6, 6\)"):
        sample(case, image, pool)


@of_estimators
@all_kinds
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_diverged_nets(case, kind, value, estimators, pool):
    diverged = copy.deepcopy(estimators[kind])
    nets_of(diverged)[-1].module_[-1].weight.data[0, 0] = value
    with pytest.raises(ValueError, match=r"has diverged: .*NaN or infinity.*rate"):
        sample(case, diverged, pool)


@of_estimators
def test_regressor_and_overflow(case, pool):
    regressor = skorch.NeuralNetRegressor(small_cnn, module__n_classes=1)
    with pytest.raises(TypeError, match="regressor"):
        sample(case, regressor.initialize(), pool)
    with pytest.raises(ValueError, match="beyond"):
        sample(case, make_net().initialize(), pool.astype(float) * 1e300)


def test_arrays_of_any_byte_order(estimators, pool):
    swapped = pool.astype(">f4")
    np.testing.assert_array_equal(
        skdfal.dfal(estimators["net"], swapped, 4),
        skdfal.dfal(estimators["net"], pool, 4),
    )
    with pytest.raises(TypeError, match="sparse or meta"):
        skdfal.dfal(estimators["net"], torch.empty(3, 1, 8, 8, device="meta"))


def test_committee_is_attacked_at_its_consensus(estimators, pool):
    learners = estimators["committee"].learner_list
    proba = np.mean([m.predict_proba(pool) for m in learners], axis=0)
    entropy = -(proba * np.log(proba)).sum(1)
    np.testing.assert_allclose(
        skdfal.entropy_score(estimators["committee"], pool), entropy, rtol=1e-4
    )


def test_committee_whose_members_transform_differently(data, pool):
    X, y = data[0][:60], data[1][:60]
    learners = [
        ActiveLearner(make_pipeline(steps, make_net()), skdfal.dfal, X, y)
        for steps in (make_steps(), "passthrough")
    ]
    committee = Committee(learners, query_strategy=skdfal.dfal)
    members = [skdfal.deepfool_margin_score(m, pool) for m in learners]
    np.testing.assert_allclose(
        skdfal.deepfool_margin_score(committee, pool), np.mean(members, axis=0)
    )
    assert skdfal.dfal(committee, pool, 4, prune=True).shape == (4,)


def test_classifiers_of_scikit_learn_do_for_probabilities():
    X, y = make_blobs_of_images(40)
    clf = LogisticRegression().fit(X.reshape(40, -1), y)
    proba = clf.predict_proba(X.reshape(40, -1))
    least = skdfal.least_confidence_score(clf, X.reshape(40, -1))
    np.testing.assert_allclose(least, 1 - proba.max(1))
    with pytest.raises(NotFittedError):
        skdfal.entropy_score(LogisticRegression(), X)
