from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from serving import gate, golden, manifest, model, passages
from serving.config import from_env
from serving.errors import GateFailed
from serving.export import TEXTS, export
from serving.ort import OrtEngine
from serving.proof import prove
from tests.serving_doubles import POSITIONS, write_weights

GOOD = manifest.Gate(cosine_mean=0.9999, cosine_min=0.9995, recall_fp32=0.7, recall=0.7, mates_cosine_min=1.0)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "tiny")


def made(source: Path, out: Path, precision: str) -> Path:
    export(source, out, name="tiny", version="1", max_tokens=POSITIONS, precision=precision)  # type: ignore[arg-type]
    return out


@pytest.fixture(scope="module")
def folder(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(source, tmp_path_factory.mktemp("model") / "fp16", "fp16")


def load(folder: Path) -> model.Model:
    return model.load(from_env({"MODEL_DIR": str(folder), "REQUIRED_PROVIDER": "CPUExecutionProvider"}))


def test_the_folder_says_its_precision_and_what_it_reached(folder: Path) -> None:
    about = manifest.load(folder)
    assert about.precision == golden.load(folder).precision == "fp16"
    assert about.gate is not None
    assert 0.999 <= about.gate.cosine_min < 1.0, "exactly fp32's would mean that nothing is half as wide"
    loaded = load(folder)
    assert isinstance(loaded.engine, OrtEngine)
    assert prove(loaded) >= golden.GATE


def test_weights_are_half_as_wide_and_vectors_are_not(folder: Path, source: Path, tmp_path: Path) -> None:
    graph = onnx.load(str(folder / manifest.GRAPH), load_external_data=False).graph
    assert {one.data_type for one in graph.initializer} == {TensorProto.FLOAT16, TensorProto.INT64}
    assert graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    plain = made(source, tmp_path / "fp32", "fp32")
    sizes = [sum(one.dims[0] for one in _large(each)) for each in (folder, plain)]
    assert sizes[0] == sizes[1] > 0
    assert _bytes(folder) * 2 == _bytes(plain)


def _large(folder: Path) -> list[onnx.TensorProto]:
    graph = onnx.load(str(folder / manifest.GRAPH), load_external_data=False).graph
    return [one for one in graph.initializer if one.data_location == TensorProto.EXTERNAL]


def _bytes(folder: Path) -> int:
    return sum(int(entry.value) for one in _large(folder) for entry in one.external_data if entry.key == "length")


def test_a_vector_does_not_depend_on_its_batch_mates(folder: Path) -> None:
    loaded = load(folder)
    texts = [ids for ids, _ in loaded.tokenize([*TEXTS, *passages.make(12).queries])]
    alone = np.concatenate([loaded.run([ids]) for ids in texts])
    assert gate.mates(loaded.run, texts, alone) >= gate.MATES_COSINE


@pytest.mark.parametrize(
    ("figure", "value"),
    [("cosine_mean", 0.9989), ("cosine_min", 0.9989), ("recall", 0.679), ("mates_cosine_min", 0.9998)],
)
def test_fp16_is_held_to_more_than_int8(figure: str, value: float) -> None:
    gate.require(GOOD, "fp16")
    with pytest.raises(GateFailed, match=f"fp16: {figure}"):
        gate.require(GOOD.model_copy(update={figure: value}), "fp16")
