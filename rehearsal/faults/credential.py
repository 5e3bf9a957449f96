# ruff: noqa: ARG002  # the signatures are those of effects.Effect
"""Faults of the credential that tandem shows: a wrong secret, a locked account."""

from __future__ import annotations

import json
import secrets as entropy
from dataclasses import dataclass
from typing import Any

from rehearsal.clouds import access
from rehearsal.clouds.services import faults
from rehearsal.faults.ground import Ground

Memory = dict[str, Any]


@dataclass(frozen=True)
class WrongSecret:
    """clouds.yaml has another secret for the site: what a person does who mistypes it, or whose credential is old."""

    def on(self, ground: Ground, name: str) -> Memory:
        """The right one is where the seeding left it. Each wrong one is another: tandem tries none twice, ever."""
        self._write(ground, f"wrong-{entropy.token_hex(4)}")
        return {}

    def off(self, ground: Ground, name: str, memory: Memory) -> None:
        """The right one."""
        self._write(ground, access.read_access(ground.tree.root).credential_secret)

    def _write(self, ground: Ground, secret: str) -> None:
        path = ground.places.clouds_file
        told = json.loads(path.read_text())
        told["clouds"][ground.site]["auth"]["application_credential_secret"] = secret
        access.write_private(path, json.dumps(told, indent=2) + "\n")


@dataclass(frozen=True)
class Locked:
    """The account is disabled; the help desk enables it again."""

    def on(self, ground: Ground, name: str) -> Memory:
        """From the next login on."""
        faults.add(ground.tree, name, {"locked": True})
        return {}

    def off(self, ground: Ground, name: str, memory: Memory) -> None:
        """And tandem is told, as the person would who got the help desk's mail: it may try the credential again."""
        faults.remove(ground.tree, name)
        for file in (ground.places.config / "refused").glob("*"):
            if f" {ground.site}: " in file.read_text():
                file.unlink()
