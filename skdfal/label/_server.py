"""The page over HTTP, with Starlette: who may send requests, and the answers.

Whoever has the token can use the page. A foreign site in the same browser has neither
the cookie (``SameSite=Strict``) nor the right ``Host``, and may not write.
"""

import hashlib
import hmac
import ipaddress
import json
import socket
from http import HTTPStatus
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
)
from starlette.responses import Response as Answer
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from skdfal.label._event import InvalidEventError

_STATIC = Path(__file__).parent / "static"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_LARGEST_BODY = 1_000_000  # bytes
_MOST_QUEUED = 50
_LONGEST_CLIENT = 100  # characters of a page's name
_SIDES = {"picture": 1600, "thumbnail": 200}  # pixels
_HEADERS = {
    # Notebooks on this machine may show the page in a frame.
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; "
    "form-action 'none'; object-src 'none'; "
    "frame-ancestors 'self' http://localhost:* http://127.0.0.1:*",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def make_app(project, token, hosts=_LOOPBACK):
    """Make the application that serves the page of a project.

    Parameters
    ----------
    project : Project
        The project to be labelled.
    token : str
        Secret in the first address, ``/?token=...``.
    hosts : set of str, default={"127.0.0.1", "localhost", "::1"}
        Names under which the server may be addressed; "*" stands for any IP address,
        but not for names, which an attacker could make point here.

    Returns
    -------
    app : Starlette
        An ASGI application.
    """
    page = _Page(project)
    routes = [
        Route("/", page.index),
        Route("/api/status", page.status),
        Route("/api/queue", page.queue),
        Route("/api/answers", page.answered),
        Route("/api/events", page.add, methods=["POST"]),
        Route("/api/train", page.train, methods=["POST"]),
        Route("/{name}.csv", page.file),
        Route("/picture/{number:int}", page.picture, name="picture"),
        Route("/thumbnail/{number:int}", page.picture, name="thumbnail"),
        Mount("/static", StaticFiles(directory=_STATIC)),
    ]
    gate = Middleware(_Gate, token=token, hosts=frozenset(hosts))
    app = Starlette(routes=routes, middleware=[gate])
    app.add_exception_handler(InvalidEventError, _refuse(HTTPStatus.BAD_REQUEST))
    app.add_exception_handler(OSError, _refuse(HTTPStatus.INSUFFICIENT_STORAGE))
    return app


def _refuse(status):
    def handler(request, exc):
        return JSONResponse({"error": str(exc)}, status)

    return handler


class _Page:
    """Answers to requests. Functions without ``async`` run in threads."""

    def __init__(self, project):
        self._project = project

    def index(self, request):
        return Answer((_STATIC / "index.html").read_bytes(), media_type="text/html")

    def status(self, request):
        return JSONResponse(self._project.status())

    def queue(self, request):
        query = request.query_params
        annotator = query.get("annotator", "")
        n = min(_whole(query.get("n", "8")), _MOST_QUEUED)
        client = query.get("client", "")[:_LONGEST_CLIENT]
        found = {"pictures": self._project.queue(annotator, n, client)}
        if "undoable" in query:
            found["undoable"] = self._project.undoable(annotator)
        return JSONResponse(found)

    def answered(self, request):
        query = request.query_params
        found = self._project.answered(query.get("kind", "label"), query.get("label"))
        start, n = _whole(query.get("start", "0")), _whole(query.get("n", "60"))
        return JSONResponse({"n": len(found), "pictures": found[start : start + n]})

    def file(self, request):
        path = self._project.files().get(f"{request.path_params['name']}.csv")
        if path is None or not path.exists():
            return PlainTextResponse("This file does not exist yet.", 404)
        return FileResponse(path, media_type="text/csv", filename=path.name)

    async def add(self, request):
        rows = await _json_of(request)
        if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
            raise InvalidEventError("Expected a list of events.")
        await run_in_threadpool(self._project.add, rows)
        return JSONResponse({"saved": [row["id"] for row in rows]})

    async def train(self, request):
        await _json_of(request)
        started = await run_in_threadpool(self._project.train)
        return JSONResponse({"started": started})

    def picture(self, request):
        side = _SIDES[request.url.path.split("/")[1]]
        number = request.path_params["number"]
        try:
            # Another project may have had this address and number an hour ago.
            tag = f'"{self._project.tag(number)}"'
            headers = {"Cache-Control": "private, no-cache", "ETag": tag}
            if request.headers.get("if-none-match") == tag:
                return Answer(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
            content, kind = self._project.picture(number, side)
        except KeyError:
            return PlainTextResponse("There is no such picture.", 404)
        except (ValueError, OSError) as exc:
            return PlainTextResponse(f"The picture cannot be read: {exc}", 410)
        return Answer(content, media_type=kind, headers=headers)


def _whole(text):
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidEventError(f"{text!r} is not a whole number.")
    return int(text)


async def _json_of(request):
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            raise InvalidEventError(f"More than {_LARGEST_BODY} bytes.")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise InvalidEventError(f"Not valid JSON: {exc}.") from exc


class _Gate:
    """Admit only permitted requests, and add the security headers to all answers."""

    def __init__(self, app, token, hosts):
        self._app, self._token, self._hosts = app, token, hosts
        # The cookie is a hash, so that it cannot be used in an address.
        self._ticket = hashlib.sha256(f"cookie {token}".encode()).hexdigest()

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message):
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        answer = self._turned_away(Request(scope)) or self._app
        await answer(scope, receive, send_with_headers)

    def _turned_away(self, request):
        """Return the answer to a request that is refused, or None."""
        headers = request.headers
        if not is_known_host(headers.get("host", ""), self._hosts):
            return PlainTextResponse(
                "Wrong Host header. Use the address as printed.", 403
            )
        if _is_foreign(request):
            return PlainTextResponse("Requests from other sites are refused.", 403)
        if request.method not in ("GET", "HEAD") and not _is_json(headers):
            return PlainTextResponse("Write requests must be application/json.", 415)
        if request.url.path == "/" and "token" in request.query_params:
            return self._exchange(request)
        if not _same(request.cookies.get(self._cookie(request), ""), self._ticket):
            return PlainTextResponse(
                "Please open the address with the token, as printed in the terminal.",
                401,
            )
        return None

    def _exchange(self, request):
        """Exchange the token for a cookie, and remove it from the address."""
        if not _same(request.query_params["token"], self._token):
            return PlainTextResponse("This is not the printed token.", 401)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            self._cookie(request),
            self._ticket,
            max_age=30 * 24 * 3600,
            httponly=True,
            samesite="strict",
        )
        return answer

    def _cookie(self, request):
        return f"skdfal-{request.url.port or 80}"  # browsers mix the ports' cookies


def _same(given, expected):
    return hmac.compare_digest(given.encode(), expected.encode())


def _is_json(headers):
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json"


def _is_foreign(request):
    """Whether the request comes from another site, and is not a visit of the page."""
    headers = request.headers
    site = headers.get("sec-fetch-site", "none")
    if site in ("same-origin", "none"):
        return False
    comes_here = (
        request.method == "GET"
        and headers.get("sec-fetch-mode") == "navigate"
        and request.url.path == "/"
    )
    return not comes_here


def is_known_host(host, hosts):
    """Whether a ``Host`` header names this server.

    Parameters
    ----------
    host : str
        The header, with or without a port.
    hosts : set of str
        Known names; "*" stands for any IP address.

    Returns
    -------
    known : bool
        Whether the name is known.

    Examples
    --------
    >>> from skdfal.label._server import is_known_host
    >>> is_known_host("127.0.0.1:8000", {"127.0.0.1"})
    True
    >>> is_known_host("evil.example", {"127.0.0.1", "*"})
    False
    """
    if host.startswith("["):
        name, _, port = host[1:].partition("]")
        port = port.removeprefix(":")
    else:
        name, _, port = host.partition(":")
    if port and not (port.isascii() and port.isdigit() and int(port[:6]) < 2**16):
        return False
    if name.lower() in hosts:
        return True
    return "*" in hosts and _is_address(name)


def _is_address(name):
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def known_hosts(host):
    """Return the names under which a server that listens on ``host`` is addressed.

    Parameters
    ----------
    host : str
        Address that the server listens on.

    Returns
    -------
    hosts : frozenset of str
        Names, for :func:`make_app`.
    """
    if host in _LOOPBACK:
        return _LOOPBACK
    if _is_address(host) and ipaddress.ip_address(host).is_unspecified:
        names = {socket.gethostname().lower(), socket.getfqdn().lower(), "*"}
        return _LOOPBACK | names
    return _LOOPBACK | {host.lower()}
