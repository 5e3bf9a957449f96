"""The engine against the plain search, and both against what `generate` of transformers gave for the same weights.

`summarizer_hf.json` was recorded with transformers (its first line says which), so that neither search is judged by
its own author alone.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.errors import TextInvalid
from serving.summarizer import batch, plain_search
from serving.summarizer.engine import Engine
from serving.summarizer.generation import Generation
from tests.summarizer_doubles import SETTINGS, SOURCES, Remembered, bart, engine

RECORDED = json.loads((Path(__file__).parent / "summarizer_hf.json").read_text())
GRID = [
    SETTINGS.changed(
        num_beams=beams,
        length_penalty=penalty,
        no_repeat_ngram_size=ngram,
        early_stopping=early,
        min_length=shortest,
        max_length=longest,
        forced_bos_token_id=start,
        forced_eos_token_id=end,
    )
    for number, (beams, penalty, ngram, early, shortest, longest, start, end) in enumerate(
        itertools.product(
            (1, 2, 3, 4),
            (0.0, 1.0, 2.0, -0.5),
            (0, 1, 2, 3),
            (True, False, "never"),
            (0, 6),
            (9, 16),
            (0, None),
            (2, None),
        )
    )
    if number % 71 == 0  # coprime to every factor above, so that every value meets every other
]


@pytest.fixture(scope="module")
def fp32(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return engine(tmp_path_factory.mktemp("fp32"))


@pytest.fixture(scope="module")
def int8(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return engine(tmp_path_factory.mktemp("int8"), "int8")


@pytest.fixture(scope="module")
def remembered() -> Remembered:
    return Remembered()


def plain(remembered: Remembered, source: int, settings: Generation) -> list[int]:
    return plain_search.search(lambda ids: remembered.next_token(source, ids), settings)


def recorded(case: dict[str, Any]) -> Generation:
    return SETTINGS.changed(**case["settings"])


def test_the_recording_is_of_these_weights() -> None:
    tensors = bart().tensors
    found = hashlib.sha256(b"".join(tensors[name].tobytes() for name in sorted(tensors))).hexdigest()
    assert found == RECORDED["weights_sha256"]
    assert len(RECORDED["cases"]) >= 50


def test_the_plain_search_gives_what_transformers_gave(remembered: Remembered) -> None:
    for case in RECORDED["cases"]:
        found = [plain(remembered, source, recorded(case)) for source in range(len(SOURCES))]
        assert found == case["summaries"], case["settings"]


def test_the_engine_gives_what_transformers_gave(fp32: Engine) -> None:
    for case in RECORDED["cases"]:
        assert batch.summarize(fp32, SOURCES, recorded(case)) == case["summaries"], case["settings"]


def test_the_engine_equals_the_plain_search_over_a_grid(fp32: Engine, remembered: Remembered) -> None:
    lengths = set()
    for number, settings in enumerate(GRID):
        wanted = [plain(remembered, source, settings) for source in range(len(SOURCES))]
        assert batch.summarize(fp32, SOURCES, settings) == wanted, settings
        alone = number % len(SOURCES)  # which of them comes alone too, in turn
        assert batch.summarize(fp32, [SOURCES[alone]], settings) == [wanted[alone]], settings
        lengths |= set(map(len, wanted))
    assert len(GRID) >= 40
    assert len(lengths) >= 6  # else the grid did not tell ending from being ended


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_summary_does_not_depend_on_its_batch_mates(precision: str, fp32: Engine, int8: Engine) -> None:
    chosen = {"fp32": fp32, "int8": int8}[precision]
    alone = [batch.summarize(chosen, [source], SETTINGS)[0] for source in SOURCES]
    assert len(set(map(tuple, alone))) > 1
    for order in ((0, 1, 2, 3), (3, 2, 1, 0), (2, 2, 1), (3, 0)):
        assert batch.summarize(chosen, [SOURCES[n] for n in order], SETTINGS) == [alone[n] for n in order]


def run(work: batch.Batch) -> dict[int, list[int]]:
    """Step to the end."""
    found: dict[int, list[int]] = {}
    for _ in range(200):
        if not work:
            return found
        found |= work.step()
    raise AssertionError("the batch does not end")


def test_texts_come_and_go_between_steps(fp32: Engine) -> None:
    """Each with its own settings: who is there beside it, and since when, changes nothing."""
    settings = [SETTINGS.changed(max_length=length, min_length=length // 2) for length in (16, 9, 14, 12)]
    wanted = [batch.summarize(fp32, [SOURCES[n]], settings[n])[0] for n in range(4)]
    work = batch.Batch(fp32, SETTINGS.num_beams)
    tickets = [work.add(SOURCES[0], settings[0]), work.add(SOURCES[1], settings[1])]
    found = work.step() | work.step()
    tickets.append(work.add(SOURCES[2], settings[2]))
    found |= work.step()
    given_up = work.add(SOURCES[3], settings[3])
    found |= work.step()
    work.drop(given_up)
    tickets.append(work.add(SOURCES[3], settings[3]))
    found |= run(work)
    assert given_up not in found
    assert [found[ticket] for ticket in tickets] == wanted


def test_a_dropped_text_costs_no_further_step(fp32: Engine) -> None:
    work = batch.Batch(fp32, SETTINGS.num_beams)
    ticket = work.add(SOURCES[0], SETTINGS)
    work.step()
    work.drop(ticket)
    work.drop(ticket)  # silent: it may have finished in the meantime
    assert len(work) == 0
    assert work.step() == {}


def test_a_summary_of_nothing_but_forced_tokens_needs_no_step(fp32: Engine) -> None:
    settings = SETTINGS.changed(max_length=2, min_length=0)
    assert batch.summarize(fp32, [SOURCES[0]], settings) == [[2]]
    work = batch.Batch(fp32, SETTINGS.num_beams)
    late, early = work.add(SOURCES[1], SETTINGS), work.add(SOURCES[0], settings)
    found = run(work)
    assert found[early] == [2]
    assert found[late] == batch.summarize(fp32, [SOURCES[1]], SETTINGS)[0]


def test_shared_beginnings_are_kept_once(fp32: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What four beams look back at is less than half of what a cache per beam would hold, even with random weights."""
    kept: list[int] = []
    step = Engine.step

    def watched(self: Engine, feed: dict[str, Any], given: dict[str, Any]) -> Any:
        kept.append(feed["keep"].shape[1])
        return step(self, feed, given)

    monkeypatch.setattr(Engine, "step", watched)
    settings = SETTINGS.changed(min_length=40, max_length=40)
    summaries = batch.summarize(fp32, [SOURCES[1]], settings)
    assert len(summaries[0]) == 39
    assert max(kept) < 38 * settings.num_beams / 2


def test_what_cannot_be_encoded_is_refused(fp32: Engine) -> None:
    work = batch.Batch(fp32, SETTINGS.num_beams)
    for ids in ([], [0, 300], [-1], [5] * 65):
        with pytest.raises(TextInvalid, match="expected 1 to 64 tokens, every one from 0 to 299"):
            work.add(ids, SETTINGS)
    with pytest.raises(ValueError, match="expected 4 beams, got 2"):
        work.add(SOURCES[0], SETTINGS.changed(num_beams=2))
    assert len(work) == 0


def test_more_beams_than_words_can_follow_still_end(fp32: Engine) -> None:
    """Every token is banned after it was said once, so the widest demand exceeds what most beams have left."""
    settings = SETTINGS.changed(num_beams=16, no_repeat_ngram_size=1, min_length=30, max_length=60)
    (summary,) = batch.summarize(fp32, [SOURCES[2]], settings)
    assert len(summary) == len(set(summary)) == 59


def test_scores_are_best_first(fp32: Engine) -> None:
    rows = fp32.log_probs(SOURCES[0], [2, 0, 7])
    assert np.allclose(np.exp(rows.astype(np.float64)).sum(axis=1), 1.0, atol=1e-5)
