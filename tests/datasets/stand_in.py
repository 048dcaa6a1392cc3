"""A server that stands for the net, and what it leaves on the disk."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """Serves `pages`, address -> (status, headers, body), and counts the requests."""

    def __init__(self):
        self.pages, self.requests, self.ranges = {}, [], []
        self.knows_ranges = True
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.requests.append(self.path)
                page = server.pages.get(self.path, (404, {}, b"absent"))
                status, headers, body = page
                asked = self.headers.get("Range")
                server.ranges.append(asked)
                if asked and status == 200 and server.knows_ranges:
                    start = int(asked.removeprefix("bytes=").removesuffix("-"))
                    status = 206 if start < len(body) else 416
                    body = body[start:]
                self.send_response(status)
                for name, value in ({"Content-Length": len(body)} | headers).items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,)).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()


@contextmanager
def serving(monkeypatch):
    """A server for the time of a test, which may close it earlier."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    yield server
    if server.http.socket.fileno() >= 0:
        server.close()


def files_below(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())
