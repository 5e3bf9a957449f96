"""Where things lie. Standard library only, so that `invoke --list` need not load the settings."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def cache_dir() -> Path:
    """Where what can be fetched or built again lies (`TANDEM_CACHE`)."""
    return Path(os.environ.get("TANDEM_CACHE", "~/.cache/tandem")).expanduser()


def free_gib(path: Path) -> float:
    """Free disk where a path lies, or will."""
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    return shutil.disk_usage(there).free / 2**30
