"""The connection as bytes: heads are bounded in size and time, and what is no HTTP is answered with a problem."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from serving import wire
from serving.__main__ import build
from serving.config import from_env
from serving.source import folders

REQUEST = b"POST /embed HTTP/1.1\r\nhost: stage\r\ncontent-length: 4\r\n\r\nbody"


class Line(asyncio.Transport):
    """A client's end."""

    def __init__(self) -> None:
        super().__init__()
        self.told = b""
        self.writes = 0
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.told += bytes(data)
        self.writes += 1

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    @property
    def status(self) -> int:
        return int(self.told.split(b" ", 2)[1])

    @property
    def problem(self) -> str:
        head, _, body = self.told.partition(b"\r\n\r\n")
        assert b"content-type: application/problem+json" in head
        assert b"connection: close" in head
        said = json.loads(body)
        assert said["status"] == self.status and said["title"] and said["detail"]
        return str(said["type"]).rpartition(":")[2]


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def talk(say: Callable[[wire.Protocol, Line], None], *, wait_s: float = 0.0) -> Line:
    """What a connection was told, once the loop has nothing more to do for it."""

    async def go() -> Line:
        line = Line()
        config = uvicorn.Config(echo, http=wire.NAME, ws="none", lifespan="off", log_config=None)
        protocol = wire.Protocol(config=config, server_state=ServerState(), app_state={})
        protocol.connection_made(line)
        say(protocol, line)
        await asyncio.sleep(wait_s)
        for _ in range(10):
            await asyncio.sleep(0)
        protocol.connection_lost(ConnectionResetError())
        return line

    return asyncio.run(go())


def test_a_request_is_answered_and_the_connection_kept() -> None:
    def say(protocol: wire.Protocol, _: Line) -> None:
        for byte in REQUEST:
            protocol.data_received(bytes([byte]))

    line = talk(say)
    assert line.status == 200
    assert line.told.endswith(b"body")
    assert not line.is_closed


def test_head_and_body_of_an_answer_leave_together_and_before_the_connection_ends() -> None:
    def say(protocol: wire.Protocol, _: Line) -> None:
        protocol.data_received(REQUEST.replace(b"host: stage", b"host: stage\r\nconnection: close"))

    line = talk(say)
    assert (line.status, line.writes, line.is_closed) == (200, 1, True)
    assert line.told.endswith(b"body")


@pytest.mark.parametrize("piece", [b"x: " + b"a" * 8000 + b"\r\n", b"a" * 8000], ids=["many headers", "one header"])
def test_a_head_without_end_is_refused_once_it_is_too_large(piece: bytes) -> None:
    sent = 0

    def say(protocol: wire.Protocol, line: Line) -> None:
        nonlocal sent
        protocol.data_received(b"POST /embed HTTP/1.1\r\nx: ")
        while not line.is_closed and sent < 100 * len(piece):
            protocol.data_received(piece)
            sent += len(piece)

    line = talk(say)
    assert (line.status, line.problem) == (431, "head-too-large")
    assert wire.HEAD_BYTES - len(piece) <= sent <= wire.HEAD_BYTES + len(piece)


def test_a_body_may_be_larger_than_a_head() -> None:
    size = 3 * wire.HEAD_BYTES

    def say(protocol: wire.Protocol, _: Line) -> None:
        protocol.data_received(b"POST /embed HTTP/1.1\r\nhost: stage\r\ncontent-length: %d\r\n\r\n" % size)
        for _turn in range(3):
            protocol.data_received(b"b" * wire.HEAD_BYTES)

    assert talk(say).status == 200


def test_many_requests_on_one_connection_are_no_large_head() -> None:
    turns = wire.HEAD_BYTES // len(REQUEST) + 2

    async def go() -> Line:
        line = Line()
        config = uvicorn.Config(echo, http=wire.NAME, ws="none", lifespan="off", log_config=None)
        protocol = wire.Protocol(config=config, server_state=ServerState(), app_state={})
        protocol.connection_made(line)
        for _ in range(turns):
            protocol.data_received(REQUEST)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        protocol.connection_lost(ConnectionResetError())
        return line

    line = asyncio.run(go())
    assert line.told.count(b"HTTP/1.1 200") == turns


@pytest.mark.parametrize("said", [b"", b"POST /embed HTT", REQUEST + b"POST /em"], ids=["nothing", "half", "second"])
def test_a_head_that_does_not_come_is_not_waited_for(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "HEAD_S", 0.01)
    line = talk(lambda protocol, _: protocol.data_received(said) if said else None, wait_s=0.05)
    assert line.is_closed
    assert b"408" in line.told
    assert line.told.count(b"HTTP/1.1 200") == (said.startswith(REQUEST))


def test_an_answer_on_its_way_is_not_cut_by_a_head_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "HEAD_S", 0.01)
    line = talk(lambda protocol, _: protocol.data_received(REQUEST[:-2]), wait_s=0.05)
    assert not line.is_closed and not line.told  # the body's time is the application's to judge


@pytest.mark.parametrize("said", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"G\x00T / HTTP/1.1\r\n\r\n"])
def test_what_is_no_http_is_told_so(said: bytes) -> None:
    line = talk(lambda protocol, _: protocol.data_received(said))
    assert (line.status, line.problem) == (400, "malformed-request")
    assert line.is_closed


def test_an_idle_connection_is_kept_longer_than_clients_keep_theirs(tmp_path: Path) -> None:
    config = from_env({"MODEL_DIR": str(tmp_path)})

    async def kept_s() -> int:
        return build(config, folders(config), {}).config.timeout_keep_alive

    assert asyncio.run(kept_s()) == wire.KEEP_S > 60
