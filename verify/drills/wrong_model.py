"""Run inside a serving image: copies the model, spoils the weights, and makes the copy vouch for itself.

The service refuses a model that disagrees with its own recorded vectors or checksums. So both are made anew from the
spoiled weights: what is left is a stage that is ready, sure of itself, and wrong - a bad rollout as it would happen.
argv: source folder, target folder. Ends with 1 when the copy is not wrong enough to be noticed in any precision.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np

from serving import gate, golden, manifest, model
from serving.config import from_env


def main(source: Path, target: Path) -> int:
    """Copy and spoil; 0 when some vector points elsewhere than rounding could turn it."""
    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        shutil.copyfile(path, target / path.name)  # not the mode: the image's files are read-only
    # The word table comes first, as wide as the rest in fp16 and in fp32 beside int8.
    half = manifest.load(source).precision == "fp16"
    weights = np.memmap(target / manifest.WEIGHTS, dtype=np.float16 if half else np.float32, mode="r+")
    weights[: weights.size // 2] *= -1
    weights.flush()
    restamp(target)
    wrong = model.load(from_env({"MODEL_DIR": str(target), "REQUIRED_PROVIDER": model.CPU}))
    told = json.loads((target / golden.FILE).read_text())
    right = [text["vector"] for text in told["texts"]]
    for text in told["texts"]:
        ids, _ = wrong.tokenize([text["text"]])[0]
        text["vector"] = [round(float(value), 7) for value in wrong.run([ids])[0]]
    (target / golden.FILE).write_text(json.dumps(told))
    restamp(target)
    worst = min(golden.cosine(old, text["vector"]) for old, text in zip(right, told["texts"], strict=True))
    sys.stderr.write(f"spoiled: least cosine to the recorded vectors {worst:.4f}\n")
    return 0 if worst < min(least for _, least in gate.COSINES.values()) else 1


def restamp(folder: Path) -> None:
    """Make the checksums in the manifest those of the files."""
    about = json.loads((folder / manifest.MANIFEST).read_text())
    about["files"] = {name: manifest.sha256(folder / name) for name in about["files"]}
    (folder / manifest.MANIFEST).write_text(json.dumps(about))


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), Path(sys.argv[2])))
