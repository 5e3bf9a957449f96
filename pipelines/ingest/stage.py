"""A serving stage: texts in, vectors out. Tried again only when it is away or busy, and not for ever."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from pipelines.ingest.errors import StageAway, StageError

AGAIN = (429, 503, 504)  # more waits than the target allows; no model loaded, or stopping; not done in time
PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0)  # a stage that starts anew is back within these
ANSWER_S = 120.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer over HTTP."""

    code: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Model:
    """What made a vector: vectors of different models are never compared."""

    name: str
    version: str
    precision: str


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors of texts, in order, and how many of the texts the model could not read whole."""

    vectors: list[list[float]]
    model: Model
    truncated: int


Post = Callable[[bytes], Reply]


def embed(texts: Sequence[str], post: Post, *, most: int, sleep: Callable[[float], None] = time.sleep) -> Embedded:
    """All texts, `most` a request. Raises StageAway, or StageError, also when the model changed on the way."""
    parts = [_ask(texts[start : start + most], post, sleep) for start in range(0, len(texts), most)]
    models = {part.model for part in parts}
    if len(models) != 1:
        raise StageError(f"{len(models)} models answered for one document")
    return Embedded(
        [vector for part in parts for vector in part.vectors], models.pop(), sum(part.truncated for part in parts)
    )


def over_http(url: str) -> Post:
    """Requests to one address, over one connection that is kept open while it holds."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=ANSWER_S)

    def post(body: bytes) -> Reply:
        try:
            connection.request("POST", parts.path, body=body, headers={"Content-Type": "application/json"})
            answer = connection.getresponse()
            return Reply(answer.status, answer.read())
        except (OSError, HTTPException):
            connection.close()  # the next request opens it anew
            raise

    return post


def _ask(texts: Sequence[str], post: Post, sleep: Callable[[float], None]) -> Embedded:
    reply = _insist(json.dumps({"texts": list(texts)}).encode(), post, sleep)
    if reply.code != 200:
        raise StageError(f"the stage answered {reply.code}: {reply.body[:300].decode(errors='replace')}")
    told: dict[str, Any] = json.loads(reply.body)
    vectors = told["embeddings"]
    if len(vectors) != len(texts) or not all(math.isfinite(sum(vector)) for vector in vectors):
        raise StageError(f"{len(vectors)} vectors for {len(texts)} texts, or numbers that are none")
    return Embedded(vectors, Model(told["model"], told["version"], told["precision"]), told["truncated"])


def _insist(body: bytes, post: Post, sleep: Callable[[float], None]) -> Reply:
    last = ""
    for pause_s in (*PAUSES_S, 0.0):
        try:
            reply = post(body)
            if reply.code not in AGAIN:
                return reply
            last = f"{reply.code} {reply.body[:200].decode(errors='replace')}"
        except (OSError, HTTPException) as error:
            last = f"{type(error).__name__}: {error}"
        if pause_s:
            sleep(pause_s)
    raise StageAway(f"the stage did not answer in {len(PAUSES_S) + 1} attempts; last: {last}")
