"""Read the search settings of a Hugging Face folder: generation_config.json, or config.json when that file is missing.

A setting that would change the words and is not known here is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from serving.errors import ModelInvalid
from serving.summarizer.generation import Generation
from serving.summarizer.weights import CONFIG, read_json

FILE = "generation_config.json"

# Settings that would change the words, and the value with which they do not. None never does.
_NEUTRAL: dict[str, object] = {
    "bad_words_ids": None,
    "begin_suppress_tokens": None,
    "constraints": None,
    "diversity_penalty": 0.0,
    "do_sample": False,
    "dola_layers": None,
    "encoder_no_repeat_ngram_size": 0,
    "encoder_repetition_penalty": 1.0,
    "exponential_decay_length_penalty": None,
    "force_words_ids": None,
    "guidance_scale": 1,
    "low_memory": False,
    "max_time": None,
    "num_beam_groups": 1,
    "num_return_sequences": 1,
    "penalty_alpha": None,
    "remove_invalid_values": False,
    "renormalize_logits": False,
    "repetition_penalty": 1.0,
    "sequence_bias": None,
    "stop_strings": None,
    "suppress_tokens": None,
    "token_healing": False,
    "watermarking_config": None,
}
# Settings that change nothing as long as no word is drawn at random, or that say how, not what.
_IDLE = {
    "_from_model_config", "_commit_hash", "transformers_version", "use_cache", "cache_implementation", "cache_config",
    "temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff", "top_h",
    "output_attentions", "output_hidden_states", "output_scores", "output_logits", "return_dict_in_generate",
    "return_legacy_cache", "disable_compile", "compile_config", "prefill_chunk_size",
    "is_assistant", "num_assistant_tokens", "num_assistant_tokens_schedule", "assistant_confidence_threshold",
    "assistant_early_exit", "assistant_lookbehind", "target_lookbehind", "prompt_lookup_num_tokens",
    "max_matching_ngram_size", "bos_token_id", "pad_token_id",
}  # fmt: skip
# What the settings are when config.json, the older place, does not name them.
_BART: dict[str, object] = {"eos_token_id": 2, "decoder_start_token_id": 2, "forced_eos_token_id": 2}


def read(folder: Path) -> Generation:
    """Raises ModelInvalid naming the setting."""
    path = folder / FILE
    if path.is_file():
        found = read_json(path)
        known = Generation.model_fields.keys() | _NEUTRAL.keys() | _IDLE | {"max_new_tokens", "min_new_tokens"}
        if unknown := sorted(found.keys() - known):
            raise ModelInvalid(f"{path}: {unknown[0]}: not a setting this package knows")
    else:
        path = folder / CONFIG
        found = _of_old(read_json(path))
    for key, neutral in _NEUTRAL.items():
        if found.get(key) not in (None, neutral):
            raise ModelInvalid(f"{path}: {key}: only {neutral!r} is supported, got {found[key]!r}")
    return _checked(path, found)


def _of_old(config: dict[str, Any]) -> dict[str, Any]:
    """config.json's settings, with the one that had another name once."""
    found = _BART | config
    if found.get("forced_bos_token_id") is None and found.get("force_bos_token_to_be_generated"):
        found["forced_bos_token_id"] = found.get("bos_token_id", 0)
    return found


def _checked(path: Path, found: dict[str, Any]) -> Generation:
    values = {key: found[key] for key in Generation.model_fields if found.get(key) is not None}
    for key, name in (("max_new_tokens", "max_length"), ("min_new_tokens", "min_length")):
        if found.get(key) is not None:
            values[name] = found[key] + 1  # the start token
    if isinstance(values.get("eos_token_id"), list) and len(values["eos_token_id"]) == 1:
        values["eos_token_id"] = values["eos_token_id"][0]
    try:
        return Generation.model_validate(values, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise ModelInvalid(f"{path}: {'.'.join(map(str, first['loc'])) or 'settings'}: {first['msg']}") from error
