"""A small read-only file server, GET and HEAD, no listings.

usage: python -m rehearsal.artifacts.fileserver FOLDER ADDRESS PORT MARK     (MARK only tells our process from others)
"""

from __future__ import annotations

import sys
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path


class Handler(SimpleHTTPRequestHandler):
    """Files below one folder, whole, as bytes."""

    protocol_version = "HTTP/1.1"

    def list_directory(self, path: object) -> BytesIO | None:  # noqa: ARG002 (the base class names it)
        """Folders are not shown: what exists is in SHA256SUMS."""
        self.send_error(HTTPStatus.NOT_FOUND)
        return None


def serve(folder: Path, address: str, port: int) -> None:
    """Serve until ended. Binds to one address only."""
    with ThreadingHTTPServer((address, port), partial(Handler, directory=str(folder))) as server:
        server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
