"""predict, query, export and import: files in and files out."""

import csv
import json
import os
import sqlite3
import sys
import unicodedata
from argparse import Namespace
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from skdfal.adapter import predict_proba
from skdfal.cli import main
from skdfal.cli._work import run
from skdfal.label import Answers, Event, Store
from skdfal.label._commands import _first_good
from skdfal.label._formats import read_labels, write_labels
from skdfal.label._net_file import save_net
from skdfal.label._nets import make_net
from skdfal.learner import LabelingSession
from skdfal.pool import ImagePool
from skdfal.strategies import register, unregister
from skdfal.strategies._base import top_k

Image = pytest.importorskip(
    "PIL.Image", reason="Pillow is not installed (skdfal[label])"
)

N = 24


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Dark and light pictures in turns, one of them broken, from a folder above."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures" / "sub").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(N):
        values = rng.integers(0, 100, (16, 16)) + 150 * (i % 2)
        name = f"sub/# {i:02}.png" if i % 3 else f"{i:02}.png"
        picture = Image.fromarray(values.astype(np.uint8))
        picture.save(tmp_path / "pictures" / name)
    (tmp_path / "pictures" / "broken.png").write_text("no picture")
    return tmp_path / "pictures"


def truth(pictures):
    names = [
        p.relative_to(pictures).as_posix() for p in sorted(pictures.rglob("*.png"))
    ]
    return {
        name: ["dark", "light"][int(name[-6:-4]) % 2]
        for name in names
        if "bro" not in name
    }


def events(labels):
    return [Event(name, name, "label", label) for name, label in labels.items()]


@pytest.fixture
def net(pictures):
    torch.manual_seed(0)
    pool = ImagePool(pictures, image_size=16)
    labels = truth(pictures)
    known = [i for i, name in enumerate(pool.names) if name in labels]
    net = make_net("lenet5", 2, (1, 16, 16), 20)
    net.fit(
        pool.take(known),
        np.array([labels[pool.names[i]] == "light" for i in known]) * 1,
    )
    save_net("net.skdfal", net, ["dark", "light"], (16, 16), "L", "lenet5")
    return net, pool


@pytest.fixture
def untrained(pictures):
    net = make_net("lenet5", 2, (1, 16, 16)).initialize()
    save_net("net.skdfal", net, ["dark", "light"], (16, 16), "L", "lenet5")


def rows_of(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_predict(pictures, net, capsys):
    assert main(["predict", "pictures", "--net", "net.skdfal", "--cache", "cache"]) == 0
    rows = rows_of("predictions.csv")
    assert {row["file"]: row["label"] for row in rows} == truth(pictures)
    estimator, pool = net
    sample = pool.take([pool.names.index(rows[3]["file"])])
    proba = estimator.predict_proba(sample)[0]
    found = [float(rows[3][column]) for column in ("p_dark", "p_light")]
    np.testing.assert_allclose(found, proba, atol=1e-5)
    err = capsys.readouterr().err
    assert "skipped: broken.png: No picture of a known format." in err
    assert f"{N} pictures" in err


@pytest.mark.usefixtures("untrained")
def test_predict_keeps_few_pixels_on_the_disk(pictures, monkeypatch):
    """Unless a cache is named: a folder may be larger than the disk for such files."""
    monkeypatch.setattr("skdfal.label._shared._CHUNK", 5)
    n_decoded = []

    def noting(estimator, samples):
        with closing(sqlite3.connect(samples.root.cache / "pictures.sqlite")) as db:
            (n,) = db.execute("SELECT sum(state = 1) FROM pictures").fetchone()
        n_decoded.append(n)
        return predict_proba(estimator, samples)

    monkeypatch.setattr("skdfal.label._shared.predict_proba", noting)
    command = "predict pictures --net net.skdfal --out".split()
    assert main([*command, "few.csv"]) == 0
    assert sum(n_decoded) == N
    assert max(n_decoded) == 5
    assert main([*command, "all.csv", "--cache", "cache"]) == 0
    assert n_decoded[-1] == N
    few, all_ = rows_of("few.csv"), rows_of("all.csv")
    assert [row["file"] for row in few] == [row["file"] for row in all_]
    for name in ("confidence", "p_dark"):
        values = [[float(row[name]) for row in rows] for rows in (few, all_)]
        np.testing.assert_allclose(*values, atol=1e-5)


def test_pictures_of_which_none_can_be_read(pictures, net, capsys):
    for path in pictures.rglob("*.png"):
        path.write_text("broken by now")
    write_labels("labels.csv", events(truth(pictures)))
    reason = "No picture of a known format."
    for command, told in [
        ("predict pictures --net net.skdfal", f"{N + 1} pictures"),
        ("query pictures --labels labels.csv", f"{N} labelled pictures"),
    ]:
        assert main(command.split()) == 2
        err = capsys.readouterr().err
        assert f"None of the {told} in pictures can be read, such as " in err
        assert f".png: {reason}" in err


def test_predict_with_no_net(pictures, capsys):
    assert main(["predict", "pictures", "--net", "pictures/broken.png"]) == 2
    assert "is not a skdfal network, or is damaged.\n" in capsys.readouterr().err
    assert main(["predict", "pictures", "--net", "nothing"]) == 2
    error = capsys.readouterr().err
    assert "There is no trained network: nothing does not exist. skdfal label" in error
    assert error.count("\n") == 1


def test_a_wrong_net_or_folder_is_told_before_a_file_in_the_way(pictures, net, capsys):
    Path("predictions.csv").write_text("mine")
    (pictures / "skdfal").mkdir()
    for arguments, message in [
        ("pictures --net pictures/skdfal", "is a folder. Name the file of a network"),
        ("pictures/broken.png --net net.skdfal", "a folder of pictures is expected"),
        ("nowhere --net net.skdfal", "nowhere"),
    ]:
        assert main(["predict", *arguments.split()]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert "exists already" not in error
    Path("net.skdfal").rename(pictures / "skdfal" / "net.skdfal")
    assert main("evaluate pictures --net pictures/skdfal".split()) == 2
    expected = f"Name the file in it: --net {Path('pictures/skdfal/net.skdfal')}."
    assert expected in capsys.readouterr().err


def test_predict_overwrites_only_what_is_named(pictures, net, capsys):
    Path("predictions.csv").write_text("mine")
    arguments = ["predict", "pictures", "--net", "net.skdfal"]
    assert main(arguments) == 2
    assert "predictions.csv exists already" in capsys.readouterr().err
    assert Path("predictions.csv").read_text() == "mine"
    assert main([*arguments, "--out", "predictions.csv"]) == 0
    assert len(rows_of("predictions.csv")) == N


def test_a_file_where_a_folder_is_needed_is_named(pictures, net, capsys):
    write_labels("labels.csv", events(truth(pictures)))
    Path("f").touch()
    for command in [
        "query pictures --labels labels.csv --cache f",
        "import labels.csv pictures --project f",
        "label pictures --no-browser --classes a,b --project f",
        "predict pictures --net net.skdfal --cache f",
        "predict pictures --net net.skdfal --out f/x.csv",
    ]:
        assert main(command.split()) == 2
        (line,) = [x for x in capsys.readouterr().err.splitlines() if "error" in x]
        assert "error: f is a file, but a folder is needed there" in line, command


@pytest.mark.parametrize("command", ["query", "predict", "export", "import"])
def test_an_interrupt_where_nothing_is_kept_promises_nothing(command, capsys):
    def interrupted(arguments):
        raise KeyboardInterrupt

    assert run(interrupted, Namespace(command=command), [command]) == 130
    assert capsys.readouterr().err.strip() == "Interrupted."


def query(labels, *arguments):
    write_labels("labels.csv", events(labels))
    options = ["--labels", "labels.csv", "--size", "16", "--epochs", "3", *arguments]
    return main(["query", "pictures", *options])


def test_query(pictures, capsys):
    labels = dict(list(truth(pictures).items())[:8])
    (pictures / next(iter(labels))).write_text("broken by now")
    assert query(labels, "-n", "5") == 0
    first = capsys.readouterr()
    names = first.out.splitlines()
    assert len(set(names)) == 5
    assert set(names) <= set(truth(pictures)) - set(labels)
    assert query(labels, "-n", "5") == 0
    assert capsys.readouterr().out == first.out
    # One that needs a head gets a net with one.
    assert query(labels, "-n", "5", "--strategy", "learning_loss_v2") == 0
    assert len(set(capsys.readouterr().out.splitlines())) == 5
    # Another strategy asks for others; all that can be read are there in the end.
    assert query(labels, "-n", "100", "--strategy", "random") == 0
    names = capsys.readouterr().out.splitlines()
    assert set(names) == set(truth(pictures)) - set(labels)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("wanted", "n_threads"), [(None, 1), ("2", 2)])
def test_query_computes_with_one_thread(pictures, monkeypatch, wanted, n_threads):
    """With another number, the same seed gives other answers."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if wanted:
        monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    seen, fit = [], LabelingSession.fit

    def noting(session):
        seen.append(torch.get_num_threads())
        return fit(session)

    monkeypatch.setattr(LabelingSession, "fit", noting)
    assert query(dict(list(truth(pictures).items())[:8]), "--epochs", "1") == 0
    assert seen == [n_threads]
    assert torch.get_num_threads() == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such file names")
def test_query_prints_each_picture_on_one_line(pictures, capsys):
    names = set(truth(pictures))
    picture = min(names)
    (pictures / picture).rename(pictures / "a\nb\tc é\u202f.png")
    assert query({}, "-n", "100") == 0
    printed = set(capsys.readouterr().out.splitlines())
    assert printed == names - {picture} | {r"a\nb\tc é" + "\u202f.png"}


def test_query_without_labels_of_two_classes(pictures, capsys):
    labels = dict(list(truth(pictures).items())[:1])
    assert query(labels, "-n", "100") == 0
    out, err = capsys.readouterr()
    assert "drawn at random" in err
    assert sorted(out.splitlines()) == sorted(set(truth(pictures)) - set(labels))


def test_query_without_readable_pictures_of_two_classes(pictures, capsys):
    """A labelled picture that has broken since does not end a query every night."""
    names = {label: name for name, label in truth(pictures).items()}
    (pictures / names["dark"]).write_text("broken by now")
    labels = {name: label for label, name in names.items()}
    assert query(labels, "-n", "100") == 0
    out, err = capsys.readouterr()
    assert "of pictures that can be read; these pictures are drawn at random" in err
    assert f"skipped: {names['dark']}: No picture of a known format." in err
    rest = {*truth(pictures)} - {*labels}
    assert sorted(out.splitlines()) == sorted(rest)


def test_classes_that_differ_in_case_alone_are_named(pictures, capsys):
    """They are probably one class; the labels say nothing against two."""
    labels = dict(sorted(truth(pictures).items())[:6])
    alike = "'Dark' and 'dark' are different classes"
    labels[next(name for name, label in labels.items() if label == "dark")] = "Dark"
    assert query(labels, "-n", "1", "--epochs", "1") == 0
    assert alike in capsys.readouterr().err
    assert (
        query(labels, "-n", "1", "--epochs", "1", "--classes", "dark,Dark,light") == 0
    )
    assert alike not in capsys.readouterr().err
    rows = [f"{name},{label}" for name, label in labels.items()]
    Path("alike.csv").write_text("\n".join(["file,label", *rows]))
    assert main(["import", "alike.csv", "pictures"]) == 0
    assert alike in capsys.readouterr().err


def test_query_says_that_nothing_is_left(pictures, capsys):
    assert query(truth(pictures), "-n", "3", "--strategy", "random") == 0
    out, err = capsys.readouterr()
    assert not out
    assert "All pictures that can be read have a label." in err


def test_query_without_labels(pictures, capsys):
    assert main(["query", "pictures", "-n", "100", "--size", "16"]) == 0
    out, err = capsys.readouterr()
    assert "drawn at random" in err
    assert sorted(out.splitlines()) == sorted(truth(pictures))


@pytest.mark.parametrize(
    "wrong",
    [
        *("--strategy dfall", "--strategy no.such:one"),
        *("--net nonsense", "--net timm/none", "--device gpu"),
    ],
)
def test_query_without_labels_refuses_what_label_refuses(pictures, wrong, capsys):
    told = []
    for command in ("query pictures", "label pictures --classes dark,light"):
        assert main([*command.split(), *wrong.split()]) == 2
        out, err = capsys.readouterr()
        told.append(err.partition("error: ")[2])
        assert ".png" not in out
        assert err.count("\n") == 1
    assert told[0] == told[1]


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize(
    ("command", "columns"),
    [
        ("query", ("", "")),
        ("suspects", ("", "")),
        ("import", ("", "")),
        ("import", ("", "2026-01-01")),
        ("import", ("ann", "")),
    ],
)
def test_labels_that_contradict_each_other(pictures, command, columns, capsys):
    """Two labels are refused, unless one of them is a later answer."""
    first = "sub/# 01.png"
    rows = [f"{first},light", f"./{first},dark", "00.png,dark"]
    fixed = ",".join(columns)
    lines = ["file,label,annotator,time", *(f"{row},{fixed}" for row in rows)]
    arguments = {
        "query": "query pictures --labels x.csv --size 16 --epochs 1 -n 1",
        "suspects": "suspects pictures --labels x.csv --net net.skdfal",
        "import": "import x.csv pictures",
    }[command].split()
    Path("x.csv").write_text("\n".join(lines))
    assert main(arguments) == 2
    told = f"x.csv: {first} has the labels 'light' and 'dark'. Keep one of them, or"
    assert told in capsys.readouterr().err
    assert not (pictures / "skdfal").exists()
    lines[1] = f"{rows[0]},{columns[0]},2026-01-02"  # above the earlier one
    Path("x.csv").write_text("\n".join(lines))
    assert main(arguments) == 0
    if command == "import":
        assert stored(pictures)[0].labels() == {first: "light", "00.png": "dark"}


def test_query_by_a_strategy_of_ones_own(pictures, monkeypatch, capsys):
    """Of a file beside the pictures, it is asked as it was written."""
    monkeypatch.setattr("sys.path", sys.path[:])
    Path("own_last.py").write_text(
        "import numpy as np\n"
        "def last(estimator, X, n_instances=1):\n"
        "    return np.arange(len(X))[::-1][:n_instances]\n"
    )
    labels = dict(list(truth(pictures).items())[:8])
    assert query(labels, "-n", "3", "--strategy", "own_last:last") == 0
    assert capsys.readouterr().out.splitlines() == list(truth(pictures))[:-4:-1]


def brightness(estimator, X):
    """Score of a strategy that no net is asked for."""
    return X.take(np.arange(len(X))).mean(axis=(1, 2, 3))


def test_query_prints_scores(pictures, capsys):
    labels = dict(list(truth(pictures).items())[:8])
    by_mean = register("brightness", score=brightness)

    @by_mean
    def brightest(estimator, X, n_instances=1):
        return top_k(brightness(estimator, X), n_instances)

    try:
        assert query(labels, "-n", "5", "--strategy", "brightness", "--scores") == 0
    finally:
        unregister("brightness")
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    with ImagePool(pictures, image_size=16) as pool:
        means = {name: pool.take([i]).mean() for i, name in enumerate(pool.names)}
    expected = sorted(set(truth(pictures)) - set(labels), key=lambda name: -means[name])
    assert [name for name, _ in rows] == expected[:5]
    assert [float(value) for _, value in rows] == pytest.approx(
        [means[name] for name in expected[:5]], rel=1e-4
    )


def test_query_has_no_scores_of_what_is_drawn_at_random(pictures, capsys):
    labels = dict(list(truth(pictures).items())[:1])
    assert query(labels, "-n", "3", "--scores") == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [value for _, value in rows] == ["nan"] * 3
    for strategy in ("random", "core_set", "bald"):
        assert query(labels, "--scores", "--strategy", strategy) == 2
        out, err = capsys.readouterr()
        assert f"--scores: {strategy} has no scores, or random ones" in err
        assert not out


def test_labels_that_are_a_folder(pictures, capsys):
    for command in (
        ["query", "pictures", "--labels", "pictures"],
        ["import", "pictures", "pictures"],
    ):
        assert main(command) == 2
        error = capsys.readouterr().err
        assert "pictures is a folder; a CSV with a file and a label in each" in error


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("label", "lenet5 (default), vgg8, resnet18, torchvision/NAME"),
        ("label", "or module:function of your own"),
        ("export", "labels.csv or tasks.json in the working folder"),
    ],
)
def test_help_says_what_is_taken_and_where_it_goes(command, text, capsys):
    assert main([command, "--help"]) == 0
    assert text in " ".join(capsys.readouterr().out.split())


def test_labels_that_are_missing(pictures, capsys):
    assert main(["query", "pictures", "--labels", "none.csv"]) == 2
    assert "file of --labels does not exist: none" in capsys.readouterr().err
    assert main(["import", "none.csv", "pictures"]) == 2
    assert "file to import does not exist: none" in capsys.readouterr().err


@pytest.mark.parametrize("n_labels", [1, 8])
def test_query_names_the_picture_whose_label_is_no_class(pictures, n_labels, capsys):
    labels = dict(list(truth(pictures).items())[:n_labels])
    name = list(labels)[-1]
    assert query(labels | {name: "drak"}, "--classes", "dark,light") == 2
    error = capsys.readouterr().err
    assert f"{name} has the label 'drak' in labels.csv, which is not among" in error
    assert "stored" not in error


def test_query_knows_names_given_as_paths(pictures, capsys):
    labels = truth(pictures)
    first, second, third, *_ = labels
    given = {f"pictures/{first}": "dark", str(pictures / second): "light"}
    given[third.replace("/", "\\")] = "dark"
    for n, rows in [(1, "1 row"), (2, "2 rows")]:
        given[f"elsewhere {n}.png"] = "light"
        assert query(given, "-n", "1", "--strategy", "random") == 0
        error = capsys.readouterr().err
        assert f"{rows} skipped, of pictures that are not in pictures" in error
        assert "such as elsewhere 1.png." in error
    assert query(given, "-n", "100", "--strategy", "random") == 0
    out = capsys.readouterr().out
    assert set(out.splitlines()) == set(labels) - {first, second, third}


def test_names_given_as_paths_from_elsewhere(pictures, monkeypatch, capsys):
    """The folder by dots or by a link, the names by its real path, and the reverse."""
    name, other = list(truth(pictures))[:2]
    (pictures.parent / "link").symlink_to(pictures, target_is_directory=True)
    (pictures.parent / "work").mkdir()
    monkeypatch.chdir(pictures.parent / "work")
    given = {str(pictures / name): "dark", f"../link/{other}": "light"}
    for folder in ("../pictures", "../link"):
        write_labels("labels.csv", events(given))
        project = folder.replace("..", "project of")
        arguments = ["import", "labels.csv", folder, "--project", project]
        assert main(arguments) == 0
        assert "2 new answers" in capsys.readouterr().err


def test_the_first_that_can_be_read_are_decoded_together(pictures, monkeypatch):
    calls = []
    with ImagePool(pictures, image_size=16) as pool:
        decode = pool.decode
        monkeypatch.setattr(pool, "decode", lambda rows: calls.append(decode(rows)))
        ranking = pool.names.index("broken.png"), *range(N)
        found = _first_good(pool, iter(ranking), 10)
    assert found == [i for i in ranking if pool.names[i] != "broken.png"][:10]
    assert len(calls) <= 3


def test_query_with_columns_of_others(pictures, capsys):
    with open("mine.csv", "w", newline="") as file:
        csv.writer(file, delimiter=";").writerows(
            [["kind", "where"], *((v, k) for k, v in list(truth(pictures).items())[:4])]
        )
    arguments = ["query", "pictures", "--labels", "mine.csv", "--strategy", "random"]
    assert main([*arguments, "--size", "16", "--epochs", "1"]) == 2
    error = capsys.readouterr().err
    assert "no column 'file'; its first line has ['kind', 'where']" in error
    assert "--columns file=..." in error
    columns = ["--columns", "file=where,label=kind"]
    assert main([*arguments, "--size", "16", "--epochs", "1", *columns]) == 0
    assert main([*arguments, "--columns", "what=where"]) == 2


@pytest.fixture
def project(pictures):
    """A project of which a third has labels, and one picture is excluded."""
    (pictures / "skdfal").mkdir()
    names = list(truth(pictures))
    store = Store(pictures / "skdfal" / "labels.sqlite")
    store.set("classes", ["dark", "light"])
    labels = {name: truth(pictures)[name] for name in names[:8]}
    store.add(events(labels))
    store.add(
        [Event("x", names[8], "exclude"), Event("u", names[0], "undo", undoes=names[0])]
    )
    store.close()
    del labels[names[0]]
    return labels


def test_export_csv(project):
    assert main(["export", "pictures", "--to", "csv"]) == 0
    assert {e.picture: e.label for e in read_labels("labels.csv")} == project


def test_export_overwrites_only_what_is_named(project, capsys):
    Path("labels.csv").write_text("mine")
    assert main(["export", "pictures", "--to", "csv"]) == 2
    assert "labels.csv exists already" in capsys.readouterr().err
    assert Path("labels.csv").read_text() == "mine"
    assert main(["export", "pictures", "--to", "csv", "--out", "labels.csv"]) == 0
    assert {e.picture: e.label for e in read_labels("labels.csv")} == project


def test_export_label_studio(pictures, project, net):
    arguments = ["export", "pictures", "--to", "label-studio", "--net", "net.skdfal"]
    assert main([*arguments, "--prefix", "https://example.org/"]) == 0
    with open("tasks.json", encoding="utf-8") as file:
        tasks = json.load(file)
    excluded = list(truth(pictures))[8]
    files = {task["data"]["file"] for task in tasks}
    assert files == set(truth(pictures)) - set(project) - {excluded}
    scores = [task["predictions"][0]["score"] for task in tasks]
    assert scores == sorted(scores)
    assert all(
        task["data"]["image"].startswith("https://example.org/") for task in tasks
    )
    with open("tasks.xml", encoding="utf-8") as file:
        assert '<Choice value="light"/>' in file.read()


def test_export_where_no_task_is_left(pictures, project, net, capsys):
    labels, _ = stored(pictures)
    for path in pictures.rglob("*.png"):
        if path.relative_to(pictures).as_posix() not in labels.labels():
            path.unlink()
    arguments = ["export", "pictures", "--to", "label-studio", "--net", "net.skdfal"]
    assert main(arguments) == 2
    assert "no task is left" in capsys.readouterr().err


def test_export_overwrites_no_other_interface(pictures, project, net, capsys):
    """What somebody changed stays; what it wrote itself is no obstacle."""
    arguments = ["export", "pictures", "--to", "label-studio", "--net", "net.skdfal"]
    arguments += ["--out", "mine.json"]
    interface = Path("mine.xml")
    interface.write_text("<View/>")
    assert main(arguments) == 2
    assert "mine.xml exists already" in capsys.readouterr().err
    assert interface.read_text() == "<View/>"
    assert not Path("mine.json").exists()
    interface.unlink()
    assert main(arguments) == main(arguments) == 0
    assert main([*arguments, "--out", "mine.xml"]) == 2
    assert "Name a .json file with --out" in capsys.readouterr().err


def test_export_needs_a_net(pictures, project, capsys):
    assert main(["export", "pictures", "--to", "label-studio"]) == 2
    assert "net.skdfal" in capsys.readouterr().err


def test_export_makes_no_folder(pictures, capsys):
    for folder in ("pictures", "typo"):
        assert main(["export", folder, "--to", "csv"]) == 2
        assert "There is no project: " in capsys.readouterr().err
        assert main(["import", "labels.csv", "typo"]) == 2
        assert not (pictures.parent / folder / "skdfal").exists()


def test_export_of_no_labels_writes_nothing(tmp_path, monkeypatch, capsys):
    """As of a project that was begun in an empty folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty" / "skdfal").mkdir(parents=True)
    Store(tmp_path / "empty" / "skdfal" / "labels.sqlite").close()
    assert main(["export", "empty", "--to", "csv"]) == 2
    assert "There are no labels in" in capsys.readouterr().err
    assert not Path("labels.csv").exists()


def stored(pictures):
    store = Store(pictures / "skdfal" / "labels.sqlite")
    try:
        return Answers(store.events()), store.setting("classes")
    finally:
        store.close()


def test_import_csv_into_a_new_project(pictures, capsys):
    write_labels("labels.csv", events(truth(pictures) | {"gone.png": "dark"}))
    for n_new in (N, 0):
        assert main(["import", "labels.csv", "pictures"]) == 0
        assert f"Imported {n_new} new answers of the {N}" in capsys.readouterr().err
    answers, classes = stored(pictures)
    assert answers.labels() == truth(pictures)
    assert classes == ["dark", "light"]


@pytest.mark.parametrize("is_trained", [False, True])
def test_an_import_says_when_the_network_learns_it(pictures, capsys, is_trained):
    """Only if there is one, and if there is anything new."""
    (pictures / "skdfal").mkdir()
    if is_trained:
        (pictures / "skdfal" / "net.skdfal").write_bytes(b"")
    write_labels("labels.csv", events(truth(pictures)))
    for is_new in (True, False):
        assert main(["import", "labels.csv", "pictures"]) == 0
        is_said = "when you next run" in capsys.readouterr().err
        assert is_said == (is_trained and is_new)


def test_an_import_is_known_by_the_picture_not_by_how_the_file_names_it(
    pictures, capsys
):
    labels = truth(pictures)
    paths = {f"pictures/{name}": label for name, label in labels.items()}
    for given, n_new in [(paths, N), (labels, 0), (paths, 0)]:
        write_labels("labels.csv", events(given))
        assert main(["import", "labels.csv", "pictures"]) == 0
        assert f"Imported {n_new} new answers of the {N}" in capsys.readouterr().err


@pytest.mark.usefixtures("untrained")
def test_accents_are_known_however_they_are_spelled(pictures, capsys):
    """In two characters on the disk and in one in the file, as of a Mac and others."""
    name = unicodedata.normalize("NFD", "Café.png")
    (pictures / "00.png").rename(pictures / name)
    row = f"{unicodedata.normalize('NFC', name)},dark"
    Path("x.csv").write_text(f"file,label\n{row}\n01.png,light\nsub/# 01.png,light\n")
    task = {"data": {"image": f"https://x/{row[:-5]}"}, "annotations": [{}]}
    Path("x.json").write_text(json.dumps([task]))
    assert main("import x.csv pictures".split()) == 0
    assert stored(pictures)[0].labels()[name] == "dark"
    assert main("import x.json pictures".split()) == 0
    assert "not in pictures" not in capsys.readouterr().err.partition("x.csv")[2]
    options = "--net net.skdfal --labels x.csv".split()
    for command in ("evaluate", "suspects"):
        assert main([command, "pictures", *options]) == 0
        assert name in capsys.readouterr().out or command == "evaluate"


def test_what_an_earlier_version_imported_is_not_imported_twice(pictures, capsys):
    """It took the id from the name in the file, and the picture from the folder."""
    write_labels(
        "labels.csv", events({f"pictures/{n}": "dark" for n in truth(pictures)})
    )
    stored_then = [
        event._replace(picture=event.picture.removeprefix("pictures/"))
        for event in read_labels("labels.csv")
    ]
    (pictures / "skdfal").mkdir()
    with closing(Store(pictures / "skdfal" / "labels.sqlite")) as store:
        store.set("classes", ["dark", "light"])
        store.add(stored_then)
    assert main(["import", "labels.csv", "pictures"]) == 0
    assert "Imported 0 new answers" in capsys.readouterr().err


@pytest.mark.parametrize("classes", [[], ["--classes", "grey,red"]])
def test_an_import_that_fails_leaves_no_project(pictures, classes, capsys):
    labels = truth(pictures) if classes else {}
    write_labels("labels.csv", events(labels | {"gone.png": "dark"}))
    assert main(["import", "labels.csv", "pictures", *classes]) == 2
    assert "--classes A,B. Nothing was imported." in capsys.readouterr().err
    assert not (pictures / "skdfal").exists()


def test_import_label_studio(pictures, project):
    def annotation(label, **fields):
        part = {"type": "choices", "value": {"choices": [label]}}
        return {"result": [part] if label else [], "completed_by": 1} | fields

    names = list(truth(pictures))
    tasks = [
        {"data": {"image": f"x/{names[10]}"}, "annotations": [annotation("dark")]},
        {"data": {"image": names[11]}, "annotations": [annotation(None)]},
        {"data": {"image": "gone.png"}, "annotations": [annotation("dark")]},
    ]
    with open("export.json", "w") as file:
        json.dump(tasks, file)
    assert main(["import", "export.json", "pictures"]) == 0
    answers, _ = stored(pictures)
    assert answers.labels() == project | {names[10]: "dark"}
    assert set(answers.standing("skip")) == {names[11]}


def test_a_new_project_of_one_class_is_none(pictures, capsys):
    write_labels("labels.csv", events({list(truth(pictures))[10]: "grey"}))
    assert main(["import", "labels.csv", "pictures"]) == 2
    assert "only one class, 'grey'" in capsys.readouterr().err
    assert not (pictures / "skdfal").exists()


def test_tasks_without_a_net_say_how_to_get_one(pictures, project, capsys):
    assert main(["export", "pictures", "--to", "label-studio"]) == 2
    assert "There is no trained network" in capsys.readouterr().err


def test_an_out_that_is_a_folder_is_refused_before_the_work(
    pictures, net, monkeypatch, capsys
):
    monkeypatch.setattr("skdfal.label._shared.predict_proba", None)
    for command in (
        ["predict", "pictures", "--net", "net.skdfal"],
        ["export", "pictures", "--to", "label-studio", "--net", "net.skdfal"],
    ):
        (pictures / "skdfal").mkdir(exist_ok=True)
        Store(pictures / "skdfal" / "labels.sqlite").close()
        assert main([*command, "--out", "pictures"]) == 2
        assert "pictures is a folder" in capsys.readouterr().err


def test_import_of_unknown_classes_needs_their_names(pictures, project, capsys):
    name = list(truth(pictures))[10]
    write_labels("labels.csv", events({name: "grey"}))
    assert main(["import", "labels.csv", "pictures"]) == 2
    error = capsys.readouterr().err
    assert "The project does not have the classes grey" in error
    assert f"such as 'grey' of {name}. If that is a typo, correct it in" in error
    assert stored(pictures)[0].labels() == project
    classes = ["--classes", "dark,light,grey"]
    assert main(["import", "labels.csv", "pictures", *classes]) == 0
    assert stored(pictures)[1] == ["dark", "light", "grey"]


def test_labels_and_tasks_survive_the_round_trip(pictures, project):
    assert main(["export", "pictures", "--to", "csv"]) == 0
    assert main(["import", "labels.csv", "pictures", "--project", "other"]) == 0
    store = Store("other/labels.sqlite")
    assert Answers(store.events()).labels() == project
    store.close()


def test_without_pillow_one_line_says_so(pictures, monkeypatch, capsys):
    write_labels("labels.csv", [])
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert main(["query", "pictures", "--labels", "labels.csv"]) == 2
    err = capsys.readouterr().err
    assert "skdfal[label]" in err
    assert err.count("\n") == 1
