"""skdfal reproduce ablation: cells of a plan, contrasts of cells, one folder."""

import csv
import json

import numpy as np
import pytest
import torch

from skdfal.analysis import paired_difference
from skdfal.experiment import FolderError, Protocol, load_data, run_trial
from skdfal.experiment import _run as run_module
from skdfal.experiment._names import ADDITIONS, find_strategy
from skdfal.reproduce import ABLATION_DATASETS, SCALES
from skdfal.reproduce import _ablation as ablation_module
from skdfal.reproduce._ablation import Ablation, contrast_rows
from skdfal.reproduce._command import reproduce
from tests.reproduce.test_reproduce import arguments, run_here

TINY = {
    "n_trials": 2, "n_initial": 10, "n_instances": 10, "max_annotations": 20,
    "marks": [20], "n_pool": 60, "n_test": 40, "n_candidates": 12, "lr": 0.003,
    "query_params": {"dfal": {"max_iter": 3}},
    "cells": ["dfal+twins", "random+nothing"], "additions": ["dfal+noise"],
    "trainings": {
        "2 epochs": {"max_epochs": 2, "cells": ["cells", "additions"]},
        "3 steps": {"max_epochs": 3, "max_batches": 3, "cells": ["cells"]},
    },
    "contrasts": [
        {"name": "DFAL", "of": ["dfal+twins"], "less": ["random+nothing"]},
        {"name": "noise", "of": ["dfal+noise"], "less": ["dfal+copies"]},
    ],
}  # fmt: skip


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(ablation_module, "ABLATION_DATASETS", ("digits",))
    monkeypatch.setattr(ablation_module, "SCALES", ("paper", "tiny"))
    monkeypatch.setattr(ablation_module, "sections", lambda *_: (TINY, {}))
    monkeypatch.setattr(run_module, "run_tasks", run_here)
    drawn = []
    monkeypatch.setattr(
        ablation_module, "save_learning_curves", lambda *a, **kw: drawn.append((a, kw))
    )
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield drawn
    torch.set_num_threads(before)


def test_runs_its_cells_and_compares_them(tiny, tmp_path, monkeypatch):
    reproduce(arguments("ablation"), tmp_path)
    (folder,) = tmp_path.iterdir()
    assert folder.name == "digits-ablation-tiny-seed0"
    with open(folder / "rounds.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    cells = {(row["training"], row["strategy"]) for row in rows}
    assert cells == {
        ("2 epochs", "dfal+twins"), ("2 epochs", "dfal+noise"),
        ("2 epochs", "random+nothing"),
        ("3 steps", "dfal+twins"), ("3 steps", "random+nothing"),
    }  # fmt: skip
    n_data = {r["strategy"]: r["labeled_data"] for r in rows if r["round"] == "1"}
    assert n_data["random+nothing"] == "20"
    text = (folder / "ablation.md").read_text()
    assert "DFAL's query + noise" in text
    with open(folder / "ablation.csv", newline="") as file:
        effects = list(csv.DictReader(file))
    # That of noise lacks a cell.
    assert {row["contrast"] for row in effects} == {"DFAL"}
    assert len(effects) == 2
    trainings = json.loads((folder / "ablation.json").read_text())["settings"]
    assert trainings["3 steps"]["max_batches"] == 3
    (shown, path), how = tiny[-1]
    assert (path.name, how["scale"]) == ("ablation.png", "log_error")
    assert {row["strategy"] for row in shown} == {"DFAL", "RANDOM"}
    before = {path: path.read_bytes() for path in folder.glob("*.[mc][ds]*")}

    def run_nothing(tasks, what, **options):
        assert not tasks

    monkeypatch.setattr(run_module, "run_tasks", run_nothing)
    reproduce(arguments("ablation"), tmp_path)
    assert before == {path: path.read_bytes() for path in before}
    # None is left out in silence, where others are cells.
    with pytest.raises(ValueError, match=r"has no cell random; it has .*dfal\+twins"):
        reproduce(arguments("ablation", strategies=("dfal+twins", "random")), tmp_path)


def test_one_training_at_a_time(tiny, tmp_path):
    def trainings():
        with open(next(tmp_path.glob("*/rounds.csv")), newline="") as file:
            return {row["training"] for row in csv.DictReader(file)}

    some = ("dfal+twins", "random+nothing")
    reproduce(arguments("ablation", training=["3 steps"], strategies=some), tmp_path)
    assert trainings() == {"3 steps"}
    # A later call keeps in its tables what earlier ones have run.
    reproduce(arguments("ablation", training=["2 epochs"]), tmp_path)
    assert trainings() == {"2 epochs", "3 steps"}


def test_earlier_trainings_are_of_the_same_settings(tiny, tmp_path):
    given = {"out": tmp_path / "out", "strategies": ("random+nothing",)}
    reproduce(arguments("ablation", training=["3 steps"], **given), tmp_path)
    with pytest.raises(FolderError, match="seed was 0, now 1"):
        reproduce(
            arguments("ablation", training=["2 epochs"], seed=1, **given), tmp_path
        )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"training": ["5 epochs"]}, "no training '5 epochs'; it has '2 epochs', '3 s"),
        (
            {"training": ["3 steps"], "strategies": ("dfal+noise",)},
            "The ablation with 3 steps has no cell dfal.noise; it has dfal.twins",
        ),
    ],
)
def test_unknown_trainings_and_cells_are_refused(given, message, tiny, tmp_path):
    with pytest.raises(ValueError, match=message):
        reproduce(arguments("ablation", **given), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_contrast_is_the_mean_of_its_pairs():
    rng = np.random.default_rng(0)
    cells = ("dfal+twins", "random+twins", "dfal+nothing", "random+nothing")
    rows = [
        {"strategy": cell, "trial": t, "annotations": n, "score": rng.random()}
        for cell in cells
        for t in range(5)
        for n in (10, 20)
    ]
    contrast = {
        "name": "twins",
        "of": ["dfal+twins", "random+twins", "margin+twins"],
        "less": ["dfal+nothing", "random+nothing", "margin+nothing"],
    }
    (found,) = contrast_rows([contrast], {"x": rows})
    each = [
        paired_difference(rows, of, less, annotations="area").difference
        for of, less in [cells[::2], cells[1::2]]
    ]
    assert found["difference"] == pytest.approx(np.mean(each))
    # Where a pair has fewer trials than the other, the other stands alone.
    fewer = [r for r in rows if r["strategy"] != "random+twins" or r["trial"] < 4]
    (found,) = contrast_rows([contrast], {"x": fewer})
    assert (found["difference"], found["n_trials"]) == (pytest.approx(each[0]), 5)
    # Where pairs have as many trials, but others: those that all have, if any.
    # Four are too few for an interval.
    others = [r | {"trial": r["trial"] + ("random" in r["strategy"])} for r in rows]
    (found,) = contrast_rows([contrast], {"x": others})
    assert (found["n_trials"], found["p_value"]) == (4, None)
    others = [r | {"trial": r["trial"] + 9 * ("random" in r["strategy"])} for r in rows]
    assert contrast_rows([contrast], {"x": others}) == []


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("dataset", ABLATION_DATASETS)
def test_plans(dataset, scale):
    plan = Ablation(dataset, scale)
    assert plan.n_trials == (2 if scale == "smoke" else 10)
    for training, protocol in plan.protocols.items():
        assert protocol.dataset == dataset
        assert len(set(plan.cells[training])) == len(plan.cells[training]) >= 4
        for cell in plan.cells[training]:
            assert find_strategy(cell).name == cell
    every = {cell for cells in plan.cells.values() for cell in cells}
    if scale == "paper":
        named = {c for x in plan.contrasts for c in (*x["of"], *x["less"])}
        assert named == every


def test_what_there_is_no_plan_for():
    with pytest.raises(ValueError, match="dataset='digits' should be one of mnist"):
        Ablation("digits", "smoke")
    with pytest.raises(ValueError, match="scale='huge' should be one of"):
        Ablation("mnist", "huge")


def test_an_addition_is_what_is_trained_on(tmp_path):
    protocol = Protocol(
        n_pool=40, n_test=20, n_candidates=20, max_annotations=20, max_epochs=2,
        query_params={"dfal": {"prune": False}, "random+noise": {}},
    )  # fmt: skip
    assert protocol.params_of("dfal+copies") == {"prune": False}
    assert protocol.candidates_of("dfal+copies") == 20
    rows = {
        name: run_trial(protocol, name, 0, out_dir=tmp_path)
        for name in ("random", "random+nothing", "random+copies", "dfal+copies")
    }
    sizes = {name: found[-1]["labeled_data"] for name, found in rows.items()}
    assert sizes == {
        "random": 20, "random+nothing": 20, "random+copies": 30, "dfal+copies": 30,
    }  # fmt: skip
    scores = {name: [row["score"] for row in found] for name, found in rows.items()}
    assert scores["random"] == scores["random+nothing"]
    assert len({found[0] for found in scores.values()}) == 1  # paired
    assert len(load_data(protocol).X_train) > 40


def test_additions_that_are_none():
    with pytest.raises(ValueError, match=r"strategy='random\+twin' should end in one"):
        find_strategy("random+twin")
    assert find_strategy("random+twins").label == "RANDOM + twins"
    assert find_strategy("dfal+nothing").augmenter is None
    assert set(ADDITIONS) >= {"nothing", "copies", "twins", "noise"}
