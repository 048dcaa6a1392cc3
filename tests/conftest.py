"""Data and fitted estimators of every kind that a strategy must take."""

import multiprocessing
import os
import random
import signal

# A shell that runs the tests in its background has Ctrl-C ignored, in children too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Several threads gain nothing on nets this small, and sums in another order would
# make runs in worker processes, which have fewer, differ in the last bits.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("SCIPY_ARRAY_API", "1")  # scikit-learn skips a check without it

import numpy as np
import pytest
import torch
from modAL.models import ActiveLearner, Committee
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn

import skdfal
from skdfal.nets import LossPredictionClassifier
from skdfal.strategies import describe
from tests import processes
from tests.adversarial_nets import small_cnn

torch.set_num_threads(1)
N_CLASSES = 4


def make_blobs_of_images(n_samples=160, seed=0):
    """Noise around one random 1x8x8 picture per class: easy, but not trivially so."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_samples) % N_CLASSES
    centers = np.random.default_rng(42).random((N_CLASSES, 1, 8, 8))
    X = 0.5 * centers[y] + 0.5 * rng.random((n_samples, 1, 8, 8))
    return X.astype(np.float32), y


def make_net(seed=0, n_outputs=None, **kwargs):
    """Stock skorch net, as a user has it."""
    settings = {
        "module": small_cnn,
        "module__n_classes": N_CLASSES,
        "module__seed": seed,
        "criterion": nn.CrossEntropyLoss,
        "optimizer": torch.optim.Adam,
        "lr": 0.01,
        "max_epochs": 8,
        "batch_size": 16,
        "train_split": None,
        "verbose": 0,
    }
    if n_outputs is not None:
        settings["module__n_outputs"] = n_outputs
    return NeuralNetClassifier(**settings | kwargs)


def make_net_with_head(seed=0, n_outputs=None, **kwargs):
    """The same net with a head that predicts its loss."""
    settings = {
        "loss_prediction": "ranking",
        "loss_layers": ("3", "7"),  # after the pool, and after the dense layer
        "sample_shape": (1, 8, 8),
    }
    plain = make_net(seed, n_outputs).get_params(deep=False)
    return LossPredictionClassifier(**plain | settings | kwargs)


def make_net_for(strategy, **kwargs):
    """The net that a strategy, by name or function, can ask."""
    needs_head = describe(strategy).needs == "loss prediction"
    return (make_net_with_head if needs_head else make_net)(**kwargs)


def half(X):
    return X / 2


def double(X):
    return X * 2


def make_steps():
    return FunctionTransformer(half, double)


@pytest.fixture(autouse=True)
def same_random_numbers():
    """What a test draws does not depend on the tests before it, in this process."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 (scikit-learn takes it where none is named)
    torch.default_generator.manual_seed(0)


@pytest.fixture(scope="module")
def quick_processes():
    """Processes that the package starts are forked, rather than begun anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multiprocessing, "get_context", processes.get_context)
        yield


@pytest.fixture(scope="session")
def data():
    return make_blobs_of_images()


@pytest.fixture(scope="session")
def pool(data):
    return data[0][60:100]


@pytest.fixture
def estimators(request, plain_estimators):
    """One fitted estimator of each kind, by name; with heads for a case in need."""
    case = getattr(request.node, "callspec", None)
    case = case and case.params.get("case")
    if not case or not case.needs_head:
        return plain_estimators
    return request.getfixturevalue("estimators_with_heads")


@pytest.fixture(scope="session")
def plain_estimators(data):
    """One fitted estimator of each kind, by name."""
    return make_estimators(data, make_net)


@pytest.fixture(scope="session")
def estimators_with_heads(data):
    """The same kinds, of nets that predict their loss."""
    return make_estimators(data, make_net_with_head)


def make_estimators(data, make_net):
    X, y = data[0][:60], data[1][:60]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        learners = [
            ActiveLearner(make_net(seed), skdfal.dfal, X_training=X, y_training=y)
            for seed in (0, 1)
        ]
        return {
            "net": make_net().fit(X, y),
            "pipeline": make_pipeline(make_steps(), make_net()).fit(X, y),
            "learner": learners[0],
            "committee": Committee(learners, query_strategy=skdfal.dfal),
        }


@pytest.fixture(scope="session")
def binary_net(data):
    X, y = data[0][:60], (data[1][:60] % 2).astype(np.float32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return NeuralNetBinaryClassifier(
            small_cnn(n_outputs=1),
            optimizer=torch.optim.Adam,
            lr=0.01,
            max_epochs=8,
            train_split=None,
            verbose=0,
        ).fit(X, y)
