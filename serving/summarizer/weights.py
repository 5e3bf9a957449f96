"""Read a BART-type folder (bart-large-cnn, distilbart-cnn-*) without torch or transformers.

The layout that is read: post-layer-norm blocks, exact GELU, learned positions that start at row 2, one word table for
encoder, decoder and output. Everything else is refused here, so that nothing is computed wrongly later.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file

from serving.errors import ModelInvalid

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
POSITION_OFFSET = 2  # BART's position table has two rows that no token uses
EPSILON = 1e-5  # of every layer norm; the layout has no setting for it
WORD_TABLES = ("shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight")

Array = npt.NDArray[np.float32]

# What the forward pass here does, as config.json says it; a key that is absent has this value.
_FIXED: dict[str, object] = {
    "model_type": "bart",
    "activation_function": "gelu",
    "is_encoder_decoder": True,
    "tie_word_embeddings": True,
    "normalize_before": False,
    "normalize_embedding": True,
    "add_final_layer_norm": False,
    "static_position_embeddings": False,
    "extra_pos_embeddings": POSITION_OFFSET,
    "quantization_config": None,
}


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a BART-type model. `positions` is the longest text in tokens, for source and summary alike."""

    encoder_layers: int
    decoder_layers: int
    encoder_heads: int
    decoder_heads: int
    encoder_inner: int
    decoder_inner: int
    hidden: int
    vocabulary: int
    positions: int
    scaled: bool = False  # word vectors are multiplied by the root of `hidden`

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Name and dimensions of every tensor, as in the file but without the leading `model.`."""
        found: dict[str, tuple[int, ...]] = {
            "shared.weight": (self.vocabulary, self.hidden),
            "final_logits_bias": (1, self.vocabulary),
        }
        for side in ("encoder", "decoder"):
            found[f"{side}.embed_positions.weight"] = (self.positions + POSITION_OFFSET, self.hidden)
            found |= self._norm(f"{side}.layernorm_embedding")
        for layer in range(self.encoder_layers):
            found |= self._layer(f"encoder.layers.{layer}.", ("self_attn",), self.encoder_inner)
        for layer in range(self.decoder_layers):
            found |= self._layer(f"decoder.layers.{layer}.", ("self_attn", "encoder_attn"), self.decoder_inner)
        return found

    def _layer(self, at: str, attentions: tuple[str, ...], inner: int) -> dict[str, tuple[int, ...]]:
        found = self._dense(at + "fc1", inner, self.hidden) | self._dense(at + "fc2", self.hidden, inner)
        for attention in attentions:
            for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                found |= self._dense(f"{at}{attention}.{part}", self.hidden, self.hidden)
            found |= self._norm(f"{at}{attention}_layer_norm")
        return found | self._norm(at + "final_layer_norm")

    def _dense(self, name: str, out: int, into: int) -> dict[str, tuple[int, ...]]:
        return {name + ".weight": (out, into), name + ".bias": (out,)}

    def _norm(self, name: str) -> dict[str, tuple[int, ...]]:
        return {name + ".weight": (self.hidden,), name + ".bias": (self.hidden,)}


@dataclass(frozen=True, slots=True)
class Bart:
    """Sizes and tensors, exactly those that `shape.tensors()` names."""

    shape: Shape
    tensors: dict[str, Array]

    def __getitem__(self, name: str) -> Array:
        return self.tensors[name]


def load(folder: Path) -> Bart:
    """Raises ModelInvalid for anything this package would compute differently from what the folder says."""
    shape = read_shape(folder)
    tensors = _one_word_table(_tensors(folder / WEIGHTS))
    tensors.setdefault("final_logits_bias", np.zeros((1, shape.vocabulary), np.float32))
    wanted = shape.tensors()
    if unknown := sorted(tensors.keys() - wanted.keys()):
        raise ModelInvalid(f"{folder / WEIGHTS}: {unknown[0]} is not part of a BART of this configuration")
    for name, dims in wanted.items():
        if name not in tensors:
            raise ModelInvalid(f"{folder / WEIGHTS}: {name} is missing")
        if tensors[name].shape != dims:
            raise ModelInvalid(f"{folder / WEIGHTS}: {name} is {list(tensors[name].shape)}, expected {list(dims)}")
    return Bart(shape, {name: tensors[name] for name in wanted})


def read_shape(folder: Path) -> Shape:
    """The sizes that config.json gives. Raises ModelInvalid naming the key."""
    config = read_json(folder / CONFIG)
    for key, fixed in _FIXED.items():
        if config.get(key, fixed) != fixed:
            raise ModelInvalid(f"{folder / CONFIG}: {key}: expected {fixed!r}, got {config[key]!r}")
    sizes = {
        field: _size(config, key, folder)
        for field, key in (
            ("encoder_layers", "encoder_layers"),
            ("decoder_layers", "decoder_layers"),
            ("encoder_heads", "encoder_attention_heads"),
            ("decoder_heads", "decoder_attention_heads"),
            ("encoder_inner", "encoder_ffn_dim"),
            ("decoder_inner", "decoder_ffn_dim"),
            ("hidden", "d_model"),
            ("vocabulary", "vocab_size"),
            ("positions", "max_position_embeddings"),
        )
    }
    shape = Shape(**sizes, scaled=config.get("scale_embedding", False) is True)
    if shape.hidden % shape.encoder_heads or shape.hidden % shape.decoder_heads:
        raise ModelInvalid(f"{folder / CONFIG}: d_model {shape.hidden} cannot be shared out evenly to the heads")
    return shape


def read_json(path: Path) -> dict[str, Any]:
    """An object. Raises ModelInvalid."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelInvalid(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise ModelInvalid(f"{path}: expected an object")
    return found


def _size(config: dict[str, Any], key: str, folder: Path) -> int:
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ModelInvalid(f"{folder / CONFIG}: {key}: expected a positive whole number, got {value!r}")
    return value


def _tensors(path: Path) -> dict[str, Array]:
    if not path.is_file():
        raise ModelInvalid(f"{path} is missing (weights in another format have to be saved as safetensors first)")
    try:
        found = load_file(path)
    except (OSError, SafetensorError, KeyError) as error:
        raise ModelInvalid(f"{path} cannot be read: {error}") from error
    return {name.removeprefix("model."): _single(path, name, value) for name, value in found.items()}


def _single(path: Path, name: str, value: Any) -> Array:
    """As fp32; half precision is widened, which is exact."""
    if value.dtype not in (np.float32, np.float16):
        raise ModelInvalid(f"{path}: {name} is {value.dtype}, expected float32 or float16")
    return np.ascontiguousarray(value, np.float32)


def _one_word_table(tensors: dict[str, Array]) -> dict[str, Array]:
    """The word table under `shared.weight`, whichever of its names the file kept."""
    tables = {name: tensors.pop(name) for name in WORD_TABLES if name in tensors}
    if not tables:
        raise ModelInvalid(f"{WEIGHTS}: no word table (none of {', '.join(WORD_TABLES)})")
    first, table = next(iter(tables.items()))
    for name, other in tables.items():
        if not np.array_equal(table, other):
            raise ModelInvalid(f"{WEIGHTS}: {name} and {first} differ, but one table is to serve both")
    return {**tensors, "shared.weight": table}
