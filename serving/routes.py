"""The handlers around one service: embeddings, what serves, and how the process is."""

from __future__ import annotations

import time
from collections.abc import Callable

from fastapi import Request, Response

from serving import api, asking, problems, told
from serving.backlog import Claim, Lane
from serving.described import about
from serving.embedder import Answer
from serving.errors import ModelUnknown, NotReady
from serving.metrics import CONTENT_TYPE
from serving.service import Service


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

    async def models(self, _: Request) -> Response:
        """List what serves here."""
        served = told.models(self._service)
        if not served:
            raise NotReady(self._service.reason)
        return _json(api.dump(api.ModelList(object="list", data=served).model_dump()))

    async def livez(self, _: Request) -> Response:
        """Whether the event loop turns."""
        return _json(api.dump({"alive": True}))

    async def startupz(self, _: Request) -> Response:
        """Whether loading has ended, well or not."""
        if not self._service.has_started:
            return problems.respond(problems.NOT_READY, self._service.reason, {"Retry-After": "1"})
        return _json(api.dump({"started": True, "phase": self._service.phase.value}))

    async def readyz(self, _: Request) -> Response:
        """Whether every model is loaded, warmed, proven and on its provider, and why not."""
        found = told.readiness(self._service).model_dump()
        if self._service.is_ready:
            return _json(api.dump(found))
        return problems.respond(problems.NOT_READY, self._service.reason, {"Retry-After": "1"}, found)

    async def metrics(self, _: Request) -> Response:
        """Prometheus' exposition."""
        return Response(self._service.exposition(), media_type=CONTENT_TYPE)

    def _claim(self, request: Request) -> Claim:
        """What the headers say. Raises what needs no body to be known: NotReady, Draining, a wrong header."""
        self._service.require()
        claim = asking.claim(request, self._service.config, Lane.INTERACTIVE)
        claim.lane = api.lane(request.headers)
        return claim

    async def _body(self, request: Request, grow: asking.Grow, claim: Claim) -> bytes:
        return await asking.body(request, self._service.config, grow, claim)

    async def _vectors(self, request: Request, texts: list[str], claim: Claim) -> Answer:
        config = self._service.config
        asking.bounded(texts, config.max_texts, config.max_chars)
        if api.PRIORITY_HEADER not in request.headers and sum(map(len, texts)) > config.interactive_chars:
            claim.lane = Lane.BULK
        with asking.watched(request, claim):
            return await self._service.embed(texts, claim)

    def _written(self, answer: Answer, write: Callable[[], bytes]) -> Response:
        began_s = time.perf_counter()
        body = write()
        self._service.metrics.took("serialize", time.perf_counter() - began_s)
        return Response(body, 200, about(answer.model), asking.JSON)


def _json(body: bytes) -> Response:
    return Response(body, media_type=asking.JSON)
