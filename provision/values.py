"""The values that a release is installed with, and the hash by which a later look knows them.

Later wins: values.yaml < values.<env>.yaml < values.<site>.yaml < values_from < the platform's name, the site and fixed
addresses < what the repository holds (of the release that serves it) < what its image is made from < scaling. Pure.
"""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from provision import releases, repository
from provision.errors import SettingsError
from provision.releases import Release, ValuesFrom
from provision.settings import Settings

MIN_CPU_MILLICORES = 10
MIN_MEMORY_MIB = 16
SOURCES = frozenset({".py", ".toml", ".json", ".lock"})


def of(release: Release, settings: Settings) -> Mapping[str, Any]:
    """What Helm is given for a release in this environment, scaled."""
    merged: dict[str, Any] = {}
    for stem in ("values", f"values.{settings.env}", f"values.{release.site}"):
        merged = merge(merged, _yaml(release.folder / f"{stem}.yaml"))
    for key, source in release.values_from.items():
        merged = merge(merged, {key: _table(release, key, source)})
    merged = merge(merged, {"platform": settings.platform, "site": release.site, **fixed_addresses(release, settings)})
    if release.serves:
        merged = merge(merged, _served(release, settings))
    if release.made_from and settings.embedded is not None:
        merged["madeFrom"] = made_from(release.apps.parent, release.made_from)
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


def made_from(root: Path, parts: Sequence[str]) -> str:
    """A hash of what an image is made from: the sources among these files and folders, by their content.

    On the testbed an image has a version, which says as much; the rehearsal makes it from the checkout as it is."""
    mix = hashlib.sha256()
    found = (path for part in parts for path in ((root / part).rglob("*") if (root / part).is_dir() else [root / part]))
    for path in sorted(path for path in found if path.suffix in SOURCES):
        mix.update(f"{path.relative_to(root)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return mix.hexdigest()[:16]


def inputs(release: Release, settings: Settings) -> str:
    """A hash of all that decides what is installed: chart files, version, values."""
    mix = hashlib.sha256()
    files = (release.folder / release.chart).rglob("*") if release.chart else ()
    for path in sorted(path for path in files if path.is_file()):
        mix.update(f"{path.relative_to(release.folder)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    crds = [crds.sha256 for crds in release.crds]
    rest = [release.source, release.digest, release.version, release.namespace, of(release, settings), crds]
    mix.update(json.dumps(rest, sort_keys=True).encode())
    return mix.hexdigest()[:16]


def _commit(release: Release, settings: Settings) -> str:
    """The commit that a release which serves the repository serves."""
    return str(of(release, settings)["repository"]["commit"])


def commit_at(site: str, settings: Settings) -> str:
    """The commit that Argo CD is to follow at a site; '' where nothing serves it."""
    return next((_commit(release, settings) for release in releases.at(site, settings) if release.serves), "")


def _served(release: Release, settings: Settings) -> Mapping[str, Any]:
    """The commit that Argo CD is to follow at this site, and the bundle it is cloned from."""
    owned = [one for one in releases.at(release.site, settings) if one.owner == "argocd"]
    commit = repository.commit(repository.files([(one, of(one, settings)) for one in owned], settings))
    return {"repository": {"commit": commit.name, "bundle": commit.bundle}}


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


def _yaml(path: Path) -> Mapping[str, Any]:
    return (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}


def _table(release: Release, key: str, source: ValuesFrom) -> Any:
    path = release.apps.parent / source.file
    try:
        return tomllib.loads(path.read_text())[source.table]
    except (OSError, KeyError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"apps/{release.name}/chart.toml -> values_from.{key} -> expected table {source.table!r} in {source.file}",
            why=str(error),
        ) from error
