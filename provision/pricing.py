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
    """per_hour_su: while all leases run. total_su: for the leases as long as they are asked for. spends: for real.

    until_end_su: of the leases that stand, from now until they end, and of the others in full; None when nobody was
    asked. balance_su: what the settings say is left of the allocation.
    """

    per_hour_su: float
    total_su: float
    spends: bool
    until_end_su: float | None = None
    balance_su: float | None = None

    @property
    def due_su(self) -> float:
        """What is still to be spent."""
        return self.total_su if self.until_end_su is None else self.until_end_su

    @property
    def share(self) -> float | None:
        """Of the balance that is still to be spent, 0 to 1; None where no balance is told."""
        return round(self.due_su / self.balance_su, 4) if self.balance_su else None

    def as_json(self) -> dict[str, object]:
        """The plan's `price`."""
        return {
            "per_hour_su": self.per_hour_su,
            "total_su": self.total_su,
            "until_end_su": self.until_end_su,
            "balance_su": self.balance_su,
            "share": self.share,
            "rates_as_of": AS_OF,
            "spends": self.spends,
        }

    def text(self) -> str:
        """For a person."""
        parts = [f"{self.per_hour_su:g} SU/h", f"{self.total_su:g} SU for the leases"]
        parts += [f"{self.until_end_su:g} SU until they end"] if self.until_end_su is not None else []
        parts += [f"{self.share:.1%} of {self.balance_su:g} SU"] if self.share is not None else []
        price = f"{', '.join(parts)} (rates of {AS_OF})"
        return price if self.spends else f"spends nothing (on the testbed: {price})"


def price(settings: Settings, now: int = 0, hours_left: Mapping[str, float | None] | None = None) -> Price:
    """Of all sites. now: seconds since 1970, for leases that the allocation cuts; 0: as long as the settings say.

    hours_left: of each site's lease that stands. Raises SettingsError for a size that the table does not know.
    """
    ends = settings.allocation.ends_at()
    rates = {name: rate(site.lease) * site.lease.amount for name, site in settings.sites.items()}
    hours: Mapping[str, float] = {name: site.lease.hours_from(now, ends) for name, site in settings.sites.items()}
    left = hours_left or {}
    due = sum(rates[name] * (left.get(name) or hours[name]) for name in rates)
    return Price(
        per_hour_su=round(sum(rates.values()), 4),
        total_su=round(sum(rates[name] * hours[name] for name in rates), 2),
        spends=settings.spends,
        until_end_su=None if hours_left is None else round(due, 2),
        balance_su=settings.allocation.balance_su,
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
