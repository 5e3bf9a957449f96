"""Traces: none, unless the environment names who collects them, in OpenTelemetry's own variables.

OTEL_EXPORTER_OTLP_ENDPOINT (or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) is an address that takes OTLP over HTTP; the name
of the service, how many requests are sampled and the rest are said as OpenTelemetry documents it. Every request but
those of probes and scrapes is a span then, in the trace that its `traceparent` names, which the router passes on.
FastAPI makes the spans and exports them, beside the requests: nobody waits for a collector.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from fastapi import Response
from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
UNTRACED = ("/livez", "/startupz", "/readyz", "/metrics")
TOLD = ("x-model-name", "x-model-version", "x-model-precision", "x-provider")


def settings(environ: Mapping[str, str]) -> TelemetryConfig:
    """What FastAPI is told. Metrics and logs are our own."""
    is_on = any(environ.get(name) for name in ENDPOINTS)
    return {
        "tracing": is_on,
        "metrics": False,
        "logs": False,
        "operation_spans": False,
        "auto_configure": is_on,
        "exclude": _is_untraced,
    }


def handled(scope: MutableMapping[str, Any], response: Response) -> None:
    """The request's span, if it has one, says which path handled it, and which model."""
    span = trace.get_current_span()
    if span.is_recording():
        span.update_name(f"{scope['method']} {scope['path']}")
        span.set_attribute("http.route", scope["path"])
        span.set_attributes(
            {name[2:].replace("-", "."): response.headers[name] for name in TOLD if name in response.headers}
        )


def _is_untraced(scope: MutableMapping[str, Any]) -> bool:
    return scope.get("path") in UNTRACED
