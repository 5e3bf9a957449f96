"""Security group rules to and from neutron's words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any

from provision.clouds.facts import Rule

NOWHERE = "255.255.255.255/32"
"""A rule that names another group has no source of its own: told as from nowhere, so that it is seen and removed."""


def parse_rule(found: Mapping[str, Any]) -> Rule | None:
    """An ingress rule for IPv4; None for any other rule."""
    if found["direction"] != "ingress" or found["ethertype"] != "IPv4":
        return None
    source = found["remote_ip_prefix"] or (NOWHERE if found.get("remote_group_id") else "0.0.0.0/0")
    return Rule(
        found["protocol"] or "any",
        IPv4Network(source),
        found["port_range_min"] or 0,
        found["port_range_max"] or 0,
    )


def rule_body(rule: Rule) -> dict[str, object]:
    """What neutron is sent for a rule."""
    return {
        "direction": "ingress",
        "ether_type": "IPv4",
        "protocol": None if rule.protocol == "any" else rule.protocol,
        "remote_ip_prefix": str(rule.source),
        "port_range_min": rule.port_from or None,
        "port_range_max": rule.port_to or None,
    }
