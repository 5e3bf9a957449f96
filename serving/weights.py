"""Read a sentence-transformers folder (BERT encoder, mean pooling, normalisation) without torch or transformers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file

from serving.errors import ModelInvalid

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Bert:
    """Sizes of the encoder and its tensors under their own names (without a leading `bert.`)."""

    layers: int
    heads: int
    hidden: int
    inner: int
    vocabulary: int
    positions: int
    epsilon: float
    tensors: dict[str, Array]

    def __getitem__(self, name: str) -> Array:
        return self.tensors[name]


def load(folder: Path) -> Bert:
    """Raises ModelInvalid for anything this package would compute differently from what the folder says."""
    config = _json(folder / "config.json")
    pooling = _json(folder / "1_Pooling" / "config.json")
    _expect(config, "model_type", "bert", folder)
    _expect(config, "hidden_act", "gelu", folder)
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise ModelInvalid(f"{folder}/config.json: position_embedding_type: only 'absolute' is supported")
    modes = {key for key, value in pooling.items() if key.startswith("pooling_mode_") and value is True}
    if modes != {"pooling_mode_mean_tokens"}:
        raise ModelInvalid(f"{folder}/1_Pooling/config.json: only mean pooling is supported, got {sorted(modes)}")
    tensors = {name.removeprefix("bert."): _single(name, value) for name, value in _tensors(folder).items()}
    return Bert(
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        hidden=config["hidden_size"],
        inner=config["intermediate_size"],
        vocabulary=config["vocab_size"],
        positions=config["max_position_embeddings"],
        epsilon=config["layer_norm_eps"],
        tensors=tensors,
    )


def _tensors(folder: Path) -> dict[str, Any]:
    path = folder / "model.safetensors"
    if not path.is_file():
        raise ModelInvalid(f"{path} is missing")
    return {name: value for name, value in load_file(path).items() if not name.endswith("position_ids")}


def _single(name: str, value: Any) -> Array:
    if value.dtype != np.float32:
        raise ModelInvalid(f"model.safetensors: {name} is {value.dtype}, expected float32")
    return np.ascontiguousarray(value)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelInvalid(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise ModelInvalid(f"{path}: expected an object")
    return found


def _expect(config: dict[str, Any], key: str, want: str, folder: Path) -> None:
    if config.get(key) != want:
        raise ModelInvalid(f"{folder}/config.json: {key}: expected {want!r}, got {config.get(key)!r}")
