from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving import golden, graph, manifest, model, reference, weights
from serving.config import from_env
from serving.errors import GateFailed, ModelInvalid, ProviderMissing
from serving.export import TEXTS, export, main
from serving.proof import prove
from tests.serving_doubles import HIDDEN, POSITIONS, write_weights

CPU = "CPUExecutionProvider"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture(scope="module")
def folder(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("model") / "embedder"
    export(source, out, name="tiny", version=None, max_tokens=POSITIONS)
    return out


def load(folder: Path, **env: str) -> model.Model:
    return model.load(from_env({"MODEL_DIR": str(folder), "REQUIRED_PROVIDER": CPU, **env}))


def test_the_folder_says_what_it_is(folder: Path, source: Path) -> None:
    about = manifest.load(folder)
    digest = manifest.sha256(source / "model.safetensors")
    assert (about.name, about.version, about.precision, about.dimensions) == (
        "tiny",
        f"{digest[:12]}-fp32",
        "fp32",
        HIDDEN,
    )
    assert set(about.files) == {"model.onnx", "model.onnx.data", "tokenizer.json", "golden.json"}
    assert len((folder / "SHA256SUMS").read_text().splitlines()) == 5


def test_the_same_weights_give_the_same_bytes(source: Path, folder: Path, tmp_path: Path) -> None:
    export(source, tmp_path / "again", name="tiny", version=None, max_tokens=POSITIONS)
    for path in sorted(folder.iterdir()):
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


def test_the_graph_agrees_with_the_reference(folder: Path) -> None:
    loaded = load(folder)
    assert len(loaded.golden.texts) == len(TEXTS) >= 8
    assert prove(loaded) > 0.999999


def test_a_vector_does_not_depend_on_its_batch_mates(folder: Path) -> None:
    loaded = load(folder)
    texts = [ids for ids, _ in loaded.tokenize(TEXTS)]
    together = loaded.run(texts)
    for ids, row in zip(texts, together, strict=True):
        assert golden.cosine(loaded.run([ids])[0], row) > 0.9999999
        assert np.abs(loaded.run([ids])[0] - row).max() < 1e-6


def test_vectors_have_unit_length(folder: Path) -> None:
    loaded = load(folder)
    rows = loaded.run([ids for ids, _ in loaded.tokenize(TEXTS)])
    assert np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-6)


def test_long_texts_are_cut_and_said_to_be(folder: Path) -> None:
    (long, was_cut), (short, was_not) = load(folder).tokenize(["the " * 500, "the"])
    assert len(long) == POSITIONS
    assert was_cut
    assert len(short) == 3
    assert not was_not


def test_the_reference_refuses_what_the_encoder_cannot_read(source: Path) -> None:
    bert = weights.load(source)
    for ids in ([], [1] * (POSITIONS + 1)):
        with pytest.raises(ValueError, match="tokens"):
            reference.embed(bert, ids)


def test_a_graph_that_disagrees_is_not_published(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "MASKED", 0.0)
    monkeypatch.setattr(graph, "_gelu", lambda made, out, x: made.node("Relu", [x], out + "gelu"))
    with pytest.raises(GateFailed, match="to the fp64 reference"):
        export(source, tmp_path / "out", name="tiny", version="1", max_tokens=POSITIONS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["model.onnx", "model.onnx.data", "golden.json", "tokenizer.json"])
def test_a_changed_file_is_refused_by_name(folder: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(folder, tmp_path / "m")
    path = tmp_path / "m" / name
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(ModelInvalid, match=name):
        load(tmp_path / "m")


def test_a_missing_folder_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ModelInvalid, match="no model in"):
        load(tmp_path)


def test_a_missing_provider_is_refused_unless_a_cpu_is_allowed(folder: Path) -> None:
    with pytest.raises(ProviderMissing, match="NoSuchExecutionProvider is required"):
        load(folder, REQUIRED_PROVIDER="NoSuchExecutionProvider")
    degraded = load(folder, REQUIRED_PROVIDER="NoSuchExecutionProvider", ALLOW_CPU="1")
    assert degraded.degraded
    assert degraded.provider == CPU
    assert not load(folder).degraded


def test_the_batch_budget_follows_the_provider_unless_it_is_set(folder: Path) -> None:
    loaded = load(folder)
    assert loaded.batch_tokens(from_env({})) == 256
    assert loaded.batch_tokens(from_env({"BATCH_TOKENS": "99"})) == 99


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("config.json", {"hidden_act": "relu"}, "hidden_act: expected 'gelu'"),
        ("config.json", {"model_type": "gpt2"}, "model_type: expected 'bert'"),
        ("config.json", {"position_embedding_type": "relative_key"}, "position_embedding_type"),
        ("1_Pooling/config.json", {"pooling_mode_cls_token": True}, "only mean pooling"),
    ],
)
def test_what_would_be_computed_wrongly_is_refused(
    source: Path, tmp_path: Path, file: str, change: dict[str, Any], message: str
) -> None:
    shutil.copytree(source, tmp_path / "w")
    path = tmp_path / "w" / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ModelInvalid, match=message):
        weights.load(tmp_path / "w")


def test_main_says_why_and_exits_1(tmp_path: Path) -> None:
    assert main(["--weights", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert not (tmp_path / "out").exists()


def test_the_recorded_vectors_of_the_published_model_are_whole() -> None:
    recorded = golden.load(Path(golden.__file__).parent)
    assert [entry.text for entry in recorded.texts] == list(TEXTS)
    assert {len(entry.vector) for entry in recorded.texts} == {384}
    for entry in recorded.texts:
        assert abs(sum(x * x for x in entry.vector) - 1.0) < 1e-5
