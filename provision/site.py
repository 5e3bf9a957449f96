"""Site: the doors of one site, made once and passed in. A step touches the world only through these.

No step may ask which environment it is in: if it needs to, a door is missing something.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from provision.clouds.base import Cloud
from provision.hosts import Hosts
from provision.kube import Kube
from provision.settings import Settings, SiteSettings
from provision.state import Receipts, Run
from provision.vault import Vault


@dataclass(frozen=True)
class Site:
    """One site: its settings and its doors.

    cloud: the OpenStack APIs. hosts: ssh. kube: the cluster. vault: the SOPS file. receipts: what was done before.
    run: this run's folder. peer: the other site, to read from only.
    """

    name: str
    settings: Settings
    cloud: Cloud
    hosts: Hosts
    kube: Kube
    vault: Vault
    receipts: Receipts
    run: Run
    peer: Callable[[], Site]

    @property
    def own(self) -> SiteSettings:
        """This site's part of the settings."""
        return self.settings.sites[self.name]

    def log(self, step: str) -> Path:
        """The log of a step at this site in this run."""
        return self.run.log(step, self.name)
