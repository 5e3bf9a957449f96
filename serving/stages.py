"""The four serving stages as data: `stages.toml` beside this file, read with the standard library only.

The chart renders one Deployment and one Service a stage from the same table; the checks ask the same ports.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

NAMES = ("testing", "staging", "canary", "production")
PATH = Path(__file__).with_name("stages.toml")


class StagesInvalid(ValueError):
    """stages.toml says something impossible; the message names file, key and what was expected."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What one replica asks for at full size, and the measured need below which no limit may fall."""

    cpu_millicores: int
    memory_mib: int
    memory_limit_mib: int
    memory_floor_mib: int


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: where it answers across the link, how large it is, what its process is told."""

    name: str
    port: int  # on the link: unique a stage; the container always listens on 8000
    replicas: int
    gpu_shares: int
    gpu_memory_mib: int  # arena cap of one replica
    resources: Resources
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def service(self) -> str:
        """Name of the Deployment and of the Service in namespace `serving`."""
        return f"serving-{self.name}"


@dataclass(frozen=True, slots=True)
class Router:
    """What stands in front of production: its port on the link, and the part of the requests that the canary gets."""

    port: int
    canary_share: float
    resources: Resources
    env: Mapping[str, str] = field(default_factory=dict)

    service = "serving"  # name of the Service in namespace `serving`


@dataclass(frozen=True, slots=True)
class Precision:
    """Of the embedder that a platform begins with: where a CPU runs it, and where a GPU does."""

    cpu: str
    gpu: str


def load_precision(path: Path = PATH) -> Precision:
    """Raises StagesInvalid, naming the key, or OSError."""
    with path.open("rb") as file:
        raw = tomllib.load(file).get("precision", {})
    _same("precision", raw.keys(), [f.name for f in fields(Precision)], path)
    for key, known in _PRECISIONS.items():
        if raw[key] not in known:
            raise StagesInvalid(f"{path.name}: precision.{key}: expected one of {known}, got {raw[key]!r}")
    return Precision(**raw)


def load_router(path: Path = PATH) -> Router:
    """Raises StagesInvalid, naming the key, or OSError."""
    with path.open("rb") as file:
        raw = tomllib.load(file).get("router", {})
    _same("router", raw.keys(), [f.name for f in fields(Router)], path)
    share = raw["canary_share"]
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise StagesInvalid(f"{path.name}: router.canary_share: expected a number from 0 to 1, got {share!r}")
    port = _count("router.port", raw["port"], path)
    resources = _resources("router.resources", raw["resources"], path)
    return Router(port, float(share), resources, _env("router", raw["env"], path))


def load(path: Path = PATH) -> tuple[Stage, ...]:
    """All four stages in order of promotion. Raises StagesInvalid, naming the key, or OSError."""
    with path.open("rb") as file:
        table = tomllib.load(file).get("stages", {})
    _same("stages", table.keys(), NAMES, path)
    stages = tuple(_stage(name, table[name], path) for name in NAMES)
    ports = [stage.port for stage in stages]
    if len(set(ports)) != len(ports):
        raise StagesInvalid(f"{path.name}: stages.*.port: expected four different ports, got {ports}")
    return stages


def _stage(name: str, raw: dict[str, Any], path: Path) -> Stage:
    where = f"stages.{name}"
    _same(where, raw.keys(), [f.name for f in fields(Stage) if f.name != "name"], path)
    numbers = {key: _count(f"{where}.{key}", raw[key], path) for key in _NUMBERS}
    resources = _resources(f"{where}.resources", raw["resources"], path)
    return Stage(name=name, resources=resources, env=_env(where, raw["env"], path), **numbers)


_PRECISIONS = {"cpu": ("fp32", "int8"), "gpu": ("fp32",)}  # what the image has a folder of, and what can run it
_NUMBERS = ("port", "replicas", "gpu_shares", "gpu_memory_mib")


def _resources(where: str, raw: dict[str, Any], path: Path) -> Resources:
    """The same shape the charts scale: requests, limits, floor."""
    _same(where, raw.keys(), ("requests", "limits", "floor"), path)
    _same(f"{where}.requests", raw["requests"].keys(), ("cpu_millicores", "memory_mib"), path)
    for part in ("limits", "floor"):
        _same(f"{where}.{part}", raw[part].keys(), ("memory_mib",), path)
    found = Resources(
        cpu_millicores=_count(f"{where}.requests.cpu_millicores", raw["requests"]["cpu_millicores"], path),
        memory_mib=_count(f"{where}.requests.memory_mib", raw["requests"]["memory_mib"], path),
        memory_limit_mib=_count(f"{where}.limits.memory_mib", raw["limits"]["memory_mib"], path),
        memory_floor_mib=_count(f"{where}.floor.memory_mib", raw["floor"]["memory_mib"], path),
    )
    if not found.memory_floor_mib <= found.memory_mib <= found.memory_limit_mib:
        raise StagesInvalid(f"{path.name}: {where}: expected floor <= request <= limit of memory_mib")
    return found


def _env(where: str, raw: dict[str, Any], path: Path) -> Mapping[str, str]:
    bad = [key for key, value in raw.items() if not isinstance(value, str)]
    if bad:
        raise StagesInvalid(f"{path.name}: {where}.env.{bad[0]}: expected a string")
    return raw


def _same(where: str, have: Any, want: Any, path: Path) -> None:
    missing, unknown = sorted(set(want) - set(have)), sorted(set(have) - set(want))
    if missing or unknown:
        raise StagesInvalid(f"{path.name}: {where}: missing {missing or 'nothing'}, unknown {unknown or 'nothing'}")


def _count(where: str, value: Any, path: Path) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise StagesInvalid(f"{path.name}: {where}: expected a whole number >= 1, got {value!r}")
    return value
