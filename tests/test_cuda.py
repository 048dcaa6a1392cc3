"""What holds on a CPU holds on a GPU; the whole file is skipped where there is none."""

import warnings

import numpy as np
import pytest
import torch

import skdfal
from skdfal import ActiveLearningClassifier, AdversarialAugmenter, LabelingSession
from tests.conftest import make_net, make_net_for
from tests.strategy_cases import CASES, cheap_params
from tests.test_common import sample

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="there is no CUDA device"
)
all_cases = pytest.mark.parametrize("case", CASES, ids=str)


@pytest.fixture(scope="module")
def nets(data):
    """The same weights on both devices."""
    X, y = data
    with torch.random.fork_rng():
        torch.manual_seed(0)
        on_cpu = make_net().fit(X[:60], y[:60])
    on_gpu = make_net(device="cuda").initialize()
    on_gpu.module_.load_state_dict(on_cpu.module_.state_dict())
    return on_cpu, on_gpu


@all_cases
def test_the_same_indices_as_on_the_cpu(case, nets, pool):
    on_cpu, on_gpu = nets
    found = sample(case, on_gpu, pool, 8)
    assert len(set(found.tolist())) == 8
    if case.is_random and case.needs_net:
        return  # the same seed draws other numbers
    if case.score is None:
        np.testing.assert_array_equal(found, sample(case, on_cpu, pool, 8))
        return
    # Up to ties: the scores of what is found are the largest there are.
    score = case.score(on_cpu, pool, **case.score_params)
    largest = np.sort(score)[::-1][:8]
    np.testing.assert_allclose(score[found], largest, rtol=1e-3, atol=1e-5)


@all_cases
@pytest.mark.parametrize("where", ["cpu", "cuda"])
def test_tensors_of_any_device_are_pools(case, where, nets, pool):
    X = torch.from_numpy(pool).to(where)
    expected = sample(case, nets[1], pool)
    np.testing.assert_array_equal(sample(case, nets[1], X), expected)


@all_cases
def test_leaves_no_trace(case, nets, pool):
    net = nets[1]
    net.module_.train()
    weights = {k: v.clone() for k, v in net.module_.state_dict().items()}
    states = torch.get_rng_state(), torch.cuda.get_rng_state()
    sample(case, net, pool)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert torch.equal(torch.cuda.get_rng_state(), states[1])
    for name, value in net.module_.state_dict().items():
        assert torch.equal(value, weights[name])
        assert value.is_cuda
    assert all(module.training for module in net.module_.modules())


def test_twins_come_back_to_the_samples(nets, pool):
    on_cpu, on_gpu = (
        AdversarialAugmenter(net, prefit=True).transform(pool) for net in nets
    )
    assert isinstance(on_gpu, np.ndarray)
    np.testing.assert_allclose(on_gpu, on_cpu, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype, nets, pool):
    net = make_net(device="cuda").initialize()
    net.module_.load_state_dict(nets[0].module_.state_dict())
    net.module_.to(dtype)
    exact = skdfal.deepfool_margin_score(nets[0], pool)
    found = skdfal.deepfool_margin_score(net, pool)
    both = np.isfinite(exact) & np.isfinite(found)
    assert both.mean() > 0.8
    assert np.median(np.abs(found[both] / exact[both] - 1)) < 0.1


def test_loop_and_session(data, tmp_path):
    X, y = data
    settings = {"query_strategy": "dfal", "random_state": 0}
    clf = ActiveLearningClassifier(
        make_net(device="cuda", max_epochs=3),
        n_initial=8,
        n_instances=4,
        max_annotations=16,
        **settings,
    ).fit(X, y, X_val=X[:40], y_val=y[:40])
    assert len(clf.X_train_) == 24
    assert next(clf.estimator_.module_.parameters()).is_cuda
    path = tmp_path / "gpu.skdfal"
    for n_told in (10, 20):  # the second time in a session that goes on
        with LabelingSession(
            X,
            range(4),
            make_net(device="cuda", max_epochs=3),
            path=path,
            **settings,
        ) as session:
            asked = session.ask(10)
            session.tell(asked, y[asked])
            assert session.fit().predict(X).shape == (len(X),)
            assert len(session.labels_) == n_told


@pytest.mark.parametrize("strategy", sorted(skdfal.STRATEGIES))
def test_every_strategy_in_the_loop(strategy, data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf = ActiveLearningClassifier(
            make_net_for(strategy, device="cuda", max_epochs=2),
            strategy,
            n_initial=8,
            n_instances=4,
            max_annotations=16,
            query_params=cheap_params(strategy),
            random_state=0,
        ).fit(*data)
    assert len(set(clf.annotated_indices_.tolist())) == 16
