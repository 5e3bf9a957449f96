"""Models made here: random weights of any shape, and the Hugging Face folder that any of them is written to."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from serving.summarizer import hf_settings, weights
from serving.summarizer.generation import Generation
from serving.summarizer.weights import Array, Bart, Shape

DISTILBART_6_6 = Shape(6, 6, 16, 16, 4096, 4096, 1024, 50264, 1024)  # sshleifer/distilbart-cnn-6-6
TINY = Shape(2, 2, 4, 4, 64, 48, 32, 300, 64)


def random_bart(shape: Shape, seed: int, spread: float = 0.02) -> Bart:
    """Normally distributed weights; `spread` is their deviation, and that of everything added to a norm's scale."""
    rng = np.random.default_rng(seed)

    def tensor(name: str, dims: tuple[int, ...]) -> Array:
        value = rng.standard_normal(dims, np.float32) * np.float32(spread)
        return value + np.float32(name.endswith(("norm.weight", "norm_embedding.weight", "layer_norm.weight")))

    return Bart(shape, {name: tensor(name, dims) for name, dims in shape.tensors().items()})


def write(bart: Bart, settings: Generation, tokenizer: Tokenizer, folder: Path) -> None:
    """config.json, generation_config.json, model.safetensors and tokenizer.json, as `save_pretrained` lays them out."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({_in_file(name): value for name, value in bart.tensors.items()}, folder / weights.WEIGHTS)
    shape = bart.shape
    config = {
        "model_type": "bart",
        "architectures": ["BartForConditionalGeneration"],
        "activation_function": "gelu",
        "is_encoder_decoder": True,
        "encoder_layers": shape.encoder_layers,
        "decoder_layers": shape.decoder_layers,
        "encoder_attention_heads": shape.encoder_heads,
        "decoder_attention_heads": shape.decoder_heads,
        "encoder_ffn_dim": shape.encoder_inner,
        "decoder_ffn_dim": shape.decoder_inner,
        "d_model": shape.hidden,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.positions,
        "scale_embedding": shape.scaled,
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": settings.eos_token_id,
        "decoder_start_token_id": settings.decoder_start_token_id,
    }
    given = settings.model_dump() | {"bos_token_id": 0, "pad_token_id": 1}
    (folder / weights.CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    (folder / hf_settings.FILE).write_text(json.dumps(given, indent=1) + "\n", encoding="utf-8")
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")


def _in_file(name: str) -> str:
    return name if name == "final_logits_bias" else "model." + name
