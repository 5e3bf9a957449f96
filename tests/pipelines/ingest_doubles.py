"""Doors of the ingest steps, made of dictionaries."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from pipelines.ingest.config import Config
from pipelines.ingest.stage import Reply
from pipelines.ingest.store import Store

CONFIG = Config(s3_endpoint="http://s3", raw_bucket="raw", text_bucket="text", embed_url="http://stage/embed")
DIMENSIONS = 3


class S3:
    """The four calls of boto3's client that a Store makes."""

    def __init__(self, raw: Mapping[str, bytes]) -> None:
        self.buckets: dict[str, dict[str, bytes]] = {"raw": dict(raw), "text": {}}

    def get_paginator(self, name: str) -> S3:
        assert name == "list_objects_v2"
        return self

    def paginate(self, Bucket: str, Prefix: str) -> Iterator[Mapping[str, Any]]:  # noqa: N803
        found = [(key, data) for key, data in self.buckets[Bucket].items() if key.startswith(Prefix)]
        yield {}
        yield {"Contents": [{"Key": key, "Size": len(data)} for key, data in found]}

    def get_object(self, Bucket: str, Key: str) -> Mapping[str, Any]:  # noqa: N803
        return {"Body": BytesIO(self.buckets[Bucket][Key])}

    def put_object(self, Bucket: str, Key: str, Body: bytes, ContentType: str) -> None:  # noqa: N803
        self.buckets[Bucket][Key] = Body


def store(raw: Mapping[str, bytes]) -> tuple[Store, S3]:
    client = S3(raw)
    return Store(client, "raw", "text"), client


class Stage:
    """Answers with vectors that count letters; `replies` come first, an exception is raised."""

    def __init__(self, *replies: Reply | Exception, version: str = "1") -> None:
        self.replies = list(replies)
        self.asked: list[list[str]] = []
        self.version = version

    def __call__(self, body: bytes) -> Reply:
        texts = json.loads(body)["texts"]
        self.asked.append(texts)
        if self.replies:
            reply = self.replies.pop(0)
            if isinstance(reply, Exception):
                raise reply
            return reply
        return answer([[float(text.count(letter)) for letter in "abc"] for text in texts], version=self.version)


def answer(vectors: Sequence[Sequence[float]], *, version: str = "1", truncated: int = 0) -> Reply:
    told = {"embeddings": vectors, "model": "m", "version": version, "precision": "p", "truncated": truncated}
    return Reply(200, json.dumps(told).encode())


class Database:
    """Records what a psycopg connection is asked to run."""

    def __init__(self, rowcount: int = 0, found: Sequence[tuple[Any, ...]] = ()) -> None:
        self.ran: list[tuple[str, Any]] = []
        self.transactions = 0
        self.rowcount = rowcount
        self.found = found

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.transactions += 1
        yield

    @contextmanager
    def cursor(self) -> Iterator[Database]:
        yield self

    def execute(self, sql: str, values: Any = None) -> None:
        self.ran.append((sql, values))

    def executemany(self, sql: str, rows: Sequence[Any]) -> None:
        self.ran += [(sql, row) for row in rows]

    def fetchall(self) -> list[tuple[Any, ...]]:
        return list(self.found)
