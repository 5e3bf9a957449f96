"""An embedder on a model whose batches are let through one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from serving.backlog import Claim, Lane
from serving.cache import Cache
from serving.config import from_env
from serving.embedder import Answer, Embedder, Speed
from serving.metrics import Metrics
from serving.model import Model
from tests.serving_doubles import GatedEngine, fake_model

Ask = Callable[[Embedder], Awaitable[Any]]
FAST = Speed(10**6, 1.0)


class Around:
    """An embedder on a model whose batches are let through one by one."""

    def __init__(self, budget: int = 256, made: Model | None = None, speed: Speed = FAST, **env: str) -> None:
        self.engine = GatedEngine(budget)
        self.metrics = Metrics("testing")
        self._model, self._speed, self._config = made or fake_model(engine=self.engine), speed, from_env(env)

    def __call__(self, ask: Ask, *, gated: bool = True) -> Any:
        async def go() -> Any:
            self.engine.is_gated = gated
            cache = Cache(self._config.cache_mib << 20)
            embedder = Embedder(self._model, self._config, self.metrics, cache, self._speed)
            try:
                async with asyncio.timeout(20):
                    return await ask(embedder)
            finally:
                embedder.close()
                self.engine.let(100)
                await asyncio.to_thread(embedder.wait, 10)

        return asyncio.run(go())

    def told(self, series: str) -> float:
        """A number of the exposition; 0 when it is not there."""
        lines = [line for line in self.metrics.text().decode().splitlines() if line.startswith(series + " ")]
        return float(lines[0].rpartition(" ")[2]) if lines else 0.0


def asking(
    embedder: Embedder, *texts: str, after_s: float = 60.0, lane: Lane = Lane.INTERACTIVE
) -> tuple[asyncio.Task[Answer], Claim]:
    claim = Claim(lane, asyncio.get_running_loop().time() + after_s)
    return asyncio.create_task(embedder.embed(texts, claim)), claim


async def turn(times: int = 5) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


def rows(answer: Answer) -> list[int]:
    return [int(vector.argmax()) for vector in answer.vectors]
