"""Settings of a step, from environment variables; read once, frozen, passed down.

boto3 and libpq read what is theirs (AWS_*, PG*) themselves, so no key or password passes through here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from pipelines.ingest.errors import ConfigInvalid


@dataclass(frozen=True, slots=True)
class Config:
    """One field per environment variable of the same name in capitals.

    pdf_*: what one document may have or cost. embed_texts: texts a request. chunk_*: see chunks.py.
    """

    s3_endpoint: str
    raw_bucket: str
    text_bucket: str
    embed_url: str
    pdf_mib: int = 64
    pdf_pages: int = 300
    pdf_seconds: int = 120
    pdf_memory_mib: int = 384
    chunk_words: int = 120
    chunk_overlap: int = 24
    embed_texts: int = 32


def from_env(environ: Mapping[str, str]) -> Config:
    """Raises ConfigInvalid naming every variable that is missing or no positive number."""
    given: dict[str, str | int] = {}
    wrong = []
    for field in fields(Config):
        name = field.name.upper()
        text = environ.get(name, "")
        if field.type == "str":
            given[field.name] = text
            wrong += [] if text else [f"{name} is missing"]
        elif text:
            given[field.name] = int(text) if text.isdecimal() else 0
            wrong += [] if given[field.name] else [f"{name}={text!r}: expected a positive number"]
    if wrong:
        raise ConfigInvalid("; ".join(wrong))
    config = Config(**given)  # type: ignore[arg-type]  # checked above, field by field
    if config.chunk_overlap >= config.chunk_words:
        raise ConfigInvalid("CHUNK_OVERLAP: expected less than CHUNK_WORDS")
    return config
