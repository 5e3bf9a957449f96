"""Where a fault happens: a site's tree, its services' processes, its cloud as administrator and as tandem's user."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from provision.errors import PreconditionMissing
from rehearsal.clouds import access, process, state
from rehearsal.clouds.layout import Places, Tree
from rehearsal.clouds.services import seed
from rehearsal.clouds.sites import SITES, CloudSite

LEASES = "/v1/leases"


@dataclass(frozen=True)
class Ground:
    """places: of the platform. site: whose cloud."""

    places: Places
    site: str

    @property
    def cloud(self) -> CloudSite:
        """The site as data."""
        return SITES[self.site]

    @property
    def tree(self) -> Tree:
        """The site's process tree."""
        return state.tree_at(self.places, self.site, self.places.root(self.site))

    def admin(self) -> Any:
        """The provider."""
        return seed.connect(self.cloud, "admin", access.read_secrets(self.tree).admin, "admin")

    def user(self) -> Any:
        """Tandem's user, with a password: independent of the credential under test."""
        return seed.connect(self.cloud, seed.USER, access.read_secrets(self.tree).user, seed.PROJECT)

    def project(self, admin: Any) -> str:
        """The id of tandem's project."""
        return str(admin.identity.find_project(seed.PROJECT, ignore_missing=False).id)

    def blazar(self, cloud: Any, method: str, path: str, body: object = None, *, must: bool = True) -> Any:
        """Ask Blazar as somebody; the answer's JSON. None for a refusal, which `must` raises."""
        answer = cloud.session.request(self.cloud.url("blazar", path), method, json=body, raise_exc=must)
        return (answer.json() if answer.content else {}) if answer.status_code < 400 else None

    def active_leases(self, cloud: Any, kind: str) -> list[dict[str, Any]]:
        """Somebody's ACTIVE leases that hold something of a kind."""
        found: list[dict[str, Any]] = self.blazar(cloud, "GET", LEASES)["leases"]
        return [
            lease
            for lease in found
            if lease["status"] == "ACTIVE" and any(held["resource_type"] == kind for held in lease["reservations"])
        ]

    def serving_pid(self, service: str) -> int | None:
        """The process that serves, None while none does."""
        try:
            return int(self.tree.ready_file(service).read_text()) if process.is_serving(self.tree, service) else None
        except (OSError, ValueError):  # it died in between
            return None

    def signal(self, service: str, number: int) -> int:
        """To one service of the tree; returns its pid. Raises PreconditionMissing when it does not run."""
        try:
            pid = int(self.tree.ready_file(service).read_text())
            os.kill(pid, number)
        except (OSError, ValueError) as error:
            raise PreconditionMissing(
                f"{self.site}: {service} does not run", why=str(error), next="invoke rehearsal.up"
            ) from error
        return pid
