from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from serving import errors, problems
from serving.config import Config
from serving.errors import ModelInvalid
from serving.model import Model
from serving.service import Service
from tests.serving_doubles import GatedEngine, fake_model
from tests.serving_http import JSON, openai, said, visit

PATHS = ["/embed", "/v1/embeddings"]


def post(path: str, body: bytes, headers: Mapping[str, str] = JSON, **env: str) -> httpx.Response:
    async def ask(client: httpx.AsyncClient, _: Service) -> httpx.Response:
        return await client.post(path, content=body, headers=headers)

    answer: httpx.Response = visit(ask, env=env)
    return answer


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"texts": "the"}',
        b'{"texts": []}',
        b'{"texts": [1]}',
        b'{"texts": [null]}',
        b'{"texts": ["a"], "model": "x"}',
        b'{"texts": ["\\ud800"]}',
        b'{"texts": ["\xff"]}',
        b"\x00" * 100,
        b"[" * 100_000,
    ],
)
def test_a_body_that_is_none_is_422(body: bytes) -> None:
    assert said(post("/embed", body), 422, "invalid-request")["errors"]


@pytest.mark.parametrize(
    ("body", "at"),
    [
        (openai(), "input"),
        (openai(input=[]), "input"),
        (openai(input=None), "input"),
        (openai(input=["a", 1, "b", 2]), "input.1"),
        (openai(input=[["a"]]), "input.0"),
        (openai(input="a", encoding_format="int8"), "encoding_format"),
        (openai(input="a", user=5), "user"),
        (openai(input="a", model=""), "model"),
        (openai(input="a", model="m" * 257), "model"),
        (openai(input="a", input_type="query"), "input_type"),
        (b'{"input": "a"}', "model"),
    ],
)
def test_what_is_wrong_is_named(body: bytes, at: str) -> None:
    assert [fault["at"] for fault in said(post("/v1/embeddings", body), 422, "invalid-request")["errors"]] == [at]


def test_a_million_faults_are_told_as_one() -> None:
    numbers = b'{"texts":[' + b"1," * 10**6 + b"1]}"
    members = b'{"texts":["a"],' + b",".join(b'"%d":0' % number for number in range(10**5)) + b"}"
    for body in (numbers, members):
        assert len(said(post("/embed", body), 422, "invalid-request")["errors"]) == 1


@pytest.mark.parametrize("dimensions", [8, 256, "8", 0])
def test_shorter_vectors_are_refused_and_why(dimensions: object) -> None:
    body = said(post("/v1/embeddings", openai(input="a", dimensions=dimensions)), 422, "dimensions-fixed")
    assert body["detail"] == "dimensions: the model has vectors of one length; leave it out"


def test_no_dimensions_are_no_fault() -> None:
    assert post("/v1/embeddings", openai(input="a", dimensions=None)).status_code == 200


def test_another_model_is_404_and_the_right_one_named() -> None:
    assert (
        "'fake' serves here"
        in said(post("/v1/embeddings", openai(input="a", model="gpt")), 404, "unknown-model")["detail"]
    )


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("headers", "at"),
    [
        ({"X-Priority": "urgent"}, "X-Priority"),
        ({"X-Priority": ""}, "X-Priority"),
        *(
            ({"X-Request-Timeout-Ms": value}, "X-Request-Timeout-Ms")
            for value in ("0", "-1", "1.5", "", "x", "600001", "9" * 99)
        ),
    ],
)
def test_a_wrong_header_is_named(path: str, headers: dict[str, str], at: str) -> None:
    body = said(post(path, b"", JSON | headers), 422, "invalid-request")
    assert [fault["at"] for fault in body["errors"]] == [at]


@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_is_not_said_to_be_json_is_415(path: str) -> None:
    said(post(path, b'{"texts": ["a"]}', {"content-type": "text/plain"}), 415, "unsupported-media-type")


@pytest.mark.parametrize("media", ["application/json; charset=utf-8", "Application/JSON"])
def test_a_charset_is_no_other_type(media: str) -> None:
    assert post("/embed", b'{"texts": ["a"]}', {"content-type": media}).status_code == 200


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a", "b", "c"], "3 texts, at most 2"),
        (["a" * 11], "11 characters, at most 10"),
        (["a" * 2000], "a body of 2015 bytes, at most 1024"),
    ],
)
def test_a_limit_is_413_and_named(texts: list[str], message: str) -> None:
    answer = post("/embed", json.dumps({"texts": texts}).encode(), MAX_TEXTS="2", MAX_CHARS="10", MAX_BODY_BYTES="1024")
    assert message in said(answer, 413, "too-large")["detail"]
    assert ("connection" in answer.headers) == ("body" in message)


@pytest.mark.parametrize(("method", "path", "status", "reason"), [
    ("GET", "/nowhere", 404, "not-found"),
    ("GET", "/embed/", 404, "not-found"),
    ("GET", "/docs", 404, "not-found"),
    ("GET", "/embed", 405, "method-not-allowed"),
    ("DELETE", "/v1/models", 405, "method-not-allowed"),
])  # fmt: skip
def test_what_the_framework_refuses_is_a_problem_too(method: str, path: str, status: int, reason: str) -> None:
    async def ask(client: httpx.AsyncClient, _: Service) -> httpx.Response:
        return await client.request(method, path)

    answer = visit(ask)
    said(answer, status, reason)
    assert status != 405 or answer.headers["allow"] in ("POST", "GET")


def test_without_a_model_it_is_503_with_the_reason() -> None:
    def load(_: Config) -> Model:
        raise ModelInvalid("model.onnx has another checksum")

    async def ask(client: httpx.AsyncClient, _: Service) -> list[httpx.Response]:
        posts = [await client.post(path, content=b"{") for path in PATHS]
        return [*posts, *[await client.get(path) for path in ("/v1/models", "/readyz")]]

    for answer in visit(ask, load):
        assert said(answer, 503, "not-ready")["detail"] == "ModelInvalid: model.onnx has another checksum"
        assert answer.headers["retry-after"] == "1"


class Broken(GatedEngine):
    """Fails once it is gated."""

    def run(self, batch: Any, /) -> Any:
        """Raises."""
        if self.is_gated:
            raise ZeroDivisionError("the password is hunter2")
        return super().run(batch)


def test_what_nobody_foresaw_is_500_without_its_internals(caplog: pytest.LogCaptureFixture) -> None:
    engine = Broken()

    async def ask(client: httpx.AsyncClient, service: Service) -> tuple[httpx.Response, httpx.Response]:
        engine.is_gated = True
        answers = await client.post("/embed", json={"texts": ["a"]}), await client.get("/metrics")
        assert service.is_ready
        return answers

    with caplog.at_level(logging.CRITICAL):
        answer, metrics = visit(ask, lambda _: fake_model(engine=engine))
    said(answer, 500, "internal")
    assert "hunter2" not in answer.text and "ZeroDivision" not in answer.text
    assert answer.headers["x-model-name"] == "fake"
    assert 'serving_requests_total{code="500",path="/embed",stage="canary"} 1.0' in metrics.text


def test_every_refusal_has_a_type_of_its_own() -> None:
    def kinds(of: type[errors.Refused]) -> set[type[errors.Refused]]:
        return {of}.union(*(kinds(one) for one in of.__subclasses__()))

    assert set(problems.KINDS) == kinds(errors.Refused) - {errors.Refused}
    assert len({kind.reason for kind in problems.KINDS.values()}) == len(problems.KINDS) - 1  # a body is a limit too
