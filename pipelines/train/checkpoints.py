"""Checkpoints in the object store. boto3 reads endpoint, key and region from AWS_* itself: none of it passes here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pipelines.train import probe
from pipelines.train.probe import State


@dataclass(frozen=True)
class Checkpoints:
    """A folder of a bucket."""

    bucket: str
    prefix: str

    @cached_property
    def _client(self) -> Any:
        import boto3

        return boto3.client("s3")

    def key(self, name: str) -> str:
        """Where a checkpoint lies."""
        return f"{self.prefix}/{name}.npz"

    def save(self, name: str, state: State) -> bytes:
        """Write one over what was there; returns what was written."""
        text = probe.dump(state)
        self._client.put_object(Bucket=self.bucket, Key=self.key(name), Body=text)
        return text

    def load(self, name: str) -> State | None:
        """The last one written, None before the first."""
        try:
            return probe.load(self._client.get_object(Bucket=self.bucket, Key=self.key(name))["Body"].read())
        except self._client.exceptions.NoSuchKey:
            return None
