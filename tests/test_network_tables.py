from __future__ import annotations

import ipaddress
import itertools

import pytest

from provision.errors import UsageError
from rehearsal.network import addresses, tables
from rehearsal.network.namespace import inside, netns


def test_every_address_in_use_lies_under_the_seal() -> None:
    prefixes = [ipaddress.IPv4Network(prefix) for prefix in addresses.PREFIXES]
    used = (
        addresses.UPLINK_CIDR,
        *addresses.PUBLIC_CIDRS,
        *addresses.SERVICE_ADDRESSES,
        "10.31.1.0/24",
        "10.32.1.0/24",
        "10.233.0.0/18",
        "10.233.64.0/18",
        "10.234.0.0/18",
        "10.234.64.0/18",
    )
    assert all(any(ipaddress.IPv4Network(cidr).subnet_of(prefix) for prefix in prefixes) for cidr in used)
    assert not [pair for pair in itertools.combinations(prefixes, 2) if pair[0].overlaps(pair[1])]


def test_the_seal_names_every_prefix_and_the_platforms_own_link() -> None:
    text = tables.seal("tandem0")
    assert all(prefix in text for prefix in addresses.PREFIXES)
    assert 'elements = { "lo", "tandem0" }' in text
    assert text.count("{") == text.count("}")


def test_nothing_new_leaves_the_namespace_towards_the_machine() -> None:
    lines = [line.strip() for line in tables.guard().splitlines()]
    forward = lines[lines.index("chain forward {") :]
    assert forward.index('oifname "machine0" jump refuse') < forward.index("ct status dnat accept")
    assert forward.index('oifname "machine0" jump refuse') < forward.index("iifname . oifname @inside accept")
    output = lines[lines.index("chain output {") :]
    assert output[1:3] == ['oifname "machine0" ct state established,related accept', 'oifname "machine0" jump refuse']


def test_forwarding_is_refused_unless_something_allows_it() -> None:
    assert "chain forward { type filter hook forward priority 0; policy drop; }" in tables.guard()


def test_a_bridge_may_forward_to_itself_only() -> None:
    assert tables.inside("add", "br-a") == 'add element ip tandem inside { "br-a" . "br-a" }\n'


def test_the_default_platform_has_the_documented_link_and_others_their_own() -> None:
    assert addresses.veth("rehearsal") == "tandem0"
    other = addresses.veth("a-very-long-platform-name")
    assert other != addresses.veth("another")
    assert len(other) <= 15


def test_commands_run_in_the_platforms_namespace() -> None:
    assert inside("rehearsal") == ("nsenter", "--net=/run/netns/tandem-rehearsal", "--")


@pytest.mark.parametrize("platform", ["", "UPPER", "a/b", "1st", "x" * 33])
def test_a_platform_whose_name_is_no_namespace_is_refused(platform: str) -> None:
    with pytest.raises(UsageError):
        netns(platform)
