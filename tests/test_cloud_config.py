"""What hosts are told: cloud-config, firewall, auth file, disk script."""

from __future__ import annotations

import json
from base64 import b64decode
from ipaddress import IPv4Network

import pytest

from provision import cloud_config
from provision.errors import SettingsError
from provision.settings import Rule, load

SETTINGS = load("rehearsal", platform="case")


def test_a_site_with_security_groups_needs_no_firewall() -> None:
    told = json.loads(cloud_config.user_data(SETTINGS.sites["kvm-tacc"]).partition("\n")[2])
    assert "runcmd" not in told


def test_a_site_without_gets_firewalld_rules_at_birth() -> None:
    text = cloud_config.user_data(SETTINGS.sites["chi-uc"])
    assert text.startswith("#cloud-config\n")
    commands = json.loads(text.partition("\n")[2])["runcmd"]
    assert ["firewall-cmd", "--quiet", "--permanent", "--add-port=22/tcp"] in commands
    assert ["firewall-cmd", "--quiet", "--permanent", "--zone=trusted", "--add-source=10.234.64.0/18"] in commands
    assert commands[-1] == ["firewall-cmd", "--quiet", "--reload"]


def test_what_is_opened_is_what_is_looked_for() -> None:
    rules = SETTINGS.sites["chi-uc"].network.rules
    assert cloud_config.firewall_openings(rules) == (
        "trusted cni0", "22/tcp", "trusted 10.234.64.0/18", "trusted 10.234.0.0/18",
    )  # fmt: skip


def test_a_port_for_some_is_refused_rather_than_opened_to_all() -> None:
    rule = Rule(protocol="tcp", source=IPv4Network("10.0.0.0/8"), port_from=6443, port_to=6443)
    with pytest.raises(SettingsError):
        cloud_config.firewall_openings([rule])


def test_packages_are_installed_by_cloud_init() -> None:
    site = SETTINGS.sites["kvm-tacc"].model_copy(update={"node_packages": ("nfs-common",)})
    told = json.loads(cloud_config.user_data(site).partition("\n")[2])
    assert told["packages"] == ["nfs-common"]


def test_the_auth_file_has_an_entry_for_every_name_of_a_registry() -> None:
    auths = json.loads(cloud_config.auth_file(("docker.io", "quay.io", "10.30.0.5:5000"), "u", "p"))["auths"]
    assert set(auths) == {"docker.io", "https://index.docker.io/v1/", "quay.io", "10.30.0.5:5000"}
    assert {b64decode(entry["auth"]).decode() for entry in auths.values()} == {"u:p"}


def test_the_disk_is_formatted_only_when_blkid_finds_nothing() -> None:
    script = cloud_config.disk_script("/dev/disk/by-id/virtio-x", "block", "/mnt/block")
    formats = script.index("mkfs.ext4")
    assert script.index("blkid -p") < script.index('"$code" -eq 2') < formats < script.index("exit 65")


def test_a_volume_is_found_by_what_virtio_tells_of_its_id() -> None:
    assert cloud_config.device("c5710a5d-09e2-41f5-ba6b-e63e9bfddfb3") == "/dev/disk/by-id/virtio-c5710a5d-09e2-41f5-b"
    assert cloud_config.device("") == ""


def test_what_nobody_planned_is_closed_where_it_was_opened() -> None:
    found = cloud_config.closing_commands(["8265/tcp", "service cockpit", "trusted 0.0.0.0/0", "trusted docker0"])
    assert [command[3:] for command in found] == [
        ["--remove-port=8265/tcp"],
        ["--remove-service=cockpit"],
        ["--zone=trusted", "--remove-source=0.0.0.0/0"],
        ["--zone=trusted", "--remove-interface=docker0"],
    ]
    assert {" ".join(command[:3]) for command in found} == {"firewall-cmd --quiet --permanent"}


def test_nobody_updates_a_host_at_its_first_boot() -> None:
    for site in load("chameleon", platform="case").sites.values():
        told = json.loads(cloud_config.user_data(site).partition("\n")[2])
        assert (told["package_update"], told["package_upgrade"]) == (False, False)
