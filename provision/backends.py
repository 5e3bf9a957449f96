"""Where a tier can live besides its usual site: `--backend NAME`, kept with the platform: every command knows it.

A platform has one backend at a time. What stands in the old one would be forgotten and charged, so the choice changes
only after its sites were given back.
"""

from __future__ import annotations

from pathlib import Path

from provision.errors import PreconditionMissing, UsageError
from provision.platform_settings import Settings
from provision.state import write_atomic

USUAL = "usual"
"""The name by which the usual sites are asked for."""


def chosen(settings: Settings, asked: str) -> Settings:
    """The settings with the sites of a backend: the one asked for, else the one the platform was built with.

    Raises UsageError for a name that is none.
    """
    name = asked or built_with(settings) or USUAL
    if name not in (USUAL, *settings.backends):
        known = ", ".join((USUAL, *settings.backends))
        raise UsageError(
            f"{settings.env}: no backend {name!r}",
            why=f"there are: {known}",
            next=f"invoke provision.plan --env {settings.env}",
        )
    if name == USUAL:
        return settings
    return settings.model_copy(update={"backend": name, "sites": {**settings.sites, **settings.backends[name]}})


def refuse_another(settings: Settings) -> None:
    """What writes must not do so beside what stands. Raises PreconditionMissing; a plan may compare."""
    kept, name = built_with(settings), settings.backend or USUAL
    if kept in ("", name):
        return
    destroy = f"invoke provision.destroy --env {settings.env} --platform {settings.platform} --site"
    raise PreconditionMissing(
        f"{settings.platform} was built with backend {kept}, not {name}",
        why="what stands there would be forgotten, and charged",
        next="; ".join(f"{destroy} {site}" for site in changed_sites(settings, kept, name)),
    )


def changed_sites(settings: Settings, *names: str) -> tuple[str, ...]:
    """The sites that are elsewhere in one of these backends than in another."""
    return tuple(dict.fromkeys(site for name in names for site in settings.backends.get(name, {})))


def built_with(settings: Settings) -> str:
    """What the platform was built with; '' before anything was."""
    path = _path(settings)
    return path.read_text().strip() if path.exists() else ""


def remember(settings: Settings) -> None:
    """Before anything is made. Only where there is a choice."""
    if settings.backends:
        write_atomic(_path(settings), f"{settings.backend or USUAL}\n")


def forget(settings: Settings, site: str) -> None:
    """After a site was given back (''; all): the choice is free once nothing stands that it decides about."""
    if site == "" or site in changed_sites(settings, *settings.backends):
        _path(settings).unlink(missing_ok=True)


def _path(settings: Settings) -> Path:
    return settings.config_dir / "backend"
