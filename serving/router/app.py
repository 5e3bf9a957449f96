"""The router as an application: its own paths, and everything else passed on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from serving.router.config import Config
from serving.router.guard import Guard, TakeBack
from serving.router.metrics import CONTENT_TYPE, Metrics
from serving.router.probe import Stage
from serving.router.proxy import CANARY, PRODUCTION, Proxy
from serving.router.split import Split

log = logging.getLogger("serving.router")
OnStart = Callable[[], None]


@dataclass(frozen=True)
class Router:
    """What belongs together. client: for what is passed on and for probes."""

    config: Config
    client: httpx.AsyncClient
    metrics: Metrics
    split: Split
    proxy: Proxy
    guard: Guard


def build(config: Config, client: httpx.AsyncClient, take_back: TakeBack) -> Router:
    """A router that has not looked at anything yet: no request goes to the canary."""
    metrics = Metrics()
    split = Split(config.canary_share, metrics)
    proxy = Proxy(config, client, split, metrics)
    urls = {CANARY: config.canary_url, PRODUCTION: config.production_url}
    stages = {name: Stage(client, url.rstrip("/"), config.probe_s) for name, url in urls.items()}
    guard = Guard(config, stages, proxy.windows, split, take_back)
    return Router(config, client, metrics, split, proxy, guard)


class Drain:
    """Whether the process was told to stop."""

    is_on = False


def create_app(router: Router, drain: Drain, on_start: OnStart = lambda: None) -> Starlette:
    """`on_start` runs on the event loop before the first look."""

    async def livez(_: Request) -> Response:
        return JSONResponse({"alive": True})

    async def readyz(_: Request) -> Response:
        is_ready = router.guard.is_ready and not drain.is_on
        shares = {model: router.split.share(model) for model in router.split.standing}
        lost = {model: one.breach.found for model, one in router.split.standing.items() if one.breach}
        return JSONResponse({"ready": is_ready, "canary_share": shares, "lost": lost}, 200 if is_ready else 503)

    async def metrics(_: Request) -> Response:
        return Response(router.metrics.text(), headers={"content-type": CONTENT_TYPE})

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        on_start()
        looking = asyncio.create_task(router.guard.keep(router.config.probe_s))
        looking.add_done_callback(_ended)
        yield
        looking.cancel()
        await router.client.aclose()

    own = [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)]
    return Starlette(routes=[*own, Mount("/", app=router.proxy)], lifespan=lifespan)


def _ended(looking: asyncio.Task[None]) -> None:
    if not looking.cancelled() and (error := looking.exception()):
        log.error("the canary is watched no more, and gets nothing", exc_info=error)
