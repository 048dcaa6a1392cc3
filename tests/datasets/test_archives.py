"""Data sets in archives: small ones of the real formats, on a server of our own."""

import hashlib
import io
import sys
import tarfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from scipy.io import savemat

from skdfal.datasets import (
    _archive,
    _caltech,
    _cifar,
    _svhn,
    fetch_caltech101,
    fetch_caltech256,
    fetch_cifar10,
    fetch_cifar100,
    fetch_svhn,
)
from tests.datasets.stand_in import files_below


def md5(content):
    return hashlib.md5(content).hexdigest()


def tar(contents, mode="w:gz"):
    """Bytes of a tar archive of files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def images(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 3, 32, 32), dtype=np.uint8)


def serve(server, monkeypatch, module, name, archive, content):
    """Serve an archive, and let its fetcher know where and with which md5."""
    address = f"/{archive.file}"
    server.pages[address] = (200, {}, content)
    known = archive._replace(url=server.url + address, md5=md5(content))
    monkeypatch.setattr(module, name, known)
    return known


# CIFAR: records of labels and pixels


@pytest.fixture
def cifar10(server, monkeypatch):
    """CIFAR-10 of two training samples a class in five batches, one to test on."""
    X, y = images(30), np.tile(np.arange(10, dtype=np.uint8), 3)
    records = [bytes([label]) + x.tobytes() for x, label in zip(X, y, strict=True)]
    folder = "cifar-10-batches-bin"
    batches = {
        f"{folder}/data_batch_{i + 1}.bin": b"".join(records[4 * i : 4 * i + 4])
        for i in range(5)
    }
    names = "\n".join(
        "airplane automobile bird cat deer dog frog horse ship truck".split()
    )
    content = tar(
        batches
        | {
            f"{folder}/test_batch.bin": b"".join(records[20:]),
            f"{folder}/batches.meta.txt": f"{names}\n\n".encode(),
        }
    )
    read = partial(_cifar.read_cifar10, per_class=(2, 1))
    monkeypatch.setattr(_cifar, "read_cifar10", read)
    serve(server, monkeypatch, _cifar, "CIFAR10", _cifar.CIFAR10, content)
    server.X, server.y, server.content = X, y, content
    return server


def check_cifar10(data, server):
    np.testing.assert_array_equal(data.X_train, server.X[:20])
    np.testing.assert_array_equal(data.y_train, server.y[:20])
    np.testing.assert_array_equal(data.X_test, server.X[20:])
    assert data.target_names.tolist()[::9] == ["airplane", "truck"]


def test_cifar10_downloaded_then_kept(cifar10, tmp_path):
    data = fetch_cifar10(data_home=tmp_path, scaled=False)
    check_cifar10(data, cifar10)
    assert files_below(tmp_path) == ["cifar10.npz"], "the archive is not kept"
    cifar10.close()
    again = fetch_cifar10(data_home=tmp_path, scaled=False, download_if_missing=False)
    check_cifar10(again, cifar10)
    scaled = fetch_cifar10(data_home=tmp_path)
    assert scaled.X_train.dtype == np.float32
    assert scaled.y_train.dtype == np.int64
    assert (scaled.X_train.min(), scaled.X_train.max()) == (0, 1)
    assert len(cifar10.requests) == 1


def test_a_download_goes_on_where_it_broke_off(cifar10, tmp_path):
    """Two breaks: what came is kept, asked for no second time, and whole in the end."""
    whole = cifar10.content
    address = "/cifar-10-binary.tar.gz"
    for cut in (1000, 4000):
        n_before = 0 if cut == 1000 else 1000
        cifar10.knows_ranges = cut == 4000
        length = {"Content-Length": len(whole) - n_before}
        cifar10.pages[address] = (200, length, whole[:cut])
        message = rf"broke off after {cut} of {len(whole)} bytes.*try again to continue"
        with pytest.raises(ConnectionError, match=message):
            fetch_cifar10(data_home=tmp_path)
        assert files_below(tmp_path) == ["cifar-10-binary.tar.gz.part"]
    cifar10.pages[address] = (200, {}, whole)
    check_cifar10(fetch_cifar10(data_home=tmp_path, scaled=False), cifar10)
    assert cifar10.ranges == [None, "bytes=1000-", "bytes=4000-"]
    assert files_below(tmp_path) == ["cifar10.npz"]


def test_two_at_once_download_it_once(cifar10, tmp_path, monkeypatch):
    """The second waits for the first; both writing to one part would damage it."""
    begun, is_waiting = threading.Event(), threading.Event()

    def download(*args, **kwargs):
        begun.set()
        assert is_waiting.wait(20)
        download_archive(*args, **kwargs)

    def lock(*args, **kwargs):
        is_waiting.set()
        return locked(*args, **kwargs)

    download_archive, locked = _archive.download_archive, _archive.locked
    monkeypatch.setattr(_archive, "download_archive", download)
    fetch = partial(fetch_cifar10, data_home=tmp_path, scaled=False)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(fetch)
        assert begun.wait(20)
        monkeypatch.setattr(_archive, "locked", lock)
        second = threads.submit(fetch)
        for data in (first.result(), second.result()):
            check_cifar10(data, cifar10)
    assert len(cifar10.requests) == 1
    assert files_below(tmp_path) == ["cifar10.npz"]


def test_a_whole_part_needs_nothing_more(cifar10, tmp_path):
    """Killed between the last byte and the renaming."""
    part = tmp_path / "skdfal" / "cifar-10-binary.tar.gz.part"
    part.parent.mkdir()
    part.write_bytes(cifar10.content)
    check_cifar10(fetch_cifar10(data_home=tmp_path, scaled=False), cifar10)


def test_a_server_without_ranges_begins_again(cifar10, tmp_path):
    part = tmp_path / "skdfal" / "cifar-10-binary.tar.gz.part"
    part.parent.mkdir()
    part.write_bytes(b"something else that came before")
    cifar10.knows_ranges = False
    check_cifar10(fetch_cifar10(data_home=tmp_path, scaled=False), cifar10)


def test_a_damaged_archive_is_not_kept(cifar10, tmp_path):
    damaged = bytearray(cifar10.content)
    damaged[50] ^= 1
    cifar10.pages["/cifar-10-binary.tar.gz"] = (200, {}, bytes(damaged))
    message = rf"came damaged: expected md5 {md5(cifar10.content)}, got .*Nothing was"
    with pytest.raises(OSError, match=message):
        fetch_cifar10(data_home=tmp_path)
    assert files_below(tmp_path) == []


@pytest.mark.parametrize("status", [404, 503, None])
def test_without_a_connection_it_says_what_to_place_where(cifar10, tmp_path, status):
    cifar10.pages["/cifar-10-binary.tar.gz"] = (status, {}, b"")
    if status is None:
        cifar10.close()
    message = r"CIFAR-10 could not be .*Put cifar-10-binary.tar.gz into .*SKDFAL_DATA"
    with pytest.raises(ConnectionError, match=message):
        fetch_cifar10(data_home=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"CIFAR-10 was found neither in .*Put"):
        fetch_cifar10(data_home=tmp_path, download_if_missing=False)


def test_a_placed_archive_comes_first(cifar10, tmp_path, monkeypatch):
    monkeypatch.setenv("SKDFAL_DATA", str(tmp_path))
    placed = tmp_path / "cifar-10-binary.tar.gz"
    placed.write_bytes(cifar10.content)
    data = fetch_cifar10(data_home=tmp_path / "home", scaled=False)
    check_cifar10(data, cifar10)
    assert data.source == str(tmp_path)
    assert cifar10.requests == []
    assert placed.exists()
    placed.write_bytes(cifar10.content[:-1])
    with pytest.raises(OSError, match=r"is damaged or another file: expected md5"):
        fetch_cifar10(data_home=tmp_path / "home")
    placed.unlink()
    placed.mkdir()
    with pytest.raises(OSError, match="is a folder; expected a file"):
        fetch_cifar10(data_home=tmp_path / "home")


def test_a_damaged_cache_is_named_or_made_again(cifar10, tmp_path):
    fetch_cifar10(data_home=tmp_path)
    kept = tmp_path / "skdfal" / "cifar10.npz"
    kept.write_bytes(kept.read_bytes()[:2000])
    with pytest.raises(OSError, match=r"cifar10.npz is damaged"):
        fetch_cifar10(data_home=tmp_path, download_if_missing=False)
    with pytest.warns(UserWarning, match=r"cifar10.npz is damaged .*made again"):
        data = fetch_cifar10(data_home=tmp_path, scaled=False)
    check_cifar10(data, cifar10)


def test_a_damaged_cache_that_another_process_has_mended_stays(
    cifar10, tmp_path, monkeypatch
):
    fetch_cifar10(data_home=tmp_path)
    kept = tmp_path / "skdfal" / "cifar10.npz"
    whole = kept.read_bytes()
    kept.write_bytes(whole[:2000])
    monkeypatch.setattr(
        _archive, "warn_caller", lambda *_: kept.write_bytes(whole)
    )  # between the look at the file and the lock
    cifar10.pages.clear()  # nothing can be downloaded
    check_cifar10(fetch_cifar10(data_home=tmp_path, scaled=False), cifar10)


def test_other_counts_than_published(cifar10, tmp_path, monkeypatch):
    monkeypatch.setattr(_cifar, "read_cifar10", _cifar.read_cifar10.func)
    with pytest.raises(OSError, match=r"training part of CIFAR-10 .*\(50000, 3, 32"):
        fetch_cifar10(data_home=tmp_path)
    assert "cifar10.npz" not in files_below(tmp_path)


def test_cifar100_has_the_fine_labels(server, monkeypatch, tmp_path):
    X, fine = images(300), np.tile(np.arange(100, dtype=np.uint8), 3)
    records = [
        bytes([label // 5, label]) + x.tobytes()
        for x, label in zip(X, fine, strict=True)
    ]
    names = [f"thing_{i:02}" for i in range(100)]
    content = tar(
        {
            "cifar-100-binary/train.bin": b"".join(records[:200]),
            "cifar-100-binary/test.bin": b"".join(records[200:]),
            "cifar-100-binary/fine_label_names.txt": "\n".join(names).encode(),
        }
    )
    read = partial(_cifar.read_cifar100, per_class=(2, 1))
    monkeypatch.setattr(_cifar, "read_cifar100", read)
    serve(server, monkeypatch, _cifar, "CIFAR100", _cifar.CIFAR100, content)
    data = fetch_cifar100(data_home=tmp_path, scaled=False)
    np.testing.assert_array_equal(data.X_train, X[:200])
    np.testing.assert_array_equal(data.y_test, fine[200:])
    assert data.target_names.tolist() == names


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"cifar-100-binary/train.bin": b"123"}, "lacks some of"),
        (
            {
                "cifar-100-binary/train.bin": b"123",
                "cifar-100-binary/test.bin": b"",
                "cifar-100-binary/fine_label_names.txt": b"",
            },
            "has 3 bytes; expected records of 3074",
        ),
    ],
)
def test_archives_of_something_else(contents, message, tmp_path):
    path = tmp_path / "archive.tar.gz"
    path.write_bytes(tar(contents))
    with pytest.raises(OSError, match=message):
        _cifar.read_cifar100(path)


# SVHN: MATLAB files


@pytest.fixture
def svhn(server, monkeypatch):
    """SVHN of two digits of each kind to train on, and one to test on."""
    X, y = images(30), np.tile(np.arange(1, 11), 3)
    archives = []
    for archive, part in zip(
        _svhn._ARCHIVES, (slice(20), slice(20, None)), strict=True
    ):
        buffer = io.BytesIO()
        # As the authors have it: samples last, labels from 1, and 10 for a zero.
        content = {"X": X[part].transpose(2, 3, 1, 0), "y": y[part, None]}
        savemat(buffer, content, do_compression=True)
        server.pages[f"/{archive.file}"] = (200, {}, buffer.getvalue())
        archives.append(
            archive._replace(
                url=f"{server.url}/{archive.file}", md5=md5(buffer.getvalue())
            )
        )
    monkeypatch.setattr(_svhn, "_ARCHIVES", tuple(archives))
    monkeypatch.setattr(_svhn, "_TRAIN_COUNTS", (2,) * 10)
    monkeypatch.setattr(_svhn, "_TEST_COUNTS", (1,) * 10)
    server.X, server.y = X, y % 10
    return server


def test_svhn_ten_is_zero(svhn, tmp_path):
    data = fetch_svhn(data_home=tmp_path, scaled=False)
    np.testing.assert_array_equal(data.X_train, svhn.X[:20])
    np.testing.assert_array_equal(data.y_train, svhn.y[:20])
    np.testing.assert_array_equal(data.X_test, svhn.X[20:])
    assert data.target_names.tolist() == list("0123456789")
    svhn.close()
    again = fetch_svhn(data_home=tmp_path, scaled=False)
    np.testing.assert_array_equal(again.X_test, data.X_test)
    assert files_below(tmp_path) == ["svhn.npz"]


def test_one_of_two_placed_files(svhn, tmp_path, monkeypatch):
    monkeypatch.setenv("SKDFAL_DATA", str(tmp_path))
    (tmp_path / "train_32x32.mat").touch()
    message = r"has some files of SVHN but lacks test_32x32\.mat"
    with pytest.raises(FileNotFoundError, match=message):
        fetch_svhn(data_home=tmp_path / "home")
    assert svhn.requests == []


def test_the_first_of_two_files_is_not_loaded_again(svhn, tmp_path):
    served = svhn.pages.pop("/test_32x32.mat")
    with pytest.raises(ConnectionError, match=r"test_32x32.mat .*HTTP Error 404"):
        fetch_svhn(data_home=tmp_path)
    svhn.pages["/test_32x32.mat"] = served
    fetch_svhn(data_home=tmp_path)
    assert svhn.requests.count("/train_32x32.mat") == 1


def test_what_is_no_matlab_file(tmp_path):
    path = tmp_path / "train_32x32.mat"
    path.write_bytes(b"no such thing" * 100)
    with pytest.raises(OSError, match=r"not a MATLAB file with X and y"):
        _svhn._read_mat(path)


def test_published_counts_add_up():
    assert (sum(_svhn._TRAIN_COUNTS), sum(_svhn._TEST_COUNTS)) == (73257, 26032)


# Caltech: folders of JPEG files in archives


def jpeg(colour, size, mode="RGB"):
    Image = pytest.importorskip("PIL.Image")
    buffer = io.BytesIO()
    Image.new(mode, size, colour).save(buffer, "JPEG")
    return buffer.getvalue()


def caltech_files(prefix, numbered):
    """Five cups, ten of a grey ant, and what does not count."""
    cup, ant = ("002.cup", "001.ant") if numbered else ("cup", "ant")
    clutter = "257.clutter" if numbered else "BACKGROUND_Google"
    return {
        **{f"{prefix}/{cup}/{i}.jpg": jpeg((200, 0, 0), (40, 30)) for i in range(5)},
        **{f"{prefix}/{ant}/{i}.jpg": jpeg(100, (10, 70), "L") for i in range(10)},
        f"{prefix}/{clutter}/1.jpg": jpeg((0, 0, 9), (9, 9)),
        f"{prefix}/{cup}/RENAME2": b"a script",
    }


def check_caltech(data, size):
    assert data.X_train.shape == (12, 3, size, size)
    assert data.X_test.shape == (3, 3, size, size)
    assert data.target_names.tolist() == ["ant", "cup"]
    # A fifth of each class, mixed, each with the label of its folder.
    assert np.bincount(data.y_train).tolist() == [8, 4]
    assert np.bincount(data.y_test).tolist() == [2, 1]
    for X, y in ((data.X_train, data.y_train), (data.X_test, data.y_test)):
        red, green = X[:, 0].mean((1, 2)), X[:, 1].mean((1, 2))
        np.testing.assert_allclose(red, np.where(y == 1, 200, 100), atol=3)
        np.testing.assert_allclose(green, np.where(y == 1, 0, 100), atol=3)


def test_caltech101_is_a_tar_in_a_zip(server, monkeypatch, tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        inner = tar(caltech_files("101_ObjectCategories", numbered=False))
        archive.writestr("caltech-101/101_ObjectCategories.tar.gz", inner)
    known = _caltech._CALTECH101
    serve(server, monkeypatch, _caltech, "_CALTECH101", known, buffer.getvalue())
    data = fetch_caltech101(image_size=16, data_home=tmp_path, scaled=False)
    check_caltech(data, 16)
    server.close()
    again = fetch_caltech101(image_size=16, data_home=tmp_path, scaled=False)
    np.testing.assert_array_equal(again.X_train, data.X_train)
    assert files_below(tmp_path) == ["caltech101-16.npz"]


def test_caltech256_is_a_tar_of_numbered_folders(server, monkeypatch, tmp_path):
    content = tar(caltech_files("256_ObjectCategories", numbered=True), "w")
    known = _caltech._CALTECH256
    serve(server, monkeypatch, _caltech, "_CALTECH256", known, content)
    data = fetch_caltech256(image_size=20, data_home=tmp_path, scaled=False)
    check_caltech(data, 20)


def test_caltech_without_pillow(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match="need Pillow: python -m pip install"):
        fetch_caltech256(data_home=tmp_path)


@pytest.mark.parametrize(
    ("read", "content", "message"),
    [
        ("_pictures_of_zip", b"no zip", "is not a zip with"),
        ("_pictures_of_tar", b"no tar" * 100, "is damaged"),
        ("_pictures_of_tar", tar({"readme.txt": b"x"}, "w"), "There are no JPEG files"),
    ],
    ids=["zip", "tar", "empty"],
)
def test_caltech_of_something_else(read, content, message, tmp_path):
    pytest.importorskip("PIL")
    path = tmp_path / "archive"
    path.write_bytes(content)
    with pytest.raises(OSError, match=message):
        _caltech._read(getattr(_caltech, read)(path), 8)


def test_the_test_part_of_a_class_does_not_depend_on_the_others():
    y = np.repeat([0, 1, 2], [10, 20, 30])
    X = np.arange(60)
    whole = _archive.split_by_class(X, y)
    part = _archive.split_by_class(X[y < 2], y[y < 2])
    assert set(whole.X_test[whole.y_test < 2]) == set(part.X_test)
    assert sorted([*whole.X_train, *whole.X_test]) == X.tolist()
