"""The releases under apps/: what each chart.toml says, and which of them a site has.

Pure: repository files and settings only. A wrong key is a SettingsError: file -> key -> what was expected.
What values a release gets is in values.py.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from provision.errors import SettingsError
from provision.pods import PodTable
from provision.settings import ROOT, Settings

APPS = ROOT / "apps"
ALL = "all"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Ready(_Model):
    """One condition of a running release.

    `Available` for workloads, `Exists`, or the type of a status condition that must be True. kind: as in manifests;
    of a custom resource `Kind.group`.
    """

    kind: str
    name: str
    condition: str = Field(pattern="^[A-Z][A-Za-z]+$")


class Crds(_Model):
    """Custom resource definitions that a release brings, applied before it: one file, pinned by its checksum."""

    url: str = Field(pattern="^https://")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


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
    """One release. `chart` is a folder beside chart.toml; `source` is an upstream chart, pinned by `digest`.

    owner: who writes its objects: Helm (the base) or Argo CD. site: one site, or `all`. environments: empty for all.
    serves: whether it carries the repository that Argo CD reads. made_from: files and folders of this checkout that the
    rehearsal makes the image from: another content is another pod.
    """

    name: str
    version: str
    chart: str = ""
    source: str = ""
    digest: str = ""
    namespace: str
    owner: Literal["helm", "argocd"] = "argocd"
    site: str
    environments: tuple[str, ...] = ()
    serves: bool = False
    crds: tuple[Crds, ...] = ()
    needs: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    deadline_s: int = Field(ge=1)
    ready: tuple[Ready, ...] = Field(min_length=1)
    images: tuple[str, ...] = ()
    image_digests: dict[str, str] = {}
    made_from: tuple[str, ...] = ()
    requests: Requests = Requests()
    pods: tuple[PodTable, ...] = ()
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
            if need not in found or not _meet(found[need], release):
                _wrong(release.folder / "chart.toml", "needs", f"a release of {release.site}, not {need!r}")
    try:
        order = TopologicalSorter({name: release.needs for name, release in found.items()}).static_order()
        return tuple(found[name] for name in order)
    except CycleError as circle:
        raise SettingsError("apps -> needs -> expected no circle", why=" -> ".join(circle.args[1])) from circle


def at(site: str, settings: Settings) -> tuple[Release, ...]:
    """The releases of a site in this environment, those needed by others first, each with this site as its own and
    the environment's deadline."""
    here = {
        release.name: release
        for release in load(settings.apps_dir)
        if release.site in {site, ALL} and settings.env in (release.environments or (settings.env,))
    }
    return tuple(
        release.model_copy(
            update={
                "site": site,
                "needs": tuple(need for need in release.needs if need in here),
                "deadline_s": round(release.deadline_s * settings.patience),
            }
        )
        for release in here.values()
    )


def named(name: str, site: str, settings: Settings) -> Release:
    """A release of a site by name."""
    return next(release for release in at(site, settings) if release.name == name)


def every(settings: Settings) -> tuple[Release, ...]:
    """The releases of all sites in this environment."""
    return tuple(release for site in settings.sites for release in at(site, settings))


def _meet(one: Release, other: Release) -> bool:
    """Whether two releases are ever at the same site."""
    return ALL in {one.site, other.site} or one.site == other.site


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


def secret_keys(releases: Sequence[Release]) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """(namespace, Secret name) -> keys that the releases name in `secrets`."""
    keys: dict[tuple[str, str], tuple[str, ...]] = {}
    for release in releases:
        for entry in release.secrets:
            name, _, key = entry.partition("/")
            known = keys.get((release.namespace, name), ())
            keys[release.namespace, name] = known if key in known else (*known, key)
    return keys
