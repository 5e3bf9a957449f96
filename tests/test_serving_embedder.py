from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving import embedder as embedders
from serving import model
from serving.backlog import Claim, Lane
from serving.cache import Cache
from serving.config import from_env
from serving.embedder import Answer, Embedder, Speed, pieces
from serving.errors import ClientGone, DeadlinePassed, Draining, QueueFull
from serving.export import TEXTS, export
from serving.metrics import Metrics
from serving.model import Encoded, Model
from tests.serving_doubles import POSITIONS, GatedEngine, fake_model, write_weights

Ask = Callable[[Embedder], Awaitable[Any]]
FAST = Speed(10**6, 1.0)


class Around:
    """An embedder on a model whose batches are let through one by one."""

    def __init__(self, budget: int = 256, made: Model | None = None, speed: Speed = FAST, **env: str) -> None:
        self.engine = GatedEngine(budget)
        self.metrics = Metrics("testing")
        self._model, self._speed, self._config = made or fake_model(engine=self.engine), speed, from_env(env)

    def __call__(self, ask: Ask, *, gated: bool = True) -> Any:
        async def go() -> Any:
            self.engine.is_gated = gated
            cache = Cache(self._config.cache_mib << 20)
            embedder = Embedder(self._model, self._config, self.metrics, cache, self._speed)
            try:
                async with asyncio.timeout(20):
                    return await ask(embedder)
            finally:
                embedder.close()
                self.engine.let(100)
                await asyncio.to_thread(embedder.wait, 10)

        return asyncio.run(go())

    def told(self, series: str) -> float:
        """A number of the exposition; 0 when it is not there."""
        lines = [line for line in self.metrics.text().decode().splitlines() if line.startswith(series + " ")]
        return float(lines[0].rpartition(" ")[2]) if lines else 0.0


def asking(
    embedder: Embedder, *texts: str, after_s: float = 60.0, lane: Lane = Lane.INTERACTIVE
) -> tuple[asyncio.Task[Answer], Claim]:
    claim = Claim(lane, asyncio.get_running_loop().time() + after_s)
    return asyncio.create_task(embedder.embed(texts, claim)), claim


async def turn(times: int = 5) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


def rows(answer: Answer) -> list[int]:
    return [int(vector.argmax()) for vector in answer.vectors]


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


def test_texts_of_a_client_that_left_are_never_run() -> None:
    around = Around(budget=4)

    async def ask(embedder: Embedder) -> None:
        blocker, _ = asking(embedder, "what")
        await around.engine.entered()
        gone, claim = asking(embedder, "a a", "a a a", lane=Lane.BULK)
        cancelled, _ = asking(embedder, "a a a a")
        await turn()
        assert embedder.standing(0).bulk_tokens == 9
        claim.give_up(ClientGone("left"))
        cancelled.cancel()
        with pytest.raises(ClientGone):
            await gone
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert (embedder.standing(0).bulk_tokens, embedder.standing(0).interactive_tokens) == (0, 0)
        around.engine.let(2)
        await blocker
        assert rows(await asking(embedder, "a a")[0]) == [4]  # nothing of it was left behind

    around(ask)
    assert around.engine.batches == [[3], [4]]


def test_a_request_past_its_deadline_is_told_and_never_run() -> None:
    around = Around(budget=4)

    async def ask(embedder: Embedder) -> None:
        blocker, _ = asking(embedder, "what")
        await around.engine.entered()
        late, _ = asking(embedder, "a a", after_s=0.01)
        with pytest.raises(DeadlinePassed):
            await late
        around.engine.let(1)
        await blocker
        around.engine.let(1)
        await asking(embedder, "a")[0]

    around(ask)
    assert around.engine.batches == [[3], [3]]


def test_a_deadline_also_ends_the_wait_for_what_runs() -> None:
    around = Around()

    async def ask(embedder: Embedder) -> None:
        late, _ = asking(embedder, "a a", after_s=0.05)
        await around.engine.entered()
        with pytest.raises(DeadlinePassed):
            await late

    around(ask)


def test_long_texts_are_read_off_the_loop_a_piece_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedders, "PIECE_CHARS", 1000)
    around = Around()
    texts = [f"the {letter} " * 200 for letter in "abcdef"]

    async def ask(embedder: Embedder) -> None:
        task, claim = asking(embedder, *texts)
        turns = 0
        while not claim.missing > 1:
            await asyncio.sleep(0)
            turns += 1
        assert turns > 2
        around.engine.let(10)
        assert (await task).truncated == 6

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


def test_reading_ends_when_the_client_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedders, "PIECE_CHARS", 1000)
    around, reads, tokenize = Around(), list[int](), Model.tokenize

    def counted(self: Model, texts: Sequence[str]) -> list[Encoded]:
        reads.append(len(texts))
        return tokenize(self, texts)

    monkeypatch.setattr(Model, "tokenize", counted)

    async def ask(embedder: Embedder) -> None:
        task, claim = asking(embedder, *(f"the {letter} " * 200 for letter in "abcdef"))
        await turn(1)
        claim.give_up(ClientGone("left"))
        with pytest.raises(ClientGone):
            await task
        assert embedder.standing(0).interactive_tokens == 0

    around(ask)
    assert around.engine.batches == []
    assert reads == [1]


def test_pieces_hold_every_text_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedders, "PIECE_CHARS", 10)
    texts = ["a" * 4, "b" * 6, "c", "d" * 50, "", "e" * 10]
    assert list(pieces(texts)) == [["aaaa", "bbbbbb"], ["c"], ["d" * 50], ["", "e" * 10]]


def test_a_full_queue_refuses_before_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    around = Around(budget=4, speed=Speed(1, 1.0), LATENCY_TARGET_MS="1000")

    async def ask(embedder: Embedder) -> None:
        tasks = [asking(embedder, "what")[0]]
        await around.engine.entered()
        tasks.append(asking(embedder, "we")[0])
        await turn()
        reads = around.told('serving_phase_seconds_count{phase="tokenize",stage="testing"}')
        with pytest.raises(QueueFull):
            await asking(embedder, "the")[0]
        assert around.told('serving_phase_seconds_count{phase="tokenize",stage="testing"}') == reads
        around.engine.let(2)
        for task in tasks:
            await task

    around(ask)


def test_a_request_that_is_refused_leaves_nothing_in_line() -> None:
    around = Around(budget=4, MAX_QUEUE_TOKENS="512")

    async def ask(embedder: Embedder) -> None:
        blocker, _ = asking(embedder, "what")
        await around.engine.entered()
        waits, _ = asking(embedder, *(f"{letter} " * 99 for letter in "abcd"))
        while embedder.standing(0).interactive_tokens != 4 * POSITIONS:
            await asyncio.sleep(0)
        with pytest.raises(QueueFull, match="256 interactive tokens wait"):
            await asking(embedder, "a " * 99, *(f"{letter} " * 99 for letter in "efghi"))[0]
        assert embedder.standing(0).interactive_tokens == 4 * POSITIONS
        around.engine.let(5)
        await blocker
        await waits

    around(ask)


def test_who_waits_when_it_closes_is_told() -> None:
    around = Around(budget=4)

    async def ask(embedder: Embedder) -> None:
        blocker, _ = asking(embedder, "what")
        await around.engine.entered()
        waits, _ = asking(embedder, "a")
        await turn()
        embedder.close()
        with pytest.raises(Draining):
            await waits
        with pytest.raises(Draining):
            await asking(embedder, "the " * 999)[0]
        around.engine.let()
        assert rows(await blocker) == [3]

    around(ask)


def test_the_measured_rate_follows_the_engine() -> None:
    around = Around(speed=Speed(10**9, 1.0))

    async def ask(embedder: Embedder) -> tuple[float, float]:
        before = embedder.standing(0).rate
        for number in range(20):
            await asking(embedder, f"the {number}")[0]
        return before, embedder.standing(0).rate

    before, after = around(ask, gated=False)
    assert before == 10**9
    assert after < before


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
