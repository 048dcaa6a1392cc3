"""A folder of labelled pictures as a data set."""

import csv
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from skdfal.datasets import load_image_folder
from skdfal.experiment import FolderError, Protocol, load_data
from skdfal.experiment._run import _run_trial
from skdfal.pool import ImagePool

Image = pytest.importorskip(
    "PIL.Image", reason="Pillow is not installed (skdfal[label])"
)

N = 20


@pytest.fixture
def pictures(tmp_path):
    """Folders of cats and dogs, some of them one level deeper."""
    rng = np.random.default_rng(0)
    for i in range(N):
        name = tmp_path / "pictures" / ["cat", "dog/old"][i % 2] / f"{i:02}.png"
        name.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 16), np.uint8)).save(name)
    return tmp_path / "pictures"


def parts(data):
    """Pixels and names of classes by file, of both parts."""
    return [
        {
            file: (x.tobytes(), data.target_names[y])
            for file, x, y in zip(
                data[f"files_{part}"], data[f"X_{part}"], data[f"y_{part}"], strict=True
            )
        }
        for part in ("train", "test")
    ]


def write_table(path, rows, header=("file", "label")):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_every_picture_is_in_one_part_with_its_pixels_and_its_folder(pictures):
    train, test = parts(load_image_folder(pictures, image_size=16))
    assert len(test) == 4  # a fifth
    pool = ImagePool(pictures, image_size=16)
    expected = {
        name: (pool.take([i])[0].tobytes(), name.split("/")[0])
        for i, name in enumerate(pool.names)
    }
    assert not set(train) & set(test)
    assert train | test == expected


def test_the_test_set_follows_from_the_seed(pictures):
    names = [
        load_image_folder(pictures, n_test=n, random_state=seed).files_test
        for n, seed in [(7, 0), (7, 0), (7, 1), (0.35, 0)]
    ]
    assert names[0] == names[1] == names[3]
    assert names[0] != names[2]
    assert len(set(names[0])) == 7


def test_a_csv_of_labels_says_what_the_folders_say(pictures, tmp_path, monkeypatch):
    expected = load_image_folder(pictures, image_size=16)
    files = [p.relative_to(pictures) for p in sorted(pictures.rglob("*.png"))]
    monkeypatch.chdir(tmp_path)
    named = [files[0], pictures / files[1], Path("pictures") / files[2], *files[3:]]
    rows = [(file.parts[0], name) for name, file in zip(named, files, strict=True)]
    table = write_table(tmp_path / "labels.csv", rows, ("kind", "file"))
    given = {"labels": table, "columns": {"label": "kind"}, "image_size": 16}
    assert parts(load_image_folder(pictures, **given)) == parts(expected)
    assert load_image_folder(pictures, **given).digest == expected.digest


def test_the_digest_is_of_pixels_labels_and_split(pictures, tmp_path):
    def digest(**given):
        return load_image_folder(pictures, **{"image_size": 16} | given).digest

    first = digest()
    copy = shutil.copytree(pictures, tmp_path / "copy", copy_function=shutil.copyfile)
    assert load_image_folder(copy, image_size=16).digest == first
    others = [digest(random_state=1), digest(n_test=3), digest(image_size=8)]
    pixels = np.asarray(Image.open(pictures / "cat" / "00.png")).copy()
    pixels[0, 0] ^= 255
    Image.fromarray(pixels).save(pictures / "cat" / "00.png")
    others.append(digest())
    (pictures / "cat").rename(pictures / "bird")
    others.append(digest())
    assert len({first, *others}) == 6


def test_what_is_left_out_is_said(pictures, tmp_path):
    (pictures / "cat" / "00.png").write_text("no picture")
    Image.new("L", (9, 9)).save(pictures / "stray.png")
    with pytest.warns(UserWarning, match="left out") as told:
        data = load_image_folder(pictures)
    assert len(data.y_train) + len(data.y_test) == N - 1
    (message,) = (str(one.message) for one in told)
    assert message == (
        f"Pictures of {pictures} that are left out: 1 unreadable, such as cat/00.png "
        "(No picture of a known format.); 1 without a label, such as stray.png."
    )
    assert Path(told[0].filename) == Path(__file__)
    rows = [("stray.png", "bird"), ("cat/02.png", "cat"), ("gone.png", "cat")]
    table = write_table(tmp_path / "labels.csv", rows)
    with pytest.warns(UserWarning, match=r"1 in .*csv, but not in the folder, such as"):
        data = load_image_folder(pictures, labels=table, n_test=1)
    assert data.target_names.tolist() == ["bird", "cat"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("cat/00.png", "cat"), ("cat/02.png", "cat")], r"two classes \(cat\); expec"),
        ([("00.png", "cat")], r"\(none\).* 1 pictures in .* not in the folder, such"),
        ([("cat/00.png", "a"), ("cat/00.png", "b")], "row 3: cat/00.png has the label"),
        ([("cat/00.png",)], "row 2: 1 of 2 cells"),
    ],
)
def test_a_csv_that_makes_no_data_set(pictures, tmp_path, rows, message):
    table = write_table(tmp_path / "labels.csv", rows)
    with pytest.raises(ValueError, match=message):
        load_image_folder(pictures, labels=table)


def test_folders_that_make_no_data_set(pictures, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"none\.csv is missing; expected a CSV"
    ):
        load_image_folder(pictures, labels="none.csv")
    with pytest.raises(NotADirectoryError, match="nothing is not a folder"):
        load_image_folder(tmp_path / "nothing")
    with pytest.raises(ValueError, match="n_test=20 of 20 labelled pictures leaves"):
        load_image_folder(pictures, n_test=20)
    with pytest.raises(
        ValueError, match=r"two classes \(cat\); expected one subfolder"
    ):
        load_image_folder(
            shutil.copytree(pictures / "cat", tmp_path / "one" / "cat").parent
        )
    for name, part in [("cat", "test"), ("dog", "Train")]:
        (pictures / name).rename(pictures / part)
    with pytest.raises(ValueError, match=r"Train, test: parts of .*such as .*test\.$"):
        load_image_folder(pictures)


def test_classes_that_a_part_lacks_are_said(pictures):
    (pictures / "rare").mkdir()
    Image.new("L", (12, 16)).save(pictures / "rare" / "1.png")
    with pytest.warns(UserWarning, match=r"training set has no picture of cat, rare:"):
        load_image_folder(pictures, n_test=20, random_state=0)
    with pytest.warns(UserWarning, match=r"test set has no picture of \w+, \w+:"):
        load_image_folder(pictures, n_test=1, random_state=0)


def test_pictures_that_are_refused_unread_are_said(pictures, tmp_path):
    (tmp_path / "outside.png").write_bytes((pictures / "cat/00.png").read_bytes())
    (pictures / "cat" / "link.png").symlink_to(tmp_path / "outside.png")
    with pytest.warns(UserWarning, match=r"such as cat/link.png \(The link"):
        load_image_folder(pictures)


@pytest.mark.parametrize("prefix", ["./", "cat/../", " "])
def test_paths_in_a_csv_are_normalised(pictures, tmp_path, prefix):
    data = load_image_folder(pictures)
    table = tmp_path / "labels.csv"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "label"])
        for part in ("train", "test"):
            for name, y in zip(data[f"files_{part}"], data[f"y_{part}"], strict=True):
                rows.writerow([prefix + name, data.target_names[y]])
    again = load_image_folder(pictures, labels=table)
    assert parts(again) == parts(data)


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
def test_accents_may_be_spelled_in_two_ways(pictures, tmp_path, on_disk):
    """As one character or two, in names of files, of folders and of classes."""
    data = load_image_folder(pictures)
    folder = tmp_path / unicodedata.normalize(on_disk, "é ü")
    shutil.copytree(pictures, folder)
    (folder / "cat").rename(folder / unicodedata.normalize(on_disk, "Kätzchen"))
    for spelling in ("NFC", "NFD"):
        start = ["", f"{tmp_path}/é ü/"][spelling == "NFC"]
        rows = [
            (start + file.replace("cat", "Kätzchen"), name)
            for part in parts(data)
            for file, (_, name) in part.items()
        ]
        spelled = [[unicodedata.normalize(spelling, c) for c in row] for row in rows]
        table = write_table(tmp_path / "labels.csv", spelled)
        found = load_image_folder(folder, labels=table)
        assert len(found.y_train) + len(found.y_test) == N
        assert found.target_names.tolist() == ["cat", "dog"]
    from_folders = load_image_folder(folder)
    assert from_folders.target_names.tolist() == ["Kätzchen", "dog"]


def test_a_name_that_could_be_two_pictures_is_refused(pictures, tmp_path):
    composed, mixed = "é" + "é", "é" + "e\u0301"
    for name in (composed, mixed):
        shutil.copy(pictures / "cat" / "00.png", pictures / f"{name}.png")
    rows = [(f"{composed}.png", "cat"), (f"{mixed}.png", "dog")]  # each as it is
    table = write_table(tmp_path / "labels.csv", rows)
    with pytest.warns(UserWarning, match="20 without a label"):
        data = load_image_folder(pictures, labels=table, n_test=1)
    assert len(data.y_train) == len(data.y_test) == 1
    third = "e\u0301" * 2
    write_table(tmp_path / "labels.csv", [*rows, (f"{third}.png", "dog")])
    with pytest.raises(ValueError, match=r"could be 2 pictures.*Rename all but one"):
        load_image_folder(pictures, labels=table)


def test_columns_are_checked_before_the_folder_is_opened(tmp_path):
    with pytest.raises(ValueError, match=r"the key 'image'; keys that can .* are file"):
        load_image_folder(tmp_path / "none", labels="x", columns={"image": "file"})


def test_columns_without_a_table_are_refused(pictures):
    with pytest.raises(ValueError, match="but there is none: name the file of labels"):
        load_image_folder(pictures, columns={"file": "image"})


def test_with_a_cache_pictures_are_decoded_once(pictures, tmp_path, monkeypatch):
    given = {"image_size": 16, "cache": tmp_path / "cache"}
    first = load_image_folder(pictures, **given)
    assert first.digest == load_image_folder(pictures, image_size=16).digest
    monkeypatch.setattr("skdfal.pool._images.decode", None)
    assert load_image_folder(pictures, **given).digest == first.digest


@pytest.mark.parametrize(
    ("third", "message"),
    [("val", "train, val: parts"), ("unlabeled", "unlabeled would be a class")],
)
def test_folders_that_are_no_classes_beside_others(pictures, third, message):
    shutil.copytree(pictures / "cat", pictures / third)
    if third == "val":
        (pictures / "dog").rename(pictures / "train")
    with pytest.raises(ValueError, match=message):
        load_image_folder(pictures)


def test_data_that_change_while_an_experiment_runs_are_refused(pictures, tmp_path):
    protocol = Protocol(
        "image_folder",
        dataset_params={"folder": str(pictures), "image_size": 16},
        n_initial=4,
        n_instances=4,
        max_annotations=8,
        max_epochs=1,
    )
    digest = load_data(protocol)["digest"]
    arguments = protocol, 0, tmp_path, "cpu"
    with pytest.raises(FolderError, match="has changed since the experiment began"):
        _run_trial(*arguments, digest[::-1], "random", 0)
    assert not (tmp_path / "trials").exists()
