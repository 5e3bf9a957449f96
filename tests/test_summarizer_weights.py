from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from serving.errors import ModelInvalid
from serving.summarizer import hf_settings, hf_tokenizer, weights
from serving.summarizer.made import DISTILBART_6_6, TINY
from tests.summarizer_doubles import SETTINGS, bart, tokenizer, write_source


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture
def copy(source: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(source, tmp_path / "w"))


def change(folder: Path, name: str, **values: Any) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def rewrite(folder: Path, add: dict[str, Any] | None = None, remove: tuple[str, ...] = ()) -> None:
    path = folder / "model.safetensors"
    tensors = {name: value for name, value in load_file(path).items() if name not in remove}
    save_file(tensors | (add or {}), path)


def same(found: weights.Bart) -> bool:
    return all(np.array_equal(found[name], value) for name, value in bart().tensors.items())


def test_what_was_written_is_read(source: Path) -> None:
    found = weights.load(source)
    assert found.shape == TINY
    assert same(found)
    assert hf_settings.read(source) == SETTINGS


def test_the_shape_of_distilbart_has_its_size() -> None:
    sizes = {name: int(np.prod(dims)) for name, dims in DISTILBART_6_6.tensors().items()}
    assert 229e6 < sum(sizes.values()) < 231e6
    assert sizes["shared.weight"] == 50264 * 1024


@pytest.mark.parametrize(
    "name", ["lm_head.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"]
)
def test_the_word_table_may_have_any_of_its_names(copy: Path, name: str) -> None:
    rewrite(copy, {name: bart()["shared.weight"]}, ("model.shared.weight",))
    assert same(weights.load(copy))
    rewrite(copy, {"model.shared.weight": bart()["shared.weight"]})
    assert same(weights.load(copy))


def test_half_precision_is_widened(copy: Path) -> None:
    half = bart()["encoder.layers.0.fc1.weight"].astype(np.float16)
    rewrite(copy, {"model.encoder.layers.0.fc1.weight": half})
    found = weights.load(copy)["encoder.layers.0.fc1.weight"]
    assert found.dtype == np.float32
    assert np.array_equal(found, half)


def test_a_missing_bias_of_the_logits_is_zero(copy: Path) -> None:
    rewrite(copy, remove=("final_logits_bias",))
    assert not weights.load(copy)["final_logits_bias"].any()


@pytest.mark.parametrize(
    ("add", "remove", "message"),
    [
        ({}, ("model.encoder.layers.1.fc2.bias",), "encoder.layers.1.fc2.bias is missing"),
        ({"model.decoder.layer_norm.weight": np.ones(32, np.float32)}, (), "decoder.layer_norm.weight is not part of"),
        ({"model.encoder.layers.0.fc1.bias": np.ones(3, np.float32)}, (), r"fc1.bias is \[3\], expected \[64\]"),
        ({"model.encoder.layers.0.fc1.bias": np.ones(64, np.float64)}, (), "fc1.bias is float64"),
        ({"lm_head.weight": np.ones((300, 32), np.float32)}, (), "differ, but one table is to serve both"),
        ({}, ("model.shared.weight",), "no word table"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    copy: Path, add: dict[str, Any], remove: tuple[str, ...], message: str
) -> None:
    rewrite(copy, add, remove)
    with pytest.raises(ModelInvalid, match=message):
        weights.load(copy)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "mbart"}, "model_type: expected 'bart', got 'mbart'"),
        ({"activation_function": "relu"}, "activation_function: expected 'gelu'"),
        ({"normalize_before": True}, "normalize_before: expected False"),
        ({"add_final_layer_norm": True}, "add_final_layer_norm: expected False"),
        ({"static_position_embeddings": True}, "static_position_embeddings: expected False"),
        ({"extra_pos_embeddings": 0}, "extra_pos_embeddings: expected 2"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings: expected True"),
        ({"quantization_config": {"bits": 8}}, "quantization_config"),
        ({"d_model": 30}, "d_model 30 cannot be shared out"),
        ({"encoder_layers": 0}, "encoder_layers: expected a positive whole number"),
        ({"vocab_size": None}, "vocab_size: expected a positive whole number"),
        ({"vocab_size": 299}, r"shared.weight is \[300, 32\], expected \[299, 32\]"),
    ],
)
def test_a_model_that_would_be_computed_wrongly_is_refused(copy: Path, values: dict[str, Any], message: str) -> None:
    change(copy, "config.json", **values)
    with pytest.raises(ModelInvalid, match=message):
        weights.load(copy)


def test_the_configuration_of_a_published_model_is_read(copy: Path) -> None:
    """Keys as they stand in the config.json of bart-large-cnn, which has no word of what changed since."""
    old = {"normalize_embedding": True, "extra_pos_embeddings": 2, "add_bias_logits": False, "encoder_layerdrop": 0.0}
    change(copy, "config.json", **old, scale_embedding=True, dropout=0.1, gradient_checkpointing=False)
    assert weights.load(copy).shape.scaled


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_or_broken_file_is_named(copy: Path, name: str) -> None:
    (copy / name).write_bytes(b"broken")
    with pytest.raises(ModelInvalid, match=name):
        weights.load(copy)
    (copy / name).unlink()
    with pytest.raises(ModelInvalid, match=name):
        weights.load(copy)


def test_new_tokens_are_counted_after_the_start_token(copy: Path) -> None:
    change(copy, "generation_config.json", max_new_tokens=10, min_new_tokens=3)
    found = hf_settings.read(copy)
    assert (found.max_length, found.min_length) == (11, 4)


def test_an_older_folder_says_it_in_its_config(copy: Path) -> None:
    """As bart-large-cnn did once; what is not said there has BART's own default."""
    (copy / "generation_config.json").unlink()
    said = {"num_beams": 4, "min_length": 5, "max_length": 14, "length_penalty": 2.0, "no_repeat_ngram_size": 3}
    change(copy, "config.json", **said, early_stopping=True, force_bos_token_to_be_generated=True, bos_token_id=0)
    found = hf_settings.read(copy)
    assert found == SETTINGS.changed(min_length=5, max_length=14)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"do_sample": True}, "do_sample: only False is supported, got True"),
        ({"repetition_penalty": 1.2}, "repetition_penalty: only 1.0"),
        ({"num_beam_groups": 2}, "num_beam_groups: only 1"),
        ({"bad_words_ids": [[5]]}, "bad_words_ids: only None"),
        ({"magic": 1}, "magic: not a setting this package knows"),
        ({"num_beams": 0}, "num_beams"),
        ({"num_beams": 2.5}, "num_beams"),
        ({"eos_token_id": [2, 3]}, "eos_token_id"),
        ({"eos_token_id": None}, "eos_token_id"),
        ({"min_length": 17}, "min_length exceeds max_length"),
        ({"early_stopping": "soon"}, "early_stopping"),
    ],
)
def test_a_search_that_would_go_otherwise_is_refused(copy: Path, values: dict[str, Any], message: str) -> None:
    change(copy, "generation_config.json", **values)
    with pytest.raises(ModelInvalid, match=message):
        hf_settings.read(copy)


def test_what_changes_no_word_is_let_through(copy: Path) -> None:
    idle = {"temperature": 0.7, "top_k": 5, "use_cache": True, "transformers_version": "4.57.6", "do_sample": False}
    change(copy, "generation_config.json", **idle, eos_token_id=[2], repetition_penalty=None)
    assert hf_settings.read(copy) == SETTINGS


def test_an_older_folder_s_tokenizer_is_put_together(copy: Path) -> None:
    text = "Naïve café — 北京, 2 of 3!"
    (copy / "tokenizer.json").unlink()
    (copy / "vocab.json").write_text(json.dumps(tokenizer().get_vocab()))
    (copy / "merges.txt").write_text("#version: 0.2\n")
    found = hf_tokenizer.read(copy, TINY)
    assert found.encode(text).ids == tokenizer().encode(text).ids
    assert found.decode(found.encode(text).ids) == text


def test_a_tokenizer_that_does_not_fit_is_refused(copy: Path) -> None:
    bare = tokenizer()
    bare.add_tokens([f"more{n}" for n in range(60)])
    (copy / "tokenizer.json").write_text(bare.to_str())
    with pytest.raises(ModelInvalid, match=r"more tokens than the model \(300\)"):
        hf_tokenizer.read(copy, TINY)
    written = json.loads(tokenizer().to_str()) | {"post_processor": None}
    (copy / "tokenizer.json").write_text(json.dumps(written))
    with pytest.raises(ModelInvalid, match=r"between the tokens \[0, 2\]"):
        hf_tokenizer.read(copy, TINY)
    (copy / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelInvalid, match=r"tokenizer.json cannot be read"):
        hf_tokenizer.read(copy, TINY)
    (copy / "tokenizer.json").unlink()
    with pytest.raises(ModelInvalid, match=r"neither tokenizer.json nor vocab.json"):
        hf_tokenizer.read(copy, TINY)
