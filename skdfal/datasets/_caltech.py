"""Caltech-101 and Caltech-256: folders of photographs of different sizes."""

import io
import re
import tarfile
import zipfile
from pathlib import PurePosixPath

import numpy as np

from skdfal._utils._validation import COUNT, validate_params
from skdfal.datasets import _archive
from skdfal.datasets._base import COMMON_PARAMS

_RECORDS = "https://data.caltech.edu/records/"
_CALTECH101 = _archive.Archive(
    "caltech-101.zip",
    f"{_RECORDS}mzrjq-6wc02/files/caltech-101.zip",
    "3138e1922a9193bfa496528edbbc45d0",
)
_CALTECH256 = _archive.Archive(
    "256_ObjectCategories.tar",
    f"{_RECORDS}nyy15-4j048/files/256_ObjectCategories.tar",
    "67b4f42ca05d46448c6bb8ecd2220f6d",
)
_TAR_IN_ZIP = "caltech-101/101_ObjectCategories.tar.gz"
_SUFFIXES = (".jpg", ".jpeg")
_CLUTTER = {"BACKGROUND_Google", "clutter"}  # background images without an object

_DESCR101 = """
Caltech-101: some 8,700 colour photographs of 101 kinds of objects, 31 to 800 of each.

Authors: Fei-Fei Li, Marco Andreetto, Marc'Aurelio Ranzato, Pietro Perona, CC BY 4.0,
https://doi.org/10.22002/D1.20086. The background images are left out. The authors
define no test set; the one here is drawn by skdfal, a fifth of each class.
"""
_DESCR256 = """
Caltech-256: some 30,000 colour photographs of 256 kinds of objects, 80 to 827 of each.

Authors: Gregory Griffin, Alex Holub, Pietro Perona, CC BY 4.0,
https://doi.org/10.22002/D1.20087. The clutter images are left out. The authors define
no test set; the one here is drawn by skdfal, a fifth of each class.
"""
_PARAMS = {"image_size": [COUNT], **COMMON_PARAMS}


@validate_params(_PARAMS, prefer_skip_nested_validation=True)
def fetch_caltech101(
    *, image_size=64, data_home=None, download_if_missing=True, scaled=True
):
    """Load Caltech-101, photographs of 101 kinds of objects [1]_.

    The images come from the first of these places that has them: the authors' archive
    ``caltech-101.zip`` in the folder named by the environment variable ``SKDFAL_DATA``,
    the cache, and a download of the archive (137 MB). An interrupted download is
    continued. The md5 of the archive is checked. Pillow resizes all images to one
    square size.

    Parameters
    ----------
    image_size : int, default=64
        Height and width of the images, in pixels.
    data_home : str or path-like, default=None
        Folder of the cache. If None, scikit-learn's ``get_data_home()``. The arrays
        are kept in ``skdfal/caltech101-64.npz`` (107 MB) below it, one file per size.
    download_if_missing : bool, default=True
        Whether to download the data set if it is not on this machine.
    scaled : bool, default=True
        Whether to return float32 pixels in [0, 1] instead of uint8 in [0, 255].

    Returns
    -------
    data : Bunch
        Object with the attributes

        X_train, X_test : ndarray of shape (n_samples, 3, image_size, image_size)
            Images, with red, green and blue along the second axis. The test set is
            one fifth of each class, rounded down; the training set is the rest. Both
            are shuffled.
        y_train, y_test : ndarray of int64, shape (n_samples,)
            Labels, as indices into ``target_names``.
        target_names : ndarray of shape (101,)
            Names of the classes.
        DESCR : str
            Authors, licence, and location of this copy.
        source : str
            Location of this copy.

    Raises
    ------
    ConnectionError
        If the download fails; the message says how to place the archive by hand, or
        how to continue.
    ImportError
        If Pillow is not installed.
    OSError
        If a file is damaged, or is missing and ``download_if_missing=False``.

    See Also
    --------
    fetch_caltech256 : More classes, nine times the download.

    References
    ----------
    .. [1] L. Fei-Fei, R. Fergus and P. Perona, "Learning Generative Visual Models from
           Few Training Examples", CVPR Workshop on Generative-Model Based Vision,
           2004. https://doi.org/10.22002/D1.20086

    Examples
    --------
    >>> from skdfal.datasets import fetch_caltech101
    >>> caltech = fetch_caltech101(image_size=32)  # doctest: +SKIP
    >>> caltech.X_train.shape[1:]  # doctest: +SKIP
    (3, 32, 32)
    """
    _check_pillow()
    return _archive.fetch(
        _archive.ArchivedSet(
            f"caltech101-{image_size}",
            "Caltech-101",
            (_CALTECH101,),
            lambda path: _read(_pictures_of_zip(path), image_size),
            _DESCR101,
        ),
        data_home=data_home,
        download_if_missing=download_if_missing,
        scaled=scaled,
    )


@validate_params(_PARAMS, prefer_skip_nested_validation=True)
def fetch_caltech256(
    *, image_size=64, data_home=None, download_if_missing=True, scaled=True
):
    """Load Caltech-256, photographs of 256 kinds of objects [1]_.

    The images come from the first of these places that has them: the authors' archive
    ``256_ObjectCategories.tar`` in the folder named by the environment variable
    ``SKDFAL_DATA``, the cache, and a download of the archive (1.2 GB). An interrupted
    download is continued. The md5 of the archive is checked. Pillow resizes all images
    to one square size.

    Parameters
    ----------
    image_size : int, default=64
        Height and width of the images, in pixels.
    data_home : str or path-like, default=None
        Folder of the cache. If None, scikit-learn's ``get_data_home()``. The arrays
        are kept in ``skdfal/caltech256-64.npz`` (366 MB) below it, one file per size.
    download_if_missing : bool, default=True
        Whether to download the data set if it is not on this machine.
    scaled : bool, default=True
        Whether to return float32 pixels in [0, 1] instead of uint8 in [0, 255].

    Returns
    -------
    data : Bunch
        Object with the attributes

        X_train, X_test : ndarray of shape (n_samples, 3, image_size, image_size)
            Images, with red, green and blue along the second axis. The test set is
            one fifth of each class, rounded down; the training set is the rest. Both
            are shuffled.
        y_train, y_test : ndarray of int64, shape (n_samples,)
            Labels, as indices into ``target_names``.
        target_names : ndarray of shape (256,)
            Names of the classes.
        DESCR : str
            Authors, licence, and location of this copy.
        source : str
            Location of this copy.

    Raises
    ------
    ConnectionError
        If the download fails; the message says how to place the archive by hand, or
        how to continue.
    ImportError
        If Pillow is not installed.
    OSError
        If a file is damaged, or is missing and ``download_if_missing=False``.

    See Also
    --------
    fetch_caltech101 : Fewer classes, a ninth of the download.

    References
    ----------
    .. [1] G. Griffin, A. Holub and P. Perona, "Caltech-256 Object Category Dataset",
           California Institute of Technology, 2007.
           https://doi.org/10.22002/D1.20087

    Examples
    --------
    >>> from skdfal.datasets import fetch_caltech256
    >>> caltech = fetch_caltech256(image_size=32)  # doctest: +SKIP
    >>> caltech.X_train.shape[1:]  # doctest: +SKIP
    (3, 32, 32)
    """
    _check_pillow()
    return _archive.fetch(
        _archive.ArchivedSet(
            f"caltech256-{image_size}",
            "Caltech-256",
            (_CALTECH256,),
            lambda path: _read(_pictures_of_tar(path), image_size),
            _DESCR256,
        ),
        data_home=data_home,
        download_if_missing=download_if_missing,
        scaled=scaled,
    )


def _check_pillow():
    try:
        import PIL  # noqa: F401
    except ImportError:
        raise ImportError(
            "Caltech's images are JPEG files, which need Pillow: "
            "python -m pip install pillow."
        ) from None


def _pictures_of_zip(path):
    """Yield class and content of the images in a tar inside a zip."""
    try:
        with zipfile.ZipFile(path) as outer, outer.open(_TAR_IN_ZIP) as inner:
            yield from _pictures(inner, path)
    except (zipfile.BadZipFile, KeyError) as error:
        raise OSError(f"{path} is not a zip with {_TAR_IN_ZIP} ({error}).") from error


def _pictures_of_tar(path):
    """Yield class and content of the images in a tar."""
    with open(path, "rb") as file:
        yield from _pictures(file, path)


def _pictures(file, path):
    """Yield class and content of the JPEG files in folders of a tar archive."""
    try:
        with tarfile.open(fileobj=file, mode="r|*") as archive:
            for member in archive:
                picture = PurePosixPath(member.name)
                if not member.isfile() or picture.suffix.lower() not in _SUFFIXES:
                    continue
                category = re.sub(r"^\d+\.", "", picture.parent.name)  # 001.ak47
                if category not in _CLUTTER:
                    yield category, archive.extractfile(member).read()
    except (tarfile.TarError, EOFError) as error:
        raise OSError(f"{path} is damaged ({error}). Replace or remove it.") from error


def _read(pictures, image_size):
    """Return arrays and class names; labels follow the names' alphabetical order."""
    from PIL import Image

    categories, X = [], []
    for category, content in pictures:
        with Image.open(io.BytesIO(content)) as picture:
            small = picture.convert("RGB").resize((image_size, image_size))
        categories.append(category)
        X.append(np.asarray(small).transpose(2, 0, 1))
    if not X:
        raise OSError("There are no JPEG files in folders in an archive of Caltech.")
    names, y = np.unique(categories, return_inverse=True)
    return _archive.split_by_class(np.stack(X), y), tuple(names.tolist())
