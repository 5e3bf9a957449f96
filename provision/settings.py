"""Settings: one TOML file an environment, checked by pydantic, loaded once, frozen, passed down.

Layers: defaults here < provision/environments/<env>.toml < TANDEM_* (credentials and CI only) < task flags.
A wrong key is a SettingsError that names file -> key -> what was expected.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from pydantic import ValidationError

from provision import backends
from provision.errors import SettingsError
from provision.paths import ROOT, cache_dir
from provision.platform_settings import Embedded, Forward, Kubernetes, Link, Registry, Settings
from provision.site_settings import (
    Allocation,
    Flavor,
    Gpu,
    Lease,
    Network,
    Node,
    Reserve,
    Rule,
    SiteSettings,
    Volume,
)

__all__ = [
    "ROOT",
    "Allocation",
    "Embedded",
    "Flavor",
    "Forward",
    "Gpu",
    "Kubernetes",
    "Lease",
    "Link",
    "Network",
    "Node",
    "Registry",
    "Reserve",
    "Rule",
    "Settings",
    "SiteSettings",
    "Volume",
    "cache_dir",
    "load",
    "parse",
]

ENVIRONMENTS = Path(__file__).resolve().parent / "environments"


def load(env: str = "", *, platform: str = "", backend: str = "") -> Settings:
    """Settings of an environment by name (default: TANDEM_ENV, else rehearsal), with the platform's backend.

    backend: by name; '': TANDEM_BACKEND, else what the platform was built with. Raises SettingsError, UsageError.
    """
    name = env or os.environ.get("TANDEM_ENV", "") or "rehearsal"
    path = ENVIRONMENTS / f"{name}.toml"
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in ENVIRONMENTS.glob("*.toml")))
        raise SettingsError(
            f"no environment {name!r}", why=f"there are: {known}", next="invoke provision.plan --env rehearsal"
        )
    chosen = platform or os.environ.get("TANDEM_PLATFORM", "")
    settings = parse(path, path.read_text(), env=name, platform=chosen)
    return backends.chosen(settings, backend or os.environ.get("TANDEM_BACKEND", ""))


def parse(path: Path, text: str, *, env: str, platform: str = "") -> Settings:
    """Settings from the text of one file; `path` only names it in errors."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path.name}: not TOML", why=str(error), next=f"edit {_short(path)}") from error
    if platform:
        table["platform"] = platform
    if "platform" not in table:
        raise SettingsError(
            f"{env}: no platform name",
            why=f"{path.name} -> platform -> expected a name: the testbed's projects are shared, so it has no default",
            next="the same command with --platform NAME (or TANDEM_PLATFORM=NAME)",
        )
    try:
        settings = Settings.model_validate({"env": env, **table})
    except ValidationError as error:
        raise SettingsError(
            f"{path.name}: {error.error_count()} wrong",
            why="\n".join(_explain(path, error)),
            next=f"edit {_short(path)}",
        ) from error
    return settings


def _explain(path: Path, error: ValidationError) -> list[str]:
    lines = []
    for fault in error.errors(include_url=False):
        key = ".".join(str(part) for part in fault["loc"])
        expected = "no such key" if fault["type"] == "extra_forbidden" else fault["msg"]
        lines.append(f"{path.name} -> {key} -> {expected}")
    return lines


def _short(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
