"""The link's files say exactly what the table says: these ports, these addresses, nothing else."""

from __future__ import annotations

import re
from ipaddress import IPv4Address

import pytest

from provision import link
from provision.link import Facts
from provision.settings import load

SETTINGS = load("rehearsal")
FACTS = Facts(IPv4Address("10.30.1.10"), "ssh-ed25519 HOST", "ssh-ed25519 PUBLIC tandem")
SERVER = {file.path: file for file in link.server_files(SETTINGS, FACTS)}
CLIENT = {file.path: file for file in link.client_files(SETTINGS, FACTS, "PRIVATE")}
ANSWER = """user 998
sum 1111 /etc/ssh/tandem-link.keys
unit active enabled
listens 10.31.1.11:10001
listens 0.0.0.0:22
host ssh-ed25519 AAAA
"""


def test_the_key_may_forward_and_nothing_else() -> None:
    words = SERVER[link.SERVER_KEYS].text.split(" ssh-ed25519 ")[0].split(",")
    assert words[:2] == ["restrict", "port-forwarding"]
    assert {word.split("=")[0] for word in words[2:]} == {"permitlisten", "permitopen"}
    assert SERVER[link.SERVER_KEYS].text.count("\n") == 1


def test_every_port_of_the_table_is_permitted_and_no_other() -> None:
    text = SERVER[link.SERVER_KEYS].text
    listens = [f"10.31.1.11:{row.port}" for row in SETTINGS.link.forwards if row.listens == "kvm-tacc"]
    opens = {f"{row.target_ip}:{row.target_port}" for row in SETTINGS.link.forwards if row.listens == "chi-uc"}
    assert re.findall(r'permitlisten="([^"]+)"', text) == listens
    assert set(re.findall(r'permitopen="([^"]+)"', text)) == opens


def test_sshd_gives_the_user_no_shell_and_notices_a_dead_peer() -> None:
    text = SERVER[link.SERVER_SSHD].text
    for line in (
        "Match User tandem-link",
        "PermitTTY no",
        "MaxSessions 0",
        "GatewayPorts clientspecified",
        "ForceCommand /bin/false",
        "ClientAliveInterval 5",
        "ClientAliveCountMax 3",
    ):
        assert line in text


def test_the_client_forwards_every_row_of_the_table() -> None:
    text = CLIENT[link.CLIENT_CONFIG].text
    assert "    RemoteForward 10.31.1.11:18004 10.234.0.54:8000\n" in text
    assert "    LocalForward 10.32.1.11:15432 10.233.0.54:5432\n" in text
    assert len(re.findall(r"(?:Remote|Local)Forward ", text)) == len(SETTINGS.link.forwards)


@pytest.mark.parametrize(
    "line",
    [
        "HostName 10.30.1.10",
        "StrictHostKeyChecking yes",
        "ExitOnForwardFailure yes",
        "BatchMode yes",
        "ServerAliveInterval 5",
        "ServerAliveCountMax 3",
        "UserKnownHostsFile /etc/tandem/link/known_hosts",
    ],
)
def test_the_client_trusts_one_host_and_gives_up_early(line: str) -> None:
    assert f"    {line}\n" in CLIENT[link.CLIENT_CONFIG].text


def test_the_unit_comes_back_by_itself_for_ever() -> None:
    text = CLIENT[link.CLIENT_UNIT].text
    assert "Restart=always\nRestartSec=2" in text
    assert "StartLimitIntervalSec=0" in text
    assert "User=tandem-link" in text


def test_a_cut_is_over_within_half_a_minute() -> None:
    link_settings = SETTINGS.link
    assert link_settings.keepalive_s * link_settings.keepalive_count + 2 + 8 <= 30


def test_only_the_private_key_is_closed() -> None:
    assert {file.path for file in (*SERVER.values(), *CLIENT.values()) if file.mode == "0600"} == {link.CLIENT_KEY}
    assert [path for path, file in CLIENT.items() if "PRIVATE" in file.text] == [link.CLIENT_KEY]


def test_the_host_key_is_pinned_under_the_alias() -> None:
    assert CLIENT[link.CLIENT_KNOWN].text == "tandem-link-server ssh-ed25519 HOST\n"


def test_a_probe_is_read() -> None:
    probe = link.read_probe(ANSWER)
    assert (probe.user, probe.unit, probe.host_key) == (True, "active enabled", "ssh-ed25519 AAAA")
    assert probe.listens == ("10.31.1.11:10001", "0.0.0.0:22")
    assert probe.sums == {link.SERVER_KEYS: "1111"}


def test_a_bare_host_s_probe_is_read() -> None:
    probe = link.read_probe("user \nunit inactive \nhost ssh-ed25519 AAAA\n")
    assert (probe.user, probe.unit, probe.sums) == (False, "inactive", {})


def test_only_equal_files_are_unchanged() -> None:
    file = SERVER[link.SERVER_SSHD]
    probe = link.read_probe(f"user 1\nsum {file.sha256} {file.path}\nsum 00 {link.SERVER_KEYS}\nunit x\nhost a b\n")
    assert link.unchanged(tuple(SERVER.values()), probe) == (file.path,)
