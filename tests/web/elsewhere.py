"""A site of somebody else, on this machine: its pages try what a page on the web can try."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Elsewhere", "elsewhere"]


class Elsewhere:
    """`pages` maps a path to its HTML."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.pages: dict[str, str] = {}


@contextmanager
def elsewhere() -> Iterator[Elsewhere]:
    """Served on 127.0.0.1, which browsers call by two names: `localhost` is the node's site, but another origin."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = site.pages.get(self.path, "").encode()
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site = Elsewhere(server.server_port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
