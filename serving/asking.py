"""What every request that brings texts goes through: its headers, its body within bounds, its client still there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastapi import Request
from starlette.requests import ClientDisconnect

from serving import api
from serving.backlog import Claim, Lane
from serving.config import Config
from serving.errors import BodyTooLarge, ClientGone, DeadlinePassed, MediaUnsupported, TooLarge

JSON = "application/json"
WATCH_S = 0.2  # by then most are answered: a task for each would cost a tenth of its time on the event loop
Grow = Callable[[int], None]


def claim(request: Request, config: Config, lane: Lane) -> Claim:
    """What the headers say of the request's time. Raises MediaUnsupported, RequestInvalid."""
    media = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if media != JSON:
        raise MediaUnsupported(f"expected {JSON}")
    now_s = asyncio.get_running_loop().time()
    return Claim(lane, now_s + api.timeout_ms(request.headers, config) / 1000, began_s=now_s)


async def body(request: Request, config: Config, grow: Grow, claim: Claim) -> bytes:
    """All of it. Raises BodyTooLarge, QueueFull, DeadlinePassed, ClientGone."""
    try:
        async with asyncio.timeout_at(claim.deadline_s) as limit:
            return await _read(request, config.max_body_bytes, grow)
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise DeadlinePassed("the time for this request was over before its body was here") from error
    except ClientDisconnect as error:
        raise ClientGone("the client left before its body was here") from error


def bounded(texts: list[str], most: int, chars: int) -> None:
    """Raises TooLarge for too many texts, or one that is too long."""
    if len(texts) > most:
        raise TooLarge(f"{len(texts)} texts, at most {most} a request")
    longest = max(map(len, texts))
    if longest > chars:
        raise TooLarge(f"a text of {longest} characters, at most {chars}")


@contextmanager
def watched(request: Request, claim: Claim) -> Iterator[None]:
    """Meanwhile the claim is given up when the client leaves; one who leaves at once is noticed after WATCH_S."""
    watching: list[asyncio.Task[None]] = []

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        claim.give_up(ClientGone("the client left before its answer was ready"))

    timer = asyncio.get_running_loop().call_later(WATCH_S, lambda: watching.append(asyncio.create_task(watch())))
    try:
        yield
    finally:
        timer.cancel()
        for task in watching:
            task.cancel()


async def _read(request: Request, most: int, grow: Grow) -> bytes:
    said = request.headers.get("content-length", "")
    if said.isdigit() and len(said) < 20 and int(said) > most:
        raise BodyTooLarge(f"a body of {said} bytes, at most {most}")
    found = bytearray()
    async for piece in request.stream():
        if len(found) + len(piece) > most:
            raise BodyTooLarge(f"a body of more than {most} bytes")
        grow(len(piece))
        found += piece
    return bytes(found)
