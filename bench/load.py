"""A closed loop of clients on loopback: HTTP/1.1 over plain streams, because the client shares the server's cores."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace

from serving import gates

HOST = "127.0.0.1"
ANSWER_S = 120.0  # the longest wait for one answer
BEFORE_S = 1.0  # that others ask before a drive begins

Body = Callable[[str], bytes]


class ServerFailed(Exception):
    """A server broke a connection, or answered something that is not HTTP with a length."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One drive: answers a second, latencies, how many were counted, and how many were not answered with 200.

    server_ms, client_ms: time of one core an answer; where they fill all cores, no more is to be had."""

    rate: float
    p50_ms: float
    p99_ms: float
    count: int
    failed: int
    server_ms: float = 0.0
    client_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Beside:
    """What other clients ask for as long as a drive lasts, one after the other; only their failures count."""

    path: str
    bodies: tuple[bytes, ...]
    clients: int


def drive(
    port: int, path: str, bodies: Sequence[bytes], clients: int, seconds: float, beside: Beside | None = None
) -> Figure:
    """So many clients, each asking anew as soon as it is answered, for so long; what is under way is awaited."""
    return asyncio.run(_beside(port, beside, _drive(port, path, bodies, clients, seconds)))


def ask(port: int, path: str, body: bytes | None) -> tuple[int, bytes]:
    """One request; status and body. `None`: a GET. Raises OSError while nobody listens."""
    return asyncio.run(_once(port, path, body))


async def _drive(port: int, path: str, bodies: Sequence[bytes], clients: int, seconds: float) -> Figure:
    taken: list[float] = []
    failed = 0
    todo = itertools.cycle(_request(path, body) for body in bodies)
    began = time.perf_counter()

    async def client() -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection(HOST, port)
        try:
            while time.perf_counter() - began < seconds:
                asked = time.perf_counter()
                status, _ = await _exchange(reader, writer, next(todo))
                if status == 200:
                    taken.append(time.perf_counter() - asked)
                else:
                    failed += 1
        finally:
            writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    spent = time.perf_counter() - began
    p50, p99 = (gates.percentile(taken, percent) * 1000 if taken else float("nan") for percent in (50, 99))
    return Figure(len(taken) / spent, p50, p99, len(taken), failed)


async def _beside(port: int, beside: Beside | None, driven: Coroutine[None, None, Figure]) -> Figure:
    """The same while others ask, who began a little before."""
    if beside is None:
        return await driven
    over, failed = asyncio.Event(), 0
    todo = itertools.cycle(beside.bodies)

    async def client() -> None:
        nonlocal failed
        while not over.is_set():
            status, _ = await _once(port, beside.path, next(todo))
            failed += status != 200

    async with asyncio.TaskGroup() as group:
        for _ in range(beside.clients):
            group.create_task(client())
        await asyncio.sleep(BEFORE_S)
        figure = await driven
        over.set()
    return replace(figure, failed=figure.failed + failed)


async def _once(port: int, path: str, body: bytes | None) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        return await _exchange(reader, writer, _request(path, body))
    finally:
        writer.close()


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> tuple[int, bytes]:
    writer.write(request)
    try:
        async with asyncio.timeout(ANSWER_S):
            head = await reader.readuntil(b"\r\n\r\n")
            return int(head.split(b" ", 2)[1]), await reader.readexactly(length(head))
    except (asyncio.IncompleteReadError, ConnectionError, TimeoutError) as error:
        raise ServerFailed(f"no answer: {type(error).__name__}") from error


def length(head: bytes) -> int:
    """Content-Length of a response's head. Raises ServerFailed without one."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise ServerFailed("an answer without a length")


def _request(path: str, body: bytes | None) -> bytes:
    verb = "GET" if body is None else "POST"
    head = f"{verb} {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body or b'')}\r\n\r\n".encode() + (body or b"")


def bodies(texts: Sequence[str]) -> list[bytes]:
    """A request for each text."""
    return [json.dumps({"texts": [text]}).encode() for text in texts]


def chunks(texts: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """In order, at most `size` at once."""
    for start in range(0, len(texts), size):
        yield texts[start : start + size]
