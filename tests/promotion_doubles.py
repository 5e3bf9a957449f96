"""Stages and a registry as a promotion meets them, in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from provision import promotion
from provision.commands import Options
from provision.probing import GOLDEN
from tests.mlflow_double import Mlflow

OPTIONS = Options(env="rehearsal")
REFERENCE = json.loads(GOLDEN.read_text())
RIGHT = [row["vector"] for row in REFERENCE["texts"]]
WRONG = [[-x for x in vector] for vector in RIGHT]
MIB = 2**20


def recorded(vectors: Sequence[Any]) -> str:
    """golden.json of a version which says that its vectors are these."""
    texts = [{"text": row["text"], "vector": vector} for row, vector in zip(REFERENCE["texts"], vectors, strict=True)]
    return json.dumps({"texts": texts})


@dataclass
class Stage:
    """A stage as a promotion meets it. served: the version by model; refuses: what it will not take."""

    served: dict[str, str]
    vectors: Sequence[Any] = field(default_factory=lambda: RIGHT)
    status: int = 200
    grows_mib: float = 0.0
    took_s: float = 0.001
    refuses: str = ""
    resident_mib: float = 300.0
    clock: list[float] = field(default_factory=lambda: [0.0])

    def answer(self, request: httpx.Request) -> httpx.Response:
        """One request."""
        if request.url.path == "/readyz":
            return httpx.Response(200, json={"models": [self._row(model) for model in self.served]})
        if request.url.path == "/metrics":
            self.resident_mib += self.grows_mib
            return httpx.Response(200, text=f"process_resident_memory_bytes {self.resident_mib * MIB}\n")
        self.clock[0] += self.took_s
        texts = json.loads(request.content)["texts"]
        vectors = self.vectors if len(texts) == len(RIGHT) else RIGHT[:1]
        return httpx.Response(self.status, json={"embeddings": vectors, "summaries": ["short"]})

    def _row(self, model: str) -> Mapping[str, Any]:
        refused = {"refused_version": self.refuses, "refused_reason": "golden"} if self.refuses else {}
        return {"role": model, "version": self.served[model], "proof": 0.001, **refused}


@dataclass
class World:
    """A registry with two versions, four stages that all serve the first; time moves by what stages take."""

    mlflow: Mlflow = field(default_factory=Mlflow)
    stages: dict[str, Stage] = field(default_factory=dict)
    follows: bool = True  # whether stages serve what their alias names

    def promote(self, **asked: str) -> dict[str, Any]:
        """As the task does it."""
        words = {"model": "embedder", "version": "", "to": "", "why": "it is better", **asked}
        return dict(promotion.promote(OPTIONS, **words))

    @property
    def aliases(self) -> Mapping[str, str]:
        """Of the embedder."""
        return self.mlflow.aliases["embedder"]

    def follow(self) -> None:
        """Every stage serves what its alias names, unless it will not."""
        for name, stage in self.stages.items():
            for model in stage.served:
                wanted = self.mlflow.aliases[model].get(name, "1")
                if self.follows and wanted != stage.refuses:
                    stage.served[model] = wanted
