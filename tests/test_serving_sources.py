"""Where versions come from: a source that is down, one that begins with a bad version, a folder."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx

from serving.service import Service
from serving.source import Folder, Found
from tests.serving_http import said
from tests.serving_stage import Stage, serves
from tests.summaries_doubles import Moving


def test_a_source_that_does_not_answer_changes_nothing_and_is_told() -> None:
    stage = Stage()

    async def ask(client: httpx.AsyncClient, _: Service) -> tuple[Any, Any]:
        stage.embedder.version = None
        await stage.looked()
        down = (await client.get("/readyz")).json()
        assert (await client.post("/embed", json={"texts": ["the"]})).status_code == 200
        stage.embedder.version = "1"
        await stage.looked()
        return down, (await client.get("/readyz")).json()

    down, up = stage.visit(ask)
    assert down["ready"] and down["models"][0]["source_trouble"] == "SourceUnavailable: the registry does not answer"
    assert [one["source_trouble"] for one in up["models"]] == [None, None]
    assert stage.loaded.count("1") == 1


def test_a_start_without_its_source_waits_for_it() -> None:
    stage = Stage(summarizer=None)

    async def ask(client: httpx.AsyncClient, service: Service) -> tuple[httpx.Response, int]:
        await stage.looked()
        while service.embedder.proven is None:
            await asyncio.sleep(0.001)
        down = await client.get("/readyz")
        stage.summarizer.version = "7"
        await serves(service, "1", "7")
        return down, (await client.get("/readyz")).status_code

    down, code = stage.visit(ask, wait=False)
    body = said(down, 503, "not-ready")
    assert (body["phase"], body["reason"]) == ("loading", "SourceUnavailable: the registry does not answer")
    assert code == 200


def test_a_start_without_its_registry_serves_the_last_good_folder() -> None:
    class Cached(Moving):
        """What a source does that keeps what it brought before."""

        def current(self) -> Found:
            self.version = self.version or "last-good"
            return super().current()

    stage = Stage()
    stage.embedder, stage.summarizer = Cached(None), Cached(None)

    async def ask(client: httpx.AsyncClient, _: Service) -> Any:
        return (await client.get("/readyz")).json()

    assert [one["version"] for one in stage.visit(ask)["models"]] == ["last-good", "last-good"]


def test_a_process_that_began_with_a_bad_version_becomes_ready_with_a_good_one() -> None:
    stage = Stage("bad")

    async def ask(client: httpx.AsyncClient, service: Service) -> tuple[httpx.Response, int]:
        failed = await client.get("/readyz")
        stage.embedder.version = "2"
        await serves(service, "2", "1")
        return failed, (await client.get("/readyz")).status_code

    failed, code = stage.visit(ask)
    assert said(failed, 503, "not-ready")["phase"] == "failed"
    assert code == 200


def test_what_stops_takes_no_other_model() -> None:
    stage = Stage()

    async def ask(_: httpx.AsyncClient, service: Service) -> Service:
        return service

    service: Service = stage.visit(ask)
    stage.embedder.version = "2"
    asyncio.run(service.embedder.look())
    assert service.embedder.proven is not None and service.embedder.proven.model.manifest.version == "1"


def test_a_folder_is_one_model_for_the_life_of_the_process(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"version": "5"}')
    source = Folder(tmp_path)
    first = source.current()
    (tmp_path / "manifest.json").write_text('{"version": "6"}')
    assert source.current() == first
    assert (first.folder, first.version, len(first.digest)) == (tmp_path, "5", 64)
    assert Folder(tmp_path).current().digest != first.digest
    assert Folder(tmp_path / "nothing").current() == Found(tmp_path / "nothing", "", "")
