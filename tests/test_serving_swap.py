"""A model changes while its process serves; what is wrong with the new one never reaches a client."""

from __future__ import annotations

import asyncio
import itertools
import weakref
from collections import Counter
from typing import Any

import httpx
import pytest

from serving.embedder import Speed
from serving.service import Service
from tests.serving_stage import Stage, serves


@pytest.mark.parametrize("path", ["/embed", "/summarize"])
def test_under_load_no_request_fails_and_every_answer_is_of_one_model(path: str) -> None:
    stage, numbers = Stage(), itertools.count()

    async def ask(client: httpx.AsyncClient, service: Service) -> Counter[str]:
        old, is_over = [seat.desk for seat in service.seats], asyncio.Event()

        async def go_on() -> Counter[str]:
            seen: Counter[str] = Counter()
            while not is_over.is_set():
                answer = await client.post(path, json={"texts": ["abcdef", f"{next(numbers)}"]})
                assert answer.status_code == 200
                assert answer.headers["x-model-version"] == answer.json()["version"]
                seen[answer.json()["version"]] += 1
            return seen

        clients = [asyncio.create_task(go_on()) for _ in range(8)]
        for version in ("2", "3"):
            await stage.looked()
            stage.embedder.version = stage.summarizer.version = version
            await serves(service, version, version)
        await stage.looked()
        is_over.set()
        seen = sum(await asyncio.gather(*clients), Counter[str]())
        while any(seat._ending for seat in service.seats):
            await asyncio.sleep(0)
        for desk in old:
            assert desk is not None
            desk.wait(0)
            threads = desk._scheduler._threads if hasattr(desk, "_scheduler") else desk._pool._threads
            assert not any(thread.is_alive() for thread in threads)
        return seen

    seen = stage.visit(ask)
    assert set(seen) >= {"1", "3"}
    assert stage.loaded.count("2") == stage.loaded.count("s3") == 1


def test_what_is_in_flight_ends_on_the_model_it_began_with() -> None:
    stage = Stage()

    async def ask(client: httpx.AsyncClient, service: Service) -> tuple[list[str], str]:
        old_engine, old = stage.engines["1"], service.require()
        old_engine.is_gated = stage.summaries["1"].is_gated = True
        asked = [
            asyncio.create_task(client.post("/embed", json={"texts": ["the"]})),
            asyncio.create_task(client.post("/summarize", json={"texts": ["the"]})),
        ]
        await asyncio.gather(old_engine.entered(), stage.summaries["1"].entered())
        stage.embedder.version = stage.summarizer.version = "2"
        await serves(service, "2", "2")
        new = [await client.post(path, json={"texts": ["the"]}) for path in ("/embed", "/summarize")]
        assert not any(task.done() for task in asked) and not old._is_closed
        old_engine.let(9)
        stage.summaries["1"].let(99)
        answers = [*await asyncio.gather(*asked), *new]
        assert [answer.status_code for answer in answers] == [200] * 4
        assert old._is_closed
        return [answer.json()["version"] for answer in answers], service.exposition().decode()

    versions, metrics = stage.visit(ask)
    assert versions == ["1", "1", "2", "2"]
    for role in ("embedder", "summarizer"):
        assert f'serving_swap_total{{model="{role}",result="swapped",stage="canary"}} 1.0' in metrics
    assert metrics.count("\nserving_info{") == metrics.count('version="2"}') == 2


def test_a_version_that_fails_its_proof_is_refused_told_of_and_not_tried_again() -> None:
    stage = Stage()

    async def ask(client: httpx.AsyncClient, service: Service) -> list[Any]:
        found = []
        for version in ("bad", "2", "bad", "2"):
            stage.embedder.version = stage.summarizer.version = version
            await stage.looked()
            while "2" == version != service.require().model.manifest.version:
                await asyncio.sleep(0.001)
            await stage.looked()
            ready = await client.get("/readyz")
            assert ready.status_code == 200
            assert (await client.post("/summarize", json={"texts": ["a"]})).status_code == 200
            found.append(ready.json()["models"])
        return [*found, (await client.get("/metrics")).text]

    first, second, third, fourth, metrics = stage.visit(ask)
    standings = (first, second, third, fourth)
    told = [{(one["version"], one["refused_version"]) for one in standing} for standing in standings]
    assert told == [{("1", "bad")}, {("2", None)}, {("2", "bad")}, {("2", None)}]
    assert all(one["refused_reason"].startswith("GoldenMismatch") for one in (*first, *third))
    assert Counter(stage.loaded) == {"1": 1, "s1": 1, "bad": 1, "sbad": 1, "2": 1, "s2": 1}
    for role in ("embedder", "summarizer"):
        assert f'serving_swap_total{{model="{role}",result="refused",stage="canary"}} 1.0' in metrics


def test_nothing_of_the_old_version_is_answered_from_the_cache() -> None:
    stage = Stage()

    async def ask(client: httpx.AsyncClient, service: Service) -> tuple[int, int]:
        for _ in range(2):
            await client.post("/embed", json={"texts": ["the"]})
        stage.embedder.version = "2"
        await serves(service, "2", "1")
        stage.engines["2"].is_gated = True
        stage.engines["2"].let(9)
        answer = await client.post("/embed", json={"texts": ["the"]})
        assert answer.json()["version"] == "2"
        return len(stage.engines["1"].batches), len(stage.engines["2"].batches)

    assert stage.visit(ask) == (0, 1)


def test_what_was_replaced_gives_its_memory_back() -> None:
    stage = Stage()

    async def ask(client: httpx.AsyncClient, service: Service) -> list[Any]:
        assert (await client.post("/embed", json={"texts": ["the"]})).status_code == 200
        assert (await client.post("/summarize", json={"texts": ["the"]})).status_code == 200
        old: list[weakref.ref[Any]] = [weakref.ref(stage.engines.pop("1")), weakref.ref(stage.summaries.pop("1"))]
        stage.embedder.version = stage.summarizer.version = "2"
        await serves(service, "2", "2")
        while any(seat._ending for seat in service.seats):
            await asyncio.sleep(0)
        return [one() for one in old]

    assert stage.visit(ask) == [None, None]


def test_what_was_warmed_up_beside_a_busy_model_refuses_nobody_for_it() -> None:
    stage = Stage()

    async def ask(_: httpx.AsyncClient, service: Service) -> tuple[float, float]:
        before = service.require().standing(0).rate
        slow = Speed(64, 640.0)  # a tenth of a token a second
        found = service.require().faster(slow)
        return before, found.tokens / found.seconds * service.config.workers

    before, after = stage.visit(ask)
    assert after == pytest.approx(before) and before > 100
