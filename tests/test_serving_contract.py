from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from fastapi.openapi.models import OpenAPI

from serving import problems
from serving.service import Service
from tests.serving_http import visit

PATHS = {"/v1/embeddings", "/embed", "/v1/models", "/livez", "/startupz", "/readyz", "/metrics"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    async def ask(client: httpx.AsyncClient, _: Service) -> Any:
        return (await client.get("/openapi.json")).json()

    found: dict[str, Any] = visit(ask, env={"MAX_TEXTS": "7", "MAX_CHARS": "99"})
    return found


def references(part: Any) -> Iterator[str]:
    if isinstance(part, Mapping):
        yield from (part["$ref"],) if "$ref" in part else ()
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from references(one)


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            yield path, operation


def test_the_document_is_openapi(document: dict[str, Any]) -> None:
    assert OpenAPI.model_validate(document).openapi.startswith("3.1")
    assert set(document["paths"]) == PATHS


def test_every_reference_leads_somewhere_and_every_schema_is_used(document: dict[str, Any]) -> None:
    found = set(references(document))
    for reference in found:
        part: Any = document
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]
    schemas = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert schemas == {reference for reference in found if "/schemas/" in reference}


def test_every_answer_says_its_one_content_type(document: dict[str, Any]) -> None:
    for path, operation in operations(document):
        for status, answer in operation["responses"].items():
            expected = "application/json" if status == "200" else problems.MEDIA
            expected = "text/plain" if (path, status) == ("/metrics", "200") else expected
            assert list(answer["content"]) == [expected], (path, status)


@pytest.mark.parametrize("path", ["/v1/embeddings", "/embed"])
def test_what_can_be_refused_is_named(document: dict[str, Any], path: str) -> None:
    told = set(document["paths"][path]["post"]["responses"])
    assert told == {"200", "413", "415", "422", "429", "500", "503", "504"} | ({"404"} if path[1] == "v" else set())


def test_every_kind_of_problem_is_named_where_its_status_is(document: dict[str, Any]) -> None:
    told = {
        reason
        for _, operation in operations(document)
        for status, answer in operation["responses"].items()
        if status != "200"
        for reason in answer["description"].removeprefix("Problem: ").split(", ")
    }
    kinds = {*problems.KINDS.values(), problems.INTERNAL}
    assert told == {kind.reason for kind in kinds if kind.status != problems.CLIENT_GONE}


def test_the_limits_are_those_of_the_stage(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    one = {"type": "string", "maxLength": 99}
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": 7}
    assert schemas["EmbeddingsRequest"]["properties"]["input"]["anyOf"] == [one, many]
    assert schemas["EmbedRequest"]["properties"]["texts"].items() >= many.items()
    for name in ("EmbeddingsRequest", "EmbedRequest"):
        assert schemas[name]["additionalProperties"] is False


def test_the_headers_that_steer_a_request_are_named(document: dict[str, Any]) -> None:
    parameters = {one["name"]: one["schema"] for one in document["paths"]["/embed"]["post"]["parameters"]}
    assert parameters["X-Priority"]["enum"] == ["interactive", "bulk"]
    assert parameters["X-Request-Timeout-Ms"] == {"type": "integer", "minimum": 1, "maximum": 600_000}
