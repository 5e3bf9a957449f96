from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest

from serving.errors import GateFailed, GoldenMismatch, ModelInvalid
from serving.manifest import sha256
from serving.summarizer import builder, folder, gate, golden, measure, summarizer
from serving.summarizer.export import export, main
from serving.summarizer.made import TINY
from tests.summarizer_doubles import SETTINGS, bart, engine, write_source


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture(scope="module")
def made(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("model") / "summarizer"
    export(source, out, "fp32")
    return out


def test_the_folder_says_what_it_is(made: Path, source: Path) -> None:
    about = folder.load_manifest(made)
    digest = sha256(source / "model.safetensors")
    assert (about.kind, about.name, about.version, about.precision) == ("summarizer", "tiny", digest[:12], "fp32")
    assert (about.max_tokens, about.generation) == (TINY.positions, SETTINGS)
    assert about.gate.exact == about.gate.rouge_l == 1.0
    assert about.gate.cosine_min > 0.999999
    assert set(about.files) == {"encoder.onnx", "decoder.onnx", "weights.data", "tokenizer.json", "golden.json"}
    assert len((made / "SHA256SUMS").read_text().splitlines()) == 6


def test_the_same_weights_give_the_same_graphs(source: Path, made: Path, tmp_path: Path) -> None:
    export(source, tmp_path / "again", "fp32")
    for path in sorted(made.iterdir()):
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


def test_it_is_loaded_proven_and_answers_in_words(made: Path) -> None:
    loaded = summarizer.load(made)
    assert loaded.engine.provider == "CPUExecutionProvider"
    assert len(loaded.golden.texts) == len(gate.TEXTS) >= 4
    assert golden.prove(loaded.engine, loaded.tokenizer, loaded.golden, "fp32") < 1e-4
    texts = ["One text.", "And another one, a little longer."]
    together = loaded.summarize(texts)
    assert together == [loaded.summarize([text])[0] for text in texts]
    assert all(isinstance(text, str) for text in together)
    assert loaded.start().add(loaded.tokenize(["One text."])[0][0], loaded.settings) == 1


def test_words_come_without_marks(made: Path) -> None:
    loaded = summarizer.load(made)
    ids = loaded.tokenize([" Naïve café — 北京"])[0][0]
    assert loaded.text(ids) == "Naïve café — 北京"


def test_long_texts_are_cut_and_said_to_be(made: Path) -> None:
    (long, was_cut), (short, was_not) = summarizer.load(made).tokenize(["the " * 500, "the"])
    assert len(long) == TINY.positions
    assert was_cut
    assert len(short) == 5
    assert not was_not


def test_a_graph_that_disagrees_is_not_published(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder.Graph, "_gelu", lambda graph, at, x: graph.node("Relu", [x], at + "gelu"))
    with pytest.raises(GateFailed, match=r"fp32: cosine_mean .* to the fp64 reference"):
        export(source, tmp_path / "out", "fp32")
    assert list(tmp_path.iterdir()) == []


def test_another_summary_than_the_reference_s_is_not_published(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every step may be right and the search still wrong."""
    monkeypatch.setattr("serving.summarizer.beams.Beams._cannot_improve", lambda beams, best: bool(beams._ended))
    with pytest.raises(GateFailed, match="fp32: exact"):
        export(source, tmp_path / "out", "fp32")


def test_int8_says_how_near_it_comes(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights are all near ties, so its words go astray; what a trained model's are held to is the default."""
    with pytest.raises(GateFailed, match="int8: rouge_l"):
        export(source, tmp_path / "out", "int8")
    least = gate.LEAST["int8"].model_copy(update={"rouge_l": 0.0})
    monkeypatch.setitem(gate.LEAST, "int8", least)
    export(source, tmp_path / "out", "int8")
    loaded = summarizer.load(tmp_path / "out")
    assert 0.994 < loaded.manifest.gate.cosine_mean < 0.99999
    assert loaded.manifest.precision == "int8"
    assert golden.prove(loaded.engine, loaded.tokenizer, loaded.golden, "int8") < 1e-4


@pytest.mark.parametrize("name", ["encoder.onnx", "decoder.onnx", "weights.data", "golden.json", "tokenizer.json"])
def test_a_changed_file_is_refused_by_name(made: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(made, tmp_path / "m")
    path = tmp_path / "m" / name
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(ModelInvalid, match=name):
        summarizer.load(tmp_path / "m")
    path.unlink()
    with pytest.raises(ModelInvalid, match=name):
        summarizer.load(tmp_path / "m")


def test_a_folder_that_is_none_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ModelInvalid, match=r"manifest\.json cannot be read"):
        summarizer.load(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(ModelInvalid, match="wrong or missing keys"):
        summarizer.load(tmp_path)


def test_a_recording_of_nothing_is_refused(made: Path, tmp_path: Path) -> None:
    data = json.loads((made / "golden.json").read_text()) | {"texts": []}
    (tmp_path / "golden.json").write_text(json.dumps(data))
    with pytest.raises(ModelInvalid, match="records no summary"):
        folder.load_golden(tmp_path)


def test_other_weights_do_not_repeat_the_recording(made: Path, tmp_path: Path) -> None:
    loaded = summarizer.load(made)
    with pytest.raises(GoldenMismatch, match="nats for the text 'The harbour"):
        golden.prove(engine(tmp_path, scaled=True), loaded.tokenizer, loaded.golden, "fp32")
    first = loaded.golden.texts[0]
    cut = first.model_copy(update={"summary": first.summary[:1], "log_probs": first.log_probs[:1]})
    with pytest.raises(GoldenMismatch, match="another summary than the recorded one"):
        golden.prove(loaded.engine, loaded.tokenizer, loaded.golden.model_copy(update={"texts": [cut]}), "fp32")


def test_settings_that_do_not_fit_the_model_are_refused(source: Path, tmp_path: Path) -> None:
    shutil.copytree(source, tmp_path / "w")
    path = tmp_path / "w" / "generation_config.json"
    good = json.loads(path.read_text())
    for change, message in (
        ({"max_length": 65}, "max_length 65 exceeds the 64 tokens"),
        ({"forced_bos_token_id": 300}, "forced_bos_token_id 300 is not one of the 300 tokens"),
    ):
        path.write_text(json.dumps(good | change))
        with pytest.raises(ModelInvalid, match=message):
            export(tmp_path / "w", tmp_path / "out", "fp32")
    with pytest.raises(ModelInvalid, match="--max-tokens: expected 2 to 64, got 65"):
        export(source, tmp_path / "out", "fp32", tokens=65)


def test_main_exports_or_says_why(source: Path, tmp_path: Path) -> None:
    assert main(["--weights", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert not (tmp_path / "out").exists()
    words = ["--name", "toy", "--version", "7", "--max-tokens", "20"]
    assert main(["--weights", str(source), "--out", str(tmp_path / "out"), *words]) == 0
    about = folder.load_manifest(tmp_path / "out")
    assert (about.name, about.version, about.max_tokens) == ("toy", "7", 20)


def test_measuring_prints_every_precision_and_number_of_texts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert measure.main(["--shape", "tiny", "--source", "20", "--new", "6", "--rounds", "2", "--texts", "1", "3"]) == 0
    lines = [record.message for record in caplog.records if " tok/s median" in record.message]
    assert [" ".join(line.split()[:2]) for line in lines] == [
        "fp32 texts=1", "int8 texts=1", "fp32 texts=3", "int8 texts=3",
    ]  # fmt: skip


def test_a_figure_is_tokens_over_seconds() -> None:
    figure = measure.Figure("fp32", texts=4, tokens=50, seconds=(2.0, 1.0, 4.0))
    assert str(figure) == "fp32 texts=4 best 1.000 s 200.0 tok/s median 2.000 s 100.0 tok/s"


def test_the_tiny_model_is_the_one_that_is_measured() -> None:
    assert bart().shape == measure.SHAPES["tiny"]
