from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from provision.errors import UsageError
from rehearsal.hosts import seed
from rehearsal.hosts.spec import HostSpec, Nic, from_json, to_json
from rehearsal.hosts.supervise import command, port

NIC = Nic("10.31.1.11", 24, "10.31.1.1", "fa:16:3e:00:00:0b", "br-kvm-tacc", 1450)
SPEC = HostSpec(
    platform="rehearsal",
    machine="srv-1a2b3c4d",
    hostname="rehearsal-kvm-tacc-node-1",
    lower=(Path("/roots/gpu"), Path("/roots/base")),
    nics=(NIC,),
    public_key="ssh-ed25519 AAAA one\n\nssh-ed25519 BBBB two\n",
    user_data="#cloud-config\nruncmd: [true]\n",
    instance_id="d4c42cbe-f623-40c2-9bce-704b0a4d4e5a",
    extra_hosts=(("10.30.0.5", "registry.tandem"),),
)


def test_a_spec_survives_being_kept() -> None:
    assert from_json(to_json(SPEC)) == SPEC


def test_cloud_init_is_told_name_identity_and_every_key() -> None:
    assert json.loads(seed.meta_data(SPEC)) == {
        "instance-id": "d4c42cbe-f623-40c2-9bce-704b0a4d4e5a",
        "local-hostname": "rehearsal-kvm-tacc-node-1",
        "public-keys": ["ssh-ed25519 AAAA one", "ssh-ed25519 BBBB two"],
    }


def test_user_data_is_handed_on_as_it_is_and_only_root_reads_it() -> None:
    assert seed.files(SPEC)["var/lib/cloud/seed/nocloud/user-data"] == (0o600, SPEC.user_data)


def test_without_user_data_cloud_init_gets_an_empty_document() -> None:
    spec = dataclasses.replace(SPEC, user_data="")
    assert seed.files(spec)["var/lib/cloud/seed/nocloud/user-data"][1] == "#cloud-config\n{}\n"


def test_the_address_wins_over_debians_own_network_file() -> None:
    text = seed.files(SPEC)["etc/systemd/network/10-host0.network"][1]
    wanted = {
        "Name=host0",
        "MACAddress=fa:16:3e:00:00:0b",
        "MTUBytes=1450",
        "Address=10.31.1.11/24",
        "Gateway=10.31.1.1",
        "DHCP=no",
        "LinkLocalAddressing=no",
    }
    assert wanted <= set(text.splitlines())


def test_only_the_first_interface_has_a_default_route() -> None:
    assert "Gateway" not in seed.network_file(1, NIC)
    assert "Gateway" not in seed.network_file(0, dataclasses.replace(NIC, gateway=None))


def test_the_machines_resolver_is_never_the_hosts() -> None:
    assert seed.files(SPEC)["etc/resolv.conf"][1] == "nameserver 10.31.1.1\noptions timeout:1 attempts:1\n"
    named = dataclasses.replace(SPEC, nics=(dataclasses.replace(NIC, nameservers=("10.30.0.5",)),))
    assert "nameserver 10.30.0.5" in seed.files(named)["etc/resolv.conf"][1]


def test_names_are_known_without_a_resolver() -> None:
    assert seed.files(SPEC)["etc/hosts"][1].splitlines() == [
        "127.0.0.1 localhost",
        "10.31.1.11 rehearsal-kvm-tacc-node-1",
        "10.30.0.5 registry.tandem",
    ]


@pytest.mark.parametrize("instance_id", ["d4c42cbe-f623-40c2-9bce-704b0a4d4e5a", "i-0001"])
def test_the_machine_id_is_32_hexadecimal_digits(instance_id: str) -> None:
    assert len(seed.machine_id(instance_id)) == 32
    assert int(seed.machine_id(instance_id), 16)


@pytest.mark.parametrize(
    "wrong",
    [
        {"machine": "srv-1a2b3c4d5"},
        {"machine": "Srv"},
        {"hostname": "a_b"},
        {"hostname": "-a"},
        {"nics": ()},
        {"lower": ()},
    ],
)
def test_what_cannot_be_a_host_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        dataclasses.replace(SPEC, **wrong)  # type: ignore[arg-type]


def test_every_interface_has_a_name_that_fits() -> None:
    assert [port(SPEC.machine, index) for index in (0, 1)] == ["vb-srv-1a2b3c4d", "v1-srv-1a2b3c4d"]
    assert all(len(port("x" * 12, index)) <= 15 for index in (0, 9))


def test_nspawn_runs_in_the_sealed_namespace_on_the_nics_bridge() -> None:
    words = command(dataclasses.replace(SPEC, nics=(NIC, NIC)))
    assert words[:4] == ["nsenter", "--net=/run/netns/tandem-rehearsal", "--", "systemd-nspawn"]
    assert {
        "--network-bridge=br-kvm-tacc",
        "--network-veth-extra=v1-srv-1a2b3c4d:host1",
        "--boot",
        "--register=no",
        "--keep-unit",
        "--capability=all",
        "--system-call-filter=@known",
        "--resolv-conf=off",
    } <= set(words)
