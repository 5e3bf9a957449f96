"""The toy's texts, and its forward pass under numpy in jax's place: training itself needs jax and minutes."""

from __future__ import annotations

import sys
from itertools import islice
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from serving.errors import GateFailed
from serving.summarizer import rehearsal, rehearsal_text
from serving.summarizer.made import random_bart
from serving.summarizer.reference import Reference, _gelu
from serving.summarizer.rehearsal_text import END, PAD, START, VOCABULARY, Batch


def softmax(x: Any) -> Any:
    raised = np.exp(x - x.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


@pytest.fixture
def numpy_for_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    jax = ModuleType("jax")
    nn = {"softmax": softmax, "log_softmax": lambda x: np.log(softmax(x)), "gelu": lambda x, approximate: _gelu(x)}
    jax.__dict__.update(numpy=np, nn=SimpleNamespace(**nn), jit=lambda function, static_argnums: function)
    monkeypatch.setitem(sys.modules, "jax", jax)
    monkeypatch.setitem(sys.modules, "jax.numpy", np)


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    """Learnt once: that takes a third of a second."""
    return rehearsal_text.tokenizer(0)


def some(words: Tokenizer, texts: int = 4) -> Batch:
    return next(rehearsal_text.batches(words, texts, 64, seed=1))


def test_the_summary_is_the_first_sentence(words: Tokenizer) -> None:
    assert words.get_vocab_size() == VOCABULARY
    stop = words.token_to_id(".")
    for batch in islice(rehearsal_text.batches(words, 8, 64, seed=1), 4):
        for source, summary in zip(batch.sources.tolist(), batch.summaries.tolist(), strict=True):
            end = summary.index(END)
            assert summary[:end] == source[:end]
            assert (summary[0], summary[end - 1]) == (START, stop)
            assert stop not in summary[1 : end - 1]
            assert set(summary[end + 1 :]) <= {PAD}
            assert END in source


def test_texts_are_made_alike_from_the_same_seed(words: Tokenizer) -> None:
    assert np.array_equal(some(words).sources, some(words).sources)
    assert rehearsal_text.tokenizer(0).to_str() == words.to_str()


def test_any_text_can_be_read_and_written_back(words: Tokenizer) -> None:
    for text in ("The town built a bridge.", "Naïve café — 北京"):
        ids = words.encode(text).ids
        assert (ids[0], ids[-1]) == (START, END)
        assert words.decode(ids) == text


@pytest.mark.usefixtures("numpy_for_jax")
def test_what_is_trained_is_what_the_reference_computes(words: Tokenizer) -> None:
    bart = random_bart(rehearsal.SHAPE, 2, 0.1)
    wide = {name: value.astype(np.float64) for name, value in bart.tensors.items()}
    batch, reference = some(words), Reference(bart)
    found = rehearsal._log_probs(wide, bart.shape, batch.sources, batch.summaries)
    said = []
    for row, (source, summary) in enumerate(zip(batch.sources.tolist(), batch.summaries.tolist(), strict=True)):
        length = summary.index(END) + 1
        memory = reference.encode(source[: source.index(END) + 1])
        wanted = reference.log_probs(memory, [END, *summary[: length - 1]])
        assert np.abs(found[row, :length] - wanted).max() < 1e-9
        said += [wanted[place, summary[place]] for place in range(length)]
    loss = rehearsal._loss(wide, bart.shape, batch.sources, batch.summaries)
    assert loss == pytest.approx(-np.mean(said))


@pytest.mark.usefixtures("numpy_for_jax")
def test_a_toy_that_did_not_learn_is_not_written(
    words: Tokenizer, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal, "TEXTS", 4)
    monkeypatch.setattr(rehearsal_text, "tokenizer", lambda seed: words)
    monkeypatch.setattr(rehearsal, "train", lambda bart, examples, steps: bart)
    with pytest.raises(GateFailed, match="of the tokens of new texts are right"):
        rehearsal.make(tmp_path / "out", steps=1)
    assert rehearsal.main(["--out", str(tmp_path), "--steps", "1"]) == 1
    assert list(tmp_path.iterdir()) == []
