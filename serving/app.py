"""The HTTP face: which path goes to which handler, and what stands around them.

Embeddings: POST /v1/embeddings, POST /embed, GET /v1/models. The process: /livez, /startupz, /readyz, /metrics.
Another engine brings its own paths as routers of `create_app` (summaries: `serving.summaries.routes`), and the types
they speak; its errors of serving.errors become problems here too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.telemetry import TelemetryConfig
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp

from serving import __version__, api, contract, traces
from serving.account import Account
from serving.direct import Direct, handlers
from serving.metrics import CONTENT_TYPE
from serving.problems import Problems
from serving.routes import Routes
from serving.service import Service

STEERED = (api.TIMEOUT_HEADER, api.PRIORITY_HEADER)
OnStart = Callable[[], None]


class Application(FastAPI):
    """FastAPI with the whole contract in its OpenAPI document."""

    def __init__(
        self, service: Service, routers: Sequence[APIRouter], schemas: Sequence[type[BaseModel]], **settings: Any
    ) -> None:
        super().__init__(title="tandem serving", version=__version__, **settings)
        self._service, self._routers, self._schemas = service, routers, schemas
        self._problems = Problems(service.metrics)
        for router in routers:
            self.include_router(router)
        self.add_exception_handler(HTTPException, self._problems.http)

    def build_middleware_stack(self) -> ASGIApp:
        """Every request is accounted for; one for a path of ours goes straight to its handler."""
        direct = Direct(super().build_middleware_stack(), handlers(self._routers), self._problems)
        paths = {*self.openapi()["paths"], self.openapi_url}
        return Account(direct, service=self._service, problems=self._problems, paths=paths)

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = contract.complete(super().openapi(), self._service.config, self._schemas)
        return self.openapi_schema


def create_app(
    service: Service,
    on_start: OnStart = lambda: None,
    routers: Sequence[APIRouter] = (),
    schemas: Sequence[type[BaseModel]] = (),
    telemetry: TelemetryConfig | None = None,
) -> FastAPI:
    """The application around one service. `on_start` runs on the event loop before a model is loaded; `schemas` are
    the bodies that `routers` speak of; `telemetry`: see `traces`, nothing by default."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        on_start()
        service.start()
        yield
        await service.close()

    # No documentation pages: theirs load scripts from elsewhere. No redirects: a path is right or it is not.
    return Application(
        service,
        (_embeddings(service), _process(service), *routers),
        schemas,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        telemetry=telemetry or traces.settings({}),
    )


def _embeddings(service: Service) -> APIRouter:
    routes, router = Routes(service), APIRouter(tags=["embeddings"])
    router.add_api_route(
        "/v1/embeddings",
        routes.embeddings,
        methods=["POST"],
        responses=contract.answers(api.EmbeddingsResponse, 404, *contract.ASKED, links=contract.FROM_ANSWER),
        openapi_extra=contract.asks(api.EmbeddingsRequest, *STEERED),
    )
    router.add_api_route(
        "/embed",
        routes.embed,
        methods=["POST"],
        responses=contract.answers(api.EmbedResponse, *contract.ASKED, links=contract.FROM_ANSWER),
        openapi_extra=contract.asks(api.EmbedRequest, *STEERED),
    )
    router.add_api_route(
        "/v1/models",
        routes.models,
        methods=["GET"],
        responses=contract.answers(api.ModelList, 503, links=contract.FROM_LIST),
    )
    return router


def _process(service: Service) -> APIRouter:
    routes, router = Routes(service), APIRouter(tags=["process"])
    router.add_api_route("/livez", routes.livez, methods=["GET"], responses=contract.answers(api.Liveness))
    router.add_api_route("/startupz", routes.startupz, methods=["GET"], responses=contract.answers(api.Start, 503))
    router.add_api_route("/readyz", routes.readyz, methods=["GET"], responses=contract.answers(api.Readiness, 503))
    router.add_api_route(
        "/metrics",
        routes.metrics,
        methods=["GET"],
        response_class=PlainTextResponse,
        responses=contract.text(CONTENT_TYPE),
    )
    return router
