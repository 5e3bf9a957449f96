"""When a canary gets its share, and when it loses it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.router.app import Router
from serving.router.proxy import CANARY
from tests.router_doubles import FEW, World, embed, made, told, usual


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Version 1 in production, 2 at the canary, where 1 was before."""
    return made(tmp_path)


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
