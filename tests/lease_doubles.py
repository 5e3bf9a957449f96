"""A Blazar that does as a test says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from provision.clouds.facts import Busy, Calendar, Host, Lease, Others, Reservation


@dataclass
class FakeLeases:
    """Blazar with a script: the statuses that each made lease will have.

    hosts: lease -> the host it was given. deaf: extensions are answered and do nothing.
    over: leases end just before they are extended; the answer moves the end all the same. busy: host -> its calendar.
    """

    outcomes: list[str]
    leases: list[Lease] = field(default_factory=list)
    made: int = 0
    hosts: dict[str, str] = field(default_factory=dict)
    avoided: list[tuple[str, ...]] = field(default_factory=list)
    extended: list[tuple[str, int]] = field(default_factory=list)
    deaf: bool = False
    over: bool = False
    others: Others = field(default_factory=Others)
    busy: dict[str, tuple[Busy, ...]] = field(default_factory=dict)

    def list_leases(self) -> tuple[Lease, ...]:
        return tuple(self.leases)

    def count_others(self) -> Others:
        return self.others

    def find_calendar(self, node_type: str) -> Calendar | None:
        busy = {host: (Busy(0, 2_000_000_000, lease),) for lease, host in self.hosts.items()} | self.busy
        return Calendar(1, tuple(Host(host, held) for host, held in busy.items())) if busy else None

    def extend_lease(self, lease_id: str, ends: int) -> Lease:
        self.extended.append((lease_id, ends))
        self.leases = [
            replace(lease, ends=lease.ends if self.deaf else ends, status="TERMINATED" if self.over else lease.status)
            if lease.id == lease_id
            else lease
            for lease in self.leases
        ]
        return next(lease for lease in self.leases if lease.id == lease_id)

    def create_lease(self, name: str, wanted: Reservation, hours: int, avoid: Sequence[str] = ()) -> Lease:
        self.made += 1
        self.avoided.append(tuple(avoid))
        lease = Lease(name, self.outcomes.pop(0), hours, (wanted,), f"id{self.made}")
        self.leases.append(lease)
        return replace(lease, status="PENDING")

    def delete_lease(self, lease_id: str) -> None:
        self.leases = [lease for lease in self.leases if lease.id != lease_id]
