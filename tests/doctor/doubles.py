"""A site whose cloud answers as a test says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from provision.clouds.facts import Calendar, Credential, Host, Quota, Survey
from provision.settings import Settings, load
from provision.site import Site
from tests.lease_doubles import FakeLeases

NOW = 1_795_435_200  # 2026-11-23 12:00 UTC
SERVICES = frozenset({"compute", "network", "image", "reservation", "volumev3", "object-store"})


@dataclass
class FakeProspect:
    """An error among the answers is raised. asked: what was asked, in order."""

    credential: Any = field(default_factory=lambda: Credential("CHI-tandem", frozenset({"member", "reader"}), True))
    skew: Any = 0.4
    services: Any = SERVICES
    quotas: Any = (Quota("servers", 20, 0),)
    image: Any = "image-id"
    flavors: Any = True
    networks: Any = True
    asked: list[str] = field(default_factory=list)

    def _tell(self, what: str) -> Any:
        self.asked.append(what)
        told = getattr(self, what)
        if isinstance(told, Exception):
            raise told
        return told

    def read_credential(self) -> Any:
        return self._tell("credential")

    def read_skew(self) -> Any:
        return self._tell("skew")

    def list_services(self) -> Any:
        return self._tell("services")

    def list_quotas(self) -> Any:
        return self._tell("quotas")

    def find_image(self, name: str) -> Any:
        return self._tell("image")

    def has_flavor(self, name: str) -> Any:
        return self._tell("flavors")

    def has_network(self, name: str) -> Any:
        return self._tell("networks")


class OpenCalendar(FakeLeases):
    """One host, free for ever."""

    def find_calendar(self, node_type: str) -> Calendar | None:
        return Calendar(NOW, (Host("rtx-01"),))


def fake_site(
    name: str,
    prospect: FakeProspect | None = None,
    *,
    settings: Settings | None = None,
    servers: int = 0,
    hosts: Any = None,
    leases: FakeLeases | None = None,
) -> Site:
    """A site of the rehearsal's settings, or of others."""
    told = settings or load("rehearsal", platform="case")
    count: Callable[[], int] = lambda: servers  # noqa: E731
    cloud = SimpleNamespace(
        prospect=prospect or FakeProspect(),
        leases=leases or OpenCalendar([]),
        networks=SimpleNamespace(survey=Survey),
        store=SimpleNamespace(list_volumes=tuple),
        count_servers=count,
        lease_hours_left=lambda: None,
    )
    return cast(Site, SimpleNamespace(name=name, settings=told, own=told.sites[name], cloud=cloud, hosts=hosts))
