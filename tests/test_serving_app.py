from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from serving.app import create_app
from serving.config import Config, from_env
from serving.errors import ModelInvalid
from serving.metrics import Metrics
from serving.model import Model
from serving.service import Phase, Service
from tests.serving_doubles import fake_model

NOTHING: Mapping[str, str] = {}
Ask = Callable[[httpx.AsyncClient, Service], Awaitable[Any]]


def visit(ask: Ask, load: Callable[[Config], Model] = lambda _: fake_model(), env: Mapping[str, str] = NOTHING) -> Any:
    """Start the application around a model, wait until it is loaded, ask, stop."""
    config = from_env({"STAGE": "canary", **env})
    service = Service(config, Metrics(config.stage), load)
    app: FastAPI = create_app(service)

    async def go() -> Any:
        async with app.router.lifespan_context(app):
            async with asyncio.timeout(10):
                while service.phase is Phase.LOADING:
                    await asyncio.sleep(0)
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://stage") as client:
                return await ask(client, service)

    return asyncio.run(go())


def embed(body: Any, **env: str) -> httpx.Response:
    """POST one body."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def ask(client: httpx.AsyncClient, _: Service) -> httpx.Response:
        return await client.post("/embed", content=content)

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


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"texts": "the"}',
        b'{"texts": []}',
        b'{"texts": [1]}',
        b'{"texts": [null]}',
        b'{"texts": ["a"], "model": "x"}',
        b'{"texts": ["\\ud800"]}',
        b'{"texts": ["\xff"]}',
        b"\x00" * 100,
    ],
)
def test_a_bad_body_is_422(body: bytes) -> None:
    answer = embed(body)
    assert answer.status_code == 422
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"texts": ["a", "b", "c"]}, "3 texts, at most 2"),
        ({"texts": ["a" * 11]}, "11 characters, at most 10"),
        ({"texts": ["a" * 2000]}, "more than 1024 bytes"),
    ],
)
def test_a_limit_is_413_and_named(body: dict[str, list[str]], message: str) -> None:
    answer = embed(body, MAX_TEXTS="2", MAX_CHARS="10", MAX_BODY_BYTES="1024")
    assert answer.status_code == 413
    assert message in answer.json()["detail"]


async def ready(client: httpx.AsyncClient, _: Service) -> tuple[int, Any]:
    answer = await client.get("/readyz")
    return answer.status_code, answer.json()


def test_ready_says_what_was_proven() -> None:
    code, body = visit(ready)
    assert code == 200
    assert body["ready"] and body["stage"] == "canary" and body["golden_cosine_min"] == 1.0
    assert body["degraded"] is False


def test_degraded_is_said_at_readyz_and_on_every_answer() -> None:
    async def ask(client: httpx.AsyncClient, service: Service) -> tuple[Any, str]:
        return (await ready(client, service))[1], (await client.get("/livez")).headers["x-degraded"]

    body, header = visit(ask, lambda _: fake_model(degraded=True))
    assert body["degraded"] is True
    assert header == "true"


def test_wrong_vectors_never_become_ready() -> None:
    code, body = visit(ready, lambda _: fake_model(golden=[1.0] + [0.0] * 7))
    assert code == 503
    assert body["phase"] == "failed" and "GoldenMismatch" in body["reason"]


def test_a_model_that_does_not_load_is_explained_and_the_process_lives() -> None:
    def load(_: Config) -> Model:
        raise ModelInvalid("model.onnx has another checksum")

    async def ask(client: httpx.AsyncClient, service: Service) -> tuple[Any, int, int]:
        body = (await ready(client, service))[1]
        asked = await client.post("/embed", json={"texts": ["the"]})
        return body, asked.status_code, (await client.get("/livez")).status_code

    body, asked, alive = visit(ask, load)
    assert body["reason"] == "ModelInvalid: model.onnx has another checksum"
    assert (asked, alive) == (503, 200)


def test_an_unforeseen_failure_of_loading_is_shown_too() -> None:
    def load(_: Config) -> Model:
        raise ZeroDivisionError("surprise")

    assert visit(ready, load)[1]["reason"] == "ZeroDivisionError: surprise"


def test_draining_is_not_ready_but_still_answers() -> None:
    async def ask(client: httpx.AsyncClient, service: Service) -> tuple[int, int, str]:
        service.drain()
        answer = await client.post("/embed", json={"texts": ["the"]})
        return (await ready(client, service))[0], answer.status_code, answer.headers["connection"]

    assert visit(ask) == (503, 200, "close")


def test_metrics_carry_stage_version_and_provider() -> None:
    async def ask(client: httpx.AsyncClient, _: Service) -> str:
        await client.post("/embed", json={"texts": ["the"]})
        await client.get("/nowhere")
        return (await client.get("/metrics")).text

    text = visit(ask)
    assert 'serving_requests_total{code="200",path="/embed",stage="canary"} 1.0' in text
    assert 'serving_requests_total{code="404",path="other",stage="canary"} 1.0' in text
    assert 'serving_tokens_total{stage="canary"} 3.0' in text
    assert 'version="1"' in text and 'provider="CPUExecutionProvider"' in text
    assert 'serving_ready{stage="canary"} 1.0' in text


def test_the_contract_is_published() -> None:
    async def ask(client: httpx.AsyncClient, _: Service) -> Any:
        return (await client.get("/openapi.json")).json()

    post = visit(ask)["paths"]["/embed"]["post"]
    assert post["requestBody"]["content"]["application/json"]["schema"]["properties"]["texts"]["minItems"] == 1
    assert {"200", "413", "422", "429", "503"} <= set(post["responses"])
