"""Run in our own environment (with the exporter's packages): `python -m bench.make_models FOLDER [--smoke]`.

minilm     the published folder, with `hidden.onnx` (fp32, no pooling) for peers that pool themselves
ours       the int8 model that our service loads
bart       a random BART of distilbart-6-6's shape, as transformers reads it; bart-ours: the same in our int8
quality.json  texts, and what fp32 gives for them
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers import models as kinds

from bench import texts
from serving import export, graph, manifest, weights
from serving.config import from_env
from serving.model import CPU, load
from serving.summarizer import made
from serving.summarizer.export import write_graphs
from serving.summarizer.generation import Generation

SEED = 0


def main() -> None:
    """Everything that no peer's own tool has to make."""
    folder, is_smoke = Path(sys.argv[1]), "--smoke" in sys.argv
    source = export.installed_weights()
    _export(source, folder / "fp32", "fp32")
    _export(source, folder / "ours", "int8")
    _minilm(source, folder / "minilm")
    _quality(folder)
    if not is_smoke:
        _bart(folder)


def _export(source: Path, out: Path, precision: export.Precision) -> None:
    export.export(source, out, name=export.NAME, version=None, max_tokens=export.MAX_TOKENS, precision=precision)


def _minilm(source: Path, out: Path) -> None:
    shutil.copytree(source, out, dirs_exist_ok=True)
    model, data = graph.build_hidden(weights.load(source), manifest.WEIGHTS)
    (out / "hidden.onnx").write_bytes(model)
    (out / manifest.WEIGHTS).write_bytes(data)


def _quality(folder: Path) -> None:
    model = load(from_env({"MODEL_DIR": str(folder / "fp32"), "REQUIRED_PROVIDER": CPU}))
    judged = texts.judged()
    vectors = [
        [[round(float(x), 7) for x in model.run([one.ids])[0]] for one in model.tokenize(part)]
        for part in (judged.passages, judged.queries)
    ]
    (folder / "quality.json").write_text(json.dumps({"passages": vectors[0], "queries": vectors[1]}))


def _bart(folder: Path) -> None:
    bart = made.random_bart(made.DISTILBART_6_6, SEED)
    settings = Generation(num_beams=4, decoder_start_token_id=2, eos_token_id=2, forced_eos_token_id=2)
    made.write(bart, settings, Tokenizer(kinds.BPE()), folder / "bart")
    (folder / "bart" / "tokenizer.json").unlink()
    words = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
    words |= {f"t{n}": n for n in range(4, made.DISTILBART_6_6.vocabulary)}
    (folder / "bart" / "vocab.json").write_text(json.dumps(words))
    (folder / "bart" / "merges.txt").write_text("#version: 0.2\n")
    (folder / "bart" / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BartTokenizer"}))
    config = json.loads((folder / "bart" / "config.json").read_text())
    config |= {"normalize_before": False, "normalize_embedding": True}  # CTranslate2's converter asks for both
    (folder / "bart" / "config.json").write_text(json.dumps(config))
    (folder / "bart-ours").mkdir(exist_ok=True)
    write_graphs(bart, folder / "bart-ours", "int8")


if __name__ == "__main__":
    main()
