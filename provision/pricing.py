"""What a platform costs in service units (SU), from a small dated table. Pure; asks nobody.

Rates: Chameleon's blog, post of 2025-09-03 ("Chameleon changelog for August 2025"): SU per hour and server or host.
Floating IPs and storage are free. The price is of the shape in the settings, wherever it is built: a rehearsal of it
spends nothing, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from provision.errors import SettingsError
from provision.settings import Lease, Settings

AS_OF = "2025-09-03"
FLAVORS: Mapping[str, float] = {
    "m1.tiny": 0.01,
    "m1.small": 0.02,
    "m1.medium": 0.04,
    "m1.large": 0.08,
    "m1.xlarge": 0.15,
    "m1.xxlarge": 0.3,
    "g1.h100.pci.1": 0.5,
}
HOSTS: Mapping[str, float] = {
    "gpu_rtx_6000": 2.0,
    "gpu_p100": 2.0,
    "gpu_v100": 2.0,
    "gpu_a100_pcie": 4.0,
    "compute_skylake": 1.0,
    "compute_cascadelake_r": 1.0,
    "storage": 1.0,
}


@dataclass(frozen=True, slots=True)
class Price:
    """per_hour_su: while all leases run. total_su: for the leases as long as they are asked for. spends: for real."""

    per_hour_su: float
    total_su: float
    spends: bool

    def as_json(self) -> dict[str, object]:
        """The plan's `price`."""
        return {"per_hour_su": self.per_hour_su, "total_su": self.total_su, "spends": self.spends}

    def text(self) -> str:
        """For a person."""
        price = f"{self.per_hour_su:g} SU/h, {self.total_su:g} SU for the leases (rates of {AS_OF})"
        return price if self.spends else f"spends nothing (on the testbed: {price})"


def price(settings: Settings) -> Price:
    """Of all sites. Raises SettingsError for a size that the table does not know."""
    rates = [(rate(site.lease) * site.lease.amount, site.lease.hours) for site in settings.sites.values()]
    return Price(
        per_hour_su=round(sum(per_hour for per_hour, _ in rates), 4),
        total_su=round(sum(per_hour * hours for per_hour, hours in rates), 2),
        spends=settings.spends,
    )


def rate(lease: Lease) -> float:
    """SU per hour of one server or host."""
    table, name = (FLAVORS, lease.flavor) if lease.kind == "flavor:instance" else (HOSTS, lease.node_type)
    if name not in table:
        raise SettingsError(
            f"lease: no price known for {name!r}",
            why=f"known since {AS_OF}: {', '.join(table)}",
            next="add its rate, with date and source, to provision/pricing.py",
        )
    return table[name]
