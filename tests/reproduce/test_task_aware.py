"""skdfal reproduce task-aware: protocols, tables, choices, the whole command."""

from collections import Counter

import numpy as np
import pytest

from skdfal.cli import main
from skdfal.experiment import Protocol, load_data, read_records, run_trial
from skdfal.experiment._folder import TrialFiles
from skdfal.reproduce import TASK_AWARE_DATASETS, load_task_aware
from skdfal.reproduce._chosen import chosen_rows, rare_share_table, save_chosen
from skdfal.reproduce._loss_curves import loss_curve_table
from skdfal.reproduce._task_aware import (
    TASK_AWARE,
    improvement_table,
    improvements,
    needs_head,
)
from tests.data_home import skdfal_data


@pytest.mark.parametrize("scale", ["paper", "laptop", "smoke"])
@pytest.mark.parametrize("dataset", TASK_AWARE_DATASETS)
def test_every_protocol_can_be_read(dataset, scale):
    found = load_task_aware(dataset, 10, scale)
    assert found.protocol.dataset == dataset
    assert found.protocol.imbalance == 10
    assert found.protocol.net == "resnet18"
    assert found.strategies[0] == "random"
    assert (scale == "paper") == (len(found.deviations) < 3)
    others = "the paper has rare classes in CIFAR-10 alone"
    assert (others in found.deviations) == (dataset != "cifar10")
    for part in found.parts.values():
        assert part, "every part has settings at every scale"
        if scale != "paper":
            assert (others in part["deviations"]) == (dataset != "cifar10")


@pytest.mark.parametrize("scale", ["laptop", "smoke"])
def test_each_experiment_says_how_it_departs_itself(scale, monkeypatch, tmp_path):
    """Losses have no stages, and large budgets others than the usual ones."""
    notes = {}
    for what in TASK_AWARE:
        monkeypatch.setitem(
            TASK_AWARE, what, lambda run, what=what: notes.update({what: run.note()})
        )
        assert main(["reproduce", what, "--scale", scale, "--out", str(tmp_path)]) == 0
    usual, large = notes["task-aware"], notes["task-aware-large"]
    assert notes["task-aware-independent"] == usual
    assert "stages" not in notes["task-aware-losses"]
    found = {"laptop": ("of 100 labels", "of 500"), "smoke": ("of 30", "of 60")}[scale]
    assert f"stages {found[0]}" in usual
    assert f"stages {found[1]}" in large
    assert f"stages {found[0]}" not in large


def test_a_strategy_with_an_addition_needs_what_it_needs_alone():
    assert needs_head("learning_loss+copies")
    assert not needs_head("random+copies")


def test_choices_of_a_strategy_with_an_addition_are_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    protocol = Protocol(n_test=50, max_annotations=20, max_epochs=1, imbalance=3)
    run_trial(protocol, "random+copies", 0, out_dir=tmp_path)
    # Of the frequent digits there are 129 to 132 each, and none of them is rare.
    found = chosen_rows(tmp_path, protocol)
    assert [row["label"] for row in found if row["is_rare"]] == list("02468")
    path = tmp_path / "chosen.png"
    save_chosen(tmp_path, protocol, path)
    assert path.stat().st_size > 0


def test_settings_of_the_paper():
    """Table 1 of the supplement, and the authors' code."""
    cifar10 = load_task_aware("cifar10").protocol
    assert cifar10.rounds() == list(range(1000, 10_001, 1000))
    assert (cifar10.lr, cifar10.batch_size, cifar10.max_epochs) == (0.1, 128, 200)
    assert cifar10.net_params == {"optimizer": "sgd", "augmentation": "crop_flip"}
    assert cifar10.n_candidates == 10_000
    assert load_task_aware("cifar100").protocol.rounds()[:2] == [2000, 4000]
    grey = load_task_aware("fashion_mnist").protocol
    assert "augmentation" not in grey.net_params
    smoke = load_task_aware("cifar10", scale="smoke").protocol
    assert smoke.query_params["core_set"] == {"solver": "greedy"}
    assert smoke.query_params["dfal"] == {"n_top_classes": 3}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"dataset": "mnist"}, "dataset='mnist' should be one of cifar10"),
        ({"dataset": "svhn", "scale": "huge"}, "scale='huge' should be one of paper"),
        ({"dataset": "svhn", "imbalance": 0.1}, "imbalance=0.1 should be >= 1"),
    ],
)
def test_unknown_names(params, message):
    with pytest.raises(ValueError, match=message):
        load_task_aware(**params)


def records(scores):
    return [
        {"strategy": name, "trial": trial, "annotations": mark, "score": score}
        for name, trials in scores.items()
        for trial, values in enumerate(trials)
        for mark, score in zip((10, 20, 30), values, strict=True)
    ]


def test_improvements_are_paired_with_random_of_the_same_trial():
    rows = improvements(
        records(
            {
                "random": [(0.1, 0.2, 0.3), (0.1, 0.4, 0.5)],
                "dfal": [(0.1, 0.3, 0.5), (0.1, 0.4, 0.5), (0.1, 0.9, 0.9)],
            }
        )
    )
    # The third trial of DFAL has no RANDOM to be compared with.
    assert Counter(row["strategy"] for row in rows) == {"dfal": 6}
    found = improvement_table(rows, [10, 20, 30], tablefmt="plain").splitlines()
    assert found[0].split() == ["strategy", "20", "30", "mean", "trials"]
    # Differences of 10 and 0 points, 20 and 0, and their means of 15 and 0.
    assert found[1].replace(" ± ", "±").split() == [
        *("dfal", "+5.0±7.1", "+10.0±14.1", "+7.5±10.6", "2")
    ]


def test_rare_shares():
    def row(strategy, trial, label, n_chosen, n_training):
        return {
            "strategy": strategy,
            "trial": trial,
            "label": label,
            "n_chosen": n_chosen,
            "n_training": n_training,
            "is_rare": n_training < 500,
        }

    rows = [
        row("random", 0, "bird", 1, 50),
        row("random", 0, "cat", 9, 500),
        row("dfal", 0, "bird", 3, 50),
        row("dfal", 0, "cat", 7, 500),
        row("dfal", 1, "bird", 5, 50),
        row("dfal", 1, "cat", 5, 500),
    ]
    lines = rare_share_table(rows, tablefmt="plain").splitlines()
    assert lines[1].split() == ["dfal", "40.0", "±", "14.1", "2"]
    assert lines[2].split() == ["random", "10.0", "1"]


def test_the_losses_of_the_last_epoch_are_in_the_table():
    rows = [
        {
            "loss_prediction": kind,
            "trial": trial,
            "epoch": epoch,
            "task_loss": 2.0 / epoch + trial,
            "pair_loss": 1.0 / epoch,
            "spearman": 0.5 if epoch == 2 else None,
        }
        for kind in ("margin", "ranking")
        for trial in (0, 1)
        for epoch in (1, 2)
    ]
    lines = loss_curve_table(rows, tablefmt="plain").splitlines()
    expected = "1.500 ± 0.707 0.500 ± 0.000 0.500 ± 0.000 2"
    assert " ".join(lines[1].split()) == f"Learning Loss {expected}"
    assert " ".join(lines[2].split()) == f"Learning Loss v2 {expected}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["task-aware", "--net", "vgg8"], "--net has no effect on task-aware"),
        (["task-aware", "--dataset", "mnist"], "dataset='mnist' should be one of"),
        (["table1", "--imbalance", "10"], "--imbalance has no effect on table1"),
        (["table1", "--dataset", "svhn"], "dataset='svhn' should be one of mnist"),
        (
            ["task-aware-independent", "--strategies", "dfal"],
            "dfal need no net with a loss-prediction head",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(arguments, message, capsys, tmp_path):
    status = main(["reproduce", *arguments, "--out", str(tmp_path / "out")])
    assert status == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.skipif(skdfal_data() is None, reason="needs CIFAR-10")
def test_the_command_at_smoke_scale(tmp_path, monkeypatch, capsys):
    """All strategies on rare classes, the parts that go with them, and once more."""
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("SKDFAL_DATA", str(skdfal_data()))
    place = ["--scale", "smoke", "--jobs", "2", "--trials", "1", "--imbalance", "100"]
    out = tmp_path / "trials"
    assert main(["reproduce", "task-aware", *place, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "rare classes 1:100" in printed
    assert "of rare classes, % of the queries" in printed
    found = load_task_aware("cifar10", 100, "smoke")
    rows = read_records(out / "rounds.csv")
    assert {row["strategy"] for row in rows} == set(found.strategies)
    assert {row["annotations"] for row in rows} == {30, 60, 90}
    first = {row["score"] for row in rows if row["annotations"] == 30}
    plain = {
        row["score"]
        for row in rows
        if row["annotations"] == 30 and row["strategy"] in ("random", "core_set")
    }
    assert len(plain) == 1, "the same samples and weights to begin with"
    assert first >= plain
    chosen = chosen_rows(out, found.protocol)
    data = load_data(found.protocol)
    _, end = TrialFiles(out, "random", 0).read()
    counts = np.bincount(data.y_train[end["annotated"][30:]], minlength=10)
    assert [
        row["n_chosen"] for row in chosen if row["strategy"] == "random"
    ] == counts.tolist()
    names = [f"task-aware{s}" for s in (".md", ".csv", ".json", ".png", ".svg")]
    for name in [*names, "task-aware-improvement.png", "chosen.csv", "chosen.png"]:
        assert (out / name).stat().st_size > 0
    before = (out / "task-aware.md").read_bytes()
    assert main(["reproduce", "task-aware", *place, "--out", str(out)]) == 0
    assert (out / "task-aware.md").read_bytes() == before
    if not any(map(needs_head, found.strategies)):
        return
    for part, where in (("independent", out), ("losses", tmp_path / "losses")):
        what = f"task-aware-{part}"
        assert main(["reproduce", what, *place, "--out", str(where)]) == 0
        assert (where / f"{what}.md").read_text().count("|") > 20
