"""The binary versions of CIFAR-10 and CIFAR-100, which are read without pickle."""

import numpy as np

from skdfal.datasets._archive import Archive, members
from skdfal.datasets._base import Arrays, check_split

_URL = "https://www.cs.toronto.edu/~kriz/"
_SHAPE = (3, 32, 32)

# Names and md5 sums as stated on the authors' page.
CIFAR10 = Archive(
    "cifar-10-binary.tar.gz",
    f"{_URL}cifar-10-binary.tar.gz",
    "c32a1d4ab5d03f1284b67883e8d87530",
)
CIFAR100 = Archive(
    "cifar-100-binary.tar.gz",
    f"{_URL}cifar-100-binary.tar.gz",
    "03b5dce01913d631647c71ecec9e9cb8",
)


def read_cifar10(path, per_class=(5000, 1000)):
    """Return arrays and class names from the CIFAR-10 archive."""
    folder = "cifar-10-batches-bin"
    train = [f"{folder}/data_batch_{i}.bin" for i in range(1, 6)]
    *batches, test, names = members(
        path, [*train, f"{folder}/test_batch.bin", f"{folder}/batches.meta.txt"]
    )
    parts = [_records(b"".join(batches), 1), _records(test, 1)]
    return _checked("CIFAR-10", parts, names, per_class)


def read_cifar100(path, per_class=(500, 100)):
    """Return arrays and class names from the CIFAR-100 archive."""
    folder = "cifar-100-binary"
    train, test, names = members(
        path,
        [f"{folder}/{n}" for n in ("train.bin", "test.bin", "fine_label_names.txt")],
    )
    # The first label of a record is its superclass.
    return _checked(
        "CIFAR-100", [_records(train, 2), _records(test, 2)], names, per_class
    )


def _records(content, n_labels):
    """Return images and last labels of records: labels, then red, green and blue."""
    size = n_labels + int(np.prod(_SHAPE))
    if not content or len(content) % size:
        raise OSError(
            f"A file of CIFAR has {len(content)} bytes; expected records of {size}."
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, size)
    return records[:, n_labels:].reshape(-1, *_SHAPE), records[:, n_labels - 1]


def _checked(title, parts, names, per_class):
    names = names.decode().split()
    (X_train, y_train), (X_test, y_test) = parts
    arrays = Arrays(X_train, y_train, X_test, y_test)
    counts = [(n,) * len(names) for n in per_class]
    check_split(title, arrays, _SHAPE, *counts)
    return arrays, tuple(names)
