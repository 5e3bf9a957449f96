"""What is said over HTTP: bodies and headers of requests and answers, as types, and how they are read and written."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, StrictStr, ValidationError

from serving.backlog import Lane
from serving.config import MOST_TIMEOUT_MS, Config
from serving.embedder import Answer
from serving.errors import DimensionsFixed, Fault, RequestInvalid

ROLE = "embedder"  # asks for whatever model the stage serves
TIMEOUT_HEADER = "X-Request-Timeout-Ms"
PRIORITY_HEADER = "X-Priority"

# The first wrong text ends the reading: a body of a million numbers is one fault, not a million.
Texts = Annotated[list[StrictStr], Field(min_length=1), FailFast()]
Asked = TypeVar("Asked", bound=BaseModel)


def _as_list(told: object) -> object:
    return [told] if isinstance(told, str) else told


class EmbeddingsRequest(BaseModel):
    """OpenAI's request for embeddings."""

    model_config = ConfigDict(extra="forbid")

    input: Annotated[Texts, BeforeValidator(_as_list), Field(description="a text, or texts, in order")]
    model: Annotated[StrictStr, Field(min_length=1, max_length=256, description=f"as /v1/models says, or {ROLE!r}")]
    encoding_format: Annotated[
        Literal["float", "base64"], Field(description="base64: of little-endian fp32, a quarter of the size")
    ] = "float"
    dimensions: Annotated[None, Field(description="refused: the model has vectors of one length")] = None
    user: Annotated[StrictStr | None, Field(max_length=1024, description="ignored")] = None


class Embedding(BaseModel):
    """One text's unit vector."""

    object: Literal["embedding"]
    index: int = Field(ge=0)
    embedding: list[float] | str


class Usage(BaseModel):
    """Tokens read, special ones included; what lies beyond the model's limit is not counted."""

    prompt_tokens: int = Field(ge=0)
    total_tokens: int = Field(ge=0)


class EmbeddingsResponse(BaseModel):
    """OpenAI's answer: one vector a text, in order."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: Usage


class EmbedRequest(BaseModel):
    """Texts to embed, in order."""

    model_config = ConfigDict(extra="forbid")

    texts: Texts


class EmbedResponse(BaseModel):
    """One unit vector a text, in order, and what made them."""

    embeddings: list[list[float]]
    model: str
    version: str
    precision: str
    tokens: int = Field(description="tokens read, special ones included")
    truncated: int = Field(description="texts that were cut at the model's limit")


class ServedModel(BaseModel):
    """What serves here."""

    id: str
    object: Literal["model"]
    created: int = Field(description="when it was loaded, Unix time in seconds")
    owned_by: str
    version: str
    precision: str
    dimensions: int | None = Field(description="of a vector; null where there are none")
    max_tokens: int = Field(description="of one text; what lies beyond is cut")
    aliases: list[str] = Field(description="names that stand for it in a request")


class ModelList(BaseModel):
    """OpenAI's list of models."""

    object: Literal["list"]
    data: list[ServedModel]


class Liveness(BaseModel):
    """The event loop turns."""

    alive: Literal[True]


class Start(BaseModel):
    """Loading has ended, well or not; readyz says which."""

    started: Literal[True]
    phase: str


class ModelStanding(BaseModel):
    """What serves in one role, and what could not."""

    model_config = ConfigDict(protected_namespaces=())

    role: str
    model: str | None
    version: str | None
    precision: str | None
    provider: str | None
    degraded: bool | None
    proof: float | None = Field(description="least cosine to a golden vector; most nats a golden log-probability moved")
    reason: str = Field(description="why nothing serves")
    refused_version: str | None = Field(description="what the source names now and cannot serve")
    refused_reason: str | None
    source_trouble: str | None = Field(description="why nobody can say at the moment what is to serve")


class Readiness(BaseModel):
    """Where the process stands, and what it serves; told of one model, it is told of the embedder."""

    model_config = ConfigDict(protected_namespaces=())

    ready: bool
    stage: str
    phase: str
    reason: str
    model: str | None
    version: str | None
    precision: str | None
    provider: str | None
    required_provider: str
    degraded: bool | None
    golden_cosine_min: float | None
    models: list[ModelStanding]


def parse(kind: type[Asked], body: bytes) -> Asked:
    """Raises RequestInvalid naming what is wrong, DimensionsFixed."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestInvalid([Fault("body", f"not JSON: {error}")]) from error
    if not isinstance(told, dict):
        raise RequestInvalid([Fault("body", "expected an object")])
    # Before the model does: it would name each of a million unknown keys.
    unknown = next((key for key in told if key not in kind.model_fields), None)
    if unknown is not None:
        raise RequestInvalid([Fault(unknown[:100], "no such member")])
    try:
        return kind.model_validate(told)
    except ValidationError as error:
        raise _invalid(error) from error


def timeout_ms(headers: Mapping[str, str], config: Config) -> int:
    """The client's time for its request, else the stage's. Raises RequestInvalid."""
    told = headers.get(TIMEOUT_HEADER)
    if told is None:
        return config.request_timeout_ms
    if not (told.isascii() and told.isdigit() and len(told) <= 9 and 1 <= int(told) <= MOST_TIMEOUT_MS):
        raise RequestInvalid([Fault(TIMEOUT_HEADER, f"expected milliseconds from 1 to {MOST_TIMEOUT_MS}")])
    return int(told)


def lane(headers: Mapping[str, str]) -> Lane:
    """The class the client asks for; interactive when it says nothing. Raises RequestInvalid."""
    try:
        return Lane(headers.get(PRIORITY_HEADER, Lane.INTERACTIVE))
    except ValueError as error:
        raise RequestInvalid([Fault(PRIORITY_HEADER, f"expected one of {', '.join(Lane)}")]) from error


def openai(answer: Answer, encoding: Literal["float", "base64"]) -> bytes:
    """An EmbeddingsResponse, straight from the arrays."""
    vectors = answer.vectors
    rows = (
        vectors if encoding == "float" else [base64.b64encode(row.astype("<f4").tobytes()).decode() for row in vectors]
    )
    return dump(
        {
            "object": "list",
            "data": [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)],
            "model": answer.model.manifest.name,
            "usage": {"prompt_tokens": answer.tokens, "total_tokens": answer.tokens},
        }
    )


def plain(answer: Answer) -> bytes:
    """An EmbedResponse, straight from the arrays."""
    about = answer.model.manifest
    return dump(
        {
            "embeddings": answer.vectors,
            "model": about.name,
            "version": about.version,
            "precision": about.precision,
            "tokens": answer.tokens,
            "truncated": answer.truncated,
        }
    )


def dump(content: Mapping[str, object]) -> bytes:
    """As JSON; arrays as lists of numbers."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def _invalid(error: ValidationError) -> RequestInvalid:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    faults = [Fault(".".join(map(str, one["loc"])), one["msg"]) for one in found]
    if any(one["loc"] == ("dimensions",) for one in found):
        return DimensionsFixed([Fault("dimensions", "the model has vectors of one length; leave it out"), *faults[1:]])
    return RequestInvalid(faults)
