from __future__ import annotations

import json
from http.client import RemoteDisconnected

import pytest

from pipelines.ingest import stage
from pipelines.ingest.errors import StageAway, StageError
from pipelines.ingest.stage import Embedded, Model, Reply
from tests.pipelines.ingest_doubles import Stage, answer


def embed(texts: list[str], post: Stage, pauses: list[float] | None = None) -> Embedded:
    return stage.embed(texts, post, most=2, sleep=(pauses if pauses is not None else []).append)


def test_texts_go_in_batches_and_vectors_keep_their_order() -> None:
    post = Stage()
    found = embed(["a", "bb", "ccc"], post)
    assert post.asked == [["a", "bb"], ["ccc"]]
    assert found == Embedded([[1, 0, 0], [0, 2, 0], [0, 0, 3]], Model("m", "1", "p"), 0)


@pytest.mark.parametrize(
    "away",
    [
        Reply(503, b"no model"),
        Reply(429, b"busy"),
        Reply(504, b"late"),
        ConnectionRefusedError(),
        RemoteDisconnected(""),
    ],
)
def test_a_stage_that_is_away_is_asked_again(away: Reply | Exception) -> None:
    pauses: list[float] = []
    assert embed(["a"], Stage(away, away), pauses).vectors == [[1, 0, 0]]
    assert pauses == [0.5, 1.0]


def test_and_not_for_ever() -> None:
    pauses: list[float] = []
    with pytest.raises(StageAway, match=r"8 attempts; last: 503 no model"):
        embed(["a"], Stage(*[Reply(503, b"no model")] * 20), pauses)
    assert sum(pauses) < 60


@pytest.mark.parametrize("code", [400, 413, 422, 500])
def test_any_other_refusal_is_final(code: int) -> None:
    post = Stage(Reply(code, b"no"))
    with pytest.raises(StageError, match=str(code)):
        embed(["a"], post)
    assert len(post.asked) == 1


def test_fewer_vectors_than_texts_are_no_answer() -> None:
    with pytest.raises(StageError, match="1 vectors for 2 texts"):
        embed(["a", "b"], Stage(answer([[1, 0, 0]])))


def test_a_vector_of_no_numbers_is_no_answer() -> None:
    broken = json.loads(answer([[1, 0, 0]]).body) | {"embeddings": [[float("nan"), 0, 0]]}
    with pytest.raises(StageError, match="numbers that are none"):
        embed(["a"], Stage(Reply(200, json.dumps(broken).encode())))


def test_two_models_for_one_document_are_refused() -> None:
    with pytest.raises(StageError, match="2 models"):
        embed(["a", "b", "c"], Stage(answer([[1, 0, 0]] * 2, version="1"), answer([[1, 0, 0]], version="2")))


def test_texts_that_were_cut_are_counted() -> None:
    assert embed(["a", "b", "c"], Stage(answer([[1]] * 2, truncated=2), answer([[1]], truncated=1))).truncated == 3
