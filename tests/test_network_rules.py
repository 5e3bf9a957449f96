from __future__ import annotations

import pytest

from provision.errors import UsageError
from rehearsal.network.rules import FloatingIp, Network, Port, SecurityRule, SiteRules, render, render_nothing

NETWORK = Network("br-kvm", "10.31.1.0/24", "10.30.1.2")


def chain(text: str, name: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines()]
    start = lines.index(f"chain {name} {{")
    return lines[start + 1 : lines.index("}", start)]


def test_a_site_replaces_its_own_table_in_one_transaction() -> None:
    text = render(SiteRules("kvm-tacc"))
    assert text.splitlines()[:3] == [
        "table ip tandem-kvm-tacc",
        "delete table ip tandem-kvm-tacc",
        "table ip tandem-kvm-tacc {",
    ]
    assert text.count("{") == text.count("}")


def test_nothing_is_removed_also_where_nothing_was() -> None:
    assert render_nothing("chi-uc") == "table ip tandem-chi-uc\ndelete table ip tandem-chi-uc\n"


def test_a_floating_ip_stands_for_its_host_in_both_directions() -> None:
    text = render(SiteRules("kvm-tacc", (NETWORK,), floating_ips=(FloatingIp("10.30.1.11", "10.31.1.11"),)))
    assert "map to_host { type ipv4_addr : ipv4_addr; elements = { 10.30.1.11 : 10.31.1.11 }; }" in text
    assert "map to_public { type ipv4_addr : ipv4_addr; elements = { 10.31.1.11 : 10.30.1.11 }; }" in text
    assert chain(text, "postrouting")[1:] == [
        "ip saddr 10.31.1.0/24 ct status dnat snat to ip saddr map @to_public",
        "ip saddr 10.31.1.0/24 ct status dnat snat to 10.30.1.2",
    ]


def test_without_a_router_nobody_leaves_under_its_address() -> None:
    text = render(SiteRules("kvm-tacc", (Network("br-kvm", "10.31.1.0/24"),)))
    assert not [line for line in chain(text, "postrouting") if line.endswith("snat to None") or "10.30" in line]


def test_the_order_of_floating_ips_does_not_change_the_table() -> None:
    one, other = FloatingIp("10.30.1.11", "10.31.1.11"), FloatingIp("10.30.1.12", "10.31.1.12")
    assert render(SiteRules("a", floating_ips=(one, other))) == render(SiteRules("a", floating_ips=(other, one)))


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        (SecurityRule(), " accept"),
        (SecurityRule("tcp", (22, 22)), "tcp dport 22 accept"),
        (SecurityRule("udp", (8472, 8473)), "udp dport 8472-8473 accept"),
        (SecurityRule("tcp"), "meta l4proto tcp accept"),
        (SecurityRule("icmp", (8, 8)), "meta l4proto icmp accept"),
        (SecurityRule(None, None, ("10.31.1.12", "10.31.1.13")), "ip saddr { 10.31.1.12/31 } accept"),
        (
            SecurityRule("tcp", (6443, 6443), ("10.31.1.0/24", "10.30.2.11/32")),
            "ip saddr { 10.30.2.11/32, 10.31.1.0/24 } tcp dport 6443 accept",
        ),
    ],
)
def test_a_rule_lets_in_what_it_says(rule: SecurityRule, line: str) -> None:
    text = render(SiteRules("kvm-tacc", (NETWORK,), (Port("10.31.1.11", (rule,)),)))
    assert chain(text, "to-10-31-1-11") == [line.strip(), "counter drop"]


@pytest.mark.parametrize("rules", [(), (SecurityRule("tcp", (22, 22), ()),)])
def test_no_rule_and_a_rule_for_an_empty_group_let_nobody_in(rules: tuple[SecurityRule, ...]) -> None:
    text = render(SiteRules("kvm-tacc", (NETWORK,), (Port("10.31.1.11", rules),)))
    assert chain(text, "to-10-31-1-11") == ["counter drop"]
    assert "ip daddr vmap { 10.31.1.11 : jump to-10-31-1-11 }" in chain(text, "security_groups")


def test_a_port_without_port_security_is_not_asked() -> None:
    text = render(SiteRules("kvm-tacc", (NETWORK,), (Port("10.31.1.11"),)))
    assert "10.31.1.11" not in text
    assert "vmap" not in text


def test_pods_pass_within_their_bridge_before_any_group_is_asked() -> None:
    rules = SiteRules("kvm-tacc", (NETWORK,), (Port("10.31.1.11", ()),), pod_cidrs=("10.233.64.0/18",))
    asked = chain(render(rules), "security_groups")
    assert asked.index('oifname "br-kvm" ip saddr { 10.233.64.0/18 } accept') < asked.index(
        "ip daddr vmap { 10.31.1.11 : jump to-10-31-1-11 }"
    )


@pytest.mark.parametrize(
    "rules",
    [
        SiteRules("bad name"),
        SiteRules("a", (Network("br; flush ruleset", "10.31.1.0/24"),), pod_cidrs=("10.233.64.0/18",)),
        SiteRules("a", (Network("br-a", "nonsense"),)),
        SiteRules("a", ports=(Port("10.31.1.300", ()),)),
        SiteRules("a", floating_ips=(FloatingIp("10.30.1.1 }", "10.31.1.11"),)),
        SiteRules("a", ports=(Port("10.31.1.11", (SecurityRule("sctp"),)),)),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_name_or_address_is_refused(rules: SiteRules) -> None:
    with pytest.raises(UsageError):
        render(rules)
