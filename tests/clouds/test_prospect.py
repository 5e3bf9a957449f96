"""What a project may use, over recorded and made-up answers in the services' own form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from provision.clouds.facts import Credential, Quota
from provision.clouds.openstack import OpenStackCloud
from provision.settings import Settings, load
from tests.clouds.recorded_transport import Recorded, cloud_of

pytestmark = pytest.mark.filterwarnings("ignore::openstack.warnings._RemovedInSDKWarning")

OWN = "/application_credentials/i"
LIMITS = {"maxTotalInstances": 10, "totalInstancesUsed": 4, "maxTotalCores": -1, "totalCoresUsed": 12}
VOLUMES = {"maxTotalVolumes": 10, "totalVolumesUsed": 1, "maxTotalVolumeGigabytes": 1000, "totalGigabytesUsed": 50}


def answer(body: Any, **headers: str) -> dict[str, Any]:
    return {"status": 200, "body": body, "headers": headers}


@pytest.fixture
def settings() -> Settings:
    return load("rehearsal", platform="case")


@pytest.fixture
def asked(settings: Settings, tmp_path: Path) -> tuple[OpenStackCloud, Recorded]:
    cloud, transport = cloud_of(settings, "kvm-tacc", tmp_path)
    link = {"rel": "self", "href": "http://10.30.0.10:5000/v3/"}
    transport.replies["GET :5000/v3"] = answer({"version": {"id": "v3.14", "status": "stable", "links": [link]}})
    return cloud, transport


def test_a_credential_is_told_with_what_it_may_do(asked: tuple[OpenStackCloud, Recorded]) -> None:
    cloud, transport = asked
    told = {"unrestricted": False, "expires_at": "2026-12-24T00:00:00.000000", "name": "tandem", "roles": []}
    transport.replies[f"GET {OWN}"] = answer({"application_credential": told})
    assert cloud.prospect.read_credential() == Credential(
        "CHI-tandem", frozenset({"member", "reader"}), False, "2026-12-24T00:00:00.000000"
    )


def test_a_keystone_that_does_not_tell_leaves_it_open(asked: tuple[OpenStackCloud, Recorded]) -> None:
    cloud, transport = asked
    transport.replies[f"GET {OWN}"] = {"status": 403, "body": {"error": {"message": "no"}}}
    assert cloud.prospect.read_credential().unrestricted is None


def test_the_skew_is_the_site_s_clock_less_ours(asked: tuple[OpenStackCloud, Recorded]) -> None:
    cloud, transport = asked
    there = datetime.now(UTC) + timedelta(seconds=90)
    transport.replies["GET :5000/v3/"] = answer({}, Date=format_datetime(there, usegmt=True))
    assert cloud.prospect.read_skew() == pytest.approx(90, abs=2)


def test_services_are_those_of_the_catalogue(asked: tuple[OpenStackCloud, Recorded]) -> None:
    cloud, _ = asked
    assert {"compute", "network", "image", "reservation", "volumev3"} <= cloud.prospect.list_services()
    assert "object-store" not in cloud.prospect.list_services()


def test_quotas_of_all_services_are_told(asked: tuple[OpenStackCloud, Recorded]) -> None:
    cloud, transport = asked
    transport.replies["GET /v2.1/limits"] = answer({"limits": {"absolute": LIMITS}})
    transport.replies["GET :8776/v3/2d5c0d4214d24e5a9e2097e28b3c78b4/limits"] = answer(
        {"limits": {"absolute": VOLUMES}}
    )
    network = {"quota": {"floatingip": {"limit": 5, "used": 5, "reserved": 0}, "port": {"limit": -1, "used": 9}}}
    transport.replies["GET /details.json"] = answer(network)
    found = cloud.prospect.list_quotas()
    assert found == (
        Quota("servers", 10, 4), Quota("cores", -1, 12), Quota("volumes", 10, 1), Quota("GiB of volumes", 1000, 50),
        Quota("floating IPs", 5, 5), Quota("ports", -1, 9),
    )  # fmt: skip
    assert [quota.left for quota in found] == [6, None, 9, 950, 0, None]


def test_a_service_that_does_not_tell_its_quotas_is_left_out(asked: tuple[OpenStackCloud, Recorded]) -> None:
    cloud, transport = asked
    transport.replies["GET /v2.1/limits"] = answer({"limits": {"absolute": LIMITS}})
    for path in ("/limits", "/details.json"):
        transport.replies[f"GET {path}"] = {"status": 403, "body": {"error": "no"}}
    assert [quota.what for quota in cloud.prospect.list_quotas()] == ["servers", "cores"]


def test_the_newest_of_several_images_counts(asked: tuple[OpenStackCloud, Recorded]) -> None:
    cloud, transport = asked
    rows = [{"id": f"id-{day}", "name": "CC", "created_at": f"2026-11-{day}T00:00:00Z"} for day in (12, 20, 13)]
    transport.replies["GET /v2/images?name=CC&status=active"] = answer({"images": rows})
    transport.replies["GET :9292/"] = answer({"versions": [{"id": "v2.0", "status": "CURRENT", "links": [
        {"rel": "self", "href": "http://10.30.0.10:9292/v2/"}]}]})  # fmt: skip
    assert cloud.prospect.find_image("CC") == "id-20"
