"""Make a summarizer's model folder from a Hugging Face folder: `python -m serving.summarizer.export --weights DIR
--out DIR [--precision int8]`.

The graphs are judged by the fp64 reference before the folder appears under its name: a variant that falls below the
gate ends the export with exit code 1 and nothing is left. Same weights, same bytes.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from pydantic import BaseModel
from tokenizers import Tokenizer

from serving.errors import ModelInvalid, ServingError
from serving.manifest import sha256
from serving.summarizer import decoder_graph, encoder_graph, engine, folder, gate, hf_settings, hf_tokenizer, weights
from serving.summarizer.builder import OPSET, DataFile, Precision
from serving.summarizer.generation import Generation
from serving.summarizer.reference import Reference
from serving.summarizer.weights import Bart

log = logging.getLogger("serving.summarizer.export")


def main(argv: Sequence[str] | None = None) -> int:
    """0 exported · 1 the weights are unusable or the gate failed."""
    parser = argparse.ArgumentParser(prog="python -m serving.summarizer.export", description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, required=True, help="Hugging Face folder of a BART-type model")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write; replaced when it is there")
    parser.add_argument("--name", help="default: the name of the weights' folder")
    parser.add_argument("--version", help="default: the first 12 digits of the weights' SHA-256")
    parser.add_argument("--precision", choices=get_args(Precision), default="fp32")
    parser.add_argument("--max-tokens", type=int, help="of a source text; default: what the model can read")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="export > %(message)s", stream=sys.stderr)
    try:
        export(args.weights, args.out, args.precision, name=args.name, version=args.version, tokens=args.max_tokens)
    except (ServingError, OSError) as error:
        log.error("FAILED  %s", error)
        return 1
    return 0


def export(
    source: Path,
    out: Path,
    precision: Precision,
    *,
    name: str | None = None,
    version: str | None = None,
    tokens: int | None = None,
) -> None:
    """Write the folder beside `out`, judge it, then move it into place. Raises ModelInvalid, GateFailed."""
    bart, settings = weights.load(source), hf_settings.read(source)
    tokens = tokens or bart.shape.positions
    _require(bart, settings, tokens)
    digest = sha256(source / weights.WEIGHTS)
    draft = out.with_name(f".{out.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        tokenizer = _write_tokenizer(hf_tokenizer.read(source, bart.shape), draft, tokens)
        write_graphs(bart, draft, precision)
        about = {"name": name or source.resolve().name, "version": version or digest[:12], "precision": precision}
        reached = _judge(bart, settings, tokenizer, draft, precision)
        files = {path.name: sha256(path) for path in sorted(draft.iterdir())}
        made = folder.Manifest.model_validate(
            about
            | {"max_tokens": tokens, "generation": settings, "opset": OPSET, "source_sha256": digest}
            | {"gate": reached, "files": files}
        )
        _write_manifest(made, draft)
    except BaseException:
        shutil.rmtree(draft)
        raise
    shutil.rmtree(out, ignore_errors=True)
    draft.rename(out)
    log.info("wrote   %s: %s %s %s", out, made.name, made.version, precision)


def write_graphs(bart: Bart, out: Path, precision: Precision) -> None:
    """The two graphs and the data file they share."""
    with (out / folder.WEIGHTS).open("wb") as file:
        data = DataFile(file)
        (out / folder.ENCODER).write_bytes(encoder_graph.build(bart, data, precision))
        (out / folder.DECODER).write_bytes(decoder_graph.build(bart, data, precision))
        size = file.tell()
    layers = (bart.shape.encoder_layers, bart.shape.decoder_layers)
    log.info("graphs  %d + %d layers, opset %d, %s, %d MiB", *layers, OPSET, precision, size >> 20)


def _require(bart: Bart, settings: Generation, tokens: int) -> None:
    """What neither config.json nor generation_config.json can know of the other."""
    shape = bart.shape
    if not 2 <= tokens <= shape.positions:
        raise ModelInvalid(f"--max-tokens: expected 2 to {shape.positions}, got {tokens}")
    if settings.max_length > shape.positions:
        raise ModelInvalid(f"max_length {settings.max_length} exceeds the {shape.positions} tokens that have a place")
    for key, value in settings.model_dump().items():
        if key.endswith("_token_id") and value is not None and value >= shape.vocabulary:
            raise ModelInvalid(f"{key} {value} is not one of the {shape.vocabulary} tokens")


def _write_tokenizer(tokenizer: Tokenizer, draft: Path, tokens: int) -> Tokenizer:
    tokenizer.enable_truncation(tokens)
    (draft / folder.TOKENIZER).write_text(tokenizer.to_str(), encoding="utf-8")
    return tokenizer


def _judge(bart: Bart, settings: Generation, tokenizer: Tokenizer, draft: Path, precision: Precision) -> folder.Gate:
    made = engine.load(draft)
    recorded = gate.record(made, tokenizer, settings)
    _write(draft / folder.GOLDEN, recorded)
    found = gate.judge(made, tokenizer, recorded, Reference(bart), precision)
    log.info(
        "gate    cosine to the fp64 reference >= %.7f, %d %% of %d summaries equal, ROUGE-L %.3f",
        found.cosine_min,
        round(100 * found.exact),
        len(recorded.texts),
        found.rouge_l,
    )
    return found


def _write_manifest(made: folder.Manifest, draft: Path) -> None:
    _write(draft / folder.MANIFEST, made)
    sums = {**made.files, folder.MANIFEST: sha256(draft / folder.MANIFEST)}
    lines = [f"{digest}  {name}\n" for name, digest in sorted(sums.items())]
    (draft / folder.SUMS).write_text("".join(lines), encoding="utf-8")


def _write(path: Path, data: BaseModel) -> None:
    path.write_text(json.dumps(data.model_dump(), ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
