from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from serving.summarizer import builder, folder, slots
from serving.summarizer.engine import Engine
from serving.summarizer.made import TINY
from serving.summarizer.reference import Reference
from serving.summarizer.rouge import rouge_l
from tests.summarizer_doubles import SOURCES, bart, engine

PREFIX = [2, 0, *np.random.default_rng(1).integers(5, TINY.vocabulary, 12).tolist()]


def cosines(found: Any, wanted: Any) -> Any:
    """Of centred rows."""
    left, right = (rows - rows.mean(axis=1, keepdims=True) for rows in (found.astype(np.float64), wanted))
    return (left * right).sum(axis=1) / np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))


@pytest.fixture(scope="module")
def fp32(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return engine(tmp_path_factory.mktemp("fp32"))


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("source", range(len(SOURCES)))
def test_fp32_agrees_with_the_reference(tmp_path: Path, source: int, scaled: bool) -> None:
    reference = Reference(bart(scaled=scaled))
    wanted = reference.log_probs(reference.encode(SOURCES[source]), PREFIX)
    found = engine(tmp_path, scaled=scaled).log_probs(SOURCES[source], PREFIX)
    assert np.abs(found - wanted).max() < 1e-4
    assert cosines(found, wanted).min() > 0.999999


@pytest.mark.parametrize("source", range(len(SOURCES)))
def test_int8_stays_near_the_reference(tmp_path: Path, source: int) -> None:
    reference = Reference(bart())
    wanted = reference.log_probs(reference.encode(SOURCES[source]), PREFIX)
    found = cosines(engine(tmp_path, "int8").log_probs(SOURCES[source], PREFIX), wanted)
    assert found.mean() > 0.994
    assert found.min() > 0.98
    assert found.max() < 0.9999999  # else nothing was rounded


def test_the_sides_of_the_reference_depend_on_what_they_should(fp32: Engine) -> None:
    """A later token changes no earlier row; another source changes every row."""
    reference = Reference(bart())
    memory = reference.encode(SOURCES[0])
    rows, other = reference.log_probs(memory, PREFIX), reference.log_probs(memory, [*PREFIX[:-1], 9])
    assert np.abs(rows[:-1] - other[:-1]).max() < 1e-12
    assert np.abs(rows[-1] - other[-1]).max() > 1e-3
    assert (np.abs(rows - reference.log_probs(reference.encode(SOURCES[1]), PREFIX)).max(axis=1) > 1e-3).all()


def test_the_reference_refuses_what_the_model_cannot_read() -> None:
    reference = Reference(bart())
    for ids in ([], [1] * (TINY.positions + 1)):
        with pytest.raises(ValueError, match="tokens"):
            reference.encode(ids)


def test_padding_in_the_encoder_changes_nothing(fp32: Engine) -> None:
    longest = max(map(len, SOURCES))
    ids, mask = np.full((len(SOURCES), longest), 1), np.zeros((len(SOURCES), longest), np.int64)
    for row, source in enumerate(SOURCES):
        ids[row, : len(source)], mask[row, : len(source)] = source, 1
    together = fp32.encoder.run(None, {"input_ids": ids, "attention_mask": mask})
    for row, source in enumerate(SOURCES):
        alone = fp32.encode(source)
        for layer in range(TINY.decoder_layers):
            key, value = together[2 * layer][row], together[2 * layer + 1][row]
            assert np.abs(key[:, :, : len(source)] - alone.keys[layer][0]).max() < 1e-5
            assert np.abs(value[:, : len(source)] - alone.values[layer][0]).max() < 1e-5


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_only_operators_that_are_said_and_one_copy_of_the_words(tmp_path: Path, precision: str) -> None:
    engine(tmp_path, precision)
    graphs = [onnx.load(str(tmp_path / name), load_external_data=False) for name in (folder.ENCODER, folder.DECODER)]
    own = {builder.RUNTIME} if precision == "int8" else set()
    assert {node.domain for graph in graphs for node in graph.graph.node} == {"", *own}
    words = [next(tensor for tensor in graph.graph.initializer if tensor.name == "words") for graph in graphs]
    assert words[0].external_data == words[1].external_data
    floats = [
        tensor.name
        for graph in graphs
        for tensor in graph.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and tensor.name.endswith(".weight")
    ]
    assert bool(floats) == (precision == "fp32")


def test_a_plan_keeps_what_is_descended_from_and_shows_each_beam_its_own() -> None:
    lines = [np.array([[0, 3], [0, 4]]), np.array([[6, 6], [2, 5]]), slots.start(2)]
    plan = slots.plan(lines)
    assert plan.kept == 3
    assert plan.keep.tolist() == [[0, 3, 4], [2, 5, 6], [0, 0, 0]]
    seen = [[np.flatnonzero(beam == 0).tolist() for beam in text] for text in plan.lineage]
    assert seen == [[[0, 1, 3], [0, 2, 4]], [[2, 3], [0, 1, 4]], [[3], [4]]]
    assert [line.tolist() for line in plan.lines[:2]] == [[[0, 1], [0, 2]], [[2, 2], [0, 1]]]
    after = slots.descend(plan.lines[0], np.array([1, 1]), plan.kept)
    assert after.tolist() == [[0, 2, 4], [0, 2, 4]]


def test_rouge_is_the_longest_common_subsequence() -> None:
    assert rouge_l([1, 2, 3], [1, 2, 3]) == 1.0
    assert rouge_l([1, 2, 3, 4], [1, 3]) == pytest.approx(2 * 2 / 6)
    assert rouge_l([1, 2], [3]) == 0.0
    assert rouge_l([], []) == 1.0
    assert rouge_l([], [1]) == 0.0
