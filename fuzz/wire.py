"""One case on one connection: what is sent, and what comes back before it ends."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Literal

from fuzz.mutate import Case
from fuzz.rules import HANG_S

HOST = "127.0.0.1"
PAUSE_S = 0.01  # between two pieces: they arrive as two
End = Literal["answered", "closed", "left", "hung", "refused"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a connection went. closed: ended by the service without an answer; refused: it did not come to be."""

    end: End
    status: int  # 0 without an answer
    seconds: float
    case: Case


async def send(port: int, case: Case, hang_s: float = HANG_S) -> Outcome:
    """Ends with the first answer's head and body, with the connection, or with the patience."""
    began = time.perf_counter()
    end: End = "hung"
    status = 0
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return Outcome("refused", 0, 0.0, case)
    try:
        async with asyncio.timeout(hang_s):
            end, status = await _talk(reader, writer, case)
    except TimeoutError:
        pass
    finally:
        writer.transport.abort()
    return Outcome(end, status, time.perf_counter() - began, case)


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, case: Case) -> tuple[End, int]:
    try:
        for number, piece in enumerate(case.pieces):
            if number:
                await asyncio.sleep(PAUSE_S)
            writer.write(piece)
            await writer.drain()
        return ("left", 0) if case.leaves else await _answer(reader)
    except (OSError, asyncio.IncompleteReadError):
        return "closed", 0


async def _answer(reader: asyncio.StreamReader) -> tuple[End, int]:
    """The first answer that is none of those before the answer (100)."""
    status = 100
    while status < 200:
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
    return "answered", status
