"""From nova's words to a host's."""

from __future__ import annotations

import base64
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rehearsal.clouds.layout import Tree
from rehearsal.clouds.services import faults, servers
from rehearsal.hosts import Nic

UUID = "6f1d9a52-6f0e-5b0c-9d9e-5f1b8a3c7e10"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree("rehearsal", "kvm-tacc", tmp_path, tmp_path, tmp_path, tmp_path, tmp_path)


def vif(gateway: str | None = "10.31.1.1") -> dict[str, Any]:
    subnet = {"version": 4, "cidr": "10.31.1.0/24", "ips": [{"address": "10.31.1.11"}], "gateway": {"address": gateway}}
    return {"address": "fa:16:3e:00:00:01", "network": {"id": "aaaabbbb-cccc", "subnets": [subnet]}}


def test_names_fit_interfaces() -> None:
    assert servers.machine_name(UUID) == "srv-6f1d9a52"
    assert servers.bridge_name("kvm-tacc", "aaaabbbb-cccc") == "kvm-aaaabbbb"
    assert servers.bridge_name("chi-uc", "aaaabbbb-cccc") != servers.bridge_name("kvm-tacc", "aaaabbbb-cccc")


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ([], "/dev/vdb"),
        (["/dev/vda"], "/dev/vdb"),
        (["/dev/vdb", None], "/dev/vdc"),
        ([f"/dev/vd{letter}" for letter in "bcdefghijklmnopqrstuvwxyz"], None),
    ],
)
def test_next_device_is_the_first_free_one(taken: list[Any], expected: str | None) -> None:
    assert servers.next_device(taken) == expected


def test_a_port_becomes_an_interface() -> None:
    assert servers.nics("kvm-tacc", [vif()]) == (
        Nic(address="10.31.1.11", prefix=24, gateway="10.31.1.1", mac="fa:16:3e:00:00:01", bridge="kvm-aaaabbbb"),
    )
    assert servers.nics("kvm-tacc", [vif(gateway=None)])[0].gateway is None


def test_a_server_becomes_a_host(tree: Tree) -> None:
    instance = SimpleNamespace(
        uuid=UUID,
        hostname="node-1",
        key_data="ssh-ed25519 AAAA",
        user_data=base64.b64encode(b"#cloud-config\n").decode(),
    )
    spec = servers.host_spec(tree, instance, (Path("/gpu"), Path("/base")), [vif()])
    assert (spec.machine, spec.hostname, spec.user_data) == ("srv-6f1d9a52", "node-1", "#cloud-config\n")
    assert spec.public_key == "ssh-ed25519 AAAA" and spec.lower == (Path("/gpu"), Path("/base"))


def test_image_layers_are_named_topmost_first() -> None:
    available = {"base": Path("/base"), "gpu": Path("/gpu")}
    assert servers.layers({"tandem_layers": "gpu,base"}, available) == (Path("/gpu"), Path("/base"))
    with pytest.raises(KeyError):
        servers.layers({"tandem_layers": "fpga,base"}, available)


def test_volumes_of_a_server() -> None:
    mapping = {"mount_device": "/dev/vdb", "connection_info": {"data": {"path": "/state/v.img", "volume_id": "v"}}}
    assert servers.disks({"block_device_mapping": [mapping]}) == (servers.Disk(Path("/state/v.img"), "vdb", "v"),)
    assert servers.disks(None) == ()


def test_the_roll_outlives_the_process(tree: Tree) -> None:
    servers.Roll(tree, "kvm-01").add(UUID, "instance-00000001")
    again = servers.Roll(tree, "kvm-01")
    assert again.uuids() == [UUID] and again.names() == ["instance-00000001"]
    assert servers.Roll(tree, "kvm-02").uuids() == []
    again.remove(UUID)
    again.remove(UUID)
    assert again.uuids() == []


def test_faults_are_read_afresh_and_a_broken_file_raises(tree: Tree) -> None:
    assert faults.read(tree) == faults.Faults()
    faults.add(tree, "deploy-fails", {"spawn_delay_s": 2, "spawn_fail": ["node-2$"]})
    found = faults.read(tree)
    assert found.spawn_delay_s == 2 and found.fails("rehearsal-kvm-tacc-node-2") and not found.fails("node-21")
    tree.faults_file.write_text("{")
    with pytest.raises(ValueError, match="Expecting"):
        faults.read(tree)
