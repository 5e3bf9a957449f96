"""Each documented failure of each call, in the services' own form as measured: its class; and it is asked once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from provision.clouds.facts import KeyPair, Reservation
from provision.clouds.openstack import OpenStackCloud
from provision.errors import (
    CredentialsRefused,
    LeaseUnavailable,
    PlatformError,
    PreconditionMissing,
    QuotaExceeded,
    StepFailed,
)
from provision.settings import load
from tests.clouds.recorded_transport import cloud_of

pytestmark = pytest.mark.filterwarnings("ignore::openstack.warnings._RemovedInSDKWarning")
HTML = "<html><head><title>503 Service Unavailable</title></head></html>"
HOST = Reservation("physical:host", 1, "gpu_rtx_6000")
KEY = KeyPair("case-kvm-tacc-key", "ssh-ed25519 AAAA")


def blazar(text: str) -> dict[str, object]:
    return {"error_code": 1, "error_message": text, "error_name": 1}


def nova(kind: str, code: int, text: str) -> dict[str, object]:
    return {kind: {"code": code, "message": text}}


def neutron(kind: str, text: str) -> dict[str, object]:
    return {"NeutronError": {"type": kind, "message": text, "detail": ""}}


def lease(cloud: OpenStackCloud) -> None:
    cloud.leases.create_lease("case-chi-uc-lease", HOST, 168)


def extension(cloud: OpenStackCloud) -> None:
    cloud.leases.extend_lease("l", 1796212800)


def volume(cloud: OpenStackCloud) -> None:
    cloud.store.create_volume("case-kvm-tacc-volume-1", 50)


def attachment(cloud: OpenStackCloud) -> None:
    cloud.servers.attach_volume("s", "v")


def key(cloud: OpenStackCloud) -> None:
    cloud.servers.create_key(KEY)


def servers(cloud: OpenStackCloud) -> None:
    cloud.servers.list_servers()


def address(cloud: OpenStackCloud) -> None:
    cloud.floating_address()


@dataclass(frozen=True)
class Case:
    site: str
    call: Callable[[OpenStackCloud], None]
    request: str
    status: int
    body: object
    kind: type[PlatformError]
    exit_code: int


LEASES, LEASE = "POST /v1/leases", "PUT /v1/leases/l"
CASES = {
    "no hosts": Case("chi-uc", lease, LEASES, 500, blazar("Not enough hosts available"), LeaseUnavailable, 3),
    "end in the past": Case("chi-uc", lease, LEASES, 400, blazar("End date must be later"), StepFailed, 1),
    "too long": Case(
        "chi-uc", lease, LEASES, 403, blazar("Lease duration of 9 seconds must be less"), PreconditionMissing, 3
    ),
    "malformed": Case("chi-uc", lease, LEASES, 400, blazar("Malformed requirements"), StepFailed, 1),
    "unknown type": Case("chi-uc", lease, LEASES, 500, blazar("Internal Server Error"), StepFailed, 1),
    "no SU": Case(
        "chi-uc", lease, LEASES, 403, blazar("Reservation would spend 9.00 SUs, only 1.00 left"), QuotaExceeded, 3
    ),
    "no SU, by another Blazar": Case(
        "chi-uc", lease, LEASES, 400, blazar("Reservation would spend 9.00 SUs, only 1.00 left"), QuotaExceeded, 3
    ),
    "credential restricted": Case("chi-uc", lease, LEASES, 500, blazar("Internal Server Error"), StepFailed, 1),
    "lease missing": Case("chi-uc", extension, LEASE, 404, blazar("Object not found"), PreconditionMissing, 3),
    "into the past": Case("chi-uc", extension, LEASE, 400, blazar("End date must be later"), StepFailed, 1),
    "too early": Case(
        "chi-uc", extension, LEASE, 400, blazar("Lease can only be extended within 172800 s"), PreconditionMissing, 3
    ),
    "host taken": Case("chi-uc", extension, LEASE, 500, blazar("Not enough hosts available"), LeaseUnavailable, 3),
    "keystone dead": Case("kvm-tacc", servers, "GET /servers/detail", 503, HTML, PreconditionMissing, 3),
    "token unknown": Case("kvm-tacc", servers, "GET /servers/detail", 401, HTML, PreconditionMissing, 3),
    "forbidden": Case(
        "kvm-tacc", servers, "GET /servers/detail", 403, nova("forbidden", 403, "Policy"), PreconditionMissing, 3
    ),
    "microversion": Case(
        "kvm-tacc", servers, "GET /servers/detail", 406, nova("computeFault", 406, "Version"), StepFailed, 1
    ),
    "volume quota": Case(
        "kvm-tacc", volume, "POST /volumes", 413, nova("overLimit", 413, "VolumeSizeExceeds"), QuotaExceeded, 3
    ),
    "attached twice": Case(
        "kvm-tacc", attachment, "POST /os-volume_attachments", 400, nova("badRequest", 400, "in-use"), StepFailed, 1
    ),
    "key exists": Case(
        "kvm-tacc", key, "POST /os-keypairs", 409, nova("conflictingRequest", 409, "already exists"), StepFailed, 1
    ),
    "key quota": Case(
        "kvm-tacc", key, "POST /os-keypairs", 403, nova("forbidden", 403, "Quota exceeded, too many"), QuotaExceeded, 3
    ),
    "no neutron": Case(
        "kvm-tacc",
        address,
        "GET /v2.0/floatingips?project_id=2d5c0d4214d24e5a9e2097e28b3c78b4",
        404,
        neutron("HTTPNotFound", "The resource could not be found."),
        PreconditionMissing,
        3,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_failure_has_its_class_and_is_asked_once(case: Case, tmp_path: Path) -> None:
    cloud, transport = cloud_of(load("rehearsal", platform="case"), case.site, tmp_path)
    refused: dict[str, Any] = {"status": case.status, "body": case.body}
    transport.replies[case.request] = refused
    with pytest.raises(PlatformError) as caught:
        case.call(cloud)
    assert type(caught.value) is case.kind
    assert caught.value.exit_code == case.exit_code
    assert f"HTTP {case.status}" in caught.value.why and caught.value.next
    verb, _, end = case.request.partition(" ")
    asked = [one for one in transport.asked if one.startswith(verb) and one.endswith(end)]
    # The SDK asks once more with a new token when a service does not know the one it has.
    assert len(asked) == (2 if case.status == 401 else 1)


def test_a_service_that_the_site_lacks_is_told_as_that(tmp_path: Path) -> None:
    def hide(rows: dict[str, Any]) -> None:
        token = next(row["body"]["token"] for name, row in rows.items() if name.endswith("/auth/tokens"))
        token["catalog"] = [one for one in token["catalog"] if one["type"] not in ("block-storage", "volumev3")]

    cloud, _ = cloud_of(load("rehearsal", platform="case"), "kvm-tacc", tmp_path, hide)
    with pytest.raises(PreconditionMissing, match="the site has no such service"):
        cloud.store.list_volumes()


def test_an_account_that_is_locked_is_not_asked_again(tmp_path: Path) -> None:
    cloud, transport = cloud_of(load("rehearsal", platform="case"), "chi-uc", tmp_path)
    transport.replies["POST /auth/tokens"] = {"status": 401, "body": {"error": {"message": "Account is disabled"}}}
    for _ in range(3):
        with pytest.raises(CredentialsRefused, match="credentials refused"):
            cloud.count_servers()
    again, later = cloud_of(load("rehearsal", platform="case"), "chi-uc", tmp_path)
    with pytest.raises(CredentialsRefused, match="is not tried again"):
        again.count_servers()
    assert (len(transport.asked), later.asked) == (1, [])
