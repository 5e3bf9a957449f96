from __future__ import annotations

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from serving import traces
from serving.service import Service
from tests.serving_http import visit

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLED = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


def spans(*asked: tuple[str, str, bytes | None], **environ: str) -> list[ReadableSpan]:
    """What is collected while these are asked, by method, path and body."""
    collected, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(collected))

    async def ask(client: httpx.AsyncClient, _: Service) -> None:
        for method, path, body in asked:
            await client.request(method, path, content=body, headers=CALLED)

    told = traces.settings(environ)
    visit(ask, telemetry={**told, "tracer_provider": provider, "auto_configure": False})
    return list(collected.get_finished_spans())


@pytest.mark.parametrize("name", traces.ENDPOINTS)
def test_a_request_is_a_span_of_its_callers_trace_and_says_what_answered(name: str) -> None:
    (span,) = spans(("POST", "/embed", b'{"texts": ["the"]}'), **{name: "http://collector:4318"})
    assert span.name == "POST /embed"
    assert span.context is not None and f"{span.context.trace_id:032x}" == TRACE
    assert span.parent is not None and f"{span.parent.span_id:016x}" == PARENT
    told = dict(span.attributes or {})
    assert (told["http.route"], told["http.response.status_code"]) == ("/embed", 200)
    assert (told["model.name"], told["model.version"]) == ("fake", "1")


def test_what_is_refused_is_a_span_too() -> None:
    asked = [("POST", "/embed", b"{}"), ("GET", "/nowhere", None)]
    refused, lost = spans(*asked, OTEL_EXPORTER_OTLP_ENDPOINT="http://collector:4318")
    assert dict(refused.attributes or {})["http.response.status_code"] == 422
    assert "http.route" not in (lost.attributes or {})


def test_probes_and_scrapes_are_none() -> None:
    asked = [("GET", path, None) for path in traces.UNTRACED]
    assert not spans(*asked, OTEL_EXPORTER_OTLP_ENDPOINT="http://collector:4318")


def test_where_nobody_collects_there_are_none() -> None:
    assert not spans(("POST", "/embed", b'{"texts": ["the"]}'))
    assert traces.settings({})["auto_configure"] is False
