"""A folder of pictures as a pool."""

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

_CHUNK = 128  # pictures decoded before they are noted: what a kill can cost
_MAX_THREADS = 4


class ImagePool(Pool):
    """The pictures of a folder and its subfolders, decoded when they are asked for.

    The index of a picture is its for good: new files join at the end, and of files
    that vanish or cannot be read the index stays empty. What the person sees and what
    the net gets come out of one function.

    Parameters
    ----------
    folder : str or path-like
        The folder. Hidden files, and links that lead out of it, are left out.
    image_size : int or tuple of (int, int), default=64
        Height and width that the net gets. A picture is scaled to fit and keeps its
        aspect; the rest, on both sides of it, is black.
    mode : {"L", "RGB"} or None, default=None
        Grey or colour. None is grey if all pictures are, as the headers of their files
        tell, and as it was before for a ``cache`` that is there.
    cache : str or path-like, default=None
        Folder for decoded pixels and indices, which the next pool takes up. Several
        processes may use it. None is a temporary folder that goes with the pool.
    exclude : path-like or sequence of path-like, default=()
        Folders to leave out, such as one for results within ``folder``.

    Attributes
    ----------
    folder : Path
        The folder.
    names : list of str
        The files, relative to the folder, with ``/`` between the parts.
    available : ndarray of bool, shape (n_samples,)
        Whether a picture is there and, as far as it has been tried, can be read.
    broken : dict of str to str
        Why a file cannot be read, or was refused, by its name. Of files that were not
        decoded yet, see :meth:`decode`, it is not known.
    mode : {"L", "RGB"}
        Grey or colour.
    image_size : tuple of (int, int)
        Height and width.
    cache : Path
        Folder of decoded pixels and indices, a temporary one if none was given.

    Raises
    ------
    ValueError
        If there is no picture in the folder, or a parameter is out of its range.
    NotADirectoryError
        If there is no such folder.
    ImportError
        If Pillow is not installed.

    See Also
    --------
    FilePool : Names of files of any kind, and your own function that reads one.

    Notes
    -----
    Formats: AVIF, BMP, GIF, JPEG, JPEG 2000, PNG, PNM, TIFF, WebP, and HEIC where
    pillow-heif is installed. The orientation of the camera (EXIF) is applied,
    transparency is shown on white, of a film there is the first picture, of 16 bits
    the higher 8, and other ranges of numbers go from the darkest to the lightest.
    Colour profiles are not applied. A picture of more than 2**26 pixels is refused.

    A sample that cannot be read is black: leave out what is not ``available``.

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
            raise NotADirectoryError(f"{self.folder} is no folder of pictures.")
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
                    f"There is no picture in {self.folder}: no file that ends in "
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
            Those of new pictures, the last ones of the pool.
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
        """Return the folder of each picture, for folders that are sorted by class.

        Returns
        -------
        labels : list of str or None
            The first folder of each name; None for a picture that is in no subfolder.
        """
        return [n.split("/")[0] if "/" in n else None for n in self.names]

    def contents(self, indices):
        """Return what tells the content of some pictures, without reading them.

        Parameters
        ----------
        indices : array-like of int
            Positions in the pool.

        Returns
        -------
        contents : list of tuple
            Name, size and time of each file.
        """
        pictures = self._pictures
        chosen = positions(indices, len(pictures))
        return [(pictures[i].name, *pictures[i].stamp) for i in chosen]

    def digest(self):
        """Return a hash of the files' names, sizes and times, and of the pixels' shape.

        Returns
        -------
        digest : str
            64 hexadecimal digits. No picture is read.
        """
        files = self.contents(np.arange(len(self)))
        known = json.dumps([self.mode, self.image_size, files])
        return hashlib.sha256(known.encode()).hexdigest()

    # The pixels

    def take(self, indices):
        """Return some pictures as the net gets them.

        Parameters
        ----------
        indices : array-like of int
            Positions in the pool, in any order.

        Returns
        -------
        X : ndarray of float32, shape (n_samples, n_channels, height, width)
            From 0 for black to 1 for white.
        """
        indices = positions(indices, len(self))
        self.decode(indices)
        X = self._cache.pixels[indices].astype(np.float32)
        X /= 255
        return X

    def decode(self, indices=None):
        """Read pictures that were not read before, in several threads.

        Afterwards ``available`` and ``broken`` are known of them.

        Parameters
        ----------
        indices : array-like of int, default=None
            Positions in the pool; None is all of them.
        """
        indices = range(len(self)) if indices is None else positions(indices, len(self))
        unread = self._unread(indices)
        if unread:
            with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as threads:
                self._decode(unread, threads.map)

    def decode_in_background(self):
        """Go on to read all pictures in a thread, until :meth:`close`.

        Call it again after :meth:`refresh` has found new ones.
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
            self._note(chunk)  # what another process or thread has read by now
            if chunk := self._unread(chunk):
                self._cache.store(list(map_(self._read, chunk)))
                self._note(chunk)

    def _note(self, indices):
        with self._lock:
            for i, picture in self._cache.pictures_of(indices).items():
                self._pictures[i] = picture

    def _read(self, i):
        stamp = 0, 0  # of a file that is gone: if it comes back, it is another one
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
            raise PictureError("A link that leads out of the folder.")
        return decode(path, self.mode, max_side)

    def image(self, index, max_side=1024):
        """Return a picture for a person: as the net gets it, but finer.

        Parameters
        ----------
        index : int
            Position in the pool.
        max_side : int or None, default=1024
            Longer side in pixels at most; smaller pictures stay as they are. None is
            the very sample of the net.

        Returns
        -------
        content : bytes
            A PNG if it is small, else a JPEG.
        content_type : {"image/png", "image/jpeg"}
            What it is.

        Raises
        ------
        IndexError
            If there is no such position.
        ValueError
            If the picture cannot be read, with the reason.
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
        """End the reading in the background, and close the files of the cache."""
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
    """Return the pool by its recipe; with the same cache, if it can be seen here."""
    pool = ImagePool(
        folder,
        image_size=image_size,
        mode=mode,
        cache=cache if cache.is_dir() else None,
        exclude=exclude,
    )
    if _names_digest(pool.names) != digest:
        raise ValueError(
            f"The pictures of {folder} have other indices here than where they were "
            "asked for. Give ImagePool(cache=...) a folder that all machines see."
        )
    return pool


def _names_digest(names):
    return hashlib.sha256("\0".join(names).encode()).hexdigest()


def _fill(pool, ending, n):
    """Read all pictures of a pool, chunk by chunk, as long as somebody has it.

    The last ones first: a process that reads them all from the first one on, with the
    same cache, meets this one in the middle.
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
        except OSError:  # whoever takes a sample meets it again, and is told
            return
        del held


def _check_pillow():
    try:
        import PIL  # noqa: F401
    except ImportError:
        raise ImportError(
            "Pictures need Pillow: python -m pip install 'skdfal[label]'."
        ) from None


def _as_size(image_size):
    size = image_size if isinstance(image_size, Sequence) else (image_size, image_size)
    if len(size) != 2 or not all(isinstance(n, Integral) and n >= 1 for n in size):
        raise ValueError(
            f"{image_size=} should be an int >= 1, or a height and a width."
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
    """Return size and time of each picture by its name, and why others are refused."""
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
    """Return a name whose bytes that are no UTF-8 are question marks."""
    return name.encode(errors="replace").decode()


def _check_file(name, entry, folder):
    """Raise where a file is refused before it is opened."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise PictureError("A name that is not UTF-8.") from None
    _check_link(entry, folder)
    if not entry.is_file():
        raise PictureError("No regular file.")


def _check_link(entry, folder):
    if entry.is_symlink() and not _is_within(entry.path, folder):
        raise PictureError("A link that leads out of the folder.")
