"""Which credentials were refused, over all runs: a testbed locks the account whose scripts keep trying.

Only a digest is kept, one small file each. Another credential has another digest, so it is tried at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from provision.state import utc_now, write_atomic


def digest(credential: Mapping[str, object]) -> str:
    """Of everything that a login sends."""
    return hashlib.sha256(json.dumps(credential, sort_keys=True, default=str).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Refusals:
    """folder: None where nobody is locked out, and nothing is remembered."""

    folder: Path | None

    def file(self, of: str) -> Path | None:
        """Where it is remembered; None when it was not refused."""
        path = self.folder / of if self.folder else None
        return path if path is not None and path.exists() else None

    def add(self, of: str, site: str, why: str) -> None:
        """Remember a refusal."""
        if self.folder:
            write_atomic(self.folder / of, f"{utc_now()} {site}: {why}\n")
