"""One request passed on, its answer streamed back: to the canary for some, to production for all others.

A canary that fails before the first byte of its answer is replaced by production, once: what may go to a canary only
computes, so asking again changes nothing. Production is asked once, whatever comes of it.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from starlette.types import Receive, Scope, Send

from serving.router.config import Config
from serving.router.metrics import Metrics
from serving.router.split import MODELS, Split
from serving.router.window import Window

CANARY, PRODUCTION, ROUTER = "canary", "production", "router"
REQUEST_ID = b"x-request-id"
VERSION = "x-model-version"
# Of one connection, not of the message (RFC 9110 7.6.1); the length and the host are set anew.
HOP = {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"host"}
TOO_LARGE, NO_ROOM, NO_ANSWER, TOO_LATE = 413, 503, 502, 504
UNFIT, SILENT = 400, 408
SHED = 429  # an answer of a stage that is well, only busy: production may have room

Clock = Callable[[], float]
Headers = list[tuple[bytes, bytes]]


class Failed(Exception):
    """No answer to pass on. status: the router's own, for the client."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Gone(Exception):
    """The client left."""


class Broken(Exception):
    """An answer broke off that the client has the beginning of."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, read to its end."""

    method: str
    path: str
    query: bytes
    headers: Headers
    body: bytes
    id: str


class Proxy:
    """An ASGI application that answers nothing itself but its own failures."""

    def __init__(
        self, config: Config, client: httpx.AsyncClient, split: Split, metrics: Metrics, now: Clock = time.monotonic
    ) -> None:
        self._config, self._client, self._split, self._metrics, self._now = config, client, split, metrics, now
        self._urls = {CANARY: config.canary_url.rstrip("/"), PRODUCTION: config.production_url.rstrip("/")}
        self._held = 0
        self.windows = {
            (stage, model): Window(config.window_s) for stage in self._urls for model in dict.fromkeys(MODELS.values())
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; ends early when its client leaves."""
        grown = 0
        try:
            pieces = []
            async with _within(self._config.body_s):
                async for piece in _pieces(receive):
                    self._held, grown = self._held + len(piece), grown + len(piece)
                    self._bounded(grown)
                    pieces.append(piece)
            asked = _asked(scope, b"".join(pieces))
            await _while_there(self._answer(asked, send), receive)
        except Failed as error:
            self._metrics.answered(ROUTER, error.status, 0.0)
            await _problem(send, error)
        except (Gone, Broken):
            return  # nobody reads an answer; or the server ends the connection, as its length was promised
        finally:
            self._held -= grown

    def _bounded(self, size: int) -> None:
        if size > self._config.max_body_bytes:
            raise Failed(TOO_LARGE, f"a body has at most {self._config.max_body_bytes} bytes")
        if self._held > self._config.max_held_mib << 20:
            raise Failed(NO_ROOM, "too many requests are under way")

    async def _answer(self, asked: Asked, send: Send) -> None:
        model = MODELS.get(asked.path, "")
        if model and self._split.takes(model, asked.id):
            try:
                await self._pass(CANARY, model, asked, send)
            except Failed:
                self._metrics.fell_back()
            else:
                return
        await self._pass(PRODUCTION, model, asked, send)

    async def _pass(self, stage: str, model: str, asked: Asked, send: Send) -> None:
        """Raises Failed before anything was sent, Broken after."""
        began = self._now()
        try:
            async with self._opened(stage, asked) as answer:
                seconds = self._now() - began
                if stage == CANARY and self._is_unknown(model, answer):
                    raise Failed(answer.status_code, "the canary has another version since it was looked at")
                is_failure = answer.status_code >= 500
                self._count(stage, model, None if is_failure else seconds * 1000)
                if stage == CANARY and (is_failure or answer.status_code == SHED):
                    raise Failed(answer.status_code, "the canary failed")
                self._metrics.answered(stage, answer.status_code, seconds)
                await _stream(answer, asked, send)
        except Broken:
            self._count(stage, model, None)
            raise
        except (httpx.LocalProtocolError, httpx.InvalidURL) as error:  # nothing was sent: no stage is to blame
            raise Failed(UNFIT, f"this cannot be passed on: {error}") from error
        except httpx.TransportError as error:
            self._count(stage, model, None)
            late = isinstance(error, httpx.TimeoutException)
            why = f"{stage} gave no answer: {type(error).__name__}"
            raise Failed(TOO_LATE if late else NO_ANSWER, why) from error

    def _is_unknown(self, model: str, answer: httpx.Response) -> bool:
        told = answer.headers.get(VERSION, "")
        return bool(told) and told != self._split.standing[model].trusted

    @asynccontextmanager
    async def _opened(self, stage: str, asked: Asked) -> AsyncIterator[httpx.Response]:
        """The answer's head."""
        url = httpx.URL(self._urls[stage] + asked.path).copy_with(query=asked.query or None)
        limit_s = self._config.canary_s if stage == CANARY else self._config.answer_s
        patience = httpx.Timeout(limit_s, connect=self._config.connect_s)
        request = self._client.build_request(
            asked.method, url, headers=asked.headers, content=asked.body, timeout=patience
        )
        answer = await self._client.send(request, stream=True)
        try:
            yield answer
        finally:
            await answer.aclose()

    def _count(self, stage: str, model: str, ms: float | None) -> None:
        if model:
            self.windows[stage, model].add(self._now(), ms)


def _asked(scope: Scope, body: bytes) -> Asked:
    kept = [(name, value.strip()) for name, value in scope["headers"] if name not in HOP and name != b"content-length"]
    known = next((value for name, value in kept if name == REQUEST_ID), b"")
    told = known.decode("latin-1") or uuid.uuid4().hex
    if not known:
        kept.append((REQUEST_ID, told.encode()))
    path = scope.get("raw_path", scope["path"].encode()).decode("latin-1").partition("?")[0]
    return Asked(scope["method"], path, scope["query_string"], kept, body, told)


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    """Raises Failed when reading a request takes longer."""
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise Failed(SILENT, f"the request was not here whole after {seconds:g} s") from error


async def _pieces(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


async def _while_there(work: Coroutine[None, None, None], receive: Receive) -> None:
    """Do it until it is done; the client's leaving ends it, and with it the question to the stage."""
    doing, leaving = asyncio.create_task(work), asyncio.create_task(_left(receive))
    try:
        await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        if not doing.done():
            doing.cancel()
    is_gone = leaving.done() and not leaving.cancelled()
    try:
        await doing
    except asyncio.CancelledError:
        if is_gone:
            raise Gone from None
        raise
    finally:
        del doing  # its error has this frame, which would have it: a circle that keeps the body until a collection


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _stream(answer: httpx.Response, asked: Asked, send: Send) -> None:
    """Head and body as they come. Raises Broken."""
    headers = [(name.lower(), value) for name, value in answer.headers.raw if name.lower() not in HOP]
    headers.append((REQUEST_ID, asked.id.encode("latin-1")))
    await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
    try:
        async for piece in answer.aiter_raw():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    except httpx.HTTPError as error:
        raise Broken from error
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _problem(send: Send, error: Failed) -> None:
    """RFC 9457, as the stages have it."""
    told = {
        "type": f"urn:tandem:problem:router-{error.status}",
        "title": "The router could not pass a request on",
        "status": error.status,
        "detail": str(error),
    }
    headers = [(b"content-type", b"application/problem+json")]
    if error.status == NO_ROOM:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})
