"""Where things lie. Standard library only, so that `invoke --list` need not load the settings."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def cache_dir() -> Path:
    """Where what can be fetched or built again lies (`TANDEM_CACHE`)."""
    return Path(os.environ.get("TANDEM_CACHE", "~/.cache/tandem")).expanduser()
