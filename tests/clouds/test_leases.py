"""Leases over recorded answers: whose they are, the calendar, and what an extension sends."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from provision.clouds.facts import Busy, Calendar, Host, Others
from provision.errors import LeaseUnavailable
from provision.settings import Settings, load
from tests.clouds.recorded_transport import cloud_of

pytestmark = pytest.mark.filterwarnings("ignore::openstack.warnings._RemovedInSDKWarning")

HOSTS = [
    {"id": "1", "hypervisor_hostname": "rtx-01", "node_type": "gpu_rtx_6000", "reservable": True},
    {"id": "2", "hypervisor_hostname": "sky-01", "node_type": "compute_skylake", "reservable": True},
]
TAKEN = {"id": "r", "lease_id": "l", "start_date": "2026-11-23T12:00:00", "end_date": "2026-11-24T12:00:00"}
ALLOCATIONS = [{"resource_id": "1", "reservations": [TAKEN]}, {"resource_id": "2", "reservations": [TAKEN]}]


@pytest.fixture
def settings() -> Settings:
    return load("rehearsal", platform="case")


def also(name: str, status: str = "ACTIVE") -> Any:
    """A change of the recordings: one more lease in the project."""

    def change(rows: dict[str, Any]) -> None:
        leases = next(row["body"]["leases"] for key, row in rows.items() if key.endswith("/leases"))
        leases.append({**deepcopy(leases[0]), "name": name, "status": status, "id": name})

    return change


def test_a_platform_whose_name_ends_like_a_site_is_another_platform(settings: Settings, tmp_path: Path) -> None:
    """Its leases begin like ours; a lease has no mark that would tell them apart."""
    cloud, _ = cloud_of(settings, "chi-uc", tmp_path, also("case-chi-uc-chi-uc-lease"))
    assert [lease.name for lease in cloud.leases.list_leases()] == ["case-chi-uc-lease-fip", "case-chi-uc-lease"]
    assert cloud.leases.count_others() == Others(("case-chi-uc",), 1)


def test_ended_leases_of_others_are_not_counted(settings: Settings, tmp_path: Path) -> None:
    cloud, _ = cloud_of(settings, "chi-uc", tmp_path, also("vision-chi-uc-lease", "TERMINATED"))
    assert cloud.leases.count_others() == Others()


def test_the_calendar_is_of_one_node_type(settings: Settings, tmp_path: Path) -> None:
    cloud, transport = cloud_of(settings, "chi-uc", tmp_path)
    transport.replies["GET /v1/os-hosts"] = {"status": 200, "body": {"hosts": HOSTS}}
    transport.replies["GET /v1/os-hosts/allocations"] = {"status": 200, "body": {"allocations": ALLOCATIONS}}
    found = cloud.leases.find_calendar("gpu_rtx_6000")
    assert found is not None
    assert found == Calendar(found.asked, (Host("rtx-01", (Busy(1795435200, 1795521600, "l"),)),))


@pytest.mark.parametrize("status", [403, 404])
def test_a_calendar_that_is_not_for_users_is_none(settings: Settings, tmp_path: Path, status: int) -> None:
    cloud, transport = cloud_of(settings, "chi-uc", tmp_path)
    transport.replies["GET /v1/os-hosts"] = {"status": 200, "body": {"hosts": HOSTS}}
    transport.replies["GET /v1/os-hosts/allocations"] = {"status": status, "body": {"error_message": "Policy"}}
    assert cloud.leases.find_calendar("gpu_rtx_6000") is None


def test_an_extension_sends_the_new_end_alone(settings: Settings, tmp_path: Path) -> None:
    cloud, transport = cloud_of(settings, "chi-uc", tmp_path)
    lease = cloud.leases.list_leases()[1]
    told = {"id": lease.id, "name": lease.name, "status": "ACTIVE", "end_date": "2026-12-02T12:00:00.000000"}
    transport.replies[f"PUT /v1/leases/{lease.id}"] = {"status": 200, "body": {"lease": {**told, "reservations": []}}}
    assert cloud.leases.extend_lease(lease.id, 1796212800).ends == 1796212800
    assert transport.sent[-1] == {"end_date": "2026-12-02 12:00"}


def test_an_extension_into_somebody_else_s_lease_is_no_slot(settings: Settings, tmp_path: Path) -> None:
    cloud, transport = cloud_of(settings, "chi-uc", tmp_path)
    transport.replies["PUT /v1/leases/l"] = {"status": 500, "body": {"error_message": "Not enough hosts available"}}
    with pytest.raises(LeaseUnavailable):
        cloud.leases.extend_lease("l", 1796212800)
