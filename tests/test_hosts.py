"""The ssh_config: nothing ambient, the entry node by its floating IP, the others through it."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from provision import shell
from provision.errors import PreconditionMissing
from provision.hosts import Hosts, render_config
from provision.settings import load

FLOATING = IPv4Address("10.30.1.10")


def hosts(site: str = "kvm-tacc", address: IPv4Address | None = FLOATING) -> Hosts:
    return Hosts(load("rehearsal"), site, lambda: address)


def stanzas(text: str) -> dict[str, dict[str, str]]:
    """Host -> option -> value."""
    found: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "Host":
            found[rest] = {}
        elif word:
            found[list(found)[-1]][word] = rest
    return found


def test_the_entry_node_is_reached_by_its_floating_address() -> None:
    config = stanzas(render_config(hosts(), FLOATING))
    assert config["node1"] == {"HostName": "10.30.1.10", "HostKeyAlias": "node1"}


def test_the_others_are_reached_through_it_with_our_config() -> None:
    config = stanzas(render_config(hosts(), FLOATING))
    assert list(config) == ["node1", "node2", "node3", "*"]
    assert config["node3"]["HostName"] == "10.31.1.13"
    path = hosts().settings.state_dir / "ssh_config.kvm-tacc"
    assert config["node3"]["ProxyCommand"] == f"ssh -F {path} -W %h:%p node1"


def test_a_site_of_one_node_has_no_jump() -> None:
    assert "ProxyCommand" not in render_config(hosts("chi-uc"), FLOATING)


def test_nothing_ambient_is_used() -> None:
    common = stanzas(render_config(hosts(), FLOATING))["*"]
    assert common["User"] == "cc"
    assert common["IdentitiesOnly"] == common["BatchMode"] == "yes"
    assert common["GlobalKnownHostsFile"] == "/dev/null"
    assert Path(common["UserKnownHostsFile"]) == hosts().known_hosts
    assert Path(common["IdentityFile"]).is_relative_to(hosts().settings.config_dir)


def test_a_control_socket_s_path_is_short_enough_wherever_the_checkout_lies() -> None:
    """%C becomes 40 characters, ssh adds 17 while it makes the socket; the kernel's limit is 107."""
    path = stanzas(render_config(hosts(), FLOATING))["*"]["ControlPath"]
    assert len(path.replace("%C", "x" * 40)) + 17 < 108


def test_without_a_floating_address_the_network_step_is_named() -> None:
    with pytest.raises(PreconditionMissing) as caught:
        _ = hosts(address=None).config
    assert caught.value.next == "invoke provision.network --site kvm-tacc"


def test_each_word_of_a_command_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sent: list[list[str]] = []

    def run(argv: list[str], **_options: object) -> shell.Result:
        sent.append([str(word) for word in argv])
        return shell.Result(tuple(sent[-1]), 0, "", "", 0.0)

    monkeypatch.setattr(shell, "run", run)
    door = hosts()
    object.__setattr__(door, "config", tmp_path / "ssh_config")
    door.run("node2", ["echo", "a b; reboot", "$(x)"])
    assert sent == [["ssh", "-F", str(tmp_path / "ssh_config"), "node2", "--", "sudo -n -- echo 'a b; reboot' '$(x)'"]]
