from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from serving import problems
from serving.app import create_app
from serving.config import Config, from_env
from serving.errors import ModelInvalid
from serving.metrics import Metrics
from serving.model import Model
from serving.service import Service
from tests.serving_doubles import GatedEngine, fake_model
from tests.serving_http import Wire, visit

JSON = {"content-type": "application/json"}
PATHS = ["/embed", "/v1/embeddings"]


def post(path: str, body: bytes, headers: Mapping[str, str] = JSON, **env: str) -> httpx.Response:
    async def ask(client: httpx.AsyncClient, _: Service) -> httpx.Response:
        return await client.post(path, content=body, headers=headers)

    answer: httpx.Response = visit(ask, env=env)
    return answer


def said(answer: httpx.Response, status: int, reason: str) -> dict[str, Any]:
    """The problem, once it is seen to be one of RFC 9457."""
    body: dict[str, Any] = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, body["status"], body["type"]) == (status, status, f"urn:tandem:problem:{reason}")
    assert body["title"] and body["detail"]
    problems.Problem.model_validate(body)
    return body


def openai(**body: Any) -> bytes:
    return json.dumps({"model": "embedder", **body}).encode()


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
        b"[" * 100_000,
    ],
)
def test_a_body_that_is_none_is_422(body: bytes) -> None:
    assert said(post("/embed", body), 422, "invalid-request")["errors"]


@pytest.mark.parametrize(
    ("body", "at"),
    [
        (openai(), "input"),
        (openai(input=[]), "input"),
        (openai(input=None), "input"),
        (openai(input=["a", 1, "b", 2]), "input.1"),
        (openai(input=[["a"]]), "input.0"),
        (openai(input="a", encoding_format="int8"), "encoding_format"),
        (openai(input="a", user=5), "user"),
        (openai(input="a", model=""), "model"),
        (openai(input="a", model="m" * 257), "model"),
        (openai(input="a", input_type="query"), "input_type"),
        (b'{"input": "a"}', "model"),
    ],
)
def test_what_is_wrong_is_named(body: bytes, at: str) -> None:
    assert [fault["at"] for fault in said(post("/v1/embeddings", body), 422, "invalid-request")["errors"]] == [at]


def test_a_million_faults_are_told_as_one() -> None:
    numbers = b'{"texts":[' + b"1," * 10**6 + b"1]}"
    members = b'{"texts":["a"],' + b",".join(b'"%d":0' % number for number in range(10**5)) + b"}"
    for body in (numbers, members):
        assert len(said(post("/embed", body), 422, "invalid-request")["errors"]) == 1


@pytest.mark.parametrize("dimensions", [8, 256, "8", 0])
def test_shorter_vectors_are_refused_and_why(dimensions: object) -> None:
    body = said(post("/v1/embeddings", openai(input="a", dimensions=dimensions)), 422, "dimensions-fixed")
    assert body["detail"] == "dimensions: the model has vectors of one length; leave it out"


def test_no_dimensions_are_no_fault() -> None:
    assert post("/v1/embeddings", openai(input="a", dimensions=None)).status_code == 200


def test_another_model_is_404_and_the_right_one_named() -> None:
    assert (
        "'fake' serves here"
        in said(post("/v1/embeddings", openai(input="a", model="gpt")), 404, "unknown-model")["detail"]
    )


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("headers", "at"),
    [
        ({"X-Priority": "urgent"}, "X-Priority"),
        ({"X-Priority": ""}, "X-Priority"),
        *(
            ({"X-Request-Timeout-Ms": value}, "X-Request-Timeout-Ms")
            for value in ("0", "-1", "1.5", "", "x", "600001", "9" * 99)
        ),
    ],
)
def test_a_wrong_header_is_named(path: str, headers: dict[str, str], at: str) -> None:
    body = said(post(path, b"", JSON | headers), 422, "invalid-request")
    assert [fault["at"] for fault in body["errors"]] == [at]


@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_is_not_said_to_be_json_is_415(path: str) -> None:
    said(post(path, b'{"texts": ["a"]}', {"content-type": "text/plain"}), 415, "unsupported-media-type")


@pytest.mark.parametrize("media", ["application/json; charset=utf-8", "Application/JSON"])
def test_a_charset_is_no_other_type(media: str) -> None:
    assert post("/embed", b'{"texts": ["a"]}', {"content-type": media}).status_code == 200


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a", "b", "c"], "3 texts, at most 2"),
        (["a" * 11], "11 characters, at most 10"),
        (["a" * 2000], "a body of 2015 bytes, at most 1024"),
    ],
)
def test_a_limit_is_413_and_named(texts: list[str], message: str) -> None:
    answer = post("/embed", json.dumps({"texts": texts}).encode(), MAX_TEXTS="2", MAX_CHARS="10", MAX_BODY_BYTES="1024")
    assert message in said(answer, 413, "too-large")["detail"]
    assert ("connection" in answer.headers) == ("body" in message)


@pytest.mark.parametrize(("method", "path", "status", "reason"), [
    ("GET", "/nowhere", 404, "not-found"),
    ("GET", "/embed/", 404, "not-found"),
    ("GET", "/docs", 404, "not-found"),
    ("GET", "/embed", 405, "method-not-allowed"),
    ("DELETE", "/v1/models", 405, "method-not-allowed"),
])  # fmt: skip
def test_what_the_framework_refuses_is_a_problem_too(method: str, path: str, status: int, reason: str) -> None:
    async def ask(client: httpx.AsyncClient, _: Service) -> httpx.Response:
        return await client.request(method, path)

    answer = visit(ask)
    said(answer, status, reason)
    assert status != 405 or answer.headers["allow"] in ("POST", "GET")


def test_without_a_model_it_is_503_with_the_reason() -> None:
    def load(_: Config) -> Model:
        raise ModelInvalid("model.onnx has another checksum")

    async def ask(client: httpx.AsyncClient, _: Service) -> list[httpx.Response]:
        posts = [await client.post(path, content=b"{") for path in PATHS]
        return [*posts, *[await client.get(path) for path in ("/v1/models", "/readyz")]]

    for answer in visit(ask, load):
        assert said(answer, 503, "not-ready")["detail"] == "ModelInvalid: model.onnx has another checksum"
        assert answer.headers["retry-after"] == "1"


class Broken(GatedEngine):
    """Fails once it is gated."""

    def run(self, batch: Any, /) -> Any:
        """Raises."""
        if self.is_gated:
            raise ZeroDivisionError("the password is hunter2")
        return super().run(batch)


def test_what_nobody_foresaw_is_500_without_its_internals(caplog: pytest.LogCaptureFixture) -> None:
    engine = Broken()

    async def ask(client: httpx.AsyncClient, service: Service) -> tuple[httpx.Response, httpx.Response]:
        engine.is_gated = True
        answers = await client.post("/embed", json={"texts": ["a"]}), await client.get("/metrics")
        assert service.is_ready
        return answers

    with caplog.at_level(logging.CRITICAL):
        answer, metrics = visit(ask, lambda _: fake_model(engine=engine))
    said(answer, 500, "internal")
    assert "hunter2" not in answer.text and "ZeroDivision" not in answer.text
    assert answer.headers["x-model-name"] == "fake"
    assert 'serving_requests_total{code="500",path="/embed",stage="canary"} 1.0' in metrics.text


def gated(ask: Any, budget: int = 64, **env: str) -> Any:
    """Ask a service whose batches are let through one by one."""
    engine = GatedEngine(budget)

    async def go(client: httpx.AsyncClient, service: Service) -> Any:
        engine.is_gated = True
        try:
            return await ask(client, service, engine)
        finally:
            engine.let(10_000)

    return visit(go, lambda _: fake_model(engine=engine), env)


def test_past_the_clients_time_it_is_504_and_nothing_is_run_later() -> None:
    async def ask(client: httpx.AsyncClient, _: Service, engine: GatedEngine) -> httpx.Response:
        blocker = asyncio.create_task(client.post("/embed", json={"texts": ["what"]}))
        await engine.entered()
        late = await client.post("/embed", json={"texts": ["a a"]}, headers={"X-Request-Timeout-Ms": "20"})
        engine.let()
        assert (await blocker).status_code == 200
        fine = asyncio.create_task(client.post("/embed", json={"texts": ["a"]}))
        await engine.entered()
        engine.let()
        assert (await fine).status_code == 200
        assert engine.batches == [[3], [3]]
        return late

    said(gated(ask), 504, "deadline-passed")


def test_the_stage_has_a_time_of_its_own() -> None:
    async def ask(client: httpx.AsyncClient, _: Service, engine: GatedEngine) -> httpx.Response:
        return await client.post("/v1/embeddings", content=openai(input="a"), headers=JSON)

    said(gated(ask, REQUEST_TIMEOUT_MS="20"), 504, "deadline-passed")


async def overload(client: httpx.AsyncClient, service: Service, engine: GatedEngine) -> list[httpx.Response]:
    """Four hundred requests at once on a stopped engine; then it goes."""
    texts = [f"{first} {second} {third}" for first in "abcdefgh" for second in "abcdefgh" for third in "abcdefg"]
    asked = [asyncio.create_task(client.post("/embed", json={"texts": [text]})) for text in texts[:400]]
    await engine.entered()
    while sum(task.done() for task in asked) < 200:
        await asyncio.sleep(0)
        waiting = service.require().standing(0)
        assert waiting.interactive_tokens <= 512
        assert service.memory.held <= 33 << 20
    engine.let(10_000)
    return list(await asyncio.gather(*asked))


def test_overload_is_429_and_never_anything_of_ours() -> None:
    answers = gated(overload, budget=32, MAX_QUEUE_TOKENS="512")
    codes = [answer.status_code for answer in answers]
    assert set(codes) == {200, 429}
    assert 512 // 5 <= codes.count(200) < 200
    for answer in answers:
        if answer.status_code == 429:
            assert "tokens wait" in said(answer, 429, "queue-full")["detail"]
            assert int(answer.headers["retry-after"]) >= 1


def test_requests_that_are_held_are_bounded_in_bytes() -> None:
    async def ask(client: httpx.AsyncClient, service: Service, engine: GatedEngine) -> list[httpx.Response]:
        text = "the " * 4000
        bodies = [json.dumps({"texts": [f"{number} {text}"] * 16}).encode() for number in range(12)]
        asked = [asyncio.create_task(client.post("/embed", content=body, headers=JSON)) for body in bodies]
        while not any(task.done() for task in asked):
            await asyncio.sleep(0)
            assert service.memory.held <= 1 << 20
        engine.let(10_000)
        return list(await asyncio.gather(*asked))

    answers = gated(ask, MAX_HELD_MIB="1", MAX_BODY_BYTES="500000")
    assert {answer.status_code for answer in answers} == {200, 429}
    assert any("bytes are being answered" in answer.text for answer in answers)


def beside_a_batch(*wires: Wire, leave: bool) -> tuple[GatedEngine, str]:
    """Send these while a batch runs; once they wait their clients leave, or not; then the engine goes on."""
    engine, first = GatedEngine(4), Wire("/embed", b'{"texts": ["what"]}')
    config = from_env({})
    service = Service(config, Metrics(config.stage), lambda _: fake_model(engine=engine))
    app = create_app(service)

    async def go() -> str:
        async with app.router.lifespan_context(app), asyncio.timeout(20):
            while not service.has_started:
                await asyncio.sleep(0)
            engine.is_gated = True
            running = asyncio.create_task(app(first.scope, first.receive, first.send))
            await engine.entered()
            others = [asyncio.create_task(app(wire.scope, wire.receive, wire.send)) for wire in wires]
            for _ in range(20):
                await asyncio.sleep(0)
            if leave:
                for wire in wires:
                    wire.left.set()
                await asyncio.gather(*others)
            engine.let(100)
            await asyncio.gather(running, *others)
            return service.metrics.text().decode()

    metrics = asyncio.run(go())
    assert first.status == 200
    return engine, metrics


def two() -> tuple[Wire, Wire]:
    return Wire("/embed", b'{"texts": ["a a a"]}'), Wire("/v1/embeddings", openai(input=["a a", "a a a"]))


def test_texts_of_clients_that_stay_are_run() -> None:
    one, other = two()
    engine, _ = beside_a_batch(one, other, leave=False)
    assert engine.batches == [[3], [5], [4]]
    assert (one.status, other.status) == (200, 200)


def test_texts_of_clients_that_left_are_never_run_and_nobody_is_blamed() -> None:
    one, other = two()
    engine, metrics = beside_a_batch(one, other, leave=True)
    assert engine.batches == [[3]]
    assert (one.status, other.status) == (499, 499)
    assert 'serving_rejects_total{reason="client-gone",stage="testing"} 2.0' in metrics
    assert 'code="5' not in metrics


def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_fault_of_ours() -> None:
    half = Wire("/embed", b'{"texts": [', is_whole=False)
    _, metrics = beside_a_batch(half, leave=True)
    assert half.status == 499
    assert 'code="5' not in metrics


def test_a_body_that_does_not_come_is_waited_for_as_long_as_its_client_said() -> None:
    half = Wire("/embed", b'{"texts": [', headers={"X-Request-Timeout-Ms": "5"}, is_whole=False)
    beside_a_batch(half, leave=False)
    assert half.status == 504
