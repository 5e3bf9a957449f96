"""Leases to and from Blazar's words, and how one is obtained when things go wrong."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest

from provision import leasing
from provision.clouds.blazar import lease_body, parse_lease
from provision.clouds.facts import Lease, Reservation
from provision.errors import DeadState, LeaseUnavailable
from provision.leasing import WantedLease
from provision.settings import load
from provision.site import Site
from provision.step import Change
from provision.steps import lease as step

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WISH = WantedLease("case-chi-uc-lease", Reservation("physical:host", 1, "gpu_rtx_6000"), 168, 6)


def test_a_flavor_is_reserved_by_its_id() -> None:
    body = lease_body("n", Reservation("flavor:instance", 3, "m1.large"), "4", NOW)
    assert body["reservations"] == [
        {"resource_type": "flavor:instance", "flavor_id": "4", "amount": 3, "affinity": None}
    ]
    assert (body["start_date"], body["end_date"]) == ("now", "2026-11-23 12:00")


def test_an_address_is_reserved_by_its_network() -> None:
    body = lease_body("n", Reservation("virtual:floatingip", 1, "public"), "net", NOW)
    assert body["reservations"] == [{"resource_type": "virtual:floatingip", "network_id": "net", "amount": 1}]


def test_a_lease_is_read_from_blazar_s_words() -> None:
    told = {
        "id": "l", "name": "n", "status": "ACTIVE", "end_date": "2026-11-24T00:00:00.000000",
        "reservations": [{"id": "r", "resource_type": "physical:host", "min": 1, "max": 1, "status": "active",
                          "resource_properties": '["=", "$node_type", "gpu_rtx_6000"]'}],
    }  # fmt: skip
    held = Reservation("physical:host", 1, "gpu_rtx_6000", "r", "active")
    assert parse_lease(told, NOW) == Lease("n", "ACTIVE", 12.0, (held,), "l", 1795478400)


def test_a_lease_that_is_over_has_no_hours_left() -> None:
    told = {"id": "l", "name": "n", "status": "TERMINATED", "end_date": "2026-11-20T00:00:00.000000"}
    assert parse_lease({**told, "reservations": []}, NOW).hours_left == 0


@dataclass
class FakeLeases:
    """Blazar with a script: the statuses that each made lease will have."""

    outcomes: list[str]
    leases: list[Lease] = field(default_factory=list)
    made: int = 0

    def list_leases(self) -> tuple[Lease, ...]:
        return tuple(self.leases)

    def create_lease(self, name: str, wanted: Reservation, hours: int) -> Lease:
        self.made += 1
        lease = Lease(name, self.outcomes.pop(0), hours, (wanted,), f"id{self.made}")
        self.leases.append(lease)
        return replace(lease, status="PENDING")

    def delete_lease(self, lease_id: str) -> None:
        self.leases = [lease for lease in self.leases if lease.id != lease_id]


def test_a_lease_that_stands_is_not_made_again() -> None:
    door = FakeLeases([], [Lease(WISH.name, "ACTIVE", 100, (WISH.reservation,), "old")])
    assert leasing.obtain(door, WISH, "chi-uc").id == "old"
    assert door.made == 0


def test_a_failed_lease_is_deleted_before_another_is_made() -> None:
    door = FakeLeases(["ACTIVE"], [Lease(WISH.name, "ERROR", 100, (WISH.reservation,), "bad")])
    assert leasing.obtain(door, WISH, "chi-uc").id == "id1"
    assert [lease.id for lease in door.leases] == ["id1"]


def test_a_wait_for_active_stops_at_error() -> None:
    with pytest.raises(DeadState):
        leasing.obtain(FakeLeases(["ERROR"]), WISH, "chi-uc")


def test_what_a_killed_run_asked_for_is_kept_and_ours_given_back() -> None:
    class Late(FakeLeases):
        def create_lease(self, name: str, wanted: Reservation, hours: int) -> Lease:
            self.leases.append(Lease(name, "ACTIVE", hours, (wanted,), "late"))
            return super().create_lease(name, wanted, hours)

    door = Late(["ACTIVE"])
    assert leasing.obtain(door, WISH, "chi-uc").id == "late"
    assert [lease.id for lease in door.leases] == ["late"]


def site(door: FakeLeases) -> Site:
    cloud = SimpleNamespace(leases=door)
    return cast(Site, SimpleNamespace(name="chi-uc", settings=load("rehearsal", platform="case"), cloud=cloud))


CHANGE = Change("create", f"lease {WISH.name}", "have 0")


def test_the_double_booking_race_is_tried_once_more() -> None:
    door = FakeLeases(["ERROR", "ACTIVE"])
    step.apply(site(door), CHANGE)
    assert [(lease.status, lease.id) for lease in door.leases] == [("ACTIVE", "id2")]


def test_a_lease_that_fails_twice_is_given_up() -> None:
    door = FakeLeases(["ERROR", "ERROR", "ACTIVE"])
    with pytest.raises(LeaseUnavailable) as caught:
        step.apply(site(door), CHANGE)
    assert door.made == 2
    assert "failed twice" in caught.value.what


def test_a_lease_is_given_back_with_its_ended_namesakes() -> None:
    door = FakeLeases([], [Lease(WISH.name, status, 0, (), status) for status in ("TERMINATED", "ACTIVE")])
    leasing.give_back(door, WISH.name)
    assert door.leases == []


def test_a_cluster_is_told_when_the_first_of_its_leases_ends() -> None:
    leases = [
        Lease("a", "ACTIVE", 1, ends=300),
        Lease("b", "ACTIVE", 1, ends=200),
        Lease("c", "TERMINATED", 0, ends=100),
    ]
    assert leasing.told(leases)["lease.prom"].splitlines()[-1] == "tandem_lease_end_timestamp_seconds 200"
    assert leasing.told(leases[2:]) == {}
