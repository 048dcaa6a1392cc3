"""Download of one file over http, checked and kept whole or not at all."""

import base64
import hashlib
import http.client
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from skdfal._utils._files import replacing
from skdfal.datasets._base import offline_error

_TIMEOUT = 60  # seconds without an answer
_CHUNK = 1 << 20


def download(url, path, *, title, how_to_place):
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
                f"{title} is not at {url} (HTTP {error.code}). Check the spelling; "
                "https://github.com/googlecreativelab/quickdraw-dataset lists the "
                "classes."
            ) from error
        raise offline_error(title, url, error, how_to_place) from error
    except (
        URLError,
        TimeoutError,
        ConnectionError,
        http.client.HTTPException,
    ) as error:
        raise offline_error(title, url, error, how_to_place) from error


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
