"""What must not be seen: the vault's values, to be looked for in texts and taken out of what a red check shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from provision.errors import PlatformError
from provision.settings import Settings
from provision.vault import Vault

SHORTEST = 12  # shorter values (a region) are no secrets
SHOWN = {"link/public", "object-store/endpoint", "registry/user"}
BIGGEST_BYTES = 20_000_000


@dataclass(frozen=True)
class Needles:
    """`entry/key` -> a line of its value. No repr: pytest prints a failed check's arguments."""

    lines: Mapping[str, str] = field(repr=False)

    def found(self, text: str) -> list[str]:
        """Which of them a text holds."""
        return [name for name, line in self.lines.items() if line in text]

    def found_in(self, files: Iterable[Path]) -> list[str]:
        """`file: entry/key` of each."""
        small = [path for path in files if path.is_file() and path.stat().st_size <= BIGGEST_BYTES]
        return [f"{path}: {name}" for path in small for name in self.found(path.read_text(errors="replace"))]

    def hidden(self, text: str) -> str:
        """The text with each of them replaced by its name."""
        for name in self.found(text):
            text = text.replace(self.lines[name], f"<{name}>")
        return text


def read(settings: Settings) -> Needles:
    """Of everything in the vault; of a key that has lines, its longest."""
    lines = {
        f"{name}/{key}": max(value.splitlines() or [""], key=len)
        for name, entry in Vault(settings).read().items()
        for key, value in entry.items()
    }
    return Needles({name: line for name, line in lines.items() if len(line) >= SHORTEST and name not in SHOWN})


def without(text: str, settings: Settings) -> str:
    """A red check's text as it may be shown and kept: fixtures' values are in it. Of a key with lines: its longest."""
    try:
        return read(settings).hidden(text)
    except PlatformError as error:
        return f"not shown: the vault that tells what to leave out does not open ({error.what})"
