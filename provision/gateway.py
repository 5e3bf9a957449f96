"""The platform's own S3, asked from this machine: an ssh forward to the Service, and one signed URL a request.

Only for what is small: logs, reports, what checks write. The key never leaves this machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from provision import forwarding, s3
from provision.errors import CommandFailed
from provision.site import Site

SERVICE = "s3"
REGION = "us-east-1"
ANSWER_S = 30.0


@dataclass(frozen=True, slots=True)
class Gateway:
    """The endpoint as seen from here, with one application's key. Paths: `/bucket/object`."""

    key: s3.Key

    def get(self, path: str) -> bytes | None:
        """An object; None when there is none."""
        return self._ask("GET", path, missing=(404,))

    def put(self, path: str, data: bytes) -> None:
        """Write an object."""
        self._ask("PUT", path, data)

    def delete(self, path: str) -> None:
        """Remove an object; silent when there is none."""
        self._ask("DELETE", path, missing=(404,))

    def _ask(self, method: str, path: str, data: bytes | None = None, missing: tuple[int, ...] = ()) -> bytes | None:
        request = Request(s3.presigned(self.key, method, path), data=data, method=method)
        try:
            with urlopen(request, timeout=ANSWER_S) as answer:
                body: bytes = answer.read()
                return body
        except HTTPError as error:
            if error.code in missing:
                return None
            raise CommandFailed(f"S3: {method} {path}: {error.code}", why=error.read()[:300].decode()) from error
        except (URLError, TimeoutError, ConnectionError) as error:
            raise CommandFailed(f"S3: {method} {path}: no answer", why=str(error)) from error


@contextmanager
def opened(site: Site, entry: str) -> Iterator[Gateway]:
    """The gateway of `site`, with the key of vault entry `entry`, while the context lasts."""
    target = forwarding.target(forwarding.row(site.settings, SERVICE))
    with forwarding.forwarded(site, target) as port:
        held = site.vault.read()[entry]
        yield Gateway(s3.Key(held["access"], held["secret"], f"http://127.0.0.1:{port}", REGION))
