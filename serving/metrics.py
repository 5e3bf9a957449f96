"""Prometheus metrics of one process, in a registry of their own; every series carries the stage."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """What the service counts. Names are part of the contract with dashboards and checks."""

    def __init__(self, stage: str) -> None:
        self._registry = CollectorRegistry()
        self._stage = stage
        ProcessCollector(registry=self._registry)
        own: dict[str, Any] = {"registry": self._registry}
        self._requests = Counter("serving_requests", "Answers by path and code", ["stage", "path", "code"], **own)
        self._seconds = Histogram(
            "serving_request_seconds",
            "From first byte read to last byte ready",
            ["stage", "path"],
            buckets=LATENCY_S,
            **own,
        )
        self._tokens = Counter("serving_tokens", "Tokens embedded, padding not counted", ["stage"], **own)
        self._truncated = Counter("serving_truncated", "Texts cut at the model's limit", ["stage"], **own)
        self._batches = Counter("serving_batches", "Batches run", ["stage"], **own)
        self._batch_tokens = Counter("serving_batch_tokens", "Tokens run", ["stage", "kind"], **own)
        self._waiting = Gauge("serving_queue_tokens", "Tokens waiting after the last batch was taken", ["stage"], **own)
        self._ready = Gauge("serving_ready", "1 when readyz says yes", ["stage"], **own)
        self._info = Gauge(
            "serving_info",
            "What serves, always 1",
            ["stage", "model", "version", "precision", "provider", "degraded"],
            **own,
        )
        self._ready.labels(stage).set(0)

    def answered(self, path: str, code: int, seconds: float) -> None:
        """One answer left."""
        self._requests.labels(self._stage, path, str(code)).inc()
        self._seconds.labels(self._stage, path).observe(seconds)

    def embedded(self, tokens: int, truncated: int) -> None:
        """One request's texts were accepted."""
        self._tokens.labels(self._stage).inc(tokens)
        self._truncated.labels(self._stage).inc(truncated)

    def batch(self, real: int, padded: int, waiting: int) -> None:
        """One batch ran."""
        self._batches.labels(self._stage).inc()
        self._batch_tokens.labels(self._stage, "real").inc(real)
        self._batch_tokens.labels(self._stage, "padded").inc(padded)
        self._waiting.labels(self._stage).set(waiting)

    def ready(self, is_ready: bool) -> None:
        """What readyz answers from now on."""
        self._ready.labels(self._stage).set(is_ready)

    def serves(self, *, model: str, version: str, precision: str, provider: str, degraded: bool) -> None:
        """A model was loaded."""
        self._info.labels(self._stage, model, version, precision, provider, str(degraded).lower()).set(1)

    def text(self) -> bytes:
        """The exposition."""
        return generate_latest(self._registry)
