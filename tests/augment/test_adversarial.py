"""The twins: over the boundary, the label of their origin, in every pipeline."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.pipeline import Pipeline as ImbalancedPipeline
from imblearn.pipeline import make_pipeline as make_imbalanced_pipeline
from modAL.models import ActiveLearner
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch.utils.data import TensorDataset

import skdfal
from skdfal import AdversarialAugmenter, AdversarialSampler, deepfool
from skdfal.pool import as_pool
from tests.conftest import half, make_net


@parametrize_with_checks([AdversarialAugmenter()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("kind", ["net", "pipeline", "learner", "committee"])
def test_twins_are_of_another_class(kind, estimators, pool):
    estimator = estimators[kind]
    twins = AdversarialAugmenter(estimator, prefit=True).transform(pool)
    assert twins.shape == pool.shape
    assert twins.dtype == pool.dtype
    assert (estimator.predict(twins) != estimator.predict(pool)).all()


def test_twin_is_x_plus_overshot_perturbation(estimators, pool):
    net = estimators["net"]
    result = deepfool(net.module_, torch.from_numpy(pool), overshoot=0.1, p=3)
    augmenter = AdversarialAugmenter(net, prefit=True, overshoot=0.1, p=3)
    expected = pool + 1.1 * result.perturbation.numpy()
    np.testing.assert_allclose(augmenter.transform(pool), expected, rtol=1e-5)


def test_pipeline_twins_come_back_through_inverse_transform(estimators, pool):
    pipeline = estimators["pipeline"]  # halves its input
    net = pipeline[-1]
    inside = AdversarialAugmenter(net, prefit=True).transform(pool / 2)
    twins = AdversarialAugmenter(pipeline, prefit=True).transform(pool)
    np.testing.assert_allclose(twins, inside * 2, rtol=1e-5)


@pytest.mark.parametrize(
    ("step", "name"),
    [(Normalizer(), "normalizer"), (FunctionTransformer(half), "functiontransformer")],
)
def test_a_step_without_inverse_is_named(step, name, data, pool):
    X, y = data[0].reshape(-1, 64), data[1]
    net = skdfal.make_classifier(
        skdfal.MLP, module__n_features=64, module__n_classes=4, max_epochs=1
    )
    pipeline = make_pipeline(step, net).fit(X, y)
    with pytest.raises(TypeError, match=f"'{name}'.*no inverse_transform"):
        AdversarialAugmenter(pipeline, prefit=True).transform(X)


def test_lossless_steps_of_a_table(data):
    X, y = data[0].reshape(-1, 64), data[1]
    net = skdfal.make_classifier(
        skdfal.MLP, module__n_features=64, module__n_classes=4, max_epochs=20
    )
    pipeline = make_pipeline(StandardScaler(), PCA(), net).fit(X, y)
    X_twice, y_twice = AdversarialAugmenter(pipeline, prefit=True).fit_resample(X, y)
    assert X_twice.shape == (320, 64)
    twins = pipeline.predict(X_twice[160:])
    assert (twins != pipeline.predict(X)).all()
    np.testing.assert_array_equal(y_twice, np.concatenate([y, y]))


def test_fit_resample_appends_twins_with_the_labels_given(estimators, data):
    X, y = data[0][:30], np.array(["ant", "bee", "cat", "dog"])[data[1][:30]]
    augmenter = AdversarialAugmenter(estimators["net"], prefit=True)
    X_twice, y_twice = augmenter.fit_resample(X, y)
    assert X_twice.shape == (60, 1, 8, 8)
    np.testing.assert_array_equal(X_twice[:30], X)
    np.testing.assert_array_equal(X_twice[30:], augmenter.transform(X))
    np.testing.assert_array_equal(y_twice, np.concatenate([y, y]))


def test_samples_that_did_not_flip_are_not_doubled(estimators, data):
    X, y = 20 * data[0][:40], data[1][:40]
    net = estimators["net"]
    lazy = AdversarialAugmenter(net, prefit=True, max_iter=1)
    with pytest.warns(ConvergenceWarning, match="of 40 samples kept their class"):
        X_more, y_more = lazy.fit_resample(X, y)
    with pytest.warns(ConvergenceWarning, match="as far as DeepFool moved them"):
        twins = lazy.transform(X)
    flipped = net.predict(twins) != net.predict(X)
    assert 0 < flipped.sum() < 40
    np.testing.assert_array_equal(X_more[40:], twins[flipped])
    np.testing.assert_array_equal(y_more[40:], y[flipped])


def test_clipping_that_undoes_the_flip_costs_the_twin(estimators, data):
    X, y = data[0][:20], data[1][:20]
    augmenter = AdversarialAugmenter(
        estimators["net"], prefit=True, clip_range=(X.min(), X.max())
    )
    twins = augmenter.transform(X)
    assert twins.min() >= X.min()
    assert twins.max() <= X.max()
    # Clipped to a single point, all twins are of the class of that point.
    nowhere = AdversarialAugmenter(
        estimators["net"], prefit=True, clip_range=(0.5, 0.5 + 1e-6)
    )
    grey = np.full((1, 1, 8, 8), 0.5, dtype=np.float32)
    other = estimators["net"].predict(X) != estimators["net"].predict(grey)
    with pytest.warns(ConvergenceWarning, match="They get no twin"):
        _, y_more = nowhere.fit_resample(X, y)
    np.testing.assert_array_equal(y_more[20:], y[other])


def test_prefit_leaves_the_estimator_as_it_was(estimators, data):
    net = estimators["net"]
    before = copy.deepcopy(net.module_.state_dict())
    augmenter = AdversarialAugmenter(net, prefit=True)
    augmenter.fit_resample(data[0][:10], data[1][:10])
    assert augmenter.fit(data[0][:10]).estimator_ is net
    for name, value in net.module_.state_dict().items():
        assert torch.equal(value, before[name])


def test_without_prefit_a_clone_is_trained(data):
    X, y = data[0][:40], data[1][:40]
    net = make_net()
    augmenter = AdversarialAugmenter(net).fit(X, y)
    assert not net.initialized_
    assert augmenter.estimator_ is not net
    assert augmenter.estimator_.score(X, y) > 0.5
    assert (augmenter.classes_ == np.arange(4)).all()
    assert augmenter.n_iter_ >= 1


@pytest.mark.parametrize("method", ["fit_resample", "fit_transform"])
def test_a_training_set_is_attacked_once(method, data, monkeypatch):
    n_attacked = []

    def counting(module, x, **params):
        n_attacked.append(len(x))
        return deepfool(module, x, **params)

    monkeypatch.setattr(skdfal.augment._adversarial, "deepfool", counting)
    X, y = data[0][:20], data[1][:20]
    augmenter = AdversarialAugmenter(make_net(), random_state=0)
    found = getattr(augmenter, method)(X, y)
    assert sum(n_attacked) == 20
    again = AdversarialAugmenter(make_net(), random_state=0).fit(X, y)
    assert augmenter.n_iter_ == again.n_iter_
    if method == "fit_transform":
        np.testing.assert_array_equal(found, again.transform(X))


@pytest.mark.parametrize("prefit", [False, True])
def test_frozen_estimator(prefit, estimators, data, pool):
    net = estimators["net"]
    augmenter = AdversarialAugmenter(FrozenEstimator(net), prefit=prefit)
    augmenter.fit(data[0][:20], data[1][:20])
    expected = AdversarialAugmenter(net, prefit=True).transform(pool)
    np.testing.assert_array_equal(augmenter.transform(pool), expected)


def test_string_labels_and_tensors(data):
    X, y = data[0][:40], np.array(["ant", "bee", "cat", "dog"])[data[1][:40]]
    augmenter = AdversarialAugmenter(make_net()).fit(X, y)
    np.testing.assert_array_equal(augmenter.classes_, ["ant", "bee", "cat", "dog"])
    twins = augmenter.transform(torch.from_numpy(X))
    assert isinstance(twins, torch.Tensor)
    np.testing.assert_array_equal(twins.numpy(), augmenter.transform(X))


def test_double_precision_for_double_samples(estimators, pool):
    net = estimators["net"]
    X = pool.astype(np.float64)
    twins = AdversarialAugmenter(net, prefit=True).transform(X)
    reference = deepfool(copy.deepcopy(net.module_).double(), torch.from_numpy(X))
    expected = X + 1.02 * reference.perturbation.numpy()
    assert twins.dtype == np.float64
    np.testing.assert_allclose(twins, expected, rtol=1e-12)
    assert net.module_[0].weight.dtype == torch.float32


def test_in_imbalanced_learns_pipeline(data):
    X, y = data[0], data[1]
    pipeline = make_imbalanced_pipeline(AdversarialSampler(make_net()), make_net())
    assert isinstance(pipeline, ImbalancedPipeline)
    pipeline.fit(X[:60], y[:60])
    # Trained on the twins as well, yet at prediction samples pass by unchanged.
    assert pipeline.score(X[60:], y[60:]) > 0.6
    np.testing.assert_array_equal(pipeline.predict(X), pipeline[-1].predict(X))
    scores = cross_val_score(clone(pipeline), X, y, cv=2)
    assert scores.shape == (2,)
    search = GridSearchCV(
        clone(pipeline), {"adversarialsampler__overshoot": [0.02, 0.1]}, cv=2
    )
    search.fit(X[:60], y[:60])
    assert len(search.cv_results_["params"]) == 2
    # and a query reaches the net in it
    assert skdfal.dfal(pipeline, X, 3).shape == (3,)


def test_in_scikit_learns_pipeline(estimators, data, pool):
    augmenter = AdversarialAugmenter(FrozenEstimator(estimators["net"]))
    flat = FunctionTransformer(lambda X: X.reshape(len(X), -1))
    pipeline = Pipeline([("twins", augmenter), ("flat", flat)])
    twins = pipeline.fit(data[0][:20], data[1][:20]).transform(pool)
    np.testing.assert_array_equal(
        twins, augmenter.fit(pool, [0, 1] * 20).transform(pool).reshape(40, -1)
    )


def test_clone_and_pickle(estimators, data, pool):
    augmenter = AdversarialAugmenter(make_net(), p=3).fit(data[0][:40], data[1][:40])
    again = pickle.loads(pickle.dumps(augmenter))
    np.testing.assert_array_equal(again.transform(pool), augmenter.transform(pool))
    assert clone(augmenter).p == 3
    assert not hasattr(clone(augmenter), "estimator_")


@pytest.mark.parametrize(
    ("params", "call", "error", "message"),
    [
        ({}, lambda a, X, y: a.transform(X), NotFittedError, "not fitted"),
        ({}, lambda a, X, y: a.fit(X), ValueError, "requires y"),
        ({}, lambda a, X, y: a.fit(X, y[:-1]), ValueError, "inconsistent numbers"),
        ({}, lambda a, X, y: a.fit(X, 0 * y), ValueError, "one class"),
        ({}, lambda a, X, y: a.fit(X, y + 0.5), ValueError, "continuous"),
        ({}, lambda a, X, y: a.fit(X * np.nan, y), ValueError, "NaN"),
        ({}, lambda a, X, y: a.fit(X[:0], y[:0]), ValueError, "0 sample"),
        ({"p": 0.5}, lambda a, X, y: a.fit(X, y), ValueError, "'p' parameter"),
        ({"overshoot": -1}, lambda a, X, y: a.fit(X, y), ValueError, "'overshoot'"),
        ({"clip_range": (1, 0)}, lambda a, X, y: a.fit(X, y), ValueError, "clip_range"),
        ({"clip_range": 5}, lambda a, X, y: a.fit(X, y), ValueError, "clip_range"),
        ({"prefit": True}, lambda a, X, y: a.transform(X), NotFittedError, "prefit"),
        (
            {"prefit": True, "estimator": make_net()},
            lambda a, X, y: a.transform(X),
            NotFittedError,
            "not fitted",
        ),
    ],
)
def test_bad_input(params, call, error, message, data):
    X, y = data[0][:20], data[1][:20]
    with pytest.raises(error, match=message):
        call(AdversarialAugmenter(**params), X, y)


def test_other_number_of_channels_than_in_fit(estimators, data):
    augmenter = AdversarialAugmenter(FrozenEstimator(estimators["net"]))
    augmenter.fit(data[0][:20], data[1][:20])
    with pytest.raises(ValueError, match="3 features"):
        augmenter.transform(np.repeat(data[0][:5], 3, axis=1))


def test_modal_loop_with_twins(data):
    X, y = data
    with torch.random.fork_rng():
        torch.manual_seed(0)
        learner = ActiveLearner(make_net(), skdfal.dfal, X[:12], y[:12])
        augmenter = AdversarialAugmenter(learner, prefit=True)
        for _ in range(2):
            indices, queried = learner.query(X[60:], n_instances=5)
            X_new, y_new = augmenter.fit_resample(queried, y[60:][indices])
            learner.teach(X_new, y_new)
    assert learner.X_training.shape[0] == 12 + 2 * 2 * 5


def test_a_seed_makes_resampling_repeatable(data):
    X, y = data[0][:60], data[1][:60]
    twice = [
        AdversarialAugmenter(make_net(), random_state=3).fit_resample(X, y)[0]
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*twice)


def test_the_sampler_gives_what_the_augmenter_gives(data):
    X, y = data[0][:60], data[1][:60]
    one, other = (
        kind(make_net(), random_state=0).fit_resample(X, y)
        for kind in (AdversarialAugmenter, AdversarialSampler)
    )
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])
    assert not hasattr(AdversarialSampler(), "transform")
    with pytest.raises(ValueError, match="AdversarialSampler requires y"):
        AdversarialSampler().fit(X)


@pytest.mark.parametrize("augmenter", [AdversarialAugmenter, AdversarialSampler])
@pytest.mark.parametrize(
    "kind",
    [
        np.ndarray.tolist,
        as_pool,
        lambda X: TensorDataset(torch.from_numpy(X)),
        lambda X: as_pool(X).view(np.arange(len(X))),
    ],
)
def test_samples_of_other_kinds(augmenter, kind, data):
    X, y = data[0][:30], data[1][:30]
    make = augmenter(make_net(), random_state=0)
    expected, found = make.fit_resample(X, y), make.fit_resample(kind(X), y)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.filterwarnings("error:X does not have valid feature names")
def test_twins_of_a_net_that_was_trained_on_a_frame():
    X = np.random.default_rng(0).random((20, 2))
    y = (X[:, 0] > 0.5).astype(int)
    frame = pd.DataFrame(X, columns=["a", "b"])
    net = skdfal.make_classifier(torch.nn.Linear(2, 2), max_epochs=20)
    pipeline = make_pipeline(StandardScaler(), net).fit(frame, y)
    X_twin = AdversarialAugmenter(pipeline, prefit=True).transform(frame)
    pipeline[0].__dict__.pop("feature_names_in_")
    of_array = AdversarialAugmenter(pipeline, prefit=True).transform(X)
    np.testing.assert_array_equal(X_twin, of_array)


def test_the_read_only_array_of_a_frame_is_no_reason_for_a_warning():
    X = np.random.default_rng(0).random((20, 2))
    y = (X[:, 0] > 0.5).astype(int)
    net = skdfal.make_classifier(torch.nn.Linear(2, 2), max_epochs=20).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AdversarialAugmenter(net, prefit=True).transform(pd.DataFrame(X))
