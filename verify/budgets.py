"""Reads one number of `budgets.toml`: no threshold is a literal in a check."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("budgets.toml")


def read(key: str, *, env: str = "", settled: bool = False, path: Path = PATH) -> float:
    """The number at a dotted key. Raises KeyError naming file and key.

    A table of the environment's name overrides; with `settled` (the platform has stood for a while, so nothing is still
    on its way up) a table under `settled` overrides that, and one under `settled.<env>` overrides all.
    """
    table = tomllib.loads(path.read_text())
    layers = [env] if env else []
    if settled:
        layers = [*(f"settled.{layer}" for layer in layers), "settled", *layers]
    for dotted in [*(f"{layer}.{key}" for layer in layers), key]:
        found = _at(table, dotted)
        if found is not None:
            return found
    raise KeyError(f"{path.name} -> {key} -> expected a number")


def _at(table: Mapping[str, Any], dotted: str) -> float | None:
    value: Any = table
    for part in dotted.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
