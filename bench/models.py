"""The models that all servers read, made once and kept in the cache under the digest of what makes them."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from bench import venvs
from bench.peers import OUR_LOCKS
from provision import say, shell
from provision.errors import CommandFailed
from provision.paths import ROOT, cache_dir

MAKE_S = 900
CONVERTED = ("minilm", "bart")  # also in CTranslate2's format, by its own converter
DONE = ".complete"


def prepare(is_smoke: bool) -> Path:
    """The folder with all models. A conversion that fails is said; the server that reads it then does not start."""
    folder = cache_dir() / "bench" / f"models-{'smoke-' if is_smoke else ''}{_digest()}"
    if (folder / DONE).exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    words = [str(venvs.python(OUR_LOCKS)), "-m", "bench.make_models", str(folder), *(["--smoke"] if is_smoke else [])]
    shell.run(words, deadline_s=MAKE_S, env={"PYTHONPATH": str(ROOT)}, heartbeat="making the models")
    if not is_smoke:
        _convert(folder)
    (folder / DONE).touch()
    return folder


def _convert(folder: Path) -> None:
    try:
        converter = venvs.python(("bench-torch",)).parent / "ct2-transformers-converter"
        for name in CONVERTED:
            words = ["--model", str(folder / name), "--output_dir", str(folder / f"{name}-ct2")]
            shell.run(
                [str(converter), *words, "--quantization", "int8", "--force"],
                deadline_s=MAKE_S,
                env={"HF_HUB_OFFLINE": "1"},
                heartbeat=f"converting {name}",
            )
        shutil.copy(folder / "minilm" / "tokenizer.json", folder / "minilm-ct2")
    except (CommandFailed, venvs.Unavailable) as error:
        say.warn(f"no model for CTranslate2: {error.what} {error.why}")


def _digest() -> str:
    found = hashlib.sha256()
    for path in sorted(
        [*(ROOT / "serving").rglob("*.py"), ROOT / "bench" / "make_models.py", ROOT / "bench" / "texts.py"]
    ):
        found.update(path.read_bytes())
    return found.hexdigest()[:12]
