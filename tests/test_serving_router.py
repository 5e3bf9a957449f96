"""The router between a client and two stages: who answers, what is retried, when the canary loses its share."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving import lifecycle
from serving.lifecycle import Move, Note
from serving.router.app import Drain, Router, build, create_app
from serving.router.config import Config, from_env
from serving.router.guard import alias_back
from serving.router.proxy import CANARY, PRODUCTION, Asked
from serving.router.split import spot
from tests.mlflow_double import Mlflow, folders
from tests.serving_http import Wire

NOTE = Note("somebody", "2026-11-25T12:00:00Z", "a test")
MIB = 2**20
FEW = 20  # requests, after which the canary is judged by its latencies
TEXTS = json.dumps({"texts": ["one"]}).encode()


@dataclass
class Stage:
    """A stage as the router meets it. fails: raised instead of an answer; breaks: after the first piece."""

    version: str
    status: int = 200
    vector: tuple[float, ...] = (1.0, 0.0)
    resident_mib: float = 300.0
    fails: type[httpx.TransportError] | None = None
    breaks: bool = False
    is_ready: bool = True
    took_s: float = 0.01
    asked: list[httpx.Request] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """One request; the router's own questions are not noted."""
        if request.url.path == "/readyz":
            models = [{"role": role, "version": self.version} for role in ("embedder", "summarizer")]
            return httpx.Response(200 if self.is_ready else 503, json={"ready": True, "models": models})
        if request.url.path == "/metrics":
            return httpx.Response(200, text=f"process_resident_memory_bytes {self.resident_mib * MIB}\n")
        if b"lease ends" in request.content:
            return httpx.Response(200, json={"embeddings": [self.vector] * 4})
        self.asked.append(request)
        if self.fails:
            raise self.fails("broken", request=request)
        headers = {"x-model-version": self.version, "content-type": "application/json"}
        return httpx.Response(self.status, headers=headers, content=self._body())

    async def _body(self) -> AsyncIterator[bytes]:
        yield b'{"from": "'
        if self.breaks:
            raise httpx.ReadError("reset")
        yield self.version.encode() + b'"}'


@dataclass
class World:
    """A router, its two stages, a registry with two versions, and time that moves by what stages take."""

    registry: Mlflow
    share: float = 1.0
    more: Mapping[str, str] = field(default_factory=dict)
    now_s: float = 0.0
    production: Stage = field(default_factory=lambda: Stage("1"))
    canary: Stage = field(default_factory=lambda: Stage("2"))

    def run(self, ask: Callable[[httpx.AsyncClient, Router], Awaitable[Any]]) -> Any:
        """Ask, after one look at the stages."""

        async def go() -> Any:
            client = httpx.AsyncClient(transport=httpx.MockTransport(self._pass))
            router = build(self._config(), client, partial(alias_back, self.registry.tracking))
            router.proxy._now = router.guard._now = lambda: self.now_s
            app = create_app(router, Drain())
            async with (
                asyncio.timeout(20),
                httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://router") as asking,
            ):
                await router.guard.look()
                return await ask(asking, router)

        return asyncio.run(go())

    def _config(self) -> Config:
        return from_env({"CANARY_SHARE": str(self.share), **self.more})

    def _pass(self, request: httpx.Request) -> httpx.Response:
        stage = self.canary if request.url.host == "serving-canary" else self.production
        if request.url.path in ("/embed", "/summarize"):
            self.now_s += stage.took_s
        return stage.answer(request)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Version 1 in production, 2 at the canary, where 1 was before."""
    held = Mlflow()
    made: Iterator[Path] = folders(tmp_path)
    for number in ("1", "2"):
        for model, folder in zip(lifecycle.MODELS, [next(made)] * 2, strict=True):
            lifecycle.register(held.tracking, model, folder, NOTE)
            lifecycle.move(held.tracking, Move(model, "canary", "1" if number == "2" else "", number), NOTE)
    return World(held)


async def embed(asking: httpx.AsyncClient, times: int = 1, path: str = "/embed") -> httpx.Response:
    """The last of so many requests."""
    for _ in range(times):
        answer = await asking.post(path, content=TEXTS)
    return answer


def usual(router: Router, world: World) -> None:
    """Production had as many, each in 10 ms."""
    for _ in range(FEW):
        router.proxy.windows[PRODUCTION, "embedder"].add(world.now_s, 10.0)


def told(router: Router, series: str) -> float:
    """A number of the router's exposition."""
    lines = [line for line in router.metrics.text().decode().splitlines() if line.startswith(series + " ")]
    return float(lines[0].rpartition(" ")[2])


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
        return await asking.post("/v1/embeddings?a=%20b", content=TEXTS, headers={"x-request-timeout-ms": "9"})

    answer = world.run(ask)
    (asked,) = world.production.asked
    assert (asked.url.raw_path, asked.content) == (b"/v1/embeddings?a=%20b", TEXTS)
    assert (asked.headers["x-request-timeout-ms"], asked.headers["host"]) == ("9", "serving-production:8000")
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


BAD: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "fails": ({"status": 500}, "errors"),
    "slow": ({"took_s": 0.2}, "latency"),
    "wrong vectors": ({"vector": (0.0, 1.0)}, "vectors"),
    "another width": ({"vector": (1.0, 0.0, 0.0)}, "vectors"),
    "no numbers": ({"vector": (None, 0.0)}, "errors"),
    "too large": ({"resident_mib": 2100.0}, "memory"),
    "leaks": ({"resident_mib": 900.0}, "memory"),
}


@pytest.mark.parametrize(("how", "reason"), BAD.values(), ids=BAD)
def test_a_bad_version_loses_its_share_and_its_alias(how: Mapping[str, Any], reason: str, world: World) -> None:
    world.more = {"LEAST_REQUESTS": str(FEW)}

    async def ask(asking: httpx.AsyncClient, router: Router) -> None:
        vars(world.canary).update(how)
        await embed(asking, FEW)  # all go to the canary first
        usual(router, world)
        for _ in range(3):
            await router.guard.look()
        assert router.split.share("embedder") == 0
        assert told(router, f'router_rollbacks_total{{reason="{reason}"}}') >= 1
        assert told(router, 'router_canary_share{model="embedder"}') == 0
        assert (await embed(asking)).json() == {"from": "1"}

    world.run(ask)
    assert world.registry.aliases["embedder"] == {"canary": "1"}
    note = json.loads(world.registry.tags("embedder", "2")["tandem.canary.rolled-back"])
    assert (note["who"], note["why"].partition(":")[0]) == ("the router", reason)


def test_a_good_version_keeps_its_share(world: World) -> None:
    world.more = {"LEAST_REQUESTS": str(FEW)}

    async def ask(asking: httpx.AsyncClient, router: Router) -> None:
        await embed(asking, FEW)
        usual(router, world)
        await router.guard.look()
        assert router.split.share("embedder") == 1.0

    world.run(ask)
    assert world.registry.aliases["embedder"] == {"canary": "2", "canary-previous": "1"}


def test_with_mlflow_down_the_share_goes_at_once_and_the_alias_later(world: World) -> None:
    async def ask(_asking: httpx.AsyncClient, router: Router) -> None:
        world.canary.vector, world.registry.is_down = (0.0, 1.0), True
        await router.guard.look()
        assert router.split.share("embedder") == 0
        world.registry.is_down = False
        await router.guard.look()
        assert world.registry.aliases["embedder"] == {"canary": "1"}
        await router.guard.look()
        assert told(router, 'router_rollbacks_total{reason="vectors"}') == 1

    world.run(ask)


def test_an_alias_that_was_moved_meanwhile_is_left_alone(world: World) -> None:
    world.registry.tracking.set_alias("embedder", "canary", "1")

    async def ask(_asking: httpx.AsyncClient, router: Router) -> None:
        world.canary.vector = (0.0, 1.0)
        await router.guard.look()

    world.run(ask)
    assert world.registry.aliases["embedder"] == {"canary": "1", "canary-previous": "1"}


def test_another_version_gets_the_share_again(world: World) -> None:
    async def ask(_asking: httpx.AsyncClient, router: Router) -> None:
        world.canary.vector = (0.0, 1.0)
        await router.guard.look()
        assert (router.split.share("embedder"), router.split.share("summarizer")) == (0, 1)
        world.canary.version, world.canary.vector = "3", (1.0, 0.0)
        await router.guard.look()
        assert router.split.share("embedder") == 1

    world.run(ask)


def test_a_version_answers_nobody_before_it_was_found_well(world: World) -> None:
    async def ask(asking: httpx.AsyncClient, router: Router) -> None:
        world.canary.version, world.canary.vector = "3", (0.0, 1.0)  # swapped between two looks
        assert (await embed(asking)).json() == {"from": "1"}
        await router.guard.look()
        assert (await embed(asking)).json() == {"from": "1"}
        world.canary.version, world.canary.vector = "4", (1.0, 0.0)
        assert (await embed(asking)).json() == {"from": "1"}
        await router.guard.look()
        assert (await embed(asking)).json() == {"from": "4"}

    world.run(ask)


def test_a_canary_that_is_not_ready_gets_nothing_and_is_not_blamed(world: World) -> None:
    async def ask(asking: httpx.AsyncClient, router: Router) -> None:
        world.canary.is_ready = False
        await router.guard.look()
        assert (await embed(asking)).json() == {"from": "1"}
        assert (await asking.get("/readyz")).json()["lost"] == {}
        world.canary.is_ready = True
        await router.guard.look()
        assert (await embed(asking)).json() == {"from": "2"}

    world.run(ask)
    assert world.registry.aliases["embedder"]["canary"] == "2"


def test_ready_means_that_production_is(world: World) -> None:
    async def ask(asking: httpx.AsyncClient, router: Router) -> None:
        assert (await asking.get("/readyz")).status_code == 200
        world.production.is_ready = False
        await router.guard.look()
        assert (await asking.get("/readyz")).status_code == 503
        assert (await asking.get("/livez")).status_code == 200
        assert "router_canary_share" in (await asking.get("/metrics")).text

    world.run(ask)


def test_without_eyes_no_request_goes_to_the_canary(world: World) -> None:
    async def ask(_asking: httpx.AsyncClient, router: Router) -> None:
        keeping = asyncio.create_task(router.guard.keep(60.0))
        await asyncio.sleep(0)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        assert (router.split.share("embedder"), CANARY) == (0, "canary")

    world.run(ask)
