"""The router between a client and two stages: who answers, and what is asked again."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.router.app import Router
from serving.router.proxy import Asked
from serving.router.split import spot
from tests.router_doubles import TEXTS, World, embed, made, told
from tests.serving_http import Wire

CALLED = {"x-request-timeout-ms": "9", "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Version 1 in production, 2 at the canary, where 1 was before."""
    return made(tmp_path)


def test_the_share_is_that_of_the_ids(world: World) -> None:
    world.share = 0.25

    async def ask(asking: httpx.AsyncClient, _router: Router) -> list[tuple[str, str]]:
        ids = [f"id-{number}" for number in range(200)]
        answers = [await asking.post("/embed", content=TEXTS, headers={"x-request-id": one}) for one in ids]
        return [(one, answer.json()["from"]) for one, answer in zip(ids, answers, strict=True)]

    found = world.run(ask)
    assert found == [(one, "2" if spot(one) < 0.25 else "1") for one, _ in found]
    assert 30 <= len(world.canary.asked) <= 70


def test_head_body_and_answer_pass_unchanged(world: World) -> None:
    world.share = 0.0

    async def ask(asking: httpx.AsyncClient, _router: Router) -> httpx.Response:
        return await asking.post("/v1/embeddings?a=%20b", content=TEXTS, headers=CALLED)

    answer = world.run(ask)
    (asked,) = world.production.asked
    assert {name: asked.headers[name] for name in CALLED} == CALLED
    assert (asked.url.raw_path, asked.content) == (b"/v1/embeddings?a=%20b", TEXTS)
    assert asked.headers["host"] == "serving-production:8000"
    assert (answer.status_code, answer.json(), answer.headers["x-model-version"]) == (200, {"from": "1"}, "1")
    assert answer.headers["x-request-id"] == asked.headers["x-request-id"] != ""


def test_only_what_computes_goes_to_a_canary(world: World) -> None:
    async def ask(asking: httpx.AsyncClient, _router: Router) -> None:
        assert (await asking.get("/v1/models")).json() == {"from": "1"}
        assert (await asking.post("/other", content=b"{}")).json() == {"from": "1"}
        assert (await embed(asking, path="/summarize")).json() == {"from": "2"}

    world.run(ask)


@pytest.mark.parametrize(
    "how", [{"fails": httpx.ConnectError}, {"fails": httpx.ReadTimeout}, {"status": 500}, {"status": 429}]
)
def test_production_answers_once_when_the_canary_fails_before_its_first_byte(
    how: Mapping[str, Any], world: World
) -> None:
    vars(world.canary).update(how)

    async def ask(asking: httpx.AsyncClient, router: Router) -> None:
        answer = await embed(asking)
        assert (answer.status_code, answer.json()) == (200, {"from": "1"})
        assert told(router, "router_fallbacks_total") == 1

    world.run(ask)
    assert (len(world.canary.asked), len(world.production.asked)) == (1, 1)
    assert world.production.asked[0].content == TEXTS


@pytest.mark.parametrize(("error", "status"), [(httpx.ConnectError, 502), (httpx.ReadTimeout, 504)])
def test_production_is_never_asked_twice(error: type[httpx.TransportError], status: int, world: World) -> None:
    world.share, world.production.fails = 0.0, error

    async def ask(asking: httpx.AsyncClient, router: Router) -> None:
        answer = await embed(asking)
        assert (answer.status_code, answer.json()["status"]) == (status, status)
        assert answer.headers["content-type"] == "application/problem+json"
        assert told(router, f'router_requests_total{{code="{status}",stage="router"}}') == 1

    world.run(ask)
    assert len(world.production.asked) == 1


def test_a_failure_keeps_nothing_of_its_request(world: World) -> None:
    world.share, world.production.fails = 0.0, httpx.ConnectError

    async def ask(asking: httpx.AsyncClient, _router: Router) -> int:
        gc.collect()
        gc.disable()
        try:
            await embed(asking, 3)
            return sum(isinstance(one, Asked) for one in gc.get_objects())
        finally:
            gc.enable()

    assert world.run(ask) == 0


def test_an_answer_that_breaks_off_is_not_begun_again(world: World) -> None:
    world.canary.breaks = True

    async def ask(_asking: httpx.AsyncClient, router: Router) -> list[str]:
        sent: list[str] = []
        wire = Wire("/embed", TEXTS)

        async def send(message: Any) -> None:
            sent.append(message["type"])

        await router.proxy(wire.scope, wire.receive, send)
        return sent

    assert world.run(ask) == ["http.response.start", "http.response.body"]
    assert world.production.asked == []


def test_a_client_that_leaves_takes_its_question_along(world: World) -> None:
    async def ask(_asking: httpx.AsyncClient, router: Router) -> None:
        waiting = asyncio.Event()

        async def never(request: httpx.Request) -> httpx.Response:
            waiting.set()
            await asyncio.Event().wait()
            raise AssertionError(request)

        router.proxy._client = httpx.AsyncClient(transport=httpx.MockTransport(never))
        wire = Wire("/embed", TEXTS)
        passing = asyncio.create_task(router.proxy(wire.scope, wire.receive, wire.send))
        await waiting.wait()
        wire.left.set()
        await passing
        assert wire.status == 0
        assert router.proxy._held == 0

    world.run(ask)


def test_bodies_are_bounded_one_by_one_and_together(world: World) -> None:
    world.more = {"MAX_BODY_BYTES": "2048", "MAX_HELD_MIB": "1"}

    async def ask(asking: httpx.AsyncClient, router: Router) -> None:
        assert (await asking.post("/embed", content=b"x" * 2049)).status_code == 413
        router.proxy._held = (1 << 20) - 10
        answer = await asking.post("/embed", content=b"x" * 11)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert router.proxy._held == (1 << 20) - 10

    world.run(ask)
    assert world.production.asked == world.canary.asked == []


@pytest.mark.parametrize("fails", [httpx.LocalProtocolError, httpx.InvalidURL])
def test_what_cannot_be_passed_on_is_the_clients_fault_and_no_stages(world: World, fails: Any) -> None:
    """A header that HTTP does not allow was 502, and counted against the canary."""
    world.share = 1.0

    def refuse(request: httpx.Request) -> httpx.Response:
        raise fails("illegal header value")

    async def ask(asking: httpx.AsyncClient, router: Router) -> httpx.Response:
        router.client._transport = httpx.MockTransport(refuse)
        answer = await embed(asking)
        assert all(window.seen(world.now_s).total == 0 for window in router.proxy.windows.values())
        return answer

    answer = world.run(ask)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:tandem:problem:router-400")


def test_blanks_around_a_header_are_not_passed_on(world: World) -> None:
    world.share = 0.0

    async def ask(asking: httpx.AsyncClient, _router: Router) -> httpx.Response:
        return await asking.post("/embed", content=TEXTS, headers={"x-request-id": " an id \t"})

    assert world.run(ask).status_code == 200
    (asked,) = world.production.asked
    assert asked.headers["x-request-id"] == "an id"


def test_a_body_that_does_not_come_is_not_waited_for(world: World) -> None:
    world.more = {"BODY_S": "0.01"}
    wire = Wire("/embed", b"{", is_whole=False)

    async def ask(_asking: httpx.AsyncClient, router: Router) -> None:
        await asyncio.wait_for(router.proxy(wire.scope, wire.receive, wire.send), 5)

    world.run(ask)
    assert wire.status == 408
