"""``skdfal label``: what it takes, what it refuses, what it leaves behind."""

import errno
import os
import signal
import socket
import stat
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from skdfal.cli import main
from skdfal.label import Event, Project, Recipe, Store, StoreError, load_demo
from skdfal.label._demo import TRUTH
from skdfal.label._formats import read_labels
from skdfal.label._label import agreed_classes, settle_token
from skdfal.label._net_file import load_net
from skdfal.label._nets import make_net
from skdfal.label._status import keys_of
from skdfal.learner import ActiveLearningClassifier
from skdfal.pool import ImagePool
from tests.label.projects import (
    CLASSES,
    Command,
    client_of,
    truth,
    wait_until,
    write_pictures,
)
from tests.label.robots import DemoPool


@pytest.fixture
def quick(monkeypatch):
    """Whatever would be served ends at once."""
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: None)
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    return opened


def run(*arguments):
    return main(["label", *map(str, arguments)])


def test_it_says_where_and_goes_on_without_classes(pictures, quick, capsys):
    assert run(pictures, "--classes", "dark,light", "--no-browser") == 0
    out = capsys.readouterr().out
    assert "40 pictures" in out
    assert "http://127.0.0.1:" in out
    assert run(pictures, "--no-browser", "--port", "0") == 0
    assert not quick
    assert (pictures / "skdfal" / "labels.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "other, or --labels-from-folders"),
        (["--classes", "cat"], "at least two different names"),
        (["--classes", "cat,cat"], "separated by commas"),
        (["--classes", "cat,dog", "--holdout", "1"], r"a number in [0, 1)"),
        (["--classes", "cat,dog", "--net", "nothing"], "lenet5, vgg8, resnet18"),
        (["--classes", "cat,dog", "--net", "no.such:Net"], "cannot be imported"),
        (["--classes", "cat,dog", "--strategy", "nothing"], "nothing"),
        (["--classes", "cat,dog", "--strategy", "no.such:one"], "cannot be imported"),
        (["--classes", "cat,dog", "--n-instances", "0"], "an integer >= 1"),
        (["--classes", "cat,dog", "--size", "9"], "16"),
        (["--classes", "cat,dog", "--port", "99999"], "an integer <= 65535"),
        (["--classes", "cat,dog", "--port", "-1"], "an integer >= 0"),
        (["--classes", "cat,dog", "--host", ""], "a name or an address"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(
    pictures, quick, capsys, arguments, message
):
    assert run(pictures, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert error.count("\n") == 1


def test_labels_are_counted_up_to_what_there_is_money_for(pictures, quick, capsys):
    def told(*options):
        assert run(pictures, "--no-browser", *options) == 0
        return capsys.readouterr().out

    assert "\n0 of 2 labels.\n" in told("--classes", "dark,light", "--budget", "2")
    with closing(Store(pictures / "skdfal" / "labels.sqlite")) as store:
        names = [path.name for path in pictures.glob("*-dark.png")][:2]
        store.add([Event(name, name, "label", "dark") for name in names])
    out = told()
    assert "As in the last run: --budget 2" in out
    assert "\n2 of 2 labels. The budget is spent.\n" in out
    assert "--budget" not in told("--budget", "0")
    assert "labels." not in told().partition("Label here")[0]


def test_without_classes_there_is_no_project(pictures, quick, capsys):
    assert run(pictures) == 2
    out, err = capsys.readouterr()
    assert "Name the classes the first time" in err
    assert not out  # not even that it reads
    assert not (pictures / "skdfal").exists()


def test_a_folder_that_cannot_be_written_needs_another(
    pictures, quick, capsys, monkeypatch
):
    mkdir = Path.mkdir

    def read_only(folder, **kwargs):
        if folder.is_relative_to(pictures):
            raise OSError(errno.EROFS, "Read-only file system")
        mkdir(folder, **kwargs)

    monkeypatch.setattr(Path, "mkdir", read_only)
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert run(pictures, "--classes", "dark,light") == 2
    assert "another folder: --project FOLDER" in capsys.readouterr().err


def test_what_is_gone_does_not_count(pictures, quick, capsys):
    assert run(pictures, "--classes", "dark,light", "--no-browser") == 0
    assert "40 pictures in" in capsys.readouterr().out
    next(pictures.glob("*.png")).unlink()
    assert run(pictures, "--no-browser") == 0
    assert "39 pictures in" in capsys.readouterr().out


def test_without_a_folder(tmp_path, quick, capsys):
    assert run() == 2
    assert run(tmp_path / "none") == 2
    assert "is not a folder" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty", "--classes", "a,b") == 2
    assert "There is no image" in capsys.readouterr().err


def test_a_second_server_on_the_folder_is_refused(pictures, quick, project, capsys):
    assert run(pictures, "--classes", "dark,light") == 2
    assert "is in use" in capsys.readouterr().err


def test_a_port_that_is_taken_is_named(pictures, quick, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(pictures, "--classes", "dark,light", "--port", port) == 2
    assert f"port {port}" in capsys.readouterr().err


def test_host_says_what_it_opens(pictures, quick, capsys):
    arguments = ["--classes", "dark,light", "--no-browser", "--port", "0"]
    assert run(pictures, *arguments, "--host", "0.0.0.0") == 0
    out = capsys.readouterr().out
    assert "everybody who can reach this machine" in out
    assert "not encrypted" in out


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_all_addresses_are_none_that_a_browser_opens(pictures, quick, capsys):
    arguments = ["--classes", "dark,light", "--no-browser", "--port", "0"]
    assert run(pictures, *arguments, "--host", "::") == 0
    assert "http://[::1]:" in capsys.readouterr().out


def test_the_share_held_out_stays(pictures, quick, capsys):
    first = ["--classes", "dark,light", "--no-browser"]
    assert run(pictures, *first, "--holdout", "0.2") == 0
    assert run(pictures, "--no-browser") == 0  # as it was
    assert run(pictures, "--no-browser", "--holdout", "0.3") == 2
    assert "was 0.2 when labelling began" in capsys.readouterr().err


def test_what_learns_is_as_the_last_time(pictures, quick, capsys):
    first = ["--classes", "dark,light", "--no-browser"]
    assert run(pictures, *first, "--strategy", "entropy", "--epochs", "3") == 0
    assert "As in the last run" not in capsys.readouterr().out
    assert run(pictures, "--no-browser", "--epochs", "4") == 0
    assert "As in the last run: --strategy entropy\n" in capsys.readouterr().out
    assert run(pictures, "--no-browser", "--strategy", "dfal") == 0
    assert "As in the last run: --epochs 4\n" in capsys.readouterr().out


def test_what_cannot_learn_is_not_kept(pictures, quick, capsys):
    first = ["--classes", "dark,light", "--no-browser"]
    assert run(pictures, *first, "--net", "none") == 2
    assert run(pictures, *first) == 0
    assert "As in the last run" not in capsys.readouterr().out


def test_classes_may_become_more_but_not_fewer():
    assert agreed_classes([], ("cat", "dog")) == ("cat", "dog")
    assert agreed_classes(["cat", "dog"], None) == ("cat", "dog")
    more = agreed_classes(["cat", "dog"], ("cat", "emu", "dog"))
    assert more == ("cat", "emu", "dog")
    with pytest.raises(ValueError, match="lacks emu"):
        agreed_classes(more, ("cat", "dog"))


def in_folders(folder, *names):
    """Pictures in a folder for each class."""
    write_pictures(folder)
    for name in names:
        (folder / name).mkdir()
        for picture in folder.glob(f"*-{name}.png"):
            picture.rename(folder / name / picture.name)
    return folder


def test_what_is_refused_leaves_no_classes_behind(tmp_path, quick, capsys):
    pictures = in_folders(tmp_path / "all", "light")
    assert run(pictures, "--labels-from-folders", "--no-browser") == 2
    assert "only one class, 'light'" in capsys.readouterr().err
    assert run(pictures, "--classes", "cat,dgo", "--net", "nothing") == 2
    assert run(pictures, "--classes", "dog,cat", "--no-browser") == 0


def test_new_folders_are_further_classes(tmp_path, quick):
    pictures = in_folders(tmp_path / "all", *CLASSES)
    assert run(pictures, "--classes", "zebra,light", "--no-browser") == 0
    assert run(pictures, "--labels-from-folders", "--no-browser") == 0
    with closing(Store(pictures / "skdfal" / "labels.sqlite")) as store:
        assert store.setting("classes") == ["zebra", "light", "dark"]


def test_folders_as_labels(tmp_path, quick):
    in_folders(tmp_path / "all", *CLASSES)
    for _ in range(2):
        assert run(tmp_path / "all", "--labels-from-folders", "--no-browser") == 0
    labels = read_labels(tmp_path / "all" / "skdfal" / "labels.csv")
    assert len(labels) == 40
    assert all(e.label == truth(e.picture) for e in labels)


@pytest.mark.parametrize("is_new", [True, False])
def test_folders_as_labels_need_folders(pictures, quick, capsys, is_new):
    if not is_new:
        assert run(pictures, "--classes", "dark,light", "--no-browser") == 0
    assert run(pictures, "--labels-from-folders", "--no-browser") == 2
    assert "lies in a subfolder" in capsys.readouterr().err
    assert (pictures / "skdfal").exists() != is_new


@pytest.mark.parametrize(
    "wrong",
    [
        "--strategy bogus",
        "--net bogus",
        "--net no.such:Net",
        "--net tests.label.test_label:makes_no_net",
        "--size 9",
        "--host 192.0.2.1",
    ],
)
def test_a_typo_leaves_no_project_behind(pictures, quick, wrong):
    assert run(pictures, "--classes", "dark,light", *wrong.split()) == 2
    assert not (pictures / "skdfal").exists()


def test_a_size_that_is_too_small_leaves_the_decoded_pictures(pictures, quick):
    assert run(pictures, "--classes", "dark,light", "--no-browser") == 0
    cache = pictures / "skdfal" / "cache"
    with closing(ImagePool(pictures, cache=cache, exclude=pictures / "skdfal")) as pool:
        pool.decode()
    before = (cache / "pixels.npy").stat()
    assert run(pictures, "--no-browser", "--size", "9") == 2
    assert (cache / "pixels.npy").stat() == before


def test_what_is_no_folder_of_classes_leaves_no_project_behind(tmp_path, quick, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run(empty, "--classes", "dark,light") == 2
    assert "There is no image in" in capsys.readouterr().err
    assert not list(empty.iterdir())
    parts = in_folders(tmp_path / "all", *CLASSES)
    for name, part in zip(CLASSES, ("train", "Test"), strict=True):
        (parts / name).rename(parts / part)
    assert run(parts, "--labels-from-folders") == 2
    assert "Test, train: parts of a data set" in capsys.readouterr().err
    assert not (parts / "skdfal").exists()


def test_with_an_answer_for_every_picture_there_is_nothing_to_label(
    tmp_path, quick, capsys
):
    pictures = in_folders(tmp_path / "all", *CLASSES)
    (pictures / "dark" / "00000-dark.png").rename(pictures / "00000.png")
    assert run(pictures, "--labels-from-folders", "--no-browser") == 0
    assert "Open this address to label;" in capsys.readouterr().out
    (pictures / "00000.png").unlink()
    assert run(pictures, "--no-browser") == 0
    assert "Every picture has an answer. Open" in capsys.readouterr().out


def test_a_folder_that_no_csv_can_name(tmp_path, quick, capsys):
    picture = next(write_pictures(tmp_path / "all").glob("*.png"))
    (tmp_path / "all" / " cat").mkdir()
    picture.rename(tmp_path / "all" / " cat" / picture.name)
    assert run(tmp_path / "all", "--labels-from-folders", "--no-browser") == 2
    assert "The folder ' cat' cannot be a class" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_the_token_is_the_owners_and_stays(tmp_path):
    token = settle_token(tmp_path / "token")
    assert len(token) > 24
    assert settle_token(tmp_path / "token") == token
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    (tmp_path / "token").write_text("")  # a kill in the middle
    assert len(settle_token(tmp_path / "token")) > 24


def test_keys():
    assert keys_of(["cat", "dog"]) == {"cat": "1", "dog": "2"}
    assert keys_of("0123456789")["7"] == "7"
    many = keys_of([f"class {i}" for i in range(60)])
    assert len(set(many.values())) == len(many) > 20
    assert not set(many.values()) & set("usdxo")


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX sends them")
@pytest.mark.parametrize("ends", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_leaves_the_labels(pictures, ends):
    with Command(pictures, "--classes", "dark,light") as command:
        with pytest.raises(StoreError):
            Store(pictures / "skdfal" / "labels.sqlite")
        os.kill(command.process.pid, ends)
        command.process.join(30)
        assert command.process.exitcode == 0
    assert (pictures / "skdfal" / "labels.csv").exists()
    Store(pictures / "skdfal" / "labels.sqlite").close()


def label_by_robot(project, labels, n_labels, n_round):
    """Click the truth, and let each training end, until a net has seen so many."""
    with client_of(project) as client:
        n_told = 0
        while n_told < n_labels:
            (entry,) = client.get("/api/queue?n=1").json()["pictures"]
            name = entry["name"]
            event = {
                "id": name,
                "picture": entry["picture"],
                "kind": "label",
                "label": labels[name],
                "annotator": "robot",
                "time": 0.0,
            }
            assert client.post("/api/events", json=[event]).status_code == 200
            n_told += not project._order.is_held_out(name)
            if n_told % n_round == 0:
                wait_until(lambda: not project.status()["training"]["is_busy"], 300)


@pytest.mark.slow
def test_the_page_learns_digits_as_the_classifier_does(tmp_path):
    """From the same 60 labels a strategy asks for, the same net, to within noise."""
    pictures = load_demo(tmp_path / "demo")
    labels = {e.picture: e.label for e in read_labels(pictures / TRUTH)}
    pool = ImagePool(pictures, image_size=24)
    X, y = pool[:], np.array([int(labels[name]) for name in pool.names])
    scores, expected = [], []
    for seed in range(3):
        folder = tmp_path / f"{seed}"
        folder.mkdir()
        recipe = Recipe(
            open_pool=DemoPool(str(pictures), str(folder)),
            folder=str(folder),
            classes=tuple("0123456789"),
            seed=seed,
        )
        store = Store(folder / "labels.sqlite")
        project = Project(recipe.open_pool(), store, recipe)
        label_by_robot(project, labels, 60, n_round=10)
        wait_until(lambda p=project: p.status()["training"]["n_labels"] >= 60, 300)
        asked = set(project.answers.labels())
        project.close()
        is_new = np.array([name not in asked for name in pool.names])
        net = load_net(folder / "net.skdfal").estimator
        scores.append((net.predict(X[is_new]) == y[is_new]).mean())
        classifier = ActiveLearningClassifier(
            net, max_annotations=60, random_state=seed
        )
        classifier.fit(X, y)
        is_new = classifier.labeled_iter_ < 0
        expected.append((classifier.predict(X[is_new]) == y[is_new]).mean())
    print(scores, expected)
    assert np.mean(scores) >= np.mean(expected) - 0.05


@pytest.mark.parametrize("strategy", ["bald", "mc_dropout"])
def test_a_net_without_dropout_gets_it_for_strategies_that_draw_by_it(strategy):
    net = make_net("resnet18", 2, (3, 32, 32), strategy=strategy)
    assert net.get_params()["module__dropout"] == 0.3
    plain = make_net("resnet18", 2, (3, 32, 32), strategy="dfal")
    assert "module__dropout" not in plain.get_params()


def makes_no_net():
    return "a net"


def test_what_makes_no_net_is_one_line():
    name = f"{__name__}:makes_no_net"
    with pytest.raises(
        ValueError, match=r"makes_no_net' cannot be made: .* created a str"
    ):
        make_net(name, 2, (1, 16, 16))
