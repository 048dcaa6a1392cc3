"""Download one file over http; it is checked, and saved completely or not at all."""

import base64
import hashlib
import http.client
import os
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from skdfal._utils._files import replacing
from skdfal.datasets._base import file_digest, offline_error

_TIMEOUT = 60  # seconds without a response
_CHUNK = 1 << 20
OFFLINE = URLError, TimeoutError, ConnectionError, http.client.HTTPException


def download(url, path, *, title, how_to_place, if_absent=""):
    """Download url to path; raise an OSError unless it is complete.

    Length and md5 are compared with those that the server states, if it does so, as
    Google's storage does.
    """
    digest, n_bytes = hashlib.md5(usedforsecurity=False), 0
    try:
        with urlopen(url, timeout=_TIMEOUT) as response, replacing(path) as file:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                digest.update(chunk)
                n_bytes += len(chunk)
            _check_complete(response.headers, url, n_bytes, digest.hexdigest())
    except HTTPError as error:
        error.close()
        if error.code in (403, 404):  # as Google's storage answers
            raise FileNotFoundError(
                f"{title} is not at {url} (HTTP {error.code}). {if_absent}"
            ) from error
        raise offline_error(title, url, error, how_to_place) from error
    except OFFLINE as error:
        raise offline_error(title, url, error, how_to_place) from error


def download_archive(url, path, md5, *, title, how_to_place):
    """Download url to path, continuing an interrupted download.

    The part received so far is kept next to path, with .part appended to its name. Once
    the complete file has the published md5, it is moved to path.
    """
    part = path.with_name(f"{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        n_bytes, expected = _append(url, part)
    except HTTPError as error:
        error.close()
        raise offline_error(title, url, error, how_to_place) from error
    except OFFLINE as error:
        raise offline_error(title, url, error, how_to_place) from error
    if expected is not None and n_bytes < expected:
        raise ConnectionError(
            f"{url} broke off after {n_bytes} of {expected} bytes. They are kept in "
            f"{part}: try again to continue from there."
        )
    got = file_digest(part, "md5")
    if got != md5:
        part.unlink()
        raise OSError(
            f"{url} came damaged: expected md5 {md5}, got {got}. Nothing was kept; try "
            "again."
        )
    os.replace(part, path)


def _append(url, part):
    """Append the missing bytes to part; return its size, and the full size if known."""
    n_bytes = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"Range": f"bytes={n_bytes}-"} if n_bytes else {})
    try:
        response = urlopen(request, timeout=_TIMEOUT)
    except HTTPError as error:
        if n_bytes and error.code == 416:  # no bytes are missing
            error.close()
            return n_bytes, None
        raise
    with response:
        goes_on = response.status == 206
        n_bytes = n_bytes if goes_on else 0
        length = response.headers.get("Content-Length")
        with open(part, "ab" if goes_on else "wb") as file:
            expected = None if length is None else n_bytes + int(length)
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                n_bytes += len(chunk)
    return n_bytes, expected


def _check_complete(headers, url, n_bytes, md5):
    expected = headers.get("Content-Length")
    if expected is not None and n_bytes != int(expected):
        raise OSError(
            f"{url} broke off after {n_bytes} of {expected} bytes. Nothing was kept; "
            "try again."
        )
    expected = _stated_md5(headers)
    if expected is not None and md5 != expected:
        raise OSError(
            f"{url} came damaged: expected md5 {expected}, got {md5}. Nothing was "
            "kept; try again."
        )


def _stated_md5(headers):
    """Return the hexadecimal md5 in Google's x-goog-hash header, or None."""
    for header in headers.get_all("x-goog-hash", []):
        for item in header.split(","):
            name, _, value = item.strip().partition("=")
            if name == "md5":
                return base64.b64decode(value).hex()
    return None
