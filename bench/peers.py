"""Who is compared: which locks and server file each has, which of the made models it reads, and in which precision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bench import venvs
from provision.paths import ROOT

Kind = Literal["embed", "summarize", "both"]
OURS = "ours"
OURS_SUMMARIES = "ours (summaries)"
OURS_BOTH = "ours (both)"
OUR_LOCKS = ("serving", "serving-export")
ORIGINAL, CTRANSLATE2, FASTEMBED = "original", "ctranslate2", "fastembed"
TRANSFORMERS, CTRANSLATE2_SUMMARIES = "hf generate", "ctranslate2 (summaries)"


@dataclass(frozen=True, slots=True)
class Peer:
    """One server. file: under bench/servers, empty for the service itself. model: folder among the made models, empty
    for all of them. health: what answers 200 once the model is loaded."""

    name: str
    kind: Kind
    locks: tuple[str, ...]
    file: str
    model: str
    precision: str
    env: Mapping[str, str] = field(default_factory=dict)
    module: str = "serving"  # that is run where there is no file
    health: str = "/health"

    def argv(self, port: int, models: Path) -> list[str]:
        """The command line. Raises Unavailable when its packages cannot be had."""
        python = venvs.python(self.locks)
        if not self.file:
            return [str(python), "-m", self.module]
        return [str(python), str(ROOT / "bench" / "servers" / f"{self.file}.py"), str(port), str(models / self.model)]

    def environment(self, port: int, models: Path) -> dict[str, str]:
        """Added to ours. No answer may come from a cache, and none from a hub."""
        offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
        ours = {"MODEL_DIR": str(models / self.model), "PORT": str(port)}
        return offline | dict(self.env) | ({} if self.file else ours)


SERVICE = {
    "HOST": "127.0.0.1",
    "REQUIRED_PROVIDER": "CPUExecutionProvider",
    "THREADS": "1",
    "WORKERS": "2",
    "CACHE_MIB": "0",
    "LATENCY_TARGET_MS": "100000",
    "DRAIN_S": "0",
    "SUMMARY_TARGET_MS": "100000",
}

PEERS = (
    Peer(OURS, "embed", OUR_LOCKS, "", "ours", "int8", SERVICE, health="/readyz"),
    Peer(ORIGINAL, "embed", ("bench-original",), "original", "minilm", "fp32"),
    Peer(CTRANSLATE2, "embed", ("bench-ctranslate2",), "ctranslate2_fastapi", "minilm-ct2", "int8"),
    Peer(FASTEMBED, "embed", ("bench-fastembed",), "fastembed_fastapi", "minilm", "fp32"),
    Peer("sentence-transformers", "embed", ("bench-torch",), "sentence_transformers_fastapi", "minilm", "fp32"),
    Peer(OURS_SUMMARIES, "summarize", OUR_LOCKS, "our_summaries", "bart-ours", "int8"),
    Peer(TRANSFORMERS, "summarize", ("bench-torch",), "hf_generate", "bart", "fp32"),
    Peer(CTRANSLATE2_SUMMARIES, "summarize", ("bench-ctranslate2",), "ctranslate2_summaries", "bart-ct2", "int8"),
    Peer(OURS_BOTH, "both", OUR_LOCKS, "our_both", "", "int8", SERVICE, health="/readyz"),
)
SMOKE = (OURS, ORIGINAL)
