"""Both models, made as the image's Containerfile makes them, and kept in the cache under the digest of their makers."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from bench import venvs
from bench.peers import OUR_LOCKS
from provision import shell
from provision.paths import ROOT, cache_dir

MAKE_S = 1800
EMBEDDER, SUMMARIZER = "embedder", "summarizer"
DONE = ".complete"
MAKERS = {  # by folder: the module that writes it, and the packages that this needs
    EMBEDDER: ("serving.export", OUR_LOCKS),
    SUMMARIZER: ("serving.summarizer.toy", ("serving-rehearsal",)),
}


def prepare() -> Path:
    """The folder with both; the summarizer takes a few minutes of one core the first time."""
    folder = cache_dir() / "fuzz" / f"models-{_digest()}"
    if (folder / DONE).exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, (module, locks) in MAKERS.items():
        words = [str(venvs.python(locks)), "-m", module, "--out", str(folder / name)]
        shell.run(words, deadline_s=MAKE_S, env={"PYTHONPATH": str(ROOT)}, heartbeat=f"making the {name}")
    (folder / DONE).touch()
    return folder


def _digest() -> str:
    found = hashlib.sha256()
    locks = {name for _, names in MAKERS.values() for name in names}
    makers = [*(ROOT / "serving").glob("*.py"), *(ROOT / "serving" / "summarizer").glob("*.py")]
    for path in sorted([*makers, *(ROOT / "requirements" / f"{lock}.lock" for lock in locks)]):
        found.update(path.read_bytes())
    return found.hexdigest()[:12]
