from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx

from serving.config import Config
from serving.errors import ModelInvalid
from serving.model import Model
from serving.service import Phase, Service
from tests.serving_doubles import fake_model
from tests.serving_http import visit


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


def test_starting_ends_when_loading_does() -> None:
    async def ask(client: httpx.AsyncClient, _: Service) -> tuple[int, int, int]:
        found = [await client.get(path) for path in ("/startupz", "/livez", "/readyz")]
        return found[0].status_code, found[1].status_code, found[2].status_code

    async def wait(client: httpx.AsyncClient, service: Service) -> tuple[int, int, int]:
        before = await ask(client, service)
        held.release()
        while not service.has_started:
            await asyncio.sleep(0)
        assert before == (503, 200, 503)
        return await ask(client, service)

    def load(_: Config) -> Model:
        assert held.acquire(timeout=10)
        return fake_model()

    held = threading.Semaphore(0)
    assert visit(wait, load, wait=False) == (200, 200, 200)


def test_what_failed_to_load_has_started_all_the_same() -> None:
    async def ask(client: httpx.AsyncClient, _: Service) -> tuple[int, Any]:
        answer = await client.get("/startupz")
        return answer.status_code, answer.json()["phase"]

    def load(_: Config) -> Model:
        raise ModelInvalid("model.onnx has another checksum")

    assert visit(ask, load) == (200, "failed")


def test_draining_is_not_ready_but_still_answers() -> None:
    async def ask(client: httpx.AsyncClient, service: Service) -> tuple[int, int, str]:
        service.drain()
        answer = await client.post("/embed", json={"texts": ["the"]})
        return (await ready(client, service))[0], answer.status_code, answer.headers["connection"]

    assert visit(ask) == (503, 200, "close")


def test_stopping_refuses_what_is_new() -> None:
    async def ask(client: httpx.AsyncClient, service: Service) -> tuple[int, str, str]:
        service.drain()
        service.stop()
        service.drain()
        answer = await client.post("/embed", json={"texts": ["the"]})
        return answer.status_code, answer.json()["type"], answer.headers["connection"]

    assert visit(ask) == (503, "urn:tandem:problem:draining", "close")


def test_what_was_closed_stops() -> None:
    async def ask(_: httpx.AsyncClient, service: Service) -> Service:
        return service

    service: Service = visit(ask)
    assert (service.phase, service.is_ready) == (Phase.STOPPING, False)
    assert 'serving_ready{stage="canary"} 0.0' in service.exposition().decode()
