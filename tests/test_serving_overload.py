from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx

from serving.app import create_app
from serving.config import from_env
from serving.metrics import Metrics
from serving.service import Service
from tests.serving_doubles import GatedEngine, fake_model
from tests.serving_http import JSON, Wire, openai, said, visit


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
