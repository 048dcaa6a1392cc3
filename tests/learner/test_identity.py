"""Digests: equal for equal values in every process, different for what acts so."""

import enum
import functools
import os
import subprocess
import sys
import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skdfal import AdversarialAugmenter, dfal
from skdfal.learner import UnidentifiableError
from skdfal.learner._identity import digest, parameter_digests
from tests.conftest import make_net


def adder(n):
    return lambda x: x + n


class Way(enum.IntEnum):
    UP = 1
    DOWN = 2


class Meters(float):
    """Equal to a number, and yet it may act differently."""


class Plain:
    def __init__(self, value):
        self.value = value

    def method(self):
        return self.value


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


def make_values():
    """Values of all kinds, each different from all the others."""
    generator = torch.Generator().manual_seed(0)
    long = np.arange(10_000.0)
    other = long.copy()
    other[5_000] += 1
    cycle = [1]
    cycle.append(cycle)
    fitted = [LogisticRegression().fit([[0.0], [1.0 + i]], [0, 1]) for i in range(2)]
    ones, frozen = nn.Linear(2, 2), nn.Linear(2, 2)
    for layer in (ones, frozen):
        nn.init.ones_(layer.weight)
        nn.init.ones_(layer.bias)
    frozen.requires_grad_(False)
    zeros = nn.Linear(2, 2)
    nn.init.zeros_(zeros.weight)
    nn.init.ones_(zeros.bias)
    return {
        "None": None,
        "True": True,
        "1": 1,
        "1.0": 1.0,
        "nan": float("nan"),
        "text": "1",
        "bytes": b"1",
        "huge": 10**40,
        "complex": 1j,
        "float32": np.float32(0.1),
        "0.1": 0.1,
        "meters": Meters(0.1),
        "enum": Way.UP,
        "enum 2": Way.DOWN,
        "dtype": np.dtype("f4"),
        "long": long,
        "other": other,
        "shaped": long.reshape(100, 100),
        "narrow": long.astype(np.float32),
        "objects": np.array([1, "a", None], dtype=object),
        "masked": np.ma.masked_array([1, 2], [True, False]),
        "unmasked": np.ma.masked_array([1, 2], [False, False]),
        "empty": np.zeros((0, 3)),
        "dates": np.array(["2020-01-01"], dtype="M8[D]"),
        "tensor": torch.arange(3.0),
        "half": torch.arange(3.0).bfloat16(),
        "sparse": torch.eye(2).to_sparse(),
        "list": [1, 2],
        "tuple": (1, 2),
        "set": {"a", "b", "c", "d"},
        "dict": {"a": 1, "b": [2]},
        "nested": {"a": {"b": {"c": 1}}},
        "slice": slice(1, 2),
        "range": range(1, 2),
        "path": Path("a/b"),
        "device": torch.device("cpu"),
        "torch dtype": torch.float16,
        "class": nn.Linear,
        "function": adder,
        "builtin": len,
        "ufunc": np.add,
        "torch function": torch.relu,
        "partial": functools.partial(dfal, p=1),
        "partial 2": functools.partial(dfal, p=2),
        "lambda": lambda x: x + 1,
        "lambda 2": lambda x: x + 2,
        "default": lambda x, y=1: x + y,
        "default 2": lambda x, y=2: x + y,
        "closure": adder(1),
        "closure 2": adder(2),
        "bound builtin": [1].count,
        "bound builtin 2": [2].count,
        "descriptor": Slotted.value,
        "bound": Plain(1).method,
        "bound 2": Plain(2).method,
        "plain": Plain(1),
        "plain 2": Plain(np.ones(3)),
        "slotted": Slotted(1),
        "slotted 2": Slotted(2),
        "RandomState": np.random.RandomState(0),
        "RandomState 2": np.random.RandomState(1),
        "Generator": np.random.default_rng(0),
        "torch.Generator": generator,
        "module": ones,
        "other weights": zeros,
        "frozen weights": frozen,
        "sequential": nn.Sequential(zeros, nn.ReLU()),
        "evaluation": nn.Sequential(zeros, nn.ReLU()).eval(),
        "net": make_net(),
        "net 2": make_net(lr=0.5),
        "net 3": make_net(callbacks=[("stop", Plain(3))]),
        "pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
        "pipeline 2": make_pipeline(StandardScaler(), LogisticRegression(C=2)),
        "fitted": FrozenEstimator(fitted[0]),
        "fitted 2": FrozenEstimator(fitted[1]),
        "augmenter": AdversarialAugmenter(p=1),
        "cycle": cycle,
        "frame": pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}),
        "frame 2": pd.DataFrame({"a": [1, 2], "c": ["x", "y"]}),
        "series": pd.Series([1, 2], name="a"),
    }


def all_digests():
    return {name: digest(value) for name, value in make_values().items()}


def test_all_kinds_differ():
    found = all_digests()
    assert len(set(found.values())) == len(found)


def test_the_same_in_another_process():
    """Whatever the seed of its hashes, and wherever its objects lie."""
    code = "from tests.learner.test_identity import all_digests\n"
    code += "for name, digest in all_digests().items(): print(name, digest)"
    environment = os.environ | {"PYTHONHASHSEED": "12345"}
    out = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, env=environment,
    )  # fmt: skip
    theirs = dict(line.rsplit(" ", 1) for line in out.stdout.splitlines())
    assert theirs == all_digests()


def test_the_same_where_values_are_equal():
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"x", "y", "z"}) == digest({"z", "y", "x"})
    assert digest(np.int64(3)) == digest(3)
    assert digest(np.asfortranarray(np.ones((2, 3)))) == digest(np.ones((2, 3)))
    assert digest(torch.ones(2, 3).T) == digest(torch.ones(3, 2))
    assert digest(adder(1)) == digest(adder(1))
    net = make_net()
    net.initialize()  # what is learned is no parameter
    assert digest(net) == digest(make_net())


def test_a_function_of_a_notebook_is_known_by_what_it_does():
    def define(body, **names):
        names |= {"__name__": "__main__"}
        exec(body, names)
        return names["f"]

    body = "def f(x):\n    return g(x) + scale\ndef g(x):\n    return {}"
    one = define(body.format("x"), scale=1)
    assert digest(one) == digest(define(body.format("x"), scale=1))
    assert digest(one) != digest(define(body.format("x"), scale=2))
    assert digest(one) != digest(define(body.format("-x"), scale=1))
    inner = "def f(x):\n    return (lambda y: y * scale)(x)"
    assert digest(define(inner, scale=1)) != digest(define(inner, scale=2))
    net = "class f:\n    def forward(self, x):\n        return x * {}"
    assert digest(define(net.format(2))) == digest(define(net.format(2)))
    assert digest(define(net.format(2))) != digest(define(net.format(3)))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=3), inner, max_size=4)
        | st.tuples(inner, inner)
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(PLAIN)
def test_a_copy_has_the_same_digest_and_one_more_element_another(value):
    copy = eval(repr(value), {"nan": float("nan"), "inf": float("inf")})
    assert digest(copy) == digest(value)
    assert digest([value]) != digest(value)
    assert digest([value, None]) != digest([value])


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from(["f4", "i8", "u1", "?", "U3"]),
        hnp.array_shapes(min_dims=1, max_dims=3),
    ),
    st.randoms(use_true_random=False),
)
def test_one_element_of_an_array_decides(X, random):
    other = X.copy()
    i = random.randrange(X.size)
    other.flat[i] = X.dtype.type(1) if not X.flat[i] else X.dtype.type()
    assert digest(X.copy()) == digest(X)
    assert digest(other) != digest(X)
    assert digest(X[None]) != digest(X)


def with_hook():
    module = nn.Linear(1, 1)
    module.register_forward_hook(lambda *_: None)
    return module


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (lambda: (i for i in range(3)), "no content"),
        (threading.Lock, "no content"),
        (lambda: open(os.devnull), "no content"),
        (lambda: iter([1]), "no content"),
        (with_hook, "hooks are registered"),
        (lambda: torch.jit.script(nn.Linear(1, 1)), "compiled"),
        (lambda: torch.ones(2, device="meta"), "no data"),
        (lambda: np.zeros(1, dtype=[("a", object)]), "object fields"),
        (lambda: np.frompyfunc(abs, 1, 1), "made by another library"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_what_has_no_content_is_refused_by_its_place(value, reason):
    found = value()
    with pytest.raises(UnidentifiableError, match=reason) as info:
        digest({"kernel": found}, "query_params")
    assert str(info.value).startswith("query_params['kernel'] is a ")
    assert "leave out the path" in str(info.value)
    if hasattr(found, "close"):
        found.close()


def test_a_place_deep_inside_is_named():
    lock = threading.Lock()
    with pytest.raises(UnidentifiableError, match=r"'lock' in augmenter\.value\[1\]"):
        digest(Plain([0, lambda: lock]), "augmenter")
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(UnidentifiableError, match="nested too deeply"):
        digest(deep)


def test_parameters_of_an_estimator_one_by_one():
    def changed(one, other):
        found = [dict(parameter_digests("estimator", e)) for e in (one, other)]
        names = found[0].keys() | found[1].keys()
        return {n for n in names if found[0].get(n) != found[1].get(n)}

    assert changed(make_net(), make_net(lr=1)) == {"estimator__lr"}
    assert changed(make_net(), make_net(seed=1)) == {"estimator__module__seed"}
    pipelines = [make_pipeline(StandardScaler(), make_net(lr=lr)) for lr in (1, 2)]
    assert changed(*pipelines) == {"estimator__neuralnetclassifier__lr"}
    assert changed(pipelines[0], pipelines[0][1:]) >= {"estimator__steps"}
    assert changed(None, make_net()) >= {"estimator"}


def test_what_is_ordered_is_another_in_another_order():
    """As the layers of a net are that is made of an OrderedDict."""
    one, other = OrderedDict(a=1, b=2), OrderedDict(b=2, a=1)
    assert one != other
    assert digest(one) != digest(other)
    assert digest(one) == digest(OrderedDict(a=1, b=2))
