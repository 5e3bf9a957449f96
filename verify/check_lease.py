"""Leases: ACTIVE, long enough, with reservations to build on, and one of each name."""

from __future__ import annotations

from collections.abc import Callable

from provision import leasing
from provision.clouds.facts import Lease
from provision.site import Site


def ours(site: Site) -> dict[str, list[Lease]]:
    """The leases of each wanted name that are neither over nor failed."""
    found = site.cloud.leases.list_leases()
    return {wish.name: leasing.live(found, wish.name) for wish in leasing.wanted(site.settings, site.name)}


def test_there_is_one_lease_of_each_name(site: Site) -> None:
    """Two of one name would be charged twice."""
    assert {name: len(leases) for name, leases in ours(site).items()} == dict.fromkeys(ours(site), 1)


def test_every_lease_is_active(site: Site) -> None:
    """The leases of the hosts and of the address."""
    assert {lease.status for leases in ours(site).values() for lease in leases} == {"ACTIVE"}


def test_enough_hours_are_left(site: Site, figure: Callable[[str], None]) -> None:
    """Of the shortest of them."""
    left = site.cloud.lease_hours_left()
    assert left is not None
    figure(f"{left:.1f} h left")
    assert left >= site.own.lease.min_hours_left


def test_every_reservation_is_active_and_known_by_id(site: Site) -> None:
    """Servers and addresses are found by these ids."""
    reservations = [held for leases in ours(site).values() for lease in leases for held in lease.reservations]
    assert [held for held in reservations if not held.id or held.status != "active"] == []
    assert len(reservations) == len(ours(site))


def test_no_lease_of_ours_has_failed(site: Site) -> None:
    """A failed one is deleted before another is made."""
    assert [lease.name for lease in site.cloud.leases.list_leases() if lease.status == leasing.FAILED] == []
