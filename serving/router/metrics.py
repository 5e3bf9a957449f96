"""Prometheus metrics of the router, in a registry of their own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from serving.metrics import CONTENT_TYPE, LATENCY_S

__all__ = ["CONTENT_TYPE", "Metrics"]


class Metrics:
    """What the router counts. Names are part of the contract with dashboards and checks."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = self._counter(
            "router_requests", "Answers by the stage that gave them and code", "stage", "code"
        )
        self._fallbacks = self._counter("router_fallbacks", "Requests that production answered in the canary's place")
        self._rollbacks = self._counter("router_rollbacks", "Shares taken from the canary, by reason", "reason")
        self._share = Gauge("router_canary_share", "Of the requests, by model", ["model"], registry=self._registry)
        self._seconds = Histogram(
            "router_request_seconds", "Until the answer's head", ["stage"], buckets=LATENCY_S, registry=self._registry
        )

    def answered(self, stage: str, code: int, seconds: float) -> None:
        """One answer's head came, or the router made one up; stage '' for its own."""
        self._requests.labels(stage, str(code)).inc()
        self._seconds.labels(stage).observe(seconds)

    def fell_back(self) -> None:
        """The canary failed before its first byte."""
        self._fallbacks.inc()

    def rolled_back(self, reason: str) -> None:
        """The canary lost its share."""
        self._rollbacks.labels(reason).inc()

    def share(self, model: str, share: float) -> None:
        """What the canary gets from now on."""
        self._share.labels(model).set(share)

    def text(self) -> bytes:
        """The exposition."""
        return generate_latest(self._registry)

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(name, about, labels, registry=self._registry)
