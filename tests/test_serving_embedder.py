from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from serving import embedder as embedders
from serving.backlog import Lane
from serving.embedder import Embedder, Speed, pieces
from serving.errors import ClientGone, DeadlinePassed, Draining, QueueFull
from serving.model import Encoded, Model
from tests.serving_around import Around, asking, rows, turn
from tests.serving_doubles import POSITIONS


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
