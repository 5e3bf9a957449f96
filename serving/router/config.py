"""Settings of the router, from environment variables; read once, frozen, passed down."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from serving import config


class Limits(BaseModel):
    """When a canary has done badly. Its figures are held against production's of the same time."""

    model_config = ConfigDict(frozen=True)

    window_s: float = Field(60.0, gt=0)  # over which requests are judged
    least_requests: int = Field(100, ge=1)  # answered by each side before latencies are: a p99 of fewer is one request
    least_failed: int = Field(3, ge=1)  # before errors are
    error_excess: float = Field(0.02, ge=0, le=1)  # of the share that fails, above production's
    p99_ratio: float = Field(1.5, ge=1)  # to production's
    p99_slack_ms: float = Field(50.0, ge=0)  # and so much more, for what is quick anyway
    cosine_min: float = Field(0.98, ge=-1, le=1)  # to production's vectors of the same texts
    memory_mib: float = Field(2048.0, gt=0)  # resident
    growth_mib: float = Field(512.0, gt=0)  # since its version was first seen


class Config(Limits):
    """One field per environment variable of the same name in capitals; unknown variables are not ours and ignored."""

    production_url: str = "http://serving-production:8000"
    canary_url: str = "http://serving-canary:8000"
    canary_share: float = Field(0.05, ge=0, le=1)
    probe_s: float = Field(5.0, gt=0, le=300)
    host: str = "0.0.0.0"  # a pod has one address; the cluster decides who reaches it
    port: int = Field(8000, ge=1, le=65535)
    connect_s: float = Field(2.0, gt=0)
    body_s: float = Field(120.0, gt=0)  # until a request is here whole
    canary_s: float = Field(30.0, gt=0)  # of silence; after it production is asked
    answer_s: float = Field(600.0, gt=0)  # the stages have deadlines of their own, and say so
    max_body_bytes: int = Field(8 << 20, ge=1024)
    max_held_mib: int = Field(32, ge=1)  # of the bodies of all requests under way
    drain_s: float = Field(5.0, ge=0, le=300)


def from_env(environ: Mapping[str, str]) -> Config:
    """Settings of the router. Raises ConfigInvalid."""
    return config.read(Config, environ)
