"""A folder of images as a pool."""

import hashlib
import json
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from numbers import Integral
from pathlib import Path

import numpy as np

from skdfal._utils._names import composed
from skdfal.pool._decode import (
    SUFFIXES,
    PictureError,
    as_pixels,
    decode,
    encode,
    fit,
    from_pixels,
    is_grey,
    letterboxed,
)
from skdfal.pool._picture_cache import BROKEN, DECODED, PictureCache
from skdfal.pool._pool import Pool, positions

_CHUNK = 128  # images decoded before they are recorded, and so lost by a kill
_MAX_THREADS = 4


class ImagePool(Pool):
    """A pool of the images in a folder and its subfolders, decoded when needed.

    The index of an image never changes: new files are added at the end, and the index
    of a file that vanishes or cannot be read stays unused. The image shown to a person
    and the one passed to the network come from the same function.

    Parameters
    ----------
    folder : str or path-like
        The folder. Hidden files, and links that lead out of the folder, are ignored.
    image_size : int or tuple of (int, int), default=64
        Height and width of the samples. An image is scaled to fit, keeping its aspect
        ratio, and centred on black.
    mode : {"L", "RGB"} or None, default=None
        Grey or colour. If None, the mode of an existing ``cache`` is used; without one,
        grey if all images are grey by their file headers, and colour otherwise.
    cache : str or path-like, default=None
        Folder for decoded pixels and indices, which later pools reuse. Several
        processes may use it at once. If None, a temporary folder that is deleted with
        the pool.
    exclude : path-like or sequence of path-like, default=()
        Folders to leave out, such as a folder for results within ``folder``.

    Attributes
    ----------
    folder : Path
        The folder.
    names : list of str
        Paths of the files relative to the folder, with ``/`` as the separator.
    available : ndarray of bool, shape (n_samples,)
        Whether each file exists and can be read. Files that have not been decoded yet
        count as readable.
    broken : dict of str to str
        Why a file cannot be read or was refused, by name. Files that have not been
        decoded yet are missing here; see :meth:`decode`.
    mode : {"L", "RGB"}
        Grey or colour.
    image_size : tuple of (int, int)
        Height and width.
    cache : Path
        Folder of decoded pixels and indices, a temporary one if none was given.

    Raises
    ------
    ValueError
        If there is no image in the folder, or a parameter is out of its range.
    NotADirectoryError
        If the folder does not exist.
    ImportError
        If Pillow is not installed.

    See Also
    --------
    FilePool : Files of any kind, with a function of your own that reads one.

    Notes
    -----
    The formats are AVIF, BMP, GIF, JPEG, JPEG 2000, PNG, PNM, TIFF, WebP, and HEIC if
    pillow-heif is installed. Images are converted as follows:

    - The camera's orientation (EXIF) is applied; colour profiles are not.
    - Transparent parts become white.
    - Of an animation, only the first frame is used.
    - Of 16-bit values, the high byte is used; other ranges are scaled from the darkest
      to the lightest value.
    - Images of more than 2**26 pixels are refused.

    A sample that cannot be read is returned as black; leave out samples that are not
    ``available``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skdfal.pool import ImagePool
    >>> folder = Path(tempfile.mkdtemp())
    >>> Image.new("RGB", (30, 20), "red").save(folder / "red.png")
    >>> pool = ImagePool(folder, image_size=32)
    >>> pool.names, pool.take([0]).shape
    (['red.png'], (1, 3, 32, 32))
    """

    is_in_memory = False
    dtype = np.dtype(np.float32)

    def __init__(self, folder, *, image_size=64, mode=None, cache=None, exclude=()):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise NotADirectoryError(f"{self.folder} is not a folder of images.")
        self.image_size = _as_size(image_size)
        if mode not in ("L", "RGB", None):
            raise ValueError(f"{mode=} should be 'L', 'RGB' or None.")
        _check_pillow()
        if cache is None:
            cache = tempfile.mkdtemp(prefix="skdfal-")
            weakref.finalize(self, shutil.rmtree, cache, ignore_errors=True)
        self.cache = Path(cache)
        self._excluded = _as_folders(exclude, cache)
        self._lock = threading.RLock()
        self._ending, self._background = threading.Event(), None
        self._cache = PictureCache(cache)
        try:
            found = self._list()
            if not found and not self._cache.pictures():
                raise ValueError(
                    f"There is no image in {self.folder}: no file that ends in "
                    f"{', '.join(sorted(SUFFIXES))}."
                )
            self.mode = mode or self._cache.mode or self._choose_mode(found)
            n_channels = 1 if self.mode == "L" else 3
            self.sample_shape = (n_channels, *self.image_size)
            self._cache.open(*self.image_size, self.mode)
            self._join(found)
        except BaseException:
            self._cache.close()
            raise

    def _choose_mode(self, found):
        kinds = (is_grey(self.folder / name) for name in sorted(found))
        return "RGB" if False in kinds else "L"

    def _in_words(self):
        return f"{str(self.folder)!r}, {super()._in_words()}"

    # The files

    def _list(self):
        found, self._refused = _list_pictures(self.folder, self._excluded)
        return found

    def _join(self, found):
        with self._lock:
            self._cache.join(found)
            self._pictures = self._cache.pictures()
            self.names = [picture.name for picture in self._pictures]

    def refresh(self):
        """Look for new, changed and vanished files.

        Returns
        -------
        indices : ndarray of shape (n_new,)
            Indices of the new images, which are the last ones of the pool.
        """
        with self._lock:
            n_before = len(self)
            known = {p.name: p.stamp for p in self._pictures if p.is_there}
            if (found := self._list()) != known:
                self._join(found)
            return np.arange(n_before, len(self))

    def __len__(self):
        return len(self._pictures)

    @property
    def available(self):
        return np.array([p.is_there and p.state != BROKEN for p in self._pictures])

    @property
    def broken(self):
        broken = {
            p.name: p.reason for p in self._pictures if p.is_there and p.state == BROKEN
        }
        return dict(sorted((self._refused | broken).items()))

    def labels_from_folders(self):
        """Return the folder of each image, for images sorted into a folder per class.

        Returns
        -------
        labels : list of str or None
            The top-level subfolder of each image, in Unicode's composed form (NFC), or
            None if it is in no subfolder.
        """
        return [composed(n.split("/")[0]) if "/" in n else None for n in self.names]

    def contents(self, indices):
        """Return what identifies the content of some images, without reading them.

        Parameters
        ----------
        indices : array-like of int
            Positions in the pool.

        Returns
        -------
        contents : list of tuple
            Name, size and modification time of each file.
        """
        pictures = self._pictures
        chosen = positions(indices, len(pictures))
        return [(pictures[i].name, *pictures[i].stamp) for i in chosen]

    def digest(self):
        """Return a hash of the files' names, sizes and times, and of the pixels' shape.

        Returns
        -------
        digest : str
            64 hexadecimal digits. No image is read.
        """
        files = self.contents(np.arange(len(self)))
        known = json.dumps([self.mode, self.image_size, files])
        return hashlib.sha256(known.encode()).hexdigest()

    # The pixels

    def take(self, indices):
        """Return some images in the form that a network gets.

        Parameters
        ----------
        indices : array-like of int
            Positions in the pool, in any order.

        Returns
        -------
        X : ndarray of float32, shape (n_samples, n_channels, height, width)
            The images, with pixels from 0 (black) to 1 (white).
        """
        indices = positions(indices, len(self))
        self.decode(indices)
        X = self._cache.pixels[indices].astype(np.float32)
        X /= 255
        return X

    def decode(self, indices=None):
        """Read images that have not been read yet, in several threads.

        Afterwards ``available`` and ``broken`` are certain for them.

        Parameters
        ----------
        indices : array-like of int, default=None
            Positions in the pool. If None, all of them.
        """
        indices = range(len(self)) if indices is None else positions(indices, len(self))
        unread = self._unread(indices)
        if unread:
            with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as threads:
                self._decode(unread, threads.map)

    def forget(self):
        """Discard decoded pixels, which frees the disk; they are decoded again if used.

        For a single pass over more images than there is room for. ``available`` and
        ``broken`` remain as they are. No other process may be using the cache.
        """
        with self._lock:
            self._cache.forget()
            self._pictures = self._cache.pictures()

    def decode_in_background(self):
        """Read all images in a background thread, until :meth:`close` is called.

        Call this again after :meth:`refresh` has found new images.
        """
        if self._background is None or not self._background.is_alive():
            self._background = threading.Thread(
                target=_fill,
                args=[weakref.ref(self), self._ending, len(self)],
                daemon=True,
            )
            self._background.start()

    def _unread(self, indices):
        pictures = self._pictures
        return [i for i in dict.fromkeys(map(int, indices)) if not pictures[i].state]

    def _decode(self, indices, map_):
        for start in range(0, len(indices), _CHUNK):
            chunk = indices[start : start + _CHUNK]
            self._note(chunk)  # another process or thread may have read it by now
            if chunk := self._unread(chunk):
                self._cache.store(list(map_(self._read, chunk)))
                self._note(chunk)

    def _note(self, indices):
        with self._lock:
            for i, picture in self._cache.pictures_of(indices).items():
                self._pictures[i] = picture

    def _read(self, i):
        stamp = 0, 0  # for a missing file: if it comes back, it counts as changed
        try:
            stamp = _stamp((self.folder / self._pictures[i].name).stat())
            picture = self._picture(i, max(self.image_size))
        except PictureError as error:
            return i, stamp, None, str(error)
        except OSError as error:
            return i, stamp, None, error.strerror or str(error)
        return i, stamp, as_pixels(letterboxed(picture, *self.image_size)), ""

    def _picture(self, i, max_side):
        path = self.folder / self._pictures[i].name
        if not _is_within(path, self.folder):
            raise PictureError("The link leads out of the folder.")
        return decode(path, self.mode, max_side)

    def image(self, index, max_side=1024):
        """Return an image for a person: as the network sees it, but in finer detail.

        Parameters
        ----------
        index : int
            Position in the pool.
        max_side : int or None, default=1024
            Maximum length of the longer side in pixels; smaller images are not
            enlarged. If None, exactly the sample that the network gets.

        Returns
        -------
        content : bytes
            A PNG file for a small image, a JPEG file otherwise.
        content_type : {"image/png", "image/jpeg"}
            The format of ``content``.

        Raises
        ------
        IndexError
            If ``index`` is out of range.
        ValueError
            If the image cannot be read; the message gives the reason.
        """
        (i,) = positions([index], len(self)).tolist()
        if max_side is None:
            self.decode([i])
            if self._pictures[i].state != DECODED:
                raise PictureError(self._pictures[i].reason)
            return encode(from_pixels(self._cache.pixels[i]))
        picture = self._picture(i, max_side)
        if max(picture.size) > max_side:
            picture = fit(picture, max_side, max_side)
        return encode(picture)

    def close(self):
        """Stop reading in the background and close the files of the cache."""
        self._ending.set()
        if self._background is not None:
            self._background.join()
        self._cache.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __reduce__(self):
        cache = self.cache.absolute()
        recipe = self.folder.absolute(), self.image_size, self.mode, cache
        return _reopened, (*recipe, sorted(self._excluded), _names_digest(self.names))


def _reopened(folder, image_size, mode, cache, exclude, digest):
    """Rebuild the pool from its recipe, with the same cache if that is visible here."""
    pool = ImagePool(
        folder,
        image_size=image_size,
        mode=mode,
        cache=cache if cache.is_dir() else None,
        exclude=exclude,
    )
    if _names_digest(pool.names) != digest:
        raise ValueError(
            f"The images of {folder} have different indices on this machine than where "
            "the pool was made. Give ImagePool(cache=...) a folder that all machines "
            "can see."
        )
    return pool


def _names_digest(names):
    return hashlib.sha256("\0".join(names).encode()).hexdigest()


def _fill(pool, ending, n):
    """Read all images of a pool, chunk by chunk, for as long as the pool is in use.

    The last images come first: another process with the same cache that reads from the
    beginning then meets this one in the middle.
    """

    def until_the_end(read, indices):
        return (read(i) for i in indices if not ending.is_set())

    for start in reversed(range(0, n, _CHUNK)):
        held = pool()
        if held is None or ending.is_set():
            return
        unread = held._unread(range(start, min(start + _CHUNK, n)))
        try:
            held._decode(unread, until_the_end)
        except OSError:  # the next call of take raises it again
            return
        del held


def _check_pillow():
    try:
        import PIL  # noqa: F401
    except ImportError:
        raise ImportError(
            "Images need Pillow: python -m pip install 'skdfal[label]'."
        ) from None


def _as_size(image_size):
    size = image_size if isinstance(image_size, Sequence) else (image_size, image_size)
    if len(size) != 2 or not all(isinstance(n, Integral) and n >= 1 for n in size):
        raise ValueError(
            f"{image_size=} should be an int >= 1, or a pair of height and width."
        )
    return tuple(map(int, size))


def _as_folders(exclude, cache):
    if isinstance(exclude, str | os.PathLike):
        exclude = [exclude]
    return {os.path.realpath(folder) for folder in (*exclude, cache)}


def _stamp(status):
    return status.st_size, status.st_mtime_ns


def _is_within(path, folder):
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _list_pictures(folder, excluded):
    """Return size and time of each image by name, and why other files are refused."""
    found, refused, folders = {}, {}, [""]
    while folders:
        prefix = folders.pop()
        try:
            entries = list(os.scandir(folder / prefix))
        except OSError as error:
            refused[_printable(prefix)] = error.strerror
            continue
        for entry in entries:
            name = prefix + entry.name
            if entry.name.startswith("."):
                continue
            try:
                if entry.is_dir():
                    if os.path.realpath(entry.path) not in excluded:
                        _check_link(entry, folder)
                        if not entry.is_symlink():
                            folders.append(name + "/")
                elif entry.name.lower().endswith(tuple(SUFFIXES)):
                    _check_file(name, entry, folder)
                    found[name] = _stamp(entry.stat())
            except (PictureError, OSError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                refused[_printable(name)] = reason
    return found, refused


def _printable(name):
    """Return a name with question marks for the bytes that are not valid UTF-8."""
    return name.encode(errors="replace").decode()


def _check_file(name, entry, folder):
    """Raise if a file is refused before it is opened."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise PictureError("The name is not valid UTF-8.") from None
    _check_link(entry, folder)
    if not entry.is_file():
        raise PictureError("Not a regular file.")


def _check_link(entry, folder):
    if entry.is_symlink() and not _is_within(entry.path, folder):
        raise PictureError("The link leads out of the folder.")
