"""Asking the application without a socket; every answer is held against its OpenAPI document."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

from serving import problems
from serving.app import create_app
from serving.config import Config, from_env
from serving.metrics import Metrics
from serving.model import Model
from serving.service import Phase, Service
from serving.source import Sources
from serving.summaries import model as summary_models
from serving.summaries import routes as summaries
from serving.summaries.model import SummaryLoad
from tests.serving_doubles import fake_model

NOTHING: Mapping[str, str] = {}
JSON = {"content-type": "application/json"}
UNLISTED = {"/openapi.json"}
Ask = Callable[[httpx.AsyncClient, Service], Awaitable[Any]]
Load = Callable[[Config], Model]


def visit(
    ask: Ask,
    load: Load = lambda _: fake_model(),
    env: Mapping[str, str] = NOTHING,
    *,
    wait: bool = True,
    sources: Sources | None = None,
    summarizer: SummaryLoad | None = None,
    telemetry: TelemetryConfig | None = None,
) -> Any:
    """Start the application around a model or two, wait until they are loaded, ask, stop."""
    config = from_env({"STAGE": "canary", "SUMMARIZER_DIR": "here" if summarizer else "", **env})
    service = Service(
        config, Metrics(config.stage), load, sources=sources, load_summarizer=summarizer or summary_models.load
    )
    routers, schemas = summaries.routers(service), summaries.SCHEMAS if summarizer else ()
    app = create_app(service, routers=routers, schemas=schemas, telemetry=telemetry)

    async def go() -> Any:
        async with app.router.lifespan_context(app), asyncio.timeout(20):
            while wait and service.phase is Phase.LOADING:
                await asyncio.sleep(0)
            async with client(app) as asking:
                return await ask(asking, service)

    return asyncio.run(go())


def client(app: FastAPI) -> httpx.AsyncClient:
    """Asks the application, and checks what it answers."""

    async def check(answer: httpx.Response) -> None:
        documented(app.openapi(), answer)

    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://stage", event_hooks={"response": [check]})


def documented(document: Mapping[str, Any], answer: httpx.Response) -> None:
    """Status, content type and required headers are those that the document names. Of no such path: a problem."""
    media = answer.headers["content-type"].partition(";")[0]
    if answer.status_code >= 400:
        assert media == "application/problem+json"
    operations = document["paths"].get(answer.request.url.path, {})
    operation = operations.get(answer.request.method.lower())
    if operation is None:
        assert answer.status_code in (404, 405) or answer.request.url.path in UNLISTED
        return
    told = operation["responses"][str(answer.status_code)]
    assert media in told["content"]
    for name, header in told["headers"].items():
        about = document["components"]["headers"][header["$ref"].rpartition("/")[2]]
        assert name in answer.headers or not about["required"], name
        if name == "Retry-After" and name in answer.headers:
            assert re.fullmatch("[1-9][0-9]*", answer.headers[name])


def said(answer: httpx.Response, status: int, reason: str) -> dict[str, Any]:
    """The problem, once it is seen to be one of RFC 9457."""
    body: dict[str, Any] = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, body["status"], body["type"]) == (status, status, f"urn:tandem:problem:{reason}")
    assert body["title"] and body["detail"]
    problems.Problem.model_validate(body)
    return body


def openai(**body: Any) -> bytes:
    """A body for /v1/embeddings."""
    return json.dumps({"model": "embedder", **body}).encode()


class Wire:
    """One request as a server hands it over: the body in pieces, and the moment the client leaves."""

    def __init__(self, path: str, *pieces: bytes, headers: Mapping[str, str] = NOTHING, is_whole: bool = True) -> None:
        self.scope: MutableMapping[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("client", 1),
            "server": ("stage", 80),
        }
        self.left = asyncio.Event()
        self.status = 0
        self._pieces = list(pieces)
        self._is_whole = is_whole

    async def receive(self) -> MutableMapping[str, Any]:
        """The next piece; after the last one, that the client left."""
        if self._pieces:
            body = self._pieces.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(self._pieces) or not self._is_whole}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Keeps the status."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
