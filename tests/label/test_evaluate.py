"""evaluate and suspects: a trained net and known labels, held against each other."""

import csv
import re
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from skdfal.cli import main
from skdfal.label import Answers, Event, Store
from skdfal.label._net_file import save_net
from skdfal.label._nets import make_net
from skdfal.learner import wilson_interval

Image = pytest.importorskip(
    "PIL.Image", reason="Pillow is not installed (skdfal[label])"
)

CLASSES = ["007", "dark", "light"]  # the first one is no number
N = 30


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Noise in a folder for each class, and a net that has learned nothing."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for i in range(N):
        name = tmp_path / "pictures" / CLASSES[i % 3] / f"{i:02}.png"
        name.parent.mkdir(parents=True, exist_ok=True)
        low, high = sorted(rng.integers(0, 256, 2))
        pixels = rng.integers(low, high + 1, (16, 16)).astype(np.uint8)
        pixels[:, : i % 16] = low
        Image.fromarray(pixels).save(name)
    (tmp_path / "pictures" / "dark" / "broken.png").touch()
    torch.manual_seed(0)
    net = make_net("lenet5", 3, (1, 16, 16)).initialize()
    for values in net.module_.parameters():  # or all would be of one class
        torch.nn.init.normal_(values, std=0.12)
    save_net("net.skdfal", net, CLASSES, (16, 16), "L", "lenet5")
    return tmp_path / "pictures"


def rows_of(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def predicted(pictures):
    """Label, the net's label and its confidence by picture, from another command."""
    assert main("predict pictures --net net.skdfal --out p.csv".split()) == 0
    found = {
        row["file"]: (row["file"].split("/")[0], row["label"], row["confidence"])
        for row in rows_of("p.csv")
    }
    assert len(found) == N
    assert len({guess for _, guess, _ in found.values()}) > 1
    assert len({certainty(*one) for one in found.values()}) == N
    return found


def certainty(label, guess, confidence):
    return float(confidence) * (1 if label == guess else -1)


def evaluate(*options):
    return main(["evaluate", "pictures", "--net", "net.skdfal", *options])


def test_evaluate_counts_what_predict_says(predicted, capsys):
    capsys.readouterr()
    assert evaluate() == 0
    out, err = capsys.readouterr()
    assert err == "skipped: dark/broken.png: The file is empty.\n"
    pairs = [(label, guess) for label, guess, _ in predicted.values()]
    right = sum(label == guess for label, guess in pairs)
    low, high = wilson_interval(right, N)
    assert f"Accuracy: {right / N:.1%} ({right} of 30 pictures)" in out
    assert f"95% interval {low:.1%} to {high:.1%} (Wilson)" in out
    report, matrix = out.split("Confusion matrix")
    for name in CLASSES:
        row = [pairs.count((name, other)) for other in CLASSES]
        assert re.search(rf"^{name} +{' +'.join(map(str, row))}$", matrix, re.M)
        n_guessed = sum(guess == name for _, guess in pairs)
        hits = pairs.count((name, name))
        precision = f"{hits / n_guessed:.3f}" if n_guessed else "nan"
        expected = f"{precision} +{hits / 10:.3f} +\\S+ +10"
        assert re.search(rf"^ *{name} +{expected}$", report, re.M)


def test_evaluate_says_on_how_many_pictures_the_net_was_trained(pictures, capsys):
    (pictures / "skdfal").mkdir()
    own = Path("net.skdfal").rename(pictures / "skdfal" / "net.skdfal")
    with closing(Store(pictures / "skdfal" / "labels.sqlite")) as store:
        store.set("trained_on", {"007/00.png": "007", "dark/01.png": "dark"})
    assert main(["evaluate", "pictures", "--net", str(own)]) == 0
    said = f"warning: the network was trained on 2 of these {N} pictures"
    assert said in capsys.readouterr().err
    copy = Path("copy.skdfal")
    copy.write_bytes(own.read_bytes())
    assert main(["evaluate", "pictures", "--net", str(copy)]) == 0
    assert "warning" not in capsys.readouterr().err


def test_evaluate_writes_the_mistakes(predicted):
    assert evaluate("--out", "mistakes.csv") == 0
    wrong = {n: one for n, one in predicted.items() if one[0] != one[1]}
    rows = rows_of("mistakes.csv")
    found = {
        row["file"]: (row["label"], row["prediction"], row["confidence"])
        for row in rows
    }
    assert found == wrong
    values = [float(row["confidence"]) for row in rows]
    assert values == sorted(values, reverse=True)


def test_evaluate_with_a_csv_is_evaluate_with_folders(predicted, capsys):
    capsys.readouterr()
    assert evaluate() == 0
    expected = capsys.readouterr().out
    rows = [(label, f"pictures/{name}") for name, (label, *_) in predicted.items()]
    write_rows("labels.csv", [("kind", "file"), *rows, ("dark", "gone.png")])
    assert evaluate("--labels", "labels.csv", "--columns", "label=kind") == 0
    out, err = capsys.readouterr()
    assert out == expected
    assert "1 row skipped, of pictures that are not in pictures, such as go" in err


def write_rows(path, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [("dark/01.png", "drak")],
            "1 of 1 pictures have other labels (drak), such as",
        ),
        ([("01.png", "dark")], "No picture in pictures has a label: none of them is"),
        ([("dark/01.png", "dark"), ("dark/01.png", "007")], "row 3: dark/01.png has"),
        ([("dark/broken.png", "dark")], "None of the 1 pictures in pictures can be"),
    ],
)
def test_labels_that_no_net_can_be_evaluated_on(pictures, rows, message, capsys):
    write_rows("labels.csv", [("file", "label"), *rows])
    assert evaluate("--labels", "labels.csv") == 2
    out, err = capsys.readouterr()
    assert message in err
    assert not out


def test_a_folder_without_subfolders_cannot_be_evaluated_on(pictures, capsys):
    assert main("evaluate pictures/dark --net net.skdfal".split()) == 2
    assert "expected one subfolder per class" in capsys.readouterr().err


def test_suspects_are_ordered_by_doubt(predicted, capsys):
    capsys.readouterr()
    command = "suspects pictures --net net.skdfal --labels-from-folders -n 25".split()
    assert main(command) == 0
    out, err = capsys.readouterr()
    n_wrong = sum(label != guess for label, guess, _ in predicted.values())
    assert f"The network contradicts {n_wrong} of 30 labels." in err
    expected = sorted(predicted, key=lambda name: certainty(*predicted[name]))[:25]
    rows = [line.split() for line in out.splitlines()[2:]]
    assert [row[0] for row in rows] == expected
    assert rows[0][1:3] == list(predicted[expected[0]][:2])
    assert float(rows[0][3]) == pytest.approx(
        float(predicted[expected[0]][2]), abs=1e-3
    )


def project_with(labels):
    Path("pictures/skdfal").mkdir()
    store = Store("pictures/skdfal/labels.sqlite")
    events = [
        Event(name, name, "label", label, "=Ada", 1.0) for name, label in labels.items()
    ]
    store.add(events)
    store.set("classes", [*CLASSES, "new"])
    store.close()


def answers():
    store = Store("pictures/skdfal/labels.sqlite")
    found = Answers(store.events())
    store.close()
    return found


def test_suspects_of_a_project_are_corrected_and_imported(predicted, capsys):
    labels = {name: label for name, (label, *_) in predicted.items()}
    first = next(iter(labels))
    project_with(labels | {first: "new"})
    command = "suspects pictures --net net.skdfal -n 4 --out doubts.csv".split()
    assert main(command) == 0
    err = capsys.readouterr().err
    assert f"not classes of net.skdfal (1), such as 'new' of {first}" in err
    header, *rows = csv.reader(open("doubts.csv", encoding="utf-8-sig"))
    assert [row[0] for row in rows] == sorted(
        set(predicted) - {first}, key=lambda name: certainty(*predicted[name])
    )[:4]
    for row in rows[:2]:
        row[header.index("label")] = row[header.index("prediction")]
    write_rows("doubts.csv", [header, *rows])
    assert main("import doubts.csv pictures".split()) == 0
    corrected = {row[0]: row[2] for row in rows[:2]}
    assert answers().labels() == labels | {first: "new"} | corrected
    assert answers().disagreements() == {}  # each took the place of Ada's answer


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "There is no project: pictures/skdfal/labels.sqlite does not exist. Say"),
        ("--project elsewhere", "elsewhere/labels.sqlite does not exist"),
        (
            "--labels labels.csv",
            "its classes are 007, dark, light, the labels none",
        ),
        ("--labels no.csv", "no.csv is missing; expected a CSV"),
        ("--net no.skdfal", "no.skdfal does not exist"),
    ],
)
def test_suspects_of_nothing(pictures, options, message, capsys):
    write_rows("labels.csv", [("file", "label")])
    net = "" if "--net" in options else "--net net.skdfal"
    assert main(f"suspects pictures {net} {options}".split()) == 2
    assert message in capsys.readouterr().err


def test_imported_labels_that_do_not_apply_are_said(pictures, capsys):
    """An older answer of the same annotator, and one that others outvote."""
    name = min((pictures / "dark").glob("??.png")).name

    def imported(label, annotator, time):
        row = f"{name},{label},{annotator},{time}"
        Path("row.csv").write_text(f"file,label,annotator,time\n{row}\n")
        classes = f"--classes {','.join(CLASSES)}"
        assert main(f"import row.csv pictures/dark {classes}".split()) == 0
        return "1 of the labels do not apply" in capsys.readouterr().err

    first = "2026-01-01T10:00:00+00:00"
    assert not imported("dark", "ann", first)
    assert not imported("light", "ann", "2026-01-02T10:00:00+00:00")
    assert imported("dark", "ann", first)
    assert not imported("light", "bob", first)
    assert imported("dark", "cem", first)


@pytest.mark.parametrize("command", ["evaluate", "suspects"])
@pytest.mark.parametrize("out", ["net.skdfal", "labels.csv", "pictures"])
def test_files_that_are_read_are_not_written(pictures, command, out):
    rows = [f"{name.name},dark" for name in sorted((pictures / "dark").glob("??.png"))]
    Path("labels.csv").write_text("\n".join(["file,label", *rows]))
    before = {name: Path(name).read_bytes() for name in ("net.skdfal", "labels.csv")}
    arguments = (
        f"{command} pictures/dark --net net.skdfal --labels labels.csv --out {out}"
    )
    assert main(arguments.split()) == 2
    assert before == {name: Path(name).read_bytes() for name in before}
