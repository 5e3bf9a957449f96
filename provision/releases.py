"""The releases under apps/: what each chart.toml says, and the values a release gets at its site.

Values, later wins: values.yaml < values.<env>.yaml < values.<site>.yaml < values_from < fixed addresses < scaling.
Pure: repository files and settings only. A wrong key is a SettingsError: file -> key -> what was expected.
"""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from provision.errors import SettingsError
from provision.settings import ROOT, Settings

APPS = ROOT / "apps"
MIN_CPU_MILLICORES = 10
MIN_MEMORY_MIB = 16


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Ready(_Model):
    """One condition of a running release. `Available` for workloads, `Exists` for anything else."""

    kind: str
    name: str
    condition: str = Field(pattern="^(Available|Exists)$")


class Requests(_Model):
    """What a release asks for at full size, all replicas together."""

    cpu_millicores: int = 0
    memory_mib: int = 0
    disk_gib: int = 0
    gpu_shares: int = 0


class ValuesFrom(_Model):
    """A value taken from a TOML file of the repository: its `table`."""

    file: str
    table: str


class Release(_Model):
    """One Helm release. `chart` is a folder beside chart.toml; `source` is an upstream chart, pinned by `digest`."""

    name: str
    version: str
    chart: str = ""
    source: str = ""
    digest: str = ""
    namespace: str
    site: str
    needs: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    deadline_s: int = Field(ge=1)
    ready: tuple[Ready, ...] = Field(min_length=1)
    images: tuple[str, ...] = ()
    image_digests: dict[str, str] = {}
    requests: Requests = Requests()
    values_from: dict[str, ValuesFrom] = {}
    apps: Path

    @property
    def folder(self) -> Path:
        """apps/<name>/."""
        return self.apps / self.name

    @property
    def chart_ref(self) -> str:
        """What Helm is given: our own folder, or the upstream reference."""
        return str(self.folder / self.chart) if self.chart else self.source


@lru_cache(maxsize=8)
def load(apps: Path = APPS) -> tuple[Release, ...]:
    """Every release, those needed by others first. Raises SettingsError."""
    found = {path.parent.name: _read(path, apps) for path in sorted(apps.glob("*/chart.toml"))}
    for release in found.values():
        for need in release.needs:
            if need not in found or found[need].site != release.site:
                _wrong(release.folder / "chart.toml", "needs", f"a release of {release.site}, not {need!r}")
    try:
        order = TopologicalSorter({name: release.needs for name, release in found.items()}).static_order()
        return tuple(found[name] for name in order)
    except CycleError as circle:
        raise SettingsError("apps -> needs -> expected no circle", why=" -> ".join(circle.args[1])) from circle


def at(site: str, apps: Path = APPS) -> tuple[Release, ...]:
    """The releases of a site, those needed by others first."""
    return tuple(release for release in load(apps) if release.site == site)


def named(name: str, apps: Path = APPS) -> Release:
    """A release by name."""
    return next(release for release in load(apps) if release.name == name)


def values(release: Release, settings: Settings) -> Mapping[str, Any]:
    """What Helm is given for a release in this environment, scaled."""
    merged: dict[str, Any] = {}
    for stem in ("values", f"values.{settings.env}", f"values.{release.site}"):
        merged = merge(merged, _yaml(release.folder / f"{stem}.yaml"))
    for key, source in release.values_from.items():
        merged = merge(merged, {key: _table(release, key, source)})
    merged = merge(merged, fixed_addresses(release, settings))
    return dict(scale(merged, settings.cpu_scale, settings.memory_scale))


def fixed_addresses(release: Release, settings: Settings) -> Mapping[str, Any]:
    """Addresses the link ends at: `service.clusterIP`, or `service.clusterIPs.<stage>` for `<release>-<stage>`."""
    one: dict[str, str] = {}
    many: dict[str, str] = {}
    for forward in settings.link.forwards:
        namespace, _, service = forward.target.rsplit(":", 1)[0].partition("/")
        if namespace != release.namespace or settings.peer_of(forward.listens) != release.site:
            continue
        if service == release.name:
            one["clusterIP"] = str(forward.target_ip)
        elif service.startswith(f"{release.name}-"):
            many[service.removeprefix(f"{release.name}-")] = str(forward.target_ip)
    inner = {**one, **({"clusterIPs": many} if many else {})}
    return {"service": inner} if inner else {}


def inputs(release: Release, settings: Settings) -> str:
    """A hash of all that decides what is installed: chart files, version, values."""
    mix = hashlib.sha256()
    files = (release.folder / release.chart).rglob("*") if release.chart else ()
    for path in sorted(path for path in files if path.is_file()):
        mix.update(f"{path.relative_to(release.folder)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    rest = [release.source, release.digest, release.version, release.namespace, values(release, settings)]
    mix.update(json.dumps(rest, sort_keys=True).encode())
    return mix.hexdigest()[:16]


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Deep merge as Helm does it: mappings merge, anything else is replaced."""
    merged = dict(under)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def scale(tree: Any, cpu: float, memory: float) -> Any:
    """Shrink every `resources` mapping in any depth: a limit stays above its `floor`, a request under its limit."""
    if isinstance(tree, Mapping):
        return {
            key: _scaled(value, cpu, memory) if key == "resources" and _is_sized(value) else scale(value, cpu, memory)
            for key, value in tree.items()
        }
    if isinstance(tree, list):
        return [scale(value, cpu, memory) for value in tree]
    return tree


def _is_sized(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("requests"), Mapping)
        and (bool({"cpu_millicores", "memory_mib"} & set(value["requests"])))
    )


def _scaled(resources: Mapping[str, Any], cpu: float, memory: float) -> dict[str, Any]:
    asked = dict(resources["requests"])
    limits = dict(resources.get("limits") or {})
    floor = (resources.get("floor") or {}).get("memory_mib", 0)
    if "cpu_millicores" in asked:
        asked["cpu_millicores"] = max(_up(asked["cpu_millicores"] * cpu), MIN_CPU_MILLICORES)
    if "memory_mib" in limits:
        limits["memory_mib"] = max(_up(limits["memory_mib"] * memory), floor)
    if "memory_mib" in asked:
        wanted = max(_up(asked["memory_mib"] * memory), MIN_MEMORY_MIB)
        asked["memory_mib"] = min(wanted, limits.get("memory_mib", wanted))
    return {**resources, "requests": asked, **({"limits": limits} if limits else {})}


def _up(number: float) -> int:
    return math.ceil(round(number, 6))  # 0.1 * 500 is 50.000000000000004 to a float


def _read(path: Path, apps: Path) -> Release:
    try:
        release = Release(apps=apps, **tomllib.loads(path.read_text()))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path.relative_to(apps.parent)} -> whole file -> expected TOML: {error}") from error
    except ValidationError as error:
        fault = error.errors()[0]
        expected = "no such key" if fault["type"] == "extra_forbidden" else fault["msg"]
        return _wrong(path, ".".join(str(part) for part in fault["loc"]), expected)
    if release.name != path.parent.name:
        _wrong(path, "name", f"the folder's name, {path.parent.name!r}")
    if bool(release.chart) == bool(release.source):
        _wrong(path, "chart", "either `chart` or `source`")
    return release


def _wrong(path: Path, key: str, expected: str) -> Release:
    raise SettingsError(f"{'/'.join(path.parts[-3:])} -> {key} -> expected {expected}")


def _yaml(path: Path) -> Mapping[str, Any]:
    return (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}


def _table(release: Release, key: str, source: ValuesFrom) -> Any:
    path = release.apps.parent / source.file
    try:
        return tomllib.loads(path.read_text())[source.table]
    except (OSError, KeyError, tomllib.TOMLDecodeError) as error:
        _wrong(release.folder / "chart.toml", f"values_from.{key}", f"table {source.table!r} in {source.file}: {error}")


def secret_keys(releases: Sequence[Release]) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """(namespace, Secret name) -> keys that the releases name in `secrets`."""
    keys: dict[tuple[str, str], tuple[str, ...]] = {}
    for release in releases:
        for entry in release.secrets:
            name, _, key = entry.partition("/")
            known = keys.get((release.namespace, name), ())
            keys[release.namespace, name] = known if key in known else (*known, key)
    return keys
