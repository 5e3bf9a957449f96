from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from serving import api
from serving.app import create_app
from serving.config import from_env
from serving.metrics import Metrics
from serving.service import Service
from serving.summaries import routes
from serving.summaries.api import SummarizeResponse
from tests.serving_doubles import fake_model
from tests.serving_http import JSON, Wire, said, visit
from tests.summaries_doubles import FakeSummaries

Ask = Callable[[httpx.AsyncClient, Service], Awaitable[Any]]


def both(ask: Ask, model: FakeSummaries | None = None, **env: str) -> Any:
    return visit(ask, env=env, summarizer=lambda *_: model or FakeSummaries())


def gated(ask: Callable[[httpx.AsyncClient, Service, FakeSummaries], Awaitable[Any]], **env: str) -> Any:
    """Ask a service whose summaries are let on step by step."""
    model = FakeSummaries()

    async def go(client: httpx.AsyncClient, service: Service) -> Any:
        model.is_gated = True
        try:
            return await ask(client, service, model)
        finally:
            model.let(10_000)

    return both(go, model, **env)


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


def test_an_embedding_does_not_wait_for_a_summary() -> None:
    async def ask(client: httpx.AsyncClient, _: Service, model: FakeSummaries) -> tuple[int, bool]:
        summaries = [asyncio.create_task(client.post("/summarize", json={"texts": [text]})) for text in "abcdef"]
        await model.entered()
        codes = [(await client.post("/embed", json={"texts": [text]})).status_code for text in ("the", "what", "we")]
        assert codes == [200] * 3
        is_waiting = not any(task.done() for task in summaries)
        model.let(100)
        return [answer.status_code for answer in await asyncio.gather(*summaries)].count(200), is_waiting

    assert gated(ask) == (6, True)


def test_the_workers_of_summaries_are_nicer() -> None:
    found: list[int] = []

    class Looking(FakeSummaries):
        def pass_gate(self, texts: Any) -> None:
            found.append(os.getpriority(os.PRIO_PROCESS, 0))  # of the thread that asks
            super().pass_gate(texts)

    async def ask(client: httpx.AsyncClient, _: Service) -> int:
        found.clear()
        await client.post("/summarize", json={"texts": ["a"]})
        return os.getpriority(os.PRIO_PROCESS, 0)

    own = both(ask, Looking(), SUMMARY_NICE="19")
    assert set(found) == {19} and own < 20
    assert both(ask, Looking(), SUMMARY_NICE="0") == own and set(found) == {own}


def test_past_the_clients_time_it_is_504_and_the_text_leaves_the_batch() -> None:
    async def ask(client: httpx.AsyncClient, _: Service, model: FakeSummaries) -> httpx.Response:
        late = asyncio.create_task(
            client.post("/summarize", json={"texts": ["late"]}, headers={"X-Request-Timeout-Ms": "30"})
        )
        await model.entered()
        answer = await late
        model.let()
        fine = asyncio.create_task(client.post("/summarize", json={"texts": ["ab"]}))
        await model.entered()
        model.let(2)
        assert (await fine).json()["summaries"] == ["ab"]
        assert model.steps == [["late"], ["ab"], ["ab"]]
        return answer

    said(gated(ask), 504, "deadline-passed")


def test_too_much_is_429_with_a_time_and_nothing_of_ours() -> None:
    async def ask(client: httpx.AsyncClient, _: Service, model: FakeSummaries) -> list[httpx.Response]:
        asked = [asyncio.create_task(client.post("/summarize", json={"texts": [f"{n}"]})) for n in range(40)]
        await model.entered()
        while sum(task.done() for task in asked) < 20:
            await asyncio.sleep(0.001)
        model.let(1000)
        return list(await asyncio.gather(*asked))

    answers = gated(ask, MAX_SUMMARY_QUEUE="8")
    assert {answer.status_code for answer in answers} == {200, 429}
    for answer in answers:
        if answer.status_code == 429:
            assert "texts wait" in said(answer, 429, "queue-full")["detail"]
            assert int(answer.headers["retry-after"]) >= 1


def test_a_text_that_fails_is_500_and_its_neighbours_are_answered() -> None:
    async def ask(client: httpx.AsyncClient, _: Service, model: FakeSummaries) -> list[httpx.Response]:
        asked = [asyncio.create_task(client.post("/summarize", json={"texts": [text]})) for text in ("a", "b!", "c")]
        model.let(1000)
        return list(await asyncio.gather(*asked))

    first, broken, last = gated(ask)
    assert (first.json()["summaries"], last.json()["summaries"]) == (["a"], ["c"])
    said(broken, 500, "internal")
    assert "hunter2" not in broken.text


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


def test_a_client_that_leaves_is_not_worked_for() -> None:
    model, wire = FakeSummaries(), Wire("/summarize", b'{"texts": ["abcdef"]}')
    config = from_env({"SUMMARIZER_DIR": "here"})
    service = Service(config, Metrics(config.stage), lambda _: fake_model(), load_summarizer=lambda *_: model)
    app = create_app(service, routers=routes.routers(service), schemas=routes.SCHEMAS)

    async def go() -> str:
        async with app.router.lifespan_context(app), asyncio.timeout(20):
            while not service.has_started:
                await asyncio.sleep(0)
            model.is_gated = True
            asked = asyncio.create_task(app(wire.scope, wire.receive, wire.send))
            await model.entered()
            wire.left.set()
            await asked
            model.let(100)
            while service.summarizer is None or service.summarizer.require().standing().making:
                await asyncio.sleep(0)
            return service.exposition().decode()

    metrics = asyncio.run(go())
    assert wire.status == 499
    assert model.steps == [["abcdef"]]
    assert 'serving_rejects_total{reason="client-gone",stage="testing"} 1.0' in metrics
    assert 'serving_summaries_total{stage="testing"} 1.0' not in metrics
