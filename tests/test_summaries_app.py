from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from serving import api
from serving.service import Service
from serving.summaries.api import SummarizeResponse
from tests.serving_http import JSON, said, visit
from tests.summaries_doubles import FakeSummaries

Ask = Callable[[httpx.AsyncClient, Service], Awaitable[Any]]


def both(ask: Ask, model: FakeSummaries | None = None, **env: str) -> Any:
    return visit(ask, env=env, summarizer=lambda *_: model or FakeSummaries())


def summarize(body: Any, headers: dict[str, str] | None = None, **env: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def ask(client: httpx.AsyncClient, _: Service) -> httpx.Response:
        return await client.post("/summarize", content=content, headers=JSON | (headers or {}))

    answer: httpx.Response = both(ask, None, **env)
    return answer


def test_every_text_gets_its_summary_in_order() -> None:
    answer = summarize({"texts": ["a long text of many letters", "short", "another one"]})
    assert answer.status_code == 200
    found = SummarizeResponse.model_validate(answer.json())
    assert found.summaries == ["a long t", "short", "another "]  # eight tokens at most
    assert (found.tokens, found.written, found.truncated) == (32, 21, 1)
    assert (found.model, found.version, found.precision) == ("fake-bart", "1", "int8")


def test_an_answer_says_which_model_gave_it() -> None:
    headers = summarize({"texts": ["a"]}).headers
    told = [headers[f"x-{name}"] for name in ("model-name", "model-version", "model-precision", "provider", "stage")]
    assert told == ["fake-bart", "1", "int8", "CPUExecutionProvider", "canary"]


def test_so_does_a_refusal() -> None:
    assert summarize(b"{").headers["x-model-name"] == "fake-bart"


@pytest.mark.parametrize(
    ("lengths", "summary"),
    [({"max_length": 3}, "abc"), ({"max_length": 8}, "abcdefgh"), ({"min_length": 1, "max_length": 1}, "a")],
)
def test_a_request_may_ask_for_shorter_ones(lengths: dict[str, int], summary: str) -> None:
    assert summarize({"texts": ["abcdefghijkl"], **lengths}).json()["summaries"] == [summary]


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ({}, "texts"),
        ({"texts": []}, "texts"),
        ({"texts": "a"}, "texts"),
        ({"texts": [1]}, "texts.0"),
        ({"texts": ["a"], "num_beams": 4}, "num_beams"),
        ({"texts": ["a"], "max_length": 0}, "max_length"),
        ({"texts": ["a"], "max_length": 9}, "max_length"),
        ({"texts": ["a"], "max_length": "3"}, "max_length"),
        ({"texts": ["a"], "min_length": 9}, "min_length"),
        ({"texts": ["a"], "min_length": 4, "max_length": 3}, "min_length"),
    ],
)
def test_what_is_wrong_is_named(body: dict[str, Any], at: str) -> None:
    assert [fault["at"] for fault in said(summarize(body), 422, "invalid-request")["errors"]] == [at]


def test_a_body_that_is_not_said_to_be_json_is_415() -> None:
    said(summarize({"texts": ["a"]}, {"content-type": "text/plain"}), 415, "unsupported-media-type")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a", "b", "c"], "3 texts, at most 2"),
        (["a" * 11], "11 characters, at most 10"),
        (["a" * 2000], "a body of 2015 bytes, at most 1024"),
    ],
)
def test_a_limit_is_413_and_named(texts: list[str], message: str) -> None:
    body = json.dumps({"texts": texts}).encode()
    answer = summarize(body, MAX_SUMMARY_TEXTS="2", MAX_CHARS="10", MAX_BODY_BYTES="1024")
    assert message in said(answer, 413, "too-large")["detail"]


def test_a_process_without_a_summarizer_has_no_such_path() -> None:
    async def ask(client: httpx.AsyncClient, _: Service) -> tuple[httpx.Response, Any]:
        return await client.post("/summarize", json={"texts": ["a"]}), (await client.get("/openapi.json")).json()

    answer, document = visit(ask)
    said(answer, 404, "not-found")
    assert "/summarize" not in document["paths"] and "SummarizeRequest" not in document["components"]["schemas"]


def test_the_document_has_the_path_and_the_limits_of_the_stage() -> None:
    async def ask(client: httpx.AsyncClient, _: Service) -> Any:
        return (await client.get("/openapi.json")).json()

    document = both(ask, MAX_SUMMARY_TEXTS="3")
    told = document["paths"]["/summarize"]["post"]
    assert set(told["responses"]) == {"200", "413", "415", "422", "429", "500", "503", "504"}
    assert [one["name"] for one in told["parameters"]] == [api.TIMEOUT_HEADER]
    assert document["components"]["schemas"]["SummarizeRequest"]["properties"]["texts"]["maxItems"] == 3
    assert "SummarizeResponse" in document["components"]["schemas"]


def test_both_models_are_listed_and_stand_at_readyz() -> None:
    async def ask(client: httpx.AsyncClient, _: Service) -> tuple[Any, Any]:
        return (await client.get("/v1/models")).json(), (await client.get("/readyz")).json()

    listed, ready = both(ask, FakeSummaries(degraded=True))
    assert [(one["id"], one["dimensions"], one["aliases"]) for one in listed["data"]] == [
        ("fake", 8, ["embedder"]),
        ("fake-bart", None, ["summarizer"]),
    ]
    assert ready["degraded"] is True and ready["model"] == "fake"
    assert [(one["role"], one["version"], one["precision"], one["degraded"]) for one in ready["models"]] == [
        ("embedder", "1", "fp32", False),
        ("summarizer", "1", "int8", True),
    ]
    assert {one["provider"] for one in ready["models"]} == {"CPUExecutionProvider"}


def test_ready_is_when_both_are_proven_but_what_is_proven_answers() -> None:
    async def ask(client: httpx.AsyncClient, _: Service) -> list[httpx.Response]:
        embedded = await client.post("/embed", json={"texts": ["the"]})
        return [await client.get("/readyz"), embedded, await client.post("/summarize", json={"texts": ["a"]})]

    ready, embedded, summarized = both(ask, FakeSummaries(is_wrong=True))
    body = said(ready, 503, "not-ready")
    assert body["phase"] == "failed" and body["reason"].startswith("GoldenMismatch")
    assert embedded.status_code == 200
    assert said(summarized, 503, "not-ready")["detail"] == body["reason"]
    assert summarized.headers["retry-after"] == "1"


def test_draining_answers_and_stopping_refuses() -> None:
    async def ask(client: httpx.AsyncClient, service: Service) -> list[httpx.Response]:
        service.drain()
        first = await client.post("/summarize", json={"texts": ["a"]})
        service.stop()
        return [first, await client.post("/summarize", json={"texts": ["a"]})]

    first, second = both(ask)
    assert first.status_code == 200
    said(second, 503, "draining")


METRICS = """
serving_requests_total{code="200",path="/summarize",stage="canary"} 1.0
serving_summaries_total{stage="canary"} 2.0
serving_summary_tokens_total{kind="read",stage="canary"} 6.0
serving_summary_tokens_total{kind="written",stage="canary"} 6.0
serving_summary_truncated_total{stage="canary"} 0.0
serving_summary_phase_seconds_count{phase="queue",stage="canary"} 2.0
serving_summary_phase_seconds_count{phase="make",stage="canary"} 2.0
serving_summary_step_texts_total{stage="canary"} 6.0
serving_summary_queue_texts{stage="canary"} 0.0
serving_summary_running_texts{stage="canary"} 0.0
serving_held_bytes{stage="canary"} 0.0
"""


def test_metrics_tell_of_summaries() -> None:
    async def ask(client: httpx.AsyncClient, _: Service) -> str:
        await client.post("/summarize", json={"texts": ["ab", "abcd"]})
        return (await client.get("/metrics")).text

    text = both(ask)
    assert set(METRICS.split("\n")) - {""} <= set(text.split("\n"))
    assert text.count("\nserving_info{") == 2
    assert "serving_summary_seconds_per_text{" in text
