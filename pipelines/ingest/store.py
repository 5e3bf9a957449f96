"""The two containers, over S3: PDFs come out of one, texts and reports go into the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pipelines.ingest.config import Config
from pipelines.ingest.errors import StoreError
from pipelines.ingest.report import Source


@dataclass(frozen=True)
class Store:
    """client: boto3's. raw, text: names of buckets."""

    client: Any
    raw: str
    text: str

    @classmethod
    @contextmanager
    def opened(cls, config: Config) -> Iterator[Store]:
        """With what AWS_* name; a store that stalls ends in StoreError, not in a wait."""
        import boto3
        from botocore.config import Config as Botocore
        from botocore.exceptions import BotoCoreError, ClientError

        manners = Botocore(
            connect_timeout=10,
            read_timeout=60,
            retries={"mode": "standard", "total_max_attempts": 5},
            s3={"addressing_style": "path"},
        )
        client = boto3.client("s3", endpoint_url=config.s3_endpoint, config=manners)
        try:
            yield cls(client, config.raw_bucket, config.text_bucket)
        except (BotoCoreError, ClientError) as error:
            raise StoreError(str(error)) from error

    def sources(self, prefix: str) -> Iterator[Source]:
        """Every object below a prefix, but no folder markers."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.raw, Prefix=prefix)
        for page in pages:
            for item in page.get("Contents", ()):
                if not item["Key"].endswith("/"):
                    yield Source(item["Key"], item["Size"])

    def pdf(self, key: str) -> bytes:
        """A document as it came."""
        return self._get(self.raw, key)

    def document_text(self, key: str) -> str:
        """The text of a document."""
        return self._get(self.text, f"{key}.txt").decode()

    def put_document_text(self, key: str, text: str) -> None:
        """Keep the text of a document."""
        self._put(f"{key}.txt", text, "text/plain; charset=utf-8")

    def put_report(self, key: str, text: str) -> None:
        """Keep a report."""
        self._put(key, text, "application/json")

    def _get(self, bucket: str, key: str) -> bytes:
        body: bytes = self.client.get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    def _put(self, key: str, text: str, kind: str) -> None:
        self.client.put_object(Bucket=self.text, Key=key, Body=text.encode(), ContentType=kind)
