"""Read the tokenizer of a Hugging Face folder: tokenizer.json, or the vocab.json and merges.txt of older ones."""

from __future__ import annotations

from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from serving.errors import ModelInvalid
from serving.summarizer.weights import CONFIG, Shape, read_json

START, END = "<s>", "</s>"
SPECIAL = (START, "<pad>", END, "<unk>", "<mask>")


def read(folder: Path, shape: Shape) -> Tokenizer:
    """Without padding or a limit. Raises ModelInvalid when it does not put its texts between BART's two marks."""
    tokenizer = _read(folder)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if tokenizer.get_vocab_size() > shape.vocabulary:
        raise ModelInvalid(f"{folder}: the tokenizer knows more tokens than the model ({shape.vocabulary})")
    config = read_json(folder / CONFIG)
    marks = [config.get("bos_token_id", 0), config.get("eos_token_id", 2)]
    if tokenizer.encode("").ids != marks:
        raise ModelInvalid(f"{folder}: expected the tokenizer to put a text between the tokens {marks}")
    return tokenizer


def byte_level(model: models.BPE, start: int, end: int) -> Tokenizer:
    """What BART does around its byte pairs: bytes as letters, a leading blank as part of its word, two marks."""
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing((END, end), (START, start), True, False)
    return tokenizer


def _read(folder: Path) -> Tokenizer:
    path, words, merges = (folder / name for name in ("tokenizer.json", "vocab.json", "merges.txt"))
    if path.is_file():
        return _from_file(path)
    if not (words.is_file() and merges.is_file()):
        raise ModelInvalid(f"{folder}: neither tokenizer.json nor vocab.json and merges.txt")
    numbers = read_json(words)
    missing = [token for token in SPECIAL if token not in numbers]
    if missing:
        raise ModelInvalid(f"{words}: no token {missing[0]}")
    tokenizer = byte_level(models.BPE.from_file(str(words), str(merges)), numbers[START], numbers[END])
    tokenizer.add_special_tokens([AddedToken(token, special=True, lstrip=token == "<mask>") for token in SPECIAL])
    return tokenizer


def _from_file(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:
        # The library raises nothing narrower, whether the file cannot be read or is not a tokenizer.
        raise ModelInvalid(f"{path} cannot be read: {error}") from error
