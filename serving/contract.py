"""The OpenAPI document: what the framework cannot see from handlers that read and write bodies themselves.

Every status that can come and its content type are named here; a test holds each answer of the suite against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel

from serving import api, problems
from serving.backlog import Lane
from serving.config import MOST_TIMEOUT_MS, Config

Doc = dict[str, Any]  # a piece of OpenAPI

JSON = "application/json"
ABOUT = {
    "X-Stage": "the stage that answered",
    "X-Model-Name": "what gave the answer, once a model is loaded",
    "X-Model-Version": "its version",
    "X-Model-Precision": "of its weights",
    "X-Provider": "what runs it",
    "X-Degraded": "true on a CPU where a GPU is required; else absent",
}
RETRY_AFTER = "Retry-After"
ASKED = (413, 415, 422, 429, 503, 504)
STEERING: dict[str, Doc] = {
    api.TIMEOUT_HEADER: {
        "description": "the client's time for this request; past it the answer is 504",
        "schema": {"type": "integer", "minimum": 1, "maximum": MOST_TIMEOUT_MS},
    },
    api.PRIORITY_HEADER: {
        "description": "the class of this request; otherwise its size decides",
        "schema": {"type": "string", "enum": list(Lane)},
    },
}
DESCRIPTIONS = {
    404: "unknown-model",
    413: "too-large",
    415: "unsupported-media-type",
    422: "invalid-request, dimensions-fixed",
    429: "queue-full",
    500: "internal",
    503: "not-ready, draining",
    504: "deadline-passed",
}
SCHEMAS: tuple[type[BaseModel], ...] = (
    api.EmbeddingsRequest,
    api.EmbeddingsResponse,
    api.EmbedRequest,
    api.EmbedResponse,
    api.ModelList,
    api.Liveness,
    api.Start,
    api.Readiness,
    problems.Problem,
)


# Where an answer leads: which names a request may say is known from what answered before, and from nothing else.
TO_EMBEDDINGS = "#/paths/~1v1~1embeddings/post"
FROM_LIST: Doc = {"embed": {"operationRef": TO_EMBEDDINGS, "requestBody": {"model": "$response.body#/data/0/id"}}}
FROM_ANSWER: Doc = {"embedMore": {"operationRef": TO_EMBEDDINGS, "requestBody": {"model": "$response.body#/model"}}}


def answers(kind: type[BaseModel], *statuses: int, links: Doc | None = None) -> dict[int | str, Doc]:
    """200 with a body of this kind, the problems that may come instead, and 500. links: what 200 leads to."""
    ok = {"description": _first_line(kind), "content": {JSON: {"schema": _ref(kind)}}, "headers": _headers(ABOUT)}
    ok |= {"links": links} if links else {}
    problems_by_status: dict[int | str, Doc] = {status: _problem(status) for status in (*statuses, 500)}
    return {200: ok, **problems_by_status}


def text(media: str) -> dict[int | str, Doc]:
    """200 with plain text, and 500."""
    content = {media.partition(";")[0]: {"schema": {"type": "string"}}}
    return {200: {"description": "the text", "content": content, "headers": _headers(ABOUT)}, 500: _problem(500)}


def asks(kind: type[BaseModel], *headers: str) -> Doc:
    """What an operation reads: a JSON body of this kind, and these headers."""
    return {
        "requestBody": {"required": True, "content": {JSON: {"schema": _ref(kind)}}},
        "parameters": [{"name": name, "in": "header", "required": False, **STEERING[name]} for name in headers],
    }


def complete(document: Doc, config: Config, more: Sequence[type[BaseModel]] = ()) -> Doc:
    """The framework's document with our schemas and those of other engines, the limits of this stage in them."""
    parts = document.setdefault("components", {})
    schemas: Doc = {}
    for kind in (*SCHEMAS, *more):
        schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[kind.__name__] = schema
    _limit(schemas, config)
    parts["schemas"] = {**parts.get("schemas", {}), **schemas}
    parts["headers"] = {
        name: {"description": about, "schema": {"type": "string"}, "required": name == "X-Stage"}
        for name, about in ABOUT.items()
    }
    parts["headers"][RETRY_AFTER] = {
        "description": "seconds until the same request would be taken, as estimated",
        "schema": {"type": "integer", "minimum": 1},
        "required": True,
    }
    return document


def _limit(schemas: Doc, config: Config) -> None:
    one = {"type": "string", "maxLength": config.max_chars}
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": config.max_texts}
    schemas["EmbedRequest"]["properties"]["texts"] |= many
    if "SummarizeRequest" in schemas:
        schemas["SummarizeRequest"]["properties"]["texts"] |= many | {"maxItems": config.max_summary_texts}
    said = schemas["EmbeddingsRequest"]["properties"]["input"]
    schemas["EmbeddingsRequest"]["properties"]["input"] = {
        "title": said["title"],
        "description": said["description"],
        "anyOf": [one, many],
    }


def _problem(status: int) -> Doc:
    extra = [RETRY_AFTER] if status in (429, 503) else []
    return {
        "description": f"Problem: {DESCRIPTIONS[status]}",
        "content": {problems.MEDIA: {"schema": _ref(problems.Problem)}},
        "headers": _headers([*ABOUT, *extra]),
    }


def _headers(names: Iterable[str]) -> Doc:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _ref(kind: type[BaseModel]) -> Doc:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _first_line(kind: type[BaseModel]) -> str:
    return (kind.__doc__ or kind.__name__).splitlines()[0]
