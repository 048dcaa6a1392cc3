"""Download of one file over http, checked and kept whole or not at all."""

import base64
import hashlib
import http.client
import os
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from skdfal._utils._files import replacing
from skdfal.datasets._base import file_digest, offline_error

_TIMEOUT = 60  # seconds without an answer
_CHUNK = 1 << 20
OFFLINE = URLError, TimeoutError, ConnectionError, http.client.HTTPException


def download(url, path, *, title, how_to_place, if_absent=""):
    """Write what url serves to path; raise an OSError unless it is complete.

    Length and md5 are compared with those the server states, as Google's storage does.
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
        if error.code in (403, 404):  # Google's storage answers 403 or 404
            raise FileNotFoundError(
                f"{title} is not at {url} (HTTP {error.code}). {if_absent}"
            ) from error
        raise offline_error(title, url, error, how_to_place) from error
    except OFFLINE as error:
        raise offline_error(title, url, error, how_to_place) from error


def download_archive(url, path, md5, *, title, how_to_place):
    """Write what url serves to path; go on where an earlier download broke off.

    What came so far lies beside path, with .part after its name, until the whole has
    the published md5: then it is moved to path.
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
            f"{part}: try again to go on from there."
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
    """Add to part what it lacks; return its size, and that of the whole if known."""
    n_bytes = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"Range": f"bytes={n_bytes}-"} if n_bytes else {})
    try:
        response = urlopen(request, timeout=_TIMEOUT)
    except HTTPError as error:
        if n_bytes and error.code == 416:  # nothing beyond what is there
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
    """Hexadecimal md5 in Google's x-goog-hash header, or None."""
    for header in headers.get_all("x-goog-hash", []):
        for item in header.split(","):
            name, _, value = item.strip().partition("=")
            if name == "md5":
                return base64.b64decode(value).hex()
    return None
