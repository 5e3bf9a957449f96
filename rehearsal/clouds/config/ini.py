"""The ini dialect of OpenStack: a list means the same key again and again, a bool is true or false."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

Value = str | int | float | bool | Path | Sequence[str]
Section = Mapping[str, Value]


def render(sections: Mapping[str, Section]) -> str:
    """Sections in the order given; an empty section is left out."""
    blocks = []
    for name, section in sections.items():
        lines = [f"{key} = {text}" for key, value in section.items() for text in _texts(value)]
        if lines:
            blocks.append("\n".join([f"[{name}]", *lines]) + "\n")
    return "\n".join(blocks)


def _texts(value: Value) -> list[str]:
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, (str, int, float, Path)):
        return [str(value)]
    return list(value)
