"""Leases to and from Blazar's words, and how one is obtained when things go wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import cast

import pytest

from provision import leasing, obtaining
from provision.clouds.blazar_words import lease_body, others, parse_calendar, parse_lease
from provision.clouds.facts import Busy, Calendar, Host, Lease, Others, Reservation
from provision.clouds.session import refusal
from provision.errors import LeaseUnavailable, PlatformError, PreconditionMissing, QuotaExceeded
from provision.leasing import WantedLease
from provision.settings import ENVIRONMENTS, load
from provision.site import Site
from provision.step import Change
from provision.steps import lease as step
from provision.wait import wait_until
from tests.lease_doubles import FakeLeases

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SETTINGS = load("rehearsal", platform="case")
WISH: WantedLease = leasing.wanted(SETTINGS, "chi-uc")[1]


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


def test_a_host_that_failed_is_avoided_by_name() -> None:
    body = lease_body("n", WISH.reservation, "", NOW, ["rtx-01"])
    (held,) = cast(list[dict[str, str]], body["reservations"])
    properties = '["and", ["=", "$node_type", "gpu_rtx_6000"], ["!=", "$hypervisor_hostname", "rtx-01"]]'
    assert held["resource_properties"] == properties
    told = {"id": "l", "name": "n", "status": "ACTIVE", "end_date": "2026-11-24T00:00:00"}
    row = {"id": "r", "resource_type": "physical:host", "max": 1, "status": "active", "resource_properties": properties}
    assert parse_lease({**told, "reservations": [row]}, NOW).reservations[0].of == "gpu_rtx_6000"


def test_what_is_wrong_with_a_lease_is_told() -> None:
    told = {"id": "l", "name": "n", "status": "ERROR", "end_date": "2026-11-24T00:00:00"}
    row = {"id": "r", "resource_type": "physical:host", "max": 1, "status": "error", "missing_resources": True}
    events = [{"event_type": "start_lease", "status": "ERROR"}, {"event_type": "end_lease", "status": "UNDONE"}]
    assert parse_lease({**told, "reservations": [row], "events": events}, NOW).why == (
        "reservation of physical:host error; physical:host lacks what it reserved; event start_lease failed"
    )


# reservation, start_lease, end_lease -> what it is to us
IN_ERROR = {
    "a change was refused": ("active", "DONE", "UNDONE", "ACTIVE"),
    "it never started": ("error", "ERROR", "UNDONE", "ERROR"),
    "its deletion failed": ("active", "DONE", "IN_PROGRESS", "ERROR"),
}


@pytest.mark.parametrize(("held", "start", "end", "status"), IN_ERROR.values(), ids=IN_ERROR)
def test_a_lease_that_a_refused_change_left_in_error_still_stands(held: str, start: str, end: str, status: str) -> None:
    told = {"id": "l", "name": "n", "status": "ERROR", "end_date": "2026-11-24T00:00:00"}
    row = {"id": "r", "resource_type": "physical:host", "max": 1, "status": held}
    events = [{"event_type": "start_lease", "status": start}, {"event_type": "end_lease", "status": end}]
    found = parse_lease({**told, "reservations": [row], "events": events}, NOW)
    assert found.status == status
    assert ("change that was refused" in found.why) is (status == "ACTIVE")
    assert parse_lease({**told, "reservations": []}, NOW).status == "ERROR"


def test_a_calendar_holds_the_hosts_that_can_be_leased() -> None:
    hosts: list[dict[str, object]] = [
        {"id": "7", "hypervisor_hostname": "rtx-01", "reservable": True},
        {"id": "8", "hypervisor_hostname": "rtx-02", "reservable": False},
        {"id": "9", "hypervisor_hostname": "rtx-03"},
    ]
    dates = {"start_date": "2026-11-23T12:00:00.000000", "end_date": "2026-11-23T13:00:00.000000"}
    taken = [{"resource_id": "7", "reservations": [{"id": "r", "lease_id": "l", **dates}]}]
    assert parse_calendar(hosts, taken, NOW) == Calendar(
        1795435200, (Host("rtx-01", (Busy(1795435200, 1795438800, "l"),)), Host("rtx-03"))
    )


def test_other_platforms_are_counted_by_their_names() -> None:
    names = ["case-chi-uc-lease", "case-chi-uc-lease-fip", "vision-chi-uc-lease", "vision-chi-uc-lease-fip"]
    names += ["case-chi-uc-chi-uc-lease", "somebody's experiment"]
    assert others(names, "case", "chi-uc") == Others(("case-chi-uc", "vision"), 4)


def test_a_lease_that_stands_is_not_made_again() -> None:
    door = FakeLeases([], [Lease(WISH.name, "ACTIVE", 100, (WISH.reservation,), "old")])
    assert obtaining.obtain(door, WISH).id == "old"
    assert door.made == 0


def test_a_failed_lease_is_deleted_before_another_is_made() -> None:
    door = FakeLeases(["ACTIVE"], [Lease(WISH.name, "ERROR", 100, (WISH.reservation,), "bad")])
    assert obtaining.obtain(door, WISH).id == "id1"
    assert [lease.id for lease in door.leases] == ["id1"]


def test_a_lease_that_is_starting_is_given_back_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blazar answers its deletion with HTTP 500, "Invalid lease status"."""
    statuses = ["STARTING", "STARTING", "ACTIVE"]

    class Starting(FakeLeases):
        def list_leases(self) -> tuple[Lease, ...]:
            if len(statuses) > 1:
                statuses.pop(0)
            return tuple(replace(lease, status=statuses[0]) for lease in self.leases)

        def delete_lease(self, lease_id: str) -> None:
            assert statuses == ["ACTIVE"]
            super().delete_lease(lease_id)

    monkeypatch.setattr(obtaining, "wait_until", partial(wait_until, sleep=lambda _s: None))
    door = Starting([], [Lease(WISH.name, "STARTING", 100, (WISH.reservation,), "old")])
    obtaining.give_back(door, WISH.name)
    assert door.leases == []


def test_what_a_killed_run_asked_for_is_kept_and_ours_given_back() -> None:
    class Late(FakeLeases):
        def create_lease(self, name: str, wanted: Reservation, hours: int, avoid: Sequence[str] = ()) -> Lease:
            self.leases.append(Lease(name, "ACTIVE", hours, (wanted,), "late"))
            return super().create_lease(name, wanted, hours)

    door = Late(["ACTIVE"])
    assert obtaining.obtain(door, WISH).id == "late"
    assert [lease.id for lease in door.leases] == ["late"]


def site(door: FakeLeases) -> Site:
    cloud = SimpleNamespace(leases=door)
    return cast(Site, SimpleNamespace(name="chi-uc", settings=SETTINGS, cloud=cloud))


CHANGE = Change("create", f"lease {WISH.name}", "have 0")


def test_the_double_booking_race_is_tried_once_more() -> None:
    door = FakeLeases(["ERROR", "ACTIVE"])
    step.apply(site(door), CHANGE)
    assert [(lease.status, lease.id) for lease in door.leases] == [("ACTIVE", "id2")]


def test_the_second_try_avoids_the_host_that_failed() -> None:
    door = FakeLeases(["ERROR", "ACTIVE"], hosts={"id1": "rtx-01", "theirs": "rtx-02"})
    step.apply(site(door), CHANGE)
    assert door.avoided == [(), ("rtx-01",)]


def test_a_lease_that_fails_twice_is_given_up_with_both_reasons() -> None:
    door = FakeLeases(["ERROR", "ERROR", "ACTIVE"])
    with pytest.raises(LeaseUnavailable) as caught:
        step.apply(site(door), CHANGE)
    assert door.made == 2
    assert "failed twice" in caught.value.what
    assert "ERROR of case-chi-uc-lease id1" in caught.value.why
    assert "ERROR of case-chi-uc-lease id2" in caught.value.why


@dataclass
class Refusing(FakeLeases):
    """Blazar that makes no lease."""

    error: PlatformError = field(default_factory=lambda: LeaseUnavailable("no", why="HTTP 500: Not enough hosts"))

    def create_lease(self, name: str, wanted: Reservation, hours: int, avoid: Sequence[str] = ()) -> Lease:
        raise self.error


def test_a_slot_that_went_meanwhile_is_refused_with_the_next_one() -> None:
    with pytest.raises(LeaseUnavailable) as caught:
        obtaining.obtain(Refusing([], hosts={"theirs": "rtx-01"}), WISH)
    assert caught.value.why.splitlines()[0] == "HTTP 500: Not enough hosts"
    assert "on rtx-01 (168 h from then: 336 SU)" in caught.value.why


def test_without_a_calendar_no_slot_is_made_up() -> None:
    with pytest.raises(LeaseUnavailable) as caught:
        obtaining.obtain(Refusing([]), WISH)
    assert caught.value.why == "HTTP 500: Not enough hosts; when one is free cannot be read here"


def test_a_budget_that_does_not_hold_it_says_by_how_much_and_what_would_fit() -> None:
    spent = QuotaExceeded("over quota", why="HTTP 403: Reservation would spend 336.00 SUs, only 30.00 left", next="x")
    with pytest.raises(QuotaExceeded) as caught:
        obtaining.obtain(Refusing([], error=spent), WISH)
    assert "306 SU are missing; 15 h would fit" in caught.value.why
    assert "hours = 15" in caught.value.next


def test_a_budget_that_holds_next_to_nothing_offers_no_hours() -> None:
    spent = QuotaExceeded("over quota", why="HTTP 403: Reservation would spend 1,336.00 SUs, only 3.00 left.")
    with pytest.raises(QuotaExceeded) as caught:
        obtaining.obtain(Refusing([], error=spent), WISH)
    assert "1333 SU are missing; 1 h would fit" in caught.value.why
    assert "portal" in caught.value.next


RULES = [
    ("Lease duration of 604680 seconds must be less than or equal to the maximum lease duration of 86400 seconds.",
     "168 h of gpu_rtx_6000 are longer than the site grants", "hours = 24"),
    ("Cannot create a lease beyond Chameleon project expiration date. Please ask your PI",
     "would outlive the allocation", "write its last day into [allocation]"),
    ("Policy doesn't allow this", "not allowed", "doctor"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "what", "then"), RULES, ids=["too long", "past the allocation", "another rule"])
def test_a_rule_of_the_site_is_told_with_what_it_would_grant(said: str, what: str, then: str) -> None:
    refused = refusal("chi-uc: create lease", 403, said, env="rehearsal")
    with pytest.raises(PreconditionMissing) as caught:
        obtaining.obtain(Refusing([], error=refused), WISH)
    assert what in caught.value.what and said in caught.value.why and then in caught.value.next


@pytest.mark.parametrize("env", ["rehearsal", "chameleon"])
def test_the_offered_command_finds_its_line_in_the_settings(env: str) -> None:
    """Exactly one line names the node type and its hours: else the command would change something else, or nothing."""
    lines = (ENVIRONMENTS / f"{env}.toml").read_text().splitlines()
    for of in (site.lease.of for site in load(env, platform="case").sites.values()):
        assert len([line for line in lines if of in line and " hours = " in line]) == 1


def test_a_lease_is_given_back_with_its_ended_namesakes() -> None:
    door = FakeLeases([], [Lease(WISH.name, status, 0, (), status) for status in ("TERMINATED", "ACTIVE")])
    obtaining.give_back(door, WISH.name)
    assert door.leases == []


def test_a_cluster_is_told_when_the_first_of_its_leases_ends() -> None:
    leases = [
        Lease("a", "ACTIVE", 1, ends=300),
        Lease("b", "ACTIVE", 1, ends=200),
        Lease("c", "TERMINATED", 0, ends=100),
    ]
    assert leasing.told(leases)["lease.prom"].splitlines()[-1] == "tandem_lease_end_timestamp_seconds 200"
    assert leasing.told(leases[2:]) == {}
