"""The rehearsal: both sites for real on this machine, sealed from every network. Entry points for the engine, by name.

Nothing but the standard library is imported here: nova imports this package inside another virtual environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provision.settings import Settings


def up(settings: Settings) -> None:
    """Everything the steps need: network, artifacts, registry, OpenStack. Idempotent; minutes when cold."""
    from rehearsal import lifecycle

    lifecycle.up(settings)


def is_up(settings: Settings) -> bool:
    """Whether both clouds run."""
    from rehearsal import lifecycle

    return lifecycle.is_up(settings)


def down(settings: Settings) -> None:
    """Stop all of it and keep its state."""
    from rehearsal import lifecycle

    lifecycle.down(settings)


def destroy(settings: Settings) -> list[str]:
    """Remove all of it, data included; returns, in words, what is still on the machine (nothing, one hopes)."""
    from rehearsal import lifecycle

    return lifecycle.destroy(settings)


def seal_problems(settings: Settings) -> list[str]:
    """How a packet of the rehearsal could leave this machine, in words; empty when it is sealed."""
    from rehearsal import network

    return network.seal_problems(settings.platform)


def disk_needed(_settings: Settings) -> tuple[int, str]:
    """GiB of free disk that the next `up` needs, and why so much."""
    from provision.paths import cache_dir
    from rehearsal.artifacts import disk

    need = disk.needed(cache_dir())
    return need.gib, need.why


def missing_releases(_settings: Settings) -> dict[str, str]:
    """Release files that Kubespray needs and that are not in the cache: name -> where it may be put by hand."""
    from provision.paths import cache_dir
    from rehearsal import artifacts

    return artifacts.missing_releases(cache_dir())
