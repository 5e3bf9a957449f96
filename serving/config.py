"""Settings of one serving process, from environment variables; read once, frozen, passed down."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from serving.errors import ConfigInvalid

Settings = TypeVar("Settings", bound=BaseModel)
MOST_TIMEOUT_MS = 600_000  # of one request, whatever its client asks for


class Config(BaseModel):
    """One field per environment variable of the same name in capitals; unknown variables are not ours and ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    stage: Literal["testing", "staging", "canary", "production"] = "testing"
    model_dir: Path = Path("/models/embedder-fp32")
    summarizer_dir: Path | None = None  # unset: this process serves embeddings only
    poll_s: float = Field(15.0, gt=0.0, le=3600.0)  # between two looks for another version
    host: str = "0.0.0.0"  # a pod has one address; the cluster decides who reaches it
    port: int = Field(8000, ge=1, le=65535)
    threads: int = Field(1, ge=1, le=256)  # intra-op threads of the session
    workers: int = Field(1, ge=1, le=64)  # batches run side by side on that session
    required_provider: str = "CUDAExecutionProvider"
    allow_cpu: bool = False  # serve on a CPU when the provider is missing, and say "degraded"
    gpu_mem_limit_mib: int = Field(2048, ge=64)
    batch_tokens: int = Field(0, ge=0)  # a batch, padding counted at its cost; 0: by engine
    max_texts: int = Field(256, ge=1)
    max_chars: int = Field(20_000, ge=1)  # of one text
    max_body_bytes: int = Field(8 << 20, ge=1024)
    max_held_mib: int = Field(32, ge=1)  # of all requests that are being read or answered
    interactive_chars: int = Field(2048, ge=0)  # of one request's texts; more counts as bulk unless it says otherwise
    max_queue_tokens: int = Field(200_000, ge=512)  # the bound in memory; the targets bind in time
    latency_target_ms: int = Field(5000, ge=1)  # an interactive request that would take longer is refused
    bulk_target_ms: int = Field(30_000, ge=1)
    request_timeout_ms: int = Field(120_000, ge=1, le=MOST_TIMEOUT_MS)  # of a request that gives none
    cache_mib: int = Field(16, ge=0)  # of vectors made before; 0: none are kept
    summary_threads: int = Field(1, ge=1, le=256)  # intra-op threads of the summarizer's sessions
    summary_workers: int = Field(1, ge=1, le=64)
    summary_slots: int = Field(4, ge=1, le=64)  # texts that a worker decodes side by side
    summary_nice: int = Field(10, ge=0, le=19)  # of its threads: where both want a core, an embedding goes first
    max_summary_texts: int = Field(16, ge=1)  # of one request
    max_summary_queue: int = Field(256, ge=1)  # texts that wait; the target binds in time
    summary_target_ms: int = Field(30_000, ge=1)  # a request that would take longer is refused
    drain_s: float = Field(5.0, ge=0.0, le=300.0)


def from_env(environ: Mapping[str, str]) -> Config:
    """Settings of a stage. Raises ConfigInvalid."""
    return read(Config, environ)


def read(model: type[Settings], environ: Mapping[str, str]) -> Settings:
    """Any settings whose fields are variables. Raises ConfigInvalid naming every wrong one; empty ones are unset."""
    given = {name: environ[name.upper()] for name in model.model_fields if environ.get(name.upper())}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise ConfigInvalid("; ".join(_wrong(model, fault) for fault in error.errors())) from error


def _wrong(model: type[BaseModel], fault: ErrorDetails) -> str:
    name = str(fault["loc"][0])
    told = "" if model.model_fields[name].annotation is SecretStr else f"={fault['input']!r}"
    return f"{name.upper()}{told}: {fault['msg']}"
