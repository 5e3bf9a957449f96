"""The HTTP face: POST /embed, /livez, /readyz, /metrics.

The body is read up to its limit before it is parsed, and answers are written by orjson straight from the arrays.
Every answer says which model, version and precision gave it, and whether the stage is degraded.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

import orjson
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError

from serving import __version__
from serving.errors import Closed, QueueFull
from serving.metrics import CONTENT_TYPE
from serving.service import Answer, Phase, Service

JSON = "application/json"
PATHS = ("/embed", "/livez", "/readyz", "/metrics")
OnStart = Callable[[], None]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


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
        413: {"description": "a limit is exceeded"},
        422: {"description": "the body is not what was expected"},
        429: {"description": "too many tokens wait"},
        503: {"description": "no model is loaded, or stopping"},
    }
    app.add_api_route(
        "/embed", routes.embed, methods=["POST"], response_model=EmbedResponse, responses=refusals, openapi_extra=body
    )
    app.add_api_route("/livez", routes.livez, methods=["GET"])
    app.add_api_route("/readyz", routes.readyz, methods=["GET"])
    app.add_api_route("/metrics", routes.metrics, methods=["GET"])
    app.add_middleware(_Account, service=service)
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
        return _answer(answer)

    async def livez(self) -> Response:
        """The event loop turns."""
        return _json(200, {"alive": True})

    async def readyz(self) -> Response:
        """Whether the model is loaded, warmed, proven and on its provider, and why not."""
        service, proven = self._service, self._service.proven
        model = proven.model if proven else None
        about = model.manifest if model else None
        return _json(
            200 if service.is_ready else 503,
            {
                "ready": service.is_ready,
                "stage": service.config.stage,
                "phase": service.phase.value,
                "reason": service.reason,
                "model": about.name if about else None,
                "version": about.version if about else None,
                "precision": about.precision if about else None,
                "provider": model.provider if model else None,
                "required_provider": service.config.required_provider,
                "degraded": model.degraded if model else None,
                "golden_cosine_min": proven.golden_cosine_min if proven else None,
            },
        )

    async def metrics(self) -> Response:
        """Prometheus' exposition."""
        return Response(self._service.metrics.text(), media_type=CONTENT_TYPE)

    def _limit(self, texts: list[str]) -> None:
        config = self._service.config
        if len(texts) > config.max_texts:
            raise TooLarge(f"{len(texts)} texts, at most {config.max_texts} a request")
        longest = max(map(len, texts))
        if longest > config.max_chars:
            raise TooLarge(f"a text of {longest} characters, at most {config.max_chars}")


class _Account:
    """Around everything: count and time every answer, and say on it what gave it."""

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]], service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One ASGI call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, path = time.perf_counter(), scope["path"] if scope["path"] in PATHS else "other"

        async def account(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._headers()]
                self._service.metrics.answered(path, message["status"], time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, account)

    def _headers(self) -> list[tuple[bytes, bytes]]:
        headers: dict[str, str] = {"x-stage": self._service.config.stage}
        if self._service.proven is not None:
            model = self._service.proven.model
            headers |= {
                "x-model-name": model.manifest.name,
                "x-model-version": model.manifest.version,
                "x-model-precision": model.manifest.precision,
                "x-provider": model.provider,
            }
            headers |= {"x-degraded": "true"} if model.degraded else {}
        if self._service.phase is Phase.DRAINING:
            headers["connection"] = "close"  # a kept connection would end under its client's next request
        return [(name.encode(), value.encode()) for name, value in headers.items()]


def _answer(answer: Answer) -> Response:
    about = answer.model.manifest
    return _json(
        200,
        {
            "embeddings": answer.vectors,
            "model": about.name,
            "version": about.version,
            "precision": about.precision,
            "tokens": answer.tokens,
            "truncated": answer.truncated,
        },
    )


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
