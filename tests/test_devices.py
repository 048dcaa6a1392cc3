"""What holds on the CPU holds on a GPU; where there is none, on a pretended device."""

import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import skdfal
from skdfal import ActiveLearningClassifier, AdversarialAugmenter, LabelingSession
from skdfal.cli import main
from skdfal.label._backbone import Backbone
from skdfal.label._net_file import load_net, save_net
from skdfal.label._nets import make_net as make_label_net
from tests import pretended
from tests.conftest import make_net, make_net_for, make_net_with_head
from tests.strategy_cases import CASES, cheap_params
from tests.test_common import sample

DEVICE = "cuda" if torch.cuda.is_available() else pretended.name
pytestmark = pytest.mark.skipif(
    DEVICE is None, reason="there is no GPU; tests/test_pretended.py pretends one"
)
all_cases = pytest.mark.parametrize("case", CASES, ids=str)


@pytest.fixture(scope="module")
def device():
    return DEVICE


@pytest.fixture(scope="module")
def nets(data, device):
    """The same weights on both devices."""
    X, y = data
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        on_cpu = make_net_with_head().fit(X[:60], y[:60])
    there = make_net_with_head(device=device).initialize()
    for ours, theirs in [
        (there.module_, on_cpu.module_),
        (there.loss_head_, on_cpu.loss_head_),
    ]:
        ours.load_state_dict(theirs.state_dict())
    return on_cpu, there


@all_cases
def test_the_same_indices_as_on_the_cpu(case, nets, pool):
    on_cpu, there = nets
    found = sample(case, there, pool, 8)
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
def test_tensors_of_any_device_are_pools(case, nets, pool, device):
    expected = sample(case, nets[1], pool)
    for where in ("cpu", device):
        X = torch.from_numpy(pool).to(where)
        np.testing.assert_array_equal(sample(case, nets[1], X), expected)


@all_cases
def test_doubles_are_samples_where_the_device_has_none(case, nets, pool):
    expected = sample(case, nets[1], pool)
    found = sample(case, nets[1], pool.astype(np.float64))
    np.testing.assert_array_equal(found, expected)


@all_cases
def test_leaves_no_trace(case, nets, pool, device):
    net, draws = nets[1], getattr(torch, device)
    net.module_.train()
    weights = {k: v.clone() for k, v in net.module_.state_dict().items()}
    states = torch.get_rng_state(), draws.get_rng_state()
    sample(case, net, pool)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert torch.equal(draws.get_rng_state(), states[1])
    for name, value in net.module_.state_dict().items():
        assert torch.equal(value, weights[name])
        assert value.device.type == device
    assert all(module.training for module in net.module_.modules())


def test_twins_come_back_to_the_samples(nets, pool):
    on_cpu, there = (
        AdversarialAugmenter(net, prefit=True).transform(pool) for net in nets
    )
    assert isinstance(there, np.ndarray)
    np.testing.assert_allclose(there, on_cpu, atol=1e-3)
    of_doubles = AdversarialAugmenter(nets[1], prefit=True).transform(
        pool.astype(float)
    )
    np.testing.assert_allclose(of_doubles, on_cpu, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype, nets, pool, device):
    net = make_net(device=device).initialize()
    net.module_.load_state_dict(nets[0].module_.state_dict())
    net.module_.to(dtype)
    exact = skdfal.deepfool_margin_score(nets[0], pool)
    found = skdfal.deepfool_margin_score(net, pool)
    both = np.isfinite(exact) & np.isfinite(found)
    assert both.mean() > 0.8
    assert np.median(np.abs(found[both] / exact[both] - 1)) < 0.1


def test_loop_and_session(data, tmp_path, device):
    X, y = data
    settings = {"query_strategy": "dfal", "random_state": 0}
    clf = ActiveLearningClassifier(
        make_net(device=device, max_epochs=3),
        n_initial=8,
        n_instances=4,
        max_annotations=16,
        **settings,
    ).fit(X, y, X_val=X[:40], y_val=y[:40])
    assert len(clf.X_train_) == 24
    assert next(clf.estimator_.module_.parameters()).device.type == device
    path = tmp_path / "labels.skdfal"
    for n_told in (10, 20):  # the second time in a session that goes on
        with LabelingSession(
            X,
            range(4),
            make_net(device=device, max_epochs=3),
            path=path,
            **settings,
        ) as session:
            asked = session.ask(10)
            session.tell(asked, y[asked])
            assert session.fit().predict(X).shape == (len(X),)
            assert len(session.labels_) == n_told


def test_a_session_goes_on_on_another_device(data, tmp_path, device):
    X, y = data
    found = []
    for where in (device, "cpu", device):
        net = make_net(device=where, max_epochs=3)
        with LabelingSession(
            X, range(4), net, random_state=0, path=tmp_path / "labels.skdfal"
        ) as session:
            if found:
                np.testing.assert_allclose(
                    session.estimator_.predict_proba(X), found[-1], atol=1e-4
                )
            asked = session.ask(10)
            session.tell(asked, y[asked])
            found.append(session.fit().predict_proba(X))
            assert len(session.labels_) == 10 * len(found)


def test_a_net_travels(nets, pool):
    there = pickle.loads(pickle.dumps(nets[1]))
    expected = nets[0].predict_proba(pool)
    np.testing.assert_allclose(there.predict_proba(pool), expected, atol=1e-4)


@pytest.mark.parametrize("strategy", sorted(skdfal.STRATEGIES))
def test_every_strategy_in_the_loop(strategy, data, device):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf = ActiveLearningClassifier(
            make_net_for(strategy, device=device, max_epochs=2),
            strategy,
            n_initial=8,
            n_instances=4,
            max_annotations=16,
            query_params=cheap_params(strategy),
            random_state=0,
        ).fit(*data)
    assert len(set(clf.annotated_indices_.tolist())) == 16


def test_a_net_saved_there_is_loaded_anywhere(data, tmp_path, device):
    X, y = data[0].repeat(2, axis=2).repeat(2, axis=3), data[1]
    there = make_label_net("lenet5", 4, X.shape[1:], max_epochs=1, device=device)
    there.fit(X, y)
    save_net(tmp_path / "net", there, "abcd", X.shape[2:], "L", "lenet5")
    for where in ("cpu", device):
        found = load_net(tmp_path / "net", device=where).estimator
        assert next(found.module_.parameters()).device.type == where
        expected = there.predict_proba(X)
        np.testing.assert_allclose(found.predict_proba(X), expected, atol=1e-4)


def test_features_of_a_backbone(device):
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.AvgPool2d(6))
    mean, std = torch.full((1, 3, 1, 1), 0.4), torch.full((1, 3, 1, 1), 0.3)
    on_cpu = Backbone("timm/tiny", module.eval(), mean, std, 4)
    there, X = on_cpu.on(device), np.random.default_rng(0).random((40, 3, 8, 8))
    assert next(there.module.parameters()).device.type == device
    assert next(module.parameters()).device.type == "cpu"
    X = X.astype(np.float32)
    np.testing.assert_allclose(there.features(X), on_cpu.features(X), atol=1e-5)
    assert there.digest() == on_cpu.digest()


def test_a_query_of_the_command(tmp_path, device, monkeypatch, capsys):
    from tests.label.projects import write_pictures

    monkeypatch.chdir(tmp_path)
    pictures = write_pictures(tmp_path / "pictures", n=12)
    names = sorted(path.name for path in pictures.iterdir())
    rows = [f"{name},{'ab'[i % 2]}" for i, name in enumerate(names[:6])]
    Path("labels.csv").write_text("\n".join(["file,label", *rows]))
    command = "query pictures --labels labels.csv --size 16 --epochs 1 -n 3 --device"
    assert main([*command.split(), device]) == 0
    assert set(capsys.readouterr().out.split()) <= set(names[6:])
