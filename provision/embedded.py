"""An environment that lives on this machine names its entry points; the engine calls them by name, imports none."""

from __future__ import annotations

import importlib
from typing import Any

from provision.errors import SettingsError
from provision.settings import Settings


def up(settings: Settings) -> None:
    """Bring the embedded environment up, if there is one; nothing to do when it already is."""
    if settings.embedded:
        _entry(settings, settings.embedded.up)(settings)


def down(settings: Settings) -> list[str]:
    """Take the embedded environment down with all its data; returns what of it is still on the machine."""
    return list(_entry(settings, settings.embedded.down)(settings)) if settings.embedded else []


def is_up(settings: Settings) -> bool:
    """Whether there are clouds to ask: always for a real testbed."""
    return bool(_entry(settings, settings.embedded.is_up)(settings)) if settings.embedded else True


def seal_problems(settings: Settings) -> list[str]:
    """How a packet of the embedded environment could leave this machine; none for a real testbed, which has no seal."""
    return list(_entry(settings, settings.embedded.seal)(settings)) if settings.embedded else []


def disk_needed(settings: Settings) -> tuple[int, str]:
    """GiB of free disk that the embedded environment needs where the caches lie, and why; (0, '') for a testbed."""
    if settings.embedded is None:
        return 0, ""
    gib, why = _entry(settings, settings.embedded.disk)(settings)
    return int(gib), str(why)


def missing_releases(settings: Settings) -> dict[str, str]:
    """Release files that Kubespray needs and the embedded environment has not: name -> where it may be put by hand."""
    if settings.embedded is None:
        return {}
    return {str(name): str(place) for name, place in _entry(settings, settings.embedded.releases)(settings).items()}


def _entry(settings: Settings, name: str) -> Any:
    module, _, function = name.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise SettingsError(
            f"{settings.env}.toml -> embedded -> {name!r} is not module:function",
            why=str(error),
            next=f"edit provision/environments/{settings.env}.toml",
        ) from error
