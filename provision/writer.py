"""The marker that admits one writer: who changes a platform now, from where, since when.

The lock of `state.py` holds on one machine; a testbed's project is shared by several. Each run leaves an object of its
own in a container of the platform, then looks: whoever finds another's withdraws. Two runs that begin at the same
moment may so both withdraw; never do both go on. A killed run's object is removed by the next run with the same
configuration, and vanishes by itself after six hours.
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from provision import say
from provision.clouds.base import Store
from provision.clouds.storage import WRITER
from provision.errors import PlatformError, PreconditionMissing, RunLocked
from provision.settings import Settings
from provision.site import Site
from provision.state import utc_now, write_atomic

LASTS_S = 6 * 3600
"""Longer than any run; a killed run blocks other machines for no longer."""


@dataclass(frozen=True, slots=True)
class Writer:
    """A run that writes. token: the object's name."""

    token: str
    what: str
    who: str
    where: str
    since: str

    def told(self) -> str:
        """For a person."""
        return f"{self.what} by {self.who} on {self.where}, since {self.since}"


@contextmanager
def admitted(settings: Settings, sites: Mapping[str, Site], what: str, only: str = "") -> Iterator[None]:
    """Hold the marker of a testbed's platform. only: the one site that will be changed, '' for all.

    Raises RunLocked with who, where, since. A store that does not answer refuses too, except for a run that leaves
    its site alone: an outage there must not keep the other site from being mended.
    """
    place = _place(settings)
    if settings.embedded or not place:
        yield
        return
    door, container = sites[place].cloud.store, settings.name(place, WRITER)
    where = f"{socket.gethostname()} process {os.getpid()}"
    mine = Writer(secrets.token_hex(8), what, getpass.getuser(), where, utc_now())
    try:
        _enter(settings, door, container, mine)
    except RunLocked:
        raise
    except PreconditionMissing as error:
        if only in ("", place):
            raise
        say.warn(f"{place} does not answer, so nobody else sees that this run writes: {error.what}")
        yield
        return
    try:
        yield
    finally:
        _leave(settings, door, container, mine)


def elsewhere(settings: Settings, sites: Mapping[str, Site]) -> list[str]:
    """Who else writes now, in words; () where only one machine can. Raises what the store raises."""
    place = _place(settings)
    if settings.embedded or place not in sites:
        return []
    return [one.told() for one in _present(settings, sites[place].cloud.store, settings.name(place, WRITER))]


def _present(settings: Settings, door: Store, container: str) -> list[Writer]:
    """Who else has left a marker, ours of an earlier run apart."""
    own = _own(settings)
    told = (door.read_object(container, name) for name in door.list_objects(container) if name != own)
    return [Writer(**json.loads(text)) for text in told if text]


def _enter(settings: Settings, door: Store, container: str, mine: Writer) -> None:
    _refuse(settings, container, _present(settings, door, container))
    door.create_container(container)
    own = _own(settings)
    if own:  # of a run of ours that was killed: the lock on this machine says that it is over
        door.delete_object(container, own)
    write_atomic(_path(settings), mine.token)
    door.write_object(container, mine.token, json.dumps(asdict(mine)), lasts_s=LASTS_S)
    others = _present(settings, door, container)
    if others:
        door.delete_object(container, mine.token)
    _refuse(settings, container, others)


def _leave(settings: Settings, door: Store, container: str, mine: Writer) -> None:
    """A marker that cannot be taken away is no failure of the run: it vanishes by itself."""
    try:
        door.delete_object(container, mine.token)
        door.delete_if_empty(container)
        _path(settings).unlink(missing_ok=True)
    except PlatformError as error:
        say.warn(f"the marker {container}/{mine.token} stays for {LASTS_S // 3600} hours at most: {error.what}")


def _refuse(settings: Settings, container: str, others: list[Writer]) -> None:
    if others:
        remove = f"openstack --os-cloud {settings.sites[_place(settings)].cloud} object delete"
        raise RunLocked(
            f"platform {settings.platform}: another run writes",
            why="; ".join(other.told() for other in others),
            next=f"if it is over and left this: {remove} {container} {others[0].token}",
        )


def _place(settings: Settings) -> str:
    """The site with an object store, '' without one."""
    return settings.store_site


def _own(settings: Settings) -> str:
    """The marker that a run with this configuration left last; the machine's lock is ours meanwhile."""
    path = _path(settings)
    return path.read_text().strip() if path.exists() else ""


def _path(settings: Settings) -> Path:
    return settings.config_dir / "writer"
