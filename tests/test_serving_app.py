from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import httpx
import numpy as np
import pytest

from serving import api
from serving.service import Service
from tests.serving_doubles import GatedEngine, fake_model
from tests.serving_http import visit


def embed(body: Any, path: str = "/embed", **env: str) -> httpx.Response:
    """POST one body."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def ask(client: httpx.AsyncClient, _: Service) -> httpx.Response:
        return await client.post(path, content=content)

    answer: httpx.Response = visit(ask, env=env)
    return answer


def test_every_text_gets_its_vector_in_order() -> None:
    answer = embed({"texts": ["", "the", "the the"]})
    assert answer.status_code == 200
    body = answer.json()
    assert [vector.index(1.0) for vector in body["embeddings"]] == [2, 3, 4]
    assert (body["model"], body["version"], body["precision"]) == ("fake", "1", "fp32")
    assert (body["tokens"], body["truncated"]) == (9, 0)


def test_an_answer_says_what_gave_it() -> None:
    headers = embed({"texts": ["the"]}).headers
    assert headers["x-stage"] == "canary"
    assert headers["x-model-name"] == "fake"
    assert headers["x-model-version"] == "1"
    assert headers["x-model-precision"] == "fp32"
    assert "x-degraded" not in headers


def test_a_text_that_was_cut_is_counted() -> None:
    assert embed({"texts": ["the " * 100]}).json()["truncated"] == 1


def openai(**body: Any) -> httpx.Response:
    return embed({"model": "embedder", **body}, "/v1/embeddings")


def test_openai_gets_its_own_shape() -> None:
    answer = openai(input=["the", "the the"])
    assert answer.status_code == 200
    body = api.EmbeddingsResponse.model_validate(answer.json())
    assert [(row.object, row.index) for row in body.data] == [("embedding", 0), ("embedding", 1)]
    assert [np.argmax(row.embedding) for row in body.data] == [3, 4]
    assert (body.object, body.model) == ("list", "fake")
    assert (body.usage.prompt_tokens, body.usage.total_tokens) == (7, 7)


def test_a_single_text_is_a_list_of_one() -> None:
    assert openai(input="the").json()["data"] == openai(input=["the"], user="somebody").json()["data"]


def test_base64_is_the_same_vector_in_little_endian() -> None:
    numbers = openai(input="the").json()["data"][0]["embedding"]
    packed = openai(input="the", encoding_format="base64").json()["data"][0]["embedding"]
    assert np.frombuffer(base64.b64decode(packed), "<f4").tolist() == numbers


@pytest.mark.parametrize("name", ["embedder", "fake"])
def test_the_model_is_asked_for_by_its_name_or_its_role(name: str) -> None:
    assert openai(input="the", model=name).json()["model"] == "fake"


def test_the_model_that_serves_is_listed() -> None:
    async def ask(client: httpx.AsyncClient, _: Service) -> httpx.Response:
        return await client.get("/v1/models")

    (served,) = api.ModelList.model_validate(visit(ask).json()).data
    assert (served.id, served.version, served.precision, served.dimensions) == ("fake", "1", "fp32", 8)
    assert served.aliases == ["embedder"]
    assert served.created > 0


def test_both_shapes_answer_with_the_same_vectors() -> None:
    plain = embed({"texts": ["the", "what"]})
    assert api.EmbedResponse.model_validate(plain.json()).embeddings == [
        row["embedding"] for row in openai(input=["the", "what"]).json()["data"]
    ]


@pytest.mark.parametrize(
    ("texts", "headers", "lane"),
    [
        (["a " * 9], {}, "interactive"),
        (["a " * 9, "a " * 9], {}, "bulk"),
        (["a " * 9], {"X-Priority": "bulk"}, "bulk"),
        (["a " * 9, "a " * 9], {"X-Priority": "interactive"}, "interactive"),
    ],
)
def test_size_decides_the_class_of_a_request_unless_it_says(
    texts: list[str], headers: dict[str, str], lane: str
) -> None:
    engine = GatedEngine()

    async def ask(client: httpx.AsyncClient, service: Service) -> tuple[int, int]:
        engine.is_gated = True
        first = asyncio.create_task(client.post("/embed", json={"texts": ["the"]}))
        await engine.entered()
        asked = asyncio.create_task(client.post("/embed", json={"texts": texts}, headers=headers))
        while not (waits := service.require().standing(0)).interactive_tokens + waits.bulk_tokens:
            await asyncio.sleep(0)
        engine.let(9)
        await first
        await asked
        return waits.interactive_tokens, waits.bulk_tokens

    interactive, bulk = visit(ask, lambda _: fake_model(engine=engine), {"INTERACTIVE_CHARS": "20"})
    assert (interactive > 0, bulk > 0) == (lane == "interactive", lane == "bulk")


METRICS = """
serving_requests_total{code="200",path="/embed",stage="canary"} 1.0
serving_requests_total{code="404",path="other",stage="canary"} 1.0
serving_rejects_total{reason="not-found",stage="canary"} 1.0
serving_tokens_total{stage="canary"} 10.0
serving_cache_total{found="new",stage="canary"} 2.0
serving_batches_total{stage="canary"} 1.0
serving_batch_tokens_total{kind="real",stage="canary"} 7.0
serving_batch_tokens_total{kind="padding",stage="canary"} 1.0
serving_batch_size_tokens_sum{stage="canary"} 8.0
serving_padding_ratio_sum{stage="canary"} 0.125
serving_phase_seconds_count{phase="tokenize",stage="canary"} 1.0
serving_phase_seconds_count{phase="queue",stage="canary"} 2.0
serving_phase_seconds_count{phase="run",stage="canary"} 1.0
serving_phase_seconds_count{phase="serialize",stage="canary"} 1.0
serving_queue_tokens{class="interactive",stage="canary"} 0.0
serving_queue_tokens{class="bulk",stage="canary"} 0.0
serving_queue_age_seconds{stage="canary"} 0.0
serving_running_tokens{stage="canary"} 0.0
serving_cache_bytes{stage="canary"} 1088.0
serving_held_bytes{stage="canary"} 0.0
serving_ready{stage="canary"} 1.0
"""


def test_metrics_tell_of_every_part() -> None:
    async def ask(client: httpx.AsyncClient, _: Service) -> str:
        await client.post("/embed", json={"texts": ["the", "the the", "the"]})
        await client.get("/nowhere")
        return (await client.get("/metrics")).text

    text = visit(ask)
    assert set(METRICS.split("\n")) - {""} <= set(text.split("\n"))
    assert 'version="1"' in text and 'provider="CPUExecutionProvider"' in text
    assert "serving_tokens_per_second{" in text
