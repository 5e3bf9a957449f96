"""More than a service can take, sent from one process, and every answer judged: its status, its time, its vectors.

A text is asked for in ever new wrappings of white space, which its tokenizer does not see and the cache of vectors
does: each time the vector is made anew, and it must be the one that was made in quiet.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from serving import gates

NO_ANSWER = 0  # in place of a status
ANSWER_S = 130.0  # a stage's own limit is 120
BLANKS = " \t\n"
WRAPPED = 12  # blanks: half a million wrappings
MOST_UNDER_WAY = 1000

Vector = Sequence[float]


@dataclass(frozen=True, slots=True)
class Told:
    """One answer. began_s: monotonic. retry_after: as said, '' if not. likeness: of its worst vector to the quiet one.

    size: texts asked for.
    """

    status: int
    began_s: float
    seconds: float
    size: int
    retry_after: str = ""
    likeness: float = 1.0
    error: str = ""

    @property
    def is_accepted(self) -> bool:
        """Answered with vectors."""
        return self.status == httpx.codes.OK


@dataclass
class Asker:
    """Asks one service for a few texts at a time. quiet: of each text its vector, as made when nothing else was."""

    client: httpx.AsyncClient
    texts: Sequence[str]
    quiet: Sequence[Vector] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    turns: Iterator[int] = field(default_factory=itertools.count)

    async def learn(self) -> None:
        """The vectors in quiet, one text at a time."""
        self.quiet = [(await self._post([text])).json()["embeddings"][0] for text in self.texts]

    async def ask(self, size: int) -> Told:
        """So many texts, in a wrapping that was not used before. Any end is an answer."""
        turn, began_s = next(self.turns), time.monotonic()
        chosen = [(turn + place) % len(self.texts) for place in range(size)]
        body = [self.texts[at] + blanks(turn * size + place) for place, at in enumerate(chosen)]
        try:
            answer = await self._post(body)
        except httpx.HTTPError as error:
            return Told(NO_ANSWER, began_s, time.monotonic() - began_s, size, error=type(error).__name__)
        took_s, likeness = time.monotonic() - began_s, 1.0
        if answer.status_code == httpx.codes.OK:
            likeness = self._likeness(answer.json()["embeddings"], chosen)
        return Told(answer.status_code, began_s, took_s, size, answer.headers.get("retry-after", ""), likeness)

    async def metrics(self) -> str:
        """As they stand."""
        return (await self.client.get("/metrics")).text

    async def _post(self, texts: Sequence[str]) -> httpx.Response:
        return await self.client.post("/embed", json={"texts": list(texts)}, headers=dict(self.headers))

    def _likeness(self, vectors: Sequence[Vector], chosen: Sequence[int]) -> float:
        if len(vectors) != len(chosen):
            return 0.0
        return min(gates.cosine(one, self.quiet[at]) for one, at in zip(vectors, chosen, strict=True))


@asynccontextmanager
async def asking(base_url: str, texts: Sequence[str], headers: Mapping[str, str] | None = None) -> AsyncIterator[Asker]:
    """One client with as many connections as it needs."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
    async with httpx.AsyncClient(base_url=base_url, timeout=ANSWER_S, limits=limits, trust_env=False) as client:
        yield Asker(client, texts, headers=headers or {})


async def closed(asker: Asker, size: int, seconds: float, clients: int, *, pause_s: float = 0.0) -> list[Told]:
    """So many clients, each with one request under way. pause_s: between an answer and the next request."""
    until_s, told = time.monotonic() + seconds, list[Told]()

    async def one() -> None:
        while time.monotonic() < until_s:
            told.append(await asker.ask(size))
            await asyncio.sleep(pause_s)

    await asyncio.gather(*(one() for _ in range(clients)))
    return told


async def opened(asker: Asker, size: int, per_s: float, seconds: float, heard: list[Told]) -> set[asyncio.Task[None]]:
    """So many requests a second, whatever comes of them; those that find too many under way are not sent.

    Answers go to `heard`. Returns when all is sent: what is under way then.
    """
    began_s, under_way = time.monotonic(), set[asyncio.Task[None]]()

    async def one() -> None:
        heard.append(await asker.ask(size))

    for number in range(int(per_s * seconds)):
        await asyncio.sleep(max(0.0, began_s + number / per_s - time.monotonic()))
        if time.monotonic() - began_s >= seconds:
            break
        if len(under_way) < MOST_UNDER_WAY:
            task = asyncio.create_task(one())
            under_way.add(task)
            task.add_done_callback(under_way.discard)
    return under_way


async def repeated(asker: Asker, refused: Sequence[Told]) -> list[Told]:
    """Each of them asked once more, as long after its refusal as it was told."""

    async def again(one: Told) -> Told:
        await asyncio.sleep(max(0.0, one.began_s + one.seconds + float(one.retry_after) - time.monotonic()))
        return await asker.ask(one.size)

    return list(await asyncio.gather(*(again(one) for one in refused)))


@asynccontextmanager
async def summarising(asker: Asker, count: int, making: list[float]) -> AsyncIterator[None]:
    """So many summaries under way all the time. making: of them those being made, four times a second."""
    over = asyncio.Event()

    async def one(number: int) -> None:
        for turn in itertools.count():
            if over.is_set():
                return
            text = f"{asker.texts[number % len(asker.texts)]} {number}.{turn} {time.monotonic()}"
            answer = await asker.client.post("/summarize", json={"texts": [text]})
            assert answer.status_code == httpx.codes.OK, answer.text

    async def watch() -> None:
        while not over.is_set():
            making.append(gates.series(await asker.metrics(), "serving_summary_running_texts"))
            await asyncio.sleep(0.25)

    async with asyncio.TaskGroup() as group:
        for work in (*(one(number) for number in range(count)), watch()):
            group.create_task(work)
        try:
            yield
        finally:
            over.set()


def blanks(number: int) -> str:
    """A wrapping of its own for each number."""
    digits = (number // len(BLANKS) ** place % len(BLANKS) for place in range(WRAPPED))
    return "".join(BLANKS[digit] for digit in digits)


def accepted(told: Sequence[Told]) -> list[Told]:
    """Those that were answered with vectors."""
    return [one for one in told if one.is_accepted]


def texts_per_s(told: Sequence[Told], seconds: float) -> float:
    """Of the accepted."""
    return sum(one.size for one in accepted(told)) / seconds


def counted(told: Sequence[Told]) -> dict[str, int]:
    """By status, or the error where there was none."""
    return dict(sorted(Counter(str(one.status or one.error) for one in told).items()))


def unclear(told: Sequence[Told]) -> list[Told]:
    """Refusals that do not say when to come back, in whole seconds from 1."""
    refused = [one for one in told if one.status == httpx.codes.TOO_MANY_REQUESTS]
    return [one for one in refused if not (one.retry_after.isdigit() and int(one.retry_after) >= 1)]


def worst(told: Sequence[Told]) -> float:
    """The least likeness of all accepted; 0 when none was."""
    return min((one.likeness for one in accepted(told)), default=0.0)


def back_s(told: Sequence[Told], killed_s: float) -> float:
    """From a kill to the first answer of what came after it; infinite when there was none, or nothing was missed.

    What is asked before the first failure may still be answered by the one that is killed."""
    missed = [one.began_s + one.seconds for one in told if not one.is_accepted and one.began_s + one.seconds > killed_s]
    first_s = min(missed, default=math.inf)
    return (
        min((one.began_s + one.seconds for one in accepted(told) if one.began_s >= first_s), default=math.inf)
        - killed_s
    )
