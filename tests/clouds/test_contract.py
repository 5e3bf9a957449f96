"""The cloud's doors over recorded answers of real services: what is found, whose it is, and how failures come out."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
import requests

from provision.clouds.facts import FloatingIp, Port, Reservation, Rule
from provision.errors import CredentialsRefused, LeaseUnavailable, NameTaken, PreconditionMissing, QuotaExceeded
from provision.settings import Settings, load
from tests.clouds.recorded_transport import cloud_of

pytestmark = pytest.mark.filterwarnings("ignore::openstack.warnings._RemovedInSDKWarning")


@pytest.fixture
def settings() -> Settings:
    return load("rehearsal", platform="case")


def test_everything_of_ours_is_found_at_kvm_tacc(settings: Settings, tmp_path: Path) -> None:
    cloud, _ = cloud_of(settings, "kvm-tacc", tmp_path)
    kinds = [name.split()[0] for name in cloud.list_leftovers()]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "lease": 2, "server": 3, "address": 1, "port": 3, "router": 1, "subnet": 1, "network": 1, "group": 1,
        "volume": 1, "key": 1,
    }  # fmt: skip
    assert cloud.floating_address() == IPv4Address("10.30.1.100")
    assert cloud.count_servers() == 3


def test_everything_of_ours_is_found_at_chi_uc(settings: Settings, tmp_path: Path) -> None:
    cloud, _ = cloud_of(settings, "chi-uc", tmp_path)
    assert [name for name in cloud.list_leftovers() if name.startswith("container")] == [
        f"container case-chi-uc-{role}" for role in ("arxiv-raw", "arxiv-text", "backups", "caches", "checkpoints")
    ]
    assert cloud.networks.survey().groups == ()
    assert cloud.store.list_volumes() == ()


def test_a_port_is_told_with_its_group_and_pairs(settings: Settings, tmp_path: Path) -> None:
    cloud, _ = cloud_of(settings, "kvm-tacc", tmp_path)
    port = next(port for port in cloud.networks.survey().ports if port.name == "case-kvm-tacc-port-2")
    pairs = frozenset({IPv4Network("10.233.64.0/18"), IPv4Network("10.233.0.0/18")})
    assert port == Port(port.name, IPv4Address("10.31.1.12"), "case-kvm-tacc-group", pairs, port.id)


def test_a_router_is_told_with_what_it_joins(settings: Settings, tmp_path: Path) -> None:
    cloud, _ = cloud_of(settings, "kvm-tacc", tmp_path)
    (router,) = cloud.networks.survey().routers
    assert (router.leads_out, router.joins) == (True, frozenset({"case-kvm-tacc-subnet"}))


def test_the_group_lets_in_what_it_lets_in(settings: Settings, tmp_path: Path) -> None:
    cloud, _ = cloud_of(settings, "kvm-tacc", tmp_path)
    (group,) = cloud.networks.survey().groups
    assert Rule("tcp", IPv4Network("0.0.0.0/0"), 22, 22) in group.rules
    assert len(group.rules) == 3


def test_a_reserved_address_is_found_by_its_reservation(settings: Settings, tmp_path: Path) -> None:
    def untag(rows: dict[str, Any]) -> None:
        for row in rows.values():
            for ip in (row["body"] or {}).get("floatingips", ()):
                ip["tags"] = [tag for tag in ip["tags"] if "tandem" not in tag]

    cloud, _ = cloud_of(settings, "kvm-tacc", tmp_path, untag)
    reservation = next(r.id for lease in cloud.leases.list_leases() for r in lease.reservations if "ip" in r.kind)
    assert cloud.networks.list_addresses() == ()
    (found,) = cloud.networks.list_addresses(reservation)
    assert found == FloatingIp(IPv4Address("10.30.1.100"), "case-kvm-tacc-port-1", reservation, found.id, tagged=False)


def test_our_name_without_our_mark_is_refused(settings: Settings, tmp_path: Path) -> None:
    def unmark(rows: dict[str, Any]) -> None:
        for row in rows.values():
            for server in (row["body"] or {}).get("servers", ()):
                server["metadata"] = {}

    cloud, _ = cloud_of(settings, "kvm-tacc", tmp_path, unmark)
    with pytest.raises(NameTaken) as caught:
        cloud.servers.list_servers()
    assert "it has our name but not the mark tandem=case" in caught.value.why


def test_a_mark_without_a_tag_is_ours_and_says_so(settings: Settings, tmp_path: Path) -> None:
    """Killed between making and tagging."""

    def untag(rows: dict[str, Any]) -> None:
        for row in rows.values():
            for network in (row["body"] or {}).get("networks", ()):
                network["tags"] = []

    cloud, _ = cloud_of(settings, "kvm-tacc", tmp_path, untag)
    assert [network.tagged for network in cloud.networks.survey().networks] == [False]


def test_another_platform_of_the_project_is_not_seen(tmp_path: Path) -> None:
    """Its names begin otherwise; a shared project is full of such things."""
    cloud, _ = cloud_of(load("rehearsal", platform="other"), "kvm-tacc", tmp_path)
    assert cloud.leases.list_leases() == ()
    assert cloud.networks.survey().ports == ()
    assert cloud.servers.list_servers() == ()


def test_refused_credentials_are_tried_once(settings: Settings, tmp_path: Path) -> None:
    cloud, transport = cloud_of(settings, "kvm-tacc", tmp_path)
    transport.replies["POST /auth/tokens"] = {"status": 401, "body": {"error": {"message": "no", "code": 401}}}
    for _ in range(3):
        with pytest.raises(CredentialsRefused):
            cloud.count_servers()
    assert [key for key in transport.asked if "/auth/tokens" in key] == ["POST http://10.30.0.10:5000/v3/auth/tokens"]


def test_a_refused_credential_is_not_tried_by_the_next_run_either(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a testbed. Another credential is tried at once."""
    monkeypatch.setenv("TANDEM_CONFIG", str(tmp_path))
    testbed = settings.model_copy(update={"embedded": None})
    refused = {"status": 401, "body": {"error": {"message": "no", "code": 401}}}
    asked = []
    for secret in ("old", "old", "new"):
        cloud, transport = cloud_of(testbed, "kvm-tacc", tmp_path, secret=secret)
        transport.replies["POST /auth/tokens"] = refused
        with pytest.raises(CredentialsRefused) as caught:
            cloud.count_servers()
        asked.append(len(transport.asked))
    assert asked == [1, 0, 1]
    assert "tried once" in caught.value.why
    (first, second) = (testbed.config_dir.parent / "refused").iterdir()
    assert "old" not in first.read_text() + second.read_text()
    assert first.stat().st_mode & 0o777 == 0o600


def test_a_credential_that_expires_during_a_run_is_refused_once(settings: Settings, tmp_path: Path) -> None:
    """The service answers 401, the SDK asks for a new token, and that is refused."""
    cloud, transport = cloud_of(settings, "kvm-tacc", tmp_path)
    cloud.count_servers()
    refused = {"status": 401, "body": {"error": {"message": "no", "code": 401}}}
    transport.replies.update({"GET /servers/detail": refused, "POST /auth/tokens": refused})
    for _ in range(3):
        with pytest.raises(CredentialsRefused):
            cloud.count_servers()
    assert len([key for key in transport.asked if "/auth/tokens" in key]) == 2  # the login, and one renewal


def test_a_credential_that_is_not_there_is_refused_too(settings: Settings, tmp_path: Path) -> None:
    cloud, transport = cloud_of(settings, "kvm-tacc", tmp_path)
    body = {"error": {"message": "Could not find Application Credential: i.", "code": 404}}
    transport.replies["POST /auth/tokens"] = {"status": 404, "body": body}
    with pytest.raises(CredentialsRefused):
        cloud.count_servers()


def test_a_cloud_that_does_not_answer_is_a_missing_precondition(settings: Settings, tmp_path: Path) -> None:
    cloud, transport = cloud_of(settings, "kvm-tacc", tmp_path)
    transport.replies["GET /servers/detail"] = requests.exceptions.ConnectTimeout("timed out")
    with pytest.raises(PreconditionMissing) as caught:
        cloud.count_servers()
    assert caught.value.what == "kvm-tacc: list servers: the cloud does not answer"


def test_no_clouds_yaml_is_a_missing_precondition(settings: Settings, tmp_path: Path) -> None:
    cloud, _ = cloud_of(settings, "kvm-tacc", tmp_path)
    (tmp_path / "clouds.yaml").unlink()
    with pytest.raises(PreconditionMissing) as caught:
        cloud.count_servers()
    assert caught.value.next.startswith("invoke doctor")


def test_an_entry_that_is_not_there_is_a_missing_precondition(settings: Settings, tmp_path: Path) -> None:
    cloud, _ = cloud_of(settings, "kvm-tacc", tmp_path)
    (tmp_path / "clouds.yaml").write_text('{"clouds": {"elsewhere": {}}}')
    with pytest.raises(PreconditionMissing) as caught:
        cloud.count_servers()
    assert "has no usable entry 'kvm-tacc'" in caught.value.what


def test_no_host_free_is_a_lease_unavailable(settings: Settings, tmp_path: Path) -> None:
    """Blazar answers HTTP 500."""
    cloud, transport = cloud_of(settings, "chi-uc", tmp_path)
    body = {"error_code": 500, "error_message": "Not enough hosts available", "error_name": 500}
    transport.replies["POST /v1/leases"] = {"status": 500, "body": body}
    with pytest.raises(LeaseUnavailable) as caught:
        cloud.leases.create_lease("case-chi-uc-lease", Reservation("physical:host", 1, "gpu_rtx_6000"), 168)
    assert caught.value.why == "HTTP 500: Not enough hosts available"


def test_a_lease_is_asked_for_in_blazar_s_words(settings: Settings, tmp_path: Path) -> None:
    cloud, transport = cloud_of(settings, "chi-uc", tmp_path)
    transport.replies["POST /v1/leases"] = {"status": 500, "body": {"error_message": "Not enough hosts available"}}
    with pytest.raises(LeaseUnavailable):
        cloud.leases.create_lease("case-chi-uc-lease", Reservation("physical:host", 1, "gpu_rtx_6000"), 168)
    (held,) = transport.sent[-1]["reservations"]
    assert (held["min"], held["max"], held["resource_properties"]) == (1, 1, '["=", "$node_type", "gpu_rtx_6000"]')


def test_a_full_quota_is_told_as_one(settings: Settings, tmp_path: Path) -> None:
    cloud, transport = cloud_of(settings, "kvm-tacc", tmp_path)
    body = {"overLimit": {"code": 413, "message": "VolumeSizeExceedsAvailableQuota"}}
    transport.replies["POST /volumes"] = {"status": 413, "body": body}
    with pytest.raises(QuotaExceeded):
        cloud.store.create_volume("case-kvm-tacc-volume-1", 5000)


def test_the_writer_s_container_is_neither_data_nor_a_leftover(settings: Settings, tmp_path: Path) -> None:
    def also(rows: dict[str, Any]) -> None:
        containers = next(row["body"] for key, row in rows.items() if "?prefix=" in key)
        containers.append({**containers[0], "name": "case-chi-uc-writer"})

    cloud, _ = cloud_of(settings, "chi-uc", tmp_path, also)
    assert "case-chi-uc-writer" not in [container.name for container in cloud.store.list_containers()]


def test_an_object_is_written_to_vanish_and_read_back(settings: Settings, tmp_path: Path) -> None:
    cloud, transport = cloud_of(settings, "chi-uc", tmp_path)
    transport.replies["PUT /case-chi-uc-writer/t"] = {"status": 201, "body": None}
    transport.replies["GET /case-chi-uc-writer/t"] = {"status": 200, "body": "me"}
    transport.replies["GET /case-chi-uc-writer/gone"] = {"status": 404, "body": None}
    cloud.store.write_object("case-chi-uc-writer", "t", '"me"', lasts_s=60)
    assert cloud.store.read_object("case-chi-uc-writer", "t") == '"me"'
    assert cloud.store.read_object("case-chi-uc-writer", "gone") is None
