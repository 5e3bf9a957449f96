"""The handlers around one service: read a body within its bounds, wait for the vectors as long as somebody listens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastapi import Request, Response
from starlette.requests import ClientDisconnect

from serving import api, problems
from serving.account import about
from serving.backlog import Claim, Lane
from serving.embedder import Answer
from serving.errors import BodyTooLarge, ClientGone, DeadlinePassed, MediaUnsupported, ModelUnknown, NotReady, TooLarge
from serving.metrics import CONTENT_TYPE
from serving.service import Service

JSON = "application/json"
Grow = Callable[[int], None]


class Routes:
    """Of embeddings, and of the process itself."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def embeddings(self, request: Request) -> Response:
        """Embed a text or several, in OpenAI's shape."""
        with self._service.memory.request() as grow:
            claim = self._claim(request)
            asked = api.parse(api.EmbeddingsRequest, await self._body(request, grow, claim))
            name = self._service.require().model.manifest.name
            if asked.model not in (api.ROLE, name):
                raise ModelUnknown(f"{name!r} serves here, also as {api.ROLE!r}")
            answer = await self._vectors(request, asked.input, claim)
            return self._written(answer, lambda: api.openai(answer, asked.encoding_format))

    async def embed(self, request: Request) -> Response:
        """Embed several texts, in the shape the platform's own clients use."""
        with self._service.memory.request() as grow:
            claim = self._claim(request)
            asked = api.parse(api.EmbedRequest, await self._body(request, grow, claim))
            answer = await self._vectors(request, asked.texts, claim)
            return self._written(answer, lambda: api.plain(answer))

    async def models(self) -> Response:
        """List what serves here."""
        proven = self._service.proven
        if proven is None:
            raise NotReady(self._service.reason)
        told = proven.model.manifest
        served = api.ServedModel(
            id=told.name,
            object="model",
            created=proven.loaded_at,
            owned_by="tandem",
            version=told.version,
            precision=told.precision,
            dimensions=told.dimensions,
            max_tokens=told.max_tokens,
            aliases=[api.ROLE],
        )
        return _json(api.dump(api.ModelList(object="list", data=[served]).model_dump()))

    async def livez(self) -> Response:
        """Whether the event loop turns."""
        return _json(api.dump({"alive": True}))

    async def startupz(self) -> Response:
        """Whether loading has ended, well or not."""
        if not self._service.has_started:
            return problems.respond(problems.NOT_READY, self._service.reason, {"Retry-After": "1"})
        return _json(api.dump({"started": True, "phase": self._service.phase.value}))

    async def readyz(self) -> Response:
        """Whether the model is loaded, warmed, proven and on its provider, and why not."""
        told = self._readiness().model_dump()
        if self._service.is_ready:
            return _json(api.dump(told))
        return problems.respond(problems.NOT_READY, self._service.reason, {"Retry-After": "1"}, told)

    async def metrics(self) -> Response:
        """Prometheus' exposition."""
        return Response(self._service.exposition(), media_type=CONTENT_TYPE)

    def _readiness(self) -> api.Readiness:
        service, proven = self._service, self._service.proven
        model = proven.model if proven else None
        told = model.manifest if model else None
        return api.Readiness(
            ready=service.is_ready,
            stage=service.config.stage,
            phase=service.phase.value,
            reason=service.reason,
            model=told.name if told else None,
            version=told.version if told else None,
            precision=told.precision if told else None,
            provider=model.provider if model else None,
            required_provider=service.config.required_provider,
            degraded=model.degraded if model else None,
            golden_cosine_min=proven.golden_cosine_min if proven else None,
        )

    def _claim(self, request: Request) -> Claim:
        """What the headers say. Raises what needs no body to be known: NotReady, Draining, a wrong header."""
        self._service.require()
        media = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
        if media != JSON:
            raise MediaUnsupported(f"expected {JSON}")
        now_s = asyncio.get_running_loop().time()
        timeout_s = api.timeout_ms(request.headers, self._service.config) / 1000
        return Claim(api.lane(request.headers), now_s + timeout_s, began_s=now_s)

    async def _body(self, request: Request, grow: Grow, claim: Claim) -> bytes:
        """All of it. Raises BodyTooLarge, QueueFull, DeadlinePassed, ClientGone."""
        try:
            async with asyncio.timeout_at(claim.deadline_s) as limit:
                return await _read(request, self._service.config.max_body_bytes, grow)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise DeadlinePassed("the time for this request was over before its body was here") from error
        except ClientDisconnect as error:
            raise ClientGone("the client left before its body was here") from error

    async def _vectors(self, request: Request, texts: list[str], claim: Claim) -> Answer:
        config = self._service.config
        if len(texts) > config.max_texts:
            raise TooLarge(f"{len(texts)} texts, at most {config.max_texts} a request")
        longest = max(map(len, texts))
        if longest > config.max_chars:
            raise TooLarge(f"a text of {longest} characters, at most {config.max_chars}")
        if api.PRIORITY_HEADER not in request.headers and sum(map(len, texts)) > config.interactive_chars:
            claim.lane = Lane.BULK
        with _watched(request, claim):
            return await self._service.embed(texts, claim)

    def _written(self, answer: Answer, write: Callable[[], bytes]) -> Response:
        began_s = time.perf_counter()
        body = write()
        self._service.metrics.took("serialize", time.perf_counter() - began_s)
        return Response(body, 200, about(answer.model), JSON)


async def _read(request: Request, most: int, grow: Grow) -> bytes:
    said = request.headers.get("content-length", "")
    if said.isdigit() and len(said) < 20 and int(said) > most:
        raise BodyTooLarge(f"a body of {said} bytes, at most {most}")
    body = bytearray()
    async for piece in request.stream():
        if len(body) + len(piece) > most:
            raise BodyTooLarge(f"a body of more than {most} bytes")
        grow(len(piece))
        body += piece
    return bytes(body)


@contextmanager
def _watched(request: Request, claim: Claim) -> Iterator[None]:
    """Meanwhile the claim is given up when the client leaves."""

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        claim.give_up(ClientGone("the client left before its answer was ready"))

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()


def _json(body: bytes) -> Response:
    return Response(body, media_type=JSON)
