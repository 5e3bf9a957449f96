"""HTTP as it comes off the wire, with the bounds that uvicorn leaves to a proxy in front: none stands before a stage.

uvicorn keeps every byte of a request's head for as long as its client cares to send, and waits for the end of it for
ever. Here a head has a size and a time, and what is not HTTP is answered as every other error is, with problem JSON.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serving.problems import HEAD_LATE, HEAD_TOO_LARGE, MALFORMED, MEDIA, Kind

HEAD_BYTES = 64 << 10  # of one head; a chunk's own line and what follows the last chunk count as one too
NAME = f"{__name__}:Protocol"  # as uvicorn is told of it
KEEP_S = 75  # an idle connection is kept: longer than clients keep theirs, or one asks on it just as it is closed
HEAD_S = 20.0  # from a connection, or the first byte of a request on a kept one, to the end of the head


class Joined(asyncio.Transport):
    """What is written in one turn of the event loop leaves together: a head and its body are one call of the system,
    and wake a client once."""

    def __init__(self, inner: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._inner, self._loop = inner, loop
        self._held: list[bytes | bytearray | memoryview] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """By the next turn."""
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)

    def close(self) -> None:
        """Once all is written."""
        self._flush()
        self._inner.close()

    def is_closing(self) -> bool:
        """Whether it ends or has ended."""
        return self._inner.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Of the socket."""
        return self._inner.get_extra_info(name, default)

    def _flush(self) -> None:
        if self._held and not self._inner.is_closing():
            self._inner.write(b"".join(self._held))
        self._held.clear()


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._held = 0  # bytes since anything was handed on
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first head is awaited from now on."""
        super().connection_made(transport)
        self.transport = Joined(transport, self.loop)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._head_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """What comes of it is told to the callbacks below, which say that it is no longer held."""
        if self.transport.is_closing():
            return  # it was told why; what was under way by then is not read
        self._held += len(data)
        super().data_received(data)
        if self._held > HEAD_BYTES and not self.transport.is_closing():
            self._refuse(HEAD_TOO_LARGE, f"a request's head has at most {HEAD_BYTES} bytes")

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        """And ends."""
        self._head_is_here()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of a body is the application's, which has bounds of its own."""
        self._held = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """What comes next is another head."""
        self._held = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """For what is no HTTP."""
        self._refuse(MALFORMED, msg)

    def _await_head(self) -> None:
        self._head_is_here()
        self._patience = self.loop.call_later(HEAD_S, self._head_is_late)

    def _head_is_here(self) -> None:
        self._held = 0
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _head_is_late(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._await_head()  # a request before this one is being answered: that must not be cut
        else:
            self._refuse(HEAD_LATE, f"a request's head was not here after {HEAD_S:g} s")

    def _refuse(self, kind: Kind, detail: str) -> None:
        """Answer outside the application, and end the connection; in the midst of another answer, only end it."""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            told = {"type": kind.type, "title": kind.title, "status": kind.status, "detail": detail}
            body = orjson.dumps(told)
            head = f"content-type: {MEDIA}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[kind.status] + head.encode() + body)
        self.transport.close()
