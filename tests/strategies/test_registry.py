"""A strategy is one file and one line: everything else derives from the registry."""

import contextlib
import functools
import importlib
import io
import sys

import numpy as np
import pytest

import skdfal
from skdfal import ActiveLearningClassifier, AdversarialAugmenter, LabelingSession
from skdfal.cli import main
from skdfal.experiment._names import find, find_strategy
from skdfal.strategies import STRATEGIES, describe, register, unregister
from tests.conftest import make_net_for
from tests.processes import run_in_another_process
from tests.strategy_cases import cheap_params

STRATEGY = '''
"""A strategy of its own file."""

import numpy as np

from skdfal.augment import AdversarialAugmenter
from skdfal.strategies import register

__all__ = ["brightest_sampling"]


@register(
    "brightest",
    label="BRIGHTEST",
    augmenter=AdversarialAugmenter,
    n_candidates=30,
    style=("#123456", "dotted", "8"),
    paper="Nobody 2026",
)
def brightest_sampling(estimator, X, n_instances=1, *, random_state=None):
    """Query the brightest samples."""
    light = np.array([X.take([i]).sum() for i in range(len(X))])
    return np.argsort(-light, kind="stable")[:n_instances]
'''


@pytest.fixture
def brightest(tmp_path, monkeypatch):
    (tmp_path / "brightest.py").write_text(STRATEGY)
    monkeypatch.syspath_prepend(tmp_path)
    import brightest

    yield brightest.brightest_sampling
    unregister("brightest")
    del sys.modules["brightest"]


def loop(query_strategy, data, **kwargs):
    clf = ActiveLearningClassifier(
        make_net_for(query_strategy, max_epochs=2),
        query_strategy,
        n_initial=8,
        n_instances=4,
        max_annotations=16,
        random_state=0,
        **kwargs,
    )
    return clf.fit(*data)


def test_one_file_is_in_every_table(brightest, data, tmp_path):
    from skdfal.cli import main
    from skdfal.experiment import Protocol, accuracy_table, run_trial
    from skdfal.plot import ActiveLearningCurveDisplay
    from skdfal.plot._styles import strategy_styles
    from tests.strategy_cases import cases

    assert STRATEGIES["brightest"] is brightest
    # The loop and the session, by name and as function, with what it brings along.
    by_name, as_function = loop("brightest", data), loop(brightest, data)
    assert len(by_name.X_train_) == 24
    np.testing.assert_array_equal(by_name.X_train_, as_function.X_train_)
    session = LabelingSession(data[0], classes=range(4), query_strategy="brightest")
    assert len(session.ask(3)) == 3
    # Experiments, their tables and pictures.
    protocol = Protocol("digits", max_annotations=20, max_epochs=1, n_test=50)
    records = run_trial(protocol, "brightest", 0, out_dir=tmp_path)
    assert [row["strategy"] for row in records] == ["brightest"] * 2
    assert "BRIGHTEST" in accuracy_table(records, [10, 20]) or "brightest" in (
        accuracy_table(records, [10, 20])
    )
    style = strategy_styles(["brightest"])["brightest"]
    assert (style.color, style.marker) == ("#123456", "8")
    ActiveLearningCurveDisplay.from_records(records)
    # The common tests, and the command's own list.
    assert any(case.strategy.name == "brightest" for case in cases())
    assert main(["compare", "--help"]) == 0


def help_where_there_is(folder, module):
    sys.path.insert(0, str(folder))
    importlib.import_module(module)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        main(["compare", "--help"])
    return out.getvalue()


def test_the_command_names_what_is_registered(tmp_path):
    """In a process of its own, in which it stays registered."""
    (tmp_path / "brightest.py").write_text(STRATEGY)
    assert "brightest" in run_in_another_process(
        help_where_there_is, tmp_path, "brightest"
    )


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_name_and_function_do_the_same(name, data):
    params = {"query_params": cheap_params(name)}
    by_name = loop(name, data, **params)
    as_function = loop(STRATEGIES[name], data, **params)
    np.testing.assert_array_equal(
        by_name.annotated_indices_, as_function.annotated_indices_
    )
    np.testing.assert_array_equal(by_name.X_train_, as_function.X_train_)
    lengths = [row["labeled_data"] for row in by_name.history_]
    assert lengths == [row["labeled_data"] for row in as_function.history_]


def test_a_partial_brings_along_what_the_function_does(data):
    partial = functools.partial(skdfal.dfal, max_iter=20)
    assert describe(partial).augmenter is AdversarialAugmenter
    assert describe(functools.partial(partial, p=1)).name == "dfal"
    assert len(loop(partial, data).X_train_) == 24
    assert len(loop(skdfal.deepfool_margin_sampling, data).X_train_) == 16


def test_names_are_taken_once():
    with pytest.raises(ValueError, match="'dfal' is already the name of dfal"):
        register("dfal")(lambda estimator, X, n_instances: None)
    with pytest.raises(ValueError, match="needs='luck' should be one of"):
        register("lucky", needs="luck")
    with pytest.raises(
        ValueError, match="'nothing' is not a query strategy; known are"
    ):
        describe("nothing")
    with pytest.raises(TypeError, match="name of a query strategy or a function"):
        describe(3)


@pytest.mark.parametrize("name", ["dfall", "DFAL", "dfa"])
def test_the_name_that_was_meant(name):
    with pytest.raises(ValueError, match=r"is not a query .*\. Did you mean 'dfal'\?$"):
        describe(name)
    with pytest.raises(ValueError, match=r"your own\. Did you mean 'dfal'\?$"):
        find_strategy(name)
    with pytest.raises(ValueError, match=r"your own\.$"):
        find("net", "far_off", ["random"])
    with pytest.raises(ValueError, match=r"\. Did you mean 'twins'\?$"):
        find_strategy("random+twin")


def test_what_cannot_be_registered():
    before = list(STRATEGIES)
    with pytest.raises(TypeError, match="above the function"):

        @register
        def without_a_name(estimator, X, n_instances):
            return np.arange(n_instances)

    with pytest.raises(TypeError, match="should be a function"):
        register("three")(3)
    with pytest.raises(TypeError, match="should be a class"):
        register("instance", augmenter=AdversarialAugmenter())
    assert list(STRATEGIES) == before


def test_a_function_that_nobody_registered():
    def own(estimator, X, n_instances):
        return np.arange(n_instances)

    found = describe(own)
    assert (found.name, found.label, found.augmenter) == ("own", "own", None)
    assert found.function is own


def test_modal_gets_plain_functions():
    """What is registered is the function as it was written: no wrapper, bare array."""
    for function in STRATEGIES.values():
        assert describe(function).function is function
        assert not hasattr(function, "__skdfal__")
