"""A process of both models whose versions can be moved while it serves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from serving.config import Config
from serving.model import Model
from serving.service import Service
from serving.source import Sources
from serving.summaries.model import SummaryModel
from tests.serving_doubles import GatedEngine, fake_model
from tests.serving_http import visit
from tests.summaries_doubles import FakeSummaries, Moving


class Stage:
    """Both models from sources that can be moved; a version called "bad" fails its proof."""

    def __init__(self, embedder: str | None = "1", summarizer: str | None = "1") -> None:
        self.embedder, self.summarizer = Moving(embedder), Moving(summarizer)
        self.loaded: list[str] = []
        self.engines: dict[str, GatedEngine] = {}
        self.summaries: dict[str, FakeSummaries] = {}

    def load(self, config: Config) -> Model:
        version = config.model_dir.name
        self.loaded.append(version)
        engine = self.engines[version] = GatedEngine()
        return fake_model(engine=engine, version=version, golden=[1.0] + [0.0] * 7 if version == "bad" else None)

    def load_summarizer(self, _: Config, path: Path) -> SummaryModel:
        self.loaded.append(f"s{path.name}")
        made = self.summaries[path.name] = FakeSummaries(path.name, is_wrong=path.name == "bad")
        return made

    def visit(self, ask: Callable[[httpx.AsyncClient, Service], Awaitable[Any]], *, wait: bool = True) -> Any:
        sources = Sources(self.embedder, self.summarizer)
        env = {"POLL_S": "0.001"}
        return visit(ask, self.load, env, wait=wait, sources=sources, summarizer=self.load_summarizer)

    async def looked(self, times: int = 3) -> None:
        """Until the sources have been asked so often again."""
        for source in (self.embedder, self.summarizer):
            until = source.asked + times
            while source.asked < until:
                await asyncio.sleep(0.001)


async def serves(service: Service, embedder: str, summarizer: str) -> None:
    """Until these versions do."""
    while [seat.proven.model.manifest.version for seat in service.seats if seat.proven] != [embedder, summarizer]:
        await asyncio.sleep(0.001)
