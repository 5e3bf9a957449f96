"""The HTTP face: POST /embed, /livez, /readyz, /metrics.

The body is read up to its limit before it is parsed, and answers are written by orjson straight from the arrays.
Every answer says which model, version and precision gave it, and whether the stage is degraded.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import orjson
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError

from serving import __version__
from serving.errors import Closed, QueueFull
from serving.metrics import CONTENT_TYPE
from serving.service import Answer, Service

JSON = "application/json"
PATHS = ("/embed", "/livez", "/readyz", "/metrics")
OnStart = Callable[[], None]


class EmbedRequest(BaseModel):
    """Texts to embed, in order."""

    model_config = ConfigDict(extra="forbid")
    texts: Annotated[list[StrictStr], Field(min_length=1)]


class EmbedResponse(BaseModel):
    """One unit vector a text, in order, and what made them."""

    embeddings: list[list[float]]
    model: str
    version: str
    precision: str
    tokens: int = Field(description="tokens read, special ones included")
    truncated: int = Field(description="texts that were cut at the model's limit")


class TooLarge(Exception):
    """A limit of the stage was exceeded; the message says which."""


def create_app(service: Service, on_start: OnStart = lambda: None) -> FastAPI:
    """The application around one service. `on_start` runs on the event loop before the model is loaded."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        on_start()
        service.start()
        yield
        service.close()

    app = FastAPI(title="tandem serving", version=__version__, lifespan=lifespan)
    routes = _Routes(service)
    body = {"requestBody": {"required": True, "content": {JSON: {"schema": EmbedRequest.model_json_schema()}}}}
    refusals: dict[int | str, dict[str, Any]] = {
        413: {"description": "a limit is exceeded"}, 422: {"description": "the body is not what was expected"},
        429: {"description": "too many tokens wait"}, 503: {"description": "no model is loaded, or stopping"}}
    app.add_api_route("/embed", routes.embed, methods=["POST"], response_model=EmbedResponse, responses=refusals,
                      openapi_extra=body)
    app.add_api_route("/livez", routes.livez, methods=["GET"])
    app.add_api_route("/readyz", routes.readyz, methods=["GET"])
    app.add_api_route("/metrics", routes.metrics, methods=["GET"])
    app.middleware("http")(routes.account)
    return app


class _Routes:
    """The handlers, around one service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def embed(self, request: Request) -> Response:
        """Embed up to MAX_TEXTS texts."""
        try:
            asked = EmbedRequest.model_validate_json(await _read(request, self._service.config.max_body_bytes))
            self._limit(asked.texts)
            answer = await self._service.embed(asked.texts)
        except ValidationError as error:
            return _json(422, {"detail": error.errors(include_url=False, include_input=False, include_context=False)})
        except TooLarge as error:
            return _json(413, {"detail": str(error)})
        except QueueFull as error:
            return _json(429, {"detail": str(error)}, {"Retry-After": "1"})
        except Closed as error:
            return _json(503, {"detail": str(error)})
        if answer is None:
            return _json(503, {"detail": self._service.reason})
        return self._answer(answer)

    async def livez(self) -> Response:
        """The event loop turns."""
        return _json(200, {"alive": True})

    async def readyz(self) -> Response:
        """Whether the model is loaded, warmed, proven and on its provider, and why not."""
        service, model = self._service, self._service.model
        about = model.manifest if model else None
        return _json(200 if service.is_ready else 503, {
            "ready": service.is_ready, "stage": service.config.stage, "phase": service.phase.value,
            "reason": service.reason,
            "model": about.name if about else None, "version": about.version if about else None,
            "precision": about.precision if about else None,
            "provider": model.provider if model else None, "required_provider": service.config.required_provider,
            "degraded": model.degraded if model else None, "golden_cosine_min": service.golden_cosine_min,
        })

    async def metrics(self) -> Response:
        """Prometheus' exposition."""
        return Response(self._service.metrics.text(), media_type=CONTENT_TYPE)

    async def account(self, request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        """Count and time every answer, and put the headers on it."""
        began = time.perf_counter()
        response = await call_next(request)
        path = request.url.path if request.url.path in PATHS else "other"
        self._service.metrics.answered(path, response.status_code, time.perf_counter() - began)
        response.headers.update(self._headers())
        return response

    def _headers(self) -> dict[str, str]:
        model = self._service.model
        headers = {"X-Stage": self._service.config.stage}
        if model is None:
            return headers
        about = model.manifest
        headers |= {"X-Model-Name": about.name, "X-Model-Version": about.version, "X-Model-Precision": about.precision,
                    "X-Provider": model.provider}
        return headers | ({"X-Degraded": "true"} if model.degraded else {})

    def _limit(self, texts: list[str]) -> None:
        config = self._service.config
        if len(texts) > config.max_texts:
            raise TooLarge(f"{len(texts)} texts, at most {config.max_texts} a request")
        longest = max(map(len, texts))
        if longest > config.max_chars:
            raise TooLarge(f"a text of {longest} characters, at most {config.max_chars}")

    def _answer(self, answer: Answer) -> Response:
        model = self._service.model
        assert model is not None                 # noqa: S101 - it gave the answer
        about = model.manifest
        return _json(200, {"embeddings": answer.vectors, "model": about.name, "version": about.version,
                           "precision": about.precision, "tokens": answer.tokens, "truncated": answer.truncated})


async def _read(request: Request, limit: int) -> bytes:
    """The body, never more than `limit` bytes of it. Raises TooLarge."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            raise TooLarge(f"a body of more than {limit} bytes")
    return bytes(body)


def _json(code: int, content: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), code, headers, JSON)
