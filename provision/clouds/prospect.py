"""What a project may use at a site, and what the site has. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from provision.clouds.facts import Credential, Quota
from provision.clouds.session import Session, refusal

SERVERS = {
    "servers": ("maxTotalInstances", "totalInstancesUsed"),
    "cores": ("maxTotalCores", "totalCoresUsed"),
    "MiB of memory": ("maxTotalRAMSize", "totalRAMUsed"),
}
VOLUMES = {
    "volumes": ("maxTotalVolumes", "totalVolumesUsed"),
    "GiB of volumes": ("maxTotalVolumeGigabytes", "totalGigabytesUsed"),
}
NETWORK = {"floating IPs": "floatingip", "ports": "port", "networks": "network", "security groups": "security_group"}
NOT_FOR_USERS = (403, 404)


@dataclass(frozen=True)
class SiteProspect:
    """has_volumes: whether the site has block storage."""

    session: Session
    has_volumes: bool

    def read_credential(self) -> Credential:
        """From the token, and from keystone's own record of an application credential."""
        with self.session.asking("read the credential") as cloud:
            access = cloud.session.auth.get_access(cloud.session)
            own = cloud.config.get_auth_args().get("application_credential_id", "")
        path = f"/users/{access.user_id}/application_credentials/{own}"
        told = self._get("identity", path).get("application_credential", {}) if own else {}
        return Credential(
            project=str(access.project_name or ""),
            roles=frozenset(access.role_names),
            unrestricted=told.get("unrestricted"),
            expires=str(told.get("expires_at") or ""),
        )

    def read_skew(self) -> float:
        """By the date of an answer; half of a request's time is its error."""
        with self.session.asking("read the clock") as cloud:
            sent = datetime.now(UTC)
            answer = cloud.identity.get("/", raise_exc=False)
            middle = sent + (datetime.now(UTC) - sent) / 2
        told = answer.headers.get("Date", "")
        return (parsedate_to_datetime(told) - middle).total_seconds() if told else 0.0

    def list_services(self) -> frozenset[str]:
        """Types, as the catalogue names them."""
        with self.session.asking("read the catalogue") as cloud:
            catalogue = cloud.session.auth.get_access(cloud.session).service_catalog
            found = catalogue.get_endpoints(interface="public", region_name=cloud.config.region_name)
        return frozenset(kind for kind, endpoints in found.items() if endpoints)

    def list_quotas(self) -> tuple[Quota, ...]:
        """A service that does not tell leaves its rows out."""
        with self.session.asking("read quotas") as cloud:
            project = cloud.current_project_id
        found = _rows(self._get("compute", "/limits"), SERVERS)
        if self.has_volumes:
            found += _rows(self._get("block_storage", "/limits"), VOLUMES)
        told = self._get("network", f"/quotas/{project}/details.json").get("quota", {})
        found += [Quota(what, told[key]["limit"], told[key]["used"]) for what, key in NETWORK.items() if key in told]
        return tuple(found)

    def find_image(self, name: str) -> str:
        """Its id, or ''."""
        with self.session.asking(f"find image {name}") as cloud:
            return newest_image(cloud, name)

    def has_flavor(self, name: str) -> bool:
        """By name."""
        with self.session.asking(f"find flavor {name}") as cloud:
            return cloud.compute.find_flavor(name, ignore_missing=True) is not None

    def has_network(self, name: str) -> bool:
        """By name."""
        with self.session.asking(f"find network {name}") as cloud:
            return cloud.network.find_network(name, ignore_missing=True) is not None

    def _get(self, service: str, path: str) -> Any:
        """A service's answer; {} where users may not ask."""
        with self.session.asking(f"ask {service}") as cloud:
            answer = getattr(cloud, service).get(path, raise_exc=False)
        if answer.status_code in NOT_FOR_USERS:
            return {}
        if answer.status_code >= 400:
            site, env = self.session.site, self.session.env
            raise refusal(f"{site}: ask {service}", answer.status_code, answer.text[:300], env=env)
        return answer.json()


def newest_image(cloud: Any, name: str) -> str:
    """The id of the newest image of a name, since names move to newer images on a testbed; '' when there is none."""
    found = sorted(cloud.image.images(name=name, status="active"), key=lambda image: str(image.created_at))
    return str(found[-1].id) if found else ""


def _rows(told: Mapping[str, Any], keys: Mapping[str, tuple[str, str]]) -> list[Quota]:
    """Limits and use as nova and cinder tell them."""
    absolute = told.get("limits", {}).get("absolute", {})
    return [
        Quota(what, absolute[most], absolute.get(used, 0)) for what, (most, used) in keys.items() if most in absolute
    ]
