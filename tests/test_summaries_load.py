"""Summaries side by side with embeddings, too many of them, late ones, and those that nobody waits for."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from serving.app import create_app
from serving.config import from_env
from serving.metrics import Metrics
from serving.service import Service
from serving.summaries import routes
from tests.serving_doubles import fake_model
from tests.serving_http import Wire, said, visit
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
