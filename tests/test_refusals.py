"""What tandem makes of answers that mislead: a lease that is over and ends later, a volume that is on its way."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from provision import bringup, machines
from provision.clouds.blazar_words import parse_lease
from provision.clouds.facts import Server, Volume
from provision.settings import load

WANT = machines.wanted(load("rehearsal", platform="case"), "kvm-tacc")
DISK = next(machine for machine in WANT.machines if machine.disk)


@pytest.mark.parametrize(("status", "hours"), [("ACTIVE", 40.0), ("TERMINATED", 0.0)])
def test_a_lease_that_is_over_has_no_hours_left_whatever_its_end(status: str, hours: float) -> None:
    told = {"id": "i", "name": "l", "status": status, "end_date": "2026-11-25T16:00:00", "reservations": []}
    assert parse_lease(told, datetime(2026, 11, 24, tzinfo=UTC)).hours_left == hours


@pytest.mark.parametrize(("status", "asked"), [("available", 1), ("reserved", 0), ("attaching", 0)])
def test_a_volume_that_is_on_its_way_is_waited_for_and_not_asked_for(status: str, asked: int) -> None:
    volume = Volume(WANT.volume, 50, status, "", "v")
    told = [volume, replace(volume, status="in-use", server_id="s")]
    attached: list[tuple[str, str]] = []
    servers = SimpleNamespace(
        list_servers=lambda: (Server(DISK.name, "ACTIVE", id="s"),),
        attach_volume=lambda server, one: attached.append((server, one)),
    )
    store = SimpleNamespace(list_volumes=lambda: (told.pop(0),))
    site: Any = SimpleNamespace(name="kvm-tacc", cloud=SimpleNamespace(servers=servers, store=store))
    site.own = SimpleNamespace(cloud="kvm-tacc")
    bringup.attach_volume(site, WANT)
    assert attached == [("s", "v")] * asked
