"""The fetchers find, check, download and keep; a local server stands for the net."""

import base64
import gzip
import hashlib
import http.client
import io
import json
import shutil
import threading
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
import sklearn.datasets._openml as openml

from skdfal.datasets import (
    _download,
    _idx,
    _mnist,
    _quickdraw,
    fetch_cifar10,
    fetch_fashion_mnist,
    fetch_fashion_shoe_bag,
    fetch_mnist,
    fetch_quickdraw,
    load_digits,
    split_pool,
)
from skdfal.datasets._base import scaled_pixels
from tests.data_home import skdfal_data
from tests.datasets.stand_in import files_below

IDX_FILES = _idx._FILES


@pytest.fixture
def real_data(monkeypatch):
    """The folder of the real data sets, named by SKDFAL_DATA during the test."""
    monkeypatch.undo()
    folder = skdfal_data()
    if folder is None:
        pytest.skip("needs real data sets: let SKDFAL_DATA name their folder")
    monkeypatch.setenv("SKDFAL_DATA", str(folder))
    return folder


# Quick, Draw! over http


def npy(n_rows, seed=0):
    """Bytes of an npy file of random bitmaps, and the bitmaps."""
    rows = np.random.default_rng(seed).integers(0, 256, (n_rows, 784), dtype=np.uint8)
    buffer = io.BytesIO()
    np.save(buffer, rows)
    return buffer.getvalue(), rows


def google_headers(body):
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    return {"x-goog-hash": f"crc32c=AAAAAA==, md5={md5}"}


@pytest.fixture
def google(server, monkeypatch):
    """A server with 20 cats and 13 hot air balloons; their bitmaps in `rows`."""
    monkeypatch.setattr(_quickdraw, "_URL", server.url + "/bitmap/{}.npy")
    server.rows = {}
    for seed, (name, n) in enumerate({"cat": 20, "hot air balloon": 13}.items()):
        body, server.rows[name] = npy(n, seed)
        address = f"/bitmap/{name.replace(' ', '%20')}.npy"
        server.pages[address] = (200, google_headers(body), body)
    return server


def test_quickdraw_downloads_splits_and_keeps(google, tmp_path):
    classes = ["hot air balloon", "cat"]
    data = fetch_quickdraw(classes, data_home=tmp_path, scaled=False)
    # A fifth of each class, rounded down, is for the test: 2 of 13 and 4 of 20.
    assert data.X_train.shape == (27, 1, 28, 28)
    assert np.bincount(data.y_train).tolist() == [11, 16]
    assert np.bincount(data.y_test).tolist() == [2, 4]
    assert data.target_names.tolist() == classes
    assert "CC BY 4.0" in data.DESCR
    # Both parts together are the served drawings, each once, under its own label.
    X = np.concatenate([data.X_train, data.X_test]).reshape(-1, 784)
    y = np.concatenate([data.y_train, data.y_test])
    for label, name in enumerate(classes):
        got, served = X[y == label], google.rows[name]
        assert sorted(map(bytes, got)) == sorted(map(bytes, served))

    # The second call needs no server, and gives the same.
    google.close()
    again = fetch_quickdraw(classes, data_home=tmp_path, download_if_missing=False)
    assert again.X_train.dtype == np.float32
    np.testing.assert_array_equal(again.X_train, data.X_train.astype("float32") / 255)
    np.testing.assert_array_equal(again.y_test, data.y_test)
    assert len(google.requests) == 2
    assert files_below(tmp_path) == ["cat.npy", "hot air balloon.npy"]


def test_quickdraw_mixes_classes_and_counts(google, tmp_path):
    data = fetch_quickdraw(
        ("cat", "hot air balloon"), n_per_class=10, data_home=tmp_path
    )
    assert np.bincount(data.y_train).tolist() == [8, 8]
    assert np.bincount(data.y_test).tolist() == [2, 2]
    assert 0 < data.y_train[:8].sum() < 8
    with pytest.raises(ValueError, match=r"n_per_class=14 should be <= 13"):
        fetch_quickdraw(("cat", "hot air balloon"), n_per_class=14, data_home=tmp_path)


@pytest.mark.parametrize(
    ("headers", "cut", "message"),
    [
        (lambda body: google_headers(b"other"), None, "expected md5 .*, got"),
        (lambda body: {"Content-Length": len(body)}, -9, "broke off after"),
    ],
)
def test_damaged_download_leaves_nothing(google, tmp_path, headers, cut, message):
    body = google.pages["/bitmap/cat.npy"][2]
    google.pages["/bitmap/cat.npy"] = (200, headers(body), body[:cut])
    with pytest.raises(OSError, match=f"cat.npy .*{message}.*Nothing was kept"):
        fetch_quickdraw(("cat", "hot air balloon"), data_home=tmp_path)
    assert files_below(tmp_path) == []


def test_download_without_stated_md5(google, tmp_path):
    body = google.pages["/bitmap/cat.npy"][2]
    google.pages["/bitmap/cat.npy"] = (200, {"x-goog-hash": "crc32c=AAAAAA=="}, body)
    fetch_quickdraw(("cat", "hot air balloon"), data_home=tmp_path)


def test_unknown_class(google, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"'kat' .* \(HTTP 404\).*spelling"):
        fetch_quickdraw(("cat", "kat"), data_home=tmp_path)
    assert files_below(tmp_path) == ["cat.npy"]


def test_server_error_and_no_server(google, tmp_path):
    google.pages["/bitmap/cat.npy"] = (503, {}, b"")
    message = r"'cat' of Quick, Draw! could not be .*cat.npy.*SKDFAL_DATA.*quickdraw/"
    with pytest.raises(ConnectionError, match=message):
        fetch_quickdraw(("cat", "hot air balloon"), data_home=tmp_path)
    google.close()
    with pytest.raises(ConnectionError, match=message):
        fetch_quickdraw(("cat", "hot air balloon"), data_home=tmp_path)


def test_silent_server(google, tmp_path, monkeypatch):
    monkeypatch.setattr(_download, "_TIMEOUT", 0.2)
    wait = threading.Event()

    class Slow(bytes):
        def __len__(self):
            wait.wait(1)
            return super().__len__()

    google.pages["/bitmap/cat.npy"] = (200, {}, Slow())
    with pytest.raises(ConnectionError, match="timed out"):
        fetch_quickdraw(("cat", "hot air balloon"), data_home=tmp_path)
    wait.set()


def test_damaged_cache_is_replaced_or_named(google, tmp_path):
    classes = ("cat", "hot air balloon")
    fetch_quickdraw(classes, data_home=tmp_path)
    path = tmp_path / "skdfal" / "quickdraw" / "cat.npy"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(OSError, match=r"cat.npy is damaged .*Replace or remove"):
        fetch_quickdraw(classes, data_home=tmp_path, download_if_missing=False)
    with pytest.warns(UserWarning, match=r"cat.npy is damaged .*downloaded again"):
        data = fetch_quickdraw(classes, data_home=tmp_path)
    assert len(data.y_train) == 27


def test_absent_and_not_to_be_downloaded(google, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"neither in SKDFAL_DATA .*not set"):
        fetch_quickdraw(data_home=tmp_path, download_if_missing=False)
    assert google.requests == []


def test_bitmaps_of_another_shape(google, tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((5, 100)))
    google.pages["/bitmap/cat.npy"] = (200, {}, buffer.getvalue())
    with pytest.raises(OSError, match=r"expected uint8 of shape \(n, 784\), got float"):
        fetch_quickdraw(("cat", "hot air balloon"), data_home=tmp_path)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("cat",), "two or more distinct"),
        (("cat", "cat"), "two or more distinct"),
        (("cat", "../dog"), r"classes has '\.\./dog'"),
        (("cat", 3), "classes has 3"),
        ("cat", "The 'classes' parameter"),
    ],
)
def test_bad_classes(classes, message):
    with pytest.raises(ValueError, match=message):
        fetch_quickdraw(classes)


def test_placed_bitmaps_come_first(tmp_path, monkeypatch):
    (tmp_path / "quickdraw").mkdir()
    for seed, name in enumerate(("cat", "dog")):
        (tmp_path / "quickdraw" / f"{name}.npy").write_bytes(npy(10, seed)[0])
    monkeypatch.setenv("SKDFAL_DATA", str(tmp_path))
    data = fetch_quickdraw(("dog", "cat"), download_if_missing=False)
    assert data.source == str(tmp_path / "quickdraw")
    assert len(data.y_train) == 16


# OpenML over http


def serve_openml(server, monkeypatch, data_id, X, y, *, md5=None):
    """Serve a data set as OpenML does: four addresses, the rows as gzipped ARFF."""
    names = [f"pixel{i}" for i in range(X[0].size)]
    lines = ["@RELATION images", *(f"@ATTRIBUTE {name} INTEGER" for name in names)]
    lines += ["@ATTRIBUTE class {0,1,2,3,4,5,6,7,8,9}", "@DATA"]
    rows = zip(X.reshape(len(X), -1).tolist(), y.tolist(), strict=True)
    lines += [",".join(map(str, [*pixels, label])) for pixels, label in rows]
    arff = "\n".join(lines).encode()
    description = {
        "id": str(data_id),
        "name": "images",
        "version": "1",
        "format": "ARFF",
        "status": "active",
        "description": "stand-in",
        "url": f"{server.url}/download/{data_id}",
        "file_id": str(data_id),
        "md5_checksum": md5 or hashlib.md5(arff).hexdigest(),
    }
    features = [
        {
            "index": str(i),
            "name": name,
            "data_type": "nominal" if name == "class" else "numeric",
            "is_target": str(name == "class").lower(),
            "is_ignore": "false",
            "is_row_identifier": "false",
            "number_of_missing_values": "0",
        }
        for i, name in enumerate([*names, "class"])
    ]
    qualities = [{"name": "NumberOfInstances", "value": str(len(X))}]
    zipped = {"Content-Encoding": "gzip"}
    for address, content in {
        f"/data/{data_id}": {"data_set_description": description},
        f"/features/{data_id}": {"data_features": {"feature": features}},
        f"/qualities/{data_id}": {"data_qualities": {"quality": qualities}},
    }.items():
        body = gzip.compress(json.dumps(content).encode())
        server.pages[address] = (200, zipped, body)
    server.pages[f"/download/{data_id}"] = (200, zipped, gzip.compress(arff))
    monkeypatch.setattr(openml, "_DATA_INFO", server.url + "/data/{}")
    monkeypatch.setattr(openml, "_DATA_FEATURES", server.url + "/features/{}")
    monkeypatch.setattr(openml, "_DATA_QUALITIES", server.url + "/qualities/{}")
    # Of scikit-learn 1.6, which goes by the number of a file; later ones go by its URL.
    monkeypatch.setattr(openml, "_OPENML_PREFIX", "", raising=False)
    monkeypatch.setattr(
        openml, "_DATA_FILE", server.url + "/download/{}", raising=False
    )
    monkeypatch.setattr(openml, "time", SimpleNamespace(sleep=lambda seconds: None))


@pytest.fixture
def small_mnist(server, monkeypatch):
    """OpenML with a MNIST of 30 training and 10 test images."""
    small = _mnist._MNIST._replace(train_counts=(3,) * 10, test_counts=(1,) * 10)
    monkeypatch.setattr(_mnist, "_MNIST", small)
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (40, 28, 28), dtype=np.uint8)
    X[0, 0, 0] = 255
    y = np.concatenate([np.arange(30) % 10, np.arange(10)])
    serve_openml(server, monkeypatch, 554, X, y)
    server.X, server.y = X, y
    return server


def test_mnist_from_openml_then_from_cache(small_mnist, tmp_path):
    mnist = fetch_mnist(data_home=tmp_path)
    assert mnist.X_train.shape == (30, 1, 28, 28)
    assert mnist.X_train.dtype == np.float32
    assert mnist.y_train.dtype == np.int64
    assert (mnist.X_train.min(), mnist.X_train.max()) == (0, 1)
    # The first rows are the training part, in order.
    raw = fetch_mnist(data_home=tmp_path, scaled=False)
    np.testing.assert_array_equal(raw.X_train[:, 0], small_mnist.X[:30])
    np.testing.assert_array_equal(raw.X_test[:, 0], small_mnist.X[30:])
    np.testing.assert_array_equal(raw.y_test, small_mnist.y[30:])

    # Without server and without scikit-learn's own copy, ours is there.
    small_mnist.close()
    shutil.rmtree(tmp_path / "openml")
    again = fetch_mnist(data_home=tmp_path)
    np.testing.assert_array_equal(again.X_train, mnist.X_train)
    assert again.source == str(tmp_path / "skdfal" / "mnist.npz")
    assert files_below(tmp_path) == ["mnist.npz"]


def test_mnist_damaged_cache(small_mnist, tmp_path):
    fetch_mnist(data_home=tmp_path)
    path = tmp_path / "skdfal" / "mnist.npz"
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[2000] ^= 1
    for damaged in (whole[:3000], b"", b"no zip", bytes(flipped)):
        path.write_bytes(damaged)
        with pytest.raises(OSError, match=r"mnist.npz of MNIST is damaged .* Remove"):
            fetch_mnist(data_home=tmp_path, download_if_missing=False)
        with pytest.warns(UserWarning, match="damaged and will be downloaded again"):
            fetch_mnist(data_home=tmp_path)
        assert path.read_bytes() == whole


def test_mnist_with_other_counts(small_mnist, tmp_path, monkeypatch):
    y = np.roll(small_mnist.y, 1)  # a label of the test part is now in the training
    y[0] = 1
    serve_openml(small_mnist, monkeypatch, 554, small_mnist.X, y)
    with pytest.raises(OSError, match=r"training part of MNIST .* labels per class"):
        fetch_mnist(data_home=tmp_path)
    assert not (tmp_path / "skdfal" / "mnist.npz").exists()


@pytest.mark.filterwarnings("ignore:Invalid cache")  # scikit-learn tries twice
def test_mnist_with_another_md5(small_mnist, tmp_path, monkeypatch):
    serve_openml(
        small_mnist, monkeypatch, 554, small_mnist.X, small_mnist.y, md5="0" * 32
    )
    with pytest.raises(OSError, match=r"is not MNIST: The md5 .* SKDFAL_DATA"):
        fetch_mnist(data_home=tmp_path)
    assert not (tmp_path / "skdfal").exists()


@pytest.mark.filterwarnings("ignore:A network error occurred")
def test_mnist_offline(small_mnist, tmp_path):
    small_mnist.close()
    message = r"MNIST could not .*openml.org/d/554 .*train-images.*SKDFAL_DATA"
    with pytest.raises(ConnectionError, match=message):
        fetch_mnist(data_home=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"download_if_missing=False.*Put the"):
        fetch_mnist(data_home=tmp_path, download_if_missing=False)


def test_scaled_pixels_are_the_quotients_without_a_copy_in_between():
    X = np.arange(256, dtype=np.uint8).repeat(4000)
    tracemalloc.start()
    scaled = scaled_pixels(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(scaled, X.astype(np.float32) / 255)
    assert scaled.dtype == np.float32
    assert peak < 1.5 * scaled.nbytes


def test_mnist_broken_off(tmp_path, monkeypatch):
    """An answer that ends too early is no OSError of Python's own."""

    def broken_off(**_):
        raise http.client.IncompleteRead(b"")

    monkeypatch.setattr("sklearn.datasets.fetch_openml", broken_off)
    with pytest.raises(ConnectionError, match="MNIST could not be downloaded"):
        fetch_mnist(data_home=tmp_path)


# Files in SKDFAL_DATA


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim])
    header += b"".join(n.to_bytes(4, "big") for n in array.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(header + array.tobytes(), mtime=0))


def place_small_idx(folder, monkeypatch):
    """Write a small MNIST of four idx files, of which the fetcher knows the digests."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (40, 28, 28), dtype=np.uint8)
    y = np.tile(np.arange(10, dtype=np.uint8), 4)
    arrays = (X[:30], y[:30], X[30:], y[30:])
    for file, array in zip(IDX_FILES, arrays, strict=True):
        write_idx(folder / file, array)
    digests = [hashlib.sha256((folder / f).read_bytes()).hexdigest() for f in IDX_FILES]
    small = _mnist._MNIST._replace(
        train_counts=(3,) * 10, test_counts=(1,) * 10, sha256=tuple(digests)
    )
    monkeypatch.setattr(_mnist, "_MNIST", small)
    return X, y


@pytest.mark.parametrize("place", ["mnist", "."])
def test_idx_files(place, tmp_path, monkeypatch):
    monkeypatch.setenv("SKDFAL_DATA", str(tmp_path))
    X, y = place_small_idx(tmp_path / place, monkeypatch)
    mnist = fetch_mnist(scaled=False, download_if_missing=False)
    np.testing.assert_array_equal(mnist.X_train[:, 0], X[:30])
    np.testing.assert_array_equal(mnist.y_test, y[30:])
    assert mnist.source == str(tmp_path / place)


def test_damaged_or_missing_idx_file(tmp_path, monkeypatch):
    monkeypatch.setenv("SKDFAL_DATA", str(tmp_path))
    place_small_idx(tmp_path / "mnist", monkeypatch)
    path = tmp_path / "mnist" / IDX_FILES[2]
    write_idx(path, np.zeros((10, 28, 28), np.uint8))
    message = f"{IDX_FILES[2]} is damaged .* expected sha256 [0-9a-f]*, got [0-9a-f]*"
    with pytest.raises(OSError, match=message):
        fetch_mnist()
    path.unlink()
    path.mkdir()  # as some programs unpack it
    with pytest.raises(OSError, match=f"{IDX_FILES[2]} is a folder; expected a file"):
        fetch_mnist()
    path.rmdir()
    with pytest.raises(FileNotFoundError, match=f"lacks {IDX_FILES[2]}"):
        fetch_mnist()


def test_idx_files_of_another_set_are_passed_over(tmp_path, monkeypatch):
    # Fashion-MNIST names its files as MNIST does.
    monkeypatch.setenv("SKDFAL_DATA", str(tmp_path))
    place_small_idx(tmp_path, monkeypatch)
    with pytest.raises(FileNotFoundError, match="Fashion-MNIST was found neither"):
        fetch_fashion_mnist(data_home=tmp_path / "home", download_if_missing=False)


@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 3, 4)])
def test_read_idx(shape, tmp_path):
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    write_idx(tmp_path / "file.gz", array)
    found = _idx.read_idx(tmp_path / "file.gz")
    np.testing.assert_array_equal(found, array)
    assert found.flags.writeable, "as what comes from the cache"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an idx file"),
        (bytes([0, 0, 13, 1, 0, 0, 0, 1, 7]), "not an idx file of unsigned bytes"),
        (bytes([0, 0, 8, 2, 0, 0, 0, 1]), "not an idx file"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 3, 7]), r"shape \(3,\) but holds 1 values"),
    ],
)
def test_read_bad_idx(content, message, tmp_path):
    (tmp_path / "file.gz").write_bytes(gzip.compress(content))
    with pytest.raises(OSError, match=message):
        _idx.read_idx(tmp_path / "file.gz")


def save_npz(path, **changes):
    """A file of two classes, a drawing of each in either part."""
    X, y = np.zeros((2, 28, 28), np.uint8), np.arange(2, dtype=np.uint8)
    arrays = {"X_train": X, "y_train": y, "X_test": X, "y_test": y}
    np.savez(path, **arrays | {"class_names": np.array(["cat", "dog"])} | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"X_train": np.zeros((2, 28, 28))},
        {"X_test": np.zeros((3, 28, 28), np.uint8)},
        {"y_train": np.array([0, 2])},
        {"class_names": np.array(["cat", "dog"], dtype=object)},
    ],
)
def test_bad_npz(changes, tmp_path, monkeypatch):
    monkeypatch.setenv("SKDFAL_DATA", str(tmp_path))
    path = tmp_path / "quickdraw15.npz"
    save_npz(path)
    assert fetch_quickdraw(("dog", "cat")).X_train.shape == (2, 1, 28, 28)
    save_npz(path, **changes)
    with pytest.raises(OSError, match=r"quickdraw15.npz .*expected"):
        fetch_quickdraw(("dog", "cat"))


def test_truncated_npz(tmp_path, monkeypatch):
    monkeypatch.setenv("SKDFAL_DATA", str(tmp_path))
    path = tmp_path / "cifar10_subset.npz"
    save_npz(path)
    with pytest.raises(OSError, match=r"has class_names \('cat', 'dog'\)"):
        fetch_cifar10()
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(OSError, match=r"cifar10_subset.npz is damaged"):
        fetch_cifar10()


def test_data_folder_that_is_none(monkeypatch, tmp_path):
    monkeypatch.setenv("SKDFAL_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(NotADirectoryError, match="nowhere' is not a folder"):
        fetch_mnist()


# The real data sets


def test_real_mnist(real_data):
    mnist = fetch_mnist(download_if_missing=False)
    assert mnist.X_train.shape == (60000, 1, 28, 28)
    assert mnist.X_test.shape == (10000, 1, 28, 28)
    # The mean and deviation that every tutorial states.
    assert mnist.X_train.mean(dtype=float) == pytest.approx(0.1307, abs=1e-4)
    assert mnist.X_train.std(dtype=float) == pytest.approx(0.3081, abs=1e-4)


def test_real_fashion_shoe_bag(real_data):
    data = fetch_fashion_shoe_bag(download_if_missing=False)
    assert data.X_train.shape == (18000, 1, 28, 28)
    assert np.bincount(data.y_train).tolist() == [12000, 6000]
    assert np.bincount(data.y_test).tolist() == [2000, 1000]
    assert data.X_train.max() == 1
    assert "stand-in" in data.DESCR


def test_real_quickdraw(real_data):
    data = fetch_quickdraw(download_if_missing=False)
    assert data.source.endswith("quickdraw_paper4.npz")
    assert np.bincount(data.y_train).tolist() == [340] * 4
    # 84 angels, 85 cats, 84 dolphins, 85 faces in the file; in the order asked for.
    assert np.bincount(data.y_test).tolist() == [85, 85, 84, 84]
    turned = fetch_quickdraw(("dolphin", "angel", "face", "cat"), scaled=False)
    cats = turned.X_train[turned.y_train == 3] / np.float32(255)
    ours = data.X_train[data.y_train == 0]
    assert sorted(map(bytes, cats)) == sorted(map(bytes, ours))


def test_real_quickdraw_of_other_classes(real_data, tmp_path):
    data = fetch_quickdraw(("apple", "cat", "bird"), n_per_class=500)
    assert data.source.endswith("quickdraw15.npz")
    assert np.bincount(data.y_train).tolist() == [400] * 3
    assert np.bincount(data.y_test).tolist() == [100] * 3
    # More than the file has: it is passed over.
    with pytest.raises(FileNotFoundError, match="'apple'"):
        fetch_quickdraw(
            ("apple", "cat"),
            n_per_class=5000,
            data_home=tmp_path,
            download_if_missing=False,
        )


def test_real_cifar10(real_data):
    cifar10 = fetch_cifar10(download_if_missing=False)
    assert cifar10.X_train.shape == (20000, 3, 32, 32)
    assert np.bincount(cifar10.y_test).tolist() == [400] * 10
    # Channel means of the whole set, which those of a tenth part come close to.
    means = cifar10.X_train.mean(axis=(0, 2, 3), dtype=float)
    np.testing.assert_allclose(means, [0.4914, 0.4822, 0.4465], atol=0.005)


# The digits and the pool


@pytest.mark.parametrize("image_size", [8, 16, 24])
def test_digits(image_size):
    digits = load_digits(image_size=image_size, n_test=97)
    assert digits.X_train.shape == (1700, 1, image_size, image_size)
    assert digits.X_train.dtype == np.float32
    assert digits.y_train.dtype == np.int64
    assert (digits.X_train.min(), digits.X_train.max()) == (0, 1)
    assert np.bincount(digits.y_test).min() >= 9
    # Every pixel is repeated: what was enlarged shrinks to the original.
    original = load_digits(image_size=8, n_test=97)
    zoom = image_size // 8
    np.testing.assert_array_equal(digits.X_test[:, :, ::zoom, ::zoom], original.X_test)
    np.testing.assert_array_equal(digits.y_test, original.y_test)


def test_digits_of_a_size_that_does_not_divide():
    with pytest.raises(ValueError, match="image_size=28 should be a multiple of 8"):
        load_digits(image_size=28)


@pytest.mark.parametrize("stratified", [False, True])
def test_split_pool(stratified):
    y = np.repeat(np.arange(3), [50, 30, 4])
    params = {"n_initial": 10, "n_test": 20, "stratified": stratified}
    split = split_pool(y, **params, random_state=0)
    assert [len(part) for part in split] == [10, 54, 20]
    # The parts are disjoint and, without n_pool, cover everything.
    assert sorted(np.concatenate(split).tolist()) == list(range(84))
    assert [len(p) for p in split_pool(y, **params, n_pool=7)] == [10, 7, 20]
    again = split_pool(y, **params, random_state=0)
    assert all(np.array_equal(a, b) for a, b in zip(split, again, strict=True))
    if stratified:
        assert sorted(np.bincount(y[split.initial]).tolist()) == [3, 3, 4]


def test_stratified_pool_with_a_rare_class():
    # All of a class that has fewer than its share.
    y = np.repeat(np.arange(3), [50, 30, 2])
    split = split_pool(y, n_initial=12, stratified=True, random_state=0)
    assert np.bincount(y[split.initial]).tolist() == [5, 5, 2]


def test_split_pool_of_too_few():
    with pytest.raises(ValueError, match=r"n_initial=10, n_pool=5 .*n_samples=14"):
        split_pool(np.zeros(14), n_pool=5)


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        ([0.0, 1.0, np.nan] * 4, ValueError, "4 labels that are NaN"),
        (np.eye(12, 3), ValueError, r"\(12, 3\); expected one label per sample"),
        (["cat", None] * 6, TypeError, "mixes labels of the types NoneType, str"),
    ],
)
def test_labels_that_are_none_cannot_be_stratified(y, error, message):
    with pytest.raises(error, match=message):
        split_pool(y, n_initial=4, stratified=True, random_state=0)
