"""What a stage says of itself: the versions it serves, vectors of a few texts, how large its process is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from serving import gates

TEXTS = (
    "A lease ends after seven days, and nothing of ours may be lost with it.",
    "Graph neural networks learn representations of nodes from the edges between them.",
    "proximal policy optimization",
    "The proof is by induction on the number of edges.",
)


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage, asked as itself and not through the router."""

    client: httpx.AsyncClient
    url: str
    answer_s: float

    async def versions(self) -> Mapping[str, str]:
        """Version by model; empty while the stage is not ready or gives no answer."""
        try:
            told = (await self._ask("GET", "/readyz")).json()
            rows = told.get("models") or [{"role": "embedder", "version": told["version"]}]
            return {str(row["role"]): str(row["version"]) for row in rows if row["version"]}
        except (httpx.HTTPError, ValueError, LookupError, TypeError):
            return {}

    async def vectors(self) -> Sequence[Sequence[float]] | None:
        """Of TEXTS; None when there are none to be had."""
        try:
            told: Any = (await self._ask("POST", "/embed", {"texts": TEXTS})).json()
            return [[float(number) for number in vector] for vector in told["embeddings"]]
        except (httpx.HTTPError, ValueError, LookupError, TypeError):
            return None

    async def resident_mib(self) -> float:
        """Not a number when the stage does not say."""
        try:
            return gates.resident_mib((await self._ask("GET", "/metrics")).text)
        except (httpx.HTTPError, ValueError):
            return math.nan

    async def _ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        answer = await self.client.request(method, self.url + path, json=body, timeout=self.answer_s)
        return answer.raise_for_status()
