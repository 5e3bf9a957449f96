"""A router between two stages in memory, with a registry beside it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from serving import lifecycle
from serving.lifecycle import Move, Note
from serving.router.app import Drain, Router, build, create_app
from serving.router.config import Config, from_env
from serving.router.guard import alias_back
from serving.router.proxy import PRODUCTION
from tests.mlflow_double import Mlflow, folders

NOTE = Note("somebody", "2026-11-25T12:00:00Z", "a test")
MIB = 2**20
FEW = 20  # requests, after which the canary is judged by its latencies
TEXTS = json.dumps({"texts": ["one"]}).encode()


@dataclass
class Stage:
    """A stage as the router meets it. fails: raised instead of an answer; breaks: after the first piece."""

    version: str
    status: int = 200
    vector: tuple[float, ...] = (1.0, 0.0)
    resident_mib: float = 300.0
    fails: type[httpx.TransportError] | None = None
    breaks: bool = False
    is_ready: bool = True
    took_s: float = 0.01
    asked: list[httpx.Request] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """One request; the router's own questions are not noted."""
        if request.url.path == "/readyz":
            models = [{"role": role, "version": self.version} for role in ("embedder", "summarizer")]
            return httpx.Response(200 if self.is_ready else 503, json={"ready": True, "models": models})
        if request.url.path == "/metrics":
            return httpx.Response(200, text=f"process_resident_memory_bytes {self.resident_mib * MIB}\n")
        if b"lease ends" in request.content:
            return httpx.Response(200, json={"embeddings": [self.vector] * 4})
        self.asked.append(request)
        if self.fails:
            raise self.fails("broken", request=request)
        headers = {"x-model-version": self.version, "content-type": "application/json"}
        return httpx.Response(self.status, headers=headers, content=self._body())

    async def _body(self) -> AsyncIterator[bytes]:
        yield b'{"from": "'
        if self.breaks:
            raise httpx.ReadError("reset")
        yield self.version.encode() + b'"}'


@dataclass
class World:
    """A router, its two stages, a registry with two versions, and time that moves by what stages take."""

    registry: Mlflow
    share: float = 1.0
    more: Mapping[str, str] = field(default_factory=dict)
    now_s: float = 0.0
    production: Stage = field(default_factory=lambda: Stage("1"))
    canary: Stage = field(default_factory=lambda: Stage("2"))

    def run(self, ask: Callable[[httpx.AsyncClient, Router], Awaitable[Any]]) -> Any:
        """Ask, after one look at the stages."""

        async def go() -> Any:
            client = httpx.AsyncClient(transport=httpx.MockTransport(self._pass))
            router = build(self._config(), client, partial(alias_back, self.registry.tracking))
            router.proxy._now = router.guard._now = lambda: self.now_s
            app = create_app(router, Drain())
            async with (
                asyncio.timeout(20),
                httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://router") as asking,
            ):
                await router.guard.look()
                return await ask(asking, router)

        return asyncio.run(go())

    def _config(self) -> Config:
        return from_env({"CANARY_SHARE": str(self.share), **self.more})

    def _pass(self, request: httpx.Request) -> httpx.Response:
        stage = self.canary if request.url.host == "serving-canary" else self.production
        if request.url.path in ("/embed", "/summarize"):
            self.now_s += stage.took_s
        return stage.answer(request)


def made(root: Path) -> World:
    """Version 1 in production, 2 at the canary, where 1 was before."""
    held = Mlflow()
    found: Iterator[Path] = folders(root)
    for number in ("1", "2"):
        for model, folder in zip(lifecycle.MODELS, [next(found)] * 2, strict=True):
            lifecycle.register(held.tracking, model, folder, NOTE)
            lifecycle.move(held.tracking, Move(model, "canary", "1" if number == "2" else "", number), NOTE)
    return World(held)


async def embed(asking: httpx.AsyncClient, times: int = 1, path: str = "/embed") -> httpx.Response:
    """The last of so many requests."""
    for _ in range(times):
        answer = await asking.post(path, content=TEXTS)
    return answer


def usual(router: Router, world: World) -> None:
    """Production had as many, each in 10 ms."""
    for _ in range(FEW):
        router.proxy.windows[PRODUCTION, "embedder"].add(world.now_s, 10.0)


def told(router: Router, series: str) -> float:
    """A number of the router's exposition."""
    lines = [line for line in router.metrics.text().decode().splitlines() if line.startswith(series + " ")]
    return float(lines[0].rpartition(" ")[2])
