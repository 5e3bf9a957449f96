from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from serving import model
from serving.config import from_env
from serving.embedder import Embedder
from serving.errors import ClientGone
from serving.export import TEXTS, export
from serving.model import Model
from tests.serving_around import Around, asking, rows, turn
from tests.serving_doubles import POSITIONS, write_weights


def test_the_same_text_asked_for_at_once_is_run_once() -> None:
    around = Around()

    async def ask(embedder: Embedder) -> None:
        first, _ = asking(embedder, "the what")
        await around.engine.entered()
        others = [asking(embedder, "the what", "the what")[0] for _ in range(3)]
        await turn()
        around.engine.let()
        answers = [await first, *[await other for other in others]]
        assert [rows(answer) for answer in answers] == [[4], [4, 4], [4, 4], [4, 4]]
        assert [answer.tokens for answer in answers] == [4, 8, 8, 8]

    around(ask)
    assert around.engine.batches == [[4]]
    assert around.told('serving_cache_total{found="new",stage="testing"}') == 1
    assert around.told('serving_cache_total{found="joined",stage="testing"}') == 3


def test_a_text_that_was_run_is_known() -> None:
    around = Around()

    async def ask(embedder: Embedder) -> None:
        for _ in range(3):
            around.engine.let()
            answer = await asking(embedder, "the " * 100)[0]
            assert (answer.tokens, answer.truncated) == (POSITIONS, 1)

    around(ask)
    assert around.engine.batches == [[POSITIONS]]
    assert around.told('serving_cache_total{found="hit",stage="testing"}') == 2


def test_without_a_cache_it_is_run_again() -> None:
    around = Around(CACHE_MIB="0")

    async def ask(embedder: Embedder) -> None:
        for _ in range(2):
            around.engine.let()
            await asking(embedder, "the")[0]

    around(ask)
    assert around.engine.batches == [[3], [3]]


def test_new_known_and_shared_texts_of_one_request_come_back_in_order() -> None:
    around = Around(budget=4)

    async def ask(embedder: Embedder) -> None:
        around.engine.let()
        await asking(embedder, "a")[0]
        await around.engine.entered()
        other, _ = asking(embedder, "a a")
        await around.engine.entered()
        mixed, claim = asking(embedder, "a a a", "a", "a a", "a a a")
        await turn()
        around.engine.let()  # what is shared is done, what is new is not
        await other
        assert not claim.settled.is_set()
        around.engine.let()
        assert rows(await mixed) == [5, 3, 4, 5]

    around(ask)
    assert around.engine.batches == [[3], [4], [5]]


def test_one_of_those_who_share_a_text_may_leave() -> None:
    around = Around()

    async def ask(embedder: Embedder) -> None:
        blocker, _ = asking(embedder, "what")
        await around.engine.entered()
        first, leaves = asking(embedder, "the")
        second, _ = asking(embedder, "the")
        await turn()
        leaves.give_up(ClientGone("left"))
        with pytest.raises(ClientGone):
            await first
        around.engine.let(2)
        assert rows(await second) == [3]
        await blocker

    around(ask)


def test_texts_that_were_read_twice_at_once_are_run_once() -> None:
    around = Around()
    long = "the what " * 200

    async def ask(embedder: Embedder) -> None:
        both = [asking(embedder, long)[0] for _ in range(2)]
        await around.engine.entered()
        await turn()
        around.engine.let(2)
        assert [(await task).truncated for task in both] == [1, 1]

    around(ask)
    assert around.engine.batches == [[POSITIONS]]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A random two-layer BERT through the exporter, on ONNX Runtime."""
    base = tmp_path_factory.mktemp("tiny")
    export(write_weights(base / "weights"), base / "model", name="tiny", version="1", max_tokens=POSITIONS)
    return load(base / "model")


def load(folder: Path) -> Model:
    return model.load(from_env({"MODEL_DIR": str(folder), "REQUIRED_PROVIDER": model.CPU}))


@pytest.mark.parametrize("budget", [16, 256, 4096])
def test_a_vector_does_not_depend_on_who_else_asks(tiny: Model, budget: int) -> None:
    around = Around(made=tiny, BATCH_TOKENS=str(budget), WORKERS="2", CACHE_MIB="0")
    texts = [
        *TEXTS,
        *(f"{first} the {second} what" * length for first in "abcd" for second in "ef" for length in (1, 5)),
    ]

    async def ask(embedder: Embedder) -> None:
        alone = [(await asking(embedder, text)[0]).vectors[0] for text in texts]
        together = await asking(embedder, *texts)[0]
        beside = await asyncio.gather(*(asking(embedder, text, text + " we")[0] for text in reversed(texts)))
        for one, other, third in zip(alone, together.vectors, reversed(beside), strict=True):
            assert np.abs(one - other).max() < 1e-6
            assert np.abs(one - third.vectors[0]).max() < 1e-6

    around(ask, gated=False)
    size = around.told('serving_batch_size_tokens_count{stage="testing"}')
    assert len(texts) < size < 4 * len(texts)
