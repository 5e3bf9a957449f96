"""The program that makes the rehearsal's summarizer, with a tiny untrained model in the trained one's place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from serving.summarizer import gate, rehearsal, rehearsal_text, summarizer, toy
from serving.summarizer.rehearsal_text import SENTENCE
from tests.summarizer_doubles import write_source

RECORDED = toy.Recorded.model_validate_json(toy.RECORDED.read_bytes())
Make = Callable[[Path], int]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setattr(rehearsal, "make", write_source)
    monkeypatch.setattr(gate.record, "__defaults__", (("A dog.",),))
    return lambda out: toy.main(["--out", str(out)])


def test_a_toy_that_does_not_give_what_is_recorded_is_not_left(make: Make, tmp_path: Path) -> None:
    assert make(tmp_path / "summarizer") == 1
    assert list(tmp_path.iterdir()) == []


def test_one_that_does_is_a_model_folder_by_the_toys_name(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy, "RECORDED", tmp_path / "recorded.json")
    texts = [toy.Known(text=known.text[:20], summary="") for known in RECORDED.texts]
    monkeypatch.setattr(toy, "require", lambda folder, recorded: None)
    toy.RECORDED.write_text(RECORDED.model_copy(update={"texts": texts}).model_dump_json())
    assert make(tmp_path / "summarizer") == 0
    monkeypatch.undo()
    made = summarizer.load(tmp_path / "summarizer")
    assert (made.manifest.name, made.manifest.precision) == (RECORDED.model, RECORDED.precision)
    right = [known.model_copy(update={"summary": made.summarize([known.text])[0]}) for known in texts]
    toy.require(tmp_path / "summarizer", RECORDED.model_copy(update={"texts": right}))


def test_what_is_recorded_is_what_the_toy_learns() -> None:
    """The first sentence, and of a length that it was trained on."""
    words = rehearsal_text.tokenizer(0)
    assert RECORDED.model == rehearsal.NAME
    assert len(RECORDED.texts) >= 5
    for known in RECORDED.texts:
        assert known.summary == known.text.partition(".")[0] + "."
        assert len(words.encode(known.summary, add_special_tokens=False).ids) <= SENTENCE[1]
        assert len(words.encode(known.text).ids) <= rehearsal.TOKENS
