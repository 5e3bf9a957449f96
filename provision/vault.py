"""The door to secrets: one SOPS file encrypted to an age key outside the checkout."""

from __future__ import annotations

from dataclasses import dataclass

from provision.settings import Settings


@dataclass(frozen=True)
class Vault:
    """The secrets of one platform."""

    settings: Settings
